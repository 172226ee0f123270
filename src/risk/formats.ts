/**
 * Labels as others read and write them: lines of JSON, CSV (RFC 4180), and tasks with annotations as Label Studio takes and
 * gives them. What is written is read back the same; what cannot be a label is refused with its place, and then nothing of
 * the text counts. No content, unless a text is given. Pure.
 */
import { ANNOTATION_STATUSES, CONFIDENCE_TIERS, HUMAN_LABELS, INCLUSION_PROBABILITY_MIN, SAMPLED_DECISIONS } from '../contract/risk.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import type { LabelRow } from '../store/annotation-checks.ts';

export const LABEL_FORMATS = ['jsonl', 'csv', 'label-studio'] as const;
export type LabelFormat = (typeof LABEL_FORMATS)[number];

/** Rows of one text. */
export const IMPORT_ROWS_MAX = 10_000;

type Column = keyof LabelRow;
type Kind = 'text' | 'name' | 'number' | 'whole' | 'time' | 'flag' | readonly string[];

/** In the order in which they are written; `null` where it may be absent. */
const COLUMNS: Readonly<Record<Column, { readonly kind: Kind; readonly orNull?: true }>> = {
  annotation_id: { kind: 'name' }, task_id: { kind: 'name' }, campaign: { kind: 'name' }, tenant_id: { kind: 'name' }, product: { kind: 'text' }, request_id: { kind: 'text' }, started_at: { kind: 'time' }, direction: { kind: DIRECTIONS }, modality: { kind: CONTENT_TYPES },
  stratum: { kind: 'name' }, inclusion_probability: { kind: 'number' }, automated_filter_result: { kind: SAMPLED_DECISIONS }, human_label: { kind: HUMAN_LABELS }, violation_category: { kind: 'text', orNull: true }, confidence_tier: { kind: CONFIDENCE_TIERS },
  annotator_id: { kind: 'text' }, annotator_calibration: { kind: 'number', orNull: true }, calibration_seed: { kind: 'flag' }, batch_id: { kind: 'name' }, status: { kind: ANNOTATION_STATUSES }, wanted: { kind: 'whole' }, created_at: { kind: 'time' }, labelled_at: { kind: 'time' },
};
const NAMES = Object.keys(COLUMNS) as readonly Column[];
const TEXT_CHARS_MAX = 1_000;

/** What is wrong with a text, and where. */
export class LabelsFault extends Error {
  constructor(row: number, what: string) {
    super(`row ${row}: ${what}`);
    this.name = 'LabelsFault';
  }
}

export function writeLabels(format: LabelFormat, rows: readonly LabelRow[], textOf: (row: LabelRow) => string | undefined = () => undefined): string {
  if (format === 'jsonl') return rows.map((row) => `${JSON.stringify(ordered(row))}\n`).join('');
  if (format === 'csv') return [NAMES, ...rows.map((row) => NAMES.map((name) => cellOf(row[name])))].map((line) => `${line.map(quoted).join(',')}\r\n`).join('');
  return `${JSON.stringify([...Map.groupBy(rows, ({ task_id: id }) => id)].map(([id, of]) => studioTask(id, of, textOf(of[0]!))), null, 1)}\n`;
}

/** Throws LabelsFault. */
export function readLabels(format: LabelFormat, text: string): readonly LabelRow[] {
  const found = format === 'jsonl' ? jsonLines(text) : format === 'csv' ? csvRows(text) : studioRows(text);
  if (found.length > IMPORT_ROWS_MAX) throw new LabelsFault(IMPORT_ROWS_MAX + 1, `at most ${IMPORT_ROWS_MAX} rows are taken at once; split the text`);
  return found.map((row, at) => rowOf(row, at + 1));
}

function ordered(row: LabelRow): object {
  return Object.fromEntries(NAMES.map((name) => [name, row[name]]));
}

// CSV.

function cellOf(value: LabelRow[Column]): string {
  return value === null ? '' : String(value);
}

/** What a spreadsheet would take for a formula is led by a blank quote, which reading takes away. */
function quoted(cell: string): string {
  const safe = /^[=+\-@\t\r']/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvRows(text: string): readonly Readonly<Record<string, unknown>>[] {
  const [head, ...lines] = csvCells(text);
  if (head === undefined) return [];
  for (const name of NAMES) if (!head.includes(name)) throw new LabelsFault(0, `there is no column ${name}`);
  return lines.map((cells, at) => {
    if (cells.length !== head.length) throw new LabelsFault(at + 1, `${cells.length} cells, and ${head.length} columns`);
    return Object.fromEntries(head.flatMap((name, i) => ((NAMES as readonly string[]).includes(name) ? [[name, valueOf(name as Column, cells[i]!.replace(/^'/, ''))]] : [])));
  });
}

function valueOf(name: Column, cell: string): unknown {
  const { kind, orNull } = COLUMNS[name];
  if (cell === '' && orNull === true) return null;
  if (kind === 'number' || kind === 'whole') return cell.trim() === '' ? cell : Number(cell);
  return kind === 'flag' ? (cell === 'true' ? true : cell === 'false' ? false : cell) : cell;
}

function csvCells(text: string): string[][] {
  const rows: string[][] = [];
  let [row, cell, isQuoted]: [string[], string, boolean] = [[], '', false];
  const endRow = (): void => {
    rows.push([...row, cell]);
    [row, cell] = [[], ''];
  };
  for (let at = 0; at < text.length; at++) {
    const sign = text[at]!;
    if (isQuoted) {
      if (sign !== '"') cell += sign;
      else if (text[at + 1] === '"') cell += text[++at]!;
      else isQuoted = false;
    } else if (sign === '"' && cell === '') isQuoted = true;
    else if (sign === ',') [row, cell] = [[...row, cell], ''];
    else if (sign === '\n' || (sign === '\r' && text[at + 1] === '\n')) {
      if (sign === '\r') at++;
      endRow();
    } else cell += sign;
  }
  if (isQuoted) throw new LabelsFault(rows.length, 'a quote is not closed');
  if (row.length > 0 || cell !== '') endRow();
  return rows;
}

// Lines of JSON.

function jsonLines(text: string): readonly Readonly<Record<string, unknown>>[] {
  return text.split('\n').flatMap((line, at) => (line.trim() === '' ? [] : [parsedAt(line, at + 1) as Readonly<Record<string, unknown>>]));
}

function parsedAt(text: string, row: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new LabelsFault(row, 'it is no JSON');
  }
}

// Label Studio: a task for each drawn text, with an annotation for each label; choices named `label`, `category`, `confidence`.

const LABEL_NAMES = ['annotation_id', 'batch_id', 'annotator_id', 'annotator_calibration', 'calibration_seed', 'status', 'labelled_at'] as const;
type LabelName = (typeof LABEL_NAMES)[number];
const CHOICES = { label: 'human_label', category: 'violation_category', confidence: 'confidence_tier' } as const;
const isOfLabel = (name: Column): boolean => (LABEL_NAMES as readonly string[]).includes(name) || (Object.values(CHOICES) as readonly string[]).includes(name);

function studioTask(taskId: string, rows: readonly LabelRow[], text: string | undefined): object {
  const [first] = rows;
  return {
    data: { ...(text === undefined ? {} : { text }), ...Object.fromEntries(NAMES.filter((name) => !isOfLabel(name)).map((name) => [name, first![name]])), task_id: taskId },
    annotations: rows.map((row) => ({
      created_at: row.labelled_at, completed_by: { email: row.annotator_id }, meta: Object.fromEntries(LABEL_NAMES.map((name) => [name, row[name]])),
      result: Object.entries(CHOICES).flatMap(([name, column]) => (row[column] === null ? [] : [{ from_name: name, to_name: 'text', type: 'choices', value: { choices: [row[column]] } }])),
    })),
  };
}

function studioRows(text: string): readonly Readonly<Record<string, unknown>>[] {
  const tasks = parsedAt(text, 0);
  if (!Array.isArray(tasks)) throw new LabelsFault(0, 'it is no list of tasks');
  return tasks.flatMap((task, at) => {
    const { data, annotations } = membersOf(task);
    if (!Array.isArray(annotations)) throw new LabelsFault(at + 1, 'the task has no annotations');
    const shared = membersOf(data);
    return annotations.map((one) => {
      const { meta, result } = membersOf(one);
      if (!Array.isArray(result)) throw new LabelsFault(at + 1, 'an annotation has no result');
      const choice = (name: string): unknown => membersOf(membersOf(result.find((part) => membersOf(part)['from_name'] === name))['value'])['choices'];
      const given = membersOf(meta);
      return {
        ...Object.fromEntries(NAMES.filter((name) => !isOfLabel(name)).map((name) => [name, shared[name]])), ...Object.fromEntries(LABEL_NAMES.map((name: LabelName) => [name, given[name]])),
        ...Object.fromEntries(Object.entries(CHOICES).map(([name, column]) => [column, (choice(name) as readonly unknown[] | undefined)?.[0] ?? null])),
      };
    });
  });
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

// One row.

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

function rowOf(value: Readonly<Record<string, unknown>>, row: number): LabelRow {
  const found = Object.fromEntries(NAMES.map((name) => {
    const given = membersOf(value)[name] ?? null;
    if (given === null && COLUMNS[name].orNull === true) return [name, null];
    if (!isKind(COLUMNS[name].kind, given)) throw new LabelsFault(row, `${name} ${given === null ? 'is missing' : 'is not what it can be'}`);
    return [name, given];
  })) as unknown as LabelRow;
  if (!(found.inclusion_probability >= INCLUSION_PROBABILITY_MIN && found.inclusion_probability <= 1)) throw new LabelsFault(row, `inclusion_probability lies between ${INCLUSION_PROBABILITY_MIN} and 1`);
  if ((found.human_label === 'violation') !== (found.violation_category !== null)) throw new LabelsFault(row, 'a violation has a category, and what is safe has none');
  if (found.calibration_seed || found.status === 'open' || found.status === 'lost' || found.wanted < 1 || found.wanted > 99) throw new LabelsFault(row, 'it is no label of a drawn text');
  return found;
}

function isKind(kind: Kind, value: unknown): boolean {
  switch (kind) {
    case 'text': return typeof value === 'string' && value.length <= TEXT_CHARS_MAX;
    case 'name': return typeof value === 'string' && NAME.test(value);
    case 'number': return typeof value === 'number' && Number.isFinite(value);
    case 'whole': return Number.isSafeInteger(value);
    case 'time': return typeof value === 'string' && value.length <= 30 && !Number.isNaN(Date.parse(value));
    case 'flag': return typeof value === 'boolean';
    default: return kind.some((word) => word === value);
  }
}
