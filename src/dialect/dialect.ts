/**
 * What a wire dialect knows: where text stands in a request, where it stands in an answer or one stream event, how an
 * error and a block look. Pure; holds no connection. One file per dialect implements this.
 */
import type { AnswerFacts, AnswerUsage } from '../contract/answer.ts';
import type { ErrorCode } from '../contract/errors.ts';
import type { OpaqueKind, OpaquePart, Segment } from '../contract/exchange.ts';
import type { FormDocument } from './form.ts';
import type { JsonDocument, JsonPath } from './json.ts';
import type { LeafRules } from './walk.ts';

/** What a dialect reads out of a request. */
export interface RequestReading {
  readonly segments: readonly Segment[];
  readonly opaque: readonly OpaquePart[];
  readonly stream: boolean;
  readonly model?: string;
  /** The form of the answer that was asked for, where the endpoint knows several: `verbose_json`, `srt`. */
  readonly answerFormat?: string;
  /** Numbers and flags for traces: `n`, `temperature`, `max_tokens`; never text. */
  readonly parameters: Readonly<Record<string, number | boolean>>;
  /** The quality of service that was asked for, in the caller's words. */
  readonly serviceTier?: string;
  /** Paths in `parameters` style that identify the end user or session when the body names them. */
  readonly userId?: string;
  readonly sessionId?: string;
  /** Its texts are screened for the record; nothing is blocked or changed for what they say. */
  readonly observed?: boolean;
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
  /** Where the string literal stands in the event: keys and indexes from the root. In a body that is no JSON its start and end. */
  readonly path: JsonPath;
  /** The text is the property name that ends the path, not its value. */
  readonly inKey?: boolean;
  readonly text: string;
  /** The text is complete as it stands; the next piece with this key is another text. */
  readonly whole?: boolean;
  /**
   * The channel's text goes on with this one, in a whole answer too. Before it the screen reads this: what the client is
   * thought to put between the pieces, and what stands nowhere. Only in channels that carry nothing by themselves.
   */
  readonly gap?: string;
  /**
   * The provider repeats here the whole text that `key`'s pieces had before (terminal events). Where it is the same text, what left
   * of it is repeated; where it is not, it is a text of its own.
   */
  readonly copy?: boolean;
  /** The provider signs this text, and refuses it later when it was changed: it leaves as it came or not at all. */
  readonly fixed?: boolean;
  /** The text says again what the channel's pieces said before, and goes on: what is not decided of it waits for the next one. */
  readonly growing?: boolean;
}

/** What must change in an event because a text of the same choice was changed. */
export interface Dependent {
  readonly path: JsonPath;
  /** What replaces it: log-probabilities and offsets that would tell what was there. Absent: it is an offset into the text, moved with it. */
  readonly value?: null | string | readonly [];
  /** The channel that the offset counts in; by default the one that was changed. */
  readonly key?: string;
}

/** What one event (or whole body) holds. */
export interface EventReading {
  readonly pieces: readonly Piece[];
  /** Channels whose text is complete once this event's pieces are taken: key prefixes, `0/` closes choice 0. */
  readonly closes: readonly string[];
}

/** Reads the events of one answer; may keep state of that answer. */
export interface ResponseReader {
  /** This answer repeats its texts, though those of its dialect do not always. */
  readonly repeats?: boolean;
  readEvent(event: unknown): EventReading;
  readBody(body: unknown): EventReading;
  /** A whole answer that is no JSON; undefined, or absent: all of it is one text. */
  readText?(text: string): EventReading | undefined;
  /** An event that was read has left, as `event` now is, so the client knows of what it opens and ends. */
  sent?(event: unknown): void;
  /** What must change in `event` when the text `key` was changed, in it or before (log-probabilities, offsets). */
  dependents(event: unknown, key: string): readonly Dependent[];
  /** Whether the dialect can make an event that carries nothing but text of this channel. */
  canCarry(key: string): boolean;
  /** An event that carries nothing but `text` in a channel that `canCarry`. */
  textEvent(key: string, text: string): Buffer;
  /** The bytes that end a stream the policy cut, in place of everything held and to come. `ended`: prefixes of what has ended for the client. */
  blockedStream(message: string | undefined, ended: ReadonlySet<string>): Buffer;
  /** The body that replaces a blocked whole answer. Throws content_filter where none of this endpoint could say so. */
  blockedBody(body: unknown, message: string | undefined): Buffer;
  /** An error frame inside a stream. */
  errorEvent(code: ErrorCode, message: string, requestId: string): Buffer;
  usage(): AnswerUsage | undefined;
  /** Names and ids for traces, seen so far. */
  facts(): AnswerFacts;
}

export type DialectId = 'openai-chat' | 'openai-completions' | 'openai-responses' | 'openai-conversations' | 'openai-embeddings' | 'openai-images' | 'openai-audio' | 'openai-moderations' | 'anthropic-messages';

export interface Dialect {
  readonly id: DialectId;
  /** `gen_ai.operation.name` */
  readonly operation: string;
  /** The terminal events of a stream repeat its texts (`Piece.copy`), so what left of them is remembered. */
  readonly repeats?: boolean;
  /** Which strings of a request are no text, and why; every other one is. */
  readonly requestRules: LeafRules;
  /** The same for answers: bodies and events. */
  readonly answerRules: LeafRules;
  /** What the `event` or `data` line of a complete stream's last event begins with; default `[DONE]`. */
  readonly streamEnds?: readonly string[];
  /** A successful answer may be media of this kind, and is then relayed as it comes. */
  readonly media?: OpaqueKind;
  /** Throws WeirError('invalid_request') when the JSON is not a request of this endpoint. */
  readRequest(document: JsonDocument): RequestReading;
  /** The same for a form; present where the endpoint takes one. */
  readForm?(form: FormDocument): RequestReading;
  error(code: ErrorCode, message: string, requestId: string): ErrorAnswer;
  /** `on_block: fallback`: a normal answer that holds the safe message; SSE when `stream`. Throws content_filter where none could hold it. */
  fallback(request: RequestReading, message: string, requestId: string, nowMs: number): { readonly contentType: string; readonly body: Buffer };
  createReader(request: RequestReading): ResponseReader;
}
