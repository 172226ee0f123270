/**
 * The shared store: Postgres, and with `postgres-messages` the only importer of `pg`. It connects when it is first asked, and again whenever it
 * is asked after a failure, so that a start does not depend on it. INVARIANT: every call ends within `TIMEOUT_MS`, twice
 * that where it had to connect. Migrations run once, whichever process comes first.
 */
import { Pool, type PoolClient, type QueryResultRow } from 'pg';
import { WeirError } from '../contract/errors.ts';
import type { PolicyRevision } from '../contract/policy.ts';
import { MIGRATIONS_TABLE, pendingMigrations } from './migrations.ts';
import type { HistoryPage, PolicyPut, PolicyStore, PutReply, RevisionSummary } from './policies.ts';
import { listenTo } from './postgres-messages.ts';
import type { DatabaseMessages, SqlQuery, SqlValue, StoreDatabase } from './sql.ts';

const TIMEOUT_MS = 2_000;
const CONNECTIONS_MAX = 4;
/** Held while migrations run: any number that nobody else uses. */
const MIGRATION_LOCK = 7_238_119;
const UNIQUE_VIOLATION = '23505';

const COLUMNS = 'policy, number, parent, sha256, author, comment, created_at';
const SUMMARY = `${COLUMNS}, source is null as retired`;

export class PostgresPolicyStore implements PolicyStore {
  readonly #database: PostgresDatabase;

  constructor(url: string) {
    this.#database = new PostgresDatabase(url);
  }

  async heads(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#all<{ policy: string; number: number }>('select policy, max(number) as number from policy_revisions group by policy');
    return new Map(rows.map(({ policy, number }) => [policy, number]));
  }

  list(): Promise<readonly RevisionSummary[]> {
    return this.#all<RevisionSummary>(`select distinct on (policy collate "C") ${SUMMARY} from policy_revisions order by policy collate "C", number desc`);
  }

  async get(policy: string, number?: number): Promise<PolicyRevision | undefined> {
    const rows = await this.#all<PolicyRevision & QueryResultRow>(`select ${COLUMNS}, source from policy_revisions where policy = $1 and ($2::integer is null or number = $2) order by number desc limit 1`, policy, number ?? null);
    return rows[0];
  }

  history(policy: string, { limit, before }: HistoryPage): Promise<readonly RevisionSummary[]> {
    return this.#all<RevisionSummary>(`select ${SUMMARY} from policy_revisions where policy = $1 and ($2::integer is null or number < $2) order by number desc limit $3`, policy, before ?? null, limit);
  }

  async put({ policy, parent, source, sha256, author, comment, created_at }: PolicyPut): Promise<PutReply> {
    try {
      const inserted = await this.#all<PolicyRevision & QueryResultRow>(
        `insert into policy_revisions (policy, number, parent, source, sha256, author, comment, created_at)
         select $1::text, $2::integer + 1, $2::integer, $3, $4, $5, $6, $7
         where $2::integer = (select coalesce(max(number), 0) from policy_revisions where policy = $1::text) returning ${COLUMNS}, source`,
        policy, parent, source, sha256, author, comment, created_at,
      );
      if (inserted[0] !== undefined) return { ok: true, revision: inserted[0] };
    } catch (error) {
      if (!isConflict(error)) throw error; // two at once with one parent
    }
    return { ok: false, current: (await this.get(policy))?.number ?? 0 };
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  #all<Row extends QueryResultRow>(sql: string, ...values: SqlValue[]): Promise<Row[]> {
    return this.#database.query<Row>(sql, ...values) as Promise<Row[]>;
  }
}

/** Statements over a pool of connections, for all ports. */
export class PostgresDatabase implements StoreDatabase {
  readonly messages: DatabaseMessages;
  readonly #pool: Pool;
  #migrated: Promise<void> | undefined;

  constructor(url: string) {
    this.#pool = new Pool({ connectionString: url, max: CONNECTIONS_MAX, connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS, statement_timeout: TIMEOUT_MS, application_name: 'weir', allowExitOnIdle: true });
    this.messages = { say: async (channel, text) => void (await this.query('select pg_notify($1, $2)', channel, text)), listen: (channel, onMessage) => listenTo(url, channel, onMessage) };
    this.#pool.on('error', () => {}); // an idle connection ended; the next call opens another
  }

  readonly query: SqlQuery = async <Row>(sql: string, ...values: readonly SqlValue[]) => this.#guarded(async () => (await this.#pool.query<Row & QueryResultRow>(sql, [...values])).rows);

  transaction<T>(work: (query: SqlQuery) => Promise<T>): Promise<T> {
    return this.#guarded(() => this.#connected(async (client) => {
      await client.query('begin');
      const done = await work(async <Row>(sql: string, ...values: readonly SqlValue[]) => (await client.query<Row & QueryResultRow>(sql, [...values])).rows);
      await client.query('commit');
      return done;
    }));
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      await this.#migrate();
      return await work();
    } catch (error) {
      throw error instanceof RangeError || error instanceof WeirError ? error : new WeirError('store_unavailable', 'the Postgres store failed', { cause: error });
    }
  }

  #migrate(): Promise<void> {
    this.#migrated ??= this.#connected(migrate).catch((error: unknown) => {
      this.#migrated = undefined;
      throw error;
    });
    return this.#migrated;
  }

  /** A connection on which something failed is not used again: a transaction may be open on it. */
  async #connected<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    client.on('error', ignoreEnd);
    try {
      const done = await work(client);
      client.release();
      return done;
    } catch (error) {
      client.release(true);
      throw error;
    } finally {
      client.off('error', ignoreEnd);
    }
  }
}

/** A connection that ends between two statements says so to whoever listens, and the process would end with it; the next statement fails all the same. */
function ignoreEnd(): void {}

async function migrate(client: PoolClient): Promise<void> {
  await client.query('begin');
  await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  await client.query(MIGRATIONS_TABLE);
  const { rows } = await client.query<{ name: string }>('select name from weir_migrations');
  for (const { name, sql } of pendingMigrations(rows.map(({ name: applied }) => applied))) {
    await client.query(sql);
    await client.query('insert into weir_migrations values ($1, now()::text)', [name]);
  }
  await client.query('commit');
}

function isConflict(error: unknown): boolean {
  return error instanceof WeirError && (error.cause as { readonly code?: unknown } | undefined)?.code === UNIQUE_VIOLATION;
}
