/**
 * Log lines about the health of parts: a fault at once; that it is over when it has been so for a while, with the time
 * since when. What comes and goes is told to be ill once, and nothing more until it stays well. Metrics tell each turn.
 */
import type { HealthChanged } from '../contract/channels.ts';
import type { Log } from './log.ts';

/** How long a part must be well before the log says so. */
export const STEADY_MS = 15_000;

export class HealthLog {
  readonly #log: Log;
  readonly #steadyMs: number;
  /** Parts that are well and not yet told to be. */
  readonly #waiting = new Map<string, { readonly timer: NodeJS.Timeout; readonly tell: () => void }>();

  constructor(log: Log, steadyMs = STEADY_MS) {
    this.#log = log;
    this.#steadyMs = steadyMs;
  }

  note({ part, healthy, detail }: HealthChanged): void {
    const waiting = this.#waiting.get(part);
    if (waiting !== undefined) clearTimeout(waiting.timer);
    this.#waiting.delete(part);
    if (healthy) this.#await(part, detail);
    else if (waiting === undefined) this.#log.warn('works less well', { part, detail });
  }

  /** What waits is told. */
  close(): void {
    for (const { timer, tell } of this.#waiting.values()) {
      clearTimeout(timer);
      tell();
    }
  }

  #await(part: string, detail: string): void {
    const since = new Date().toISOString();
    const tell = (): void => {
      this.#waiting.delete(part);
      this.#log.info('well again', { part, detail, since });
    };
    this.#waiting.set(part, { timer: setTimeout(tell, this.#steadyMs).unref(), tell });
  }
}
