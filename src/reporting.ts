/**
 * Weekly reports of tenants in a running process: those who ask get theirs, and, where it is configured, each tenant's goes out
 * once a week, to a folder and a webhook, with what came of it told in log, health and metric. Exchanges never wait for it:
 * decisions are counted in the thread that has them, and between what a report takes, others have their turn.
 */
import { randomUUID } from 'node:crypto';
import type { WeeklyDesk } from './admin/weekly-reports.ts';
import type { Signer } from './audit/checkpoint.ts';
import { WEEKDAYS } from './config/learn.ts';
import type { Config } from './config/schema.ts';
import { CHANNELS } from './contract/channels.ts';
import { PartHealth } from './contract/part-health.ts';
import { postSigned } from './notify/webhook.ts';
import { writeReport } from './report/weekly/folder.ts';
import { WeeklySchedule, type WeeklyNotice, type WeeklySettings } from './report/weekly/schedule.ts';
import { WeeklyReports, type WeeklyOptions } from './report/weekly/weekly.ts';
import { SqlAnnotationCourse } from './store/annotation-course.ts';
import { SqlAnnotationStore } from './store/annotations.ts';
import { SqlReportFacts } from './store/report-facts.ts';
import type { StoreDatabase } from './store/sql.ts';
import { SqlWeeklyRuns } from './store/weekly-reports.ts';

export interface ReportingOptions {
  readonly database: StoreDatabase;
  readonly decisions: WeeklyOptions['decisions'];
  readonly config: () => Config;
  /** Folders of the own log and of those that are shipped here. */
  logs(): Promise<readonly string[]>;
  signer(): Promise<Signer | undefined>;
  readonly software: string;
  readonly page: WeeklyOptions['page'];
  readonly now?: () => Date;
  readonly lookMs?: number;
}

/** Between two looks for reports that are due. */
const LOOK_MS = 30_000;
/** The first comes soon after the start, which it does not slow. */
const FIRST_MS = 5_000;
const POST_MS = 10_000;

export class Reporting {
  readonly desk: WeeklyDesk;
  readonly #options: ReportingOptions;
  readonly #schedule: WeeklySchedule;
  readonly #health = new PartHealth('weekly reports');
  readonly #stop = new AbortController();
  /** Reports whose last attempt failed. */
  readonly #failing = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ReportingOptions) {
    const { database, config, now = () => new Date() } = options;
    this.#options = options;
    const reports = weeklyReports({ ...options, now });
    const runs = new SqlWeeklyRuns(database);
    this.desk = { reports, runs, counts: (question) => options.decisions.counts(question), tenants: () => config().tenants.map(({ id }) => id), now };
    this.#schedule = new WeeklySchedule({
      runs, reports, owner: randomUUID(), now,
      settings: () => settingsOf(config()),
      write: async (directory, { tenant_id: tenantId, week }, files) => void (await writeReport(directory, { tenantId, name: week }, files)),
      send: (notice) => this.#send(notice),
      tell: ({ tenant_id: tenantId, week }, outcome, detail) => {
        CHANNELS.weeklyReported.publish({ tenant_id: tenantId, week, outcome, detail });
        const key = `${tenantId} ${week}`;
        if (outcome === 'delivered') this.#failing.delete(key);
        else this.#failing.add(key);
        if (this.#failing.size === 0) this.#health.well(() => 'weekly reports go out again');
        else this.#health.ill(`${this.#failing.size} weekly ${this.#failing.size === 1 ? 'report does' : 'reports do'} not go out; the last: ${detail}`, [outcome]);
      },
    });
  }

  start(): void {
    this.#lookIn(this.#options.lookMs ?? FIRST_MS);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stop.abort();
    await this.#schedule.close();
  }

  #lookIn(ms: number): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#schedule.look().catch(() => undefined).finally(() => this.#lookIn(this.#options.lookMs ?? LOOK_MS)), ms).unref(); // the store says itself that it does not answer
  }

  async #send(notice: WeeklyNotice): Promise<string | undefined> {
    const webhook = this.#options.config().reports.weekly?.webhook;
    return webhook && postSigned(webhook, JSON.stringify(notice), { nowMs: Date.now(), timeoutMs: POST_MS, signal: this.#stop.signal });
  }
}

/** Of a running process, or beside one. */
export function weeklyReports({ database, decisions, config, logs, signer, software, page, now = () => new Date() }: Omit<ReportingOptions, 'lookMs'>): WeeklyReports {
  return new WeeklyReports({ decisions, facts: new SqlReportFacts(database), annotations: new SqlAnnotationStore(database), course: new SqlAnnotationCourse(database), config, logs, signer, software, page, now });
}

function settingsOf({ reports: { weekly }, tenants, roles }: Config): WeeklySettings | undefined {
  if (weekly === undefined || !roles.includes('control')) return undefined;
  const known = tenants.map(({ id }) => id);
  return { due: { day: WEEKDAYS.indexOf(weekly.day), hour: weekly.hour }, tenants: (weekly.tenants ?? known).filter((id) => known.includes(id)), forms: weekly.formats, directory: weekly.directory, isSent: weekly.webhook !== undefined };
}
