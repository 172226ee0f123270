/**
 * Decides which candidates of `patterns.ts` are real: check digits, issuer and country rules, number plans, and the
 * words that stand before a number. The only door to libphonenumber-js.
 *
 * Every function is pure and linear in the candidate (at most a few hundred characters) and its context (64). What is
 * refused here stays in the text, so a rule refuses only what is surely something else: a date, a version, a slice.
 */
import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min';
import type { Candidate } from '#contract/classifier.ts';

// ---------------------------------------------------------------------------------------------------------- e-mail

/** Last labels that are file names, not domains: `icon@2x.png`. */
const FILE_ENDINGS = new Set(['png', 'jpg', 'jpeg', 'gif', 'svg', 'webp', 'css', 'js', 'ts', 'json', 'tgz']);

/** An address as RFC 5321 limits it; not a file name, and not the account that every git host shares. */
export function isEmail({ text }: Candidate): boolean {
  const at = text.indexOf('@');
  const domain = text.slice(at + 1).toLowerCase();
  if (at > 64 || domain.length > 253) return false;
  const labels = domain.split('.');
  if (labels.some((label) => label.length > 63 || label.startsWith('-') || label.endsWith('-'))) return false;
  if (FILE_ENDINGS.has(labels[labels.length - 1])) return false;
  return !(at === 3 && text.startsWith('git'));
}

// ---------------------------------------------------------------------------------------------------- payment cards

/** Prefix ranges of the issuers with the lengths they use (ISO/IEC 7812, as the networks publish them). */
const ISSUERS: readonly { readonly from: number; readonly to: number; readonly lengths: readonly number[] }[] = [
  { from: 4, to: 4, lengths: [13, 16, 19] }, // Visa
  { from: 51, to: 55, lengths: [16] }, // Mastercard
  { from: 2221, to: 2720, lengths: [16] },
  { from: 34, to: 34, lengths: [15] }, // American Express
  { from: 37, to: 37, lengths: [15] },
  { from: 6011, to: 6011, lengths: [16, 19] }, // Discover
  { from: 644, to: 649, lengths: [16, 19] },
  { from: 65, to: 65, lengths: [16, 19] },
  { from: 300, to: 305, lengths: [14, 16] }, // Diners Club
  { from: 309, to: 309, lengths: [14, 16] },
  { from: 36, to: 36, lengths: [14] },
  { from: 38, to: 39, lengths: [14, 16] },
  { from: 35, to: 35, lengths: [16, 17, 18, 19] }, // JCB issues 3528 to 3589; test numbers use all of 35
  { from: 2131, to: 2131, lengths: [15] },
  { from: 1800, to: 1800, lengths: [15] },
  { from: 62, to: 62, lengths: [16, 17, 18, 19] }, // UnionPay
  { from: 81, to: 81, lengths: [16, 17, 18, 19] },
  { from: 2200, to: 2204, lengths: [16, 17, 18, 19] }, // Mir
  { from: 50, to: 50, lengths: [12, 13, 14, 15, 16, 17, 18, 19] }, // Maestro
  { from: 56, to: 58, lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
  { from: 6304, to: 6304, lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
  { from: 67, to: 67, lengths: [12, 13, 14, 15, 16, 17, 18, 19] },
];

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    let digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    if (i % 2 === 1) digit = digit > 4 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 === 0;
}

function hasIssuer(digits: string): boolean {
  return ISSUERS.some(({ from, to, lengths }) => {
    const prefix = Number(digits.slice(0, String(from).length));
    return prefix >= from && prefix <= to && lengths.includes(digits.length);
  });
}

/** Issuer, length and Luhn; not the decimals of a fraction, not the tail of a longer dashed token. */
export function isCard({ text, before }: Candidate): boolean {
  if (/\d[.,]$|[\p{L}\p{N}]-$/u.test(before)) return false;
  const digits = text.replace(/\D/g, '');
  return hasIssuer(digits) && passesLuhn(digits) && !/^(\d)\1*$/.test(digits);
}

// ------------------------------------------------------------------------------------------------------------- IBAN

/** Length by country (SWIFT IBAN registry). */
const IBAN_LENGTHS: Readonly<Record<string, number>> = {
  AD: 24, AE: 23, AL: 28, AT: 20, AZ: 28, BA: 20, BE: 16, BG: 22, BH: 22, BI: 27, BR: 29, BY: 28, CH: 21, CR: 22, CY: 28, CZ: 24,
  DE: 22, DJ: 27, DK: 18, DO: 28, EE: 20, EG: 29, ES: 24, FI: 18, FK: 18, FO: 18, FR: 27, GB: 22, GE: 22, GI: 23, GL: 18, GR: 27,
  GT: 28, HR: 21, HU: 28, IE: 22, IL: 23, IQ: 23, IS: 26, IT: 27, JO: 30, KW: 30, KZ: 20, LB: 28, LC: 32, LI: 21, LT: 20, LU: 20,
  LV: 21, LY: 25, MC: 27, MD: 24, ME: 22, MK: 19, MN: 20, MR: 27, MT: 31, MU: 30, NI: 28, NL: 18, NO: 15, OM: 23, PK: 24, PL: 28,
  PS: 29, PT: 25, QA: 29, RO: 24, RS: 22, RU: 33, SA: 24, SC: 31, SD: 18, SE: 24, SI: 19, SK: 24, SM: 27, SO: 23, ST: 25, SV: 28,
  TL: 23, TN: 24, TR: 26, UA: 29, VA: 22, VG: 24, XK: 20, YE: 30,
};

/** The country codes as an alternation, so that the automaton is alive after two letters only where a country is. */
export const IBAN_COUNTRIES = Object.keys(IBAN_LENGTHS).flatMap((country) => [country, country.toLowerCase()]).join('|');

/** The country's length, and remainder 1 modulo 97 (ISO 13616). */
export function isIban({ text }: Candidate): boolean {
  const iban = text.replace(/[^A-Za-z0-9]/g, '').toUpperCase();
  if (iban.length !== IBAN_LENGTHS[iban.slice(0, 2)]) return false;
  let remainder = 0;
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = parseInt(char, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

// ----------------------------------------------------------------------------------------------- US social security

const SSN_CONTEXT = /(?:\bssn|\bsocial[ -]security|\bsoc\.? ?sec)[^\d\n]{0,30}$/i;

/** Area, group and serial as the Social Security Administration issues them; bare or spaced digits need the words. */
export function isSocialSecurityNumber({ text, before }: Candidate): boolean {
  const digits = text.replace(/\D/g, '');
  const area = digits.slice(0, 3);
  if (area === '000' || area === '666' || area >= '900') return false;
  if (digits.slice(3, 5) === '00' || digits.slice(5) === '0000') return false;
  if (SSN_CONTEXT.test(before)) return true;
  return text[3] === '-';
}

// --------------------------------------------------------------------------------------------------------------- IP

const IP_CONTEXT = /(?:\bip(?:v[46])?\b|\baddress\b|\bhosts?\b|\bserver\b|\bping\b|\bdns\b|\bssh\b|\/\/)[^\d\n]{0,20}$/i;
const VERSION_CONTEXT = /(?:\bv|\bver\.?|\bversions?|\brelease|\bbuild|\brevision|\bfirmware|\bdriver|\bsections?|\bchapters?|\bclause|§|==|>=|<=|~=|\^)[ :=]{0,2}$/i;

/** Four octets without leading zeros. A version, a chapter number and a user agent's `Name/120.0.0.0` are none. */
export function isIpv4({ text, before }: Candidate): boolean {
  const octets = text.split('.');
  if (octets.some((octet) => Number(octet) > 255 || (octet.length > 1 && octet.startsWith('0')))) return false;
  if (VERSION_CONTEXT.test(before) || /[\p{L}\p{N}]\/$/u.test(before) && text.endsWith('.0.0')) return false;
  // Four single digits are a heading or a public resolver far more often than somebody's address.
  return octets.some((octet) => octet.length > 1) || IP_CONTEXT.test(before);
}

/** RFC 4291 text forms. Short ones need a hex group of weight, since `[::2]` is a slice and `a::b` a path. */
export function isIpv6({ text, before }: Candidate): boolean {
  const zone = text.indexOf('%');
  let address = zone < 0 ? text : text.slice(0, zone);
  const lastColon = address.lastIndexOf(':');
  if (address.includes('.')) {
    if (!address.slice(lastColon + 1).split('.').every((octet) => Number(octet) <= 255)) return false;
    address = `${address.slice(0, lastColon + 1)}c000:200`; // any two groups: only their number matters here
  }
  const halves = address.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (groups.some((group) => group === '' || group.length > 4)) return false;
  if (halves.length === 1) return groups.length === 8 && groups.some((group) => group.length !== 2);
  if (groups.length > 7 || groups.length === 0) return false;
  return (groups.join('').length > 4 && /\d/.test(address)) || IP_CONTEXT.test(before);
}

// ------------------------------------------------------------------------------------------------------------ phone

/** Countries whose local formats are recognised without any word around them. */
const LOCAL_COUNTRIES: readonly CountryCode[] = ['GB', 'DE', 'FR', 'IT', 'NL', 'AU', 'BE', 'AT', 'CH', 'SE', 'IE', 'JP', 'IN', 'ZA'];

/** Words that name a telephone, in the languages of the patterns' countries. */
const PHONE_NOUNS =
  'phones?|telephones?|tel|mobile|fax|telefax|whatsapp|sms|hotline|helpline|landline|handset|telefone?|telefon[aeu]?|teléfono|téléphone|tél|telefono|telefoon|telefonnummer|rufnummer|handynummer|mobilnummer|mobil|handy|móvil|celular|cellulare|portable|gsm|komórka|puhelin|тел|телефон|τηλ|电话|電話|手机|전화';
/** Words that mean to use one; they also mean other things, so the number must look like one. */
const PHONE_VERBS =
  'call|calls|calling|called|dial|dialing|ring|text|texting|cell|reach|reached|answering|contact|contacted|office|pager|appele[zr]|llam[ae]r?|ligue|chiam[ai](?:re|te)?|anrufen|bellen|zadzwoń|звоните';
/** What may stand between such a word and the number. */
const PHONE_FILLERS =
  'numbers?|nummer|numéro|número|numero|num|no|nr|is|are|was|at|on|me|us|him|her|them|it|to|my|your|our|his|the|a|work|home|office|direct|line|back|now|today|via|or|and|here|for|support|customer|service|toll|free|by|under|unter|au|al|a|le|la|el|de|ist|est|es|phone|mobile|cell';
const GAP = `(?:[^\\p{L}\\p{N}]|(?:${PHONE_FILLERS})(?![\\p{L}\\p{N}])){0,24}$`;
const NOUN_CONTEXT = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${PHONE_NOUNS})(?![\\p{L}\\p{N}])${GAP}`, 'iu');
const VERB_CONTEXT = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${PHONE_VERBS})(?![\\p{L}\\p{N}])${GAP}`, 'iu');
/** `call Ana Lopez at`, `reach the front desk on`: a short object, then the preposition. */
const OBJECT_CONTEXT = /(?<![\p{L}\p{N}_])(?:call|reach|text|ring|phone|contact|dial)(?:\s[\p{L}.'’-]{1,20}){1,4}\s(?:at|on|via|under)[\s:]{1,3}$/iu;

const DATE = /(?<!\d)(?:(?:19|20)\d\d([-./ ])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])([-./ ])(?:0?[1-9]|[12]\d|3[01])\2(?:19|20)\d\d)(?!\d)/;
const EXTENSION = /[\s,;]{0,2}(?:x|ext(?:ension|n)?\.?|#)[\s:.]{0,2}\d{1,6}$/i;

/** A number's digits, and what it looks like without its extension. */
interface Dialled {
  readonly number: string;
  readonly digits: string;
  readonly hasExtension: boolean;
  readonly groups: readonly string[];
}

function readDialled(text: string): Dialled {
  const number = text.replace(EXTENSION, '');
  return { number, digits: number.replace(/\D/g, ''), hasExtension: number.length < text.length, groups: number.match(/\d+/g) ?? [] };
}

/** Looks like a number of another kind: a date, a social security number, an address, counting, part of a longer row. */
function isOtherNumber(dialled: Dialled, before: string): boolean {
  const { number, groups } = dialled;
  const hasDashes = /[()-]/.test(number);
  if (DATE.test(number) || /^\d{3}-\d{2}-\d{4}$/.test(number)) return true;
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(number) && groups.some((group) => group.length !== 2)) return true;
  if ((hasDashes ? /\d[-./,:]$/ : /\d[-./,: \u00a0]$/).test(before) || /[$€£¥#]$/.test(before)) return true;
  if (/^(\d)\1*$/.test(dialled.digits)) return true;
  return groups.length > 2 && groups.every((group, i) => i === 0 || Number(group) === Number(groups[i - 1]) + 1);
}

function isValidIn(country: CountryCode, number: string): boolean {
  return parsePhoneNumberFromString(number, { defaultCountry: country, extract: false })?.isValid() === true;
}

/** A number of the plan of the country behind `+` or `00`; of the right length only where `+` and groups say so. */
export function isInternationalPhone({ text }: Candidate): boolean {
  const dialled = readDialled(text);
  if (DATE.test(dialled.number)) return false;
  const hasPlus = dialled.number.includes('+');
  const digits = dialled.number.replace('(0)', '').replace(/\D/g, '');
  const parsed = parsePhoneNumberFromString(`+${hasPlus ? digits : digits.slice(2)}`);
  if (parsed === undefined) return false;
  if (parsed.isValid()) return hasPlus || dialled.groups.length > 1;
  return hasPlus && dialled.groups.length > 2 && parsed.isPossible();
}

/** Three, three and four digits as in North America, with dashes, dots, spaces, parentheses. */
export function isNorthAmericanPhone({ text, before }: Candidate): boolean {
  const dialled = readDialled(text);
  if (isOtherNumber(dialled, before)) return false;
  const national = dialled.digits.slice(-10);
  const dialledOut = dialled.digits.length > 10;
  const written = /[()-]/.test(dialled.number) || dialled.hasExtension || dialledOut;
  if (written && (national[0] > '1' || dialledOut)) return true;
  if (hasPhoneContext(before, dialled)) return true;
  return !written && isValidIn('US', national);
}

/** A trunk zero and groups, valid in the plan of a country that writes its numbers so. */
export function isLocalPhone({ text, before }: Candidate): boolean {
  const dialled = readDialled(text);
  const { digits, number } = dialled;
  if (digits.length < 9 || digits.length > 12 || isOtherNumber(dialled, before)) return false;
  // Behind the area code, people keep to one separator; a change of it is where the next number begins.
  const separators = number.match(/(?<=\d)\D(?=\d)/g) ?? [];
  if (new Set(separators.slice(1)).size > 1) return false;
  return LOCAL_COUNTRIES.some((country) => isValidIn(country, number));
}

/** Any grouping of six to fourteen digits, right behind a word that announces a telephone number. */
export function isAnnouncedPhone({ text, before }: Candidate): boolean {
  const dialled = readDialled(text);
  if (dialled.digits.length < 6 || dialled.digits.length > 14 || isOtherNumber(dialled, before)) return false;
  return hasPhoneContext(before, dialled);
}

function hasPhoneContext(before: string, dialled: Dialled): boolean {
  if (NOUN_CONTEXT.test(before)) return true;
  if (dialled.groups.length === 1 && dialled.digits.length < 9) return false;
  return VERB_CONTEXT.test(before) || OBJECT_CONTEXT.test(before);
}

// ---------------------------------------------------------------------------------------------------------- secrets

/** Random enough to be a key: `sk-xxxxxxxxxxxxxxxxxxxxxxxx` and `sk-your-key-goes-right-here` are placeholders. */
export function isRandom({ text }: Candidate): boolean {
  return new Set(text).size > 9 && /\d/.test(text);
}

/** Forty base64 characters right behind the word that AWS puts there. */
export function isAwsSecret({ text, before }: Candidate): boolean {
  return /secret[^\n]{0,24}$/i.test(before) && /[a-z]/.test(text) && /[A-Z]/.test(text) && /\d/.test(text);
}
