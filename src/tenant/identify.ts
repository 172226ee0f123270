/**
 * Who is the tenant. Exactly one credential source per request; a tenant with keys is found by the SHA-256 of the key
 * and by nothing else, so neither a stored digest nor part of a key opens anything, and how wrong a wrong key is cannot
 * be seen in time or in the answer. Nobody is asked: the keys of configuration and store are in memory. The only tenant
 * without keys is the sidecar case: any credential, or none, is the upstream's business. Pure but for the clock value.
 */
import type { TenantConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { ADMIN_TOKEN_PREFIX } from '../contract/people.ts';
import { KEY_SCOPES, type KeyScope } from '../store/keys.ts';
import { keyDigest } from './keys.ts';
import type { KeyLimits, StoredKeys } from './stored-keys.ts';

export interface Identified {
  readonly tenant: TenantConfig;
  /** The id of the tenant's key that was used; absent in the sidecar case. */
  readonly keyId?: string;
  /** What the key may do, and how often. */
  readonly key?: KeyTerms;
  /** SHA-256 of the key. */
  readonly digest?: string;
}

export interface KeyTerms {
  readonly scopes: readonly KeyScope[];
  readonly limits: KeyLimits;
}

/** A key of the configuration. */
interface WrittenKey extends KeyTerms {
  readonly tenant: TenantConfig;
  readonly keyId: string;
  readonly expiresAtMs: number;
}

/** All tenants of a snapshot, by key digest; and the keys of the store, which change without a new snapshot. */
export interface TenantDirectory {
  readonly byDigest: ReadonlyMap<string, WrittenKey>;
  readonly byId: ReadonlyMap<string, TenantConfig>;
  readonly stored?: StoredKeys | undefined;
  /** The only tenant, where the configuration gives it no key. A key of the store ends that for ever. */
  readonly sidecar?: TenantConfig | undefined;
}

/** A key of the configuration may do all that its tenant may. */
const NONE: KeyLimits = Object.freeze({});

/** The header fields a key can stand in. */
export const CREDENTIAL_FIELDS = ['authorization', 'api-key', 'x-api-key', 'x-goog-api-key'] as const;

const BEARER = /^Bearer ([!-~]+)$/i;
const QUERY_KEY = /[?&;](?:(?:x[-_])?(?:goog[-_])?api[-_]?key|key|(?:access|auth)[-_]?token|token|subscription-key)=/i;

export function createDirectory(tenants: readonly TenantConfig[], stored?: StoredKeys): TenantDirectory {
  const byDigest = new Map<string, WrittenKey>();
  for (const tenant of tenants) {
    for (const key of tenant.keys ?? []) {
      byDigest.set(key.sha256.toLowerCase(), { tenant, keyId: key.id, expiresAtMs: expiry(key), scopes: KEY_SCOPES, limits: NONE });
    }
  }
  const sidecar = tenants.length === 1 && (tenants[0].keys?.length ?? 0) === 0 && tenants[0].require_key !== true ? tenants[0] : undefined;
  return { byDigest, byId: new Map(tenants.map((tenant) => [tenant.id, tenant])), stored, sidecar };
}

function expiry(key: { readonly expires_at?: string }): number {
  return key.expires_at === undefined ? Infinity : Date.parse(key.expires_at);
}

/**
 * `raw`: fields in wire order, name and value alternating; `query`: with its `?`. Throws missing_api_key,
 * invalid_api_key, two_credentials, bad_request.
 */
export function identify(raw: readonly string[], query: string, directory: TenantDirectory, nowMs: number): Identified {
  if (QUERY_KEY.test(plainNames(query))) throw new WeirError('bad_request', 'the query string carries a key, and query strings end up in logs');
  const credential = theCredential(raw);
  if (credential?.startsWith(ADMIN_TOKEN_PREFIX) === true) throw new WeirError('invalid_api_key', 'a token of the admin port is no API key, and is not for an upstream to see');
  const open = openTenant(directory);
  if (open !== undefined) return { tenant: open };
  if (credential === undefined) throw new WeirError('missing_api_key');
  const found = keyOf(directory, keyDigest(credential), nowMs);
  if (found === undefined) throw new WeirError('invalid_api_key');
  return found;
}

/** Whether who was identified would still be: its key was not revoked, did not expire, and reaches the same tenant. */
export function isStillKnown(directory: TenantDirectory, { tenant, digest }: Identified, nowMs: number): boolean {
  const now = digest === undefined ? openTenant(directory) : keyOf(directory, digest, nowMs)?.tenant;
  return now?.id === tenant.id;
}

/** Throws key_scope. */
export function requireScope({ key }: Identified, scope: KeyScope): void {
  if (key !== undefined && !key.scopes.includes(scope)) throw new WeirError('key_scope', `the key is not for ${scope}`);
}

function openTenant({ sidecar, stored }: TenantDirectory): TenantConfig | undefined {
  return sidecar !== undefined && stored?.hasTenant(sidecar.id) !== true ? sidecar : undefined;
}

/** The same work for every digest. Where configuration and store have the same key, the configuration counts. */
function keyOf({ byDigest, byId, stored }: TenantDirectory, digest: string, nowMs: number): Identified | undefined {
  const written = byDigest.get(digest);
  const held = stored?.find(digest);
  const tenant = written?.tenant ?? byId.get(held?.tenantId ?? '');
  const key = written ?? held;
  if (tenant === undefined || key === undefined || !(nowMs < key.expiresAtMs)) return undefined;
  return { tenant, keyId: key.keyId, key, digest };
}

/** The query with every encoded letter as it is read: a name can be spelled in many ways. */
function plainNames(query: string): string {
  return query.includes('%') ? query.replace(/%([2-7][\da-f])/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))) : query;
}

/** The one key of the request. An authorization that is no Bearer token is a credential that matches nothing. */
function theCredential(raw: readonly string[]): string | undefined {
  let credential: string | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (!(CREDENTIAL_FIELDS as readonly string[]).includes(name)) continue;
    if (credential !== undefined) throw new WeirError('two_credentials');
    credential = name === 'authorization' ? (BEARER.exec(raw[i + 1])?.[1] ?? '') : raw[i + 1];
  }
  return credential;
}
