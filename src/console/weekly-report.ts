/**
 * A tenant's weekly report as a page that stands alone: to be read on a screen, light or dark, printed on A4, and kept. It
 * loads nothing and runs nothing; what a picture shows stands in numbers beside it. It tells what its JSON tells and nothing
 * else, and carries the digest of that JSON. Pure.
 */
import type { NamedFigure } from '../report/weekly/figures.ts';
import type { WeeklyDocument } from '../report/weekly/document.ts';
import type { WeeklyFindings } from '../report/weekly/findings.ts';
import { rangeName, readWeek } from '../report/weekly/weeks.ts';
import { html, type Html } from './html.ts';
import { count, percent } from './parts.ts';
import { weeklyAnswer } from './weekly-answer.ts';
import { dayColumns } from './weekly-charts.ts';
import { basisSection, changesSection, methodsSection } from './weekly-grounds.ts';
import { appealsPart, overridesPart, reviewsPart, riskSection } from './weekly-people.ts';
import { changed, dataTable, dateText, duration, figureRows, notKnown, shareText, timeText } from './weekly-parts.ts';
import { weeklyStyle } from './weekly-style.ts';
import { violationsSection } from './weekly-violations.ts';

/** `sha256`: of its JSON. */
export function weeklyPage(document: WeeklyDocument, sha256: string): string {
  const { tenant_id: tenant, made_at: madeAt, software, findings } = document;
  const { period, scope } = findings;
  const name = period.week ?? rangeName({ week: null, fromMs: Date.parse(period.from), untilMs: Date.parse(period.until) });
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Safety report: ${tenant}, ${name}</title>
<style>${weeklyStyle(tenant, name)}</style>
</head>
<body>
<main>
<header><h1>Safety report: ${tenant}</h1>
<p class="week">${period.week !== null && readWeek(period.week) !== undefined ? html`Week ${period.week}: ` : ''}${dateText(period.from)} to ${dateText(period.until)} UTC${period.is_over ? '' : html` <strong>(so far: until ${timeText(period.counted_until)})</strong>`}</p>
<p class="quiet">${findings.tenant.product === null ? '' : `Product: ${findings.tenant.product}. `}${findings.tenant.policy === null ? 'The tenant is not configured any more. ' : `Policy: ${findings.tenant.policy}. `}Made ${timeText(madeAt)} UTC by Weir ${software.version}. ${scope === 'own' ? 'Only of this Weir’s own audit log. ' : ''}Held against ${dateText(period.before.from)} to ${dateText(period.before.until)}.</p></header>
${missingNote(findings)}
${weeklyAnswer(findings)}
${volumeSection(findings)}
${actionsSection(findings)}
${violationsSection(findings)}
${rulesSection(findings)}
${coverageSection(findings)}
${serviceSection(findings)}
<section><h2>People</h2>
${reviewsPart(findings)}
${overridesPart(findings)}
${appealsPart(findings)}
</section>
${riskSection(findings)}
${changesSection(findings)}
${basisSection(document, sha256)}
${methodsSection(document)}
</main>
</body>
</html>
`.markup;
}

function missingNote({ period: { missing, before, until }, volume }: WeeklyFindings): Html {
  const detailed = volume.detailed < volume.exchanges.total;
  const gone = missing !== null && missing.known_from === until;
  return html`${missing === null ? '' : html`<p class="note" role="note"><strong>${gone ? 'The counts of this time are gone.' : `${count(missing.hours)} hours are missing.`}</strong> ${gone ? 'All of them passed their retention, so nothing is told of volumes, actions and violations; zeros below are not measured.' : `Counts before ${timeText(missing.known_from)} UTC passed their retention; what is told is of the hours from then on.`}</p>`}
${before.is_known ? '' : html`<p class="note" role="note">Not all hours of the week before are kept any more, so nothing is held against it.</p>`}
${detailed ? html`<p class="note" role="note">Endpoints, statuses, policies, availability and actions by category are of ${count(volume.detailed)} of ${count(volume.exchanges.total)} exchanges: an earlier version of Weir, which counted the others, did not tell them.</p>` : ''}`;
}

function volumeSection({ volume, period }: WeeklyFindings): Html {
  const { exchanges, decisions, outcomes, days, routes, statuses, errors, policies } = volume;
  return html`<section><h2>Volume</h2>
${dayColumns('Exchanges by day (UTC)', days, period.from)}
${dataTable('Exchanges and decisions', ['', 'This time', 'Before', 'Change'], figureRows([['Exchanges', exchanges], ['Prompts decided', decisions.input], ['Answers decided', decisions.output], ['Decided after the fact', decisions.late]]))}
<div class="pair">${namedTable('How exchanges ended', 'Outcome', outcomes)}${namedTable('Endpoints', 'Endpoint', routes)}${namedTable('HTTP statuses', 'Status', statuses)}${errors.length === 0 ? '' : namedTable('Error codes', 'Code', errors)}${policies.length === 0 ? '' : namedTable('Policies that decided', 'Policy and revision', policies)}</div></section>`;
}

function namedTable(title: string, head: string, rows: readonly NamedFigure[]): Html {
  return rows.length === 0 ? html`<figure><figcaption>${title}</figcaption><p class="quiet">Nothing.</p></figure>` : dataTable(title, [head, 'This time', 'Before', 'Change'], figureRows(rows.map((one) => [one.name, one])));
}

const PART_NAMES = { input: 'Prompts', output: 'Answers', late: 'After the fact' } as const;

function actionsSection({ actions: { exchanges, by_part: byPart, by_category: byCategory, redacted_spans: spans } }: WeeklyFindings): Html {
  return html`<section><h2>Actions</h2>
<p>Of each exchange the action counts that did most; <code>none</code>: nothing was decided, such as for what is passed through.</p>
${namedTable('Exchanges by action', 'Action', exchanges)}
<div class="pair">${(['input', 'output', 'late'] as const).filter((part) => byPart[part].length > 0).map((part) => namedTable(PART_NAMES[part], 'Action', byPart[part]))}
${dataTable('Redacted spans', ['', 'This time', 'Before', 'Change'], figureRows([['In prompts', spans.input], ['In answers', spans.output]]))}</div>
${byCategory.length === 0 ? '' : dataTable('What was done, by category that was found', ['Action', 'Category', 'This time', 'Before', 'Change'], byCategory.map((one) => [one.action, one.category ?? 'none was found', count(one.total), one.before === null ? notKnown : count(one.before), changed(one)]))}</section>`;
}

function rulesSection({ rules }: WeeklyFindings): Html {
  return html`<section><h2>Rules</h2>${rules.length === 0 ? html`<p class="quiet">No rule fired.</p>` : html`<p>Exchanges in which a rule fired; and of those that people judged, the share that they allowed.</p>
${dataTable('Rules that fired', ['Rule', 'This time', 'Before', 'Change', 'False positives', 'Judged (n)'], rules.map((one) => [one.name, count(one.total), one.before === null ? notKnown : count(one.before), changed(one), one.false_positives === null ? 'not measured' : shareText(one.false_positives.rate, one.false_positives), count(one.false_positives?.judged ?? 0)]))}`}</section>`;
}

const WHY: Readonly<Record<string, string>> = { exempt: 'exempt by policy', opaque: 'nothing that a classifier here can read' };

function coverageSection({ coverage: { unknown, degraded, partial, unscreened }, volume: { exchanges } }: WeeklyFindings): Html {
  const share = (value: number | null): string => (value === null ? '–' : percent(value));
  return html`<section><h2>What was not screened</h2>
${dataTable('Of all exchanges', ['', 'This time', 'Share', 'Before', 'Change'], [['A part was not screened', count(partial.total), share(partial.share), partial.before === null ? notKnown : count(partial.before), changed(partial)], ['A fail mode decided, since a score was missing', count(degraded.total), share(degraded.share), degraded.before === null ? notKnown : count(degraded.before), changed(degraded)]])}
<div class="pair">${unscreened.length === 0 ? html`<figure><figcaption>Why</figcaption><p class="quiet">${exchanges.total === 0 ? 'Nothing came.' : 'Nothing that is told was left out.'}</p></figure>` : dataTable('Why', ['Where', 'Why', 'Exchanges', 'Before'], unscreened.map((one) => [PART_NAMES[one.direction], WHY[one.why] ?? one.why, count(one.total), one.before === null ? notKnown : count(one.before)]))}
${unknown.length === 0 ? html`<figure><figcaption>Missing scores</figcaption><p class="quiet">Every score that was asked for arrived.</p></figure>` : dataTable('Missing scores, by classifier', ['Classifier', 'Why', 'Where', 'Exchanges', 'Before'], unknown.map((one) => [one.classifier, one.reason, PART_NAMES[one.part], count(one.total), one.before === null ? notKnown : count(one.before)]))}</div></section>`;
}

const LATENCY_NAMES: Readonly<Record<string, string>> = { screening_input: 'Screening of prompts', screening_output: 'Screening of answers', first_byte: 'To the first byte of the answer', exchange: 'The whole exchange, with the upstream' };

function serviceSection({ latency, availability }: WeeklyFindings): Html {
  const { answered, failed, upstream_failed: upstream, client, share, share_before: before } = availability;
  return html`<section><h2>Speed and availability</h2>
${dataTable('How long it took', ['', 'n', 'Median', '95 of 100', '99 of 100', 'Median before'], latency.map((one) => [LATENCY_NAMES[one.name] ?? one.name, count(one.n), duration(one.p50_ms), duration(one.p95_ms), duration(one.p99_ms), one.before === null ? notKnown : duration(one.before.p50_ms)]))}
<p>${share === null ? 'Availability was not measured: nothing was counted.' : html`<strong>${percent5(share)} available</strong> (before: ${before === null ? notKnown : percent5(before)}): ${count(answered.total)} exchanges ended as they should, ${count(failed.total)} did not by a fault of Weir’s. A policy’s block is as it should be; a refusal because a score was missing is a fault.`}</p>
${dataTable('Whose fault it was', ['', 'This time', 'Before', 'Change'], figureRows([['Nobody’s: answered, blocked by policy', answered], ['Weir’s', failed], ['The upstream’s', upstream], ['The caller’s, or they left', client]]))}</section>`;
}

/** Of what is nearly all, the digits after the nines are what tells. */
function percent5(share: number): string {
  return `${Number((100 * share).toPrecision(6))} %`;
}
