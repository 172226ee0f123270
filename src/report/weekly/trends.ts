/**
 * How often each category was found, against four times as long before, and what of a difference may be chance. A rise is
 * told only where it is beyond chance and beyond how unrestful these weeks were; a fall where it is beyond chance and below
 * each of them. Both for all categories together, so that of reports where nothing changed about one in twenty tells any.
 * Counts are of exchanges; a few callers with many alike make chance look smaller than it is. Pure.
 */
import { BASELINE_PERIODS_MIN, changeBetween, spikesOf, type Period } from '../../risk/trend.ts';
import { wilson } from '../../risk/intervals.ts';
import { rounded, shareOf, type Share } from './figures.ts';

/** `varies`: more than chance alone, but no more than these weeks vary among themselves, or are known to. */
export const TREND_FINDINGS = ['rose', 'fell', 'varies', 'no_change', 'too_little'] as const;
export type TrendFinding = (typeof TREND_FINDINGS)[number];

export interface CategoryTrend {
  readonly category: string;
  /** Exchanges in which it was found. */
  readonly exchanges: number;
  /** In the same hours of the week before; null: not all of them are known. */
  readonly before: number | null;
  readonly share: Share | null;
  /** The weeks before, oldest first; of one without all of its hours, or without traffic, there is nothing. */
  readonly weeks: readonly { readonly from: string; readonly exchanges: number; readonly found: number }[];
  /** This share over theirs together, with its 95 % interval; null: there is nothing to hold it against. An upper end of null has none. */
  readonly ratio: { readonly value: number | null; readonly low: number; readonly high: number | null } | null;
  /** Chance of such a difference where there is none, times the categories that were looked at; null: there is nothing to hold it against. */
  readonly p: number | null;
  /** How much more the weeks before varied than chance would: 1 or above. */
  readonly unrest: number;
  readonly finding: TrendFinding;
}

/** Of one time. */
export interface FoundIn {
  readonly from: string;
  readonly exchanges: number;
  readonly found: ReadonlyMap<string, number>;
}

const ALPHA = 0.05;
/** With fewer in all of the time nothing is said. */
export const EVENTS_MIN = 5;

/** `before`: those of which everything is known, the nearest first. `last`: the one just before, where everything is known of it. */
export function trendsOf(now: FoundIn, before: readonly FoundIn[], last: FoundIn | undefined): readonly CategoryTrend[] {
  const weeks = before.filter(({ exchanges }) => exchanges > 0).reverse();
  const categories = [...new Set([now, ...weeks, ...(last === undefined ? [] : [last])].flatMap(({ found }) => [...found.keys()]))].sort();
  const periodOf = (category: string) => ({ from, exchanges, found }: FoundIn): Period => ({ start: from, events: found.get(category) ?? 0, n: exchanges });
  const spikes = spikesOf(categories.map((category) => ({ name: category, periods: [...weeks, now].map(periodOf(category)) })), { alpha: ALPHA });
  return categories.map((category, at): CategoryTrend => {
    const [mine, theirs] = [periodOf(category)(now), weeks.map(periodOf(category))];
    const pooled = theirs.reduce((sum, { events, n }) => ({ ...sum, events: sum.events + events, n: sum.n + n }), { start: '', events: 0, n: 0 });
    const change = changeBetween(pooled, mine);
    const p = change === undefined ? null : Math.min(1, change.p * categories.length);
    const isEnough = theirs.length >= BASELINE_PERIODS_MIN && mine.n > 0 && mine.events + pooled.events >= EVENTS_MIN;
    const isBelowAll = theirs.every(({ events, n }) => mine.events / mine.n < events / n);
    const finding = !isEnough || p === null ? 'too_little' : p > ALPHA ? 'no_change' : spikes[at]!.isSpike ? 'rose' : isBelowAll ? 'fell' : 'varies';
    return {
      category, exchanges: mine.events, before: last === undefined ? null : (last.found.get(category) ?? 0), share: shareOf(mine.events, mine.n, wilson),
      weeks: weeks.map(({ from, exchanges, found }) => ({ from, exchanges, found: found.get(category) ?? 0 })),
      ratio: change === undefined || pooled.events + mine.events === 0 ? null : { value: change.ratio === undefined ? null : rounded(change.ratio), low: rounded(change.ratioInterval.low), high: Number.isFinite(change.ratioInterval.high) ? rounded(change.ratioInterval.high) : null },
      p: p === null ? null : rounded(p), unrest: rounded(spikes[at]!.unrest), finding,
    };
  }).sort((a, b) => b.exchanges - a.exchanges || (a.category < b.category ? -1 : 1));
}
