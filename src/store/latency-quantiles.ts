/** Quantiles of latencies that are counted by their step (see decision-rows): within a tenth of the truth. Pure. */
import { stepMs } from './decision-rows.ts';

export interface StepCount {
  /** Of the step. */
  readonly name: string;
  readonly total: number;
}

/** In milliseconds, two digits after the point; null of nothing. */
export function quantileOfSteps(counts: readonly StepCount[], share: number): number | null {
  const steps = [...counts].sort((a, b) => Number(a.name) - Number(b.name));
  const all = steps.reduce((sum, { total }) => sum + total, 0);
  let below = 0;
  for (const { name, total } of steps) {
    below += total;
    if (below > share * all) return Math.round(stepMs(name) * 100) / 100;
  }
  return null;
}
