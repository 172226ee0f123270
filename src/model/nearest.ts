/**
 * How near a text is to the nearest of a library of texts: each is a vector of its words and pairs of words, hashed, the
 * rare ones weighing more; nearness is the cosine, calibrated to a score. The library is kept as vectors, not as text.
 *
 * INVARIANT: a score depends on the text and the library alone. Pure; keeps nothing of a text.
 */
import { calibrated, type Calibration } from './calibration.ts';
import { mix, wordHash } from './hash.ts';
import { readTables, writeTables } from './tables.ts';

/** Characters of a text that are looked at. */
export const NEAREST_CHARS_MAX = 4_096;
/** Buckets in which it is counted how rare a word is. */
export const RARITY_BUCKETS = 4_096;

const SEED_PAIR = 0x3f61a5;
const WORD = /[\p{L}\p{N}]+/gu;

export interface NearestParts {
  readonly id: string;
  readonly version: string;
  /** A power of two. */
  readonly dimensions: number;
  readonly calibration: Calibration;
  /** By bucket of a word's hash, 255 for the rarest. */
  readonly rarity: Uint8Array;
  /** `dimensions` numbers for each text, the longest vector is 127 long. */
  readonly vectors: Int8Array;
}

export class NearestModel {
  readonly parts: NearestParts;
  /** By dimension: its number of each text. A short text has few dimensions, and no others are looked at. */
  readonly #byDimension: Int8Array;
  /** Scratch. */
  readonly #sums: Float64Array;

  constructor(parts: NearestParts) {
    const { dimensions, vectors } = parts;
    const texts = vectors.length / dimensions;
    this.parts = parts;
    this.#byDimension = Int8Array.from(vectors, (_, i) => vectors[(i % texts) * dimensions + Math.trunc(i / texts)]);
    this.#sums = new Float64Array(texts);
  }

  /** From 0 to 1. */
  score(text: string): number {
    return calibrated(this.similarity(text), this.parts.calibration);
  }

  /** Cosine with the nearest of the library, from -1 to 1; 0 for a text without words. */
  similarity(text: string): number {
    const { dimensions, rarity } = this.parts;
    const sums = this.#sums;
    const vector = vectorOf(text, dimensions, rarity);
    sums.fill(0);
    let isEmpty = true;
    for (let at = 0; at < dimensions; at += 1) {
      const value = vector[at];
      if (value === 0) continue;
      isEmpty = false;
      const from = at * sums.length;
      for (let i = 0; i < sums.length; i += 1) sums[i] += value * this.#byDimension[from + i];
    }
    if (isEmpty || sums.length === 0) return 0;
    return sums.reduce((most, sum) => Math.max(most, sum), -Infinity) / VECTOR_SCALE;
  }
}

/** A vector of length 1, or of zeros. */
export function vectorOf(text: string, dimensions: number, rarity: Uint8Array): Float64Array {
  const vector = new Float64Array(dimensions);
  const seen = new Set<number>();
  const add = (hash: number): void => {
    if (seen.has(hash)) return;
    seen.add(hash);
    const spread = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    vector[(spread >>> 7) & (dimensions - 1)] += (spread < 0 ? -1 : 1) * rarity[rarityBucketOf(hash)];
  };
  for (const hash of hashesOf(text)) add(hash);
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}

/** Of each word, and of each two that follow each other. */
export function* hashesOf(text: string): Generator<number> {
  let before = 0;
  for (const word of text.slice(0, NEAREST_CHARS_MAX).toLowerCase().match(WORD) ?? []) {
    let hash = 0;
    for (let at = 0; at < word.length; at += 1) hash = wordHash(hash, word.charCodeAt(at));
    yield hash;
    if (before !== 0) yield mix(mix(SEED_PAIR, before), hash);
    before = hash;
  }
}

export function rarityBucketOf(hash: number): number {
  return (hash ^ (hash >>> 13)) & (RARITY_BUCKETS - 1);
}

/** What a vector of length 1 is multiplied with, to be kept as whole numbers. */
export const VECTOR_SCALE = 127;

export function writeNearest({ rarity, vectors, ...about }: NearestParts): Buffer {
  return writeTables(new Map<string, Uint8Array>([['about', Buffer.from(JSON.stringify(about))], ['rarity', rarity], ['vectors', new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.length)]]));
}

/** Throws an Error that says what is wrong with the file. */
export function readNearest(file: Uint8Array): NearestModel {
  const tables = readTables(file);
  const [about, rarity, vectors] = ['about', 'rarity', 'vectors'].map((name) => tables.get(name));
  if (about === undefined || rarity === undefined || vectors === undefined) throw new Error('the model file holds no library of texts; train it again');
  const parts = JSON.parse(Buffer.from(about).toString()) as Omit<NearestParts, 'rarity' | 'vectors'>;
  if (rarity.length !== RARITY_BUCKETS || vectors.length % parts.dimensions !== 0) throw new Error(`the library does not fit its ${parts.dimensions} dimensions; train it again`);
  return new NearestModel({ ...parts, rarity, vectors: new Int8Array(vectors.buffer, vectors.byteOffset, vectors.length) });
}
