/**
 * The threshold that costs least: for each threshold what a thousand texts cost, by what a miss and a false alarm cost and
 * how many texts are violations, with intervals from rows drawn again. A proposal: the rows are those that people were
 * shown, and where no share of violations is given theirs counts, which is higher than that of the traffic. Pure.
 */
import { drawnAgain, middle, type JudgedPair } from './compare.ts';
import type { Estimate } from './evaluate.ts';

export interface Cost {
  readonly category?: string | undefined;
  readonly tenant?: string | undefined;
  readonly miss: number;
  readonly false_alarm: number;
  readonly violation_percent?: number | undefined;
}

export interface CostPoint {
  readonly threshold: number;
  /** Of a thousand texts. */
  readonly cost: number;
}

export interface CostCurve {
  readonly points: readonly CostPoint[];
  readonly best: { readonly threshold: Estimate; readonly cost: Estimate };
  /** Of the texts; as given, or as of the rows. */
  readonly violation_share: number;
  readonly is_share_given: boolean;
}

const THRESHOLDS: readonly number[] = Array.from({ length: 99 }, (_, at) => (at + 1) / 100);
const TEXTS = 1_000;
const DRAWS = 200;

/** The first that is meant for the category and the tenant; undefined: nobody said. */
export function costFor(costs: readonly Cost[], category: string, tenant?: string): Cost | undefined {
  return costs.find((cost) => (cost.category === undefined || cost.category === category) && (cost.tenant === undefined || cost.tenant === tenant));
}

/** Undefined where the rows have no violation, or nothing else. */
export function costCurve(pairs: readonly JudgedPair[], model: 'base' | 'candidate', cost: Cost, random: () => number): CostCurve | undefined {
  const positives = pairs.filter(({ truth }) => truth === 1).length;
  if (positives === 0 || positives === pairs.length) return undefined;
  const share = cost.violation_percent === undefined ? positives / pairs.length : cost.violation_percent / 100;
  const points = pointsOf(pairs, model, cost, share);
  const best = leastOf(points);
  const drawn = drawnAgain(pairs, random, (rows) => (rows.some(({ truth }) => truth === 1) && rows.some(({ truth }) => truth === 0) ? leastOf(pointsOf(rows, model, cost, share)) : undefined), DRAWS).filter((one) => one !== undefined);
  const estimate = (of: (point: CostPoint) => number): Estimate => {
    const [low, high] = middle(drawn.map(of));
    return { value: of(best), low, high };
  };
  return { points, best: { threshold: estimate(({ threshold }) => threshold), cost: estimate((point) => point.cost) }, violation_share: share, is_share_given: cost.violation_percent !== undefined };
}

function pointsOf(pairs: readonly JudgedPair[], model: 'base' | 'candidate', { miss, false_alarm: alarm }: Cost, share: number): readonly CostPoint[] {
  const scores = (truth: number): readonly number[] => pairs.filter((pair) => pair.truth === truth).map((pair) => pair[model]).sort((a, b) => a - b);
  const [bad, good] = [scores(1), scores(0)];
  return THRESHOLDS.map((threshold) => ({ threshold, cost: TEXTS * (share * miss * (below(bad, threshold) / bad.length) + (1 - share) * alarm * (1 - below(good, threshold) / good.length)) }));
}

/** Of several that cost the same, the middle. */
function leastOf(points: readonly CostPoint[]): CostPoint {
  const least = Math.min(...points.map(({ cost }) => cost));
  const all = points.filter(({ cost }) => cost === least);
  return all[all.length >> 1]!;
}

/** How many of the sorted numbers are below. */
function below(sorted: readonly number[], value: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middleOf = (from + to) >> 1;
    if (sorted[middleOf]! < value) from = middleOf + 1;
    else to = middleOf;
  }
  return from;
}
