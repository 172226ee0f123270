/**
 * Stored policies while Redis is full, slow, or comes and goes, and when somebody else wrote where they stand. One house is the control plane
 * with the store; the others are proxies that have only Redis, and no policy file.
 */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { PolicySeal } from '../../src/policy/seal.ts';
import { blocking, blocks, control, freshFolder, held, proxy, readyProxy, until, KEY, type House } from '../helpers/house.ts';
import { REDIS_MISSING, between, freePort, redisAdmin, startRedis, tellRedis } from '../helpers/redis-server.ts';

t.test('full: the change is stored, counts where the store is, and reaches the others when there is room', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port, '--maxmemory-policy', 'noeviction');
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, port, 'Heron');
  await tellRedis(port, 'CONFIG SET maxmemory 1');
  t.match(await house.api('PUT', '/acme?parent=1', blocking('Osprey')), { status: 200 });
  t.same([await house.chat('Osprey'), await other.chat('Heron'), await other.chat('Osprey')], [400, 400, 200]);
  await tellRedis(port, 'CONFIG SET maxmemory 0');
  t.comment(`there after ${(await until(blocks(other, 'Osprey'), 'the change')).toFixed(0)} ms`);
});

t.test('slow by 100 ms is as good as absent, for messages too slow is only late', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  let late = 0;
  const other = await readyProxy(t, await between(t, port, { lateMs: () => late }), 'Heron');
  late = 100;
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  for (let i = 0; i < 50; i++) t.same([await other.chat('Heron'), await other.chat('fine')], [400, 200]);
  late = 0;
  await until(blocks(other, 'Osprey'), 'the change');
});

t.test('flapping: neither gaps nor a flood of lines', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  let server = await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, port, 'Heron');
  for (let round = 0; round < 2; round++) {
    server.kill('SIGKILL');
    await once(server, 'exit');
    for (let i = 0; i < 10; i++) t.same([await other.chat('Heron'), await other.chat('fine')], [400, 200]);
    server = await startRedis(t, port);
    await delay(1_000);
  }
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  await until(blocks(other, 'Osprey'), 'the change');
  t.ok(other.log.filter((line) => line.includes('"part"')).length < 20);
});

t.test('what somebody else wrote into Redis is not taken, and the store puts it right', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, port, 'Heron');
  const door = await redisAdmin(t, port);
  const key = '{weir}:policy:acme';
  const laxer = { policy: 'acme', number: 9, parent: 8, source: 'policy: acme\nrules: []\n', sha256: '0'.repeat(64), author: 'x', comment: '', created_at: '' };
  const foreign = new PolicySeal(Buffer.alloc(32, 8)).close({ revision: laxer, confirmedMs: Date.now() });
  const spoilers: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['garbage', () => door.call('SET', [key, 'policy: acme\nrules: []\n'])],
    ['the seal of another key', () => door.call('SET', [key, foreign])],
    ['a list', () => door.call('DEL', [key]).then(() => door.call('LPUSH', [key, 'x']))],
    ['numbers of another type', () => door.call('SET', ['{weir}:policy-numbers', 'x'])],
  ];
  for (const [index, [name, spoil]] of spoilers.entries()) {
    const say = async (): Promise<void> => {
      await spoil();
      await door.call('PUBLISH', ['weir:policies', 'acme 9']);
      await door.call('PUBLISH', ['weir:policies', 'not a message of ours\n']);
    };
    await say();
    for (let i = 0; i < 20; i++) t.same([await other.chat('Heron'), await other.chat('fine')], [400, 200], name);
    if (index !== 0) continue;
    const isTold = (): boolean => other.log.some((line) => line.includes('refused without our seal: acme'));
    await until(async () => isTold() || (await say(), await delay(200), isTold()), 'it is told'); // the control plane may have put it right before it was read
  }
  const fresh = await proxy(t, port);
  t.ok([503, 400].includes(await fresh.chat('Heron')), 'one that starts now has nothing or the right thing');
  await until(blocks(fresh, 'Heron'), 'the store to put it right');
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  await until(blocks(fresh, 'Osprey'), 'a change');
});

t.test('a copy on disk that was changed is refused, and one that is too old decides by the fail mode', async (t) => {
  const port = await freePort();
  const revision = { policy: 'acme', number: 3, parent: 2, source: blocking('Heron'), sha256: '0'.repeat(64), author: 'x', comment: '', created_at: '' };
  const sealed = (ageMs: number): string => new PolicySeal(KEY).close({ revision, confirmedMs: Date.now() - ageMs });
  const start = async (copy: string, tenant: object = {}): Promise<House> => {
    const dir = freshFolder(t);
    mkdirSync(join(dir, 'data/policies'), { recursive: true });
    writeFileSync(join(dir, 'data/policies/acme.sealed'), copy);
    return proxy(t, port, dir, { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', ...tenant }] });
  };
  const sound = await start(sealed(1_000));
  t.same([await sound.chat('Heron'), await sound.chat('fine')], [400, 200]);
  const changed = await start(sealed(1_000).replace('Heron', 'Ostrich'));
  t.same([await changed.code('fine'), await changed.chat('Heron')], ['no_policy', 503]);
  await until(() => changed.log.some((line) => line.includes('refused without our seal: copy of acme')), 'it is told');

  const hour = 3_600_000;
  t.same(await (await start(sealed(hour), { policy_stale_max_s: 3_700 })).chat('fine'), 200, 'below the limit');
  t.same(await (await start(sealed(hour), { policy_stale_max_s: 3_500 })).code('fine'), 'policy_stale', 'above it');
  const open = await start(sealed(hour), { policy_stale_max_s: 3_500, fail_mode: 'open' });
  t.same([await open.chat('Heron'), await open.chat('fine')], [400, 200], 'an open tenant goes on with what it has');
  await held(t, ({ policy, confirmedMs }) => policy === 'acme' && confirmedMs !== undefined && Date.now() - confirmedMs > 3_500_000, 'a policy that is stale');
});
