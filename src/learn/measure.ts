/**
 * How good scores are, given what is true: areas under the curves, recall at a false-positive rate, calibration error,
 * and intervals by drawing the rows again. Pure; chance comes from a seed.
 */

export interface Judged {
  readonly score: number;
  /** 1 or 0. */
  readonly truth: number;
}

/** Mean precision over the positives, ties as one step (average precision). NaN without positives. */
export function auprcOf(rows: readonly Judged[]): number {
  const positives = rows.reduce((sum, { truth }) => sum + truth, 0);
  let hits = 0, area = 0;
  for (const { hit, seen, truths } of stepsOf(rows)) {
    hits = hit;
    area += (truths / positives) * (hits / seen);
  }
  return positives === 0 ? NaN : area;
}

/** The chance that a positive scores above a negative; ties count half. */
export function aurocOf(rows: readonly Judged[]): number {
  const positives = rows.reduce((sum, { truth }) => sum + truth, 0);
  const negatives = rows.length - positives;
  let area = 0, before = 0;
  for (const { hit, truths, falses } of stepsOf(rows)) {
    area += falses * (before + truths / 2);
    before = hit;
  }
  return positives === 0 || negatives === 0 ? NaN : area / (positives * negatives);
}

/** The lowest threshold at which at most `rate` of the negatives score at or above it, and the recall there. */
export function atFalsePositiveRate(rows: readonly Judged[], rate: number): { readonly threshold: number; readonly recall: number } {
  const positives = rows.reduce((sum, { truth }) => sum + truth, 0);
  const allowed = Math.floor(rate * (rows.length - positives));
  let best = { threshold: Infinity, recall: 0 };
  for (const { score, hit, seen } of stepsOf(rows)) {
    if (seen - hit > allowed) break;
    best = { threshold: score, recall: hit / positives };
  }
  return best;
}

/** Mean distance of what was claimed from what came true, over ten bins of equal width, weighted by their rows. */
export function calibrationErrorOf(rows: readonly Judged[]): number {
  return binsOf(rows).reduce((sum, { n, claimed, true: share }) => sum + (n / rows.length) * Math.abs(claimed - share), 0);
}

export function binsOf(rows: readonly Judged[]): readonly { readonly n: number; readonly claimed: number; readonly true: number }[] {
  const bins = Array.from({ length: 10 }, () => ({ n: 0, claimed: 0, true: 0 }));
  for (const { score, truth } of rows) {
    const bin = bins[Math.min(9, Math.floor(score * 10))];
    bin.n += 1;
    bin.claimed += score;
    bin.true += truth;
  }
  return bins.filter(({ n }) => n > 0).map(({ n, claimed, true: truths }) => ({ n, claimed: claimed / n, true: truths / n }));
}

/** Middle 95 % of a measure over rows drawn again, with replacement. */
export function intervalOf(rows: readonly Judged[], measure: (rows: readonly Judged[]) => number, random: () => number, draws = 300): readonly [number, number] {
  const values: number[] = [];
  for (let draw = 0; draw < draws; draw += 1) {
    const value = measure(rows.map(() => rows[Math.floor(random() * rows.length)]));
    if (Number.isFinite(value)) values.push(value);
  }
  values.sort((a, b) => a - b);
  return [values[Math.floor(0.025 * values.length)] ?? NaN, values[Math.ceil(0.975 * values.length) - 1] ?? NaN];
}

/** Numbers from 0 to below 1 that follow from a seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Step {
  readonly score: number;
  /** Positives and rows at or above the score. */
  readonly hit: number;
  readonly seen: number;
  /** Positives and negatives of this score. */
  readonly truths: number;
  readonly falses: number;
}

/** From the highest score down, one step for each. */
export function* stepsOf(rows: readonly Judged[]): Generator<Step> {
  const sorted = [...rows].sort((a, b) => b.score - a.score);
  let hit = 0;
  for (let at = 0; at < sorted.length;) {
    const { score } = sorted[at];
    if (Number.isNaN(score)) throw new Error('a score is NaN; leave out rows that have none');
    const from = at;
    let truths = 0;
    for (; at < sorted.length && sorted[at].score === score; at += 1) truths += sorted[at].truth;
    hit += truths;
    yield { score, hit, seen: at, truths, falses: at - from - truths };
  }
}
