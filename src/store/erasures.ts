/**
 * The port to erasures that were asked for, which every process that keeps content carries out, and to who did.
 *
 * Guarantees: erasures are numbered without gaps in the order in which they can be seen, and never altered; what a keeper
 * confirmed only grows. Rejects with WeirError store_unavailable. No clock: times are ISO 8601 in UTC.
 */
import { emptyErased, type Erased } from './review-contents.ts';
import { isTaken, type SqlQuery, type StoreDatabase } from './sql.ts';

/** Of an exchange or a session: what its slots are found by, and what may be shown. */
export interface ErasedName {
  readonly digest: string;
  readonly name: string;
}

/** All of a tenant, or one narrower thing. */
export interface NewErasure {
  readonly erasure_id: string;
  readonly tenant_id: string;
  /** A day in UTC. */
  readonly before: string | null;
  readonly request: ErasedName | null;
  readonly session: ErasedName | null;
  readonly author: string;
  readonly created_at: string;
}

export interface StoredErasure extends NewErasure {
  readonly number: number;
}

export interface ErasureKeeper {
  readonly keeper: string;
  readonly origin: string;
  readonly since: number;
  readonly done: number;
  readonly seen_at: string;
  /** When an operator said that it is gone with what it kept; null: nobody did, or it came back. */
  readonly gone_at: string | null;
}

export interface ErasureStore {
  /** Returns its number. */
  ask(erasure: NewErasure): Promise<number>;
  /** Number of the newest; 0: there is none. */
  head(): Promise<number>;
  /** Those with a larger number, oldest first. */
  after(number: number, limit: number): Promise<readonly StoredErasure[]>;
  /** Of a tenant, newest first. */
  list(tenantId: string, limit: number): Promise<readonly StoredErasure[]>;
  /** Makes a keeper known that begins after `done`, or says that it was seen and has carried out all up to it. Returns what is known then. */
  meet(keeper: Omit<ErasureKeeper, 'since' | 'gone_at'>): Promise<ErasureKeeper>;
  keeper(keeper: string): Promise<ErasureKeeper | undefined>;
  keepers(): Promise<readonly ErasureKeeper[]>;
  /** Says that one is gone, if it was not seen since `seenAt`; false: it was. */
  part(keeper: string, seenAt: string, goneAt: string): Promise<boolean>;
  /** Takes what it covers out of the texts that lie in the store. */
  empty(erasure: Erased): Promise<void>;
}

/** Of erasures asked for at once; each round one of them gets its number. */
const ATTEMPTS_MAX = 50;
const COLUMNS = 'number, erasure_id, tenant_id, before_day, request_digest, request_name, session_digest, session_name, author, created_at';
const KEEPER = 'keeper, origin, since, done, seen_at, gone_at';

interface Row extends Pick<NewErasure, 'erasure_id' | 'tenant_id' | 'author' | 'created_at'> {
  readonly number: number | string;
  readonly before_day: string | null;
  readonly request_digest: string | null;
  readonly request_name: string | null;
  readonly session_digest: string | null;
  readonly session_name: string | null;
}

interface KeeperRow extends Omit<ErasureKeeper, 'since' | 'done'> {
  readonly since: number | string;
  readonly done: number | string;
}

export class SqlErasureStore implements ErasureStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async ask({ erasure_id, tenant_id, before, request, session, author, created_at }: NewErasure): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#database.transaction(async (query) => {
          const number = (await newest(query)) + 1;
          await query(
            `insert into erasures (${COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
            number, erasure_id, tenant_id, before, request?.digest ?? null, request?.name ?? null, session?.digest ?? null, session?.name ?? null, author, created_at,
          );
          return number;
        });
      } catch (error) {
        if (!isTaken(error) || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  async head(): Promise<number> {
    return newest(this.#database.query);
  }

  async after(number: number, limit: number): Promise<readonly StoredErasure[]> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from erasures where number > $1 order by number limit ${Math.trunc(limit)}`, number)).map(erasureOf);
  }

  async list(tenantId: string, limit: number): Promise<readonly StoredErasure[]> {
    return (await this.#database.query<Row>(`select ${COLUMNS} from erasures where tenant_id = $1 order by number desc limit ${Math.trunc(limit)}`, tenantId)).map(erasureOf);
  }

  async meet({ keeper, origin, done, seen_at }: Omit<ErasureKeeper, 'since' | 'gone_at'>): Promise<ErasureKeeper> {
    const [row] = await this.#database.query<KeeperRow>(
      `insert into erasure_keepers (keeper, origin, since, done, seen_at) values ($1, $2, $3, $3, $4)
       on conflict (keeper) do update set origin = excluded.origin, seen_at = excluded.seen_at, gone_at = null, done = case when excluded.done > erasure_keepers.done then excluded.done else erasure_keepers.done end
       returning ${KEEPER}`, keeper, origin, done, seen_at,
    );
    return keeperOf(row!);
  }

  async keeper(keeper: string): Promise<ErasureKeeper | undefined> {
    const [row] = await this.#database.query<KeeperRow>(`select ${KEEPER} from erasure_keepers where keeper = $1`, keeper);
    return row && keeperOf(row);
  }

  async keepers(): Promise<readonly ErasureKeeper[]> {
    return (await this.#database.query<KeeperRow>(`select ${KEEPER} from erasure_keepers order by origin, keeper`)).map(keeperOf);
  }

  async part(keeper: string, seenAt: string, goneAt: string): Promise<boolean> {
    return (await this.#database.query('update erasure_keepers set gone_at = $3 where keeper = $1 and seen_at = $2 returning keeper', keeper, seenAt, goneAt)).length > 0;
  }

  async empty(erasure: Erased): Promise<void> {
    await emptyErased(this.#database.query, erasure);
  }
}

async function newest(query: SqlQuery): Promise<number> {
  const [{ number }] = await query<{ readonly number: number | string }>('select coalesce(max(number), 0) as number from erasures') as readonly [{ readonly number: number | string }];
  return Number(number);
}

function erasureOf({ number, erasure_id, tenant_id, before_day: before, request_digest, request_name, session_digest, session_name, author, created_at }: Row): StoredErasure {
  return { number: Number(number), erasure_id, tenant_id, before, request: named(request_digest, request_name), session: named(session_digest, session_name), author, created_at };
}

function named(digest: string | null, name: string | null): ErasedName | null {
  return digest === null ? null : { digest, name: name ?? '' };
}

function keeperOf(row: KeeperRow): ErasureKeeper {
  return { ...row, since: Number(row.since), done: Number(row.done) };
}
