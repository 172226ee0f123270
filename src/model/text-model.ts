/**
 * A trained model of texts: for each category a calibrated score from 0 to 1. A text is read whole and once more in
 * pieces of some sentences, and the worst piece counts as far as the category's `pieces` says: what stands in one
 * sentence of a long text must not drown in it.
 *
 * INVARIANT: a score depends on the text and the model alone. One model serves many texts, one after the other; it keeps
 * none. Pure.
 */
import { WindowCutter } from '../text/windows.ts';
import { calibrated, type Calibration } from './calibration.ts';
import { Features, FEATURE_CHARS_MAX, FEATURES_VERSION, stepRows, WORDS_MORE } from './features.ts';
import { Lexicon } from './lexicon.ts';
import { logitsOf, packed, unpacked, type Weights } from './linear.ts';
import { readTables, writeTables } from './tables.ts';

/** Characters from which sentences make a piece. */
export const PIECE_CHARS_MIN = 80;
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
  /** Hash and class in turn. */
  readonly lexicon: Int32Array;
  readonly weights: Weights;
}

export class TextModel {
  readonly parts: ModelParts;
  readonly #features: Features;
  readonly #shares: readonly number[];
  readonly #whole: Float64Array;
  readonly #piece: Float64Array;
  readonly #worst: Float64Array;

  constructor(parts: ModelParts) {
    this.parts = parts;
    this.#features = new Features(parts.buckets, new Lexicon(parts.classes, parts.lexicon));
    this.#shares = parts.heads.map(({ grams }) => grams);
    const columns = parts.heads.length;
    this.#whole = new Float64Array(columns);
    this.#piece = new Float64Array(columns);
    this.#worst = new Float64Array(columns);
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
    const { heads } = this.parts;
    this.#read(text, this.#whole);
    const pieces = piecesOf(text);
    if (pieces.length < 2) return this.#whole;
    this.#worst.fill(-Infinity);
    for (const piece of pieces) {
      this.#read(piece, this.#piece);
      for (let head = 0; head < heads.length; head += 1) this.#worst[head] = Math.max(this.#worst[head], this.#piece[head]);
    }
    for (let head = 0; head < heads.length; head += 1) this.#whole[head] += heads[head].pieces * (this.#worst[head] - this.#whole[head]);
    return this.#whole;
  }

  #read(text: string, out: Float64Array): void {
    this.#features.read(text);
    logitsOf(this.#features, this.parts.weights, this.parts.buckets, this.#shares, out);
    const { heads, classes } = this.parts;
    for (let one = 0; one < classes.length; one += 1) {
      const count = this.#features.count(one);
      if (count === 0) continue;
      const share = count / (this.#features.words + WORDS_MORE);
      for (let head = 0; head < heads.length; head += 1) out[head] += heads[head].densities[one] * share;
    }
  }
}

/** Sentences, joined until they are long enough to say something. */
export function piecesOf(text: string): readonly string[] {
  const pieces: string[] = [];
  let piece = '';
  const cutter = new WindowCutter('sentence');
  for (const window of [...cutter.feed(text), ...cutter.flush()]) {
    piece += window.text;
    if (piece.length < PIECE_CHARS_MIN) continue;
    pieces.push(piece);
    piece = '';
  }
  if (piece.trim() !== '') pieces.push(piece);
  return pieces;
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
export function readModel(file: Uint8Array): TextModel {
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
  const rows = unpacked(table('kept'), new Int8Array(packedRows.buffer, packedRows.byteOffset, packedRows.length), columns, about.buckets + stepRows(about.classes.length));
  return new TextModel({
    ...about,
    lexicon: new Int32Array(lexicon.buffer, lexicon.byteOffset, lexicon.length / 4),
    weights: { columns, rows, scales: new Float32Array(scales.buffer, scales.byteOffset, columns), biases: new Float32Array(biases.buffer, biases.byteOffset, columns) },
  });
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
