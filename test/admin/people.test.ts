/**
 * People on the admin port of a running Weir: tokens and what their names are written to, sessions from login to logout,
 * what a page elsewhere cannot do in their name, and that every change is an entry of the audit log.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isProof, proofOf, readCookies, Sessions, sessionCookieName, writeCookie } from '../../src/admin/sessions.ts';
import { readWantedToken } from '../../src/admin/people.ts';
import { SqlAdminStore } from '../../src/store/admins.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { ask, cookiesOf, tokenFor, type Asked } from '../helpers/admin.ts';
import { blocking, freshFolder, openHouse, type House } from '../helpers/house.ts';

t.setTimeout(300_000);

const FILES = { 'acme.yaml': blocking('Fileword') };

/** What the audit log holds of access, oldest first. */
async function accessOf(house: House): Promise<readonly Record<string, unknown>[]> {
  const { body } = await ask(house.adminUrl, '/api/v1/audit?kind=access_change', { token: house.token });
  return (body.entries as Record<string, unknown>[]).reverse();
}

/** What the browser of a page of ours sends for a change. */
const ours = (house: House, csrf: string): Asked['headers'] => ({ origin: house.adminUrl, 'sec-fetch-site': 'same-origin', 'x-csrf-token': csrf });

t.test('tokens: made, shown once, used, revoked at once; their names stand where they changed something', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: FILES });
  const { adminUrl, token: admin } = house;
  const made = await ask(adminUrl, '/api/v1/tokens', { method: 'POST', token: admin, body: { name: 'ana-ci', roles: ['policy'] } });
  t.match(made, { status: 201, body: { name: 'ana-ci', roles: ['policy'], tenants: [], created_by: 'admin', expires_at: null, revoked_at: null, token_id: /^tok_[0-9a-f]{16}$/ } });
  t.match(made.body.token, /^weir_admin_[A-Za-z0-9_-]{43}$/);
  const { token, token_id: id } = made.body as { token: string; token_id: string };
  const { body: listed, text } = await ask(adminUrl, '/api/v1/tokens', { token: admin });
  t.same(listed.tokens.map(({ name }: { name: string }) => name), ['ana-ci']);
  t.notOk(text.includes(token) || text.includes('sha256'), 'shown once, and no digest ever');

  t.match(await house.api('PUT', '/acme', blocking('Heron'), 'application/yaml', token), { status: 201, body: { author: 'ana-ci' } });
  t.match(await ask(adminUrl, '/api/v1/session', { token }), { status: 200, body: { name: 'ana-ci', roles: ['policy'], session_id: undefined, csrf: undefined } });
  t.match(await ask(adminUrl, '/api/v1/tokens', { token }), { status: 403, body: { error: { code: 'forbidden' } } });

  t.match(await ask(adminUrl, `/api/v1/tokens/${id}`, { method: 'DELETE', token: admin }), { status: 200, body: { revoked_by: 'admin' } });
  t.equal((await ask(adminUrl, '/api/v1/session', { token })).status, 401, 'at once');
  t.equal((await ask(adminUrl, `/api/v1/tokens/${id}`, { method: 'DELETE', token: admin })).status, 404, 'once');
  t.match(await ask(adminUrl, '/api/v1/tokens', { method: 'POST', token: admin, body: { name: 'ana-ci', roles: ['admin'] } }), { status: 409, body: { error: { code: 'name_taken' } } }, 'a name is not given again');
  t.match(await accessOf(house), [{ change: 'token_created', author: 'admin', name: 'ana-ci', id, roles: ['policy'] }, { change: 'token_revoked', author: 'admin', name: 'ana-ci', id }]);
  t.match((await ask(adminUrl, '/api/v1/audit?kind=policy_change', { token: admin })).body.entries, [{ author: 'ana-ci', policy_id: 'acme' }]);
  const other = await tokenFor(adminUrl, admin, 'keeper', ['auditor']);
  await house.app.close();

  const again = await openHouse(t, { dir, files: FILES });
  t.equal((await ask(again.adminUrl, '/api/v1/session', { token: other })).status, 200, 'kept over a restart');
  t.equal((await ask(again.adminUrl, '/api/v1/session', { token })).status, 401);
  await again.app.close();
  const kept = everyFile(join(dir, 'data'));
  for (const secret of [admin, token, other]) t.notOk(kept.includes(secret), 'no secret is on disk');
});

function everyFile(dir: string): string {
  return readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')).join('');
}

t.test('what is no token that can be made is refused with what to send', async (t) => {
  const context = { tenants: ['acme', 'bravo'], now: new Date('2030-01-01') };
  const good = { name: 'a', roles: ['policy'] };
  t.same(readWantedToken(good, context), { ...good, tenants: [], expires_at: null });
  t.same(readWantedToken({ name: 'b', roles: ['tenant-viewer', 'tenant-viewer'], tenants: ['acme', 'acme'], expires_at: '2030-02-01T00:00:00+01:00' }, context), { name: 'b', roles: ['tenant-viewer'], tenants: ['acme'], expires_at: '2030-01-31T23:00:00.000Z' });
  const refusals: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /object/], [null, /object/], [[good], /object/], ['x', /object/], [{ ...good, rolle: 1 }, /unknown key rolle/], [{ roles: ['policy'] }, /name/], [{ ...good, name: '-x' }, /name/], [{ ...good, name: 'a b' }, /name/],
    [{ ...good, name: 'x'.repeat(65) }, /name/], [{ ...good, name: 'ana@example.com' }, /name/], [{ ...good, name: 'admin' }, /first token/], [{ name: 'a' }, /roles/], [{ ...good, roles: [] }, /roles/], [{ ...good, roles: ['root'] }, /roles/],
    [{ ...good, roles: 'admin' }, /roles/], [{ ...good, roles: ['tenant-viewer'] }, /needs the ids/], [{ ...good, tenants: ['acme'] }, /tenant-viewer alone/], [{ ...good, roles: ['tenant-viewer'], tenants: ['acme', 'nobody'] }, /not in the configuration/],
    [{ ...good, roles: ['tenant-viewer'], tenants: [7] }, /list/], [{ ...good, expires_at: 'soon' }, /time such as/], [{ ...good, expires_at: 7 }, /time such as/], [{ ...good, expires_at: '2029-01-01T00:00:00Z' }, /passed/],
  ];
  for (const [value, message] of refusals) t.match(readWantedToken(value, context), message, JSON.stringify(value));
  const house = await openHouse(t, { files: FILES });
  for (const body of ['', 'no json', '[]', '{"name":"x","roles":["root"]}']) t.match(await ask(house.adminUrl, '/api/v1/tokens', { method: 'POST', token: house.token, body }), { status: 400, body: { error: { code: 'invalid_request' } } }, body);
  t.equal((await ask(house.adminUrl, '/api/v1/tokens', { method: 'POST', token: house.token, body: `{"name":"${'x'.repeat(70_000)}"}` })).status, 413);
});

t.test('a token that expires opens nothing from then on', async (t) => {
  const house = await openHouse(t, { files: FILES });
  const { body } = await ask(house.adminUrl, '/api/v1/tokens', { method: 'POST', token: house.token, body: { name: 'short', roles: ['policy'], expires_at: new Date(Date.now() + 1_500).toISOString() } });
  const opened = await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: body.token } });
  t.equal(opened.status, 200);
  t.equal(opened.body.expires_at, body.expires_at, 'nor does its session outlive it');
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  t.equal((await ask(house.adminUrl, '/api/v1/session', { token: body.token })).status, 401);
  t.equal((await ask(house.adminUrl, '/api/v1/session', { cookie: cookiesOf(opened) })).status, 401);
});

t.test('a session: login, the cookie, changes with their proof, logout', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: FILES });
  const { adminUrl, token: admin } = house;
  const token = await tokenFor(adminUrl, admin, 'bo', ['policy']);
  const opened = await ask(adminUrl, '/api/v1/session', { method: 'POST', body: { token } });
  t.match(opened, { status: 200, body: { name: 'bo', roles: ['policy'], session_id: /^ses_/, csrf: /^[\w-]{43}$/ } });
  t.match([opened.headers['set-cookie']].flat(), [/^weir-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/], 'plain HTTP on loopback: without Secure, which browsers would then not send');
  const cookie = cookiesOf(opened);
  const { csrf } = opened.body as { csrf: string };
  t.match(await ask(adminUrl, '/api/v1/session', { cookie }), { status: 200, body: { name: 'bo', csrf } });
  t.equal((await ask(adminUrl, '/api/v1/policies', { cookie })).status, 200);
  t.equal((await ask(adminUrl, '/api/v1/tokens', { cookie })).status, 403, 'its roles are those of the token');

  const put = (headers: Asked['headers'], given = cookie) => ask(adminUrl, '/api/v1/policies/acme/test', { method: 'POST', cookie: given, headers });
  const refusals: readonly (readonly [string, Asked['headers'], string])[] = [
    ['nothing said', {}, 'cross_site'],
    ['no proof', { origin: adminUrl, 'sec-fetch-site': 'same-origin' }, 'csrf'],
    ['a wrong proof', { origin: adminUrl, 'x-csrf-token': `${csrf.slice(0, -1)}${csrf.endsWith('A') ? 'B' : 'A'}` }, 'csrf'],
    ['a page elsewhere', { ...ours(house, csrf), origin: 'https://evil.example' }, 'cross_site'],
    ['a page on another port', { ...ours(house, csrf), origin: 'http://127.0.0.1:1' }, 'cross_site'],
    ['a sandboxed page', { ...ours(house, csrf), origin: 'null' }, 'cross_site'],
    ['a neighbour', { 'sec-fetch-site': 'same-site', 'x-csrf-token': csrf }, 'cross_site'],
    ['an address bar', { 'sec-fetch-site': 'none', 'x-csrf-token': csrf }, 'cross_site'],
  ];
  for (const [what, headers, code] of refusals) t.match(await put(headers), { status: 403, body: { error: { code } } }, what);
  for (const headers of [ours(house, csrf), { origin: adminUrl, 'x-csrf-token': csrf }, { 'sec-fetch-site': 'same-origin', 'x-csrf-token': csrf }]) t.equal((await put(headers)).status, 200, JSON.stringify(headers));
  t.equal((await put({ ...ours(house, csrf), authorization: 'Bearer weir_admin_wrong' })).status, 401, 'a wrong token is not forgiven for a good cookie');
  t.equal((await put(ours(house, csrf), `${cookie}; ${cookie}`)).status, 401, 'of two cookies one is not ours');
  t.equal((await put(ours(house, csrf), 'weir-session=x')).status, 401);
  t.equal((await put(ours(house, csrf), cookie.replace('weir-session', '__Host-weir-session'))).status, 401);

  const stolen = opened.body.session_id as string;
  await house.app.close();
  const again = await openHouse(t, { dir, files: FILES });
  t.match(await ask(again.adminUrl, '/api/v1/session', { cookie }), { status: 200, body: { csrf } }, 'kept over a restart');
  t.match(await ask(again.adminUrl, '/api/v1/session', { method: 'DELETE', cookie }), { status: 403 }, 'nor can a page elsewhere log one out');
  const ended = await ask(again.adminUrl, '/api/v1/session', { method: 'DELETE', cookie, headers: ours(again, csrf) });
  t.match(ended, { status: 200, body: { ended: true } });
  t.match([ended.headers['set-cookie']].flat(), [/^weir-session=; .*Max-Age=0$/]);
  t.equal((await ask(again.adminUrl, '/api/v1/session', { cookie })).status, 401);
  t.match((await accessOf(again)).slice(1), [{ change: 'session_opened', author: 'bo', name: 'bo', id: stolen, via: 'token', roles: ['policy'] }, { change: 'session_ended', author: 'bo', id: stolen }]);
  await again.app.close();
  t.notOk(everyFile(join(dir, 'data')).includes(cookie.split('=')[1]!), 'the cookie is not on disk');
});

t.test('nobody can have fixed a session before: a login makes a new one and ends the one it replaces', async (t) => {
  const house = await openHouse(t, { files: FILES });
  const { adminUrl, token } = house;
  const logIn = (cookie?: string, headers: Asked['headers'] = {}) => ask(adminUrl, '/api/v1/session', { method: 'POST', body: { token }, cookie, headers });
  const chosen = `weir-session=${'A'.repeat(43)}`;
  const first = await logIn(chosen);
  t.not(cookiesOf(first), chosen);
  t.equal((await ask(adminUrl, '/api/v1/session', { cookie: chosen })).status, 401);
  const second = await logIn(cookiesOf(first));
  t.not(cookiesOf(second), cookiesOf(first));
  t.equal((await ask(adminUrl, '/api/v1/session', { cookie: cookiesOf(first) })).status, 401, 'replaced');
  t.equal((await ask(adminUrl, '/api/v1/session', { cookie: cookiesOf(second) })).status, 200);
  t.match(await logIn(undefined, { origin: 'https://evil.example' }), { status: 403, body: { error: { code: 'cross_site' } } }, 'no page elsewhere logs a browser in');
  t.equal((await logIn(undefined, { 'sec-fetch-site': 'cross-site' })).status, 403);
  t.equal((await logIn(undefined, { 'content-type': 'text/plain' })).status, 415, 'nor with a body that browsers send unasked');
  for (const body of [{ token: `${token}x` }, { token: 'weir_admin_x' }, { token: '' }]) t.equal((await ask(adminUrl, '/api/v1/session', { method: 'POST', body })).status, 401);
  for (const body of ['', '{}', '{"token":7}', 'null', '"x"']) t.equal((await ask(adminUrl, '/api/v1/session', { method: 'POST', body })).status, 400, body);
});

t.test('sessions end with their token, and by the hand of an admin', async (t) => {
  const house = await openHouse(t, { files: FILES });
  const { adminUrl, token: admin } = house;
  const { body: made } = await ask(adminUrl, '/api/v1/tokens', { method: 'POST', token: admin, body: { name: 'cy', roles: ['auditor'] } });
  const open = async () => ask(adminUrl, '/api/v1/session', { method: 'POST', body: { token: made.token } });
  const [one, two] = [await open(), await open()];
  t.match((await ask(adminUrl, '/api/v1/sessions', { token: admin })).body.sessions.map(({ name, via, token_id: id }: Record<string, string>) => [name, via, id]), [['cy', 'token', made.token_id], ['cy', 'token', made.token_id]]);
  t.match(await ask(adminUrl, `/api/v1/sessions/${one.body.session_id}`, { method: 'DELETE', token: admin }), { status: 200, body: { ended: true } });
  t.same([(await ask(adminUrl, '/api/v1/session', { cookie: cookiesOf(one) })).status, (await ask(adminUrl, '/api/v1/session', { cookie: cookiesOf(two) })).status], [401, 200]);
  t.equal((await ask(adminUrl, `/api/v1/sessions/${one.body.session_id}`, { method: 'DELETE', token: admin })).status, 404);
  await ask(adminUrl, `/api/v1/tokens/${made.token_id}`, { method: 'DELETE', token: admin });
  t.equal((await ask(adminUrl, '/api/v1/session', { cookie: cookiesOf(two) })).status, 401, 'at once');
  t.match((await accessOf(house)).at(-2), { change: 'session_revoked', author: 'admin', name: 'cy', id: one.body.session_id });
});

t.test('a new first token ends the sessions of the one before', async (t) => {
  const dir = freshFolder(t);
  const house = await openHouse(t, { dir, files: FILES });
  const cookie = cookiesOf(await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: house.token } }));
  t.match(await ask(house.adminUrl, '/api/v1/session', { cookie }), { status: 200, body: { name: 'admin', roles: ['admin'] } });
  await house.app.close();
  const same = await openHouse(t, { dir, files: FILES });
  t.equal((await ask(same.adminUrl, '/api/v1/session', { cookie })).status, 200);
  await same.app.close();
  rmSync(join(dir, 'data/admin.json'));
  const again = await openHouse(t, { dir, files: FILES });
  t.not(again.token, house.token);
  t.equal((await ask(again.adminUrl, '/api/v1/session', { cookie })).status, 401);
  t.equal((await ask(again.adminUrl, '/api/v1/session', { token: house.token })).status, 401);
});

t.test('a session ends when it was not used, and after its time though it was', async (t) => {
  const database = openSqliteDatabase(join(freshFolder(t), 'weir.db'));
  t.teardown(() => database.close());
  const store = new SqlAdminStore(database);
  let nowMs = Date.parse('2030-01-01T00:00:00Z');
  const sessions = new Sessions(store, { idleMs: 60_000, totalMs: 600_000 }, () => new Date(nowMs), 'first_0');
  const grant = { roles: ['auditor'], tenants: [] } as const;
  const open = async () => (await sessions.open('ana', grant, 'token')).secret;
  const idle = await open();
  nowMs += 59_999;
  t.match(await sessions.find(idle), { actor: { name: 'ana' } }, 'in time');
  nowMs += 59_999;
  t.ok(await sessions.find(idle), 'used, it goes on');
  nowMs += 60_000;
  t.equal(await sessions.find(idle), undefined, 'not used');
  t.equal((await store.sessions()).length, 0, 'and it is gone');
  const used = await open();
  const startMs = nowMs;
  while (nowMs < startMs + 599_000) {
    nowMs += 20_000;
    if (nowMs < startMs + 600_000) t.ok(await sessions.find(used), `after ${nowMs - startMs} ms`);
  }
  nowMs = startMs + 600_000;
  t.equal(await sessions.find(used), undefined);
  await open();
  nowMs += 700_000;
  await open();
  t.equal((await store.sessions()).length, 1, 'those that ended are swept away when others begin');
  for (const secret of ['', 'x', 'A'.repeat(43), '\0', '__proto__']) t.equal(await sessions.find(secret), undefined);
});

t.test('cookies and proofs', async (t) => {
  t.equal(writeCookie(sessionCookieName(true), 'v', { isSecure: true, sameSite: 'Strict', maxAgeMs: 1_500 }), '__Host-weir-session=v; Path=/; HttpOnly; SameSite=Strict; Max-Age=1; Secure');
  t.same([...readCookies('a=1; b=2;c = 3 ;=4; d; b=5')], [['a', '1'], ['c', '3'], ['', '4']], 'a name that stands twice counts for nothing');
  t.same([...readCookies(undefined)], []);
  t.ok(isProof(proofOf('s'), 's'));
  for (const wrong of [undefined, '', proofOf('t'), `${proofOf('s')}x`, 's', ['x']]) t.notOk(isProof(wrong, 's'));
});

t.test('a process without a store has the first token and no sessions', async (t) => {
  const house = await openHouse(t, { files: FILES, config: { roles: ['proxy'] } });
  t.equal((await ask(house.adminUrl, '/api/v1/status', { token: house.token })).status, 200);
  t.match(await ask(house.adminUrl, '/api/v1/tokens', { token: house.token }), { status: 501, body: { error: { code: 'no_store' } } });
  t.equal((await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: house.token } })).status, 501);
  t.equal((await ask(house.adminUrl, '/api/v1/status', { cookie: 'weir-session=x' })).status, 401);
});

t.test('while the store does not answer, the first token opens and others are told so', async (t) => {
  const house = await openHouse(t, { files: FILES, config: { store: { url: 'postgres://postgres@127.0.0.1:9/none' } } });
  t.equal((await ask(house.adminUrl, '/api/v1/status', { token: house.token })).status, 200);
  t.match(await ask(house.adminUrl, '/api/v1/status', { token: `weir_admin_${'x'.repeat(43)}` }), { status: 503, body: { error: { code: 'store_unavailable' } } });
  t.equal((await ask(house.adminUrl, '/api/v1/status', { token: 'anything else' })).status, 401, 'which costs no question');
});
