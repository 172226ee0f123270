/**
 * Which columns of a chart stand out from the others: far above what is usual in the same window, measured by medians, so
 * that a spike does not hide itself. Small numbers are no spike, and neither is a window that is mostly empty. Pure.
 */

/** Of what a column has at least. */
const LEAST = 5;
/** Robust standard deviations above the median, and times the median. */
const [DEVIATIONS, TIMES] = [4, 2];
/** Makes the median of deviations a standard deviation where values are normal. */
const NORMAL = 1.4826;

export interface Spike {
  readonly index: number;
  readonly value: number;
  readonly usual: number;
}

export function spikesOf(values: readonly number[]): readonly Spike[] {
  const filled = values.filter((value) => value > 0);
  if (filled.length < 4) return [];
  const usual = medianOf(values);
  // Counts spread like their root where nothing else is known.
  const spread = Math.max(NORMAL * medianOf(values.map((value) => Math.abs(value - usual))), Math.sqrt(usual), 1);
  return values.flatMap((value, index) => (value >= LEAST && value > usual + DEVIATIONS * spread && value > TIMES * usual ? [{ index, value, usual }] : []));
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length === 0 ? 0 : Number.isInteger(middle) ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[Math.floor(middle)]!;
}
