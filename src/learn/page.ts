/**
 * An evaluation as a page: a table, and for each category its precision-recall curve and its calibration, as inline SVG.
 * One file, no script, nothing fetched. Pure.
 */
import type { CategoryReport, Estimate } from './evaluate.ts';

const SIDE = 220;
const MARGIN = 28;
export const STYLE = 'body{font:15px system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #ccc}svg{margin-right:1rem}line{stroke:#bbb}path{fill:none;stroke:#0a58ca;stroke-width:2}circle{fill:#0a58ca}text{font-size:11px;fill:#555}';

export function renderEvaluation(title: string, rate: number, reports: readonly CategoryReport[]): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${escaped(title)}</title>
<style>${STYLE}</style>
<h1>${escaped(title)}</h1>
<p>In parentheses the middle 95 % of the values over rows drawn again. Thresholds flag at most ${rate * 100} % of the negatives.</p>
<table><tr><th>category<th>positives of n<th>AUPRC<th>AUROC<th>recall at 1 % FP<th>calibration error<th>threshold</tr>
${reports.map((one) => `<tr><td>${escaped(one.category)}<td>${one.positives} of ${one.n}<td>${cell(one.auprc)}<td>${cell(one.auroc)}<td>${cell(one.recallAt1)}<td>${cell(one.calibrationError)}<td>${one.threshold.toFixed(3)}</tr>`).join('\n')}
</table>
${reports.map(section).join('\n')}
</html>
`;
}

function section(report: CategoryReport): string {
  const curve = report.curve.map(({ recall, precision }) => [recall, precision] as const);
  const bins = report.bins.map(({ claimed, true: share }) => [claimed, share] as const);
  return `<h2>${escaped(report.category)}</h2>
${chart('recall', 'precision', `<path d="${pathOf(curve)}"/>`)}${chart('claimed', 'true', `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}"/><path d="${pathOf(bins)}"/>${bins.map(([at, share]) => `<circle cx="${x(at)}" cy="${y(share)}" r="3"/>`).join('')}`)}
<table><tr><th>source<th>caught<th>wrongly flagged</tr>
${report.sources.map(({ source, n, positives, caught, wronglyFlagged }) => `<tr><td>${escaped(source)}<td>${caught} of ${positives}<td>${wronglyFlagged} of ${n - positives}</tr>`).join('\n')}
</table>`;
}

export function chart(across: string, up: string, drawn: string): string {
  const whole = SIDE + 2 * MARGIN;
  return `<svg width="${whole}" height="${whole}" role="img" aria-label="${up} over ${across}"><line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(0)}"/><line x1="${x(0)}" y1="${y(0)}" x2="${x(0)}" y2="${y(1)}"/>${drawn}<text x="${x(0.5)}" y="${whole - 8}">${across}</text><text x="2" y="${MARGIN - 10}">${up}</text></svg>`;
}

export function pathOf(points: readonly (readonly [number, number])[]): string {
  return points.map(([across, up], at) => `${at === 0 ? 'M' : 'L'}${x(across)} ${y(up)}`).join('');
}

export function x(share: number): string {
  return (MARGIN + share * SIDE).toFixed(1);
}

export function y(share: number): string {
  return (MARGIN + (1 - share) * SIDE).toFixed(1);
}

export function cell({ value, low, high }: Estimate): string {
  return `${value.toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

export function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);
}
