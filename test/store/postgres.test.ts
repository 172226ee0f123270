/** A connection to Postgres that ends while a transaction has it, between two statements: the transaction fails, and nothing else does. */
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';

t.test('ended by the server between two statements', { skip: POSTGRES_MISSING }, async (t) => {
  const url = await openPostgresSchema(t);
  const [database, other] = [new PostgresDatabase(url), new PostgresDatabase(url)];
  t.teardown(() => Promise.all([database.close(), other.close()]));
  await t.rejects(database.transaction(async (query) => {
    const [{ pid }] = await query<{ pid: number }>('select pg_backend_pid() as pid') as [{ pid: number }];
    await other.query('select pg_terminate_backend($1)', pid);
    await delay(200); // its end is heard while no statement runs
    await query('select 1');
  }), { code: 'store_unavailable' });
  t.same(await database.query('select 1 as one'), [{ one: 1 }], 'the next call has another connection');
  t.same(await database.transaction((query) => query('select 2 as two')), [{ two: 2 }]);
});
