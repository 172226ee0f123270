/**
 * One score made of several classifiers' scores: `ensemble.<category>`, for rules to use like any other. Pure.
 *
 * `max` is the highest; `weighted` the mean by weights; `calibrated` a logistic function of the members' log-odds, with
 * one coefficient for each and a bias. A member whose score is missing makes the combination unknown, unless what is
 * known fixes it already (a 1 under `max`) or `missing: ignore` leaves it out; a `quorum` of members must be known then.
 */
import type { Classifier } from '../contract/classifier.ts';
import { CONTENT_TYPES, DIRECTIONS, type ClassifierResult, type ScoredResult, type Span, type UnknownReason } from '../contract/screening.ts';

export const COMBINE_METHODS = ['max', 'weighted', 'calibrated'] as const;
export type CombineMethod = (typeof COMBINE_METHODS)[number];

export const MISSING_TREATMENTS = ['unknown', 'ignore'] as const;

export interface Combination {
  /** Its scores are `ensemble.<category>`. */
  readonly category: string;
  readonly method: CombineMethod;
  /** Weights, or under `calibrated` coefficients, by `classifier.category`. */
  readonly of: Readonly<Record<string, number>>;
  /** Of `calibrated`. */
  readonly bias: number;
  readonly missing: (typeof MISSING_TREATMENTS)[number];
  /** Members that must be known under `missing: ignore`. */
  readonly quorum: number;
}

/** `classifier_id` of combinations. */
export const ENSEMBLE = 'ensemble';

/** The combinations as rules see them: a classifier that reads what any of its members reads. */
export function ensembleOf(combinations: readonly Combination[], classifiers: readonly Classifier[]): readonly Classifier[] {
  if (combinations.length === 0) return [];
  const members = classifiers.filter(({ id }) => combinations.some((combination) => isMember(combination, id)));
  const categories = combinations.map(({ category, method }) => ({ id: category, definition: `${method} of several classifiers` }));
  return [{
    id: ENSEMBLE, version: '1', categories, languages: ['*'], cost: 'fast', needsContext: false,
    directions: DIRECTIONS.filter((direction) => members.some(({ directions }) => directions.includes(direction))),
    contentTypes: CONTENT_TYPES.filter((type) => members.some(({ contentTypes }) => contentTypes.includes(type))),
  }];
}

/** Whether a score of the classifier is part of it. */
export function isMember({ of }: Combination, classifierId: string): boolean {
  return Object.keys(of).some((name) => memberName(name).classifier === classifierId);
}

/** A member whose score is above it lends its spans. */
const SPEAKS_ABOVE = 0.5;
/** Log-odds of 0 and 1 are infinite: scores are taken this far from both. */
const ODDS_MARGIN = 1e-6;

/** What is known of one member. */
type Member = { readonly weight: number; readonly score: number; readonly results: readonly ScoredResult[] } | { readonly weight: number; readonly reason: UnknownReason };

/** `asked`: ids of the classifiers whose results these are. One of them that says nothing of a category scored it 0. */
export function combined(combination: Combination, results: readonly ClassifierResult[], asked: ReadonlySet<string>): ClassifierResult {
  const members = Object.entries(combination.of).map(([name, weight]) => memberOf(name, weight, results, asked));
  const own = { classifier_id: ENSEMBLE, category: combination.category, latency_ms: Math.max(0, ...results.map((result) => result.latency_ms)) } as const;
  const known = members.filter((member) => 'score' in member);
  const score = scoreOf(combination, members.length, known);
  if (score === undefined) return { ...own, unknown: true, reason: members.find((member) => 'reason' in member)?.reason ?? 'unavailable' };
  const spans = known.flatMap((member) => member.results.filter((result) => result.score > SPEAKS_ABOVE).flatMap((result) => result.spans));
  return { ...own, score, label: labelOf(combination.category), spans: joined(spans) };
}

/** `classifier.category`, cut at its first dot. */
export function memberName(name: string): { readonly classifier: string; readonly category: string } {
  const dot = name.indexOf('.');
  return dot < 0 ? { classifier: name, category: '' } : { classifier: name.slice(0, dot), category: name.slice(dot + 1) };
}

function memberOf(name: string, weight: number, results: readonly ClassifierResult[], asked: ReadonlySet<string>): Member {
  const { classifier, category } = memberName(name);
  if (!asked.has(classifier)) return { weight, reason: 'unavailable' };
  const own = results.filter((result) => result.classifier_id === classifier && result.category === category);
  const unknown = own.find((result) => 'unknown' in result);
  if (unknown !== undefined) return { weight, reason: unknown.reason };
  const scored = own as readonly ScoredResult[];
  return { weight, score: Math.max(0, ...scored.map((result) => result.score)), results: scored };
}

/** Undefined where it is unknown. */
function scoreOf({ method, missing, quorum, bias }: Combination, members: number, known: readonly { readonly weight: number; readonly score: number }[]): number | undefined {
  const highest = Math.max(0, ...known.map(({ score }) => score));
  if (method === 'max' && highest === 1) return 1;
  if (known.length < (missing === 'ignore' ? Math.max(1, quorum) : members)) return undefined;
  if (method === 'max') return highest;
  if (method === 'calibrated') return logistic(bias + sum(known.map(({ weight, score }) => weight * logOdds(score))));
  return Math.min(1, sum(known.map(({ weight, score }) => weight * score)) / sum(known.map(({ weight }) => weight)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function logOdds(score: number): number {
  const inside = Math.min(1 - ODDS_MARGIN, Math.max(ODDS_MARGIN, score));
  return Math.log(inside / (1 - inside));
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** What a redaction writes: `hate/threatening` becomes HATE_THREATENING. */
function labelOf(category: string): string {
  return category.toUpperCase().replace(/[^A-Z0-9]+/g, '_');
}

/** In order; those that overlap or touch are one. */
function joined(spans: readonly Span[]): readonly Span[] {
  const out: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = out[out.length - 1];
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end);
    else out.push({ start, end });
  }
  return out;
}
