/**
 * What a redaction writes: which spans a rule's results cover, and what stands in their place, by style. The same for
 * a whole text and for a stream. Chance and clock stay out; a pseudonym is issued by the mapping that is given.
 */
import { createHmac } from 'node:crypto';
import type { Redaction } from '../contract/policy.ts';
import type { TextEdit } from '../text/edits.ts';
import type { Pseudonyms } from './pseudonyms.ts';

/** A span to redact. Of spans that overlap, the first, then the longest, then the one of the lowest rank gives the label. */
export interface LabelledSpan {
  readonly start: number;
  readonly end: number;
  readonly label: string;
  readonly rank: number;
}

const LABEL_ONLY: Redaction = { style: 'label' };
const MASK_CHARACTER = '*';

/**
 * One edit for each group of overlapping spans, sorted. `textOf` returns undefined for text too long to be kept, which
 * is then replaced by its label whatever the style; so is what cannot have a pseudonym.
 */
export function redactionEdits(spans: readonly LabelledSpan[], redaction: Redaction | undefined, key: Buffer, textOf: (start: number, end: number) => string | undefined, pseudonyms?: Pseudonyms): TextEdit[] {
  const sorted = [...spans].sort((a, b) => a.start - b.start || b.end - a.end || a.rank - b.rank);
  const edits: TextEdit[] = [];
  for (let i = 0; i < sorted.length;) {
    const first = sorted[i] as LabelledSpan;
    let { end } = first;
    for (i += 1; i < sorted.length && (sorted[i] as LabelledSpan).start < end; i += 1) end = Math.max(end, (sorted[i] as LabelledSpan).end);
    edits.push({ start: first.start, end, text: replacement(first.label, textOf(first.start, end), redaction ?? LABEL_ONLY, key, pseudonyms) });
  }
  return edits;
}

/**
 * Both as one, sorted and not overlapping. Where they touch the same text it is covered as a whole, and what stands there
 * is what the first say: it shows no more than they do alone.
 */
export function joinedEdits(first: readonly TextEdit[], second: readonly TextEdit[]): readonly TextEdit[] {
  if (first.length === 0 || second.length === 0) return first.length === 0 ? second : first;
  const joined: { start: number; end: number; text: string; isFirst: boolean }[] = [];
  const all = [...first.map((edit) => ({ ...edit, isFirst: true })), ...second.map((edit) => ({ ...edit, isFirst: false }))];
  for (const edit of all.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = joined[joined.length - 1];
    if (last === undefined || edit.start >= last.end) joined.push({ ...edit });
    else {
      last.end = Math.max(last.end, edit.end);
      if (edit.isFirst && !last.isFirst) Object.assign(last, { text: edit.text, isFirst: true });
    }
  }
  return joined.map(({ start, end, text }) => ({ start, end, text }));
}

function replacement(label: string, text: string | undefined, redaction: Redaction, key: Buffer, pseudonyms: Pseudonyms | undefined): string {
  if (text === undefined || redaction.style === 'label') return `[${label}]`;
  if (redaction.style === 'pseudonym') return pseudonyms?.tokenOf(label, text) ?? `[${label}]`;
  if (redaction.style === 'mask') return masked(text, redaction.keepLast ?? 4);
  return `[${label}:${createHmac('sha256', key).update(text).digest('hex').slice(0, 12)}]`;
}

/** Letters and digits become stars, except the last `keepLast` of them and, of an e-mail address, its first and the @. */
function masked(text: string, keepLast: number): string {
  const at = text.indexOf('@');
  if (at > 0) return `${text.slice(0, 1)}${MASK_CHARACTER.repeat(3)}@…`;
  const characters = Array.from(text);
  const countable = characters.filter((c) => /[\p{L}\p{N}]/u.test(c)).length;
  // A short value would be shown whole: never keep more than a third of it.
  let toHide = countable - Math.min(keepLast, Math.floor(countable / 3));
  return characters.map((c) => (/[\p{L}\p{N}]/u.test(c) && toHide-- > 0 ? MASK_CHARACTER : c)).join('');
}
