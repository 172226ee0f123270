/**
 * Reads the options of a classifier that calls a service: strictly, so that a misspelt key or a wrong unit is an error
 * when the configuration is loaded and not a surprise in traffic. Every message begins with the key. It reads no secret
 * into a message.
 */
import type { CategoryDefinition } from '#contract/classifier.ts';
import type { ServiceOptions } from './client.ts';

export type Given = Readonly<Record<string, unknown>>;

const CATEGORIES_MAX = 100;
const DEFINITION_CHARS_MAX = 4_000;

/** `where` is the key above; at the top the id is the host's. */
export function refuseUnknown(given: Given, known: readonly string[], where = ''): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key) && !(where === '' && key === 'id'));
  if (unknown !== undefined) throw new Error(`${where}${unknown}: unknown option; known are ${known.join(', ')}`);
}

export function readText(given: Given, key: string): string | undefined {
  const value = given[key];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.trim() === '') throw new Error(`${key}: expected text, got ${kindOf(value)}`);
  return value;
}

export function requireText(given: Given, key: string, example: string): string {
  const text = readText(given, key);
  if (text === undefined) throw new Error(`${key}: missing; write for example ${key}: ${example}`);
  return text;
}

/** A whole number. */
export function readCount(given: Given, key: string, { min, max, fallback }: { readonly min: number; readonly max: number; readonly fallback: number }): number {
  const value = given[key] ?? fallback;
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) throw new Error(`${key}: expected a whole number from ${min} to ${max}, got ${describe(value)}`);
  return value as number;
}

export function readFlag(given: Given, key: string, fallback: boolean): boolean {
  const value = given[key] ?? fallback;
  if (typeof value !== 'boolean') throw new Error(`${key}: expected true or false, got ${kindOf(value)}`);
  return value;
}

export function readChoice<Word extends string>(given: Given, key: string, words: readonly Word[], fallback: Word | undefined): Word {
  const value = given[key] ?? fallback;
  if (!words.includes(value as Word)) throw new Error(`${key}: expected one of ${words.join(', ')}, got ${describe(value)}`);
  return value as Word;
}

/** A list of at least one, without repetition; one alone may stand without its list. */
export function readList<Word extends string>(given: Given, key: string, words: readonly Word[], fallback: readonly Word[]): readonly Word[] {
  const value = given[key] ?? fallback;
  const list = Array.isArray(value) ? value : [value];
  const wrong = list.find((item) => !words.includes(item));
  if (list.length === 0 || wrong !== undefined) throw new Error(`${key}: expected some of ${words.join(', ')}, got ${describe(wrong)}`);
  return [...new Set(list as Word[])];
}

/** BCP 47 primary tags, or `*` for any. */
export function readLanguages(given: Given, fallback: readonly string[]): readonly string[] {
  const value = given.languages ?? fallback;
  if (!Array.isArray(value) || value.length === 0 || value.some((tag) => typeof tag !== 'string' || !/^(?:\*|[a-z]{2,3})$/.test(tag))) {
    throw new Error('languages: expected a list of tags such as en, or * for any');
  }
  return value as string[];
}

/** An address to POST to. */
export function readUrl(given: Given, key: string, fallback?: string): URL {
  const text = fallback === undefined ? requireText(given, key, "'http://127.0.0.1:9100/classify'") : readText(given, key) ?? fallback;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error(`${key}: expected an address that begins with http:// or https://`);
  if (url.username !== '' || url.password !== '') throw new Error(`${key}: an address may not hold a password; send it in a header`);
  if (url.hash !== '') throw new Error(`${key}: an address may not have a part behind #`);
  return url;
}

const CONNECTIONS_MAX = 1_000;
const CONNECTIONS = 64;

/** How a service is called: `headers`, `connections`, and `api_key` where the plugin says in which header it goes. */
export function readService(given: Given, url: URL, [keyHeader, prefix = '']: readonly [header?: string, prefix?: string] = []): ServiceOptions {
  const key = keyHeader === undefined ? {} : readKey(given, keyHeader, prefix);
  return { url, headers: { ...readHeaders(given), ...key }, connections: readCount(given, 'connections', { min: 1, max: CONNECTIONS_MAX, fallback: CONNECTIONS }) };
}

/** What the client or the connection sets by itself. */
const RESERVED_HEADERS = ['host', 'connection', 'content-length', 'transfer-encoding', 'content-type', 'accept', 'accept-encoding', 'expect', 'upgrade', 'te', 'trailer', 'keep-alive'];

/** Headers to send. One whose value is empty (an optional variable of the environment) is left out. */
function readHeaders(given: Given): Readonly<Record<string, string>> {
  const headers = given.headers ?? {};
  if (!isMapping(headers)) throw new Error(`headers: expected names and values, got ${kindOf(headers)}`);
  const read: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) throw new Error('headers: a name has a character that no header may have');
    if (RESERVED_HEADERS.includes(name.toLowerCase())) throw new Error(`headers.${name}: is set by the connection`);
    if (typeof value !== 'string') throw new Error(`headers.${name}: expected text, got ${kindOf(value)}`);
    if (!/^[\t\x20-\x7e]*$/.test(value)) throw new Error(`headers.${name}: the value has a character that no header may have`);
    if (value.trim() !== '') read[name.toLowerCase()] = value;
  }
  return read;
}

/** A key as a header, or no header where it is empty: a service in the house may need none. */
function readKey(given: Given, header: string, prefix: string): Readonly<Record<string, string>> {
  const key = given.api_key ?? '';
  if (typeof key !== 'string' || !/^[\x21-\x7e]*$/.test(key)) throw new Error('api_key: expected a key without spaces; take it from the environment, ${NAME}');
  return key === '' ? {} : { [header]: prefix + key };
}

/** `[toxic, threat]`, or `{ toxic: what it means }`. */
export function readCategories(given: Given): readonly CategoryDefinition[] {
  const value = given.categories;
  if (value === undefined) throw new Error('categories: missing; write for example categories: [toxic]');
  const named: readonly (readonly [unknown, unknown])[] = Array.isArray(value) ? value.map((id) => [id, '']) : isMapping(value) ? Object.entries(value) : [];
  if (named.length === 0 || named.length > CATEGORIES_MAX) throw new Error(`categories: expected from 1 to ${CATEGORIES_MAX} names, in a list or with their definitions`);
  for (const [id, definition] of named) {
    if (typeof id !== 'string' || !/^[^\s\p{C}*[\]]{1,64}$/u.test(id)) throw new Error('categories: a name is text of up to 64 characters, without spaces, * and brackets');
    if (typeof definition !== 'string' || definition.length > DEFINITION_CHARS_MAX) throw new Error(`categories.${id}: a definition is text of up to ${DEFINITION_CHARS_MAX} characters`);
  }
  const ids = named.map(([id]) => id as string);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new Error(`categories: ${twice} stands there twice`);
  return named.map(([id, definition]) => ({ id: id as string, definition: definition as string }));
}

export function isMapping(value: unknown): value is Given {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return value === '' ? 'empty text' : 'text';
  return typeof value === 'object' ? 'a mapping' : typeof value === 'number' ? 'a number' : 'true or false';
}

function describe(value: unknown): string {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= 40) ? String(value) : kindOf(value);
}
