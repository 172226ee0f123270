/**
 * A trained model of texts: for each category a calibrated score from 0 to 1. A text is read whole and once more in
 * pieces of some sentences, and the worst piece counts as far as the category's `pieces` says: what stands in one
 * sentence of a long text must not drown in it.
 *
 * INVARIANT: a score depends on the text and the model alone. One model serves many texts, one after the other; it keeps
 * none. Pure.
 */
import { calibrated, type Calibration } from './calibration.ts';
import { Features, FEATURES_VERSION, FRAME_BUCKETS, stepRows, WORDS_MORE, type Sight } from './features.ts';
import { FEATURE_CHARS_MAX } from './grams.ts';
import { Lexicon } from './lexicon.ts';
import { packed, RowSums, STEP_VALUE, unpacked, type Weights } from './linear.ts';
import { NO_SIGNS, type Signs } from './signs.ts';
import { readTables, writeTables } from './tables.ts';

/** Characters of a text that are read in one go; a longer one is read in several, and the worst counts. */
export const PART_CHARS_MAX = FEATURE_CHARS_MAX;

export interface Head {
  readonly category: string;
  /** How much the worst piece counts against the whole, from 0 (not at all) to 1 (alone). */
  readonly pieces: number;
  /** How much the hashed features count against the steps; 1 as learnt. Less where the texts differ from those learnt from. */
  readonly grams: number;
  /** For each class of the lexicon: what is added to the log-odds for the part of the text that it makes up. */
  readonly densities: readonly number[];
  readonly calibration: Calibration;
}

export interface ModelParts {
  readonly id: string;
  readonly version: string;
  readonly languages: readonly string[];
  readonly buckets: number;
  readonly heads: readonly Head[];
  readonly classes: readonly string[];
  /** Names of the signs that it was taught. */
  readonly signs: readonly string[];
  /** Hash and class in turn. */
  readonly lexicon: Int32Array;
  readonly weights: Weights;
}

/** Rows of a matrix: of n-grams, frames, steps, signs, in this order. */
export function rowsOf(buckets: number, classes: number, signs: number): number {
  return buckets + FRAME_BUCKETS + stepRows(classes) + signs;
}

export class TextModel {
  readonly parts: ModelParts;
  readonly #features: Features;
  readonly #signs: Signs;
  readonly #sums: RowSums;
  readonly #whole: Float64Array;
  readonly #piece: Float64Array;
  readonly #worst: Float64Array;
  readonly #gramSums: Float64Array;
  readonly #frameSums: Float64Array;
  readonly #stepSums: Float64Array;
  /** N-grams of the whole, as the pieces bring them. */
  readonly #wholeSums: Float64Array;

  /** `signs` must be those that the model was taught. */
  constructor(parts: ModelParts, signs: Signs = NO_SIGNS) {
    if (parts.signs.join() !== signs.names.join()) throw new Error(`the model was taught the signs [${parts.signs.join(', ')}], this program has [${signs.names.join(', ')}]; train it again`);
    this.parts = parts;
    this.#signs = signs;
    this.#features = new Features(parts.buckets, new Lexicon(parts.classes, parts.lexicon));
    const columns = parts.heads.length;
    this.#sums = new RowSums(parts.weights.rows, columns);
    [this.#whole, this.#piece, this.#worst, this.#gramSums, this.#frameSums, this.#stepSums, this.#wholeSums] = Array.from({ length: 7 }, () => new Float64Array(columns)) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
  }

  /** The calibrated score of each head, in order. */
  scores(text: string): Float64Array {
    return this.logits(text).map((logit, head) => calibrated(logit, this.parts.heads[head].calibration));
  }

  /** The log-odds of each head before calibration. */
  logits(text: string): Float64Array {
    const worst = new Float64Array(this.parts.heads.length).fill(-Infinity);
    for (let from = 0; from === 0 || from < text.length; from += PART_CHARS_MAX) {
      this.#part(text.slice(from, from + PART_CHARS_MAX)).forEach((logit, head) => { worst[head] = Math.max(worst[head], logit); });
    }
    return worst;
  }

  #part(text: string): Float64Array {
    const { heads, buckets } = this.parts;
    const { grams, piece, whole } = this.#features;
    this.#worst.fill(-Infinity);
    this.#wholeSums.fill(0);
    let freshFrom = 0, againFrom = 0;
    this.#features.read(text, (number) => {
      const [freshTo, againTo] = [grams.freshEnds[number], grams.againEnds[number]];
      this.#gramSums.fill(0);
      this.#sums.add(grams.fresh, freshFrom, freshTo, 0, this.#gramSums);
      for (let head = 0; head < heads.length; head += 1) this.#wholeSums[head] += this.#gramSums[head];
      this.#sums.add(grams.again, againFrom, againTo, 0, this.#gramSums);
      this.#weigh(this.#gramSums, freshTo - freshFrom + againTo - againFrom, piece, this.#piece);
      for (let head = 0; head < heads.length; head += 1) this.#worst[head] = Math.max(this.#worst[head], this.#piece[head]);
      freshFrom = freshTo;
      againFrom = againTo;
    });
    // A text of one piece is that piece.
    if (grams.pieces === 1) this.#whole.set(this.#piece);
    else this.#weigh(this.#wholeSums, grams.freshCount, whole, this.#whole);
    for (let head = 0; head < heads.length; head += 1) this.#whole[head] += heads[head].pieces * (this.#worst[head] - this.#whole[head]);
    for (const sign of this.#signs.of(text)) this.#addSign(buckets + FRAME_BUCKETS + stepRows(this.parts.classes.length) + sign);
    return this.#whole;
  }

  /** The log-odds of the whole text or of a piece, into `out`. */
  #weigh(gramSums: Float64Array, gramCount: number, sight: Sight, out: Float64Array): void {
    const { heads, classes, weights: { scales, biases }, buckets } = this.parts;
    this.#frameSums.fill(0);
    this.#stepSums.fill(0);
    this.#sums.add(sight.frames, 0, sight.frameCount, buckets, this.#frameSums);
    this.#sums.add(sight.steps, 0, sight.stepCount, buckets + FRAME_BUCKETS, this.#stepSums);
    const [gramShare, frameShare] = [shareOf(gramCount), shareOf(sight.frameCount)];
    for (let head = 0; head < heads.length; head += 1) out[head] = (gramSums[head] * gramShare * heads[head].grams + this.#frameSums[head] * frameShare + this.#stepSums[head] * STEP_VALUE) * scales[head] + biases[head];
    for (let one = 0; one < classes.length; one += 1) {
      const count = sight.counts[one];
      if (count === 0) continue;
      const share = count / (sight.words + WORDS_MORE);
      for (let head = 0; head < heads.length; head += 1) out[head] += heads[head].densities[one] * share;
    }
  }

  #addSign(row: number): void {
    const { heads, weights: { rows, scales } } = this.parts;
    for (let head = 0; head < heads.length; head += 1) this.#whole[head] += rows[row * heads.length + head] * STEP_VALUE * scales[head];
  }
}

/** What one of so many features counts. */
export function shareOf(count: number): number {
  return count === 0 ? 0 : 1 / Math.sqrt(count);
}

export function writeModel(parts: ModelParts): Buffer {
  const { weights, lexicon, ...about } = parts;
  const { kept, rows } = packed(weights.rows, weights.columns);
  const lines = JSON.stringify({ features: FEATURES_VERSION, ...about });
  return writeTables(new Map<string, Uint8Array>([
    ['about', Buffer.from(lines)], ['lexicon', bytesOf(lexicon)], ['scales', bytesOf(weights.scales)], ['biases', bytesOf(weights.biases)], ['kept', kept], ['rows', bytesOf(rows)],
  ]));
}

/** Throws an Error that says what is wrong with the file. */
export function readModel(file: Uint8Array, signs: Signs = NO_SIGNS): TextModel {
  const tables = readTables(file);
  const table = (name: string): Uint8Array => {
    const bytes = tables.get(name);
    if (bytes === undefined) throw new Error(`the model file has no table ${name}; train it again`);
    return bytes;
  };
  const { features, ...about } = JSON.parse(Buffer.from(table('about')).toString()) as Omit<ModelParts, 'lexicon' | 'weights'> & { readonly features: number };
  if (features !== FEATURES_VERSION) throw new Error(`the model was made for features of version ${features}, this program has ${FEATURES_VERSION}; train it again`);
  const columns = about.heads.length;
  const [lexicon, scales, biases, packedRows] = [table('lexicon'), table('scales'), table('biases'), table('rows')];
  const rows = unpacked(table('kept'), new Int8Array(packedRows.buffer, packedRows.byteOffset, packedRows.length), columns, rowsOf(about.buckets, about.classes.length, about.signs.length));
  return new TextModel({
    ...about,
    lexicon: new Int32Array(lexicon.buffer, lexicon.byteOffset, lexicon.length / 4),
    weights: { columns, rows, scales: new Float32Array(scales.buffer, scales.byteOffset, columns), biases: new Float32Array(biases.buffer, biases.byteOffset, columns) },
  }, signs);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
