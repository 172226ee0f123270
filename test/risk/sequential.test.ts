/**
 * Looking after every label: the sequential test errs in at most 5 %, the confidence sequence misses the rate, ever, in at most
 * 5 % of worlds, weighted or not; what looking does to a fixed interval stands beside it. 2,000 worlds with `WEIR_TEST_RUNS`
 * above 1. Seeded.
 */
import fc from 'fast-check';
import t from 'tap';
import { clopperPearson, midP } from '../../src/risk/intervals.ts';
import { evidenceAgainst, type LabelCount, peekingInterval } from '../../src/risk/peeking.ts';
import { advanceSprt, SPRT_START, sprtOf, type SprtPlan, type SprtState, sprtSizes } from '../../src/risk/sprt.ts';
import { monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const isLong = runs(1) > 1;
const plan: SprtPlan = { good: 0.01, bad: 0.02, alpha: 0.05, beta: 0.05 };
const alike = (labelled: number, violations: number): readonly LabelCount[] => [{ inclusion_probability: 1, labelled, violations }];

t.test('the sequential test errs in at most 5 % and takes about as many labels as Wald says', async (t) => {
  const worlds = isLong ? 2_000 : 600;
  const random = randomOf(11);
  for (const one of [plan, { ...plan, good: 0.005 }]) {
    const sizes = sprtSizes(one);
    for (const [rate, wrong, expected] of [[one.good, 'bad', sizes.ifGood], [one.bad, 'good', sizes.ifBad]] as const) {
      let [errors, labels] = [0, 0];
      for (let world = 0; world < worlds; world++) {
        const end = runTo(one, () => random() < rate);
        if (end.decision === wrong) errors++;
        labels += end.n / worlds;
      }
      const share = errors / worlds;
      t.comment(`${one.good} against ${one.bad}, true rate ${rate}: wrong in ${(100 * share).toFixed(2)} ± ${(100 * monteCarloError(share, worlds)).toFixed(2)} %, ${labels.toFixed(0)} labels on average, Wald ${expected}, fixed ${sizes.fixed}`);
      t.ok(share <= 0.05 + 2 * monteCarloError(0.05, worlds), `wrong in ${share}`);
      t.ok(labels > 0.9 * expected && labels < 1.25 * expected && labels < sizes.fixed, `${labels} labels`);
    }
  }
});

function runTo(one: SprtPlan, isViolation: () => boolean): SprtState {
  let state = SPRT_START;
  while (state.decision === 'open') state = advanceSprt(one, state, isViolation());
  return state;
}

t.test('the sequential test: all safe ends where the formula says, a decision stays, the path is what counts', async (t) => {
  const safe = runTo(plan, () => false);
  t.same([safe.decision, safe.n, safe.violations], ['good', Math.ceil(Math.log(0.05) / Math.log(0.98 / 0.99)), 0]);
  t.equal(advanceSprt(plan, safe, true), safe);
  const violating = runTo(plan, () => true);
  t.same([violating.decision, violating.n], ['bad', Math.ceil(-Math.log(0.05) / Math.log(2))]);
});

t.test('the sequential test from counts says what label after label says, until it has spoken', async (t) => {
  const random = randomOf(13);
  let state = SPRT_START;
  while (state.decision === 'open') {
    state = advanceSprt(plan, state, random() < 0.01);
    const counted = sprtOf(plan, state.n, state.violations);
    if (Math.abs(counted.evidence - state.evidence) > 1e-9 || counted.decision !== state.decision) t.fail(`${JSON.stringify(counted)} ${JSON.stringify(state)}`);
  }
  t.not(state.n, 0);
  t.equal(sprtOf(plan, 0, 0).decision, 'open');
  for (const [n, violations] of [[1, 2], [1, -1], [Number.NaN, 0]] as const) t.throws(() => sprtOf(plan, n, violations), { name: 'RangeError', message: /labels cannot hold/ });
});

t.test('a confidence sequence misses the rate, ever, in at most 5 %; a fixed interval looked at as often misses it far oftener', async (t) => {
  const [worlds, labels] = isLong ? [2_000, 3_000] : [250, 1_000];
  const random = randomOf(12);
  for (const rate of [0.005, 0.02, 0.1]) {
    let [missed, fixed] = [0, 0];
    for (let world = 0; world < worlds; world++) {
      let [violations, isMissed, isFixed] = [0, false, false];
      for (let n = 1; n <= labels && !isMissed; n++) {
        if (random() < rate) violations++;
        isMissed = isOutside(rate, alike(n, violations));
        // Looking every twentieth time is enough to show it.
        if (!isFixed && n % 20 === 0) isFixed = outside(rate, midP(violations, n));
      }
      if (isMissed) missed++;
      if (isFixed) fixed++;
    }
    const share = missed / worlds;
    t.comment(`rate ${rate}, ${labels} labels: missed by the sequence in ${(100 * share).toFixed(2)} ± ${(100 * monteCarloError(share, worlds)).toFixed(2)} %, by a fixed interval in ${((100 * fixed) / worlds).toFixed(2)} %`);
    t.ok(share <= 0.05 + 2 * monteCarloError(0.05, worlds), `missed in ${share}`);
    t.ok(fixed / worlds > 0.1, `which is why: ${fixed / worlds}`);
  }
});

t.test('weighted: strata drawn with different probabilities, mixed as they come', async (t) => {
  const [worlds, labels] = isLong ? [2_000, 2_000] : [200, 700];
  const random = randomOf(13);
  // Nine in ten of the traffic at 1 %, drawn at 0.02; one in ten at 11 %, drawn at 0.2: 2 % in all.
  const parts = [{ share: 0.9, rate: 0.01, p: 0.02 }, { share: 0.1, rate: 0.11, p: 0.2 }];
  const first = (parts[0].share * parts[0].p) / (parts[0].share * parts[0].p + parts[1].share * parts[1].p);
  let missed = 0;
  let width = 0;
  for (let world = 0; world < worlds; world++) {
    const counts = parts.map(({ p }) => ({ inclusion_probability: p, labelled: 0, violations: 0 }));
    let isMissed = false;
    for (let n = 1; n <= labels && !isMissed; n++) {
      const at = random() < first ? 0 : 1;
      counts[at].labelled++;
      if (random() < parts[at].rate) counts[at].violations++;
      isMissed = isOutside(0.02, counts, 0.02);
    }
    if (isMissed) missed++;
    const { low, high } = peekingInterval(counts, { probabilityMin: 0.02 });
    width += (high - low) / worlds;
  }
  const share = missed / worlds;
  t.comment(`missed in ${(100 * share).toFixed(2)} ± ${(100 * monteCarloError(share, worlds)).toFixed(2)} %, mean width at ${labels} labels ${(100 * width).toFixed(2)} points`);
  t.ok(share <= 0.05 + 2 * monteCarloError(0.05, worlds), `missed in ${share}`);
  t.ok(width < 0.08, 'and says something');
});

/** As `peekingInterval` would say, for a hundredth of the work; that both agree is a property below. */
function isOutside(rate: number, counts: readonly LabelCount[], probabilityMin = 1): boolean {
  const { more, fewer } = evidenceAgainst(rate, counts, { probabilityMin });
  return Math.max(more, fewer) >= Math.log(40);
}

function outside(rate: number, { low, high }: { readonly low: number; readonly high: number }): boolean {
  return rate < low || rate > high;
}

const counts = fc.array(fc.record({ inclusion_probability: fc.constantFrom(0.01, 0.05, 0.3, 1), labelled: fc.nat(2_000), share: fc.double({ min: 0, max: 1, noNaN: true }) }).map(({ inclusion_probability, labelled, share }): LabelCount => ({ inclusion_probability, labelled, violations: Math.round(labelled * share ** 4) })), { maxLength: 4 });

t.test('properties: the interval is where neither gambler has won, evidence moves one way with the rate, order does not matter', async () => {
  const options = { probabilityMin: 0.01 };
  fc.assert(fc.property(counts, fc.double({ min: 0.0005, max: 0.9995, noNaN: true }), (given, rate) => {
    const interval = peekingInterval(given, options);
    if (!(interval.low >= 0 && interval.low <= interval.high && interval.high <= 1)) throw new Error('range');
    const nearEdge = Math.min(Math.abs(rate - interval.low), Math.abs(rate - interval.high)) < 1e-9;
    if (!nearEdge && isOutside(rate, given, 0.01) !== outside(rate, interval)) throw new Error(`${rate} and ${interval.low} to ${interval.high}`);
    const [here, above] = [evidenceAgainst(rate, given, options), evidenceAgainst((rate + 1) / 2, given, options)];
    if (above.more > here.more + 1e-9 || above.fewer < here.fewer - 1e-9) throw new Error('monotone');
    const again = peekingInterval([...given].reverse(), options);
    if (Math.abs(again.low - interval.low) + Math.abs(again.high - interval.high) > 1e-9) throw new Error('order');
  }), { numRuns: runs(150), seed });
});

t.test('one gambler on one label is what one can do by hand, and the average over the next label is never more than now', async () => {
  fc.assert(fc.property(fc.nat(200), fc.nat(200), fc.double({ min: 0.01, max: 0.99, noNaN: true }), fc.constantFrom(1, 0.3), (safe, violations, rate, p) => {
    const after = (more: number, fewer: number): { readonly more: number; readonly fewer: number } => evidenceAgainst(rate, [{ inclusion_probability: p, labelled: safe + violations + more + fewer, violations: violations + more }], { probabilityMin: 0.3 });
    const [now, violation, other] = [after(0, 0), after(1, 0), after(0, 1)];
    for (const gambler of ['more', 'fewer'] as const) {
      const growth = rate * Math.exp(violation[gambler] - now[gambler]) + (1 - rate) * Math.exp(other[gambler] - now[gambler]);
      if (Math.abs(growth - 1) > 1e-9) throw new Error(`a fair game grows by ${growth}`);
    }
  }), { numRuns: runs(300), seed });
});

t.test('known ends: nothing seen, no violation, all of them; never narrower than the exact interval', async (t) => {
  t.same(peekingInterval([], { probabilityMin: 1 }), { low: 0, high: 1 });
  for (const [n, violations] of [[149, 0], [300, 3], [1_000, 10], [5_000, 400], [300, 300], [1, 1], [1, 0]] as const) {
    const [live, exact] = [peekingInterval(alike(n, violations), { probabilityMin: 1 }), clopperPearson(violations, n)];
    t.ok(live.low <= exact.low && live.high >= exact.high, `${violations} of ${n}: ${live.low} to ${live.high}`);
    t.ok(live.high - live.low < 2.2 * (exact.high - exact.low) + 0.05, 'and not much wider');
  }
});

t.test('limits', async (t) => {
  t.doesNotThrow(() => peekingInterval([{ inclusion_probability: 0.02, labelled: 1, violations: 1 }], { probabilityMin: 0.02 }));
  t.throws(() => peekingInterval([{ inclusion_probability: 0.0199, labelled: 1, violations: 1 }], { probabilityMin: 0.02 }), { name: 'RangeError', message: /were not foreseen; the campaign said at least 0.02/ });
  t.throws(() => peekingInterval([{ inclusion_probability: 1.01, labelled: 1, violations: 1 }], { probabilityMin: 0.02 }), { name: 'RangeError' });
  t.throws(() => peekingInterval(alike(1, 2), { probabilityMin: 1 }), { name: 'RangeError', message: /1 labels cannot hold 2/ });
  t.throws(() => peekingInterval(alike(Number.POSITIVE_INFINITY, 2), { probabilityMin: 1 }), { name: 'RangeError' });
  for (const probabilityMin of [0, 1.1, Number.NaN]) t.throws(() => peekingInterval([], { probabilityMin }), { name: 'RangeError' });
  for (const confidence of [0, 1]) t.throws(() => peekingInterval([], { probabilityMin: 1, confidence }), { name: 'RangeError', message: /confidence/ });
  for (const rate of [0, 1]) t.throws(() => evidenceAgainst(rate, [], { probabilityMin: 1 }), { name: 'RangeError' });
  for (const bad of [{ good: 0 }, { good: 0.02 }, { bad: 1 }, { bad: Number.NaN }]) t.throws(() => advanceSprt({ ...plan, ...bad }, SPRT_START, true), { name: 'RangeError', message: /0 < good < bad < 1/ });
  for (const bad of [{ alpha: 0 }, { beta: 0 }, { alpha: 0.6, beta: 0.5 }]) t.throws(() => sprtSizes({ ...plan, ...bad }), { name: 'RangeError', message: /errors of a test/ });
  t.doesNotThrow(() => sprtSizes({ ...plan, alpha: 0.5, beta: 0.49 }));
});
