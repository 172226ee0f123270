/**
 * Keys and usage of tenants over the API: keys are made, listed and revoked, and count, or no longer count, in this
 * process when the answer is there. A key is shown in the answer that makes it and at no other time; no answer holds a
 * digest. Every change is an entry of the audit log. What belongs to another tenant is, for a tenant-viewer, not there.
 */
import type { TenantConfig } from '../config/schema.ts';
import { sees, seesAll, type Actor } from '../contract/people.ts';
import type { KeyStore, StoredKey } from '../store/keys.ts';
import { USAGE_COUNTS, type UsageCounts, type UsageRow, type UsageStore } from '../store/usage.ts';
import { issueKey, keyState, readWantedKey } from '../tenant/issue.ts';
import { invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

/** What the routes about keys and usage are given. */
export interface KeyDesk {
  readonly store: KeyStore;
  readonly usage: UsageStore;
  tenants(): ReadonlyMap<string, TenantConfig>;
  /** Resolves when a change counts in this process, and its entry is on disk here or about to be elsewhere. */
  changed(): Promise<void>;
  /** Resolves when the usage of this process is in the store. */
  flush(): Promise<void>;
  now(): Date;
}

const READERS = ['admin', 'auditor', 'tenant-viewer'] as const;
const ADMIN = ['admin'] as const;
/** Rows of one answer. */
const USAGE_LIMIT = { default: 1_000, max: 10_000 } as const;
const HOUR_MS = 3_600_000;

const NO_TENANT = { 404: { meaning: 'there is no such tenant, or not for the caller' } } as const;
const time = { type: 'string', minLength: 1, maxLength: 40 } as const;

export const KEY_ROUTES: readonly Route<KeyDesk>[] = [
  { method: 'GET', path: '/api/v1/tenants/:tenant/keys', name: 'listKeys', access: READERS, meaning: 'keys of a tenant, of store and file, revoked ones too', answers: { 200: { meaning: 'without keys and digests', schema: ref('KeyList') }, ...NO_TENANT }, run: list },
  { method: 'POST', path: '/api/v1/tenants/:tenant/keys', name: 'createKey', access: ADMIN, meaning: 'make a key of a tenant, which is shown this once', body: { schema: ref('NewKey'), types: ['application/json'], isOptional: true }, answers: { 201: { meaning: 'the key, which counts', schema: ref('MadeKey') }, 400: { meaning: 'the body cannot be used, and why' }, ...NO_TENANT }, run: create },
  { method: 'DELETE', path: '/api/v1/tenants/:tenant/keys/:id', name: 'revokeKey', access: ADMIN, meaning: 'revoke a key of the store; every process refuses it within a second', answers: { 200: { meaning: 'it opens nothing any more', schema: ref('Key') }, 404: { meaning: 'the tenant has no such key in the store' } }, run: revoke },
  {
    method: 'GET', path: '/api/v1/usage', name: 'readUsage', access: READERS, meaning: 'requests and tokens by tenant, key and hour, newest first; a tenant-viewer sees their own; `?tenant=`, `?from=`, `?to=`, `?limit=`',
    query: { tenant: { type: 'string', minLength: 1, maxLength: 64 }, from: time, to: time, limit: { type: 'integer', minimum: 1, maximum: USAGE_LIMIT.max } },
    answers: { 200: { meaning: 'the rows, and their sums', schema: ref('Usage') }, ...NO_TENANT }, run: usage,
  },
];

async function list(desk: KeyDesk, { names, actor }: DeskRequest): Promise<DeskAnswer> {
  const tenant = tenantOf(desk, names['tenant'], actor);
  if (tenant === undefined) return noTenant(names['tenant']);
  const now = desk.now();
  const written = tenant.keys.map(({ id, expires_at }) => ({ from: 'file', key_id: id, tenant_id: tenant.id, state: keyState({ expires_at }, now), expires_at: expires_at ?? null }));
  const stored = await desk.store.list(tenant.id);
  return { status: 200, body: { tenant: tenant.id, keys: [...stored.map((row) => ({ from: 'store', ...bodyOf(row, now) })), ...written] } };
}

async function create(desk: KeyDesk, { names, actor, author, text }: DeskRequest): Promise<DeskAnswer> {
  const tenant = tenantOf(desk, names['tenant'], actor);
  if (tenant === undefined) return noTenant(names['tenant']);
  const wanted = readWantedKey(text === '' ? {} : parsed(text), desk.now());
  if (typeof wanted === 'string') return invalid(wanted);
  const { key, row } = await issueKey(desk.store, tenant.id, wanted, author, desk.now());
  await desk.changed();
  return { status: 201, body: { ...bodyOf(row, desk.now()), key } };
}

async function revoke(desk: KeyDesk, { names, id, actor, author }: DeskRequest): Promise<DeskAnswer> {
  const tenant = tenantOf(desk, names['tenant'], actor);
  if (tenant === undefined) return noTenant(names['tenant']);
  const row = await desk.store.revoke({ tenant_id: tenant.id, key_id: id, revoked_at: desk.now().toISOString(), revoked_by: author });
  if (row === undefined) return missing(tenant.keys.some((key) => key.id === id) ? `key ${id} is in the configuration file; take it out there` : `the store has no key ${id} of tenant ${tenant.id}`);
  await desk.changed();
  return { status: 200, body: bodyOf(row, desk.now()) };
}

async function usage(desk: KeyDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const { tenant, limit = USAGE_LIMIT.default } = query as { readonly tenant?: string; readonly limit?: number };
  const [from, to] = [query['from'], query['to']].map((value) => (value === undefined ? undefined : hourOf(String(value))));
  if (from === null || to === null) return invalid('from and to are times such as 2030-01-31T13:00:00Z; they count by the hour');
  if (tenant !== undefined && tenantOf(desk, tenant, actor) === undefined) return noTenant(tenant);
  await desk.flush();
  const wanted: readonly (string | undefined)[] = tenant !== undefined || seesAll(actor) ? [tenant] : actor.tenants;
  const found = (await Promise.all(wanted.map((tenantId) => desk.usage.read({ tenantId, from, to, limit })))).flat();
  const rows = wanted.length === 1 ? found : found.sort((a, b) => (a.hour > b.hour ? -1 : a.hour < b.hour ? 1 : 0)).slice(0, limit);
  return { status: 200, body: { rows, total: totalOf(rows), truncated: rows.length === limit } };
}

export function totalOf(rows: readonly UsageRow[]): UsageCounts {
  return Object.fromEntries(USAGE_COUNTS.map((count) => [count, rows.reduce((sum, row) => sum + row[count], 0)])) as UsageCounts;
}

/** Of the time, rounded down; null: it is none. */
export function hourOf(time: string): string | null {
  const ms = /^\d{4}-\d\d-\d\d(?:T|$)/.test(time) ? Date.parse(time) : NaN;
  return Number.isNaN(ms) ? null : new Date(ms - (ms % HOUR_MS)).toISOString().replace('.000Z', 'Z');
}

function tenantOf({ tenants }: KeyDesk, id: string | undefined, actor: Actor): TenantConfig | undefined {
  return id !== undefined && sees(actor, id) ? tenants().get(id) : undefined;
}

function noTenant(id: string | undefined): DeskAnswer {
  return missing(`there is no tenant ${id}`);
}

/** All of it but the digest. */
function bodyOf({ sha256: _, change: __, ...row }: StoredKey, now: Date): object {
  return { ...row, state: keyState(row, now) };
}
