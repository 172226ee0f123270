/**
 * What a wire dialect knows: where text stands in a request, where it stands in an answer or one stream event, how an
 * error and a block look. Pure; holds no connection. One file per dialect implements this.
 */
import type { ErrorCode } from '../contract/errors.ts';
import type { OpaquePart, Segment } from '../contract/exchange.ts';
import type { JsonDocument } from './json.ts';

/** What a dialect reads out of a request. */
export interface RequestReading {
  readonly segments: readonly Segment[];
  readonly opaque: readonly OpaquePart[];
  readonly stream: boolean;
  readonly model?: string;
  /** Numbers and flags for traces: `n`, `temperature`, `max_tokens`; never text. */
  readonly parameters: Readonly<Record<string, number | boolean>>;
  /** Paths in `parameters` style that identify the end user or session when the body names them. */
  readonly userId?: string;
  readonly sessionId?: string;
}

/** An error as it goes to the client. `message` holds no user text. */
export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** One text of a stream event or body. `key` names the channel: texts with one key are one text, in order. */
export interface Piece {
  /** `0/content`, `1/tool_calls/0/arguments`: choice, then channel. */
  readonly key: string;
  /** `choices[].delta.content`: what coverage lists. */
  readonly carrier: string;
  /** `json`: the text is JSON in a string (tool arguments); matched on decoded values. */
  readonly kind: 'text' | 'json';
  /** Where the string literal stands in the event: keys and indexes from the root. */
  readonly path: readonly (string | number)[];
  readonly text: string;
  /** The text is complete as it stands; the next piece with this key is another text. */
  readonly whole?: boolean;
}

/** What one event (or whole body) holds. */
export interface EventReading {
  readonly pieces: readonly Piece[];
  /** Channels whose text is complete once this event's pieces are taken: key prefixes, `0/` closes choice 0. */
  readonly closes: readonly string[];
}

/** Reads the events of one answer; may keep state of that answer. */
export interface ResponseReader {
  readEvent(event: unknown): EventReading;
  readBody(body: unknown): EventReading;
  /** Literals that must go when anything in `key`'s choice was redacted (log-probabilities, cumulative copies). */
  dependents(event: unknown, key: string): readonly { readonly path: readonly (string | number)[]; readonly replacement: string | null }[];
  /** Whether the dialect can make an event that carries nothing but text of this channel. */
  canCarry(key: string): boolean;
  /** An event that carries nothing but `text` in a channel that `canCarry`. */
  textEvent(key: string, text: string): Buffer;
  /** The bytes that end a stream the policy cut, in place of everything held and to come. `ended`: prefixes of what has ended for the client. */
  blockedStream(message: string | undefined, ended: ReadonlySet<string>): Buffer;
  /** The body that replaces a blocked whole answer. */
  blockedBody(body: unknown, message: string | undefined): Buffer;
  /** An error frame inside a stream. */
  errorEvent(code: ErrorCode, message: string, requestId: string): Buffer;
  usage(): { readonly inputTokens?: number; readonly outputTokens?: number } | undefined;
  /** Names and ids for traces, seen so far. */
  facts(): { readonly responseId?: string; readonly model?: string; readonly finishReasons: readonly string[] };
}

export interface Dialect {
  readonly id: 'openai-chat';
  /** `gen_ai.operation.name` */
  readonly operation: string;
  /** Throws WeirError('invalid_request') when the JSON is not a request of this endpoint. */
  readRequest(document: JsonDocument): RequestReading;
  error(code: ErrorCode, message: string, requestId: string): ErrorAnswer;
  /** `on_block: fallback`: a normal answer that holds the safe message; SSE when `stream`. */
  fallback(request: RequestReading, message: string, requestId: string, nowMs: number): { readonly contentType: string; readonly body: Buffer };
  createReader(request: RequestReading): ResponseReader;
}
