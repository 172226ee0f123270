/** Conditions in words: every kind and operator, and brackets where and only where they are needed. */
import t from 'tap';
import { parsePolicy } from '../../src/policy/parse.ts';
import { conditionText } from '../../src/policy/told.ts';

t.test('a condition is told in one line', async (t) => {
  const told = (when: string): string => {
    const { policy, issues } = parsePolicy(`policy: p\nrules:\n  - { id: r, when: ${when}, action: block }\n`, 'p.yaml', [{ id: 'toxicity', categories: [{ id: 'hate' }] }]);
    if (policy === undefined) throw new Error(issues.map(({ message }) => message).join('; '));
    return conditionText(policy.rules[0]!.when);
  };
  const leaves = [
    ['{ score: toxicity.hate, gte: 0.5 }', 'toxicity.hate ≥ 0.5'], ['{ score: toxicity.hate, gt: 0.5 }', 'toxicity.hate > 0.5'], ['{ score: toxicity.hate, lte: 0.5 }', 'toxicity.hate ≤ 0.5'],
    ['{ score: toxicity.hate, lt: 0.5 }', 'toxicity.hate < 0.5'], ['{ score: toxicity.hate, eq: 1 }', 'toxicity.hate = 1'], ['{ score: "toxicity.*", between: [0.5, 0.85] }', 'toxicity.* from 0.5 to 0.85'],
    ['{ score: toxicity.hate, exists: true }', 'toxicity.hate is there'], ['{ context: user.trust, exists: false }', 'user.trust is absent'], ['{ context: surface, eq: kids }', 'surface = kids'],
  ] as const;
  for (const [when, text] of leaves) t.equal(told(when), text);
  const [hate] = leaves[0]!;
  t.equal(told(`{ all: [ ${hate}, { any: [ { context: surface, eq: kids }, { not: { all: [ ${hate}, { context: surface, eq: web } ] } } ] } ] }`), 'toxicity.hate ≥ 0.5 and (surface = kids or not (toxicity.hate ≥ 0.5 and surface = web))');
  t.equal(told(`{ any: [ ${hate}, { all: [ ${hate}, ${hate} ] } ] }`), 'toxicity.hate ≥ 0.5 or (toxicity.hate ≥ 0.5 and toxicity.hate ≥ 0.5)');
});
