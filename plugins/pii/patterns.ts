/**
 * The patterns of the pii classifier: personal data and secrets that have a form. Written in the language of
 * src/match, each with examples of what it must and must not match.
 *
 * INVARIANT: until a match is certain, a pattern's length is bounded: that is how much text a stream may have to hold
 * back. Patterns start behind a boundary, so that few starts are alive at once. All values here are made up: example
 * domains, published test cards and example accounts, documentation networks.
 */
import type { PatternDefinition } from '#contract/classifier.ts';
import {
  IBAN_COUNTRIES, isAnnouncedPhone, isAwsSecret, isCard, isEmail, isIban, isInternationalPhone, isIpv4, isIpv6, isLocalPhone,
  isNorthAmericanPhone, isRandom, isSocialSecurityNumber,
} from './validators.ts';

// Letters of the scripts that put spaces between words; a script that does not would keep a whole sentence waiting.
const LETTERS = 'A-Za-z\\u00C0-\\u024F\\u0370-\\u052F';
// The scripts of internationalised domains besides: Armenian to Thai, kana, Han, Hangul.
const MORE_LETTERS = '\\u0531-\\u05EA\\u0620-\\u0669\\u0671-\\u06D3\\u0900-\\u0EFF\\u3041-\\u30FF\\u3400-\\u9FFF\\uAC00-\\uD7A3';
const DOMAIN = `0-9${LETTERS}${MORE_LETTERS}`;
const FOREIGN = `\\u00C0-\\u024F\\u0370-\\u052F${MORE_LETTERS}`;
const LOCAL = `[0-9_%+\\-'${LETTERS}]`;
// What a number or a key cannot stand next to. A Han character can: such scripts put no space there.
const WORD = `0-9_${LETTERS}`;
const NO_WORD_BEFORE = `(?<![${WORD}])`;
const NO_WORD_AFTER = `(?![${WORD}])`;
// Space, no-break spaces, dot, hyphens and dashes: what people put between the groups of a number.
const GAP = '[ .\\-\u00A0\u2009\u202F\u2010-\u2014]';
const EXTENSION = '(?:[ ,;]{0,2}(?:[xX#]|[eE]xt\\.?|EXT\\.?|[eE]xtension)[ :.]{0,2}\\d{1,6})?';

const EMAIL: readonly PatternDefinition[] = [
  {
    id: 'email',
    category: 'EMAIL',
    label: 'EMAIL',
    regex:
      `${NO_WORD_BEFORE}${LOCAL}(?:${LOCAL}|\\.${LOCAL}){0,63}@[${DOMAIN}](?:[${DOMAIN}\\-]|\\.[${DOMAIN}]){0,190}` +
      `\\.(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9\\-]{2,24}|[${FOREIGN}]{2,12})(?![A-Za-z0-9])`,
    validate: isEmail,
    matches: ['ana@example.com', 'maria.kowalska+home@mail.example.org', "o'hara_99@a.b.c.example.co.uk", 'ana@bücher.example', 'müller@example.com'],
    ignores: ['a@ b', 'ana@localhost', 'icon@2x.png', 'git@github.com', '@ana', 'ana@example', 'f(x)@g.h', '5 @ 3.50'],
  },
];

const PHONE_NUMBER: readonly PatternDefinition[] = [
  {
    id: 'phone-international',
    category: 'PHONE_NUMBER',
    label: 'PHONE_NUMBER',
    regex: `(?<![${WORD}+.,])(?:\\(?\\+|00 ?)[1-9](?:[().\\-/ \u00A0\u2009\u202F\u2010-\u2014]{0,3}\\d){6,15}${EXTENSION}${NO_WORD_AFTER}`,
    validate: isInternationalPhone,
    matches: ['+1 202-555-0143', '+1-202-555-0143x123', '+44 20 7946 0958', '+44 (0)20 7946 0958', '+12025550143', '+49 (30) 901820 ext. 12', '(+44) 20 7946 0958', '0044 20 7946 0958'],
    ignores: ['+5', '0012025550143', '00 12 34 56 78', '+2024-01-15 12:00', '+0100', '1+20255501', '+12 345'],
  },
  {
    id: 'phone-north-america',
    category: 'PHONE_NUMBER',
    label: 'PHONE_NUMBER',
    regex: `${NO_WORD_BEFORE}(?:(?:1|001)${GAP})?(?:\\(\\d{3}\\)${GAP}?|\\d{3}${GAP})\\d{3}${GAP}\\d{4}${EXTENSION}${NO_WORD_AFTER}`,
    validate: isNorthAmericanPhone,
    matches: ['(202) 555-0143', '202-555-0143', '1-800-555-0199', '202.555.0143', '202 555 0143', '202-555-0143 ext. 12', '(202)555-0143x1234'],
    ignores: ['100 200 3000', '2024-01-15', '123-456-789', '000-000-0000', '192.168.1000'],
  },
  {
    id: 'phone-local',
    category: 'PHONE_NUMBER',
    label: 'PHONE_NUMBER',
    regex: `(?<![${WORD}.,/:\\-])(?:\\(0[1-9]\\d{0,3}\\) ?|0[1-9]\\d{0,3}[ \\-/\u00A0\u202F]|0[1-9]\\.(?=\\d))\\d{2,8}(?:${GAP}\\d{2,6}){0,4}${EXTENSION}${NO_WORD_AFTER}`,
    validate: isLocalPhone,
    matches: ['020 7946 0958', '(020) 7946 0958', '07700 900123', '01 99 00 12 34', '06.39.98.12.34', '030/2318 1234', '06-12345678', '(02) 5550 1234', '0491 570 156'],
    ignores: ['01-02-2024', '01.02.2024 12:00', '0 12 34', '00 01 02 03 04', '0000 0000 0000', '0-306-40615-2'],
  },
  {
    id: 'phone-announced',
    category: 'PHONE_NUMBER',
    label: 'PHONE_NUMBER',
    regex: `${NO_WORD_BEFORE}\\(?\\d(?:[().\\-/ \u00A0\u2009\u202F\u2010-\u2014]{0,2}\\d){5,13}${EXTENSION}${NO_WORD_AFTER}`,
    validate: isAnnouncedPhone,
    score: 0.85,
    matches: ['call 22 33 44 55', 'Phone: 5550143', 'Tel. 612 345 678', 'Telefon (22) 123-456', 'reach Ana at 0143 9012', 'fax no. 555.014.3'],
    ignores: ['call 1000000 times', 'call on 12/11/2024', 'hotel 12345678', 'call 3 of 5', 'phone 15 Pro 2024', 'text 1.2.3.4', 'order 22 33 44 55', 'dial 911'],
  },
];

const CREDIT_CARD: readonly PatternDefinition[] = [
  {
    id: 'card',
    category: 'CREDIT_CARD',
    label: 'CREDIT_CARD',
    regex: `${NO_WORD_BEFORE}(?:\\d{12,19}|\\d{4}${GAP}\\d{4}${GAP}\\d{4}${GAP}\\d{4}(?:${GAP}\\d{3}(?!-))?|\\d{4}${GAP}\\d{6}${GAP}\\d{4,5})${NO_WORD_AFTER}`,
    validate: isCard,
    matches: ['4111111111111111', '4111 1111 1111 1111', '5500-0000-0000-0004', '3782 822463 10005', '3056 930902 5904', '6011 0009 9013 9424'],
    ignores: ['4111111111111112', '1234 5678 9012 3456', '0.4111111111111111', '1700000000000', '0000000000000000', 'ab-4111111111111111'],
  },
];

const IBAN: readonly PatternDefinition[] = [
  {
    id: 'iban',
    category: 'IBAN',
    label: 'IBAN',
    regex: `${NO_WORD_BEFORE}(?:${IBAN_COUNTRIES})\\d\\d(?:[ \\-\u00A0\u202F]?[A-Za-z0-9]{4}){2,7}(?:[ \\-\u00A0\u202F]?[A-Za-z0-9]{1,3})?${NO_WORD_AFTER}`,
    validate: isIban,
    matches: ['DE89370400440532013000', 'GB82 WEST 1234 5698 7654 32', 'fr1420041010050500013m02606', 'NO93 8601 1117 947'],
    ignores: ['DE89370400440532013001', 'GB82 WEST 1234', 'AT1234567890', 'no 12 3456 7890 123'],
  },
];

const US_SSN: readonly PatternDefinition[] = [
  {
    id: 'us-ssn',
    category: 'US_SSN',
    label: 'US_SSN',
    regex: `(?<![${WORD}\\-.])(?:\\d{3}-\\d{2}-\\d{4}|\\d{3} \\d{2} \\d{4}|\\d{9})(?![${WORD}\\-])`,
    validate: isSocialSecurityNumber,
    matches: ['078-05-1120', '219-09-9999', 'SSN 078 05 1120', 'social security number: 219099999'],
    ignores: ['000-12-3456', '666-12-3456', '912-34-5678', '123-00-4567', '219099999', '123 45 6789', '1078-05-1120', '2024-01-1512'],
  },
];

const OCTET = '\\d{1,3}';
const HEX = '[0-9A-Fa-f]';

const IP_ADDRESS: readonly PatternDefinition[] = [
  {
    id: 'ipv4',
    category: 'IP_ADDRESS',
    label: 'IP_ADDRESS',
    regex: `(?<![${WORD}.])${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}${NO_WORD_AFTER}`,
    validate: isIpv4,
    matches: ['192.168.13.77', '203.0.113.9', 'http://198.51.100.7/', 'server 1.2.3.4', '0.0.0.0 address 0.0.0.0'],
    ignores: ['v10.20.30.40', '1.2.3', '256.1.1.10', '1.2.3.4', 'Chrome/120.0.0.0', '10.01.02.03', '1.2.840.113549', 'a.10.20.30.40'],
  },
  {
    id: 'ipv6',
    category: 'IP_ADDRESS',
    label: 'IP_ADDRESS',
    regex: `(?<![${WORD}:.])(?:${HEX}{1,4}:|::)(?:${HEX}{0,4}:){0,7}(?:${HEX}{1,4}|${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET})?(?:%[\\w.\\-]{1,16})?${NO_WORD_AFTER}`,
    validate: isIpv6,
    matches: ['2001:db8::1', '2001:0db8:85a3:0000:0000:8a2e:0370:7334', 'fe80::1ff:fe23:4567:890a%eth0', '::ffff:192.0.2.128', 'address ::1', '2001:db8::'],
    ignores: ['12:30:45', 'std::vector', 'a::b', '[::2]', '::', 'aa:bb:cc:dd:ee:ff', 'add::face', '1:2:3:4:5:6:7', 'key: value'],
  },
];

/** Keys whose prefix says whose they are: id, form, made-up example. Boundaries are added below. */
const KEYS: readonly (readonly [id: string, regex: string, example: string])[] = [
  ['anthropic', 'sk-ant-[a-z]{3,5}\\d\\d-[\\w\\-]{20,200}', 'sk-ant-api03-0Ex4mpl3K3y7hatIsMad3Up'],
  ['openai', 'sk-(?:proj|svcacct|admin|None)-[\\w\\-]{20,240}', 'sk-proj-a1B2c3D4a1B2c3D4a1B2c3D4'],
  ['openai-legacy', 'sk-[A-Za-z0-9]{20,64}', 'sk-a1B2c3D4e5F6g7H8i9J0k1L2'],
  ['openrouter', 'sk-or-v1-[0-9a-f]{64}', 'sk-or-v1-' + '0123456789abcdef'.repeat(4)],
  ['weir', 'weir_[A-Za-z0-9_]{32,128}', 'weir_0123456789abcdefghijklmnopqrstuv'],
  ['aws-access-key', '(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}', 'AKIAIOSFODNN7EXAMPLE'],
  ['github', 'gh[pousr]_[A-Za-z0-9]{36,251}', 'ghp_0123456789abcdefghijklmnopqrstuvwxyz'],
  ['github-fine-grained', 'github_pat_[A-Za-z0-9_]{22,244}', 'github_pat_11EXAMPLE0abcdefghijkl'],
  ['gitlab', 'gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[\\w\\-]{20,64}', 'glpat-Ex4mpleEx4mpleEx4mpl'],
  ['slack', 'xox[abeprs]-[A-Za-z0-9\\-]{20,240}', 'xoxb-0000000000-0123456789abEXAMPLE'],
  ['slack-app', 'xapp-\\d-[A-Za-z0-9\\-]{20,240}', 'xapp-1-A0EXAMPLE-0123456789-abcdef'],
  ['slack-webhook', 'hooks\\.slack\\.com/services/[A-Z0-9]{8,12}/[A-Z0-9]{8,12}/[A-Za-z0-9]{16,32}', 'hooks.slack.com/services/T00000000/B00000000/Ex4mpleEx4mpleEx4mple000'],
  ['google', 'AIza[\\w\\-]{35}', 'AIza0123456789-Ex4mple_0123456789abcdef'],
  ['google-oauth', '(?:ya29\\.|GOCSPX-)[\\w\\-]{20,240}', 'GOCSPX-Ex4mpleEx4mpleEx4mple0'],
  ['stripe', '[sr]k_(?:live|test)_[A-Za-z0-9]{16,128}', 'sk_test_0123456789abcdefEXAMPLE0'],
  ['stripe-webhook', 'whsec_[A-Za-z0-9]{24,64}', 'whsec_0123456789abcdefghijklmnop'],
  ['hugging-face', 'hf_[A-Za-z0-9]{30,64}', 'hf_0123456789abcdefghijklmnopqrstuvwx'],
  ['npm', 'npm_[A-Za-z0-9]{36}', 'npm_0123456789abcdefghijklmnopqrstuvwxyz'],
  ['pypi', 'pypi-AgE[\\w\\-]{40,240}', 'pypi-AgEIc0123456789abcdefghijklmnopqrstuvwxyz0123456789'],
  ['sendgrid', 'SG\\.[\\w\\-]{16,32}\\.[\\w\\-]{16,64}', 'SG.0123456789abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyzABCDEFG'],
  ['twilio', 'SK[0-9a-f]{32}', 'SK0123456789abcdef0123456789abcdef'],
  ['mailgun', 'key-[0-9a-f]{32}', 'key-0123456789abcdef0123456789abcdef'],
  ['azure-storage', 'AccountKey=[A-Za-z0-9+/]{86}==', `AccountKey=${'Ex4mple+'.repeat(10)}abc123==`],
  ['digitalocean', 'do[opr]_v1_[0-9a-f]{64}', 'dop_v1_' + '0123456789abcdef'.repeat(4)],
  ['shopify', 'shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}', 'shpat_0123456789abcdef0123456789abcdef'],
  ['databricks', 'dapi[0-9a-f]{32}', 'dapi0123456789abcdef0123456789abcdef'],
  ['telegram', '\\d{8,10}:AA[\\w\\-]{33}', '0123456789:AA0123456789abcdefghijklmnopqrstuvw'],
  ['vault', 'hv[sbr]\\.[\\w\\-]{24,240}', 'hvs.Ex4mple0123456789abcdefgh'],
  ['grafana', 'gl(?:sa|c)_[\\w=+/]{32,240}', 'glsa_0123456789abcdefghijklmnopqrstuv'],
  ['docker', 'dckr_pat_[\\w\\-]{27}', 'dckr_pat_0123456789abcdefghijklmnopq'],
  ['groq', 'gsk_[A-Za-z0-9]{40,64}', 'gsk_0123456789abcdefghijklmnopqrstuvwxyzABCD'],
  ['xai', 'xai-[A-Za-z0-9]{40,100}', 'xai-0123456789abcdefghijklmnopqrstuvwxyzABCD'],
  ['perplexity', 'pplx-[A-Za-z0-9]{40,64}', 'pplx-0123456789abcdefghijklmnopqrstuvwxyzABCD'],
  ['replicate', 'r8_[A-Za-z0-9]{37}', 'r8_0123456789abcdefghijklmnopqrstuvwxyzA'],
  ['linear', 'lin_api_[A-Za-z0-9]{40}', 'lin_api_0123456789abcdefghijklmnopqrstuvwxyzABCD'],
  ['notion', 'ntn_[A-Za-z0-9]{40,60}', 'ntn_0123456789abcdefghijklmnopqrstuvwxyzABCD'],
];

const API_KEY: readonly PatternDefinition[] = [
  ...KEYS.map(([id, regex, example]): PatternDefinition => ({
    id: `key-${id}`,
    category: 'API_KEY',
    label: 'API_KEY',
    // A key of fixed length ends there; one of any length goes as far as it can, so that no tail is left.
    regex: `${NO_WORD_BEFORE}${regex}${/\{\d+\}$/.test(regex) ? '(?![A-Za-z0-9_])' : ''}`,
    validate: isRandom,
    matches: [example, `KEY="${example}"`],
    ignores: [example.slice(0, 12), `x${example}`],
  })),
  {
    id: 'key-aws-secret',
    category: 'API_KEY',
    label: 'API_KEY',
    regex: '(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])',
    validate: isAwsSecret,
    matches: ['aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    ignores: ['wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'secret: da39a3ee5e6b4b0d3255bfef95601890afd80709'],
  },
  {
    // Certain once the second part begins; what follows then leaves no longer a hole in which it could hide.
    id: 'key-jwt',
    category: 'API_KEY',
    label: 'API_KEY',
    regex: `${NO_WORD_BEFORE}eyJ[\\w\\-]{8,400}\\.eyJ[\\w\\-]{8}[\\w.\\-]*`,
    matches: ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJleGFtcGxlIn0.c2lnbmF0dXJlLW1hZGUtdXA'],
    ignores: ['eyJhbGciOiJIUzI1NiJ9', 'eyJ.eyJ', 'eyJhbGciOiJIUzI1NiJ9.example'],
  },
];

// Base64 and what stands around its lines in files, JSON strings, quotations and source code.
const KEY_BODY = '[A-Za-z0-9+/=\\s\\\\"\',>]';

const PRIVATE_KEY: readonly PatternDefinition[] = [
  {
    // Certain after sixteen characters of the body: the rest goes whether or not an END ever comes.
    id: 'private-key',
    category: 'PRIVATE_KEY',
    label: 'PRIVATE_KEY',
    regex:
      '-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----' +
      '(?:[\\s\\\\rn"\'+,>]{1,12}(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset): [^\\n\\\\]{0,120}){0,5}' +
      `[\\s\\\\"'+,>]{0,12}[A-Za-z0-9+/=\\\\]{16}${KEY_BODY}*` +
      '(?:-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?',
    matches: [
      '-----BEGIN PRIVATE KEY-----\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA=\nTUFERS1VUA==\n-----END PRIVATE KEY-----',
      '-----BEGIN RSA PRIVATE KEY-----\\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA=\\n-----END RSA PRIVATE KEY-----',
      '-----BEGIN OPENSSH PRIVATE KEY-----\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA',
      '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA=',
    ],
    ignores: ['-----BEGIN PUBLIC KEY-----\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA=', 'a line -----BEGIN PRIVATE KEY----- starts it', 'PRIVATE KEY'],
  },
];

export const PATTERNS: readonly PatternDefinition[] = [...EMAIL, ...PHONE_NUMBER, ...CREDIT_CARD, ...IBAN, ...US_SSN, ...IP_ADDRESS, ...API_KEY, ...PRIVATE_KEY];
