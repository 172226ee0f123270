/**
 * Decisions with what callers claim: the policy is asked without and with the claims, and the two decisions are put
 * together so that neither is weakened. The stronger action counts (block, replace, escalate, redact, warn, allow; what
 * waits for a person is stronger than what is only looked at after), the
 * redactions of both are made, and the rules of both are named. So no claim, whatever the policy and whatever is claimed,
 * lets anything through that the policy stops without it. Pure.
 */
import type { FailMode, Facts, Policy, PolicyDecision } from '../contract/policy.ts';
import type { Action, Context } from '../contract/screening.ts';
import { decide, holdOf } from './decide.ts';

/** From the mildest to the strongest. */
export const STRICTNESS: readonly Action[] = ['allow', 'warn', 'redact', 'escalate', 'replace', 'block'];

/** `claims`: context values that are the caller's own word; those that are known otherwise win over them. */
export function decideWithClaims(policy: Policy, facts: Facts, tenantFailMode: FailMode, claims: Context | undefined): PolicyDecision {
  const decision = decide(policy, facts, tenantFailMode);
  if (claims === undefined) return decision;
  return stricter(decision, decide(policy, withClaims(facts, claims), tenantFailMode));
}

export function withClaims(facts: Facts, claims: Context): Facts {
  return { ...facts, context: { ...claims, ...facts.context } };
}

/** The facts on which the stricter of the two decisions rests. */
export function decisiveFacts(policy: Policy, facts: Facts, tenantFailMode: FailMode, claims: Context | undefined): Facts {
  if (claims === undefined) return facts;
  const claimed = withClaims(facts, claims);
  return isStricter(decide(policy, claimed, tenantFailMode), decide(policy, facts, tenantFailMode)) ? claimed : facts;
}

function isStricter(one: PolicyDecision, than: PolicyDecision): boolean {
  const [a, b] = [STRICTNESS.indexOf(one.action), STRICTNESS.indexOf(than.action)];
  return a === b ? holdOf(one) !== undefined && holdOf(than) === undefined : a > b;
}

/** Of two that are equally strong, the first decides. */
export function stricter(first: PolicyDecision, second: PolicyDecision): PolicyDecision {
  const [chosen, other] = isStricter(second, first) ? [second, first] : [first, second];
  return {
    ...chosen,
    triggered_rules: [...new Set([...chosen.triggered_rules, ...other.triggered_rules])],
    // A rule that holds here was unknown there: it decided because it holds.
    degraded: [...new Set([...chosen.degraded, ...other.degraded.filter((id) => id !== chosen.rule?.id)])],
    redacting: [first, second].flatMap(redactionsOf),
  };
}

/** The decisions whose matches are redacted, each in its rule's style. */
export function redactionsOf(decision: PolicyDecision): readonly PolicyDecision[] {
  return decision.redacting ?? (decision.action === 'redact' ? [decision] : []);
}
