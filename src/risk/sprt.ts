/**
 * Wald's sequential test of a rate: labels are taken one by one until they say that the rate is as low as `good`, or as high as
 * `bad`. Each error is at most as likely as the plan says, however often one looks, because the limits are 1/alpha and beta
 * (Ville's inequality), a little wider than Wald's own. For labels drawn with one probability, in the order of their draw; for
 * weighted ones there is `peeking.ts`. Pure.
 *
 * Source: Wald, "Sequential tests of statistical hypotheses" (1945), 3.4 and 4.2 for the expected sizes.
 */
import type { SequentialDecision } from '../contract/risk.ts';
import { need, normalQuantile } from './special.ts';

export interface SprtPlan {
  /** The rate that is to be shown, below `bad`. */
  readonly good: number;
  /** The rate that must not be taken for good: the threshold of a claim. */
  readonly bad: number;
  /** Chance of deciding `bad` where the rate is `good`. */
  readonly alpha: number;
  /** Chance of deciding `good` where the rate is `bad`: 0.05 for a claim at 95 %. */
  readonly beta: number;
}


export interface SprtState {
  readonly n: number;
  readonly violations: number;
  /** Log of the likelihood of the labels at `bad` over that at `good`. */
  readonly evidence: number;
  /** Once it is not open it stays. */
  readonly decision: SequentialDecision;
}

export const SPRT_START: SprtState = { n: 0, violations: 0, evidence: 0, decision: 'open' };

/** After one more label. A test that has decided takes no more: the state comes back as it was. */
export function advanceSprt(plan: SprtPlan, state: SprtState, isViolation: boolean): SprtState {
  check(plan);
  if (state.decision !== 'open') return state;
  const { good, bad } = plan;
  const evidence = state.evidence + (isViolation ? Math.log(bad / good) : Math.log((1 - bad) / (1 - good)));
  return { n: state.n + 1, violations: state.violations + (isViolation ? 1 : 0), evidence, decision: decisionOf(plan, evidence) };
}

function decisionOf({ alpha, beta }: SprtPlan, evidence: number): SequentialDecision {
  return evidence >= -Math.log(alpha) ? 'bad' : evidence <= Math.log(beta) ? 'good' : 'open';
}

/**
 * The same from counts alone: of labels of one probability the evidence does not depend on their order. It has spoken for good
 * once it has spoken; who has only the counts of now sees that it speaks now, and errs no more often for that.
 */
export function sprtOf(plan: SprtPlan, n: number, violations: number): SprtState {
  check(plan);
  need(violations >= 0 && violations <= n && Number.isFinite(n), `${n} labels cannot hold ${violations} violations`);
  const { good, bad } = plan;
  const evidence = violations * Math.log(bad / good) + (n - violations) * Math.log((1 - bad) / (1 - good));
  return { n, violations, evidence, decision: decisionOf(plan, evidence) };
}

/** Labels that the test takes on average, by Wald's approximation, and what a fixed sample of the same errors takes. */
export interface SprtSizes {
  readonly ifGood: number;
  readonly ifBad: number;
  readonly fixed: number;
}

/** Wald's figures leave out by how much the last label passes a limit: what is measured is some per cent more. */
export function sprtSizes(plan: SprtPlan): SprtSizes {
  check(plan);
  const { good, bad, alpha, beta } = plan;
  const [toBad, toGood] = [Math.log((1 - beta) / alpha), Math.log(beta / (1 - alpha))];
  const perLabel = (rate: number): number => rate * Math.log(bad / good) + (1 - rate) * Math.log((1 - bad) / (1 - good));
  const spread = normalQuantile(1 - alpha) * Math.sqrt(good * (1 - good)) + normalQuantile(1 - beta) * Math.sqrt(bad * (1 - bad));
  return {
    ifGood: Math.round((alpha * toBad + (1 - alpha) * toGood) / perLabel(good)),
    ifBad: Math.round(((1 - beta) * toBad + beta * toGood) / perLabel(bad)),
    fixed: Math.ceil((spread / (bad - good)) ** 2),
  };
}

function check({ good, bad, alpha, beta }: SprtPlan): void {
  need(good > 0 && good < bad && bad < 1, `a sequential test needs 0 < good < bad < 1, not ${good} and ${bad}`);
  need(alpha > 0 && beta > 0 && alpha + beta < 1, `the errors of a test are above 0 and together below 1, not ${alpha} and ${beta}`);
}
