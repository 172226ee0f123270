/**
 * The time of an exchange as a rule reads it: `time.hour`, hours since midnight with the minutes as a fraction (17.5 is
 * half past five), and `time.weekday`, 1 for Monday to 7 for Sunday, both told from `time` in the policy's time zone.
 * Pure: the clock is the exchange's.
 */
import type { Condition, Facts, Policy } from '../contract/policy.ts';
import type { Context } from '../contract/screening.ts';

export const TIME = 'time';
export const TIME_HOUR = 'time.hour';
export const TIME_WEEKDAY = 'time.weekday';

export const WEEKDAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'] as const;

/** The facts with the hour and the weekday: `facts` themselves where there is no time, or no rule reads them. */
export function withTimeOfDay(facts: Facts, { rules, timezone = 'UTC' }: Pick<Policy, 'rules' | 'timezone'>): Facts {
  const { [TIME]: time } = facts.context;
  if (typeof time !== 'string' || !readsTimeOfDay(rules)) return facts;
  return { ...facts, context: { ...facts.context, ...timeOfDay(time, timezone) } };
}

const reading = new WeakMap<Policy['rules'], boolean>();

function readsTimeOfDay(rules: Policy['rules']): boolean {
  let reads = reading.get(rules);
  if (reads === undefined) reading.set(rules, (reads = rules.some(({ when }) => namesTimeOfDay(when))));
  return reads;
}

function namesTimeOfDay(condition: Condition): boolean {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.some(namesTimeOfDay);
  if (condition.kind === 'not') return namesTimeOfDay(condition.of);
  return condition.kind === 'context' && (condition.key === TIME_HOUR || condition.key === TIME_WEEKDAY);
}

/** Empty for what is no time. */
function timeOfDay(time: string, timezone: string): Context {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return {};
  const parts = new Map(clockOf(timezone).formatToParts(at).map(({ type, value }) => [type, value]));
  const weekday = WEEKDAYS.findIndex((name) => name === parts.get('weekday')!.toLowerCase()) + 1;
  return { [TIME_HOUR]: Number(parts.get('hour')) + Number(parts.get('minute')) / 60, [TIME_WEEKDAY]: weekday };
}

const clocks = new Map<string, Intl.DateTimeFormat>();

function clockOf(timezone: string): Intl.DateTimeFormat {
  let clock = clocks.get(timezone);
  if (clock === undefined) clocks.set(timezone, (clock = new Intl.DateTimeFormat('en-GB', { timeZone: timezone, weekday: 'long', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })));
  return clock;
}

export function isTimezone(name: string): boolean {
  try {
    clockOf(name);
    return true;
  } catch {
    return false;
  }
}
