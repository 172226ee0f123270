/**
 * The port to what tenants and the operator are told of the review queue. A notice is stored with what it tells of, in
 * one transaction, and sent later by whichever process comes first, over restarts, until it was taken or is given up.
 *
 * Guarantees: a notice is given to one process at a time, for as long as its claim lasts, and again until it is settled:
 * at least once, under one id. Of a receiver no more than a few at once, so that one who does not answer keeps nobody
 * else waiting. An item that nobody decided in time is noticed once in each round, with an entry for the audit log.
 * No clock: times are ISO 8601 in UTC, which compare as text. Notices hold ids and names, never content.
 */
import type { ReviewNotice } from '../contract/notification.ts';
import { retroactiveActionOf, type BatchedRequest, type Resolution, type ReviewItem } from '../contract/review.ts';
import { addPending } from './admins.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

export const RECEIVERS = ['tenant', 'operator'] as const;
export type Receiver = (typeof RECEIVERS)[number];

/** A notice to send now. */
export interface DueNotice {
  readonly notice_id: string;
  readonly tenant_id: string;
  readonly receiver: Receiver;
  readonly notice: ReviewNotice;
  readonly created_at: string;
  /** Attempts before this one. */
  readonly attempts: number;
}

/** Of one receiver at once. */
export const AT_ONCE_MAX = 5;

/** With the verdict that ended the round: what the tenant is told. */
export async function noteResolved(query: SqlQuery, item: ReviewItem, at: string): Promise<void> {
  const [row] = await query<{ readonly prior_resolution: Resolution | null }>('select prior_resolution from review_items where review_id = $1', item.review_id);
  const verdicts = await query<{ readonly categories: string }>('select categories from review_verdicts where review_id = $1 and round = $2 order by created_at, reviewer_id', item.review_id, item.round);
  const batch = item.batched === 0 ? [] : await query<BatchedRequest>('select request_id, direction, created_at from review_batched where review_id = $1 order by created_at, request_id', item.review_id);
  const retroactive = retroactiveActionOf(item, item.resolution!, row?.prior_resolution ?? null);
  const categories = [...new Set(verdicts.flatMap((verdict) => JSON.parse(verdict.categories) as string[]))];
  await insertNotice(query, 'tenant', { ...noticeOf(item, at), event: retroactive === undefined ? 'review_resolved' : 'review_override', notice_id: `${item.review_id}.${item.round}.resolved`, resolution: item.resolution, retroactive_action: retroactive ?? null, categories, batch });
}

function noticeOf({ review_id, request_id, tenant_id, direction, origin, severity, policy, triggered_rules, near_rules, action, round, batched, due_at, created_at }: ReviewItem, at: string): Omit<ReviewNotice, 'event' | 'notice_id' | 'resolution' | 'retroactive_action' | 'categories' | 'batch'> {
  return { review_id, request_id, tenant_id, direction, origin, severity, policy, triggered_rules, near_rules, action, round, batched, due_at, item_created_at: created_at, created_at: at };
}

async function insertNotice(query: SqlQuery, receiver: Receiver, notice: ReviewNotice): Promise<void> {
  await query(
    'insert into review_notices (notice_id, tenant_id, receiver, event, body, created_at, due_at, attempts) values ($1, $2, $3, $4, $5, $6, $6, 0) on conflict do nothing',
    `${notice.notice_id}.${receiver}`, notice.tenant_id, receiver, notice.event, JSON.stringify(notice), notice.created_at,
  );
}

type OverdueRow = { readonly [column in 'review_id' | 'request_id' | 'tenant_id' | 'direction' | 'origin' | 'severity' | 'policy' | 'triggered_rules' | 'near_rules' | 'action' | 'round' | 'batched' | 'due_at' | 'created_at']: SqlValue };

export class SqlNoticeStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** Notices what is overdue and was not noticed; the longest overdue first. What it returns is told nobody else. */
  async noteOverdue(now: string, limit: number): Promise<readonly ReviewNotice[]> {
    return this.#database.transaction(async (query) => {
      const rows = await query<OverdueRow>(
        `update review_items set overdue_at = $1 where overdue_at is null and status in ('pending', 'in_review') and review_id in (
           select review_id from review_items where status in ('pending', 'in_review') and overdue_at is null and due_at < $1 order by due_at limit ${Math.trunc(limit)}
         ) returning review_id, request_id, tenant_id, direction, origin, severity, policy, triggered_rules, near_rules, action, round, batched, due_at, created_at`,
        now,
      );
      const notices = rows.map((row) => overdueOf(row, now)).sort((a, b) => (a.due_at < b.due_at ? -1 : 1));
      for (const notice of notices) {
        for (const receiver of RECEIVERS) await insertNotice(query, receiver, notice);
        const { review_id, request_id, tenant_id, direction, round } = notice;
        await addPending(query, { change_id: notice.notice_id, record: JSON.stringify({ kind: 'review', change: 'overdue', author: 'weir', review_id, request_id, tenant_id, direction, round, resolved: null }), created_at: now });
      }
      return notices;
    });
  }

  /** Due ones that nobody has, now the caller's until `until`: of each receiver the longest due, a few at once. */
  async claimDue(now: string, until: string, limit: number): Promise<readonly DueNotice[]> {
    const rows = await this.#database.query<Readonly<Record<'notice_id' | 'tenant_id' | 'receiver' | 'body' | 'created_at' | 'attempts', SqlValue>>>(
      `update review_notices set claimed_until = $2 where (claimed_until is null or claimed_until <= $1) and notice_id in (
         select notice_id from (
           select notice_id, due_at, created_at, row_number() over (partition by receiver, case when receiver = 'tenant' then tenant_id else '' end order by due_at, created_at, notice_id) as place
           from review_notices where due_at <= $1 and (claimed_until is null or claimed_until <= $1)
         ) due where place <= ${AT_ONCE_MAX} order by due_at, created_at limit ${Math.trunc(limit)}
       ) returning notice_id, tenant_id, receiver, body, created_at, attempts`,
      now, until,
    );
    return rows.map(({ body, attempts, ...row }) => ({ ...row, attempts: Number(attempts), notice: JSON.parse(String(body)) }) as DueNotice).sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }

  /** It was taken, or is given up, or there is nobody to tell. */
  async settle(noticeId: string): Promise<void> {
    await this.#database.query('delete from review_notices where notice_id = $1', noticeId);
  }

  /** To be tried again then, and what else waits for the same receiver not before. */
  async putOff({ notice_id, tenant_id, receiver }: DueNotice, until: string): Promise<void> {
    await this.#database.query('update review_notices set due_at = $2, claimed_until = null, attempts = attempts + 1 where notice_id = $1', notice_id, until);
    await this.#database.query(`update review_notices set due_at = $2 where receiver = $3 and (receiver = 'operator' or tenant_id = $1) and due_at < $2 and claimed_until is null`, tenant_id, until, receiver);
  }
}

function overdueOf(row: OverdueRow, now: string): ReviewNotice {
  const item = { ...row, round: Number(row.round), batched: Number(row.batched), triggered_rules: JSON.parse(String(row.triggered_rules)), near_rules: JSON.parse(String(row.near_rules)) } as unknown as ReviewItem;
  return { ...noticeOf(item, now), event: 'review_overdue', notice_id: `${item.review_id}.${item.round}.overdue`, resolution: null, retroactive_action: null, categories: [], batch: [] };
}
