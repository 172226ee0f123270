/**
 * The language of a text, told from its letters and, among those written in Latin letters, from its small words: `en de
 * es fr pt it nl` by words, `zh ja ko ar fa he hi ru el th` by script. A text that is short, mixed or in another
 * language is `und`: who asks may exclude a classifier by the answer, so it is better not to know than to be wrong. Pure.
 */

export interface Language {
  /** BCP 47 primary tag, or `und`. */
  readonly tag: string;
  /** From 0 to 1. */
  readonly confidence: number;
}

/** Characters that are looked at: from the beginning, the middle and the end. */
export const LANGUAGE_CHARS_MAX = 1_500;
/** Fewer letters tell nothing. */
const LETTERS_MIN = 2;
/** A script has so large a part of the letters, or the text is mixed. */
const SHARE_MIN = 0.6;
/** So many small words make the answer as sure as it gets. */
const WORDS_SURE = 5;
/** In prose one word in so many is small; where it is fewer, this is no prose, or another language. */
const PROSE_SHARE = 6;

/** Most that is ever claimed, and what is claimed of a script that others share, without a sign of its own. */
const SURE = 0.99;
const DOUBTFUL = 0.7;

/** A language told with less confidence excuses no classifier from reading the text. */
export const LANGUAGE_SURE = 0.8;

const UNKNOWN: Language = { tag: 'und', confidence: 0 };

export function languageOf(text: string): Language {
  const sample = sampleOf(text);
  const letters = count(sample, /\p{L}/gu);
  if (letters < LETTERS_MIN) return UNKNOWN;
  for (const [script, pattern] of SCRIPTS) {
    // One ideograph says about as much as two letters; kana beside them, however few, are Japanese.
    const share = count(sample, pattern) / letters;
    if (share < SHARE_MIN) continue;
    const tag = script === 'latin' ? undefined : tagOf(script, sample);
    if (script === 'latin') return byWords(sample, share);
    return tag === undefined ? UNKNOWN : { tag, confidence: Math.min(OWN_SIGNS[tag]?.test(sample) === false ? DOUBTFUL : SURE, share) };
  }
  return UNKNOWN;
}

function sampleOf(text: string): string {
  if (text.length <= LANGUAGE_CHARS_MAX) return text.toLowerCase();
  const part = LANGUAGE_CHARS_MAX / 3;
  const middle = (text.length - part) >> 1;
  return [text.slice(0, part), text.slice(middle, middle + part), text.slice(-part)].join(' ').toLowerCase();
}

type Script = 'latin' | 'cyrillic' | 'arabic' | 'hebrew' | 'greek' | 'thai' | 'devanagari' | 'hangul' | 'han';

const SCRIPTS: readonly (readonly [Script, RegExp])[] = [
  ['latin', /\p{Script=Latin}/gu], ['han', /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]/gu], ['cyrillic', /\p{Script=Cyrillic}/gu],
  ['arabic', /\p{Script=Arabic}/gu], ['hangul', /\p{Script=Hangul}/gu],
  ['devanagari', /(?=\p{L})\p{Script=Devanagari}/gu], ['hebrew', /(?=\p{L})\p{Script=Hebrew}/gu], ['greek', /\p{Script=Greek}/gu], ['thai', /(?=\p{L})\p{Script=Thai}/gu],
];

/** The language that a script is taken for, unless letters or words of another one stand in it. */
function tagOf(script: Exclude<Script, 'latin'>, sample: string): string | undefined {
  switch (script) {
    case 'han': return count(sample, /[\p{Script=Hiragana}\p{Script=Katakana}]/gu) > 0 ? 'ja' : 'zh';
    case 'hangul': return 'ko';
    case 'thai': return 'th';
    case 'greek': return 'el';
    // Yiddish doubles its letters into signs of their own.
    case 'hebrew': return /[\u05f0-\u05f2]/.test(sample) ? undefined : 'he';
    // Marathi has a letter that Hindi has not, and both have their own word for is.
    case 'devanagari': return /ळ|(?<![\p{L}\p{M}])(?:आहे|छ)(?![\p{L}\p{M}])/u.test(sample) ? undefined : 'hi';
    // Ukrainian, Belarusian, Serbian, Macedonian, Kazakh … by letters that Russian has not.
    case 'cyrillic': return /[ґєіїўђћљњџјѓќѕәғқңөұүһ]/.test(sample) || (!/[ыэё]/.test(sample) && count(sample, /\p{L}/gu) > RUSSIAN_LETTERS) ? undefined : 'ru';
    // Urdu, Pashto and Kurdish by theirs.
    case 'arabic': return /[ٹڈڑںےۓټډړښۍێۆەڵ]/.test(sample) ? undefined : /[پچژگکی]/.test(sample) ? 'fa' : 'ar';
  }
}

/** What their neighbours in the same script have not. */
const OWN_SIGNS: Readonly<Record<string, RegExp>> = { ru: /[ыэё]/, hi: /(?<![\p{L}\p{M}])(?:है|हैं|में|का|की|के|को|और|से)(?![\p{L}\p{M}])/u };

/** A Russian text this long has letters that Bulgarian has not. */
const RUSSIAN_LETTERS = 60;

/** Words that are frequent in a language and rare in the others; a word of several counts for each by its part. */
const WORDS: Readonly<Record<string, string>> = {
  en: 'the and of to is in that it for with you this are not be have was on as what can my your how will from they we please me an about would there their if when which do does write',
  de: 'der die das und ist nicht ein eine zu den mit sich auf für im dem von wie ich sie wir es auch wird bitte was kann sind haben bei oder aber noch nach mir mein meine einen einer zum zur dass über schreibe',
  es: 'el la los las de que y en un una es por con para no se del al lo como más pero su sus este esta mi me qué está son muy hay cómo puede favor yo tiene desde sobre también escribe',
  fr: 'le la les des de et est un une que qui dans pour pas sur au du avec ce cette il elle nous vous je ne se sont mon ma mes plus être fait comment peut aux mais ou où par très bonjour merci écris',
  pt: 'o a os as de que e em um uma é para com não no na do da dos das por se mais como mas foi ao ele ela eu meu minha seu sua você está são isso também muito pode pelo pela até escreva',
  it: 'il lo la gli le di che e in un una è per con non si del della dei delle al alla sono mi come più ma anche io mio mia suo questo questa nel nella dal può perché cosa essere ho hai scrivi',
  nl: 'de het een en van ik te dat die in is niet op met voor zijn er maar om aan ook als je dan wat naar bij hoe kan mijn deze dit wordt uit nog kunt heeft worden over graag schrijf',
};
/** Letters that only one of them has. */
const OWN_LETTERS: readonly (readonly [string, RegExp])[] = [['de', /ß|ä/g], ['es', /[ñ¿¡]/g], ['pt', /[ãõ]/g], ['fr', /œ|[çêîû]|l['’](?=[aeiouhé])/g]];
/** Letters that none of them has: Polish, Czech, Turkish, Scandinavian, Hungarian, Vietnamese … */
const OTHERS_LETTERS = /[ąćęłńśźżčďěňřšťůžğışåæøőűăâđơưạảấầẩậắếềểệịọốồổộớờởợụủứừửữựỳỵ]/;

/** For each small word the languages that have it. */
const languagesOf = new Map<string, readonly string[]>();
for (const [tag, words] of Object.entries(WORDS)) for (const word of words.split(' ')) languagesOf.set(word, [...(languagesOf.get(word) ?? []), tag]);

function byWords(sample: string, share: number): Language {
  const words = sample.match(/\p{L}+/gu) as RegExpMatchArray;
  const points = new Map<string, number>();
  const add = (tag: string, amount: number): unknown => points.set(tag, (points.get(tag) ?? 0) + amount);
  let small = 0;
  for (const word of words) {
    const tags = languagesOf.get(word) ?? [];
    if (tags.length > 0) small += 1;
    for (const tag of tags) add(tag, 1 / tags.length);
  }
  for (const [tag, letters] of OWN_LETTERS) add(tag, Math.min(2, count(sample, letters) / 2));
  const [best, second] = [...points].sort((a, b) => b[1] - a[1]) as [[string, number], [string, number]];
  // Other languages borrow the letters, and have small words that look like some of these.
  if (best[1] < 1 || small * PROSE_SHARE < words.length || OTHERS_LETTERS.test(sample)) return UNKNOWN;
  const lead = (best[1] - second[1]) / best[1];
  return { tag: best[0], confidence: Math.min(SURE, share, lead + 0.35, Math.min(1, best[1] / WORDS_SURE) * 0.5 + 0.5) };
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
