/**
 * A circuit breaker: after so many failures in a row nobody is asked for a while, then one probe decides. Pure: the
 * time is an argument. A result counts only in the state in which its call began, so stragglers of a bad spell neither
 * keep the breaker open nor close it.
 */
import type { BreakerState } from '../contract/channels.ts';

export interface BreakerSettings {
  /** Failures in a row that open it. */
  readonly failures: number;
  /** How long it stays open before a probe. */
  readonly openMs: number;
}

/** The right to make one call; given back with how the call ended. */
export interface Pass {
  readonly probe: boolean;
  readonly epoch: number;
}

/** `abandoned`: nobody wanted the answer any more, so it says nothing. */
export type CallEnd = 'answered' | 'failed' | 'abandoned';

export class Breaker {
  readonly #settings: BreakerSettings;
  /** Failures in a row while closed. */
  #failures = 0;
  /** When it opened last; undefined while closed. */
  #openedMs: number | undefined;
  #probing = false;
  /** Grows with each change between closed and open, so that a pass knows whether it is still of this time. */
  #epoch = 0;

  constructor(settings: BreakerSettings) {
    this.#settings = settings;
  }

  state(nowMs: number): BreakerState {
    if (this.#openedMs === undefined) return 'closed';
    return nowMs - this.#openedMs >= this.#settings.openMs ? 'half_open' : 'open';
  }

  /** Whether `enter` would give a pass. */
  admits(nowMs: number): boolean {
    const state = this.state(nowMs);
    return state === 'closed' || (state === 'half_open' && !this.#probing);
  }

  /** Undefined while it refuses. */
  enter(nowMs: number): Pass | undefined {
    if (!this.admits(nowMs)) return undefined;
    const probe = this.#openedMs !== undefined;
    this.#probing = probe;
    return { probe, epoch: this.#epoch };
  }

  leave(pass: Pass, end: CallEnd, nowMs: number): void {
    if (pass.epoch !== this.#epoch) return;
    if (pass.probe) this.#probing = false;
    if (end === 'abandoned') return;
    if (end === 'answered') this.#close(pass.probe);
    else if (pass.probe || (this.#failures += 1) >= this.#settings.failures) this.#open(nowMs);
  }

  #close(changes: boolean): void {
    this.#failures = 0;
    this.#openedMs = undefined;
    if (changes) this.#epoch += 1;
  }

  #open(nowMs: number): void {
    this.#failures = 0;
    this.#openedMs = nowMs;
    this.#epoch += 1;
  }
}
