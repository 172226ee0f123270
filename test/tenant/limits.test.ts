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
  for (const value of [null, 'OK', [], [1, 2], [1, 'x', 3], [1, NaN, 3], { 0: 1 }]) {
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
    const decision = await one.take('{acme}:rl:requests', { perMinute: 20, debtMs: 0 }, 1);
    t.ok(decision.allowed ? decision.remaining === 19 : decision.retryAfterMs <= 3000, `${name} ${rest[0]}`);
  }
  const { counts } = door;
  t.match(counts, { failed: 0, timedOut: 0 }, 'all of this was Redis, none of it the fallback');
});

t.test('a clock of the server that went back does not lock out', { skip: REDIS_MISSING }, async (t) => {
  const port = await freePort();
  await startRedis(t, port);
  const { door, one } = await replicas(t, port);
  const limit = { perMinute: 6000, debtMs: 0 };
  await door.call('SET', ['{acme}:rl:requests', `60000 ${Date.now() + 3_600_000}`]); // full, an hour ahead
  t.equal((await one.take('{acme}:rl:requests', limit, 1)).allowed, false);
  await pause(60);
  t.ok((await one.take('{acme}:rl:requests', limit, 1)).allowed, 'it drains from the first look at it');
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
  await two.charge('{acme}:rl:tokens', { perMinute: 1000, debtMs: 300_000 }, 1e12);
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
    const reply = await door.call<string>('CLIENT', ['LIST']);
    return reply.ok ? reply.value.trim().split('\n').length : NaN;
  };
  t.match(await doors[0].call('EXISTS', ['{acme}:rl:requests']), { value: 1 });
  // One connection for calls and one that listens, besides the test's own.
  for (let i = 0; i < 150 && await clients(doors[0]) < 3; i++) await pause(20);
  t.same([await clients(doors[0]), await clients(doors[1])], [3, 1]);

  write({ redis: { url: `redis://127.0.0.1:${ports[1]}` } });
  for (let i = 0; i < 150 && (await clients(doors[0]) > 1 || await clients(doors[1]) < 3); i++) await pause(20);
  t.same([await clients(doors[0]), await clients(doors[1])], [1, 3], 'the old connections are closed when the new ones stand');
  t.equal(await status(), 502, 'the other Redis has counted nothing yet');
  write({});
  for (let i = 0; i < 150 && await clients(doors[1]) > 1; i++) await pause(20);
  t.equal(await clients(doors[1]), 1);
  t.equal(await status(), 429, 'counted here all the while');
});
