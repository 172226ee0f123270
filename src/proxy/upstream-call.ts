/**
 * Watches one call of an upstream, for whoever listens to stages: when its chunks came, what it answered, how it ended.
 * INVARIANT: told once, whoever ends it and however often. Where nobody listens there is none, and nothing is measured.
 */
import { CHANNELS } from '../contract/channels.ts';
import { WeirError } from '../contract/errors.ts';
import { CHUNK_BOUNDS_SECONDS, type ChunkGaps } from '../contract/upstream-call.ts';
import type { Dialect, RequestReading } from '../dialect/dialect.ts';
import type { GuardSummary } from '../stream/guard.ts';
import { ClientLeft, type OpenExchange } from './opened.ts';
import type { Upstream } from './upstream.ts';

export interface WatchedCall {
  readonly dialect: Pick<Dialect, 'id' | 'operation'>;
  readonly reading: RequestReading;
  readonly upstream: Pick<Upstream, 'address' | 'port' | 'config'>;
}

/** Undefined where nobody listens. */
export function watchCall(exchange: OpenExchange, call: WatchedCall): CallWatch | undefined {
  return CHANNELS.stageEnded.hasSubscribers ? new CallWatch(exchange, call) : undefined;
}

export class CallWatch {
  readonly #exchange: OpenExchange;
  readonly #call: WatchedCall;
  readonly #sentMs = performance.now();
  #firstMs: number | undefined;
  readonly #gaps: Gaps | undefined;
  #told = false;

  constructor(exchange: OpenExchange, call: WatchedCall) {
    this.#exchange = exchange;
    this.#call = call;
    this.#gaps = call.reading.stream ? new Gaps() : undefined;
  }

  /** Bytes of the answer's body came. */
  chunk(): void {
    if (this.#firstMs !== undefined && this.#gaps === undefined) return;
    const nowMs = performance.now();
    this.#firstMs ??= nowMs;
    this.#gaps?.note(nowMs);
  }

  /** No answer came. */
  failed(error: unknown): void {
    this.end(undefined, error instanceof WeirError ? error.code : error instanceof ClientLeft ? 'client_left' : 'internal');
  }

  end(summary: Pick<GuardSummary, 'facts' | 'usage'> | undefined, error: string | undefined): void {
    if (this.#told) return;
    this.#told = true;
    const { dialect, reading, upstream } = this.#call;
    this.#exchange.stageEnded({
      stage: 'upstream', startMs: this.#sentMs, error,
      call: {
        operation: dialect.operation, dialect: dialect.id, provider: upstream.config.provider, address: upstream.address, port: upstream.port,
        model: reading.model, stream: reading.stream, parameters: reading.parameters, serviceTier: reading.serviceTier,
        status: this.#exchange.facts.upstreamStatus, facts: summary?.facts, usage: summary?.usage,
        firstChunkMs: this.#firstMs === undefined ? undefined : this.#firstMs - this.#sentMs, gaps: this.#gaps?.value,
      },
    });
  }
}

class Gaps {
  #lastMs: number | undefined;
  readonly #counts: number[] = new Array<number>(CHUNK_BOUNDS_SECONDS.length + 1).fill(0);
  #count = 0;
  #sumSeconds = 0;

  note(nowMs: number): void {
    const lastMs = this.#lastMs;
    this.#lastMs = nowMs;
    if (lastMs === undefined) return;
    const seconds = (nowMs - lastMs) / 1000;
    let at = 0;
    while (at < CHUNK_BOUNDS_SECONDS.length && seconds > CHUNK_BOUNDS_SECONDS[at]!) at += 1;
    this.#counts[at]! += 1;
    this.#count += 1;
    this.#sumSeconds += seconds;
  }

  get value(): ChunkGaps | undefined {
    return this.#count === 0 ? undefined : { counts: this.#counts, count: this.#count, sumSeconds: this.#sumSeconds };
  }
}
