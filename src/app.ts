/**
 * The composition root, and the only file that knows every part: loads what the configuration runs on, and connects
 * proxy, admin listener, audit log and telemetry. A reload is all or nothing: until every plan of the new configuration
 * stands, the old one runs. Used by `start`, the demo and tests; several may run in one process.
 */
import { hostname } from 'node:os';
import packageFile from '../package.json' with { type: 'json' };
import { createAdminServer } from './admin/server.ts';
import { openAdminToken, type AdminToken } from './admin/token.ts';
import { openAuditLog, type AuditLog } from './audit/log.ts';
import type { Environment } from './config/environment.ts';
import { loadConfig, withStored, type InlineConfig, type ReadStored } from './config/load.ts';
import type { Config } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import { watchConfig } from './config/watch.ts';
import { CHANNELS } from './contract/channels.ts';
import type { Classifier } from './contract/classifier.ts';
import { WeirError } from './contract/errors.ts';
import type { LateViolation } from './contract/notification.ts';
import { PolicyDistribution } from './distribution.ts';
import type { ParsedPolicy } from './policy/parse.ts';
import { policyKey } from './policy/source.ts';
import type { ProxyDependencies } from './proxy/dependencies.ts';
import { ProxyServer } from './proxy/server.ts';
import { ClassifierPool, compileRuntime, ensureHashKey, judgePolicy, planOf, readHashKey, type Runtime } from './runtime.ts';
import { Webhook } from './notify/webhook.ts';
import { SessionBars } from './screen/bars.ts';
import { PseudonymVault } from './screen/pseudonyms.ts';
import { answerScreening } from './screen/service.ts';
import type { PolicyPut, PutReply } from './store/policies.ts';
import { openRedis, type RedisDoor } from './store/redis.ts';
import { RedisText } from './store/shared-text.ts';
import { createLog, logChannels, type Log } from './telemetry/log.ts';
import { startMetrics, type Metrics } from './telemetry/metrics.ts';
import { startTraces } from './telemetry/traces.ts';
import { TenantLimits } from './tenant/limits.ts';

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
  opened.defer(() => distribution?.close());
  const stored: ReadStored = async (config, written) => (distribution ??= await openDistribution(config, redis, pool, () => void house.renew())).follow(config, written);
  const first = await loadConfig(options.config, options.env, { classifiers, stored });
  const { config } = first;
  const house = new RunningHouse(await compileRuntime(first, pool), { pool, redis, distribution: distribution! });
  opened.defer(() => house.settled());

  const metrics = startTelemetry(config, options, opened);
  CHANNELS.configReloaded.publish({ ok: true, hash: first.hash, issues: first.warnings.length });
  const audit = await openAuditLog({ dir: config.audit.dir, origin: `weir/${hostname()}`, clock: Date.now });
  opened.defer(() => audit.close());
  const token = openAdminToken(config.data_dir, new Date());
  const adminUrl = await listenAdmin(house, audit, token, metrics, opened);
  const limits = new TenantLimits({ redis: () => redis.door });
  const pseudonyms = new PseudonymVault({ shared });
  const bars = new SessionBars({ shared });
  const webhook = new Webhook({ settings: () => house.runtime.snapshot.config.notifications?.webhook });
  opened.defer(() => webhook.close());
  const notify = (found: LateViolation): void => void webhook.notify(found);
  const proxyUrl = await listenProxy(house, { audit, limits, pseudonyms, bars, notify }, opened);

  const watch = watchConfig({
    file: options.config,
    env: options.env,
    snapshot: first,
    classifiers,
    stored,
    onSnapshot: (snapshot) => house.adopt(snapshot),
    intervalMs: options.watchIntervalMs,
  });
  opened.defer(() => watch.close());
  return { proxyUrl, adminUrl, adminToken: token.fresh, snapshot: first };
}

async function openDistribution(config: Config, redis: SharedRedis, pool: ClassifierPool, onChange: () => void): Promise<PolicyDistribution> {
  ensureHashKey(config.data_dir);
  await redis.follow(config);
  return new PolicyDistribution(config, {
    key: readHashKey(config.data_dir),
    redis: () => redis.door,
    judge: async ({ policy: id, number, source }, place, judgedFor) => {
      const { policy } = await judgePolicy(source, { id, place }, judgedFor, pool);
      return policy && Object.freeze({ ...policy, revision: String(number) });
    },
    onChange,
  });
}

/** What runs, replaced whole when files or stored policies change: one replacement after the other. */
class RunningHouse {
  runtime: Runtime;
  readonly distribution: PolicyDistribution;
  readonly #pool: ClassifierPool;
  readonly #redis: SharedRedis;
  #replacing: Promise<void> = Promise.resolve();

  constructor(runtime: Runtime, { pool, redis, distribution }: { readonly pool: ClassifierPool; readonly redis: SharedRedis; readonly distribution: PolicyDistribution }) {
    this.runtime = runtime;
    this.distribution = distribution;
    this.#pool = pool;
    this.#redis = redis;
    distribution.adopt(runtime.snapshot.config, runtime.snapshot.written);
  }

  /** Another configuration. Rejects when it cannot be used; the old one stays. */
  adopt(snapshot: Snapshot): Promise<void> {
    return this.#replace(async () => {
      await this.#compile(snapshot);
      await this.#redis.follow(snapshot.config);
    });
  }

  /** The same configuration with the policies that are stored now. */
  async renew(): Promise<void> {
    try {
      await this.#replace(async () => {
        const { config, written } = this.runtime.snapshot;
        await this.distribution.follow(config, new Map([...written].map(([id, { policy }]) => [id, policy]))); // a policy may name others
        await this.#compile(this.runtime.snapshot);
      });
      CHANNELS.configReloaded.publish({ ok: true, hash: this.runtime.snapshot.hash, issues: this.runtime.snapshot.warnings.length });
    } catch (error) {
      CHANNELS.configReloaded.publish({ ok: false, hash: this.runtime.snapshot.hash, issues: 1, message: `stored policies: ${(error as Error).message.split('\n', 1)[0]}` });
    }
  }

  /** Resolves when the change counts here. */
  async put(change: PolicyPut): Promise<PutReply> {
    const reply = await this.distribution.put(change);
    await this.#replacing;
    return reply;
  }

  judge(source: string, id: string): Promise<ParsedPolicy> {
    return judgePolicy(source, { id, place: id }, this.runtime.snapshot.config, this.#pool);
  }

  settled(): Promise<void> {
    return this.#replacing;
  }

  /** Throws policy_stale for a tenant that fails closed. */
  requireFresh(tenantId: string): void {
    const tenant = this.runtime.tenants.get(tenantId);
    if (tenant?.fail_mode !== 'closed') return;
    if (this.distribution.isExpired(policyKey(tenant.policy, tenant.policy_revision), tenant.policy_stale_max_s * 1000)) throw new WeirError('policy_stale');
  }

  async #compile(snapshot: Snapshot): Promise<void> {
    this.runtime = await compileRuntime(withStored(snapshot, this.distribution.current()), this.#pool, this.runtime);
  }

  #replace(work: () => Promise<void>): Promise<void> {
    const replacing = this.#replacing.then(work).then(() => this.distribution.adopt(this.runtime.snapshot.config, this.runtime.snapshot.written));
    this.#replacing = replacing.catch(() => {});
    return replacing;
  }
}

/** The connection that the configuration names now. */
class SharedRedis {
  door: RedisDoor | undefined;
  #url: string | undefined;
  #closed = false;

  async follow({ redis }: Config): Promise<void> {
    if (redis?.url === this.#url) return;
    const former = this.door;
    this.#url = redis?.url;
    this.door = redis && await openRedis(redis.url);
    former?.close();
    if (this.#closed) this.door?.close();
  }

  close(): void {
    this.#closed = true;
    this.door?.close();
  }
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

async function listenAdmin(house: RunningHouse, audit: AuditLog, token: AdminToken, metrics: Metrics, opened: AsyncDisposableStack): Promise<string> {
  const { admin, telemetry } = house.runtime.snapshot.config;
  const server = createAdminServer({
    version: VERSION,
    token,
    metricsText: telemetry.metrics.prometheus ? () => metrics.prometheusText() : undefined,
    status: () => adminStatus(house.runtime, audit),
    policies: {
      store: house.distribution.store,
      put: (change) => house.put(change),
      judge: (source, id) => house.judge(source, id),
      written: () => house.runtime.snapshot.written,
      tenantsOf: (policy) => [...house.runtime.tenants.values()].filter((tenant) => tenant.policy === policy).map(({ id }) => id),
      audit: (record) => audit.append(record, 'strict'),
      now: () => new Date(),
    },
  });
  opened.defer(() => server.close());
  await server.listen({ host: admin.host, port: admin.port });
  const address = server.server.address();
  return listenerUrl(admin.host, typeof address === 'object' && address !== null ? address.port : admin.port);
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
  };
}

async function listenProxy(house: RunningHouse, parts: Pick<ProxyDependencies, 'audit' | 'limits' | 'pseudonyms' | 'bars' | 'notify'>, opened: AsyncDisposableStack): Promise<string> {
  const dependencies: ProxyDependencies = {
    snapshot: () => house.runtime.snapshot,
    plan: (tenantId) => {
      house.requireFresh(tenantId);
      return house.runtime.plans.get(tenantId);
    },
    ...parts,
    screeningService: (body, { tenantId, keyId, requestId, signal }) => {
      house.requireFresh(tenantId);
      return answerScreening(body, { requestId, tenantId, keyId, now: new Date() }, (policyId) => planOf(house.runtime, tenantId, policyId), signal);
    },
  };
  const server = new ProxyServer(dependencies);
  opened.defer(() => server.drain());
  const { port } = await server.listen();
  return listenerUrl(house.runtime.snapshot.config.proxy.host, port);
}

function listenerUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
