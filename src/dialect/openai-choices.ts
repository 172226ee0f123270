/**
 * Answers that are made of choices: what chat completions and completions have in common, in streams and in whole
 * answers, as OpenAI and the many servers that imitate it send them. Facts of the wire: choices interleave; the finish
 * chunk may carry text, and another chunk may follow it; chunks may have no delta, or no choices; `id` and `created`
 * change within a stream at some servers, so nothing is keyed by them.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Dependent, EventReading, Piece, ResponseReader } from './dialect.ts';
import type { JsonPath } from './json.ts';
import { DONE, errorFrame, frame } from './openai.ts';
import { usageOf } from './usage.ts';
import { isDependent, isExempt, isObject, readWhole, type JsonObject, type LeafRules } from './walk.ts';

/** What differs between the endpoints. */
export interface ChoiceShape {
  readonly rules: LeafRules;
  /** `object` of a chunk, and of a whole answer. */
  readonly objects: { readonly chunk: string; readonly body: string };
  /** The member of a choice whose strings are the texts of the choice; `''`: the choice itself, and its `text`. */
  readonly holders: { readonly chunk: 'delta' | ''; readonly body: 'message' | '' };
  /** Channels that a chunk of our own can go on with: `0/content`. */
  readonly carried: RegExp;
  /** The choice of a chunk of our own that carries `text` in the field `field`; by default where an answer stands. */
  textChoice(index: number, text: string, field?: string): JsonObject;
  /** The choice of a chunk of our own that ends it. */
  endChoice(index: number, finish: string): JsonObject;
  /** The choice of a whole answer of our own. */
  wholeChoice(index: unknown, text: string, finish: string): JsonObject;
}

export class ChoicesReader implements ResponseReader {
  readonly #shape: ChoiceShape;
  /** That of the newest chunk that names one, for chunks of our own. */
  #envelope: JsonObject | undefined;
  #usage: AnswerUsage | undefined;
  #responseId: string | undefined;
  #model: string | undefined;
  #serviceTier: string | undefined;
  #fingerprint: string | undefined;
  readonly #finishReasons = new Map<number, string>();
  /** Choices that have begun, and those whose deltas had text. */
  readonly #begun = new Set<number>();
  readonly #told = new Set<number>();
  /** No event had choices yet. */
  #foreign = true;
  #repeats = false;
  /** What stood beside the choices and is no text, by name: ids and models are the same in every chunk. */
  readonly #exempt = new Map<string, string>();

  constructor(shape: ChoiceShape) {
    this.#shape = shape;
  }

  /** Some servers send a choice's whole text so far in every chunk. */
  get repeats(): boolean {
    return this.#repeats;
  }

  readEvent(event: unknown): EventReading {
    const pieces: Piece[] = [];
    const closes: string[] = [];
    if (isObject(event)) this.#note(event);
    if (this.#foreign && isObject(event) && Array.isArray(event.choices)) {
      this.#foreign = false;
      closes.push('event/');
    }
    choicesOf(event).forEach((choice, position) => {
      if (!isObject(choice)) return;
      const index = typeof choice.index === 'number' ? choice.index : position;
      this.#readChoice(choice, index, ['choices', position], 'chunk', pieces);
      if (isFinish(choice)) {
        closes.push(`${index}/`);
        this.#finishReasons.set(index, choice.finish_reason as string);
      }
      this.#begun.add(index);
    });
    this.#readRest(event, 'event', pieces);
    this.#repeats ||= pieces.some(({ copy }) => copy === true);
    return { pieces: this.#foreign ? pieces.map(goesOn) : pieces, closes };
  }

  readBody(body: unknown): EventReading {
    const pieces: Piece[] = [];
    if (isObject(body)) this.#note(body);
    choicesOf(body).forEach((choice, position) => {
      if (!isObject(choice)) return;
      const index = typeof choice.index === 'number' ? choice.index : position;
      this.#readChoice(choice, index, ['choices', position], 'body', pieces);
      if (typeof choice.finish_reason === 'string') this.#finishReasons.set(index, choice.finish_reason);
    });
    this.#readRest(body, 'body', pieces);
    return { pieces, closes: [''] };
  }

  dependents(event: unknown, key: string): readonly Dependent[] {
    if (!isObject(event)) return [];
    const found: Dependent[] = [];
    const changed = key.slice(0, key.indexOf('/'));
    let here = changed === 'event';
    choicesOf(event).forEach((choice, position) => {
      if (!isObject(choice) || String(choice.index ?? position) !== changed) return;
      here = true;
      dependentsOfChoice(choice, ['choices', position], changed, found);
    });
    dropLists(event, [], found);
    // Padding that hid how long the text was no longer does.
    if (here) for (const name of ['obfuscation', 'p']) if (typeof event[name] === 'string') found.push({ path: [name], value: '' });
    return found;
  }

  canCarry(key: string): boolean {
    return this.#shape.carried.test(key) || (this.#foreign && FOREIGN.test(key));
  }

  textEvent(key: string, text: string): Buffer {
    const [choice, field] = key.split('/') as [string, string];
    return Buffer.from(choice === 'event' ? frame({ [field]: text }) : this.#chunk(this.#shape.textChoice(Number(choice), text, field)));
  }

  blockedStream(message: string | undefined, ended: ReadonlySet<string>): Buffer {
    const begun = this.#begun.size === 0 ? [0] : [...this.#begun].sort((a, b) => a - b);
    const open = begun.filter((index) => !ended.has(`${index}/`));
    const { textChoice, endChoice } = this.#shape;
    const ends = open.map((index) => (message === undefined ? this.#chunk(endChoice(index, 'content_filter')) : this.#chunk(textChoice(index, message)) + this.#chunk(endChoice(index, 'stop'))));
    return Buffer.from(ends.join('') + DONE);
  }

  blockedBody(body: unknown, message: string | undefined): Buffer {
    if (isObject(body) && body.object === 'list') throw new WeirError('content_filter', message ?? 'the policy blocked the answer');
    const given = isObject(body) ? body : {};
    const choices = choicesOf(body).length > 0 ? choicesOf(body) : [{ index: 0 }];
    return Buffer.from(JSON.stringify({
      id: given.id ?? '', object: this.#shape.objects.body, created: given.created ?? 0, model: given.model ?? '',
      choices: choices.map((choice: unknown, position) =>
        this.#shape.wholeChoice(isObject(choice) ? (choice.index ?? position) : position, message ?? '', message === undefined ? 'content_filter' : 'stop')),
      ...(given.usage === undefined ? {} : { usage: given.usage }),
    }));
  }

  errorEvent(code: ErrorCode, message: string): Buffer {
    return errorFrame(code, message);
  }

  usage(): AnswerUsage | undefined {
    return this.#usage;
  }

  facts(): AnswerFacts {
    return { responseId: this.#responseId, model: this.#model, finishReasons: [...this.#finishReasons.values()], serviceTier: this.#serviceTier, fingerprint: this.#fingerprint };
  }

  #chunk(choice: JsonObject): string {
    return frame({ ...(this.#envelope ?? { id: '', object: this.#shape.objects.chunk, created: 0, model: '' }), choices: [choice] });
  }

  #note(event: JsonObject): void {
    const { id, created, model, system_fingerprint: fingerprint, service_tier: tier, usage } = event;
    // Chunks that only annotate have an empty id at Azure.
    if (choicesOf(event).length > 0 && (id !== '' || this.#envelope === undefined)) {
      this.#envelope = { id, object: this.#shape.objects.chunk, created, model, ...(fingerprint === undefined ? {} : { system_fingerprint: fingerprint }) };
    }
    if (typeof id === 'string' && id !== '') this.#responseId ??= id;
    if (typeof model === 'string' && model !== '') this.#model ??= model;
    if (isObject(usage)) this.#usage = usageOf(usage);
    if (typeof tier === 'string') this.#serviceTier = tier;
    if (typeof fingerprint === 'string') this.#fingerprint ??= fingerprint;
  }

  /**
   * The texts of one choice. A `message` in a chunk says again what the deltas said; of a server that sends no deltas it
   * is all there is, and grows until the finish.
   */
  #readChoice(choice: JsonObject, index: number, path: JsonPath, form: 'chunk' | 'body', pieces: Piece[]): void {
    const holder = this.#shape.holders[form];
    const copies: Piece[] = [];
    const before = pieces.length;
    for (const key of Object.keys(choice)) {
      const value = choice[key];
      if (!mayHoldText(value)) continue;
      const at = [...path, key];
      const carrier = `choices[].${key}`;
      if (typeof value === 'object' && isDependent(this.#shape.rules, carrier)) continue;
      if (holder === '' && key === 'text' && typeof value === 'string') this.#add(`${index}/text`, carrier, 'text', at, value, pieces);
      else if (!isObject(value) || (key !== 'delta' && key !== 'message')) this.#readUnknown(value, at, carrier, `${index}/${key}/`, pieces);
      else if (key === holder) this.#readMessage(value, `${index}/`, at, carrier, pieces);
      else if (holder === 'delta') this.#readMessage(value, `${index}/`, at, carrier, copies);
      else this.#readMessage(value, `${index}/${key}/`, at, carrier, pieces);
    }
    if (holder !== 'delta') return;
    if (pieces.slice(before).some(({ carrier }) => carrier.startsWith('choices[].delta.'))) this.#told.add(index);
    for (const piece of copies) {
      if (this.#told.has(index)) pieces.push({ ...piece, copy: true, whole: true });
      else if (isFinish(choice)) pieces.push({ ...piece, key: `${index}/finish/${piece.key}`, whole: true });
      else pieces.push({ ...piece, key: `${index}/message/${piece.key}`, whole: false, growing: true });
    }
  }

  /** A delta or message: its strings are the channels of the choice. */
  #readMessage(message: JsonObject, prefix: string, path: JsonPath, carrier: string, pieces: Piece[]): void {
    for (const key of Object.keys(message)) {
      const value = message[key];
      if (!mayHoldText(value)) continue;
      const at = [...path, key];
      const name = `${carrier}.${key}`;
      if (typeof value === 'string') this.#add(`${prefix}${key}`, name, 'text', at, value, pieces);
      else if (key === 'tool_calls' && Array.isArray(value)) value.forEach((call: unknown, i) => this.#readCall(call, i, prefix, [...at, i], `${name}[]`, pieces));
      else if (key === 'function_call' && isObject(value)) this.#readFunction(value, `${prefix}function_call`, at, name, pieces);
      else this.#readUnknown(value, at, name, `${prefix}${key}`, pieces);
    }
  }

  #readCall(call: unknown, position: number, prefix: string, path: JsonPath, carrier: string, pieces: Piece[]): void {
    if (!isObject(call)) return this.#readUnknown(call, path, carrier, `${prefix}tool_calls/${position}`, pieces);
    const key = `${prefix}tool_calls/${typeof call.index === 'number' ? call.index : position}`;
    for (const [name, value] of Object.entries(call)) {
      if (name === 'function' && isObject(value)) this.#readFunction(value, key, [...path, name], `${carrier}.function`, pieces);
      else this.#readUnknown(value, [...path, name], `${carrier}.${name}`, `${key}/${name}`, pieces);
    }
  }

  #readFunction(call: JsonObject, key: string, path: JsonPath, carrier: string, pieces: Piece[]): void {
    for (const [name, value] of Object.entries(call)) {
      if (name === 'arguments' && typeof value === 'string') this.#add(`${key}/arguments`, `${carrier}.arguments`, 'json', [...path, name], value, pieces);
      else this.#readUnknown(value, [...path, name], `${carrier}.${name}`, `${key}/${name}`, pieces);
    }
  }

  /** Every string below `value`, as text. Array elements with an `index` go on in the channel of that index. */
  #readUnknown(value: unknown, path: JsonPath, carrier: string, key: string, pieces: Piece[]): void {
    if (typeof value === 'string') this.#add(key, carrier, 'text', path, value, pieces);
    else if (Array.isArray(value)) {
      value.forEach((element: unknown, i) => {
        const index = isObject(element) && typeof element.index === 'number' ? element.index : i;
        this.#readUnknown(element, [...path, i], `${carrier}[]`, `${key}/${index}`, pieces);
      });
    } else if (isObject(value)) {
      for (const name of Object.keys(value)) {
        const member = value[name];
        if (!mayHoldText(member)) continue;
        const below = `${carrier}.${name}`;
        if (typeof member === 'string' && isExempt(this.#shape.rules, below, member)) continue;
        this.#readUnknown(member, [...path, name], below, `${key}/${name}`, pieces);
      }
    }
  }

  /** What stands beside the choices, and choices that are none: errors, citations, search results, echoes of the prompt. */
  #readRest(event: unknown, key: 'event' | 'body', pieces: Piece[]): void {
    const { rules } = this.#shape;
    if (!isObject(event)) return readWhole(event, [], '', typeof event === 'string' ? `${key}/` : key, rules, pieces);
    for (const name of Object.keys(event)) {
      const value = event[name];
      if (!mayHoldText(value) || (typeof value === 'string' && this.#isExempt(name, value))) continue;
      if (name !== 'choices' || !Array.isArray(value)) readWhole(value, [name], name, `${key}/${name}`, rules, pieces);
      else value.forEach((choice: unknown, i) => { if (!isObject(choice)) readWhole(choice, [name, i], 'choices[]', `${key}/choices/${i}`, rules, pieces); });
    }
  }

  #isExempt(name: string, value: string): boolean {
    if (this.#exempt.get(name) === value) return true;
    const exempt = isExempt(this.#shape.rules, name, value);
    if (exempt) this.#exempt.set(name, value);
    return exempt;
  }

  #add(key: string, carrier: string, kind: Piece['kind'], path: JsonPath, text: string, pieces: Piece[]): void {
    if (text.length === 0 || isExempt(this.#shape.rules, carrier, text)) return;
    pieces.push({ key, carrier, kind, path, text, whole: isWhole(carrier) });
  }
}

function mayHoldText(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null);
}

/** A string at the top of an event that is no chunk. */
const FOREIGN = /^event\/[^/~]+$/;

/** Before the first chunk, and where none comes, nobody knows what an event is: its strings may go on in the next one. */
function goesOn(piece: Piece): Piece {
  return piece.path.length > 1 ? piece : { ...piece, whole: false };
}

function isFinish({ finish_reason: reason }: JsonObject): boolean {
  return typeof reason === 'string' && reason !== '';
}

function choicesOf(event: unknown): readonly unknown[] {
  return isObject(event) && Array.isArray(event.choices) ? event.choices : [];
}

/** Texts that arrive in fragments, below a delta and where a server repeats a delta; other strings are whole. */
const FRAGMENTS = /^choices\[\]\.(?:text|(?:delta|message)\.(?:audio\.transcript|tool_calls\[\]\.custom\.input|reasoning_details\[\]\.(?:text|summary)|content\[\](?:\.thinking\[\])?\.text))$/;
/** A string that stands directly in a delta: content, refusal, reasoning and whatever comes. */
const DIRECT = /^choices\[\]\.(?:delta|message)\.[^.[]+$/;

/** By carrier. A server can name as many fields as it likes, so it is emptied when it grows. */
const wholes = new Map<string, boolean>();
const WHOLES_MAX = 1_000;

function isWhole(carrier: string): boolean {
  let whole = wholes.get(carrier);
  if (whole === undefined) {
    whole = !carrier.endsWith('.arguments') && !DIRECT.test(carrier) && !FRAGMENTS.test(carrier);
    if (wholes.size >= WHOLES_MAX) wholes.clear();
    wholes.set(carrier, whole);
  }
  return whole;
}

/** Lists that tell the text, or the prompt, token by token. */
const TOKEN_LISTS = ['logprobs', 'token_ids', 'prompt_logprobs', 'prompt_token_ids'] as const;

function dropLists(holder: JsonObject, path: JsonPath, found: Dependent[]): void {
  for (const name of TOKEN_LISTS) if (typeof holder[name] === 'object' && holder[name] !== null) found.push({ path: [...path, name], value: null });
}

function dependentsOfChoice(choice: JsonObject, path: JsonPath, index: string, found: Dependent[]): void {
  dropLists(choice, path, found);
  // Azure counts from a place before the answer that it does not tell.
  if (isObject(choice.content_filter_offsets)) found.push({ path: [...path, 'content_filter_offsets'], value: null });
  for (const holder of ['delta', 'message']) {
    const message = choice[holder];
    if (!isObject(message)) continue;
    const { token_id: token, audio, annotations } = message;
    if (typeof token === 'number') found.push({ path: [...path, holder, 'token_id'], value: null });
    if (isObject(audio) && typeof audio.data === 'string') found.push({ path: [...path, holder, 'audio', 'data'], value: '' });
    if (Array.isArray(annotations)) annotations.forEach((annotation: unknown, i) => offsetsOf(annotation, [...path, holder, 'annotations', i], `${index}/content`, found));
  }
}

/** Where in the content the cited words stand. */
function offsetsOf(annotation: unknown, path: JsonPath, key: string, found: Dependent[]): void {
  if (!isObject(annotation) || !isObject(annotation.url_citation)) return;
  for (const name of ['start_index', 'end_index']) if (typeof annotation.url_citation[name] === 'number') found.push({ path: [...path, 'url_citation', name], key });
}
