/**
 * Charts as SVG, drawn here: columns over time, bars by name, rates with their intervals by name and over time. Each says in words what it shows, and its numbers stand
 * beside it in a table, so that nothing is told by the picture alone. Pure.
 */
import { html, type Html, type Piece } from './html.ts';
import { count, percent, rangeOf } from './parts.ts';

export interface Column {
  /** Under the axis, for some of them. */
  readonly label: string;
  readonly total: number;
  /** Of the total. */
  readonly marked: number;
  /** It stands out from the others. */
  readonly isSpike?: boolean;
}

const WIDTH = 960;
const HEIGHT = 160;
const FOOT = 22;

export function columnChart({ title, columns, totalName, markedName, timeName }: { readonly title: string; readonly columns: readonly Column[]; readonly totalName: string; readonly markedName: string; readonly timeName: string }): Html {
  const most = Math.max(1, ...columns.map(({ total }) => total));
  const step = WIDTH / Math.max(1, columns.length);
  const y = (value: number): number => Math.round(((HEIGHT - FOOT - 12) * value * 10) / most) / 10;
  const every = Math.max(1, Math.ceil(columns.length / 8));
  return html`<figure><figcaption>${title} <span class="quiet"><span class="swatch marked"></span> ${markedName} <span class="swatch"></span> the others</span></figcaption>
<div class="scroll newest" tabindex="0" role="region" aria-label="${title}, drawn"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}: at most ${count(most)} ${totalName} in one column; the table below has the numbers" class="chart">
<text x="0" y="10" class="label">${count(most)}</text><line x1="0" x2="${WIDTH}" y1="${HEIGHT - FOOT}" y2="${HEIGHT - FOOT}" class="axis"/>
${columns.map(({ label, total, marked, isSpike }, index) => {
    const [x, width] = [(index * step + step * 0.12).toFixed(1), (step * 0.76).toFixed(1)];
    return html`<rect x="${x}" width="${width}" y="${HEIGHT - FOOT - y(total)}" height="${y(total)}" class="bar"><title>${label}: ${count(total)} ${totalName}, ${count(marked)} ${markedName}</title></rect><rect x="${x}" width="${width}" y="${HEIGHT - FOOT - y(marked)}" height="${y(marked)}" class="bar marked"/>${isSpike === true ? html`<text x="${(index * step + step / 2).toFixed(1)}" y="${Math.max(22, HEIGHT - FOOT - y(total) - 3)}" text-anchor="middle" class="spike">▲</text>` : ''}${index % every === 0 ? html`<text x="${(index * step + step / 2).toFixed(1)}" y="${HEIGHT - 6}" text-anchor="middle" class="label">${label}</text>` : ''}`;
  })}
</svg></div>
<details><summary>The numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="${title}, as a table"><table><thead><tr><th scope="col">${timeName}</th><th scope="col" class="number">${totalName}</th><th scope="col" class="number">${markedName}</th></tr></thead><tbody>${columns.map(({ label, total, marked, isSpike }) => html`<tr><th scope="row">${label}${isSpike === true ? ' ▲ out of the ordinary' : ''}</th><td class="number">${count(total)}</td><td class="number">${count(marked)}</td></tr>`)}</tbody></table></div></details></figure>`;
}

export interface Bar {
  readonly name: Piece;
  readonly plain: string;
  readonly value: number;
  /** In words. */
  readonly told: string;
}

/** A table whose last column is the picture. */
export function barTable({ title, nameHead, valueHead, bars }: { readonly title: string; readonly nameHead: string; readonly valueHead: string; readonly bars: readonly Bar[] }): Html {
  const most = Math.max(1e-9, ...bars.map(({ value }) => value));
  return html`<figure><figcaption>${title}</figcaption>${bars.length === 0 ? html`<p class="quiet">Nothing yet.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table class="bars"><thead><tr><th scope="col">${nameHead}</th><th scope="col" class="number">${valueHead}</th><th scope="col"><span class="sr">Bar</span></th></tr></thead><tbody>${bars.map(({ name, value, told }) => html`
<tr><th scope="row">${name}</th><td class="number">${told}</td><td class="wide"><svg viewBox="0 0 200 12" class="strip" aria-hidden="true" preserveAspectRatio="none"><rect width="200" height="12" class="ground"/><rect width="${((200 * value) / most).toFixed(1)}" height="12" class="bar"/></svg></td></tr>`)}</tbody></table></div>`}</figure>`;
}

export interface ForestRow {
  readonly name: Piece;
  readonly rate: number | null;
  readonly low: number;
  readonly high: number;
  /** Of so many labels, so many violations; in words. */
  readonly told: Piece;
  /** Another interval beside it, in words. */
  readonly beside?: Piece;
}

export interface Forest {
  readonly title: Piece;
  /** For who does not see it. */
  readonly label: string;
  readonly nameHead: string;
  readonly toldHead: string;
  readonly besideHead?: string;
  readonly rows: readonly ForestRow[];
  /** A rate that the others are held against. */
  readonly threshold?: number | undefined;
  /** Where the picture ends; what goes on beyond ends in an arrow. */
  readonly scale: number;
}

/** Rates with their intervals, one under the other on one scale: a table with a column that is the picture. */
export function forestTable({ title, label, nameHead, toldHead, besideHead, rows, threshold, scale }: Forest): Html {
  return html`<figure><figcaption>${title}${claimed(threshold)}</figcaption>${rows.length === 0 ? html`<p class="quiet">Nothing yet.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table class="forest"><thead><tr><th scope="col">${nameHead}</th><th scope="col" class="number">Rate</th><th scope="col"><span class="sr">Picture</span> <span class="ends" aria-hidden="true"><span>0</span> <span>${percent(scale)}</span></span></th><th scope="col" class="number">Interval</th>${besideHead === undefined ? '' : html`<th scope="col" class="number">${besideHead}</th>`}<th scope="col" class="number">${toldHead}</th></tr></thead><tbody>${rows.map(({ name, rate, low, high, told, beside }) => html`
<tr><th scope="row">${name}</th><td class="number">${rate === null ? '–' : percent(rate)}</td><td class="wide">${whisker({ rate, low, high, threshold, scale })}</td><td class="number">${rangeOf(low, high)}</td>${besideHead === undefined ? '' : html`<td class="number">${beside ?? '–'}</td>`}<td class="number">${told}</td></tr>`)}</tbody></table></div>`}</figure>`;
}

function claimed(threshold: number | undefined): Piece {
  return threshold === undefined ? '' : html` <span class="quiet"><span class="swatch marked"></span> claimed: below ${percent(threshold)}</span>`;
}

function whisker({ rate, low, high, threshold, scale }: Pick<ForestRow, 'rate' | 'low' | 'high'> & Pick<Forest, 'threshold' | 'scale'>): Html {
  const x = (value: number): number => Math.round((2000 * Math.min(1, value / scale))) / 10;
  const isCut = high > scale;
  return html`<svg viewBox="0 0 200 14" class="strip whisker" aria-hidden="true" preserveAspectRatio="none"><rect width="200" height="14" class="ground"/>${threshold === undefined ? '' : html`<rect x="${x(threshold) - 0.5}" width="1" height="14" class="threshold"/>`}<rect x="${x(low)}" y="6" width="${Math.max(0.5, x(high) - x(low)).toFixed(1)}" height="2" class="bar"/>${isCut ? html`<path d="M194 2 L200 7 L194 12 Z" class="bar"/>` : html`<rect x="${Math.max(0, x(high) - 0.8)}" y="3" width="0.8" height="8" class="bar"/>`}<rect x="${x(low)}" y="3" width="0.8" height="8" class="bar"/>${rate === null ? '' : html`<rect x="${Math.max(0, Math.min(197, x(rate) - 1.5))}" y="2" width="3" height="10" class="point"/>`}</svg>`;
}

export interface CourseColumn {
  readonly label: string;
  readonly rate: number | null;
  readonly low: number;
  readonly high: number;
  /** In words, of so many. */
  readonly told: Piece;
  readonly isSpike?: boolean;
}

/** Rates of periods with their intervals, over time. */
export function courseChart({ title, columns, threshold, scale, toldHead }: { readonly title: string; readonly columns: readonly CourseColumn[]; readonly threshold?: number | undefined; readonly scale: number; readonly toldHead: string }): Html {
  const [step, foot] = [(WIDTH - COURSE_LEFT) / Math.max(1, columns.length), COURSE_HEIGHT - FOOT];
  const y = (value: number): number => Math.round((foot - (foot - 12) * Math.min(1, value / scale)) * 10) / 10;
  const every = Math.max(1, Math.ceil(columns.length / 8));
  return html`<figure><figcaption>${title}${claimed(threshold)}</figcaption>
<div class="scroll newest" tabindex="0" role="region" aria-label="${title}, drawn"><svg viewBox="0 0 ${WIDTH} ${COURSE_HEIGHT}" role="img" aria-label="${title}: rates with their intervals, from 0 to ${percent(scale)}; the table below has the numbers" class="chart">
<text x="0" y="12" class="label">${percent(scale)}</text><text x="0" y="${foot}" class="label">0</text><line x1="${COURSE_LEFT}" x2="${WIDTH}" y1="${foot}" y2="${foot}" class="axis"/>
${threshold === undefined ? '' : html`<line x1="${COURSE_LEFT}" x2="${WIDTH}" y1="${y(threshold)}" y2="${y(threshold)}" class="threshold"/>`}
${columns.map(({ label, rate, low, high, isSpike }, index) => {
    const [x, width] = [COURSE_LEFT + (index + 0.5) * step, Math.min(8, step * 0.5)];
    const mark = rate === null ? '' : html`<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${y(high)}" y2="${y(low)}" class="range"/><rect x="${(x - width / 2).toFixed(1)}" y="${(y(rate) - 2).toFixed(1)}" width="${width.toFixed(1)}" height="4" class="point"><title>${label}: ${percent(rate)}, ${rangeOf(low, high)}</title></rect>`;
    return html`${mark}${isSpike === true ? html`<text x="${x.toFixed(1)}" y="${Math.max(24, y(high) - 3)}" text-anchor="middle" class="spike">▲</text>` : ''}${index % every === 0 ? html`<text x="${x.toFixed(1)}" y="${COURSE_HEIGHT - 6}" text-anchor="middle" class="label">${label}</text>` : ''}`;
  })}
</svg></div>
<details><summary>The numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="${title}, as a table"><table><thead><tr><th scope="col">From (UTC)</th><th scope="col" class="number">Rate</th><th scope="col" class="number">Interval</th><th scope="col" class="number">${toldHead}</th></tr></thead><tbody>${columns.map(({ label, rate, low, high, told, isSpike }) => html`<tr><th scope="row">${label}${isSpike === true ? ' ▲ risen' : ''}</th><td class="number">${rate === null ? '–' : percent(rate)}</td><td class="number">${rate === null ? '–' : rangeOf(low, high)}</td><td class="number">${told}</td></tr>`)}</tbody></table></div></details></figure>`;
}

const COURSE_LEFT = 54;
const COURSE_HEIGHT = 220;
