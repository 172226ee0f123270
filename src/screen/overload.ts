/**
 * Whether this process has more to do than it can: how late a regular tick comes, smoothed, so that a long turn or two
 * (a reload, a collection of garbage) are no overload, and seconds of them are. It ends when the delay is down to half, so
 * that it does not flicker. The slow tier of classifiers is not asked meanwhile; patterns and the fast tier always run.
 */
import { CHANNELS } from '../contract/channels.ts';

export const OVERLOAD_DELAY_MS = 250;
const TICK_MS = 50;
/** Weight of the newest tick. */
const NEWEST = 0.15;
/** However late one tick is, it counts for so many times the limit. */
const TICK_DELAYS_MAX = 2;

/** The rule alone, without a clock. */
export class DelayGauge {
  delayMaxMs: number;
  #delayMs = 0;
  #overloaded = false;

  constructor(delayMaxMs: number = OVERLOAD_DELAY_MS) {
    this.delayMaxMs = delayMaxMs;
  }

  get overloaded(): boolean {
    return this.#overloaded;
  }

  get delayMs(): number {
    return this.#delayMs;
  }

  /** A tick came so much too late. Returns whether that changed the state. */
  tick(lateMs: number): boolean {
    this.#delayMs += NEWEST * (Math.min(Math.max(0, lateMs), TICK_DELAYS_MAX * this.delayMaxMs) - this.#delayMs);
    const before = this.#overloaded;
    this.#overloaded = this.#delayMs > (before ? this.delayMaxMs / 2 : this.delayMaxMs);
    return this.#overloaded !== before;
  }
}

/** Watches the event loop of this process until it is closed. */
export class LoopWatch {
  readonly #gauge: DelayGauge;
  readonly #timer: NodeJS.Timeout;
  #expectedMs = performance.now() + TICK_MS;

  constructor(delayMaxMs?: number) {
    this.#gauge = new DelayGauge(delayMaxMs);
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  get overloaded(): boolean {
    return this.#gauge.overloaded;
  }

  set delayMaxMs(delayMaxMs: number) {
    this.#gauge.delayMaxMs = delayMaxMs;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    const changed = this.#gauge.tick(nowMs - this.#expectedMs);
    this.#expectedMs = nowMs + TICK_MS;
    if (!changed) return;
    const { overloaded, delayMs } = this.#gauge;
    const detail = overloaded ? `the event loop is ${Math.round(delayMs)} ms late; slow classifiers are not asked` : 'the event loop is on time again; slow classifiers are asked';
    CHANNELS.healthChanged.publish({ part: 'screening', healthy: !overloaded, detail });
  }
}
