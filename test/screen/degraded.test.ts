/**
 * Classifiers over real sockets, through the whole proxy. Down: each tenant gets its own fail mode, every exchange let
 * through is counted, patterns go on, and all is well again without a restart. Well: a conversation that is sent again is
 * not asked about again, and the trace shows who was asked.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createApp, type Started } from '../../src/app.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';

const POLICY = `policy: mixed
rules:
  - { id: toxic, priority: 10, direction: input, when: { any: [ { score: one.toxic, gte: 0.5 }, { score: two.toxic, gte: 0.5 } ] }, action: block }
  - { id: personal, priority: 20, when: { score: pii.*, gte: 0.5 }, action: redact }
  - { id: toxic-answer, priority: 30, direction: output, when: { score: one.toxic, gte: 0.5 }, action: block }
`;
/** One rule says for itself what the tenant says otherwise. */
const OWN = POLICY.replaceAll('policy: mixed', 'policy: own').replace('{ id: toxic,', '{ id: toxic, on_unknown: open,').replace('{ id: toxic-answer,', '{ id: toxic-answer, on_unknown: open,');
const ANSWER = { id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'Here you are.' }, finish_reason: 'stop' }] };

const TENANTS = [
  { id: 'open', policy: 'mixed', fail_mode: 'open' }, { id: 'closed', policy: 'mixed', fail_mode: 'closed' }, { id: 'rule', policy: 'own', fail_mode: 'closed' },
] as const;
const KEYS = new Map(TENANTS.map(({ id }) => [id, generateKey()]));

async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A service for the http plugin that scores a word; `kill` drops it with all its connections. */
async function startService(t: Test, port = 0): Promise<{ readonly port: number; readonly asked: string[]; readonly kill: () => Promise<void> }> {
  const asked: string[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const { content } = JSON.parse(Buffer.concat(chunks).toString()) as { readonly content: string };
      asked.push(content);
      res.setHeader('content-type', 'application/json').end(JSON.stringify({ results: [{ category: 'toxic', score: content.includes('vile') ? 0.9 : 0.1, label: 'TOXIC', spans: [] }] }));
    });
  });
  const kill = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  t.teardown(async () => { if (server.listening) await kill(); });
  return { port: await listen(server, port), asked, kill };
}

interface House extends Started {
  readonly traces: string[];
  readonly forwarded: string[];
  readonly log: string[];
}

async function openHouse(t: Test, ports: readonly number[], cache: object = { entries_max: 0 }): Promise<House> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-degraded-'));
  const forwarded: string[] = [];
  const upstream = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      forwarded.push(Buffer.concat(chunks).toString());
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(ANSWER));
    });
  });
  const url = `http://127.0.0.1:${await listen(upstream)}/v1`;
  writeFileSync(join(dir, 'mixed.yaml'), POLICY);
  writeFileSync(join(dir, 'own.yaml'), OWN);
  const remote = (id: string, port: number) => ({ id, plugin: 'http', url: `http://127.0.0.1:${port}/`, categories: ['toxic'], breaker: { failures: 3, open_ms: 200 } });
  const config = {
    data_dir: join(dir, 'data'), proxy: { port: 0 }, admin: { port: 0 }, policies: [join(dir, 'mixed.yaml'), join(dir, 'own.yaml')], upstreams: { up: { url, api_key: 'made-up' } },
    tenants: TENANTS.map((tenant) => ({ ...tenant, upstream: 'up', keys: [{ id: 'k', sha256: keyDigest(KEYS.get(tenant.id)!) }] })),
    classifiers: [{ id: 'pii', plugin: 'pii' }, remote('one', ports[0]!), remote('two', ports[1]!)],
    screening: { deadline_ms: 20_000, cache }, telemetry: { traces: { exporter: 'console' } },
  };
  const traces: string[] = [];
  const log: string[] = [];
  const app = createApp({ config: { config, dir }, env: {}, log: { write: (line) => void log.push(line) }, print: (line) => void traces.push(line) });
  t.teardown(async () => {
    await app.close();
    upstream.closeAllConnections();
    upstream.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return { ...(await app.start()), forwarded, log, traces };
}

async function chat(house: House, tenant: string, ...contents: readonly string[]): Promise<Response> {
  const messages = contents.map((content, i) => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${KEYS.get(tenant as never)}` };
  const response = await fetch(`${house.proxyUrl}/v1/chat/completions`, { method: 'POST', headers, body: JSON.stringify({ model: 'm', messages }) });
  await response.clone().text();
  return response;
}

/** The value of a series, 0 where there is none. */
async function metric(house: House, series: string): Promise<number> {
  const text = await (await fetch(`${house.adminUrl}/metrics`)).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${series} `))?.slice(series.length) ?? 0);
}

async function until(holds: () => Promise<boolean>): Promise<boolean> {
  const end = performance.now() + 25_000;
  while (performance.now() < end) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

const skipped = (tenant: string): string => `weir_unscreened_forwarded_total{tenant="${tenant}",reason="skipped_rule"}`;

t.test('all classifiers down: each tenant and each rule by its own mode, every exchange counted, patterns at work', async (t) => {
  const services = [await startService(t), await startService(t)];
  const house = await openHouse(t, services.map(({ port }) => port));
  for (const { id } of TENANTS) t.equal((await chat(house, id, 'a kind word')).status, 200, 'all is well');
  t.equal((await chat(house, 'open', 'a vile word')).status, 400);
  t.equal(await metric(house, skipped('open')), 0);

  for (const { kill } of services) await kill();
  house.forwarded.length = 0;
  const asks = Array.from({ length: 20 }, (_, i) => TENANTS.map(({ id }) => ({ id, asked: chat(house, id, `number ${i}, write to ana@example.com`) }))).flat();
  const answers = await Promise.all(asks.map(async ({ id, asked }) => ({ id, response: await asked })));
  const statuses = (tenant: string): readonly number[] => [...new Set(answers.filter(({ id }) => id === tenant).map(({ response }) => response.status))];
  t.same([statuses('open'), statuses('closed'), statuses('rule')], [[200], [400], [200]]);
  t.match(await answers.find(({ id }) => id === 'closed')!.response.json(), { error: { code: 'screening_failed' } });
  t.equal(answers.find(({ id }) => id === 'open')!.response.headers.get('x-weir-degraded'), 'toxic');
  t.equal(answers.find(({ id }) => id === 'closed')!.response.headers.get('x-weir-degraded'), 'toxic');
  t.equal(house.forwarded.length, 40, 'nothing of the closed tenant');
  t.ok(house.forwarded.every((body) => body.includes('[EMAIL]') && !body.includes('ana@')), 'patterns were at work');
  t.same(await Promise.all(TENANTS.map(({ id }) => metric(house, skipped(id)))), [20, 0, 20], 'exactly');
  t.ok(await metric(house, 'weir_classifier_results_total{classifier="one",outcome="unavailable"}') > 0);
  t.equal(await metric(house, 'weir_classifier_breaker_state{classifier="one"}') > 0, true, 'it is left alone');
  t.equal(await metric(house, 'weir_healthy{part="classifier.one"}'), 0);
  t.ok(house.log.some((line) => line.includes('classifier.one') && line.includes('"warn"')));

  for (const { port } of services) await startService(t, port);
  t.ok(await until(async () => (await chat(house, 'closed', 'a kind word')).status === 200), 'and it works again by itself');
  t.equal((await chat(house, 'closed', 'a vile word')).status, 400);
  t.ok(await until(async () => (await chat(house, 'closed', 'hi'), await metric(house, 'weir_healthy{part="classifier.two"}') === 1)));
});

t.test('one down of two: what the other knows is enough to block, not to let pass', async (t) => {
  const services = [await startService(t), await startService(t)];
  const house = await openHouse(t, services.map(({ port }) => port));
  await services[0]!.kill();
  t.match(await (await chat(house, 'open', 'a vile word')).json(), { error: { code: 'content_filter' } }, 'one score is enough');
  t.equal((await chat(house, 'closed', 'a kind word')).status, 400);
  t.equal((await chat(house, 'open', 'a kind word')).status, 200);
  t.same(await Promise.all(TENANTS.map(({ id }) => metric(house, skipped(id)))), [1, 0, 0]);
});

t.test('a rule about answers that was skipped is counted once, however many windows it missed', async (t) => {
  const services = [await startService(t), await startService(t)];
  const house = await openHouse(t, services.map(({ port }) => port));
  await services[0]!.kill();
  await services[1]!.kill();
  for (let i = 0; i < 3; i += 1) t.equal((await chat(house, 'open', 'a kind word')).status, 200);
  t.equal(await metric(house, skipped('open')), 3);
});

t.test('a conversation that is sent again is asked about where it is new, and an old hit does not block it', async (t) => {
  const services = [await startService(t), await startService(t)];
  const house = await openHouse(t, services.map(({ port }) => port), {});
  const turns = ['a kind word', 'and a kind answer'];
  for (let turn = 0; turn < 12; turn += 1) {
    for (const { asked } of services) asked.length = 0;
    t.equal((await chat(house, 'open', ...turns, `turn ${turn}`)).status, 200);
    const old = turns.slice(0, turn === 0 ? 0 : -1);
    t.same(services.map(({ asked }) => asked.filter((text) => old.includes(text))), [[], []], 'nothing that was sent before');
    turns.push(`turn ${turn}`, `answer ${turn}`);
  }
  t.equal((await chat(house, 'open', ...turns, 'a vile word')).status, 400);
  t.equal((await chat(house, 'open', ...turns, 'a vile word', 'no', 'a kind word')).status, 200);
  t.equal((await chat(house, 'closed', ...turns, 'a vile word')).status, 400);
  t.equal(services[0]!.asked.filter((text) => text === 'a vile word').length, 2, 'another tenant is asked about for itself');
  t.match(house.traces[0], /screen_input [\d.]+ ms \([^)]*\b(?:one|two) [\d.]+ ms/);
  t.notMatch(house.traces.join('') + house.log.join(''), /vile|kind/);
});
