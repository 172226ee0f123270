/** What somebody outside is told. Nothing in it is text of a prompt or an answer. */
import type { LateRecord } from './exchange.ts';
import type { BatchedRequest, Resolution, RetroactiveAction, ReviewItem } from './review.ts';

/** An exchange was found to violate its policy after it had gone through, or while it did. */
export interface LateViolation {
  readonly event: 'late_violation';
  readonly request_id: string;
  readonly tenant_id: string;
  readonly session_id?: string;
  /** `id@revision` */
  readonly policy?: string;
  readonly late: LateRecord;
  readonly created_at: string;
}

export const REVIEW_EVENTS = ['override', 'resolved', 'overdue'] as const;
/** `override`: people judged otherwise than the machine did; `resolved`: as it did; `overdue`: nobody judged in time. */
export type ReviewEvent = (typeof REVIEW_EVENTS)[number];

/** What came of an item of the review queue, or did not in time. */
export interface ReviewNotice extends Pick<ReviewItem, 'review_id' | 'request_id' | 'tenant_id' | 'direction' | 'origin' | 'severity' | 'policy' | 'triggered_rules' | 'near_rules' | 'action' | 'round' | 'batched' | 'due_at'> {
  readonly event: `review_${ReviewEvent}`;
  /** The same however often it is sent. */
  readonly notice_id: string;
  readonly resolution: Resolution | null;
  /** What the receiver is to take back; null: nothing. */
  readonly retroactive_action: RetroactiveAction | null;
  /** What the people who decided saw in it. */
  readonly categories: readonly string[];
  /** Further requests that the verdict stands for, as far as they are listed. */
  readonly batch: readonly BatchedRequest[];
  readonly item_created_at: string;
  readonly created_at: string;
}
