/** Replacements in a text: half-open ranges in UTF-16 code units, sorted, not overlapping. Pure. */

/** `[start, end)` is replaced by `text`. */
export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A whole text with its edits made. */
export function applyEdits(text: string, edits: readonly TextEdit[]): string {
  return sliceEdited(text, 0, 0, text.length, edits);
}

/**
 * The characters `[start, end)` of a longer text as they leave; `text` begins at its offset `textStart`. A replacement
 * stands where its edit begins: of an edit that begins before `start` nothing is written.
 */
export function sliceEdited(text: string, textStart: number, start: number, end: number, edits: readonly TextEdit[]): string {
  let out = '';
  let at = start;
  for (const edit of edits) {
    if (edit.start >= end) break;
    if (edit.end <= at && edit.start < at) continue;
    if (edit.start >= at) out += text.slice(at - textStart, edit.start - textStart) + edit.text;
    at = Math.max(at, Math.min(edit.end, end));
  }
  return out + text.slice(at - textStart, end - textStart);
}
