/**
 * Transparency of the proxy: what no rule changes goes through as it came, in both directions: bytes, status, reason,
 * end-to-end headers with their case, order and repetitions, event boundaries and timing. (What the guard does to bytes
 * is tested with the guard.)
 */
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { ProxyUnderTest } from './helpers/proxy.ts';
import { runs, seed } from './helpers/runs.ts';
import { POLICIES, SdkHouse } from './helpers/sdk.ts';
import { HELLO, HELLO_STREAM, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { LAST_CHUNK, SSE_HEAD, chatEvents, chunk, head, json, pause, until } from './helpers/upstream.ts';

const EVENTS = chatEvents(['grüße ', '日本 ', '👩‍👩‍👧 ', 'end']);

t.test('a request that nothing changes arrives byte for byte', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: json(200, {}) });
  t.teardown(() => proxy.close());
  const body = '\n { "messages" : [ {"content":"a\\u00e9\\/ 1e400" , "role":"user"}],\t"seed":9007199254740993, "x":-0,"y":1.50 }\r\n';
  await rawRequest(proxy.port, chatRequest(body, ['X-Stainless-Lang: js', 'OpenAI-Beta: a', 'openai-beta: b', 'Accept: */*']));
  const [received] = proxy.upstream.received;
  t.equal(received.body.toString(), body);
  t.equal(received.path, '/v1/chat/completions');
  const names = received.rawHeaders.filter((_, at) => at % 2 === 0);
  t.strictSame(names.filter((name) => /stainless|beta|accept$/i.test(name)), ['X-Stainless-Lang', 'OpenAI-Beta', 'openai-beta', 'Accept'], 'case, order and repetitions stay');
});

t.test('generated bodies, through the whole program: the same bytes, both ways', async (t) => {
  const house = await SdkHouse.open(t, POLICIES.empty);
  const port = Number(new URL(house.weirUrl).port);
  house.upstream.script = (socket, { body }) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-type': 'application/json', 'content-length': String(body.length) })), body]));
  const number = fc.constantFrom('0', '-0', '1.50', '1E5', '1e-400', '9007199254740993', '0.1e+1', '-1.0');
  const spelled = (text: string): string => JSON.stringify(text).replaceAll('/', '\\/').replaceAll('a', '\\u0061');
  const body = fc.record({ messages: fc.array(fc.record({ role: fc.constantFrom('user', 'assistant', 'system', 'tool'), content: fc.string({ unit: 'grapheme' }), name: fc.string() }), { maxLength: 4 }), more: fc.json({ maxDepth: 3 }), space: fc.constantFrom('', ' ', '\n', '\t \r\n'), odd: fc.boolean(), number });
  await fc.assert(fc.asyncProperty(body, async ({ messages, more, space, odd, number }) => {
    const text = odd ? spelled : JSON.stringify;
    const turns = messages.map(({ role, content, name }) => `{"role":"${role}",${space}"content"${space}:${text(content)},"name":${text(name)}}`);
    const sent = Buffer.from(`${space}{"messages"${space}:[${turns.join(`,${space}`)}],"more":${space}${more},"number":${number}}${space}`);
    house.upstream.received.length = 0;
    const answer = await rawRequest(port, chatRequest(sent.toString()));
    return answer.status === 200 && house.upstream.received[0].body.equals(sent) && answer.body.equals(sent);
  }), { numRuns: runs(250), seed });
  t.pass(`seed ${seed}`);
});

t.test('query strings, paths and authorization go on as they came', async (t) => {
  const proxy = await ProxyUnderTest.start({ script: json(200, {}) });
  t.teardown(() => proxy.close());
  const post = chatRequest(HELLO, ['authorization:   Bearer sk-made-up']).toString().replace('completions HTTP', "completions?beta=true&q=%2F%20+'~ HTTP");
  await rawRequest(proxy.port, post);
  t.equal(proxy.upstream.received[0].path, "/v1/chat/completions?beta=true&q=%2F%20+'~");
  t.equal(proxy.upstream.received[0].headers.authorization, 'Bearer sk-made-up');
  await rawRequest(proxy.port, 'GET /v1/models/org/m:x|y^%20@2?a=%7B HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-made-up\r\n\r\n');
  t.equal(proxy.upstream.received[1].path, '/v1/models/org/m:x|y^%20@2?a=%7B');
  t.equal(proxy.upstream.received[1].headers.authorization, 'Bearer sk-made-up');
});

t.test('status, reason and end-to-end headers of the answer', async (t) => {
  const proxy = await ProxyUnderTest.start({
    script: (socket) => void socket.write('HTTP/1.1 418 I am a teapot\r\nContent-Type: application/json; charset=UTF-8\r\nX-Request-Id: req_1\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-RateLimit-Remaining: 3\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nETag: "x"\r\nContent-Length: 2\r\n\r\n{}'),
  });
  t.teardown(() => proxy.close());
  const client = new RawClient(proxy.port).send(chatRequest(HELLO));
  const answer = await client.read();
  client.leave();
  t.match(client.bytes.toString(), /^HTTP\/1\.1 418 I am a teapot\r\n/);
  const fields = answer.rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${answer.rawHeaders[at + 1]}`] : []));
  t.strictSame(fields.slice(0, 6), ['Content-Type: application/json; charset=UTF-8', 'X-Request-Id: req_1', 'Set-Cookie: a=1', 'set-cookie: b=2', 'X-RateLimit-Remaining: 3', 'Date: Mon, 01 Jan 2024 00:00:00 GMT']);
  t.notOk(answer.headers.etag, 'what describes the whole body is ours to say');
  t.equal(fields.filter((field) => /^date:/i.test(field)).length, 1);
});

t.test('status codes pass, errors too', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  for (const status of [200, 201, 400, 401, 404, 429, 500, 503]) {
    proxy.upstream.script = json(status, { error: { message: `made up ${status}` } }, { 'retry-after': '7', 'x-should-retry': 'true' });
    for (const bytes of [chatRequest(HELLO), chatRequest(HELLO_STREAM), 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n']) {
      const answer = await rawRequest(proxy.port, bytes);
      t.equal(answer.status, status);
      t.equal(answer.headers['retry-after'], '7');
      t.equal(answer.body.toString(), `{"error":{"message":"made up ${status}"}}`);
    }
  }
});

t.test('any cutting of a stream arrives as the same bytes', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  const whole = Buffer.from(`\uFEFF: ping\r\n\r\n${EVENTS.join('')}data: {"after":true}\n`);
  await fc.assert(fc.asyncProperty(fc.array(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 12 }), fc.boolean(), async (cuts, together) => {
    proxy.upstream.script = async (socket) => {
      socket.write(SSE_HEAD);
      const at = [0, ...new Set(cuts), whole.length].sort((a, b) => a - b);
      for (let i = 1; i < at.length; i++) {
        if (at[i] > at[i - 1]) socket.write(chunk(whole.subarray(at[i - 1], at[i])));
        if (!together) await new Promise((resolve) => setImmediate(resolve));
      }
      socket.write(LAST_CHUNK);
    };
    const answer = await rawRequest(proxy.port, chatRequest(HELLO_STREAM));
    return answer.complete && answer.body.equals(whole);
  }), { numRuns: 60 });
  t.equal(proxy.upstream.connections, 1, 'one connection did for all');
});

t.test('events leave when they come: the head before the first, each before the next', async (t) => {
  const steps: (() => void)[] = [];
  const proxy = await ProxyUnderTest.start({
    script: async (socket) => {
      socket.write(SSE_HEAD);
      for (const event of EVENTS) {
        await new Promise<void>((resolve) => steps.push(resolve));
        socket.write(chunk(event));
      }
      socket.write(LAST_CHUNK);
    },
  });
  t.teardown(() => proxy.close());
  const client = new RawClient(proxy.port).send(chatRequest(HELLO_STREAM));
  await until(() => client.answer() !== undefined, 20_000, 'the head has left before any event');
  t.equal(client.answer()!.body.length, 0);
  for (let i = 0; i < EVENTS.length; i++) {
    await until(() => steps.length > i, 20_000, 'the upstream waits');
    steps[i]();
    await until(() => client.answer()!.body.toString() === EVENTS.slice(0, i + 1).join(''), 20_000, `event ${i}`);
  }
  t.ok((await client.read()).complete);
  t.equal(client.answer()!.headers['content-type'], 'text/event-stream');
  client.leave();
});

t.test('an upstream that compresses although it was asked not to is decoded', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  const plain = Buffer.from(EVENTS.join('').repeat(200));
  const encoders = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync } as const;
  for (const [encoding, encode] of Object.entries(encoders)) {
    const packed = encode(plain);
    for (const type of ['text/event-stream', 'application/json']) {
      proxy.upstream.script = async (socket) => {
        socket.write(head(200, { 'content-type': type, 'content-encoding': encoding, 'transfer-encoding': 'chunked' }));
        socket.write(chunk(packed.subarray(0, 100)));
        await pause(5);
        socket.write(Buffer.concat([chunk(packed.subarray(100)), Buffer.from(LAST_CHUNK)]));
      };
      const answer = await rawRequest(proxy.port, chatRequest(HELLO_STREAM, ['Accept-Encoding: gzip, br']));
      t.ok(answer.complete, `${encoding} ${type}`);
      t.ok(answer.body.equals(plain));
      t.notOk(answer.headers['content-encoding']);
    }
    proxy.upstream.script = (socket) => void socket.end(Buffer.concat([Buffer.from(head(200, { 'content-type': 'application/json', 'content-encoding': encoding, connection: 'close' })), packed.subarray(0, -20)]));
    t.equal((await rawRequest(proxy.port, chatRequest(HELLO))).status, 502, `${encoding} that ends early is not an answer`);
  }
  t.ok(proxy.upstream.received.every((received) => received.headers['accept-encoding'] === 'identity'));
});

t.test('a body passed through is the same bytes, both ways', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const proxy = await ProxyUnderTest.start({
    script: (socket) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-type': 'application/octet-stream', 'content-encoding': 'gzip', etag: '"x"', 'content-length': '256' })), bytes])),
  });
  t.teardown(() => proxy.close());
  const answer = await rawRequest(proxy.port, Buffer.concat([Buffer.from('POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 256\r\n\r\n'), bytes]));
  t.ok(answer.body.equals(bytes));
  t.equal(answer.headers['content-length'], '256');
  t.equal(answer.headers['content-encoding'], 'gzip');
  t.equal(answer.headers.etag, '"x"');
  t.equal(answer.headers['x-weir-coverage'], 'partial');
  t.ok(proxy.upstream.received[0].body.equals(bytes));
  const record = await proxy.record();
  t.equal(record.outcome, 'completed');
  t.equal(record.route, '/v1/files');
  t.strictSame(record.output!.coverage.opaque, [{ carrier: 'body', kind: 'pass_through', treatment: 'pass' }]);
});
