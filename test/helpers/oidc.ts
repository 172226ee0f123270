/**
 * A real OpenID Connect provider on this machine for tests of logins: `oidc-provider`, which logs in whoever is named and
 * asks nothing. Claims of people can be changed, and so can its ID tokens, to be wrong on purpose.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import type { Test } from 'tap';

export interface TestProvider {
  readonly issuer: string;
  /** Claims by subject. */
  readonly people: Map<string, Readonly<Record<string, unknown>>>;
  /** Who logs in next. */
  subject: string;
  /** How long an ID token counts, in seconds. */
  tokenSeconds: number;
  /** Follows the login from where Weir leads the browser to where the provider leads it back: its URL. */
  walk(url: string): Promise<string>;
  close(): Promise<void>;
}

export async function openProvider(t: Test, redirectUris: () => readonly string[]): Promise<TestProvider> {
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const people = new Map<string, Readonly<Record<string, unknown>>>();
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'weir', client_secret: 'made-up-secret-of-weir', redirect_uris: ['http://127.0.0.1/unused'], token_endpoint_auth_method: 'client_secret_post' },
      { client_id: 'other', client_secret: 'made-up-secret-of-other', redirect_uris: ['http://127.0.0.1/unused'], token_endpoint_auth_method: 'client_secret_post' },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'realm_access'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['made up'] },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    ttl: { IdToken: () => self.tokenSeconds, AccessToken: 600, AuthorizationCode: 60, Grant: 600, Interaction: 600, Session: 600 },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, ...people.get(sub) }) }),
    interactions: { url: (_ctx, { uid }) => `/log-in/${uid}` },
  });
  // The redirect URI has a port that is known only later.
  Object.defineProperty(provider.Client.prototype, 'redirectUriAllowed', { value: (uri: string) => redirectUris().includes(uri) });
  const answer = provider.callback();
  server.on('request', (request, response) => {
    if (!request.url!.startsWith('/log-in/')) return void answer(request, response);
    void logIn(provider, self.subject, request, response);
  });
  const self: TestProvider = {
    issuer, people, subject: 'ana', tokenSeconds: 600,
    walk: (url) => walkFrom(url, issuer),
    close: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(() => resolve());
    }),
  };
  t.teardown(() => self.close());
  return self;
}

async function logIn(provider: Provider, accountId: string, request: Parameters<Provider['interactionDetails']>[0], response: Parameters<Provider['interactionDetails']>[1]): Promise<void> {
  const { params } = await provider.interactionDetails(request, response);
  const grant = new provider.Grant({ accountId, clientId: params['client_id'] as string });
  grant.addOIDCScope(params['scope'] as string);
  await provider.interactionFinished(request, response, { login: { accountId }, consent: { grantId: await grant.save() } });
}

/** As a browser that keeps the provider's cookies. */
async function walkFrom(url: string, issuer: string): Promise<string> {
  const cookies = new Map<string, string>();
  let at = url;
  for (let step = 0; step < 10 && at.startsWith(issuer); step++) {
    const response = await fetch(at, { redirect: 'manual', headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') } });
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)!;
      cookies.set(name!, value!);
    }
    const next = response.headers.get('location');
    const text = await response.text();
    if (next === null) throw new Error(`the provider answers ${response.status} ${text.slice(0, 300)}`);
    at = new URL(next, at).href;
  }
  return at;
}
