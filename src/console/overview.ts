/**
 * How it goes: volume, what was done, what was found, how long it took, from the counts that the store keeps by minute and
 * hour of all exchanges that the caller sees, of both directions or one; what is out of the ordinary is marked, and how
 * classifiers and people keep up stands below. Columns begin at whole minutes or hours; the first and the last may be cut.
 */
import { invalid, type DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { ACTIONS, DIRECTIONS, type Direction } from '../contract/screening.ts';
import { barTable, columnChart, type Bar, type Column } from './charts.ts';
import { exchangeTable, instantOf, type DecisionList } from './exchanges.ts';
import { classifierHealth, judgedOtherwise, reviewHealth, type Missing } from './health.ts';
import { freshLink, freshPlace } from './fresh.ts';
import { html, type Piece } from './html.ts';
import { NAV, page, redirect } from './layout.ts';
import { actionBadge, choice, count, field, given, link, share } from './parts.ts';
import { Refused, take } from './refusal.ts';
import { spikesOf, type Spike } from './spikes.ts';

const NEWEST_ROWS = 8;
const BARS_MAX = 12;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface Window {
  readonly id: string;
  readonly name: string;
  readonly span: 'minute' | 'hour';
  readonly lengthMs: number;
  readonly columnMs: number;
}

const WINDOWS: readonly Window[] = [
  { id: '1', name: 'last hour', span: 'minute', lengthMs: HOUR_MS, columnMs: 3 * MINUTE_MS }, { id: '24', name: 'last 24 hours', span: 'hour', lengthMs: 24 * HOUR_MS, columnMs: HOUR_MS }, { id: '168', name: 'last 7 days', span: 'hour', lengthMs: 168 * HOUR_MS, columnMs: 6 * HOUR_MS },
];

/** As the API tells them. */
interface Counted {
  readonly direction: string | null;
  readonly measure: string;
  readonly name: string | null;
  readonly total: number;
}

interface CountsBody {
  readonly counts: readonly Counted[];
  readonly latencies: readonly Readonly<Record<'p50' | 'p95' | 'p99', number | null> & { readonly name: string }>[];
  readonly columns: readonly { readonly from: string; readonly actions: Readonly<Record<string, number>> }[];
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  if (!api.may(request.actor, 'countDecisions')) return redirect(NAV.find(({ needs }) => api.may(request.actor, needs))?.path ?? '/login');
  const { window, fromMs, untilMs, tenant, direction, isLive } = askedOf(request);
  const [since, until] = [new Date(fromMs).toISOString(), new Date(untilMs).toISOString()];
  const query = { span: window.span, since, until, tenant, columns_ms: window.columnMs };
  const body = await take<CountsBody>(api, request, 'countDecisions', { query });
  const { decisions } = await take<DecisionList>(api, request, 'listDecisions', { query: { tenant, since, until, limit: NEWEST_ROWS } });
  const total = totalOf(body, 'exchanges');
  // Of a direction its decisions are the whole, of both the exchanges.
  const whole = direction === undefined ? total : totalOf(body, 'action', direction);
  const columns = columnsOf(body, fromMs, untilMs, window);
  const asked: readonly Direction[] = direction === undefined ? DIRECTIONS : [direction];
  const health = { missing: missingOf(body, direction), decisions: asked.reduce((sum, one) => sum + totalOf(body, 'action', one), 0), tenant, since, until };
  return page(api, request, {
    title: 'Overview', at: '/', json: link('/api/v1/decisions/counts', new URLSearchParams(), { span: window.span, since, until, tenant }),
    body: html`
<form method="get" class="filter">${choice('Time', 'hours', [...WINDOWS.map(({ id, name }) => [id, name] as const), ['', 'from since to until']], window.id)}${field('Since (UTC)', 'since', request.query.get('since'), html` placeholder="2030-01-31"`)}${field('Until (UTC)', 'until', request.query.get('until'), html` placeholder="2030-01-31T13:00"`)}${field('Tenant', 'tenant', tenant, html` data-search`)}${choice('Direction', 'direction', [['', 'both'], ['input', 'prompts'], ['output', 'answers']], direction)}<div class="field"><button>Show</button> ${window.id === '' ? '' : freshLink('/', request.query, isLive)}</div></form>
${freshPlace(isLive, html`${total === 0 ? html`<p>No exchange in this time.</p>` : html`${tiles(body, total, whole, direction)}
${columnChart({ title: 'Exchanges over time (UTC)', columns, totalName: 'exchanges', markedName: 'acted on', timeName: 'From' })}
${spikesBody(columns)}
<div class="pair">${barTable({ title: 'What was done', nameHead: 'Action', valueHead: direction === undefined ? 'Exchanges' : 'Decisions', bars: actionBars(body, whole, direction) })}
${barTable({ title: 'Found: a category scored 0.5 or more', nameHead: 'Category', valueHead: 'Share', bars: barsOf(body, 'category', direction, (value) => share(value, whole)) })}</div>
<div class="pair">${barTable({ title: 'Rules that decided', nameHead: 'Rule', valueHead: direction === undefined ? 'Exchanges' : 'Decisions', bars: barsOf(body, 'rule', direction, count) })}${latencies(body)}</div>`}
${await classifierHealth(api, request, health)}
${await reviewHealth(api, request, health)}
${await judgedOtherwise(api, request, tenant)}
${decisions.length === 0 ? '' : html`<h2>Newest</h2>${exchangeTable(decisions)}`}`)}`,
  });
}

/** Of a time that somebody chose. */
const [COLUMNS, MINUTES_UP_TO_MS] = [24, 3 * HOUR_MS];

interface Asked {
  readonly window: Window;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly tenant: string | undefined;
  readonly direction: Direction | undefined;
  readonly isLive: boolean;
}

/** Refuses a time that is none. */
function askedOf({ query }: PageRequest): Asked {
  const [since, until] = [instantOf(given(query, 'since', 40)), instantOf(given(query, 'until', 40))];
  const own = since !== undefined || until !== undefined;
  const [untilMs, sinceMs] = [until === undefined ? Date.now() : Date.parse(until), since === undefined ? undefined : Date.parse(since)];
  if (Number.isNaN(untilMs) || Number.isNaN(sinceMs ?? 0)) throw new Refused(invalid('since and until are times such as 2030-01-31 or 2030-01-31T13:00'));
  const window = own ? ownWindow(Math.max(0, untilMs - (sinceMs ?? untilMs - 24 * HOUR_MS))) : (WINDOWS.find(({ id }) => id === query.get('hours')) ?? WINDOWS[1]!);
  const fromMs = Math.floor((sinceMs ?? untilMs - window.lengthMs) / window.columnMs) * window.columnMs;
  return { window, fromMs, untilMs, tenant: given(query, 'tenant', 64), direction: DIRECTIONS.find((one) => one === query.get('direction')), isLive: !own && query.get('live') !== null };
}

function ownWindow(lengthMs: number): Window {
  const span = lengthMs <= MINUTES_UP_TO_MS ? 'minute' : 'hour';
  const width = span === 'minute' ? MINUTE_MS : HOUR_MS;
  return { id: '', name: '', span, lengthMs, columnMs: Math.max(1, Math.ceil(lengthMs / COLUMNS / width)) * width };
}

function spikesBody(columns: readonly Column[]): Piece {
  const kinds: readonly (readonly [string, readonly Spike[]])[] = [['exchanges', spikesOf(columns.map(({ total }) => total))], ['acted on', spikesOf(columns.map(({ marked }) => marked))]];
  const told = kinds.flatMap(([name, spikes]) => spikes.map(({ index, value, usual }) => html`<li><strong>${columns[index]!.label}</strong>: ${count(value)} ${name}, where ${count(usual)} is usual</li>`));
  return told.length === 0 ? '' : html`<div class="spikes"><p>Out of the ordinary in this window (▲ in the chart):</p><ul>${told}</ul></div>`;
}

/** Scores that did not arrive, by classifier: counted once for a reason in a decision, under `classifier reason`. */
function missingOf({ counts }: CountsBody, direction: Direction | undefined): ReadonlyMap<string, Missing> {
  const missing = new Map<string, { timeouts: number; others: number }>();
  for (const { direction: of, measure, name, total } of counts) {
    if (measure !== 'unknown' || name === null || of === null || (direction !== undefined && of !== direction)) continue;
    const [id, reason] = name.split(' ', 2) as [string, string?];
    const one = missing.get(id) ?? { timeouts: 0, others: 0 };
    missing.set(id, one);
    if (reason === 'timeout') one.timeouts += total;
    else if (reason !== 'unsupported') one.others += total;
  }
  return missing;
}

/** Of a direction, or without one of the exchange. */
function of({ counts }: CountsBody, measure: string, direction?: Direction): readonly Counted[] {
  return counts.filter((one) => one.direction === (direction ?? null) && one.measure === measure);
}

function totalOf(body: CountsBody, measure: string, direction?: Direction, isMeant: (name: string) => boolean = () => true): number {
  return of(body, measure, direction).filter(({ name }) => isMeant(name ?? '')).reduce((sum, { total }) => sum + total, 0);
}

const isActedOn = (action: string): boolean => action !== 'allow' && action !== 'none';

function tiles(body: CountsBody, total: number, whole: number, direction: Direction | undefined): Piece {
  const [acted, failed, decided] = [totalOf(body, 'action', direction, isActedOn), totalOf(body, 'outcome', undefined, (outcome) => outcome === 'failed' || outcome === 'upstream_failed'), totalOf(body, 'degraded')];
  const told: readonly (readonly [string, string, string])[] = [
    ['Exchanges', count(total), ''], ['Acted on', count(acted), share(acted, whole)], ['Failed', count(failed), share(failed, total)], ['A fail mode decided', count(decided), share(decided, total)],
  ];
  return html`<dl class="tiles">${told.map(([name, value, note]) => html`<div><dt>${name}</dt><dd><strong>${value}</strong> <span class="quiet">${note}</span></dd></div>`)}</dl>`;
}

function columnsOf({ columns }: CountsBody, fromMs: number, untilMs: number, { columnMs, lengthMs }: Window): readonly Column[] {
  const actions = new Map(columns.map((column) => [Date.parse(column.from), Object.entries(column.actions)]));
  const isLong = lengthMs > 48 * HOUR_MS;
  const made = Array.from({ length: Math.ceil((untilMs - fromMs) / columnMs) }, (_, at) => {
    const beginMs = fromMs + at * columnMs;
    const counted = actions.get(beginMs) ?? [];
    const sum = (isMeant: (action: string) => boolean): number => counted.filter(([action]) => isMeant(action)).reduce((all, [, total]) => all + total, 0);
    return { total: sum(() => true), marked: sum(isActedOn), label: new Date(beginMs).toISOString().slice(isLong ? 5 : 11, isLong ? 13 : 16).replace('T', ' ') };
  });
  const spikes = [...spikesOf(made.map(({ total }) => total)), ...spikesOf(made.map(({ marked }) => marked))].map(({ index }) => index);
  return made.map((column, index) => ({ ...column, isSpike: spikes.includes(index) }));
}

function actionBars(body: CountsBody, total: number, direction: Direction | undefined): readonly Bar[] {
  return [...ACTIONS, 'none' as const].flatMap((action) => {
    const value = totalOf(body, 'action', direction, (name) => name === action);
    return value === 0 ? [] : [{ name: action === 'none' ? 'nothing was decided' : actionBadge(action), plain: action, value, told: `${count(value)} (${share(value, total)})` }];
  });
}

function barsOf(body: CountsBody, measure: string, direction: Direction | undefined, told: (value: number) => string): readonly Bar[] {
  return [...of(body, measure, direction)].sort((a, b) => b.total - a.total || ((a.name ?? '') < (b.name ?? '') ? -1 : 1)).slice(0, BARS_MAX).map(({ name, total }) => ({ name: html`<code>${name ?? ''}</code>`, plain: name ?? '', value: total, told: told(total) }));
}

const LATENCIES: Readonly<Record<string, string>> = { input: 'Prompt screened', output: 'Answer screened', first_byte: 'First byte', duration: 'Whole exchange' };

function latencies({ latencies: all }: CountsBody): Piece {
  return html`<figure><figcaption>How long it took, in ms, within a tenth</figcaption><div class="scroll" tabindex="0" role="region" aria-label="How long it took"><table><thead><tr><th scope="col">What</th><th scope="col" class="number">p50</th><th scope="col" class="number">p95</th><th scope="col" class="number">p99</th></tr></thead><tbody>${all.map(({ name, p50, p95, p99 }) => html`<tr><th scope="row">${LATENCIES[name] ?? name}</th>${[p50, p95, p99].map((ms) => html`<td class="number">${ms === null ? '–' : ms.toFixed(1)}</td>`)}</tr>`)}</tbody></table></div></figure>`;
}

export const OVERVIEW_PAGE: Page = { method: 'GET', path: '/', needs: 'people', meaning: 'volume, actions, findings, times, classifiers and review of a window, with spikes marked; `?live=1` keeps it fresh', run: show };
