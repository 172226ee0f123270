/**
 * The embedded store: one SQLite file of one process, and the only importer of `node:sqlite`. A change is on disk when
 * `put` resolves. Calls are short and run in the thread that makes them. Several processes on one machine may open it,
 * and wait for each other for at most `BUSY_MS`; it is no file for a network share.
 */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { backup, DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { WeirError } from '../contract/errors.ts';
import type { PolicyRevision } from '../contract/policy.ts';
import { MIGRATIONS_TABLE, pendingMigrations } from './migrations.ts';
import type { HistoryPage, PolicyPut, PolicyStore, PutReply, RevisionSummary } from './policies.ts';
import type { SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

const BUSY_MS = 2_000;
/** Statements that are kept compiled. */
const STATEMENTS_MAX = 100;

type Row = Record<string, SQLOutputValue>;

/** For who only looks: changes nothing, the file must be there. */
export function readSqlite(file: string): SqlitePolicyStore {
  return new SqlitePolicyStore(new DatabaseSync(file, { timeout: BUSY_MS, readOnly: true }));
}

/** Makes file and folder where there are none. Throws when the file is no database, or of a newer version. */
export function openSqlite(file: string): SqlitePolicyStore {
  return new SqlitePolicyStore(openFile(file), turnsOf(file));
}

/** The same file as statements, for the other ports. With `madeAgain` the newest changes may be lost with the machine's power: what is there can be made again. */
export function openSqliteDatabase(file: string, { madeAgain = false }: { readonly madeAgain?: boolean } = {}): StoreDatabase {
  const database = openFile(file);
  if (madeAgain) database.exec('pragma synchronous = normal; pragma cache_size = -32768');
  return new SqliteDatabase(database, turnsOf(file));
}

/**
 * A copy of the file as it is at this moment, in one file, though others write it. The state is held by a transaction
 * that reads: without it every write of another process would begin the copy anew.
 */
export async function backupSqlite(file: string, to: string, progress: (pages: number, total: number) => void): Promise<void> {
  const database = new DatabaseSync(file, { timeout: BUSY_MS, readOnly: true });
  try {
    database.exec('begin');
    database.prepare('select count(*) from sqlite_schema').get();
    await backup(database, to, { progress: ({ totalPages, remainingPages }) => progress(totalPages - remainingPages, totalPages) });
  } finally {
    database.close();
  }
  const copy = new DatabaseSync(to);
  try {
    copy.exec('pragma journal_mode = delete'); // a start makes it a log again; until then it is one file
    // What is erased after the copy was taken must not lie in it with its key.
    if (copy.prepare("select 1 from sqlite_schema where name = 'learning_contents'").get() !== undefined) copy.exec('pragma secure_delete = on; delete from learning_contents; delete from review_contents; vacuum');
  } finally {
    copy.close();
  }
}

/** What SQLite finds wrong with a file that nobody writes; undefined: nothing. */
export function sqliteFault(file: string): string | undefined {
  try {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const [first] = database.prepare('pragma integrity_check(1)').all();
      return first?.integrity_check === 'ok' ? undefined : String(first?.integrity_check);
    } finally {
      database.close();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Connections of this process to one file take turns: a transaction waits between its statements, and another
 * connection that would write meanwhile would keep the thread, and so the transaction, from going on.
 */
class Turns {
  #before: Promise<unknown> = Promise.resolve();

  take<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#before.then(work);
    this.#before = done.catch(() => {});
    return done;
  }
}

const TURNS = new Map<string, Turns>();

function turnsOf(file: string): Turns {
  const path = resolve(file);
  const turns = TURNS.get(path) ?? new Turns();
  TURNS.set(path, turns);
  return turns;
}

function openFile(file: string): DatabaseSync {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(file, { timeout: BUSY_MS });
  try {
    // What is erased is overwritten: a wrapped key must not lie on in a free page.
    database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma secure_delete = on');
    migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync): void {
  database.exec('begin immediate');
  try {
    database.exec(MIGRATIONS_TABLE);
    const applied = database.prepare('select name from weir_migrations').all().map(({ name }) => String(name));
    for (const { name, sql } of pendingMigrations(applied)) {
      database.exec(sql);
      database.prepare("insert into weir_migrations values (?, datetime('now'))").run(name);
    }
    database.exec('commit');
  } catch (error) {
    database.exec('rollback');
    throw error;
  }
}

const SUMMARY = 'policy, number, parent, sha256, author, comment, created_at, source is null as retired';
const NEWEST = 'select max(number) from policy_revisions where policy = r.policy';

export class SqlitePolicyStore implements PolicyStore {
  readonly #database: DatabaseSync;
  readonly #turns: Turns;

  constructor(database: DatabaseSync, turns = new Turns()) {
    this.#database = database;
    this.#turns = turns;
  }

  async heads(): Promise<ReadonlyMap<string, number>> {
    const rows = this.#all('select policy, max(number) as number from policy_revisions group by policy');
    return new Map(rows.map(({ policy, number }) => [String(policy), Number(number)]));
  }

  async list(): Promise<readonly RevisionSummary[]> {
    return this.#all(`select ${SUMMARY} from policy_revisions r where number = (${NEWEST}) order by policy`).map(summaryOf);
  }

  async get(policy: string, number?: number): Promise<PolicyRevision | undefined> {
    const rows = this.#all(`select * from policy_revisions r where policy = ? and number = coalesce(?, (${NEWEST}))`, policy, number ?? null);
    return rows.map((row) => ({ ...row }) as unknown as PolicyRevision)[0];
  }

  async history(policy: string, { limit, before }: HistoryPage): Promise<readonly RevisionSummary[]> {
    return this.#all(`select ${SUMMARY} from policy_revisions where policy = ? and number < coalesce(?, number + 1) order by number desc limit ?`, policy, before ?? null, limit).map(summaryOf);
  }

  async put({ policy, parent, source, sha256, author, comment, created_at }: PolicyPut): Promise<PutReply> {
    const inserted = await this.#turns.take(() => this.#all(
      `insert into policy_revisions select ?1, ?2 + 1, ?2, ?3, ?4, ?5, ?6, ?7
       where ?2 = (select coalesce(max(number), 0) from policy_revisions where policy = ?1) returning *`,
      policy, parent, source, sha256, author, comment, created_at,
    ));
    if (inserted[0] !== undefined) return { ok: true, revision: { ...inserted[0] } as unknown as PolicyRevision };
    return { ok: false, current: (await this.get(policy))?.number ?? 0 };
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }

  #all(sql: string, ...values: (string | number | null)[]): Row[] {
    try {
      return this.#database.prepare(sql).all(...values);
    } catch (error) {
      throw new WeirError('store_unavailable', 'the SQLite store failed', { cause: error });
    }
  }
}

function summaryOf({ retired, ...row }: Row): RevisionSummary {
  return { ...row, retired: retired === 1 } as unknown as RevisionSummary;
}

/** Statements over one connection, one after the other: nothing runs between the statements of a transaction. */
class SqliteDatabase implements StoreDatabase {
  readonly #database: DatabaseSync;
  readonly #turns: Turns;
  /** By their text; the one that was asked last stands last. */
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, turns: Turns) {
    this.#database = database;
    this.#turns = turns;
  }

  readonly query: SqlQuery = (sql, ...values) => this.#turns.take(() => this.#run(sql, values));

  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      this.#run('begin immediate', []);
      try {
        const done = await work(async (sql, ...values) => this.#run(sql, values));
        this.#run('commit', []);
        return done;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('rollback');
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#turns.take(() => { if (this.#database.isOpen) this.#database.close(); });
  }

  #run(sql: string, values: readonly SqlValue[]): never[] {
    try {
      return this.#prepared(sql).all(...values) as never[];
    } catch (error) {
      throw new WeirError('store_unavailable', 'the SQLite store failed', { cause: error });
    }
  }

  /** Compiled once, while it is among the `STATEMENTS_MAX` that were asked last. */
  #prepared(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql.replaceAll(/\$(\d+)/g, '?$1'));
    this.#statements.delete(sql);
    this.#statements.set(sql, known);
    if (this.#statements.size > STATEMENTS_MAX) this.#statements.delete(this.#statements.keys().next().value!);
    return known;
  }
}
