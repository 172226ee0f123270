/**
 * Stored keys as processes know them: a change counts everywhere within a second, by the store, by Redis, and where
 * messages are lost; what nobody can confirm stays as it was and is told; every change is in one audit log.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { MemoryKeyStore, type KeyChange, type KeyStore } from '../../src/store/keys.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { openRedis } from '../../src/store/redis.ts';
import { SqlKeyStore } from '../../src/store/sql-keys.ts';
import { WeirError } from '../../src/contract/errors.ts';
import { issueKey, readWantedKey, type WantedKey } from '../../src/tenant/issue.ts';
import { KeySeal } from '../../src/tenant/key-seal.ts';
import { KeyWatch, type KeyWatchOptions } from '../../src/tenant/key-watch.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { sharedOf } from '../../src/tenant/stored-keys.ts';
import { blocking, freshFolder, KEY, until } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';
import { openProvider, startReplica, type Replica } from '../helpers/replicas.ts';

t.setTimeout(240_000);

const NOW = new Date('2030-01-02T03:04:05Z');
const PLAIN = readWantedKey({}, NOW) as WantedKey;

async function watch(t: Test, options: Partial<KeyWatchOptions>): Promise<KeyWatch> {
  const watching = new KeyWatch({ dataDir: freshFolder(t), key: KEY, store: undefined, storeIsLocal: false, redis: () => undefined, tenants: () => ['acme', 'other'], audit: async () => {}, ...options });
  t.teardown(() => watching.close());
  await watching.start();
  return watching;
}

t.test('what the store says counts, and goes on counting when it is silent, also after a restart', async (t) => {
  const inner = new MemoryKeyStore();
  let silent = false;
  const store: KeyStore = new Proxy(inner, {
    get: (target, name) => async (...args: unknown[]) => {
      if (silent) throw new WeirError('store_unavailable');
      return (target[name as keyof KeyStore] as (...all: unknown[]) => unknown)(...args);
    },
  });
  const dataDir = freshFolder(t);
  const first = await watch(t, { dataDir, store });
  const [one, two] = [await issueKey(inner, 'acme', PLAIN, 'ana', NOW), await issueKey(inner, 'other', PLAIN, 'ana', NOW)];
  t.equal(first.keys.find(keyDigest(one.key)), undefined);
  await until(() => first.keys.head === 2, 'the changes, which nobody told of');
  t.match(first.keys.find(keyDigest(one.key)), { tenantId: 'acme', keyId: one.row.key_id });
  await inner.revoke({ tenant_id: 'other', key_id: two.row.key_id, revoked_at: NOW.toISOString(), revoked_by: 'ana' });
  await first.catchUp();
  t.equal(first.keys.find(keyDigest(two.key)), undefined, 'asked for, it counts at once');

  silent = true;
  await first.catchUp();
  t.match(first.keys.find(keyDigest(one.key)), { tenantId: 'acme' });
  await first.close();
  const second = await watch(t, { dataDir, store });
  t.match(second.keys.find(keyDigest(one.key)), { tenantId: 'acme' }, 'from the copy');
  t.same([second.keys.find(keyDigest(two.key)), second.keys.hasTenant('other')], [undefined, true], 'a key that was revoked stays so');
  await inner.revoke({ tenant_id: 'acme', key_id: one.row.key_id, revoked_at: NOW.toISOString(), revoked_by: 'ana' });
  silent = false;
  await until(() => second.keys.find(keyDigest(one.key)) === undefined, 'the revocation');
});

t.test('a copy without our seal is no copy', async (t) => {
  const dataDir = freshFolder(t);
  const store = new MemoryKeyStore();
  const { key } = await issueKey(store, 'acme', PLAIN, 'ana', NOW);
  const first = await watch(t, { dataDir, store });
  await first.close();
  const file = join(dataDir, 'tenant-keys', readdirSync(join(dataDir, 'tenant-keys'))[0]!);
  const text = readFileSync(file, 'utf8');
  t.notOk(text.includes(key));
  t.match((await watch(t, { dataDir })).keys.find(keyDigest(key)), { tenantId: 'acme' });
  for (const broken of [text.replace('"acme"', '"other"'), text.slice(0, -1), '', text.replace(/^./, 'x'), '[]']) {
    writeFileSync(file, broken);
    t.equal((await watch(t, { dataDir })).keys.all.length, 0);
  }
});

t.test('a seal holds for its tenant and its key', async (t) => {
  const store = new MemoryKeyStore();
  const { row } = await issueKey(store, 'acme', PLAIN, 'ana', NOW);
  const seal = new KeySeal(KEY);
  const text = seal.close({ tenant: 'acme', keys: [sharedOf({ ...row, change: 1 })] });
  t.match(seal.open(text, 'acme'), [{ key_id: row.key_id, revoked: false }]);
  t.equal(seal.open(text, 'other'), undefined);
  t.equal(new KeySeal(Buffer.alloc(32, 8)).open(text, 'acme'), undefined);
});

t.test('each change is written to one audit log, by whoever has the store, also when one of them failed', async (t) => {
  const store = new MemoryKeyStore();
  await issueKey(store, 'acme', PLAIN, 'cli:ana', NOW);
  let nowMs = Date.parse('2030-01-02T03:04:05Z');
  const written: (readonly [string, number])[] = [];
  let broken = true;
  const logOf = (name: string) => async ({ number }: KeyChange): Promise<void> => {
    if (name === 'one' && broken) throw new WeirError('audit_unavailable');
    written.push([name, number]);
  };
  const one = await watch(t, { store, audit: logOf('one'), clock: () => nowMs });
  await one.record();
  const two = await watch(t, { store, audit: logOf('two'), clock: () => nowMs });
  await two.record();
  t.same(written, [], 'the first has claimed it');
  nowMs += 31_000;
  await two.record();
  t.same(written, [['two', 1]], 'and did not write it in time');
  broken = false;
  for (let i = 0; i < 20; i++) await issueKey(store, 'acme', PLAIN, 'ana', NOW);
  await Promise.all([one.catchUp(), two.catchUp()]);
  await Promise.all([one.record(), two.record()]);
  t.same(written.map(([, number]) => number).sort((a, b) => a - b), Array.from({ length: 21 }, (_, i) => i + 1), 'each once');
});

t.test('through Redis, for a process that has no store: only with our seal, never back', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const door = await openRedis(`redis://127.0.0.1:${port}`);
  t.teardown(() => door.close());
  const store = new MemoryKeyStore();
  const owner = await watch(t, { store, redis: () => door });
  const proxy = await watch(t, { redis: () => door });
  const stranger = await watch(t, { redis: () => door, key: Buffer.alloc(32, 9) });
  const { key, row } = await issueKey(store, 'acme', PLAIN, 'ana', NOW);
  await owner.catchUp();
  await until(() => proxy.keys.find(keyDigest(key)) !== undefined, 'the key');
  t.equal(stranger.keys.all.length, 0, 'without our key it is no seal');
  const before = await door.call<string>('GET', ['{weir}:keys:acme']);
  t.ok(before.ok && !before.value.includes(key), 'no key stands there');
  await store.revoke({ tenant_id: 'acme', key_id: row.key_id, revoked_at: NOW.toISOString(), revoked_by: 'ana' });
  await owner.catchUp();
  await until(() => proxy.keys.find(keyDigest(key)) === undefined, 'the revocation');
  if (before.ok) await door.call('SET', ['{weir}:keys:acme', before.value]);
  await door.call('HSET', ['{weir}:key-numbers', 'acme', 99]);
  await proxy.catchUp();
  t.equal(proxy.keys.find(keyDigest(key)), undefined, 'what stood there before does not bring it back');
  await door.call('FLUSHALL', []);
  const late = await watch(t, { redis: () => door });
  t.equal(late.keys.all.length, 0);
  await until(() => late.keys.head === 2, 'what Redis lost, from who has the store');
});

// Between processes.

const TENANTS = { tenants: [{ id: 'acme', policy: 'acme', upstream: 'local', require_key: true }] };
const FILES = { 'acme.yaml': blocking('Heron') };

function weir(dir: string, ...args: readonly string[]): Promise<any> {
  const command = spawn(process.execPath, [join(import.meta.dirname, '../../src/main.ts'), ...args, '--json', '--config', join(dir, 'weir.yaml')], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  command.stdout.on('data', (text: Buffer) => void (out += String(text)));
  return new Promise((resolve, reject) => command.once('close', (code) => (code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`weir ${args.join(' ')} ended with ${code}`)))));
}

/** Milliseconds from a call until every replica answers so. */
async function settled(replicas: readonly Replica[], key: string, status: number): Promise<readonly number[]> {
  const startMs = performance.now();
  return Promise.all(replicas.map(async (replica) => {
    await until(async () => (await replica.chat('hello', key)) === status, `status ${status}`);
    return performance.now() - startMs;
  }));
}

t.test('two processes with a Postgres: a key made and revoked by command counts in both, and is in one audit log', { skip: POSTGRES_MISSING }, async (t) => {
  const [url, provider] = [await openPostgresSchema(t), await openProvider(t)];
  const config = { ...TENANTS, store: { url } };
  const replicas = [await startReplica(t, provider, { config, files: FILES }), await startReplica(t, provider, { config, files: FILES })];
  for (let round = 0; round < 3; round++) {
    const made = (await weir(replicas[0]!.dir, 'keys', 'create', '--tenant', 'acme')) as { readonly key: string; readonly key_id: string };
    const known = await settled(replicas, made.key, 200);
    const database = new PostgresDatabase(url);
    await new SqlKeyStore(database).revoke({ tenant_id: 'acme', key_id: made.key_id, revoked_at: new Date().toISOString(), revoked_by: 'test' });
    const gone = await settled(replicas, made.key, 401);
    await database.close();
    t.comment(`known after ${known.map(Math.round).join(', ')} ms, refused after ${gone.map(Math.round).join(', ')} ms`);
    t.equal(known.length + gone.length, 4);
  }
  const changes = (): readonly unknown[] => replicas.flatMap(({ dir }) => readdirSync(join(dir, 'data/audit')).filter((name) => name.endsWith('.jsonl')).flatMap((name) => readFileSync(join(dir, 'data/audit', name), 'utf8').split('\n').filter((line) => line.includes('"kind":"key_change"'))));
  await until(() => changes().length >= 6, 'the entries');
  await delay(500);
  t.equal(changes().length, 6, 'each change is in one of the two logs');
});

t.test('a proxy that has nothing but Redis beside the process with the store: revoked by command there', { skip: REDIS_MISSING }, async (t) => {
  const [port, provider] = [await freePort(), await openProvider(t)];
  await startRedis(t, port);
  const redis = { redis: { url: `redis://127.0.0.1:${port}` } };
  const control = await startReplica(t, provider, { config: { ...TENANTS, ...redis }, files: FILES });
  const proxy = await startReplica(t, provider, { config: { ...TENANTS, ...redis, roles: ['proxy'] }, files: FILES });
  for (let round = 0; round < 3; round++) {
    const made = (await weir(control.dir, 'keys', 'create', '--tenant', 'acme', '--expires', '1h')) as { readonly key: string; readonly key_id: string };
    const known = await settled([control, proxy], made.key, 200);
    await weir(control.dir, 'keys', 'revoke', made.key_id);
    const gone = await settled([control, proxy], made.key, 401);
    t.comment(`known after ${known.map(Math.round).join(', ')} ms, refused after ${gone.map(Math.round).join(', ')} ms`);
    t.equal(known.length + gone.length, 4);
  }
});
