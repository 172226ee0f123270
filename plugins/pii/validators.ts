/**
 * Decides which candidates are telephone numbers: number plans, and the words that stand before a number. The only door
 * to libphonenumber-js.
 *
 * Every function is pure and linear in the candidate (at most a few dozen characters) and its context (64). What is
 * refused here stays in the text, so a rule refuses only what is surely something else: a date, an address, counting.
 */
import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min';
import type { Candidate, Validator } from '#contract/classifier.ts';

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
function isInternationalPhone({ text }: Candidate): boolean {
  const dialled = readDialled(text);
  if (DATE.test(dialled.number)) return false;
  const hasPlus = dialled.number.includes('+');
  const digits = dialled.number.replace('(0)', '').replace(/\D/g, '');
  // E.164 numbers have at most fifteen digits; fewer than seven is no number anywhere.
  const national = hasPlus ? digits : digits.slice(2);
  const parsed = national.length < 7 || national.length > 15 ? undefined : parsePhoneNumberFromString(`+${national}`);
  if (parsed === undefined) return false;
  if (parsed.isValid()) return hasPlus || dialled.groups.length > 1;
  return hasPlus && dialled.groups.length > 2 && parsed.isPossible();
}

/** Three, three and four digits as in North America, with dashes, dots, spaces, parentheses. */
function isNorthAmericanPhone({ text, before }: Candidate): boolean {
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
function isLocalPhone({ text, before }: Candidate): boolean {
  const dialled = readDialled(text);
  const { digits, number } = dialled;
  if (digits.length < 9 || digits.length > 12 || isOtherNumber(dialled, before)) return false;
  // Behind the area code, people keep to one separator; a change of it is where the next number begins.
  const separators = number.match(/(?<=\d)\D(?=\d)/g) ?? [];
  if (new Set(separators.slice(1)).size > 1) return false;
  return LOCAL_COUNTRIES.some((country) => isValidIn(country, number));
}

/** Any grouping of six to fourteen digits, right behind a word that announces a telephone number. */
function isAnnouncedPhone({ text, before }: Candidate): boolean {
  // Rows of numbers meet this at every length: look for a word before anything that costs.
  if (!/\p{L}/u.test(before)) return false;
  const dialled = readDialled(text);
  if (dialled.digits.length < 6 || dialled.digits.length > 14 || isOtherNumber(dialled, before)) return false;
  return hasPhoneContext(before, dialled);
}

function hasPhoneContext(before: string, dialled: Dialled): boolean {
  if (announced.before !== before) {
    announced.before = before;
    announced.byNoun = NOUN_CONTEXT.test(before);
    announced.byVerb = undefined;
  }
  if (announced.byNoun) return true;
  if (dialled.groups.length === 1 && dialled.digits.length < 9) return false;
  announced.byVerb ??= VERB_CONTEXT.test(before) || OBJECT_CONTEXT.test(before);
  return announced.byVerb;
}

/** What the last context says: every length of a candidate asks again. */
const announced: { before: string; byNoun: boolean; byVerb: boolean | undefined } = { before: '', byNoun: NOUN_CONTEXT.test(''), byVerb: undefined };

/** By the name that `validate:` gives in a pattern file. */
export const PHONE_VALIDATORS: Readonly<Record<string, Validator>> = {
  'phone-international': isInternationalPhone,
  'phone-north-america': isNorthAmericanPhone,
  'phone-local': isLocalPhone,
  'phone-announced': isAnnouncedPhone,
};
