/**
 * A text as numbers: its n-grams (src/model/grams.ts), and what a lexicon sees in it: how many words of each class there
 * are and what share they make up, which classes follow each other, and the frames of its sentences, in which a word
 * stands for its class, a short word for itself and any other for nothing in particular: "GROUP are VILE".
 *
 * INVARIANT: the same text and lexicon give the same features on every machine; a model is worth nothing under other
 * features, so `FEATURES_VERSION` changes with every line here or in grams.ts that changes one. Pure.
 */
import { FEATURE_CHARS_MAX, gramsOf, SEED_PAIR, SEED_TRIPLE, type Grams } from './grams.ts';
import { mix, wordHash } from './hash.ts';
import type { Lexicon } from './lexicon.ts';

/** Written into every model; a model of another version is refused. */
export const FEATURES_VERSION = 2;
/** Buckets of the frames and of the sequences of classes; a power of two. */
export const FRAME_BUCKETS = 1 << 16;

/** Counts and shares of a class from which its steps are set. */
const COUNT_STEPS: readonly number[] = [1, 2, 4, 8];
const SHARE_STEPS: readonly number[] = [0.01, 0.03, 0.07, 0.15, 0.3];
const STEPS_PER_CLASS = COUNT_STEPS.length + SHARE_STEPS.length;

/** Dense features of a lexicon: the steps of its classes, then each two of them that are both in a text. */
export function stepRows(classes: number): number {
  return classes * STEPS_PER_CLASS + (classes * (classes - 1)) / 2;
}

/** Added to the words of a text before shares are taken: one word of a class among three is no sign of a subject. */
export const WORDS_MORE = 20;
/** Words that may stand between two of a class for these to be neighbours. */
const GAP_WORDS = 4;
/** Longest frame, in words. */
const FRAME_WORDS_MAX = 5;

const SEED_CLASS = 0x19e377;
const SEED_FRAME = 0x3f84d5;
/** In a frame: where a piece begins, and any word that is long and of no class. */
const BEGIN = 0x5bd1e9;
const OTHER = 0x1b8735;

/** What a lexicon sees in a text or in one of its pieces. */
export class Sight {
  /** Buckets of frames and sequences, each once. */
  readonly frames: Int32Array;
  frameCount = 0;
  readonly steps: Int32Array;
  stepCount = 0;
  words = 0;
  readonly counts: Int32Array;

  constructor(classes: number, frames: number) {
    this.frames = new Int32Array(frames);
    this.steps = new Int32Array(stepRows(classes));
    this.counts = new Int32Array(classes);
  }

  clear(): void {
    this.frameCount = this.stepCount = this.words = 0;
    this.counts.fill(0);
  }

  /** The steps that follow from the counts. */
  finish(): void {
    const classes = this.counts.length;
    for (let one = 0; one < classes; one += 1) {
      const count = this.counts[one];
      if (count === 0) continue;
      const share = count / (this.words + WORDS_MORE);
      const first = one * STEPS_PER_CLASS;
      for (let step = 0; step < COUNT_STEPS.length && count >= COUNT_STEPS[step]; step += 1) this.steps[this.stepCount++] = first + step;
      for (let step = 0; step < SHARE_STEPS.length && share >= SHARE_STEPS[step]; step += 1) this.steps[this.stepCount++] = first + COUNT_STEPS.length + step;
      const pairs = classes * STEPS_PER_CLASS + (one * (one - 1)) / 2;
      for (let other = 0; other < one; other += 1) if (this.counts[other] > 0) this.steps[this.stepCount++] = pairs + other;
    }
  }
}

/** The features of the text that was read last. */
export class Features {
  readonly grams: Grams;
  readonly whole: Sight;
  /** The piece that was read last. */
  readonly piece: Sight;
  readonly #lexicon: Lexicon;
  readonly #metInText: Uint32Array;
  readonly #metInPiece: Uint32Array;
  #reading = 0;
  #pieceReading = 0;
  /** The last classes seen and how many words ago, for the sequences of classes. */
  #lastClass = -1;
  #classBefore = -1;
  #sinceClass = 0;
  /** The frame under way: hashes of its last words, the last first, and how long ago one had a class. */
  #f1 = 0;
  #f2 = 0;
  #f3 = 0;
  #f4 = 0;
  #sinceFramed = 0;

  /** `buckets` is a power of two. */
  constructor(buckets: number, lexicon: Lexicon) {
    this.grams = gramsOf(buckets);
    this.#lexicon = lexicon;
    this.whole = new Sight(lexicon.classes.length, 8 * FEATURE_CHARS_MAX);
    this.piece = new Sight(lexicon.classes.length, 8 * FEATURE_CHARS_MAX);
    this.#metInText = new Uint32Array(FRAME_BUCKETS);
    this.#metInPiece = new Uint32Array(FRAME_BUCKETS);
  }

  /** Reads the text; `eachPiece` is called with the number of each piece as soon as `piece` is what it has. */
  read(text: string, eachPiece: (piece: number) => void = NOTHING): void {
    const { grams, whole, piece } = this;
    grams.read(text);
    whole.clear();
    this.#reading += 1;
    for (let number = 0, from = 0; number < grams.pieces; number += 1) {
      piece.clear();
      this.#pieceReading += 1;
      this.#walk(from, (from = grams.tokenEnds[number]));
      whole.words += piece.words;
      for (let one = 0; one < whole.counts.length; one += 1) whole.counts[one] += piece.counts[one];
      piece.finish();
      eachPiece(number);
    }
    whole.finish();
  }

  /** The words of one piece. */
  #walk(from: number, to: number): void {
    const { tokens, short } = this.grams;
    this.#lastClass = this.#classBefore = -1;
    this.#sinceClass = 0;
    this.#f1 = BEGIN;
    this.#f2 = this.#f3 = this.#f4 = 0;
    this.#sinceFramed = FRAME_WORDS_MAX;
    let w1 = 0, w2 = 0;
    for (let at = from; at < to; at += 1) {
      const word = tokens[at];
      if (word >= 1 && word <= 3) { this.#frame(word, false); continue; }
      this.piece.words += 1;
      this.#sinceClass += 1;
      const own = this.#lexicon.classOf(word);
      if (own >= 0) this.#classed(own);
      let framed = own;
      if (w1 !== 0) {
        const pair = mix(mix(SEED_PAIR, w1), word);
        const both = this.#lexicon.classOf(pair);
        if (both >= 0) { this.#classed(both); framed = both; }
        if (w2 !== 0) {
          const all = this.#lexicon.classOf(mix(mix(mix(SEED_TRIPLE, w2), w1), word));
          if (all >= 0) { this.#classed(all); framed = all; }
        }
      }
      if (framed >= 0) this.#frame(mix(SEED_CLASS, framed + 1), true);
      else if (short[at] === 1) this.#frame(word, false);
      else if (this.#f1 !== OTHER) this.#frame(OTHER, false);
      w2 = w1;
      w1 = word;
    }
    this.#frame(BEGIN, false);
  }

  /** One more word of a frame: the frames of two to five words that end with it and have a class in them. */
  #frame(word: number, classed: boolean): void {
    this.#sinceFramed = classed ? 0 : this.#sinceFramed + 1;
    const since = this.#sinceFramed;
    if (since < FRAME_WORDS_MAX) {
      let frame = mix(SEED_FRAME, word);
      if (this.#f1 !== 0) {
        frame = mix(frame, this.#f1);
        if (since < 2) this.#set(frame);
        if (this.#f2 !== 0) {
          frame = mix(frame, this.#f2);
          if (since < 3) this.#set(frame);
          if (this.#f3 !== 0) {
            frame = mix(frame, this.#f3);
            if (since < 4) this.#set(frame);
            if (this.#f4 !== 0) this.#set(mix(frame, this.#f4));
          }
        }
      }
    }
    this.#f4 = this.#f3; this.#f3 = this.#f2; this.#f2 = this.#f1; this.#f1 = word;
  }

  #classed(one: number): void {
    this.piece.counts[one] += 1;
    if (this.#sinceClass > GAP_WORDS + 1) this.#lastClass = this.#classBefore = -1;
    if (this.#lastClass >= 0) {
      const pair = mix(mix(SEED_CLASS, this.#lastClass), one);
      this.#set(pair);
      if (this.#classBefore >= 0) this.#set(mix(pair, this.#classBefore + 0x100));
    }
    this.#classBefore = this.#lastClass;
    this.#lastClass = one;
    this.#sinceClass = 0;
  }

  #set(hash: number): void {
    const spread = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const bucket = (spread ^ (spread >>> 13)) & (FRAME_BUCKETS - 1);
    if (this.#metInPiece[bucket] === this.#pieceReading) return;
    this.#metInPiece[bucket] = this.#pieceReading;
    this.piece.frames[this.piece.frameCount++] = bucket;
    if (this.#metInText[bucket] === this.#reading) return;
    this.#metInText[bucket] = this.#reading;
    this.whole.frames[this.whole.frameCount++] = bucket;
  }
}

const NOTHING = (): void => undefined;

/** The hash under which a phrase of one to three words stands in a lexicon. */
export function phraseHash(phrase: string): number {
  const words = phrase.toLowerCase().split(' ').map((word) => {
    let hash = 0;
    for (let at = 0; at < word.length; at += 1) hash = wordHash(hash, word.charCodeAt(at));
    return hash;
  });
  const [first, second, third] = words;
  if (words.length === 1) return first;
  if (words.length === 2) return mix(mix(SEED_PAIR, first), second);
  return mix(mix(mix(SEED_TRIPLE, first), second), third);
}
