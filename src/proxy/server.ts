/**
 * The listener: accepts, bounds, refuses what is not a request, drains. Guarantees that every wait has a timer, that a
 * refusal on any level is a proper error answer, and that after `drain` no connection and no exchange is left. Upgrades
 * are refused, never passed unscreened. Whatever came and is no exchange is counted by why. Timers and limits of the connection level are those of the snapshot at the
 * start; limits of the request level are read anew for each request.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Socket, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CHANNELS, type TurnedAwayCode } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import { TenantLimits } from '../tenant/limits.ts';
import type { ProxyDependencies } from './dependencies.ts';
import { openExchange } from './exchange.ts';
import type { OpenExchange } from './opened.ts';
import { jsonAnswer, refuseSocket, writeAnswer } from './respond.ts';
import { socketEndpointAt } from './route.ts';
import { openSocket, type SocketSite } from './upgrade.ts';
import { Upstreams } from './upstreams.ts';

export interface ListeningAt {
  readonly host: string;
  /** The real one, also when port 0 was asked for. */
  readonly port: number;
  readonly url: string;
}

/** Slow heads are found this often; Node's default of 30 s would let a 10 s limit take 40. */
const CONNECTION_CHECK_MS = 1_000;
/** Our own timer on the body comes first and answers in JSON; Node's is the net under it. */
const REQUEST_TIMER_SLACK_MS = 5_000;
/** While draining, connections that have become idle are closed this often. */
const DRAIN_STEP_MS = 50;

export class ProxyServer {
  readonly #dependencies: ProxyDependencies;
  readonly #server: Server;
  readonly #site: SocketSite & { draining: boolean };
  /** The exchange that a connection is busy with: what breaks on the connection breaks there. */
  readonly #bySocket = new WeakMap<Duplex, OpenExchange>();
  #drained: Promise<void> | undefined;

  constructor(dependencies: ProxyDependencies) {
    this.#dependencies = dependencies;
    this.#site = { dependencies, upstreams: new Upstreams(), limits: dependencies.limits ?? new TenantLimits(), open: new Map(), pipelined: new WeakMap(), late: new Set(), unwritten: new Set(), sessions: new Set(), draining: false };
    const { limits, timeouts } = dependencies.snapshot().config.proxy;
    this.#server = createServer({
      maxHeaderSize: limits.header_bytes_max,
      headersTimeout: timeouts.headers_ms,
      requestTimeout: Math.max(timeouts.request_ms, timeouts.headers_ms) + REQUEST_TIMER_SLACK_MS,
      keepAliveTimeout: timeouts.keep_alive_ms,
      connectionsCheckingInterval: CONNECTION_CHECK_MS,
      requireHostHeader: false, // headers.ts requires it, with a proper answer
      noDelay: true,
    });
    // Node would drop surplus fields silently, and a dropped field is one that nobody checked; headers.ts counts them.
    this.#server.maxHeadersCount = 0;
    // Refused requests still get an answer: connections beyond the limit of open exchanges are accepted for that.
    this.#server.maxConnections = limits.connections_max * 2;
    this.#server.on('connection', (socket) => void socket.setMaxListeners(0)); // each request that waits on it listens
    this.#server.on('request', (req, res) => this.#onRequest(req, res));
    // Node would refuse it by itself, and nobody would know of it; headers.ts does.
    this.#server.on('checkExpectation', (req, res) => this.#onRequest(req, res));
    this.#server.on('upgrade', (req, socket, head) => this.#onUpgrade(req, socket, head));
    this.#server.on('connect', (_req, socket) => this.#refuse(socket, 'bad_request', 'CONNECT is not for this server'));
    this.#server.on('clientError', (error, socket) => this.#onClientError(error, socket));
    this.#server.on('drop', () => turnedAway('overloaded'));
  }

  get openExchanges(): number {
    return this.#site.open.size;
  }

  /** Throws what `listen` throws: EADDRINUSE, EACCES. */
  async listen(): Promise<ListeningAt> {
    const { host, port } = this.#dependencies.snapshot().config.proxy;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    const address = this.#server.address() as AddressInfo;
    return { host, port: address.port, url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}` };
  }

  /** Stops accepting, lets open exchanges end, cuts those that have not by then. Resolves when nothing is open. */
  drain(drainMs = this.#dependencies.snapshot().config.proxy.timeouts.drain_ms): Promise<void> {
    this.#drained ??= this.#drain(drainMs);
    return this.#drained;
  }

  async #drain(drainMs: number): Promise<void> {
    this.#site.draining = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const exchange of this.#site.open.keys()) if (!exchange.res.headersSent) exchange.res.shouldKeepAlive = false;
    for (const session of this.#site.sessions) session.drain();
    const step = setInterval(() => this.#server.closeIdleConnections(), DRAIN_STEP_MS);
    const deadline = setTimeout(() => this.#cutAll(), drainMs);
    await closed;
    await Promise.all(this.#site.unwritten);
    clearInterval(step);
    clearTimeout(deadline);
    await this.#site.upstreams.close();
  }

  /** Open streams get an error frame, requests that wait an error answer; then connections go, whatever they hold. */
  #cutAll(): void {
    for (const exchange of this.#site.open.keys()) exchange.stop(new WeirError('draining'));
    for (const exchange of this.#site.late) exchange.afterwards?.close();
    setTimeout(() => this.#server.closeAllConnections(), CONNECTION_CHECK_MS).unref();
  }

  #onRequest(req: IncomingMessage, res: ServerResponse): void {
    res.on('error', () => {}); // a write that met a closed connection; the exchange learns of it from the socket
    if (req.method === 'GET' && req.url === '/weir/healthz') return void writeAnswer(req, res, jsonAnswer(200, { status: 'ok' }), JSON_FIELDS);
    if (req.method === 'GET' && req.url === '/weir/readyz') return void writeAnswer(req, res, this.#readiness(), JSON_FIELDS);
    this.#bySocket.set(req.socket, openExchange(req, res, this.#site));
  }

  #onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = req.url!.split('?', 1)[0]!;
    const isSocket = socketEndpointAt(path) !== undefined && req.headers.upgrade?.toLowerCase() === 'websocket';
    if (!isSocket || this.#busyExchange(socket) !== undefined) return this.#refuse(socket, 'upgrade_refused');
    // Node puts a stream of its own in the socket's place where a body comes first.
    if (!(socket instanceof Socket)) return this.#refuse(socket, 'bad_request', 'an upgrade with a body');
    this.#bySocket.set(socket, openSocket(req, socket, head, this.#site));
  }

  #readiness(): ReturnType<typeof jsonAnswer> {
    return this.#site.draining ? jsonAnswer(503, { status: 'draining' }) : jsonAnswer(200, { status: 'ready' });
  }

  /** Behind a request that waits for its answer, a refusal would be taken for that answer. */
  #refuse(socket: Duplex, code: TurnedAwayCode, detail?: string): void {
    // A connection that was opened ahead and never used is nothing that came.
    if (!(socket instanceof Socket) || socket.bytesRead > 0) turnedAway(code);
    if (this.#busyExchange(socket) !== undefined) socket.destroy();
    else refuseSocket(socket, new WeirError(code, detail), randomUUID());
  }

  #busyExchange(socket: Duplex): OpenExchange | undefined {
    const exchange = this.#bySocket.get(socket);
    return exchange !== undefined && this.#site.open.has(exchange) ? exchange : undefined;
  }

  /** The parser refused something. A request that is still being read takes the blame; an answer under way is broken off. */
  #onClientError(error: Error & { code?: string }, socket: Duplex): void {
    const busy = this.#busyExchange(socket);
    // An end in the middle of a request is a client that left.
    if (error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE' || !socket.writable || busy?.res.headersSent) return void socket.destroy();
    const code = refusalCode(error.code);
    if (busy === undefined) return this.#refuse(socket, code);
    busy.res.shouldKeepAlive = false; // nothing after what broke is read
    busy.stop(new WeirError(code));
  }
}

const JSON_FIELDS = ['content-type', 'application/json', 'cache-control', 'no-store'];

/** Of what is no exchange, and so in no other count. */
function turnedAway(code: TurnedAwayCode): void {
  CHANNELS.turnedAway.publish({ code });
}

function refusalCode(code: string | undefined): TurnedAwayCode {
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large';
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 'body_too_large';
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 'body_timeout' : 'bad_request';
}
