/**
 * Verdict memory: what it keeps, for whom and how long; every limit; through a real Redis; and that a conversation costs
 * what is new in it.
 */
import t, { type Test } from 'tap';
import { VerdictMemory, bytesOf, type VerdictMemoryOptions } from '../../src/screen/cache.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Segment } from '../../src/contract/exchange.ts';
import type { ClassifierResult } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { openRedis, type RedisDoor } from '../../src/store/redis.ts';
import { RedisText } from '../../src/store/shared-text.ts';
import { calls, classifierOf, requestOf, said, scored, until } from '../helpers/classifiers.ts';
import { freePort, REDIS_MISSING, startRedis } from '../helpers/redis-server.ts';

const KEY = Buffer.alloc(32, 5);
const ONE = [scored('c', 0.5, { spans: [{ start: 1, end: 2 }] })];

function memoryOf(more: Partial<VerdictMemoryOptions> = {}): VerdictMemory {
  return new VerdictMemory({ key: KEY, ...more });
}

t.test('a key depends on every part, on where a part ends, on the tenant and on the secret; it shows nothing', async (t) => {
  const memory = memoryOf();
  const keys = [memory.keyOf('a', ['x', 'y']), memory.keyOf('a', ['xy', '']), memory.keyOf('a', ['', 'xy']), memory.keyOf('a', ['y', 'x']), memory.keyOf('b', ['x', 'y']), memory.keyOf('a', ['\ud800']), memory.keyOf('a', ['\ud801']), memoryOf({ key: Buffer.alloc(32, 6) }).keyOf('a', ['x', 'y'])];
  t.equal(new Set(keys).size, keys.length);
  t.equal(memory.keyOf('a', ['x', 'y']), keys[0]);
  t.ok(keys.every((key) => /^[\w-]{43}$/.test(key)));
});

t.test('whole answers are kept, for their tenant, for their time', async (t) => {
  let now = 0;
  const memory = memoryOf({ limits: { ttlMs: 100 }, clock: () => now });
  memory.remember('a', 'k', ONE);
  t.same(memory.recall('a', 'k'), ONE.map((result) => ({ ...result, latency_ms: 0 })));
  t.equal(memory.recall('b', 'k'), undefined);
  memory.remember('a', 'none', []);
  t.same(memory.recall('a', 'none'), [], 'that nothing was found is an answer');
  memory.remember('a', 'unknown', [...ONE, { classifier_id: 'c', category: 'other', unknown: true, reason: 'timeout', latency_ms: 1 }]);
  t.equal(memory.recall('a', 'unknown'), undefined);
  now = 99;
  t.ok(memory.recall('a', 'k'));
  now = 100;
  t.equal(memory.recall('a', 'k'), undefined, 'use does not keep it alive');
  t.equal(memory.size, 1);
});

t.test('entries of a tenant: as many as allowed, what was used lately stays, others keep theirs', async (t) => {
  const memory = memoryOf({ limits: { entriesMax: 4 } });
  const has = (tenant: string, keys: string): string => [...keys].filter((key) => memory.recall(tenant, key) !== undefined).join('');
  memory.remember('b', '1', ONE);
  for (const key of '1234') memory.remember('a', key, ONE);
  t.equal(memory.size, 5, 'at the limit');
  t.equal(has('a', '1'), '1');
  memory.remember('a', '5', ONE);
  t.ok(memory.size <= 5);
  t.equal(has('a', '15'), '15', 'used lately, and new');
  memory.remember('a', '5', []);
  t.same(memory.recall('a', '5'), [], 'the newest counts');
  for (let i = 0; i < 1_000; i += 1) {
    memory.remember('a', `n${i}`, ONE);
    t.ok(memory.recall('a', '1') && memory.recall('a', `n${i}`) && memory.size <= 5, 'whatever comes and goes');
  }
  t.equal(has('b', '1'), '1');
  const single = memoryOf({ limits: { entriesMax: 1 } });
  for (const key of '12') single.remember('a', key, ONE);
  t.same([single.size, single.recall('a', '2') !== undefined], [1, true]);
});

t.test('bytes of a tenant, and of all', async (t) => {
  const bytes = bytesOf(ONE);
  const memory = memoryOf({ limits: { bytesMax: 4 * bytes, totalBytesMax: 6 * bytes } });
  for (const key of '1234') memory.remember('a', key, ONE);
  t.equal(memory.bytes, 4 * bytes, 'at the limit');
  memory.remember('a', '5', ONE);
  t.ok(memory.bytes <= 4 * bytes && memory.recall('a', '5'));
  for (const tenant of 'bcd') for (const key of '12') memory.remember(tenant, key, ONE);
  t.ok(memory.bytes <= 6 * bytes, 'of all');
  t.ok(memory.recall('d', '2'), 'what is new is there');
  const large = (spans: number) => [scored('c', 0.5, { spans: Array.from({ length: spans }, (_, i) => ({ start: i, end: i + 1 })) })];
  memory.remember('a', 'large', large(200));
  t.equal(memory.recall('a', 'large'), undefined, 'more than a tenant may have is not kept');
  memory.remember('a', 'most', large(1 + Math.floor((3 * bytes) / 48)));
  t.ok(memory.recall('a', 'most') && memory.bytes <= 6 * bytes, 'almost as much is');
  for (let i = 0; i < 3_000; i += 1) memory.remember(`t${i % 50}`, `k${i}`, i % 7 === 0 ? large(20) : ONE);
  t.ok(memory.bytes <= 6 * bytes);
  memory.clear();
  t.same([memory.size, memory.bytes], [0, 0]);
});

t.test('switched off it forgets, and keeps nothing', async (t) => {
  const memory = memoryOf();
  memory.remember('a', 'k', ONE);
  memory.limits = { entriesMax: 0 };
  memory.remember('a', 'l', ONE);
  t.same([memory.isOn, memory.size, memory.bytes], [false, 0, 0]);
});

// Through Redis.

async function redisOf(t: Test): Promise<{ readonly door: RedisDoor; readonly shared: RedisText; readonly server: Awaited<ReturnType<typeof startRedis>> }> {
  const port = await freePort();
  const server = await startRedis(t, port);
  const door = await openRedis(`redis://127.0.0.1:${port}`);
  t.teardown(() => door.close());
  return { door, shared: new RedisText(() => door), server };
}

/** On a busy machine a call may be refused. */
async function recalled(memory: VerdictMemory, tenant: string, key: string): Promise<readonly ClassifierResult[] | undefined> {
  let results: readonly ClassifierResult[] | undefined;
  await until(() => (void memory.recallShared(tenant, key).then((found) => (results = found ?? results)), results !== undefined));
  return results;
}

t.test('replicas share what slow classifiers said; Redis reads nothing, and cannot say anything', { skip: REDIS_MISSING }, async (t) => {
  const { door, shared } = await redisOf(t);
  const limits = { ttlMs: 1_000_000 };
  let now = 0;
  const one = memoryOf({ shared, limits, now: () => now });
  const two = memoryOf({ shared, limits, now: () => now });
  let key: string | undefined;
  await until(() => {
    one.share('acme', 'k', ONE);
    void door.call<string[]>('KEYS', ['{acme}:verdict:*']).then((reply) => { key = reply.ok ? reply.value[0] : key; });
    return key !== undefined;
  });
  t.same((await recalled(two, 'acme', 'k'))?.map((result) => ({ ...result, latency_ms: 0 })), [{ ...ONE[0], latency_ms: 0 }]);
  t.ok(two.recall('acme', 'k'), 'and from then on it knows by itself');
  const stored = await door.call<string>('GET', [key!]);
  if (stored.ok) t.notMatch(Buffer.from(stored.value, 'base64').toString('latin1'), /toxic|TOXIC|score/);
  const stranger = () => memoryOf({ shared, limits, now: () => now, key: Buffer.alloc(32, 9) });
  t.equal(await stranger().recallShared('acme', 'k'), undefined, 'another secret');
  t.equal(await memoryOf({ shared, limits: { ...limits, shared: false }, now: () => now }).recallShared('acme', 'k'), undefined, 'not wanted');
  await door.call('SET', [key!, Buffer.from(JSON.stringify([])).toString('base64')]);
  t.equal(await memoryOf({ shared, limits, now: () => now }).recallShared('acme', 'k'), undefined, 'what was not sealed here is nothing');
  now = 1_000_000;
  t.equal(await memoryOf({ shared, limits, now: () => now }).recallShared('acme', 'k'), undefined, 'an old entry has an old name, however often it was read');
});

t.test('a frozen Redis costs one short wait; then nobody waits for it', { skip: REDIS_MISSING }, async (t) => {
  const { door, shared, server } = await redisOf(t);
  const memory = memoryOf({ shared });
  let asked = 0;
  const ensemble = new Ensemble({ classifiers: [{ classifier: classifierOf('c', () => (asked += 1, [scored('c', 0.5)])) }], memory, deadlineMs: 60_000 });
  await until(() => (void door.call('PING', []), door.admits));
  server.kill('SIGSTOP');
  const started = performance.now();
  const before = door.counts.timedOut;
  for (let i = 0; i < 200; i += 1) t.same(said(await ensemble.ask(requestOf(`text ${i}`))), [0.5]);
  t.equal(asked, 200);
  t.ok(door.counts.timedOut - before <= 1, 'one wait in all');
  t.comment(`200 texts in ${(performance.now() - started).toFixed(0)} ms`);
});

t.test('the fast tier does not ask Redis, and a deadline without room for it neither', async (t) => {
  let reads = 0;
  const shared = { read: async () => (reads += 1, { ok: false as const }), replace: async () => ({ ok: false as const }) };
  const memory = memoryOf({ shared });
  const ask = (more: Partial<Classifier>, deadlineMs: number, text: string) => new Ensemble({ classifiers: [{ classifier: classifierOf('c', () => [scored('c', 0.5)], more) }], memory, deadlineMs }).ask(requestOf(text));
  await ask({ cost: 'fast' }, 60_000, 'one');
  await ask({}, 40, 'two');
  t.equal(reads, 0);
  await ask({}, 60_000, 'three');
  t.equal(reads, 1);
});

// A conversation.

const POLICY = `policy: p
history: latest
rules:
  - { id: vile, direction: input, when: { score: tox.toxic, gte: 0.9 }, action: block }
  - { id: codes, direction: input, when: { score: codes.CODE, gte: 0.5 }, action: block }
`;

/** Patterns whose validator counts the candidates that a scan meets: one stands in each turn. */
function counted(seen: { scans: number; calls: number; chars: number }): readonly Classifier[] {
  const codes: Classifier = {
    ...classifierOf('codes', () => []), classify: undefined, cost: 'fast', categories: [{ id: 'CODE', definition: 'made up' }],
    patterns: [{ id: 'code', category: 'CODE', label: 'CODE', regex: 'CODE-[0-9]{6}', validate: ({ text }) => (seen.scans += 1, text.endsWith('666')) }],
  };
  const tox = classifierOf('tox', ({ content }) => (seen.calls += 1, seen.chars += content.length, [scored('tox', content.includes('vile') ? 1 : 0)]));
  return [codes, tox];
}

function turnOf(index: number, count: number, text = ''): Segment {
  return { path: `messages[${index}].content`, carrier: 'messages[].content', contentType: 'text', content: `Turn ${index} says CODE-${String(100_000 + index)}, and goes on for a while about this and that. ${text}`, history: index < count - 1 };
}

t.test('a conversation of 100 turns costs what is new in each, not what was said before', async (t) => {
  const seen = { scans: 0, calls: 0, chars: 0 };
  const told = calls();
  t.teardown(() => told.end());
  const classifiers = counted(seen);
  const ensemble = new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), memory: memoryOf(), deadlineMs: 60_000 });
  const plan = compilePlan(requirePolicy(POLICY, 'p.yaml'), classifiers, { file: 'p.yaml', ensemble });
  const costs: (typeof seen)[] = [];
  for (let turns = 1; turns <= 100; turns += 1) {
    Object.assign(seen, { scans: 0, calls: 0, chars: 0 });
    const segments = Array.from({ length: turns }, (_, i) => turnOf(i, turns));
    const screened = await plan.screen(segments, 'input', { tenant: 'acme' });
    t.equal(screened.segments.length, turns);
    costs.push({ ...seen });
  }
  const [first, last] = [costs[0]!, costs[99]!];
  t.same([last.calls, last.scans], [first.calls, first.scans], 'the last turn costs what the first did');
  t.ok(Math.max(...costs.map(({ chars }) => chars)) <= first.chars + 2, 'in characters too');
  t.equal(costs.reduce((sum, { calls: asked }) => sum + asked, 0), 100, 'each text was asked about once');
  const without = Array.from({ length: 100 }, (_, i) => i + 1).reduce((sum, turns) => sum + turns, 0);
  t.comment(`${without} questions without memory, ${costs.reduce((sum, { calls: asked }) => sum + asked, 0)} with it`);
  t.equal(told.outcomes('tox').filter((outcome) => outcome === 'cached').length, without - 100);
});

t.test('one old hit does not block new turns, remembered or not; a new one blocks', async (t) => {
  const seen = { scans: 0, calls: 0, chars: 0 };
  const classifiers = counted(seen);
  const ensemble = new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), memory: memoryOf(), deadlineMs: 60_000 });
  const plan = compilePlan(requirePolicy(POLICY, 'p.yaml'), classifiers, { file: 'p.yaml', ensemble });
  const decide = async (count: number, vileAt: number): Promise<string> => {
    const segments = Array.from({ length: count }, (_, i) => turnOf(i, count, i === vileAt ? 'A vile thing, CODE-000666.' : ''));
    const screened = await plan.screen(segments, 'input', { tenant: 'acme' });
    const acted = { ...screened, segments: screened.segments.filter(({ segment }) => !segment.history) };
    return plan.decide(acted, 'input', {}).action;
  };
  t.equal(await decide(3, 2), 'block', 'as the newest turn');
  for (let count = 4; count <= 8; count += 1) t.equal(await decide(count, 2), 'allow', `turn ${count}`);
  const before = { ...seen };
  t.equal(await decide(8, 2), 'allow');
  t.same(seen, before, 'nothing was asked or scanned for it');
});
