/**
 * The words of one exchange: a request in, an answer out. `proxy/exchange` makes these values stage by stage; each is
 * frozen when the next stage takes it.
 */
import type { ContentCommitments, ExchangeCommitments } from './content.ts';
import type { HoldEndedBy } from './hold.ts';
import type { Resolution } from './review.ts';
import type { SampleRecord } from './risk.ts';
import type { Action, ClassifierResult, ContentType, ContextValue, Coverage, Direction, UnknownReason } from './screening.ts';

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
  /** What the shadow's own patterns found, for the shadow alone. */
  readonly observed?: readonly ClassifierResult[];
  /** Of classifiers that do not read its content type: unknown, and nothing that a record or a decision counts. */
  readonly unsupported?: readonly ClassifierResult[];
  /** Of an image or a recording: a classifier that reads it has scored it. */
  readonly judged?: boolean;
}

/** All that screening found in a set of segments. */
export interface Screened {
  readonly segments: readonly SegmentResults[];
  readonly classifiers: ReadonlyMap<string, 'ok' | UnknownReason>;
  /** Classifiers that are asked after the fact; absent: none. */
  readonly deferred?: ReadonlySet<string>;
  /** Scores that nobody was asked for, as `classifier.category`. */
  readonly unread?: readonly string[];
  readonly latencyMs: number;
}

export const OUTCOMES = ['completed', 'blocked', 'refused', 'client_left', 'upstream_failed', 'failed'] as const;
/** How an exchange ended. `refused`: an error of the closed list before any upstream call; `failed`: a fault of ours. */
export type Outcome = (typeof OUTCOMES)[number];

/** What rules could read besides scores, so that a decision can be explained, and tried under another policy: names, numbers and flags, no content. */
export interface RecordedFacts {
  /** Whose scores were asked for; one that has none in the record found nothing. */
  readonly classifiers: readonly string[];
  /** Scores of theirs, as `classifier.category`, that nobody was asked for, since no rule names them. */
  readonly unread?: readonly string[];
  /** Those that are heard after the fact. */
  readonly deferred?: readonly string[];
  readonly content_types: readonly ContentType[];
  /** Of an answer: its texts, each decided by itself, where there are several. */
  readonly texts?: number;
  /** Values that the policy's rules read; null where there was none. Long texts and user ids are left out. */
  readonly context?: Readonly<Record<string, ContextValue | null>>;
  /** Those of the caller's own word, of the same keys: it was decided without and with them, and the stricter counts. */
  readonly claims?: Readonly<Record<string, ContextValue>>;
  /** What was decided on by who said it, where several did and a rule asks. Without a role: of the texts of which nobody says whose they are. */
  readonly roles?: readonly { readonly role?: string; readonly content_types: readonly ContentType[]; readonly results: DecisionRecord['classifier_results'] }[];
  /** The scores that were decided on, where the record lists those of earlier turns too. */
  readonly results?: DecisionRecord['classifier_results'];
}

/** That something waited for a person. The decision stays what the machine decided; this says what came of it. */
export interface HoldRecord {
  /** Of the item of the review queue, which another request may have brought there; absent where there was none. */
  readonly review_id?: string;
  /** The rule that asked for it. */
  readonly rule: string;
  readonly for_ms: number;
  readonly then: Action;
  readonly ended_by: HoldEndedBy;
  /** Of a verdict. */
  readonly resolution?: Resolution;
  /** What was done: `allow` and `block` by a verdict, else `then`; absent where nobody was there any more. */
  readonly action?: Action;
  readonly held_ms: number;
}

/** One direction's part of the closing entry: decisions and commitments, never content. */
export interface DecisionRecord {
  readonly action: Action;
  readonly triggered_rules: readonly string[];
  readonly classifier_results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number; readonly unknown?: UnknownReason; readonly named?: true; readonly count: number }[];
  readonly coverage: Coverage;
  readonly degraded: readonly string[];
  readonly redactions: number;
  readonly latency_ms: number;
  /** Of several decisions one was to escalate, though another did more. */
  readonly escalated?: true;
  /** Absent where nothing was decided, and in a record of several decisions. */
  readonly facts?: RecordedFacts;
  /** Present where the policy has a shadow. */
  readonly shadow?: ShadowRecord;
  /** Present where it waited for a person, or was to. */
  readonly hold?: HoldRecord;
}

/** What another policy would have decided, on the same scores. Nothing came of it. */
export interface ShadowRecord {
  /** `id@revision` */
  readonly policy: string;
  readonly action: Action;
  readonly triggered_rules: readonly string[];
  readonly degraded: readonly string[];
}

export const LATE_ACTS = ['cut', 'barred', 'flagged'] as const;
/** What was done about a late verdict: the answer was cut, the session barred, or neither, and it is told. */
export type LateAct = (typeof LATE_ACTS)[number];

/** What was decided after the fact, on all scores together: the decision that did most, of either direction. */
export interface LateRecord {
  readonly direction: Direction;
  readonly action: Action;
  readonly triggered_rules: readonly string[];
  /** Of the classifiers that were heard late. */
  readonly classifier_results: DecisionRecord['classifier_results'];
  readonly degraded: readonly string[];
  readonly acted: readonly LateAct[];
  /** From the moment when the prompt was let go on. */
  readonly latency_ms: number;
}

/** `estimated`: the upstream told none, so they are reckoned from the length of the texts. */
export interface TokenUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly estimated?: true;
}

/** The one closing entry of an exchange, as telemetry and the audit log receive it. */
export interface ExchangeRecord {
  readonly kind: 'exchange';
  readonly request_id: string;
  readonly tenant_id: string;
  /** The tenant's key that was used; its name, which opens nothing. */
  readonly key_id?: string;
  readonly session_id?: string;
  readonly policy?: string;
  /** Ids of models that worked in place of those that classifiers ship; absent: none did. */
  readonly models?: readonly string[];
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
  /** Present where the policy hears classifiers after the fact and the prompt was let go on. */
  readonly late?: LateRecord;
  /** Largest number of characters held back at once, and the sum over events of the time they waited. */
  readonly held_chars_max: number;
  readonly held_ms_total: number;
  /** Of what the upstream answered. */
  readonly usage?: TokenUsage;
  /** Of texts that are kept beside the log: what was sealed, not what it says. */
  readonly content?: ExchangeCommitments;
  /** What of it was drawn for residual-risk campaigns; absent: nothing. */
  readonly samples?: readonly SampleRecord[];
  /** Of the texts that are kept for those, apart from the others. */
  readonly sample_content?: ContentCommitments;
  readonly request_bytes: number;
  readonly response_bytes: number;
  readonly started_at: string;
  readonly duration_ms: number;
  readonly time_to_first_byte_ms?: number;
}
