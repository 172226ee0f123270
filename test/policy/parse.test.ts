/** Policies from YAML: the whole grammar, and every mistake at its place. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { ConfigError } from '../../src/contract/errors.ts';
import type { Condition, Policy } from '../../src/contract/policy.ts';
import { parsePolicy, requirePolicy, type KnownClassifier } from '../../src/policy/parse.ts';
import { runs, seed } from '../helpers/runs.ts';

const EVERYTHING = String.raw`
policy: support-bot
description: Customer support
default_action: warn
on_unknown: open
on_block: fallback
message: I can't help with that here.
stream: { mode: trail, window: whole }
history: all
patterns:
  - { id: codename, label: CODENAME, literal: [Bluebird, Operation Heron], ignore_case: true }
  - { id: ticket-no, regex: 'TCK-\d{6}', matches: [TCK-123456], ignores: [TCK-12] }
  - { id: one, literal: single }
rules:
  - id: late
    when: { context: surface, eq: kids }
    action: replace
  - id: injection
    name: Injection
    description: for people
    priority: 10
    direction: input
    enabled: false
    when:
      any:
        - { score: prompt-injection.injection, gte: 0.9 }
        - all:
            - { score: moderation.hate/threatening-x.y, gt: 0.7 }
            - { not: { context: user.trust, eq: verified } }
        - { classifier: pii, category: '*', operator: between, threshold: [0.1, 0.2] }
    action: block
    on_unknown: closed
  - { id: held, priority: -5, when: { score: '*.*', exists: true }, action: escalate, severity: high, hold: { for: 30s, then: redact }, redact: { style: hash } }
  - { id: masked, priority: 10, direction: output, when: { score: patterns.one, eq: 1 }, action: redact, redact: { style: mask, keep_last: 4 } }
  - { id: labelled, priority: 10, when: { score: patterns.*, lt: 1 }, action: redact }
  - { id: said, priority: 11, when: { context: n, between: [-5, 5] }, action: replace, message: no }
cases:
  - { name: one, direction: output, text: x, expect: { action: redact, rules: [masked], text: y } }
  - { name: two, direction: input, scores: { pii.EMAIL: 0.5, tox.x: unknown }, context: { surface: kids, n: 1, b: true }, expect: { action: allow } }
`;

t.test('the whole grammar', async (t) => {
  const { policy, issues } = parsePolicy(EVERYTHING, 'p.yaml');
  t.same(issues.map(({ severity, message }) => `${severity} ${message}`), []);
  t.match(policy, { id: 'support-bot', revision: /^[0-9a-f]{12}$/, description: 'Customer support', defaultAction: 'warn', onUnknown: 'open', onBlock: 'fallback', message: /^I can't/, stream: { mode: 'trail', window: 'whole' }, history: 'all' });
  t.same(policy!.rules.map(({ id, priority }) => [id, priority]), [['held', -5], ['injection', 10], ['masked', 10], ['labelled', 10], ['said', 11], ['late', 100]]);
  t.same(policy!.patterns, [
    { id: 'codename', label: 'CODENAME', literal: ['Bluebird', 'Operation Heron'], ignoreCase: true, matches: [], ignores: [] },
    { id: 'ticket-no', label: 'TICKET_NO', regex: 'TCK-\\d{6}', ignoreCase: false, matches: ['TCK-123456'], ignores: ['TCK-12'] },
    { id: 'one', label: 'ONE', literal: ['single'], ignoreCase: false, matches: [], ignores: [] },
  ]);
  const rule = (id: string) => policy!.rules.find((entry) => entry.id === id)!;
  t.same(rule('injection'), {
    id: 'injection', name: 'Injection', priority: 10, enabled: false, direction: 'input', action: 'block', onUnknown: 'closed',
    when: { kind: 'any', of: [
      { kind: 'score', classifier: 'prompt-injection', category: 'injection', operator: 'gte', value: 0.9 },
      { kind: 'all', of: [
        { kind: 'score', classifier: 'moderation', category: 'hate/threatening-x.y', operator: 'gt', value: 0.7 },
        { kind: 'not', of: { kind: 'context', key: 'user.trust', operator: 'eq', value: 'verified' } },
      ] },
      { kind: 'score', classifier: 'pii', category: '*', operator: 'between', value: [0.1, 0.2] },
    ] },
  });
  t.match(rule('held'), { severity: 'high', hold: { forMs: 30_000, then: 'redact' }, redact: { style: 'hash' }, direction: 'both', enabled: true, name: 'held' });
  t.same([rule('masked').redact, rule('labelled').redact, rule('said').redact, rule('said').message], [{ style: 'mask', keepLast: 4 }, { style: 'label' }, undefined, 'no']);
  t.same(policy!.cases, [
    { name: 'one', direction: 'output', text: 'x', context: {}, expect: { action: 'redact', rules: ['masked'], text: 'y' } },
    { name: 'two', direction: 'input', scores: { 'pii.EMAIL': 0.5, 'tox.x': 'unknown' }, context: { surface: 'kids', n: 1, b: true }, expect: { action: 'allow' } },
  ]);
  assertFrozen(t, policy!);
});

t.test('defaults, and the revision of the text', async (t) => {
  const policy = requirePolicy('policy: p', 'p.yaml');
  t.same(policy, { id: 'p', revision: policy.revision, description: '', defaultAction: 'allow', onBlock: 'error', stream: { mode: 'hold', window: 'sentence' }, history: 'latest', patterns: [], rules: [], cases: [] });
  t.not(requirePolicy('policy: p # x', 'p.yaml').revision, policy.revision);
  t.match(requirePolicy('policy: p\nstream: { window: 200 }', 'p.yaml').stream, { mode: 'hold', window: 200 });
});

t.test('a pattern is looked for in disguises, unless it says otherwise', async (t) => {
  const { patterns } = requirePolicy('policy: p\npatterns: [ { id: a, literal: x, views: false }, { id: b, literal: x, views: true }, { id: c, literal: x } ]', 'p.yaml');
  t.same(patterns.map(({ views }) => views), [false, undefined, undefined]);
});

t.test('a file of literals, and a set that comes with Weir', async (t) => {
  const source = 'policy: p\npattern_sets: [finance]\npatterns: [ { id: a, literal_file: a.txt } ]\nrules: [ { id: r, when: { score: patterns.CREDIT_CARD, gte: 1 }, action: block } ]';
  const { policy, issues } = parsePolicy(source, 'p.yaml', [], new Map([['a.txt', { text: '# names\nBluebird\n\n Operation Heron \n' }]]));
  t.same(issues, []);
  t.same(policy!.patterns[0], { id: 'a', label: 'A', literal: ['Bluebird', 'Operation Heron'], ignoreCase: false, matches: [], ignores: [] });
  t.match(policy!.patterns[1], { id: 'card', category: 'CREDIT_CARD', matches: [], ignores: [] });
  assertFrozen(t, policy!.patterns[0]!);
  const problem = parsePolicy(source, 'p.yaml', [], new Map([['a.txt', { text: undefined, problem: 'no such file' }]]));
  t.same(problem.issues.map(({ line, column, message }) => [line, column, message]), [[3, 36, 'no such file']], 'said once');
});

t.test('shadow and canary are kept', async (t) => {
  const { policy, issues } = parsePolicy('policy: p\nshadow: q\ncanary: { policy: r, share: 5% }', 'p.yaml');
  t.match(policy, { shadow: 'q', canary: { policy: 'r', share: 0.05 } });
  t.same(issues, []);
  t.match(requirePolicy('policy: p\ncanary: { policy: r, share: 0.5 }', 'p.yaml').canary, { share: 0.5 });
});

t.test('durations', async (t) => {
  for (const [written, ms] of [['1ms', 1], ['30s', 30_000], ['5m', 300_000], ['24h', 86_400_000], ['1d', 86_400_000]] as const) {
    const policy = requirePolicy(`policy: p\nrules: [ { id: r, when: { context: a, eq: 1 }, action: escalate, hold: { for: ${written}, then: block } } ]`, 'p');
    t.equal(policy.rules[0].hold?.forMs, ms);
  }
});

/** Mistakes in a `when:`; the place is that of the column in `  - { id: r, when: …`. */
const WHEN = 20;
const conditions: readonly (readonly [when: string, column: number, message: string, suggestion?: string])[] = [
  ['7', 0, 'expected a condition, got a number', 'write { score: classifier.category, gte: 0.5 }'],
  ['{}', 0, 'expected a condition with one of all, any, not, score, context'],
  ['{ socre: a.b, gte: 1 }', 0, 'expected a condition with one of all, any, not, score, context', 'did you mean score?'],
  ['{ all: [], any: [] }', 0, 'expected one of all, any in one condition, not 2', 'nest them under all or any'],
  ['{ all: [] }', 7, 'all of nothing has no sense', 'name at least one condition'],
  ['{ any: { score: a.b, gte: 1 } }', 7, 'expected a list of conditions, got a mapping'],
  [`{ any: [${'0,'.repeat(1001)}] }`, 7, '1001 conditions, the limit is 1000'],
  ['{ all: [ { context: a, eq: 1 } ], x: 1 }', 34, 'unknown key x'],
  ['{ not: [] }', 7, 'expected a condition, got a list', 'write { score: classifier.category, gte: 0.5 }'],
  ['{ not: { context: a, eq: 1 }, eq: 1 }', 30, 'unknown key eq'],
  ['{ score: 5, gte: 1 }', 9, 'expected classifier.category, got a number'],
  ['{ score: pii, gte: 1 }', 9, 'expected classifier.category', 'write classifier.* for any category'],
  ['{ score: .a, gte: 1 }', 9, 'expected a classifier of letters, digits, `-` and `_`, or * for any'],
  ['{ score: "a.", gte: 1 }', 9, 'expected a category without spaces, or * for any'],
  ['{ score: a.hate*, gte: 1 }', 9, 'expected a category without spaces, or * for any', '* stands for a whole name, not for a part of one'],
  ['{ score: a.b }', 0, 'expected an operator, one of gt, gte, lt, lte, eq, between, exists'],
  ['{ score: a.b, get: 1 }', 14, 'unknown key get', 'did you mean gte?'],
  ['{ score: a.b, gte: 0.1, lt: 1 }', 0, 'expected one operator, got gte and lt', 'use between, or two conditions under all'],
  ['{ score: a.b, gte: -0.1 }', 19, 'a score is from 0 to 1, got -0.1'],
  ['{ score: a.b, lte: 1.01 }', 19, 'a score is from 0 to 1, got 1.01'],
  ['{ score: a.b, gt: .nan }', 18, 'a score is from 0 to 1, got NaN'],
  ['{ score: a.b, gte: "1" }', 19, 'expected a score from 0 to 1, got text'],
  ['{ score: a.b, exists: 1 }', 22, 'expected true or false, got a number'],
  ['{ score: a.b, between: 1 }', 23, 'expected [low, high]'],
  ['{ score: a.b, between: [0] }', 23, 'expected [low, high]'],
  ['{ score: a.b, between: [0, x] }', 23, 'expected [low, high]'],
  ['{ score: a.b, between: [0, .nan] }', 23, 'expected [low, high]'],
  ['{ score: a.b, between: [-1, 1] }', 23, 'expected numbers from 0 to 1, got -1 and 1'],
  ['{ score: a.b, between: [0.9, 0.1] }', 23, 'low is above high: 0.9 and 0.1', 'write [0.1, 0.9]'],
  ['{ classifier: a, category: b, operator: gte, threshold: 2 }', 56, 'a score is from 0 to 1, got 2'],
  ['{ classifier: a, category: b, operator: get, threshold: 1 }', 40, 'expected one of gt, gte, lt, lte, eq, between, exists', 'did you mean gte?'],
  ['{ classifier: a, category: b, operator: 1, threshold: 1 }', 40, 'expected one of gt, gte, lt, lte, eq, between, exists'],
  ['{ classifier: a, operator: gte, threshold: 1 }', 0, 'classifier and category must both be text'],
  ['{ classifier: a b, category: b, operator: gte, threshold: 1 }', 14, 'expected a classifier of letters, digits, `-` and `_`, or * for any'],
  ['{ classifier: a, category: b, operator: gte, treshold: 1, threshold: 1 }', 45, 'unknown key treshold', 'did you mean threshold?'],
  ['{ context: 5, eq: 1 }', 11, 'expected a context key such as surface or user.trust'],
  ['{ context: "a b", eq: 1 }', 11, 'expected a context key such as surface or user.trust'],
  ['{ context: a, eq: [] }', 18, 'expected text, a number, true or false, got a list'],
  ['{ context: a, gt: true }', 18, 'expected text or a number, got true or false'],
  ['{ context: a, gt: .inf }', 18, 'expected text or a number, got a number'],
  ['{ context: a, exists: x }', 22, 'expected true or false, got text'],
  ['{ context: a, between: [2, 1] }', 23, 'low is above high: 2 and 1', 'write [1, 2]'],
  ['{ context: a, eg: 1 }', 14, 'unknown key eg', 'did you mean eq?'],
  ['{ context: content_type, eq: imgae }', 29, 'expected one of text, image, audio', 'did you mean image?'],
  ['{ context: content_type, eq: 1 }', 29, 'expected one of text, image, audio'],
  ['{ context: content_type, gt: image }', 25, 'content_type is compared by eq, or by exists'],
  ['{ context: time.weekday, eq: sunady }', 29, 'expected a day, monday to sunday or 1 to 7', 'did you mean sunday?'],
  ['{ context: time.weekday, eq: 8 }', 29, 'expected a day, monday to sunday or 1 to 7'],
  ['{ context: time.weekday, between: [1, true] }', 34, 'expected a day, monday to sunday or 1 to 7'],
  ['{ context: time.weekday, between: [6, 1] }', 34, 'low is above high: 6 and 1', 'write [1, 6]'],
  ['{ context: content_type, exists: 1 }', 33, 'expected true or false, got a number'],
];

for (const [when, column, message, suggestion] of conditions) {
  t.test(`refused: when: ${when.slice(0, 80)}`, async (t) => {
    const { policy, issues } = parsePolicy(`policy: p\nrules:\n  - { id: r, when: ${when}, action: block }`, 'p.yaml');
    t.equal(policy, undefined);
    const [issue] = issues;
    t.same([issue.line, issue.column, issue.message, issue.suggestion], [3, WHEN + column, message, suggestion]);
  });
}

t.test('conditions nest 32 deep and no deeper', async (t) => {
  const nested = (depth: number) => `policy: p\nrules:\n  - { id: r, action: block, when: ${'{ not: '.repeat(depth - 1)}{ context: a, eq: 1 }${' }'.repeat(depth - 1)} }`;
  t.ok(parsePolicy(nested(32), 'p').policy);
  t.match(parsePolicy(nested(33), 'p').issues, [{ line: 3, column: 35 + 32 * 7, message: 'nested deeper than 32 conditions' }]);
});

t.test('when classifiers are heard', async (t) => {
  const screening = (written: string) => requirePolicy(`policy: p\nscreening: ${written}`, 'p.yaml').screening;
  t.same(screening('{ mode: hybrid, late_deadline_ms: 1500, bar_session: 10m }'), { mode: 'hybrid', lateDeadlineMs: 1500, barSessionMs: 600_000 });
  t.same(screening('{ mode: async }'), { mode: 'async', lateDeadlineMs: 5000 });
  t.same(screening('{}'), { mode: 'sync', lateDeadlineMs: 5000 });
  t.same(['1', '60000'].map((ms) => screening(`{ mode: async, late_deadline_ms: ${ms} }`)!.lateDeadlineMs), [1, 60_000]);
  t.equal(screening('{ mode: async, bar_session: 30d }')!.barSessionMs, 30 * 86_400_000);
  assertFrozen(t, screening('{ mode: hybrid, bar_session: 1h }')!);
});

const R = '{ id: r, when: { context: a, eq: 1 }, action: block';
const mistakes: readonly (readonly [source: string, place: string, message: string | RegExp, suggestion?: string])[] = [
  ['', '1:1', 'expected a mapping, the file is empty'],
  ['- 1', '1:1', 'expected a mapping, got a list'],
  ['rules: []', '1:1', 'policy is missing'],
  ['policy: a b', '1:9', /expected a name of letters/],
  ['policy: p\nrule: []', '2:1', 'unknown key rule', 'did you mean rules?'],
  ['policy: p\ndefault_action: redact', '2:17', /expected one of allow, warn, block, escalate/],
  ['policy: p\non_block: fallback', '2:11', 'on_block: fallback needs a message', 'add message: with what to say'],
  ['policy: p\nstream: { window: sentense }', '2:19', /expected sentence, whole, or a number/, 'did you mean sentence?'],
  ['policy: p\nstream: { window: 0 }', '2:19', /expected sentence, whole, or a number/],
  ['policy: p\ntimezone: Europe/Berln', '2:11', 'no such time zone', 'write a name of the time zone database, such as Europe/Berlin'],
  ['policy: p\ntimezone: "+01:00"', '2:11', 'expected a time zone such as Europe/Berlin'],
  ['policy: p\nscreening: asynch', '2:12', 'expected a mapping, got text'],
  ['policy: p\nscreening: { mode: asynch }', '2:20', 'expected one of sync, hybrid, async', 'did you mean async?'],
  ['policy: p\nscreening: { mod: async }', '2:14', 'unknown key mod', 'did you mean mode?'],
  ['policy: p\nscreening: { mode: async, late_deadline_ms: 0 }', '2:45', /expected a whole number from 1 to 60000, got 0/],
  ['policy: p\nscreening: { mode: async, late_deadline_ms: 60001 }', '2:45', /expected a whole number from 1 to 60000, got 60001/],
  ['policy: p\nscreening: { mode: async, bar_session: 10 }', '2:40', 'expected a duration with its unit', 'write 10s or 10ms'],
  ['policy: p\nscreening: { mode: async, bar_session: 31d }', '2:40', 'longer than 2592000000 ms'],
  ['policy: p\nscreening: { bar_session: 10m }', '2:14', 'bar_session belongs to mode hybrid or async', 'add mode: hybrid'],
  ['policy: p\ncanary: { policy: q, share: 500% }', '2:29', 'expected a share such as 5% or 0.05'],
  ['policy: p\ncanary: { policy: q, share: 2 }', '2:29', 'expected a share such as 5% or 0.05'],
  ['policy: p\ncanary: { policy: q, share: much }', '2:29', 'expected a share such as 5% or 0.05'],
  ['policy: p\npattern_sets: 7', '2:15', 'expected a list, got a number', 'write [value] or one `- value` per line'],
  ['policy: p\npattern_sets: [7]', '2:16', /^expected one of contact, finance, /],
  ['policy: p\npattern_sets: [exfiltratoin]', '2:16', /^expected one of contact, finance, /, 'did you mean exfiltration?'],
  ['policy: p\npattern_sets: [finance]\npatterns: [ { id: CREDIT_CARD, literal: x } ]', '3:19', 'a pattern CREDIT_CARD is in one of the pattern_sets', 'give it another name'],
  ['policy: p\npattern_sets: [finance]\nrules: [ { id: r, when: { score: patterns.card, eq: 1 }, action: block } ]', '3:34', 'patterns has no category card'],
  ['policy: p\npatterns: [ { id: a, literal_file: ../a.txt } ]', '2:36', 'expected the path of a file in the folder of the policy or below it'],
  ['policy: p\npatterns: [ { id: a, literal_file: a.txt } ]', '2:36', 'a literal_file can be read for policies in files only'],
  [`policy: p\nrules: [${'0,'.repeat(10_001)}]`, '2:8', '10001 entries, the limit is 10000'],
  ['policy: p\nrules: [ 7 ]', '2:10', 'expected a mapping, got a number'],
  [`policy: p\nrules:\n  - ${R} }\n  - ${R} }`, '4:11', 'a second rule r', 'the first is rule number 1'],
  ['policy: p\nrules: [ { id: r, action: block } ]', '2:10', 'when is missing'],
  ['policy: p\nrules: [ { id: r, when: { context: a, eq: 1 } } ]', '2:10', 'action is missing'],
  [`policy: p\nrules: [ ${R}, priority: 1.5 } ]`, '2:73', /expected a whole number from -1000000 to 1000000, got 1.5/],
  [`policy: p\nrules: [ ${R}, priority: high } ]`, '2:73', 'expected a whole number, got text'],
  [`policy: p\nrules: [ ${R}, redact: { style: label } } ]`, '2:63', 'redact: stands without action redact'],
  [`policy: p\nrules: [ ${R}, severity: low } ]`, '2:63', 'severity belongs to action escalate'],
  [`policy: p\nrules: [ ${R}, hold: { for: 30s, then: block } } ]`, '2:63', 'hold belongs to action escalate'],
  [`policy: p\nrules: [ ${R.replace('block', 'escalate')}, hold: { for: 30, then: block } } ]`, '2:79', 'expected a duration with its unit', 'write 30s or 30ms'],
  [`policy: p\nrules: [ ${R.replace('block', 'escalate')}, hold: { for: soon, then: block } } ]`, '2:79', 'expected a duration with its unit', 'write 500ms, 30s, 5m or 1h'],
  [`policy: p\nrules: [ ${R.replace('block', 'escalate')}, hold: { for: 25h, then: block } } ]`, '2:79', 'longer than 86400000 ms'],
  [`policy: p\nrules: [ ${R.replace('block', 'escalate')}, hold: { for: 1h, then: escalate } } ]`, '2:89', /expected one of allow, warn, redact, block/],
  [`policy: p\nrules: [ ${R.replace('block', 'redact')}, redact: { style: pseudonym } } ]`, '2:81', /^style pseudonym belongs to rules on input/, 'write direction: input'],
  [`policy: p\nrules: [ ${R.replace('block', 'redact')}, redact: { keep_last: 4 } } ]`, '2:74', 'keep_last belongs to style mask'],
  [`policy: p\nrules: [ ${R.replace('block', 'replace')} } ]`, '2:10', 'action replace needs a message', 'add message: to the rule or the policy'],
  ['policy: p\npatterns: [ { id: a } ]', '2:13', 'expected regex: or literal:'],
  ['policy: p\npatterns: [ { id: a, regex: a, literal: b } ]', '2:13', 'regex and literal in one pattern', 'make two patterns of it'],
  ['policy: p\npatterns: [ { id: a, literal: [] } ]', '2:31', 'expected at least 1 entry'],
  ['policy: p\npatterns: [ { id: a, literal: [x, ""] } ]', '2:35', 'expected text, got an empty one'],
  ['policy: p\npatterns: [ { id: a, literal: 7 } ]', '2:31', 'expected a list, got a number'],
  ['policy: p\npatterns: [ { id: a, regex: a, label: "[X]" } ]', '2:39', 'expected a label without spaces and brackets'],
  ['policy: p\npatterns: [ { id: a, regex: a, matches: x } ]', '2:41', 'expected a list, got text'],
  ['policy: p\npatterns: [ { id: a, regex: a }, { id: a, literal: b } ]', '2:40', 'a second pattern a'],
  ['policy: p\npatterns: [ { id: a, regex: a } ]\nrules: [ { id: r, when: { score: patterns.b, eq: 1 }, action: block } ]', '3:34', 'patterns has no category b', 'did you mean a?'],
  ['policy: p\ncases: [ { name: a, direction: input, expect: { action: allow } } ]', '2:10', 'expected text: or scores:'],
  ['policy: p\ncases: [ { name: a, direction: input, text: x, expect: { action: allow, rules: [r] } } ]', '2:81', 'no rule r'],
  [`policy: p\nrules: [ ${R} } ]\ncases: [ { name: a, direction: both, text: x, expect: { action: allow } } ]`, '3:32', /expected one of input, output/],
  ['policy: p\ncases: [ { name: a, direction: input, text: x, expect: { action: allow } }, { name: a, direction: input, text: y, expect: { action: allow } } ]', '2:85', 'a second case a'],
  ['policy: p\ncases: [ { name: a, direction: input, scores: [1], expect: { action: allow } } ]', '2:47', 'expected classifier.category: score, got a list'],
  ['policy: p\ncases: [ { name: a, direction: input, scores: { x: 1 }, expect: { action: allow } } ]', '2:49', 'expected classifier.category'],
  ['policy: p\ncases: [ { name: a, direction: input, scores: { a.b: 2 }, expect: { action: allow } } ]', '2:54', 'a score is a number from 0 to 1, or unknown'],
  ['policy: p\ncases: [ { name: a, direction: input, text: x, context: [1], expect: { action: allow } } ]', '2:57', 'expected key: value, got a list'],
  ['policy: p\ncases: [ { name: a, direction: input, text: x, context: { k: {} }, expect: { action: allow } } ]', '2:62', 'expected text, a number, true or false; got a mapping'],
];

for (const [source, place, message, suggestion] of mistakes) {
  t.test(`refused: ${source.slice(0, 90).replaceAll('\n', ' / ')}`, async (t) => {
    const { policy, issues } = parsePolicy(source, 'p.yaml');
    t.equal(policy, undefined);
    const errors = issues.filter(({ severity }) => severity === 'error');
    t.equal(`${errors[0].line}:${errors[0].column}`, place);
    t.match(errors[0].message, message);
    if (suggestion !== undefined) t.equal(errors[0].suggestion, suggestion);
  });
}

t.test('mistakes of kind hide no other mistake', async (t) => {
  const places = (source: string) => parsePolicy(source, 'p.yaml').issues.map(({ line, column, message }) => `${line}:${column} ${message}`);
  t.same(places('policy: p\npatterns: 7\nrules: 7\ncases: 7\nx: 1'), ['5:1 unknown key x', '2:11 expected a list, got a number', '3:8 expected a list, got a number', '4:8 expected a list, got a number']);
  t.same(places('policy: p\npatterns: [ 7, { regex: a } ]\nrules: [ { when: { any: [ 7 ] }, action: block } ]\ncases: [ 7, { name: c, direction: input, text: x, expect: { action: allow, rules: [ [], zz ] } } ]'), [
    '2:13 expected a mapping, got a number',
    '2:16 id is missing',
    '3:10 id is missing',
    '3:27 expected a condition, got a number',
    '4:10 expected a mapping, got a number',
    '4:85 expected text, got a list',
    '4:89 no rule zz',
  ]);
  t.same(places('policy: p\nrules: []\ncases: 7'), ['3:8 expected a list, got a number']);
  t.same(places('policy: p\nrules: 7\ncases: [ { name: c, direction: input, text: x, expect: { action: allow, rules: [zz] } } ]'), ['2:8 expected a list, got a number'], 'rules that could not be read are not missed');
});

const KNOWN: readonly KnownClassifier[] = [{ id: 'pii', categories: [{ id: 'EMAIL' }, { id: 'PHONE_NUMBER' }] }, { id: 'toxicity', categories: [{ id: 'hate' }] }];
const names: readonly (readonly [score: string, message?: string, suggestion?: string])[] = [
  ['pii.EMAIL'],
  ['pii.*'],
  ['*.hate'],
  ['*.*'],
  ['patterns.a'],
  ['*.a'],
  ['pij.EMAIL', 'no classifier pij is configured', 'did you mean pii?'],
  ['pii.EMIAL', 'pii has no category EMIAL', 'did you mean EMAIL?'],
  ['pii.hate', 'pii has no category hate'],
  ['*.hats', 'no classifier has a category hats', 'did you mean hate?'],
];
const absent: readonly (readonly [score: string, message: string])[] = [
  ['constructor.x', 'no classifier constructor is configured'],
  ['prompt-injection.injection', 'no classifier prompt-injection is configured'],
  ['*.violence', 'no classifier has a category violence'],
];

t.test('scores are checked against what runs', async (t) => {
  for (const [score, message, suggestion] of names) {
    const source = `policy: p\npatterns: [ { id: a, literal: a } ]\nrules: [ { id: r, when: { score: '${score}', eq: 1 }, action: block } ]`;
    t.same(parsePolicy(source, 'p', KNOWN).issues.map((issue) => [issue.line, issue.column, issue.message, issue.suggestion]), message === undefined ? [] : [[3, 34, message, suggestion]], score);
    t.same(parsePolicy(source, 'p').issues, [], 'without classifiers nothing is assumed');
  }
});

t.test('a classifier that is not configured may come to be: the policy is usable, and each is named once', async (t) => {
  for (const [score, message] of absent) {
    const { policy, issues } = parsePolicy(`policy: p\nrules: [ { id: r, when: { any: [ { score: '${score}', eq: 1 }, { score: '${score}', gt: 0 } ] }, action: block } ]`, 'p', KNOWN);
    t.equal(policy?.rules.length, 1);
    t.same(issues.map(({ severity, line, column, suggestion, message: said }) => [severity, line, column, said, suggestion]), [['warning', 2, 36, message, 'its scores are unknown until then, and on_unknown decides']]);
  }
});

t.test('weekdays, by name or number, and a time zone', async (t) => {
  const when = (test: string) => requirePolicy(`policy: p\ntimezone: Europe/Berlin\nrules: [ { id: r, when: { context: time.weekday, ${test} }, action: block } ]`, 'p');
  t.same(['eq: sunday', 'eq: 7', 'between: [monday, 5]', 'exists: true'].map((test) => (when(test).rules[0]!.when as { value: unknown }).value), [7, 7, [1, 5], true]);
  t.equal(when('eq: 1').timezone, 'Europe/Berlin');
  t.notOk('timezone' in requirePolicy('policy: p\ntimezone: UTC', 'p'));
});

t.test('a rule that asks for a content type is told who does not read it', async (t) => {
  const known = [{ ...KNOWN[0], contentTypes: ['text' as const] }, { id: 'eye', categories: [{ id: 'nudity' }], contentTypes: ['text' as const, 'image' as const] }, KNOWN[1]];
  const warned = (when: string) => parsePolicy(`policy: p\npatterns: [ { id: x, literal: x } ]\nrules:\n  - { id: r, when: ${when}, action: block }`, 'p.yaml', known).issues.map(({ severity, line, column, message }) => `${severity} ${line}:${column} ${message}`);
  const image = '{ context: content_type, eq: image }';
  t.same(warned(`{ all: [ ${image}, { score: eye.nudity, gte: 0.5 } ] }`), []);
  t.same(warned(`{ all: [ ${image}, { score: toxicity.hate, gte: 0.5 } ] }`), [], 'what is not known is not said');
  t.same(warned('{ all: [ { context: content_type, exists: true }, { score: pii.EMAIL, gte: 0.5 } ] }'), []);
  t.same(warned(`{ all: [ ${image}, { context: content_type, eq: audio }, { score: pii.EMAIL, gte: 0.5 } ] }`), ['warning 4:107 pii does not read image and audio, which this rule asks for']);
  t.same(warned(`{ any: [ ${image}, { not: { score: patterns.x, eq: 1 } } ] }`), ['warning 4:76 patterns does not read image, which this rule asks for']);
  t.same(warned(`{ all: [ ${image}, { score: "*.nudity", gte: 0.5 } ] }`), ['warning 4:69 not every classifier reads image, which this rule asks for']);
  const { issues, policy } = parsePolicy('policy: p\nrules:\n  - { id: r, when: { context: content_type, eq: image }, action: redact }\n  - { id: s, when: { not: { all: [ { context: a, eq: 1 }, { score: pii.EMAIL, eq: 1 } ] } }, action: redact }', 'p.yaml');
  t.match([policy?.id, issues], ['p', [{ severity: 'warning', line: 3, message: /reads no score/ }]]);
  t.equal(issues.length, 1);
});

const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`)].join('\n');
const hostile: readonly (readonly [name: string, source: string, place: string, message: RegExp])[] = [
  ['an anchor bomb', bomb, '6:55', /more than 1000000 values/],
  ['a bomb in the rules', `policy: p\nrules:\n  - &r { id: a, when: &w { any: [*w, *w] }, action: block }`, '3:34', /inside what it names/],
  ['a rule given again by its alias', `policy: p\nrules:\n  - &r ${R} }\n  - *r`, '3:14', /a second rule r/],
  ['ten megabytes', `policy: p\ndescription: ${'x'.repeat(10 * 1024 * 1024)}`, '1:1', /the limit is 8388608/],
  ['a duplicate key', 'policy: p\nrules: []\nrules: []', '3:1', /key rules is given twice/],
  ['a duplicate key in a rule', `policy: p\nrules: [ ${R}, action: allow } ]`, '2:63', /key action is given twice/],
  ['a tab as indentation', 'policy: p\nrules:\n\t- 1', '3:1', /tab/],
  ['a negative threshold', 'policy: p\nrules: [ { id: r, when: { score: a.b, gte: -0.5 }, action: block } ]', '2:44', /a score is from 0 to 1, got -0.5/],
  ['ten thousand rules and one', `policy: p\nrules:\n${Array.from({ length: 10_001 }, (_, i) => `  - { id: r${i}, when: { context: a, eq: 1 }, action: block }`).join('\n')}`, '3:3', /10001 entries, the limit is 10000/],
  ['too deep', `policy: p\nrules: ${'['.repeat(200)}${']'.repeat(200)}`, '2:135', /nesting/],
  ['a merge key', `policy: p\nrules: [ { <<: { id: r }, when: { context: a, eq: 1 }, action: block } ]`, '2:12', /unknown key <</],
  ['a function', 'policy: !!js/function "x"', '1:9', /tag/],
  ['a second policy in one file', 'policy: p\n---\npolicy: q', '3:1', /second document/],
];

for (const [name, source, place, message] of hostile) {
  t.test(`hostile: ${name}`, async (t) => {
    const before = process.cpuUsage();
    const { policy, issues } = parsePolicy(source, 'p.yaml');
    const { user, system } = process.cpuUsage(before);
    t.ok(user + system < 5_000_000, 'within seconds');
    t.equal(policy, undefined);
    t.equal(`${issues[0]!.line}:${issues[0]!.column}`, place);
    t.match(issues[0]!.message, message);
  });
}

t.test('whatever becomes of the text of a policy, it is a policy or is refused at a place in it', async (t) => {
  const spoilers = ['\t', '\n', '  ', '- ', ': ', '{', '[', ']', '}', '&a ', '*a', '<<: ', '!!set ', '"', "'", '|', '---\n', '-1', '1e999', '.nan', '~', 'rules:', 'null', '\u0000', '\ud800', '\u2028', '# '];
  let refused = 0;
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(EVERYTHING.length), fc.nat(12), fc.constantFrom(...spoilers)), { minLength: 1, maxLength: 4 }), (spoiled) => {
    const text = spoiled.reduce((whole, [at, length, by]) => whole.slice(0, at) + by + whole.slice(at + length), EVERYTHING);
    const { policy, issues } = parsePolicy(text, 'p.yaml');
    const errors = issues.filter(({ severity }) => severity === 'error');
    if (policy === undefined) refused++;
    const lines = text.split('\n').length;
    return (policy === undefined) === errors.length > 0 && errors.every(({ line, column }) => line >= 1 && line <= lines + 1 && column >= 1);
  }), { numRuns: runs(1_000), seed });
  t.ok(refused > runs(1_000) / 2, `${refused} refused`);
});

t.test('ten thousand rules and twenty thousand patterns are read', async (t) => {
  const patterns = Array.from({ length: 20_000 }, (_, i) => `  - { id: p${i}, literal: word${i} }`).join('\n');
  const rules = Array.from({ length: 10_000 }, (_, i) => `  - { id: r${i}, priority: ${i % 7}, when: { score: patterns.p${i}, gte: 0.5 }, action: block }`).join('\n');
  const started = performance.now();
  const policy = requirePolicy(`policy: p\npatterns:\n${patterns}\nrules:\n${rules}\n`, 'p');
  t.same([policy.patterns.length, policy.rules.length], [20_000, 10_000]);
  t.ok(performance.now() - started < 10_000);
});

t.test('requirePolicy throws every issue', async (t) => {
  t.throws(() => requirePolicy('policy: p\na: 1\nb: 2', 'p.yaml'), new ConfigError([]));
  try {
    requirePolicy('policy: p\na: 1\nb: 2', 'p.yaml');
  } catch (error) {
    t.equal((error as ConfigError).issues.length, 2);
  }
});

t.test('the policies that come with Weir parse, with cases for every rule', async (t) => {
  const dir = join(import.meta.dirname, '../../config/policies');
  const files = readdirSync(dir).filter((file) => file.endsWith('.yaml'));
  t.ok(files.includes('default.yaml'));
  for (const file of files) {
    const { policy, issues } = parsePolicy(readFileSync(join(dir, file), 'utf8'), file);
    t.same(issues.filter(({ severity }) => severity === 'error'), [], file);
    const exercised = new Set(policy!.cases!.flatMap(({ expect }) => expect.rules ?? []));
    t.same([...exercised].sort(), policy!.rules.map(({ id }) => id).sort(), `${file}: every rule has a case`);
  }
});

t.test('the example in the README of config/policies is a policy', async (t) => {
  const readme = readFileSync(join(import.meta.dirname, '../../config/policies/README.md'), 'utf8');
  t.same(parsePolicy(/```yaml\n(.*?)```/s.exec(readme)![1], 'README.md').issues, []);
});

function assertFrozen(t: Test, value: Policy | Condition | object): void {
  t.ok(Object.isFrozen(value), JSON.stringify(value).slice(0, 60));
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) assertFrozen(t, child);
}
