/** When somebody is asked to have a break, over any day of work: never too late, never while they have one, and a rest is one. */
import fc from 'fast-check';
import t from 'tap';
import { BREAK_BOUNDS, type BreakLimits, type Pace } from '../../src/contract/wellness.ts';
import { answered, limitsFor, paceAt, stateOf, workedAt } from '../../src/review/pace.ts';

const MINUTE = 60_000;
const LIMITS: BreakLimits = { afterMinutes: 60, afterItems: 5, minutes: 10 };
const START = Date.UTC(2030, 0, 1, 9);

t.test('a break is due after so many minutes, or so many severe items, and not before', async (t) => {
  const pace = paceAt(undefined, START, LIMITS);
  t.same(pace, { sinceMs: START, seenMs: START, severe: 0, breakUntilMs: null });
  t.equal(stateOf(pace, START + 60 * MINUTE - 1, LIMITS), 'working');
  t.equal(stateOf(pace, START + 60 * MINUTE, LIMITS), 'due');
  let at = pace;
  for (let i = 0; i < 4; i++) at = workedAt(at, START + i, { severe: true });
  at = workedAt(workedAt(at, START + 9, { severe: false }), START + 10, undefined);
  t.equal(stateOf(at, START + 10, LIMITS), 'working', 'four');
  t.equal(stateOf(workedAt(at, START + 11, { severe: true }), START + 11, LIMITS), 'due', 'five');
});

t.test('doing nothing for as long as a break is one', async (t) => {
  const worked = workedAt(paceAt(undefined, START, LIMITS), START + 50 * MINUTE, { severe: true });
  t.equal(paceAt(worked, START + 60 * MINUTE - 1, LIMITS), worked);
  t.same(paceAt(worked, START + 60 * MINUTE, LIMITS), { sinceMs: START + 60 * MINUTE, seenMs: START + 60 * MINUTE, severe: 0, breakUntilMs: null });
});

t.test('a break that was taken lasts, and then the count begins anew; who goes on is asked again', async (t) => {
  const pause = answered(true, START, LIMITS);
  t.equal(stateOf(paceAt(pause, START + 10 * MINUTE - 1, LIMITS), START + 10 * MINUTE - 1, LIMITS), 'break');
  const after = START + 10 * MINUTE;
  t.same([stateOf(paceAt(pause, after, LIMITS), after, LIMITS), paceAt(pause, after, LIMITS).sinceMs], ['working', after]);
  const on = answered(false, START, LIMITS);
  t.same([stateOf(on, START, LIMITS), stateOf(on, START + 60 * MINUTE, LIMITS)], ['working', 'due']);
});

t.test('a person has it sooner, and never later', async () => {
  const own = fc.option(fc.integer({ min: 1, max: 500 }));
  fc.assert(fc.property(own, own, (minutes, items) => {
    const { afterMinutes, afterItems, minutes: length } = limitsFor(LIMITS, { break_after_minutes: minutes, break_after_items: items });
    return afterMinutes <= LIMITS.afterMinutes && afterItems <= LIMITS.afterItems && length === LIMITS.minutes && afterMinutes === Math.min(LIMITS.afterMinutes, minutes ?? Infinity) && afterItems === Math.min(LIMITS.afterItems, items ?? Infinity);
  }));
});

t.test('whatever a day is like, nobody is at it for longer than asked without the question', async () => {
  const step = fc.oneof({ weight: 6, arbitrary: fc.record({ kind: fc.constant('open' as const), severe: fc.boolean() }) }, { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('take' as const, 'go on' as const), severe: fc.constant(false) }) });
  const limits = fc.record({ afterMinutes: fc.integer(BREAK_BOUNDS.afterMinutes), afterItems: fc.integer(BREAK_BOUNDS.afterItems), minutes: fc.integer(BREAK_BOUNDS.minutes) });
  fc.assert(fc.property(limits, fc.array(fc.tuple(fc.integer({ min: 0, max: 20 * MINUTE }), step), { maxLength: 80 }), (given, steps) => {
    let pace: Pace | undefined;
    let [nowMs, worked, severe, last, until] = [START, START, 0, START, 0]; // by a plainer count
    for (const [waited, { kind, severe: isSevere }] of steps) {
      nowMs += waited;
      const rested = until > 0 ? nowMs >= until : nowMs - last >= given.minutes * MINUTE;
      if (rested || pace === undefined) [worked, severe, last, until] = [nowMs, 0, nowMs, 0];
      pace = paceAt(pace, nowMs, given);
      const expected = until > 0 ? 'break' : nowMs - worked >= given.afterMinutes * MINUTE || severe >= given.afterItems ? 'due' : 'working';
      if (stateOf(pace, nowMs, given) !== expected) return false;
      if (kind === 'open') {
        pace = workedAt(pace, nowMs, { severe: isSevere });
        severe += isSevere ? 1 : 0;
        last = nowMs;
      } else {
        pace = answered(kind === 'take', nowMs, given);
        [worked, severe, last, until] = [nowMs, 0, nowMs, kind === 'take' ? nowMs + given.minutes * MINUTE : 0];
      }
    }
    return true;
  }), { numRuns: 2_000 });
});
