/** What a benchmark says: tables for people, at most 100 columns wide, and the same figures as JSON for the record. */
import type { Timing } from './rounds.ts';

export type Cell = string | number | undefined;

export interface Row {
  readonly cells: readonly Cell[];
  /** What the row's figures were computed from. */
  readonly timing?: Timing;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly Row[];
  /** How to read it. */
  readonly note?: string;
}

const WIDTH = 100;

/** Characters in a second, in millions: "MB/s" for text of one byte a character. */
export function millionsPerSecond(ns: number): number {
  return 1e3 / ns;
}

export function renderTable({ title, columns, rows, note }: Table): string {
  const lines = [columns, ...rows.map(({ cells }) => cells.map(cellText))];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)));
  const text = lines.map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ').trimEnd());
  text.splice(1, 0, '─'.repeat(Math.min(WIDTH, Math.max(...text.map((line) => line.length)))));
  return `\n${title}\n${text.join('\n')}\n${note === undefined ? '' : `${wrapped(note)}\n`}`;
}

/** Three significant digits. */
function cellText(cell: Cell): string {
  if (cell === undefined) return '';
  if (typeof cell === 'string') return cell;
  if (Number.isInteger(cell) || Math.abs(cell) >= 100) return Math.round(cell).toLocaleString('en-US');
  return cell.toPrecision(3);
}

function wrapped(text: string): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last.length + word.length >= WIDTH) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.join('\n');
}
