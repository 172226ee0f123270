/**
 * What waits for a person, over a real store on a clock of the test's own: limits, faults of the store, and a model in
 * which people, clients, processes and the store come, go and fail in any order. Whatever happens, each wait ends once,
 * in time, and by what the store says came first.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { WeirError } from '../../src/contract/errors.ts';
import type { HoldEnd, HoldOutcome, WantedHold } from '../../src/contract/hold.ts';
import type { Resolution } from '../../src/contract/review.ts';
import { Holds, POLL_MS, STORE_MS } from '../../src/review/holds.ts';
import { heldIntake, type IntakeSettings } from '../../src/review/intake.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlHoldStore, type HoldStore } from '../../src/store/holds.ts';
import { SqlReviewStore } from '../../src/store/reviews.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

t.setTimeout(600_000);

const EPOCH_MS = Date.UTC(2030, 0, 1);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Time that goes on only when it is told to. */
class Time {
  nowMs = EPOCH_MS;
  #timers: { readonly atMs: number; readonly work: () => void }[] = [];

  readonly clock = (): number => this.nowMs;

  readonly after = (ms: number, work: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + ms, work };
    this.#timers.push(timer);
    return () => { this.#timers = this.#timers.filter((one) => one !== timer); };
  };

  async to(atMs: number): Promise<void> {
    for (;;) {
      await turn();
      const next = this.#timers.reduce<(typeof this.timers)[number] | undefined>((first, timer) => (timer.atMs <= atMs && (first === undefined || timer.atMs < first.atMs) ? timer : first), undefined);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.work();
    }
    this.nowMs = Math.max(this.nowMs, atMs);
    await turn();
  }

  get timers(): readonly { readonly atMs: number; readonly work: () => void }[] {
    return this.#timers;
  }
}

const settings: IntakeSettings = { deadlinesMs: { low: 1e6, medium: 1e6, high: 1e6, critical: 1e6 }, doubleBlindShare: 0, drawKey: Buffer.alloc(32, 1), escalateAfterMs: 0, steps: 0 };

/** How the store is now, as this process finds it. `after`: it does what it is asked, and says that it failed. */
type Mood = 'well' | 'fails' | 'hangs' | 'after';

class MoodyStore implements HoldStore {
  mood: Mood = 'well';
  readonly #store: HoldStore;

  constructor(store: HoldStore) {
    this.#store = store;
  }

  open: HoldStore['open'] = (hold) => this.#ask(() => this.#store.open(hold));
  settle: HoldStore['settle'] = (id, outcome) => this.#ask(() => this.#store.settle(id, outcome));
  leave: HoldStore['leave'] = (id, outcome) => this.#ask(() => this.#store.leave(id, outcome));
  outcomes: HoldStore['outcomes'] = (ids) => this.#ask(() => this.#store.outcomes(ids));

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    if (this.mood === 'hangs') return new Promise<T>(() => {});
    if (this.mood === 'fails') throw new WeirError('store_unavailable');
    const done = await work();
    if (this.mood === 'after') throw new WeirError('store_unavailable');
    return done;
  }
}

interface Place {
  readonly time: Time;
  readonly reviews: SqlReviewStore;
  process(limits?: { most?: number; ofTenant?: number }, doubleBlindShare?: number): { readonly holds: Holds; readonly store: MoodyStore };
  decide(reviewId: string, reviewer: string, resolution: Resolution): Promise<unknown>;
}

function place(t: Test): Place {
  const dir = mkdtempSync(join(tmpdir(), 'weir-waits-'));
  const database = openSqliteDatabase(join(dir, 'weir.db'));
  t.teardown(async () => { await database.close(); rmSync(dir, { recursive: true, force: true }); });
  const time = new Time();
  const reviews = new SqlReviewStore(database);
  return {
    time, reviews,
    process: ({ most = 100, ofTenant = most } = {}, doubleBlindShare = 0) => {
      const store = new MoodyStore(new SqlHoldStore(database));
      return { store, holds: new Holds({ store, intake: (wanted, nowMs) => heldIntake(wanted, nowMs, { ...settings, doubleBlindShare }, () => undefined), limits: () => ({ most, ofTenant }), key: Buffer.alloc(32, 2), clock: time.clock, after: time.after }) };
    },
    decide: async (reviewId, reviewer, resolution) => {
      const now = new Date(time.nowMs).toISOString();
      const claim = await reviews.claim(reviewId, { id: reviewer }, now, new Date(time.nowMs + 600_000).toISOString());
      if (typeof claim === 'string') return claim;
      return reviews.decide(reviewId, claim.fence, { reviewer_id: reviewer, resolution, categories: [], notes: '', created_at: now }, standingOf);
    },
  };
}

const wanted = (requestId: string, more: Partial<WantedHold> = {}): WantedHold => ({ requestId, tenantId: 'acme', direction: 'input', policy: 'p@1', rules: ['r'], results: [], hold: { forMs: 10_000, then: 'block' }, ...more });

/** A wait with the time of its end. */
function waiting(time: Time, promise: Promise<HoldEnd>): { end?: HoldEnd; atMs?: number; ends: number } {
  const one: { end?: HoldEnd; atMs?: number; ends: number } = { ends: 0 };
  void promise.then((end) => { one.end = end; one.atMs = time.nowMs; one.ends += 1; });
  return one;
}

const never = (): AbortSignal => new AbortController().signal;

t.test('a message lets a wait end at once; without one it takes a look', async (t) => {
  const { time, process, decide } = place(t);
  const { holds } = process();
  const [first, second] = [waiting(time, holds.wait(wanted('a'), never())), waiting(time, holds.wait(wanted('b'), never()))];
  await time.to(EPOCH_MS + 100);
  await decide('rev_a.input', 'ana', 'allow');
  holds.heard('rev_other.input');
  await turn();
  t.equal(first.end, undefined, 'of another item');
  holds.heard('rev_a.input');
  await time.to(EPOCH_MS + 101);
  t.match(first, { end: { endedBy: 'verdict', resolution: 'allow', reviewId: 'rev_a.input' }, ends: 1 });
  await decide('rev_b.input', 'ana', 'block');
  await time.to(EPOCH_MS + 101 + POLL_MS);
  t.match(second, { end: { endedBy: 'verdict', resolution: 'block' } });
  const third = waiting(time, holds.wait(wanted('c'), never()));
  await time.to(EPOCH_MS + 2_000);
  await decide('rev_c.input', 'ana', 'escalate_legal');
  holds.heard();
  holds.heard();
  await time.to(EPOCH_MS + 2_001);
  t.match(third, { end: { endedBy: 'verdict', resolution: 'escalate_legal' } }, 'it hears again, and may have missed some');
});

t.test('as many as may wait, in all and of a tenant, and not one more', async (t) => {
  const { time, process } = place(t);
  const { holds } = process({ most: 3, ofTenant: 2 });
  const waits = ['a', 'b'].map((id) => waiting(time, holds.wait(wanted(id), never())));
  await time.to(EPOCH_MS + 10);
  t.match(await holds.wait(wanted('c'), never()), { endedBy: 'too_many', reviewId: undefined }, 'of the tenant');
  const other = waiting(time, holds.wait(wanted('d', { tenantId: 'other' }), never()));
  await time.to(EPOCH_MS + 20);
  t.same(waits.map(({ end }) => end), [undefined, undefined], 'just within');
  t.match(await holds.wait(wanted('e', { tenantId: 'third' }), never()), { endedBy: 'too_many' }, 'in all');
  await time.to(EPOCH_MS + 11_000);
  t.match([...waits, other].map(({ end }) => end?.endedBy), ['timeout', 'timeout', 'timeout']);
  const next = waiting(time, holds.wait(wanted('f'), never()));
  await time.to(EPOCH_MS + 11_010);
  t.equal(next.end, undefined, 'places are free again');
  t.match(await process({ most: 0 }).holds.wait(wanted('g'), never()), { endedBy: 'too_many' });
});

t.test('a store that fails, hangs, or does and does not say so, before a wait and at its end', async (t) => {
  for (const mood of ['fails', 'hangs', 'after'] as const) {
    const { time, process, reviews } = place(t);
    const { holds, store } = process();
    store.mood = mood;
    const first = waiting(time, holds.wait(wanted('a'), never()));
    await time.to(EPOCH_MS + STORE_MS);
    t.match(first, { end: { endedBy: 'no_store', reviewId: undefined } }, mood);
    store.mood = 'well';
    const startMs = time.nowMs;
    const second = waiting(time, holds.wait(wanted('b'), never()));
    await time.to(startMs + 5_000);
    store.mood = mood;
    await time.to(startMs + 10_000 + STORE_MS);
    t.match(second, { end: { endedBy: 'timeout', reviewId: 'rev_b.input' }, ends: 1 }, mood);
    t.ok(second.atMs! >= startMs + 10_000 && second.atMs! <= startMs + 10_000 + STORE_MS);
    t.ok(mood === 'after' || (await reviews.item('rev_b.input'))?.hold_outcome === null, 'a verdict from then on is too late all the same');
  }
});

t.test('an item that was stored too late does not look waited for', async (t) => {
  const { time, process, reviews } = place(t);
  const { holds, store } = process();
  const gate = Promise.withResolvers<void>();
  const open = store.open;
  store.open = async (hold) => { await gate.promise; return open(hold); };
  const slow = waiting(time, holds.wait(wanted('a'), never()));
  await time.to(EPOCH_MS + STORE_MS);
  t.match(slow, { end: { endedBy: 'no_store' } });
  gate.resolve();
  await time.to(EPOCH_MS + STORE_MS + 10);
  t.match(await reviews.item('rev_a.input'), { hold_outcome: 'no_store' });
});

t.test('the process stops, or the client has left before it began', async (t) => {
  const { time, process, reviews } = place(t);
  const { holds } = process();
  const first = waiting(time, holds.wait(wanted('a'), never()));
  const gone = waiting(time, holds.wait(wanted('b'), AbortSignal.abort(new Error('left'))));
  const drained = waiting(time, holds.wait(wanted('c'), AbortSignal.abort(new WeirError('draining'))));
  await time.to(EPOCH_MS + 10);
  t.match([gone.end?.endedBy, drained.end?.endedBy, first.end], ['client_left', 'draining', undefined]);
  holds.close();
  await time.to(EPOCH_MS + 20);
  t.match(first, { end: { endedBy: 'draining' } });
  t.same(await Promise.all(['a', 'b', 'c'].map(async (id) => (await reviews.item(`rev_${id}.input`))?.hold_outcome)), ['draining', 'client_left', 'draining']);
});

t.test(`model: ${runs(1_000)} schedules`, async (t) => {
  const { time, process, reviews, decide } = place(t);
  const random = randomOf(seed);
  const upTo = (n: number): number => Math.floor(random() * n);
  const pick = <T>(of: readonly T[]): T => of[upTo(of.length)]!;
  const ended: Record<string, number> = {};
  let [joined, crashed, faulty] = [0, 0, 0];
  for (let schedule = 0; schedule < runs(1_000); schedule++) {
    const startMs = time.nowMs;
    const doubleBlind = random() < 0.2;
    const processes = [process({}, doubleBlind ? 1 : 0), process({}, doubleBlind ? 1 : 0)];
    const alive = [true, true];
    const forMs = pick([300, 1_000, 5_000, 20_000]);
    const requests: { readonly id: string; readonly beganMs: number; readonly by: number; readonly leave: AbortController; leftMs?: number; readonly wait: ReturnType<typeof waiting> }[] = [];
    const decisions: { readonly atMs: number; readonly reviewId: string; readonly outcome: HoldOutcome | null }[] = [];
    const acts: { readonly atMs: number; readonly act: () => Promise<void> | void }[] = [];
    const when = (): number => startMs + upTo(forMs * 1.6);
    const isFaulty = random() < 0.4;
    for (let i = 1 + upTo(3); i > 0; i--) {
      const id = `s${schedule}-${i}`;
      acts.push({ atMs: startMs + upTo(forMs / 2), act: () => {
        const by = upTo(2);
        if (!alive[by]) return;
        const leave = new AbortController();
        requests.push({ id, beganMs: time.nowMs, by, leave, wait: waiting(time, processes[by]!.holds.wait(wanted(id, { hold: { forMs, then: 'block' }, digest: `${schedule} ${upTo(2)}` }), leave.signal)) });
      } });
    }
    for (let i = upTo(4); i > 0; i--) acts.push({ atMs: when(), act: async () => {
      const [item] = (await reviews.items({ limit: 20 })).filter(({ request_id: request, status }) => request.startsWith(`s${schedule}-`) && status !== 'resolved');
      if (item === undefined) return;
      await decide(item.review_id, pick(['ana', 'bob', 'cleo']), pick(['allow', 'allow', 'block', 'escalate_legal']));
      decisions.push({ atMs: time.nowMs, reviewId: item.review_id, outcome: (await reviews.item(item.review_id))!.hold_outcome });
      if (random() < 0.7) for (const [i, { holds }] of processes.entries()) if (alive[i]) holds.heard(item.review_id);
    } });
    for (let i = upTo(2); i > 0; i--) acts.push({ atMs: when(), act: () => {
      const request = pick(requests);
      if (request === undefined || request.wait.end !== undefined) return;
      request.leftMs = time.nowMs;
      request.leave.abort(new Error('left'));
    } });
    if (isFaulty) for (let i = 1 + upTo(3); i > 0; i--) acts.push({ atMs: when(), act: () => { pick(processes).store.mood = pick(['well', 'fails', 'hangs', 'after']); } });
    if (random() < 0.15) acts.push({ atMs: when(), act: () => { alive[upTo(2)] = false; } });
    for (const { atMs, act } of acts.sort((a, b) => a.atMs - b.atMs)) {
      await time.to(atMs);
      await act();
      await turn();
    }
    await time.to(startMs + forMs * 3 + 5_000);
    const told = (what: string): string => `${what} (seed ${seed}, schedule ${schedule})`;
    faulty += isFaulty ? 1 : 0;
    for (const { id, beganMs, by, wait, leftMs } of requests) {
      if (!alive[by]) { crashed += 1; continue; }
      const { end, atMs = 0, ends } = wait;
      if (end === undefined || ends !== 1) { t.fail(told(`${id} ended ${ends} times`)); continue; }
      ended[end.endedBy] = (ended[end.endedBy] ?? 0) + 1;
      if (end.reviewId !== undefined && end.reviewId !== `rev_${id}.input`) joined += 1;
      if (atMs > beganMs + forMs + STORE_MS + 1) t.fail(told(`${id} waited ${atMs - beganMs} ms of ${forMs}`));
      const item = end.reviewId === undefined ? undefined : await reviews.item(end.reviewId);
      if (end.reviewId !== undefined && item === undefined) t.fail(told(`${id} waited for an item that is not there`));
      if (leftMs !== undefined && end.endedBy !== 'client_left' && end.endedBy !== 'no_store' && !(atMs <= leftMs + STORE_MS)) t.fail(told(`${id} goes on without its client`));
      if (end.endedBy === 'verdict') {
        const said = decisions.some(({ reviewId, atMs: saidMs }) => reviewId === end.reviewId && saidMs <= atMs);
        const [stops, all] = [(await reviews.verdicts(end.reviewId!)).map(({ resolution }) => resolution), item!.resolution];
        if (!said || !stops.includes(end.resolution!)) t.fail(told(`${id} was let go by nobody`));
        if (end.resolution === 'allow' && doubleBlind && stops.filter((one) => one === 'allow').length < 2) t.fail(told(`${id} was let go by one of two (${all})`));
      }
      if (end.endedBy === 'timeout') {
        if (atMs < Math.min(beganMs + forMs, Date.parse(item!.hold_until!))) t.fail(told(`${id} did not wait long enough`));
        // A verdict that the store took in time counts, wherever the store could be asked.
        if (!isFaulty && item!.hold_outcome !== 'timeout') t.fail(told(`${id} timed out, and the store says ${item!.hold_outcome}`));
      }
      if (!isFaulty && end.endedBy === 'no_store') t.fail(told(`${id} found no store`));
      if (!isFaulty && end.endedBy === 'verdict' && leftMs === undefined) {
        const first = decisions.find(({ reviewId, outcome }) => reviewId === end.reviewId && outcome === end.resolution);
        if (first !== undefined && atMs > Math.max(beganMs, first.atMs) + POLL_MS + 1) t.fail(told(`${id} was told ${atMs - first.atMs} ms after the verdict`));
      }
    }
    for (const { holds } of processes) holds.close();
  }
  t.comment(`${JSON.stringify(ended)}, ${joined} joined another's item, ${crashed} crashed, ${faulty} schedules with faults`);
  for (const endedBy of ['verdict', 'timeout', 'client_left', 'no_store']) t.ok(ended[endedBy]! > 0, endedBy);
  t.ok(joined > 0 && crashed > 0);
});
