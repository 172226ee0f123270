/**
 * Asks every dialect on the route tables what it makes of a text at one place: of requests as JSON and as forms, of bodies
 * and events, of the events of sockets. And says whether the place is accounted for: read as a text, opaque, exempt by a
 * rule, or changed with the text that it repeats.
 */
import { WeirError } from '../../src/contract/errors.ts';
import type { OpaquePart } from '../../src/contract/exchange.ts';
import type { Dependent, Piece, RequestReading } from '../../src/dialect/dialect.ts';
import { readForm } from '../../src/dialect/form.ts';
import { readJson, type JsonPath } from '../../src/dialect/json.ts';
import type { SocketDialect } from '../../src/dialect/socket.ts';
import { isObject, opaqueFinder, placeOf, type ExemptReason, type LeafRules } from '../../src/dialect/walk.ts';
import { SCREENED_ENDPOINTS, SOCKET_ENDPOINTS, type ScreenedEndpoint } from '../../src/proxy/route.ts';
import { NAME, type WireForm, type WireLeaf } from './wire.ts';

export type Json = Record<string, unknown>;
export const MARKER = 'marked.text+1@mail.example.com';

// Endpoints.

/** An endpoint as the tests ask it. */
export interface Asked {
  /** Its dialect's id and its path. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly dialect: { readonly id: string; readonly requestRules: LeafRules; readonly answerRules: LeafRules };
  /** Undefined where the endpoint takes no request with a body of its own. */
  readonly read?: (value: Json) => RequestReading;
  /** What its answers are. */
  readonly forms: readonly ('body' | 'event')[];
  answer(event: Json, form: 'body' | 'event'): { readonly pieces: readonly Piece[]; readonly opaque: readonly Pick<OpaquePart, 'carrier'>[] };
  dependents(event: Json, key: string): readonly Dependent[];
}

/** What every request of a kind needs to be one. */
const LEAST = { model: 'm', messages: [], input: 'fine', prompt: 'fine', max_tokens: 1 };
const LIMITS = { depthMax: 64, itemsMax: 1000 };
const document = (value: Json) => readJson(Buffer.from(JSON.stringify(value)), LIMITS);

function screened({ method, path, dialect, body }: ScreenedEndpoint): Asked[] {
  const read = (value: Json): RequestReading => dialect.readRequest(document({ ...LEAST, ...value }));
  const reader = () => dialect.createReader(read({}));
  const json: Asked = {
    name: `${dialect.id}, ${path}`, method, path, dialect, read: body === 'none' ? undefined : read, forms: ['body', 'event'],
    answer: (event, form) => ({ pieces: form === 'body' ? reader().readBody(event).pieces : reader().readEvent(event).pieces, opaque: opaqueFinder(dialect.answerRules)(event, JSON.stringify(event)) }),
    dependents(event, key) {
      const own = reader();
      own.readEvent(event);
      return own.dependents(event, key);
    },
  };
  return dialect.readForm === undefined || body !== 'form' ? [json] : [json, { ...json, name: `${json.name} as a form`, read: (value) => dialect.readForm!(formOf(value)) }];
}

function socket(path: string, dialect: SocketDialect): Asked {
  return {
    name: `${dialect.id}, ${path}`, method: 'GET', path, dialect, forms: ['event'],
    read: (value) => dialect.readClientEvent(document({ type: 'made_up', ...value })),
    answer(event) {
      const { pieces, opaque } = dialect.createReader().readEvent(event, JSON.stringify(event));
      // Carriers begin with the event's type here.
      return { pieces, opaque: opaque.map(({ carrier }) => ({ carrier: carrier.replace(/^[a-z_.]+:/, '') })) };
    },
    dependents(event, key) {
      const own = dialect.createReader();
      own.readEvent(event, JSON.stringify(event));
      return own.dependents(event, key);
    },
  };
}

/** Every endpoint; those that share path and rules once. */
export function askedEndpoints(): readonly Asked[] {
  const all = [...SCREENED_ENDPOINTS.flatMap(screened), ...SOCKET_ENDPOINTS.flatMap(({ path, dialect }) => (dialect === undefined ? [] : [socket(path, dialect)]))];
  return [...new Map(all.map((one) => [`${one.method} ${shapeOf(one.path)} ${one.name.endsWith('form')} ${idOf(one.dialect.requestRules)} ${idOf(one.dialect.answerRules)}`, one])).values()];
}

/** The path without its version, its deployment and the names of its parameters. */
export function shapeOf(path: string): string {
  return path.replace(/^\/openai\/deployments\/\{[^}]*\}|^\/openai(?:\/v1)?|^\/v1/, '').replaceAll(/\{[^}]*\}/g, '{}');
}

const ids = new Map<LeafRules, number>();

function idOf(rules: LeafRules): number {
  ids.set(rules, ids.get(rules) ?? ids.size);
  return ids.get(rules)!;
}

/** One endpoint for each set of rules, with a request of its own where there is one. */
export function askedRules(): readonly Asked[] {
  const all = askedEndpoints().filter(({ name }) => !name.endsWith('form'));
  return [...new Map([...all.filter(({ read }) => read === undefined), ...all.filter(({ read }) => read !== undefined)].map((one) => [`${idOf(one.dialect.requestRules)} ${idOf(one.dialect.answerRules)}`, one])).values()];
}

// Values.

/** `messages[].content[].text` → `{messages: [{content: [{text: value}]}]}`; `*` is any name. The object itself is of type `outer`, those in it of type `inner`. */
export function built(carrier: string, value: unknown, outer?: string, inner?: string): Json {
  const steps = carrier.split('.').flatMap((name) => {
    const lists = /(?:\[\])*$/.exec(name)![0].length / 2;
    return [name.slice(0, name.length - 2 * lists), ...Array<0>(lists).fill(0)];
  });
  let made = value;
  for (const [i, step] of [...steps.entries()].reverse()) {
    const type = i === 0 ? outer : inner;
    const position = i === 0 && outer !== undefined ? { output_index: 0, content_index: 0 } : {};
    made = step === 0 ? [made] : { ...position, ...(type !== undefined && step !== 'type' ? { type } : {}), [step === '*' ? NAME : step]: made };
  }
  return made as Json;
}

/** Fields named as forms name what is inside: `a[b]`, `a[]`. */
function formOf(value: Json): ReturnType<typeof readForm> {
  const parts: string[] = ['content-disposition: form-data; name="file"; filename="a.bin"\r\ncontent-type: application/octet-stream\r\n\r\nAAAA'];
  const visit = (name: string, inner: unknown): void => {
    if (Array.isArray(inner)) inner.forEach((element: unknown) => visit(`${name}[]`, element));
    else if (isObject(inner)) for (const [key, member] of Object.entries(inner)) visit(name === '' ? key : `${name}[${key}]`, member);
    else parts.push(`content-disposition: form-data; name="${name}"\r\n\r\n${String(inner)}`);
  };
  visit('', { model: 'm', prompt: 'fine', ...value });
  return readForm(Buffer.from(`${parts.map((part) => `--made-up\r\n${part}\r\n`).join('')}--made-up--\r\n`), 'made-up');
}

export interface Spot {
  readonly path: JsonPath;
  /** It is the property name that ends the path. */
  readonly inKey: boolean;
}

/** Where `text` stands in `value`, as a value or as a property name. */
export function spotOf(value: unknown, text: string): Spot | undefined {
  if (value === text) return { path: [], inKey: false };
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    if (key === text) return { path: [key], inKey: true };
    const below = spotOf(member, text);
    if (below !== undefined) return { path: [Array.isArray(value) ? Number(key) : key, ...below.path], inKey: below.inKey };
  }
  return undefined;
}

export function isAt({ path, inKey }: Spot, other: JsonPath, otherInKey = false): boolean {
  return inKey === otherInKey && path.length === other.length && path.every((step, i) => step === other[i]);
}

// Faults.

/** Undefined where the marker in a request is accounted for, or the request refused; else why not. */
export function requestFault(asked: Asked, value: Json, carrier: string): string | undefined {
  const spot = spotOf(value, MARKER)!;
  const reading = readingIfAny(asked, value);
  const isForm = asked.name.endsWith('form');
  if (reading === undefined || reading.segments.some((one) => one.content === MARKER && (isForm || isAt(spot, one.jsonPath!, one.key)))) return undefined;
  return reading.opaque.some((part) => isNamed(part.carrier, carrier)) ? undefined : exemptFault(asked.dialect.requestRules, carrier);
}

function readingIfAny(asked: Asked, value: Json): RequestReading | undefined {
  try {
    return asked.read!(value);
  } catch (error) {
    if (error instanceof WeirError && error.code === 'invalid_request') return undefined;
    throw error;
  }
}

export interface AnswerFault {
  readonly fault: string;
  readonly path: JsonPath;
  readonly event: Json;
}

/** `keys` gets those of the answer's texts. */
export function answerFault(asked: Asked, event: Json, carrier: string, form: 'body' | 'event', keys?: Set<string>): AnswerFault | undefined {
  const spot = spotOf(event, MARKER)!;
  const { pieces, opaque } = asked.answer(event, form);
  for (const { key } of pieces) keys?.add(key);
  if (pieces.some((piece) => piece.text === MARKER && isAt(spot, piece.path, piece.inKey)) || opaque.some((part) => isNamed(part.carrier, carrier))) return undefined;
  const fault = exemptFault(asked.dialect.answerRules, carrier);
  return fault === undefined ? undefined : { fault, path: spot.path, event };
}

function isNamed(given: string, carrier: string): boolean {
  return given === carrier || given === free(carrier) || given === freeBelow(carrier);
}

/** Exempt whatever stands there; in the place of an id a sentence is a text. */
const ANYTHING: ReadonlySet<ExemptReason> = new Set(['secret', 'padding']);

function exemptFault(rules: LeafRules, carrier: string): string | undefined {
  const reasons = [carrier, free(carrier), freeBelow(carrier)].map((one) => placeOf(rules, one)).flatMap((place) => (Object.hasOwn(rules.exempt, place) ? [rules.exempt[place]!] : []));
  return reasons.some((reason) => ANYTHING.has(reason)) ? undefined : 'not read';
}

/** A carrier as the walk names it where names are text too. */
const free = (carrier: string): string => carrier.replaceAll(NAME, '*');
/** Below a free name every step is one. */
const freeBelow = (carrier: string): string => free(carrier).replace(/(?<=\*.*)\.[^.[]+/g, '.*');

/** Each string that nothing accounts for, with a value that holds it. */
export function faultsOf(asked: Asked, form: WireForm, leaves: readonly WireLeaf[]): Record<string, string> {
  const faults: Record<string, string> = {};
  const answers: { readonly carrier: string; readonly fault: AnswerFault }[] = [];
  const keys = new Set<string>();
  for (const { carrier, holding } of leaves) {
    const value = holding(MARKER) as Json;
    if (form === 'request') {
      const fault = requestFault(asked, value, carrier);
      if (fault !== undefined) faults[`${fault}: ${carrier}`] = JSON.stringify(value);
    } else {
      const fault = answerFault(asked, value, carrier, form, keys);
      if (fault !== undefined) answers.push({ carrier, fault });
    }
  }
  // What changes with a text of the same choice is accounted for.
  const changes = ({ event, path }: AnswerFault): boolean => [...keys].some((key) => asked.dependents(event, key).some((dependent) => dependent.path.every((step, i) => step === path[i])));
  for (const { carrier, fault } of answers) if (!changes(fault)) faults[`${fault.fault}: ${carrier}`] = JSON.stringify(fault.event);
  return faults;
}
