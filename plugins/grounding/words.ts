/**
 * A text as words: for each its stem as a number, what kind of word it is, and in which sentence it stands. Numbers are
 * told by their value ("two", "2", "5 million"), negations apart from their verb ("doesn't" is "does", "not"). One pass
 * over the characters, no strings made. Pure; English.
 */
import { mix, wordHash } from '#model/hash.ts';
import { FIRST_PERSON, FORMS, HEDGES, KIN, NEGATIONS, NUMBER_SCALES, NUMBER_WORDS, OPPOSITES, SECOND_PERSON, SMALL_WORDS, THIRD_PERSON } from './lists.ts';

/** Kinds of words, as bits. */
export const SMALL = 1;
export const NUMBER = 2;
export const NEGATION = 4;
/** Written with a capital, and not the first word of its sentence. */
export const CAPITAL = 8;
export const HEDGE = 16;
export const FIRST = 32;
export const SECOND = 64;
export const THIRD = 128;

export interface Words {
  readonly count: number;
  /** Hash of the word without its ending, or of the number's value. */
  readonly stems: Int32Array;
  /** Hash of the first five letters of a longer word, else 0. */
  readonly prefixes: Int32Array;
  readonly kinds: Uint8Array;
  /** Number of the sentence in which it stands, from 0. */
  readonly sentences: Int32Array;
  readonly sentenceCount: number;
}

/** Letters of a word that are read. */
const WORD_CHARS_MAX = 40;
const PREFIX_CHARS = 5;
/** A sentence of sources without a stop is cut here. */
const SENTENCE_WORDS_MAX = 60;
const SEED_NUMBER = 0x3b1f;
const SEED_PREFIX = 0x77d1;

export function readWords(text: string): Words {
  const lower = text.toLowerCase();
  const isCased = lower.length === text.length;
  const size = (text.length >> 1) + 2;
  const stems = new Int32Array(size), prefixes = new Int32Array(size), sentences = new Int32Array(size);
  const kinds = new Uint8Array(size);
  let count = 0, sentence = 0, sentenceFrom = 0;
  let lastValue = NaN;
  const put = (stem: number, kind: number, prefix: number): void => {
    if (count - sentenceFrom >= SENTENCE_WORDS_MAX) { sentence += 1; sentenceFrom = count; }
    stems[count] = stem;
    kinds[count] = kind;
    prefixes[count] = prefix;
    sentences[count] = sentence;
    count += 1;
  };
  for (let at = 0; at < lower.length;) {
    const code = lower.charCodeAt(at);
    if (isDigit(code)) {
      const [value, end] = numberAt(lower, at);
      put(mix(SEED_NUMBER, hashOfNumber(value)), NUMBER, 0);
      lastValue = value;
      // Full hours are told without their minutes.
      at = lower.startsWith(':00', end) ? end + 3 : end;
      continue;
    }
    if (!isLetter(code)) {
      if (endsSentence(lower, text, at) && count > sentenceFrom) { sentence += 1; sentenceFrom = count; }
      at += 1;
      continue;
    }
    let end = at + 1, full = wordHash(0, code);
    while (end < lower.length && isLetter(lower.charCodeAt(end))) { if (end - at < WORD_CHARS_MAX) full = wordHash(full, lower.charCodeAt(end)); end += 1; }
    const next = lower.charCodeAt(end);
    const isNegated = (next === 0x27 || next === 0x2019) && lower.charCodeAt(end + 1) === 0x74 && lower.charCodeAt(end - 1) === 0x6e && !isLetter(lower.charCodeAt(end + 2));
    if (isNegated) full = hashOf(lower, at, end - 1);
    if (full === PM && lastValue <= 12) {
      stems[count - 1] = mix(SEED_NUMBER, hashOfNumber(lastValue % 12 + 12));
      at = end;
      continue;
    }
    const scale = SCALES.get(full);
    if (scale !== undefined && !Number.isNaN(lastValue)) {
      lastValue *= scale;
      stems[count - 1] = mix(SEED_NUMBER, hashOfNumber(lastValue));
    } else {
      const value = VALUES.get(full);
      let kind = KINDS.get(full) ?? 0;
      if (value !== undefined) kind |= NUMBER;
      if (isCased && text.charCodeAt(at) !== code && count > sentenceFrom && (kind & SMALL) === 0) kind |= CAPITAL;
      const stop = isNegated ? end - 1 : end;
      if (isClitic(lower, at, stop)) { at = end; continue; }
      put(value === undefined ? stemAt(lower, at, stop, full) : mix(SEED_NUMBER, hashOfNumber(value)), kind, stop - at > PREFIX_CHARS ? mix(SEED_PREFIX, hashOf(lower, at, at + PREFIX_CHARS)) : 0);
      lastValue = value ?? NaN;
      if (isNegated) put(NOT, SMALL | NEGATION, 0);
    }
    at = isNegated ? end + 2 : end;
  }
  return { count, stems, prefixes, kinds, sentences, sentenceCount: sentence + 1 };
}

/** The stem of one word, for lists. */
export function stemOf(word: string): number {
  const [value] = [VALUES.get(hashOf(word, 0, word.length))];
  return value === undefined ? stemAt(word, 0, word.length, hashOf(word, 0, word.length)) : mix(SEED_NUMBER, hashOfNumber(value));
}

function isLetter(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0xc0 && code !== 0xd7 && code !== 0xf7 && (code < 0x2000 || code > 0x206f) && (code < 0x3000 || code > 0x303f));
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** Digits, with commas between thousands and one point. */
function numberAt(text: string, from: number): readonly [number, number] {
  let value = 0, end = from, factor = 0;
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end);
    if (isDigit(code)) {
      if (factor > 0) { value += (code - 0x30) * factor; factor /= 10; } else value = value * 10 + code - 0x30;
      continue;
    }
    const isInside = isDigit(text.charCodeAt(end + 1));
    if (code === 0x2c && isInside && factor === 0) continue;
    if (code !== 0x2e || !isInside || factor > 0) break;
    factor = 0.1;
  }
  return [value, end];
}

function hashOfNumber(value: number): number {
  return Math.round(value * 1000) % 2_147_483_647 | 0;
}

/** A line end, or a stop with space, a quotation mark or a capital behind it; not the point of an initial. */
function endsSentence(lower: string, text: string, at: number): boolean {
  const code = lower.charCodeAt(at);
  if (code === 0x0a) return true;
  if (code !== 0x2e && code !== 0x21 && code !== 0x3f && code !== 0x2026) return false;
  if (code === 0x2e && (at < 2 || !isLetter(lower.charCodeAt(at - 2)) && isLetter(lower.charCodeAt(at - 1)))) return false;
  const next = text.charCodeAt(at + 1);
  return !(isDigit(next) || (next >= 0x61 && next <= 0x7a));
}

/** The s of "Anna's", the re of "they're": nothing to hold against a source. */
function isClitic(text: string, from: number, to: number): boolean {
  const before = text.charCodeAt(from - 1);
  if (before !== 0x27 && before !== 0x2019) return false;
  const length = to - from;
  if (length > 2 || !isLetter(text.charCodeAt(from - 2))) return false;
  const code = text.charCodeAt(from);
  return length === 1 ? code === 0x73 || code === 0x64 || code === 0x6d : ['re', 've', 'll'].includes(text.slice(from, to));
}

function hashOf(text: string, from: number, to: number): number {
  let hash = 0;
  for (let at = from; at < to && at - from < WORD_CHARS_MAX; at += 1) hash = wordHash(hash, text.charCodeAt(at));
  return hash;
}

/** The word without the commonest endings. Wrong for some words; the same wrong in claim and source. */
function stemAt(text: string, from: number, end: number, full: number): number {
  const form = CANONICAL.get(full);
  if (form !== undefined) return form;
  let to = Math.min(end, from + WORD_CHARS_MAX);
  const ends = (suffix: string): boolean => text.endsWith(suffix, to) && to - from > suffix.length;
  if (to - from >= 5 && ends('es') && 'sxzhi'.includes(text[to - 3])) to -= 2;
  else if (to - from >= 4 && ends('s') && !'sui'.includes(text[to - 2])) to -= 1;
  if (to - from >= 6 && ends('ing')) to = undoubled(text, from, to - 3);
  else if (to - from >= 5 && ends('ed')) to = undoubled(text, from, to - 2);
  else if (to - from >= 6 && ends('ly')) to -= 2;
  if (to - from >= 4 && ends('e')) to -= 1;
  const isY = to - from >= 3 && ends('y');
  const stem = hashOf(text, from, isY ? to - 1 : to);
  return isY ? wordHash(stem, 0x69) : stem;
}

/** "stopp" is "stop"; "fall" stays. */
function undoubled(text: string, from: number, to: number): number {
  const last = text[to - 1];
  return to - from > 3 && last === text[to - 2] && !'lsz'.includes(last) ? to - 1 : to;
}

const of = (word: string): number => hashOf(word, 0, word.length);
const VALUES = new Map(Object.entries(NUMBER_WORDS).map(([word, value]) => [of(word), value]));
const SCALES = new Map(Object.entries(NUMBER_SCALES).map(([word, value]) => [of(word), value]));
const KINDS = new Map<number, number>();
for (const [words, kind] of [[SMALL_WORDS, SMALL], [NEGATIONS, NEGATION], [HEDGES, HEDGE], [FIRST_PERSON, FIRST], [SECOND_PERSON, SECOND], [THIRD_PERSON, THIRD]] as const) {
  for (const word of words) KINDS.set(of(word), (KINDS.get(of(word)) ?? 0) | kind);
}
const CANONICAL = new Map<number, number>();
const plainStem = (word: string): number => stemAt(word, 0, word.length, 0);
for (const forms of FORMS) for (const form of forms) if (!CANONICAL.has(of(form))) CANONICAL.set(of(form), plainStem(forms[0]));
const NOT = plainStem('not');
const PM = of('pm');

/** By stem: the groups of words that may stand for it. */
export const KIN_OF: ReadonlyMap<number, readonly number[]> = grouped(KIN.map((words) => words.map(stemOf)));
/** By stem: the stems that deny it. */
export const OPPOSITES_OF: ReadonlyMap<number, readonly number[]> = (() => {
  const found = new Map<number, number[]>();
  for (const [one, other] of OPPOSITES.map((pair) => pair.map(stemOf))) {
    if (one === other) continue;
    found.set(one, [...(found.get(one) ?? []), other]);
    found.set(other, [...(found.get(other) ?? []), one]);
  }
  return found;
})();

function grouped(groups: readonly (readonly number[])[]): ReadonlyMap<number, readonly number[]> {
  const found = new Map<number, number[]>();
  for (const group of groups) for (const stem of group) found.set(stem, [...new Set([...(found.get(stem) ?? []), ...group])].filter((other) => other !== stem));
  return found;
}
