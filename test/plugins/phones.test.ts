/**
 * What is said of telephone numbers without asking libphonenumber is what it says: over numbers made from its own rules,
 * near misses of them and random digits, in every calling code and every country. Also the words that announce a number,
 * which are read backwards, against one expression that looks for all of them anywhere.
 */
import fc from 'fast-check';
import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min';
import metadata from 'libphonenumber-js/min/metadata';
import t from 'tap';
import { NumberPlans, type PlansMetadata } from '../../plugins/pii/plans.ts';
import { PHONE_VALIDATORS } from '../../plugins/pii/validators.ts';
import { runs, seed } from '../helpers/runs.ts';

const rules = metadata as unknown as PlansMetadata;
type Rules = readonly [callingCode: string, idd: unknown, pattern: string, lengths: unknown, formats: unknown, prefix: unknown, rule: unknown, parsing: unknown, transform: unknown, optional: unknown, leading: unknown, types?: readonly (readonly [string] | 0)[] | 0];
const countries = Object.keys(rules.countries) as CountryCode[];
const all = [...Object.values(rules.countries), ...Object.values(rules.nonGeographic ?? {})] as Rules[];

const digits = (min: number, max: number): fc.Arbitrary<string> => fc.array(fc.constantFrom(...'0123456789'), { minLength: min, maxLength: max }).map((all) => all.join(''));
/** A national number that a plan allows, with what may be dialled before it, or something near it. */
const nationalOf = (plan: Rules): fc.Arbitrary<string> => {
  const patterns = [plan[2], ...(plan[11] || []).flatMap((type) => (type && type[0] ? [type[0]] : []))];
  const prefixes = [plan[5], plan[7]].filter((prefix): prefix is string => typeof prefix === 'string' && prefix !== '');
  const prefix = prefixes.length === 0 ? fc.constant('') : fc.oneof(fc.constant(''), ...prefixes.map((pattern) => fc.stringMatching(new RegExp(`^(?:${pattern.replaceAll('$', '')})$`))));
  const whole = fc.constantFrom(...patterns).chain((pattern) => fc.stringMatching(new RegExp(`^(?:${pattern})$`)));
  const changed = fc.tuple(whole, fc.nat(), digits(0, 2), fc.nat({ max: 2 })).map(([number, at, other, cut]) => number.slice(0, at % (number.length + 1)) + other + number.slice((at % (number.length + 1)) + cut));
  return fc.tuple(prefix, fc.oneof(whole, changed)).map(([before, number]) => before + number);
};

function libraryOn(number: string, country?: CountryCode): 'valid' | 'possible' | 'neither' {
  const parsed = parsePhoneNumberFromString(number, { ...(country === undefined ? {} : { defaultCountry: country }), extract: false });
  return parsed === undefined ? 'neither' : parsed.isValid() ? 'valid' : parsed.isPossible() ? 'possible' : 'neither';
}

t.test('international numbers', async (t) => {
  const plans = new NumberPlans(rules);
  const number = fc.oneof(digits(0, 18), fc.constantFrom(...all).chain((plan) => nationalOf(plan).map((national) => plan[0] + national)), fc.tuple(fc.constantFrom(...all), digits(3, 14)).map(([plan, rest]) => plan[0] + rest));
  const seen = new Map<string, number>();
  fc.assert(fc.property(number, (number) => {
    const wanted = libraryOn(`+${number}`);
    seen.set(wanted, (seen.get(wanted) ?? 0) + 1);
    return plans.international(number) === wanted;
  }), { seed, numRuns: runs(4_000) });
  t.ok(Math.min(...['valid', 'possible', 'neither'].map((answer) => seen.get(answer) ?? 0)) > 50, `each answer is often right: ${JSON.stringify([...seen])}`);
});

t.test('numbers as dialled inside a country', async (t) => {
  const plans = new NumberPlans(rules);
  const asked = fc.constantFrom(...countries).chain((country) => fc.tuple(fc.constant(country), fc.oneof(digits(0, 14), digits(5, 12).map((rest) => `0${rest}`), nationalOf(rules.countries[country] as Rules))));
  let left = 0;
  fc.assert(fc.property(asked, ([country, number]) => {
    const answer = plans.national(country, number);
    if (answer === undefined) left += 1;
    return answer === undefined || answer === libraryOn(number, country);
  }), { seed, numRuns: runs(4_000) });
  t.ok(left < runs(2_000), `${left} were left to the library`);
});

t.test('a number is judged with its separators as the library judges it', async () => {
  const LOCAL = ['GB', 'DE', 'FR', 'IT', 'NL', 'AU', 'BE', 'AT', 'CH', 'SE', 'IE', 'JP', 'IN', 'ZA'] as const;
  const separator = fc.constantFrom('-', ' ', '.', '\u00a0', '\u2009', '\u202f', '\u2013');
  const local = fc.tuple(fc.constantFrom(...LOCAL).chain((country) => nationalOf(rules.countries[country] as Rules)), separator, fc.nat({ max: 4 }), fc.nat({ max: 4 }), fc.boolean());
  fc.assert(fc.property(local, ([national, mark, first, second, trunk]) => {
    const number = `${trunk ? '0' : ''}${national}`;
    const groups = [number.slice(0, first + 1), number.slice(first + 1, first + second + 3), number.slice(first + second + 3)].filter((group) => group !== '');
    const text = groups.join(mark);
    if (/(\d)\1{5}|(?:19|20)\d\d/.test(number) || number.length < 9 || number.length > 12 || groups.length !== 3 || (mark === '-' && /^\d{3}-\d\d-\d{4}$/.test(text)) || Number(groups[1]) === Number(groups[0]) + 1) return true;
    return PHONE_VALIDATORS['phone-local']!({ text, before: '' }) === LOCAL.some((country) => libraryOn(text, country) === 'valid');
  }), { seed, numRuns: runs(2_000) });
});

const NOUNS = 'phones?|telephones?|tel|mobile|fax|telefax|whatsapp|sms|hotline|helpline|landline|handset|telefone?|telefon[aeu]?|teléfono|téléphone|tél|telefono|telefoon|telefonnummer|rufnummer|handynummer|mobilnummer|mobil|handy|móvil|celular|cellulare|portable|gsm|komórka|puhelin|тел|телефон|τηλ|电话|電話|手机|전화';
const VERBS = 'call|calls|calling|called|dial|dialing|ring|text|texting|cell|reach|reached|answering|contact|contacted|office|pager|appele[zr]|llam[ae]r?|ligue|chiam[ai](?:re|te)?|anrufen|bellen|zadzwoń|звоните';
const FILLERS = 'numbers?|nummer|numéro|número|numero|num|no|nr|is|are|was|at|on|me|us|him|her|them|it|to|my|your|our|his|the|a|work|home|office|direct|line|back|now|today|via|or|and|here|for|support|customer|service|toll|free|by|under|unter|au|al|a|le|la|el|de|ist|est|es|phone|mobile|cell';
const GAP = `(?:[^\\p{L}\\p{N}]|(?:${FILLERS})(?![\\p{L}\\p{N}])){0,24}$`;
const NOUN_CONTEXT = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${NOUNS})(?![\\p{L}\\p{N}])${GAP}`, 'iu');
const VERB_CONTEXT = new RegExp(`(?<![\\p{L}\\p{N}_])(?:${VERBS})(?![\\p{L}\\p{N}])${GAP}`, 'iu');
const OBJECT_CONTEXT = /(?<![\p{L}\p{N}_])(?:call|reach|text|ring|phone|contact|dial)(?:\s[\p{L}.'’-]{1,20}){1,4}\s(?:at|on|via|under)[\s:]{1,3}$/iu;

t.test('the words before a number', async (t) => {
  const words = [...NOUNS.split('|'), ...VERBS.split('|'), ...FILLERS.split('|'), ...FILLERS.split('|')].map((word) => word.replace(/\?|\[(.).*\]|\(.*/g, '$1'));
  const word = fc.oneof(fc.constantFrom(...words), fc.constantFrom(...words).map((one) => one.toUpperCase()), fc.constantFrom('Ana', 'x', '7', 'ſms', 'ᲄел', 'is3', '_tel', 'call_', '𐐀', '\ud801', '\udc37', '\u0345', '😀'));
  const gap = fc.oneof(fc.constantFrom(' ', ' ', ' ', '', ': ', '. ', '_', '-', ' '.repeat(22), '😀', '\u0345'), fc.string({ maxLength: 3 }));
  let announced = 0;
  fc.assert(fc.property(fc.array(fc.tuple(word, gap), { maxLength: 7 }), (pairs) => {
    const before = pairs.flat().join('').slice(-64);
    // Two candidates: one that any word announces, one that needs a noun. Neither looks like a number of another kind.
    const isNoun = NOUN_CONTEXT.test(before);
    const isAny = isNoun || VERB_CONTEXT.test(before) || OBJECT_CONTEXT.test(before);
    if (/[\d$€£¥#]/.test(before.slice(-3))) return true;
    if (isAny) announced += 1;
    return PHONE_VALIDATORS['phone-announced']!({ text: '612 345 978', before }) === isAny && PHONE_VALIDATORS['phone-announced']!({ text: '6129358', before }) === isNoun;
  }), { seed, numRuns: runs(6_000) });
  t.ok(announced > runs(200), `${announced} were announced`);
});
