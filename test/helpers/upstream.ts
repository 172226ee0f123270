/**
 * A scripted upstream for tests: full control over every byte it writes, when it pauses, resets, falls silent or never
 * ends, and a record of what it received. It speaks HTTP by hand where a test needs framing that node:http would not send.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  /** As on the wire: name, value, name, value … */
  readonly rawHeaders: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** One answer, written to the socket by hand. */
export type Script = (socket: Socket, request: ReceivedRequest) => void | Promise<void>;

export class ScriptedUpstream {
  readonly received: ReceivedRequest[] = [];
  /** Bytes received that were no part of a well-framed request. */
  strayBytes = 0;
  /** Answers that were begun and whose connection is still open. */
  openAnswers = 0;
  script: Script;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(script: Script) {
    this.script = script;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    let buffer: Buffer = Buffer.alloc(0);
    let answering = false;
    socket.on('close', () => {
      this.#sockets.delete(socket);
      if (answering) this.openAnswers -= 1;
    });
    const next = async (): Promise<void> => {
      const request = takeRequest(buffer);
      if (answering || request === undefined) return;
      buffer = request.rest;
      this.received.push(request.request);
      answering = true;
      this.openAnswers += 1;
      await this.script(socket, request.request);
      if (socket.destroyed) return;
      answering = false;
      this.openAnswers -= 1;
      if (buffer.length > 0) void next();
    };
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk]);
      void next();
    });
  }
}

/** Reads one request off the front: by content-length or chunked, as any ordinary server would. */
function takeRequest(buffer: Buffer): { request: ReceivedRequest; rest: Buffer } | undefined {
  const end = buffer.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [line, ...fields] = buffer.subarray(0, end).toString('latin1').split('\r\n');
  const rawHeaders = fields.flatMap((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim()]);
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) headers[rawHeaders[i].toLowerCase()] = rawHeaders[i + 1];
  const [method, path] = line.split(' ');
  const rest = buffer.subarray(end + 4);
  if (headers['transfer-encoding'] !== undefined) {
    const stop = rest.indexOf('0\r\n\r\n');
    if (stop === -1) return undefined;
    return { request: { method, path, rawHeaders, headers, body: rest.subarray(0, stop) }, rest: rest.subarray(stop + 5) };
  }
  const length = Number(headers['content-length'] ?? 0);
  if (rest.length < length) return undefined;
  return { request: { method, path, rawHeaders, headers, body: rest.subarray(0, length) }, rest: rest.subarray(length) };
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `condition` holds, or throws with `what` after `withinMs`. */
export async function until(condition: () => boolean, withinMs: number, what: string): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await pause(5);
  }
}

export const chunk = (bytes: string | Buffer): Buffer => Buffer.concat([Buffer.from(`${Buffer.byteLength(bytes).toString(16)}\r\n`), Buffer.from(bytes), Buffer.from('\r\n')]);
export const LAST_CHUNK = '0\r\n\r\n';

export function head(status: number, fields: Readonly<Record<string, string>>): string {
  return `HTTP/1.1 ${status} Fine\r\n${Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

export const SSE_HEAD = head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' });

/** A whole JSON answer. */
export function json(status: number, value: unknown, fields: Readonly<Record<string, string>> = {}): Script {
  const body = JSON.stringify(value);
  return (socket) => void socket.write(head(status, { 'content-type': 'application/json', ...fields, 'content-length': String(Buffer.byteLength(body)) }) + body);
}

/** A stream of these events, `gapMs` apart, that ends well. */
export function events(texts: readonly string[], gapMs = 0): Script {
  return async (socket) => {
    socket.write(SSE_HEAD);
    for (const text of texts) {
      if (gapMs > 0) await pause(gapMs);
      if (socket.destroyed) return;
      socket.write(chunk(text));
    }
    socket.write(LAST_CHUNK);
  };
}

/** The events of a chat answer in so many pieces. */
export function chatEvents(pieces: readonly string[]): string[] {
  const event = (delta: object, finish: string | null): string => `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  return [...pieces.map((content) => event({ content }, null)), event({}, 'stop'), 'data: [DONE]\n\n'];
}

export const CHAT_ANSWER = { id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'fine' }, finish_reason: 'stop' }] };
