/**
 * What the API refuses, as a page: to the login where nobody is logged in, with the way back; otherwise what was wrong.
 * `take` gives a page the body of an answer, or leaves the page for the refusal.
 */
import type { DeskAnswer } from '../admin/desk.ts';
import type { Api, Asked, Page, PageRequest } from '../admin/pages.ts';
import { html } from './html.ts';
import { openPage, page, redirect } from './layout.ts';

/** An answer of the API that is none a page can show. */
export class Refused extends Error {
  readonly answer: DeskAnswer;

  constructor(answer: DeskAnswer) {
    super('the API refused');
    this.answer = answer;
  }
}

/** The body of what the API answers. Throws Refused. */
export async function take<T>(api: Api, request: PageRequest, name: string, asked: Asked = {}): Promise<T> {
  const answer = await api.call(name, request, asked);
  if (answer.status >= 300) throw new Refused(answer);
  return answer.body as T;
}

export function messageOf({ body }: DeskAnswer): string {
  const { error } = (typeof body === 'object' && body !== null ? body : {}) as { readonly error?: { readonly message?: unknown } };
  return typeof error?.message === 'string' ? error.message : 'no reason was given';
}

/** A page that shows what its calls were refused. */
export function guarded(given: Page): Page {
  return {
    ...given,
    run: async (api, request) => {
      try {
        return await given.run(api, request);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        return refusalPage(api, error.answer, request);
      }
    },
  };
}

const TITLES: Readonly<Record<number, string>> = { 400: 'That cannot be read', 403: 'Not for you', 404: 'Not here', 409: 'Not as it is now', 413: 'Too large', 429: 'Busy', 501: 'Not in this process', 503: 'Not now' };

export function refusalPage(api: Api, answer: DeskAnswer, request: PageRequest): DeskAnswer {
  return page(api, request, { title: titleOf(answer), status: answer.status, body: html`<p class="fault" role="alert">${messageOf(answer)}</p>` });
}

/** Where nobody is known, or nothing is known of what they may see. */
export function strangerPage(answer: DeskAnswer, path: string): DeskAnswer {
  if (answer.status === 401) return redirect(path === '/' ? '/login' : `/login?next=${encodeURIComponent(path)}`);
  return openPage({ title: titleOf(answer), status: answer.status, body: html`<p class="fault" role="alert">${messageOf(answer)}</p><p><a href="/">To the console</a></p>` });
}

export function titleOf({ status }: DeskAnswer): string {
  return TITLES[status] ?? 'That did not work';
}
