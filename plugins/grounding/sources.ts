/**
 * Sources, read once: where each stem stands, which sentences there are, what is written with a capital. Built in one
 * pass; looked into for every sentence of an answer. Keeps hashes and places, not the text. Pure.
 */
import { CAPITAL, NEGATION, readWords, SMALL, type Words } from './words.ts';

/** Places of one stem that are looked at: the first so many. Bounds what a hostile source costs. */
export const PLACES_MAX = 128;

export interface Strongest {
  /** -1 for none. */
  readonly sentence: number;
  readonly sum: number;
  /** The sum of the stronger of its neighbours. */
  readonly beside: number;
}

export class Sources {
  readonly words: Words;
  /** By sentence: its first word; one more than there are sentences. */
  readonly sentenceFrom: Int32Array;
  /** By sentence: how many of its words deny. */
  readonly negations: Uint8Array;
  /** By sentence: how many of its words are not small. */
  readonly content: Uint8Array;
  readonly #first = new Map<number, number>();
  readonly #next: Int32Array;
  readonly #prefixes = new Set<number>();
  readonly #capitals = new Set<number>();
  /** Length of the run that begins at a place, valid where its turn is the last but one. Saves emptying a table. */
  readonly #lengths: Uint16Array;
  readonly #turns: Int32Array;
  #turn = 0;
  /** What a search for the best sentence has found of each so far; all 0 in between. */
  readonly #sums: Float64Array;

  constructor(text: string) {
    const words = (this.words = readWords(text));
    const { count, stems, kinds, prefixes, sentences, sentenceCount } = words;
    this.sentenceFrom = new Int32Array(sentenceCount + 1).fill(count);
    this.negations = new Uint8Array(sentenceCount);
    this.content = new Uint8Array(sentenceCount);
    this.#sums = new Float64Array(sentenceCount);
    this.#next = new Int32Array(count).fill(-1);
    this.#lengths = new Uint16Array(count + 1);
    this.#turns = new Int32Array(count + 1);
    // Backwards, so that the places of a stem come out in order.
    for (let at = count - 1; at >= 0; at -= 1) {
      const after = this.#first.get(stems[at]);
      if (after !== undefined) this.#next[at] = after;
      this.#first.set(stems[at], at);
      this.sentenceFrom[sentences[at]] = at;
      if ((kinds[at] & NEGATION) !== 0) this.negations[sentences[at]] += 1;
      if ((kinds[at] & SMALL) === 0) this.content[sentences[at]] += 1;
      if ((kinds[at] & CAPITAL) !== 0) this.#capitals.add(stems[at]);
      if (prefixes[at] !== 0) this.#prefixes.add(prefixes[at]);
    }
    for (let one = sentenceCount - 1; one >= 0; one -= 1) this.sentenceFrom[one] = Math.min(this.sentenceFrom[one], this.sentenceFrom[one + 1]);
  }

  /** The first place of a stem, or -1. */
  first(stem: number): number {
    return this.#first.get(stem) ?? -1;
  }

  /** The place after this one of the same stem, or -1. */
  next(place: number): number {
    return this.#next[place];
  }

  has(stem: number): boolean {
    return this.#first.has(stem);
  }

  hasPrefix(prefix: number): boolean {
    return prefix !== 0 && this.#prefixes.has(prefix);
  }

  /** Written with a capital somewhere within a sentence: a name. */
  isName(stem: number): boolean {
    return this.#capitals.has(stem);
  }

  /** Whether a stem, told by its first place, stands in a sentence. */
  standsIn(first: number, sentence: number): boolean {
    const [from, to] = [this.sentenceFrom[sentence], this.sentenceFrom[sentence + 1]];
    let place = first;
    for (let seen = 0; place >= 0 && place < from && seen < PLACES_MAX; seen += 1) place = this.#next[place];
    return place >= from && place < to;
  }

  /** The sentence with the greatest sum of weights, each stem once. Stems by their first place, -1 for none. */
  best(firsts: Int32Array, weights: Float64Array): Strongest {
    const { sentences } = this.words;
    const touched: number[] = [];
    this.#turn += 1;
    for (let order = 0; order < firsts.length; order += 1) {
      const first = firsts[order];
      if (first < 0 || weights[order] === 0 || this.#turns[first] === this.#turn) continue;
      this.#turns[first] = this.#turn;
      let last = -1;
      for (let place = first, seen = 0; place >= 0 && seen < PLACES_MAX; place = this.#next[place], seen += 1) {
        const sentence = sentences[place];
        if (sentence === last) continue;
        last = sentence;
        if (this.#sums[sentence] === 0) touched.push(sentence);
        this.#sums[sentence] += weights[order];
      }
    }
    let sentence = -1, sum = 0;
    for (const one of touched) if (this.#sums[one] > sum || (this.#sums[one] === sum && one < sentence)) { sentence = one; sum = this.#sums[one]; }
    const beside = sentence < 0 ? 0 : Math.max(this.#sums[sentence - 1] ?? 0, this.#sums[sentence + 1] ?? 0);
    for (const one of touched) this.#sums[one] = 0;
    return { sentence, sum, beside };
  }

  /** For each word, told by its first place, the longest run from it on that stands here too. */
  runsOf(firsts: Int32Array): Int32Array {
    const count = firsts.length;
    const runs = new Int32Array(count);
    this.#turn += 1;
    for (let at = count - 1; at >= 0; at -= 1) {
      const before = this.#turn;
      this.#turn += 1;
      // In order, so that the place behind still tells of the word behind.
      for (let place = firsts[at], seen = 0; place >= 0 && seen < PLACES_MAX; place = this.#next[place], seen += 1) {
        const length = 1 + (this.#turns[place + 1] === before ? this.#lengths[place + 1] : 0);
        this.#lengths[place] = length;
        this.#turns[place] = this.#turn;
        if (length > runs[at]) runs[at] = length;
      }
    }
    return runs;
  }
}
