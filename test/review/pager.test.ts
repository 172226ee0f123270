/**
 * Pages reach who is on call: seventy random schedules of crashes before and after sending, refusals, silence and several
 * processes, on an injected clock over a real store (`npm run test:long`: a thousand); and what PagerDuty is told.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { CHANNELS, type HealthChanged } from '../../src/contract/channels.ts';
import { CLAIM_MS, Pager, pagerDutyEvent, sentOf, type Sent } from '../../src/review/pager.ts';
import { standingOf } from '../../src/review/stage.ts';
import { SqlPageStore, type DuePage, type PageStore } from '../../src/store/pages.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { SqlReviewStore, type Claim } from '../../src/store/reviews.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

t.setTimeout(300_000);

const START = Date.UTC(2030, 0, 1);
const iso = (ms: number): string => new Date(ms).toISOString();

function sqlite(t: Test): StoreDatabase {
  const dir = mkdtempSync(join(tmpdir(), 'weir-pager-'));
  const database = openSqliteDatabase(join(dir, 'weir.db'));
  t.teardown(async () => {
    await database.close();
    rmSync(dir, { recursive: true, force: true });
  });
  return database;
}

function addItem(store: SqlReviewStore, id: string, nowMs: number, escalateMs?: number): Promise<boolean> {
  const pages = [{ step: 0, kind: 'trigger' as const, due_at: iso(nowMs) }, ...(escalateMs === undefined ? [] : [{ step: 1, kind: 'trigger' as const, due_at: iso(nowMs + escalateMs) }])];
  return store.add({
    review_id: id, request_id: id, tenant_id: 'acme', direction: 'output', origin: 'escalate', severity: 'critical', policy: 'p@1', triggered_rules: ['threat'], classifier_results: [], action: 'escalate', double_blind: false,
    created_at: iso(nowMs), due_at: iso(nowMs + 300_000), hold_until: null, hold_then: null,
  }, pages);
}

async function decide(store: SqlReviewStore, id: string, nowMs: number): Promise<void> {
  const claim = await store.claim(id, { id: 'ana' }, iso(nowMs), iso(nowMs + 60_000)) as Claim;
  await store.decide(id, claim.fence, { reviewer_id: 'ana', resolution: 'block', categories: [], notes: '', created_at: iso(nowMs) }, standingOf);
}

/** What a receiver makes of pages: one alarm for each key. */
class Receiver {
  readonly alarms = new Map<string, { openedMs: number; opened: number; isOpen: boolean; steps: Set<number> }>();

  take({ review_id: id, kind, step }: DuePage, nowMs: number): void {
    const alarm = this.alarms.get(id) ?? { openedMs: nowMs, opened: 0, isOpen: false, steps: new Set() };
    if (kind === 'trigger') {
      if (!alarm.isOpen) alarm.opened++;
      alarm.isOpen = true;
      alarm.steps.add(step);
    } else if (!this.alarms.has(id)) return;
    else alarm.isOpen = false;
    this.alarms.set(id, alarm);
  }
}

/** A store whose process has died: it answers nobody any more. */
function mortal(store: PageStore, life: { isOver: boolean }): PageStore {
  return new Proxy(store, { get: (target, name) => (...given: readonly never[]) => (life.isOver ? Promise.reject(new Error('dead')) : (target[name as keyof PageStore] as (...args: readonly never[]) => Promise<unknown>).apply(target, [...given])) });
}

const FATES = ['taken', 'taken', '429', '500', 'silence', 'silence after taking', 'dies before', 'dies after'] as const;

async function schedule(database: StoreDatabase, id: string, startMs: number, random: () => number): Promise<string | undefined> {
  const [reviews, pages, receiver] = [new SqlReviewStore(database), new SqlPageStore(database), new Receiver()];
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  let nowMs = startMs;
  /** The receiver and the machines are ill at most so long. */
  const illUntil = startMs + random() * 210_000;
  const decidedMs = random() < 0.7 ? startMs + random() * 500_000 : Infinity;
  await addItem(reviews, id, startMs, random() < 0.5 ? 120_000 : undefined);
  let isDecided = false;
  for (; nowMs < startMs + 700_000; nowMs += 1_000 + random() * 4_000) {
    if (!isDecided && nowMs >= decidedMs) {
      await decide(reviews, id, nowMs);
      isDecided = true;
    }
    const life = { isOver: false };
    const send = async (page: DuePage): Promise<Sent> => {
      const fate = nowMs < illUntil ? pick(FATES) : 'taken';
      if (fate === 'dies before') { life.isOver = true; throw new Error('dead'); }
      if (fate === '429') return sentOf(429, '3');
      if (fate === '500') return sentOf(500, null);
      if (fate === 'silence') throw new Error('timeout');
      receiver.take(page, nowMs);
      if (fate === 'silence after taking') throw new Error('timeout');
      if (fate === 'dies after') life.isOver = true;
      return sentOf(202, null);
    };
    await new Pager({ store: mortal(pages, life), send, clock: () => nowMs, random }).pass().catch(() => undefined);
  }
  const alarm = receiver.alarms.get(id);
  if (alarm === undefined) return decidedMs < startMs + 300_000 ? undefined : 'nobody was paged';
  if (alarm.openedMs - startMs > 300_000) return `paged after ${alarm.openedMs - startMs} ms`;
  if (alarm.opened !== 1) return `${alarm.opened} alarms`;
  if (isDecided && alarm.isOpen) return 'the alarm goes on after the verdict';
  return undefined;
}

t.test('random schedules: each item is paged within five minutes, as one alarm, that ends with the verdict', async (t) => {
  const random = randomOf(seed);
  const database = sqlite(t);
  const faults: string[] = [];
  for (let i = 0; i < runs(70); i++) {
    const fault = await schedule(database, `rev_${i}`, START + i * 3_600_000, random);
    if (fault !== undefined) faults.push(`${i}: ${fault}`);
  }
  t.same(faults, [], `seed ${seed}`);
});

t.test('the same over Postgres', { skip: POSTGRES_MISSING }, async (t) => {
  const database = new PostgresDatabase(await openPostgresSchema(t));
  t.teardown(() => database.close());
  const random = randomOf(seed);
  for (let i = 0; i < Math.min(20, runs(6)); i++) t.equal(await schedule(database, `rev_${i}`, START + i * 3_600_000, random), undefined, `seed ${seed}`);
});

t.test('who does not answer is followed by the next; who has taken the item is not', async (t) => {
  const database = sqlite(t);
  const [reviews, pages, receiver] = [new SqlReviewStore(database), new SqlPageStore(database), new Receiver()];
  let nowMs = START;
  const pager = new Pager({ store: pages, send: async (page) => (receiver.take(page, nowMs), sentOf(202, null)), clock: () => nowMs });
  await addItem(reviews, 'rev_a', nowMs, 120_000);
  await addItem(reviews, 'rev_b', nowMs, 120_000);
  t.equal(await pager.pass(), 2);
  t.equal(await pager.pass(), 0, 'once');
  await reviews.claim('rev_b', { id: 'ana' }, iso(nowMs), iso(nowMs + 600_000));
  nowMs += 120_000;
  t.equal(await pager.pass(), 1);
  t.same([[...receiver.alarms.get('rev_a')!.steps], [...receiver.alarms.get('rev_b')!.steps]], [[0, 1], [0]]);
});

t.test('two processes at once page once; what one has and does not send is the other\'s in time', async (t) => {
  const database = sqlite(t);
  const [reviews, pages] = [new SqlReviewStore(database), new SqlPageStore(database)];
  await addItem(reviews, 'rev_a', START);
  const claims = await Promise.all([pages, pages].map((store) => store.claimDue(iso(START), iso(START + CLAIM_MS), 20)));
  t.same(claims.map(({ length }) => length).sort(), [0, 1]);
  t.equal((await pages.claimDue(iso(START + CLAIM_MS), iso(START + 2 * CLAIM_MS), 20)).length, 1);
});

t.test('faults are told, a heartbeat only where there is none, and a refusal is not repeated', async (t) => {
  const database = sqlite(t);
  const [reviews, pages] = [new SqlReviewStore(database), new SqlPageStore(database)];
  const told: HealthChanged[] = [];
  const note = (message: unknown): void => void told.push(message as HealthChanged);
  CHANNELS.healthChanged.subscribe(note);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(note));
  let nowMs = START;
  let answer: Sent = sentOf(503, null);
  let beats = 0;
  const pager = new Pager({ store: pages, send: async () => answer, heartbeat: async () => void beats++, clock: () => nowMs });
  await pager.pass();
  t.equal(beats, 1);
  await addItem(reviews, 'rev_a', nowMs);
  await pager.pass();
  t.match(told, [{ part: 'pager', healthy: false, detail: 'answered 503' }]);
  t.equal(beats, 1, 'silence is heard elsewhere');
  nowMs += 3_000;
  answer = sentOf(202, null);
  t.equal(await pager.pass(), 1);
  t.match(told.slice(1), [{ healthy: true }]);
  await addItem(reviews, 'rev_b', nowMs);
  answer = sentOf(400, null);
  await pager.pass();
  t.equal(await pager.pass(), 0);
  t.match(told.slice(2), [{ healthy: false, detail: 'answered 400' }, { healthy: true }]);
});

t.test('PagerDuty is told no content, one key for each item, and each step its own', async (t) => {
  const page: DuePage = { review_id: 'rev_a', step: 0, kind: 'trigger', due_at: iso(START), attempts: 0, tenant_id: 'acme', severity: 'critical', triggered_rules: ['threat'], item_created_at: iso(START), item_due_at: iso(START + 1) };
  t.match(pagerDutyEvent(page, ['first', 'second'], 'weir'), { routing_key: 'first', event_action: 'trigger', dedup_key: 'weir-review-rev_a', payload: { severity: 'critical', source: 'weir', timestamp: iso(START), custom_details: { rules: ['threat'] } } });
  t.match(pagerDutyEvent({ ...page, step: 5 }, ['first', 'second'], 'weir'), { routing_key: 'second', dedup_key: 'weir-review-rev_a' });
  t.same(pagerDutyEvent({ ...page, kind: 'resolve' }, ['first'], 'weir'), { routing_key: 'first', event_action: 'resolve', dedup_key: 'weir-review-rev_a' });
  t.same([sentOf(202, null), sentOf(429, '7'), sentOf(404, null)], [{ end: 'taken' }, { end: 'failed', detail: 'answered 429', retryMs: 7_000 }, { end: 'refused', detail: 'answered 404' }]);
});
