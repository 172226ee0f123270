/** The store of decisions where it is kept, for whoever closes it: a thread of a running process, or a command. */
import { ClickHouse } from './clickhouse.ts';
import { ClickHouseDecisionStore } from './clickhouse-decisions.ts';
import type { DecisionPlace, DecisionStore } from './decisions.ts';
import { PostgresDatabase } from './postgres.ts';
import { SqlDecisionStore } from './sql-decisions.ts';
import { openSqliteDatabase } from './sqlite.ts';

export interface OpenDecisions {
  readonly store: DecisionStore;
  close(): Promise<void>;
}

export function openDecisionStore(place: DecisionPlace): OpenDecisions {
  if (place.kind === 'clickhouse') {
    const door = new ClickHouse(place);
    return { store: new ClickHouseDecisionStore(door), close: () => door.close() };
  }
  const database = place.kind === 'sqlite' ? openSqliteDatabase(place.file, { madeAgain: true }) : new PostgresDatabase(place.url);
  return { store: new SqlDecisionStore(database), close: () => database.close() };
}
