/**
 * Models at work in running Weirs: letting one work and bringing the former back over the API, what refuses it, who may
 * override that, what the audit log holds; under load, with two processes on one store, after a crash, with a damaged
 * file, and with two at once.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isRefusal, ModelRegistry, sha256Of } from '../src/learn/registry.ts';
import { PROBES } from '../src/proving.ts';
import { promote } from '../src/learn/promotion.ts';
import { SqlModelStore } from '../src/store/models.ts';
import { PostgresDatabase } from '../src/store/postgres.ts';
import { openSqliteDatabase } from '../src/store/sqlite.ts';
import { ask } from './helpers/admin.ts';
import { freshFolder, openHouse, until, type House } from './helpers/house.ts';
import { candidateOf, measured, modelFile, shiftedModel } from './helpers/models.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './helpers/postgres.ts';
import { runWeir, type WeirProcess } from './helpers/process.ts';
import { openProvider } from './helpers/replicas.ts';

const POLICY = 'policy: acme\nrules:\n  - { id: injection, priority: 1, direction: input, when: { score: prompt-injection.injection, gte: 0.5 }, action: block }\n';
/** Let through by what is shipped, and blocked by the model that finds attacks everywhere. */
const HARMLESS = 'What can I cook with two eggs and a leek?';
const EAGER = candidateOf('prompt-injection', shiftedModel('prompt-injection', 6));
const CALM = candidateOf('prompt-injection', shiftedModel('prompt-injection', -0.05));

function registryOf(t: Test, url: string): { readonly registry: ModelRegistry; readonly query: PostgresDatabase['query'] } {
  const database = url.startsWith('postgres') ? new PostgresDatabase(url) : openSqliteDatabase(url);
  t.teardown(() => database.close());
  return { registry: new ModelRegistry(new SqlModelStore(database), () => new Date()), query: database.query };
}

async function open(t: Test, config: Readonly<Record<string, unknown>> = {}): Promise<House> {
  return openHouse(t, { config, files: { 'acme.yaml': POLICY } });
}

/** Of all scores that the running house gives the fixed texts. */
async function scores(house: House): Promise<string> {
  const told = [];
  for (const content of PROBES.filter((text) => text.isWellFormed())) {
    const response = await fetch(`http://127.0.0.1:${house.port}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ tenant_id: 'default', direction: 'input', content, content_type: 'text' }) });
    const { classifier_results: results } = (await response.json()) as { readonly classifier_results: readonly { readonly classifier_id: string; readonly category: string; readonly score?: number }[] };
    told.push(results.map(({ classifier_id: id, category, score }) => [id, category, score]));
  }
  if (!JSON.stringify(told).includes('"prompt-injection","injection",0.')) throw new Error('no scores were told');
  return sha256Of(Buffer.from(JSON.stringify(told)));
}

const post = (house: House, path: string, body: object = {}) => ask(house.adminUrl, `/api/v1/learn/${path}`, { method: 'POST', token: house.token, body });
const get = (house: House, path: string) => ask(house.adminUrl, `/api/v1/learn/${path}`, { token: house.token });
const entries = async (house: House, query: string): Promise<readonly Record<string, any>[]> => (await ask(house.adminUrl, `/api/v1/audit?${query}`, { token: house.token })).body.entries;

t.test('a model works after it is let, the former is brought back, and the log says all of it', async (t) => {
  const house = await open(t, { screening: { deadline_ms: 10_000 } });
  const { registry } = registryOf(t, `${house.dir}/data/weir.db`);
  t.equal(await registry.register(CALM, 'ana'), 'added');
  t.same((await get(house, 'models')).body.plugins, [{ plugin: 'prompt-injection', working: null, sha256: CALM.base_sha256, switch: 0, before: null, can_roll_back: false, beside: null }]);
  t.same((await get(house, `models/${CALM.model_id}/gate`)).body, { model_id: CALM.model_id, against: [] });
  const before = await scores(house);
  t.equal(await house.chat(HARMLESS), 200);
  t.match(await post(house, `models/${CALM.model_id}/promote`), { status: 200, body: { number: 1, change: 'promote', model_id: CALM.model_id, from_model_id: null, against: [] } });
  t.match((await ask(house.adminUrl, '/api/v1/classifiers', { token: house.token })).body.classifiers.filter(({ id }: { id: string }) => id === 'prompt-injection' || id === 'jailbreak').map(({ version }: { version: string }) => version.includes(CALM.model_id)), [true, true]);
  t.equal(await house.chat(HARMLESS), 200);
  t.not(await scores(house), before);
  t.match(await post(house, `models/${CALM.model_id}/promote`), { status: 409, body: { error: { code: 'at_work' } } });
  t.match(await post(house, `models/${CALM.model_id}/retire`), { status: 409, body: { error: { code: 'at_work' } } });
  const { body: { processes } } = await get(house, 'models');
  t.match(processes, [{ plugin: 'prompt-injection', number: 1, lags: false, fault: null }]);
  t.match(await post(house, 'plugins/prompt-injection/rollback', { reason: 'a try' }), { status: 200, body: { number: 2, change: 'rollback', model_id: null, sha256: CALM.base_sha256 } });
  t.match(await post(house, 'plugins/prompt-injection/rollback'), { status: 409, body: { error: { code: 'nothing_before' } } });
  t.same(await scores(house), before, 'byte for byte the scores from before');
  t.equal(await house.chat(HARMLESS), 200);
  t.match(await post(house, `models/${CALM.model_id}/retire`), { status: 200, body: { retired_by: 'admin' } });
  t.match(await post(house, `models/${CALM.model_id}/promote`), { status: 404, body: { error: { code: 'no_model' } } });
  await until(async () => (await entries(house, 'kind=model_change')).length === 3, 'the entries');
  t.match([...(await entries(house, 'kind=model_change'))].reverse(), [
    { change: 'promote', author: 'admin', plugin: 'prompt-injection', number: 1, model_id: CALM.model_id, sha256: CALM.sha256, from_model_id: null, from_sha256: CALM.base_sha256, dataset: 'ds-test', gate: 'passed', evaluation: [{ category: 'injection', n: 5_000, recall_change: [0, -0.005, 0.005] }] },
    { change: 'rollback', author: 'admin', number: 2, model_id: null, from_model_id: CALM.model_id, reason: 'a try' },
    { change: 'retire', model_id: CALM.model_id },
  ]);
  const models = (await entries(house, 'kind=exchange')).filter(({ route }) => route === '/v1/chat/completions').map((one) => one.models).reverse();
  t.same(models, [undefined, [CALM.model_id], undefined], 'each exchange names the models that worked');
  t.same((await get(house, 'plugins/prompt-injection/switches')).body.switches.map(({ number }: { number: number }) => number), [2, 1]);
});

t.test('what stands against a model keeps it from working, but for an admin with a reason', async (t) => {
  const house = await open(t);
  const { registry, query } = registryOf(t, `${house.dir}/data/weir.db`);
  const worse = candidateOf('prompt-injection', EAGER.bytes, { evaluation: [measured('injection', { recall_change: { value: -0.2, low: -0.3, high: -0.1 } }), measured('jailbreak', { n: 3 })] });
  await registry.register(worse, 'ana');
  const refused = await post(house, `models/${worse.model_id}/promote`);
  t.match(refused, { status: 422, body: { error: { code: 'gate' } } });
  t.match(refused.body.against.join('\n'), /injection: recall falls by 0.200 \(0.100 to 0.300\)\njailbreak: 3 rows/);
  t.match(refused.body.against.join('\n'), /case of prompt-injection/);
  const made = await ask(house.adminUrl, '/api/v1/tokens', { method: 'POST', token: house.token, body: { name: 'pia', roles: ['policy'] } });
  const asPolicy = (body: object) => ask(house.adminUrl, `/api/v1/learn/models/${worse.model_id}/promote`, { method: 'POST', token: made.body.token, body });
  t.match(await asPolicy({}), { status: 422 });
  t.match(await asPolicy({ override: true, reason: 'mine' }), { status: 403, body: { error: { message: /the role admin/ } } });
  for (const body of [{ override: true }, { override: true, reason: ' ' }, { override: 'yes' }, { other: 1 }, []]) t.match(await post(house, `models/${worse.model_id}/promote`, body), { status: 400 });
  t.equal(await house.chat(HARMLESS), 200);
  t.match(await post(house, `models/${worse.model_id}/promote`, { override: true, reason: 'a drill' }), { status: 200, body: { reason: 'a drill' } });
  t.equal(await house.chat(HARMLESS), 400);
  await until(async () => (await entries(house, 'kind=model_change')).length === 1, 'the entry');
  t.match(await entries(house, 'kind=model_change'), [{ gate: 'overridden', reason: 'a drill', against: refused.body.against }]);

  await registry.register(CALM, 'ana');
  t.match((await post(house, `models/${CALM.model_id}/promote`)).body.against, [/measured beside the model .* works now/], 'it was measured beside another');
  await query(`update learn_model_pieces set content = 'AAAA' where model_id = $1 and piece = 0`, CALM.model_id);
  t.match(await post(house, `models/${CALM.model_id}/promote`, { override: true, reason: 'a drill' }), { status: 422, body: { error: { code: 'damaged' } } }, 'no reason helps a damaged file');
  const other = candidateOf('prompt-injection', readFileSync(modelFile('jailbreak')));
  await registry.register(other, 'ana');
  t.match(await post(house, `models/${other.model_id}/promote`, { override: true, reason: 'a drill' }), { status: 422, body: { error: { code: 'unfit' } } }, 'nor one of another format');
  const odd = candidateOf('prompt-injection', shiftedModel('prompt-injection', NaN));
  await registry.register(odd, 'ana');
  t.match(await post(house, `models/${odd.model_id}/promote`, { override: true, reason: 'a drill' }), { status: 422, body: { error: { message: /no number from 0 to 1/ } } });
  t.equal(await house.chat(HARMLESS), 400, 'what worked works');
});

async function everyExchange(house: House): Promise<readonly Record<string, any>[]> {
  const all: Record<string, any>[] = [];
  for (let before: number | undefined; ; ) {
    const { body } = await ask(house.adminUrl, `/api/v1/audit?kind=exchange&limit=200${before === undefined ? '' : `&before=${before}`}`, { token: house.token });
    all.push(...body.entries);
    if (body.next === null) return all;
    before = body.next;
  }
}

t.test('under load no request fails, and each is decided by exactly one model', async (t) => {
  const house = await open(t);
  const { registry } = registryOf(t, `${house.dir}/data/weir.db`);
  await registry.register(EAGER, 'ana');
  let isOver = false;
  const statuses: number[] = [];
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let at = 0; !isOver; at += 1) statuses.push(await house.chat(`${HARMLESS} ${client}.${at}`));
  });
  for (let round = 0; round < 3; round += 1) {
    t.equal((await post(house, `models/${EAGER.model_id}/promote`, { override: true, reason: 'load' })).status, 200);
    t.equal(await house.chat(HARMLESS), 400, 'asked after the answer, it is the new one');
    t.equal((await post(house, 'plugins/prompt-injection/rollback')).status, 200);
    t.equal(await house.chat(HARMLESS), 200);
  }
  isOver = true;
  await Promise.all(clients);
  t.same([...new Set(statuses)].sort(), [200, 400]);
  await until(async () => (await everyExchange(house)).length === statuses.length + 6, 'all entries');
  const all = await everyExchange(house);
  t.same(all.filter(({ status, models }) => (status === 400) !== (JSON.stringify(models) === JSON.stringify([EAGER.model_id]))), [], 'the model that is named is the one that decided');
  t.comment(`${all.length} exchanges over 6 switches`);
});

t.test('two processes on one Postgres follow, and what works is found again after a start', { skip: POSTGRES_MISSING }, async (t) => {
  const url = await openPostgresSchema(t);
  const config = { store: { url } };
  const pair = [await open(t, config), await open(t, config)] as const;
  const { registry, query } = registryOf(t, url);
  await registry.register(EAGER, 'ana');
  const answers = await Promise.all(pair.map((house) => post(house, `models/${EAGER.model_id}/promote`, { override: true, reason: 'race' })));
  t.same(answers.map(({ status }) => status).sort(), [200, 409], 'one of two that let it work at once');
  for (const house of pair) t.ok((await until(async () => (await house.chat(HARMLESS)) === 400, 'the switch')) < 10_000);
  await until(async () => (await get(pair[0], 'models')).body.processes.filter(({ lags }: { lags: boolean }) => !lags).length === 2, 'both to say so');
  const third = await open(t, config);
  t.equal(await third.chat(HARMLESS), 400, 'from its first request');
  t.equal((await post(pair[1], 'plugins/prompt-injection/rollback')).status, 200);
  for (const house of [...pair, third]) await until(async () => (await house.chat(HARMLESS)) === 200, 'the rollback');

  await query(`update learn_model_pieces set content = 'AAAA' where model_id = $1 and piece = 0`, EAGER.model_id);
  const head = (await registry.heads()).get('prompt-injection')!;
  t.notOk(isRefusal(await registry.switchTo({ ...head, number: 3, change: 'promote', model_id: EAGER.model_id, sha256: EAGER.sha256, back: 2 }, { kind: 'model_change', change: 'promote', author: 'x', plugin: 'prompt-injection', number: 3, model_id: EAGER.model_id })));
  await until(async () => (await get(pair[0], 'models')).body.processes.filter(({ lags, fault }: { lags: boolean; fault: string | null }) => lags && /damaged/.test(fault ?? '')).length === 3, 'all to say that they lag, and why');
  for (const house of [...pair, third]) t.equal(await house.chat(HARMLESS), 200, 'what worked before works');
  t.ok(third.log.some((line) => /models/.test(line) && /damaged/.test(line)), 'and the log says so');
});

t.test('a switch that was written before a crash counts after it, with its entry', async (t) => {
  const upstream = await openProvider(t);
  const dir = freshFolder(t);
  writeFileSync(join(dir, 'p.yaml'), POLICY.replace('acme', 'p'));
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: upstream } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }] }));
  const chat = async ({ port }: WeirProcess): Promise<number> => (await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: HARMLESS }] }) })).status;
  const first = await runWeir(t, dir);
  t.equal(await chat(first), 200);
  const { registry } = registryOf(t, join(dir, 'data/weir.db'));
  await registry.register(EAGER, 'ana');
  const parts = { registry, gate: () => ({ margin: 0, rowsMin: 0, positivesMin: 0 }), shipped: async () => EAGER.base_sha256, prove: async () => ({ against: [] }), fit: async () => undefined, now: () => new Date() };
  t.notOk(isRefusal(await promote(parts, { modelId: EAGER.model_id, author: 'ana' })));
  await first.kill();
  const second = await runWeir(t, dir);
  t.equal(await chat(second), 400, 'from its first request');
  const changes = async (): Promise<readonly unknown[]> => (await ask(second.adminUrl, '/api/v1/audit?kind=model_change', { token: first.adminToken! })).body.entries;
  await until(async () => (await changes()).length > 0, 'the entry');
  t.match(await changes(), [{ change: 'promote', author: 'ana', model_id: EAGER.model_id, gate: 'passed' }]);
});

t.test('a model beside what works scores live traffic, decides nothing, and tells what would change', async (t) => {
  const house = await open(t);
  const { registry } = registryOf(t, `${house.dir}/data/weir.db`);
  await registry.register(EAGER, 'ana');
  t.match(await post(house, `models/${EAGER.model_id}/shadow`), { status: 200, body: { running: { share: 1 }, compared: [] } });
  t.match(await post(house, `models/${EAGER.model_id}/retire`), { status: 409 }, 'it runs beside');
  const texts = 20;
  for (let at = 0; at < texts; at += 1) t.equal(await house.chat(`${HARMLESS} ${at}`), 200, 'it decides nothing');
  const shadow = async (): Promise<any> => (await get(house, `models/${EAGER.model_id}/shadow`)).body;
  await until(async () => (await shadow()).texts.scored >= texts, 'the sums');
  const told = await shadow();
  t.match(told.compared.find(({ classifier_id: id, category, policy }: Record<string, string>) => id === 'prompt-injection' && category === 'injection' && policy === 'acme'), { threshold: 0.5, n: texts, both: 0, only_working: { count: 0 }, only_shadow: { count: texts, rate: 1, high: 1 }, agreement: { count: 0 } });
  t.ok(told.compared.some(({ classifier_id: id, policy }: Record<string, string>) => id === 'jailbreak' && policy === ''), 'the other plugin that reads the model, at 0.5');
  t.ok(told.latency_ms.n >= texts && told.latency_ms.shadow > 0);
  t.notMatch(JSON.stringify(told), /leek/, 'no texts');
  t.equal((await ask(house.adminUrl, '/api/v1/learn/plugins/prompt-injection/shadow', { method: 'DELETE', token: house.token })).status, 200);
  await house.chat(HARMLESS);
  t.match(await shadow(), { running: null, texts: { scored: told.texts.scored } }, 'what came of it stays');
  t.match(await post(house, `models/${EAGER.model_id}/shadow`, { share_percent: 50 }), { status: 200, body: { running: { share: 0.5 } } });
  t.equal((await post(house, `models/${EAGER.model_id}/promote`, { override: true, reason: 'a drill' })).status, 200);
  t.match(await shadow(), { running: null }, 'what works runs beside nothing');
  t.match(await post(house, `models/${EAGER.model_id}/shadow`), { status: 409 });
  await until(async () => (await entries(house, 'kind=model_change')).length === 4, 'the entries');
  t.match((await entries(house, 'kind=model_change')).map(({ change, model_id: id, share }) => [change, id, share]), [['promote', EAGER.model_id, undefined], ['shadow', EAGER.model_id, 0.5], ['shadow', null, undefined], ['shadow', EAGER.model_id, 1]]);
});
