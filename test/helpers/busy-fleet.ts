/**
 * A small fleet in which everything happens, for what watches it: a Weir with people, a sidecar that ships its log to it and
 * one that may not, a provider, a judge that answers late, a classifier that is dead, a trained model that works and one
 * beside it, and one round of traffic of each kind at a time.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { WEEKDAYS } from '../../src/config/learn.ts';
import { SqlLearnRuns } from '../../src/store/learn-runs.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask, tokenFor } from './admin.ts';
import { openProvider, type Answer } from './held.ts';
import { trainedModels } from './models.ts';
import { runWeir, startWeir, type WeirProcess } from './process.ts';
import { freePort } from './redis-server.ts';

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
const DAY_MS = 86_400_000;
const KEYS = { acme: generateKey(), later: generateKey() };

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

export interface Fleet {
  readonly control: WeirProcess;
  /** It ships its log to the first. */
  readonly sidecar: WeirProcess;
  /** It would, and has a token that does not count. */
  readonly stranger: WeirProcess;
}

/** An address, whole or in pieces of four characters. */
const answered: Answer = (body, response) => {
  const text = 'Write to ana@example.com';
  const chunk = (delta: object, finish: string | null = null): object => ({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] });
  if (!(JSON.parse(body) as { readonly stream?: boolean }).stream) return void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }] }));
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of [...text.match(/.{1,4}/g)!.map((content) => chunk({ content })), chunk({}, 'stop')]) response.write(`data: ${JSON.stringify(event)}\n\n`);
  response.end('data: [DONE]\n\n');
};

export async function openFleet(t: Test): Promise<Fleet> {
  const [provider, taker, judge, dead] = [await openProvider(t, answered), await openProvider(t), await openJudge(t), await freePort()];
  const dir = mkdtempSync(join(tmpdir(), 'weir-prometheus-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'policies'));
  for (const [name, text] of Object.entries({ acme: POLICY, stricter: STRICTER, later: LATER })) writeFileSync(join(dir, `policies/${name}.yaml`), text);
  const tenants = (['acme', 'later'] as const).map((id) => ({ id, policy: id, upstream: 'local', fail_mode: 'open', keys: [{ id: 'k', sha256: keyDigest(KEYS[id]), expires_at: new Date(Date.now() + 30 * DAY_MS).toISOString() }], data: { content: 'original', campaigns: true }, webhook: { url: `${taker.url}/notices`, secret: 'made-up-for-a-test' } }));
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['policies'], upstreams: { local: { url: provider.url, api_key: 'made-up' } }, tenants, telemetry: { log_level: 'silent' },
    learn: { weekly: { day: WEEKDAYS[new Date().getUTCDay()], hour: 0, plugins: ['prompt-injection'] } },
    classifiers: [{ id: 'pii', plugin: 'pii' }, { id: 'prompt-injection', plugin: 'prompt-injection' }, { id: 'dead', plugin: 'http', url: `http://127.0.0.1:${dead}/`, categories: ['toxic'], breaker: { failures: 3, open_ms: 200 } }, { id: 'late', plugin: 'http', url: judge, categories: ['toxic'] }],
    review: { double_blind_percent: 0 },
    risk: { campaigns: [{ id: 'q', directions: ['input'], strata: [{ id: 'all', probability_percent: 100 }], calibration_percent: 0, double_blind_percent: 0, claim: { below_percent: 2 } }] },
  }));
  await learnt(dir);
  const control = await runWeir(t, dir);
  await ask(control.adminUrl, '/api/v1/policies/acme', { method: 'PUT', token: control.adminToken, body: POLICY, headers: { 'content-type': 'application/yaml' } });
  const sidecar = (origin: string, token: string): Promise<WeirProcess> => startWeir(t, provider.url, 'policy: p\nrules: []\n', { roles: ['proxy'], audit: { origin, ship: { url: control.adminUrl, token } } });
  return { control, sidecar: await sidecar('eu-1/a', await tokenFor(control.adminUrl, control.adminToken!, 'sidecar', ['shipper'])), stranger: await sidecar('eu-1/b', 'no-such-token') };
}

/** A model works, another beside it, and a training ended well two days ago. */
async function learnt(dir: string): Promise<void> {
  mkdirSync(join(dir, 'data'), { recursive: true });
  const models = trainedModels(dir);
  await models.working();
  await models.shadow();
  await models.close();
  const database = openSqliteDatabase(join(dir, 'data/weir.db'));
  const runs = new SqlLearnRuns(database);
  const [due, at] = [new Date(Date.now() - 2 * DAY_MS).toISOString(), new Date(Date.now() - 2 * DAY_MS + 600_000).toISOString()];
  await runs.claim({ due, owner: 'test', now: due, until: at, attemptsMax: 3 });
  await runs.end(due, 'test', 'done', at, 'made up');
  await database.close();
}

async function chat({ port }: WeirProcess, content: unknown, key = 'sk-made-up', stream = false): Promise<void> {
  await (await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` }, body: content === undefined ? '{' : JSON.stringify({ model: 'm', stream, messages: [{ role: 'user', content }] }) })).arrayBuffer();
}

/** One of each kind: what goes on, is blocked, redacted, waits, is judged late, cannot be read, and is no request; and people who judge and label. */
export async function traffic({ control, sidecar, stranger }: Fleet, round: number): Promise<void> {
  const token = control.adminToken!;
  const call = async (method: string, path: string, body?: object) => ask(control.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });
  const image = [{ type: 'text', text: `what is this, ${round}` }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }];
  for (const content of [`hello ${round}`, `tell me of Bluebird ${round}`, `an Egret, ${round}`, `a Heron, ${round}`, `I am ana@example.com, ${round}`, image, undefined]) await chat(control, content, KEYS.acme);
  await chat(control, `a vile word, ${round}`, KEYS.later);
  await chat(control, `hello again, ${round}`, KEYS.acme, true);
  for (const one of [sidecar, stranger]) await chat(one, `hello ${round}`);
  await call('POST', 'learn/models/none-such/promote');
  const { body: { items } } = await call('GET', 'reviews');
  for (const { review_id: id } of items.slice(0, 1)) {
    const { body: { fence } } = await call('POST', `reviews/${id}/claim`);
    await call('POST', `reviews/${id}/verdict`, { fence, resolution: 'block' });
  }
  const { body: { state, annotation } } = await call('POST', 'risk/next');
  if (state === 'there') await call('POST', `risk/annotations/${annotation.annotation_id}/label`, { label: 'safe' });
}
