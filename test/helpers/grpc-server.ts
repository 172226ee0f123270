/**
 * A gRPC classifier server that misbehaves on request, as a process of its own: written on bare HTTP/2 so that it can
 * send what no library would. What it does is the content of the call: `score 1.7`, `hang`, `garbage`. It prints its
 * port; arguments: the port, and the PEM files of a certificate and its key to speak TLS.
 */
import { readFileSync } from 'node:fs';
import { createSecureServer, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { CLASSIFY, type ClassifyRequestMessage } from '../../plugins/grpc/wire.ts';

const MIB = 1024 * 1024;
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' };

type Play = (argument: string, stream: ServerHttp2Stream, request: ClassifyRequestMessage, headers: IncomingHttpHeaders) => void | Promise<void>;

const first = (request: ClassifyRequestMessage, result: object): Buffer => answer([{ category: request.categories[0], ...result }, ...request.categories.slice(1).map((category) => ({ category, score: 0 }))]);
const answer = (results: readonly object[]): Buffer => CLASSIFY.responseSerialize({ results } as never);

function frame(message: Buffer, length = message.length, compressed = 0): Buffer {
  const head = Buffer.from([compressed, 0, 0, 0, 0]);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

/** So many bytes, from 130: tag, length in two to four bytes, content. */
function unknownField(bytes: number): Buffer {
  const length: number[] = [];
  const content = [2, 3, 4].map((lengthBytes) => bytes - 1 - lengthBytes).find((rest, at) => rest < 128 ** (at + 2))!;
  for (let rest = content, left = bytes - 1 - content; left > 0; left -= 1, rest >>= 7) length.push((rest & 127) | (left > 1 ? 128 : 0));
  return Buffer.concat([Buffer.from([(15 << 3) | 2, ...length]), Buffer.alloc(content)]);
}

/** Calls that their caller gave up while they hung. */
let cancelled = 0;

function reply(stream: ServerHttp2Stream, bytes: Buffer, status = 0, more: Record<string, string> = {}): void {
  stream.respond({ ...HEADERS, ...more }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }));
  stream.end(bytes);
}

const PLAYS: Readonly<Record<string, Play>> = {
  score: (score, stream, request) => reply(stream, frame(first(request, { score: Number(score) }))),
  slow: async (ms, stream, request) => {
    await new Promise((resolve) => setTimeout(resolve, Number(ms)));
    if (!stream.destroyed) reply(stream, frame(first(request, { score: 0.9 })));
  },
  unknown: (reason, stream, request) => reply(stream, frame(first(request, { unknown: Number(reason) }))),
  neither: (_, stream, request) => reply(stream, frame(first(request, {}))),
  short: (_, stream, request) => reply(stream, frame(answer([{ category: request.categories[0], score: 0.9 }]))),
  undeclared: (_, stream, request) => reply(stream, frame(first(request, { category: 'somebody-else', score: 0.9 }))),
  twice: (_, stream, request) => reply(stream, frame(answer([1, 2].map(() => ({ category: request.categories[0], score: 0.9 }))))),
  many: (count, stream, request) => reply(stream, frame(answer(Array.from({ length: Number(count) }, (__, at) => ({ category: request.categories[0], score: at / Number(count) }))))),
  span: (range, stream, request) => {
    const [start, end] = range.split('-').map(Number);
    reply(stream, frame(first(request, { score: 0.9, spans: [{ start, end }] })));
  },
  garbage: (_, stream) => reply(stream, frame(Buffer.from('\xff\xfe not a message \x00\x07'.repeat(9), 'latin1'))),
  frame: (_, stream, request) => reply(stream, frame(first(request, { score: 0.9 }), 1_000)),
  two: (_, stream, request) => reply(stream, Buffer.concat([frame(first(request, { score: 0.1 })), frame(first(request, { score: 0.2 }))])),
  empty: (_, stream) => reply(stream, Buffer.alloc(0)),
  huge: (mib, stream, request) => reply(stream, frame(first(request, { score: 0.9, label: 'x'.repeat(Number(mib) * MIB) }))),
  bytes: (count, stream, request) => {
    // The rest is a field that nobody knows, which a reader skips.
    const known = first(request, { score: 0.9 });
    const padding = Number(count) - known.length;
    reply(stream, frame(Buffer.concat([known, ...(padding === 0 ? [] : [unknownField(padding)])])));
  },
  bomb: (mib, stream, request) => {
    const packed = gzipSync(first(request, { score: 0.9, label: 'x'.repeat(Number(mib) * MIB) }));
    reply(stream, frame(packed, packed.length, 1), 0, { 'grpc-encoding': 'gzip' });
  },
  status: (code, stream) => {
    stream.respond({ ...HEADERS, 'grpc-status': code, 'grpc-message': 'secret words of the server' }, { endStream: true });
  },
  web: (_, stream) => {
    stream.respond({ ':status': 502, 'content-type': 'text/html' });
    stream.end('<h1>Bad gateway</h1>');
  },
  reset: (_, stream) => stream.close(2),
  drop: (_, stream) => stream.session?.destroy(),
  hang: (_, stream) => void stream.once('aborted', () => (cancelled += 1)).once('close', () => (cancelled += stream.rstCode === 8 && !stream.aborted ? 1 : 0)),
  cancelled: (_, stream, request) => reply(stream, frame(first(request, { score: 0.9, label: `${cancelled} cancelled` }))),
  header: (name, stream, request, headers) => reply(stream, frame(first(request, { score: 0.9, label: String(headers[name] ?? 'absent') }))),
  context: (key, stream, request) => reply(stream, frame(first(request, { score: 0.9, label: JSON.stringify(request.context[key] ?? null).replaceAll(/[[\]]/g, '') }))),
  length: (_, stream, request) => reply(stream, frame(first(request, { score: 0.9, label: String(request.content.length) }))),
};

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const chunks: Buffer[] = [];
  stream.on('error', () => {});
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => {
    const request = CLASSIFY.requestDeserialize(Buffer.concat(chunks).subarray(5));
    const [, name, argument = ''] = /^(\S+) ?(.*)/s.exec(request.content) ?? [];
    void (PLAYS[name] ?? PLAYS.neither)(argument, stream, request, headers);
  });
}

const [port, cert, key] = process.argv.slice(2);
const server = cert === undefined ? createServer() : createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
server.on('sessionError', () => {});
server.on('stream', serve);
server.listen(Number(port), '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
