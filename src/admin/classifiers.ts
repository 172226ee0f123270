/**
 * The classifiers that run, over the API: which version, what they judge, whether they are asked at the moment, how long
 * they took and what did not arrive in this process, and what their model card says of how good they are.
 */
import type { BreakerState, CallOutcome } from '../contract/channels.ts';
import type { Classifier } from '../contract/classifier.ts';
import type { ModelCard } from '../contract/model-card.ts';
import type { DeskAnswer, DeskRequest, Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface ClassifierDesk {
  readonly since: Date;
  running(): readonly { readonly classifier: Classifier; readonly plugin: string }[];
  figures(classifier: string): { readonly state: BreakerState; readonly outcomes: Readonly<Record<CallOutcome, number>>; readonly latencyMs: { readonly n: number; readonly p50: number; readonly p95: number; readonly p99: number } | null };
  card(plugin: string): Promise<ModelCard | undefined>;
}

export interface ClassifierSummary {
  readonly id: string;
  /** Of ours by name; of an operator's own the file's name. */
  readonly plugin: string;
  readonly version: string;
  readonly categories: readonly { readonly id: string; readonly definition: string }[];
  readonly directions: readonly string[];
  readonly content_types: readonly string[];
  readonly languages: readonly string[];
  readonly cost: string;
  readonly state: BreakerState;
  readonly outcomes: Readonly<Record<CallOutcome, number>>;
  readonly latency_ms: { readonly n: number; readonly p50: number; readonly p95: number; readonly p99: number } | null;
  readonly card: ModelCard | null;
}

export const CLASSIFIER_ROUTES: readonly Route<ClassifierDesk>[] = [
  { method: 'GET', path: '/api/v1/classifiers', name: 'listClassifiers', access: ['admin', 'policy', 'reviewer', 'auditor'], meaning: 'classifiers: version, state, latency and outcomes in this process, and what their model cards measured', answers: { 200: { meaning: 'in the order of the configuration', schema: ref('ClassifierList') } }, run: list },
];

async function list({ since, running, figures, card }: ClassifierDesk, _: DeskRequest): Promise<DeskAnswer> {
  const classifiers = await Promise.all(running().map(async ({ classifier: { id, version, categories, directions, contentTypes, languages, cost }, plugin }): Promise<ClassifierSummary> => {
    const { state, outcomes, latencyMs } = figures(id);
    return {
      id, plugin: plugin.split('/').at(-1)!, version, categories: categories.map(({ id: category, definition }) => ({ id: category, definition })), directions, content_types: contentTypes, languages, cost, state, outcomes,
      latency_ms: latencyMs, card: (await card(plugin)) ?? null,
    };
  }));
  return { status: 200, body: { since: since.toISOString(), classifiers } };
}
