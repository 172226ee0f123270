/** Times as options give them: a moment, or how far it is from now. */
import { UsageError } from './command.ts';

const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const TIME_MAX_MS = 8.64e15;

/** Milliseconds since 1970. `toward`: where an age such as 24h points, from now. */
export function readTime(option: string, given: string, nowMs: number, toward: 'past' | 'future'): number {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(given) ?? [];
  const distanceMs = unit === undefined ? 0 : Number(count) * UNITS_MS[unit]!;
  const at = unit === undefined ? (/^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(given) : NaN) : toward === 'past' ? nowMs - distanceMs : nowMs + distanceMs;
  if (Number.isNaN(at) || Math.abs(at) > TIME_MAX_MS) throw new UsageError(`option --${option} takes a time such as 2030-01-31T00:00:00Z, or one counted from now such as 12h or 90d`);
  return at;
}

/** The same in ISO 8601. */
export function readIsoTime(option: string, given: string, nowMs: number, toward: 'past' | 'future'): string {
  return new Date(readTime(option, given, nowMs, toward)).toISOString();
}

/** What an option's absence leaves open has no bound. */
export function readTimeRange({ since, until }: { readonly since?: string; readonly until?: string }, nowMs: number): { readonly sinceMs: number; readonly untilMs: number } {
  return {
    sinceMs: since === undefined ? -Infinity : readTime('since', since, nowMs, 'past'),
    untilMs: until === undefined ? Infinity : readTime('until', until, nowMs, 'past'),
  };
}
