/**
 * Cases of a policy: what passes, what fails and how it is told, what could not be run, which rules no case makes decide;
 * texts through the real plan, prompts and answers at several cuts. No case changes another.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Policy, PolicyCase } from '../../src/contract/policy.ts';
import { assumedFacts, hasFindings, runCases, testJson, type CaseResult, type CaseStage, type IsNamed, type PolicyTest, type StagedCase } from '../../src/policy/cases.ts';
import { decide } from '../../src/policy/decide.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { stageOf } from '../../src/rehearsal.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import createInjection from '../../plugins/prompt-injection/index.ts';
import createJailbreak from '../../plugins/jailbreak/index.ts';
import createToxicity from '../../plugins/toxicity/index.ts';
import { testPii } from '../helpers/pii.ts';

let now = 0;
const clock = (): number => (now += 2);

/** Of no classifier but `names`, and there of `who` alone. */
const isNamed: IsNamed = (classifier, category) => classifier === 'names' && category === 'who';

/** Texts are upper-cased, in two ways, the second of which forgets the last character of a text that ends in `?`. */
function stage(source: string): CaseStage {
  const policy = requirePolicy(source, 'p.yaml');
  return {
    policy,
    failMode: 'closed',
    isNamed,
    async screen(text, direction, context, assumed): Promise<StagedCase> {
      if (text === 'broken') throw new Error('the classifier is gone');
      // What a plug-in throws need not be an Error.
      if (text === 'strange') throw 'no reason';
      const facts = assumedFacts(policy, Object.fromEntries((assumed ?? []).flatMap((one) => ('score' in one ? [[`${one.classifier_id}.${one.category}`, one.score]] : []))), direction, context, isNamed);
      const { action, triggered_rules: rules } = decide(policy, facts, 'closed');
      const out = text.toUpperCase();
      return { facts, outcomes: [{ way: 'whole', action, rules, text: out }, { way: 'cut', action, rules, text: text.endsWith('?') ? out.slice(0, -1) : out }] };
    },
  };
}

const RULES = `policy: p
rules:
  - { id: high, priority: 1, when: { score: tox.hate, gte: 0.9 }, action: block }
  - { id: some, priority: 2, when: { score: tox.hate, gte: 0.5 }, action: warn }
  - { id: also, priority: 3, when: { score: tox.spam, gte: 0.5 }, action: warn }
  - { id: off, priority: 4, enabled: false, when: { score: tox.spam, gte: 0.1 }, action: block }
`;

async function results(cases: string, rules = RULES): Promise<readonly CaseResult[]> {
  const told: CaseResult[] = [];
  const report = await runCases(stage(`${rules}cases:\n${cases}`), { clock, onResult: (result) => told.push(result) });
  t.same(told, report.cases, 'each is told when it is known');
  return report.cases;
}

t.test('a case passes for the right action by the right rules with the right text, and for nothing else', async (t) => {
  const told = (await results(`
  - { name: right, direction: input, scores: { tox.hate: 0.6 }, expect: { action: warn, rules: [some] } }
  - { name: any rule, direction: input, scores: { tox.hate: 0.6 }, expect: { action: warn } }
  - { name: wrong action, direction: input, scores: { tox.hate: 0.6 }, expect: { action: block } }
  - { name: right for the wrong reason, direction: input, scores: { tox.spam: 0.6 }, expect: { action: warn, rules: [some] } }
  - { name: by a rule and not by none, direction: input, scores: { tox.spam: 0.6 }, expect: { action: warn, rules: [] } }
  - { name: one rule too many, direction: input, scores: { tox.spam: 0.6 }, expect: { action: warn, rules: [also, some] } }
  - { name: nothing found, direction: output, scores: {}, expect: { action: allow, rules: [] } }
  - { name: missing, direction: input, scores: { tox.hate: unknown }, expect: { action: block, rules: [high] } }
  - { name: text, direction: input, text: abc, expect: { action: allow, text: ABC } }
  - { name: wrong text, direction: input, text: abc, expect: { action: allow, text: ABd } }
  - { name: cut, direction: output, text: abc?, expect: { action: allow, text: ABC? } }
  - { name: text and scores, direction: input, text: abc, scores: { tox.hate: 1 }, expect: { action: block, rules: [high] } }
  - { name: broken, direction: input, text: broken, expect: { action: allow } }
  - { name: strange, direction: input, text: strange, expect: { action: allow } }
`)).map(({ name, state, problems, rules, explanation, took_ms: tookMs }) => [name, state, problems.join('; '), rules.join(), explanation?.decision.action, tookMs]);
  t.same(told, [
    ['right', 'PASS', '', 'some', undefined, 2],
    ['any rule', 'PASS', '', 'some', undefined, 2],
    ['wrong action', 'FAIL', 'action: expected block, got warn', 'some', 'warn', 2],
    ['right for the wrong reason', 'FAIL', 'rules: expected some, got also', 'also', 'warn', 2],
    ['by a rule and not by none', 'FAIL', 'rules: expected none, got also', 'also', 'warn', 2],
    ['one rule too many', 'FAIL', 'rules: expected also, some, got also', 'also', 'warn', 2],
    ['nothing found', 'PASS', '', '', undefined, 2],
    ['missing', 'PASS', '', 'high', undefined, 2],
    ['text', 'PASS', '', '', undefined, 2],
    ['wrong text', 'FAIL', 'text: expected "ABd", got "ABC"', '', 'allow', 2],
    ['cut', 'FAIL', 'cut: text: expected "ABC?", got "ABC"', '', 'allow', 2],
    ['text and scores', 'PASS', '', 'high', undefined, 2],
    ['broken', 'ERROR', 'the classifier is gone', '', undefined, 2],
    ['strange', 'ERROR', 'no reason', '', undefined, 2],
  ]);
});

t.test('of long texts the place is told where they differ', async (t) => {
  const text = `${'x'.repeat(500)}y${'z'.repeat(500)}`;
  const [{ problems }] = await results(`  - { name: long, direction: input, text: ${text}, expect: { action: allow, text: ${text.toUpperCase().replace('Y', 'W')} } }\n`);
  t.same(problems, [`text: expected …"${'X'.repeat(30)}W${'Z'.repeat(49)}"…, got …"${'X'.repeat(30)}Y${'Z'.repeat(49)}"…`]);
});

t.test('rules that no case makes decide', async (t) => {
  const uncovered = async (cases: string, only?: (entry: PolicyCase) => boolean) => (await runCases(stage(`${RULES}${cases}`), { clock, ...(only === undefined ? {} : { only }) })).uncovered;
  const one = 'cases:\n  - { name: a, direction: input, scores: { tox.hate: 0.6 }, expect: { action: block } }\n';
  t.same(await uncovered(''), ['high', 'some', 'also'], 'what is switched off needs none');
  t.same(await uncovered(one), ['high', 'also'], 'a case that fails has made its rule decide');
  t.equal(await uncovered(one, () => false), undefined, 'not told where some were left out');
  const { cases } = { ...requirePolicy(RULES, 'p'), cases: undefined };
  t.same((await runCases({ ...stage(RULES), policy: { ...requirePolicy(RULES, 'p'), cases } as Policy }, { clock })).cases, []);
});

t.test('assumed scores are all there is: other classifiers found nothing, an unknown one has no score', async (t) => {
  const policy = requirePolicy('policy: p\nrules: [ { id: r, when: { all: [ { score: a.x, gte: 0.5 }, { not: { score: "*.y", gte: 0.5 } }, { context: surface, eq: kids } ] }, action: block } ]', 'p');
  const facts = assumedFacts(policy, { 'b.y': 0.2, 'c.z': 'unknown' }, 'output', { surface: 'kids', content_type: 'image' }, isNamed);
  t.same([...facts.classifiers], [['a', 'ok'], ['b', 'ok'], ['c', 'ok']]);
  t.match(facts, { direction: 'output', context: { surface: 'kids', direction: 'output' }, contentTypes: ['image'], results: [{ classifier_id: 'b', category: 'y', score: 0.2 }, { classifier_id: 'c', category: 'z', unknown: true }] });
  t.same([assumedFacts(policy, {}, 'input', { content_type: 'audio' }, isNamed).contentTypes, assumedFacts(policy, {}, 'input', {}, isNamed).contentTypes], [['audio'], ['text']]);
});

t.test('an assumed score of a category that is reached by name alone is not under *', async (t) => {
  const source = (category: string): string => `policy: p\ndefault_action: allow\nrules: [ { id: r, when: { score: "names.${category}", gte: 0.5 }, action: block } ]\ncases:\n  - { name: n, direction: input, scores: { names.who: 0.9 }, expect: { action: ${category === '*' ? 'allow' : 'block'} } }\n`;
  for (const category of ['*', 'who']) {
    const own = requirePolicy(source(category), 'p.yaml');
    t.match((await runCases({ ...stage(source(category)), policy: own }, { clock })).cases, [{ state: 'PASS' }], category);
  }
});

t.test('a case does not change another, whatever is added and in whatever order', async (t) => {
  const entry = fc.record({ score: fc.constantFrom(0, 0.4, 0.6, 0.95, 'unknown' as const), category: fc.constantFrom('hate', 'spam'), action: fc.constantFrom('allow', 'warn', 'block'), text: fc.option(fc.constantFrom('abc', 'broken', 'abc?'), { nil: undefined }) });
  const cases = fc.array(entry, { maxLength: 8 }).map((all) => all.map(({ score, category, action, text }, index): PolicyCase => ({ name: `case ${index}`, direction: 'input', scores: { [`tox.${category}`]: score }, context: {}, expect: { action: action as 'allow' }, ...(text === undefined ? {} : { text }) })));
  await fc.assert(fc.asyncProperty(cases, fc.nat(), async (all, at) => {
    const base = stage(RULES);
    const told = async (some: readonly PolicyCase[]) => new Map((await runCases({ ...base, policy: { ...base.policy, cases: some } }, { clock: () => 0 })).cases.map((result) => [result.name, JSON.stringify(result)]));
    const whole = await told(all);
    const less = await told(all.filter((_, index) => index !== at % Math.max(1, all.length)));
    const reversed = await told([...all].reverse());
    return [...less].every(([name, result]) => whole.get(name) === result) && [...whole].every(([name, result]) => reversed.get(name) === result);
  }), { numRuns: 200 });
  t.pass('200 runs');
});

// The real plan.

function planned(source: string, classifiers: readonly Classifier[] = [testPii()]): CaseStage {
  const ensemble = new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), deadlineMs: 10_000 });
  return stageOf(compilePlan(requirePolicy(source, 'p.yaml'), classifiers, { file: 'p.yaml', failMode: 'open', hashKey: Buffer.alloc(32, 7), ensemble }));
}

/** Those that a policy may name and that need no options, as the configuration has them by default. */
const embedded = (): readonly Classifier[] => [testPii('pii', true), createToxicity({ id: 'toxicity' }), createInjection({ id: 'prompt-injection' }), createJailbreak({ id: 'jailbreak' })];

const REAL = `policy: p
message: no
patterns: [ { id: bird, literal: Bluebird, ignore_case: true } ]
rules:
  - { id: bird, priority: 1, direction: output, when: { score: patterns.bird, eq: 1 }, action: block }
  - { id: secret, priority: 2, direction: output, when: { score: pii.SECRET, gte: 0.5 }, action: replace, message: never }
  - { id: mail, priority: 3, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }
  - { id: gone, priority: 4, when: { score: toxicity.hate, gte: 0.5 }, action: block }
`;

t.test('texts through the real plan: prompts as one, answers however they are cut', async (t) => {
  const run = planned(REAL);
  const { outcomes, facts } = await run.screen('write to ana@example.com, please', 'output', {}, undefined);
  t.same(outcomes.map(({ way }) => way), ['whole', 'in pieces of 1 character', 'in pieces of 3 characters', 'in pieces of 16 characters']);
  for (const { action, rules, text } of outcomes) t.same([action, rules, text], ['redact', ['mail'], 'write to [EMAIL], please']);
  t.match(facts, { direction: 'output', context: { direction: 'output', content_type: 'text' }, results: [{ classifier_id: 'pii', category: 'EMAIL' }] });
  const prompt = await run.screen('write to ana@example.com', 'input', { surface: 'kids' }, undefined);
  t.same(prompt.outcomes, [{ way: 'whole', action: 'redact', rules: ['mail'], text: 'write to [EMAIL]' }]);
  t.equal(prompt.facts.context.surface, 'kids');
  const blocked = await run.screen('mail ana@example.com about BLUEBIRD and more', 'output', {}, undefined);
  for (const { action, rules, text } of blocked.outcomes) t.same([action, rules, text], ['block', ['bird'], ''], 'the decision that did most, by its rule alone');
  const replaced = await run.screen('password: hunter2-hunter2-x', 'output', {}, undefined);
  for (const outcome of replaced.outcomes) t.match(outcome, { action: 'replace', rules: ['secret'], text: 'never' });
  t.same((await run.screen('', 'output', {}, undefined)).outcomes.map(({ action, text }) => [action, text]), [['allow', '']]);
  const assumed = await run.screen('write to ana@example.com', 'output', {}, [{ classifier_id: 'pii', category: 'IBAN', score: 1, label: 'IBAN', spans: [], latency_ms: 0 }]);
  t.same(assumed.outcomes.map(({ action }) => action), ['allow'], 'assumed scores stand in place of those of their classifier');
  t.same((await run.screen('', 'input', {}, [{ classifier_id: 'toxicity', category: 'hate', score: 1, label: 'hate', spans: [], latency_ms: 0 }])).outcomes.map(({ action, rules }) => [action, rules]), [['block', ['gone']]]);
});

t.test('a policy that answers instead of blocking says so', async (t) => {
  const { outcomes } = await planned(REAL.replace('message: no', 'message: sorry\non_block: fallback')).screen('Bluebird', 'output', {}, undefined);
  t.same([...new Set(outcomes.map(({ text }) => text))], ['sorry']);
});

/** Knows one word, and scores a text by it. */
const TOXICITY: Classifier = {
  id: 'toxicity', version: '1', categories: [{ id: 'hate', definition: 'A word.' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'fast', needsContext: false,
  classify: async ({ content }) => [{ classifier_id: 'toxicity', category: 'hate', score: content.includes('NASTY') ? 0.9 : 0, label: 'HATE', spans: [], latency_ms: 1 }],
};

t.test('scored classifiers judge answers window by window, as in a stream', async (t) => {
  const rules = 'rules:\n  - { id: hate, when: { score: toxicity.hate, gte: 0.5 }, action: block }\n';
  const outcomes = async (head: string, text: string) => {
    const plan = compilePlan(requirePolicy(`policy: p\n${head}${rules}`, 'p.yaml'), [testPii(), TOXICITY], { file: 'p.yaml', ensemble: new Ensemble({ classifiers: [{ classifier: TOXICITY }], deadlineMs: 10_000 }) });
    return (await stageOf(plan).screen(text, 'output', {}, undefined)).outcomes;
  };
  for (const mode of ['hold', 'trail']) {
    const blocked = await outcomes(`stream: { mode: ${mode} }\n`, 'All is well. This is NASTY. And more.');
    t.equal(blocked.length, 4);
    for (const { action, rules: by, text } of blocked) t.same([action, by, text], ['block', ['hate'], '']);
    const passed = await outcomes(`stream: { mode: ${mode} }\n`, 'All is well.');
    for (const { action, text } of passed) t.same([action, text], ['allow', mode === 'hold' ? 'All is well.' : undefined], 'what does not wait leaves as it is cut');
  }
  const late = await outcomes('screening: { mode: async }\n', 'This is NASTY.');
  for (const { action } of late) t.equal(action, 'block', 'what is heard after the fact is heard in time here');
});

t.test('a rule on the language of a prompt', async (t) => {
  const stage = planned('policy: p\nrules:\n  - { id: foreign, direction: input, when: { not: { any: [ { context: language, eq: en }, { context: language, eq: und } ] } }, action: warn }\n');
  const actionOf = async (text: string, context = {}) => (await stage.screen(text, 'input', context, undefined)).outcomes[0].action;
  t.equal(await actionOf('What is the weather like in the mountains, and where do we go from here?'), 'allow');
  t.equal(await actionOf('Wie ist das Wetter in den Bergen, und wohin gehen wir von hier aus weiter?'), 'warn');
  t.equal(await actionOf('42'), 'allow');
  t.equal(await actionOf('42', { language: 'de' }), 'warn', 'what a case says counts');
});

t.test('a long answer is cut into fewer pieces, and the same comes of it', async (t) => {
  const text = `${'word '.repeat(4_000)}ana@example.com`;
  const { outcomes } = await planned(REAL).screen(text, 'output', {}, undefined);
  t.same(outcomes.map(({ way }) => way), ['whole', 'in pieces of 6 characters', 'in pieces of 16 characters']);
  for (const outcome of outcomes) t.equal(outcome.text, text.replace('ana@example.com', '[EMAIL]'));
});

t.test('every case of the policies that come with Weir passes, and every rule has one', async (t) => {
  const dir = join(import.meta.dirname, '../../config/policies');
  const files = readdirSync(dir).filter((name) => name.endsWith('.yaml'));
  t.same(files, ['default.yaml', 'kids.yaml', 'monitor.yaml', 'pii-only.yaml', 'strict.yaml', 'support-bot.yaml']);
  for (const file of files) {
    const report = await runCases(planned(readFileSync(join(dir, file), 'utf8'), embedded()), { clock });
    t.same(report.cases.filter(({ state }) => state !== 'PASS'), [], file);
    t.same(report.uncovered, [], `${file}: every rule has a case`);
    const closed = requirePolicy(readFileSync(join(dir, file), 'utf8'), file);
    for (const direction of ['input', 'output'] as const) {
      const facts = { direction, results: [], classifiers: new Map([['pii', 'ok'], ['patterns', 'ok']] as const), context: { time: '2026-01-05T09:00:00Z' }, contentTypes: ['text' as const] };
      // That for children is closed: what nobody judged is not answered.
      t.equal(decide(closed, facts, 'closed').action, file === 'kids.yaml' ? 'block' : 'allow', `${file}: where only pii is configured`);
    }
  }
});

t.test('what commands print and the API answers: a policy that cannot be used is a finding, and a rule without a case where it is asked for', async (t) => {
  const refused: PolicyTest = { file: 'a.yaml', issues: [] };
  const passing: PolicyTest = { file: 'b.yaml', issues: [], report: { policy: 'b', revision: '1', cases: [{ name: 'c', state: 'PASS', problems: [], rules: [], took_ms: 1 }], uncovered: ['r'] } };
  const filtered: PolicyTest = { ...passing, report: { policy: 'b', revision: '1', cases: [] } };
  t.same([[refused], [passing], [filtered]].map((tests) => [hasFindings(tests), hasFindings(tests, true)]), [[true, true], [false, true], [false, false]]);
  t.same(testJson([refused, filtered]), { ok: false, policies: [{ file: 'a.yaml', issues: [] }, { file: 'b.yaml', issues: [], policy: 'b', revision: '1', cases: [] }] });
});
