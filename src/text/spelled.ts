/**
 * The view in which letters that stand alone are words (`o p e n`, `o.p.e.n`, `o-p e-n`), and figures and marks within
 * words are the letters they stand for (`0p3n`, `p@$$`). Joins only runs of single letters with one separator, and takes
 * a figure for a letter only in a word that has letters. Pure.
 */
import { fitOf, letterOf } from './letters.ts';
import { eachMatch } from './matches.ts';
import type { Rewriting } from './rewriting.ts';
import { WORD_CHARS_MAX } from './signs.ts';

/** Spelled words that follow each other are joined in one go up to here. */
const RUN_CHARS_MAX = 8_192;
/** Most characters of a gap between two spelled words. */
const GAP_CHARS_MAX = 6;
/** A word with fewer letters than one in so many characters is a number. */
const LETTERS_SHARE = 5;
/** A number so short, between two words in disguise, is one too. */
const NUMBER_CHARS_MAX = 4;

/** Three characters or more that stand alone, with the same separator; a longer run is several. */
const RUN = /(?<![\p{L}\p{N}\p{M}])[\p{L}\p{N}@$!|]([^\p{L}\p{N}\p{M}@$!|]{1,3})[\p{L}\p{N}@$!|](?:\1[\p{L}\p{N}@$!|]){1,1000}(?![\p{L}\p{N}\p{M}])/gu;
const SINGLE = /[\p{L}\p{N}@$!|]/uy;
const BESIDE = /[\p{L}\p{N}\p{M}]/uy;
const HAS_LETTER = /\p{L}/u;

/** Writes the characters `[from, to)` with spelled words joined; returns where it stopped, at `to` or behind a run that goes on there. */
export function writeJoined(text: string, from: number, to: number, out: Rewriting): number {
  let at = from;
  let stop = to;
  eachMatch(RUN, text, from, to, ({ 0: run, 1: separator }, start) => {
    let end = start + run.length;
    if (HAS_LETTER.test(run)) {
      out.copy(at, start);
      at = end = writeRun(text, start, end, separator as string, out);
    }
    stop = Math.max(stop, end);
    return end;
  });
  out.copy(at, stop);
  return stop;
}

/** A run, and the spelled words that follow it with the same separator and a wider gap; where they end. */
function writeRun(text: string, from: number, to: number, separator: string, out: Rewriting): number {
  writeLetters(text, from, to, separator, out);
  let end = to;
  while (end - from < RUN_CHARS_MAX) {
    const start = nextSingle(text, end);
    if (start < 0) break;
    let next = singleEnd(text, start);
    if (next < 0) break;
    for (let more = next; more >= 0 && more - from < RUN_CHARS_MAX; more = text.startsWith(separator, next) ? singleEnd(text, next + separator.length) : -1) next = more;
    out.write(' ', end, start);
    writeLetters(text, start, next, separator, out);
    end = next;
  }
  return end;
}

function writeLetters(text: string, from: number, to: number, separator: string, out: Rewriting): void {
  for (let i = from; i < to; i += separator.length) {
    const width = widthAt(text, i);
    out.copy(i, i + width);
    i += width;
  }
}

/** The next single character after a gap, or -1. */
function nextSingle(text: string, from: number): number {
  for (let i = from; i < text.length && i - from <= GAP_CHARS_MAX; i += widthAt(text, i)) if (isAt(SINGLE, text, i)) return i === from ? -1 : i;
  return -1;
}

/** Behind a single character, or -1 where none stands. */
function singleEnd(text: string, at: number): number {
  const end = at + widthAt(text, at);
  return isAt(SINGLE, text, at) && !isAt(BESIDE, text, end) ? end : -1;
}

function isAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}

function widthAt(text: string, at: number): number {
  return (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
}

const FIGURES: Readonly<Record<string, string>> = { 0: 'o', 2: 'z', 3: 'e', 4: 'a', 5: 's', 6: 'g', 7: 't', 8: 'b', 9: 'g', '@': 'a', $: 's', '+': 't', '€': 'e', '£': 'l' };
/** Each may be either of two letters; the neighbours tell. */
const UPRIGHT = '1!|';
const LETTERS = /[A-Za-z]/g;
const NO_LETTER_AT_ITS_ENDS = /^[!|+]+|[!|+]+$/g;

// What a character is to a word in disguise.
const LETTER = 1;
const FIGURE = 2;
const PARTS = new Uint8Array(0x20ad);
for (const char of '0123456789@$!|+€£') PARTS[char.charCodeAt(0)] = FIGURE;
for (let letter = 0; letter < 26; letter += 1) PARTS[0x41 + letter] = PARTS[0x61 + letter] = LETTER;

/** Writes the characters `[from, to)` with figures in words as letters; returns where it stopped, at `to` or behind a word that goes on there. */
export function writeLetterForms(text: string, from: number, to: number, out: Rewriting): number {
  let at = from;
  let disguisedEnd = -1;
  let stop = to;
  for (let start = from; start < to;) {
    let parts = 0;
    let end = start;
    for (let part = partAt(text, end); part !== 0; part = partAt(text, end)) {
      parts |= part;
      end += 1;
    }
    if (parts === (LETTER | FIGURE) ? isDisguised(text, start, end) : parts === FIGURE && start === disguisedEnd + 1 && end - start <= NUMBER_CHARS_MAX && isDisguised(text, end + 1, wordEnd(text, end + 1))) {
      const word = text.slice(start, end);
      out.copy(at, start);
      for (let i = 0; i < word.length; i += 1) writeLetter(word, i, start + i, out);
      at = disguisedEnd = end;
    }
    stop = Math.max(stop, end);
    start = end + 1;
  }
  out.copy(at, stop);
  return stop;
}

function partAt(text: string, at: number): number {
  return PARTS[text.charCodeAt(at)] ?? 0;
}

/** Where the word ends, as far as it could be one. */
function wordEnd(text: string, start: number): number {
  let end = start;
  while (end - start <= WORD_CHARS_MAX && partAt(text, end) !== 0) end += 1;
  return end;
}

function isDisguised(text: string, start: number, end: number): boolean {
  if (end - start > WORD_CHARS_MAX) return false;
  const word = text.slice(start, end);
  const letters = word.match(LETTERS)?.length ?? 0;
  return letters > 0 && letters < word.replace(NO_LETTER_AT_ITS_ENDS, '').length && letters * LETTERS_SHARE >= word.length;
}

/** The `i`-th character of a word as a letter, in the case of the letters beside it. */
function writeLetter(word: string, i: number, at: number, out: Rewriting): void {
  const char = word.charAt(i);
  const letter = UPRIGHT.includes(char) ? upright(word, i) : FIGURES[char];
  if (letter === undefined) out.copy(at, at + 1);
  else out.write(isUpper(word.charAt(i - 1)) || (i === 0 && isUpper(word.charAt(1))) ? letter.toUpperCase() : letter, at, at + 1);
}

const L = letterOf('l'.charCodeAt(0));
const I = letterOf('i'.charCodeAt(0));

/** `l` or `i`, whichever is likelier between its neighbours, which may be figures themselves. */
function upright(word: string, i: number): string {
  const [before, after] = [neighbour(word.charAt(i - 1)), neighbour(word.charAt(i + 1))];
  return fitOf(before, L, after) > fitOf(before, I, after) ? 'l' : 'i';
}

function neighbour(char: string): number {
  return char === '' ? 0 : letterOf((FIGURES[char] ?? char).charCodeAt(0));
}

function isUpper(char: string): boolean {
  return char >= 'A' && char <= 'Z';
}
