/**
 * The admin token: made on first start, shown once, kept only as its SHA-256 in `admin.json` under the data folder,
 * readable by the owner alone. Deleting that file makes the next start issue a new one.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Who acts with it, in histories and in the audit log. */
export const ADMIN_NAME = 'admin';

export interface AdminToken {
  /** The token itself, on the start that made it only. */
  readonly fresh?: string;
  matches(token: string): boolean;
}

export function openAdminToken(dataDir: string, now: Date): AdminToken {
  const file = join(dataDir, 'admin.json');
  const known = readDigest(file);
  if (known !== undefined) return { matches: (token) => sameDigest(token, known) };
  const fresh = `weir_admin_${randomBytes(32).toString('base64url')}`;
  const digest = hash('sha256', fresh, 'hex');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(file, `${JSON.stringify({ token_sha256: digest, created_at: now.toISOString() })}\n`, { mode: 0o600, flag: 'wx' });
  return { fresh, matches: (token) => sameDigest(token, digest) };
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
  return timingSafeEqual(Buffer.from(hash('sha256', token, 'hex')), Buffer.from(digest));
}
