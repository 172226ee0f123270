/**
 * Secrets of the admin port: 256 random bits behind a prefix that scanners find, shown once, kept only as SHA-256. The
 * first admin token is made on first start and kept in `admin.json` under the data folder, readable by the owner alone,
 * so that it opens the door when the store does not answer. Deleting that file makes the next start issue a new one.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ADMIN_TOKEN_PREFIX } from '../contract/people.ts';

/** Who acts with the first token, in histories and in the audit log. No other token has this name. */
export const ADMIN_NAME = 'admin';

export interface AdminToken {
  /** Tells it from one that was there before, so that sessions of that one end. */
  readonly id: string;
  /** The token itself, on the start that made it only. */
  readonly fresh?: string;
  matches(token: string): boolean;
}

export function newToken(): string {
  return `${ADMIN_TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`;
}

/** What is stored and looked up. */
export function secretDigest(secret: string): string {
  return hash('sha256', secret, 'hex');
}

export function openAdminToken(dataDir: string, now: Date): AdminToken {
  const file = join(dataDir, 'admin.json');
  const known = readDigest(file);
  if (known !== undefined) return { id: idOf(known), matches: (token) => sameDigest(token, known) };
  const fresh = newToken();
  const digest = secretDigest(fresh);
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${JSON.stringify({ token_sha256: digest, created_at: now.toISOString() })}\n`, { mode: 0o600, flag: 'wx' });
  return { id: idOf(digest), fresh, matches: (token) => sameDigest(token, digest) };
}

function idOf(digest: string): string {
  return `first_${secretDigest(digest).slice(0, 16)}`;
}

/** Throws when the file is there and holds no digest: to issue a new token then would let whoever broke it in. */
function readDigest(file: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const digest = /"token_sha256":\s*"([0-9a-f]{64})"/.exec(text)?.[1];
  if (digest === undefined) throw new RangeError(`${file} holds no token digest; delete it to get a new admin token`);
  return digest;
}

/** Compares digests, so that lengths are equal and the time taken says nothing about the token. */
function sameDigest(token: string, digest: string): boolean {
  return timingSafeEqual(Buffer.from(secretDigest(token)), Buffer.from(digest));
}
