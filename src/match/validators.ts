/**
 * Decides which candidates of a pattern are real: check digits, issuer and country rules, dates, randomness. Every
 * validator has a name, and a pattern names it under `validate:`; this is the whole list, apart from those that a plugin
 * brings along because they need a package of its own.
 *
 * Every function is pure and linear in the candidate (at most a few hundred characters) and the text before it. What is
 * refused here stays in the text, so a rule refuses only what is surely something else: a date, a version, a slice.
 */
import type { Candidate, Validator } from '../contract/classifier.ts';
import { entropyBits, mod97, passesBase58Check, passesBech32, passesLuhn, passesMod11_10, passesVerhoeff, weighted } from './checksums.ts';
import { isDay, NATIONAL_NUMBERS } from './national.ts';

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

function digitsOf(text: string): string {
  let digits = '';
  let isAll = true;
  for (let i = 0; i < text.length; i += 1) {
    if (isDigit(text.charCodeAt(i))) digits += text[i]!;
    else isAll = false;
  }
  return isAll ? text : digits;
}

/** `regex` on a context, remembered: all lengths of a candidate ask for the same. */
function remembering(regex: RegExp): (before: string) => boolean {
  let last = '';
  let found = regex.test(last);
  return (before) => {
    if (before !== last) {
      last = before;
      found = regex.test(before);
    }
    return found;
  };
}

// ---------------------------------------------------------------------------------------------------------- e-mail

/** Last labels that are file names, not domains: `icon@2x.png`. */
const FILE_ENDINGS = new Set(['png', 'jpg', 'jpeg', 'gif', 'svg', 'webp', 'css', 'js', 'ts', 'json', 'tgz']);

/** An address as RFC 5321 limits it; not a file name, and not the account that every git host shares. */
function isEmail({ text }: Candidate): boolean {
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

/** The lengths in use, a bit for each, by a number's first four digits. */
const LENGTHS_BY_PREFIX = new Uint32Array(10_000);
for (const { from, to, lengths } of ISSUERS) {
  const places = 10 ** (4 - String(from).length);
  const bits = lengths.reduce((all, length) => all | (1 << length), 0);
  for (let prefix = from * places; prefix < (to + 1) * places; prefix += 1) LENGTHS_BY_PREFIX[prefix]! |= bits;
}
const CARD_DIGITS_MIN = 12;
const CARD_DIGITS_MAX = 19;

/** Issuer, length and Luhn; not the decimals of a fraction, not the tail of a longer dashed token. */
function isCard({ text, before }: Candidate): boolean {
  const digits = digitsOf(text);
  if (digits.length < CARD_DIGITS_MIN || digits.length > CARD_DIGITS_MAX) return false;
  if (((LENGTHS_BY_PREFIX[Number(digits.slice(0, 4))]! >>> digits.length) & 1) === 0) return false;
  return passesLuhn(digits) && !/^(\d)\1*$/.test(digits) && !/\d[.,]$|[\p{L}\p{N}]-$/u.test(before.slice(-3));
}

// -------------------------------------------------------------------------------------------------------- accounts

/** Length by country (SWIFT IBAN registry). */
const IBAN_LENGTHS: Readonly<Record<string, number>> = {
  AD: 24, AE: 23, AL: 28, AT: 20, AZ: 28, BA: 20, BE: 16, BG: 22, BH: 22, BI: 27, BR: 29, BY: 28, CH: 21, CR: 22, CY: 28, CZ: 24,
  DE: 22, DJ: 27, DK: 18, DO: 28, EE: 20, EG: 29, ES: 24, FI: 18, FK: 18, FO: 18, FR: 27, GB: 22, GE: 22, GI: 23, GL: 18, GR: 27,
  GT: 28, HR: 21, HU: 28, IE: 22, IL: 23, IQ: 23, IS: 26, IT: 27, JO: 30, KW: 30, KZ: 20, LB: 28, LC: 32, LI: 21, LT: 20, LU: 20,
  LV: 21, LY: 25, MC: 27, MD: 24, ME: 22, MK: 19, MN: 20, MR: 27, MT: 31, MU: 30, NI: 28, NL: 18, NO: 15, OM: 23, PK: 24, PL: 28,
  PS: 29, PT: 25, QA: 29, RO: 24, RS: 22, RU: 33, SA: 24, SC: 31, SD: 18, SE: 24, SI: 19, SK: 24, SM: 27, SO: 23, ST: 25, SV: 28,
  TL: 23, TN: 24, TR: 26, UA: 29, VA: 22, VG: 24, XK: 20, YE: 30,
};

/** The country's length, and remainder 1 modulo 97 (ISO 13616). */
function isIban({ text }: Candidate): boolean {
  let length = 0;
  let country = '';
  for (let i = 0; i < text.length; i += 1) {
    if (!isAsciiWord(text.charCodeAt(i))) continue;
    length += 1;
    if (length <= 2) country += text[i]!;
  }
  if (length !== IBAN_LENGTHS[country.toUpperCase()]) return false;
  const iban = asciiOf(text);
  return mod97(iban.slice(4) + iban.slice(0, 4)) === 1;
}

const isAsciiWord = (code: number): boolean => isDigit(code) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a);
const asciiOf = (text: string): string => text.replace(/[^A-Za-z0-9]/g, '');

/** A routing number of the American Bankers Association: Federal Reserve prefix, weights 3, 7, 1 modulo 10. */
function isRoutingNumber({ text }: Candidate): boolean {
  const prefix = Number(text.slice(0, 2));
  if (!((prefix >= 1 && prefix <= 12) || (prefix >= 21 && prefix <= 32) || (prefix >= 61 && prefix <= 72) || prefix === 80)) return false;
  return weighted(text, [3, 7, 1, 3, 7, 1, 3, 7, 1]) % 10 === 0;
}

/** Six to eighteen digits that are no date and not one digit only. */
function isAccountNumber({ text }: Candidate): boolean {
  const digits = digitsOf(text);
  return digits.length <= 18 && !/^(?:19|20)\d\d[- ]?(?:0[1-9]|1[0-2])[- ]?(?:0[1-9]|[12]\d|3[01])$/.test(text) && !/^(\d)\1*$/.test(digits);
}

// ----------------------------------------------------------------------------------------------- US social security

const hasSsnContext = remembering(/(?:\bssn|\bsocial[ -]security|\bsoc\.? ?sec)[^\d\n]{0,30}$/i);

/** Area, group and serial as the Social Security Administration issues them; bare or spaced digits need the words. */
function isSocialSecurityNumber({ text, before }: Candidate): boolean {
  const digits = digitsOf(text);
  const area = digits.slice(0, 3);
  if (area === '000' || area === '666' || area >= '900') return false;
  if (digits.slice(3, 5) === '00' || digits.slice(5) === '0000') return false;
  return text[3] === '-' || hasSsnContext(before);
}

// ------------------------------------------------------------------------------------------------------------- networks

const hasIpContext = remembering(/(?:\bip(?:v[46])?\b|\baddress\b|\bhosts?\b|\bserver\b|\bping\b|\bdns\b|\bssh\b|\/\/)[^\d\n]{0,20}$/i);
const hasVersionContext = remembering(/(?:\bv|\bver\.?|\bversions?|\brelease|\bbuild|\brevision|\bfirmware|\bdriver|\bsections?|\bchapters?|\bclause|§|==|>=|<=|~=|\^)[ :=]{0,2}$/i);

/** Four octets without leading zeros. A version, a chapter number and a user agent's `Name/120.0.0.0` are none. */
function isIpv4({ text, before }: Candidate): boolean {
  const octets = text.split('.');
  if (octets.some((octet) => Number(octet) > 255 || (octet.length > 1 && octet.startsWith('0')))) return false;
  if (hasVersionContext(before) || (text.endsWith('.0.0') && /[\p{L}\p{N}]\/$/u.test(before.slice(-3)))) return false;
  // Four single digits are a heading or a public resolver far more often than somebody's address.
  return octets.some((octet) => octet.length > 1) || hasIpContext(before);
}

/** RFC 4291 text forms. Short ones need a hex group of weight, since `[::2]` is a slice and `a::b` a path. */
function isIpv6({ text, before }: Candidate): boolean {
  const zone = text.indexOf('%');
  let address = zone < 0 ? text : text.slice(0, zone);
  if (address.includes('.')) {
    const lastColon = address.lastIndexOf(':');
    if (!address.slice(lastColon + 1).split('.').every((octet) => Number(octet) <= 255)) return false;
    address = `${address.slice(0, lastColon + 1)}c000:200`; // any two groups: only their number matters here
  }
  let groups = 0;
  let groupChars = 0;
  let chars = 0;
  let areOctets = true;
  let hasGap = false;
  let hasDigit = false;
  for (let i = 0; i <= address.length; i += 1) {
    const code = i < address.length ? address.charCodeAt(i) : COLON;
    if (code !== COLON) {
      groupChars += 1;
      hasDigit ||= isDigit(code);
      continue;
    }
    if (groupChars > 0) groups += 1;
    chars += groupChars;
    if (groupChars > 4) return false;
    if (i + 1 < address.length && address.charCodeAt(i + 1) === COLON) {
      if (hasGap) return false;
      hasGap = true;
      i += 1;
      // Nothing may stand behind the gap; another colon may not.
      if (i + 1 === address.length) break;
    } else if (groupChars === 0) return false;
    areOctets &&= groupChars === 2;
    groupChars = 0;
  }
  if (!hasGap) return groups === 8 && !areOctets;
  if (groups > 7 || groups === 0) return false;
  return (chars > 4 && hasDigit) || hasIpContext(before);
}

const COLON = 0x3a;

/** Six octets that are not all the same; not part of a longer row, which is a fingerprint. */
function isMac({ text, before }: Candidate): boolean {
  const octets = text.toLowerCase().match(/[0-9a-f]{2}/g) ?? [];
  return octets.some((octet) => octet !== octets[0]) && !/[0-9A-Fa-f]{2}[:-]$/.test(before.slice(-3));
}

// ------------------------------------------------------------------------------------------------------------ dates

/** A day in digits, in any of the orders that people write, of a year from 1900 on or of two digits. */
function isDate({ text }: Candidate): boolean {
  const parts = text.match(/\d+/g) ?? [];
  if (parts.length !== 3) return false;
  const [a, b, c] = parts.map(Number) as [number, number, number];
  const year = parts[0]!.length === 4 ? a : c;
  if ((parts[0]!.length === 4 || parts[2]!.length === 4) && (year < 1900 || year > 2100)) return false;
  return parts[0]!.length === 4 ? isDay(b, c) : isDay(b, a) || isDay(a, b);
}

// ---------------------------------------------------------------------------------------------------------- secrets

/** Random enough to be a key: `sk-xxxxxxxxxxxxxxxxxxxxxxxx` and `sk-your-key-goes-right-here` are placeholders. */
function isRandom({ text }: Candidate): boolean {
  const different = new Set<string>();
  for (const character of text) if (different.add(character).size > 9) return /\d/.test(text);
  return false;
}

/** Forty base64 characters right behind the word that AWS puts there. */
function isAwsSecret({ text, before }: Candidate): boolean {
  return /secret[^\n]{0,24}$/i.test(before) && /[a-z]/.test(text) && /[A-Z]/.test(text) && /\d/.test(text);
}

const hasSecretName = remembering(/(?:secret|token|passw(?:or)?d|passwd|pwd|passphrase|passcode|api[_-]?key|access[_-]?key|auth[_-]?key|private[_-]?key|client[_-]?key|credentials?|passwort|kennwort|contraseña|mot de passe|senha|wachtwoord|hasło|пароль|密码|密碼|パスワード|비밀번호)["'`\]]{0,2}(?: is| ist| es| est)?\s{0,3}(?:[:=]>?|is|ist|es|est|：)\s{0,3}["'`]{0,1}$/iu);
const PLACEHOLDER = /example|placeholder|changeme|your|xxxx|\*\*\*|<|>|\$\{|\{\{|^\$|^%|test123|1234567|process\.env|os\.environ|getenv/i;
const ORDINARY_VALUE = /^(?:[\d.,:/+-]+|v?\d+(?:\.\d+)+|[a-z]+[._-]?\d{1,2}|https?:.*|.*[([].*[)\]].*)$/i;

/** Most text ends in no way that leads from a name to its value, which is seen from its last characters. */
function isBehindSecretName(before: string): boolean {
  const last = before.length - 1;
  let at = QUOTES.includes(before.charAt(last)) ? last - 1 : last;
  while (at >= last - 3 && isAsciiSpace(before.charCodeAt(at))) at -= 1;
  const code = before.charCodeAt(at);
  return (code > 0x7f || ASSIGNMENT_ENDS.includes(before.charAt(at))) && hasSecretName(before);
}

const QUOTES = '"\'`';
/** Of `:`, `=>`, `is`, `ist`; above ASCII there are others. */
const ASSIGNMENT_ENDS = ':=>sStT';
const isAsciiSpace = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d);

/** What stands behind `password:`, `token=` and the like, and is neither a placeholder, a number nor code. */
function isNamedSecret({ text, before }: Candidate): boolean {
  return text.length >= 8 && isBehindSecretName(before) && !PLACEHOLDER.test(text) && !ORDINARY_VALUE.test(text) && entropyBits(text) >= 2.5;
}

/** `password=value` with a value that is no placeholder. */
function isAssignedPassword({ text }: Candidate): boolean {
  const value = text.slice(text.indexOf('=') + 1);
  return !PLACEHOLDER.test(value) && !/^(?:password|pwd|none|null|secret|\*+|x+|\.+)$/i.test(value);
}

/** Credentials in a URL that are no placeholder: `user:password@`, `<user>:<pass>@` and `${USER}:…` stay. */
function hasCredentials({ text }: Candidate): boolean {
  const [, user = '', password = ''] = /\/\/([^:@/]*):([^@]*)@/.exec(text) ?? [];
  return password.length > 2 && !/^(?:[<{[$%].*|\*+|x+|\.+|pass(?:word|wd)?|pwd|secret|token|your.*|changeme)$/i.test(password) && !/^[<{[$%]/.test(user);
}

// ----------------------------------------------------------------------------------------------------- exfiltration

/** Where a link could carry what the model knows: its query, its fragment, a long random part of its path or host. */
const LONG_PART_CHARS = 24;
const URL_START = /(?:https?:)?[\\/]{2}[^\s"'<>]+|data:[^\s"'<>]+/i;

/** The hosts that a piece of text leads to, nested and percent-encoded ones too; undefined: somewhere that cannot be read. */
function hostsIn(url: string): readonly string[] | undefined {
  let plain = url;
  try {
    for (let i = 0; i < 3 && plain.includes('%'); i += 1) plain = decodeURIComponent(plain);
  } catch {
    return undefined;
  }
  if (/data:/i.test(plain)) return undefined;
  const hosts = [...plain.matchAll(/(?:https?:)?[\\/]{2}([^\s\\/?#"'<>()]*)/gi)].map((match) => match[1]!);
  // What stands before an @ is a user name made to look like a host.
  return hosts.some((host) => host.includes('@')) ? undefined : hosts.map((host) => host.replace(/:\d+$/, '').replace(/\.$/, '').toLowerCase());
}

/** What stands behind the address of a Markdown link: a title, and the parenthesis that closes it. */
const MARKDOWN_CLOSE = />?(?:\s+["'][^"']*["']\s*)?\)$/;

/** In Markdown the first parenthesis that was not opened in the address ends it. */
function isBalanced(url: string): boolean {
  let open = 0;
  for (const character of url) {
    if (character === '(') open += 1;
    else if (character === ')') open -= 1;
    if (open < 0) return false;
  }
  return open === 0;
}

/** A URL that could carry data out when it is fetched or clicked. */
function carriesData({ text }: Candidate): boolean {
  const url = URL_START.exec(text.replace(MARKDOWN_CLOSE, ''))?.[0];
  if (url === undefined || (/^!?\[/.test(text) && !isBalanced(url))) return false;
  if (/^data:/i.test(url)) return true;
  const [address = '', query = ''] = url.split(/[?#](.*)/s);
  if (/[^=&]{4}/.test(query)) return true;
  return address.split(/[/.]/).some((part) => part.length >= LONG_PART_CHARS && /\d|%|[A-Z]/.test(part) && entropyBits(part) >= 3) || (hostsIn(url)?.length ?? 2) > 1;
}

/** `validate` for links to hosts other than `hosts` and what is below them. A nested URL must lead to an allowed host too. */
export function exceptHosts(validate: Validator, hosts: readonly string[]): Validator {
  const isAllowed = (host: string): boolean => hosts.some((allowed) => host === allowed || host.endsWith(`.${allowed}`));
  return (candidate) => {
    if (!validate(candidate)) return false;
    const urls = candidate.text.replace(MARKDOWN_CLOSE, '').match(new RegExp(URL_START, 'gi')) ?? [];
    const found = urls.map(hostsIn);
    return urls.length === 0 || found.some((list) => list === undefined || list.length === 0 || !list.every(isAllowed));
  };
}

// -------------------------------------------------------------------------------------------------------- the table

const national = Object.fromEntries(Object.entries(NATIONAL_NUMBERS).map(([name, check]): [string, Validator] => [name, ({ text }) => check(writtenTogether(text))]));

/** Letters and digits, in upper case. */
function writtenTogether(text: string): string {
  let kept = '';
  let isLower = false;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7e) return text.replace(/[^\p{L}\p{N}]/gu, '').toUpperCase();
    const isLetter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a;
    if (isLetter || isDigit(code)) kept += text[i]!;
    if (isLetter && code >= 0x61) isLower = true;
  }
  return isLower ? kept.toUpperCase() : kept;
}

/** By the name that `validate:` gives. National numbers are named `country-number`, as in `national.ts`. */
export const VALIDATORS: Readonly<Record<string, Validator>> = {
  email: isEmail,
  card: isCard,
  iban: isIban,
  account: isAccountNumber,
  'aba-routing': isRoutingNumber,
  'us-ssn': isSocialSecurityNumber,
  ipv4: isIpv4,
  ipv6: isIpv6,
  mac: isMac,
  date: isDate,
  random: isRandom,
  'aws-secret': isAwsSecret,
  'named-secret': Object.assign(isNamedSecret, { behind: isBehindSecretName }),
  'assigned-password': isAssignedPassword,
  'url-credentials': hasCredentials,
  'carries-data': carriesData,
  luhn: ({ text }) => passesLuhn(digitsOf(text)),
  verhoeff: ({ text }) => passesVerhoeff(digitsOf(text)),
  mod97: ({ text }) => mod97(asciiOf(text)) === 1,
  'mod11-10': ({ text }) => passesMod11_10(digitsOf(text)),
  base58check: ({ text }) => passesBase58Check(text),
  bech32: ({ text }) => passesBech32(text),
  /** At least 3.5 bits per character: random letters and digits, not words. */
  entropy: ({ text }) => entropyBits(text) >= 3.5,
  digit: ({ text }) => /\d/.test(text),
  ...national,
};
