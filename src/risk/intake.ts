/**
 * What becomes of a closing entry in a campaign: a task for each direction that was drawn, under an id that follows from
 * it, so that an entry that comes twice is one task. Reads the entry as it stands in a log, which may be another's and of
 * another version: what is no sample is left out. Pure.
 */
import { createHmac } from 'node:crypto';
import { INCLUSION_PROBABILITY_MIN, SAMPLED_DECISIONS, type SampleRecord } from '../contract/risk.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import { taskIdOf, type NewTask } from '../store/annotation-tasks.ts';
import type { NearestScore } from '../store/risk-counts.ts';

export interface IntakeSettings {
  productOf(tenantId: string): string;
  /** Of the tasks of a campaign, how many two people label. From 0 to 1. */
  doubleBlindShare(campaign: string): number;
  /** Decides with a task's id whether it is among them, so that nobody can choose. */
  readonly drawKey: Buffer;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** Of one exchange: as many campaigns as there can be, in both directions. */
export const SAMPLES_MAX = 200;

/** None of what is no exchange, or had nothing drawn. */
export function tasksOf(entry: Readonly<Record<string, unknown>>, { productOf, doubleBlindShare, drawKey }: IntakeSettings): readonly NewTask[] {
  const { kind, request_id: requestId, tenant_id: tenantId, started_at: startedAt, time, samples } = entry;
  if (kind !== 'exchange' || !Array.isArray(samples) || typeof requestId !== 'string' || requestId === '' || typeof tenantId !== 'string' || typeof startedAt !== 'string' || Number.isNaN(Date.parse(startedAt))) return [];
  return samples.slice(0, SAMPLES_MAX).filter(isSample).map(({ campaign, direction, stratum, probability, decision, modality }): NewTask => {
    const taskId = taskIdOf(campaign, requestId, direction);
    const isDouble = createHmac('sha256', drawKey).update(`double-blind ${taskId}`).digest().readUIntBE(0, 6) / 2 ** 48 < doubleBlindShare(campaign);
    return {
      task_id: taskId, campaign, tenant_id: tenantId, product: productOf(tenantId), request_id: requestId, started_at: startedAt, direction, stratum, inclusion_probability: probability,
      automated_filter_result: decision, modality, wanted: isDouble ? 2 : 1, created_at: typeof time === 'string' ? time : startedAt,
    };
  });
}

/** Which score came nearest to a decision on each of its tasks; none of those without one. Ties go to the first by name. */
export function nearestOf(entry: Readonly<Record<string, unknown>>, tasks: readonly NewTask[]): readonly NearestScore[] {
  return tasks.flatMap(({ task_id, direction }) => {
    const { classifier_results: results } = (entry[direction] ?? {}) as { readonly classifier_results?: unknown };
    const scores = Array.isArray(results) ? results.filter(isScore) : [];
    const [first] = scores.sort((a, b) => b.score - a.score || (`${a.classifier_id}.${a.category}` < `${b.classifier_id}.${b.category}` ? -1 : 1));
    return first === undefined ? [] : [{ task_id, classifier_id: first.classifier_id, category: first.category, score: first.score }];
  });
}

function isScore(value: unknown): value is Omit<NearestScore, 'task_id'> {
  const { classifier_id: classifier, category, score } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  return typeof classifier === 'string' && typeof category === 'string' && typeof score === 'number' && score >= 0 && score <= 1;
}

function isSample(value: unknown): value is SampleRecord {
  const { campaign, direction, stratum, probability, decision, modality } = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  return isName(campaign) && isName(stratum) && typeof probability === 'number' && probability >= INCLUSION_PROBABILITY_MIN && probability <= 1 && isOne(DIRECTIONS, direction) && isOne(SAMPLED_DECISIONS, decision) && isOne(CONTENT_TYPES, modality);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && NAME.test(value);
}

function isOne(words: readonly string[], value: unknown): boolean {
  return words.some((word) => word === value);
}
