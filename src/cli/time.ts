/** Times as options give them: a moment, or an age. */
import { UsageError } from './command.ts';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds since 1970, of a time or an age before now; undefined when the option was not given. */
export function readTime(option: string, given: string | undefined, nowMs: number): number | undefined {
  if (given === undefined) return undefined;
  const age = /^(\d{1,6})([smhd])$/.exec(given);
  const at = age === null ? (/^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(given) : NaN) : nowMs - Number(age[1]) * UNITS[age[2]!]!;
  if (Number.isNaN(at)) throw new UsageError(`option --${option} takes a time such as 2030-01-31T00:00:00Z, or an age such as 24h`);
  return at;
}
