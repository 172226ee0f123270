/**
 * What the facts say about a condition and its leaves, in three values. Pure.
 *
 * The rules, in one place:
 * - A score that is known is compared. Several scores under one leaf (`pii.*`, or one category found twice): any.
 * - A classifier that answered (`ok`) and reports nothing under the leaf counts as one score of 0.
 * - A result without a score, and a classifier that failed or was never asked, are unknown. `*` asks all that were
 *   asked; if none was, it is unknown.
 * - A classifier that is heard later is unknown until then, and so is whether it has a score.
 * - `*` in place of a category stands for all but those that are reached by name alone (`named`).
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
  /** The highest of them, and the lowest; -Infinity and Infinity where there are none. */
  readonly high: number;
  readonly low: number;
  /** Something that could have scored here has not. */
  readonly unknown: boolean;
  /** Something that could score here is heard later. */
  readonly deferred: boolean;
}

export function knownScores(facts: Facts, classifier: string, category: string): Known {
  return classifier === '*' ? knownOfAll(facts, category) : knownOfOne(facts, classifier, category);
}

function knownOfOne(facts: Facts, classifier: string, category: string): Known {
  const deferred = facts.deferred?.has(classifier) === true;
  const ok = facts.classifiers.get(classifier) === 'ok';
  const scores: number[] = [];
  let unknown = deferred || !ok;
  let answered = false;
  for (const result of facts.results) {
    if (!covers(classifier, category, result)) continue;
    answered = true;
    if ('unknown' in result) unknown = true;
    else scores.push(result.score);
  }
  if (ok && !deferred && !answered && readsAny(facts, classifier)) scores.push(0);
  return known(scores, unknown, deferred);
}

function knownOfAll(facts: Facts, category: string): Known {
  const deferred = (facts.deferred?.size ?? 0) > 0;
  const scores: number[] = [];
  const answered = new Set<string>();
  // A classifier that answered without having been asked is not trusted to be all there is.
  let unknown = deferred || facts.classifiers.size === 0;
  for (const result of facts.results) {
    if (!covers('*', category, result)) continue;
    answered.add(result.classifier_id);
    if ('unknown' in result || !facts.classifiers.has(result.classifier_id)) unknown = true;
    if (!('unknown' in result)) scores.push(result.score);
  }
  for (const [id, status] of facts.classifiers) {
    if (status !== 'ok') unknown = true;
    else if (facts.deferred?.has(id) !== true && !answered.has(id) && readsAny(facts, id)) scores.push(0);
  }
  return known(scores, unknown, deferred);
}

function known(scores: readonly number[], unknown: boolean, deferred: boolean): Known {
  let [high, low] = [-Infinity, Infinity];
  for (const score of scores) {
    if (score > high) high = score;
    if (score < low) low = score;
  }
  return { scores, high, low, unknown, deferred };
}

/** Whether the classifier reads any of what is there; of nothing, all is read. */
function readsAny({ contentTypes, reads }: Facts, id: string): boolean {
  const types = reads?.get(id);
  return types === undefined || contentTypes === undefined || contentTypes.length === 0 || contentTypes.some((type) => types.includes(type));
}

/** Every `classifier.category` that a condition reads. */
export function scoreNames(condition: Condition): readonly Pick<ScoreLeaf, 'classifier' | 'category'>[] {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.flatMap(scoreNames);
  if (condition.kind === 'not') return scoreNames(condition.of);
  return condition.kind === 'score' ? [condition] : [];
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
export function compileScore({ operator, value }: ScoreLeaf): (known: Known) => Truth {
  const [low, high] = (Array.isArray(value) ? value : [value, value]) as readonly [number, number];
  switch (operator) {
    case 'exists': return ({ scores, deferred }) => (deferred && scores.length === 0 ? UNKNOWN : scores.length > 0 === (value as unknown) ? TRUE : FALSE);
    case 'gt': return (known) => (known.high > low ? TRUE : known.unknown ? UNKNOWN : FALSE);
    case 'gte': return (known) => (known.high >= low ? TRUE : known.unknown ? UNKNOWN : FALSE);
    case 'lt': return (known) => (known.low < low ? TRUE : known.unknown ? UNKNOWN : FALSE);
    case 'lte': return (known) => (known.low <= low ? TRUE : known.unknown ? UNKNOWN : FALSE);
    case 'eq':
    case 'between': return ({ scores, unknown }) => (scores.some((score) => score >= low && score <= high) ? TRUE : unknown ? UNKNOWN : FALSE);
  }
}

/** The score above 0 below which the leaf is false, unless one is missing; undefined where it may hold without any. */
export function leastScore({ operator, value }: ScoreLeaf): number | undefined {
  const [low] = (Array.isArray(value) ? value : [value]) as readonly [number];
  if (operator === 'gt') return Math.max(low, Number.MIN_VALUE);
  return (operator === 'gte' || operator === 'eq' || operator === 'between') && low > 0 ? low : undefined;
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
  return compileContext(leaf)(facts);
}

export function compileContext({ key, operator, value }: ContextLeaf): (facts: Facts) => Truth {
  const ofContext = operator === 'exists' ? ({ context }: Facts) => (Object.hasOwn(context, key) === value ? TRUE : FALSE) : compileCompare(key, operator, value);
  if (key !== CONTENT_TYPE) return ofContext;
  return (facts) => {
    const { contentTypes } = facts;
    if (contentTypes === undefined) return ofContext(facts);
    const holds = operator === 'exists' ? contentTypes.length > 0 === value : contentTypes.some((type) => type === value);
    return holds ? TRUE : FALSE;
  };
}

/** Equality is what most conditions ask for; nothing that an object inherits is equal to text, a number or a flag. */
function compileCompare(key: string, operator: Exclude<Operator, 'exists'>, value: OperatorValue): (facts: Facts) => Truth {
  if (operator === 'eq') return ({ context }) => (context[key] === value ? TRUE : FALSE);
  return ({ context }) => (Object.hasOwn(context, key) && compare(context[key], operator, value) ? TRUE : FALSE);
}

/** Whether this result makes the leaf true. */
export function satisfies(leaf: ScoreLeaf, result: ClassifierResult): result is ScoredResult {
  if ('unknown' in result || !covers(leaf.classifier, leaf.category, result)) return false;
  return leaf.operator === 'exists' ? leaf.value === true : compileTest(leaf.operator, leaf.value)(result.score);
}

function covers(classifier: string, category: string, result: ClassifierResult): boolean {
  return (classifier === '*' || classifier === result.classifier_id) && (category === '*' ? result.named !== true : category === result.category);
}

type Comparable = number | string | boolean;

/** Numbers with numbers and text with text (by code unit); different kinds are never in order and never equal. */
function compare(actual: Comparable, operator: Exclude<Operator, 'exists' | 'eq'>, value: OperatorValue): boolean {
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
  }
}
