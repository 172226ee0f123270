/**
 * What is no text, through the running proxy: who gets to see an image or a recording, what a policy can say about one,
 * what the record says about all that nothing read, and what the configuration refuses. Everything here is made up; the
 * classifier that sees knows two pictures.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import t, { type Test } from 'tap';
import { createApp } from '../src/app.ts';
import { CHANNELS, type ExchangeClosed } from '../src/contract/channels.ts';
import type { Classifier } from '../src/contract/classifier.ts';
import { OPAQUE_KINDS, type DecisionRecord, type ExchangeRecord, type OpaqueKind } from '../src/contract/exchange.ts';
import type { ScreeningDecision, ScreeningRequest } from '../src/contract/screening.ts';
import { opaqueFinder, type LeafRules } from '../src/dialect/walk.ts';
import { requirePolicy } from '../src/policy/parse.ts';
import { compilePlan, type ScreeningPlan } from '../src/screen/plan.ts';
import { startMetrics } from '../src/telemetry/metrics.ts';
import { eventsOf } from './helpers/guarded.ts';
import { testPii } from './helpers/pii.ts';
import { ProxyUnderTest, type ProxyOptions } from './helpers/proxy.ts';
import { chatRequest, rawRequest, type RawAnswer } from './helpers/raw.ts';
import { askBothWays, endToEnd, SdkHouse, SDKS } from './helpers/sdk.ts';
import { CHAT_ANSWER, events, json, until, type Script } from './helpers/upstream.ts';

// Content.

const KITTEN = `data:image/png;base64,${Buffer.from('a kitten').toString('base64')}`;
const NUDE = `data:image/png;base64,${Buffer.from('somebody without clothes').toString('base64')}`;
const FAR = 'https://pictures.example.com/kitten.png';
const SOUND = Buffer.from('a made-up recording').toString('base64');

const image = (url: string): object => ({ type: 'image_url', image_url: { url } });
const sound = { type: 'input_audio', input_audio: { data: SOUND, format: 'wav' } };
const text = (words: string): object => ({ type: 'text', text: words });
const asks = (...parts: readonly object[]): object => ({ model: 'm', messages: [{ role: 'user', content: parts }] });

const IMAGE = 'messages[].content[].image_url.url';
const SOUND_AT = 'messages[].content[].input_audio.data';
const TEXT_AT = 'messages[].content[].text';

// Classifiers.

/** Sees images; `late` ones it never answers for. */
function createEye(asked: ScreeningRequest[] = [], late?: string): Classifier {
  return {
    id: 'eye', version: '1', categories: [{ id: 'nudity', definition: 'made up' }], directions: ['input', 'output'], contentTypes: ['image'], languages: ['*'], cost: 'slow', needsContext: false,
    classify(request) {
      asked.push(request);
      if (request.content === late) return new Promise(() => {});
      return request.content === NUDE ? [{ classifier_id: 'eye', category: 'nudity', score: 0.9, label: 'NUDITY', spans: [], latency_ms: 1 }] : [];
    },
  };
}

/** Reads text, and finds `hate` in it. */
function createTox(asked: ScreeningRequest[] = []): Classifier {
  return {
    ...createEye(), id: 'tox', categories: [{ id: 'hate', definition: 'made up' }], contentTypes: ['text'],
    classify(request) {
      asked.push(request);
      return request.content.includes('hate') ? [{ classifier_id: 'tox', category: 'hate', score: 0.8, label: 'HATE', spans: [], latency_ms: 1 }] : [];
    },
  };
}

/** A deadline for those that never answer; others of the same exchange must have time to. */
const SOON_MS = 1_000;

/** By default with a deadline that no machine is too slow for. */
function planOf(rules: readonly string[], classifiers: readonly Classifier[] = [createTox()], more = 'on_unknown: closed', deadlineMs = 20_000): ScreeningPlan {
  const policy = requirePolicy(`policy: p\n${more}\nrules:${rules.length === 0 ? ' []' : rules.map((rule) => `\n  - ${rule}`).join('')}\n`, 'p.yaml');
  return compilePlan(policy, [...(/pii|\*/.test(rules.join()) ? [testPii()] : []), ...classifiers], { file: 'p.yaml', deadlineMs });
}

const HATE = '{ id: hate, when: { score: tox.hate, gte: 0.5 }, action: block }';
const NUDITY = '{ id: nudity, when: { score: eye.nudity, gte: 0.5 }, action: block }';
const PII = '{ id: pii, when: { score: pii.*, gte: 0.5 }, action: redact }';

// The house.

async function start(t: Test, plan: ScreeningPlan, options: ProxyOptions = {}): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER), plan, ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

const PASS = Object.fromEntries(OPAQUE_KINDS.map((kind) => [kind, 'pass'])) as Record<OpaqueKind, 'pass' | 'refuse'>;
const refusing = (...kinds: readonly OpaqueKind[]): ProxyOptions => ({ proxy: { opaque: { ...PASS, ...Object.fromEntries(kinds.map((kind) => [kind, 'refuse'])) } } });

interface Told {
  readonly answer: RawAnswer;
  readonly record: ExchangeRecord & { readonly input: DecisionRecord };
  readonly error: { readonly code: string; readonly type: string; readonly message: string };
}

/** Sends one request and waits for its entry. */
async function ask(proxy: ProxyUnderTest, body: unknown, path = '/v1/chat/completions', fields: readonly string[] = []): Promise<Told> {
  const before = proxy.records.length;
  const bytes = chatRequest(body, fields).toString('latin1').replace('/v1/chat/completions', path);
  const answer = await rawRequest(proxy.port, Buffer.from(bytes, 'latin1'));
  const record = (await proxy.record(before + 1)) as Told['record'];
  return { answer, record, get error() { return (JSON.parse(answer.body.toString()) as Pick<Told, 'error'>).error; } };
}

// Who sees it.

t.test('an image goes as it was given to the classifier that reads images, and to no other', async (t) => {
  const [seen, read]: ScreeningRequest[][] = [[], []];
  const proxy = await start(t, planOf([NUDITY, HATE], [createEye(seen), createTox(read)]));
  const body = asks(text('what is this?'), image(KITTEN), image(FAR));
  const { answer, record } = await ask(proxy, body);
  t.equal(answer.status, 200);
  t.equal(proxy.upstream.received[0].body.toString(), JSON.stringify(body), 'not a byte is changed');
  t.same(seen.map(({ content, content_type: type, direction }) => [content, type, direction]), [[KITTEN, 'image', 'input'], [FAR, 'image', 'input']]);
  t.same(read.map(({ content }) => content), ['what is this?', 'fine'], 'the prompt and the answer');
  t.same(record.input.coverage, { screened: [TEXT_AT, IMAGE], exempt: [], opaque: [] });
  t.equal(answer.headers['x-weir-coverage'], 'full');
  t.same(record.input.classifier_results, [], 'nothing was found, and of what is not theirs nobody owes a score');
});

t.test('an image in a form is one too', async (t) => {
  const seen: ScreeningRequest[] = [];
  const proxy = await start(t, planOf([NUDITY], [createEye(seen)]), { script: json(200, { created: 1, data: [] }) });
  const send = (words: string): Promise<Response> => {
    const form = new FormData();
    form.set('prompt', 'make it blue');
    form.set('image', new Blob([words], { type: 'image/png' }), 'picture.png');
    return fetch(`http://127.0.0.1:${proxy.port}/v1/images/edits`, { method: 'POST', body: form });
  };
  t.equal((await send('a kitten')).status, 200);
  t.same(seen.map(({ content, content_type: type }) => [content, type]), [[KITTEN, 'image']]);
  t.same((await proxy.record()).input!.coverage.opaque, []);
  t.equal((await send('somebody without clothes')).status, 400);
  t.match((await proxy.record(2)).input, { action: 'block', triggered_rules: ['nudity'] });
});

t.test('its score decides like any other; what cannot be redacted is blocked', async (t) => {
  for (const rule of [NUDITY, '{ id: nudity, when: { score: "*.*", gte: 0.5 }, action: redact }']) {
    const proxy = await start(t, planOf([rule], [createEye()]));
    const { answer, record, error } = await ask(proxy, asks(text('look'), image(NUDE)));
    t.equal(answer.status, 400);
    t.equal(error.code, 'content_filter');
    t.match(record, { outcome: 'blocked', input: { action: 'block', triggered_rules: ['nudity'], degraded: [], coverage: { screened: [TEXT_AT, IMAGE], opaque: [] } } });
    t.match(record.input.classifier_results.find(({ classifier_id: id }) => id === 'eye'), { category: 'nudity', score: 0.9, count: 1 });
    t.equal(proxy.upstream.received.length, 0);
  }
  const proxy = await start(t, planOf(['{ id: all, when: { score: "*.*", gte: 0.5 }, action: redact }'], [createEye()]));
  t.equal((await ask(proxy, asks(text('I am ana@example.com'), image(KITTEN)))).record.input.action, 'redact', 'beside an innocent one text is redacted');
  t.match(proxy.upstream.received[0].body.toString(), `I am [EMAIL]`);
  t.match(proxy.upstream.received[0].body.toString(), KITTEN);
});

t.test('a score of an image that did not arrive is unknown', async (t) => {
  const late = () => createEye([], KITTEN);
  const closed = await ask(await start(t, planOf([NUDITY], [late()], undefined, SOON_MS)), asks(image(KITTEN)));
  t.match([closed.answer.status, closed.error.code, closed.record.input.degraded], [400, 'screening_failed', ['nudity']]);
  const open = await ask(await start(t, planOf([NUDITY], [late()], 'on_unknown: open', SOON_MS)), asks(image(KITTEN), image(FAR)));
  t.equal(open.answer.status, 200);
  t.equal(open.answer.headers['x-weir-degraded'], 'nudity');
  t.same(open.record.input.coverage, { screened: [IMAGE], exempt: [], opaque: [{ carrier: IMAGE, kind: 'image', treatment: 'pass' }] }, 'one was judged, the other passed unread');
  const refused = await ask(await start(t, planOf([NUDITY], [late()], 'on_unknown: open', SOON_MS), refusing('image')), asks(image(KITTEN)));
  t.match([refused.answer.status, refused.error.code], [400, 'opaque_refused'], 'refused is what nobody judged, for whatever reason');
  const seen = await ask(await start(t, planOf([NUDITY], [createEye()]), refusing('image', 'remote_url')), asks(image(KITTEN), image(FAR)));
  t.equal(seen.answer.status, 200, 'what is judged is not opaque');
});

// What a policy says.

t.test('a policy about text lets images pass, closed or not, and the record says that nothing read them', async (t) => {
  const proxy = await start(t, planOf([HATE, PII]));
  const { answer, record } = await ask(proxy, asks(text('what is this?'), image(KITTEN), image(FAR), image(FAR), sound));
  t.equal(answer.status, 200);
  t.equal(answer.headers['x-weir-coverage'], 'partial');
  t.notOk(answer.headers['x-weir-degraded']);
  t.same(record.input.coverage, {
    screened: [TEXT_AT], exempt: [],
    opaque: [{ carrier: IMAGE, kind: 'image', treatment: 'pass' }, { carrier: IMAGE, kind: 'remote_url', treatment: 'pass' }, { carrier: SOUND_AT, kind: 'audio', treatment: 'pass' }],
  });
  t.match(record.input, { action: 'allow', degraded: [] });
  t.same(record.input.classifier_results, []);
  t.match((await ask(proxy, asks(text('I hate you'), image(KITTEN)))).record.input, { action: 'block', triggered_rules: ['hate'] });
});

t.test('a rule says what happens to images', async (t) => {
  const ASKS = '{ context: content_type, eq: image }';
  const cases: readonly (readonly [why: string, rules: readonly string[], more: string, body: object, status: number, input: object])[] = [
    ['no images', [`{ id: r, when: ${ASKS}, action: block }`], '', asks(text('hi'), image(KITTEN)), 400, { action: 'block', triggered_rules: ['r'], degraded: [] }],
    ['but text', [`{ id: r, when: ${ASKS}, action: block }`], '', asks(text('hi')), 200, { action: 'allow' }],
    ['and sound', [`{ id: r, when: ${ASKS}, action: block }`], '', asks(text('hi'), sound), 200, { action: 'allow' }],
    ['an image by its address is one', [`{ id: r, when: ${ASKS}, action: warn }`], '', asks(image(FAR)), 200, { action: 'warn', triggered_rules: ['r'] }],
    ['a judged score or none: closed', [`{ id: r, when: { all: [ ${ASKS}, { score: tox.hate, gte: 0.5 } ] }, action: block }`], 'on_unknown: closed', asks(text('hi'), image(KITTEN)), 400, { action: 'block', degraded: ['r'] }],
    ['open', [`{ id: r, when: { all: [ ${ASKS}, { score: tox.hate, gte: 0.5 } ] }, action: block }`], 'on_unknown: open', asks(text('hi'), image(KITTEN)), 200, { action: 'allow', degraded: ['r'] }],
    ['without an image it is a rule about text', [`{ id: r, when: { all: [ ${ASKS}, { score: tox.hate, gte: 0.5 } ] }, action: block }`], 'on_unknown: closed', asks(text('hi')), 200, { action: 'allow', degraded: [] }],
    ['nobody judged it, nobody calls it harmless', ['{ id: r, when: { score: tox.hate, lt: 0.5 }, action: allow }'], 'default_action: block', asks(image(KITTEN)), 400, { action: 'block', triggered_rules: [] }],
    ['earlier turns decide nothing', [`{ id: r, when: ${ASKS}, action: block }`], '', { messages: [{ role: 'user', content: [image(KITTEN)] }, { role: 'assistant', content: 'a kitten' }, { role: 'user', content: 'thanks' }] }, 200, { action: 'allow', coverage: { opaque: [{ carrier: IMAGE }] } }],
    ['unless the policy says so', [`{ id: r, when: ${ASKS}, action: block }`], 'history: all', { messages: [{ role: 'user', content: [image(KITTEN)] }, { role: 'assistant', content: 'a kitten' }, { role: 'user', content: 'thanks' }] }, 400, { action: 'block' }],
  ];
  for (const [why, rules, more, body, status, input] of cases) {
    const { answer, record } = await ask(await start(t, planOf(rules, [createTox()], more)), body);
    t.equal(answer.status, status, why);
    t.match(record.input, input, why);
  }
});

t.test('an image of an earlier turn is not cut up by what is redacted there', async (t) => {
  const proxy = await start(t, planOf(['{ id: all, when: { score: "*.*", gte: 0.5 }, action: redact }'], [createEye()]));
  const { answer } = await ask(proxy, { messages: [{ role: 'user', content: [text('ana@example.com'), image(NUDE)] }, { role: 'assistant', content: 'no' }, { role: 'user', content: 'sorry' }] });
  t.equal(answer.status, 200);
  t.match(JSON.parse(proxy.upstream.received[0].body.toString()), { messages: [{ content: [{ text: '[EMAIL]' }, { image_url: { url: NUDE } }] }] });
});

t.test('pseudonyms of a session pass by images', async (t) => {
  const proxy = await start(t, planOf(['{ id: p, direction: input, when: { score: pii.*, gte: 0.5 }, action: redact, redact: { style: pseudonym } }']));
  await ask(proxy, asks(text('I am ana@example.com'), image(`data:,⟨EMAIL_1⟩`)));
  t.match(proxy.upstream.received[0].body.toString(), 'I am ⟨EMAIL_1⟩');
});

// Nothing to screen.

t.test('where there is nothing to screen, the decision says so', async (t) => {
  const tools = [{ role: 'user', content: 'hi' }, { role: 'assistant', content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } }] }, { role: 'tool', tool_call_id: 'c1', content: '' }];
  const nothing: readonly (readonly [what: string, messages: readonly object[], coverage: object])[] = [
    ['empty content', [{ role: 'user', content: '' }], { screened: [], opaque: [] }],
    ['no content', [{ role: 'user', content: null }], { screened: [], opaque: [] }],
    ['no parts', [{ role: 'user', content: [] }], { screened: [], opaque: [] }],
    ['no messages', [], { screened: [], opaque: [] }],
    ['white space', [{ role: 'user', content: ' \n\t\u00a0\u2003' }], { screened: ['messages[].content'], opaque: [] }],
    ['the empty result of a tool', tools, { screened: ['messages[].content', 'messages[].tool_calls[].function.name', 'messages[].tool_calls[].function.arguments'], opaque: [] }],
    ['an image alone', [{ role: 'user', content: [image(KITTEN)] }], { screened: [], opaque: [{ carrier: IMAGE, kind: 'image', treatment: 'pass' }] }],
  ];
  const allowing = await start(t, planOf([HATE, PII]));
  const blocking = await start(t, planOf([HATE, PII], [createTox()], 'default_action: block'));
  const ruled = await start(t, planOf(['{ id: nothing, when: { context: content_type, exists: false }, action: block }']));
  for (const [what, messages, coverage] of nothing) {
    const { answer, record } = await ask(allowing, { model: 'm', messages });
    t.equal(answer.status, 200, what);
    t.match(record.input, { action: 'allow', triggered_rules: [], degraded: [] }, what);
    t.same(record.input.coverage, { exempt: [], nothing_to_screen: true, ...coverage }, what);
    t.equal(answer.headers['x-weir-action'], 'allow', what);
    const blocked = await ask(blocking, { model: 'm', messages });
    t.match([blocked.answer.status, blocked.record.input.action, blocked.record.input.coverage.nothing_to_screen], [400, 'block', true], `${what}: the policy decides that too`);
    t.equal((await ask(ruled, { model: 'm', messages })).answer.status, what === 'white space' || what === 'an image alone' ? 200 : 400, `${what}: a rule can ask for it`);
  }
  const something = await ask(allowing, asks(text('hi')));
  t.notOk('nothing_to_screen' in something.record.input.coverage);
  const seen = await ask(await start(t, planOf([NUDITY], [createEye()])), asks(image(KITTEN)));
  t.notOk('nothing_to_screen' in seen.record.input.coverage, 'an image that was judged is something');
});

t.test('an answer without text says so too', async (t) => {
  const silent = { ...CHAT_ANSWER, choices: [{ index: 0, message: { role: 'assistant', content: null }, finish_reason: 'stop' }] };
  const proxy = await start(t, planOf([HATE]), { script: json(200, silent) });
  t.same((await ask(proxy, asks(text('hi')))).record.output!.coverage, { screened: [], exempt: [], opaque: [], nothing_to_screen: true });
  proxy.upstream.script = events(['data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}\n\n', 'data: [DONE]\n\n']);
  t.equal((await ask(proxy, { ...asks(text('hi')), stream: true })).record.output!.coverage.nothing_to_screen, true);
  proxy.upstream.script = json(200, CHAT_ANSWER);
  t.same((await ask(proxy, asks(text('hi')))).record.output!.coverage, { screened: ['choices[].message.content'], exempt: [], opaque: [] });
  const blocked = await ask(await start(t, planOf(['{ id: r, direction: output, when: { context: content_type, eq: text }, action: block }']), { script: json(200, silent) }), asks(text('hi')));
  t.same(blocked.record.output!.coverage, { screened: [], exempt: [], opaque: [] }, 'what was blocked unread is not called empty');
});

// What the configuration says.

interface OpaqueCase {
  readonly kind: OpaqueKind;
  readonly carrier: string;
  readonly body: object;
  readonly path?: string;
}

const OPAQUE_CASES: readonly OpaqueCase[] = [
  { kind: 'image', carrier: IMAGE, body: asks(text('hi'), image(KITTEN)) },
  { kind: 'audio', carrier: SOUND_AT, body: asks(text('hi'), sound) },
  { kind: 'video', carrier: 'messages[].content[].video_url.url', body: asks(text('hi'), { type: 'video_url', video_url: { url: 'data:video/mp4;base64,QUJD' } }) },
  { kind: 'file', carrier: 'messages[].content[].file.file_data', body: asks(text('hi'), { type: 'file', file: { file_data: 'data:application/pdf;base64,QUJD', filename: 'cv.pdf' } }) },
  { kind: 'remote_url', carrier: IMAGE, body: asks(text('hi'), image(FAR)) },
  { kind: 'reference', carrier: 'messages[].content[].file.file_id', body: asks(text('hi'), { type: 'file', file: { file_id: 'file-made-up' } }) },
  { kind: 'encrypted', carrier: 'messages[].reasoning_details[].data', body: { model: 'm', messages: [{ role: 'assistant', content: 'hi', reasoning_details: [{ type: 'reasoning.encrypted', data: 'QUJD' }] }, { role: 'user', content: 'and?' }] } },
  { kind: 'tokens', carrier: 'prompt', path: '/v1/completions', body: { model: 'm', prompt: [1, 2, 3] } },
  { kind: 'background', carrier: 'background', path: '/v1/responses', body: { model: 'm', input: 'hi', background: true } },
  { kind: 'reference', carrier: 'previous_response_id', path: '/v1/responses', body: { model: 'm', input: 'hi', previous_response_id: 'resp_made_up' } },
  { kind: 'image', carrier: 'messages[].content[].source.data', path: '/v1/messages', body: { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: [text('hi'), { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'QUJD' } }] }] } },
];

t.test('every kind of what nothing reads passes and is recorded, or is refused and never sent', async (t) => {
  t.same([...new Set(OPAQUE_CASES.map(({ kind }) => kind))].sort(), [...OPAQUE_KINDS].sort(), 'all kinds are here');
  const plan = planOf([HATE, PII]);
  const passing = await start(t, plan, refusing());
  for (const { kind, carrier, body, path = '/v1/chat/completions' } of OPAQUE_CASES) {
    const what = `${kind} at ${carrier} of ${path}`;
    const sent = passing.upstream.received.length;
    const passed = await ask(passing, body, path);
    t.same(passed.record.input.coverage.opaque.filter((part) => part.kind === kind), [{ carrier, kind, treatment: 'pass' }], what);
    t.equal(passed.answer.headers['x-weir-coverage'], 'partial', what);
    t.equal(passing.upstream.received[sent].body.toString(), JSON.stringify(body), what);

    const proxy = await start(t, plan, refusing(kind));
    // None of these is ours to hear.
    const pleading = { ...body, opaque: { [kind]: 'pass' }, metadata: { opaque: 'pass', content_type: 'text' } };
    for (const [tried, fields] of [[body, []], [pleading, [`x-weir-opaque: pass`, 'x-weir-context-content_type: text', 'x-weir-coverage: full']]] as const) {
      const { answer, record } = await ask(proxy, tried, path, fields);
      t.equal(answer.status, 400, what);
      t.equal(answer.headers['x-should-retry'], 'false', what);
      t.equal(answer.headers['x-weir-coverage'], 'partial', what);
      const said = JSON.parse(answer.body.toString()) as Record<string, any>;
      const shape = path === '/v1/messages' ? { type: 'error', error: { type: 'invalid_request_error', details: { error_code: 'opaque_refused' } } } : { error: { type: 'invalid_request_error', code: 'opaque_refused' } };
      t.match(said, shape, `${what}: in the shape of the dialect`);
      t.ok(said.error.message.includes(`${carrier} cannot be screened here`), what);
      t.notMatch(answer.body.toString(), /QUJD|made-up|example/, `${what}: nothing of it is said`);
      t.match(record, { outcome: 'refused', error_code: 'opaque_refused', status: 400, upstream_status: undefined }, what);
      t.match(record.input, { action: 'block', triggered_rules: [], coverage: { screened: [] } }, what);
      t.same(record.input.coverage.opaque.filter(({ treatment }) => treatment === 'refuse'), [{ carrier, kind, treatment: 'refuse' }], what);
      t.notOk('nothing_to_screen' in record.input.coverage, what);
    }
    t.equal(proxy.upstream.received.length, 0, `${what}: the upstream hears nothing`);
  }
});

t.test('what is refused asks no classifier and no policy', async (t) => {
  const asked: ScreeningRequest[] = [];
  const proxy = await start(t, planOf(['{ id: p, direction: input, when: { score: pii.*, gte: 0.5 }, action: redact, redact: { style: pseudonym } }'], [createTox(asked)], 'on_block: fallback\nmessage: no'), refusing('image'));
  t.equal((await ask(proxy, asks(text('ana@example.com'), image(KITTEN)))).error.code, 'opaque_refused', 'nor is it answered by the fallback');
  t.same(asked, []);
});

// Answers.

const spoken = (delta: object, finish: string | null = null): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
const SPEECH: Script = events([spoken({ role: 'assistant', audio: { id: 'a1', transcript: 'hello ' } }), spoken({ audio: { data: SOUND } }), spoken({ audio: { data: SOUND, transcript: 'ana@example.com' } }), spoken({}, 'stop'), 'data: [DONE]\n\n']);
const DATA_AT = 'choices[].delta.audio.data';

t.test('what nothing read of an answer is in its coverage, streamed and whole', async (t) => {
  const proxy = await start(t, planOf([PII]), { script: SPEECH });
  const { record } = await ask(proxy, { ...asks(text('say hello')), stream: true });
  t.same(record.output!.coverage, { screened: ['choices[].delta.audio.transcript'], exempt: [], opaque: [{ carrier: DATA_AT, kind: 'audio', treatment: 'pass' }] });
  proxy.upstream.script = json(200, { ...CHAT_ANSWER, choices: [{ index: 0, message: { role: 'assistant', content: 'hello', audio: { id: 'a1', data: SOUND }, reasoning_details: [{ type: 'reasoning.encrypted', data: 'QUJD' }] }, finish_reason: 'stop' }] });
  const whole = await ask(proxy, asks(text('say hello')));
  t.same(whole.record.output!.coverage.opaque, [{ carrier: 'choices[].message.audio.data', kind: 'audio', treatment: 'pass' }, { carrier: 'choices[].message.reasoning_details[].data', kind: 'encrypted', treatment: 'pass' }]);
});

t.test('a rule can block an answer that speaks, before any of it is heard', async (t) => {
  const rule = '{ id: silence, direction: output, when: { context: content_type, eq: audio }, action: block }';
  const proxy = await start(t, planOf([rule]), { script: SPEECH });
  const answer = await rawRequest(proxy.port, chatRequest({ ...asks(text('say hello')), stream: true }));
  t.notMatch(answer.body.toString(), SOUND);
  t.match(answer.body.toString(), 'hello ');
  t.equal(eventsOf(answer.body).at(-1).choices[0].finish_reason, 'content_filter');
  const record = await proxy.record();
  t.match(record, { outcome: 'blocked', output: { action: 'block', triggered_rules: ['silence'], coverage: { opaque: [{ carrier: DATA_AT, kind: 'audio' }] } } });
  proxy.upstream.script = json(200, { ...CHAT_ANSWER, choices: [{ index: 0, message: { role: 'assistant', content: 'hello', audio: { data: SOUND } }, finish_reason: 'stop' }] });
  const whole = await ask(proxy, asks(text('say hello')));
  t.notMatch(whole.answer.body.toString(), new RegExp(`${SOUND}|hello`));
  t.equal(whole.record.output!.action, 'block');
  const replacing = await start(t, planOf(['{ id: silence, direction: output, when: { context: content_type, eq: audio }, action: replace, message: Written only. }']), { script: SPEECH });
  t.match((await rawRequest(replacing.port, chatRequest({ ...asks(text('say hello')), stream: true }))).body.toString(), 'Written only.');
});

t.test('in an answer that holds sound a rule that asks for it is unknown', async (t) => {
  const rule = '{ id: r, direction: output, when: { all: [ { context: content_type, eq: audio }, { score: tox.hate, gte: 0.5 } ] }, action: block }';
  for (const [more, outcome] of [['on_unknown: closed', 'blocked'], ['on_unknown: open', 'completed']] as const) {
    const proxy = await start(t, planOf([rule], [createTox()], more), { script: SPEECH });
    await rawRequest(proxy.port, chatRequest({ ...asks(text('say hello')), stream: true }));
    t.match(await proxy.record(), { outcome, output: { degraded: ['r'] } }, more);
  }
  const seeing = await start(t, planOf(['{ id: r, direction: output, when: { score: "*.*", gte: 0.5 }, action: block }'], [createEye(), createTox()]));
  t.equal((await ask(seeing, asks(text('hi')))).record.outcome, 'completed', 'a classifier of images alone is not asked about the text of answers');
});

t.test('what an answer holds is found by the rules of its dialect', async (t) => {
  const rules: LeafRules = {
    exempt: { 'a[].data': 'ciphertext', vector: 'media', 'image.b64': 'media', link: 'url', id: 'id' },
    opaque: { 'b.picture': 'image' },
    opaqueWhen: { delta: ({ type }) => (type === 'sound' ? 'audio' : undefined), 'c.data': ({ type }) => (type === 'base64' ? 'file' : undefined) },
  };
  const find = (value: unknown) => opaqueFinder(rules)(value, JSON.stringify(value)).map(({ carrier, kind, of }) => `${carrier} ${kind}${of === kind ? '' : ` of ${of}`}`);
  t.equal(opaqueFinder(rules), opaqueFinder(rules), 'made once');
  t.same(opaqueFinder({ exempt: {} })({ data: 'QUJD' }, '{"data":"QUJD"}'), []);
  const cases: readonly (readonly [value: unknown, found: readonly string[]])[] = [
    [{ a: [{ data: 'QUJD' }, { data: '' }, { data: 'a sentence, which was read' }] }, ['a[].data encrypted']],
    [{ vector: 'QUJD', id: 'x' }, []],
    [{ image: { b64: 'QUJD' } }, ['image.b64 image']],
    [{ link: 'https://pictures.example.com/1.png' }, ['link remote_url']],
    [{ b: { picture: 'anything' } }, ['b.picture image']],
    [{ b: { picture: FAR } }, ['b.picture remote_url of image']],
    [{ type: 'sound', delta: 'QUJD' }, ['delta audio']],
    [{ type: 'text', delta: 'QUJD' }, []],
    [{ type: 'sound', delta: 5 }, []],
    [{ c: { type: 'base64', data: 'QUJD' } }, ['c.data file']],
    [{ c: { type: 'text', data: 'words' } }, []],
    [['data'], []], ['data', []], [null, []],
  ];
  for (const [value, found] of cases) t.same(find(value), found, JSON.stringify(value));
});

// The service.

t.test('the screening service answers for images and recordings', async (t) => {
  const screen = async (proxy: ProxyUnderTest, request: object): Promise<ScreeningDecision> => {
    const { answer } = await ask(proxy, { direction: 'input', ...request }, '/weir/v1/screen');
    t.equal(answer.status, 200);
    return JSON.parse(answer.body.toString()) as ScreeningDecision;
  };
  const blind = await start(t, planOf([HATE, PII, '{ id: sound, when: { context: content_type, eq: audio }, action: warn }']));
  const unread = await screen(blind, { content: KITTEN, content_type: 'image' });
  t.match(unread, { action: 'allow', triggered_rules: [], coverage: { screened: [], opaque: [{ carrier: 'content', kind: 'image', treatment: 'pass' }], nothing_to_screen: true } });
  t.ok(unread.classifier_results.length > 1 && unread.classifier_results.every((result) => 'unknown' in result && result.reason === 'unsupported'));
  t.same([...new Set(unread.classifier_results.map(({ classifier_id: id }) => id))], ['pii', 'tox']);
  t.match(await screen(blind, { content: SOUND, content_type: 'audio', context: { content_type: 'text' } }), { action: 'warn', triggered_rules: ['sound'], coverage: { opaque: [{ kind: 'audio' }] } }, 'what it is, and not what the context says');
  t.match(await screen(blind, { content: '' }), { action: 'allow', classifier_results: [], coverage: { screened: [], exempt: [], opaque: [], nothing_to_screen: true } });
  t.match(await screen(blind, { content: 'I hate it', content_type: 'text' }), { action: 'block', coverage: { screened: ['content'], opaque: [] } });
  const seeing = await start(t, planOf(['{ id: all, when: { score: "*.*", gte: 0.5 }, action: redact }'], [createEye()]));
  const judged = await screen(seeing, { content: NUDE, content_type: 'image' });
  t.match(judged, { action: 'block', triggered_rules: ['all'], coverage: { screened: ['content'], opaque: [] } });
  t.notOk('modified_content' in judged);
  t.match(judged.classifier_results.find(({ classifier_id: id }) => id === 'eye'), { score: 0.9 });
  const without = await start(t, planOf(['{ id: odd, when: { context: content_type, eq: image }, action: redact }']));
  t.notOk('modified_content' in await screen(without, { content: KITTEN, content_type: 'image' }), 'an image has no redacted form');
});

// From outside.

t.test('it is counted by kind and treatment, and scores that did not arrive once for each category', async (t) => {
  const metrics = startMetrics({ version: '0' });
  t.teardown(() => metrics.close());
  const passing = await start(t, planOf([HATE]));
  await ask(passing, asks(text('I hate it'), image(KITTEN)));
  await ask(passing, asks(text('hi'), image(KITTEN), image(KITTEN), sound));
  const waiting = await start(t, planOf([NUDITY], [createEye([], KITTEN)], 'on_unknown: open', SOON_MS));
  await ask(waiting, asks(image(KITTEN), image(NUDE.replace('image/png', 'image/x'))));
  const refusingImages = await start(t, planOf([HATE]), refusing('image'));
  await ask(refusingImages, asks(image(KITTEN)));
  await rawRequest(passing.port, 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n');
  await passing.record(3);
  const lines = (await metrics.prometheusText()).split('\n');
  for (const line of [
    'weir_opaque_carriers_total{direction="input",kind="image",treatment="pass"} 3', 'weir_opaque_carriers_total{direction="input",kind="audio",treatment="pass"} 1',
    'weir_opaque_carriers_total{direction="input",kind="image",treatment="refuse"} 1', 'weir_opaque_carriers_total{direction="output",kind="pass_through",treatment="pass"} 1',
    'weir_unscreened_forwarded_total{tenant="default",reason="opaque"} 1', 'weir_unscreened_forwarded_total{tenant="default",reason="skipped_rule"} 1', 'weir_unscreened_forwarded_total{tenant="default",reason="pass_through"} 1', 'weir_unknown_scores_total{classifier="eye",reason="timeout"} 1',
    'weir_violations_total{category="tox.hate",direction="input"} 1',
  ]) t.ok(lines.includes(line), line);
});

t.test('the SDKs send images as ever, and read a refusal as the error it is', async (t) => {
  const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: [{ type: 'text', text: 'what is this?' }, { type: 'image_url', image_url: { url: KITTEN } }] }];
  for (const sdk of SDKS) {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = json(200, CHAT_ANSWER);
    const { direct, through, sentDirect, sentThrough } = await askBothWays(house, sdk, ({ chat }) => chat.create({ model: 'm', messages }));
    t.same(through, direct, sdk.name);
    t.same(sentThrough.map(endToEnd), sentDirect.map(endToEnd), sdk.name);
    const [record] = await house.takeClosed(1);
    t.same(record.input!.coverage.opaque, [{ carrier: IMAGE, kind: 'image', treatment: 'pass' }], sdk.name);
    const proxy = await start(t, planOf([PII]), refusing('image'));
    const error = await sdk.connect(`http://127.0.0.1:${proxy.port}/v1`, 2).chat.create({ model: 'm', messages }).then(() => undefined, (thrown: unknown) => thrown);
    t.ok(error instanceof sdk.OpenAI.BadRequestError, sdk.name);
    t.match(error, { status: 400, code: 'opaque_refused', type: 'invalid_request_error' });
    t.equal(proxy.records.length, 1, 'it is not retried');
  }
});

t.test('no image, no recording and no address of one is in logs, traces, metrics or the audit log', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-multimodal-'));
  const proxied = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER) });
  const upstreamUrl = `http://127.0.0.1:${proxied.port}/v1`;
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\non_unknown: closed\nrules:\n  - { id: sound, when: { context: content_type, eq: audio }, action: block }\n  - { id: pii, when: { score: pii.*, gte: 0.5 }, action: redact }\n');
  const log: string[] = [];
  const app = createApp({
    config: { dir, config: { data_dir: 'data', proxy: { port: 0, opaque: { remote_url: 'refuse' } }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: upstreamUrl } }, tenants: [{ id: 'seen', policy: 'p', upstream: 'local', audit: { durability: 'strict' } }], telemetry: { log_level: 'debug', traces: { exporter: 'console' } } } },
    env: {}, log: { write: (line) => void log.push(line) }, print: (line) => void log.push(line),
  });
  const closed: ExchangeRecord[] = [];
  const note = (message: unknown): void => { const { record } = message as ExchangeClosed; if (record.tenant_id === 'seen') closed.push(record); };
  CHANNELS.exchangeClosed.subscribe(note);
  t.teardown(async () => {
    CHANNELS.exchangeClosed.unsubscribe(note);
    await app.close();
    await proxied.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const { proxyUrl, adminUrl } = await app.start();
  const post = (path: string, body: object): Promise<Response> => fetch(proxyUrl + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  t.equal((await post('/v1/chat/completions', asks(text('hi'), image(KITTEN)))).status, 200);
  t.equal((await post('/v1/chat/completions', asks(text('hi'), image(FAR)))).status, 400);
  t.equal((await post('/v1/chat/completions', asks(text('hi'), sound))).status, 400);
  const screened = await post('/weir/v1/screen', { direction: 'input', content: KITTEN, content_type: 'image' });
  t.match(await screened.json(), { action: 'allow', coverage: { opaque: [{ kind: 'image' }] } });
  await until(() => closed.length === 4, 20_000, 'four entries');
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
  t.match(metrics, 'weir_opaque_carriers_total{direction="input",kind="remote_url",treatment="refuse"} 1');
  await app.close();
  const audit = readdirSync(join(dir, 'data/audit')).map((name) => readFileSync(join(dir, 'data/audit', name), 'utf8')).join('');
  t.match(audit, '"kind":"image"');
  t.match(audit, '"treatment":"refuse"');
  for (const canary of [KITTEN, KITTEN.slice(22), FAR, 'pictures.example.com', SOUND]) t.notOk((audit + log.join('') + metrics + JSON.stringify(closed)).includes(canary), canary.slice(0, 30));
});
