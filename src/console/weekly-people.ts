/** What people did, of a weekly report: reviews, where they judged otherwise, objections, and what campaigns measured. Pure. */
import type { Rate } from '../review/overrides.ts';
import type { CampaignFinding, WeeklyFindings } from '../report/weekly/findings.ts';
import { html, type Html, type Piece } from './html.ts';
import { count, percent } from './parts.ts';
import { dataTable, figureRows, minutesText, shareText } from './weekly-parts.ts';

export function reviewsPart({ reviews: { opened, opened_by: by, resolved, resolutions, time_to_resolution: time, overdue, open_at_end: open } }: WeeklyFindings): Html {
  return html`<h3>Reviews</h3>
${dataTable('The review queue', ['', 'This time', 'Before', 'Change'], figureRows([['Came in', opened], ['Decided by people', resolved], ['Not decided when it was due', overdue], ['Open at the end', open]]))}
<p>From coming in to the verdict: ${time.n === 0 ? 'nothing was decided' : html`median ${minutesText(time.median_minutes)}, nine in ten within ${minutesText(time.p90_minutes)}, n ${count(time.n)}`}; before: ${time.before.n === 0 ? 'nothing was decided' : `median ${minutesText(time.before.median_minutes)}, nine in ten within ${minutesText(time.before.p90_minutes)}, n ${count(time.before.n)}`}.</p>
<div class="pair">${by.length === 0 ? '' : dataTable('What came in', ['Why', 'Severity', 'Items'], by.map(({ origin, severity, total }) => [ORIGINS[origin], severity, count(total)]))}${resolutions.length === 0 ? '' : dataTable('How people decided', ['Verdict', 'This time', 'Before', 'Change'], figureRows(resolutions.map((one) => [one.name, one])))}</div>`;
}

const ORIGINS = { escalate: 'a rule asked', uncertain: 'a score was near a threshold', sample: 'drawn as a check', appeal: 'somebody objected', learning: 'picked to learn from' } as const;

export function overridesPart({ overrides: { all, before, sample, rules } }: WeeklyFindings): Html {
  const row = (name: string, rate: Rate | null): readonly Piece[] => [name, rate === null ? 'not measured' : shareText(rate.rate, rate), count(rate?.of ?? 0), count(rate?.judged ?? 0)];
  return html`<h3>Where people judged otherwise</h3>
<p>${all === null ? 'Nobody judged anything, so false positives are not measured.' : html`<strong>${count(all.of)} of ${count(all.judged)}</strong> judged items were judged otherwise than was done: ${shareText(all.rate, all)}${before === null ? '' : `; the week before ${shareText(before.rate, before)}, n ${before.judged}`}. ${all.judged < 30 ? 'So few say little.' : ''}`}</p>
${dataTable('Override rates, with the Wilson interval at 95 %', ['', 'Rate', 'Otherwise', 'Judged (n)'], [
    row('All that people judged', all), row('Checks drawn at random: went on and should not have', sample.withdraw), row('Checks drawn at random: stopped and should not have been', sample.reinstate),
    ...rules.flatMap((rule) => (rule.false_positives === null ? [] : [row(`Rule ${rule.rule} of ${rule.policy}: false positives`, rule.false_positives)])), ...rules.flatMap((rule) => (rule.near_misses === null ? [] : [row(`Rule ${rule.rule} of ${rule.policy}: nearly fired, and should have`, rule.near_misses)])),
  ])}`;
}

export function appealsPart({ appeals: { made, decided, upheld, reversed, to_legal: legal, reversal_share: share, time_to_decision: time } }: WeeklyFindings): Html {
  return html`<h3>Objections</h3>
${dataTable('Objections to what was done', ['', 'This time', 'Before', 'Change'], figureRows([['Made', made], ['Decided', decided], ['Upheld: it stays as it was', upheld], ['Reversed', reversed], ['Left to the legal department', legal]]))}
<p>${share === null ? 'None was decided.' : `Reversed: ${shareText(share.value, share)} of n ${share.of}; median ${minutesText(time.median_minutes)} from the objection to the verdict.`}</p>`;
}

const CLAIMS = { met: 'the labels bear it out', open: 'the labels neither bear it out nor contradict it', contradicted: 'the labels contradict it', too_few: 'there are too few labels' } as const;

export function riskSection({ residual_risk: risk }: WeeklyFindings): Html {
  return html`<section><h2>Residual risk: what got through</h2>
${risk === null ? html`<p><strong>Not measured.</strong> No campaign draws from this tenant’s traffic, so nobody knows how much got through.</p>` : html`<p>Of what was served, texts are drawn by chance and labelled by people; the rate is that of violations among all that was served. Labels as they stood when this was made.</p>
${dataTable('By campaign, of this tenant', ['Campaign', 'Rate so far', 'At any look', 'Drawn', 'Labelled (n)', 'Violations', 'Drawn in the week: rate', 'n'], risk.map((one) => [one.campaign, rateText(one.so_far), one.so_far.peeking === null ? '–' : `${percent(one.so_far.peeking.low)} to ${percent(one.so_far.peeking.high)}`, count(one.so_far.drawn), count(one.so_far.labelled), count(one.so_far.violations), rateText(one.in_period), count(one.in_period.labelled)]))}
${risk.map(claimText)}`}</section>`;
}

function rateText({ rate, interval }: CampaignFinding['in_period']): string {
  return rate === null || interval === null ? 'not measured' : shareText(rate, interval);
}

function claimText({ campaign, claim, is_configured: isConfigured, so_far: all }: CampaignFinding): Html {
  return html`<p class="small"><code>${campaign}</code>: ${claim === null ? 'it has no claim' : `claimed is “below ${percent(claim.below)} at ${percent(claim.confidence)}”; of this tenant alone ${CLAIMS[claim.state]}${claim.state === 'met' || claim.labels_needed === null ? '' : `, it takes about ${count(claim.labels_needed)}`}`}. ${count(all.waiting)} texts wait for a label, ${count(all.missing)} cannot be labelled.${isConfigured ? '' : ' The campaign is not configured any more.'}</p>`;
}
