/** Where violations concentrate: groups that are there stand out, others do not, and the nearest score is the highest. */
import t from 'tap';
import { bandOf, nearMissesOf, type JudgedFacts } from '../../src/risk/nearest.ts';
import { randomOf, runs } from '../helpers/runs.ts';

const judged = (label: JudgedFacts['label'], score: number, more: Partial<JudgedFacts> = {}): JudgedFacts => ({
  label, category: label === 'violation' ? 'toxicity.hate' : null, tenant_id: 'acme', stratum: 's', started_at: '2030-01-01T00:00:00.000Z', model: 'm', policy: 'p@1',
  results: [{ classifier_id: 'toxicity', category: 'hate', score }, { classifier_id: 'jailbreak', category: 'jailbreak', score: 0.05 }], ...more,
});
const many = (count: number, one: JudgedFacts): readonly JudgedFacts[] => Array<JudgedFacts>(count).fill(one);

t.test('bands hold every score, once', async (t) => {
  t.same([0, 0.0999, 0.1, 0.4999, 0.5, 0.8999, 0.9, 1].map(bandOf), ['0.0 to 0.1', '0.0 to 0.1', '0.1 to 0.3', '0.3 to 0.5', '0.5 to 0.7', '0.7 to 0.9', '0.9 to 1.0', '0.9 to 1.0']);
});

t.test('a band, a model and a missing classifier in which violations concentrate stand out; others do not', async (t) => {
  const silent = [{ classifier_id: 'vendor', category: 'toxic', unknown: 'timeout' }];
  const found = nearMissesOf([...many(30, judged('violation', 0.4, { model: 'old', started_at: '2030-01-05T00:00:00.000Z' })), ...many(10, judged('violation', 0, { results: silent })), ...many(30, judged('safe', 0.4)), ...many(170, judged('safe', 0.02))]);
  t.match(found, { violations: 40, safe: 200, from: '2030-01-01T00:00:00.000Z', until: '2030-01-05T00:00:00.000Z' });
  const group = (dimension: string, name: string) => found.groups.find((one) => one.dimension === dimension && one.name === name)!;
  t.match(group('score', '0.3 to 0.5'), { violations: { of: 30, share: 0.75 }, safe: { of: 30, share: 0.15 }, ratio: 5, stands_out: true });
  t.match(group('score', '0.0 to 0.1'), { stands_out: false }, 'less often is no concentration');
  t.match(group('model', 'old'), { ratio: null, stands_out: true });
  t.match(group('missing', 'vendor'), { violations: { of: 10 }, safe: { of: 0 }, stands_out: true });
  t.match(group('stratum', 's'), { ratio: 1, stands_out: false });
  t.match(found.categories, [{ category: 'toxicity.hate', violations: 40, nearest: [{ name: 'toxicity.hate', texts: 30, median_score: 0.4 }, { name: 'none', texts: 10, median_score: 0 }] }]);
});

t.test('nothing of nothing', async (t) => {
  t.match(nearMissesOf([]), { violations: 0, safe: 0, from: null, until: null, groups: [], categories: [] });
  t.ok(nearMissesOf(many(3, judged('violation', 0.2))).groups.every(({ stands_out: standsOut, safe }) => !standsOut && safe.interval.high === 1), 'without safe texts there is no comparison');
});

t.test('where labels have nothing to do with what is known, anything stands out in at most 5 % of looks', async (t) => {
  const worlds = runs(1) > 1 ? 2_000 : 300;
  const random = randomOf(22);
  let alarms = 0;
  for (let world = 0; world < worlds; world++) {
    const facts = Array.from({ length: 300 }, () => judged(random() < 0.3 ? 'violation' : 'safe', random(), { model: `m${Math.floor(random() * 4)}`, tenant_id: `t${Math.floor(random() * 8)}` }));
    if (nearMissesOf(facts).groups.some(({ stands_out: standsOut }) => standsOut)) alarms++;
  }
  t.comment(`${((100 * alarms) / worlds).toFixed(1)} % of ${worlds} looks`);
  t.ok(alarms / worlds <= 0.05);
});
