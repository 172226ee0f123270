/**
 * Answers that are ours and not the upstream's: errors, blocks, safe messages, health. In the caller's dialect, with our
 * headers, never with user text. A request whose body was not read is answered first and read no further: the
 * connection closes after it.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WeirError } from '../contract/errors.ts';
import type { Dialect } from '../dialect/dialect.ts';
import { openaiChat } from '../dialect/openai-chat.ts';
import { RateLimited } from '../tenant/limits.ts';
import type { OpenExchange } from './opened.ts';
import { MethodError } from './route.ts';

export interface OwnAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** The dialect of a request that never got as far as having one. */
const ANY_DIALECT: Dialect = openaiChat;
/** How long what a refused client still sends is read and thrown away, so that it gets to read its answer. */
const LINGER_MS = 1_000;
const RETRY_AFTER_S = '1';

/** The answer to a refusal or a fault. */
export function errorAnswer(error: WeirError, requestId: string, dialect: Dialect = ANY_DIALECT, message = error.message): OwnAnswer {
  const answer = dialect.error(error.code, message, requestId);
  const headers: Record<string, string> = { ...answer.headers };
  if (error instanceof MethodError) headers.allow = error.allow;
  if (error.code === 'upgrade_required') Object.assign(headers, { upgrade: 'websocket', 'sec-websocket-version': '13' });
  if (error.status === 503 || error.status === 429) headers['retry-after'] = error instanceof RateLimited ? String(Math.ceil(error.retryAfterMs / 1000)) : RETRY_AFTER_S;
  return { ...answer, headers };
}

export function jsonAnswer(status: number, value: unknown): OwnAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value)) };
}

/** Writes a whole answer of ours and waits until it has left or the client has. */
export async function respond(exchange: OpenExchange, answer: OwnAnswer): Promise<void> {
  const { facts, req, res } = exchange;
  facts.status = answer.status;
  facts.responseBytes = answer.body.length;
  facts.firstByteMs = performance.now();
  const fields = Object.entries(answer.headers).flat();
  await writeAnswer(req, res, answer, [...fields, ...exchange.ownHeaders()]);
}

/** The same without an exchange: health checks. */
export async function writeAnswer(req: IncomingMessage, res: ServerResponse, answer: OwnAnswer, fields: readonly string[]): Promise<void> {
  if (res.destroyed || req.socket.destroyed) return;
  const unread = !req.complete;
  const head = [...fields, 'content-length', String(answer.body.length)];
  if (unread) head.push('connection', 'close');
  res.writeHead(answer.status, head);
  if (unread) await linger(req, res, answer.body);
  res.end(unread ? undefined : answer.body);
  if (!res.writableFinished && !req.socket.destroyed) await leaving(req, res);
}

/** Waits for the socket too: an answer behind another one on a connection that breaks never hears of it. */
async function leaving(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const waits = new AbortController();
  const { signal } = waits;
  await Promise.race([once(res, 'finish', { signal }), once(res, 'close', { signal }), once(req.socket, 'close', { signal })]);
  waits.abort();
}

/** Closing at once would reset the connection under a client that is still sending, and its answer would be lost. */
async function linger(req: IncomingMessage, res: ServerResponse, body: Buffer): Promise<void> {
  res.write(body);
  req.resume();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, LINGER_MS);
    for (const event of ['end', 'close', 'error']) req.once(event, () => { clearTimeout(timer); resolve(); });
  });
}

/** An answer on a connection that has no exchange: what came is not a request. */
export function refuseSocket(socket: Duplex, error: WeirError, requestId: string): void {
  socket.on('error', () => {}); // an upgraded socket has no other listener, and it may be gone already
  if (!socket.writable) return void socket.destroy();
  const answer = errorAnswer(error, requestId);
  const fields = { ...answer.headers, 'content-length': String(answer.body.length), 'x-weir-request-id': requestId, connection: 'close' };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${answer.status} Refused\r\n${lines}\r\n`, 'latin1'), answer.body]), () => socket.destroy());
}
