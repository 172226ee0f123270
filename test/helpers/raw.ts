/**
 * A client on a bare socket: sends any bytes, reads what comes, and tells how the connection ended. No HTTP library
 * would send most of what the tests need to send, or show how an answer really ended.
 */
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Name, value, name, value … as on the wire. */
  readonly rawHeaders: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** The body without its framing. */
  readonly body: Buffer;
  /** The whole body as its framing promised. */
  readonly complete: boolean;
}

export class RawClient {
  readonly socket: Socket;
  bytes: Buffer = Buffer.alloc(0);
  ended = false;
  /** Error code when the connection was reset. */
  error: string | undefined;
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk: Buffer) => { this.bytes = Buffer.concat([this.bytes, chunk]); });
    this.socket.on('end', () => { this.ended = true; });
    this.socket.on('error', (error: NodeJS.ErrnoException) => { this.error = error.code; });
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()));
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  leave(): void {
    this.socket.destroy();
  }

  /** The answer so far; undefined before its head is whole. */
  answer(): RawAnswer | undefined {
    return parseAnswer(this.bytes, this.ended);
  }

  /** Waits for a whole answer, or for the connection to end. */
  async read(withinMs = 20_000): Promise<RawAnswer> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const answer = this.answer();
      if (answer?.complete || this.socket.destroyed) return answer ?? NO_ANSWER;
      if (performance.now() > deadline) throw new Error(`no whole answer within ${withinMs} ms, ${this.bytes.length} bytes so far`);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }
}

const NO_ANSWER: RawAnswer = { status: 0, rawHeaders: [], headers: {}, body: Buffer.alloc(0), complete: false };

/** Sends one request on its own connection and reads its answer. */
export async function rawRequest(port: number, bytes: string | Buffer, withinMs?: number): Promise<RawAnswer> {
  const client = new RawClient(port).send(bytes);
  try {
    return await client.read(withinMs);
  } finally {
    client.leave();
  }
}

/** A chat request as bytes; `fields` are header lines. */
export function chatRequest(body: unknown, fields: readonly string[] = []): Buffer {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const lines = ['POST /v1/chat/completions HTTP/1.1', 'Host: weir.example.com', 'Content-Type: application/json', `Content-Length: ${bytes.length}`, ...fields];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

export const HELLO = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };
export const HELLO_STREAM = { ...HELLO, stream: true };

function parseAnswer(bytes: Buffer, ended: boolean): RawAnswer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [line, ...fields] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const status = Number(line.split(' ')[1]);
  if (status === 100) return parseAnswer(bytes.subarray(end + 4), ended);
  const rawHeaders = fields.flatMap((field) => [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1).trim()]);
  const headers: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) headers[rawHeaders[i].toLowerCase()] = rawHeaders[i + 1];
  const rest = bytes.subarray(end + 4);
  if (headers['transfer-encoding'] === 'chunked') return { status, rawHeaders, headers, ...unchunk(rest) };
  const length = headers['content-length'];
  if (length === undefined) return { status, rawHeaders, headers, body: rest, complete: ended };
  return { status, rawHeaders, headers, body: rest.subarray(0, Number(length)), complete: rest.length >= Number(length) };
}

function unchunk(bytes: Buffer): { body: Buffer; complete: boolean } {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd === -1) return { body: Buffer.concat(parts), complete: false };
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16);
    if (size === 0) return { body: Buffer.concat(parts), complete: bytes.length >= lineEnd + 4 };
    const stop = lineEnd + 2 + size;
    parts.push(bytes.subarray(lineEnd + 2, Math.min(stop, bytes.length)));
    if (bytes.length < stop + 2) return { body: Buffer.concat(parts), complete: false };
    at = stop + 2;
  }
}
