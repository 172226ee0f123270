/**
 * The metrics of the review queue, made of what its channel tells: what came in and what did not, what waits, how people
 * judged and how long it took, what they judged otherwise, what nobody judged in time, and who was told. Counted where
 * the notices leave: by the processes with the role control.
 */
import type { ReviewTold } from '../contract/channels.ts';
import { SEVERITIES } from '../contract/screening.ts';

const HOURS = [60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 3 * 86_400, 7 * 86_400];

export const REVIEW_METRICS = {
  weir_review_items_total: { kind: 'counter', labels: ['tenant', 'origin', 'admission'], help: 'What was to come into the review queue: new, batched to an item alike, beyond its number for the hour, or out since the queue was full' },
  weir_review_waiting: { kind: 'gauge', labels: ['severity'], help: 'Items of the review queue that nobody has decided' },
  weir_review_overdue: { kind: 'gauge', labels: ['severity'], help: 'Of those, the ones whose time is over' },
  weir_review_resolved_total: { kind: 'counter', labels: ['tenant', 'origin', 'resolution'], help: 'Items that people decided' },
  weir_review_resolution_seconds: { kind: 'histogram', labels: ['severity'], help: 'Time from the exchange to the verdict that decided it', buckets: HOURS },
  weir_review_judged_total: { kind: 'counter', labels: ['policy', 'rule', 'resolution'], help: 'Decided items by the rules that had fired; those that people allow are the false positives of a rule' },
  weir_review_overrides_total: { kind: 'counter', labels: ['tenant', 'retroactive_action'], help: 'Verdicts that differ from what was done: withdraw what went on, reinstate what was stopped' },
  weir_review_overdue_total: { kind: 'counter', labels: ['tenant', 'severity'], help: 'Items that nobody decided in time, once in each round' },
  weir_review_notices_total: { kind: 'counter', labels: ['receiver', 'outcome'], help: 'Attempts to tell a webhook of the review queue: taken, failed, given_up' },
} as const;

export interface ReviewCounters {
  count(name: keyof typeof REVIEW_METRICS, amount: number, labels: Readonly<Record<string, string>>): void;
  record(name: 'weir_review_resolution_seconds', value: number, labels: Readonly<Record<string, string>>): void;
  waiting(labels: Readonly<Record<'severity', string>>, value: number): void;
  overdue(labels: Readonly<Record<'severity', string>>, value: number): void;
  /** Labels whose values come from outside, bounded. */
  tenant(id: string): string;
  policy(id: string): string;
  rule(id: string): string;
}

export function countReview(told: ReviewTold, to: ReviewCounters): void {
  switch (told.kind) {
    case 'admitted':
      return to.count('weir_review_items_total', 1, { tenant: to.tenant(told.tenant_id), origin: told.origin, admission: told.admission });
    case 'waiting':
      for (const severity of SEVERITIES) {
        to.waiting({ severity }, told.waiting[severity]);
        to.overdue({ severity }, told.overdue[severity]);
      }
      return;
    case 'overdue':
      return to.count('weir_review_overdue_total', 1, { tenant: to.tenant(told.notice.tenant_id), severity: told.notice.severity });
    case 'notice':
      return to.count('weir_review_notices_total', 1, { receiver: told.receiver, outcome: told.outcome });
    case 'resolved':
      return countResolved(told, to);
  }
}

function countResolved({ notice }: Extract<ReviewTold, { kind: 'resolved' }>, to: ReviewCounters): void {
  const { origin, severity, resolution, retroactive_action: retroactive, item_created_at: createdAt, created_at: at, triggered_rules: rules, policy } = notice;
  if (resolution === null) return;
  const tenant = to.tenant(notice.tenant_id);
  to.count('weir_review_resolved_total', 1, { tenant, origin, resolution });
  to.record('weir_review_resolution_seconds', Math.max(0, Date.parse(at) - Date.parse(createdAt)) / 1000, { severity });
  for (const rule of rules) to.count('weir_review_judged_total', 1, { policy: to.policy(policy.slice(0, policy.lastIndexOf('@'))), rule: to.rule(rule), resolution });
  if (retroactive !== null) to.count('weir_review_overrides_total', 1, { tenant, retroactive_action: retroactive });
}
