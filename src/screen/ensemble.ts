/**
 * Asks scored classifiers about one text, all at once, under one deadline. Guarantees: answers by the deadline whatever
 * a classifier does; what is missing, late or malformed is an unknown result with its reason, never a score; a
 * classifier that throws costs only itself.
 */
import type { Classifier } from '../contract/classifier.ts';
import type { ClassifierResult, ScreeningRequest, UnknownReason } from '../contract/screening.ts';

/** One result for each category that a classifier answered for, and an unknown one for each that it owes. */
export async function askAll(classifiers: readonly Classifier[], request: ScreeningRequest, deadlineMs: number, signal?: AbortSignal): Promise<readonly ClassifierResult[]> {
  const started = performance.now();
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), deadlineMs);
  const stop = signal === undefined ? deadline.signal : AbortSignal.any([deadline.signal, signal]);
  try {
    return (await Promise.all(classifiers.map((classifier) => askOne(classifier, request, stop, started)))).flat();
  } finally {
    clearTimeout(timer);
  }
}

async function askOne(classifier: Classifier, request: ScreeningRequest, stop: AbortSignal, started: number): Promise<readonly ClassifierResult[]> {
  const missing = (reason: UnknownReason): readonly ClassifierResult[] => unknowns(classifier, reason, performance.now() - started);
  if (!classifier.directions.includes(request.direction) || !classifier.contentTypes.includes(request.content_type)) return missing('unsupported');
  try {
    const answer = await Promise.race([Promise.resolve(classifier.classify!(request, stop)), aborted(stop)]);
    return answer === undefined ? missing('timeout') : checkedResults(classifier, request.content, answer, performance.now() - started);
  } catch {
    return missing(stop.aborted ? 'timeout' : 'error');
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}

/** One unknown result for each category. */
export function unknowns(classifier: Classifier, reason: UnknownReason, latencyMs: number): readonly ClassifierResult[] {
  return classifier.categories.map(({ id }) => ({ classifier_id: classifier.id, category: id, unknown: true, reason, latency_ms: latencyMs }));
}

/** Whatever a classifier may not say makes its whole answer unknown: a part of a wrong answer is no better. */
function checkedResults(classifier: Classifier, content: string, answer: unknown, latencyMs: number): readonly ClassifierResult[] {
  const declared = new Set(classifier.categories.map(({ id }) => id));
  const valid = Array.isArray(answer) && answer.length <= 10_000 && answer.every((result) => isResult(result, classifier.id, declared, content.length));
  return valid ? (answer as ClassifierResult[]) : unknowns(classifier, 'error', latencyMs);
}

function isResult(value: unknown, classifierId: string, declared: ReadonlySet<string>, contentChars: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { classifier_id: id, category, score, label, spans, unknown: isUnknown, reason } = value as Record<string, unknown>;
  if (id !== classifierId || typeof category !== 'string' || !declared.has(category)) return false;
  if (isUnknown === true) return typeof reason === 'string';
  return typeof score === 'number' && score >= 0 && score <= 1 && typeof label === 'string' && Array.isArray(spans) && spans.every((span) => isSpan(span, contentChars));
}

function isSpan(value: unknown, contentChars: number): boolean {
  const { start, end } = (value ?? {}) as Record<string, unknown>;
  return Number.isInteger(start) && Number.isInteger(end) && (start as number) >= 0 && (start as number) < (end as number) && (end as number) <= contentChars;
}
