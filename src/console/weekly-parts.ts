/** Pieces of a weekly report's page: tables, numbers with the week before, shares with their intervals, times. Pure. */
import type { Figure } from '../report/weekly/figures.ts';
import { html, type Html, type Piece } from './html.ts';
import { count, percent } from './parts.ts';

export const notKnown = 'not known';

/** Cells that are numbers, and what stands for one, are to the right. */
const NUMBER = /^(?:[<>]?[+\-−]?[\d,.]+(?: ?(?:%|ms|s|min|h|d|×))?|–|not known|not measured|new|the same|[\d.,]+ % \([^)]*\))$/;

/** The first column names the row. */
export function dataTable(title: string, heads: readonly string[], rows: readonly (readonly Piece[])[]): Html {
  const isNumber = (column: number): boolean => rows.length > 0 && rows.every((row) => NUMBER.test(String(row[column] ?? '–')));
  const kind = heads.map((_, column) => (column > 0 && isNumber(column) ? html` class="number"` : ''));
  return html`<figure><figcaption>${title}</figcaption><div class="scroll" tabindex="0" role="region" aria-label="${title}"><table><thead><tr>${heads.map((head, column) => (head === '' ? html`<td></td>` : html`<th scope="col"${kind[column]}>${head}</th>`))}</tr></thead><tbody>${rows.map((row) => html`
<tr>${row.map((cell, column) => (column === 0 ? html`<th scope="row">${cell}</th>` : html`<td${kind[column]}>${cell}</td>`))}</tr>`)}
</tbody></table></div></figure>`;
}

export function figureRows(rows: readonly (readonly [name: string, figure: Figure])[]): readonly (readonly Piece[])[] {
  return rows.map(([name, figure]) => [name, count(figure.total), figure.before === null ? notKnown : count(figure.before), changed(figure)]);
}

/** Against the week before, in words where no share tells it. */
export function changed({ total, before }: Figure): string {
  if (before === null) return notKnown;
  if (before === total) return total === 0 ? '–' : 'the same';
  if (before === 0) return 'new';
  const share = (100 * (total - before)) / before;
  return `${share > 0 ? '+' : '−'}${Math.abs(share) >= 100 ? count(Math.round(Math.abs(share))) : Number(Math.abs(share).toFixed(1))} %`;
}

export function shareText(value: number, { low, high }: { readonly low: number; readonly high: number }): string {
  return `${percent(value)} (${Number((100 * low).toPrecision(3))} to ${percent(high)})`;
}

export function duration(ms: number | null): string {
  if (ms === null) return '–';
  return ms < 1_000 ? `${Number(ms.toPrecision(3))} ms` : `${Number((ms / 1_000).toPrecision(3))} s`;
}

export function minutesText(minutes: number | null): string {
  if (minutes === null) return '–';
  if (minutes < 1) return `${Number((minutes * 60).toPrecision(2))} s`;
  if (minutes < 120) return `${Number(minutes.toPrecision(3))} min`;
  return minutes < 2 * 1440 ? `${Number((minutes / 60).toPrecision(3))} h` : `${Number((minutes / 1440).toPrecision(3))} d`;
}

/** Of what is a midnight, the day alone. */
export function dateText(at: string): string {
  return at.endsWith('T00:00:00.000Z') ? at.slice(0, 10) : timeText(at);
}

export function timeText(at: string): string {
  return at.replace('T', ' ').replace(/(?::00)?(?:\.\d+)?Z$/, '');
}
