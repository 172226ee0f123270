/** Special functions and intervals of one proportion: published tables, reference values to ten digits, exact coverage. */
import fc from 'fast-check';
import t from 'tap';
import { clopperPearson, clopperPearsonLower, clopperPearsonUpper, midP, ruleOfThree, wilson, type Interval } from '../../src/risk/intervals.ts';
import { BETA_PARAMETER_MAX, betaCdf, betaQuantile, binomialCdf, logGamma, normalCdf, normalQuantile } from '../../src/risk/special.ts';
import { runs, seed } from '../helpers/runs.ts';

/** By SciPy 1.17. */
const EXACT: readonly (readonly [events: number, n: number, low: number, high: number])[] = [
  [81, 263, 0.25273674558504267, 0.36762192260134746], [15, 148, 0.05784401008344801, 0.16165049034947895], [0, 20, 0, 0.16843347098308548], [1, 29, 0.0008726468835971072, 0.17764429548841465],
  [3, 1_000, 0.0006190999316499173, 0.008742023238657654], [2, 1_000_000, 2.422090713660331e-7, 7.2246688567814296e-6], [50_000, 1_000_000, 0.049573639547326395, 0.05042896936845124],
];

const kept = new Map<string, Interval>();

const near = (actual: number, expected: number, by = 1e-10): boolean => Math.abs(actual - expected) <= by;

t.test('special functions against reference values (SciPy 1.17)', async (t) => {
  const beta: readonly (readonly [x: number, a: number, b: number, expected: number])[] = [
    [0.02, 3, 200, 0.7706531762613916], [0.5, 2, 3, 0.6875], [0.01, 1e4, 1e6, 0.8425446061748842], [0.0101, 1e4, 1e6, 0.9777875433046725], [0.999, 500, 0.5, 0.31731044730971725],
    [1e-5, 0.01, 100, 0.9385242114120024], [0.3, 30, 70, 0.5116251045586087], [0.02, 200_001.5, 9_800_000.5, 0.49897272654498837], [0.25, 1e9, 3e9 / 3, 0], [0.5, 1e9, 1e9, 0.5], [0.10001, 1e8, 9e8, 0.854079012865081], [0, 2, 2, 0], [1, 2, 2, 1],
  ];
  for (const [x, a, b, expected] of beta) t.ok(near(betaCdf(x, a, b), expected), `I(${x}; ${a}, ${b})`);
  const quantiles: readonly (readonly [p: number, a: number, b: number, expected: number])[] = [
    [0.025, 2, 199, 0.0012133490137360304], [0.975, 3, 198, 0.035654668397239776], [0.95, 1, 149, 0.019904816220685077], [0.5, 1000, 1e6, 0.0009986686835126157], [0.975, 100_001, 1e7, 0.00996224158677508],
  ];
  for (const [p, a, b, expected] of quantiles) t.ok(near(betaQuantile(p, a, b), expected), `quantile ${p} of (${a}, ${b})`);
  t.ok(near(betaQuantile(0.025, 0.02, 40) / 1.1393979068096599e-82, 1), 'a quantile as small as that has its digits too');
  for (const [z, expected] of [[-6, 9.865876450376946e-10], [-1.96, 0.024997895148220435], [0, 0.5], [2.5, 0.9937903346742238], [-40, 0], [40, 1]] as const) t.ok(near(normalCdf(z), expected), `normal ${z}`);
  for (const [p, expected] of [[0.025, -1.9599639845400545], [0.05, -1.6448536269514729], [0.9999, 3.719016485455709]] as const) t.ok(near(normalQuantile(p), expected), `normal quantile ${p}`);
  for (const [x, expected] of [[0.01, 4.599479878042022], [0.5, 0.5723649429247], [1, 0], [14.9, 24.924132002217277], [15.1, 25.458999750992664], [1000, 5905.220423209181]] as const) t.ok(near(logGamma(x) / Math.max(1, expected), expected / Math.max(1, expected), 1e-13), `log gamma ${x}`);
  t.throws(() => betaCdf(0.5, 0, 1), { name: 'RangeError', message: /parameters above 0/ });
  t.throws(() => betaCdf(0.5, 1, BETA_PARAMETER_MAX * 1.01), { name: 'RangeError', message: /up to 1000000000, not 1 and 1010000000/ });
  t.throws(() => betaCdf(Number.NaN, 1, 1), { name: 'RangeError' });
  t.throws(() => betaQuantile(1.1, 1, 1), { name: 'RangeError', message: /between 0 and 1, not 1.1/ });
  t.throws(() => normalQuantile(1), { name: 'RangeError' });
});

t.test('the four examples of Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I', async (t) => {
  const table: readonly (readonly [events: number, n: number, score: readonly [number, number], exact: readonly [number, number], midP: readonly [number, number]])[] = [
    [81, 263, [0.2553, 0.3662], [0.2527, 0.3676], [0.2544, 0.3658]],
    [15, 148, [0.0624, 0.1605], [0.0578, 0.1617], [0.0601, 0.1581]],
    [0, 20, [0, 0.1611], [0, 0.1684], [0, 0.1391]],
    [1, 29, [0.0061, 0.1718], [0.0009, 0.1776], [0.0017, 0.1585]],
  ];
  for (const [events, n, ...expected] of table) {
    const found = [wilson(events, n), clopperPearson(events, n), midP(events, n)].map(({ low, high }) => [Number(low.toFixed(4)), Number(high.toFixed(4))]);
    t.same(found, expected, `${events} of ${n}`);
  }
});

t.test('Clopper and Pearson to ten digits (SciPy 1.17), and large samples', async (t) => {
  for (const [events, n, low, high] of EXACT) {
    const found = clopperPearson(events, n);
    t.ok(near(found.low, low) && near(found.high, high), `${events} of ${n}: ${found.low} to ${found.high}`);
  }
  t.ok(near(wilson(2, 200).low, 0.00275, 5e-6) && near(wilson(2, 200).high, 0.03572, 5e-6), '2 of 200 say 0.27 to 3.57 %');
  t.ok(near(wilson(10, 1000).low, 0.00544, 5e-6) && near(wilson(10, 1000).high, 0.01831, 5e-6), '10 of 1,000 say 0.54 to 1.83 %');
});

t.test('the rule of three lies just above the exact limit of no event', async (t) => {
  for (const n of [30, 100, 1_000, 100_000]) {
    const exact = clopperPearsonUpper(0, n);
    t.ok(near(exact, 1 - 0.05 ** (1 / n), 1e-14), 'for no event the exact limit has a formula');
    t.ok(exact < ruleOfThree(n) && ruleOfThree(n) < 1.06 * exact, String(n));
  }
  t.equal(ruleOfThree(2), 1);
});

t.test('properties: order of the intervals, mirror images, what lies inside, one side and two', async () => {
  const sample = fc.integer({ min: 1, max: 5_000 }).chain((n) => fc.record({ n: fc.constant(n), events: fc.oneof(fc.integer({ min: 0, max: n }), fc.double({ min: 0, max: n, noNaN: true })), confidence: fc.constantFrom(0.8, 0.9, 0.95, 0.99) }));
  fc.assert(fc.property(sample, ({ n, events, confidence }) => {
    const [exact, mid, score] = [clopperPearson(events, n, confidence), midP(events, n, confidence), wilson(events, n, confidence)];
    const share = events / n;
    for (const { low, high } of [exact, mid, score]) if (!(low >= 0 && low <= share + 1e-12 && share <= high + 1e-12 && high <= 1)) throw new Error('the share lies inside');
    if (!(exact.low <= mid.low + 1e-12 && mid.high <= exact.high + 1e-12)) throw new Error('mid-P lies within the exact interval');
    const mirrored = clopperPearson(n - events, n, confidence);
    if (!near(mirrored.low, 1 - exact.high, 1e-9) || !near(mirrored.high, 1 - exact.low, 1e-9)) throw new Error('mirror');
    const oneSided = 1 - (1 - confidence) / 2;
    if (!near(clopperPearsonUpper(events, n, oneSided), exact.high) || !near(clopperPearsonLower(events, n, oneSided), exact.low)) throw new Error('one side at half the error is one limit of both');
  }), { numRuns: runs(300), seed });
});

t.test('the limits invert the test: the tails at them are half the error each', async () => {
  const sample = fc.integer({ min: 2, max: 2_000 }).chain((n) => fc.record({ n: fc.constant(n), events: fc.integer({ min: 1, max: n - 1 }) }));
  fc.assert(fc.property(sample, ({ n, events }) => {
    const { low, high } = clopperPearson(events, n);
    if (!near(binomialCdf(events, n, high), 0.025, 1e-9) || !near(1 - binomialCdf(events - 1, n, low), 0.025, 1e-9)) throw new Error(`${events} of ${n}`);
  }), { numRuns: runs(300), seed });
});

t.test('coverage, exactly: Clopper-Pearson never below 95 %, mid-P about 95 % on the average, Wilson below where events are few', async (t) => {
  const rates = Array.from({ length: 120 }, (_, i) => 0.002 * 50 ** (i / 119));
  for (const n of [300, 1_000]) {
    const [exact, mid, score] = [clopperPearson, midP, wilson].map((of) => rates.map((rate) => coverage(of, n, rate)));
    const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / all.length;
    t.comment(`n ${n}, rates 0.2 to 10 %: mean (least) Clopper-Pearson ${mean(exact).toFixed(4)} (${Math.min(...exact).toFixed(4)}), mid-P ${mean(mid).toFixed(4)} (${Math.min(...mid).toFixed(4)}), Wilson ${mean(score).toFixed(4)} (${Math.min(...score).toFixed(4)})`);
    t.ok(exact.every((one) => one >= 0.95 - 1e-9), 'guaranteed');
    t.ok(mean(mid) > 0.945 && mean(mid) < 0.965 && Math.min(...mid) > 0.91, 'about');
  }
  t.ok(coverage(wilson, 1_000, 0.00017) < 0.9, 'why Wilson is not for rare events');
});

t.test('limits: no sample, more events than the sample, no confidence', async (t) => {
  t.ok(clopperPearson(0, 1).low === 0 && near(clopperPearson(0, 1).high, 0.975));
  t.same([midP(1, 1).high, midP(0, 1).low, wilson(5, 5).high, wilson(0, 5).low], [1, 0, 1, 0], 'the ends are reached to the last digit');
  t.throws(() => clopperPearson(0, 0), { name: 'RangeError', message: /sample above 0, not 0/ });
  t.ok(near(clopperPearson(1, 1).low, 0.025) && clopperPearson(1, 1).high === 1);
  t.throws(() => clopperPearson(2, 1), { name: 'RangeError', message: /sample of 1 cannot hold 2/ });
  t.throws(() => midP(-1, 1), { name: 'RangeError' });
  t.throws(() => wilson(Number.NaN, 1), { name: 'RangeError' });
  for (const confidence of [0, 1, Number.NaN]) t.throws(() => midP(1, 2, confidence), { name: 'RangeError', message: /confidence lies between/ });
  t.throws(() => ruleOfThree(0), { name: 'RangeError' });
});

/** Chance that the interval of a sample of `n` holds `rate`: summed over every count that can come. */
function coverage(of: (events: number, n: number) => Interval, n: number, rate: number): number {
  const chanceOf = (events: number): number => binomialCdf(events, n, rate) - binomialCdf(events - 1, n, rate);
  let covered = 0;
  for (let events = 0; events <= n; events++) {
    const chance = chanceOf(events);
    if (chance < 1e-12) {
      if (events > n * rate) break;
      continue;
    }
    const { low, high } = limitsOf(of, events, n);
    if (low <= rate && rate <= high) covered += chance;
  }
  return covered;
}

function limitsOf(of: (events: number, n: number) => Interval, events: number, n: number): Interval {
  const key = `${of.name} ${events} ${n}`;
  const found = kept.get(key) ?? of(events, n);
  kept.set(key, found);
  return found;
}
