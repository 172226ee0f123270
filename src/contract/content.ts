/** The words of content that is kept: the texts of one direction of an exchange, and what has become of them. */
import type { Direction } from './screening.ts';

export const CONTENT_MODES = ['none', 'redacted', 'original'] as const;
/** `redacted`: as it went on, without what the policy took out or held back. `original`: as it came, which is what was judged. */
export type ContentMode = (typeof CONTENT_MODES)[number];

/** Of one direction of one exchange; what is beyond is not kept, and counted. */
export const CONTENT_CHARS_MAX = 262_144;

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
}

/** SHA-256 of what was sealed, in hex, by direction; what the closing entry holds. */
export type ContentCommitments = Partial<Readonly<Record<Direction, string>>>;
