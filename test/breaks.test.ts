/**
 * Breaks and departures through the whole program, with a policy that holds text back: at every place of an answer, in
 * every form that an answer comes in. The client never takes a broken answer for a whole one, nothing of a match leaves
 * on the way out, the upstream is let go, and what an upstream says unasked answers nobody.
 */
import { createRequire } from 'node:module';
import { mock } from 'node:test';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { ProxyUnderTest } from './helpers/proxy.ts';
import { HELLO, HELLO_STREAM, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { POLICIES, SdkHouse } from './helpers/sdk.ts';
import { CHAT_ANSWER, LAST_CHUNK, SSE_HEAD, chatEvents, chunk, events, head, json, pause, until, type Script } from './helpers/upstream.ts';

const MODELS = 'GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n';
/** Cut so that matches stand across events. */
const EVENTS = chatEvents(['write ', 'to ana', '@exam', 'ple.com', ' or to ', 'ben@', 'example', '.com ', 'today']);
const STREAM = EVENTS.join('');
const WHOLE = JSON.stringify({ ...CHAT_ANSWER, choices: [{ index: 0, message: { role: 'assistant', content: 'write to ana@example.com today' }, finish_reason: 'stop' }] });
const NO_PART_OF_A_MATCH = /ana|ben|exam|ple\.com/;

async function open(t: Test): Promise<{ readonly house: SdkHouse; readonly port: number }> {
  const house = await SdkHouse.open(t, POLICIES.redact);
  return { house, port: Number(new URL(house.weirUrl).port) };
}

// Clients that leave.

t.test('a client that leaves at any byte of a screened answer', async (t) => {
  const { house, port } = await open(t);
  const endless: Script = async (socket) => {
    socket.write(SSE_HEAD);
    for (let i = 0; !socket.destroyed; i++) {
      socket.write(chunk(EVENTS[i % (EVENTS.length - 2)]));
      await pause(1);
    }
  };
  house.upstream.script = endless;
  const whole = new RawClient(port).send(chatRequest(HELLO_STREAM));
  await until(() => whole.bytes.length > 2500, 5000, 'an answer');
  whole.leave();
  await house.takeClosed(1);
  const offsets = Array.from({ length: 50 }, (_, i) => i * 50 + 1);
  await Promise.all(offsets.map(async (offset) => {
    const client = new RawClient(port).send(chatRequest(HELLO_STREAM));
    await until(() => client.bytes.length >= offset, 10_000, `${offset} bytes`);
    client.leave();
  }));
  const startMs = performance.now();
  await until(() => house.upstream.openAnswers === 0, 5000, 'no answer is open');
  t.comment(`released ${Math.round(performance.now() - startMs)} ms after the last had left`);
  const closed = await house.takeClosed(offsets.length);
  t.ok(closed.every(({ outcome }) => outcome === 'client_left'), 'each entry says so');
  t.equal(closed.length, offsets.length);
});

// Upstreams that break.

interface Form {
  readonly name: string;
  readonly stream: boolean;
  readonly head: string;
  /** The body as it is framed, in the pieces after which it may break. */
  readonly pieces: readonly Buffer[];
  /** Only framing could tell a broken body from a whole one, and this one's cannot. */
  readonly untold?: boolean;
}

const thirds = (bytes: Buffer): Buffer[] => [0, 1, 2, 3, 4, 5].map((i) => bytes.subarray(Math.floor(bytes.length * i / 6), Math.floor(bytes.length * (i + 1) / 6)));
const sse = { 'content-type': 'text/event-stream' };
const body = { 'content-type': 'application/json' };
const chunked = { 'transfer-encoding': 'chunked' };
const sized = (bytes: Buffer | string): { 'content-length': string } => ({ 'content-length': String(Buffer.byteLength(bytes)) });
const packed = gzipSync(Buffer.from(STREAM), { level: 0 });
const packedBody = gzipSync(Buffer.from(WHOLE));

const FORMS: readonly Form[] = [
  { name: 'events, each in a chunk', stream: true, head: head(200, { ...sse, ...chunked }), pieces: EVENTS.map((event) => chunk(event)) },
  { name: 'events, cut anywhere', stream: true, head: head(200, { ...sse, ...chunked }), pieces: thirds(Buffer.from(STREAM)).map((piece) => chunk(piece)) },
  { name: 'events with a length', stream: true, head: head(200, { ...sse, ...sized(STREAM) }), pieces: EVENTS.map((event) => Buffer.from(event)) },
  { name: 'packed events', stream: true, head: head(200, { ...sse, ...chunked, 'content-encoding': 'gzip' }), pieces: thirds(packed).map((piece) => chunk(piece)) },
  { name: 'packed events up to the end of the connection', stream: true, head: head(200, { ...sse, 'content-encoding': 'gzip', connection: 'close' }), pieces: thirds(packed) },
  { name: 'events up to the end of the connection', stream: true, head: head(200, { ...sse, connection: 'close' }), pieces: EVENTS.map((event) => Buffer.from(event)), untold: true },
  { name: 'a body in chunks', stream: false, head: head(200, { ...body, ...chunked }), pieces: thirds(Buffer.from(WHOLE)).map((piece) => chunk(piece)) },
  { name: 'a body with a length', stream: false, head: head(200, { ...body, ...sized(WHOLE) }), pieces: thirds(Buffer.from(WHOLE)) },
  { name: 'a packed body', stream: false, head: head(200, { ...body, ...sized(packedBody), 'content-encoding': 'gzip' }), pieces: thirds(packedBody) },
  { name: 'a packed body up to the end of the connection', stream: false, head: head(200, { ...body, 'content-encoding': 'gzip', connection: 'close' }), pieces: thirds(packedBody) },
];

t.test('an upstream that breaks after any piece, in any form, is never a clean end', async (t) => {
  const { house, port } = await open(t);
  for (const form of FORMS) {
    for (const how of ['reset', 'end', 'in the middle of a piece'] as const) {
      if (form.untold && how === 'end') continue;
      await Promise.all(form.pieces.slice(0, -1).map(async (_, after) => {
        const what = `${form.name}: ${how} after ${after} pieces`;
        const client = new RawClient(port);
        // Each asks for its own break, since all are asked for at once.
        house.upstream.script = async (socket, { body: request }) => {
          const at = Number(/"user":"(\d+)"/.exec(request.toString())![1]);
          socket.write(form.head);
          for (const piece of form.pieces.slice(0, at)) socket.write(piece);
          if (how === 'in the middle of a piece') socket.write(form.pieces[at].subarray(0, Math.max(1, form.pieces[at].length - 5)));
          await pause(15);
          if (how === 'reset') socket.resetAndDestroy();
          else socket.destroySoon();
        };
        client.send(chatRequest({ ...(form.stream ? HELLO_STREAM : HELLO), user: String(after) }));
        const answer = await client.read(10_000);
        if (answer.status !== 200) {
          t.equal(answer.status, 502, `${what}: an error`);
          t.match(answer.body.toString(), /"code":"upstream_(?:unreachable|protocol)"/, what);
        } else {
          await client.closed;
          t.equal(client.answer()!.complete, false, `${what}: not complete`);
          t.match(client.answer()!.body.toString(), /data: \{"error":\{[^\n]*"code":"upstream_(?:unreachable|protocol)"[^\n]*\}\n\n$/, `${what}: an error event at the end`);
        }
        t.notMatch(client.bytes.toString(), NO_PART_OF_A_MATCH, `${what}: nothing of a match left`);
        t.notMatch(client.bytes.toString(), '[DONE]', what);
        client.leave();
      }));
      const closed = await house.takeClosed(form.pieces.length - 1);
      t.ok(closed.every(({ outcome }) => outcome === 'upstream_failed'), `${form.name}: ${how}: the entries say so`);
    }
  }
  await until(() => house.upstream.openAnswers === 0, 20_000, 'no answer is open');
});

t.test('the same for what is handed over', async (t) => {
  const { house, port } = await open(t);
  for (const form of FORMS) {
    for (const how of ['reset', 'end'] as const) {
      if (/up to the end of the connection/.test(form.name) && how === 'end') continue;
      house.upstream.script = async (socket) => {
        socket.write(form.head);
        for (const piece of form.pieces.slice(0, 3)) socket.write(piece);
        await pause(15);
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroySoon();
      };
      const client = new RawClient(port).send(MODELS);
      await client.closed;
      t.equal(client.answer()!.complete, false, `${form.name}: ${how}`);
      t.strictSame((await house.takeClosed(1)).map(({ outcome }) => outcome), ['upstream_failed']);
    }
  }
});

t.test('an upstream that falls silent after any event', async (t) => {
  const house = await SdkHouse.open(t, POLICIES.redact, { upstream: { timeouts: { idle_ms: 200 } } });
  const port = Number(new URL(house.weirUrl).port);
  house.upstream.script = (socket, { body: request }) => {
    socket.write(SSE_HEAD + EVENTS.slice(0, Number(/"user":"(\d+)"/.exec(request.toString())![1])).map((event) => chunk(event).toString()).join(''));
    return new Promise(() => {});
  };
  await Promise.all(EVENTS.slice(0, -1).map(async (_, after) => {
    const client = new RawClient(port).send(chatRequest({ ...HELLO_STREAM, user: String(after) }));
    await client.closed;
    t.equal(client.answer()!.complete, false);
    t.match(client.answer()!.body.toString(), /"code":"upstream_timeout"/);
    t.notMatch(client.bytes.toString(), NO_PART_OF_A_MATCH);
  }));
  await until(() => house.upstream.openAnswers === 0, 20_000, 'no answer is open');
});

t.test('an answer whose last event has no end: in the middle of its JSON it is broken, after it it is whole', async (t) => {
  const { house, port } = await open(t);
  house.upstream.script = events([EVENTS[0], EVENTS[8].slice(0, -20)]);
  const broken = new RawClient(port).send(chatRequest(HELLO_STREAM));
  await broken.closed;
  t.equal(broken.answer()!.complete, false);
  t.match(broken.answer()!.body.toString(), /"code":"upstream_unreachable"/);
  house.upstream.script = events([EVENTS[0], EVENTS[8].trimEnd()]);
  const whole = await rawRequest(port, chatRequest(HELLO_STREAM));
  t.ok(whole.complete);
  t.equal(whole.body.toString(), EVENTS[0] + EVENTS[8].trimEnd());
});

// What was not asked for.

const FORGED = `${head(200, { 'content-type': 'application/json', 'content-length': '15' })}{"forged":true}`;

t.test('what an upstream says on a connection that waits answers nobody', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  const unasked: Readonly<Record<string, string>> = {
    'an answer': FORGED, 'two answers': FORGED + FORGED, 'half a head': 'HTTP/1.1 200 OK\r\ncontent-length: 1', 'a head that goes on': head(200, { 'transfer-encoding': 'chunked' }), 'half a body': FORGED.slice(0, -5), '100 Continue': 'HTTP/1.1 100 Continue\r\n\r\n', '103 Early Hints': 'HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n', 'no http': 'hello\r\n\r\n', 'one byte': '0', 'a line end': '\r\n', '408': head(408, { 'content-length': '0', connection: 'close' }),
  };
  for (const [what, bytes] of Object.entries(unasked)) {
    for (const [kind, request] of [['screened', chatRequest(HELLO)], ['streamed', chatRequest(HELLO_STREAM)], ['handed over', Buffer.from(MODELS)]] as const) {
      for (const wait of [0, 20]) {
        proxy.upstream.script = async (socket, received) => {
          await json(200, CHAT_ANSWER)(socket, received);
          if (wait > 0) await pause(wait);
          socket.write(bytes);
        };
        const first = await rawRequest(proxy.port, request);
        // What comes in one piece with an answer may break it, but never pass for part of it.
        if (wait > 0 || (first.status === 200 && first.complete)) t.equal(first.body.toString(), JSON.stringify(CHAT_ANSWER), `${what}, ${kind}`);
        t.notMatch(first.body.toString(), 'forged');
        await pause(wait + 5);
        proxy.upstream.script = json(200, { second: true });
        const second = await rawRequest(proxy.port, request);
        t.notMatch(second.body.toString(), 'forged', `${what}, ${kind}, after ${wait} ms`);
        if (second.status === 200) t.equal(second.body.toString(), '{"second":true}');
        else t.equal(second.status, 502, `${what}, ${kind}`);
        proxy.upstream.script = json(200, { third: true });
        t.equal((await rawRequest(proxy.port, request)).body.toString(), '{"third":true}', 'and then all is well');
      }
    }
  }
});

t.test('answers before the answer are not the answer', async (t) => {
  const proxy = await ProxyUnderTest.start();
  t.teardown(() => proxy.close());
  for (const early of ['HTTP/1.1 102 Processing\r\n\r\n', 'HTTP/1.1 103 Early Hints\r\nlink: <http://b.example.com>\r\n\r\n'.repeat(5)]) {
    proxy.upstream.script = async (socket, received) => {
      socket.write(early);
      await pause(5);
      await json(200, CHAT_ANSWER)(socket, received);
    };
    for (const request of [chatRequest(HELLO), Buffer.from(MODELS)]) {
      const answer = await rawRequest(proxy.port, request);
      t.equal(answer.status, 200);
      t.equal(answer.body.toString(), JSON.stringify(CHAT_ANSWER));
    }
  }
});

// Upstreams that take their time.

/** undici's coarse clock, which keeps its own time. */
const undiciTimers = createRequire(import.meta.url)('undici/lib/util/timers.js') as { tick(ms: number): void };

/** Lets time pass for timers while what comes over sockets is still handled. */
async function passes(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 20_000) {
    mock.timers.tick(Math.min(left, 20_000));
    undiciTimers.tick(Math.min(left, 20_000));
    await settles();
  }
}

async function settles(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000 && !condition(); i++) await new Promise((resolve) => setImmediate(resolve));
}

t.test('ten minutes of silence are allowed where the configuration allows them, and no longer', async (t) => {
  const MINUTE = 60_000;
  const proxy = await ProxyUnderTest.start({ upstreamTimeouts: { connect_ms: 5000, headers_ms: 11 * MINUTE, idle_ms: 11 * MINUTE }, timeouts: { stream_silence_ms: 15_000, client_idle_ms: 20 * MINUTE } });
  let go: () => void = () => {};
  const gate = (): Promise<void> => new Promise((resolve) => { go = resolve; });
  mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  t.teardown(async () => {
    mock.timers.reset();
    await proxy.close();
  });
  for (const request of [chatRequest(HELLO_STREAM), Buffer.from(MODELS)]) {
    proxy.upstream.script = async (socket) => {
      await gate();
      socket.write(SSE_HEAD);
      await settles();
      socket.write(chunk(EVENTS[0]));
      await gate();
      socket.write(chunk(EVENTS[1]) + LAST_CHUNK);
    };
    const count = proxy.upstream.received.length;
    const client = new RawClient(proxy.port).send(request);
    await eventually(() => proxy.upstream.received.length > count);
    await passes(10 * MINUTE);
    go();
    await eventually(() => client.bytes.includes('write'));
    await passes(10 * MINUTE);
    go();
    await eventually(() => client.answer()?.complete === true);
    t.ok(client.answer()?.complete, 'ten minutes before the head and ten within: the answer is whole');
    t.match(client.answer()!.body.toString().replaceAll(': keep-alive\n\n', ''), EVENTS[0] + EVENTS[1]);
    client.leave();

    const silent = new RawClient(proxy.port).send(request);
    await eventually(() => proxy.upstream.received.length > count + 1);
    await passes(11 * MINUTE + 1000);
    await eventually(() => silent.answer()?.complete === true);
    t.equal(silent.answer()?.status, 504, 'eleven are too long');
    silent.leave();
  }
});
