/** The words of content that is kept: the texts of one direction of an exchange, and what has become of them. */
import type { Direction } from './screening.ts';

/** What may stand in traces: nothing, or texts as they went on. */
export const TRACED_MODES = ['none', 'redacted'] as const;

export const CONTENT_MODES = ['none', 'redacted', 'original'] as const;
/** `redacted`: as it went on, without what the policy took out or held back. `original`: as it came, which is what was judged. */
export type ContentMode = (typeof CONTENT_MODES)[number];

/** Of one direction of one exchange; what is beyond is not kept, and counted. */
export const CONTENT_CHARS_MAX = 262_144;

/** Of one direction of an exchange in its trace. Escaped as JSON that is six times as much at most, within what a span's attribute may hold. */
export const TRACED_CHARS_MAX = 8_192;

export interface KeptText {
  /** Where it stood: the path of a request's text, the choice and channel of an answer's. */
  readonly place: string;
  readonly role?: string;
  readonly text: string;
}

export interface KeptTexts {
  readonly texts: readonly KeptText[];
  /** Characters beyond `CONTENT_CHARS_MAX`: the oldest of a prompt, the last of an answer. */
  readonly cut: number;
}

/** Hears an answer's texts as they come and as they leave, by the key of their channel. Returns at once. */
export interface AnswerWitness {
  came(key: string, text: string): void;
  left(key: string, text: string): void;
  /** What was said under the key is said anew from its beginning. */
  cameAgain(key: string): void;
  leftAgain(key: string): void;
}

/** What is kept of one exchange. */
export interface NewContent {
  readonly tenantId: string;
  readonly requestId: string;
  readonly sessionId?: string | undefined;
  /** When it began, as in its entry. */
  readonly startedAt: string;
  readonly texts: Partial<Record<Direction, KeptTexts>>;
  readonly purpose?: ContentPurpose | undefined;
}

/** `campaigns`: kept for residual-risk campaigns alone, with a retention of its own. Absent: because the tenant keeps content. */
export type ContentPurpose = 'campaigns';

/** SHA-256 of what was sealed, in hex, by direction; what the closing entry holds. */
export type ContentCommitments = Partial<Readonly<Record<Direction, string>>>;

/** Of all that was sealed of one exchange. `others`: of each further key: a call of the screening service has one for each session it names, and what waited for a person was kept then too. */
export type ExchangeCommitments = ContentCommitments & { readonly others?: readonly ContentCommitments[] };

/** A sealed text with its wrapped key, as another process with the same master key can open it. */
export interface SealedCopy {
  /** In UTC, on which its exchange began; with the purpose, where it is kept for one. */
  readonly day: string;
  /** Digests of the exchange's id and of its session's, in hex. */
  readonly request: string;
  readonly session: string;
  /** Of the master key. */
  readonly keyId: string;
  /** Empty, as is the text, where it was erased. */
  readonly slot: Buffer;
  readonly sealed: Buffer;
}
