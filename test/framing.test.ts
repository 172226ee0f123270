/**
 * Framing: what is not exactly one well-formed request is refused before the upstream hears of it; what is forwarded is
 * framed by us; no hop-by-hop field crosses in either direction (RFC 9110 7.6.1); nothing can be smuggled through a
 * connection that is used again.
 */
import t from 'tap';
import { CHANNELS } from '../src/contract/channels.ts';
import { ProxyUnderTest } from './helpers/proxy.ts';
import { HELLO, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { CHAT_ANSWER, head, json, pause, until } from './helpers/upstream.ts';

const BODY = JSON.stringify(HELLO);
const LENGTH = `Content-Length: ${BODY.length}`;
const POST = 'POST /v1/chat/completions HTTP/1.1';
const TYPE = 'Content-Type: application/json';
const CHUNKED = 'Transfer-Encoding: chunked';
const CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n`;

/** A request from its lines; the body stands after the empty line. */
const lines = (fields: readonly string[], body = BODY): string => `${fields.join('\r\n')}\r\n\r\n${body}`;
const request = (...extra: string[]): string => lines([POST, 'Host: a.example.com', TYPE, LENGTH, ...extra]);
const chunked = (body: string, ...extra: string[]): string => lines([POST, 'Host: a.example.com', TYPE, CHUNKED, ...extra], body);
const target = (path: string): string => lines([`POST ${path} HTTP/1.1`, 'Host: a.example.com', TYPE, LENGTH]);

const MALFORMED: readonly (readonly [what: string, bytes: string | Buffer, status: number | readonly number[]])[] = [
  ['content-length and transfer-encoding', request(CHUNKED), 400],
  ['two content-lengths', request('Content-Length: 3'), 400],
  ['two equal content-lengths', request(LENGTH), 400],
  ['signed content-length', lines([POST, 'Host: a', TYPE, 'Content-Length: +2'], '{}'), 400],
  ['negative content-length', lines([POST, 'Host: a', TYPE, 'Content-Length: -1'], '{}'), 400],
  ['list of content-lengths', lines([POST, 'Host: a', TYPE, 'Content-Length: 2, 2'], '{}'), 400],
  ['hexadecimal content-length', lines([POST, 'Host: a', TYPE, 'Content-Length: 0x2'], '{}'), 400],
  ['transfer-encoding xchunked', lines([POST, 'Host: a', TYPE, 'Transfer-Encoding: xchunked'], `${CHUNK}0\r\n\r\n`), 400],
  ['transfer-encoding chunked, identity', lines([POST, 'Host: a', TYPE, 'Transfer-Encoding: chunked, identity'], `${CHUNK}0\r\n\r\n`), 400],
  ['transfer-encoding gzip, chunked', lines([POST, 'Host: a', TYPE, 'Transfer-Encoding: gzip, chunked'], `${CHUNK}0\r\n\r\n`), 400],
  ['two transfer-encodings', chunked(`${CHUNK}0\r\n\r\n`, CHUNKED), 400],
  ['transfer-encoding in http/1.0', lines(['POST /v1/chat/completions HTTP/1.0', 'Host: a', TYPE, CHUNKED], `${CHUNK}0\r\n\r\n`), 400],
  ['space before the colon', request('X-A : b'), 400],
  ['folded header', request('X-A: b\r\n c'), 400],
  ['bare line feed in a header', request('X-A: b\nX-B: c'), 400],
  ['bare carriage return in a header', request('X-A: b\rc'), 400],
  ['NUL in a header', request('X-A: b\0c'), 400],
  ['header without a name', request(': b'), 400],
  ['header name with a slash', request('X/A: b'), 400],
  ['chunk lines ending in line feeds', chunked(`${BODY.length.toString(16)}\n${BODY}\n0\n\n`), 400],
  ['chunk size that overflows', chunked(`FFFFFFFFFFFFFFFFF\r\n${BODY}\r\n0\r\n\r\n`), 400],
  ['chunk size that is no number', chunked(`zz\r\n${BODY}\r\n0\r\n\r\n`), 400],
  ['chunk longer than its size', chunked(`3\r\n${BODY}\r\n0\r\n\r\n`), 400],
  ['20 KB of chunk extension', chunked(`${BODY.length.toString(16)};${'x'.repeat(20_000)}\r\n${BODY}\r\n0\r\n\r\n`), 413],
  ['host that is no name', lines([POST, 'Host: a b', TYPE, LENGTH]), 400],
  ['host with a path', lines([POST, 'Host: a/b', TYPE, LENGTH]), 400],
  ['host with a user', lines([POST, 'Host: u@a', TYPE, LENGTH]), 400],
  ['host with two dots', lines([POST, 'Host: a..b', TYPE, LENGTH]), 400],
  ['empty host', lines([POST, 'Host:', TYPE, LENGTH]), 400],
  ['no host', lines([POST, TYPE, LENGTH]), 400],
  ['two hosts', request('Host: b.example.com'), 400],
  ['20 KB header', request(`X-A: ${'b'.repeat(20_000)}`), 431],
  ['more headers than allowed', request(...Array.from({ length: 60 }, (_, i) => `X-${i}: a`)), 431],
  ['raw UTF-8 in the path', Buffer.from(target('/v1/chat/complétions')), 400],
  ['two authorizations', request('Authorization: Bearer a', 'Authorization: Bearer b'), 400],
  ['two content-types', request('Content-Type: application/json'), 400],
  ['two x-api-keys', request('X-Api-Key: a', 'X-Api-Key: b'), 400],
  ['two x-goog-api-keys', request('X-Goog-Api-Key: a', 'x-goog-api-key: b'), 400],
  ['content-length with an underscore', request('Content_Length: 3'), 400],
  ['transfer-encoding with an underscore', request('Transfer_Encoding: chunked'), 400],
  ['authorization of the proxy, with an underscore', request('Proxy_Authorization: a'), 400],
  ['another method in a header', request('X-HTTP-Method-Override: GET'), 400],
  ['another target in a header', request('X-Original-URL: /v1/files'), 400],
  ['connection that names the content-type', request('Connection: keep-alive, Content-Type'), 400],
  ['connection that names the length', request('Connection: content-length'), 400],
  ['proxy-connection that names the key', request('Proxy-Connection: authorization'), 400],
  ['two api-keys', request('Api-Key: a', 'Api-Key: b'), 400],
  ['absolute-form target', target('http://b.example.com/v1/chat/completions'), 400],
  ['dot segments', target('/v1/models/../chat/completions'), 404],
  ['two slashes', target('//v1/chat/completions'), 404],
  ['backslash', target('/v1\\chat/completions'), 400],
  ['encoded slashes', target('/v1%2fchat%2fcompletions'), 404],
  ['encoded dots', target('/v1/models/%2e%2e/chat/completions'), 404],
  ['fragment', target('/v1/chat/completions#a'), 400],
  ['percent that encodes nothing', target('/v1/models/%zz'), 400],
  ['percent at the end', target('/v1/models/a%'), 400],
  ['trailing slash', target('/v1/chat/completions/'), 404],
  ['another case', target('/V1/Chat/Completions'), 404],
  ['authority-form target', lines(['CONNECT b.example.com:443 HTTP/1.1', 'Host: b.example.com'], ''), 400],
  ['asterisk-form target', lines(['OPTIONS * HTTP/1.1', 'Host: a'], ''), 400],
  ['upgrade to websocket', lines(['GET /v1/realtime HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket'], ''), 426],
  ['upgrade on a screened endpoint', request('Connection: Upgrade', 'Upgrade: h2c'), 501],
  ['unknown method', lines(['GRAB /v1/chat/completions HTTP/1.1', 'Host: a'], ''), 400],
  ['TRACE', lines(['TRACE /v1/models HTTP/1.1', 'Host: a'], ''), 400],
  ['wrong method', lines(['GET /v1/chat/completions HTTP/1.1', 'Host: a'], ''), 405],
  ['no http at all', 'hello\r\n\r\n', 400],
  ['http/0.9 with headers', request().replace('HTTP/1.1', 'HTTP/0.9'), 400],
  ['http/2.0 in a request line', request().replace('HTTP/1.1', 'HTTP/2.0'), 400],
  ['http/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['content-type with a tab and more', lines([POST, 'Host: a', 'Content-Type: application/json\ta', LENGTH]), 415],
  ['content-type in utf-16', lines([POST, 'Host: a', 'Content-Type: application/json; charset=utf-16', LENGTH]), 415],
  ['no content-type', lines([POST, 'Host: a', LENGTH]), 415],
  ['multipart', lines([POST, 'Host: a', 'Content-Type: multipart/form-data; boundary=b', LENGTH]), 415],
  ['content-encoding gzip', request('Content-Encoding: gzip'), 415],
  ['content-encoding twice', request('Content-Encoding: identity', 'Content-Encoding: gzip'), 400],
  ['key in the query string', target('/v1/chat/completions?api_key=made-up'), 400],
  ['an expectation that nobody meets', request('Expect: 200-maybe'), 400],
  ['an expectation beside the known one', request('Expect: 100-continue, fast'), 400],
  ['an upgrade to what is no socket', request('Connection: Upgrade', 'Upgrade: h2c'), 501],
  ['CONNECT', lines(['CONNECT a.example.com:443 HTTP/1.1', 'Host: a.example.com'], ''), 400],
];

t.test('what is malformed or ambiguous is refused, in JSON, and the upstream hears nothing', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER) });
  t.teardown(() => proxy.close());
  let turnedAway = 0;
  const onTurnedAway = (): void => void turnedAway++;
  CHANNELS.turnedAway.subscribe(onTurnedAway);
  t.teardown(() => CHANNELS.turnedAway.unsubscribe(onTurnedAway));
  let counted = 0;
  for (const [what, bytes, expected] of MALFORMED) {
    const answer = await rawRequest(proxy.port, bytes);
    t.equal(answer.status, expected, what);
    const { error } = JSON.parse(answer.body.toString()) as { error: { code: string; message: string } };
    t.type(error.code, 'string', `${what}: has a code`);
    await until(() => proxy.server.openExchanges === 0 && proxy.records.length + turnedAway > counted, 20_000, `${what}: a count`);
    t.equal(proxy.records.length + turnedAway, ++counted, `${what}: counted once`);
  }
  t.ok(turnedAway > 10 && proxy.records.length > 10, `${proxy.records.length} have an entry, ${turnedAway} never were a request`);
  t.equal(proxy.upstream.received.length, 0, 'the upstream received nothing');
  t.equal((await rawRequest(proxy.port, request())).status, 200, 'and an ordinary request still passes');
});

t.test('a wrong method says which is right', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  const answer = await rawRequest(proxy.port, lines(['GET /v1/chat/completions HTTP/1.1', 'Host: a'], ''));
  t.equal(answer.headers.allow, 'POST');
});

t.test('the body is framed anew: one content-length, whatever the client used', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER) });
  t.teardown(() => proxy.close());
  const split = `5\r\n${BODY.slice(0, 5)}\r\n${(BODY.length - 5).toString(16)};name=value\r\n${BODY.slice(5)}\r\n0\r\nX-Trailer: secret\r\n\r\n`;
  t.equal((await rawRequest(proxy.port, chunked(split, 'Trailer: X-Trailer', 'Expect: 100-continue'))).status, 200);
  const [received] = proxy.upstream.received;
  t.equal(received.body.toString(), BODY);
  t.equal(received.headers['content-length'], String(BODY.length));
  for (const name of ['transfer-encoding', 'trailer', 'x-trailer', 'expect']) t.notOk(received.headers[name], name);
});

t.test('no hop-by-hop field crosses, in either direction, screened or passed through', async (t) => {
  const hop = ['Connection: keep-alive, X-Hop', 'X-Hop: 1', 'Proxy-Authorization: Basic bWFkZTp1cA==', 'Proxy-Connection: keep-alive', 'TE: trailers', 'Keep-Alive: timeout=9', 'Trailer: X-End', 'X-Weir-Context-Trust: high'];
  const names = ['x-hop', 'proxy-authorization', 'proxy-connection', 'te', 'keep-alive', 'trailer', 'x-weir-context-trust'];
  const script = json(200, CHAT_ANSWER, {
    connection: 'keep-alive, X-Back', 'x-back': '1', 'keep-alive': 'timeout=9', 'proxy-authenticate': 'Basic', 'alt-svc': 'h3=":443"',
    'strict-transport-security': 'max-age=1', 'x-weir-action': 'allow-all', 'x-end-to-end': 'stays',
  });
  const proxy = await ProxyUnderTest.start({ script });
  t.teardown(() => proxy.close());
  const models = lines(['GET /v1/models HTTP/1.1', 'Host: a', ...hop, 'X-End: stays'], '');
  for (const bytes of [request(...hop, 'X-End: stays'), models]) {
    const answer = await rawRequest(proxy.port, bytes);
    t.equal(answer.status, 200);
    t.equal(answer.headers['x-end-to-end'], 'stays');
    for (const name of ['x-back', 'proxy-authenticate', 'alt-svc', 'strict-transport-security']) t.notOk(answer.headers[name], `answer: ${name}`);
    t.not(answer.headers['keep-alive'], 'timeout=9', 'the keep-alive is ours');
    t.equal(answer.headers['x-weir-action'], 'allow', 'own headers cannot be forged');
    const received = proxy.upstream.received.at(-1)!;
    t.equal(received.headers['x-end'], 'stays');
    for (const name of names) t.notOk(received.headers[name], `request: ${name}`);
    t.match(received.headers.host, /^127\.0\.0\.1:/);
  }
});

t.test('nothing is smuggled through a kept connection: a body that looks like a request stays a body', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: json(200, { ok: true }) });
  t.teardown(() => proxy.close());
  const hidden = 'GET /v1/hidden HTTP/1.1\r\nHost: b\r\n\r\n';
  const body = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
  for (const method of ['DELETE', 'OPTIONS', 'GET', 'POST']) {
    const path = method === 'DELETE' ? '/v1/files/file-1' : '/v1/files';
    const answer = await rawRequest(proxy.port, lines([`${method} ${path} HTTP/1.1`, 'Host: a', CHUNKED], body));
    t.equal(answer.status, 200, method);
    await rawRequest(proxy.port, lines(['GET /v1/models HTTP/1.1', 'Host: a'], ''));
  }
  t.strictSame(proxy.upstream.received.map((received) => received.method), ['DELETE', 'GET', 'OPTIONS', 'GET', 'GET', 'GET', 'POST', 'GET']);
  t.equal(proxy.upstream.received.filter((received) => received.path.includes('hidden')).length, 0);
  t.equal(proxy.upstream.received[0].body.toString(), hidden, 'it arrived as the body it was');
});

t.test('a second answer that nobody asked for does not answer the next request', async (t) => {
  const extra = '{"forged":true}';
  const proxy = await ProxyUnderTest.start({
    script: async (socket, received) => {
      await json(200, CHAT_ANSWER)(socket, received);
      if (received.body.includes('first')) socket.write(`${head(200, { 'content-type': 'application/json', 'content-length': String(extra.length) })}${extra}`);
    },
  });
  t.teardown(() => proxy.close());
  const ask = (content: string): Promise<{ status: number; body: Buffer }> => rawRequest(proxy.port, chatRequest({ messages: [{ role: 'user', content }] }));
  t.equal((await ask('first')).status, 200);
  await until(() => proxy.server.openExchanges === 0, 20_000, 'the first exchange has ended');
  const second = await ask('second');
  t.equal(second.status, 200);
  t.equal(second.body.toString(), JSON.stringify(CHAT_ANSWER));
});

t.test('pipelined requests are answered in order, each with its own answer', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: (socket, received) => json(200, { saw: received.body.toString() })(socket, received) });
  t.teardown(() => proxy.close());
  const ask = (content: string): Buffer => chatRequest({ messages: [{ role: 'user', content }] });
  const client = new RawClient(proxy.port).send(Buffer.concat([ask('one'), ask('two')]));
  t.teardown(() => client.leave());
  await until(() => client.bytes.includes('one') && client.bytes.includes('two'), 20_000, 'both answers');
  t.ok(client.bytes.indexOf('one') < client.bytes.indexOf('two'));
});

t.test('a request that is broken behind one that waits ends the connection, and its refusal is no answer to the other', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: () => new Promise(() => {}) });
  t.teardown(() => proxy.close());
  const broken = new RawClient(proxy.port).send(`${request()}\0GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n`);
  await broken.closed;
  t.equal(broken.answer()?.status, 400);
  t.equal(broken.answer()?.headers.connection, 'close');
  for (const behind of ['CONNECT b.example.com:443 HTTP/1.1\r\nHost: b\r\n\r\n', 'GET /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n']) {
    for (const before of [request(), lines([POST, 'Host: a', LENGTH]) + request()]) {
      const client = new RawClient(proxy.port).send(before + behind);
      await client.closed;
      t.notMatch(client.bytes.toString('latin1'), /CONNECT|501/, 'nothing that could be taken for an answer');
    }
  }
  await until(() => proxy.server.openExchanges === 0, 20_000, 'no exchange is left open');
});

t.test('a bounded number of requests wait on one connection', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: async (socket, received) => { await pause(150); await json(200, CHAT_ANSWER)(socket, received); } });
  t.teardown(() => proxy.close());
  const many = new RawClient(proxy.port).send(Buffer.from(request().repeat(300)));
  await until(() => proxy.upstream.received.length > 0, 20_000, 'the first has arrived');
  await many.closed;
  t.equal(proxy.upstream.received.length, 16, 'the rest was refused');
  t.match(many.bytes.toString(), /HTTP\/1\.1 400 [^]*more than 16 requests wait/);
  const few = new RawClient(proxy.port).send(Buffer.from(request().repeat(16)));
  await until(() => few.bytes.toString().split('HTTP/1.1 200').length === 17, 5000, 'all are answered');
  few.leave();
  await until(() => proxy.server.openExchanges === 0, 20_000, 'no exchange is left open');
});

t.test('an upgrade without its connection field is a request like any other', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER) });
  t.teardown(() => proxy.close());
  t.equal((await rawRequest(proxy.port, request('Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'))).status, 200);
  const [received] = proxy.upstream.received;
  for (const name of ['upgrade', 'http2-settings']) t.notOk(received.headers[name], name);
});
