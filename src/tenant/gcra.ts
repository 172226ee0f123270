/**
 * The generic cell rate algorithm (GCRA) in its leaky-bucket form, pure. A bucket is a backlog, in the time it takes to
 * drain at the limit's rate, and when it was so. Guarantees that never more than one minute's amount plus what the rate
 * gives over the time passed is admitted, that a refusal costs nothing, and that a clock which goes back locks nobody
 * out: time that runs backwards drains nothing and fills nothing. Times are milliseconds of any clock.
 */

/** The result of asking a limit. */
export interface LimitDecision {
  readonly allowed: boolean;
  /** 0 when allowed. */
  readonly retryAfterMs: number;
  readonly limit: number;
  readonly remaining: number;
}

export interface RateLimit {
  readonly perMinute: number;
  /** How much further than full a charge may fill the bucket. */
  readonly debtMs: number;
}

export interface Bucket {
  readonly backlogMs: number;
  readonly atMs: number;
}

export const PERIOD_MS = 60_000;
/** A sum of rounded steps may pass the period by this much. */
export const ROUNDING_MS = 0.001;

/**
 * Takes `amount` if there is that much; an amount above the limit waits for an empty bucket and fills it. `bucket`
 * undefined: an empty one. The one returned is to be kept whatever was decided.
 */
export function take({ perMinute }: RateLimit, bucket: Bucket | undefined, nowMs: number, amount: number): { readonly bucket: Bucket; readonly decision: LimitDecision } {
  const stepMs = PERIOD_MS / perMinute;
  const drainedMs = backlogAt(bucket, nowMs);
  const filledMs = drainedMs + Math.min(amount, perMinute) * stepMs;
  const overMs = filledMs - PERIOD_MS;
  const allowed = overMs <= ROUNDING_MS;
  const backlogMs = allowed ? filledMs : drainedMs;
  const remaining = Math.max(0, Math.floor((PERIOD_MS + ROUNDING_MS - backlogMs) / stepMs));
  return { bucket: { backlogMs, atMs: nowMs }, decision: { allowed, retryAfterMs: allowed ? 0 : Math.ceil(overMs - ROUNDING_MS), limit: perMinute, remaining } };
}

/** Adds what was used beyond what was taken; a negative amount gives back. */
export function charge({ perMinute, debtMs }: RateLimit, bucket: Bucket | undefined, nowMs: number, amount: number): Bucket {
  const filledMs = backlogAt(bucket, nowMs) + (amount * PERIOD_MS) / perMinute;
  return { backlogMs: Math.min(Math.max(filledMs, 0), PERIOD_MS + debtMs), atMs: nowMs };
}

/** True when keeping the bucket says no more than having none. */
export function isEmpty(bucket: Bucket, nowMs: number): boolean {
  return backlogAt(bucket, nowMs) === 0;
}

function backlogAt(bucket: Bucket | undefined, nowMs: number): number {
  return bucket === undefined ? 0 : Math.max(0, bucket.backlogMs - Math.max(0, nowMs - bucket.atMs));
}
