/**
 * What people's verdicts and labels say of a text: labels by category of the taxonomy, and how far to trust them. Who
 * calls a text safe says so of every category; who names one says nothing of the others. A verdict without a category, or
 * one that leaves it to lawyers, teaches nothing. Pure.
 */
import type { KeptTexts } from '../contract/content.ts';
import type { LabelledText, LeftOut } from '../contract/learning.ts';
import type { ConfidenceTier } from '../contract/risk.ts';
import type { Direction } from '../contract/screening.ts';
import type { DecidedItem, LabelledTask } from '../store/datasets.ts';

/** Two who agreed without seeing each other count more than one; those between whom a third decided, less. */
const AGREED = 1.5;
const DISPUTED = 0.5;
const TIERS: Readonly<Record<ConfidenceTier, number>> = { low: 0.5, medium: 0.8, high: 1 };
/** Characters of one row; of a longer text the last. */
export const ROW_CHARS_MAX = 65_536;

export function labelledByVerdict({ review_id, tenant_id, request_id, direction, origin, round, resolution, resolved_at: at, created_at: near, inclusion_probability: probability, verdicts }: DecidedItem, categories: readonly string[]): LabelledText | LeftOut {
  const agreeing = verdicts.filter((verdict) => verdict.resolution === resolution);
  const named = agreeing.flatMap((verdict) => verdict.categories).filter((category) => categories.includes(category));
  if (agreeing.length === 0 || resolution === 'escalate_legal') return 'undecided';
  if (resolution === 'block' && named.length === 0) return 'no_category';
  return {
    tenant_id, request_id, direction, labels: named.length === 0 ? allSafe(categories) : violationsOf(named), source: origin === 'appeal' || round > 1 ? 'appeal' : 'verdict',
    weight: agreementOf(agreeing.length, verdicts.length), from: [review_id], people: agreeing.map(({ reviewer_id: id }) => id), at, near, ...(probability === null ? {} : { inclusion_probability: probability }),
  };
}

export function labelledByTask({ task_id, tenant_id, request_id, direction, started_at: near, human_label, violation_category: category, settled_at: at, inclusion_probability, labels }: LabelledTask, categories: readonly string[]): LabelledText | LeftOut {
  const agreeing = labels.filter(({ label }) => label === human_label);
  if (agreeing.length === 0) return 'undecided';
  if (human_label === 'violation' && (category === null || !categories.includes(category))) return 'no_category';
  const sure = agreeing.reduce((sum, { tier, calibration }) => sum + TIERS[tier] * (calibration ?? 1), 0) / agreeing.length;
  return {
    tenant_id, request_id, direction, labels: human_label === 'safe' ? allSafe(categories) : violationsOf([category!]), source: 'annotation',
    weight: round3(sure * agreementOf(agreeing.length, labels.length)), from: [task_id], people: agreeing.map(({ annotator_id: id }) => id), at, near, inclusion_probability,
  };
}

/** Of several that are of one text, what counts: what was decided last; the others are what it follows from, too. */
export function oneForEach(labelled: readonly LabelledText[]): readonly LabelledText[] {
  return [...Map.groupBy(labelled, ({ request_id: id, direction }) => `${id} ${direction}`).values()].map((all) => {
    const last = all.reduce((one, other) => (other.at > one.at ? other : one));
    return { ...last, from: [...new Set([...last.from, ...all.flatMap(({ from }) => from)])] };
  });
}

/** As people judge it: of a prompt its newest text, of an answer all. */
export function judgedText(direction: Direction, { texts }: KeptTexts): string {
  const text = direction === 'input' ? texts.at(-1)?.text ?? '' : texts.map((one) => one.text).join('\n');
  return text.slice(-ROW_CHARS_MAX).toWellFormed();
}

/** What stays of a text that says the same in other letters, numbers and blanks. */
export function normalised(text: string): string {
  return text.normalize('NFKC').toLowerCase().replaceAll(/[^\p{L}]+/gu, ' ').trim();
}

/** Labels of a model's heads. Undefined: it says nothing of them. */
export function headLabels(labels: LabelledText['labels'], taught: Readonly<Record<string, readonly string[]>>): Readonly<Record<string, number>> | undefined {
  const found: Record<string, number> = {};
  for (const [category, heads] of Object.entries(taught)) {
    const label = labels[category];
    if (label !== undefined) for (const head of heads) found[head] = Math.max(found[head] ?? 0, label);
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

function allSafe(categories: readonly string[]): LabelledText['labels'] {
  return Object.fromEntries(categories.map((category) => [category, 0]));
}

function violationsOf(categories: readonly string[]): LabelledText['labels'] {
  return Object.fromEntries([...new Set(categories)].sort().map((category) => [category, 1]));
}

function agreementOf(agreeing: number, all: number): number {
  if (agreeing < all) return DISPUTED;
  return agreeing > 1 ? AGREED : 1;
}

function round3(value: number): number {
  return Math.round(1000 * value) / 1000;
}
