/**
 * A version of the data set from what people said so far: verdicts of the review queue, and labels of risk campaigns but
 * for those of texts with known answers; of tenants that agree, and of texts that are kept. Texts are laid into the store
 * as they lie sealed; they are opened to see their language and what they are alike to, and kept nowhere else. What said
 * nothing is counted by its reason. The same labels and texts are the same version.
 */
import { createHash, createHmac } from 'node:crypto';
import type { KeptTexts, SealedCopy } from '../contract/content.ts';
import { contentIdOf, ROW_PARTS, type Dataset, type DatasetAbout, type DatasetRow, type LabelledText, type LeftOut, type RowPart } from '../contract/learning.ts';
import type { Direction } from '../contract/screening.ts';
import type { LabelledQuestion, SqlDatasetStore } from '../store/datasets.ts';
import type { CopyMark, SqlReviewContents } from '../store/review-contents.ts';
import { LANGUAGE_SURE, languageOf } from '../text/language.ts';
import { judgedText, labelledByTask, labelledByVerdict, normalised, oneForEach } from './labels.ts';
import { partsFor } from './parts.ts';
import type { Progress } from './task.ts';

/** Rows of one version. */
export const DATASET_ROWS_MAX = 100_000;
const ROWS_AT_ONCE = 500;
const DAY_MS = 86_400_000;
/** Of a session that has no name: all zero. */
const NO_SESSION = /^0*$/;

export type OpenedText = { readonly state: 'there'; readonly texts: KeptTexts } | { readonly state: 'locked'; readonly detail: string } | { readonly state: 'erased' | 'absent' | 'damaged' };

export interface TextOf {
  readonly tenant_id: string;
  readonly request_id: string;
  readonly direction: Direction;
  /** About when its exchange began. */
  readonly near: string;
  /** Items and tasks that name it. */
  readonly from: readonly string[];
}

export interface TextPorts {
  /** Over `learning_contents`. */
  readonly contents: Pick<SqlReviewContents, 'of' | 'put'>;
  /** As it lies sealed where it is kept; with the newest erasure that was carried out there before. */
  sealed(text: TextOf): Promise<{ readonly copies: readonly SealedCopy[]; readonly mark: CopyMark }>;
  open(copies: readonly SealedCopy[], text: TextOf): Promise<OpenedText>;
}

export interface CollectPorts extends TextPorts {
  readonly store: Pick<SqlDatasetStore, 'decided' | 'labelled' | 'partsOf' | 'put'>;
  /** Decides in which part a row is, and tells texts apart without keeping them. */
  readonly key: Buffer;
  readonly progress: Progress;
}

export interface CollectOptions {
  /** Tenants that let it learn. */
  readonly consent: readonly string[];
  readonly taxonomy: { readonly version: number; readonly sha256: string; readonly categories: readonly string[] };
  readonly software: string;
  /** What was decided before counts no more. ISO 8601. */
  readonly since: string;
  readonly keepDays: number;
  readonly author: string;
  readonly now: Date;
}

export interface Collected {
  readonly dataset: Dataset;
  /** False: the same version was there. */
  readonly isNew: boolean;
}

/** Throws RangeError where there is nothing to learn from, or too much. */
export async function collect(ports: CollectPorts, options: CollectOptions): Promise<Collected> {
  const left: Partial<Record<LeftOut, number>> = {};
  const leave = (why: LeftOut): void => { left[why] = (left[why] ?? 0) + 1; };
  const labelled = oneForEach(await allLabelled(ports, options, leave));
  if (labelled.length > DATASET_ROWS_MAX) throw new RangeError(`a version has at most ${DATASET_ROWS_MAX} rows, these are ${labelled.length}; take those since a later time with --since`);
  const found: FoundText[] = [];
  for (const [at, one] of labelled.entries()) {
    if ((at & 63) === 0) ports.progress('collect', at, labelled.length);
    const text = await textOf(ports, one, options.keepDays);
    if (typeof text === 'string') leave(text);
    else found.push(text);
  }
  ports.progress('collect', 1, 1);
  if (found.length === 0) throw new RangeError(`there is nothing to learn from: ${Object.entries(left).map(([why, count]) => `${count} ${why}`).join(', ') || 'nobody has decided anything'}; set data.content and data.learning of a tenant, and let people decide`);
  const before = await ports.store.partsOf(found.map(({ of }) => contentIdOf(of.request_id, of.direction)));
  const placed = partsFor(found.map(({ of: { request_id, at, direction }, marks }) => ({ request_id, at, marks, before: before.get(contentIdOf(request_id, direction)) })), (id) => hmac(ports.key, `part ${id}`).readUIntBE(0, 6) / 2 ** 48);
  const rows = found.map(({ of, lang, content }, number): DatasetRow => ({ ...of, number, lang, content, ...placed[number]! }));
  const dataset = versionOf(rows, left, options);
  return { dataset, isNew: await ports.store.put(dataset, rows) };
}

async function allLabelled({ store }: CollectPorts, { consent, taxonomy: { categories }, since }: CollectOptions, leave: (why: LeftOut) => void): Promise<readonly LabelledText[]> {
  const labelled: LabelledText[] = [];
  const take = (one: { readonly tenant_id: string }, said: LabelledText | LeftOut): void => {
    if (!consent.includes(one.tenant_id)) leave('consent');
    else if (typeof said === 'string') leave(said);
    else labelled.push(said);
  };
  await eachOf((question) => store.decided(question), since, ({ review_id: id }) => id, (item) => take(item, labelledByVerdict(item, categories)));
  await eachOf((question) => store.labelled(question), since, ({ task_id: id }) => id, (task) => take(task, labelledByTask(task, categories)));
  return labelled;
}

async function eachOf<T>(ask: (question: LabelledQuestion) => Promise<readonly T[]>, since: string, idOf: (one: T) => string, each: (one: T) => void): Promise<void> {
  for (let after = '', more = true; more; ) {
    const found = await ask({ since, after, limit: ROWS_AT_ONCE });
    found.forEach(each);
    after = found.length === 0 ? after : idOf(found.at(-1)!);
    more = found.length === ROWS_AT_ONCE;
  }
}

interface FoundText {
  readonly of: LabelledText;
  readonly lang: string;
  readonly content: string;
  readonly marks: readonly string[];
}

async function textOf(ports: CollectPorts, of: LabelledText, keepDays: number): Promise<FoundText | LeftOut> {
  const copies = await laidCopies(ports, of, keepDays);
  if (copies.length === 0) return 'absent';
  const opened = await ports.open(copies, of);
  if (opened.state === 'locked') throw new RangeError(`texts cannot be opened: ${opened.detail}`);
  if (opened.state !== 'there') return opened.state;
  const text = judgedText(of.direction, opened.texts);
  if (text.trim() === '') return 'no_text';
  const { tag, confidence } = languageOf(text);
  const alike = hmac(ports.key, `text ${normalised(text) || text}`).toString('hex');
  const sessions = copies.map(({ session }) => session).filter((session) => !NO_SESSION.test(session));
  return { of, lang: confidence >= LANGUAGE_SURE ? tag : 'und', content: commitmentOf(copies), marks: [`text ${alike}`, ...sessions.map((session) => `session ${of.tenant_id} ${session}`)] };
}

/** What lies there stays as it is, also where nothing is left of it: a version means the text that it was made from. */
async function laidCopies({ contents, sealed }: CollectPorts, of: LabelledText, keepDays: number): Promise<readonly SealedCopy[]> {
  const id = contentIdOf(of.request_id, of.direction);
  const known = await contents.of(id);
  if (known.length > 0) return known;
  const { copies, mark } = await sealed(of);
  const whole = copies.filter(({ slot }) => slot.length > 0);
  if (whole.length === 0) return copies;
  const keepUntil = new Date(Date.parse(whole[0]!.day.slice(0, 10)) + keepDays * DAY_MS).toISOString().slice(0, 10);
  // Where the store does not hold what was carried out there, nobody can tell what covers the copy.
  return (await contents.put({ reviewId: id, tenantId: of.tenant_id, keepUntil }, whole, mark)) ? contents.of(id) : [];
}

function versionOf(rows: readonly DatasetRow[], left: DatasetAbout['left_out'], { consent, taxonomy, software, since, author, now }: CollectOptions): Dataset {
  const about: DatasetAbout = {
    taxonomy: { version: taxonomy.version, sha256: taxonomy.sha256 }, software, consent: [...consent].sort(), since, rows: rows.length,
    parts: Object.fromEntries(ROW_PARTS.map((part) => [part, rows.filter((row) => row.part === part).length])) as Record<RowPart, number>,
    by_tenant: countsOf(rows.map(({ tenant_id: id }) => id)), by_source: countsOf(rows.map(({ source }) => source)), by_category: byCategory(rows), people: peopleOf(rows), left_out: left,
  };
  const hash = createHash('sha256').update(JSON.stringify(about));
  for (const row of rows) hash.update(`\n${JSON.stringify(row)}`);
  const sha256 = hash.digest('hex');
  return { dataset_id: `data_${sha256.slice(0, 12)}`, sha256, about, created_at: now.toISOString(), created_by: author };
}

function byCategory(rows: readonly DatasetRow[]): DatasetAbout['by_category'] {
  const counts: Record<string, { violations: number; safe: number }> = {};
  for (const { labels } of rows) for (const [category, label] of Object.entries(labels)) {
    const count = counts[category] ??= { violations: 0, safe: 0 };
    count[label >= 0.5 ? 'violations' : 'safe']++;
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whoever calls all safe, or nothing, is seen here. */
function peopleOf(rows: readonly DatasetRow[]): DatasetAbout['people'] {
  const people = new Map<string, { id: string; rows: number; violations: number }>();
  for (const { people: who, labels } of rows) for (const id of who) {
    const person = people.get(id) ?? { id, rows: 0, violations: 0 };
    people.set(id, { ...person, rows: person.rows + 1, violations: person.violations + (Object.values(labels).some((label) => label >= 0.5) ? 1 : 0) });
  }
  return [...people.values()].sort((a, b) => b.rows - a.rows || (a.id < b.id ? -1 : 1));
}

function countsOf(names: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length] as const).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function commitmentOf(copies: readonly SealedCopy[]): string {
  const hash = createHash('sha256');
  for (const { sealed } of copies) hash.update(sealed);
  return hash.digest('hex');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(`weir learning ${text}`).digest();
}
