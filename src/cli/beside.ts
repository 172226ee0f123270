/**
 * What commands share that work on the store itself, beside a running Weir or without one: its configuration, the store,
 * who they are for histories, and tables.
 */
import { userInfo } from 'node:os';
import { readSources } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ConfigError } from '../contract/errors.ts';
import { openDatabase } from '../distribution.ts';
import type { StoreDatabase } from '../store/sql.ts';
import type { Io } from './command.ts';

export async function readConfig(file: string | undefined, io: Io): Promise<{ readonly config: Config }> {
  const { config, issues } = await readSources(file, io.env);
  if (config === undefined) throw new ConfigError(issues);
  return { config };
}

/** Works on the store of a configuration, for the command of that name. */
export async function withStore(command: string, config: Config, io: Io, work: (database: StoreDatabase) => Promise<number>): Promise<number> {
  const database = openDatabase(config);
  if (database === undefined) {
    io.stderr(`weir ${command}: the store is that of the process with the role control; run the command with its configuration\n`);
    return 1;
  }
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** Written beside each change. */
export function author(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    return 'cli'; // a user id without a name
  }
}

export function tableText(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)));
  return rows.map((row) => `${row.map((cell, at) => cell.padEnd(widths[at]!)).join('  ').trimEnd()}\n`).join('');
}
