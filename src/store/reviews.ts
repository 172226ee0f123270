/**
 * The port to the review queue, over a database of either kind.
 *
 * Guarantees: a request and direction is in the queue once; a claim is one person's until it runs out or is given back,
 * and whoever lost one cannot decide by it (fence); a person decides an item once, whatever its rounds; an item ends once
 * in each round, as the caller's `standingOf` says; a verdict ends a wait for a person only while it lasts. Rejects with
 * WeirError store_unavailable when the store does not answer; a change may have been made then. The store has no clock:
 * times are ISO 8601 in UTC, which compare as text.
 */
import { hash } from 'node:crypto';
import { RESOLUTIONS, type Resolution, type ReviewItem, type ReviewStatus, type Verdict } from '../contract/review.ts';
import { SEVERITIES, type Severity } from '../contract/screening.ts';
import { subjectsOf, type Subject } from '../contract/wellness.ts';
import { endPages, insertPages, type NewPage } from './pages.ts';
import { countOpen, type Depth } from './review-depth.ts';
import { noteResolved } from './review-notices.ts';
import { insertSubjects } from './wellness.ts';
import { isTaken, type SqlQuery, type SqlValue, type StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

type Drawn = 'near_rules' | 'inclusion_probability';
export type NewReviewItem = Omit<ReviewItem, Drawn | 'batched' | 'status' | 'round' | 'reviewer_id' | 'claimed_until' | 'resolution' | 'resolved_at' | 'hold_outcome'> & Partial<Pick<ReviewItem, Drawn>>;

/** An item that is its reviewer's until `item.claimed_until`. */
export interface Claim {
  readonly item: ReviewItem;
  readonly fence: number;
}

export interface Reviewer {
  readonly id: string;
  /** Undefined: all. */
  readonly tenants?: readonly string[] | undefined;
  /** What they are not offered. */
  readonly avoids?: readonly Subject[];
}

/** Where an item stands after the verdicts of its round: it has ended, or needs another; and what waits for it may go on, or may not. */
export type StandingOf = (doubleBlind: boolean, verdicts: readonly Pick<Verdict, 'resolution'>[]) => { readonly resolution?: Resolution; readonly release?: Resolution };

/** `stale`: the claim is somebody else's by now, or nobody's. `decided`: this person has decided it before. */
export type Refusal = 'stale' | 'decided' | 'none';

export interface QueueQuestion {
  readonly statuses?: readonly ReviewStatus[];
  readonly severity?: Severity;
  readonly tenants?: readonly string[] | undefined;
  readonly limit: number;
  /** Only those for which a request waits at this time, the most pressing first. */
  readonly holdingAt?: string;
  /** Only older ones: `created_at` and `review_id` of the last that was seen. */
  readonly before?: readonly [createdAt: string, reviewId: string];
}

export interface ReviewStore {
  /** False where the request and direction is in the queue. With the pages about it, or not at all. */
  add(item: NewReviewItem, pages?: readonly Omit<NewPage, 'review_id'>[]): Promise<boolean>;
  item(reviewId: string): Promise<ReviewItem | undefined>;
  itemOf(requestId: string, direction: string): Promise<ReviewItem | undefined>;
  /** Newest first. */
  items(question: QueueQuestion): Promise<readonly ReviewItem[]>;
  /** Those that nobody has decided and that one look tells alike, itself among them; the most urgent first. */
  alike(reviewId: string, limit: number): Promise<readonly ReviewItem[]>;
  /** The most urgent that this person has not decided and nobody has. Undefined where there is none. */
  claimNext(reviewer: Reviewer, now: string, until: string): Promise<Claim | undefined>;
  claim(reviewId: string, reviewer: Reviewer, now: string, until: string): Promise<Claim | Refusal>;
  /** True where the claim stands. */
  renew(reviewId: string, reviewerId: string, fence: number, until: string): Promise<boolean>;
  giveBack(reviewId: string, reviewerId: string, fence: number): Promise<boolean>;
  /** The item as it is then. A claim that ran out counts as long as nobody else has claimed the item. */
  decide(reviewId: string, fence: number, verdict: Omit<Verdict, 'review_id' | 'round'>, standingOf: StandingOf): Promise<ReviewItem | Refusal>;
  /** By time. */
  verdicts(reviewId: string): Promise<readonly Verdict[]>;
  verdictsSince(time: string, limit: number): Promise<readonly Verdict[]>;
  /** Another round, decided by others than before. False where it is not resolved. */
  reopen(reviewId: string, dueAt: string): Promise<boolean>;
  /** How many wait, by severity. */
  depth(dueBefore?: string): Promise<Depth>;
}

const COLUMNS = 'review_id, request_id, tenant_id, direction, origin, severity, policy, triggered_rules, near_rules, inclusion_probability, batched, classifier_results, action, status, double_blind, round, fence, reviewer_id, claimed_until, resolution, resolved_at, created_at, due_at, hold_until, hold_then, hold_outcome';
/** How often another item is tried where somebody else was quicker. */
const TRIES = 20;

type Row = { readonly [column in keyof ReviewItem]: SqlValue } & { readonly fence: SqlValue };

export class SqlReviewStore implements ReviewStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async add(item: NewReviewItem, pages: readonly Omit<NewPage, 'review_id'>[] = []): Promise<boolean> {
    return this.#database.transaction(async (query) => {
      const isNew = await insertItem(query, item);
      if (isNew) await insertPages(query, pages.map((page) => ({ ...page, review_id: item.review_id })));
      return isNew;
    });
  }

  async item(reviewId: string): Promise<ReviewItem | undefined> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from review_items where review_id = $1`, reviewId)).map(readItem)[0];
  }

  async itemOf(requestId: string, direction: string): Promise<ReviewItem | undefined> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from review_items where request_id = $1 and direction = $2`, requestId, direction)).map(readItem)[0];
  }

  async items({ statuses, severity, tenants, holdingAt, limit, before }: QueueQuestion): Promise<readonly ReviewItem[]> {
    const where = new Where();
    if (statuses !== undefined) where.among('status', statuses);
    if (severity !== undefined) where.among('severity', [severity]);
    if (tenants !== undefined) where.among('tenant_id', tenants);
    if (holdingAt !== undefined) where.add((next) => `hold_until > ${next(holdingAt)} and hold_outcome is null`);
    if (before !== undefined) where.add((next) => `(created_at, review_id) < (${next(before[0])}, ${next(before[1])})`);
    return (await this.#database.query<Row>(`select ${COLUMNS} from review_items ${where.text} order by ${holdingAt === undefined ? 'created_at desc, review_id desc' : 'hold_until, review_id'} limit ${Math.trunc(limit)}`, ...where.values)).map(readItem);
  }

  async alike(reviewId: string, limit: number): Promise<readonly ReviewItem[]> {
    const [own] = await this.#database.query<{ readonly alike: string }>('select alike from review_items where review_id = $1', reviewId);
    if (own === undefined) return [];
    // Items of before there were marks are alike to none.
    const [column, value] = own.alike === '' ? ['review_id', reviewId] : ['alike', own.alike];
    return (await this.#database.query<Row>(`select ${COLUMNS} from review_items where ${column} = $1 and status in ('pending', 'in_review') order by severity_rank desc, due_at, review_id limit ${Math.trunc(limit)}`, value)).map(readItem);
  }

  async claimNext(reviewer: Reviewer, now: string, until: string): Promise<Claim | undefined> {
    await this.#database.query(`update review_items set status = 'pending', claimed_until = null where status = 'in_review' and claimed_until < $1`, now);
    return (await this.#takeFirst(nextStatement(reviewer, now), reviewer, until)) ?? this.#takeFirst(nextStatement(reviewer), reviewer, until);
  }

  async claim(reviewId: string, reviewer: Reviewer, now: string, until: string): Promise<Claim | Refusal> {
    const [row] = await this.#database.query<Row>(`select ${COLUMNS} from review_items where review_id = $1`, reviewId);
    if (row === undefined || reviewer.tenants?.includes(String(row.tenant_id)) === false) return 'none';
    const [own] = await this.#database.query('select 1 from review_verdicts where review_id = $1 and reviewer_id = $2', reviewId, reviewer.id);
    if (own !== undefined) return 'decided';
    const isFree = row.status === 'pending' || (row.status === 'in_review' && (row.reviewer_id === reviewer.id || String(row.claimed_until) < now));
    return (isFree ? await this.#take(row, reviewer.id, until) : undefined) ?? 'stale';
  }

  async renew(reviewId: string, reviewerId: string, fence: number, until: string): Promise<boolean> {
    return (await this.#database.query(`update review_items set status = 'in_review', claimed_until = $3 where review_id = $1 and fence = $2 and reviewer_id = $4 and status <> 'resolved' returning review_id`, reviewId, fence, until, reviewerId)).length === 1;
  }

  async giveBack(reviewId: string, reviewerId: string, fence: number): Promise<boolean> {
    return (await this.#database.query(`update review_items set status = 'pending', fence = fence + 1, reviewer_id = null, claimed_until = null where review_id = $1 and fence = $2 and reviewer_id = $3 and status <> 'resolved' returning review_id`, reviewId, fence, reviewerId)).length === 1;
  }

  async decide(reviewId: string, fence: number, { reviewer_id, resolution, categories, notes, created_at }: Omit<Verdict, 'review_id' | 'round'>, standingOf: StandingOf): Promise<ReviewItem | Refusal> {
    try {
      return await this.#database.transaction(async (query) => {
        // The row is this transaction's from here on.
        const [held] = await query<Row>(`update review_items set fence = fence + 1 where review_id = $1 and fence = $2 and reviewer_id = $3 and status <> 'resolved' returning ${COLUMNS}`, reviewId, fence, reviewer_id);
        if (held === undefined) return 'stale';
        const { round, double_blind: doubleBlind } = readItem(held);
        await query('insert into review_verdicts (review_id, round, reviewer_id, resolution, categories, notes, created_at) values ($1, $2, $3, $4, $5, $6, $7)', reviewId, round, reviewer_id, resolution, JSON.stringify(categories), notes, created_at);
        return afterVerdict(query, reviewId, standingOf(doubleBlind, await verdictsOf(query, reviewId, round)), created_at);
      });
    } catch (error) {
      if (isTaken(error)) return 'decided';
      throw error;
    }
  }

  async verdicts(reviewId: string): Promise<readonly Verdict[]> {
    return (await this.#database.query<VerdictRow>('select * from review_verdicts where review_id = $1 order by round, created_at', reviewId)).map(readVerdict);
  }

  async verdictsSince(time: string, limit: number): Promise<readonly Verdict[]> {
    return (await this.#database.query<VerdictRow>(`select * from review_verdicts where created_at >= $1 order by created_at limit ${Math.trunc(limit)}`, time)).map(readVerdict);
  }

  async reopen(reviewId: string, dueAt: string): Promise<boolean> {
    return reopenItem(this.#database.query, reviewId, dueAt);
  }

  depth(dueBefore?: string): Promise<Depth> {
    return countOpen(this.#database.query, dueBefore === undefined ? {} : { dueBefore });
  }

  async #takeFirst({ sql, values }: ReturnType<typeof nextStatement>, reviewer: Reviewer, until: string): Promise<Claim | undefined> {
    for (let tried = 0; tried < TRIES;) {
      const [candidate] = await this.#database.query<Row>(sql, ...values);
      if (candidate === undefined) return undefined;
      if (await this.#isAvoided(candidate, reviewer)) continue;
      tried += 1;
      const claim = await this.#take(candidate, reviewer.id, until);
      if (claim !== undefined) return claim;
    }
    return undefined;
  }

  /** An item that was stored before its subjects were: they are from here on, so it does not come again. */
  async #isAvoided(row: Row, { avoids = [] }: Reviewer): Promise<boolean> {
    if (avoids.length === 0) return false;
    const { review_id: reviewId, classifier_results: results } = readItem(row);
    const subjects = subjectsOf(results);
    if (!subjects.some((subject) => avoids.includes(subject))) return false;
    await insertSubjects(this.#database.query, reviewId, subjects);
    return true;
  }

  async #take(row: Row, reviewerId: string, until: string): Promise<Claim | undefined> {
    const [taken] = await this.#database.query<Row>(
      `update review_items set status = 'in_review', fence = fence + 1, reviewer_id = $3, claimed_until = $4 where review_id = $1 and fence = $2 and status in ('pending', 'in_review') returning ${COLUMNS}`,
      row.review_id, row.fence, reviewerId, until,
    );
    return taken && { item: readItem(taken), fence: Number(taken.fence) };
  }
}

/**
 * The most urgent that waits and this person has not decided; in the order of an index, however long the queue is.
 * `holdingAt`: among those for which a request waits then.
 */
export function nextStatement({ id, tenants, avoids = [] }: Reviewer, holdingAt?: string): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const where = new Where();
  // Few wait at a time: along the index of those, which SQLite does not take while another could tell the status.
  if (holdingAt === undefined) where.among('status', ['pending']);
  else where.add((next) => `(status || '') = ${next('pending')}`);
  where.add((next) => `not exists (select 1 from review_verdicts v where v.review_id = review_items.review_id and v.reviewer_id = ${next(id)})`);
  if (avoids.length > 0) where.add((next) => `not exists (select 1 from review_subjects s where s.review_id = review_items.review_id and s.subject in (${avoids.map(next).join(', ')}))`);
  if (tenants !== undefined) where.among('tenant_id', tenants);
  if (holdingAt !== undefined) where.add((next) => `hold_until > ${next(holdingAt)} and hold_until is not null and hold_outcome is null`);
  return { sql: `select ${COLUMNS} from review_items ${where.text} order by ${holdingAt === undefined ? 'severity_rank desc, due_at' : 'hold_until'}, review_id limit 1`, values: where.values };
}

/** False where it is not resolved. What is objected to is looked at by itself. */
export async function reopenItem(query: SqlQuery, reviewId: string, dueAt: string): Promise<boolean> {
  return (await query(`update review_items set status = 'pending', origin = 'appeal', round = round + 1, fence = fence + 1, reviewer_id = null, claimed_until = null, prior_resolution = resolution, alike = '', resolution = null, resolved_at = null, overdue_at = null, due_at = $2 where review_id = $1 and status = 'resolved' returning review_id`, reviewId, dueAt)).length === 1;
}

export async function insertItem(query: SqlQuery, item: NewReviewItem): Promise<boolean> {
  const rows = await query(
    `insert into review_items (review_id, request_id, tenant_id, direction, origin, severity, severity_rank, policy, triggered_rules, classifier_results, action, status, double_blind, round, fence, created_at, due_at, hold_until, near_rules, inclusion_probability, alike, hold_then)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, 1, 0, $13, $14, $15, $16, $17, $18, $19) on conflict do nothing returning review_id`,
    item.review_id, item.request_id, item.tenant_id, item.direction, item.origin, item.severity, SEVERITIES.indexOf(item.severity), item.policy,
    JSON.stringify(item.triggered_rules), JSON.stringify(item.classifier_results), item.action, item.double_blind ? 1 : 0, item.created_at, item.due_at, item.hold_until,
    JSON.stringify(item.near_rules ?? []), item.inclusion_probability ?? null, item.origin === 'appeal' || item.origin === 'learning' ? '' : alikeOf(item), item.hold_then,
  );
  if (rows.length === 0) return false;
  await insertSubjects(query, item.review_id, subjectsOf(item.classifier_results));
  return true;
}

/** The same for items that one look tells alike: of one tenant, for the same rules, as severe, and here for the same reason. */
export function alikeOf({ tenant_id, direction, origin, severity, triggered_rules, near_rules = [] }: Pick<NewReviewItem, 'tenant_id' | 'direction' | 'origin' | 'severity' | 'triggered_rules' | 'near_rules'>): string {
  return hash('sha256', JSON.stringify([tenant_id, direction, origin, severity, [...triggered_rules].sort(), [...near_rules].sort()]), 'base64url');
}

/** A verdict is the outcome of a wait that lasts; of one that is over it says that it was too late. */
const RELEASED = `hold_outcome = case when hold_until is null or hold_outcome is not null then hold_outcome when hold_until <= $2 then 'timeout' else cast($3 as text) end`;

async function afterVerdict(query: SqlQuery, reviewId: string, { resolution, release }: ReturnType<StandingOf>, at: string): Promise<ReviewItem> {
  if (resolution !== undefined) await endPages(query, reviewId, at);
  const rows = resolution !== undefined
    ? await query<Row>(`update review_items set status = 'resolved', resolution = $4, resolved_at = $2, claimed_until = null, ${RELEASED} where review_id = $1 returning ${COLUMNS}`, reviewId, at, release ?? null, resolution)
    : await query<Row>(`update review_items set status = 'pending', reviewer_id = null, claimed_until = null, ${RELEASED} where review_id = $1 returning ${COLUMNS}`, reviewId, at, release ?? null);
  const item = readItem(rows[0]!);
  if (resolution !== undefined) await noteResolved(query, item, at);
  return item;
}

async function verdictsOf(query: SqlQuery, reviewId: string, round: number): Promise<readonly { readonly resolution: Resolution }[]> {
  return query<{ readonly resolution: Resolution }>('select resolution from review_verdicts where review_id = $1 and round = $2 order by created_at, reviewer_id', reviewId, round);
}

/** Whose claim ran out is nobody's reviewer, though it may still decide while nobody else has come. */
function readItem({ fence: _, ...row }: Row): ReviewItem {
  return {
    ...row, reviewer_id: row.status === 'pending' ? null : row.reviewer_id, triggered_rules: JSON.parse(String(row.triggered_rules)), near_rules: JSON.parse(String(row.near_rules)), batched: Number(row.batched), classifier_results: JSON.parse(String(row.classifier_results)), double_blind: Number(row.double_blind) === 1, round: Number(row.round),
  } as ReviewItem;
}

type VerdictRow = { readonly [column in keyof Verdict]: SqlValue };

function readVerdict(row: VerdictRow): Verdict {
  return { ...row, round: Number(row.round), categories: JSON.parse(String(row.categories)) } as Verdict;
}

export const isResolution = (value: unknown): value is Resolution => RESOLUTIONS.some((one) => one === value);
