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

/** A request body that was read strictly, and can be written again with some of its values replaced. */
export interface RequestDocument {
  readonly bytes: Buffer;
  /** The bytes with values replaced; the same buffer when there is nothing to replace. */
  splice(edits: readonly JsonEdit[]): Buffer;
}

/** A JSON text that passed the strict scan. */
export interface JsonDocument extends RequestDocument {
  readonly text: string;
  readonly value: unknown;
}

/** Keys and indexes from the root. */
export type JsonPath = readonly (string | number)[];

export interface JsonEdit {
  readonly path: JsonPath;
  /** What is written in place of the value that stands there; `[]` is an empty list. */
  readonly value: string | number | null | readonly [];
  /** The last step of the path is a key, and the key is replaced, not its value. */
  readonly key?: boolean;
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
  checkSize(text, limits);
  scanStrictly(text);
  return { bytes, text, value: parse(text), splice: (edits) => (edits.length === 0 ? bytes : Buffer.from(spliceText(text, edits))) };
}

/**
 * `text`, a valid JSON text, with the values at the paths replaced. A path that leads nowhere is a programmer's error
 * and throws. Where an object names a key twice, the last one counts, as in JSON.parse.
 */
export function spliceText(text: string, edits: readonly JsonEdit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const { start, end, literal } of locateAll(text, edits)) {
    parts.push(text.slice(at, start), literal);
    at = end;
  }
  return parts.join('') + text.slice(at);
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

/** Depth and number of items, before anything is built that costs more than looking: the net under all that follows. */
function checkSize(text: string, limits: JsonLimits): void {
  let depth = 0;
  let items = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) i = endOfString(text, i) - 1;
    else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      items += 1;
      if (depth > limits.depthMax) throw new WeirError('json_too_deep');
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
    else if (code === 0x2c) items += 1;
    if (items > limits.itemsMax) throw new WeirError('json_too_many_keys');
  }
}

/**
 * What JSON.parse accepts and we do not. Reads tokens only: the grammar is JSON.parse's to judge. Each character is looked at a bounded number of times, whatever the text.
 */
function scanStrictly(text: string): void {
  /** Per open container: the keys seen, or undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  /** The next backslash from here on; -1 when there is none. */
  let escape = text.indexOf('\\');
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case 0x7b: case 0x5b:
        open.push(text.charCodeAt(i) === 0x7b ? new Set() : undefined);
        break;
      case 0x7d: case 0x5d:
        open.pop();
        break;
      case QUOTE: {
        const end = endOfString(text, i);
        if (escape >= 0 && escape < i) escape = text.indexOf('\\', i);
        checkString(text, i, end, escape >= 0 && escape < end ? escape : undefined, open[open.length - 1]);
        i = end - 1;
        break;
      }
      default:
        if (isDigit(text.charCodeAt(i))) i = endOfNumber(text, i) - 1;
    }
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

/** `escape`: where its first backslash stands. */
function checkString(text: string, start: number, end: number, escape: number | undefined, keys: Set<string> | undefined): void {
  const escaped = escape !== undefined;
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

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** The index after the number that has a digit at `start`. Throws invalid_json for one that is infinite. */
function endOfNumber(text: string, start: number): number {
  NUMBER.lastIndex = start;
  const [number] = NUMBER.exec(text) as RegExpExecArray;
  if (number.length >= INFINITE_CHARS_MIN && Math.abs(Number(number)) === Infinity) throw new WeirError('invalid_json', 'a number is too large to be read alike by all');
  return start + number.length;
}

const NUMBER = /[-+.\deE]+/y;
const INFINITE_CHARS_MIN = '1e309'.length;

/** The values, or names, that edits replace, below one place. */
interface Wanted {
  readonly values: JsonEdit[];
  readonly names: JsonEdit[];
  readonly below: Map<string | number, Wanted>;
}

interface Place {
  readonly start: number;
  readonly end: number;
}

/** Where each edit stands and what is written there, in order; what stands within a value that is replaced whole is left out. */
function locateAll(text: string, edits: readonly JsonEdit[]): readonly (Place & { readonly literal: string })[] {
  const found = new Map<JsonEdit, Place>();
  locateBelow(text, skipSpace(text, 0), wantedBy(edits), found);
  const located = edits.map((edit) => {
    const place = found.get(edit);
    if (place === undefined) throw new Error(`nothing at ${JSON.stringify(edit.path)} in the JSON text`);
    return { ...place, literal: JSON.stringify(edit.value) };
  }).sort((a, b) => a.start - b.start);
  let covered = 0;
  return located.filter(({ start, end }) => {
    if (start < covered) return false;
    covered = end;
    return true;
  });
}

function wantedBy(edits: readonly JsonEdit[]): Wanted {
  const root: Wanted = { values: [], names: [], below: new Map() };
  for (const edit of edits) {
    let at = root;
    for (const step of edit.path) {
      let next = at.below.get(step);
      if (next === undefined) at.below.set(step, next = { values: [], names: [], below: new Map() });
      at = next;
    }
    (edit.key === true ? at.names : at.values).push(edit);
  }
  return root;
}

/** Goes over the value that begins at `start`, once, and returns its end. */
function locateBelow(text: string, start: number, wanted: Wanted, found: Map<JsonEdit, Place>): number {
  const first = text.charCodeAt(start);
  const isContainer = first === 0x7b || first === 0x5b;
  const end = wanted.below.size === 0 || !isContainer ? endOfValue(text, start) : first === 0x7b ? locateMembers(text, start, wanted, found) : locateElements(text, start, wanted, found);
  for (const edit of wanted.values) found.set(edit, { start, end });
  return end;
}

function locateMembers(text: string, start: number, { below }: Wanted, found: Map<JsonEdit, Place>): number {
  let at = skipSpace(text, start + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const end = endOfString(text, at);
    const literal = text.slice(at, end);
    const wanted = below.get(literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1));
    const value = skipSpace(text, skipSpace(text, end) + 1);
    // Of a name that stands twice the last one counts: it is found last.
    for (const edit of wanted?.names ?? []) found.set(edit, { start: at, end });
    at = afterComma(text, wanted === undefined ? endOfValue(text, value) : locateBelow(text, value, wanted, found));
  }
  return at + 1;
}

function locateElements(text: string, start: number, { below }: Wanted, found: Map<JsonEdit, Place>): number {
  let at = skipSpace(text, start + 1);
  for (let i = 0; text.charCodeAt(at) !== 0x5d; i += 1) {
    const wanted = below.get(i);
    at = afterComma(text, wanted === undefined ? endOfValue(text, at) : locateBelow(text, at, wanted, found));
  }
  return at + 1;
}

/** Where the next member or element begins, or the bracket that closes. */
function afterComma(text: string, end: number): number {
  const at = skipSpace(text, end);
  return text.charCodeAt(at) === 0x2c ? skipSpace(text, at + 1) : at;
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
