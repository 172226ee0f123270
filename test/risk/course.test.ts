/** The course of a campaign from counts by day: periods, changes and rises that are there, and none that are not. */
import t from 'tap';
import { courseOf, PERIODS_MAX } from '../../src/risk/course.ts';
import { estimateRate, evidenceOf, type SampledItem } from '../../src/risk/estimate.ts';
import { midP } from '../../src/risk/intervals.ts';
import type { DayCell } from '../../src/store/annotation-course.ts';
import { monteCarloError } from '../helpers/draws.ts';
import { randomOf, runs } from '../helpers/runs.ts';

const dayOf = (day: number): string => new Date(Date.UTC(2030, 0, 7) + day * 86_400_000).toISOString().slice(0, 10); // a Monday
const cell = (day: number, outcome: DayCell['outcome'], total: number, more: Partial<DayCell> = {}): DayCell => ({ day: dayOf(day), tenant_id: 'acme', stratum: 's', inclusion_probability: 0.1, outcome, category: outcome === 'violation' ? 'hate' : '', total, ...more });

t.test('periods follow one another, with their own interval; days without anything are there too', async (t) => {
  const course = courseOf([cell(0, 'safe', 97), cell(0, 'violation', 3), cell(2, 'safe', 50), cell(2, 'waiting', 7), cell(3, 'waiting', 4)]);
  t.equal(course.by, 'day');
  t.match(course.periods, [
    { from: dayOf(0), until: dayOf(1), drawn: 100, labelled: 100, violations: 3, rate: 0.03, interval: midP(3, 100) }, { from: dayOf(1), drawn: 0, labelled: 0, rate: null },
    { from: dayOf(2), drawn: 57, labelled: 50, violations: 0, rate: 0 }, { from: dayOf(3), drawn: 4, labelled: 0, rate: null },
  ]);
  t.equal(course.looked_at, dayOf(2), 'the last with a label');
  t.match(course.change, { before: { labelled: 100 }, after: { labelled: 50 }, ratio: 0, is_change: false });
  t.match(courseOf([]), { periods: [], change: null, looked_at: null, series: [] });
  t.match(courseOf([cell(0, 'waiting', 3)]), { looked_at: null, series: [], change: null });
});

t.test('weeks begin on Mondays, and are taken where days would be many', async (t) => {
  const days = (count: number) => Array.from({ length: count }, (_, day) => cell(day, 'safe', 10));
  t.equal(courseOf(days(28)).by, 'day');
  const weeks = courseOf(days(29));
  t.match(weeks, { by: 'week', periods: [{ from: dayOf(0), until: dayOf(7), labelled: 70 }, {}, {}, {}, { from: dayOf(28), labelled: 10 }] });
  t.equal(courseOf([cell(6, 'safe', 1), cell(7, 'safe', 1)], { by: 'week' }).periods.length, 2);
  t.equal(courseOf(days(PERIODS_MAX), { by: 'day' }).periods.length, PERIODS_MAX);
  const cut = courseOf(days(PERIODS_MAX + 1), { by: 'day' }).periods;
  t.same([cut.length, cut[0]!.from], [PERIODS_MAX, dayOf(1)], 'the newest');
});

t.test('what has changed, and what has just risen, is found; of a category and a tenant too', async (t) => {
  const steady = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => [cell(from + i, 'safe', 198), cell(from + i, 'violation', 2)]).flat();
  const risen = courseOf([...steady(0, 10), cell(10, 'safe', 180), cell(10, 'violation', 20, { category: 'violence', tenant_id: 'other' })]);
  t.same(risen.series.filter(({ is_spike: isSpike }) => isSpike).map(({ kind, name }) => `${kind} ${name}`), ['all ', 'category violence']);
  t.equal(risen.series.find(({ kind }) => kind === 'tenant')?.is_spike, false, 'a tenant without earlier labels has no history');
  t.match(courseOf([...steady(0, 5), ...steady(5, 10).map((one) => (one.outcome === 'violation' ? { ...one, total: 8 } : one))]).change, { is_change: true });
  t.match(courseOf(steady(0, 10)), { change: { is_change: false }, series: [{ is_spike: false }, {}, {}] });
});

t.test('where nothing changes, a rise is told in at most 5 % of looks', async (t) => {
  const worlds = runs(1) > 1 ? 2_000 : 300;
  const random = randomOf(21);
  let alarms = 0;
  for (let world = 0; world < worlds; world++) {
    const cells = Array.from({ length: 12 }, (_, day) => ['a', 'b', 'c'].flatMap((tenant) => {
      const violations = Array.from({ length: 100 }, () => random() < 0.02).filter(Boolean).length;
      return [cell(day, 'safe', 100 - violations, { tenant_id: tenant }), cell(day, 'violation', violations, { tenant_id: tenant, category: random() < 0.5 ? 'x' : 'y' })];
    })).flat();
    if (courseOf(cells).series.some(({ is_spike: isSpike }) => isSpike)) alarms++;
  }
  t.comment(`${((100 * alarms) / worlds).toFixed(1)} % of ${worlds} looks`);
  t.ok(alarms / worlds <= 0.05 + 2 * monteCarloError(0.05, worlds));
});

t.test('evidence is what an estimate has, without its interval', async (t) => {
  const items: SampledItem[] = [{ stratum: 'a', inclusion_probability: 0.5, label: 'safe', count: 40 }, { stratum: 'a', inclusion_probability: 0.5, label: 'violation', category: 'x', count: 2 }, { stratum: 'b', inclusion_probability: 0.01, label: 'violation', category: 'y' }, { stratum: 'b', inclusion_probability: 0.01, label: 'safe', count: 9 }, { stratum: 'c', inclusion_probability: 1 }];
  for (const category of [undefined, 'x', 'y', 'z']) {
    const { rate, confidence, effectiveSize } = estimateRate(items, { category });
    t.same(evidenceOf(items, { category }), { rate, confidence, effectiveSize });
  }
  t.same(evidenceOf([]).rate, undefined);
});
