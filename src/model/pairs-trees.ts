/**
 * A forest of small complete trees over dense numbers: each tree adds one leaf's value to the log-odds. Nodes stand as in
 * a heap (the children of `n` are `2n+1` and `2n+2`); a node without a feature sends all to the left. Pure.
 */

export interface Forest {
  readonly depth: number;
  readonly bias: number;
  /** By tree and node; -1 for none. */
  readonly features: Int16Array;
  /** Above it goes right. */
  readonly thresholds: Float32Array;
  /** By tree and leaf. */
  readonly leaves: Float32Array;
}

/** The log-odds. */
export function logitOf({ depth, bias, features, thresholds, leaves }: Forest, values: Float64Array): number {
  const nodes = (1 << depth) - 1;
  let sum = bias;
  for (let first = 0, leaf = 0; first < features.length; first += nodes, leaf += nodes + 1) {
    let node = 0;
    while (node < nodes) {
      const feature = features[first + node];
      node = 2 * node + (feature >= 0 && values[feature] > thresholds[first + node] ? 2 : 1);
    }
    sum += leaves[leaf + node - nodes];
  }
  return sum;
}
