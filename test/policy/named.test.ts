/**
 * Categories that are reached by name alone: `*` does not stand for them, in a decision, its explanation and a record that
 * is decided again; nor does an unknown one of them make `*` unknown. On random facts the compiled policy says what the
 * plain reading of its conditions says.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Facts, Policy } from '../../src/contract/policy.ts';
import type { ClassifierResult } from '../../src/contract/screening.ts';
import { decide } from '../../src/policy/decide.ts';
import { explain } from '../../src/policy/explain.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { TRUE, truthOf, UNKNOWN } from '../../src/policy/truth.ts';
import { ResultTally } from '../../src/screen/results.ts';
import { runs, seed } from '../helpers/runs.ts';

const NAMES = ['who', 'where'];
const named = (category: string): { readonly named?: true } => (NAMES.includes(category) ? { named: true } : {});
const scored = (category: string, score: number): ClassifierResult => ({ classifier_id: 'pii', category, score, label: category.toUpperCase(), spans: [], latency_ms: 0, ...named(category) });
const missing = (category: string): ClassifierResult => ({ classifier_id: 'pii', category, unknown: true, reason: 'timeout', latency_ms: 0, ...named(category) });
const factsOf = (...results: readonly ClassifierResult[]): Facts => ({ direction: 'input', results, classifiers: new Map([['pii', 'ok']]), context: {} });
const policyOf = (score: string, test = 'gte: 0.5'): Policy => requirePolicy(`policy: p\non_unknown: closed\nrules: [ { id: r, when: { score: "${score}", ${test} }, action: redact } ]`, 'p.yaml');
const actionOf = (score: string, facts: Facts, test?: string): string => decide(policyOf(score, test), facts, 'closed').action;

t.test('* does not stand for them, their names do', async (t) => {
  const who = factsOf(scored('who', 0.9));
  for (const score of ['pii.*', '*.*']) t.equal(actionOf(score, who), 'allow', score);
  for (const score of ['pii.who', '*.who']) t.equal(actionOf(score, who), 'redact', score);
  t.equal(actionOf('pii.*', factsOf(scored('who', 0.9), scored('EMAIL', 1))), 'redact');
  t.equal(decide(policyOf('pii.*'), factsOf(scored('who', 0.9), scored('EMAIL', 1)), 'closed').matched.length, 1, 'and only the other is redacted');
  t.equal(actionOf('pii.*', who, 'exists: true'), 'redact', 'the classifier has answered, so its score of 0 exists');
});

t.test('one of them that is unknown makes what names it unknown, and nothing else', async (t) => {
  const lost = factsOf(missing('who'));
  for (const score of ['pii.*', '*.*', 'pii.EMAIL']) t.equal(actionOf(score, lost), 'allow', score);
  t.equal(actionOf('pii.who', lost), 'block', 'closed');
});

t.test('records keep it', async (t) => {
  const tally = new ResultTally();
  tally.add([scored('who', 0.9), scored('EMAIL', 1), missing('where')]);
  t.match(tally.summary(), [{ category: 'who', named: true }, { category: 'EMAIL', named: undefined }, { category: 'where', named: true }]);
});

const result = fc.record({ category: fc.constantFrom('who', 'where', 'EMAIL', 'IBAN'), score: fc.option(fc.constantFrom(0, 0.2, 0.5, 0.9), { nil: undefined }) }).map(({ category, score }) => (score === undefined ? missing(category) : scored(category, score)));
const leaf = fc.tuple(fc.constantFrom('pii.*', '*.*', 'pii.who', '*.where', 'pii.EMAIL', '*.IBAN'), fc.constantFrom('gte: 0.5', 'gt: 0.2', 'lt: 0.5', 'between: [0.1, 0.6]', 'exists: true')).map(([score, test]) => `{ score: "${score}", ${test} }`);

t.test('the compiled policy says what the plain reading says', async (t) => {
  fc.assert(fc.property(fc.array(result, { maxLength: 5 }), fc.array(leaf, { minLength: 1, maxLength: 4 }), fc.boolean(), (results, leaves, all) => {
    const policy = requirePolicy(`policy: p\non_unknown: closed\nrules: [ { id: r, when: { ${all ? 'all' : 'any'}: [ ${leaves.join(', ')} ] }, action: warn } ]`, 'p.yaml');
    const facts = factsOf(...results);
    const truth = truthOf(policy.rules[0]!.when, facts);
    const { action } = decide(policy, facts, 'closed');
    t.equal(action, truth === TRUE ? 'warn' : truth === UNKNOWN ? 'block' : 'allow');
    t.equal(explain(policy, facts, 'closed').decision.action, action);
  }), { numRuns: runs(2_000), seed });
});
