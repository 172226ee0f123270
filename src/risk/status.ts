/**
 * Where a campaign stands, made of the counts of its tasks: what was drawn, labelled and missing, the rate of violations with
 * two intervals (`interval` for a plan that was fixed before and is read once, `peeking` for whoever looks at any time), the
 * rate corrected for the errors of those who label, and whether its claim is met or what it would take. As fast for millions of
 * labels as for a hundred. Nothing that nobody labelled is taken for safe. Pure.
 */
import type { CampaignConfig } from '../config/risk.ts';
import type { Answer } from '../store/annotation-checks.ts';
import type { TaskCell } from '../store/annotation-tasks.ts';
import { correctRate, type CorrectedRate, type Gold, type Share } from './calibrate.ts';
import { estimateByCategory, estimateByDomain, estimateRate, type Population, type RateEstimate, type SampledItem } from './estimate.ts';
import type { Interval } from './intervals.ts';
import { peekingInterval, type LabelCount } from './peeking.ts';
import { claimSize, precisionSize } from './plan.ts';

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

/** `too_few`: no number of violations among so few labels could show it. `open`: it is neither shown nor contradicted. `contradicted`: the rate is above, surely. */
export const CLAIM_STATES = ['met', 'open', 'contradicted', 'too_few'] as const;

export interface ClaimStatus {
  readonly below: number;
  readonly confidence: number;
  readonly state: (typeof CLAIM_STATES)[number];
  /** The same at any time, by the interval that is valid under peeking. */
  readonly met_under_peeking: boolean;
  /** By what nobody labelled it could fail: it is met even if all of that were violations. */
  readonly met_at_worst: boolean;
  /** Labels of equal weight that it takes in all, with the violations found so far, and with one more. */
  readonly labels_needed: number | null;
  readonly labels_needed_with_one_more: number | null;
}

/** Null where there is nothing that it could be of. */
export type ToldShare = Omit<Share, 'rate'> & { readonly rate: number | null };

export interface CampaignStatus {
  readonly campaign: string;
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

/** `campaign`: as configured; undefined where it is not any more. `answers`: to items with known answers, of those who labelled. `population`: of strata where it is counted; of the others the sample tells it. */
export function statusOf(id: string, cells: readonly TaskCell[], answers: readonly Pick<Answer, 'known' | 'given'>[], campaign: Pick<CampaignConfig, 'claim' | 'precision_percent'> | undefined, random: () => number, population?: Population): CampaignStatus {
  const confidence = (campaign?.claim.confidence_percent ?? 95) / 100;
  const items = cells.map(itemOf);
  const probabilityMin = cells.reduce((least, one) => Math.min(least, one.inclusion_probability), 1);
  const tell = (name: string, rate: RateEstimate, part: readonly TaskCell[], isViolation = (cell: TaskCell): boolean => cell.outcome === 'violation'): Estimate => told(name, rate, part, peekingInterval(countsOf(part, isViolation), { probabilityMin }), isViolation);
  const options = { confidence, population };
  const pooled = estimateRate(items, options);
  const by = (key: (typeof DIMENSIONS)[keyof typeof DIMENSIONS]): readonly Estimate[] => {
    const parts = Map.groupBy(cells, (cell) => cell[key]);
    return [...estimateByDomain(items, ({ cell }) => cell[key], options)].map(([name, rate]) => tell(name, rate, parts.get(name as never)!));
  };
  const total = tell('', pooled, cells);
  const corrected = correctRate(pooled, goldOf(answers), { random });
  return {
    campaign: id, total, strata: by('stratum'), tenants: by('tenant_id'), products: by('product'), modalities: by('modality'), directions: by('direction'), decisions: by('automated_filter_result'),
    categories: [...estimateByCategory(items, options)].map(([name, one]) => tell(name, one, cells, ({ outcome, category }) => outcome === 'violation' && category === name)),
    corrected: { ...corrected, observed: corrected.observed ?? null, rate: corrected.rate ?? null, formula: corrected.formula ?? null, sensitivity: shareOf(corrected.sensitivity), specificity: shareOf(corrected.specificity) },
    claim: campaign === undefined || campaign.precision_percent !== undefined ? null : claimOf(total, campaign.claim.below_percent / 100, confidence),
    precision: campaign?.precision_percent === undefined ? null : precisionOf(total, campaign.precision_percent / 100),
  };
}

function shareOf(share: Share): ToldShare {
  return { ...share, rate: share.rate ?? null };
}

function itemOf(cell: TaskCell): Item {
  const { stratum, inclusion_probability, outcome, category, total: count } = cell;
  return { stratum, inclusion_probability, count, cell, ...(outcome === 'safe' || outcome === 'violation' ? { label: outcome } : {}), ...(category === '' ? {} : { category }) };
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

function claimOf({ labelled, violations, upper, interval, peeking, bounds, effective_size: size }: Estimate, below: number, confidence: number): ClaimStatus {
  const needed = (errors: number): number | undefined => (errors > CLAIM_ERRORS_MAX ? undefined : claimSize(below, errors, confidence));
  // With labels of unequal weight more of them stand for as many of equal weight.
  const inflated = (n: number | undefined): number | null => (n === undefined ? null : labelled === 0 ? n : Math.ceil((n * labelled) / Math.min(labelled, size)));
  const isMet = labelled > 0 && upper < below;
  const state = isMet ? 'met' : interval.low > below ? 'contradicted' : size < needed(0)! ? 'too_few' : 'open';
  return { below, confidence, state, met_under_peeking: labelled > 0 && peeking.high < below, met_at_worst: isMet && bounds.high < below, labels_needed: inflated(needed(violations)), labels_needed_with_one_more: inflated(needed(violations + 1)) };
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
