/** Rules as the API takes them: flat and as trees, the same rules as in a file, findings in the API's words, and back. */
import fc from 'fast-check';
import t from 'tap';
import { parsePolicy, RULES_MAX, type KnownClassifier } from '../../src/policy/parse.ts';
import { policyFromRules, ruleToApi, type RulesOwner } from '../../src/policy/rules.ts';

const OWNER: RulesOwner = { policyId: 'acme', tenantId: 'acme' };
const KNOWN: readonly KnownClassifier[] = [{ id: 'tox', categories: [{ id: 'hate' }] }];
const FLAT = { classifier: 'tox', category: 'hate', operator: 'gte', threshold: 0.5 };
const RULE = { rule_id: 'r', tenant_id: 'acme', name: 'Hate', direction: 'both', condition: FLAT, action: 'block', priority: 10, enabled: true };

t.test('a flat rule is the rule that a file would give', async (t) => {
  const { policy, issues } = policyFromRules([RULE, { rule_id: 's', condition: { all: [FLAT, { not: { context: 'surface', eq: 'kids' } }] }, action: 'warn', priority: 5 }], OWNER, KNOWN);
  t.same(issues, []);
  const file = parsePolicy(`policy: acme
rules:
  - { id: r, name: Hate, priority: 10, when: { score: tox.hate, gte: 0.5 }, action: block }
  - { id: s, priority: 5, when: { all: [ { score: tox.hate, gte: 0.5 }, { not: { context: surface, eq: kids } } ] }, action: warn }
`, 'p.yaml').policy!;
  t.same({ ...policy, revision: '' }, { ...file, revision: '' });
  t.match(policy!.revision, /^[0-9a-f]{12}$/);
  t.not(policyFromRules([RULE], OWNER).policy!.revision, policy!.revision);
  t.ok(Object.isFrozen(policy) && Object.isFrozen(policy!.rules) && Object.isFrozen(policy!.rules[0]));
  t.match(policyFromRules([], { ...OWNER, description: 'd', defaultAction: 'warn', onUnknown: 'open', message: 'm' }).policy, { description: 'd', defaultAction: 'warn', onUnknown: 'open', message: 'm', rules: [] });
});

const refused: readonly (readonly [rules: unknown, path: string, message: string])[] = [
  [{}, '', 'expected a list, got a mapping'],
  [[7], '[0]', 'expected a mapping, got a number'],
  [[null], '[0]', 'expected a mapping, got nothing'],
  [[{ ...RULE, rule_id: undefined }], '[0]', 'rule_id is missing'],
  [[{ ...RULE, rule_id: 'a b' }], '[0].rule_id', 'expected a name of letters, digits, `.`, `_` and `-`'],
  [[{ ...RULE, condition: undefined }], '[0]', 'condition is missing'],
  [[{ ...RULE, condition: { ...FLAT, threshold: -1 } }], '[0].condition.threshold', 'a score is from 0 to 1, got -1'],
  [[{ ...RULE, condition: { any: [FLAT, { ...FLAT, operator: 'get' }] } }], '[0].condition.any[1].operator', 'expected one of gt, gte, lt, lte, eq, between, exists'],
  [[{ ...RULE, condition: { ...FLAT, category: 'hats' } }], '[0].condition.classifier', 'tox has no category hats'],
  [[{ ...RULE, when: FLAT }], '[0].when', 'unknown key when'],
  [[{ ...RULE, id: 'x' }], '[0].id', 'unknown key id'],
  [[{ ...RULE, tenant_id: 'other' }], '[0].tenant_id', 'a rule of another tenant'],
  [[RULE, RULE], '[1].rule_id', 'a second rule r'],
  [[{ ...RULE, action: 'replace' }], '[0]', 'action replace needs a message'],
  [Array.from({ length: RULES_MAX + 1 }, () => 0), '', `${RULES_MAX + 1} entries, the limit is ${RULES_MAX}`],
];

t.test('what is refused is told in the words of the API', async (t) => {
  for (const [rules, path, message] of refused) {
    const { policy, issues } = policyFromRules(rules, OWNER, KNOWN);
    t.equal(policy, undefined);
    t.same([issues[0]!.path, issues[0]!.message], [path, message]);
  }
  t.same(policyFromRules([{ ...RULE, when: FLAT }], OWNER).issues[0]!.suggestion, 'did you mean condition?');
  t.ok(policyFromRules([{ ...RULE, action: 'replace' }], { ...OWNER, message: 'no' }).policy, 'the message of the policy will do');
  t.ok(policyFromRules(Array.from({ length: RULES_MAX }, (_, index) => ({ ...RULE, rule_id: `r${index}` })), OWNER).policy);
});

t.test('a rule that is shown and taken again is the same rule', async (t) => {
  const leaf = fc.oneof(
    fc.constant(FLAT), fc.constant({ score: 'tox.*', between: [0.2, 0.4] }), fc.constant({ score: '*.hate', exists: true }), fc.constant({ context: 'surface', eq: 'kids' }), fc.constant({ context: 'age', between: [1, 9] }),
  );
  const condition = fc.letrec((tie) => ({
    node: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((all) => ({ all })), fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((any) => ({ any })), tie('node').map((not) => ({ not }))),
  })).node;
  const further = fc.constantFrom(
    { action: 'block' }, { action: 'replace', message: 'no' }, { action: 'redact', redact: { style: 'mask', keep_last: 4 } }, { action: 'redact' }, { action: 'warn', on_unknown: 'open' },
    { action: 'escalate', severity: 'high', hold: { for: '30s', then: 'block' } },
  );
  fc.assert(fc.property(fc.array(fc.record({ condition, further, enabled: fc.boolean(), direction: fc.constantFrom('input', 'output', 'both'), priority: fc.integer({ min: -5, max: 5 }) }), { maxLength: 5 }), (all) => {
    const rules = all.map(({ further: more, ...rest }, index) => ({ rule_id: `r${index}`, ...rest, ...more }));
    const first = policyFromRules(rules, OWNER).policy!;
    const second = policyFromRules(first.rules.map((rule) => ruleToApi(rule, 'acme')), OWNER).policy!;
    return JSON.stringify(first.rules) === JSON.stringify(second.rules);
  }), { numRuns: 500 });
  t.pass('500 runs');
});
