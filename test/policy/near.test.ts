/** Which rules all but decided a recorded exchange: by example, and against the plain arithmetic of one threshold. */
import fc from 'fast-check';
import t from 'tap';
import type { DecisionRecord, ExchangeRecord, LateRecord } from '../../src/contract/exchange.ts';
import { nearRules } from '../../src/policy/near.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { runs, seed } from '../helpers/runs.ts';

const BAND = { below: 0.1, above: 0.05 };

function decision(action: DecisionRecord['action'], rules: readonly string[], scores: Readonly<Record<string, number | 'timeout'>>, facts: Partial<NonNullable<DecisionRecord['facts']>> = {}): DecisionRecord {
  const results = Object.entries(scores).map(([name, score]) => {
    const [classifier_id, category] = name.split('.') as [string, string];
    return { classifier_id, category, count: 1, ...(score === 'timeout' ? { unknown: score } : { score }) };
  });
  return { action, triggered_rules: rules, classifier_results: results, coverage: { screened: ['a'], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 1, facts: { classifiers: ['a', 'b', 'patterns'], content_types: ['text'], ...facts } };
}

const record = (more: Partial<ExchangeRecord>): ExchangeRecord => ({
  kind: 'exchange', request_id: 'r1', tenant_id: 'acme', policy: 'p@1', method: 'POST', route: '/v1/chat/completions', stream: false, outcome: 'completed', status: 200, held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 500, ...more,
});
const policy = (...rules: readonly string[]) => requirePolicy(`policy: p\npatterns:\n  - { id: word, label: WORD, literal: [Heron] }\nrules:\n${rules.map((rule) => `  - ${rule}\n`).join('')}`, 'p.yaml');
const near = (rules: readonly string[], input: DecisionRecord, more: Partial<ExchangeRecord> = {}) => nearRules(policy(...rules), record({ input, ...more }), 'input', BAND);

const BLOCK = '{ id: block, priority: 10, when: { score: a.x, gte: 0.8 }, action: block }';

t.test('a rule nearly decided, or barely', async (t) => {
  t.same(near([BLOCK], decision('allow', [], { 'a.x': 0.75 })), ['block']);
  t.same(near([BLOCK], decision('allow', [], { 'a.x': 0.7 })), ['block'], 'at the end of the band');
  t.same(near([BLOCK], decision('allow', [], { 'a.x': 0.69 })), []);
  t.same(near([BLOCK], decision('block', ['block'], { 'a.x': 0.84 })), ['block'], 'barely');
  t.same(near([BLOCK], decision('block', ['block'], { 'a.x': 0.86 })), []);
  t.same(near([BLOCK], decision('allow', [], {})), [], 'nothing was found');
  t.same(near([BLOCK], decision('allow', [], { 'a.x': 'timeout' })), [], 'a score that did not arrive is near nothing');
  t.same(near(['{ id: low, priority: 1, when: { score: a.x, gte: 0.05 }, action: block }'], decision('allow', [], { 'a.x': 0.01 })), [], 'no more than half way to 0');
  t.same(near(['{ id: low, priority: 1, when: { score: a.x, gte: 0.05 }, action: block }'], decision('allow', [], { 'a.x': 0.03 })), ['low']);
  t.same(near(['{ id: word, priority: 1, when: { score: patterns.word, gte: 0.97 }, action: block }'], decision('block', ['word'], { 'patterns.word': 1 })), [], 'a certain 1 is near no threshold');
});

t.test('only where it matters: before the rule that decided, and with another action', async (t) => {
  const redact = '{ id: redact, priority: 5, when: { score: b.y, gte: 0.5 }, action: redact }';
  t.same(near([redact, BLOCK], decision('redact', ['redact'], { 'a.x': 0.75, 'b.y': 0.99 })), [], 'it comes after');
  const [first, second] = [BLOCK.replace('id: block', 'id: other').replace('10', '1').replace('a.x', 'b.y'), BLOCK];
  t.same(near([first, second], decision('block', ['block'], { 'a.x': 0.99, 'b.y': 0.75 })), [], 'it would have done the same');
  t.same(near([BLOCK.replace('block, p', 'warn, p').replace('action: block', 'action: warn')], decision('allow', [], { 'a.x': 0.75 })), [], 'a warning stops nothing');
  t.same(near([BLOCK.replace(' }', ' }, enabled: false').replace(' }, enabled: false, action', ' }, enabled: false, action')], decision('allow', [], { 'a.x': 0.75 })), [], 'it is switched off');
  t.same(near([BLOCK.replace('priority', 'direction: output, priority')], decision('allow', [], { 'a.x': 0.75 })), [], 'of the other direction');
  t.same(near(['{ id: ask, priority: 1, when: { score: a.x, gte: 0.8 }, action: escalate, hold: { for: 1s, then: block } }'], decision('allow', [], { 'a.x': 0.75 })), ['ask']);
});

t.test('conditions of several parts: each threshold moves the way that makes more hold, or less', async (t) => {
  const both = '{ id: both, priority: 1, when: { all: [ { score: a.x, gte: 0.8 }, { not: { score: b.y, gte: 0.3 } } ] }, action: block }';
  t.same(near([both], decision('allow', [], { 'a.x': 0.75, 'b.y': 0.32 })), ['both'], 'both are near');
  t.same(near([both], decision('allow', [], { 'a.x': 0.75, 'b.y': 0.5 })), [], 'one is far');
  t.same(near([both], decision('block', ['both'], { 'a.x': 0.95, 'b.y': 0.25 })), ['both'], 'barely, for what is not there');
  const between = '{ id: mid, priority: 1, when: { score: a.x, between: [0.4, 0.6] }, action: escalate }';
  for (const [score, is] of [[0.29, false], [0.3, true], [0.39, true], [0.64, true], [0.66, false]] as const) t.equal(near([between], decision('allow', [], { 'a.x': score })).length === 1, is, String(score));
  t.same(near(['{ id: kids, priority: 1, when: { all: [ { context: surface, eq: kids }, { score: a.x, gte: 0.8 } ] }, action: block }'], decision('allow', [], { 'a.x': 0.75 }, { context: { surface: 'work' } })), [], 'context is never near');
});

t.test('one of several; below a threshold; and what has no threshold', async (t) => {
  const either = '{ id: either, priority: 1, when: { any: [ { score: a.x, gte: 0.8 }, { score: b.y, gte: 0.8 } ] }, action: block }';
  t.same(near([either], decision('allow', [], { 'a.x': 0.2, 'b.y': 0.75 })), ['either']);
  t.same(near([either], decision('allow', [], { 'a.x': 0.2, 'b.y': 0.3 })), []);
  t.same(near([either], decision('block', ['either'], { 'a.x': 0.81, 'b.y': 0.99 })), [], 'the other holds it by far');
  for (const [operator, scores] of [['lt', [[0.22, true], [0.26, false]]], ['lte', [[0.25, true], [0.26, false]]]] as const) {
    const calm = `{ id: calm, priority: 1, when: { score: a.x, ${operator}: 0.2 }, action: escalate }`;
    for (const [score, is] of scores) t.equal(near([calm], decision('allow', [], { 'a.x': score })).length === 1, is, `${operator} ${score}`);
  }
  t.same(near(['{ id: calm, priority: 1, when: { score: a.x, lt: 0.2 }, action: escalate }'], decision('escalate', ['calm'], { 'a.x': 0.15 })), ['calm'], 'barely below');
  t.same(near(['{ id: sure, priority: 1, when: { score: a.x, eq: 1 }, action: block }'], decision('allow', [], { 'a.x': 0.99 })), []);
  t.same(near(['{ id: any, priority: 1, when: { score: a.x, exists: true }, action: block }'], decision('block', ['any'], { 'a.x': 0.01 })), []);
  const said = '{ id: said, priority: 1, when: { all: [ { context: content_type, eq: text }, { score: a.x, gte: 0.8 } ] }, action: block }';
  t.same(near([said], decision('allow', [], { 'a.x': 0.75 })), ['said'], 'of one type, whoever said it');
});

t.test('roles, claims and late scores are seen as they were decided on', async (t) => {
  const said = '{ id: said, priority: 1, when: { all: [ { context: role, eq: user }, { score: a.x, gte: 0.8 } ] }, action: block }';
  const line = (score: number) => [{ classifier_id: 'a', category: 'x', score, count: 1 }];
  const roles = (user: number, system: number) => ({ roles: [{ role: 'user', content_types: ['text' as const], results: line(user) }, { role: 'system', content_types: ['text' as const], results: line(system) }] });
  t.same(near([said], decision('allow', [], { 'a.x': 0.75 }, roles(0.75, 0))), ['said']);
  t.same(near([said], decision('allow', [], { 'a.x': 0.75 }, roles(0, 0.75))), [], 'the other said it');
  const kids = '{ id: kids, priority: 1, when: { all: [ { context: surface, eq: kids }, { score: a.x, gte: 0.8 } ] }, action: block }';
  t.same(near([kids], decision('allow', [], { 'a.x': 0.75 }, { context: { surface: null }, claims: { surface: 'kids' } })), ['kids']);
  const late = { direction: 'input', action: 'allow', triggered_rules: [], classifier_results: line(0.75), degraded: [], acted: [], latency_ms: 1 } as LateRecord;
  t.same(near([BLOCK], decision('allow', [], { 'a.x': 'timeout' }, { deferred: ['a'] }), { late }), ['block']);
  t.same(near([BLOCK], decision('allow', [], { 'a.x': 'timeout' }, { deferred: ['a'] }), { late: { ...late, direction: 'output' } }), [], 'of the other direction, and so unheard');
  const { facts: _, ...bare } = decision('allow', [], { 'a.x': 0.75 });
  t.same(near([BLOCK], bare), [], 'without facts nothing is told');
});

t.test('property: one threshold is what arithmetic says it is', async () => {
  const thousandths = fc.integer({ min: 0, max: 1000 });
  fc.assert(fc.property(thousandths, thousandths, thousandths, thousandths, (threshold, score, below, above) => {
    const held = score >= threshold;
    const rules = [`{ id: block, priority: 1, when: { score: a.x, gte: ${threshold / 1000} }, action: block }`];
    const found = nearRules(policy(...rules), record({ input: decision(held ? 'block' : 'allow', held ? ['block'] : [], { 'a.x': score / 1000 }) }), 'input', { below: below / 1000, above: above / 1000 }).length === 1;
    const isNear = held ? score < Math.min(threshold + above, (threshold + 1000) / 2) : score >= Math.max(threshold - below, threshold / 2);
    return found === isNear;
  }), { numRuns: runs(400), seed });
});
