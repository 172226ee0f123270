/**
 * What a classifier answered, checked: scores finite and in 0–1, spans inside the text, categories declared, labels and
 * numbers bounded, nothing said twice. Whatever it may not say makes the whole answer worthless: a part of a wrong
 * answer is no better. What comes out is a fresh object with the fields of the records and nothing else.
 */
import type { CategoryDefinition, Classifier } from '../contract/classifier.ts';
import { UNKNOWN_REASONS, type ClassifierResult, type Span, type UnknownReason } from '../contract/screening.ts';

/** Results of one answer. */
export const RESULTS_MAX = 1_000;
/** Spans of one answer, over all of its results. */
export const SPANS_MAX = 10_000;
/** A label is what a redaction writes. */
export const LABEL_CHARS_MAX = 64;

/** Undefined when it is no answer of this classifier to this text. Never throws, whatever `answer` does when it is read. */
export function checkedAnswer(classifier: Classifier, contentChars: number, answer: unknown, latencyMs: number): readonly ClassifierResult[] | undefined {
  try {
    return new AnswerCheck(classifier, contentChars, latencyMs).results(answer);
  } catch {
    return undefined;
  }
}

/** One unknown result for each category; by default for those that it is asked for. */
export function unknowns(classifier: Classifier, reason: UnknownReason, latencyMs: number, categories = askedCategories(classifier)): readonly ClassifierResult[] {
  return categories.map((category) => ({ classifier_id: classifier.id, category: category.id, unknown: true, reason, latency_ms: latencyMs, ...nameOnly(category) }));
}

/** Those that `classify` answers for: what its patterns find, the scan says. */
export function askedCategories({ categories, patterns = [] }: Classifier): readonly CategoryDefinition[] {
  const found = new Set(patterns.map(({ category }) => category));
  return categories.filter(({ id }) => !found.has(id));
}

const nameOnly = (category: CategoryDefinition | undefined): { readonly named?: true } => (category?.named === true ? NAMED : NOT_NAMED);
const NAMED = { named: true } as const;
const NOT_NAMED = {} as const;

class AnswerCheck {
  readonly #classifierId: string;
  readonly #categories: ReadonlyMap<string, CategoryDefinition>;
  readonly #contentChars: number;
  readonly #latencyMs: number;
  /** Of each category: whether it is known, and what was said of it. */
  readonly #said = new Map<string, { readonly known: boolean; readonly keys: Set<string> }>();
  #spans = 0;

  constructor(classifier: Classifier, contentChars: number, latencyMs: number) {
    this.#classifierId = classifier.id;
    this.#categories = new Map(classifier.categories.map((category) => [category.id, category]));
    this.#contentChars = contentChars;
    this.#latencyMs = latencyMs;
  }

  results(answer: unknown): readonly ClassifierResult[] | undefined {
    if (!Array.isArray(answer) || answer.length > RESULTS_MAX) return undefined;
    const results: ClassifierResult[] = [];
    for (let i = 0; i < answer.length; i += 1) {
      const result = this.#result(answer[i]);
      if (result === undefined) return undefined;
      results.push(result);
    }
    return results;
  }

  /** Each field is read once: what was checked is what is kept. */
  #result(value: unknown): ClassifierResult | undefined {
    if (typeof value !== 'object' || value === null) return undefined;
    const { classifier_id: id, category, score, label, spans, unknown: isUnknown, reason, guess } = value as Record<string, unknown>;
    if (id !== this.#classifierId || typeof category !== 'string' || !this.#categories.has(category)) return undefined;
    const own = { classifier_id: id, category, ...nameOnly(this.#categories.get(category)) } as const;
    if (isUnknown === true) {
      if (!isReason(reason) || !this.#isNew(category, false, '')) return undefined;
      if (guess === undefined) return { ...own, unknown: true, reason, latency_ms: this.#latencyMs };
      return isScore(guess) ? { ...own, unknown: true, reason, guess, latency_ms: this.#latencyMs } : undefined;
    }
    if (isUnknown !== undefined && isUnknown !== false) return undefined;
    if (!isScore(score) || !isLabel(label) || !this.#isNew(category, true, `${score} ${label}`)) return undefined;
    const checked = this.#checkedSpans(spans);
    return checked && { ...own, score, label, spans: checked, latency_ms: this.#latencyMs };
  }

  /** A category is known or not, and one score with one label is one result with all of its spans. */
  #isNew(category: string, known: boolean, key: string): boolean {
    const said = this.#said.get(category);
    if (said === undefined) this.#said.set(category, { known, keys: new Set([key]) });
    else if (said.known !== known || said.keys.has(key)) return false;
    else said.keys.add(key);
    return true;
  }

  #checkedSpans(spans: unknown): readonly Span[] | undefined {
    if (!Array.isArray(spans) || (this.#spans += spans.length) > SPANS_MAX) return undefined;
    const checked: Span[] = [];
    for (let i = 0; i < spans.length; i += 1) {
      const { start, end } = (spans[i] ?? {}) as { readonly start?: unknown; readonly end?: unknown };
      if (typeof start !== 'number' || typeof end !== 'number' || !Number.isInteger(start) || !Number.isInteger(end)) return undefined;
      if (start < 0 || start >= end || end > this.#contentChars) return undefined;
      checked.push({ start, end });
    }
    return checked;
  }
}

function isScore(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

function isReason(value: unknown): value is UnknownReason {
  return UNKNOWN_REASONS.some((reason) => reason === value);
}

/** Neither control characters nor brackets: a redaction writes it between brackets into text. */
function isLabel(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= LABEL_CHARS_MAX && !/[\p{C}\[\]]/u.test(value);
}
