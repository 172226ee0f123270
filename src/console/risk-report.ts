/**
 * A report of a residual-risk campaign as a page that stands alone: to be read, printed on A4 in grey, and kept. It loads
 * nothing and runs nothing; what a plot shows stands in numbers beside it. It tells what its JSON tells and nothing else,
 * and carries the digest of that JSON. Pure.
 */
import type { LogBasis, ReportDocument } from '../report/campaign/document.ts';
import type { Rate, ReportFindings, Share } from '../report/campaign/findings.ts';
import type { Interval } from '../risk/intervals.ts';
import type { ClaimStatus, Estimate } from '../risk/status.ts';
import { html, Html, type Piece } from './html.ts';
import { count } from './parts.ts';

const STYLE = `
@page { size: A4; margin: 17mm 15mm 19mm; @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; } }
:root { color-scheme: only light; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: #111; background: #fff; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; padding-top: .5rem; border-top: 2px solid #111; }
h3 { font-size: 1rem; margin: 1.3rem 0 .3rem; }
p { margin: .4rem 0; max-width: 48rem; overflow-wrap: anywhere; }
.answer { border: 2px solid #111; padding: .6rem 1rem; margin: 1rem 0; }
.answer strong { font-size: 1.25rem; }
.quiet { color: #444; }
.scroll { overflow-x: auto; margin: .4rem 0 1rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .18rem .6rem .18rem 0; border-bottom: 1px solid #bbb; }
thead th, thead td { border-bottom: 1.5px solid #111; vertical-align: bottom; }
tbody th { font-weight: 500; min-width: 6rem; max-width: 16rem; overflow-wrap: anywhere; }
tbody td:not(.number) { overflow-wrap: break-word; max-width: 30rem; }
.number { text-align: right; }
tbody .number { white-space: nowrap; }
.long.number { white-space: normal; min-width: 6rem; }
.plot { width: 12rem; padding-right: 0; }
.plot svg { display: block; width: 12rem; height: 1.1rem; }
.course { display: block; width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #111; }
dl { display: grid; grid-template-columns: minmax(9rem, max-content) 1fr; gap: .15rem 1rem; margin: .4rem 0 1rem; }
dt { color: #444; }
dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: .8rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; border: 1px solid #bbb; padding: .5rem; margin: .3rem 0 1rem; }
figure { margin: .5rem 0 1rem; }
figcaption { font-weight: 600; font-size: .9rem; }
@media (max-width: 40rem) { body { padding: .8rem; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
@media print {
  body { font-size: 9.5pt; padding: 0; max-width: none; }
  h1 { font-size: 18pt; } h2 { font-size: 12.5pt; margin-top: 14pt; } h3 { font-size: 10.5pt; }
  h2, h3, figcaption { break-after: avoid; }
  thead { display: table-header-group; }
  tr, figure.whole, .answer { break-inside: avoid; }
  p, dl { orphans: 3; widows: 3; }
  .scroll { overflow: visible; }
  tbody th { min-width: 18mm; max-width: 45mm; } .long.number { min-width: 16mm; }
  .plot, .plot svg { width: 34mm; }
  table { font-size: 8pt; } code, pre { font-size: 7pt; }
  th, td { padding-right: 1.6mm; }
}
`;

/** `sha256`: of its JSON. */
export function reportPage(document: ReportDocument, sha256: string): string {
  const { campaign, version, made_at: madeAt, software, findings } = document;
  const title = `Residual risk: ${campaign}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}${version === null ? ', draft' : `, report ${version}`}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p class="quiet">${version === null ? 'Draft: it was not issued, and others may come out differently' : `Report ${version}`}, made ${timeText(madeAt)} by Weir ${software.version}. ${periodText(findings)}</p>
${answerOf(findings)}
${questionOf(findings)}
${sampleOf(findings)}
${estimatesOf(findings)}
${peopleOf(findings)}
${courseOf(findings)}
${nearestOf(findings)}
${deviationsOf(document)}
${basisOf(document, sha256)}
${methodsOf(document)}
</main>
</body>
</html>
`.markup;
}

// The answer.

function periodText({ period: { from, until, first, last } }: ReportFindings): string {
  const asked = from === null && until === null ? 'Of the whole campaign' : `Of exchanges${from === null ? '' : ` from ${from}`}${until === null ? '' : ` up to, and not including, ${until}`} (UTC)`;
  return `${asked}; ${first === null || last === null ? 'nothing was drawn' : `what was drawn began between ${timeText(first)} and ${timeText(last)}`}.`;
}

function answerOf(findings: ReportFindings): Html {
  const { estimates: { total, claim, precision, corrected }, question: { confidence }, period: { first, last } } = findings;
  if (total.rate === null) return html`<div class="answer"><p><strong>Nothing is labelled, so nothing is known of the rate of violations.</strong></p><p>${count(total.drawn)} texts were drawn, ${count(total.waiting)} wait for a label, ${count(total.missing)} cannot be labelled.</p></div>`;
  return html`<div class="answer"><p><strong>${percent(total.rate)} of the population are violations: ${range(total.interval)} (${percent(confidence)} interval), n ${count(total.labelled)}</strong></p>
<p>${count(total.violations)} violations among ${count(total.labelled)} labelled of ${count(total.drawn)} drawn, ${dayText(first)} to ${dayText(last)}. At any time, however often it was looked at: ${range(total.peeking)}. If all that nobody labelled were safe, or were violations: ${range(total.bounds)}.</p>
${claim === null ? '' : html`<p>${claimText(claim, total)}</p>`}
${precision === null ? '' : html`<p>The interval was to be known to within ${percent(precision.half_width)}: ${precision.reached ? 'it is' : `it is not yet; that takes about ${count(precision.labels_needed)} labels`}.</p>`}
<p>${CORRECTED[corrected.correction]}${corrected.rate === null ? '' : ` ${percent(corrected.rate)}, ${range(corrected.interval)}, by ${count(corrected.sensitivity.n)} known violations and ${count(corrected.specificity.n)} known safe texts.`}</p></div>`;
}

const CORRECTED = {
  corrected: 'Corrected for the errors of those who label:', noise: 'Corrected for the errors of those who label, and within reach of their false reports alone:',
  no_information: 'It is not corrected for the errors of those who label: there are too few known answers, or they were answered no better than by chance.',
} as const;

function claimText({ below, confidence, state, met_at_worst: isMetAtWorst, met_under_peeking: isMetUnderPeeking, labels_needed: needed }: ClaimStatus, { upper }: Estimate): string {
  const claim = `the claim “below ${percent(below)} at ${percent(confidence)}”`;
  switch (state) {
    case 'met': return `The labels bear out ${claim}: the one-sided upper limit is ${percent(upper)}. ${isMetAtWorst ? 'It holds even if all that nobody labelled were violations' : 'It would not hold if all that nobody labelled were violations'}; ${isMetUnderPeeking ? 'it holds also by the interval that may be looked at at any time' : 'it holds for whoever looks once, and not by the interval that may be looked at at any time'}.`;
    case 'contradicted': return `The labels contradict ${claim}: the interval lies above it.`;
    case 'too_few': return `There are too few labels to bear out ${claim}, whatever they say${needed === null ? '' : `; with the violations found it takes ${count(needed)}`}.`;
    default: return `The labels neither bear out nor contradict ${claim}: the one-sided upper limit is ${percent(upper)}${needed === null ? '' : `; with the violations found it takes ${count(needed)} labels`}.`;
  }
}

// What was asked, and what was drawn.

function questionOf({ question: { claim, half_width: half, declared_at: declaredAt, first_label_at: firstAt, is_configured: isConfigured, plans }, plans: declared }: ReportFindings): Html {
  return html`<h2>What was asked</h2>
<dl><dt>Question</dt><dd>${claim !== null ? `Is the rate of violations below ${percent(claim.below)}, with a one-sided confidence of ${percent(claim.confidence)}?` : half !== null ? `What is the rate of violations, to within ${percent(half)}?` : 'None is known: the campaign is not configured any more, and no log declares it.'}</dd>
<dt>Plan declared</dt><dd>${declaredAt === null ? 'in no log that was looked through' : timeText(declaredAt)}</dd><dt>First label</dt><dd>${firstAt === null ? 'none yet' : timeText(firstAt)}</dd><dt>Configured now</dt><dd>${isConfigured ? 'yes' : 'no'}</dd></dl>
${declared.map(({ in_force_at: at, logs, sha256, seed_commitment: seed, definition, tenants }) => html`<h3>Plan in force since ${timeText(at)}</h3>
<dl><dt>SHA-256 of the plan</dt><dd><code>${sha256}</code></dd><dt>SHA-256 of the seed</dt><dd><code>${seed}</code></dd><dt>Declared in</dt><dd>${logs.join(', ')}</dd><dt>Tenants</dt><dd>${tenants === null ? 'too many for an entry' : tenants.map((one) => (one as { readonly id: string }).id).join(', ') || 'none'}</dd></dl>
<pre tabindex="0">${definition === null ? 'too long for an entry; the hash alone tells it' : JSON.stringify(definition, null, 1)}</pre>`)}
${plans.length === 0 ? '' : tableOf('Labels of equal weight that the claim takes', ['Violations allowed', 'Labels', ...plans[0]!.power.map(({ rate }) => `Chance if the rate is ${percent(rate)}`)], plans.map(({ errors, n, power }) => [String(errors), count(n), ...power.map(({ chance }) => percent(chance))]))}`;
}

function sampleOf({ design, population, sample, estimates: { strata }, period: { first, last } }: ReportFindings): Html {
  const { absent, erased, damaged, unreadable } = sample.missing;
  return html`<h2>Population and sample</h2>
<p>${population.counted === 0 ? 'The population is not counted in the logs; it is estimated from the sample.' : `${count(population.counted)} texts are counted in the logs as the population${population.uncounted_drawn === 0 ? '.' : `; ${count(population.uncounted_drawn)} more were drawn where no plan is declared, and what they were drawn from is not counted.`}`} ${dayText(first)} to ${dayText(last)}.</p>
${tableOf('Sampling design: each text of a stratum is drawn with the same probability, apart from all others', ['Stratum', 'Probability', 'Population', 'Drawn', 'To be expected', 'Deviation, standard'], design.map((row) => [row.stratum, percent(row.probability), row.population === null ? 'not counted' : count(row.population), count(row.drawn), row.expected === null ? '–' : decimal(row.expected), row.expected === null || row.deviation === null || row.deviation === 0 ? '–' : decimal((row.drawn - row.expected) / row.deviation)]))}
<dl><dt>Drawn</dt><dd>${count(sample.drawn)}</dd><dt>Labelled</dt><dd>${count(sample.labelled)}</dd><dt>Waiting for a label</dt><dd>${count(sample.waiting)}</dd>
<dt>Missing</dt><dd>${count(absent)} nothing was kept, ${count(erased)} erased, ${count(damaged)} do not open, ${count(unreadable)} nobody could judge</dd><dt>Labels that count no more</dt><dd>${count(sample.flagged)}, of people who failed their calibration</dd><dt>SHA-256 of what became of each text</dt><dd><code>${sample.sha256}</code></dd></dl>
${tableOf('What of each stratum was labelled', ['Stratum', 'Drawn', 'Labelled', 'Waiting', 'Missing', 'Share labelled, by weight'], strata.map((one) => [one.name, count(one.drawn), count(one.labelled), count(one.waiting), count(one.missing), percent(one.response_share)]))}`;
}

// Estimates.

const DIMENSIONS = [['strata', 'By stratum', 'Stratum'], ['products', 'By product', 'Product'], ['modalities', 'By modality', 'Modality'], ['tenants', 'By tenant', 'Tenant'], ['directions', 'By direction', 'Direction'], ['decisions', 'By what became of the text', 'Decision'], ['categories', 'By category: its violations among everything', 'Category']] as const;

function estimatesOf({ estimates, period, question: { confidence } }: ReportFindings): Html {
  const { total, claim, corrected } = estimates;
  const dates = `${dayText(period.first)} to ${dayText(period.last)}`;
  return html`<h2>Rates of violations</h2>
<p>${dates}. In the plots the square is the rate, the line its interval of ${percent(confidence)}, the dashed line the claim. “Fixed” is the interval for a plan that was fixed before and is read once; “any time” holds however often it was looked at.</p>
${estimateTable('All together', 'Population', [{ ...total, name: 'All' }], claim?.below)}
${DIMENSIONS.map(([name, title, head]) => (estimates[name].length === 0 ? '' : estimateTable(title, head, estimates[name].map((one) => ({ ...one, name: one.name === '' ? 'without a name' : one.name })), claim?.below)))}
<h3>Corrected for the errors of those who label</h3>
${tableOf(`Rogan and Gladen, ${dates}`, ['', 'n', 'Share', 'Interval'], [
    ['Rate as labelled', count(total.labelled), share(total.rate), total.rate === null ? '–' : range(total.interval)], ['Sensitivity: of violations, what people see', ...shareCells(corrected.sensitivity)], ['Specificity: of what is safe, what people leave alone', ...shareCells(corrected.specificity)],
    [`Corrected rate (${WORD[corrected.correction]})`, count(total.labelled), share(corrected.rate), corrected.rate === null ? '–' : range(corrected.interval)],
  ])}`;
}

const WORD = { corrected: 'it stands', noise: 'false reports alone could make it up', no_information: 'no information' } as const;

function estimateTable(title: string, head: string, rows: readonly Estimate[], below: number | undefined): Html {
  const most = scaleOf([...rows.filter(({ rate }) => rate !== null).map(({ interval }) => interval.high), (below ?? 0) * 1.25]);
  return html`<figure><figcaption>${title}</figcaption><div class="scroll" tabindex="0" role="region" aria-label="${title}"><table><thead><tr><th scope="col">${head}</th><th scope="col" class="number">Drawn</th><th scope="col" class="number">Labelled (n)</th><th scope="col" class="number">Violations</th><th scope="col" class="number">Rate</th><th scope="col" class="number">Fixed</th><th scope="col" class="number">Any time</th><th scope="col" class="plot">0 to ${percent(most)}</th></tr></thead><tbody>${rows.map(({ name, drawn, labelled, violations, rate, interval, peeking }) => html`
<tr><th scope="row">${name}</th><td class="number">${count(drawn)}</td><td class="number">${count(labelled)}</td><td class="number">${count(violations)}</td><td class="number">${share(rate)}</td><td class="number">${rate === null ? '–' : range(interval)}</td><td class="number">${rate === null ? '–' : range(peeking)}</td><td class="plot">${strip(rate, interval, most, below)}</td></tr>`)}
</tbody></table></div></figure>`;
}

/** One row of a forest plot. */
function strip(rate: number | null, { low, high }: Interval, most: number, below: number | undefined): Html {
  const x = (value: number): string => (2 + 196 * Math.min(1, value / most)).toFixed(1);
  return html`<svg viewBox="0 0 200 16" preserveAspectRatio="none" aria-hidden="true"><line x1="2" x2="198" y1="15" y2="15" stroke="#bbb" stroke-width="1"/>${below === undefined ? '' : html`<line x1="${x(below)}" x2="${x(below)}" y1="0" y2="16" stroke="#111" stroke-width="1" stroke-dasharray="3 2"/>`}${rate === null ? '' : html`<line x1="${x(low)}" x2="${x(high)}" y1="8" y2="8" stroke="#111" stroke-width="2"/><line x1="${x(low)}" x2="${x(low)}" y1="5" y2="11" stroke="#111" stroke-width="1.5"/><line x1="${x(high)}" x2="${x(high)}" y1="5" y2="11" stroke="#111" stroke-width="1.5"/><rect x="${(Number(x(rate)) - 3).toFixed(1)}" y="5" width="6" height="6" fill="#111"/>`}</svg>`;
}

function scaleOf(values: readonly number[]): number {
  const most = Math.min(1, Math.max(0.001, ...values));
  const step = 10 ** Math.floor(Math.log10(most));
  return Math.min(1, Math.ceil((most / step) * 2 - 1e-9) * (step / 2));
}

// People.

function peopleOf({ agreement, annotators, period }: ReportFindings): Html {
  const dates = `${dayText(period.first)} to ${dayText(period.last)}`;
  return html`<h2>People who label</h2>
<h3>Agreement without seeing each other</h3>
${agreement === null ? html`<p>No text has the labels of two people, so nothing is known of their agreement.</p>` : html`
<p>${count(agreement.items)} texts were labelled by several of ${count(agreement.raters)} people, ${dates}. Raw agreement ${percent(agreement.raw)}; Krippendorff’s alpha ${agreement.alpha === null ? 'not defined, since one label alone was given' : decimal(agreement.alpha)}${agreement.interval === null ? ', without an interval: too few texts' : `, ${decimal(agreement.interval.low)} to ${decimal(agreement.interval.high)} (95 %)`}.</p>
${tableOf('Raw agreement by label', ['Label', 'Pairs in which one gave it (n)', 'Both did'], agreement.byLabel.map(({ label, pairs, agreement: both }) => [label, count(pairs), percent(both)]))}
${agreement.pairs.length === 0 ? '' : tableOf('Cohen’s kappa of two people', ['People', 'Texts (n)', 'Kappa'], agreement.pairs.map(({ annotators: both, items, kappa }) => [both.join(' and '), count(items), decimal(kappa)]))}`}
<h3>Known answers</h3>
<p>People are told by pseudonyms of this campaign. Intervals are of 95 %, ${dates}.</p>
${annotators.length === 0 ? html`<p>Nobody has labelled.</p>` : tableOf('Calibration of each person', ['Person', 'State', 'Labels', 'Violations', 'Count no more', 'Known answers (n)', 'Agreement', 'Sensitivity', 'Specificity'], annotators.map((one) => [one.annotator, one.state, count(one.labels), count(one.violations), count(one.flagged), count(one.known.n), shareText(one.known), shareText(one.sensitivity), shareText(one.specificity)]))}`;
}

// The course, and what came near.

const COURSE = { width: 960, height: 240, left: 64, foot: 34, top: 12 } as const;

function courseOf({ trend: { unit, periods, change, spike }, estimates: { claim } }: ReportFindings): Html {
  if (periods.length === 0) return html`<h2>Course</h2><p>Nothing was drawn.</p>`;
  return html`<h2>Course</h2>
<figure class="whole"><figcaption>Rate by ${unit} with 95 % intervals${claim === null ? '' : ', and the claim (dashed)'}</figcaption>${courseChart(periods, claim?.below)}</figure>
${tableOf(`The same in numbers, by ${unit}`, ['From', 'Up to, not including', 'Drawn', 'Labelled (n)', 'Violations', 'Rate', 'Interval'], periods.map((one) => [one.name, one.until, count(one.drawn), count(one.labelled), count(one.violations), share(one.rate), one.rate === null ? '–' : range(one.interval)]))}
<p>${change === null ? `Fewer than two of these ${unit}s have labels, so no change can be told.` : `The last ${unit} with labels against the first: ${change.ratio === null ? 'there was no violation before' : `${decimal(change.ratio)} times the rate`} (${decimal(change.low)} to ${change.high === null ? 'any number' : decimal(change.high)}, 95 %), p ${decimal(change.p)}: ${change.is_change ? 'a change' : 'no change that chance does not explain'}.`}
${spike === null ? `Too few ${unit}s have labels to tell whether the last is out of the ordinary.` : `The last ${unit} against ${spike.baseline_periods} before it (${percent(spike.baseline)}): p ${decimal(spike.p)}, ${spike.is_spike ? 'out of the ordinary' : 'nothing out of the ordinary'}.`}</p>`;
}

function courseChart(periods: readonly Rate[], below: number | undefined): Html {
  const { width, height, left, foot, top } = COURSE;
  const most = scaleOf([...periods.filter(({ rate }) => rate !== null).map(({ interval }) => interval.high), (below ?? 0) * 1.25]);
  const y = (value: number): string => (top + (height - top - foot) * (1 - Math.min(1, value / most))).toFixed(1);
  const step = (width - left) / periods.length;
  const every = Math.max(1, Math.ceil(periods.length / 9));
  const name = `Rates of ${periods.length} periods from ${periods[0]!.name} on; the table below has the numbers`;
  return html`<svg viewBox="0 0 ${width} ${height}" class="course" role="img" aria-label="${name}">
${[0, 0.5, 1].map((part) => html`<line x1="${left}" x2="${width}" y1="${y(most * part)}" y2="${y(most * part)}" stroke="#ccc" stroke-width="1"/><text x="${left - 6}" y="${Number(y(most * part)) + 4}" text-anchor="end">${percent(most * part)}</text>`)}
${below === undefined ? '' : html`<line x1="${left}" x2="${width}" y1="${y(below)}" y2="${y(below)}" stroke="#111" stroke-width="1.5" stroke-dasharray="6 4"/>`}
${periods.map(({ name: label, rate, interval }, at) => {
    const x = (left + step * (at + 0.5)).toFixed(1);
    return html`${at % every === 0 ? html`<text x="${x}" y="${height - 12}" text-anchor="middle">${label}</text>` : ''}${rate === null ? '' : html`<line x1="${x}" x2="${x}" y1="${y(interval.low)}" y2="${y(interval.high)}" stroke="#111" stroke-width="1.5"/><rect x="${(Number(x) - 3.5).toFixed(1)}" y="${(Number(y(rate)) - 3.5).toFixed(1)}" width="7" height="7" fill="#111"/>`}`;
  })}
</svg>`;
}

function nearestOf({ nearest: { tenths, classifiers }, estimates: { claim }, period }: ReportFindings): Html {
  const rows = (title: string, head: string, rates: readonly Rate[]): Html => {
    const most = scaleOf([...rates.filter(({ rate }) => rate !== null).map(({ interval }) => interval.high), (claim?.below ?? 0) * 1.25]);
    return html`<figure><figcaption>${title}</figcaption><div class="scroll" tabindex="0" role="region" aria-label="${title}"><table><thead><tr><th scope="col">${head}</th><th scope="col" class="number">Drawn</th><th scope="col" class="number">Labelled (n)</th><th scope="col" class="number">Violations</th><th scope="col" class="number">Rate</th><th scope="col" class="number">Interval</th><th scope="col" class="plot">0 to ${percent(most)}</th></tr></thead><tbody>${rates.map(({ name, drawn, labelled, violations, rate, interval }) => html`
<tr><th scope="row">${name}</th><td class="number">${count(drawn)}</td><td class="number">${count(labelled)}</td><td class="number">${count(violations)}</td><td class="number">${share(rate)}</td><td class="number">${rate === null ? '–' : range(interval)}</td><td class="plot">${strip(rate, interval, most, claim?.below)}</td></tr>`)}
</tbody></table></div></figure>`;
  };
  return html`<h2>Near misses</h2>
<p>Where violations stand by the score that came nearest to a decision, ${dayText(period.first)} to ${dayText(period.last)}: high scores with violations are what a threshold let through, low ones what no classifier saw.</p>
${tenths.length === 0 ? html`<p>Nothing was drawn.</p>` : html`${rows('By the highest score', 'Score', tenths)}${rows('By whose score was the highest', 'Classifier and category', classifiers)}`}`;
}

// What the reader has to know of the report itself.

function deviationsOf({ findings: { deviations, corrections }, changes }: ReportDocument): Html {
  return html`<h2>Deviations, corrections, changes</h2>
<h3>Deviations from the plan</h3>
${deviations.length === 0 ? html`<p>The records show none.</p>` : tableOf('What the records show', ['When', 'What'], deviations.map(({ at, what }) => [at === null ? 'all along' : timeText(at), what]))}
<h3>Corrections</h3>
${corrections.length === 0 ? html`<p>Nobody has recorded one.</p>` : tableOf('What was recorded about earlier reports', ['When', 'By', 'Why'], corrections.map(({ made_at: at, author, reason }) => [timeText(at), author, reason]))}
<h3>Against the report before</h3>
${changes === null ? html`<p>No report of the same days was issued before.</p>` : html`<p>Report ${changes.version}, SHA-256 <code>${changes.sha256}</code>.</p>${changes.differences.length === 0 ? html`<p>None of its main figures is another.</p>` : tableOf('What is another now', ['', 'Was', 'Is'], changes.differences.map(({ what, was, is }) => [what, valueText(was), valueText(is)]))}`}`;
}

function basisOf({ basis, findings: { taxonomy }, findings_sha256: findings, software }: ReportDocument, sha256: string): Html {
  return html`<h2>What it rests on</h2>
<dl><dt>SHA-256 of the JSON</dt><dd><code>${sha256}</code></dd><dt>SHA-256 of the findings</dt><dd><code>${findings}</code></dd><dt>Software</dt><dd>Weir ${software.version}</dd><dt>Taxonomy</dt><dd>version ${taxonomy.version}, ${taxonomy.language}, SHA-256 <code>${taxonomy.sha256}</code></dd></dl>
<p>The JSON, this page and a note lie together; the note is signed with the key of the audit log. <code>weir risk report --verify FILE</code> holds all three against one another, and, where the logs are, the checkpoints below against the logs, and counts the population and what was drawn anew.</p>
${basis.length === 0 ? html`<p>No audit log was looked through.</p>` : basis.map(basisPart)}`;
}

function basisPart({ log, key, entries, head, checkpoint, counts }: LogBasis): Html {
  return html`<h3>Audit log ${log}</h3>
<dl><dt>Entries looked through</dt><dd>${count(entries)}</dd><dt>Hash of the last</dt><dd><code>${head}</code></dd><dt>Public key</dt><dd><code>${key}</code></dd></dl>
${counts.length === 0 ? '' : tableOf(`Counted in ${log}`, ['Stratum', 'Probability', 'Population', 'Drawn', 'Plan'], counts.map((one) => [one.stratum, percent(one.probability), one.definition === '' ? 'not counted' : count(one.total), count(one.drawn), one.definition === '' ? 'none declared' : one.definition.slice(0, 12)]))}
<pre tabindex="0">${checkpoint === '' ? 'there is no checkpoint' : checkpoint.trimEnd()}</pre>`;
}

function methodsOf({ methods, mapping }: ReportDocument): Html {
  return html`<h2>Methods</h2>
${methods.map(({ title, text }) => html`<h3>${title}</h3><p>${text}</p>`)}
<h2>What it may be evidence for</h2>
<p>${mapping.note}</p>
${tableOf('Frameworks', ['Framework', 'Part', 'Evidence in this report'], mapping.rows.map(({ framework, part, evidence }) => [framework, part, evidence]))}`;
}

// Pieces.

/** What is longer may be broken. */
const NUMBER_CHARS_MAX = 20;

function tableOf(title: string, head: readonly string[], rows: readonly (readonly Piece[])[]): Html {
  if (rows.length === 0) return html`<p>${title}: nothing.</p>`;
  const isNumber = head.map((_, at) => at > 0 && rows.every((row) => /^[-–\d]/.test(String(row[at]))));
  const isLong = head.map((_, at) => rows.some((row) => String(row[at]).length > NUMBER_CHARS_MAX));
  return html`<figure><figcaption>${title}</figcaption><div class="scroll" tabindex="0" role="region" aria-label="${title}"><table><thead><tr>${head.map((name, at) => (name === '' ? html`<td></td>` : html`<th scope="col"${isNumber[at]! && html` class="number"`}>${name}</th>`))}</tr></thead><tbody>${rows.map((row) => html`
<tr>${row.map((cell, at) => (at === 0 ? html`<th scope="row">${cell}</th>` : html`<td${isNumber[at]! && (isLong[at]! ? html` class="number long"` : html` class="number"`)}>${cell}</td>`))}</tr>`)}
</tbody></table></div></figure>`;
}

function percent(value: number): string {
  return `${Number((value * 100).toPrecision(3))} %`;
}

function decimal(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

function share(value: number | null): string {
  return value === null ? '–' : percent(value);
}

function range({ low, high }: Interval): string {
  return `${Number((low * 100).toPrecision(3))} to ${percent(high)}`;
}

function shareCells({ n, rate, interval }: Share): readonly string[] {
  return [count(n), share(rate), rate === null ? '–' : range(interval)];
}

function shareText({ n, rate, interval }: Share): string {
  return rate === null ? '–' : `${percent(rate)} (${range(interval)}, n ${count(n)})`;
}

function valueText(value: unknown): string {
  return value === null || value === undefined ? 'none' : typeof value === 'number' ? String(value) : String(value);
}

function timeText(time: string): string {
  return `${time.slice(0, 10)} ${time.slice(11, 19)} UTC`;
}

function dayText(time: string | null): string {
  return time === null ? 'no date' : time.slice(0, 10);
}
