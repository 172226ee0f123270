/**
 * Weekly reports of tenants over the API: as JSON, as a page, as tables; and a list of weeks of which there is something. A
 * tenant-viewer gets those of their tenants, counted from the logs alone that no other Weir sent here; of another tenant they
 * hear what they would of one that is not there.
 */
import { seesAll, sees, type Actor } from '../contract/people.ts';
import type { Counts, CountsQuestion } from '../store/decisions.ts';
import type { SqlWeeklyRuns } from '../store/weekly-reports.ts';
import { REPORT_POLICY } from '../report/campaign/document.ts';
import { DSA_ENDINGS, DSA_PARTS, type DsaPart } from '../report/weekly/dsa.ts';
import type { WeeklyReports } from '../report/weekly/weekly.ts';
import { rangeName, readRange, readWeek, weekAt, WEEK_MS, type ReportRange } from '../report/weekly/weeks.ts';
import { invalid, missing, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface WeeklyDesk {
  readonly reports: Pick<WeeklyReports, 'make'>;
  readonly runs: Pick<SqlWeeklyRuns, 'since'>;
  counts(question: CountsQuestion): Promise<Counts>;
  /** Ids of those that are configured. */
  tenants(): readonly string[];
  now(): Date;
}

const READERS = ['admin', 'auditor', 'tenant-viewer'] as const;
/** Weeks that are listed. */
const WEEKS_LISTED = 13;
const text = { type: 'string', minLength: 1, maxLength: 200 } as const;
const asked = { tenant: text, week: { type: 'string', pattern: '^\\d{4}-W\\d\\d$' }, from: { type: 'string', maxLength: 30 }, until: { type: 'string', maxLength: 30 } } as const;
const ABOUT = '`?tenant=`; `?week=` such as 2030-W05 (default: the last that is over), or `?from=` and `?until=`, whole hours in UTC';
const ANSWERS = { 400: { meaning: 'the query cannot be used, and why' }, 404: { meaning: 'nothing is known of such a tenant, or not for the caller' }, 503: { meaning: 'other reports are being made' } } as const;

export const WEEKLY_ROUTES: readonly Route<WeeklyDesk>[] = [
  { method: 'GET', path: '/api/v1/reports', name: 'listWeeklyReports', access: READERS, meaning: `the last ${WEEKS_LISTED} weeks of a tenant (\`?tenant=\`): how many exchanges each had, and what became of its report where one was due`, query: { tenant: text }, answers: { 200: { meaning: 'the weeks, newest first', schema: ref('WeeklyReportList') }, ...ANSWERS }, run: list },
  { method: 'GET', path: '/api/v1/reports/weekly', name: 'readWeeklyReport', access: READERS, meaning: `a tenant’s safety report of a week as JSON: volumes, violations with their trend, actions, what was not screened, latencies, availability, reviews, false positives, objections, residual risk, changes, and what it rests on; ${ABOUT}`, query: asked, answers: { 200: { meaning: 'the report', schema: ref('WeeklyReport') }, ...ANSWERS }, run: (desk, request) => answer(desk, request, 'json') },
  { method: 'GET', path: '/api/v1/reports/weekly.html', name: 'readWeeklyReportPage', access: READERS, meaning: 'the same as a page to read and print, which loads nothing and runs nothing', query: asked, answers: { 200: { meaning: 'the page', schema: { type: 'string' }, type: 'text/html' }, ...ANSWERS }, run: (desk, request) => answer(desk, request, 'html') },
  { method: 'GET', path: '/api/v1/reports/weekly.csv', name: 'readWeeklyReportTable', access: READERS, meaning: 'the same as one table of numbers (RFC 4180); texts that a spreadsheet would take for formulas begin with an apostrophe', query: asked, answers: { 200: { meaning: 'the table', schema: { type: 'string' }, type: 'text/csv' }, ...ANSWERS }, run: (desk, request) => answer(desk, request, 'csv') },
  { method: 'GET', path: '/api/v1/reports/weekly.dsa', name: 'readWeeklyReportDsa', access: READERS, meaning: 'the same in the columns of the templates of Implementing Regulation (EU) 2024/2835, as far as they are known here; `?part=` own_initiative, complaints, automated_means, or notes on what is left empty and why', query: { ...asked, part: { enum: DSA_PARTS } }, answers: { 200: { meaning: 'the table, or the notes', schema: { type: 'string' }, type: 'text/csv' }, ...ANSWERS }, run: (desk, request) => answer(desk, request, DSA_ENDINGS[(request.query['part'] ?? 'own_initiative') as DsaPart]) },
  { method: 'GET', path: '/api/v1/reports/weekly.files', name: 'readWeeklyReportFiles', access: READERS, meaning: 'all files of a report, made at one moment, with the note that signs them: texts by their endings', query: asked, answers: { 200: { meaning: 'the files', schema: ref('WeeklyReportFiles') }, ...ANSWERS }, run: files },
];

const TYPES: readonly (readonly [ending: RegExp, type: string])[] = [[/^json$/, 'application/json; charset=utf-8'], [/^html$/, 'text/html; charset=utf-8'], [/csv$/, 'text/csv; charset=utf-8; header=present'], [/./, 'text/plain; charset=utf-8']];

async function answer(desk: WeeklyDesk, request: DeskRequest, ending: string): Promise<DeskAnswer> {
  const made = await make(desk, request);
  if ('status' in made) return made;
  // A page may be seen in the browser, under a policy that lets it load and run nothing; the others are to be kept.
  const headers: DeskAnswer['headers'] = ending === 'html' ? { 'content-security-policy': REPORT_POLICY } : { 'content-disposition': `attachment; filename="${made.tenant}-${rangeName(made.range)}.${ending}"` };
  return { status: 200, body: String(made.files[ending] ?? ''), type: TYPES.find(([endings]) => endings.test(ending))![1], headers };
}

async function files(desk: WeeklyDesk, request: DeskRequest): Promise<DeskAnswer> {
  const made = await make(desk, request);
  if ('status' in made) return made;
  return { status: 200, body: { name: `${made.tenant}-${rangeName(made.range)}`, files: Object.fromEntries(Object.entries(made.files).map(([ending, content]) => [ending, String(content)])) } };
}

interface Made {
  readonly tenant: string;
  readonly range: ReportRange;
  readonly files: Readonly<Record<string, string | Buffer>>;
}

async function make(desk: WeeklyDesk, { query, actor }: DeskRequest): Promise<Made | DeskAnswer> {
  const tenant = tenantOf(desk, actor, query['tenant'] as string | undefined);
  if (typeof tenant !== 'string') return tenant;
  const range = askedRange(query as Readonly<Partial<Record<string, string>>>, desk.now());
  if (typeof range === 'string') return invalid(range);
  const made = await desk.reports.make(tenant, range, seesAll(actor) ? 'all' : 'own');
  return made === undefined ? unknown(tenant) : { tenant, range, files: made.files };
}

/** Who sees one tenant alone need not name it. */
function tenantOf(desk: WeeklyDesk, actor: Actor, named: string | undefined): string | DeskAnswer {
  const seen = seesAll(actor) ? desk.tenants() : actor.tenants;
  const tenant = named ?? (seen.length === 1 ? seen[0]! : undefined);
  if (tenant === undefined) return invalid('which tenant is missing; name it with ?tenant=');
  return sees(actor, tenant) && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(tenant) ? tenant : unknown(tenant);
}

function unknown(tenant: string): DeskAnswer {
  return missing(`nothing is known of a tenant ${JSON.stringify(tenant.slice(0, 64))}`);
}

/** Or what is wrong with it. */
export function askedRange({ week, from, until }: Readonly<Partial<Record<string, string>>>, now: Date): ReportRange | string {
  if (week !== undefined && (from !== undefined || until !== undefined)) return 'a week, or from and until; not both';
  if ((from === undefined) !== (until === undefined)) return 'from and until go together';
  const range = from !== undefined && until !== undefined ? readRange(from, until) : week === undefined ? weekAt(now.getTime() - WEEK_MS) : (readWeek(week) ?? `${JSON.stringify(week)} is no week of ISO 8601, such as 2030-W05`);
  return typeof range === 'string' || range.fromMs <= now.getTime() ? range : 'this time has not begun';
}

async function list(desk: WeeklyDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const tenant = tenantOf(desk, actor, query['tenant'] as string | undefined);
  if (typeof tenant !== 'string') return tenant;
  const running = weekAt(desk.now().getTime());
  const fromMs = running.fromMs - (WEEKS_LISTED - 1) * WEEK_MS;
  const { series } = await desk.counts({ span: 'hour', tenants: [tenant], ownOnly: !seesAll(actor), fromMs, untilMs: running.untilMs, stepMs: WEEK_MS });
  if (!desk.tenants().includes(tenant) && series.length === 0) return unknown(tenant);
  const runs = new Map((await desk.runs.since(weekAt(fromMs).week, [tenant])).map((run) => [run.week, run]));
  const weeks = Array.from({ length: WEEKS_LISTED }, (_, ago) => weekAt(running.fromMs - ago * WEEK_MS)).map(({ week, fromMs: at, untilMs }) => {
    const columns = series.filter((column) => column.fromMs === at);
    const of = (wanted: (action: string) => boolean): number => columns.reduce((sum, { action, total }) => (wanted(action) ? sum + total : sum), 0);
    const run = runs.get(week);
    return {
      week, from: new Date(at).toISOString(), until: new Date(untilMs).toISOString(), is_over: untilMs <= desk.now().getTime(), exchanges: of(() => true), acted_on: of((action) => action !== 'allow' && action !== 'none'),
      due: run === undefined ? null : { state: run.state, written_at: run.written_at, sent_at: run.sent_at, attempts: run.attempts, findings_sha256: run.findings_sha256, detail: seesAll(actor) ? run.detail : '' },
    };
  });
  return { status: 200, body: { tenant_id: tenant, weeks } };
}
