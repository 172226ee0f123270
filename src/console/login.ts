/**
 * The way in and the way out: a token in a field, or the provider of `admin.oidc`, and afterwards to where one wanted
 * to go, if that is a path of ours. The token is in no address and in no page.
 */
import { safeNext } from '../admin/login.ts';
import type { Page } from '../admin/pages.ts';
import { html, type Html } from './html.ts';
import { openPage, redirect } from './layout.ts';
import { messageOf } from './refusal.ts';

export function loginPages(hasProvider: boolean): readonly Page[] {
  const form = (next: string, fault?: string): Html => html`
${fault === undefined ? '' : html`<p class="fault" role="alert" id="fault">${fault}</p>`}
${hasProvider ? html`<p><a class="button" href="/api/v1/login${next === '/' ? '' : `?next=${encodeURIComponent(next)}`}">Log in with your organisation</a></p><p class="quiet">or with a token</p>` : ''}
<form method="post" action="/login" class="stack">
<input type="hidden" name="next" value="${next}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required maxlength="200" spellcheck="false" autofocus${fault === undefined ? '' : html` aria-invalid="true" aria-describedby="fault"`}>
<button>Log in</button>
</form>
<p class="quiet">The first start printed a token; <code>weir admin token create</code> makes others.</p>`;
  return [
    { method: 'GET', path: '/login', needs: 'open', meaning: 'log in', run: async (_, { query }) => openPage({ title: 'Log in', body: form(safeNext(query.get('next'))) }) },
    {
      method: 'POST', path: '/login', needs: 'open', meaning: 'log in with a token',
      run: async (api, request) => {
        const next = safeNext(request.form.get('next'));
        const answer = await api.call('openSession', request, { body: { token: request.form.get('token')?.trim() ?? '' } });
        return answer.status === 200 ? redirect(next, answer.headers) : openPage({ title: 'Log in', status: answer.status, body: form(next, messageOf(answer)) });
      },
    },
    {
      method: 'POST', path: '/logout', needs: 'people', meaning: 'log out',
      run: async (api, request) => redirect('/login', (await api.call('endSession', request)).headers),
    },
  ];
}
