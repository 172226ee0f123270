/**
 * ClickHouse over HTTP, and the only importer of its client: statements, inserts, and tables that are made when it is first
 * asked. It connects when it is asked, so that a start does not depend on it. INVARIANT: every call ends, within `READ_MS` or `WRITE_MS`
 * for each request that it makes; what was given up on may be done all the same, now or later. Rejects with WeirError store_unavailable,
 * which names what went wrong as ClickHouse or the system calls it, and never holds a value.
 */
import { readFileSync } from 'node:fs';
import { ClickHouseLogLevel, createClient, type ClickHouseClient, type ClickHouseSettings } from '@clickhouse/client';
import { WeirError } from '../contract/errors.ts';
import { SCHEMA, timeToLive } from './clickhouse-schema.ts';

export interface ClickHousePlace {
  /** With the user, and the password where it is not in a file. */
  readonly url: string;
  readonly database: string;
  readonly passwordFile?: string | undefined;
  /** Decisions older than this are removed by ClickHouse itself. */
  readonly ttlDays?: number | undefined;
}

export type ClickHouseValue = string | number | boolean | null | readonly ClickHouseValue[];

/** Less than the page waits that asked. */
const READ_MS = 8_000;
/** For a batch, and for rows that are removed. */
const WRITE_MS = 20_000;
const CONNECTIONS_MAX = 4;

/** Each insert is there when it is answered, whatever the user's profile says; the same bytes twice are two inserts; ids beyond 53 bits keep every digit. */
const SETTINGS: ClickHouseSettings = { async_insert: 0, insert_deduplicate: 0, max_partitions_per_insert_block: '0', precise_float_parsing: 1, output_format_json_quote_64bit_integers: 1 };

export class ClickHouse {
  /** Its tables, as they stand in a statement. */
  readonly database: string;
  readonly #place: ClickHousePlace;
  #client: ClickHouseClient | undefined;
  #made: Promise<void> | undefined;

  constructor(place: ClickHousePlace) {
    this.#place = place;
    this.database = `\`${place.database}\``;
  }

  /** Values stand in the text as `{name:Type}`. */
  async query<Row>(sql: string, values: Readonly<Record<string, ClickHouseValue>> = {}): Promise<readonly Row[]> {
    await this.#make();
    return this.#read<Row>(sql, values);
  }

  async insert(table: string, rows: readonly object[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#make();
    await this.#guarded((client) => client.insert({ table: `${this.database}.${table}`, values: [...rows], format: 'JSONEachRow', abort_signal: AbortSignal.timeout(WRITE_MS) }));
  }

  /** What gives no rows. */
  async command(sql: string, values: Readonly<Record<string, ClickHouseValue>> = {}): Promise<void> {
    await this.#make();
    await this.#tell(sql, values);
  }

  /** False where there is one of this name already. */
  async createTable(name: string, definition: string): Promise<boolean> {
    await this.#make();
    return this.#guarded((client) => client.command({ query: `create table ${this.database}.${name} ${definition}`, abort_signal: AbortSignal.timeout(WRITE_MS) }).then(() => true, (error: unknown) => {
      if (typeOf(error) === 'TABLE_ALREADY_EXISTS') return false;
      throw error;
    }));
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  #read<Row>(sql: string, values: Readonly<Record<string, ClickHouseValue>> = {}): Promise<readonly Row[]> {
    return this.#guarded(async (client) => (await client.query({ query: sql, query_params: { ...values }, format: 'JSONEachRow', abort_signal: AbortSignal.timeout(READ_MS), clickhouse_settings: { max_execution_time: READ_MS / 1e3 } })).json<Row>());
  }

  #tell(sql: string, values: Readonly<Record<string, ClickHouseValue>> = {}): Promise<unknown> {
    return this.#guarded((client) => client.command({ query: sql, query_params: { ...values }, abort_signal: AbortSignal.timeout(WRITE_MS) }));
  }

  /** Whoever comes first makes the tables; who fails lets the next try. */
  #make(): Promise<void> {
    this.#made ??= this.#makeTables().catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    return this.#made;
  }

  /** Each step may be done again. */
  async #makeTables(): Promise<void> {
    const { database, ttlDays } = this.#place;
    // Who may not make databases is given one.
    if ((await this.#read('select 1 as one from system.databases where name = {database:String}', { database })).length === 0) await this.#tell(`create database if not exists ${this.database}`);
    await this.#tell(`create table if not exists ${this.database}.decision_schema (version UInt32) engine = ReplacingMergeTree order by version`);
    const [{ version }] = await this.#read<{ readonly version: number }>(`select max(version) as version from ${this.database}.decision_schema`) as readonly [{ readonly version: number }];
    if (version > SCHEMA.length) throw new WeirError('store_unavailable', `its tables are those of a newer weir (${version}, and ${SCHEMA.length} is known here); start that one`);
    for (const [at, statements] of SCHEMA.entries()) {
      if (at < version) continue;
      for (const statement of statements) await this.#tell(statement(this.database));
      await this.#guarded((client) => client.insert({ table: `${this.database}.decision_schema`, values: [{ version: at + 1 }], format: 'JSONEachRow', abort_signal: AbortSignal.timeout(WRITE_MS) }));
    }
    const [{ text } = { text: '' }] = await this.#read<{ readonly text: string }>(`select create_table_query as text from system.tables where database = {database:String} and name = 'decisions'`, { database });
    const change = timeToLive(this.database, text, ttlDays);
    if (change !== undefined) await this.#tell(change);
  }

  async #guarded<T>(work: (client: ClickHouseClient) => Promise<T>): Promise<T> {
    try {
      return await work((this.#client ??= this.#connect()));
    } catch (error) {
      throw error instanceof WeirError ? error : new WeirError('store_unavailable', `ClickHouse did not do it (${typeOf(error)}); look at analytics.url and at its log`, { cause: error });
    }
  }

  #connect(): ClickHouseClient {
    const { passwordFile } = this.#place;
    const url = new URL(this.#place.url.replace(/^clickhouse:/, 'http:'));
    const [username, password] = [url.username, url.password].map(decodeURIComponent) as [string, string];
    url.username = '';
    url.password = '';
    return createClient({
      url, ...(username === '' ? {} : { username }), password: passwordFile === undefined ? password : readPassword(passwordFile), application: 'weir', request_timeout: WRITE_MS, max_open_connections: CONNECTIONS_MAX,
      clickhouse_settings: SETTINGS, log: { level: ClickHouseLogLevel.OFF },
    });
  }
}

/** As a literal in a statement. */
export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function readPassword(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new WeirError('store_unavailable', `analytics.password_file could not be read (${(error as NodeJS.ErrnoException).code}); write the password of its user there`);
  }
}

/** As ClickHouse calls it, or the system. */
function typeOf(error: unknown): string {
  const { type, code, name, message } = error as { readonly type?: string; readonly code?: string; readonly name: string; readonly message?: string };
  return type ?? code ?? (/abort|timeout/i.test(message ?? '') ? 'no answer in time' : name);
}
