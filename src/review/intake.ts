/**
 * What comes into the review queue: of each closed exchange, its directions whose decision, in time or late, was to escalate, with the
 * severity of their rules, a deadline, and the pages about them. The item's id follows from the exchange, so an exchange
 * that is taken in twice is one item. Pure.
 */
import { createHmac } from 'node:crypto';
import type { DecisionRecord, ExchangeRecord, LateRecord } from '../contract/exchange.ts';
import type { Policy } from '../contract/policy.ts';
import { DIRECTIONS, SEVERITIES, type Direction, type Severity } from '../contract/screening.ts';
import type { NewPage } from '../store/pages.ts';
import type { NewReviewItem } from '../store/reviews.ts';

export interface IntakeSettings {
  /** By when a person is to have seen it. */
  readonly deadlinesMs: Readonly<Record<Severity, number>>;
  /** Of the items below `critical`, which all are, how many two people decide. From 0 to 1. */
  readonly doubleBlindShare: number;
  /** Decides with an item's id whether it is among them, so that nobody can choose. */
  readonly drawKey: Buffer;
  /** Who does not answer is followed by the next after this. */
  readonly escalateAfterMs: number;
  /** How many are asked one after the other; 0: nobody is paged. */
  readonly steps: number;
}

export interface Intake {
  readonly item: NewReviewItem;
  readonly pages: readonly Omit<NewPage, 'review_id'>[];
}

/** `policyOf`: by `id@revision`, undefined where it is no longer known. */
export function intakeOf(record: ExchangeRecord, settings: IntakeSettings, policyOf: (name: string) => Policy | undefined): readonly Intake[] {
  return escalatedOf(record).map(({ direction, decision }) => {
    const severity = severityOf(policyOf(record.policy ?? ''), decision.triggered_rules);
    const createdMs = Date.parse(record.started_at) + record.duration_ms;
    const reviewId = reviewIdOf(record.request_id, direction);
    const item: NewReviewItem = {
      review_id: reviewId, request_id: record.request_id, tenant_id: record.tenant_id, direction, origin: 'escalate', severity, policy: record.policy ?? '', triggered_rules: decision.triggered_rules,
      classifier_results: decision.classifier_results.map(({ classifier_id, category, score, unknown }) => ({ classifier_id, category, ...(score === undefined ? {} : { score }), ...(unknown === undefined ? {} : { unknown }) })),
      action: decision.action, double_blind: severity === 'critical' || isDrawn(reviewId, settings), created_at: iso(createdMs), due_at: iso(createdMs + settings.deadlinesMs[severity]), hold_until: null,
    };
    return { item, pages: pagesOf(severity, createdMs, settings) };
  });
}

/** Its directions that were escalated, in time or late. */
export function escalatedOf(record: ExchangeRecord): readonly { readonly direction: Direction; readonly decision: DecisionRecord | LateRecord }[] {
  return DIRECTIONS.flatMap((direction) => {
    const late = record.late?.direction === direction ? record.late : undefined;
    const decision = [record[direction], late].find((one) => one?.action === 'escalate');
    return decision === undefined ? [] : [{ direction, decision }];
  });
}

export function reviewIdOf(requestId: string, direction: Direction): string {
  return `rev_${requestId}.${direction}`;
}

/** The most severe of the rules that fired; `medium` where none says. */
function severityOf(policy: Policy | undefined, triggered: readonly string[]): Severity {
  const named = (policy?.rules ?? []).filter(({ id }) => triggered.includes(id)).flatMap(({ severity }) => (severity === undefined ? [] : [SEVERITIES.indexOf(severity)]));
  return named.length === 0 ? 'medium' : SEVERITIES[Math.max(...named)]!;
}

function isDrawn(reviewId: string, { doubleBlindShare, drawKey }: IntakeSettings): boolean {
  return createHmac('sha256', drawKey).update(`double-blind ${reviewId}`).digest().readUInt32BE() / 2 ** 32 < doubleBlindShare;
}

/** A critical item pages at once, whoever has it; one of high severity when half of its time is over and nobody has it. */
function pagesOf(severity: Severity, createdMs: number, { deadlinesMs, escalateAfterMs, steps }: IntakeSettings): readonly Omit<NewPage, 'review_id'>[] {
  if (severity !== 'critical' && severity !== 'high') return [];
  const isCritical = severity === 'critical';
  const firstMs = createdMs + (isCritical ? 0 : deadlinesMs.high / 2);
  return Array.from({ length: steps }, (_, i) => ({ step: isCritical ? i : i + 1, kind: 'trigger' as const, due_at: iso(firstMs + i * escalateAfterMs) }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
