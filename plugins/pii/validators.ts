/**
 * Decides which candidates are telephone numbers: number plans, and the words that stand before a number. The only door
 * to libphonenumber-js.
 *
 * Every function is pure and linear in the candidate (at most a few dozen characters) and its context (64). What is
 * refused here stays in the text, so a rule refuses only what is surely something else: a date, an address, counting.
 */
import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min';
import metadata from 'libphonenumber-js/min/metadata';
import type { Candidate, Validator } from '#contract/classifier.ts';
import { NumberPlans } from './plans.ts';

const plans = new NumberPlans(metadata);

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
const wholly = (words: string): RegExp => new RegExp(`^(?:${words})$`, 'iu');
const NOUN = wholly(PHONE_NOUNS);
const VERB = wholly(PHONE_VERBS);
const FILLER = wholly(PHONE_FILLERS);
/** Most fillers and characters that are no letters or digits between the word and the number. */
const GAP_MAX = 24;
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/iu;
const PREPOSITION = wholly('at|on|via|under');
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
  const number = withoutExtension(text);
  return { number, digits: digitsOf(number), hasExtension: number.length < text.length, groups: number.match(/\d+/g) ?? [] };
}

function withoutExtension(text: string): string {
  return /[xX#]/.test(text) ? text.replace(EXTENSION, '') : text;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function digitsOf(text: string): string {
  let digits = '';
  for (let i = 0; i < text.length; i += 1) if (isDigit(text, i)) digits += text[i]!;
  return digits;
}

/** How many rows of digits there are. */
function groupsIn(text: string): number {
  let groups = 0;
  for (let i = 0; i < text.length; i += 1) if (isDigit(text, i) && !isDigit(text, i - 1)) groups += 1;
  return groups;
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

/** Separators that the library reads. */
const SEPARATED_DIGITS = /^[\d\-\u2010-\u2014./ \u00a0()]*$/;

function isValidIn(country: CountryCode, number: string, digits: string): boolean {
  const answer = SEPARATED_DIGITS.test(number) ? plans.national(country, digits) : undefined;
  return answer === undefined ? parsePhoneNumberFromString(number, { defaultCountry: country, extract: false })?.isValid() === true : answer === 'valid';
}

/** A number of the plan of the country behind `+` or `00`; of the right length only where `+` and groups say so. */
function isInternationalPhone({ text }: Candidate): boolean {
  const number = withoutExtension(text);
  const hasPlus = number.includes('+');
  const digits = digitsOf(number.replace('(0)', ''));
  // E.164 numbers have at most fifteen digits; fewer than seven is no number anywhere.
  const national = hasPlus ? digits : digits.slice(2);
  if (national.length < 7 || national.length > 15) return false;
  const answer = plans.international(national);
  if (answer === 'neither' || groupsIn(number) <= (answer === 'possible' ? 2 : hasPlus ? 0 : 1)) return false;
  return (answer === 'valid' || hasPlus) && !DATE.test(number);
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
  return !written && isValidIn('US', national, national);
}

/** A trunk zero and groups, valid in the plan of a country that writes its numbers so. */
function isLocalPhone({ text, before }: Candidate): boolean {
  const dialled = readDialled(text);
  const { digits, number } = dialled;
  if (digits.length < 9 || digits.length > 12 || isOtherNumber(dialled, before)) return false;
  // Behind the area code, people keep to one separator; a change of it is where the next number begins.
  const separators = number.match(/(?<=\d)\D(?=\d)/g) ?? [];
  if (new Set(separators.slice(1)).size > 1) return false;
  return LOCAL_COUNTRIES.some((country) => isValidIn(country, number, digits));
}

/** Any grouping of six to fourteen digits, right behind a word that announces a telephone number. */
function isAnnouncedPhone({ text, before }: Candidate): boolean {
  // Rows of numbers meet this at every length: look for a word before anything that costs.
  if (!isAnnounced(before)) return false;
  const dialled = readDialled(text);
  if (dialled.digits.length < 6 || dialled.digits.length > 14 || isOtherNumber(dialled, before)) return false;
  return hasPhoneContext(before, dialled);
}

function hasPhoneContext(before: string, dialled: Dialled): boolean {
  if (!isAnnounced(before)) return false;
  return announced.byNoun || dialled.groups.length !== 1 || dialled.digits.length >= 9;
}

/** What the last context says: every length of a candidate asks again. */
const announced = { before: '', byNoun: false, byVerb: false };

function isAnnounced(before: string): boolean {
  if (announced.before !== before) {
    announced.before = before;
    announced.byNoun = false;
    announced.byVerb = false;
    readAnnouncement(before);
  }
  return announced.byNoun || announced.byVerb;
}

/** Goes back over what may stand between the number and the word that announces it, a word at a time. */
function readAnnouncement(before: string): void {
  let end = before.length;
  let isFirst = true;
  for (let gap = 0; end > 0; gap += 1) {
    while (end > 0 && !isWordAt(before, end)) {
      end -= characterBefore(before, end);
      gap += 1;
    }
    if (gap > GAP_MAX || end === 0) return;
    let start = end;
    while (start > 0 && isWordAt(before, start)) start -= characterBefore(before, start);
    const word = before.slice(start, end);
    if (before[start - 1] !== '_') {
      announced.byNoun ||= NOUN.test(word);
      announced.byVerb ||= VERB.test(word);
    }
    if (announced.byNoun || !FILLER.test(word)) return;
    if (isFirst && !announced.byVerb && PREPOSITION.test(word)) announced.byVerb = OBJECT_CONTEXT.test(before);
    isFirst = false;
    end = start;
  }
}

/** Whether the character that ends at `end` is a letter or digit. */
function isWordAt(text: string, end: number): boolean {
  const code = text.charCodeAt(end - 1);
  if (code < 0x80) return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
  return LETTER_OR_DIGIT.test(text.slice(end - characterBefore(text, end), end));
}

/** How many code units the character that ends at `end` takes. */
function characterBefore(text: string, end: number): number {
  return end > 1 && text.charCodeAt(end - 1) >>> 10 === 0x37 && text.charCodeAt(end - 2) >>> 10 === 0x36 ? 2 : 1;
}

/** By the name that `validate:` gives in a pattern file. */
export const PHONE_VALIDATORS: Readonly<Record<string, Validator>> = {
  'phone-international': isInternationalPhone,
  'phone-north-america': isNorthAmericanPhone,
  'phone-local': isLocalPhone,
  'phone-announced': Object.assign(isAnnouncedPhone, { behind: isAnnounced }),
};
