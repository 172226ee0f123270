/**
 * A weekly report in the columns of the quantitative templates of Commission Implementing Regulation (EU) 2024/2835, as far as
 * a filter between an app and its model knows them: table 6 (own-initiative measures under the provider's terms), 7
 * (complaints) and 8 (automated means and their error). Who owes such a report is the provider of the service and never
 * this software, and its period is longer than a week; so this is material for one: weeks are added up by whoever reports. What
 * is not known is left empty and never 0, and the notes say why. Pure.
 */
import type { Rate } from '../../review/overrides.ts';
import { csvText, type Cell } from './csv.ts';
import type { WeeklyDocument } from './document.ts';
import type { WeeklyFindings } from './findings.ts';
import { rounded } from './figures.ts';
import { DAY_MS } from './weeks.ts';

/** Parts of the form, each a file of its own. */
export const DSA_PARTS = ['own_initiative', 'complaints', 'automated_means', 'notes'] as const;
export type DsaPart = (typeof DSA_PARTS)[number];

/** The ending that each has beside a report's name. */
export const DSA_ENDINGS: Readonly<Record<DsaPart, string>> = { own_initiative: 'dsa-6-own-initiative.csv', complaints: 'dsa-7-complaints.csv', automated_means: 'dsa-8-automated-means.csv', notes: 'dsa-notes.csv' };

const ALL = 'All';
const PLATFORMS = 'Only for providers of online platforms';

/** Where a category of the embedded classifiers stands among those of the template; the rest is a breach of the provider's own terms. */
const CATEGORIES: readonly (readonly [found: RegExp, statement: string, keyword: string])[] = [
  [/\.sexual\/minors$/, 'STATEMENT_CATEGORY_PROTECTION_OF_MINORS', 'KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL'],
  [/\.hate(?:\/|$)/, 'STATEMENT_CATEGORY_ILLEGAL_OR_HARMFUL_SPEECH', 'KEYWORD_HATE_SPEECH'],
  [/\.harassment(?:\/|$)/, 'STATEMENT_CATEGORY_CYBER_VIOLENCE', 'KEYWORD_CYBER_HARASSMENT'],
  [/\.self-harm(?:\/|$)/, 'STATEMENT_CATEGORY_SELF_HARM', 'KEYWORD_OTHER'],
  [/\.violence(?:\/|$)/, 'STATEMENT_CATEGORY_VIOLENCE', 'KEYWORD_OTHER'],
  [/\.sexual$/, 'STATEMENT_CATEGORY_OTHER_VIOLATION_TC', 'KEYWORD_ADULT_SEXUAL_MATERIAL'],
  [/^(?:pii|presidio)\./, 'STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS', 'KEYWORD_OTHER'],
];
const OTHERS = ['STATEMENT_CATEGORY_OTHER_VIOLATION_TC', 'KEYWORD_OTHER'] as const;

const RESTRICTIONS = ['Visibility restriction Removal', 'Visibility restriction Disable', 'Visibility restriction Demoted', 'Visibility restriction Age restricted', 'Visibility restriction Interaction restricted', 'Visibility restriction Labelled', 'Visibility restriction Other', 'Monetary restriction Suspension', 'Monetary restriction Termination', 'Monetary restriction Other', 'Provision of the service Suspension', 'Provision of the service Termination', 'Account restriction Suspension', 'Account restriction Termination'] as const;
/** What of these an action is; to escalate is to ask, and to allow is to do nothing. */
const RESTRICTION_OF: Readonly<Record<string, (typeof RESTRICTIONS)[number]>> = { block: 'Visibility restriction Removal', replace: 'Visibility restriction Removal', redact: 'Visibility restriction Other', warn: 'Visibility restriction Labelled' };

const OWN_INITIATIVE = "Number of measures taken at the provider's own initiative";
const AUTOMATED = 'Number of measures taken after detection with solely automated means';
const NUMBERS = [OWN_INITIATIVE, AUTOMATED, ...RESTRICTIONS] as const;
const HEAD_6 = ['Applicability', 'Service', 'Reporting period', "Category of incompatibility with the provider's terms and conditions", 'Description of the sub-category "Other"', ...NUMBERS, ...NUMBERS.map((name) => `Contextual Information on ${name}`)] as const;
const HEAD_7 = ['Applicability', 'Service', 'Reporting period', 'Section', 'Indicator', 'Scope', 'Value', 'Contextual Information'] as const;

export function dsaTables(document: WeeklyDocument): Readonly<Record<DsaPart, string>> {
  const place: Place = [document.findings.tenant.product ?? document.tenant_id, periodText(document.findings)];
  return { own_initiative: ownInitiative(document.findings, place), complaints: complaints(document.findings, place), automated_means: automatedMeans(document.findings, place), notes: notes(document) };
}

type Place = readonly [service: string, period: string];
type Measures = Map<string, number>;

/** By days where it is of whole days, the last of them named. */
function periodText({ period: { from, until } }: WeeklyFindings): string {
  const isDays = from.endsWith('T00:00:00.000Z') && until.endsWith('T00:00:00.000Z');
  return isDays ? `${from.slice(0, 10)}/${new Date(Date.parse(until) - DAY_MS).toISOString().slice(0, 10)}` : `${from}/${until}`;
}

// Table 6.

function ownInitiative({ actions }: WeeklyFindings, place: Place): string {
  const total: Measures = new Map();
  for (const { name, total: count } of actions.exchanges) add(total, name, count);
  const sums = new Map<string, Measures>();
  for (const { action, category, total: count } of actions.by_category) {
    const [statement, keyword] = categoryOf(category);
    add(sumsOf(sums, JSON.stringify([statement, '', ''])), action, count);
    add(sumsOf(sums, JSON.stringify([statement, keyword, keyword === 'KEYWORD_OTHER' ? (category ?? 'no category was found; a rule of the policy decided') : ''])), action, count);
  }
  const rows = [...sums].filter(([, measures]) => measuresIn(measures) > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return csvText([HEAD_6, measureRow(place, 'TOTAL', '', total), ...rows.map(([key, measures]) => {
    const [statement, keyword, described] = JSON.parse(key) as readonly [string, string, string];
    return measureRow(place, keyword === '' ? statement : keyword, described, measures);
  })]);
}

function categoryOf(category: string | null): readonly [statement: string, keyword: string] {
  const found = category === null ? undefined : CATEGORIES.find(([names]) => names.test(category));
  return found === undefined ? OTHERS : [found[1], found[2]];
}

function sumsOf(sums: Map<string, Measures>, key: string): Measures {
  const known = sums.get(key) ?? new Map<string, number>();
  sums.set(key, known);
  return known;
}

function measureRow(place: Place, category: string, described: string, measures: Measures): readonly Cell[] {
  const all = measuresIn(measures);
  const restricted = RESTRICTIONS.map((name): Cell => (Object.values(RESTRICTION_OF).includes(name) ? (measures.get(name) ?? 0) : null));
  return [ALL, ...place, category, described, all, all, ...restricted, ...NUMBERS.map(() => null)];
}

function add(measures: Measures, action: string, count: number): void {
  const name = RESTRICTION_OF[action];
  if (name !== undefined) measures.set(name, (measures.get(name) ?? 0) + count);
}

function measuresIn(measures: Measures): number {
  return [...measures.values()].reduce((sum, count) => sum + count, 0);
}

// Table 7.

function complaints({ appeals }: WeeklyFindings, place: Place): string {
  const { median_minutes: median, n } = appeals.time_to_decision;
  const section = 'Internal complaints mechanism';
  const indicator = 'Number of complaints submitted to the internal-complaints mechanism';
  const row = (applies: string, scope: string, value: Cell, context = ''): readonly Cell[] => [applies, ...place, section, indicator, scope, value, context];
  return csvText([
    HEAD_7, row(ALL, 'Total number', appeals.made.total, 'Objections to what was done with a request, by its caller or for the tenant'),
    row(PLATFORMS, 'Decisions upheld', appeals.upheld.total), row(PLATFORMS, 'Decisions partially reversed', null, 'Not known: a verdict upholds or reverses the whole'), row(PLATFORMS, 'Decisions reversed', appeals.reversed.total, shareText('Share reversed', appeals.reversal_share === null ? null : { ...appeals.reversal_share, rate: appeals.reversal_share.value, judged: appeals.reversal_share.of })),
    row(PLATFORMS, 'Median time', median === null ? null : rounded(median / (24 * 60)), n === 0 ? 'No objection was decided' : `In days, from the objection to the decision, of ${n} decided in the period`), row(PLATFORMS, 'Decision omitted', appeals.to_legal.total, 'Left to the legal department'),
  ]);
}

// Table 8.

function automatedMeans(findings: WeeklyFindings, place: Place): string {
  const section = 'Use of automated means for content moderation';
  const taken = findings.actions.exchanges.reduce((sum, { name, total }) => (RESTRICTION_OF[name] === undefined ? sum : sum + total), 0);
  const { sample, all } = findings.overrides;
  const row = (indicator: string, scope: string, value: Cell, context = ''): readonly Cell[] => [ALL, ...place, section, indicator, scope, value, context];
  const right = sample.reinstate && { judged: sample.reinstate.judged, rate: rounded(1 - sample.reinstate.rate), low: rounded(1 - sample.reinstate.high), high: rounded(1 - sample.reinstate.low) };
  const precision = right === null ? `Not measured: nothing that was stopped was drawn at random and judged.${all === null ? '' : ` Of ${all.judged} items that people were asked about for any reason, they judged ${all.of} otherwise; that is no sample of what was stopped`}` : shareText('Of what was stopped, drawn at random and judged by people, the share they would have stopped', right);
  return csvText([HEAD_7, ...['Total number', 'Own-initiative'].flatMap((scope) => [
    row('Number of measures solely taken by automated means', scope, taken), row('Number of measures not taken by automated means', scope, null, 'Not told apart here: what people decide afterwards is in the review queue, and taken by the app'),
    row('Accuracy of the automated means - Accuracy', scope, null, 'Not measured: it takes the true share of violations among all that was decided'), row('Accuracy of the automated means - Precision', scope, right?.rate ?? null, precision), row('Accuracy of the automated means - Recall', scope, null, missed(findings)),
  ])]);
}

function missed({ residual_risk: risk, overrides: { sample } }: WeeklyFindings): string {
  const known = (risk ?? []).filter(({ so_far: all }) => all.rate !== null).map(({ campaign, so_far: all }) => shareText(`residual risk by campaign ${campaign}`, { judged: all.labelled, rate: all.rate!, low: all.interval!.low, high: all.interval!.high }));
  const drawn = sample.withdraw === null ? [] : [shareText('of checks of what went on, the share people would have stopped', sample.withdraw)];
  return `Not measured: of all violations nobody knows how many there were.${[...known, ...drawn].map((one) => ` Measured is ${one}.`).join('')}`;
}

function shareText(what: string, share: Pick<Rate, 'judged' | 'rate' | 'low' | 'high'> | null): string {
  const percent = (value: number): string => `${Number((100 * value).toPrecision(3))} %`;
  return share === null ? '' : `${what}: ${percent(share.rate)}, 95 % interval ${percent(share.low)} to ${percent(share.high)}, n ${share.judged}`;
}

// Notes.

function notes({ tenant_id: tenant, findings: { period }, made_at: madeAt, findings_sha256: sha256 }: WeeklyDocument): string {
  return csvText([
    ['Subject', 'Note'],
    ['This file', 'Material for a transparency report under Regulation (EU) 2022/2065, in the columns of Implementing Regulation (EU) 2024/2835'],
    ['Of what', `Tenant ${tenant}, ${period.from} to ${period.until} (UTC)${period.is_over ? '' : `, counted until ${period.counted_until}`}${period.missing === null ? '' : `, ${period.missing.hours} hours before ${period.missing.known_from} passed their retention`}. Made ${madeAt}; SHA-256 of the findings ${sha256}`],
    ['Who reports', 'Whoever provides the service reports, not this software. A template is for half a year or a year: add up the weeks. Only prompts and answers that went through this proxy are counted; what else the service moderates is not known here'],
    ['Table 6, filled in', 'Exchanges in which a prompt or an answer was blocked or replaced (removal), redacted (other) or marked (labelled), by the strongest of these; in the row of each category that a classifier found with 0.5 or more. An exchange with two categories is in both rows, and once in TOTAL. All of it was found and done by automated means. That a person was asked is no measure'],
    ['Table 7, filled in', 'Objections, how they were decided, and the median time'],
    ['Table 8, filled in', 'Measures by automated means; precision where some of what was stopped is drawn at random and judged (review.sample), with its interval and n'],
    ['Tables 1 to 3 and 9 to 11, left out', 'The provider, orders of authorities, people, recipients, and the qualitative part are not known here'],
    ['Table 4, left out', 'Notices under Article 16 come to the provider'],
    ['Table 5, left out', 'Whether content is illegal is not judged here; all measures stand under the provider’s terms (table 6)'],
    ['Columns left empty', 'Demotion, age restriction, restricted interaction, and restrictions of payment, service and accounts: no such measure is taken here'],
    ['Values left empty', 'Partial reversals; accuracy and recall; what people did outside the review queue; disputes before other bodies; suspensions; the breakdown by language and Member State'],
  ]);
}
