/**
 * The port to annotation, over a database of either kind.
 *
 * Guarantees: a batch is one person's until it runs out and somebody else asks for work, and then all of it is lost to them
 * at once; a person labels a task once, and is given an item with a known answer once; a task is settled once, by as many
 * labels as it wants, two that differ making it want a third, who is shown what both said; whoever lost an annotation cannot
 * label by it; the newest label can be taken back until another batch was given. What a person is given, and what it costs to
 * give, label, skip or take it back, is the same whether its answer is known or not. Rejects with WeirError
 * store_unavailable when the store does not answer. The store has no clock: times are ISO 8601 in UTC, which compare as text.
 */
import type { AnnotationTask, AnnotatorState, ConfidenceTier, DisputedLabel, HumanLabel, MissingReason, SkipReason } from '../contract/risk.ts';
import { lose, makeBatch, takeDispute, type WantedBatch, type WantedDispute } from './annotation-batches.ts';
import { standingOf, type GivenLabel } from './annotation-standing.ts';
import { dropTasks, insertTasks, moveCursor, moveTask, outcomeOf, readCells, readCursor, readTask, TASK_COLUMNS, type LogCursor, type NewTask, type TaskCell, type TaskRow } from './annotation-tasks.ts';
import { count, readDeclarations, type LogCounts, type PlacedDeclaration } from './risk-counts.ts';
import { isTaken, type SqlQuery, type SqlValue, type StoreDatabase } from './sql.ts';
import { Where } from './where.ts';

/** What a person has before them. `item_id`: its answer is known. */
export interface GivenAnnotation {
  readonly annotation_id: string;
  readonly batch_id: string;
  readonly item_id: string | null;
  readonly task: AnnotationTask;
  readonly claimed_until: string;
}

export interface NewLabel {
  readonly label: HumanLabel;
  readonly category: string | null;
  readonly tier: ConfidenceTier;
  /** Why, for who decides where two differ; empty for nothing. */
  readonly note?: string;
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

/** What two say of the same text, by ids that are drawn, so that their order tells nothing. */
export interface Dispute {
  readonly annotation: GivenAnnotation;
  readonly labels: readonly DisputedLabel[];
}

/** What became of labels and texts that a person had. */
export interface Leavings {
  /** Labels that count no more, and those of them whose texts others have labelled since. */
  readonly flagged: number;
  readonly relabelled: number;
  readonly skipped: Readonly<Partial<Record<SkipReason, number>>>;
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
/** Tasks that agreement is told from at most. */
const RATED_MAX = 2_000;

type AnnotationRow = TaskRow & { readonly annotation_id: string; readonly batch_id: string; readonly item_id: string | null; readonly claimed_until: string };

export class SqlAnnotationStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  cursor(log: string): Promise<LogCursor | undefined> {
    return readCursor(this.#database.query, log);
  }

  /** With the place of their log and what was counted there, or not at all. How many were not there before. `readable`: of them those whose text lies where all can read it from now on; who found none before is asked again. */
  add(tasks: readonly NewTask[], cursor?: LogCursor, counted?: LogCounts, readable: readonly string[] = []): Promise<number> {
    return this.#database.transaction(async (query) => {
      const added = await insertTasks(query, tasks);
      if (readable.length > 0) await askAgain(query, readable);
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

  /**
   * Labels of the campaign's tasks that several people labelled, some of them where they are very many: by the last ids, which
   * are hashes, however many labels a task wanted. Each count of labels is one stretch of an index;
   * SQLite would begin with all labels, were it not a cross join.
   */
  ratings(campaign: string): Promise<readonly { readonly item: string; readonly rater: string; readonly label: string }[]> {
    const stretch = (wanted: string): string => `select task_id from (select task_id from risk_tasks where campaign = $1 and wanted ${wanted} order by task_id desc limit ${RATED_MAX}) of_${wanted.startsWith('>') ? 'more' : wanted.slice(2)}`;
    return this.#database.query(
      `select a.task_id as item, a.annotator_id as rater, a.human_label as label from (select task_id from (${['= 2', '= 3', '> 3'].map(stretch).join(' union all ')}) several order by task_id desc limit ${RATED_MAX}) t
       cross join risk_annotations a where a.task_id = t.task_id and a.item_id is null and a.adjudicates = 0 and a.status = 'labelled'`, campaign,
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
    return readOpen(this.#database.query, annotator, 0);
  }

  /** How much of a batch its person has done with. */
  async doneOf(batchId: string): Promise<number> {
    return Number((await this.#database.query<{ readonly total: SqlValue }>(`select count(*) as total from risk_annotations where batch_id = $1 and status <> 'open'`, batchId))[0]?.total);
  }

  /** The batch that the person was given last. */
  async newestBatch(annotator: string): Promise<string | undefined> {
    return newestBatch(this.#database.query, annotator);
  }

  /** A text of which two say different things, for who has said nothing of it: the one that the person has, or the next. */
  async dispute(wanted: WantedDispute): Promise<Dispute | undefined> {
    for (let tried = 1; ; tried++) {
      const held = await this.disputeOf(wanted.annotator);
      if (held !== undefined) {
        await this.#database.query(`update risk_annotations set claimed_until = $2 where annotation_id = $1 and status = 'open'`, held.annotation.annotation_id, wanted.until);
        return held;
      }
      try {
        const made = await this.#database.transaction((query) => takeDispute(query, wanted));
        if (made === 'none' || tried === TRIES) return undefined;
      } catch (error) {
        if (!isTaken(error) || tried === TRIES) throw error;
      }
    }
  }

  /** That the person has before them. */
  async disputeOf(annotator: string): Promise<Dispute | undefined> {
    const [annotation] = await readOpen(this.#database.query, annotator, 1);
    if (annotation === undefined) return undefined;
    const labels = await this.#database.query<GivenLabel & { readonly note: string | null }>(`select human_label as label, violation_category as category, confidence_tier as tier, note from risk_annotations where task_id = $1 and item_id is null and status = 'labelled' order by annotation_id`, annotation.task.task_id);
    return { annotation, labels: labels.map((one) => ({ ...one, note: one.note ?? '' })) };
  }

  /** How many of them wait for this person or others like them. */
  async disputes(annotator: string): Promise<number> {
    const [row] = await this.#database.query<{ readonly total: SqlValue }>(`select count(*) as total from risk_tasks where disputed = 1 and status = 'waiting' and given < wanted and not exists (select 1 from risk_annotations a where a.task_id = risk_tasks.task_id and a.annotator_id = $1 and a.item_id is null)`, annotator);
    return Number(row?.total);
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

  async label(annotationId: string, annotator: string, { label, category, tier, note = '', calibration, at }: NewLabel): Promise<Labelled | LabelRefusal> {
    return this.#database.transaction(async (query) => {
      // The row is this transaction's from here on.
      const [held] = await query<{ readonly task_id: string; readonly item_id: string | null; readonly batch_id: string }>(
        `update risk_annotations set status = 'labelled', human_label = $3, violation_category = $4, confidence_tier = $5, annotator_calibration = $6, labelled_at = $7, note = $8 where annotation_id = $1 and annotator_id = $2 and status = 'open' returning task_id, item_id, batch_id`,
        annotationId, annotator, label, category, tier, calibration, at, note === '' ? null : note,
      );
      if (held === undefined) return refusalOf(query, annotationId, annotator);
      const task = await settle(query, held.task_id, at);
      const [left] = await query<{ readonly total: SqlValue }>(`select count(*) as total from risk_annotations where annotator_id = $1 and batch_id = $2 and status = 'open'`, annotator, held.batch_id);
      return { isBatchDone: Number(left?.total) === 0, campaign: task.campaign };
    });
  }

  /** The person's newest label is taken back, and its text is before them again; while nobody gave them another batch, and their claim holds. */
  undo(annotator: string, now: string, until: string): Promise<'undone' | 'none'> {
    return this.#database.transaction(async (query) => {
      const batch = await newestBatch(query, annotator);
      const [last] = await query<{ readonly annotation_id: string; readonly task_id: string; readonly item_id: string | null }>(
        `select annotation_id, task_id, item_id from risk_annotations where batch_id = $1 and annotator_id = $2 and adjudicates = 0 and status = 'labelled' and claimed_until >= $3 order by labelled_at desc, position desc limit 1`, batch ?? '', annotator, now,
      );
      const [held] = last === undefined ? [] : await query<{ readonly task_id: string }>(
        `update risk_annotations set status = 'open', human_label = null, violation_category = null, confidence_tier = null, annotator_calibration = null, labelled_at = null, note = null, claimed_until = $2 where annotation_id = $1 and status = 'labelled' returning task_id`, last.annotation_id, until,
      );
      if (last === undefined || held === undefined) return 'none';
      // Who decides between two labels has seen the one that is taken back.
      const lost = await query(`update risk_annotations set status = 'lost' where task_id = $1 and adjudicates = 1 and status = 'open' and $2 = 1 returning annotation_id`, held.task_id, last.item_id === null ? 1 : 0);
      await query('update risk_tasks set given = given - $2 where task_id = $1', held.task_id, lost.length);
      await settle(query, held.task_id, now);
      return 'undone';
    });
  }

  /** Somebody else is given it, and its person not again; what is `unreadable` nobody. */
  skip(annotationId: string, annotator: string, reason: SkipReason, at: string): Promise<'skipped' | LabelRefusal> {
    return this.#database.transaction(async (query) => {
      const [held] = await query<{ readonly task_id: string; readonly item_id: string | null }>(`update risk_annotations set status = 'lost', skip_reason = $3 where annotation_id = $1 and annotator_id = $2 and status = 'open' returning task_id, item_id`, annotationId, annotator, reason);
      if (held === undefined) return refusalOf(query, annotationId, annotator);
      const isOfTask = held.item_id === null;
      await query('update risk_tasks set given = given - $2 where task_id = $1', held.task_id, isOfTask ? 1 : 0);
      const { task } = (await lockedTask(query, held.task_id))!;
      await query(`update risk_annotations set status = 'lost' where task_id = $1 and item_id is null and status = 'open' and $2 = 1`, held.task_id, isOfTask && reason === 'unreadable' ? 1 : 0);
      await moveTask(query, task, isOfTask && reason === 'unreadable' && task.status === 'waiting' ? { outcome: 'missing', reason, at } : asItIs(task));
      return 'skipped';
    });
  }

  /** There is nothing that could be labelled: nobody is given it any more, and it counts as not answered. */
  missing(taskId: string, reason: MissingReason, at: string): Promise<void> {
    return this.#database.transaction(async (query) => {
      const task = (await lockedTask(query, taskId))?.task;
      if (task === undefined || task.status !== 'waiting') return;
      await query(`update risk_annotations set status = 'lost' where task_id = $1 and item_id is null and status = 'open'`, taskId);
      await moveTask(query, task, { outcome: 'missing', reason, at });
    });
  }

  /** The same of an item with a known answer. */
  async missingItem(annotationId: string): Promise<void> {
    await this.#database.query(`update risk_annotations set status = 'lost' where annotation_id = $1 and status = 'open' and item_id is not null`, annotationId);
  }

  async leavings(annotator: string): Promise<Leavings> {
    const rows = await this.#database.query<{ readonly reason: SkipReason | null; readonly is_flagged: SqlValue; readonly is_done: SqlValue; readonly total: SqlValue }>(
      `select a.skip_reason as reason, case when a.status = 'flagged' then 1 else 0 end as is_flagged, case when t.status = 'labelled' then 1 else 0 end as is_done, count(*) as total from risk_annotations a join risk_tasks t on t.task_id = a.task_id where a.annotator_id = $1 and a.status in ('flagged', 'lost') group by 1, 2, 3`, annotator,
    );
    const sum = (of: (row: (typeof rows)[number]) => boolean): number => rows.reduce((all, row) => (of(row) ? all + Number(row.total) : all), 0);
    const isFlagged = (row: (typeof rows)[number]): boolean => Number(row.is_flagged) === 1;
    const reasons = [...new Set(rows.flatMap(({ reason }) => reason ?? []))];
    return { flagged: sum(isFlagged), relabelled: sum((row) => isFlagged(row) && Number(row.is_done) === 1), skipped: Object.fromEntries(reasons.map((reason) => [reason, sum((row) => row.reason === reason)])) };
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
      for (const { task_id } of [...flagged].sort((a, b) => (a.task_id < b.task_id ? -1 : 1))) if (await reopen(query, task_id, at)) requeued++;
      return { flagged: flagged.length, requeued };
    });
  }

  /** True where they were paused. Their calibration begins anew. */
  async resume(id: string, at: string, author: string, reason: string): Promise<boolean> {
    return (await this.#database.query(`update risk_annotators set state = 'active', since = $2, good_at = $2, changed_at = $2, changed_by = $3, reason = $4 where annotator_id = $1 and state = 'paused' returning annotator_id`, id, at, author, reason)).length === 1;
  }
}

async function readOpen(query: SqlQuery, annotator: string, adjudicates: 0 | 1): Promise<readonly GivenAnnotation[]> {
  const rows = await query<AnnotationRow>(`select ${ANNOTATION}, ${OF_TASK} from risk_annotations a join risk_tasks t on t.task_id = a.task_id where a.annotator_id = $1 and a.status = 'open' and a.adjudicates = $2 order by a.batch_id, a.position`, annotator, adjudicates);
  return rows.map(({ annotation_id, batch_id, item_id, claimed_until, ...task }) => ({ annotation_id, batch_id, item_id, claimed_until, task: readTask(task) }));
}

async function newestBatch(query: SqlQuery, annotator: string): Promise<string | undefined> {
  return (await query<{ readonly batch_id: string }>('select batch_id from risk_annotations where annotator_id = $1 and given_at is not null and adjudicates = 0 order by given_at desc, batch_id limit 1', annotator))[0]?.batch_id;
}

async function lockedTask(query: SqlQuery, taskId: string): Promise<{ readonly task: AnnotationTask; readonly given: number; readonly isDisputed: boolean } | undefined> {
  return (await query<TaskRow>(`update risk_tasks set given = given where task_id = $1 returning ${TASK_COLUMNS.join(', ')}`, taskId)).map((row) => ({ task: readTask(row), given: Number(row.given), isDisputed: Number(row.disputed) === 1 }))[0];
}

/**
 * As its labels say now. Of an item with a known answer nothing changes, since its label is no label of the task; the
 * statements are the same, so that the time they take tells nothing.
 */
async function settle(query: SqlQuery, taskId: string, at: string): Promise<AnnotationTask> {
  const { task, given, isDisputed } = (await lockedTask(query, taskId))!;
  const labels = await labelsOf(query, taskId);
  // Of two that differed one is gone: the next labels it as any other.
  const isOver = isDisputed && labels.length < task.wanted - 1;
  const standing = standingOf(isOver ? Math.max(task.wanted - 1, given) : task.wanted, labels);
  const isWaiting = task.status === 'waiting' || (task.status === 'labelled' && labels.length < standing.wanted);
  await query('update risk_tasks set wanted = $2, disputed = $3 where task_id = $1', taskId, isWaiting ? standing.wanted : task.wanted, isWaiting && (standing.isDisputed === true || (isDisputed && !isOver && standing.label === undefined)) ? 1 : 0);
  await moveTask(query, task, !isWaiting ? asItIs(task) : standing.label === undefined ? { outcome: 'waiting', at: null } : { outcome: standing.label, category: standing.category, at });
  return task;
}

function asItIs(task: AnnotationTask): Parameters<typeof moveTask>[2] {
  return { outcome: outcomeOf(task), category: task.violation_category, reason: task.missing_reason, at: task.settled_at };
}

/** Labels that count no more are taken away: it waits again where too few are left. True where it does. */
async function reopen(query: SqlQuery, taskId: string, at: string): Promise<boolean> {
  const [held] = await query<{ readonly total: SqlValue }>(`select count(*) as total from risk_annotations where task_id = $1 and item_id is null and status in ('open', 'labelled')`, taskId);
  await query('update risk_tasks set given = $2 where task_id = $1', taskId, Number(held?.total));
  await settle(query, taskId, at);
  return (await query<{ readonly status: string }>('select status from risk_tasks where task_id = $1', taskId))[0]?.status === 'waiting';
}

/** Tasks whose text was looked for before it came wait for everybody again. */
async function askAgain(query: SqlQuery, taskIds: readonly string[]): Promise<void> {
  const where = new Where();
  where.add(() => `missing_reason = 'absent'`);
  where.among('task_id', taskIds);
  for (const { task_id: id } of await query<{ readonly task_id: string }>(`select task_id from risk_tasks ${where.text} order by task_id`, ...where.values)) {
    const task = (await lockedTask(query, id))?.task;
    if (task?.missing_reason !== 'absent') continue;
    await query(`delete from risk_annotations where task_id = $1 and item_id is null and status = 'lost'`, id);
    await moveTask(query, task, { outcome: 'waiting', at: null });
    await reopen(query, id, task.settled_at!);
  }
}

async function labelsOf(query: SqlQuery, taskId: string): Promise<readonly GivenLabel[]> {
  return query<GivenLabel>(`select human_label as label, violation_category as category, confidence_tier as tier from risk_annotations where task_id = $1 and item_id is null and status = 'labelled' order by labelled_at, annotation_id`, taskId);
}

async function refusalOf(query: SqlQuery, annotationId: string, annotator: string): Promise<LabelRefusal> {
  const [row] = await query<{ readonly status: string }>('select status from risk_annotations where annotation_id = $1 and annotator_id = $2', annotationId, annotator);
  return row === undefined ? 'none' : row.status === 'lost' ? 'stale' : 'decided';
}
