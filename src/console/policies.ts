/**
 * Policies: which there are and who is under them, one with its text and its revisions, the difference of two, and going
 * back to an earlier one. What is changed here is changed through the API's own routes, in the name of who is logged in.
 */
import { fault, type DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { PolicyRevision } from '../contract/policy.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { choice, count, given, givenNumber, names, shortId, timeOf } from './parts.ts';
import { refusalPage, take } from './refusal.ts';

interface Listed {
  readonly from: 'store' | 'file';
  readonly policy: string;
  readonly tenants: readonly string[];
  readonly number?: number;
  readonly author?: string;
  readonly comment?: string;
  readonly created_at?: string;
  readonly retired?: boolean;
  readonly file?: string;
  readonly overruled?: boolean;
}

interface Summary {
  readonly number: number;
  readonly parent: number;
  readonly author: string;
  readonly comment: string;
  readonly created_at: string;
  readonly sha256: string;
  readonly retired: boolean;
}

const HISTORY_ROWS = 50;

async function list(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { policies } = await take<{ readonly policies: readonly Listed[] }>(api, request, 'listPolicies');
  return page(api, request, {
    title: 'Policies', at: '/policies', json: '/api/v1/policies',
    body: html`${api.may(request.actor, 'storePolicy') ? html`<form method="get" action="/new-policy" class="filter"><div class="field"><label for="f-id">New policy</label><input id="f-id" name="id" required pattern="[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}" autocomplete="off" spellcheck="false"></div><div class="field"><button>Write it</button></div></form>` : ''}
${policies.length === 0 ? html`<p>There is none for you to see.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Policies"><table class="rows"><thead><tr><th scope="col">Policy</th><th scope="col">From</th><th scope="col">Tenants</th><th scope="col">Changed (UTC)</th><th scope="col">By</th><th scope="col">Why</th></tr></thead><tbody>${policies.map((one) => html`
<tr data-row><td><a href="/policies/${one.policy}" data-open>${one.policy}</a></td><td>${one.from === 'file' ? html`file <code>${one.file ?? ''}</code>${one.overruled === true ? html` <span class="quiet">overruled by the store</span>` : ''}` : html`revision ${one.number ?? 0}${one.retired === true ? ', retired' : ''}`}</td><td>${names(one.tenants, '–')}</td><td>${timeOf(one.created_at)}</td><td>${one.author ?? '–'}</td><td>${one.comment ?? ''}</td></tr>`)}
</tbody></table></div>`}`,
  });
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const wanted = givenNumber(request.query, 'revision');
  const { policies } = await take<{ readonly policies: readonly Listed[] }>(api, request, 'listPolicies');
  const listed = policies.filter(({ policy }) => policy === id);
  const stored = await api.call('readPolicy', request, { names: { id }, query: { revision: wanted } });
  // A policy of a file has no revision to read.
  if (stored.status !== 200 && (stored.status !== 404 || wanted !== undefined || listed.length === 0)) return refusalPage(api, stored, request);
  const revision = stored.status === 200 ? (stored.body as PolicyRevision) : undefined;
  const { revisions } = revision === undefined ? { revisions: [] } : await take<{ readonly revisions: readonly Summary[] }>(api, request, 'listRevisions', { names: { id }, query: { limit: HISTORY_ROWS } });
  const newest = revisions[0]?.number;
  return page(api, request, {
    title: `Policy ${id}`, at: '/policies', json: revision === undefined ? '/api/v1/policies' : `/api/v1/policies/${id}${wanted === undefined ? '' : `?revision=${wanted}`}`,
    body: html`
<p class="lead">${listed.map(({ from, file, overruled, tenants, retired }) => html`${from === 'file' ? html`In the file <code>${file ?? ''}</code>${overruled === true ? ', which the store overrules' : ''}. ` : retired === true ? 'Retired in the store. ' : html`In the store. `}${tenants.length === 0 ? '' : html`${count(tenants.length)} under it: ${names(tenants)}. `}`)}</p>
<p class="actions">${api.may(request.actor, 'storePolicy') && revision?.source !== null ? html`<a class="button" href="/policies/${id}/edit${wanted === undefined ? '' : `?revision=${wanted}`}" data-key="e">Edit</a> ` : ''}${api.may(request.actor, 'screenText') ? html`<a class="button" href="/playground?policy=${id}">Try it</a> ` : ''}${api.may(request.actor, 'readBeside') ? html`<a class="button" href="/policies/${id}/beside">Shadow and canary</a>` : ''}</p>
${revision === undefined ? html`<p class="quiet">The text of a policy of a file is shown where the file is.${api.may(request.actor, 'storePolicy') ? ' What is stored under its name counts in its place.' : ''}</p>` : revisionText(revision, newest, api, request)}
${revisions.length === 0 ? '' : historyTable(id, revisions, revision?.number, api, request)}
${newest === undefined || revisions[0]!.retired ? '' : retireForm(listed, newest, api, request)}`,
  });
}

function revisionText({ policy, number, source, author, created_at: at, comment, sha256 }: PolicyRevision, newest: number | undefined, api: Api, request: PageRequest): Piece {
  return html`<h2>Revision ${number}${number === newest ? ', the newest' : ''}</h2>
<p>By <strong>${author}</strong>, ${timeOf(at)} UTC${comment === '' ? '' : html`: ${comment}`} <span class="quiet">SHA-256 ${shortId(sha256, 12)}</span></p>
${source === null ? html`<p>It retires the policy, and has no text.</p>` : numbered(source)}
${newest !== undefined && number < newest && source !== null && api.may(request.actor, 'rollBackPolicy') ? html`<form method="post" action="/policies/${policy}/rollback" class="filter">${proofField(request)}<input type="hidden" name="revision" value="${number}"><input type="hidden" name="parent" value="${newest}"><div class="field"><label for="f-comment">Why</label><input id="f-comment" name="comment" maxlength="1000" autocomplete="off"></div><div class="field"><button>Go back to revision ${number}</button></div></form>` : ''}`;
}

/** A policy that tenants are under, and that no file holds, cannot go; that is said before somebody tries. */
function retireForm(listed: readonly Listed[], newest: number, api: Api, request: PageRequest): Piece {
  if (!api.may(request.actor, 'retirePolicy')) return '';
  const id = request.names['id']!;
  const [tenants, file] = [listed.find(({ from }) => from === 'store')?.tenants ?? [], listed.find(({ from }) => from === 'file')?.file];
  if (tenants.length > 0 && file === undefined) return html`<h2>Retire it</h2><p>It decides for ${names(tenants)}. Give them another policy first; then it can be retired.</p>`;
  return html`<h2>Retire it</h2><p>${file === undefined ? 'No tenant is under it.' : html`The file <code>${file}</code> counts from then on${tenants.length === 0 ? '' : html`, for ${names(tenants)} too`}.`} Its revisions stay, and it can be stored again. The audit log says who retired it.</p>
<form method="post" action="/policies/${id}/retire" class="filter">${proofField(request)}<input type="hidden" name="parent" value="${newest}"><div class="field"><label for="f-confirm">Its name, to confirm</label><input id="f-confirm" name="confirm" required autocomplete="off" spellcheck="false" placeholder="${id}"></div><div class="field"><label for="f-retire-comment">Why</label><input id="f-retire-comment" name="comment" maxlength="1000" autocomplete="off"></div><div class="field"><button class="danger">Retire ${id}</button></div></form>`;
}

/** With the number of each line, which findings name. */
export function numbered(text: string): Html {
  return html`<pre class="text code" tabindex="0"><ol>${text.replace(/\n$/, '').split('\n').map((line, index) => html`<li id="L${index + 1}">${line}
</li>`)}</ol></pre>`;
}

function historyTable(id: string, revisions: readonly Summary[], shown: number | undefined, api: Api, request: PageRequest): Html {
  const options = revisions.map(({ number }) => [String(number), `revision ${number}`] as const);
  return html`<h2>Revisions</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Revisions"><table class="rows"><thead><tr><th scope="col">Revision</th><th scope="col">Time (UTC)</th><th scope="col">By</th><th scope="col">Why</th><th scope="col">Changed</th></tr></thead><tbody>${revisions.map(({ number, parent, author, created_at: at, comment, retired }) => html`
<tr data-row><td><a href="/policies/${id}?revision=${number}" data-open${number === shown ? html` aria-current="true"` : ''}>${number}</a>${retired ? ', retired' : ''}</td><td>${timeOf(at)}</td><td>${author}</td><td>${comment}</td><td><a href="/policies/${id}/diff?to=${number}">${parent === 0 ? 'all' : `since ${parent}`}</a></td></tr>`)}
</tbody></table></div>
${revisions.length === HISTORY_ROWS ? html`<p class="quiet">The newest ${HISTORY_ROWS}; the API has the others at <code>/api/v1/policies/${id}/history</code>.</p>` : ''}
${revisions.length > 1 && api.may(request.actor, 'diffRevisions') ? html`<form method="get" action="/policies/${id}/diff" class="filter">${choice('From', 'from', options, String(revisions[1]!.number))}${choice('To', 'to', options, String(revisions[0]!.number))}<div class="field"><button>Compare</button></div></form>` : ''}`;
}

const KINDS: Readonly<Record<string, string>> = { '+': 'added', '-': 'removed', ' ': 'same' };

async function difference(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  const asked = { from: givenNumber(request.query, 'from'), to: givenNumber(request.query, 'to') };
  const { from, to, added, removed, diff } = await take<{ readonly from: number; readonly to: number; readonly added: number; readonly removed: number; readonly diff: string }>(api, request, 'diffRevisions', { names: { id }, query: asked });
  const query = new URLSearchParams({ from: String(from), to: String(to) });
  return page(api, request, {
    title: `${id}: revision ${from} to ${to}`, at: '/policies', json: `/api/v1/policies/${id}/diff?${from === 0 ? `to=${to}` : query.toString()}`,
    body: html`<p><a href="/policies/${id}">Policy ${id}</a>: lines added ${count(added)}, removed ${count(removed)}</p>
<pre class="text diff" tabindex="0">${diff.replace(/\n$/, '').split('\n').map((line) => html`<span class="d-${KINDS[line[0] ?? ' '] ?? 'same'}">${line}
</span>`)}</pre>`,
  });
}

async function retire(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  if (request.form.get('confirm')?.trim() !== id) return refusalPage(api, { status: 400, body: fault('not_confirmed', `to retire the policy, write its name, ${id}, into the field; nothing was changed`) }, request);
  await take(api, request, 'retirePolicy', { names: { id }, query: { parent: givenNumber(request.form, 'parent'), comment: given(request.form, 'comment', 1_000) } });
  return redirect(`/policies/${id}`);
}

async function rollBack(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const id = request.names['id']!;
  await take(api, request, 'rollBackPolicy', { names: { id }, query: { revision: givenNumber(request.form, 'revision'), parent: givenNumber(request.form, 'parent'), comment: given(request.form, 'comment', 1_000) } });
  return redirect(`/policies/${id}`);
}

export const POLICY_PAGES: readonly Page[] = [
  { method: 'GET', path: '/policies', needs: 'listPolicies', meaning: 'policies of store and files, and who is under them', run: list },
  { method: 'GET', path: '/policies/:id', needs: 'readPolicy', meaning: 'a policy: its text, its revisions', run: show },
  { method: 'GET', path: '/policies/:id/diff', needs: 'diffRevisions', meaning: 'the difference of two revisions', run: difference },
  { method: 'POST', path: '/policies/:id/retire', needs: 'retirePolicy', meaning: 'retire a policy, whose name is typed once more', run: retire },
  { method: 'POST', path: '/policies/:id/rollback', needs: 'rollBackPolicy', meaning: 'go back to an earlier revision', run: rollBack },
];
