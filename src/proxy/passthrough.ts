/**
 * The only door to http-proxy (httpxy): routes that the configuration hands over whole, unscreened. The library moves
 * the bytes; the rules around it are ours, because its own were found wanting: no hop-by-hop field crosses, the framing
 * sent upstream is always a length we counted, the upstream's work ends when the client leaves, and an upstream that
 * dies or falls silent is seen by the client. Nothing here is screened, and the closing entry says so.
 */
import { Agent, type ClientRequest, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { Readable } from 'node:stream';
import { createProxyServer } from 'http-proxy';
import type { UpstreamConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { closeWhenStuck } from './client.ts';
import { announcesBody, forwardedAnswerHeaders, forwardedRequestHeaders, type ForwardOptions } from './headers.ts';
import type { OpenExchange } from './opened.ts';
import { readBody } from './request.ts';
import type { Target } from './route.ts';
import { joinPath } from './upstream.ts';

const COVERAGE_OPAQUE = { screened: [], exempt: [], opaque: [{ carrier: 'body', kind: 'pass_through', treatment: 'pass' }] } as const;

/** Coverage is what this entry is for: nothing was looked at. */
const OPAQUE_RECORD = { action: 'allow', triggered_rules: [], classifier_results: [], coverage: COVERAGE_OPAQUE, degraded: [], redactions: 0, latency_ms: 0 } as const;

export class PassThrough {
  readonly #config: UpstreamConfig;
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #proxy = createProxyServer();
  /** Each request's own end: the library reports by events on one shared emitter. */
  readonly #open = new WeakMap<IncomingMessage, Passage>();

  constructor(config: UpstreamConfig) {
    this.#config = config;
    this.#base = new URL(config.url);
    const options = { keepAlive: true, maxSockets: config.connections, timeout: config.timeouts.idle_ms };
    this.#agent = this.#base.protocol === 'https:' ? new TlsAgent(options) : new Agent(options);
    this.#proxy.on('proxyReq', (outgoing, req) => this.#open.get(req)?.onConnected(outgoing));
    this.#proxy.on('proxyRes', (answer, req) => this.#open.get(req)?.onAnswer(answer));
    this.#proxy.on('error', (error, req) => this.#open.get(req!)?.onError(error));
    this.#proxy.on('econnreset', (error, req) => this.#open.get(req)?.onError(error));
  }

  /** Resolves when the answer has left or the client has. Throws a WeirError while an error answer is still possible. */
  async send(exchange: OpenExchange, target: Target, forward: ForwardOptions): Promise<void> {
    const { req, res, snapshot, facts } = exchange;
    const { limits, timeouts } = snapshot.config.proxy;
    const body = announcesBody(req.rawHeaders) ? await readBody(req, { bodyBytesMax: limits.body_bytes_max, timeoutMs: timeouts.request_ms }, exchange.signal) : undefined;
    facts.requestBytes = body?.length ?? 0;
    facts.input = OPAQUE_RECORD;
    facts.output = OPAQUE_RECORD;
    replaceHeaders(req, forwardedRequestHeaders(req.rawHeaders, forward), this.#base.host, body);
    await new Promise<void>((resolve, reject) => {
      this.#open.set(req, new Passage(exchange, this.#config, resolve, reject));
      // A detailed target and not a URL: a URL would normalise the path, and what was matched must be what is sent.
      const { protocol, hostname, port } = this.#base;
      void this.#proxy.web(req, res, {
        target: { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port: port || undefined, pathname: joinPath(this.#base, target) },
        ignorePath: true,
        agent: this.#agent,
        selfHandleResponse: true,
        buffer: Readable.from(body === undefined || body.length === 0 ? [] : [body]),
      });
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** The library sends `req.headers`: they are made into what may be sent. */
function replaceHeaders(req: IncomingMessage, fields: readonly string[], host: string, body: Buffer | undefined): void {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i].toLowerCase();
    const before = headers[name];
    headers[name] = before === undefined ? fields[i + 1] : [before, fields[i + 1]].flat();
  }
  headers.host = host;
  if (body !== undefined) headers['content-length'] = String(body.length);
  req.headers = headers as IncomingMessage['headers'];
}

/** One request on its way through. */
class Passage {
  readonly #exchange: OpenExchange;
  readonly #config: UpstreamConfig;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAbort = (): void => this.#stop();
  #outgoing: ClientRequest | undefined;
  #timer: NodeJS.Timeout;
  #bytes = 0;
  #settled = false;

  constructor(exchange: OpenExchange, config: UpstreamConfig, resolve: () => void, reject: (error: unknown) => void) {
    this.#exchange = exchange;
    this.#config = config;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = this.#startTimer(config.timeouts.connect_ms);
    exchange.signal.addEventListener('abort', this.#onAbort, { once: true });
    exchange.res.once('close', () => this.#onClosed());
  }

  onConnected(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    if (this.#settled) return void outgoing.destroy();
    this.#restartTimer(this.#config.timeouts.headers_ms);
  }

  onAnswer(answer: IncomingMessage): void {
    const { res, facts } = this.#exchange;
    if (this.#settled) return void answer.destroy();
    const status = answer.statusCode!;
    facts.upstreamStatus = status;
    if (status >= 300 && status < 400 && status !== 304) return this.#fail(new WeirError('upstream_protocol', `the upstream answered ${status}, and redirects are not followed`));
    facts.status = status;
    facts.firstByteMs = performance.now();
    res.writeHead(status, answer.statusMessage ?? '', [...forwardedAnswerHeaders(answer.rawHeaders, { bodyMayChange: false, decoded: false }), ...this.#exchange.ownHeaders()]);
    res.flushHeaders();
    closeWhenStuck(res, this.#exchange.snapshot.config.proxy.timeouts.client_idle_ms);
    this.#restartTimer(this.#config.timeouts.idle_ms);
    answer.on('data', (chunk: Buffer) => this.#onChunk(answer, chunk));
    answer.on('end', () => this.#onEnd(answer));
    answer.on('error', () => this.onError(new Error('the upstream broke off its answer')));
  }

  onError(cause: Error): void {
    if (cause instanceof WeirError) return this.#fail(cause);
    this.#fail(new WeirError('upstream_unreachable', undefined, { cause }));
  }

  #onChunk(answer: IncomingMessage, chunk: Buffer): void {
    this.#bytes += chunk.length;
    this.#timer.refresh();
    if (this.#exchange.res.write(chunk)) return;
    answer.pause();
    clearTimeout(this.#timer);
    this.#exchange.res.once('drain', () => {
      if (this.#settled) return;
      this.#restartTimer(this.#config.timeouts.idle_ms);
      answer.resume();
    });
  }

  async #onEnd(answer: IncomingMessage): Promise<void> {
    if (this.#settled || !answer.complete) return;
    const { facts } = this.#exchange;
    clearTimeout(this.#timer);
    facts.outcome = 'completed';
    facts.responseBytes = this.#bytes;
    try {
      if (this.#exchange.durability === 'strict') await this.#exchange.settle();
      this.#exchange.res.end();
    } catch {
      this.#exchange.res.destroy();
    }
  }

  /** The client's side is closed: after a whole answer, after a broken one, or because the client left. */
  #onClosed(): void {
    const { facts, res } = this.#exchange;
    facts.responseBytes = this.#bytes;
    if (!this.#settled && !res.writableFinished) facts.outcome = 'client_left';
    this.#release();
    this.#resolve();
  }

  #fail(error: WeirError): void {
    if (this.#settled) return;
    this.#release();
    this.#outgoing?.destroy();
    const { res, facts } = this.#exchange;
    if (!res.headersSent) return this.#reject(error);
    facts.outcome = error.code === 'draining' ? 'failed' : 'upstream_failed';
    facts.errorCode = error.code;
    res.destroy();
  }

  #stop(): void {
    const { reason } = this.#exchange.signal;
    if (reason instanceof WeirError) return this.#fail(reason);
    this.#outgoing?.destroy();
    this.#onClosed();
  }

  #release(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#exchange.signal.removeEventListener('abort', this.#onAbort);
  }

  #restartTimer(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = this.#startTimer(ms);
  }

  #startTimer(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#fail(new WeirError('upstream_timeout')), ms);
  }
}
