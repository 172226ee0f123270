/**
 * The port to weekly trainings: one row for each time at which one was due. Whoever has it keeps it by renewing; who does
 * not is gone, and another takes it, a few times at most. What ended is never begun again. Rejects with WeirError
 * store_unavailable. Times are ISO 8601 in UTC, which compare as text.
 */
import { isTaken, type StoreDatabase } from './sql.ts';

export const RUN_STATES = ['running', 'done', 'failed'] as const;

export interface LearnRun {
  readonly due: string;
  readonly state: (typeof RUN_STATES)[number];
  readonly owner: string;
  readonly lease_until: string;
  readonly attempts: number;
  readonly started_at: string;
  readonly ended_at: string | null;
  /** In words. */
  readonly detail: string;
}

export interface RunClaim {
  readonly due: string;
  readonly owner: string;
  readonly now: string;
  readonly until: string;
  readonly attemptsMax: number;
}

const COLUMNS = 'due, state, owner, lease_until, attempts, started_at, ended_at, detail';

export class SqlLearnRuns {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** True: the caller has it until then. */
  async claim({ due, owner, now, until, attemptsMax }: RunClaim): Promise<boolean> {
    const taken = await this.#database.query('update learn_runs set owner = $2, lease_until = $4, attempts = attempts + 1 where due = $1 and state = $6 and lease_until < $3 and attempts < $5 returning due', due, owner, now, until, attemptsMax, 'running');
    if (taken.length > 0) return true;
    try {
      return (await this.#database.query(`insert into learn_runs (${COLUMNS}) select cast($1 as text), 'running', cast($2 as text), cast($4 as text), 1, cast($3 as text), null, '' where not exists (select 1 from learn_runs where due = cast($1 as text)) returning due`, due, owner, now, until)).length > 0;
    } catch (error) {
      if (isTaken(error)) return false;
      throw error;
    }
  }

  /** False: somebody else has it by now. */
  async renew(due: string, owner: string, until: string): Promise<boolean> {
    return (await this.#database.query(`update learn_runs set lease_until = $3 where due = $1 and owner = $2 and state = 'running' returning due`, due, owner, until)).length > 0;
  }

  async end(due: string, owner: string, state: 'done' | 'failed', at: string, detail: string): Promise<void> {
    await this.#database.query('update learn_runs set state = $3, ended_at = $4, detail = $5 where due = $1 and owner = $2', due, owner, state, at, detail);
  }

  async newest(): Promise<LearnRun | undefined> {
    const [row] = await this.#database.query<LearnRun>(`select ${COLUMNS} from learn_runs order by due desc limit 1`);
    return row;
  }
}
