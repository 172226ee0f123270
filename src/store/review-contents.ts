/**
 * The port to texts that lie in the store: those of items of the review queue and of tasks of campaigns, for other
 * processes, and those of rows that models learn from. Sealed, with their wrapped keys; the store opens nothing. What is of
 * a campaign is told by its day.
 *
 * Guarantees: what an erasure covers is not read from the moment the erasure stands, whoever lays a copy of it there
 * later; `emptyErased` takes it out. A copy is laid only by who has carried out an erasure that this store holds, or none. Both are
 * told by numbers of erasures, so no clock counts. Rejects with WeirError store_unavailable. Days are in UTC.
 */
import type { ContentPurpose, SealedCopy } from '../contract/content.ts';
import { insertMany } from './insert-many.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

/** The newest erasure that was carried out where a copy was taken, before it was; `number` 0: none was. */
export interface CopyMark {
  readonly number: number;
  readonly id: string;
}

/** An item with its parts, at least one. */
export interface NewCopies {
  readonly reviewId: string;
  readonly tenantId: string;
  /** The last day on which it is kept. */
  readonly keepUntil: string;
  readonly copies: readonly SealedCopy[];
}

/** A wrapped key, for who has another master key to put in its place. */
export interface WrappedRow {
  readonly reviewId: string;
  readonly session: string;
  readonly tenantId: string;
  readonly day: string;
  readonly slot: Buffer;
}

/** What is to be forgotten, by whose number. */
export interface Erased {
  readonly number: number;
  readonly tenant_id: string;
  readonly before: string | null;
  readonly request: { readonly digest: string } | null;
  readonly session: { readonly digest: string } | null;
}

const COLUMNS = ['review_id', 'session_digest', 'request_digest', 'tenant_id', 'day', 'keep_until', 'after_erasure', 'key_id', 'slot', 'sealed'] as const;
const REPLACE = `on conflict (review_id, session_digest) do update set ${COLUMNS.slice(4).map((column) => `${column} = excluded.${column}`).join(', ')}`;
/** Taken out at once. */
const EMPTY_ROWS = 200;

/** What the texts are of, each in a table of its own with the same columns. */
export const CONTENT_TABLES = ['review_contents', 'learning_contents'] as const;
export type ContentTable = (typeof CONTENT_TABLES)[number];

/** An erasure that whoever copied had not carried out yet. */
const COVERED = `exists (select 1 from erasures e where e.tenant_id = c.tenant_id and e.number > c.after_erasure and (e.before_day is null or c.day < e.before_day)
  and (e.request_digest is null or e.request_digest = c.request_digest) and (e.session_digest is null or e.session_digest = c.session_digest))`;

export class SqlReviewContents {
  readonly #database: StoreDatabase;
  readonly #table: ContentTable;

  constructor(database: StoreDatabase, table: ContentTable = 'review_contents') {
    this.#database = database;
    this.#table = table;
  }

  /** In place of what was there of the same sessions. False: the store does not hold that erasure, so nobody can tell what covers the copy. */
  put(item: Omit<NewCopies, 'copies'>, copies: readonly SealedCopy[], mark: CopyMark): Promise<boolean> {
    return this.putAll([{ ...item, copies }], mark);
  }

  /** The same of several items, each another. */
  async putAll(items: readonly NewCopies[], mark: CopyMark): Promise<boolean> {
    const rows = items.flatMap(({ reviewId, tenantId, keepUntil, copies }) => copies.map(({ session, request, day, keyId, slot, sealed }) => [reviewId, session, request, tenantId, day, keepUntil, mark.number, keyId, slot.toString('base64'), sealed.toString('base64')]));
    const isKnown = await this.#database.transaction(async (query) => {
      if (!(await holds(query, mark))) return false;
      await insertMany(query, this.#table, COLUMNS, rows, REPLACE);
      return true;
    });
    if (!isKnown || items.length === 0) return isKnown;
    // An erasure that came meanwhile has looked before there was anything.
    const where = new Where();
    where.among('c.review_id', items.map(({ reviewId }) => reviewId));
    where.add(() => `c.slot <> '' and ${COVERED}`);
    await this.#database.query(`update ${this.#table} as c set slot = '', sealed = '' ${where.text}`, ...where.values);
    return true;
  }

  /** Of an item; what is erased has neither slot nor text. */
  async of(reviewId: string): Promise<readonly SealedCopy[]> {
    const rows = await this.#database.query<Readonly<Record<'session_digest' | 'request_digest' | 'day' | 'key_id' | 'slot' | 'sealed', string>>>(
      `select session_digest, request_digest, day, key_id, case when ${COVERED} then '' else slot end as slot, case when ${COVERED} then '' else sealed end as sealed from ${this.#table} c where review_id = $1 order by session_digest`, reviewId,
    );
    return rows.map(({ session_digest: session, request_digest: request, day, key_id: keyId, slot, sealed }) => ({ session, request, day, keyId, slot: Buffer.from(slot, 'base64'), sealed: Buffer.from(sealed, 'base64') }));
  }

  /** What has passed the day it was to be kept until, `limit` at most; resolves to how many. */
  async dropEnded(today: string, limit: number): Promise<number> {
    return this.#drop('keep_until < $1', limit, today);
  }

  /** Of a tenant, of one purpose, from before a day. */
  async dropBefore(tenantId: string, day: string, limit: number, purpose?: ContentPurpose): Promise<number> {
    return this.#drop(`tenant_id = $1 and day < $2 and day ${purpose === undefined ? 'not like' : 'like'} $3`, limit, tenantId, day, `%+${purpose ?? '%'}`);
  }

  /** Of tenants other than these. */
  async dropOthers(tenants: readonly string[], limit: number): Promise<number> {
    return this.#drop(tenants.length === 0 ? '1 = 1' : `tenant_id not in (${tenants.map((_, at) => `$${at + 1}`).join(', ')})`, limit, ...tenants);
  }

  /** Under a master key, in order; `after`: the last that was seen. */
  async wrappedUnder(keyId: string, after: Pick<WrappedRow, 'reviewId' | 'session'>, limit: number): Promise<readonly WrappedRow[]> {
    const rows = await this.#database.query<Readonly<Record<'review_id' | 'session_digest' | 'tenant_id' | 'day' | 'slot', string>>>(
      `select review_id, session_digest, tenant_id, day, slot from ${this.#table} where key_id = $1 and slot <> '' and (review_id, session_digest) > ($2, $3) order by review_id, session_digest limit ${Math.trunc(limit)}`, keyId, after.reviewId, after.session,
    );
    return rows.map(({ review_id: reviewId, session_digest: session, tenant_id: tenantId, day, slot }) => ({ reviewId, session, tenantId, day, slot: Buffer.from(slot, 'base64') }));
  }

  /** Its key, wrapped anew, unless it has changed or was erased meanwhile. */
  async rewrap({ reviewId, session, slot: former }: WrappedRow, slot: Buffer, keyId: string): Promise<boolean> {
    return (await this.#database.query(`update ${this.#table} set slot = $4, key_id = $5 where review_id = $1 and session_digest = $2 and slot = $3 returning review_id`, reviewId, session, former.toString('base64'), slot.toString('base64'), keyId)).length === 1;
  }

  async #drop(which: string, limit: number, ...values: readonly SqlValue[]): Promise<number> {
    return (await this.#database.query(`delete from ${this.#table} where (review_id, session_digest) in (select review_id, session_digest from ${this.#table} where ${which} limit ${Math.trunc(limit)}) returning review_id`, ...values)).length;
  }
}

/** Takes key and text out of what an erasure covers and was copied before it was carried out. */
export async function emptyErased(query: SqlQuery, { number, tenant_id: tenantId, before, request, session }: Erased): Promise<void> {
  const where = new Where();
  where.add((next) => `tenant_id = ${next(tenantId)}`);
  where.add((next) => `after_erasure < ${next(number)} and slot <> ''`);
  if (before !== null) where.add((next) => `day < ${next(before)}`);
  if (request !== null) where.add((next) => `request_digest = ${next(request.digest)}`);
  if (session !== null) where.add((next) => `session_digest = ${next(session.digest)}`);
  for (const table of CONTENT_TABLES) {
    const sql = `update ${table} set slot = '', sealed = '' where (review_id, session_digest) in (select review_id, session_digest from ${table} ${where.text} limit ${EMPTY_ROWS}) returning review_id`;
    for (let count = EMPTY_ROWS; count === EMPTY_ROWS;) count = (await query(sql, ...where.values)).length;
  }
}

async function holds(query: SqlQuery, { number, id }: CopyMark): Promise<boolean> {
  return number === 0 || (await query('select 1 from erasures where number = $1 and erasure_id = $2', number, id)).length === 1;
}
