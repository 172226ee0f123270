/** What escalated decisions become in the queue. */
import t from 'tap';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { intakeOf, type IntakeSettings } from '../../src/review/intake.ts';

const settings: IntakeSettings = { deadlinesMs: { low: 4_000, medium: 3_000, high: 2_000, critical: 1_000 }, doubleBlindShare: 0, drawKey: Buffer.alloc(32, 1), escalateAfterMs: 600, steps: 2 };
const policy = requirePolicy('policy: p\nrules:\n  - { id: calm, when: { score: a.b, gte: 0.5 }, action: escalate, severity: low }\n  - { id: loud, when: { score: a.b, gte: 0.9 }, action: escalate, severity: critical }\n  - { id: high, when: { score: a.b, gte: 0.9 }, action: escalate, severity: high }\n  - { id: mute, when: { score: a.b, gte: 0.9 }, action: escalate }\n', 'p.yaml');
const decision = (action: DecisionRecord['action'], ...triggered_rules: readonly string[]): DecisionRecord => ({ action, triggered_rules, classifier_results: [{ classifier_id: 'a', category: 'b', score: 0.9, count: 3 }, { classifier_id: 'a', category: 'c', unknown: 'timeout', count: 1 }], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 1 });
const record = (more: Partial<ExchangeRecord>): ExchangeRecord => ({
  kind: 'exchange', request_id: 'r1', tenant_id: 'acme', policy: 'p@1', method: 'POST', route: '/v1/chat/completions', stream: false, outcome: 'completed', status: 200, held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 500, ...more,
});
const intake = (more: Partial<ExchangeRecord>, own: Partial<IntakeSettings> = {}) => intakeOf(record(more), { ...settings, ...own }, (name) => (name === 'p@1' ? policy : undefined));

t.test('only what was escalated, each direction by itself, with what the log knows', async (t) => {
  t.same(intake({ input: decision('block', 'calm'), output: decision('allow') }), []);
  const [first, second, ...more] = intake({ input: decision('escalate', 'calm'), output: decision('escalate', 'mute') });
  t.same(more, []);
  t.same(first!.item, {
    review_id: 'rev_r1.input', request_id: 'r1', tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'low', policy: 'p@1', triggered_rules: ['calm'], classifier_results: [{ classifier_id: 'a', category: 'b', score: 0.9 }, { classifier_id: 'a', category: 'c', unknown: 'timeout' }],
    action: 'escalate', double_blind: false, created_at: '2030-01-01T00:00:00.500Z', due_at: '2030-01-01T00:00:04.500Z', hold_until: null, hold_then: null,
  });
  t.match(second!.item, { review_id: 'rev_r1.output', severity: 'medium' });
  t.same([first!.pages, second!.pages], [[], []]);
});

t.test('what was found after the fact comes in, too, and once', async (t) => {
  const late = { ...decision('escalate', 'loud'), direction: 'output', acted: [] } as unknown as NonNullable<ExchangeRecord['late']>;
  t.match(intake({ input: decision('allow'), output: decision('allow'), late }), [{ item: { review_id: 'rev_r1.output', severity: 'critical' } }]);
  t.match(intake({ output: decision('escalate', 'calm'), late }), [{ item: { severity: 'low' } }]);
});

t.test('the most severe rule counts; a policy that is gone is medium', async (t) => {
  t.equal(intake({ input: decision('escalate', 'calm', 'loud', 'high') })[0]!.item.severity, 'critical');
  t.equal(intake({ input: decision('escalate', 'loud'), policy: 'p@2' })[0]!.item.severity, 'medium');
});

t.test('critical pages at once and is decided by two; high when half of its time is over', async (t) => {
  const [critical] = intake({ input: decision('escalate', 'loud') });
  t.equal(critical!.item.double_blind, true);
  t.same(critical!.pages.map(({ step, due_at }) => [step, due_at.slice(17)]), [[0, '00.500Z'], [1, '01.100Z']]);
  t.same(intake({ input: decision('escalate', 'high') })[0]!.pages.map(({ step, due_at }) => [step, due_at.slice(17)]), [[1, '01.500Z'], [2, '02.100Z']], 'and not where somebody has it');
  t.same(intake({ input: decision('escalate', 'loud') }, { steps: 0 })[0]!.pages, []);
});

t.test('about the share that is asked for is decided by two, always the same items', async (t) => {
  const drawn = (share: number): readonly boolean[] => Array.from({ length: 2_000 }, (_, i) => intake({ request_id: `r${i}`, input: decision('escalate', 'calm') }, { doubleBlindShare: share })[0]!.item.double_blind);
  const some = drawn(0.1);
  const count = some.filter(Boolean).length;
  t.ok(count > 140 && count < 260, String(count));
  t.same(drawn(0.1), some);
  t.ok(drawn(0.5).every((is, i) => is || !some[i]), 'a greater share holds the smaller');
  t.ok(drawn(1).every(Boolean));
});
