/**
 * Where an item stands after the verdicts of its round: who decides next, or how it ends. Pure.
 *
 * One verdict decides; of a double-blind item two that agree, or a third that has the last word. What waits for such an
 * item is stopped by one person and let go by two: there is no time to ask a third, and to stop is the safe mistake.
 */
import type { Resolution, ReviewItem, Verdict } from '../contract/review.ts';

export const STAGES = ['first', 'second', 'adjudication'] as const;
export type Stage = (typeof STAGES)[number];

/** `release`: what becomes of a request that waits; absent: it waits on. */
export type Standing = ({ readonly stage: Stage; readonly resolution?: undefined } | { readonly stage?: undefined; readonly resolution: Resolution }) & { readonly release?: Resolution };

export function standingOf(doubleBlind: boolean, verdicts: readonly Pick<Verdict, 'resolution'>[]): Standing {
  const [first, second, third] = verdicts;
  if (first === undefined) return { stage: 'first' };
  if (!doubleBlind) return { resolution: first.resolution, release: first.resolution };
  const stops = verdicts.find(({ resolution }) => resolution !== 'allow')?.resolution;
  const stop = stops === undefined ? {} : { release: stops };
  if (second === undefined) return { stage: 'second', ...stop };
  if (first.resolution === second.resolution) return { resolution: first.resolution, release: first.resolution };
  return third === undefined ? { stage: 'adjudication', ...stop } : { resolution: third.resolution, ...stop };
}

/** Two people are to decide it without each other: neither sees scores, the action or the other's verdict. */
export function isCovered({ double_blind: isBlind, status }: Pick<ReviewItem, 'double_blind' | 'status'>): boolean {
  return isBlind && status !== 'resolved';
}

/** Without what could lean a verdict: of what was drawn for a check, not even whether it was stopped. */
export function coveredItem(item: ReviewItem): Omit<ReviewItem, 'action'> & { readonly action: ReviewItem['action'] | null } {
  if (!isCovered(item)) return item;
  return { ...item, classifier_results: [], near_rules: [], inclusion_probability: null, action: null, ...(item.origin === 'sample' ? { triggered_rules: [] } : {}) };
}
