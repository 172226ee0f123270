/**
 * A text as numbers, the part that no lexicon changes: hashed character 3- and 5-grams and word 1–3-grams, by pieces of some
 * sentences, in one pass. A bucket is listed where it is met first in the text (`fresh`) and once more in each later piece
 * that has it (`again`), so that the text and its pieces are known from one reading.
 *
 * INVARIANT: the same text gives the same numbers on every machine. `read` of the text that was read last does nothing,
 * so that several models of the same size share one reading; for that the last text is kept until the next. Pure else.
 */
import { mix, wordHash } from './hash.ts';

/** Characters of one text that are read; the rest must be given as further texts. */
export const FEATURE_CHARS_MAX = 16_384;
/** Characters from which the end of a sentence ends a piece. */
export const PIECE_CHARS_MIN = 80;
/** Characters from which white space ends a piece, and twice as many from which anything does. */
export const PIECE_CHARS_MAX = 480;
const PIECES_MAX = Math.ceil(FEATURE_CHARS_MAX / PIECE_CHARS_MIN) + 1;

/** Characters of a word that are read; what is longer is data, not language. */
const WORD_CHARS_MAX = 40;
/** A word so long at most stands for itself in a sentence's frame (src/model/features.ts). */
const SHORT_WORD_CHARS = 4;

/** Between the words of a text: what ends a sentence, asks, or quotes. No word has these hashes. */
export const STOP = 1;
export const ASK = 2;
export const QUOTE = 3;

const SPACE = 0x20;
export const SEED_PAIR = 0x51ed27;
export const SEED_TRIPLE = 0x2c1b3c;
const SEED_GRAM = 0x7a3d91;

export class Grams {
  readonly buckets: number;
  readonly fresh = new Int32Array(8 * FEATURE_CHARS_MAX);
  readonly again = new Int32Array(8 * FEATURE_CHARS_MAX);
  freshCount = 0;
  /** By piece: where its own end in `fresh`, `again` and `tokens`. */
  readonly freshEnds = new Int32Array(PIECES_MAX);
  readonly againEnds = new Int32Array(PIECES_MAX);
  readonly tokenEnds = new Int32Array(PIECES_MAX);
  pieces = 0;
  /** The hashes of the words in order, and marks between them. */
  readonly tokens = new Int32Array(FEATURE_CHARS_MAX + 1);
  /** Whether a word is short. */
  readonly short = new Uint8Array(FEATURE_CHARS_MAX + 1);
  #againCount = 0;
  #tokenCount = 0;
  /** Whether the piece under way has a word. */
  #hasWords = false;
  #last: string | undefined;
  /** In which piece, counted over all readings, a bucket was last met. Saves emptying a table for each text. */
  readonly #metIn: Uint16Array;
  #piece = 0;
  #firstPiece = 0;

  /** `buckets` is a power of two. */
  constructor(buckets: number) {
    this.buckets = buckets;
    this.#metIn = new Uint16Array(buckets);
  }

  read(text: string): void {
    if (text === this.#last) return;
    this.#begin(text);
    // A letter may have a longer small form.
    const lower = text.slice(0, FEATURE_CHARS_MAX).toLowerCase();
    const length = Math.min(lower.length, FEATURE_CHARS_MAX);
    let c1 = 0, c2 = 0, c3 = 0, c4 = SPACE;
    let word = 0, wordChars = 0, w1 = 0, w2 = 0;
    let pieceFrom = 0, ended = false;
    for (let at = 0; at <= length; at += 1) {
      let code = at < length ? lower.charCodeAt(at) : SPACE;
      const kind = kindOf(code);
      if (wordChars > 0 && (kind !== LETTER || wordChars >= WORD_CHARS_MAX)) {
        this.#word(word, wordChars <= SHORT_WORD_CHARS, w1, w2);
        w2 = w1; w1 = word; word = 0; wordChars = 0;
      }
      if (kind === BETWEEN) {
        const mark = markOf(code);
        if (mark !== 0) this.#mark(mark);
        // A sentence ends with its stop, closing quotes, and white space; or with a line, or a full-width stop.
        if (code <= SPACE || code === 0x3000 || code === 0x3002) {
          if (ended || code === 0x0a || code === 0x3002 || at - pieceFrom >= PIECE_CHARS_MAX) {
            if (at + 1 - pieceFrom >= PIECE_CHARS_MIN) {
              if (c4 !== SPACE) this.#gram(SPACE, c4, c3, c2, c1);
              this.#endPiece();
              pieceFrom = at + 1;
              c1 = c2 = c3 = 0; c4 = SPACE; w1 = w2 = 0; ended = false;
              continue;
            }
          }
          if (code <= SPACE) ended = false;
        } else if (mark === STOP || mark === ASK) ended = true;
        else if (mark !== QUOTE && code !== 0x29 && code !== 0x2a && code !== 0x5d && code !== 0x27) ended = false;
        if (c4 === SPACE) continue;
        code = SPACE;
      } else {
        ended = false;
        if (code === c4 && code === c3) continue;
        if (kind === LETTER) { word = wordHash(word, code); wordChars += 1; }
        else { const whole = wordHash(0, code); this.#word(whole, false, w1, w2); w2 = w1; w1 = whole; }
      }
      this.#gram(code, c4, c3, c2, c1);
      c1 = c2; c2 = c3; c3 = c4; c4 = code;
      if (at - pieceFrom >= 2 * PIECE_CHARS_MAX && wordChars === 0) { this.#endPiece(); pieceFrom = at + 1; c1 = c2 = c3 = 0; c4 = SPACE; w1 = w2 = 0; }
    }
    this.#endPiece();
  }

  #begin(text: string): void {
    this.#last = text;
    this.freshCount = 0;
    this.#againCount = 0;
    this.#tokenCount = 0;
    this.#hasWords = false;
    this.pieces = 0;
    // Before the count of pieces does not fit any more, all is forgotten.
    if (this.#piece > 0xffff - PIECES_MAX - 2) { this.#metIn.fill(0); this.#piece = 0; }
    this.#piece += 1;
    this.#firstPiece = this.#piece;
  }

  #endPiece(): void {
    // Marks alone are no piece, unless there is nothing else.
    if (!this.#hasWords && this.pieces > 0) {
      this.#tokenCount = this.tokenEnds[this.pieces - 1];
      return;
    }
    this.#hasWords = false;
    this.freshEnds[this.pieces] = this.freshCount;
    this.againEnds[this.pieces] = this.#againCount;
    this.tokenEnds[this.pieces] = this.#tokenCount;
    this.pieces += 1;
    this.#piece += 1;
  }

  #word(word: number, isShort: boolean, w1: number, w2: number): void {
    this.short[this.#tokenCount] = isShort ? 1 : 0;
    this.tokens[this.#tokenCount++] = word;
    this.#hasWords = true;
    this.#set(word);
    if (w1 === 0) return;
    this.#set(mix(mix(SEED_PAIR, w1), word));
    if (w2 !== 0) this.#set(mix(mix(mix(SEED_TRIPLE, w2), w1), word));
  }

  /** Marks in a row are one. */
  #mark(mark: number): void {
    if (this.#tokenCount > 0 && this.tokens[this.#tokenCount - 1] === mark) return;
    this.short[this.#tokenCount] = 1;
    this.tokens[this.#tokenCount++] = mark;
  }

  /** The three and the five characters that end here. */
  #gram(code: number, c4: number, c3: number, c2: number, c1: number): void {
    if (c3 === 0) return;
    const three = mix(mix(SEED_GRAM ^ code, c4), c3);
    this.#set(three);
    if (c1 !== 0) this.#set(mix(mix(three, c2), c1) ^ SEED_TRIPLE);
  }

  #set(hash: number): void {
    const spread = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const bucket = (spread ^ (spread >>> 13)) & (this.buckets - 1);
    const met = this.#metIn[bucket];
    if (met === this.#piece) return;
    this.#metIn[bucket] = this.#piece;
    if (met < this.#firstPiece) this.fresh[this.freshCount++] = bucket;
    else this.again[this.#againCount++] = bucket;
  }
}

const shared = new Map<number, Grams>();

/** The one reading of that size for the process. */
export function gramsOf(buckets: number): Grams {
  let grams = shared.get(buckets);
  if (grams === undefined) shared.set(buckets, (grams = new Grams(buckets)));
  return grams;
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

function markOf(code: number): number {
  switch (code) {
    case 0x2e: case 0x21: case 0x3b: case 0x0a: case 0x2026: case 0x3002: case 0xff01: return STOP;
    case 0x3f: case 0xff1f: return ASK;
    case 0x22: case 0x201c: case 0x201d: case 0x201e: case 0xab: case 0xbb: case 0x300c: case 0x300d: return QUOTE;
    default: return 0;
  }
}
