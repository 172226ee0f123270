/**
 * The store in each of its drivers, with all of its ports: what a port guarantees is tested over each of them. Of one
 * place every port can be opened again and again, as by another process or after a restart.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { MemoryAdminStore, SqlAdminStore, type AdminStore } from '../../src/store/admins.ts';
import { MemoryKeyStore, type KeyStore } from '../../src/store/keys.ts';
import { MemoryPolicyStore, type PolicyStore } from '../../src/store/policies.ts';
import { PostgresDatabase, PostgresPolicyStore } from '../../src/store/postgres.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { SqlKeyStore } from '../../src/store/sql-keys.ts';
import { SqlUsageStore } from '../../src/store/sql-usage.ts';
import { openSqlite, openSqliteDatabase } from '../../src/store/sqlite.ts';
import { MemoryUsageStore, type UsageStore } from '../../src/store/usage.ts';
import { openPostgresSchema, POSTGRES_MISSING } from './postgres.ts';

/** Closed at the end of the test, what was not before. */
export interface StorePlace {
  policies(): PolicyStore;
  keys(): KeyStore;
  usage(): UsageStore;
  admins(): AdminStore;
  /** Absent where there is no database. */
  readonly database?: () => StoreDatabase;
}

export interface StoreDriver {
  readonly name: string;
  readonly skip: string | false;
  /** Over a restart. */
  readonly lasts: boolean;
  place(t: Test): Promise<StorePlace>;
}

export const STORE_DRIVERS: readonly StoreDriver[] = [
  { name: 'memory', skip: false, lasts: false, place: async () => inMemory() },
  { name: 'sqlite', skip: false, lasts: true, place: async (t) => inSqlite(t) },
  { name: 'postgres', skip: POSTGRES_MISSING, lasts: true, place: inPostgres },
];

function inMemory(): StorePlace {
  const [policies, keys, usage, admins] = [new MemoryPolicyStore(), new MemoryKeyStore(), new MemoryUsageStore(), new MemoryAdminStore()];
  return { policies: () => policies, keys: () => keys, usage: () => usage, admins: () => admins };
}

function inSqlite(t: Test): StorePlace {
  const dir = mkdtempSync(join(tmpdir(), 'weir-store-'));
  const file = join(dir, 'deep/weir.db');
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return over(t, () => openSqlite(file), () => openSqliteDatabase(file));
}

async function inPostgres(t: Test): Promise<StorePlace> {
  const url = await openPostgresSchema(t);
  return over(t, () => new PostgresPolicyStore(url), () => new PostgresDatabase(url));
}

function over(t: Test, openPolicies: () => PolicyStore, openDatabase: () => StoreDatabase): StorePlace {
  const opened = <T extends { close(): Promise<void> }>(open: () => T) => (): T => {
    const one = open();
    let closing: Promise<void> | undefined;
    const close = one.close.bind(one);
    one.close = () => (closing ??= close());
    t.teardown(() => one.close());
    return one;
  };
  const database = opened(openDatabase);
  return { policies: opened(openPolicies), database, keys: () => new SqlKeyStore(database()), usage: () => new SqlUsageStore(database()), admins: () => new SqlAdminStore(database()) };
}
