/**
 * The view in which look-alikes are what they look like: letters of other alphabets as Latin ones where a word mixes
 * alphabets, or holds nothing but look-alikes among words that are not of its alphabet; Latin letters without their
 * marks, boxed letters, flags' letters that make no flag, dashes and quotes as ASCII has them. A word that is wholly of
 * another alphabet stays as it stands, and so does every letter's case. Pure.
 */
import { ALIKE, FOREIGN, kindOf, LETTER, MARK, RESEMBLING } from './characters.ts';
import { lookalikeOf, regionalLetter } from './lookalikes.ts';
import type { Rewriting } from './rewriting.ts';

/**
 * What a word's letters tell: of its own alphabet beyond doubt, Latin or mixed, nothing but look-alikes, or nothing but
 * look-alikes of which some only resemble.
 */
type Alphabet = 'foreign' | 'latin' | 'doubtful' | 'resembling';

interface Word {
  readonly start: number;
  readonly end: number;
  readonly alphabet: Alphabet;
  /** It holds look-alikes of other alphabets. */
  readonly alike: boolean;
  /** It holds Latin letters that are not of ASCII. */
  readonly marked: boolean;
}

/** Writes the characters `[from, to)`. */
export function writeFolded(text: string, from: number, to: number, out: Rewriting): void {
  const words = wordsOf(text, from, to);
  const flags = areFlags(text.slice(from, to));
  const [nearest, nearestSure] = [neighboursOf(words, ['doubtful']), neighboursOf(words, ['doubtful', 'resembling'])];
  const isFolded = (alphabet: Alphabet, index: number): boolean => {
    if (alphabet === 'latin') return true;
    if (alphabet === 'doubtful') return nearest(index).length === 0 || nearest(index).includes('latin');
    return alphabet === 'resembling' && nearestSure(index).includes('latin');
  };
  let at = from;
  words.forEach((word, index) => {
    foldMarks(text, at, word.start, out, flags);
    const foreign = word.alike && isFolded(word.alphabet, index);
    if (foreign || word.marked) foldLetters(text, word.start, word.end, out, foreign);
    else out.copy(word.start, word.end);
    at = word.end;
  });
  foldMarks(text, at, to, out, flags);
}

/** Words that hold a character beyond ASCII, and between them one for all that do not; numbers are no words. */
function wordsOf(text: string, from: number, to: number): readonly Word[] {
  const words: Word[] = [];
  let start = -1;
  let latin = false;
  let foreign = false;
  let alike = false;
  let resembling = false;
  let marked = false;
  let plain = true;
  const endWord = (end: number): void => {
    const alphabet = latin || (!foreign && !alike) ? 'latin' : foreign ? 'foreign' : resembling ? 'resembling' : 'doubtful';
    const adds = !plain || (latin && words[words.length - 1]?.alphabet !== 'latin');
    if (start >= 0 && adds) words.push({ start, end, alike, marked, alphabet });
    start = -1;
    latin = foreign = alike = resembling = marked = false;
    plain = true;
  };
  for (let i = from, width = 1; i < to; i += width) {
    const code = text.charCodeAt(i);
    width = 1;
    if (code < 128) {
      const letter = isAsciiLetter(code);
      if (letter || (code >= 0x30 && code <= 0x39)) {
        if (start < 0) start = i;
        latin ||= letter;
      } else if (start >= 0) endWord(i);
      continue;
    }
    const point = text.codePointAt(i) as number;
    width = point > 0xffff ? 2 : 1;
    const kind = kindOf(point);
    if ((kind & (LETTER | MARK)) === 0 && ((kind & ALIKE) === 0 || !isLetterOf(lookalikeOf(point)?.ascii))) {
      if (start >= 0) endWord(i);
      continue;
    }
    if (start < 0) start = i;
    plain = false;
    if ((kind & ALIKE) === 0) foreign ||= (kind & LETTER) !== 0;
    else if ((kind & FOREIGN) === 0) latin = marked = true;
    else {
      alike = true;
      resembling ||= (kind & RESEMBLING) !== 0;
    }
  }
  if (start >= 0) endWord(to);
  return words;
}

/** For each word the alphabets of the nearest words before and after it that are none of `unsure`. */
function neighboursOf(words: readonly Word[], unsure: readonly Alphabet[]): (index: number) => readonly Alphabet[] {
  const before: (Alphabet | undefined)[] = [];
  let last: Alphabet | undefined;
  for (const { alphabet } of words) {
    before.push(last);
    if (!unsure.includes(alphabet)) last = alphabet;
  }
  const after: (Alphabet | undefined)[] = [];
  last = undefined;
  for (let i = words.length - 1; i >= 0; i -= 1) {
    after[i] = last;
    const { alphabet } = words[i] as Word;
    if (!unsure.includes(alphabet)) last = alphabet;
  }
  return (index) => [before[index], after[index]].filter((alphabet) => alphabet !== undefined);
}

/** A word: letters of other alphabets only where `foreign` says so. */
function foldLetters(text: string, from: number, to: number, out: Rewriting, foreign: boolean): void {
  let copied = from;
  for (let i = from, width = 1; i < to; i += width) {
    width = 1;
    if (text.charCodeAt(i) < 128) continue;
    const point = text.codePointAt(i) as number;
    width = point > 0xffff ? 2 : 1;
    const lookalike = (kindOf(point) & ALIKE) === 0 ? undefined : lookalikeOf(point);
    if (lookalike === undefined || (lookalike.foreign && !foreign)) continue;
    out.copy(copied, i);
    copied = i + width;
    out.write(lookalike.ascii, i, copied);
  }
  out.copy(copied, to);
}

/** What stands between words: dashes and quotes, and the letters of flags where they are none. */
function foldMarks(text: string, from: number, to: number, out: Rewriting, flags: boolean): void {
  let copied = from;
  for (let i = from, width = 1; i < to; i += width) {
    width = 1;
    if (text.charCodeAt(i) < 128) continue;
    const point = text.codePointAt(i) as number;
    width = point > 0xffff ? 2 : 1;
    if ((kindOf(point) & ALIKE) === 0) continue;
    const ascii = lookalikeOf(point)?.ascii ?? (flags ? undefined : regionalLetter(point));
    if (ascii === undefined) continue;
    out.copy(copied, i);
    copied = i + width;
    out.write(ascii, i, copied);
  }
  out.copy(copied, to);
}

const REGIONAL_RUN = /[\u{1f1e6}-\u{1f1ff}]+/gu;
const names = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });
/** Whether two letters are a region's, as far as it was asked. */
const regions = new Map<string, boolean>();

/** Every pair of regional indicators is a region's flag. Words may hold pairs that are; a text written in them has others. */
function areFlags(text: string): boolean {
  return [...text.matchAll(REGIONAL_RUN)].every(([run]) => {
    const letters = Array.from(run, (char) => regionalLetter(char.codePointAt(0) as number)).join('');
    return letters.length % 2 === 0 && (letters.match(/../g) as RegExpMatchArray).every(isRegion);
  });
}

function isRegion(pair: string): boolean {
  let known = regions.get(pair);
  if (known === undefined) regions.set(pair, (known = names.of(pair) !== undefined));
  return known;
}

function isAsciiLetter(code: number): boolean {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function isLetterOf(ascii: string | undefined): boolean {
  return ascii !== undefined && isAsciiLetter(ascii.charCodeAt(0));
}
