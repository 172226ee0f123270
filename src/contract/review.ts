/**
 * What people decide: items of the review queue and the verdicts on them. An item holds what the machine knew, never
 * content; content is sealed apart and goes with its key.
 */
import type { Action, Direction, Severity } from './screening.ts';

export const REVIEW_STATUSES = ['pending', 'in_review', 'resolved'] as const;
export type ReviewStatus = (typeof REVIEW_STATUSES)[number];

export const RESOLUTIONS = ['allow', 'block', 'escalate_legal'] as const;
export type Resolution = (typeof RESOLUTIONS)[number];

/** Why it is in the queue: a rule said `escalate`; a score between the bands; drawn to check the filters; somebody objected. */
export const REVIEW_ORIGINS = ['escalate', 'uncertain', 'sample', 'appeal'] as const;
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
  /** What the wait came to. */
  readonly hold_outcome: Resolution | 'timeout' | null;
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
