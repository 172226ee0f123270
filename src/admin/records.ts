/**
 * The audit log over the API: entries newest first, one entry as it was written, and the proof that it is in the log. A
 * tenant-viewer gets the exchanges of their tenants and nothing else. Entries hold no content; neither do answers.
 */
import type { AuditEntry, EntryFilter } from '../audit/entries.ts';
import type { EntryProof } from '../audit/proof-check.ts';
import { sees, seesAll, type Actor } from '../contract/people.ts';
import { fault, invalid, missing, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { ref } from './schemas.ts';

export interface AuditDesk {
  /** Newest first, read as far as they are taken. */
  entries(filter: EntryFilter): AsyncIterable<AuditEntry>;
  /** The newest checkpoint, a signed note. */
  checkpoint(): string;
  /** Undefined: the newest checkpoint does not cover it yet. Throws RangeError when the log does not hold. */
  prove(index: number): Promise<EntryProof | undefined>;
  /** Index of the closing entry of an exchange; undefined: it is not known, and may be there all the same. */
  locate?(requestId: string): Promise<number | undefined>;
  /** Entries of another log that is shipped here; undefined: there is none of that name. */
  shipped(log: string, filter: EntryFilter): Promise<AsyncIterable<AuditEntry> | undefined>;
}

const READERS = ['admin', 'auditor', 'tenant-viewer'] as const;
/** Entries of one answer, and entries that are looked at for it. */
const LIMIT = { default: 100, max: 1_000, scan: 50_000 } as const;

const NO_ENTRY = { 404: { meaning: 'there is no such entry, or not for the caller' } } as const;

const text = { type: 'string', minLength: 1, maxLength: 200 } as const;
const whole = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER } as const;

export const AUDIT_ROUTES: readonly Route<AuditDesk>[] = [
  {
    method: 'GET', path: '/api/v1/audit', name: 'listAuditEntries', access: READERS, meaning: 'entries of the audit log, newest first, without content; `?kind=`, `?tenant=`, `?request_id=`, `?author=`, `?since=`, `?until=`, `?before=`, `?limit=`; `?origin=` takes those of a log that is shipped here',
    query: { kind: text, tenant: text, request_id: text, author: text, since: { ...text, format: 'date-time' }, until: { ...text, format: 'date-time' }, before: whole, limit: { ...whole, minimum: 1, maximum: LIMIT.max }, origin: text },
    answers: { 200: { meaning: 'the entries', schema: ref('AuditPage') }, 404: { meaning: 'no such log is shipped here, or not for the caller' } }, run: list,
  },
  {
    method: 'GET', path: '/api/v1/audit/:index', name: 'readAuditEntry', access: READERS, meaning: 'one entry of the audit log by its index',
    answers: { 200: { meaning: 'the entry as it was written', schema: ref('AuditEntry') }, ...NO_ENTRY }, run: read,
  },
  {
    method: 'GET', path: '/api/v1/audit/:index/proof', name: 'proveAuditEntry', access: READERS, meaning: 'the proof that an entry is in the log, which `weir audit verify --proof` checks without the log',
    answers: { 200: { meaning: 'the proof, with the checkpoint that it leads to', schema: ref('EntryProof') }, ...NO_ENTRY, 409: { meaning: 'no checkpoint covers the entry yet, or the log does not hold' }, 429: { meaning: 'other proofs are being made' } }, run: prove,
  },
  {
    method: 'GET', path: '/api/v1/audit/checkpoint', name: 'readCheckpoint', access: READERS, meaning: 'the newest checkpoint of the audit log, a signed note; whoever keeps one can show later that nothing before it was changed',
    answers: { 200: { meaning: 'the note', schema: { type: 'string' }, type: 'text/plain' } }, run: async ({ checkpoint }) => ({ status: 200, body: checkpoint(), type: 'text/plain; charset=utf-8' }),
  },
];

async function list(desk: AuditDesk, { query, actor }: DeskRequest): Promise<DeskAnswer> {
  const { kind, tenant, request_id: requestId, author, before, limit = LIMIT.default } = query;
  const [sinceMs, untilMs] = [timeOf(query.since, -Infinity), timeOf(query.until, Infinity)];
  if (Number.isNaN(sinceMs) || Number.isNaN(untilMs)) return invalid('since and until are times such as 2030-01-31T00:00:00Z');
  const wanted = { kind, tenant_id: tenant, request_id: requestId, author } as const;
  const matches = (entry: AuditEntry): boolean => isSeen(entry, actor) && Object.entries(wanted).every(([key, value]) => value === undefined || entry[key] === value) && isWithin(entry.time, sinceMs, untilMs);
  const located = kind === 'exchange' && requestId !== undefined && query.origin === undefined ? await desk.locate?.(String(requestId)) : undefined;
  const closing = located === undefined ? undefined : await entryAt(desk, located, actor);
  if (closing !== undefined && closing['request_id'] === requestId) return page(closing.index < Number(before ?? Infinity) && matches(closing) ? [closing] : [], undefined);
  const entries = await entriesOf(desk, query.origin as string | undefined, actor, { before: before as number | undefined });
  if (entries === undefined) return missing(`no log ${String(query.origin)} is shipped here for you to see`);
  const found: AuditEntry[] = [];
  let scanned = 0;
  let last: number | undefined;
  for await (const entry of entries) {
    if (found.length >= (limit as number) || scanned >= LIMIT.scan || Date.parse(entry.time) < sinceMs) return page(found, Date.parse(entry.time) < sinceMs ? undefined : last);
    scanned += 1;
    last = entry.index;
    if (matches(entry)) found.push(entry);
  }
  return page(found, undefined);
}

/** Tenants of another Weir may have the names of ours, so its log is for those who see all. */
async function entriesOf({ entries, shipped }: AuditDesk, origin: string | undefined, actor: Actor, filter: EntryFilter): Promise<AsyncIterable<AuditEntry> | undefined> {
  if (origin === undefined) return entries(filter);
  return seesAll(actor) ? shipped(origin, filter) : undefined;
}

function page(entries: readonly AuditEntry[], next: number | undefined): DeskAnswer {
  return { status: 200, body: { entries, next: next ?? null } };
}

async function read(desk: AuditDesk, { names, actor }: DeskRequest): Promise<DeskAnswer> {
  const index = Number(names['index']);
  const entry = await entryAt(desk, index, actor);
  return entry === undefined ? missing(`there is no entry ${index} for you to see`) : { status: 200, body: entry };
}

/** As far as the actor sees it. */
export async function entryAt({ entries }: AuditDesk, index: number, actor: Actor): Promise<AuditEntry | undefined> {
  for await (const entry of entries({ before: index + 1 })) return entry.index === index && isSeen(entry, actor) ? entry : undefined;
  return undefined;
}

/** A proof reads the log from its beginning: one is made after the other, and few wait. */
const PROOFS_MAX = 4;
const proving = new WeakMap<AuditDesk, { last: Promise<unknown>; waiting: number }>();

async function prove(desk: AuditDesk, { names, actor }: DeskRequest): Promise<DeskAnswer> {
  const index = Number(names['index']);
  if ((await entryAt(desk, index, actor)) === undefined) return missing(`there is no entry ${index} for you to see`);
  const line = proving.get(desk) ?? { last: Promise.resolve(), waiting: 0 };
  proving.set(desk, line);
  if (line.waiting >= PROOFS_MAX) return { status: 429, body: fault('busy', `${PROOFS_MAX} proofs wait already; send it again in a while, or run weir audit prove beside the log`) };
  line.waiting += 1;
  const made = line.last.then(() => desk.prove(index)).finally(() => void (line.waiting -= 1));
  line.last = made.catch(() => undefined);
  try {
    const proof = await made;
    return proof === undefined ? { status: 409, body: fault('not_covered', 'no checkpoint covers the entry yet; send it again in a second') } : { status: 200, body: proof };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { status: 409, body: fault('log_damaged', `the log does not hold: ${error.message}; run weir audit verify`) };
  }
}

/** What is of no tenant is for those who see all. */
function isSeen(entry: AuditEntry, actor: Actor): boolean {
  return seesAll(actor) || (entry.kind === 'exchange' && typeof entry['tenant_id'] === 'string' && sees(actor, entry['tenant_id']));
}

function timeOf(value: string | number | undefined, absent: number): number {
  return value === undefined ? absent : Date.parse(String(value));
}

function isWithin(time: string, sinceMs: number, untilMs: number): boolean {
  const ms = Date.parse(time);
  return ms >= sinceMs && ms < untilMs;
}
