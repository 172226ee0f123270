/**
 * The port to what a tenant's weekly report tells beside its decisions: what came to the review queue within a time and what
 * people made of it, objections, and what was changed of policies and models. Reads alone, each along an index, and holds
 * names and numbers, never content and never a reviewer. What is decided has `resolved_at`, and only that. Rejects with WeirError store_unavailable when the store does not
 * answer. Times are ISO 8601 in UTC, which compare as text; `until` is not in the time.
 */
import type { Resolution, ReviewOrigin } from '../contract/review.ts';
import type { Action, Severity } from '../contract/screening.ts';
import type { OutcomeRow } from './review-outcomes.ts';
import type { SqlValue, StoreDatabase } from './sql.ts';

export interface FactsPeriod {
  readonly from: string;
  readonly until: string;
}

export interface OpenedRow {
  readonly origin: ReviewOrigin;
  readonly severity: Severity;
  readonly total: number;
}

/** An item that people decided. */
export interface ResolvedRow {
  readonly resolution: Resolution;
  /** When it came in; of one that somebody objected to, when they did. */
  readonly since: string;
  readonly resolved_at: string;
}

/** So many decided items to which somebody had objected are the same in all of this. */
export interface AppealRow {
  readonly action: Action;
  readonly hold_outcome: string | null;
  readonly hold_then: Action | null;
  readonly resolution: Resolution;
  /** How the round before the objection ended; null: nobody had decided. */
  readonly prior_resolution: Resolution | null;
  readonly total: number;
}

export interface PolicyChangeRow {
  readonly policy: string;
  readonly number: number;
  readonly is_retired: boolean;
  readonly author: string;
  readonly created_at: string;
}

export interface ModelChangeRow {
  readonly plugin: string;
  readonly number: number;
  readonly change: 'promote' | 'rollback';
  /** Null: what the plugin ships. */
  readonly model_id: string | null;
  readonly sha256: string;
  readonly from_model_id: string | null;
  readonly created_at: string;
}

/** Decided items whose times are looked at, the newest; of more the rest is told. */
export const RESOLVED_MAX = 20_000;
const OUTCOMES_MAX = 5_000;
const CHANGES_MAX = 500;
type Row = Readonly<Record<string, SqlValue>>;

/** Objections to the round in which an item stands. */
const OBJECTED = 'from review_appeals a where a.review_id = i.review_id and a.round = i.round';

export class SqlReportFacts {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async opened(tenantId: string, { from, until }: FactsPeriod): Promise<readonly OpenedRow[]> {
    const rows = await this.#database.query<Row>('select origin, severity, count(*) as total from review_items where tenant_id = $1 and created_at >= $2 and created_at < $3 group by origin, severity order by origin, severity', tenantId, from, until);
    return rows.map((row) => ({ ...row, total: Number(row['total']) }) as OpenedRow);
  }

  /** Newest first, at most `RESOLVED_MAX`. */
  async resolved(tenantId: string, { from, until }: FactsPeriod): Promise<readonly ResolvedRow[]> {
    return this.#database.query<ResolvedRow>(
      `select i.resolution, coalesce((select max(a.created_at) ${OBJECTED}), i.created_at) as since, i.resolved_at from review_items i
       where i.tenant_id = $1 and i.resolved_at >= $2 and i.resolved_at < $3 order by i.resolved_at desc, i.review_id limit ${RESOLVED_MAX}`, tenantId, from, until,
    );
  }

  async resolvedCount(tenantId: string, { from, until }: FactsPeriod): Promise<number> {
    return this.#count(`select count(*) as total from review_items where tenant_id = $1 and resolved_at >= $2 and resolved_at < $3`, tenantId, from, until);
  }

  /** Decided within the time, as they stand, by what the machine knew and did. */
  async outcomes(tenantId: string, { from, until }: FactsPeriod): Promise<readonly OutcomeRow[]> {
    const rows = await this.#database.query<Row>(
      `select policy, triggered_rules, near_rules, origin, action, resolution, count(*) as count from review_items where tenant_id = $1 and resolved_at >= $2 and resolved_at < $3
       group by policy, triggered_rules, near_rules, origin, action, resolution order by count desc, policy, triggered_rules, near_rules, origin, action, resolution limit ${OUTCOMES_MAX}`, tenantId, from, until,
    );
    return rows.map((row) => ({ ...row, triggered_rules: JSON.parse(String(row['triggered_rules'])), near_rules: JSON.parse(String(row['near_rules'])), count: Number(row['count']) }) as unknown as OutcomeRow);
  }

  /** Items that nobody had decided when they were due, which was within the time. */
  overdue(tenantId: string, { from, until }: FactsPeriod): Promise<number> {
    return this.#count('select count(*) as total from review_items where tenant_id = $1 and due_at >= $2 and due_at < $3 and (resolved_at is null or resolved_at > due_at)', tenantId, from, until);
  }

  /** Items that had come in and that nobody had decided then. */
  openAt(tenantId: string, at: string): Promise<number> {
    // Few are open: along the index of those, which SQLite does not take while another could tell the time.
    return this.#count(
      `select (select count(*) from review_items where status in ('pending', 'in_review') and tenant_id = $1 and (created_at || '') < $2) + (select count(*) from review_items where tenant_id = $1 and resolved_at >= $2 and created_at < $2) as total`, tenantId, at,
    );
  }

  appealsMade(tenantId: string, { from, until }: FactsPeriod): Promise<number> {
    return this.#count('select count(*) as total from review_appeals a cross join review_items i where i.review_id = a.review_id and i.tenant_id = $1 and a.created_at >= $2 and a.created_at < $3', tenantId, from, until);
  }

  async appealsDecided(tenantId: string, { from, until }: FactsPeriod): Promise<readonly AppealRow[]> {
    const rows = await this.#database.query<Row>(
      `select i.action, i.hold_outcome, i.hold_then, i.resolution, i.prior_resolution, count(*) as total from review_items i
       where i.tenant_id = $1 and i.resolved_at >= $2 and i.resolved_at < $3 and exists (select 1 ${OBJECTED})
       group by i.action, i.hold_outcome, i.hold_then, i.resolution, i.prior_resolution order by i.action, i.hold_outcome, i.hold_then, i.resolution, i.prior_resolution`, tenantId, from, until,
    );
    return rows.map((row) => ({ ...row, total: Number(row['total']) }) as AppealRow);
  }

  /** From the objection to the verdict, of objections that were decided within the time. */
  async appealTimes(tenantId: string, { from, until }: FactsPeriod): Promise<readonly Omit<ResolvedRow, 'resolution'>[]> {
    return this.#database.query(
      `select (select max(a.created_at) ${OBJECTED}) as since, i.resolved_at from review_items i
       where i.tenant_id = $1 and i.resolved_at >= $2 and i.resolved_at < $3 and exists (select 1 ${OBJECTED}) order by i.resolved_at desc, i.review_id limit ${RESOLVED_MAX}`, tenantId, from, until,
    );
  }

  /** Of stored policies, oldest first. */
  async policyChanges(policies: readonly string[], { from, until }: FactsPeriod): Promise<readonly PolicyChangeRow[]> {
    if (policies.length === 0) return [];
    const rows = await this.#database.query<Row>(
      `select policy, number, case when source is null then 1 else 0 end as is_retired, author, created_at from policy_revisions
       where policy in (${policies.map((_, at) => `$${at + 3}`).join(', ')}) and created_at >= $1 and created_at < $2 order by created_at, policy, number limit ${CHANGES_MAX}`, from, until, ...policies,
    );
    return rows.map((row) => ({ policy: String(row['policy']), number: Number(row['number']), is_retired: Number(row['is_retired']) === 1, author: String(row['author']), created_at: String(row['created_at']) }));
  }

  /** Of all plugins, oldest first. */
  async modelChanges({ from, until }: FactsPeriod): Promise<readonly ModelChangeRow[]> {
    const rows = await this.#database.query<ModelChangeRow>(`select plugin, number, change, model_id, sha256, from_model_id, created_at from learn_switches where created_at >= $1 and created_at < $2 order by created_at, plugin, number limit ${CHANGES_MAX}`, from, until);
    return rows.map((row) => ({ ...row, number: Number(row.number) }));
  }

  async #count(sql: string, ...values: readonly SqlValue[]): Promise<number> {
    const [row] = await this.#database.query<{ readonly total: SqlValue }>(sql, ...values);
    return Number(row?.total ?? 0);
  }
}
