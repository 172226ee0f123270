/** Correction for labelling errors: published figures, when it means nothing, and simulated coverage with a known truth. */
import fc from 'fast-check';
import t from 'tap';
import { type Correction, correctRate, DRAWS_MAX, DRAWS_MIN, type Gold, roganGladen } from '../../src/risk/calibrate.ts';
import { confidenceOf, midP } from '../../src/risk/intervals.ts';
import { drawBinomial, monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const observed = (events: number, n: number): { readonly rate: number; readonly confidence: ReturnType<typeof confidenceOf> } => ({ rate: events / n, confidence: confidenceOf(events, n) });
const gold = (n: number, sensitivity: number, specificity: number, safe = n): Gold => ({ violation: { n, correct: Math.round(n * sensitivity) }, safe: { n: safe, correct: Math.round(safe * specificity) } });

t.test('observed 2 %, sensitivity 0.90: specificity 0.97 gives less than nothing, 0.99 gives 1.1 %, 0.995 gives 1.7 %', async (t) => {
  t.same([0.97, 0.99, 0.995].map((specificity) => Number((100 * roganGladen(0.02, 0.9, specificity)).toFixed(1))), [-1.1, 1.1, 1.7]);
  t.ok(Math.abs(roganGladen(0.02, 1, 1) - 0.02) < 1e-15, 'who never errs changes nothing');
});

t.test('the correction says when it means nothing', async (t) => {
  const of = (events: number, given: Gold): Correction => correctRate(observed(events, 5_000), given, { random: randomOf(1) }).correction;
  t.equal(of(100, gold(500, 0.9, 0.97, 2_000)), 'noise', 'more false reports are to be expected than violations were seen');
  t.equal(of(100, gold(500, 0.9, 0.98, 500)), 'noise', 'it may all be false reports');
  const few = correctRate(observed(100, 5_000), gold(500, 0.9, 0.99, 200), { random: randomOf(1) });
  t.ok(few.correction === 'noise' && few.formula! > 0.01 && few.interval.low === 0, 'the formula gives something, 200 items cannot vouch for it');
  t.equal(of(100, gold(500, 0.9, 0.999, 4_000)), 'corrected');
  t.equal(of(0, gold(500, 0.9, 0.99)), 'corrected', 'none seen is no noise');
  t.equal(of(100, gold(500, 0.5, 0.5)), 'no_information', 'a coin');
  t.equal(of(100, gold(10, 0.6, 0.6)), 'no_information', 'too few items to tell it from a coin');
  t.equal(of(100, gold(500, 0.2, 0.3)), 'no_information', 'worse than a coin');
  t.equal(of(100, { violation: { n: 0, correct: 0 }, safe: { n: 50, correct: 50 } }), 'no_information', 'no violation was ever shown');
  t.equal(of(100, { violation: { n: 50, correct: 50 }, safe: { n: 0, correct: 0 } }), 'no_information', 'nothing safe was ever shown');
  const nothing = correctRate({ rate: undefined, confidence: { lower: { a: 0, b: 1 }, upper: { a: 1, b: 0 } } }, gold(500, 0.9, 0.99), { random: randomOf(1) });
  t.same([nothing.correction, nothing.rate, nothing.formula, nothing.interval], ['no_information', undefined, undefined, { low: 0, high: 1 }]);
  const negative = correctRate(observed(100, 5_000), gold(500, 0.9, 0.97, 2_000), { random: randomOf(1) });
  t.ok(negative.formula! < 0 && negative.rate === 0, 'the formula is told, the rate is none below 0');
});

t.test('almost perfect people with very many items: the interval is that of the labels', async (t) => {
  const { rate, interval, sensitivity } = correctRate(observed(3, 1_000), gold(10_000_000, 1, 1), { random: randomOf(2), draws: 40_000 });
  const plain = midP(3, 1_000);
  t.ok(Math.abs(rate! - 0.003) < 1e-15);
  t.equal(sensitivity.rate, 1);
  t.ok(Math.abs(interval.low - plain.low) < 3e-4 && Math.abs(interval.high - plain.high) < 3e-4, `${interval.low} to ${interval.high}`);
});

t.test('properties: the same chance gives the same, the rate lies within its interval, fewer items never narrow it much', async () => {
  fc.assert(fc.property(fc.nat(300), fc.integer({ min: 60, max: 100 }), fc.integer({ min: 90, max: 100 }), fc.nat(1_000), (events, sensitivity, specificity, of) => {
    const given = gold(200, sensitivity / 100, specificity / 100);
    const found = correctRate(observed(events, 2_000), given, { random: randomOf(of), draws: 500 });
    const again = correctRate(observed(events, 2_000), given, { random: randomOf(of), draws: 500 });
    if (JSON.stringify(found) !== JSON.stringify(again)) throw new Error('chance');
    const { interval, rate } = found;
    if (rate === undefined) return;
    if (!(interval.low >= 0 && interval.high <= 1 && interval.low <= rate + 1e-9 && rate <= interval.high + 1e-9)) throw new Error(`${rate} outside ${interval.low} to ${interval.high}`);
    const fewer = correctRate(observed(events, 2_000), gold(20, sensitivity / 100, specificity / 100), { random: randomOf(of), draws: 500 });
    if (fewer.interval.high - fewer.interval.low < 0.5 * (interval.high - interval.low)) throw new Error('fewer items');
  }), { numRuns: runs(60), seed });
});

t.test('95 % intervals of corrected rates hold the truth', async (t) => {
  const worlds = runs(1) > 1 ? 2_000 : 200;
  const random = randomOf(14);
  for (const [truth, sensitivity, specificity, violating, safe, n] of [[0.02, 0.9, 0.995, 150, 600, 2_000], [0.05, 0.9, 0.97, 100, 400, 2_000], [0.05, 0.95, 1, 100, 300, 2_000], [0.1, 0.8, 0.95, 60, 200, 1_500], [0.005, 0.9, 0.999, 200, 2_000, 3_000]] as const) {
    let held = 0;
    for (let world = 0; world < worlds; world++) {
      const seen = drawBinomial(random, n, truth * sensitivity + (1 - truth) * (1 - specificity));
      const given: Gold = { violation: { n: violating, correct: drawBinomial(random, violating, sensitivity) }, safe: { n: safe, correct: drawBinomial(random, safe, specificity) } };
      const { low, high } = correctRate(observed(seen, n), given, { random, draws: 600 }).interval;
      if (low <= truth && truth <= high) held++;
    }
    const share = held / worlds;
    t.comment(`truth ${truth}, sensitivity ${sensitivity} of ${violating}, specificity ${specificity} of ${safe}, ${n} labels: coverage ${(100 * share).toFixed(2)} ± ${(100 * monteCarloError(share, worlds)).toFixed(2)} %`);
    t.ok(share >= 0.94 - 2 * monteCarloError(0.95, worlds), `${share}`);
    t.ok(share <= 0.98 + 2 * monteCarloError(0.98, worlds), `${share}`);
  }
});

t.test('limits', async (t) => {
  const at = (draws: number): (() => unknown) => () => correctRate(observed(0, 1), { violation: { n: 0, correct: 0 }, safe: { n: 0, correct: 0 } }, { random: randomOf(1), draws });
  for (const draws of [DRAWS_MIN, DRAWS_MAX]) t.doesNotThrow(at(draws));
  for (const draws of [DRAWS_MIN - 1, DRAWS_MAX + 1, 500.5]) t.throws(at(draws), { name: 'RangeError', message: /takes 200 to 1000000 draws/ });
  for (const bad of [{ n: 1, correct: 2 }, { n: 1, correct: -1 }, { n: -1, correct: -1 }]) t.throws(() => correctRate(observed(1, 2), { ...gold(5, 1, 1), safe: bad }, { random: randomOf(1) }), { name: 'RangeError', message: /cannot be right/ });
});
