/**
 * Reports of residual-risk campaigns over the API: as a campaign stands now, or as one was issued and signed; issuing one;
 * recording what was wrong with one. They tell of all tenants of a campaign, so they are for those who see all.
 */
import { REPORT_FORMATS, type ReportFormat } from '../contract/risk.ts';
import { REPORT_POLICY } from '../report/campaign/document.ts';
import { REASON_CHARS_MAX, type WrittenReport } from '../report/campaign/reports.ts';
import type { IssuedReport, ReportPeriod } from '../store/risk-reports.ts';
import { invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import type { RiskDesk } from './risk.ts';
import { ref } from './schemas.ts';

const READERS = ['admin', 'policy', 'auditor'] as const;
const ISSUERS = ['admin', 'auditor'] as const;
const json = ['application/json'] as const;
const day = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\d$' } as const;
const NO_CAMPAIGN = { 404: { meaning: 'nothing is known of such a campaign' } } as const;
const BUSY = { 503: { meaning: 'other reports are being made' } } as const;
const BAD = { 400: { meaning: 'the query or the body cannot be used, and why' } } as const;
const TYPES: Readonly<Record<ReportFormat, string>> = { json: 'application/json; charset=utf-8', html: 'text/html; charset=utf-8', note: 'text/plain; charset=utf-8' };

export const RISK_REPORT_ROUTES: readonly Route<RiskDesk>[] = [
  {
    method: 'GET', path: '/api/v1/risk/campaigns/:id/report', name: 'readRiskReport', access: READERS, meaning: 'the report of a campaign as it stands now, or with `?version=` as it was issued; `?format=` json, html, or note (the signature of one that was issued); `?from=` and `?until=` are days in UTC, the second not in it',
    query: { format: { enum: REPORT_FORMATS }, version: { type: 'integer', minimum: 1, maximum: 1_000_000 }, from: day, until: day }, answers: { 200: { meaning: 'the report', schema: ref('RiskReport') }, ...BAD, 404: { meaning: 'nothing is known of such a campaign, or no such report was issued' }, ...BUSY }, run: read,
  },
  { method: 'POST', path: '/api/v1/risk/campaigns/:id/report', name: 'issueRiskReport', access: ISSUERS, meaning: 'issue a report: it is numbered, signed and kept; the newest of the same days where nothing has changed since', body: { schema: ref('NewRiskReport'), types: json, isOptional: true }, answers: { 200: { meaning: 'which it is', schema: ref('RiskReportIssued') }, ...BAD, ...NO_CAMPAIGN, ...BUSY }, run: issue },
  { method: 'GET', path: '/api/v1/risk/campaigns/:id/reports', name: 'listRiskReports', access: READERS, meaning: 'reports of a campaign that were issued, newest first, and what was recorded about them', answers: { 200: { meaning: 'the reports', schema: ref('RiskReportList') }, ...NO_CAMPAIGN }, run: list },
  { method: 'POST', path: '/api/v1/risk/campaigns/:id/corrections', name: 'correctRiskReport', access: ISSUERS, meaning: 'record what was wrong with earlier reports of a campaign, and why; it stands in every later one', body: { schema: ref('RiskReason'), types: json }, answers: { 200: { meaning: 'it is recorded', schema: ref('RiskDone') }, ...BAD, ...NO_CAMPAIGN }, run: correct },
];

async function read({ reports }: RiskDesk, { id, query }: DeskRequest): Promise<DeskAnswer> {
  const { format = 'json', version, from = null, until = null } = query as { readonly format?: ReportFormat; readonly version?: number; readonly from?: string; readonly until?: string };
  if (version !== undefined) {
    const kept = await reports.read(id, version);
    if (kept === undefined) return missing(`no report ${version} of a campaign ${id} was issued`);
    return { status: 200, body: { json: kept.document, html: kept.page, note: kept.note }[format], type: TYPES[format], headers: headersOf(format, `${id}-v${version}`) };
  }
  const period = { from, until };
  const problem = periodProblem(period);
  if (problem !== undefined) return invalid(problem);
  if (format === 'note') return invalid('only what was issued is signed; name its version');
  const made: WrittenReport | undefined = await reports.draft(id, period);
  return made === undefined ? missing(`nothing is known of a campaign ${id}`) : { status: 200, body: made[format], type: TYPES[format], headers: headersOf(format, `${id}-draft`) };
}

/** A page may be seen in the browser, under a policy that lets it load and run nothing; the others are to be kept. */
function headersOf(format: ReportFormat, name: string): DeskAnswer['headers'] {
  return format === 'html' ? { 'content-security-policy': REPORT_POLICY } : { 'content-disposition': `attachment; filename="${name}.${format}"` };
}

async function issue({ reports }: RiskDesk, { id, text, author }: DeskRequest): Promise<DeskAnswer> {
  const period = readPeriod(text === '' ? {} : parsed(text));
  if (typeof period === 'string') return invalid(period);
  const kept = await reports.issue(id, period, author);
  return kept === undefined ? missing(`nothing is known of a campaign ${id}`) : { status: 200, body: issuedBody(kept) };
}

async function list({ reports }: RiskDesk, { id }: DeskRequest): Promise<DeskAnswer> {
  if (!(await reports.isKnown(id))) return missing(`nothing is known of a campaign ${id}`);
  const corrections = await reports.corrections(id);
  return { status: 200, body: { reports: (await reports.issued(id)).map(issuedBody), corrections: corrections.map(({ made_at, author, reason }) => ({ made_at, author, reason })) } };
}

async function correct({ reports }: RiskDesk, { id, text, author }: DeskRequest): Promise<DeskAnswer> {
  const { reason, ...rest } = (parsed(text) ?? {}) as { readonly reason?: unknown };
  if (Object.keys(rest).length > 0 || typeof reason !== 'string' || reason.trim() === '' || reason.length > REASON_CHARS_MAX) return invalid(`the body has a reason of 1 to ${REASON_CHARS_MAX} characters, and nothing else`);
  return (await reports.correct(id, author, reason)) ? { status: 200, body: { done: true } } : missing(`nothing is known of a campaign ${id}`);
}

function issuedBody({ version, from, until, issued_at, author, sha256, findings_sha256 }: IssuedReport): object {
  return { version, from, until, issued_at, author, sha256, findings_sha256 };
}

function readPeriod(value: unknown): ReportPeriod | string {
  const { from = null, until = null, ...rest } = (typeof value === 'object' && value !== null ? value : { body: value }) as Readonly<Record<string, unknown>>;
  if (Object.keys(rest).length > 0) return 'the body has from and until, and nothing else';
  const period = { from, until } as ReportPeriod;
  return periodProblem(period) ?? period;
}

/** What is wrong with the days of a report. */
export function periodProblem({ from, until }: { readonly from: unknown; readonly until: unknown }): string | undefined {
  for (const [name, value] of [['from', from], ['until', until]] as const) if (value !== null && !isDay(value)) return `${name} is a day in UTC such as 2030-01-31`;
  return from !== null && until !== null && (from as string) >= (until as string) ? 'until is the first day that is not in the report; it comes after from' : undefined;
}

function isDay(value: unknown): boolean {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString().startsWith(value);
}
