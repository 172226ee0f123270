/**
 * What waits for a restart: keys that are read once are named on a reload, in the log and in the reference, and have no
 * effect before; a change of the Redis address is no such key and is followed while Weir runs.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { RESTART_KEYS, waitingForRestart } from '../../src/config/restart.ts';
import { CONFIG_KEYS, type Config } from '../../src/config/schema.ts';
import { blocking, openHouse, until, type House } from '../helpers/house.ts';
import { freePort, redisAdmin, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';

async function configOf(more: object): Promise<Config> {
  const config = { upstreams: { up: { url: 'https://api.example.com/v1' } }, tenants: [{ id: 'one', policy: 'default', upstream: 'up' }], ...more };
  return (await loadConfig({ config, dir: join(import.meta.dirname, '../../config') }, {})).config;
}

t.test('the keys that differ are told, and no others', async (t) => {
  const started = await configOf({});
  t.same(waitingForRestart(started, await configOf({})), []);
  t.same(waitingForRestart(started, await configOf({ store: { url: 'sqlite:other.db' }, redis: { url: 'redis://127.0.0.1:9' }, screening: { deadline_ms: 90 } })), ['store.url']);
  t.same(waitingForRestart(started, await configOf({ data_dir: 'elsewhere', telemetry: { log_level: 'warn' }, admin: { port: 1 } })), ['data_dir', 'admin.port', 'audit.dir', 'audit.key_file', 'audit.master_key_file', 'telemetry']);
  t.same(RESTART_KEYS.filter((key) => !CONFIG_KEYS.some(({ path }) => path === key)), [], 'each is a key of the configuration');
  const told = CONFIG_KEYS.filter(({ description }) => description.endsWith('A change counts after a restart.')).map(({ path }) => path);
  t.ok(told.includes('store.url') && told.includes('telemetry.traces.exporter') && !told.includes('redis.url') && !told.includes('telemetry'));
});

/** Writes the configuration anew and waits for the reload. */
async function reload(house: House, change: (config: Record<string, unknown>) => object): Promise<readonly string[]> {
  const file = join(house.dir, 'weir.yaml');
  const before = house.log.length;
  const config = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...config, ...change(config) }));
  await until(() => house.log.slice(before).some((line) => line.includes('"configuration loaded"')), 'the reload');
  return house.log.slice(before).filter((line) => line.includes('counts after a restart'));
}

t.test('a reload says what waits for a restart, until the file is as it was', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') } });
  const [line, ...others] = await reload(house, () => ({ store: { url: 'sqlite:other.db' } }));
  t.same(others, []);
  t.match(JSON.parse(line!), { level: 'warn', event: 'part of the configuration counts after a restart', keys: 'store.url' });
  t.equal((await house.api('PUT', '/acme', blocking('Osprey'))).status, 201);
  t.same([existsSync(join(house.dir, 'data/other.db')), existsSync(join(house.dir, 'data/weir.db'))], [false, true], 'the store is the one of the start');
  t.equal(await house.chat('Osprey'), 400);
  t.equal((await reload(house, () => ({ screening: { deadline_ms: 90 } }))).length, 1, 'it still waits');
  t.same(await reload(house, () => ({ store: undefined })), []);
});

t.test('another Redis is followed without a restart', { skip: REDIS_MISSING }, async (t: Test) => {
  const port = await freePort();
  await startRedis(t, port);
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Heron') } });
  await house.api('PUT', '/acme', blocking('Osprey'));
  t.same(await reload(house, () => ({ redis: { url: `redis://127.0.0.1:${port}` } })), []);
  const door = await redisAdmin(t, port);
  await until(async () => {
    const reply = await door.call<string | null>('GET', ['{weir}:policy:acme']);
    return reply.ok && reply.value !== null;
  }, 'the policy in Redis');
});
