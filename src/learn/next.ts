/**
 * Which unjudged texts people should judge next, so that a model learns most: those that it can hardly tell, or of which
 * classifiers differ, and not many that are alike. Each next one is the one that is worth most, less what is like those
 * before it. What is picked so is no sample: no rate may be estimated from it. Pure.
 */
import { RARITY_BUCKETS, vectorOf } from '../model/nearest.ts';

/** Texts among which is picked. */
export const POOL_MAX = 2_000;
export const NEXT_MAX = 200;
const DIMENSIONS = 512;
const ALL_RARE = new Uint8Array(RARITY_BUCKETS).fill(255);

export interface PoolText<T> {
  readonly of: T;
  readonly text: string;
  /** Of one text by model and category, from 0 to 1. */
  readonly scores: readonly { readonly name: string; readonly score: number }[];
  /** How far classifiers are apart on one category, from 0 to 1. */
  readonly disagreement: number;
}

export interface Picked<T> {
  readonly of: T;
  /** What it was picked by: the score nearest to where it could go either way, or that classifiers differ. */
  readonly why: string;
  /** From 0 to 1. */
  readonly worth: number;
}

/** The most worth knowing first. Throws RangeError beyond the bounds. */
export function pickNext<T>(pool: readonly PoolText<T>[], limit: number, threshold = 0.5): readonly Picked<T>[] {
  if (pool.length > POOL_MAX) throw new RangeError(`at most ${POOL_MAX} texts are looked at, these are ${pool.length}`);
  if (!Number.isInteger(limit) || limit < 1 || limit > NEXT_MAX) throw new RangeError(`at most ${NEXT_MAX} texts are picked, at least 1; ${limit} was asked for`);
  const left = pool.map((one) => ({ one, ...worthOf(one, threshold), vector: vectorOf(one.text, DIMENSIONS, ALL_RARE), likeness: 0 }));
  const picked: Picked<T>[] = [];
  while (picked.length < limit && left.length > 0) {
    const at = left.reduce((best, { worth, likeness }, index) => (worth * (1 - likeness) > left[best]!.worth * (1 - left[best]!.likeness) ? index : best), 0);
    const [best] = left.splice(at, 1) as [(typeof left)[number]];
    picked.push({ of: best.one.of, why: best.why, worth: best.worth * (1 - best.likeness) });
    for (const other of left) other.likeness = Math.max(other.likeness, cosineOf(best.vector, other.vector));
  }
  return picked;
}

function worthOf<T>({ scores, disagreement }: PoolText<T>, threshold: number): { readonly worth: number; readonly why: string } {
  const unsure = scores.map(({ name, score }) => ({ name, score, worth: score < threshold ? score / threshold : (1 - score) / (1 - threshold) }));
  const most = unsure.reduce<(typeof unsure)[number] | undefined>((one, other) => (one === undefined || other.worth > one.worth ? other : one), undefined);
  if (most === undefined || disagreement > most.worth) return { worth: disagreement, why: `classifiers differ by ${disagreement.toFixed(2)}` };
  return { worth: most.worth, why: `${most.name} ${most.score.toFixed(2)}` };
}

/** Both are of length one, or of zeros. */
function cosineOf(a: Float64Array, b: Float64Array): number {
  return Math.min(1, Math.max(0, a.reduce((sum, value, at) => sum + value * b[at]!, 0)));
}

/** The largest distance between the scores that classifiers give a category of one name. */
export function disagreementOf(results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number }[]): number {
  const scored = results.filter(({ score }) => score !== undefined);
  return Math.max(0, ...[...Map.groupBy(scored, ({ category }) => category.toLowerCase()).values()].map((all) => Math.max(...all.map(({ score }) => score!)) - Math.min(...all.map(({ score }) => score!))));
}
