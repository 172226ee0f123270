/**
 * What unlabelled text says of words: how often each stands with a capital inside a sentence, and which stand where it
 * stands. Words are grouped by their neighbours (counts of the most frequent words to the left and right, damped, drawn
 * together by chance into few numbers, grouped twice by nearest means). Texts come one by one and are not kept.
 * Deterministic. Pure.
 */
import { SHAPES, Tokens } from '../model/tokens.ts';
import { randomOf } from './measure.ts';

export interface WordCounts {
  /** Times it was read, and of those inside a sentence (not first) how often in small and in capital letters. */
  readonly seen: number;
  readonly lower: number;
  readonly capital: number;
}

const VOCABULARY_MAX = 24_000;
const NEIGHBOURS = 600;
const DIMENSIONS = 64;
const SEEN_MIN = 6;
const WIDE = 32;
const NARROW = 16;
const ROUNDS = 8;
/** Distance between the clusters of a wide one and the next: `cluster >> 6` is the wide one. */
const STRIDE = 64;

export class WordStatistics {
  readonly #tokens = new Tokens();
  readonly #counts = new Map<number, [seen: number, lower: number, capital: number]>();
  /** Word hashes of all texts in order; 0 between texts. */
  #stream = new Int32Array(1 << 20);
  #length = 0;

  read(text: string): void {
    const { words, shapes } = this.#tokens;
    for (let from = 0; from < text.length;) {
      from = this.#tokens.read(text, from);
      const { count } = this.#tokens;
      let lowers = 0, capitals = 0;
      for (let at = 0; at < count; at += 1) {
        if (shapes[at] === SHAPES.lower) lowers += 1;
        else if (shapes[at] < SHAPES.line) capitals += 1;
      }
      // A text in titles or capitals, or without any, says nothing of its words.
      const telling = lowers > 2 * capitals && capitals > 0;
      for (let at = 0; at < count; at += 1) {
        const isWord = shapes[at] < SHAPES.line;
        this.#push(words[at]);
        if (!isWord) continue;
        let known = this.#counts.get(words[at]);
        if (known === undefined) this.#counts.set(words[at], (known = [0, 0, 0]));
        known[0] += 1;
        const first = at === 0 || shapes[at - 1] === SHAPES.sign || shapes[at - 1] === SHAPES.line;
        if (telling && !first) known[shapes[at] === SHAPES.lower ? 1 : 2] += 1;
      }
    }
    this.#push(0);
  }

  #push(word: number): void {
    if (this.#length === this.#stream.length) {
      const longer = new Int32Array(2 * this.#length);
      longer.set(this.#stream);
      this.#stream = longer;
    }
    this.#stream[this.#length++] = word;
  }

  /** Of each word that was read often enough, the most frequent first. */
  counts(): ReadonlyMap<number, WordCounts> {
    const often = [...this.#counts].filter(([, [seen]]) => seen >= SEEN_MIN).sort((a, b) => b[1][0] - a[1][0] || a[0] - b[0]);
    return new Map(often.map(([word, [seen, lower, capital]]) => [word, { seen, lower, capital }]));
  }

  /** The cluster of each of the most frequent words, from 1. */
  clusters(seed: number): ReadonlyMap<number, number> {
    const words = [...this.counts().keys()].slice(0, VOCABULARY_MAX);
    const random = randomOf(seed);
    const vectors = this.#vectors(words, random);
    const wide = grouped(vectors, words.map((_, at) => at), WIDE, random);
    const found = new Map<number, number>();
    for (const [group, members] of wide.entries()) {
      for (const [part, own] of grouped(vectors, members, NARROW, random).entries()) for (const at of own) found.set(words[at], group * STRIDE + part + 1);
    }
    return found;
  }

  /** A row of `DIMENSIONS` for each word, of length one. */
  #vectors(words: readonly number[], random: () => number): Float32Array {
    const index = new Map(words.map((word, at) => [word, at]));
    const width = 2 * NEIGHBOURS;
    const near = new Float32Array(words.length * width);
    let before = -1;
    for (let at = 0; at < this.#length; at += 1) {
      const word = this.#stream[at] === 0 ? -1 : index.get(this.#stream[at]) ?? -1;
      if (word >= 0 && before >= 0) {
        if (before < NEIGHBOURS) near[word * width + before] += 1;
        if (word < NEIGHBOURS) near[before * width + NEIGHBOURS + word] += 1;
      }
      before = word;
    }
    damp(near, words.length, width);
    const directions = Float32Array.from({ length: width * DIMENSIONS }, () => (random() < 0.5 ? -1 : 1));
    const vectors = new Float32Array(words.length * DIMENSIONS);
    for (let word = 0; word < words.length; word += 1) {
      const row = word * DIMENSIONS;
      for (let column = 0; column < width; column += 1) {
        const value = near[word * width + column];
        if (value === 0) continue;
        for (let one = 0; one < DIMENSIONS; one += 1) vectors[row + one] += value * directions[column * DIMENSIONS + one];
      }
      normalise(vectors, row);
    }
    return vectors;
  }
}

/** Counts become how much more often than by chance two stand together, in logarithms, none below zero. */
function damp(near: Float32Array, rows: number, width: number): void {
  const [rowSums, columnSums] = [new Float64Array(rows), new Float64Array(width)];
  let all = 0;
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < width; column += 1) {
    const value = near[row * width + column];
    rowSums[row] += value;
    columnSums[column] += value;
    all += value;
  }
  for (let row = 0; row < rows; row += 1) for (let column = 0; column < width; column += 1) {
    const value = near[row * width + column];
    if (value > 0) near[row * width + column] = Math.max(0, Math.log((value * all) / (rowSums[row] * columnSums[column])));
  }
}

/** Members by nearest mean, `groups` at most; deterministic for the chance that is given. */
function grouped(vectors: Float32Array, members: readonly number[], groups: number, random: () => number): readonly (readonly number[])[] {
  const count = Math.min(groups, members.length);
  const means = new Float32Array(count * DIMENSIONS);
  for (let group = 0; group < count; group += 1) {
    const member = members[Math.floor(random() * members.length)];
    means.set(vectors.subarray(member * DIMENSIONS, (member + 1) * DIMENSIONS), group * DIMENSIONS);
  }
  let own: number[][] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    own = Array.from({ length: count }, () => []);
    for (const member of members) own[nearest(vectors, member * DIMENSIONS, means, count)].push(member);
    for (const [group, list] of own.entries()) {
      if (list.length === 0) continue;
      means.fill(0, group * DIMENSIONS, (group + 1) * DIMENSIONS);
      for (const member of list) for (let one = 0; one < DIMENSIONS; one += 1) means[group * DIMENSIONS + one] += vectors[member * DIMENSIONS + one];
      normalise(means, group * DIMENSIONS);
    }
  }
  return own;
}

function nearest(vectors: Float32Array, row: number, means: Float32Array, count: number): number {
  let best = 0, most = -Infinity;
  for (let group = 0; group < count; group += 1) {
    let sum = 0;
    for (let one = 0; one < DIMENSIONS; one += 1) sum += vectors[row + one] * means[group * DIMENSIONS + one];
    if (sum > most) [best, most] = [group, sum];
  }
  return best;
}

function normalise(vectors: Float32Array, row: number): void {
  let length = 0;
  for (let one = 0; one < DIMENSIONS; one += 1) length += vectors[row + one] ** 2;
  if (length === 0) return;
  const share = 1 / Math.sqrt(length);
  for (let one = 0; one < DIMENSIONS; one += 1) vectors[row + one] *= share;
}
