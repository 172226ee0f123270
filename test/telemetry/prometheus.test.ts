/**
 * A real Prometheus scrapes real processes of Weir. Redis goes: one alert comes out of a real Alertmanager, once, and its
 * end. Traffic of all kinds comes: every query of every dashboard has something to show.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { METRICS } from '../../src/telemetry/metrics.ts';
import { ALERTS, RECORDS } from '../helpers/alerts.ts';
import { openFleet, traffic } from '../helpers/busy-fleet.ts';
import { shots } from '../helpers/console-walk.ts';
import { asked, DASHBOARDS } from '../helpers/dashboards.ts';
import { drawDashboards } from '../helpers/drawn.ts';
import { openProvider } from '../helpers/held.ts';
import { until } from '../helpers/house.ts';
import { startWeir } from '../helpers/process.ts';
import { PROMETHEUS_MISSING, startAlertmanager, startPrometheus } from '../helpers/prometheus.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';

t.test('Redis goes and comes again: one alert, and its end', { skip: PROMETHEUS_MISSING || REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const redis = await startRedis(t, port);
  const { url: upstream } = await openProvider(t);
  const weir = await startWeir(t, upstream, 'policy: p\nrules: []\n', { redis: { url: `redis://127.0.0.1:${port}` } });
  const alertmanager = await startAlertmanager(t);
  const prometheus = await startPrometheus(t, [weir.adminUrl], alertmanager.url);

  await until(async () => (await prometheus.query('up{job="weir"} == 1')).length === 1, 'the scrape');
  const { groups } = await prometheus.ask('rules');
  const rules = groups.flatMap((group: any) => group.rules);
  t.equal(rules.length, ALERTS.length + RECORDS.length, 'all rules are loaded');
  await until(async () => (await prometheus.ask('rules')).groups.every((group: any) => group.rules.every(({ health }: any) => health === 'ok')), 'every rule can be evaluated');
  t.ok((await prometheus.query('weir_config_last_reload_success')).some(({ value }) => value === 1));
  const { 'weir_open_exchanges': [{ type, help }] } = await prometheus.ask('metadata?metric=weir_open_exchanges');
  t.same([type, help], [METRICS.weir_open_exchanges.kind, METRICS.weir_open_exchanges.help]);

  redis.kill('SIGKILL');
  const of = (status: string): number => alertmanager.told.filter((one) => one.status === status && one.alert === 'WeirRedisDown').length;
  await until(() => of('firing') > 0, 'the alert');
  await sleep(5_000);
  t.equal(of('firing'), 1, 'it is told once');
  const [told] = alertmanager.told;
  t.match(told, { labels: { severity: 'critical', job: 'weir' }, annotations: { summary: `Redis does not answer ${new URL(weir.adminUrl).host}`, action: /^Repair Redis/ } });
  t.notMatch(JSON.stringify(alertmanager.told), /WeirStoreDown/, 'the store, which runs, is not told to be down');
  await startRedis(t, port);
  await until(() => of('resolved') > 0, 'the end');
  t.same([of('firing'), of('resolved')], [1, 1]);
});

// Dashboards.

const RATE_INTERVAL = '1m';

t.test('every query of every dashboard has something to show', { skip: PROMETHEUS_MISSING }, async (t) => {
  const fleet = await openFleet(t);
  const prometheus = await startPrometheus(t, [fleet.control.adminUrl, fleet.sidecar.adminUrl, fleet.stranger.adminUrl]);
  const queries = DASHBOARDS.flatMap(({ file, panels }) => panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ at: `${file}: ${title}`, expr: asked(expr, RATE_INTERVAL) }))));
  let empty = queries;
  const endMs = performance.now() + 90_000;
  for (let round = 0; empty.length > 0 && performance.now() < endMs; round++) {
    await traffic(fleet, round);
    await sleep(1_500);
    const left: typeof queries[number][] = [];
    for (const query of empty) if (!(await prometheus.query(query.expr)).some(({ value }) => Number.isFinite(value))) left.push(query);
    empty = left;
  }
  t.same(empty, [], 'queries without a value');
  if (shots !== undefined) {
    for (let round = 1_000; round < 1_040; round++) await traffic(fleet, round).then(() => sleep(1_500));
    await drawDashboards(prometheus, shots);
  }
  if (process.env['WEIR_TEST_SHOW'] !== undefined) for (const { at, expr } of queries) t.comment(at, (await prometheus.query(expr)).map(({ metric, value }) => `${JSON.stringify(metric)} ${value}`).join('; '));
  const series = await prometheus.query('count by (__name__) ({__name__=~"weir_.+"})');
  t.ok(series.length > 50, 'series of Weir');
  t.ok((await prometheus.query('count({__name__=~"weir_.+"})'))[0]!.value < 5_000, 'and not too many');
  const failing = (await prometheus.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric['alertname']);
  t.ok(failing.includes('WeirClassifierUnknown') || failing.includes('WeirClassifierDown'), `the classifier that is dead is told: ${failing.join(', ')}`);
});
