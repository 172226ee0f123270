/**
 * The words of screening: what is asked, what a classifier answers, what is decided. Field names are those of the
 * API, the database and the log. Spans are half-open ranges in UTF-16 code units.
 *
 * INVARIANT: a score that did not arrive is an `UnknownResult`, never 0.
 */
import type { OpaqueKind } from './exchange.ts';

export const DIRECTIONS = ['input', 'output'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export const CONTENT_TYPES = ['text', 'image', 'audio'] as const;
export type ContentType = (typeof CONTENT_TYPES)[number];

export const ACTIONS = ['allow', 'warn', 'redact', 'replace', 'block', 'escalate'] as const;
export type Action = (typeof ACTIONS)[number];

/** What an action does to the text, for the one that is named where several were taken: an escalated text leaves as it is. */
export const ACTION_WEIGHT: Readonly<Record<Action, number>> = { allow: 0, warn: 1, escalate: 2, redact: 3, replace: 4, block: 5 };

/** Of several actions that which does most to the text; undefined: of none. */
export function strongest(actions: readonly Action[]): Action | undefined {
  return [...actions].sort((a, b) => ACTION_WEIGHT[b] - ACTION_WEIGHT[a])[0];
}

export const SEVERITIES = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What OpenAI's moderation models tell apart; a classifier judges those that it declares by these names. */
export const MODERATION_CATEGORIES = [
  'harassment', 'harassment/threatening', 'hate', 'hate/threatening', 'illicit', 'illicit/violent', 'self-harm', 'self-harm/intent', 'self-harm/instructions', 'sexual', 'sexual/minors', 'violence', 'violence/graphic',
] as const;

export const UNKNOWN_REASONS = ['timeout', 'unavailable', 'error', 'unsupported'] as const;
export type UnknownReason = (typeof UNKNOWN_REASONS)[number];

export const VIEWS = ['plain', 'folded', 'spelled', 'decoded'] as const;
/**
 * What of a text is screened besides the text. plain: without what cannot be seen, compatibility forms written out;
 * folded: look-alikes as what they look like; spelled: spaced letters joined, figures as letters; decoded: entities, URL
 * encoding, base64, hex, rotated letters, hidden payloads.
 */
export type ViewName = (typeof VIEWS)[number];

/** Half-open range `[start, end)` in UTF-16 code units of the text it belongs to. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A classifier's answer for one category: `score` is 0–1, `label` is what a redaction writes (`EMAIL`). */
export interface ScoredResult {
  readonly classifier_id: string;
  readonly category: string;
  readonly score: number;
  readonly label: string;
  readonly spans: readonly Span[];
  readonly latency_ms: number;
  /** Of a category that `*` does not stand for. */
  readonly named?: true;
}

/** No answer, and why. What then happens is written in the policy (`on_unknown`). */
export interface UnknownResult {
  readonly classifier_id: string;
  readonly category: string;
  readonly unknown: true;
  readonly reason: UnknownReason;
  readonly latency_ms: number;
  readonly named?: true;
  /** The score that a classifier would give that does not trust it (unsupported). For where a number must stand; no rule reads it. */
  readonly guess?: number;
}

export type ClassifierResult = ScoredResult | UnknownResult;

/** Values a `context:` condition can read. */
export type ContextValue = string | number | boolean;
export type Context = Readonly<Record<string, ContextValue>>;

/** Where sources stand: a carrier or its beginning; one of its lists may name the role that must have said what is there. */
export const SOURCE_PLACE = /^[A-Za-z_][\w-]*(?:\[\]|\.[\w*-]+)*(?:\[role=[a-z_]+\](?:\[\]|\.[\w*-]+)*)?$/;

/** One text (or image, or audio) to screen; the body of `POST /weir/v1/screen`. */
export interface ScreeningRequest {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly direction: Direction;
  readonly content: string;
  readonly content_type: ContentType;
  readonly user_id?: string;
  readonly session_id?: string;
  readonly context?: Context;
  readonly policy_set_id?: string;
  readonly created_at: string;
}

export const TREATMENTS = ['pass', 'refuse'] as const;
export type Treatment = (typeof TREATMENTS)[number];

/** Carriers that nothing read; `pass_through` is a body that was handed over whole. */
export interface Unread {
  readonly carrier: string;
  readonly kind: OpaqueKind | 'pass_through';
  readonly treatment: Treatment;
}

/** Which carriers of an exchange were looked at. `full` means: nothing exempt by policy and nothing opaque. */
export interface Coverage {
  readonly screened: readonly string[];
  readonly exempt: readonly { readonly carrier: string; readonly rule: string }[];
  readonly opaque: readonly Unread[];
  /** The policy decided on nothing: no text but white space, and no image or recording that was judged. */
  readonly nothing_to_screen?: true;
}

/** What was decided and why; the answer of `POST /weir/v1/screen` and part of every audit entry. */
export interface ScreeningDecision {
  readonly request_id: string;
  readonly action: Action;
  readonly triggered_rules: readonly string[];
  readonly classifier_results: readonly ClassifierResult[];
  readonly modified_content?: string;
  /** Of the item of the review queue that an escalation becomes, once the call is over. */
  readonly review_queue_id?: string;
  /** The rule would wait for a person, and what it does where nobody decides. Nothing waits here: that is the caller's to do. */
  readonly hold?: { readonly for_ms: number; readonly then: Action };
  readonly decision_latency_ms: number;
  /** `id@revision` */
  readonly policy: string;
  /** Ids of models that worked in place of those that classifiers ship; absent: none did. */
  readonly models?: readonly string[];
  readonly coverage: Coverage;
  /** Rules that could not be evaluated, or a fail mode that decided; absent when nothing was missing. */
  readonly degraded?: readonly string[];
  readonly created_at: string;
}
