/**
 * What is known of those who label, over a database of either kind: items with known answers, sealed by their maker; how
 * each person answered them; how much and how fast they label; and all labels, to be taken elsewhere and brought back.
 * An item, or a label that is there already, is taken in once.
 */
import type { Annotation, AnnotationTask, HumanLabel, ItemCandidate, ToldItem } from '../contract/risk.ts';
import { insertTasks, moveTask, readTask, TASK_COLUMNS, type NewTask, type TaskRow } from './annotation-tasks.ts';
import { standingOf, type GivenLabel } from './annotation-standing.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

export interface StoredItem {
  readonly item_id: string;
  /** Empty: for any. */
  readonly campaign: string;
  readonly direction: string;
  readonly modality: string;
  /** The text, as its maker sealed it. */
  readonly sealed: string;
  readonly label: HumanLabel;
  readonly category: string | null;
  readonly author: string;
  readonly created_at: string;
  /** The drawn text that it is; then nothing is sealed here. */
  readonly source_task: string | null;
}

/** An item that was answered. */
export interface Answer {
  readonly item_id: string;
  readonly annotator_id: string;
  readonly known: HumanLabel;
  readonly given: HumanLabel;
  readonly at: string;
}

/** What somebody did in one stretch of time. */
export interface Activity {
  readonly annotator_id: string;
  readonly labels: number;
  readonly violations: number;
}

export interface LabelsQuestion {
  readonly campaign?: string | undefined;
  readonly limit: number;
  /** Only later ones: `labelled_at` and `annotation_id` of the last that was seen. */
  readonly after?: readonly [labelledAt: string, annotationId: string] | undefined;
}

const ITEM_COLUMNS = 'item_id, campaign, direction, modality, sealed, label, category, author, created_at, source_task';
const LABEL_COLUMNS = `a.annotation_id, a.batch_id, a.annotator_id, a.status, a.human_label, a.violation_category, a.confidence_tier, a.annotator_calibration, a.labelled_at, a.item_id, t.task_id, t.campaign, t.tenant_id, t.request_id, t.direction, t.modality, t.stratum, t.inclusion_probability, t.automated_filter_result, t.product, t.started_at, t.created_at, t.wanted`;

/** A label with what its task is made of, so that it can be taken in where the task is not known. */
export type LabelRow = Annotation & Pick<AnnotationTask, 'product' | 'started_at' | 'created_at' | 'wanted'>;

export class SqlAnnotationChecks {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** How many were not there before. */
  addItems(items: readonly StoredItem[]): Promise<number> {
    return this.#database.transaction(async (query) => {
      let added = 0;
      for (const { item_id, campaign, direction, modality, sealed, label, category, author, created_at, source_task } of items) {
        added += (await query(
          `insert into risk_items (${ITEM_COLUMNS}, retired) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0) on conflict do nothing returning item_id`,
          item_id, campaign, direction, modality, sealed, label, category, author, created_at, source_task,
        )).length;
      }
      return added;
    });
  }

  /** Undefined: there is none, or it is asked for in vain so that asking costs the same. */
  async item(itemId: string): Promise<StoredItem | undefined> {
    return (await this.#database.query<StoredItem>(`select ${ITEM_COLUMNS} from risk_items where item_id = $1`, itemId))[0];
  }

  /** Newest first; `before`: only what is older than this one. */
  async items({ limit, before }: { readonly limit: number; readonly before?: string | undefined }): Promise<readonly ToldItem[]> {
    const where = new Where();
    if (before !== undefined) where.add((next) => `(i.created_at, i.item_id) < (select created_at, item_id from risk_items where item_id = ${next(before)})`);
    const rows = await this.#database.query<Readonly<Record<string, SqlValue>>>(
      `select i.item_id, i.campaign, i.direction, i.modality, i.label, i.category, i.author, i.created_at, i.source_task, i.retired,
         (select count(*) from risk_annotations a where a.item_id = i.item_id) as given, (select count(*) from risk_annotations a where a.item_id = i.item_id and a.status = 'labelled') as answered,
         (select count(*) from risk_annotations a where a.item_id = i.item_id and a.status = 'labelled' and a.human_label = i.label) as "right"
       from risk_items i ${where.text} order by i.created_at desc, i.item_id desc limit ${Math.trunc(limit)}`, ...where.values,
    );
    return rows.map((row) => ({ ...row, retired: Number(row['retired']) === 1, given: Number(row['given']), answered: Number(row['answered']), right: Number(row['right']) }) as unknown as ToldItem);
  }

  /** How many serve, by what they are of. */
  async coverage(): Promise<readonly { readonly label: HumanLabel; readonly category: string | null; readonly total: number }[]> {
    const rows = await this.#database.query<{ readonly label: HumanLabel; readonly category: string | null; readonly total: SqlValue }>('select label, category, count(*) as total from risk_items where retired = 0 group by label, category order by label, category');
    return rows.map((row) => ({ ...row, total: Number(row.total) }));
  }

  /** Drawn texts that a third decided and that are no items, newest first. */
  candidates(limit: number): Promise<readonly ItemCandidate[]> {
    return this.#database.query(`select task_id, campaign, direction, modality, human_label, violation_category, settled_at from risk_tasks where status = 'labelled' and wanted > 2 and not exists (select 1 from risk_items i where i.source_task = risk_tasks.task_id) order by settled_at desc, task_id limit ${Math.trunc(limit)}`);
  }

  /** Nobody is given it any more; what was answered counts. False: there is none such that serves. */
  async retire(itemId: string): Promise<boolean> {
    return (await this.#database.query('update risk_items set retired = 1 where item_id = $1 and retired = 0 returning item_id', itemId)).length === 1;
  }

  /** This person has seen it with its answer, and is never given it. */
  async viewed(itemId: string, viewer: string, at: string): Promise<void> {
    await this.#database.query('insert into risk_item_views (item_id, viewer, viewed_at) values ($1, $2, $3) on conflict do nothing', itemId, viewer, at);
  }

  async itemCounts(): Promise<readonly { readonly campaign: string; readonly label: HumanLabel; readonly total: number }[]> {
    const rows = await this.#database.query<{ readonly campaign: string; readonly label: HumanLabel; readonly total: SqlValue }>('select campaign, label, count(*) as total from risk_items where retired = 0 group by campaign, label order by campaign, label');
    return rows.map((row) => ({ ...row, total: Number(row.total) }));
  }

  /** Oldest first; of all, or of one person since a time. Begins with what is few: items, or what one person said. */
  async answers({ annotator, since, exceptBatch, limit }: { readonly annotator?: string; readonly since?: string; readonly exceptBatch?: string | undefined; readonly limit: number }): Promise<readonly Answer[]> {
    const where = new Where();
    where.add(() => `a.item_id = i.item_id and a.status = 'labelled'`);
    if (annotator !== undefined) where.among('a.annotator_id', [annotator]);
    if (since !== undefined) where.add((next) => `a.labelled_at > ${next(since)}`);
    if (exceptBatch !== undefined) where.add((next) => `a.batch_id <> ${next(exceptBatch)}`);
    const rows = await this.#database.query<Answer>(`select a.item_id, a.annotator_id, i.label as known, a.human_label as given, a.labelled_at as at ${annotator === undefined ? 'from risk_items i cross join risk_annotations a' : 'from risk_annotations a cross join risk_items i'} ${where.text} order by a.labelled_at desc, a.annotation_id desc limit ${Math.trunc(limit)}`, ...where.values);
    return [...rows].reverse();
  }

  /** Of everybody, or of one person, from a time on. */
  async activity(since: string, annotator?: string): Promise<readonly Activity[]> {
    const rows = await this.#database.query<{ readonly annotator_id: string; readonly labels: SqlValue; readonly violations: SqlValue }>(
      `select annotator_id, count(*) as labels, sum(case when human_label = 'violation' then 1 else 0 end) as violations from risk_annotations where labelled_at >= $1 ${annotator === undefined ? '' : 'and annotator_id = $2'} group by annotator_id order by annotator_id`,
      since, ...(annotator === undefined ? [] : [annotator]),
    );
    return rows.map((row) => ({ annotator_id: row.annotator_id, labels: Number(row.labels), violations: Number(row.violations) }));
  }

  /** How long each of somebody's newest labels took, from the moment when the text was shown, oldest first; in ms. */
  async paces(annotator: string, limit: number): Promise<readonly { readonly at: string; readonly ms: number }[]> {
    const rows = await this.#database.query<{ readonly shown_at: string; readonly labelled_at: string }>(`select shown_at, labelled_at from risk_annotations where annotator_id = $1 and labelled_at is not null and shown_at is not null order by labelled_at desc, annotation_id desc limit ${Math.trunc(limit)}`, annotator);
    return [...rows].reverse().map(({ shown_at, labelled_at }) => ({ at: labelled_at, ms: Date.parse(labelled_at) - Date.parse(shown_at) }));
  }

  /** Labels of drawn texts, oldest first; those of items with known answers are nobody's data. */
  async labels({ campaign, limit, after }: LabelsQuestion): Promise<readonly LabelRow[]> {
    const where = new Where();
    where.add(() => `a.labelled_at is not null and a.item_id is null`);
    if (campaign !== undefined) where.among('t.campaign', [campaign]);
    if (after !== undefined) where.add((next) => `(a.labelled_at, a.annotation_id) > (${next(after[0])}, ${next(after[1])})`);
    const rows = await this.#database.query<Readonly<Record<string, SqlValue>>>(`select ${LABEL_COLUMNS} from risk_annotations a join risk_tasks t on t.task_id = a.task_id ${where.text} order by a.labelled_at, a.annotation_id limit ${Math.trunc(limit)}`, ...where.values);
    return rows.map(({ item_id: _, ...row }) => ({ ...row, calibration_seed: false, inclusion_probability: Number(row['inclusion_probability']), wanted: Number(row['wanted']), annotator_calibration: row['annotator_calibration'] === null ? null : Number(row['annotator_calibration']) }) as unknown as LabelRow);
  }

  /** How many were new: a person has one label of a task. What they make of the tasks follows. */
  takeIn(rows: readonly LabelRow[]): Promise<number> {
    return this.#database.transaction(async (query) => {
      await insertTasks(query, rows.map(({ task_id, campaign, tenant_id, product, request_id, started_at, direction, stratum, inclusion_probability, automated_filter_result, modality, wanted, created_at }): NewTask => ({ task_id, campaign, tenant_id, product, request_id, started_at, direction, stratum, inclusion_probability, automated_filter_result, modality, wanted, created_at })));
      let added = 0;
      for (const row of [...rows].sort((a, b) => (a.task_id < b.task_id ? -1 : 1))) if (await takeInOne(query, row)) added++;
      return added;
    });
  }
}

async function takeInOne(query: SqlQuery, row: LabelRow): Promise<boolean> {
  const [task] = await query<TaskRow>(`update risk_tasks set given = given where task_id = $1 returning ${TASK_COLUMNS.join(', ')}`, row.task_id);
  const added = await query(
    `insert into risk_annotations (annotation_id, task_id, item_id, annotator_id, batch_id, position, status, claimed_until, human_label, violation_category, confidence_tier, annotator_calibration, labelled_at) values ($1, $2, null, $3, $4, 0, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing returning annotation_id`,
    row.annotation_id, row.task_id, row.annotator_id, row.batch_id, row.status, row.labelled_at, row.human_label, row.violation_category, row.confidence_tier, row.annotator_calibration, row.labelled_at,
  );
  if (task === undefined || added.length === 0) return false;
  if (row.status !== 'labelled') return true;
  await query('update risk_tasks set given = given + 1 where task_id = $1', row.task_id);
  const labels = await query<GivenLabel>(`select human_label as label, violation_category as category, confidence_tier as tier from risk_annotations where task_id = $1 and item_id is null and status = 'labelled' order by labelled_at, annotation_id`, row.task_id);
  const known = readTask(task);
  const { wanted, isDisputed, label, category = null } = standingOf(Math.max(known.wanted, row.wanted), labels);
  if (wanted !== known.wanted) await query('update risk_tasks set wanted = $2, disputed = $3 where task_id = $1', row.task_id, wanted, known.status === 'waiting' && isDisputed === true ? 1 : 0);
  if (known.status === 'waiting' && label !== undefined) await moveTask(query, known, { outcome: label, category, at: row.labelled_at });
  return true;
}
