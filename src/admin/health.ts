/**
 * How this process is, over the API: which parts work less well than configured, since when, what that means and what to
 * do, how far logs are behind, and what turned in the last hours. Liveness is another route, and open: this one is for who
 * runs it. Of other processes it tells only how many share the limits: each tells of itself.
 */
import { kindOfPart, type Part, type PartKind } from '../contract/health.ts';
import type { DeskAnswer, Route } from './desk.ts';
import { ref } from './schemas.ts';

interface ToldPart {
  readonly part: Part;
  readonly healthy: boolean;
  readonly detail: string;
  readonly atMs: number;
}

export interface HealthDesk {
  readonly since: Date;
  /** What is ill first. */
  parts(): readonly ToldPart[];
  /** The newest first. */
  turns(): readonly ToldPart[];
  lags(): readonly { readonly part: Part; readonly entries: number; readonly sinceMs: number | undefined }[];
  unheard(): readonly Part[];
  /** Processes that share the limits, this one among them; undefined: it shares none. */
  replicas(): number | undefined;
}

export interface HealthReport {
  readonly since: string;
  readonly healthy: boolean;
  readonly parts: readonly { readonly part: Part; readonly healthy: boolean; readonly since: string; readonly detail: string; readonly meaning: string; readonly next: string }[];
  readonly history: readonly { readonly at: string; readonly part: Part; readonly healthy: boolean; readonly detail: string }[];
  readonly lags: readonly { readonly part: Part; readonly entries: number; readonly since: string | null; readonly meaning: string }[];
  readonly unheard: readonly { readonly part: Part; readonly meaning: string }[];
  readonly replicas: number | null;
}

export const HEALTH_ROUTES: readonly Route<HealthDesk>[] = [
  { method: 'GET', path: '/api/v1/health/parts', name: 'readHealth', access: ['admin', 'policy', 'reviewer', 'auditor'], meaning: 'parts of this process that work less well than configured, since when, what that means and what to do, how far audit logs are behind, and what turned in the last 24 hours', answers: { 200: { meaning: 'what is ill first; the newest turn first', schema: ref('HealthReport') } }, run: read },
];

async function read(desk: HealthDesk): Promise<DeskAnswer> {
  const told = desk.parts();
  const report: HealthReport = {
    since: desk.since.toISOString(), healthy: told.every(({ healthy }) => healthy),
    parts: told.map(({ part, healthy, detail, atMs }) => ({ part, healthy, since: iso(atMs), detail, ...adviceOn(part) })),
    history: desk.turns().map(({ part, healthy, detail, atMs }) => ({ at: iso(atMs), part, healthy, detail })),
    lags: desk.lags().map(({ part, entries, sinceMs }) => ({ part, entries, since: sinceMs === undefined ? null : iso(sinceMs), meaning: LAGS[kindOfPart(part)] ?? '' })),
    unheard: desk.unheard().map((part) => ({ part, meaning: adviceOn(part).meaning })),
    replicas: desk.replicas() ?? null,
  };
  return { status: 200, body: report };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** What entries that are behind mean. */
const LAGS: Readonly<Partial<Record<PartKind, string>>> = {
  audit_ship: 'of the own log that the Weir of audit.ship does not have yet; until then they exist on this disk only',
  decisions: 'of the own log that the store did not have yet when it last took some, or was to; the console and reports do not show them yet',
  'audit:': 'that the sender had when it was last heard of and that are not here; searches, the review queue and campaigns here know nothing of them',
};

export interface Advice {
  /** What those feel who send traffic, or who work here. */
  readonly meaning: string;
  readonly next: string;
}

/** What it means that a part is ill, and what to do. A part that is told and does not stand here does not type-check. */
export const ADVICE: Readonly<Record<PartKind, Advice>> = {
  redis: { meaning: 'Limits count for each process by itself, and nothing is shared: policies, barred sessions, what was remembered. Traffic goes on.', next: 'Repair Redis; it is found again within seconds.' },
  'classifier.': { meaning: 'It failed so often that nobody asks it. Its scores are unknown, and the fail mode of each rule decides: some traffic is blocked, or goes on unjudged and flagged.', next: 'Look at its page under Classifiers, and at the log of its service; it is asked again once it answers.' },
  screening: { meaning: 'The event loop is late, so classifiers of the slow tier are not asked; fail modes decide, and answers take longer.', next: 'Add processes or CPU.' },
  audit: { meaning: 'The audit log takes no entries: strict durability refuses requests, relaxed durability loses their records, and counts them.', next: 'Free or repair the disk of audit.dir; run weir audit verify; start Weir again where the detail says so.' },
  audit_ship: { meaning: 'Entries of the audit log exist on this disk only. Traffic goes on.', next: 'Look at the Weir of audit.ship; for a fork keep both folders as they are, and run weir audit verify on each.' },
  'audit:': { meaning: 'Entries of a log that is shipped here are refused, so what its process did is not known here.', next: 'Look at /audit; for a fork keep both folders as they are, and run weir audit verify on each.' },
  configuration: { meaning: 'What was written last was refused, and the former configuration runs: new tenants and rules do not count.', next: 'Run weir check with the file.' },
  'policy ': { meaning: 'A change or a rollback of it may not count here. Tenants with policy_stale_max_s are refused after that time.', next: 'Repair Redis or the store.' },
  policies: { meaning: 'Policies cannot be read anew or changed; the last known ones count. Tenants with policy_stale_max_s are refused after that time.', next: 'Repair Redis and the store: Postgres, or the disk of SQLite.' },
  'tenant keys': { meaning: 'Keys that were created or revoked elsewhere do not count here yet; the last known ones do.', next: 'Repair the store; without one, Redis.' },
  usage: { meaning: 'What tenants use is counted in memory and shown too low; it is lost if this process ends first. Limits hold all the same.', next: 'Repair Postgres, or free the disk of SQLite.' },
  decisions: { meaning: 'The console and reports do not show the newest decisions. They stand in the audit log, and nothing is lost; weir_decisions_index_lag_entries tells how many are to come. Traffic does not feel it.', next: 'Repair ClickHouse where analytics names one, else Postgres, or the disk of SQLite; indexing goes on by itself.' },
  'review queue': { meaning: 'Items do not reach the people who review; they wait in memory and in the audit log.', next: 'Repair Postgres, or free the disk of SQLite.' },
  'review content': { meaning: 'People who review in other processes see items without their texts.', next: 'Repair the store, and look whether all processes have the same audit.master_key.' },
  'review deadlines': { meaning: 'People did not decide items of the review queue in time; who waits for them waits longer.', next: 'Open Review, the most urgent first.' },
  'review webhooks': { meaning: 'Tenants are not told of verdicts; notices are tried again for three days.', next: 'Look at the receivers that tenants name.' },
  pager: { meaning: 'Nobody is told of critical items of the review queue.', next: 'Repair the pager service or its key; until then look at Review.' },
  webhook: { meaning: 'Who is to be told of late violations is not; notices are tried again for a while, then given up and counted.', next: 'Look at the receiver.' },
  content: { meaning: 'Texts that are to be kept are not; decisions are recorded all the same, and people see items without texts.', next: 'Look at the disk of data_dir, and at audit.master_key.' },
  'content retention': { meaning: 'Texts are kept for longer than their tenants want.', next: 'Look at the disk of data_dir; it is tried again in an hour.' },
  retention: { meaning: 'What passed its retention is still there. Traffic does not feel it.', next: 'Look at the part that the detail names; it is tried again by itself.' },
  erasures: { meaning: 'Erasures that were asked for elsewhere are not carried out here yet, so texts are here for longer than promised.', next: 'Repair the store or the Weir of audit.ship; they are carried out by themselves then.' },
  'export of metrics': { meaning: 'The collector takes no metrics. Traffic does not wait for it; what it does not take is lost and counted, and /metrics goes on.', next: 'Look at the collector, and at telemetry.metrics.otlp_endpoint.' },
  'export of traces': { meaning: 'The collector takes no spans. Traffic does not wait for it; what it does not take is lost and counted.', next: 'Look at the collector, and at telemetry.traces.endpoint.' },
  campaigns: { meaning: 'What was drawn for residual risk does not become tasks, so estimates do not move. It waits in the audit log.', next: 'Repair Postgres, or free the disk of SQLite.' },
  'campaign texts': { meaning: 'People who label get no texts of some logs, so estimates do not move.', next: 'Give this process the keys that the detail names.' },
  'copies of policies': { meaning: 'After a restart without Redis and store this process would know older policies. Traffic does not feel it now.', next: 'Free or repair the disk of data_dir.' },
  'copies of tenant-keys': { meaning: 'After a restart without Redis and store this process would know older keys. Traffic does not feel it now.', next: 'Free or repair the disk of data_dir.' },
  models: { meaning: 'A model that was let work, or brought back, does not work here; the former one does, so processes may decide differently.', next: 'Read the detail: repair the store, or run weir learn rollback for a model that cannot work.' },
  'shadow models': { meaning: 'A model on trial hears nothing, so there is less to compare. Traffic does not feel it.', next: 'Read the detail; it is tried again by itself.' },
  'weekly reports': { meaning: 'A tenant’s weekly report did not go where it should. Nothing is lost: it can be made at any time.', next: 'Read the detail: mend the folder or the webhook of reports.weekly. It is tried again for three days; weir report weekly makes it by hand.' },
  'weekly training': { meaning: 'No new model was trained this week. Those that work go on as they are.', next: 'Read the detail, and run weir learn collect and weir learn train by hand.' },
};

export function adviceOn(part: Part): Advice {
  return ADVICE[kindOfPart(part)];
}
