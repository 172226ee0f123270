/** What is drawn for people: near misses and a share of everything, by nobody's choice, and at least so many a week. */
import fc from 'fast-check';
import t from 'tap';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { drawnOf, sampleShareAt, WEEK_MS, weekOf, type DrawSettings } from '../../src/review/drawn.ts';
import { ASK_MS, SampledOfWeek } from '../../src/review/sampled.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';
import { until } from '../helpers/upstream.ts';

const settings: DrawSettings = { deadlinesMs: { low: 4_000, medium: 3_000, high: 2_000, critical: 1_000 }, doubleBlindShare: 0, drawKey: Buffer.alloc(32, 1), escalateAfterMs: 600, steps: 2, sampleShare: 0 };
const uncertain = { below: 0.1, above: 0.05, share: 1 };
const policy = requirePolicy('policy: p\nrules:\n  - { id: bad, priority: 1, when: { score: a.b, gte: 0.8 }, action: block }\n  - { id: ask, priority: 2, when: { score: a.b, gte: 0.6 }, action: escalate, severity: critical }\n', 'p.yaml');
const decision = (action: DecisionRecord['action'], score: number, ...triggered_rules: readonly string[]): DecisionRecord => ({ action, triggered_rules, classifier_results: [{ classifier_id: 'a', category: 'b', score, count: 1 }], coverage: { screened: ['x'], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 1, facts: { classifiers: ['a'], content_types: ['text'] } });
const record = (more: Partial<ExchangeRecord>): ExchangeRecord => ({
  kind: 'exchange', request_id: 'r1', tenant_id: 'acme', policy: 'p@1', method: 'POST', route: '/v1/chat/completions', stream: false, outcome: 'completed', status: 200, held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 500, ...more,
});
const drawn = (more: Partial<ExchangeRecord>, own: Partial<DrawSettings> = {}) => drawnOf(record(more), { ...settings, ...own }, (name) => (name === 'p@1' ? policy : undefined)).map(({ item }) => item);
const kept = { input: 'a'.repeat(64), output: 'b'.repeat(64) };

t.test('a near miss is an item, one of both directions each, and nobody is called for it', async (t) => {
  t.same(drawn({ input: decision('allow', 0.75), output: decision('block', 0.81, 'bad') }), [], 'unless it is asked for');
  t.match(drawn({ input: decision('allow', 0.75), output: decision('block', 0.81, 'bad') }, { uncertain }), [
    { review_id: 'rev_r1.input', origin: 'uncertain', severity: 'medium', near_rules: ['bad'], triggered_rules: [], action: 'allow', inclusion_probability: 1, double_blind: false },
    { review_id: 'rev_r1.output', origin: 'uncertain', severity: 'medium', near_rules: ['bad'], triggered_rules: ['bad'], action: 'block' },
  ]);
  t.match(drawn({ input: decision('allow', 0.55) }, { uncertain }), [{ near_rules: ['ask'], severity: 'medium', double_blind: false }]);
  t.same(drawn({ input: decision('allow', 0.4) }, { uncertain }), []);
  t.same(drawn({ input: decision('allow', 0.75), policy: 'p@2' }, { uncertain }), [], 'a policy that is gone has no thresholds');
  t.same(drawn({ input: decision('escalate', 0.75, 'ask') }, { uncertain, sampleShare: 1 }), [], 'what was escalated is there anyway');
  t.same(drawn({ input: decision('allow', 0.75) }, { uncertain: { ...uncertain, share: 0 } }), []);
});

t.test('a share of everything, where the text is kept; two people decide it', async (t) => {
  t.same(drawn({ input: decision('allow', 0.1) }, { sampleShare: 1 }), [], 'without a text nobody can check it');
  t.match(drawn({ input: decision('allow', 0.1), output: decision('block', 0.99, 'bad'), content: kept }, { sampleShare: 1 }), [{ origin: 'sample', severity: 'low', double_blind: true, action: 'allow', inclusion_probability: 1 }, { origin: 'sample', action: 'block' }]);
  t.same(drawn({ input: { ...decision('allow', 0.1), coverage: { screened: [], exempt: [], opaque: [], nothing_to_screen: true } }, content: kept }, { sampleShare: 1 }), []);
  t.match(drawn({ input: decision('allow', 0.75), content: kept }, { uncertain, sampleShare: 1 }), [{ origin: 'uncertain' }], 'once, for the better reason');
});

t.test('who is drawn is as many as asked for, the same each time, and another set by another key', async (t) => {
  const those = (share: number, own: Partial<DrawSettings> = {}): readonly number[] => Array.from({ length: 4_000 }, (_, i) => i).filter((i) => drawn({ request_id: `r${i}`, input: decision('allow', 0.1), content: kept }, { sampleShare: share, ...own }).length === 1);
  const some = those(0.1);
  t.ok(some.length > 310 && some.length < 490, String(some.length));
  t.same(those(0.1), some);
  const other = those(0.1, { drawKey: Buffer.alloc(32, 2) });
  t.ok(other.filter((i) => some.includes(i)).length < 90, 'what one key draws tells nothing of the next');
  const near = Array.from({ length: 4_000 }, (_, i) => i).filter((i) => drawn({ request_id: `r${i}`, input: decision('allow', 0.75) }, { uncertain: { ...uncertain, share: 0.1 } }).length === 1);
  t.ok(near.filter((i) => some.includes(i)).length < 90, 'nor does one draw of the other');
});

t.test('the least of a week: reached where there is traffic, whenever it comes, and not much exceeded', async (t) => {
  t.equal(new Date(weekOf(Date.UTC(2030, 0, 2, 5))).toISOString(), '2029-12-31T00:00:00.000Z', 'a Monday');
  t.equal(weekOf(Date.UTC(2029, 11, 31)), Date.UTC(2029, 11, 31));
  const monday = Date.UTC(2029, 11, 31);
  t.equal(sampleShareAt(monday, 0, { share: 0.01, weekMin: 50 }), 0.01, 'nothing is asked for yet');
  t.equal(sampleShareAt(monday + WEEK_MS - 1, 49, { share: 0.01, weekMin: 50 }), 0.1);
  t.equal(sampleShareAt(monday + WEEK_MS - 1, 0, { share: 0.01, weekMin: 50 }), 1);
  t.equal(sampleShareAt(monday + WEEK_MS - 1, Infinity, { share: 0.01, weekMin: 50 }), 0.01, 'an unknown number asks for no more');
  const week = (times: readonly number[], random: () => number): number => times.reduce((taken, at) => taken + (random() < sampleShareAt(monday + at * WEEK_MS, taken, { share: 0, weekMin: 50 }) ? 1 : 0), 0);
  const random = randomOf(seed);
  for (const [name, count, place] of [['all week', 20_000, (x: number) => x], ['few', 300, (x: number) => x], ['at its end', 300, (x: number) => 0.9 + x / 10], ['office hours', 5_000, (x: number) => (Math.floor(x * 5) + 0.4 + 0.3 * ((x * 5) % 1)) / 7]] as const) {
    const taken = week(Array.from({ length: count }, (_, i) => place(i / count)), random);
    t.ok(taken >= 47 && taken <= 52, `${name}: ${taken} of ${count}`);
  }
  t.ok(week([0.1, 0.5, 0.9], random) <= 3);
});

t.test('property: never more than certain, never less than the share', async () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 4e12 }), fc.nat(200), fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(100), (now, taken, share, weekMin) => {
    const p = sampleShareAt(now, taken, { share, weekMin });
    return p >= share && p <= 1 && (taken < weekMin || p === share);
  }), { numRuns: runs(300), seed });
});

t.test('the number of the week is asked for once in a while, and is unknown until it is there', async (t) => {
  let [asked, stored, fails] = [0, 7, true];
  const since: string[] = [];
  const sampled = new SampledOfWeek({ total: async (name, hour) => {
    asked++;
    since.push(`${name} ${hour}`);
    if (fails) throw new Error('no store');
    return stored;
  } });
  const monday = Date.UTC(2029, 11, 31);
  t.equal(sampled.count(monday + 1), Infinity);
  for (let i = 0; i < 100; i++) t.equal(sampled.count(monday + 2), Infinity);
  t.equal(asked, 1, 'a store that does not answer is not asked for each exchange');
  fails = false;
  t.equal(sampled.count(monday + 2 + ASK_MS), Infinity);
  await until(() => sampled.count(monday + 3 + ASK_MS) === 7, 20_000, 'the number');
  sampled.drew();
  t.equal(sampled.count(monday + 4 + ASK_MS), 8);
  stored = 9;
  sampled.count(monday + 5 + 2 * ASK_MS);
  await until(() => sampled.count(monday + 5 + 2 * ASK_MS) === 9, 20_000, 'what others drew');
  t.equal(sampled.count(monday + WEEK_MS), Infinity, 'a new week');
  await until(() => sampled.count(monday + WEEK_MS) === 9, 20_000, 'its number');
  t.equal(since.at(-1), 'sample 2030-01-07T00:00:00.000Z');
  t.equal(asked, 4);
});
