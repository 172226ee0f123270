/**
 * What stands against letting a candidate work: a category that got worse beyond its interval and the margin, too few
 * rows to tell, rows on which nothing was measured, an evaluation against another model than the one that works. Pure.
 *
 * Worse means: the whole interval of the change lies beyond the margin. A change that may be none is not held against it,
 * which is why the number of rows counts: with few, nothing would ever be worse. People hardly ever find violations of
 * every category; one that they found too few of is told by texts of the project, where these are enough.
 */
import type { CandidateCategory } from './candidate.ts';
import type { Estimate } from './evaluate.ts';

export interface GateSettings {
  /** How much recall may fall, or false positives rise, in points of 0–1. */
  readonly margin: number;
  /** Least rows of a category, and least positives among them. */
  readonly rowsMin: number;
  readonly positivesMin: number;
}

export interface Judged {
  readonly base_sha256: string;
  readonly evaluation: readonly CandidateCategory[];
}

/** Reasons in words, none where it may work. `working`: the model that it would take the place of. */
export function against({ base_sha256: base, evaluation }: Judged, working: string, { margin, rowsMin, positivesMin }: GateSettings): readonly string[] {
  const reasons = evaluation.length === 0 ? ['nothing was measured; evaluate it on held-out rows'] : [];
  if (base !== working) reasons.push(`it was measured beside the model ${base.slice(0, 12)}, and ${working.slice(0, 12)} works now; train or evaluate it again`);
  const isEnough = ({ n, positives }: CandidateCategory): boolean => n >= rowsMin && positives >= positivesMin;
  const known = new Set(evaluation.filter(isEnough).map(({ category }) => plainName(category)));
  for (const one of evaluation) {
    const { category, n, positives, recall_change: recall, false_positive_change: alarms } = one;
    const [tellsRecall, tellsAlarms] = [isEnough(one), n >= rowsMin];
    if (!tellsRecall && !known.has(plainName(category))) reasons.push(`${category}: ${n} rows with ${positives} positives are too few to tell; it takes ${rowsMin} with ${positivesMin}`);
    else if ((tellsRecall && !isTold(recall)) || (tellsAlarms && !isTold(alarms))) reasons.push(`${category}: its change is not told as numbers`);
    else if (tellsRecall && recall.high < -margin) reasons.push(`${category}: recall falls by ${told({ value: -recall.value, low: -recall.high, high: -recall.low })}`);
    else if (tellsAlarms && alarms.low > margin) reasons.push(`${category}: false positives rise by ${told(alarms)}`);
  }
  return reasons;
}

const PROJECT = ' (texts of the project)';

/** The name of a category where it was measured on texts of the project, beside rows of verdicts. */
export function onProjectTexts(category: string): string {
  return `${category}${PROJECT}`;
}

function plainName(category: string): string {
  return category.endsWith(PROJECT) ? category.slice(0, -PROJECT.length) : category;
}

function isTold({ value, low, high }: Estimate): boolean {
  return [value, low, high].every(Number.isFinite) && low <= value && value <= high;
}

function told({ value, low, high }: Estimate): string {
  return `${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}
