/** Tokens and sessions of the admin port over every driver: what the port promises, and kept over a restart. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SqlAdminStore, type AdminSessionRow } from '../../src/store/admins.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

t.setTimeout(300_000);

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-admins-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

const token = (name: string, id = name) => ({ token_id: `tok_${id}`, sha256: `digest of ${name}`, name, roles: ['policy', 'tenant-viewer'], tenants: ['ünï', 'b'], created_by: 'admin', created_at: '2030-01-01T00:00:00.000Z', expires_at: null } as const);
const session = (id: string, seen = '2030-01-01T00:00:00.000Z', expires = '2030-01-02T00:00:00.000Z'): AdminSessionRow & { sha256: string } => ({
  session_id: `ses_${id}`, sha256: `digest of ${id}`, name: 'ana@example.com', roles: ['auditor'], tenants: [], via: 'oidc', token_id: null, created_at: '2030-01-01T00:00:00.000Z', seen_at: seen, expires_at: expires,
});

for (const { name, skip, lasts, place } of STORE_DRIVERS) {
  t.test(`${name}: tokens`, { skip }, async (t) => {
    const { admins } = await place(t);
    const [store, beside] = [admins(), admins()];
    const { sha256, ...row } = token('ci');
    t.same([await store.tokens(), await store.tokenOf(sha256)], [[], undefined]);
    t.equal(await store.addToken(token('ci')), true);
    t.equal(await store.addToken({ ...token('ci', 'again'), sha256: 'another' }), false, 'a name is given once');
    const full = { ...row, revoked_by: null, revoked_at: null };
    t.same([await store.tokenOf(sha256), await store.token('tok_ci')], [full, full]);
    t.notOk('sha256' in (await store.token('tok_ci'))!, 'digests stay in the store');
    await store.addToken({ ...token('Aaa'), expires_at: '2031-01-01T00:00:00.000Z' });
    t.same((await store.tokens()).map((one) => one.name).sort(), ['Aaa', 'ci']);
    t.match(await store.revokeToken('tok_ci', 'ana', '2030-02-01T00:00:00.000Z'), { revoked_by: 'ana', revoked_at: '2030-02-01T00:00:00.000Z' });
    t.match(await beside.tokenOf(sha256), { revoked_by: 'ana' }, 'for every process at once');
    t.equal(await store.revokeToken('tok_ci', 'bob', '2030-03-01T00:00:00.000Z'), undefined, 'once');
    t.equal(await store.revokeToken('tok_none', 'bob', '2030-03-01T00:00:00.000Z'), undefined);
    t.equal(await store.addToken(token('ci', 'later')), false, 'nor is the name of a revoked one');
    const racing = await Promise.all(Array.from({ length: 6 }, (_, i) => (i % 2 ? store : beside).addToken({ ...token('raced', `raced${i}`), sha256: `digest ${i}` })));
    t.equal(racing.filter(Boolean).length, 1, 'of six at once one has the name');
  });

  t.test(`${name}: sessions and logins`, { skip }, async (t) => {
    const { admins, database } = await place(t);
    const first = database?.();
    const store = first === undefined ? admins() : new SqlAdminStore(first);
    const { sha256, ...row } = session('a');
    await store.addSession(session('a'));
    await store.addSession(session('old', '2029-12-31T00:00:00.000Z'));
    await store.addSession(session('ended', '2030-01-01T00:00:00.000Z', '2030-01-01T00:00:30.000Z'));
    t.same(await store.sessionOf(sha256), row);
    t.equal(await store.sessionOf('digest of nobody'), undefined);
    t.equal((await store.sessions()).length, 3);
    await store.sawSession('ses_a', '2030-01-01T00:05:00.000Z');
    t.equal((await store.sessionOf(sha256))!.seen_at, '2030-01-01T00:05:00.000Z');
    t.equal(await store.takeLogin('state', '2030-01-01T00:10:00.000Z'), true);
    t.equal(await store.takeLogin('state', '2030-01-01T00:10:00.000Z'), false, 'once');
    await store.sweep('2030-01-01T00:01:00.000Z', '2029-12-31T23:00:00.000Z');
    t.same((await store.sessions()).map(({ session_id: id }) => id), ['ses_a']);
    t.equal(await store.takeLogin('state', '2030-01-01T00:10:00.000Z'), false, 'a login that still could come stays taken');
    await store.sweep('2030-01-01T00:11:00.000Z', '2029-12-31T23:00:00.000Z');
    t.equal(await store.takeLogin('state', '2030-01-01T00:20:00.000Z'), true);
    await first?.close();
    const later = lasts ? admins() : store;
    t.match(await later.sessionOf(sha256), { session_id: 'ses_a' }, 'kept, where it lasts over a restart too');
    t.match(await later.endSession('ses_a'), { name: 'ana@example.com' });
    t.same([await later.endSession('ses_a'), await later.sessionOf(sha256)], [undefined, undefined]);
  });

  t.test(`${name}: what has to be written to the audit log waits, and is claimed by one`, { skip }, async (t) => {
    const { admins } = await place(t);
    const [store, beside] = [admins(), admins()];
    const pending = (id: string, at: string) => ({ change_id: `chg_${id}`, record: `{"id":"${id}"}`, created_at: at });
    t.ok(await store.addToken(token('ci'), pending('made', '2030-01-01T00:00:00.000Z')));
    t.notOk(await store.addToken({ ...token('ci', 'again'), sha256: 'another' }, pending('refused', '2030-01-01T00:00:01.000Z')));
    await store.revokeToken('tok_ci', 'ana', '2030-01-01T00:00:02.000Z', ({ name: revoked }) => pending(`revoked-${revoked}`, '2030-01-01T00:00:02.000Z'));
    await store.revokeToken('tok_ci', 'ana', '2030-01-01T00:00:03.000Z', () => pending('again', '2030-01-01T00:00:03.000Z'));
    const stale = '2029-12-31T23:59:59.000Z';
    const claimed = (await Promise.all([store, beside].map((one) => one.claimChanges('2030-01-01T00:01:00.000Z', stale)))).flat();
    t.same(claimed.map(({ change_id: id }) => id).sort(), ['chg_made', 'chg_revoked-ci'], 'what was refused left nothing, and each is claimed once');
    t.same(claimed.find(({ change_id: id }) => id === 'chg_made'), pending('made', '2030-01-01T00:00:00.000Z'));
    t.same(await store.claimChanges('2030-01-01T00:01:01.000Z', stale), []);
    await store.settleChange('chg_made');
    t.same((await beside.claimChanges('2030-01-01T00:03:00.000Z', '2030-01-01T00:02:00.000Z')).map(({ change_id: id }) => id), ['chg_revoked-ci'], 'what nobody settled is another one’s');
  });

  // Memory always answers.
  if (lasts) t.test(`${name}: a store that does not answer says so`, { skip }, async (t) => {
    const database = (await place(t)).database!();
    await database.query('select 1 as one');
    await database.close();
    const store = new SqlAdminStore(database);
    await t.rejects(store.tokens(), { code: 'store_unavailable' });
    await t.rejects(store.addToken(token('x')), { code: 'store_unavailable' }, 'which is not a name that is taken');
  });
}

t.test('nothing but digests is on disk', async (t) => {
  const dir = folder(t);
  const database = openSqliteDatabase(join(dir, 'weir.db'));
  await new SqlAdminStore(database).addToken({ ...token('ci'), sha256: 'ab'.repeat(32) });
  await database.close();
  const bytes = readdirSync(dir).map((name) => readFileSync(join(dir, name), 'latin1')).join('');
  t.ok(bytes.includes('ab'.repeat(32)));
  t.notMatch(bytes, /weir_admin_/);
});
