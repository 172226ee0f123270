/**
 * What expires, as the store has it: keys of tenants and tokens of people that still count, with how long they were meant
 * to. Rejects with WeirError store_unavailable. Times are ISO 8601 in UTC, which compare as text.
 */
import type { StoreDatabase } from './sql.ts';

export interface Expiring {
  /** Null: a token of a person. */
  readonly tenant_id: string | null;
  readonly created_at: string;
  readonly expires_at: string;
}

/** Those that expire first. */
const ROWS_MAX = 10_000;

export async function expiringAfter({ query }: Pick<StoreDatabase, 'query'>, now: string): Promise<readonly Expiring[]> {
  const [keys, tokens] = await Promise.all(['tenant_id, created_at, expires_at from tenant_keys', 'null as tenant_id, created_at, expires_at from admin_tokens']
    .map((from) => query<Expiring>(`select ${from} where revoked_at is null and expires_at > $1 order by expires_at limit ${ROWS_MAX}`, now)));
  return [...keys!, ...tokens!];
}
