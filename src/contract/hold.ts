/**
 * Waiting for a person: what is held, and how a wait ends. The proxy asks through `HoldPort`; who keeps the queue
 * answers. A wait always ends, and never with an error.
 */
import type { DecisionRecord } from './exchange.ts';
import type { Hold } from './policy.ts';
import { RESOLUTIONS, type Resolution } from './review.ts';
import type { Direction } from './screening.ts';

export const HOLD_ENDS = ['verdict', 'timeout', 'client_left', 'draining', 'no_store', 'too_many', 'waited_before'] as const;
/**
 * verdict: a person decided. timeout: nobody did. client_left: nobody waits for the answer any more. draining: the
 * process stops. no_store: the item could not be stored, so nobody would have seen it. too_many: as many wait as may.
 * waited_before: the exchange has waited in this direction once.
 */
export type HoldEndedBy = (typeof HOLD_ENDS)[number];

/** What a wait came to, as the store has it: who comes first. */
export const HOLD_OUTCOMES = [...RESOLUTIONS, 'timeout', 'client_left', 'draining', 'no_store'] as const;
export type HoldOutcome = (typeof HOLD_OUTCOMES)[number];

/** What is to be held. */
export interface WantedHold {
  readonly requestId: string;
  readonly tenantId: string;
  readonly sessionId?: string | undefined;
  readonly direction: Direction;
  /** `id@revision` */
  readonly policy: string;
  readonly rules: readonly string[];
  readonly results: DecisionRecord['classifier_results'];
  readonly hold: Hold;
  /** Digest of the request: the same again, while the first still waits or after its client left, is the same item. */
  readonly digest?: string | undefined;
}

export interface HoldEnd {
  readonly endedBy: HoldEndedBy;
  /** Of a verdict. */
  readonly resolution?: Resolution;
  /** Of the item that people see; absent where there is none. */
  readonly reviewId?: string;
}

/** What a wait came to for the one who waits: a person let it go, or stopped it; or nobody did, and the rule says what to do. */
export type Release = 'allowed' | 'refused' | 'then';

export interface HoldPort {
  /** Resolves when the wait is over; never rejects. `signal`: nobody waits for the answer any more, or the process stops (WeirError draining). */
  wait(wanted: WantedHold, signal: AbortSignal): Promise<HoldEnd>;
}
