/**
 * Login through a real OpenID Connect provider: who comes back with what was begun here gets a session with the roles of
 * their claim; whatever was not begun here, was completed before, is for somebody else or has expired is refused.
 */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { actorOf } from '../../src/admin/login.ts';
import { ask, cookiesOf, type Answered } from '../helpers/admin.ts';
import { blocking, openHouse, type House } from '../helpers/house.ts';
import { openProvider, type TestProvider } from '../helpers/oidc.ts';

t.setTimeout(300_000);

const FILES = { 'acme.yaml': blocking('Fileword') };
const ROLES = [{ value: 'safety', role: 'policy' }, { value: 'audit', role: 'auditor' }, { value: 'acme-people', role: 'tenant-viewer', tenants: ['default'] }];

async function openBoth(t: Test, oidc: Readonly<Record<string, unknown>> = {}): Promise<{ readonly house: House; readonly provider: TestProvider }> {
  let house: House | undefined;
  const provider = await openProvider(t, () => [`${house!.adminUrl}/api/v1/login/callback`]);
  provider.people.set('ana', { email: 'ana@example.com', email_verified: true, groups: ['staff', 'safety'] });
  house = await openHouse(t, { files: FILES, config: { admin: { port: 0, oidc: { issuer: provider.issuer, client_id: 'weir', client_secret: 'made-up-secret-of-weir', roles: ROLES, ...oidc } } } });
  return { house, provider };
}

const begin = (house: House): Promise<Answered> => ask(house.adminUrl, '/api/v1/login');
const pathOf = (url: string): string => url.slice(new URL(url).origin.length);
const back = (house: House, url: string, cookie: string): Promise<Answered> => ask(house.adminUrl, pathOf(url), { cookie, headers: { 'sec-fetch-site': 'cross-site' } });

async function logIn({ house, provider }: { readonly house: House; readonly provider: TestProvider }): Promise<Answered> {
  const begun = await begin(house);
  return back(house, await provider.walk(begun.headers['location'] as string), cookiesOf(begun));
}

t.test('a login leads to the page that was wanted, and to no other house', async (t) => {
  const { house, provider } = await openBoth(t);
  t.match((await ask(house.adminUrl, '/login?next=%2Fpolicies%3Fa%3Db')).text, /href="\/api\/v1\/login\?next=%2Fpolicies%3Fa%3Db">Log in with your organisation/);
  for (const [next, to] of [['/policies?a=b&c="d"', '/policies?a=b&amp;c=&quot;d&quot;'], ['/exchanges/7', '/exchanges/7'], ['//evil.example', '/'], ['https://evil.example', '/'], ['/\\evil.example', '/']] as const) {
    const begun = await ask(house.adminUrl, `/api/v1/login?next=${encodeURIComponent(next)}`);
    const done = await back(house, await provider.walk(begun.headers['location'] as string), cookiesOf(begun));
    t.equal(done.status, 200);
    t.ok(done.text.includes(`content="0;url=${to}"`), next);
  }
});

t.test('a login leads to a session with the roles of the claim, whose name stands where it changed something', async (t) => {
  const both = await openBoth(t);
  const { house, provider } = both;
  const begun = await begin(house);
  t.equal(begun.status, 302);
  t.match([begun.headers['set-cookie']].flat(), [/^weir-login=[\w-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/]);
  const asked = new URL(begun.headers['location'] as string).searchParams;
  t.same([asked.get('response_type'), asked.get('code_challenge_method'), asked.get('client_id'), asked.get('scope')], ['code', 'S256', 'weir', 'openid email profile']);
  for (const name of ['state', 'nonce', 'code_challenge']) t.match(asked.get(name), /^[\w-]{43}$/, name);
  const returned = await provider.walk(begun.headers['location'] as string);
  const done = await back(house, returned, cookiesOf(begun));
  t.match([done.status, done.headers['content-type'], done.text], [200, /^text\/html/, /url=\//], 'a page of ours that leads on, so that the strict cookie is sent');
  t.match([done.headers['set-cookie']].flat(), [/^weir-session=[\w-]{43}; .*SameSite=Strict/, /^weir-login=; .*Max-Age=0/]);
  const cookie = cookiesOf(done);
  const me = await ask(house.adminUrl, '/api/v1/session', { cookie });
  t.match(me, { status: 200, body: { name: 'ana@example.com', roles: ['policy'], tenants: [] } });
  t.equal((await ask(house.adminUrl, '/api/v1/tokens', { cookie })).status, 403);
  const put = await ask(house.adminUrl, '/api/v1/policies/acme', { method: 'PUT', cookie, body: blocking('Heron'), headers: { origin: house.adminUrl, 'x-csrf-token': me.body.csrf, 'content-type': 'application/yaml' } });
  t.match(put, { status: 201, body: { author: 'ana@example.com' } });
  const { body: { entries } } = await ask(house.adminUrl, '/api/v1/audit', { token: house.token });
  t.match(entries.filter(({ kind }: { kind: string }) => kind !== 'exchange').map(({ kind, change, author, via }: Record<string, unknown>) => [kind, change, author, via]), [['policy_change', 'put', 'ana@example.com', undefined], ['access_change', 'session_opened', 'ana@example.com', 'oidc']]);

  t.match(await back(house, returned, cookiesOf(begun)), { status: 401, body: { error: { code: 'login_refused' } } }, 'not a second time: the code is used');
  const fresh = await provider.walk(begun.headers['location'] as string);
  t.match(await back(house, fresh, cookiesOf(begun)), { status: 401, body: { error: { message: /completed before/ } } }, 'nor with another code for the same state');
  t.equal((await ask(house.adminUrl, '/api/v1/session', { cookie })).status, 200, 'the session that there is goes on');
});

t.test('what was not begun in this browser is refused, and opens nothing', async (t) => {
  const both = await openBoth(t);
  const { house, provider } = both;
  const [mine, other] = [await begin(house), await begin(house)];
  const returned = await provider.walk(mine.headers['location'] as string);
  const changed = (change: (query: URLSearchParams) => void): string => {
    const url = new URL(returned);
    change(url.searchParams);
    return url.href;
  };
  const refusals: readonly (readonly [string, string, string])[] = [
    ['no cookie', returned, ''],
    ['the cookie of another login', returned, cookiesOf(other)],
    ['a cookie of nobody', returned, `weir-login=${'A'.repeat(400)}`],
    ['a short one', returned, 'weir-login=AAAA'],
    ['an altered one', returned, cookiesOf(mine).replace(/.{3}$/, 'AAA')],
    ['another state', changed((query) => query.set('state', 'x')), cookiesOf(mine)],
    ['no state', changed((query) => query.delete('state')), cookiesOf(mine)],
    ['two states', changed((query) => query.append('state', query.get('state')!)), cookiesOf(mine)],
    ['another issuer', changed((query) => query.set('iss', 'https://evil.example')), cookiesOf(mine)],
    ['an error of the provider', changed((query) => { query.delete('code'); query.set('error', 'access_denied'); }), cookiesOf(mine)],
    ['another code', changed((query) => query.set('code', 'x'.repeat(43))), cookiesOf(mine)],
    ['nothing at all', `${house.adminUrl}/api/v1/login/callback`, cookiesOf(mine)],
  ];
  for (const [what, url, cookie] of refusals) {
    const answer = await back(house, url, cookie);
    t.match([answer.status, cookiesOf(answer)], [what === 'two states' ? 400 : 401, ''], what);
  }
  t.equal((await back(house, returned, cookiesOf(mine))).status, 200, 'and the login itself is none the worse');
});

t.test('an ID token that has expired at a real provider is refused', async (t) => {
  const both = await openBoth(t);
  both.provider.tokenSeconds = -600;
  t.equal((await logIn(both)).status, 401);
  both.provider.tokenSeconds = 600;
  t.equal((await logIn(both)).status, 200);
});

/** A provider that gives out whatever ID token a test wants; no real one would. */
async function openForger(t: Test): Promise<{ readonly issuer: string; idToken: (nonce: string) => string; sign(claims: object, header?: object, key?: KeyObject): string }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const server = createServer((request, response) => {
    const send = (body: object): void => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url!.startsWith('/.well-known')) return send({ issuer: self.issuer, authorization_endpoint: `${self.issuer}/auth`, token_endpoint: `${self.issuer}/token`, jwks_uri: `${self.issuer}/jwks`, response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] });
    if (request.url === '/jwks') return send({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256', use: 'sig' }] });
    let body = '';
    request.on('data', (part: Buffer) => void (body += part)).on('end', () => send({ access_token: 'made-up', token_type: 'bearer', id_token: self.idToken(new URLSearchParams(body).get('code')!) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const self = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    idToken: (nonce: string): string => nonce,
    sign: (claims: object, header: object = { alg: 'ES256', kid: 'k' }, key: KeyObject = privateKey): string => {
      const text = `${encode(header)}.${encode(claims)}`;
      return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
    },
  };
  return self;
}

t.test('an ID token for another audience, of another issuer, time, login or hand is refused', async (t) => {
  const forger = await openForger(t);
  const house = await openHouse(t, { files: FILES, config: { admin: { port: 0, oidc: { issuer: forger.issuer, client_id: 'weir', client_secret: 'made-up', roles: ROLES } } } });
  const nowS = Math.floor(Date.now() / 1000);
  const claims = (nonce: string, change: object = {}): object => ({ iss: forger.issuer, aud: 'weir', sub: 'ana', iat: nowS, exp: nowS + 600, nonce, email: 'ana@example.com', groups: ['safety'], ...change });
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const attempts: readonly (readonly [string, number, (nonce: string) => string])[] = [
    ['right', 200, (nonce) => forger.sign(claims(nonce))],
    ['another audience', 401, (nonce) => forger.sign(claims(nonce, { aud: 'other' }))],
    ['several audiences, for another party', 401, (nonce) => forger.sign(claims(nonce, { aud: ['weir', 'other'], azp: 'other' }))],
    ['another issuer', 401, (nonce) => forger.sign(claims(nonce, { iss: 'https://evil.example' }))],
    ['expired', 401, (nonce) => forger.sign(claims(nonce, { iat: nowS - 900, exp: nowS - 300 }))],
    ['without an end', 401, (nonce) => forger.sign(claims(nonce, { exp: undefined }))],
    ['not yet', 401, (nonce) => forger.sign(claims(nonce, { nbf: nowS + 600 }))],
    ['the nonce of another login', 401, () => forger.sign(claims('x'.repeat(43)))],
    ['no nonce', 401, () => forger.sign(claims('', { nonce: undefined }))],
    ['nobody', 401, (nonce) => forger.sign(claims(nonce, { sub: undefined }))],
    ['signed by somebody else', 401, (nonce) => forger.sign(claims(nonce), { alg: 'ES256', kid: 'k' }, stranger)],
    ['signed by nobody', 401, (nonce) => forger.sign(claims(nonce), { alg: 'none' }).replace(/[^.]+$/, '')],
    ['altered', 401, (nonce) => forger.sign(claims(nonce)).split('.').with(1, Buffer.from(JSON.stringify(claims(nonce, { groups: ['audit'] }))).toString('base64url')).join('.')],
    ['no token', 401, () => 'x'],
  ];
  for (const [what, status, idToken] of attempts) {
    const begun = await begin(house);
    const asked = new URL(begun.headers['location'] as string).searchParams;
    forger.idToken = () => idToken(asked.get('nonce')!);
    const answer = await ask(house.adminUrl, `/api/v1/login/callback?code=c&state=${asked.get('state')}`, { cookie: cookiesOf(begun) });
    t.match([answer.status, cookiesOf(answer) === ''], [status, status !== 200], what);
  }
});

t.test('who has no role is refused, and that is an entry; a provider that does not answer is said to be so', async (t) => {
  const both = await openBoth(t);
  const { house, provider } = both;
  provider.people.set('ana', { email: 'ana@example.com', groups: ['staff'] });
  t.match(await logIn(both), { status: 403, body: { error: { code: 'no_role', message: /^ana@example\.com has no role/ } } });
  provider.people.set('ana', { email: 'ana@example.com' });
  t.equal((await logIn(both)).status, 403);
  t.match((await ask(house.adminUrl, '/api/v1/audit?kind=access_change', { token: house.token })).body.entries, [{ change: 'login_refused', author: 'ana@example.com', roles: [] }, {}]);
  t.equal((await ask(house.adminUrl, '/api/v1/sessions', { token: house.token })).body.sessions.length, 0);
  const begun = await begin(house);
  const returned = await provider.walk(begun.headers['location'] as string);
  await provider.close();
  t.match(await back(house, returned, cookiesOf(begun)), { status: 503, body: { error: { code: 'provider_unavailable' } } });
  const alone = await openHouse(t, { files: FILES, config: { admin: { port: 0, oidc: { issuer: 'http://127.0.0.1:9', client_id: 'weir', roles: ROLES } } } });
  t.match(await begin(alone), { status: 503, body: { error: { code: 'provider_unavailable' } } });
  const without = await openHouse(t, { files: FILES });
  t.equal((await begin(without)).status, 404);
  t.equal((await ask(without.adminUrl, '/api/v1/login/callback?code=x')).status, 404);
});

t.test('a tenant-viewer by claim; a claim within an object', async (t) => {
  const both = await openBoth(t, { role_claim: 'realm_access.roles', name_claim: 'name' });
  both.provider.people.set('ana', { name: 'Ana', realm_access: { roles: ['acme-people'] } });
  const done = await logIn(both);
  t.match(await ask(both.house.adminUrl, '/api/v1/session', { cookie: cookiesOf(done) }), { body: { name: 'Ana@127.0.0.1', roles: ['tenant-viewer'], tenants: ['default'] } });
});

t.test('the name and the roles of a person', async (t) => {
  const settings = { issuer: 'https://login.example.com/x', nameClaim: 'email', roleClaim: 'groups', roles: [{ value: 'a', role: 'admin', tenants: [] }, { value: 'v', role: 'tenant-viewer', tenants: ['acme', 'gone'] }, { value: 'w', role: 'tenant-viewer', tenants: ['bravo'] }, { value: 'g', role: 'tenant-viewer', tenants: ['gone'] }] } as const;
  const of = (claims: Readonly<Record<string, unknown>>, change: object = {}) => actorOf({ sub: 'subject', ...claims }, { ...settings, ...change }, ['acme', 'bravo']);
  t.same(of({ email: 'a@example.com', groups: 'a' }), { name: 'a@example.com', roles: ['admin'], tenants: [] });
  t.same(of({ email: 'a@example.com', groups: ['w', 'v', 'x', 7, null] }), { name: 'a@example.com', roles: ['tenant-viewer'], tenants: ['acme', 'bravo'] }, 'tenants that are gone are left out');
  t.same(of({ groups: ['g'] }).roles, [], 'and without any there is no role');
  t.equal(of({ email: 'admin', groups: 'a' }).name, 'admin@login.example.com', 'no name is that of a token');
  t.equal(of({ email: 'b@example.com', email_verified: false }).name, 'subject@login.example.com', 'an address that is not theirs');
  for (const email of [7, '', 'a b@example.com', 'a\nb@example.com', `${'x'.repeat(300)}@example.com`, 'a\u202eb@example.com']) t.equal(of({ email }).name, 'subject@login.example.com');
  t.match(of({ sub: 'with space' }).name, /^[0-9a-f]{32}@login\.example\.com$/);
  for (const claims of [{ groups: { a: 'a' } }, { groups: 'aa' }, { groups: 'A' }, { groups: [['a']] }, { other: 'a' }, {}]) t.same(of(claims).roles, [], JSON.stringify(claims));
  t.same(of({ 'https://weir.example.com/roles': ['a'] }, { roleClaim: 'https://weir.example.com/roles' }).roles, ['admin'], 'dots in the name of a claim');
  for (const roleClaim of ['__proto__.x', 'constructor.name', 'sub.length']) t.same(of({}, { roleClaim }).roles, [], roleClaim);
});

t.test('a browser is told on a page why a login came to nothing, and how to begin again; others get JSON', async (t) => {
  const { house, provider } = await openBoth(t);
  const led = (path: string, cookie = ''): Promise<Answered> => ask(house.adminUrl, path, { cookie, headers: { accept: 'text/html,application/xhtml+xml', 'sec-fetch-site': 'cross-site' } });
  const begun = await begin(house);
  const returned = await provider.walk(begun.headers['location'] as string);
  const hostile = '<script>alert(1)</script>\u202E';
  const refusals = { 'nothing was begun': await led(pathOf(returned)), 'an error of the provider': await led(`/api/v1/login/callback?error=access_denied&error_description=${encodeURIComponent(hostile)}`, cookiesOf(begun)), 'too much of it': await led(`/api/v1/login/callback?error=${'x'.repeat(5_000)}`, cookiesOf(begun)) };
  for (const [what, answer] of Object.entries(refusals)) {
    t.match([answer.status, answer.headers['content-type']], [what === 'too much of it' ? 400 : 401, 'text/html; charset=utf-8'], what);
    t.match(answer.text, /<p class="fault" role="alert">.*href="\/api\/v1\/login">Begin again<\/a>.*href="\/login">Log in with a token/s);
    t.notMatch(answer.text, /<script(?! src=)|alert\(1\)|access_denied/, 'nothing that was sent stands in it');
    t.match(answer.headers, { 'content-security-policy': /default-src 'none'/, 'set-cookie': undefined });
  }
  t.match((await ask(house.adminUrl, pathOf(returned))).body, { error: { code: 'login_refused' } }, 'to who asks for no page');
  provider.people.set('ana', { email: 'ana@example.com', email_verified: true, groups: ['nobody'] });
  const again = await begin(house);
  const without = await led(pathOf(await provider.walk(again.headers['location'] as string)), cookiesOf(again));
  t.match([without.status, without.text], [403, /You are known, and have no role here.*ana@example\.com has no role here/s]);
  t.notMatch(without.text, /Begin again/, 'which would come to the same');
  const lone = await openHouse(t, { files: FILES, config: { admin: { port: 0, oidc: { issuer: 'http://127.0.0.1:9', client_id: 'weir', roles: ROLES } } } });
  t.match(await ask(lone.adminUrl, '/api/v1/login', { headers: { accept: 'text/html' } }), { status: 503, text: /The provider does not answer.*Begin again.*Log in with a token/s });
  const plain = await openHouse(t, { files: FILES });
  t.match(await ask(plain.adminUrl, '/api/v1/login', { headers: { accept: 'text/html' } }), { status: 404, text: /There is no such way in.*no provider is configured/s });
});
