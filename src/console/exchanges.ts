/**
 * The decisions of the audit log, newest first, found by what the log tells: who, when, what was done, which rule. The
 * log holds no content, and neither does a page. A search looks at so many entries at once as one call of the API does,
 * and a few calls; it says where it stopped, and goes on from there.
 */
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { AuditEntry } from '../audit/entries.ts';
import type { ExchangeRecord } from '../contract/exchange.ts';
import { ACTION_WEIGHT, type Action } from '../contract/screening.ts';
import { html, type Html } from './html.ts';
import { page } from './layout.ts';
import { ACTION_OPTIONS, actionBadge, choice, count, field, given, givenNumber, link, names, shortId, timeOf } from './parts.ts';
import { take } from './refusal.ts';

export type ExchangeEntry = AuditEntry & ExchangeRecord;

interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** For older ones; null: there are none. */
  readonly next: number | null;
}

const ROWS_MAX = 50;
const CALLS_MAX = 5;
const CALL_ENTRIES = 1_000;

/** What was done to the exchange, of both directions and afterwards: that which did most. */
export function actionOf({ input, output, late }: Pick<ExchangeRecord, 'input' | 'output' | 'late'>): Action | undefined {
  const taken = [input?.action, output?.action, late?.action].filter((action) => action !== undefined);
  return taken.sort((a, b) => ACTION_WEIGHT[b] - ACTION_WEIGHT[a])[0];
}

export function rulesOf({ input, output, late }: Pick<ExchangeRecord, 'input' | 'output' | 'late'>): readonly string[] {
  return [...new Set([input, output, late].flatMap((decision) => decision?.triggered_rules ?? []))];
}

interface Search {
  readonly action: string | undefined;
  readonly rule: string | undefined;
  readonly policy: string | undefined;
}

function isFound(entry: ExchangeEntry, { action, rule, policy }: Search): boolean {
  return (action === undefined || [entry.input, entry.output, entry.late].some((decision) => decision?.action === action))
    && (rule === undefined || rulesOf(entry).includes(rule)) && (policy === undefined || entry.policy === policy || entry.policy?.startsWith(`${policy}@`) === true);
}

/** A day, a minute of `datetime-local`, which counts as UTC, or a whole time. */
function instantOf(value: string | undefined): string | undefined {
  if (value === undefined || /(?:Z|[+-]\d\d:\d\d)$/.test(value)) return value;
  return /T/.test(value) ? `${value}Z` : `${value}T00:00:00Z`;
}

export function asked(query: URLSearchParams): Readonly<Record<string, string | undefined>> {
  return { kind: 'exchange', tenant: given(query, 'tenant'), request_id: given(query, 'request_id'), since: instantOf(given(query, 'since')), until: instantOf(given(query, 'until')), origin: given(query, 'origin') };
}

async function find(api: Api, request: PageRequest): Promise<{ readonly found: readonly ExchangeEntry[]; readonly next: number | null; readonly seen: number }> {
  const { query } = request;
  const search: Search = { action: given(query, 'action'), rule: given(query, 'rule'), policy: given(query, 'policy') };
  const limit = Object.values(search).some((value) => value !== undefined) ? CALL_ENTRIES : ROWS_MAX;
  const found: ExchangeEntry[] = [];
  let [next, seen]: [number | null | undefined, number] = [givenNumber(query, 'before', 15), 0];
  for (let calls = 0; calls < CALLS_MAX && next !== null; calls++) {
    const answer: AuditPage = await take(api, request, 'listAuditEntries', { query: { ...asked(query), before: next, limit } });
    for (const entry of answer.entries as readonly ExchangeEntry[]) {
      seen += 1;
      if (isFound(entry, search)) found.push(entry);
      if (found.length === ROWS_MAX) return { found, next: entry.index, seen };
    }
    ({ next } = answer);
    // It has looked at as many entries as one call may; others wait.
    if (answer.entries.length < limit) break;
  }
  return { found, next: next ?? null, seen };
}

async function list(api: Api, request: PageRequest) {
  const { query } = request;
  const { found, next, seen } = await find(api, request);
  const more = next === null ? html`<p class="quiet">These are all.</p>` : html`<p>${found.length < ROWS_MAX ? html`<span class="quiet">The search goes on from here${seen === 0 ? '' : `; ${count(seen)} exchanges were looked at`}. </span>` : ''}<a class="button" rel="next" href="${link('/exchanges', query, { before: next })}">Older</a></p>`;
  return page(api, request, {
    title: 'Exchanges', at: '/exchanges', json: link('/api/v1/audit', new URLSearchParams(), { ...asked(query), before: givenNumber(query, 'before', 15), limit: ROWS_MAX }),
    body: html`
<form method="get" class="filter" role="search">
${field('Request id', 'request_id', query.get('request_id'), html` data-search`)}${field('Tenant', 'tenant', query.get('tenant'))}${choice('Action', 'action', ACTION_OPTIONS, query.get('action'))}${field('Rule', 'rule', query.get('rule'))}${field('Policy', 'policy', query.get('policy'))}
${field('Since (UTC)', 'since', query.get('since'), html` placeholder="2030-01-31"`)}${field('Until (UTC)', 'until', query.get('until'), html` placeholder="2030-01-31T13:00"`)}
${query.get('origin') === null ? '' : html`<input type="hidden" name="origin" value="${query.get('origin')}">`}<div class="field"><button>Search</button> <a href="/exchanges">Clear</a></div>
</form>
${found.length === 0 ? html`<p>${next === null ? 'No exchange is like that.' : 'No exchange is like that so far.'}</p>` : exchangeTable(found, given(query, 'origin'))}
${more}`,
  });
}

export function exchangeTable(entries: readonly ExchangeEntry[], origin?: string): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Exchanges"><table class="rows"><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Action</th><th scope="col">Outcome</th><th scope="col">Tenant</th><th scope="col">Rules</th><th scope="col">Model</th><th scope="col">Policy</th><th scope="col" class="number">ms</th><th scope="col">Request</th></tr></thead><tbody>${entries.map((entry) => {
    const action = actionOf(entry);
    return html`
<tr data-row><td><a href="${link(`/exchanges/${entry.index}`, new URLSearchParams(), { origin })}" data-open>${timeOf(entry.started_at)}</a></td><td>${action === undefined ? html`<span class="quiet">–</span>` : actionBadge(action)}</td><td>${entry.outcome}${entry.error_code === undefined ? '' : html` <code>${entry.error_code}</code>`}</td><td>${entry.tenant_id}</td><td>${names(rulesOf(entry), '–')}</td><td>${entry.model ?? '–'}</td><td>${entry.policy ?? '–'}</td><td class="number">${Math.round(entry.duration_ms)}</td><td>${shortId(entry.request_id)}</td></tr>`;
  })}
</tbody></table></div>`;
}

export const EXCHANGE_LIST_PAGE: Page = { method: 'GET', path: '/exchanges', needs: 'listAuditEntries', meaning: 'decisions, found by request, tenant, action, rule, policy and time', run: list };
