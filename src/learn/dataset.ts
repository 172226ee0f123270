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

/** All rows of a part, in order. */
export async function readRows(folder: string, task: string, part: string): Promise<readonly Row[]> {
  const file = await fileOf(join(folder, task, part));
  const bytes = await readFile(file);
  const rows: Row[] = [];
  // Not node:readline, which also ends lines at U+2028, and a JSON string may hold that.
  for (const [at, line] of (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').split('\n').entries()) {
    if (line.trim() !== '') rows.push(rowOf(line, `${file}:${at + 1}`));
  }
  return rows;
}

async function fileOf(stem: string): Promise<string> {
  for (const end of ['.jsonl.gz', '.jsonl']) {
    if (await access(stem + end).then(() => true, () => false)) return stem + end;
  }
  throw new Error(`no rows at ${stem}.jsonl.gz or ${stem}.jsonl; give the folder that holds them with --data`);
}

/** Messages name the place, never the text. */
function rowOf(line: string, place: string): Row {
  if (line.length > ROW_CHARS_MAX) throw new Error(`${place} has ${line.length} characters; a row has at most ${ROW_CHARS_MAX}`);
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`${place} is no JSON`);
  }
  const { text, labels, lang = 'und', source = 'unnamed', weight = 1 } = value as Partial<Row>;
  if (typeof text !== 'string' || typeof labels !== 'object' || labels === null) throw new Error(`${place} has no text or no labels; a row is {text, labels: {category: 0 or 1}}`);
  for (const [category, label] of Object.entries(labels)) {
    if (typeof label !== 'number' || !(label >= 0 && label <= 1)) throw new Error(`${place} labels ${category} with something other than a number from 0 to 1`);
  }
  return { text, labels, lang, source, weight };
}
