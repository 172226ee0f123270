/**
 * Stored keys in SQL. The number of a change is one more than the newest; of two changes at once that would take the
 * same number one waits, fails and tries again, so that no number can be seen before a smaller one.
 */
import { CLAIMS_MAX, type KeyChange, type KeyScope, type KeyStore, type NewKey, type Revocation, type StoredKey } from './keys.ts';
import { isTaken, type SqlQuery, type StoreDatabase } from './sql.ts';

/** Of changes at once; each round one of them is made. */
const ATTEMPTS_MAX = 50;

interface Row extends Omit<StoredKey, 'scopes' | 'change' | 'requests_per_minute' | 'tokens_per_minute'> {
  readonly scopes: string;
  readonly change: number | string;
  readonly requests_per_minute: number | string | null;
  readonly tokens_per_minute: number | string | null;
}

const COLUMNS = 'key_id, tenant_id, name, sha256, scopes, requests_per_minute, tokens_per_minute, expires_at, created_at, created_by, revoked_at, revoked_by, change';

export class SqlKeyStore implements KeyStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async head(): Promise<number> {
    return newest(this.#database.query);
  }

  async changedSince(number: number): Promise<readonly StoredKey[]> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from tenant_keys where change > $1 order by change`, number)).map(keyOf);
  }

  async list(tenantId: string): Promise<readonly StoredKey[]> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from tenant_keys where tenant_id = $1 order by created_at, key_id`, tenantId)).map(keyOf);
  }

  async tenantOf(keyId: string): Promise<string | undefined> {
    const [row] = await this.#database.query<Pick<Row, 'tenant_id'>>('select tenant_id from tenant_keys where key_id = $1', keyId);
    return row?.tenant_id;
  }

  async create(key: NewKey): Promise<boolean> {
    return this.#change(async (query) => {
      const taken = await query('select key_id from tenant_keys where key_id = $1 or sha256 = $2', key.key_id, key.sha256);
      if (taken.length > 0) return false;
      const change = await log(query, 'create', key, key.created_by, key.created_at);
      await query(
        `insert into tenant_keys (${COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, null, null, $11)`,
        key.key_id, key.tenant_id, key.name, key.sha256, key.scopes.join(' '), key.requests_per_minute, key.tokens_per_minute, key.expires_at, key.created_at, key.created_by, change,
      );
      return true;
    });
  }

  async revoke({ tenant_id, key_id, revoked_at, revoked_by }: Revocation): Promise<StoredKey | undefined> {
    return this.#change(async (query) => {
      const [known] = await query<Row>(`select ${COLUMNS} from tenant_keys where key_id = $1 and tenant_id = $2`, key_id, tenant_id);
      if (known === undefined || known.revoked_at !== null) return known && keyOf(known);
      const change = await log(query, 'revoke', { tenant_id, key_id }, revoked_by, revoked_at);
      await query('update tenant_keys set revoked_at = $1, revoked_by = $2, change = $3 where key_id = $4', revoked_at, revoked_by, change, key_id);
      return keyOf({ ...known, revoked_at, revoked_by, change });
    });
  }

  async claimChanges(now: string, staleBefore: string): Promise<readonly KeyChange[]> {
    const free = 'audited_at is null and (claimed_at is null or claimed_at < $1)';
    const claimed = await this.#database.query<KeyChange & { readonly number: number | string }>(
      `update tenant_key_changes set claimed_at = $2 where ${free} and number in (select number from tenant_key_changes where ${free} order by number limit ${CLAIMS_MAX})
       returning number, change, tenant_id, key_id, author, created_at`, staleBefore, now,
    );
    return claimed.map((change) => ({ ...change, number: Number(change.number) })).sort((a, b) => a.number - b.number);
  }

  async settleChanges(numbers: readonly number[], now: string): Promise<void> {
    for (const number of numbers) await this.#database.query('update tenant_key_changes set audited_at = $1 where number = $2', now, number);
  }

  async #change<T>(work: (query: SqlQuery) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#database.transaction(work);
      } catch (error) {
        if (!isTaken(error) || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }
}

async function newest(query: SqlQuery): Promise<number> {
  const [{ number }] = await query<{ readonly number: number | string }>('select coalesce(max(number), 0) as number from tenant_key_changes') as readonly [{ readonly number: number | string }];
  return Number(number);
}

async function log(query: SqlQuery, change: KeyChange['change'], { tenant_id, key_id }: Pick<NewKey, 'tenant_id' | 'key_id'>, author: string, createdAt: string): Promise<number> {
  const number = (await newest(query)) + 1;
  await query('insert into tenant_key_changes (number, change, tenant_id, key_id, author, created_at) values ($1, $2, $3, $4, $5, $6)', number, change, tenant_id, key_id, author, createdAt);
  return number;
}

function keyOf(row: Row): StoredKey {
  return {
    ...row, scopes: row.scopes.split(' ').filter(Boolean) as KeyScope[], change: Number(row.change),
    requests_per_minute: numberOf(row.requests_per_minute), tokens_per_minute: numberOf(row.tokens_per_minute),
  };
}

function numberOf(value: number | string | null): number | null {
  return value === null ? null : Number(value);
}
