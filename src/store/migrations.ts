/**
 * The store's migrations: SQL files that run once each, in the order of their names, and only forward. They are written
 * so that SQLite and Postgres both take them. A database that a newer version has changed is not opened.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Migration {
  readonly name: string;
  readonly sql: string;
}

const FOLDER = join(import.meta.dirname, 'migrations');

export const MIGRATIONS_TABLE = 'create table if not exists weir_migrations (name text primary key, applied_at text not null)';

export function allMigrations(): readonly Migration[] {
  return readdirSync(FOLDER).filter((name) => name.endsWith('.sql')).sort().map((name) => ({ name, sql: readFileSync(join(FOLDER, name), 'utf8') }));
}

/** Those that are still to run. Throws RangeError when the database has one that this version does not know. */
export function pendingMigrations(applied: readonly string[]): readonly Migration[] {
  const all = allMigrations();
  const unknown = applied.find((name) => !all.some((migration) => migration.name === name));
  if (unknown !== undefined) throw new RangeError(`the store was changed by a newer version of weir (${unknown}); run that version, or use another store`);
  return all.filter(({ name }) => !applied.includes(name));
}
