/** What records keep of what rules could read besides scores: from plans, for prompts and answers, and through tallies of several decisions. */
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { DecisionRecord, Segment } from '../../src/contract/exchange.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { RecordTally } from '../../src/proxy/record-tally.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { answerScreening } from '../../src/screen/service.ts';
import { testPii } from '../helpers/pii.ts';

const scorer = (id: string): Classifier => ({
  id, version: '1', categories: [{ id: 'x', definition: 'x' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'slow', needsContext: false,
  classify: async () => [{ classifier_id: id, category: 'x', score: 0.5, label: 'X', spans: [], latency_ms: 0 }],
});

function planOf(source: string): ScreeningPlan {
  const scorers = [scorer('read'), scorer('unread')];
  return compilePlan(requirePolicy(`policy: p\n${source}`, 'p.yaml'), [testPii(), ...scorers], { file: 'p.yaml', ensemble: new Ensemble({ classifiers: scorers.map((classifier) => ({ classifier })), deadlineMs: 10_000 }) });
}

const RULES = 'rules:\n  - { id: a, direction: output, when: { score: read.x, gte: 0.9 }, action: block }\n  - { id: b, direction: input, when: { all: [ { context: language, eq: de }, { context: surface, eq: kids } ] }, action: block }\n';
const segment: Segment = { path: 'content', carrier: 'content', contentType: 'text', content: 'What is the weather like in the mountains, and where do we go from here?', history: false };

t.test('of a prompt all are asked; of an answer patterns, and scored classifiers that a rule on answers reads', async (t) => {
  const plan = planOf(RULES);
  const screened = await plan.screen([segment], 'input', {});
  t.same(plan.recordFacts(screened, 'input', { surface: 'shop', other: 1 }), { classifiers: ['pii', 'read', 'unread', 'patterns'], content_types: ['text'], context: { language: 'en', surface: 'shop' } });
  const output = plan.forOutput({});
  t.same(output.recordFacts(), { classifiers: ['pii', 'read', 'patterns'], content_types: ['text'], context: { language: null, surface: null } });
  output.openChannel();
  t.notOk('texts' in output.recordFacts(), 'one text needs no count');
  output.openChannel();
  output.meets('image');
  t.match(output.recordFacts(), { texts: 2, content_types: ['text', 'image'] });
});

t.test('those that are heard after the fact are told apart', async (t) => {
  const plan = planOf(`screening: { mode: hybrid }\n${RULES}`);
  const screened = await plan.screen([segment], 'input', {}, undefined, 'let_go');
  t.same(plan.recordFacts(screened, 'input', {}).deferred, ['read', 'unread']);
});

t.test('the screening service records them for each request, and a batch of several has none', async (t) => {
  const plan = planOf(RULES);
  const answer = async (count: number) => {
    const requests = Array.from({ length: count }, () => ({ direction: 'input', content: 'hello', context: { surface: 'kids', time: 'forged' } }));
    const { records } = await answerScreening({ requests }, { requestId: 'r', tenantId: 'one', now: new Date(0) }, () => plan);
    const tally = new RecordTally();
    for (const { record } of records) tally.add(record);
    return { records, whole: tally.record() as DecisionRecord };
  };
  const one = await answer(1);
  t.match(one.records[0]!.record.facts, { classifiers: ['pii', 'read', 'unread', 'patterns'], content_types: ['text'], context: { surface: 'kids' } });
  t.same(one.whole.facts, one.records[0]!.record.facts);
  t.notOk('facts' in (await answer(2)).whole);
  t.notOk('facts' in (await answer(3)).whole);
});
