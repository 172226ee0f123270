/**
 * A database as the ports see it: statements in the SQL that SQLite and Postgres both take, with `$1`, `$2` … for
 * values, and transactions. Rejects with WeirError store_unavailable when it does not answer. Holds no SQL itself.
 */

export type SqlValue = string | number | null;

/** The rows that a statement gives. Whole numbers beyond 32 bits may come as text. */
export type SqlQuery = <Row>(sql: string, ...values: readonly SqlValue[]) => Promise<readonly Row[]>;

/** Short messages between all who use one database. What is said while somebody is not connected is lost to them. */
export interface DatabaseMessages {
  say(channel: string, text: string): Promise<void>;
  /** Hears until what it returns is called; `onMessage` without a text: it hears from now on, for the first time or again. */
  listen(channel: string, onMessage: (text?: string) => void): () => void;
}

export interface StoreDatabase {
  readonly query: SqlQuery;
  /** All of it, or nothing; nobody else's statement sees a part. What `work` throws is thrown. */
  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T>;
  /** Absent where the database is one process's. */
  readonly messages?: DatabaseMessages;
  close(): Promise<void>;
}

/** Codes of SQLite and Postgres for a row whose key is taken. */
const TAKEN_CODES: readonly unknown[] = ['23505', 1555, 2067];

/** Whether a statement failed because somebody else was quicker with the same key. */
export function isTaken(error: unknown): boolean {
  const { cause = error } = error as { readonly cause?: unknown };
  const { code, errcode } = cause as { readonly code?: unknown; readonly errcode?: unknown };
  return TAKEN_CODES.includes(code) || TAKEN_CODES.includes(errcode);
}
