/**
 * The port through which items come into a review queue that has bounds: critical ones and those that somebody waits
 * for enter always; of the others, where the queue is full, one stands for all that are alike, and what was only drawn
 * stays out. Drawn ones have a number for each tenant and hour besides. Whatever does not become an item is counted.
 *
 * Guarantees: a request and direction enters once; what is counted is counted with what it counts, or not at all.
 * Several processes that add at once may exceed a bound by as many. No clock: times are ISO 8601 in UTC.
 */
import type { BatchedRequest, ReviewCount, ReviewCountRow } from '../contract/review.ts';
import { insertPages, type NewPage } from './pages.ts';
import { alikeOf, insertItem, type NewReviewItem } from './reviews.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

/** Requests that are listed for one item that stands for others; those beyond are counted. */
export const BATCH_LISTED_MAX = 100;

export interface IntakeBounds {
  /** Items that nobody has decided: of all tenants, and of one. */
  readonly openMax: number;
  readonly tenantOpenMax: number;
  /** Of a drawn one: how many of its origin a tenant may have in an hour. */
  readonly hourMax?: number;
}

/** `known`: it was there. `beyond`: its number for the hour is reached. `full`: it was only drawn, and there is no room. */
export type Admission = 'new' | 'known' | 'batched' | 'beyond' | 'full';

export class SqlReviewIntake {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** With the pages about it, or not at all. */
  async admit(item: NewReviewItem, pages: readonly Omit<NewPage, 'review_id'>[], bounds: IntakeBounds): Promise<Admission> {
    return this.#database.transaction(async (query) => {
      if (await isThere(query, item)) return 'known';
      const isFull = item.severity !== 'critical' && item.hold_until === null && await isFullFor(query, item.tenant_id, bounds);
      if (isFull && !isOnlyDrawn(item) && await batch(query, item)) return 'batched';
      if (isOnlyDrawn(item)) {
        const refusal = isFull ? 'full' : (await countOne(query, item.origin, item, bounds.hourMax)) ? undefined : 'beyond';
        if (refusal !== undefined) await countOne(query, `${item.origin}_${refusal}`, item);
        if (refusal !== undefined) return refusal;
      }
      const isNew = await insertItem(query, item);
      if (isNew) await insertPages(query, pages.map((page) => ({ ...page, review_id: item.review_id })));
      return isNew ? 'new' : 'known';
    });
  }

  /** Requests that an item stands for, oldest first; `BATCH_LISTED_MAX` at most. */
  async batched(reviewId: string): Promise<readonly BatchedRequest[]> {
    return this.#database.query<BatchedRequest>('select request_id, direction, created_at from review_batched where review_id = $1 order by created_at, request_id', reviewId);
  }

  /** The item that stands for a request; undefined where none does, or it is not listed. */
  async standsFor(requestId: string, direction: string): Promise<string | undefined> {
    const [row] = await this.#database.query<{ readonly review_id: string }>('select review_id from review_batched where request_id = $1 and direction = $2', requestId, direction);
    return row?.review_id;
  }

  /** Items that nobody has decided, by tenant; the most first. */
  async open(tenants: readonly string[] | undefined, limit: number): Promise<readonly { readonly tenant_id: string; readonly open: number }[]> {
    if (tenants?.length === 0) return [];
    const rows = await this.#database.query<{ readonly tenant_id: string; readonly open: SqlValue }>(`select tenant_id, count(*) as open from review_items where status in ('pending', 'in_review') ${amongTenants(tenants, 1)} group by tenant_id order by open desc, tenant_id limit ${Math.trunc(limit)}`, ...(tenants ?? []));
    return rows.map(({ tenant_id, open }) => ({ tenant_id, open: Number(open) }));
  }

  /** Since the beginning of an hour; newest first. */
  async counts(sinceHour: string, tenants: readonly string[] | undefined, limit: number): Promise<readonly ReviewCountRow[]> {
    if (tenants?.length === 0) return [];
    const rows = await this.#database.query<Readonly<Record<keyof ReviewCountRow, SqlValue>>>(`select name, tenant_id, hour, count from review_counts where hour >= $1 ${amongTenants(tenants, 2)} order by hour desc, tenant_id, name limit ${Math.trunc(limit)}`, sinceHour, ...(tenants ?? []));
    return rows.map((row) => ({ ...row, count: Number(row.count) }) as ReviewCountRow);
  }

  /** Of all tenants together. */
  async total(name: ReviewCount, sinceHour: string): Promise<number> {
    const [row] = await this.#database.query<{ readonly total: SqlValue }>('select coalesce(sum(count), 0) as total from review_counts where name = $1 and hour >= $2', name, sinceHour);
    return Number(row?.total ?? 0);
  }

  /** Counts of earlier hours are told no more. */
  async forgetCounts(beforeHour: string): Promise<void> {
    await this.#database.query('delete from review_counts where hour < $1', beforeHour);
  }
}

function amongTenants(tenants: readonly string[] | undefined, firstValue: number): string {
  return tenants === undefined ? '' : `and tenant_id in (${tenants.map((_, i) => `$${i + firstValue}`).join(', ')})`;
}

type Drawn = NewReviewItem & { readonly origin: 'uncertain' | 'sample' };

function isOnlyDrawn(item: NewReviewItem): item is Drawn {
  return item.origin === 'uncertain' || item.origin === 'sample';
}

async function isThere(query: SqlQuery, { request_id, direction }: NewReviewItem): Promise<boolean> {
  const rows = await query('select 1 from review_items where request_id = $1 and direction = $2 union all select 1 from review_batched where request_id = $1 and direction = $2', request_id, direction);
  return rows.length > 0;
}

/** Looks for the item that would be the last there is room for: no more are looked at than a bound says, however many wait. */
async function isFullFor(query: SqlQuery, tenantId: string, { openMax, tenantOpenMax }: IntakeBounds): Promise<boolean> {
  const open = `status in ('pending', 'in_review')`;
  const last = (more: string, max: number): string => `select 1 from (select 1 from review_items where ${open}${more} limit 1 offset ${Math.trunc(max) - 1})`;
  return (await query(`${last(' and tenant_id = $1', tenantOpenMax)} own_last union all ${last('', openMax)} last`, tenantId)).length > 0;
}

/** Puts it to the newest item alike that waits; false where there is none. */
async function batch(query: SqlQuery, item: NewReviewItem): Promise<boolean> {
  const [head] = await query<{ readonly review_id: string; readonly batched: SqlValue }>(
    `update review_items set batched = batched + 1 where status = 'pending' and review_id = (
       select review_id from review_items where alike = $1 and status = 'pending' and hold_until is null order by created_at desc, review_id desc limit 1
     ) returning review_id, batched`,
    alikeOf(item),
  );
  if (head === undefined) return false;
  if (Number(head.batched) <= BATCH_LISTED_MAX) await query('insert into review_batched (request_id, direction, review_id, created_at) values ($1, $2, $3, $4) on conflict do nothing', item.request_id, item.direction, head.review_id, item.created_at);
  await countOne(query, 'batched', item);
  return true;
}

/** False where there were `most` already. */
export async function countOne(query: SqlQuery, name: ReviewCount, { tenant_id, created_at }: Pick<NewReviewItem, 'tenant_id' | 'created_at'>, most = Number.MAX_SAFE_INTEGER): Promise<boolean> {
  const rows = await query(
    'insert into review_counts (name, tenant_id, hour, count) values ($1, $2, $3, 1) on conflict (name, tenant_id, hour) do update set count = review_counts.count + 1 where review_counts.count < $4 returning count',
    name, tenant_id, hourOf(created_at), most,
  );
  return rows.length === 1;
}

/** The beginning of a time's hour. */
export function hourOf(time: string): string {
  return `${time.slice(0, 13)}:00:00.000Z`;
}
