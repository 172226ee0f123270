/**
 * What people who review ask for themselves: texts under a cover, kinds of content that they are not given, breaks. It is
 * theirs: nobody else reads it, and no reason is asked for. What an item is about is told from its scores alone, and
 * broadly.
 */
import type { ReviewItem } from './review.ts';

/**
 * Kinds of content that a person may not want to be given: how a category of any classifier is known to be of one, and the
 * score from which an item may be about it. Where it matters before somebody has seen it, a low score counts.
 */
export const SUBJECTS = ['sexual', 'violence', 'self-harm', 'hate', 'harassment', 'illicit', 'profanity'] as const;
export type Subject = (typeof SUBJECTS)[number];

const SIGNS: readonly { readonly subject: Subject; readonly sign: RegExp; readonly from: number }[] = [
  { subject: 'sexual', sign: /sex|porn|nud(?:e|ity)|nsfw|minors|child/, from: 0.2 },
  { subject: 'violence', sign: /violen|gore|graphic|weapon|terror|dangerous/, from: 0.2 },
  { subject: 'violence', sign: /threat/, from: 0.4 },
  { subject: 'self-harm', sign: /self.?harm|suicid|eating/, from: 0.1 },
  { subject: 'hate', sign: /hate|identity.?attack|(?<!in)discriminat/, from: 0.4 },
  { subject: 'harassment', sign: /harass|insult|bully|toxic(?:ity)?$|defam/, from: 0.4 },
  { subject: 'illicit', sign: /illicit|crime|drug|fraud/, from: 0.4 },
  { subject: 'profanity', sign: /profan|obscen/, from: 0.4 },
];

/** Never opened by themselves, whoever asks for it. */
export const GUARDED_SUBJECTS: readonly Subject[] = ['sexual', 'violence'];

/** What the item may be about, by its scores. */
export function subjectsOf(results: ReviewItem['classifier_results']): readonly Subject[] {
  const found = results.flatMap(({ category, score = 0 }) => SIGNS.filter(({ sign, from }) => score >= from && sign.test(category.toLowerCase())).map(({ subject }) => subject));
  return SUBJECTS.filter((subject) => found.includes(subject));
}

/** What opening it costs more: what is severe for its rules, or for who reads it. */
export function isSevere({ severity, classifier_results: results }: Pick<ReviewItem, 'severity' | 'classifier_results'>): boolean {
  return severity === 'critical' || severity === 'high' || subjectsOf(results).some((subject) => GUARDED_SUBJECTS.includes(subject));
}

export interface WellnessSettings {
  /** Texts lie under a cover until they are asked for. */
  readonly cover: boolean;
  readonly greyscale: boolean;
  /** Not offered to this person. */
  readonly opt_out: readonly Subject[];
  /** Sooner than the configuration asks, never later; null: as it asks. */
  readonly break_after_minutes: number | null;
  readonly break_after_items: number | null;
}

export const WELLNESS_DEFAULTS: WellnessSettings = Object.freeze({ cover: true, greyscale: false, opt_out: [], break_after_minutes: null, break_after_items: null });

/** When a break is asked for, and how long one is. */
export interface BreakLimits {
  readonly afterMinutes: number;
  /** Severe items that were opened. */
  readonly afterItems: number;
  readonly minutes: number;
}

/** What a configuration or a person may set at most and at least. */
export const BREAK_BOUNDS = { afterMinutes: { min: 10, max: 120 }, afterItems: { min: 5, max: 200 }, minutes: { min: 5, max: 60 } } as const;

/** Since when somebody has been at it. Times in milliseconds since 1970. */
export interface Pace {
  readonly sinceMs: number;
  /** When they last took or opened something. */
  readonly seenMs: number;
  readonly severe: number;
  /** They are having a break until then. */
  readonly breakUntilMs: number | null;
}
