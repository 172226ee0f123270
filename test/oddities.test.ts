/**
 * Odd event streams through the whole program: whatever the line ends, comments and fields, the client gets events that
 * every known client reads alike, what is to be redacted is, and what is too large or broken is an error event. A stream
 * that is silent is kept alive by comments, and its end leaves in one piece.
 */
import t, { type Test } from 'tap';
import { HELLO_STREAM, RawClient, chatRequest, rawRequest } from './helpers/raw.ts';
import { POLICIES, SdkHouse } from './helpers/sdk.ts';
import { LAST_CHUNK, SSE_HEAD, chatEvents, chunk, events, head, pause, until } from './helpers/upstream.ts';

const ASK = chatRequest(HELLO_STREAM);
const DONE = 'data: [DONE]\n\n';
const says = (content: string): string => chatEvents([content])[0];
const [END] = chatEvents([]);
const MAIL = says('to ana@example.com now');
const LABEL = says('to [EMAIL] now');

async function open(t: Test, proxy: object = {}, tenant: object = {}): Promise<{ readonly house: SdkHouse; readonly port: number }> {
  const house = await SdkHouse.open(t, POLICIES.redact, { proxy: { port: 0, timeouts: { drain_ms: 1000 }, ...proxy }, tenant });
  return { house, port: Number(new URL(house.weirUrl).port) };
}

const crlf = (text: string): string => text.replaceAll('\n', '\r\n');
const cr = (text: string): string => text.replaceAll('\n', '\r');

/** Where nothing is said, the answer leaves as it came. */
const CASES: readonly (readonly [what: string, given: string, expected?: string])[] = [
  ['comments', `: OPENROUTER PROCESSING\n\n:\n\n: \n${LABEL}${DONE}`],
  ['a comment with a text', `: to ben@example.com\n\n${LABEL}${DONE}`],
  ['CRLF', crlf(says('a') + END + DONE)],
  ['CRLF, redacted', crlf(MAIL + END + DONE), crlf(LABEL + END + DONE)],
  ['CR only', cr(says('a') + END + DONE)],
  ['CR only, redacted', cr(MAIL + END + DONE), cr(LABEL + END + DONE)],
  ['line ends of two kinds', `${says('a').trimEnd()}\n\r\n${MAIL.trimEnd()}\n\r\n${DONE}`, says('a') + LABEL + DONE],
  ['a byte order mark', `\ufeff${MAIL}${DONE}`, LABEL + DONE],
  ['a byte order mark and nothing to redact', `\ufeff${says('a')}${DONE}`, says('a') + DONE],
  ['ids', `id: 1\n${says('a')}id: 2\n${MAIL}id\n${DONE}`, says('a') + LABEL + DONE],
  ['an id alone', `id: 1\n\n${says('a')}${DONE}`, says('a') + DONE],
  ['retry', `retry: 3000\n\n${says('a')}retry: 1\n${MAIL}${DONE}`, says('a') + LABEL + DONE],
  ['events with names', `event: x\n${says('a')}event: message\n${MAIL}${DONE}`, `event: x\n${says('a')}event: message\n${LABEL}${DONE}`],
  ['an event without data', `event: ping\n\n${says('a')}${DONE}`, says('a') + DONE],
  ['data on several lines', `data: {"choices":[{"index":0,\ndata: "delta":{"content":"to ana@example.com now"}}]}\n\n${DONE}`, `data: {"choices":[{"index":0,\ndata: "delta":{"content":"to [EMAIL] now"}}]}\n\n${DONE}`],
  ['no space after the colon', `${says('a').replace('data: ', 'data:')}${MAIL.replace('data: ', 'data:')}${DONE}`, `${says('a').replace('data: ', 'data:')}${LABEL}${DONE}`],
  ['an unknown field beside data', `note: to ben@example.com\n${says('a')}${DONE}`, says('a') + DONE],
  ['no JSON', `data: to ana@example.com now\n\n${DONE}`, `data: to [EMAIL] now\n\n${DONE}`],
  ['empty data', `data:\n\ndata\n\n${says('a')}${DONE}`],
  ['many empty lines', `\n\n\n${says('a')}\n\n\n${DONE}\n\n`],
  ['after the end', `${says('a')}${END}${DONE}${MAIL}: bye\n\n`, `${says('a')}${END}${DONE}${LABEL}: bye\n\n`],
  ['two ends', `${says('a')}${DONE}${DONE}`],
  ['an end that is only nearly one', `${says('a')}data:  [DONE]\n\ndata: [DONE] \n\n${MAIL}${DONE}`, `${says('a')}data:  [DONE]\n\ndata: [DONE] \n\n${LABEL}${DONE}`],
  ['no end', `${says('a')}${MAIL}`, says('a') + LABEL],
  ['nothing at all', ''],
  ['a stream that is a whole answer', '{"choices":[{"index":0,"message":{"content":"to ana@example.com now"}}]}', '{"choices":[{"index":0,"message":{"content":"to [EMAIL] now"}}]}'],
];

t.test('streams that are written in odd ways', async (t) => {
  const { house, port } = await open(t);
  for (const [what, given, expected = given] of CASES) {
    for (const size of [given.length || 1, 7, 1]) {
      const pieces = Array.from({ length: Math.ceil(given.length / size) }, (_, i) => given.slice(i * size, (i + 1) * size));
      house.upstream.script = (socket) => void socket.write(Buffer.concat([Buffer.from(SSE_HEAD), ...pieces.map((piece) => chunk(piece)), Buffer.from(LAST_CHUNK)]));
      const answer = await rawRequest(port, ASK);
      t.ok(answer.complete, what);
      // An empty line may be cut in two and leave one more, which is nothing to any client.
      const plain = (text: string): string => text.replace(/\n{3,}/g, '\n\n').replace(/^\n+/, '');
      t.equal(plain(answer.body.toString()), plain(expected), `${what}, in pieces of ${size}`);
      t.equal(answer.headers['content-type'], 'text/event-stream');
    }
  }
});

t.test('an error that came as a field of its own is screened', async (t) => {
  const { house, port } = await open(t);
  house.upstream.script = events([says('a'), 'error: {"message":"no ana@example.com here"}\n\n']);
  const answer = await rawRequest(port, ASK);
  t.match(answer.body.toString(), 'no [EMAIL] here');
  t.notMatch(answer.body.toString(), 'ana@');
});

t.test('a line of 10 MB is an error event, and is not kept', async (t) => {
  const { house, port } = await open(t);
  for (const line of ['data: "', ': ', 'x', 'event: ']) {
    const before = process.memoryUsage().rss;
    house.upstream.script = async (socket) => {
      socket.write(SSE_HEAD);
      for (let i = 0; i < 160 && !socket.destroyed; i++) if (!socket.write(chunk(i === 0 ? line : 'y'.repeat(65_536)))) await new Promise<void>((resolve) => { socket.once('drain', resolve).once('close', resolve); });
      await pause(50);
    };
    const client = new RawClient(port).send(ASK);
    await client.closed;
    t.equal(client.answer()!.complete, false, JSON.stringify(line));
    t.match(client.answer()!.body.toString(), /^data: \{"error":\{[^\n]*"code":"response_too_large"[^\n]*\n\n$/);
    t.ok(process.memoryUsage().rss - before < 100_000_000);
  }
  const largest = says('z'.repeat(4_194_304 - says('').length));
  house.upstream.script = events([largest, DONE]);
  const whole = await rawRequest(port, ASK, 20_000);
  t.ok(whole.body.equals(Buffer.from(largest + DONE)), 'one of just the size passes');
});

t.test('the end of a stream leaves in one piece when it comes in one piece', async (t) => {
  for (const durability of ['relaxed', 'strict']) {
    const { house, port } = await open(t, {}, { audit: { durability } });
    house.upstream.script = async (socket) => {
      socket.write(SSE_HEAD + chunk(MAIL));
      await pause(20);
      socket.write(Buffer.concat([chunk(END), chunk(DONE), Buffer.from(LAST_CHUNK)]));
    };
    for (let i = 0; i < 10; i++) {
      const pieces: string[] = [];
      const client = new RawClient(port);
      client.socket.on('data', (bytes: Buffer) => pieces.push(bytes.toString()));
      client.send(ASK);
      await client.read();
      t.match(pieces.find((piece) => piece.includes('[DONE]')), /\[DONE\]\n\n\r\n0\r\n\r\n$/, durability);
      client.leave();
    }
  }
});

t.test('a silent stream is kept alive by comments, whether the provider thinks or a text is held', async (t) => {
  const { house, port } = await open(t, { timeouts: { drain_ms: 1000, stream_silence_ms: 60 } });
  house.upstream.script = async (socket) => {
    socket.write(SSE_HEAD);
    await pause(200);
    socket.write(chunk(says('to ana')));
    await pause(200);
    socket.write(Buffer.concat([chunk(says('@example.com')), chunk(END)]));
    await pause(200);
    socket.write(chunk(DONE));
    await pause(200);
    socket.write(LAST_CHUNK);
  };
  const answer = await rawRequest(port, ASK);
  const body = answer.body.toString();
  t.ok(answer.complete);
  const comments = body.split(': keep-alive\n\n').length - 1;
  t.ok(comments >= 6 && comments <= 15, `${comments} comments`);
  const first = body.slice(0, body.indexOf('data:'));
  t.ok(first.split(': keep-alive\n\n').length - 1 >= 4, 'before the first event, and while its text is held');
  t.ok(body.slice(first.length, body.indexOf('[DONE]')).includes(': keep-alive\n\n'), 'before the end');
  t.notMatch(body.slice(body.indexOf('[DONE]')), 'keep-alive', 'none once the end is out');
  t.equal(body.replaceAll(': keep-alive\n\n', ''), says('to [EMAIL]') + says('') + END + DONE, 'and nothing else is changed by them');
});

t.test('no comments where they are switched off, where the stream speaks, and in whole answers', async (t) => {
  const off = await open(t, { timeouts: { drain_ms: 1000, stream_silence_ms: 0 } });
  off.house.upstream.script = async (socket) => {
    socket.write(SSE_HEAD);
    await pause(150);
    socket.write(Buffer.concat([chunk(says('a')), Buffer.from(LAST_CHUNK)]));
  };
  t.equal((await rawRequest(off.port, ASK)).body.toString(), says('a'));
  const busy = await open(t, { timeouts: { drain_ms: 1000, stream_silence_ms: 2000 } });
  busy.house.upstream.script = events(Array.from({ length: 30 }, () => says('a')), 5);
  t.notMatch((await rawRequest(busy.port, ASK)).body.toString(), 'keep-alive');
  const soon = await open(t, { timeouts: { drain_ms: 1000, stream_silence_ms: 20 } });
  soon.house.upstream.script = async (socket) => {
    socket.write(head(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }) + chunk('{"a":'));
    await pause(100);
    socket.write(Buffer.concat([chunk('1}'), Buffer.from(LAST_CHUNK)]));
  };
  t.equal((await rawRequest(soon.port, ASK)).body.toString(), '{"a":1}');
});

t.test('a client that reads nothing is not kept by comments', async (t) => {
  const { house, port } = await open(t, { timeouts: { drain_ms: 1000, stream_silence_ms: 30, client_idle_ms: 300 } });
  house.upstream.script = async (socket) => {
    socket.write(SSE_HEAD);
    for (let i = 0; i < 300 && !socket.destroyed; i++) if (!socket.write(chunk(`: ${'x'.repeat(60_000)}\n\n`))) await new Promise<void>((resolve) => { socket.once('drain', resolve).once('close', resolve); });
    await new Promise(() => {});
  };
  const client = new RawClient(port).send(ASK);
  client.socket.pause();
  await until(() => house.upstream.openAnswers === 1, 20_000, 'it has begun');
  await until(() => house.upstream.openAnswers === 0, 5000, 'it is given up');
  client.leave();
});
