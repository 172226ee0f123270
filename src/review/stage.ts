/**
 * Where an item stands after the verdicts of its round: who decides next, or how it ends. Pure.
 *
 * One verdict decides; of a double-blind item two that agree, or a third that has the last word.
 */
import type { Resolution, ReviewItem, Verdict } from '../contract/review.ts';

export const STAGES = ['first', 'second', 'adjudication'] as const;
export type Stage = (typeof STAGES)[number];

export type Standing = { readonly stage: Stage; readonly resolution?: undefined } | { readonly stage?: undefined; readonly resolution: Resolution };

export function standingOf(doubleBlind: boolean, verdicts: readonly Pick<Verdict, 'resolution'>[]): Standing {
  const [first, second, third] = verdicts;
  if (first === undefined) return { stage: 'first' };
  if (!doubleBlind) return { resolution: first.resolution };
  if (second === undefined) return { stage: 'second' };
  if (first.resolution === second.resolution) return { resolution: first.resolution };
  return third === undefined ? { stage: 'adjudication' } : { resolution: third.resolution };
}

/** Two people are to decide it without each other: neither sees scores, the action or the other's verdict. */
export function isCovered({ double_blind: isBlind, status }: Pick<ReviewItem, 'double_blind' | 'status'>): boolean {
  return isBlind && status !== 'resolved';
}
