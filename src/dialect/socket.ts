/**
 * What a wire dialect of a WebSocket knows: every text frame is one JSON event, in both directions; a connection carries
 * many answers, at times several at once. Pure types; one file per dialect implements them.
 */
import type { ErrorCode } from '../contract/errors.ts';
import type { OpaqueKind } from '../contract/exchange.ts';
import type { EventReading, RequestReading, ResponseReader } from './dialect.ts';
import type { JsonDocument, JsonPath } from './json.ts';
import type { LeafRules } from './walk.ts';

/** One event of the client, as a request that is screened by itself. */
export interface ClientEvent extends RequestReading {
  readonly type: string;
  /** The client's own name for the event; an error about it says it. */
  readonly eventId?: string;
  /** Where several answers run side by side, the one that the event is about. */
  readonly streamId?: string;
  /** It asks for an answer, so it counts as a request of the tenant. */
  readonly asks: boolean;
}

/** Something in an event that cannot be read here. */
export interface OpaqueLeaf {
  /** Absent: it passes, whatever the configuration says, as it does in answers over HTTP. */
  readonly path?: JsonPath;
  readonly carrier: string;
  readonly kind: OpaqueKind;
  /** The event carries nothing else. */
  readonly alone: boolean;
}

/** What one event of the upstream holds. */
export interface SocketReading extends EventReading {
  /**
   * What the keys of its pieces begin with, up to their first `:`: the answer or the item that it belongs to. What the
   * policy blocks there is blocked as a whole. Empty: it belongs to none and has no text.
   */
  readonly scope: string;
  /** Its scope is its own; nothing repeats its texts. */
  readonly single: boolean;
  readonly opaque: readonly OpaqueLeaf[];
  /** It is no part of an answer, and may repeat what the client sent. */
  readonly echoes?: boolean;
  /** An answer begins or ends with it. */
  readonly answer?: 'begins' | 'ends';
  /** What the answer that ends has used, where it says so. */
  readonly tokens?: number;
  /** It speaks of an event of ours, of which the client knows nothing. */
  readonly ours?: boolean;
}

/** What each side is told when the policy cuts an answer. */
export interface SocketCut {
  readonly toClient: readonly Buffer[];
  readonly toUpstream: readonly Buffer[];
}

/** Reads the events of one connection; keeps state of it, within bounds however long it lives. */
export interface SocketReader extends Pick<ResponseReader, 'dependents' | 'canCarry' | 'textEvent' | 'usage' | 'facts'> {
  /** `json`: the event as it came. */
  readEvent(event: unknown, json: string): SocketReading;
  /** An event of `scope` has left, as `event` now is. */
  sent?(event: unknown, scope: string): void;
  /** Ends what belongs to `scope` for both sides. */
  cut(scope: string, why: CutReason): SocketCut;
}

/** Neither holds user text. */
export interface CutReason {
  /** What an error says. */
  readonly message: string;
  /** What the policy says in place of the answer. */
  readonly instead?: string;
}

export interface SocketDialect {
  readonly id: string;
  /** `gen_ai.operation.name` */
  readonly operation: string;
  readonly requestRules: LeafRules;
  readonly answerRules: LeafRules;
  /** Throws WeirError('invalid_request') when the JSON is no event of this endpoint. */
  readClientEvent(document: JsonDocument): ClientEvent;
  createReader(): SocketReader;
  /** A whole answer of ours, in place of the one that `event` asks for; absent where only an error can say anything. */
  answerInstead?(event: ClientEvent, message: string, requestId: string, nowMs: number): readonly Buffer[];
  /** An error as an event; `eventId`: the client's event that it is about. */
  errorEvent(code: ErrorCode, message: string, eventId?: string): Buffer;
}
