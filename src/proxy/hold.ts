/**
 * The wait for a person in the hallway: asks whoever keeps the queue, and says what became of it, for the one who waits
 * and for the record. An exchange waits once in each direction: what would be held after that takes its rule's `then`.
 * Decides nothing: who may go on is what the person, or the policy, said.
 */
import { createHash } from 'node:crypto';
import type { HoldEnd, HoldPort, Release } from '../contract/hold.ts';
import type { DecisionRecord, HoldRecord } from '../contract/exchange.ts';
import type { PolicyDecision } from '../contract/policy.ts';
import type { Action, Direction } from '../contract/screening.ts';
import { holdOf } from '../policy/decide.ts';
import type { OpenExchange } from './opened.ts';

export interface HeldDecision {
  readonly direction: Direction;
  /** One that waits for a person. */
  readonly decision: PolicyDecision;
  readonly results: DecisionRecord['classifier_results'];
  /** Of a prompt: its bytes, by which the same request is known again. */
  readonly body?: Buffer;
}

export interface Held {
  /** Undefined: nobody waits any more. */
  readonly release: Release | undefined;
  readonly record: HoldRecord;
}

/** Resolves when the wait is over, or at once where nobody can be waited for. */
export async function waitForPerson(exchange: OpenExchange, holds: HoldPort | undefined, { direction, decision, results, body }: HeldDecision, signal = exchange.signal): Promise<Held> {
  const { facts, requestId } = exchange;
  const { forMs, then } = holdOf(decision)!;
  const startMs = performance.now();
  const waits = holds !== undefined && !exchange.waited.has(direction);
  const endOf = (): Promise<HoldEnd> => {
    exchange.waited.add(direction);
    exchange.keepForReview();
    return holds!.wait({
      requestId, tenantId: facts.tenant!.id, sessionId: facts.sessionId, direction, policy: facts.policy!, rules: decision.triggered_rules, results, hold: { forMs, then },
      ...(body === undefined ? {} : { digest: createHash('sha256').update(body).digest('base64url') }),
    }, signal);
  };
  const { endedBy, resolution, reviewId }: HoldEnd = waits ? await endOf() : { endedBy: holds === undefined ? 'no_store' : 'waited_before' };
  const release = endedBy === 'client_left' || endedBy === 'draining' ? undefined : endedBy !== 'verdict' ? 'then' : resolution === 'allow' ? 'allowed' : 'refused';
  exchange.stageEnded({ stage: 'hold', startMs, attributes: { 'weir.hold.ended_by': endedBy } });
  return {
    release,
    record: {
      ...(reviewId === undefined ? {} : { review_id: reviewId }), rule: decision.rule!.id, for_ms: forMs, then, ended_by: endedBy, ...(resolution === undefined ? {} : { resolution }),
      ...(release === undefined ? {} : { action: ACTIONS_OF[release] ?? then }), held_ms: performance.now() - startMs,
    },
  };
}

const ACTIONS_OF: Readonly<Partial<Record<Release, Action>>> = { allowed: 'allow', refused: 'block' };

/** A record with what came of the wait; that an item could not be stored is a fault of ours, and flagged. */
export function withHold(record: DecisionRecord, hold: HoldRecord | undefined): DecisionRecord {
  if (hold === undefined) return record;
  const degraded = hold.ended_by === 'no_store' && !record.degraded.includes(hold.rule) ? [...record.degraded, hold.rule] : record.degraded;
  return { ...record, degraded, hold };
}
