/**
 * What is written and read of audit logs and of kept content, opened for a running process: the vault, erasures, logs that
 * are shipped from here and to here, the index of decisions, retention.
 */
import { join } from 'node:path';
import type { OriginDesk } from '../admin/origins.ts';
import { Collector } from '../audit/collector.ts';
import { DecisionIndex } from '../audit/decision-index.ts';
import { locatedExchange } from '../audit/located.ts';
import type { AuditRecord } from '../audit/entry.ts';
import { campaignDays, keepWithin } from '../audit/content-retention.ts';
import type { AuditLog } from '../audit/log.ts';
import { contentFolder, ContentVault } from '../audit/vault.ts';
import { Shipper } from '../audit/shipper.ts';
import type { Config } from '../config/schema.ts';
import { Erasing } from '../erasing.ts';
import type { RunningHouse } from '../house.ts';
import { decisionPlace } from '../distribution.ts';
import { Retention } from '../retention.ts';
import type { ReviewingOptions } from '../reviewing.ts';
import { SqlAdminStore } from '../store/admins.ts';
import { SqlAnnotationStore } from '../store/annotations.ts';
import { SqlErasureStore } from '../store/erasures.ts';
import { SqlReviewContents } from '../store/review-contents.ts';
import type { StoreDatabase } from '../store/sql.ts';
import { SqlUsageStore } from '../store/sql-usage.ts';

export async function openContent(house: RunningHouse, audit: AuditLog, opened: AsyncDisposableStack): Promise<ContentVault> {
  const { data_dir: dataDir, audit: { master_key: key, master_key_file: keyFile } } = house.runtime.snapshot.config;
  const vault = new ContentVault({ dir: contentFolder(dataDir), keyFile, key, clock: Date.now, audit: (record) => appendAt(audit, record) });
  opened.defer(() => vault.close());
  const tenants = () => [...house.runtime.tenants.values()];
  if (tenants().some(({ data }) => data.content !== 'none' || data.campaigns)) await vault.prepare();
  opened.defer(keepWithin(vault, () => new Map(tenants().map(({ id, data }) => [id, data.keep_days]))));
  opened.defer(keepWithin(vault, () => campaignDays(house.runtime.snapshot.config), 'campaigns'));
  return vault;
}

/** Resolves with its index when the entry is on disk. */
async function appendAt(audit: AuditLog, record: AuditRecord): Promise<number> {
  const appended = audit.append(record, 'strict');
  const { index } = audit.head(); // it has its place already
  await appended;
  return index;
}

/** All that was asked for is carried out before anybody is let in. */
export async function openErasing(house: RunningHouse, audit: AuditLog, vault: ContentVault, collector: Collector | undefined, database: StoreDatabase | undefined, opened: AsyncDisposableStack): Promise<Erasing> {
  const { data_dir: dataDir, audit: { origin } } = house.runtime.snapshot.config;
  const erasing = new Erasing({
    vault, dir: contentFolder(dataDir), origin, store: database && new SqlErasureStore(database),
    keeps: () => [...house.runtime.tenants.values()].some(({ data }) => data.content !== 'none' || data.campaigns),
    copied: async (log, before) => collector?.entries(log, { before }),
    record: (record) => audit.append(record, 'strict'),
  });
  opened.defer(() => erasing.close());
  await erasing.start();
  return erasing;
}

/** What is shipped here, with what its process is to erase in the answer. */
export function originsOf(collector: Collector, erasing: Erasing): OriginDesk {
  return {
    list: () => collector.list(),
    take: async (sender, batch) => {
      const position = await collector.take(sender, batch);
      const erasures = await erasing.answer(sender.log, batch.erased, position.entries);
      return erasures === undefined ? position : { ...position, erasures };
    },
  };
}

export interface Kept {
  readonly collector: Collector | undefined;
  readonly database: StoreDatabase | undefined;
  readonly decisions: DecisionIndex | undefined;
}

export function retentionOf(house: RunningHouse, log: AuditLog, shipper: Shipper | undefined, { collector, database, decisions }: Kept): Retention {
  const config = (): Config => house.runtime.snapshot.config;
  return new Retention({
    config, log, dir: config().audit.dir, collector,
    ...(shipper === undefined ? {} : { shipped: () => shipper.shipped }),
    ...(database === undefined ? {} : { usage: new SqlUsageStore(database), admins: new SqlAdminStore(database), contents: new SqlReviewContents(database), annotations: new SqlAnnotationStore(database), learning: new SqlReviewContents(database, 'learning_contents') }),
    ...(decisions === undefined ? {} : { decisions: decisions.queries }),
  });
}

/** `erasing`: of a process whose erasures come this way. */
export function shipLog({ audit: { dir, ship } }: Config, audit: AuditLog, erasing: Erasing | undefined, opened: AsyncDisposableStack): Shipper | undefined {
  if (ship === undefined) return undefined;
  const shipper = new Shipper({ dir, size: () => audit.head().index + 1, erasing: erasing && { claim: () => erasing.claim(), told: (claim, news) => erasing.told(claim, news) }, ...ship });
  opened.defer(() => shipper.close());
  return shipper;
}

/** Undefined where this process has no store. */
export function openDecisions(config: Config, audit: AuditLog, collector: Collector | undefined, opened: AsyncDisposableStack): DecisionIndex | undefined {
  const store = decisionPlace(config);
  if (store === undefined) return undefined;
  const logs = collector && { shipped: async () => (await collector.list()).map(({ log }) => log), dirOf: (log: string) => collector.dirOf(log) };
  const index = new DecisionIndex({ store, own: config.audit.dir, size: () => audit.head().index + 1, ...logs });
  opened.defer(() => index.close());
  index.start();
  return index;
}

/** Without the store the log is looked through. */
export async function locate({ queries }: DecisionIndex, requestId: string, logName: string): Promise<number | undefined> {
  const { rows } = await queries.search({ requestId, logName, limit: 2 }).catch(() => ({ rows: [] }));
  const [first] = rows;
  return rows.length === 1 && first?.request_id === requestId ? first.index : undefined;
}

/** Of all processes whose logs can be read here. */
export function exchangesOf({ audit: { dir } }: Config, audit: AuditLog, decisions: DecisionIndex | undefined, collector: Collector | undefined): ReviewingOptions['exchangeOf'] {
  const index = decisions && { search: decisions.queries.search, isBehind: () => decisions.isBehind() };
  return (requestId, tenants) => locatedExchange({ dir, log: nameOfLog(audit.checkpoint()), index, copy: async (log, filter) => collector?.entries(log, filter) }, requestId, tenants);
}

/** Of a checkpoint: the name of its log stands first. */
export function nameOfLog(checkpoint: string): string {
  return checkpoint.split('\n', 1)[0]!;
}

/** Takes the logs of others where this process is a control plane. */
export function openCollector({ roles, data_dir: dataDir }: Config, audit: AuditLog, opened: AsyncDisposableStack): Collector | undefined {
  if (!roles.includes('control')) return undefined;
  const collector = new Collector({ dir: join(dataDir, 'origins'), audit: (record) => audit.append(record, 'strict'), clock: Date.now });
  opened.defer(() => collector.close());
  return collector;
}
