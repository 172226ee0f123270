/** The violations of a weekly report: each category with its share, its course and what of a difference may be chance. Pure. */
import type { WeeklyFindings } from '../report/weekly/findings.ts';
import type { CategoryTrend } from '../report/weekly/trends.ts';
import { html, type Html } from './html.ts';
import { count, percent } from './parts.ts';
import { courseStrip } from './weekly-charts.ts';
import { dataTable, dateText, notKnown, shareText } from './weekly-parts.ts';

export const FINDING_WORDS: Readonly<Record<CategoryTrend['finding'], string>> = { rose: '▲ rose', fell: '▼ fell', varies: 'more than chance, no more than these weeks vary', no_change: 'no change beyond chance', too_little: 'too little to tell' };

export function violationsSection({ violations, period, volume }: WeeklyFindings): Html {
  return html`<section><h2>Violations by category</h2>
${violations.length === 0 ? html`<p class="quiet">${volume.exchanges.total === 0 ? 'Nothing came, so nothing was found.' : 'No category was found with a score of 0.5 or more, here or in the weeks before.'}</p>` : html`<p>Exchanges in which a classifier found the category (score of 0.5 or more), whatever was then done. The course shows the share of each of ${period.weeks_known} known weeks before, and of this one. “Rose” and “fell” are beyond chance for all categories together; small numbers say so; p is the chance of such a difference where there is none.</p>
${dataTable('Categories', ['Category', 'Exchanges', 'Before', 'Share (95 %)', 'Course', 'Against four weeks', 'Finding'], violations.map((one) => [one.category, count(one.exchanges), one.before === null ? notKnown : count(one.before), one.share === null ? '–' : shareText(one.share.value, one.share), courseStrip(one), ratioText(one), FINDING_WORDS[one.finding]]))}
${weekTable(violations)}`}</section>`;
}

function ratioText({ ratio, p }: CategoryTrend): string {
  if (ratio === null || p === null) return '–';
  const digits = (value: number): string => String(Number(value.toPrecision(2)));
  return `${ratio.value === null ? 'none before' : `${digits(ratio.value)} ×`} (${digits(ratio.low)} to ${ratio.high === null ? 'any' : digits(ratio.high)}), p ${p < 0.001 ? '<0.001' : digits(p)}`;
}

/** What the courses show. */
function weekTable(violations: readonly CategoryTrend[]): Html {
  const weeks = violations[0]!.weeks;
  if (weeks.length === 0) return html`<p class="quiet">Of no week before it is there any traffic, so nothing is held against one.</p>`;
  return dataTable('The courses in numbers: share of exchanges', ['Category', ...weeks.map(({ from }) => `from ${dateText(from)}`), 'this time'], [
    ...violations.map((one) => [one.category, ...one.weeks.map(({ exchanges, found }) => percent(found / exchanges)), one.share === null ? '–' : percent(one.share.value)]),
    ['All exchanges', ...weeks.map(({ exchanges }) => count(exchanges)), count(violations[0]!.share?.of ?? 0)],
  ]);
}
