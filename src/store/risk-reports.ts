/**
 * What reports of residual-risk campaigns are made of and kept as, over a database of either kind: tasks with their labels
 * page by page, so that no statement takes long however many there are; counts of the population; reports that were issued,
 * which nothing changes any more; corrections. Rejects with WeirError store_unavailable when the store does not answer.
 */
import type { HumanLabel, MissingReason, TaskState } from '../contract/risk.ts';
import { readCursor, type LogCursor } from './annotation-tasks.ts';
import { readDeclarations, type PlacedDeclaration, type PopulationCount } from './risk-counts.ts';
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
type Row = Readonly<Record<string, SqlValue>>;

export class SqlRiskReports {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** Of a campaign, in the order in which they came, at most so many tasks. */
  async page(campaign: string, { from, until }: ReportPeriod, after: TaskPlace | undefined, limit: number): Promise<ReportPage> {
    const where = new Where();
    where.among('campaign', [campaign]);
    if (after !== undefined) where.add((next) => `(created_at, task_id) > (${next(after[0])}, ${next(after[1])})`);
    // An entry is made after its exchange began.
    else if (from !== null) where.add((next) => `created_at >= ${next(from)}`);
    const rows = await this.#database.query<Row>(
      `select ${TASK.map((column) => `t.${column}`).join(', ')}, t.created_at, n.classifier_id, n.category as nearest_category, n.score, a.annotator_id, a.status as label_status, a.human_label as label, a.labelled_at, a.item_id, i.label as known
       from (select ${TASK.join(', ')}, created_at from risk_tasks ${where.text} order by created_at, task_id limit ${Math.trunc(limit)}) t
       left join risk_nearest n on n.task_id = t.task_id
       left join risk_annotations a on a.task_id = t.task_id and a.status in ('labelled', 'flagged')
       left join risk_items i on i.item_id = a.item_id
       order by t.created_at, t.task_id, a.labelled_at, a.annotation_id`, ...where.values,
    );
    const tasks: ReportedTask[] = [];
    let [seen, last]: [number, Row | undefined] = [0, undefined];
    let labels: ReportedLabel[] = [];
    for (const row of rows) {
      if (row['task_id'] !== last?.['task_id']) {
        seen++;
        labels = [];
        if (isWithin(String(row['started_at']), from, until)) tasks.push(taskOf(row, labels));
      }
      last = row;
      if (row['annotator_id'] !== null && (row['item_id'] === null || row['known'] !== null)) labels.push({ annotator: String(row['annotator_id']), status: row['label_status'] as ReportedLabel['status'], label: row['label'] as HumanLabel, known: row['known'] as HumanLabel | null, at: String(row['labelled_at']) });
    }
    return { tasks, next: seen < limit || last === undefined ? undefined : [String(last['created_at']), String(last['task_id'])] };
  }

  declarations(campaign: string): Promise<readonly (PlacedDeclaration & { readonly log: string })[]> {
    return readDeclarations(this.#database.query, { campaign });
  }

  /** By log, and not by day. */
  async population(campaign: string, { from, until }: ReportPeriod): Promise<readonly (Omit<PopulationCount, 'day' | 'campaign'> & { readonly log: string })[]> {
    const where = new Where();
    where.among('campaign', [campaign]);
    if (from !== null) where.add((next) => `day >= ${next(from)}`);
    if (until !== null) where.add((next) => `day < ${next(until)}`);
    const rows = await this.#database.query<Row>(`select log, definition, stratum, probability, sum(total) as total, sum(drawn) as drawn from risk_population ${where.text} group by log, definition, stratum, probability`, ...where.values);
    return rows.map((row) => ({ log: String(row['log']), definition: String(row['definition']), stratum: String(row['stratum']), probability: Number(row['probability']), total: Number(row['total']), drawn: Number(row['drawn']) }));
  }

  cursor(log: string): Promise<LogCursor | undefined> {
    return readCursor(this.#database.query, log);
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

function taskOf(row: Row, labels: readonly ReportedLabel[]): ReportedTask {
  const own = Object.fromEntries(TASK.map((column) => [column, row[column]!])) as unknown as ReportedTask;
  return { ...own, inclusion_probability: Number(row['inclusion_probability']), nearest: row['classifier_id'] === null ? null : `${String(row['classifier_id'])}.${String(row['nearest_category'])}`, score: row['score'] === null ? null : Number(row['score']), labels };
}

function issuedOf(row: Row): IssuedReport {
  const day = (value: SqlValue | undefined): string | null => (value === '' ? null : String(value));
  return { campaign: String(row['campaign']), version: Number(row['version']), from: day(row['from_day']), until: day(row['until_day']), issued_at: String(row['issued_at']), author: String(row['author']), sha256: String(row['sha256']), findings_sha256: String(row['findings_sha256']) };
}
