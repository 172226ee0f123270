/**
 * Leaving and breaking: a client that goes away ends the upstream's work within a second, wherever it stood; an upstream
 * that goes away is never seen as a clean end; every exchange has exactly one closing entry that says what happened.
 */
import t from 'tap';
import { ProxyUnderTest } from './helpers/proxy.ts';
import { HELLO, HELLO_STREAM, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { CHAT_ANSWER, LAST_CHUNK, SSE_HEAD, chatEvents, chunk, events, head, json, pause, until, type Script } from './helpers/upstream.ts';

const EVENTS = chatEvents(['one ', 'two ', 'three ', 'four ', 'five']);
const MODELS = 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n';

/** Writes events for ever. */
const endless: Script = async (socket) => {
  socket.write(SSE_HEAD);
  while (!socket.destroyed) {
    socket.write(chunk(EVENTS[0]));
    await pause(2);
  }
};

t.test('a client that leaves at any byte ends the upstream request within a second', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: endless });
  t.teardown(() => proxy.close());
  const offsets = [0, 1, 12, 50, 100, 180, 250, 300, 301, 302, 310, 400, 555, 600, 777, 1000, 1500, 2000, 3000, 5000];
  await Promise.all(offsets.map(async (offset) => {
    const client = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
    if (offset === 0) await until(() => proxy.upstream.received.length > 0, 20_000, 'the request has arrived');
    else await until(() => client.bytes.length >= offset, 20_000, `${offset} bytes`);
    client.leave();
  }));
  await until(() => proxy.upstream.openAnswers === 0 && proxy.server.openExchanges === 0, 20_000, 'no answer is open');
  t.equal(proxy.upstream.received.length, offsets.length);
  t.equal(proxy.records.length, offsets.length);
  t.ok(proxy.records.every((record) => record.outcome === 'client_left'), 'and each entry says so');
});

t.test('a client that leaves while its body is on the way, or before the head of the answer', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: () => new Promise(() => {}) });
  t.teardown(() => proxy.close());
  const half = new RawClient(proxy.port).send(chatRequest(HELLO).subarray(0, 170));
  await until(() => proxy.server.openExchanges === 1, 20_000, 'the exchange is open');
  half.leave();
  t.equal((await proxy.record(1)).outcome, 'client_left');
  t.equal(proxy.upstream.received.length, 0);
  const waiting = new RawClient(proxy.port).send(chatRequest(HELLO));
  await until(() => proxy.upstream.openAnswers === 1, 20_000, 'the upstream is at work');
  waiting.leave();
  t.equal((await proxy.record(2)).outcome, 'client_left');
  await until(() => proxy.upstream.openAnswers === 0, 20_000, 'the upstream is released');
});

t.test('a client that leaves after [DONE] has had its whole answer', async (t) => {
  const proxy = await ProxyUnderTest.start({
    script: async (socket) => {
      socket.write(SSE_HEAD + EVENTS.map((event) => chunk(event).toString()).join(''));
      await new Promise(() => {});
    },
  });
  t.teardown(() => proxy.close());
  const client = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  await until(() => client.bytes.includes('[DONE]'), 20_000, '[DONE]');
  client.leave();
  t.equal((await proxy.record()).outcome, 'completed');
  await until(() => proxy.upstream.openAnswers === 0, 20_000, 'the upstream is released');
});

t.test('an upstream that breaks after any event is an error frame and no clean end', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  const breaks: readonly (readonly [string, Script])[] = [];
  for (const how of ['reset', 'close'] as const) {
    for (let after = 0; after < EVENTS.length - 1; after++) {
      (breaks as [string, Script][]).push([`${how} after ${after} events`, async (socket) => {
        socket.write(SSE_HEAD);
        for (const event of EVENTS.slice(0, after)) socket.write(chunk(event));
        socket.write(chunk(EVENTS[after]).subarray(0, 20));
        await pause(10);
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }]);
    }
  }
  for (const [what, script] of breaks) {
    proxy.upstream.script = script;
    const client = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
    await client.closed;
    const answer = client.answer()!;
    t.equal(answer.complete, false, `${what}: not complete`);
    t.match(answer.body.toString(), /data: \{"error":\{"code":"upstream_unreachable"/, `${what}: error frame`);
    t.notMatch(answer.body.toString(), '[DONE]', what);
  }
  const record = await proxy.record(breaks.length);
  t.equal(proxy.records.length, breaks.length);
  t.equal(record.outcome, 'upstream_failed');
  t.equal(record.error_code, 'upstream_unreachable');
});

t.test('an upstream that breaks before the body is an error answer of ours', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  const cases: readonly (readonly [string, Script, number, string])[] = [
    ['reset at once', (socket) => void socket.resetAndDestroy(), 502, 'upstream_unreachable'],
    ['closed at once', (socket) => void socket.end(), 502, 'upstream_unreachable'],
    ['not http', (socket) => void socket.write('hello\r\n\r\n'), 502, 'upstream_protocol'],
    ['half a head', (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-ty'), 502, 'upstream_unreachable'],
    ['content-length too long', (socket) => void socket.end(`${head(200, { 'content-type': 'application/json', 'content-length': '500' })}{"a":1}`), 502, 'upstream_unreachable'],
    ['chunked and cut', (socket) => void socket.end(head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }) + chunk('{"a":1}').toString()), 502, 'upstream_unreachable'],
    ['bad chunk size', (socket) => void socket.write(`${head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' })}zz\r\n`), 502, 'upstream_protocol'],
    ['redirect', (socket) => void socket.write(head(307, { location: 'http://b.example.com/', 'content-length': '0' })), 502, 'upstream_protocol'],
    ['unknown encoding', (socket) => void socket.write(head(200, { 'content-encoding': 'gzip, br', 'content-length': '0' })), 502, 'upstream_protocol'],
    ['40 KB twice in the head', (socket) => void socket.write(head(200, { a: 'x'.repeat(40_000), b: 'x'.repeat(40_000) })), 502, 'upstream_protocol'],
  ];
  for (const [what, script, status, code] of cases) {
    proxy.upstream.script = script;
    const answer = await rawRequest(proxy.port, chatRequest(HELLO));
    t.equal(answer.status, status, what);
    t.equal((JSON.parse(answer.body.toString()) as { error: { code: string } }).error.code, code, what);
  }
  await proxy.record(cases.length);
  t.ok(proxy.records.every((record) => record.outcome === 'upstream_failed'));
  proxy.upstream.script = json(200, CHAT_ANSWER);
  t.equal((await rawRequest(proxy.port, chatRequest(HELLO))).status, 200, 'and the next one passes');
});

t.test('nothing is retried', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: (socket) => void socket.resetAndDestroy() });
  t.teardown(() => proxy.close());
  await rawRequest(proxy.port, chatRequest(HELLO));
  await pause(50);
  t.equal(proxy.upstream.received.length, 1);
});

t.test('an upstream that cannot be reached', async (t) => {
  const proxy = await ProxyUnderTest.start({ upstreamUrl: 'http://127.0.0.1:9/v1' });
  t.teardown(() => proxy.close());
  for (const bytes of [chatRequest(HELLO), MODELS]) t.equal((await rawRequest(proxy.port, bytes)).status, 502);
});

t.test('a block by the policy ends the upstream and the stream', async (t) => {
  let sent = 0;
  const proxy = await ProxyUnderTest.start({
    script: async (socket) => {
      socket.write(SSE_HEAD);
      while (!socket.destroyed) {
        socket.write(chunk(sent === 5 ? 'data: "CUTME"\n\n' : EVENTS[0]));
        sent += 1;
        await pause(2);
      }
    },
  });
  t.teardown(() => proxy.close());
  const answer = await rawRequest(proxy.port, chatRequest(HELLO_STREAM));
  t.ok(answer.complete);
  t.match(answer.body.toString(), /content_filter[\s\S]*\[DONE\]/);
  await until(() => proxy.upstream.openAnswers === 0, 20_000, 'the upstream is released');
  t.equal((await proxy.record()).outcome, 'blocked');
});

t.test('http/1.0 has no chunks: a broken stream is a reset, a whole one ends', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: events(EVENTS) });
  t.teardown(() => proxy.close());
  const old = Buffer.from(chatRequest(HELLO_STREAM).toString().replace('HTTP/1.1', 'HTTP/1.0'));
  const whole = new RawClient(proxy.port).send(old);
  await whole.closed;
  t.ok(whole.ended);
  t.match(whole.answer()!.body.toString(), '[DONE]');
  proxy.upstream.script = async (socket) => {
    socket.write(SSE_HEAD + chunk(EVENTS[0]).toString());
    await pause(20);
    socket.resetAndDestroy();
  };
  const broken = new RawClient(proxy.port).send(old);
  await broken.closed;
  t.equal(broken.error, 'ECONNRESET');
});

t.test('passed through: the client leaves, the upstream dies, both are seen', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: endless });
  t.teardown(() => proxy.close());
  const clients = Array.from({ length: 50 }, () => new RawClient(proxy.port).send(MODELS));
  await until(() => clients.every((client) => client.bytes.length > 500), 20_000, 'all are served');
  for (const client of clients) client.leave();
  await until(() => proxy.upstream.openAnswers === 0, 20_000, 'no answer is open');
  await proxy.record(50);
  t.ok(proxy.records.every((record) => record.outcome === 'client_left'));
  proxy.upstream.script = async (socket) => {
    socket.write(SSE_HEAD + chunk(EVENTS[0]).toString());
    await pause(20);
    socket.resetAndDestroy();
  };
  const client = new RawClient(proxy.port).send(MODELS);
  await client.closed;
  t.equal(client.answer()!.complete, false);
  t.equal((await proxy.record(51)).outcome, 'upstream_failed');
  proxy.upstream.script = (socket) => void socket.resetAndDestroy();
  t.equal((await rawRequest(proxy.port, MODELS)).status, 502);
});

t.test('an upstream that closes after an answer that needs no length is a whole answer', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: (socket) => void socket.end(`${head(200, { 'content-type': 'application/json', connection: 'close' })}{"a":1}`) });
  t.teardown(() => proxy.close());
  const answer = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(answer.status, 200);
  t.equal(answer.body.toString(), '{"a":1}');
});

t.test('the connection is used again after an answer that ended with [DONE] and a late terminator', async (t) => {
  const proxy = await ProxyUnderTest.start({
    script: async (socket) => {
      socket.write(SSE_HEAD + EVENTS.map((event) => chunk(event).toString()).join(''));
      await pause(20);
      socket.write(LAST_CHUNK);
    },
  });
  t.teardown(() => proxy.close());
  for (let i = 0; i < 3; i++) t.ok((await rawRequest(proxy.port, chatRequest(HELLO_STREAM))).complete);
  t.equal(proxy.upstream.connections, 1);
});
