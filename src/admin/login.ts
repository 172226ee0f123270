/**
 * Login through an OpenID Connect provider: `/login` sends the browser there with a sealed note of what was asked, the
 * callback opens a session for who comes back with it. A note counts for ten minutes, in the browser that holds it, and
 * once. Roles come from one claim, by the configuration; who has none is refused, and that is an audit entry.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Actor, Grant, Role } from '../contract/people.ts';
import { fault, type DeskAnswer, type DeskRequest, type Route } from './desk.ts';
import { LoginError, OidcDoor, type Claims, type LoginTicket, type OidcSettings } from './oidc.ts';
import { openFor, sessionCookie, type PeopleDesk } from './people.ts';
import { writeCookie } from './sessions.ts';
import { secretDigest } from './token.ts';

export interface LoginSettings extends Omit<OidcSettings, 'wantedClaims'> {
  /** Which claim names the person. */
  readonly nameClaim: string;
  /** Which claim holds what `roles` lists, as text or a list of texts; dots lead into objects. */
  readonly roleClaim: string;
  readonly roles: readonly { readonly value: string; readonly role: Role; readonly tenants: readonly string[] }[];
}

export interface Login {
  readonly settings: LoginSettings;
  readonly provider: OidcDoor;
  /** Seals notes; processes of one control plane have the same. 32 bytes. */
  readonly key: Buffer;
  /** Where the provider sends browsers back to; absent: to where they came from. */
  readonly publicUrl?: string;
}

export function createLogin(settings: LoginSettings, key: Buffer, publicUrl: string | undefined): Login {
  const wantedClaims = [settings.nameClaim, settings.roleClaim.split('.', 1)[0]!];
  return { settings, provider: new OidcDoor({ ...settings, wantedClaims }), key, ...(publicUrl === undefined ? {} : { publicUrl }) };
}

const LOGIN_MS = 600_000;
const CALLBACK = '/api/v1/login/callback';
const HTML = { schema: { type: 'string' }, type: 'text/html' } as const;
const NO_PROVIDER = { 404: { meaning: 'no provider is configured' }, 501: { meaning: 'this process has no store' }, 503: { meaning: 'the provider or the store does not answer' } } as const;
const text = { type: 'string', maxLength: 4096 } as const;

export const LOGIN_ROUTES: readonly Route<PeopleDesk>[] = [
  { method: 'GET', path: '/api/v1/login', name: 'beginLogin', access: 'open', meaning: 'log in through the provider of `admin.oidc`: leads the browser there, and afterwards to the page `?next=`', query: { next: text }, isVisited: true, answers: { 302: { meaning: 'the provider', ...HTML }, ...NO_PROVIDER }, run: begin },
  { method: 'GET', path: CALLBACK, name: 'completeLogin', access: 'open', meaning: 'where the provider leads the browser back to: opens a session', query: { code: text, state: text, iss: text, error: text, error_description: text }, isQueryOpen: true, isVisited: true, answers: { 200: { meaning: 'a page that leads on, with the cookie of the session', ...HTML }, 401: { meaning: 'the login is not one that was begun here, or the provider refused it' }, 403: { meaning: 'the person has no role' }, ...NO_PROVIDER }, run: complete },
];

async function begin({ login, isSecure, now }: PeopleDesk, { visit, query }: DeskRequest): Promise<DeskAnswer> {
  if (login === undefined) return MISSING;
  try {
    const { url, ticket } = await login.provider.begin(new URL(CALLBACK, login.publicUrl ?? visit.origin).href);
    const note = sealNote({ ...ticket, next: safeNext(query['next']), untilMs: now().getTime() + LOGIN_MS }, login.key);
    return { status: 302, body: '', type: 'text/html', headers: { location: url, 'set-cookie': writeCookie(loginCookieName(isSecure), note, { isSecure, sameSite: 'Lax', maxAgeMs: LOGIN_MS }) } };
  } catch (error) {
    return refusal(error);
  }
}

async function complete(desk: PeopleDesk, { visit }: DeskRequest): Promise<DeskAnswer> {
  const { login, isSecure, store, audit } = desk;
  if (login === undefined) return MISSING;
  const note = openNote(visit.cookies.get(loginCookieName(isSecure)) ?? '', login.key);
  if (note === undefined || note.untilMs <= desk.now().getTime()) return again('no login was begun in this browser in the last ten minutes');
  let claims: Claims;
  try {
    claims = await login.provider.complete(queryOf(visit.path), note);
  } catch (error) {
    return refusal(error);
  }
  if (!(await store.takeLogin(secretDigest(note.state), new Date(note.untilMs).toISOString()))) return again('this login was completed before');
  const actor = actorOf(claims, login.settings, desk.tenants());
  if (actor.roles.length === 0) {
    await audit({ kind: 'access_change', change: 'login_refused', author: actor.name, name: actor.name, roles: [], tenants: [], via: 'oidc' });
    return { status: 403, body: fault('no_role', `${actor.name} has no role here; somebody who administers the provider or admin.oidc.roles can give one`) };
  }
  const { secret } = await openFor(desk, actor, 'oidc', visit);
  const forget = writeCookie(loginCookieName(isSecure), '', { isSecure, sameSite: 'Lax', maxAgeMs: 0 });
  // A redirect would still be the provider's navigation, and browsers would keep a strict cookie back from it.
  return { status: 200, body: pageTo(note.next), type: 'text/html', headers: { 'set-cookie': [sessionCookie(desk, secret), forget] } };
}

function pageTo(next: string): string {
  const path = next.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll("'", '&#39;').replaceAll('<', '&lt;');
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=${path}"><title>Logged in</title><a href="${path}">Go on</a>\n`;
}

const NEXT_CHARS_MAX = 2_000;

/** A path of the console, or the home page: whoever writes a link to a login decides nothing about where it ends. */
export function safeNext(next: unknown): string {
  return typeof next === 'string' && next.length <= NEXT_CHARS_MAX && /^\/(?![/\\])[!-[\]-~]*$/.test(next) && !/^\/(?:login|logout|api)\b/.test(next) ? next : '/';
}

const MISSING: DeskAnswer = { status: 404, body: fault('not_found', 'no provider is configured; see admin.oidc') };

function again(why: string): DeskAnswer {
  return { status: 401, body: fault('login_refused', `${why}; begin again at /api/v1/login`) };
}

function refusal(error: unknown): DeskAnswer {
  if (!(error instanceof LoginError)) throw error;
  return error.reason === 'refused' ? again(error.message) : { status: 503, body: fault('provider_unavailable', `${error.message}; try again, or log in with a token`) };
}

function queryOf(path: string): string {
  const cut = path.indexOf('?');
  return cut < 0 ? '?' : path.slice(cut);
}

function loginCookieName(isSecure: boolean): string {
  return isSecure ? '__Host-weir-login' : 'weir-login';
}

// Who it is.

/** The person by name, with the roles that the claim gives. A name without `@` gets the provider's, so that no token's name is one. */
export function actorOf(claims: Claims, { issuer, nameClaim, roleClaim, roles }: Pick<LoginSettings, 'issuer' | 'nameClaim' | 'roleClaim' | 'roles'>, tenants: readonly string[]): Actor {
  const values = valuesAt(claims, roleClaim);
  const given = roles.filter(({ value }) => values.includes(value));
  const seen = [...new Set(given.flatMap(({ role, tenants: of }) => (role === 'tenant-viewer' ? of : [])))].filter((tenant) => tenants.includes(tenant));
  const grant: Grant = { roles: [...new Set(given.map(({ role }) => role))].filter((role) => role !== 'tenant-viewer' || seen.length > 0), tenants: seen };
  return { name: nameOf(claims, nameClaim, issuer), ...grant };
}

function nameOf(claims: Claims, nameClaim: string, issuer: string): string {
  const named = nameClaim === 'email' && claims['email_verified'] === false ? undefined : claims[nameClaim];
  const name = isName(named) ? named : isName(claims.sub) ? claims.sub : secretDigest(claims.sub).slice(0, 32);
  return name.includes('@') ? name : `${name}@${new URL(issuer).hostname}`;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && /^[^\p{C}\p{Z}]{1,200}$/u.test(value);
}

/** A claim whose name has dots, or a place in an object. */
function valuesAt(claims: Claims, claim: string): readonly string[] {
  const found = Object.hasOwn(claims, claim) ? claims[claim] : claim.split('.').reduce<unknown>((at, step) => (typeof at === 'object' && at !== null && Object.hasOwn(at, step) ? (at as Readonly<Record<string, unknown>>)[step] : undefined), claims);
  return (Array.isArray(found) ? found : [found]).filter((value) => typeof value === 'string');
}

// Notes.

type Note = LoginTicket & { readonly untilMs: number; /** Where the browser goes afterwards. */ readonly next: string };

const IV_BYTES = 12;
const TAG_BYTES = 16;

function sealNote(note: Note, key: Buffer): string {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const sealed = Buffer.concat([cipher.update(JSON.stringify(note), 'utf8'), cipher.final()]);
  return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64url');
}

/** Undefined for what is none of ours. */
function openNote(text: string, key: Buffer): Note | undefined {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8')) as Note;
  } catch {
    return undefined;
  }
}
