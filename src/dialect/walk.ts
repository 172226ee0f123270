/**
 * The walk over a JSON value that all dialects share: every string is text, unless a rule with a reason says that it is
 * not. So a field that appears tomorrow is screened tomorrow. A leaf is named by its carrier, the path without indexes
 * (`messages[].content[].text`). Pure.
 */
import type { OpaqueKind, OpaquePart, Segment } from '../contract/exchange.ts';
import type { Piece } from './dialect.ts';
import type { JsonPath } from './json.ts';

/** Why a string is not screened, and what such a string is. */
export const EXEMPT_REASONS = {
  id: 'made by a machine to be compared',
  enum: 'one of a few words of the wire format',
  setting: 'the name of a model, a format, a region',
  number: 'digits and the like',
  secret: 'a credential for a third party',
  padding: 'random, to hide how long a text is',
  ciphertext: 'cannot be read here, and a changed one is refused by the provider',
  signature: 'a changed one is refused by the provider',
  media: 'base64',
  url: 'the address of what the provider made, often with its signature in it',
} as const;
export type ExemptReason = keyof typeof EXEMPT_REASONS;

export interface LeafRules {
  /** What stands in many places has one name in the rules: beginnings of carriers and their names, used in turn. */
  readonly sameAs?: readonly (readonly [places: RegExp, name: string])[];
  readonly exempt: Readonly<Record<string, ExemptReason>>;
  /** What cannot be read here; what stands there is no text. */
  readonly opaque?: Readonly<Record<string, OpaqueKind>>;
  /** Carriers that are opaque or text by what stands beside them, and beside what holds them, and by their own name. */
  readonly opaqueWhen?: Readonly<Record<string, (holder: JsonObject, around: JsonObject, name: string) => OpaqueKind | undefined>>;
  /** Carriers whose text is JSON itself. */
  readonly json?: RegExp;
  /** Carriers of objects whose property names are text too, at any depth: schemas, arguments, free records. */
  readonly named?: readonly string[];
  /** Those of them whose numbers are text too: arguments, where a number may be a telephone's or a card's. */
  readonly numbered?: readonly string[];
  /** Carriers of objects and lists that repeat a text token by token, and change when it does: `ResponseReader.dependents`. */
  readonly dependent?: readonly string[];
}

/** One string, or one property name. */
export interface Leaf {
  readonly path: JsonPath;
  readonly carrier: string;
  readonly text: string;
  readonly json: boolean;
  /** The text is the property name that ends the path. */
  readonly inKey: boolean;
}

/** What stands where `opaque` says that it cannot be read, and what it is wherever it is kept. */
export interface Media {
  readonly path: JsonPath;
  readonly kind: OpaqueKind;
  readonly content: string;
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every text below `value`, which stands at `path`, in the order of the document. */
export function readLeaves(value: unknown, path: JsonPath, carrier: string, rules: LeafRules, take: (leaf: Leaf) => void, opaque: (part: OpaquePart, media: Media) => void = () => undefined): void {
  const named = rules.named ?? [];
  const visit = (value: unknown, path: JsonPath, carrier: string, names: boolean, numbers: boolean, holder: JsonObject = {}, around: JsonObject = {}): void => {
    const place = placeOf(rules, carrier);
    if (typeof value === 'string') {
      const kind = ruleFor(rules.opaque, place) ?? ruleFor(rules.opaqueWhen, place)?.(holder, around, String(path.at(-1)));
      if (kind !== undefined) opaque({ carrier, kind: REMOTE.test(value) && REMOTE_KINDS.has(kind) ? 'remote_url' : kind }, { path, kind, content: value });
      else if (value !== '' && !isExempt(rules, carrier, value)) take({ path, carrier, text: value, json: rules.json?.test(carrier) === true, inKey: false });
    } else if (typeof value === 'number') {
      if (numbers) take({ path, carrier, text: String(value), json: false, inKey: false });
    } else if (isDependent(rules, carrier)) {
      return;
    } else if (Array.isArray(value)) {
      // A vector holds no text, and thousands of numbers.
      value.forEach((element: unknown, i) => { if (typeof element !== 'number' || numbers) visit(element, [...path, i], `${carrier}[]`, names, numbers); });
    } else if (isObject(value)) {
      const inside = names || named.includes(place);
      const counted = numbers || rules.numbered?.includes(place) === true;
      for (const [name, member] of Object.entries(value)) {
        const at = [...path, name];
        if (inside && name !== '') take({ path: at, carrier: `${carrier}.*`, text: name, json: false, inKey: true });
        visit(member, at, inside ? `${carrier}.*` : carrier === '' ? name : `${carrier}.${name}`, inside, counted, value, holder);
      }
    }
  };
  visit(value, path, carrier, false, false);
}

/** Exempt strings look like what they are exempt for; a sentence in the place of an id is text. */
export function isExempt(rules: LeafRules, carrier: string, value: string): boolean {
  switch (ruleFor(rules.exempt, placeOf(rules, carrier))) {
    case undefined: return false;
    case 'secret': case 'padding': return true;
    case 'ciphertext': case 'signature': case 'media': return BASE64.test(value);
    case 'url': return ADDRESS.test(value);
    default: return value.length <= NAME_CHARS_MAX && NAME.test(value);
  }
}

/** An object or a list there is no text of its own. */
export function isDependent(rules: LeafRules, carrier: string): boolean {
  return rules.dependent?.includes(carrier) === true;
}

/** The name that the rules have for a carrier. */
export function placeOf({ sameAs = [] }: LeafRules, carrier: string): string {
  return sameAs.reduce((place, [places, name]) => place.replace(places, name), carrier);
}

/** A field may be called `constructor`. */
function ruleFor<Rule>(rules: Readonly<Record<string, Rule>> = {}, carrier: string): Rule | undefined {
  return Object.hasOwn(rules, carrier) ? rules[carrier] : undefined;
}

const NAME = /^[\w.:/+-]+$/;
const NAME_CHARS_MAX = 128;
const BASE64 = /^[A-Za-z0-9+/_=-]*$/;
const ADDRESS = /^https?:\/\/[!-~]{1,4096}$/;

/** What is in the body where it is a `data:` URL, and on a server where it is another one. */
const REMOTE = /^(?:https?|ftp|s3|gs|azblob|file):/i;
const REMOTE_KINDS: ReadonlySet<OpaqueKind> = new Set(['image', 'audio', 'video', 'file']);

/**
 * The index of the first message after the last answer. An answer that ends the conversation is one that shall be
 * continued: the client begins it, so it is of the newest turn.
 */
export function newestTurn(messages: readonly unknown[], isAnswer: (message: unknown) => boolean): number {
  const asked = messages.findLastIndex((message) => !isAnswer(message));
  return messages.slice(0, asked + 1).findLastIndex(isAnswer) + 1;
}

/** A message of the model's, as chat completions and messages name it. */
export function isAnswer(message: unknown): boolean {
  return isObject(message) && message.role === 'assistant';
}

/**
 * A request's texts and what is opaque in it; images and recordings are both, for classifiers that read them. `about` says who
 * said something, and whether it is of an earlier turn.
 */
export function readSegments(body: JsonObject, rules: LeafRules, about: (path: JsonPath) => { readonly role?: string; readonly history: boolean; readonly fixed?: boolean }): { readonly segments: readonly Segment[]; readonly opaque: readonly OpaquePart[] } {
  const segments: Segment[] = [];
  const opaque: OpaquePart[] = [];
  readLeaves(body, [], '', rules, ({ path, carrier, text, json, inKey }) => {
    const { role, history, fixed } = about(path);
    segments.push({ path: pathText(path), jsonPath: path, ...(inKey ? { key: true } : {}), json, carrier, role, contentType: 'text', content: text, history, ...(fixed === true ? { fixed } : {}) });
  }, (part, { path, kind, content }) => {
    opaque.push(part);
    if (kind !== 'image' && kind !== 'audio') return;
    const { role, history } = about(path);
    segments.push({ path: pathText(path), jsonPath: path, carrier: part.carrier, role, contentType: kind, opaque: part.kind, content, history });
  });
  return { segments, opaque };
}

/** Every text below `value` as a piece that is whole; array elements and members are texts of their own, under `key`. */
export function readWhole(value: unknown, path: JsonPath, carrier: string, key: string, rules: LeafRules, pieces: Piece[]): void {
  const depth = path.length;
  readLeaves(value, path, carrier, rules, (leaf) => {
    const below = leaf.path.slice(depth).join('/');
    pieces.push({
      key: `${key}${below === '' ? '' : `/${below}`}${leaf.inKey ? '/*' : ''}`,
      carrier: leaf.carrier, kind: leaf.json ? 'json' : 'text', path: leaf.path, ...(leaf.inKey ? { inKey: true } : {}), text: leaf.text, whole: true,
    });
  });
}

/** What nothing read in an answer; `of` is what it is wherever it is kept. */
export interface FoundOpaque extends OpaquePart {
  readonly of: OpaqueKind;
}

/** Finds it in an event or a body; `json` is its text. */
export type OpaqueFinder = (value: unknown, json: string) => readonly FoundOpaque[];

const finders = new WeakMap<LeafRules, OpaqueFinder>();

/** For answers with these rules: what they call opaque, and what they exempt because it cannot be read. */
export function opaqueFinder(rules: LeafRules): OpaqueFinder {
  let finder = finders.get(rules);
  if (finder === undefined) finders.set(rules, (finder = createFinder(rules)));
  return finder;
}

const UNREAD: Partial<Record<ExemptReason, (carrier: string) => OpaqueKind | undefined>> = {
  ciphertext: () => 'encrypted',
  url: () => 'remote_url',
  // A vector is base64 too, and no media.
  media: (carrier) => (/audio/.test(carrier) ? 'audio' : /image|b64_json/.test(carrier) ? 'image' : undefined),
};

function createFinder(rules: LeafRules): OpaqueFinder {
  const exempt = Object.entries(rules.exempt).flatMap(([carrier, reason]): [string, OpaqueKind][] => {
    const kind = UNREAD[reason]?.(carrier);
    return kind === undefined ? [] : [[carrier, kind]];
  });
  const all: LeafRules = { ...rules, opaque: { ...Object.fromEntries(exempt), ...rules.opaque } };
  // Most events name none of these fields, and are not walked. What every event names is looked at there.
  const atTop = Object.entries(rules.opaqueWhen ?? {}).filter(([carrier]) => !/[.[]/.test(carrier));
  const below = [...Object.keys(all.opaque!), ...Object.keys(rules.opaqueWhen ?? {}).filter((carrier) => /[.[]/.test(carrier))];
  // Without the quote before it, which an event is full of: a third of the time.
  const names = [...new Set(below.map((carrier) => `${carrier.replaceAll('[]', '').replace(/^.*\./, '')}"`))];
  const mayHold = (value: unknown, json: string): boolean => names.some((name) => json.includes(name)) || (isObject(value) && atTop.some(([name, when]) => typeof value[name] === 'string' && when(value, {}, name) !== undefined));
  return (value, json) => {
    if (!mayHold(value, json)) return [];
    const found: FoundOpaque[] = [];
    readLeaves(value, [], '', all, () => undefined, (part, { kind, content }) => {
      // What does not look like what it is exempt for was read as text.
      const isText = ruleFor(rules.exempt, placeOf(rules, part.carrier)) !== undefined && !isExempt(rules, part.carrier, content);
      if (content !== '' && !isText) found.push({ ...part, of: kind });
    });
    return found;
  };
}

function pathText(path: JsonPath): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}
