/** How times are spread, for a line of a test's output and for its bounds. */

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** All of it in words. */
  readonly line: string;
}

/** Of at least one time. */
export function spread(timesMs: readonly number[]): Spread {
  const sorted = timesMs.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  const [p50, p99, worst] = [at(0.5), at(0.99), sorted.at(-1)!];
  return { p50, p99, worst, line: `n ${sorted.length}, p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, worst ${worst.toFixed(1)} ms` };
}
