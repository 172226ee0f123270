/**
 * Stored policies while Redis is killed, emptied, frozen or absent. One house is the control plane
 * with the store; the others are proxies that have only Redis, and no policy file.
 */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { blocking, blocks, control, freshFolder, held, proxy, readyProxy, until } from '../helpers/house.ts';
import { REDIS_MISSING, freePort, startRedis } from '../helpers/redis-server.ts';

const frozenMs = 4_000 * Math.min(15, Number(process.env.WEIR_TEST_RUNS ?? 1));

t.test('killed: all goes on; restarted empty: the store fills it; started meanwhile: the copy on disk counts', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const dir = freshFolder(t);
  const other = await readyProxy(t, port, 'Heron', dir);
  await until(() => readdirSync(join(dir, 'data/policies')).includes('acme.sealed'), 'the copy');
  server.kill('SIGKILL');
  await once(server, 'exit');
  for (let i = 0; i < 20; i++) t.same([await other.chat('Heron'), await other.chat('fine'), await house.chat('Heron')], [400, 200, 400]);
  t.match(await house.api('PUT', '/acme?parent=1', blocking('Osprey')), { status: 200 }, 'changes are taken without Redis');
  t.equal(await house.chat('Osprey'), 400);
  await other.app.close();

  const again = await proxy(t, port, dir);
  t.same([await again.chat('Heron'), await again.chat('fine')], [400, 200]);
  await held(t, ({ policy, origin, revision }) => policy === 'acme' && origin === 'disk' && revision === 1, 'a policy from the disk');

  await startRedis(t, port);
  const ms = await until(blocks(again, 'Osprey'), 'the change from before');
  t.comment(`recovered after ${ms.toFixed(0)} ms`);
  await until(() => again.log.some((line) => line.includes('all policies are confirmed again')), 'the line that ends it');
  t.ok(again.log.filter((line) => line.includes('"part"')).length < 10, 'few lines');
});

t.test('frozen: nobody waits, and nothing is let through', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, port, 'Heron');
  server.kill('SIGSTOP');
  const startMs = performance.now();
  const statuses = { Heron: new Set<number>(), fine: new Set<number>() };
  const times: number[] = [];
  while (performance.now() - startMs < frozenMs) {
    for (const word of ['Heron', 'fine'] as const) {
      const askedMs = performance.now();
      statuses[word].add(await other.chat(word));
      times.push(performance.now() - askedMs);
    }
  }
  t.same([[...statuses.Heron], [...statuses.fine]], [[400], [200]]);
  times.sort((a, b) => a - b);
  t.comment(`${times.length} requests while frozen: p50 ${times[Math.floor(times.length / 2)]!.toFixed(1)} ms, p99 ${times[Math.floor(times.length * 0.99)]!.toFixed(1)} ms, worst ${times.at(-1)!.toFixed(1)} ms`);
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  t.equal(await house.chat('Osprey'), 400);
  server.kill('SIGCONT');
  const ms = await until(blocks(other, 'Osprey'), 'the change');
  t.comment(`recovered after ${ms.toFixed(0)} ms`);
  t.ok(other.log.filter((line) => line.includes('"part"')).length < 10);
});

t.test('absent at the start: refused by name until the policy is there', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const other = await proxy(t, port);
  t.same([await other.code('fine'), await other.chat('fine')], ['no_policy', 503]);
  await startRedis(t, port);
  await delay(300);
  t.equal(await other.code('fine'), 'no_policy', 'an empty Redis is no policy');
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  await until(blocks(other, 'Heron'), 'the policy');
  t.equal(await other.chat('fine'), 200);
});
