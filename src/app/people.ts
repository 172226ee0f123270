/**
 * What people do with decisions, opened for a running process: the review queue and what waits for it, campaigns, and
 * models that learn. Undefined wherever this process has no store.
 */
import { campaignDays } from '../audit/content-retention.ts';
import { readSigner } from '../audit/key.ts';
import type { AuditLog } from '../audit/log.ts';
import type { ContentVault } from '../audit/vault.ts';
import { shippedTaxonomy } from '../config/taxonomy.ts';
import type { PlannedCampaign } from '../config/risk.ts';
import type { Config } from '../config/schema.ts';
import { reportPage } from '../console/risk-report.ts';
import { weeklyPage } from '../console/weekly-report.ts';
import type { Policy } from '../contract/policy.ts';
import type { Erasing } from '../erasing.ts';
import { Holding } from '../holding.ts';
import { Learning } from '../learning.ts';
import type { RunningHouse, SharedRedis } from '../house.ts';
import { openDatabase } from '../distribution.ts';
import { screenText } from '../rehearsal.ts';
import { readHashKey } from '../runtime.ts';
import { populationOf } from '../population.ts';
import type { Population } from '../risk/proposal.ts';
import { Campaigning, type CampaigningOptions } from '../campaigning.ts';
import { Reporting } from '../reporting.ts';
import { Reviewing, type ReviewingOptions } from '../reviewing.ts';
import { ReviewContents } from '../review/contents.ts';
import { SqlReviewContents } from '../store/review-contents.ts';
import type { StoreDatabase } from '../store/sql.ts';
import { VERSION } from './version.ts';
import type { Kept } from './logs.ts';

/** Undefined where this process has no store. */
export function openReviewing(house: RunningHouse, parts: Pick<ReviewingOptions, 'audit' | 'content' | 'contents' | 'decided' | 'exchangeOf'>, database: StoreDatabase | undefined): Reviewing | undefined {
  if (database === undefined) return undefined;
  const config = (): Config => house.runtime.snapshot.config;
  return new Reviewing({ database, config, policyOf: (name) => policyNamed(house, name), found: foundBy(house), ...parts, drawKey: readHashKey(config().data_dir), source: config().audit.origin });
}

/** Undefined where the store is this process's alone: its texts lie beside it. */
export function openContents(house: RunningHouse, vault: ContentVault, erasing: Erasing, database: StoreDatabase | undefined, opened: AsyncDisposableStack): ReviewContents | undefined {
  if (database?.messages === undefined) return undefined;
  const contents = new ReviewContents({
    store: new SqlReviewContents(database), vault, mark: () => erasing.carriedOut,
    keepDays: (tenantId, purpose) => {
      const data = house.runtime.tenants.get(tenantId)?.data;
      if (purpose !== undefined) return data?.campaigns === true ? campaignDays(house.runtime.snapshot.config).get(tenantId) : undefined;
      return data === undefined || data.content === 'none' ? undefined : data.keep_days;
    },
  });
  opened.defer(() => contents.close());
  return contents;
}

/** Undefined where this process has no store: then nothing waits, and rules with a hold take their `then` at once. */
export function openHolding(house: RunningHouse, redis: SharedRedis, { database, contents }: { readonly database: StoreDatabase | undefined; readonly contents: ReviewContents | undefined }, opened: AsyncDisposableStack): Holding | undefined {
  if (database === undefined) return undefined;
  const config = (): Config => house.runtime.snapshot.config;
  const holding = new Holding({ database, config, policyOf: (name) => policyNamed(house, name), key: readHashKey(config().data_dir), redis: () => redis.door, contents });
  opened.defer(() => holding.close());
  return holding;
}

/** What a text holds by the classifiers and patterns of a policy that runs. Nothing is decided. */
function foundBy(house: RunningHouse): ReviewingOptions['found'] {
  return async (policy, direction, text) => {
    const plan = house.runtime.compiled.get(policy);
    return plan === undefined ? [] : (await screenText(plan, text, direction, { content_type: 'text', direction })).segments.flatMap(({ results }) => results);
  };
}

/** By `id@revision`, as it runs now. */
function policyNamed({ runtime }: RunningHouse, name: string): Policy | undefined {
  return [...runtime.compiled.keys()].find(({ id, revision }) => `${id}@${revision}` === name);
}

/** Undefined where this process has no store: then what plugins ship works. */
export function openLearning(first: Config, running: () => RunningHouse | undefined, opened: AsyncDisposableStack): Learning | undefined {
  const database = openDatabase(first);
  if (database === undefined) return undefined;
  opened.defer(() => database.close());
  const learning = new Learning({
    database,
    config: () => running()?.runtime.snapshot.config ?? first,
    file: () => ((path) => (path === undefined || path.startsWith('(') ? undefined : path))(running()?.runtime.snapshot.file),
    policies: () => [...(running()?.runtime.compiled.keys() ?? [])],
    use: async (models) => running()?.useModels(models),
    policyOf: (tenantId) => running()?.runtime.plans.get(tenantId)?.policy,
  });
  opened.defer(() => learning.close());
  return learning;
}

/** Undefined where this process has no store. */
export function openCampaigning(house: RunningHouse, audit: AuditLog, reads: Pick<CampaigningOptions, 'content' | 'contents' | 'exchangeOf'>, { collector, decisions, database }: Kept): Campaigning | undefined {
  if (database === undefined) return undefined;
  const config = (): Config => house.runtime.snapshot.config;
  const logs = collector && { shipped: async () => (await collector.list()).map(({ log }) => log), dirOf: (log: string) => collector.dirOf(log) };
  return new Campaigning({
    database, config, audit, ...reads, taxonomy: shippedTaxonomy(), master: readHashKey(config().data_dir), own: config().audit.dir, ...logs,
    population: (campaign) => recentPopulation(campaign, config(), { collector, decisions }),
    report: { software: VERSION, page: reportPage, signer: () => readSigner(config().audit.key_file, config().audit.origin) },
  });
}

/** Undefined where this process has no store. */
export function openReporting(house: RunningHouse, { collector, decisions, database }: Kept): Reporting | undefined {
  if (database === undefined || decisions === undefined) return undefined;
  const config = (): Config => house.runtime.snapshot.config;
  return new Reporting({
    database, decisions: decisions.queries, config, software: VERSION, page: weeklyPage, signer: () => readSigner(config().audit.key_file, config().audit.origin),
    logs: async () => [config().audit.dir, ...((await collector?.list()) ?? []).map(({ log }) => collector!.dirOf(log))],
  });
}

/** Of all logs that lie here. */
async function recentPopulation(campaign: PlannedCampaign, { audit: { dir }, tenants }: Config, { collector, decisions }: Pick<Kept, 'collector' | 'decisions'>): Promise<Population> {
  const shipped = (await collector?.names()) ?? [];
  return populationOf(campaign, {
    logs: [dir, ...shipped.map((log) => collector!.dirOf(log))], tenants, nowMs: Date.now(),
    counted: async (ids, sinceMs) => (await decisions?.queries.counts({ span: 'hour', tenants: ids, fromMs: sinceMs, untilMs: Date.now(), stepMs: WEEK_MS }).catch(() => undefined))?.totals.find(({ direction, measure }) => direction === '' && measure === 'exchanges')?.total,
  });
}

const WEEK_MS = 7 * 86_400_000;
