/**
 * The matches of a regular expression that begin in one stretch of a long text, found without reading the rest of it: at
 * the end of the stretch only as far as a match goes on. So a text that is gone through in stretches costs what its
 * length says. Pure.
 */

/** Characters before the stretch that an expression may look back at. */
const BEFORE_CHARS = 2;
/** Characters behind it in which what begins in the stretch has matched. */
const AHEAD_CHARS = 128;

/** `use` is told each match and where it begins; it says from where on the next is looked for. */
export function eachMatch(pattern: RegExp, text: string, from: number, to: number, use: (match: RegExpExecArray, start: number) => number): void {
  const base = Math.max(0, from - BEFORE_CHARS);
  let part = text.slice(base, to + AHEAD_CHARS);
  for (let at = from; at < to;) {
    pattern.lastIndex = at - base;
    const match = pattern.exec(part);
    if (match === null || base + match.index >= to) return;
    const goesOn = match.index + match[0].length === part.length && base + part.length < text.length;
    if (goesOn) part = text.slice(base, base + 4 * part.length);
    else at = use(match, base + match.index);
  }
}
