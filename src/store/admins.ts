/**
 * The port to tokens and sessions of the admin port, over a database of either kind, and in memory.
 *
 * Guarantees: secrets are here as SHA-256 and nowhere else; a name is given to one token for ever; what was revoked or
 * ended is so for every process that asks afterwards; a login is taken once. Rejects with WeirError store_unavailable
 * when the store does not answer; a change may have been made then. Whether something has expired is for the caller to
 * say: the store has no clock. Times are ISO 8601 in UTC, which compare as text.
 */
import type { Grant } from '../contract/people.ts';
import { isTaken, type SqlQuery, type StoreDatabase } from './sql.ts';

export interface AdminTokenRow extends Grant {
  readonly token_id: string;
  readonly name: string;
  readonly created_by: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_by: string | null;
  readonly revoked_at: string | null;
}

export const SESSION_WAYS = ['token', 'oidc'] as const;

export interface AdminSessionRow extends Grant {
  readonly session_id: string;
  readonly name: string;
  readonly via: (typeof SESSION_WAYS)[number];
  /** The token that it was opened with. */
  readonly token_id: string | null;
  readonly created_at: string;
  readonly seen_at: string;
  readonly expires_at: string;
}

/** With the digest of the secret. */
export type Secret<T> = T & { readonly sha256: string };

/** A record that somebody who writes the audit log has to write there. */
export interface PendingChange {
  readonly change_id: string;
  /** JSON. */
  readonly record: string;
  readonly created_at: string;
}

export interface AdminStore {
  /** False when the name is taken, by a revoked token too. With `pending` both are stored, or neither. */
  addToken(token: Secret<Omit<AdminTokenRow, 'revoked_by' | 'revoked_at'>>, pending?: PendingChange): Promise<boolean>;
  /** By name, revoked and expired ones too. */
  tokens(): Promise<readonly AdminTokenRow[]>;
  tokenOf(sha256: string): Promise<AdminTokenRow | undefined>;
  token(tokenId: string): Promise<AdminTokenRow | undefined>;
  /** Undefined when there is none, or it was revoked before. */
  revokeToken(tokenId: string, by: string, at: string, pending?: (token: AdminTokenRow) => PendingChange): Promise<AdminTokenRow | undefined>;
  /** Of a change that stands elsewhere in the store. */
  addChange(pending: PendingChange): Promise<void>;
  /** Oldest first: those that nobody has, or nobody has settled who claimed them before `staleBefore`. They are the caller's until then. */
  claimChanges(now: string, staleBefore: string): Promise<readonly PendingChange[]>;
  /** It is in the audit log. */
  settleChange(changeId: string): Promise<void>;

  addSession(session: Secret<AdminSessionRow>): Promise<void>;
  sessionOf(sha256: string): Promise<AdminSessionRow | undefined>;
  /** Newest first. */
  sessions(): Promise<readonly AdminSessionRow[]>;
  sawSession(sessionId: string, at: string): Promise<void>;
  /** Undefined when there is none. */
  endSession(sessionId: string): Promise<AdminSessionRow | undefined>;

  /** False when the login was taken before. */
  takeLogin(sha256: string, expiresAt: string): Promise<boolean>;
  /** Removes sessions and logins that end before `now`, and sessions not seen since `idleSince`. */
  sweep(now: string, idleSince: string): Promise<void>;
}

const TOKEN = 'token_id, name, roles, tenants, created_by, created_at, expires_at, revoked_by, revoked_at';
const SESSION = 'session_id, name, roles, tenants, via, token_id, created_at, seen_at, expires_at';

export class SqlAdminStore implements AdminStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async addToken({ token_id, sha256, name, roles, tenants, created_by, created_at, expires_at }: Parameters<AdminStore['addToken']>[0], pending?: PendingChange): Promise<boolean> {
    try {
      await this.#database.transaction(async (query) => {
        await query(
          'insert into admin_tokens (token_id, sha256, name, roles, tenants, created_by, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8)',
          token_id, sha256, name, JSON.stringify(roles), JSON.stringify(tenants), created_by, created_at, expires_at,
        );
        await addPending(query, pending);
      });
      return true;
    } catch (error) {
      if (!isTaken(error)) throw error;
      return false;
    }
  }

  async tokens(): Promise<readonly AdminTokenRow[]> {
    return (await this.#database.query<Written<AdminTokenRow>>(`select ${TOKEN} from admin_tokens order by name`)).map(readGrant);
  }

  async tokenOf(sha256: string): Promise<AdminTokenRow | undefined> {
    return (await this.#database.query<Written<AdminTokenRow>>(`select ${TOKEN} from admin_tokens where sha256 = $1`, sha256)).map(readGrant)[0];
  }

  async token(tokenId: string): Promise<AdminTokenRow | undefined> {
    return (await this.#database.query<Written<AdminTokenRow>>(`select ${TOKEN} from admin_tokens where token_id = $1`, tokenId)).map(readGrant)[0];
  }

  async revokeToken(tokenId: string, by: string, at: string, pending?: (token: AdminTokenRow) => PendingChange): Promise<AdminTokenRow | undefined> {
    return this.#database.transaction(async (query) => {
      const rows = await query<Written<AdminTokenRow>>(`update admin_tokens set revoked_by = $1, revoked_at = $2 where token_id = $3 and revoked_at is null returning ${TOKEN}`, by, at, tokenId);
      const token = rows.map(readGrant)[0];
      if (token !== undefined) await addPending(query, pending?.(token));
      return token;
    });
  }

  async addChange(pending: PendingChange): Promise<void> {
    await addPending(this.#database.query, pending);
  }

  async claimChanges(now: string, staleBefore: string): Promise<readonly PendingChange[]> {
    const claimed = await this.#database.query<PendingChange>('update admin_changes set claimed_at = $1 where claimed_at is null or claimed_at < $2 returning change_id, record, created_at', now, staleBefore);
    return [...claimed].sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }

  async settleChange(changeId: string): Promise<void> {
    await this.#database.query('delete from admin_changes where change_id = $1', changeId);
  }

  async addSession({ session_id, sha256, name, roles, tenants, via, token_id, created_at, seen_at, expires_at }: Secret<AdminSessionRow>): Promise<void> {
    await this.#database.query(
      'insert into admin_sessions (session_id, sha256, name, roles, tenants, via, token_id, created_at, seen_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)',
      session_id, sha256, name, JSON.stringify(roles), JSON.stringify(tenants), via, token_id, created_at, seen_at, expires_at,
    );
  }

  async sessionOf(sha256: string): Promise<AdminSessionRow | undefined> {
    return (await this.#database.query<Written<AdminSessionRow>>(`select ${SESSION} from admin_sessions where sha256 = $1`, sha256)).map(readGrant)[0];
  }

  async sessions(): Promise<readonly AdminSessionRow[]> {
    return (await this.#database.query<Written<AdminSessionRow>>(`select ${SESSION} from admin_sessions order by created_at desc, session_id`)).map(readGrant);
  }

  async sawSession(sessionId: string, at: string): Promise<void> {
    await this.#database.query('update admin_sessions set seen_at = $2 where session_id = $1', sessionId, at);
  }

  async endSession(sessionId: string): Promise<AdminSessionRow | undefined> {
    return (await this.#database.query<Written<AdminSessionRow>>(`delete from admin_sessions where session_id = $1 returning ${SESSION}`, sessionId)).map(readGrant)[0];
  }

  async takeLogin(sha256: string, expiresAt: string): Promise<boolean> {
    return (await this.#database.query('insert into admin_logins (sha256, expires_at) values ($1, $2) on conflict do nothing returning sha256', sha256, expiresAt)).length === 1;
  }

  async sweep(now: string, idleSince: string): Promise<void> {
    await this.#database.query('delete from admin_sessions where expires_at <= $1 or seen_at <= $2', now, idleSince);
    await this.#database.query('delete from admin_logins where expires_at <= $1', now);
  }
}

export class MemoryAdminStore implements AdminStore {
  readonly #tokens = new Map<string, Secret<AdminTokenRow>>();
  readonly #sessions = new Map<string, Secret<AdminSessionRow>>();
  readonly #logins = new Map<string, string>();
  readonly #changes = new Map<string, { readonly change: PendingChange; claimedAt?: string }>();

  async addToken(token: Parameters<AdminStore['addToken']>[0], pending?: PendingChange): Promise<boolean> {
    if ([...this.#tokens.values()].some(({ token_id, sha256, name }) => token_id === token.token_id || sha256 === token.sha256 || name === token.name)) return false;
    this.#tokens.set(token.token_id, { ...token, revoked_by: null, revoked_at: null });
    this.#add(pending);
    return true;
  }

  async tokens(): Promise<readonly AdminTokenRow[]> {
    return [...this.#tokens.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).map(withoutSecret);
  }

  async tokenOf(digest: string): Promise<AdminTokenRow | undefined> {
    return [...this.#tokens.values()].filter(({ sha256 }) => sha256 === digest).map(withoutSecret)[0];
  }

  async token(tokenId: string): Promise<AdminTokenRow | undefined> {
    const token = this.#tokens.get(tokenId);
    return token && withoutSecret(token);
  }

  async revokeToken(tokenId: string, by: string, at: string, pending?: (token: AdminTokenRow) => PendingChange): Promise<AdminTokenRow | undefined> {
    const token = this.#tokens.get(tokenId);
    if (token === undefined || token.revoked_at !== null) return undefined;
    const revoked = { ...token, revoked_by: by, revoked_at: at };
    this.#tokens.set(tokenId, revoked);
    this.#add(pending?.(withoutSecret(revoked)));
    return withoutSecret(revoked);
  }

  async addChange(pending: PendingChange): Promise<void> {
    this.#add(pending);
  }

  async claimChanges(now: string, staleBefore: string): Promise<readonly PendingChange[]> {
    const free = [...this.#changes.values()].filter(({ claimedAt }) => claimedAt === undefined || claimedAt < staleBefore);
    for (const one of free) one.claimedAt = now;
    return free.map(({ change }) => change).sort((a, b) => (a.created_at < b.created_at ? -1 : 1));
  }

  async settleChange(changeId: string): Promise<void> {
    this.#changes.delete(changeId);
  }

  async addSession(session: Secret<AdminSessionRow>): Promise<void> {
    this.#sessions.set(session.session_id, session);
  }

  async sessionOf(digest: string): Promise<AdminSessionRow | undefined> {
    return [...this.#sessions.values()].filter(({ sha256 }) => sha256 === digest).map(withoutSecret)[0];
  }

  async sessions(): Promise<readonly AdminSessionRow[]> {
    return [...this.#sessions.values()].sort((a, b) => (a.created_at > b.created_at || (a.created_at === b.created_at && a.session_id < b.session_id) ? -1 : 1)).map(withoutSecret);
  }

  async sawSession(sessionId: string, at: string): Promise<void> {
    const session = this.#sessions.get(sessionId);
    if (session !== undefined) this.#sessions.set(sessionId, { ...session, seen_at: at });
  }

  async endSession(sessionId: string): Promise<AdminSessionRow | undefined> {
    const session = this.#sessions.get(sessionId);
    this.#sessions.delete(sessionId);
    return session && withoutSecret(session);
  }

  async takeLogin(sha256: string, expiresAt: string): Promise<boolean> {
    if (this.#logins.has(sha256)) return false;
    this.#logins.set(sha256, expiresAt);
    return true;
  }

  async sweep(now: string, idleSince: string): Promise<void> {
    for (const [id, { expires_at: expiresAt, seen_at: seenAt }] of this.#sessions) if (expiresAt <= now || seenAt <= idleSince) this.#sessions.delete(id);
    for (const [sha256, expiresAt] of this.#logins) if (expiresAt <= now) this.#logins.delete(sha256);
  }

  #add(change: PendingChange | undefined): void {
    if (change !== undefined) this.#changes.set(change.change_id, { change });
  }
}

function withoutSecret<T extends { readonly sha256: string }>({ sha256: _, ...row }: T): Omit<T, 'sha256'> {
  return row;
}

/** With what it tells of, in one transaction. */
export async function addPending(query: SqlQuery, pending: PendingChange | undefined): Promise<void> {
  if (pending !== undefined) await query('insert into admin_changes (change_id, record, created_at) values ($1, $2, $3)', pending.change_id, pending.record, pending.created_at);
}

/** As the database holds it: lists are JSON. */
type Written<T extends Grant> = Omit<T, 'roles' | 'tenants'> & { readonly roles: string; readonly tenants: string };

function readGrant<T extends Grant>(row: Written<T>): T {
  return { ...row, roles: JSON.parse(row.roles), tenants: JSON.parse(row.tenants) } as unknown as T;
}
