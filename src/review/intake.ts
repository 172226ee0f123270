/**
 * What comes into the review queue: what is to wait for a person, at once; and of each closed exchange, its directions
 * whose decision, in time or late, was to escalate and which are not there yet. With the severity of their rules, a
 * deadline, and the pages about them. The item's id follows from the exchange, so an exchange that is taken in twice is
 * one item. Pure.
 */
import { createHmac } from 'node:crypto';
import type { DecisionRecord, ExchangeRecord, LateRecord } from '../contract/exchange.ts';
import type { WantedHold } from '../contract/hold.ts';
import type { Hold, Policy } from '../contract/policy.ts';
import { reviewIdOf } from '../contract/review.ts';
import { DIRECTIONS, SEVERITIES, type Action, type Direction, type Severity } from '../contract/screening.ts';
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
    return { item: recordedItem(record, direction, decision, { origin: 'escalate', severity }, settings), pages: pagesOf(severity, endedMs(record), settings) };
  });
}

/** What waits for a person from now on. */
export function heldIntake({ hold, ...wanted }: WantedHold, nowMs: number, settings: IntakeSettings, policyOf: (name: string) => Policy | undefined): Intake {
  const severity = severityOf(policyOf(wanted.policy), wanted.rules);
  const item = itemOf({ ...wanted, action: 'escalate', createdMs: nowMs, hold }, { origin: 'escalate', severity }, settings);
  return { item, pages: pagesOf(severity, nowMs, settings, hold.forMs) };
}

type Kind = Pick<NewReviewItem, 'origin' | 'severity'>;
type ItemSettings = Pick<IntakeSettings, 'deadlinesMs' | 'doubleBlindShare' | 'drawKey'>;

/** One direction of an exchange as an item, due from when the exchange ended. */
export function recordedItem(record: ExchangeRecord, direction: Direction, { action, triggered_rules: rules, classifier_results: results }: DecisionRecord | LateRecord, kind: Kind, settings: ItemSettings): NewReviewItem {
  return itemOf({ requestId: record.request_id, tenantId: record.tenant_id, policy: record.policy ?? '', direction, rules, results, action, createdMs: endedMs(record) }, kind, settings);
}

interface Escalated extends Pick<WantedHold, 'requestId' | 'tenantId' | 'direction' | 'policy' | 'rules' | 'results'> {
  readonly action: Action;
  readonly createdMs: number;
  readonly hold?: Hold;
}

function itemOf({ requestId, tenantId, direction, policy, rules, results, action, createdMs, hold }: Escalated, { origin, severity }: Kind, settings: ItemSettings): NewReviewItem {
  const reviewId = reviewIdOf(requestId, direction);
  return {
    review_id: reviewId, request_id: requestId, tenant_id: tenantId, direction, origin, severity, policy, triggered_rules: rules,
    classifier_results: results.map(({ classifier_id, category, score, unknown }) => ({ classifier_id, category, ...(score === undefined ? {} : { score }), ...(unknown === undefined ? {} : { unknown }) })),
    action, double_blind: severity === 'critical' || isDrawn(reviewId, settings), created_at: iso(createdMs), due_at: iso(createdMs + settings.deadlinesMs[severity]),
    hold_until: hold === undefined ? null : iso(createdMs + hold.forMs), hold_then: hold?.then ?? null,
  };
}

function endedMs({ started_at, duration_ms }: ExchangeRecord): number {
  return Date.parse(started_at) + duration_ms;
}

/** Its directions that were escalated, in time or late, and are not in the queue already because they waited. */
export function escalatedOf(record: ExchangeRecord): readonly { readonly direction: Direction; readonly decision: DecisionRecord | LateRecord }[] {
  return DIRECTIONS.flatMap((direction) => {
    if (record[direction]?.hold?.review_id !== undefined) return [];
    const late = record.late?.direction === direction ? record.late : undefined;
    const decision = [record[direction], late].find((one) => one?.action === 'escalate' || (one !== undefined && 'escalated' in one));
    return decision === undefined ? [] : [{ direction, decision }];
  });
}

/** Its directions that waited for a person, each as an item of its own. */
export function heldItems({ request_id, tenant_id, ...record }: ExchangeRecord): readonly Pick<NewReviewItem, 'review_id' | 'request_id' | 'tenant_id' | 'direction'>[] {
  return DIRECTIONS.map((direction) => ({ review_id: reviewIdOf(request_id, direction), request_id, tenant_id, direction })).filter(({ review_id, direction }) => record[direction]?.hold?.review_id === review_id);
}

/** The most severe of the rules that fired; `medium` where none says. */
export function severityOf(policy: Policy | undefined, triggered: readonly string[]): Severity {
  const named = (policy?.rules ?? []).filter(({ id }) => triggered.includes(id)).flatMap(({ severity }) => (severity === undefined ? [] : [SEVERITIES.indexOf(severity)]));
  return named.length === 0 ? 'medium' : SEVERITIES[Math.max(...named)]!;
}

function isDrawn(reviewId: string, { doubleBlindShare, drawKey }: Pick<IntakeSettings, 'doubleBlindShare' | 'drawKey'>): boolean {
  return createHmac('sha256', drawKey).update(`double-blind ${reviewId}`).digest().readUInt32BE() / 2 ** 32 < doubleBlindShare;
}

/** A critical item pages at once, whoever has it; one of high severity when half of its time is over, or half of that for which somebody waits, and nobody has it. */
function pagesOf(severity: Severity, createdMs: number, { deadlinesMs, escalateAfterMs, steps }: IntakeSettings, holdMs = Infinity): readonly Omit<NewPage, 'review_id'>[] {
  if (severity !== 'critical' && severity !== 'high') return [];
  const isCritical = severity === 'critical';
  const firstMs = createdMs + (isCritical ? 0 : Math.min(deadlinesMs.high, holdMs) / 2);
  return Array.from({ length: steps }, (_, i) => ({ step: isCritical ? i : i + 1, kind: 'trigger' as const, due_at: iso(firstMs + i * escalateAfterMs) }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
