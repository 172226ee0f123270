/**
 * Erasures of kept content: which there were, of what and by whom, and a form that asks for one. Keys that are destroyed
 * come back for nobody, so the tenant's name is typed once more, and one thing is chosen: what is left empty is never all.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { AuditEntry } from '../audit/entries.ts';
import type { ErasureRecord } from '../audit/entry.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField } from './layout.ts';
import { choice, count, field, given, givenNumber, link, names, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

const ROWS_MAX = 50;

/** What is erased, by the member of the API's body that names it. */
const SCOPES = [['request_id', 'one exchange'], ['session_id', 'one session'], ['before', 'before a day'], ['all', 'all of it']] as const;
type Scope = (typeof SCOPES)[number][0];

type Erased = AuditEntry & ErasureRecord;

async function show(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const { query, form } = request;
  const asked = { kind: 'erasure', tenant: given(query, 'tenant'), before: givenNumber(query, 'before', 15), limit: ROWS_MAX };
  const { entries, next } = await take<{ readonly entries: readonly Erased[]; readonly next: number | null }>(api, request, 'listAuditEntries', { query: asked });
  return page(api, request, {
    title: 'Erasures', at: '/audit', status, json: link('/api/v1/audit', new URLSearchParams(), asked),
    body: html`<p class="quiet"><a href="/audit">Audit log</a>: each erasure is an entry of it. What is erased is content that a tenant keeps (<code>data.content</code>); entries hold none, and stay.</p>
${told}
<form method="get" class="filter" role="search">${field('Tenant', 'tenant', query.get('tenant'), html` data-search`)}<div class="field"><button>Show</button></div></form>
${entries.length === 0 ? html`<p>${next === null ? 'Nothing was erased' : 'Nothing was erased in the newest entries'}${asked.tenant === undefined ? '' : ' of this tenant'}.</p>` : erasureTable(entries)}
${next === null ? '' : html`<p><a class="button" rel="next" href="${link('/audit/erasures', query, { before: next })}">Older</a></p>`}
${asked.tenant === undefined || !api.may(request.actor, 'listErasures') ? '' : await fleetBody(api, request, asked.tenant)}
${api.may(request.actor, 'eraseContent') ? await eraseForm(api, request, form) : ''}`,
  });
}

function erasureTable(entries: readonly Erased[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Erasures"><table class="rows"><thead><tr><th scope="col" class="number">Entry</th><th scope="col">Time (UTC)</th><th scope="col">By</th><th scope="col">Tenant</th><th scope="col">What</th><th scope="col" class="number">Keys destroyed</th><th scope="col" class="number">Gone before</th></tr></thead><tbody>${entries.map((entry) => html`
<tr data-row><td class="number"><a href="/exchanges/${entry.index}" data-open>${entry.index}</a></td><td>${timeOf(entry.time)}</td><td>${entry.author}</td><td>${entry.tenant_id}</td><td>${scopeOf(entry)}</td><td class="number">${count(entry.destroyed)}</td><td class="number">${count(entry.gone)}</td></tr>`)}
</tbody></table></div>`;
}

interface Keeper {
  readonly keeper: string;
  readonly origin: string;
  readonly seen_at: string;
}

interface Wanted {
  readonly number: number;
  readonly before: string | null;
  readonly request_id: string | null;
  readonly session_id: string | null;
  readonly author: string;
  readonly created_at: string;
  readonly confirmed: readonly { readonly origin: string }[];
  readonly waiting: readonly Keeper[];
  readonly gone: readonly { readonly origin: string }[];
}

/** What was asked for of a tenant, and which processes of the fleet have carried it out. */
async function fleetBody(api: Api, request: PageRequest, tenant: string): Promise<Piece> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(tenant)) return '';
  const answer = await api.call('listErasures', request, { names: { tenant } });
  if (answer.status !== 200) return html`<p class="quiet">${messageOf(answer)}</p>`;
  const { erasures } = answer.body as { readonly erasures: readonly Wanted[] };
  if (erasures.length === 0) return '';
  return html`<h2>In every process</h2><div class="scroll" tabindex="0" role="region" aria-label="Erasures in every process"><table class="rows"><thead><tr><th scope="col">Asked for (UTC)</th><th scope="col">By</th><th scope="col">What</th><th scope="col">Carried out by</th><th scope="col">Still to be</th></tr></thead><tbody>${erasures.map(({ before, request_id: requestId, session_id: sessionId, author, created_at: at, confirmed, waiting, gone }) => html`
<tr><td>${timeOf(at)}</td><td>${author}</td><td>${scopeOf({ before: before ?? undefined, request_id: requestId ?? undefined, session_id: sessionId ?? undefined })}</td><td>${names([...new Set(confirmed.map(({ origin }) => origin))], 'nobody yet')}</td><td>${waiting.length === 0 ? html`<span class="badge a-allow">nobody</span>` : names([...new Set(waiting.map(({ origin }) => origin))])}${gone.length === 0 ? '' : html` <span class="quiet">gone: ${names([...new Set(gone.map(({ origin }) => origin))])}</span>`}</td></tr>`)}
</tbody></table></div>${api.may(request.actor, 'partKeeper') ? goneForm(request, tenant, erasures) : ''}`;
}

/** For processes that erasures of the tenant wait for. */
function goneForm(request: PageRequest, tenant: string, erasures: readonly Wanted[]): Piece {
  const waiting = new Map(erasures.flatMap((one) => one.waiting).map((one) => [one.keeper, `${one.origin}, seen ${timeOf(one.seen_at)}`]));
  if (waiting.size === 0) return '';
  return html`<details><summary>A process is gone for good</summary><p>Only where its folder is destroyed: what it kept is erased nowhere else. It stands in the audit log. If it comes back, it carries out what it missed.</p>
<form method="post" action="/audit/erasures/gone" class="filter">${proofField(request)}<input type="hidden" name="tenant" value="${tenant}">
${choice('Process', 'keeper', [['', 'choose'], ...waiting], '')}${field('Why', 'reason', '', html` required maxlength="1000"`)}<div class="field"><button class="danger">It is gone</button></div></form></details>`;
}

async function part(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const answer = await api.call('partKeeper', request, { body: { keeper: form.get('keeper') ?? '', reason: form.get('reason') ?? '' } });
  return show(api, { ...request, query: new URLSearchParams({ tenant: form.get('tenant') ?? '' }) }, answer.status === 200 ? html`<p class="good" role="status">Erasures wait for it no more.</p>` : html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
}

function scopeOf({ before, request_id: requestId, session_id: sessionId }: Pick<ErasureRecord, 'before' | 'request_id' | 'session_id'>): Piece {
  if (requestId !== undefined) return html`exchange <code>${requestId}</code>`;
  if (sessionId !== undefined) return html`session <code>${sessionId}</code>`;
  return before === undefined ? 'all of the tenant' : `before ${before}`;
}

async function eraseForm(api: Api, request: PageRequest, form: URLSearchParams): Promise<Html> {
  const { tenants } = await take<{ readonly tenants: readonly { readonly id: string }[] }>(api, request, 'listTenants');
  return html`<h2>Erase</h2><p>The keys of what was kept are destroyed for good: here at once, and in every process of the fleet. Copies of the keys that somebody made elsewhere are theirs to destroy.</p>
<form method="post" action="/audit/erasures" class="filter">${proofField(request)}
<div class="field"><label for="f-of">Tenant</label><input id="f-of" name="of" list="tenants" required maxlength="64" value="${form.get('of') ?? ''}" autocomplete="off" spellcheck="false"><datalist id="tenants">${tenants.map(({ id }) => html`<option value="${id}"></option>`)}</datalist></div>
${choice('What', 'scope', SCOPES, form.get('scope') ?? 'request_id')}${field('Its id, or the day', 'value', form.get('value'), html` maxlength="300" placeholder="2030-01-31"`)}
<div class="field"><label for="f-confirm">The name once more</label><input id="f-confirm" name="confirm" required autocomplete="off" spellcheck="false"></div>
<div class="field"><button class="danger">Erase it for good</button></div></form>`;
}

async function erase(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const refuse = (why: string, status = 400): Promise<DeskAnswer> => show(api, request, html`<p class="fault" role="alert">${why}</p>`, status);
  const [tenant, value] = [form.get('of')?.trim() ?? '', form.get('value')?.trim() ?? ''];
  const scope = SCOPES.find(([name]) => name === form.get('scope'))?.[0];
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(tenant) || scope === undefined) return refuse('Name a tenant, and choose what is to be erased. Nothing was erased.');
  if (form.get('confirm')?.trim() !== tenant) return refuse(`The two names differ: write ${tenant} into both fields. Nothing was erased.`);
  if ((scope === 'all') !== (value === '')) return refuse(scope === 'all' ? 'All of the tenant and one id or day are two things: choose one. Nothing was erased.' : 'Say which exchange, session or day. Nothing was erased.');
  const answer = await api.call('eraseContent', request, { names: { tenant }, body: bodyOf(scope, value) });
  if (answer.status !== 200) return refuse(messageOf(answer), answer.status);
  const { destroyed, gone } = answer.body as { readonly destroyed: number; readonly gone: number };
  return show(api, { ...request, form: new URLSearchParams() }, html`<p class="good" role="status">${destroyed === 0 ? 'No key was there to destroy' : `The keys of ${count(destroyed)} ${destroyed === 1 ? 'exchange' : 'exchanges'} are destroyed here`}${gone === 0 ? '' : `; ${count(gone)} were gone before`}. The audit log says so; <a href="${link('/audit/erasures', new URLSearchParams(), { tenant })}">other processes</a> do the same.</p>`);
}

function bodyOf(scope: Scope, value: string): object {
  return scope === 'all' ? { all: true } : { [scope]: value };
}

export const ERASURE_PAGES: readonly Page[] = [
  { method: 'GET', path: '/audit/erasures', needs: 'listAuditEntries', meaning: 'what was erased of kept content, and by whom', run: (api, request) => show(api, request) },
  { method: 'POST', path: '/audit/erasures', needs: 'eraseContent', meaning: 'erase kept content, with the tenant’s name typed twice', run: erase },
  { method: 'POST', path: '/audit/erasures/gone', needs: 'partKeeper', meaning: 'say that a process is gone with what it kept', run: part },
];
