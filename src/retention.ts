/**
 * Removes what passed its retention, slowly, beside the traffic: entries of this process's audit log; in the role
 * control also those of copies of other logs, usage, decisions and their counts, texts of the review queue and those that
 * models learn from, labels of campaigns that ended, ended sessions and finished logins of the store. Revisions of policies, keys, tokens and their changes stay: histories name them. Guarantees: nothing goes
 * before its time, by the configuration that runs at that moment; what is removed is counted and told; a part that fails
 * is told, does not keep the others from theirs, and is tried again in the next round.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Collector } from './audit/collector.ts';
import { campaignDays } from './audit/content-retention.ts';
import { pruneCopies } from './audit/copy-retention.ts';
import type { DecisionQueries } from './audit/decision-index.ts';
import type { AuditLog } from './audit/log.ts';
import { pruneLog } from './audit/prune.ts';
import { publishedKeys } from './audit/recovery.ts';
import type { AuditRetention } from './audit/retention.ts';
import type { Config } from './config/schema.ts';
import { CHANNELS, type RetentionApplied } from './contract/channels.ts';
import { PartHealth } from './contract/part-health.ts';
import type { AdminStore } from './store/admins.ts';
import type { SqlReviewContents } from './store/review-contents.ts';
import type { SqlAnnotationStore } from './store/annotations.ts';
import type { UsageStore } from './store/usage.ts';

export interface RetentionOptions {
  readonly config: () => Config;
  /** What this process writes, and its folder. */
  readonly log: AuditLog;
  readonly dir: string;
  /** Entries of the log that are where they are shipped to; the others stay. Absent: they are shipped nowhere. */
  readonly shipped?: (() => number) | undefined;
  /** Absent where no logs are shipped to this process. */
  readonly collector?: Collector | undefined;
  /** Absent where the store is that of another process. */
  readonly usage?: UsageStore | undefined;
  readonly admins?: AdminStore | undefined;
  /** Texts of items of the review queue, and of tasks of campaigns, that lie in the store. */
  readonly contents?: SqlReviewContents | undefined;
  /** What was drawn for campaigns, with its labels. */
  readonly annotations?: Pick<SqlAnnotationStore, 'campaignAfter' | 'drop'> | undefined;
  /** Texts that models learn from. */
  readonly learning?: SqlReviewContents | undefined;
  readonly decisions?: Pick<DecisionQueries, 'tenantAfter' | 'drop' | 'dropCounts'> | undefined;
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
/** The same of texts, which are longer. */
const TEXTS_MAX = 50;
const PAUSE_MS = 50;
/** A process that wrote no usage for so long sends no batch again. */
const WRITER_DAYS = 30;
/** Counts of minutes serve the last days; hours stay. */
const MINUTE_DAYS = 8;

export class Retention {
  readonly #options: RetentionOptions;
  readonly #now: () => Date;
  readonly #health = new PartHealth('retention');
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
    const parts = { 'the audit log': () => this.#audit(), 'copies of audit logs': () => this.#copies(), usage: () => this.#usage(), decisions: () => this.#decisions(), 'texts of the review queue': () => this.#contents(), 'texts that models learn from': () => this.#learning(), 'labels of campaigns': () => this.#labels(), sessions: () => this.#sessions() };
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
    while (isLimited(retentionOf(config()))) {
      const done = await pruneLog(log, dir, retentionOf(config()), this.#now().getTime(), { before: shipped?.() });
      if (done === undefined) return;
      tell('audit', done.entries, `the audit log begins at entry ${done.first}; ${done.segments} segments are gone, ${done.bytes} bytes`);
      if (!(await this.#waited(PAUSE_MS))) return;
    }
  }

  async #copies(): Promise<void> {
    const { collector, log, dir, config } = this.#options;
    if (collector === undefined || !isLimited(retentionOf(config()))) return;
    await pruneCopies({
      collector, keeper: { vouch: (record) => log.appendProven(record), keys: () => publishedKeys(dir) },
      retention: () => retentionOf(config()), now: () => this.#now().getTime(), pause: () => this.#waited(PAUSE_MS),
      pruned: (name, { entries, first, segments, bytes }) => tell('audit_copies', entries, `the copy of the audit log ${name} begins at entry ${first}; ${segments} segments are gone, ${bytes} bytes`),
    });
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

  async #decisions(): Promise<void> {
    const { decisions, config } = this.#options;
    if (decisions === undefined || !config().roles.includes('control')) return;
    // All tenants together come first, in the place of one without a name.
    for (let tenant: string | undefined = ''; tenant !== undefined; tenant = await decisions.tenantAfter(tenant)) {
      const { retention, tenants } = config();
      const own = tenants.find(({ id }) => id === tenant)?.retention;
      const days = own?.decisions_days ?? own?.audit_days ?? retention.decisions_days ?? retention.audit_days;
      const id = tenant;
      if (days !== undefined && id !== '' && !(await this.#drop('decisions', id, (limit) => decisions.drop(id, this.#daysAgoMs(days), limit)))) return;
      const hours = own?.decision_counts_days ?? retention.decision_counts_days;
      if (!(await this.#drop('counts', id, (limit) => decisions.dropCounts(id, 'minute', this.#daysAgoMs(Math.min(MINUTE_DAYS, hours ?? MINUTE_DAYS)), limit)))) return;
      if (hours !== undefined && !(await this.#drop('counts', id, (limit) => decisions.dropCounts(id, 'hour', this.#daysAgoMs(hours), limit)))) return;
    }
  }

  /** A batch after the other, with time for others between them. False: it was closed meanwhile. */
  async #drop(kind: keyof typeof NAMES, whose: string, drop: (limit: number) => Promise<number>, most = ROWS_MAX): Promise<boolean> {
    let removed = 0;
    for (let count = most; count === most; removed += count) {
      count = await drop(most);
      if (count > 0 && !(await this.#waited(PAUSE_MS))) return false;
    }
    if (removed > 0) tell(kind, removed, `${removed} ${NAMES[kind]} of ${kind === 'labels' ? `campaign ${whose}` : whose === '' ? 'all tenants together' : `tenant ${whose}`} are gone`);
    return true;
  }

  /** As long as they are kept where they came from, as it was when they were copied or, where that is sooner, as it is now. */
  async #contents(): Promise<void> {
    const { contents, config } = this.#options;
    if (contents === undefined || !config().roles.includes('control')) return;
    if (!(await this.#drop('review_content', '', (limit) => contents.dropEnded(dayOf(this.#now().getTime()), limit), TEXTS_MAX))) return;
    for (const { id, data } of config().tenants) {
      if (!(await this.#drop('review_content', id, (limit) => contents.dropBefore(id, dayOf(this.#daysAgoMs(data.keep_days)), limit), TEXTS_MAX))) return;
    }
    for (const [id, days] of campaignDays(config())) {
      if (!(await this.#drop('review_content', id, (limit) => contents.dropBefore(id, dayOf(this.#daysAgoMs(days)), limit, 'campaigns'), TEXTS_MAX))) return;
    }
  }

  /** Also those of who no longer agrees. */
  async #learning(): Promise<void> {
    const { learning, config } = this.#options;
    if (learning === undefined || !config().roles.includes('control')) return;
    if (!(await this.#drop('learning_content', '', (limit) => learning.dropEnded(dayOf(this.#now().getTime()), limit), TEXTS_MAX))) return;
    const agreeing = (): readonly string[] => config().tenants.filter(({ data }) => data.learning).map(({ id }) => id);
    if (!(await this.#drop('learning_content', '', (limit) => learning.dropOthers(agreeing(), limit), TEXTS_MAX))) return;
    for (const tenant of agreeing()) {
      if (!(await this.#drop('learning_content', tenant, (limit) => learning.dropBefore(tenant, dayOf(this.#daysAgoMs(config().learn.keep_days)), limit), TEXTS_MAX))) return;
    }
  }

  /** Of campaigns that ended: of one that is not configured any more, with what was drawn last. */
  async #labels(): Promise<void> {
    const { annotations, config } = this.#options;
    if (annotations === undefined || !config().roles.includes('control')) return;
    for (let found = await annotations.campaignAfter(''); found !== undefined; found = await annotations.campaignAfter(found.campaign)) {
      const { retention: { labels_days: days }, risk } = config();
      if (days === undefined) return;
      const { campaign, newest } = found;
      const known = risk.campaigns.find(({ id }) => id === campaign);
      const ended = known === undefined ? newest : known.until;
      if (ended === undefined || Date.parse(ended) >= this.#daysAgoMs(days)) continue;
      if (!(await this.#drop('labels', campaign, (limit) => annotations.drop(campaign, limit)))) return;
    }
  }

  async #sessions(): Promise<void> {
    const { admins, config } = this.#options;
    const { roles, admin } = config();
    if (admins === undefined || !roles.includes('control')) return;
    await admins.sweep(this.#now().toISOString(), new Date(this.#now().getTime() - admin.session.idle_ms).toISOString());
  }

  #daysAgoMs(days: number): number {
    return this.#now().getTime() - days * DAY_MS;
  }

  /** ISO 8601 in UTC, as rows have it. */
  #daysAgo(days: number): string {
    return new Date(this.#daysAgoMs(days)).toISOString();
  }
}

const NAMES = { decisions: 'decisions', counts: 'counts of decisions', review_content: 'texts of the review queue and of campaigns', learning_content: 'texts that models learn from', labels: 'drawn texts with their labels' } as const;

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function retentionOf({ retention, tenants }: Config): AuditRetention {
  return { days: retention.audit_days, tenants: Object.fromEntries(tenants.flatMap(({ id, retention: { audit_days: days } }) => (days === undefined ? [] : [[id, days] as const]))) };
}

/** Somebody says how long. */
function isLimited({ days, tenants }: AuditRetention): boolean {
  return days !== undefined || Object.keys(tenants).length > 0;
}

/** In our own words, or as the system calls it. */
function reasonOf(error: unknown): string {
  const { name, message, code } = error as { readonly name?: string; readonly message?: string; readonly code?: string };
  return name === 'RangeError' || name === 'WeirError' ? String(message) : String(code ?? name);
}

function tell(kind: RetentionApplied['kind'], removed: number, detail: string): void {
  CHANNELS.retentionApplied.publish({ kind, removed, detail });
}
