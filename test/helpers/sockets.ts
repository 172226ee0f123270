/**
 * Both ends of a WebSocket for tests: a real ws server that plays the provider, and a real ws client. Each keeps what it
 * received, frame by frame, and how it was closed.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocket, WebSocketServer, type ClientOptions, type ServerOptions } from 'ws';
import { until } from './upstream.ts';

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

/** One end of a connection. */
export class SocketEnd {
  readonly ws: WebSocket;
  /** Text frames as they came. */
  readonly frames: string[] = [];
  readonly binary: Buffer[] = [];
  closed: Closing | undefined;
  error: Error | undefined;

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (data: Buffer, isBinary: boolean) => { if (isBinary) this.binary.push(data); else this.frames.push(data.toString()); });
    ws.on('close', (code, reason) => { this.closed = { code, reason: reason.toString() }; });
    ws.on('error', (error) => { this.error = error; });
  }

  /** The frames as events. */
  get events(): any[] {
    return this.frames.map((frame) => JSON.parse(frame));
  }

  send(...events: readonly (object | string)[]): this {
    for (const event of events) this.ws.send(typeof event === 'string' ? event : JSON.stringify(event));
    return this;
  }

  /** Waits until so many text frames have come. */
  async take(count: number, withinMs = 20_000): Promise<any[]> {
    await until(() => this.frames.length >= count, withinMs, `${count} frames`).catch((error: unknown) => { throw new Error(`got ${this.frames.length}: ${this.frames.join('\n').slice(0, 2000)}`, { cause: error }); });
    return this.events;
  }

  async closing(withinMs = 20_000): Promise<Closing> {
    await until(() => this.closed !== undefined, withinMs, 'the end of a connection');
    return this.closed!;
  }

  /** Leaves without a closing handshake. */
  vanish(): void {
    (this.ws as unknown as { _socket: Socket })._socket.destroy();
  }
}

/** Plays the provider. `onConnection` is run for each accepted connection. */
export class SocketUpstream {
  readonly requests: IncomingMessage[] = [];
  readonly ends: SocketEnd[] = [];
  onConnection: (end: SocketEnd) => void;
  /** Answers an upgrade by hand in place of accepting it. */
  onUpgrade: ((socket: Socket, request: IncomingMessage) => void) | undefined;
  readonly #server: Server = createServer();
  readonly #sockets = new Set<Socket>();

  constructor(onConnection: (end: SocketEnd) => void = () => {}, options: ServerOptions = {}) {
    this.onConnection = onConnection;
    const server = new WebSocketServer({ noServer: true, perMessageDeflate: true, handleProtocols: (offered) => (offered.has('realtime') ? 'realtime' : false), ...options });
    server.on('headers', (lines) => lines.push('x-request-id: req_made_up', 'openai-processing-ms: 5', 'set-cookie: made=up'));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('upgrade', (request, socket, head) => {
      this.requests.push(request);
      if (this.onUpgrade !== undefined) return this.onUpgrade(socket as Socket, request);
      server.handleUpgrade(request, socket as Socket, head, (ws) => {
        const end = new SocketEnd(ws);
        this.ends.push(end);
        this.onConnection(end);
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  /** The newest connection, once there is one. */
  async end(): Promise<SocketEnd> {
    await until(() => this.ends.length > 0, 20_000, 'a connection to the upstream');
    return this.ends.at(-1)!;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: any;
}

/** Connects, and resolves with the open connection or with the answer that refused it. */
export function connect(url: string, options: ClientOptions = {}, protocols: readonly string[] = []): Promise<SocketEnd | Refusal> {
  const ws = new WebSocket(url, [...protocols], { perMessageDeflate: true, ...options });
  const end = new SocketEnd(ws);
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(end));
    ws.once('error', reject);
    ws.once('unexpected-response', (_request, response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode!, headers: response.headers, body: text.startsWith('{') ? JSON.parse(text) : text });
      });
    });
  });
}

export async function open(url: string, options: ClientOptions = {}, protocols: readonly string[] = []): Promise<SocketEnd> {
  const opened = await connect(url, options, protocols);
  if (opened instanceof SocketEnd) return opened;
  throw new Error(`refused: ${opened.status} ${JSON.stringify(opened.body)}`);
}

export async function refused(url: string, options: ClientOptions = {}, protocols: readonly string[] = []): Promise<Refusal> {
  const answer = await connect(url, options, protocols);
  if (!(answer instanceof SocketEnd)) return answer;
  answer.ws.terminate();
  throw new Error('accepted, and should not be');
}
