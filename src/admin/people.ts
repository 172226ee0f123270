/**
 * Tokens and sessions over the API: who may use the admin port, made, listed and revoked; login with a token, and
 * logout. Every change is an audit entry before it is answered. A token is shown in the answer that makes it and at no
 * other time; no answer holds a digest.
 */
import { randomBytes } from 'node:crypto';
import type { AccessChangeRecord } from '../audit/entry.ts';
import { PEOPLE_ROLES, ROLES, type Actor, type Grant, type Role } from '../contract/people.ts';
import type { AdminSessionRow, AdminStore, AdminTokenRow, PendingChange } from '../store/admins.ts';
import { fault, invalid, missing, parsed, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import type { Door } from './door.ts';
import type { Login } from './login.ts';
import { ref } from './schemas.ts';
import { proofOf, sessionCookieName, writeCookie, type OpenedSession, type Sessions } from './sessions.ts';
import { ADMIN_NAME, newToken, secretDigest } from './token.ts';

/** What the routes about people are given. */
export interface PeopleDesk {
  readonly store: AdminStore;
  readonly sessions: Sessions;
  readonly door: Door;
  /** Absent: nobody logs in through a provider. */
  readonly login?: Login;
  /** It is reached by https: cookies are for nothing else then. */
  readonly isSecure: boolean;
  /** How long a cookie lives at most. */
  readonly sessionMs: number;
  tenants(): readonly string[];
  /** Resolves when the entry is on disk. */
  audit(record: AccessChangeRecord): Promise<void>;
  now(): Date;
}

const JSON_BODY = ['application/json'] as const;
const ADMIN = ['admin'] as const;
const BAD = { 400: { meaning: 'the body cannot be used, and why' } } as const;

export const PEOPLE_ROUTES: readonly Route<PeopleDesk>[] = [
  { method: 'GET', path: '/api/v1/session', name: 'readSession', access: PEOPLE_ROLES, meaning: 'who is asking, with which roles; in a session also what `x-csrf-token` has to hold for a change', answers: { 200: { meaning: 'the caller', schema: ref('Session') } }, run: who },
  { method: 'POST', path: '/api/v1/session', name: 'openSession', access: 'open', meaning: 'log in with a token: opens a session, whose cookie stands for the token', body: { schema: ref('Login'), types: JSON_BODY }, answers: { 200: { meaning: 'the session, with its cookie', schema: ref('Session') }, ...BAD, 401: { meaning: 'the token opens nothing' }, 403: { meaning: 'the request comes from a page of another origin' }, 501: { meaning: 'this process has no store' }, 503: { meaning: 'the store does not answer' } }, run: logIn },
  { method: 'DELETE', path: '/api/v1/session', name: 'endSession', access: PEOPLE_ROLES, meaning: 'log out', answers: { 200: { meaning: 'the session has ended', schema: ref('Ended') } }, run: logOut },
  { method: 'GET', path: '/api/v1/sessions', name: 'listSessions', access: ADMIN, meaning: 'open sessions', answers: { 200: { meaning: 'newest first', schema: ref('SessionList') } }, run: listSessions },
  { method: 'DELETE', path: '/api/v1/sessions/:id', name: 'revokeSession', access: ADMIN, meaning: 'end a session of anybody', answers: { 200: { meaning: 'it has ended', schema: ref('Ended') }, 404: { meaning: 'there is no such session' } }, run: revokeSession },
  { method: 'GET', path: '/api/v1/tokens', name: 'listTokens', access: ADMIN, meaning: 'tokens, revoked ones too', answers: { 200: { meaning: 'by name', schema: ref('TokenList') } }, run: listTokens },
  { method: 'POST', path: '/api/v1/tokens', name: 'createToken', access: ADMIN, meaning: 'make a token, which is shown this once', body: { schema: ref('NewToken'), types: JSON_BODY }, answers: { 201: { meaning: 'the token', schema: ref('MadeToken') }, ...BAD, 409: { meaning: 'the name is taken' } }, run: createToken },
  { method: 'DELETE', path: '/api/v1/tokens/:id', name: 'revokeToken', access: ADMIN, meaning: 'revoke a token; its sessions end with it', answers: { 200: { meaning: 'it opens nothing any more', schema: ref('Token') }, 404: { meaning: 'there is no such token, or it is revoked already' } }, run: revokeToken },
];

// Tokens.

export const NAME_FORM = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const TENANTS_MAX = 1_000;

export interface WantedToken extends Grant {
  readonly name: string;
  readonly expires_at: string | null;
}

/** What somebody asks for, checked, or what is wrong with it. */
export function readWantedToken(value: unknown, { tenants: known, now }: { readonly tenants: readonly string[]; readonly now: Date }): WantedToken | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'send an object with name, roles, and where they are wanted tenants and expires_at';
  const { name, roles, tenants = [], expires_at: expires = null, ...others } = value as Readonly<Record<string, unknown>>;
  const [strange] = Object.keys(others);
  if (strange !== undefined) return `unknown key ${strange.slice(0, 80)}; there is name, roles, tenants and expires_at`;
  if (typeof name !== 'string' || !NAME_FORM.test(name)) return 'name is 1 to 64 letters, digits, `.`, `_` and `-`';
  if (name === ADMIN_NAME) return `${ADMIN_NAME} is the name of the first token; choose another one`;
  if (!isListOf(roles, (role) => (ROLES as readonly unknown[]).includes(role)) || roles.length === 0) return `roles is a list of one or more of ${ROLES.join(', ')}`;
  if (!isListOf(tenants, (tenant) => typeof tenant === 'string') || tenants.length > TENANTS_MAX) return `tenants is a list of at most ${TENANTS_MAX} ids`;
  if (roles.includes('tenant-viewer') !== tenants.length > 0) return roles.includes('tenant-viewer') ? 'a tenant-viewer needs the ids of its tenants' : 'tenants are for the role tenant-viewer alone; every other one is about all of them';
  const stranger = tenants.find((tenant) => !known.includes(tenant as string));
  if (stranger !== undefined) return 'one of the tenants is not in the configuration';
  if (expires !== null && (typeof expires !== 'string' || !/^\d{4}-\d\d-\d\dT/.test(expires) || Number.isNaN(Date.parse(expires)))) return 'expires_at is a time such as 2030-01-31T00:00:00Z';
  if (expires !== null && Date.parse(expires) <= now.getTime()) return 'expires_at has passed already';
  return { name, roles: [...new Set(roles as Role[])], tenants: [...new Set(tenants as string[])], expires_at: expires === null ? null : new Date(expires).toISOString() };
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): value is readonly unknown[] {
  return Array.isArray(value) && value.every(isItem);
}

export type MadeToken = { readonly token: string; readonly row: AdminTokenRow };

/** With `audit` the entry is written before this resolves; without, a process that writes the audit log finds it in the store. */
type Changing = Pick<PeopleDesk, 'store' | 'now'> & Partial<Pick<PeopleDesk, 'audit'>>;

/** Undefined when the name is taken. */
export async function makeToken(wanted: WantedToken, author: string, { store, audit, now }: Changing): Promise<MadeToken | undefined> {
  const token = newToken();
  const row = { token_id: `tok_${randomBytes(8).toString('hex')}`, ...wanted, created_by: author, created_at: now().toISOString() };
  const record: AccessChangeRecord = { kind: 'access_change', change: 'token_created', author, name: wanted.name, id: row.token_id, roles: wanted.roles, tenants: wanted.tenants };
  if (!(await store.addToken({ ...row, sha256: secretDigest(token) }, audit === undefined ? pendingOf(record, row.created_at) : undefined))) return undefined;
  await audit?.(record);
  return { token, row: { ...row, revoked_by: null, revoked_at: null } };
}

/** Undefined when there is none, or it was revoked before. */
export async function endToken(id: string, author: string, { store, audit, now }: Changing): Promise<AdminTokenRow | undefined> {
  const at = now().toISOString();
  const recordOf = ({ name, token_id: tokenId, roles, tenants }: AdminTokenRow): AccessChangeRecord => ({ kind: 'access_change', change: 'token_revoked', author, name, id: tokenId, roles, tenants });
  const row = await store.revokeToken(id, author, at, audit === undefined ? (token) => pendingOf(recordOf(token), at) : undefined);
  if (row !== undefined) await audit?.(recordOf(row));
  return row;
}

function pendingOf(record: AccessChangeRecord, at: string): PendingChange {
  return { change_id: `chg_${randomBytes(8).toString('hex')}`, record: JSON.stringify(record), created_at: at };
}

async function createToken(desk: PeopleDesk, { text, author }: DeskRequest): Promise<DeskAnswer> {
  const wanted = readWantedToken(parsed(text), { tenants: desk.tenants(), now: desk.now() });
  if (typeof wanted === 'string') return invalid(wanted);
  const made = await makeToken(wanted, author, desk);
  if (made === undefined) return { status: 409, body: fault('name_taken', `there is, or was, a token ${wanted.name}; names stand in histories, so choose another one`) };
  return { status: 201, body: { ...made.row, token: made.token } };
}

async function listTokens({ store }: PeopleDesk): Promise<DeskAnswer> {
  return { status: 200, body: { tokens: await store.tokens() } };
}

async function revokeToken(desk: PeopleDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  const row = await endToken(id, author, desk);
  return row === undefined ? missing(`no token ${id} can be revoked`) : { status: 200, body: row };
}

// Sessions.

async function who({ sessions, isSecure }: PeopleDesk, { actor, visit }: DeskRequest): Promise<DeskAnswer> {
  const secret = visit.sessionId === undefined ? undefined : visit.cookies.get(sessionCookieName(isSecure));
  const found = secret === undefined ? undefined : await sessions.find(secret);
  return { status: 200, body: sessionBody(actor, found === undefined ? undefined : { secret: secret!, row: found.row }) };
}

async function logIn(desk: PeopleDesk, { text, visit }: DeskRequest): Promise<DeskAnswer> {
  const { token } = (parsed(text) ?? {}) as { readonly token?: unknown };
  if (typeof token !== 'string') return invalid('send {"token": "…"}');
  const found = await desk.door.whose(token);
  if (found === undefined || found.actor.roles.every((role) => role === 'shipper')) return { status: 401, body: fault('unauthorized', 'the token opens nothing') };
  const opened = await openFor(desk, found.actor, 'token', visit, found.token);
  return { status: 200, body: sessionBody(found.actor, opened), headers: { 'set-cookie': sessionCookie(desk, opened.secret) } };
}

/** A new session, written to the audit log; one that the browser had before ends. */
export async function openFor({ sessions, store, audit, isSecure }: PeopleDesk, actor: Actor, via: AdminSessionRow['via'], visit: DeskRequest['visit'], token?: { readonly id: string; readonly expiresAt: string | null }): Promise<OpenedSession> {
  const former = visit.cookies.get(sessionCookieName(isSecure));
  const found = former === undefined ? undefined : await sessions.find(former);
  if (found !== undefined) await store.endSession(found.row.session_id);
  const opened = await sessions.open(actor.name, actor, via, token);
  await audit({ kind: 'access_change', change: 'session_opened', author: actor.name, name: actor.name, id: opened.row.session_id, roles: actor.roles, tenants: actor.tenants, via });
  return opened;
}

export function sessionCookie({ isSecure, sessionMs }: PeopleDesk, secret: string): string {
  return writeCookie(sessionCookieName(isSecure), secret, { isSecure, sameSite: 'Strict', maxAgeMs: sessionMs });
}

async function logOut(desk: PeopleDesk, { author, visit: { sessionId } }: DeskRequest): Promise<DeskAnswer> {
  const ended = sessionId === undefined ? undefined : await endedBy(desk, sessionId, author, 'session_ended');
  return { status: 200, body: { ended: ended !== undefined }, headers: { 'set-cookie': sessionCookie(desk, ''), 'clear-site-data': '"cache", "storage"' } };
}

async function listSessions({ store, sessions, now }: PeopleDesk): Promise<DeskAnswer> {
  const nowMs = now().getTime();
  return { status: 200, body: { sessions: (await store.sessions()).filter((row) => sessions.isOpen(row, nowMs)) } };
}

async function revokeSession(desk: PeopleDesk, { id, author }: DeskRequest): Promise<DeskAnswer> {
  const ended = await endedBy(desk, id, author, 'session_revoked');
  return ended === undefined ? missing(`there is no session ${id}`) : { status: 200, body: { ended: true } };
}

async function endedBy({ store, audit }: PeopleDesk, id: string, author: string, change: 'session_ended' | 'session_revoked'): Promise<AdminSessionRow | undefined> {
  const row = await store.endSession(id);
  if (row !== undefined) await audit({ kind: 'access_change', change, author, name: row.name, id, roles: row.roles, tenants: row.tenants });
  return row;
}

function sessionBody({ name, roles, tenants }: Actor, opened: OpenedSession | undefined): object {
  return { name, roles, tenants, ...(opened === undefined ? {} : { session_id: opened.row.session_id, expires_at: opened.row.expires_at, csrf: proofOf(opened.secret) }) };
}
