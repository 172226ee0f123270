/** What runs here: version, configuration, classifiers, policies; and for who administers it, tokens and open sessions. */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Page, PageRequest } from '../admin/pages.ts';
import { PEOPLE_ROLES, ROLE_MEANINGS } from '../contract/people.ts';
import { html, type Html, type Piece } from './html.ts';
import { page, proofField, redirect } from './layout.ts';
import { count, names, timeOf } from './parts.ts';
import { messageOf, take } from './refusal.ts';

interface Token {
  readonly token_id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly tenants: readonly string[];
  readonly created_by: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
}

interface Session {
  readonly session_id: string;
  readonly name: string;
  readonly roles: readonly string[];
  readonly via: string;
  readonly created_at: string;
  readonly seen_at: string;
}

interface Status {
  readonly version: string;
  readonly config: { readonly hash: string; readonly file: string; readonly loaded_at: string; readonly warnings: number };
  readonly tenants: number;
  readonly policies: readonly string[];
  readonly classifiers: readonly string[];
  readonly audit_head: { readonly index: number; readonly hash: string };
}

async function settings(api: Api, request: PageRequest, told: Piece = '', code = 200): Promise<DeskAnswer> {
  const status = await take<Status>(api, request, 'status');
  const mayPeople = api.may(request.actor, 'listTokens');
  const [tokens, sessions] = mayPeople ? [await api.call('listTokens', request), await api.call('listSessions', request)] : [];
  return page(api, request, {
    title: 'Settings and health', at: '/settings', status: code, json: '/api/v1/status',
    body: html`${told}
<dl class="facts"><div><dt>Weir</dt><dd>${status.version}, running</dd></div><div><dt>Configuration</dt><dd><code>${status.config.file}</code></dd></div><div><dt>Loaded (UTC)</dt><dd>${timeOf(status.config.loaded_at)}</dd></div><div><dt>Its hash</dt><dd><code>${status.config.hash}</code></dd></div><div><dt>Warnings</dt><dd>${status.config.warnings === 0 ? 'none' : html`<strong>${count(status.config.warnings)}</strong>; <code>weir check</code> lists them`}</dd></div><div><dt>Tenants</dt><dd>${count(status.tenants)}</dd></div><div><dt>Policies that count</dt><dd>${names(status.policies)}</dd></div><div><dt>Classifiers</dt><dd>${names(status.classifiers)}</dd></div><div><dt>Head of the audit log</dt><dd>entry ${count(status.audit_head.index)} <code>${status.audit_head.hash.slice(0, 16)}</code></dd></div><div><dt>Also</dt><dd><a href="/metrics">metrics</a>, <a href="/api/v1/openapi.json">the API as an OpenAPI document</a></dd></div></dl>
${tokens === undefined ? '' : html`<h2>Tokens</h2>${tokens.status === 200 ? tokenTable((tokens.body as { readonly tokens: readonly Token[] }).tokens, request) : html`<p class="quiet">${messageOf(tokens)}</p>`}`}
${sessions?.status === 200 ? html`<h2>Open sessions</h2>${sessionTable((sessions.body as { readonly sessions: readonly Session[] }).sessions, request)}` : ''}`,
  });
}

function tokenTable(tokens: readonly Token[], request: PageRequest): Html {
  return html`${tokens.length === 0 ? html`<p>None was made yet; the first one stands in no list.</p>` : html`<div class="scroll" tabindex="0" role="region" aria-label="Tokens"><table class="rows"><thead><tr><th scope="col">Name</th><th scope="col">Roles</th><th scope="col">Tenants</th><th scope="col">Made (UTC)</th><th scope="col">Ends (UTC)</th><th scope="col"><span class="sr">Revoke</span></th></tr></thead><tbody>${tokens.map((token) => html`
<tr data-row><td>${token.name}</td><td>${token.roles.join(', ')}</td><td>${names(token.tenants, '–')}</td><td>${timeOf(token.created_at)} by ${token.created_by}</td><td>${token.revoked_at === null ? timeOf(token.expires_at) : html`revoked ${timeOf(token.revoked_at)}`}</td><td>${token.revoked_at === null ? html`<form method="post" action="/settings/tokens/${token.token_id}/revoke">${proofField(request)}<button class="danger" aria-label="Revoke token ${token.name}">Revoke</button></form>` : ''}</td></tr>`)}
</tbody></table></div>`}
<form method="post" action="/settings/tokens" class="filter">${proofField(request)}<div class="field"><label for="f-name">New token: name</label><input id="f-name" name="name" required maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]{0,63}" autocomplete="off"></div><div class="field"><label for="f-role">Role</label><select id="f-role" name="role">${PEOPLE_ROLES.map((role) => html`<option value="${role}">${role}: ${ROLE_MEANINGS[role]}</option>`)}</select></div><div class="field"><label for="f-tenants">Tenants, for a tenant-viewer</label><input id="f-tenants" name="tenants" autocomplete="off" placeholder="acme, bravo"></div><div class="field"><button>Make it</button></div></form>`;
}

function sessionTable(sessions: readonly Session[], request: PageRequest): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Open sessions"><table class="rows"><thead><tr><th scope="col">Who</th><th scope="col">Roles</th><th scope="col">By</th><th scope="col">Since (UTC)</th><th scope="col">Seen (UTC)</th><th scope="col"><span class="sr">End</span></th></tr></thead><tbody>${sessions.map((session) => html`
<tr data-row><td>${session.name}${session.session_id === request.visit.sessionId ? ' (you, here)' : ''}</td><td>${session.roles.join(', ')}</td><td>${session.via}</td><td>${timeOf(session.created_at)}</td><td>${timeOf(session.seen_at)}</td><td>${session.session_id === request.visit.sessionId ? '' : html`<form method="post" action="/settings/sessions/${session.session_id}/revoke">${proofField(request)}<button class="danger" aria-label="End the session of ${session.name}">End</button></form>`}</td></tr>`)}
</tbody></table></div>`;
}

async function makeToken(api: Api, request: PageRequest): Promise<DeskAnswer> {
  const { form } = request;
  const tenants = (form.get('tenants') ?? '').split(/[\s,]+/).filter((tenant) => tenant !== '');
  const answer = await api.call('createToken', request, { body: { name: form.get('name') ?? '', roles: [form.get('role') ?? ''], ...(tenants.length === 0 ? {} : { tenants }) } });
  if (answer.status !== 201) return settings(api, request, html`<p class="fault" role="alert">${messageOf(answer)}</p>`, answer.status);
  const { token, name } = answer.body as { readonly token: string; readonly name: string };
  return settings(api, request, html`<div class="good" role="status"><p>Token <code>${name}</code> is made. It is shown this once:</p><p><code class="secret">${token}</code></p></div>`, 201);
}

const ending = (name: 'revokeToken' | 'revokeSession'): Page['run'] => async (api, request) => {
  await take(api, request, name, { names: { id: request.names['id']! } });
  return redirect('/settings');
};

export const SETTINGS_PAGES: readonly Page[] = [
  { method: 'GET', path: '/settings', needs: 'status', meaning: 'what runs here; for an admin also tokens and sessions', run: (api, request) => settings(api, request) },
  { method: 'POST', path: '/settings/tokens', needs: 'createToken', meaning: 'make a token, shown this once', run: makeToken },
  { method: 'POST', path: '/settings/tokens/:id/revoke', needs: 'revokeToken', meaning: 'revoke a token', run: ending('revokeToken') },
  { method: 'POST', path: '/settings/sessions/:id/revoke', needs: 'revokeSession', meaning: 'end a session', run: ending('revokeSession') },
];
