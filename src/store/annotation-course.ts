/**
 * What campaigns drew and people said of it over time, from a database of either kind: counts by day, read in pieces that
 * keep nobody waiting, however many there are; how fast labels come; the newest that were judged. Reads alone. Days are UTC,
 * of the moment when a text was drawn.
 */
import type { AnnotationTask } from '../contract/risk.ts';
import { outcomeOf, readTask, TASK_COLUMNS, type TaskOutcome, type TaskRow } from './annotation-tasks.ts';
import type { SqlValue, StoreDatabase } from './sql.ts';

/** So many of a day are alike. */
export interface DayCell {
  /** `2030-01-31` */
  readonly day: string;
  readonly tenant_id: string;
  readonly stratum: string;
  readonly inclusion_probability: number;
  readonly outcome: TaskOutcome;
  /** Of a violation, else empty. */
  readonly category: string;
  readonly total: number;
}

/** What was judged or found missing, and when. */
export interface Settled {
  readonly at: string;
  readonly isLabelled: boolean;
}

/** Tasks of one piece: some ten milliseconds of SQLite. */
export const PIECE_TASKS = 2_048;
/** Of the newest judged ones, those among which some of one label are looked for. */
export const JUDGED_LOOKED_AT = 20_000;

type CellRow = Readonly<Record<'day' | 'tenant_id' | 'stratum' | 'inclusion_probability' | 'status' | 'human_label' | 'violation_category' | 'total', SqlValue>>;

export class SqlAnnotationCourse {
  readonly #database: StoreDatabase;
  readonly #pieceTasks: number;

  constructor(database: StoreDatabase, { pieceTasks = PIECE_TASKS }: { readonly pieceTasks?: number } = {}) {
    this.#database = database;
    this.#pieceTasks = pieceTasks;
  }

  /** Piece by piece, oldest first; a day may come in several of them. */
  async *days(campaign: string): AsyncGenerator<readonly DayCell[]> {
    const { query } = this.#database;
    for (let after: readonly [string, string] | undefined = ['', '']; after !== undefined; ) {
      const [end]: readonly { readonly created_at: string; readonly task_id: string }[] = await query(`select created_at, task_id from risk_tasks where campaign = $1 and (created_at, task_id) > ($2, $3) order by created_at, task_id limit 1 offset ${this.#pieceTasks - 1}`, campaign, ...after);
      const rows: readonly CellRow[] = await query<CellRow>(
        `select substr(created_at, 1, 10) as day, tenant_id, stratum, inclusion_probability, status, human_label, violation_category, count(*) as total from risk_tasks
         where campaign = $1 and (created_at, task_id) > ($2, $3) ${end === undefined ? '' : 'and (created_at, task_id) <= ($4, $5)'} group by 1, 2, 3, 4, 5, 6, 7 order by 1, 2, 3, 4, 5, 6, 7`,
        campaign, ...after, ...(end === undefined ? [] : [end.created_at, end.task_id]),
      );
      yield rows.map(readCell);
      after = end && [end.created_at, end.task_id];
    }
  }

  /** Newest first. */
  async settled(campaign: string, limit: number): Promise<readonly Settled[]> {
    const rows = await this.#database.query<Readonly<Record<'settled_at' | 'status', SqlValue>>>(`select settled_at, status from risk_tasks where campaign = $1 and settled_at is not null order by settled_at desc, task_id desc limit ${Math.trunc(limit)}`, campaign);
    return rows.map(({ settled_at: at, status }) => ({ at: String(at), isLabelled: status === 'labelled' }));
  }

  /** The newest with this label, of the newest `JUDGED_LOOKED_AT` that were judged. */
  async judged(campaign: string, label: 'safe' | 'violation', limit: number): Promise<readonly AnnotationTask[]> {
    const newest = `select ${TASK_COLUMNS.join(', ')} from risk_tasks where campaign = $1 and settled_at is not null order by settled_at desc, task_id desc limit ${JUDGED_LOOKED_AT}`;
    return (await this.#database.query<TaskRow>(`select ${TASK_COLUMNS.join(', ')} from (${newest}) newest where human_label = $2 order by settled_at desc, task_id desc limit ${Math.trunc(limit)}`, campaign, label)).map(readTask);
  }

  /** When the first and the last were drawn. Undefined where nothing was. */
  async drawnBetween(campaign: string): Promise<{ readonly from: string; readonly until: string } | undefined> {
    const edge = async (order: '' | ' desc'): Promise<string | undefined> => (await this.#database.query<{ readonly created_at: string }>(`select created_at from risk_tasks where campaign = $1 order by created_at${order}, task_id${order} limit 1`, campaign))[0]?.created_at;
    const [from, until] = [await edge(''), await edge(' desc')];
    return from === undefined || until === undefined ? undefined : { from, until };
  }
}

function readCell({ day, tenant_id, stratum, inclusion_probability, status, human_label, violation_category, total }: CellRow): DayCell {
  return {
    day: String(day), tenant_id: String(tenant_id), stratum: String(stratum), inclusion_probability: Number(inclusion_probability), category: String(violation_category ?? ''), total: Number(total),
    outcome: outcomeOf({ status, human_label } as Pick<AnnotationTask, 'status' | 'human_label'>),
  };
}
