/**
 * Who is the tenant. Exactly one credential source per request; a tenant with keys is found by the SHA-256 of the key
 * and by nothing else, so neither a stored digest nor part of a key opens anything, and how wrong a wrong key is cannot
 * be seen in time or in the answer. The only tenant without keys is the sidecar case: any credential, or none, is the
 * upstream's business. Pure but for the clock value it is given.
 */
import type { TenantConfig } from '../config/schema.ts';
import { WeirError } from '../contract/errors.ts';
import { keyDigest } from './keys.ts';

export interface Identified {
  readonly tenant: TenantConfig;
  /** The id of the tenant's key that was used; absent in the sidecar case. */
  readonly keyId?: string;
}

/** All tenants of a snapshot, by key digest. */
export interface TenantDirectory {
  readonly byDigest: ReadonlyMap<string, { readonly tenant: TenantConfig; readonly keyId: string; readonly expiresAtMs: number }>;
  readonly sidecar?: TenantConfig;
}

/** The header fields a key can stand in. */
export const CREDENTIAL_FIELDS = ['authorization', 'api-key', 'x-api-key', 'x-goog-api-key'] as const;

const BEARER = /^Bearer ([!-~]+)$/i;
const QUERY_KEY = /[?&;](?:(?:x[-_])?(?:goog[-_])?api[-_]?key|key|(?:access|auth)[-_]?token|token|subscription-key)=/i;

export function createDirectory(tenants: readonly TenantConfig[]): TenantDirectory {
  const byDigest = new Map<string, { tenant: TenantConfig; keyId: string; expiresAtMs: number }>();
  for (const tenant of tenants) {
    for (const key of tenant.keys ?? []) {
      byDigest.set(key.sha256.toLowerCase(), { tenant, keyId: key.id, expiresAtMs: expiry(key) });
    }
  }
  const sidecar = tenants.length === 1 && (tenants[0].keys?.length ?? 0) === 0 ? tenants[0] : undefined;
  return { byDigest, sidecar };
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
  if (directory.sidecar !== undefined) return { tenant: directory.sidecar };
  if (credential === undefined) throw new WeirError('missing_api_key');
  const found = directory.byDigest.get(keyDigest(credential));
  if (found === undefined || !(nowMs < found.expiresAtMs)) throw new WeirError('invalid_api_key');
  return { tenant: found.tenant, keyId: found.keyId };
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
