/**
 * The port to stored keys of tenants, and the driver that keeps them in memory. Keys are known by their SHA-256 alone.
 *
 * Guarantees: changes are numbered 1, 2, 3 … in the order in which others can see them, so whoever has read up to a
 * number has missed none before it; a digest belongs to one key for ever; a key that was revoked stays revoked; a change
 * and its row for the audit log are made together or not at all. Rejects with WeirError store_unavailable.
 */

/** What a key may be used for: model endpoints that are screened; routes handed over whole; the screening service and moderations. */
export const KEY_SCOPES = ['models', 'pass_through', 'screening'] as const;
export type KeyScope = (typeof KEY_SCOPES)[number];

export interface NewKey {
  readonly key_id: string;
  readonly tenant_id: string;
  /** A label for people. */
  readonly name: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
  readonly scopes: readonly KeyScope[];
  readonly requests_per_minute: number | null;
  readonly tokens_per_minute: number | null;
  readonly expires_at: string | null;
  readonly created_at: string;
  readonly created_by: string;
}

export interface StoredKey extends NewKey {
  readonly revoked_at: string | null;
  readonly revoked_by: string | null;
  /** Number of its newest change. */
  readonly change: number;
}

export interface Revocation {
  readonly tenant_id: string;
  readonly key_id: string;
  readonly revoked_at: string;
  readonly revoked_by: string;
}

export const KEY_CHANGES = ['create', 'revoke'] as const;

/** A change for the audit log. */
export interface KeyChange {
  readonly number: number;
  readonly change: (typeof KEY_CHANGES)[number];
  readonly tenant_id: string;
  readonly key_id: string;
  readonly author: string;
  readonly created_at: string;
}

export interface KeyStore {
  /** Number of the newest change of any key; 0 for none. */
  head(): Promise<number>;
  /** Keys of which a change came after the number, revoked ones too, by that change. */
  changedSince(number: number): Promise<readonly StoredKey[]>;
  /** All of a tenant, oldest first. */
  list(tenantId: string): Promise<readonly StoredKey[]>;
  /** Whose key it is; undefined: there is none of this id. */
  tenantOf(keyId: string): Promise<string | undefined>;
  /** False: the id or the digest is taken. */
  create(key: NewKey): Promise<boolean>;
  /** Undefined: the tenant has no such key. Of a key that was revoked before, nothing changes. */
  revoke(revocation: Revocation): Promise<StoredKey | undefined>;
  /** Changes that no audit log has and nobody claimed after `staleBefore`, claimed now by who asks; oldest first. */
  claimChanges(now: string, staleBefore: string): Promise<readonly KeyChange[]>;
  /** They are in an audit log. */
  settleChanges(numbers: readonly number[], now: string): Promise<void>;
}

/** At most so many changes are claimed at once. */
export const CLAIMS_MAX = 100;

type LoggedChange = KeyChange & { claimed_at?: string; audited_at?: string };

export class MemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, StoredKey>();
  readonly #changes: LoggedChange[] = [];

  async head(): Promise<number> {
    return this.#changes.length;
  }

  async changedSince(number: number): Promise<readonly StoredKey[]> {
    return [...this.#keys.values()].filter(({ change }) => change > number).sort((a, b) => a.change - b.change);
  }

  async list(tenantId: string): Promise<readonly StoredKey[]> {
    return [...this.#keys.values()].filter(({ tenant_id }) => tenant_id === tenantId).sort(byAge);
  }

  async tenantOf(keyId: string): Promise<string | undefined> {
    return this.#keys.get(keyId)?.tenant_id;
  }

  async create(key: NewKey): Promise<boolean> {
    if ([...this.#keys.values()].some(({ key_id, sha256 }) => key_id === key.key_id || sha256 === key.sha256)) return false;
    this.#keys.set(key.key_id, { ...key, revoked_at: null, revoked_by: null, change: this.#log('create', key, key.created_by, key.created_at) });
    return true;
  }

  async revoke({ tenant_id, key_id, revoked_at, revoked_by }: Revocation): Promise<StoredKey | undefined> {
    const key = this.#keys.get(key_id);
    if (key === undefined || key.tenant_id !== tenant_id || key.revoked_at !== null) return key?.tenant_id === tenant_id ? key : undefined;
    const revoked = { ...key, revoked_at, revoked_by, change: this.#log('revoke', key, revoked_by, revoked_at) };
    this.#keys.set(key_id, revoked);
    return revoked;
  }

  async claimChanges(now: string, staleBefore: string): Promise<readonly KeyChange[]> {
    const claimed = this.#changes.filter(({ audited_at, claimed_at }) => audited_at === undefined && (claimed_at === undefined || claimed_at < staleBefore)).slice(0, CLAIMS_MAX);
    for (const change of claimed) change.claimed_at = now;
    return claimed.map(({ claimed_at: _, audited_at: __, ...change }) => change);
  }

  async settleChanges(numbers: readonly number[], now: string): Promise<void> {
    for (const number of numbers) this.#changes[number - 1]!.audited_at = now;
  }

  #log(change: KeyChange['change'], { tenant_id, key_id }: NewKey, author: string, created_at: string): number {
    this.#changes.push({ number: this.#changes.length + 1, change, tenant_id, key_id, author, created_at });
    return this.#changes.length;
  }
}

function byAge(a: StoredKey, b: StoredKey): number {
  return a.created_at < b.created_at || (a.created_at === b.created_at && a.key_id < b.key_id) ? -1 : 1;
}
