/**
 * Intervals of one proportion: Wilson, Clopper-Pearson (two-sided, and one-sided for claims), mid-P, and the rule of three as
 * a check. Counts may be fractions, as an effective sample has them. Guarantees of Clopper-Pearson: it covers at least as often
 * as it says, whatever the rate. Mid-P covers about as often as it says, on the average over rates; near 0 no interval can do
 * better than that, because counts are whole. Knows nothing of weights. Pure.
 *
 * Sources: Wilson (1927); Clopper and Pearson (1934); Lancaster (1961) and Agresti and Gottard (2007) for mid-P; Brown, Cai and
 * DasGupta, "Interval estimation for a binomial proportion" (2001); Hanley and Lippman-Hand (1983) for the rule of three.
 */
import { betaCdf, betaQuantile, need, normalQuantile, quantileOf } from './special.ts';

/** Of a share: both between 0 and 1. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A beta distribution; with `a` 0 all of it lies at 0, with `b` 0 at 1. */
export interface Beta {
  readonly a: number;
  readonly b: number;
}

/**
 * What a sample says of a rate, as two distributions: limits from `lower` are never too high, limits from `upper` never too
 * low, and the truth is thought of as half in each. The intervals below are quantiles of them.
 */
export interface Confidence {
  readonly lower: Beta;
  readonly upper: Beta;
}

export const CONFIDENCE = 0.95;

/** A count below it is none. */
const COUNT_MIN = 1e-9;

/** Of `events` in `n`. */
export function confidenceOf(events: number, n: number): Confidence {
  need(n > 0 && Number.isFinite(n), `a rate needs a sample above 0, not ${n}`);
  need(events >= 0 && events <= n, `a sample of ${n} cannot hold ${events} events`);
  const [yes, no] = [noCrumb(events), noCrumb(n - events)];
  return { lower: { a: yes, b: no + 1 }, upper: { a: yes + 1, b: no } };
}

/** Exact, two-sided. */
export function clopperPearson(events: number, n: number, confidence = CONFIDENCE): Interval {
  return exactInterval(confidenceOf(events, n), confidence);
}

/** Exact, one-sided: the rate is below this with the confidence given. For claims. */
export function clopperPearsonUpper(events: number, n: number, confidence = CONFIDENCE): number {
  return exactUpper(confidenceOf(events, n), confidence);
}

/** Exact, one-sided: the rate is above this with the confidence given. */
export function clopperPearsonLower(events: number, n: number, confidence = CONFIDENCE): number {
  return exactLower(confidenceOf(events, n), confidence);
}

/** For reports: about as often right as it says. */
export function midP(events: number, n: number, confidence = CONFIDENCE): Interval {
  return midPInterval(confidenceOf(events, n), confidence);
}

/** By the normal score; for rates that are not rare. */
export function wilson(events: number, n: number, confidence = CONFIDENCE): Interval {
  const { lower, upper } = confidenceOf(events, n);
  const z = normalQuantile(1 - tailOf(confidence) / 2);
  const share = events / n;
  const centre = share + (z * z) / (2 * n);
  const half = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  const scale = 1 + (z * z) / n;
  // At the ends rounding would leave a crumb where the formula gives 0 and 1.
  return { low: lower.a === 0 ? 0 : Math.max(0, (centre - half) / scale), high: upper.b === 0 ? 1 : Math.min(1, (centre + half) / scale) };
}

/** What 0 events in `n` say at 95 %, by head: close to `clopperPearsonUpper(0, n)`, and always above it. */
export function ruleOfThree(n: number): number {
  need(n > 0, `a rate needs a sample above 0, not ${n}`);
  return Math.min(1, 3 / n);
}

export function exactInterval(given: Confidence, confidence = CONFIDENCE): Interval {
  const tail = tailOf(confidence) / 2;
  return { low: exactLower(given, 1 - tail), high: exactUpper(given, 1 - tail) };
}

export function exactUpper({ upper }: Confidence, confidence = CONFIDENCE): number {
  return quantile(1 - tailOf(confidence), upper);
}

export function exactLower({ lower }: Confidence, confidence = CONFIDENCE): number {
  return quantile(tailOf(confidence), lower);
}

export function midPInterval({ lower, upper }: Confidence, confidence = CONFIDENCE): Interval {
  const tail = tailOf(confidence) / 2;
  const cdf = (x: number): number => (cdfOf(x, lower) + cdfOf(x, upper)) / 2;
  return { low: lower.a === 0 ? 0 : quantileOf(cdf, tail), high: upper.b === 0 ? 1 : quantileOf(cdf, 1 - tail) };
}

/** Fractions of counts come from sums of weights, which miss 0 by their rounding. */
export function noCrumb(count: number): number {
  return count < COUNT_MIN ? 0 : count;
}

/** The chance of being wrong. */
function tailOf(confidence: number): number {
  need(confidence > 0 && confidence < 1, `confidence lies between 0 and 1, not ${confidence}`);
  return 1 - confidence;
}

function quantile(p: number, { a, b }: Beta): number {
  if (a === 0) return 0;
  return b === 0 ? 1 : betaQuantile(p, a, b);
}

function cdfOf(x: number, { a, b }: Beta): number {
  if (a === 0) return x >= 0 ? 1 : 0;
  if (b === 0) return x >= 1 ? 1 : 0;
  return betaCdf(x, a, b);
}
