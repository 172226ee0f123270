/**
 * One matrix of small whole numbers for several categories at once: a row for each feature, a column for each category,
 * a scale for each column. All categories of a feature stand side by side, four to a word of 32 bits, and are added two
 * at a time, so that a feature costs one cache line and few steps. Pure.
 */

/** What a step of a class weighs against the hashed features, whose share is one over the root of their number. */
export const STEP_VALUE = 0.3;

export interface Weights {
  readonly columns: number;
  /** Rows of the n-grams, of the frames, of the steps, of the signs; `columns` each. */
  readonly rows: Int8Array;
  readonly scales: Float32Array;
  readonly biases: Float32Array;
}

/** So many sums of a byte fit into sixteen bits. */
const ROWS_AT_ONCE = 256;
const LOW_BYTES = 0x00ff00ff;
/** What is added to a weight so that it is no less than 0. */
const RAISED = 128;

/** The rows of a matrix as they are added fastest. */
export class RowSums {
  readonly columns: number;
  readonly #wordsPerRow: number;
  readonly #words: Int32Array;

  constructor(rows: Int8Array, columns: number) {
    this.columns = columns;
    this.#wordsPerRow = Math.ceil(columns / 4);
    const count = rows.length / columns;
    const bytes = new Uint8Array(count * this.#wordsPerRow * 4).fill(RAISED);
    for (let row = 0, from = 0; row < count; row += 1) for (let column = 0, to = row * this.#wordsPerRow * 4; column < columns; column += 1, from += 1, to += 1) bytes[to] = rows[from] + RAISED;
    this.#words = new Int32Array(bytes.length / 4);
    for (let word = 0, at = 0; word < this.#words.length; word += 1, at += 4) this.#words[word] = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }

  /** Adds to `sums` the rows that `list` names from `from` to before `to`; the first of all is row `first`. */
  add(list: Int32Array, from: number, to: number, first: number, sums: Float64Array): void {
    const words = this.#words, wordsPerRow = this.#wordsPerRow, { columns } = this;
    for (let begin = from; begin < to; begin += ROWS_AT_ONCE) {
      const end = Math.min(to, begin + ROWS_AT_ONCE);
      const raised = RAISED * (end - begin);
      for (let part = 0; part < wordsPerRow; part += 1) {
        const base = first * wordsPerRow + part;
        let even = 0, odd = 0;
        for (let at = begin; at < end; at += 1) {
          const word = words[base + list[at] * wordsPerRow];
          even = (even + (word & LOW_BYTES)) | 0;
          odd = (odd + ((word >>> 8) & LOW_BYTES)) | 0;
        }
        const column = 4 * part;
        sums[column] += (even & 0xffff) - raised;
        if (column + 1 < columns) sums[column + 1] += (odd & 0xffff) - raised;
        if (column + 2 < columns) sums[column + 2] += (even >>> 16) - raised;
        if (column + 3 < columns) sums[column + 3] += (odd >>> 16) - raised;
      }
    }
  }
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
