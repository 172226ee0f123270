/**
 * Check digits: the arithmetic behind card, account, identity and wallet numbers, each by the name its standard gives
 * it. Digits are passed as text, so that leading zeros count. Pure, linear in the length.
 *
 * INVARIANT: `passesLuhn`, `passesVerhoeff`, `mod97`, `passesMod11_10` and the weighted sums modulo 11 refuse every change
 * of a single digit (weighted sums modulo 10 where the weights are prime to 10, modulo 11 where a remainder of 10 is refused).
 */
import { createHash } from 'node:crypto';

/** Sum of digit × weight, over as many digits as there are weights. */
export function weighted(digits: string, weights: readonly number[], from = 0): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i += 1) sum += (weights[i] as number) * (digits.charCodeAt(from + i) - 48);
  return sum;
}

/** ISO/IEC 7812-1 annex B: every second digit from the right doubled. */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    sum += i % 2 === 0 ? digit : digit > 4 ? digit * 2 - 9 : digit * 2;
  }
  return sum % 10 === 0;
}

const DIHEDRAL: readonly string[] = ['0123456789', '1234067895', '2340178956', '3401289567', '4012395678', '5987604321', '6598710432', '7659821043', '8765932104', '9876543210'];
const PERMUTED: readonly string[] = ['0123456789', '1576283094', '5803796142', '8916043527', '9453126870', '4286573901', '2793806415', '7046913258'];

/** Verhoeff (1969): the dihedral group of order 10; refuses neighbours swapped as well. */
export function passesVerhoeff(digits: string): boolean {
  let state = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    if (digit < 0 || digit > 9) return false;
    state = DIHEDRAL[state]!.charCodeAt(PERMUTED[i % 8]!.charCodeAt(digit) - 48) - 48;
  }
  return state === 0;
}

/** Remainder modulo 97 (ISO 7064) of letters and digits; a letter stands for 10 to 35. */
export function mod97(characters: string): number {
  let remainder = 0;
  for (let i = 0; i < characters.length; i += 1) {
    const code = characters.charCodeAt(i);
    const value = code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57;
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder;
}

/** ISO 7064 MOD 11,10: hybrid system, check digit last. */
export function passesMod11_10(digits: string): boolean {
  let product = 10;
  for (let i = 0; i < digits.length - 1; i += 1) product = ((((product + Number(digits[i])) % 10) || 10) * 2) % 11;
  return (product + Number(digits[digits.length - 1])) % 10 === 1;
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Bytes and a four-byte checksum, SHA-256 twice, in base 58: legacy Bitcoin addresses and keys. */
export function passesBase58Check(text: string): boolean {
  let number = 0n;
  for (const character of text) {
    const value = BASE58.indexOf(character);
    if (value < 0) return false;
    number = number * 58n + BigInt(value);
  }
  const zeros = /^1*/.exec(text)![0].length;
  const hex = number === 0n ? '' : number.toString(16);
  const bytes = Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex')]);
  if (bytes.length < 5) return false;
  const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
  return sha256(sha256(bytes.subarray(0, -4))).subarray(0, 4).equals(bytes.subarray(-4));
}

const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const BECH32_GENERATOR: readonly number[] = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const BECH32M = 0x2bc830a3;

/** BIP 173 (bech32) or BIP 350 (bech32m), in one case throughout. */
export function passesBech32(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower !== text && text.toUpperCase() !== text) return false;
  const separator = lower.lastIndexOf('1');
  if (separator < 1 || lower.length - separator < 7) return false;
  const prefix = [...lower.slice(0, separator)].map((character) => character.charCodeAt(0));
  const values = [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...[...lower.slice(separator + 1)].map((character) => BECH32.indexOf(character))];
  if (values.includes(-1)) return false;
  let checksum = 1;
  for (const value of values) {
    const top = checksum >>> 25;
    checksum = ((checksum & 0x1ffffff) << 5) ^ value;
    BECH32_GENERATOR.forEach((generator, i) => { if (((top >>> i) & 1) === 1) checksum ^= generator; });
  }
  return checksum === 1 || checksum === BECH32M;
}

/** Bits of Shannon entropy per character. */
export function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
