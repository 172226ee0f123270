/**
 * Weekly reports that are due: made and delivered once for each tenant and week, by whichever process of the fleet is first,
 * whatever restarts in between; what was missed is made up for. Guarantees: a report goes to a place once it is known to be
 * there no more (a crash in between may send it again, under the same id); what fails is tried again later and later, then
 * given up and told; a receiver that does not answer is left alone for a while, for all tenants. Tenants come one after the
 * other. Where it goes is its caller's.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { WeeklyForm, WeeklyOutcome } from '../../contract/weekly.ts';
import type { SqlWeeklyRuns, WeeklyRun } from '../../store/weekly-reports.ts';
import type { WeeklyQueries } from './queries.ts';
import { endingsOf, type WeeklyReports, type WrittenWeekly } from './weekly.ts';
import { dueWeeks, type DueTime, type ReportRange } from './weeks.ts';

export interface WeeklySettings {
  readonly due: DueTime;
  readonly tenants: readonly string[];
  readonly forms: readonly WeeklyForm[];
  /** A folder; undefined: reports are not written. */
  readonly directory: string | undefined;
  /** They are sent. */
  readonly isSent: boolean;
}

export interface ScheduleOptions {
  readonly runs: SqlWeeklyRuns;
  readonly reports: Pick<WeeklyReports, 'make' | 'queries'>;
  /** Undefined: none is configured. */
  readonly settings: () => WeeklySettings | undefined;
  /** Tells this process from others. */
  readonly owner: string;
  /** Into the folder; rejects with the system's error. */
  readonly write: (directory: string, run: Pick<WeeklyRun, 'tenant_id' | 'week'>, files: readonly (readonly [ending: string, text: string | Buffer])[]) => Promise<void>;
  /** Undefined when it was taken; else why not. */
  readonly send: (notice: WeeklyNotice) => Promise<string | undefined>;
  /** What came of one. */
  readonly tell: (run: Pick<WeeklyRun, 'tenant_id' | 'week'>, outcome: WeeklyOutcome, detail: string) => void;
  readonly now: () => Date;
  readonly leaseMs?: number;
  /** Before each further attempt. */
  readonly delaysMs?: readonly number[];
}

/** What a webhook gets. Of what is sent twice `notice_id` is the same. */
export interface WeeklyNotice {
  readonly event: 'weekly_report';
  readonly notice_id: string;
  readonly tenant_id: string;
  readonly week: string;
  readonly findings_sha256: string;
  readonly created_at: string;
  readonly report: WrittenWeekly['document'];
}

const LEASE_MS = 60_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Three days in all. */
const DELAYS_MS: readonly number[] = [MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS, 8 * HOUR_MS, 12 * HOUR_MS, 12 * HOUR_MS, 12 * HOUR_MS, 20 * HOUR_MS];
/** A receiver that failed is left alone so long. */
const REST_MS = 30_000;
/** Weeks that are made up for. */
export const WEEKS_MAX = 8;
const DETAIL_CHARS_MAX = 1_000;

export class WeeklySchedule {
  readonly #options: Required<ScheduleOptions>;
  readonly #stop = new AbortController();
  /** Weeks of which all was found to have ended, for the tenants that there were. */
  readonly #settled = new Map<string, string>();
  #running: Promise<void> | undefined;
  #restUntilMs = 0;

  constructor(options: ScheduleOptions) {
    this.#options = { leaseMs: LEASE_MS, delaysMs: DELAYS_MS, ...options };
  }

  /** Makes and delivers what is due, as far as nobody else does. Rejects where the store does not answer; the next look goes on. */
  look(): Promise<void> {
    return (this.#running ??= this.#look().finally(() => { this.#running = undefined; }));
  }

  /** What is under way is finished; the rest is for another process, or the next start. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => undefined);
  }

  async #look(): Promise<void> {
    const { settings, runs, now, reports } = this.#options;
    const wanted = settings();
    if (wanted === undefined || this.#stop.signal.aborted) return;
    const queries = reports.queries();
    for (const week of dueWeeks(wanted.due, now().getTime(), await runs.goingOnFrom(), WEEKS_MAX)) if (!(await this.#week(week, wanted, queries))) return;
  }

  /** False: no other week is begun now. */
  async #week(range: ReportRange & { readonly week: string }, wanted: WeeklySettings, queries: WeeklyQueries): Promise<boolean> {
    const { runs, now, owner, leaseMs } = this.#options;
    const names = wanted.tenants.join('\n');
    if (this.#settled.get(range.week) === names) return true;
    const known = new Map((await runs.ofWeek(range.week)).map((run) => [run.tenant_id, run]));
    let left = 0;
    for (const tenantId of wanted.tenants) {
      const run = known.get(tenantId);
      if (run?.state === 'done' || run?.state === 'failed') continue;
      left++;
      const nowMs = now().getTime();
      const at = new Date(nowMs).toISOString();
      if (run !== undefined && run.next_at > at) continue;
      const isResting = nowMs < this.#restUntilMs;
      // What has no row yet would be forgotten, were a later week begun.
      if (this.#stop.signal.aborted || (isResting && wanted.directory === undefined)) return false;
      if (isResting && run?.written_at != null) continue;
      const claimed = await runs.claim({ tenantId, week: range.week, owner, now: at, until: new Date(nowMs + leaseMs).toISOString() });
      if (claimed !== undefined) await this.#deliver(claimed, range, wanted, queries);
      await breathe();
    }
    if (left === 0) this.#settled.set(range.week, names);
    return true;
  }

  async #deliver(run: WeeklyRun, range: ReportRange, wanted: WeeklySettings, queries: WeeklyQueries): Promise<void> {
    const { runs, now, leaseMs } = this.#options;
    const renewing = setInterval(() => void runs.note(run, { next_at: new Date(now().getTime() + leaseMs).toISOString() }).catch(() => undefined), leaseMs / 3);
    try {
      const fault = await this.#attempt(run, range, wanted, queries).catch((error: unknown) => reasonOf(error));
      clearInterval(renewing);
      await this.#end(run, fault);
    } finally {
      clearInterval(renewing);
    }
  }

  /** Undefined: it is where it goes to. Else why not. */
  async #attempt(run: WeeklyRun, range: ReportRange, { directory, forms, isSent }: WeeklySettings, queries: WeeklyQueries): Promise<string | undefined> {
    const { reports, runs, write, send, now } = this.#options;
    const made = await reports.make(run.tenant_id, range, 'all', queries);
    if (made === undefined) return 'nothing is known of the tenant';
    const { document, files } = made;
    const sha = run.findings_sha256 === '' ? { findings_sha256: document.findings_sha256 } : {};
    if (directory !== undefined && run.written_at === null) {
      await write(directory, run, endingsOf(forms, files).map((ending) => [ending, files[ending]!] as const));
      await runs.note(run, { written_at: now().toISOString(), ...sha });
    }
    if (!isSent || run.sent_at !== null) return undefined;
    if (now().getTime() < this.#restUntilMs) return 'the webhook did not take another; it is written, and waits to be sent';
    const fault = await send({ event: 'weekly_report', notice_id: `${run.tenant_id}.${run.week}`, tenant_id: run.tenant_id, week: run.week, findings_sha256: document.findings_sha256, created_at: document.made_at, report: document });
    if (fault !== undefined) {
      this.#restUntilMs = now().getTime() + REST_MS;
      return `the webhook: ${fault}`;
    }
    await runs.note(run, { sent_at: now().toISOString(), ...sha });
    return undefined;
  }

  async #end(run: WeeklyRun, fault: string | undefined): Promise<void> {
    const { runs, now, delaysMs, tell } = this.#options;
    const at = now();
    const detail = (fault ?? '').slice(0, DETAIL_CHARS_MAX);
    if (fault === undefined) {
      if (await runs.note(run, { state: 'done', ended_at: at.toISOString(), detail })) tell(run, 'delivered', `attempt ${run.attempts}`);
      return;
    }
    const delayMs = delaysMs[run.attempts - 1];
    if (delayMs === undefined) {
      if (await runs.note(run, { state: 'failed', ended_at: at.toISOString(), detail })) tell(run, 'given_up', detail);
      return;
    }
    if (await runs.note(run, { state: 'waiting', next_at: new Date(at.getTime() + delayMs).toISOString(), detail })) tell(run, 'put_off', detail);
  }
}

/** Names and codes alone: a message of the system may hold a path, which is the operator's to see. */
function reasonOf(error: unknown): string {
  const { name, message, code, syscall, path } = error as { readonly name?: string; readonly message?: string; readonly code?: string; readonly syscall?: string; readonly path?: string };
  if (name === 'WeirError') return String(message);
  return code === undefined ? String(name) : `${syscall ?? 'a call'} failed with ${code}${path === undefined ? '' : ` at ${path}`}`;
}
