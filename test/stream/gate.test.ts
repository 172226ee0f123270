/**
 * Text that waits for scores: windows cut by the text, scores in any order and at any time, and the same answer for
 * every cut; trail mode, where text leaves and a violation cuts the stream.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { ClassifierResult } from '../../src/contract/screening.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { createGuard } from '../../src/stream/guard.ts';
import { CONTEXT_BEFORE_CHARS, SENTENCE_CHARS_MAX, WindowCutter, type TextWindow, type WindowRule } from '../../src/text/windows.ts';
import { testPii } from '../helpers/pii.ts';
import { accumulated, cutBytes, eventsOf, STREAM_REQUEST } from '../helpers/guarded.ts';
import { cutsOf, randomOf, runs, seed } from '../helpers/runs.ts';

function windowsOf(rule: WindowRule, pieces: readonly string[]): TextWindow[] {
  const cutter = new WindowCutter(rule);
  return [...pieces.flatMap((piece) => [...cutter.feed(piece)]), ...cutter.flush()];
}

t.test('windows', async (t) => {
  const texts = (rule: WindowRule, text: string): string[] => windowsOf(rule, [text]).map((w) => w.text);
  t.same(texts('sentence', 'It was late, and the team met. Then we went home (all of us). "Really?" Yes'), ['It was late, and the team met. ', 'Then we went home (all of us). ', '"Really?" Yes']);
  t.same(texts('sentence', 'See e.g. Mr. Smith et al. for more on that.'), ['See e.g. Mr. Smith et al. ', 'for more on that.']);
  t.same(texts('sentence', 'A first line of some length\nA second line of some length\n'), ['A first line of some length\n', 'A second line of some length\n']);
  t.same(texts('sentence', '今天天气很好，我们一起去公园散步，然后回家吃饭好不好。明天呢？'), ['今天天气很好，我们一起去公园散步，然后回家吃饭好不好。', '明天呢？']);
  t.same(texts(4, 'abcdefghi'), ['abcd', 'efgh', 'i']);
  t.same(texts(4, 'abc😀def'), ['abc', '😀de', 'f']);
  t.same(texts('whole', 'One. Two. Three, and more of it. Four.'), ['One. Two. Three, and more of it. Four.']);
  const long = texts('sentence', `${'word '.repeat(200)}`);
  t.ok(long.every((w) => w.length <= SENTENCE_CHARS_MAX && w.endsWith(' ')), 'a sentence without an end is cut at white space');
  t.equal(texts('sentence', 'x'.repeat(1000))[0]?.length, SENTENCE_CHARS_MAX);
  const [, , third] = windowsOf('sentence', ['a'.repeat(200) + '. ' + 'b'.repeat(30) + '. ' + 'c']);
  t.equal(third?.before.length, CONTEXT_BEFORE_CHARS);
  t.same(windowsOf('sentence', []), []);
});

t.test('windows do not depend on the pieces, follow each other, and lose nothing', async () => {
  const part = fc.constantFrom('word', ' ', '. ', '! ', '?" ', '\n', '。', '😀', 'e.g.', 'a long stretch of words without an end ', '.', '\t');
  fc.assert(fc.property(fc.array(part, { maxLength: 60 }), fc.constantFrom<WindowRule>('sentence', 'whole', 1, 7, 40), fc.integer(), (parts, rule, cutSeed) => {
    const text = parts.join('');
    const whole = windowsOf(rule, [text]);
    return JSON.stringify(windowsOf(rule, cutsOf(text, cutSeed, 2))) === JSON.stringify(whole) && whole.map((w) => w.text).join('') === text && whole.every((w, i) => w.start === (whole[i - 1]?.end ?? 0) && w.end - w.start === w.text.length);
  }), { numRuns: runs(2_000), seed });
});

/** Scores `bad` by the share of the word in a window; answers after as many turns as `delay` says. */
function judgeClassifier(delay: (content: string) => number, seen: string[] = []): Classifier {
  return {
    id: 'judge', version: '1', categories: [{ id: 'bad', definition: 'says bad' }, { id: 'odd', definition: 'says odd' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'fast', needsContext: false,
    async classify({ content }) {
      seen.push(content);
      for (let i = delay(content); i > 0; i -= 1) await new Promise((resolve) => setImmediate(resolve));
      const at = content.indexOf('odd');
      const result = (category: string, score: number, spans: { start: number; end: number }[]): ClassifierResult => ({ classifier_id: 'judge', category, score, label: category.toUpperCase(), spans, latency_ms: 0 });
      return [result('bad', content.includes('bad') ? 1 : 0, []), result('odd', at < 0 ? 0 : 1, at < 0 ? [] : [{ start: at, end: at + 3 }])];
    },
  };
}

const POLICY = `policy: test
default_action: allow
STREAM
rules:
  - { id: bad, priority: 1, direction: output, when: { score: judge.bad, gte: 0.5 }, action: ACTION }
  - { id: rest, priority: 2, direction: output, when: { any: [{ score: judge.odd, gte: 0.5 }, { score: pii.*, gte: 0.5 }] }, action: redact }
`;

function planWith(classifier: Classifier, action = 'block', stream = ''): ScreeningPlan {
  const source = POLICY.replace('ACTION', action).replace('STREAM', stream);
  return compilePlan(requirePolicy(source, 'test.yaml'), [testPii(), classifier], { file: 'test.yaml', deadlineMs: 5_000 });
}

interface Run {
  readonly bytes: Buffer;
  readonly blocked: boolean;
  /** What had left when the upstream ended. */
  readonly atEnd: Buffer;
}

function run(plan: ScreeningPlan, chunks: readonly Buffer[], pause: () => Promise<void> | undefined = () => undefined, mediaType = 'text/event-stream'): Promise<Run> {
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    let atEnd = Buffer.alloc(0);
    let over = false;
    const guard = createGuard({
      dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType, limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 },
      onBytes: (bytes) => void out.push(Buffer.from(bytes)),
      onDone: ({ blocked }) => { over = true; setImmediate(() => resolve({ bytes: Buffer.concat(out), blocked, atEnd })); },
    });
    (async () => {
      for (const chunk of chunks) {
        if (over) return;
        guard.feed(chunk);
        await pause();
      }
      guard.end();
      atEnd = Buffer.concat(out);
    })().catch(reject);
  });
}

const chunk = (body: object, finish: string | null = null): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: body, finish_reason: finish }] })}\n\n`);
const END = [chunk({}, 'stop'), Buffer.from('data: [DONE]\n\n')];
const answer = (text: string, field = 'content', pieceSeed = 1): Buffer[] => [...cutsOf(text, pieceSeed).map((piece) => chunk(field === 'arguments' ? { tool_calls: [{ index: 0, function: { arguments: piece } }] } : { [field]: piece })), ...END];

const GOOD = 'The first sentence is about something. The second mentions ana@example.com and the odd word. The third ends it. ';

t.test('text waits for its window, then leaves; patterns and scores are both redacted', async (t) => {
  const seen: string[] = [];
  const { bytes, blocked } = await run(planWith(judgeClassifier(() => 2, seen)), answer(GOOD));
  t.equal(blocked, false);
  t.equal(accumulated(bytes)['0/content'], 'The first sentence is about something. The second mentions [EMAIL] and the [ODD] word. The third ends it. ');
  t.same(seen, ['The first sentence is about something. ', 'The second mentions ana@example.com and the odd word. ', 'The third ends it. '], 'each window is scored once');
  t.equal(eventsOf(bytes).at(-1).choices[0].finish_reason, 'stop');
});

t.test('a violation in a window stops the stream before it', async (t) => {
  const { bytes, blocked } = await run(planWith(judgeClassifier(() => 3)), answer(`${GOOD}Now something bad is said. More.`));
  t.equal(blocked, true);
  t.match(accumulated(bytes)['0/content'], /\[ODD\] word\. $/);
  t.notMatch(bytes.toString(), /bad|third/);
  t.equal(eventsOf(bytes).at(-1).choices[0].finish_reason, 'content_filter');
});

t.test('a score without spans redacts its window', async (t) => {
  const { bytes } = await run(planWith(judgeClassifier(() => 0), 'redact'), answer('All is well here, they said. Now bob@example.org says something bad. Fine.'));
  t.equal(accumulated(bytes)['0/content'], 'All is well here, they said. [BAD]Fine.');
});

t.test('whatever the cut and whatever the order of scores: the same text', async (t) => {
  const part = fc.constantFrom('A sentence of some length. ', 'It has the odd word in it. ', 'Something bad. ', 'write to ana@example.com ', 'call 4111 1111 1111 1111 now. ', 'x', '\n');
  await fc.assert(fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), fc.integer(), fc.integer(), fc.constantFrom('block', 'redact'), fc.constantFrom('', 'stream: { window: 30 }', 'stream: { window: whole }'), async (parts, cutSeed, timeSeed, action, stream) => {
    const text = parts.join('');
    const random = randomOf(timeSeed);
    const plain = await run(planWith(judgeClassifier(() => 0), action, stream), answer(text, 'content', 1));
    const timed = await run(planWith(judgeClassifier(() => Math.floor(random() * 8)), action, stream), cutBytes(Buffer.concat(answer(text, 'content', cutSeed)), cutSeed, 60), () => (random() < 0.5 ? new Promise((resolve) => setImmediate(resolve)) : undefined));
    return plain.blocked === timed.blocked && accumulated(plain.bytes)['0/content'] === accumulated(timed.bytes)['0/content'];
  }), { numRuns: runs(300), seed });
  t.pass(`seed ${seed}`);
});

t.test('arguments and whole answers wait for all of their text', async (t) => {
  const json = JSON.stringify({ note: `${GOOD}bad` });
  const args = await run(planWith(judgeClassifier(() => 1)), answer(json, 'arguments'));
  t.equal(args.blocked, true);
  t.equal(accumulated(args.bytes)['0/0/arguments'], undefined, 'no half of the arguments leaves');
  const fine = await run(planWith(judgeClassifier(() => 1)), answer(JSON.stringify({ note: GOOD }), 'arguments'));
  t.match(JSON.parse(accumulated(fine.bytes)['0/0/arguments'] as string).note, /\[EMAIL\] and the \[ODD\]/);
  const body = (content: string): Buffer[] => [Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { content }, finish_reason: 'stop' }] }))];
  t.match((await run(planWith(judgeClassifier(() => 2)), body(GOOD), undefined, 'application/json')).bytes.toString(), '[EMAIL] and the [ODD]');
  t.match(JSON.parse((await run(planWith(judgeClassifier(() => 2)), body(`${GOOD} bad`), undefined, 'application/json')).bytes.toString()), { choices: [{ finish_reason: 'content_filter', message: { content: '' } }] });
});

t.test('trail: text leaves at once, a violation cuts the stream, and the end waits for the last scores', async (t) => {
  const plan = planWith(judgeClassifier(() => 4), 'block', 'stream: { mode: trail, window: sentence }');
  const { bytes, blocked, atEnd } = await run(plan, [...answer(`${GOOD}Now something bad is said. More.`).slice(0, -2)], () => undefined);
  t.match(accumulated(atEnd)['0/content'], 'something bad is said.', 'it had left');
  t.match(accumulated(atEnd)['0/content'], '[EMAIL]', 'patterns are redacted all the same');
  t.equal(blocked, true);
  t.match(bytes.toString(), /content_filter/);
  t.equal((await run(plan, answer(GOOD))).blocked, false);
});

t.test('a rule that only warns makes nothing wait', async (t) => {
  const plan = planWith(judgeClassifier(() => 4), 'warn').forOutput({});
  t.equal(plan.scoring?.mode, 'hold', 'the other rule redacts by score');
  const warns = compilePlan(requirePolicy(POLICY.replace('ACTION', 'warn').replace('STREAM', '').replace('action: redact', 'action: warn'), 'x'), [testPii(), judgeClassifier(() => 0)], { file: 'x' });
  t.equal(warns.forOutput({}).scoring?.mode, 'trail');
  const none = compilePlan(requirePolicy('policy: x\ndefault_action: allow\nrules: []\n', 'x'), [judgeClassifier(() => 0)], { file: 'x' });
  t.equal(none.forOutput({}).scoring, undefined, 'no rule reads it: it is not asked');
});

t.test('an upstream that dies ends the waiting', async (t) => {
  const plan = planWith(judgeClassifier(() => 50));
  const out: Buffer[] = [];
  const guard = createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 }, onBytes: (b) => void out.push(b), onDone: () => t.fail('a failure is no end') });
  guard.feed(Buffer.concat(answer(GOOD).slice(0, -2)));
  t.match(guard.fail('upstream_unreachable', 'gone')?.toString(), /"error"/);
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(out.length, 0, 'late scores release nothing');
});

t.test('a stream that waits for its scores may wait up to the limit of an answer, not longer', async (t) => {
  const plan = planWith(judgeClassifier(() => 0), 'block', 'stream: { window: whole }');
  const make = (max: number) => createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: max }, onBytes: () => undefined, onDone: () => undefined });
  const events = Buffer.concat(Array.from({ length: 20 }, () => chunk({ content: 'word ' })));
  t.throws(() => make(events.length - 1).feed(events), { code: 'response_too_large' });
  t.doesNotThrow(() => make(events.length).feed(events));
});

t.test('a match that began before the window that is blocked shows nothing of itself', async (t) => {
  const policy = requirePolicy('policy: p\nstream: { mode: hold, window: 7 }\npatterns: [ { id: word, label: WORD, literal: [Heron] } ]\nrules:\n  - { id: r, direction: output, when: { any: [ { score: judge.bad, gte: 0.5 }, { score: patterns.word, gte: 1 } ] }, action: block }\n', 'p.yaml');
  const plan = compilePlan(policy, [judgeClassifier(() => 1)], { file: 'p.yaml', deadlineMs: 20_000 });
  for (let before = 0; before < 8; before++) {
    const out: Buffer[] = [];
    const { promise, resolve } = Promise.withResolvers<{ readonly blocked: boolean }>();
    const guard = createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 }, onBytes: (bytes) => void out.push(bytes), onDone: resolve });
    guard.feed(Buffer.from(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { content: `${'x'.repeat(before)} Heron and more of it` }, finish_reason: null }] })}\n\n`));
    guard.end();
    t.equal((await promise).blocked, true);
    t.match(accumulated(Buffer.concat(out))['0/content'] ?? '', /^x* ?$/, `after ${before} characters`);
  }
});
