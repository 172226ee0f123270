/**
 * What reports of residual-risk campaigns are made of and kept as, over a database of either kind: tasks with their labels
 * page by page, so that no statement takes long however many there are; counts of the population; reports that were issued,
 * which nothing changes any more; corrections. Rejects with WeirError store_unavailable when the store does not answer.
 */
import type { HumanLabel, MissingReason, TaskState, PopulationCell } from '../contract/risk.ts';
import type { LogCursor } from './annotation-tasks.ts';
import { readDeclarations, type PlacedDeclaration } from './risk-counts.ts';
import type { SqlValue, StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

/** Whole days in UTC, the second not in it; null: no limit. */
export interface ReportPeriod {
  readonly from: string | null;
  readonly until: string | null;
}

/** A label of a task, or an answer in its place to an item with a known one. */
export interface ReportedLabel {
  readonly annotator: string;
  readonly status: 'labelled' | 'flagged';
  readonly label: HumanLabel;
  /** Of an item with a known answer. */
  readonly known: HumanLabel | null;
  readonly at: string;
}

export interface ReportedTask {
  readonly task_id: string;
  readonly tenant_id: string;
  readonly product: string;
  readonly direction: string;
  readonly stratum: string;
  readonly inclusion_probability: number;
  readonly automated_filter_result: string;
  readonly modality: string;
  readonly status: TaskState;
  readonly human_label: HumanLabel | null;
  readonly violation_category: string | null;
  readonly missing_reason: MissingReason | null;
  readonly started_at: string;
  readonly settled_at: string | null;
  /** `classifier.category` of the highest score, and the score; null where there was none, or it is not known. */
  readonly nearest: string | null;
  readonly score: number | null;
  readonly labels: readonly ReportedLabel[];
}

export interface ReportPage {
  readonly tasks: readonly ReportedTask[];
  /** Where the next begins; undefined: these are the last. */
  readonly next: TaskPlace | undefined;
}

export type TaskPlace = readonly [createdAt: string, taskId: string];

export interface LogCount extends LogCursor {
  readonly counts: readonly Pick<PopulationCell, 'definition' | 'stratum' | 'probability' | 'total' | 'drawn'>[];
}

export interface IssuedReport extends ReportPeriod {
  readonly campaign: string;
  readonly version: number;
  readonly issued_at: string;
  readonly author: string;
  /** Of the JSON. */
  readonly sha256: string;
  readonly findings_sha256: string;
}

/** With its texts, as they were signed. */
export interface KeptReport extends IssuedReport {
  readonly document: string;
  readonly page: string;
  readonly note: string;
}

export interface Correction {
  readonly correction_id: string;
  readonly campaign: string;
  readonly made_at: string;
  readonly author: string;
  readonly reason: string;
}

const TASK = ['task_id', 'tenant_id', 'product', 'direction', 'stratum', 'inclusion_probability', 'automated_filter_result', 'modality', 'status', 'human_label', 'violation_category', 'missing_reason', 'started_at', 'settled_at'] as const;
const ISSUED = 'campaign, version, from_day, until_day, issued_at, author, sha256, findings_sha256';
/** Values in one list: for more of them a planner reads the whole table. */
const AMONG_MAX = 500;
/** A database in this thread keeps others waiting, and takes some milliseconds for so many; of another process fewer questions are better. */
const PAGE_TASKS = { own: 250, shared: 2_000 } as const;
type Row = Readonly<Record<string, SqlValue>>;

export class SqlRiskReports {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** Tasks that one page is to have. */
  get pageTasks(): number {
    return this.#database.messages === undefined ? PAGE_TASKS.own : PAGE_TASKS.shared;
  }

  /** Of a campaign, in the order in which they came, at most so many tasks. What belongs to them is looked up by their ids, so that no plan reads a whole table for a page. */
  async page(campaign: string, { from, until }: ReportPeriod, after: TaskPlace | undefined, limit: number): Promise<ReportPage> {
    const where = new Where();
    where.among('campaign', [campaign]);
    if (after !== undefined) where.add((next) => `(created_at, task_id) > (${next(after[0])}, ${next(after[1])})`);
    const rows = await this.#database.query<Row>(`select ${TASK.join(', ')}, created_at from risk_tasks ${where.text} order by created_at, task_id limit ${Math.trunc(limit)}`, ...where.values);
    const within = rows.filter((row) => isWithin(String(row['started_at']), from, until));
    const ids = within.map((row) => String(row['task_id']));
    const [scores, labels] = await Promise.all([this.#among<Row>('select task_id, classifier_id, category, score from risk_nearest', 'task_id', ids), this.#labels(ids)]);
    const nearest = new Map(scores.map((row) => [row['task_id'], row]));
    const last = rows.at(-1);
    return { tasks: within.map((row) => taskOf(row, nearest.get(row['task_id']!), labels.get(String(row['task_id'])) ?? [])), next: rows.length < limit || last === undefined ? undefined : [String(last['created_at']), String(last['task_id'])] };
  }

  /** In the order in which they were given. */
  async #labels(taskIds: readonly string[]): Promise<ReadonlyMap<string, readonly ReportedLabel[]>> {
    const rows = await this.#among<Row>('select task_id, annotation_id, annotator_id, status, human_label, labelled_at, item_id from risk_annotations', 'task_id', taskIds);
    const given = rows.filter((row) => row['status'] === 'labelled' || row['status'] === 'flagged').map((row) => ({ row, key: `${String(row['labelled_at'])} ${String(row['annotation_id'])}` })).sort((a, b) => (a.key < b.key ? -1 : 1));
    const itemIds = [...new Set(given.flatMap(({ row }) => (row['item_id'] === null ? [] : [String(row['item_id'])])))];
    const known = new Map((await this.#among<Row>('select item_id, label from risk_items', 'item_id', itemIds)).map((row) => [row['item_id'], row['label'] as HumanLabel]));
    const labels = new Map<string, ReportedLabel[]>();
    for (const { row } of given) {
      if (row['item_id'] !== null && !known.has(row['item_id']!)) continue; // its answer is not known any more
      const one: ReportedLabel = { annotator: String(row['annotator_id']), status: row['status'] as ReportedLabel['status'], label: row['human_label'] as HumanLabel, known: known.get(row['item_id']!) ?? null, at: String(row['labelled_at']) };
      const own = labels.get(String(row['task_id']));
      if (own === undefined) labels.set(String(row['task_id']), [one]);
      else own.push(one);
    }
    return labels;
  }

  async #among<Found>(select: string, column: string, values: readonly string[]): Promise<readonly Found[]> {
    const found: Found[] = [];
    for (let at = 0; at < values.length; at += AMONG_MAX) {
      const where = new Where();
      where.among(column, values.slice(at, at + AMONG_MAX));
      found.push(...(await this.#database.query<Found>(`${select} ${where.text}`, ...where.values)));
    }
    return found;
  }

  declarations(campaign: string): Promise<readonly (PlacedDeclaration & { readonly log: string })[]> {
    return readDeclarations(this.#database.query, { campaign });
  }

  /** How far each log is looked through and what was counted there, by the same moment; days together. */
  async counts(campaign: string, { from, until }: ReportPeriod): Promise<readonly LogCount[]> {
    const where = new Where();
    where.among('campaign', [campaign]);
    if (from !== null) where.add((next) => `day >= ${next(from)}`);
    if (until !== null) where.add((next) => `day < ${next(until)}`);
    const rows = await this.#database.query<Row>(
      `select c.log, c.next, c.head, p.definition, p.stratum, p.probability, p.total, p.drawn from risk_cursors c left join (select log, definition, stratum, probability, sum(total) as total, sum(drawn) as drawn from risk_population ${where.text} group by log, definition, stratum, probability) p on p.log = c.log`,
      ...where.values,
    );
    return [...Map.groupBy(rows, (row) => String(row['log']))].sort(([a], [b]) => (a < b ? -1 : 1)).map(([log, own]) => ({
      log, next: Number(own[0]!['next']), head: String(own[0]!['head']),
      counts: own.filter((row) => row['stratum'] !== null).map((row) => ({ definition: String(row['definition']), stratum: String(row['stratum']), probability: Number(row['probability']), total: Number(row['total']), drawn: Number(row['drawn']) })).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    }));
  }

  /** Whether anything is known of such a campaign. */
  async isKnown(campaign: string): Promise<boolean> {
    for (const table of ['risk_tasks', 'risk_reports', 'risk_declarations']) if ((await this.#database.query(`select 1 from ${table} where campaign = $1 limit 1`, campaign)).length > 0) return true;
    return false;
  }

  /** Newest first. */
  async reports(campaign: string): Promise<readonly IssuedReport[]> {
    return (await this.#database.query<Row>(`select ${ISSUED} from risk_reports where campaign = $1 order by version desc`, campaign)).map(issuedOf);
  }

  async report(campaign: string, version: number): Promise<KeptReport | undefined> {
    const [row] = await this.#database.query<Row>(`select ${ISSUED}, document, page, note from risk_reports where campaign = $1 and version = $2`, campaign, version);
    return row && { ...issuedOf(row), document: String(row['document']), page: String(row['page']), note: String(row['note']) };
  }

  /** False: there is one of that number. */
  async keep({ campaign, version, from, until, issued_at, author, sha256, findings_sha256, document, page, note }: KeptReport): Promise<boolean> {
    return (await this.#database.query(
      `insert into risk_reports (${ISSUED}, document, page, note) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing returning version`,
      campaign, version, from ?? '', until ?? '', issued_at, author, sha256, findings_sha256, document, page, note,
    )).length === 1;
  }

  async correct({ correction_id, campaign, made_at, author, reason }: Correction): Promise<void> {
    await this.#database.query('insert into risk_corrections (correction_id, campaign, made_at, author, reason) values ($1, $2, $3, $4, $5)', correction_id, campaign, made_at, author, reason);
  }

  /** Oldest first. */
  corrections(campaign: string): Promise<readonly Correction[]> {
    return this.#database.query<Correction>('select correction_id, campaign, made_at, author, reason from risk_corrections where campaign = $1 order by made_at, correction_id', campaign);
  }
}

export function isWithin(startedAt: string, from: string | null, until: string | null): boolean {
  return (from === null || startedAt >= from) && (until === null || startedAt < until);
}

function taskOf(row: Row, nearest: Row | undefined, labels: readonly ReportedLabel[]): ReportedTask {
  const own = Object.fromEntries(TASK.map((column) => [column, row[column]!])) as unknown as ReportedTask;
  return { ...own, inclusion_probability: Number(row['inclusion_probability']), nearest: nearest === undefined ? null : `${String(nearest['classifier_id'])}.${String(nearest['category'])}`, score: nearest === undefined ? null : Number(nearest['score']), labels };
}

function issuedOf(row: Row): IssuedReport {
  const day = (value: SqlValue | undefined): string | null => (value === '' ? null : String(value));
  return { campaign: String(row['campaign']), version: Number(row['version']), from: day(row['from_day']), until: day(row['until_day']), issued_at: String(row['issued_at']), author: String(row['author']), sha256: String(row['sha256']), findings_sha256: String(row['findings_sha256']) };
}
