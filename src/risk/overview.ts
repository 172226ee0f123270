/**
 * Where campaigns stand, read from the store: of all tenants or of some. Many who look at once cost one look. What is read
 * grows with the kinds of tasks and not with their number, but for agreement and known answers, which are bounded.
 */
import { hash } from 'node:crypto';
import type { CampaignConfig } from '../config/risk.ts';
import type { Answer, SqlAnnotationChecks } from '../store/annotation-checks.ts';
import type { SqlAnnotationCourse } from '../store/annotation-course.ts';
import type { TaskCell } from '../store/annotation-tasks.ts';
import type { SqlAnnotationStore } from '../store/annotations.ts';
import { statusOf, summaryOf, type CampaignStatus, type CampaignSummary, type Estimate } from './status.ts';

export type CampaignOverview = CampaignStatus & { readonly as_of: string; readonly agreement: AgreementTold | null; readonly drawn_between: DrawnBetween | null; readonly pace: LabellingPace | null };
export type SummaryTold = CampaignSummary & { readonly drawn_between: DrawnBetween | null };

/** When the first and the last of its texts were drawn. */
export interface DrawnBetween {
  readonly from: string;
  readonly until: string;
}

/** Labels of late, of all tenants. */
export interface LabellingPace {
  readonly since: string;
  readonly labels: number;
  readonly labels_a_day: number;
}

export interface AgreementTold {
  readonly items: number;
  readonly raters: number;
  readonly raw: number;
  readonly alpha: number | null;
}

export interface OverviewOptions {
  readonly store: SqlAnnotationStore;
  readonly checks: SqlAnnotationChecks;
  readonly course: SqlAnnotationCourse;
  /** Of pairs of labels of the same tasks. */
  agreement(ratings: readonly { readonly item: string; readonly rater: string; readonly label: string }[]): AgreementTold | undefined;
  now(): Date;
}

/** Answers to items with known answers that the correction rests on, the newest. */
const ANSWERS_MAX = 20_000;
/** What the pace is told from: so many of the newest, of so many days. */
const [PACE_TASKS_MAX, PACE_DAYS] = [2_000, 7];
const DAY_MS = 86_400_000;
/** Campaigns, by who sees which tenants of them, that are kept reckoned. */
const RECKONED_MAX = 200;

export class Overview {
  readonly #options: OverviewOptions;
  /** What is being read: who asks for the same meanwhile has the same answer. */
  readonly #asked = new Map<string, Promise<CampaignOverview | undefined>>();
  /** What was reckoned last, and from what: while nothing is labelled it stays. */
  readonly #reckoned = new Map<string, { readonly from: string; readonly status: CampaignStatus }>();

  constructor(options: OverviewOptions) {
    this.#options = options;
  }

  /** Of each campaign that has any. `tenants`: undefined for all. */
  async cells(tenants: readonly string[] | undefined, campaign?: string): Promise<ReadonlyMap<string, readonly TaskCell[]>> {
    const cells = await this.#options.store.cells(campaign);
    return Map.groupBy(cells.filter(({ tenant_id: id }) => tenants?.includes(id) ?? true), (cell) => cell.campaign);
  }

  countsOf(cells: readonly TaskCell[]): Pick<Estimate, 'drawn' | 'labelled' | 'waiting' | 'missing' | 'violations'> {
    const of = (...outcomes: readonly TaskCell['outcome'][]): number => cells.reduce((sum, { outcome, total }) => (outcomes.includes(outcome) ? sum + total : sum), 0);
    return { drawn: of('waiting', 'missing', 'safe', 'violation'), labelled: of('safe', 'violation'), waiting: of('waiting'), missing: of('missing'), violations: of('violation') };
  }

  /** Undefined: nothing was drawn. */
  status(id: string, campaign: CampaignConfig | undefined, tenants: readonly string[] | undefined): Promise<CampaignOverview | undefined> {
    const key = JSON.stringify([id, tenants ?? null, campaign?.claim ?? null, campaign?.precision_percent ?? null]);
    const known = this.#asked.get(key);
    if (known !== undefined) return known;
    const status = this.#read(key, id, campaign, tenants).finally(() => this.#asked.delete(key));
    this.#asked.set(key, status);
    return status;
  }

  /** Of a campaign of which nothing is drawn. */
  async empty(id: string, campaign: CampaignConfig | undefined): Promise<CampaignOverview> {
    return { ...statusOf(id, [], [], campaign, steady()), as_of: this.#options.now().toISOString(), agreement: null, drawn_between: null, pace: null };
  }

  /** The rate and the claim alone. */
  async summary(id: string, cells: readonly TaskCell[], campaign: CampaignConfig | undefined): Promise<SummaryTold> {
    return { ...summaryOf(cells, campaign), drawn_between: cells.length === 0 ? null : ((await this.#options.course.drawnBetween(id)) ?? null) };
  }

  async pace(id: string): Promise<LabellingPace> {
    const nowMs = this.#options.now().getTime();
    const settled = await this.#options.course.settled(id, PACE_TASKS_MAX);
    const from = new Date(nowMs - PACE_DAYS * DAY_MS).toISOString();
    const recent = settled.filter(({ at }) => at >= from);
    const oldest = recent.at(-1)?.at ?? from;
    // A day at least: an hour of labelling says little of the day.
    const days = Math.min(PACE_DAYS, Math.max(1, (nowMs - Date.parse(oldest)) / DAY_MS));
    const labels = recent.filter(({ isLabelled }) => isLabelled).length;
    return { since: oldest, labels, labels_a_day: labels / days };
  }

  async #read(key: string, id: string, campaign: CampaignConfig | undefined, tenants: readonly string[] | undefined): Promise<CampaignOverview | undefined> {
    const { checks, store, course, agreement, now } = this.#options;
    const cells = (await this.cells(tenants, id)).get(id);
    if (cells === undefined) return undefined;
    const [answers, ratings, between, pace] = await Promise.all([checks.answers({ limit: ANSWERS_MAX }), tenants === undefined ? store.ratings(id) : [], course.drawnBetween(id), tenants === undefined ? this.pace(id) : null]);
    return { ...this.#statusOf(key, id, cells, answers, campaign), as_of: now().toISOString(), agreement: agreement(ratings) ?? null, drawn_between: between ?? null, pace };
  }

  #statusOf(key: string, id: string, cells: readonly TaskCell[], answers: readonly Answer[], campaign: CampaignConfig | undefined): CampaignStatus {
    const from = hash('sha256', JSON.stringify([cells, answers.map(({ known, given }) => `${known} ${given}`).sort()]));
    const known = this.#reckoned.get(key);
    if (known?.from === from) return known.status;
    const status = statusOf(id, cells, answers, campaign, steady());
    if (this.#reckoned.size >= RECKONED_MAX) this.#reckoned.clear();
    this.#reckoned.set(key, { from, status });
    return status;
  }
}

/** The same chance for every look, so that an interval moves with the labels alone. */
export function steady(): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
