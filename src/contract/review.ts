/**
 * What people decide: items of the review queue and the verdicts on them. An item holds what the machine knew, never
 * content; content is sealed apart and goes with its key.
 */
import type { HoldOutcome } from './hold.ts';
import type { Action, Direction, Severity } from './screening.ts';

export const REVIEW_STATUSES = ['pending', 'in_review', 'resolved'] as const;
export type ReviewStatus = (typeof REVIEW_STATUSES)[number];

export const RESOLUTIONS = ['allow', 'block', 'escalate_legal'] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

/** Why it is in the queue: a rule said `escalate`; a score between the bands; drawn to check the filters; somebody objected; a model would learn from it. */
export const REVIEW_ORIGINS = ['escalate', 'uncertain', 'sample', 'appeal', 'learning'] as const;
export type ReviewOrigin = (typeof REVIEW_ORIGINS)[number];

export interface ReviewItem {
  readonly review_id: string;
  readonly request_id: string;
  readonly tenant_id: string;
  readonly direction: Direction;
  readonly origin: ReviewOrigin;
  readonly severity: Severity;
  readonly policy: string;
  readonly triggered_rules: readonly string[];
  readonly classifier_results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number; readonly unknown?: string }[];
  /** Of an uncertain one: rules that a slightly other score would have made decide, or not. */
  readonly near_rules: readonly string[];
  /** With what probability it was drawn; null: nobody drew it. */
  readonly inclusion_probability: number | null;
  /** Further requests that it stands for, since the queue was full when they came. */
  readonly batched: number;
  /** What the policy did meanwhile. */
  readonly action: Action;
  readonly status: ReviewStatus;
  /** Two people decide it without seeing each other, the scores or the action; where they differ a third does. */
  readonly double_blind: boolean;
  /** 1; one more for each objection. */
  readonly round: number;
  /** Who has it now, and until when it is theirs alone. */
  readonly reviewer_id: string | null;
  readonly claimed_until: string | null;
  readonly resolution: Resolution | null;
  readonly resolved_at: string | null;
  readonly created_at: string;
  /** When a person is to have seen it. */
  readonly due_at: string;
  /** The request waits for a person until then. */
  readonly hold_until: string | null;
  /** What is done where nobody has decided by then. */
  readonly hold_then: Action | null;
  /** What the wait came to; null: it goes on, or nobody was there to say, and then it was over at `hold_until`. */
  readonly hold_outcome: HoldOutcome | null;
}

export interface Verdict {
  readonly review_id: string;
  readonly round: number;
  readonly reviewer_id: string;
  readonly resolution: Resolution;
  /** Categories that the reviewer sees in it. */
  readonly categories: readonly string[];
  readonly notes: string;
  readonly created_at: string;
}

/** A request that stands in the queue by an item alike. */
export interface BatchedRequest {
  readonly request_id: string;
  readonly direction: Direction;
  readonly created_at: string;
}

/** Somebody objected to what was done, or to how it was decided. */
export interface Appeal {
  /** That began with it, or was under way. */
  readonly round: number;
  readonly author: string;
  readonly reason: string;
  readonly created_at: string;
}

export const REVIEW_COUNTS = ['uncertain', 'sample', 'uncertain_beyond', 'sample_beyond', 'uncertain_full', 'sample_full', 'batched', 'appeal'] as const;
/** What came in without a rule that asked for it, what did not (beyond its number for the hour; the queue was full), what was put to an item alike, and objections. */
export type ReviewCount = (typeof REVIEW_COUNTS)[number];

/** How often something happened to a tenant's decisions within an hour. */
export interface ReviewCountRow {
  readonly name: ReviewCount;
  readonly tenant_id: string;
  /** Its beginning. */
  readonly hour: string;
  readonly count: number;
}

/** What of an exchange is to be taken back: `withdraw` what went on and should not have, `reinstate` what was stopped and should not have been. */
export const RETROACTIVE_ACTIONS = ['withdraw', 'reinstate'] as const;
export type RetroactiveAction = (typeof RETROACTIVE_ACTIONS)[number];

const STOPPING: readonly Action[] = ['block', 'replace', 'redact'];

/** Whether the machine stopped it, or took something out of it. */
export function isStopped(action: Action): boolean {
  return STOPPING.includes(action);
}

/** What was done with a request, as far as it matters whether it went on. */
export interface Done {
  readonly action: Action;
  /** What a wait for a person came to, and what was done where it came to nothing. */
  readonly hold_outcome: string | null;
  readonly hold_then?: Action | null;
}

/** Whether what had waited went on. */
const WAITED: Readonly<Record<string, 'allow' | 'block'>> = { allow: 'allow', block: 'block', escalate_legal: 'block', client_left: 'block', draining: 'block' };

/** Undefined where the verdict agrees with what was done, or leaves it to others. `prior`: how the round before an objection ended. */
export function retroactiveActionOf({ action, hold_outcome, hold_then }: Done, resolution: Resolution, prior: Resolution | null): RetroactiveAction | undefined {
  if (resolution === 'escalate_legal') return undefined;
  const told = [prior, hold_outcome === null ? null : WAITED[hold_outcome]].find((one) => one === 'allow' || one === 'block');
  const stands = told ?? (isStopped(hold_then ?? action) ? 'block' : 'allow');
  if (stands === resolution) return undefined;
  return resolution === 'block' ? 'withdraw' : 'reinstate';
}

/** Of what was escalated in one direction of an exchange. */
export function reviewIdOf(requestId: string, direction: Direction): string {
  return `rev_${requestId}.${direction}`;
}
