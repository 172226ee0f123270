/**
 * The composition root, with `app/` the only place that knows every part: loads what the configuration runs on, and connects
 * proxy, admin listener, audit log and telemetry. A reload is all or nothing: until every plan of the new configuration
 * stands, the old one runs. Used by `start`, the demo and tests; several may run in one process.
 */
import { answerAppeal } from './admin/appeals.ts';
import type { KeyDesk } from './admin/keys.ts';
import { openAdminToken } from './admin/token.ts';
import { openAuditLog, type AuditLog } from './audit/log.ts';
import type { ContentVault } from './audit/vault.ts';
import type { Environment } from './config/environment.ts';
import { loadConfig, type InlineConfig, type ReadStored } from './config/load.ts';
import type { Config } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import { watchConfig } from './config/watch.ts';
import { CHANNELS } from './contract/channels.ts';
import type { Classifier } from './contract/classifier.ts';
import type { LateViolation } from './contract/notification.ts';
import { Expiring } from './expiring.ts';
import type { Holding } from './holding.ts';
import { RunningHouse, SharedRedis } from './house.ts';
import { openDatabase, PolicyDistribution, type DistributionOptions } from './distribution.ts';
import type { ProxyDependencies } from './proxy/dependencies.ts';
import { ProxyServer } from './proxy/server.ts';
import { ClassifierPool, compileRuntime, ensureHashKey, judgePolicy, planOf, readHashKey } from './runtime.ts';
import { Webhook } from './notify/webhook.ts';
import { SessionBars } from './screen/bars.ts';
import { PseudonymVault } from './screen/pseudonyms.ts';
import { answerScreening } from './screen/service.ts';
import { Declaring } from './declaring.ts';
import { HOLDS_CHANNEL } from './store/holds.ts';
import { SHARED_KEYS } from './store/shared-documents.ts';
import { RedisText } from './store/shared-text.ts';
import type { StoreDatabase } from './store/sql.ts';
import { SqlKeyStore } from './store/sql-keys.ts';
import { SqlUsageStore } from './store/sql-usage.ts';
import { HealthHistory } from './telemetry/health-history.ts';
import { createLog, logChannels, type Log } from './telemetry/log.ts';
import { startMetrics, type Metrics } from './telemetry/metrics.ts';
import { startTraces } from './telemetry/traces.ts';
import { holdSteadyHealth } from './telemetry/steady-health.ts';
import { KeyWatch } from './tenant/key-watch.ts';
import { TenantLimits } from './tenant/limits.ts';
import { Replicas } from './tenant/replicas.ts';
import { UsageMeter } from './tenant/usage-meter.ts';
import { listenAdmin, listenerUrl } from './app/admin.ts';
import { VERSION } from './app/version.ts';
import { openContent, openErasing, retentionOf, shipLog, openDecisions, exchangesOf, openCollector } from './app/logs.ts';
import { openReviewing, openContents, openHolding, openLearning, openCampaigning, openReporting } from './app/people.ts';

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
  opened.defer(holdSteadyHealth());
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
  const reporting = openReporting(house, { collector, decisions, database: tenants.database });
  opened.defer(() => reporting?.close());
  reporting?.start();
  const expiring = new Expiring({ database: tenants.database, config: () => house.runtime.snapshot.config, now: () => new Date() });
  opened.defer(() => expiring.close());
  expiring.start();
  const replicas = new Replicas(() => redis.door);
  if (config.roles.includes('proxy')) replicas.start();
  opened.defer(() => replicas.close());
  const adminUrl = await listenAdmin(house, { audit, erasing, reviews: reviewing?.desk, risk: campaigning?.desk, learn: learning?.desk, weekly: reporting?.desk, collector, decisions, health, replicas: () => (redis.door !== undefined && config.roles.includes('proxy') ? replicas.count : undefined) }, token, metrics, tenants.desk, opened);
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

function startTelemetry(config: Config, options: AppOptions, opened: AsyncDisposableStack): Metrics {
  const { telemetry } = config;
  const log: Log = createLog({ level: telemetry.log_level, destination: options.log });
  opened.defer(() => log.flush());
  opened.defer(logChannels(log));
  const { otlp_encoding: encoding, semconv: edition } = telemetry;
  const service = { serviceName: telemetry.service_name, version: VERSION, encoding, edition };
  const { otlp, otlp_endpoint: endpoint, interval_ms: intervalMs } = telemetry.metrics;
  const metrics = startMetrics({ ...service, otlp: otlp || endpoint !== undefined ? { encoding, endpoint, intervalMs } : undefined });
  opened.defer(() => metrics.close());
  const { exporter, endpoint: tracesEndpoint, sample_ratio: sampleRatio, keep, slow_ms: slowMs } = telemetry.traces;
  if (exporter !== 'none') {
    const traces = startTraces({ ...service, exporter, endpoint: tracesEndpoint, sampleRatio, keep, slowMs, print: options.print });
    opened.defer(() => traces.close());
  }
  return metrics;
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
