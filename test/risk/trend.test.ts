/** Rates over time: comparisons against exact tests, spikes that are seen, false alarms as rare as asked for. */
import fc from 'fast-check';
import t from 'tap';
import { estimateRate, type SampledItem } from '../../src/risk/estimate.ts';
import { confidenceOf, midP } from '../../src/risk/intervals.ts';
import { BASELINE_PERIODS_MIN, changeBetween, type Period, periodOf, ratesOf, type Series, spikesOf } from '../../src/risk/trend.ts';
import { drawBinomial, monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const period = (events: number, n: number, start = '2026-01-01'): Period => ({ start, events, n });
const near = (actual: number | undefined, expected: number, by = 1e-9): boolean => actual !== undefined && Math.abs(actual - expected) <= by * Math.max(1, Math.abs(expected));
const worlds = runs(1) > 1 ? 2_000 : 400;

t.test('each period with its interval; one without labels says nothing', async (t) => {
  t.same(ratesOf([period(2, 200), period(0, 0, '2026-01-08')]), [{ start: '2026-01-01', events: 2, n: 200, rate: 0.01, interval: midP(2, 200) }, { start: '2026-01-08', events: 0, n: 0, rate: undefined, interval: { low: 0, high: 1 } }]);
});

t.test('a period of an estimate counts what a simple random sample would have to, to say as much', async (t) => {
  const items = (count: number, label: 'safe' | 'violation' | undefined, p: number): SampledItem[] => Array<SampledItem>(count).fill({ stratum: String(p), inclusion_probability: p, label });
  const alike = periodOf('w', estimateRate([...items(3, 'violation', 0.1), ...items(97, 'safe', 0.1)]));
  t.ok(near(alike.events, 3) && near(alike.n, 100), 'drawn alike: what was counted');
  const none = periodOf('w', estimateRate(items(80, 'safe', 0.1)));
  t.ok(none.events === 0 && near(none.n, 80));
  t.same(periodOf('w', estimateRate(items(5, undefined, 0.1))), { start: 'w', events: 0, n: 0 });
  const estimate = estimateRate([...items(30, 'violation', 0.9), ...items(70, 'safe', 0.9), ...items(1, 'violation', 0.001), ...items(199, 'safe', 0.001)]);
  const weighted = periodOf('w', estimate);
  const { lower } = confidenceOf(weighted.events, weighted.n);
  t.ok(near(weighted.events / weighted.n, estimate.rate!) && near(lower.a, estimate.confidence.lower.a) && near(lower.b, estimate.confidence.lower.b), 'the same rate, the same lower limit');
  t.ok(weighted.events < 2 && weighted.n < 250, 'one heavy violation is one, not thirty');
});

t.test('two periods: exact by their sum', async (t) => {
  // Of 10 events 9 in the second of two equal samples: 2 (1 + 10) / 1024.
  const found = changeBetween(period(1, 500), period(9, 500))!;
  t.ok(near(found.p, 22 / 1024) && near(found.ratio, 9) && found.isChange);
  t.ok(found.ratioInterval.low > 1 && found.ratioInterval.low < 1.3 && found.ratioInterval.high > 300, 'an interval of the ratio as wide as ten events make it');
  t.same([changeBetween(period(0, 500), period(0, 900))!.p, changeBetween(period(0, 500), period(0, 900))!.isChange], [1, false]);
  t.equal(changeBetween(period(0, 500), period(3, 500))!.ratio, undefined);
  t.ok(near(changeBetween(period(0, 500), period(3, 500))!.p, 0.25));
  t.equal(changeBetween(period(0, 0), period(3, 500)), undefined);
  t.equal(changeBetween(period(3, 500), period(0, 0)), undefined);
});

t.test('properties: both directions agree, the interval of the ratio holds 1 where there is no change, more of the same is surer', async () => {
  const one = fc.integer({ min: 1, max: 3_000 }).chain((n) => fc.record({ n: fc.constant(n), events: fc.integer({ min: 0, max: Math.min(n, 60) }) }));
  fc.assert(fc.property(one, one, (a, b) => {
    const [before, after] = [period(a.events, a.n), period(b.events, b.n)];
    const [forth, back] = [changeBetween(before, after)!, changeBetween(after, before)!];
    if (!near(forth.p, back.p, 1e-7)) throw new Error(`${forth.p} and ${back.p}`);
    const holdsOne = forth.ratioInterval.low <= 1 + 1e-9 && forth.ratioInterval.high >= 1 - 1e-9;
    if (forth.p > 0.0501 !== holdsOne && Math.abs(forth.p - 0.05) > 1e-3) throw new Error(`p ${forth.p}, ratio ${forth.ratioInterval.low} to ${forth.ratioInterval.high}`);
    const double = changeBetween(period(2 * a.events, 2 * a.n), period(2 * b.events, 2 * b.n))!;
    if (forth.isChange && double.p > forth.p + 1e-9) throw new Error('twice the labels, less sure');
  }), { numRuns: runs(300), seed });
});

t.test('fractions of counts, however small, break nothing', async () => {
  const one = fc.record({ n: fc.double({ min: 0, max: 5_000, noNaN: true }), share: fc.double({ min: 0, max: 1, noNaN: true }) }).map(({ n, share }) => period(n * share ** 3, n));
  fc.assert(fc.property(fc.array(one, { minLength: 2, maxLength: 12 }), (periods) => {
    const change = changeBetween(periods[0], periods[1]);
    if (change !== undefined && !(change.p >= 0 && change.p <= 1 && change.ratioInterval.low <= change.ratioInterval.high)) throw new Error(JSON.stringify(change));
    const [{ p, adjusted, unrest }] = spikesOf([{ name: 's', periods }]);
    if (p !== undefined && !(p >= 0 && p <= 1 && adjusted! >= p - 1e-12 && unrest >= 1)) throw new Error(`${p}, ${adjusted}, ${unrest}`);
  }), { numRuns: runs(500), seed });
});

t.test('without a change between two periods one is found in at most 5 %', async (t) => {
  const random = randomOf(15);
  for (const [rate, before, after] of [[0.02, 500, 2_000], [0.005, 1_000, 1_000], [0.1, 800, 300]] as const) {
    let found = 0;
    for (let world = 0; world < worlds; world++) if (changeBetween(period(drawBinomial(random, before, rate), before), period(drawBinomial(random, after, rate), after))!.isChange) found++;
    t.comment(`rate ${rate}: a change in ${((100 * found) / worlds).toFixed(2)} %`);
    t.ok(found / worlds <= 0.05 + 2 * monteCarloError(0.05, worlds), String(found / worlds));
  }
});

const steady = (last: Period, name = 's', rate = 10): Series => ({ name, periods: [...Array.from({ length: 12 }, (_, i) => period(rate + (i % 3) - 1, 500)), last] });

t.test('a spike is seen, a fall and what is steady are not, the worst of many counts', async (t) => {
  const [up, down, same] = spikesOf([steady(period(40, 500), 'up'), steady(period(0, 500), 'down'), steady(period(11, 500), 'same')]);
  t.same([up.isSpike, down.isSpike, same.isSpike], [true, false, false]);
  t.ok(near(up.rate, 0.08) && near(up.baseline, 0.02) && up.baselinePeriods === 12 && up.unrest === 1);
  t.ok(up.p! < 1e-6 && near(up.adjusted, 3 * up.p!), 'adjusted for three series');
  const weak = steady(period(19, 500));
  t.ok(spikesOf([weak])[0].isSpike, 'alone it is one');
  t.notOk(spikesOf([weak, ...Array.from({ length: 200 }, (_, i) => steady(period(10, 500), String(i)))])[0].isSpike, 'among 201 it is to be expected');
});

t.test('a series that is never at rest must rise further', async (t) => {
  const wild = { name: 'wild', periods: [...[2, 25, 4, 18, 1, 30, 3, 9, 2, 22].map((events) => period(events, 500)), period(32, 500)] };
  const [found] = spikesOf([wild]);
  t.ok(found.unrest > 5 && !found.isSpike, `${found.unrest}, ${found.p}`);
  t.ok(spikesOf([{ name: 'wild', periods: [...wild.periods.slice(0, -1), period(200, 500)] }])[0].isSpike, 'far enough');
});

t.test('with a season only the same days are compared', async (t) => {
  const days = Array.from({ length: 28 }, (_, i) => period(i % 7 === 0 ? 40 : 4, 500));
  t.ok(spikesOf([{ name: 's', periods: [...days, period(40, 500)] }], { season: 1 })[0].baselinePeriods === 28);
  const [sunday] = spikesOf([{ name: 's', periods: [...days, period(40, 500)] }], { season: 7 });
  t.same([sunday.isSpike, sunday.baselinePeriods], [false, 4], 'as every Sunday');
  t.ok(spikesOf([{ name: 's', periods: [...days, period(4, 500), period(40, 500)] }], { season: 7 })[0].isSpike, 'no Monday was like that');
  t.equal(spikesOf([{ name: 's', periods: [...days.slice(0, 10), period(4, 500)] }], { season: 7 })[0].baselinePeriods, 10, 'too few rounds: everything before');
});

t.test('too little history, no labels, no series', async (t) => {
  const history = (length: number): Series => ({ name: 's', periods: [...Array.from({ length }, () => period(1, 500)), period(90, 500)] });
  t.same([spikesOf([history(BASELINE_PERIODS_MIN - 1)])[0].p, spikesOf([history(BASELINE_PERIODS_MIN - 1)])[0].isSpike], [undefined, false]);
  t.equal(spikesOf([history(BASELINE_PERIODS_MIN)])[0].isSpike, true);
  t.equal(spikesOf([steady(period(0, 0))])[0].p, undefined);
  t.same(spikesOf([]), []);
  t.same(spikesOf([{ name: 's', periods: [] }])[0].isSpike, false);
  t.equal(spikesOf([{ name: 's', periods: [...Array.from({ length: 8 }, () => period(0, 500)), period(0, 500)] }])[0].p, 1, 'never anything');
  t.ok(spikesOf([{ name: 's', periods: [...Array.from({ length: 8 }, () => period(0, 500)), period(9, 500)] }])[0].isSpike, 'something where there never was anything');
});

t.test('a look at ten series without a rise raises any false alarm in at most 5 %; with unrest of their own in about that', async (t) => {
  const random = randomOf(16);
  for (const [unrest, most] of [[0, 0.05], [0.3, 0.09]] as const) {
    let alarms = 0;
    for (let world = 0; world < worlds; world++) {
      const all = Array.from({ length: 10 }, (_, i): Series => ({ name: String(i), periods: Array.from({ length: 15 }, () => period(drawBinomial(random, 400, Math.min(1, 0.02 * Math.exp(unrest * normal(random)))), 400)) }));
      if (spikesOf(all).some(({ isSpike }) => isSpike)) alarms++;
    }
    t.comment(`unrest ${unrest}: alarms in ${((100 * alarms) / worlds).toFixed(2)} ± ${(100 * monteCarloError(alarms / worlds, worlds)).toFixed(2)} %`);
    t.ok(alarms / worlds <= most + 2 * monteCarloError(most, worlds), String(alarms / worlds));
  }
});

t.test('limits', async (t) => {
  t.throws(() => ratesOf([period(2, 1)]), { name: 'RangeError', message: /1 labels cannot hold 2/ });
  t.throws(() => changeBetween(period(0, 1), period(-1, 1)), { name: 'RangeError' });
  t.throws(() => spikesOf([steady(period(0, Number.POSITIVE_INFINITY))]), { name: 'RangeError' });
  for (const alpha of [0, 1, Number.NaN]) t.throws(() => spikesOf([], { alpha }), { name: 'RangeError' });
  for (const season of [0, 1.5]) t.throws(() => spikesOf([], { season }), { name: 'RangeError', message: /whole number of periods/ });
});

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
