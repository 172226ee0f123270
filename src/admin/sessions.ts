/**
 * Sessions of people in a browser: opened by a token or by an OpenID Connect login, ended by logout, by time since they
 * began or were last used, by somebody with the role admin, and with the token that opened them. The cookie holds 256
 * random bits that this process made; the store holds their SHA-256. A login always makes a new one, so that nobody can
 * have fixed it before. Whoever changes something in a session's name proves that they can read its answers.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Actor, Grant } from '../contract/people.ts';
import type { AdminSessionRow, AdminStore } from '../store/admins.ts';
import { secretDigest } from './token.ts';

export interface SessionLimits {
  /** Unused for so long it ends. */
  readonly idleMs: number;
  /** It ends after so long, used or not. */
  readonly totalMs: number;
}

/** The header that carries the proof. */
export const PROOF_HEADER = 'x-csrf-token';

/** Between two notes of when a session was last used. */
const SEEN_MS = 60_000;
/** Between two removals of what has ended. */
const SWEEP_MS = 600_000;

export interface OpenedSession {
  readonly secret: string;
  readonly row: AdminSessionRow;
}

export class Sessions {
  readonly #store: AdminStore;
  readonly #limits: SessionLimits;
  readonly #now: () => Date;
  readonly #firstTokenId: string;
  #sweptMs = -Infinity;

  /** `firstTokenId`: of the token that is in no store. */
  constructor(store: AdminStore, limits: SessionLimits, now: () => Date, firstTokenId: string) {
    this.#firstTokenId = firstTokenId;
    this.#store = store;
    this.#limits = limits;
    this.#now = now;
  }

  async open(name: string, { roles, tenants }: Grant, via: AdminSessionRow['via'], token?: { readonly id: string; readonly expiresAt: string | null }): Promise<OpenedSession> {
    const nowMs = this.#now().getTime();
    await this.#sweep(nowMs);
    const secret = randomBytes(32).toString('base64url');
    const endMs = Math.min(nowMs + this.#limits.totalMs, token?.expiresAt == null ? Infinity : Date.parse(token.expiresAt));
    const at = new Date(nowMs).toISOString();
    const row: AdminSessionRow = { session_id: `ses_${randomBytes(8).toString('hex')}`, name, roles, tenants, via, token_id: token?.id ?? null, created_at: at, seen_at: at, expires_at: new Date(endMs).toISOString() };
    await this.#store.addSession({ ...row, sha256: secretDigest(secret) });
    return { secret, row };
  }

  /** Undefined for a secret that opens nothing, or no longer. */
  async find(secret: string): Promise<{ readonly actor: Actor; readonly row: AdminSessionRow } | undefined> {
    const row = await this.#store.sessionOf(secretDigest(secret));
    if (row === undefined) return undefined;
    const nowMs = this.#now().getTime();
    if (!this.isOpen(row, nowMs) || !(await this.#isTokenGood(row, nowMs))) {
      await this.#store.endSession(row.session_id);
      return undefined;
    }
    if (nowMs - Date.parse(row.seen_at) >= Math.min(SEEN_MS, this.#limits.idleMs / 4)) await this.#store.sawSession(row.session_id, new Date(nowMs).toISOString());
    return { actor: { name: row.name, roles: row.roles, tenants: row.tenants }, row };
  }

  isOpen({ expires_at: expiresAt, seen_at: seenAt }: AdminSessionRow, nowMs: number): boolean {
    return nowMs < Date.parse(expiresAt) && nowMs < Date.parse(seenAt) + this.#limits.idleMs;
  }

  async #isTokenGood({ token_id: id }: AdminSessionRow, nowMs: number): Promise<boolean> {
    if (id === null || id === this.#firstTokenId) return true;
    const token = await this.#store.token(id);
    return token !== undefined && token.revoked_at === null && (token.expires_at === null || nowMs < Date.parse(token.expires_at));
  }

  async #sweep(nowMs: number): Promise<void> {
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    await this.#store.sweep(new Date(nowMs).toISOString(), new Date(nowMs - this.#limits.idleMs).toISOString());
  }
}

/** Readable by pages of the console, which are told it, and made of the cookie, which they cannot read. */
export function proofOf(secret: string): string {
  return hash('sha256', `csrf ${secret}`, 'base64url');
}

export function isProof(given: unknown, secret: string): boolean {
  const wanted = Buffer.from(proofOf(secret));
  const sent = Buffer.from(typeof given === 'string' ? given : '');
  return sent.length === wanted.length && timingSafeEqual(sent, wanted);
}

// Cookies.

/** With `__Host-` no other host, no plain HTTP and no path can have set it. Browsers refuse that name without TLS. */
export function sessionCookieName(isSecure: boolean): string {
  return isSecure ? '__Host-weir-session' : 'weir-session';
}

/** An empty value ends the cookie. */
export function writeCookie(name: string, value: string, { isSecure, sameSite, maxAgeMs }: { readonly isSecure: boolean; readonly sameSite: 'Strict' | 'Lax'; readonly maxAgeMs: number }): string {
  return `${name}=${value}; Path=/; HttpOnly; SameSite=${sameSite}; Max-Age=${value === '' ? 0 : Math.floor(maxAgeMs / 1000)}${isSecure ? '; Secure' : ''}`;
}

/** Of a name that stands twice nothing is taken: one of them is not ours. */
export function readCookies(header: string | undefined): ReadonlyMap<string, string> {
  const cookies = new Map<string, string>();
  const twice = new Set<string>();
  for (const part of (header ?? '').split(';')) {
    const cut = part.indexOf('=');
    if (cut < 0) continue;
    const name = part.slice(0, cut).trim();
    if (cookies.has(name)) twice.add(name);
    cookies.set(name, part.slice(cut + 1).trim());
  }
  for (const name of twice) cookies.delete(name);
  return cookies;
}
