/**
 * Made-up people, places and firms for training texts: values that @faker-js/faker invents, by locale, and how each
 * country writes them. The only door to that package, which is there for development alone. Same chance, same values.
 */
import { allFakers, type Faker } from '@faker-js/faker';

export type Random = () => number;

/** The name in a text and the type that it is labelled with; without a type it is an ordinary word. */
export interface Said {
  readonly text: string;
  readonly type?: string;
}

/** In Latin letters; the first are drawn more often. */
export const LOCALES = [
  'en_US', 'en_GB', 'de', 'fr', 'es', 'it', 'nl', 'pt_BR', 'en_IN', 'pl', 'sv', 'en_AU', 'es_MX', 'de_CH', 'de_AT', 'cs_CZ', 'fi', 'hu', 'da', 'nb_NO', 'pt_PT', 'id_ID', 'vi', 'ro', 'sl_SI', 'lv', 'af_ZA', 'en_NG', 'fr_CA',
  'sr_RS_latin', 'sk', 'hr', 'tr', 'en_CA', 'en_IE', 'en_GH', 'fr_BE', 'nl_BE', 'zu_ZA', 'yo_NG', 'uz_UZ_latin',
] as const;
export type Locale = (typeof LOCALES)[number];

/** Those whose language a text is written in. */
export const LOCALES_OF: Readonly<Record<string, readonly Locale[]>> = {
  en: LOCALES, de: ['de', 'de_CH', 'de_AT'], fr: ['fr', 'fr_CA', 'fr_BE'], es: ['es', 'es_MX'], it: ['it'], nl: ['nl', 'nl_BE'], pt: ['pt_BR', 'pt_PT'],
};

interface Lists {
  readonly given: readonly string[];
  readonly family: readonly string[];
  readonly cities: readonly string[];
  readonly regions: readonly string[];
  readonly countries: readonly string[];
}

type Definitions = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function flat(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(flat);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(flat) : [];
}

/** What a locale has of its own; without it, what English has. */
function listsOf(locale: Locale): Lists {
  const own = fakerOf(locale).rawDefinitions as Definitions;
  const names = (value: unknown): readonly string[] => flat(value).filter((name) => /^\p{Lu}[\p{L}\p{M}'’. -]+$/u.test(name));
  return { given: names(own.person?.first_name), family: names(own.person?.last_name), cities: names(own.location?.city_name), regions: names(own.location?.state), countries: names(own.location?.country) };
}

const lists = new Map<Locale, Lists>();

export function listsFor(locale: Locale): Lists {
  let own = lists.get(locale);
  if (own === undefined) lists.set(locale, (own = listsOf(locale)));
  return own;
}

export function fakerOf(locale: Locale): Faker {
  return allFakers[locale];
}

export function one<T>(list: readonly T[], random: Random): T {
  return list[Math.floor(random() * list.length)];
}

/** Earlier locales more often. */
export function localeFor(language: string, random: Random): Locale {
  const locales = LOCALES_OF[language];
  return locales[Math.floor(locales.length * random() ** 1.7)];
}

/** A value that the locale's rules make, in the order that chance says. */
function made(locale: Locale, random: Random, make: (faker: Faker) => string): string {
  const faker = fakerOf(locale);
  faker.seed(Math.floor(random() * 2 ** 31));
  return make(faker);
}

export function givenName(locale: Locale, random: Random): string {
  return one(listsFor(locale).given, random);
}

export function familyName(locale: Locale, random: Random): string {
  return one(listsFor(locale).family, random);
}

const INITIALS = 'ABCDEFGHIJKLMNOPRSTVW';

/** A person as people write one. */
export function person(locale: Locale, random: Random): string {
  const [given, family] = [givenName(locale, random), familyName(locale, random)];
  const draw = random();
  if (draw < 0.3) return given;
  if (draw < 0.76) return `${given} ${family}`;
  if (draw < 0.81) return `${given} ${one([...INITIALS], random)}. ${family}`;
  if (draw < 0.84) return `${given} ${givenName(locale, random)} ${family}`;
  if (draw < 0.87) return `${one([...INITIALS], random)}. ${family}`;
  if (draw < 0.9) return `${given} ${one(['de', 'van', 'von', 'van der', 'de la', 'bin', 'al', 'Mc', 'O\'', 'del', 'da', 'St.'], random)}${random() < 0.5 ? ' ' : ''}${family}`;
  if (draw < 0.92) return `${given} ${family}-${familyName(locale, random)}`;
  if (draw < 0.94) return `${given}-${givenName(locale, random)} ${family}`;
  return draw < 0.97 ? family : `${given} ${family[0]}.`;
}

export function city(locale: Locale, random: Random): string {
  const { cities } = listsFor(locale);
  return cities.length > 0 && random() < 0.8 ? one(cities, random) : made(locale, random, (faker) => faker.location.city());
}

export function region(locale: Locale, random: Random): string {
  const { regions } = listsFor(locale);
  return regions.length > 0 ? one(regions, random) : one(listsFor('en_US').regions, random);
}

export function country(locale: Locale, random: Random): string {
  const { countries } = listsFor(locale);
  return one(countries.length > 0 ? countries : listsFor('en_US').countries, random);
}

export function street(locale: Locale, random: Random): string {
  const known = random();
  if (locale.startsWith('en') && known < 0.35) return `${Math.floor(1 + random() ** 2 * 9000)} ${one(STREETS_EN, random)} ${one(SUFFIXES_EN, random)}`;
  return made(locale, random, (faker) => faker.location.streetAddress());
}

/** A street without a number. */
export function streetName(locale: Locale, random: Random): string {
  if (locale.startsWith('en') && random() < 0.5) return `${one(STREETS_EN, random)} ${one(SUFFIXES_EN, random)}`;
  return made(locale, random, (faker) => faker.location.street());
}

const STREETS_EN = 'Main|Oak|Maple|Cedar|Elm|Pine|Washington|Lake|Hill|Park|Church|Station|Victoria|Queen|King|High|Mill|Market|Chestnut|Walnut|Spring|North|South|West|East|River|Sunset|Highland|Forest|Jackson|Lincoln|Franklin|2nd|5th|42nd|Bridge|Garden|Old Mill|Green|Manor|Grange|Springfield|Broad|Union|Prospect|Willow|Cherry|Dogwood|Meadow|Valley View|Ridge|College|Canal|Harbour|Mission|Ocean|Rose|Orchard|Bay|Castle|Abbey'.split('|');
const SUFFIXES_EN = 'Street|St|St.|Avenue|Ave|Ave.|Road|Rd|Rd.|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Way|Terrace|Crescent|Close|Square|Parkway|Circle|Row|Highway|Trail|Grove'.split('|');

export function dwelling(locale: Locale, random: Random): string {
  const number = Math.floor(1 + random() * 990);
  const letter = one(['', '', '', 'A', 'B', 'C', '-2'], random);
  if (random() < 0.4) return made(locale, random, (faker) => faker.location.secondaryAddress());
  return `${one(['Apt.', 'Apt', 'Apartment', 'Suite', 'Ste', 'Unit', 'Flat', '#', 'Room', 'Floor', 'Bldg', 'Building', 'apt', 'No.'], random)}${random() < 0.93 ? ' ' : ''}${number}${letter}`;
}

export function postcode(locale: Locale, random: Random): string {
  const digits = (count: number): string => Array.from({ length: count }, () => Math.floor(random() * 10)).join('');
  const letters = (count: number): string => Array.from({ length: count }, () => one([...'ABCDEFGHJKLMNPRSTUVWXYZ'], random)).join('');
  if (locale === 'en_GB') return random() < 0.5 ? `${letters(2)}${digits(1)} ${digits(1)}${letters(2)}` : `${letters(1)}${digits(2)} ${digits(1)}${letters(2)}`;
  if (locale === 'en_CA') return `${letters(1)}${digits(1)}${letters(1)} ${digits(1)}${letters(1)}${digits(1)}`;
  if (locale === 'nl') return `${1 + Math.floor(random() * 9)}${digits(3)} ${letters(2)}`;
  if (locale === 'en_US' && random() < 0.2) return `${digits(5)}-${digits(4)}`;
  return random() < 0.5 ? made(locale, random, (faker) => faker.location.zipCode()) : digits(5);
}

const STATES = 'AL AK AZ AR CA CO CT DE FL GA HI IL IN IA KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH NJ NM NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY'.split(' ');

/** A whole postal address, in one line or several. */
export function address(locale: Locale, random: Random, lines = random() < 0.25): string {
  const gap = lines ? one(['\n', '\n', '\n ', ',\n'], random) : ', ';
  const [where, place, code] = [street(locale, random), city(locale, random), postcode(locale, random)];
  const withFlat = random() < 0.35 ? `${where}${lines ? gap : one([', ', ' ', ', '], random)}${dwelling(locale, random)}` : where;
  const state = one(STATES, random);
  if (locale === 'en_US') return one([`${withFlat}${gap}${place}, ${state} ${code}`, `${withFlat}${gap}${place}${gap}${region(locale, random)} ${code}`, `${withFlat} ${place} ${state} ${code}`, `${withFlat}${gap}${place}, ${state}`, `${withFlat}${gap}${place} ${code}`], random);
  if (locale.startsWith('en')) return one([`${withFlat}${gap}${place}${lines ? gap : ' '}${code}`, `${withFlat}${gap}${place}`, `${withFlat}${gap}${place}${gap}${country(locale, random)}`, `${withFlat} ${place} ${code}`], random);
  return one([`${withFlat}${gap}${code} ${place}`, `${withFlat}${gap}${code} ${place}`, `${withFlat} ${code} ${place}`, `${withFlat}${gap}${place}`, `${withFlat}${gap}${code} ${place}${gap}${country(locale, random)}`], random);
}

export function firm(locale: Locale, random: Random): string {
  const draw = random();
  if (draw < 0.5) return made(locale, random, (faker) => faker.company.name());
  if (draw < 0.7) return `${familyName(locale, random)} ${one(['Ltd', 'Inc.', 'GmbH', 'Corp', 'LLC', '& Sons', 'Group', 'Bank', 'Partners', 'Foundation', 'Airlines', 'University', 'Hospital', 'Motors', 'Pharma', 'Media', 'Records', 'Hotel', 'Labs', 'AG', 'S.A.', 'BV', 'Institute', 'Insurance'], random)}`;
  return `${one('Northern|United|Global|Blue|Silver|First|Royal|Pacific|Atlantic|Central|Digital|Green|Open|Rapid|Smart|Quantum|Bright|Red'.split('|'), random)} ${one('Systems|Bank|Software|Foods|Energy|Logistics|Airways|Media|Labs|Dynamics|Health|Networks|Capital|Steel|Robotics|Studios|Telecom'.split('|'), random)}`;
}

/** Capitalised things that are neither people nor places. */
export function thing(locale: Locale, random: Random): string {
  return made(locale, random, (faker) => one([
    () => faker.commerce.productName(), () => faker.book.title(), () => faker.music.songName(), () => faker.vehicle.vehicle(), () => faker.animal.type(), () => faker.science.chemicalElement().name,
    () => faker.commerce.department(), () => faker.food.dish(), () => faker.hacker.noun(), () => faker.vehicle.manufacturer(), () => faker.music.genre(), () => faker.finance.currencyName(), () => faker.person.jobTitle(),
  ], random)());
}
