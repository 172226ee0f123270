/**
 * Tells how a part is that may come and go. It is told to be ill at once, and to be well when it has been so for a while:
 * for longer, the more often it fell ill again soon after. So what flaps is told to be ill all the while, in few lines.
 */
import { CHANNELS } from '../contract/channels.ts';

/** How long it must be well before that is told: at first, and at most; the end of a fault is to be seen within 5 s. */
const WELL_MS = { min: 1_000, max: 3_000 } as const;
/** Who falls ill again within this time has flapped. */
const RELAPSE_MS = 60_000;

export class SteadyHealth {
  readonly #part: string;
  /** What was told to be wrong; empty: it was told to be well. */
  readonly #told = new Set<string>();
  #wellMs: number = WELL_MS.min;
  /** The last fault that was told. */
  #detail = '';
  /** When it was last told to be well. */
  #toldWellMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(part: string) {
    this.#part = part;
  }

  /** As it was last told. */
  get isWell(): boolean {
    return this.#told.size === 0;
  }

  /** Told once for each kind of fault until it is well again. */
  ill(detail: string, kinds: readonly string[] = ['ill']): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (kinds.every((kind) => this.#told.has(kind))) return;
    if (this.isWell) this.#wellMs = performance.now() - this.#toldWellMs < RELAPSE_MS ? Math.min(this.#wellMs * 2, WELL_MS.max) : WELL_MS.min;
    for (const kind of kinds) this.#told.add(kind);
    this.#detail = detail;
    this.announce();
  }

  /** Tells again that it is ill, if so: whoever listens may have come later. */
  announce(): void {
    if (!this.isWell) CHANNELS.healthChanged.publish({ part: this.#part, healthy: false, detail: this.#detail });
  }

  /** `detail` is asked for when it is told. */
  well(detail: () => string): void {
    if (this.isWell || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#told.clear();
      this.#toldWellMs = performance.now();
      CHANNELS.healthChanged.publish({ part: this.#part, healthy: true, detail: detail() });
    }, this.#wellMs).unref();
  }

  /** Nothing is told any more. */
  close(): void {
    clearTimeout(this.#timer);
  }
}
