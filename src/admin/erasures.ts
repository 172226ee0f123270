/**
 * Erasing kept content over the API, while Weir runs: in this process keys are destroyed, and the entry that says so is on
 * disk, when the answer is there; with a store every other process is to do the same, and the list says which has. A
 * tenant that is no longer configured can still be erased. Of a process whose folder is destroyed an operator says so.
 */
import { scopeFault, type ErasureScope } from '../audit/erasure.ts';
import type { StoredErasure } from '../store/erasures.ts';
import { fault as refusal, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface ErasureDesk {
  erase(scope: ErasureScope, author: string): Promise<{ readonly number?: number; readonly destroyed: number; readonly gone: number }>;
  /** Newest first; undefined where there is no store. */
  list(tenantId: string): Promise<readonly ErasureListed[] | undefined>;
  /** Undefined where there is no store. */
  part(keeper: string, reason: string, author: string): Promise<'gone' | 'unknown' | 'alive' | undefined>;
}

type Keeper = { readonly keeper: string; readonly origin: string; readonly seen_at: string };

/** With who carried it out, and who is still to. */
interface ErasureListed extends Omit<StoredErasure, 'tenant_id'> {
  readonly confirmed: readonly Keeper[];
  readonly waiting: readonly Keeper[];
  readonly gone: readonly Keeper[];
}

export const ERASURE_ROUTES: readonly Route<ErasureDesk>[] = [
  {
    method: 'POST', path: '/api/v1/tenants/:tenant/erasures', name: 'eraseContent', access: ['admin'], meaning: 'destroy the keys of kept content, of a tenant, of its exchanges before a day, of one exchange or one session: here at once, and in every process of the fleet',
    body: { schema: ref('NewErasure'), types: ['application/json'] }, answers: { 200: { meaning: 'they are destroyed here, and an entry of the audit log says so', schema: ref('Erasure') }, 400: { meaning: 'the body cannot be used, and why' } }, run: erase,
  },
  {
    method: 'GET', path: '/api/v1/tenants/:tenant/erasures', name: 'listErasures', access: ['admin', 'auditor'], meaning: 'erasures that were asked for of a tenant, the newest hundred, with the processes that have carried each out and those that have not',
    answers: { 200: { meaning: 'newest first', schema: ref('ErasureList') }, 501: { meaning: 'the store is that of another process' } }, run: list,
  },
  {
    method: 'POST', path: '/api/v1/erasures/gone', name: 'partKeeper', access: ['admin'], meaning: 'say that a process is gone with the content that it kept: erasures wait for it no more, unless it comes back',
    body: { schema: ref('GoneKeeper'), types: ['application/json'] }, answers: { 200: { meaning: 'an entry of the audit log says so', schema: ref('Parted') }, 400: { meaning: 'the body cannot be used, and why' }, 404: { meaning: 'there is no such process' }, 409: { meaning: 'it was seen in the last ten minutes' }, 501: { meaning: 'the store is that of another process' } }, run: part,
  },
];

/** Of the name of a process, and of the reason why it is said to be gone. */
export const [KEEPER_CHARS_MAX, PARTING_CHARS_MAX] = [300, 1_000];
const NOT_HERE: DeskAnswer = { status: 501, body: refusal('not_here', 'erasures are recorded in the store, which is that of another process') };
const NAMES = ['before', 'request_id', 'session_id'] as const;

async function erase(desk: ErasureDesk, { names, text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = membersOf(text);
  // What an absent value left empty must not become all of the tenant.
  if (wanted === undefined || (wanted.all === true) === NAMES.some((name) => wanted[name] !== undefined)) return invalid(`the body is an object with one of ${NAMES.join(', ')} as text, or "all": true for all of the tenant`);
  const scope: ErasureScope = { tenantId: names['tenant']!, before: wanted.before, requestId: wanted.request_id, sessionId: wanted.session_id };
  const fault = scopeFault(scope);
  return fault === undefined ? { status: 200, body: await desk.erase(scope, author) } : invalid(fault);
}

async function list(desk: ErasureDesk, { names }: DeskRequest): Promise<DeskAnswer> {
  const erasures = await desk.list(names['tenant']!);
  if (erasures === undefined) return NOT_HERE;
  return { status: 200, body: { erasures: erasures.map(({ request, session, ...erasure }) => ({ ...erasure, request_id: request?.name ?? null, session_id: session?.name ?? null })) } };
}

async function part(desk: ErasureDesk, { text, author }: DeskRequest): Promise<DeskAnswer> {
  const { keeper, reason } = (parsed(text) ?? {}) as { readonly keeper?: unknown; readonly reason?: unknown };
  if (!isText(keeper, KEEPER_CHARS_MAX)) return invalid(`keeper is a text of at most ${KEEPER_CHARS_MAX} characters, as the list of erasures names it`);
  if (!isText(reason, PARTING_CHARS_MAX)) return invalid(`reason is a text of at most ${PARTING_CHARS_MAX} characters`);
  switch (await desk.part(keeper, reason, author)) {
    case undefined: return NOT_HERE;
    case 'unknown': return missing('there is no such process; the list of erasures names those that there are');
    case 'alive': return { status: 409, body: refusal('keeper_alive', 'the process was seen in the last ten minutes; stop it first, or let it carry the erasures out') };
    case 'gone': return { status: 200, body: { keeper, gone: true } };
  }
}

function isText(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value.trim() !== '' && value.length <= charsMax;
}

/** Undefined for what is no such body. */
function membersOf(text: string): (Partial<Record<(typeof NAMES)[number], string>> & { readonly all?: true }) | undefined {
  const value = parsed(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.entries(value).every(([name, member]) => (name === 'all' ? member === true : (NAMES as readonly string[]).includes(name) && typeof member === 'string')) ? value : undefined;
}
