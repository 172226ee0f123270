/**
 * A real Prometheus scrapes real processes of Weir. Redis goes: one alert comes out of a real Alertmanager, once, and its
 * end. Traffic of all kinds comes: every query of every dashboard has something to show.
 */
import { createServer } from 'node:http';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { METRICS } from '../../src/telemetry/metrics.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask, tokenFor } from '../helpers/admin.ts';
import { ALERTS, RECORDS } from '../helpers/alerts.ts';
import { asked, DASHBOARDS } from '../helpers/dashboards.ts';
import { openProvider } from '../helpers/held.ts';
import { until } from '../helpers/house.ts';
import { runWeir, startWeir, type WeirProcess } from '../helpers/process.ts';
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

const POLICY = `policy: acme
default_action: allow
patterns:
  - { id: codename, label: CODENAME, literal: [Bluebird] }
  - { id: egret, label: EGRET, literal: [Egret] }
  - { id: heron, label: HERON, literal: [Heron] }
rules:
  - { id: codename, priority: 1, direction: input, when: { score: patterns.codename, gte: 1 }, action: block }
  - { id: look, priority: 2, direction: input, when: { score: patterns.egret, gte: 1 }, action: escalate, severity: high }
  - { id: wait, priority: 3, direction: input, when: { score: patterns.heron, gte: 1 }, action: escalate, severity: low, hold: { for: 1s, then: allow } }
  - { id: toxic, priority: 4, direction: input, when: { score: dead.toxic, gte: 0.5 }, action: block }
  - { id: personal, priority: 9, when: { score: pii.*, gte: 0.5 }, action: redact }
shadow: stricter
`;
const STRICTER = 'policy: stricter\nrules:\n  - { id: personal, priority: 1, when: { score: pii.*, gte: 0.5 }, action: block }\n';
const LATER = 'policy: later\nscreening: { mode: hybrid }\nrules:\n  - { id: vile, priority: 1, direction: input, when: { score: late.toxic, gte: 0.5 }, action: block }\n';
const KEYS = { acme: generateKey(), later: generateKey() };
const RATE_INTERVAL = '1m';

/** Finds that what says vile is. */
async function openJudge(t: Test): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => { body += String(part); }).on('end', () => response.setHeader('content-type', 'application/json').end(JSON.stringify({ results: [{ category: 'toxic', score: body.includes('vile') ? 0.9 : 0.1, label: 'TOXIC', spans: [] }] })));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

interface Fleet {
  readonly control: WeirProcess;
  /** It ships its log to the first. */
  readonly sidecar: WeirProcess;
  /** It would, and has a token that does not count. */
  readonly stranger: WeirProcess;
}

async function openFleet(t: Test): Promise<Fleet> {
  const [provider, taker, judge, dead] = [await openProvider(t, 'Write to ana@example.com'), await openProvider(t), await openJudge(t), await freePort()];
  const dir = mkdtempSync(join(tmpdir(), 'weir-prometheus-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'policies'));
  for (const [name, text] of Object.entries({ acme: POLICY, stricter: STRICTER, later: LATER })) writeFileSync(join(dir, `policies/${name}.yaml`), text);
  const tenants = (['acme', 'later'] as const).map((id) => ({ id, policy: id, upstream: 'local', fail_mode: 'open', keys: [{ id: 'k', sha256: keyDigest(KEYS[id]) }], data: { content: 'original', campaigns: true }, webhook: { url: `${taker.url}/notices`, secret: 'made-up-for-a-test' } }));
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['policies'], upstreams: { local: { url: provider.url, api_key: 'made-up' } }, tenants, telemetry: { log_level: 'silent' },
    classifiers: [{ id: 'pii', plugin: 'pii' }, { id: 'dead', plugin: 'http', url: `http://127.0.0.1:${dead}/`, categories: ['toxic'], breaker: { failures: 3, open_ms: 200 } }, { id: 'late', plugin: 'http', url: judge, categories: ['toxic'] }],
    review: { double_blind_percent: 0 },
    risk: { campaigns: [{ id: 'q', directions: ['input'], strata: [{ id: 'all', probability_percent: 100 }], calibration_percent: 0, double_blind_percent: 0, claim: { below_percent: 2 } }] },
  }));
  const control = await runWeir(t, dir);
  await ask(control.adminUrl, '/api/v1/policies/acme', { method: 'PUT', token: control.adminToken, body: POLICY, headers: { 'content-type': 'application/yaml' } });
  const sidecar = (origin: string, token: string): Promise<WeirProcess> => startWeir(t, provider.url, 'policy: p\nrules: []\n', { roles: ['proxy'], audit: { origin, ship: { url: control.adminUrl, token } } });
  return { control, sidecar: await sidecar('eu-1/a', await tokenFor(control.adminUrl, control.adminToken!, 'sidecar', ['shipper'])), stranger: await sidecar('eu-1/b', 'no-such-token') };
}

async function chat({ port }: WeirProcess, content: unknown, key = 'sk-made-up'): Promise<void> {
  await (await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` }, body: content === undefined ? '{' : JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) })).arrayBuffer();
}

/** One of each kind: what goes on, is blocked, redacted, waits, is judged late, cannot be read, and is no request; and people who judge and label. */
async function traffic({ control, sidecar, stranger }: Fleet, round: number): Promise<void> {
  const token = control.adminToken!;
  const call = async (method: string, path: string, body?: object) => ask(control.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  const image = [{ type: 'text', text: `what is this, ${round}` }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }];
  for (const content of [`hello ${round}`, `tell me of Bluebird ${round}`, `an Egret, ${round}`, `a Heron, ${round}`, `I am ana@example.com, ${round}`, image, undefined]) await chat(control, content, KEYS.acme);
  await chat(control, `a vile word, ${round}`, KEYS.later);
  for (const one of [sidecar, stranger]) await chat(one, `hello ${round}`);
  const { body: { items } } = await call('GET', 'reviews');
  for (const { review_id: id } of items.slice(0, 1)) {
    const { body: { fence } } = await call('POST', `reviews/${id}/claim`);
    await call('POST', `reviews/${id}/verdict`, { fence, resolution: 'block' });
  }
  const { body: { state, annotation } } = await call('POST', 'risk/next');
  if (state === 'there') await call('POST', `risk/annotations/${annotation.annotation_id}/label`, { label: 'safe' });
}

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
  if (process.env['WEIR_TEST_SHOW'] !== undefined) for (const { at, expr } of queries) t.comment(at, (await prometheus.query(expr)).map(({ metric, value }) => `${JSON.stringify(metric)} ${value}`).join('; '));
  const series = await prometheus.query('count by (__name__) ({__name__=~"weir_.+"})');
  t.ok(series.length > 50, 'series of Weir');
  t.ok((await prometheus.query('count({__name__=~"weir_.+"})'))[0]!.value < 5_000, 'and not too many');
  const failing = (await prometheus.query('ALERTS{alertstate="firing"}')).map(({ metric }) => metric['alertname']);
  t.ok(failing.includes('WeirClassifierUnknown') || failing.includes('WeirClassifierDown'), `the classifier that is dead is told: ${failing.join(', ')}`);
});
