/** What is counted beside looks: waited for a moment, kept while nothing changed, counted anew with a rest, and failures told once. */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Counted } from '../../src/risk/counted.ts';

t.test('a quick count is waited for, a slow one is told when it is there', async (t) => {
  let nowMs = Date.UTC(2030, 0, 1);
  let counts = 0;
  const counted = new Counted({ now: () => new Date(nowMs), waitMs: 30, count: async () => { nowMs += 10; return ++counts; } });
  t.same(await counted.known('a'), { value: 1, as_of: '2030-01-01T00:00:00.000Z' });
  t.equal((await counted.known('a')).value, 1, 'nothing changed');
  t.equal((await counted.known('b')).value, 1, 'it rests');
  nowMs += 400;
  t.equal((await counted.known('b')).value, 2, 'forty times what it took');
  nowMs += 10 * 60_000;
  t.equal((await counted.known('b')).value, 3, 'and now and then in any case');
  let tookMs = 1_000;
  const long = new Counted({ now: () => new Date(nowMs), waitMs: 10_000, count: async () => { nowMs += tookMs; return ++counts; } });
  t.equal((await long.known('a')).value, 4);
  nowMs += 8_999;
  t.equal((await long.known('b')).value, 4, 'ten seconds from when it was begun');
  [nowMs, tookMs] = [nowMs + 1, 0];
  t.equal((await long.known('b')).value, 5, 'and no longer');
  const gate = Promise.withResolvers<string>();
  const slow = new Counted({ now: () => new Date(nowMs), waitMs: 5, count: () => gate.promise });
  t.same(await Promise.all([slow.known('a'), slow.known('a')]), [{ value: undefined, as_of: null }, { value: undefined, as_of: null }]);
  gate.resolve('there');
  await sleep(1);
  t.equal((await slow.known('a')).value, 'there');
});

t.test('a count that fails is told to who waits, is not kept, and does no harm where nobody waits', async (t) => {
  let nowMs = 1_000;
  let fails = true;
  const counted = new Counted({ now: () => new Date(nowMs), waitMs: 20, count: async () => { if (fails) throw new Error('away'); return 'there'; } });
  await t.rejects(counted.known('a'), { message: 'away' });
  fails = false;
  t.equal((await counted.known('a')).value, 'there');
  fails = true;
  nowMs += 1_000;
  t.equal((await counted.known('b')).value, 'there', 'the last one is told');
  const gate = Promise.withResolvers<string>();
  const slow = new Counted({ now: () => new Date(nowMs), waitMs: 1, count: () => gate.promise });
  t.equal((await slow.known('a')).value, undefined);
  gate.reject(new Error('late'));
  await sleep(5);
  t.pass('nobody is told of it');
});
