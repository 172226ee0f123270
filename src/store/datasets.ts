/**
 * The port to what models learn from: what people said of texts, and versions of the data set, over a database of either
 * kind. Guarantees: a version is there with all its rows or not at all, and no statement alters one; the same rows are
 * one version. Texts are the matter of `SqlReviewContents` over `learning_contents`. Rejects with WeirError
 * store_unavailable. No clock: times are ISO 8601 in UTC.
 */
import type { Dataset, DatasetLosses, DatasetRow, RowPart } from '../contract/learning.ts';
import { contentIdOf } from '../contract/learning.ts';
import type { ReviewOrigin, Resolution } from '../contract/review.ts';
import type { ConfidenceTier, HumanLabel, SampledDecision } from '../contract/risk.ts';
import type { Direction } from '../contract/screening.ts';
import { insertMany } from './insert-many.ts';
import type { SqlValue, StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

interface Labelled {
  readonly tenant_id: string;
  readonly request_id: string;
  readonly direction: Direction;
}

/** A resolved item, with the verdicts of its last round. */
export interface DecidedItem extends Labelled {
  readonly review_id: string;
  readonly origin: ReviewOrigin;
  readonly round: number;
  readonly resolution: Resolution;
  readonly resolved_at: string;
  readonly created_at: string;
  readonly inclusion_probability: number | null;
  readonly verdicts: readonly { readonly reviewer_id: string; readonly resolution: Resolution; readonly categories: readonly string[] }[];
}

/** A task that has its label, with the labels that count; none of them is of a text with a known answer. */
export interface LabelledTask extends Labelled {
  readonly task_id: string;
  readonly started_at: string;
  readonly human_label: HumanLabel;
  readonly violation_category: string | null;
  readonly settled_at: string;
  readonly inclusion_probability: number;
  readonly labels: readonly { readonly annotator_id: string; readonly label: HumanLabel; readonly tier: ConfidenceTier; readonly calibration: number | null }[];
}

/** A task that waits for its label. */
export interface UnjudgedText extends Labelled {
  readonly task_id: string;
  readonly started_at: string;
  readonly automated_filter_result: SampledDecision;
}

/** `after`: the last that was seen. */
export interface LabelledQuestion {
  readonly since: string;
  readonly after: string;
  readonly limit: number;
}

type Raw<T> = { readonly [column in keyof T]: SqlValue };

export class SqlDatasetStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  /** By id. */
  async decided({ since, after, limit }: LabelledQuestion): Promise<readonly DecidedItem[]> {
    const items = await this.#database.query<Raw<Omit<DecidedItem, 'verdicts'>>>(
      `select review_id, tenant_id, request_id, direction, origin, round, resolution, resolved_at, created_at, inclusion_probability from review_items where status = 'resolved' and resolution is not null and resolved_at >= $1 and review_id > $2 order by review_id limit ${Math.trunc(limit)}`, since, after,
    );
    const verdicts = await this.#within<{ readonly review_id: string; readonly round: SqlValue; readonly reviewer_id: string; readonly resolution: Resolution; readonly categories: string }>('select review_id, round, reviewer_id, resolution, categories from review_verdicts', 'review_id', items.map(({ review_id: id }) => String(id)), 'order by created_at, reviewer_id');
    return items.map((item) => ({
      ...(item as unknown as DecidedItem), round: Number(item.round), inclusion_probability: item.inclusion_probability === null ? null : Number(item.inclusion_probability),
      verdicts: (verdicts.get(String(item.review_id)) ?? []).filter(({ round }) => Number(round) === Number(item.round)).map(({ reviewer_id, resolution, categories }) => ({ reviewer_id, resolution, categories: JSON.parse(categories) as readonly string[] })),
    }));
  }

  /** By id. */
  async labelled({ since, after, limit }: LabelledQuestion): Promise<readonly LabelledTask[]> {
    const tasks = await this.#database.query<Raw<Omit<LabelledTask, 'labels'>>>(
      `select task_id, tenant_id, request_id, started_at, direction, human_label, violation_category, settled_at, inclusion_probability from risk_tasks where status = 'labelled' and modality = 'text' and settled_at >= $1 and task_id > $2 order by task_id limit ${Math.trunc(limit)}`, since, after,
    );
    const labels = await this.#within<{ readonly task_id: string; readonly annotator_id: string; readonly human_label: HumanLabel; readonly confidence_tier: ConfidenceTier; readonly annotator_calibration: SqlValue; readonly item_id: SqlValue; readonly status: string }>('select task_id, item_id, status, annotator_id, human_label, confidence_tier, annotator_calibration from risk_annotations', 'task_id', tasks.map(({ task_id: id }) => String(id)), 'order by labelled_at, annotation_id');
    return tasks.map((task) => ({
      ...(task as unknown as LabelledTask), inclusion_probability: Number(task.inclusion_probability),
      labels: (labels.get(String(task.task_id)) ?? []).filter(({ item_id, status }) => item_id === null && status === 'labelled').map(({ annotator_id, human_label: label, confidence_tier: tier, annotator_calibration: calibration }) => ({ annotator_id, label, tier, calibration: calibration === null ? null : Number(calibration) })),
    }));
  }

  /** Drawn texts that nobody has judged and that are not in the review queue, by id, which is a hash. */
  async unjudged(limit: number): Promise<readonly UnjudgedText[]> {
    return this.#database.query<UnjudgedText>(
      `select task_id, tenant_id, request_id, started_at, direction, automated_filter_result from risk_tasks t where status = 'waiting' and modality = 'text'
       and not exists (select 1 from review_items i where i.request_id = t.request_id and i.direction = t.direction) order by task_id limit ${Math.trunc(limit)}`,
    );
  }

  /** Of contents that some version has: in which part they were first; what was learnt from once is not measured by later. */
  async partsOf(contentIds: readonly string[]): Promise<ReadonlyMap<string, RowPart>> {
    const rows = await this.#within<{ readonly content_id: string; readonly part: RowPart }>('select distinct content_id, part from learning_rows', 'content_id', contentIds, '');
    return new Map([...rows].map(([id, found]) => [id, found.some(({ part }) => part === 'train') ? 'train' : 'held_out']));
  }

  /** False where the version is there already. */
  async put({ dataset_id: id, sha256, about, created_at, created_by }: Dataset, rows: readonly DatasetRow[]): Promise<boolean> {
    return this.#database.transaction(async (query) => {
      const added = await query('insert into learning_datasets (dataset_id, sha256, about, created_at, created_by) values ($1, $2, $3, $4, $5) on conflict do nothing returning dataset_id', id, sha256, JSON.stringify(about), created_at, created_by);
      if (added.length === 0) return false;
      await insertMany(query, 'learning_rows', ['dataset_id', 'number', 'content_id', 'tenant_id', 'request_id', 'direction', 'part', 'row'], rows.map((row) => [id, row.number, contentIdOf(row.request_id, row.direction), row.tenant_id, row.request_id, row.direction, row.part, JSON.stringify(row)]));
      return true;
    });
  }

  /** Newest first. */
  async list(limit: number): Promise<readonly Dataset[]> {
    return (await this.#database.query<Raw<Dataset>>(`select dataset_id, sha256, about, created_at, created_by from learning_datasets order by created_at desc, dataset_id desc limit ${Math.trunc(limit)}`)).map(readDataset);
  }

  async get(datasetId: string): Promise<Dataset | undefined> {
    return (await this.#database.query<Raw<Dataset>>('select dataset_id, sha256, about, created_at, created_by from learning_datasets where dataset_id = $1', datasetId)).map(readDataset)[0];
  }

  /** By number; `after`: the last that was seen. */
  async rows(datasetId: string, after: number, limit: number): Promise<readonly DatasetRow[]> {
    return (await this.#database.query<{ readonly row: string }>(`select row from learning_rows where dataset_id = $1 and number > $2 order by number limit ${Math.trunc(limit)}`, datasetId, after)).map(({ row }) => JSON.parse(row) as DatasetRow);
  }

  async losses(datasetId: string): Promise<DatasetLosses> {
    const [counted] = await this.#database.query<{ readonly erased: SqlValue; readonly expired: SqlValue }>(
      `select count(case when c.texts is not null and c.there = 0 then 1 end) as erased, count(case when c.texts is null then 1 end) as expired from learning_rows r
       left join (select review_id, count(*) as texts, count(case when slot <> '' then 1 end) as there from learning_contents group by review_id) c on c.review_id = r.content_id where r.dataset_id = $1`, datasetId,
    );
    return { erased: Number(counted?.erased), expired: Number(counted?.expired) };
  }

  /** Rows of many, by what they are of. */
  async #within<R>(select: string, column: keyof R & string, ids: readonly string[], order: string): Promise<ReadonlyMap<string, readonly R[]>> {
    const found: R[] = [];
    for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
      const where = new Where();
      where.among(column, ids.slice(at, at + IDS_AT_ONCE));
      found.push(...(await this.#database.query<R>(`${select} ${where.text} ${order}`, ...where.values)));
    }
    return Map.groupBy(found, (row) => String(row[column]));
  }
}

const IDS_AT_ONCE = 500;

function readDataset(row: Raw<Dataset>): Dataset {
  return { ...(row as unknown as Dataset), about: JSON.parse(String(row.about)) as Dataset['about'] };
}
