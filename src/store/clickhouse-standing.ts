/**
 * Where a log stands in ClickHouse, and which of two writings of one thing counts. Words and numbers alone; how they are used is
 * in clickhouse-decisions.ts. Pure.
 */

/** Where a log stands, and what of it did not end. */
export interface Standing {
  readonly epoch: number;
  readonly next: number;
  readonly head: string;
  /** Where the epoch began: what was counted in one before it lies below. */
  readonly low: number;
  readonly begun?: { readonly next: number; readonly head: string };
  readonly back?: { readonly epoch: number; readonly to: number; readonly head: string };
}

/** Room for an index of a log, and for a way. */
const INDEXES = 1n << 39n;

/**
 * Of two that are written for one key the one with the greater stamp stays: a later epoch; in one epoch what goes on, further; and
 * what was taken back, further back. In 64 bits, so as text.
 */
export function stampOf(epoch: number, way: 'on' | 'back', index: number): string {
  return String(BigInt(epoch) * 2n * INDEXES + (way === 'on' ? INDEXES + BigInt(index) : INDEXES - 1n - BigInt(index)));
}
