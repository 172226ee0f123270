/**
 * The course of a campaign, made of counts by day: the rate of each day or week with its interval, whether the newer half of
 * the time differs from the older, and which of the whole, its tenants and its categories has just risen beyond what chance
 * and its own unrest explain. A period is that in which a text was drawn, not that in which it was labelled: the newest has few
 * labels yet, and what is looked at is the last that has any. Pure.
 */
import type { DayCell } from '../store/annotation-course.ts';
import { estimateRate, evidenceOf, type SampledItem } from './estimate.ts';
import { CONFIDENCE, type Interval } from './intervals.ts';
import { changeBetween, periodOf, spikesOf, type Period, type Spike } from './trend.ts';

export const COURSE_STEPS = ['day', 'week'] as const;
export type CourseStep = (typeof COURSE_STEPS)[number];

export interface CoursePeriod {
  /** Its first day, and the first after it. */
  readonly from: string;
  readonly until: string;
  readonly drawn: number;
  readonly labelled: number;
  readonly violations: number;
  /** Null where nothing is labelled. */
  readonly rate: number | null;
  readonly interval: Interval;
}

/** The older half of the periods that have labels against the newer. */
export interface CourseChange {
  readonly before: CoursePeriod;
  readonly after: CoursePeriod;
  /** After over before; null: there was none before. */
  readonly ratio: number | null;
  /** No upper end where nothing was seen before. */
  readonly ratio_interval: { readonly low: number; readonly high: number | null };
  readonly p: number;
  readonly is_change: boolean;
}

export interface CourseSeries {
  readonly kind: 'all' | 'tenant' | 'category';
  readonly name: string;
  readonly rate: number | null;
  readonly baseline: number | null;
  readonly baseline_periods: number;
  readonly unrest: number;
  /** Of all series together; null where there is too little history. */
  readonly p: number | null;
  readonly is_spike: boolean;
}

export interface Course {
  readonly by: CourseStep;
  /** The newest, at most `PERIODS_MAX`. */
  readonly periods: readonly CoursePeriod[];
  /** Null where there are not two periods with labels. */
  readonly change: CourseChange | null;
  /** First day of the period that is looked at: the last with a label. Null: there is none. */
  readonly looked_at: string | null;
  readonly series: readonly CourseSeries[];
}

export interface CourseOptions {
  /** Absent: days for four weeks, weeks for longer. */
  readonly by?: CourseStep | undefined;
  readonly confidence?: number;
}

export const PERIODS_MAX = 120;
/** Tenants, and categories, with the most violations. */
const SERIES_MAX = 20;
const DAYS_MAX = 28;
const DAY_MS = 86_400_000;
const DAYS: Readonly<Record<CourseStep, number>> = { day: 1, week: 7 };
/** Days since 1970 of a Monday. */
const MONDAY = 4;

type Item = SampledItem & { readonly cell: DayCell };

export function courseOf(cells: readonly DayCell[], { by, confidence = CONFIDENCE }: CourseOptions = {}): Course {
  const numbers = cells.map(({ day }) => Date.parse(day) / DAY_MS);
  const [first, last] = numbers.reduce(([low, high], one) => [Math.min(low, one), Math.max(high, one)], [Infinity, -Infinity]);
  const step = by ?? (last - first < DAYS_MAX ? 'day' : 'week');
  const numberOf = ({ day }: DayCell): number => Math.floor((Date.parse(day) / DAY_MS - MONDAY) / DAYS[step]);
  const byPeriod = Map.groupBy(cells, numberOf);
  const all = [...byPeriod.keys()];
  const [begin, end] = all.length === 0 ? [0, -1] : [Math.min(...all), Math.max(...all)];
  const periods = Array.from({ length: Math.min(PERIODS_MAX, end - begin + 1) }, (_, at) => end - Math.min(PERIODS_MAX, end - begin + 1) + 1 + at);
  const items = periods.map((number) => (byPeriod.get(number) ?? []).map(itemOf));
  const told = periods.map((number, at) => toldPeriod(dayOf(number, step), dayOf(number + 1, step), items[at]!, confidence));
  const lastLabelled = told.findLastIndex(({ labelled }) => labelled > 0);
  return {
    by: step, periods: told, change: changeOf(told, items, confidence), looked_at: told[lastLabelled]?.from ?? null,
    series: lastLabelled < 0 ? [] : seriesOf(items.slice(0, lastLabelled + 1), told, step),
  };
}

function itemOf(cell: DayCell): Item {
  const { stratum, inclusion_probability, outcome, category, total: count } = cell;
  return { stratum, inclusion_probability, count, cell, ...(outcome === 'safe' || outcome === 'violation' ? { label: outcome } : {}), ...(category === '' ? {} : { category }) };
}

function dayOf(period: number, step: CourseStep): string {
  return new Date((period * DAYS[step] + MONDAY) * DAY_MS).toISOString().slice(0, 10);
}

function toldPeriod(from: string, until: string, items: readonly Item[], confidence: number): CoursePeriod {
  const { sampled, labelled, violations, rate, interval } = estimateRate(items, { confidence });
  return { from, until, drawn: sampled, labelled, violations, rate: rate ?? null, interval };
}

function changeOf(told: readonly CoursePeriod[], items: readonly (readonly Item[])[], confidence: number): CourseChange | null {
  const labelled = told.flatMap(({ labelled: n }, at) => (n > 0 ? [at] : []));
  const cut = labelled[Math.ceil(labelled.length / 2)];
  if (cut === undefined) return null;
  const last = labelled.at(-1)!;
  const halves = [items.slice(labelled[0], cut).flat(), items.slice(cut, last + 1).flat()];
  const [before, after] = halves.map((half) => periodOf('', evidenceOf(half)));
  const change = changeBetween(before!, after!, confidence);
  if (change === undefined) return null;
  const { ratio = null, ratioInterval: { low, high }, p, isChange } = change;
  return {
    before: toldPeriod(told[labelled[0]!]!.from, told[cut]!.from, halves[0]!, confidence), after: toldPeriod(told[cut]!.from, told[last]!.until, halves[1]!, confidence),
    ratio, ratio_interval: { low, high: Number.isFinite(high) ? high : null }, p, is_change: isChange,
  };
}

/** Of the whole, and of its parts with the most violations. */
function seriesOf(items: readonly (readonly Item[])[], told: readonly CoursePeriod[], step: CourseStep): readonly CourseSeries[] {
  const violating = items.flat().filter(({ label }) => label === 'violation');
  const named = (kind: 'tenant' | 'category', nameOf: (item: Item) => string | undefined): readonly { readonly kind: typeof kind; readonly name: string }[] =>
    [...Map.groupBy(violating, nameOf)].flatMap(([name, part]) => (name === undefined ? [] : [{ kind, name, total: part.reduce((sum, { count = 1 }) => sum + count, 0) }])).sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1)).slice(0, SERIES_MAX);
  const kinds: readonly Pick<CourseSeries, 'kind' | 'name'>[] = [{ kind: 'all', name: '' }, ...named('tenant', ({ cell }) => cell.tenant_id), ...named('category', ({ category }) => category)];
  const series = kinds.map(({ kind, name }) => ({ name, periods: items.map((part, at): Period => periodOf(told[at]!.from, kind === 'tenant' ? evidenceOf(part.filter(({ cell }) => cell.tenant_id === name)) : evidenceOf(part, kind === 'category' ? { category: name } : {}))) }));
  return spikesOf(series, { season: step === 'day' ? 7 : 1 }).map((spike, at) => toldSeries(kinds[at]!, spike));
}

function toldSeries({ kind, name }: Pick<CourseSeries, 'kind' | 'name'>, { rate, baseline, baselinePeriods, unrest, adjusted, isSpike }: Spike): CourseSeries {
  return { kind, name, rate: rate ?? null, baseline: baseline ?? null, baseline_periods: baselinePeriods, unrest, p: adjusted ?? null, is_spike: isSpike };
}
