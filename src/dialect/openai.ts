/** What OpenAI's endpoints share: how an error looks, how an event is framed, the numbers of a request. Pure. */
import { ERROR_CODES, WeirError, type ErrorCode } from '../contract/errors.ts';
import type { OpaquePart } from '../contract/exchange.ts';
import { MODERATION_CATEGORIES } from '../contract/screening.ts';
import type { ErrorAnswer } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { isObject, type ExemptReason, type JsonObject } from './walk.ts';

export const DONE = 'data: [DONE]\n\n';

/** An event without name, as all but the Responses API have it. */
export function frame(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** `param`: what the error is about, where the prompt was refused. */
export function errorAnswerAbout(param: string): (code: ErrorCode, message: string, requestId: string) => ErrorAnswer {
  return (code, message, requestId) => {
    const { status, type } = ERROR_CODES[code];
    const body = Buffer.from(JSON.stringify({ error: { message, type, param: code === 'content_filter' ? param : null, code } }));
    return { status, headers: { 'content-type': 'application/json', 'x-request-id': requestId, 'x-should-retry': status === 429 || status >= 500 ? 'true' : 'false' }, body };
  };
}

/** An error as an event of a stream without event names. */
export function errorFrame(code: ErrorCode, message: string): Buffer {
  return Buffer.from(frame({ error: { message, type: ERROR_CODES[code].type, param: null, code } }));
}

/** Throws invalid_request. */
export function objectOf(document: JsonDocument): JsonObject {
  if (!isObject(document.value)) throw new WeirError('invalid_request', 'the body is not a JSON object');
  return document.value;
}

/** Those of `names` that are numbers or flags in `body`. */
export function parametersOf(body: JsonObject, names: readonly string[]): Readonly<Record<string, number | boolean>> {
  return Object.fromEntries(names.flatMap((name) => {
    const value = body[name];
    return typeof value === 'number' || typeof value === 'boolean' ? [[name, value]] : [];
  }));
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

export function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A prompt that comes as token numbers, of which nothing here knows the words. */
export function tokenParts(carrier: string, value: unknown): readonly OpaquePart[] {
  const holdsNumbers = (list: unknown): boolean => Array.isArray(list) && list.some((element) => typeof element === 'number');
  return holdsNumbers(value) || (Array.isArray(value) && value.some(holdsNumbers)) ? [{ carrier, kind: 'tokens' }] : [];
}

/** Azure's verdicts about a text, below `carrier`: words of the wire. What they quote (citations, block lists) is text. */
export function filterVerdicts(carrier: string): Readonly<Record<string, ExemptReason>> {
  return Object.fromEntries(['hate', 'self_harm', 'sexual', 'violence'].map((category) => [`${carrier}.${category}.severity`, 'enum']));
}

/** The words in the verdicts of a moderation model, which stand at `carrier`; `''` is the root. */
export function moderationWords(carrier: string): Readonly<Record<string, ExemptReason>> {
  const at = carrier === '' ? '' : `${carrier}.`;
  return {
    [`${at}type`]: 'enum', [`${at}model`]: 'setting', [`${at}results[].type`]: 'enum', [`${at}results[].model`]: 'setting',
    ...Object.fromEntries(MODERATION_CATEGORIES.map((category): [string, ExemptReason] => [`${at}results[].category_applied_input_types.${category}[]`, 'enum'])),
  };
}
