/**
 * Weeks as reports name them: those of ISO 8601, from Monday to Monday in UTC, and any other range of whole hours; the
 * ranges of the same length before one; and when the report of a week is due. Pure.
 */

export interface ReportRange {
  /** `2030-W05`; null: it is no week. */
  readonly week: string | null;
  /** Whole hours, in milliseconds since 1970; the second is not in it. */
  readonly fromMs: number;
  readonly untilMs: number;
}

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
export const WEEK_MS = 7 * DAY_MS;
/** Longer ranges, with those before them, would be more hours than one question to the store may have. */
export const RANGE_HOURS_MAX = 31 * 24;
/** Weeks before a range that it is held against. */
export const BASELINE_RANGES = 4;
/** A Monday. */
const EPOCH_MS = Date.UTC(1970, 0, 5);

/** The week in which a time is. */
export function weekAt(ms: number): ReportRange & { readonly week: string } {
  const fromMs = EPOCH_MS + Math.floor((ms - EPOCH_MS) / WEEK_MS) * WEEK_MS;
  // A week is of the year in which its Thursday is.
  const year = new Date(fromMs + 3 * DAY_MS).getUTCFullYear();
  const number = Math.round((fromMs - firstMonday(year)) / WEEK_MS) + 1;
  return { week: `${year}-W${String(number).padStart(2, '0')}`, fromMs, untilMs: fromMs + WEEK_MS };
}

/** Undefined for what is no week of ISO 8601. */
export function readWeek(text: string): (ReportRange & { readonly week: string }) | undefined {
  const [, year, number] = /^(\d{4})-W(\d\d)$/.exec(text) ?? [];
  if (year === undefined || Number(year) < 1970) return undefined;
  const found = weekAt(firstMonday(Number(year)) + (Number(number) - 1) * WEEK_MS);
  return found.week === text ? found : undefined;
}

/** The first day of the first week of a year, in which the fourth of January is. */
function firstMonday(year: number): number {
  const fourth = Date.UTC(year, 0, 4);
  return fourth - ((new Date(fourth).getUTCDay() + 6) % 7) * DAY_MS;
}

/** A range of whole hours, or what is wrong with it. One that is a week is called so. */
export function readRange(from: string, until: string): ReportRange | string {
  const [fromMs, untilMs] = [hourOf(from), hourOf(until)];
  if (fromMs === undefined || untilMs === undefined) return `${JSON.stringify(fromMs === undefined ? from : until)} is no whole hour in UTC; write it as 2030-01-31 or 2030-01-31T06:00Z`;
  if (fromMs >= untilMs) return 'the end of the time comes after its beginning';
  if (untilMs - fromMs > RANGE_HOURS_MAX * HOUR_MS) return `${(untilMs - fromMs) / HOUR_MS} hours are too many for one report; it takes ${RANGE_HOURS_MAX} at most`;
  const week = weekAt(fromMs);
  return { week: week.fromMs === fromMs && week.untilMs === untilMs ? week.week : null, fromMs, untilMs };
}

function hourOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d(?:T\d\d:00(?::00(?:\.000)?)?Z)?$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms < 0 || !new Date(ms).toISOString().startsWith(text.slice(0, 10)) ? undefined : ms;
}

/** The same hours so many lengths of the range earlier. */
export function rangeBefore({ fromMs, untilMs }: Pick<ReportRange, 'fromMs' | 'untilMs'>, lengthMs: number, times: number): { readonly fromMs: number; readonly untilMs: number } {
  return { fromMs: fromMs - times * lengthMs, untilMs: untilMs - times * lengthMs };
}

/** For file names and headings. */
export function rangeName({ week, fromMs, untilMs }: ReportRange): string {
  if (week !== null) return week;
  const short = (ms: number): string => new Date(ms).toISOString().slice(0, 13).replaceAll(/[-]/g, '');
  return `${short(fromMs)}-${short(untilMs)}`;
}

/** When reports are made: a day of the week, 0 is Sunday, and an hour, in UTC. */
export interface DueTime {
  readonly day: number;
  readonly hour: number;
}

/** The newest week whose report is due: it ended before the day and hour that came last. */
export function dueWeek({ day, hour }: DueTime, nowMs: number): ReportRange & { readonly week: string } {
  const sinceMonday = ((day + 6) % 7) * DAY_MS + hour * HOUR_MS;
  const running = weekAt(nowMs);
  return weekAt(running.fromMs - WEEK_MS * (nowMs - running.fromMs >= sinceMonday ? 1 : 2));
}

/** Those that are due: the newest, and what was missed since the week that was last begun, some weeks at most; oldest first. */
export function dueWeeks(due: DueTime, nowMs: number, lastWeek: string | undefined, weeksMax: number): readonly (ReportRange & { readonly week: string })[] {
  const newest = dueWeek(due, nowMs);
  const last = lastWeek === undefined ? undefined : readWeek(lastWeek);
  const weeks = [newest];
  // The last may not have been finished.
  for (let at = newest.fromMs - WEEK_MS; last !== undefined && at >= last.fromMs && weeks.length < weeksMax; at -= WEEK_MS) weeks.unshift(weekAt(at));
  return weeks;
}
