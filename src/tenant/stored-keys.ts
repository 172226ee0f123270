/**
 * Keys of the store as this process knows them, by digest. Who asks gets an answer from memory: no key, right or wrong,
 * costs anybody a call. Changes come in any order and more than once; of each key the newest counts. INVARIANT: a key
 * that was revoked is never held as one that opens, and a tenant that ever had a stored key is remembered as such.
 */
import { KEY_SCOPES, type KeyScope, type StoredKey } from '../store/keys.ts';

/** What of a stored key a proxy needs. */
export interface HeldKey {
  readonly tenantId: string;
  readonly keyId: string;
  readonly scopes: readonly KeyScope[];
  readonly expiresAtMs: number;
  readonly limits: KeyLimits;
}

/** Limits of one key, beside those of its tenant. */
export interface KeyLimits {
  readonly requests_per_minute?: number;
  readonly tokens_per_minute?: number;
}

/** What of a key travels to proxies, and into copies; nobody can make a key of it. */
export type SharedKey = Pick<StoredKey, 'key_id' | 'tenant_id' | 'sha256' | 'scopes' | 'requests_per_minute' | 'tokens_per_minute' | 'expires_at' | 'change'> & { readonly revoked: boolean };

export function sharedOf({ key_id, tenant_id, sha256, scopes, requests_per_minute, tokens_per_minute, expires_at, change, revoked_at }: StoredKey): SharedKey {
  return { key_id, tenant_id, sha256, scopes, requests_per_minute, tokens_per_minute, expires_at, change, revoked: revoked_at !== null };
}

export class StoredKeys {
  readonly #byDigest = new Map<string, HeldKey>();
  readonly #known = new Map<string, SharedKey>();
  readonly #tenants = new Set<string>();
  /** Number of the newest change that was taken. */
  #head = 0;

  get head(): number {
    return this.#head;
  }

  /** Keys that are known, revoked ones too. */
  get all(): readonly SharedKey[] {
    return [...this.#known.values()];
  }

  /** `digest`: of the whole key, and it is the whole digest that is looked for. */
  find(digest: string): HeldKey | undefined {
    return this.#byDigest.get(digest);
  }

  /** Whether the tenant has, or ever had, a stored key. */
  hasTenant(tenantId: string): boolean {
    return this.#tenants.has(tenantId);
  }

  take(keys: readonly SharedKey[]): void {
    for (const key of keys) {
      this.#head = Math.max(this.#head, key.change);
      if (key.change <= (this.#known.get(key.key_id)?.change ?? 0)) continue;
      this.#known.set(key.key_id, key);
      this.#tenants.add(key.tenant_id);
      if (key.revoked) this.#byDigest.delete(key.sha256);
      else this.#byDigest.set(key.sha256, heldOf(key));
    }
  }
}

function heldOf({ tenant_id, key_id, scopes, expires_at, requests_per_minute, tokens_per_minute }: SharedKey): HeldKey {
  return Object.freeze({
    tenantId: tenant_id,
    keyId: key_id,
    scopes: scopes.filter((scope) => KEY_SCOPES.includes(scope)),
    // A time that cannot be read is over.
    expiresAtMs: expires_at === null ? Infinity : Date.parse(expires_at) || 0,
    limits: { ...(requests_per_minute === null ? {} : { requests_per_minute }), ...(tokens_per_minute === null ? {} : { tokens_per_minute }) },
  });
}
