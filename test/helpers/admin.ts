/** Requests to an admin port as they are written: with any Host, cookies and fields, which `fetch` does not let one set. */
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';

export interface Asked {
  readonly method?: string;
  readonly token?: string | undefined;
  /** The cookie field. */
  readonly cookie?: string | undefined;
  /** Sent as JSON where it is no text. */
  readonly body?: object | string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Parsed where it is JSON. */
  readonly body: any;
  readonly text: string;
}

export function ask(base: string, path: string, { method = 'GET', token, cookie, body, headers = {} }: Asked = {}): Promise<Answered> {
  const url = new URL(base);
  const isSecure = url.protocol === 'https:';
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const sent = (isSecure ? secure : plain)({
      host: url.hostname, port: url.port, path, method, ...(isSecure ? { rejectUnauthorized: false } : {}),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(cookie === undefined ? {} : { cookie }),
        ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }), ...(headers as Record<string, string | string[]>),
      },
    }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => void parts.push(part)).on('error', reject).on('end', () => {
        const answer = Buffer.concat(parts).toString();
        const isJson = response.headers['content-type']?.startsWith('application/json') === true;
        resolve({ status: response.statusCode!, headers: response.headers, text: answer, body: isJson && answer !== '' ? JSON.parse(answer) : answer });
      });
    }).on('error', reject);
    sent.end(text);
  });
}

/** `name=value` of the cookies that an answer sets, as a browser would send them again. */
export function cookiesOf({ headers }: Answered): string {
  return [headers['set-cookie'] ?? []].flat().map((cookie) => cookie.split(';', 1)[0]!).filter((cookie) => !cookie.endsWith('=')).join('; ');
}

/** A new token with these roles. */
export async function tokenFor(base: string, admin: string, name: string, roles: readonly string[], tenants: readonly string[] = []): Promise<string> {
  const { status, body, text } = await ask(base, '/api/v1/tokens', { method: 'POST', token: admin, body: { name, roles, tenants } });
  if (status !== 201) throw new Error(`no token: ${status} ${text}`);
  return body.token as string;
}
