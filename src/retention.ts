/**
 * Removes what passed its retention, slowly, beside the traffic: entries of this process's audit log; in the role
 * control also usage, ended sessions and finished logins of the store. Revisions of policies, keys, tokens and their
 * changes stay: histories name them. Guarantees: nothing goes before its time, by the configuration that runs at that
 * moment; what is removed is counted and told; a part that fails is told, does not keep the others from theirs, and is
 * tried again in the next round.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { AuditLog } from './audit/log.ts';
import { pruneLog } from './audit/prune.ts';
import type { Config } from './config/schema.ts';
import { CHANNELS } from './contract/channels.ts';
import type { AdminStore } from './store/admins.ts';
import { SteadyHealth } from './store/steady-health.ts';
import type { UsageStore } from './store/usage.ts';

export interface RetentionOptions {
  readonly config: () => Config;
  /** What this process writes, and its folder. */
  readonly log: AuditLog;
  readonly dir: string;
  /** Entries of the log that are where they are shipped to; the others stay. Absent: they are shipped nowhere. */
  readonly shipped?: (() => number) | undefined;
  /** Absent where the store is that of another process. */
  readonly usage?: UsageStore | undefined;
  readonly admins?: AdminStore | undefined;
  readonly now?: () => Date;
  /** Time until the first round, and between rounds. */
  readonly firstMs?: number;
  readonly everyMs?: number;
}

const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Rows that one statement removes, and the time for others after it. */
const ROWS_MAX = 500;
const PAUSE_MS = 50;
/** A process that wrote no usage for so long sends no batch again. */
const WRITER_DAYS = 30;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #now: () => Date;
  readonly #health = new SteadyHealth('retention');
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  start(): void {
    this.#running = this.#rounds();
  }

  /** One round. Never rejects. */
  async run(): Promise<void> {
    const failed: string[] = [];
    const parts = { 'the audit log': () => this.#audit(), usage: () => this.#usage(), sessions: () => this.#sessions() };
    for (const [name, part] of Object.entries(parts)) {
      if (this.#stop.signal.aborted) return;
      await part().catch((error: unknown) => failed.push(`${name} (${reasonOf(error)})`));
    }
    if (failed.length === 0) this.#health.well(() => 'what passed its retention is removed again');
    else if (!this.#stop.signal.aborted) this.#health.ill(`what passed its retention could not be removed from ${failed.join(', ')}; it is tried again`);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#health.close();
  }

  async #rounds(): Promise<void> {
    const { firstMs = FIRST_MS, everyMs = EVERY_MS } = this.#options;
    for (let waitMs = firstMs; await this.#waited(waitMs, false); waitMs = everyMs) await this.run();
  }

  /** False: it was closed meanwhile. The time between rounds keeps no process from ending. */
  #waited(ms: number, ref = true): Promise<boolean> {
    return pause(ms, true, { signal: this.#stop.signal, ref }).catch(() => false);
  }

  async #audit(): Promise<void> {
    const { log, dir, config, shipped } = this.#options;
    const { retention, tenants } = config();
    const own = tenants.flatMap(({ id, retention: { audit_days: days } }) => (days === undefined ? [] : [[id, days] as const]));
    if (retention.audit_days === undefined && own.length === 0) return;
    for (;;) {
      const done = await pruneLog(log, dir, { days: retention.audit_days, tenants: Object.fromEntries(own) }, this.#now().getTime(), shipped?.());
      if (done === undefined) return;
      tell('audit', done.entries, `the audit log begins at entry ${done.first}; ${done.segments} segments are gone, ${done.bytes} bytes`);
      if (!(await this.#waited(PAUSE_MS))) return;
    }
  }

  async #usage(): Promise<void> {
    const { usage, config } = this.#options;
    if (usage === undefined || !config().roles.includes('control')) return;
    for (let tenant = await usage.tenantAfter(''); tenant !== undefined; tenant = await usage.tenantAfter(tenant)) {
      const { retention, tenants } = config();
      const days = tenants.find(({ id }) => id === tenant)?.retention.usage_days ?? retention.usage_days;
      if (days === undefined) continue;
      let removed = 0;
      for (let count = ROWS_MAX; count === ROWS_MAX; removed += count) {
        count = await usage.drop(tenant, this.#daysAgo(days), ROWS_MAX);
        if (!(await this.#waited(PAUSE_MS))) return;
      }
      if (removed > 0) tell('usage', removed, `${removed} hours of usage of tenant ${tenant} are gone`);
    }
    await usage.forgetProcesses(this.#daysAgo(WRITER_DAYS));
  }

  async #sessions(): Promise<void> {
    const { admins, config } = this.#options;
    const { roles, admin } = config();
    if (admins === undefined || !roles.includes('control')) return;
    await admins.sweep(this.#now().toISOString(), new Date(this.#now().getTime() - admin.session.idle_ms).toISOString());
  }

  /** ISO 8601 in UTC, as rows have it. */
  #daysAgo(days: number): string {
    return new Date(this.#now().getTime() - days * DAY_MS).toISOString();
  }
}

/** In our own words, or as the system calls it. */
function reasonOf(error: unknown): string {
  const { name, message, code } = error as { readonly name?: string; readonly message?: string; readonly code?: string };
  return name === 'RangeError' || name === 'WeirError' ? String(message) : String(code ?? name);
}

function tell(kind: 'audit' | 'usage', removed: number, detail: string): void {
  CHANNELS.retentionApplied.publish({ kind, removed, detail });
}
