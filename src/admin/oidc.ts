/**
 * The only importer of `openid-client`: a login through an OpenID Connect provider by authorization code with PKCE. The
 * provider's document is read at the first login and kept; state, nonce, issuer, audience, times and the signature of the
 * ID token are checked there. Errors name what was wrong, never a code or a token.
 */
import { allowInsecureRequests, authorizationCodeGrant, buildAuthorizationUrl, calculatePKCECodeChallenge, ClientSecretPost, discovery, enableNonRepudiationChecks, fetchUserInfo, None, randomNonce, randomPKCECodeVerifier, randomState, type Configuration } from 'openid-client';

export interface OidcSettings {
  readonly issuer: string;
  readonly clientId: string;
  /** Absent: a public client, which PKCE alone protects. */
  readonly clientSecret?: string;
  readonly scopes: readonly string[];
  /** Asked for at the provider's userinfo endpoint where the ID token does not have it. */
  readonly wantedClaims: readonly string[];
}

/** What the login that was begun has to come back with. */
export interface LoginTicket {
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly redirectUri: string;
}

/** What the provider says of the person. */
export type Claims = Readonly<Record<string, unknown>> & { readonly sub: string };

/** `refused`: the login is not what was begun, or the provider refused it. `unreachable`: the provider does not answer as one. */
export class LoginError extends Error {
  readonly reason: 'refused' | 'unreachable';

  constructor(reason: 'refused' | 'unreachable', message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'LoginError';
    this.reason = reason;
  }
}

const TIMEOUT_S = 5;

export class OidcDoor {
  readonly #settings: OidcSettings;
  #provider: Promise<Configuration> | undefined;

  constructor(settings: OidcSettings) {
    this.#settings = settings;
  }

  /** Throws LoginError. */
  async begin(redirectUri: string): Promise<{ readonly url: string; readonly ticket: LoginTicket }> {
    const provider = await this.#discovered();
    const ticket: LoginTicket = { state: randomState(), nonce: randomNonce(), verifier: randomPKCECodeVerifier(), redirectUri };
    const url = buildAuthorizationUrl(provider, {
      redirect_uri: redirectUri, scope: this.#settings.scopes.join(' '), response_type: 'code', state: ticket.state, nonce: ticket.nonce,
      code_challenge: await calculatePKCECodeChallenge(ticket.verifier), code_challenge_method: 'S256',
    });
    return { url: url.href, ticket };
  }

  /** `query`: what the provider's redirect brought, with its `?`. Throws LoginError. */
  async complete(query: string, { state, nonce, verifier, redirectUri }: LoginTicket): Promise<Claims> {
    const provider = await this.#discovered();
    try {
      const tokens = await authorizationCodeGrant(provider, new URL(query, redirectUri), { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true });
      const claims = tokens.claims()!;
      const isMissing = this.#settings.wantedClaims.some((name) => claims[name] === undefined);
      if (!isMissing || provider.serverMetadata().userinfo_endpoint === undefined) return claims;
      return { ...(await fetchUserInfo(provider, tokens.access_token, claims.sub)), ...claims };
    } catch (error) {
      throw new LoginError(isNetworkError(error) ? 'unreachable' : 'refused', 'the login could not be completed', error);
    }
  }

  #discovered(): Promise<Configuration> {
    const { issuer, clientId, clientSecret } = this.#settings;
    const execute = [enableNonRepudiationChecks, ...(issuer.startsWith('http:') ? [allowInsecureRequests] : [])];
    this.#provider ??= discovery(new URL(issuer), clientId, undefined, clientSecret === undefined ? None() : ClientSecretPost(clientSecret), { execute, timeout: TIMEOUT_S }).catch((error: unknown) => {
      this.#provider = undefined; // the next login asks again
      throw new LoginError('unreachable', 'the provider does not answer as an OpenID Connect provider', error);
    });
    return this.#provider;
  }
}

/** What `fetch` throws without an answer, and what its timeout does. */
function isNetworkError(error: unknown): boolean {
  const { code, name, cause } = error as { readonly code?: unknown; readonly name?: unknown; readonly cause?: unknown };
  return name === 'TimeoutError' || code === 'OAUTH_TIMEOUT' || (error instanceof TypeError && (error.message === 'fetch failed' || (cause as Error | undefined)?.message === 'fetch failed'));
}
