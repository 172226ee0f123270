/**
 * The rate of violations from labels of a sample with known inclusion probabilities: by stratum, pooled, by domain (product,
 * modality) and by category. Guarantees: design-consistent, whatever was sampled more; what nobody labelled is never taken for
 * safe (`bounds` say what it could do at most, `uncovered` what the sample does not reach). Intervals hold for rare events, and
 * with no event at all. Does not correct for wrong labels (`calibrate.ts`), and is not for peeking (`peeking.ts`). Pure.
 *
 * Sources: Horvitz and Thompson (1952); Hájek (1971); Särndal, Swensson and Wretman, "Model assisted survey sampling" (1992),
 * 5.7, 7.6 and 10; Kish (1965) for the effective size; Fay and Feuer, "Confidence intervals for directly standardized rates"
 * (1997), with a beta in place of their gamma distribution as in Korn and Graubard (1998); Fay and Kim (2017) for its mid-P
 * form; Manski (2003) for the bounds. README.md has the formulae.
 */
import { INCLUSION_PROBABILITY_MIN } from '../contract/risk.ts';
import { CONFIDENCE, type Confidence, exactUpper, type Interval, midPInterval, noCrumb } from './intervals.ts';
import { need } from './special.ts';

export const HUMAN_LABELS = ['safe', 'violation'] as const;
export type HumanLabel = (typeof HUMAN_LABELS)[number];

/** Something that was drawn; without `label` nobody has judged it, or who did could not tell. */
export interface SampledItem {
  readonly stratum: string;
  readonly inclusion_probability: number;
  readonly label?: HumanLabel | undefined;
  /** Of a violation. */
  readonly category?: string | undefined;
  /** So many that are alike in all of this. Default 1. */
  readonly count?: number | undefined;
}

/** How many there were in each stratum, drawn or not; the audit log counts them. */
export type Population = ReadonlyMap<string, number>;

export interface RateEstimate {
  readonly sampled: number;
  readonly labelled: number;
  readonly violations: number;
  /** Undefined where nothing is labelled. */
  readonly rate: number | undefined;
  readonly standardError: number | undefined;
  /** Two-sided, for reports: mid-P. */
  readonly interval: Interval;
  /** One-sided, for claims: the rate is below it at least as surely as asked for. */
  readonly upper: number;
  /** The labels count as so many of a simple random sample (Kish). */
  readonly effectiveSize: number;
  /** From which the interval comes, for `calibrate` and `trend`. */
  readonly confidence: Confidence;
  /** Of what was drawn, by weight, the share that is labelled. */
  readonly responseShare: number;
  /** The rate if all that nobody labelled, and all that the sample does not reach, were safe, and if it were violations. No chance in it. */
  readonly bounds: Interval;
  /** Share of the population in strata without a label: `rate` is that of the others. */
  readonly uncovered: number;
}

export interface PooledEstimate extends RateEstimate {
  /** Violations in the period, by Horvitz and Thompson, each stratum's unlabelled taken as its labelled. */
  readonly total: { readonly violations: number; readonly standardError: number };
  /** How many there were: counted, or estimated from the sample where no counts are given. */
  readonly population: number;
  readonly strata: ReadonlyMap<string, RateEstimate>;
}

/** One stratum, summed. */
interface Stratum {
  readonly name: string;
  /** Its part of the population, in units. */
  readonly size: number;
  readonly sampled: number;
  readonly drawnWeight: number;
  readonly labelledWeight: number;
  readonly labelled: readonly { readonly weight: number; readonly isViolation: boolean; readonly probability: number; readonly count: number }[];
}

/** Nothing is known better than from so many; where a variance would say so, the interval stays that wide. */
const EFFECTIVE_MAX = 1e8;

export interface EstimateOptions {
  readonly population?: Population | undefined;
  readonly confidence?: number;
  /** Counts only these as violations; the others are as safe. */
  readonly category?: string | undefined;
}

/** All that was drawn in a period, labelled or not. */
export function estimateRate(items: readonly SampledItem[], { population, confidence = CONFIDENCE, category }: EstimateOptions = {}): PooledEstimate {
  const strata = summed(items, population, violates(category));
  const size = total(strata, (stratum) => stratum.size);
  return {
    ...rateOf(strata, confidence), population: size, total: totalOf(strata),
    // Who asks for many small parts asks for few of their strata, and each has intervals of its own.
    get strata() { return new Map(strata.map((stratum) => [stratum.name, rateOf([stratum], confidence)])); },
  };
}

/** What an interval comes from, without the interval: for many small parts, as `trend` reads them. */
export function evidenceOf(items: readonly SampledItem[], { population, category }: Omit<EstimateOptions, 'confidence'> = {}): Pick<RateEstimate, 'rate' | 'confidence' | 'effectiveSize'> {
  const covered = summed(items, population, violates(category)).filter(({ labelled }) => labelled.length > 0);
  return evidenceIn(weigh(covered));
}

/** Of each category that a label names: its violations among everything. */
export function estimateByCategory(items: readonly SampledItem[], options: Omit<EstimateOptions, 'category'> = {}): ReadonlyMap<string, PooledEstimate> {
  const categories = [...new Set(items.flatMap(({ label, category }) => (label === 'violation' && category !== undefined ? [category] : [])))].sort();
  return new Map(categories.map((category) => [category, estimateRate(items, { ...options, category })]));
}

/**
 * Of each domain: the violations in it among everything in it. Where a domain cuts through a stratum its part of the stratum's
 * population is estimated by the sample (a ratio).
 */
export function estimateByDomain<Item extends SampledItem>(items: readonly Item[], domainOf: (item: Item) => string, options: EstimateOptions = {}): ReadonlyMap<string, PooledEstimate> {
  const drawn = weightsBy(items, ({ stratum }) => stratum);
  const parts = Map.groupBy(items, domainOf);
  return new Map([...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([domain, part]) => {
    const own = weightsBy(part, ({ stratum }) => stratum);
    const population = options.population && new Map([...own].map(([stratum, weight]) => [stratum, ((options.population!.get(stratum) ?? drawn.get(stratum)!) * weight) / drawn.get(stratum)!]));
    return [domain, estimateRate(part, { ...options, population })];
  }));
}

function violates(category: string | undefined): (item: SampledItem) => boolean {
  return (item) => item.label === 'violation' && (category === undefined || item.category === category);
}

function summed(items: readonly SampledItem[], population: Population | undefined, isViolation: (item: SampledItem) => boolean): readonly Stratum[] {
  for (const { inclusion_probability: p } of items) need(p >= INCLUSION_PROBABILITY_MIN && p <= 1, `what was drawn has an inclusion probability between ${INCLUSION_PROBABILITY_MIN} and 1, not ${p}`);
  for (const size of population?.values() ?? []) need(size >= 0 && Number.isFinite(size), `a stratum has a population from 0, not ${size}`);
  const groups = Map.groupBy(items, ({ stratum }) => stratum);
  // What was drawn was there: a count that does not know it is mended, not believed.
  const names = new Set([...groups.keys(), ...(population?.keys() ?? [])]);
  return [...names].sort().map((name) => {
    const group = groups.get(name) ?? [];
    const labelled = group.flatMap((item) => (item.label === undefined ? [] : [{ weight: 1 / item.inclusion_probability, isViolation: isViolation(item), probability: item.inclusion_probability, count: item.count ?? 1 }]));
    const drawnWeight = total(group, ({ inclusion_probability: p, count = 1 }) => count / p);
    const sampled = total(group, ({ count = 1 }) => count);
    return { name, size: Math.max(population?.get(name) ?? drawnWeight, sampled), sampled, drawnWeight, labelledWeight: total(labelled, ({ weight, count }) => weight * count), labelled };
  });
}

/** Strata weighted by their size, in each of them labels by their own weight (Hájek). */
function rateOf(strata: readonly Stratum[], confidence: number): RateEstimate {
  const covered = strata.filter(({ labelled }) => labelled.length > 0);
  const [size, coveredSize] = [total(strata, (stratum) => stratum.size), total(covered, (stratum) => stratum.size)];
  const weighted = weigh(covered);
  const { rate, confidence: given, effectiveSize } = evidenceIn(weighted);
  return {
    sampled: total(strata, ({ sampled }) => sampled), labelled: each(weighted, () => 1), violations: each(weighted, ({ isViolation }) => (isViolation ? 1 : 0)), rate,
    standardError: rate === undefined ? undefined : errorOf(covered, coveredSize),
    interval: midPInterval(given, confidence), upper: exactUpper(given, confidence), confidence: given,
    effectiveSize,
    responseShare: size === 0 ? 1 : total(strata, (stratum) => (stratum.drawnWeight === 0 ? 0 : (stratum.size / size) * (stratum.labelledWeight / stratum.drawnWeight))),
    bounds: boundsOf(strata, size), uncovered: size === 0 ? 0 : 1 - coveredSize / size,
  };
}

function weigh(covered: readonly Stratum[]): readonly Weighted[] {
  const size = total(covered, (stratum) => stratum.size);
  return covered.flatMap((stratum) => weightedIn(stratum, size));
}

function evidenceIn(weighted: readonly Weighted[]): Pick<RateEstimate, 'rate' | 'confidence' | 'effectiveSize'> {
  const rate = weighted.length === 0 ? undefined : clipped(each(weighted, ({ isViolation, weight }) => (isViolation ? weight : 0)));
  return { rate, confidence: confidenceIn(weighted, rate ?? 0), effectiveSize: weighted.length === 0 ? 0 : 1 / each(weighted, ({ weight }) => weight * weight) };
}

/** A label and what it counts of the whole. */
interface Weighted {
  readonly isViolation: boolean;
  readonly weight: number;
  readonly count: number;
  /** One less the rate of its stratum, held off 0 and 1 as by half a label more of each kind. */
  readonly safety: number;
}

function weightedIn({ labelled, labelledWeight, size }: Stratum, coveredSize: number): readonly Weighted[] {
  const rate = each(labelled, ({ isViolation, weight }) => (isViolation ? weight : 0)) / labelledWeight;
  const n = each(labelled, () => 1);
  const safety = 1 - (n * rate + 0.5) / (n + 1);
  return labelled.map(({ isViolation, weight, count }) => ({ isViolation, safety, count, weight: (size / coveredSize) * (weight / labelledWeight) }));
}

/**
 * The distributions of the rate: moments of the weighted events, for the upper one with one more event of the heaviest weight
 * (Fay and Feuer), laid on a beta distribution, with the variance of strata apart. With one stratum and equal weights it is
 * Clopper and Pearson's, digit for digit.
 */
function confidenceIn(weighted: readonly Weighted[], rate: number): Confidence {
  if (weighted.length === 0) return { lower: { a: 0, b: 1 }, upper: { a: 1, b: 0 } };
  const heaviest = weighted.reduce((most, { weight }) => Math.max(most, weight), 0);
  const safety = each(weighted, (one) => one.weight * one.safety);
  const spread = each(weighted, (one) => (one.isViolation ? (one.weight * one.weight * one.safety) / safety : 0));
  const [next, nextSpread] = [rate + heaviest, spread + heaviest * heaviest];
  const [seen, more] = [countsOf(rate, spread), countsOf(next, nextSpread)];
  return { lower: { a: seen.events, b: seen.n - seen.events + 1 }, upper: { a: more.events, b: noCrumb(more.n + 1 - more.events) } };
}

/** Events in a simple random sample with this rate and this variance of its events. */
function countsOf(rate: number, spread: number): { readonly events: number; readonly n: number } {
  if (rate === 0) return { events: 0, n: 0 };
  const n = Math.min(rate / spread, EFFECTIVE_MAX);
  return { events: rate * n, n };
}

/** By linearisation, strata apart; with one label in a stratum its own scatter is unknown and that of a rate of one half is taken. */
function errorOf(covered: readonly Stratum[], size: number): number {
  return Math.sqrt(total(covered, ({ labelled, labelledWeight, size: own }) => {
    const rate = each(labelled, ({ isViolation, weight }) => (isViolation ? weight : 0)) / labelledWeight;
    const n = each(labelled, () => 1);
    const scatter = n === 1 ? 0.25 : (n / (n - 1)) * each(labelled, ({ isViolation, weight }) => ((weight / labelledWeight) * ((isViolation ? 1 : 0) - rate)) ** 2);
    return (own / size) ** 2 * scatter;
  }));
}

function totalOf(strata: readonly Stratum[]): PooledEstimate['total'] {
  let [violations, variance] = [0, 0];
  for (const { labelled, drawnWeight, labelledWeight } of strata) {
    const response = labelledWeight === 0 ? 1 : labelledWeight / drawnWeight;
    for (const { isViolation, probability, count } of labelled) {
      if (!isViolation) continue;
      const chance = probability * response;
      violations += count / chance;
      variance += (count * (1 - chance)) / (chance * chance);
    }
  }
  return { violations, standardError: Math.sqrt(variance) };
}

function boundsOf(strata: readonly Stratum[], size: number): Interval {
  if (size === 0) return { low: 0, high: 1 };
  let [low, high] = [0, 0];
  for (const { labelled, drawnWeight, size: own } of strata) {
    const violating = drawnWeight === 0 ? 0 : each(labelled, ({ isViolation, weight }) => (isViolation ? weight : 0)) / drawnWeight;
    const silent = drawnWeight === 0 ? 1 : 1 - each(labelled, ({ weight }) => weight) / drawnWeight;
    low += (own / size) * violating;
    high += (own / size) * (violating + silent);
  }
  return { low: clipped(low), high: clipped(high) };
}

function weightsBy<Item extends SampledItem>(items: readonly Item[], keyOf: (item: Item) => string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const item of items) weights.set(keyOf(item), (weights.get(keyOf(item)) ?? 0) + (item.count ?? 1) / item.inclusion_probability);
  return weights;
}

function total<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}

/** Each as often as it counts. */
function each<Item extends { readonly count: number }>(items: readonly Item[], of: (item: Item) => number): number {
  return total(items, (item) => item.count * of(item));
}

/** Sums of weights miss 1 by their rounding. */
function clipped(share: number): number {
  return Math.min(1, Math.max(0, share));
}
