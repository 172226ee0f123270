/**
 * Estimates: exactly unbiased over every sample there is, equal to the plain intervals where weights are equal, honest about
 * what nobody labelled; in `estimate-coverage.test.ts` intervals hold the truth as often as they say.
 */
import fc from 'fast-check';
import t from 'tap';
import { estimateByCategory, estimateByDomain, estimateRate, type PooledEstimate, type SampledItem } from '../../src/risk/estimate.ts';
import { INCLUSION_PROBABILITY_MIN } from '../../src/contract/risk.ts';
import { clopperPearson, clopperPearsonUpper, exactInterval, midP } from '../../src/risk/intervals.ts';
import { runs, seed } from '../helpers/runs.ts';

const near = (actual: number | undefined, expected: number, by = 1e-9): boolean => actual !== undefined && Math.abs(actual - expected) <= by * Math.max(1, Math.abs(expected));
const item = (stratum: string, p: number, label?: 'safe' | 'violation', category?: string): SampledItem => ({ stratum, inclusion_probability: p, label, category });
const many = (count: number, one: SampledItem): SampledItem[] => Array<SampledItem>(count).fill(one);

t.test('over every sample that can be drawn the total of Horvitz and Thompson is the true one, and so is its variance', async (t) => {
  const all = [item('a', 0.2, 'violation'), item('a', 0.2, 'safe'), item('a', 0.5, 'violation'), item('b', 0.9, 'violation'), item('b', 0.9, 'safe'), item('b', 0.3, 'violation'), item('c', 1, 'violation'), item('c', 0.7, 'safe')];
  let [mean, square, variance] = [0, 0, 0];
  for (let drawn = 0; drawn < 2 ** all.length; drawn++) {
    const isDrawn = (i: number): boolean => (drawn >> i) % 2 === 1;
    const chance = all.reduce((product, { inclusion_probability: p }, i) => product * (isDrawn(i) ? p : 1 - p), 1);
    const { violations, standardError } = estimateRate(all.filter((_, i) => isDrawn(i))).total;
    mean += chance * violations;
    square += chance * violations ** 2;
    variance += chance * standardError ** 2;
  }
  t.ok(near(mean, 5), `${mean} of 5`);
  t.ok(near(variance, square - mean ** 2), `variance ${variance} of ${square - mean ** 2}`);
});

t.test('one stratum with one probability: mid-P and Clopper-Pearson, digit for digit', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(400), fc.double({ min: 0.001, max: 1, noNaN: true }), (n, more, p) => {
    const violations = Math.min(n, more);
    const found = estimateRate([...many(violations, item('s', p, 'violation')), ...many(n - violations, item('s', p, 'safe'))]);
    const [mid, exact, given] = [midP(violations, n), clopperPearson(violations, n), exactInterval(found.confidence)];
    if (!near(found.rate, violations / n) || !near(found.effectiveSize, n) || !near(found.population, n / p)) throw new Error('rate');
    if (!near(found.interval.low, mid.low) || !near(found.interval.high, mid.high)) throw new Error(`mid-P ${found.interval.low} to ${found.interval.high}, not ${mid.low} to ${mid.high}`);
    if (!near(given.low, exact.low) || !near(given.high, exact.high) || !near(found.upper, clopperPearsonUpper(violations, n))) throw new Error('exact');
    if (n > 1 && !near(found.standardError, Math.sqrt(((violations / n) * (1 - violations / n)) / (n - 1)))) throw new Error(`error ${found.standardError}`);
  }), { numRuns: runs(150), seed });
});

t.test('strata count by their population, not by their sample', async (t) => {
  const items = [...many(90, item('rare', 0.9, 'safe')), ...many(10, item('rare', 0.9, 'violation')), ...many(100, item('common', 0.001, 'safe'))];
  const found = estimateRate(items, { population: new Map([['rare', 111], ['common', 99_889]]) });
  t.ok(near(found.rate, (111 * 0.1) / 100_000), String(found.rate));
  t.ok(found.upper > 0.02 && found.upper < 0.05, `100 labels of the common stratum cannot say more than about 3 %: ${found.upper}`);
  t.equal(found.population, 100_000);
  t.ok(near(found.effectiveSize, 100, 0.01));
  t.ok(near(found.strata.get('rare')!.rate, 0.1));
  t.ok(near(found.strata.get('common')!.interval.high, 1 - 0.05 ** (1 / 100)));
});

t.test('what nobody labelled is not safe: the rate is that of the labelled, the bounds hold both extremes', async (t) => {
  const items = [...many(9, item('s', 0.1, 'violation')), ...many(81, item('s', 0.1, 'safe')), ...many(10, item('s', 0.1))];
  const found = estimateRate(items);
  t.same([found.sampled, found.labelled, found.violations], [100, 90, 9]);
  t.ok(near(found.rate, 0.1) && near(found.responseShare, 0.9) && near(found.bounds.low, 0.09) && near(found.bounds.high, 0.19));
  t.ok(near(found.total.violations, 100), 'as many as if the rest had been labelled like these');
  t.equal(found.uncovered, 0);
});

t.test('a stratum that nobody labelled is named: uncovered, and open in the bounds', async (t) => {
  const found = estimateRate([...many(50, item('seen', 0.5, 'safe')), ...many(5, item('drawn', 0.5))], { population: new Map([['seen', 100], ['drawn', 60], ['never', 40]]) });
  t.same([found.rate, found.labelled, found.sampled, found.population], [0, 50, 55, 200]);
  t.ok(near(found.uncovered, 0.5) && near(found.bounds.low, 0) && near(found.bounds.high, 0.5) && near(found.responseShare, 0.5));
  const drawn = found.strata.get('drawn')!;
  t.same([drawn.rate, drawn.standardError, drawn.interval, drawn.upper, drawn.effectiveSize], [undefined, undefined, { low: 0, high: 1 }, 1, 0], 'nothing known');
});

t.test('nothing drawn, nothing there', async (t) => {
  for (const population of [undefined, new Map([['s', 0]])]) {
    const found = estimateRate([], { population });
    t.same([found.rate, found.interval, found.upper, found.bounds, found.population, found.total.violations, found.uncovered], [undefined, { low: 0, high: 1 }, 1, { low: 0, high: 1 }, 0, 0, 0]);
  }
  t.equal(estimateRate([item('s', 1, 'safe')], { population: new Map([['s', 0]]) }).population, 1, 'what was drawn was there');
});

const anyItem = fc.record({
  stratum: fc.constantFrom('a', 'b', 'c'), inclusion_probability: fc.constantFrom(0.01, 0.1, 0.3, 1), label: fc.constantFrom('safe' as const, 'safe' as const, 'violation' as const, undefined),
  category: fc.constantFrom('hate', 'illicit'), product: fc.constantFrom('x', 'y'),
});

t.test('properties: order, range, the rate within interval and bounds, more doubt with more confidence asked for', async () => {
  fc.assert(fc.property(fc.array(anyItem, { minLength: 1, maxLength: 60 }), fc.boolean(), (items, isCounted) => {
    const population = isCounted ? new Map([['a', 9_000], ['b', 500], ['c', 70], ['d', 10]]) : undefined;
    const found = estimateRate(items, { population });
    const shuffled = estimateRate([...items].reverse(), { population });
    if (!near(found.upper, shuffled.upper) || (found.rate !== undefined && !near(shuffled.rate, found.rate))) throw new Error('order');
    const { rate, interval, bounds, upper } = found;
    if (!(bounds.low >= 0 && bounds.low <= bounds.high && bounds.high <= 1 && interval.low <= interval.high)) throw new Error('range');
    if (rate === undefined) return;
    if (!(interval.low <= rate + 1e-9 && rate <= interval.high + 1e-9 && rate <= upper + 1e-9)) throw new Error(`${rate} outside ${interval.low} to ${interval.high}`);
    const wider = estimateRate(items, { population, confidence: 0.99 });
    if (wider.interval.low > interval.low + 1e-9 || wider.interval.high < interval.high - 1e-9 || wider.upper < upper - 1e-9) throw new Error('99 % is wider');
    const judged = items.map((one): SampledItem => ({ ...one, label: one.label ?? 'violation' }));
    if (population === undefined && !near(estimateRate(judged).rate, bounds.high)) throw new Error('the upper bound is reached if all the silent are violations');
  }), { numRuns: runs(400), seed });
});

t.test('extremes of weights and populations give an answer, and a rate inside it', async () => {
  const part = fc.record({ p: fc.double({ min: -6, max: 0, noNaN: true }).map((power) => Math.max(INCLUSION_PROBABILITY_MIN, 10 ** power)), safe: fc.nat(300), violations: fc.nat(300), size: fc.double({ min: 0, max: 1e12, noNaN: true }) });
  fc.assert(fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
    const population = new Map(parts.map(({ size }, i) => [String(i), size]));
    const { rate, interval, upper } = estimateRate(parts.flatMap(({ p, safe, violations }, i) => [...many(safe, item(String(i), p, 'safe')), ...many(violations, item(String(i), p, 'violation'))]), { population });
    if (!(interval.low <= (rate ?? 0) + 1e-9 && (rate ?? 1) <= interval.high + 1e-9 && (rate ?? 1) <= upper + 1e-9)) throw new Error(`${rate}: ${interval.low} to ${interval.high}, ${upper}`);
  }), { numRuns: runs(200), seed });
});

t.test('properties: domains and categories are parts of the whole', async () => {
  const sum = (all: ReadonlyMap<string, PooledEstimate>, of: (one: PooledEstimate) => number): number => [...all.values()].reduce((total, one) => total + of(one), 0);
  fc.assert(fc.property(fc.array(anyItem.map((one) => ({ ...one, label: one.label ?? ('safe' as const) })), { minLength: 1, maxLength: 60 }), fc.boolean(), (items, isCounted) => {
    const population = isCounted ? new Map([['a', 9_000_000], ['b', 800_000], ['c', 700_000]].filter(([stratum]) => items.some((one) => one.stratum === stratum)) as [string, number][]) : undefined;
    const whole = estimateRate(items, { population });
    const [domains, categories] = [estimateByDomain(items, ({ product }) => product, { population }), estimateByCategory(items, { population })];
    if (!near(sum(domains, (one) => one.population), whole.population)) throw new Error('populations of the domains');
    if (!near(sum(domains, (one) => one.total.violations), whole.total.violations)) throw new Error('totals of the domains');
    if (!near(sum(domains, (one) => one.rate! * one.population), whole.rate! * whole.population)) throw new Error('rates of the domains');
    if (!near(sum(categories, (one) => one.rate!), whole.rate!)) throw new Error('rates of the categories');
    for (const one of categories.values()) if (one.labelled !== whole.labelled) throw new Error('a category is a part of everything');
  }), { numRuns: runs(300), seed });
});

t.test('limits: an inclusion probability just within and just beyond, populations', async (t) => {
  t.doesNotThrow(() => estimateRate([item('s', INCLUSION_PROBABILITY_MIN, 'safe'), item('s', 1, 'violation')]));
  for (const p of [INCLUSION_PROBABILITY_MIN * 0.99, 0, 1.001, Number.NaN]) t.throws(() => estimateRate([item('s', p, 'safe')]), { name: 'RangeError', message: /inclusion probability between/ });
  for (const size of [-1, Number.NaN, Number.POSITIVE_INFINITY]) t.throws(() => estimateRate([], { population: new Map([['s', size]]) }), { name: 'RangeError', message: /population from 0/ });
});

t.test('large: 200,000 labels are no matter, nor a stratum where everything is a violation', async (t) => {
  const found = estimateRate([...many(199_000, item('s', 0.01, 'safe')), ...many(1_000, item('t', 0.5, 'violation'))]);
  t.ok(found.interval.low > 0 && found.interval.high < 0.001 && near(found.population, 19_902_000));
});
