/**
 * The port to annotation, over a database of either kind.
 *
 * Guarantees: a batch is one person's until it runs out and somebody else asks for work, and then all of it is lost to them
 * at once; a person labels a task once, and is given an item with a known answer once; a task is settled once, by as many
 * labels as it wants, two that differ making it want a third; whoever lost an annotation cannot label by it. What a person is
 * given, and what it costs to give it, is the same whether its answer is known or not. Rejects with WeirError
 * store_unavailable when the store does not answer. The store has no clock: times are ISO 8601 in UTC, which compare as text.
 */
import type { AnnotationTask, AnnotatorState, ConfidenceTier, HumanLabel, MissingReason } from '../contract/risk.ts';
import { dropTasks, insertTasks, moveCursor, moveTask, readCells, readCursor, readTask, TASK_COLUMNS, type LogCursor, type NewTask, type TaskCell, type TaskRow } from './annotation-tasks.ts';
import { count, readDeclarations, type LogCounts, type PlacedDeclaration } from './risk-counts.ts';
import { isTaken, type SqlQuery, type SqlValue, type StoreDatabase } from './sql.ts';
import { standingOf, type GivenLabel } from './annotation-standing.ts';

/** What a person has before them. `item_id`: its answer is known. */
export interface GivenAnnotation {
  readonly annotation_id: string;
  readonly batch_id: string;
  readonly item_id: string | null;
  readonly task: AnnotationTask;
  readonly claimed_until: string;
}

export interface WantedBatch {
  readonly annotator: string;
  readonly now: string;
  readonly until: string;
  readonly itemsMax: number;
  /** Of the items of a campaign, how many are to have a known answer. */
  calibrationShare(campaign: string): number;
  /** In [0, 1). */
  random(): number;
  newId(): string;
}

export interface NewLabel {
  readonly label: HumanLabel;
  readonly category: string | null;
  readonly tier: ConfidenceTier;
  /** Of the annotator, now. */
  readonly calibration: number | null;
  readonly at: string;
}

/** `stale`: others have it since, or nobody. `decided`: it has its label. `none`: there is none such for this person. */
export type LabelRefusal = 'stale' | 'decided' | 'none';

export interface Labelled {
  /** Nothing of its batch is left. */
  readonly isBatchDone: boolean;
  readonly campaign: string;
}

export interface AnnotatorRow {
  readonly annotator_id: string;
  readonly state: AnnotatorState;
  readonly since: string;
  readonly good_at: string;
  readonly changed_at: string;
  readonly changed_by: string;
  readonly reason: string;
}

export interface Paused {
  readonly flagged: number;
  /** Tasks that wait for others again. */
  readonly requeued: number;
}

const ANNOTATION = 'a.annotation_id, a.batch_id, a.item_id, a.claimed_until';
const OF_TASK = TASK_COLUMNS.map((column) => `t.${column}`).join(', ');
/** How often a batch is tried anew where somebody else was quicker. */
const TRIES = 10;
/** Labels that agreement is told from at most. */
const RATINGS_MAX = 4_000;
/** Items among which one is drawn. */
const ITEMS_LOOKED_AT = 500;

type AnnotationRow = TaskRow & { readonly annotation_id: string; readonly batch_id: string; readonly item_id: string | null; readonly claimed_until: string };

export class SqlAnnotationStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  cursor(log: string): Promise<LogCursor | undefined> {
    return readCursor(this.#database.query, log);
  }

  /** With the place of their log and what was counted there, or not at all. How many were not there before. */
  add(tasks: readonly NewTask[], cursor?: LogCursor, counted?: LogCounts): Promise<number> {
    return this.#database.transaction(async (query) => {
      const added = await insertTasks(query, tasks);
      if (cursor !== undefined && counted !== undefined) await count(query, cursor, counted);
      else if (cursor !== undefined) await moveCursor(query, cursor);
      return added;
    });
  }

  /** Of a log, as far as it is looked through. */
  declarations(log: string): Promise<readonly PlacedDeclaration[]> {
    return readDeclarations(this.#database.query, { log });
  }

  async task(taskId: string): Promise<AnnotationTask | undefined> {
    return (await this.#database.query<TaskRow>(`select ${TASK_COLUMNS.join(', ')} from risk_tasks where task_id = $1`, taskId)).map(readTask)[0];
  }

  /** Newest first. */
  async tasks(campaign: string, limit: number): Promise<readonly AnnotationTask[]> {
    return (await this.#database.query<TaskRow>(`select ${TASK_COLUMNS.join(', ')} from risk_tasks where campaign = $1 order by created_at desc, task_id desc limit ${Math.trunc(limit)}`, campaign)).map(readTask);
  }

  cells(campaign?: string): Promise<readonly TaskCell[]> {
    return readCells(this.#database.query, campaign);
  }

  /** Labels of the campaign's tasks that several people labelled, some of them where they are very many. */
  ratings(campaign: string): Promise<readonly { readonly item: string; readonly rater: string; readonly label: string }[]> {
    return this.#database.query(
      `select a.task_id as item, a.annotator_id as rater, a.human_label as label from risk_annotations a join risk_tasks t on t.task_id = a.task_id where t.campaign = $1 and t.wanted > 1 and a.item_id is null and a.status = 'labelled' order by t.task_id desc limit ${RATINGS_MAX}`, campaign,
    );
  }

  /** The next campaign by name that has tasks, with the time of the newest. */
  async campaignAfter(campaign: string): Promise<{ readonly campaign: string; readonly newest: string } | undefined> {
    const [row] = await this.#database.query<{ readonly campaign: string; readonly newest: string }>('select campaign, max(created_at) as newest from risk_tasks where campaign = (select min(campaign) from risk_tasks where campaign > $1) group by campaign', campaign);
    return row;
  }

  /** The oldest of its tasks, with their labels. How many there were. */
  drop(campaign: string, limit: number): Promise<number> {
    return this.#database.transaction((query) => dropTasks(query, campaign, limit));
  }

  /** What the person has, or a new batch; none where nothing waits for them. In the order in which it is to be labelled. */
  async batch(wanted: WantedBatch): Promise<readonly GivenAnnotation[]> {
    for (let tried = 1; ; tried++) {
      const held = await this.#renewed(wanted);
      if (held.length > 0) return held;
      try {
        const made = await this.#database.transaction((query) => makeBatch(query, wanted));
        if (made === 'none' || tried === TRIES) return [];
      } catch (error) {
        if (!isTaken(error) || tried === TRIES) throw error;
      }
    }
  }

  async #renewed({ annotator, until }: WantedBatch): Promise<readonly GivenAnnotation[]> {
    await this.renew(annotator, until);
    return this.open(annotator);
  }

  /** What the person has before them. */
  async open(annotator: string): Promise<readonly GivenAnnotation[]> {
    const rows = await this.#database.query<AnnotationRow>(`select ${ANNOTATION}, ${OF_TASK} from risk_annotations a join risk_tasks t on t.task_id = a.task_id where a.annotator_id = $1 and a.status = 'open' order by a.batch_id, a.position`, annotator);
    return rows.map((row) => ({ annotation_id: row.annotation_id, batch_id: row.batch_id, item_id: row.item_id, claimed_until: row.claimed_until, task: readTask(row) }));
  }

  async renew(annotator: string, until: string): Promise<number> {
    return (await this.#database.query(`update risk_annotations set claimed_until = $2 where annotator_id = $1 and status = 'open' returning annotation_id`, annotator, until)).length;
  }

  async shown(annotationId: string, at: string): Promise<void> {
    await this.#database.query('update risk_annotations set shown_at = $2 where annotation_id = $1 and shown_at is null', annotationId, at);
  }

  /** All that the person has is for others. */
  giveBack(annotator: string): Promise<number> {
    return this.#database.transaction((query) => lose(query, 'annotator_id = $1', annotator));
  }

  async label(annotationId: string, annotator: string, { label, category, tier, calibration, at }: NewLabel): Promise<Labelled | LabelRefusal> {
    return this.#database.transaction(async (query) => {
      // The row is this transaction's from here on.
      const [held] = await query<{ readonly task_id: string; readonly item_id: string | null; readonly batch_id: string }>(
        `update risk_annotations set status = 'labelled', human_label = $3, violation_category = $4, confidence_tier = $5, annotator_calibration = $6, labelled_at = $7 where annotation_id = $1 and annotator_id = $2 and status = 'open' returning task_id, item_id, batch_id`,
        annotationId, annotator, label, category, tier, calibration, at,
      );
      if (held === undefined) return refusalOf(query, annotationId, annotator);
      const task = await settle(query, held.task_id, at);
      const [left] = await query<{ readonly total: SqlValue }>(`select count(*) as total from risk_annotations where annotator_id = $1 and batch_id = $2 and status = 'open'`, annotator, held.batch_id);
      return { isBatchDone: Number(left?.total) === 0, campaign: task.campaign };
    });
  }

  /** There is nothing that could be labelled: nobody is given it any more, and it counts as not answered. */
  missing(taskId: string, reason: MissingReason, at: string): Promise<void> {
    return this.#database.transaction(async (query) => {
      const task = await lockedTask(query, taskId);
      if (task === undefined || task.status !== 'waiting') return;
      await query(`update risk_annotations set status = 'lost' where task_id = $1 and item_id is null and status = 'open'`, taskId);
      await moveTask(query, task, { outcome: 'missing', reason, at });
    });
  }

  /** The same of an item with a known answer, which is not given to this person again. */
  async missingItem(annotationId: string): Promise<void> {
    await this.#database.query(`update risk_annotations set status = 'lost' where annotation_id = $1 and status = 'open' and item_id is not null`, annotationId);
  }

  async annotator(id: string): Promise<AnnotatorRow | undefined> {
    return (await this.#database.query<AnnotatorRow>('select * from risk_annotators where annotator_id = $1', id))[0];
  }

  annotators(): Promise<readonly AnnotatorRow[]> {
    return this.#database.query<AnnotatorRow>('select * from risk_annotators order by annotator_id');
  }

  /** Is known from now on; who is known stays as they are. */
  async meet(id: string, at: string): Promise<AnnotatorRow> {
    await this.#database.query(`insert into risk_annotators (annotator_id, state, since, good_at, changed_at, changed_by, reason) values ($1, 'active', $2, $2, $2, $1, '') on conflict do nothing`, id, at);
    return (await this.annotator(id))!;
  }

  /** The calibration held until then. */
  async good(id: string, at: string): Promise<void> {
    await this.#database.query(`update risk_annotators set good_at = $2 where annotator_id = $1 and state = 'active'`, id, at);
  }

  /** Nothing is given to them; what they said since the calibration last held counts no more, and waits for others. Undefined: they were paused before. */
  pause(id: string, at: string, author: string, reason: string): Promise<Paused | undefined> {
    return this.#database.transaction(async (query) => {
      const [row] = await query<AnnotatorRow>(`update risk_annotators set state = 'paused', changed_at = $2, changed_by = $3, reason = $4 where annotator_id = $1 and state = 'active' returning *`, id, at, author, reason);
      if (row === undefined) return undefined;
      await lose(query, 'annotator_id = $1', id);
      const flagged = await query<{ readonly task_id: string; readonly item_id: string | null }>(`update risk_annotations set status = 'flagged' where annotator_id = $1 and status = 'labelled' and item_id is null and labelled_at > $2 returning task_id, item_id`, id, row.good_at);
      let requeued = 0;
      for (const { task_id } of [...flagged].sort((a, b) => (a.task_id < b.task_id ? -1 : 1))) if (await reopen(query, task_id)) requeued++;
      return { flagged: flagged.length, requeued };
    });
  }

  /** True where they were paused. Their calibration begins anew. */
  async resume(id: string, at: string, author: string, reason: string): Promise<boolean> {
    return (await this.#database.query(`update risk_annotators set state = 'active', since = $2, good_at = $2, changed_at = $2, changed_by = $3, reason = $4 where annotator_id = $1 and state = 'paused' returning annotator_id`, id, at, author, reason)).length === 1;
  }
}

/**
 * `none`: nothing waits for this person. `again`: others were quicker. Tasks come by their ids, which are hashes, so that what
 * nobody comes to is missing at random; and all who take several rows take them in that order.
 */
async function makeBatch(query: SqlQuery, { annotator, now, until, itemsMax, calibrationShare, random, newId }: WantedBatch): Promise<'made' | 'none' | 'again'> {
  await lose(query, 'claimed_until < $1', now);
  const waiting = await query<TaskRow>(
    `select ${TASK_COLUMNS.join(', ')} from risk_tasks where status = 'waiting' and given < wanted and not exists (select 1 from risk_annotations a where a.task_id = risk_tasks.task_id and a.annotator_id = $1 and a.item_id is null) order by task_id limit ${Math.trunc(itemsMax)}`,
    annotator,
  );
  const slots: { readonly task: TaskRow; readonly item: string | null }[] = [];
  const drawn = new Set<string>();
  for (const task of waiting) {
    if (slots.length >= itemsMax) break;
    // Somebody else may have been quicker.
    const [taken] = await query(`update risk_tasks set given = given + 1 where task_id = $1 and status = 'waiting' and given < wanted returning task_id`, task.task_id);
    if (taken === undefined) continue;
    slots.push({ task, item: null });
    while (slots.length < itemsMax && random() < calibrationShare(String(task.campaign))) {
      const item = await unseenItem(query, annotator, task, drawn, random);
      if (item === undefined) break;
      slots.push({ task, item });
    }
  }
  if (slots.length === 0) return waiting.length === 0 ? 'none' : 'again';
  const batch = newId();
  const order = slots.map((slot) => ({ slot, at: random() })).sort((a, b) => a.at - b.at);
  for (const [position, { slot: { task, item } }] of order.entries()) {
    await query(`insert into risk_annotations (annotation_id, task_id, item_id, annotator_id, batch_id, position, status, claimed_until) values ($1, $2, $3, $4, $5, $6, 'open', $7)`, newId(), task.task_id, item, annotator, batch, position, until);
  }
  return 'made';
}

/** One that this person has never been given and that could stand in the task's place. */
async function unseenItem(query: SqlQuery, annotator: string, { campaign, direction, modality }: TaskRow, drawn: Set<string>, random: () => number): Promise<string | undefined> {
  const items = await query<{ readonly item_id: string }>(
    `select item_id from risk_items where campaign in ($2, '') and direction = $3 and modality = $4 and retired = 0 and not exists (select 1 from risk_annotations a where a.item_id = risk_items.item_id and a.annotator_id = $1) order by item_id limit ${ITEMS_LOOKED_AT}`,
    annotator, campaign, direction, modality,
  );
  const left = items.filter(({ item_id: id }) => !drawn.has(id));
  const item = left[Math.floor(random() * left.length)]?.item_id;
  if (item !== undefined) drawn.add(item);
  return item;
}

/** Whole batches of which something is open and fits: all of it is lost to its person. */
async function lose(query: SqlQuery, where: string, value: SqlValue): Promise<number> {
  const lost = await query<{ readonly task_id: string; readonly item_id: string | null }>(`update risk_annotations set status = 'lost' where status = 'open' and ${where} returning task_id, item_id`, value);
  for (const { task_id } of lost.filter(({ item_id }) => item_id === null).sort((a, b) => (a.task_id < b.task_id ? -1 : 1))) await query('update risk_tasks set given = given - 1 where task_id = $1', task_id);
  return lost.length;
}

async function lockedTask(query: SqlQuery, taskId: string): Promise<AnnotationTask | undefined> {
  return (await query<TaskRow>(`update risk_tasks set given = given where task_id = $1 returning ${TASK_COLUMNS.join(', ')}`, taskId)).map(readTask)[0];
}

/** As its labels say now. Of an item with a known answer nothing changes: its label is no label of the task. */
async function settle(query: SqlQuery, taskId: string, at: string): Promise<AnnotationTask> {
  const task = (await lockedTask(query, taskId))!;
  const labels = await labelsOf(query, taskId);
  if (task.status !== 'waiting') return task;
  const standing = standingOf(task.wanted, labels);
  if (standing.wanted !== task.wanted) await query('update risk_tasks set wanted = $2 where task_id = $1', taskId, standing.wanted);
  if (standing.label !== undefined) await moveTask(query, task, { outcome: standing.label, category: standing.category, at });
  return task;
}

/** Labels that count no more are taken away: it waits again where too few are left. True where it does. */
async function reopen(query: SqlQuery, taskId: string): Promise<boolean> {
  const task = (await lockedTask(query, taskId))!;
  const [held] = await query<{ readonly total: SqlValue }>(`select count(*) as total from risk_annotations where task_id = $1 and item_id is null and status in ('open', 'labelled')`, taskId);
  await query('update risk_tasks set given = $2 where task_id = $1', taskId, Number(held?.total));
  if (task.status !== 'labelled') return task.status === 'waiting';
  await moveTask(query, task, { outcome: 'waiting', at: null });
  return true;
}

async function labelsOf(query: SqlQuery, taskId: string): Promise<readonly GivenLabel[]> {
  return query<GivenLabel>(`select human_label as label, violation_category as category, confidence_tier as tier from risk_annotations where task_id = $1 and item_id is null and status = 'labelled' order by labelled_at, annotation_id`, taskId);
}

async function refusalOf(query: SqlQuery, annotationId: string, annotator: string): Promise<LabelRefusal> {
  const [row] = await query<{ readonly status: string }>('select status from risk_annotations where annotation_id = $1 and annotator_id = $2', annotationId, annotator);
  return row === undefined ? 'none' : row.status === 'lost' ? 'stale' : 'decided';
}
