/**
 * A marked text in a recorded answer: put into one string, or into one text that comes in fragments, cut anew over
 * neighbouring fragments, with what repeats that text in step. And what such an answer must be when it leaves: the mark
 * replaced by its label, everything else as it was. Knows of the wire only which strings are fragments and which
 * indexes tell texts apart; no dialect is asked.
 */
import { isObject, type JsonObject } from '../../src/dialect/walk.ts';

export const MARK = 'marked.qzxjvkwq@mail.example.com';
export const LABEL = '[MARK]';
export const MARK_POLICY = `policy: p
default_action: allow
patterns:
  - { id: mark, label: MARK, regex: 'marked\\.[a-z]{8}@mail\\.example\\.com' }
rules:
  - { id: mark, priority: 1, direction: both, when: { score: patterns.mark, gte: 1 }, action: redact }
`;

type Path = readonly (string | number)[];

/** A frame of a stream, or a whole body. */
export interface Part {
  readonly raw: string;
  /** Undefined where it holds no JSON. */
  readonly event: unknown;
}

/** A string of an answer. */
export interface Place {
  readonly part: number;
  readonly path: Path;
  /** With the event's type, where it has one: `response.output_text.delta delta`. */
  readonly carrier: string;
  /** The same for fragments of one text. */
  readonly text: string;
  readonly channel: string;
  readonly fragment: boolean;
}

// Reading.

export function partsOf(bytes: Buffer, stream: boolean): Part[] {
  const text = bytes.toString('utf8');
  return (stream ? text.split(/(?<=\n\r?\n)/) : [text]).map((raw) => ({ raw, event: parsed(stream ? dataOf(raw) : raw) }));
}

/** The events of a recorded WebSocket in one direction, as the parts of a stream. */
export function framesOf(bytes: Buffer, direction: 'received' | 'sent'): Part[] {
  return bytes.toString('utf8').split('\n').filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as { kind: string; direction: string; data: unknown })
    .filter((one) => one.kind === 'message' && one.direction === direction && isObject(one.data)).map(({ data }) => partOf(JSON.stringify(data)));
}

/** An event of a WebSocket as the part of a stream. */
export function partOf(json: string): Part {
  return { raw: `data: ${json}\n\n`, event: parsed(json) };
}

function dataOf(raw: string): string {
  return raw.split(/\r?\n/).filter((line) => line.startsWith('data:')).map((line) => line.slice(5)).join('\n');
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Every string, in order. */
export function placesOf(parts: readonly Part[], stream: boolean): Place[] {
  const places: Place[] = [];
  let answers = 0; // some recordings hold several, one after the other
  parts.forEach(({ event }, part) => {
    if (isObject(event) && (event.type === 'message_start' || event.type === 'response.created')) answers += 1;
    const type = stream && isObject(event) && typeof event.type === 'string' ? `${event.type} ` : '';
    const visit = (value: unknown, path: Path, carrier: string, indexes: string): void => {
      if (typeof value === 'string') {
        const fragment = stream && FRAGMENT.test(carrier);
        if (value !== '') places.push({ part, path, carrier: `${type}${carrier}`, text: value, fragment, channel: fragment ? `${type}${carrier} ${answers}${indexes}` : `${part} ${path.join('/')}` });
      } else if (Array.isArray(value)) {
        value.forEach((element: unknown, i) => visit(element, [...path, i], `${carrier}[]`, isObject(element) && typeof element.index === 'number' ? indexes : `${indexes},${i}`));
      } else if (isObject(value)) {
        // Ids tell texts apart where every event has one; elsewhere servers change them as they like.
        const id = typeof value.event_id === 'string' ? `,${String(value.item_id)}` : '';
        const own = `${indexes}${id}${INDEXES.map((name) => (typeof value[name] === 'number' ? `,${name} ${value[name]}` : '')).join('')}`;
        for (const [name, member] of Object.entries(value)) visit(member, [...path, name], carrier === '' ? name : `${carrier}.${name}`, own);
      }
    };
    visit(event, [], '', '');
  });
  return places;
}

const INDEXES = ['index', 'output_index', 'content_index', 'summary_index', 'command_index'];
/** What comes in fragments, of all that is called a delta. */
const FRAGMENT = /^choices\[\]\.text$|(?:^|\.)delta(?:$|\..*?\b(?:content|text|thinking|partial_json|refusal|reasoning|reasoning_content|arguments|input|transcript|summary|stdout|stderr)$)/;

// Writing.

export interface Marked {
  readonly parts: readonly Part[];
  readonly bytes: Buffer;
}

/** `parts` with a mark in the text of `place`; undefined where none fits (JSON without a string). */
export function marked(parts: readonly Part[], places: readonly Place[], place: Place, stream: boolean, random: () => number): Marked | undefined {
  const fragments = places.filter(({ channel }) => channel === place.channel);
  const whole = fragments.map(({ text }) => text).join('');
  const at = markable(whole, place.carrier, random);
  if (at === undefined) return undefined;
  const events = parts.map(({ event }) => structuredClone(event));
  const text = whole.slice(0, at) + MARK + whole.slice(at);
  recut(fragments, at, random).forEach((piece, i) => put(events, fragments[i]!, piece, random() < 0.5));
  if (place.fragment) for (const copy of places) if (copy.channel !== place.channel && !copy.fragment && copy.text === whole && whole.length > 2) put(events, copy, text, true);
  const written = parts.map(({ raw, event }, i) => (JSON.stringify(event) === JSON.stringify(events[i]) ? { raw, event } : { raw: withEvent(raw, events[i], stream), event: events[i] }));
  return { parts: written, bytes: Buffer.from(written.map(({ raw }) => raw).join('')) };
}

/** Where a mark may stand: between characters, and in JSON inside a string. */
function markable(text: string, carrier: string, random: () => number): number | undefined {
  const json = /(?:arguments|partial_json)$/.test(carrier) || (/^\s*[{[]/.test(text) && parsed(text) !== undefined);
  const spots: number[] = [];
  let inside = false;
  for (let i = 0; i <= text.length; i += 1) {
    if ((!json || inside) && !/[\udc00-\udfff]/.test(text[i] ?? '')) spots.push(i);
    if (json && text[i] === '"') inside = !inside;
    if (json && inside && text[i] === '\\') i += text[i + 1] === 'u' ? 5 : 1;
  }
  return spots[Math.floor(random() * spots.length)];
}

/** The fragments with a mark at `at`; those around it are cut anew, so that the mark is spread over several. */
function recut(fragments: readonly Place[], at: number, random: () => number): string[] {
  const texts = fragments.map(({ text }) => text);
  let hit = 0;
  let before = 0;
  while (hit < texts.length - 1 && before + texts[hit]!.length < at) before += texts[hit++]!.length;
  const first = Math.max(0, hit - Math.floor(random() * 3));
  const last = Math.min(texts.length, hit + 1 + Math.floor(random() * 4));
  const start = texts.slice(0, first).join('').length;
  const around = texts.slice(first, last).join('');
  const text = around.slice(0, at - start) + MARK + around.slice(at - start);
  const cuts = Array.from({ length: last - first - 1 }, () => Math.floor(random() * (text.length + 1))).sort((a, b) => a - b);
  return [...texts.slice(0, first), ...[0, ...cuts].map((cut, i) => text.slice(cut, cuts[i] ?? text.length)), ...texts.slice(last)];
}

/** Writes `text` at `place`, and log-probabilities that repeat it where there are any, or where `repeat` says so. */
function put(events: unknown[], { part, path, text: before, carrier }: Place, text: string, repeat: boolean): void {
  if (text === before) return;
  const holder = path.slice(0, -1).reduce<unknown>((value, step) => (value as JsonObject)[step], events[part]) as Record<string | number, unknown>;
  holder[path[path.length - 1]!] = text;
  const tokens = [{ token: text, logprob: -1, bytes: [...Buffer.from(text)], top_logprobs: [{ token: text, logprob: -1, bytes: [...Buffer.from(text)] }] }];
  if (/choices\[\]\.(?:delta|message)\.(?:content|refusal)$/.test(carrier)) {
    const choice = (events[part] as { choices: Record<string, unknown>[] }).choices[path[1] as number]!;
    if (repeat || isObject(choice.logprobs)) choice.logprobs = { [path[3] as string]: tokens };
  } else if (/response\.output_text\.(?:delta delta|done text)$|content\[\]\.text$/.test(carrier) && (Array.isArray(holder.logprobs) || (repeat && /^response\.output_text/.test(carrier)))) holder.logprobs = tokens;
}

function withEvent(raw: string, event: unknown, stream: boolean): string {
  if (!stream) return JSON.stringify(event);
  const json = JSON.stringify(event);
  let written = false;
  return raw.split('\n').flatMap((line) => {
    if (!line.startsWith('data:')) return [line];
    if (written) return [];
    written = true;
    return [`data: ${json}${line.endsWith('\r') ? '\r' : ''}`];
  }).join('\n');
}

// Comparing.

export interface Sense {
  /** Each text that comes in fragments. */
  readonly texts: Readonly<Record<string, unknown>>;
  /** Everything else, part by part. */
  readonly rest: readonly string[];
}

/** What an answer says. JSON in a string is read, since white space around what is replaced is not promised. */
export function senseOf(parts: readonly Part[], stream: boolean, labelled: boolean): Sense {
  const label = (text: string): unknown => readable(labelled ? text.replaceAll(MARK, LABEL) : text);
  const joined: Record<string, string> = {};
  for (const { fragment, channel, text } of placesOf(parts, stream)) if (fragment) joined[channel] = (joined[channel] ?? '') + text;
  const rest = parts.filter(({ raw }) => raw.trim() !== '').map(({ raw, event }) => (event === undefined ? (labelled ? raw.replaceAll(MARK, LABEL) : raw).trim() : JSON.stringify(bare(event, '', stream, label))));
  return { texts: Object.fromEntries(Object.entries(joined).map(([key, text]) => [key, label(text)])), rest };
}

function readable(text: string): unknown {
  const value = /^\s*[{[]/.test(text) ? parsed(text) : undefined;
  return value === undefined ? text : { json: value };
}

/** Without fragments, and without what a replacement moves or takes with it. */
function bare(value: unknown, carrier: string, stream: boolean, label: (text: string) => unknown): unknown {
  if (typeof value === 'string') return stream && FRAGMENT.test(carrier) ? '' : label(value);
  if (Array.isArray(value)) return value.map((element) => bare(element, `${carrier}[]`, stream, label));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !DEPENDENT.test(name)).map(([name, member]) => [name.replaceAll(MARK, LABEL), bare(member, carrier === '' ? name : `${carrier}.${name}`, stream, label)]));
}

const DEPENDENT = /^(?:logprobs|token_ids?|words|segments|(?:start|end)_index|content_filter_offsets|(?:start|end)_(?:char|block)_(?:index)|obfuscation|p)$/;

/** Parts that hold nothing but a fragment: the guard may send one in two. */
export function withoutPureFragments(rest: readonly string[]): readonly string[] {
  return rest.filter((one) => !/^\{.*"delta":\{("[a-z_]+":"")?\}(?:,"finish_reason":null)?\}\]\}$/.test(one) && !/^\{.*"event_id":.*"delta":""/.test(one));
}

/** Characters of the mark that no other text of a recording has in a row, in tokens however cut. */
export function tokensLeft(parts: readonly Part[]): string {
  const tokens: string[] = [];
  const visit = (value: unknown, inside: boolean): void => {
    if (typeof value === 'string' && inside) tokens.push(value);
    else if (typeof value === 'object' && value !== null) for (const [name, member] of Object.entries(value)) visit(member, inside || name === 'logprobs');
  };
  for (const { event } of parts) visit(event, false);
  return tokens.join('');
}
