/**
 * What a report of a residual-risk campaign finds, from the sums of its drawn texts and what the audit logs say of its plan
 * and its population. Guarantees: every rate stands with the number that it is of, an interval and the dates; the same sums
 * give the same findings, to the digit; people are told by pseudonyms; nothing of any text is in it. The statistics are those
 * of src/risk, which says what they mean. Pure.
 */
import type { CampaignConfig } from '../../config/risk.ts';
import type { AnnotatorState } from '../../contract/risk.ts';
import { agreementOf, cohensKappa, type Agreement } from '../../review/agreement.ts';
import { pseudonymOf } from '../../review/pseudonym.ts';
import { estimateByDomain, estimateRate, type RateEstimate, type SampledItem } from '../../risk/estimate.ts';
import { midP, type Interval } from '../../risk/intervals.ts';
import { steady } from '../../risk/overview.ts';
import { claimPlans, type ClaimPlan } from '../../risk/plan.ts';
import { statusOf, type CampaignStatus } from '../../risk/status.ts';
import { changeBetween, periodOf, spikesOf } from '../../risk/trend.ts';
import type { TaskCell, TaskOutcome } from '../../store/annotation-tasks.ts';
import type { Correction, LogCount, ReportPeriod } from '../../store/risk-reports.ts';
import { planChanges, recordFaults, type DesignRow, type Deviation, type PlacedPlan } from './deviations.ts';
import type { AnnotatorSums, Sums } from './tally.ts';

/** All that is known besides the tasks. */
export interface ReportFacts {
  readonly campaign: string;
  readonly period: ReportPeriod;
  readonly asOf: string;
  /** As configured now; absent: it is not any more. */
  readonly configured?: Pick<CampaignConfig, 'claim' | 'precision_percent'> | undefined;
  /** Oldest first. */
  readonly plans: readonly PlacedPlan[];
  /** As counted in the logs, after the tasks were read. */
  readonly population: LogCount['counts'];
  /** How many the logs had as drawn before: tasks came meanwhile. */
  readonly drawnBefore: number;
  readonly states: readonly { readonly annotator_id: string; readonly state: AnnotatorState }[];
  readonly corrections: readonly Correction[];
  readonly taxonomy: { readonly version: number; readonly language: string; readonly sha256: string };
  /** Of the installation: makes pseudonyms. */
  readonly key: Buffer;
}

export interface Rate {
  readonly name: string;
  readonly drawn: number;
  readonly labelled: number;
  readonly violations: number;
  readonly rate: number | null;
  readonly interval: Interval;
}

export interface AnnotatorFinding {
  readonly annotator: string;
  readonly state: AnnotatorState;
  readonly labels: number;
  readonly violations: number;
  readonly flagged: number;
  /** With known answers; null where there were none. */
  readonly known: Share;
  readonly sensitivity: Share;
  readonly specificity: Share;
}

export interface Share {
  readonly n: number;
  readonly rate: number | null;
  readonly interval: Interval;
}

export interface ReportFindings {
  readonly campaign: string;
  readonly period: ReportPeriod & { readonly first: string | null; readonly last: string | null };
  readonly question: {
    readonly claim: { readonly below: number; readonly confidence: number } | null;
    /** Half the width that the interval was to have. */
    readonly half_width: number | null;
    /** Of the intervals of rates; others are of 0.95. */
    readonly confidence: number;
    /** Since when a log declares it; null: none does. */
    readonly declared_at: string | null;
    readonly first_label_at: string | null;
    readonly is_configured: boolean;
    readonly plans: readonly ClaimPlan[];
  };
  readonly plans: readonly { readonly in_force_at: string; readonly logs: readonly string[]; readonly sha256: string; readonly seed_commitment: string; readonly definition: object | null; readonly tenants: readonly object[] | null }[];
  readonly deviations: readonly Deviation[];
  readonly population: { readonly counted: number; readonly uncounted_drawn: number };
  readonly design: readonly DesignRow[];
  readonly sample: { readonly drawn: number; readonly labelled: number; readonly waiting: number; readonly missing: Sums['missing']; readonly flagged: number; readonly sha256: string };
  readonly estimates: Omit<CampaignStatus, 'campaign'>;
  readonly agreement: (Omit<Agreement, 'alpha' | 'interval'> & { readonly alpha: number | null; readonly interval: Interval | null; readonly pairs: readonly { readonly annotators: readonly string[]; readonly items: number; readonly kappa: number }[] }) | null;
  readonly annotators: readonly AnnotatorFinding[];
  readonly trend: {
    readonly unit: TrendUnit;
    readonly periods: readonly (Rate & { readonly until: string })[];
    /** Of the last against the first that have labels. */
    readonly change: { readonly ratio: number | null; readonly low: number; readonly high: number | null; readonly p: number; readonly is_change: boolean } | null;
    /** The last against those before it. */
    readonly spike: { readonly p: number; readonly baseline: number; readonly baseline_periods: number; readonly is_spike: boolean } | null;
  };
  /** By the score that came nearest to a decision: its tenth, and whose it was. */
  readonly nearest: { readonly tenths: readonly Rate[]; readonly classifiers: readonly Rate[] };
  readonly corrections: readonly Omit<Correction, 'campaign' | 'correction_id'>[];
  readonly taxonomy: ReportFacts['taxonomy'];
}

export const TREND_UNITS = ['day', 'week', 'month'] as const;
export type TrendUnit = (typeof TREND_UNITS)[number];

/** Rows of one table; what is beyond is told together. */
export const TABLE_ROWS_MAX = 200;
/** What the rest of a table is called; no name in records has blanks. */
export const REST = '(all others)';
const PAIRS_MAX = 100;
const PLAN_ERRORS_MAX = 7;
const DAY_MS = 86_400_000;
const DAYS_MAX = 35;
const WEEKS_MAX = 60;
/** The newest. */
const TREND_PERIODS_MAX = 240;

export function findingsOf(facts: ReportFacts, sums: Sums): ReportFindings {
  const { campaign, period, plans, corrections, taxonomy, key } = facts;
  const asked = askedOf(facts);
  const design = designOf(facts.population, sums.cells);
  const population = new Map(Map.groupBy(design, ({ stratum }) => stratum).entries().flatMap(([stratum, rows]) => (rows.every((row) => row.population !== null) ? [[stratum, rows.reduce((sum, row) => sum + row.population!, 0)] as const] : [])));
  const answers = sums.annotators.flatMap((one) => one.answers);
  const { campaign: _, ...estimates } = statusOf(campaign, cutCells(sums.cells), answers, asked, steady(), population);
  const { uncovered } = estimateRate(sums.cells.map(itemOf), { population });
  const declared = plans.filter(({ declared: { sha256 } }) => sha256 !== '');
  const [counted, uncounted] = [facts.population.filter(({ definition }) => definition !== ''), facts.population.filter(({ definition }) => definition === '')].map((part) => part.reduce((sum, { drawn }) => sum + drawn, 0)) as [number, number];
  const nameOf = (annotator: string): string => pseudonymOf(key, `campaign ${campaign}`, annotator);
  const { labelled, waiting, drawn } = estimates.total;
  const declaredAt = declared[0]?.declared.in_force_at ?? null;
  return {
    campaign, period: { ...period, first: sums.first, last: sums.last },
    question: {
      claim: estimates.claim && { below: estimates.claim.below, confidence: estimates.claim.confidence }, half_width: estimates.precision?.half_width ?? null, confidence: (asked?.claim.confidence_percent ?? 95) / 100,
      declared_at: declaredAt, first_label_at: sums.firstLabelAt, is_configured: facts.configured !== undefined,
      plans: estimates.claim === null ? [] : claimPlans(estimates.claim.below, PLAN_ERRORS_MAX, estimates.claim.confidence),
    },
    plans: plansOf(declared),
    deviations: [...planChanges(plans), ...recordFaults({ planAt: declaredAt, firstLabelAt: sums.firstLabelAt, design, counted: [facts.drawnBefore, counted + uncounted], tasks: drawn, uncounted, uncovered: labelled === 0 ? 0 : noCrumb(uncovered) })],
    population: { counted: facts.population.reduce((sum, { total }) => sum + total, 0), uncounted_drawn: uncounted }, design,
    sample: { drawn, labelled, waiting, missing: sums.missing, flagged: sums.annotators.reduce((sum, one) => sum + one.flagged, 0), sha256: sums.sha256 },
    estimates, agreement: agreementIn(sums.ratings, nameOf), annotators: sums.annotators.map((one) => annotatorOf(one, facts, nameOf)).sort((a, b) => (a.annotator < b.annotator ? -1 : 1)),
    trend: trendOf(sums), nearest: nearestOf(sums.nearest),
    corrections: corrections.map(({ made_at, author, reason }) => ({ made_at, author, reason })), taxonomy,
  };
}

/** What was fixed first counts, and not what is configured by now. */
function askedOf({ plans, configured }: ReportFacts): ReportFacts['configured'] {
  const first = plans.find(({ declared: { definition } }) => definition !== undefined)?.declared.definition as Partial<CampaignConfig> | undefined;
  return first?.claim === undefined ? configured : { claim: first.claim, precision_percent: first.precision_percent };
}

/** Each plan once, with the logs that declare it and since when the first does. */
function plansOf(plans: readonly PlacedPlan[]): ReportFindings['plans'] {
  return [...Map.groupBy(plans, ({ declared: { sha256, seed_commitment: seed } }) => `${sha256} ${seed}`).values()].map((same) => {
    const { in_force_at, sha256, seed_commitment, definition = null, tenants = null } = same[0]!.declared;
    return { in_force_at, logs: [...new Set(same.map(({ log }) => log))].sort(), sha256, seed_commitment, definition, tenants };
  });
}

/** Of strata, each with its probabilities: more than one where the plan changed. */
function designOf(population: ReportFacts['population'], cells: readonly TaskCell[]): readonly DesignRow[] {
  const keyOf = (stratum: string, probability: number): string => JSON.stringify([stratum, probability]);
  const drawn = new Map<string, number>();
  for (const { stratum, inclusion_probability: p, total } of cells) drawn.set(keyOf(stratum, p), (drawn.get(keyOf(stratum, p)) ?? 0) + total);
  const counts = Map.groupBy(population, ({ stratum, probability }) => keyOf(stratum, probability));
  return [...new Set([...drawn.keys(), ...counts.keys()])].sort().map((key) => {
    const [stratum, probability] = JSON.parse(key) as [string, number];
    const rows = counts.get(key) ?? [];
    const known = rows.reduce((sum, row) => ({ total: sum.total + row.total, drawn: sum.drawn + row.drawn, isWhole: sum.isWhole && row.definition !== '' }), { total: 0, drawn: 0, isWhole: rows.length > 0 });
    const own = drawn.get(key) ?? 0;
    if (!known.isWhole || known.drawn < own) return { stratum, probability, population: null, drawn: own, expected: null, deviation: null };
    return { stratum, probability, population: known.total, drawn: own, expected: known.total * probability, deviation: Math.sqrt(known.total * probability * (1 - probability)) };
  });
}

/** The longest lists are cut: the rows with the most in them stay, and the rest is one. */
function cutCells(cells: readonly TaskCell[]): readonly TaskCell[] {
  const keep = (['tenant_id', 'product', 'category'] as const).map((name) => {
    const totals = new Map<string, number>();
    for (const cell of cells) totals.set(cell[name], (totals.get(cell[name]) ?? 0) + cell.total);
    const most = [...totals].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, TABLE_ROWS_MAX).map(([value]) => value);
    return totals.size > TABLE_ROWS_MAX ? { name, most: new Set(['', ...most]) } : undefined;
  }).filter((one) => one !== undefined);
  return keep.length === 0 ? cells : cells.map((cell) => ({ ...cell, ...Object.fromEntries(keep.flatMap(({ name, most }) => (most.has(cell[name]) ? [] : [[name, REST]]))) }));
}

// Agreement and people.

function agreementIn(ratings: Sums['ratings'], nameOf: (annotator: string) => string): ReportFindings['agreement'] {
  const found = agreementOf(ratings, steady());
  if (found === undefined) return null;
  const pairs = new Map<string, { item: string; rater: string; label: string }[]>();
  for (const labels of Map.groupBy(ratings, ({ item }) => item).values()) {
    for (const [at, first] of labels.entries()) {
      for (const second of labels.slice(at + 1)) {
        const key = JSON.stringify([first.rater, second.rater].sort());
        const known = pairs.get(key);
        if (known === undefined) pairs.set(key, [first, second]);
        else known.push(first, second);
      }
    }
  }
  const kappas = [...pairs].flatMap(([key, own]) => {
    const [first, second] = JSON.parse(key) as [string, string];
    const kappa = cohensKappa(own, first, second);
    return kappa === undefined ? [] : [{ annotators: [nameOf(first), nameOf(second)].sort(), ...kappa }];
  });
  return { ...found, alpha: found.alpha ?? null, interval: found.interval ?? null, pairs: kappas.sort((a, b) => b.items - a.items || (a.annotators.join() < b.annotators.join() ? -1 : 1)).slice(0, PAIRS_MAX) };
}

function annotatorOf({ annotator, labels, violations, flagged, answers }: AnnotatorSums, { states }: ReportFacts, nameOf: (annotator: string) => string): AnnotatorFinding {
  const shareOf = (part: AnnotatorSums['answers']): Share => shareIn(part.filter(({ known, given }) => known === given).length, part.length);
  return {
    annotator: nameOf(annotator), state: states.find(({ annotator_id: id }) => id === annotator)?.state ?? 'active', labels, violations, flagged,
    known: shareOf(answers), sensitivity: shareOf(answers.filter(({ known }) => known === 'violation')), specificity: shareOf(answers.filter(({ known }) => known === 'safe')),
  };
}

function shareIn(events: number, n: number): Share {
  return n === 0 ? { n, rate: null, interval: { low: 0, high: 1 } } : { n, rate: events / n, interval: midP(events, n) };
}

// Over time, and by the nearest score.

type Cell = SampledItem & { readonly outcome: TaskOutcome; readonly count: number };

function itemOf({ stratum, inclusion_probability, outcome, total: count }: { readonly stratum: string; readonly inclusion_probability: number; readonly outcome: TaskOutcome; readonly total: number }): Cell {
  return { stratum, inclusion_probability, outcome, count, ...(outcome === 'safe' || outcome === 'violation' ? { label: outcome } : {}) };
}

function rateOf(name: string, { sampled, labelled, violations, rate, interval }: RateEstimate): Rate {
  return { name, drawn: sampled, labelled, violations, rate: rate ?? null, interval };
}

function trendOf({ days }: Sums): ReportFindings['trend'] {
  const [firstDay, lastDay] = [days[0]?.day, days.at(-1)?.day]; // they are in order
  if (firstDay === undefined || lastDay === undefined) return { unit: 'day', periods: [], change: null, spike: null };
  const length = (Date.parse(lastDay) - Date.parse(firstDay)) / DAY_MS + 1;
  const unit: TrendUnit = length <= DAYS_MAX ? 'day' : length <= 7 * WEEKS_MAX ? 'week' : 'month';
  const parts = Map.groupBy(days, ({ day }) => beginOf(day, unit));
  const starts: string[] = [];
  for (let start = beginOf(firstDay, unit); start <= lastDay; start = endOf(start, unit)) starts.push(start);
  const estimates = starts.slice(-TREND_PERIODS_MAX).map((start) => ({ start, estimate: estimateRate((parts.get(start) ?? []).map(itemOf)) }));
  const series = estimates.map(({ start, estimate }) => periodOf(start, estimate));
  const labelled = series.filter(({ n }) => n > 0);
  const change = labelled.length < 2 ? undefined : changeBetween(labelled[0]!, labelled.at(-1)!);
  const [spike] = spikesOf([{ name: '', periods: series }]);
  return {
    unit, periods: estimates.map(({ start, estimate }) => ({ ...rateOf(start, estimate), until: endOf(start, unit) })),
    change: change === undefined ? null : { ratio: change.ratio ?? null, low: change.ratioInterval.low, high: Number.isFinite(change.ratioInterval.high) ? change.ratioInterval.high : null, p: change.p, is_change: change.isChange },
    spike: spike?.p === undefined ? null : { p: spike.p, baseline: spike.baseline!, baseline_periods: spike.baselinePeriods, is_spike: spike.isSpike },
  };
}

/** Weeks begin on Mondays. */
function beginOf(day: string, unit: TrendUnit): string {
  if (unit === 'month') return `${day.slice(0, 7)}-01`;
  return unit === 'day' ? day : dayAfter(day, -((new Date(day).getUTCDay() + 6) % 7));
}

function endOf(start: string, unit: TrendUnit): string {
  if (unit === 'month') return beginOf(dayAfter(start, 31), 'month');
  return dayAfter(start, unit === 'day' ? 1 : 7);
}

export function dayAfter(day: string, days: number): string {
  return new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
}

function nearestOf(cells: Sums['nearest']): ReportFindings['nearest'] {
  const items = cells.map((cell) => ({ ...itemOf(cell), classifier: cell.classifier ?? 'no score', tenth: cell.tenth === null ? 'no score' : `${cell.tenth / 10} to ${(cell.tenth + 1) / 10}` }));
  const by = (name: 'classifier' | 'tenth'): readonly Rate[] => [...estimateByDomain(items, (item) => item[name])].map(([value, rate]) => rateOf(value, rate));
  return { tenths: by('tenth'), classifiers: by('classifier').toSorted((a, b) => b.violations - a.violations || b.labelled - a.labelled || (a.name < b.name ? -1 : 1)).slice(0, TABLE_ROWS_MAX) };
}

/** Sums of shares miss 0 by their rounding. */
function noCrumb(share: number): number {
  return share < 1e-9 ? 0 : share;
}
