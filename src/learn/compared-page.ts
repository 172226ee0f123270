/**
 * A candidate beside the model that works, as a page: a table of what changed, and for each category both precision-recall
 * curves, both calibrations, and what a threshold costs. One file, no script, nothing fetched. Pure.
 */
import type { ComparedCategory, ModelView } from './compare.ts';
import type { CostCurve } from './costs.ts';
import { cell, chart, escaped, pathOf, STYLE, x, y } from './page.ts';

export interface Comparison {
  readonly title: string;
  readonly threshold: number;
  readonly heldOut: readonly ComparedCategory[];
  readonly regression: readonly ComparedCategory[];
  readonly proposals: readonly (CostCurve & { readonly category: string; readonly tenant: string | undefined })[];
}

export function renderComparison({ title, threshold, heldOut, regression, proposals }: Comparison): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
<style>${STYLE}.base{stroke:#999}.base+path{stroke:#0a58ca}</style>
<h1>${escaped(title)}</h1>
<p>Grey the model that works, blue the candidate. Found counts from a score of ${threshold}. In parentheses the middle 95 % over groups of rows drawn again, for both models at once.</p>
${part('Held-out rows', heldOut)}
${part('Texts of the project', regression)}
${proposals.map(costSection).join('\n')}
</html>
`;
}

function part(name: string, categories: readonly ComparedCategory[]): string {
  const row = ({ category, n, positives, base, candidate, recall_change: recall, false_positive_change: alarms }: ComparedCategory): string => `<tr><td>${escaped(category)}<td>${positives} of ${n}<td>${cell(base.auprc)}<td>${cell(candidate.auprc)}<td>${cell(base.recall)}<td>${cell(candidate.recall)}<td>${cell(recall)}<td>${cell(base.false_positive_rate)}<td>${cell(candidate.false_positive_rate)}<td>${cell(alarms)}</tr>`;
  return `<h2>${name}</h2>
<table><tr><th>category<th>violations of n<th>AUPRC<th>candidate’s<th>recall<th>candidate’s<th>change<th>false positives<th>candidate’s<th>change</tr>
${categories.map(row).join('\n')}
</table>
${categories.filter(({ positives, n }) => positives > 0 && positives < n).map(section).join('\n')}`;
}

function section({ category, views: { base, candidate } }: ComparedCategory): string {
  const curve = ({ curve: points }: ModelView): string => pathOf(points.map(({ recall, precision }) => [recall, precision] as const));
  const bins = ({ bins: points }: ModelView): string => pathOf(points.map(({ claimed, true: share }) => [claimed, share] as const));
  return `<h3>${escaped(category)}</h3>
${chart('recall', 'precision', `<path class="base" d="${curve(base)}"/><path d="${curve(candidate)}"/>`)}${chart('claimed', 'true', `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}"/><path class="base" d="${bins(base)}"/><path d="${bins(candidate)}"/>`)}
<p>Calibration error: ${cell(base.calibration_error)}, candidate’s ${cell(candidate.calibration_error)}.</p>`;
}

function costSection({ category, tenant, points, best, violation_share: share, is_share_given: isGiven }: Comparison['proposals'][number]): string {
  const most = Math.max(...points.map(({ cost }) => cost), Number.MIN_VALUE);
  return `<h3>Cost of ${escaped(category)}${tenant === undefined ? '' : ` of ${escaped(tenant)}`}</h3>
${chart('threshold', 'cost', `<path d="${pathOf(points.map(({ threshold, cost }) => [threshold, cost / most] as const))}"/>`)}
<p>Least from a threshold of ${cell(best.threshold)}: ${cell(best.cost)} for 1,000 texts, of which ${(100 * share).toFixed(1)} % are violations${isGiven ? '' : ', as of these rows'}. Nothing is changed by this.</p>`;
}
