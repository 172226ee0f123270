/**
 * The port to what waits for a person. Guarantees: an item is in the queue before anybody waits for it; a wait comes to
 * one outcome, whoever says so first, over all processes; the same request again waits for the item that is there. A
 * verdict is an outcome until `hold_until` and never after. Rejects with WeirError store_unavailable. The store has no
 * clock: times are ISO 8601 in UTC, which compare as text.
 */
import type { HoldOutcome } from '../contract/hold.ts';
import type { Resolution, ReviewItem } from '../contract/review.ts';
import { insertPages, type NewPage } from './pages.ts';
import { insertItem, type NewReviewItem } from './reviews.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

export interface NewHold {
  readonly item: NewReviewItem;
  readonly pages: readonly Omit<NewPage, 'review_id'>[];
  /** Under which the same request is known; absent: it is never the same. */
  readonly again?: { readonly key: string; readonly since: string };
}

export interface OpenedHold {
  readonly reviewId: string;
  /** Until when this one waits: that of the item that was there, where it is sooner. */
  readonly until: string;
  /** A person decided while nobody waited: there is nothing to wait for. */
  readonly resolution?: Resolution;
}

export interface HoldStore {
  open(hold: NewHold): Promise<OpenedHold>;
  /** What the wait came to: `outcome`, unless it came to something before. Undefined where there is no such item. */
  settle(reviewId: string, outcome: HoldOutcome): Promise<HoldOutcome | null | undefined>;
  /** One waits no more; where it was the last, that is the outcome. */
  leave(reviewId: string, outcome: 'client_left' | 'draining'): Promise<void>;
  /** Those of these that have come to something. */
  outcomes(reviewIds: readonly string[]): Promise<ReadonlyMap<string, HoldOutcome>>;
}

/** Messages on it, of Redis and of Postgres, are ids of items that somebody decided. */
export const HOLDS_CHANNEL = 'weir:holds';

const LEFT = `('client_left', 'draining')`;
const IDS_AT_ONCE = 500;

export class SqlHoldStore implements HoldStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async open({ item, pages, again }: NewHold): Promise<OpenedHold> {
    return this.#database.transaction(async (query) => {
      const known = again && (await join(query, item, again));
      if (known !== undefined) return known;
      const isNew = await insertItem(query, item);
      if (isNew) await insertPages(query, pages.map((page) => ({ ...page, review_id: item.review_id })));
      await query('update review_items set hold_key = $2, hold_waiters = 1 where review_id = $1', item.review_id, again?.key ?? null);
      return { reviewId: item.review_id, until: item.hold_until! };
    });
  }

  async settle(reviewId: string, outcome: HoldOutcome): Promise<HoldOutcome | null | undefined> {
    return settleHold(this.#database.query, reviewId, outcome);
  }

  async leave(reviewId: string, outcome: 'client_left' | 'draining'): Promise<void> {
    await this.#database.query(
      `update review_items set hold_waiters = hold_waiters - 1, hold_outcome = case when hold_waiters <= 1 and hold_outcome is null then $2 else hold_outcome end where review_id = $1`,
      reviewId, outcome,
    );
  }

  async outcomes(reviewIds: readonly string[]): Promise<ReadonlyMap<string, HoldOutcome>> {
    const found = new Map<string, HoldOutcome>();
    for (let at = 0; at < reviewIds.length; at += IDS_AT_ONCE) {
      const ids = reviewIds.slice(at, at + IDS_AT_ONCE);
      const rows = await this.#database.query<{ readonly review_id: string; readonly hold_outcome: HoldOutcome }>(`select review_id, hold_outcome from review_items where hold_outcome is not null and review_id in (${ids.map((_, i) => `$${i + 1}`).join(', ')})`, ...ids);
      for (const { review_id: id, hold_outcome: outcome } of rows) found.set(id, outcome);
    }
    return found;
  }
}

export async function settleHold(query: SqlQuery, reviewId: string, outcome: HoldOutcome): Promise<HoldOutcome | null | undefined> {
  await query('update review_items set hold_outcome = $2 where review_id = $1 and hold_until is not null and hold_outcome is null', reviewId, outcome);
  const [row] = await query<{ readonly hold_outcome: HoldOutcome | null }>('select hold_outcome from review_items where review_id = $1', reviewId);
  return row?.hold_outcome;
}

/** Waits for the item of the same request: one for which others wait, or of which the client left before anybody decided, or after. */
async function join(query: SqlQuery, { created_at: now, hold_until: until }: NewReviewItem, { key, since }: NonNullable<NewHold['again']>): Promise<OpenedHold | undefined> {
  const mine: readonly SqlValue[] = [key, since, now];
  const [answered] = await query<Pick<ReviewItem, 'review_id' | 'resolution'>>(`select review_id, resolution from review_items where hold_key = $1 and created_at > $2 and created_at <= $3 and hold_outcome in ${LEFT} and status = 'resolved' and round = 1 order by created_at desc limit 1`, ...mine);
  if (answered !== undefined) return { reviewId: answered.review_id, until: now, resolution: answered.resolution! };
  const [row] = await query<{ readonly review_id: string; readonly hold_until: string }>(
    `update review_items set hold_waiters = case when hold_outcome is null then hold_waiters + 1 else 1 end, hold_until = case when hold_outcome is null then hold_until else $4 end, hold_outcome = null
     where review_id = (select review_id from review_items where hold_key = $1 and created_at > $2 and created_at <= $3 and status <> 'resolved' and round = 1 and ((hold_outcome is null and hold_until > $3) or hold_outcome in ${LEFT}) order by created_at desc limit 1)
     returning review_id, hold_until`,
    ...mine, until,
  );
  if (row === undefined) return undefined;
  // One of two has stopped it while nobody waited.
  const [stop] = await query<{ readonly resolution: Resolution }>(`select resolution from review_verdicts where review_id = $1 and resolution <> 'allow' limit 1`, row.review_id);
  if (stop === undefined) return { reviewId: row.review_id, until: row.hold_until };
  await query('update review_items set hold_outcome = $2 where review_id = $1', row.review_id, stop.resolution);
  return { reviewId: row.review_id, until: now, resolution: stop.resolution };
}
