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

t.test('of whose scores only named ones are left is asked where a rule names one of them', async (t) => {
  const named = { id: 'who', definition: 'a name', named: true } as const;
  /** Finds the word bluebird by a pattern, and a name by asking. */
  const finder = (asked: { count: number }): Classifier => ({
    id: 'find', version: '1', categories: [{ id: 'word', definition: 'word' }, named], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'fast', needsContext: false,
    patterns: [{ id: 'word', category: 'word', label: 'WORD', literal: ['bluebird'] }],
    classify: () => (asked.count++, [{ classifier_id: 'find', category: 'who', score: 0.9, label: 'WHO', spans: [], latency_ms: 0 }]),
  });
  const planWith = (rules: string, more: object = {}) => {
    const asked = { count: 0 };
    const classifier = finder(asked);
    const plan = compilePlan(requirePolicy(`policy: p\nrules: ${rules}\n`, 'p.yaml'), [classifier], { file: 'p.yaml', ensemble: new Ensemble({ classifiers: [{ classifier }], deadlineMs: 10_000, ...more }) });
    return { asked, plan };
  };
  const factsOf = async (plan: ScreeningPlan) => plan.recordFacts(await plan.screen([{ ...segment, content: 'the bluebird' }], 'input', {}), 'input', {});
  for (const rules of ['[]', '[ { id: a, when: { score: "find.*", gte: 0.5 }, action: block } ]', '[ { id: a, when: { score: find.who, gte: 0.5 }, action: block, enabled: false } ]']) {
    const { plan, asked } = planWith(rules);
    t.same(await factsOf(plan), { classifiers: ['find', 'patterns'], unread: ['find.who'], content_types: ['text'] }, rules);
    t.equal(asked.count, 0, rules);
    const told = await plan.screen([segment], 'input', {}, undefined, 'tell');
    t.match(told.segments[0]!.results, [{ category: 'who', score: 0.9 }], 'who wants to see all scores');
    t.notOk('unread' in plan.recordFacts(told, 'input', {}));
    t.same(plan.forOutput({}).recordFacts(), { classifiers: ['find', 'patterns'], unread: ['find.who'], content_types: ['text'] }, 'that patterns of it found nothing is known');
  }
  for (const score of ['find.who', '*.who']) {
    const { plan, asked } = planWith(`[ { id: a, when: { score: "${score}", gte: 0.5 }, action: block } ]`);
    t.same(await factsOf(plan), { classifiers: ['find', 'patterns'], content_types: ['text'] }, score);
    t.equal(asked.count, 1);
    t.notOk('unread' in plan.forOutput({}).recordFacts());
  }
  const classifier = finder({ count: 0 });
  const shadow = requirePolicy('policy: s\nrules: [ { id: a, when: { score: find.who, gte: 0.5 }, action: block } ]\n', 's.yaml');
  const shadowed = compilePlan(requirePolicy('policy: p\nrules: []\n', 'p.yaml'), [classifier], { file: 'p.yaml', shadow, ensemble: new Ensemble({ classifiers: [{ classifier }], deadlineMs: 10_000 }) });
  t.notOk('unread' in (await factsOf(shadowed)), 'a shadow names it');
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
