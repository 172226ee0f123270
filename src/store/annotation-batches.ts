/**
 * How a person comes by texts to label, in one transaction each: a batch of what waits, with known answers among it in the
 * places of texts, or one text of which two say different things. Nobody is given a text that they have had, nor an item
 * that they have had, made, seen with its answer, or labelled when it was drawn. Statements alone; the port is annotations'.
 */
import { readTask, TASK_COLUMNS, type TaskRow } from './annotation-tasks.ts';
import type { SqlQuery, SqlValue } from './sql.ts';

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

export type WantedDispute = Pick<WantedBatch, 'annotator' | 'now' | 'until' | 'newId'>;

/** Items among which one is drawn. */
const ITEMS_LOOKED_AT = 500;
const UNKNOWN_TO = 'not exists (select 1 from risk_annotations a where a.task_id = risk_tasks.task_id and a.annotator_id = $1 and a.item_id is null)';

/**
 * `none`: nothing waits for this person. `again`: others were quicker. Tasks come by their ids, which are hashes, so that what
 * nobody comes to is missing at random; and all who take several rows take them in that order.
 */
export async function makeBatch(query: SqlQuery, { annotator, now, until, itemsMax, calibrationShare, random, newId }: WantedBatch): Promise<'made' | 'none' | 'again'> {
  await lose(query, 'claimed_until < $1', now);
  const waiting = await query<TaskRow>(
    `select ${TASK_COLUMNS.join(', ')} from risk_tasks where status = 'waiting' and disputed = 0 and given < wanted and ${UNKNOWN_TO} order by task_id limit ${Math.trunc(itemsMax)}`,
    annotator,
  );
  const slots: { readonly task: TaskRow; readonly item: string | null }[] = [];
  const drawn = new Set<string>();
  for (const task of waiting) {
    if (slots.length >= itemsMax) break;
    // Somebody else may have been quicker.
    const [taken] = await query(`update risk_tasks set given = given + 1 where task_id = $1 and status = 'waiting' and disputed = 0 and given < wanted returning task_id`, task.task_id);
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
  for (const [position, { slot: { task, item } }] of order.entries()) await give(query, { id: newId(), taskId: String(task.task_id), item, annotator, batch, position, until, now, adjudicates: 0 });
  return 'made';
}

/** One text of which two say different things, for who has said nothing of it. */
export async function takeDispute(query: SqlQuery, { annotator, now, until, newId }: WantedDispute): Promise<'made' | 'none' | 'again'> {
  await lose(query, 'claimed_until < $1', now);
  const [task] = (await query<TaskRow>(`select ${TASK_COLUMNS.join(', ')} from risk_tasks where disputed = 1 and status = 'waiting' and given < wanted and ${UNKNOWN_TO} order by task_id limit 1`, annotator)).map(readTask);
  if (task === undefined) return 'none';
  const [taken] = await query(`update risk_tasks set given = given + 1 where task_id = $1 and disputed = 1 and status = 'waiting' and given < wanted returning task_id`, task.task_id);
  if (taken === undefined) return 'again';
  await give(query, { id: newId(), taskId: task.task_id, item: null, annotator, batch: newId(), position: 0, until, now, adjudicates: 1 });
  return 'made';
}

interface Given {
  readonly id: string;
  readonly taskId: string;
  readonly item: string | null;
  readonly annotator: string;
  readonly batch: string;
  readonly position: number;
  readonly until: string;
  readonly now: string;
  readonly adjudicates: 0 | 1;
}

async function give(query: SqlQuery, { id, taskId, item, annotator, batch, position, until, now, adjudicates }: Given): Promise<void> {
  await query(`insert into risk_annotations (annotation_id, task_id, item_id, annotator_id, batch_id, position, status, claimed_until, given_at, adjudicates) values ($1, $2, $3, $4, $5, $6, 'open', $7, $8, $9)`, id, taskId, item, annotator, batch, position, until, now, adjudicates);
}

/** One that could stand in the task's place, and that this person cannot know. */
async function unseenItem(query: SqlQuery, annotator: string, { campaign, direction, modality }: TaskRow, drawn: Set<string>, random: () => number): Promise<string | undefined> {
  const items = await query<{ readonly item_id: string }>(
    `select item_id from risk_items where campaign in ($2, '') and direction = $3 and modality = $4 and retired = 0 and author <> $1
       and not exists (select 1 from risk_annotations a where a.item_id = risk_items.item_id and a.annotator_id = $1)
       and not exists (select 1 from risk_item_views v where v.item_id = risk_items.item_id and v.viewer = $1)
       and not exists (select 1 from risk_annotations o where o.task_id = risk_items.source_task and o.annotator_id = $1 and o.item_id is null)
     order by item_id limit ${ITEMS_LOOKED_AT}`,
    annotator, campaign, direction, modality,
  );
  const left = items.filter(({ item_id: id }) => !drawn.has(id));
  const item = left[Math.floor(random() * left.length)]?.item_id;
  if (item !== undefined) drawn.add(item);
  return item;
}

/** Whole batches of which something is open and fits: all of it is lost to its person. */
export async function lose(query: SqlQuery, where: string, value: SqlValue): Promise<number> {
  const lost = await query<{ readonly task_id: string; readonly item_id: string | null }>(`update risk_annotations set status = 'lost' where status = 'open' and ${where} returning task_id, item_id`, value);
  for (const { task_id } of lost.filter(({ item_id }) => item_id === null).sort((a, b) => (a.task_id < b.task_id ? -1 : 1))) await query('update risk_tasks set given = given - 1 where task_id = $1', task_id);
  return lost.length;
}
