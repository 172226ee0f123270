/**
 * Boosted trees for few rows of dense numbers: logistic loss, second order, values in bins, rows and columns drawn anew
 * for each tree. Deterministic for its source of chance. Pure.
 */
import type { Forest } from '../model/pairs-trees.ts';

export interface BoostRow {
  readonly values: Float64Array;
  readonly label: number;
  readonly weight: number;
}

export interface BoostSettings {
  readonly trees: number;
  readonly depth: number;
  readonly rate: number;
  /** Least weight of the rows of a leaf. */
  readonly leafWeight: number;
  readonly ridge: number;
  /** Shares of the rows and of the columns that a tree sees. */
  readonly rows: number;
  readonly columns: number;
}

const BINS = 48;

export function boosted(rows: readonly BoostRow[], columns: number, settings: BoostSettings, random: () => number, progress: (done: number) => void = () => undefined): Forest {
  const { trees, depth, rate, leafWeight, ridge } = settings;
  const cuts = Array.from({ length: columns }, (_, column) => cutsOf(rows, column));
  const binned = cuts.map((own, column) => Uint8Array.from(rows, ({ values }) => binOf(own, values[column])));
  const bias = biasOf(rows);
  const margins = new Float64Array(rows.length).fill(bias);
  const nodes = (1 << depth) - 1;
  const features = new Int16Array(trees * nodes).fill(-1), thresholds = new Float32Array(trees * nodes), leaves = new Float32Array(trees * (nodes + 1));
  const slopes = new Float64Array(rows.length), curves = new Float64Array(rows.length);
  for (let tree = 0; tree < trees; tree += 1) {
    for (const [at, { label, weight }] of rows.entries()) {
      const claimed = 1 / (1 + Math.exp(-margins[at]));
      slopes[at] = weight * (claimed - label);
      curves[at] = weight * Math.max(1e-4, claimed * (1 - claimed));
    }
    const chosen = Int32Array.from({ length: rows.length }, (_, at) => at).filter(() => random() < settings.rows);
    const open = Array.from({ length: columns }, (_, column) => column).filter(() => random() < settings.columns);
    const grow = (node: number, own: Int32Array): void => {
      if (node >= nodes) {
        let slope = 0, curve = ridge;
        for (const at of own) { slope += slopes[at]; curve += curves[at]; }
        leaves[tree * (nodes + 1) + node - nodes] = (-rate * slope) / curve;
        return;
      }
      const split = bestSplit(own, open, binned, slopes, curves, leafWeight, ridge);
      if (split === undefined) {
        grow(2 * node + 1, own);
        return;
      }
      features[tree * nodes + node] = split.column;
      thresholds[tree * nodes + node] = cuts[split.column][split.bin];
      const bins = binned[split.column];
      grow(2 * node + 1, own.filter((at) => bins[at] <= split.bin));
      grow(2 * node + 2, own.filter((at) => bins[at] > split.bin));
    };
    grow(0, chosen);
    for (let at = 0; at < rows.length; at += 1) {
      let node = 0;
      while (node < nodes) {
        const column = features[tree * nodes + node];
        node = 2 * node + (column >= 0 && rows[at].values[column] > thresholds[tree * nodes + node] ? 2 : 1);
      }
      margins[at] += leaves[tree * (nodes + 1) + node - nodes];
    }
    progress(tree + 1);
  }
  return { depth, bias, features, thresholds, leaves };
}

/** Values between bins, float32 as they will be read, at even shares of the rows. */
function cutsOf(rows: readonly BoostRow[], column: number): Float32Array {
  const sorted = Float64Array.from(rows, ({ values }) => values[column]).sort();
  const cuts = new Set<number>();
  for (let bin = 1; bin < BINS; bin += 1) {
    const value = sorted[Math.floor((bin * sorted.length) / BINS)];
    if (value < sorted.at(-1)!) cuts.add(Math.fround(value));
  }
  return Float32Array.from([...cuts].sort((a, b) => a - b));
}

/** How many cuts lie below the value. */
function binOf(cuts: Float32Array, value: number): number {
  let bin = 0;
  while (bin < cuts.length && value > cuts[bin]) bin += 1;
  return bin;
}

function biasOf(rows: readonly BoostRow[]): number {
  let yes = 1, all = 2;
  for (const { label, weight } of rows) { yes += label * weight; all += weight; }
  return Math.log(yes / (all - yes));
}

interface Split {
  readonly column: number;
  /** Rows of this bin and below go left. */
  readonly bin: number;
}

function bestSplit(own: Int32Array, open: readonly number[], binned: readonly Uint8Array[], slopes: Float64Array, curves: Float64Array, leafWeight: number, ridge: number): Split | undefined {
  let allSlope = 0, allCurve = 0;
  for (const at of own) { allSlope += slopes[at]; allCurve += curves[at]; }
  let best: Split | undefined;
  let most = (allSlope * allSlope) / (allCurve + ridge) + 1e-6;
  const binSlopes = new Float64Array(BINS), binCurves = new Float64Array(BINS);
  for (const column of open) {
    binSlopes.fill(0);
    binCurves.fill(0);
    const bins = binned[column];
    for (const at of own) { binSlopes[bins[at]] += slopes[at]; binCurves[bins[at]] += curves[at]; }
    let slope = 0, curve = 0;
    for (let bin = 0; bin < BINS - 1; bin += 1) {
      slope += binSlopes[bin];
      curve += binCurves[bin];
      if (curve < leafWeight || allCurve - curve < leafWeight) continue;
      const rest = allSlope - slope;
      const gain = (slope * slope) / (curve + ridge) + (rest * rest) / (allCurve - curve + ridge);
      if (gain > most) { most = gain; best = { column, bin }; }
    }
  }
  return best;
}
