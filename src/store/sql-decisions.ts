/**
 * What was decided, in SQL: rows and counts are written many to a statement, logs take their turn by comparing where they
 * stand. Searching is in decision-search.ts.
 */
import { addCounts, readCounts } from './decision-counts.ts';
import { DECISION_COLUMNS, decisionId, labelsOf, LOGS_MAX, placeOf, readRow, requestKey, type DecisionRow, type StoredRow } from './decision-rows.ts';
import { searchDecisions } from './decision-search.ts';
import { insertMany } from './insert-many.ts';
import { LOOKED_MAX, type Counts, type CountsQuestion, type DecisionPage, type DecisionQuestion, type DecisionStore, type LogIdentity, type LogPosition, type Span } from './decisions.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

const INSERTED = [...DECISION_COLUMNS, 'request_key', 'input_action', 'output_action', 'late_action'] as const;
const LABEL_COLUMNS = ['decision_id', 'label', 'tenant_id', 'at_ms'] as const;
/** The head of a log while rows of it are taken back: no hash of an entry, so that it is mended again where it was cut short. */
const UNFINISHED = '-';
/** How often a new log is given another number where somebody else was quicker. */
const TRIES = 20;

type PositionRow = Readonly<Record<'log_id' | 'next_index' | 'shipped' | 'head', SqlValue>>;

export class SqlDecisionStore implements DecisionStore {
  readonly batchEntries = 256;
  readonly #database: StoreDatabase;
  readonly #lookedMax: number;
  /** By number; a log keeps its name. */
  readonly #names = new Map<number, string>();

  /** `lookedMax`: rows that one search looks at. */
  constructor(database: StoreDatabase, { lookedMax = LOOKED_MAX }: { readonly lookedMax?: number } = {}) {
    this.#database = database;
    this.#lookedMax = lookedMax;
  }

  async position({ log, name, shipped }: LogIdentity): Promise<LogPosition> {
    for (let tried = 0; tried < TRIES; tried++) {
      const [row] = await this.#database.query<PositionRow>('select log_id, next_index, shipped, head from decision_logs where log = $1', log);
      if (row !== undefined) return positionOf(row);
      const [{ free } = { free: 1 }] = await this.#database.query<{ readonly free: SqlValue }>('select coalesce(max(log_id), 0) + 1 as free from decision_logs');
      if (Number(free) > LOGS_MAX) throw new RangeError(`${LOGS_MAX} audit logs are indexed already`);
      await this.#database.query(`insert into decision_logs (log_id, log, name, shipped, next_index, head) values ($1, $2, $3, $4, 0, '') on conflict do nothing`, Number(free), log, name, shipped ? 1 : 0);
    }
    throw new RangeError(`the audit log ${name} found no number`);
  }

  take(at: LogPosition, rows: readonly DecisionRow[], next: number, head: string): Promise<LogPosition | undefined> {
    return this.#database.transaction(async (query) => {
      if (!(await moved(query, at, next, head))) return undefined;
      await insertRows(query, rows);
      await addCounts(query, rows, 1);
      return { ...at, next, head };
    });
  }

  takeBack({ logId, next }: LogPosition, index: number, head: string, limit: number): Promise<number> {
    return this.#database.transaction(async (query) => {
      const rows = (await query<StoredRow>(`select ${DECISION_COLUMNS.join(', ')} from decisions where decision_id >= $1 and decision_id < $2 order by decision_id desc limit ${Math.trunc(limit)}`, decisionId(logId, index), decisionId(logId + 1, 0))).map(readRow);
      const isLast = rows.length < limit;
      const to = isLast ? index : placeOf(rows.at(-1)!.decision_id).index;
      const [held] = await query<PositionRow>('update decision_logs set next_index = $2, head = $3 where log_id = $1 and next_index >= $2 and next_index <= $4 returning log_id', logId, to, isLast ? head : UNFINISHED, next);
      if (held === undefined) return 0;
      await addCounts(query, rows, -1);
      await removeRows(query, rows.map((row) => row.decision_id));
      return rows.length;
    });
  }

  async marks(logId: number, below: number, limit: number): Promise<readonly { readonly index: number; readonly mark: number }[]> {
    const rows = await this.#database.query<Readonly<Record<'decision_id' | 'mark', SqlValue>>>(`select decision_id, mark from decisions where decision_id >= $1 and decision_id < $2 order by decision_id desc limit ${Math.trunc(limit)}`, decisionId(logId, 0), decisionId(logId, below));
    return rows.map((row) => ({ index: placeOf(Number(row.decision_id)).index, mark: Number(row.mark) }));
  }

  async search(question: DecisionQuestion): Promise<DecisionPage> {
    const logId = question.logName === undefined ? undefined : await this.#logId(question.logName);
    if (question.logName !== undefined && logId === undefined) return { rows: [], looked: 0 };
    const { rows, next, looked } = await searchDecisions(this.#database.query, question, logId, this.#lookedMax);
    const places = rows.map((row) => ({ row, ...placeOf(row.decision_id) }));
    await this.#learnNames(places.map((place) => place.logId));
    return { rows: places.map(({ row, logId: id, index }) => ({ ...row, index, log: this.#names.get(id) ?? '' })), next, looked };
  }

  counts(question: CountsQuestion): Promise<Counts> {
    return readCounts(this.#database.query, question);
  }

  async tenantAfter(tenantId: string): Promise<string | undefined> {
    const [row] = await this.#database.query<{ readonly tenant_id: string | null }>(
      `select min(tenant_id) as tenant_id from (select min(tenant_id) as tenant_id from decisions where tenant_id > $1${[0, 1].map((shipped) => ` union all select min(tenant_id) as tenant_id from decision_counts where span = 'hour' and shipped = ${shipped} and tenant_id > $1`).join('')}) known`, tenantId,
    );
    return row?.tenant_id ?? undefined;
  }

  drop(tenantId: string, beforeMs: number, limit: number): Promise<number> {
    return this.#database.transaction(async (query) => {
      const old = await query<{ readonly decision_id: SqlValue }>(`select decision_id from decisions where tenant_id = $1 and at_ms < $2 order by at_ms, decision_id limit ${Math.trunc(limit)}`, tenantId, beforeMs);
      await removeRows(query, old.map((row) => Number(row.decision_id)));
      return old.length;
    });
  }

  async dropCounts(tenantId: string, span: Span, beforeMs: number, limit: number): Promise<number> {
    const key = 'span, shipped, tenant_id, bucket_ms';
    const old = `select ${key} from decision_counts where span = $1 and shipped in (0, 1) and tenant_id = $2 and bucket_ms < $3 limit ${Math.trunc(limit)}`;
    return (await this.#database.query(`delete from decision_counts where (${key}) in (${old}) returning bucket_ms`, span, tenantId, beforeMs)).length;
  }

  async #logId(name: string): Promise<number | undefined> {
    const [row] = await this.#database.query<{ readonly log_id: SqlValue }>('select max(log_id) as log_id from decision_logs where name = $1', name);
    return row?.log_id == null ? undefined : Number(row.log_id);
  }

  async #learnNames(logIds: readonly number[]): Promise<void> {
    if (logIds.every((id) => this.#names.has(id))) return;
    for (const { log_id: id, name } of await this.#database.query<Readonly<Record<'log_id' | 'name', SqlValue>>>('select log_id, name from decision_logs')) this.#names.set(Number(id), String(name));
  }
}

function positionOf({ log_id: id, next_index: next, shipped, head }: PositionRow): LogPosition {
  return { logId: Number(id), next: Number(next), shipped: Number(shipped) === 1, head: String(head) };
}

/** False where somebody else moved it. The log's row is this transaction's from here on. */
async function moved(query: SqlQuery, { logId, next: from }: LogPosition, next: number, head: string): Promise<boolean> {
  return (await query('update decision_logs set next_index = $3, head = $4 where log_id = $1 and next_index = $2 returning log_id', logId, from, next, head)).length === 1;
}

async function insertRows(query: SqlQuery, rows: readonly DecisionRow[]): Promise<void> {
  await insertMany(query, 'decisions', INSERTED, rows.map((row) => {
    const { input, output, late } = row.detail;
    const written: Readonly<Record<string, SqlValue>> = { ...row, shipped: Number(row.shipped), is_partial: Number(row.is_partial), is_degraded: Number(row.is_degraded), detail: JSON.stringify(row.detail), request_key: requestKey(row.request_id), input_action: input?.action ?? null, output_action: output?.action ?? null, late_action: late?.action ?? null };
    return INSERTED.map((column) => written[column]!);
  }));
  await insertMany(query, 'decision_labels', LABEL_COLUMNS, rows.flatMap((row) => labelsOf(row).map((label) => [row.decision_id, label, row.tenant_id, row.at_ms])));
}

async function removeRows(query: SqlQuery, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  const list = ids.map((_, at) => `$${at + 1}`).join(', ');
  await query(`delete from decision_labels where decision_id in (${list})`, ...ids);
  await query(`delete from decisions where decision_id in (${list})`, ...ids);
}
