/**
 * Cuts a text that is too long for a service into windows that overlap, and joins what was said of them: the worst
 * score of a category counts. A cut falls on white space where there is some near, and never inside a character. Pure.
 */
import type { Finding } from './results.ts';

/** Windows of one text: more would be a bill and no answer within a deadline. */
export const WINDOWS_MAX = 16;
/** How much of a window the next one repeats, so that a phrase on the cut is seen whole. */
export const OVERLAP_CHARS = 200;

/** Windows of at most `charsMax` UTF-16 code units; undefined where `WINDOWS_MAX` of them do not cover the text. */
export function cutWindows(text: string, charsMax: number): readonly string[] | undefined {
  const windows: string[] = [];
  let start = 0;
  while (windows.length < WINDOWS_MAX) {
    if (text.length - start <= charsMax) return [...windows, text.slice(start)];
    const end = cutBefore(text, start + charsMax);
    windows.push(text.slice(start, end));
    start = wholeCharacter(text, end - Math.min(OVERLAP_CHARS, Math.floor(charsMax / 4)));
  }
  return undefined;
}

/** A score from here on stands although another window has none: it could only be higher. */
const STANDS_FROM = 0.5;

/** The highest score of each category; without a score in one of the windows, a low one in the others says nothing. */
export function worstOf(windows: readonly (readonly Finding[])[]): readonly Finding[] {
  const worst = new Map<string, Finding>();
  for (const finding of windows.flat()) {
    const known = worst.get(finding.category);
    if (known === undefined || badness(finding) > badness(known)) worst.set(finding.category, finding);
  }
  return [...worst.values()];
}

function badness(finding: Finding): number {
  return 'unknown' in finding ? STANDS_FROM - Number.EPSILON : finding.score;
}

/** How far back from the longest window white space is looked for. */
const SPACE_CHARS = 100;

function cutBefore(text: string, end: number): number {
  for (let at = end; at > end - SPACE_CHARS; at -= 1) if (/\s/.test(text[at - 1] as string)) return at;
  return wholeCharacter(text, end);
}

/** Not between the halves of a surrogate pair. */
function wholeCharacter(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}
