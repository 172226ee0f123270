/**
 * The port to the review queue, over a database of either kind.
 *
 * Guarantees: a request and direction is in the queue once; a claim is one person's until it runs out or is given back,
 * and whoever lost one cannot decide by it (fence); a person decides an item once, whatever its rounds; an item ends once
 * in each round, as the caller's `standingOf` says; a wait for a person comes to one outcome. Rejects with
 * WeirError store_unavailable when the store does not answer; a change may have been made then. The store has no clock:
 * times are ISO 8601 in UTC, which compare as text.
 */
import { RESOLUTIONS, type Resolution, type ReviewItem, type ReviewStatus, type Verdict } from '../contract/review.ts';
import { SEVERITIES, type Severity } from '../contract/screening.ts';
import { endPages, insertPages, type NewPage } from './pages.ts';
import { isTaken, type SqlQuery, type SqlValue, type StoreDatabase } from './sql.ts';

export type NewReviewItem = Omit<ReviewItem, 'status' | 'round' | 'reviewer_id' | 'claimed_until' | 'resolution' | 'resolved_at' | 'hold_outcome'>;

/** An item that is its reviewer's until `item.claimed_until`. */
export interface Claim {
  readonly item: ReviewItem;
  readonly fence: number;
}

export interface Reviewer {
  readonly id: string;
  /** Undefined: all. */
  readonly tenants?: readonly string[] | undefined;
}

/** Where an item stands after the verdicts of its round: it has ended, or needs another. */
export type StandingOf = (doubleBlind: boolean, verdicts: readonly Pick<Verdict, 'resolution'>[]) => { readonly resolution?: Resolution };

/** `stale`: the claim is somebody else's by now, or nobody's. `decided`: this person has decided it before. */
export type Refusal = 'stale' | 'decided' | 'none';

export interface QueueQuestion {
  readonly statuses?: readonly ReviewStatus[];
  readonly severity?: Severity;
  readonly tenants?: readonly string[] | undefined;
  readonly limit: number;
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
  /** What a wait came to: `outcome`, unless it came to something before. Undefined where there is no such item. */
  settleHold(reviewId: string, outcome: NonNullable<ReviewItem['hold_outcome']>): Promise<ReviewItem['hold_outcome'] | undefined>;
  /** How many wait, by severity. */
  depth(): Promise<Readonly<Record<Severity, number>>>;
}

const COLUMNS = 'review_id, request_id, tenant_id, direction, origin, severity, policy, triggered_rules, classifier_results, action, status, double_blind, round, fence, reviewer_id, claimed_until, resolution, resolved_at, created_at, due_at, hold_until, hold_outcome';
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

  async items({ statuses, severity, tenants, limit, before }: QueueQuestion): Promise<readonly ReviewItem[]> {
    const where = new Where();
    if (statuses !== undefined) where.among('status', statuses);
    if (severity !== undefined) where.among('severity', [severity]);
    if (tenants !== undefined) where.among('tenant_id', tenants);
    if (before !== undefined) where.add((next) => `(created_at, review_id) < (${next(before[0])}, ${next(before[1])})`);
    return (await this.#database.query<Row>(`select ${COLUMNS} from review_items ${where.text} order by created_at desc, review_id desc limit ${Math.trunc(limit)}`, ...where.values)).map(readItem);
  }

  async claimNext(reviewer: Reviewer, now: string, until: string): Promise<Claim | undefined> {
    await this.#database.query(`update review_items set status = 'pending', claimed_until = null where status = 'in_review' and claimed_until < $1`, now);
    const { sql, values } = nextStatement(reviewer);
    for (let tried = 0; tried < TRIES; tried++) {
      const [candidate] = await this.#database.query<Row>(sql, ...values);
      if (candidate === undefined) return undefined;
      const claim = await this.#take(candidate, reviewer.id, until);
      if (claim !== undefined) return claim;
    }
    return undefined;
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
        const { resolution: end } = standingOf(doubleBlind, await verdictsOf(query, reviewId, round));
        return afterVerdict(query, reviewId, end, created_at);
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
    return (await this.#database.query(
      `update review_items set status = 'pending', origin = 'appeal', round = round + 1, fence = fence + 1, reviewer_id = null, claimed_until = null, resolution = null, resolved_at = null, due_at = $2 where review_id = $1 and status = 'resolved' returning review_id`,
      reviewId, dueAt,
    )).length === 1;
  }

  async settleHold(reviewId: string, outcome: NonNullable<ReviewItem['hold_outcome']>): Promise<ReviewItem['hold_outcome'] | undefined> {
    await this.#database.query('update review_items set hold_outcome = $2 where review_id = $1 and hold_until is not null and hold_outcome is null', reviewId, outcome);
    return (await this.item(reviewId))?.hold_outcome;
  }

  async depth(): Promise<Readonly<Record<Severity, number>>> {
    const rows = await this.#database.query<{ readonly severity: Severity; readonly waiting: SqlValue }>(`select severity, count(*) as waiting from review_items where status in ('pending', 'in_review') group by severity`);
    const of = (severity: Severity): number => Number(rows.find((row) => row.severity === severity)?.waiting ?? 0);
    return { low: of('low'), medium: of('medium'), high: of('high'), critical: of('critical') };
  }

  async #take(row: Row, reviewerId: string, until: string): Promise<Claim | undefined> {
    const [taken] = await this.#database.query<Row>(
      `update review_items set status = 'in_review', fence = fence + 1, reviewer_id = $3, claimed_until = $4 where review_id = $1 and fence = $2 and status in ('pending', 'in_review') returning ${COLUMNS}`,
      row.review_id, row.fence, reviewerId, until,
    );
    return taken && { item: readItem(taken), fence: Number(taken.fence) };
  }
}

/** The most urgent that waits and this person has not decided; in the order of an index, however long the queue is. */
export function nextStatement({ id, tenants }: Reviewer): { readonly sql: string; readonly values: readonly SqlValue[] } {
  const where = new Where();
  where.among('status', ['pending']);
  where.add((next) => `not exists (select 1 from review_verdicts v where v.review_id = review_items.review_id and v.reviewer_id = ${next(id)})`);
  if (tenants !== undefined) where.among('tenant_id', tenants);
  return { sql: `select ${COLUMNS} from review_items ${where.text} order by severity_rank desc, due_at, review_id limit 1`, values: where.values };
}

async function insertItem(query: SqlQuery, item: NewReviewItem): Promise<boolean> {
  const rows = await query(
    `insert into review_items (review_id, request_id, tenant_id, direction, origin, severity, severity_rank, policy, triggered_rules, classifier_results, action, status, double_blind, round, fence, created_at, due_at, hold_until)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, 1, 0, $13, $14, $15) on conflict do nothing returning review_id`,
    item.review_id, item.request_id, item.tenant_id, item.direction, item.origin, item.severity, SEVERITIES.indexOf(item.severity), item.policy,
    JSON.stringify(item.triggered_rules), JSON.stringify(item.classifier_results), item.action, item.double_blind ? 1 : 0, item.created_at, item.due_at, item.hold_until,
  );
  return rows.length === 1;
}

async function afterVerdict(query: SqlQuery, reviewId: string, resolution: Resolution | undefined, at: string): Promise<ReviewItem> {
  if (resolution !== undefined) await endPages(query, reviewId, at);
  const rows = resolution !== undefined
    ? await query<Row>(`update review_items set status = 'resolved', resolution = $2, resolved_at = $3, claimed_until = null, hold_outcome = case when hold_until is not null and hold_outcome is null then $2 else hold_outcome end where review_id = $1 returning ${COLUMNS}`, reviewId, resolution, at)
    : await query<Row>(`update review_items set status = 'pending', reviewer_id = null, claimed_until = null where review_id = $1 returning ${COLUMNS}`, reviewId);
  return readItem(rows[0]!);
}

async function verdictsOf(query: SqlQuery, reviewId: string, round: number): Promise<readonly { readonly resolution: Resolution }[]> {
  return query<{ readonly resolution: Resolution }>('select resolution from review_verdicts where review_id = $1 and round = $2 order by created_at, reviewer_id', reviewId, round);
}

/** Conditions that all hold, with their values in order. */
class Where {
  readonly values: SqlValue[] = [];
  readonly #parts: string[] = [];

  get text(): string {
    return this.#parts.length === 0 ? '' : `where ${this.#parts.join(' and ')}`;
  }

  add(write: (next: (value: SqlValue) => string) => string): void {
    this.#parts.push(write((value) => `$${this.values.push(value)}`));
  }

  /** False where there are none. */
  among(column: string, values: readonly string[]): void {
    this.add((next) => (values.length === 0 ? '1 = 0' : values.length === 1 ? `${column} = ${next(values[0]!)}` : `${column} in (${values.map(next).join(', ')})`));
  }
}

/** Whose claim ran out is nobody's reviewer, though it may still decide while nobody else has come. */
function readItem({ fence: _, ...row }: Row): ReviewItem {
  return {
    ...row, reviewer_id: row.status === 'pending' ? null : row.reviewer_id, triggered_rules: JSON.parse(String(row.triggered_rules)), classifier_results: JSON.parse(String(row.classifier_results)), double_blind: Number(row.double_blind) === 1, round: Number(row.round),
  } as ReviewItem;
}

type VerdictRow = { readonly [column in keyof Verdict]: SqlValue };

function readVerdict(row: VerdictRow): Verdict {
  return { ...row, round: Number(row.round), categories: JSON.parse(String(row.categories)) } as Verdict;
}

export const isResolution = (value: unknown): value is Resolution => RESOLUTIONS.some((one) => one === value);
