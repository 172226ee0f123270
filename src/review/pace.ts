/**
 * When somebody who reviews is asked to have a break: after so many minutes at it, or so many severe items opened. To have
 * done nothing for as long as a break is one. The question cannot be switched off, only put sooner; how it is answered is
 * the person's own: they have a break, or go on and are asked again. Pure.
 */
import type { BreakLimits, Pace, WellnessSettings } from '../contract/wellness.ts';

const MINUTE_MS = 60_000;

/** What counts for a person: the configuration's, or sooner where they want it. */
export function limitsFor(limits: BreakLimits, { break_after_minutes: minutes, break_after_items: items }: Pick<WellnessSettings, 'break_after_minutes' | 'break_after_items'>): BreakLimits {
  return { ...limits, afterMinutes: Math.min(limits.afterMinutes, minutes ?? Infinity), afterItems: Math.min(limits.afterItems, items ?? Infinity) };
}

/** As it is at `nowMs`, before anything is done. */
export function paceAt(pace: Pace | undefined, nowMs: number, { minutes }: Pick<BreakLimits, 'minutes'>): Pace {
  const fresh: Pace = { sinceMs: nowMs, seenMs: nowMs, severe: 0, breakUntilMs: null };
  if (pace === undefined) return fresh;
  if (pace.breakUntilMs !== null) return nowMs < pace.breakUntilMs ? pace : fresh;
  return nowMs - pace.seenMs >= minutes * MINUTE_MS ? fresh : pace;
}

/** `break`: one goes on. `due`: one is asked for. */
export function stateOf({ sinceMs, severe, breakUntilMs }: Pace, nowMs: number, { afterMinutes, afterItems }: BreakLimits): 'working' | 'due' | 'break' {
  if (breakUntilMs !== null && nowMs < breakUntilMs) return 'break';
  return nowMs - sinceMs >= afterMinutes * MINUTE_MS || severe >= afterItems ? 'due' : 'working';
}

/** Something was taken, or opened. */
export function workedAt(pace: Pace, nowMs: number, opened: { readonly severe: boolean } | undefined): Pace {
  return { ...pace, seenMs: Math.max(pace.seenMs, nowMs), severe: pace.severe + (opened?.severe === true ? 1 : 0) };
}

/** The answer to the question: a break from now on, or none, and then the count begins anew. */
export function answered(takesBreak: boolean, nowMs: number, { minutes }: Pick<BreakLimits, 'minutes'>): Pace {
  return { sinceMs: nowMs, seenMs: nowMs, severe: 0, breakUntilMs: takesBreak ? nowMs + minutes * MINUTE_MS : null };
}
