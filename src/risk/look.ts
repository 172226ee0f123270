/**
 * What of a campaign takes longer to count than a look may last: its course over time, and what was known of the texts that
 * people judged. Both are counted beside the looks (`counted`) and told with their time. What was known stands in the closing
 * entries of the audit log; each is looked up once, of the newest violations and as many safe texts.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { ExchangeRecord } from '../contract/exchange.ts';
import type { AnnotationTask } from '../contract/risk.ts';
import type { DayCell, SqlAnnotationCourse } from '../store/annotation-course.ts';
import type { TaskCell } from '../store/annotation-tasks.ts';
import { Counted, type Known } from './counted.ts';
import { courseOf, type Course, type CourseOptions } from './course.ts';
import { nearMissesOf, type JudgedFacts, type NearMisses } from './nearest.ts';

export interface CampaignLookOptions {
  readonly course: SqlAnnotationCourse;
  /** The closing entry of an exchange; undefined where it cannot be found. */
  exchangeOf(requestId: string): Promise<ExchangeRecord | undefined>;
  now(): Date;
}

/** Of each label. */
export const MISSES_LOOKED_AT = 300;
/** Entries in a row that are not found: the others are not looked for. */
const NOT_FOUND_MAX = 10;
/** Courses that are kept of one count: kinds of steps, confidence and tenants. */
const COURSES_MAX = 16;
const CAMPAIGNS_MAX = 100;

interface Judged {
  readonly facts: readonly JudgedFacts[];
  readonly notFound: number;
}

interface Campaign {
  readonly days: Counted<{ readonly cells: readonly DayCell[]; readonly courses: Map<string, Course> }>;
  readonly judged: Counted<Judged>;
}

export class CampaignLook {
  readonly #options: CampaignLookOptions;
  readonly #campaigns = new Map<string, Campaign>();

  constructor(options: CampaignLookOptions) {
    this.#options = options;
  }

  /** `cells`: as they are now, of all tenants; they tell whether something changed. `tenants`: undefined for all. */
  async course(campaign: string, cells: readonly TaskCell[], tenants: readonly string[] | undefined, options: CourseOptions): Promise<Known<Course>> {
    const { value, as_of } = await this.#of(campaign).days.known(stampOf(cells));
    if (value === undefined) return { value, as_of };
    const key = JSON.stringify([options.by ?? null, options.confidence ?? null, tenants ?? null]);
    const known = value.courses.get(key) ?? courseOf(tenants === undefined ? value.cells : value.cells.filter(({ tenant_id: id }) => tenants.includes(id)), options);
    if (value.courses.size >= COURSES_MAX) value.courses.clear();
    value.courses.set(key, known);
    return { value: known, as_of };
  }

  async nearMisses(campaign: string, cells: readonly TaskCell[], tenants: readonly string[] | undefined): Promise<Known<NearMisses & { readonly not_found: number }>> {
    const { value, as_of } = await this.#of(campaign).judged.known(stampOf(cells));
    if (value === undefined) return { value, as_of };
    const seen = tenants === undefined ? value.facts : value.facts.filter(({ tenant_id: id }) => tenants.includes(id));
    return { value: { ...nearMissesOf(seen), not_found: tenants === undefined ? value.notFound : 0 }, as_of };
  }

  #of(campaign: string): Campaign {
    const known = this.#campaigns.get(campaign);
    if (known !== undefined) return known;
    if (this.#campaigns.size >= CAMPAIGNS_MAX) this.#campaigns.clear();
    const { now } = this.#options;
    let facts: ReadonlyMap<string, JudgedFacts> = new Map();
    const made: Campaign = {
      days: new Counted({ now, count: async () => ({ cells: await this.#days(campaign), courses: new Map() }) }),
      judged: new Counted({ now, count: async () => {
        const found = await this.#judged(campaign, facts);
        facts = found.facts;
        return { facts: [...facts.values()], notFound: found.notFound };
      } }),
    };
    this.#campaigns.set(campaign, made);
    return made;
  }

  /** Alike cells of several pieces become one. */
  async #days(campaign: string): Promise<readonly DayCell[]> {
    const cells = new Map<string, DayCell>();
    for await (const piece of this.#options.course.days(campaign)) {
      for (const cell of piece) {
        const key = JSON.stringify({ ...cell, total: 0 });
        cells.set(key, { ...cell, total: cell.total + (cells.get(key)?.total ?? 0) });
      }
      await breathe();
    }
    return [...cells.values()];
  }

  async #judged(campaign: string, known: ReadonlyMap<string, JudgedFacts>): Promise<{ readonly facts: ReadonlyMap<string, JudgedFacts>; readonly notFound: number }> {
    const { course, exchangeOf } = this.#options;
    const facts = new Map<string, JudgedFacts>();
    let notFound = 0;
    for (const label of ['violation', 'safe'] as const) {
      let missed = 0;
      for (const task of await course.judged(campaign, label, MISSES_LOOKED_AT)) {
        const record = known.has(task.task_id) || missed >= NOT_FOUND_MAX ? undefined : await exchangeOf(task.request_id).catch(() => undefined);
        const found = known.get(task.task_id) ?? (record && factsOf(task, label, record));
        missed = found === undefined ? missed + 1 : 0;
        if (found === undefined) notFound++;
        else facts.set(task.task_id, { ...found, label, category: task.violation_category });
        await breathe();
      }
    }
    return { facts, notFound };
  }
}

function stampOf(cells: readonly TaskCell[]): string {
  const totals: Record<string, number> = {};
  for (const { outcome, category, total } of cells) totals[`${outcome} ${category}`] = (totals[`${outcome} ${category}`] ?? 0) + total;
  return JSON.stringify(totals);
}

function factsOf({ tenant_id, stratum, started_at, direction, violation_category: category }: AnnotationTask, label: JudgedFacts['label'], record: ExchangeRecord): JudgedFacts | undefined {
  const decision = record[direction];
  return decision && { label, category, tenant_id, stratum, started_at, model: record.model ?? null, policy: record.policy ?? null, results: decision.facts?.results ?? decision.classifier_results };
}
