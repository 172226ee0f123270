/**
 * How well one person labels: agreement with calibration items, whether it has got worse lately, and whether the pace tells of
 * labels that were not read or of fatigue. Guarantees that somebody who agrees as often as required is paused before the
 * required number of items in at most 2.5 % of cases, and that nobody is paused on fewer without such proof. What it finds is for
 * a person to talk about with a person: it is no measure of diligence, and ranks nobody. Pure.
 *
 * Sources: `peeking.ts` for the early pause; Page (1954) and Steiner et al. (2000) for the CUSUM; Mann and Whitney (1947) for
 * the pace; Brysbaert, "How many words do we read per minute?" (2019) for reading.
 */
import { CONFIDENCE, type Interval, midP } from './intervals.ts';
import { evidenceAgainst } from './peeking.ts';
import { need, normalCdf } from './special.ts';

export const AGREEMENT_MIN = 0.92;
/** From here on the share itself decides; before, only proof that it is lower. */
export const CALIBRATION_ITEMS_MIN = 50;

/** active: enough items, and agreement. provisional: too few items to tell. paused: to be trained again. */
export const ANNOTATOR_STATES = ['active', 'provisional', 'paused'] as const;
export type AnnotatorState = (typeof ANNOTATOR_STATES)[number];

export interface Calibration {
  readonly state: AnnotatorState;
  readonly n: number;
  readonly agreement: number | undefined;
  readonly interval: Interval;
}

export interface CalibrationOptions {
  readonly agreementMin?: number;
  readonly itemsMin?: number;
  readonly confidence?: number;
}

/** Answers to calibration items since the last training, in their order: true where it was the known one. */
export function calibrationOf(answers: readonly boolean[], { agreementMin = AGREEMENT_MIN, itemsMin = CALIBRATION_ITEMS_MIN, confidence = CONFIDENCE }: CalibrationOptions = {}): Calibration {
  need(agreementMin > 0 && agreementMin < 1, `a required agreement lies between 0 and 1, not ${agreementMin}`);
  need(Number.isInteger(itemsMin) && itemsMin >= 1, `the items that decide are a whole number from 1, not ${itemsMin}`);
  const n = answers.length;
  if (n === 0) return { state: 'provisional', n, agreement: undefined, interval: { low: 0, high: 1 } };
  const agreed = answers.filter(Boolean).length;
  const agreement = agreed / n;
  // A share of 46 in 50 is 92 %, also where 0.92 is a little more than its digits say.
  const isBelow = n >= itemsMin ? agreement < agreementMin - 1e-12 : isProven(answers, agreementMin, confidence);
  return { state: isBelow ? 'paused' : n >= itemsMin ? 'active' : 'provisional', n, agreement, interval: midP(agreed, n, confidence) };
}

/** Errors are surely more frequent than allowed, however often this was looked at. */
function isProven(answers: readonly boolean[], agreementMin: number, confidence: number): boolean {
  const violations = answers.filter((agreed) => !agreed).length;
  return evidenceAgainst(1 - agreementMin, [{ inclusion_probability: 1, labelled: answers.length, violations }], { probabilityMin: 1 }).more >= Math.log(2 / (1 - confidence));
}

export interface Drift {
  /** Evidence of having got worse, gathered since it last spoke against it. */
  readonly cusum: number;
  readonly limit: number;
  readonly isDrift: boolean;
  /** The item since which it gathered; undefined without evidence. */
  readonly since: number | undefined;
}

/** Errors of somebody who does well, and of somebody who does not any more. */
const ERRORS_WELL = 0.04;
const ERRORS_ILL = 0.12;
/** So that somebody who does well is asked about it once in some thousand items. */
const DRIFT_LIMIT = 3.6;

/** Whether agreement has got worse at some time, in answers to calibration items in their order. */
export function driftOf(answers: readonly boolean[]): Drift {
  let [cusum, highest] = [0, 0];
  let [since, sinceHighest]: [number | undefined, number | undefined] = [undefined, undefined];
  answers.forEach((agreed, i) => {
    cusum = Math.max(0, cusum + (agreed ? Math.log((1 - ERRORS_ILL) / (1 - ERRORS_WELL)) : Math.log(ERRORS_ILL / ERRORS_WELL)));
    since = cusum === 0 ? undefined : (since ?? i);
    if (highest < DRIFT_LIMIT && cusum > highest) [highest, sinceHighest] = [cusum, since];
  });
  const isDrift = highest >= DRIFT_LIMIT;
  return { cusum, limit: DRIFT_LIMIT, isDrift, since: isDrift ? sinceHighest : since };
}

/** One label as it was made, in the order of a sitting. */
export interface Labelling {
  readonly durationMs: number;
  /** Characters that were to be read. */
  readonly chars: number;
}

export interface Pace {
  readonly n: number;
  readonly medianMs: number | undefined;
  /** Of the last labels, the share made faster than anybody reads. */
  readonly tooFastShare: number;
  readonly isTooFast: boolean;
  /** Time for a character lately over that at the beginning of the sitting; undefined where it is too short to tell. */
  readonly slowing: number | undefined;
  /** Chance of such slowing where the pace stayed. */
  readonly p: number | undefined;
  readonly isSlowing: boolean;
}

/** Silent reading takes about a second for 25 characters; four times that is skimming, with a second to choose. */
const CHARS_PER_SECOND_MAX = 100;
const CHOICE_MS_MIN = 1_000;
/** The window that is looked at, at the beginning and at the end of a sitting. */
export const PACE_LABELS = 30;
export const TOO_FAST_SHARE_MAX = 0.2;
const SLOWING_MIN = 1.5;
const SLOWING_P_MAX = 0.005;

/** Without a label for so long, a sitting is over. */
const SITTING_GAP_MS = 30 * 60_000;

/** The labels since the last long break, oldest first. How long the texts were is not kept, so that only haste beyond any text shows. */
export function lastSitting(paces: readonly { readonly at: string; readonly ms: number }[]): readonly Labelling[] {
  let from = 0;
  for (let at = 1; at < paces.length; at++) if (Date.parse(paces[at]!.at) - Date.parse(paces[at - 1]!.at) > SITTING_GAP_MS) from = at;
  return paces.slice(from).map(({ ms }) => ({ durationMs: Math.max(0, ms), chars: 0 }));
}

/** Of one sitting, without breaks. */
export function paceOf(sitting: readonly Labelling[]): Pace {
  for (const { durationMs, chars } of sitting) need(durationMs >= 0 && chars >= 0, `a label takes time and has characters from 0, not ${durationMs} and ${chars}`);
  const recent = sitting.slice(-PACE_LABELS);
  const fast = recent.filter(({ durationMs, chars }) => durationMs < Math.max(CHOICE_MS_MIN, (chars / CHARS_PER_SECOND_MAX) * 1_000)).length;
  const tooFastShare = recent.length === 0 ? 0 : fast / recent.length;
  const known = { n: sitting.length, medianMs: medianOf(sitting.map(({ durationMs }) => durationMs)), tooFastShare, isTooFast: recent.length === PACE_LABELS && tooFastShare > TOO_FAST_SHARE_MAX };
  if (sitting.length < 2 * PACE_LABELS) return { ...known, slowing: undefined, p: undefined, isSlowing: false };
  const [first, last] = [sitting.slice(0, PACE_LABELS), recent].map((labels) => labels.map(effortOf));
  const [slowing, p] = [medianOf(last)! / Math.max(medianOf(first)!, Number.MIN_VALUE), slowerChance(first, last)];
  return { ...known, slowing, p, isSlowing: slowing >= SLOWING_MIN && p <= SLOWING_P_MAX };
}

/** Time against what reading and choosing would take, so that long texts are no fatigue. */
function effortOf({ durationMs, chars }: Labelling): number {
  return durationMs / (CHOICE_MS_MIN + (chars / CHARS_PER_SECOND_MAX) * 1_000);
}

/** Mann and Whitney's test that `last` is larger, one-sided, by the normal approximation with ties. */
function slowerChance(first: readonly number[], last: readonly number[]): number {
  const [n, m] = [first.length, last.length];
  const larger = last.reduce((sum, one) => sum + first.reduce((count, other) => count + (one > other ? 1 : one === other ? 0.5 : 0), 0), 0);
  const ties = [...Map.groupBy([...first, ...last], (value) => value).values()].reduce((sum, { length }) => sum + length ** 3 - length, 0);
  const variance = ((n * m) / 12) * (n + m + 1 - ties / ((n + m) * (n + m - 1)));
  return variance <= 0 ? 1 : normalCdf(-(larger - (n * m) / 2 - 0.5) / Math.sqrt(variance));
}

export function medianOf(values: readonly number[]): number | undefined {
  if (values.length === 0) return undefined;
  const rising = [...values].sort((a, b) => a - b);
  return (rising[Math.floor((rising.length - 1) / 2)] + rising[Math.ceil((rising.length - 1) / 2)]) / 2;
}
