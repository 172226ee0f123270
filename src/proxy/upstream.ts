/**
 * The only door to undici on the path: one pool per configured upstream, raw dispatch, our own timers. Guarantees: only
 * configured upstreams are reached; nothing is retried and no redirect is followed; an aborted exchange ends its upstream
 * request; a body that breaks off is a failure and never an end; while the reader is paused no timer runs against the
 * upstream. It takes only what screening made (`ScreenedRequest`).
 */
import { buildConnector, Pool, type Dispatcher } from 'undici';
import type { UpstreamConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { AckWatch } from './acks.ts';
import { createDecoder, type Decoder } from './decode.ts';
import { fieldList, type RawHeaders } from './headers.ts';
import { KeyShield } from './key-shield.ts';
import type { ScreenedRequest } from './prompt.ts';
import type { Target } from './route.ts';

/** Takes a body. Calls come one after another; after `onEnd` or `onFailure` there are none. */
export interface BodyTaker {
  onChunk(chunk: Buffer): void;
  onEnd(): void;
  onFailure(error: WeirError): void;
}

/** An answer whose head has arrived and whose body waits. */
export interface UpstreamAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: RawHeaders;
  /** The body was compressed and arrives decompressed. */
  readonly decoded: boolean;
  /** Starts the body. */
  read(taker: BodyTaker): void;
  pause(): void;
  resume(): void;
  abort(): void;
  /** The rest is of no interest: lets it arrive for a moment, so that the connection can be used again, then aborts. */
  discard(): void;
}

export interface SendOptions {
  readonly method: Dispatcher.HttpMethod;
  readonly target: Target;
  readonly headers: readonly string[];
  readonly responseBytesMax: number;
  readonly signal: AbortSignal;
}

/** How long an answer that is complete for us may take to end. */
const DISCARD_MS = 500;
/** An idle connection is closed here before most servers close it there: a request sent into a closing one is lost. */
const IDLE_CONNECTION_MS = 4_000;
const ANSWER_HEADER_BYTES_MAX = 65_536;
/** What is shorter is no secret, and stands in other words. */
const SHIELDED_CHARS_MIN = 8;

export class Upstream {
  readonly config: UpstreamConfig;
  readonly #base: URL;
  readonly #pool: Pool;
  /** Of connections for one request each. */
  #apart: Pool | undefined;
  /** Absent where a handshake would have it wait all the same. */
  readonly #acks: AckWatch | undefined;

  constructor(config: UpstreamConfig) {
    this.config = config;
    this.#base = new URL(config.url);
    this.#pool = this.#createPool(1);
    if (this.#base.protocol === 'http:') this.#acks = new AckWatch();
  }

  /** `pipelining` 0: a connection ends with its first answer. */
  #createPool(pipelining: 0 | 1): Pool {
    const { connections, timeouts } = this.config;
    return new Pool(this.#base.origin, {
      connections,
      pipelining,
      allowH2: false,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      maxHeaderSize: ANSWER_HEADER_BYTES_MAX,
      connect: noticingResets(buildConnector({ timeout: timeouts.connect_ms })),
    });
  }

  get address(): string {
    return this.#base.hostname;
  }

  get port(): number {
    return this.#base.port === '' ? (this.#base.protocol === 'http:' ? 80 : 443) : Number(this.#base.port);
  }

  /** Sends and waits for the answer's head. Throws upstream_unreachable, upstream_timeout, upstream_protocol, or the signal's reason. */
  send(request: ScreenedRequest, options: SendOptions): Promise<UpstreamAnswer> {
    options.signal.throwIfAborted();
    return new Promise<UpstreamAnswer>((resolve, reject) => {
      const acks = this.#acks;
      const isApart = acks?.isApart === true;
      const call = new Call(this.config, options, resolve, reject, acks && ((gapMs) => acks.note(gapMs, isApart, performance.now())));
      const pool = isApart ? (this.#apart ??= this.#createPool(0)) : this.#pool;
      pool.dispatch({
        method: options.method,
        path: joinPath(this.#base, options.target),
        headers: [...options.headers, 'accept-encoding', 'identity'],
        body: request.body,
      }, call);
    });
  }

  /** Requests in flight are finished; new ones are refused. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#apart?.close()]);
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#apart?.destroy()]);
  }
}

/** A connection is being reset right now: what undici tells meanwhile is told because of it. */
let resetting = false;

/**
 * undici takes a reset for the end of an answer that has no other end than that of its connection. Who breaks off is not
 * done: our listener is the connection's first, and hears of the reset before undici does.
 */
function noticingResets(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) => connect(options, (...connected: Parameters<buildConnector.Callback>) => {
    connected[1]?.prependListener('error', () => {
      resetting = true;
      process.nextTick(() => { resetting = false; });
    });
    callback(...connected);
  });
}

/** `https://x/v1` and `/v1/chat/completions` → `/v1/chat/completions`: the base stands for the `/v1` that clients call. */
export function joinPath(base: URL, target: Target): string {
  const prefix = base.pathname.replace(/\/+$/, '');
  return (target.path.startsWith('/v1/') ? prefix + target.path.slice(3) : target.path) + target.query;
}

/** The header that replaces the caller's credential, or undefined when the upstream has no key of its own. */
export function upstreamCredential(config: UpstreamConfig): readonly [string, string] | undefined {
  const key = config.api_key;
  if (key === undefined || key === '') return undefined;
  if (config.provider === 'anthropic') return ['x-api-key', key];
  if (/^azure(?:\.|$)/.test(config.provider)) return ['api-key', key];
  return ['authorization', `Bearer ${key}`];
}

type Phase = 'connect' | 'headers' | 'body' | 'done';

/** One request and its answer: the raw handler that undici calls. */
class Call implements Dispatcher.DispatchHandler, UpstreamAnswer {
  status = 0;
  statusText = '';
  headers: RawHeaders = [];
  decoded = false;

  readonly #timeouts: UpstreamConfig['timeouts'];
  /** Our own, which no refusal may repeat to the caller. */
  readonly #apiKey: string;
  readonly #signal: AbortSignal;
  readonly #bytesMax: number;
  readonly #resolve: (answer: UpstreamAnswer) => void;
  readonly #reject: (error: unknown) => void;
  readonly #onAbort = (): void => this.#stop(this.#signal.reason);
  #phase: Phase = 'connect';
  /** Undefined until a connection took the request; a stop before that is kept and done then. */
  #controller: Dispatcher.DispatchController | undefined;
  #taker: BodyTaker | undefined;
  #decoder: Decoder | undefined;
  #shield: KeyShield | undefined;
  /** Restarted by each sign of life of the phase. */
  #timer: NodeJS.Timeout;
  #totalTimer: NodeJS.Timeout | undefined;
  /** The reader cannot take more; the decoder's own pressure is separate. */
  #paused = false;
  #decoderFull = false;
  /** Told once how long the body came after its head. */
  #onBegun: ((gapMs: number) => void) | undefined;
  #headMs = 0;

  constructor({ timeouts, api_key: apiKey = '' }: UpstreamConfig, options: SendOptions, resolve: (answer: UpstreamAnswer) => void, reject: (error: unknown) => void, onBegun?: (gapMs: number) => void) {
    this.#onBegun = onBegun;
    this.#timeouts = timeouts;
    this.#apiKey = apiKey;
    this.#signal = options.signal;
    this.#bytesMax = options.responseBytesMax;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#timer = this.#startTimer(timeouts.connect_ms);
    if (timeouts.total_ms > 0) this.#totalTimer = setTimeout(() => this.#stop(new WeirError('upstream_timeout')), timeouts.total_ms);
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  // What undici calls.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#phase === 'done') return controller.abort(new Error('the exchange has ended'));
    this.#phase = 'headers';
    clearTimeout(this.#timer);
    this.#timer = this.#startTimer(this.#timeouts.headers_ms);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, statusText?: string): void {
    if (status < 200 || this.#phase !== 'headers') return;
    this.status = status;
    this.statusText = statusText ?? '';
    this.headers = (controller.rawHeaders as readonly Buffer[]).map((field) => field.toString('latin1'));
    if (status < 400 && status >= 300) return this.#stop(new WeirError('upstream_protocol', `the upstream answered ${status}, and redirects are not followed`));
    if (status >= 400 && this.#apiKey.length >= SHIELDED_CHARS_MIN) {
      const shield = this.#shield = new KeyShield(this.#apiKey);
      this.headers = this.headers.map((field) => shield.text(field));
    }
    try {
      this.#decoder = this.#createDecoder();
    } catch (error) {
      return this.#stop(error);
    }
    this.decoded = this.#decoder !== undefined;
    this.#phase = 'body';
    if (this.#onBegun !== undefined) this.#headMs = performance.now();
    clearTimeout(this.#timer);
    controller.pause();
    this.#resolve(this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase !== 'body') return;
    if (this.#onBegun !== undefined) {
      this.#onBegun(performance.now() - this.#headMs);
      this.#onBegun = undefined;
    }
    this.#timer.refresh();
    if (this.#decoder !== undefined) this.#decoder.write(chunk);
    else this.#hand(chunk);
  }

  onResponseEnd(): void {
    if (this.#phase !== 'body') return;
    if (resetting) return this.#stop(new WeirError('upstream_unreachable', 'the upstream broke off its answer'));
    clearTimeout(this.#timer);
    if (this.#decoder !== undefined) this.#decoder.end();
    else this.#end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#stop(upstreamFailure(error, this.#phase));
  }

  // What the reader calls.

  read(taker: BodyTaker): void {
    if (this.#phase === 'done') return;
    this.#taker = taker;
    this.#timer = this.#startTimer(this.#timeouts.idle_ms);
    this.#controller!.resume();
  }

  pause(): void {
    this.#paused = true;
    clearTimeout(this.#timer);
    this.#decoder?.pause();
    this.#controller!.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#phase !== 'body') return;
    clearTimeout(this.#timer);
    this.#timer = this.#startTimer(this.#timeouts.idle_ms);
    this.#decoder?.resume();
    if (!this.#decoderFull) this.#controller!.resume();
  }

  abort(): void {
    this.#taker = undefined;
    this.#stop(new Error('the exchange has ended'));
  }

  discard(): void {
    if (this.#phase !== 'body') return;
    this.#decoder?.destroy();
    this.#decoder = undefined;
    this.#taker = { onChunk: () => {}, onEnd: () => {}, onFailure: () => {} };
    clearTimeout(this.#totalTimer);
    this.#totalTimer = setTimeout(() => this.abort(), DISCARD_MS);
    this.#controller!.resume();
  }

  #hand(bytes: Buffer): void {
    const free = this.#shield === undefined ? bytes : this.#shield.feed(bytes);
    if (free.length > 0) this.#taker?.onChunk(free);
  }

  // How it ends.

  #end(): void {
    if (this.#phase === 'done') return;
    const rest = this.#shield?.flush();
    if (rest !== undefined && rest.length > 0) this.#taker?.onChunk(rest);
    this.#release();
    this.#taker?.onEnd();
  }

  /** Ends the call with an error, whoever found it, once. */
  #stop(error: unknown): void {
    if (this.#phase === 'done') return;
    const answered = this.#phase === 'body';
    this.#release();
    this.#decoder?.destroy();
    this.#controller?.abort(new Error('the exchange has ended'));
    if (!answered) return this.#reject(error);
    if (error instanceof WeirError) this.#taker?.onFailure(error);
  }

  #release(): void {
    this.#phase = 'done';
    clearTimeout(this.#timer);
    clearTimeout(this.#totalTimer);
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  #startTimer(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#stop(new WeirError('upstream_timeout')), ms > 0 ? ms : 2 ** 31 - 1);
  }

  #createDecoder(): Decoder | undefined {
    return createDecoder(fieldList(this.headers, 'content-encoding'), {
      bytesMax: this.#bytesMax,
      onBytes: (bytes) => this.#hand(bytes),
      onEnd: () => this.#end(),
      onFailure: (error) => this.#stop(error),
      onPressure: (blocked) => this.#onDecoderPressure(blocked),
    });
  }

  #onDecoderPressure(blocked: boolean): void {
    this.#decoderFull = blocked;
    if (this.#phase !== 'body') return;
    if (blocked) this.#controller!.pause();
    else if (!this.#paused) this.#controller!.resume();
  }
}

/** Names what broke without repeating what the upstream sent. */
function upstreamFailure(error: Error, phase: Phase): WeirError {
  const code = (error as { code?: string }).code ?? '';
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return new WeirError('upstream_timeout', 'the upstream did not accept a connection in time', { cause: error });
  if (error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') return new WeirError('upstream_protocol', 'the upstream answered with something that is not http', { cause: error });
  if (phase === 'body') return new WeirError('upstream_unreachable', 'the upstream broke off its answer', { cause: error });
  return new WeirError('upstream_unreachable', undefined, { cause: error });
}
