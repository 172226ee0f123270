/**
 * Answers that wait for a person: whatever the cut, the dialect and the moment, nothing from the held text on leaves
 * while it waits; let go, the stream is the one that would have been; stopped, it is the one that is blocked there.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Release } from '../../src/contract/hold.ts';
import { anthropicMessages } from '../../src/dialect/anthropic-messages.ts';
import type { Dialect } from '../../src/dialect/dialect.ts';
import { openaiSpeech } from '../../src/dialect/openai-audio.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { Pseudonyms } from '../../src/screen/pseudonyms.ts';
import { createGuard, type Guard, type GuardOptions } from '../../src/stream/guard.ts';
import { messageEvents, readStream } from '../helpers/anthropic.ts';
import { accumulated, cutBytes, eventsOf, STREAM_REQUEST } from '../helpers/guarded.ts';
import { framesOf, responseEvents } from '../helpers/responses.ts';
import { cutsOf, randomOf, runs, seed } from '../helpers/runs.ts';
import { chatEvents } from '../helpers/upstream.ts';

/** Says `bad` of windows that say so, some turns of the loop later. */
const judge: Classifier = {
  id: 'judge', version: '1', categories: [{ id: 'bad', definition: 'says bad' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'fast', needsContext: false,
  async classify({ content }) {
    for (let i = content.length % 3; i > 0; i--) await turn();
    const at = content.indexOf('bad');
    return at < 0 ? [] : [{ classifier_id: 'judge', category: 'bad', score: 1, label: 'BAD', spans: [{ start: at, end: at + 3 }], latency_ms: 0 }];
  },
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const HELD = (then: string): string => `escalate, hold: { for: 1s, then: ${then} }`;
const WORDS = `{ id: word, label: WORD, regex: 'H[ae]r{1,9}on', matches: [Heron], ignores: [heron] }`;

const plans = new Map<string, ScreeningPlan>();
function planWith(action: string, more = '', rule = '{ score: patterns.word, gte: 1 }'): ScreeningPlan {
  const text = `policy: p\n${more}\npatterns: [ ${WORDS}, { id: other, label: OTHER, literal: [Stork] }, { id: idle, label: IDLE, literal: [Now] } ]\nrules:\n  - { id: ask, priority: 5, direction: output, when: ${rule}, action: ${action} }\n  - { id: second, priority: 6, direction: output, when: { score: patterns.other, gte: 1 }, action: redact }\n`;
  const known = plans.get(text) ?? compilePlan(requirePolicy(text, 'p.yaml'), [judge], { file: 'p.yaml', deadlineMs: 20_000 });
  plans.set(text, known);
  return known;
}

interface Run {
  readonly bytes: Buffer;
  readonly blocked: boolean;
  readonly error: Error | undefined;
  readonly holds: number;
  readonly action: string;
  /** What had left at each moment while somebody was waited for. */
  readonly meanwhile: readonly Buffer[];
}

interface Course {
  readonly release?: Release;
  /** How many chunks later, or more than there are: after the end. */
  readonly delay?: number;
  readonly dialect?: Dialect;
  readonly mediaType?: string;
  readonly limits?: Partial<GuardOptions['limits']>;
  readonly onPressure?: (blocked: boolean) => void;
  readonly noHold?: boolean;
  readonly pseudonyms?: Pseudonyms;
}

async function run(plan: ScreeningPlan, chunks: readonly Buffer[], { release = 'allowed', delay = 0, dialect = openaiChat, mediaType = 'text/event-stream', limits = {}, onPressure, noHold = false, pseudonyms }: Course = {}): Promise<Run> {
  const [out, meanwhile]: [Buffer[], Buffer[]] = [[], []];
  let holds = 0;
  let letGo: (() => void) | undefined;
  let waited = 0;
  const { promise, resolve } = Promise.withResolvers<{ readonly blocked: boolean; readonly error?: Error }>();
  const guard: Guard = createGuard({
    dialect, request: { ...STREAM_REQUEST, stream: mediaType === 'text/event-stream' }, plan: plan.forOutput({}, pseudonyms), requestId: 'r', status: 200, mediaType, onPressure,
    limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20, ...limits }, onBytes: (bytes) => void out.push(Buffer.from(bytes)), onDone: resolve,
    ...(noHold ? {} : { hold: () => { holds += 1; return new Promise<Release>((done) => { letGo = () => { letGo = undefined; done(release); }; }); } }),
  });
  const step = async (): Promise<void> => {
    await turn();
    if (letGo === undefined) return;
    meanwhile.push(Buffer.concat(out));
    if (waited++ >= delay) letGo();
  };
  for (const chunk of chunks) {
    guard.feed(chunk);
    await step();
  }
  guard.end();
  const end = setInterval(() => letGo?.(), 1);
  const { blocked, error } = await promise;
  clearInterval(end);
  return { bytes: Buffer.concat(out), blocked, error, holds, action: guard.summary().decision.action, meanwhile };
}

/** Of what was read on meanwhile, more may be known. */
const TOKENS = /"usage":\{[^}]*\}/g;
const textIn = (bytes: Buffer): string => accumulated(bytes)['0/content'] ?? '';

t.test('patterns: for every cut and moment', async () => {
  const part = fc.constantFrom('a ', 'Heron', 'Harrrron, ', 'H', 'er', 'on', '. ', 'Stork ', 'bad ', 'and so on ', '😀');
  await fc.assert(fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 25 }), fc.constantFrom<Release>('allowed', 'refused', 'then'), fc.constantFrom('allow', 'block', 'redact'), fc.nat(8), fc.integer(), fc.integer({ min: 5, max: 200 }), async (parts, release, then, delay, cutSeed, mean) => {
    const text = parts.join('');
    const bytes = Buffer.from(chatEvents(cutsOf(text, cutSeed, 3)).join(''));
    const held = await run(planWith(HELD(then)), cutBytes(bytes, cutSeed, mean), { release, delay });
    const blocking = await run(planWith('block'), [bytes]);
    const twin = release === 'refused' || (release === 'then' && then === 'block') ? blocking : await run(planWith(release === 'then' && then === 'redact' ? 'redact' : 'escalate'), [bytes]);
    const found = /H[ae]r{1,9}on/.test(text);
    const stopped = blocking.blocked;
    return held.holds === (found && stopped ? 1 : 0) && held.blocked === twin.blocked && textIn(held.bytes) === textIn(twin.bytes)
      && held.meanwhile.every((left) => textIn(blocking.bytes).startsWith(textIn(left)) && !left.includes('[DONE]') && !left.includes('"stop"')) && (!found || held.action !== 'allow');
  }), { numRuns: runs(1_000), seed });
});

t.test('scores, by sentence and whole: for every cut and moment', async () => {
  const part = fc.constantFrom('All is well here. ', 'This is bad, it is. ', 'A Heron. ', 'Now then. ', 'and ');
  const rule = '{ any: [ { score: judge.bad, gte: 0.5 }, { score: patterns.word, gte: 1 } ] }';
  await fc.assert(fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 8 }), fc.constantFrom<Release>('allowed', 'refused', 'then'), fc.constantFrom('allow', 'block', 'redact'), fc.constantFrom('sentence', 'whole', '7'), fc.nat(8), fc.integer(), async (parts, release, then, window, delay, cutSeed) => {
    const text = parts.join('');
    const more = `stream: { mode: hold, window: ${window} }`;
    const bytes = Buffer.from(chatEvents(cutsOf(text, cutSeed, 6)).join(''));
    const held = await run(planWith(HELD(then), more, rule), cutBytes(bytes, cutSeed, 90), { release, delay });
    const blocking = await run(planWith('block', more, rule), [bytes]);
    const twin = release === 'refused' || (release === 'then' && then === 'block') ? blocking : await run(planWith(release === 'then' && then === 'redact' ? 'redact' : 'escalate', more, rule), [bytes]);
    return held.holds === (blocking.blocked ? 1 : 0) && held.blocked === twin.blocked && textIn(held.bytes) === textIn(twin.bytes)
      && held.meanwhile.every((left) => textIn(blocking.bytes).startsWith(textIn(left)) && !left.includes('[DONE]'));
  }), { numRuns: runs(500), seed });
});

t.test('what is let go leaves as the bytes that came', async (t) => {
  const text = 'One Heron. And another Harron, and so on for a while. Heron';
  for (const mean of [1, 7, 40, 10_000]) {
    const bytes = Buffer.from(chatEvents(cutsOf(text, 3, 4)).join(''));
    const { bytes: out, holds, blocked, action } = await run(planWith(HELD('block')), cutBytes(bytes, 5, mean), { delay: 3 });
    t.ok(out.equals(bytes), `chunks of ${mean}`);
    t.same([holds, blocked, action], [1, false, 'escalate'], 'one wait for all that the rule finds');
  }
});

t.test('text does not wait for its scores: what follows does', async (t) => {
  const more = 'stream: { mode: trail, window: sentence }';
  const rule = '{ score: judge.bad, gte: 0.5 }';
  const sentences = ['All is well here. ', 'This is bad, it is. ', 'Now then, on it goes. ', 'And an end'];
  const bytes = chatEvents(sentences).map((event) => Buffer.from(event));
  for (const [release, blocked] of [['allowed', false], ['refused', true]] as const) {
    const held = await run(planWith(HELD('allow'), more, rule), bytes, { release, delay: 100 });
    t.same([held.holds, held.blocked], [1, blocked]);
    t.notOk(held.meanwhile.some((left) => left.includes('[DONE]') || left.includes('"stop"')), 'it does not end meanwhile');
    t.equal(textIn(held.meanwhile.at(-1)!), textIn(held.meanwhile[0]!), 'nothing leaves');
    if (!blocked) t.ok(held.bytes.equals(Buffer.concat(bytes)));
  }
});

t.test('a rule that needs no text holds all of it', async (t) => {
  const bytes = chatEvents(['All ', 'is ', 'well']).map((event) => Buffer.from(event));
  const whole = Buffer.from(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'All is well' }, finish_reason: 'stop' }] }));
  for (const [release, then, blocked] of [['allowed', 'block', false], ['refused', 'allow', true], ['then', 'block', true], ['then', 'warn', false], ['then', 'redact', false]] as const) {
    const plan = planWith(HELD(then), '', '{ context: surface, exists: false }');
    const held = await run(plan, bytes, { release, delay: 100 });
    t.same([held.holds, held.blocked, textIn(held.bytes)], [1, blocked, blocked ? '' : 'All is well'], `${release}, then ${then}`);
    t.ok(held.meanwhile.every((left) => left.length === 0));
    const unary = await run(plan, [whole], { release, mediaType: 'application/json' });
    t.same([unary.holds, unary.blocked, unary.bytes.includes('All is well')], [1, blocked, !blocked]);
    const alone = await run(plan, bytes, { noHold: true });
    t.same([alone.holds, alone.blocked], [0, then === 'block'], 'nobody can be waited for');
    const media = await run(plan, [Buffer.from('RIFF')], { dialect: openaiSpeech, mediaType: 'audio/wav' });
    t.same([media.holds, media.error === undefined], [0, then !== 'block'], 'sound leaves as it comes, and waits for nobody');
    const also = await run(planWith(HELD(then), '', '{ any: [ { context: surface, exists: false }, { score: patterns.word, gte: 1 } ] }'), chatEvents(['A Heron']).map((event) => Buffer.from(event)), { release, delay: 1 });
    t.same([also.holds, also.blocked], [1, blocked], 'and what it finds in the text waits with it');
  }
  const answered = await run(planWith(HELD('block'), '', '{ any: [ { context: surface, exists: false }, { score: patterns.word, gte: 1 } ] }'), [Buffer.from(whole.toString().replace('All', 'A Heron'))], { mediaType: 'application/json' });
  t.same([answered.holds, answered.blocked], [1, false]);
});

t.test('a second rule takes its `then`: a verdict is about the rule that asked for it', async (t) => {
  const policy = (then: string): ScreeningPlan => compilePlan(requirePolicy(`policy: p\npatterns: [ ${WORDS}, { id: other, label: OTHER, literal: [Stork] } ]\nrules:\n  - { id: first, priority: 9, direction: output, when: { score: patterns.word, gte: 1 }, action: escalate, hold: { for: 1s, then: block } }\n  - { id: second, priority: 5, direction: output, when: { score: patterns.other, gte: 1 }, action: escalate, hold: { for: 1s, then: ${then} } }\n`, 'p.yaml'), [], { file: 'p.yaml' });
  const bytes = chatEvents(['A Heron, ', 'a Stork, ', 'and more']).map((event) => Buffer.from(event));
  for (const delay of [0, 100]) {
    t.match(await run(policy('block'), bytes, { delay }), { holds: 1, blocked: true });
    t.match(textIn((await run(policy('redact'), bytes, { delay })).bytes), /^A Heron, a \[OTHER\], and more$/);
    t.match(await run(policy('allow'), bytes, { delay }), { holds: 1, blocked: false });
  }
});

t.test('every dialect, streamed and whole; several choices wait for one person', async (t) => {
  const streams: readonly (readonly [string, Dialect, readonly string[], (bytes: Buffer) => string])[] = [
    ['chat', openaiChat, chatEvents(['So, a ', 'Her', 'on it is. ', 'Yes.']), textIn],
    ['anthropic', anthropicMessages, messageEvents({ blocks: [{ type: 'text', text: 'So, a Heron it is. Yes.' }] } as never), (bytes) => JSON.stringify(readStream(bytes))],
    ['responses', openaiResponses, framesOf(responseEvents({ items: [{ message: [{ text: 'So, a Heron it is. Yes.' }] }], cut: (text) => [text] })), (bytes) => bytes.toString()],
  ];
  for (const [name, dialect, events, read] of streams) {
    const bytes = Buffer.from(events.join(''));
    const allowed = await run(planWith(HELD('block')), cutBytes(bytes, 1, 40), { dialect, delay: 50 });
    t.ok(allowed.bytes.equals(bytes), `${name}: as it came`);
    t.equal(allowed.holds, 1);
    t.ok(allowed.meanwhile.length > 0 && allowed.meanwhile.every((left) => !left.includes('Heron') && !read(left).includes('Yes')), `${name}: nothing leaves meanwhile`);
    const blocked = await run(planWith('block'), [bytes], { dialect });
    for (const then of ['block', 'allow']) t.same((await run(planWith(HELD(then)), [bytes], { dialect, release: then === 'block' ? 'then' : 'refused' })).bytes.toString().replace(TOKENS, ''), blocked.bytes.toString().replace(TOKENS, ''), `${name}: as a blocked one`);
  }
  const choice = (index: number, content: string, finish: string | null): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index, delta: { content }, finish_reason: finish }] })}\n\n`);
  const random = randomOf(seed);
  for (let i = 0; i < runs(30); i++) {
    const events = [choice(0, 'A Heron. ', null), choice(1, 'Hello. ', null), choice(1, 'A Harron too. ', null), choice(0, 'More. ', 'stop'), choice(1, 'End.', 'stop'), Buffer.from('data: [DONE]\n\n')];
    const held = await run(planWith(HELD('block')), events, { delay: Math.floor(random() * 7), release: 'allowed' });
    t.ok(held.bytes.equals(Buffer.concat(events)));
    t.equal(held.holds, 1);
    const stopped = await run(planWith(HELD('allow')), events, { delay: Math.floor(random() * 7), release: 'refused' });
    t.same([stopped.blocked, stopped.holds], [true, 1]);
    const begun = new Set(eventsOf(stopped.bytes).flatMap(({ choices }) => choices.map(({ index }: { index: number }) => index)));
    t.same(eventsOf(stopped.bytes).flatMap(({ choices }) => choices.map(({ finish_reason: finish }: { finish_reason: string }) => finish)).filter((finish) => finish !== null), [...begun].map(() => 'content_filter'));
  }
});

t.test('signed text that would be changed is blocked where nobody came', async (t) => {
  const thinking = messageEvents({ blocks: [{ type: 'thinking', thinking: 'A Heron it is.', signature: 'c2lnbmVk' }, { type: 'text', text: 'Yes.' }] } as never);
  const bytes = [Buffer.from(thinking.join(''))];
  t.match(await run(planWith(HELD('redact')), bytes, { dialect: anthropicMessages, release: 'then' }), { holds: 1, blocked: true });
  t.match(await run(planWith(HELD('redact')), bytes, { dialect: anthropicMessages, release: 'allowed' }), { holds: 1, blocked: false });
  t.match(await run(planWith(HELD('redact')), bytes, { dialect: anthropicMessages, noHold: true }), { holds: 0, blocked: true });
});

t.test('while it waits no more is wanted than a limit; then it is read on', async (t) => {
  const events = chatEvents(['A Heron. ', ...Array.from({ length: 60 }, (_, i) => `sentence ${i}. `)]).map((event) => Buffer.from(event));
  const size = events[1]!.length;
  const pressure: boolean[] = [];
  const held = await run(planWith(HELD('block')), events, { delay: 30, limits: { waitingBytesMax: size * 10 }, onPressure: (blocked) => void pressure.push(blocked) });
  t.same(pressure, [true, false]);
  t.ok(held.bytes.equals(Buffer.concat(events)), 'what was fed all the same is there');
  const within: boolean[] = [];
  await run(planWith(HELD('block')), events.slice(0, 9), { delay: 30, limits: { waitingBytesMax: size * 10 }, onPressure: (blocked) => void within.push(blocked) });
  t.same(within, []);
});

t.test('an answer that is cut, or whose upstream dies, waits for nobody any more', async (t) => {
  for (const how of ['cut', 'fail'] as const) {
    const out: Buffer[] = [];
    const waits = Promise.withResolvers<Release | undefined>();
    const plan = planWith(HELD('allow'));
    const ends: boolean[] = [];
    const guard = createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 }, hold: () => waits.promise, onBytes: (bytes) => void out.push(bytes), onDone: ({ blocked }) => void ends.push(blocked) });
    guard.feed(Buffer.from(chatEvents(['So a ', 'Heron. ', 'More']).slice(0, 3).join('')));
    const before = textIn(Buffer.concat(out));
    if (how === 'cut') guard.cut({ action: 'block', matched: [], triggered_rules: ['late'], degraded: [] });
    else t.ok(guard.fail('upstream_unreachable', 'gone'));
    waits.resolve('allowed');
    await turn();
    t.equal(textIn(Buffer.concat(out)), before, `${how}: what was held never leaves`);
    t.same(ends, how === 'cut' ? [true] : []);
  }
});

t.test('nobody wants to know any more: nothing leaves', async (t) => {
  const out: Buffer[] = [];
  const guard = createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: planWith(HELD('allow')).forOutput({}), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 }, hold: async () => undefined, onBytes: (bytes) => void out.push(bytes), onDone: () => t.fail('it does not end') });
  guard.feed(Buffer.from(chatEvents(['Heron']).join('')));
  guard.end();
  await turn();
  t.same(out, []);
});

t.test('the end of a text that was sent in part waits for its scores as the rest does', async (t) => {
  const chunk = (delta: object, finish: string | null = null): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  const stream = [chunk({ content: 'All is well here. This is bad' }), ...Array.from({ length: 12 }, () => chunk({ reasoning_content: '' })), chunk({}, 'stop'), Buffer.from('data: [DONE]\n\n')];
  const more = 'stream: { mode: hold, window: sentence }';
  const rule = '{ score: judge.bad, gte: 0.5 }';
  for (const [action, release] of [['block', 'allowed'], [HELD('block'), 'refused'], [HELD('block'), 'then']] as const) {
    const stopped = await run(planWith(action, more, rule), stream, { release, delay: 3 });
    t.ok(stopped.blocked, action);
    t.notMatch(textIn(stopped.bytes), /bad/);
  }
  const passed = await run(planWith(HELD('block'), more, rule), stream, { delay: 3 });
  t.equal(textIn(passed.bytes), 'All is well here. This is bad');
});

t.test('two rules at once: the verdict is about the one that asked, the other takes its `then`', async (t) => {
  const policy = (then: string, second = '{ score: patterns.other, gte: 1 }'): ScreeningPlan => compilePlan(requirePolicy(`policy: p\npatterns: [ ${WORDS}, { id: other, label: OTHER, literal: [Stork] } ]\nrules:\n  - { id: first, priority: 5, direction: output, when: { score: patterns.word, gte: 1 }, action: escalate, hold: { for: 1s, then: block } }\n  - { id: second, priority: 9, direction: output, when: ${second}, action: escalate, hold: { for: 1s, then: ${then} } }\n`, 'p.yaml'), [], { file: 'p.yaml' });
  const choice = (index: number, content: string): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index, delta: { content }, finish_reason: 'stop' }] })}\n\n`;
  const events = [Buffer.from(`${choice(0, 'A Heron.')}${choice(1, 'A Stork.')}data: [DONE]\n\n`)];
  t.match(await run(policy('block'), events), { holds: 1, blocked: true });
  t.match(accumulated((await run(policy('redact'), events)).bytes), { '0/content': 'A Heron.', '1/content': 'A [OTHER].' });
  const whole = [Buffer.from(JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'A Heron' }, finish_reason: 'stop' }] }))];
  for (const [then, blocked] of [['block', true], ['allow', false]] as const) t.match(await run(policy(then, '{ context: surface, exists: false }'), whole, { mediaType: 'application/json' }), { holds: 1, blocked });
});

t.test('with pseudonyms to restore', async (t) => {
  const pseudonyms = new Pseudonyms();
  const token = pseudonyms.tokenOf('EMAIL', 'ana@example.com')!;
  const events = chatEvents(['A Heron for ', token.slice(0, 3), `${token.slice(3)}, it `, 'is.']).map((event) => Buffer.from(event));
  t.equal(textIn((await run(planWith(HELD('block')), events, { pseudonyms, delay: 9 })).bytes), 'A Heron for ana@example.com, it is.');
  t.match(await run(planWith(HELD('block')), events, { pseudonyms, release: 'then' }), { blocked: true, holds: 1 });
});

t.test('the end of a text waits for its scores while much is behind it', async (t) => {
  const chunk = (delta: object, finish: string | null = null): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  const behind = Array.from({ length: 12 }, () => chunk({ reasoning_content: '' }));
  const stream = Buffer.concat([chunk({ content: 'All is well here. This is bad' }), ...behind, chunk({}, 'stop'), ...behind, Buffer.from('data: [DONE]\n\n')]);
  const more = 'stream: { mode: hold, window: whole }';
  const rule = '{ score: judge.bad, gte: 0.5 }';
  for (const cut of [stream.length, 200]) {
    const chunks = cut === stream.length ? [stream] : cutBytes(stream, 2, cut);
    t.notMatch(textIn((await run(planWith('block', more, rule), chunks)).bytes), /bad/);
    t.equal(textIn((await run(planWith('escalate', more, rule), chunks)).bytes), 'All is well here. This is bad');
    t.equal(textIn((await run(planWith('redact', more, rule), chunks)).bytes), 'All is well here. This is [BAD]');
  }
});
