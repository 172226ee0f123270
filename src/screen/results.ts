/** Results put together: from findings of the automaton, and as the short form that records carry. Pure. */
import type { DecisionRecord } from '../contract/exchange.ts';
import type { ClassifierResult, ScoredResult } from '../contract/screening.ts';
import type { Finding } from '../match/scan.ts';
import type { CompiledPattern } from '../match/compiled.ts';

type Spans = { start: number; end: number }[];

/** Findings as results: one for each classifier, category, label and score; spans in order, joined where they overlap. */
export function resultsOf(findings: readonly Finding[], latencyMs: number): readonly ScoredResult[] {
  const results = new Map<string, { pattern: CompiledPattern; spans: Spans }>();
  for (const { pattern, start, end } of [...findings].sort((a, b) => a.start - b.start)) {
    const { definition } = pattern;
    const key = `${pattern.classifier}\n${definition.category}\n${definition.label}\n${definition.score ?? 1}`;
    const known = results.get(key);
    if (known === undefined) results.set(key, { pattern, spans: [{ start, end }] });
    else addSpan(known.spans, start, end);
  }
  return [...results.values()].map(({ pattern, spans }) => ({
    classifier_id: pattern.classifier,
    category: pattern.definition.category,
    score: pattern.definition.score ?? 1,
    label: pattern.definition.label,
    spans,
    latency_ms: latencyMs,
  }));
}

/** Two patterns of one category may find the same text. Starts do not decrease. */
function addSpan(spans: Spans, start: number, end: number): void {
  const last = spans[spans.length - 1];
  if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
  else spans.push({ start, end });
}

export function isScored(result: ClassifierResult): result is ScoredResult {
  return !('unknown' in result);
}

/** Results of a text so far: scores and labels once, spans not kept, so that long answers cost no memory. */
export function merged(known: readonly ScoredResult[], found: readonly ScoredResult[]): ScoredResult[] {
  const out = [...known];
  for (const result of found) {
    if (!out.some((r) => r.classifier_id === result.classifier_id && r.category === result.category && r.score === result.score)) out.push({ ...result, spans: [] });
  }
  return out;
}

type Summary = DecisionRecord['classifier_results'][number];

/** Counts results by classifier and category, without their spans: the highest score, how many places, and why there is no score. */
export class ResultTally {
  readonly #byCategory = new Map<string, { -readonly [K in keyof Summary]: Summary[K] }>();

  /** Adds the results of one text. Places that two results of a category share count once. */
  add(results: readonly ClassifierResult[]): void {
    const places = new Map<string, Spans>();
    for (const result of results) {
      const key = `${result.classifier_id}.${result.category}`;
      const entry = this.#entry(key, result);
      if ('unknown' in result) entry.unknown ??= result.reason;
      else {
        entry.score = Math.max(entry.score ?? 0, result.score);
        places.set(key, [...(places.get(key) ?? []), ...result.spans]);
      }
    }
    for (const [key, spans] of places) this.#byCategory.get(key)!.count += countPlaces(spans);
  }

  summary(): readonly Summary[] {
    return [...this.#byCategory.values()];
  }

  #entry(key: string, result: ClassifierResult): { -readonly [K in keyof Summary]: Summary[K] } {
    let entry = this.#byCategory.get(key);
    if (entry === undefined) this.#byCategory.set(key, (entry = { classifier_id: result.classifier_id, category: result.category, ...(result.named === true ? { named: true } : {}), count: 0 }));
    return entry;
  }
}

/** Spans that do not touch another before them; a result without spans is one place. */
function countPlaces(spans: Spans): number {
  const joined: Spans = [];
  for (const { start, end } of [...spans].sort((a, b) => a.start - b.start)) addSpan(joined, start, end);
  return Math.max(1, joined.length);
}
