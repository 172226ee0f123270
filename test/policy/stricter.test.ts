/**
 * Decisions with what callers claim. On random policies, facts and claims: nothing is weaker with them than without, in
 * its action or in what is redacted, and nothing is named that neither decision named.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Facts, Policy, PolicyDecision, Rule } from '../../src/contract/policy.ts';
import { ACTIONS, type Action, type ClassifierResult, type Context } from '../../src/contract/screening.ts';
import { decide } from '../../src/policy/decide.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { decideWithClaims, decisiveFacts, redactionsOf, stricter, STRICTNESS } from '../../src/policy/stricter.ts';

const result = (category: string): ClassifierResult => ({ classifier_id: 'pii', category, score: 1, label: category, spans: [], latency_ms: 0 });
const facts = (context: Context = {}, results: readonly ClassifierResult[] = []): Facts => ({ direction: 'input', results, classifiers: new Map([['pii', 'ok']]), context });

/** What a rule decides that is named after its action. */
const decided = (action: Action, more: Partial<PolicyDecision> = {}): PolicyDecision => ({ action, rule: { id: `r-${action}` } as Rule, matched: [], triggered_rules: [`r-${action}`], degraded: [], ...more });

t.test('the stronger action counts, the first among equals, and the rules of both are named', async (t) => {
  t.same([...STRICTNESS].sort(), [...ACTIONS].sort(), 'every action has its place');
  for (const [weaker, a] of STRICTNESS.entries()) {
    for (const [stronger, b] of STRICTNESS.entries()) {
      const both = stricter(decided(a), decided(b));
      const chosen = stronger > weaker ? b : a;
      t.equal(both.action, chosen);
      t.equal(both.rule?.id, `r-${chosen}`);
      t.same(both.triggered_rules, a === b ? [`r-${a}`] : [`r-${chosen}`, `r-${chosen === a ? b : a}`]);
    }
  }
  const first = stricter(decided('block', { rule: { id: 'first' } as Rule }), decided('block', { rule: { id: 'second' } as Rule }));
  t.equal(first.rule?.id, 'first');
});

t.test('the redactions of both are made, whatever is decided', async (t) => {
  const [one, two] = [decided('redact', { matched: [result('A')] }), decided('redact', { matched: [result('B')] })];
  t.same(redactionsOf(one), [one]);
  t.same(redactionsOf(decided('block')), []);
  t.same(redactionsOf(stricter(one, two)), [one, two]);
  t.same(redactionsOf(stricter(decided('escalate'), two)), [two]);
  t.same(redactionsOf(stricter(one, decided('block'))), [one], 'an earlier turn is redacted and never blocked');
  t.same(redactionsOf(stricter(decided('allow'), decided('warn'))), []);
});

t.test('what was missing is listed, unless it is what holds', async (t) => {
  const holds = decided('block', { degraded: ['x'] });
  t.same(stricter(holds, decided('allow', { degraded: ['x', 'y', 'r-block'] })).degraded, ['x', 'y']);
  t.same(stricter(decided('allow', { rule: undefined, degraded: ['z'] }), holds).degraded, ['x', 'z']);
});

t.test('claims are read as context, and what is known wins over them', async (t) => {
  const policy = requirePolicy('policy: p\nrules:\n  - { id: kids, when: { context: surface, eq: kids }, action: block }\n  - { id: friends, priority: 1, when: { context: trust, eq: friend }, action: allow }\n', 'p.yaml');
  t.equal(decideWithClaims(policy, facts(), 'closed', undefined).action, 'allow');
  t.equal(decideWithClaims(policy, facts(), 'closed', { surface: 'kids' }).action, 'block');
  t.equal(decideWithClaims(policy, facts({ surface: 'web' }), 'closed', { surface: 'kids' }).action, 'allow');
  t.equal(decideWithClaims(policy, facts({ surface: 'kids' }), 'closed', { trust: 'friend' }).action, 'block', 'a claim opens nothing');
  t.equal(decideWithClaims(policy, facts({ surface: 'kids', trust: 'friend' }), 'closed', undefined).action, 'allow', 'what is known does');
  t.same(decisiveFacts(policy, facts(), 'closed', undefined).context, {});
  t.same(decisiveFacts(policy, facts(), 'closed', { surface: 'kids' }).context, { surface: 'kids' });
  t.same(decisiveFacts(policy, facts(), 'closed', { surface: 'web' }).context, {});
});

const KEYS = ['a', 'b', 'c'] as const;
const anyLeaf = fc.oneof(
  fc.record({ context: fc.constantFrom(...KEYS), eq: fc.constantFrom(1, 2, 'x', true) }),
  fc.record({ context: fc.constantFrom(...KEYS), exists: fc.boolean() }),
  fc.record({ context: fc.constantFrom(...KEYS), gte: fc.constantFrom(1, 2) }),
  fc.record({ score: fc.constantFrom('pii.A', 'pii.B', 'gone.C', 'pii.*'), gte: fc.constantFrom(0, 0.5, 1) }),
);
const { condition: anyCondition } = fc.letrec<{ condition: object }>((tie) => ({
  condition: fc.oneof({ maxDepth: 2 }, anyLeaf, fc.record({ all: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }), fc.record({ any: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }), fc.record({ not: tie('condition') })),
}));
const anyRule = fc.record({ when: anyCondition, action: fc.constantFrom(...ACTIONS), priority: fc.nat(3), on_unknown: fc.constantFrom('closed', 'open') });
const anyPolicy = fc.record({ rules: fc.array(anyRule, { maxLength: 6 }), default_action: fc.constantFrom('allow', 'warn', 'block', 'escalate') })
  .map(({ rules, default_action }): Policy => requirePolicy(JSON.stringify({ policy: 'p', default_action, message: 'no', rules: rules.map((rule, i) => ({ ...rule, id: `r${i}` })) }), 'p.yaml'));
const anyContext = fc.dictionary(fc.constantFrom(...KEYS), fc.constantFrom<string | number | boolean>(1, 2, 3, 'x', 'y', true));
const anyResults = fc.subarray(['A', 'B']).map((categories) => categories.map(result));

t.test('on random policies no claim weakens anything', async (t) => {
  let changed = 0;
  fc.assert(fc.property(anyPolicy, anyContext, anyContext, anyResults, fc.constantFrom('closed' as const, 'open' as const), (policy, context, claims, results, failMode) => {
    const given = facts(context, results);
    const without = decide(policy, given, failMode);
    const withThem = decideWithClaims(policy, given, failMode, claims);
    const claimed = decide(policy, { ...given, context: { ...claims, ...context } }, failMode);
    if (STRICTNESS.indexOf(withThem.action) < STRICTNESS.indexOf(without.action)) return false;
    if (withThem.action !== without.action) changed += 1;
    const redacted = (decision: PolicyDecision): readonly ClassifierResult[] => redactionsOf(decision).flatMap(({ matched }) => matched);
    if (!redacted(without).every((one) => redacted(withThem).includes(one))) return false;
    const named = new Set([...without.triggered_rules, ...claimed.triggered_rules]);
    return withThem.triggered_rules.length === named.size && withThem.triggered_rules.every((id) => named.has(id)) && decide(policy, decisiveFacts(policy, given, failMode, claims), failMode).action === withThem.action;
  }), { numRuns: 3000, seed: 20261122 });
  t.ok(changed > 50, `claims changed ${changed} of 3000 decisions`);
});
