/**
 * `kill -9` of a process with a campaign, under traffic and while somebody labels, again and again on the same data: every
 * decision that the seed draws is in the log with the probability that was in force, is a task once, and no label that was
 * answered is lost. And a Postgres that is away or frozen while exchanges are drawn: they notice nothing, and their tasks
 * come later. `WEIR_TEST_RUNS` multiplies the rounds.
 */
import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { checkLog } from '../src/audit/check.ts';
import { publishedKeys } from '../src/audit/recovery.ts';
import { PostgresDatabase } from '../src/store/postgres.ts';
import type { StoreDatabase } from '../src/store/sql.ts';
import { openSqliteDatabase } from '../src/store/sqlite.ts';
import { ask } from './helpers/admin.ts';
import { linesOf } from './helpers/audit.ts';
import { openProvider } from './helpers/held.ts';
import { freshFolder, until } from './helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './helpers/postgres.ts';
import { runWeir, type WeirProcess } from './helpers/process.ts';
import { between } from './helpers/redis-server.ts';
import { randomOf, runs, seed } from './helpers/runs.ts';

const SEED = Buffer.alloc(32, 5);
const CLIENTS = 4;
const PERCENTS = [100, 60, 25, 7];
/** Of the time until the kill, from the start. */
const ALIVE_MS = 2_500;

t.setTimeout(3_000_000);

function configure(dir: string, upstream: string, percent: number, more: object = {}): void {
  writeFileSync(join(dir, 'q.seed'), SEED);
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\nrules: []\n');
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], classifiers: [], upstreams: { local: { url: upstream } }, audit: { durability: 'strict' }, telemetry: { log_level: 'silent' },
    tenants: [{ id: 'default', policy: 'p', upstream: 'local', data: { campaigns: true } }],
    risk: { campaigns: [{ id: 'q', directions: ['input', 'output'], strata: [{ id: 'all', probability_percent: percent }], seed_file: './q.seed', calibration_percent: 0, double_blind_percent: 30 }], annotation: { batch_items: 5, daily_max: 100_000 } }, ...more,
  }));
}

/** The id of a request that was answered whole; undefined where it was not. */
async function chat({ port }: WeirProcess): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }) });
    await response.arrayBuffer();
    return response.status === 200 ? response.headers.get('x-weir-request-id')! : undefined;
  } catch {
    return undefined;
  }
}

const api = ({ adminUrl }: WeirProcess, token: string) => (method: string, path: string, body?: object) => ask(adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });

/** Labels what it is given; what was answered is noted. */
async function label(weir: WeirProcess, token: string, done: Set<string>): Promise<void> {
  const call = api(weir, token);
  const { body } = await call('POST', 'risk/next');
  if (body.state !== 'there') return void await delay(20);
  const answered = await call('POST', `risk/annotations/${body.annotation.annotation_id}/label`, { label: 'safe' });
  if (answered.status === 200) done.add(body.annotation.annotation_id);
}

function chanceOf(requestId: string, direction: string): number {
  const key = createHmac('sha256', SEED).update('weir campaign q').digest();
  return createHmac('sha256', key).update(`${requestId}.${direction}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

interface Store {
  readonly config: object;
  open(): StoreDatabase;
}

async function killAgainAndAgain(t: Test, dir: string, store: Store): Promise<void> {
  const provider = await openProvider(t);
  const random = randomOf(seed);
  const rounds = runs(3);
  const [received, labels, percentOf]: [string[], Set<string>, { readonly fromMs: number; readonly percent: number }[]] = [[], new Set(), []];
  let token = '';
  for (let round = 0; round < rounds; round++) {
    const percent = PERCENTS[Math.floor(random() * PERCENTS.length)]!;
    configure(dir, provider.url, percent, store.config);
    percentOf.push({ fromMs: Date.now(), percent });
    const weir = await runWeir(t, dir);
    token ||= weir.adminToken!;
    let isOver = false;
    const working = Array.from({ length: CLIENTS }, async () => {
      while (!isOver) {
        const id = await chat(weir);
        if (id !== undefined) received.push(id);
      }
    });
    const labelling = (async () => {
      while (!isOver) await label(weir, token, labels).catch(() => undefined);
    })();
    await delay(random() * ALIVE_MS);
    isOver = true;
    await weir.kill();
    await Promise.all([...working, labelling]);
  }
  configure(dir, provider.url, 50, store.config);
  percentOf.push({ fromMs: Date.now(), percent: 50 });
  const last = await runWeir(t, dir);
  const audit = join(dir, 'data/audit');
  const entries = linesOf(audit).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'exchange');
  const have = new Set(entries.map(({ request_id: id }) => id));
  t.same(received.filter((id) => !have.has(id)), [], 'every answer is in the log');
  const wrong: unknown[] = [];
  for (const { request_id: id, started_at: at, samples = [], input, output } of entries) {
    const { percent } = percentOf.findLast(({ fromMs }) => fromMs <= Date.parse(at))!;
    const expected = [...(input === undefined ? [] : ['input']), ...(output === undefined ? [] : ['output'])].filter((direction) => chanceOf(id, direction) < percent / 100);
    if (JSON.stringify(samples.map(({ direction, probability }: any) => [direction, probability])) !== JSON.stringify(expected.map((direction) => [direction, percent / 100]))) wrong.push({ id, samples, expected });
  }
  t.same(wrong, [], 'every draw is recorded, with the probability that was in force');

  const drawn = entries.flatMap(({ request_id: id, samples = [] }) => samples.map(({ direction, probability }: any) => `${id} ${direction} ${probability}`)).sort();
  const call = api(last, token);
  await until(async () => (await call('GET', 'risk/campaigns/q')).body.total?.drawn >= drawn.length, 'all tasks').catch(() => undefined); // what is missing is told below
  await until(async () => label(last, token, labels).then(() => labels.size > 0), 'a label');
  await last.stop();
  const database = store.open();
  t.teardown(() => database.close());
  const tasks = await database.query<Record<string, any>>('select request_id, direction, inclusion_probability, status from risk_tasks');
  t.same(tasks.map((one) => `${one['request_id']} ${one['direction']} ${Number(one['inclusion_probability'])}`).sort(), drawn, 'each is a task, once');
  const [cells] = await database.query<{ total: number }>('select sum(total) as total from risk_cells');
  t.equal(Number(cells!.total), drawn.length, 'and is counted once');
  const labelled = new Set((await database.query<{ annotation_id: string }>(`select annotation_id from risk_annotations where status = 'labelled'`)).map((one) => one.annotation_id));
  t.same([...labels].filter((id) => !labelled.has(id)), [], 'no label that was answered is lost');
  const missing = tasks.filter(({ status }) => status === 'missing').length;
  t.equal((await checkLog({ dir: audit, keys: await publishedKeys(audit), threads: 1 })).damage, undefined);
  t.ok(drawn.length > 0 && labels.size > 0);
  t.comment(`${rounds} kills, seed ${seed}: ${received.length} answers, ${drawn.length} drawn, ${labels.size} labels answered, ${labelled.size} kept, ${missing} tasks whose text the crash took`);
}

t.test('sqlite: nothing drawn is lost or doubled, no label lost', async (t) => {
  const dir = freshFolder(t);
  await killAgainAndAgain(t, dir, { config: {}, open: () => openSqliteDatabase(join(dir, 'data/weir.db')) });
});

t.test('postgres: nothing drawn is lost or doubled, no label lost', { skip: POSTGRES_MISSING }, async (t) => {
  const url = await openPostgresSchema(t);
  await killAgainAndAgain(t, freshFolder(t), { config: { store: { url } }, open: () => new PostgresDatabase(url) });
});

t.test('a Postgres that is away, or frozen: exchanges notice nothing, their tasks come later', { skip: POSTGRES_MISSING }, async (t) => {
  const [provider, url] = [await openProvider(t), new URL(await openPostgresSchema(t))];
  let fault: 'none' | 'away' | 'frozen' = 'none';
  url.port = String(await between(t, Number(url.port || 5432), { lateMs: () => (fault === 'frozen' ? 20_000 : 0), cuts: () => fault === 'away' }));
  url.hostname = '127.0.0.1';
  const dir = freshFolder(t);
  configure(dir, provider.url, 100, { store: { url: url.href } });
  const weir = await runWeir(t, dir);
  const call = api(weir, weir.adminToken!);
  const drawn = async (): Promise<number> => (await call('GET', 'risk/campaigns/q')).body.total?.drawn ?? 0;
  let sent = 0;
  const send = async (count: number): Promise<number> => {
    let slowestMs = 0;
    for (let i = 0; i < count; i++) {
      const startMs = performance.now();
      t.not(await chat(weir), undefined);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      sent++;
    }
    return slowestMs;
  };
  await send(5);
  await until(async () => (await drawn()) === 2 * sent, 'the first');
  for (const kind of ['away', 'frozen'] as const) {
    fault = kind;
    const slowestMs = await send(30);
    t.ok(slowestMs < 2_000, `${kind}: the slowest took ${slowestMs.toFixed(0)} ms, on a machine at work`);
    fault = 'none';
    await until(async () => (await drawn().catch(() => 0)) === 2 * sent, `${kind}: the tasks`);
    t.comment(`${kind}: 30 exchanges, the slowest ${slowestMs.toFixed(0)} ms`);
  }
  const { body } = await call('POST', 'risk/next');
  t.equal(body.state, 'there');
});
