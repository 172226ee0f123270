/**
 * The port to weekly reports that are due: one row for each tenant and week, so that a report goes out once, whichever of a
 * fleet is first and whatever restarts in between. Whoever has a row keeps it by renewing; who does not is gone, and another
 * takes it up. What failed waits until it is to be tried again, a few times at most; what ended is never begun again.
 * Rejects with WeirError store_unavailable. Times are ISO 8601 in UTC, which compare as text.
 */
import { isTaken, type SqlValue, type StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

export const WEEKLY_STATES = ['running', 'waiting', 'done', 'failed'] as const;

export interface WeeklyRun {
  readonly tenant_id: string;
  /** `2030-W05` */
  readonly week: string;
  readonly state: (typeof WEEKLY_STATES)[number];
  readonly owner: string;
  /** Until when it is its owner's, or when it is to be tried again. */
  readonly next_at: string;
  readonly attempts: number;
  readonly started_at: string;
  /** When it was where it is delivered to; null: not yet, or nowhere. */
  readonly written_at: string | null;
  readonly sent_at: string | null;
  /** Of what was delivered first; empty: nothing was. */
  readonly findings_sha256: string;
  readonly ended_at: string | null;
  /** In words. */
  readonly detail: string;
}

export interface WeeklyClaim {
  readonly tenantId: string;
  readonly week: string;
  readonly owner: string;
  readonly now: string;
  readonly until: string;
}

/** What of a run is known better now. */
export type WeeklyProgress = Partial<Pick<WeeklyRun, 'state' | 'next_at' | 'written_at' | 'sent_at' | 'findings_sha256' | 'ended_at' | 'detail'>>;

const COLUMNS = 'tenant_id, week, state, owner, next_at, attempts, started_at, written_at, sent_at, findings_sha256, ended_at, detail';
type Row = { readonly [column in keyof WeeklyRun]: SqlValue };

export class SqlWeeklyRuns {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** As it is the caller's from now on. Undefined: somebody else has it, or it ended, or is to wait. */
  async claim({ tenantId, week, owner, now, until }: WeeklyClaim): Promise<WeeklyRun | undefined> {
    const [again] = await this.#database.query<Row>(`update weekly_reports set state = 'running', owner = $3, next_at = $5, attempts = attempts + 1 where tenant_id = $1 and week = $2 and state in ('running', 'waiting') and next_at <= $4 returning ${COLUMNS}`, tenantId, week, owner, now, until);
    if (again !== undefined) return runOf(again);
    try {
      const [fresh] = await this.#database.query<Row>(
        `insert into weekly_reports (${COLUMNS}) select cast($1 as text), cast($2 as text), 'running', cast($3 as text), cast($5 as text), 1, cast($4 as text), null, null, '', null, '' where not exists (select 1 from weekly_reports where tenant_id = cast($1 as text) and week = cast($2 as text)) returning ${COLUMNS}`, tenantId, week, owner, now, until,
      );
      return fresh && runOf(fresh);
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
  }

  /** False: it is somebody else's by now. */
  async note({ tenant_id: tenantId, week, owner }: Pick<WeeklyRun, 'tenant_id' | 'week' | 'owner'>, progress: WeeklyProgress): Promise<boolean> {
    const names = Object.keys(progress) as (keyof WeeklyProgress)[];
    const values = names.map((name) => progress[name] ?? null);
    return (await this.#database.query(`update weekly_reports set ${names.map((name, at) => `${name} = $${at + 4}`).join(', ')} where tenant_id = $1 and week = $2 and owner = $3 and state = 'running' returning week`, tenantId, week, owner, ...values)).length > 0;
  }

  /** Of a week, by tenant. */
  async ofWeek(week: string): Promise<readonly WeeklyRun[]> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from weekly_reports where week = $1 order by tenant_id`, week)).map(runOf);
  }

  /** Of these tenants and weeks from that one on; `tenants` absent: of all. */
  async since(week: string, tenants: readonly string[] | undefined): Promise<readonly WeeklyRun[]> {
    const where = new Where();
    where.add((next) => `week >= ${next(week)}`);
    if (tenants !== undefined) where.among('tenant_id', tenants);
    return (await this.#database.query<Row>(`select ${COLUMNS} from weekly_reports ${where.text} order by week desc, tenant_id`, ...where.values)).map(runOf);
  }

  /** The oldest week of which something is not ended; where all is, the newest. Undefined: there is none. */
  async goingOnFrom(): Promise<string | undefined> {
    const [row] = await this.#database.query<{ readonly open: string | null; readonly newest: string | null }>(`select (select min(week) from weekly_reports where state in ('running', 'waiting')) as open, max(week) as newest from weekly_reports`);
    return row?.open ?? row?.newest ?? undefined;
  }
}

function runOf(row: Row): WeeklyRun {
  return { ...row, attempts: Number(row.attempts) } as WeeklyRun;
}
