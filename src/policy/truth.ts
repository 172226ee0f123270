/**
 * What the facts say about a condition and its leaves, in three values. Pure.
 *
 * The rules, in one place:
 * - A score that is known is compared. Several scores under one leaf (`pii.*`, or one category found twice): any.
 * - A classifier that answered (`ok`) and reports nothing under the leaf counts as one score of 0.
 * - A result without a score, and a classifier that failed or was never asked, are unknown. `*` asks all that were
 *   asked; if none was, it is unknown.
 * - A leaf is true when any score makes it true; else unknown when anything is unknown; else false.
 * - `exists` asks whether any score is known, so it is never unknown itself.
 * - A context value that is absent is a known absence: it compares false, never unknown. `content_type` has as many
 *   values as there are types of content; any.
 * - What a classifier does not read (an image, where it reads text) is left aside: a score is about what its classifier
 *   reads, and where it reads nothing of what is there, it has no score at all. A rule that asks for a content type by
 *   `context: content_type` wants it judged: to such a rule a classifier that does not read it is unknown (`factsFor`).
 */
import type { Condition, Facts, Operator, OperatorValue } from '../contract/policy.ts';
import { CONTENT_TYPES, type ClassifierResult, type ContentType, type ScoredResult } from '../contract/screening.ts';

/** Ordered so that `all` is the least and `any` the greatest (Kleene). */
export const FALSE = 0;
export const UNKNOWN = 1;
export const TRUE = 2;
export type Truth = typeof FALSE | typeof UNKNOWN | typeof TRUE;

export type ScoreLeaf = Extract<Condition, { kind: 'score' }>;
export type ContextLeaf = Extract<Condition, { kind: 'context' }>;

/** One condition against the facts, without a compiled program. */
export function truthOf(condition: Condition, facts: Facts): Truth {
  switch (condition.kind) {
    case 'all':
      return condition.of.reduce<Truth>((truth, branch) => least(truth, truthOf(branch, facts)), TRUE);
    case 'any':
      return condition.of.reduce<Truth>((truth, branch) => greatest(truth, truthOf(branch, facts)), FALSE);
    case 'not':
      return opposite(truthOf(condition.of, facts));
    case 'score':
      return scoreTruth(condition, knownScores(facts, condition.classifier, condition.category));
    case 'context':
      return contextTruth(condition, facts);
  }
}

export function least(a: Truth, b: Truth): Truth {
  return a < b ? a : b;
}

export function greatest(a: Truth, b: Truth): Truth {
  return a > b ? a : b;
}

export function opposite(truth: Truth): Truth {
  return (TRUE - truth) as Truth;
}

/** What is known under one `classifier.category`. */
export interface Known {
  readonly scores: readonly number[];
  /** Something that could have scored here has not. */
  readonly unknown: boolean;
}

export function knownScores(facts: Facts, classifier: string, category: string): Known {
  const scores: number[] = [];
  const answered = new Set<string>();
  let unknown = false;
  for (const result of facts.results) {
    if (!covers(classifier, category, result)) continue;
    answered.add(result.classifier_id);
    if ('unknown' in result) unknown = true;
    else scores.push(result.score);
  }
  if (classifier !== '*') {
    const status = facts.classifiers.get(classifier);
    if (status !== 'ok') unknown = true;
    else if (answered.size === 0 && readsAny(facts, classifier)) scores.push(0);
    return { scores, unknown };
  }
  for (const [id, status] of facts.classifiers) {
    if (status !== 'ok') unknown = true;
    else if (!answered.has(id) && readsAny(facts, id)) scores.push(0);
  }
  // A classifier that answered without having been asked is not trusted to be all there is.
  for (const id of answered) if (!facts.classifiers.has(id)) unknown = true;
  return { scores, unknown: unknown || facts.classifiers.size === 0 };
}

/** Whether the classifier reads any of what is there; of nothing, all is read. */
function readsAny({ contentTypes, reads }: Facts, id: string): boolean {
  const types = reads?.get(id);
  return types === undefined || contentTypes === undefined || contentTypes.length === 0 || contentTypes.some((type) => types.includes(type));
}

/** The content types that a condition names. */
export function askedTypes(condition: Condition): readonly ContentType[] {
  if (condition.kind === 'all' || condition.kind === 'any') return [...new Set(condition.of.flatMap(askedTypes))];
  if (condition.kind === 'not') return askedTypes(condition.of);
  return condition.kind === 'context' && condition.key === CONTENT_TYPE ? CONTENT_TYPES.filter((type) => type === condition.value) : [];
}

/** The facts as a rule sees them that asks for these content types: `facts` themselves where its classifiers read all of them that are there. */
export function factsFor(asked: readonly ContentType[], facts: Facts): Facts {
  const wanted = asked.filter((type) => facts.contentTypes?.includes(type));
  if (wanted.length === 0) return facts;
  const unread = [...(facts.reads ?? [])].filter(([, types]) => wanted.some((type) => !types.includes(type)));
  if (unread.length === 0) return facts;
  return { ...facts, classifiers: new Map([...facts.classifiers, ...unread.map(([id]) => [id, 'unsupported'] as const)]) };
}

export function scoreTruth(leaf: ScoreLeaf, known: Known): Truth {
  return compileScore(leaf)(known);
}

/** The leaf as a function of what is known: one closure per operator, so that each compares numbers and nothing else. */
export function compileScore(leaf: ScoreLeaf): (known: Known) => Truth {
  if (leaf.operator === 'exists') return ({ scores }) => (scores.length > 0 === leaf.value ? TRUE : FALSE);
  const holds = compileTest(leaf.operator, leaf.value);
  return ({ scores, unknown }) => {
    for (let i = 0; i < scores.length; i++) if (holds(scores[i])) return TRUE;
    return unknown ? UNKNOWN : FALSE;
  };
}

function compileTest(operator: Exclude<Operator, 'exists'>, value: OperatorValue): (score: number) => boolean {
  const [low, high] = (Array.isArray(value) ? value : [value, value]) as readonly [number, number];
  switch (operator) {
    case 'gt':
      return (score) => score > low;
    case 'gte':
      return (score) => score >= low;
    case 'lt':
      return (score) => score < low;
    case 'lte':
      return (score) => score <= low;
    case 'eq':
      return (score) => score === low;
    case 'between':
      return (score) => score >= low && score <= high;
  }
}

/** A context key with several values: the types of what is screened. */
export const CONTENT_TYPE = 'content_type';

export function contextTruth(leaf: ContextLeaf, facts: Facts): Truth {
  const { contentTypes } = facts;
  if (leaf.key === CONTENT_TYPE && contentTypes !== undefined) {
    const holds = leaf.operator === 'exists' ? contentTypes.length > 0 === leaf.value : contentTypes.some((type) => type === leaf.value);
    return holds ? TRUE : FALSE;
  }
  const present = Object.hasOwn(facts.context, leaf.key);
  if (leaf.operator === 'exists') return present === leaf.value ? TRUE : FALSE;
  return present && compare(facts.context[leaf.key], leaf.operator, leaf.value) ? TRUE : FALSE;
}

/** Whether this result makes the leaf true. */
export function satisfies(leaf: ScoreLeaf, result: ClassifierResult): result is ScoredResult {
  if ('unknown' in result || !covers(leaf.classifier, leaf.category, result)) return false;
  return leaf.operator === 'exists' ? leaf.value === true : compileTest(leaf.operator, leaf.value)(result.score);
}

function covers(classifier: string, category: string, result: ClassifierResult): boolean {
  return (classifier === '*' || classifier === result.classifier_id) && (category === '*' || category === result.category);
}

type Comparable = number | string | boolean;

/** Numbers with numbers and text with text (by code unit); different kinds are never in order and never equal. */
function compare(actual: Comparable, operator: Exclude<Operator, 'exists'>, value: OperatorValue): boolean {
  if (operator === 'between') {
    const [low, high] = value as readonly [number, number];
    return typeof actual === 'number' && actual >= low && actual <= high;
  }
  if (typeof actual !== typeof value) return false;
  const expected = value as Comparable;
  switch (operator) {
    case 'gt':
      return actual > expected;
    case 'gte':
      return actual >= expected;
    case 'lt':
      return actual < expected;
    case 'lte':
      return actual <= expected;
    case 'eq':
      return actual === expected;
  }
}
