/**
 * OpenAI's Responses API: requests, and answers of our own. A request is a list of items (messages, calls, their outputs,
 * reasoning), and much of what it asks about may stand on the provider's side: earlier responses, conversations, stored
 * prompts, files. What cannot be read is named as opaque. Conversations, compaction and token counts take the same items
 * and have no answer of a model. What comes back is read in openai-responses-events.
 */
import { WeirError } from '../contract/errors.ts';
import type { OpaquePart } from '../contract/exchange.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { refuseInstead } from './openai-records.ts';
import { ResponsesReader } from './openai-responses-events.ts';
import { ANSWER_RULES, REQUEST_RULES } from './openai-responses-rules.ts';
import { answerOf, messageEvents, messageItem, namedFrame } from './openai-responses-sent.ts';
import { errorAnswerAbout, objectOf, parametersOf, textOf } from './openai.ts';
import { isObject, newestTurn, readSegments, type JsonObject } from './walk.ts';

export const openaiResponses: Dialect = {
  id: 'openai-responses',
  operation: 'chat',
  repeats: true,
  streamEnds: ['response.completed', 'response.incomplete', 'response.failed'],
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readRequest,
  error: errorAnswerAbout('input'),
  fallback: fallbackAnswer,
  createReader: () => new ResponsesReader(),
};

/** Items without an answer: conversations, compaction, token counts. */
export const openaiConversations: Dialect = {
  ...openaiResponses,
  id: 'openai-conversations',
  error: errorAnswerAbout('items'),
  fallback: refuseInstead,
};

// Requests.

const PARAMETERS = ['temperature', 'top_p', 'max_output_tokens', 'max_tool_calls', 'top_logprobs', 'parallel_tool_calls', 'store', 'background'] as const;

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  const lists = { input: listOf(body, 'input'), items: listOf(body, 'items') };
  const newest = { input: newestTurn(lists.input, isOfModel), items: newestTurn(lists.items, isOfModel) };
  const reading = readSegments(body, REQUEST_RULES, ([field, index]) => {
    if (field === 'instructions') return { role: 'system', history: false };
    if (field !== 'input' && field !== 'items') return { history: false };
    if (typeof index !== 'number') return { role: 'user', history: false };
    return { role: roleOf(lists[field][index]), history: index < newest[field] };
  });
  const background: readonly OpaquePart[] = body.background === true ? [{ carrier: 'background', kind: 'background' }] : [];
  return {
    segments: reading.segments,
    opaque: [...reading.opaque, ...background],
    stream: body.stream === true,
    model: textOf(body.model),
    parameters: parametersOf(body, PARAMETERS),
    serviceTier: textOf(body.service_tier),
    userId: textOf(body.user) ?? textOf(body.safety_identifier),
    sessionId: textOf(body.conversation) ?? (isObject(body.conversation) ? textOf(body.conversation.id) : undefined),
  };
}

/** Throws invalid_request. */
function listOf(body: JsonObject, field: 'input' | 'items'): readonly unknown[] {
  const value = body[field];
  if (Array.isArray(value)) return value;
  if (value === undefined || value === null || (field === 'input' && typeof value === 'string')) return [];
  throw new WeirError('invalid_request', `"${field}" is not a list of items${field === 'input' ? ' or a text' : ''}`);
}

/** Items that a model made. What is not known to be one is the client's. */
const OF_MODEL: ReadonlySet<unknown> = new Set([
  'reasoning', 'compaction', 'function_call', 'custom_tool_call', 'file_search_call', 'web_search_call', 'computer_call', 'image_generation_call', 'code_interpreter_call', 'local_shell_call',
  'shell_call', 'apply_patch_call', 'tool_search_call', 'mcp_approval_request', 'mcp_call', 'program',
]);

function isOfModel(item: unknown): boolean {
  return isObject(item) && (item.role === 'assistant' || OF_MODEL.has(item.type));
}

/** Who an item is of: a tool's result is the tool's. */
export function roleOf(item: unknown): string | undefined {
  if (!isObject(item)) return undefined;
  return textOf(item.role) ?? (OF_MODEL.has(item.type) ? 'assistant' : textOf(item.type)?.endsWith('_output') === true ? 'tool' : undefined);
}

// Answers of our own.

/** The safe message as a finished response. It is not stored: a request that goes on from its id is refused by the provider. */
function fallbackAnswer(request: RequestReading, message: string, requestId: string, nowMs: number): { contentType: string; body: Buffer } {
  const id = `resp_${requestId}`;
  const item = messageItem(`msg_${requestId}`, message);
  const response = (status: string, output: readonly JsonObject[]): JsonObject => answerOf({ id, created_at: Math.floor(nowMs / 1000), model: request.model ?? '' }, status, output);
  const final = { ...response('completed', [item]), usage: NO_USAGE };
  if (!request.stream) return { contentType: 'application/json', body: Buffer.from(JSON.stringify(final)) };
  const begun = response('in_progress', []);
  const events = [{ type: 'response.created', response: begun }, { type: 'response.in_progress', response: begun }, ...messageEvents(item, 0, message), { type: 'response.completed', response: final }];
  const body = events.map((event, i) => namedFrame({ ...event, sequence_number: i })).join('');
  return { contentType: 'text/event-stream; charset=utf-8', body: Buffer.from(body) };
}

const NO_USAGE = { input_tokens: 0, input_tokens_details: { cached_tokens: 0 }, output_tokens: 0, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 0 };
