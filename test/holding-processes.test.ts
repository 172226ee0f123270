/**
 * Waits over several processes, each of its own with its own data folder, beside one Postgres and one Redis: a verdict
 * given to one releases what waits in another, by messages or without; a process that is killed, or a store that
 * freezes, leaves nothing waiting.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ask } from './helpers/admin.ts';
import { holding, openProvider, type Provider } from './helpers/held.ts';
import { freshFolder, KEY, until } from './helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './helpers/postgres.ts';
import { runWeir, type WeirProcess } from './helpers/process.ts';
import { between, freePort, REDIS_MISSING, startRedis } from './helpers/redis-server.ts';
import { runs } from './helpers/runs.ts';
import { spread } from './helpers/spread.ts';

t.setTimeout(600_000);

interface Process extends WeirProcess {
  send(text: string): Promise<{ readonly status: number; readonly tookMs: number }>;
  items(): Promise<any[]>;
  decide(id: string, resolution: string): Promise<any>;
}

async function start(t: Test, provider: Provider, policy: string, config: object): Promise<Process> {
  const dir = freshFolder(t);
  mkdirSync(join(dir, 'data'), { recursive: true });
  writeFileSync(join(dir, 'data/hash.key'), KEY);
  writeFileSync(join(dir, 'p.yaml'), policy);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: provider.url } }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }], review: { double_blind_percent: 0 }, ...config }));
  const weir = await runWeir(t, dir);
  const call = (method: string, path: string, body?: object) => ask(weir.adminUrl, `/api/v1/${path}`, { method, token: weir.adminToken!, ...(body === undefined ? {} : { body }) });
  return {
    ...weir,
    send: async (content) => {
      const startMs = performance.now();
      const response = await fetch(`http://127.0.0.1:${weir.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) });
      await response.arrayBuffer();
      return { status: response.status, tookMs: performance.now() - startMs };
    },
    items: async () => (await call('GET', 'reviews')).body.items,
    decide: async (id, resolution) => {
      const claim = await call('POST', `reviews/${id}/claim`);
      return (await call('POST', `reviews/${id}/verdict`, { fence: claim.body.fence, resolution })).body;
    },
  };
}

async function waitingAt({ items }: Process): Promise<any> {
  let item: any;
  await until(async () => { [item] = (await items()).filter((one) => one.holding); return item !== undefined; }, 'an item that is waited for');
  return item;
}

t.test('a verdict given to one process releases what waits in the other, over Postgres, over Redis, and without messages', { skip: POSTGRES_MISSING || REDIS_MISSING }, async (t) => {
  const provider = await openProvider(t);
  const redis = await freePort();
  const server = await startRedis(t, redis);
  const deafTo = (...words: readonly string[]) => ({ cuts: (said: Buffer) => words.some((word) => said.includes(word)) });
  const postgresUrl = await openPostgresSchema(t);
  const deafPostgres = new URL(postgresUrl);
  deafPostgres.port = String(await between(t, Number(new URL(postgresUrl).port || 5432), deafTo('listen "weir')));
  deafPostgres.hostname = '127.0.0.1';
  const ways: readonly (readonly [string, object, number])[] = [
    ['Postgres', { store: { url: postgresUrl } }, 500],
    ['Redis', { store: { url: deafPostgres.href }, redis: { url: `redis://127.0.0.1:${redis}` } }, 500],
    ['neither', { store: { url: deafPostgres.href } }, 2_000],
  ];
  for (const [way, config, boundMs] of ways) {
    const [waits, decides] = await Promise.all([start(t, provider, holding('block'), config), start(t, provider, holding('block'), config)]) as [Process, Process];
    const times: number[] = [];
    for (let i = 0; i < runs(10); i++) {
      const resolution = i % 2 === 0 ? 'allow' : 'block';
      const answer = waits.send(`Egret number ${i}`);
      const { review_id: id } = await waitingAt(decides);
      const decided = decides.decide(id, resolution).then(() => performance.now());
      const { status } = await answer;
      times.push(performance.now() - (await decided));
      t.equal(status, resolution === 'allow' ? 200 : 400);
    }
    const told = spread(times);
    t.comment(`${way}: released after the verdict was answered: ${told.line}`);
    t.ok(told.p50 < boundMs, `${way}: half within ${boundMs} ms`);
    await Promise.all([waits.kill(), decides.kill()]);
  }
  t.equal(provider.prompts.length, 3 * Math.ceil(runs(10) / 2), 'what was not allowed was never sent');
  server.kill();
});

t.test('a process that is killed leaves its item, which is waited for no longer than it said', { skip: POSTGRES_MISSING }, async (t) => {
  const provider = await openProvider(t);
  const config = { store: { url: await openPostgresSchema(t) } };
  const [waits, decides] = await Promise.all([start(t, provider, holding('allow', '3s'), config), start(t, provider, holding('allow', '3s'), config)]) as [Process, Process];
  const lost = waits.send('an Egret').then(() => 'answered', () => 'broken off');
  const { review_id: id } = await waitingAt(decides);
  await waits.kill();
  t.equal(await lost, 'broken off');
  await until(async () => (await decides.items()).every((item) => !item.holding), 'the end of its time');
  t.match(await decides.items(), [{ review_id: id, status: 'pending', hold_outcome: null, holding: false }]);
  t.match(await decides.decide(id, 'allow'), { resolution: 'allow', hold_outcome: 'timeout', released: false });
  t.same(provider.prompts, [], 'nobody has sent it');
});

t.test('a store that freezes while something waits: `then` at its time, and at once for what comes after', { skip: POSTGRES_MISSING }, async (t) => {
  const provider = await openProvider(t);
  const url = new URL(await openPostgresSchema(t));
  let isFrozen = false;
  url.port = String(await between(t, Number(url.port || 5432), { lateMs: () => (isFrozen ? 60_000 : 0) }));
  url.hostname = '127.0.0.1';
  const weir = await start(t, provider, holding('block', '3s'), { store: { url: url.href } });
  const first = weir.send('an Egret');
  await waitingAt(weir);
  isFrozen = true;
  const { status, tookMs } = await first;
  t.equal(status, 400);
  t.ok(tookMs >= 2_990, `${tookMs.toFixed(0)} ms`);
  t.ok(tookMs < 3_000 + 800 + 2_000, `${tookMs.toFixed(0)} ms, on a machine at work`);
  const second = await weir.send('another Egret');
  t.equal(second.status, 400);
  t.ok(second.tookMs < 800 + 2_000, `${second.tookMs.toFixed(0)} ms`);
  t.comment(`a wait of 3 s with a frozen store: ${tookMs.toFixed(0)} ms; one that begins: ${second.tookMs.toFixed(0)} ms`);
});

t.test('a proxy without a store waits for nobody', async (t) => {
  const provider = await openProvider(t);
  const weir = await start(t, provider, holding('block'), { roles: ['proxy'] });
  const { status, tookMs } = await weir.send('an Egret');
  t.equal(status, 400);
  t.ok(tookMs < 5_000);
});
