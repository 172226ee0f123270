/**
 * Log-odds of a model as the share of such texts that were what they were scored for: a logistic curve with a slope and
 * an intercept of its own, fitted to rows that the model did not learn from (Platt). Monotone, so it changes no order.
 * Pure.
 */

export interface Calibration {
  readonly slope: number;
  readonly intercept: number;
}

const ROUNDS_MAX = 100;
const ENOUGH = 1e-9;
/** Keeps a curve through few rows from becoming a step. */
const RIDGE = 1e-3;

export function calibrated(logit: number, { slope, intercept }: Calibration): number {
  return 1 / (1 + Math.exp(-(slope * logit + intercept)));
}

/** Of rows that are all negative, so many are let to score 0.5 or more. */
export const LONE_RATE = 0.003;

/** Where nothing positive is known, no curve can be fitted; this one keeps what is known to be harmless below 0.5. */
export function bounded(scores: readonly number[]): Calibration {
  const sorted = [...scores].sort((a, b) => b - a);
  return { slope: 1, intercept: -sorted[Math.floor(LONE_RATE * sorted.length)] };
}

/** The curve that fits best, by Newton's method; truths are drawn in from 0 and 1 as Platt proposed. */
export function fitted(rows: readonly { readonly score: number; readonly truth: number }[]): Calibration {
  const positives = rows.reduce((sum, { truth }) => sum + truth, 0);
  const [yes, no] = [(positives + 1) / (positives + 2), 1 / (rows.length - positives + 2)];
  let slope = 1, intercept = 0;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    let g1 = RIDGE * (slope - 1), g0 = 0, h11 = RIDGE, h10 = 0, h00 = RIDGE;
    for (const { score, truth } of rows) {
      const claimed = calibrated(score, { slope, intercept });
      const off = claimed - (truth > 0.5 ? yes : no);
      const weight = claimed * (1 - claimed);
      g1 += off * score;
      g0 += off;
      h11 += weight * score * score;
      h10 += weight * score;
      h00 += weight;
    }
    const whole = h11 * h00 - h10 * h10;
    const [d1, d0] = [(g1 * h00 - g0 * h10) / whole, (g0 * h11 - g1 * h10) / whole];
    // A step that is too long is shortened; the curve never turns around.
    const length = Math.min(1, 1 / Math.max(Math.abs(d1), Math.abs(d0) / 2, 1e-12));
    slope = Math.max(0.05, slope - length * d1);
    intercept -= length * d0;
    if (Math.abs(d1) + Math.abs(d0) < ENOUGH) break;
  }
  return { slope, intercept };
}
