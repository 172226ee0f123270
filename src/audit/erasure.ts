/**
 * What may be asked to be erased: a tenant, and at most one narrower thing. Asked for are names; carried out, and passed on
 * to other processes, are digests, so that nothing else remembers a name that was to be forgotten. Pure.
 */
import { nameOf } from '../contract/names.ts';
import type { ErasedName, NewErasure, StoredErasure } from '../store/erasures.ts';
import { digestOf } from './sealed-content.ts';

export interface ErasureScope {
  readonly tenantId: string;
  /** Exchanges that began before this day, in UTC: `2030-01-31`. */
  readonly before?: string | undefined;
  readonly requestId?: string | undefined;
  readonly sessionId?: string | undefined;
}

/** Who asked for what. */
export type ErasureOrder = Omit<NewErasure, 'erasure_id' | 'created_at'>;

/** One that has its place among those of a fleet. */
export type FleetErasure = Omit<StoredErasure, 'created_at'>;

/** Why it cannot be meant; undefined: it can. */
export function scopeFault({ tenantId, before, requestId, sessionId }: ErasureScope): string | undefined {
  if (!TENANT.test(tenantId)) return 'that is no name of a tenant';
  if ([before, requestId, sessionId].filter((one) => one !== undefined).length > 1) return 'give one of before, request and session, or none for all of the tenant';
  if (requestId === '' || sessionId === '') return 'an empty name is nobody\'s';
  return before === undefined || isDay(before) ? undefined : 'before is a day such as 2030-01-31';
}

/** What tenants are called; anything else is no folder of theirs. */
export const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const TEXT_CHARS_MAX = 256;

export function orderOf({ tenantId, before, requestId, sessionId }: ErasureScope, author: string): ErasureOrder {
  const named = (id: string | undefined): ErasedName | null => (id === undefined ? null : { digest: digestOf(id).toString('hex'), name: nameOf(id) });
  return { tenant_id: tenantId, before: before ?? null, request: named(requestId), session: named(sessionId), author: author.slice(0, TEXT_CHARS_MAX) };
}

const DIGEST = /^[0-9a-f]{32}$/;

/** Of what another process says. Undefined: it is none, and nothing is to be erased. */
export function readFleetErasure(value: unknown): FleetErasure | undefined {
  const { number, erasure_id, tenant_id, before = null, request = null, session = null, author } = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof FleetErasure, unknown>>;
  if (!Number.isSafeInteger(number) || (number as number) < 1 || !isText(erasure_id) || !isText(tenant_id) || !TENANT.test(tenant_id) || !isText(author)) return undefined;
  if (!(before === null || (typeof before === 'string' && isDay(before))) || !isNamed(request) || !isNamed(session)) return undefined;
  if ([before, request, session].filter((one) => one !== null).length > 1) return undefined;
  return { number: number as number, erasure_id, tenant_id, before, request, session, author };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= TEXT_CHARS_MAX;
}

function isNamed(value: unknown): value is ErasedName | null {
  if (value === null) return true;
  const { digest, name } = (typeof value === 'object' ? value : {}) as Partial<ErasedName>;
  return typeof digest === 'string' && DIGEST.test(digest) && typeof name === 'string' && name.length <= TEXT_CHARS_MAX;
}

/** A day of the calendar. */
function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text);
}
