/**
 * The port to how people judged and keep up: decided items counted by what the machine knew and did, and by what people
 * said; how many wait, are overdue, and were decided of late. Reads alone, along indexes, and no item is read whole. Rejects
 * with WeirError store_unavailable when the store does not answer.
 */
import type { Resolution, ReviewOrigin } from '../contract/review.ts';
import { SEVERITIES, type Action } from '../contract/screening.ts';
import { countOpen, type Depth } from './review-depth.ts';
import type { SqlValue, StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

/** So many decided items are the same in all of this. */
export interface OutcomeRow {
  /** `id@revision` */
  readonly policy: string;
  readonly triggered_rules: readonly string[];
  readonly near_rules: readonly string[];
  readonly origin: ReviewOrigin;
  readonly action: Action;
  readonly resolution: Resolution;
  readonly count: number;
}

/** Of these tenants; undefined: of all. */
export interface PaceQuestion {
  readonly tenants: readonly string[] | undefined;
  readonly since: string;
  /** Before it. */
  readonly until: string;
  readonly now: string;
  /** Decided items that are told of at most, the newest. */
  readonly limit: number;
}

export interface QueuePace {
  /** Items that nobody has decided. */
  readonly waiting: Depth;
  /** Of them those that should have been. */
  readonly overdue: number;
  readonly decided: readonly { readonly resolution: Resolution; readonly created_at: string; readonly due_at: string; readonly resolved_at: string }[];
}

export class SqlOutcomeStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** Of items that were decided since, as they stand; the most first. */
  async outcomes(since: string, tenants: readonly string[] | undefined, limit: number): Promise<readonly OutcomeRow[]> {
    if (tenants?.length === 0) return [];
    const among = tenants === undefined ? '' : `and tenant_id in (${tenants.map((_, i) => `$${i + 2}`).join(', ')})`;
    const rows = await this.#database.query<Readonly<Record<keyof OutcomeRow, SqlValue>>>(
      `select policy, triggered_rules, near_rules, origin, action, resolution, count(*) as count from review_items where status = 'resolved' and resolved_at >= $1 ${among}
       group by policy, triggered_rules, near_rules, origin, action, resolution order by count desc, policy, triggered_rules limit ${Math.trunc(limit)}`,
      since, ...(tenants ?? []),
    );
    return rows.map((row) => ({ ...row, triggered_rules: JSON.parse(String(row.triggered_rules)), near_rules: JSON.parse(String(row.near_rules)), count: Number(row.count) }) as OutcomeRow);
  }

  async pace({ tenants, since, until, now, limit }: PaceQuestion): Promise<QueuePace> {
    const [waiting, overdue, decided] = await Promise.all([
      countOpen(this.#database.query, { tenants }), countOpen(this.#database.query, { tenants, dueBefore: now }), this.#decided(tenants, since, until, limit),
    ]);
    return { waiting, overdue: SEVERITIES.reduce((sum, severity) => sum + overdue[severity], 0), decided };
  }

  #decided(tenants: readonly string[] | undefined, since: string, until: string, limit: number): Promise<QueuePace['decided']> {
    const where = new Where();
    where.add((next) => `status = 'resolved' and resolved_at >= ${next(since)}`);
    where.add((next) => `resolved_at < ${next(until)}`);
    if (tenants !== undefined) where.among('tenant_id', tenants);
    return this.#database.query(`select resolution, created_at, due_at, resolved_at from review_items ${where.text} order by resolved_at desc limit ${Math.trunc(limit)}`, ...where.values);
  }
}
