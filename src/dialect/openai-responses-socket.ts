/**
 * The Responses API over a WebSocket: the client's events are requests with a type, the server's are the events of the
 * HTTP stream, one in each frame. Answers follow each other on a connection, or run side by side where events name a
 * stream; each has a reader of its own. No event cancels an answer: what the upstream still says after a cut is dropped.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import { ERROR_CODES, WeirError, type ErrorCode } from '../contract/errors.ts';
import type { Dependent, EventReading, Piece } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { openaiResponses } from './openai-responses.ts';
import { ResponsesReader } from './openai-responses-events.ts';
import { objectOf } from './openai.ts';
import type { ClientEvent, CutReason, OpaqueLeaf, SocketCut, SocketDialect, SocketReader, SocketReading } from './socket.ts';
import { isExempt, isObject, opaqueFinder, type ExemptReason, type JsonObject, type LeafRules } from './walk.ts';

/** What the socket adds to a request and to every event. */
const FRAME_EXEMPT: Readonly<Record<string, ExemptReason>> = { type: 'enum', event_id: 'id', stream_id: 'id' };

function withFrame(rules: LeafRules): LeafRules {
  return { ...rules, exempt: { ...rules.exempt, ...FRAME_EXEMPT } };
}

function isOfFrame(carrier: string, text: string): boolean {
  return Object.hasOwn(FRAME_EXEMPT, carrier) && isExempt(REQUEST_RULES, carrier, text);
}

const REQUEST_RULES = withFrame(openaiResponses.requestRules);
const ANSWER_RULES = withFrame(openaiResponses.answerRules);

export const responsesSocket: SocketDialect = {
  id: 'openai-responses-socket',
  operation: 'chat',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readClientEvent,
  createReader: () => new ResponsesSocketReader(),
  answerInstead,
  errorEvent: (code, message, eventId) => Buffer.from(JSON.stringify(errorOf(code, message, eventId === undefined ? {} : { event_id: eventId }))),
};

// What the client sends.

/** Events that make the model answer. */
const ASKS: ReadonlySet<string> = new Set(['response.create', 'response.steer', 'response.inject']);

function readClientEvent(document: JsonDocument): ClientEvent {
  const event = objectOf(document);
  const { type } = event;
  if (typeof type !== 'string') throw new WeirError('invalid_request', 'the event has no type');
  const reading = openaiResponses.readRequest(document);
  return {
    ...reading,
    segments: reading.segments.filter(({ carrier, content }) => !isOfFrame(carrier, content)),
    type,
    eventId: nameOf(event.event_id),
    streamId: nameOf(event.stream_id),
    asks: ASKS.has(type),
    stream: true,
  };
}

const NAME = /^[\w.:-]{1,128}$/;

function nameOf(id: unknown): string | undefined {
  return typeof id === 'string' && NAME.test(id) ? id : undefined;
}

/** Only a request for an answer can be answered. */
function answerInstead(event: ClientEvent, message: string, requestId: string, nowMs: number): readonly Buffer[] {
  if (event.type !== 'response.create') return [responsesSocket.errorEvent('content_filter', message, event.eventId)];
  return framesOf(openaiResponses.fallback(event, message, requestId, nowMs).body, event.streamId);
}

/** Clients know one or the other form of an error. */
function errorOf(code: ErrorCode, message: string, about: JsonObject): JsonObject {
  const error = { type: ERROR_CODES[code].type, code, message, param: null };
  return { ...error, ...about, type: 'error', error };
}

/** Events of a stream as frames. What comes here is written by this house: one line of data an event. */
function framesOf(stream: Buffer, streamId: string | undefined): readonly Buffer[] {
  return stream.toString('utf8').split('\n').filter((line) => line.startsWith('data: ')).map((line) => {
    if (streamId === undefined) return Buffer.from(line.slice(6));
    return Buffer.from(JSON.stringify({ ...JSON.parse(line.slice(6)) as JsonObject, stream_id: streamId }));
  });
}

// What the upstream sends.

const ENDS: ReadonlySet<unknown> = new Set(openaiResponses.streamEnds);
/** Answers that run side by side, and those that have ended and of which an event may still wait. */
const ANSWERS_MAX = 256;
const FINISH_REASONS_MAX = 8;

interface OpenAnswer {
  /** `7:`, what the keys of its texts begin with. */
  readonly scope: string;
  readonly streamId: string | undefined;
  readonly reader: ResponsesReader;
  ended: boolean;
}

class ResponsesSocketReader implements SocketReader {
  /** The newest answer of each stream; most connections have one stream without a name. */
  readonly #streams = new Map<string, OpenAnswer>();
  /** By scope, the newest last. */
  readonly #answers = new Map<string, OpenAnswer>();
  readonly #findOpaque = opaqueFinder(ANSWER_RULES);
  #count = 0;
  #usage: { inputTokens: number; outputTokens: number } | undefined;
  #responseId: string | undefined;
  #model: string | undefined;
  readonly #finishReasons = new Set<string>();

  readEvent(event: unknown, json: string): SocketReading {
    const type = isObject(event) ? event.type : undefined;
    const answer = this.#answerOf(event, type);
    const reader = answer?.reader ?? new ResponsesReader();
    // What has no type is no event, and may be a whole response.
    const reading = type === undefined ? reader.readBody(event) : reader.readEvent(event);
    const scope = answer?.scope ?? `e${this.#count += 1}:`;
    const texts = within(reading, scope);
    const placed = {
      ...texts,
      scope: answer === undefined && texts.pieces.length === 0 ? '' : scope,
      single: answer === undefined,
      opaque: this.#findOpaque(event, json).map(({ carrier, kind }): OpaqueLeaf => ({ carrier, kind, alone: false })),
    };
    if (answer === undefined) return placed;
    if (type === 'response.created') return { ...placed, answer: 'begins' };
    return ENDS.has(type) ? { ...placed, answer: 'ends', tokens: this.#noteEnd(answer) } : placed;
  }

  sent(event: unknown, scope: string): void {
    this.#answers.get(scope)?.reader.sent(event);
  }

  dependents(event: unknown, key: string): readonly Dependent[] {
    const { scope, inner } = keyParts(key);
    return this.#answers.get(scope)?.reader.dependents(event, inner) ?? [];
  }

  /** Events are numbered without gaps. */
  canCarry(): boolean {
    return false;
  }

  textEvent(key: string): Buffer {
    throw new Error(`no event carries nothing but text of ${key}`);
  }

  cut(scope: string, { message, instead }: CutReason): SocketCut {
    const answer = this.#answers.get(scope);
    if (answer === undefined) return { toClient: [Buffer.from(JSON.stringify(errorOf('content_filter', message, {})))], toUpstream: [] };
    return { toClient: framesOf(answer.reader.blockedStream(instead), answer.streamId), toUpstream: [] };
  }

  usage(): AnswerUsage | undefined {
    return this.#usage;
  }

  facts(): AnswerFacts {
    return { responseId: this.#responseId, model: this.#model, finishReasons: [...this.#finishReasons] };
  }

  /** The answer that an event is part of: the one that began last in its stream. One that was never said to begin begins with it. */
  #answerOf(event: unknown, type: unknown): OpenAnswer | undefined {
    if (!isObject(event)) return undefined;
    const streamId = nameOf(event.stream_id);
    const known = this.#streams.get(streamId ?? '');
    if (type !== 'response.created') {
      if (known?.ended === false) return known;
      if (typeof type === 'string' && !type.startsWith('response.')) return undefined;
    }
    const answer: OpenAnswer = { scope: `${this.#count += 1}:`, streamId, reader: new ResponsesReader(), ended: false };
    keep(this.#streams, streamId ?? '', answer);
    keep(this.#answers, answer.scope, answer);
    return answer;
  }

  /** The tokens of an answer that has ended. */
  #noteEnd(answer: OpenAnswer): number | undefined {
    answer.ended = true;
    const { responseId, model, finishReasons } = answer.reader.facts();
    this.#responseId = responseId ?? this.#responseId;
    this.#model = model ?? this.#model;
    for (const reason of finishReasons) if (this.#finishReasons.size < FINISH_REASONS_MAX) this.#finishReasons.add(reason);
    const usage = answer.reader.usage();
    if (usage === undefined) return undefined;
    const { inputTokens = 0, outputTokens = 0 } = usage;
    this.#usage = { inputTokens: (this.#usage?.inputTokens ?? 0) + inputTokens, outputTokens: (this.#usage?.outputTokens ?? 0) + outputTokens };
    return inputTokens + outputTokens;
  }
}

/** An event's texts as those of one answer among many. */
function within({ pieces, closes }: EventReading, scope: string): EventReading {
  const own = pieces.filter(({ carrier, text }) => !isOfFrame(carrier, text));
  return { pieces: own.map((piece): Piece => ({ ...piece, key: scope + piece.key })), closes: closes.map((prefix) => scope + prefix) };
}

function keyParts(key: string): { readonly scope: string; readonly inner: string } {
  const end = key.indexOf(':') + 1;
  return { scope: key.slice(0, end), inner: key.slice(end) };
}

/** Adds the newest and drops the oldest. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > ANSWERS_MAX) map.delete(map.keys().next().value as string);
}
