/** Pictures of a weekly report, as SVG in the page: columns by day with their table, and the course of a category over weeks. Pure. */
import type { CategoryTrend } from '../report/weekly/trends.ts';
import { html, type Html } from './html.ts';
import { count, percent } from './parts.ts';
import { dataTable } from './weekly-parts.ts';

interface Day {
  readonly from: string;
  readonly exchanges: number;
  readonly acted_on: number;
}

const [WIDTH, HEIGHT, FOOT, HEAD] = [700, 170, 22, 18] as const;
const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** `from`: where the range begins; days that begin at another hour than midnight say so. */
export function dayColumns(title: string, days: readonly Day[], from: string): Html {
  const most = Math.max(1, ...days.map(({ exchanges }) => exchanges));
  const step = WIDTH / Math.max(1, days.length);
  const height = (value: number): number => Math.round(((HEIGHT - FOOT - HEAD) * value * 10) / most) / 10;
  const every = Math.ceil(days.length / 10);
  const label = ({ from: at }: Day): string => `${WEEKDAYS[new Date(at).getUTCDay()]} ${from.endsWith('T00:00:00.000Z') ? at.slice(5, 10) : at.slice(5, 16).replace('T', ' ')}`;
  return html`<figure class="whole"><figcaption>${title} <span class="legend"><span class="swatch marked"></span> acted on <span class="swatch"></span> the others</span></figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" class="days" role="img" aria-label="${title}: at most ${count(most)} on one day; the table below has the numbers"><line x1="0" x2="${WIDTH}" y1="${HEIGHT - FOOT}" y2="${HEIGHT - FOOT}"/>
${days.map((day, at) => {
    const [x, width, base] = [(at * step + step * 0.15).toFixed(1), (step * 0.7).toFixed(1), HEIGHT - FOOT];
    const middle = (at * step + step / 2).toFixed(1);
    return html`<rect x="${x}" width="${width}" y="${(base - height(day.exchanges)).toFixed(1)}" height="${height(day.exchanges).toFixed(1)}"/><rect class="marked" x="${x}" width="${width}" y="${(base - height(day.acted_on)).toFixed(1)}" height="${height(day.acted_on).toFixed(1)}"/>${at % every === 0 ? html`<text x="${middle}" y="${HEIGHT - 6}" text-anchor="middle">${label(day)}</text>${day.exchanges === 0 ? '' : html`<text x="${middle}" y="${(base - height(day.exchanges) - 4).toFixed(1)}" text-anchor="middle">${count(day.exchanges)}</text>`}` : ''}`;
  })}</svg></figure>
${dataTable('The numbers by day', ['Day (UTC)', 'Exchanges', 'Acted on'], days.map((day) => [label(day), count(day.exchanges), count(day.acted_on)]))}`;
}

/** The share of each week, oldest first, the last marked. Its numbers are in the table of the same page. */
export function courseStrip({ category, weeks, share }: Pick<CategoryTrend, 'category' | 'weeks' | 'share'>): Html {
  const shares = [...weeks.map(({ exchanges, found }) => found / exchanges), ...(share === null ? [] : [share.value])];
  const most = Math.max(1e-12, ...shares);
  return html`<svg viewBox="0 0 100 20" class="course" preserveAspectRatio="none" role="img" aria-label="${category}, by week: ${shares.map((one) => percent(one)).join(', ')}">${shares.map((one, at) => {
    const tall = Math.max(0.6, (18 * one) / most);
    return html`<rect${share !== null && at === shares.length - 1 ? html` class="marked"` : ''} x="${at * 20 + 2}" width="16" y="${(19 - tall).toFixed(1)}" height="${tall.toFixed(1)}"/>`;
  })}</svg>`;
}
