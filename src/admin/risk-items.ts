/**
 * Items with known answers over the API: taken in, listed without their texts, retired, and made of drawn texts on which
 * people have settled. Texts come in; one goes out alone, to who answers for it and asks, and that person is never given it.
 * A drawn text stays where it lies, and as an item goes with it. Every change, and every look at a text, is an entry of the
 * audit log.
 */
import { itemOf, ITEMS_AT_ONCE_MAX, readItems } from '../risk/items.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import type { RiskDesk } from './risk.ts';
import { ref } from './schemas.ts';

const OVERSEERS = ['admin', 'policy', 'auditor'] as const;
const AUTHORS = ['admin', 'policy'] as const;
const BAD = { 400: { meaning: 'the query or the body cannot be used, and why' } } as const;
const NO_ITEM = { 404: { meaning: 'there is no such item, or its text is gone' } } as const;
const json = ['application/json'] as const;
const word = { type: 'string', minLength: 1, maxLength: 200 } as const;
const LISTED = { default: 50, max: 500 } as const;
/** Of texts that come in at once. */
const BYTES_MAX = 8 * 1024 * 1024;

export const RISK_ITEM_ROUTES: readonly Route<RiskDesk>[] = [
  { method: 'GET', path: '/api/v1/risk/calibration', name: 'countCalibrationItems', access: OVERSEERS, meaning: 'how many items with known answers serve, and of which categories', answers: { 200: { meaning: 'the counts; texts are not given out', schema: ref('RiskItems') } }, run: async ({ checks }) => ({ status: 200, body: { items: await checks.itemCounts(), coverage: await checks.coverage() } }) },
  { method: 'POST', path: '/api/v1/risk/calibration', name: 'addCalibrationItems', access: AUTHORS, meaning: `take in items with known answers, at most ${ITEMS_AT_ONCE_MAX}; they are sealed, and their author is never given them`, body: { schema: ref('NewRiskItems'), types: json, bytesMax: BYTES_MAX }, answers: { 200: { meaning: 'how many were new', schema: ref('RiskAdded') }, ...BAD }, run: addItems },
  { method: 'GET', path: '/api/v1/risk/calibration/items', name: 'listCalibrationItems', access: OVERSEERS, meaning: 'items with known answers, newest first, without their texts: the answer, and how many were given it and agreed; `?before=` an item, `?limit=`', query: { before: word, limit: { type: 'integer', minimum: 1, maximum: LISTED.max } }, answers: { 200: { meaning: 'the items', schema: ref('RiskItemList') }, ...BAD }, run: list },
  { method: 'GET', path: '/api/v1/risk/calibration/candidates', name: 'listItemCandidates', access: OVERSEERS, meaning: 'drawn texts on which two differed and a third decided, and that are no items yet, newest first', answers: { 200: { meaning: 'the texts, without content', schema: ref('RiskCandidates') } }, run: async ({ checks }) => ({ status: 200, body: { candidates: await checks.candidates(LISTED.default) } }) },
  { method: 'POST', path: '/api/v1/risk/calibration/candidates/:id', name: 'adoptCandidate', access: AUTHORS, meaning: 'make a drawn text an item, with the answer on which people have settled; who labelled it is never given it', answers: { 200: { meaning: 'whether it was new', schema: ref('RiskAdded') }, 404: { meaning: 'there is no such text, or nobody has settled on an answer' } }, run: adopt },
  { method: 'POST', path: '/api/v1/risk/calibration/items/:id/text', name: 'openCalibrationItem', access: AUTHORS, meaning: 'the text of an item; the caller is never given it to label', answers: { 200: { meaning: 'the text', schema: ref('RiskItemText') }, ...NO_ITEM }, run: open },
  { method: 'POST', path: '/api/v1/risk/calibration/items/:id/retire', name: 'retireCalibrationItem', access: AUTHORS, meaning: 'give an item to nobody any more; what was answered counts', answers: { 200: { meaning: 'it serves no more', schema: ref('RiskDone') }, ...NO_ITEM }, run: retire },
];

async function addItems(desk: RiskDesk, { text, author }: DeskRequest): Promise<DeskAnswer> {
  const items = readItems((parsed(text) as { readonly items?: unknown } | undefined)?.items, new Set(desk.taxonomy.categories.map(({ id }) => id)));
  if (typeof items === 'string') return invalid(items);
  const at = desk.now().toISOString();
  const added = await desk.checks.addItems(items.map((item) => ({ ...desk.seal(item), author, created_at: at })));
  await desk.audit({ kind: 'annotation', change: 'calibration', author, count: added });
  return { status: 200, body: { added, known: items.length - added } };
}

async function list({ checks }: RiskDesk, { query }: DeskRequest): Promise<DeskAnswer> {
  const { before, limit = LISTED.default } = query as { readonly before?: string; readonly limit?: number };
  const items = await checks.items({ before, limit });
  return { status: 200, body: { items, next: items.length === limit ? items.at(-1)!.item_id : null } };
}

async function adopt({ store, checks, audit, now }: RiskDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  const task = await store.task(id);
  const label = task?.human_label ?? null;
  if (task === undefined || label === null) return missing(`there is no drawn text ${id} with a settled label`);
  const added = await checks.addItems([{ ...itemOf({ ...task, human_label: label }), author, created_at: now().toISOString() }]);
  await audit({ kind: 'annotation', change: 'calibration', author, count: added, campaign: task.campaign });
  return { status: 200, body: { added, known: 1 - added } };
}

async function open({ checks, labelling, audit, now }: RiskDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  const item = await checks.item(id);
  const text = item && (await labelling.itemText(item));
  if (item === undefined || text === undefined) return missing(`there is no item ${id} whose text can be opened here`);
  // Before the text is shown: whoever sees it knows the answer.
  await checks.viewed(item.item_id, author, now().toISOString());
  await audit({ kind: 'annotation', change: 'opened', author, count: 1 });
  return { status: 200, body: { item_id: item.item_id, label: item.label, category: item.category, text } };
}

async function retire({ checks, audit }: RiskDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  if (!(await checks.retire(id))) return { status: 404, body: fault('not_found', `there is no item ${id} that serves`) };
  await audit({ kind: 'annotation', change: 'retired', author, count: 1 });
  return DONE;
}

const DONE: DeskAnswer = { status: 200, body: { done: true } };
