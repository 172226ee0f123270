/**
 * How often people judge otherwise than rules and machine did: of each rule, how many of the decided items that it fired
 * on people allow (its false positives), and how many of those that it nearly fired on they block; of checks drawn from
 * everything, how often the machine was wrong either way. Every rate has its interval. Pure.
 *
 * Items that a rule escalated are no sample of its traffic: their rate is that of what people were asked.
 */
import { isStopped, retroactiveActionOf, type Resolution, type ReviewOrigin } from '../contract/review.ts';
import { wilson } from '../risk/intervals.ts';

export interface Outcome {
  /** `id@revision` */
  readonly policy: string;
  readonly triggered_rules: readonly string[];
  readonly near_rules: readonly string[];
  readonly origin: ReviewOrigin;
  readonly action: Parameters<typeof retroactiveActionOf>[0]['action'];
  readonly resolution: Resolution;
  readonly count: number;
}

/** A share with its interval at 95 %. */
export interface Rate {
  readonly judged: number;
  readonly of: number;
  readonly rate: number;
  readonly low: number;
  readonly high: number;
}

export interface RuleOverrides {
  /** Without its revision. */
  readonly policy: string;
  readonly rule: string;
  /** Of what it fired on: what people allow. Null: nothing was judged. */
  readonly false_positives: Rate | null;
  /** Of what it nearly fired on: what people block. */
  readonly near_misses: Rate | null;
}

export interface Overrides {
  readonly rules: readonly RuleOverrides[];
  /** Of all that was judged: what people judged otherwise than was done. */
  readonly all: Rate | null;
  /** Of checks alone, which were drawn from everything: what went on and should not have, and what was stopped and should not. */
  readonly sample: { readonly withdraw: Rate | null; readonly reinstate: Rate | null };
}

export function overridesOf(outcomes: readonly Outcome[]): Overrides {
  // Who passes it on to others has not judged it; what was picked for being hard to tell is no sample of anything.
  const judged = outcomes.filter(({ resolution, origin }) => resolution !== 'escalate_legal' && origin !== 'learning');
  const otherwise = (outcome: Outcome): boolean => undoes(outcome) !== undefined;
  const drawn = judged.filter(({ origin }) => origin === 'sample');
  return {
    rules: rulesOf(judged),
    all: rateOf(judged, otherwise),
    sample: { withdraw: rateOf(drawn.filter(({ action }) => !isStopped(action)), otherwise), reinstate: rateOf(drawn.filter(({ action }) => isStopped(action)), otherwise) },
  };
}

function undoes({ action, resolution }: Outcome): ReturnType<typeof retroactiveActionOf> {
  return retroactiveActionOf({ action, hold_outcome: null }, resolution, null);
}

function rulesOf(judged: readonly Outcome[]): readonly RuleOverrides[] {
  const rules = new Map<string, { readonly policy: string; readonly rule: string; readonly fired: Outcome[]; readonly near: Outcome[] }>();
  const of = (policy: string, rule: string) => {
    const key = JSON.stringify([policy, rule]);
    const found = rules.get(key) ?? { policy, rule, fired: [], near: [] };
    rules.set(key, found);
    return found;
  };
  for (const outcome of judged) {
    const policy = outcome.policy.slice(0, Math.max(0, outcome.policy.lastIndexOf('@')));
    for (const rule of outcome.triggered_rules) of(policy, rule).fired.push(outcome);
    for (const rule of outcome.near_rules) if (!outcome.triggered_rules.includes(rule)) of(policy, rule).near.push(outcome);
  }
  return [...rules.values()]
    .map(({ policy, rule, fired, near }) => ({ policy, rule, false_positives: rateOf(fired, ({ resolution }) => resolution === 'allow'), near_misses: rateOf(near, ({ resolution }) => resolution === 'block') }))
    .sort((a, b) => (b.false_positives?.judged ?? 0) - (a.false_positives?.judged ?? 0) || (a.policy + a.rule < b.policy + b.rule ? -1 : 1));
}

/** Null of nothing. */
export function rateOf<One extends { readonly count: number }>(outcomes: readonly One[], isSo: (outcome: One) => boolean): Rate | null {
  const sum = (all: readonly One[]): number => all.reduce((total, { count }) => total + count, 0);
  const [judged, of] = [sum(outcomes), sum(outcomes.filter(isSo))];
  return judged === 0 ? null : { judged, of, rate: of / judged, ...wilson(of, judged) };
}
