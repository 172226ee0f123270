/**
 * The pii classifier: every pattern's own examples, whole sentences before and after, ordinary text that must stay as
 * it is, and, where the data is at hand (WEIR_TEST_DATA), the accuracy that the model card states.
 */
import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import createPii from '../../plugins/pii/index.ts';
import { PHONE_VALIDATORS as phone } from '../../plugins/pii/validators.ts';
import type { PatternDefinition, Validator } from '../../src/contract/classifier.ts';
import { compilePatterns, scanText } from '../../src/match/set.ts';
import { VALIDATORS as known } from '../../src/match/validators.ts';
import { testPii } from '../helpers/pii.ts';

const pii = testPii();
const sources = (pii.patterns as readonly PatternDefinition[]).map((definition) => ({ classifier: 'pii', definition, holds: true }));
const set = compilePatterns(sources);

/** The text with each run of overlapping findings replaced by the label of the longest. */
function redacted(text: string): string {
  let out = '';
  let end = 0;
  for (const finding of scanText(set, text)) {
    if (finding.start < end) {
      end = Math.max(end, finding.end);
      continue;
    }
    const rivals = scanText(set, text).filter((f) => f.start < finding.end && finding.start < f.end);
    const longest = rivals.reduce((a, b) => (b.end - b.start > a.end - a.start ? b : a));
    out += `${text.slice(end, finding.start)}[${longest.pattern.definition.label}]`;
    end = finding.end;
  }
  return out + text.slice(end);
}

t.test('the plugin declares what its patterns score', async (t) => {
  const declared = new Set(pii.categories.map((category) => category.id));
  t.same(new Set((pii.patterns ?? []).map((pattern) => pattern.category)), declared);
  t.same(new Set(testPii('pii', true).categories.map((category) => category.id)), new Set([...declared, 'PERSON', 'ADDRESS', 'LOCATION']), 'and what its tagger finds, where that is not switched off');
  t.equal(pii.classify, undefined);
  t.equal(new Set(pii.patterns?.map((pattern) => pattern.id)).size, pii.patterns?.length);
  t.match(pii, { id: 'pii', cost: 'fast', needsContext: false, directions: ['input', 'output'], languages: ['*'] });
  t.throws(() => createPii({ id: 'pii' }), /gave no pattern files/);
  t.throws(() => createPii({ id: 'pii', files: [], names: 'no' }), /names is true or false, got "no"/);
  t.throws(() => createPii({ id: 'pii', files: [], name: true }), /unknown option name; this classifier has names/);
  t.ok(set.holdChars <= 1500, `a stream holds back ${set.holdChars} characters at most`);
});

const SENTENCES: readonly (readonly [before: string, after: string])[] = [
  ['write to maria.kowalska+home@mail.example.org today', 'write to [EMAIL] today'],
  ['It is maria@example.com.', 'It is [EMAIL].'],
  ['<maria@example.com>, "ana@example.net"; mailto:bo@example.test', '<[EMAIL]>, "[EMAIL]"; mailto:[EMAIL]'],
  ['请发邮件到maria@example.com谢谢', '请发邮件到[EMAIL]谢谢'],
  ['电话22334455，卡号4111111111111111。', '电话[PHONE_NUMBER]，卡号[CREDIT_CARD]。'],
  ['call me at (202) 555-0143 or 202.555.0144 ext. 12!', 'call me at [PHONE_NUMBER] or [PHONE_NUMBER]!'],
  ['London +44 (0)20 7946 0958, (+44) 20 7946 0959, 0044 20 7946 0960', 'London [PHONE_NUMBER], [PHONE_NUMBER], [PHONE_NUMBER]'],
  ['Telefon: 22 33 44 55; Tél. 01 99 00 12 34', 'Telefon: [PHONE_NUMBER]; Tél. [PHONE_NUMBER]'],
  ['pay with 4111 1111 1111 1111, 5500-0000-0000-0004 or 378282246310005', 'pay with [CREDIT_CARD], [CREDIT_CARD] or [CREDIT_CARD]'],
  ['IBAN DE89370400440532013000 or gb82 west 1234 5698 7654 32 is mine', 'IBAN [IBAN] or [IBAN] is mine'],
  ['room 14 202-555-0143, page 3 078-05-1120 of', 'room 14 [PHONE_NUMBER], page 3 [US_SSN] of'],
  ['SSN 078-05-1120, social security number 219099999', 'SSN [US_SSN], social security number [US_SSN]'],
  ['from 192.168.13.77. To 2001:db8::1: ok, [2001:db8::2]:443', 'from [IP_ADDRESS]. To [IP_ADDRESS]: ok, [[IP_ADDRESS]]:443'],
  [`key sk-proj-${'a1B2c3D4'.repeat(6)} and AKIAIOSFODNN7EXAMPLE`, 'key [API_KEY] and [API_KEY]'],
  ['Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJleGFtcGxlIn0.c2lnbmF0dXJl end', 'Bearer [API_KEY] end'],
  ['-----BEGIN PRIVATE KEY-----\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA=\n-----END PRIVATE KEY-----\nand more', '[PRIVATE_KEY]\nand more'],
  ['NINO AA 12 34 56 C, CPF 111.444.777-35, BSN 111222333, DNI 12345678Z', 'NINO [NATIONAL_ID], CPF [NATIONAL_ID], BSN [NATIONAL_ID], DNI [NATIONAL_ID]'],
  ['date of birth: 3 December 1985, MRN 00123456, passport no. X1234567', 'date of birth: [DATE_OF_BIRTH], MRN [MEDICAL_ID], passport no. [PASSPORT]'],
  ['routing number 021000021, account number 000123456789', 'routing number [BANK_ACCOUNT], account number [BANK_ACCOUNT]'],
  ['pay to bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 from 00:00:5e:00:53:af', 'pay to [CRYPTO_WALLET] from [MAC_ADDRESS]'],
  ['DB=postgres://app:Ex4mple@db.example.com/app and password: Tr0ub4dor&3x.', 'DB=[CONNECTION_STRING] and password: [SECRET].'],
  ['x\n-----BEGIN RSA PRIVATE KEY-----\nTUFERS1VUC1NQURFLVVQLU1BREUtVVA\nTUFERS1', 'x\n[PRIVATE_KEY]'],
];

t.test('sentences', async (t) => {
  for (const [before, after] of SENTENCES) t.equal(redacted(before), after);
});

const ORDINARY: readonly string[] = [
  'the quick report was late because our team met on Tuesday near 14 Main and 3 of 5 agreed, e.g. v1.2.3 or a@ b; it is 50% done',
  '2024-01-15T12:00:00.000+01:00 2024-01-15 12:00:00 15/01/2024 01.02.2024 Jan 5, 2024 at 10:30',
  '550e8400-e29b-41d4-a716-446655440000 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '$1,234,567.89 and 1 234 567,89 € and 12 345 678 people, 3.14159265358979',
  'ISBN 978-3-16-148410-0, ISBN 0-306-40615-2, ISSN 2049-3630, doi:10.1000/182, 10.1038/s41586-020-2649-2',
  '| 12 | 34 | 56 |\n|----|----|----|\n| 100 | 200 | 3000 |\n1 2 3 4 5 6 7 8 9 10 11 12',
  '\\frac{1}{2} \\sum_{i=1}^{n} x_i^2 = 0.333333333333333333, chapter 1.2.3.4, section 10.2.1.3, §10.20.30.40',
  'order 1234-5678-9012, tracking 1Z999AA10123456784, flight LH 123 456, SKU 100-200-3000',
  'Chrome/120.0.0.0 Safari/537.36, node v22.11.0, libfoo 1.2.3.4, kernel 5.15.0-1051, Version: 10.15.7.1',
  'std::vector<int> a::b Foo::Bar x[::2] arr[1::3] a::before ::-webkit 12:30:45 add::face',
  'const x = 1700000000000; id=1234567890123456789; 0xdeadbeef; 1e10; 1_000_000',
  'call f(1000000) then call 3 times; text 1234; phone home; contact 5 people; reach 100000 users; dial 911',
  'np.array([4111, 1111, 1111, 1111]); 4111 1111 1111 1112',
  'npm i foo@1.2.3 @scope/pkg@^2.0.0 user@host git@github.com:a/b.git icon@2x.png',
  'sk-xxxxxxxxxxxxxxxxxxxxxxxx ghp_xxxx AKIA hf_hub_download key-value SG.foo.bar',
  '16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48 ff:ff:ff:ff:ff:ff',
  '1. first 2. second; 2020-2021; 555-1234; 24/7/365; zip 12345-6789; EIN 12-3456789',
  'gpt-4-0613, claude-3-5-sonnet-20241022, chatcmpl-ABC123def456GHI789, resp_0123456789abcdef',
  '00000000: 48 65 6c 6c 6f 20 77 6f 72 6c 64',
  'order 12345678, case 123456789, invoice 1234567890, batch 12345678901, lot 123456789012, ref 1234567890123',
  'born in 1985 in Leeds; passport control; driver license office; the password is wrong; token count 12345; max_tokens: 4096',
  'const password = getPassword1(); api_key: ${API_KEY_1}; secret: your-secret-1; token = "<token1>"; password: ********1',
  'a line -----BEGIN PUBLIC KEY----- and -----BEGIN PRIVATE KEY----- begin files',
];

t.test('ordinary text stays as it is', async (t) => {
  for (const text of ORDINARY) t.equal(redacted(text), text);
});

t.test('rules of the validators that patterns alone do not show', async (t) => {
  const accepts = (validate: Validator | undefined, text: string, before = ''): boolean | undefined => validate?.({ text, before });
  t.notOk(accepts(known['email'], `${'a'.repeat(65)}@example.com`), 'local part over 64');
  t.notOk(accepts(known['email'], `a@${'b'.repeat(64)}.example`), 'label over 63');
  t.notOk(accepts(known['email'], `a@${'b.'.repeat(126)}example`), 'domain over 253');
  t.notOk(accepts(known['email'], 'a@-b.example'), 'label begins with a hyphen');
  t.notOk(accepts(known['card'], '4111111111111111', '0.'), 'decimals');
  t.ok(accepts(known['card'], '4111111111111111', 'no.'), 'behind a full stop');
  t.notOk(accepts(known['iban'], 'XX89370400440532013000'), 'no such country');
  t.ok(accepts(known['us-ssn'], '078 05 1120', 'my social security is '), 'spaced, announced');
  t.ok(accepts(known['us-ssn'], '078-05-1120', '12 '), 'behind another number');
  t.ok(accepts(known['ipv4'], '1.2.3.4', 'ping '), 'single digits, announced');
  t.notOk(accepts(known['ipv6'], '1::2::3'), 'two gaps');
  t.notOk(accepts(known['ipv6'], '::ffff:300.0.2.128'), 'octet over 255');
  t.notOk(accepts(known['ipv6'], '1:2:3:4:5:6:7:8::'), 'too long for a gap');
  t.ok(accepts(phone['phone-announced'], '612 345 678', 'reach the front desk on '), 'an object between word and number');
  t.notOk(accepts(phone['phone-announced'], '6123456', 'call '), 'a verb and bare digits');
  t.notOk(accepts(phone['phone-announced'], '078-05-1120', 'call '), 'a social security number');
  t.notOk(accepts(phone['phone-announced'], '10.20.30.4', 'call '), 'an address');
  t.notOk(accepts(phone['phone-announced'], '111111', 'Tel. '), 'one digit only');
  t.notOk(accepts(phone['phone-local'], '01 02 03 04 05'), 'counting');
  t.notOk(accepts(phone['phone-international'], '+999 12 34 56 78'), 'no such country');
});

t.test('hostile texts take linear time', async (t) => {
  const chars = 100_000;
  const hostile = ['a.', 'a-b\'', '1 2 34 567 8901 ', '4', 'call 123 45 67 ', 'x@y.', 'eyJaaaaaaaaa ', 'sk-', 'DE89 3704 ', '-----BEGIN PRIVATE KEY-----A ', '(((', '+1 ', '::', 'password: a1', '://a:b@', 'A1-', 'passport A1234567 ', '0x0123 '];
  for (const piece of hostile) {
    const started = performance.now();
    scanText(set, `tel ${piece.repeat(chars / piece.length)}`);
    const elapsedMs = performance.now() - started;
    t.ok(elapsedMs < 8_000, `${JSON.stringify(piece)}: ${elapsedMs.toFixed(0)} ms`);
  }
});

const data = process.env['WEIR_TEST_DATA'] ?? new URL('../../../shared', import.meta.url).pathname;
const rowsOf = (name: string): Record<string, unknown>[] =>
  gunzipSync(readFileSync(`${data}/data/${name}.jsonl.gz`)).toString().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);

const LABELS: Readonly<Record<string, string>> = {
  EMAIL_ADDRESS: 'EMAIL', PHONE_NUMBER: 'PHONE_NUMBER', CREDIT_CARD: 'CREDIT_CARD', IBAN_CODE: 'IBAN', US_SSN: 'US_SSN', IP_ADDRESS: 'IP_ADDRESS',
};

t.test('accuracy on labelled text', { skip: !existsSync(`${data}/data/pii/dev.jsonl.gz`) && 'no data' }, async (t) => {
  const near = (a: { start: number; end: number }, b: { start: number; end: number }): boolean => Math.abs(a.start - b.start) <= 1 && Math.abs(a.end - b.end) <= 1;
  let [hits, missed, wrong] = [0, 0, 0];
  for (const row of rowsOf('pii/dev')) {
    const gold = (row['spans'] as { start: number; end: number; label: string }[]).filter((span) => span.label in LABELS).map((span) => ({ ...span, label: LABELS[span.label] }));
    const found = scanText(set, row['text'] as string).map((f) => ({ start: f.start, end: f.end, label: f.pattern.definition.label }));
    const hit = gold.filter((g) => found.some((f) => f.label === g.label && near(f, g)));
    hits += hit.length;
    missed += gold.length - hit.length;
    wrong += found.filter((f) => Object.values(LABELS).includes(f.label) && !gold.some((g) => f.label === g.label && near(f, g))).length;
  }
  const f1 = (2 * hits) / (2 * hits + missed + wrong);
  t.ok(f1 >= 0.96, `strict F1 ${f1.toFixed(3)} (${hits} found, ${missed} missed, ${wrong} wrong)`);
  const flagged = rowsOf('grounding/dev').filter((row) => scanText(set, `${row['context'] as string}\n\n${row['text'] as string}`).length > 0).length;
  t.equal(flagged, 0, 'news, encyclopedia and dialogue without personal data');
});
