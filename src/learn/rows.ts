/**
 * The rows of a version with their texts, for whoever learns from them or gives them out: opened one by one, in memory
 * alone. Left out, and counted, is what is no longer there, and what is of a tenant that no longer agrees.
 */
import { contentIdOf, type DatasetRow, type RowPart } from '../contract/learning.ts';
import type { TrainingRow } from '../model/recipe.ts';
import type { SqlDatasetStore } from '../store/datasets.ts';
import type { TextPorts } from './collect.ts';
import type { ComparedRow } from './compare.ts';
import { headLabels, judgedText } from './labels.ts';

const ROWS_AT_ONCE = 200;

export interface TextRow extends DatasetRow {
  readonly text: string;
}

export interface RowPorts extends Pick<TextPorts, 'open'> {
  readonly contents: Pick<TextPorts['contents'], 'of'>;
  readonly store: Pick<SqlDatasetStore, 'rows'>;
  /** Tenants that let it learn now. */
  readonly consent: readonly string[];
}

export const ROWS_GONE = ['consent', 'erased', 'absent', 'damaged'] as const;
export type RowsGone = Readonly<Record<(typeof ROWS_GONE)[number], number>>;

/** Throws RangeError where this process has no key for them. */
export async function textRows({ store, contents, open, consent }: RowPorts, datasetId: string): Promise<{ readonly rows: readonly TextRow[]; readonly gone: RowsGone }> {
  const gone = { consent: 0, erased: 0, absent: 0, damaged: 0 };
  const rows: TextRow[] = [];
  for (let after = -1, more = true; more; ) {
    const found = await store.rows(datasetId, after, ROWS_AT_ONCE);
    for (const row of found) {
      if (!consent.includes(row.tenant_id)) { gone.consent++; continue; }
      const copies = await contents.of(contentIdOf(row.request_id, row.direction));
      const opened = copies.length === 0 ? { state: 'absent' as const } : await open(copies, row);
      if (opened.state === 'locked') throw new RangeError(`texts cannot be opened: ${opened.detail}`);
      if (opened.state === 'there') rows.push({ ...row, text: judgedText(row.direction, opened.texts) });
      else gone[opened.state]++;
    }
    after = found.at(-1)?.number ?? after;
    more = found.length === ROWS_AT_ONCE;
  }
  return { rows, gone };
}

/** Rows of a part as a model's heads know them; a text whose language nobody is sure of counts as `language`. */
export function rowsFor(rows: readonly TextRow[], part: RowPart, taught: Readonly<Record<string, readonly string[]>>, languages: readonly string[]): readonly (TrainingRow & ComparedRow)[] {
  return rows.flatMap((row) => {
    const labels = row.part === part ? headLabels(row.labels, taught) : undefined;
    const lang = row.lang === 'und' ? languages[0]! : row.lang;
    return labels === undefined || !languages.includes(lang) ? [] : [{ text: row.text, labels, lang, source: row.source, weight: row.weight, group: String(row.group) }];
  });
}
