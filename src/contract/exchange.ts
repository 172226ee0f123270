/**
 * The words of one exchange: a request in, an answer out. `proxy/exchange` makes these values stage by stage; each is
 * frozen when the next stage takes it.
 */
import type { Action, ClassifierResult, ContentType, Coverage, UnknownReason } from './screening.ts';

/** One piece of text of a request, or an image or a recording, and where it stands. */
export interface Segment {
  /** Where it stands, with array indexes: `messages[2].content`. */
  readonly path: string;
  /** The same as keys and indexes from the root, for splicing; absent where the text is not part of a JSON body. */
  readonly jsonPath?: readonly (string | number)[];
  /** The text is the property name that ends the path, not its value. */
  readonly key?: boolean;
  /** The text is JSON in a string (tool arguments): screened on its decoded values. */
  readonly json?: boolean;
  /** Signed by the provider, which refuses it when it was changed: where it would be redacted, the request is blocked. */
  readonly fixed?: boolean;
  /** Where it stands, without indexes: `messages[].content`. What coverage lists. */
  readonly carrier: string;
  /** Who said it, where the wire format tells. */
  readonly role?: string;
  readonly contentType: ContentType;
  /** Of an image or a recording: what it is where no classifier reads it. */
  readonly opaque?: OpaqueKind;
  /** The decoded text; of an image or a recording the data URL, base64 or URL as given. */
  readonly content: string;
  /** True for turns before the newest user turn; `history: latest` does not act on them. */
  readonly history: boolean;
}

export const OPAQUE_KINDS = ['image', 'audio', 'video', 'file', 'remote_url', 'reference', 'encrypted', 'tokens', 'background'] as const;
/**
 * What cannot be read here: media and files in the body; a URL that the provider fetches; an id of something the provider
 * keeps (files, earlier responses, conversations, stored prompts); ciphertext; token numbers; an answer fetched later.
 */
export type OpaqueKind = (typeof OPAQUE_KINDS)[number];

/** A part of the request that cannot be read here. */
export interface OpaquePart {
  readonly carrier: string;
  readonly kind: OpaqueKind;
}

/** What classifiers said about a segment. */
export interface SegmentResults {
  readonly segment: Segment;
  readonly results: readonly ClassifierResult[];
  /** Of classifiers that do not read its content type: unknown, and nothing that a record or a decision counts. */
  readonly unsupported?: readonly ClassifierResult[];
  /** Of an image or a recording: a classifier that reads it has scored it. */
  readonly judged?: boolean;
}

/** All that screening found in a set of segments. */
export interface Screened {
  readonly segments: readonly SegmentResults[];
  readonly classifiers: ReadonlyMap<string, 'ok' | UnknownReason>;
  readonly latencyMs: number;
}

export const OUTCOMES = ['completed', 'blocked', 'refused', 'client_left', 'upstream_failed', 'failed'] as const;
/** How an exchange ended. `refused`: an error of the closed list before any upstream call; `failed`: a fault of ours. */
export type Outcome = (typeof OUTCOMES)[number];

/** One direction's part of the closing entry: decisions and commitments, never content. */
export interface DecisionRecord {
  readonly action: Action;
  readonly triggered_rules: readonly string[];
  readonly classifier_results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number; readonly unknown?: UnknownReason; readonly count: number }[];
  readonly coverage: Coverage;
  readonly degraded: readonly string[];
  readonly redactions: number;
  readonly latency_ms: number;
}

/** The one closing entry of an exchange, as telemetry and the audit log receive it. */
export interface ExchangeRecord {
  readonly kind: 'exchange';
  readonly request_id: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  readonly policy?: string;
  readonly method: string;
  readonly route: string;
  readonly model?: string;
  readonly stream: boolean;
  readonly outcome: Outcome;
  readonly error_code?: string;
  readonly status: number;
  readonly upstream_status?: number;
  readonly input?: DecisionRecord;
  readonly output?: DecisionRecord;
  /** Largest number of characters held back at once, and the sum over events of the time they waited. */
  readonly held_chars_max: number;
  readonly held_ms_total: number;
  readonly request_bytes: number;
  readonly response_bytes: number;
  readonly started_at: string;
  readonly duration_ms: number;
  readonly time_to_first_byte_ms?: number;
}
