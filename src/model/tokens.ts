/**
 * A text as tokens for the tagger: runs of letters, runs of digits, line ends, and every other character by itself.
 * Each with what is asked about it again and again: a hash of its lower case, of its beginnings and ends, and its shape.
 * Written into buffers that are used again. Pure; keeps nothing but the last text's tokens.
 */
import { mix, wordHash } from './hash.ts';

/** Tokens of one reading; a window of a sentence has fewer characters. */
export const TOKENS_MAX = 512;
/** Characters of a word that are hashed; what is longer is data, not a name. */
const WORD_CHARS_MAX = 40;

export const SHAPES = { none: 0, lower: 1, capital: 2, upper: 3, letter: 4, mixed: 5, line: 6, digits: 8, sign: 16 } as const;
const DIGITS_MAX = 7;

const LETTER = 1;
const DIGIT = 2;
const SPACE = 3;
const LINE = 4;
const SIGN = 5;

/** Kinds and lower case of the characters that are met most. */
const TABLE_CHARS = 0x600;
const kinds = Uint8Array.from({ length: TABLE_CHARS }, (_, code) => computedKind(code));
const lowers = Uint16Array.from({ length: TABLE_CHARS }, (_, code) => String.fromCharCode(code).toLowerCase().charCodeAt(0));

export class Tokens {
  count = 0;
  readonly starts = new Int32Array(TOKENS_MAX);
  readonly ends = new Int32Array(TOKENS_MAX);
  /** Hash of the lower case. */
  readonly words = new Int32Array(TOKENS_MAX);
  readonly shapes = new Uint8Array(TOKENS_MAX);
  /** The first three letters of the lower case, the last two and three, as hashes; 0 where the word is shorter. */
  readonly begin3 = new Int32Array(TOKENS_MAX);
  readonly end2 = new Int32Array(TOKENS_MAX);
  readonly end3 = new Int32Array(TOKENS_MAX);
  /** White space stands before it. */
  readonly spaced = new Uint8Array(TOKENS_MAX);

  /** Reads from `from` until the text or the room ends; where it stopped. */
  read(text: string, from = 0): number {
    this.count = 0;
    let spaced = 0;
    let at = from;
    while (at < text.length && this.count < TOKENS_MAX) {
      const kind = kindOf(text.charCodeAt(at));
      if (kind === SPACE) {
        spaced = 1;
        at += 1;
        continue;
      }
      let end = at + 1;
      if (kind !== SIGN) while (end < text.length && (kindOf(text.charCodeAt(end)) === kind || (kind === LINE && kindOf(text.charCodeAt(end)) === SPACE))) end += 1;
      this.#add(text, at, end, kind, spaced);
      spaced = 0;
      at = end;
    }
    return at;
  }

  #add(text: string, start: number, end: number, kind: number, spaced: number): void {
    const one = this.count++;
    this.starts[one] = start;
    this.ends[one] = end;
    this.spaced[one] = spaced;
    this.begin3[one] = this.end2[one] = this.end3[one] = 0;
    if (kind === LETTER) return this.#word(text, start, end, one);
    if (kind === LINE) {
      this.words[one] = 1;
      this.shapes[one] = SHAPES.line;
      return;
    }
    const length = end - start;
    this.shapes[one] = kind === DIGIT ? SHAPES.digits + Math.min(DIGITS_MAX, length) : SHAPES.sign;
    // Of a number its length and its first digits say what there is to say.
    let hash = kind === DIGIT ? length : 0;
    for (let at = start; at < Math.min(end, start + (kind === DIGIT ? 2 : 1)); at += 1) hash = wordHash(hash, text.charCodeAt(at));
    this.words[one] = hash;
  }

  #word(text: string, start: number, end: number, one: number): void {
    const stop = Math.min(end, start + WORD_CHARS_MAX);
    let hash = 0, capitals = 0, first = 0;
    for (let at = start; at < stop; at += 1) {
      const code = text.charCodeAt(at);
      const lower = lowerOf(code);
      if (lower !== code) {
        capitals += 1;
        if (at === start) first = 1;
      }
      hash = wordHash(hash, lower);
      if (at === start + 2) this.begin3[one] = hash;
    }
    let tail = 0x5bd1;
    for (let back = 1; back <= 3 && stop - back >= start; back += 1) {
      tail = wordHash(tail, lowerOf(text.charCodeAt(stop - back)));
      if (back === 2) this.end2[one] = tail;
      else if (back === 3) this.end3[one] = tail;
    }
    this.words[one] = hash;
    const length = stop - start;
    this.shapes[one] = capitals === 0 ? SHAPES.lower : length === 1 ? SHAPES.letter : capitals === length ? SHAPES.upper : first === 1 && capitals === 1 ? SHAPES.capital : SHAPES.mixed;
  }
}

/** The hash under which a word stands in a table of words. */
export function tokenHash(word: string): number {
  let hash = 0;
  for (let at = 0; at < Math.min(word.length, WORD_CHARS_MAX); at += 1) hash = wordHash(hash, lowerOf(word.charCodeAt(at)));
  return hash;
}

/** A hash for a template of features and up to two things it joins. */
export function joined(template: number, one: number, other = 0): number {
  return mix(mix(template, one), other);
}

function lowerOf(code: number): number {
  return code < TABLE_CHARS ? lowers[code] : String.fromCharCode(code).toLowerCase().charCodeAt(0);
}

function kindOf(code: number): number {
  return code < TABLE_CHARS ? kinds[code] : computedKind(code);
}

function computedKind(code: number): number {
  if (code === 0x0a || code === 0x0d || code === 0x2028 || code === 0x2029) return LINE;
  if (code === 0x20 || code === 0x09 || code === 0xa0 || code === 0x3000 || code === 0xfeff || (code >= 0x2000 && code <= 0x200f)) return SPACE;
  if (code >= 0x30 && code <= 0x39) return DIGIT;
  if ((code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)) return LETTER;
  if (code < 0xc0 || code === 0xd7 || code === 0xf7) return SIGN;
  return (code < 0x2000 || (code >= 0x3040 && code < 0xd800)) ? LETTER : SIGN;
}
