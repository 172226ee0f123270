/**
 * Whose fault it is when an exchange does not end as it should, for the availability that a service level is told by.
 * What a policy blocks is as it should be; what a caller sent wrongly, or left, counts for nobody. That a score was missing
 * and the policy fails closed is our fault: the caller was refused for no reason of theirs.
 */
import { ERROR_CODES, type ErrorCode } from './errors.ts';
import type { ExchangeRecord, Outcome } from './exchange.ts';

export const FAULTS = ['none', 'client', 'upstream', 'weir'] as const;
export type Fault = (typeof FAULTS)[number];

const BY_OUTCOME: Readonly<Record<Exclude<Outcome, 'refused'>, Fault>> = { completed: 'none', blocked: 'none', client_left: 'client', upstream_failed: 'upstream', failed: 'weir' };

/** 501 says that something is not offered: the caller asked for it all the same. */
const OUR_STATUSES: readonly number[] = [500, 503];

export function faultOf({ outcome, error_code: code }: Pick<ExchangeRecord, 'outcome' | 'error_code'>): Fault {
  if (code === 'screening_failed') return 'weir';
  if (outcome !== 'refused') return BY_OUTCOME[outcome];
  return OUR_STATUSES.includes(ERROR_CODES[code as ErrorCode]?.status) ? 'weir' : 'client';
}
