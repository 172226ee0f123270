/**
 * One verdict over many items, each by itself: claimed, decided and told as if it were the only one. Left out are items
 * that two people decide without each other, that somebody else has, or that this person has decided before. A fault of
 * the store ends it; what came before stands, and what comes after was not touched.
 */
import { WeirError } from '../contract/errors.ts';
import type { Resolution, ReviewItem, Verdict } from '../contract/review.ts';
import type { Reviewer, ReviewStore } from '../store/reviews.ts';
import { standingOf } from './stage.ts';

/** Items of one call. */
export const BULK_ITEMS_MAX = 200;

export const BULK_OUTCOMES = ['resolved', 'double_blind', 'claimed', 'decided', 'none', 'not_reached'] as const;
/** `claimed`: somebody else has it, or it was resolved meanwhile. `decided`: by the same person, before. `not_reached`: the store failed. */
export type BulkOutcome = (typeof BULK_OUTCOMES)[number];

export interface BulkResult {
  readonly review_id: string;
  readonly outcome: BulkOutcome;
  readonly resolution: Resolution | null;
}

export interface BulkVerdict extends Pick<Verdict, 'resolution' | 'categories' | 'notes'> {
  readonly reviewer: Reviewer;
  readonly now: string;
  /** Until when each is claimed. */
  readonly until: string;
}

/** In the order of the ids, each once. `decided` is told of each verdict before the next is made. */
export async function resolveAll(store: Pick<ReviewStore, 'item' | 'claim' | 'decide'>, ids: readonly string[], verdict: BulkVerdict, decided: (item: ReviewItem) => Promise<void>): Promise<readonly BulkResult[]> {
  const results: BulkResult[] = [];
  let isFailing = false;
  for (const id of new Set(ids)) {
    const result: BulkResult | undefined = isFailing ? undefined : await resolveOne(store, id, verdict, decided);
    isFailing ||= result === undefined;
    results.push(result ?? { review_id: id, outcome: 'not_reached', resolution: null });
  }
  return results;
}

/** Undefined where the store failed. */
async function resolveOne(store: Pick<ReviewStore, 'item' | 'claim' | 'decide'>, id: string, { reviewer, now, until, ...verdict }: BulkVerdict, decided: (item: ReviewItem) => Promise<void>): Promise<BulkResult | undefined> {
  const refused = (outcome: BulkOutcome): BulkResult => ({ review_id: id, outcome, resolution: null });
  try {
    const item = await store.item(id);
    if (item === undefined || reviewer.tenants?.includes(item.tenant_id) === false) return refused('none');
    if (item.double_blind) return refused('double_blind');
    const claim = await store.claim(id, reviewer, now, until);
    if (typeof claim === 'string') return refused(claim === 'stale' ? 'claimed' : claim);
    const done = await store.decide(id, claim.fence, { ...verdict, reviewer_id: reviewer.id, created_at: now }, standingOf);
    if (typeof done === 'string') return refused(done === 'stale' ? 'claimed' : done);
    await decided(done);
    return { review_id: id, outcome: 'resolved', resolution: done.resolution };
  } catch (error) {
    if (error instanceof WeirError) return undefined;
    throw error;
  }
}
