/**
 * What is counted from very many rows and so cannot be counted for every look: it is counted beside, kept, and counted anew
 * where something changed, after a rest of forty times what it took, ten seconds at most, so that looking costs little.
 * Who looks waits a moment for it and is then told what is known, and of when. A count that fails is not kept.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Known<T> {
  /** Undefined: it is being counted for the first time. */
  readonly value: T | undefined;
  /** When it was begun to be counted. */
  readonly as_of: string | null;
}

export interface CountedOptions<T> {
  count(): Promise<T>;
  now(): Date;
  /** Milliseconds that somebody waits for a count. */
  readonly waitMs?: number;
}

const WAIT_MS = 40;
const [REST_TIMES, REST_MS_MAX] = [40, 10_000];
/** What changed without a trace is seen after that. */
const LASTS_MS = 10 * 60_000;

export class Counted<T> {
  readonly #options: CountedOptions<T>;
  #value: T | undefined;
  #stamp: string | undefined;
  #beganMs = 0;
  #tookMs = 0;
  #running: Promise<void> | undefined;

  constructor(options: CountedOptions<T>) {
    this.#options = options;
  }

  /** `stamp`: while it is the same, nothing has changed. Rejects with what a first count failed of. */
  async known(stamp: string): Promise<Known<T>> {
    const nowMs = this.#options.now().getTime();
    const isOld = this.#value === undefined || (stamp !== this.#stamp && nowMs - this.#beganMs >= Math.min(REST_MS_MAX, this.#tookMs * REST_TIMES)) || nowMs - this.#beganMs >= LASTS_MS;
    if (isOld && this.#running === undefined) {
      this.#running = this.#count(stamp).finally(() => { this.#running = undefined; });
      this.#running.catch(() => undefined); // nobody may wait for it any more
    }
    if (this.#running !== undefined && this.#tookMs <= this.#waitMs) {
      const wait = new AbortController();
      const late = sleep(this.#waitMs, undefined, { signal: wait.signal }).catch(() => undefined);
      await Promise.race([this.#value === undefined ? this.#running : this.#running.catch(() => undefined), late]).finally(() => wait.abort());
    }
    return { value: this.#value, as_of: this.#value === undefined ? null : new Date(this.#beganMs).toISOString() };
  }

  get #waitMs(): number {
    return this.#options.waitMs ?? WAIT_MS;
  }

  async #count(stamp: string): Promise<void> {
    const beganMs = this.#options.now().getTime();
    const value = await this.#options.count();
    [this.#value, this.#stamp, this.#beganMs, this.#tookMs] = [value, stamp, beganMs, this.#options.now().getTime() - beganMs];
  }
}
