/**
 * Acting after the fact, through the real proxy: slow scores that nobody waited for cut what still runs, are in the one
 * closing entry, bar the session and are told; and what is decided in time stays as it is.
 */
import t, { type Test } from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { LateRecord } from '../../src/contract/exchange.ts';
import type { LateViolation } from '../../src/contract/notification.ts';
import type { PolicyDecision } from '../../src/contract/policy.ts';
import type { ClassifierResult, ScreeningRequest } from '../../src/contract/screening.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { Afterwards } from '../../src/screen/afterwards.ts';
import { SessionBars } from '../../src/screen/bars.ts';
import { deferralOf } from '../../src/screen/deferral.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import type { LateVerdict } from '../../src/screen/output.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { messageEvents, readStream } from '../helpers/anthropic.ts';
import { accumulated, eventsOf } from '../helpers/guarded.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { framesOf, responseEvents } from '../helpers/responses.ts';
import { open as openSocket, refused, SocketUpstream } from '../helpers/sockets.ts';
import { CHAT_ANSWER, chatEvents, chunk, json, LAST_CHUNK, SSE_HEAD, until, type Script } from '../helpers/upstream.ts';

const WITHIN_MS = 20_000;

/** Answers when it is told to: what says `bad` scores 1. Until then it waits, or for ever. */
class Slow {
  readonly asked: ScreeningRequest[] = [];
  readonly classifier: Classifier;
  #waiting: (() => void)[] = [];
  #open = false;

  constructor(id = 'slow', cost: Classifier['cost'] = 'slow') {
    this.classifier = {
      id, version: '1', categories: [{ id: 'bad', definition: 'says bad' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost, needsContext: false,
      classify: async (request, signal): Promise<readonly ClassifierResult[]> => {
        this.asked.push(request);
        if (!this.#open) await new Promise<void>((resolve) => { this.#waiting.push(resolve); signal.addEventListener('abort', () => resolve()); });
        return request.content.includes('bad') ? [{ classifier_id: id, category: 'bad', score: 1, label: 'BAD', spans: [], latency_ms: 0 }] : [];
      },
    };
  }

  /** It answers, now and from now on. */
  answer(): void {
    this.#open = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

const RULES = `patterns:
  - { id: codename, literal: [Bluebird] }
rules:
  - { id: codename, priority: 1, direction: both, when: { score: patterns.codename, gte: 1 }, action: block }
  - { id: late, priority: 2, direction: both, when: { score: slow.bad, gte: 0.5 }, action: ACTION }
`;
const policyOf = (screening: string, { action = 'block', more = '' } = {}): string => `policy: p\nscreening: ${screening}\n${more}\n${RULES.replace('ACTION', action)}`;
const HYBRID = policyOf('{ mode: hybrid, late_deadline_ms: 20000, bar_session: 10m }');

interface House {
  readonly proxy: ProxyUnderTest;
  readonly slow: Slow;
  readonly told: LateViolation[];
  post(path: string, body: object, headers?: Record<string, string>): Promise<Response>;
}

async function open(t: Test, policy: string, script: Script, options: ProxyOptions & { readonly failMode?: 'open' | 'closed' } = {}): Promise<House> {
  const slow = new Slow();
  const plan = planOf(policy, slow, options.failMode);
  const told: LateViolation[] = [];
  const proxy = await ProxyUnderTest.start({ script, plan, bars: new SessionBars(), notify: (found) => void told.push(found), ...options });
  t.teardown(async () => { slow.answer(); await proxy.close(); });
  const post = (path: string, body: object, headers: Record<string, string> = {}) => fetch(`http://127.0.0.1:${proxy.port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
  return { proxy, slow, told, post };
}

function planOf(policy: string, slow: Slow, failMode: 'open' | 'closed' = 'closed'): ScreeningPlan {
  return compilePlan(requirePolicy(policy, 'p.yaml'), [slow.classifier], { file: 'p.yaml', deadlineMs: 10_000, failMode, hashKey: Buffer.alloc(32, 7) });
}

/** Says the first events, then waits for `go`, then says the rest. */
function pausing(frames: readonly string[], first: number, go: Promise<void>): Script {
  return async (socket) => {
    socket.write(SSE_HEAD);
    for (const frame of frames.slice(0, first)) socket.write(chunk(frame));
    await go;
    if (socket.destroyed) return;
    for (const frame of frames.slice(first)) socket.write(chunk(frame));
    socket.write(LAST_CHUNK);
  };
}

const FINE = { model: 'm', stream: true, messages: [{ role: 'user', content: 'All is fine' }] };
const BAD = { ...FINE, messages: [{ role: 'user', content: 'All is bad' }] };
const never = new Promise<void>(() => {});

/** Reads what comes until `word` is among it. */
async function readUntil(answer: Response, word: string): Promise<{ readonly text: string; rest(): Promise<string> }> {
  const reader = answer.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes(word)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the answer ended without ${word}`);
    text += decoder.decode(value, { stream: true });
  }
  return {
    text,
    async rest() {
      let more = '';
      for (let one = await reader.read(); !one.done; one = await reader.read()) more += decoder.decode(one.value, { stream: true });
      return more;
    },
  };
}

// Streams that still run.

const STREAMS: readonly (readonly [name: string, path: string, body: object, frames: readonly string[], first: number, check: (t: Test, bytes: Buffer) => void])[] = [
  ['chat', '/v1/chat/completions', BAD, chatEvents(['Hello ', 'there ', 'again']), 2, (t, bytes) => {
    t.match(accumulated(bytes), { '0/content': /^Hello / });
    t.equal(eventsOf(bytes).at(-1).choices[0].finish_reason, 'content_filter');
    t.match(bytes.toString(), /\[DONE\]\n\n$/);
  }],
  ['messages', '/v1/messages', { ...BAD, max_tokens: 9 }, messageEvents({ blocks: [{ type: 'text', text: 'Hello there' }], cut: () => ['Hello ', 'there'] }), 4, (t, bytes) => t.match(readStream(bytes), { blocks: [/^Hello /], stop: 'refusal', faults: [] })],
  ['responses', '/v1/responses', { model: 'm', stream: true, input: 'All is bad' }, framesOf(responseEvents({ items: [{ message: [{ text: 'Hello there' }] }], cut: () => ['Hello ', 'there'] })), 5, (t, bytes) => t.match(eventsOf(bytes).at(-1), { type: 'response.incomplete', response: { incomplete_details: { reason: 'content_filter' } } })],
];

for (const [name, path, body, frames, first, check] of STREAMS) {
  t.test(`${name}: a prompt found bad while its answer streams cuts it as a block does`, async (t) => {
    const { proxy, slow, told, post } = await open(t, HYBRID, pausing(frames, first, never));
    const answer = await post(path, body, { 'x-weir-session-id': 's1' });
    const begun = await readUntil(answer, 'Hello');
    t.equal(proxy.records.length, 0);
    slow.answer();
    check(t, Buffer.from(begun.text + await begun.rest()));
    const record = await proxy.record();
    t.match(record, { outcome: 'blocked', status: 200, input: { action: 'allow', triggered_rules: [], degraded: [] }, output: { action: 'allow', triggered_rules: [] }, late: { direction: 'input', action: 'block', triggered_rules: ['late'], acted: ['cut', 'barred'], degraded: [], classifier_results: [{ classifier_id: 'slow', category: 'bad', score: 1, count: 1 }] } });
    await until(() => proxy.upstream.openAnswers === 0, WITHIN_MS, 'the upstream is aborted');
    t.match(told, [{ event: 'late_violation', request_id: record.request_id, tenant_id: 'default', session_id: 's1', policy: /^p@/, late: { acted: ['cut', 'barred'] } }]);
    t.equal(told.length, 1);
    t.equal(proxy.records.length, 1, 'one closing entry');
  });
}

t.test('an answer found bad while it streams is cut at the next moment, and what has left has left', async (t) => {
  const go = Promise.withResolvers<void>();
  const { proxy, slow, post } = await open(t, HYBRID, pausing(chatEvents(['This is a first sentence. ', 'This one is bad, I say. ', 'And so on. ', 'And more.']), 3, go.promise));
  slow.answer();
  const answer = await post('/v1/chat/completions', FINE);
  const begun = await readUntil(answer, 'bad, I say');
  const bytes = Buffer.from(begun.text + await begun.rest());
  go.resolve();
  t.match(accumulated(bytes)['0/content'], /^This is a first sentence\. This one is bad, I say\. /);
  t.equal(eventsOf(bytes).at(-1).choices[0].finish_reason, 'content_filter');
  t.match(await proxy.record(), { outcome: 'blocked', late: { direction: 'output', action: 'block', acted: ['cut'] } }, 'without a session nothing is barred');
});

// Before and after the stream.

t.test('before the upstream has answered the prompt is refused as if it had been known in time', async (t) => {
  const { proxy, slow, post } = await open(t, HYBRID, () => never);
  const call = post('/v1/chat/completions', BAD);
  await until(() => proxy.upstream.received.length === 1, WITHIN_MS, 'the request is forwarded');
  slow.answer();
  const answer = await call;
  t.match([answer.status, await answer.json()], [400, { error: { code: 'content_filter' } }]);
  t.equal(answer.headers.get('x-should-retry'), 'false');
  t.match(await proxy.record(), { outcome: 'blocked', error_code: 'content_filter', status: 400, late: { action: 'block', acted: ['cut'] } });
  await until(() => proxy.upstream.openAnswers === 0, WITHIN_MS, 'the upstream is aborted');

  const replacing = await open(t, policyOf('{ mode: hybrid }', { action: 'replace', more: 'message: Let us talk of something else.' }), () => never);
  const said = replacing.post('/v1/chat/completions', { ...BAD, stream: false });
  await until(() => replacing.proxy.upstream.received.length === 1, WITHIN_MS, 'the request is forwarded');
  replacing.slow.answer();
  t.match(await (await said).json(), { choices: [{ message: { content: 'Let us talk of something else.' } }] });
});

t.test('after the answer has left, its entry still waits: it is flagged, the session barred', async (t) => {
  const { proxy, slow, told, post } = await open(t, HYBRID, json(200, CHAT_ANSWER));
  const named = { 'x-weir-session-id': 's1' };
  t.equal((await (await post('/v1/chat/completions', { ...BAD, stream: false }, named)).json() as { id: string }).id, 'c1');
  await until(() => proxy.server.openExchanges === 0, WITHIN_MS, 'the exchange is over');
  t.same([proxy.records.length, told.length], [0, 0], 'but for its entry');
  t.equal((await post('/v1/chat/completions', { ...FINE, stream: false }, named)).status, 200, 'nothing is known yet');
  slow.answer();
  t.match(await proxy.record(), { outcome: 'completed', status: 200, late: { direction: 'input', action: 'block', acted: ['barred'] } });
  await until(() => proxy.records.length === 2, WITHIN_MS, 'both entries');

  const barred = await post('/v1/chat/completions', { ...FINE, stream: false }, named);
  t.match([barred.status, await barred.json()], [403, { error: { code: 'session_barred', type: 'invalid_request_error' } }]);
  t.equal(barred.headers.get('x-should-retry'), 'false');
  const message = await post('/v1/messages', { model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'fine' }] }, named);
  t.match([message.status, await message.json()], [403, { type: 'error', error: { type: 'permission_error', details: { error_code: 'session_barred' } } }]);
  t.equal((await post('/v1/chat/completions', { ...FINE, stream: false }, { 'x-weir-session-id': 's2' })).status, 200);
  t.equal((await post('/v1/chat/completions', { ...FINE, stream: false })).status, 200, 'nor one without a name');
  t.match(await proxy.record(3), { outcome: 'refused', error_code: 'session_barred' });
  t.equal(proxy.upstream.received.length, 4, 'what is barred is not forwarded');
});

t.test('nothing was found: the entry says who was heard', async (t) => {
  const { proxy, slow, told, post } = await open(t, HYBRID, json(200, CHAT_ANSWER));
  await (await post('/v1/chat/completions', { ...FINE, stream: false })).json();
  slow.answer();
  const { late, outcome } = await proxy.record();
  t.match([outcome, late], ['completed', { action: 'allow', triggered_rules: [], acted: [], degraded: [], latency_ms: Number }]);
  t.same(told, []);
  t.same(slow.asked.map(({ direction }) => direction), ['input', 'output']);
});

t.test('an escalation or a redaction that comes too late is flagged and told, and cuts nothing', async (t) => {
  for (const action of ['escalate', 'redact']) {
    const { proxy, slow, told, post } = await open(t, policyOf('{ mode: hybrid, bar_session: 10m }', { action }), json(200, CHAT_ANSWER));
    slow.answer();
    t.equal((await post('/v1/chat/completions', { ...BAD, stream: false }, { 'x-weir-session-id': 's' })).status, 200);
    t.match(await proxy.record(), { outcome: 'completed', late: { action, acted: ['flagged'] } });
    t.match(told, [{ late: { action, acted: ['flagged'] } }]);
    t.equal((await post('/v1/chat/completions', { ...FINE, stream: false }, { 'x-weir-session-id': 's' })).status, 200);
  }
});

t.test('what the patterns know is known in time, whatever the mode; and in sync mode everything is', async (t) => {
  for (const mode of ['sync', 'hybrid', 'async']) {
    const { proxy, slow, post } = await open(t, policyOf(`{ mode: ${mode} }`), json(200, CHAT_ANSWER));
    if (mode === 'sync') slow.answer();
    t.equal((await post('/v1/chat/completions', { ...FINE, messages: [{ role: 'user', content: 'Bluebird' }] })).status, 400, mode);
    const record = await proxy.record();
    t.match(record, { outcome: 'blocked', input: { triggered_rules: ['codename'] } });
    t.equal(record.late, undefined, 'what did not go through has nothing to be learnt of');
  }
  const { proxy, slow, post } = await open(t, policyOf('{ mode: sync }'), json(200, CHAT_ANSWER));
  slow.answer();
  t.equal((await post('/v1/chat/completions', { ...BAD, stream: false })).status, 400);
  t.match(await proxy.record(), { input: { action: 'block', triggered_rules: ['late'] } });
});

t.test('a fast classifier is heard in time under hybrid and late under async', async (t) => {
  for (const [mode, status] of [['hybrid', 400], ['async', 200]] as const) {
    const quick = new Slow('slow', 'fast');
    quick.answer();
    const { proxy, post } = await open(t, HYBRID, json(200, CHAT_ANSWER), { plan: planOf(policyOf(`{ mode: ${mode} }`), quick) });
    const answer = await post('/v1/chat/completions', { ...BAD, stream: false });
    t.ok(answer.status === status || (mode === 'async' && answer.status === 400), `${mode}: ${answer.status}`);
    const record = await proxy.record();
    if (mode === 'hybrid') t.match(record, { input: { action: 'block' }, late: undefined });
    else t.match(record, { input: { action: 'allow' }, late: { action: 'block', direction: 'input' } });
  }
});

// What is missing.

t.test('a score that never comes: closed cuts and bars nobody, open lets it be and says so', async (t) => {
  const deadline = '{ mode: hybrid, late_deadline_ms: 150, bar_session: 10m }';
  const closed = await open(t, policyOf(deadline), pausing(chatEvents(['Hello ', 'there ']), 2, never));
  const answer = await closed.post('/v1/chat/completions', FINE, { 'x-weir-session-id': 's' });
  t.match(await answer.text(), /content_filter/);
  t.match(await closed.proxy.record(), { outcome: 'blocked', late: { action: 'block', acted: ['cut'], degraded: ['late'], classifier_results: [{ classifier_id: 'slow', unknown: 'timeout' }] } });
  t.not((await closed.post('/v1/chat/completions', { ...FINE, stream: false }, { 'x-weir-session-id': 's' })).status, 403);

  const open_ = await open(t, policyOf(deadline), json(200, CHAT_ANSWER), { failMode: 'open' });
  t.equal((await open_.post('/v1/chat/completions', { ...FINE, stream: false })).status, 200);
  t.match(await open_.proxy.record(), { outcome: 'completed', late: { action: 'allow', acted: [], degraded: ['late'], classifier_results: [{ unknown: 'timeout' }] } });
  t.same(open_.told, []);
});

// What waits, and what does not.

t.test('an exchange that is over counts for no limit while its entry waits, and a drain waits for it', async (t) => {
  const { proxy, slow, post } = await open(t, HYBRID, json(200, CHAT_ANSWER), { tenants: [{ limits: { requests_per_minute: undefined, tokens_per_minute: undefined, concurrent: 1 } }], limits: { connections_max: 2 } });
  for (let i = 0; i < 4; i += 1) t.equal((await post('/v1/chat/completions', { ...FINE, stream: false })).status, 200, `${i}`);
  await until(() => proxy.records.length >= 2, WITHIN_MS, 'more than may wait are not waited for');
  t.match(proxy.records[0], { outcome: 'completed', late: { acted: [] } });
  const drained = proxy.server.drain(20_000);
  slow.answer();
  await drained;
  t.equal(proxy.records.length, 4, 'every entry is written');
});

t.test('a drain that is out of time writes what is known', async (t) => {
  const { proxy, post } = await open(t, HYBRID, json(200, CHAT_ANSWER));
  t.equal((await post('/v1/chat/completions', { ...BAD, stream: false })).status, 200);
  await until(() => proxy.server.openExchanges === 0, WITHIN_MS, 'over');
  await proxy.server.drain(50);
  t.match(proxy.records, [{ outcome: 'completed', late: { action: 'allow', acted: [] } }]);
});

t.test('strict durability: the end of the answer waits for the verdict, and does not come when it is bad', async (t) => {
  const strict = { tenants: [{ audit: { durability: 'strict' as const } }] };
  const whole = await open(t, HYBRID, json(200, CHAT_ANSWER), strict);
  const call = whole.post('/v1/chat/completions', { ...BAD, stream: false });
  await until(() => whole.slow.asked.length === 2, WITHIN_MS, 'both texts are looked at');
  t.equal(whole.proxy.records.length, 0);
  whole.slow.answer();
  t.equal((await call).status, 400);
  t.match(await whole.proxy.record(), { outcome: 'blocked', late: { acted: ['cut'] } });

  const stream = await open(t, HYBRID, pausing(chatEvents(['Hello']), 9, Promise.resolve()), strict);
  const fine = await stream.post('/v1/chat/completions', FINE);
  const begun = await readUntil(fine, 'Hello');
  t.notMatch(begun.text, /\[DONE\]/);
  t.equal(stream.proxy.records.length, 0);
  stream.slow.answer();
  t.match(await begun.rest(), /\[DONE\]/);
  t.match(await stream.proxy.record(), { outcome: 'completed', late: { action: 'allow' } });
  t.equal(stream.proxy.records.length, 1);
});

t.test('strict durability: the error of an upstream that failed waits too, and its entry tells what was found', async (t) => {
  const { proxy, slow, post } = await open(t, HYBRID, (socket) => void socket.destroy(), { tenants: [{ audit: { durability: 'strict' } }] });
  const call = post('/v1/chat/completions', { ...BAD, stream: false }, { 'x-weir-session-id': 's' });
  await until(() => slow.asked.length === 1 && proxy.upstream.received.length > 0, WITHIN_MS, 'the prompt is forwarded and looked at');
  t.equal(proxy.records.length, 0);
  await until(() => proxy.upstream.openAnswers === 0, WITHIN_MS, 'the upstream is gone');
  slow.answer();
  const { status } = await call;
  const record = await proxy.record();
  t.ok(status === 502 || status === 400, `${status}: whichever came first`);
  t.match(record, { status, late: { action: 'block', acted: status === 502 ? ['barred'] : ['cut', 'barred'] } });
  t.equal(proxy.records.length, 1);
});

t.test('a client that leaves is looked at all the same', async (t) => {
  const { proxy, slow, told, post } = await open(t, HYBRID, pausing(chatEvents(['This is bad, and ', 'goes on']), 1, never));
  const leaving = new AbortController();
  const answer = await fetch(`http://127.0.0.1:${proxy.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-weir-session-id': 's' }, body: JSON.stringify(FINE), signal: leaving.signal });
  await readUntil(answer, 'bad');
  leaving.abort();
  await until(() => slow.asked.some(({ direction }) => direction === 'output'), WITHIN_MS, 'the window it was in is asked about');
  slow.answer();
  t.match(await proxy.record(), { outcome: 'client_left', late: { direction: 'output', action: 'block', acted: ['barred'] } });
  t.equal(told.length, 1);
  t.equal((await post('/v1/chat/completions', FINE, { 'x-weir-session-id': 's' })).status, 403);
});

t.test('under history: latest what was said before is not looked at again after the fact', async (t) => {
  const { proxy, slow, post } = await open(t, HYBRID, json(200, CHAT_ANSWER));
  slow.answer();
  await post('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'All was bad' }, { role: 'assistant', content: 'It was' }, { role: 'user', content: 'All is fine' }] });
  t.match(await proxy.record(), { late: { action: 'allow' } });
  t.same(slow.asked.filter(({ direction }) => direction === 'input').map(({ content }) => content), ['All is fine']);
});

t.test('the screening service waits for every score', async (t) => {
  const { proxy, slow, post } = await open(t, HYBRID, json(200, CHAT_ANSWER));
  slow.answer();
  t.match(await (await post('/weir/v1/screen', { direction: 'input', content: 'All is bad' })).json(), { action: 'block', triggered_rules: ['late'] });
  t.equal((await proxy.record()).late, undefined);
});

t.test('a combination of which a member is heard late is late, and hears all its members together', async (t) => {
  const combine = [{ category: 'mixed', method: 'max', of: { 'slow.bad': 1, 'fast.bad': 1 }, bias: 0, missing: 'ignore', quorum: 1 }, { category: 'quick', method: 'max', of: { 'fast.bad': 1 }, bias: 0, missing: 'unknown', quorum: 1 }] as const;
  const [slow, fast] = [new Slow(), new Slow('fast', 'fast')];
  fast.answer();
  slow.answer();
  const classifiers = [slow.classifier, fast.classifier];
  const ensemble = new Ensemble({ classifiers: classifiers.map((classifier) => ({ classifier })), combine, deadlineMs: 10_000 });
  const policy = requirePolicy('policy: p\nscreening: { mode: hybrid }\nrules:\n  - { id: quick, priority: 1, when: { score: ensemble.quick, gte: 0.5 }, action: warn }\n  - { id: mixed, priority: 2, when: { score: ensemble.mixed, gte: 0.5 }, action: block }\n', 'p.yaml');
  const plan = compilePlan(policy, classifiers, { file: 'p.yaml', ensemble });
  t.same([...deferralOf(policy, ensemble)!.deferred].sort(), ['ensemble', 'slow']);
  t.equal(deferralOf(requirePolicy('policy: p\nscreening: { mode: hybrid }', 'p.yaml'), new Ensemble({ classifiers: [{ classifier: fast.classifier }] })), undefined, 'nobody is slow');
  const segment = { path: 'a', carrier: 'a', contentType: 'text', content: 'All is bad', history: false } as const;
  const screened = await plan.screen([segment], 'input', {}, undefined, 'let_go');
  t.match(plan.decide(screened, 'input', {}), { action: 'warn', triggered_rules: ['quick'] }, 'in time, by what is known in time');
  t.notMatch(JSON.stringify(screened.segments), /mixed/);
  const withoutQuick = { ...screened, segments: screened.segments.map((entry) => ({ ...entry, results: entry.results.filter(({ category }) => category !== 'quick') })) };
  t.match(await plan.complete(withoutQuick, 'input', {}), { decision: { action: 'block', triggered_rules: ['mixed'] }, isNews: true, results: [{ classifier_id: 'slow' }, { classifier_id: 'ensemble', category: 'mixed', score: 1 }] });
});

t.test('on a WebSocket a late verdict ends the connection, and the session is barred from the next', async (t) => {
  const upstream = new SocketUpstream();
  const { proxy, slow, told } = await open(t, HYBRID, () => {}, { upstreamUrl: await upstream.listen() });
  t.teardown(() => upstream.close());
  const url = `ws://127.0.0.1:${proxy.port}/v1/realtime?model=gpt-realtime`;
  const headers = { 'x-weir-session-id': 's1' };
  const client = await openSocket(url, { headers });
  const provider = await upstream.end();
  client.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'All is bad' }] } });
  await until(() => provider.frames.length === 1, WITHIN_MS, 'the event is forwarded');
  slow.answer();
  t.equal((await client.closing(WITHIN_MS)).code, 1008);
  t.match(client.events.at(-1), { type: 'error', error: { code: 'content_filter' } });
  t.match(await proxy.record(), { outcome: 'blocked', status: 101, late: { direction: 'input', action: 'block', acted: ['cut', 'barred'] } });
  t.equal(told.length, 1);
  t.equal((await refused(url, { headers })).status, 403);
});

t.test('each verdict that does more than all before is told, the first violation acts, and nothing after it counts', async (t) => {
  const [told, cuts]: [LateRecord[], string[]] = [[], []];
  let bars = 0;
  const afterwards = new Afterwards({ policy: requirePolicy(HYBRID, 'p.yaml'), bar: () => (bars += 1) > 0, tell: (record) => void told.push(record) });
  afterwards.onViolation(({ triggered_rules }) => cuts.push(triggered_rules.join()) > 0);
  const verdict = (action: PolicyDecision['action'], rule: string, isNews = true): Promise<LateVerdict> => Promise.resolve({ decision: { action, matched: [], triggered_rules: [rule], degraded: [] }, isNews, results: [] });
  t.notOk(afterwards.pending);
  await afterwards.settled();
  for (const [action, rule, isNews] of [['warn', 'a', true], ['block', 'known', false], ['escalate', 'b', true], ['escalate', 'c', true], ['redact', 'd', true]] as const) {
    afterwards.watch('input', verdict(action, rule, isNews));
    t.ok(afterwards.pending);
    await afterwards.settled();
  }
  t.same(told.map(({ action, acted }) => [action, acted]), [['escalate', ['flagged']], ['redact', ['flagged']]], 'a warning is recorded and told to nobody');
  t.same([cuts, bars, afterwards.violation], [[], 0, undefined]);
  const open = Promise.withResolvers<LateVerdict>();
  afterwards.watch('output', open.promise);
  afterwards.watch('output', verdict('replace', 'e'));
  await afterwards.settled();
  t.match(told.at(-1), { direction: 'output', action: 'replace', triggered_rules: ['a', 'b', 'c', 'd', 'e'], acted: ['cut', 'barred'] });
  t.ok(afterwards.signal.aborted, 'nobody else is asked any more');
  open.resolve(await verdict('block', 'f'));
  afterwards.watch('output', verdict('block', 'g'));
  await new Promise((resolve) => setImmediate(resolve));
  t.same([cuts, bars, told.length], [['e'], 1, 3]);
  t.match(afterwards.record, { action: 'replace', acted: ['cut', 'barred'] });
});
