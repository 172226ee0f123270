/**
 * Labelled texts in a folder: `<task>/<part>.jsonl` or `.jsonl.gz`, a row on each line: text, labels by category (0–1;
 * a category that is not there is not known, never 0), language, source, and the trust in its labels (`weight`).
 */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Characters of one row's line; a longer one is refused. */
export const ROW_CHARS_MAX = 4_194_304;

export interface Row {
  readonly text: string;
  readonly labels: Readonly<Record<string, number>>;
  readonly lang: string;
  readonly source: string;
  readonly weight: number;
}

/** One line of a file, as it stands there. */
export type RawRow = Readonly<Record<string, unknown>>;

/** All rows of a part, in order. `labelsOf` makes the labels where a row says them in other words; undefined leaves it out. */
export async function readRows(folder: string, task: string, part: string, labelsOf: (row: RawRow) => Row['labels'] | undefined = ownLabels): Promise<readonly Row[]> {
  return (await readRawRows(folder, task, part)).flatMap(({ row, place }) => rowOf(row, place, labelsOf(row)));
}

/** All lines of a part, in order, each with its place for messages. */
export async function readRawRows(folder: string, task: string, part: string): Promise<readonly { readonly row: RawRow; readonly place: string }[]> {
  const file = await fileOf(join(folder, task, part));
  const bytes = await readFile(file);
  // Not node:readline, which also ends lines at U+2028, and a JSON string may hold that.
  return (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').split('\n').flatMap((line, at) => {
    const place = `${file}:${at + 1}`;
    return line.trim() === '' ? [] : [{ row: objectOf(line, place), place }];
  });
}

async function fileOf(stem: string): Promise<string> {
  for (const end of ['.jsonl.gz', '.jsonl']) {
    if (await access(stem + end).then(() => true, () => false)) return stem + end;
  }
  throw new Error(`no rows at ${stem}.jsonl.gz or ${stem}.jsonl; give the folder that holds them with --data`);
}

function ownLabels({ labels }: RawRow): Row['labels'] | undefined {
  return typeof labels === 'object' && labels !== null ? (labels as Row['labels']) : NO_LABELS;
}

/** Says that a row has none, which is an error; undefined would leave it out. */
const NO_LABELS: Row['labels'] = Object.freeze({});

/** Messages name the place, never the text. */
function objectOf(line: string, place: string): RawRow {
  if (line.length > ROW_CHARS_MAX) throw new Error(`${place} has ${line.length} characters; a row has at most ${ROW_CHARS_MAX}`);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`${place} is no JSON`);
  }
  if (typeof value !== 'object' || value === null || typeof (value as RawRow)['text'] !== 'string') throw new Error(`${place} has no text or no labels; a row is {text, labels: {category: 0 or 1}}`);
  return value as RawRow;
}

function rowOf(row: RawRow, place: string, labels: Row['labels'] | undefined): readonly Row[] {
  const { text, lang = 'und', source = 'unnamed', weight = 1 } = row as Partial<Row> & { readonly text: string };
  if (labels === undefined) return [];
  if (labels === NO_LABELS) throw new Error(`${place} has no text or no labels; a row is {text, labels: {category: 0 or 1}}`);
  for (const [category, label] of Object.entries(labels)) {
    if (typeof label !== 'number' || !(label >= 0 && label <= 1)) throw new Error(`${place} labels ${category} with something other than a number from 0 to 1`);
  }
  return [{ text, labels, lang, source, weight }];
}
