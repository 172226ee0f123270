/** Combinations: each method against its formula, what a missing member does, and what the configuration refuses. */
import t from 'tap';
import fc from 'fast-check';
import { combineIssues } from '../helpers/combinations.ts';
import type { ClassifierResult, UnknownReason } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { combined, ensembleOf, type Combination } from '../../src/screen/combine.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { classifierOf, requestOf, scored } from '../helpers/classifiers.ts';

const ASKED = new Set(['a', 'b', 'c']);

function combinationOf(more: Partial<Combination> = {}): Combination {
  return { category: 'hate', method: 'max', of: { 'a.toxic': 1, 'b.toxic': 2, 'c.toxic': 3 }, bias: 0, missing: 'unknown', quorum: 1, ...more };
}

function missing(id: string, reason: UnknownReason = 'timeout'): ClassifierResult {
  return { classifier_id: id, category: 'toxic', unknown: true, reason, latency_ms: 7 };
}

function score(combination: Combination, results: readonly ClassifierResult[], asked: ReadonlySet<string> = ASKED): number | UnknownReason {
  const result = combined(combination, results, asked);
  return 'unknown' in result ? result.reason : result.score;
}

t.test('each method is its formula', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }), (a, b, c) => {
    const results = [scored('a', a), scored('b', b), scored('c', c)];
    const near = (x: number | string, y: number): boolean => typeof x === 'number' && Math.abs(x - y) < 1e-9;
    const odds = (p: number): number => Math.log(Math.min(1 - 1e-6, Math.max(1e-6, p)) / (1 - Math.min(1 - 1e-6, Math.max(1e-6, p))));
    const calibrated = combinationOf({ method: 'calibrated', of: { 'a.toxic': 1.5, 'b.toxic': -0.5, 'c.toxic': 0.25 }, bias: -1 });
    return near(score(combinationOf(), results), Math.max(a, b, c))
      && near(score(combinationOf({ method: 'weighted' }), results), (a + 2 * b + 3 * c) / 6)
      && near(score(calibrated, results), 1 / (1 + Math.exp(-(-1 + 1.5 * odds(a) - 0.5 * odds(b) + 0.25 * odds(c)))));
  })));
});

t.test('a calibrated score of one member with coefficient 1 is the member\'s', async (t) => {
  const same = combinationOf({ method: 'calibrated', of: { 'a.toxic': 1 } });
  for (const value of [0.001, 0.2, 0.5, 0.9]) t.ok(Math.abs((score(same, [scored('a', value)]) as number) - value) < 1e-9);
  for (const value of [0, 1]) t.ok(Number.isFinite(score(same, [scored('a', value)])));
});

t.test('an asked classifier that says nothing of a category scored it 0', async (t) => {
  t.equal(score(combinationOf(), [scored('a', 0.5)]), 0.5);
  t.equal(score(combinationOf({ method: 'weighted' }), [scored('c', 1)]), 0.5);
  t.equal(score(combinationOf(), []), 0);
});

t.test('a missing member', async (t) => {
  const known = [scored('a', 0.5), scored('c', 0.2)];
  for (const method of ['max', 'weighted', 'calibrated'] as const) t.equal(score(combinationOf({ method }), [...known, missing('b')]), 'timeout', method);
  t.equal(score(combinationOf(), [scored('a', 1), missing('b')]), 1, 'nothing is more than 1');
  t.equal(score(combinationOf({ method: 'weighted' }), [scored('a', 1), scored('c', 1), missing('b')]), 'timeout');
  t.equal(score(combinationOf(), known, new Set(['a', 'c'])), 'unavailable', 'one that was not asked');
  const ignoring = combinationOf({ missing: 'ignore', method: 'weighted' });
  t.equal(score(ignoring, [...known, missing('b')]), (0.5 + 0.6) / 4);
  t.equal(score(ignoring, [missing('a'), missing('b', 'error'), missing('c')]), 'timeout', 'nobody is no quorum');
  t.equal(score({ ...ignoring, quorum: 2 }, [...known, missing('b')]), (0.5 + 0.6) / 4, 'at the quorum');
  t.equal(score({ ...ignoring, quorum: 2 }, [scored('a', 0.5), missing('b'), missing('c')]), 'timeout', 'below it');
  t.equal(score(combinationOf({ missing: 'ignore', quorum: 3 }), [scored('a', 1), missing('b'), missing('c')]), 1, 'fixed is fixed');
});

t.test('it lends the spans of those that speak for it, joined, and its latency is the slowest member\'s', async (t) => {
  const results = [scored('a', 0.9, { spans: [{ start: 5, end: 9 }, { start: 20, end: 22 }] }), scored('b', 0.51, { spans: [{ start: 8, end: 12 }, { start: 12, end: 13 }], latency_ms: 33 }), scored('c', 0.5, { spans: [{ start: 0, end: 2 }] })];
  t.same(combined(combinationOf({ category: 'hate/threatening' }), results, ASKED), { classifier_id: 'ensemble', category: 'hate/threatening', latency_ms: 33, score: 0.9, label: 'HATE_THREATENING', spans: [{ start: 5, end: 13 }, { start: 20, end: 22 }] });
});

t.test('the ensemble adds it to what it was asked for, where a member reads such a text', async (t) => {
  const a = classifierOf('a', () => [scored('a', 0.5)]);
  const b = classifierOf('b', () => [scored('b', 0.75)], { directions: ['input'], contentTypes: ['text', 'image'] });
  const [hate, other] = [combinationOf({ of: { 'a.toxic': 1, 'b.toxic': 1 } }), combinationOf({ category: 'other', of: { 'b.toxic': 1 } })];
  const ensemble = new Ensemble({ classifiers: [{ classifier: a }, { classifier: b }], combine: [hate, other] });
  const ask = async (request = requestOf('x'), options = {}): Promise<readonly string[]> => (await ensemble.ask(request, options)).filter(({ classifier_id: id }) => id === 'ensemble').map((result) => `${result.category} ${'unknown' in result ? result.reason : result.score}`);
  t.same(await ask(), ['hate 0.75', 'other 0.75']);
  t.same(await ask(undefined, { combine: ({ category }: Combination) => category === 'other' }), ['other 0.75']);
  t.same(await ask(undefined, { only: ({ id }: { id: string }) => id === 'a' }), ['hate unavailable', 'other unavailable'], 'not asked is not 0');
  t.same(await ask(requestOf('x', { direction: 'output' })), ['hate unsupported']);
  t.same(await ask(requestOf('x', { content_type: 'audio' })), []);
  t.match(ensembleOf([hate, other], [a, b]), [{ id: 'ensemble', categories: [{ id: 'hate' }, { id: 'other' }], directions: ['input', 'output'], contentTypes: ['text', 'image'] }]);
  t.same(ensembleOf([], [a, b]), []);
});

t.test('a rule reads it like any other score, in prompts and in answers', async (t) => {
  const a = classifierOf('a', ({ content }) => [scored('a', content.includes('vile') ? 0.6 : 0)]);
  const b = classifierOf('b', ({ content }) => [scored('b', content.includes('vile') ? 0.9 : 0)]);
  const ensemble = new Ensemble({ classifiers: [{ classifier: a }, { classifier: b }], combine: [combinationOf({ method: 'weighted', of: { 'a.toxic': 1, 'b.toxic': 1 } })], deadlineMs: 60_000 });
  const policy = requirePolicy('policy: p\nrules: [ { id: r, when: { score: ensemble.hate, gte: 0.7 }, action: block } ]', 'p.yaml', ensembleOf(ensemble.combinations, [a, b]));
  const plan = compilePlan(policy, [a, b], { file: 'p.yaml', ensemble });
  const decide = async (content: string): Promise<string> => plan.decide(await plan.screen([{ path: 'm', carrier: 'm', contentType: 'text', content, history: false }], 'input', {}), 'input', {}).action;
  t.same([await decide('vile'), await decide('kind')], ['block', 'allow']);
  const { scoring } = plan.forOutput({});
  const results = await scoring!.open()({ start: 0, end: 4, text: 'vile', before: '' });
  t.match(results.at(-1), { classifier_id: 'ensemble', score: 0.75 }, 'its members are asked although no rule names them');
});

const READS: readonly (readonly [combine: string, issue: RegExp | undefined])[] = [
  ['{ category: hate, method: max, of: [tox.hate, other.hate] }', undefined],
  ['{ category: hate, method: weighted, of: { tox.hate: 2 }, missing: ignore, quorum: 1 }', undefined],
  ['{ category: hate, method: calibrated, of: { tox.hate: -2 }, bias: 1 }', undefined],
  ['{ category: hate, method: mean, of: [tox.hate] }', /method: expected one of max, weighted, calibrated/],
  ['{ category: hate, method: max }', /of is missing/],
  ['{ category: hate, method: max, of: [] }', /of: 0 members/],
  ['{ category: hate, method: max, of: 7 }', /of: expected a list of classifier.category/],
  ['{ category: hate, method: max, of: [tox] }', /of\[0\]: expected classifier.category/],
  ['{ category: hate, method: max, of: [tox.hate, tox.hate] }', /of\[1\]: a second member tox.hate/],
  ['{ category: hate, method: weighted, of: { tox.hate: 0 } }', /tox.hate: a weight is a number above 0, got 0/],
  ['{ category: hate, method: weighted, of: { tox.hate: -1 } }', /a weight is a number above 0, got -1/],
  ['{ category: hate, method: weighted, of: { tox.hate: high } }', /tox.hate: expected a number, got text/],
  ['{ category: hate, method: calibrated, of: [tox.hate] }', /tox.hate: a calibrated combination needs a coefficient/],
  ['{ category: hate, method: max, of: [tox.hate], bias: 1 }', /bias: only a calibrated combination has a bias/],
  ['{ category: hate, method: max, of: [tox.hate], missing: ignore, quorum: 2 }', /quorum: more than the 1 members/],
  ['{ category: hate, method: max, of: [tox.hat] }', /tox has no category hat; did you mean hate\?/],
  ['{ category: hate, method: max, of: [tux.hate] }', /no classifier tux; did you mean tox\?/],
  ['{ category: hate, method: max, of: [pii.EMAIL] }', /pii finds patterns and is not asked/],
  ['{ category: hate, method: max, of: [tox.hate] }, { category: hate, method: max, of: [tox.hate] }', /a second combination hate/],
];

t.test('what the configuration says is checked, and told at its place', async (t) => {
  for (const [combine, issue] of READS) {
    const found = combineIssues(combine);
    if (issue === undefined) t.same(found, [], combine);
    else t.match(found.join('\n'), issue, combine);
  }
});
