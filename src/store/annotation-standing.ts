/**
 * Where a task stands after the labels that it has: settled, or in need of others. Two that differ make it need a third,
 * and the majority counts. Pure.
 */
import { CONFIDENCE_TIERS, type ConfidenceTier, type HumanLabel } from '../contract/risk.ts';

export interface GivenLabel {
  readonly label: HumanLabel;
  readonly category: string | null;
  readonly tier: ConfidenceTier;
}

export interface Standing {
  /** Labels that it needs. */
  readonly wanted: number;
  /** As many say the one as the other. */
  readonly isDisputed?: true;
  /** Undefined: it goes on. */
  readonly label?: HumanLabel;
  /** Of a violation: what most say, the surer and then the first where they are even. */
  readonly category?: string | null;
}

/** In the order in which they were given. */
export function standingOf(wanted: number, labels: readonly GivenLabel[]): Standing {
  if (labels.length < wanted) return { wanted };
  const violations = labels.filter(({ label }) => label === 'violation');
  if (violations.length * 2 === labels.length) return { wanted: labels.length + 1, isDisputed: true };
  return violations.length * 2 > labels.length ? { wanted, label: 'violation', category: categoryOf(violations) } : { wanted, label: 'safe' };
}

function categoryOf(violations: readonly GivenLabel[]): string | null {
  const weight = (category: string | null): number => violations.reduce((sum, one) => (one.category === category ? sum + 1 + (CONFIDENCE_TIERS.indexOf(one.tier) + 1) / 1_000 : sum), 0);
  return violations.map(({ category }) => category).reduce((best, one) => (weight(one) > weight(best) ? one : best));
}
