/**
 * Anthropic's endpoints through the whole proxy: errors in the words of the caller's API whatever goes wrong, whose key
 * goes upstream, signed parts of a prompt, and an end of stream that waits for its audit entry.
 */
import t from 'tap';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { messageEvents, wholeMessage } from '../helpers/anthropic.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { RawClient, rawRequest, type RawAnswer } from '../helpers/raw.ts';
import { events, json, pause } from '../helpers/upstream.ts';

const ANSWER = wholeMessage({ blocks: [{ type: 'text', text: 'fine' }] });

async function start(t: { teardown(work: () => Promise<void>): void }, options: ProxyOptions = {}): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, ANSWER), ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

function request(body: unknown, fields: readonly string[] = [], line = 'POST /v1/messages'): Buffer {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return Buffer.concat([Buffer.from([`${line} HTTP/1.1`, 'Host: weir.example.com', 'Content-Type: application/json', `Content-Length: ${bytes.length}`, ...fields].join('\r\n') + '\r\n\r\n'), bytes]);
}

const says = (text: string, more: object = {}): object => ({ model: 'm', max_tokens: 9, messages: [{ role: 'user', content: text }], ...more });
const errorOf = ({ body }: RawAnswer): { type: string; error: { type: string; message: string; details: { error_code: string } }; request_id: string } => JSON.parse(body.toString());

t.test('every refusal is in the words of the API', async (t) => {
  const proxy = await start(t, { limits: { body_bytes_max: 2000 } });
  const cases: readonly (readonly [what: string, bytes: Buffer, status: number, type: string, code: string])[] = [
    ['a blocked prompt', request(says('BLOCKME')), 400, 'invalid_request_error', 'content_filter'],
    ['a blocked prompt, streamed', request(says('BLOCKME', { stream: true })), 400, 'invalid_request_error', 'content_filter'],
    ['a blocked prompt that would be counted', request(says('BLOCKME'), [], 'POST /v1/messages/count_tokens'), 400, 'invalid_request_error', 'content_filter'],
    ['two credentials', request(says('x'), ['X-Api-Key: a', 'Authorization: Bearer a']), 400, 'invalid_request_error', 'two_credentials'],
    ['no JSON', request('{'), 400, 'invalid_request_error', 'invalid_json'],
    ['no messages', request({}), 400, 'invalid_request_error', 'invalid_request'],
    ['too large', request(says('x'.repeat(3000))), 413, 'request_too_large', 'body_too_large'],
    ['another method', request('', [], 'GET /v1/messages'), 405, 'invalid_request_error', 'method_not_allowed'],
    ['results of a batch', request('', [], 'GET /v1/messages/batches/batch_1/results'), 404, 'not_found_error', 'unknown_endpoint'],
    ['a batch', request({ requests: [] }, [], 'POST /v1/messages/batches'), 404, 'not_found_error', 'unknown_endpoint'],
  ];
  for (const [what, bytes, status, type, code] of cases) {
    const answer = await rawRequest(proxy.port, bytes);
    t.equal(answer.status, status, what);
    t.match(errorOf(answer), { type: 'error', error: { type, details: { error_code: code } }, request_id: answer.headers['x-weir-request-id'] }, what);
    t.equal(answer.headers['request-id'], answer.headers['x-weir-request-id']);
    t.equal(answer.headers['x-should-retry'], 'false', what);
    t.notMatch(answer.body.toString(), /BLOCKME/);
  }
  t.equal(proxy.upstream.received.length, 0);
  proxy.upstream.script = (socket) => void socket.destroy();
  t.match(errorOf(await rawRequest(proxy.port, request(says('x')))), { error: { type: 'api_error', details: { error_code: 'upstream_unreachable' } } });
  t.match(JSON.parse((await rawRequest(proxy.port, request('', [], 'GET /v1/nothing'))).body.toString()), { error: { code: 'unknown_endpoint' } }, 'no API of its own: OpenAI’s');
});

t.test('whose key goes upstream', async (t) => {
  const key = 'weir_made-up-key';
  const keyed = { tenants: [{ id: 'acme', keys: [{ id: 'k1', sha256: keyDigest(key), expires_at: undefined }] }, { id: 'other', keys: [{ id: 'k2', sha256: keyDigest('another'), expires_at: undefined }] }] };
  const cases: readonly (readonly [what: string, options: ProxyOptions, sent: readonly string[], status: number, received: Readonly<Record<string, string | undefined>>])[] = [
    ['sidecar: the caller’s own', { provider: 'anthropic' }, ['X-Api-Key: sk-own', 'Anthropic-Version: 2023-06-01'], 200, { 'x-api-key': 'sk-own', 'anthropic-version': '2023-06-01' }],
    ['sidecar with a key of the upstream', { provider: 'anthropic', apiKey: 'sk-up' }, ['X-Api-Key: sk-own'], 200, { 'x-api-key': 'sk-up' }],
    ['a tenant’s key as Anthropic’s clients send it', { ...keyed, provider: 'anthropic', apiKey: 'sk-up' }, [`X-Api-Key: ${key}`], 200, { 'x-api-key': 'sk-up', authorization: undefined }],
    ['a tenant’s key as a token', { ...keyed, provider: 'anthropic', apiKey: 'sk-up' }, [`Authorization: Bearer ${key}`], 200, { 'x-api-key': 'sk-up', authorization: undefined }],
    ['a tenant’s key, no key of the upstream', { ...keyed, provider: 'anthropic' }, [`X-Api-Key: ${key}`], 200, { 'x-api-key': undefined, authorization: undefined }],
    ['no key', { ...keyed, provider: 'anthropic', apiKey: 'sk-up' }, [], 401, {}],
    ['another key', { ...keyed, provider: 'anthropic', apiKey: 'sk-up' }, ['X-Api-Key: weir_other'], 401, {}],
  ];
  for (const [what, options, sent, status, received] of cases) {
    const proxy = await start(t, options);
    for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
      const answer = await rawRequest(proxy.port, request(says('x'), sent, `POST ${path}`));
      t.equal(answer.status, status, what);
      if (status === 401) {
        t.match(errorOf(answer), { error: { type: 'authentication_error' } }, what);
        continue;
      }
      const { headers, rawHeaders, path: reached } = proxy.upstream.received.at(-1)!;
      t.equal(reached, path);
      for (const [name, value] of Object.entries(received)) t.equal(headers[name], value, `${what}: ${name}`);
      if (options.tenants !== undefined) t.notMatch(rawHeaders.join(), key, `${what}: the tenant's key stays here`);
    }
  }
});

const thought = (thinking: string, signature: string): object => ({ role: 'assistant', content: [{ type: 'thinking', thinking, signature }, { type: 'text', text: 'Well.' }] });
const turns = (...assistant: readonly object[]): object => says('x', { messages: [{ role: 'user', content: 'x' }, ...assistant, { role: 'user', content: 'y' }] });

t.test('signed thinking goes upstream whole or not at all', async (t) => {
  const proxy = await start(t);
  for (const history of ['latest', 'all'] as const) {
    const own = await start(t, { policy: { history } });
    const refused = await rawRequest(own.port, request(turns(thought('call REDACTME', 'c2ln'))));
    t.equal(refused.status, 400, history);
    t.match(errorOf(refused), { error: { message: /^messages\[\]\.content\[\]\.thinking is signed and holds what the policy redacts/, details: { error_code: 'content_filter' } } });
    t.notMatch(refused.body.toString(), /REDACTME/);
    t.match((await own.record()).input, { action: 'block', redactions: 0 });
    t.match(await own.record(), { outcome: 'blocked', error_code: 'content_filter' });
    t.equal(own.upstream.received.length, 0);
  }
  const passing = turns(thought('nothing', 'c2ln'), { role: 'user', content: 'call REDACTME' });
  t.equal((await rawRequest(proxy.port, request(passing))).status, 200);
  t.equal(proxy.upstream.received.at(-1)!.body.toString(), JSON.stringify(passing).replace('REDACTME', '[WORD]'), 'what is around it is redacted');
  t.equal((await rawRequest(proxy.port, request(turns(thought('call REDACTME', ''))))).status, 200);
  t.match(proxy.upstream.received.at(-1)!.body.toString(), 'call [WORD]', 'unsigned thinking is text like any');
  const fallback = await start(t, { policy: { onBlock: 'fallback', message: 'Begin again.' } });
  const answered = await rawRequest(fallback.port, request(turns(thought('call REDACTME', 'c2ln'))));
  t.equal(answered.status, 200);
  t.match(JSON.parse(answered.body.toString()), { type: 'message', content: [{ type: 'text', text: 'Begin again.' }], stop_reason: 'end_turn' });
  t.equal(fallback.upstream.received.length, 0);
  const counted = await rawRequest(fallback.port, request(says('BLOCKME'), [], 'POST /v1/messages/count_tokens'));
  t.same(JSON.parse(counted.body.toString()), { input_tokens: 0 });
});

t.test('strict durability: the end of a stream waits for its entry', async (t) => {
  const release: (() => void)[] = [];
  const audit = { append: (_: ExchangeRecord) => new Promise<void>((resolve) => release.push(resolve)) };
  const proxy = await start(t, { audit, tenants: [{ audit: { durability: 'strict' } }], script: events(messageEvents({ blocks: [{ type: 'text', text: 'It says message_stop, but goes on.' }] }), 3) });
  const client = new RawClient(proxy.port).send(request(says('x', { stream: true })));
  const deadline = performance.now() + 2000;
  while (release.length === 0 && performance.now() < deadline) await pause(5);
  await pause(30);
  t.match(client.bytes.toString(), /event: message_delta/, 'what comes before the end does not wait');
  t.notMatch(client.bytes.toString(), /event: message_stop/, 'the end waits');
  release[0]!();
  const answer = await client.read();
  t.ok(answer.complete);
  t.match(answer.body.toString(), /event: message_stop/);
  client.leave();
});

t.test('whoever leaves after the end of a stream has had all of it', async (t) => {
  const proxy = await start(t, { script: async (socket, received) => {
    await events(messageEvents({ blocks: [{ type: 'text', text: 'x' }] }).slice(0, -1))(socket, received);
  } });
  const cut = await start(t, { script: async (socket) => {
    const text = messageEvents({ blocks: [{ type: 'text', text: 'x' }] }).join('');
    socket.write(`HTTP/1.1 200 Fine\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
    await pause(20);
    socket.destroy();
  } });
  const answer = await rawRequest(cut.port, request(says('x', { stream: true })));
  t.ok(answer.complete, 'an upstream that dies after its last event has said all');
  t.equal((await cut.record()).outcome, 'completed');
  const open = await rawRequest(proxy.port, request(says('x', { stream: true })));
  t.notMatch(open.body.toString(), /message_stop/, 'an end that the provider did not send is not made up');
});
