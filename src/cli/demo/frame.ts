/**
 * How the demo looks: styled text, wrapped into two columns that can be drawn again in place. Pure but for `LiveFrame`,
 * which writes to the terminal it is given. Widths count characters; the script's texts are all of width one.
 */
import type { Span } from '../../contract/screening.ts';

/** `secret`: must not pass · `label`: what stands in its place · `good`, `bad`: outcomes. */
export type Style = 'plain' | 'bold' | 'dim' | 'secret' | 'label' | 'good' | 'bad';

export interface Run {
  readonly text: string;
  readonly style: Style;
}

const CODES: Readonly<Record<Style, string>> = { plain: '', bold: '1', dim: '2', secret: '1;31', label: '1;32', good: '32', bad: '31' };

export function paint(text: string, style: Style, color: boolean): string {
  return color && style !== 'plain' && text !== '' ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text;
}

/** Runs of a text in which `spans` have a style of their own. */
export function markSpans(text: string, spans: readonly Span[], style: Style): readonly Run[] {
  const runs: Run[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    runs.push({ text: text.slice(at, start), style: 'plain' }, { text: text.slice(start, end), style });
    at = end;
  }
  runs.push({ text: text.slice(at), style: 'plain' });
  return runs.filter((run) => run.text !== '');
}

/** Runs of a redacted text: its `[LABEL]`s stand out. */
export function markLabels(text: string): readonly Run[] {
  const spans = Array.from(text.matchAll(/\[[A-Z_]{2,}\]/g), (found) => ({ start: found.index, end: found.index + found[0].length }));
  return markSpans(text, spans, 'label');
}

/** One character and how it looks: the unit of wrapping. */
interface Cell {
  readonly char: string;
  readonly style: Style;
}

/** Breaks at spaces, inside words that are longer than a line. A styled part may go over several lines. */
export function wrap(runs: readonly Run[], width: number): readonly (readonly Run[])[] {
  const cells = runs.flatMap((run) => Array.from(run.text, (char): Cell => ({ char, style: run.style })));
  const lines: Run[][] = [];
  let start = 0;
  while (start < cells.length) {
    let end = Math.min(start + width, cells.length);
    if (end < cells.length && cells[end].char !== ' ') {
      const space = cells.slice(start, end).findLastIndex((cell) => cell.char === ' ');
      if (space > 0) end = start + space + 1;
    }
    lines.push(joinCells(cells.slice(start, end)));
    start = end;
    if (cells[start]?.char === ' ' && cells[start - 1].char !== ' ') start += 1;
  }
  return lines;
}

function joinCells(cells: readonly Cell[]): Run[] {
  const runs: Run[] = [];
  for (const { char, style } of cells) {
    const last = runs.at(-1);
    if (last?.style === style) runs[runs.length - 1] = { text: last.text + char, style };
    else runs.push({ text: char, style });
  }
  return runs;
}

export interface Page {
  readonly width: number;
  readonly color: boolean;
}

const MARGIN = '    ';

function paintLine(line: readonly Run[], width: number, color: boolean): string {
  const length = line.reduce((n, run) => n + run.text.length, 0);
  return line.map((run) => paint(run.text, run.style, color)).join('') + ' '.repeat(Math.max(0, width - length));
}

/** Two texts side by side under their headings, as lines that fit the page. */
export function sideBySide(page: Page, headings: readonly [string, string], left: readonly Run[], right: readonly Run[]): readonly string[] {
  const width = Math.floor((page.width - MARGIN.length - 3) / 2);
  const bar = paint('│', 'dim', page.color);
  const [leftLines, rightLines] = [wrap(left, width), wrap(right, width)];
  const body = Array.from({ length: Math.max(leftLines.length, rightLines.length, 1) }, (_, i) =>
    `${MARGIN}${paintLine(leftLines[i] ?? [], width, page.color)} ${bar} ${paintLine(rightLines[i] ?? [], width, page.color).trimEnd()}`.trimEnd());
  const head = headings.map((text): Run[] => [{ text, style: 'dim' }]);
  const rule = paint(`${'─'.repeat(width + 1)}┼${'─'.repeat(width + 1)}`, 'dim', page.color);
  return [`${MARGIN}${paintLine(head[0], width, page.color)} ${bar} ${paintLine(head[1], width, page.color).trimEnd()}`, `${MARGIN}${rule}`, ...body];
}

/** A named fact, wrapped, aligned with the facts above it. */
export function fact(page: Page, name: string, runs: readonly Run[]): readonly string[] {
  const indent = MARGIN.length + 10;
  return wrap(runs, page.width - indent).map((line, i) =>
    (i === 0 ? `${MARGIN}${paint(name.padEnd(10), 'dim', page.color)}` : ' '.repeat(indent)) + paintLine(line, 0, page.color).trimEnd());
}

/** Lines that are drawn again where they stand: on a terminal only; elsewhere just the last version is written. */
export class LiveFrame {
  readonly #write: (text: string) => void;
  readonly #live: boolean;
  /** Lines on the screen from the last drawing, to go up over. */
  #drawn = 0;
  #last = '';

  constructor(write: (text: string) => void, live: boolean) {
    this.#write = write;
    this.#live = live;
    if (live) write('\x1b[?25l');
  }

  draw(lines: readonly string[]): void {
    const text = lines.map((line) => (this.#live ? `${line}\x1b[K\n` : `${line}\n`)).join('');
    if (this.#live && text !== this.#last) {
      this.#write((this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '') + text + '\x1b[J');
      this.#drawn = lines.length;
    }
    this.#last = text;
  }

  /** Leaves the last version on the screen and gives the cursor back. */
  close(): void {
    this.#write(this.#live ? '\x1b[?25h' : this.#last);
    this.#last = '';
  }
}
