/**
 * `context: role`: a rule that asks who said it holds where it holds about the texts of one role, on their scores alone.
 * On random policies: the decision is that of whoever reads each role's texts by themselves, its explanation says the
 * same, and a record of it is decided again as it was.
 */
import fc from 'fast-check';
import t from 'tap';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import type { Condition, Facts, Policy, RoleFacts, Rule } from '../../src/contract/policy.ts';
import type { ClassifierResult, Context } from '../../src/contract/screening.ts';
import { decide } from '../../src/policy/decide.ts';
import { explain } from '../../src/policy/explain.ts';
import { parsePolicy, requirePolicy } from '../../src/policy/parse.ts';
import { recordedDecisions, recordFacts, redecide } from '../../src/policy/recorded.ts';
import { roleName } from '../../src/policy/roles.ts';
import { TRUE, truthOf, UNKNOWN } from '../../src/policy/truth.ts';
import { ResultTally } from '../../src/screen/results.ts';
import { runs, seed } from '../helpers/runs.ts';

const score = (category: string, value: number): ClassifierResult => ({ classifier_id: 'tox', category, score: value, label: category, spans: [], latency_ms: 1 });
const missing = (category: string): ClassifierResult => ({ classifier_id: 'tox', category, unknown: true, reason: 'timeout', latency_ms: 1 });
const said = (role: string | undefined, ...results: readonly ClassifierResult[]): RoleFacts => ({ role, results, contentTypes: ['text'] });

function factsOf(roles: readonly RoleFacts[], context: Context = {}): Facts {
  const results = roles.flatMap((one) => one.results);
  return { direction: 'input', results, classifiers: new Map([['tox', 'ok'], ['eye', 'ok']]), context, contentTypes: [...new Set(roles.flatMap(({ contentTypes }) => contentTypes))], reads: new Map([['eye', ['image']]]), roles };
}

const policyOf = (when: string, more = 'action: block'): Policy => requirePolicy(`policy: p\non_unknown: open\nrules: [ { id: r, when: ${when}, ${more} } ]`, 'p.yaml');
const actionOf = (when: string, facts: Facts): string => decide(policyOf(when), facts, 'closed').action;
const FROM_TOOL = '{ all: [ { context: role, eq: tool }, { score: tox.hate, gte: 0.5 } ] }';

t.test('a score counts with the role whose text has it', async (t) => {
  const [hateful, mild] = [score('hate', 0.9), score('hate', 0.1)];
  t.equal(actionOf(FROM_TOOL, factsOf([said('user', hateful), said('tool', mild)])), 'allow', 'the user’s score is not the tool’s');
  t.equal(actionOf(FROM_TOOL, factsOf([said('user', mild), said('tool', hateful)])), 'block');
  t.equal(actionOf('{ all: [ { not: { context: role, eq: user } }, { score: tox.hate, gte: 0.5 } ] }', factsOf([said('user', hateful), said('tool', mild)])), 'allow', 'under not too');
  t.equal(actionOf('{ all: [ { context: role, exists: false }, { score: tox.hate, gte: 0.5 } ] }', factsOf([said('user'), said(undefined, hateful)])), 'block', 'of nobody');
  t.equal(actionOf('{ all: [ { context: role, exists: false }, { score: tox.hate, gte: 0.5 } ] }', factsOf([said('user', hateful), said(undefined)])), 'allow');
  t.equal(actionOf('{ context: role, eq: system }', factsOf([said('user'), said('system')])), 'block', 'without a score');
  t.equal(actionOf('{ score: tox.hate, gte: 0.5 }', factsOf([said('user', mild), said('tool', hateful)])), 'block', 'who does not ask sees all');
  const alone: Facts = { ...factsOf([said('tool', hateful)]), roles: undefined };
  t.equal(actionOf(FROM_TOOL, alone), 'allow');
  t.equal(actionOf(FROM_TOOL, { ...alone, context: { role: 'tool' } }), 'block', 'one role is a value of the context');
});

t.test('what is redacted is what those said about whom the rule holds', async (t) => {
  const [users, tools] = [score('hate', 0.8), score('hate', 0.8)];
  const policy = policyOf(FROM_TOOL, 'action: redact');
  t.match(decide(policy, factsOf([said('user', users), said('tool', tools)]), 'closed'), { action: 'redact', matched: [tools], roles: ['tool'] });
  t.equal(decide(policy, factsOf([said('user', users), said('tool', tools)]), 'closed').matched.length, 1);
  t.same(decide(policyOf('{ any: [ { context: role, eq: tool }, { score: tox.hate, gte: 0.5 } ] }'), factsOf([said('user', users), said('tool'), said(undefined)]), 'closed').roles, ['user', 'tool']);
  t.notOk('roles' in decide(policyOf('{ score: tox.hate, gte: 0.5 }'), factsOf([said('user', users), said('tool')]), 'closed'), 'where nobody asks, all');
});

t.test('a missing score is missing for its role, and may be heard later', async (t) => {
  const closed = (facts: Facts): string => decide(requirePolicy(`policy: p\nrules: [ { id: r, when: ${FROM_TOOL}, action: warn } ]`, 'p.yaml'), facts, 'closed').action;
  t.equal(closed(factsOf([said('user', missing('hate')), said('tool', score('hate', 0.1))])), 'allow');
  t.equal(closed(factsOf([said('user', score('hate', 0.1)), said('tool', missing('hate'))])), 'block');
  t.equal(closed({ ...factsOf([said('user'), said('tool')]), deferred: new Set(['tox']) }), 'allow', 'it waits');
  t.equal(closed({ ...factsOf([said('user'), said('tool', missing('hate'))]), deferred: new Set(['eye']) }), 'block');
  const images = '{ all: [ { context: role, eq: tool }, { context: content_type, eq: image }, { score: tox.hate, gte: 0.5 } ] }';
  const seen: Facts = { ...factsOf([said('user'), { ...said('tool'), contentTypes: ['image'] }]), reads: new Map([['tox', ['text']]]) };
  t.same(decide(policyOf(images), seen, 'closed').degraded, ['r'], 'nobody reads the tool’s image');
  t.match(explain(policyOf(images), seen, 'closed').rules[0], { state: 'unknown', reason: /not every classifier reads image/ });
  t.same(decide(policyOf(images), { ...seen, roles: [{ ...said('user'), contentTypes: ['image'] }, said('tool')] }, 'closed').degraded, [], 'the user’s is not asked about');
});

t.test('the explanation shows the role that the rule holds about', async (t) => {
  const { rules: [rule] } = explain(policyOf(FROM_TOOL), factsOf([said('user', score('hate', 0.9)), said('tool', score('hate', 0.7))]), 'closed');
  t.match(rule, { state: 'true', trace: { of: [{ test: 'role eq tool', actual: 'tool' }, { scores: [0.7] }] } });
  t.match(explain(policyOf(FROM_TOOL), factsOf([said('user', score('hate', 0.9)), said('tool')]), 'closed').rules[0], { state: 'false' });
});

t.test('a role is compared by eq or exists, and one that nobody has is warned of', async (t) => {
  const issuesOf = (leaf: string) => parsePolicy(`policy: p\nrules: [ { id: r, when: ${leaf}, action: block } ]`, 'p.yaml').issues;
  t.same(issuesOf('{ context: role, eq: tool }'), []);
  t.same(issuesOf('{ context: role, exists: true }'), []);
  t.match(issuesOf('{ context: role, eq: asistant }'), [{ severity: 'warning', suggestion: 'did you mean assistant?' }]);
  t.match(issuesOf('{ context: role, gte: tool }'), [{ severity: 'error', message: 'role is compared by eq, or by exists' }]);
  t.match(issuesOf('{ context: role, eq: 1 }'), [{ severity: 'error', message: /expected a role such as system/ }]);
  t.match(issuesOf('{ context: role, exists: 1 }'), [{ severity: 'error' }]);
  t.same(issuesOf('{ context: toString, eq: x }'), [], 'nothing that an object inherits is a key');
  t.same(['user', 'a b', '', undefined, 'x'.repeat(33)].map(roleName), ['user', undefined, undefined, undefined, undefined]);
});

// What is recorded.

const lines = (results: readonly ClassifierResult[]): DecisionRecord['classifier_results'] => {
  const tally = new ResultTally();
  for (const result of results) tally.add([result]);
  return tally.summary();
};

function recordOf(policy: Policy, facts: Facts, more: Partial<ExchangeRecord> = {}): ExchangeRecord {
  const { action, triggered_rules, degraded } = decide(policy, facts, 'closed');
  const roles = facts.roles?.map(({ role, contentTypes, results }) => ({ ...(role === undefined ? {} : { role }), content_types: contentTypes, results: lines(results) }));
  const record: DecisionRecord = { action, triggered_rules, classifier_results: lines(facts.results), coverage: { screened: [], exempt: [], opaque: [] }, degraded, redactions: 0, latency_ms: 1, facts: { ...recordFacts(policy, facts), ...(roles === undefined ? {} : { roles }) } };
  return { kind: 'exchange', request_id: 'r1', tenant_id: 'one', policy: `${policy.id}@${policy.revision}`, method: 'POST', route: '/v1/chat/completions', stream: true, outcome: 'completed', status: 200, [facts.direction]: record, held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: '2026-01-05T09:00:00.000Z', duration_ms: 1, ...more };
}
const again = (policy: Policy, record: ExchangeRecord, by = policy): string => {
  const { decision, gap } = redecide(policy, recordedDecisions(record)[0]!, [by, policy], 'closed');
  return gap ?? decision!.action;
};

t.test('a record says who said it, and is decided again as it was; what it does not say is a gap', async (t) => {
  const policy = policyOf(FROM_TOOL);
  const several = recordOf(policy, factsOf([said('user', score('hate', 0.9)), said('tool', score('hate', 0.2)), said(undefined, missing('spam'))]));
  t.same(several.input!.facts!.context, undefined, 'several roles are no value');
  t.equal(again(policy, several), 'allow');
  t.equal(again(policyOf('{ all: [ { context: role, eq: user }, { score: tox.hate, gte: 0.5 } ] }'), several, policy), 'block', 'another rule about roles');
  const alone: Facts = { ...factsOf([said('tool', score('hate', 0.9))], { role: 'tool' }), roles: undefined };
  t.match(recordOf(policy, alone).input!.facts!.context, { role: 'tool' });
  t.equal(again(policy, recordOf(policy, alone)), 'block');
  t.equal(again(policy, recordOf(policy, { ...alone, context: {} })), 'allow', 'nobody is known to have said it');
  const unasked = policyOf('{ score: tox.hate, gte: 0.99 }');
  t.equal(again(policy, recordOf(unasked, { ...alone, context: {} }), unasked), 'context');
  t.equal(again(policyOf('{ all: [ { context: role, eq: assistant }, { score: tox.hate, gte: 0.5 } ] }'), recordOf(unasked, { ...alone, context: {}, direction: 'output' }), unasked), 'block', 'an answer is the assistant’s');
  t.equal(again(policy, recordOf(unasked, { ...alone, context: {}, direction: 'output' }, { route: '/weir/v1/screen' }), unasked), 'context', 'what the service was told, it was told in its body');
});

// At random.

const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({ kind: fc.constant('context' as const), key: fc.constant('role'), operator: fc.constant('eq' as const), value: fc.constantFrom('user', 'tool') }),
  fc.record({ kind: fc.constant('context' as const), key: fc.constant('role'), operator: fc.constant('exists' as const), value: fc.boolean() }),
  fc.record({ kind: fc.constant('score' as const), classifier: fc.constantFrom('tox', '*'), category: fc.constantFrom('hate', 'spam', '*'), operator: fc.constantFrom('gte', 'lt' as const), value: fc.constantFrom(0, 0.3, 0.6) }),
);
const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof({ maxDepth: 3, depthSize: 'small' }, leaf, fc.record({ kind: fc.constantFrom('all' as const, 'any' as const), of: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }) }), fc.record({ kind: fc.constant('not' as const), of: tie('condition') })),
}));
const result = fc.oneof(fc.tuple(fc.constantFrom('hate', 'spam'), fc.constantFrom(0, 0.2, 0.5, 0.9)).map(([category, value]) => score(category, value)), fc.constantFrom('hate', 'spam').map(missing));
const roleSets = fc.uniqueArray(fc.record({ role: fc.constantFrom('user', 'tool', 'system', undefined), results: fc.array(result, { maxLength: 2 }), contentTypes: fc.constant(['text' as const]) }), { minLength: 2, maxLength: 4, selector: ({ role }) => role });

const asksRole = (part: Condition): boolean => (part.kind === 'context' ? true : part.kind === 'not' ? asksRole(part.of) : part.kind === 'score' ? false : part.of.some(asksRole));

t.test('the decision is that of whoever reads each role’s texts by themselves', async () => {
  fc.assert(fc.property(fc.array(condition, { minLength: 1, maxLength: 4 }), roleSets, fc.constantFrom('open' as const, 'closed' as const), fc.boolean(), (conditions, roles, mode, later) => {
    const rules = conditions.map((when, at): Rule => ({ id: `r${at}`, name: `r${at}`, priority: at, enabled: true, direction: 'both', when, action: 'redact' }));
    const policy: Policy = { id: 'p', revision: '1', description: '', defaultAction: 'allow', onBlock: 'error', stream: { mode: 'hold', window: 'sentence' }, history: 'latest', patterns: [], rules };
    const facts: Facts = { ...factsOf(roles), reads: new Map(), ...(later ? { deferred: new Set(['tox']) } : {}) };
    const decision = decide(policy, facts, mode);
    const { roles: _, ...whole } = facts;
    const viewsOf = (when: Condition): readonly Facts[] => (asksRole(when) ? roles.map(({ role, results }) => ({ ...whole, results, context: (role === undefined ? {} : { role }) as Context })) : [whole]);
    let expected = 'allow';
    for (const rule of rules) {
      const views = viewsOf(rule.when);
      const truths = views.map((view) => truthOf(rule.when, view));
      if (truths.includes(TRUE)) { expected = `redact ${rule.id}`; break; }
      const unknown = truths.includes(UNKNOWN) && (!later || views.some((view) => truthOf(rule.when, { ...view, deferred: undefined }) === UNKNOWN));
      if (unknown && mode === 'closed') { expected = `block ${rule.id}`; break; }
    }
    const explained = explain(policy, facts, mode);
    const state = explained.rules.find(({ rule }) => rule === decision.rule)?.state;
    const isExplained = decision.rule === undefined || state === (decision.action === 'redact' ? 'true' : 'unknown');
    const redone = later ? decision.action : again(policy, recordOf(policy, facts));
    return [decision.action, decision.rule?.id].filter(Boolean).join(' ') === expected && isExplained && ([decision.action, 'score'].includes(redone) || mode === 'open');
  }), { numRuns: runs(500), seed });
});
