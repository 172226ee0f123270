/**
 * JSON that arrives as text in a string (tool arguments), read as the texts it holds: each string is decoded and is a
 * text of its own; what stands between strings (numbers, structure) is another. Incremental at any cut, also inside an
 * escape. Keeps the map from decoded to raw offsets, and says how a replacement is written so that the JSON stays valid.
 * Text that is no JSON is read too, as it stands. Pure.
 */

import type { TextEdit } from './edits.ts';

/** Where the decoder puts what it reads. */
export interface JsonTextSink {
  /** The next characters of the present text, decoded. */
  text(decoded: string): void;
  /** The present text ends; what follows is another. */
  boundary(): void;
}

/** Decoded units from `decoded` on stand at `raw` on; an escape is one stretch of one unit in several characters. */
interface Stretch {
  readonly decoded: number;
  readonly raw: number;
  readonly units: number;
  readonly rawChars: number;
  readonly inString: boolean;
}

const HEX = /^[0-9a-fA-F]*$/;
const NUMBER = /[-+.\deE]/;
const NUMBERS = /^[-+.\deE]+$/;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

export class JsonText {
  readonly #sink: JsonTextSink;
  #inString = false;
  /** An escape that is not complete: its characters so far. */
  #escape = '';
  /** Raw characters taken, an unfinished escape not counted. */
  #raw = 0;
  /** Decoded characters given to the sink. */
  #decoded = 0;
  /** Where a number under way began, or -1: it is replaced whole. */
  #numberStart = -1;
  /** How decoded offsets map to raw ones, from what `forget` left. */
  #stretches: Stretch[] = [];

  constructor(sink: JsonTextSink) {
    this.#sink = sink;
  }

  feed(text: string): void {
    let start = 0;
    for (let i = 0; i < text.length; i += 1) {
      const char = text[i] as string;
      if (this.#escape !== '') {
        this.#continueEscape(char);
        start = i + 1;
      } else if (char === '"') {
        this.#take(text.slice(start, i));
        start = i + 1;
        this.#raw += 1;
        this.#endText();
        this.#inString = !this.#inString;
      } else if (char === '\\' && this.#inString) {
        this.#take(text.slice(start, i));
        start = i + 1;
        this.#escape = '\\';
      } else if (!this.#inString) this.#trackNumber(char, this.#raw + i - start);
    }
    this.#take(text.slice(start));
  }

  /** The JSON text is complete. An escape that never ended is text as it stands. */
  close(): void {
    if (this.#escape !== '') this.#emit(this.#escape, this.#escape.length);
    this.#escape = '';
    this.#endText();
    this.#inString = false;
  }

  /** The raw offset before which nothing is under way, when the decoded text is decided before `boundary`. */
  releasedBefore(boundary: number): number {
    const raw = boundary >= this.#decoded ? this.#raw : this.#rawStart(boundary);
    return this.#numberStart < 0 ? raw : Math.min(raw, this.#numberStart);
  }

  /** The raw range of the decoded range `[start, end)`. */
  rawRange(start: number, end: number): { readonly start: number; readonly end: number } {
    const last = this.#stretchAt(end - 1);
    return { start: this.#rawStart(start), end: last.units === last.rawChars ? last.raw + (end - last.decoded) : last.raw + last.rawChars };
  }

  /**
   * The raw edit that replaces the decoded range by `text`: escaped inside a string; quoted where it replaces a number,
   * with the signs before it. `decodedText` gives decoded text that is not forgotten.
   */
  place(start: number, end: number, text: string, decodedText: (start: number, end: number) => string): TextEdit {
    const { inString, decoded } = this.#stretchAt(start);
    const charBefore = (back: number): string => (start - back < decoded ? '' : decodedText(start - back, start - back + 1));
    return writtenInJson({ ...this.rawRange(start, end), text }, inString, decodedText(start, end), charBefore);
  }

  /** Drops the map before the decoded offset `boundary`, except for a number under way. */
  forget(boundary: number): void {
    if (this.#numberStart >= 0) return;
    const drop = this.#stretches.findIndex((stretch) => stretch.decoded + stretch.units > boundary);
    if (drop !== 0) this.#stretches.splice(0, drop < 0 ? this.#stretches.length : drop);
  }

  /** True while a number is under way and nothing of it may be forgotten. */
  get inNumber(): boolean {
    return this.#numberStart >= 0;
  }

  #endText(): void {
    this.#numberStart = -1;
    this.#sink.boundary();
  }

  #continueEscape(char: string): void {
    this.#escape += char;
    const escape = this.#escape;
    if (escape.length === 2 && char === 'u') return;
    if (escape.length === 2) this.#finishEscape(ESCAPES[char] ?? escape);
    else if (!HEX.test(escape.slice(2))) this.#finishEscape(escape);
    else if (escape.length === 6) this.#finishEscape(String.fromCharCode(parseInt(escape.slice(2), 16)));
  }

  #finishEscape(decoded: string): void {
    const rawChars = this.#escape.length;
    this.#escape = '';
    this.#emit(decoded, rawChars);
  }

  #trackNumber(char: string, raw: number): void {
    if (!NUMBER.test(char)) this.#numberStart = -1;
    else if (this.#numberStart < 0) this.#numberStart = raw;
  }

  /** Plain characters: each is its own decoding. */
  #take(text: string): void {
    if (text.length > 0) this.#emit(text, text.length);
  }

  #emit(decoded: string, rawChars: number): void {
    this.#stretches.push({ decoded: this.#decoded, raw: this.#raw, units: decoded.length, rawChars, inString: this.#inString });
    this.#raw += rawChars;
    this.#decoded += decoded.length;
    this.#sink.text(decoded);
  }

  #rawStart(decoded: number): number {
    const stretch = this.#stretchAt(decoded);
    return stretch.units === stretch.rawChars ? stretch.raw + (decoded - stretch.decoded) : stretch.raw;
  }

  /** The stretch that holds a decoded offset: the last that begins at or before it. */
  #stretchAt(decoded: number): Stretch {
    let low = 0;
    let high = this.#stretches.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#stretches[middle] as Stretch).decoded <= decoded) low = middle;
      else high = middle - 1;
    }
    return this.#stretches[low] as Stretch;
  }
}

/** Tells of offsets of a JSON text whether they stand inside a string. Asked in rising order: the text is gone over once. */
export function inStringAt(text: string): (offset: number) => boolean {
  let at = 0;
  let inString = false;
  return (offset) => {
    for (; at < offset; at += 1) {
      const code = text.charCodeAt(at);
      if (code === 0x5c) at += 1;
      else if (code === 0x22) inString = !inString;
    }
    return inString;
  };
}

/**
 * An edit as it is written in JSON text: escaped inside a string; quoted where it replaces a number, which goes whole,
 * with the signs and digits before it. `charBefore(1)` is the character before the edit, '' where there is none.
 */
export function writtenInJson(edit: TextEdit, inString: boolean, replaced: string, charBefore: (back: number) => string): TextEdit {
  const escaped = JSON.stringify(edit.text);
  if (inString || !NUMBERS.test(replaced)) return { ...edit, text: escaped.slice(1, -1) };
  let signs = 0;
  while (NUMBER.test(charBefore(signs + 1))) signs += 1;
  return { start: edit.start - signs, end: edit.end, text: edit.text === '' ? '' : escaped };
}
