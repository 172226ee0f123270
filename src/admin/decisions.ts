/**
 * What was decided, over the API: decisions found by who, when and what, newest first, page by page, and their counts
 * over time. From the store, so that millions of them cost no more than few; the audit log remains what they are proven
 * by, and each names its entry. A tenant-viewer gets those of their tenants, and none of logs that are shipped here.
 */
import type { DecisionQueries } from '../audit/decision-index.ts';
import { seesAll, type Actor } from '../contract/people.ts';
import { ACTIONS } from '../contract/screening.ts';
import { partsOf, rulesOf } from '../store/decision-rows.ts';
import { SPAN_MS, SPANS, type Count, type Counts, type DecisionCursor, type FoundDecision, type Span } from '../store/decisions.ts';
import { quantileOfSteps } from '../store/latency-quantiles.ts';
import { invalid, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface DecisionDesk extends Pick<DecisionQueries, 'search' | 'counts'> {
  /** Name of the own log. */
  ownLog(): string;
}

const READERS = ['admin', 'auditor', 'tenant-viewer'] as const;
const LIMIT = { default: 50, max: 500 } as const;
/** A shorter beginning of a request id would be that of too many. */
const ID_CHARS_MIN = 4;
/** Minutes or hours that are read for one answer. */
export const BUCKETS_MAX = 3_000;

const text = { type: 'string', minLength: 1, maxLength: 200 } as const;
const time = { ...text, format: 'date-time' } as const;

export const DECISION_ROUTES: readonly Route<DecisionDesk>[] = [
  {
    method: 'GET', path: '/api/v1/decisions', name: 'listDecisions', access: READERS, meaning: 'decisions of closed exchanges, newest first, without content; `?request_id=` (its first characters will do), `?tenant=`, `?action=`, `?rule=`, `?category=`, `?policy=`, `?origin=` (name of a log), `?since=`, `?until=`, `?before=` (`next` of the page before), `?limit=`',
    query: { request_id: text, tenant: text, action: { enum: ACTIONS }, rule: text, category: text, policy: text, origin: text, since: time, until: time, before: text, limit: { type: 'integer', minimum: 1, maximum: LIMIT.max } },
    answers: { 200: { meaning: 'the decisions', schema: ref('DecisionPage') } }, run: list,
  },
  {
    method: 'GET', path: '/api/v1/decisions/counts', name: 'countDecisions', access: READERS, meaning: `decisions counted by minute or hour (\`?span=\`), from \`?since=\` up to \`?until=\`, at most ${BUCKETS_MAX} of them: actions, rules, categories, unknown scores, latencies; \`?tenant=\``,
    query: { span: { enum: SPANS }, since: time, until: time, tenant: text, columns_ms: { type: 'integer', minimum: 60_000, maximum: 366 * 86_400_000 } },
    answers: { 200: { meaning: 'the counts', schema: ref('DecisionCounts') } }, run: count,
  },
];

async function list(desk: DecisionDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const { request_id: requestId, tenant, action, rule, category, policy, origin: logName, since, until, before, limit = LIMIT.default } = stored(query) as Readonly<Partial<Record<string, string>>> & { readonly limit?: number };
  if (requestId !== undefined && requestId.length < ID_CHARS_MIN) return invalid(`request_id has ${requestId.length} characters; give at least ${ID_CHARS_MIN} of them`);
  const [sinceMs, untilMs] = [timeOf(since), timeOf(until)];
  if (Number.isNaN(sinceMs) || Number.isNaN(untilMs)) return invalid('since and until are times such as 2030-01-31T00:00:00Z');
  const cursor = before === undefined ? undefined : cursorOf(before);
  if (before !== undefined && cursor === undefined) return invalid('before is what an earlier page gave as next');
  const { rows, next, looked } = await desk.search({ requestId, ...seen(actor, tenant), logName, action, rule, category, policy, sinceMs, untilMs, before: cursor, limit });
  return { status: 200, body: { decisions: rows.map((row) => decisionBody(row, desk.ownLog())), next: next === undefined ? null : next.join('-'), looked } };
}

async function count(desk: DecisionDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const { span = 'hour', since, until, tenant } = stored(query) as Readonly<Partial<Record<string, string>>> & { readonly span?: Span };
  const width = SPAN_MS[span];
  const untilMs = timeOf(until) ?? Date.now();
  const sinceMs = timeOf(since) ?? untilMs - 24 * SPAN_MS.hour;
  if (Number.isNaN(sinceMs) || Number.isNaN(untilMs)) return invalid('since and until are times such as 2030-01-31T00:00:00Z');
  const fromMs = Math.floor(sinceMs / width) * width;
  if ((untilMs - fromMs) / width > BUCKETS_MAX) return invalid(`that is ${Math.ceil((untilMs - fromMs) / width)} ${span}s, and at most ${BUCKETS_MAX} are counted at once; ask for a shorter time${span === 'minute' ? ', or for hours' : ''}`);
  const columnMs = Math.max(width, Math.floor(Number(query['columns_ms'] ?? width) / width) * width);
  const counts = await desk.counts({ span, ...seen(actor, tenant), fromMs, untilMs, stepMs: columnMs });
  return { status: 200, body: { span, from: iso(fromMs), until: iso(untilMs), ...countsBody(counts, columnMs) } };
}

/** Tenants of another Weir may have the names of ours, so its decisions are for those who see all. */
function seen(actor: Actor, tenant: string | undefined): { readonly tenants?: readonly string[]; readonly ownOnly?: boolean } {
  if (seesAll(actor)) return tenant === undefined ? {} : { tenants: [tenant] };
  return { tenants: tenant === undefined ? actor.tenants : actor.tenants.filter((id) => id === tenant), ownOnly: true };
}

function decisionBody(row: FoundDecision, ownLog: string): object {
  const { log, index, request_id, tenant_id, session_id, policy_id: policy, policy_revision: revision, model, route, outcome, error_code, status, action, is_partial, is_degraded, duration_ms, first_byte_ms, shipped } = row;
  return {
    request_id, tenant_id, session_id, at: iso(row.at_ms), started_at: iso(row.started_ms), policy: policy === '' ? null : revision === '' ? policy : `${policy}@${revision}`, model, route, outcome, error_code, status,
    action, triggered_rules: rulesOf(row), coverage: is_partial ? 'partial' : 'full', degraded: is_degraded, duration_ms, first_byte_ms, log, is_own: log === ownLog && !shipped, index, shipped,
    ...Object.fromEntries(partsOf(row).map(([part, { rules, ...rest }]) => [part, { ...rest, triggered_rules: rules }])),
  };
}

/** Latencies are counted in steps of a fifth: their quantiles are within a tenth. */
const QUANTILES = [0.5, 0.95, 0.99] as const;

function countsBody({ totals, series }: Counts, columnMs: number): object {
  const latency = (name: string, wanted: (count: Count) => boolean): object => ({ name, ...quantilesOf(totals.filter(wanted)) });
  return {
    counts: totals.filter(({ measure }) => !['latency', 'duration', 'first_byte'].includes(measure)).sort((a, b) => b.total - a.total).map(({ direction, measure, name, total }) => ({ direction: direction === '' ? null : direction, measure, name: name === '' ? null : name, total })),
    latencies: [
      latency('input', ({ direction, measure }) => direction === 'input' && measure === 'latency'), latency('output', ({ direction, measure }) => direction === 'output' && measure === 'latency'),
      latency('first_byte', ({ measure }) => measure === 'first_byte'), latency('duration', ({ measure }) => measure === 'duration'),
    ],
    column_ms: columnMs,
    columns: [...Map.groupBy(series, ({ fromMs }) => fromMs)].sort(([a], [b]) => a - b).map(([fromMs, counted]) => ({ from: iso(fromMs), actions: Object.fromEntries(counted.map(({ action, total }) => [action, total])) })),
  };
}

function quantilesOf(counts: readonly Count[]): Readonly<Record<string, number | null>> {
  return Object.fromEntries(QUANTILES.map((share) => [`p${share * 100}`, quantileOfSteps(counts, share)]));
}

/** A store holds no NUL, and takes none. */
function stored(query: DeskRequest['query']): DeskRequest['query'] {
  return Object.fromEntries(Object.entries(query).map(([name, value]) => [name, typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value]));
}

function cursorOf(text: string): DecisionCursor | undefined {
  const [, at, id] = /^(\d{1,16})-(\d{1,16})$/.exec(text) ?? [];
  return at === undefined || id === undefined || !Number.isSafeInteger(Number(at)) || !Number.isSafeInteger(Number(id)) ? undefined : [Number(at), Number(id)];
}

function timeOf(value: string | undefined): number | undefined {
  return value === undefined ? undefined : Date.parse(value);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
