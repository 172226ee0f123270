/**
 * Redis fails in every way while a proxy is under load: each request asks it for its rate, and has its policy from it.
 * Real processes. What must hold: no request fails, none takes longer than on a twin that knows no Redis and is under
 * the same load at the same time, a tenant whose policy nobody has is let through by none, few lines are logged, metrics
 * show the state, and soon after the end of a fault a change from meanwhile is live.
 *
 * `WEIR_TEST_RUNS=15` lets each fault last a minute, and holds it to the milliseconds that are promised; shorter, the
 * bounds leave room for a machine that does other things too.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { blocking, blocks, until } from '../helpers/house.ts';
import { load, type LoadResult } from '../helpers/load.ts';
import { REDIS_MISSING, between, freePort, startRedis, tellRedis } from '../helpers/redis-server.ts';
import { openProvider, ORPHAN_KEY, startControl, startProxy, startReplica, type Replica } from '../helpers/replicas.ts';
import { runs } from '../helpers/runs.ts';

const faultMs = Math.min(60_000, runs(4_000));
const isLong = faultMs === 60_000;
const BOUNDS = isLong ? { p99Ms: 30, recoveryMs: 5_000, slowSeconds: 5 } : { p99Ms: 1_000, recoveryMs: 20_000, slowSeconds: Infinity };
/** A second is slow whose p99 is so much above that of the twin over all of them. */
const SLOW_MS = 30;
/** Where each request waited for Redis, half of them would take this much longer, however busy the machine is. */
const P50_MS = 20;
/** Where the machine is so busy that the twin waits, too. */
const P50_FACTOR = 2;
const LINES_MAX = 9;

/** What a fault has to work with. */
interface Place {
  readonly t: Test;
  readonly port: number;
  server: ChildProcess;
  /** The proxy's connections are so late. */
  lateMs: number;
}

interface Fault {
  readonly begin: (place: Place) => Promise<unknown> | unknown;
  readonly end: (place: Place) => Promise<unknown> | unknown;
}

const faults: Readonly<Record<string, Fault>> = {
  'killed, and back empty': {
    begin: async ({ server }) => server.kill('SIGKILL') && once(server, 'exit'),
    end: async (place) => { place.server = await startRedis(place.t, place.port); },
  },
  frozen: { begin: ({ server }) => server.kill('SIGSTOP'), end: ({ server }) => server.kill('SIGCONT') },
  'slow by 100 ms': { begin: (place) => { place.lateMs = 100; }, end: (place) => { place.lateMs = 0; } },
  full: { begin: ({ port }) => tellRedis(port, 'CONFIG SET maxmemory 1'), end: ({ port }) => tellRedis(port, 'CONFIG SET maxmemory 0') },
  'frozen and thawed each half second': { begin: flap, end: ({ server }) => server.kill('SIGCONT') },
};

for (const [name, fault] of Object.entries(faults)) {
  t.test(name, { skip: REDIS_MISSING, timeout: 300_000 }, async (t) => {
    const upstream = await openProvider(t);
    const port = await freePort();
    const server = await startRedis(t, port, '--maxmemory-policy', 'noeviction');
    const place: Place = { t, port, server, lateMs: 0 };
    const control = await startControl(t, upstream, port);
    t.equal(await control.put('acme', 0, blocking('Heron')), 201);
    const proxy = await startProxy(t, upstream, await between(t, port, { lateMs: () => place.lateMs }));
    await until(blocks(proxy, 'Heron'), 'the policy');
    const twin = await startTwin(t, upstream);
    await Promise.all([under(proxy, during(2_000)), under(twin, during(2_000))]); // both are warm

    const linesBefore = lines(proxy).length;
    const seen: Promise<boolean[]> = states(proxy, during(faultMs));
    const faulty = Promise.all([under(proxy, during(faultMs)), under(twin, during(faultMs)), orphaned(proxy, during(faultMs))]);
    await delay(200);
    await fault.begin(place);
    await delay(faultMs / 4);
    t.equal(await control.put('acme', 1, blocking('Heron, Osprey')), 200, 'changes are taken');
    const [meanwhile, beside, orphans] = await faulty;
    await fault.end(place);
    const recoveryMs = await recovered(proxy);
    compare(t, meanwhile, beside);
    t.same(orphans.wrong, {}, 'a tenant without a policy is let through by none');
    t.ok((await seen).includes(false), 'metrics show it');
    const said = lines(proxy).slice(linesBefore);
    t.comment(`recovered after ${recoveryMs.toFixed(0)} ms, ${said.length} lines`);
    t.ok(recoveryMs < BOUNDS.recoveryMs, 'recovery');
    t.ok(said.length <= LINES_MAX, said.join('\n'));
  });
}

t.test('absent at the start', { skip: REDIS_MISSING, timeout: 300_000 }, async (t) => {
  const upstream = await openProvider(t);
  const port = await freePort();
  const server = await startRedis(t, port);
  const control = await startControl(t, upstream, port);
  t.equal(await control.put('acme', 0, blocking('Heron')), 201);
  const earlier = await startProxy(t, upstream, port);
  await until(blocks(earlier, 'Heron'), 'the policy');
  await earlier.kill();
  server.kill('SIGKILL');
  await once(server, 'exit');

  const [again, fresh, twin] = await Promise.all([startProxy(t, upstream, port, earlier.dir), startProxy(t, upstream, port), startTwin(t, upstream)]);
  t.equal(await control.put('acme', 1, blocking('Heron, Osprey')), 200, 'changes are taken');
  await Promise.all([under(again, during(2_000)), under(twin, during(2_000))]);
  const [meanwhile, beside, orphans, refused] = await Promise.all([under(again, during(faultMs)), under(twin, during(faultMs)), orphaned(again, during(faultMs)), load([{ ask: () => fresh.chat('fine'), status: 503 }], during(faultMs), 100)]);
  compare(t, meanwhile, beside);
  t.same([orphans.wrong, refused.wrong], [{}, {}], 'who has no policy, or no copy of it, is let through by none');
  t.match(await again.metrics(), /^weir_policy_source\{[^}]*source="disk"[^}]*\} 1/m);
  for (const replica of [again, fresh]) t.match(await replica.metrics(), /^weir_healthy\{[^}]*part="redis"[^}]*\} 0/m);
  await startRedis(t, port);
  const times = await Promise.all([recovered(again), recovered(fresh)]);
  t.comment(`recovered after ${times.map((ms) => ms.toFixed(0)).join(' and ')} ms, ${lines(again).length} and ${lines(fresh).length} lines`);
  t.ok(Math.max(...times) < BOUNDS.recoveryMs, 'recovery');
  for (const replica of [again, fresh]) t.ok(lines(replica).length <= LINES_MAX, lines(replica).join('\n'));
});

/** The policy's two answers, for as long as they must be these. */
function under(proxy: Replica, isOver: () => boolean): Promise<LoadResult> {
  return load([{ ask: () => proxy.chat('Heron'), status: 400 }, { ask: () => proxy.chat('fine'), status: 200 }], isOver);
}

function orphaned(proxy: Replica, isOver: () => boolean): Promise<LoadResult> {
  return load([{ ask: () => proxy.chat('fine', ORPHAN_KEY), status: 503 }], isOver, 100);
}

/** The same policy from a file. */
function startTwin(t: Test, upstreamUrl: string): Promise<Replica> {
  return startReplica(t, upstreamUrl, { files: { 'acme.yaml': blocking('Heron') } });
}

function during(ms: number): () => boolean {
  const endMs = performance.now() + ms;
  return () => performance.now() > endMs;
}

/** Whether metrics call Redis well, again and again. */
async function states(proxy: Replica, isOver: () => boolean): Promise<boolean[]> {
  const seen: boolean[] = [];
  for (; !isOver(); await delay(500)) seen.push(isWell(await proxy.metrics()));
  return seen;
}

/** What is logged besides one line for each request. */
function lines({ log }: Replica): readonly string[] {
  return log.filter((line) => !line.includes('"event":"exchange"'));
}

/** A part that never was ill is not named. */
function isWell(metrics: string): boolean {
  return !/^weir_healthy\{[^}]*part="redis"[^}]*\} 0/m.test(metrics);
}

/** How long until the change from meanwhile counts and metrics call Redis well. */
async function recovered(proxy: Replica): Promise<number> {
  const startMs = performance.now();
  await until(blocks(proxy, 'Osprey'), 'the change from meanwhile');
  await until(async () => isWell(await proxy.metrics()), 'metrics to call Redis well');
  return performance.now() - startMs;
}

function compare(t: Test, meanwhile: LoadResult, beside: LoadResult): void {
  const slow = ({ seconds }: LoadResult): number => seconds.filter(({ p99 }) => p99 > beside.p99 + SLOW_MS).length;
  t.comment(`without Redis: ${beside.line}; ${slow(beside)} of ${beside.seconds.length} seconds slow`);
  t.comment(`meanwhile: ${meanwhile.line}; ${slow(meanwhile)} of ${meanwhile.seconds.length} seconds slow`);
  t.same([meanwhile.wrong, beside.wrong], [{}, {}], 'every answer is the one that it must be');
  t.ok(meanwhile.p50 < P50_FACTOR * beside.p50 + P50_MS, 'half do not wait');
  t.ok(meanwhile.p99 - beside.p99 <= BOUNDS.p99Ms, 'nor do the others');
  t.ok(slow(meanwhile) <= 2 * slow(beside) + BOUNDS.slowSeconds, 'but for moments');
}

function flap({ t, server }: Place): void {
  let stopped = false;
  const flapping = setInterval(() => {
    stopped = !stopped;
    server.kill(stopped ? 'SIGSTOP' : 'SIGCONT');
  }, 500);
  const end = setTimeout(() => clearInterval(flapping), faultMs - 400);
  t.teardown(() => {
    clearInterval(flapping);
    clearTimeout(end);
  });
}
