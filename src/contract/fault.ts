/**
 * Whose fault it is when an exchange does not end as it should, for the availability that a service level is told by: of
 * what is not a client's or an upstream's, the share that is the upstream's answer or a decision of the policy (`none`). What
 * a caller sent wrongly, or left, and what an upstream broke count for nobody. A refusal because a score was missing is ours
 * (`weir`), whatever it looks like to the caller: an error, a safe message, or an answer that was cut. So is a refusal while
 * the process drains. Every closing entry has exactly one fault. Of many decisions in one entry (a stream, a socket) a rule
 * that was skipped for a missing score in one and blocked by its score in another counts as ours.
 */
import { ERROR_CODES, type ErrorCode } from './errors.ts';
import type { DecisionRecord, LateRecord, Outcome } from './exchange.ts';

export const FAULTS = ['none', 'client', 'upstream', 'weir'] as const;
export type Fault = (typeof FAULTS)[number];

const BY_OUTCOME: Readonly<Record<Exclude<Outcome, 'refused'>, Fault>> = { completed: 'none', blocked: 'none', client_left: 'client', upstream_failed: 'upstream', failed: 'weir' };

/** Refusals that are as the policy or the configuration of the operator decided. */
const DECIDED: ReadonlySet<string | undefined> = new Set<ErrorCode>(['content_filter', 'session_barred', 'opaque_refused']);

/** 501 says that something is not offered: the caller asked for it all the same. */
const OUR_STATUSES: readonly number[] = [500, 503];

/** What of a decision tells whether a fail mode made it. */
interface FailedDecision extends Pick<DecisionRecord, 'action' | 'triggered_rules' | 'degraded'> {}

/** Of a closing entry, or what a store keeps of one. */
export interface FaultFacts {
  readonly outcome: Outcome;
  readonly error_code?: string | undefined;
  readonly input?: FailedDecision | undefined;
  readonly output?: FailedDecision | undefined;
  readonly late?: (FailedDecision & Pick<LateRecord, 'acted'>) | undefined;
}

export function faultOf(record: FaultFacts): Fault {
  const { outcome, error_code: code } = record;
  if (code === 'screening_failed' || (outcome === 'blocked' && failedClosed(record))) return 'weir';
  if (outcome !== 'refused') return BY_OUTCOME[outcome];
  if (DECIDED.has(code)) return 'none';
  return OUR_STATUSES.includes(ERROR_CODES[code as ErrorCode]?.status) ? 'weir' : 'client';
}

/** A rule decided that could not be evaluated: it is among those that fired and among those that a fail mode decided. */
function failedClosed({ input, output, late }: FaultFacts): boolean {
  const cut = late?.acted.includes('cut') ? late : undefined;
  return [input, output, cut].some((decision) => decision?.action === 'block' && decision.triggered_rules.some((rule) => decision.degraded.includes(rule)));
}
