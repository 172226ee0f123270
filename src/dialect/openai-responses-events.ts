/**
 * What comes back from the Responses API: bodies and events. A text stands in its deltas, and again in the events that
 * end its channel, its part, its item and the response. All of them are one channel here, named by where the text stands
 * in the finished item (`0.1/text`: output 0, part 1), and all but what goes on in deltas are copies. Events are numbered
 * without gaps, so none is added or dropped. Whatever string of whatever event is not known to be no text is text.
 *
 * `encrypted_content` passes as it is: it holds the reasoning as the model wrote it, which only the provider can read.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Dependent, EventReading, Piece, ResponseReader } from './dialect.ts';
import type { JsonPath } from './json.ts';
import { ANSWER_RULES } from './openai-responses-rules.ts';
import { blockedResponse, SentResponse } from './openai-responses-sent.ts';
import { asList, numberOf, textOf } from './openai.ts';
import { usageOf } from './usage.ts';
import { isExempt, isObject, readLeaves, type JsonObject } from './walk.ts';

const ENDS: ReadonlySet<string> = new Set(['response.completed', 'response.incomplete', 'response.failed']);

export class ResponsesReader implements ResponseReader {
  readonly #sent = new SentResponse();
  #usage: AnswerUsage | undefined;
  #responseId: string | undefined;
  #model: string | undefined;
  #finish: string | undefined;
  #serviceTier: string | undefined;

  readEvent(event: unknown): EventReading {
    const pieces: Piece[] = [];
    if (!isObject(event)) {
      take(pieces, event, [], 'event', 'event', [], isCopy);
      return { pieces, closes: [] };
    }
    const type = typeOf(event);
    for (const [name, value] of Object.entries(event)) {
      if (typeof value === 'string') takeField(pieces, event, type, name, value);
      else if (typeof value === 'object' && value !== null) takeObject(pieces, event, type, name, value);
    }
    if (isObject(event.response)) this.#note(event.response, ENDS.has(type.whole));
    return { pieces, closes: closesOf(event, type) };
  }

  readBody(body: unknown): EventReading {
    const pieces: Piece[] = [];
    if (isObject(body)) this.#note(body, true);
    takeResponse(pieces, body, [], '');
    return { pieces, closes: [''] };
  }

  sent(event: unknown): void {
    this.#sent.take(event);
  }

  /** Log-probabilities repeat the text token by token, padding tells how long it was, and citations count its characters. */
  dependents(event: unknown, key: string): readonly Dependent[] {
    if (!isObject(event)) return [];
    const choice = choiceOf(key);
    const found: Dependent[] = [];
    const { obfuscation } = event;
    if (typeof obfuscation === 'string' && obfuscation !== '' && choiceOf(keyOf(event, typeOf(event))) === choice) found.push({ path: ['obfuscation'], value: '' });
    const [, owner, part] = PART_CHOICE.exec(choice) ?? [];
    if (owner !== undefined) dependentsOfPart(event, owner, Number(part), found);
    return found;
  }

  canCarry(): boolean {
    return false;
  }

  textEvent(key: string): Buffer {
    throw new Error(`no event carries nothing but text of ${key}`);
  }

  blockedStream(message: string | undefined): Buffer {
    return this.#sent.end({ id: this.#responseId, model: this.#model }, message);
  }

  blockedBody(body: unknown, message: string | undefined): Buffer {
    if (isObject(body) && body.object !== 'response') throw new WeirError('content_filter', message ?? 'the policy blocked the answer');
    return Buffer.from(JSON.stringify(blockedResponse(isObject(body) ? body : {}, message)));
  }

  errorEvent(code: ErrorCode, message: string): Buffer {
    return this.#sent.error(code, message);
  }

  usage(): AnswerUsage | undefined {
    return this.#usage;
  }

  facts(): AnswerFacts {
    return { responseId: this.#responseId, model: this.#model, finishReasons: this.#finish === undefined ? [] : [this.#finish], serviceTier: this.#serviceTier };
  }

  #note(response: JsonObject, ended: boolean): void {
    const { id, model, usage, status, service_tier: tier, incomplete_details: details } = response;
    if (typeof id === 'string') this.#responseId ??= id;
    if (typeof model === 'string') this.#model ??= model;
    if (isObject(usage)) this.#usage = usageOf(usage);
    if (typeof tier === 'string') this.#serviceTier = tier;
    if (ended) this.#finish = (isObject(details) ? textOf(details.reason) : undefined) ?? textOf(status);
  }
}

// Events and their channels.

/** `response.output_text.delta`: stem `response.output_text`, verb `delta`. */
interface EventType {
  readonly whole: string;
  readonly stem: string;
  readonly verb: string;
}

function typeOf({ type }: JsonObject): EventType {
  const whole = textOf(type) ?? '';
  const dot = Math.max(0, whole.lastIndexOf('.'));
  return { whole, stem: whole.slice(0, dot), verb: whole.slice(dot + 1) };
}

/** A text that arrives in fragments: where it stands in the finished item, and the field that holds all of it in the end. */
interface Fragments {
  readonly place: (event: JsonObject) => JsonPath;
  readonly field: string;
  readonly kind: Piece['kind'];
}

const indexOf = (index: unknown): number => numberOf(index) ?? 0;
const inItem = (field: string, kind: Piece['kind'] = 'text'): Fragments => ({ place: () => [field], field, kind });
const inPart = (field: string): Fragments => ({ place: ({ content_index: index }) => ['content', indexOf(index), field], field, kind: 'text' });

/** By the stem of the event's type. */
const FRAGMENTS: ReadonlyMap<string, Fragments> = new Map([
  ['response.output_text', inPart('text')],
  ['response.refusal', inPart('refusal')],
  ['response.reasoning_text', inPart('text')],
  ['response.reasoning_summary_text', { place: ({ summary_index: index }) => ['summary', indexOf(index), 'text'], field: 'text', kind: 'text' }],
  ['response.function_call_arguments', inItem('arguments', 'json')],
  ['response.mcp_call_arguments', inItem('arguments', 'json')],
  ['response.custom_tool_call_input', inItem('input')],
  ['response.code_interpreter_call_code', inItem('code')],
  ['response.shell_call_command', { place: ({ command_index: index }) => ['action', 'commands', indexOf(index)], field: 'command', kind: 'text' }],
  ['response.apply_patch_call_operation_diff', { place: () => ['operation', 'diff'], field: 'diff', kind: 'text' }],
]);

/** Texts of an item that deltas go on from once it is there. */
const GOES_ON = /^(?:content\/\d+\/(?:text|refusal|transcript)|summary\/\d+\/text|arguments|input|code|operation\/diff|action\/commands\/\d+|output\/\d+\/std(?:out|err))$/;

/** What an event that is not known says goes on under its own name. */
function placeOf(event: JsonObject, { stem }: EventType): JsonPath {
  return FRAGMENTS.get(stem)?.place(event) ?? [stem, indexOf(event.content_index), indexOf(event.summary_index)];
}

/** The output that an event is about. */
function ownerOf({ output_index: index }: JsonObject): number | string {
  return typeof index === 'number' ? index : 'event';
}

/** `0.1/text`, `0.s0/text`, `0.item/arguments`. What is cited is no part of the text that cites it. */
function keyAt(owner: number | string, place: JsonPath): string {
  const [list, index, field] = place;
  if (typeof index === 'number' && list === 'content') return `${owner}.${index}${field === 'annotations' ? '.cited' : ''}/${place.slice(2).join('/')}`;
  if (typeof index === 'number' && list === 'summary') return `${owner}.s${index}/${place.slice(2).join('/')}`;
  return `${owner}.item/${place.join('/')}`;
}

function keyOf(event: JsonObject, type: EventType): string {
  return keyAt(ownerOf(event), placeOf(event, type));
}

/** What clients take for one choice: a part, a summary, the rest of an item. */
function choiceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

function closesOf(event: JsonObject, type: EventType): readonly string[] {
  if (ENDS.has(type.whole)) return [''];
  if (type.verb !== 'done') return [];
  const owner = ownerOf(event);
  switch (type.stem) {
    case 'response.output_item': return [`${owner}.`];
    case 'response.content_part': case 'response.reasoning_part': return [`${owner}.${indexOf(event.content_index)}/`];
    case 'response.reasoning_summary_part': return [`${owner}.s${indexOf(event.summary_index)}/`];
    default: return [keyOf(event, type)];
  }
}

// Texts.

const isCopy = (): boolean => true;
const isFragment = (): boolean => false;
const unlessItGoesOn = (place: JsonPath): boolean => !GOES_ON.test(place.join('/'));

/** Every text below `value`, which stands at `place` in the item of `owner`. */
function take(pieces: Piece[], value: unknown, path: JsonPath, carrier: string, owner: number | string, place: JsonPath, copy: (place: JsonPath) => boolean): void {
  readLeaves(value, path, carrier, ANSWER_RULES, ({ path: at, carrier, json, text, inKey }) => {
    const leaf = [...place, ...at.slice(path.length)];
    pieces.push({ key: keyAt(owner, inKey ? [...leaf, '*'] : leaf), carrier, kind: json ? 'json' : 'text', path: at, ...(inKey ? { inKey } : {}), text, copy: copy(leaf) });
  });
}

/** A string of the event itself. */
function takeField(pieces: Piece[], event: JsonObject, type: EventType, name: string, text: string): void {
  const { stem, verb, whole } = type;
  const fragments = FRAGMENTS.get(stem);
  const isChannel = name === (verb === 'delta' ? 'delta' : fragments?.field);
  const carrier = isChannel ? stem : name;
  if (text === '' || (!(isChannel && fragments !== undefined) && isExempt(ANSWER_RULES, carrier, text))) return;
  // What ends deltas that are not known may repeat them in any of its fields.
  const key = isChannel || (fragments === undefined && verb === 'done') ? keyOf(event, type) : keyAt(ownerOf(event), fragments === undefined ? [whole, name] : [name]);
  pieces.push({ key, carrier, kind: isChannel ? (fragments?.kind ?? 'text') : 'text', path: [name], text, copy: !isChannel || verb === 'done' });
}

/** What else an event holds. */
function takeObject(pieces: Piece[], event: JsonObject, { whole, verb }: EventType, name: string, value: object): void {
  const owner = ownerOf(event);
  const copy = verb === 'added' ? unlessItGoesOn : isCopy;
  const part: JsonPath = typeof event.summary_index === 'number' ? ['summary', event.summary_index] : ['content', indexOf(event.content_index)];
  if (name === 'output' && Array.isArray(value)) return value.forEach((one: unknown, i) => take(pieces, one, [name, i], `${name}[]`, owner, ['output', indexOf(event.command_index) + i], copy));
  switch (name) {
    case 'response': return takeResponse(pieces, value, [name], 'response.');
    case 'item': return take(pieces, value, [name], name, owner, [], copy);
    case 'part': return take(pieces, value, [name], name, owner, part, copy);
    case 'annotation': return take(pieces, value, [name], name, owner, [...part, 'annotations', indexOf(event.annotation_index)], copy);
    // What a command printed, in fragments and in the end.
    case 'delta': return take(pieces, value, [name], name, owner, ['output', indexOf(event.command_index)], isFragment);
    default: return take(pieces, value, [name], name, owner, [whole, name], copy);
  }
}

/** A response, a list of items, one item, or whatever else a body is. */
function takeResponse(pieces: Piece[], value: unknown, path: JsonPath, prefix: string): void {
  if (!isObject(value)) return take(pieces, value, path, 'body', 'body', [], isCopy);
  if (path.length === 0 && isItem(value)) return take(pieces, value, path, '', 0, [], isCopy);
  for (const [name, member] of Object.entries(value)) {
    const at = [...path, name];
    if (!LISTS.has(name) || !Array.isArray(member)) take(pieces, member, at, `${prefix}${name}`, 'response', [name], isCopy);
    else member.forEach((item: unknown, i) => take(pieces, item, [...at, i], `${prefix}${name}[]`, name === 'instructions' ? `instructions${i}` : i, [], isCopy));
  }
}

/** Lists of items. */
const LISTS: ReadonlySet<string> = new Set(['output', 'data', 'instructions']);

/** A body that is one item of a conversation. */
function isItem({ type, object, content }: JsonObject): boolean {
  return object === undefined && (typeof type === 'string' || Array.isArray(content));
}

// What depends on a text.

const PART_CHOICE = /^(.+)\.(\d+)$/;

/** Part `index` of the output `owner`, wherever it stands in the event. */
function dependentsOfPart(event: JsonObject, owner: string, index: number, found: Dependent[]): void {
  if (String(ownerOf(event)) === owner) {
    if (indexOf(event.content_index) === index) {
      addDependents(event, [], found);
      addDependents(event.part, ['part'], found);
      addOffsets(event.annotation, ['annotation'], found);
    }
    addDependents(partOf(event.item, index), ['item', 'content', index], found);
  }
  const output = Number(owner);
  const { response } = event;
  if (isObject(response)) addDependents(partOf(elementOf(response.output, output), index), ['response', 'output', output, 'content', index], found);
  for (const list of ['output', 'data']) addDependents(partOf(elementOf(event[list], output), index), [list, output, 'content', index], found);
  if (output === 0 && isItem(event)) addDependents(partOf(event, index), ['content', index], found);
}

function elementOf(list: unknown, index: number): unknown {
  return asList(list)[index];
}

function partOf(item: unknown, index: number): unknown {
  return isObject(item) ? elementOf(item.content, index) : undefined;
}

function addDependents(part: unknown, path: JsonPath, found: Dependent[]): void {
  if (!isObject(part)) return;
  const { logprobs, annotations } = part;
  if (Array.isArray(logprobs) && logprobs.length > 0) found.push({ path: [...path, 'logprobs'], value: [] });
  if (Array.isArray(annotations)) annotations.forEach((annotation: unknown, i) => addOffsets(annotation, [...path, 'annotations', i], found));
}

function addOffsets(annotation: unknown, path: JsonPath, found: Dependent[]): void {
  if (!isObject(annotation)) return;
  for (const name of ['start_index', 'end_index']) if (typeof annotation[name] === 'number') found.push({ path: [...path, name] });
}
