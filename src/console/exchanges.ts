/**
 * Decisions, newest first, found by what is recorded of them: who, when, what was done, which rule. They are read from the
 * store, which holds no content, and neither does a page; each leads to its entry of the audit log. A search looks at so
 * many of them at once and no more; it says where it stopped, and goes on from there.
 */
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { AuditEntry } from '../audit/entries.ts';
import type { ExchangeRecord } from '../contract/exchange.ts';
import { html, type Html, type Piece } from './html.ts';
import { page } from './layout.ts';
import { ACTION_OPTIONS, actionBadge, choice, count, field, given, link, names, shortId, timeOf } from './parts.ts';
import { take } from './refusal.ts';

export type ExchangeEntry = AuditEntry & ExchangeRecord;

/** As the API tells it, as far as a table shows it. */
export interface ListedDecision {
  readonly request_id: string;
  readonly tenant_id: string;
  readonly started_at: string;
  readonly policy: string | null;
  readonly model: string | null;
  readonly outcome: string;
  readonly error_code: string | null;
  readonly action: string | null;
  readonly triggered_rules: readonly string[];
  readonly duration_ms: number;
  readonly log: string;
  readonly index: number;
  readonly is_own: boolean;
  readonly shipped: boolean;
}

export interface DecisionList {
  readonly decisions: readonly ListedDecision[];
  /** For older ones; null: there are none. */
  readonly next: string | null;
  readonly looked: number;
}

const ROWS_MAX = 50;

/** A day, a minute of `datetime-local`, which counts as UTC, or a whole time. */
export function instantOf(value: string | undefined): string | undefined {
  if (value === undefined || /(?:Z|[+-]\d\d:\d\d)$/.test(value)) return value;
  return /T/.test(value) ? `${value}Z` : `${value}T00:00:00Z`;
}

const ASKED = ['request_id', 'tenant', 'action', 'rule', 'category', 'policy', 'origin'] as const;

function asked(query: URLSearchParams): Readonly<Record<string, string | number | undefined>> {
  const before = given(query, 'before');
  return {
    ...Object.fromEntries(ASKED.map((name) => [name, given(query, name)])), since: instantOf(given(query, 'since')), until: instantOf(given(query, 'until')),
    before: before !== undefined && /^\d{1,16}-\d{1,16}$/.test(before) ? before : undefined, limit: ROWS_MAX,
  };
}

async function list(api: Api, request: PageRequest) {
  const { query } = request;
  const { decisions, next, looked } = await take<DecisionList>(api, request, 'listDecisions', { query: asked(query) });
  const more = next === null ? html`<p class="quiet">These are all.</p>` : html`<p>${decisions.length < ROWS_MAX ? html`<span class="quiet">The search goes on from here; ${count(looked)} exchanges were looked at. </span>` : ''}<a class="button" rel="next" href="${link('/exchanges', query, { before: next })}">Older</a></p>`;
  return page(api, request, {
    title: 'Exchanges', at: '/exchanges', json: link('/api/v1/decisions', new URLSearchParams(), asked(query)),
    body: html`
<form method="get" class="filter" role="search">
${field('Request id, or its beginning', 'request_id', query.get('request_id'), html` data-search`)}${field('Tenant', 'tenant', query.get('tenant'))}${choice('Action', 'action', ACTION_OPTIONS, query.get('action'))}${field('Rule', 'rule', query.get('rule'))}${field('Found', 'category', query.get('category'), html` placeholder="pii.EMAIL"`)}${field('Policy', 'policy', query.get('policy'))}
${field('Since (UTC)', 'since', query.get('since'), html` placeholder="2030-01-31"`)}${field('Until (UTC)', 'until', query.get('until'), html` placeholder="2030-01-31T13:00"`)}
${query.get('origin') === null ? '' : html`<input type="hidden" name="origin" value="${query.get('origin')}">`}<div class="field"><button>Search</button> <a href="/exchanges">Clear</a></div>
</form>
${decisions.length === 0 ? html`<p>${next === null ? 'No exchange is like that.' : 'No exchange is like that so far.'}</p>` : exchangeTable(decisions)}
${more}`,
  });
}

export function exchangeTable(decisions: readonly ListedDecision[]): Html {
  const logs = decisions.some(({ is_own: isOwn }) => !isOwn);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Exchanges"><table class="rows"><thead><tr><th scope="col">Time (UTC)</th><th scope="col">Action</th><th scope="col">Outcome</th><th scope="col">Tenant</th><th scope="col">Rules</th><th scope="col">Model</th><th scope="col">Policy</th><th scope="col" class="number">ms</th><th scope="col">Request</th>${logs ? html`<th scope="col">Log</th>` : ''}</tr></thead><tbody>${decisions.map((decision) => html`
<tr data-row><td>${timeLink(decision)}</td><td>${decision.action === null ? html`<span class="quiet">–</span>` : actionBadge(decision.action)}</td><td>${decision.outcome}${decision.error_code === null ? '' : html` <code>${decision.error_code}</code>`}</td><td>${decision.tenant_id}</td><td>${names(decision.triggered_rules, '–')}</td><td>${decision.model ?? '–'}</td><td>${decision.policy ?? '–'}</td><td class="number">${Math.round(decision.duration_ms)}</td><td>${shortId(decision.request_id)}</td>${logs ? html`<td>${decision.is_own ? '' : decision.log}</td>` : ''}</tr>`)}
</tbody></table></div>`;
}

/** To its entry, where the log is here: of another process that has the same store it is not. */
function timeLink({ started_at: at, index, log, is_own: isOwn, shipped }: ListedDecision): Piece {
  if (!isOwn && !shipped) return timeOf(at);
  return html`<a href="${link(`/exchanges/${index}`, new URLSearchParams(), { origin: isOwn ? undefined : log })}" data-open>${timeOf(at)}</a>`;
}

export const EXCHANGE_LIST_PAGE: Page = { method: 'GET', path: '/exchanges', needs: 'listDecisions', meaning: 'decisions, found by request, tenant, action, rule, what was found, policy and time', run: list };
