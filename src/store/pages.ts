/**
 * The port to pages: messages to who is on call about an item of the review queue. They are stored with what they tell of
 * (`insertPages` in its transaction) and sent later, by whichever process comes first.
 *
 * Guarantees: a page is given to one process at a time, for as long as its claim lasts, and again until it is said to have
 * been sent: at least once. Whoever receives them tells copies by the item. Rejects with WeirError store_unavailable. No
 * clock: times are ISO 8601 in UTC, which compare as text.
 */
import type { Severity } from '../contract/screening.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

/** `resolve` says that the item needs nobody any more. */
export const PAGE_KINDS = ['trigger', 'resolve'] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

export interface NewPage {
  readonly review_id: string;
  /** 0 for who is asked first. */
  readonly step: number;
  readonly kind: PageKind;
  readonly due_at: string;
}

/** A page to send now, with what it says. */
export interface DuePage extends NewPage {
  /** Attempts before this one. */
  readonly attempts: number;
  readonly tenant_id: string;
  readonly severity: Severity;
  readonly triggered_rules: readonly string[];
  readonly item_created_at: string;
  readonly item_due_at: string;
}

export interface PageStore {
  /** Due ones that nobody has, now the caller's until `until`; oldest first. */
  claimDue(now: string, until: string, limit: number): Promise<readonly DuePage[]>;
  sent(page: NewPage, at: string): Promise<void>;
  /** To be tried again then. */
  putOff(page: NewPage, until: string): Promise<void>;
  /** The longest that a page has been due; undefined where none is. */
  oldestDue(now: string): Promise<string | undefined>;
}

export async function insertPages(query: SqlQuery, pages: readonly NewPage[]): Promise<void> {
  for (const { review_id, step, kind, due_at } of pages) await query('insert into review_pages (review_id, step, kind, due_at, attempts) values ($1, $2, $3, $4, 0) on conflict do nothing', review_id, step, kind, due_at);
}

/** The item was decided: what was not sent need not be, and who was paged hears that it is over. */
export async function endPages(query: SqlQuery, reviewId: string, at: string): Promise<void> {
  await query(`delete from review_pages where review_id = $1 and kind = 'trigger' and sent_at is null and claimed_until is null and attempts = 0`, reviewId);
  const [paged] = await query(`select 1 from review_pages where review_id = $1 and kind = 'trigger'`, reviewId);
  if (paged !== undefined) await insertPages(query, [{ review_id: reviewId, step: 0, kind: 'resolve', due_at: at }]);
}

/** Nobody has it at `$1`. */
const FREE = '(claimed_until is null or claimed_until <= $1)';
/** That it is over is told when nobody is about to tell that it began. */
const NOTHING_UNDER_WAY = `(kind = 'trigger' or not exists (select 1 from review_pages other where other.review_id = review_pages.review_id and other.kind = 'trigger' and other.sent_at is null and other.claimed_until > $1))`;

type Row = Readonly<Record<keyof DuePage | 'item_status', SqlValue>>;

export class SqlPageStore implements PageStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async claimDue(now: string, until: string, limit: number): Promise<readonly DuePage[]> {
    return this.#database.transaction(async (query) => {
      // An item that somebody has needs no further step, and one that was decided no page at all.
      await query(`delete from review_pages where kind = 'trigger' and sent_at is null and due_at <= $1 and ${FREE} and exists (select 1 from review_items i where i.review_id = review_pages.review_id and (i.status = 'resolved' or (i.status = 'in_review' and review_pages.step > 0)))`, now);
      const claimed = await query<NewPage>(
        `update review_pages set claimed_until = $2 where sent_at is null and ${FREE} and (review_id, kind, step) in (
           select review_id, kind, step from review_pages where sent_at is null and due_at <= $1 and ${FREE} and ${NOTHING_UNDER_WAY} order by due_at limit ${Math.trunc(limit)}
         ) returning review_id, step, kind`,
        now, until,
      );
      const pages: DuePage[] = [];
      for (const { review_id, step, kind } of claimed) {
        const [row] = await query<Row>('select p.review_id, p.step, p.kind, p.due_at, p.attempts, i.tenant_id, i.severity, i.triggered_rules, i.created_at as item_created_at, i.due_at as item_due_at from review_pages p join review_items i on i.review_id = p.review_id where p.review_id = $1 and p.kind = $2 and p.step = $3', review_id, kind, step);
        if (row !== undefined) pages.push({ ...row, step: Number(row.step), attempts: Number(row.attempts), triggered_rules: JSON.parse(String(row.triggered_rules)) } as DuePage);
      }
      return pages.sort((a, b) => (a.due_at < b.due_at ? -1 : 1));
    });
  }

  async sent({ review_id, kind, step }: NewPage, at: string): Promise<void> {
    await this.#database.query('update review_pages set sent_at = $4, claimed_until = null where review_id = $1 and kind = $2 and step = $3', review_id, kind, step, at);
  }

  async putOff({ review_id, kind, step }: NewPage, until: string): Promise<void> {
    await this.#database.query('update review_pages set due_at = $4, claimed_until = null, attempts = attempts + 1 where review_id = $1 and kind = $2 and step = $3 and sent_at is null', review_id, kind, step, until);
  }

  async oldestDue(now: string): Promise<string | undefined> {
    const [row] = await this.#database.query<{ readonly due_at: string | null }>('select min(due_at) as due_at from review_pages where sent_at is null and due_at <= $1', now);
    return row?.due_at ?? undefined;
  }
}
