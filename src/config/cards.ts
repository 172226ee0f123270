/**
 * A plugin's model card, as far as a page shows it: what it is, and the tables of what was measured, as they are written,
 * with their counts and intervals. Nothing is reckoned here: a figure without its interval is shown without one. Reading is
 * of our own plugins' folders and of what lies beside an operator's own plugin.
 */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { CardTable, ModelCard } from '../contract/model-card.ts';

const PLUGINS = join(import.meta.dirname, '../../plugins');
const CARD = 'MODEL_CARD.md';
const CHARS_MAX = 200_000;
/** An interval as cards write one: `(0.68–0.87)`, `(0.05 %, 0.01–0.18 %)`. */
const INTERVAL = /\([^)|]*\d\s*–\s*[\d.]+[^)|]*\)/;

/** Undefined where there is none. */
export async function readCard(plugin: string): Promise<ModelCard | undefined> {
  const folder = isAbsolute(plugin) ? dirname(plugin) : join(PLUGINS, plugin);
  try {
    return parseCard((await readFile(join(folder, CARD), 'utf8')).slice(0, CHARS_MAX));
  } catch {
    return undefined;
  }
}

export function parseCard(text: string): ModelCard {
  const lines = text.split('\n');
  const title = plain(lines.find((line) => line.startsWith('# '))?.slice(2) ?? '');
  const about = plain(text.split(/\n\s*\n/).find((part) => part.trim() !== '' && !/^[#|`]/.test(part.trim())) ?? '');
  return { title, about, measured: tablesOf(lines).filter(({ heading, rows }) => /^measured/i.test(heading) || (!/history/i.test(heading) && rows.some((row) => row.some((cell) => INTERVAL.test(cell))))) };
}

/** Each with the heading and the line of text before it. */
function tablesOf(lines: readonly string[]): readonly CardTable[] {
  const tables: { heading: string; caption: string; head: readonly string[]; rows: (readonly string[])[] }[] = [];
  let [heading, caption]: [string, string[]] = ['', []];
  let open: (typeof tables)[number] | undefined;
  for (const [index, line] of lines.entries()) {
    if (line.startsWith('|')) {
      if (open === undefined) tables.push((open = { heading, caption: lastSentence(caption.join(' ')), head: cellsOf(line), rows: [] }));
      else if (!/^\|[\s:|-]+\|?$/.test(line)) open.rows.push(cellsOf(line));
      continue;
    }
    if (open !== undefined) [open, caption] = [undefined, []];
    if (/^#{2,}\s/.test(line)) [heading, caption] = [plain(line.replace(/^#+\s/, '')), []];
    else if (line.trim() !== '') caption.push(line);
    else if (caption.length > 0 && lines[index + 1]?.startsWith('|') !== true) caption = []; // a table is about the paragraph before it
  }
  return tables;
}

/** Of the paragraph that leads to a table what it ends with, which is about the table. */
function lastSentence(paragraph: string): string {
  return plain(paragraph.split(/(?<=[.])\s+(?=\p{Lu})/u).at(-1) ?? '');
}

function cellsOf(line: string): readonly string[] {
  return line.replace(/^\||\|\s*$/g, '').split('|').map(plain);
}

/** Without the marks of Markdown. */
function plain(text: string): string {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[*`]+/g, '').replace(/\s+/g, ' ').trim();
}
