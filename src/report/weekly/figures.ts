/** What numbers of a report are made of: with the week before, as shares with intervals, times, and rounded alike wherever it is made. Pure. */
import type { Interval } from '../../risk/intervals.ts';

/** With the same hours of the week before; null: not all of them are known. */
export interface Figure {
  readonly total: number;
  readonly before: number | null;
}

export interface NamedFigure extends Figure {
  readonly name: string;
}

/** With its interval at 95 %. */
export interface Share extends Interval {
  readonly value: number;
  readonly of: number;
}

/** Of times in minutes; null of nothing. */
export interface Times {
  readonly n: number;
  readonly median_minutes: number | null;
  readonly p90_minutes: number | null;
}

const DIGITS = 6;
const MINUTE_MS = 60_000;

export function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** Null of nothing. */
export function shareOf(events: number, n: number, interval: (events: number, n: number) => Interval): Share | null {
  if (n === 0) return null;
  const { low, high } = interval(events, n);
  return { value: rounded(events / n), low: rounded(low), high: rounded(high), of: n };
}

/** The most first. */
export function namedFigures(now: ReadonlyMap<string, number>, before: ReadonlyMap<string, number> | undefined): readonly NamedFigure[] {
  const names = [...new Set([...now.keys(), ...(before?.keys() ?? [])])];
  return names.map((name) => ({ name, total: now.get(name) ?? 0, before: before === undefined ? null : (before.get(name) ?? 0) })).sort((a, b) => b.total - a.total || (b.before ?? 0) - (a.before ?? 0) || (a.name < b.name ? -1 : 1));
}

/** The least with half, and with nine in ten, of them at or below it. */
export function timesOf(spans: readonly { readonly since: string; readonly resolved_at: string }[]): Times {
  const minutes = spans.map(({ since, resolved_at: at }) => Math.max(0, Date.parse(at) - Date.parse(since)) / MINUTE_MS).sort((a, b) => a - b);
  const at = (share: number): number | null => (minutes.length === 0 ? null : rounded(minutes[Math.ceil(share * minutes.length) - 1]!));
  return { n: minutes.length, median_minutes: at(0.5), p90_minutes: at(0.9) };
}
