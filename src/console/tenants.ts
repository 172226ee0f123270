/**
 * Tenants with their keys and what they used. A key that is made stands in the one page that answers the form, which no
 * browser keeps, and nowhere else.
 */
import { fault, type DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import type { TenantSummary } from '../admin/tenants.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { count, given, names, timeOf } from './parts.ts';
import { messageOf, Refused, take } from './refusal.ts';

interface Key {
  readonly from: 'store' | 'file';
  readonly key_id: string;
  readonly state: string;
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly expires_at: string | null;
  readonly created_at?: string;
  readonly created_by?: string;
  readonly revoked_at?: string | null;
}

const USAGE_ROWS = 48;

async function list(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { tenants } = await take<{ readonly tenants: readonly TenantSummary[] }>(api, request, 'listTenants');
  return page(api, request, {
    title: 'Tenants', at: '/tenants', json: '/api/v1/tenants',
    body: html`<div class="scroll" tabindex="0" role="region" aria-label="Tenants"><table class="rows"><thead><tr><th scope="col">Tenant</th><th scope="col">Policy</th><th scope="col">Upstream</th><th scope="col">Fails</th><th scope="col">Product</th></tr></thead><tbody>${tenants.map(({ id, policy, upstream, fail_mode: failMode, product }) => html`
<tr data-row><td><a href="/tenants/${id}" data-open>${id}</a></td><td><a href="/policies/${policy}">${policy}</a></td><td>${upstream}</td><td>${failMode}</td><td>${product ?? '–'}</td></tr>`)}
</tbody></table></div><p class="quiet">Tenants stand in the configuration file.</p>`,
  });
}

async function show(api: Api, request: PageRequest): Promise<DeskAnswer> {
  return tenantPage(api, request);
}

async function tenantPage(api: Api, request: PageRequest, told: Piece = '', status = 200): Promise<DeskAnswer> {
  const id = request.names['tenant']!;
  const { tenants } = await take<{ readonly tenants: readonly TenantSummary[] }>(api, request, 'listTenants');
  const tenant = tenants.find((one) => one.id === id);
  if (tenant === undefined) throw new Refused({ status: 404, body: fault('not_found', `there is no tenant ${id} for you to see`) });
  const keys = api.may(request.actor, 'listKeys') ? await api.call('listKeys', request, { names: { tenant: id } }) : undefined;
  const usage = api.may(request.actor, 'readUsage') ? await api.call('readUsage', request, { query: { tenant: id, limit: USAGE_ROWS } }) : undefined;
  return page(api, request, {
    title: `Tenant ${id}`, at: '/tenants', status, json: keys === undefined ? '/api/v1/tenants' : `/api/v1/tenants/${id}/keys`,
    body: html`${told}
<dl class="facts"><div><dt>Policy</dt><dd><a href="/policies/${tenant.policy}">${tenant.policy}</a></dd></div><div><dt>Upstream</dt><dd>${tenant.upstream}</dd></div><div><dt>Fails</dt><dd>${tenant.fail_mode}</dd></div>${tenant.product === undefined ? '' : html`<div><dt>Product</dt><dd>${tenant.product}</dd></div>`}</dl>
${api.may(request.actor, 'listAuditEntries') ? html`<p class="actions"><a class="button" href="/exchanges?tenant=${encodeURIComponent(id)}">Its exchanges</a></p>` : ''}
${keys === undefined ? '' : html`<h2>Keys</h2>${keys.status === 200 ? keyTable(id, (keys.body as { readonly keys: readonly Key[] }).keys, api, request) : html`<p class="quiet">${messageOf(keys)}</p>`}`}
${usage === undefined ? '' : html`<h2>Usage</h2>${usage.status === 200 ? usageTable(usage.body as Usage) : html`<p class="quiet">${messageOf(usage)}</p>`}`}`,
  });
}

function keyTable(tenant: string, keys: readonly Key[], api: Api, request: PageRequest): Html {
  const mayRevoke = api.may(request.actor, 'revokeKey');
  return html`${keys.length === 0 ? html`<p>It has none: it is known without a key.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Keys"><table class="rows"><thead><tr><th scope="col">Key</th><th scope="col">Name</th><th scope="col">State</th><th scope="col">Scopes</th><th scope="col">Made (UTC)</th><th scope="col">Expires (UTC)</th>${mayRevoke ? html`<th scope="col"><span class="sr">Revoke</span></th>` : ''}</tr></thead><tbody>${keys.map((key) => html`
<tr data-row><td><code>${key.key_id}</code></td><td>${key.name ?? (key.from === 'file' ? html`<span class="quiet">of the file</span>` : '–')}</td><td>${key.state}</td><td>${key.scopes === undefined ? '–' : names(key.scopes)}</td><td>${timeOf(key.created_at)}${key.created_by === undefined ? '' : ` by ${key.created_by}`}</td><td>${timeOf(key.expires_at)}</td>${mayRevoke ? html`<td>${key.from === 'store' && key.state !== 'revoked' ? html`<form method="post" action="/tenants/${tenant}/keys/${key.key_id}/revoke">${proofField(request)}<button class="danger" aria-label="Revoke key ${key.key_id}">Revoke</button></form>` : ''}</td>` : ''}</tr>`)}
</tbody></table></div>`}
${api.may(request.actor, 'createKey') ? html`<form method="post" action="/tenants/${tenant}/keys" class="filter">${proofField(request)}<div class="field"><label for="f-name">New key: name</label><input id="f-name" name="name" maxlength="100" autocomplete="off"></div><div class="field"><label for="f-expires">Expires (a day, UTC; empty: never)</label><input id="f-expires" name="expires" placeholder="2030-01-31" pattern="\\d{4}-\\d\\d-\\d\\d" autocomplete="off"></div><div class="field"><button>Make it</button></div></form>` : ''}`;
}

interface UsageRow {
  readonly key_id: string;
  readonly hour: string;
  readonly [name: string]: number | string;
}

interface Usage {
  readonly rows: readonly UsageRow[];
  readonly total: Readonly<Record<string, number>>;
  readonly truncated: boolean;
}

function usageTable({ rows, total, truncated }: Usage): Html {
  const counts = Object.keys(total);
  if (rows.length === 0) return html`<p>Nothing yet.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Usage"><table><thead><tr><th scope="col">Hour (UTC)</th><th scope="col">Key</th>${counts.map((name) => html`<th scope="col" class="number">${name.replaceAll('_', ' ')}</th>`)}</tr></thead><tbody>${rows.map((row) => html`
<tr><td>${timeOf(row.hour)}</td><td>${row.key_id === '' ? html`<span class="quiet">without</span>` : html`<code>${row.key_id}</code>`}</td>${counts.map((name) => html`<td class="number">${count(Number(row[name]))}</td>`)}</tr>`)}
<tr class="sum"><th scope="row" colspan="2">Together</th>${counts.map((name) => html`<td class="number">${count(total[name]!)}</td>`)}</tr></tbody></table></div>${truncated ? html`<p class="quiet">The newest ${USAGE_ROWS} rows.</p>` : ''}`;
}

async function makeKey(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const tenant = request.names['tenant']!;
  const [name, expires] = [given(request.form, 'name'), given(request.form, 'expires')];
  const answer = await api.call('createKey', request, { names: { tenant }, body: { ...(name === undefined ? {} : { name }), ...(expires === undefined ? {} : { expires_at: /^\d{4}-\d\d-\d\d$/.test(expires) ? `${expires}T00:00:00Z` : expires }) } });
  if (answer.status !== 201) return tenantPage(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
  const { key, key_id: id } = answer.body as { readonly key: string; readonly key_id: string };
  return tenantPage(api, request, html`<div class="good" role="status"><p>Key <code>${id}</code> is made. It is shown this once:</p><p><code class="secret">${key}</code></p></div>`, 201);
}

async function revokeKey(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { tenant, id } = request.names;
  await take(api, request, 'revokeKey', { names: { tenant: tenant!, id: id! } });
  return redirect(`/tenants/${tenant}`);
}

export const TENANT_PAGES: readonly Page[] = [
  { method: 'GET', path: '/tenants', needs: 'listTenants', meaning: 'tenants and their policies', run: list },
  { method: 'GET', path: '/tenants/:tenant', needs: 'listTenants', meaning: 'a tenant: keys and usage', run: show },
  { method: 'POST', path: '/tenants/:tenant/keys', needs: 'createKey', meaning: 'make a key, shown this once', run: makeKey },
  { method: 'POST', path: '/tenants/:tenant/keys/:id/revoke', needs: 'revokeKey', meaning: 'revoke a key', run: revokeKey },
];
