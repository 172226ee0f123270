/**
 * A policy beside the one that is enforced: on the same scores, with patterns of its own that nobody else sees, asking
 * for nothing and holding nothing back. A shadow that says the same decides the same, however an answer is cut.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Segment } from '../../src/contract/exchange.ts';
import type { ClassifierResult, Context, ScreeningRequest } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { ENSEMBLE, ensembleOf } from '../../src/screen/combine.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { compilePlan, type PlanOptions, type ScreeningPlan } from '../../src/screen/plan.ts';
import { classifierOf, scored } from '../helpers/classifiers.ts';
import { cutBytes, guarded, STREAM_REQUEST } from '../helpers/guarded.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { createGuard, type GuardSummary } from '../../src/stream/guard.ts';
import { testPii } from '../helpers/pii.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

function planOf(policy: string, shadow: string | undefined, classifiers: readonly Classifier[] = [testPii()], options: Partial<PlanOptions> = {}): ScreeningPlan {
  const known = [...classifiers, { id: ENSEMBLE, categories: [{ id: 'a' }, { id: 'b' }] }];
  return compilePlan(requirePolicy(policy, 'p.yaml', known), classifiers, { file: 'p.yaml', hashKey: Buffer.alloc(32, 3), ...(shadow === undefined ? {} : { shadow: requirePolicy(shadow, 's.yaml', known) }), ...options });
}

const text = (content: string, more: Partial<Segment> = {}): Segment => ({ path: 'a', carrier: 'a', contentType: 'text', content, history: false, ...more });

async function onPrompt(plan: ScreeningPlan, segments: readonly Segment[], context: Context = {}) {
  const screened = await plan.screen(segments, 'input', context);
  const { action } = plan.decide(screened, 'input', context);
  return { action, shadow: plan.shadowed?.(screened, 'input', context), results: screened.segments.flatMap(({ results }) => results) };
}

/** A streamed answer that says these texts, one after the other. */
function chat(...texts: readonly string[]): Buffer {
  return Buffer.from([...texts.map((content) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`), 'data: [DONE]\n\n'].join(''));
}

async function answered(plan: ScreeningPlan, stream: Buffer): Promise<GuardSummary> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const guard = createGuard({
    dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 },
    onBytes: () => undefined, onDone: () => resolve(),
  });
  guard.feed(stream);
  guard.end();
  await promise;
  return guard.summary();
}

const ANY = 'policy: main\ndefault_action: allow\nrules:\n  - { id: any, when: { score: "*.*", gte: 0.5 }, action: block }\n';
const WORD = (id: string, literal: string, action = 'block') => `policy: next\npatterns:\n  - { id: word, literal: [${literal}] }\nrules:\n  - { id: ${id}, when: { score: patterns.word, gte: 0.5 }, action: ${action} }\n`;

t.test('without a shadow there is nothing to say', async (t) => {
  const plan = planOf(ANY, undefined);
  t.equal(plan.shadowed, undefined);
  t.equal(plan.forOutput({}).shadowed, undefined);
  t.notOk(Object.hasOwn(guarded(plan, [chat('hello')]).summary.decision, 'shadow'));
});

t.test('its own patterns are its alone, whatever the enforced policy reads', async (t) => {
  const plan = planOf(ANY, WORD('found', 'Bluebird'));
  t.match(await onPrompt(plan, [text('about Bluebird')]), { action: 'allow', results: [], shadow: { policy: /^next@[0-9a-f]{12}$/, action: 'block', triggered_rules: ['found'], degraded: [] } });
  t.match(await onPrompt(plan, [text('about nothing')]), { action: 'allow', shadow: { action: 'allow', triggered_rules: [] } });
  t.match(await onPrompt(plan, [text('ana@example.com')]), { action: 'block', shadow: { action: 'allow' } });
  const { decision } = guarded(plan, [chat('about Blue', 'bird, and more')]).summary;
  t.match(decision, { action: 'allow', triggered_rules: [], classifier_results: [], shadow: { action: 'block', triggered_rules: ['found'] } });

  const same = planOf(WORD('own', 'Heron').replace('next', 'main'), WORD('found', 'Bluebird'));
  t.match(await onPrompt(same, [text('a Bluebird')]), { action: 'allow', shadow: { action: 'block' } });
  t.match(await onPrompt(same, [text('a Heron')]), { action: 'block', results: [{ classifier_id: 'patterns', category: 'word' }], shadow: { action: 'allow' } }, 'nor does it see those of the enforced');
  t.match(guarded(same, [chat('a Heron')]).summary.decision, { action: 'block', shadow: { action: 'allow' } });
  t.match(await onPrompt(planOf(ANY, WORD('found', 'Bluebird')), [text('B l u e b i r d')]), { shadow: { action: 'block' } }, 'in disguise as well');
  t.match(await onPrompt(planOf('policy: main\n', 'policy: next\npatterns:\n  - { id: word, literal: [Bluebird], views: false }\nrules: []\n'), [text('B l u e b i r d')]), { shadow: { action: 'allow' } });
});

t.test('it holds nothing back: an answer leaves when and as it leaves without it', async () => {
  const policy = 'policy: main\nrules:\n  - { id: pii, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }\n';
  const shadow = 'policy: next\npatterns:\n  - { id: long, regex: "Blue[a-z ]{0,200}bird" }\nrules:\n  - { id: r, when: { any: [ { score: patterns.long, gte: 0.5 }, { score: pii.*, gte: 0.5 } ] }, action: block }\n';
  const [alone, both] = [planOf(policy, undefined), planOf(policy, shadow)];
  const part = fc.constantFrom('Blue', 'bird', ' flies ', 'ana@example.com', ' +1 555 555 0100 ', 'and so on');
  fc.assert(fc.property(fc.array(part, { maxLength: 8 }), fc.integer(), (parts, cutSeed) => {
    const chunks = cutBytes(chat(...cutsOf(parts.join(''), cutSeed)), cutSeed, 20);
    const [one, two] = [guarded(alone, chunks), guarded(both, chunks)];
    const { shadow: said, ...decision } = two.summary.decision;
    const same = chunks.every((_, i) => one.prefix(i).equals(two.prefix(i))) && one.bytes.equals(two.bytes) && one.summary.heldCharsMax === two.summary.heldCharsMax;
    const all = parts.join('');
    return same && JSON.stringify(decision) === JSON.stringify(one.summary.decision) && (said!.action === 'block') === /Blue[a-z ]{0,200}bird|@|555/.test(all);
  }), { numRuns: runs(300), seed });
});

t.test('a pattern of it that goes on in the next window does not keep the text of this one', async (t) => {
  const judge = classifierOf('judge', () => []);
  const policy = 'policy: main\nstream: { mode: hold, window: 8 }\nrules:\n  - { id: toxic, when: { score: judge.toxic, gte: 0.5 }, action: block }\n';
  const released = async (shadow: string | undefined): Promise<number> => {
    const out: Buffer[] = [];
    const guard = createGuard({
      dialect: openaiChat, request: STREAM_REQUEST, plan: planOf(policy, shadow, [judge], { deadlineMs: 60_000 }).forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 },
      onBytes: (bytes) => void out.push(Buffer.from(bytes)), onDone: () => undefined,
    });
    guard.feed(chat('abcdBlue', 'bird').subarray(0, -'data: [DONE]\n\n'.length));
    for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
    return Buffer.concat(out).length;
  };
  const alone = await released(undefined);
  t.ok(alone > 0);
  t.equal(await released(WORD('found', 'Bluebird')), alone);
});

t.test('a shadow that says the same decides the same, in both directions', async (t) => {
  const rules = `default_action: warn
patterns:
  - { id: word, literal: [Bluebird] }
rules:
  - { id: both, priority: 1, when: { all: [ { score: patterns.word, gte: 0.5 }, { score: pii.EMAIL, gte: 0.5 } ] }, action: block }
  - { id: judged, priority: 2, on_unknown: open, when: { score: judge.toxic, gte: 0.5 }, action: escalate }
  - { id: mail, priority: 3, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }
`;
  const judge = classifierOf('judge', ({ content }) => (content.includes('odd') ? [{ classifier_id: 'judge', category: 'toxic', unknown: true, reason: 'error', latency_ms: 0 }] : [scored('judge', content.includes('vile') ? 0.9 : 0)]));
  const plan = planOf(`policy: main\n${rules}`, `policy: next\n${rules}`, [testPii(), judge], { deadlineMs: 60_000 });
  const seen = new Set<string>();
  for (const words of [[], ['Bluebird'], ['ana@example.com'], ['vile'], ['odd'], ['vile', 'ana@example.com'], ['odd', 'ana@example.com', 'Bluebird'], ['ana@example.com', 'odd'], ['Bluebird', 'vile', 'ana@example.com']]) {
    const all = `${words.join('. Then we went on to ')}. `;
    const { decision } = await answered(plan, chat(...cutsOf(all, 7)));
    t.match(decision.shadow, { action: decision.action, triggered_rules: decision.triggered_rules, degraded: decision.degraded }, all);
    const { action, shadow } = await onPrompt(plan, [text(all)]);
    t.equal(shadow!.action, action, all);
    seen.add(action).add(decision.action);
  }
  t.same([...seen].sort(), ['block', 'escalate', 'redact', 'warn']);
});

t.test('classifiers are asked once, and for answers only those that the enforced policy reads', async (t) => {
  const asked: ScreeningRequest[] = [];
  const judge = (id: string) => classifierOf(id, (request) => {
    asked.push(request);
    return [scored(id, 0.9)];
  });
  const classifiers = [judge('one'), judge('two')];
  const rule = (id: string) => `  - { id: ${id}, when: { score: ${id}.toxic, gte: 0.5 }, action: warn }\n`;
  const plan = planOf(`policy: main\nrules:\n${rule('one')}`, `policy: next\nrules:\n${rule('one')}  - { id: two, priority: 1, on_unknown: open, when: { score: two.toxic, gte: 0.5 }, action: block }\n`, classifiers, { deadlineMs: 60_000 });
  t.match(await onPrompt(plan, [text('hello')]), { action: 'warn', shadow: { action: 'block', triggered_rules: ['two'], degraded: [] } });
  t.equal(asked.length, 2);
  const { decision } = await answered(plan, chat('hello'));
  t.match(decision, { action: 'warn', shadow: { action: 'warn', triggered_rules: ['one'], degraded: ['two'] } }, 'what nobody asked for is unknown, never 0');
  t.equal(asked.length, 3);
});

t.test('a combination that the enforced policy does not read is unknown for answers', async (t) => {
  const judge = classifierOf('judge', () => [scored('judge', 0.2)]);
  const combine = ['a', 'b'].map((category) => ({ category, method: 'max' as const, of: { 'judge.toxic': 1 }, bias: 0, missing: 'unknown' as const, quorum: 1 }));
  const ensemble = new Ensemble({ classifiers: [{ classifier: judge }], combine, deadlineMs: 60_000 });
  t.equal(ensembleOf(combine, [judge]).length, 1);
  const rule = (id: string) => `  - { id: ${id}, on_unknown: open, when: { score: ensemble.${id}, lt: 0.1 }, action: block }\n`;
  const plan = planOf(`policy: main\nrules:\n${rule('a')}`, `policy: next\nrules:\n${rule('a')}${rule('b')}`, [judge], { ensemble });
  const { decision } = await answered(plan, chat('hello'));
  t.match(decision, { action: 'block', triggered_rules: ['a'] }, 'before any score there is none above 0');
  t.match(decision.shadow, { action: 'block', triggered_rules: ['a'], degraded: [] });
  const only = planOf(`policy: main\nrules:\n${rule('a').replace('lt: 0.1', 'gte: 0.9')}`, `policy: next\nrules:\n${rule('b')}`, [judge], { ensemble });
  t.match((await answered(only, chat('hello'))).decision.shadow, { action: 'allow', degraded: ['b'] });
});

t.test('it decides by its own history, and blocks what it cannot redact', async (t) => {
  const old = text('about Bluebird', { history: true });
  const shadow = WORD('found', 'Bluebird');
  t.match(await onPrompt(planOf('policy: main\nhistory: all\n', shadow), [old, text('now')]), { shadow: { action: 'allow' } });
  t.match(await onPrompt(planOf('policy: main\n', `${shadow}history: all\n`), [old, text('now')]), { shadow: { action: 'block' } });
  const eye: Classifier = { ...classifierOf('eye', () => [{ classifier_id: 'eye', category: 'toxic', score: 1, label: 'TOXIC', spans: [], latency_ms: 0 } satisfies ClassifierResult]), contentTypes: ['image'] };
  const redact = 'policy: next\nrules:\n  - { id: seen, when: { score: eye.toxic, gte: 0.5 }, action: redact }\n';
  t.match(await onPrompt(planOf('policy: main\n', redact, [eye], { deadlineMs: 60_000 }), [text('QUJD', { contentType: 'image' })]), { action: 'allow', shadow: { action: 'block', triggered_rules: ['seen'] } });
});

t.test('it sees the language of the prompt, what an answer holds besides text, and no more of a text that it would have stopped', async (t) => {
  const plan = planOf('policy: main\n', `policy: next
patterns: [ { id: word, literal: [Bluebird] }, { id: late, literal: [Heron] } ]
rules:
  - { id: german, priority: 1, when: { context: language, eq: de }, action: block }
  - { id: word, priority: 2, when: { score: patterns.word, gte: 0.5 }, action: block }
  - { id: late, priority: 1, when: { score: patterns.late, gte: 0.5 }, action: replace, message: no }
  - { id: sound, priority: 3, when: { context: content_type, eq: audio }, action: warn }
`);
  t.match(await onPrompt(plan, [text('Das ist ein Text auf Deutsch, und er ist lang genug, damit man es merkt.')]), { shadow: { triggered_rules: ['german'] } });
  const output = plan.forOutput({});
  output.meets('audio');
  t.match(output.shadowed?.(), { action: 'warn', triggered_rules: ['sound'] });
  t.same(guarded(plan, [chat('Bluebird ', 'and ', 'Heron ')]).summary.decision.shadow?.triggered_rules, ['word']);
});
