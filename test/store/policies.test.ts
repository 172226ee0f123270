/** What every driver of stored policies guarantees, over each of them; and that SQLite and Postgres keep it over a restart. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import type { PolicyPut } from '../../src/store/policies.ts';
import { PostgresPolicyStore } from '../../src/store/postgres.ts';
import { openSqlite } from '../../src/store/sqlite.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { STORE_DRIVERS } from '../helpers/stores.ts';

function change(policy: string, parent: number, source: string | null, comment = ''): PolicyPut {
  return { policy, parent, source, sha256: 'a'.repeat(64), author: 'admin', comment, created_at: '2030-01-02T03:04:05.000Z' };
}

function folder(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-store-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

for (const { name, skip, place: placeOf, lasts } of STORE_DRIVERS) {
  const place = async (t: Test) => (await placeOf(t)).policies;

  t.test(`${name}: revisions`, { skip }, async (t) => {
    const open = await place(t);
    const store = open();
    t.teardown(() => store.close());
    t.same([[...await store.heads()], await store.list(), await store.get('acme'), await store.history('acme', { limit: 10 })], [[], [], undefined, []], 'empty');
    t.same(await store.put(change('acme', 1, 'one')), { ok: false, current: 0 }, 'there is no parent');

    const first = await store.put(change('acme', 0, 'ünï 🙂\n', 'the "first"'));
    t.same(first, { ok: true, revision: { ...change('acme', 0, 'ünï 🙂\n', 'the "first"'), number: 1 } });
    t.same(await store.put(change('acme', 0, 'two')), { ok: false, current: 1 }, 'somebody was quicker');
    t.match(await store.put(change('acme', 1, 'two')), { ok: true, revision: { number: 2, parent: 1, source: 'two' } });
    t.match(await store.put(change('acme', 2, null)), { ok: true, revision: { number: 3, source: null } });
    t.match(await store.put(change('Bravo', 0, 'b')), { ok: true });

    t.same([...await store.heads()].sort(), [['Bravo', 1], ['acme', 3]]);
    t.match(await store.list(), [{ policy: 'Bravo', number: 1, retired: false }, { policy: 'acme', number: 3, retired: true }]);
    t.notOk((await store.list()).some((one) => 'source' in one), 'a summary has no text');
    t.equal((await store.get('acme'))?.source, null);
    t.same(await store.get('acme', 1), { ...change('acme', 0, 'ünï 🙂\n', 'the "first"'), number: 1 });
    t.equal(await store.get('acme', 4), undefined);
    t.same((await store.history('acme', { limit: 2 })).map(({ number }) => number), [3, 2]);
    t.same((await store.history('acme', { limit: 2, before: 2 })).map(({ number, retired }) => [number, retired]), [[1, false]]);
  });

  t.test(`${name}: of changes with one parent one is kept`, { skip }, async (t) => {
    const open = await place(t);
    const stores = [open(), open()];
    t.teardown(() => Promise.all(stores.map((store) => store.close())));
    for (let parent = 0; parent < 5; parent++) {
      const replies = await Promise.all(Array.from({ length: 8 }, (_, i) => stores[i % 2]!.put(change('raced', parent, `by ${i}`))));
      t.equal(replies.filter(({ ok }) => ok).length, 1);
      t.same(new Set(replies.filter(({ ok }) => !ok).map((reply) => 'current' in reply && reply.current)), new Set([parent + 1]));
    }
    t.same((await stores[0]!.history('raced', { limit: 100 })).map(({ number }) => number), [5, 4, 3, 2, 1], 'no gap');
  });

  if (lasts) t.test(`${name}: kept over a restart`, { skip }, async (t) => {
    const open = await place(t);
    const before = open();
    await before.put(change('acme', 0, 'one'));
    await before.close();
    const after = open();
    t.teardown(() => after.close());
    t.match(await after.get('acme'), { number: 1, source: 'one' });
    t.match(await after.put(change('acme', 1, 'two')), { ok: true });
  });
}

t.test('sqlite: what is no store of this version is not opened', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'text.db'), 'this is no database, only some text that is long enough to be looked at\n'.repeat(20));
  t.throws(() => openSqlite(join(dir, 'text.db')), /not a database/);
  await openSqlite(join(dir, 'newer.db')).close();
  const database = new DatabaseSync(join(dir, 'newer.db'));
  database.exec("insert into weir_migrations values ('9999-later.sql', '')");
  database.close();
  t.throws(() => openSqlite(join(dir, 'newer.db')), /changed by a newer version of weir \(9999-later\.sql\)/);
});

t.test('sqlite: a store that fails says so', async (t) => {
  const store = openSqlite(join(folder(t), 'weir.db'));
  await store.close();
  await t.rejects(store.heads(), { code: 'store_unavailable', message: /^the SQLite store failed; repair it/ });
});

t.test('postgres: absent, then there; of a newer version', { skip: POSTGRES_MISSING }, async (t) => {
  const absent = new PostgresPolicyStore('postgres://postgres@127.0.0.1:9/test');
  t.teardown(() => absent.close());
  await t.rejects(absent.heads(), { code: 'store_unavailable' });
  await t.rejects(absent.put(change('acme', 0, 'one')), { code: 'store_unavailable' });

  const url = await openPostgresSchema(t);
  const store = new PostgresPolicyStore(url);
  await store.put(change('acme', 0, 'one'));
  await store.close();
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query("insert into weir_migrations values ('9999-later.sql', '')");
  await client.end();
  const newer = new PostgresPolicyStore(url);
  t.teardown(() => newer.close());
  await t.rejects(newer.heads(), { name: 'RangeError', message: /newer version of weir/ });
});
