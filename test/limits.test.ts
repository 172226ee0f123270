/**
 * A limit on everything, each met on both sides: sizes, counts, waits, memory, open requests, and the end of the process.
 * Timers are injected small; nothing here waits longer than it must.
 */
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { ProxyUnderTest, type ProxyOptions } from './helpers/proxy.ts';
import { HELLO, HELLO_STREAM, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { CHAT_ANSWER, SSE_HEAD, chatEvents, chunk, events, head, json, pause, until, type Script } from './helpers/upstream.ts';

const EVENTS = chatEvents(['one ', 'two ', 'three']);
const MODELS = 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n';
const silent: Script = () => new Promise(() => {});

async function start(t: Tap.Test, options: ProxyOptions): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, CHAT_ANSWER), ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

declare namespace Tap {
  type Test = { teardown(work: () => Promise<void>): void };
}

const codeOf = (answer: { body: Buffer }): string => (JSON.parse(answer.body.toString()) as { error: { code: string } }).error.code;
const sized = (bytes: number): Buffer => chatRequest({ messages: [{ role: 'user', content: 'x'.repeat(bytes) }] });

t.test('body_bytes_max: announced, and counted when it is not announced', async (t) => {
  const proxy = await start(t, { limits: { body_bytes_max: 10_000 } });
  t.equal((await rawRequest(proxy.port, sized(9_000))).status, 200);
  const announced = await rawRequest(proxy.port, sized(10_000));
  t.equal(announced.status, 413);
  t.equal(codeOf(announced), 'body_too_large');
  const unread = await rawRequest(proxy.port, 'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 900000000\r\n\r\n');
  t.equal(unread.status, 413, 'refused before any of it was sent');
  const chunked = 'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n';
  const client = new RawClient(proxy.port).send(chunked + chunk('x'.repeat(8_000)).toString());
  await pause(20);
  t.equal(client.answer(), undefined, 'still within the limit');
  client.send(chunk('x'.repeat(8_000)));
  t.equal((await client.read()).status, 413);
  t.equal(client.answer()!.headers.connection, 'close');
  await client.closed;
  t.equal(proxy.upstream.received.length, 1);
});

t.test('url_bytes_max, headers_max, header_bytes_max', async (t) => {
  const proxy = await start(t, { limits: { url_bytes_max: 2000, headers_max: 20 } });
  const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
  t.equal((await rawRequest(proxy.port, get(`/v1/models?${'a'.repeat(1900)}`))).status, 200);
  const long = await rawRequest(proxy.port, get(`/v1/models?${'a'.repeat(2100)}`));
  t.equal(long.status, 414);
  t.equal(codeOf(long), 'url_too_long');
  const fields = (count: number): string => Array.from({ length: count }, (_, i) => `X-${i}: a\r\n`).join('');
  t.equal((await rawRequest(proxy.port, get('/v1/models', fields(19)))).status, 200);
  t.equal((await rawRequest(proxy.port, get('/v1/models', fields(20)))).status, 431);
  t.equal((await rawRequest(proxy.port, get('/v1/models', `X: ${'a'.repeat(15_000)}\r\n`))).status, 200);
  t.equal((await rawRequest(proxy.port, get('/v1/models', `X: ${'a'.repeat(17_000)}\r\n`))).status, 431);
});

t.test('response_bytes_max: a whole answer becomes an error, a stream an error frame, a bomb is cut at the cap', async (t) => {
  const proxy = await start(t, { limits: { response_bytes_max: 50_000 } });
  proxy.upstream.script = json(200, { text: 'x'.repeat(60_000) });
  const whole = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(whole.status, 502);
  t.equal(codeOf(whole), 'response_too_large');
  proxy.upstream.script = events(Array.from({ length: 500 }, () => EVENTS[0]));
  const stream = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  await stream.closed;
  t.equal(stream.answer()!.complete, false);
  t.match(stream.answer()!.body.toString(), /"code":"response_too_large"/);
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  proxy.upstream.script = (socket) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-type': 'application/json', 'content-encoding': 'gzip', 'content-length': String(bomb.length) })), bomb]));
  const cut = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(cut.status, 502);
  t.equal(codeOf(cut), 'response_too_large');
});

t.test('request_ms: a body that trickles is answered and closed', async (t) => {
  const proxy = await start(t, { timeouts: { request_ms: 150 } });
  const client = new RawClient(proxy.port).send(chatRequest(HELLO).subarray(0, 150));
  const trickle = setInterval(() => client.send(' '), 30);
  const answer = await client.read();
  clearInterval(trickle);
  t.equal(answer.status, 408);
  t.equal(codeOf(answer), 'body_timeout');
  await client.closed;
});

t.test('headers_ms: a head that trickles is closed, and found within about a second', async (t) => {
  const proxy = await start(t, { timeouts: { headers_ms: 300 } });
  const client = new RawClient(proxy.port).send('POST /v1/chat/completions HTTP/1.1\r\n');
  const trickle = setInterval(() => client.send('X-A: b\r\n'), 50);
  const startMs = performance.now();
  const answer = await client.read(8_000);
  clearInterval(trickle);
  t.equal(answer.status, 408);
  t.ok(performance.now() - startMs < 8_000);
  await client.closed;
});

t.test('keep_alive_ms: an idle connection is closed', async (t) => {
  const proxy = await start(t, { timeouts: { keep_alive_ms: 100 } });
  const client = new RawClient(proxy.port).send(chatRequest(HELLO));
  await client.read();
  await client.closed;
  t.ok(client.ended);
});

t.test('upstream timers: head, silence within an answer, the whole answer', async (t) => {
  const slow: Script = async (socket) => {
    socket.write(SSE_HEAD);
    for (;;) {
      if (socket.destroyed) return;
      socket.write(chunk(EVENTS[0]));
      await pause(20);
    }
  };
  const stops: Script = async (socket) => {
    socket.write(SSE_HEAD + chunk(EVENTS[0]).toString());
    await new Promise(() => {});
  };
  const noHead = await start(t, { script: silent, upstreamTimeouts: { headers_ms: 100 } });
  for (const bytes of [chatRequest(HELLO), MODELS]) {
    const answer = await rawRequest(noHead.port, bytes);
    t.equal(answer.status, 504);
    t.equal(codeOf(answer), 'upstream_timeout');
  }
  await until(() => noHead.upstream.openAnswers === 0, 20_000, 'the upstream is released');
  const idle = await start(t, { script: stops, upstreamTimeouts: { idle_ms: 100 } });
  const total = await start(t, { script: slow, upstreamTimeouts: { idle_ms: 1000, total_ms: 150 } });
  for (const proxy of [idle, total]) {
    const client = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
    await client.closed;
    t.equal(client.answer()!.complete, false);
    t.match(client.answer()!.body.toString(), /"code":"upstream_timeout"/);
    t.equal((await proxy.record()).error_code, 'upstream_timeout');
    await until(() => proxy.upstream.openAnswers === 0, 20_000, 'the upstream is released');
  }
  const passed = new RawClient(idle.port).send(MODELS);
  await passed.closed;
  t.equal(passed.answer()!.complete, false);
});

t.test('a pause that is allowed harms nothing', async (t) => {
  const proxy = await start(t, { script: events(EVENTS, 80), upstreamTimeouts: { idle_ms: 200 }, timeouts: { client_idle_ms: 50 } });
  const answer = await rawRequest(proxy.port, chatRequest(HELLO_STREAM));
  t.ok(answer.complete, 'client_idle_ms is about clients that do not read, not about upstreams that think');
});

t.test('a client that never reads: the upstream is paused, memory stays, and it is closed in the end', async (t) => {
  const size = 50_000_000;
  let sent = 0;
  const block = chunk(`data: ${'x'.repeat(65_000)}\n\n`);
  const flood: Script = async (socket) => {
    socket.write(SSE_HEAD);
    while (sent < size && !socket.destroyed) {
      sent += block.length;
      if (!socket.write(block)) await new Promise<void>((resolve) => { socket.once('drain', resolve).once('close', resolve); });
    }
  };
  const proxy = await start(t, { script: flood, timeouts: { client_idle_ms: 700 } });
  for (const bytes of [chatRequest(HELLO_STREAM), MODELS]) {
    sent = 0;
    const before = process.memoryUsage().rss;
    const client = new RawClient(proxy.port).send(bytes);
    client.socket.pause();
    await pause(500);
    const grown = process.memoryUsage().rss - before;
    t.ok(sent < size / 2, `the upstream was paused after ${Math.round(sent / 1e6)} MB`);
    t.ok(grown < 30_000_000, `memory grew by ${Math.round(grown / 1e6)} MB`);
    await until(() => proxy.server.openExchanges === 0, 2500, 'the exchange was ended');
    await until(() => proxy.upstream.openAnswers === 0, 20_000, 'the upstream is released');
    client.leave();
  }
  t.ok(proxy.records.every((record) => record.outcome === 'client_left'));
});

t.test('a client that reads slowly gets everything', async (t) => {
  const texts = Array.from({ length: 100 }, (_, i) => `data: ${i} ${'x'.repeat(30_000)}\n\n`);
  const proxy = await start(t, { script: events(texts), timeouts: { client_idle_ms: 300 } });
  const client = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  const throttle = setInterval(() => { client.socket.pause(); setTimeout(() => client.socket.resume(), 10); }, 15);
  const answer = await client.read(8000);
  clearInterval(throttle);
  t.ok(answer.complete);
  t.equal(answer.body.toString(), texts.join(''));
});

t.test('connections_max: one more is told to come back', async (t) => {
  const proxy = await start(t, { script: silent, limits: { connections_max: 2 } });
  const waiting = [1, 2].map(() => new RawClient(proxy.port).send(chatRequest(HELLO)));
  await until(() => proxy.server.openExchanges === 2, 20_000, 'two are open');
  const refused = await rawRequest(proxy.port, chatRequest(HELLO));
  t.equal(refused.status, 503);
  t.equal(codeOf(refused), 'overloaded');
  t.equal(refused.headers['retry-after'], '1');
  t.equal((await rawRequest(proxy.port, 'GET /weir/healthz HTTP/1.1\r\nHost: a\r\n\r\n')).status, 200);
  for (const client of waiting) client.leave();
  await until(() => proxy.server.openExchanges === 0, 20_000, 'they are gone');
  proxy.upstream.script = json(200, CHAT_ANSWER);
  t.equal((await rawRequest(proxy.port, chatRequest(HELLO))).status, 200);
});

t.test('drain: short requests end well, long streams get an error frame, nothing is left', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: events(EVENTS, 40) });
  t.teardown(() => proxy.upstream.close());
  const short = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  const idle = new RawClient(proxy.port).send('GET /weir/readyz HTTP/1.1\r\nHost: a\r\n\r\n');
  t.match((await idle.read()).body.toString(), 'ready');
  await until(() => short.bytes.length > 0, 20_000, 'the short stream has begun');
  proxy.upstream.script = async (socket) => {
    socket.write(SSE_HEAD + chunk(EVENTS[0]).toString());
    await new Promise(() => {});
  };
  const long = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  const unbegun = new RawClient(proxy.port);
  await until(() => long.bytes.includes('one'), 20_000, 'the long stream has begun');
  proxy.upstream.script = silent;
  unbegun.send(chatRequest(HELLO));
  await until(() => proxy.upstream.openAnswers === 3, 20_000, 'all three are open');
  const drained = proxy.server.drain(400);
  await idle.closed;
  await t.rejects(rawRequest(proxy.port, MODELS).then((answer) => { if (answer.status === 0) throw new Error('not accepted'); }), 'nothing new is accepted');
  await drained;
  t.ok((await short.read()).complete, 'the short stream ended well');
  t.equal(long.answer()!.complete, false);
  t.match(long.answer()!.body.toString(), /"code":"draining"/);
  t.equal(unbegun.answer()!.status, 503);
  t.equal(codeOf(unbegun.answer()!), 'draining');
  t.equal(proxy.server.openExchanges, 0);
  t.equal(proxy.records.length, 3);
});

t.test('drain: what comes while others end is told to come back, on a connection that closes', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: events(EVENTS, 60) });
  t.teardown(() => proxy.upstream.close());
  const open = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  const late = [chatRequest(HELLO), Buffer.from(MODELS)].map((bytes) => ({ bytes, client: new RawClient(proxy.port).send(bytes.subarray(0, 30)) }));
  await until(() => open.bytes.length > 0, 20_000, 'a stream is open');
  const drained = proxy.server.drain(3000);
  for (const { bytes, client } of late) {
    client.send(bytes.subarray(30));
    const answer = await client.read();
    t.equal(answer.status, 503);
    t.equal(codeOf(answer), 'draining');
    t.equal(answer.headers.connection, 'close');
    t.equal(answer.headers['retry-after'], '1');
    t.equal(answer.headers['x-should-retry'], 'true');
    await client.closed;
  }
  const ready = await rawRequest(proxy.port, 'GET /weir/readyz HTTP/1.1\r\nHost: a\r\n\r\n').then(({ status }) => status, () => 0);
  t.ok(ready === 503 || ready === 0, 'no longer ready');
  t.ok((await open.read()).complete, 'the open stream ends well');
  await drained;
  t.equal(proxy.upstream.received.length, 1);
});

t.test('readiness and liveness', async (t) => {
  const proxy = await start(t, {});
  for (const path of ['/weir/healthz', '/weir/readyz']) t.equal((await rawRequest(proxy.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)).status, 200);
  t.equal((await rawRequest(proxy.port, 'POST /weir/healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')).status, 405);
});
