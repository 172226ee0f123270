/** What a shadow and a canary came to, told from records: each decision once, on the right side, with an interval that holds. */
import fc from 'fast-check';
import t from 'tap';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import { ACTION_WEIGHT, ACTIONS, type Action } from '../../src/contract/screening.ts';
import { BesideTally, PAIRS_MAX, shareOf } from '../../src/policy/beside.ts';
import { parsePolicy } from '../../src/policy/parse.ts';

const policyOf = (id: string) => parsePolicy(`policy: ${id}\nrules: []\n`, id, []).policy!;
const [ACME, OTHER] = [policyOf('acme'), policyOf('other')];

function decision(action: Action, shadow?: { readonly policy: string; readonly action: Action }): DecisionRecord {
  return { action, triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 1, facts: { classifiers: [], content_types: ['text'] }, ...(shadow === undefined ? {} : { shadow: { ...shadow, triggered_rules: ['theirs'], degraded: [] } }) };
}

function record(policy: string, input: DecisionRecord | undefined, output?: DecisionRecord, more: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return { kind: 'exchange', request_id: 'req', tenant_id: 'acme', policy, method: 'POST', route: '/v1/chat/completions', stream: false, outcome: 'completed', status: 200, ...(input && { input }), ...(output && { output }), held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 1, ...more };
}

const tallyOf = (records: readonly ExchangeRecord[], canary?: { readonly policy: typeof OTHER; readonly share: number }) => {
  const tally = new BesideTally({ policy: ACME, isUnder: (tenant) => tenant === 'acme', failModeOf: () => 'closed', canary });
  const taken = records.map((one) => tally.add(one));
  return { taken, ...tally.result() };
};

t.test('each decision with a shadow is compared once, by revision, and what differs has its exchange', async (t) => {
  const shadow = { policy: 'stricter@2', action: 'block' as const };
  const found = tallyOf([
    record('acme@3', decision('allow', shadow), decision('redact', { policy: 'stricter@2', action: 'redact' }), { request_id: 'r1' }), record('acme@3', decision('block', shadow)), record('acme@2', decision('allow', { policy: 'stricter@1', action: 'allow' })),
    record('acme@3', decision('allow')), record('acme.b@3', decision('allow', shadow)), record('acme@3', decision('allow', shadow), undefined, { tenant_id: 'bravo' }), record('other@1', decision('allow', shadow)),
  ]);
  t.same(found.taken, [true, true, true, true, false, false, false]);
  t.match(found.shadow, [{ policy: 'acme@3', shadow: 'stricter@2', decisions: 3, same: 2 }, { policy: 'acme@2', shadow: 'stricter@1', decisions: 1, same: 1 }]);
  t.same(found.shadow[0]!.actions.map(({ action, shadow_action: other, count, examples }) => [action, other, count, examples.map(({ request_id: id, direction, shadow_rules: rules }) => [id, direction, rules])]), [['allow', 'block', 1, [['r1', 'input', ['theirs']]]], ['redact', 'redact', 1, []], ['block', 'block', 1, []]]);
  t.same([found.exchanges, found.canary], [4, null]);
});

t.test('a pair is told with its first and last time, whatever the order, and few examples', async (t) => {
  const days = ['2030-01-05', '2030-01-07', '2030-01-02', '2030-01-06'].map((day) => `${day}T00:00:00.000Z`);
  const found = tallyOf([...days, ...days].map((time) => record('acme@1', decision('allow', { policy: 'other@1', action: 'block' }), undefined, { started_at: time })));
  t.match(found.shadow, [{ first: days[2], last: days[1], decisions: 8, same: 0 }]);
  t.same([found.shadow[0]!.actions[0]!.count, found.shadow[0]!.actions[0]!.examples.length], [8, 5]);
  t.equal(tallyOf([{ ...record('', undefined), policy: undefined }]).exchanges, 0, 'where nothing decided');
});

t.test('of many revisions the newest are told', async (t) => {
  const pairs = (count: number) => tallyOf(Array.from({ length: count }, (_, i) => record(`acme@${count - i}`, decision('allow', { policy: 'other@1', action: 'allow' })))).shadow.map(({ policy }) => policy);
  t.equal(pairs(PAIRS_MAX).length, PAIRS_MAX);
  t.same(pairs(PAIRS_MAX + 3), Array.from({ length: PAIRS_MAX }, (_, i) => `acme@${PAIRS_MAX + 3 - i}`));
});

t.test('the two sides of a canary are the exchanges of either, each counted by what did most', async () => {
  const action = fc.constantFrom(...ACTIONS);
  fc.assert(fc.property(fc.array(fc.record({ policy: fc.constantFrom('acme@1', 'acme@2', 'other@9', 'third@1'), input: action, output: fc.option(action, { nil: undefined }) })), (made) => {
    const { canary } = tallyOf(made.map(({ policy, input, output }) => record(policy, decision(input), output && decision(output))), { policy: OTHER, share: 0.05 });
    const most = (of: RegExp): Map<Action, number> => {
      const counts = new Map<Action, number>();
      for (const { policy, input, output } of made) {
        if (!of.test(policy)) continue;
        const strongest = output === undefined || ACTION_WEIGHT[input] >= ACTION_WEIGHT[output] ? input : output;
        counts.set(strongest, (counts.get(strongest) ?? 0) + 1);
      }
      return counts;
    };
    return ([['own', /^acme@/], ['canary', /^other@/]] as const).every(([side, of]) => {
      const [counts, told] = [most(of), canary![side]];
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      // Actions of equal weight count as the one that came first.
      return told.exchanges === total && told.actions.reduce((sum, { count }) => sum + count, 0) === total && told.acted.count === total - (told.actions.find(({ action: one }) => one === 'allow')?.count ?? 0)
        && told.actions.every(({ action: one, count }) => ACTION_WEIGHT[one] === 0 || count <= total) && (counts.get('block') ?? 0) === (told.actions.find(({ action: one }) => one === 'block')?.count ?? 0);
    }) && canary!.configured_share === 0.05;
  }), { numRuns: 300 });
});

t.test('a share has Wilson\'s interval', async (t) => {
  const near = (given: { readonly low: number; readonly high: number }, low: number, high: number): boolean => Math.abs(given.low - low) < 5e-4 && Math.abs(given.high - high) < 5e-4;
  t.ok(near(shareOf(10, 100), 0.0552, 0.1744));
  t.ok(near(shareOf(0, 10), 0, 0.2775));
  t.ok(near(shareOf(10, 10), 0.7225, 1));
  t.same(shareOf(0, 0), { count: 0, share: 0, low: 0, high: 1 });
  fc.assert(fc.property(fc.nat(1_000), fc.nat(1_000), (count, more) => {
    const { share, low, high } = shareOf(count, count + more);
    return count + more === 0 || (low >= 0 && low <= share && share <= high && high <= 1 && high - low < 1);
  }));
});
