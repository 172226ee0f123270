/**
 * The composition root, and the only file that knows every part: loads what the configuration runs on, and connects
 * proxy, admin listener, audit log and telemetry. A reload is all or nothing: until every plan of the new configuration
 * stands, the old one runs. Used by `start`, the demo and tests; several may run in one process.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import packageFile from '../package.json' with { type: 'json' };
import { answerAppeal } from './admin/appeals.ts';
import { AccessChanges } from './admin/changes.ts';
import type { ClassifierDesk } from './admin/classifiers.ts';
import type { OriginDesk } from './admin/origins.ts';
import type { LearnDesk } from './admin/learn.ts';
import type { RiskDesk } from './admin/risk.ts';
import { Door } from './admin/door.ts';
import type { KeyDesk } from './admin/keys.ts';
import { createLogin, type Login } from './admin/login.ts';
import type { PeopleDesk } from './admin/people.ts';
import { createAdminServer } from './admin/server.ts';
import { Sessions } from './admin/sessions.ts';
import { openAdminToken, type AdminToken } from './admin/token.ts';
import { Collector } from './audit/collector.ts';
import { DecisionIndex } from './audit/decision-index.ts';
import { locatedExchange } from './audit/located.ts';
import { newestEntries } from './audit/entries.ts';
import type { AuditRecord } from './audit/entry.ts';
import { newestExchanges } from './audit/exchanges.ts';
import { campaignDays, keepWithin } from './audit/content-retention.ts';
import { readSigner } from './audit/key.ts';
import { openAuditLog, type AuditLog } from './audit/log.ts';
import { publishedKeys } from './audit/recovery.ts';
import { proveEntryApart } from './audit/proof.ts';
import { contentFolder, ContentVault } from './audit/vault.ts';
import { Shipper } from './audit/shipper.ts';
import { readCard } from './config/cards.ts';
import type { Environment } from './config/environment.ts';
import { shippedTaxonomy } from './config/taxonomy.ts';
import { loadConfig, type InlineConfig, type ReadStored } from './config/load.ts';
import type { PlannedCampaign } from './config/risk.ts';
import type { Config } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import { createPages } from './console/pages.ts';
import { reportPage } from './console/risk-report.ts';
import { watchConfig } from './config/watch.ts';
import { CHANNELS } from './contract/channels.ts';
import type { Classifier } from './contract/classifier.ts';
import type { LateViolation } from './contract/notification.ts';
import type { Policy } from './contract/policy.ts';
import { Erasing } from './erasing.ts';
import { Holding } from './holding.ts';
import { Learning } from './learning.ts';
import { RunningHouse, SharedRedis } from './house.ts';
import { decisionPlace, openDatabase, PolicyDistribution, type DistributionOptions } from './distribution.ts';
import type { ProxyDependencies } from './proxy/dependencies.ts';
import { ProxyServer } from './proxy/server.ts';
import { screenText } from './rehearsal.ts';
import { ClassifierPool, compileRuntime, ensureHashKey, judgePolicy, planOf, readHashKey, type Runtime } from './runtime.ts';
import { Webhook } from './notify/webhook.ts';
import { SessionBars } from './screen/bars.ts';
import { PseudonymVault } from './screen/pseudonyms.ts';
import { answerScreening } from './screen/service.ts';
import { populationOf } from './population.ts';
import { Retention } from './retention.ts';
import type { Population } from './risk/proposal.ts';
import { Campaigning, type CampaigningOptions } from './campaigning.ts';
import { Declaring } from './declaring.ts';
import { Reviewing, type ReviewingOptions } from './reviewing.ts';
import { ReviewContents } from './review/contents.ts';
import { SqlAdminStore } from './store/admins.ts';
import { SqlAnnotationStore } from './store/annotations.ts';
import { SqlErasureStore } from './store/erasures.ts';
import { HOLDS_CHANNEL } from './store/holds.ts';
import { SqlReviewContents } from './store/review-contents.ts';
import { SHARED_KEYS } from './store/shared-documents.ts';
import { RedisText } from './store/shared-text.ts';
import type { StoreDatabase } from './store/sql.ts';
import { SqlKeyStore } from './store/sql-keys.ts';
import { SqlUsageStore } from './store/sql-usage.ts';
import { ClassifierTally } from './telemetry/classifier-tally.ts';
import { HealthHistory } from './telemetry/health-history.ts';
import { createLog, logChannels, type Log } from './telemetry/log.ts';
import { startMetrics, type Metrics } from './telemetry/metrics.ts';
import { startTraces } from './telemetry/traces.ts';
import { KeyWatch } from './tenant/key-watch.ts';
import { TenantLimits } from './tenant/limits.ts';
import { Replicas } from './tenant/replicas.ts';
import { UsageMeter } from './tenant/usage-meter.ts';

export interface AppOptions {
  /** A file, or the configuration itself; absent: the file found when none is named. */
  readonly config?: string | InlineConfig;
  readonly env: Environment;
  /** Takes log lines; default stderr. */
  readonly log?: { write(line: string): void };
  /** Takes the lines of the `console` trace exporter; default stdout. */
  readonly print?: (line: string) => void;
  /** Time between two looks at the configuration files. */
  readonly watchIntervalMs?: number;
}

export interface Started {
  /** `http://127.0.0.1:8080` */
  readonly proxyUrl: string;
  readonly adminUrl: string;
  /** On the first start with this data folder only. */
  readonly adminToken?: string;
  readonly snapshot: Snapshot;
}

export interface App {
  /** Rejects with ConfigError, or with the listener's error (`EADDRINUSE`); nothing is left open then. */
  start(): Promise<Started>;
  /** Lets open answers end within proxy.timeouts.drain_ms, then writes the rest of the audit log. */
  close(): Promise<void>;
}

export const VERSION: string = packageFile.version;

export function createApp(options: AppOptions): App {
  const opened = new AsyncDisposableStack();
  return {
    async start() {
      try {
        return await startParts(options, opened);
      } catch (error) {
        await opened.disposeAsync();
        throw error;
      }
    },
    close: () => opened.disposeAsync(),
  };
}

/** Opens the parts in order; closing runs backwards, so that nothing outlives what it writes to. */
async function startParts(options: AppOptions, opened: AsyncDisposableStack): Promise<Started> {
  const redis = new SharedRedis();
  opened.defer(() => redis.close());
  const shared = new RedisText(() => redis.door);
  const pool = new ClassifierPool({ shared });
  opened.defer(() => pool.close());
  const classifiers = (config: Config): Promise<readonly Classifier[]> => pool.known(config);
  let distribution: PolicyDistribution | undefined;
  let keyMessages: KeyWatch | undefined;
  let holding: Holding | undefined;
  opened.defer(() => distribution?.close());
  const stored: ReadStored = async (config, written) => (distribution ??= await openDistribution(config, redis, pool, { onChange: () => void house.renew(), others: [{ channel: SHARED_KEYS.channel, onMessage: (text) => keyMessages?.heard(text) }, { channel: HOLDS_CHANNEL, onMessage: (text) => holding?.heard(text) }] })).follow(config, written);
  const first = await loadConfig(options.config, options.env, { classifiers, stored });
  const { config } = first;
  let running: RunningHouse | undefined;
  const learning = openLearning(config, () => running, opened);
  if (learning !== undefined) {
    pool.models = await learning.first();
    pool.told = (request, results) => learning.hear(request, results);
  }
  const house = running = new RunningHouse(await compileRuntime(first, pool), { pool, redis, distribution: distribution! });
  opened.defer(() => house.settled());
  learning?.start();

  const health = new HealthHistory(Date.now);
  opened.defer(() => health.close());
  const metrics = startTelemetry(config, options, opened);
  redis.door?.announce(); // it was opened before anybody listened
  CHANNELS.configReloaded.publish({ ok: true, hash: first.hash, issues: first.warnings.length });
  const audit = await openAuditLog({ dir: config.audit.dir, keyFile: config.audit.key_file, origin: config.audit.origin, clock: Date.now });
  opened.defer(() => audit.close());
  const content = await openContent(house, audit, opened);
  const declaring = new Declaring({ config: () => house.runtime.snapshot.config, sampler: () => house.runtime.sampler, audit: (record) => audit.append(record, 'strict'), now: () => new Date() });
  await declaring.declare();
  const token = openAdminToken(config.data_dir, new Date());
  const tenants = await openTenants(house, audit, redis, opened);
  keyMessages = tenants.watch;
  const collector = openCollector(config, audit, opened);
  const erasing = await openErasing(house, audit, content, collector, tenants.database, opened);
  const shipper = shipLog(config, audit, tenants.database === undefined ? erasing : undefined, opened);
  const decisions = openDecisions(config, audit, collector, opened);
  const retention = retentionOf(house, audit, shipper, { collector, database: tenants.database, decisions });
  opened.defer(() => retention.close());
  retention.start();
  const contents = openContents(house, content, erasing, tenants.database, opened);
  holding = openHolding(house, redis, { database: tenants.database, contents }, opened);
  const current: Pick<ContentVault, 'read'> = { read: async (...asked) => erasing.current().then(() => content.read(...asked)) };
  const exchangeOf = exchangesOf(config, audit, decisions, collector);
  const reviewing = openReviewing(house, { audit, content: current, contents, decided: (reviewId) => holding?.tell(reviewId), exchangeOf }, tenants.database);
  opened.defer(() => reviewing?.close());
  reviewing?.start();
  const campaigning = openCampaigning(house, audit, { content: current, contents, exchangeOf }, { collector, decisions, database: tenants.database });
  opened.defer(() => campaigning?.close());
  campaigning?.start();
  const replicas = new Replicas(() => redis.door);
  if (config.roles.includes('proxy')) replicas.start();
  opened.defer(() => replicas.close());
  const adminUrl = await listenAdmin(house, { audit, erasing, reviews: reviewing?.desk, risk: campaigning?.desk, learn: learning?.desk, collector, decisions, health }, token, metrics, tenants.desk, opened);
  const limits = new TenantLimits({ redis: () => redis.door, replicas: () => replicas.count });
  const pseudonyms = new PseudonymVault({ shared });
  const bars = new SessionBars({ shared });
  const webhook = new Webhook({ settings: () => house.runtime.snapshot.config.notifications?.webhook });
  opened.defer(() => webhook.close());
  const notify = (found: LateViolation): void => void webhook.notify(found);
  const proxyUrl = await listenProxy(house, { audit: metered(audit, tenants.meter), content, storedKeys: tenants.watch.keys, limits, pseudonyms, bars, notify, appealService: reviewing && ((body, caller) => answerAppeal(reviewing.desk, body, caller)), ...(holding === undefined ? {} : { holds: holding.port }) }, opened);

  const watch = watchConfig({
    file: options.config,
    env: options.env,
    snapshot: first,
    classifiers,
    stored,
    onSnapshot: async (snapshot) => {
      await house.adopt(snapshot);
      await declaring.declare().catch(() => undefined); // the log itself tells that it is broken
    },
    intervalMs: options.watchIntervalMs,
  });
  opened.defer(() => watch.close());
  return { proxyUrl, adminUrl, adminToken: token.fresh, snapshot: first };
}

async function openDistribution(config: Config, redis: SharedRedis, pool: ClassifierPool, heard: Pick<DistributionOptions, 'onChange' | 'others'>): Promise<PolicyDistribution> {
  ensureHashKey(config.data_dir);
  await redis.follow(config);
  return new PolicyDistribution(config, {
    key: readHashKey(config.data_dir),
    redis: () => redis.door,
    judge: async ({ policy: id, number, source }, place, judgedFor) => {
      const { policy } = await judgePolicy(source, { id, place }, judgedFor, pool);
      return policy && Object.freeze({ ...policy, revision: String(number) });
    },
    ...heard,
  });
}

async function openContent(house: RunningHouse, audit: AuditLog, opened: AsyncDisposableStack): Promise<ContentVault> {
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
async function openErasing(house: RunningHouse, audit: AuditLog, vault: ContentVault, collector: Collector | undefined, database: StoreDatabase | undefined, opened: AsyncDisposableStack): Promise<Erasing> {
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
function originsOf(collector: Collector, erasing: Erasing): OriginDesk {
  return {
    list: () => collector.list(),
    take: async (sender, batch) => {
      const position = await collector.take(sender, batch);
      const erasures = await erasing.answer(sender.log, batch.erased, position.entries);
      return erasures === undefined ? position : { ...position, erasures };
    },
  };
}

/** Keys and usage of tenants, as far as the store has them. */
interface TenantParts {
  readonly watch: KeyWatch;
  readonly meter: UsageMeter;
  /** Absent where this process has no store. */
  readonly database?: StoreDatabase | undefined;
  /** Absent where this process has no store. */
  readonly desk?: KeyDesk;
}

async function openTenants(house: RunningHouse, audit: AuditLog, redis: SharedRedis, opened: AsyncDisposableStack): Promise<TenantParts> {
  const { config } = house.runtime.snapshot;
  const database = openDatabase(config);
  opened.defer(() => database?.close());
  const store = database && new SqlKeyStore(database);
  const usage = database && new SqlUsageStore(database);
  const watch = new KeyWatch({
    dataDir: config.data_dir,
    key: readHashKey(config.data_dir),
    store,
    storeIsLocal: config.store.url.startsWith('sqlite:') && store !== undefined,
    redis: () => redis.door,
    tenants: () => [...house.runtime.tenants.keys()],
    audit: (change) => audit.append({ kind: 'key_change', ...change }, 'strict'),
  });
  opened.defer(() => watch.close());
  await watch.start();
  const meter = new UsageMeter({ store: usage, isTenant: (id) => house.runtime.tenants.has(id) });
  opened.defer(() => meter.close());
  if (store === undefined || usage === undefined) return { watch, meter, database };
  return { watch, meter, database, desk: { store, usage, tenants: () => house.runtime.tenants, changed: () => watch.catchUp().then(() => watch.record()), flush: () => meter.flush(), now: () => new Date() } };
}

/** Undefined where this process has no store. */
function openReviewing(house: RunningHouse, parts: Pick<ReviewingOptions, 'audit' | 'content' | 'contents' | 'decided' | 'exchangeOf'>, database: StoreDatabase | undefined): Reviewing | undefined {
  if (database === undefined) return undefined;
  const config = (): Config => house.runtime.snapshot.config;
  return new Reviewing({ database, config, policyOf: (name) => policyNamed(house, name), found: foundBy(house), ...parts, drawKey: readHashKey(config().data_dir), source: config().audit.origin });
}

/** Undefined where the store is this process's alone: its texts lie beside it. */
function openContents(house: RunningHouse, vault: ContentVault, erasing: Erasing, database: StoreDatabase | undefined, opened: AsyncDisposableStack): ReviewContents | undefined {
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
function openHolding(house: RunningHouse, redis: SharedRedis, { database, contents }: { readonly database: StoreDatabase | undefined; readonly contents: ReviewContents | undefined }, opened: AsyncDisposableStack): Holding | undefined {
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
function openLearning(first: Config, running: () => RunningHouse | undefined, opened: AsyncDisposableStack): Learning | undefined {
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
function openCampaigning(house: RunningHouse, audit: AuditLog, reads: Pick<CampaigningOptions, 'content' | 'contents' | 'exchangeOf'>, { collector, decisions, database }: Kept): Campaigning | undefined {
  if (database === undefined) return undefined;
  const config = (): Config => house.runtime.snapshot.config;
  const logs = collector && { shipped: async () => (await collector.list()).map(({ log }) => log), dirOf: (log: string) => collector.dirOf(log) };
  return new Campaigning({
    database, config, audit, ...reads, taxonomy: shippedTaxonomy(), master: readHashKey(config().data_dir), own: config().audit.dir, ...logs,
    population: (campaign) => recentPopulation(campaign, config(), { collector, decisions }),
    report: { software: VERSION, page: reportPage, signer: () => readSigner(config().audit.key_file, config().audit.origin) },
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

interface Kept {
  readonly collector: Collector | undefined;
  readonly database: StoreDatabase | undefined;
  readonly decisions: DecisionIndex | undefined;
}

function retentionOf(house: RunningHouse, log: AuditLog, shipper: Shipper | undefined, { collector, database, decisions }: Kept): Retention {
  const config = (): Config => house.runtime.snapshot.config;
  return new Retention({
    config, log, dir: config().audit.dir, collector,
    ...(shipper === undefined ? {} : { shipped: () => shipper.shipped }),
    ...(database === undefined ? {} : { usage: new SqlUsageStore(database), admins: new SqlAdminStore(database), contents: new SqlReviewContents(database), annotations: new SqlAnnotationStore(database), learning: new SqlReviewContents(database, 'learning_contents') }),
    ...(decisions === undefined ? {} : { decisions: decisions.queries }),
  });
}

function startTelemetry(config: Config, options: AppOptions, opened: AsyncDisposableStack): Metrics {
  const { telemetry } = config;
  const log: Log = createLog({ level: telemetry.log_level, destination: options.log });
  opened.defer(() => log.flush());
  opened.defer(logChannels(log));
  const { otlp_endpoint: endpoint, interval_ms: intervalMs } = telemetry.metrics;
  const service = { serviceName: telemetry.traces.service_name, version: VERSION };
  const metrics = startMetrics({ ...service, otlp: endpoint === undefined ? undefined : { endpoint, intervalMs } });
  opened.defer(() => metrics.close());
  const { exporter, endpoint: tracesEndpoint, sample_ratio: sampleRatio } = telemetry.traces;
  if (exporter !== 'none') {
    const traces = startTraces({ ...service, exporter, endpoint: tracesEndpoint, sampleRatio, print: options.print });
    opened.defer(() => traces.close());
  }
  return metrics;
}

interface AdminParts {
  readonly audit: AuditLog;
  readonly erasing: Erasing;
  readonly reviews?: Reviewing['desk'] | undefined;
  readonly risk?: RiskDesk | undefined;
  readonly learn?: LearnDesk | undefined;
  readonly collector?: Collector | undefined;
  readonly decisions?: DecisionIndex | undefined;
  readonly health: HealthHistory;
}

async function listenAdmin(house: RunningHouse, { audit, erasing, reviews, risk, learn, collector, decisions, health }: AdminParts, token: AdminToken, metrics: Metrics, keys: KeyDesk | undefined, opened: AsyncDisposableStack): Promise<string> {
  const { admin, telemetry, audit: { dir } } = house.runtime.snapshot.config;
  const now = (): Date => new Date();
  const { door, people } = openDoor(house, audit, token, opened);
  const tally = new ClassifierTally(now());
  opened.defer(() => tally.close());
  const server = createAdminServer({
    version: VERSION,
    door,
    ...(admin.tls === undefined ? {} : { tls: { certFile: admin.tls.cert_file!, keyFile: admin.tls.key_file! } }),
    ...(people === undefined ? {} : { people }),
    ...(keys === undefined ? {} : { keys }),
    tenants: { tenants: () => [...house.runtime.tenants.values()].map(({ id, policy, upstream, fail_mode, keys, product }) => ({ id, policy, upstream, fail_mode, keys: keys.length, ...(product === undefined ? {} : { product }) })) },
    records: {
      entries: (filter) => newestEntries(dir, filter),
      checkpoint: () => audit.checkpoint(),
      prove: (index) => proveEntryApart(dir, index, audit.checkpoint()),
      shipped: async (log, filter) => collector?.entries(log, filter),
      ...(decisions === undefined ? {} : { locate: (requestId) => locate(decisions, requestId, nameOfLog(audit.checkpoint())) }),
    },
    erasures: erasing,
    health,
    classifiers: { since: tally.since, running: () => runningClassifiers(house.runtime), figures: (id) => tally.of(id), card: readCard },
    ...(decisions === undefined ? {} : { decisions: { ...decisions.queries, ownLog: () => nameOfLog(audit.checkpoint()) } }),
    ...(reviews === undefined ? {} : { reviews }),
    ...(risk === undefined ? {} : { risk }),
    ...(learn === undefined ? {} : { learn }),
    ...(collector === undefined ? {} : { origins: originsOf(collector, erasing) }),
    ...(people === undefined ? {} : { pages: createPages({ hasProvider: people.login !== undefined, keys: () => publishedKeys(dir) }) }),
    metricsText: telemetry.metrics.prometheus ? () => metrics.prometheusText() : undefined,
    status: () => adminStatus(house.runtime, audit),
    policies: {
      store: house.distribution.store,
      put: (change) => house.put(change),
      judge: (source, id) => house.judge(source, id),
      trial: (policy, failMode) => house.trial(policy, failMode),
      failModeOf: (tenantId) => house.runtime.tenants.get(tenantId)?.fail_mode,
      exchanges: () => newestExchanges(dir),
      written: () => house.runtime.snapshot.written,
      tenantsOf: (policy) => [...house.runtime.tenants.values()].filter((tenant) => tenant.policy === policy).map(({ id }) => id),
      counting: (id) => house.runtime.snapshot.policies.get(id),
      besides: (policy) => [...house.runtime.snapshot.policies.values()].filter(({ shadow, canary }) => shadow === policy || canary?.policy === policy).map(({ id }) => id),
      audit: (record) => audit.append(record, 'strict'),
      now,
    },
  });
  opened.defer(() => server.close());
  await server.listen({ host: admin.host, port: admin.port });
  const address = server.server.address();
  return listenerUrl(admin.host, typeof address === 'object' && address !== null ? address.port : admin.port, admin.tls === undefined ? 'http' : 'https');
}

function runningClassifiers({ classifiers, snapshot: { config } }: Runtime): ReturnType<ClassifierDesk['running']> {
  return classifiers.map((classifier) => ({ classifier, plugin: config.classifiers.find(({ id }) => id === classifier.id)?.plugin ?? classifier.id }));
}

/** `erasing`: of a process whose erasures come this way. */
function shipLog({ audit: { dir, ship } }: Config, audit: AuditLog, erasing: Erasing | undefined, opened: AsyncDisposableStack): Shipper | undefined {
  if (ship === undefined) return undefined;
  const shipper = new Shipper({ dir, size: () => audit.head().index + 1, erasing: erasing && { claim: () => erasing.claim(), told: (claim, news) => erasing.told(claim, news) }, ...ship });
  opened.defer(() => shipper.close());
  return shipper;
}

/** Undefined where this process has no store. */
function openDecisions(config: Config, audit: AuditLog, collector: Collector | undefined, opened: AsyncDisposableStack): DecisionIndex | undefined {
  const store = decisionPlace(config);
  if (store === undefined) return undefined;
  const logs = collector && { shipped: async () => (await collector.list()).map(({ log }) => log), dirOf: (log: string) => collector.dirOf(log) };
  const index = new DecisionIndex({ store, own: config.audit.dir, size: () => audit.head().index + 1, ...logs });
  opened.defer(() => index.close());
  index.start();
  return index;
}

/** Without the store the log is looked through. */
async function locate({ queries }: DecisionIndex, requestId: string, logName: string): Promise<number | undefined> {
  const { rows } = await queries.search({ requestId, logName, limit: 2 }).catch(() => ({ rows: [] }));
  const [first] = rows;
  return rows.length === 1 && first?.request_id === requestId ? first.index : undefined;
}

/** Of all processes whose logs can be read here. */
function exchangesOf({ audit: { dir } }: Config, audit: AuditLog, decisions: DecisionIndex | undefined, collector: Collector | undefined): ReviewingOptions['exchangeOf'] {
  const index = decisions && { search: decisions.queries.search, isBehind: () => decisions.isBehind() };
  return (requestId, tenants) => locatedExchange({ dir, log: nameOfLog(audit.checkpoint()), index, copy: async (log, filter) => collector?.entries(log, filter) }, requestId, tenants);
}

/** Of a checkpoint: the name of its log stands first. */
function nameOfLog(checkpoint: string): string {
  return checkpoint.split('\n', 1)[0]!;
}

/** Takes the logs of others where this process is a control plane. */
function openCollector({ roles, data_dir: dataDir }: Config, audit: AuditLog, opened: AsyncDisposableStack): Collector | undefined {
  if (!roles.includes('control')) return undefined;
  const collector = new Collector({ dir: join(dataDir, 'origins'), audit: (record) => audit.append(record, 'strict'), clock: Date.now });
  opened.defer(() => collector.close());
  return collector;
}

/** Who is let in to the admin port, and the desk of the routes about them where this process has a store. */
function openDoor(house: RunningHouse, audit: AuditLog, token: AdminToken, opened: AsyncDisposableStack): { readonly door: Door; readonly people?: PeopleDesk } {
  const { config } = house.runtime.snapshot;
  const { tls, hosts, public_url: publicUrl, host, session } = config.admin;
  const now = (): Date => new Date();
  const isSecure = tls !== undefined || publicUrl?.startsWith('https:') === true;
  const names = [...hosts, host.toLowerCase(), ...(publicUrl === undefined ? [] : [new URL(publicUrl).hostname])];
  const database = openDatabase(config);
  const common = { token, hosts: names, ...(publicUrl === undefined ? {} : { publicUrl }), isSecure, now };
  if (database === undefined) return { door: new Door(common) };
  opened.defer(() => database.close());
  const store = new SqlAdminStore(database);
  const sessions = new Sessions(store, { idleMs: session.idle_ms, totalMs: session.total_ms }, now, token.id);
  const door = new Door({ ...common, people: { store, sessions } });
  const login = loginOf(config);
  const people: PeopleDesk = {
    store, sessions, door, isSecure, sessionMs: session.total_ms, ...(login === undefined ? {} : { login }), now,
    tenants: () => [...house.runtime.tenants.keys()],
    audit: (record) => audit.append(record, 'strict'),
  };
  const changes = new AccessChanges(people);
  opened.defer(() => changes.close());
  return { door, people };
}

/** Throws when the file of the secret cannot be read. */
function loginOf({ admin: { oidc, public_url: publicUrl }, data_dir: dataDir }: Config): Login | undefined {
  if (oidc === undefined) return undefined;
  const clientSecret = oidc.client_secret ?? (oidc.client_secret_file === undefined ? undefined : readFileSync(oidc.client_secret_file, 'utf8').trim());
  const key = createHmac('sha256', readHashKey(dataDir)).update('admin login').digest();
  return createLogin({
    issuer: oidc.issuer, clientId: oidc.client_id, ...(clientSecret === undefined ? {} : { clientSecret }), scopes: oidc.scopes, nameClaim: oidc.name_claim, roleClaim: oidc.role_claim, roles: oidc.roles.map(({ value, role, tenants = [] }) => ({ value, role, tenants })),
  }, key, publicUrl);
}

function adminStatus({ snapshot, plans, classifiers }: Runtime, audit: AuditLog) {
  return {
    configHash: snapshot.hash,
    configFile: snapshot.file,
    loadedAt: snapshot.loadedAt.toISOString(),
    warnings: snapshot.warnings.length,
    tenants: snapshot.config.tenants.length,
    policies: [...new Set([...plans.values()].flatMap(({ policyName, canary }) => (canary === undefined ? [policyName] : [policyName, canary.plan.policyName])))],
    classifiers: classifiers.map((classifier) => `${classifier.id}@${classifier.version}`),
    auditHead: audit.head(),
    auditCheckpoint: audit.checkpoint(),
  };
}

async function listenProxy(house: RunningHouse, parts: Pick<ProxyDependencies, 'audit' | 'content' | 'storedKeys' | 'limits' | 'pseudonyms' | 'bars' | 'notify' | 'appealService' | 'holds'>, opened: AsyncDisposableStack): Promise<string> {
  const dependencies: ProxyDependencies = {
    snapshot: () => house.runtime.snapshot,
    plan: (tenantId) => {
      house.requireFresh(tenantId);
      return house.runtime.plans.get(tenantId);
    },
    sampler: () => house.runtime.sampler,
    ...parts,
    screeningService: (body, { tenantId, keyId, requestId, signal }) => {
      house.requireFresh(tenantId);
      return answerScreening(body, { requestId, tenantId, keyId, now: new Date(), queued: parts.holds !== undefined }, (policyId) => planOf(house.runtime, tenantId, policyId), signal);
    },
  };
  const server = new ProxyServer(dependencies);
  opened.defer(() => server.drain());
  const { port } = await server.listen();
  return listenerUrl(house.runtime.snapshot.config.proxy.host, port);
}

/** Every closing entry is counted, whatever becomes of it in the log. */
function metered(audit: AuditLog, meter: UsageMeter): ProxyDependencies['audit'] {
  return {
    append: (record, durability) => {
      meter.count(record);
      return audit.append(record, durability);
    },
  };
}

function listenerUrl(host: string, port: number, scheme = 'http'): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
