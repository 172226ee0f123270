/**
 * Shapes: one declaration per key, from which the type, the check with its messages, the default and the documentation
 * all derive. Used for the configuration and for policies.
 *
 * Guarantees: `readShape` reports every finding with its place and, for a misspelt word, the word probably meant; a
 * value it returns without an error has the declared type, is frozen and holds only declared keys. A key with nothing
 * after it counts as absent. Messages name what kind of thing was received and never quote a free text.
 */
import type { ConfigIssue } from '../contract/errors.ts';
import { nearestWord } from './nearest.ts';
import { formatPath, type Path, type YamlDocument } from './yaml.ts';

/** What a key says about itself. */
interface Notes {
  readonly unit?: string;
  /** As it would be written in YAML. */
  readonly default?: {};
  readonly required?: true;
  /** A value for the documentation when there is no default. */
  readonly example?: {};
  /** For `custom`: what JSON Schema can say of it. */
  readonly schema?: JsonSchema;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Shape<T> {
  /** In words: `whole number`, `one of refuse, pass`. */
  readonly type: string;
  readonly description: string;
  readonly notes: Notes;
  readonly fields?: Readonly<Record<string, Shape<unknown>>>;
  readonly item?: Shape<unknown>;
  /** `[]` for a list, `*` for a mapping with free keys. */
  readonly itemStep?: '[]' | '*';
  /** What JSON Schema can say of a value, without its description. */
  readonly schema: JsonSchema;
  /** Undefined when an issue was reported. */
  read(value: unknown, site: Site): T | undefined;
}

export type TypeOf<S> = S extends Shape<infer T> ? T : never;

type Present<T, N> = N extends { readonly default: {} } | { readonly required: true } ? T : T | undefined;

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Mapping<F extends Fields> = { readonly [K in keyof F]: TypeOf<F[K]> };

/** Where a value stands, and where findings about it go. */
export class Site {
  readonly path: Path;
  readonly #document: Source;
  readonly #issues: ConfigIssue[];

  constructor(document: Source, issues: ConfigIssue[], path: Path = []) {
    this.#document = document;
    this.#issues = issues;
    this.path = path;
  }

  child(step: string | number): Site {
    return new Site(this.#document, this.#issues, [...this.path, step]);
  }

  /** True where the text came from an environment variable. */
  get expanded(): boolean {
    return this.#document.isExpanded?.(this.path) ?? false;
  }

  /** Reports and returns undefined, so that a reader can `return site.refuse(…)`. */
  refuse(message: string, suggestion?: string, part: 'value' | 'key' = 'value'): undefined {
    this.#report('error', message, suggestion, part);
    return undefined;
  }

  warn(message: string, suggestion?: string): void {
    this.#report('warning', message, suggestion, 'key');
  }

  #report(severity: ConfigIssue['severity'], message: string, suggestion: string | undefined, part: 'value' | 'key'): void {
    const { file } = this.#document;
    this.#issues.push({ file, ...this.#document.at(this.path, part), path: formatPath(this.path), message, ...(suggestion === undefined ? {} : { suggestion }), severity });
  }
}

type Source = YamlDocument & { isExpanded?(path: Path): boolean };

/** Reads a document whole. `value` is undefined when there is any error. */
export function readShape<T>(shape: Shape<T>, document: Source): { readonly value: T | undefined; readonly issues: readonly ConfigIssue[] } {
  const issues: ConfigIssue[] = [...document.issues];
  if (issues.length > 0) return { value: undefined, issues };
  const value = shape.read(document.value, new Site(document, issues));
  return { value: issues.some((issue) => issue.severity === 'error') ? undefined : value, issues };
}

// Single values.

export function text<const N extends Notes & { readonly pattern?: RegExp; readonly patternMeaning?: string; readonly lengthMax?: number } = {}>(description: string, notes: N = {} as N): Shape<Present<string, N>> {
  const lengthMax = notes.lengthMax ?? 10_000;
  return make('text', description, notes, (value, site) => {
    if (typeof value !== 'string') return site.refuse(`expected text, got ${kindOf(value)}`, typeof value === 'number' || typeof value === 'boolean' ? 'put it in quotes' : undefined);
    if (value === '') return site.refuse('expected text, got an empty one');
    if (value.length > lengthMax) return site.refuse(`longer than ${lengthMax} characters`);
    if (notes.pattern && !notes.pattern.test(value)) return site.refuse(`expected ${notes.patternMeaning}`);
    return value;
  }, { type: 'string', minLength: 1, maxLength: lengthMax, ...(notes.pattern === undefined ? {} : { pattern: notes.pattern.source }) });
}

/** A name that other parts refer to, and that may stand in a path, a header or a metric. */
export function name<const N extends Notes = {}>(description: string, notes: N = {} as N): Shape<Present<string, N>> {
  return { ...text(description, { ...notes, pattern: NAME, patternMeaning: NAME_MEANING, lengthMax: 64 }), type: 'name' } as unknown as Shape<Present<string, N>>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;
const NAME_MEANING = 'a name of letters, digits, `.`, `_` and `-`';

export function whole<const N extends Notes & { readonly min: number; readonly max: number }>(description: string, notes: N): Shape<Present<number, N>> {
  return make('whole number', description, notes, (value, site) => {
    const number = asNumber(value, site);
    if (number === undefined) return site.refuse(`expected a whole number, got ${kindOf(value)}`);
    if (!Number.isInteger(number) || number < notes.min || number > notes.max) return site.refuse(`expected a whole number from ${notes.min} to ${notes.max}, got ${number}`);
    return number;
  }, { type: 'integer', minimum: notes.min, maximum: notes.max });
}

export function number<const N extends Notes & { readonly min: number; readonly max: number }>(description: string, notes: N): Shape<Present<number, N>> {
  return make('number', description, notes, (value, site) => {
    const number = asNumber(value, site);
    if (number === undefined) return site.refuse(`expected a number, got ${kindOf(value)}`);
    if (!(number >= notes.min && number <= notes.max)) return site.refuse(`expected a number from ${notes.min} to ${notes.max}, got ${number}`);
    return number;
  }, { type: 'number', minimum: notes.min, maximum: notes.max });
}

export function flag<const N extends Notes = {}>(description: string, notes: N = {} as N): Shape<Present<boolean, N>> {
  return make('true or false', description, notes, (value, site) => {
    if (typeof value === 'boolean') return value;
    if (site.expanded && (value === 'true' || value === 'false')) return value === 'true';
    return site.refuse(`expected true or false, got ${kindOf(value)}`);
  }, { type: 'boolean' });
}

export function choice<const W extends readonly string[], const N extends Notes = {}>(description: string, words: W, notes: N = {} as N): Shape<Present<W[number], N>> {
  return make(`one of ${words.join(', ')}`, description, notes, (value, site) => {
    if (typeof value === 'string' && words.includes(value)) return value as W[number];
    if (typeof value !== 'string') return site.refuse(`expected one of ${words.join(', ')}; got ${kindOf(value)}`);
    return site.refuse(`expected one of ${words.join(', ')}`, meant(value, words));
  }, { enum: words });
}

const DURATION_UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `30s`, `5m`, `1h`, `1d`; read as milliseconds. */
export function duration<const N extends Notes & { readonly maxMs: number }>(description: string, notes: N): Shape<Present<number, N>> {
  return make('duration', description, notes, (value, site) => {
    const parts = typeof value === 'string' ? /^(\d{1,12})(ms|s|m|h|d)$/.exec(value) : null;
    if (!parts) return site.refuse('expected a duration with its unit', typeof value === 'number' && value >= 0 ? `write ${value}s or ${value}ms` : 'write 500ms, 30s, 5m or 1h');
    const ms = Number(parts[1]) * DURATION_UNITS_MS[parts[2]];
    if (ms > notes.maxMs) return site.refuse(`longer than ${notes.maxMs} ms`);
    return ms;
  }, { type: 'string', pattern: '^\\d{1,12}(ms|s|m|h|d)$' });
}

/** An absolute URL without a fragment; credentials inside are refused unless `userinfo` says otherwise. */
export function url<const N extends Notes & { readonly schemes: readonly string[]; readonly userinfo?: true }>(description: string, notes: N): Shape<Present<string, N>> {
  return make('URL', description, notes, (value, site) => {
    if (typeof value !== 'string') return site.refuse(`expected a URL, got ${kindOf(value)}`);
    const parsed = URL.parse(value);
    const scheme = parsed?.protocol.slice(0, -1) ?? '';
    if (!parsed || !notes.schemes.includes(scheme)) return site.refuse(`expected a URL that begins with ${notes.schemes.map((s) => `${s}:`).join(' or ')}`);
    if (parsed.hash !== '') return site.refuse('a URL here has no fragment', 'remove # and what follows');
    if (!notes.userinfo && (parsed.username !== '' || parsed.password !== '')) return site.refuse('a URL here holds no credentials', 'put them in api_key');
    return value;
  }, { type: 'string', format: 'uri' });
}

/** Anything the schema leaves to someone else: a plugin's own options, a part that is not built yet. */
export function free<const N extends Notes = {}>(description: string, notes: N = {} as N): Shape<Present<Readonly<Record<string, unknown>>, N>> {
  return make('mapping', description, notes, (value, site) => (isMapping(value) ? (deepFreeze(value) as Readonly<Record<string, unknown>>) : site.refuse(`expected a mapping, got ${kindOf(value)}`)), { type: 'object' });
}

/** A reader of one's own. */
export function custom<T, const N extends Notes = {}>(type: string, description: string, read: (value: unknown, site: Site) => T | undefined, notes: N = {} as N): Shape<Present<T, N>> {
  return make(type, description, notes, read, notes.schema ?? {});
}

// Collections.

export function list<T, const N extends Notes & { readonly countMax: number; readonly countMin?: number }>(description: string, item: Shape<T>, notes: N): Shape<Present<readonly Exclude<T, undefined>[], N>> {
  const read = (value: unknown, site: Site): readonly Exclude<T, undefined>[] | undefined => {
    if (!Array.isArray(value)) return site.refuse(`expected a list, got ${kindOf(value)}`, value === null ? undefined : 'write [value] or one `- value` per line');
    if (value.length > notes.countMax) return site.refuse(`${value.length} entries, the limit is ${notes.countMax}`);
    if (value.length < (notes.countMin ?? 0)) return site.refuse(`expected at least ${notes.countMin} ${notes.countMin === 1 ? 'entry' : 'entries'}`);
    return Object.freeze(value.map((entry, index) => item.read(entry, site.child(index)) as Exclude<T, undefined>));
  };
  const schema = { type: 'array', minItems: notes.countMin ?? 0, maxItems: notes.countMax };
  return { ...make(`list of ${item.type}`, description, notes, read, schema), item: item as Shape<unknown>, itemStep: '[]' } as unknown as Shape<Present<readonly Exclude<T, undefined>[], N>>;
}

/** A mapping from names to one shape. The result has no prototype, so no name is special. */
export function record<T, const N extends Notes & { readonly countMax: number; readonly countMin?: number }>(description: string, item: Shape<T>, notes: N): Shape<Present<Readonly<Record<string, Exclude<T, undefined>>>, N>> {
  const read = (value: unknown, site: Site): Readonly<Record<string, Exclude<T, undefined>>> | undefined => {
    if (!isMapping(value)) return site.refuse(`expected a mapping, got ${kindOf(value)}`);
    const keys = Object.keys(value);
    if (keys.length > notes.countMax) return site.refuse(`${keys.length} entries, the limit is ${notes.countMax}`);
    if (keys.length < (notes.countMin ?? 0)) return site.refuse('expected at least one entry');
    const result: Record<string, Exclude<T, undefined>> = Object.create(null);
    for (const key of keys) {
      if (!NAME.test(key) || key.length > 64) site.child(key).refuse(`expected ${NAME_MEANING}`, undefined, 'key');
      result[key] = item.read(value[key], site.child(key)) as Exclude<T, undefined>;
    }
    return Object.freeze(result);
  };
  const schema = { type: 'object', minProperties: notes.countMin ?? 0, maxProperties: notes.countMax };
  return { ...make('mapping', description, notes, read, schema), item: item as Shape<unknown>, itemStep: '*' } as unknown as Shape<Present<Readonly<Record<string, Exclude<T, undefined>>>, N>>;
}

export function mapping<const F extends Fields, const N extends Notes & { readonly open?: true } = {}>(description: string, fields: F, notes: N = {} as N): Shape<Present<Mapping<F>, N>> {
  const read = (value: unknown, site: Site): Mapping<F> | undefined => {
    if (!isMapping(value)) return site.refuse(value === undefined ? 'expected a mapping, the file is empty' : `expected a mapping, got ${kindOf(value)}`);
    if (!notes.open) refuseUnknown(value, fields, site);
    const result: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(fields)) {
      const present = readField(Object.hasOwn(value, key) ? value[key] : undefined, field, site.child(key), site);
      if (present !== undefined) result[key] = present;
    }
    return Object.freeze(result) as Mapping<F>;
  };
  const schema = { type: 'object', additionalProperties: notes.open === true };
  return { ...make('mapping', description, notes, read, schema), fields } as unknown as Shape<Present<Mapping<F>, N>>;
}

function readField(value: unknown, field: Shape<unknown>, site: Site, parent: Site): unknown {
  const absent = value === undefined || value === null || (value === '' && site.expanded);
  if (!absent) return field.read(value, site);
  if (field.notes.required) return parent.refuse(`${site.path.at(-1)} is missing`, undefined, 'key');
  return field.notes.default === undefined ? undefined : field.read(field.notes.default, site);
}

function refuseUnknown(value: Readonly<Record<string, unknown>>, fields: Fields, site: Site): void {
  for (const key of Object.keys(value)) {
    if (!Object.hasOwn(fields, key)) site.child(key).refuse(`unknown key ${key.slice(0, 80)}`, meant(key, Object.keys(fields)), 'key');
  }
}

// What all share.

function make<T, N extends Notes>(type: string, description: string, notes: N, read: (value: unknown, site: Site) => T | undefined, schema: JsonSchema): Shape<Present<T, N>> {
  return { type, description, notes, read, schema } as unknown as Shape<Present<T, N>>;
}

/** `did you mean x?`, or undefined. */
export function meant(word: string, words: Iterable<string>): string | undefined {
  const near = nearestWord(word, words);
  return near === undefined ? undefined : `did you mean ${near}?`;
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  return typeof value === 'string' ? 'text' : typeof value === 'number' ? 'a number' : 'true or false';
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asNumber(value: unknown, site: Site): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && site.expanded && /^[+-]?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : undefined;
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

// Documentation.

/** One row of the reference. */
export interface KeyDoc {
  /** `proxy.limits.body_bytes_max`, `tenants[].id`, `upstreams.*.url`. */
  readonly path: string;
  readonly type: string;
  readonly unit?: string;
  /** As YAML; absent when there is none. */
  readonly default?: string;
  readonly required: boolean;
  readonly description: string;
  readonly example?: {};
}

/** Every key below a shape, parents first, in the order of declaration. */
export function documentKeys(shape: Shape<unknown>, path = ''): readonly KeyDoc[] {
  const { fields, item, itemStep } = shape;
  if (fields) {
    return Object.entries(fields).flatMap(([key, field]) => {
      const here = path === '' ? key : `${path}.${key}`;
      return [rowOf(here, field), ...documentKeys(field, here)];
    });
  }
  if (!item) return [];
  return documentKeys(item, itemStep === '[]' ? `${path}[]` : `${path}.*`);
}

function rowOf(path: string, { type, description, notes, fields, item }: Shape<unknown>): KeyDoc {
  const trivial = fields !== undefined || (item !== undefined && notes.default !== undefined && Object.keys(notes.default).length === 0);
  return {
    path,
    type,
    ...(notes.unit === undefined ? {} : { unit: notes.unit }),
    ...(notes.default === undefined || trivial ? {} : { default: typeof notes.default === 'string' ? notes.default : JSON.stringify(notes.default) }),
    required: notes.required === true,
    description,
    ...(notes.example === undefined ? {} : { example: notes.example }),
  };
}
