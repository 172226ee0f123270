/**
 * An interval of a rate that may be looked at after every label, and acted on at any time: the chance that it ever misses the
 * rate is at most what the confidence leaves (a confidence sequence). For weighted labels too. Guarantees that by proof, not by
 * approximation, for labels that come in the order of their draw from traffic whose rate stays; a rate that changes is for
 * `trend.ts`. What is kept is counts, so that a dashboard needs no history. Pure.
 *
 * Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (JRSS B, 2024), sections 4 and 5,
 * with a fixed mixture of constant bets; Ville (1939). README.md has the argument.
 */
import { CONFIDENCE, type Interval } from './intervals.ts';
import { need, quantileOf } from './special.ts';

/** Labels that were drawn with one probability. */
export interface LabelCount {
  readonly inclusion_probability: number;
  readonly labelled: number;
  readonly violations: number;
}

export interface PeekingOptions {
  /** The least inclusion probability of the campaign, fixed before its first label. 1 where all are drawn alike. */
  readonly probabilityMin: number;
  readonly confidence?: number;
}

/** Both limits together miss the rate, ever, with at most the chance that the confidence leaves; either alone with half of it. */
export function peekingInterval(counts: readonly LabelCount[], { probabilityMin, confidence = CONFIDENCE }: PeekingOptions): Interval {
  need(confidence > 0 && confidence < 1, `confidence lies between 0 and 1, not ${confidence}`);
  const bets = betsOf(counts, probabilityMin);
  const limit = Math.log(2 / (1 - confidence));
  // Wealth against a rate falls as the rate rises for bets on more violations, and rises for bets on fewer.
  const low = quantileOf((rate) => (wealthOfMore(bets, rate) < limit ? 1 : 0), 0.5);
  const high = 1 - quantileOf((safety) => (wealthOfFewer(bets, 1 - safety) < limit ? 1 : 0), 0.5);
  // Rounding only ever widens.
  return { low: low < 1e-15 ? 0 : low, high: Math.max(low, high) };
}

/** What the labels say against `rate`, as the logs of what two gamblers have made of 1: one bets on more, one on fewer. */
export function evidenceAgainst(rate: number, counts: readonly LabelCount[], { probabilityMin }: PeekingOptions): { readonly more: number; readonly fewer: number } {
  need(rate > 0 && rate < 1, `evidence is taken against a rate between 0 and 1, not ${rate}`);
  const bets = betsOf(counts, probabilityMin);
  return { more: wealthOfMore(bets, rate), fewer: wealthOfFewer(bets, rate) };
}

/** Labels of one weight; the weight as a share of the largest there may be. */
interface Bet {
  readonly weight: number;
  readonly violations: number;
  readonly safe: number;
}

/** Shares of the wealth that are put on each label, fixed before the first; the wealth begins in equal parts on each. */
const BETS_ON_MORE: readonly number[] = Array.from({ length: 28 }, (_, i) => 0.5 * 0.72 ** i);
const BETS_ON_FEWER: readonly number[] = Array.from({ length: 24 }, (_, i) => 0.99 * (1 - i / 24));

function betsOf(counts: readonly LabelCount[], probabilityMin: number): readonly Bet[] {
  need(probabilityMin > 0 && probabilityMin <= 1, `the least inclusion probability lies between 0 and 1, not ${probabilityMin}`);
  return counts.map(({ inclusion_probability: p, labelled, violations }) => {
    need(p >= probabilityMin && p <= 1, `labels drawn with probability ${p} were not foreseen; the campaign said at least ${probabilityMin}`);
    need(violations >= 0 && violations <= labelled && Number.isFinite(labelled), `${labelled} labels cannot hold ${violations} violations`);
    return { weight: probabilityMin / p, violations, safe: labelled - violations };
  });
}

function wealthOfMore(bets: readonly Bet[], rate: number): number {
  return mixed(BETS_ON_MORE, (share) => sum(bets, ({ weight, violations, safe }) => times(violations, Math.log1p(share * weight * (1 / rate - 1))) + times(safe, Math.log1p(-share * weight))));
}

function wealthOfFewer(bets: readonly Bet[], rate: number): number {
  return mixed(BETS_ON_FEWER, (share) => sum(bets, ({ weight, violations, safe }) => times(safe, Math.log1p((share * weight * rate) / (1 - rate))) + times(violations, Math.log1p(-share * weight))));
}

/** Log of the mean over the bets, without overflow. */
function mixed(shares: readonly number[], logOf: (share: number) => number): number {
  const logs = shares.map(logOf);
  const most = Math.max(...logs);
  return Number.isFinite(most) ? most + Math.log(logs.reduce((total, log) => total + Math.exp(log - most), 0) / logs.length) : most;
}

/** None of something infinite is nothing. */
function times(count: number, log: number): number {
  return count === 0 ? 0 : count * log;
}

function sum(bets: readonly Bet[], of: (bet: Bet) => number): number {
  return bets.reduce((total, bet) => total + of(bet), 0);
}
