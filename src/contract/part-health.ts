/**
 * How a part is, as it says itself: to be ill once for each kind of fault, and to be well once. Each turn is told as it
 * comes; for how long it must last before people hear of it is decided in one place for all parts (telemetry/steady-health.ts).
 */
import { CHANNELS } from './channels.ts';
import type { Part } from './health.ts';

export class PartHealth {
  readonly #part: Part;
  /** What was told to be wrong; empty: it is well. */
  readonly #told = new Set<string>();
  /** The last fault that was told. */
  #detail = '';

  constructor(part: Part) {
    this.#part = part;
  }

  /** As it was last told. */
  get isWell(): boolean {
    return this.#told.size === 0;
  }

  /** Told once for each kind of fault until it is well again. */
  ill(detail: string, kinds: readonly string[] = ['ill']): void {
    if (kinds.every((kind) => this.#told.has(kind))) return;
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
    if (this.isWell) return;
    this.#told.clear();
    CHANNELS.healthChanged.publish({ part: this.#part, healthy: true, detail: detail() });
  }
}
