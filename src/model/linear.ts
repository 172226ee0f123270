/**
 * One matrix of small whole numbers for several categories at once: a row for each feature, a column for each category,
 * a scale for each column. All categories of a feature stand side by side, so that a feature costs one cache line.
 * Pure.
 */
import type { Features } from './features.ts';

/** What a step of a class weighs against the hashed features, whose share is one over the root of their number. */
export const STEP_VALUE = 0.3;

export interface Weights {
  readonly columns: number;
  /** Rows of the hashed features, then of the steps; `columns` each. */
  readonly rows: Int8Array;
  readonly scales: Float32Array;
  readonly biases: Float32Array;
}

/** The log-odds of each category, into `out`. `shares`: by category, how much the hashed features count against the steps. */
export function logitsOf(features: Features, { columns, rows, scales, biases }: Weights, buckets: number, shares: readonly number[], out: Float64Array): void {
  const { hashed, hashedCount, steps, stepCount } = features;
  const sums = new Int32Array(columns);
  for (let at = 0; at < hashedCount; at += 1) {
    const row = hashed[at] * columns;
    for (let column = 0; column < columns; column += 1) sums[column] += rows[row + column];
  }
  const share = hashedCount === 0 ? 0 : 1 / Math.sqrt(hashedCount);
  for (let column = 0; column < columns; column += 1) out[column] = sums[column] * share * shares[column];
  for (let at = 0; at < stepCount; at += 1) {
    const row = (buckets + steps[at]) * columns;
    for (let column = 0; column < columns; column += 1) out[column] += rows[row + column] * STEP_VALUE;
  }
  for (let column = 0; column < columns; column += 1) out[column] = out[column] * scales[column] + biases[column];
}

/** Weights as whole numbers from -127 to 127. The step is chosen so that only one weight in ten thousand is cut off. */
export function quantised(weights: Float32Array, biases: readonly number[]): Weights {
  const columns = biases.length;
  const scales = new Float32Array(columns);
  const rows = new Int8Array(weights.length);
  for (let column = 0; column < columns; column += 1) {
    const sizes: number[] = [];
    for (let at = column; at < weights.length; at += columns) if (weights[at] !== 0) sizes.push(Math.abs(weights[at]));
    const sorted = Float32Array.from(sizes).sort();
    const scale = sorted.length === 0 ? 1 : sorted[Math.floor(0.9999 * (sorted.length - 1))] / 127;
    scales[column] = scale;
    for (let at = column; at < weights.length; at += columns) rows[at] = Math.max(-127, Math.min(127, Math.round(weights[at] / scale)));
  }
  return { columns, rows, scales, biases: Float32Array.from(biases) };
}

/** Rows that are not all zero, and a bit for each row that says which those are. */
export function packed(rows: Int8Array, columns: number): { readonly kept: Uint8Array; readonly rows: Int8Array } {
  const count = rows.length / columns;
  const kept = new Uint8Array(Math.ceil(count / 8));
  const parts = new Int8Array(rows.length);
  let to = 0;
  for (let row = 0; row < count; row += 1) {
    const one = rows.subarray(row * columns, (row + 1) * columns);
    if (one.every((weight) => weight === 0)) continue;
    kept[row >> 3] |= 1 << (row & 7);
    parts.set(one, to);
    to += columns;
  }
  return { kept, rows: parts.slice(0, to) };
}

/** The reverse. Throws where the bits and the rows do not fit each other. */
export function unpacked(kept: Uint8Array, rows: Int8Array, columns: number, count: number): Int8Array {
  if (kept.length !== Math.ceil(count / 8)) throw new Error(`the model has marks for ${kept.length * 8} rows; its features need ${count}`);
  const all = new Int8Array(count * columns);
  let from = 0;
  for (let row = 0; row < count; row += 1) {
    if ((kept[row >> 3] & (1 << (row & 7))) === 0) continue;
    all.set(rows.subarray(from, from + columns), row * columns);
    from += columns;
  }
  if (from !== rows.length) throw new Error(`the model has ${rows.length / columns} rows; ${from / columns} are marked`);
  return all;
}
