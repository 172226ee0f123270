/**
 * What people hear of the health of parts: that one is ill, at once; that it is well, when it has been so for a while, and
 * for longer, the more often it fell ill again soon after. So what flaps is ill all the while, in few lines. The log, the
 * page of health, metrics and so alerts listen here, and say the same at the same time.
 */
import { CHANNELS, type HealthChanged, type HealthTold } from '../contract/channels.ts';

/** How long a part must be well before that is told: at first, and at most; the end of a fault is to be seen within 5 s. */
export const WELL_MS = { min: 1_000, max: 3_000 } as const;
/** Who falls ill again within this time has flapped. */
const RELAPSE_MS = 60_000;
/** Parts are named by configuration and code, so they are few; logs that are shipped here are not. Of more nothing is told. */
export const PARTS_MAX = 1_000;

interface State {
  isWell: boolean;
  /** How long it must be well now. */
  wellMs: number;
  /** When it was last told to be well. */
  toldWellMs: number;
  /** That it is well, which is told when it lasts. */
  waiting: { readonly timer: NodeJS.Timeout; readonly tell: () => void } | undefined;
}

let ofProcess: { readonly steady: SteadyHealth; holders: number } | undefined;

/** One for all Weirs of this process, since each hears what all of them tell. Returns what lets go of it. */
export function holdSteadyHealth(): () => void {
  const held = (ofProcess ??= { steady: new SteadyHealth(Date.now), holders: 0 });
  held.holders++;
  return () => {
    if (--held.holders > 0) return;
    ofProcess = undefined;
    held.steady.close();
  };
}

export class SteadyHealth {
  readonly #clock: () => number;
  readonly #wellMs: { readonly min: number; readonly max: number };
  readonly #parts = new Map<string, State>();
  readonly #onChanged = (message: unknown): void => this.#note(message as HealthChanged);

  constructor(clock: () => number, wellMs: { readonly min: number; readonly max: number } = WELL_MS) {
    this.#clock = clock;
    this.#wellMs = wellMs;
    CHANNELS.healthChanged.subscribe(this.#onChanged);
  }

  /** What waits is told. */
  close(): void {
    CHANNELS.healthChanged.unsubscribe(this.#onChanged);
    for (const { waiting } of this.#parts.values()) waiting?.tell();
  }

  #note(changed: HealthChanged): void {
    const { part, healthy } = changed;
    const state = this.#parts.get(part) ?? { isWell: true, wellMs: this.#wellMs.min, toldWellMs: -Infinity, waiting: undefined };
    if (healthy) return this.#well(state, changed);
    if (!this.#parts.has(part) && this.#parts.size >= PARTS_MAX) return;
    this.#parts.set(part, state);
    this.#ill(state, changed);
  }

  /** Another fault of a part that is ill is told, and none of one that had just been well. */
  #ill(state: State, changed: HealthChanged): void {
    const hadRecovered = state.waiting !== undefined;
    clearTimeout(state.waiting?.timer);
    state.waiting = undefined;
    if (hadRecovered) state.wellMs = this.#longer(state);
    else {
      if (state.isWell) state.wellMs = performance.now() - state.toldWellMs < RELAPSE_MS ? this.#longer(state) : this.#wellMs.min;
      state.isWell = false;
      this.#tell(changed, this.#clock());
    }
  }

  #longer({ wellMs }: State): number {
    return Math.min(wellMs * 2, this.#wellMs.max);
  }

  #well(state: State, changed: HealthChanged): void {
    if (state.isWell || state.waiting !== undefined) return;
    const atMs = this.#clock();
    const tell = (): void => {
      clearTimeout(state.waiting?.timer);
      Object.assign(state, { isWell: true, toldWellMs: performance.now(), waiting: undefined });
      this.#tell(changed, atMs);
    };
    state.waiting = { timer: setTimeout(tell, state.wellMs).unref(), tell };
  }

  #tell(changed: HealthChanged, atMs: number): void {
    CHANNELS.healthTold.publish({ ...changed, atMs } satisfies HealthTold);
  }
}
