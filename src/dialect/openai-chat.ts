/**
 * OpenAI chat completions, as OpenAI and the many servers that imitate it speak it. Knows where text stands in a
 * request, a whole answer and a stream chunk; whatever string it does not know is text, so that a new field is screened
 * the day it appears. Facts of the wire: choices interleave; the finish chunk may carry text; `id` and `created` change
 * within a stream at some servers, so nothing is keyed by them.
 */
import { WeirError, ERROR_CODES, type ErrorCode } from '../contract/errors.ts';
import type { OpaquePart, Segment } from '../contract/exchange.ts';
import type { Dialect, ErrorAnswer, EventReading, Piece, RequestReading, ResponseReader } from './dialect.ts';
import type { JsonDocument, JsonPath } from './json.ts';

export const openaiChat: Dialect = {
  id: 'openai-chat',
  operation: 'chat',
  readRequest,
  error: errorAnswer,
  fallback: fallbackAnswer,
  createReader: () => new ChatReader(),
};

type Json = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// Requests.

/** String leaves of a request that are identifiers, enumerations or settings, not text for the model. */
const REQUEST_EXEMPT: ReadonlySet<string> = new Set([
  'model', 'messages[].role', 'messages[].tool_call_id', 'messages[].content[].type', 'messages[].content[].image_url.detail',
  'messages[].content[].input_audio.format', 'messages[].content[].cache_control.type', 'messages[].audio.id', 'messages[].tool_calls[].id', 'messages[].tool_calls[].type',
  'tools[].type', 'tools[].cache_control.type', 'tool_choice', 'tool_choice.type', 'tool_choice.mode', 'function_call', 'response_format.type', 'service_tier', 'reasoning_effort', 'reasoning.effort', 'verbosity',
  'modalities[]', 'audio.format', 'audio.voice', 'prompt_cache_retention', 'web_search_options.search_context_size', 'web_search_options.user_location.type',
]);
/** Parts that hold no text that could be read here. */
const REQUEST_OPAQUE: Readonly<Record<string, 'image' | 'audio' | 'file'>> = {
  'messages[].content[].image_url.url': 'image',
  'messages[].content[].image_url': 'image',
  'messages[].content[].input_audio.data': 'audio',
  'messages[].content[].file.file_data': 'file',
  'messages[].content[].file.file_id': 'file',
};
const ARGUMENTS = /(?:^|\.)(?:function|function_call)\.arguments$/;
const PARAMETERS = ['n', 'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'frequency_penalty', 'presence_penalty', 'seed', 'logprobs', 'top_logprobs'] as const;

function readRequest(document: JsonDocument): RequestReading {
  const body = document.value;
  if (!isObject(body)) throw new WeirError('invalid_request', 'the body is not a JSON object');
  if (!Array.isArray(body.messages)) throw new WeirError('invalid_request', 'the body has no list "messages"');
  const segments: Segment[] = [];
  const opaque: OpaquePart[] = [];
  const lastAnswer = body.messages.findLastIndex((message) => isObject(message) && message.role === 'assistant');
  collect(body, [], '', (path, carrier, content) => {
    if (REQUEST_EXEMPT.has(carrier) || content.length === 0) return;
    if (REQUEST_OPAQUE[carrier] !== undefined) {
      opaque.push({ carrier, treatment: 'pass' });
      return;
    }
    const message = path[0] === 'messages' ? (body.messages as readonly unknown[])[path[1] as number] : undefined;
    segments.push({
      path: pathText(path),
      jsonPath: path,
      json: ARGUMENTS.test(carrier),
      carrier,
      role: isObject(message) && typeof message.role === 'string' ? message.role : undefined,
      contentType: 'text',
      content,
      history: path[0] === 'messages' && (path[1] as number) <= lastAnswer,
    });
  });
  const parameters: Record<string, number | boolean> = {};
  for (const name of PARAMETERS) {
    const value = body[name];
    if (typeof value === 'number' || typeof value === 'boolean') parameters[name] = value;
  }
  return {
    segments,
    opaque,
    stream: body.stream === true,
    model: typeof body.model === 'string' ? body.model : undefined,
    parameters,
    userId: typeof body.user === 'string' ? body.user : undefined,
  };
}

/** Every string leaf with its path and its carrier, the path without indexes. */
function collect(value: unknown, path: JsonPath, carrier: string, take: (path: JsonPath, carrier: string, content: string) => void): void {
  if (typeof value === 'string') take(path, carrier, value);
  else if (Array.isArray(value)) value.forEach((element, i) => collect(element, [...path, i], `${carrier}[]`, take));
  else if (isObject(value)) for (const [key, member] of Object.entries(value)) collect(member, [...path, key], carrier === '' ? key : `${carrier}.${key}`, take);
}

function pathText(path: JsonPath): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}

// Errors and blocks.

function errorAnswer(code: ErrorCode, message: string, requestId: string): ErrorAnswer {
  const { status, type } = ERROR_CODES[code];
  const body = Buffer.from(JSON.stringify({ error: { message, type, param: code === 'content_filter' ? 'messages' : null, code } }));
  return { status, headers: { 'content-type': 'application/json', 'x-request-id': requestId, 'x-should-retry': status === 429 || status >= 500 ? 'true' : 'false' }, body };
}

function fallbackAnswer(request: RequestReading, message: string, requestId: string, nowMs: number): { contentType: string; body: Buffer } {
  const common = { id: `chatcmpl-${requestId}`, created: Math.floor(nowMs / 1000), model: request.model ?? '' };
  if (!request.stream) {
    const choice = { index: 0, message: { role: 'assistant', content: message, refusal: null }, logprobs: null, finish_reason: 'stop' };
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    return { contentType: 'application/json', body: Buffer.from(JSON.stringify({ ...common, object: 'chat.completion', choices: [choice], usage })) };
  }
  const chunk = (delta: Json, finish: string | null): string => frame({ ...common, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  const body = chunk({ role: 'assistant', content: '' }, null) + chunk({ content: message }, null) + chunk({}, 'stop') + DONE;
  return { contentType: 'text/event-stream; charset=utf-8', body: Buffer.from(body) };
}

const DONE = 'data: [DONE]\n\n';

function frame(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

// Answers.

/** String leaves of answers that are identifiers, enumerations or random padding. */
const ANSWER_EXEMPT: ReadonlySet<string> = new Set([
  'id', 'object', 'model', 'provider', 'system_fingerprint', 'service_tier', 'obfuscation', 'p', 'x_groq.id', 'generationId', 'choices[].finish_reason', 'choices[].native_finish_reason',
  'choices[].delta.role', 'choices[].delta.tool_calls[].id', 'choices[].delta.tool_calls[].type', 'choices[].delta.audio.id', 'choices[].delta.audio.data', 'choices[].delta.channel',
  'choices[].message.role', 'choices[].message.tool_calls[].id', 'choices[].message.tool_calls[].type', 'choices[].message.audio.id', 'choices[].message.audio.data', 'choices[].delta.reasoning_details[].type',
  'choices[].delta.reasoning_details[].format', 'choices[].delta.reasoning_details[].signature', 'choices[].delta.reasoning_details[].data', 'choices[].delta.reasoning_details[].id',
  'choices[].message.reasoning_details[].type', 'choices[].message.reasoning_details[].format', 'choices[].message.reasoning_details[].signature', 'choices[].message.reasoning_details[].data', 'choices[].message.reasoning_details[].id',
]);

class ChatReader implements ResponseReader {
  /** The newest chunk's envelope, for chunks of our own. */
  #envelope: Json = { id: '', object: 'chat.completion.chunk', created: 0, model: '' };
  #usage: { inputTokens?: number; outputTokens?: number } | undefined;
  #responseId: string | undefined;
  #model: string | undefined;
  readonly #finishReasons = new Map<number, string>();
  /** Choices that have begun. */
  readonly #begun = new Set<number>();

  readEvent(event: unknown): EventReading {
    if (!isObject(event)) return NOTHING;
    this.#note(event);
    const pieces: Piece[] = [];
    const closes: string[] = [];
    const choices = Array.isArray(event.choices) ? event.choices : [];
    choices.forEach((choice: unknown, position) => {
      if (!isObject(choice)) return;
      const index = typeof choice.index === 'number' ? choice.index : position;
      readChoice(choice, index, ['choices', position], 'delta', pieces);
      if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') {
        closes.push(`${index}/`);
        this.#finishReasons.set(index, choice.finish_reason);
      }
      this.#begun.add(index);
    });
    if (isObject(event.error)) readUnknown(event.error, ['error'], 'error', 'event', pieces);
    return { pieces, closes };
  }

  readBody(body: unknown): EventReading {
    if (!isObject(body)) {
      const pieces: Piece[] = [];
      readUnknown(body, [], '', 'body', pieces);
      return { pieces, closes: [''] };
    }
    this.#note(body);
    const pieces: Piece[] = [];
    const choices = Array.isArray(body.choices) ? body.choices : [];
    choices.forEach((choice: unknown, position) => {
      if (!isObject(choice)) return;
      const index = typeof choice.index === 'number' ? choice.index : position;
      readChoice(choice, index, ['choices', position], 'message', pieces);
      if (typeof choice.finish_reason === 'string') this.#finishReasons.set(index, choice.finish_reason);
    });
    for (const [key, value] of Object.entries(body)) {
      if (key !== 'choices' && key !== 'usage') readUnknown(value, [key], key, 'body', pieces);
    }
    return { pieces, closes: [''] };
  }

  /** Log-probabilities repeat the text token by token; padding that hid its length no longer does. */
  dependents(event: unknown, key: string): readonly { path: JsonPath; replacement: null }[] {
    if (!isObject(event) || !Array.isArray(event.choices)) return [];
    const index = Number(key.slice(0, key.indexOf('/')));
    return event.choices.flatMap((choice: unknown, position) =>
      isObject(choice) && (choice.index ?? position) === index && isObject(choice.logprobs) ? [{ path: ['choices', position, 'logprobs'], replacement: null }] : []);
  }

  canCarry(key: string): boolean {
    return TEXT_CHANNEL.test(key);
  }

  textEvent(key: string, text: string): Buffer {
    const [index, field] = key.split('/') as [string, string];
    return Buffer.from(frame({ ...this.#envelope, choices: [{ index: Number(index), delta: { [field]: text }, finish_reason: null }] }));
  }

  blockedStream(message: string | undefined, ended: ReadonlySet<string>): Buffer {
    const begun = this.#begun.size === 0 ? [0] : [...this.#begun].sort((a, b) => a - b);
    const open = begun.filter((index) => !ended.has(`${index}/`));
    const chunk = (index: number, delta: Json, finish: string | null): string => frame({ ...this.#envelope, choices: [{ index, delta, logprobs: null, finish_reason: finish }] });
    const ends = open.map((index) => (message === undefined ? chunk(index, {}, 'content_filter') : chunk(index, { content: message }, null) + chunk(index, {}, 'stop')));
    return Buffer.from(ends.join('') + DONE);
  }

  blockedBody(body: unknown, message: string | undefined): Buffer {
    const given = isObject(body) ? body : {};
    const choices = Array.isArray(given.choices) && given.choices.length > 0 ? given.choices : [{ index: 0 }];
    return Buffer.from(JSON.stringify({
      id: given.id ?? '', object: 'chat.completion', created: given.created ?? 0, model: given.model ?? '',
      choices: choices.map((choice: unknown, position) => ({
        index: isObject(choice) ? (choice.index ?? position) : position,
        message: { role: 'assistant', content: message ?? '', refusal: null },
        logprobs: null,
        finish_reason: message === undefined ? 'content_filter' : 'stop',
      })),
      ...(given.usage === undefined ? {} : { usage: given.usage }),
    }));
  }

  errorEvent(code: ErrorCode, message: string): Buffer {
    return Buffer.from(frame({ error: { message, type: ERROR_CODES[code].type, param: null, code } }));
  }

  usage(): { readonly inputTokens?: number; readonly outputTokens?: number } | undefined {
    return this.#usage;
  }

  facts(): { readonly responseId?: string; readonly model?: string; readonly finishReasons: readonly string[] } {
    return { responseId: this.#responseId, model: this.#model, finishReasons: [...this.#finishReasons.values()] };
  }

  #note(event: Json): void {
    if (Array.isArray(event.choices) && event.choices.length > 0) {
      const { id, created, model, system_fingerprint: fingerprint } = event;
      this.#envelope = { id, object: 'chat.completion.chunk', created, model, ...(fingerprint === undefined ? {} : { system_fingerprint: fingerprint }) };
    }
    if (typeof event.id === 'string' && event.id !== '') this.#responseId ??= event.id;
    if (typeof event.model === 'string' && event.model !== '') this.#model ??= event.model;
    const { usage } = event;
    if (isObject(usage)) this.#usage = { inputTokens: numberOf(usage.prompt_tokens), outputTokens: numberOf(usage.completion_tokens) };
  }
}

/** Strings that stand directly in a delta: content, refusal, reasoning. */
const TEXT_CHANNEL = /^\d+\/[^/]+$/;

const NOTHING: EventReading = { pieces: [], closes: [] };

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** The texts of one choice. `holder` is `delta` in a stream and `message` in a body; some servers send the other one too. */
function readChoice(choice: Json, index: number, path: JsonPath, holder: 'delta' | 'message', pieces: Piece[]): void {
  for (const [key, value] of Object.entries(choice)) {
    if (value === null || typeof value === 'number' || typeof value === 'boolean') continue;
    if (key === 'logprobs' || key === 'finish_reason' || key === 'native_finish_reason') continue;
    const at = [...path, key];
    if (key === holder && isObject(value)) readMessage(value, `${index}/`, at, `choices[].${key}`, pieces);
    else readUnknown(value, at, `choices[].${key}`, `${index}/${key}/`, pieces);
  }
}

/** A delta or message: its strings are the channels of the choice. */
function readMessage(message: Json, prefix: string, path: JsonPath, carrier: string, pieces: Piece[]): void {
  for (const [key, value] of Object.entries(message)) {
    if (value === null) continue;
    const at = [...path, key];
    const name = `${carrier}.${key}`;
    if (typeof value === 'string') addPiece(pieces, `${prefix}${key}`, name, 'text', at, value);
    else if (key === 'tool_calls' && Array.isArray(value)) value.forEach((call: unknown, i) => readCall(call, i, prefix, [...at, i], `${name}[]`, pieces));
    else if (key === 'function_call' && isObject(value)) readFunction(value, `${prefix}function_call`, at, name, pieces);
    else readUnknown(value, at, name, `${prefix}${key}`, pieces);
  }
}

function readCall(call: unknown, position: number, prefix: string, path: JsonPath, carrier: string, pieces: Piece[]): void {
  if (!isObject(call)) return;
  const key = `${prefix}tool_calls/${typeof call.index === 'number' ? call.index : position}`;
  for (const [name, value] of Object.entries(call)) {
    if (name === 'function' && isObject(value)) readFunction(value, key, [...path, name], `${carrier}.function`, pieces);
    else readUnknown(value, [...path, name], `${carrier}.${name}`, `${key}/${name}`, pieces);
  }
}

function readFunction(call: Json, key: string, path: JsonPath, carrier: string, pieces: Piece[]): void {
  for (const [name, value] of Object.entries(call)) {
    if (name === 'arguments' && typeof value === 'string') addPiece(pieces, `${key}/arguments`, `${carrier}.arguments`, 'json', [...path, name], value);
    else readUnknown(value, [...path, name], `${carrier}.${name}`, `${key}/${name}`, pieces);
  }
}

/** Every string below `value`, as text. Array elements with an `index` go on in the channel of that index. */
function readUnknown(value: unknown, path: JsonPath, carrier: string, key: string, pieces: Piece[]): void {
  if (typeof value === 'string') addPiece(pieces, key, carrier, 'text', path, value);
  else if (Array.isArray(value)) {
    value.forEach((element: unknown, i) => {
      const index = isObject(element) && typeof element.index === 'number' ? element.index : i;
      readUnknown(element, [...path, i], `${carrier}[]`, `${key}/${index}`, pieces);
    });
  } else if (isObject(value)) {
    for (const [name, member] of Object.entries(value)) readUnknown(member, [...path, name], `${carrier}.${name}`, `${key}/${name}`, pieces);
  }
}

/** Texts below a delta that arrive in fragments; other strings below it are whole. */
const FRAGMENTS = /^choices\[\]\.(?:text|delta\.(?:audio\.transcript|tool_calls\[\]\.custom\.input|reasoning_details\[\]\.(?:text|summary)|content\[\](?:\.thinking\[\])?\.text))$/;

function addPiece(pieces: Piece[], key: string, carrier: string, kind: Piece['kind'], path: JsonPath, text: string): void {
  if (text.length === 0) return;
  const arrives = arrivalOf(carrier);
  if (arrives !== 'exempt') pieces.push({ key, carrier, kind, path, text, whole: arrives === 'whole' });
}

type Arrival = 'exempt' | 'whole' | 'fragments';

/** By carrier. A server can name as many fields as it likes, so it is emptied when it grows. */
const arrivals = new Map<string, Arrival>();
const ARRIVALS_MAX = 1_000;

function arrivalOf(carrier: string): Arrival {
  let arrival = arrivals.get(carrier);
  if (arrival === undefined) {
    const inFragments = carrier.endsWith('.arguments') || DELTA_STRING.test(carrier) || FRAGMENTS.test(carrier);
    arrival = ANSWER_EXEMPT.has(carrier) ? 'exempt' : inFragments ? 'fragments' : 'whole';
    if (arrivals.size >= ARRIVALS_MAX) arrivals.clear();
    arrivals.set(carrier, arrival);
  }
  return arrival;
}

/** A string that stands directly in a delta: content, refusal, reasoning and whatever comes. */
const DELTA_STRING = /^choices\[\]\.delta\.[^.[]+$/;
