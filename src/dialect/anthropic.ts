/**
 * What Anthropic's endpoints share: which strings of content blocks are no text, how an error looks, how an event is
 * framed. Blocks stand in requests, in answers, in stream events and in other blocks. Pure.
 */
import { ERROR_CODES, type ErrorCode } from '../contract/errors.ts';
import type { ErrorAnswer } from './dialect.ts';
import { isObject, type JsonObject, type LeafRules } from './walk.ts';

/**
 * The rules call a content block `block` and a definition of a tool `tool`, wherever it stands: blocks hold blocks
 * (results of tools and searches, documents), blocks and tools define tools. `places`: the pattern of a request's or an
 * answer's own blocks.
 */
export function blocksAndTools(places: string): NonNullable<LeafRules['sameAs']> {
  return [
    [new RegExp(String.raw`^(?:${places})(?:\.content(?:\[\])?|\.source\.content\[\])*(?=\.)`), 'block'],
    [/^(?:tools\[\]|block\.tools\[\]|block(?:\.tool_changes\[\])?\.tool\.definition)(?:\.tools\[\])*(?=\.)/, 'tool'],
  ];
}

/** Strings of blocks and tools that are no text. */
export const BLOCK_EXEMPT: LeafRules['exempt'] = {
  'block.type': 'enum', 'block.id': 'id', 'block.tool_use_id': 'id', 'block.signature': 'signature', 'block.cache_control.type': 'enum', 'block.cache_control.ttl': 'enum',
  'block.caller.type': 'enum', 'block.caller.tool_id': 'id', 'block.citations[].type': 'enum', 'block.citations[].file_id': 'id', 'block.source.type': 'enum', 'block.source.media_type': 'setting',
  'block.transformations.oversized_image': 'enum', 'block.error_code': 'enum', 'block.stop_reason': 'enum', 'block.file_type': 'enum', 'block.retrieved_at': 'number',
  'block.tool_references[].type': 'enum', 'block.tool.type': 'enum', 'block.tool_changes[].type': 'enum', 'block.tool_changes[].tool.type': 'enum',
  'block.from.model': 'setting', 'block.to.model': 'setting',
  'tool.type': 'setting', 'tool.model': 'setting', 'tool.allowed_callers[]': 'enum', 'tool.response_inclusion': 'enum', 'tool.user_location.type': 'enum',
  'tool.cache_control.type': 'enum', 'tool.cache_control.ttl': 'enum', 'tool.caching.type': 'enum', 'tool.caching.ttl': 'enum',
};

/** A tool's arguments are an object here, and no JSON text: its names and numbers are texts too. */
export const BLOCK_NUMBERED: readonly string[] = ['block.input'];
export const BLOCK_NAMED: readonly string[] = [...BLOCK_NUMBERED, 'block.trigger', 'tool.input_schema', 'tool.input_examples[]', 'tool.configs'];

/** A source's `data` is base64 or text, as it says itself; a block's is ciphertext in one type of block. */
export const BLOCK_OPAQUE: LeafRules['opaqueWhen'] = {
  'block.source.data': (source, block) => (source.type === 'base64' ? mediaOf(block) : undefined),
  'block.source.url': (source, block) => (source.type === 'url' ? mediaOf(block) : undefined),
  'block.data': ({ type }) => (type === 'redacted_thinking' ? 'encrypted' : undefined),
};

function mediaOf({ type }: JsonObject): 'image' | 'file' | undefined {
  return type === 'image' ? 'image' : type === 'document' ? 'file' : undefined;
}

/** The provider takes back what it signed only as it was. */
export function isSigned(block: unknown): boolean {
  return isObject(block) && typeof block.signature === 'string' && block.signature !== '';
}

/** Clients dispatch on the event's name, which is its type. */
export function frame(event: JsonObject & { readonly type: string }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Statuses that Anthropic has a type of its own for. */
const TYPES: Readonly<Record<number, string>> = { 403: 'permission_error', 404: 'not_found_error', 413: 'request_too_large', 503: 'overloaded_error', 504: 'timeout_error' };

/** An error, as a body and as an event. Its code stands where Anthropic's own stand. */
export function errorObject(code: ErrorCode, message: string, requestId: string): JsonObject & { readonly type: string } {
  const { status, type } = ERROR_CODES[code];
  return { type: 'error', error: { type: TYPES[status] ?? (type === 'server_error' ? 'api_error' : type), message, details: { error_code: code } }, request_id: requestId };
}

export function errorAnswer(code: ErrorCode, message: string, requestId: string): ErrorAnswer {
  const { status } = ERROR_CODES[code];
  const headers = { 'content-type': 'application/json', 'request-id': requestId, 'x-should-retry': status === 429 || status >= 500 ? 'true' : 'false' };
  return { status, headers, body: Buffer.from(JSON.stringify(errorObject(code, message, requestId))) };
}
