/**
 * How many labels a statement takes: "the rate is below X" with so many errors allowed, a rate known to within a half width,
 * and how labels are shared among strata. Sizes for a claim are exact for one simple random sample and the least there are;
 * a stratified sample with unequal weights needs them as effective size. Pure.
 *
 * Sources: the exact binomial test that Clopper and Pearson (1934) invert; Cochran, "Sampling techniques" (3rd ed. 1977),
 * 4.4 for precision, 5.5 and 5.9 for proportional and Neyman's allocation.
 */
import { CONFIDENCE } from './intervals.ts';
import { binomialCdf, need, normalQuantile } from './special.ts';

export interface ClaimPlan {
  /** Violations among the labels with which the claim still holds. */
  readonly errors: number;
  readonly n: number;
  /** Chance that the sample bears the claim out, by the rate that is really there. */
  readonly power: readonly { readonly rate: number; readonly chance: number }[];
}

export interface StratumSize {
  readonly stratum: string;
  /** Expected in the period. */
  readonly population: number;
  /** Foreseen rate of violations; where nothing is known, that of the threshold. Neyman's allocation alone reads it. */
  readonly rate?: number;
}

export interface StratumShare {
  readonly stratum: string;
  readonly n: number;
  /** With which each of the stratum is drawn. */
  readonly inclusion_probability: number;
}

export interface AllocationPlan {
  readonly strata: readonly StratumSize[];
  readonly n: number;
  readonly method: 'proportional' | 'neyman';
  /** At least so many of each stratum, or all it has. */
  readonly stratumMin: number;
}

/** More labels than anybody will make. */
export const PLAN_N_MAX = 100_000_000;
/** Rates at which the power of a plan is told, as shares of the threshold. */
const POWER_AT: readonly number[] = [0.1, 0.25, 0.5, 0.75];

/** The least sample in which so many `errors` still say, at one-sided `confidence`, that the rate is below `rate`. */
export function claimSize(rate: number, errors: number, confidence = CONFIDENCE): number {
  need(rate > 0 && rate < 1, `the rate of a claim lies between 0 and 1, not ${rate}`);
  need(Number.isInteger(errors) && errors >= 0, `errors allowed are a whole number from 0, not ${errors}`);
  need(confidence > 0 && confidence < 1, `confidence lies between 0 and 1, not ${confidence}`);
  const holds = (n: number): boolean => binomialCdf(errors, n, rate) <= 1 - confidence;
  need(holds(PLAN_N_MAX), `below ${rate} with ${errors} errors takes more than ${PLAN_N_MAX} labels; allow fewer errors or claim less`);
  let [low, high] = [errors, PLAN_N_MAX];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** What it would take, from no error allowed to `errorsMax`. */
export function claimPlans(rate: number, errorsMax: number, confidence = CONFIDENCE): readonly ClaimPlan[] {
  return Array.from({ length: errorsMax + 1 }, (_, errors) => {
    const n = claimSize(rate, errors, confidence);
    return { errors, n, power: POWER_AT.map((share) => ({ rate: share * rate, chance: binomialCdf(errors, n, share * rate) })) };
  });
}

/** Labels for a rate near `rate` to be known to within plus or minus `halfWidth`, by the normal approximation. */
export function precisionSize(rate: number, halfWidth: number, { confidence = CONFIDENCE, population = Number.POSITIVE_INFINITY } = {}): number {
  need(rate > 0 && rate < 1, `a foreseen rate lies between 0 and 1, not ${rate}`);
  need(halfWidth > 0 && halfWidth < 1, `a half width lies between 0 and 1, not ${halfWidth}`);
  need(population > 0, `a population is above 0, not ${population}`);
  need(confidence > 0 && confidence < 1, `confidence lies between 0 and 1, not ${confidence}`);
  const endless = (normalQuantile((1 + confidence) / 2) / halfWidth) ** 2 * rate * (1 - rate);
  return Math.ceil(endless / (1 + (endless - 1) / population));
}

/** Labels by stratum: as many as asked for, unless the minimum of each makes it more or the strata do not hold as many. */
export function allocate({ strata, n, method, stratumMin }: AllocationPlan): readonly StratumShare[] {
  need(Number.isInteger(n) && n >= 0 && Number.isInteger(stratumMin) && stratumMin >= 0, `labels to share are whole numbers from 0, not ${n} and ${stratumMin}`);
  for (const { population, rate } of strata) {
    need(population >= 0 && Number.isFinite(population), `a stratum has a population from 0, not ${population}`);
    need(rate === undefined || (rate >= 0 && rate <= 1), `a foreseen rate lies between 0 and 1, not ${rate}`);
  }
  const sizes = strata.map(({ population, rate = 0.02 }) => ({ population, weight: method === 'neyman' ? population * Math.sqrt(rate * (1 - rate)) : population }));
  const shares = shared(sizes, n, stratumMin);
  return strata.map(({ stratum, population }, i) => ({ stratum, n: shares[i], inclusion_probability: population === 0 ? 1 : Math.min(1, shares[i] / population) }));
}

/**
 * Strata whose share falls below the minimum, or above what they hold, get just that; the others share the rest anew, until
 * none of them does. Whole numbers by the largest remainders.
 */
function shared(sizes: readonly { readonly population: number; readonly weight: number }[], n: number, stratumMin: number): number[] {
  const least = sizes.map(({ population }) => Math.min(stratumMin, Math.floor(population)));
  const most = sizes.map(({ population }) => Math.floor(population));
  // The share of each is its weight times one level, held between its two ends; the level is where the sum is right.
  const at = (level: number): number[] => sizes.map(({ weight }, i) => Math.min(most[i], Math.max(least[i], weight * level)));
  const goal = Math.min(n, sum(sizes.map(({ weight }, i) => (weight > 0 ? most[i] : least[i]))));
  if (sum(least) >= goal) return least;
  let [low, high] = [0, 1];
  while (sum(at(high)) < goal) high *= 2;
  for (let step = 0; step < 200; step++) {
    const middle = (low + high) / 2;
    if (sum(at(middle)) < goal) low = middle;
    else high = middle;
  }
  return rounded(at(high), goal);
}

function rounded(exact: readonly number[], total: number): number[] {
  const whole = exact.map((share) => Math.floor(share + 1e-9));
  const left = Math.max(0, Math.round(total - sum(whole)));
  const order = exact.map((share, i) => ({ i, rest: share - whole[i] })).sort((a, b) => b.rest - a.rest || a.i - b.i);
  for (const { i } of order.slice(0, left)) whole[i]++;
  return whole;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
