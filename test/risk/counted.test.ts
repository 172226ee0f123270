/** Estimates from counts of what is alike are those from each by itself. */
import fc from 'fast-check';
import t from 'tap';
import { estimateByCategory, estimateByDomain, estimateRate, type PooledEstimate, type SampledItem } from '../../src/risk/estimate.ts';
import { runs, seed } from '../helpers/runs.ts';

type Item = SampledItem & { readonly product: string };

const kind = fc.record({
  stratum: fc.constantFrom('a', 'b', 'c'), inclusion_probability: fc.constantFrom(0.01, 0.25, 1), product: fc.constantFrom('x', 'y'),
  label: fc.constantFrom('safe' as const, 'violation' as const, undefined), category: fc.constantFrom('hate', 'illicit'), count: fc.integer({ min: 1, max: 30 }),
});

function near(one: PooledEstimate, other: PooledEstimate): string[] {
  const numbers = ({ sampled, labelled, violations, rate, standardError, interval, upper, effectiveSize, responseShare, bounds, uncovered, total, population }: PooledEstimate): Record<string, number> =>
    ({ sampled, labelled, violations, rate: rate ?? -1, standardError: standardError ?? -1, low: interval.low, high: interval.high, upper, effectiveSize, responseShare, boundLow: bounds.low, boundHigh: bounds.high, uncovered, total: total.violations, totalError: total.standardError, population });
  const [a, b] = [numbers(one), numbers(other)];
  return Object.keys(a).filter((name) => !(Math.abs(a[name]! - b[name]!) <= 1e-7 * Math.max(1, Math.abs(b[name]!)))).map((name) => `${name} ${a[name]} ${b[name]}`);
}

t.test('counted and one by one', async (t) => {
  fc.assert(fc.property(fc.array(kind, { minLength: 1, maxLength: 12 }), (kinds) => {
    const single = kinds.flatMap(({ count, ...one }): Item[] => Array.from({ length: count }, () => one));
    const found = near(estimateRate(kinds), estimateRate(single));
    const categories = [...estimateByCategory(single)].flatMap(([name, one]) => near(estimateByCategory(kinds).get(name)!, one));
    const domains = [...estimateByDomain(single, ({ product }) => product)].flatMap(([name, one]) => near(estimateByDomain<Item>(kinds, ({ product }) => product).get(name)!, one));
    if (found.length + categories.length + domains.length > 0) throw new Error([...found, ...categories, ...domains].join('; '));
  }), { numRuns: runs(300), seed });
  t.pass('they are the same');
});
