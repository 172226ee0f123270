/**
 * The way in and the way out: a token in a field, or the provider of `admin.oidc`, and afterwards to where one wanted
 * to go, if that is a path of ours. The token is in no address and in no page.
 */
import type { DeskAnswer } from '../admin/desk.ts';
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

/** What to say first of a login through the provider that came to nothing; the reason follows. */
const FAILURES: Readonly<Record<number, string>> = { 401: 'The login did not come to its end', 403: 'You are known, and have no role here', 404: 'There is no such way in', 503: 'The provider does not answer' };

/** Where the provider, or what it led back to, let nobody in. */
export function loginFailedPage(answer: DeskAnswer): DeskAnswer {
  const mayTryAgain = answer.status !== 403 && answer.status !== 404;
  return openPage({
    title: FAILURES[answer.status] ?? 'The login failed', status: answer.status,
    body: html`<p class="fault" role="alert">${messageOf(answer)}</p><p class="actions">${mayTryAgain ? html`<a class="button" href="/api/v1/login">Begin again</a>` : ''}<a href="/login">Log in with a token</a></p>`,
  });
}
