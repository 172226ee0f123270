/**
 * Recorded decisions decided again: what the log tells and what it does not, and two policies over many exchanges. On
 * random policies and facts: a policy differs from itself in nothing, what is compared is what `decide` says, and what
 * the log does not hold is never guessed.
 */
import fc from 'fast-check';
import t from 'tap';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import type { Condition, Facts, Operator, OperatorValue, Policy, Rule } from '../../src/contract/policy.ts';
import type { ClassifierResult, Context, Direction } from '../../src/contract/screening.ts';
import { decide } from '../../src/policy/decide.ts';
import { DiffTally, EXAMPLES_MAX } from '../../src/policy/diff.ts';
import { explainedJson, explainRecorded } from '../../src/policy/explained.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { readsContext, recordedDecisions, recordFacts, redecide, type RecordedDecision } from '../../src/policy/recorded.ts';
import { decideWithClaims } from '../../src/policy/stricter.ts';
import { ResultTally } from '../../src/screen/results.ts';

const score = (classifier_id: string, category: string, value: number): ClassifierResult => ({ classifier_id, category, score: value, label: category, spans: [], latency_ms: 1 });
const missing = (classifier_id: string, category: string): ClassifierResult => ({ classifier_id, category, unknown: true, reason: 'timeout', latency_ms: 1 });

const TIME = '2026-01-05T09:00:00.000Z';

/** As the proxy's contextOf makes it. */
const CONTEXT: Context = { request_id: 'r1', tenant: 'one', endpoint: '/v1/chat/completions', direction: 'input', stream: true, time: TIME, model: 'm', session: 's' };

function facts(results: readonly ClassifierResult[], more: Partial<Facts> = {}): Facts {
  return { direction: 'input', results, classifiers: new Map(['tox', 'pii', 'patterns'].map((id) => [id, 'ok'])), context: CONTEXT, contentTypes: ['text'], ...more };
}

/** The closing entry of an exchange that `policy` decided; each result is that of a text of its own. */
function recordOf(policy: Policy, given: Facts, more: Partial<ExchangeRecord> = {}, asked?: readonly string[]): ExchangeRecord {
  const tally = new ResultTally();
  for (const result of given.results) tally.add([result]);
  const { action, triggered_rules, degraded } = decide(policy, given, 'closed');
  const record: DecisionRecord = { action, triggered_rules, classifier_results: tally.summary(), coverage: { screened: [], exempt: [], opaque: [] }, degraded, redactions: 0, latency_ms: 1, facts: recordFacts(policy, given, { asked }) };
  return {
    kind: 'exchange', request_id: 'r1', tenant_id: 'one', session_id: 's', model: 'm', policy: `${policy.id}@${policy.revision}`, method: 'POST', route: '/v1/chat/completions', stream: true, outcome: 'completed', status: 200,
    [given.direction]: record, held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: TIME, duration_ms: 1, ...more,
  };
}

const rulesOf = (rules: string, head = ''): Policy => requirePolicy(`policy: p\n${head}rules:\n${rules}`, 'p.yaml');
const one = (when: string, action = 'block', head = ''): Policy => rulesOf(`  - { id: r, when: ${when}, action: ${action} }\n`, head);
const A = one('{ score: tox.hate, gte: 0.5 }');
const decided = (policy: Policy, record: ExchangeRecord, by: readonly Policy[] = [A]) => {
  const { decision, gap } = redecide(policy, recordedDecisions(record)[0]!, [...by, policy], 'closed');
  return gap ?? decision!.action;
};

t.test('a record is explained as far as it tells', async (t) => {
  const record = recordOf(A, facts([score('tox', 'hate', 0.9)]));
  const explained = (given: ExchangeRecord) => explainedJson(explainRecorded(recordedDecisions(given)[0]!, A, 'closed'), A);
  t.match(explained(record), { direction: 'input', recorded: { action: 'block', rules: ['r'] }, action: 'block' });
  t.notOk('problem' in explained(record));
  t.match(explained({ ...record, input: { ...record.input!, action: 'allow' } }), { recorded: { action: 'allow' }, action: 'block', problem: /the policy decides otherwise/ });
  const { facts: _, ...without } = record.input!;
  t.same(explained({ ...record, input: without }), { direction: 'input', recorded: { action: 'block', rules: ['r'] }, problem: 'the entry holds several decisions, or was written before facts were recorded' });
  const image = recordOf(A, facts([], { contentTypes: ['image'] }));
  t.match(explained(image), { problem: 'the entry does not hold all that the policy reads: score' });
});

t.test('a score that only its name reaches is so in a record, too', async (t) => {
  const record = recordOf(A, facts([{ classifier_id: 'pii', category: 'PERSON', named: true, score: 0.9, label: 'PERSON', spans: [], latency_ms: 0 }]));
  t.same(['pii.*', '*.*', 'pii.PERSON'].map((score) => decided(one(`{ score: "${score}", gte: 0.5 }`), record)), ['allow', 'allow', 'block']);
});

t.test('a score that nobody was asked for is not taken for none', async (t) => {
  const record = recordOf(A, facts([]));
  const unread = { ...record, input: { ...record.input!, facts: { ...record.input!.facts!, unread: ['pii.PERSON'] } } };
  for (const score of ['pii.PERSON', '*.PERSON']) t.same([decided(one(`{ score: "${score}", gte: 0.5 }`), record), decided(one(`{ score: "${score}", gte: 0.5 }`), unread)], ['allow', 'score'], score);
  for (const score of ['pii.EMAIL', 'pii.*', 'tox.hate']) t.equal(decided(one(`{ score: "${score}", gte: 0.5 }`), unread), 'allow', score);
});

t.test('what callers claimed is recorded, and decided without and with', async (t) => {
  const kids = one('{ context: surface, eq: kids }');
  const adults = one('{ not: { context: surface, eq: kids } }');
  /** Decided by `policy` with these claims. */
  const claimed = (policy: Policy, claims: Context): ExchangeRecord => {
    const record = recordOf(policy, facts([]));
    const { action, triggered_rules, degraded } = decideWithClaims(policy, facts([]), 'closed', claims);
    return { ...record, input: { ...record.input!, action, triggered_rules, degraded, facts: recordFacts(policy, facts([]), { claims }) } };
  };
  t.same(claimed(kids, { surface: 'kids', other: 1 }).input!.facts, { classifiers: ['tox', 'pii', 'patterns'], content_types: ['text'], context: { surface: null }, claims: { surface: 'kids' } }, 'what no rule reads is not recorded');
  t.equal(decided(kids, claimed(kids, { surface: 'kids' })), 'block');
  t.equal(decided(kids, claimed(kids, { surface: 'web' })), 'allow');
  t.equal(decided(adults, claimed(kids, { surface: 'kids' })), 'block', 'without the claim it would have been');
  t.equal(decided(kids, claimed(kids, { surface: 'k'.repeat(65) })), 'context', 'what is too long to be recorded is not known');
  t.equal(decided(one('{ score: gone.x, gte: 0.5 }'), claimed(kids, { surface: 'kids' })), 'score');
  const either = rulesOf('  - { id: a, when: { context: surface, eq: kids }, action: block }\n  - { id: b, when: { score: gone.x, gte: 0.5 }, action: block }\n');
  t.equal(decided(either, claimed(kids, { surface: 'kids' })), 'score', 'without the claim another rule decides, and its score is not known');
});

t.test('what the log tells and what it does not', async (t) => {
  const hate = facts([score('tox', 'hate', 0.6)]);
  const twice = facts([score('tox', 'hate', 0.2), score('tox', 'hate', 0.6)]);
  const down = facts([missing('tox', 'hate')]);
  const table: readonly (readonly [when: string, given: Facts, expected: string, why?: string])[] = [
    ['{ score: tox.hate, gte: 0.6 }', hate, 'block'],
    ['{ score: tox.hate, gt: 0.6 }', hate, 'allow'],
    ['{ score: tox.hate, lt: 0.6 }', hate, 'allow'],
    ['{ score: tox.spam, lt: 0.1 }', hate, 'block', 'a classifier that was asked and said nothing scored 0'],
    ['{ score: tox.hate, gte: 0.5 }', twice, 'block'],
    ['{ score: tox.hate, gt: 0.6 }', twice, 'allow', 'none is higher than the highest'],
    ['{ score: tox.hate, exists: false }', twice, 'allow'],
    ['{ score: tox.hate, lt: 0.5 }', twice, 'score', 'the lower one is not recorded'],
    ['{ score: tox.*, lt: 0.5 }', twice, 'score'],
    ['{ score: "*.hate", between: [0.1, 0.3] }', twice, 'score'],
    ['{ score: tox.hate, lt: 0.9 }', twice, 'block', 'one that holds is enough'],
    ['{ score: tox.spam, lt: 0.5 }', twice, 'block', 'of another category there was but one'],
    ['{ score: tox.hate, gte: 0.5 }', down, 'block', 'unknown stays unknown, and fails closed'],
    ['{ score: gone.hate, gte: 0.5 }', hate, 'score', 'nobody asked it'],
    ['{ all: [ { score: gone.x, gte: 0.5 }, { score: tox.hate, gte: 0.9 } ] }', hate, 'allow', 'it does not matter what is missing'],
    ['{ any: [ { score: gone.x, gte: 0.5 }, { score: tox.hate, gte: 0.5 } ] }', hate, 'block'],
    ['{ not: { score: gone.x, gte: 0.5 } }', hate, 'score'],
    ['{ all: [ { score: gone.x, gte: 0.5 }, { context: surface, eq: kids } ] }', hate, 'score', 'the first reason is told'],
    ['{ context: surface, eq: kids }', hate, 'context', 'the rules that decided did not read it'],
    ['{ context: user, eq: u }', hate, 'context'],
    ['{ context: model, eq: m }', hate, 'block'],
    ['{ context: session, eq: s }', hate, 'block'],
    ['{ context: stream, eq: true }', hate, 'block'],
    ['{ context: endpoint, eq: /v1/chat/completions }', hate, 'block'],
    ['{ context: tenant, eq: one }', hate, 'block'],
    ['{ context: direction, eq: output }', hate, 'allow'],
    ['{ context: content_type, eq: image }', hate, 'allow'],
    ['{ all: [ { context: time.hour, eq: 9 }, { context: time.weekday, eq: monday } ] }', hate, 'block'],
    ['{ all: [ { context: time.hour, eq: 9 }, { context: time, gt: "2026" } ] }', hate, 'block'],
    ['{ score: tox.hate, gte: 0.5 }', facts([score('tox', 'hate', 0.6)], { contentTypes: ['text', 'image'] }), 'score', 'who reads images is not recorded'],
  ];
  for (const [when, given, expected, why] of table) t.equal(decided(one(when), recordOf(A, given)), expected, `${when} ${why ?? ''}`);
});

t.test('context that a rule of the deciding policy reads is recorded: its value, or that there was none', async (t) => {
  const reading = one('{ any: [ { context: surface, eq: x }, { context: age, gt: 90 }, { context: user, eq: x }, { context: note, eq: x }, { not: { not: { context: time.hour, gt: 30 } } } ] }');
  const given = facts([], { context: { ...CONTEXT, surface: 'kids', user: 'ana', note: 'n'.repeat(65) } });
  t.same(recordFacts(reading, given), { classifiers: ['tox', 'pii', 'patterns'], content_types: ['text'], context: { age: null, surface: 'kids' } }, 'neither a user nor a long text');
  t.same(recordFacts(reading, { ...given, context: { note: 'n'.repeat(64) }, contentTypes: undefined, deferred: new Set(['slow']) }, { asked: ['pii'], unread: ['pii.PERSON'] }), { classifiers: ['pii'], unread: ['pii.PERSON'], content_types: [], context: { age: null, note: 'n'.repeat(64), surface: null, user: null }, deferred: ['slow'] });
  t.same([readsContext(reading, 'surface'), readsContext(reading, 'direction')], [true, false]);
  const record = recordOf(reading, given);
  const again = (when: string): string => decided(one(when), record, [reading]);
  t.same(['{ context: surface, eq: kids }', '{ context: surface, eq: x }', '{ context: age, gt: 1 }', '{ context: age, exists: false }', '{ context: user, exists: true }', '{ context: note, exists: true }'].map(again), ['block', 'allow', 'allow', 'block', 'context', 'context']);
  const service = recordOf(A, facts([]), { route: '/weir/v1/screen', model: undefined, session_id: undefined });
  t.same(['{ context: model, exists: true }', '{ context: endpoint, exists: true }', '{ context: tenant, eq: one }'].map((when) => decided(one(when), service)), ['context', 'context', 'block']);
  t.equal(decided(one('{ context: model, exists: false }'), recordOf(A, facts([]), { model: undefined })), 'block', 'an exchange has a model or none');
});

t.test('patterns are known to the policy that decided, and to one that has the same', async (t) => {
  const bird = (literal: string, when = '{ score: patterns.bird, eq: 1 }', more = '') => one(when, 'block', `patterns: [ { id: bird, literal: ${literal} }${more} ]\n`);
  const A = bird('Bluebird');
  const record = recordOf(A, facts([score('patterns', 'bird', 1)]));
  t.equal(decided(A, record, []), 'block');
  const fish = ', { id: fish, literal: Herring }';
  const same = bird('Bluebird', '{ score: patterns.bird, lt: 1 }', fish);
  t.equal(decided(same, record, [A]), 'allow', 'another pattern beside it changes nothing');
  t.equal(decided(same, record, []), 'pattern', 'who decided is not known');
  t.equal(decided(bird('Redbird'), record, [A]), 'pattern');
  t.equal(decided(bird('Bluebird', '{ score: "patterns.*", eq: 1 }', fish), record, [A]), 'pattern', 'any of them means all of them');
  t.equal(decided(bird('Bluebird', '{ score: "*.bird", eq: 1 }'), record, [A]), 'block');
  const set = (hosts: string) => one('{ score: patterns.markdown-link, gte: 0.5 }', 'block', `pattern_sets: [exfiltration]\nallow_hosts: [${hosts}]\n`);
  const linked = recordOf(set('example.com'), facts([]));
  t.equal(decided(set('example.com, example.net'), linked, [set('example.com')]), 'pattern', 'other hosts are other patterns');
  t.equal(decided(one('{ all: [ { score: patterns.markdown-link, gte: 0.5 }, { context: tenant, eq: one } ] }', 'block', 'pattern_sets: [exfiltration]\nallow_hosts: [example.com]\n'), linked, [set('example.com')]), 'allow');
});

t.test('on an answer, only those were asked that the deciding policy reads', async (t) => {
  const output = facts([score('tox', 'hate', 0.6)], { direction: 'output', context: { ...CONTEXT, direction: 'output' } });
  const record = recordOf(A, output, {}, ['tox', 'patterns']);
  t.equal(decided(A, record), 'block');
  t.equal(decided(one('{ score: pii.EMAIL, gte: 0.5 }'), record), 'score');
  t.equal(decided(one('{ score: "*.hate", gte: 0.5 }'), record), 'score');
  const any = one('{ score: "*.hate", gte: 0.5 }');
  t.equal(decided(any, recordOf(any, output)), 'block', 'to who decided, all was there');
});

t.test('a rule that waits for scores after the fact is no gap', async (t) => {
  const waiting = rulesOf('  - { id: late, priority: 1, when: { score: tox.hate, gte: 0.5 }, action: block }\n  - { id: now, priority: 2, when: { context: tenant, eq: one }, action: warn }\n');
  t.equal(decided(waiting, recordOf(waiting, facts([], { deferred: new Set(['tox']) }))), 'warn');
  const open = rulesOf('  - { id: open, priority: 1, on_unknown: open, when: { score: tox.hate, gte: 0.5 }, action: block }\n  - { id: off, enabled: false, when: { score: gone.x, gte: 0 }, action: block }\n  - { id: out, direction: output, when: { score: gone.x, gte: 0 }, action: block }\n');
  t.equal(decided(open, recordOf(open, facts([missing('tox', 'hate')]))), 'allow', 'nor is one that is skipped, switched off, or about the other direction');
});

t.test('what cannot be decided again', async (t) => {
  const record = recordOf(A, facts([score('tox', 'hate', 0.6)]));
  t.equal(decided(A, { ...record, input: { ...record.input!, facts: undefined } }), 'no facts');
  t.equal(decided(A, { ...record, input: { ...record.input!, action: 'redact' } }), 'other decision');
  t.equal(decided(one('{ score: tox.hate, gte: 0.9 }'), { ...record, input: { ...record.input!, action: 'redact' } }), 'allow', 'another policy is not held against what it did not decide');
  const texts = (given: ExchangeRecord) => ({ ...given, input: { ...given.input!, facts: { ...given.input!.facts!, texts: 2 } } });
  t.equal(decided(A, texts(record)), 'several texts');
  t.equal(decided(A, texts(recordOf(A, facts([])))), 'allow', 'where nothing was found, it is nobody\'s');
  t.same(recordedDecisions({ ...record, policy: undefined }), [], 'no policy decided');
  const earlier = { ...record, input: { ...record.input!, facts: { ...record.input!.facts!, results: [{ classifier_id: 'tox', category: 'hate', score: 0.1, count: 1 }] }, action: 'allow' as const } };
  t.equal(decided(A, earlier), 'allow', 'of a conversation the scores of the turn that was decided on count');
  t.match(recordedDecisions({ ...record, output: record.input }).map(({ direction, rules, action }) => [direction, rules, action]), [['input', ['r'], 'block'], ['output', ['r'], 'block']]);
});

t.test('two policies over many exchanges: counts by action and rule, examples, reasons', async (t) => {
  const B = rulesOf('  - { id: s, when: { score: tox.hate, gte: 0.8 }, action: block }\n  - { id: u, when: { score: tox.hate, gte: 0.3 }, action: warn }\n  - { id: v, when: { score: gone.x, gte: 0.3 }, action: warn }\n');
  const tally = new DiffTally(A, B, (tenant) => (tenant === 'two' ? 'open' : 'closed'));
  for (let i = 0; i < 12; i++) tally.add(recordOf(A, facts([score('tox', 'hate', 0.6)]), { request_id: `r${i}` }));
  tally.add(recordOf(A, facts([score('tox', 'hate', 0.9)])));
  tally.add(recordOf(A, facts([score('tox', 'hate', 0.4)])));
  tally.add(recordOf(A, facts([])));
  tally.add({ ...recordOf(A, facts([missing('tox', 'hate')])), tenant_id: 'two' });
  const { actions, ...rest } = tally.result();
  t.same(rest, {
    decisions: 16, same: 1, changed: 13, not_comparable: 2,
    rules: [{ from: 'r', to: 'u', count: 12 }, { from: 'r', to: 's', count: 1 }, { from: null, to: 'u', count: 1 }],
    reasons: { score: 1, 'other decision': 1 },
  }, 'a fail mode that has changed since makes another decision');
  t.same(actions.map(({ from, to, count, examples }) => [from, to, count, examples.length]), [['block', 'warn', 12, EXAMPLES_MAX], ['allow', 'warn', 1, 1]]);
  t.same(actions[0]!.examples[3], { request_id: 'r3', tenant_id: 'one', time: TIME, direction: 'input', from_rules: ['r'], to_rules: ['u'] });
});

// Random policies and exchanges.

const level = fc.constantFrom(0, 0.25, 0.5, 0.75, 1);
const operand: fc.Arbitrary<{ operator: Operator; value: OperatorValue }> = fc.oneof(
  fc.record({ operator: fc.constantFrom('gt', 'gte', 'lt', 'lte', 'eq' as const) as fc.Arbitrary<Operator>, value: level as fc.Arbitrary<OperatorValue> }),
  fc.tuple(level, level).map(([a, b]) => ({ operator: 'between' as const, value: [Math.min(a, b), Math.max(a, b)] as const })),
  fc.boolean().map((value) => ({ operator: 'exists' as const, value })),
);
const leaf: fc.Arbitrary<Condition> = fc.oneof(
  fc.tuple(fc.constantFrom('tox', 'pii', 'gone', '*'), fc.constantFrom('x', 'y', '*'), operand).map(([classifier, category, rest]) => ({ kind: 'score' as const, classifier, category, ...rest })),
  fc.tuple(fc.constantFrom('surface', 'user', 'model'), fc.constantFrom('kids', 'm')).map(([key, value]) => ({ kind: 'context' as const, key, operator: 'eq' as const, value })),
);
const condition = fc.letrec<{ node: Condition }>((tie) => ({
  node: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((of) => ({ kind: 'all' as const, of })), fc.array(tie('node'), { minLength: 1, maxLength: 3 }).map((of) => ({ kind: 'any' as const, of })), tie('node').map((of) => ({ kind: 'not' as const, of }))),
})).node;
const rule = fc.record({ when: condition, action: fc.constantFrom('allow', 'warn', 'block', 'redact'), direction: fc.constantFrom('input', 'output', 'both'), onUnknown: fc.constantFrom('open', 'closed', undefined) });
const policies = fc.tuple(fc.array(rule, { maxLength: 5 }), fc.string({ minLength: 6, maxLength: 6 })).map(([rules, revision]): Policy => ({
  ...requirePolicy('policy: p', 'p'), revision, rules: rules.map((one, index) => ({ id: `r${index}`, name: '', priority: 1, enabled: true, ...one }) as Rule),
}));
const result = fc.tuple(fc.constantFrom('tox', 'pii'), fc.constantFrom('x', 'y'), fc.oneof(level, fc.constant(undefined))).map(([id, category, value]) => (value === undefined ? missing(id, category) : score(id, category, value)));
const someFacts = fc.tuple(fc.array(result, { maxLength: 5 }), fc.constantFrom<Direction>('input', 'output'), fc.record({ surface: fc.constantFrom('kids', 'shop'), user: fc.constant('u') }, { requiredKeys: [] })).map(([results, direction, extra]) => facts(results, { direction, context: { ...CONTEXT, ...extra, direction } }));

t.test('a policy differs from itself in nothing', async (t) => {
  let compared = 0;
  fc.assert(fc.property(policies, fc.array(someFacts, { maxLength: 5 }), (policy, all) => {
    const tally = new DiffTally(policy, policy, () => 'closed');
    for (const given of all) tally.add(recordOf(policy, given));
    const { changed, same, rules, decisions } = tally.result();
    compared += same;
    return changed === 0 && rules.length === 0 && decisions === all.length;
  }), { numRuns: 2_000 });
  t.ok(compared > 1_000, `${compared} decisions compared`);
});

t.test('what is decided again is what would have been decided; what is not told is not guessed', async (t) => {
  let [compared, not] = [0, 0];
  fc.assert(fc.property(policies, policies, someFacts, (author, policy, given) => {
    const [recorded] = recordedDecisions(recordOf(author, given)) as [RecordedDecision];
    const { decision, gap } = redecide(policy, recorded, [author, policy], 'closed');
    if (gap === undefined) compared += 1;
    else not += 1;
    const wanted = decide(policy, given, 'closed');
    return gap !== undefined || (decision!.action === wanted.action && decision!.rule?.id === wanted.rule?.id && decision!.degraded.join() === wanted.degraded.join());
  }), { numRuns: 4_000 });
  t.ok(compared > 500 && not > 100, `${compared} compared, ${not} not`);
});
