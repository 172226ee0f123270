/**
 * Changes of stored policies reach every process, with messages and without, and what cannot be a policy there hinders nobody. One house is the control plane
 * with the store; the others are proxies that have only Redis, and no policy file.
 */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { blocking, blocks, control, held, openHouse, proxy, readyProxy, until } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { REDIS_MISSING, between, freePort, redisAdmin, startRedis } from '../helpers/redis-server.ts';

t.test('a change is live in every process at once, retirements too', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  t.match(await house.api('PUT', '/acme', blocking('Heron')), { status: 201 });
  const others = await Promise.all([readyProxy(t, port, 'Heron'), readyProxy(t, port, 'Heron')]);
  for (const other of others) t.same([await other.chat('Heron'), await other.chat('Fileword')], [400, 200]);
  const times: number[] = [];
  for (let parent = 1; parent <= 5; parent++) {
    t.match(await house.api('PUT', `/acme?parent=${parent}`, blocking(`Bird${parent}`)), { status: 200 });
    times.push(...(await Promise.all(others.map((other) => until(blocks(other, `Bird${parent}`), 'the change')))));
  }
  t.comment(`live elsewhere after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
  t.ok(times.sort((a, b) => a - b)[Math.floor(times.length / 2)]! < 5_000, 'within a second, but for a machine at work');
  await held(t, ({ policy, origin, revision }) => policy === 'acme' && origin === 'redis' && revision === 6, 'a policy from Redis');
  t.match(await others[0]!.api('GET', ''), { status: 501, body: { error: { code: 'no_store' } } });
  await house.api('DELETE', '/acme?parent=6');
  await until(async () => (await others[0]!.code('anything')) === 'no_policy', 'the retirement: this proxy has no file');
  t.equal(await house.chat('Fileword'), 400);
});

t.test('messages that are lost cost no more than five seconds', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, await between(t, port, { loses: () => true }), 'Heron');
  await delay(1_500); // the first hearing makes it ask
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  const ms = await until(blocks(other, 'Osprey'), 'the change');
  t.comment(`live after ${ms.toFixed(0)} ms`);
  t.ok(ms < 10_000, 'five seconds, but for a machine at work');
});

t.test('the connection of messages is cut again and again', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, port, 'Heron');
  const door = await redisAdmin(t, port);
  const cutting = setInterval(() => void door.call('CLIENT', ['KILL', 'TYPE', 'pubsub']), 15);
  t.teardown(() => clearInterval(cutting));
  await house.api('PUT', '/acme?parent=1', blocking('Osprey'));
  const ms = await until(blocks(other, 'Osprey'), 'the change');
  t.comment(`live after ${ms.toFixed(0)} ms`);
});

t.test('a revision that cannot be a policy here does not count, and hinders no other', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await proxy(t, port, undefined, { classifiers: [{ id: 'pii', plugin: 'pii', disable: ['EMAIL'] }] });
  await until(blocks(other, 'Heron'), 'the policy');
  t.match(await house.api('PUT', '/acme?parent=1', blocking('Osprey').replace('patterns.word', 'pii.EMAIL')), { status: 200 });
  await until(() => other.log.some((line) => line.includes('cannot be used here: acme@2')), 'it is told');
  t.same([await other.chat('Heron'), await other.chat('fine')], [400, 200], 'the one before counts');
  await house.api('PUT', '/acme?parent=2', blocking('Egret'));
  await until(blocks(other, 'Egret'), 'the next one');
});

t.test('hostile text is refused at its place, and what counts goes on, here and elsewhere', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await control(t, port);
  await house.api('PUT', '/acme', blocking('Heron'));
  const other = await readyProxy(t, port, 'Heron');
  const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`)].join('\n');
  const hostile: readonly (readonly [text: string, line: number])[] = [
    [bomb, 6],
    [`${blocking('Osprey')}rules: []\n`, 6],
    [blocking('Osprey').replace('  - { id: word, priority', '\t- { id: word, priority'), 5],
    [blocking('Osprey').replace('gte: 1', 'gte: -1'), 5],
    [blocking('Osprey').replace('priority: 1', 'priority: [one]'), 5],
    [`${blocking('Osprey')}${Array.from({ length: 10_000 }, (_, i) => `  - { id: r${i}, when: { context: a, eq: 1 }, action: block }`).join('\n')}\n`, 5],
  ];
  for (const [text, line] of hostile) t.match(await house.api('PUT', '/acme?parent=1', text), { status: 422, body: { issues: [{ line, column: Number }] } }, text.slice(-60));
  t.equal((await house.api('PUT', '/acme?parent=1', `# ${'x'.repeat(10_000_000)}`)).status, 413);
  for (const one of [house, other]) t.same([await one.chat('Heron'), await one.chat('Osprey')], [400, 200]);
  t.match(await house.api('PUT', '/acme?parent=1', blocking('Osprey')), { status: 200 }, 'and the next good one is taken');
  await until(blocks(other, 'Osprey'), 'the change');
});

t.test('Postgres: two control planes share a store, with Redis and without', { skip: POSTGRES_MISSING || REDIS_MISSING }, async (t) => {
  const url = await openPostgresSchema(t);
  const port = await freePort();
  await startRedis(t, port);
  for (const redis of [{}, { redis: { url: `redis://127.0.0.1:${port}` } }]) {
    const policy = `acme${Object.keys(redis).length}`;
    const config = { store: { url }, tenants: [{ id: 'default', policy, upstream: 'local' }], ...redis };
    const files = { 'a.yaml': blocking('Fileword', policy) };
    const [one, two] = await Promise.all([openHouse(t, { config, files }), openHouse(t, { config, files })]);
    t.match(await one!.api('PUT', `/${policy}`, blocking('Heron', policy)), { status: 201 });
    t.comment(`live in the other after ${(await until(blocks(two!, 'Heron'), 'the change')).toFixed(0)} ms`);
    t.match(await two!.api('PUT', `/${policy}`, blocking('Osprey', policy)), { status: 409, body: { current: 1 } });
    t.match(await two!.api('PUT', `/${policy}?parent=1`, blocking('Osprey', policy)), { status: 200 });
    await until(blocks(one!, 'Osprey'), 'the change');
  }
});

t.test('Postgres absent: files count, changes are refused by name', async (t) => {
  const house = await openHouse(t, { config: { store: { url: 'postgres://postgres@127.0.0.1:9/none' } }, files: { 'acme.yaml': blocking('Fileword') } });
  t.same([await house.chat('Fileword'), await house.chat('fine')], [400, 200]);
  t.match(await house.api('PUT', '/acme', blocking('Heron')), { status: 503, body: { error: { code: 'store_unavailable' } } });
  t.match(await house.api('GET', ''), { status: 503 });
});
