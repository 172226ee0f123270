/**
 * What traffic lets a campaign show, and when: a probability for each stratum that makes so many labels a week, how many
 * labels a claim takes at the rate that may really be there, weighted as the strata are drawn, and so the days until it can
 * come out. A foresight from traffic that was: the claim itself is judged by what is labelled. Pure.
 *
 * Sources: sizes and their chances as in plan; the loss by unequal weights by Kish, "Survey sampling" (1965), 11.2.
 */
import type { PlannedCampaign, PlannedStratum } from '../config/risk.ts';
import { CONFIDENCE } from './intervals.ts';
import { allocate, claimSize, type StratumShare } from './plan.ts';
import { binomialCdf, need } from './special.ts';

/** Texts of a campaign in recent traffic. */
export interface Population {
  /** Exchanges that were read, and since when. */
  readonly exchanges: number;
  readonly since: string | null;
  /** Not all of the week was read. */
  readonly is_part: boolean;
  readonly strata: readonly StratumTraffic[];
  /** Texts of the campaign a week that are in no stratum. */
  readonly uncovered_per_week: number;
}

export interface StratumTraffic {
  readonly stratum: string;
  /** Texts, foreseen. */
  readonly per_week: number;
}

export interface DrawnStratum extends StratumTraffic {
  /** With which each of them is drawn. Above 0, at most 1. */
  readonly probability: number;
}

export interface ProposedStratum extends DrawnStratum {
  readonly labels_per_week: number;
}

/** If that is the rate: labels with which the claim comes out in four of five cases, and the days that it takes to draw them; null: so many that nobody will. */
export interface Outlook {
  readonly rate: number;
  readonly labels: number | null;
  readonly days: number | null;
}

export interface Foresight {
  readonly strata: readonly ProposedStratum[];
  readonly labels_per_week: number;
  /** Labels that count as one of equal weight; 1 where all are drawn alike. */
  readonly design_effect: number;
  /** Days until the claim could hold at all, with no violation. */
  readonly days_at_least: number | null;
  readonly outlook: readonly Outlook[];
}

export interface ForeseenClaim {
  readonly below: number;
  readonly confidence?: number;
}

/** What is proposed where nothing is known of the traffic but its scores: what looks doubtful, what nobody could judge, and the rest. */
const PROPOSED: readonly PlannedStratum[] = [{ id: 'doubtful', score_from: 0.3 }, { id: 'unscored', unknown: true }, { id: 'rest' }];

export function plannedCampaign(id: string, tenants?: readonly string[]): PlannedCampaign {
  return { id, directions: ['output'], strata: PROPOSED, ...(tenants === undefined ? {} : { tenants }) };
}

/** As a configuration has it, ready to be pasted. */
export function campaignYaml({ id, tenants, strata }: PlannedCampaign, foresight: Foresight, { below, confidence = CONFIDENCE }: ForeseenClaim): string {
  const conditions = ({ score_from: from, unknown }: PlannedStratum): string => `${from === undefined ? '' : ` score_from: ${from},`}${unknown === undefined ? '' : ` unknown: ${unknown},`}`;
  const lines = foresight.strata.map(({ stratum, probability }) => `        - { id: ${stratum},${conditions(strata.find((one) => one.id === stratum)!)} probability_percent: ${percentOf(probability)} }`);
  return ['risk:', '  campaigns:', `    - id: ${id}`, ...(tenants === undefined ? [] : [`      tenants: [${tenants.join(', ')}]`]), '      strata:', ...lines, `      claim: { below_percent: ${percentOf(below)}, confidence_percent: ${percentOf(confidence)} }`, ''].join('\n');
}

/** No more digits than are meant, and as YAML reads a number. */
function percentOf(share: number): string {
  return Number((share * 100).toPrecision(6)).toLocaleString('en-US', { useGrouping: false, maximumFractionDigits: 9 });
}

/** Rates at which the days are told, as shares of the threshold. */
export const OUTLOOK_AT: readonly number[] = [0.25, 0.5, 0.75];
/** Chance with which the labels of an outlook bear the claim out. */
const CHANCE = 0.8;
/** Violations allowed by a plan that is looked for; near the threshold it takes more than anybody labels. */
const ERRORS_MAX = 2_000;
/** Of the labels the least share that a stratum gets, so that something is said of each. */
const LEAST_SHARE = 0.1;
const DIGITS = 3;

/** Each stratum in proportion to its traffic, the small ones with a tenth of the labels at least; what has no traffic yet is drawn as the whole is. */
export function proposalOf(traffic: readonly StratumTraffic[], labelsPerWeek: number, claim: ForeseenClaim): Foresight {
  need(Number.isInteger(labelsPerWeek) && labelsPerWeek >= 1, `labels a week are a whole number from 1, not ${labelsPerWeek}`);
  const share = labelsPerWeek / Math.max(labelsPerWeek, sum(traffic.map(({ per_week }) => per_week)));
  const shares = allocate({ strata: traffic.map(({ stratum, per_week }) => ({ stratum, population: per_week })), n: labelsPerWeek, method: 'proportional', stratumMin: Math.ceil(labelsPerWeek * LEAST_SHARE) });
  // A stratum of less than one text a week is drawn whole.
  const probabilityOf = (texts: number, { n, inclusion_probability: probability }: StratumShare): number => (texts === 0 ? share : n === 0 ? 1 : probability);
  return foresightOf(traffic.map((one, at) => ({ ...one, probability: Math.min(1, Number(probabilityOf(one.per_week, shares[at]!).toPrecision(DIGITS))) })), claim);
}

/** What strata that are drawn so will show. */
export function foresightOf(drawn: readonly DrawnStratum[], { below, confidence = CONFIDENCE }: ForeseenClaim): Foresight {
  const strata = drawn.map((one): ProposedStratum => ({ ...one, labels_per_week: one.per_week * one.probability }));
  const perWeek = sum(strata.map(({ labels_per_week: labels }) => labels));
  const effect = designEffect(strata);
  const daysOf = (labels: number | undefined): number | null => (labels === undefined || perWeek === 0 ? null : Math.ceil(((labels * effect) / perWeek) * 7));
  return {
    strata, labels_per_week: perWeek, design_effect: effect, days_at_least: daysOf(claimSize(below, 0, confidence)),
    outlook: OUTLOOK_AT.map((share) => {
      const labels = likelySize(below, share * below, confidence);
      return { rate: share * below, labels: labels === undefined ? null : Math.ceil(labels * effect), days: daysOf(labels) };
    }),
  };
}

/** The least labels of equal weight with which the claim comes out in four of five cases, if `rate` is there; undefined beyond what is looked at. */
export function likelySize(below: number, rate: number, confidence = CONFIDENCE): number | undefined {
  need(rate > 0 && rate < below, `a rate that lets the claim come out lies between 0 and ${below}, not ${rate}`);
  const isLikely = (errors: number): boolean => binomialCdf(errors, claimSize(below, errors, confidence), rate) >= CHANCE;
  let high = 1;
  if (isLikely(0)) return claimSize(below, 0, confidence);
  while (!isLikely(high)) {
    if (high >= ERRORS_MAX) return undefined;
    high = Math.min(high * 2, ERRORS_MAX);
  }
  let low = Math.floor(high / 2);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (isLikely(middle)) high = middle;
    else low = middle;
  }
  return claimSize(below, high, confidence);
}

/** By Kish: labels times the sum of the squares of their weights, over the square of their sum. */
function designEffect(strata: readonly ProposedStratum[]): number {
  const labelled = strata.filter(({ labels_per_week: labels }) => labels > 0);
  const population = sum(labelled.map(({ per_week }) => per_week));
  if (population === 0) return 1;
  const squares = sum(labelled.map(({ per_week, probability }) => per_week / probability));
  return (sum(labelled.map(({ labels_per_week: labels }) => labels)) * squares) / population ** 2;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
