/**
 * The door to Redis against a real server that is frozen, killed, restarted, full, read-only or slow: every call comes
 * back in its time, nothing throws, and each change of state is told once.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { CHANNELS, type HealthTold } from '../../src/contract/channels.ts';
import { openRedis, redisScript, type RedisDoor } from '../../src/store/redis.ts';
import { SteadyHealth } from '../../src/telemetry/steady-health.ts';
import { freePort, REDIS_MISSING, startRedis, tellRedis } from '../helpers/redis-server.ts';

/** Far less than a wait for each call, and far more than a machine at work takes for one. */
const BOUND_MS = 500;
/** Where the answers are what is tested, and not the waiting. */
const PATIENT_MS = 10_000;

async function open(t: Test, url: string, timeoutMs?: number): Promise<{ readonly door: RedisDoor; readonly told: HealthTold[] }> {
  const told: HealthTold[] = [];
  const onHealth = (message: unknown): void => void told.push(message as HealthTold);
  const steady = new SteadyHealth(Date.now);
  CHANNELS.healthTold.subscribe(onHealth);
  const door = await openRedis(url, timeoutMs);
  t.teardown(() => {
    door.close();
    CHANNELS.healthTold.unsubscribe(onHealth);
    steady.close();
  });
  return { door, told };
}

async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number, what: string): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`${what} did not happen within ${timeoutMs} ms`);
    await delay(20);
  }
}

const ECHO = redisScript('return { KEYS[1], ARGV[1] }');
const echo = (door: RedisDoor) => door.run(ECHO, ['{t}:k'], [7]);

t.test('commands, scripts that the server does not know yet, and errors that are values', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port, '--requirepass', 'made-up-password');
  const { door, told } = await open(t, `redis://:made-up-password@127.0.0.1:${port}/2?enableOfflineQueue=true`, PATIENT_MS);
  t.same(await door.call('SET', ['k', 'v']), { ok: true, value: 'OK' });
  t.same(await door.call('GET', ['k']), { ok: true, value: 'v' });
  t.same(await door.call('GET', ['absent']), { ok: true, value: null });
  t.same(await echo(door), { ok: true, value: ['{t}:k', '7'] });
  await door.call('SCRIPT', ['FLUSH']);
  t.same(await echo(door), { ok: true, value: ['{t}:k', '7'] }, 'sent whole again');
  t.same(await door.call('LPUSH', ['k', 'x']), { ok: false }, 'WRONGTYPE');
  t.match(await door.call('CLIENT', ['INFO']), { value: / name=weir .* db=2 / });
  t.match(door.counts, { answered: 7, failed: 1, refused: 0, timedOut: 0 });
  t.same(told, []);
  door.close();
  t.same(await door.call('GET', ['k']), { ok: false });
  t.same(told, [], 'closing is no fault');
});

t.test('frozen: one wait in all, then none; back within seconds of the thaw; two lines', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const { door, told } = await open(t, `redis://127.0.0.1:${port}`);
  await door.call('PING', []);
  server.kill('SIGSTOP');
  const startMs = performance.now();
  const first = Array.from({ length: 50 }, () => echo(door));
  await delay(12);
  const later = echo(door);
  t.same(new Set((await Promise.all([...first, later])).map((reply) => reply.ok)), new Set([false]));
  t.ok(performance.now() - startMs < BOUND_MS, 'those that began later did not wait longer');
  t.equal(door.counts.timedOut, 1, 'the first timeout ended all waits');
  const openMs = performance.now();
  for (let i = 0; i < 1000; i++) await echo(door);
  t.ok(performance.now() - openMs < BOUND_MS, 'a thousand calls wait for nothing');
  await delay(2500);
  t.notOk(door.admits, 'probes are not answered');
  t.match(told, [{ part: 'redis', healthy: false, detail: 'no answer within 25 ms' }]);

  server.kill('SIGCONT');
  await until(async () => (await echo(door)).ok, 20_000, 'an answer');
  await until(() => told.length === 2, 20_000, 'the line that ends it');
  t.match(told, [{}, { healthy: true, detail: /^answers again; \d{4,} calls were not made meanwhile$/ }]);
  t.equal(door.counts.timedOut, 1, 'no request was the probe');
});

t.test('killed, and back empty', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const { door, told } = await open(t, `redis://127.0.0.1:${port}`);
  t.ok((await echo(door)).ok);
  for (let round = 1; round <= 2; round++) {
    const running = round === 1 ? server : await startRedis(t, port);
    await until(async () => (await echo(door)).ok && (told.at(-1)?.healthy ?? true) && told.length >= 2 * (round - 1), 60_000, 'an answer, and the line that says so');
    running.kill('SIGKILL');
    await once(running, 'exit');
    await until(() => !door.admits, 10_000, 'the loss to be seen');
    const startMs = performance.now();
    t.same(await echo(door), { ok: false });
    t.ok(performance.now() - startMs < BOUND_MS);
  }
  // A machine that is busy may lose it once more; no state is told twice in a row.
  t.ok(told.length >= 3 && told.every(({ healthy }, at) => healthy === (at % 2 === 1)) && told.at(-1)!.healthy === false, 'one line for each change');
  t.match(told[0].detail, /^connection lost/);
});

t.test('comes and goes: ill all the while, in one line, and well when it stays', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const { door, told } = await open(t, `redis://127.0.0.1:${port}`);
  let answers = 0;
  for (let round = 0; round < 6; round++) {
    await until(async () => (await echo(door)).ok, 20_000, 'an answer');
    answers++;
    server.kill('SIGSTOP');
    await until(async () => !(await echo(door)).ok, 20_000, 'the freeze to be seen');
    server.kill('SIGCONT');
  }
  await until(() => told.length === 2, 20_000, 'the line that ends it');
  t.equal(answers, 6, 'it was asked whenever it answered');
  t.same(told.map(({ healthy }) => healthy), [false, true]);
});

t.test('late once, after a long time of being well: asked again soon after', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const { door } = await open(t, `redis://127.0.0.1:${port}`);
  const late = async (): Promise<number> => {
    server.kill('SIGSTOP');
    await until(async () => !(await echo(door)).ok, 20_000, 'the freeze to be seen');
    const startMs = performance.now();
    server.kill('SIGCONT');
    await until(async () => (await echo(door)).ok, 20_000, 'an answer');
    return performance.now() - startMs;
  };
  let bestMs = Infinity;
  for (let tries = 0; tries < 4 && bestMs > 500; tries++) {
    await delay(5_100);
    bestMs = Math.min(bestMs, await late());
  }
  t.comment(`${bestMs.toFixed(0)} ms`);
  t.ok(bestMs <= 500, 'far sooner than the next probe is due');
});

t.test('absent at the start, there later; idle all the while', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const startMs = performance.now();
  const { door, told } = await open(t, `redis://127.0.0.1:${port}`);
  t.ok(performance.now() - startMs < 4_000, 'the start does not wait for it');
  t.same(await echo(door), { ok: false });
  t.match(told, [{ healthy: false, detail: 'connection lost (ECONNREFUSED)' }]);
  await startRedis(t, port);
  await until(() => told.length === 2, 20_000, 'the recovery without a single call');
  await until(async () => (await echo(door)).ok, 20_000, 'an answer, which a busy machine may make wait');
});

t.test('full, read-only or moved: five failures in a row, then nothing is asked of it, and no flapping', { skip: REDIS_MISSING }, async (t) => {
  const writes = redisScript("return redis.call('SET', KEYS[1], '1')");
  for (const [name, value, well] of [['maxmemory', '1', '0'], ['min-replicas-to-write', '3', '0']]) {
    const port = await freePort();
    await startRedis(t, port, '--maxmemory-policy', 'noeviction');
    const { door, told } = await open(t, `redis://127.0.0.1:${port}`);
    t.ok((await door.run(writes, ['k'], [])).ok);
    await tellRedis(port, `CONFIG SET ${name} ${value}`);
    for (let i = 0; i < 4; i++) t.same(await door.run(writes, ['k'], []), { ok: false });
    t.ok(door.admits);
    t.same(await door.run(writes, ['k'], []), { ok: false });
    t.notOk(door.admits);
    await delay(2500);
    t.match(told, [{ healthy: false, detail: /^5 calls in a row failed \((?:OOM|NOREPLICAS)\)$/ }], 'the probe writes, so it is not deceived');
    await tellRedis(port, `CONFIG SET ${name} ${well}`);
    await until(() => told.length === 2, 20_000, 'recovery');
  }
});

/** Answers every command in the given time and with the given reply; commands of the handshake at once and well. */
async function scripted(t: Test, lateMs: number, reply: string): Promise<string> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {}).on('data', (bytes) => {
      for (const [command] of String(bytes).matchAll(/^\*\d+\r\n\$\d+\r\n(\w+)/gm)) {
        const name = command.split('\r\n').at(-1)!.toLowerCase();
        if (name === 'hello') socket.write('-ERR unknown command HELLO\r\n');
        else if (name === 'info') socket.write('$9\r\nloading:0\r\n');
        else if (name === 'client') socket.write('+OK\r\n');
        else setTimeout(() => socket.writable && socket.write(name === 'set' && lateMs === 0 ? '+OK\r\n' : reply), lateMs);
      }
    });
    t.teardown(() => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('slow by 100 ms is as good as absent', async (t) => {
  const { door, told } = await open(t, await scripted(t, 100, '+OK\r\n'));
  const startMs = performance.now();
  for (let i = 0; i < 100; i++) t.equal((await door.call('GET', ['k'])).ok, false);
  t.ok(performance.now() - startMs < BOUND_MS);
  await delay(2500);
  t.same(told.map(({ healthy }) => healthy), [false]);
});

t.test('well for probes and ill for calls: told once, and one failure is enough after each probe', async (t) => {
  const { door, told } = await open(t, await scripted(t, 0, '-MOVED 3999 127.0.0.1:6381\r\n'));
  for (let i = 0; i < 5; i++) t.same(await door.call('GET', ['k']), { ok: false });
  t.notOk(door.admits);
  const { failed } = door.counts;
  await until(() => door.admits, 20_000, 'a probe');
  t.same(await door.call('GET', ['k']), { ok: false });
  t.notOk(door.admits, 'open again at once');
  t.equal(door.counts.failed, failed + 1);
  t.match(told, [{ healthy: false, detail: '5 calls in a row failed (MOVED)' }]);
});

t.test('a long turn of this process is not the server being slow', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const { door } = await open(t, `redis://127.0.0.1:${port}`);
  await echo(door);
  const pending = echo(door);
  await new Promise(setImmediate); // the call is on the wire
  const endMs = performance.now() + 120;
  while (performance.now() < endMs);
  t.match(await pending, { ok: true });
  t.equal(door.counts.timedOut, 0);
});
