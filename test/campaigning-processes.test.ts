/**
 * Campaigns where proxies draw and a control plane labels: two real processes over one Postgres, each with its own data
 * folder, the proxy's log shipped besides. What was drawn at one is read at the other, sealed in between, until it is
 * erased, its tenant withdraws or its days are over; with another master key nothing is lost, and nothing shown.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { openAuditLog } from '../src/audit/log.ts';
import { loadConfig } from '../src/config/load.ts';
import { Retention } from '../src/retention.ts';
import { PostgresDatabase } from '../src/store/postgres.ts';
import { SqlReviewContents } from '../src/store/review-contents.ts';
import { ask, tokenFor } from './helpers/admin.ts';
import { linesOf } from './helpers/audit.ts';
import { openProvider } from './helpers/held.ts';
import { freshFolder, KEY, until } from './helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './helpers/postgres.ts';
import { runWeir, type WeirProcess } from './helpers/process.ts';
import { postgresRows } from './helpers/sinks.ts';

t.setTimeout(300_000);

const ALL = { id: 'all', probability_percent: 100 };
const RISK = { campaigns: [{ id: 'q', directions: ['input'], strata: [ALL], calibration_percent: 0, double_blind_percent: 0, keep_days: 60 }] };
const KEPT_DAYS = 60;
const DAY_MS = 86_400_000;

interface Place {
  readonly dir: string;
  configure(more: object): void;
}

/** A folder with a configuration over the smallest one. */
function placeOf(t: Test, upstream: string, url: string, base: object): Place {
  const dir = freshFolder(t);
  mkdirSync(join(dir, 'data'), { recursive: true });
  writeFileSync(join(dir, 'data/hash.key'), KEY);
  writeFileSync(join(dir, 'p.yaml'), 'policy: acme\nrules: []\n');
  const configure = (more: object): void => writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], classifiers: [], store: { url }, upstreams: { local: { url: upstream } }, telemetry: { log_level: 'warn' },
    tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { campaigns: true } }], risk: RISK, ...base, ...more,
  }));
  configure({});
  return { dir, configure };
}

const MASTER = randomBytes(32).toString('base64');
const KEYED = { master_key: '${WEIR_MASTER_KEY}' };
const start = (t: Test, { dir }: Place, env: Readonly<Record<string, string>> = { WEIR_MASTER_KEY: MASTER }): Promise<WeirProcess> => runWeir(t, dir, [], env);
const callAt = ({ adminUrl }: WeirProcess, token: string) => async (method: string, path: string, body?: object): Promise<any> => (await ask(adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) })).body;

async function chat({ port }: WeirProcess, content: unknown): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
  await response.arrayBuffer();
  return response.headers.get('x-weir-request-id')!;
}

async function rowsOf(t: Test, url: string): Promise<(sql: string) => Promise<any[]>> {
  const client = new Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  return async (sql) => (await client.query(sql)).rows;
}

t.test('drawn at a proxy, labelled at the control plane, and gone when it is erased, withdrawn or old', { skip: POSTGRES_MISSING }, async (t) => {
  const [provider, url] = [await openProvider(t), await openPostgresSchema(t)];
  const control = await start(t, placeOf(t, provider.url, url, { roles: ['control'], audit: KEYED }));
  const call = callAt(control, control.adminToken!);
  const ship = { url: control.adminUrl, token: await tokenFor(control.adminUrl, control.adminToken!, 'edge', ['shipper']) };
  const edge = placeOf(t, provider.url, url, { roles: ['proxy'], audit: { ...KEYED, origin: 'edge', ship } });
  const proxy = await start(t, edge);
  const rows = await rowsOf(t, url);
  const drawn = async (count: number): Promise<void> => void (await until(async () => (await call('GET', 'risk/campaigns/q')).total?.drawn === count && (await rows('select 1 from review_contents')).length >= count, `${count} drawn`));

  const sent: string[] = [];
  for (let i = 0; i < 6; i++) sent.push(await chat(proxy, `a question of room 471${i}`));
  await drawn(6);
  t.match((await call('GET', 'risk/campaigns/q')).total, { drawn: 6, waiting: 6 }, 'the shipped log and the own one are one');
  t.notMatch(await postgresRows(url), /room 471/, 'nothing in clear');
  const texts = new Set<string>();
  const next = async (): Promise<any> => call('POST', 'risk/next');
  for (let i = 0; i < 3; i++) {
    const { state, annotation, texts: [first] } = await next();
    t.equal(state, 'there');
    texts.add(first.text);
    t.same(await call('POST', `risk/annotations/${annotation.annotation_id}/label`, { label: 'safe' }), { done: true });
  }
  t.ok(texts.size === 3 && [...texts].every((text) => /^a question of room 471\d$/.test(text)));

  const [{ request_id: erased }] = await rows(`select request_id from risk_tasks where status = 'waiting' order by task_id limit 1`);
  await call('POST', 'tenants/default/erasures', { request_id: erased });
  const left = new Set<string>();
  for (let found = await next(); found.state === 'there'; found = await next()) {
    left.add(found.texts[0].text);
    await call('POST', `risk/annotations/${found.annotation.annotation_id}/label`, { label: 'safe' });
  }
  t.equal(left.size, 2);
  t.notOk([...left].includes(`a question of room 471${sent.indexOf(erased)}`));
  t.match((await call('GET', 'risk/campaigns/q')).total, { drawn: 6, labelled: 5, missing: 1, waiting: 0 });
  t.same(await rows(`select missing_reason from risk_tasks where status = 'missing'`), [{ missing_reason: 'erased' }]);
  t.same(await rows(`select count(*)::int as count from review_contents where sealed = ''`), [{ count: 1 }], 'neither key nor text of it is left in the store');

  const picture = [{ type: 'text', text: 'what is this?' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }];
  await proxy.stop();
  edge.configure({ proxy: { port: 0, opaque: { image: 'pass' } } });
  const again = await start(t, edge);
  await chat(again, picture);
  await until(async () => (await call('GET', 'risk/campaigns/q')).modalities.length === 2, 'the picture');
  t.match(await next(), { state: 'none' }, 'nobody judges a picture by the words beside it');
  t.match((await call('GET', 'risk/campaigns/q')).modalities.find(({ name }: any) => name === 'image'), { drawn: 1, missing: 1, labelled: 0 });

  const { config } = await loadConfig(join(edge.dir, 'weir.yaml'), { WEIR_MASTER_KEY: MASTER });
  const database = new PostgresDatabase(url);
  t.teardown(() => database.close());
  const log = await openAuditLog({ dir: join(freshFolder(t), 'audit'), keyFile: join(freshFolder(t), 'audit.key'), origin: 'here', clock: Date.now });
  t.teardown(() => log.close());
  const sweep = (days: number): Promise<void> => new Retention({ config: () => ({ ...config, roles: ['control'] }), log, dir: join(freshFolder(t), 'none'), contents: new SqlReviewContents(database), now: () => new Date(Date.now() + days * DAY_MS) }).run();
  const count = async (): Promise<number> => (await rows(`select 1 from review_contents`)).length;
  const before = await count();
  await sweep(KEPT_DAYS);
  t.equal(await count(), before, 'on the last day');
  await sweep(KEPT_DAYS + 1);
  t.equal(await count(), 0, 'a day later');

  await chat(again, 'the last before they withdraw');
  await until(async () => (await rows('select 1 from review_contents')).length === 1, 'its copy');
  edge.configure({ tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { campaigns: false } }] });
  const entries = (): any[] => linesOf(join(edge.dir, 'data/audit')).map((line) => JSON.parse(line));
  await until(() => entries().some(({ kind, author }) => kind === 'erasure' && author === 'withdrawal from campaigns'), 'what was drawn is erased where it is kept');
  await chat(again, 'after they withdrew');
  await until(() => entries().filter(({ kind }) => kind === 'exchange').length === 9, 'its entry');
  t.equal(entries().filter(({ kind }) => kind === 'exchange').at(-1).samples, undefined, 'nothing more is drawn');
  t.match((await call('GET', 'risk/campaigns/q')).total, { labelled: 5 }, 'labels stay, as counts');
});

t.test('with another master key nothing is shown, and nothing lost', { skip: POSTGRES_MISSING }, async (t) => {
  const [provider, url] = [await openProvider(t), await openPostgresSchema(t)];
  const control = await start(t, placeOf(t, provider.url, url, { roles: ['control'], audit: KEYED }), { WEIR_MASTER_KEY: randomBytes(32).toString('base64') });
  const call = callAt(control, control.adminToken!);
  const proxy = await start(t, placeOf(t, provider.url, url, { roles: ['proxy'], audit: KEYED }));
  await chat(proxy, 'a question of room 4711');
  await until(async () => (await call('GET', 'risk/campaigns/q')).total?.drawn === 1, 'the task');
  t.same(await call('POST', 'risk/next'), { state: 'locked', left: 0, done: 0, cut: 0, annotation: null, texts: [] }, 'no text');
  t.match((await call('GET', 'risk/campaigns/q')).total, { waiting: 1, missing: 0 });
  t.ok(control.log.some((line) => /drawn cannot be read here.*audit\.master_key/.test(line)), 'its log says what to do');
  await control.stop();
  const keyed = await start(t, placeOf(t, provider.url, url, { roles: ['control'], audit: KEYED }));
  t.match(await callAt(keyed, keyed.adminToken!)('POST', 'risk/next'), { state: 'there', texts: [{ text: 'a question of room 4711' }] }, 'with the key of the others');
});

t.test('a task that comes before its text waits again when it is there', { skip: POSTGRES_MISSING }, async (t) => {
  const [provider, url] = [await openProvider(t), await openPostgresSchema(t)];
  const control = await start(t, placeOf(t, provider.url, url, { roles: ['control'], audit: KEYED }));
  const call = callAt(control, control.adminToken!);
  const ship = { url: control.adminUrl, token: await tokenFor(control.adminUrl, control.adminToken!, 'edge', ['shipper']) };
  const edge = placeOf(t, provider.url, 'sqlite:weir.db', { roles: ['proxy'], audit: { ...KEYED, ship } });
  const alone = await start(t, edge);
  await chat(alone, 'a question of room 4711');
  await until(async () => (await call('GET', 'risk/campaigns/q')).total?.drawn === 1, 'the task, of the log that is shipped');
  t.match(await call('POST', 'risk/next'), { state: 'none' });
  t.match((await call('GET', 'risk/campaigns/q')).total, { missing: 1 }, 'there is no text');
  await alone.stop();
  edge.configure({ store: { url } });
  await start(t, edge);
  await until(async () => (await call('GET', 'risk/campaigns/q')).total.waiting === 1, 'it waits again');
  t.match(await call('POST', 'risk/next'), { state: 'there', texts: [{ text: 'a question of room 4711' }] }, 'for whoever asked before too');
});
