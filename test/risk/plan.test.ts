/** Plans: the published table, that a plan is the least that holds, and shares among strata. */
import fc from 'fast-check';
import t from 'tap';
import { clopperPearsonUpper, wilson } from '../../src/risk/intervals.ts';
import { allocate, claimPlans, claimSize, precisionSize, type StratumSize } from '../../src/risk/plan.ts';
import { sprtSizes } from '../../src/risk/sprt.ts';
import { runs, seed } from '../helpers/runs.ts';

t.test('below 2 % at 95 %: 149, 236, 313, 386, 456, 523, 590, 655 labels with 0 to 7 errors', async (t) => {
  t.same(claimPlans(0.02, 7).map(({ errors, n }) => [errors, n]), [[0, 149], [1, 236], [2, 313], [3, 386], [4, 456], [5, 523], [6, 590], [7, 655]]);
  const [none] = claimPlans(0.02, 0);
  t.ok(Math.abs(none.power.at(-1)!.chance - 0.985 ** 149) < 1e-12, 'a plan without errors succeeds as often as no label errs');
});

t.test('sequential sizes: 850 and 677 against 1,552 fixed; 324 and 206 against 533', async (t) => {
  t.same(sprtSizes({ good: 0.01, bad: 0.02, alpha: 0.05, beta: 0.05 }), { ifGood: 850, ifBad: 677, fixed: 1_552 });
  t.same(sprtSizes({ good: 0.005, bad: 0.02, alpha: 0.05, beta: 0.05 }), { ifGood: 324, ifBad: 206, fixed: 533 });
});

t.test('a claim and the limit that reports it say the same, for any target', async () => {
  fc.assert(fc.property(fc.double({ min: 1e-4, max: 0.5, noNaN: true }), fc.integer({ min: 0, max: 30 }), fc.constantFrom(0.9, 0.95, 0.99), (rate, errors, confidence) => {
    const n = claimSize(rate, errors, confidence);
    if (clopperPearsonUpper(errors, n, confidence) > rate + 1e-12) throw new Error(`${n} labels do not bear the claim out`);
    if (n > errors + 1 && clopperPearsonUpper(errors, n - 1, confidence) <= rate - 1e-12) throw new Error(`${n - 1} labels would do`);
    if (clopperPearsonUpper(errors + 1, n, confidence) <= rate) throw new Error('one error more still holds');
  }), { numRuns: runs(200), seed });
});

t.test('precision: the sample found has about the half width asked for; a small population takes fewer, never more than itself', async (t) => {
  t.equal(precisionSize(0.5, 0.03), 1_068, 'the number of every opinion poll');
  t.equal(precisionSize(0.02, 0.005), 3_012);
  for (const [rate, halfWidth] of [[0.02, 0.005], [0.1, 0.01], [0.3, 0.02]] as const) {
    const n = precisionSize(rate, halfWidth);
    const { low, high } = wilson(rate * n, n);
    t.ok(Math.abs((high - low) / 2 / halfWidth - 1) < 0.02, `${rate} to within ${halfWidth}`);
  }
  t.equal(precisionSize(0.5, 0.03, { population: 1_000 }), 517);
  t.ok(precisionSize(0.5, 0.001, { population: 1_000 }) <= 1_000);
});

const strata: readonly StratumSize[] = [{ stratum: 'low', population: 900_000, rate: 0.005 }, { stratum: 'high', population: 90_000, rate: 0.05 }, { stratum: 'few', population: 20, rate: 0.5 }];

t.test('shares: proportional, by Neyman, with a minimum, never more than there is', async (t) => {
  const shares = (method: 'proportional' | 'neyman', stratumMin: number): number[] => allocate({ strata, n: 1_000, method, stratumMin }).map(({ n }) => n);
  t.same(shares('proportional', 0), [909, 91, 0]);
  t.same(shares('proportional', 100), [880, 100, 20]);
  // Population times root of rate (1 - rate): 63,480, 19,615 and 10.
  t.same(shares('neyman', 0), [764, 236, 0]);
  t.same(allocate({ strata, n: 10, method: 'neyman', stratumMin: 20 }).map(({ n }) => n), [20, 20, 20], 'the minimum of each goes before the sum');
  t.same(allocate({ strata, n: 10_000_000, method: 'neyman', stratumMin: 0 }).map(({ inclusion_probability }) => inclusion_probability), [1, 1, 1], 'everything');
  t.same(allocate({ strata: [], n: 10, method: 'neyman', stratumMin: 1 }), []);
  t.same(allocate({ strata: [{ stratum: 'empty', population: 0 }], n: 10, method: 'proportional', stratumMin: 1 }), [{ stratum: 'empty', n: 0, inclusion_probability: 1 }]);
});

t.test('properties of shares: the sum is right, minimum and population are kept, and no other shares of Neyman know more', async () => {
  const size = fc.record({ population: fc.integer({ min: 0, max: 100_000 }), rate: fc.double({ min: 0.001, max: 0.5, noNaN: true }) });
  fc.assert(fc.property(fc.array(size, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 60 }), fc.constantFrom('proportional' as const, 'neyman' as const), (sizes, n, stratumMin, method) => {
    const given = sizes.map((one, i) => ({ ...one, stratum: String(i) }));
    const shares = allocate({ strata: given, n, method, stratumMin });
    const least = given.map(({ population }) => Math.min(stratumMin, population));
    const sum = shares.reduce((total, share) => total + share.n, 0);
    const wanted = Math.max(least.reduce((a, b) => a + b, 0), Math.min(n, given.reduce((total, { population }) => total + population, 0)));
    if (sum !== wanted) throw new Error(`${sum} instead of ${wanted}`);
    shares.forEach((share, i) => {
      if (share.n < least[i] || share.n > given[i].population) throw new Error('bounds');
    });
    if (method === 'proportional') return;
    const variance = (of: readonly number[]): number => given.reduce((total, { population, rate }, i) => total + (population === 0 ? 0 : (population ** 2 * rate * (1 - rate)) / Math.max(of[i], 1e-9)), 0);
    const best = variance(shares.map((share) => share.n));
    // Two labels moved from any stratum to any other make it no better, up to the rounding of one.
    for (const from of shares.keys()) for (const to of shares.keys()) {
      const moved = shares.map((share, i) => share.n - (i === from ? 2 : 0) + (i === to ? 2 : 0));
      if (from === to || moved[from] < Math.max(least[from], 5) || moved[to] > given[to].population || shares[to].n < 5) continue;
      if (variance(moved) < best * (1 - 1e-9)) throw new Error(`moving from ${from} to ${to} knows more`);
    }
  }), { numRuns: runs(300), seed });
});

t.test('limits', async (t) => {
  t.equal(claimSize(0.999_999, 0), 1);
  for (const rate of [0, 1, -1, Number.NaN]) t.throws(() => claimSize(rate, 0), { name: 'RangeError', message: /between 0 and 1/ });
  for (const errors of [-1, 0.5]) t.throws(() => claimSize(0.02, errors), { name: 'RangeError', message: /whole number from 0/ });
  t.throws(() => claimSize(0.02, 0, 1), { name: 'RangeError', message: /confidence/ });
  t.equal(claimSize(3e-8, 0), 99_857_741, 'just within the most labels of a plan');
  t.throws(() => claimSize(2.9e-8, 0), { name: 'RangeError', message: /more than 100000000 labels; allow fewer errors or claim less/ });
  t.throws(() => precisionSize(0, 0.1), { name: 'RangeError' });
  t.throws(() => precisionSize(0.1, 0), { name: 'RangeError' });
  t.throws(() => precisionSize(0.1, 0.1, { population: 0 }), { name: 'RangeError' });
  t.throws(() => precisionSize(0.1, 0.1, { confidence: 1 }), { name: 'RangeError' });
  t.throws(() => allocate({ strata, n: 1.5, method: 'neyman', stratumMin: 0 }), { name: 'RangeError' });
  t.throws(() => allocate({ strata, n: 1, method: 'neyman', stratumMin: -1 }), { name: 'RangeError' });
  t.throws(() => allocate({ strata: [{ stratum: 'a', population: -1 }], n: 1, method: 'neyman', stratumMin: 0 }), { name: 'RangeError', message: /population from 0/ });
  t.throws(() => allocate({ strata: [{ stratum: 'a', population: 1, rate: 2 }], n: 1, method: 'neyman', stratumMin: 0 }), { name: 'RangeError', message: /foreseen rate/ });
});
