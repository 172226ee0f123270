/**
 * The door of the admin port: which names of this host are ours, whose credential a request carries, and whether a
 * browser sends it of its own page's will. A token in the Authorization field counts before a cookie; a wrong one is not
 * forgiven for the sake of the other. What is refused says what to send, and never how wrong a credential was.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { ADMIN_TOKEN_PREFIX, type Actor, type Role } from '../contract/people.ts';
import type { AdminStore } from '../store/admins.ts';
import { fault, type DeskAnswer } from './desk.ts';
import { isProof, PROOF_HEADER, proofOf, readCookies, sessionCookieName, type Sessions } from './sessions.ts';
import { ADMIN_NAME, secretDigest, type AdminToken } from './token.ts';

export interface DoorOptions {
  /** The first admin token, which needs no store. */
  readonly token: AdminToken;
  /** Absent where this process has no store: then there is nothing but that token. */
  readonly people?: { readonly store: AdminStore; readonly sessions: Sessions };
  /** Names that a Host field may give, besides addresses and `localhost`. Lower case, without port. */
  readonly hosts: readonly string[];
  /** Where browsers find it, when something stands in front. */
  readonly publicUrl?: string;
  /** It is reached by https, here or in front. */
  readonly isSecure: boolean;
  readonly now: () => Date;
}

/** A caller who was let in. */
export interface Admitted {
  readonly actor: Actor;
  readonly sessionId?: string;
}

export class Door {
  readonly #options: DoorOptions;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  /** Scheme and host of the request, or why it is none of ours: a page elsewhere may have pointed its own name at us. */
  originOf(request: IncomingMessage): string | undefined {
    const given = hostFields(request);
    // A whole URL in the request line would name a host of its own.
    const name = given.length === 1 && request.url?.startsWith('/') === true ? hostName(given[0]!) : undefined;
    if (name === undefined) return undefined;
    const { hosts, isSecure } = this.#options;
    const isOurs = isIP(name) !== 0 || name === 'localhost' || hosts.includes(name);
    return isOurs ? `${isSecure ? 'https' : 'http'}://${given[0]!.toLowerCase()}` : undefined;
  }

  /**
   * Who it is, when they have one of these roles; else the refusal. `proof`: where the proof of a session stands; that of
   * a form is in its body, and whoever reads it asks `isProven`. Rejects with WeirError when the store does not answer.
   */
  async admit(request: IncomingMessage, access: readonly Role[], proof: 'header' | 'form' = 'header'): Promise<Admitted | DeskAnswer> {
    const { authorization } = request.headers;
    const admitted = authorization === undefined ? await this.#bySession(request, proof) : await this.#byToken(authorization);
    if (admitted === undefined) return UNAUTHORIZED;
    if (!('actor' in admitted)) return admitted;
    const { actor } = admitted;
    const roles = actor.roles.filter((role) => access.includes(role));
    if (roles.length === 0) return { status: 403, body: fault('forbidden', `this asks for the role ${access.join(' or ')}; ${actor.name} has ${actor.roles.join(' and ')}`) };
    return { ...admitted, actor: { ...actor, roles } };
  }

  /** The actor of a token, with its id; undefined for one that opens nothing. */
  async whose(secret: string): Promise<{ readonly actor: Actor; readonly token?: { readonly id: string; readonly expiresAt: string | null } } | undefined> {
    const { token, people, now } = this.#options;
    if (token.matches(secret)) return { actor: { name: ADMIN_NAME, roles: ['admin'], tenants: [] }, token: { id: token.id, expiresAt: null } };
    // A key of a tenant, or anything else, is not worth a question.
    if (people === undefined || !secret.startsWith(ADMIN_TOKEN_PREFIX)) return undefined;
    const row = await people.store.tokenOf(secretDigest(secret));
    if (row === undefined || row.revoked_at !== null || (row.expires_at !== null && !(now().getTime() < Date.parse(row.expires_at)))) return undefined;
    return { actor: { name: row.name, roles: row.roles, tenants: row.tenants }, token: { id: row.token_id, expiresAt: row.expires_at } };
  }

  async #byToken(authorization: string): Promise<Admitted | undefined> {
    const secret = /^Bearer (\S{1,200})$/i.exec(authorization)?.[1];
    return secret === undefined ? undefined : this.whose(secret).then((found) => found && { actor: found.actor });
  }

  /** What a form in the name of the request's session has to bring; empty without one. */
  proof(request: IncomingMessage): string {
    const secret = this.#secretOf(request);
    return secret === undefined ? '' : proofOf(secret);
  }

  isProven(request: IncomingMessage, given: unknown): boolean {
    const secret = this.#secretOf(request);
    return secret !== undefined && isProof(given, secret);
  }

  #secretOf(request: IncomingMessage): string | undefined {
    return readCookies(request.headers.cookie).get(sessionCookieName(this.#options.isSecure));
  }

  async #bySession(request: IncomingMessage, proof: 'header' | 'form'): Promise<Admitted | DeskAnswer | undefined> {
    const { people } = this.#options;
    const secret = this.#secretOf(request);
    if (secret === undefined || people === undefined) return undefined;
    const found = await people.sessions.find(secret);
    if (found === undefined) return undefined;
    const { actor, row } = found;
    if (!SAFE_METHODS.includes(request.method ?? '')) {
      if (!this.isSameOrigin(request)) return { status: 403, body: fault('cross_site', 'the request comes from a page of another origin') };
      if (proof === 'header' && !isProof(request.headers[PROOF_HEADER], secret)) return { status: 403, body: fault('csrf', `send ${PROOF_HEADER} with what GET /api/v1/session tells`) };
    }
    return { actor, sessionId: row.session_id };
  }

  /** Whether the browser says that a page of another origin sent this, and wants something changed. */
  isCrossSite(request: IncomingMessage): boolean {
    const { origin, 'sec-fetch-site': site } = request.headers;
    return !SAFE_METHODS.includes(request.method ?? '') && (origin !== undefined || (site !== undefined && site !== 'none')) && !this.isSameOrigin(request);
  }

  /** Whether the browser says that one of our own pages sent this. One that says nothing is not believed. */
  isSameOrigin(request: IncomingMessage): boolean {
    const { origin, 'sec-fetch-site': site } = request.headers;
    if (site !== undefined && site !== 'same-origin') return false;
    if (origin === undefined) return site !== undefined;
    const { publicUrl } = this.#options;
    return origin === this.originOf(request) || (publicUrl !== undefined && origin === new URL(publicUrl).origin);
  }
}

const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS'];

const UNAUTHORIZED: DeskAnswer = { status: 401, body: fault('unauthorized', 'send Authorization: Bearer <admin token>, or log in'), headers: { 'www-authenticate': 'Bearer' } };

/** Every Host field as it was sent; the parsed headers hold only the first. */
function hostFields({ rawHeaders }: IncomingMessage): readonly string[] {
  return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]!.toLowerCase() === 'host');
}

/** The name or address of a Host field, lower case. */
function hostName(host: string): string | undefined {
  const [, address, name] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?$/.exec(host) ?? [];
  return address ?? name?.toLowerCase().replace(/\.$/, '');
}
