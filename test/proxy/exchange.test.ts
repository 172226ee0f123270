/**
 * The walk: what each decision about a prompt does, whose key goes upstream, what the closing entry says, and what
 * strict durability holds back.
 */
import t from 'tap';
import { CHANNELS, type ExchangeOpened, type StageEnded } from '../../src/contract/channels.ts';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { HELLO, HELLO_STREAM, RawClient, chatRequest, rawRequest, type RawAnswer } from '../helpers/raw.ts';
import { CHAT_ANSWER, chatEvents, events, json, pause } from '../helpers/upstream.ts';

const MODELS = 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n';
const says = (...contents: readonly string[]): object => ({ model: 'm', messages: contents.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content })) });
const errorOf = (answer: RawAnswer): { code: string; type: string; message: string } => (JSON.parse(answer.body.toString()) as { error: { code: string; type: string; message: string } }).error;

async function start(t: { teardown(work: () => Promise<void>): void }, options: ProxyOptions = {}): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER), ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

t.test('a blocked prompt is a 400 that is not retried, streamed or not, and the upstream never hears of it', async (t) => {
  const proxy = await start(t);
  for (const stream of [false, true]) {
    const answer = await rawRequest(proxy.port, chatRequest({ ...says('please BLOCKME now'), stream }));
    t.equal(answer.status, 400);
    t.match(errorOf(answer), { code: 'content_filter', type: 'invalid_request_error' });
    t.notMatch(answer.body.toString(), 'BLOCKME', 'no user text');
    t.equal(answer.headers['x-should-retry'], 'false');
    t.equal(answer.headers['x-weir-action'], 'block');
    t.equal(answer.headers['x-weir-policy'], 'default@1');
    t.equal(answer.headers['x-weir-request-id'], answer.headers['x-request-id']);
  }
  t.equal(proxy.upstream.received.length, 0);
  const record = await proxy.record(2);
  t.match(record, { outcome: 'blocked', error_code: 'content_filter', status: 400, stream: true, model: 'm', tenant_id: 'default', route: '/v1/chat/completions' });
  t.match(record.input, { action: 'block', triggered_rules: ['word-block-1'], classifier_results: [{ classifier_id: 'words', category: 'BLOCKME', score: 1, count: 1 }], coverage: { screened: ['messages[].content'] } });
});

t.test('a rule that failed closed says so', async (t) => {
  const proxy = await start(t);
  const answer = await rawRequest(proxy.port, chatRequest(says('UNKNOWNME')));
  t.equal(answer.status, 400);
  t.equal(errorOf(answer).code, 'screening_failed');
  t.equal(answer.headers['x-weir-degraded'], 'word-block-4');
});

t.test('replace answers with the text of the rule; on_block fallback does the same for a block', async (t) => {
  const proxy = await start(t, { policy: { onBlock: 'fallback', message: 'Ask something else.' } });
  for (const [word, text] of [['REPLACEME', 'A safe answer.'], ['BLOCKME', 'Ask something else.']]) {
    const answer = await rawRequest(proxy.port, chatRequest(says(word)));
    t.equal(answer.status, 200);
    t.match(answer.body.toString(), text);
  }
  t.equal(proxy.upstream.received.length, 0);
  t.equal((await proxy.record(2)).outcome, 'blocked');
});

t.test('redact changes the text and the framing with it; warn and allow change nothing', async (t) => {
  const proxy = await start(t);
  await rawRequest(proxy.port, chatRequest(says('call REDACTME or REDACTME')));
  t.match(proxy.upstream.received[0].body.toString(), 'call [WORD] or REDACTME');
  t.equal(Number(proxy.upstream.received[0].headers['content-length']), proxy.upstream.received[0].body.length);
  t.match((await proxy.record(1)).input, { action: 'redact', redactions: 1 });
  const answer = await rawRequest(proxy.port, chatRequest(says('WARNME')));
  t.equal(answer.headers['x-weir-action'], 'warn');
  t.equal(proxy.upstream.received[1].body.toString(), JSON.stringify(says('WARNME')));
});

t.test('history latest: earlier turns do not decide, and are redacted all the same; history all: they decide', async (t) => {
  const latest = await start(t);
  t.equal((await rawRequest(latest.port, chatRequest(says('BLOCKME', 'no', 'then this')))).status, 200);
  t.match((await latest.record(1)).input, { action: 'allow', classifier_results: [{ category: 'BLOCKME' }] });
  await rawRequest(latest.port, chatRequest(says('REDACTME', 'yes', 'then this')));
  t.match(latest.upstream.received[1].body.toString(), '[WORD]');
  t.notMatch(latest.upstream.received[1].body.toString(), 'REDACTME');
  const all = await start(t, { policy: { history: 'all' } });
  t.equal((await rawRequest(all.port, chatRequest(says('BLOCKME', 'no', 'then this')))).status, 400);
});

t.test('whose key goes upstream', async (t) => {
  const key = 'weir_made-up-key';
  const keyed = { tenants: [{ id: 'acme', keys: [{ id: 'k1', sha256: keyDigest(key), expires_at: undefined }] }, { id: 'other', keys: [{ id: 'k2', sha256: keyDigest('another'), expires_at: undefined }] }] };
  const cases: readonly (readonly [string, ProxyOptions, string, string, string | undefined])[] = [
    ['sidecar: the caller’s own', {}, 'authorization: Bearer sk-own', 'authorization', 'Bearer sk-own'],
    ['sidecar with a key of the upstream', { apiKey: 'sk-up' }, 'authorization: Bearer sk-own', 'authorization', 'Bearer sk-up'],
    ['tenant key, upstream key', { ...keyed, apiKey: 'sk-up' }, `authorization: Bearer ${key}`, 'authorization', 'Bearer sk-up'],
    ['tenant key, no upstream key: ours does not leave', keyed, `authorization: Bearer ${key}`, 'authorization', undefined],
    ['tenant key in another field', { ...keyed, apiKey: 'sk-up' }, `x-api-key: ${key}`, 'x-api-key', undefined],
    ['anthropic', { ...keyed, apiKey: 'sk-up', provider: 'anthropic' }, `x-api-key: ${key}`, 'x-api-key', 'sk-up'],
    ['azure', { ...keyed, apiKey: 'sk-up', provider: 'azure.ai.openai' }, `api-key: ${key}`, 'api-key', 'sk-up'],
    ['azure, by its short name', { ...keyed, apiKey: 'sk-up', provider: 'azure' }, `authorization: Bearer ${key}`, 'api-key', 'sk-up'],
    ['another whose name begins so', { ...keyed, apiKey: 'sk-up', provider: 'azurean' }, `api-key: ${key}`, 'api-key', undefined],
  ];
  for (const [what, options, sent, name, expected] of cases) {
    const proxy = await start(t, options);
    for (const bytes of [chatRequest(HELLO, [sent]), MODELS.replace('\r\n\r\n', `\r\n${sent}\r\n\r\n`)]) {
      t.equal((await rawRequest(proxy.port, bytes)).status, 200, what);
      const received = proxy.upstream.received.at(-1)!;
      t.equal(received.headers[name], expected, what);
      if (options.tenants !== undefined) t.notMatch(received.rawHeaders.join(), key, `${what}: the tenant's key stays here`);
    }
  }
});

t.test('who is refused', async (t) => {
  const proxy = await start(t, { tenants: [{ id: 'acme', keys: [{ id: 'k1', sha256: keyDigest('weir_made-up'), expires_at: undefined }] }] });
  t.equal((await rawRequest(proxy.port, chatRequest(HELLO))).status, 401);
  t.equal(errorOf(await rawRequest(proxy.port, chatRequest(HELLO, ['authorization: Bearer wrong']))).code, 'invalid_api_key');
  t.equal(errorOf(await rawRequest(proxy.port, chatRequest(HELLO, ['authorization: Bearer weir_made-up', 'x-api-key: weir_made-up']))).code, 'two_credentials');
  t.equal(proxy.upstream.received.length, 0);
  const record = await proxy.record(3);
  t.match(record, { outcome: 'refused', tenant_id: '-', error_code: 'two_credentials', status: 400 });
});

t.test('a tenant without a usable policy is never allowed', async (t) => {
  const proxy = await start(t, { tenants: [{ policy: 'missing' }] });
  const answer = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(answer.status, 503);
  t.equal(errorOf(answer).code, 'no_policy');
  t.equal(proxy.upstream.received.length, 0);
});

t.test('unknown endpoints are refused, or passed where the configuration says so, but no spelling of a screened one', async (t) => {
  const refusing = await start(t);
  t.equal((await rawRequest(refusing.port, MODELS.replace('models', 'rerank'))).status, 404);
  const passing = await start(t, { proxy: { unknown_endpoints: 'pass' } });
  t.equal((await rawRequest(passing.port, MODELS.replace('models', 'rerank'))).status, 200);
  t.equal((await passing.record()).route, 'unknown');
  for (const path of ['/v1/chat/completions/', '/v1/Chat/completions', '/v1/chat%2fcompletions', '/v1//chat/completions', '/weir/v2']) {
    t.equal((await rawRequest(passing.port, chatRequest(HELLO).toString().replace('/v1/chat/completions', path))).status, 404, path);
  }
  t.equal((await rawRequest(passing.port, MODELS.replace('models', 'chat/completions'))).status, 405);
  t.equal(passing.upstream.received.length, 1);
});

t.test('the screening service gets the parsed body and the caller', async (t) => {
  const proxy = await start(t);
  const answer = await rawRequest(proxy.port, chatRequest({ content: 'a' }).toString().replace('/v1/chat/completions', '/weir/v1/screen'));
  t.strictSame(JSON.parse(answer.body.toString()), { echoed: { content: 'a' }, tenant: 'default' });
  t.match(await proxy.record(), { route: '/weir/v1/screen', outcome: 'completed', status: 200 });
  t.equal(proxy.upstream.received.length, 0);
});

t.test('stages and exchanges are told on the channels, before the exchange is told as closed; the trace goes on', async (t) => {
  const told: string[] = [];
  const onOpened = (message: unknown): void => {
    const opened = message as ExchangeOpened;
    told.push(`opened ${opened.method} ${opened.path} ${opened.traceparent}`);
    opened.propagate.traceparent = '00-made-up-01';
  };
  const onStage = (message: unknown): void => void told.push((message as StageEnded).stage);
  const onClosed = (): void => void told.push('closed');
  CHANNELS.exchangeOpened.subscribe(onOpened);
  CHANNELS.stageEnded.subscribe(onStage);
  CHANNELS.exchangeClosed.subscribe(onClosed);
  t.teardown(() => {
    CHANNELS.exchangeOpened.unsubscribe(onOpened);
    CHANNELS.stageEnded.unsubscribe(onStage);
    CHANNELS.exchangeClosed.unsubscribe(onClosed);
  });
  for (const durability of ['relaxed', 'strict'] as const) {
    told.length = 0;
    const proxy = await start(t, { tenants: [{ audit: { durability } }] });
    await rawRequest(proxy.port, chatRequest(HELLO, ['traceparent: 00-callers-01']));
    await proxy.record();
    t.strictSame(told, ['opened POST /v1/chat/completions 00-callers-01', 'identify', 'read_request', 'screen_input', 'decide_input', 'upstream', 'guard', 'audit', 'closed']);
    t.equal(proxy.upstream.received[0].headers.traceparent, '00-made-up-01');
  }
});

t.test('strict durability: nothing ends before its entry is written', async (t) => {
  let release: (() => void)[] = [];
  const records: ExchangeRecord[] = [];
  const audit = { append: (record: ExchangeRecord) => { records.push(record); return new Promise<void>((resolve) => release.push(resolve)); } };
  const proxy = await start(t, { audit, tenants: [{ audit: { durability: 'strict' } }] });
  const streamed = events(chatEvents(['one ', 'two']), 5);
  const cases: readonly (readonly [string, Buffer | string, ProxyUnderTest['upstream']['script'], RegExp | undefined])[] = [
    ['whole answer', chatRequest(HELLO), json(200, CHAT_ANSWER), undefined],
    ['stream', chatRequest(HELLO_STREAM), streamed, /two/],
    ['blocked', chatRequest(says('BLOCKME')), streamed, undefined],
    ['refused', chatRequest('{'), streamed, undefined],
    ['passed through', MODELS, json(200, {}), /\{\}/],
  ];
  for (const [what, bytes, script, before] of cases) {
    release = [];
    proxy.upstream.script = script;
    const client = new RawClient(proxy.port).send(bytes);
    const deadline = performance.now() + 2000;
    while (release.length === 0 && performance.now() < deadline) await pause(5);
    await pause(30);
    t.notMatch(client.bytes.toString(), '[DONE]', `${what}: the end waits`);
    t.not(client.answer()?.complete && what !== 'passed through', true, `${what}: not complete`);
    if (before !== undefined) t.match(client.bytes.toString(), before, `${what}: what comes before the end does not wait`);
    else t.equal(client.bytes.length, 0, `${what}: nothing has left`);
    release[0]();
    t.ok((await client.read()).complete, `${what}: complete once it is written`);
    client.leave();
  }
  t.equal(records.length, cases.length, 'one entry each');
});

t.test('strict durability: an entry that cannot be written is not an answer', async (t) => {
  const audit = { append: () => Promise.reject(new Error('disk full')) };
  const strict = await start(t, { audit, tenants: [{ audit: { durability: 'strict' } }] });
  for (const bytes of [chatRequest(HELLO), chatRequest(says('BLOCKME'))]) {
    const answer = await rawRequest(strict.port, bytes);
    t.equal(answer.status, 503);
    t.equal(errorOf(answer).code, 'audit_unavailable');
  }
  strict.upstream.script = events(chatEvents(['one']));
  const client = new RawClient(strict.port).send(chatRequest(HELLO_STREAM));
  await client.closed;
  t.equal(client.answer()!.complete, false);
  t.notMatch(client.bytes.toString(), '[DONE]');
  const relaxed = await start(t, { audit });
  t.equal((await rawRequest(relaxed.port, chatRequest(HELLO))).status, 200, 'relaxed traffic goes on');
});

t.test('a fault of ours is a 500 without its text', async (t) => {
  const proxy = await start(t, { createGuard: () => { throw new Error('made-up secret'); } });
  const answer = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(answer.status, 500);
  t.notMatch(answer.body.toString(), 'secret');
  t.equal((await proxy.record()).outcome, 'failed');
});
