/** Agreement: published examples, what follows from the definitions, and intervals that hold the truth about as often as they say. */
import fc from 'fast-check';
import t from 'tap';
import { agreementOf, cohensKappa, type Rating } from '../../src/review/agreement.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

/** Rows are raters, columns items; `.` is missing. */
function ratingsOf(rows: readonly string[]): Rating[] {
  return rows.flatMap((row, rater) => [...row].flatMap((label, item) => (label === '.' ? [] : [{ item: `i${item}`, rater: `r${rater}`, label }])));
}

const close = (actual: number, expected: number): boolean => Math.abs(actual - expected) < 0.0006;

t.test('the example of Krippendorff (2011): four observers, twelve units, values missing', async (t) => {
  t.equal(agreementOf(ratingsOf(['123321412...']), randomOf(1)), undefined, 'one observer agrees with nobody');
  const { alpha, items, raters } = agreementOf(ratingsOf(['123321412...', '1233224125.3', '.3332342251.', '12332441251.']), randomOf(1))!;
  t.same([items, raters], [11, 4], 'the unit that one observer saw says nothing');
  t.ok(close(alpha!, 0.743), String(alpha));
});

t.test('two observers, ten units of two values: alpha 0.095 (Krippendorff 2011, binary data)', async (t) => {
  const { alpha, raw, items } = agreementOf(ratingsOf(['0100000000', '1110010010']), randomOf(1))!;
  t.equal(items, 10);
  t.ok(close(raw, 0.6), String(raw));
  t.ok(close(alpha!, 0.095), String(alpha));
});

t.test('kappa of a table of 50: 20 both yes, 15 both no, 5 and 10 apart: 0.4', async (t) => {
  const table = ratingsOf([`${'y'.repeat(20)}${'y'.repeat(5)}${'n'.repeat(10)}${'n'.repeat(15)}`, `${'y'.repeat(20)}${'n'.repeat(5)}${'y'.repeat(10)}${'n'.repeat(15)}`]);
  const { kappa, items } = cohensKappa(table, 'r0', 'r1')!;
  t.equal(items, 50);
  t.ok(close(kappa, 0.4), String(kappa));
  t.same([cohensKappa(table, 'r0', 'nobody'), cohensKappa(ratingsOf(['yy', 'yy']), 'r0', 'r1')], [undefined, undefined]);
});

t.test('three coders, fifteen units, many values missing: alpha 0.691 (Krippendorff, "Content analysis", the example with nominal data)', async (t) => {
  const { alpha, items, raters } = agreementOf(ratingsOf(['.....34121133.3', '1.213343.......', '..21344.21133.4']), randomOf(1))!;
  t.same([items, raters], [12, 3], 'units that at most one coder saw say nothing');
  t.ok(close(alpha!, 0.691), String(alpha));
});

t.test('kappa tells apart what raw agreement does not: 60 of 100 alike, 0.1304 and 0.2593', async (t) => {
  const kappaOf = (yesYes: number, yesNo: number, noYes: number, noNo: number): number => cohensKappa(ratingsOf([`${'y'.repeat(yesYes + yesNo)}${'n'.repeat(noYes + noNo)}`, `${'y'.repeat(yesYes)}${'n'.repeat(yesNo)}${'y'.repeat(noYes)}${'n'.repeat(noNo)}`]), 'r0', 'r1')!.kappa;
  t.ok(close(kappaOf(45, 15, 25, 15), 0.1304) && close(kappaOf(25, 35, 5, 35), 0.2593));
});

t.test('by label', async (t) => {
  t.same(agreementOf(ratingsOf(['aab', 'aba']), randomOf(1))!.byLabel, [{ label: 'a', pairs: 3, agreement: 1 / 3 }, { label: 'b', pairs: 2, agreement: 0 }]);
});

t.test('properties: who always agrees has 1, names of labels and order do not matter, one more blind rater does not help', async () => {
  const rows = fc.array(fc.array(fc.constantFrom('a', 'b', 'c', '.'), { minLength: 8, maxLength: 8 }).map((labels) => labels.join('')), { minLength: 2, maxLength: 5 });
  fc.assert(fc.property(rows, (given) => {
    const found = agreementOf(ratingsOf(given), randomOf(1));
    if (found === undefined) return;
    const { alpha, raw, interval } = found;
    if (raw < 0 || raw > 1) throw new Error(`raw ${raw}`);
    if (alpha !== undefined && alpha > 1 + 1e-12) throw new Error(`alpha ${alpha}`);
    if (raw === 1 && alpha !== undefined && Math.abs(alpha - 1) > 1e-12) throw new Error('all agree');
    if (interval !== undefined && interval.low > interval.high) throw new Error('interval');
    const renamed = agreementOf(ratingsOf(given.map((row) => row.replaceAll('a', 'x').replaceAll('b', 'a'))).reverse(), randomOf(1))!;
    if (alpha !== undefined && Math.abs(renamed.alpha! - alpha) > 1e-9) throw new Error('names');
  }), { numRuns: runs(300), seed });
});

t.test('an interval of 95 % holds the agreement of the process in most worlds', async (t) => {
  // Two people see the truth and slip in one of ten cases each: alpha of infinitely many items is 0.64.
  const random = randomOf(7);
  let held = 0;
  const worlds = 60;
  for (let world = 0; world < worlds; world++) {
    const ratings = Array.from({ length: 120 }, (_, item) => {
      const truth = random() < 0.5;
      return ['a', 'b'].map((rater): Rating => ({ item: String(item), rater, label: String(random() < 0.1 ? !truth : truth) }));
    }).flat();
    const { low, high } = agreementOf(ratings, random)!.interval!;
    if (low <= 0.64 && high >= 0.64) held++;
  }
  t.ok(held >= 0.85 * worlds, `${held} of ${worlds}`);
});
