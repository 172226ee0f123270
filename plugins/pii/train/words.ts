/**
 * What the tagger is told of single words: whether made-up people, places and streets have them (lists of the training
 * generator), a few lists of our own, how a word is written inside sentences of the unlabelled rows, and the words that
 * stand where it stands. All become hashes with bits; no list is shipped in clear.
 */
import { tokenHash } from '#model/tokens.ts';
import { CLASSES_MAX, wordValue } from '#model/word-table.ts';
import { LOCALES, fakerOf, listsFor } from './identities.ts';

export const CLASSES = ['given', 'family', 'city', 'region', 'country', 'street', 'title', 'firm', 'calendar', 'place', 'kin', 'always_lower', 'mostly_lower', 'either', 'mostly_capital', 'always_capital', 'frequent', 'given_or_word', 'plain'] as const;

const OWN: Readonly<Partial<Record<(typeof CLASSES)[number], string>>> = {
  street: 'street st avenue ave road rd lane ln drive dr boulevard blvd court ct place pl way terrace crescent close square parkway pkwy circle row highway hwy trail grove alley mews apt apartment suite ste unit flat floor box po building bldg house straße strasse str platz weg allee gasse ring ufer rue place chemin impasse quai cours calle avenida plaza paseo carretera camino via viale piazza corso vicolo largo rua travessa praça alameda straat laan plein gracht kade dijk postfach postbus apartado',
  title: 'mr mrs ms miss dr prof professor sir madam lord lady dame rev reverend captain capt lt lieutenant sgt sergeant major colonel general president senator governor mayor judge minister chancellor king queen prince princess pope bishop coach officer detective herr frau monsieur madame mme mlle señor señora sr sra srta signor signora sig dott senhor senhora dona don mevrouw meneer dhr mw uncle aunt saint',
  firm: 'inc ltd llc corp corporation company co gmbh ag sa spa bv nv plc group bank holdings partners associates foundation university college institute hospital club band records fc united airlines ministry department agency',
  calendar: 'monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november december jan feb mar apr jun jul aug sept sep oct nov dec mon tue wed thu fri sat sun christmas easter montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz mai juni juli oktober dezember lundi mardi mercredi jeudi vendredi samedi dimanche janvier février mars avril juin juillet août septembre octobre novembre décembre lunes martes miércoles jueves viernes sábado domingo enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre',
  place: 'city town village county province state region island islands lake river mount mountain valley bay beach north south east west northern southern eastern western central new san santa saint los las bad',
  kin: 'mother father mom mum dad brother sister wife husband son daughter friend boss uncle aunt cousin girlfriend boyfriend partner colleague neighbour neighbor named called name mutter vater bruder schwester freund freundin mère père frère sœur ami amie madre padre hermano hermana amigo amiga nome name nom nombre',
};

/** Shares of capitals inside sentences that part the classes of writing. */
const ALWAYS_LOWER = 0.05;
const MOSTLY_LOWER = 0.25;
const EITHER = 0.65;
const MOSTLY_CAPITAL = 0.93;
const TELLING_MIN = 5;
const FREQUENT_MIN = 1_500;
/** In small letters a word of these may be part of a name or of an address all the same. */
const NEVER_PLAIN: readonly (typeof CLASSES)[number][] = ['given', 'family', 'street', 'title', 'kin', 'calendar'];

interface Counts {
  readonly seen: number;
  readonly lower: number;
  readonly capital: number;
}

const bitOf = (name: (typeof CLASSES)[number]): number => 1 << CLASSES.indexOf(name);

/** Hash and value of each word in turn. */
export function wordEntries(counts: ReadonlyMap<number, Counts>, clusters: ReadonlyMap<number, number>): Int32Array {
  if (CLASSES.length > CLASSES_MAX) throw new Error('too many classes of words');
  const bits = new Map<number, number>();
  const add = (hash: number, name: (typeof CLASSES)[number]): unknown => bits.set(hash, (bits.get(hash) ?? 0) | bitOf(name));
  const addAll = (phrases: readonly string[], name: (typeof CLASSES)[number], shortest = 2): void => {
    for (const phrase of phrases) for (const word of phrase.match(/[\p{L}\p{M}]+/gu) ?? []) if (word.length >= shortest && word !== word.toLowerCase()) add(tokenHash(word), name);
  };
  for (const locale of LOCALES) {
    const { given, family, cities, regions, countries } = listsFor(locale);
    addAll(given, 'given');
    addAll(family, 'family');
    addAll(cities, 'city', 3);
    addAll(regions, 'region', 3);
    addAll(countries, 'country', 4);
    const own = (fakerOf(locale).rawDefinitions as Readonly<Record<string, Readonly<Record<string, unknown>>>>).location;
    for (const name of ['street_suffix', 'street_prefix']) addAll([own?.[name] ?? []].flat().filter((value) => typeof value === 'string'), 'street');
  }
  for (const [name, words] of Object.entries(OWN)) for (const word of words.split(' ')) add(tokenHash(word), name as (typeof CLASSES)[number]);
  for (const [hash, { seen, lower, capital }] of counts) {
    const told = lower + capital;
    if (seen >= FREQUENT_MIN) add(hash, 'frequent');
    if (told < TELLING_MIN) continue;
    const share = capital / told;
    add(hash, share < ALWAYS_LOWER ? 'always_lower' : share < MOSTLY_LOWER ? 'mostly_lower' : share < EITHER ? 'either' : share < MOSTLY_CAPITAL ? 'mostly_capital' : 'always_capital');
    const known = bits.get(hash) ?? 0;
    if (share < MOSTLY_LOWER && (known & bitOf('given')) !== 0) add(hash, 'given_or_word');
    if ((share < ALWAYS_LOWER || (share < MOSTLY_LOWER && seen >= FREQUENT_MIN)) && NEVER_PLAIN.every((name) => (known & bitOf(name)) === 0)) add(hash, 'plain');
  }
  const hashes = [...new Set([...bits.keys(), ...clusters.keys()])].sort((a, b) => a - b);
  return Int32Array.from(hashes.flatMap((hash) => [hash, wordValue(bits.get(hash) ?? 0, clusters.get(hash) ?? 0)]));
}
