/**
 * Listens to what the core publishes and hands out, per request id, the closing record of an exchange and how long its
 * stages took. Keeps a bounded number of them.
 */
import { CHANNELS, type ExchangeClosed, type Stage, type StageEnded } from '../../contract/channels.ts';
import type { ExchangeRecord } from '../../contract/exchange.ts';

export interface Watched {
  readonly record: ExchangeRecord;
  /** Milliseconds per stage, in the order in which they ended. */
  readonly stages: ReadonlyMap<Stage, number>;
}

const KEPT_MAX = 256;

export class ExchangeWatch {
  readonly #stages = new Map<string, Map<Stage, number>>();
  readonly #closed = new Map<string, Watched>();
  readonly #waiting = new Map<string, (watched: Watched) => void>();
  /** Told of every closed exchange, once the script is over. */
  onClosed: (watched: Watched) => void = () => {};

  constructor() {
    CHANNELS.stageEnded.subscribe(this.#onStage);
    CHANNELS.exchangeClosed.subscribe(this.#onClosed);
  }

  /** Resolves with the record of the exchange, now or when it closes; with undefined when it takes too long. */
  async closing(requestId: string, timeoutMs: number): Promise<Watched | undefined> {
    const known = this.#closed.get(requestId);
    if (known !== undefined) return known;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), timeoutMs);
      this.#waiting.set(requestId, (watched) => {
        clearTimeout(timer);
        resolve(watched);
      });
    });
  }

  close(): void {
    CHANNELS.stageEnded.unsubscribe(this.#onStage);
    CHANNELS.exchangeClosed.unsubscribe(this.#onClosed);
  }

  readonly #onStage = (message: unknown): void => {
    const { requestId, stage, startMs, endMs } = message as StageEnded;
    const stages = this.#stages.get(requestId) ?? new Map<Stage, number>();
    stages.set(stage, (stages.get(stage) ?? 0) + endMs - startMs);
    keep(this.#stages, requestId, stages);
  };

  readonly #onClosed = (message: unknown): void => {
    const { record } = message as ExchangeClosed;
    const watched = { record, stages: this.#stages.get(record.request_id) ?? new Map<Stage, number>() };
    keep(this.#closed, record.request_id, watched);
    this.#waiting.get(record.request_id)?.(watched);
    this.#waiting.delete(record.request_id);
    this.onClosed(watched);
  };
}

function keep<T>(map: Map<string, T>, key: string, value: T): void {
  map.set(key, value);
  if (map.size > KEPT_MAX) map.delete(map.keys().next().value as string);
}
