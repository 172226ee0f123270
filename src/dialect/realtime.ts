/**
 * OpenAI's Realtime API, as OpenAI, Azure and xAI speak it: the events of both sides, under their present and their former
 * names. Whatever string is not known is text. Facts of the wire: an item says its text in deltas, then again when its part,
 * the item and the answer are done; transcripts of what the user says arrive in between; audio runs beside its transcript,
 * so what was spoken cannot be unsaid. Pure.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import { ERROR_CODES, WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Dependent, Piece } from './dialect.ts';
import type { JsonDocument, JsonPath } from './json.ts';
import { roleOf } from './openai-responses.ts';
import { numberOf, objectOf, textOf } from './openai.ts';
import type { ClientEvent, CutReason, OpaqueLeaf, SocketCut, SocketDialect, SocketReader, SocketReading } from './socket.ts';
import { isObject, readLeaves, readSegments, type ExemptReason, type JsonObject, type Leaf, type LeafRules } from './walk.ts';

// What is no text.

type Exempt = Readonly<Record<string, ExemptReason>>;

function under(holders: readonly string[], leaves: Exempt): Exempt {
  return Object.fromEntries(holders.flatMap((holder) => Object.entries(leaves).map(([leaf, reason]) => [`${holder}.${leaf}`, reason])));
}

const ITEM: Exempt = {
  id: 'id', type: 'enum', object: 'enum', status: 'enum', role: 'enum', phase: 'enum', call_id: 'id', approval_request_id: 'id', 'content[].type': 'enum', 'content[].id': 'id', 'content[].detail': 'enum',
};

/** A session, and what an answer of its own settings may say. */
const SETTINGS: Exempt = {
  id: 'id', type: 'enum', object: 'enum', model: 'setting', voice: 'setting', 'voice.type': 'enum', 'voice.name': 'setting', 'voice.id': 'id', conversation: 'id', conversation_id: 'id', tool_choice: 'enum', 'tool_choice.type': 'enum',
  'modalities[]': 'enum', 'output_modalities[]': 'enum', 'include[]': 'enum', truncation: 'enum', 'truncation.type': 'enum', tracing: 'enum', 'reasoning.effort': 'enum', max_output_tokens: 'number', max_response_output_tokens: 'number',
  input_audio_format: 'setting', output_audio_format: 'setting', 'audio.input.format.type': 'setting', 'audio.output.format.type': 'setting', 'audio.input.transport': 'enum', 'audio.output.transport': 'enum',
  'audio.output.voice': 'setting', 'audio.output.voice.id': 'id', 'input_audio_noise_reduction.type': 'enum', 'audio.input.noise_reduction.type': 'enum',
  'turn_detection.type': 'enum', 'turn_detection.eagerness': 'enum', 'audio.input.turn_detection.type': 'enum', 'audio.input.turn_detection.eagerness': 'enum',
  'input_audio_transcription.model': 'setting', 'input_audio_transcription.language': 'setting', 'audio.input.transcription.model': 'setting', 'audio.input.transcription.language': 'setting', 'audio.input.transcription.delay': 'enum',
  'tools[].type': 'enum', 'tools[].connector_id': 'setting', 'tools[].require_approval': 'enum', 'tools[].authorization': 'secret', 'tools[].headers.*': 'secret',
};

const NAMED = ['tools[].parameters', 'tools[].function.parameters', 'tools[].headers', 'metadata', 'tracing.metadata', 'prompt.variables'] as const;

const REQUEST_RULES: LeafRules = {
  exempt: { type: 'enum', event_id: 'id', item_id: 'id', previous_item_id: 'id', response_id: 'id', ...under(['session', 'response'], SETTINGS), ...under(['item', 'response.input[]'], ITEM) },
  opaque: {
    audio: 'audio', 'item.content[].audio': 'audio', 'response.input[].content[].audio': 'audio', 'item.content[].image_url': 'image', 'response.input[].content[].image_url': 'image', 'session.prompt.id': 'reference', 'response.prompt.id': 'reference',
  },
  json: /(?:^|\.)arguments$/,
  named: [...['session', 'response'].flatMap((holder) => NAMED.map((name) => `${holder}.${name}`)), 'item.tools[].input_schema', 'item.tools[].annotations', 'response.input[].tools[].input_schema', 'response.input[].tools[].annotations'],
};

const AUDIO_DELTAS: ReadonlySet<unknown> = new Set(['response.output_audio.delta', 'response.audio.delta']);

const ANSWER_RULES: LeafRules = {
  exempt: {
    type: 'enum', event_id: 'id', response_id: 'id', item_id: 'id', previous_item_id: 'id', call_id: 'id', id: 'id', 'conversation.id': 'id', 'conversation.object': 'enum', 'part.type': 'enum', 'content.type': 'enum', 'rate_limits[].name': 'enum',
    'usage.type': 'enum', obfuscation: 'padding', rid: 'id', latency: 'number', 'error.type': 'enum', 'error.code': 'enum', 'error.event_id': 'id', 'session.client_secret.value': 'secret', 'response.status': 'enum', 'response.status_details': 'enum',
    'response.status_details.type': 'enum', 'response.status_details.reason': 'enum', ...under(['session', 'response'], SETTINGS), ...under(['item', 'response.output[]'], ITEM),
  },
  opaque: { 'part.audio': 'audio', 'item.content[].audio': 'audio', 'response.output[].content[].audio': 'audio' },
  opaqueWhen: { delta: ({ type }) => (AUDIO_DELTAS.has(type) ? 'audio' : undefined) },
  json: /(?:^|\.)arguments$/,
  named: [...['session', 'response'].flatMap((holder) => NAMED.map((name) => `${holder}.${name}`)), 'item.tools[].input_schema', 'item.tools[].annotations', 'response.output[].tools[].input_schema', 'response.output[].tools[].annotations'],
  dependent: ['logprobs'],
};

export const realtime: SocketDialect = {
  id: 'openai-realtime',
  operation: 'chat',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readClientEvent,
  createReader: () => new RealtimeReader(),
  errorEvent: (code, message, eventId) => errorEvent(`event_weir_${code}`, code, message, eventId),
};

// What the client sends.

function readClientEvent(document: JsonDocument): ClientEvent {
  const event = objectOf(document);
  const { type, session, response } = event;
  if (typeof type !== 'string') throw new WeirError('invalid_request', 'the event has no type');
  const latest = isObject(response) && Array.isArray(response.input) ? response.input.findLastIndex((item: unknown) => isObject(item) && item.role === 'assistant') : -1;
  const about = (path: JsonPath): { readonly role?: string; readonly history: boolean } => {
    const isInput = path[0] === 'response' && path[1] === 'input';
    const item = isInput ? ((response as JsonObject).input as readonly unknown[])[path[2] as number] : event.item;
    const role = path[1] === 'instructions' ? 'system' : isInput || path[0] === 'item' ? roleOf(item) : undefined;
    return { role, history: isInput && (path[2] as number) <= latest };
  };
  return {
    ...readSegments(event, REQUEST_RULES, about),
    type,
    eventId: typeof event.event_id === 'string' && EVENT_ID.test(event.event_id) ? event.event_id : undefined,
    asks: type === 'response.create',
    stream: true,
    model: isObject(session) ? textOf(session.model) : undefined,
    parameters: {},
  };
}

const EVENT_ID = /^[\w.:-]{1,128}$/;

function errorEvent(id: string, code: ErrorCode, message: string, eventId: string | undefined): Buffer {
  return frame({ type: 'error', event_id: id, error: { type: ERROR_CODES[code].type, code, message, param: null, event_id: eventId ?? null } });
}

function frame(event: JsonObject): Buffer {
  return Buffer.from(JSON.stringify(event));
}

// What the upstream sends.

/** Texts that arrive in fragments: the event's type, and the channel of its `delta`. */
const DELTAS: Readonly<Record<string, string>> = {
  'response.output_text.delta': 'text', 'response.text.delta': 'text', 'response.output_audio_transcript.delta': 'transcript', 'response.audio_transcript.delta': 'transcript',
  'response.function_call_arguments.delta': 'arguments', 'response.mcp_call_arguments.delta': 'arguments', 'conversation.item.input_audio_transcription.delta': 'transcript',
};

/** Events that say a whole text of one item again, and end it. */
const DONES: Readonly<Record<string, string>> = {
  'response.output_text.done': 'text', 'response.text.done': 'text', 'response.output_audio_transcript.done': 'transcript', 'response.audio_transcript.done': 'transcript',
  'response.function_call_arguments.done': 'arguments', 'response.mcp_call_arguments.done': 'arguments', 'conversation.item.input_audio_transcription.completed': 'transcript', 'conversation.item.input_audio_transcription.failed': 'transcript',
};

/** What the client set and said, as the upstream took it. */
const ECHO = /^session\.|^conversation\.item\.(?:added|created|done|retrieved)$/;

/** The transcript so far. */
const GROWING = 'conversation.item.input_audio_transcription.updated';

/** Where a text of an item is repeated: carrier, and its channel. */
const REPEATED = /^(?:(?:part|content)\.|item\.content\[\]\.|response\.output\[\]\.content\[\]\.)(text|transcript)$|^(?:item|response\.output\[\])\.(arguments)$/;

/** Items whose answer is remembered, answers, and channels that could carry a text of their own. */
const ITEMS_MAX = 4_096;

class RealtimeReader implements SocketReader {
  /** Which answer an item belongs to. */
  readonly #answerOf = new Map<string, string>();
  /** Answers that have begun and not ended, by scope. */
  readonly #open = new Map<string, string>();
  /** The newest delta of each channel, without its text. */
  readonly #deltas = new Map<string, JsonObject>();
  /** Our own events that the upstream may answer to. */
  readonly #sent = new Map<string, true>();
  #count = 0;
  #inputTokens: number | undefined;
  #outputTokens: number | undefined;
  #responseId: string | undefined;
  #model: string | undefined;
  readonly #finishReasons = new Set<string>();
  readonly #carriers = new Set<string>();

  readEvent(value: unknown): SocketReading {
    const event: JsonObject = isObject(value) ? value : { value };
    const type = textOf(event.type) ?? '';
    const { scope, single } = this.#scopeOf(event);
    const pieces: Piece[] = [];
    const opaque: OpaqueLeaf[] = [];
    readLeaves(value, [], '', ANSWER_RULES, (leaf) => {
      pieces.push(this.#pieceOf(event, type, scope, leaf));
    }, ({ carrier, kind }, { path }) => opaque.push({ path, carrier: this.#carrierOf(type, carrier), kind, alone: carrier === 'delta' }));
    const reading = { pieces, opaque, scope: pieces.length === 0 && single ? '' : scope, single, echoes: !scope.startsWith('r.') && ECHO.test(type) };
    if (type === 'response.created') {
      keep(this.#open, scope, (isObject(event.response) ? textOf(event.response.id) : undefined) ?? '');
      return { ...reading, closes: [], answer: 'begins' };
    }
    if (type === 'response.done') return { ...reading, closes: [scope], answer: 'ends', tokens: this.#noteEnd(event, scope) };
    if (type === 'error' && isObject(event.error) && this.#sent.delete(textOf(event.error.event_id) ?? '')) return { ...reading, closes: [], ours: true };
    if (type === 'session.created' && isObject(event.session)) this.#model = textOf(event.session.model);
    return { ...reading, closes: this.#closesOf(event, type, scope) };
  }

  dependents(event: unknown, key: string): readonly Dependent[] {
    if (!isObject(event) || !Array.isArray(event.logprobs)) return [];
    return key.startsWith(`${this.#scopeOf(event).scope}${idText(event.item_id)}/`) ? [{ path: ['logprobs'], value: null }] : [];
  }

  canCarry(key: string): boolean {
    return this.#deltas.has(key) && !key.endsWith('/arguments');
  }

  textEvent(key: string, text: string): Buffer {
    return frame({ ...this.#deltas.get(key), event_id: this.#nextId(), delta: text });
  }

  cut(scope: string, { message }: CutReason): SocketCut {
    const error = errorEvent(this.#nextId(), 'content_filter', message, undefined);
    const id = this.#open.get(scope);
    if (id === undefined) return { toClient: [error], toUpstream: [] };
    const cancel = `weir_cancel_${this.#count}`;
    keep(this.#sent, cancel, true);
    const response = { object: 'realtime.response', id, status: 'incomplete', status_details: { type: 'incomplete', reason: 'content_filter' }, output: [], usage: null };
    return {
      toClient: [error, frame({ type: 'response.done', event_id: this.#nextId(), response })],
      toUpstream: [frame({ type: 'response.cancel', event_id: cancel, response_id: id })],
    };
  }

  usage(): AnswerUsage | undefined {
    return this.#inputTokens === undefined && this.#outputTokens === undefined ? undefined : { inputTokens: this.#inputTokens, outputTokens: this.#outputTokens };
  }

  facts(): AnswerFacts {
    return { responseId: this.#responseId, model: this.#model, finishReasons: [...this.#finishReasons] };
  }

  /** The answer that an event is part of, else the item that it is about, else the event itself. */
  #scopeOf({ response_id: responseId, response, item_id: itemId, item, type }: JsonObject): { readonly scope: string; readonly single: boolean } {
    const id = textOf(itemId) ?? (isObject(item) ? textOf(item.id) : undefined);
    const answer = textOf(responseId) ?? (isObject(response) ? textOf(response.id) : undefined) ?? (id === undefined ? undefined : this.#answerOf.get(id));
    if (answer !== undefined) {
      if (id !== undefined) keep(this.#answerOf, id, answer);
      return { scope: `r.${idText(answer)}:`, single: false };
    }
    if (id !== undefined) return { scope: `i.${idText(id)}:`, single: false };
    return type === 'response.created' || type === 'response.done' ? { scope: 'r.:', single: false } : { scope: `e.${this.#count += 1}:`, single: true };
  }

  #pieceOf(event: JsonObject, type: string, scope: string, { path, carrier, text, json, inKey }: Leaf): Piece {
    const piece = { carrier: this.#carrierOf(type, carrier), path, text, ...(inKey ? { inKey } : {}) };
    const channel = channelOf(event, type, carrier, path);
    if (channel === undefined) return { ...piece, key: `${scope}${type === '' ? 'event' : type}/${path.join('/')}${inKey ? '/*' : ''}`, kind: json ? 'json' : 'text', whole: true };
    const key = scope + channel.key;
    if (channel.says === 'more') keep(this.#deltas, key, envelopeOf(event));
    return { ...piece, key, kind: channel.key.endsWith('/arguments') ? 'json' : 'text', ...(channel.says === 'again' ? { copy: true } : channel.says === 'growing' ? { growing: true } : {}) };
  }

  /** What coverage lists. An upstream can name as many events and fields as it likes. */
  #carrierOf(type: string, carrier: string): string {
    const name = `${TYPE.test(type) ? type : 'event'}:${carrier}`;
    if (!this.#carriers.has(name) && this.#carriers.size >= CARRIERS_MAX) return 'event:other';
    this.#carriers.add(name);
    return name;
  }

  #closesOf(event: JsonObject, type: string, scope: string): readonly string[] {
    const done = DONES[type];
    if (done !== undefined) return [scope + keyOf(event.item_id, event.content_index, done)];
    return type === 'response.output_item.done' && isObject(event.item) ? [`${scope}${idText(event.item.id)}/`] : [];
  }

  /** The tokens of an answer that has ended. */
  #noteEnd({ response }: JsonObject, scope: string): number | undefined {
    this.#open.delete(scope);
    if (!isObject(response)) return undefined;
    this.#responseId = textOf(response.id) ?? this.#responseId;
    const status = textOf(response.status);
    if (status !== undefined && this.#finishReasons.size < FINISH_REASONS_MAX) this.#finishReasons.add(status);
    const { usage } = response;
    if (!isObject(usage)) return undefined;
    const input = numberOf(usage.input_tokens) ?? 0;
    const output = numberOf(usage.output_tokens) ?? 0;
    this.#inputTokens = (this.#inputTokens ?? 0) + input;
    this.#outputTokens = (this.#outputTokens ?? 0) + output;
    return input + output;
  }

  #nextId(): string {
    return `event_weir_${this.#count += 1}`;
  }
}

const FINISH_REASONS_MAX = 8;
const CARRIERS_MAX = 500;
const TYPE = /^[a-z_.]{1,80}$/;

interface ItemChannel {
  /** Without its scope. */
  readonly key: string;
  readonly says: 'more' | 'again' | 'growing';
}

/** The channel of an item that a text belongs to; undefined for a text by itself. */
function channelOf(event: JsonObject, type: string, carrier: string, path: JsonPath): ItemChannel | undefined {
  const delta = carrier === 'delta' ? DELTAS[type] : undefined;
  if (delta !== undefined) return { key: keyOf(event.item_id, event.content_index, delta), says: 'more' };
  if (carrier === DONES[type]) return { key: keyOf(event.item_id, event.content_index, carrier), says: 'again' };
  if (type === GROWING && carrier === 'transcript') return { key: keyOf(event.item_id, event.content_index, carrier), says: 'growing' };
  const repeated = REPEATED.exec(carrier);
  if (repeated === null) return undefined;
  const channel = (repeated[1] ?? repeated[2]) as string;
  if (path[0] === 'part' || path[0] === 'content') return { key: keyOf(event.item_id, event.content_index, channel), says: 'again' };
  const item = (path[0] === 'item' ? event.item : ((event.response as JsonObject).output as readonly unknown[])[path[2] as number]) as JsonObject;
  return { key: keyOf(item.id, path[path.length - 2], channel), says: 'again' };
}

function keyOf(item: unknown, index: unknown, channel: string): string {
  return `${idText(item)}/${channel === 'arguments' ? '' : `${typeof index === 'number' ? index : 0}/`}${channel}`;
}

/** An id as part of a key, where `:` and `/` have a meaning. */
function idText(id: unknown): string {
  return typeof id === 'string' ? id.replace(/[^\w.-]/g, (char) => `%${char.charCodeAt(0).toString(16)}`) : '';
}

/** Everything of a delta but its text and what depends on it. */
function envelopeOf({ delta: _delta, logprobs: _logprobs, obfuscation: _obfuscation, ...envelope }: JsonObject): JsonObject {
  return envelope;
}

/** Adds the newest and drops the oldest. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > ITEMS_MAX) map.delete(map.keys().next().value as string);
}
