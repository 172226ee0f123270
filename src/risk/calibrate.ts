/**
 * A rate corrected for the errors of the people who label, as calibration items with known answers show them (Rogan and
 * Gladen), with an interval that carries the doubt about all three: the labels, the violations they overlook, the safe ones they
 * report. Says when the correction means nothing: where people tell violations from the rest no better than chance, or where
 * their false reports alone could make up the rate. Chance is given; the same chance gives the same interval. Pure.
 *
 * Sources: Rogan and Gladen, "Estimating prevalence from the results of a screening test" (1978); Lang and Reiczigel (2014) for
 * why the plain interval fails; Bayer, Fay and Graubard (2023) for drawing the parts from their confidence distributions;
 * Marsaglia and Tsang (2000) for gamma numbers.
 */
import { type Beta, CONFIDENCE, type Confidence, confidenceOf, type Interval, midPInterval } from './intervals.ts';
import { need } from './special.ts';

/** Calibration items of one kind, and how many of them were labelled as what they are. */
export interface GoldCount {
  readonly n: number;
  readonly correct: number;
}

export interface Gold {
  readonly violation: GoldCount;
  readonly safe: GoldCount;
}

/**
 * corrected: the rate stands. noise: people's false reports alone could make up what was seen, so that the rate may be 0.
 * no_information: their labels tell nothing of the rate, or there are no calibration items of a kind.
 */
export const CORRECTIONS = ['corrected', 'noise', 'no_information'] as const;
export type Correction = (typeof CORRECTIONS)[number];

/** A share with what it comes from. */
export interface Share {
  readonly n: number;
  readonly rate: number | undefined;
  readonly interval: Interval;
}

export interface CorrectedRate {
  readonly correction: Correction;
  /** As the labels give it. */
  readonly observed: number | undefined;
  /** Undefined where there is no information; 0 where the formula gives less. */
  readonly rate: number | undefined;
  /** As the formula gives it: below 0 where more false reports were to be expected than violations were seen. */
  readonly formula: number | undefined;
  readonly interval: Interval;
  /** Of violations, the share that people see. */
  readonly sensitivity: Share;
  /** Of what is safe, the share that people leave alone. */
  readonly specificity: Share;
}

export interface CorrectionOptions {
  /** In [0, 1). */
  readonly random: () => number;
  readonly confidence?: number;
  readonly draws?: number;
}

const DRAWS = 4_000;
export const DRAWS_MIN = 200;
export const DRAWS_MAX = 1_000_000;

/** (observed + specificity - 1) / (sensitivity + specificity - 1). */
export function roganGladen(observed: number, sensitivity: number, specificity: number): number {
  return (observed + specificity - 1) / (sensitivity + specificity - 1);
}

/** `observed` is an estimate, its gold items those of the people and the period that it comes from, left out of it. */
export function correctRate(observed: { readonly rate: number | undefined; readonly confidence: Confidence }, gold: Gold, { random, confidence = CONFIDENCE, draws = DRAWS }: CorrectionOptions): CorrectedRate {
  need(Number.isInteger(draws) && draws >= DRAWS_MIN && draws <= DRAWS_MAX, `an interval takes ${DRAWS_MIN} to ${DRAWS_MAX} draws, not ${draws}`);
  const [sensitivity, specificity] = [shareOf(gold.violation, confidence), shareOf(gold.safe, confidence)];
  const known = { observed: observed.rate, sensitivity, specificity };
  const nothing: CorrectedRate = { ...known, correction: 'no_information', rate: undefined, formula: undefined, interval: { low: 0, high: 1 } };
  if (observed.rate === undefined || sensitivity.rate === undefined || specificity.rate === undefined || sensitivity.rate + specificity.rate <= 1) return nothing;
  const drawn = drawnRates(observed.confidence, gold, random, draws);
  const tail = (1 - confidence) / 2;
  if (drawn.chance > tail) return nothing;
  const interval = { low: at(drawn.rates, tail), high: at(drawn.rates, 1 - tail) };
  const formula = roganGladen(observed.rate, sensitivity.rate, specificity.rate);
  const isNoise = observed.rate > 0 && (formula <= 0 || interval.low === 0);
  return { ...known, correction: isNoise ? 'noise' : 'corrected', formula, rate: clipped(formula), interval };
}

function shareOf({ n, correct }: GoldCount, confidence: number): Share {
  need(n >= 0 && correct >= 0 && correct <= n, `of ${n} calibration items ${correct} cannot be right`);
  return n === 0 ? { n, rate: undefined, interval: { low: 0, high: 1 } } : { n, rate: correct / n, interval: midPInterval(confidenceOf(correct, n), confidence) };
}

/** Corrected rates, rising, and the share of draws in which people were no better than chance. */
function drawnRates(observed: Confidence, { violation, safe }: Gold, random: () => number, draws: number): { readonly rates: Float64Array; readonly chance: number } {
  const [sensitivity, specificity] = [confidenceOf(violation.correct, violation.n), confidenceOf(safe.correct, safe.n)];
  const rates = new Float64Array(draws);
  let chance = 0;
  for (let i = 0; i < draws; i++) {
    const [seen, caught, left] = [draw(observed, random), draw(sensitivity, random), draw(specificity, random)];
    if (caught + left <= 1) {
      // Any rate would do: they widen the interval to both sides alike.
      rates[i] = chance % 2;
      chance++;
    } else rates[i] = clipped(roganGladen(seen, caught, left));
  }
  return { rates: rates.sort(), chance: chance / draws };
}

/** From the lower or the upper distribution, as often from each: a mid-P draw. */
function draw({ lower, upper }: Confidence, random: () => number): number {
  return drawBeta(random() < 0.5 ? lower : upper, random);
}

function drawBeta({ a, b }: Beta, random: () => number): number {
  if (a === 0) return 0;
  if (b === 0) return 1;
  const [x, y] = [drawGamma(a, random), drawGamma(b, random)];
  return x + y === 0 ? a / (a + b) : x / (x + y);
}

function drawGamma(shape: number, random: () => number): number {
  // Below 1 the method does not hold: one shape more, and a power of chance takes it back.
  if (shape < 1) return drawGamma(shape + 1, random) * (1 - random()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const z = drawNormal(random);
    const v = (1 + c * z) ** 3;
    if (v > 0 && Math.log(1 - random()) < 0.5 * z * z + d - d * v + d * Math.log(v)) return d * v;
  }
}

function drawNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

function at(rising: Float64Array, share: number): number {
  return rising[Math.min(rising.length - 1, Math.floor(share * rising.length))];
}

function clipped(rate: number): number {
  return Math.min(1, Math.max(0, rate));
}
