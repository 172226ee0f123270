/**
 * Rates over time: each period with its interval, whether one differs from another, and which of many series has just risen
 * beyond what chance and its own unrest explain. Guarantees that of all series together, where nothing changed, one look raises
 * a false alarm in at most the share asked for; where the unrest of a series must itself be estimated, about. Says nothing of
 * causes, nor of falls. Pure.
 *
 * Sources: Przyborowski and Wilenski (1940) for comparing two counts, given their sum; McCullagh and Nelder, "Generalized linear
 * models" (1989), 4.5 for unrest beyond chance; Holm (1979) for many series.
 */
import type { RateEstimate } from './estimate.ts';
import { CONFIDENCE, clopperPearson, type Interval, midP, noCrumb } from './intervals.ts';
import { betaCdf, need, normalQuantile } from './special.ts';

/** Events in `n` labels; fractions where labels are weighted. */
export interface Period {
  readonly start: string;
  readonly events: number;
  readonly n: number;
}

export interface PeriodRate extends Period {
  readonly rate: number | undefined;
  readonly interval: Interval;
}

export interface Change {
  /** Rate after over rate before; undefined where there was none before. */
  readonly ratio: number | undefined;
  /** 95 %, or as asked for; no upper end where nothing was seen before. */
  readonly ratioInterval: { readonly low: number; readonly high: number };
  /** Chance of a difference as large where there is none; two-sided, exact for rare events. */
  readonly p: number;
  readonly isChange: boolean;
}

/** Periods one after the other, the last the one that is looked at. */
export interface Series {
  readonly name: string;
  readonly periods: readonly Period[];
}

export interface Spike {
  readonly name: string;
  readonly rate: number | undefined;
  /** Of the periods that it is measured against. */
  readonly baseline: number | undefined;
  readonly baselinePeriods: number;
  /** How much more the baseline varied than chance would: 1 or above. */
  readonly unrest: number;
  /** Chance of as many events without a rise, this series alone; undefined where there is too little history or no label. */
  readonly p: number | undefined;
  /** For all series looked at together. */
  readonly adjusted: number | undefined;
  readonly isSpike: boolean;
}

export interface SpikeOptions {
  /** Share of looks with any false alarm. */
  readonly alpha?: number;
  /** Periods after which things come round, 7 for days; where three rounds are known, only the same days are compared. */
  readonly season?: number;
}

/** With fewer periods before it, a period has no baseline. */
export const BASELINE_PERIODS_MIN = 4;
const ROUNDS_MIN = 3;
/** What is less likely than this is taken for as likely. */
const CHANCE_MIN = 1e-12;

/** A period of an estimate, with the counts of a simple random sample that would say as much. */
export function periodOf(start: string, { rate, confidence, effectiveSize }: Pick<RateEstimate, 'rate' | 'confidence' | 'effectiveSize'>): Period {
  if (rate === undefined) return { start, events: 0, n: 0 };
  return rate === 0 ? { start, events: 0, n: effectiveSize } : { start, events: confidence.lower.a, n: confidence.lower.a / rate };
}

export function ratesOf(periods: readonly Period[], confidence = CONFIDENCE): readonly PeriodRate[] {
  return periods.map((period) => {
    check(period);
    return isEmpty(period) ? { ...period, rate: undefined, interval: { low: 0, high: 1 } } : { ...period, rate: period.events / period.n, interval: midP(period.events, period.n, confidence) };
  });
}

/** Given how many events there were in both together, how they fell. Undefined where one of them has no label. */
export function changeBetween(before: Period, after: Period, confidence = CONFIDENCE): Change | undefined {
  check(before);
  check(after);
  if (isEmpty(before) || isEmpty(after)) return undefined;
  const events = before.events + after.events;
  const ratio = before.events === 0 ? undefined : after.events / after.n / (before.events / before.n);
  if (noCrumb(events) === 0) return { ratio, ratioInterval: { low: 0, high: Number.POSITIVE_INFINITY }, p: 1, isChange: false };
  const { low, high } = clopperPearson(after.events, events, confidence);
  const asRatio = (share: number): number => (share / (1 - share)) * (before.n / after.n);
  const share = after.n / (before.n + after.n);
  const p = Math.min(1, 2 * Math.min(tailAbove(after.events, events, share), tailBelow(after.events, events, share)));
  return { ratio, ratioInterval: { low: asRatio(low), high: asRatio(high) }, p, isChange: p < 1 - confidence };
}

/** The last period of each series against those before it. */
export function spikesOf(all: readonly Series[], { alpha = 0.05, season = 1 }: SpikeOptions = {}): readonly Spike[] {
  need(alpha > 0 && alpha < 1, `a share of false alarms lies between 0 and 1, not ${alpha}`);
  need(Number.isInteger(season) && season >= 1, `a season has a whole number of periods, not ${season}`);
  const found = all.map((series) => spikeOf(series, season));
  const adjusted = holm(found.map(({ p }) => p));
  return found.map((spike, i) => ({ ...spike, adjusted: adjusted[i], isSpike: adjusted[i] !== undefined && adjusted[i] <= alpha }));
}

function spikeOf({ name, periods }: Series, season: number): Omit<Spike, 'adjusted' | 'isSpike'> {
  periods.forEach(check);
  const now = periods.at(-1) ?? { start: '', events: 0, n: 0 };
  const history = baselineOf(periods.slice(0, -1), season);
  const [events, n] = [total(history, (period) => period.events), total(history, (period) => period.n)];
  const unrest = unrestOf(history, events / n);
  const known = { name, rate: isEmpty(now) ? undefined : now.events / now.n, baseline: history.length === 0 ? undefined : events / n, baselinePeriods: history.length, unrest };
  if (history.length < ROUNDS_MIN || (season === 1 && history.length < BASELINE_PERIODS_MIN) || isEmpty(now)) return { ...known, p: undefined };
  return { ...known, p: unrestful(tailAbove(now.events, events + now.events, now.n / (n + now.n)), unrest, history.length - 1) };
}

/** The chance where a series varies more than by chance: its deviation in units of that unrest, of which it is known how well. */
function unrestful(p: number, unrest: number, degrees: number): number {
  if (unrest === 1 || p > 0.5) return p;
  const deviation = -normalQuantile(Math.max(p, CHANCE_MIN)) / Math.sqrt(unrest);
  return 0.5 * betaCdf(degrees / (degrees + deviation * deviation), degrees / 2, 0.5);
}

/** The same phase of earlier rounds where there are enough of them, otherwise everything before; without periods that have no label. */
function baselineOf(before: readonly Period[], season: number): readonly Period[] {
  const labelled = (periods: readonly Period[]): readonly Period[] => periods.filter((period) => !isEmpty(period));
  const same = labelled(before.filter((_, i) => (before.length - i) % season === 0));
  if (same.length >= ROUNDS_MIN) return same;
  const every = labelled(before);
  return every.length >= BASELINE_PERIODS_MIN ? every : [];
}

/** Pearson's dispersion. */
function unrestOf(history: readonly Period[], rate: number): number {
  if (history.length < ROUNDS_MIN || !(rate > 0 && rate < 1)) return 1;
  return Math.max(1, total(history, ({ events, n }) => (events - n * rate) ** 2 / (n * rate * (1 - rate))) / (history.length - 1));
}

/** Adjusted so that any false alarm among them is as rare as one alone; what has no chance counts for nothing. */
function holm(chances: readonly (number | undefined)[]): readonly (number | undefined)[] {
  const rising = chances.flatMap((p, i) => (p === undefined ? [] : [{ p, i }])).sort((a, b) => a.p - b.p);
  const adjusted: (number | undefined)[] = chances.map(() => undefined);
  let most = 0;
  rising.forEach(({ p, i }, rank) => {
    most = Math.max(most, Math.min(1, p * (rising.length - rank)));
    adjusted[i] = most;
  });
  return adjusted;
}

/** Chance of so many of `n` or more. */
function tailAbove(events: number, n: number, share: number): number {
  return noCrumb(events) === 0 ? 1 : betaCdf(share, events, Math.max(0, n - events) + 1);
}

function tailBelow(events: number, n: number, share: number): number {
  return noCrumb(n - events) === 0 ? 1 : 1 - betaCdf(share, events + 1, n - events);
}

/** No label, or what rounding leaves of none. */
function isEmpty({ n }: Period): boolean {
  return noCrumb(n) === 0;
}

function check({ events, n }: Period): void {
  need(n >= 0 && Number.isFinite(n) && events >= 0 && events <= n, `a period of ${n} labels cannot hold ${events} events`);
}

function total(periods: readonly Period[], of: (period: Period) => number): number {
  return periods.reduce((sum, period) => sum + of(period), 0);
}
