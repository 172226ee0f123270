/**
 * A text as numbers: hashed character 3–5-grams and word 1–3-grams, the classes of its words in a lexicon, and what
 * classes follow each other. One pass, into buffers that are used again, each feature once per text.
 *
 * INVARIANT: the same text and lexicon give the same features on every machine; a model is worth nothing under other
 * features, so `FEATURES_VERSION` changes with every line here that changes one. Pure; keeps nothing of a text.
 */
import type { Lexicon } from './lexicon.ts';
import { wordHash, mix } from './hash.ts';

/** Written into every model; a model of another version is refused. */
export const FEATURES_VERSION = 1;
/** Characters of one text that are read; the rest must be given as further texts (windows). */
export const FEATURE_CHARS_MAX = 16_384;

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
/** Characters of a word that are read; what is longer is data, not language. */
const WORD_CHARS_MAX = 40;

const SPACE = 0x20;
const SEED_PAIR = 0x51ed27;
const SEED_TRIPLE = 0x2c1b3c;
const SEED_GRAM = 0x7a3d91;
const SEED_CLASS = 0x19e377;

/** The features of the text that was read last: `hashed[0 … hashedCount)` are buckets, `steps` dense ones. */
export class Features {
  readonly hashed = new Int32Array(8 * FEATURE_CHARS_MAX);
  hashedCount = 0;
  readonly steps: Int32Array;
  stepCount = 0;
  words = 0;
  readonly #buckets: number;
  readonly #lexicon: Lexicon;
  /** When a bucket was last set: in the reading of that number. Saves emptying a table for each text. */
  readonly #setIn: Uint32Array;
  #reading = 0;
  readonly #classCounts: Int32Array;
  /** The last two classes seen and how many words ago, for the sequences of classes. */
  #lastClass = -1;
  #classBefore = -1;
  #sinceClass = 0;

  /** `buckets` is a power of two. */
  constructor(buckets: number, lexicon: Lexicon) {
    this.#buckets = buckets;
    this.#lexicon = lexicon;
    this.#setIn = new Uint32Array(buckets);
    this.#classCounts = new Int32Array(lexicon.classes.length);
    this.steps = new Int32Array(stepRows(lexicon.classes.length));
  }

  read(text: string): void {
    this.#begin();
    const lower = text.slice(0, FEATURE_CHARS_MAX).toLowerCase();
    let c1 = 0, c2 = 0, c3 = 0, c4 = SPACE;
    let word = 0, wordChars = 0, w1 = 0, w2 = 0;
    for (let at = 0; at <= lower.length; at += 1) {
      let code = at < lower.length ? lower.charCodeAt(at) : SPACE;
      const kind = kindOf(code);
      if (kind === BETWEEN) {
        if (c4 === SPACE) continue;
        code = SPACE;
      } else if (code === c4 && code === c3) continue;
      if (wordChars > 0 && (kind !== LETTER || wordChars >= WORD_CHARS_MAX)) {
        this.#word(word, w1, w2);
        w2 = w1; w1 = word; word = 0; wordChars = 0;
      }
      if (kind === LETTER) { word = wordHash(word, code); wordChars += 1; }
      else if (kind === ALONE) { const whole = wordHash(0, code); this.#word(whole, w1, w2); w2 = w1; w1 = whole; }
      const gram3 = mix(mix(SEED_GRAM ^ code, c4), c3);
      const gram4 = mix(gram3, c2);
      if (c3 !== 0) this.#set(gram3);
      if (c2 !== 0) { this.#set(gram4 ^ SEED_PAIR); if (c1 !== 0) this.#set(mix(gram4, c1) ^ SEED_TRIPLE); }
      c1 = c2; c2 = c3; c3 = c4; c4 = code;
    }
    this.#finish();
  }

  /** How many words and phrases of a class the text has. */
  count(one: number): number {
    return this.#classCounts[one];
  }

  #begin(): void {
    this.hashedCount = 0;
    this.stepCount = 0;
    this.words = 0;
    this.#lastClass = -1;
    this.#classBefore = -1;
    this.#sinceClass = 0;
    this.#classCounts.fill(0);
    this.#reading += 1;
  }

  #word(word: number, w1: number, w2: number): void {
    this.words += 1;
    this.#sinceClass += 1;
    this.#set(word);
    this.#classed(this.#lexicon.classOf(word));
    if (w1 === 0) return;
    const pair = mix(mix(SEED_PAIR, w1), word);
    this.#set(pair);
    this.#classed(this.#lexicon.classOf(pair));
    if (w2 === 0) return;
    const triple = mix(mix(mix(SEED_TRIPLE, w2), w1), word);
    this.#set(triple);
    this.#classed(this.#lexicon.classOf(triple));
  }

  #classed(one: number): void {
    if (one < 0) return;
    this.#classCounts[one] += 1;
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

  #finish(): void {
    const classes = this.#classCounts.length;
    for (let one = 0; one < classes; one += 1) {
      const count = this.#classCounts[one];
      if (count === 0) continue;
      const share = count / (this.words + WORDS_MORE);
      const first = one * STEPS_PER_CLASS;
      for (let step = 0; step < COUNT_STEPS.length && count >= COUNT_STEPS[step]; step += 1) this.steps[this.stepCount++] = first + step;
      for (let step = 0; step < SHARE_STEPS.length && share >= SHARE_STEPS[step]; step += 1) this.steps[this.stepCount++] = first + COUNT_STEPS.length + step;
      for (let other = 0; other < one; other += 1) if (this.#classCounts[other] > 0) this.steps[this.stepCount++] = classes * STEPS_PER_CLASS + (one * (one - 1)) / 2 + other;
    }
  }

  #set(hash: number): void {
    const spread = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const bucket = (spread ^ (spread >>> 13)) & (this.#buckets - 1);
    if (this.#setIn[bucket] === this.#reading) return;
    this.#setIn[bucket] = this.#reading;
    this.hashed[this.hashedCount++] = bucket;
  }
}

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

const BETWEEN = 0;
const LETTER = 1;
const ALONE = 2;

/** A character of a word, one that is a word by itself (ideographs), or one between words. */
function kindOf(code: number): number {
  if (code < 0x80) return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) ? LETTER : BETWEEN;
  if (code < 0xc0) return BETWEEN;
  if (code < 0x2000) return LETTER;
  if (code < 0x2070 || (code >= 0x3000 && code < 0x3040) || (code >= 0xff00 && code < 0xff20)) return BETWEEN;
  return (code >= 0x3040 && code < 0xa000) || (code >= 0xac00 && code < 0xd7b0) ? ALONE : LETTER;
}
