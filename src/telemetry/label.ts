/** A metric's label: names, and so few of them that the number of series is bounded. */
import { nameOf, OTHER } from '../contract/names.ts';

/** Lets the first `max` different values through and calls the rest `other`, so that the number of series is bounded. */
export class BoundedLabel {
  readonly #max: number;
  readonly #seen = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  of(value: string): string {
    const name = nameOf(value);
    if (this.#seen.has(name)) return name;
    if (this.#seen.size >= this.#max) return OTHER;
    this.#seen.add(name);
    return name;
  }
}
