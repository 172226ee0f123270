/**
 * Erasing kept content over the API, while Weir runs: keys are destroyed, and the entry that says so is on disk, when the
 * answer is there. A tenant that is no longer configured can still be erased.
 */
import { scopeFault, type ErasureScope } from '../audit/erasure.ts';
import { invalid, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface ErasureDesk {
  erase(scope: ErasureScope, author: string): Promise<{ readonly destroyed: number; readonly gone: number }>;
}

export const ERASURE_ROUTES: readonly Route<ErasureDesk>[] = [
  {
    method: 'POST', path: '/api/v1/tenants/:tenant/erasures', name: 'eraseContent', access: ['admin'], meaning: 'destroy the keys of kept content of this process: of a tenant, of its exchanges before a day, of one exchange or one session',
    body: { schema: ref('NewErasure'), types: ['application/json'] }, answers: { 200: { meaning: 'they are destroyed, and an entry of the audit log says so', schema: ref('Erasure') }, 400: { meaning: 'the body cannot be used, and why' } }, run: erase,
  },
];

const NAMES = ['before', 'request_id', 'session_id'] as const;

async function erase(desk: ErasureDesk, { names, text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = membersOf(text);
  // What an absent value left empty must not become all of the tenant.
  if (wanted === undefined || (wanted.all === true) === NAMES.some((name) => wanted[name] !== undefined)) return invalid(`the body is an object with one of ${NAMES.join(', ')} as text, or "all": true for all of the tenant`);
  const scope: ErasureScope = { tenantId: names['tenant']!, before: wanted.before, requestId: wanted.request_id, sessionId: wanted.session_id };
  const fault = scopeFault(scope);
  return fault === undefined ? { status: 200, body: await desk.erase(scope, author) } : invalid(fault);
}

/** Undefined for what is no such body. */
function membersOf(text: string): (Partial<Record<(typeof NAMES)[number], string>> & { readonly all?: true }) | undefined {
  const value = parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.entries(value).every(([name, member]) => (name === 'all' ? member === true : (NAMES as readonly string[]).includes(name) && typeof member === 'string')) ? value : undefined;
}
