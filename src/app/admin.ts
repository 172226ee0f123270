/**
 * The admin port of a running process: who may use it, what its desks are given, and where it listens.
 */
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AccessChanges } from '../admin/changes.ts';
import type { HealthDesk } from '../admin/health.ts';
import type { ClassifierDesk } from '../admin/classifiers.ts';
import type { LearnDesk } from '../admin/learn.ts';
import type { RiskDesk } from '../admin/risk.ts';
import type { WeeklyDesk } from '../admin/weekly-reports.ts';
import { Door } from '../admin/door.ts';
import type { KeyDesk } from '../admin/keys.ts';
import { createLogin, type Login } from '../admin/login.ts';
import type { PeopleDesk } from '../admin/people.ts';
import { createAdminServer } from '../admin/server.ts';
import { Sessions } from '../admin/sessions.ts';
import type { AdminToken } from '../admin/token.ts';
import type { Collector } from '../audit/collector.ts';
import type { DecisionIndex } from '../audit/decision-index.ts';
import { newestEntries } from '../audit/entries.ts';
import { newestExchanges } from '../audit/exchanges.ts';
import type { AuditLog } from '../audit/log.ts';
import { publishedKeys } from '../audit/recovery.ts';
import { proveEntryApart } from '../audit/proof.ts';
import { readCard } from '../config/cards.ts';
import type { Config } from '../config/schema.ts';
import { createPages } from '../console/pages.ts';
import type { Erasing } from '../erasing.ts';
import type { RunningHouse } from '../house.ts';
import { openDatabase } from '../distribution.ts';
import { readHashKey, type Runtime } from '../runtime.ts';
import type { Reviewing } from '../reviewing.ts';
import { SqlAdminStore } from '../store/admins.ts';
import { ClassifierTally } from '../telemetry/classifier-tally.ts';
import type { HealthHistory } from '../telemetry/health-history.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { VERSION } from './version.ts';
import { originsOf, locate, nameOfLog } from './logs.ts';

interface AdminParts {
  readonly audit: AuditLog;
  readonly erasing: Erasing;
  readonly reviews?: Reviewing['desk'] | undefined;
  readonly risk?: RiskDesk | undefined;
  readonly learn?: LearnDesk | undefined;
  readonly weekly?: WeeklyDesk | undefined;
  readonly collector?: Collector | undefined;
  readonly decisions?: DecisionIndex | undefined;
  readonly health: HealthHistory;
  readonly replicas: () => number | undefined;
}

export async function listenAdmin(house: RunningHouse, { audit, erasing, reviews, risk, learn, weekly, collector, decisions, health, replicas }: AdminParts, token: AdminToken, metrics: Metrics, keys: KeyDesk | undefined, opened: AsyncDisposableStack): Promise<string> {
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
    health: healthDesk(health, replicas),
    classifiers: { since: tally.since, running: () => runningClassifiers(house.runtime), figures: (id) => tally.of(id), card: readCard },
    ...(decisions === undefined ? {} : { decisions: { ...decisions.queries, ownLog: () => nameOfLog(audit.checkpoint()) } }),
    ...(reviews === undefined ? {} : { reviews }),
    ...(risk === undefined ? {} : { risk }),
    ...(learn === undefined ? {} : { learn }),
    ...(weekly === undefined ? {} : { weekly }),
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

export function listenerUrl(host: string, port: number, scheme = 'http'): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${scheme}://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

function healthDesk(health: HealthHistory, replicas: () => number | undefined): HealthDesk {
  return { since: health.since, parts: () => health.parts(), turns: () => health.turns(), lags: () => health.lags(), unheard: () => health.unheard(), replicas };
}
