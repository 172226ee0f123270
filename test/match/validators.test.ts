/**
 * Validators: published or made-up examples that each must accept and refuse, and the promise of a check digit, that a
 * changed digit is noticed.
 */
import fc from 'fast-check';
import t from 'tap';
import { entropyBits, mod97, passesBase58Check, passesBech32, passesLuhn, passesMod11_10, passesVerhoeff } from '../../src/match/checksums.ts';
import { isDay } from '../../src/match/national.ts';
import { exceptHosts, VALIDATORS } from '../../src/match/validators.ts';

/** Name, numbers that are accepted, numbers that are not. */
const EXAMPLES: readonly (readonly [name: string, valid: readonly string[], invalid: readonly string[]])[] = [
  ['us-itin', ['912-70-1234'], ['912-49-1234', '912-89-1234', '812-70-1234']],
  ['gb-nino', ['AA 12 34 56 A', 'AB123456C'], ['BG123456A', 'QQ123456C', 'AA123456E']],
  ['gb-nhs', ['943 476 5919'], ['943 476 5918', '111 111 1111']],
  ['de-steuer-id', ['86 095 742 719', '65929970489'], ['86095742710', '06095742719', '12345678903']],
  ['fr-nir', ['2 55 08 14 168 025 38'], ['2 55 08 14 168 025 39', '255138 14 168 025 38']],
  ['es-dni', ['12345678Z', '00000000T'], ['12345678A']],
  ['es-nie', ['X1234567L'], ['Y1234567L']],
  ['it-codice-fiscale', ['RSSMRA85T10A562S'], ['RSSMRA85T10A562T']],
  ['nl-bsn', ['111222333', '123456782'], ['111222334', '000000000']],
  ['be-rijksregister', ['85.07.30-033.28'], ['85.07.30-033.29', '85.13.30-033.28']],
  ['pl-pesel', ['44051401359'], ['44051401358', '44131401359']],
  ['se-personnummer', ['811218-9876', '19811218-9876', '811272-9879'], ['811218-9875', '811318-9876', '811298-9879']],
  ['no-fodselsnummer', ['01010750160'], ['01010750161', '01130750160']],
  ['dk-cpr', ['070761-4285'], ['321361-4285']],
  ['fi-hetu', ['131052-308T', '131052A308T'], ['131052-308U', '131352-308T']],
  ['pt-nif', ['123456789'], ['123456780', '423456789']],
  ['at-svnr', ['1237 010180'], ['1238 010180', '1237 011380']],
  ['ch-ahv', ['756.9217.0769.85'], ['756.9217.0769.84', '757.9217.0769.85']],
  ['ie-pps', ['1234567T', '1234567FA'], ['1234567U', '1234567FB']],
  ['cz-rodne-cislo', ['736028/5163'], ['736028/5164', '731328/5163']],
  ['ro-cnp', ['1800101221144', '1800101221031'], ['1800101221145', '1800101221030', '1801301221144']],
  ['bg-egn', ['7523169263'], ['7523169264']],
  ['gr-amka', ['01013099997'], ['01013099998', '32013099997']],
  ['hr-oib', ['69435151530'], ['69435151531']],
  ['ee-isikukood', ['37605030299', '37605031093', '37605031228'], ['37605030298', '37605031090']],
  ['yu-jmbg', ['0101006500006'], ['0101006500007']],
  ['ru-snils', ['112-233-445 95'], ['112-233-445 96']],
  ['tr-tckn', ['10000000146'], ['10000000147', '00000000146']],
  ['br-cpf', ['111.444.777-35', '529.982.247-25'], ['111.444.777-36', '111.111.111-11']],
  ['br-cnpj', ['11.222.333/0001-81'], ['11.222.333/0001-82']],
  ['ar-cuil', ['20-12345678-6'], ['20-12345678-5', '10-12345678-6']],
  ['cl-rut', ['12.345.678-5'], ['12.345.678-6', '11.111.111-1']],
  ['mx-curp', ['HEGG560427MVZRRL04'], ['HEGG560427MVZRRL05']],
  ['in-aadhaar', ['2341 2341 2346'], ['2341 2341 2347', '1341 2341 2346']],
  ['in-pan', ['ABCPE1234F'], ['ABCDE1234F', 'ABCPE0000F']],
  ['cn-resident-id', ['11010519491231002X'], ['110105194912310021', '11010519491331002X']],
  ['kr-rrn', ['900101-1234567'], ['901301-1234567', '900101-9234567']],
  ['jp-my-number', ['123456789018', '123456789050', '123456789000'], ['123456789019', '123456789051', '123456789001']],
  ['sg-nric', ['S1234567D', 'F1234567N'], ['S1234567E']],
  ['hk-id', ['A123456(3)', 'G123456(A)', 'AB987654(3)'], ['A123456(4)', 'A123456(A)', 'G123456(7)']],
  ['tw-national-id', ['A123456789'], ['A123456788']],
  ['th-national-id', ['1-1017-00230-70-8'], ['1-1017-00230-70-7']],
  ['au-tfn', ['123 456 782'], ['123 456 783']],
  ['au-medicare', ['2123 45670 1'], ['2123 45671 1', '1123 45670 1']],
  ['nz-ird', ['49-091-850', '35901981', '136410132'], ['49-091-851']],
  ['za-id', ['8001015009087'], ['8001015009088', '8013015009087']],
  ['ca-sin', ['130 692 544'], ['130 692 545', '046 454 286']],
  ['il-id', ['123456782'], ['123456783', '000000000']],
  ['luhn', ['4111-1111-1111-1111'], ['4111-1111-1111-1112']],
  ['verhoeff', ['2363'], ['2364', '2633']],
  ['mod97', ['370400440532013000131489'], ['370400440532013000131488']],
  ['mod11-10', ['794623'], ['794624']],
  ['base58check', ['1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa'], ['1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb', '0OIl', '1']],
  ['bech32', ['A12UEL5L', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4', 'A1LQFN3A'], ['A12uEL5L', 'pzry9x0s0muk', '1nwldj5', 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5', 'test1qpbzrys69ukd']],
  ['aba-routing', ['021000021', '011401533'], ['021000022', '991000021']],
  ['account', ['000123456789'], ['2024-01-15', '111111']],
  ['mac', ['00:00:5e:00:53:af'], ['ff:ff:ff:ff:ff:ff']],
  ['date', ['1985-12-03', '03/12/1985', '12/31/85', '1985年12月3日'], ['1985-13-03', '45/45/1985', '03/12/1585', '12/1985', 'today']],
  ['random', ['sk-0123456789abc'], ['sk-xxxxxxxxxxxxxxxx', 'abcdefghijklmnop']],
  ['entropy', ['q8Zr2Lm9Xw4Tv5Kp'], ['aaaaaaaabbbbbbbb']],
  ['digit', ['X1'], ['X']],
  ['assigned-password', ['password=Ex4mple1'], ['password=<password>', 'pwd=null', 'Password=${DB_PASS}']],
  ['url-credentials', ['https://ana:s3cr3t@h', 'redis://:s3cr3t@h'], ['https://user:password@h', 'https://<user>:s3cr3t@h', 'https://ana:${PASS}@h', 'https://ana:ab@h', 'https://example.com/ana']],
  ['carries-data', ['![x](https://example.com/?d=secret', '![](//example.com/c2VjcmV0LW1hZGUtdXAtMQ42eHg', '[x](https://example.com/https://example.net', '![x](data:text/html,hi', '[x](https://example.com/a(b)?d=secret)', '![x](https://example.com/%zz', '[x](https://example.com@h/'],
    ['![x](https://example.com/logo.png', '[x](https://example.com/a)[y](https://example.com/?d=secret', 'x', '[x](https://example.com/?v=1']],
];

t.test('examples', async (t) => {
  for (const [name, valid, invalid] of EXAMPLES) {
    for (const text of valid) t.ok(VALIDATORS[name]?.({ text, before: '' }), `${name} accepts ${text}`);
    for (const text of invalid) t.notOk(VALIDATORS[name]?.({ text, before: '' }), `${name} refuses ${text}`);
  }
});

t.test('every validator has an example here or, where it is about personal data, in the tests of pii', async (t) => {
  const elsewhere = ['email', 'card', 'iban', 'us-ssn', 'ipv4', 'ipv6', 'aws-secret', 'named-secret'];
  t.same(Object.keys(VALIDATORS).filter((name) => !EXAMPLES.some(([known]) => known === name)).sort(), [...elsewhere].sort());
});

/** Names whose check promises to notice any single changed digit. */
const NOTICES_ONE_DIGIT = ['gb-nhs', 'nl-bsn', 'no-fodselsnummer', 'pl-pesel', 'hr-oib', 'ch-ahv', 'cz-rodne-cislo', 'gr-amka', 'yu-jmbg', 'br-cnpj', 'in-aadhaar', 'au-tfn', 'za-id', 'ca-sin', 'il-id', 'luhn', 'verhoeff', 'mod97', 'mod11-10', 'es-dni', 'cn-resident-id', 'fr-nir', 'aba-routing', 'tr-tckn'];

t.test('one changed digit is refused', async (t) => {
  for (const name of NOTICES_ONE_DIGIT) {
    const valid = EXAMPLES.find(([known]) => known === name)![1][0]!;
    for (let at = 0; at < valid.length; at += 1) {
      if (!/\d/.test(valid[at]!)) continue;
      for (const digit of '0123456789') {
        if (digit === valid[at]) continue;
        const changed = valid.slice(0, at) + digit + valid.slice(at + 1);
        if (VALIDATORS[name]!({ text: changed, before: '' })) t.fail(`${name} takes ${changed} for ${valid}`);
      }
    }
    t.pass(name);
  }
});

t.test('checksums of random numbers', async (t) => {
  const digits = (min: number, max: number) => fc.array(fc.integer({ min: 0, max: 9 }), { minLength: min, maxLength: max }).map((list) => list.join(''));
  const completed = (body: string, passes: (number: string) => boolean): string => [...'0123456789'].map((digit) => body + digit).find(passes) ?? '';
  for (const [name, passes] of Object.entries({ passesLuhn, passesVerhoeff, passesMod11_10 })) {
    fc.assert(fc.property(digits(4, 20), fc.nat(), fc.integer({ min: 1, max: 9 }), (body, place, shift) => {
      const number = completed(body, passes);
      const at = place % number.length;
      const changed = number.slice(0, at) + String((Number(number[at]) + shift) % 10) + number.slice(at + 1);
      return number.length === body.length + 1 && !passes(changed);
    }));
    t.pass(name);
  }
  fc.assert(fc.property(digits(4, 20), (body) => {
    const number = completed(body, passesVerhoeff);
    const swapped = number.slice(0, -2) + number.at(-1)! + number.at(-2)!;
    return swapped === number || !passesVerhoeff(swapped);
  }));
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), (number) => BigInt(mod97(String(number))) === number % 97n));
});

t.test('wallet addresses with one character changed are refused', async (t) => {
  const changedAt = (text: string, at: number, alphabet: string): string[] => [...alphabet].filter((c) => c !== text[at]).map((c) => text.slice(0, at) + c + text.slice(at + 1));
  const legacy = '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa';
  const segwit = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';
  t.notOk([5, 20, 33].flatMap((at) => changedAt(legacy, at, '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz')).some(passesBase58Check));
  t.notOk([4, 20, 41].flatMap((at) => changedAt(segwit, at, 'qpzry9x8gf2tvdw0s3jn54khce6mua7l')).some(passesBech32));
});

t.test('days and randomness', async (t) => {
  t.ok(isDay(2, 29));
  for (const [month, day] of [[2, 30], [4, 31], [0, 1], [13, 1], [1, 0]] as const) t.notOk(isDay(month, day), `${month}/${day}`);
  t.equal(entropyBits('abcd'), 2);
  t.equal(entropyBits('aaaa'), 0);
});

t.test('a secret counts behind its name only', async (t) => {
  const accepts = (text: string, before: string): boolean => VALIDATORS['named-secret']!({ text, before });
  for (const before of ['password: ', 'my password is ', 'API_KEY="', 'client_secret=', '密码：', "'token': '"]) t.ok(accepts('q8Zr2Lm9Xw4T', before), before);
  for (const before of ['', 'token count ', 'passwordless ', 'secretary: ', 'the password of ']) t.notOk(accepts('q8Zr2Lm9Xw4T', before), before);
  for (const text of ['your-pass-1', '12345678', 'abcdefgh1', 'a1b', '${SECRET_1}', 'getPassword1()', '2024-01-15', 'https://example.com/1']) t.notOk(accepts(text, 'password: '), text);
});

t.test('allowed hosts', async (t) => {
  const leaks = exceptHosts(VALIDATORS['carries-data']!, ['example.com']);
  const isLeak = (url: string): boolean => leaks({ text: `![x](${url}`, before: '' });
  for (const url of ['https://example.com/?d=secret', 'https://img.example.com:8443/?d=secret', '//EXAMPLE.com/?d=secret', 'https://example.com/?to=https%3A%2F%2Fa.example.com%2F%3Fd%3Dsecret']) t.notOk(isLeak(url), url);
  for (const url of [
    'https://example.net/?d=secret', 'https://example.com.example.net/?d=secret', 'https://notexample.com/?d=secret', 'https://example.com@example.net/?d=secret',
    'https://example.com/?to=https://example.net/secret', 'https://example.com/?to=https%3A%2F%2Fexample.net%2Fsecret', 'https://example.com/?to=https%253A%252F%252Fexample.net%252Fs',
    'https://example.com/?to=//example.net/secret', 'https://example.com/?to=\\\\example.net/secret', 'https://example.com/%zz?d=secret', 'data:text/html,secret', 'https://example.com/?u=data:text/html,x',
  ]) t.ok(isLeak(url), url);
  t.notOk(isLeak('https://example.net/logo.png'), 'what carries nothing is refused wherever it leads');
  t.ok(exceptHosts(() => true, ['example.com'])({ text: '[x](somewhere)', before: '' }), 'what leads to no host that can be read is not allowed');
});

t.test('what no shipped pattern hands over is judged too', async (t) => {
  const accepts = (name: string, text: string, before = ''): boolean => VALIDATORS[name]!({ text, before });
  for (const text of ['41111111111', '4111111111111111111 1', '']) t.notOk(accepts('card', text), `card ${text}`);
  t.notOk(passesVerhoeff('236A') || passesVerhoeff('23-6'), 'no digit');
  for (const text of ['2001:db8:12345::1', ':1::2', '1:::2', '1:2:3:4:5:6:7:8:', '1:2:3:4:5:6:7', '']) t.notOk(accepts('ipv6', text), text);
  for (const text of ['2001:db8::', '1:22:3:4:5:6:7:8', '1:22:3:4:5:6:192.0.2.1', '::ffff:192.0.2.1']) t.ok(accepts('ipv6', text), text);
  t.notOk(accepts('mac', 'none'), 'no octet');
  t.notOk(accepts('random', 'abcdefghij'), 'ten letters');
  t.ok(accepts('random', 'abcdefghi1'));
  for (const text of ['12345678z', '12 345 678-Z', '12345678\u00a0z']) t.ok(accepts('es-dni', text), text);
  t.ok(accepts('iban', 'gb82\u00a0west 1234 5698 7654 32'));
});
