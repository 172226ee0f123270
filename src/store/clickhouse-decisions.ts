/**
 * What was decided, in ClickHouse, which has no transactions: whatever fails may have been done, may be done later, and is
 * seen in parts. So nothing here is added to what is there. A row has its place in the log for a key, a log's part of an hour
 * says up to which entry it counts, and where a log stands only ever grows; each is a function of the log, and of two that
 * are written the further one stays. To do a batch again, with other bounds or by two at once, changes nothing.
 *
 * A batch: where it is to end (`begun`), rows, counts, where the log stands (`at`). Whoever finds one that did not end does
 * it again, and if the log is another by then takes it back first. What is taken back begins an *epoch*: `back` says from where,
 * before anything is undone, and whoever asks where the log stands ends it; what was written in an epoch before loses.
 * A log's number is taken by making a table, the one thing that ClickHouse does for one of many.
 *
 * Not covered: two that take back one log at once to different places; and an insert of a batch that was given up on, whose
 * entries the log then lost, and that ClickHouse does after they were taken back.
 */
import { ClickHouse, literal } from './clickhouse.ts';
import { ClickHouseCounts } from './clickhouse-counts.ts';
import { searchClickHouse } from './clickhouse-search.ts';
import { stampOf, type Standing } from './clickhouse-standing.ts';
import { DECISION_COLUMNS, decisionId, labelsOf, LOGS_MAX, partsOf, placeOf, readRow, requestKey, type DecisionRow, type StoredRow } from './decision-rows.ts';
import type { Counts, CountsQuestion, DecisionPage, DecisionQuestion, DecisionStore, LogIdentity, LogPosition, Span } from './decisions.ts';

export interface ClickHouseOptions {
  /** Rows that one search looks at, and of its first stretch. */
  readonly lookedMax?: number;
  readonly stretch?: number;
  /** Removing rows rewrites a mask of whole parts: what has gone is cut to the beginning of so long a time. */
  readonly dropStepMs?: number;
}

/** A scan in order, at several million rows a second. */
const LOOKED_MAX = 4_000_000;
const STRETCH = 65_536;
const DROP_STEP_MS = 86_400_000;
/** A part for each insert: few and large ones. */
const BATCH_ENTRIES = 4_096;
/** Of what is taken back, the head meanwhile: no hash of an entry, as in SQL. */
const UNFINISHED = '-';
/** Who is known to be in the table of tenants; more are written again. */
const TENANTS_KNOWN_MAX = 10_000;

const KINDS = ['at', 'begun', 'back'] as const;
type Kind = (typeof KINDS)[number];
type LogRow = Readonly<{ kind: Kind; epoch: number; next: string; head: string }>;

export class ClickHouseDecisionStore implements DecisionStore {
  readonly batchEntries = BATCH_ENTRIES;
  readonly #door: ClickHouse;
  readonly #counts: ClickHouseCounts;
  readonly #options: Required<ClickHouseOptions>;
  readonly #tenants = new Set<string>();
  /** By number; a log keeps it. */
  #logs: ReadonlyMap<number, LogIdentity> = new Map();

  constructor(door: ClickHouse, { lookedMax = LOOKED_MAX, stretch = STRETCH, dropStepMs = DROP_STEP_MS }: ClickHouseOptions = {}) {
    this.#door = door;
    this.#counts = new ClickHouseCounts(door);
    this.#options = { lookedMax, stretch, dropStepMs };
  }

  async position(identity: LogIdentity): Promise<LogPosition> {
    const [logId, { shipped }] = await this.#numberOf(identity);
    let standing = await this.#standing(logId);
    if (standing.back !== undefined) {
      await this.#endTakingBack(logId, standing);
      standing = await this.#standing(logId);
    }
    const { next, head, begun } = standing;
    return { logId, shipped, next, head, ...(begun && { begun }) };
  }

  async take(at: LogPosition, rows: readonly DecisionRow[], next: number, head: string): Promise<LogPosition | undefined> {
    const { logId } = at;
    const standing = await this.#standing(logId);
    if (standing.next !== at.next || standing.head !== at.head || standing.back !== undefined) return undefined;
    const { epoch, begun } = standing;
    if (rows.length > 0) {
      // One that reaches further is not forgotten for this one: the log has its end, or it was not come to this.
      if (begun === undefined || begun.next < next) await this.#tell(logId, 'begun', epoch, next, head);
      await this.#learnTenants(rows);
      await this.#door.insert('decisions', rows.map((row) => stored(row, epoch)));
      await this.#counts.add(logId, rows, { standing, next });
    }
    await this.#tell(logId, 'at', epoch, next, head);
    const { begun: _, ...rest } = at;
    return { ...rest, next, head, ...(begun !== undefined && begun.next > next ? { begun } : {}) };
  }

  async takeBack({ logId, next }: LogPosition, index: number, head: string, limit: number): Promise<number> {
    const standing = await this.#standing(logId);
    if (standing.next > next || standing.back !== undefined) return 0;
    // Of a batch that did not end all goes, also what the log still has: it comes again.
    const [last, lastHead] = index > standing.next ? [standing.next, standing.head] : [index, head];
    const rows = await this.#rowsFrom(logId, last, standing.epoch, limit);
    const isLast = rows.length < limit;
    const back = { epoch: standing.epoch + 1, to: isLast ? last : placeOf(rows.at(-1)!.decision_id).index, head: isLast ? lastHead : UNFINISHED };
    await this.#tell(logId, 'back', back.epoch, back.to, back.head);
    await this.#endTakingBack(logId, { ...standing, back });
    return rows.length;
  }

  async marks(logId: number, below: number, limit: number): Promise<readonly { readonly index: number; readonly mark: number }[]> {
    const rows = await this.#door.query<{ readonly decision_id: string; readonly mark: string }>(
      `select decision_id, mark from ${this.#door.database}.decisions where decision_id >= {from:UInt64} and decision_id < {until:UInt64} order by decision_id desc, epoch desc limit 1 by decision_id limit {limit:UInt64}`,
      { from: decisionId(logId, 0), until: decisionId(logId, below), limit },
    );
    return rows.map((row) => ({ index: placeOf(Number(row.decision_id)).index, mark: Number(row.mark) }));
  }

  async search(question: DecisionQuestion): Promise<DecisionPage> {
    if (question.logName !== undefined) await this.#readLogs();
    const logId = question.logName === undefined ? undefined : Math.max(...[...this.#logs].flatMap(([id, { name }]) => (name === question.logName ? [id] : [])));
    if (logId === -Infinity) return { rows: [], looked: 0 };
    const { rows, next, looked } = await searchClickHouse(this.#door, question, logId, this.#options);
    const places = rows.map((row) => ({ row, ...placeOf(row.decision_id) }));
    if (places.some((place) => !this.#logs.has(place.logId))) await this.#readLogs();
    return { rows: places.map(({ row, logId: id, index }) => ({ ...row, index, log: this.#logs.get(id)?.name ?? '' })), next, looked };
  }

  counts(question: CountsQuestion): Promise<Counts> {
    return this.#counts.read(question);
  }

  /** Of whom there is something or was. */
  async tenantAfter(tenantId: string): Promise<string | undefined> {
    const [row] = await this.#door.query<{ readonly tenant_id: string }>(`select tenant_id from ${this.#door.database}.decision_tenants where tenant_id > {tenantId:String} order by tenant_id limit 1`, { tenantId });
    return row?.tenant_id;
  }

  async drop(tenantId: string, beforeMs: number): Promise<number> {
    const where = 'tenant_id = {tenantId:String} and at_ms < {beforeMs:Int64}';
    const values = { tenantId, beforeMs: this.#cut(beforeMs) };
    const [{ found }] = await this.#door.query<{ readonly found: string }>(`select uniqExact(at_ms, decision_id) as found from ${this.#door.database}.decisions where ${where}`, values) as readonly [{ readonly found: string }];
    if (Number(found) > 0) await this.#door.command(`delete from ${this.#door.database}.decisions where ${where}`, values);
    return Number(found);
  }

  dropCounts(tenantId: string, span: Span, beforeMs: number): Promise<number> {
    return this.#counts.drop(tenantId, span, this.#cut(beforeMs));
  }

  /** Idempotent: rows and counts of the epoch that it begins are left alone. */
  async #endTakingBack(logId: number, standing: Standing): Promise<void> {
    const { back } = standing;
    if (back === undefined) return;
    const rows = await this.#rowsFrom(logId, back.to, standing.epoch);
    await this.#counts.takeAway(logId, rows, { standing, back });
    if (rows.length > 0) await this.#door.command(`delete from ${this.#door.database}.decisions where decision_id >= {from:UInt64} and decision_id < {until:UInt64} and epoch <= {epoch:UInt32}`, { from: decisionId(logId, back.to), until: decisionId(logId + 1, 0), epoch: standing.epoch });
    await this.#tell(logId, 'at', back.epoch, back.to, back.head);
  }

  /** Newest first; of all that were written up to this epoch. */
  async #rowsFrom(logId: number, index: number, epoch: number, limit?: number): Promise<readonly DecisionRow[]> {
    const rows = await this.#door.query<StoredRow>(
      `select ${DECISION_COLUMNS.join(', ')} from ${this.#door.database}.decisions where decision_id >= {from:UInt64} and decision_id < {until:UInt64} and epoch <= {epoch:UInt32} order by decision_id desc, epoch desc limit 1 by decision_id${limit === undefined ? '' : ` limit ${Math.trunc(limit)}`}`,
      { from: decisionId(logId, index), until: decisionId(logId + 1, 0), epoch },
    );
    return rows.map(readRow);
  }

  async #standing(logId: number): Promise<Standing> {
    const rows = await this.#door.query<LogRow>(`select kind, epoch, next, head from ${this.#door.database}.decision_logs final where log_id = {logId:UInt16}`, { logId });
    const [at, begun, back] = KINDS.map((kind) => rows.find((row) => row.kind === kind));
    const epoch = at?.epoch ?? 0;
    const next = Number(at?.next ?? 0);
    return {
      epoch, next, head: at?.head ?? '', low: back?.epoch === epoch ? Number(back.next) : 0,
      ...(begun?.epoch === epoch && Number(begun.next) > next ? { begun: { next: Number(begun.next), head: begun.head } } : {}),
      ...(back !== undefined && back.epoch > epoch ? { back: { epoch: back.epoch, to: Number(back.next), head: back.head } } : {}),
    };
  }

  #tell(logId: number, kind: Kind, epoch: number, next: number, head: string): Promise<void> {
    return this.#door.insert('decision_logs', [{ log_id: logId, kind, stamp: stampOf(epoch, kind === 'back' ? 'back' : 'on', next), epoch, next, head }]);
  }

  /** Those that were here first: a log is its own or shipped for as long as it is known. */
  async #numberOf({ log, name, shipped }: LogIdentity): Promise<readonly [number, LogIdentity]> {
    for (;;) {
      await this.#readLogs();
      const known = [...this.#logs].find(([, one]) => one.log === log);
      if (known !== undefined) return known;
      const free = Math.max(0, ...this.#logs.keys()) + 1;
      if (free > LOGS_MAX) throw new RangeError(`${LOGS_MAX} audit logs are indexed already`);
      await this.#door.createTable(`decision_log_${free}`, `(log String) engine = Null comment ${literal(JSON.stringify({ log, name, shipped }))}`);
    }
  }

  async #readLogs(): Promise<void> {
    const tables = await this.#door.query<{ readonly name: string; readonly comment: string }>(`select name, comment from system.tables where database = replaceAll({database:String}, '\`', '') and startsWith(name, 'decision_log_')`, { database: this.#door.database });
    this.#logs = new Map(tables.map(({ name, comment }) => [Number(name.slice('decision_log_'.length)), JSON.parse(comment) as LogIdentity]));
  }

  /** Before their rows, so that retention finds whoever has some. */
  async #learnTenants(rows: readonly DecisionRow[]): Promise<void> {
    const tenants = [...new Set(rows.map(({ tenant_id: id }) => id))].filter((id) => id !== '' && !this.#tenants.has(id));
    await this.#door.insert('decision_tenants', tenants.map((id) => ({ tenant_id: id })));
    if (this.#tenants.size > TENANTS_KNOWN_MAX) this.#tenants.clear();
    for (const id of tenants) this.#tenants.add(id);
  }

  #cut(beforeMs: number): number {
    const { dropStepMs } = this.#options;
    return Math.floor(beforeMs / dropStepMs) * dropStepMs;
  }
}

function stored(row: DecisionRow, epoch: number): object {
  const isAllowed = partsOf(row).some(([, { action }]) => action === 'allow');
  return {
    ...row, epoch, request_key: requestKey(row.request_id), shipped: Number(row.shipped), is_partial: Number(row.is_partial), is_degraded: Number(row.is_degraded),
    labels: [...labelsOf(row), ...(isAllowed ? ['action:allow'] : [])], detail: JSON.stringify(row.detail),
  };
}
