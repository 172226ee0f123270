/** A browser without a screen for the console: it keeps its cookie, sends forms as pages give them, and follows nothing by itself. */
import { ask, cookiesOf, type Answered } from './admin.ts';

export interface Visitor {
  readonly cookie: string;
  get(path: string): Promise<Answered>;
  /** With the proof of the session, unless `fields` has one; origin and site as a browser sends them. */
  post(path: string, fields: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Answered>;
}

export async function sendForm(base: string, path: string, fields: Readonly<Record<string, string>>, { cookie, headers = {} }: { readonly cookie?: string; readonly headers?: Readonly<Record<string, string>> } = {}): Promise<Answered> {
  return ask(base, path, { method: 'POST', cookie, body: new URLSearchParams(fields).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded', 'origin': base, 'sec-fetch-site': 'same-origin', 'accept': 'text/html', ...headers } });
}

export async function visit(base: string, token: string): Promise<Visitor> {
  const answer = await sendForm(base, '/login', { token, next: '/' });
  if (answer.status !== 303) throw new Error(`no login: ${answer.status} ${answer.text}`);
  const cookie = cookiesOf(answer);
  const get = (path: string): Promise<Answered> => ask(base, path, { cookie, headers: { accept: 'text/html' } });
  const csrf = /name="csrf" value="([\w-]{43})"/.exec((await get('/policies')).text)?.[1];
  if (csrf === undefined) throw new Error('no page gives the proof');
  return { cookie, get, post: (path, fields, headers) => sendForm(base, path, { csrf, ...fields }, { cookie, headers }) };
}
