/**
 * Long texts in parts, for classifiers that work in this process: none keeps the event loop for longer than a part takes,
 * and the deadline can end the reading between two. Parts overlap, so that what a cut would sever stands whole in one of
 * them. INVARIANT: every character is in a part; what the parts say is said once, with spans of the whole text. Pure.
 */
import type { ClassifierResult, Span } from '../contract/screening.ts';

/** Characters of a part; a text that is no longer is its only part. */
export const PART_CHARS_MAX = 16_384;
/** Characters that a part shares with the one before. */
export const OVERLAP_CHARS = 256;
/** A part ends at white space where there is some so near. */
const BACK_CHARS = 128;

export interface TextPart {
  readonly start: number;
  readonly text: string;
}

export function partsOf(text: string): readonly TextPart[] {
  const parts: TextPart[] = [];
  for (let start = 0; ;) {
    const end = endOf(text, start);
    parts.push({ start, text: text.slice(start, end) });
    if (end === text.length) return parts;
    start = wholeCharacter(text, end - OVERLAP_CHARS);
  }
}

function endOf(text: string, start: number): number {
  const furthest = start + PART_CHARS_MAX;
  if (furthest >= text.length) return text.length;
  for (let end = furthest; end > furthest - BACK_CHARS; end -= 1) if (/\s/.test(text[end - 1]!)) return end;
  return wholeCharacter(text, furthest);
}

/** `at`, or one less where it would part a surrogate pair. */
function wholeCharacter(text: string, at: number): number {
  const code = text.charCodeAt(at - 1);
  return code >= 0xd800 && code <= 0xdbff ? at - 1 : at;
}

/**
 * What is said of all parts: each score and label of a category once, with all of its spans; of a category that some part
 * was not judged for, that too.
 */
export function joinedParts(answers: readonly { readonly start: number; readonly results: readonly ClassifierResult[] }[]): readonly ClassifierResult[] {
  const joined = new Map<string, ClassifierResult>();
  for (const { start, results } of answers) {
    for (const result of results) {
      const key = 'unknown' in result ? `${result.category}\n` : `${result.category}\n${result.label}\n${result.score}`;
      const known = joined.get(key);
      if ('unknown' in result) joined.set(key, known ?? result);
      else joined.set(key, { ...result, spans: added(known === undefined || 'unknown' in known ? [] : known.spans, result.spans, start) });
    }
  }
  return [...joined.values()];
}

/** Parts overlap, so a span may be found twice, and the second time from its middle on. */
function added(known: readonly Span[], found: readonly Span[], offset: number): readonly Span[] {
  const all = [...known];
  for (const { start, end } of found) {
    const span = { start: start + offset, end: end + offset };
    const before = all.findLastIndex((other) => other.start < span.end && span.start < other.end);
    if (before < 0) all.push(span);
    else all[before] = { start: Math.min(all[before]!.start, span.start), end: Math.max(all[before]!.end, span.end) };
  }
  return all;
}
