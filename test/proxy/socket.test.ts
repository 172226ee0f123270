/**
 * WebSockets through the proxy, between a real ws server and real ws clients: who is let in and what the upstream sees,
 * refusals as HTTP answers, frames in both directions, limits, and every way in which a connection ends.
 */
import { createHash } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { ResponsesWS } from 'openai/resources/responses/ws';
import t, { type Test } from 'tap';
import type { ClientOptions } from 'ws';
import { WeirError } from '../../src/contract/errors.ts';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';
import { KEY_SCOPES } from '../../src/store/keys.ts';
import { keyDigest } from '../../src/tenant/keys.ts';
import { StoredKeys } from '../../src/tenant/stored-keys.ts';
import { answer } from '../helpers/framed.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { RawClient, rawRequest } from '../helpers/raw.ts';
import { connect, open, refused, SocketEnd, SocketUpstream, type Refusal } from '../helpers/sockets.ts';
import { pause, until } from '../helpers/upstream.ts';

const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));

interface House {
  readonly upstream: SocketUpstream;
  readonly proxy: ProxyUnderTest;
  readonly url: string;
  open(options?: ClientOptions, protocols?: readonly string[]): Promise<SocketEnd>;
  refused(options?: ClientOptions, protocols?: readonly string[]): Promise<Refusal>;
}

async function house(t: Test, options: ProxyOptions = {}, path = '/v1/realtime?model=gpt-realtime'): Promise<House> {
  const upstream = new SocketUpstream();
  const proxy = await ProxyUnderTest.start({ plan: redact, ...options, upstreamUrl: options.upstreamUrl ?? await upstream.listen() });
  t.teardown(async () => {
    await proxy.close();
    await upstream.close();
  });
  const url = `ws://127.0.0.1:${proxy.port}${path}`;
  return { upstream, proxy, url, open: (options, protocols) => open(url, options, protocols), refused: (options, protocols) => refused(url, options, protocols) };
}

const KEY = 'weir_made-up-key';
const KEYED = { tenants: [{ id: 'acme', keys: [{ id: 'k1', sha256: keyDigest(KEY), expires_at: undefined }] }] };
const bearer = (key: string, more: Record<string, string> = {}): ClientOptions => ({ headers: { Authorization: `Bearer ${key}`, ...more } });
const says = (text: string, more: object = {}): object => ({ type: 'conversation.item.create', ...more, item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] } });

// Opening.

t.test('what the upstream sees, and what the client gets', async (t) => {
  const { upstream, proxy, open } = await house(t, { ...KEYED, apiKey: 'sk-up' });
  const client = await open({ headers: { ...bearer(KEY).headers, 'OpenAI-Beta': 'realtime=v1', 'X-Weir-Session-Id': 's1', 'X-Custom': 'a', Cookie: 'b=c' }, origin: 'https://app.example.com' }, ['realtime', 'openai-organization.org_1']);
  const [request] = upstream.requests;
  t.equal(request!.url, '/v1/realtime?model=gpt-realtime');
  t.match(request!.headers, { authorization: 'Bearer sk-up', 'openai-beta': 'realtime=v1', 'x-custom': 'a', cookie: 'b=c', origin: 'https://app.example.com', 'sec-websocket-protocol': 'realtime,openai-organization.org_1', 'sec-websocket-version': '13' });
  t.equal(request!.headers['sec-websocket-extensions'], undefined, 'no compression is offered');
  t.notMatch(request!.rawHeaders.join(), new RegExp(`${KEY}|X-Weir`, 'i'), 'nothing of ours leaves');
  t.equal(client.ws.protocol, 'realtime');
  t.equal(client.ws.extensions, '', 'and none is accepted');
  client.ws.close();
  t.match(await proxy.record(), { tenant_id: 'acme', session_id: 's1', route: '/v1/realtime', method: 'GET', model: 'gpt-realtime', stream: true, status: 101, upstream_status: 101, outcome: 'completed', policy: redact.policyName });
});

t.test('the answer to the handshake carries the upstream’s fields and ours', async (t) => {
  const { upstream, proxy } = await house(t);
  const client = new RawClient(proxy.port).send('GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n');
  await until(() => client.bytes.includes('\r\n\r\n'), 20_000, 'the handshake');
  const head = client.bytes.toString('latin1').toLowerCase();
  t.match(head, /^http\/1\.1 101 /);
  t.match(head, 'sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=');
  for (const field of ['x-request-id: req_made_up', 'openai-processing-ms: 5', `x-weir-policy: ${redact.policyName}`]) t.match(head, field);
  t.match(head, /x-weir-request-id: [\da-f-]{36}\r\n/);
  t.notMatch(head, 'sec-websocket-extensions');
  t.equal((head.match(/sec-websocket-accept/g) ?? []).length, 1);
  t.equal(upstream.requests.length, 1);
  client.leave();
  await proxy.record();
});

t.test('a credential stands in one place: a header, or the protocols of a browser', async (t) => {
  const { upstream, proxy, open, refused } = await house(t, { ...KEYED, apiKey: 'sk-up' });
  const fromBrowser = await open({}, ['realtime', `openai-insecure-api-key.${KEY}`, 'openai-beta.realtime-v1']);
  t.match(upstream.requests[0]!.headers, { authorization: 'Bearer sk-up', 'sec-websocket-protocol': 'realtime,openai-beta.realtime-v1' });
  t.notMatch(upstream.requests[0]!.rawHeaders.join(), KEY);
  t.equal(fromBrowser.ws.protocol, 'realtime');
  fromBrowser.ws.close();
  await proxy.record();
  for (const [options, protocols, code, status] of [
    [bearer(KEY), [`openai-insecure-api-key.${KEY}`], 'two_credentials', 400], [{}, [`openai-insecure-api-key.${KEY}`, 'openai-insecure-api-key.other'], 'two_credentials', 400], [{ headers: { 'api-key': KEY, 'x-api-key': KEY } }, [], 'two_credentials', 400],
    [{}, [], 'missing_api_key', 401], [{}, ['realtime'], 'missing_api_key', 401], [bearer('wrong'), [], 'invalid_api_key', 401], [{}, ['openai-insecure-api-key.wrong'], 'invalid_api_key', 401],
  ] as const) {
    const { status: got, body, headers } = await refused(options, protocols);
    t.match({ got, code: body.error.code }, { got: status, code }, `${JSON.stringify(options)} ${protocols.join()}`);
    t.match(headers['x-weir-request-id'], /^[\da-f-]{36}$/);
  }
  t.equal(upstream.requests.length, 1);
  t.match(await proxy.record(8), { outcome: 'refused', tenant_id: '-', error_code: 'invalid_api_key', status: 401, route: '/v1/realtime' });
});

t.test('a connection does not outlive its key: the first frame after it was revoked ends it', async (t) => {
  const storedKeys = new StoredKeys();
  const key = { key_id: 'k1', tenant_id: 'acme', sha256: keyDigest(KEY), scopes: KEY_SCOPES, requests_per_minute: null, tokens_per_minute: null, expires_at: null };
  storedKeys.take([{ ...key, change: 1, revoked: false }, { ...key, key_id: 'k2', sha256: keyDigest('weir_made-up-screening'), scopes: ['screening'], change: 2, revoked: false }]);
  const { upstream, proxy, open, refused } = await house(t, { tenants: [{ id: 'acme' }], storedKeys, apiKey: 'sk-up' });
  t.match((await refused(bearer('weir_made-up-screening'))).body.error, { code: 'key_scope' });
  const client = await open(bearer(KEY));
  const before = await upstream.end();
  client.send(says('hello'));
  await until(() => before.frames.length === 1, 20_000, 'the first frame upstream');
  storedKeys.take([{ ...key, change: 3, revoked: true }]);
  client.send(says('hello again'));
  t.match(await client.closing(), { code: 1008 });
  t.match(client.frames.join(), /invalid_api_key/);
  t.equal(before.frames.length, 1, 'it went no further');
  t.match(await proxy.record(2), { tenant_id: 'acme', key_id: 'k1', outcome: 'refused', error_code: 'invalid_api_key' });
});

t.test('in the sidecar case the caller’s own credential passes', async (t) => {
  const { upstream, open } = await house(t);
  for (const [options, protocols] of [[bearer('sk-own'), []], [{}, ['realtime', 'openai-insecure-api-key.sk-own']]] as const) {
    (await open(options, protocols)).ws.close();
    t.equal(upstream.requests.at(-1)!.headers.authorization, 'Bearer sk-own');
  }
});

t.test('the upstream’s refusal is passed on as an HTTP answer, screened', async (t) => {
  const { upstream, proxy, refused } = await house(t);
  upstream.onUpgrade = (socket) => void socket.end('HTTP/1.1 403 Not Yours\r\ncontent-type: application/json\r\nx-request-id: req_9\r\nconnection: close\r\n\r\n{"error":{"message":"ana@example.com may not","code":"no"}}');
  const answer = await refused();
  t.match(answer, { status: 403, headers: { 'x-request-id': 'req_9', 'content-type': 'application/json' }, body: { error: { message: '[EMAIL] may not', code: 'no' } } });
  t.match(await proxy.record(), { outcome: 'completed', status: 403, upstream_status: 403, output: { action: 'redact' } });
});

t.test('an upstream that answers with something else is a fault of the upstream', async (t) => {
  const { upstream, proxy, refused } = await house(t, { upstreamTimeouts: { connect_ms: 300 } });
  const cases: readonly (readonly [string, SocketUpstream['onUpgrade'], number, string])[] = [
    ['a redirect', (socket) => void socket.end('HTTP/1.1 307 Moved\r\nlocation: wss://elsewhere.example.com\r\n\r\n'), 502, 'upstream_protocol'],
    ['a page', (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'), 502, 'upstream_protocol'],
    ['a wrong accept', (socket) => void socket.end('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n'), 502, 'upstream_protocol'],
    ['an extension that nobody asked for', (socket, { headers }) => void socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept(headers['sec-websocket-key']!)}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n`), 502, 'upstream_protocol'],
    ['no HTTP', (socket) => void socket.end('SSH-2.0-made-up\r\n'), 502, 'upstream_protocol'],
    ['nothing', (socket) => void socket.destroy(), 502, 'upstream_unreachable'],
    ['silence', () => {}, 504, 'upstream_timeout'],
    ['a compressed refusal', (socket) => void socket.end('HTTP/1.1 400 Bad\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx'), 502, 'upstream_protocol'],
    ['a refusal without end', (socket) => { socket.write('HTTP/1.1 400 Bad\r\n\r\n'); socket.write('x'.repeat(2_000_000)); }, 502, 'response_too_large'],
  ];
  for (const [what, onUpgrade, status, code] of cases) {
    upstream.onUpgrade = onUpgrade;
    const answer = await refused();
    t.match([answer.status, answer.body.error.code], [status, code], what);
  }
  t.match(await proxy.record(cases.length), { outcome: 'upstream_failed' });
  const nowhere = await house(t, { upstreamUrl: 'http://127.0.0.1:9' });
  t.match(await nowhere.refused(), { status: 502, body: { error: { code: 'upstream_unreachable' } } });
});

function accept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

t.test('what is no handshake is refused before anything is asked', async (t) => {
  const { upstream, proxy } = await house(t);
  const ask = async (path: string, ...fields: string[]): Promise<[number, string]> => {
    const { status, body, headers } = await rawRequest(proxy.port, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`);
    if (status === 426) t.match(headers, { upgrade: 'websocket', 'sec-websocket-version': '13' });
    return [status, JSON.parse(body.toString()).error.code];
  };
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const version = 'Sec-WebSocket-Version: 13';
  const upgrade = 'Upgrade: websocket';
  for (const [fields, status, code] of [
    [[upgrade, key], 426, 'upgrade_required'], [[upgrade, key, 'Sec-WebSocket-Version: 8'], 426, 'upgrade_required'], [[upgrade, version], 400, 'bad_request'], [[upgrade, version, 'Sec-WebSocket-Key: short'], 400, 'bad_request'],
    [[upgrade, version, key, 'Sec-WebSocket-Protocol: a, a'], 400, 'bad_request'], [[upgrade, version, key, 'Sec-WebSocket-Protocol: a,,b'], 400, 'bad_request'], [[upgrade, version, key, 'Content-Length: 3'], 400, 'bad_request'],
    [[upgrade, version, key, 'Host: b'], 400, 'bad_request'], [[upgrade, version, key, 'X-Weir-Session-Id: '], 400, 'bad_request'],
  ] as const) t.same(await ask('/v1/realtime', ...fields), [status, code], fields.join());
  t.same(await ask('/v1/realtime?api-key=made-up', upgrade, version, key), [400, 'bad_request']);
  t.same(await ask(`/v1/realtime?a=${'b'.repeat(3000)}`, upgrade, version, key), [414, 'url_too_long']);
  t.same(await ask('/v1/chat/completions', upgrade, version, key), [501, 'upgrade_refused']);
  t.same(await ask('/v1/realtime/calls', upgrade, version, key), [501, 'upgrade_refused']);
  t.same(await ask('/v1/realtime', 'Upgrade: h2c'), [501, 'upgrade_refused']);
  t.same(await ask('/v1/realtime'), [426, 'upgrade_required'], 'a plain request');
  t.equal((await rawRequest(proxy.port, `GET /v1/realtime HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\n${upgrade}\r\n${version}\r\n${key}\r\n\r\n`)).status, 426, 'HTTP/1.0');
  t.equal(upstream.requests.length, 0);
});

t.test('neither a plain request nor a path below is handed over where unknown endpoints pass', async (t) => {
  const { upstream, proxy } = await house(t, { proxy: { unknown_endpoints: 'pass' } });
  for (const [method, path, status] of [['GET', '/v1/realtime', 426], ['POST', '/v1/realtime', 426], ['POST', '/v1/realtime/calls', 404], ['POST', '/v1/Realtime/client_secrets', 404], ['POST', '/openai/v1/realtime/calls', 404]] as const) {
    t.equal((await rawRequest(proxy.port, `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)).status, status, `${method} ${path}`);
  }
  t.equal(upstream.requests.length, 0);
});

t.test('the configuration refuses, or hands over', async (t) => {
  const refusing = await house(t, { proxy: { websockets: 'refuse' } });
  t.match(await refusing.refused(), { status: 501, body: { error: { code: 'upgrade_refused' } } });
  t.equal(refusing.upstream.requests.length, 0);
  t.match(await refusing.proxy.record(), { outcome: 'refused', error_code: 'upgrade_refused', status: 501 });

  const passing = await house(t, { proxy: { websockets: 'pass' } });
  passing.upstream.onConnection = (end) => end.ws.on('message', (data, isBinary) => end.ws.send(data, { binary: isBinary }));
  const client = await passing.open();
  client.send(says('ana@example.com'), 'no json');
  client.ws.send(Buffer.from([0, 255]));
  await until(() => client.frames.length === 2 && client.binary.length === 1, 20_000, 'three frames');
  t.same(client.frames, [JSON.stringify(says('ana@example.com')), 'no json']);
  t.same(client.binary, [Buffer.from([0, 255])]);
  (await passing.upstream.end()).ws.close(4001, 'ana@example.com');
  t.same(await client.closing(), { code: 4001, reason: 'ana@example.com' });
  t.match(await passing.proxy.record(), { outcome: 'completed', policy: undefined, input: { coverage: { opaque: [{ carrier: 'frames', kind: 'pass_through', treatment: 'pass' }] } }, request_bytes: client.frames.join('').length + 2 });
});

t.test('a tenant without a usable policy is never allowed', async (t) => {
  const { upstream, refused } = await house(t, { tenants: [{ policy: 'missing' }] });
  t.match(await refused(), { status: 503, body: { error: { code: 'no_policy' } } });
  t.equal(upstream.requests.length, 0);
});

t.test('a client that leaves before its handshake is answered ends the upstream’s', async (t) => {
  for (const leave of ['end', 'destroy'] as const) {
    const { upstream, proxy } = await house(t, { upstreamTimeouts: { connect_ms: 5000 } });
    let gone = false;
    upstream.onUpgrade = (socket) => void socket.on('end', () => { gone = true; }).resume();
    const socket = connectTcp(proxy.port, '127.0.0.1').on('error', () => {});
    socket.write('GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    await until(() => upstream.requests.length === 1, 20_000, 'the upstream');
    socket[leave]();
    await until(() => gone, 20_000, `the upstream is left: ${leave}`);
    t.match(await proxy.record(), { outcome: 'client_left' });
  }
});

t.test('frames sent before the handshake is answered are not lost', async (t) => {
  const { upstream, proxy } = await house(t);
  const socket = connectTcp(proxy.port, '127.0.0.1');
  const text = JSON.stringify(says('hello'));
  const mask = Buffer.from([1, 2, 3, 4]);
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255]), mask, Buffer.from(text).map((byte, i) => byte ^ mask[i % 4]!)]);
  socket.write('GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  socket.write(frame.subarray(0, 7));
  await pause(5);
  socket.write(frame.subarray(7));
  t.same((await (await upstream.end()).take(1))[0], says('hello'));
  socket.destroy();
  await proxy.record();
});

// Frames.

t.test('what nothing changes is relayed as the bytes it came in, both ways', async (t) => {
  const { upstream, open } = await house(t);
  const odd = '{ "type" : "response.create",\n "event_id":"a\\u00e9", "n": 1.50e2 }';
  const client = await open();
  const end = await upstream.end();
  client.send(odd);
  end.send(odd.replace('response.create', 'made.up'));
  await Promise.all([client.take(1), end.take(1)]);
  t.same([end.frames, client.frames], [[odd], [odd.replace('response.create', 'made.up')]]);
});

t.test('a client’s event is redacted in place, in order, while others follow', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  const events = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? says(`${i}: mail ana@example.com`) : { type: 'input_audio_buffer.append', audio: 'AAAA' }));
  client.send(...events, { type: 'response.create', response: { instructions: 'call 4111 1111 1111 1111' } });
  const got = await end.take(41);
  t.same(got.filter((_, i) => i % 2 === 0 && i < 40).map(({ item }) => item.content[0].text), events.filter((_, i) => i % 2 === 0).map((_, i) => `${i * 2}: mail [EMAIL]`));
  t.equal(got[40].response.instructions, 'call [CREDIT_CARD]');
  client.ws.close();
  const { input } = await proxy.record();
  t.match(input, { action: 'redact', redactions: 21, triggered_rules: ['pii'], coverage: { opaque: [{ carrier: 'audio', kind: 'audio', treatment: 'pass' }] } });
  t.match(input!.classifier_results.filter(({ category }) => category !== 'PHONE_NUMBER'), [{ category: 'EMAIL', count: 20, score: 1 }, { category: 'CREDIT_CARD', count: 1, score: 1 }]);
});

t.test('a blocked event is not forwarded, its error names it, and the connection goes on', async (t) => {
  const { upstream, proxy, open } = await house(t, { plan: block });
  const client = await open();
  const end = await upstream.end();
  client.send(says('mail ana@example.com', { event_id: 'mine_7' }), says('fine'));
  const [error] = await client.take(1);
  t.match(error, { type: 'error', error: { type: 'invalid_request_error', code: 'content_filter', event_id: 'mine_7' } });
  t.notMatch(client.frames[0], 'ana@');
  t.same(await end.take(1), [says('fine')]);
  client.ws.close();
  t.match(await proxy.record(), { outcome: 'blocked', input: { action: 'block', triggered_rules: ['pii'] }, status: 101 });
});

t.test('a policy that answers instead says so in the error', async (t) => {
  const { upstream, open } = await house(t, { plan: planOf(REDACT_PII.replace('action: redact', 'action: replace, message: Ask the front desk.')) });
  const client = await open();
  client.send(says('mail ana@example.com'));
  t.match((await client.take(1))[0], { type: 'error', error: { code: 'content_filter', message: 'Ask the front desk.' } });
  t.equal((await upstream.end()).frames.length, 0);
});

t.test('what is no event is answered with an error, and not forwarded', async (t) => {
  const { upstream, open } = await house(t, { limits: { json_depth_max: 6, json_items_max: 20 } });
  const client = await open();
  const cases = [['{', 'invalid_json'], ['{"type":"a","type":"b"}', 'duplicate_key'], [JSON.stringify({ type: 'a', b: [[[[[[[1]]]]]]] }), 'json_too_deep'], [JSON.stringify({ type: 'a', b: Array(30).fill(1) }), 'json_too_many_keys'], ['[]', 'invalid_request'], ['{"a":1}', 'invalid_request'], ['{"type":"a","b":"\\ud800"}', 'invalid_utf8']] as const;
  client.send(...cases.map(([frame]) => frame), { type: 'fine' });
  t.same((await client.take(cases.length)).map(({ type, error }) => [type, error.code]), cases.map(([, code]) => ['error', code]));
  t.same(await (await upstream.end()).take(1), [{ type: 'fine' }]);
});

t.test('an answer is redacted in its deltas and copies, however its text is cut', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const text = 'Write to ana@example.com, or call 4111 1111 1111 1111 now.';
  const seen = new Set<string>();
  for (const size of [1, 2, 5, 13, 100]) {
    const client = await open();
    const end = upstream.ends.at(-1)!;
    const events = answer(text.match(new RegExp(`.{1,${size}}`, 'g'))!);
    end.send(...events);
    await until(() => client.frames.some((frame) => frame.includes('"response.done"')), 20_000, 'the end of the answer');
    const deltas = client.events.filter(({ type }) => type === 'response.output_text.delta').map(({ delta }) => delta).join('');
    seen.add(deltas);
    t.equal(client.events.at(-1).response.output[0].content[0].text, deltas);
    t.notMatch(client.frames.join(), /example\.com|1111/);
    client.ws.close();
  }
  t.same([...seen], ['Write to [EMAIL], or call [CREDIT_CARD] now.']);
  t.match((await proxy.record(5)).output, { action: 'redact', redactions: 2 });
});

t.test('an answer that is blocked is cancelled upstream, and the next one is given', async (t) => {
  const { upstream, proxy, open } = await house(t, { plan: planOf(REDACT_PII.replace('direction: both', 'direction: output').replace('action: redact', 'action: block')) });
  const client = await open();
  const end = await upstream.end();
  client.send({ type: 'response.create' });
  await end.take(1);
  const first = answer(['Write to ', 'ana@example.com, ', 'she knows.']);
  end.send(...first.slice(0, 7));
  t.match((await end.take(2))[1], { type: 'response.cancel', response_id: 'resp_1' });
  end.send({ type: 'error', event_id: 'e', error: { type: 'x', message: 'nothing to cancel', event_id: end.events[1].event_id } }, ...first.slice(7), ...answer(['All well.'], { response: 'resp_2', item: 'item_2' }));
  await until(() => client.frames.some((frame) => frame.includes('resp_2') && frame.includes('"response.done"')), 20_000, 'the second answer');
  const types = client.events.map(({ type }) => type);
  t.match(client.events[types.indexOf('error')], { error: { code: 'content_filter' } });
  t.match(client.events.find(({ type, response }) => type === 'response.done' && response.id === 'resp_1'), { response: { status: 'incomplete', status_details: { reason: 'content_filter' } } });
  t.notMatch(client.frames.join(), /example\.com|she knows|nothing to cancel/);
  client.ws.close();
  t.match(await proxy.record(), { outcome: 'blocked', output: { action: 'block', triggered_rules: ['pii'] }, input: { action: 'allow' } });
});

t.test('a rule about answers does not stop what the client said itself', async (t) => {
  const { upstream, proxy, open } = await house(t, { plan: planOf(REDACT_PII.replace('direction: both', 'direction: output').replace('action: redact', 'action: block')) });
  const client = await open();
  const end = await upstream.end();
  client.send(says('I am ana@example.com'));
  const [{ item }] = await end.take(1);
  end.send({ type: 'conversation.item.added', event_id: 'e', item: { ...item, id: 'item_u' } }, { type: 'conversation.item.added', event_id: 'e', item: { ...item, id: 'item_v', content: [{ type: 'input_text', text: 'I am bob@example.org' }] } });
  t.same((await client.take(2)).map(({ type }) => type), ['conversation.item.added', 'error']);
  client.ws.close();
  t.match(await proxy.record(), { input: { action: 'allow' }, output: { action: 'block' } });
});

t.test('sound is left out both ways where the configuration refuses it, and that is told once', async (t) => {
  const opaque = { image: 'pass', audio: 'refuse', video: 'pass', file: 'pass', remote_url: 'pass', reference: 'pass', encrypted: 'pass', tokens: 'refuse', background: 'refuse' } as const;
  const { upstream, proxy, open } = await house(t, { proxy: { opaque } });
  const client = await open();
  const end = await upstream.end();
  const append = { type: 'input_audio_buffer.append', audio: 'AAAA' };
  client.send(append, append, says('hello'));
  t.same(await end.take(1), [says('hello')]);
  const audio = { type: 'response.output_audio.delta', event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, delta: 'AAAA' };
  end.send(audio, audio, { type: 'response.output_audio.done' });
  await client.take(3);
  t.match(client.events, [{ type: 'error', error: { code: 'opaque_refused' } }, { type: 'error', error: { code: 'opaque_refused' } }, { type: 'response.output_audio.done' }]);
  client.ws.close();
  t.match(await proxy.record(), { outcome: 'completed', output: { coverage: { opaque: [{ kind: 'audio', treatment: 'refuse' }] } } });
});

t.test('pseudonyms of a connection are restored in its answers', async (t) => {
  const { upstream, open } = await house(t, { plan: planOf(REDACT_PII.replace('direction: both', 'direction: input').replace('action: redact', 'action: redact, redact: { style: pseudonym }')) });
  for (const headers of [undefined, { 'x-weir-session-id': 's1' }]) {
    const client = await open({ headers });
    await until(() => upstream.ends.length > 0, 20_000, 'the upstream');
    const end = upstream.ends.at(-1)!;
    client.send(says('I am ana@example.com'), { type: 'input_audio_buffer.append', audio: 'AAAA' }, says('and bob@example.org, or ana@example.com'));
    const got = await end.take(3);
    t.same([got[0].item.content[0].text, got[2].item.content[0].text], ['I am ⟨EMAIL_1⟩', 'and ⟨EMAIL_2⟩, or ⟨EMAIL_1⟩']);
    end.send(...answer(['Dear ⟨EM', 'AIL_2⟩ and ⟨EMAIL_1⟩.']));
    await until(() => client.frames.some((frame) => frame.includes('"response.done"')), 20_000, 'the answer');
    t.notMatch(client.frames.join(), '⟨');
    client.ws.close();
    await end.closing();
    upstream.ends.length = 0;
  }
});

// Limits, each at the limit and over it.

t.test('a frame of the client: body_bytes_max', async (t) => {
  const { upstream, proxy, open } = await house(t, { limits: { body_bytes_max: 2000 } });
  const sized = (bytes: number): string => JSON.stringify({ type: 'x', note: 'a'.repeat(bytes - JSON.stringify({ type: 'x', note: '' }).length) });
  const client = await open();
  client.send(sized(2000));
  const end = await upstream.end();
  t.equal((await end.take(1))[0].note.length, 2000 - 22);
  client.send(sized(2001));
  t.equal((await client.closing()).code, 1009);
  t.equal((await end.closing(20_000)).code, 1001);
  t.equal(end.frames.length, 1);
  t.match(await proxy.record(), { outcome: 'refused', error_code: 'body_too_large' });
});

t.test('a frame of the upstream: event_bytes_max', async (t) => {
  const { upstream, proxy, open } = await house(t, { limits: { event_bytes_max: 2000 } });
  const sized = (bytes: number): string => JSON.stringify({ type: 'x', note: 'a'.repeat(bytes - JSON.stringify({ type: 'x', note: '' }).length) });
  const client = await open();
  const end = await upstream.end();
  end.send(sized(2000));
  t.equal((await client.take(1))[0].note.length, 2000 - 22);
  end.send(sized(2001));
  t.match((await client.take(2))[1], { type: 'error', error: { code: 'response_too_large' } });
  t.equal((await client.closing()).code, 1014);
  t.equal((await end.closing(20_000)).code, 1009);
  t.match(await proxy.record(), { outcome: 'upstream_failed', error_code: 'response_too_large' });
});

t.test('what is no text in UTF-8 ends the connection', async (t) => {
  const cases: readonly (readonly [string, (client: SocketEnd) => void, number, string])[] = [
    ['a binary frame', (client) => client.ws.send(Buffer.from('{"type":"x"}')), 1003, 'unsupported_media_type'],
    ['half a character', (client) => client.ws.send(Buffer.from([0x22, 0xc3, 0x22]), { binary: false }), 1007, 'bad_request'],
    ['a compressed frame', (client) => void (client.ws as any)._socket.write(Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x61])), 1002, 'bad_request'],
    ['a frame without a mask', (client) => void (client.ws as any)._socket.write(Buffer.from([0x81, 1, 0x61])), 1002, 'bad_request'],
  ];
  for (const [what, send, code, error] of cases) {
    const { upstream, proxy, open } = await house(t);
    const client = await open();
    const end = await upstream.end();
    send(client);
    t.equal((await client.closing()).code, code, what);
    t.equal((await end.closing(20_000)).code, 1001, what);
    t.equal(end.frames.length + end.binary.length, 0, what);
    t.match(await proxy.record(), { outcome: 'refused', error_code: error }, what);
  }
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  (await upstream.end()).ws.send(Buffer.from('{"type":"x"}'));
  t.equal((await client.closing()).code, 1014, 'a binary frame of the upstream');
  t.match(await proxy.record(), { outcome: 'upstream_failed', error_code: 'upstream_protocol' });
  t.same(client.binary, []);
});

t.test('requests a minute: the connection counts, and every answer that is asked for', async (t) => {
  const { upstream, open, refused } = await house(t, { tenants: [{ limits: { requests_per_minute: 3, tokens_per_minute: undefined, concurrent: undefined } }] });
  const client = await open();
  client.send({ type: 'response.create' }, says('hello'), { type: 'response.create' }, { type: 'response.create', event_id: 'mine_3' }, says('bye'));
  t.match((await client.take(1))[0], { error: { code: 'rate_limited', type: 'rate_limit_error', event_id: 'mine_3' } });
  t.same((await (await upstream.end()).take(4)).map(({ type }) => type), ['response.create', 'conversation.item.create', 'response.create', 'conversation.item.create']);
  t.match(await refused(), { status: 429, headers: { 'retry-after': /\d/ } });
});

t.test('connections at once: concurrent', async (t) => {
  const { proxy, open, refused } = await house(t, { tenants: [{ limits: { requests_per_minute: undefined, tokens_per_minute: undefined, concurrent: 1 } }] });
  const client = await open();
  t.match(await refused(), { status: 429, body: { error: { code: 'rate_limited' } } });
  client.ws.close();
  await proxy.record(2);
  (await open()).ws.close();
});

t.test('tokens a minute: what the upstream counts is charged', async (t) => {
  const { upstream, open } = await house(t, { tenants: [{ limits: { requests_per_minute: undefined, tokens_per_minute: 1000, concurrent: undefined } }] });
  const client = await open();
  const end = await upstream.end();
  client.send({ type: 'response.create' });
  await end.take(1);
  const [created, ...rest] = answer(['fine']);
  rest.at(-1).response.usage = { input_tokens: 2000, output_tokens: 3000 };
  end.send(created, ...rest);
  await client.take(rest.length + 1);
  client.send({ type: 'response.create' });
  t.match((await client.take(rest.length + 2)).at(-1), { error: { code: 'rate_limited' } });
});

t.test('open connections: connections_max', async (t) => {
  const { open, refused } = await house(t, { limits: { connections_max: 1 } });
  const client = await open();
  t.match(await refused(), { status: 503, body: { error: { code: 'overloaded' } } });
  client.ws.close();
});

// Ends.

t.test('a closing code goes to the other side, and the upstream’s reason is screened', async (t) => {
  const cases: readonly (readonly ['client' | 'upstream', number | undefined, string, number, string, string])[] = [
    ['client', 1000, 'bye', 1000, '', 'completed'], ['client', 4007, 'x', 4007, '', 'completed'], ['client', undefined, '', 1005, '', 'completed'],
    ['upstream', 1000, 'session over for ana@example.com', 1000, 'session over for [EMAIL]', 'completed'], ['upstream', 1001, '', 1001, '', 'completed'], ['upstream', undefined, '', 1005, '', 'completed'], ['upstream', 3000, 'x', 3000, 'x', 'completed'],
    ['upstream', 1011, 'fault', 1011, 'fault', 'upstream_failed'], ['upstream', 1008, '', 1008, '', 'upstream_failed'],
  ];
  for (const [who, code, reason, wantedCode, wantedReason, outcome] of cases) {
    const { upstream, proxy, open } = await house(t);
    const client = await open();
    const end = await upstream.end();
    const [leaving, left] = who === 'client' ? [client, end] : [end, client];
    leaving.ws.close(code, reason);
    t.same(await left.closing(20_000), { code: wantedCode, reason: wantedReason }, `${who} ${code}`);
    await leaving.closing(1500);
    t.match(await proxy.record(), { outcome }, `${who} ${code}`);
  }
});

t.test('a client that vanishes ends the upstream', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  client.vanish();
  t.equal((await end.closing(10_000)).code, 1001);
  t.match(await proxy.record(), { outcome: 'client_left', status: 101 });
});

t.test('an upstream that vanishes is an error and no clean end', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  end.send(...answer(['to be cont', 'inued']).slice(0, 6));
  await client.take(4);
  end.vanish();
  t.same(await client.closing(10_000), { code: 1014, reason: '' });
  t.match(client.events.at(-1), { type: 'error', error: { code: 'upstream_unreachable', type: 'server_error' } });
  t.match(await proxy.record(), { outcome: 'upstream_failed', error_code: 'upstream_unreachable' });
});

t.test('an upstream that does not answer a closing handshake is left after a second', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  (end.ws as any)._socket.pause();
  client.ws.close(1000);
  const startMs = performance.now();
  t.match(await proxy.record(), { outcome: 'completed' });
  t.ok(performance.now() - startMs < 10_000);
});

t.test('what is held when the upstream closes leaves first', async (t) => {
  const { upstream, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  const events = answer(['to be continued']).slice(0, 5);
  end.send(...events);
  end.ws.close(1000);
  t.equal((await client.closing()).code, 1000);
  t.same(client.events, events);
});

t.test('a connection that carries nothing is closed', async (t) => {
  const { upstream, proxy, open } = await house(t, { timeouts: { socket_idle_ms: 3_000 } });
  const client = await open();
  const end = await upstream.end();
  for (let i = 0; i < 4; i += 1) {
    await pause(1_000);
    if (i % 2 === 0) client.ws.ping();
    else end.send({ type: 'ping' });
  }
  t.equal(client.closed, undefined, 'a ping is a sign of life');
  t.equal((await client.closing(20_000)).code, 1001);
  t.equal((await end.closing(20_000)).code, 1001);
  t.match(await proxy.record(), { outcome: 'completed' });
});

t.test('pings are answered, and go no further', async (t) => {
  const { upstream, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  const seen: string[] = [];
  client.ws.on('pong', (data) => seen.push(`client ${data.toString()}`)).on('ping', () => seen.push('ping at client'));
  end.ws.on('pong', (data) => seen.push(`upstream ${data.toString()}`)).on('ping', () => seen.push('ping at upstream'));
  client.ws.ping('a secret');
  end.ws.ping('b');
  await until(() => seen.length === 2, 20_000, 'two pongs');
  await pause(20);
  t.same(seen.sort(), ['client a secret', 'upstream b']);
});

t.test('a client that reads slowly pauses the upstream, and gets everything', async (t) => {
  const { upstream, open } = await house(t, { limits: { queue_bytes_max: 8_000_000 } });
  const client = await open();
  const end = await upstream.end();
  (client.ws as any)._socket.pause();
  const audio = { type: 'response.output_audio.delta', event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, delta: 'A'.repeat(100_000) };
  for (let i = 0; i < 300; i += 1) end.send(audio);
  await pause(300);
  t.ok(end.ws.bufferedAmount > 5_000_000, `the upstream waits with ${end.ws.bufferedAmount} bytes`);
  (client.ws as any)._socket.resume();
  await client.take(300, 10_000);
  t.equal(end.ws.bufferedAmount, 0);
});

t.test('a client that reads nothing is left', async (t) => {
  const { upstream, proxy, open } = await house(t, { timeouts: { client_idle_ms: 300 } });
  const client = await open();
  const end = await upstream.end();
  (client.ws as any)._socket.pause();
  for (let i = 0; i < 300; i += 1) end.send({ type: 'x', note: 'A'.repeat(100_000) });
  await end.closing(5000);
  t.match(await proxy.record(), { outcome: 'client_left' });
});

t.test('a client that is behind with more than the queue may hold is left: queue_bytes_max', async (t) => {
  const { upstream, proxy, open } = await house(t, { limits: { queue_bytes_max: 1000 } });
  const client = await open();
  const end = await upstream.end();
  for (let i = 0; i < 50; i += 1) end.send({ type: 'x', note: 'A'.repeat(1000) });
  await client.take(50, 5000);
  (client.ws as any)._socket.pause();
  // Small frames, many in one read: what was read when the client fell behind is still relayed, up to the limit.
  for (let i = 0; i < 30_000; i += 1) end.send({ type: 'response.output_audio.delta', delta: 'A'.repeat(500) });
  await end.closing(4900);
  t.match(await proxy.record(), { outcome: 'client_left' });
});

t.test('an upgrade on a connection that was used before', async (t) => {
  const { upstream, proxy } = await house(t);
  const client = new RawClient(proxy.port).send('GET /v1/nowhere HTTP/1.1\r\nHost: a\r\n\r\n');
  t.equal((await client.read()).status, 404);
  client.bytes = Buffer.alloc(0);
  client.send('GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  await until(() => client.bytes.includes('101 Switching'), 20_000, 'the handshake');
  (await upstream.end()).send({ type: 'made.up' });
  await until(() => client.bytes.includes('made.up'), 20_000, 'a frame');
  client.leave();
  await proxy.record();
});

t.test('a refusal that a client does not read is given up', async (t) => {
  const { upstream, proxy } = await house(t, { timeouts: { client_idle_ms: 200 } });
  upstream.onUpgrade = (socket) => { socket.write('HTTP/1.1 403 No\r\ncontent-length: 1000000\r\n\r\n'); socket.write('x'.repeat(1_000_000)); };
  const client = new RawClient(proxy.port);
  client.socket.pause();
  client.send('GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
  t.match(await proxy.record(), { status: 403 });
  client.leave();
});

t.test('an upstream that reads nothing pauses the client', async (t) => {
  const { upstream, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  (end.ws as any)._socket.pause();
  for (let i = 0; i < 200; i += 1) client.send({ type: 'input_audio_buffer.append', audio: 'A'.repeat(100_000) });
  await pause(400);
  t.ok(client.ws.bufferedAmount > 2_000_000, `the client waits with ${client.ws.bufferedAmount} bytes`);
  (end.ws as any)._socket.resume();
  await end.take(200, 10_000);
});

t.test('draining closes what is idle at once, and an answer when it has ended', async (t) => {
  const { upstream, proxy, open, refused } = await house(t);
  const idle = await open();
  const busy = await open();
  await until(() => upstream.ends.length === 2, 20_000, 'two connections');
  const [, end] = upstream.ends;
  const events = answer(['one ', 'two']);
  end!.send(...events.slice(0, 5));
  await busy.take(5);
  const drained = proxy.server.drain(5000);
  t.same(await idle.closing(), { code: 1001, reason: 'draining' });
  await pause(50);
  t.equal(busy.closed, undefined);
  await t.rejects(refused(), 'no new connection');
  end!.send(...events.slice(5));
  t.same(await busy.closing(), { code: 1001, reason: 'draining' });
  t.equal(busy.events.at(-1).type, 'response.done');
  await drained;
  t.same(proxy.records.map(({ outcome }) => outcome), ['completed', 'completed']);
});

t.test('what has not ended when draining is over is cut, and told', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  (await upstream.end()).send(...answer(['one ', 'two']).slice(0, 5));
  await client.take(5);
  const drained = proxy.server.drain(50);
  t.equal((await client.closing()).code, 1001);
  t.match(client.events.at(-1), { type: 'error', error: { code: 'draining' } });
  await drained;
  t.match(proxy.records, [{ outcome: 'failed', error_code: 'draining' }]);
});

t.test('strict durability: a clean end waits for its entry, and is none without it', async (t) => {
  let write: (() => void) | undefined;
  const records: ExchangeRecord[] = [];
  const audit = { append: (record: ExchangeRecord) => { records.push(record); return new Promise<void>((resolve) => { write = resolve; }); } };
  const strict = { tenants: [{ audit: { durability: 'strict' as const } }] };
  const waiting = await house(t, { audit, ...strict });
  const client = await waiting.open();
  (await waiting.upstream.end()).ws.close(1000, 'over');
  await until(() => records.length === 1, 20_000, 'the entry');
  await pause(50);
  t.equal(client.closed, undefined);
  write!();
  t.same(await client.closing(), { code: 1000, reason: 'over' });

  const failing = await house(t, { audit: { append: () => Promise.reject(new WeirError('audit_unavailable')) }, ...strict });
  const other = await failing.open();
  (await failing.upstream.end()).ws.close(1000);
  t.equal((await other.closing()).code, 1011);
  failing.upstream.onUpgrade = (socket) => void socket.end('HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n');
  await t.rejects(connect(failing.url), 'nor is a refusal an answer');
});

t.test('a fault of ours ends the connection without its text', async (t) => {
  const { upstream, proxy, open } = await house(t, { plan: { ...wrapped(redact), screen: () => { throw new Error('made-up secret'); } } });
  const client = await open();
  client.send(says('hello'));
  t.equal((await client.closing()).code, 1011);
  t.match(client.events, [{ type: 'error', error: { code: 'internal' } }]);
  t.notMatch(client.frames.join(), 'secret');
  t.equal((await upstream.end()).frames.length, 0);
  t.match(await proxy.record(), { outcome: 'failed', error_code: 'internal' });
});

function wrapped(plan: typeof redact): typeof redact {
  const own: Record<string, unknown> = {};
  for (const name of ['policy', 'policyName', 'patterns', 'pseudonymKey'] as const) own[name] = plan[name];
  for (const name of ['screen', 'decide', 'edits', 'forOutput', 'forTenant', 'reads'] as const) own[name] = (...args: unknown[]) => (plan[name] as (...args: unknown[]) => unknown)(...args);
  return own as unknown as typeof redact;
}

t.test('every entry counts its bytes', async (t) => {
  const { upstream, proxy, open } = await house(t);
  const client = await open();
  const end = await upstream.end();
  client.send(says('hello'), { type: 'response.create' });
  await end.take(2);
  const events = answer(['fine']);
  end.send(...events);
  await client.take(events.length);
  client.ws.close();
  const record = await proxy.record();
  t.equal(record.request_bytes, end.frames.join('').length);
  t.equal(record.response_bytes, client.frames.join('').length);
  t.ok(record.time_to_first_byte_ms! > 0 && record.duration_ms >= record.time_to_first_byte_ms!);
  t.notMatch(JSON.stringify(record), /hello|fine/, 'and holds no text');
  t.equal(proxy.records.length, 1);
});

t.test('OpenAI’s own Realtime client', async (t) => {
  const { upstream, proxy } = await house(t, { ...KEYED, apiKey: 'sk-up' });
  upstream.onConnection = (end) => {
    end.send({ type: 'session.created', event_id: 'e', session: { type: 'realtime', model: 'gpt-realtime' } });
    end.ws.on('message', (data) => { if (data.toString().includes('response.create')) end.send(...answer(['Mail ana@exa', 'mple.com now.'])); });
  };
  const client = new OpenAI({ apiKey: KEY, baseURL: `http://127.0.0.1:${proxy.port}/v1` });
  // The client speaks wss only; a port in the clear is reached by its own hook.
  const socket = new OpenAIRealtimeWS({ model: 'gpt-realtime', options: { createConnection: () => connectTcp(proxy.port, '127.0.0.1') } as ClientOptions }, client);
  const texts: string[] = [];
  socket.on('error', (error) => texts.push(`error ${error.message}`));
  socket.on('response.output_text.delta', ({ delta }) => texts.push(delta));
  const done = new Promise((resolve) => socket.on('response.done', resolve));
  socket.socket.on('open', () => {
    socket.send({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'I am bob@example.org' }] } });
    socket.send({ type: 'response.create' });
  });
  t.match(await done, { response: { status: 'completed', output: [{ content: [{ text: 'Mail [EMAIL] now.' }] }] } });
  t.equal(texts.join(''), 'Mail [EMAIL] now.');
  t.match(upstream.ends[0]!.events[0], { item: { content: [{ text: 'I am [EMAIL]' }] } });
  socket.close();
  t.match(await proxy.record(), { outcome: 'completed', tenant_id: 'acme' });
});

t.test('OpenAI’s own Responses client: redacted, blocked, and answered instead', async (t) => {
  const policies = [redact, block, planOf(REDACT_PII.replace('action: redact', 'action: replace, message: Ask the front desk.'))];
  for (const [i, plan] of policies.entries()) {
    const { upstream, proxy } = await house(t, { plan, ...KEYED, apiKey: 'sk-up' });
    const item = (text: string): object => ({ id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [] }] });
    upstream.onConnection = (end) => end.ws.on('message', () => end.send(
      { type: 'response.created', sequence_number: 0, response: { id: 'resp_1', object: 'response', model: 'gpt-5', status: 'in_progress', output: [] } },
      { type: 'response.completed', sequence_number: 1, response: { id: 'resp_1', object: 'response', model: 'gpt-5', status: 'completed', output: [item('Dear bob@example.org')] } },
    ));
    const socket = new ResponsesWS(new OpenAI({ apiKey: KEY, baseURL: `http://127.0.0.1:${proxy.port}/v1` }));
    const seen: string[] = [];
    const over = new Promise<void>((resolve) => {
      socket.on('error', ({ message }) => { seen.push(`error ${message}`); resolve(); });
      socket.on('response.completed', ({ response }) => { seen.push((response.output[0] as any).content[0].text); resolve(); });
    });
    socket.send({ type: 'response.create', model: 'gpt-5', input: 'I am ana@example.com' });
    await over;
    t.match(seen, [['Dear [EMAIL]'], [/^error the policy blocked/], ['Ask the front desk.']][i]);
    t.same(upstream.ends.flatMap(({ events }) => events).map(({ input }) => input), i === 0 ? ['I am [EMAIL]'] : []);
    t.equal(upstream.requests[0]!.headers.authorization, 'Bearer sk-up');
    socket.close();
    t.match(await proxy.record(), { route: '/v1/responses', outcome: i === 0 ? 'completed' : 'blocked', model: 'gpt-5' });
  }
});
