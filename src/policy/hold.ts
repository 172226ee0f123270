/** What is decided where a decision waits for a person and nobody came, or nobody can be waited for. Pure. */
import type { PolicyDecision } from '../contract/policy.ts';
import { holdOf } from './decide.ts';
import { redactionsOf } from './stricter.ts';

/** With the rule's `then` in place of the wait. */
export function withoutHold(decision: PolicyDecision): PolicyDecision {
  const hold = holdOf(decision);
  if (hold === undefined) return decision;
  const { redacting: _, ...own } = decision;
  const decided: PolicyDecision = { ...own, action: hold.then };
  const redacting = [...redactionsOf(decision), ...(hold.then === 'redact' ? [decided] : [])];
  return redacting.length === 0 ? decided : { ...decided, redacting };
}

/** `escalate, would hold 30 s, then block`; the action alone where nobody is waited for. */
export function actionText(decision: Pick<PolicyDecision, 'action' | 'rule'>): string {
  const hold = holdOf(decision);
  return hold === undefined ? decision.action : `${decision.action}, would hold ${hold.forMs / 1000} s, then ${hold.then}`;
}
