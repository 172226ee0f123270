/**
 * Weir and other servers read alike: whatever Weir sends on is read by node, nginx and haproxy as the same requests with
 * the same method, target and body, alone and one after another on one connection; what came from the client is read by
 * them as Weir read it; and what one of them refuses, Weir has refused. Generated requests, most of them nearly valid.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Answers, PEERS_MISSING, startPeers, type Peer, type Reading } from './helpers/peers.ts';
import { ProxyUnderTest } from './helpers/proxy.ts';
import { runs, seed } from './helpers/runs.ts';

t.setTimeout(300_000);

// What is sent.

const JSON_BODY = '{"messages":[{"role":"user","content":"hello"}]}';
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';
/** What the others answer and close after: a request that swallowed it was longer for them. */
const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';

const CHAT = '/v1/chat/completions';
const chunk = (data: string, size = data.length.toString(16), extension = '', end = '\r\n'): string => `${size}${extension}${end}${data}${end}`;

/** `usual` most of the time. */
const mostly = <T>(usual: readonly T[], odd: readonly T[], weight = 12): fc.Arbitrary<T> => fc.oneof({ weight, arbitrary: fc.constantFrom(...usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const METHODS = mostly(['POST', 'POST', 'GET', 'DELETE', 'PUT', 'PATCH', 'OPTIONS'], ['PROPFIND', 'M-SEARCH', 'QUERY', 'LOCK', 'TRACE', 'CONNECT', 'PURGE', 'post', 'Get', 'GRAB', 'G_T', 'G"T', 'GET ', '', 'PRI', 'SOURCE']);
const TARGETS = mostly([CHAT, CHAT, '/v1/models', '/x', '/a?b=c'], [
  '/a?b#c', 'http://a/x', 'http://b.example.com/v1/models', 'https://a', '//x', '/a//b', '/a/../b', '/../b', '/.', '/a/%2e%2e/b', '/a%2fb', '/a%00', '/%zz', '/%', '*', 'a', '?a', '', '/a b', '/a\tb',
  '/é', '/\x01', '/\x7f', '/a\\b', '/a|b', '/a"b', '/<a>', '/{a}', '/a^b', '/a`b', '/a;b=c', '/a,b', '/~a', '/a@b:80', '/a?b=/../c', '/a?\\', '/a?b=%00', '/a??b', '/a?b c', `${CHAT}?beta=true`, `${CHAT}/`, '/V1/chat/completions', 'a:80', '/a&b', "/a'b", '/[a]', '/a?[b]',
]);
const VERSIONS = mostly(['HTTP/1.1'], ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.01', 'HTTP/1', 'http/1.1', 'HTTP/1.1 ', '', 'HTTP/1.1x', 'HTTPS/1.1', 'HTTP/11.1', 'HTTP/1,1'], 30);
const HOSTS = mostly([['Host: a']], [['Host: a:80'], ['Host: a:b'], ['Host: a:'], ['Host:'], ['Host:  a '], ['Host: a b'], ['Host: a/b'], ['Host: u@a'], ['Host: [::1]:80'], ['Host: [::1'], ['Host: a,b'], ['Host: a.'], ['Host: é'], ['Host: a?b'], ['Host: a#b'], ['Host: a\\b'], ['Host: a"'], ['Host: .a'], ['Host: a..b'], ['Host: %61'], [], ['Host: a', 'Host: a'], ['Host: a', 'Host: b'], ['host: a', 'HOST: b'], ['Host : a'], [' Host: a'], ['Host: a:99999'], ['Host: a_b'], ['Host: a;b'], ['Host: a\x0b']], 25);
const FIELDS = mostly([[], [], ['X-A: b'], ['Accept: */*', 'User-Agent: made-up/1']], [
  ['X-A: b', 'X-A: c'], ['X_A: b'], ['X.A: b'], ['X~A!#$%&\'*+^`|: b'], ['1: b'], ['X A: b'], ['X-A : b'], ['X-A\t: b'], ['X-A: b', ' c'], ['X-A: b', '\tc'], [' X-A: b'], ['X-A: b\nX-B: c'], ['X-A: b\rX-B: c'], ['X-A: b\0c'], ['X-A: b\x01c'], ['X-A: b\x7fc'], ['X-A: é'],
  ['X-A:'], ['X-A'], [': b'], ['X/A: b'], ['X"A: b'], ['X(A): b'], ['X@A: b'], ['X\0A: b'], ['Xé: b'], ['X-A:\tb\t'], ['X-A:b'], ['X-A: "b'], ['Connection: close'], ['Connection: keep-alive, X-A', 'X-A: b'], ['Connection: content-length'], ['Connection: host'], ['Connection: transfer-encoding'], ['Connection: content-type'],
  ['Connection: upgrade', 'Upgrade: websocket'], ['Upgrade: h2c'], ['TE: trailers'], ['Trailer: X-A'], ['Expect: 100-continue'], ['Expect: made-up'], ['Keep-Alive: 5'], ['Content_Length: 3'], ['Transfer_Encoding: chunked'], ['Content-Encoding: gzip'], ['Content-Encoding: identity'], ['X-HTTP-Method-Override: GET'],
  ['Proxy-Connection: keep-alive'], ['__proto__: a'], ['constructor: a'], ['Range: bytes=0-1'], ['If-None-Match: *'], ['Max-Forwards: 0'], ['HTTP2-Settings: a'], ['X-Forwarded-For: 127.0.0.1'], ['Content-Length : 3'], ['Content-Length'], ['X-A: b\r\r'], ['X-A: \ud83d'],
] as string[][], 5);
const BODIES = mostly([JSON_BODY], ['', HIDDEN, 'a', '0\r\n\r\n', '\r\n', `0\r\n\r\n${HIDDEN}`, '{"a":1}', 'x'.repeat(5000)], 3);
const TYPES = mostly([['Content-Type: application/json']], [[], ['Content-Type: text/plain'], ['Content-Type: application/json', 'Content-Type: text/plain'], ['Content_Type: text/plain', 'Content-Type: application/json'], ['Content-Type: application/json;'], ['Content-Type: application/json, text/plain']], 20);

interface Framing {
  readonly fields: readonly string[];
  readonly body: string;
}

const lengthed = (body: string): fc.Arbitrary<Framing> => mostly<(n: number) => string[]>([(n) => [`Content-Length: ${n}`]], [
  (n) => [`Content-Length: ${n}`, `Content-Length: ${n}`], (n) => [`Content-Length: ${n}`, 'Content-Length: 1'], (n) => ['Content-Length: 0', `Content-Length: ${n}`], (n) => [`Content-Length: ${n}, ${n}`], (n) => [`Content-Length: +${n}`], (n) => [`Content-Length: -${n}`], (n) => [`Content-Length: 00${n}`], (n) => [`Content-Length: 0x${n.toString(16)}`],
  (n) => [`Content-Length: ${n}.0`], (n) => [`Content-Length: ${n} 0`], (n) => [`Content-Length:${n}`], (n) => [`Content-Length:\t${n} `], (n) => [`Content-Length: "${n}"`], (n) => [`CONTENT-LENGTH: ${n}`], () => ['Content-Length:'], () => ['Content-Length: a'], () => ['Content-Length: 99999999999999999999'], (n) => [`Content-Length: ${Math.max(0, n - 3)}`], (n) => [`Content-Length: ${n + 3}`],
  (n) => [`Content-Length: ${n};`], (n) => [`Content-Length: ${n}\x0b`], (n) => [`Content-Length : ${n}`], (n) => [`Content-Length: ${n}\n`], (n) => ['Content-Length:', ` ${n}`], (n) => [`Content-Length: 1${String(n).slice(1)}e1`], () => [], (n) => [`Content-Length: ${n}`, 'Transfer-Encoding: chunked'], (n) => [`Content-Length: ${n}`, 'Transfer-Encoding: identity'], (n) => [`Content_Length: ${n}`],
]).map((fields) => ({ fields: fields(Buffer.byteLength(body)), body }));

const chunked = (body: string): fc.Arbitrary<Framing> => fc.record({
  fields: mostly([['Transfer-Encoding: chunked']], [
    ['transfer-encoding: Chunked'], ['Transfer-Encoding:chunked'], ['Transfer-Encoding: chunked '], ['Transfer-Encoding:\tchunked'], ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked, chunked'], ['Transfer-Encoding: identity'], ['Transfer-Encoding: identity, chunked'], ['Transfer-Encoding: chunked, identity'], ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: gzip'], ['Transfer-Encoding: xchunked'], ['Transfer-Encoding: chunkedx'], ['Transfer-Encoding: "chunked"'], ['Transfer-Encoding: chunked;a=b'], ['Transfer-Encoding: \x0bchunked'], ['Transfer-Encoding: chun\x00ked'], ['Transfer-Encoding'], ['Transfer-Encoding:'], ['Transfer-Encoding:', 'Transfer-Encoding: chunked'], ['Transfer-Encoding:', ' chunked'], ['Transfer-Encoding : chunked'], ['Transfer_Encoding: chunked'], ['Transfer-Encoding: ,chunked'], ['Transfer-Encoding: chunked,'],
    ['Transfer-Encoding: chunked', 'Content-Length: 3'], ['Content-Length: 3', 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked', 'Content-Length: 0'], ['Transfer-Encoding: chunked', 'Content-Length: a'], ['Transfer-Encoding: identity', 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked', 'X-A: b'], ['Transfer-Encoding: cow'], ['Transfer-Encoding: chunKED'],
  ] as string[][]),
  data: mostly<(s: string) => string>([(s) => (s === '' ? '' : chunk(s)), (s) => [...s].map((c) => chunk(c)).join('').slice(0, 20_000)], [
    (s) => chunk(s, s.length.toString(16).toUpperCase()), (s) => chunk(s, `00${s.length.toString(16)}`), (s) => chunk(s, `0x${s.length.toString(16)}`), (s) => chunk(s, `+${s.length.toString(16)}`), (s) => chunk(s, `-${s.length.toString(16)}`), (s) => chunk(s, ` ${s.length.toString(16)}`), (s) => chunk(s, `${s.length.toString(16)} `), (s) => chunk(s, undefined, ';a=b'), (s) => chunk(s, undefined, ';'), (s) => chunk(s, undefined, ' ;a'),
    (s) => chunk(s, undefined, ';a="b\r\nc"'), (s) => chunk(s, undefined, ';a=b\nc'), (s) => chunk(s, undefined, ';\x00'), (s) => chunk(s, undefined, ';é'), (s) => chunk(s, undefined, '\ta'), (s) => chunk(s, undefined, `;${'a'.repeat(3000)}`), (s) => chunk(s, undefined, '', '\n'), (s) => chunk(s, undefined, '', '\r'), (s) => `${s.length.toString(16)}\r\n${s}\n`, (s) => `${s.length.toString(16)}\n${s}\r\n`, (s) => `${s.length.toString(16)}\r\n${s}`,
    (s) => chunk(s, (s.length + 2).toString(16)), (s) => chunk(s, Math.max(1, s.length - 2).toString(16)), (s) => chunk(s, 'g'), (s) => chunk(s, ''), (s) => chunk(s, '1ffffffffffffffff'), (s) => chunk(s, '00000000000000000005'), (s) => chunk(s, `${s.length.toString(16)}h`), (s) => `\r\n${chunk(s)}`, (s) => chunk(s, s.length.toString()), (s) => chunk(s, undefined, '\r'), (s) => chunk(s, `${s.length.toString(16)}\x0b`),
  ], 6),
  end: mostly(['0\r\n\r\n'], ['0\r\nX-A: b\r\n\r\n', '0\r\nContent-Length: 3\r\n\r\n', '0\r\nTransfer-Encoding: chunked\r\n\r\n', '0\r\nHost: b\r\n\r\n', '0;a=b\r\n\r\n', '000\r\n\r\n', '0\r\n\n', '0\n\r\n', '0\n\n', '0\r\nX-A : b\r\n\r\n', '0\r\n X-A: b\r\n\r\n', '0\r\nX-A\r\n\r\n', '0\r\nX-A: b\nX-B: c\r\n\r\n', '0\r\n', '', '0\r\r\n\r\n', '-0\r\n\r\n', '0 \r\n\r\n', `0\r\n${HIDDEN}`, '0\r\nX-A: b\0\r\n\r\n', '0\r\nX_A: b\r\n\r\n', '0\r\nAuthorization: Bearer made-up\r\n\r\n', '0\r\n: b\r\n\r\n'], 6),
}).map(({ fields, data, end }) => ({ fields, body: data(body) + end }));

const REQUEST: fc.Arbitrary<string> = fc.record({
  lead: mostly([''], ['\r\n', '\n', '\r\n\r\n', ' ', '\0', '\r'], 30),
  method: METHODS, target: TARGETS, version: VERSIONS, host: HOSTS, fields: FIELDS, type: TYPES,
  framing: BODIES.chain((body) => fc.oneof({ weight: 4, arbitrary: lengthed(body) }, { weight: 3, arbitrary: chunked(body) }, { weight: 1, arbitrary: fc.constant({ fields: [], body: '' }) })),
  end: mostly(['\r\n'], ['\n'], 30),
  first: fc.boolean(),
}).map(({ lead, method, target, version, host, fields, type, framing, end, first }) => {
  const middle = first ? [...framing.fields, ...fields] : [...fields, ...framing.fields];
  return `${lead}${[`${method} ${target}${version === '' ? '' : ` ${version}`}`, ...host, ...type, ...middle].join('\r\n')}\r\n${end}${framing.body}`;
});

/** Latin-1 on the wire, one to three requests behind one another. */
const CASE = fc.array(REQUEST, { minLength: 1, maxLength: 3, size: 'max' }).map((requests) => requests.join(''));

// Who is asked.

/** Keeps the bytes of every request that Weir sends, and answers each with what it read. */
class Recorder {
  readonly forwarded: { readonly bytes: Buffer; readonly reading: Reading }[] = [];
  /** What came that was no request with one content-length or without body. */
  readonly misframed: string[] = [];
  url = '';

  async listen(t: Test): Promise<void> {
    const server = createServer((socket) => {
      let rest: Buffer = Buffer.alloc(0);
      socket.on('error', () => {}).on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        for (let length = this.#take(rest); length > 0; length = this.#take(rest)) {
          rest = rest.subarray(length);
          const answer = JSON.stringify(this.forwarded.at(-1)!.reading);
          socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${answer.length}\r\n\r\n${answer}`);
        }
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }

  #take(bytes: Buffer): number {
    const stop = bytes.indexOf('\r\n\r\n');
    if (stop === -1) return 0;
    const head = bytes.toString('latin1', 0, stop + 2);
    const lengths = [...head.matchAll(/\r\ncontent-length: (.*?)(?=\r\n)/gi)];
    const [line] = head.split('\r\n');
    const [method, target, version] = line.split(' ');
    if (lengths.length > 1 || /\r\ntransfer-encoding/i.test(head) || version !== 'HTTP/1.1') this.misframed.push(head);
    const end = stop + 4 + Number(lengths[0]?.[1] ?? 0);
    if (bytes.length < end) return 0;
    this.forwarded.push({ bytes: bytes.subarray(0, end), reading: { method, target, body: bytes.toString('base64', stop + 4, end) } });
    return end;
  }
}

const SILENCE_MS = 200;

/** What Weir sent on of these bytes, in the client's order and up to its first refusal; pipelined requests may arrive in another. */
function askWeir(port: number, bytes: Buffer): Promise<{ readonly readings: readonly Reading[]; readonly refused: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const answers = new Answers();
    const readings: Reading[] = [];
    let refused = false;
    const end = (): void => {
      socket.destroy();
      resolve({ readings, refused });
    };
    socket.setTimeout(SILENCE_MS, end);
    socket.on('error', () => {}).on('close', end);
    socket.on('data', (chunk: Buffer) => {
      for (const { status, head, body } of answers.take(chunk)) {
        refused ||= status !== 200;
        if (!refused) readings.push(JSON.parse(body.toString()) as Reading);
        if (/\r\nconnection: close/i.test(head)) end();
      }
    });
  });
}

/** Requests behind one another on a connection. */
const BATCH = 50;

const show = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1'));
const same = (a: Reading | undefined, b: Reading): boolean => a !== undefined && a.method === b.method && a.target === b.target && a.body === b.body;

/**
 * What node's parser drops before anyone sees it, and another server refuses: a carriage return before the request line
 * (haproxy), and a tab before a value, which RFC 9110 5.5 allows (nginx).
 */
const NOT_SEEN = /\r(?=[A-Z])|:\t/;

/** What Weir sent on of these bytes was read by a peer in the client's own bytes as well. */
async function compare(peer: Peer, bytes: Buffer, readings: readonly Reading[]): Promise<void> {
  const told = await peer.ask(bytes, readings.length);
  readings.forEach((reading, at) => {
    if (same(told.read[at], reading) || (told.refused !== undefined && NOT_SEEN.test(bytes.toString('latin1')))) return;
    throw new Error(`${peer.name} ${told.read[at] === undefined ? `refused (${told.refused}) or did not end` : `read ${JSON.stringify(told.read[at])} in`} what weir read as ${JSON.stringify(reading)}, request ${at} of ${show(bytes)}`);
  });
}

t.test('generated requests', { skip: PEERS_MISSING }, async (t) => {
  const recorder = new Recorder();
  await recorder.listen(t);
  const peers = await startPeers(t);
  const proxy = await ProxyUnderTest.start({ upstreamUrl: recorder.url, proxy: { unknown_endpoints: 'pass' }, limits: { header_bytes_max: 16_384 } });
  t.teardown(() => proxy.close());
  const all: { readonly sent: Buffer; readonly bytes: Buffer; readonly reading: Reading }[] = [];
  let refusals = 0;

  await fc.assert(fc.asyncProperty(CASE, async (text) => {
    const bytes = Buffer.from(text + LAST, 'latin1');
    const from = recorder.forwarded.length;
    const { readings, refused } = await askWeir(proxy.port, bytes);
    for (const one of recorder.forwarded.slice(from)) all.push({ sent: bytes, ...one });
    if (refused) refusals += 1;
    if (readings.length > 0) await Promise.all(peers.map((peer) => compare(peer, bytes, readings)));
  }), { numRuns: runs(1500), seed });
  t.strictSame(recorder.misframed, [], 'each request that Weir sends has one length or none');
  t.comment(`seed ${seed}: ${all.length} requests forwarded, ${refusals} cases with a refusal`);
  t.ok(all.length > runs(500) && refusals > runs(200), 'both happen');

  // The same bytes one after another, as they are on a connection that is kept. Not all at once: what haproxy is told to
  // wait for must fit into its buffer.
  const end = { method: 'GET', target: '/last', body: '' };
  const batches = Array.from({ length: Math.ceil(all.length / BATCH) }, (_, i) => all.slice(i * BATCH, (i + 1) * BATCH));
  for (const peer of peers) {
    const wrong: string[] = [];
    for (const batch of batches) {
      const told = await peer.ask(Buffer.concat([...batch.map(({ bytes }) => bytes), Buffer.from(LAST)]), batch.length + 1);
      const at = [...batch.map(({ reading }) => reading), end].findIndex((reading, i) => !same(told.read[i], reading));
      if (at >= 0) wrong.push(`${show(batch[at]?.bytes ?? Buffer.alloc(0))}, which came as ${show(batch[at]?.sent ?? Buffer.alloc(0))}: ${JSON.stringify(told.read[at])}, ${told.refused}`);
    }
    t.strictSame(wrong, [], `${peer.name} reads what weir sends as weir does`);
  }
});
