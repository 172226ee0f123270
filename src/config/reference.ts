/**
 * The reference part of config/weir.yaml, rendered from the schema: every key with its sentence, type, unit and default,
 * as YAML in comments. Without the comment signs it is a valid configuration; a test holds the file and this together.
 */
import { CONFIG_KEYS } from './schema.ts';
import type { KeyDoc } from './shape.ts';

export const REFERENCE_MARK = '# ---- Reference: every key, with its default or an example. ----';

export function renderReference(rows: readonly KeyDoc[] = CONFIG_KEYS): string {
  const lines: string[] = [];
  for (const [index, row] of rows.entries()) {
    const { indent, key, startsItem } = placementOf(row, rows[index - 1]);
    if (indent === 0) lines.push('');
    if (beginsNamedEntry(row, rows[index - 1])) lines.push(`# ${' '.repeat(indent - 2)}openai:`);
    lines.push(`# ${' '.repeat(indent)}# ${sentenceOf(row, isParent(row, rows))}`);
    const lead = startsItem ? `${' '.repeat(indent - 2)}- ` : ' '.repeat(indent);
    lines.push(`# ${lead}${key}:${valueOf(row, rows)}`);
  }
  return [REFERENCE_MARK, ...lines, ''].join('\n');
}

/** A list item and a named entry each add a level. */
function placementOf(row: KeyDoc, before: KeyDoc | undefined): { readonly indent: number; readonly key: string; readonly startsItem: boolean } {
  const steps = row.path.replaceAll('[]', '.[]').split('.');
  const key = steps[steps.length - 1];
  return { indent: 2 * (steps.length - 1), key, startsItem: steps.at(-2) === '[]' && before?.path === row.path.slice(0, row.path.lastIndexOf('[]')) };
}

function beginsNamedEntry(row: KeyDoc, before: KeyDoc | undefined): boolean {
  const at = row.path.lastIndexOf('.*.');
  return at >= 0 && before?.path === row.path.slice(0, at);
}

function sentenceOf({ description, type, unit, default: value, required }: KeyDoc, parent: boolean): string {
  const presence = required ? 'required' : value === undefined ? 'optional' : `default ${value}`;
  if (parent && !required) return description;
  return `${description} (${[type, unit].filter(Boolean).join(', ')}; ${presence})`;
}

function valueOf(row: KeyDoc, rows: readonly KeyDoc[]): string {
  if (isParent(row, rows)) return '';
  return ` ${row.default ?? (typeof row.example === 'string' ? row.example : JSON.stringify(row.example ?? {}))}`;
}

function isParent({ path }: KeyDoc, rows: readonly KeyDoc[]): boolean {
  return rows.some((other) => other.path.startsWith(`${path}.`) || other.path.startsWith(`${path}[]`));
}
