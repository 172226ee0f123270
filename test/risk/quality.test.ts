/** Quality of labelling: who is paused and who is not, how soon a drift is seen, what the pace tells; simulated with known truth. */
import fc from 'fast-check';
import t from 'tap';
import { AGREEMENT_MIN, CALIBRATION_ITEMS_MIN, calibrationOf, driftOf, type Labelling, PACE_LABELS, paceOf, TOO_FAST_SHARE_MAX } from '../../src/risk/quality.ts';
import { monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const worlds = runs(1) > 1 ? 2_000 : 300;
const answers = (right: number, wrong: number): boolean[] => [...Array<boolean>(right).fill(true), ...Array<boolean>(wrong).fill(false)];

t.test('with enough items the share decides: 46 of 50 are active, 45 are paused', async (t) => {
  t.equal(AGREEMENT_MIN, 0.92);
  t.same(calibrationOf(answers(46, 4)).state, 'active');
  t.same(calibrationOf(answers(45, 5)).state, 'paused');
  t.same(calibrationOf(answers(CALIBRATION_ITEMS_MIN - 1, 0)).state, 'provisional', 'one item too few');
  t.same(calibrationOf(answers(CALIBRATION_ITEMS_MIN, 0)).state, 'active');
  const { agreement, interval, n } = calibrationOf(answers(46, 4));
  t.ok(agreement === 0.92 && n === 50 && interval.low > 0.8 && interval.low < 0.83 && interval.high > 0.97, 'with its interval');
  t.same(calibrationOf([]), { state: 'provisional', n: 0, agreement: undefined, interval: { low: 0, high: 1 } });
});

t.test('with fewer items only proof pauses', async (t) => {
  t.equal(calibrationOf(answers(8, 2)).state, 'provisional', '80 % of ten is no proof');
  t.equal(calibrationOf(answers(4, 6)).state, 'paused', '40 % of ten is');
  t.equal(calibrationOf(answers(0, 1)).state, 'provisional', 'one slip is none');
});

t.test('who agrees as often as required is paused too early in at most 2.5 %; who does much worse is caught', async (t) => {
  const random = randomOf(17);
  for (const [agreement, isGood] of [[0.92, true], [0.95, true], [0.98, true], [0.6, false]] as const) {
    let [early, ever] = [0, 0];
    for (let world = 0; world < worlds; world++) {
      const given: boolean[] = [];
      while (given.length < CALIBRATION_ITEMS_MIN - 1 && calibrationOf(given).state !== 'paused') given.push(random() < agreement);
      if (calibrationOf(given).state === 'paused') early++;
      while (given.length < CALIBRATION_ITEMS_MIN) given.push(random() < agreement);
      if (calibrationOf(given).state === 'paused') ever++;
    }
    t.comment(`agreement ${agreement}: paused before ${CALIBRATION_ITEMS_MIN} items ${((100 * early) / worlds).toFixed(2)} %, at ${CALIBRATION_ITEMS_MIN} ${((100 * ever) / worlds).toFixed(2)} %`);
    if (isGood) t.ok(early / worlds <= 0.025 + 2 * monteCarloError(0.025, worlds), `early ${early / worlds}`);
    else t.ok(early / worlds > 0.9, 'caught early');
    if (agreement === 0.98) t.ok(ever / worlds < 0.02, 'who does well stays');
  }
});

t.test('drift: seldom in somebody who does well, soon in somebody who does not any more, and since when', async (t) => {
  const random = randomOf(18);
  const runLength = (errors: number): number => {
    const given: boolean[] = [];
    // The chart is one pass: what it says of a beginning it says of the whole.
    for (;;) {
      for (let i = 0; i < 10; i++) given.push(random() >= errors);
      if (driftOf(given).isDrift) break;
    }
    return given.length;
  };
  const mean = (errors: number, count: number): number => Array.from({ length: Math.floor(count) }, () => runLength(errors)).reduce((sum, one) => sum + one, 0) / Math.floor(count);
  const [well, ill] = [mean(0.04, worlds / 3), mean(0.12, worlds / 2)];
  t.comment(`items until it speaks: errors 4 %: ${well.toFixed(0)}; 12 %: ${ill.toFixed(0)}`);
  t.ok(well > 800 && ill < 80, `${well} and ${ill}`);
  const { isDrift, since } = driftOf([...answers(200, 0), ...Array.from({ length: 60 }, (_, i) => i % 4 !== 0)]);
  t.ok(isDrift && since === 200, `since ${since}`);
  t.equal(driftOf([...answers(200, 0), ...answers(0, 10), ...answers(200, 0), ...answers(0, 40)]).since, 200, 'the first time is told');
  t.same(driftOf([]), { cusum: 0, limit: 3.6, isDrift: false, since: undefined });
  t.same(driftOf(answers(100, 0)), { cusum: 0, limit: 3.6, isDrift: false, since: undefined });
  t.ok(driftOf([...answers(100, 8), ...answers(300, 0)]).isDrift, 'what was once seen is not forgotten');
});

t.test('properties: adding right answers never pauses, wrong ones never free; a drift stays seen', async () => {
  fc.assert(fc.property(fc.array(fc.boolean(), { maxLength: 120 }), fc.integer({ min: 1, max: 20 }), (given, more) => {
    const now = calibrationOf(given).state;
    if (given.length >= CALIBRATION_ITEMS_MIN) {
      if (now === 'active' && calibrationOf([...given, ...answers(more, 0)]).state !== 'active') throw new Error('paused by right answers');
      if (now === 'paused' && calibrationOf([...given, ...answers(0, more)]).state !== 'paused') throw new Error('freed by wrong answers');
    }
    if (driftOf(given).isDrift && !driftOf([...given, ...answers(more, 0)]).isDrift) throw new Error('forgotten');
    if (driftOf(given).cusum < 0) throw new Error('below 0');
  }), { numRuns: runs(300), seed });
});

/** Somebody who takes two seconds and reads 30 characters in each more, with a scatter of a third. */
function sitting(random: () => number, count: number, factor: (i: number) => number = () => 1): Labelling[] {
  return Array.from({ length: count }, (_, i) => {
    const chars = Math.round(50 + 900 * random() ** 2);
    return { chars, durationMs: (2_000 + chars * 33) * factor(i) * (0.7 + 0.6 * random()) };
  });
}

t.test('pace: too fast, slowing, and neither for long texts', async (t) => {
  const random = randomOf(19);
  const calm = paceOf(sitting(random, 120));
  t.same([calm.isTooFast, calm.isSlowing, calm.n], [false, false, 120]);
  t.ok(calm.tooFastShare === 0 && calm.slowing! > 0.7 && calm.slowing! < 1.4);
  const hasty = paceOf([...sitting(random, 60), ...sitting(random, PACE_LABELS, () => 0.1)]);
  t.ok(hasty.isTooFast && hasty.tooFastShare > 0.8);
  t.ok(paceOf(sitting(random, 150, (i) => 1 + i / 75)).isSlowing, 'three times as slow at the end');
  const longer = [...sitting(random, 40).map((one) => ({ ...one, chars: 100, durationMs: 5_000 })), ...sitting(random, 40).map((one) => ({ ...one, chars: 1_000, durationMs: 34_000 }))];
  t.notOk(paceOf(longer).isSlowing, 'longer texts are no fatigue');
  t.equal(paceOf(Array<Labelling>(60).fill({ chars: 100, durationMs: 4_000 })).p, 1, 'all alike');
});

t.test('a steady pace is called slowing in at most 0.5 % of sittings', async (t) => {
  const random = randomOf(20);
  let found = 0;
  for (let world = 0; world < worlds; world++) if (paceOf(sitting(random, 80)).isSlowing) found++;
  t.ok(found / worlds <= 0.005 + 2 * monteCarloError(0.005, worlds), String(found / worlds));
});

t.test('limits, just within and just beyond', async (t) => {
  const slow = { chars: 100, durationMs: 9_000 };
  const fast = { chars: 100, durationMs: 999 };
  const mixed = (count: number, of: number): Labelling[] => [...Array<Labelling>(of - count).fill(slow), ...Array<Labelling>(count).fill(fast)];
  const most = TOO_FAST_SHARE_MAX * PACE_LABELS;
  t.same([paceOf(mixed(most, PACE_LABELS)).isTooFast, paceOf(mixed(most + 1, PACE_LABELS)).isTooFast], [false, true]);
  t.equal(paceOf(mixed(most + 1, PACE_LABELS - 1)).isTooFast, false, 'too few labels to tell');
  t.equal(paceOf([{ chars: 100, durationMs: 1_000 }]).tooFastShare, 0, 'a second is enough for a hundred characters');
  t.equal(paceOf([{ chars: 1_000, durationMs: 9_999 }]).tooFastShare, 1, 'not for more than a thousand in ten');
  t.same([paceOf(mixed(0, 2 * PACE_LABELS - 1)).slowing, paceOf(mixed(0, 2 * PACE_LABELS)).slowing], [undefined, 1]);
  t.same(paceOf([]), { n: 0, medianMs: undefined, tooFastShare: 0, isTooFast: false, slowing: undefined, p: undefined, isSlowing: false });
  t.equal(paceOf([{ chars: 0, durationMs: 4 }, { chars: 0, durationMs: 8 }]).medianMs, 6);
  for (const bad of [{ chars: -1, durationMs: 1 }, { chars: 1, durationMs: -1 }, { chars: 1, durationMs: Number.NaN }]) t.throws(() => paceOf([bad]), { name: 'RangeError' });
  for (const agreementMin of [0, 1]) t.throws(() => calibrationOf([], { agreementMin }), { name: 'RangeError', message: /required agreement/ });
  for (const itemsMin of [0, 1.5]) t.throws(() => calibrationOf([], { itemsMin }), { name: 'RangeError', message: /whole number from 1/ });
});
