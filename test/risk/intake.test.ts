/** What becomes of a closing entry in a campaign: a task for each sample that is one, whatever else a log says. */
import t from 'tap';
import { INCLUSION_PROBABILITY_MIN } from '../../src/contract/risk.ts';
import { LabelsFault, readLabels } from '../../src/risk/formats.ts';
import { tasksOf } from '../../src/risk/intake.ts';

const settings = { productOf: () => 'Help centre', doubleBlindShare: () => 0, drawKey: Buffer.alloc(32, 1) };
const sample = { campaign: 'q', direction: 'output', stratum: 'all', probability: 1, decision: 'passed', modality: 'text' };
const entry = (...samples: readonly object[]) => ({ kind: 'exchange', request_id: 'r1', tenant_id: 'acme', started_at: '2030-01-01T00:00:00.000Z', time: '2030-01-01T00:00:01.000Z', samples });

t.test('a probability that estimates take, and one below it', async (t) => {
  const label = { annotation_id: 'a', task_id: 't', campaign: 'q', tenant_id: 'acme', product: '', request_id: 'r1', started_at: entry().started_at, direction: 'output', modality: 'text', stratum: 'all', automated_filter_result: 'passed', human_label: 'safe', violation_category: null, confidence_tier: 'high', annotator_id: 'ana', annotator_calibration: null, calibration_seed: false, batch_id: 'b', status: 'labelled', wanted: 1, created_at: entry().time, labelled_at: entry().time };
  const [least, less] = [INCLUSION_PROBABILITY_MIN, INCLUSION_PROBABILITY_MIN * 0.999];
  t.match(tasksOf(entry({ ...sample, probability: least }), settings), [{ campaign: 'q', inclusion_probability: least, product: 'Help centre', wanted: 1 }]);
  t.same(tasksOf(entry({ ...sample, probability: less }), settings), []);
  t.equal(readLabels('jsonl', JSON.stringify({ ...label, inclusion_probability: least })).length, 1);
  t.throws(() => readLabels('jsonl', JSON.stringify({ ...label, inclusion_probability: less })), { name: LabelsFault.name, message: /inclusion_probability lies between 0.000001 and 1/ });
});

t.test('what is no sample is left out', async (t) => {
  t.same(tasksOf(entry({ ...sample, stratum: '<b>' }, { ...sample, decision: 'other' }, { ...sample, campaign: '' }), settings), []);
  t.same(tasksOf({ ...entry(sample), kind: 'policy' }, settings), []);
  t.equal(tasksOf(entry(sample, { ...sample, direction: 'input' }), settings).length, 2);
});
