/**
 * The door to Redis. INVARIANT: no call takes longer than `TIMEOUT_MS`, whatever the
 * server or the client does, and none throws: a refusal is a value. A server that froze costs one such wait in the whole
 * process: the first call that runs out opens the breaker and ends the waits of all others. Only a probe in the
 * background lets calls through again. Nothing is queued, nothing is sent twice by itself; a call that was refused may
 * still have been done. Pub/sub does not belong here: `redis-messages` has a connection of its own.
 */
import { createHash } from 'node:crypto';
import { Redis, type RedisOptions } from 'ioredis';
import { PartHealth } from '../contract/part-health.ts';

export type RedisReply<T> = { readonly ok: true; readonly value: T } | { readonly ok: false };

/** Lua, sent by its digest. Run with `run`. */
export interface RedisScript {
  readonly lua: string;
  readonly sha1: string;
}

export interface RedisCounts {
  readonly answered: number;
  /** Calls not made because the breaker was open. */
  readonly refused: number;
  readonly timedOut: number;
  /** Error replies and broken connections. */
  readonly failed: number;
}

export function redisScript(lua: string): RedisScript {
  return Object.freeze({ lua, sha1: createHash('sha1').update(lua).digest('hex') });
}

const TIMEOUT_MS = 25;
/** Error replies in a row that open the breaker. One timeout is enough: the next call would wait as long. */
const FAILURES_MAX = 5;
const PROBE_MS = 1_000;
/** A server that was well for `STEADY_MS` may have been late only once: it is probed so soon after, so that it does not count as absent for a second. */
const RECHECK_MS = 100;
const STEADY_MS = 5_000;
/** A connection on which nothing came back for so long is given up, since no end of it would ever be seen. */
const SILENCE_MS = 5_000;
const RECONNECT_MS = { min: 50, max: 1_000 } as const;
/** How long the start waits for the first answer; it never depends on it. */
const START_MS = 500;
/** Written by the probe, so that a full or read-only server is not taken for a well one. */
const PROBE_KEY = '{weir}:probe';

const REFUSED = Object.freeze({ ok: false });

/** Connects, for ever if need be. Resolves when the server answered, or could not be reached, or after half a second. */
export async function openRedis(url: string, timeoutMs = TIMEOUT_MS): Promise<RedisDoor> {
  const door = new RedisDoor(url, timeoutMs);
  await door.started;
  return door;
}

export class RedisDoor {
  /** The first connection stands or has failed. */
  readonly started: Promise<void>;
  readonly #client: Redis;
  readonly #timeoutMs: number;
  /** Ends the wait of each call under way. */
  readonly #waiting = new Set<(reply: RedisReply<never>) => void>();
  readonly #counts = { answered: 0, refused: 0, timedOut: 0, failed: 0 };
  #probeTimer: NodeJS.Timeout | undefined;
  #settleStart: () => void = () => {};
  /** `trial`: a probe came back, and the next call or probe decides; one failure is then enough to open again. */
  #state: 'open' | 'trial' | 'closed' = 'open';
  readonly #health = new PartHealth('redis');
  /** The breaker has not been open since a call or a probe came back well. */
  #healthy = true;
  /** When the breaker last closed. */
  #closedMs = -Infinity;
  #recheckTimer: NodeJS.Timeout | undefined;
  #failuresInRow = 0;
  /** `refused` when the breaker opened, for the line that ends it. */
  #refusedBefore = 0;
  #probing = false;
  /** When the connection last showed life, or was last given up. */
  #aliveMs = performance.now();
  /** The code of the last fault of the connection; never its message, which may quote what was sent. */
  #faultCode = 'no connection';
  #over = false;

  constructor(url: string, timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#client = new Redis(redisOptions(url));
    this.#client.on('error', (error: NodeJS.ErrnoException) => void (this.#faultCode = codeOf(error)));
    this.#client.on('ready', () => void this.#probe());
    this.#client.on('close', () => this.#open(`connection lost (${this.#faultCode})`));
    this.started = new Promise((resolve) => {
      const timer = setTimeout(() => this.#open(`no answer within ${START_MS} ms of the start`), START_MS);
      this.#settleStart = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#schedule();
    this.#client.connect().catch(() => {}); // told by the close event
  }

  get counts(): RedisCounts {
    return { ...this.#counts };
  }

  /** False while calls are refused without being made. */
  get admits(): boolean {
    return this.#state !== 'open';
  }

  /** Tells again that the server does not answer, if so. */
  announce(): void {
    this.#health.announce();
  }

  /** One command. The reply is what Redis sent; whoever reads it checks it. */
  call<T = unknown>(name: string, args: readonly (string | number)[]): Promise<RedisReply<T>> {
    return this.#bounded<T>(async () => this.#client.call(name, ...args));
  }

  /** One script, by its digest; with its text where the server does not know it yet. Both within the one time limit. */
  run<T = unknown>(script: RedisScript, keys: readonly string[], args: readonly (string | number)[]): Promise<RedisReply<T>> {
    return this.#bounded<T>(async () => {
      try {
        return await this.#client.evalsha(script.sha1, keys.length, ...keys, ...args);
      } catch (error) {
        if (codeOf(error) !== 'NOSCRIPT') throw error;
        return this.#client.eval(script.lua, keys.length, ...keys, ...args);
      }
    });
  }

  close(): void {
    this.#over = true;
    this.#state = 'open';
    clearTimeout(this.#probeTimer);
    clearTimeout(this.#recheckTimer);
    this.#settleStart();
    this.#refuseWaiting();
    this.#client.disconnect();
  }

  #bounded<T>(work: () => Promise<unknown>): Promise<RedisReply<T>> {
    if (this.#state === 'open') {
      this.#counts.refused++;
      return Promise.resolve(REFUSED as RedisReply<T>);
    }
    return new Promise((resolve) => {
      const settle = (reply: RedisReply<T>): void => {
        this.#waiting.delete(settle);
        clearTimeout(timer);
        resolve(reply);
      };
      // Timers run before sockets are read: after a long turn of this process the answer may lie there unread.
      const timer = setTimeout(() => setImmediate(() => this.#waiting.has(settle) && this.#onTimeout()), this.#timeoutMs);
      this.#waiting.add(settle);
      // What comes after the wait has ended says nothing about now.
      work().then(
        (value) => this.#waiting.has(settle) && (this.#onAnswer(), settle({ ok: true, value: value as T })),
        (error: unknown) => this.#waiting.has(settle) && (settle(REFUSED as RedisReply<T>), this.#onFailure(error)),
      );
    });
  }

  // How calls end.

  #onAnswer(): void {
    this.#counts.answered++;
    this.#failuresInRow = 0;
    if (this.#state === 'trial') this.#close();
  }

  #onTimeout(): void {
    this.#counts.timedOut++;
    this.#open(`no answer within ${this.#timeoutMs} ms`);
  }

  #onFailure(error: unknown): void {
    this.#counts.failed++;
    this.#failuresInRow++;
    if (this.#state === 'trial' || this.#failuresInRow >= FAILURES_MAX) this.#open(`${this.#failuresInRow} calls in a row failed (${codeOf(error)})`);
  }

  // The breaker.

  #open(detail: string): void {
    this.#settleStart();
    if (this.#over) return;
    if (this.#health.isWell) this.#refusedBefore = this.#counts.refused;
    if (this.#state !== 'open') this.#aliveMs = performance.now();
    if (this.#state === 'closed' && performance.now() - this.#closedMs > STEADY_MS) this.#recheckTimer = setTimeout(() => void this.#probe(), RECHECK_MS).unref();
    this.#state = 'open';
    this.#healthy = false;
    this.#refuseWaiting();
    this.#health.ill(detail);
  }

  #close(): void {
    if (this.#state !== 'closed') this.#closedMs = performance.now();
    this.#state = 'closed';
    this.#healthy = true;
    this.#failuresInRow = 0;
    this.#health.well(() => `answers again; ${this.#counts.refused - this.#refusedBefore} calls were not made meanwhile`);
  }

  #refuseWaiting(): void {
    for (const settle of [...this.#waiting]) settle(REFUSED as RedisReply<never>);
  }

  // The probe.

  /** With jitter, so that replicas do not ask in step. */
  #schedule(): void {
    this.#probeTimer = setTimeout(() => {
      void this.#probe();
      this.#renewWhenSilent();
      this.#schedule();
    }, jittered(PROBE_MS)).unref();
  }

  /** One at a time. An answer that is late keeps the breaker open; the next probe asks anew. */
  async #probe(): Promise<void> {
    if (this.#state === 'closed' || this.#probing || this.#client.status !== 'ready') return;
    this.#probing = true;
    const sentMs = performance.now();
    const code = await this.#client.set(PROBE_KEY, '1', 'PX', PROBE_MS).then(() => undefined, codeOf);
    this.#probing = false;
    this.#aliveMs = performance.now();
    if (this.#over) return;
    if (code !== undefined) this.#open(`a probe failed (${code})`);
    else if (this.#aliveMs - sentMs > this.#timeoutMs) this.#open(`no answer within ${this.#timeoutMs} ms`);
    else if (this.#state === 'trial' || this.#healthy) this.#close();
    else if (this.#state === 'open') this.#state = 'trial';
    this.#settleStart();
  }

  #renewWhenSilent(): void {
    const { status } = this.#client;
    if (this.#state !== 'open' || performance.now() - this.#aliveMs < SILENCE_MS) return;
    if (status !== 'ready' && status !== 'connect') return; // it is being connected anew already
    this.#aliveMs = performance.now();
    this.#client.disconnect(true);
  }
}

/** For every connection to Redis. */
export function redisOptions(address: string): RedisOptions {
  // Read here, since ioredis takes options from a URL's query too, and those would win over ours.
  const url = new URL(address);
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    username: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    db: Number(url.pathname.slice(1)) || 0,
    tls: url.protocol === 'rediss:' ? { servername: url.hostname } : undefined,
    connectionName: 'weir',
    lazyConnect: true,
    connectTimeout: SILENCE_MS,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => jittered(Math.min(RECONNECT_MS.max, RECONNECT_MS.min * 2 ** Math.min(attempt - 1, 10))),
  };
}

function jittered(ms: number): number {
  return ms * (0.8 + 0.4 * Math.random());
}

/** A network code, or the first word of an error reply; nothing that could quote a key, a value or a password. */
function codeOf(error: unknown): string {
  const { code, message, name } = error as NodeJS.ErrnoException;
  return (typeof code === 'string' ? code : undefined) ?? /^[A-Z]{2,20}(?= )/.exec(message)?.[0] ?? name;
}
