/** Counts of decisions as reports ask for them: of a direction and measure by name. Pure. */
import type { DecisionPart, Measure } from '../../store/decision-rows.ts';
import type { Counts } from '../../store/decisions.ts';

type Part = DecisionPart | '';

export class CountTally {
  readonly #names = new Map<string, Map<string, number>>();

  constructor({ totals }: Pick<Counts, 'totals'>) {
    for (const { direction, measure, name, total } of totals) {
      const key = `${direction}|${measure}`;
      const names = this.#names.get(key) ?? new Map<string, number>();
      names.set(name, (names.get(name) ?? 0) + total);
      this.#names.set(key, names);
    }
  }

  names(direction: Part, measure: Measure): ReadonlyMap<string, number> {
    return this.#names.get(`${direction}|${measure}`) ?? new Map();
  }

  of(direction: Part, measure: Measure, name = ''): number {
    return this.names(direction, measure).get(name) ?? 0;
  }

  /** Of all names. */
  sum(direction: Part, measure: Measure): number {
    return [...this.names(direction, measure).values()].reduce((sum, total) => sum + total, 0);
  }

  get exchanges(): number {
    return this.of('', 'exchanges');
  }
}
