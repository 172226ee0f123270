/**
 * Brings what came of the review queue to those who are to know: notices to the webhooks of tenants and of the operator,
 * from the store, so that none is lost over restarts; refused or unanswered ones later and later, and after three days
 * no more. Notices what nobody decided in time. What it brings, it also tells the channel that metrics are made of, so
 * that a verdict counts once, whichever process or command made it. Notices hold ids and names, never content.
 */
import { CHANNELS } from '../contract/channels.ts';
import type { ReviewNotice } from '../contract/notification.ts';
import { PartHealth } from '../contract/part-health.ts';
import type { DueNotice, Receiver, SqlNoticeStore } from '../store/review-notices.ts';

/** A notice that is claimed and not settled is another's after this; longer than a receiver may take. */
export const CLAIM_MS = 30_000;
export const GIVE_UP_MS = 3 * 86_400_000;
const NOTICES_AT_ONCE = 50;
const OVERDUE_AT_ONCE = 500;
const RETRY_MS = { first: 2_000, most: 3_600_000 } as const;

/** `none`: the receiver is not configured, or does not ask for such notices. */
export type Delivered = { readonly end: 'taken' | 'none' } | { readonly end: 'failed'; readonly detail: string };

export interface CourierOptions {
  readonly store: Pick<SqlNoticeStore, 'claimDue' | 'noteOverdue' | 'putOff' | 'settle'>;
  readonly send: (notice: ReviewNotice, receiver: Receiver, tenantId: string) => Promise<Delivered>;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
  readonly random?: () => number;
}

export class Courier {
  readonly #options: Required<CourierOptions>;
  readonly #health = new PartHealth('review webhooks');

  constructor({ clock = Date.now, random = Math.random, ...options }: CourierOptions) {
    this.#options = { clock, random, ...options };
  }

  /** Notes what is overdue and sends what is due; how many were taken. Rejects where the store does not answer. */
  async pass(): Promise<number> {
    const { store, clock } = this.#options;
    for (const notice of await store.noteOverdue(iso(clock()), OVERDUE_AT_ONCE)) CHANNELS.reviewTold.publish({ kind: 'overdue', notice });
    const due = await store.claimDue(iso(clock()), iso(clock() + CLAIM_MS), NOTICES_AT_ONCE);
    const ends = await Promise.all(due.map((one) => this.#bring(one)));
    const fault = ends.find((end) => end.end === 'failed');
    if (due.length > 0) this.#tell(fault?.end === 'failed' ? fault.detail : undefined);
    return ends.filter(({ end }) => end === 'taken').length;
  }

  async #bring(due: DueNotice): Promise<Delivered> {
    const { store, send, clock } = this.#options;
    const { notice, receiver, attempts, created_at: createdAt } = due;
    if (attempts === 0 && receiver === 'tenant' && notice.event !== 'review_overdue') CHANNELS.reviewTold.publish({ kind: 'resolved', notice });
    const delivered = await send(notice, receiver, due.tenant_id).catch((): Delivered => ({ end: 'failed', detail: 'cannot be reached' }));
    const isOver = delivered.end !== 'failed' || clock() - Date.parse(createdAt) > GIVE_UP_MS;
    if (isOver) await store.settle(due.notice_id);
    else await store.putOff(due, iso(clock() + this.#pauseMs(attempts)));
    if (delivered.end !== 'none') CHANNELS.reviewTold.publish({ kind: 'notice', receiver, outcome: delivered.end === 'failed' && isOver ? 'given_up' : delivered.end });
    return delivered;
  }

  /** Later and later, and not all at one time. */
  #pauseMs(attempts: number): number {
    return Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(attempts, 20)) * (0.5 + this.#options.random() / 2);
  }

  #tell(fault: string | undefined): void {
    if (fault === undefined) this.#health.well(() => 'notices are taken again');
    else this.#health.ill(fault);
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
