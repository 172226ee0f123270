/**
 * What a service found, as ClassifierResults: equal findings are one result with all of their spans, and every declared
 * category has one. A category that the service did not mention is unknown, or 0 where the service lists only what it
 * finds. Scores, spans and names are checked by the host, which refuses the whole answer where one is wrong.
 */
import type { CategoryDefinition } from '#contract/classifier.ts';
import type { ClassifierResult, Span, UnknownReason } from '#contract/screening.ts';
import { ServiceError } from './client.ts';

/** A score in our words. Without spans it is about the whole text. */
export interface ScoredFinding {
  readonly category: string;
  readonly score: number;
  /** What a redaction writes; the category where it is absent. */
  readonly label?: string;
  readonly spans?: readonly Span[];
}

/** The service says that it has no score, and why. */
export interface UnknownFinding {
  readonly category: string;
  readonly unknown: UnknownReason;
}

export type Finding = ScoredFinding | UnknownFinding;

export const OMITTED = ['unknown', 'zero'] as const;
/** What a category counts that the service did not mention. */
export type Omitted = (typeof OMITTED)[number];

/** Findings of one answer. */
export const FINDINGS_MAX = 5_000;

/** The host measures the time of every call by itself. */
const LATENCY_MS = 0;

interface Joined {
  readonly category: string;
  readonly score: number;
  readonly label: string;
  readonly spans: Span[];
  /** One of the findings has no spans. */
  whole: boolean;
}

interface Answering {
  readonly id: string;
  readonly categories: readonly Pick<CategoryDefinition, 'id'>[];
}

/** Throws ServiceError when there are too many. */
export function resultsFrom({ id, categories }: Answering, findings: readonly Finding[], omitted: Omitted): readonly ClassifierResult[] {
  if (findings.length > FINDINGS_MAX) throw new ServiceError('error', `the service answered ${findings.length} results, the limit is ${FINDINGS_MAX}`);
  const joined = new Map<string, Joined>();
  const unknown: ClassifierResult[] = [];
  for (const finding of findings) {
    if ('unknown' in finding) {
      unknown.push(...unknownResults({ id, categories: [{ id: finding.category }] }, finding.unknown));
      continue;
    }
    const { category, score, label = category, spans = [] } = finding;
    const key = JSON.stringify([category, score, label]);
    const one = joined.get(key) ?? { category, score, label, spans: [], whole: false };
    one.spans.push(...spans);
    one.whole ||= spans.length === 0;
    joined.set(key, one);
  }
  const results = [...joined.values()].map(({ category, score, label, spans, whole }): ClassifierResult => ({
    classifier_id: id, category, score, label, spans: whole ? [] : joinSpans(spans), latency_ms: LATENCY_MS,
  }));
  results.push(...unknown);
  const mentioned = new Set(findings.map(({ category }) => category));
  const missing = categories.filter((category) => !mentioned.has(category.id));
  if (omitted === 'unknown') return [...results, ...unknownResults({ id, categories: missing }, 'error')];
  return [...results, ...missing.map((category): ClassifierResult => ({ classifier_id: id, category: category.id, score: 0, label: category.id, spans: [], latency_ms: LATENCY_MS }))];
}

/** One unknown result for each category. */
export function unknownResults({ id, categories }: Answering, reason: UnknownReason): readonly ClassifierResult[] {
  return categories.map((category) => ({ classifier_id: id, category: category.id, unknown: true, reason, latency_ms: LATENCY_MS }));
}

/** What `ask` answers; where the service fails, unknown results with its reason. */
export async function resultsOrUnknown(classifier: Answering, ask: () => Promise<readonly ClassifierResult[]>): Promise<readonly ClassifierResult[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ServiceError) return unknownResults(classifier, error.reason);
    throw error;
  }
}

/** Sorted, and joined where they overlap. */
function joinSpans(spans: readonly Span[]): readonly Span[] {
  const joined: { start: number; end: number }[] = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) {
    const last = joined.at(-1);
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}
