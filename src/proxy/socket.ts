/**
 * The only door to ws: accepts the client's side of a WebSocket, connects the upstream's, and puts one face on both. The
 * library does the framing; the rules around it are ours: no compression (what is not seen cannot be screened), text in
 * valid UTF-8 only, no frame over its limit, no redirect, a peer that reads nothing is left, a closing handshake takes a
 * second at most, and a connection that breaks is never a clean end. Pings are answered here and go no further. What
 * frames say is nobody's business here.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket, WebSocketServer, type ClientOptions, type ServerOptions } from 'ws';
import { WeirError, type ErrorCode } from '../contract/errors.ts';
import type { RawHeaders } from './headers.ts';

/** How long a closing handshake may take. */
const CLOSE_MS = 1_000;
/** The body of a refusal that is passed on. */
const REFUSAL_BYTES_MAX = 1_048_576;
/** RFC 6455 5.5: a control frame carries 125 bytes, two of them the code. */
const REASON_BYTES_MAX = 123;

/** The connection broke, or ended without a closing handshake (RFC 6455 7.1.5). */
export const BROKEN = 1006;
/** The peer closed without a code. */
export const NO_CODE = 1005;

export interface SocketClosed {
  /** The peer's code; `NO_CODE`, or `BROKEN`. */
  readonly code: number;
  readonly reason: string;
  /** Why this side closed: the peer sent what it must not. */
  readonly fault?: WeirError;
}

/** What a peer does. After `onClosed`, which comes once, there is nothing. */
export interface SocketTaker {
  onFrame(data: Buffer, isBinary: boolean): void;
  /** A ping or a pong. */
  onLife(): void;
  /** The peer is behind with reading (true), or has caught up. */
  onPressure(blocked: boolean): void;
  onClosed(closed: SocketClosed): void;
}

export interface SocketLimits {
  readonly frameBytesMax: number;
  /** Bytes that may wait for a peer that is behind. */
  readonly queueBytesMax: number;
  /** How long a peer may read nothing while bytes wait for it. */
  readonly stuckMs: number;
  /** What a frame that is too large is called, and the limit it is over. */
  readonly tooLarge: readonly [code: ErrorCode, detail: string];
  /** What any other violation is called. */
  readonly violation: ErrorCode;
}

const COMMON = { perMessageDeflate: false, skipUTF8Validation: false, closeTimeout: CLOSE_MS };

/** One side of a relayed connection, paused until `read`. */
export class SocketPeer {
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #limits: SocketLimits;
  #taker: SocketTaker | undefined;
  #blocked = false;
  #paused = false;

  constructor(ws: WebSocket, socket: Socket, limits: SocketLimits) {
    this.#ws = ws;
    this.#socket = socket;
    this.#limits = limits;
    ws.pause();
    ws.on('message', (data: Buffer, isBinary: boolean) => this.#taker?.onFrame(data, isBinary));
    ws.on('ping', () => this.#taker?.onLife());
    ws.on('pong', () => this.#taker?.onLife());
    ws.on('error', (error: Error & { code?: string }) => this.#onError(error.code ?? ''));
    ws.on('close', (code, reason) => this.#onClosed({ code, reason: reason.toString('utf8') }));
    // The timer starts anew with every write and every byte taken; that nothing is there to write is not the peer's fault.
    socket.on('timeout', () => { if (socket.writableLength > 0) ws.terminate(); });
    socket.setTimeout(limits.stuckMs);
    socket.on('drain', () => this.#press(false));
  }

  read(taker: SocketTaker): void {
    this.#taker = taker;
    this.resume();
  }

  pause(): void {
    this.#paused = true;
    this.#ws.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#ws.resume();
  }

  send(frame: Buffer, isBinary = false): void {
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    if (this.#blocked && this.#socket.writableLength > this.#limits.queueBytesMax) return this.#ws.terminate();
    this.#ws.send(frame, { binary: isBinary }, () => {});
    if (this.#socket.writableNeedDrain) this.#press(true);
  }

  /** Begins the closing handshake, and cuts the connection when it does not end in time. */
  close(code: number, reason = ''): void {
    if (this.#paused) this.resume(); // else the answer is never read
    if (code === NO_CODE) this.#ws.close();
    else this.#ws.close(mayBeSent(code) ? code : 1011, Buffer.byteLength(reason) <= REASON_BYTES_MAX ? reason : '');
  }

  #press(blocked: boolean): void {
    if (this.#blocked === blocked) return;
    this.#blocked = blocked;
    this.#taker?.onPressure(blocked);
  }

  /** A violation: the library is closing with the code that says which, and nothing more is read. */
  #onError(code: string): void {
    const fault = faultOf(code, this.#limits);
    if (fault !== undefined) this.#onClosed({ code: BROKEN, reason: '', fault });
  }

  #onClosed(closed: SocketClosed): void {
    const taker = this.#taker;
    this.#taker = undefined;
    taker?.onClosed(closed);
  }
}

/** Undefined for an error of the connection. */
function faultOf(code: string, { tooLarge, violation }: SocketLimits): WeirError | undefined {
  if (code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' || code === 'WS_ERR_TOO_MANY_BUFFERED_PARTS') return new WeirError(...tooLarge);
  return code.startsWith('WS_ERR_') ? new WeirError(violation, 'a frame is not one of RFC 6455, or its text is not UTF-8') : undefined;
}

/** RFC 6455 7.4: codes that stand for the absence of one are never sent. */
function mayBeSent(code: number): boolean {
  return (code >= 1000 && code <= 1014 && code !== 1004 && code !== NO_CODE && code !== BROKEN) || (code >= 3000 && code <= 4999);
}

// The client's side.

/** Why a request is no handshake, as what is to be answered. */
export function checkHandshake(req: IncomingMessage): WeirError | undefined {
  const { upgrade, 'sec-websocket-key': key, 'sec-websocket-version': version } = req.headers;
  if (req.method !== 'GET' || req.httpVersion !== '1.1' || upgrade?.toLowerCase() !== 'websocket' || version !== '13') return new WeirError('upgrade_required');
  return key !== undefined && HANDSHAKE_KEY.test(key) ? undefined : new WeirError('bad_request', 'the sec-websocket-key is not 16 bytes in base64');
}

const HANDSHAKE_KEY = /^[+/\dA-Za-z]{22}==$/;

/** Answers the handshake; undefined when the client has left. `fields`: name, value, name, value … */
export function acceptClient(req: IncomingMessage, socket: Socket, head: Buffer, protocol: string, fields: readonly string[], limits: SocketLimits): SocketPeer | undefined {
  const server = new WebSocketServer({ ...COMMON, noServer: true, clientTracking: false, maxPayload: limits.frameBytesMax, handleProtocols: () => protocol || false } as ServerOptions);
  server.on('headers', (lines) => { for (let i = 0; i < fields.length; i += 2) lines.push(`${fields[i]}: ${fields[i + 1]}`); });
  let peer: SocketPeer | undefined;
  server.handleUpgrade(req, socket, head, (ws) => { peer = new SocketPeer(ws, socket, limits); });
  return peer;
}

// The upstream's side.

export interface ConnectOptions {
  readonly url: URL;
  /** Without those of the handshake. */
  readonly fields: readonly string[];
  readonly protocols: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly limits: SocketLimits;
}

export type Connected =
  | { readonly kind: 'accepted'; readonly peer: SocketPeer; readonly protocol: string; readonly headers: RawHeaders }
  /** An answer that is no upgrade. */
  | { readonly kind: 'refused'; readonly status: number; readonly statusText: string; readonly headers: RawHeaders; readonly body: Buffer };

/** Throws upstream_unreachable, upstream_timeout, upstream_protocol, or the signal's reason. */
export function connectUpstream({ url, fields, protocols, timeoutMs, signal, limits }: ConnectOptions): Promise<Connected> {
  signal.throwIfAborted();
  return new Promise<Connected>((resolve, reject) => {
    const ws = new WebSocket(url, [...protocols], { ...COMMON, headers: headersOf(fields), followRedirects: false, maxPayload: limits.frameBytesMax } as ClientOptions);
    let answer: IncomingMessage | undefined;
    const timer = setTimeout(() => settle(new WeirError('upstream_timeout')), timeoutMs);
    const onAbort = (): void => settle(signal.reason);
    let settled = false;
    const settle = (outcome: unknown): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      if (isConnected(outcome)) return resolve(outcome);
      ws.on('error', () => {}); // of the end that follows
      ws.terminate();
      reject(outcome);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    ws.once('upgrade', (response) => { answer = response; });
    ws.once('open', () => settle({ kind: 'accepted', peer: new SocketPeer(ws, answer!.socket, limits), protocol: ws.protocol, headers: answer!.rawHeaders }));
    ws.once('unexpected-response', (_request, response) => void readRefusal(response).then(settle, settle));
    ws.once('error', (error: Error & { code?: string }) => settle(connectFailure(error)));
  });
}

function isConnected(outcome: unknown): outcome is Connected {
  return typeof outcome === 'object' && outcome !== null && 'kind' in outcome;
}

async function readRefusal(response: IncomingMessage): Promise<Connected> {
  const { statusCode = 502, statusMessage = '', rawHeaders } = response;
  if (statusCode < 400) throw new WeirError('upstream_protocol', `the upstream answered the handshake with ${statusCode}`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > REFUSAL_BYTES_MAX) throw new WeirError('response_too_large', 'the upstream refused with a body that is too large');
    chunks.push(chunk);
  }
  return { kind: 'refused', status: statusCode, statusText: statusMessage, headers: rawHeaders, body: Buffer.concat(chunks) };
}

/** Names what broke without repeating what the upstream sent. */
function connectFailure(error: Error & { code?: string }): WeirError {
  const isProtocol = error.code?.startsWith('HPE_') === true || (error.code === undefined && !(error instanceof AggregateError));
  return isProtocol
    ? new WeirError('upstream_protocol', 'the upstream answered the handshake with something that is none', { cause: error })
    : new WeirError('upstream_unreachable', undefined, { cause: error });
}

/** A field that comes twice is sent twice. */
function headersOf(fields: readonly string[]): Record<string, string | string[]> {
  const byName = new Map<string, [name: string, ...values: string[]]>();
  for (let i = 0; i < fields.length; i += 2) {
    const [name, value] = [fields[i]!, fields[i + 1]!];
    const known = byName.get(name.toLowerCase());
    if (known === undefined) byName.set(name.toLowerCase(), [name, value]);
    else known.push(value);
  }
  return Object.fromEntries([...byName.values()].map(([name, ...values]) => [name, values.length === 1 ? values[0]! : values]));
}
