/**
 * Where a campaign stands, made of the counts of its tasks: what was drawn, labelled and missing, the rate of violations with
 * two intervals (`interval` for a plan that was fixed before and is read once, `peeking` for whoever looks at any time), the
 * rate corrected for the errors of those who label, and whether its claim is met or what it would take. As fast for millions of
 * labels as for a hundred. Nothing that nobody labelled is taken for safe. Pure.
 */
import type { CampaignConfig } from '../config/risk.ts';
import type { ClaimState, SequentialDecision } from '../contract/risk.ts';
import type { Answer } from '../store/annotation-checks.ts';
import type { TaskCell } from '../store/annotation-tasks.ts';
import { correctRate, type CorrectedRate, type Gold, type Share } from './calibrate.ts';
import { estimateByCategory, estimateByDomain, estimateRate, type PooledEstimate, type Population, type RateEstimate, type SampledItem } from './estimate.ts';
import type { Interval } from './intervals.ts';
import { peekingInterval, type LabelCount } from './peeking.ts';
import { claimSize, precisionSize } from './plan.ts';
import { sprtOf, sprtSizes } from './sprt.ts';

export interface Estimate {
  readonly name: string;
  readonly drawn: number;
  readonly labelled: number;
  readonly waiting: number;
  readonly missing: number;
  readonly violations: number;
  /** Null where nothing is labelled. */
  readonly rate: number | null;
  readonly interval: Interval;
  readonly peeking: Interval;
  /** One-sided, as the claim asks for. */
  readonly upper: number;
  readonly effective_size: number;
  readonly response_share: number;
  /** If all that has no label were safe, and if it were violations. */
  readonly bounds: Interval;
}

export interface ClaimStatus {
  readonly below: number;
  readonly confidence: number;
  readonly state: ClaimState;
  /** The same at any time, by the interval that is valid under peeking. */
  readonly met_under_peeking: boolean;
  /** By what nobody labelled it could fail: it is met even if all of that were violations. */
  readonly met_at_worst: boolean;
  /** Labels of equal weight that it takes in all, with the violations found so far, and with one more. */
  readonly labels_needed: number | null;
  readonly labels_needed_with_one_more: number | null;
  /** Null where texts were drawn with several probabilities: then `met_under_peeking` is what may be looked at. */
  readonly sequential: SequentialStatus | null;
}

/** Wald's test of half the rate of the claim against the rate itself, each error as rare as the claim's confidence leaves: may be looked at after every label. */
export interface SequentialStatus {
  /** The rate that it shows fast. */
  readonly good: number;
  /** `good`: the rate is below the claim's. `bad`: it is not. */
  readonly decision: SequentialDecision;
  /** Log of the likelihood of the labels at the claim's rate over that at `good`: it speaks at `-limit`, and at `limit`. */
  readonly evidence: number;
  readonly limit: number;
  /** Labels that it takes on average if the rate is `good`, and if it is that of the claim. */
  readonly labels_if_good: number;
  readonly labels_if_bad: number;
}

/** What a claim would take from here: if there are so many violations in the end, so many labels in all, and so many more. */
export interface ClaimNeeds {
  readonly state: ClaimStatus['state'];
  readonly labelled: number;
  readonly upper: number;
  /** As many violations as there are, and some more. `labels` is null where it is far from met. */
  readonly rows: readonly { readonly violations: number; readonly labels: number | null; readonly more: number | null }[];
}

/** Null where there is nothing that it could be of. */
export type ToldShare = Omit<Share, 'rate'> & { readonly rate: number | null };

export interface CampaignStatus {
  readonly campaign: string;
  /** Of all intervals: that of the claim. */
  readonly confidence: number;
  readonly total: Estimate;
  readonly strata: readonly Estimate[];
  readonly tenants: readonly Estimate[];
  readonly products: readonly Estimate[];
  readonly modalities: readonly Estimate[];
  readonly directions: readonly Estimate[];
  readonly decisions: readonly Estimate[];
  /** Violations of a category among everything. */
  readonly categories: readonly Estimate[];
  readonly corrected: Pick<CorrectedRate, 'correction' | 'interval'> & { readonly observed: number | null; readonly rate: number | null; readonly formula: number | null; readonly sensitivity: ToldShare; readonly specificity: ToldShare };
  readonly claim: ClaimStatus | null;
  /** Labels for the interval to be as narrow as asked for. */
  readonly precision: { readonly half_width: number; readonly reached: boolean; readonly labels_needed: number } | null;
}

type Item = SampledItem & { readonly cell: TaskCell };

const DIMENSIONS = { strata: 'stratum', tenants: 'tenant_id', products: 'product', modalities: 'modality', directions: 'direction', decisions: 'automated_filter_result' } as const;
/** A claim that allows more violations than this is far from met. */
const CLAIM_ERRORS_MAX = 2_000;
/** Of the rate of a claim: the rate that its sequential test is made for. */
const GOOD_SHARE = 0.5;
const NEEDS_ROWS = 8;

/** Of a campaign without its parts. */
export type CampaignSummary = Pick<CampaignStatus, 'confidence' | 'total' | 'claim' | 'precision'>;

/** `campaign`: as configured; undefined where it is not any more. `answers`: to items with known answers, of those who labelled. `population`: of strata where it is counted; of the others the sample tells it. */
export function statusOf(id: string, cells: readonly TaskCell[], answers: readonly Pick<Answer, 'known' | 'given'>[], campaign: Goal | undefined, random: () => number, population?: Population): CampaignStatus {
  const { items, pooled, tell, confidence } = pooledOf(cells, campaign, population);
  const options = { confidence, population };
  const by = (key: (typeof DIMENSIONS)[keyof typeof DIMENSIONS]): readonly Estimate[] => {
    const parts = Map.groupBy(cells, (cell) => cell[key]);
    return [...estimateByDomain(items, ({ cell }) => cell[key], options)].map(([name, rate]) => tell(name, rate, parts.get(name as never)!));
  };
  const corrected = correctRate(pooled, goldOf(answers), { random, confidence });
  return {
    campaign: id, ...summaryOf(cells, campaign, population), strata: by('stratum'), tenants: by('tenant_id'), products: by('product'), modalities: by('modality'), directions: by('direction'), decisions: by('automated_filter_result'),
    categories: [...estimateByCategory(items, options)].map(([name, one]) => tell(name, one, cells, ({ outcome, category }) => outcome === 'violation' && category === name)),
    corrected: { ...corrected, observed: corrected.observed ?? null, rate: corrected.rate ?? null, formula: corrected.formula ?? null, sensitivity: shareOf(corrected.sensitivity), specificity: shareOf(corrected.specificity) },
  };
}

export function summaryOf(cells: readonly TaskCell[], campaign: Goal | undefined, population?: Population): CampaignSummary {
  const { pooled, tell, confidence } = pooledOf(cells, campaign, population);
  const total = tell('', pooled, cells);
  return {
    confidence, total,
    claim: campaign === undefined || campaign.precision_percent !== undefined ? null : claimOf(cells, total, campaign.claim.below_percent / 100, confidence),
    precision: campaign?.precision_percent === undefined ? null : precisionOf(total, campaign.precision_percent / 100),
  };
}

type Goal = Pick<CampaignConfig, 'claim' | 'precision_percent'>;
type Tell = (name: string, rate: RateEstimate, part: readonly TaskCell[], isViolation?: (cell: TaskCell) => boolean) => Estimate;

function pooledOf(cells: readonly TaskCell[], campaign: Goal | undefined, population: Population | undefined): { readonly items: readonly Item[]; readonly pooled: PooledEstimate; readonly tell: Tell; readonly confidence: number } {
  const confidence = (campaign?.claim.confidence_percent ?? 95) / 100;
  const items = cells.map(itemOf);
  const tell: Tell = (name, rate, part, isViolation = ({ outcome }) => outcome === 'violation') => told(name, rate, part, peekingInterval(countsOf(part, isViolation), { probabilityMin: leastOf(part), confidence }), isViolation);
  return { items, pooled: estimateRate(items, { confidence, population }), tell, confidence };
}

function shareOf(share: Share): ToldShare {
  return { ...share, rate: share.rate ?? null };
}

function itemOf(cell: TaskCell): Item {
  const { stratum, inclusion_probability, outcome, category, total: count } = cell;
  return { stratum, inclusion_probability, count, cell, ...(outcome === 'safe' || outcome === 'violation' ? { label: outcome } : {}), ...(category === '' ? {} : { category }) };
}

/** Of what was drawn, labelled or not. */
function leastOf(cells: readonly TaskCell[]): number {
  return cells.reduce((least, one) => Math.min(least, one.inclusion_probability), 1);
}

/** By inclusion probability, which is all that weighs. */
function countsOf(cells: readonly TaskCell[], isViolation: (cell: TaskCell) => boolean): readonly LabelCount[] {
  return [...Map.groupBy(cells.filter(isLabelled), ({ inclusion_probability: p }) => p)].map(([inclusion_probability, part]) => ({ inclusion_probability, labelled: sum(part), violations: sum(part.filter(isViolation)) }));
}

function told(name: string, { rate, interval, upper, effectiveSize, responseShare, bounds }: RateEstimate, cells: readonly TaskCell[], peeking: Interval, isViolation: (cell: TaskCell) => boolean): Estimate {
  const of = (outcome: TaskCell['outcome']): number => sum(cells.filter((cell) => cell.outcome === outcome));
  return {
    name, drawn: sum(cells), labelled: sum(cells.filter(isLabelled)), waiting: of('waiting'), missing: of('missing'), violations: sum(cells.filter(isViolation)),
    rate: rate ?? null, interval, peeking, upper, effective_size: effectiveSize, response_share: responseShare, bounds,
  };
}

function claimOf(cells: readonly TaskCell[], total: Estimate, below: number, confidence: number): ClaimStatus {
  const { labelled, violations, peeking, bounds } = total;
  const state = claimState(total, below, confidence);
  const needed = (errors: number): number | null => labelsFor(errors, total, below, confidence);
  return {
    below, confidence, state, met_under_peeking: labelled > 0 && peeking.high < below, met_at_worst: state === 'met' && bounds.high < below,
    labels_needed: needed(violations), labels_needed_with_one_more: needed(violations + 1), sequential: sequentialOf(cells, total, below, confidence),
  };
}

function claimState({ labelled, upper, interval, effective_size: size }: Estimate, below: number, confidence: number): ClaimStatus['state'] {
  if (labelled > 0 && upper < below) return 'met';
  return interval.low > below ? 'contradicted' : size < claimSize(below, 0, confidence) ? 'too_few' : 'open';
}

/** With labels of unequal weight more of them stand for as many of equal weight. */
function labelsFor(errors: number, { labelled, effective_size: size }: Estimate, below: number, confidence: number): number | null {
  if (errors > CLAIM_ERRORS_MAX) return null;
  const n = claimSize(below, errors, confidence);
  return labelled === 0 ? n : Math.ceil((n * labelled) / Math.min(labelled, size));
}

/** `good` is fixed by the claim, and so before the first label. */
function sequentialOf(cells: readonly TaskCell[], { labelled, violations }: Estimate, below: number, confidence: number): SequentialStatus | null {
  const error = 1 - confidence;
  if (new Set(cells.map(({ inclusion_probability: p }) => p)).size !== 1 || error >= 0.5) return null;
  const plan = { good: below * GOOD_SHARE, bad: below, alpha: error, beta: error };
  const { decision, evidence } = sprtOf(plan, labelled, violations);
  const { ifGood, ifBad } = sprtSizes(plan);
  return { good: plan.good, decision, evidence, limit: -Math.log(error), labels_if_good: ifGood, labels_if_bad: ifBad };
}

/** What it would take to claim another rate, or to be surer of it. Throws RangeError for a claim beyond `PLAN_N_MAX` labels. */
export function claimNeeds(cells: readonly TaskCell[], below: number, confidence: number): ClaimNeeds {
  const { total } = summaryOf(cells, { claim: { below_percent: 100 * below, confidence_percent: 100 * confidence }, precision_percent: undefined });
  const rows = Array.from({ length: NEEDS_ROWS }, (_, more) => {
    const labels = labelsFor(total.violations + more, total, below, confidence);
    return { violations: total.violations + more, labels, more: labels === null ? null : Math.max(0, labels - total.labelled) };
  });
  return { state: claimState(total, below, confidence), labelled: total.labelled, upper: total.upper, rows };
}

function precisionOf({ rate, interval, labelled, effective_size: size }: Estimate, halfWidth: number): NonNullable<CampaignStatus['precision']> {
  const foreseen = rate === null || rate <= 0 ? 0.02 : Math.min(rate, 0.99);
  const needed = precisionSize(foreseen, halfWidth);
  return { half_width: halfWidth, reached: labelled > 0 && (interval.high - interval.low) / 2 <= halfWidth, labels_needed: labelled === 0 ? needed : Math.ceil((needed * labelled) / Math.min(labelled, size)) };
}

function goldOf(answers: readonly Pick<Answer, 'known' | 'given'>[]): Gold {
  const of = (label: Answer['known']): { readonly n: number; readonly correct: number } => {
    const part = answers.filter(({ known }) => known === label);
    return { n: part.length, correct: part.filter(({ given }) => given === label).length };
  };
  return { violation: of('violation'), safe: of('safe') };
}

function isLabelled({ outcome }: TaskCell): boolean {
  return outcome === 'safe' || outcome === 'violation';
}

function sum(cells: readonly TaskCell[]): number {
  return cells.reduce((total, cell) => total + cell.total, 0);
}
