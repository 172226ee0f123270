/**
 * A database as the ports see it: statements in the SQL that SQLite and Postgres both take, with `$1`, `$2` … for
 * values, and transactions. Rejects with WeirError store_unavailable when it does not answer. Holds no SQL itself.
 */

export type SqlValue = string | number | null;

/** The rows that a statement gives. Whole numbers beyond 32 bits may come as text. */
export type SqlQuery = <Row>(sql: string, ...values: readonly SqlValue[]) => Promise<readonly Row[]>;

export interface StoreDatabase {
  readonly query: SqlQuery;
  /** All of it, or nothing; nobody else's statement sees a part. What `work` throws is thrown. */
  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T>;
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
