/** Opens the decisions of the store where they are kept. Only readers that end soon open them beside the thread that has them. */
import type { DecisionPlace, DecisionStore } from '../store/decisions.ts';
import { PostgresDatabase } from '../store/postgres.ts';
import { SqlDecisionStore } from '../store/sql-decisions.ts';
import { openSqliteDatabase } from '../store/sqlite.ts';

export interface OpenDecisions {
  readonly store: DecisionStore;
  close(): Promise<void>;
}

export async function openDecisionStore(place: DecisionPlace): Promise<OpenDecisions> {
  const database = place.kind === 'sqlite' ? openSqliteDatabase(place.file, { madeAgain: true }) : new PostgresDatabase(place.url);
  return { store: new SqlDecisionStore(database), close: () => database.close() };
}
