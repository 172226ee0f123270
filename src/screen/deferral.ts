/**
 * Who is heard in time under a policy and who after the fact: `hybrid` does not wait for classifiers of cost `slow`, `async`
 * for none that scores. A combination of which a member is heard late is itself late, and its members are then asked
 * together. Patterns are always in time. Pure.
 */
import type { Classifier } from '../contract/classifier.ts';
import type { Policy } from '../contract/policy.ts';
import type { ClassifierResult } from '../contract/screening.ts';
import { ENSEMBLE, isMember } from './combine.ts';
import type { Ensemble } from './ensemble.ts';

export interface Deferral {
  /** Whose scores come late, by id. */
  readonly deferred: ReadonlySet<string>;
  readonly deadlineMs: number;
  asksInTime(classifier: Classifier): boolean;
  asksLate(classifier: Classifier): boolean;
  isLate(result: ClassifierResult): boolean;
}

/** Undefined where everything is heard in time. */
export function deferralOf({ screening }: Policy, { classifiers, combinations }: Pick<Ensemble, 'classifiers' | 'combinations'>): Deferral | undefined {
  if (screening === undefined || screening.mode === 'sync') return undefined;
  const late = new Set(classifiers.filter(({ cost }) => screening.mode === 'async' || cost === 'slow').map(({ id }) => id));
  if (late.size === 0) return undefined;
  const lateCombinations = combinations.filter((combination) => [...late].some((id) => isMember(combination, id)));
  const lateCategories = new Set(lateCombinations.map(({ category }) => category));
  return {
    deferred: lateCombinations.length === 0 ? late : new Set([...late, ENSEMBLE]),
    deadlineMs: screening.lateDeadlineMs,
    asksInTime: ({ id }) => !late.has(id),
    asksLate: ({ id }) => late.has(id) || lateCombinations.some((combination) => isMember(combination, id)),
    isLate: ({ classifier_id: id, category }) => (id === ENSEMBLE ? lateCategories.has(category) : late.has(id)),
  };
}
