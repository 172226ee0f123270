/**
 * The project's own training texts: a template drawn, its slots filled with made-up identities, one to three of them in a
 * row. The spans are those of the slots that have a type. Same chance, same texts.
 */
import type { LabelledSpan, SpansRow } from '#model/recipe.ts';
import { address, city, country, dwelling, familyName, firm, givenName, LOCALES_OF, localeFor, one, person, postcode, region, street, streetName, thing, type Locale, type Random } from './identities.ts';
import { ABROAD } from './templates-abroad.ts';
import { NOTHING_EN } from './templates-nothing.ts';
import { ADDRESSES_EN, PEOPLE_EN, PLACES_EN } from './templates.ts';

export interface WrittenCounts {
  readonly english: number;
  /** Of each other language. */
  readonly abroad: number;
}

const JOBS = 'manager|nurse|lawyer|spokesman|director|teacher|engineer|analyst|chairman|professor|driver|accountant|minister|coach|singer|editor|consultant|secretary'.split('|');
const TITLES = 'Mr|Mr.|Mrs|Mrs.|Ms|Ms.|Dr|Dr.|Prof.|Sir|Miss|Dame|Rev.|Capt.|Lt.'.split('|');
const NOUNS = 'budget|garden|market|network|data|music|history|energy|water|climate|account|payment|invoice|project|recipe|camera|engine|physics|travel|insurance|design|health|school|policy|battery|password|database|gravity|novel|election|coffee|shadow|horse|window'.split('|');
const VERBS = 'build|fix|cook|plan|sell|learn|improve|write|design|clean|grow|test'.split('|');
const DAYS = 'Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday'.split('|');
const MONTHS = 'January|February|March|April|May|June|July|August|September|October|November|December'.split('|');
const LANGUAGES = 'English|French|German|Spanish|Italian|Chinese|Japanese|Russian|Hindi|Arabic|Dutch|Greek|Latin|Korean'.split('|');
const HEADINGS = 'Rules|Role|Tone|Goal|Task|Context|Input|Output|Format|Steps|Notes|Constraints|Examples|Style|Summary|Analysis|Overview|Background|Instructions|Setup|Usage|License|Features|Requirements|Response|Question|Answer|Warning|Important|Default|Options|Introduction|Conclusion|References|Schema|Promise|Cursor|Stone|Sharp|Golden|Unicode'.split('|');
const MODELS = 'Claude|Gemini|Grok|GPT|ChatGPT|Llama|Mistral|Copilot|Alexa|Siri|Cortana|Codex|Bard|Cursor|Midjourney|Kafka|Zod|React|Docker|Gradle|Maven|Jenkins|Ruby|Julia|Ada|Pascal|Haskell|Elixir|Django|Flask|Laravel|Redis|Cassandra|Hadoop|Tesla|Photoshop|Crunchbase|Dogecoin|Bitcoin'.split('|');
const CODES = 'uuid|xml|json|elif|len|urlopen|args|kwargs|async|await|lodash|numpy|pandas|axios|express|handlebars|duration|stdin|grayscale|sdxl|tmp|ctx|req|res|init|self|meta|glob|regex|utf|env'.split('|');
const LANDMARKS = 'the Eiffel Tower|Mount Everest|the Taj Mahal|Machu Picchu|the Colosseum|the Grand Canyon|Niagara Falls|Big Ben|Times Square|Central Park|the Golden Gate Bridge|Stonehenge|Mount Fuji|the Great Wall|the Black Sea|the Amazon River|Lake Victoria|the Alps|Red Square|the Sahara|Galata Tower|Route 66|the Louvre|Silicon Valley|Wall Street'.split('|');
const TAGS = 'love|MondayMotivation|news|fail|tbt|SaveTheDate|NowPlaying|weekend|football|music'.split('|');

const number = (random: Random): string => String(Math.floor(10 ** (random() * 3.7)));
const capital = (word: string): string => word[0].toUpperCase() + word.slice(1);

/** What fills a slot, and its type. */
const SLOTS: Readonly<Record<string, readonly [type: string | undefined, fill: (locale: Locale, random: Random) => string]>> = {
  person: ['PERSON', person], given: ['PERSON', givenName], family: ['PERSON', familyName],
  full: ['PERSON', (locale, random) => (random() < 0.85 ? `${givenName(locale, random)} ${familyName(locale, random)}` : person(locale, random))],
  FULL: ['PERSON', (locale, random) => `${givenName(locale, random)} ${familyName(locale, random)}`.toUpperCase()],
  city: ['LOCATION', city], region: ['LOCATION', region], country: ['LOCATION', country],
  address: ['ADDRESS', (locale, random) => address(locale, random)], lines: ['ADDRESS', (locale, random) => address(locale, random, true)],
  street: ['ADDRESS', street], streetname: ['ADDRESS', streetName], dwelling: ['ADDRESS', dwelling], postcode: ['ADDRESS', postcode],
  pobox: ['ADDRESS', (_, random) => `${one(['P.O. Box', 'PO Box', 'P. O. Box', 'Postfach', 'Apartado', 'BP'], random)} ${number(random)}`],
  firm: ['ORGANIZATION', firm],
  thing: [undefined, thing], job: [undefined, (_, random) => one(JOBS, random)], title: [undefined, (_, random) => one(TITLES, random)],
  noun: [undefined, (_, random) => one(NOUNS, random)], Noun: [undefined, (_, random) => capital(one(NOUNS, random))], verb: [undefined, (_, random) => one(VERBS, random)], Verb: [undefined, (_, random) => capital(one(VERBS, random))],
  camel: [undefined, (_, random) => one(NOUNS, random) + capital(one(NOUNS, random))], Camel: [undefined, (_, random) => capital(one(NOUNS, random)) + capital(one(NOUNS, random))],
  number: [undefined, (_, random) => number(random)], money: [undefined, (_, random) => `${one(['$', '€', '£', 'USD ', ''], random)}${number(random)}${one(['', '', '.00', ' euros', 'k'], random)}`],
  day: [undefined, (_, random) => one(DAYS, random)], month: [undefined, (_, random) => one(MONTHS, random)], year: [undefined, (_, random) => String(1850 + Math.floor(random() * 180))],
  date: [undefined, (_, random) => one([`${one(MONTHS, random)} ${1 + Math.floor(random() * 28)}, ${1950 + Math.floor(random() * 80)}`, `${1 + Math.floor(random() * 28)}/${1 + Math.floor(random() * 12)}/${1950 + Math.floor(random() * 80)}`, `20${10 + Math.floor(random() * 20)}-0${1 + Math.floor(random() * 9)}-1${Math.floor(random() * 9)}`], random)],
  phone: [undefined, (_, random) => `${one(['555-01', '(555) 555-01', '+1 555 555 01', '0555 01'], random)}${10 + Math.floor(random() * 90)}`],
  mail: [undefined, (locale, random) => `${givenName(locale, random).toLowerCase().replace(/[^a-z]/g, '')}${one(['', '.x', '1'], random)}@example.com`],
  url: [undefined, (_, random) => `${one(['http://example.com/', 'https://t.example/', 'www.example.org/'], random)}${one(NOUNS, random)}${number(random)}`],
  tag: [undefined, (_, random) => one(TAGS, random)], handle: [undefined, (locale, random) => `${one(NOUNS, random)}_${givenName(locale, random).toLowerCase().replace(/[^a-z]/g, '')}${number(random)}`],
  list: [undefined, (_, random) => {
    const values = Array.from({ length: 3 + Math.floor(random() * 7) }, () => String(Math.floor(10 ** (random() * 2.2)))).join(one([', ', ', ', ',', ' '], random));
    return one([`[${values}]`, `[${values}]`, `{${values}}`, `(${values})`, values, `{ ${values} }`], random);
  }],
  language: [undefined, (_, random) => one(LANGUAGES, random).toLowerCase()], Language: [undefined, (_, random) => one(LANGUAGES, random)],
  Heading: [undefined, (_, random) => one(HEADINGS, random)], Model: [undefined, (_, random) => one(MODELS, random)], code: [undefined, (_, random) => one(CODES, random)],
  landmark: ['LOCATION', (_, random) => one(LANDMARKS, random)],
  letters: [undefined, (_, random) => one(['LH', 'AF', 'BA', 'UA', 'XR', 'QT', 'ZX', 'E'], random)],
};

const SLOT = /\{([A-Za-z]+)\}|\\n/g;

/** A template with its slots filled. */
export function filled(template: string, locale: Locale, random: Random): { readonly text: string; readonly spans: readonly LabelledSpan[] } {
  const spans: LabelledSpan[] = [];
  let text = '', at = 0;
  for (const found of template.matchAll(SLOT)) {
    text += template.slice(at, found.index);
    at = found.index + found[0].length;
    const slot = found[1] === undefined ? undefined : SLOTS[found[1]];
    if (slot === undefined) {
      text += found[1] === undefined ? '\n' : found[0];
      continue;
    }
    const [type, fill] = slot;
    const value = fill(locale, random);
    if (type !== undefined) spans.push({ type, start: text.length, end: text.length + value.length });
    text += value;
  }
  return { text: text + template.slice(at), spans };
}

const ENGLISH: readonly (readonly [templates: readonly string[], share: number])[] = [[PEOPLE_EN, 0.35], [ADDRESSES_EN, 0.22], [PLACES_EN, 0.08], [NOTHING_EN, 0.35]];

function drawn(language: string, random: Random): string {
  if (language !== 'en') return one(ABROAD[language], random);
  let left = random();
  return one(ENGLISH.find(([, share]) => (left -= share) < 0)![0], random);
}

function written(language: string, random: Random): SpansRow {
  const locale = localeFor(language, random);
  let text = '';
  const spans: LabelledSpan[] = [];
  const sentences = random() < 0.7 ? 1 : random() < 0.6 ? 2 : 3;
  for (let sentence = 0; sentence < sentences; sentence += 1) {
    const next = filled(drawn(language, random), locale, random);
    if (text !== '') text += one([' ', ' ', '\n'], random);
    spans.push(...next.spans.map(({ type, start, end }) => ({ type, start: start + text.length, end: end + text.length })));
    text += next.text;
  }
  return { text, spans, source: `written-${language}`, weight: 1 };
}

export function writtenRows(random: Random, { english, abroad }: WrittenCounts): readonly SpansRow[] {
  return Object.keys(LOCALES_OF).flatMap((language) => Array.from({ length: language === 'en' ? english : abroad }, () => written(language, random)));
}

