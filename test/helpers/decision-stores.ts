/**
 * The store of decisions in each of its engines: SQLite, a real Postgres, and ClickHouse's own engine. What the port guarantees
 * is tested over each of them.
 */
import type { Test } from 'tap';
import tap from 'tap';
import { ClickHouse } from '../../src/store/clickhouse.ts';
import { ClickHouseDecisionStore } from '../../src/store/clickhouse-decisions.ts';
import type { DecisionStore } from '../../src/store/decisions.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { SqlDecisionStore } from '../../src/store/sql-decisions.ts';
import { CLICKHOUSE_MISSING, startClickHouse, type ClickHouse as Engine } from './clickhouse.ts';
import { STORE_DRIVERS } from './stores.ts';

export interface DecisionStores {
  /** Another over the same rows, as of another process. */
  store(options?: { readonly lookedMax?: number }): DecisionStore;
  /** Nothing is there any more, in stores that are opened from here on. */
  empty(): Promise<void>;
  /** Absent where it is no SQL database. */
  readonly database?: StoreDatabase;
  /** Present where it is ClickHouse. */
  readonly door?: () => ClickHouse;
}

export interface DecisionDriver {
  readonly name: string;
  readonly skip: string | false;
  open(t: Test): Promise<DecisionStores>;
}

const TABLES = ['decisions', 'decision_labels', 'decision_counts', 'decision_logs'] as const;

export const DECISION_DRIVERS: readonly DecisionDriver[] = [
  ...STORE_DRIVERS.filter(({ lasts }) => lasts).map(({ name, skip, place }): DecisionDriver => ({ name, skip, open: async (t) => inSql((await place(t)).database!()) })),
  { name: 'clickhouse', skip: CLICKHOUSE_MISSING, open: inClickHouse },
];

let engine: Promise<Engine> | undefined;

/** One for all tests of a file, each with a database of its own. */
export function sharedClickHouse(): Promise<Engine> {
  engine ??= startClickHouse(tap);
  return engine;
}

function inSql(database: StoreDatabase): DecisionStores {
  return { database, store: (options) => new SqlDecisionStore(database, options), empty: async () => { for (const table of TABLES) await database.query(`delete from ${table}`); } };
}

async function inClickHouse(t: Test): Promise<DecisionStores> {
  const { url, database } = await sharedClickHouse();
  let door = new ClickHouse({ url, database: database() });
  const end = async (): Promise<void> => {
    await door.command(`drop database ${door.database} sync`);
    await door.close();
  };
  t.teardown(() => end());
  return {
    door: () => door,
    store: ({ lookedMax } = {}) => new ClickHouseDecisionStore(door, { dropStepMs: 1, ...(lookedMax === undefined ? {} : { lookedMax, stretch: Math.ceil(lookedMax / 3) }) }),
    empty: async () => {
      await end();
      door = new ClickHouse({ url, database: database() });
    },
  };
}
