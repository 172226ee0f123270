/**
 * Where text stands in the answers of Anthropic's Messages API, whole or streamed, and how one that the policy cut ends.
 * Facts of the wire: blocks follow each other, each opened and ended by an event of its own; a delta is of an open block
 * and names it; what was opened for the client must be ended. A signature comes after the text it signs.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import type { ErrorCode } from '../contract/errors.ts';
import { BLOCK_EXEMPT, BLOCK_NAMED, BLOCK_NUMBERED, BLOCK_OPAQUE, blocksAndTools, errorObject, frame, isSigned } from './anthropic.ts';
import type { Dependent, EventReading, Piece, RequestReading, ResponseReader } from './dialect.ts';
import type { JsonPath } from './json.ts';
import { numberOf, textOf } from './openai.ts';
import { isExempt, isObject, readWhole, type JsonObject, type LeafRules } from './walk.ts';

/** Fields of a message stand in the body, in the event that opens it and in the one that says how it ended. */
export const ANSWER_RULES: LeafRules = {
  sameAs: [[/^(?:message|delta)\./, ''], ...blocksAndTools(String.raw`content\[\]|content_block`)],
  exempt: {
    ...BLOCK_EXEMPT,
    'block.file_id': 'id', 'block.encrypted_content': 'ciphertext', 'block.encrypted_stdout': 'ciphertext', 'block.citations[].encrypted_index': 'ciphertext',
    type: 'enum', id: 'id', role: 'enum', model: 'setting', stop_reason: 'enum', request_id: 'id', 'error.type': 'enum', 'error.details.error_code': 'enum',
    signature: 'signature', encrypted_content: 'ciphertext', 'citation.type': 'enum', 'citation.file_id': 'id', 'citation.encrypted_index': 'ciphertext',
    'stop_details.type': 'enum', 'stop_details.category': 'enum', 'stop_details.recommended_model': 'setting', 'stop_details.fallback_credit_token': 'secret',
    'container.id': 'id', 'container.expires_at': 'number', 'container.skills[].skill_id': 'id', 'container.skills[].type': 'enum', 'container.skills[].version': 'setting',
    'context_management.applied_edits[].type': 'setting', 'diagnostics.cache_miss_reason.type': 'enum', 'input_transformations[].type': 'enum', 'input_transformations[].reason': 'enum',
    'usage.service_tier': 'enum', 'usage.inference_geo': 'setting', 'usage.speed': 'enum', 'usage.iterations[].type': 'enum', 'usage.iterations[].model': 'setting', 'usage.fallback_credit.status.type': 'enum', 'usage.fallback_credit.status.reason': 'enum',
  },
  opaqueWhen: BLOCK_OPAQUE,
  named: BLOCK_NAMED,
  numbered: BLOCK_NUMBERED,
};

export class MessageReader implements ResponseReader {
  readonly #request: RequestReading;
  /** Thinking in a stream counts as signed unless the request turned it off: only its end would tell. */
  readonly #signs: ReadonlySet<unknown>;
  #responseId: string | undefined;
  #model: string | undefined;
  #finishReason: string | undefined;
  #inputTokens: number | undefined;
  #outputTokens: number | undefined;
  #cacheReadTokens: number | undefined;
  #cacheWriteTokens: number | undefined;
  #serviceTier: string | undefined;
  /** What the client has got: how far the message is, blocks so far, the one that is open. */
  #sent: 'nothing' | 'start' | 'delta' | 'stop' = 'nothing';
  #blocks = 0;
  #open: number | undefined;

  constructor(request: RequestReading) {
    this.#request = request;
    this.#signs = new Set(request.parameters.thinking === false ? ['compaction'] : ['compaction', 'thinking']);
  }

  readEvent(event: unknown): EventReading {
    const pieces: Piece[] = [];
    if (!isObject(event)) {
      readWhole(event, [], '', 'event', ANSWER_RULES, pieces);
      return { pieces, closes: [] };
    }
    const { type } = event;
    const index = numberOf(event.index) ?? 0;
    for (const [name, value] of Object.entries(event)) {
      if (name === 'delta' && type === 'content_block_delta' && isObject(value)) this.#readDelta(value, index, pieces);
      else if (name === 'content_block') readBlock(value, ['content_block'], 'content_block', index, this.#signs, pieces);
      else if (name === 'message' && isObject(value)) this.#readMessage(value, ['message'], 'message.', pieces);
      else if (!isWord(name, value)) readWhole(value, [name], name, `event/${name}`, ANSWER_RULES, pieces);
    }
    if (type === 'message_delta') this.#note(isObject(event.delta) ? event.delta : {}, event.usage);
    return { pieces, closes: type === 'content_block_stop' ? [`${index}/`] : type === 'message_stop' ? [''] : [] };
  }

  readBody(body: unknown): EventReading {
    const pieces: Piece[] = [];
    if (isObject(body)) this.#readMessage(body, [], '', pieces);
    else readWhole(body, [], '', 'body', ANSWER_RULES, pieces);
    return { pieces, closes: [''] };
  }

  sent(event: unknown): void {
    if (!isObject(event)) return;
    const index = numberOf(event.index) ?? 0;
    switch (event.type) {
      case 'message_start':
        this.#sent = 'start';
        this.#blocks = isObject(event.message) && Array.isArray(event.message.content) ? event.message.content.length : 0;
        break;
      case 'content_block_start':
        this.#open = index;
        this.#blocks = index + 1;
        break;
      case 'content_block_stop':
        this.#open = undefined;
        break;
      case 'message_delta':
        this.#sent = 'delta';
        break;
      case 'message_stop':
        this.#sent = 'stop';
        break;
      default:
    }
  }

  /** Nothing in an answer repeats its text or counts its characters: citations count those of what they cite. */
  dependents(): readonly Dependent[] {
    return [];
  }

  /** Text of the block that is open for the client. */
  canCarry(key: string): boolean {
    return this.#open !== undefined && (key === `${this.#open}/text` || key === `${this.#open}/thinking`);
  }

  textEvent(key: string, text: string): Buffer {
    const [index, channel] = key.split('/') as [string, string];
    return Buffer.from(deltaEvent(Number(index), { type: `${channel}_delta`, [channel]: text }));
  }

  blockedStream(message: string | undefined): Buffer {
    if (this.#sent === 'stop') return Buffer.alloc(0);
    let out = this.#sent === 'nothing' ? startEvent(this.#head) : '';
    if (this.#open !== undefined) out += frame({ type: 'content_block_stop', index: this.#open });
    if (this.#sent !== 'delta') {
      if (message !== undefined) out += blockEvents(this.#blocks, message);
      out += endEvent(message === undefined ? REFUSED : SAID, this.#outputTokens ?? 0);
    }
    return Buffer.from(out + frame({ type: 'message_stop' }));
  }

  blockedBody(body: unknown, message: string | undefined): Buffer {
    const given = isObject(body) ? body : {};
    if (given.type === 'error') {
      const type = isObject(given.error) ? (textOf(given.error.type) ?? 'api_error') : 'api_error';
      return Buffer.from(JSON.stringify({ type: 'error', error: { type, message: message ?? 'the policy withheld the message of this error' }, request_id: given.request_id }));
    }
    return Buffer.from(JSON.stringify(messageOf({ ...this.#head, ...(given.usage === undefined ? {} : { usage: given.usage }) }, message)));
  }

  errorEvent(code: ErrorCode, message: string, requestId: string): Buffer {
    return Buffer.from(frame(errorObject(code, message, requestId)));
  }

  usage(): AnswerUsage | undefined {
    if (this.#inputTokens === undefined && this.#outputTokens === undefined) return undefined;
    return { inputTokens: this.#inputTokens, outputTokens: this.#outputTokens, cacheReadTokens: this.#cacheReadTokens, cacheWriteTokens: this.#cacheWriteTokens };
  }

  facts(): AnswerFacts {
    return { responseId: this.#responseId, model: this.#model, finishReasons: this.#finishReason === undefined ? [] : [this.#finishReason], serviceTier: this.#serviceTier };
  }

  get #head(): MessageHead {
    return { id: this.#responseId ?? '', model: this.#model ?? this.#request.model ?? '' };
  }

  /** Strings that stand directly in a delta go on where the one before ended. */
  #readDelta(delta: JsonObject, index: number, pieces: Piece[]): void {
    for (const [name, value] of Object.entries(delta)) {
      if (isWord(name, value)) continue;
      const carrier = `delta.${name}`;
      if (typeof value !== 'string') readWhole(value, ['delta', name], carrier, `${index}/${name}`, ANSWER_RULES, pieces);
      else if (value !== '' && (FRAGMENTS.has(name) || !isExempt(ANSWER_RULES, carrier, value))) {
        const isJson = name === 'partial_json';
        const fixed = (name === 'thinking' && this.#signs.has('thinking')) || delta.type === 'compaction_delta';
        pieces.push({ key: `${index}/${isJson ? 'input' : name}`, carrier, kind: isJson ? 'json' : 'text', path: ['delta', name], text: value, ...(fixed ? { fixed } : {}) });
      }
    }
  }

  /** A message, or whatever else is the body. */
  #readMessage(message: JsonObject, path: JsonPath, prefix: string, pieces: Piece[]): void {
    for (const [name, value] of Object.entries(message)) {
      const at = [...path, name];
      if (name === 'content' && Array.isArray(value)) value.forEach((block: unknown, i) => readBlock(block, [...at, i], `${prefix}content[]`, i, undefined, pieces));
      else readWhole(value, at, `${prefix}${name}`, `message/${name}`, ANSWER_RULES, pieces);
    }
    this.#responseId ??= textOf(message.id);
    this.#model ??= textOf(message.model);
    this.#note(message, message.usage);
  }

  /** Counts are of the whole message so far. */
  #note(message: JsonObject, usage: unknown): void {
    this.#finishReason = textOf(message.stop_reason) ?? this.#finishReason;
    if (!isObject(usage)) return;
    const input = [usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens].map(numberOf).filter((count) => count !== undefined);
    this.#cacheWriteTokens = numberOf(usage.cache_creation_input_tokens) ?? this.#cacheWriteTokens;
    this.#cacheReadTokens = numberOf(usage.cache_read_input_tokens) ?? this.#cacheReadTokens;
    this.#serviceTier = textOf(usage.service_tier) ?? this.#serviceTier;
    if (numberOf(usage.input_tokens) !== undefined) this.#inputTokens = input.reduce((sum, count) => sum + count, 0);
    this.#outputTokens = numberOf(usage.output_tokens) ?? this.#outputTokens;
  }
}

/** Types that nearly every event has, and what is no string: nothing there needs the walk. */
const TYPES: ReadonlySet<unknown> = new Set(['content_block_delta', 'content_block_stop', 'ping', 'text_delta', 'thinking_delta', 'input_json_delta']);

function isWord(name: string, value: unknown): boolean {
  return typeof value === 'number' || (name === 'type' && TYPES.has(value));
}

/** Strings of a delta that are text whatever they look like. */
const FRAGMENTS: ReadonlySet<string> = new Set(['text', 'thinking', 'partial_json', 'content']);

/** What deltas of the block go on with. */
const BEGUN = /^\d+\/(?:text|thinking|content)$/;

/** A block's texts. `signs`, in the event that opens a block: types whose signature is still to come; a block elsewhere is whole. */
function readBlock(block: unknown, path: JsonPath, carrier: string, index: number, signs: ReadonlySet<unknown> | undefined, pieces: Piece[]): void {
  const own: Piece[] = [];
  readWhole(block, path, carrier, `${index}`, ANSWER_RULES, own);
  const fixed = isSigned(block) || (isObject(block) && signs?.has(block.type) === true);
  for (const piece of own) pieces.push({ ...piece, whole: signs === undefined || !BEGUN.test(piece.key), ...(fixed ? { fixed } : {}) });
}

// Messages of our own.

interface MessageHead {
  readonly id: string;
  readonly model: string;
  readonly usage?: unknown;
}

const NO_TOKENS = { input_tokens: 0, output_tokens: 0 };
const REFUSED = { stop_reason: 'refusal', stop_sequence: null, stop_details: { type: 'refusal', category: null, explanation: null } } as const;
const SAID = { stop_reason: 'end_turn', stop_sequence: null, stop_details: null } as const;

/** A message that says `text`, or that was refused. */
export function messageOf({ id, model, usage = NO_TOKENS }: MessageHead, text: string | undefined): JsonObject {
  return { id, type: 'message', role: 'assistant', model, content: text === undefined ? [] : [{ type: 'text', text }], ...(text === undefined ? REFUSED : SAID), usage };
}

/** The same as a stream. */
export function saidEvents(head: MessageHead, text: string): string {
  return startEvent(head) + blockEvents(0, text) + endEvent(SAID, 0) + frame({ type: 'message_stop' });
}

function startEvent(head: MessageHead): string {
  return frame({ type: 'message_start', message: { ...messageOf(head, undefined), stop_reason: null, stop_details: null } });
}

function blockEvents(index: number, text: string): string {
  const start = frame({ type: 'content_block_start', index, content_block: { type: 'text', text: '' } });
  return start + deltaEvent(index, { type: 'text_delta', text }) + frame({ type: 'content_block_stop', index });
}

function deltaEvent(index: number, delta: JsonObject): string {
  return frame({ type: 'content_block_delta', index, delta });
}

function endEvent(delta: JsonObject, outputTokens: number): string {
  return frame({ type: 'message_delta', delta, usage: { output_tokens: outputTokens } });
}
