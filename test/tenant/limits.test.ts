/**
 * Limits as tenants meet them: over the real proxy, counted in this process; and in a real Redis, shared by replicas,
 * corrupted, and gone.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createApp } from '../../src/app.ts';
import type { TenantConfig } from '../../src/config/schema.ts';
import { openRedis, type RedisDoor } from '../../src/store/redis.ts';
import { RateLimited, TenantLimits, type Admission, type SharedCounter } from '../../src/tenant/limits.ts';
import { Replicas } from '../../src/tenant/replicas.ts';
import { passGuard, ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { chatRequest, HELLO, rawRequest } from '../helpers/raw.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';
import { CHAT_ANSWER, json, pause, until } from '../helpers/upstream.ts';

const tenant = (limits?: TenantConfig['limits'], id = 'acme'): TenantConfig => ({ id, limits }) as TenantConfig;

/** How many of `count` are let in. */
async function admitted(limits: TenantLimits, of: TenantConfig, count: number): Promise<number> {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += await limits.admit(of).then(() => 1, () => 0);
  return sum;
}

/** How long a refusal asks to wait. */
async function waitAfter(refused: Promise<unknown>): Promise<number> {
  const error = await refused.then(() => undefined, (reason: unknown) => reason);
  return error instanceof RateLimited ? error.retryAfterMs : NaN;
}

async function start(t: Test, options: ProxyOptions): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER), ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

t.test('requests beyond the rate are a 429 that says when to come again, and reach nobody', async (t) => {
  const proxy = await start(t, { tenants: [{ limits: { requests_per_minute: 3 } as TenantConfig['limits'] }] });
  for (let i = 0; i < 3; i++) t.equal((await rawRequest(proxy.port, chatRequest(HELLO))).status, 200);
  const refused = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(refused.status, 429);
  t.match(JSON.parse(refused.body.toString()), { error: { code: 'rate_limited', message: /^the limit of 3 requests a minute is reached; / } });
  t.ok(Number(refused.headers['retry-after']) >= 19 && Number(refused.headers['retry-after']) <= 20, 'a third of a minute');
  t.equal(refused.headers['x-should-retry'], 'true');
  t.equal(proxy.upstream.received.length, 3);
  t.match(await proxy.record(4), { tenant_id: 'default', outcome: 'refused', error_code: 'rate_limited', status: 429 });
});

t.test('open requests are bounded, and every end of one makes room', async (t) => {
  const proxy = await start(t, { tenants: [{ limits: { concurrent: 1 } as TenantConfig['limits'] }], script: async (socket, request) => {
    await pause(request.body.includes('slow') ? 150 : 0);
    if (request.body.includes('break')) return void socket.destroy();
    await json(200, CHAT_ANSWER)(socket, request);
  } });
  const says = (content: string) => rawRequest(proxy.port, chatRequest({ model: 'm', messages: [{ role: 'user', content }] }));
  const slow = says('slow');
  await until(() => proxy.upstream.received.length === 1, 20_000, 'the first request upstream');
  const refused = await says('hello');
  t.match([refused.status, refused.headers['retry-after']], [429, '1']);
  t.equal((await slow).status, 200);
  for (const [content, status] of [['break', 502], ['BLOCKME', 400], ['hello', 200], ['hello', 200]] as const) {
    await until(() => proxy.server.openExchanges === 0, 20_000, 'the end of the one before');
    t.equal((await says(content)).status, status, content);
  }
});

t.test('tokens: estimated by the size of the request, put right by what the upstream counted', async (t) => {
  const usage = (outputTokens: number): ProxyOptions['createGuard'] => (options) => {
    const guard = passGuard(options);
    return { ...guard, summary: () => ({ ...guard.summary(), usage: { inputTokens: 10, outputTokens } }) };
  };
  const limits = { tokens_per_minute: 600 } as TenantConfig['limits'];
  const large = chatRequest({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(1400) }] });
  const modest = await start(t, { tenants: [{ limits }], createGuard: usage(20) });
  for (let i = 0; i < 8; i++) t.equal((await rawRequest(modest.port, large)).status, 200, '370 estimated, 30 used');
  const greedy = await start(t, { tenants: [{ limits }], createGuard: usage(1190) });
  t.equal((await rawRequest(greedy.port, large)).status, 200);
  const refused = await rawRequest(greedy.port, large);
  t.equal(refused.status, 429);
  t.match(JSON.parse(refused.body.toString()), { error: { message: /^the limit of 600 tokens a minute/ } });
  const waitS = Number(refused.headers['retry-after']);
  t.ok(waitS >= 90 && waitS <= 100, `1200 used and 370 asked of 600 a minute is 97 s, got ${waitS}`);
  t.equal(greedy.upstream.received.length, 1);
});

t.test('a tenant without rates never reaches for Redis, and an admission ends once', async (t) => {
  let asked = 0;
  const redis: SharedCounter = { admits: true, run: async () => { asked++; return { ok: false }; } };
  const limits = new TenantLimits({ redis: () => redis });
  for (const free of [tenant(), tenant({} as TenantConfig['limits'])]) {
    const admission = await limits.admit(free);
    await admission.takeTokens(1e9);
    admission.settleTokens(1e9);
    admission.release();
  }
  const single = tenant({ concurrent: 2 } as TenantConfig['limits']);
  const [one, two] = [await limits.admit(single), await limits.admit(single)];
  await t.rejects(limits.admit(single), { code: 'rate_limited' });
  one.release();
  one.release();
  const three = await limits.admit(single);
  await t.rejects(limits.admit(single), { code: 'rate_limited' }, 'released twice is released once');
  two.release();
  three.release();
  t.equal(asked, 0);
  await limits.admit(tenant({ requests_per_minute: 1 } as TenantConfig['limits']));
  t.equal(asked, 1);
});

t.test('a request refused for its rate gives its place back', async (t) => {
  const limits = new TenantLimits({ clock: () => 0 });
  const of = tenant({ requests_per_minute: 1, concurrent: 1 } as TenantConfig['limits']);
  (await limits.admit(of)).release();
  for (let i = 0; i < 3; i++) await t.rejects(limits.admit(of), { message: /requests a minute/ });
});

t.test('what Redis says that is no decision is no decision: this process counts', async (t) => {
  for (const value of [null, 'OK', [], [1, 2, 3], [1, 'x', 3, 1], [1, NaN, 3, 1], [1, 0, 3, 7], { 0: 1 }]) {
    const limits = new TenantLimits({ clock: () => 0, redis: () => ({ admits: true, run: async <T>() => ({ ok: true as const, value: value as T }) }) });
    t.equal(await admitted(limits, tenant({ requests_per_minute: 2 } as TenantConfig['limits']), 5), 2);
  }
});

async function replicas(t: Test, port: number): Promise<{ readonly door: RedisDoor; readonly one: TenantLimits; readonly two: TenantLimits }> {
  const doors = [await openRedis(`redis://127.0.0.1:${port}`), await openRedis(`redis://127.0.0.1:${port}`)];
  t.teardown(() => doors.forEach((door) => door.close()));
  const [one, two] = doors.map((door) => new TenantLimits({ redis: () => door }));
  return { door: doors[0], one, two };
}

t.test('replicas share what Redis counts; a corrupt counter begins anew', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const { door, one, two } = await replicas(t, port);
  const of = tenant({ requests_per_minute: 20 } as TenantConfig['limits']);
  t.equal(await admitted(one, of, 12) + await admitted(two, of, 12), 20, 'together, not each');
  const waitMs = await waitAfter(two.admit(of));
  t.ok(waitMs > 1000 && waitMs <= 3000, `a twentieth of a minute, got ${waitMs}`);
  t.equal(await admitted(two, tenant(of.limits, 'other'), 25), 20, 'each tenant for itself');
  const ttl = await door.call<number>('PTTL', ['{acme}:rl:requests']);
  t.ok(ttl.ok && ttl.value > 50_000 && ttl.value <= 60_000, 'forgotten when it says nothing more');

  for (const [name, ...rest] of [['LPUSH', 'x'], ['SET', 'nan nan'], ['SET', 'inf 1'], ['SET', '7'], ['SET', '1e999 -1e999'], ['SET', '..- +']]) {
    await door.call('DEL', ['{acme}:rl:requests']);
    await door.call(name, ['{acme}:rl:requests', ...rest]);
    const decision = await one.take([{ counter: '{acme}:rl:requests', limit: { perMinute: 20, debtMs: 0 } }], 1);
    t.ok(decision.allowed ? decision.remaining === 19 : decision.retryAfterMs <= 3000, `${name} ${rest[0]}`);
  }
  const { counts } = door;
  t.match(counts, { failed: 0, timedOut: 0 }, 'all of this was Redis, none of it the fallback');
});

t.test('tokens that no upstream tells are reckoned by the length of the answer; a refusal of the upstream costs none', async (t) => {
  const silent = (textChars: number): ProxyOptions['createGuard'] => (options) => {
    const guard = passGuard(options);
    return { ...guard, summary: () => ({ ...guard.summary(), textChars }) };
  };
  const limits = { tokens_per_minute: 600 } as TenantConfig['limits'];
  const large = chatRequest({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(1400) }] });
  const wordy = await start(t, { tenants: [{ limits }], createGuard: silent(2000) });
  t.equal((await rawRequest(wordy.port, large)).status, 200);
  const { usage, request_bytes: bytes } = await wordy.record();
  t.same(usage, { prompt_tokens: Math.ceil(bytes / 4), completion_tokens: 500, estimated: true });
  t.equal((await rawRequest(wordy.port, large)).status, 429, '370 of the request and 500 of the answer');
  const refusing = await start(t, { tenants: [{ limits }], script: json(400, CHAT_ANSWER) });
  for (let i = 0; i < 6; i++) t.equal((await rawRequest(refusing.port, large)).status, 400);
  t.match(await refusing.record(6), { usage: { prompt_tokens: 0, completion_tokens: 0 } });
});

t.test('a key has limits of its own beside those of its tenant, and a refusal costs neither', async (t) => {
  let nowMs = 0;
  const limits = new TenantLimits({ clock: () => nowMs });
  const of = tenant({ requests_per_minute: 6 } as TenantConfig['limits']);
  const [small, large] = [{ keyId: 'small', limits: { requests_per_minute: 2 } }, { keyId: 'large', limits: { requests_per_minute: 60 } }];
  const count = async (key: typeof small | undefined, times: number): Promise<number> => {
    let sum = 0;
    for (let i = 0; i < times; i++) sum += await limits.admit(of, key).then(() => 1, () => 0);
    return sum;
  };
  t.equal(await count(small, 9), 2, 'the limit of the key');
  await t.rejects(limits.admit(of, small), { message: /^the limit of 2 requests a minute/ });
  t.equal(await count(large, 9), 4, 'what the tenant has left: what the key refused was not counted');
  await t.rejects(limits.admit(of, large), { message: /^the limit of 6 requests a minute/ });
  t.equal(await limits.admit(tenant(undefined, 'other'), small).then(() => true), true, 'a key of that name of another tenant is another key');
  nowMs = 10_000;
  t.equal(await count(undefined, 9), 1, 'a sixth of a minute later, without a key');
  t.equal(await count(small, 1), 0, 'the tenant refuses, and its key is not charged');
  nowMs = 60_000;
  t.equal(await count(small, 9), 2);
});

t.test('tokens of a key and of its tenant are put right together', async (t) => {
  const limits = new TenantLimits({ clock: () => 0 });
  const of = tenant({ tokens_per_minute: 1000 } as TenantConfig['limits']);
  const key = { keyId: 'k', limits: { tokens_per_minute: 100 } };
  const first = await limits.admit(of, key);
  await first.takeTokens(4000); // as much as the key may, and 1000 of the tenant's
  first.settleTokens(60);
  const second = await limits.admit(of, key);
  await second.takeTokens(160);
  await t.rejects(second.takeTokens(4), { message: /^the limit of 100 tokens a minute/ });
  const other = await limits.admit(of);
  await other.takeTokens(3600);
  await t.rejects(other.takeTokens(4), { message: /^the limit of 1000 tokens a minute/ }, '60 and 40 by the key, 900 without');
});

t.test('in Redis the limits of a key and its tenant are taken both or none, by all replicas together', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const { door, one, two } = await replicas(t, port);
  const of = tenant({ requests_per_minute: 10 } as TenantConfig['limits']);
  const key = { keyId: 'k', limits: { requests_per_minute: 4 } };
  let sum = 0;
  for (let i = 0; i < 6; i++) for (const limits of [one, two]) sum += await limits.admit(of, key).then(() => 1, () => 0);
  t.equal(sum, 4);
  t.equal(await admitted(one, of, 20), 6);
  t.match(door.counts, { failed: 0, timedOut: 0 });
});

t.test('without an answer of Redis each replica admits its share, from what it has admitted already', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const doors = [await openRedis(`redis://127.0.0.1:${port}`), await openRedis(`redis://127.0.0.1:${port}`), await openRedis(`redis://127.0.0.1:${port}`)];
  const beats = doors.map((door) => new Replicas(() => door));
  t.teardown(() => Promise.all(beats.map((beat) => beat.close())).then(() => doors.forEach((door) => door.close())));
  for (const beat of [...beats, ...beats]) await beat.beat(); // each has heard of all
  t.same(beats.map(({ count }) => count), [3, 3, 3]);
  const all = doors.map((door, at) => new TenantLimits({ redis: () => door, replicas: () => beats[at]!.count }));
  const of = tenant({ requests_per_minute: 30 } as TenantConfig['limits']);
  t.equal(await admitted(all[0]!, of, 9), 9);
  server.kill('SIGKILL');
  await until(() => doors.every(({ admits }) => !admits), 20_000, 'the loss');
  for (const beat of beats) await beat.beat();
  t.same(beats.map(({ count }) => count), [3, 3, 3], 'what was learnt last counts');
  const after = [await admitted(all[0]!, of, 30), await admitted(all[1]!, of, 30), await admitted(all[2]!, of, 30)];
  t.ok(after[0]! <= 2 && after[1]! <= 11 && after[2]! <= 11, `a tenth of a minute gives one more, got ${after.join(', ')}`);
  t.ok(after[1]! >= 10 && after[2]! >= 10);
  await t.rejects(all[1]!.admit(of), { message: /^the limit of 30 requests a minute/ }, 'the limit that is told is that of the tenant');
});

t.test('who leaves is no longer counted, who is silent neither', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const door = await openRedis(`redis://127.0.0.1:${port}`);
  t.teardown(() => door.close());
  await door.call('SET', ['{weir}:replicas', 'no list']);
  const [one, two] = [new Replicas(() => door), new Replicas(() => door)];
  t.equal(one.count, 1, 'itself, before anybody has answered');
  for (const beat of [one, two, one]) await beat.beat();
  t.equal(one.count, 2, 'a value of another type is replaced');
  await two.close();
  await one.beat();
  t.equal(one.count, 1);
  await door.call('ZADD', ['{weir}:replicas', Date.now() - 60_000, 'silent']);
  await one.beat();
  t.equal(one.count, 1);
});

t.test('a clock of the server that went back does not lock out', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const { door, one } = await replicas(t, port);
  const limit = { perMinute: 6000, debtMs: 0 };
  await door.call('SET', ['{acme}:rl:requests', `60000 ${Date.now() + 3_600_000}`]); // full, an hour ahead
  t.equal((await one.take([{ counter: '{acme}:rl:requests', limit }], 1)).allowed, false);
  await pause(60);
  t.ok((await one.take([{ counter: '{acme}:rl:requests', limit }], 1)).allowed, 'it drains from the first look at it');
});

t.test('a turn of a connection counts as a request, and its tokens as those of one', async (t) => {
  const limits = new TenantLimits({ clock: () => 0 });
  const free = await limits.admit(tenant());
  for (let i = 0; i < 1_000; i += 1) await free.takeRequest();
  const open = await limits.admit(tenant({ requests_per_minute: 3, tokens_per_minute: 1000, concurrent: 1 } as TenantConfig['limits']));
  await open.takeRequest();
  await open.takeTokens(400);
  await open.takeRequest();
  await open.takeTokens(400);
  await t.rejects(open.takeRequest(), { code: 'rate_limited', message: /^the limit of 3 requests a minute/ });
  open.settleTokens(150);
  await open.takeTokens(3400);
  await t.rejects(open.takeTokens(4), { code: 'rate_limited' }, 'both turns were put right at once: 150 used, and 850 since');
  await t.rejects(limits.admit(tenant({ concurrent: 1 } as TenantConfig['limits'])), { code: 'rate_limited' }, 'turns open nothing, and close nothing');
});

t.test('tokens in Redis: charged, given back, bounded', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const { one, two } = await replicas(t, port);
  const of = tenant({ tokens_per_minute: 1000 } as TenantConfig['limits']);
  const spend = async (limits: TenantLimits, bytes: number, used: number): Promise<Admission> => {
    const admission = await limits.admit(of);
    await admission.takeTokens(bytes);
    admission.settleTokens(used);
    admission.settleTokens(1e9);
    await pause(20);
    return admission;
  };
  await spend(one, 3600, 100);
  await spend(two, 3200, 900);
  await t.rejects(spend(one, 400, 0), { code: 'rate_limited' }, '1000 used by both');
  await two.charge({ counter: '{acme}:rl:tokens', limit: { perMinute: 1000, debtMs: 300_000 } }, 1e12);
  await pause(20);
  const waitMs = await waitAfter(spend(one, 4, 0));
  t.ok(waitMs > 290_000 && waitMs <= 301_000, `debt is bounded, got ${waitMs}`);
});

t.test('Redis gone: limits go on in this process, from what was used, and are shared again later', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  const server = await startRedis(t, port);
  const { door, one } = await replicas(t, port);
  const of = tenant({ requests_per_minute: 10 } as TenantConfig['limits']);
  t.equal(await admitted(one, of, 6), 6);
  server.kill('SIGSTOP');
  const startMs = performance.now();
  t.equal(await admitted(one, of, 100), 4, 'its loss is no fresh start');
  t.ok(performance.now() - startMs < 1_200, 'and costs one wait, not one each');
  server.kill('SIGCONT');
  await until(() => door.admits, 20_000, 'recovery');
  t.ok(await admitted(one, of, 10) < 5);
  t.match(door.counts, { timedOut: 1 });
});

t.test('the configuration names the Redis that counts, also after a reload', { skip: REDIS_MISSING }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-limits-'));
  const ports = [await freePort(), await freePort()];
  const doors: RedisDoor[] = [];
  for (const port of ports) {
    await startRedis(t, port);
    doors.push(await openRedis(`redis://127.0.0.1:${port}`));
  }
  writeFileSync(join(dir, 'open.yaml'), 'policy: open\ndefault_action: allow\nrules: []\n');
  const write = (redis: object): void => writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['open.yaml'], telemetry: { log_level: 'silent' }, upstreams: { local: { url: 'http://127.0.0.1:9/v1' } },
    tenants: [{ id: 'acme', policy: 'open', upstream: 'local', limits: { requests_per_minute: 2 } }], ...redis,
  }));
  write({ redis: { url: `redis://127.0.0.1:${ports[0]}` } });
  const app = createApp({ config: join(dir, 'weir.yaml'), env: {}, watchIntervalMs: 20 });
  t.teardown(async () => {
    await app.close();
    doors.forEach((door) => door.close());
    rmSync(dir, { recursive: true, force: true });
  });
  const { proxyUrl } = await app.start();
  const status = async (): Promise<number> => (await fetch(`${proxyUrl}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(HELLO) })).status;
  t.same([await status(), await status(), await status()], [502, 502, 429]);
  const clients = async (door: RedisDoor): Promise<number> => {
    // A door gives up after milliseconds, which on a busy machine tells nothing of Redis.
    for (let i = 0; i < 200; i++) {
      const reply = await door.call<string>('CLIENT', ['LIST']);
      if (reply.ok) return reply.value.trim().split('\n').length;
      await pause(20);
    }
    return NaN;
  };
  t.match(await doors[0].call('EXISTS', ['{acme}:rl:requests']), { value: 1 });
  // One connection for calls and one that listens, besides the test's own.
  for (let i = 0; i < 1000 && await clients(doors[0]) < 3; i++) await pause(20);
  t.same([await clients(doors[0]), await clients(doors[1])], [3, 1]);

  write({ redis: { url: `redis://127.0.0.1:${ports[1]}` } });
  for (let i = 0; i < 1000 && (await clients(doors[0]) > 1 || await clients(doors[1]) < 3); i++) await pause(20);
  t.same([await clients(doors[0]), await clients(doors[1])], [1, 3], 'the old connections are closed when the new ones stand');
  t.equal(await status(), 502, 'the other Redis has counted nothing yet');
  write({});
  for (let i = 0; i < 1000 && await clients(doors[1]) > 1; i++) await pause(20);
  t.equal(await clients(doors[1]), 1);
  t.equal(await status(), 429, 'counted here all the while');
});
