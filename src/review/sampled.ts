/**
 * How many decisions were drawn for a check this week by all processes that share a store: what is stored, as it was last
 * read, and what this process drew since. Told at once; the store is asked beside it, once in a while. Until it has
 * answered as many as may be were drawn, so that a process whose store is down draws no more than its share.
 */
import type { SqlReviewIntake } from '../store/review-intake.ts';
import { weekOf } from './drawn.ts';

/** How often what others drew is asked for. */
export const ASK_MS = 30_000;

export class SampledOfWeek {
  readonly #store: Pick<SqlReviewIntake, 'total'>;
  #stored = 0;
  /** Since the store was last asked. */
  #drawn = 0;
  /** Of `#stored`. */
  #weekMs = NaN;
  #asked = { atMs: -Infinity, weekMs: NaN };

  constructor(store: Pick<SqlReviewIntake, 'total'>) {
    this.#store = store;
  }

  drew(): void {
    this.#drawn++;
  }

  count(nowMs: number): number {
    const weekMs = weekOf(nowMs);
    if (weekMs !== this.#asked.weekMs || nowMs - this.#asked.atMs > ASK_MS) void this.#ask(nowMs, weekMs);
    return weekMs === this.#weekMs ? this.#stored + this.#drawn : Infinity;
  }

  async #ask(nowMs: number, weekMs: number): Promise<void> {
    this.#asked = { atMs: nowMs, weekMs };
    const before = this.#drawn;
    const total = await this.#store.total('sample', new Date(weekMs).toISOString()).catch(() => undefined);
    if (total === undefined) return; // the store is told to be ill by who asks it for more
    [this.#stored, this.#weekMs] = [total, weekMs];
    this.#drawn -= before;
  }
}
