/**
 * Other ways to do the same work, for comparison: V8's regular expressions one by one and as one alternation, RE2 in
 * JavaScript, and the usual way to redact a stream, which keeps a tail and searches it again at every delta. The only
 * door to re2js.
 */
import { RE2JS, RE2Set } from 're2js';
import type { PatternDefinition } from '../../src/contract/classifier.ts';
import { applyEdits, type TextEdit } from '../../src/text/edits.ts';

/** Finds in a text what it shall find, and replaces it. */
export type Redact = (text: string) => string;

export function v8Separate(definitions: readonly PatternDefinition[]): (text: string) => TextEdit[] {
  const patterns = definitions.map(({ regex, label }) => ({ regex: new RegExp(regex as string, 'g'), text: `[${label}]` }));
  return (text) => {
    const edits: TextEdit[] = [];
    for (const pattern of patterns) {
      pattern.regex.lastIndex = 0;
      for (let found = pattern.regex.exec(text); found !== null; found = pattern.regex.exec(text)) edits.push({ start: found.index, end: pattern.regex.lastIndex, text: pattern.text });
    }
    return joined(edits);
  };
}

/** Each alternative is a group, so that the label is known. */
export function v8Alternation(definitions: readonly PatternDefinition[]): (text: string) => TextEdit[] {
  const regex = new RegExp(definitions.map((definition) => `(${definition.regex})`).join('|'), 'g');
  return (text) => {
    const edits: TextEdit[] = [];
    regex.lastIndex = 0;
    for (let found = regex.exec(text); found !== null; found = regex.exec(text)) edits.push({ start: found.index, end: regex.lastIndex, text: `[${definitions[found.indexOf(found[0], 1) - 1].label}]` });
    return edits;
  };
}

export function re2Separate(definitions: readonly PatternDefinition[]): (text: string) => TextEdit[] {
  const patterns = definitions.map(({ regex, label }) => ({ regex: RE2JS.compile(regex as string), text: `[${label}]` }));
  return (text) => {
    const edits: TextEdit[] = [];
    for (const pattern of patterns) {
      for (const matcher = pattern.regex.matcher(text); matcher.find();) edits.push({ start: matcher.start(), end: matcher.end(), text: pattern.text });
    }
    return joined(edits);
  };
}

/** Says only which patterns match somewhere, not where. */
export function re2Set(definitions: readonly PatternDefinition[]): (text: string) => readonly number[] {
  const set = new RE2Set();
  for (const { regex } of definitions) set.add(regex as string);
  set.compile();
  return (text) => set.match(text);
}

/** Keeps the last `tailChars` characters and searches all that it keeps at every delta. */
export class RescanRedactor {
  readonly #find: (text: string) => TextEdit[];
  readonly #tailChars: number;
  /** Text that has not left, behind the one character before it, which `\b` must see. */
  #kept = '';
  #seen = 0;

  constructor(find: (text: string) => TextEdit[], tailChars: number) {
    this.#find = find;
    this.#tailChars = tailChars;
  }

  feed(text: string): string {
    this.#kept += text;
    const edits = this.#find(this.#kept);
    let cut = this.#kept.length - this.#tailChars;
    for (const edit of edits) if (edit.start < cut && edit.end > cut) cut = edit.start;
    return cut <= this.#seen ? '' : this.#leave(cut, edits);
  }

  flush(): string {
    return this.#leave(this.#kept.length, this.#find(this.#kept));
  }

  #leave(cut: number, edits: readonly TextEdit[]): string {
    const seen = this.#seen;
    const out = applyEdits(this.#kept.slice(0, cut), edits.filter((edit) => edit.start >= seen && edit.end <= cut)).slice(seen);
    this.#seen = Math.min(1, cut);
    this.#kept = this.#kept.slice(cut - this.#seen);
    return out;
  }
}

/** Sorted; what overlaps is one, with the text of what began first. */
function joined(edits: TextEdit[]): TextEdit[] {
  if (edits.length < 2) return edits;
  const out: { start: number; end: number; text: string }[] = [];
  for (const edit of edits.sort((a, b) => a.start - b.start || b.end - a.end)) {
    const last = out[out.length - 1];
    if (last !== undefined && edit.start < last.end) last.end = Math.max(last.end, edit.end);
    else out.push({ ...edit });
  }
  return out;
}
