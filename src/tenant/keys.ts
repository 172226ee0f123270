/**
 * API keys of tenants: `weir_`, 256 random bits in base 62, a checksum. The checksum lets a scanner or a person see a
 * mistyped key without asking anyone; it is no secret and opens nothing. Keys are stored and looked up by SHA-256 only.
 */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const PREFIX = 'weir_';
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** ceil(256 / log2 62) and ceil(32 / log2 62). */
const SECRET_CHARS = 43;
const CHECKSUM_CHARS = 6;
const FORM = new RegExp(`^${PREFIX}[0-9A-Za-z]{${SECRET_CHARS + CHECKSUM_CHARS}}$`);

/** A new key. `random` gives 32 bytes. */
export function generateKey(random: () => Buffer = () => randomBytes(32)): string {
  const secret = base62(BigInt(`0x${random().toString('hex')}`), SECRET_CHARS);
  return PREFIX + secret + checksum(secret);
}

/** The key when it has our form and its checksum is right, else undefined. */
export function parseKey(text: string): string | undefined {
  if (!FORM.test(text)) return undefined;
  const secret = text.slice(PREFIX.length, -CHECKSUM_CHARS);
  return checksum(secret) === text.slice(-CHECKSUM_CHARS) ? text : undefined;
}

/** What is stored and looked up: lower-case hexadecimal SHA-256 of the whole key. */
export function keyDigest(key: string): string {
  return createHash('sha256').update(key, 'latin1').digest('hex');
}

function checksum(secret: string): string {
  return base62(BigInt(crc32(PREFIX + secret)), CHECKSUM_CHARS);
}

function base62(value: bigint, length: number): string {
  let out = '';
  for (let rest = value; out.length < length; rest /= 62n) out = ALPHABET[Number(rest % 62n)] + out;
  return out;
}
