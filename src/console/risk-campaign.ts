/**
 * One residual-risk campaign: the answer first, its interval against the claim, which interval to trust when, and the rate
 * corrected for the errors of those who label; then by stratum, tenant, product, modality and category, over time, and where
 * violations concentrate; last what another claim would take. `?live=1` keeps it fresh, `?by=` takes days or weeks,
 * `?below=` and `?confidence=` ask for a claim.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { CampaignDefinition } from '../contract/risk.ts';
import { COURSE_STEPS } from '../risk/course.ts';
import type { CampaignOverview } from '../risk/overview.ts';
import type { ClaimStatus, Estimate } from '../risk/status.ts';
import { forestTable, type ForestRow } from './charts.ts';
import { freshLink, freshPlace } from './fresh.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { choice, count, percent, rangeOf, timeOf } from './parts.ts';
import { take } from './refusal.ts';
import { courseBody, missesBody, needsBody, type CourseTold, type MissesTold } from './risk-course.ts';
import { claimBadge, datesOf, goalOf, missingOf, populationOf, progress } from './risk-parts.ts';

type Told = CampaignOverview & { readonly definition: CampaignDefinition | null };

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const by = COURSE_STEPS.find((step) => step === request.query.get('by'));
  const [told, course, misses] = await Promise.all([
    take<Told>(api, request, 'readRiskCampaign', { names: { id } }), take<CourseTold>(api, request, 'readRiskCourse', { names: { id }, query: { by } }), take<MissesTold>(api, request, 'readRiskMisses', { names: { id } }),
  ]);
  const isLive = request.query.get('live') !== null;
  const scale = scaleOf(told);
  const threshold = told.claim?.below;
  return page(api, request, {
    title: `Residual risk: ${id}`, at: '/risk', json: `/api/v1/risk/campaigns/${id}`,
    body: html`<div class="actions">${freshLink(`/risk/${id}`, request.query, isLive)}<a class="button" href="/risk/${id}/report">Report</a>${api.may(request.actor, 'nextAnnotation') ? html`<a class="button" href="/risk/annotate">Label texts</a>` : ''}</div>
${freshPlace(isLive, html`${answer(told)}
${intervals(told, scale)}
${facts(told)}
${partsOf(told, scale)}
${courseBody(course, { id, threshold, form: html`<form method="get" class="filter">${choice('By', 'by', [['', 'as fits'], ['day', 'day'], ['week', 'week']], request.query.get('by'))}<div class="field"><button>Show</button></div></form>` })}
${missesBody(misses, id)}`)}
${await needsBody(api, request, told.claim)}`,
  });
}

// The answer.

function answer({ total, confidence, claim, precision, definition, drawn_between: between }: Told): Html {
  const { rate, interval, labelled, violations } = total;
  if (rate === null) return html`<section class="answer"><p class="big">Nothing is labelled yet.</p><p>${datesOf(between)}; ${count(total.drawn)} drawn.</p></section>`;
  return html`<section class="answer"><p class="big">Of ${populationOf(definition)}, <strong>${percent(rate)}</strong> violate.</p>
<p class="lead">${rangeOf(interval.low, interval.high)} at ${percent(confidence)}, n ${count(labelled)} labelled with ${count(violations)} ${violations === 1 ? 'violation' : 'violations'}, ${datesOf(between)} (UTC).</p>
${claim === null ? '' : html`<p class="lead">${claimBadge(claim)} ${claimTold(claim)}</p>`}${precision === null ? '' : html`<p class="lead">To be known to within ${percent(precision.half_width)}: ${precision.reached ? 'it is' : `not yet; that takes some ${count(precision.labels_needed)} labels`}.</p>`}</section>`;
}

function claimTold({ confidence, state, met_under_peeking: always, met_at_worst: worst, labels_needed: needed }: ClaimStatus): string {
  const at = `At one-sided ${percent(confidence)}`;
  if (state === 'met') return `${at} the rate is below, if the number of labels was fixed before the first. The interval that holds however often one looks ${always ? 'shows it too' : 'does not show it yet'}.${worst ? ' Even if all that nobody labelled were violations.' : ''}`;
  if (state === 'contradicted') return `${at} the rate is not below: the whole interval lies above.`;
  return `${at} it is neither shown nor contradicted.${needed === null ? ' It is far from being shown.' : ` With the violations found so far it takes ${count(needed)} labels in all.`}`;
}

/** The same rate as it is to be read at different times. */
function intervals({ total, corrected, claim, drawn_between: between }: Told, scale: number): Piece {
  if (total.rate === null) return '';
  const { rate, interval, peeking, bounds, labelled } = total;
  const row = (name: Piece, of: number | null, { low, high }: { readonly low: number; readonly high: number }, told: Piece): ForestRow => ({ name, rate: of, low, high, told });
  const isCorrected = corrected.correction !== 'no_information';
  return html`${forestTable({
    title: html`The interval, and what it is held against <span class="quiet">${datesOf(between)}, n ${count(labelled)}</span>`, label: 'Intervals of the rate', nameHead: 'Read', toldHead: 'Labels', threshold: claim?.below, scale,
    rows: [
      row('once, at the end of a fixed plan', rate, interval, count(labelled)), row('while labels come in', rate, peeking, count(labelled)),
      ...(isCorrected ? [row(html`corrected for annotators’ errors${corrected.correction === 'noise' ? html` <span class="quiet">(may be all noise)</span>` : ''}`, corrected.rate, corrected.interval, count(labelled))] : []),
      row('what nobody labelled all safe, or all violations', null, bounds, count(labelled)),
    ],
  })}
<p>Trust the first if the number of labels was fixed before the first of them and this is the only look. Trust the second whenever you look on the way, or decide by what you see when to stop: it holds however often and whenever one looks, and is wider for that.${isCorrected ? html` The correction rests on ${count(corrected.sensitivity.n)} known violations, of which people saw ${shareTold(corrected.sensitivity)}, and ${count(corrected.specificity.n)} known safe texts, of which they left alone ${shareTold(corrected.specificity)}.` : ''}</p>${sequential(claim)}`;
}

function shareTold({ rate, interval }: Told['corrected']['sensitivity']): string {
  return rate === null ? 'an unknown share' : `${percent(rate)} (${rangeOf(interval.low, interval.high)})`;
}

const TEST_WORDS = { good: 'it is: the test has shown it', bad: 'it is not: the test speaks for the rate of the claim, or a higher one', open: 'it has not decided' } as const;

function sequential(claim: ClaimStatus | null): Piece {
  if (claim?.sequential == null) return '';
  const { good, decision, evidence, limit, labels_if_good: ifGood, labels_if_bad: ifBad } = claim.sequential;
  return html`<p>All texts were drawn with one probability, so a sequential test may be looked at after every label; choose it, or the second interval, before the first. Is the rate below ${percent(claim.below)}? <strong>${TEST_WORDS[decision]}</strong> <span class="quiet">(evidence ${evidence.toFixed(2)}; it shows it at ${(-limit).toFixed(2)} and gives it up at ${limit.toFixed(2)}; on average it takes ${count(ifGood)} labels where the rate is ${percent(good)}, ${count(ifBad)} where it is ${percent(claim.below)})</span>.</p>`;
}

// What it rests on.

function facts(told: Told): Html {
  const { total, definition, pace, agreement, drawn_between: between } = told;
  const missing = missingOf(told);
  return html`<dl class="facts"><div><dt>Towards the goal</dt><dd>${progress(total.labelled, goalOf(told), 'Labels of those that the goal takes')}</dd></div><div><dt>Labelled of drawn</dt><dd>${count(total.labelled)} of ${count(total.drawn)}</dd></div><div><dt>Runs (UTC)</dt><dd>${definition === null ? 'it is not configured any more' : html`${definition.state}; ${definition.from === null ? 'from the start' : timeOf(definition.from)} to ${definition.until === null ? 'no end' : timeOf(definition.until)}`}</dd></div><div><dt>Texts</dt><dd>${datesOf(between)}</dd></div><div><dt>Response, by weight</dt><dd>${percent(total.response_share)}</dd></div><div><dt>Labels count as</dt><dd>${count(Math.round(total.effective_size))} of equal weight</dd></div>${pace === null ? '' : html`<div><dt>Pace</dt><dd>${count(Math.round(pace.labels_a_day))} labels a day since ${timeOf(pace.since)}</dd></div>`}<div><dt>Annotators agree</dt><dd>${agreement === null ? 'not known' : `${percent(agreement.raw)} of ${count(agreement.items)} texts with several labels${agreement.alpha === null ? '' : `, alpha ${agreement.alpha.toFixed(2)}`}`}</dd></div></dl>
${missing.length === 0 ? '' : html`<h2>What is missing</h2><ul>${missing.map((text) => html`<li>${text}</li>`)}</ul>`}`;
}

const PARTS = [['strata', 'stratum', 'Stratum'], ['tenants', 'tenant', 'Tenant'], ['products', 'product', 'Product'], ['modalities', 'modality', 'Modality'], ['directions', 'direction', 'Direction'], ['decisions', 'what became of it', 'Became'], ['categories', 'category, among everything', 'Category']] as const;
/** The others are in the JSON. */
const ROWS_MAX = 50;

function partsOf(told: Told, scale: number): Piece {
  if (told.total.rate === null) return '';
  const drawn = PARTS.filter(([key]) => told[key].length > (key === 'categories' ? 0 : 1));
  return html`<h2>By part</h2>${drawn.length === 0 ? html`<p>All that was drawn is of one stratum, tenant, product and modality, and nothing in it is a violation.</p>` : drawn.map(([key, name, head]) => forestTable({
    title: html`By ${name} <span class="quiet">${datesOf(told.drawn_between)}</span>`, label: `Rates by ${name}`, nameHead: head, toldHead: 'Violations of labelled', besideHead: 'While labels come in', threshold: key === 'categories' ? undefined : told.claim?.below, scale,
    rows: [...told[key]].sort(byWeight).slice(0, ROWS_MAX).map((one): ForestRow => ({ name: one.name === '' ? 'none named' : html`<code>${one.name}</code>`, rate: one.rate, ...one.interval, told: `${count(one.violations)} of ${count(one.labelled)}`, beside: one.rate === null ? '–' : rangeOf(one.peeking.low, one.peeking.high) })),
  }))}`;
}

function byWeight(a: Estimate, b: Estimate): number {
  return (b.rate ?? -1) - (a.rate ?? -1) || b.labelled - a.labelled || (a.name < b.name ? -1 : 1);
}

/** So that the threshold and what is known well can be told apart; what is known badly goes on beyond. */
function scaleOf({ total, claim, strata, products }: Told): number {
  const rates = [...strata, ...products].map(({ rate }) => rate ?? 0);
  return Math.min(1, Math.max(0.001, 2 * (claim?.below ?? 0), 1.5 * (total.rate === null ? 0 : total.interval.high), 1.2 * Math.max(0, ...rates)));
}

export const RISK_CAMPAIGN_PAGE: Page = { method: 'GET', path: '/risk/:id', needs: 'readRiskCampaign', meaning: 'one campaign: the rate against its claim, by part and over time, where violations concentrate, and what a claim would take; `?live=1` keeps it fresh', run: show };
