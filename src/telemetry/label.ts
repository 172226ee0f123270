/**
 * Makes a caller's string safe to show in a log line, a span or a metric: a name stays as it is, anything else becomes
 * `other`. Free text could be a prompt, and could forge lines or multiply series.
 */

/** What names of models, routes, tenants, policies and categories are made of. */
const NAME = /^[\p{L}\p{N}_.:/@+{}*-]+$/u;
export const NAME_CHARS_MAX = 128;
export const OTHER = 'other';

export function nameOf(value: string): string {
  return value.length <= NAME_CHARS_MAX && NAME.test(value) ? value : OTHER;
}

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
