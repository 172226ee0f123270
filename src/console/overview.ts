/**
 * How it goes: volume, what was done, what was found, how long it took, over the newest exchanges of the audit log that
 * the caller sees. So many entries are looked at and no more; the page says how far back that reaches.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { ACTIONS } from '../contract/screening.ts';
import { barTable, columnChart, type Bar, type Column } from './charts.ts';
import { actionOf, exchangeTable, rulesOf, type ExchangeEntry } from './exchanges.ts';
import { html, type Piece } from './html.ts';
import { NAV, page, redirect } from './layout.ts';
import { actionBadge, choice, count, given, share, timeOf } from './parts.ts';
import { take } from './refusal.ts';

const CALL_ENTRIES = 1_000;
const CALLS_MAX = 5;
const NEWEST_ROWS = 8;
/** A score from which a category counts as found. */
const FOUND_FROM = 0.5;
const COLUMNS = 24;

const HOUR_MS = 3_600_000;
const WINDOWS: readonly (readonly [string, string, number])[] = [['1', 'last hour', HOUR_MS], ['24', 'last 24 hours', 24 * HOUR_MS], ['168', 'last 7 days', 168 * HOUR_MS]];

interface Newest {
  readonly entries: readonly ExchangeEntry[];
  /** There were more than are looked at. */
  readonly isCut: boolean;
}

async function newest(api: Api, request: PageRequest, since: string, tenant: string | undefined): Promise<Newest> {
  const entries: ExchangeEntry[] = [];
  let next: number | null | undefined;
  for (let calls = 0; calls < CALLS_MAX && next !== null; calls++) {
    const answer: { readonly entries: readonly ExchangeEntry[]; readonly next: number | null } = await take(api, request, 'listAuditEntries', { query: { kind: 'exchange', since, tenant, before: next, limit: CALL_ENTRIES } });
    entries.push(...answer.entries);
    ({ next } = answer);
    // It has looked at as many entries as one call may; others wait.
    if (answer.entries.length < CALL_ENTRIES) break;
  }
  return { entries, isCut: next !== null && next !== undefined };
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  if (!api.may(request.actor, 'listAuditEntries')) return redirect(NAV.find(({ needs }) => api.may(request.actor, needs))?.path ?? '/login');
  const [hours, , spanMs] = WINDOWS.find(([id]) => id === request.query.get('hours')) ?? WINDOWS[1]!;
  const untilMs = Date.now();
  const since = new Date(untilMs - spanMs).toISOString();
  const tenant = given(request.query, 'tenant', 64);
  const { entries, isCut } = await newest(api, request, since, tenant);
  const oldest = entries.at(-1);
  return page(api, request, {
    title: 'Overview', at: '/', json: `/api/v1/audit?kind=exchange&since=${encodeURIComponent(since)}&limit=1000`,
    body: html`
<form method="get" class="filter">${choice('Time', 'hours', WINDOWS.map(([id, name]) => [id, name] as const), hours)}<div class="field"><label for="f-tenant">Tenant</label><input id="f-tenant" name="tenant" value="${tenant ?? ''}" autocomplete="off" spellcheck="false" data-search></div><div class="field"><button>Show</button></div></form>
${isCut && oldest !== undefined ? html`<p class="quiet">The newest ${count(entries.length)} exchanges, which reach back to ${timeOf(oldest.started_at)} UTC; older ones of the window are not counted here.</p>` : ''}
${entries.length === 0 ? html`<p>No exchange in this time.</p>` : html`${tiles(entries)}
${columnChart({ title: 'Exchanges over time (UTC)', columns: columnsOf(entries, isCut && oldest !== undefined ? Date.parse(oldest.time) : untilMs - spanMs, untilMs), totalName: 'exchanges', markedName: 'acted on', timeName: 'From' })}
<div class="pair">${barTable({ title: 'What was done', nameHead: 'Action', valueHead: 'Exchanges', bars: actionBars(entries) })}
${barTable({ title: `Found: a category scored ${FOUND_FROM} or more`, nameHead: 'Category', valueHead: 'Share', bars: categoryBars(entries) })}</div>
<div class="pair">${barTable({ title: 'Rules that decided', nameHead: 'Rule', valueHead: 'Exchanges', bars: ruleBars(entries) })}${latencies(entries)}</div>
<h2>Newest</h2>${exchangeTable(entries.slice(0, NEWEST_ROWS))}`}`,
  });
}

function isActedOn(entry: ExchangeEntry): boolean {
  return (actionOf(entry) ?? 'allow') !== 'allow';
}

function tiles(entries: readonly ExchangeEntry[]): Piece {
  const [acted, failed, partial] = [entries.filter(isActedOn).length, entries.filter(({ outcome }) => outcome === 'failed' || outcome === 'upstream_failed').length, entries.filter(({ input, output }) => (input?.degraded.length ?? 0) + (output?.degraded.length ?? 0) > 0).length];
  const told: readonly (readonly [string, string, string])[] = [
    ['Exchanges', count(entries.length), ''], ['Acted on', count(acted), share(acted, entries.length)], ['Failed', count(failed), share(failed, entries.length)], ['A fail mode decided', count(partial), share(partial, entries.length)],
  ];
  return html`<dl class="tiles">${told.map(([name, value, note]) => html`<div><dt>${name}</dt><dd><strong>${value}</strong> <span class="quiet">${note}</span></dd></div>`)}</dl>`;
}

function columnsOf(entries: readonly ExchangeEntry[], fromMs: number, untilMs: number): readonly Column[] {
  const stepMs = Math.max(1, (untilMs - fromMs) / COLUMNS);
  const totals = Array.from({ length: COLUMNS }, () => ({ total: 0, marked: 0 }));
  for (const entry of entries) {
    const column = totals[Math.min(COLUMNS - 1, Math.max(0, Math.floor((Date.parse(entry.time) - fromMs) / stepMs)))]!;
    column.total += 1;
    if (isActedOn(entry)) column.marked += 1;
  }
  const isLong = untilMs - fromMs > 48 * HOUR_MS;
  return totals.map((column, index) => ({ ...column, label: new Date(fromMs + index * stepMs).toISOString().slice(isLong ? 5 : 11, isLong ? 13 : 16).replace('T', ' ') }));
}

function actionBars(entries: readonly ExchangeEntry[]): readonly Bar[] {
  const by = Map.groupBy(entries, (entry) => actionOf(entry) ?? 'none');
  return [...ACTIONS, 'none' as const].flatMap((action) => {
    const value = by.get(action)?.length ?? 0;
    return value === 0 ? [] : [{ name: action === 'none' ? 'nothing was decided' : actionBadge(action), plain: action, value, told: `${count(value)} (${share(value, entries.length)})` }];
  });
}

const BARS_MAX = 12;

function categoryBars(entries: readonly ExchangeEntry[]): readonly Bar[] {
  return barsOf(entries, (entry) => [entry.input, entry.output].flatMap((decision) => decision?.classifier_results ?? []).filter(({ score }) => score !== undefined && score >= FOUND_FROM).map(({ classifier_id: id, category }) => `${id}.${category}`), true);
}

function ruleBars(entries: readonly ExchangeEntry[]): readonly Bar[] {
  return barsOf(entries, rulesOf, false);
}

function barsOf(entries: readonly ExchangeEntry[], namesOf: (entry: ExchangeEntry) => readonly string[], isShare: boolean): readonly Bar[] {
  const counts = new Map<string, number>();
  for (const entry of entries) for (const name of new Set(namesOf(entry))) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, BARS_MAX).map(([name, value]) => ({ name: html`<code>${name}</code>`, plain: name, value, told: isShare ? share(value, entries.length) : count(value) }));
}

function latencies(entries: readonly ExchangeEntry[]): Piece {
  const rows: readonly (readonly [string, readonly number[]])[] = [
    ['Prompt screened', entries.flatMap(({ input }) => input?.latency_ms ?? [])], ['Answer screened', entries.flatMap(({ output }) => output?.latency_ms ?? [])],
    ['First byte', entries.flatMap(({ time_to_first_byte_ms: ms }) => ms ?? [])], ['Whole exchange', entries.map(({ duration_ms: ms }) => ms)],
  ];
  return html`<figure><figcaption>How long it took, in ms</figcaption><div class="scroll" tabindex="0" role="region" aria-label="How long it took"><table><thead><tr><th scope="col">What</th><th scope="col" class="number">p50</th><th scope="col" class="number">p95</th><th scope="col" class="number">p99</th></tr></thead><tbody>${rows.map(([name, values]) => {
    const sorted = [...values].sort((a, b) => a - b);
    return html`<tr><th scope="row">${name}</th>${[0.5, 0.95, 0.99].map((part) => html`<td class="number">${sorted.length === 0 ? '–' : sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))]!.toFixed(1)}</td>`)}</tr>`;
  })}</tbody></table></div></figure>`;
}

export const OVERVIEW_PAGE: Page = { method: 'GET', path: '/', needs: 'people', meaning: 'volume, actions, findings and times of the newest exchanges', run: show };
