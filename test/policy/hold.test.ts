/** Decisions that wait for a person: what is decided where nobody came, what is told of them, and which of two waits. */
import fc from 'fast-check';
import t from 'tap';
import type { Facts, PolicyDecision } from '../../src/contract/policy.ts';
import { explanationLines } from '../../src/cli/policy/trace.ts';
import { decide, holdOf } from '../../src/policy/decide.ts';
import { explain, explanationJson } from '../../src/policy/explain.ts';
import { actionText, withoutHold } from '../../src/policy/hold.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { decideWithClaims, redactionsOf, stricter, STRICTNESS } from '../../src/policy/stricter.ts';
import { runs, seed } from '../helpers/runs.ts';

const held = (then: string, id = 'r'): PolicyDecision => {
  const policy = requirePolicy(`policy: p\nrules: [ { id: ${id}, when: { score: tox.hate, gte: 0.5 }, action: escalate, hold: { for: 90s, then: ${then} } } ]`, 'p.yaml');
  return decide(policy, facts(), 'closed');
};
const facts = (context: Facts['context'] = {}): Facts => ({ direction: 'input', results: [{ classifier_id: 'tox', category: 'hate', score: 0.7, label: 'HATE', spans: [], latency_ms: 0 }], classifiers: new Map([['tox', 'ok']]), context });
const plain = (action: PolicyDecision['action'], id = 'x'): PolicyDecision => ({ ...held('block', id), action, rule: { ...held('block', id).rule!, action, hold: undefined } as never });

t.test('the decision waits, and its `then` is another decision', async (t) => {
  for (const then of ['allow', 'warn', 'redact', 'block']) {
    const decision = held(then);
    t.match(decision, { action: 'escalate', triggered_rules: ['r'], matched: [{ score: 0.7 }] });
    t.same(holdOf(decision), { forMs: 90_000, then });
    const unheld = withoutHold(decision);
    t.equal(unheld.action, then);
    t.equal(holdOf(unheld), undefined);
    t.equal(redactionsOf(unheld).length, then === 'redact' ? 1 : 0);
    t.equal(redactionsOf(decision).length, 0, 'let go, nothing is redacted');
    t.equal(actionText(decision), `escalate, would hold 90 s, then ${then}`);
    t.equal(actionText(unheld), then);
  }
  const other = plain('block');
  t.equal(withoutHold(other), other);
  t.equal(holdOf({ action: 'escalate' }), undefined, 'a default action has no rule');
});

t.test('what another decision redacts is redacted, held or not', async (t) => {
  const both = stricter(plain('redact', 'mask'), held('redact'));
  t.equal(both.action, 'escalate');
  t.same(redactionsOf(both).map(({ rule }) => rule?.id), ['mask']);
  t.same(redactionsOf(withoutHold(both)).map(({ rule }) => rule?.id), ['mask', 'r']);
  t.same(redactionsOf(withoutHold(stricter(plain('redact', 'mask'), held('allow')))).map(({ rule }) => rule?.id), ['mask']);
});

t.test('of two, the one that waits is stricter than the one that is only looked at after', async (t) => {
  t.equal(holdOf(stricter(plain('escalate'), held('block'))) !== undefined, true);
  t.equal(holdOf(stricter(held('block'), plain('escalate'))) !== undefined, true);
  t.equal(stricter(held('block'), plain('replace')).action, 'replace');
  t.equal(stricter(held('block', 'a'), held('allow', 'b')).rule?.id, 'a', 'of two that wait the first');
  fc.assert(fc.property(fc.constantFrom(...STRICTNESS), fc.boolean(), fc.constantFrom(...STRICTNESS), fc.boolean(), (a, aHolds, b, bHolds) => {
    const [first, second] = [aHolds ? held('block', 'a') : plain(a, 'a'), bHolds ? held('block', 'b') : plain(b, 'b')];
    const { action } = stricter(first, second);
    return STRICTNESS.indexOf(action) >= Math.max(STRICTNESS.indexOf(first.action), STRICTNESS.indexOf(second.action)) && (holdOf(first) === undefined || action !== 'escalate' || holdOf(stricter(first, second)) !== undefined);
  }), { numRuns: runs(300), seed });
  const policy = requirePolicy('policy: p\nrules:\n  - { id: claimed, priority: 1, when: { context: trust, eq: high }, action: allow }\n  - { id: r, priority: 2, when: { score: tox.hate, gte: 0.5 }, action: escalate, hold: { for: 1s, then: block } }', 'p.yaml');
  t.ok(holdOf(decideWithClaims(policy, facts(), 'closed', { trust: 'high' })) !== undefined, 'no claim spares a wait');
});

t.test('it is told, and nothing waits for that', async (t) => {
  const policy = requirePolicy('policy: p\nrules: [ { id: r, when: { score: tox.hate, gte: 0.5 }, action: escalate, hold: { for: 30s, then: block } }, { id: s, when: { score: tox.hate, gte: 0 }, action: block } ]', 'p.yaml');
  const explanation = explain(policy, facts(), 'closed');
  t.match(explanationJson(policy, explanation), { action: 'escalate', hold: { for_ms: 30_000, then: 'block' } });
  t.match(explanationLines(explanation, false)[0], /^▶ r .*: escalate, would hold 30 s, then block$/);
  t.equal(explanationJson(policy, explain(policy, { ...facts(), results: [] }, 'closed')).hold, undefined);
});
