/**
 * The presidio classifier: personal data found by a Presidio analyzer over its REST interface. Its entities come under
 * our names, so that a rule on `*.EMAIL` means both; scores are as given; spans, which Presidio counts in code points,
 * are turned into UTF-16. A category that it did not list was not found: 0.
 */
import type { CreateClassifier } from '#contract/classifier.ts';
import { DIRECTIONS } from '#contract/screening.ts';
import { JsonService, ServiceError } from '../http/client.ts';
import { compileAnswer } from '../http/mapping.ts';
import { isMapping, kindOf, readCount, readList, readService, readText, readUrl, refuseUnknown, type Given } from '../http/options.ts';
import { resultsFrom, resultsOrUnknown, unknownResults } from '../http/results.ts';

const OPTIONS = ['url', 'api_key', 'headers', 'language', 'entities', 'directions', 'content_chars_max', 'connections'] as const;

/** Presidio's names to ours. */
export const ENTITIES: Readonly<Record<string, string>> = {
  PERSON: 'PERSON', LOCATION: 'LOCATION', EMAIL_ADDRESS: 'EMAIL', PHONE_NUMBER: 'PHONE_NUMBER', CREDIT_CARD: 'CREDIT_CARD', IBAN_CODE: 'IBAN',
  IP_ADDRESS: 'IP_ADDRESS', MAC_ADDRESS: 'MAC_ADDRESS', CRYPTO: 'CRYPTO_WALLET', US_BANK_NUMBER: 'BANK_ACCOUNT', US_SSN: 'US_SSN',
  US_PASSPORT: 'PASSPORT', UK_PASSPORT: 'PASSPORT', IT_PASSPORT: 'PASSPORT', IN_PASSPORT: 'PASSPORT',
  US_DRIVER_LICENSE: 'DRIVER_LICENSE', UK_DRIVING_LICENCE: 'DRIVER_LICENSE', IT_DRIVER_LICENSE: 'DRIVER_LICENSE',
  MEDICAL_LICENSE: 'MEDICAL_ID', UK_NHS: 'MEDICAL_ID', AU_MEDICARE: 'MEDICAL_ID', US_MBI: 'MEDICAL_ID',
  US_ITIN: 'NATIONAL_ID', UK_NINO: 'NATIONAL_ID', ES_NIF: 'NATIONAL_ID', ES_NIE: 'NATIONAL_ID', IT_FISCAL_CODE: 'NATIONAL_ID', IT_IDENTITY_CARD: 'NATIONAL_ID',
  PL_PESEL: 'NATIONAL_ID', SG_NRIC_FIN: 'NATIONAL_ID', AU_TFN: 'NATIONAL_ID', IN_PAN: 'NATIONAL_ID', IN_AADHAAR: 'NATIONAL_ID', IN_VOTER: 'NATIONAL_ID',
  FI_PERSONAL_IDENTITY_CODE: 'NATIONAL_ID', KR_RRN: 'NATIONAL_ID', TH_TNIN: 'NATIONAL_ID',
};

/** A longer text is not sent: its scores are unknown (unsupported). The analyzer takes seconds for such a text. */
export const CONTENT_CHARS_MAX = 100_000;

const createPresidio: CreateClassifier = (given) => {
  refuseUnknown(given, OPTIONS);
  const { id } = given;
  const url = readUrl(given, 'url');
  const language = readText(given, 'language') ?? 'en';
  if (!/^[a-z]{2,3}$/.test(language)) throw new Error('language: expected a tag such as en');
  const entities = readEntities(given);
  const theirsOf = (category: string): string => Object.keys(entities).filter((theirs) => entities[theirs] === category).join(', ');
  const categories = [...new Set(Object.values(entities))].map((id) => ({ id, definition: `Presidio: ${theirsOf(id)}` }));
  // Entities that the operator listed are asked for; by default the analyzer tells all that it knows of the language.
  const asked = given.entities === undefined ? {} : { entities: Object.keys(entities) };
  const shape = { results: '$', category: 'entity_type', start: 'start', end: 'end', offsets: 'code_points', names: entities, omitted: 'zero' };
  const answer = compileAnswer(shape, Object.values(entities));
  const charsMax = readCount(given, 'content_chars_max', { min: 1, max: 1_000_000, fallback: CONTENT_CHARS_MAX });
  const service = new JsonService(readService(given, url, ['authorization', 'Bearer ']));
  return {
    id,
    version: '1',
    categories,
    directions: readList(given, 'directions', DIRECTIONS, DIRECTIONS),
    contentTypes: ['text'],
    languages: [language],
    cost: 'slow',
    needsContext: false,
    idempotent: true,
    classify: async ({ content }, signal) => {
      if (content.length > charsMax) return unknownResults({ id, categories }, 'unsupported');
      return resultsOrUnknown({ id, categories }, async () => {
        const found = await service.post(url.pathname + url.search, { text: content, language, ...asked }, signal);
        if (isMapping(found)) throw new ServiceError('error', 'the analyzer answered an object and no list');
        return resultsFrom({ id, categories }, answer.read(found, content), answer.omitted);
      });
    },
    close: () => service.close(),
  };
};

export default createPresidio;

const ENTITIES_MAX = 100;

/** `[PERSON, US_SSN]`, or `{ EMPLOYEE_NUMBER: NATIONAL_ID }` for recognizers of one's own. */
function readEntities(given: Given): Readonly<Record<string, string>> {
  const { entities } = given;
  if (entities === undefined) return ENTITIES;
  const listed = Array.isArray(entities) ? entities.map((theirs): readonly [unknown, unknown] => [theirs, ENTITIES[theirs as string] ?? theirs]) : undefined;
  const named = listed ?? (isMapping(entities) ? Object.entries(entities) : []);
  if (named.length === 0 || named.length > ENTITIES_MAX) throw new Error(`entities: expected from 1 to ${ENTITIES_MAX} of Presidio's names, in a list or with ours, got ${kindOf(entities)}`);
  const wrong = named.flat().find((name) => typeof name !== 'string' || !/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name));
  if (wrong !== undefined) throw new Error('entities: a name is of letters, digits, _ and -');
  return Object.fromEntries(named) as Record<string, string>;
}
