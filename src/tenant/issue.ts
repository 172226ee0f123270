/**
 * Making keys of tenants: what may be asked for, and the one place where a key is there in the clear, on its way to who
 * asked. The store gets its digest. Revoking needs nothing but the key's id.
 */
import { randomBytes } from 'node:crypto';
import { WeirError } from '../contract/errors.ts';
import { KEY_SCOPES, type KeyScope, type KeyStore, type StoredKey } from '../store/keys.ts';
import { generateKey, keyDigest } from './keys.ts';

export interface WantedKey {
  readonly name: string;
  readonly scopes: readonly KeyScope[];
  readonly requests_per_minute: number | null;
  readonly tokens_per_minute: number | null;
  readonly expires_at: string | null;
}

export interface IssuedKey {
  /** In the clear, for who asked and nobody else. */
  readonly key: string;
  readonly row: StoredKey;
}

const FIELDS: readonly string[] = ['name', 'scopes', 'requests_per_minute', 'tokens_per_minute', 'expires_at'];
const NAME_CHARS_MAX = 100;
const RATE_MAX = { requests_per_minute: 1e9, tokens_per_minute: 1e12 } as const;
const ID_BYTES = 8;

/** What somebody asks for, checked, or what is wrong with it. */
export function readWantedKey(value: unknown, now: Date): WantedKey | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return `send an object with any of ${FIELDS.join(', ')}`;
  const { name = '', scopes = KEY_SCOPES, requests_per_minute: requests = null, tokens_per_minute: tokens = null, expires_at: expires = null, ...others } = value as Readonly<Record<string, unknown>>;
  const [strange] = Object.keys(others);
  if (strange !== undefined) return `unknown key ${JSON.stringify(strange.slice(0, 80))}; there is ${FIELDS.join(', ')}`;
  if (typeof name !== 'string' || name.length > NAME_CHARS_MAX || /[\p{C}\p{Zl}\p{Zp}]/u.test(name)) return `name is at most ${NAME_CHARS_MAX} printable characters`;
  if (!isScopes(scopes)) return `scopes is a list of one or more of ${KEY_SCOPES.join(', ')}`;
  if (!isRate(requests, RATE_MAX.requests_per_minute)) return `requests_per_minute is a whole number from 1 to ${RATE_MAX.requests_per_minute}`;
  if (!isRate(tokens, RATE_MAX.tokens_per_minute)) return `tokens_per_minute is a whole number from 1 to ${RATE_MAX.tokens_per_minute}`;
  if (expires !== null && (typeof expires !== 'string' || !/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/.test(expires) || Number.isNaN(Date.parse(expires)))) return 'expires_at is a time such as 2030-01-31T00:00:00Z';
  if (expires !== null && Date.parse(expires) <= now.getTime()) return 'expires_at has passed already';
  return { name, scopes: KEY_SCOPES.filter((scope) => scopes.includes(scope)), requests_per_minute: requests, tokens_per_minute: tokens, expires_at: expires === null ? null : new Date(expires).toISOString() };
}

/** Rejects with store_unavailable. */
export async function issueKey(store: KeyStore, tenantId: string, wanted: WantedKey, author: string, now: Date): Promise<IssuedKey> {
  const key = generateKey();
  const row = { key_id: `key_${randomBytes(ID_BYTES).toString('hex')}`, tenant_id: tenantId, ...wanted, sha256: keyDigest(key), created_at: now.toISOString(), created_by: author };
  if (!(await store.create(row))) throw new WeirError('internal', 'a random key id is taken');
  return { key, row: { ...row, revoked_at: null, revoked_by: null, change: 0 } };
}

export const KEY_STATES = ['active', 'expired', 'revoked'] as const;

export function keyState({ expires_at, revoked_at }: { readonly expires_at?: string | null | undefined; readonly revoked_at?: string | null }, now: Date): (typeof KEY_STATES)[number] {
  if (revoked_at !== null && revoked_at !== undefined) return 'revoked';
  return expires_at !== null && expires_at !== undefined && Date.parse(expires_at) <= now.getTime() ? 'expired' : 'active';
}

function isScopes(value: unknown): value is readonly KeyScope[] {
  return Array.isArray(value) && value.length > 0 && value.every((scope) => (KEY_SCOPES as readonly unknown[]).includes(scope));
}

function isRate(value: unknown, max: number): value is number | null {
  return value === null || (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max);
}
