/** Classifiers for tests that answer as they are told, and the calls that the ensemble tells of. */
import { CHANNELS, type ClassifierCalled } from '../../src/contract/channels.ts';
import type { Classifier, Readings } from '../../src/contract/classifier.ts';
import type { ClassifierResult, ScoredResult, ScreeningRequest, UnknownReason } from '../../src/contract/screening.ts';

/** A classifier of one category, `toxic`, unless `more` says otherwise. */
export function classifierOf(id: string, classify: (request: ScreeningRequest, signal: AbortSignal, readings: Readings) => unknown, more: Partial<Classifier> = {}): Classifier {
  return {
    id, version: '1', categories: [{ id: 'toxic', definition: 'made up' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'slow', needsContext: false,
    classify: classify as NonNullable<Classifier['classify']>, ...more,
  };
}

export function scored(id: string, score: number, more: Partial<ScoredResult> = {}): ScoredResult {
  return { classifier_id: id, category: 'toxic', score, label: 'TOXIC', spans: [], latency_ms: 0, ...more };
}

export function requestOf(content: string, more: Partial<ScreeningRequest> = {}): ScreeningRequest {
  return { request_id: 'r', tenant_id: 'acme', direction: 'input', content, content_type: 'text', created_at: new Date(0).toISOString(), ...more };
}

/** `0.9`, or why there is no score. */
export function said(results: readonly ClassifierResult[]): readonly (number | UnknownReason)[] {
  return results.map((result) => ('unknown' in result ? result.reason : result.score));
}

/** Calls told from now on; `end` stops. */
export function calls(): { readonly told: ClassifierCalled[]; readonly outcomes: (id?: string) => readonly string[]; end(): void } {
  const told: ClassifierCalled[] = [];
  const listen = (message: unknown): void => void told.push(message as ClassifierCalled);
  CHANNELS.classifierCalled.subscribe(listen);
  return { told, outcomes: (id) => told.filter(({ classifier }) => id === undefined || classifier === id).map(({ outcome }) => outcome), end: () => CHANNELS.classifierCalled.unsubscribe(listen) };
}

/** Resolves when `holds`, looked at in every turn of the loop; rejects after half a minute. */
export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > end) throw new Error('it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A promise and its ends. */
export function deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void; readonly reject: (error: Error) => void } {
  return Promise.withResolvers<T>();
}
