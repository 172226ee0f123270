/** Plans for tests: a policy's YAML compiled with the pii plugin, as the proxy does it. */
import { testPii } from './pii.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';

export const EMPTY_POLICY = 'policy: test\ndefault_action: allow\nrules: []\n';
export const REDACT_PII = `policy: test
default_action: allow
rules:
  - { id: pii, priority: 1, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }
`;

const compiled = new Map<string, ScreeningPlan>();

/** Compiled once for each text of a policy. */
export function planOf(policy: string): ScreeningPlan {
  const plan = compiled.get(policy) ?? compilePlan(requirePolicy(policy, 'test.yaml'), [testPii()], { file: 'test.yaml', hashKey: Buffer.alloc(32, 7) });
  compiled.set(policy, plan);
  return plan;
}
