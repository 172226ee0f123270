/**
 * A text tried under a policy as it counts: what is decided and why, what comes out, what was found and where. The text
 * is in no address, is not stored, and is in no log; the trial runs beside traffic, one after the other.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { DIRECTIONS, type ClassifierResult } from '../contract/screening.ts';
import type { ExplanationJson } from '../policy/explain.ts';
import { exact, html, type Html, type Piece } from './html.ts';
import { marked, spansOf } from './marked.ts';
import { page, proofField } from './layout.ts';
import { choice, given, scoreBars } from './parts.ts';
import { messageOf, take } from './refusal.ts';
import { explanationBody } from './trace.ts';

/** A million characters, each three bytes in UTF-8 and nine in a form, is more than a browser is let send. */
const FORM_BYTES_MAX = 4 * 1024 * 1024;

interface Tried extends ExplanationJson {
  readonly results: readonly ClassifierResult[];
  readonly text?: string;
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  return withForm(api, request, { tenant: given(request.query, 'tenant'), policy: given(request.query, 'policy'), direction: given(request.query, 'direction') ?? 'input', text: '' });
}

interface Wanted {
  readonly tenant: string | undefined;
  readonly policy: string | undefined;
  readonly direction: string;
  readonly text: string;
}

async function withForm(api: Api, request: PageRequest, wanted: Wanted, status = 200, outcome: Piece = ''): Promise<DeskAnswer> {
  const [{ policies }, { tenants }] = [await take<{ readonly policies: readonly { readonly policy: string; readonly retired?: boolean }[] }>(api, request, 'listPolicies'), await take<{ readonly tenants: readonly { readonly id: string; readonly policy: string }[] }>(api, request, 'listTenants')];
  const ids = [...new Set(policies.filter(({ retired }) => retired !== true).map(({ policy }) => policy))];
  return page(api, request, {
    title: 'Playground', at: '/playground', status, json: '/api/v1/openapi.json',
    body: html`<p><a href="/playground/compare${wanted.policy === undefined ? '' : `?left=${encodeURIComponent(wanted.policy)}`}">Compare two policies on one text</a></p>
<form method="post" action="/playground" class="stack">${proofField(request)}
<label for="f-text">Text</label><textarea id="f-text" name="text" rows="8" spellcheck="false" autocomplete="off" data-search required>
${exact(wanted.text)}</textarea>
<div class="filter">${choice('Tenant', 'tenant', [['', 'none'], ...tenants.map(({ id, policy }) => [id, `${id} (policy ${policy})`] as const)], wanted.tenant)}${choice('Policy', 'policy', [['', 'that of the tenant'], ...ids.map((id) => [id, id] as const)], wanted.policy)}${choice('As a', 'direction', DIRECTIONS.map((direction) => [direction, direction === 'input' ? 'prompt' : 'answer'] as const), wanted.direction)}<div class="field"><button>Screen it</button></div></div>
<p class="quiet">It is screened here and kept nowhere. The API does the same: <code>POST /api/v1/policies/{id}/screen</code>.</p></form>
${outcome}`,
  });
}

async function tryText(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const wanted: Wanted = { tenant: given(form, 'tenant'), policy: given(form, 'policy'), direction: form.get('direction') === 'output' ? 'output' : 'input', text: (form.get('text') ?? '').replaceAll('\r\n', '\n') };
  const { tenants } = await take<{ readonly tenants: readonly { readonly id: string; readonly policy: string; readonly fail_mode: string }[] }>(api, request, 'listTenants');
  const tenant = tenants.find(({ id }) => id === wanted.tenant);
  const id = wanted.policy ?? tenant?.policy;
  if (id === undefined || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) return withForm(api, request, wanted, 400, html`<p class="fault" role="alert">Choose a tenant or a policy.</p>`);
  const answer = await api.call('screenText', request, { names: { id }, body: { text: wanted.text, direction: wanted.direction, ...(tenant === undefined ? {} : { fail_mode: tenant.fail_mode, context: { tenant: tenant.id } }) } });
  if (answer.status !== 200) return withForm(api, request, wanted, answer.status, html`<p class="fault" role="alert">${messageOf(answer)}</p>`);
  return withForm(api, request, wanted, 200, outcomeOf(answer.body as Tried, wanted.text));
}

function outcomeOf(tried: Tried, text: string): Html {
  const { results, text: out } = tried;
  return html`<section id="outcome" aria-labelledby="decided"><h2 id="decided">Decided</h2>${explanationBody(tried)}
<h2>What comes out</h2>${out === undefined ? html`<p class="quiet">How much of it leaves depends on how the text arrives.</p>` : out === '' ? html`<p>Nothing: an error, or the end of the answer.</p>` : html`<pre class="text" dir="auto" tabindex="0">${out}</pre>`}
<h2>What was found</h2><pre class="text" dir="auto" tabindex="0">${marked(text, spansOf(results))}</pre>
${scoreBars(results.map((result) => ('unknown' in result ? { name: `${result.classifier_id}.${result.category}`, unknown: result.reason } : { name: `${result.classifier_id}.${result.category}`, score: result.score, note: result.spans.length === 0 ? '' : `${result.label}, ${result.spans.length} ${result.spans.length === 1 ? 'place' : 'places'}` })))}</section>`;
}

export const PLAYGROUND_PAGES: readonly Page[] = [
  { method: 'GET', path: '/playground', needs: 'screenText', meaning: 'try a text under a policy', run: show },
  { method: 'POST', path: '/playground', needs: 'screenText', meaning: 'what becomes of a text, and why', bytesMax: FORM_BYTES_MAX, run: tryText },
];
