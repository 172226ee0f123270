/**
 * The rate algorithm alone: what it may admit is bounded, whatever is asked and however the clock runs; what it refuses
 * it admits at the time it named.
 */
import fc from 'fast-check';
import t from 'tap';
import { charge, PERIOD_MS, take, type Bucket, type RateLimit } from '../../src/tenant/gcra.ts';

const PER_MINUTE = fc.integer({ min: 1, max: 20_000 });
const steps = (min: number) => fc.array(fc.record({ passMs: fc.integer({ min, max: 20_000 }), amount: fc.integer({ min: 1, max: 50 }) }), { maxLength: 120 });

interface Run {
  readonly admitted: number;
  /** Time that passed forwards; steps back are not taken off. */
  readonly forwardMs: number;
  readonly bucket: Bucket | undefined;
  readonly nowMs: number;
}

function run(limit: RateLimit, asked: readonly { readonly passMs: number; readonly amount: number }[], startMs: number): Run {
  let state: Run = { admitted: 0, forwardMs: 0, bucket: undefined, nowMs: startMs };
  for (const { passMs, amount } of asked) {
    const nowMs = state.nowMs + passMs;
    const { bucket, decision } = take(limit, state.bucket, nowMs, amount);
    state = { admitted: state.admitted + (decision.allowed ? Math.min(amount, limit.perMinute) : 0), forwardMs: state.forwardMs + Math.max(0, passMs), bucket, nowMs };
  }
  return state;
}

t.test('never more than the burst and what the rate gives, with clocks that run back too', async (t) => {
  for (const backMs of [0, -600_000]) {
    t.doesNotThrow(() => fc.assert(fc.property(PER_MINUTE, steps(backMs), fc.constantFrom(0, 1e7, 8e10), (perMinute, asked, startMs) => {
      const { admitted, forwardMs } = run({ perMinute, debtMs: 0 }, asked, startMs);
      return admitted <= perMinute + (perMinute * forwardMs) / PERIOD_MS + 0.01;
    })));
  }
});

t.test('the whole burst is there at once, and not one more', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(PER_MINUTE, fc.constantFrom(0, 12345.678, 8e10), (perMinute, nowMs) => {
    const asked = Array.from({ length: perMinute + 1 }, () => ({ passMs: 0, amount: 1 }));
    return run({ perMinute, debtMs: 0 }, asked, nowMs).admitted === perMinute;
  }), { numRuns: 30 }));
  const { decision } = take({ perMinute: 10, debtMs: 0 }, undefined, 0, 3);
  t.same(decision, { allowed: true, retryAfterMs: 0, limit: 10, remaining: 7 });
});

t.test('what is refused is admitted at the time that was named, and no millisecond earlier', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(PER_MINUTE, steps(0), fc.integer({ min: 1, max: 50 }), (perMinute, asked, amount) => {
    const limit = { perMinute, debtMs: 0 };
    const { bucket, nowMs } = run(limit, asked, 1000);
    const refused = take(limit, bucket, nowMs, amount);
    if (refused.decision.allowed) return true;
    const { retryAfterMs } = refused.decision;
    return retryAfterMs > 0 && retryAfterMs <= PERIOD_MS
      && take(limit, refused.bucket, nowMs + retryAfterMs, amount).decision.allowed
      && !take(limit, refused.bucket, nowMs + retryAfterMs - 1.01, amount).decision.allowed;
  })));
});

t.test('fair: asking too often costs nothing, the rate is had in full', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 20 }), (perMinute, minutes) => {
    const step = 50;
    const asked = Array.from({ length: (minutes * PERIOD_MS) / step }, () => ({ passMs: step, amount: 1 }));
    const { admitted } = run({ perMinute, debtMs: 0 }, asked, 0);
    // One is lost at most for each time that the asker comes a step late.
    return admitted >= Math.floor(perMinute + (perMinute * minutes * PERIOD_MS) / (PERIOD_MS + perMinute * step)) - 1;
  }), { numRuns: 20 }));
  const greedy = { perMinute: 2, debtMs: 0 };
  let { bucket } = run(greedy, [{ passMs: 0, amount: 1 }, { passMs: 0, amount: 1 }], 0);
  for (let i = 0; i < 1000; i++) ({ bucket } = take(greedy, bucket, 29_000, 1));
  t.ok(take(greedy, bucket, 30_000, 1).decision.allowed, 'a thousand refusals moved nothing');
});

t.test('a clock that went back locks nobody out', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(PER_MINUTE, steps(0), fc.integer({ min: 1, max: 1e9 }), (perMinute, asked, backMs) => {
    const limit = { perMinute, debtMs: 0 };
    const { bucket, nowMs } = run(limit, [...asked, { passMs: 0, amount: perMinute }], 1e10);
    const refused = take(limit, bucket, nowMs - backMs, perMinute);
    return refused.decision.retryAfterMs <= PERIOD_MS && take(limit, refused.bucket, nowMs - backMs + PERIOD_MS, perMinute).decision.allowed;
  })));
});

t.test('charges: beyond the limit they are debt, up to a bound; what is given back can be had again', async (t) => {
  const limit = { perMinute: 60, debtMs: 2 * PERIOD_MS };
  let { bucket } = take(limit, undefined, 0, 1);
  bucket = charge(limit, bucket, 0, 89);
  t.match(take(limit, bucket, 0, 1).decision, { allowed: false, retryAfterMs: 31_000, remaining: 0 });
  t.equal(charge(limit, bucket, 0, 1e9).backlogMs, 3 * PERIOD_MS, 'forgiven beyond the bound');
  bucket = charge(limit, bucket, 0, -80);
  t.match(take(limit, bucket, 0, 1).decision, { allowed: true, remaining: 49 });
  t.equal(charge(limit, bucket, 0, -1e9).backlogMs, 0, 'never more than a full bucket');
});

t.test('more than the whole limit is had from a full bucket, and takes all of it', async (t) => {
  const limit = { perMinute: 60, debtMs: 0 };
  const { bucket, decision } = take(limit, undefined, 0, 500);
  t.same(decision, { allowed: true, retryAfterMs: 0, limit: 60, remaining: 0 });
  t.match(take(limit, bucket, 1000, 500).decision, { allowed: false, retryAfterMs: 59_000 });
});
