/**
 * What one process keeps, a reviewer at another reads: two real processes over one Postgres, each with its own data folder,
 * with one master key from the environment. A held prompt, an escalated one and an answer are read at the other, and once
 * they are erased there they are read nowhere. With a key of its own a process says whose key it is for.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { ask } from '../helpers/admin.ts';
import { openProvider } from '../helpers/held.ts';
import { freshFolder, KEY, until } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { runWeir, type WeirProcess } from '../helpers/process.ts';
import { postgresRows } from '../helpers/sinks.ts';

t.setTimeout(600_000);

const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '../../src/main.ts');

const POLICY = `policy: acme
patterns:
  - { id: egret, label: EGRET, literal: [Egret] }
  - { id: heron, label: HERON, literal: [Heron] }
  - { id: ibis, label: IBIS, literal: [Ibis] }
rules:
  - { id: ask, priority: 5, direction: input, when: { score: patterns.egret, gte: 1 }, action: escalate, severity: low, hold: { for: 120s, then: block } }
  - { id: look, priority: 6, direction: input, when: { score: patterns.heron, gte: 1 }, action: escalate, severity: low }
  - { id: heard, priority: 7, direction: output, when: { score: patterns.ibis, gte: 1 }, action: escalate, severity: low }
`;

interface Process extends WeirProcess {
  readonly dir: string;
  send(text: string, session?: string): Promise<number>;
  /** The request that was answered last. */
  last(): string;
  items(): Promise<any[]>;
  content(id: string): Promise<any>;
  call(method: string, path: string, body?: object): Promise<any>;
}

async function start(t: Test, upstream: string, url: string, masterKey?: string): Promise<Process> {
  const dir = freshFolder(t);
  mkdirSync(join(dir, 'data'), { recursive: true });
  writeFileSync(join(dir, 'data/hash.key'), KEY);
  writeFileSync(join(dir, 'p.yaml'), POLICY);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], classifiers: [], store: { url }, upstreams: { local: { url: upstream } },
    tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { content: 'original' } }], review: { double_blind_percent: 0 }, telemetry: { log_level: 'warn' }, ...(masterKey === undefined ? {} : { audit: { master_key: '${WEIR_MASTER_KEY}' } }),
  }));
  const weir = await runWeir(t, dir, [], masterKey === undefined ? {} : { WEIR_MASTER_KEY: masterKey });
  const call = async (method: string, path: string, body?: object): Promise<any> => (await ask(weir.adminUrl, `/api/v1/${path}`, { method, token: weir.adminToken!, ...(body === undefined ? {} : { body }) })).body;
  let last = '';
  return {
    ...weir, dir, call,
    last: () => last,
    send: async (content, session = 's1') => {
      const response = await fetch(`http://127.0.0.1:${weir.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up', 'x-weir-session-id': session }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
      await response.arrayBuffer();
      last = response.headers.get('x-weir-request-id') ?? '';
      return response.status;
    },
    items: async () => (await call('GET', 'reviews')).items,
    content: (id) => call('GET', `reviews/${id}/content`),
  };
}

const textsIn = ({ texts }: any): readonly string[] => texts?.texts.map(({ text }: any) => text) ?? [];

/** Until the copy is there: it comes beside the traffic. */
async function readAt(process: Process, id: string): Promise<any> {
  let found: any;
  await until(async () => (found = await process.content(id)).state !== 'absent', `a text of ${id}`);
  return found;
}

async function itemSaying(process: Process, reader: Process, isMeant: (item: any) => boolean): Promise<any> {
  let item: any;
  await until(async () => (item = (await process.items()).find(isMeant)) !== undefined, 'the item');
  return { ...item, read: await readAt(reader, item.review_id) };
}

const MASTER = randomBytes(32).toString('base64');

t.test('held, escalated and answered at one, read at the other, erased there, and read nowhere', { skip: POSTGRES_MISSING }, async (t) => {
  const [provider, url] = [await openProvider(t, 'an Ibis, made up'), await openPostgresSchema(t)];
  const [a, b] = await Promise.all([start(t, provider.url, url, MASTER), start(t, provider.url, url, MASTER)]) as [Process, Process];
  const sent = a.send('an Egret of room 4711', 's1');
  const held = await itemSaying(b, b, ({ holding }) => holding);
  t.same(textsIn(held.read), ['an Egret of room 4711'], 'while it waits');
  const { fence } = await b.call('POST', `reviews/${held.review_id}/claim`);
  await b.call('POST', `reviews/${held.review_id}/verdict`, { fence, resolution: 'allow' });
  t.equal(await sent, 200);
  const answered = await itemSaying(b, b, ({ direction }) => direction === 'output');
  t.same(textsIn(answered.read), ['an Ibis, made up']);
  await a.send('a Heron of room 4712', 's2');
  const escalated = await itemSaying(b, b, ({ triggered_rules: rules }) => rules.includes('look'));
  t.same(textsIn(escalated.read), ['a Heron of room 4712']);
  t.same(textsIn(await a.content(escalated.review_id)), ['a Heron of room 4712'], 'its own is read here too');

  await a.send('no bird of room 4713', 's4');
  await until(async () => (await a.call('POST', 'appeals', { request_id: a.last(), direction: 'input', reason: 'made up' })).review !== undefined, 'an objection to what the log has');
  const appealed = await itemSaying(b, b, ({ origin, direction }) => origin === 'appeal' && direction === 'input');
  t.same(textsIn(appealed.read), ['no bird of room 4713'], 'objected to');

  const rows = await postgresRows(url);
  t.notMatch(rows, /room 471|an Ibis/, 'nothing in clear');
  t.notMatch(rows, new RegExp(Buffer.from('room 4712').toString('base64').slice(2, 10)));

  await b.call('POST', 'tenants/default/erasures', { session_id: 's1' });
  for (const process of [b, a]) for (const { review_id: id } of [held, answered]) t.equal((await process.content(id)).state, 'erased');
  t.same(textsIn(await b.content(escalated.review_id)), ['a Heron of room 4712'], 'another session');
  await b.call('POST', 'tenants/default/erasures', { request_id: escalated.request_id });
  for (const process of [b, a]) t.equal((await process.content(escalated.review_id)).state, 'erased');
  await a.call('POST', 'tenants/default/erasures', { session_id: 's4' });
  for (const process of [b, a]) t.equal((await process.content(appealed.review_id)).state, 'erased', 'asked for at the one that keeps it');
  const client = new Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  t.same((await client.query(`select count(*)::int as left from review_contents where slot <> '' or sealed <> ''`)).rows, [{ left: 0 }], 'neither key nor text is left');

  await a.send('a Heron that comes later', 's3');
  const later = await itemSaying(b, b, ({ request_id: id, triggered_rules: rules }) => rules.includes('look') && id !== escalated.request_id);
  t.same(textsIn(later.read), ['a Heron that comes later'], 'what comes after the erasures is kept');
});

t.test('a process with another master key says whose it is, and shows its own', { skip: POSTGRES_MISSING }, async (t) => {
  const [provider, url] = [await openProvider(t), await openPostgresSchema(t)];
  const [a, b] = await Promise.all([start(t, provider.url, url, MASTER), start(t, provider.url, url)]) as [Process, Process];
  await a.send('a Heron of A');
  const { read, review_id: id } = await itemSaying(b, b, ({ triggered_rules: rules }) => rules.includes('look'));
  t.match(read, { state: 'locked', detail: /audit\.master_key/ });
  t.notMatch(JSON.stringify(read), MASTER);
  t.match(await b.call('GET', `reviews/${id}/content?only=state`), { state: 'locked' });
  await b.send('a Heron of B');
  const own = await itemSaying(b, b, ({ review_id: other, triggered_rules: rules }) => rules.includes('look') && other !== id);
  t.same(textsIn(own.read), ['a Heron of B']);
  t.match(await readAt(a, own.review_id), { state: 'locked', detail: /this process has/ });

  const client = new Client({ connectionString: url });
  await client.connect();
  t.teardown(() => client.end());
  const keyOf = async (reviewId: string): Promise<string> => (await client.query('select key_id from review_contents where review_id = $1', [reviewId])).rows[0].key_id;
  const [before, foreign] = [await keyOf(own.review_id), await keyOf(id)];
  await b.stop();
  const { stdout } = await run(process.execPath, [MAIN, 'audit', 'rotate-master-key', '--json', '--config', join(b.dir, 'weir.yaml')]);
  t.match(JSON.parse(stdout), { damaged: 0 });
  t.not(await keyOf(own.review_id), before, 'the copy is under the next key too');
  t.equal(await keyOf(id), foreign, 'and that of another as it was');
});
