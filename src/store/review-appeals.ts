/**
 * The port to objections: an item that was decided waits again, for others; one that waits keeps what is said; where
 * there was none, one comes in, however full the queue is. What somebody wrote lies here, and nowhere else.
 *
 * Guarantees: an objection counts with what it does, or not at all; a person objects once in each round of an item; a
 * tenant so many times in an hour. No clock: times are ISO 8601 in UTC.
 */
import type { Appeal } from '../contract/review.ts';
import { countOne } from './review-intake.ts';
import { insertItem, reopenItem, type NewReviewItem } from './reviews.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

export type NewAppeal = Omit<Appeal, 'round'>;

/** `waiting`: nobody has decided it yet. `known`: it came in meanwhile. `beyond`: the tenant's number for the hour is reached. */
export type Objection = 'reopened' | 'waiting' | 'entered' | 'known' | 'beyond';

export class SqlAppealStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** `dueAt`: when others are to have decided it, where it was. */
  async object(item: { readonly review_id: string; readonly tenant_id: string }, appeal: NewAppeal, dueAt: string, hourMax: number): Promise<Exclude<Objection, 'entered' | 'known'>> {
    return this.#database.transaction(async (query) => {
      if (!(await countOne(query, 'appeal', { tenant_id: item.tenant_id, created_at: appeal.created_at }, hourMax))) return 'beyond';
      const isReopened = await reopenItem(query, item.review_id, dueAt);
      await insertAppeal(query, item.review_id, appeal);
      return isReopened ? 'reopened' : 'waiting';
    });
  }

  /** Whether a tenant may object once more in this hour; counted as if it had. */
  async count(tenantId: string, at: string, hourMax: number): Promise<boolean> {
    return countOne(this.#database.query, 'appeal', { tenant_id: tenantId, created_at: at }, hourMax);
  }

  /** An item of its own. Without `hourMax` it was counted before. */
  async enter(item: NewReviewItem, appeal: NewAppeal, hourMax: number | undefined): Promise<'entered' | 'known' | 'beyond'> {
    return this.#database.transaction(async (query) => {
      if (hourMax !== undefined && !(await countOne(query, 'appeal', { tenant_id: item.tenant_id, created_at: appeal.created_at }, hourMax))) return 'beyond';
      if (!(await insertItem(query, item))) return 'known';
      await leaveBatch(query, item);
      await insertAppeal(query, item.review_id, appeal);
      return 'entered';
    });
  }

  /** Of an item, by time. */
  async of(reviewId: string): Promise<readonly Appeal[]> {
    const rows = await this.#database.query<Readonly<Record<keyof Appeal, SqlValue>>>('select round, author, reason, created_at from review_appeals where review_id = $1 order by created_at, author', reviewId);
    return rows.map((row) => ({ ...row, round: Number(row.round) }) as Appeal);
  }
}

/** What stood by an item alike stands for itself from now on; where people decided that one, their verdict is what is objected to. */
async function leaveBatch(query: SqlQuery, { review_id, request_id, direction }: NewReviewItem): Promise<void> {
  const [head] = await query<{ readonly review_id: string; readonly resolution: string | null }>('select i.review_id, i.resolution from review_batched b join review_items i on i.review_id = b.review_id where b.request_id = $1 and b.direction = $2', request_id, direction);
  if (head === undefined) return;
  await query('update review_items set prior_resolution = $2 where review_id = $1', review_id, head.resolution);
  await query('delete from review_batched where request_id = $1 and direction = $2', request_id, direction);
  await query('update review_items set batched = batched - 1 where review_id = $1', head.review_id);
}

async function insertAppeal(query: SqlQuery, reviewId: string, { author, reason, created_at }: NewAppeal): Promise<void> {
  await query('insert into review_appeals (review_id, round, author, reason, created_at) select review_id, round, $2, $3, $4 from review_items where review_id = $1 on conflict do nothing', reviewId, author, reason, created_at);
}
