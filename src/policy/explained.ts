/**
 * A recorded decision with its reasons: the policy that made it, explained on what the log holds of it. Where the log
 * does not hold all that the policy reads, that is said, and so is a decision that comes out otherwise. Pure.
 */
import type { FailMode, Policy } from '../contract/policy.ts';
import { explain, explanationJson, type Explanation, type ExplanationJson } from './explain.ts';
import { redecide, type RecordedDecision } from './recorded.ts';
import { decisiveFacts } from './stricter.ts';

export interface ExplainedRecord {
  readonly recorded: RecordedDecision;
  /** Absent where the log holds too little of it. */
  readonly explanation?: Explanation;
  /** What keeps it from being the whole of the decision's reasons. */
  readonly problem?: string;
}

/** `policy`: the revision that decided. */
export function explainRecorded(recorded: RecordedDecision, policy: Policy, failMode: FailMode): ExplainedRecord {
  const { gap } = redecide(policy, recorded, [policy], failMode);
  if (recorded.facts === undefined) return { recorded, problem: 'the entry holds several decisions, or was written before facts were recorded' };
  const { facts, claims } = recorded.facts;
  const explanation = explain(policy, decisiveFacts(policy, facts, failMode, claims), failMode);
  if (gap === 'other decision') return { recorded, explanation, problem: 'on the recorded scores the policy decides otherwise: the decision was made on more than its entry holds' };
  return gap === undefined ? { recorded, explanation } : { recorded, explanation, problem: `the entry does not hold all that the policy reads: ${gap}` };
}

/** What the command prints with `--json`, and what the API answers. */
export interface ExplainedRecordJson extends Partial<ExplanationJson> {
  readonly direction: RecordedDecision['direction'];
  readonly recorded: { readonly action: RecordedDecision['action']; readonly rules: readonly string[] };
  readonly problem?: string;
}

export function explainedJson({ recorded: { direction, action, rules }, explanation, problem }: ExplainedRecord, policy: Policy): ExplainedRecordJson {
  return { direction, recorded: { action, rules }, ...(problem === undefined ? {} : { problem }), ...(explanation === undefined ? {} : explanationJson(policy, explanation)) };
}
