/** The first box of a weekly report: the week in eight numbers and the sentences that follow from them. Pure. */
import type { WeeklyFindings } from '../report/weekly/findings.ts';
import { html, type Html, type Piece } from './html.ts';
import { count, percent } from './parts.ts';
import { changed, duration, minutesText, shareText } from './weekly-parts.ts';

export function weeklyAnswer(findings: WeeklyFindings): Html {
  const { volume: { exchanges }, actions, availability, reviews, overrides, appeals, residual_risk: risk, latency, coverage } = findings;
  const of = (...names: readonly string[]): { total: number; before: number | null } => {
    const found = actions.exchanges.filter(({ name }) => names.includes(name));
    return { total: found.reduce((sum, { total }) => sum + total, 0), before: exchanges.before === null ? null : found.reduce((sum, { before }) => sum + (before ?? 0), 0) };
  };
  const acted = of('warn', 'redact', 'replace', 'block', 'escalate');
  const screening = latency.find(({ name }) => name === 'screening_input');
  const measured = risk?.filter(({ so_far: all }) => all.rate !== null) ?? [];
  return html`<section class="answer" aria-label="In short"><dl class="tiles">
${tile('Exchanges', count(exchanges.total), against(exchanges))}${tile('Acted on', count(acted.total), exchanges.total === 0 ? 'of none' : `${percent(acted.total / exchanges.total)} of all; ${against(acted)}`)}
${tile('Blocked or replaced', count(of('block', 'replace').total), against(of('block', 'replace')))}${tile('Redacted', count(of('redact').total), against(of('redact')))}
${tile('Not wholly screened', count(coverage.partial.total), coverage.partial.share === null ? 'of none' : `${percent(coverage.partial.share)} of all`)}${tile('Available', availability.share === null ? 'not measured' : `${Number((100 * availability.share).toPrecision(6))} %`, `${count(availability.failed.total)} failed by a fault of Weir’s`)}
${tile('Screening, 95 of 100', duration(screening?.p95_ms ?? null), 'of prompts, within')}${tile('Reviews decided', count(reviews.resolved.total), reviews.time_to_resolution.n === 0 ? `${count(reviews.opened.total)} came in` : `median ${minutesText(reviews.time_to_resolution.median_minutes)}`)}
</dl><ul>${[...trendLines(findings),
    overrides.all === null ? 'False positives are not measured: people judged nothing.' : `People judged ${count(overrides.all.of)} of ${count(overrides.all.judged)} items otherwise than was done: ${shareText(overrides.all.rate, overrides.all)}.`,
    ...(reviews.overdue.total === 0 ? [] : [`${count(reviews.overdue.total)} reviews were not decided when they were due.`]),
    ...(appeals.made.total === 0 && appeals.decided.total === 0 ? [] : [`${count(appeals.made.total)} objections were made, ${count(appeals.decided.total)} decided, ${count(appeals.reversed.total)} of them reversed.`]),
    ...(measured.length === 0 ? [`Residual risk is not measured: ${risk === null ? 'no campaign covers this tenant' : 'nothing that was drawn of this tenant is labelled yet'}.`] : measured.map(({ campaign, so_far: all }) => `What got through, by campaign ${campaign}: ${shareText(all.rate!, all.interval!)}, n ${count(all.labelled)}.`)),
  ].map((line) => html`<li>${line}</li>`)}</ul></section>`;
}

function tile(name: string, value: string, beside: string): Html {
  return html`<div><dt>${name}</dt><dd>${value}<small>${beside}</small></dd></div>`;
}

function against(figure: { readonly total: number; readonly before: number | null }): string {
  const text = changed(figure);
  if (figure.before === null) return 'before: not known';
  return text === '–' ? 'none before either' : text === 'new' ? 'none before' : text === 'the same' ? 'the same as before' : `${text} against ${count(figure.before)}`;
}

function trendLines({ violations, volume, period }: WeeklyFindings): readonly Piece[] {
  if (volume.exchanges.total === 0) return [period.missing === null ? 'Nothing came in this time.' : 'No exchange is counted in what is left of this time.'];
  const named = (finding: string): string => violations.filter((one) => one.finding === finding).map(({ category }) => category).join(', ');
  const [rose, fell] = [named('rose'), named('fell')];
  if (violations.length === 0) return ['No category of violation was found.'];
  if (rose === '' && fell === '') return [violations.every(({ finding }) => finding === 'too_little') ? 'Whether any category rose or fell cannot be told: too little is known of the four weeks before.' : 'No category rose or fell beyond chance.'];
  return [...(rose === '' ? [] : [html`<strong>Rose beyond chance: ${rose}.</strong>`]), ...(fell === '' ? [] : [`Fell beyond chance: ${fell}.`])];
}
