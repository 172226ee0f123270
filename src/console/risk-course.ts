/**
 * More of a campaign's page: its rate over time with what has changed or risen, in which groups violations concentrate and
 * which classifier came nearest, and a small form that asks what another claim would take.
 */
import type { Api, PageRequest } from '../admin/pages.ts';
import type { Course, CourseChange, CourseSeries } from '../risk/course.ts';
import type { MissDimension, MissGroup, NearMisses, NearestScore } from '../risk/nearest.ts';
import type { LabellingPace } from '../risk/overview.ts';
import type { ClaimNeeds, ClaimStatus } from '../risk/status.ts';
import { courseChart, type CourseColumn } from './charts.ts';
import { html, type Html, type Piece } from './html.ts';
import { count, field, given, percent, rangeOf, timeOf } from './parts.ts';
import { messageOf } from './refusal.ts';
import { claimBadge } from './risk-parts.ts';

interface Known {
  readonly campaign: string;
  readonly as_of: string | null;
}

export type CourseTold = Known & Course;
export type MissesTold = Known & NearMisses & { readonly not_found: number };

const COUNTING = html`<p>It is being counted. Load the page again in a moment.</p>`;

// Over time.

export function courseBody(course: CourseTold, { id, threshold, form }: { readonly id: string; readonly threshold: number | undefined; readonly form: Html }): Html {
  const { as_of: at, by, periods, change, looked_at: looked, series } = course;
  const risen = series.filter(({ is_spike: isSpike }) => isSpike);
  const isRisen = risen.some(({ kind }) => kind === 'all');
  return html`<h2>Over time</h2>${form}${at === null ? COUNTING : looked === null ? html`<p>No label yet.</p>` : html`${courseChart({
    title: `Rate by ${by} in which texts were drawn (UTC)`, threshold, scale: scaleOf(course, threshold), toldHead: 'Violations of labelled, of drawn',
    columns: periods.map(({ from, rate, interval, labelled, violations, drawn }): CourseColumn => ({ label: from, rate, ...interval, told: `${count(violations)} of ${count(labelled)}, of ${count(drawn)}`, isSpike: from === looked && isRisen })),
  })}
${changeTold(change)}
${risen.length === 0 ? html`<p>Nothing has just risen beyond chance: of ${count(series.length)} series (the whole, tenants and categories) in the ${by} of ${looked}, all together at 5 %.${series.some(({ p }) => p !== null) ? '' : ' There is too little history to tell: it takes four earlier periods with labels.'}</p>` : html`<div class="spikes"><p>Just risen beyond chance, in the ${by} of ${looked}:</p><ul>${risen.map(riseTold)}</ul></div>`}
<p class="quiet">As of ${timeOf(at)} UTC. Labels of the newest texts come last, so the last ${by} has few. <a href="/api/v1/risk/campaigns/${id}/course" type="application/json">JSON</a></p>`}`;
}

/** Known well; what is known badly goes on beyond. */
function scaleOf({ periods }: Course, threshold = 0): number {
  const highs = periods.flatMap(({ rate, interval }) => (rate === null ? [] : [interval.high])).sort((a, b) => a - b);
  const rates = periods.map(({ rate }) => rate ?? 0);
  return Math.min(1, Math.max(0.001, 1.5 * threshold, 1.2 * (highs[Math.floor(highs.length * 0.8)] ?? 0), 1.1 * Math.max(0, ...rates)));
}

function changeTold(change: CourseChange | null): Piece {
  if (change === null) return '';
  const { before, after, ratio, ratio_interval: range, p, is_change: isChange } = change;
  const half = ({ from, until, rate, interval, labelled }: CourseChange['before']): string => `${from} up to ${until}: ${rate === null ? '–' : percent(rate)} (${rangeOf(interval.low, interval.high)}, n ${count(labelled)})`;
  return html`<p><strong>${isChange ? 'The rate has changed' : 'No change beyond chance'}</strong> between the older half and the newer: ${half(before)}; ${half(after)}. ${ratio === null ? '' : `${ratio.toFixed(2)} times as many (${range.low.toFixed(2)} to ${range.high === null ? 'any' : range.high.toFixed(2)}), `}p ${chance(p)}.</p>`;
}

function riseTold({ kind, name, rate, baseline, baseline_periods: periods, p }: CourseSeries): Html {
  return html`<li><strong>${kind === 'all' ? 'The whole' : html`${kind} <code>${name}</code>`}</strong>: ${rate === null ? '–' : percent(rate)}, where ${baseline === null ? '–' : percent(baseline)} is usual (${count(periods)} earlier periods), p ${p === null ? '–' : chance(p)}</li>`;
}

function chance(p: number): string {
  return p < 0.001 ? 'below 0.001' : p.toFixed(3);
}

// Near misses.

const DIMENSIONS: Readonly<Record<MissDimension, string>> = { score: 'Highest score', nearest: 'Nearest score', missing: 'Score that was missing', stratum: 'Stratum', tenant: 'Tenant', model: 'Model', policy: 'Policy' };

export function missesBody(misses: MissesTold, id: string): Html {
  const { as_of: at, violations, safe, not_found: lost, from, until, groups, categories } = misses;
  if (at === null) return html`<h2>Near misses</h2>${COUNTING}`;
  if (violations === 0 || from === null || until === null) return html`<h2>Near misses</h2><p>No violation is labelled whose entry is in the audit log.</p>`;
  return html`<h2>Near misses</h2><p>What the machine knew of the newest ${count(violations)} violations and ${count(safe)} safe texts, decided ${from.slice(0, 10)} to ${until.slice(0, 10)}. Shares are of what was labelled, not of the traffic. ▲ where violations concentrate beyond chance, all groups together.${lost === 0 ? '' : ` Of ${count(lost)} the entry was not found.`}</p>
${nearestTable(categories)}
<div class="scroll" tabindex="0" role="region" aria-label="Where violations concentrate"><table class="rows"><caption class="sr">Where violations concentrate</caption><thead><tr><th scope="col">Group</th><th scope="col">Of violations</th><th scope="col">Of safe texts</th><th scope="col" class="number">Times as often</th><th scope="col" class="number">p</th></tr></thead>${[...Map.groupBy(groups, ({ dimension }) => dimension)].map(([dimension, part]) => html`<tbody><tr class="group"><th scope="rowgroup" colspan="5">${DIMENSIONS[dimension]}</th></tr>${part.map(groupRow)}</tbody>`)}</table></div>
<p class="quiet">As of ${timeOf(at)} UTC. <a href="/api/v1/risk/campaigns/${id}/near-misses" type="application/json">JSON</a></p>`;
}

function nearestTable(categories: readonly NearestScore[]): Html {
  return html`<figure><figcaption>Which classifier came nearest</figcaption><div class="scroll" tabindex="0" role="region" aria-label="Which classifier came nearest"><table class="rows"><thead><tr><th scope="col">People found</th><th scope="col" class="number">Violations</th><th scope="col">Highest score, of how many, its median</th></tr></thead><tbody>${categories.map(({ category, violations, nearest }) => html`
<tr><th scope="row"><code>${category}</code></th><td class="number">${count(violations)}</td><td>${nearest.map(({ name, texts, median_score: median }, index) => html`${index === 0 ? '' : html`<br>`}<code>${name}</code> ${count(texts)}, ${median.toFixed(2)}`)}</td></tr>`)}</tbody></table></div></figure>`;
}

function groupRow({ name, violations, safe, ratio, p, stands_out: standsOut }: MissGroup): Html {
  const told = ({ of, share, interval }: MissGroup['safe']): Html => html`${percent(share)} <span class="quiet">${count(of)}, ${rangeOf(interval.low, interval.high)}</span>`;
  return html`<tr${standsOut ? html` class="differs"` : ''}><th scope="row"><code>${name}</code>${standsOut ? html` <span class="badge a-block">▲ more often</span>` : ''}</th><td>${told(violations)}</td><td>${told(safe)}</td><td class="number">${ratio === null ? '–' : ratio.toFixed(1)}</td><td class="number">${chance(p)}</td></tr>`;
}

// What a claim would take.

type NeedsTold = Omit<ClaimNeeds, 'rows'> & { readonly below: number; readonly confidence: number; readonly pace: LabellingPace | null; readonly rows: readonly (ClaimNeeds['rows'][number] & { readonly days: number | null })[] };

export async function needsBody(api: Api, request: PageRequest, claim: ClaimStatus | null): Promise<Html> {
  const id = request.names['id']!;
  const [below, confidence] = [given(request.query, 'below', 20), given(request.query, 'confidence', 20)];
  const asked = await api.call('readRiskNeeds', request, { names: { id }, query: { below_percent: numberOf(below), confidence_percent: numberOf(confidence) } });
  const told = asked.status === 200 ? needsTold(asked.body as NeedsTold, id) : html`<p class="fault" role="alert">${messageOf(asked)}</p>`;
  return html`<h2 id="needs">What another claim would take</h2>
<form method="get" action="#needs" class="filter">${field('Below, in %', 'below', below ?? String(percentOf(claim?.below ?? 0.02)), html` inputmode="decimal"`)}${field('One-sided confidence, in %', 'confidence', confidence ?? String(percentOf(claim?.confidence ?? 0.95)), html` inputmode="decimal"`)}<div class="field"><button>Ask</button></div></form>
${isAsked(below) && isAsked(confidence) ? told : html`<p class="fault" role="alert">Below and confidence are numbers above 0 and below 100.</p>`}`;
}

function isAsked(text: string | undefined): boolean {
  return text === undefined || (Number(text) > 0 && Number(text) < 100);
}

/** The API refuses nothing that is sent to it from here: what is no number is told of by the page. */
function numberOf(text: string | undefined): number | undefined {
  return text === undefined || !isAsked(text) ? undefined : Number(text);
}

function percentOf(share: number): number {
  return Number((100 * share).toPrecision(6));
}

function needsTold({ below, confidence, state, labelled, upper, pace, rows }: NeedsTold, id: string): Html {
  return html`<p>${claimBadge({ state, below })} at one-sided ${percent(confidence)}: with ${count(labelled)} labels the rate is below ${percent(upper)}, where the plan was fixed before. This is for planning: a claim that is chosen after its labels were seen is worth less.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Labels that it takes"><table class="narrow"><thead><tr><th scope="col" class="number">Violations in the end</th><th scope="col" class="number">Labels in all</th><th scope="col" class="number">More than now</th><th scope="col" class="number">Days${pace === null ? '' : ` at ${count(Math.round(pace.labels_a_day))} a day`}</th></tr></thead><tbody>${rows.map(({ violations, labels, more, days }) => html`<tr><th scope="row" class="number">${count(violations)}</th><td class="number">${labels === null ? 'far' : count(labels)}</td><td class="number">${more === null ? '–' : count(more)}</td><td class="number">${days === null ? '–' : count(Math.ceil(days))}</td></tr>`)}</tbody></table></div>
<p class="quiet">As many violations as there are now, and some more. Labels are counted as those of now weigh. <a href="/api/v1/risk/campaigns/${id}/needs" type="application/json">JSON</a></p>`;
}
