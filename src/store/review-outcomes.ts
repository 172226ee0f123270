/**
 * The port to how people judged: decided items counted by what the machine knew and did, and by what people said. Reads
 * alone. Rejects with WeirError store_unavailable when the store does not answer.
 */
import type { Resolution, ReviewOrigin } from '../contract/review.ts';
import type { Action } from '../contract/screening.ts';
import type { SqlValue, StoreDatabase } from './sql.ts';

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
}
