/** Conditions of a statement that all hold, with their values in order. Names of columns are ours; values never stand in the text. */
import type { SqlValue } from './sql.ts';

export class Where {
  readonly values: SqlValue[] = [];
  readonly #parts: string[] = [];

  get text(): string {
    return this.#parts.length === 0 ? '' : `where ${this.#parts.join(' and ')}`;
  }

  add(write: (next: (value: SqlValue) => string) => string): void {
    this.#parts.push(write((value) => `$${this.values.push(value)}`));
  }

  /** False where there are none. */
  among(column: string, values: readonly string[]): void {
    this.add((next) => (values.length === 0 ? '1 = 0' : values.length === 1 ? `${column} = ${next(values[0]!)}` : `${column} in (${values.map(next).join(', ')})`));
  }
}
