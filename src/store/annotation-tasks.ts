/**
 * Tasks of residual-risk campaigns in a database of either kind: what was drawn, what is known of it, and how many there
 * are of each kind, counted in the transaction that changes them. Guarantees: what was drawn is a task once, however often
 * it comes; a log's place moves with the tasks that it gave; the counts are those of the tasks. Statements alone; who may
 * label what is annotations'.
 */
import { createHash } from 'node:crypto';
import type { AnnotationTask, HumanLabel, MissingReason } from '../contract/risk.ts';
import { insertMany } from './insert-many.ts';
import type { SqlQuery, SqlValue } from './sql.ts';

export type NewTask = Omit<AnnotationTask, 'status' | 'human_label' | 'violation_category' | 'missing_reason' | 'settled_at'>;

/** How far a log is looked through: entries before `next`, the last of which has the hash `head`. */
export interface LogCursor {
  readonly log: string;
  readonly next: number;
  readonly head: string;
}

export const OUTCOMES_OF_TASKS = ['waiting', 'safe', 'violation', 'missing'] as const;
export type TaskOutcome = (typeof OUTCOMES_OF_TASKS)[number];

/** So many tasks are alike. */
export interface TaskCell extends Pick<AnnotationTask, 'campaign' | 'tenant_id' | 'product' | 'direction' | 'modality' | 'stratum' | 'inclusion_probability' | 'automated_filter_result'> {
  readonly outcome: TaskOutcome;
  /** Of a violation, else empty. */
  readonly category: string;
  readonly total: number;
}

export type TaskRow = { readonly [column in keyof AnnotationTask]: SqlValue } & { readonly given: SqlValue; readonly disputed: SqlValue };

export const TASK_COLUMNS = ['task_id', 'campaign', 'tenant_id', 'product', 'request_id', 'started_at', 'direction', 'stratum', 'inclusion_probability', 'automated_filter_result', 'modality', 'wanted', 'given', 'disputed', 'status', 'human_label', 'violation_category', 'missing_reason', 'created_at', 'settled_at'] as const;
const KEYS = ['campaign', 'tenant_id', 'product', 'direction', 'modality', 'stratum', 'inclusion_probability', 'automated_filter_result'] as const;
const CELL_COLUMNS = [...KEYS, 'outcome', 'category', 'total'] as const;

/** The same wherever and however often it is asked. */
export function taskIdOf(campaign: string, requestId: string, direction: string): string {
  return `task_${createHash('sha256').update(JSON.stringify([campaign, requestId, direction])).digest('hex').slice(0, 32)}`;
}

/** Those that were not there before. */
export async function insertTasks(query: SqlQuery, tasks: readonly NewTask[]): Promise<number> {
  const rows = tasks.map((task) => TASK_COLUMNS.map((column): SqlValue => (column === 'given' || column === 'disputed' ? 0 : column === 'status' ? 'waiting' : ((task as unknown as Record<string, SqlValue>)[column] ?? null))));
  const added = await insertMany<TaskRow>(query, 'risk_tasks', TASK_COLUMNS, rows, `on conflict do nothing returning ${TASK_COLUMNS.join(', ')}`);
  const cells = new Map<string, { readonly task: AnnotationTask; count: number }>();
  for (const task of added.map(readTask)) {
    const key = JSON.stringify(KEYS.map((name) => task[name]));
    const known = cells.get(key);
    if (known === undefined) cells.set(key, { task, count: 1 });
    else known.count++;
  }
  for (const [, { task, count }] of [...cells].sort(([a], [b]) => (a < b ? -1 : 1))) await addToCell(query, task, 'waiting', '', count);
  return added.length;
}

/** The task has this outcome from now on, and its counts with it. */
export async function moveTask(query: SqlQuery, task: AnnotationTask, to: { readonly outcome: TaskOutcome; readonly category?: string | null; readonly reason?: MissingReason | null; readonly at: string | null }): Promise<void> {
  const label = to.outcome === 'safe' || to.outcome === 'violation' ? to.outcome : null;
  const category = to.outcome === 'violation' ? (to.category ?? null) : null;
  await query(
    'update risk_tasks set status = $2, human_label = $3, violation_category = $4, missing_reason = $5, settled_at = $6 where task_id = $1',
    task.task_id, label !== null ? 'labelled' : to.outcome, label, category, to.reason ?? null, to.outcome === 'waiting' ? null : to.at,
  );
  const changes = [{ outcome: outcomeOf(task), category: task.violation_category ?? '', by: -1 }, { outcome: to.outcome, category: category ?? '', by: 1 }] as const;
  // In one order, so that who moves the other way is not waited for by turns.
  for (const one of changes.toSorted((a, b) => (`${a.outcome} ${a.category}` < `${b.outcome} ${b.category}` ? -1 : 1))) await addToCell(query, task, one.outcome, one.category, one.by);
}

/** The oldest tasks of a campaign with all that belongs to them, and their counts. How many. */
export async function dropTasks(query: SqlQuery, campaign: string, limit: number): Promise<number> {
  const ids = (await query<{ readonly task_id: string }>(`select task_id from risk_tasks where campaign = $1 order by created_at, task_id limit ${Math.trunc(limit)}`, campaign)).map(({ task_id: id }) => id);
  if (ids.length === 0) return 0;
  const among = `task_id in (${ids.map((_, at) => `$${at + 1}`).join(', ')})`;
  // Who labels takes an annotation before its task, who gives one out a task before its annotation.
  for (const table of ['risk_annotations', 'risk_nearest']) await query(`delete from ${table} where ${among}`, ...ids);
  const gone = (await query<TaskRow>(`delete from risk_tasks where ${among} returning ${TASK_COLUMNS.join(', ')}`, ...ids)).map(readTask);
  await query(`delete from risk_annotations where ${among}`, ...ids);
  const cells = Map.groupBy(gone, (task) => JSON.stringify([...KEYS.map((name) => task[name]), outcomeOf(task), task.violation_category ?? '']));
  for (const [, alike] of [...cells].sort(([a], [b]) => (a < b ? -1 : 1))) await addToCell(query, alike[0]!, outcomeOf(alike[0]!), alike[0]!.violation_category ?? '', -alike.length);
  await query('delete from risk_cells where campaign = $1 and total = 0', campaign);
  return gone.length;
}

export function outcomeOf({ status, human_label: label }: Pick<AnnotationTask, 'status' | 'human_label'>): TaskOutcome {
  return status === 'labelled' ? (label as HumanLabel) : status;
}

async function addToCell(query: SqlQuery, task: AnnotationTask, outcome: TaskOutcome, category: string, count: number): Promise<void> {
  await query(
    `insert into risk_cells (${CELL_COLUMNS.join(', ')}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
     on conflict (${CELL_COLUMNS.slice(0, -1).join(', ')}) do update set total = risk_cells.total + excluded.total`,
    ...KEYS.map((name) => task[name]), outcome, category, count,
  );
}

export async function readCells(query: SqlQuery, campaign?: string): Promise<readonly TaskCell[]> {
  const rows = await query<{ readonly [column in keyof TaskCell]: SqlValue }>(`select ${CELL_COLUMNS.join(', ')} from risk_cells where total > 0 ${campaign === undefined ? '' : 'and campaign = $1'} order by ${CELL_COLUMNS.slice(0, -1).join(', ')}`, ...(campaign === undefined ? [] : [campaign]));
  return rows.map((row) => ({ ...row, inclusion_probability: Number(row.inclusion_probability), total: Number(row.total) }) as TaskCell);
}

export async function readCursor(query: SqlQuery, log: string): Promise<LogCursor | undefined> {
  const [row] = await query<{ readonly [column in keyof LogCursor]: SqlValue }>('select log, next, head from risk_cursors where log = $1', log);
  return row && { log, next: Number(row.next), head: String(row.head) };
}

export async function moveCursor(query: SqlQuery, { log, next, head }: LogCursor): Promise<void> {
  await query('insert into risk_cursors (log, next, head) values ($1, $2, $3) on conflict (log) do update set next = excluded.next, head = excluded.head', log, next, head);
}

export function readTask({ given: _, disputed: __, ...row }: TaskRow): AnnotationTask {
  return { ...row, inclusion_probability: Number(row.inclusion_probability), wanted: Number(row.wanted) } as AnnotationTask;
}
