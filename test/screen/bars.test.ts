/** Barred sessions: by tenant and for their time, within a bound, and shared where there is a Redis that answers. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { BARS_MAX, SessionBars, type BarredSession } from '../../src/screen/bars.ts';
import type { SharedText } from '../../src/screen/pseudonyms.ts';
import { openRedis } from '../../src/store/redis.ts';
import { RedisText } from '../../src/store/shared-text.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';
import { until } from '../helpers/upstream.ts';

const KEY = Buffer.alloc(32, 7);
const session = (sessionId: string, tenantId = 'acme', key = KEY): BarredSession => ({ tenantId, sessionId, key });

/** What replicas share; says nothing while `down`. */
class Store implements SharedText {
  readonly texts = new Map<string, string>();
  down = false;
  reads = 0;

  async read(key: string): ReturnType<SharedText['read']> {
    this.reads += 1;
    return this.down ? { ok: false } : { ok: true, value: this.texts.get(key) };
  }

  async replace(key: string, former: string | undefined, next: string): ReturnType<SharedText['replace']> {
    if (this.down) return { ok: false };
    if (this.texts.get(key) !== former) return { ok: true, value: false };
    this.texts.set(key, next);
    return { ok: true, value: true };
  }
}

t.test('a bar holds for its time, for its tenant and its session', async (t) => {
  let now = 1_000_000;
  const bars = new SessionBars({ clock: () => now });
  t.notOk(await bars.isBarred(session('s'), 60_000));
  await bars.bar(session('s'), 60_000);
  t.ok(await bars.isBarred(session('s'), 60_000));
  for (const other of [session('S'), session('s', 'other'), session('s', 'acme', Buffer.alloc(32, 8))]) t.notOk(await bars.isBarred(other, 60_000));
  now += 59_999;
  t.ok(await bars.isBarred(session('s'), 60_000));
  await bars.bar(session('s'), 1);
  now += 1;
  t.notOk(await bars.isBarred(session('s'), 60_000), 'it ends');
  await bars.bar(session('s'), 60_000);
  await bars.bar(session('s'), 10);
  now += 30_000;
  t.ok(await bars.isBarred(session('s'), 60_000), 'a shorter one takes nothing away');
});

t.test('as many as there may be; one more, and the one that ends first goes', async (t) => {
  let now = 0;
  const bars = new SessionBars({ clock: () => now, countMax: 3 });
  for (const [name, ms] of [['a', 300], ['b', 100], ['c', 200]] as const) await bars.bar(session(name), ms);
  const barred = async (): Promise<string> => (await Promise.all(['a', 'b', 'c', 'd', 'e'].map(async (name) => ((await bars.isBarred(session(name), 1)) ? name : '')))).join('');
  t.equal(await barred(), 'abc');
  await bars.bar(session('d'), 400);
  t.equal(await barred(), 'acd');
  now = 250;
  await bars.bar(session('e'), 400);
  t.equal(await barred(), 'ade', 'those that are over go before any other');
  t.equal(BARS_MAX, 100_000);
});

t.test('replicas share them; without an answer what is known here counts', async (t) => {
  const store = new Store();
  let now = 1_000_000;
  const [here, there] = [1, 2].map(() => new SessionBars({ shared: store, clock: () => now }));
  await here!.bar(session('secret-name'), 60_000);
  t.ok(await there!.isBarred(session('secret-name'), 60_000));
  t.notMatch(JSON.stringify([...store.texts]), /secret-name/, 'no session is named');
  t.match([...store.texts.keys()], [/^\{acme\}:barred:/]);
  const { reads } = store;
  t.ok(await there!.isBarred(session('secret-name'), 60_000));
  t.equal(store.reads, reads, 'what is known is not asked again');
  now += 60_000;
  t.notOk(await there!.isBarred(session('secret-name'), 60_000), 'over, though the store still has it');
  store.down = true;
  await here!.bar(session('b'), 60_000);
  t.ok(await here!.isBarred(session('b'), 60_000));
  t.notOk(await there!.isBarred(session('b'), 60_000));
  store.down = false;
  store.texts.set([...store.texts.keys()][0]!, 'no number');
  t.notOk(await new SessionBars({ shared: store, clock: () => now }).isBarred(session('secret-name'), 60_000));
});

t.test('two replicas at once: the longer bar stays', async (t) => {
  const store = new Store();
  const [long, short] = [1, 2].map(() => new SessionBars({ shared: store, clock: () => 0 }));
  await Promise.all([long!.bar(session('s'), 60_000), short!.bar(session('s'), 10)]);
  t.same([...store.texts.values()], ['60000']);
  await short!.bar(session('s'), 10);
  t.same([...store.texts.values()], ['60000']);
});

t.test('a real Redis shares them; frozen it costs one short wait, and what is known here counts', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const [one, other] = await Promise.all([1, 2].map(() => openRedis(`redis://127.0.0.1:${port}`)));
  t.teardown(() => { one!.close(); other!.close(); });
  const [here, there] = [one, other].map((door) => new SessionBars({ shared: new RedisText(() => door) }));
  await until(() => one!.admits && other!.admits, 20_000, 'both are connected');
  // A call to Redis has 25 ms, which a machine at work may miss.
  let told = false;
  for (const endMs = performance.now() + 20_000; !told && performance.now() < endMs;) {
    await here!.bar(session('s'), 60_000);
    told = await there!.isBarred(session('s'), 60_000);
  }
  t.ok(told, 'a replica refuses it');
  t.notOk(await there!.isBarred(session('t'), 60_000));
  const asked = spawnSync('redis-cli', ['-p', String(port), 'EVAL', "return redis.call('PTTL', redis.call('KEYS', '*barred*')[1])", '0'], { encoding: 'utf8' });
  const ttlMs = Number(asked.stdout);
  t.ok(ttlMs > 0 && ttlMs <= 60_000, 'and forgets it in time');

  server.kill('SIGSTOP');
  const waits: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const startMs = performance.now();
    t.notOk(await there!.isBarred(session(`u${i}`), 60_000));
    waits.push(performance.now() - startMs);
  }
  t.ok(waits.filter((ms) => ms > 15).length <= 10, `one wait in all, on a machine that may itself be slow: ${waits.map(Math.round).join()}`);
  await there!.bar(session('u0'), 60_000);
  t.ok(await there!.isBarred(session('u0'), 60_000));
  t.ok(await there!.isBarred(session('s'), 60_000));
  server.kill('SIGCONT');
});
