/**
 * JSON read strictly and changed by splicing. `readJson` refuses whatever two compliant parsers could read differently
 * (invalid UTF-8, byte order mark, duplicate keys, half surrogate pairs, infinite numbers) and whatever costs too much
 * (depth, number of items), so that the text that was screened is the text that is forwarded. `spliceText` replaces
 * string literals, found by path, and leaves every other character as it was. Pure.
 */
import { WeirError } from '../contract/errors.ts';

export interface JsonLimits {
  readonly depthMax: number;
  /** Keys and array elements in the whole document. */
  readonly itemsMax: number;
}

/** A JSON text that passed the strict scan. */
export interface JsonDocument {
  readonly bytes: Buffer;
  readonly text: string;
  readonly value: unknown;
}

/** Keys and indexes from the root. */
export type JsonPath = readonly (string | number)[];

export interface JsonEdit {
  readonly path: JsonPath;
  /** The new string; `null` writes the literal null in place of whatever value stands there. */
  readonly text: string | null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Scans strictly. Throws WeirError: invalid_utf8, invalid_json, duplicate_key, json_too_deep, json_too_many_keys. */
export function readJson(bytes: Buffer, limits: JsonLimits): JsonDocument {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new WeirError('invalid_utf8');
  }
  if (text.charCodeAt(0) === 0xfeff) throw new WeirError('invalid_utf8', 'the body begins with a byte order mark');
  scanStrictly(text, limits);
  return { bytes, text, value: parse(text) };
}

/** The document's bytes with string values replaced; the same buffer when there is nothing to replace. */
export function spliceJson(document: JsonDocument, edits: readonly JsonEdit[]): Buffer {
  return edits.length === 0 ? document.bytes : Buffer.from(spliceText(document.text, edits));
}

/**
 * `text`, a valid JSON text, with the values at the paths replaced. A path that leads nowhere is a programmer's error
 * and throws. Where an object names a key twice, the last one counts, as in JSON.parse.
 */
export function spliceText(text: string, edits: readonly JsonEdit[]): string {
  const located = edits.map((edit) => ({ ...locate(text, edit.path), literal: JSON.stringify(edit.text) })).sort((a, b) => a.start - b.start);
  let out = '';
  let at = 0;
  for (const { start, end, literal } of located) {
    out += text.slice(at, start) + literal;
    at = end;
  }
  return out + text.slice(at);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec((error as Error).message)?.[1];
    throw new WeirError('invalid_json', position === undefined ? 'the body is not valid JSON' : `the body is not valid JSON at character ${position}`);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * What JSON.parse accepts and we do not. Reads tokens only: the grammar is JSON.parse's to judge, but depth and size
 * are judged before it runs.
 */
function scanStrictly(text: string, limits: JsonLimits): void {
  /** Per open container: the keys seen, or undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  let items = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case 0x7b: case 0x5b:
        open.push(text.charCodeAt(i) === 0x7b ? new Set() : undefined);
        if (open.length > limits.depthMax) throw new WeirError('json_too_deep');
        items += 1;
        break;
      case 0x7d: case 0x5d:
        open.pop();
        break;
      case 0x2c:
        items += 1;
        break;
      case QUOTE: {
        const end = endOfString(text, i);
        checkString(text, i, end, open[open.length - 1]);
        i = end - 1;
        break;
      }
      case 0x65: case 0x45:
        checkExponent(text, i);
        break;
      default:
    }
    if (items > limits.itemsMax) throw new WeirError('json_too_many_keys');
  }
}

/** The index after the closing quote of the string that opens at `start`; the text's length when it is not closed. */
function endOfString(text: string, start: number): number {
  let quote = text.indexOf('"', start + 1);
  while (quote >= 0 && isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return quote < 0 ? text.length : quote + 1;
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

function checkString(text: string, start: number, end: number, keys: Set<string> | undefined): void {
  const escape = text.indexOf('\\', start);
  const escaped = escape >= 0 && escape < end;
  if (escaped && /\\u[dD][89a-fA-F]/.test(text.slice(escape, end)) && !String(parse(text.slice(start, end))).isWellFormed()) {
    throw new WeirError('invalid_utf8', 'a string holds half a surrogate pair');
  }
  if (keys === undefined || !colonFollows(text, end)) return;
  const key = escaped ? String(parse(text.slice(start, end))) : text.slice(start + 1, end - 1);
  if (keys.has(key)) throw new WeirError('duplicate_key');
  keys.add(key);
}

function colonFollows(text: string, at: number): boolean {
  return text.charCodeAt(skipSpace(text, at)) === 0x3a;
}

function skipSpace(text: string, at: number): number {
  for (let code = text.charCodeAt(at); code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09; code = text.charCodeAt(at)) at += 1;
  return at;
}

/** The `e` of `true` and `false` has no digit before it. */
function checkExponent(text: string, at: number): void {
  const before = text.charCodeAt(at - 1);
  if (before < 0x30 || before > 0x39) return;
  const [number] = /[-+.\deE]*$/.exec(text.slice(Math.max(0, at - 400), at)) as RegExpExecArray;
  const [rest] = /^[-+.\deE]*/.exec(text.slice(at, at + 400)) as RegExpExecArray;
  if (!Number.isFinite(Number(number + rest))) throw new WeirError('invalid_json', 'a number is too large to be read alike by all');
}

/** Where the value at `path` stands. */
function locate(text: string, path: JsonPath): { readonly start: number; readonly end: number } {
  let start = skipSpace(text, 0);
  for (const step of path) start = typeof step === 'number' ? elementAt(text, start, step) : memberAt(text, start, step);
  return { start, end: endOfValue(text, start) };
}

function memberAt(text: string, start: number, key: string): number {
  let found = -1;
  if (text.charCodeAt(start) === 0x7b) {
    let at = skipSpace(text, start + 1);
    while (text.charCodeAt(at) === QUOTE) {
      const end = endOfString(text, at);
      const literal = text.slice(at, end);
      const value = skipSpace(text, skipSpace(text, end) + 1);
      if ((literal.includes('\\') ? JSON.parse(literal) : literal.slice(1, -1)) === key) found = value;
      at = skipSpace(text, endOfValue(text, value));
      if (text.charCodeAt(at) === 0x2c) at = skipSpace(text, at + 1);
    }
  }
  if (found < 0) throw new Error(`no key ${JSON.stringify(key)} in the JSON text`);
  return found;
}

function elementAt(text: string, start: number, index: number): number {
  let at = text.charCodeAt(start) === 0x5b ? skipSpace(text, start + 1) : -1;
  for (let i = 0; at >= 0 && text.charCodeAt(at) !== 0x5d; i += 1) {
    if (i === index) return at;
    at = skipSpace(text, endOfValue(text, at));
    if (text.charCodeAt(at) === 0x2c) at = skipSpace(text, at + 1);
  }
  throw new Error(`no element ${index} in the JSON text`);
}

function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  if (first !== 0x7b && first !== 0x5b) {
    const rest = /[\s,\]}]/g;
    rest.lastIndex = start;
    return rest.exec(text)?.index ?? text.length;
  }
  // The text was parsed before, so every bracket is closed.
  let at = start;
  let depth = 0;
  do {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) depth -= 1;
    at += 1;
  } while (depth > 0);
  return at;
}
