/** Where a campaign stands from counts: one confidence for all intervals, the sequential test where it may be, what a claim would take. */
import t from 'tap';
import { peekingInterval } from '../../src/risk/peeking.ts';
import { claimSize, PLAN_N_MAX } from '../../src/risk/plan.ts';
import { claimNeeds, statusOf, summaryOf } from '../../src/risk/status.ts';
import type { TaskCell } from '../../src/store/annotation-tasks.ts';

const cell = (outcome: TaskCell['outcome'], total: number, more: Partial<TaskCell> = {}): TaskCell => ({ campaign: 'q', tenant_id: 'acme', product: 'p', direction: 'output', modality: 'text', stratum: 's', inclusion_probability: 0.5, automated_filter_result: 'passed', outcome, category: outcome === 'violation' ? 'hate' : '', total, ...more });
const goal = (below: number, confidence: number) => ({ claim: { below_percent: below, confidence_percent: confidence }, precision_percent: undefined });
const random = (): number => 0.5;

t.test('every interval has the confidence of the claim', async (t) => {
  const cells = [cell('safe', 595), cell('violation', 5)];
  for (const percent of [90, 95, 99]) {
    const { confidence, total } = summaryOf(cells, goal(2, percent));
    t.equal(confidence, percent / 100);
    t.same(total.peeking, peekingInterval([{ inclusion_probability: 0.5, labelled: 600, violations: 5 }], { probabilityMin: 0.5, confidence: percent / 100 }));
  }
  const narrow = statusOf('q', cells, [], goal(2, 90), random);
  t.ok(narrow.total.interval.high < statusOf('q', cells, [], goal(2, 99), random).total.interval.high);
});

t.test('a part is looked at with its own least probability', async (t) => {
  const { strata } = statusOf('q', [cell('safe', 95), cell('violation', 5), cell('safe', 50, { stratum: 'rare', inclusion_probability: 0.01 })], [], goal(2, 95), random);
  t.same(strata.find(({ name }) => name === 's')!.peeking, peekingInterval([{ inclusion_probability: 0.5, labelled: 100, violations: 5 }], { probabilityMin: 0.5 }));
});

t.test('the sequential test is there where all were drawn alike, and speaks', async (t) => {
  const sequential = (cells: readonly TaskCell[], confidence = 95) => summaryOf(cells, goal(2, confidence)).claim!.sequential;
  t.match(sequential([cell('safe', 400), cell('waiting', 100)]), { good: 0.01, decision: 'good', labels_if_good: 850, labels_if_bad: 677 });
  t.match(sequential([cell('safe', 100)]), { decision: 'open' });
  t.match(sequential([cell('safe', 100), cell('violation', 10)]), { decision: 'bad' });
  t.equal(sequential([cell('safe', 100), cell('waiting', 1, { inclusion_probability: 0.4 })]), null, 'two probabilities');
  t.equal(sequential([]), null);
  t.equal(sequential([cell('safe', 100)], 50), null, 'errors that together are none of a test');
});

t.test('what a claim would take: as many violations as there are, and more', async (t) => {
  const { state, labelled, rows } = claimNeeds([cell('safe', 198), cell('violation', 2)], 0.02, 0.95);
  t.same([state, labelled], ['open', 200]);
  t.same(rows.slice(0, 2), [{ violations: 2, labels: claimSize(0.02, 2), more: claimSize(0.02, 2) - 200 }, { violations: 3, labels: claimSize(0.02, 3), more: claimSize(0.02, 3) - 200 }]);
  const unequal = claimNeeds([cell('safe', 100), cell('safe', 100, { stratum: 'rare', inclusion_probability: 0.01 })], 0.02, 0.95);
  t.ok(unequal.rows[0]!.labels! > claimSize(0.02, 0), 'labels of unequal weight say less');
  t.match(claimNeeds([], 0.02, 0.95), { state: 'too_few', labelled: 0, rows: [{ violations: 0, labels: 149, more: 149 }] });
  t.throws(() => claimNeeds([], 1e-9, 0.95), { name: 'RangeError', message: new RegExp(String(PLAN_N_MAX)) });
});
