/**
 * How this process is, over the API: which parts work less well than configured, since when, what that means and what to
 * do, and what turned in the last hours. Liveness is another route, and open: this one is for who runs it.
 */
import type { DeskAnswer, Route } from './desk.ts';
import { ref } from './schemas.ts';

interface ToldPart {
  readonly part: string;
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
}

export interface HealthReport {
  readonly since: string;
  readonly healthy: boolean;
  readonly parts: readonly { readonly part: string; readonly healthy: boolean; readonly since: string; readonly detail: string; readonly meaning: string; readonly next: string }[];
  readonly history: readonly { readonly at: string; readonly part: string; readonly healthy: boolean; readonly detail: string }[];
}

export const HEALTH_ROUTES: readonly Route<HealthDesk>[] = [
  { method: 'GET', path: '/api/v1/health/parts', name: 'readHealth', access: ['admin', 'policy', 'reviewer', 'auditor'], meaning: 'parts of this process that work less well than configured, since when, what that means and what to do, and what turned in the last 24 hours', answers: { 200: { meaning: 'what is ill first; the newest turn first', schema: ref('HealthReport') } }, run: read },
];

async function read(desk: HealthDesk): Promise<DeskAnswer> {
  const told = desk.parts();
  const report: HealthReport = {
    since: desk.since.toISOString(), healthy: told.every(({ healthy }) => healthy),
    parts: told.map(({ part, healthy, detail, atMs }) => ({ part, healthy, since: new Date(atMs).toISOString(), detail, ...adviceOn(part) })),
    history: desk.turns().map(({ part, healthy, detail, atMs }) => ({ at: new Date(atMs).toISOString(), part, healthy, detail })),
  };
  return { status: 200, body: report };
}

interface Advice {
  readonly meaning: string;
  readonly next: string;
}

const STORE: Advice = { meaning: 'The store does not answer: what is to come into it waits, and nothing of it can be changed. Traffic goes on under what was known last.', next: 'Repair Postgres, or free the disk of SQLite.' };
const LATER: Advice = { meaning: 'Traffic does not need it; what it was to do waits or is left out.', next: 'The detail says why; it is tried again by itself.' };

/** By the name of a part, or how it begins. The first that fits counts. */
export const ADVICE: readonly (readonly [part: RegExp, advice: Advice])[] = [
  [/^decisions$/, { meaning: 'Decisions of the last while are not on the overview, among the exchanges and in reports. Nothing is lost: they wait in the audit log. Traffic does not need them.', next: 'Repair ClickHouse where analytics names one, else the store; they come by themselves. weir_decisions_index_lag_entries says how many are to come.' }],
  [/^redis$/, { meaning: 'Limits count for each process by itself, and nothing is shared: policies, barred sessions, what was remembered. Traffic goes on.', next: 'Repair Redis; it is found again within seconds.' }],
  [/^classifier[.]/, { meaning: 'It failed so often that nobody asks it. Its scores are unknown, and the fail mode of each rule decides.', next: 'Look at its page under Classifiers, and at the log of its service; it is asked again once it answers.' }],
  [/^screening$/, { meaning: 'The event loop is late, so classifiers of the slow tier are not asked; fail modes decide.', next: 'Add processes or CPU.' }],
  [/^audit$/, { meaning: 'The audit log takes no entries: strict durability refuses requests, relaxed durability loses their records, and counts them.', next: 'Free or repair the disk of audit.dir; run weir audit verify; start Weir again where the detail says so.' }],
  [/^audit_ship$/, { meaning: 'Entries of the audit log exist on this disk only.', next: 'Look at the Weir of audit.ship; for a fork keep both folders as they are, and run weir audit verify on each.' }],
  [/^audit:/, { meaning: 'Entries of a log that is shipped here are refused.', next: 'Look at /audit; for a fork keep both folders as they are, and run weir audit verify on each.' }],
  [/^configuration$/, { meaning: 'What was written last was refused, and the former configuration runs.', next: 'Run weir check with the file.' }],
  [/^policy /, { meaning: 'A change or a rollback of it may not count here. Tenants with policy_stale_max_s are refused after that time.', next: 'Repair Redis or the store.' }],
  [/^review deadlines$/, { meaning: 'People did not decide items of the review queue in time.', next: 'Open Review, the most urgent first.' }],
  [/^pager$/, { meaning: 'Nobody is told of critical items of the review queue.', next: 'Repair the pager service or its key; until then look at Review.' }],
  [/^(?:policies|tenant keys|usage|review queue|erasures|campaigns|models)$/, STORE],
  [/^(?:webhook|review webhooks)$/, { meaning: 'Somebody who is to be told by a webhook is not; notices are tried again for a while.', next: 'Look at the receiver.' }],
  [/^(?:content|review content|campaign texts|copies of )/, { meaning: 'Texts that are to be kept are not, or not for other processes; decisions are recorded all the same.', next: 'Look at the disk of data_dir, at the store, and at audit.master_key.' }],
];

export function adviceOn(part: string): Advice {
  return ADVICE.find(([fits]) => fits.test(part))?.[1] ?? LATER;
}
