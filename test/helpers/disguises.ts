/**
 * Ways to hide a phrase from those who read its characters, as the views are to undo them. Phrases are small Latin
 * letters, figures and single spaces. `whole`: the disguise is one piece, so that a part of the phrase is found where all
 * of it stands.
 */

export interface Disguise {
  readonly name: string;
  readonly whole?: true;
  hide(phrase: string): string;
}

const letters = (phrase: string, alphabet: (letter: number) => number): string => phrase.replace(/[a-z]/g, (char) => String.fromCodePoint(alphabet(char.charCodeAt(0) - 97)));
const between = (phrase: string, mark: string): string => Array.from(phrase).join(mark);
const bytes = (phrase: string, write: (byte: number) => string): string => Array.from(Buffer.from(phrase), write).join('');
const from = (phrase: string, table: Readonly<Record<string, string>>): string => Array.from(phrase, (char) => table[char] ?? char).join('');
const rot13 = (phrase: string): string => letters(phrase, (letter) => 97 + ((letter + 13) % 26));
const regional = (letter: number): number => 0x1f1e6 + letter;
const base64 = (phrase: string): string => Buffer.from(phrase).toString('base64');
const CYRILLIC = { a: 'а', c: 'с', e: 'е', i: 'і', j: 'ј', o: 'о', p: 'р', s: 'ѕ', x: 'х', y: 'у', h: 'һ', d: 'ԁ', q: 'ԛ', w: 'ԝ' };
const GREEK = { a: 'α', o: 'ο', v: 'ν', p: 'ρ', i: 'ι', u: 'υ', k: 'κ', n: 'η', t: 'τ', e: 'ε' };
const LEET = { a: '4', e: '3', i: '1', l: '1', o: '0', s: '5', t: '7' };
const fullwidth = (phrase: string): string => phrase.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) + 0xfee0));

export const DISGUISES: readonly Disguise[] = [
  { name: 'tags', whole: true, hide: (phrase) => bytes(phrase, (byte) => String.fromCodePoint(0xe0000 + byte)) },
  { name: 'tags between letters', hide: (phrase) => between(phrase, '\u{e0061}') },
  { name: 'variation selectors between letters', hide: (phrase) => between(phrase, '\ufe0f') },
  { name: 'variation selectors as bytes', whole: true, hide: (phrase) => bytes(phrase, (byte) => String.fromCodePoint(byte < 16 ? 0xfe00 + byte : 0xe0100 + byte - 16)) },
  { name: 'zero-width spaces', hide: (phrase) => between(phrase, '\u200b') },
  { name: 'joiners and non-joiners', hide: (phrase) => between(phrase, '\u200c\u200d') },
  { name: 'soft hyphens', hide: (phrase) => between(phrase, '\u00ad') },
  { name: 'word joiners and marks of order', hide: (phrase) => between(phrase, '\u2060\ufeff') },
  { name: 'directions between letters', hide: (phrase) => between(phrase, '\u200e\u202a\u2069') },
  { name: 'turned order', whole: true, hide: (phrase) => `\u202e${Array.from(phrase).reverse().join('')}\u202c` },
  { name: 'control characters', hide: (phrase) => between(phrase, '\u0008') },
  { name: 'Hangul fillers', hide: (phrase) => between(phrase, '\u3164') },
  { name: 'Cyrillic letters', hide: (phrase) => from(phrase, CYRILLIC) },
  { name: 'Greek letters', hide: (phrase) => from(phrase, GREEK) },
  { name: 'small capitals', hide: (phrase) => from(phrase, { a: 'ᴀ', b: 'ʙ', e: 'ᴇ', i: 'ɪ', l: 'ʟ', n: 'ɴ', o: 'ᴏ', r: 'ʀ', t: 'ᴛ', u: 'ᴜ' }) },
  { name: 'letters with marks', hide: (phrase) => from(phrase, { a: 'á', e: 'ê', i: 'ï', o: 'ø', u: 'ŭ', n: 'ñ', l: 'ł' }) },
  { name: 'full width', hide: fullwidth },
  { name: 'full width with its space', hide: (phrase) => fullwidth(phrase).replaceAll(' ', '\u3000') },
  { name: 'mathematical bold', hide: (phrase) => letters(phrase, (letter) => 0x1d41a + letter) },
  { name: 'mathematical script', hide: (phrase) => letters(phrase, (letter) => 0x1d4ea + letter) },
  { name: 'mathematical typewriter', hide: (phrase) => letters(phrase, (letter) => 0x1d68a + letter) },
  { name: 'circled letters', hide: (phrase) => letters(phrase, (letter) => 0x24d0 + letter) },
  { name: 'letters in brackets', hide: (phrase) => letters(phrase, (letter) => 0x1f110 + letter).replace(/[\u{1f110}-\u{1f129}]/gu, (char) => String.fromCodePoint((char.codePointAt(0) as number) + 0x20)) },
  { name: 'letters in filled boxes', hide: (phrase) => letters(phrase, (letter) => 0x1f170 + letter) },
  { name: 'letters in filled circles', hide: (phrase) => letters(phrase, (letter) => 0x1f150 + letter) },
  { name: 'flags', hide: (phrase) => letters(phrase, regional) },
  { name: 'flags kept apart', hide: (phrase) => between(letters(phrase, regional), '\u200b') },
  { name: 'one combining mark', hide: (phrase) => phrase.replace(/[a-z]/g, '$&\u0336') },
  { name: 'many combining marks', hide: (phrase) => phrase.replace(/[a-z]/g, '$&\u0315\u0322\u0489\u20dd\u1dc4') },
  { name: 'more marks than a letter takes', hide: (phrase) => phrase.replace(/[a-z]/g, `$&${'\u0317\u0344'.repeat(40)}`) },
  { name: 'base64', whole: true, hide: base64 },
  { name: 'base64 for URLs, without its end', whole: true, hide: (phrase) => Buffer.from(phrase).toString('base64url') },
  { name: 'base64 of UTF-16', whole: true, hide: (phrase) => Buffer.from(phrase, 'utf16le').toString('base64') },
  { name: 'base64 twice', whole: true, hide: (phrase) => base64(base64(phrase)) },
  { name: 'base64 three times', whole: true, hide: (phrase) => base64(base64(base64(phrase))) },
  { name: 'hex', whole: true, hide: (phrase) => Buffer.from(phrase).toString('hex') },
  { name: 'hex in capitals', whole: true, hide: (phrase) => Buffer.from(phrase).toString('hex').toUpperCase() },
  { name: 'hex in pairs', whole: true, hide: (phrase) => (Buffer.from(phrase).toString('hex').match(/../g) as string[]).join(' ') },
  { name: 'hex with 0x', whole: true, hide: (phrase) => (Buffer.from(phrase).toString('hex').match(/../g) as string[]).map((pair) => `0x${pair}`).join(', ') },
  { name: 'escapes of bytes', hide: (phrase) => bytes(phrase, (byte) => `\\x${byte.toString(16)}`) },
  { name: 'escapes of units', hide: (phrase) => bytes(phrase, (byte) => `\\u00${byte.toString(16)}`) },
  { name: 'escapes of points', hide: (phrase) => bytes(phrase, (byte) => `\\u{${byte.toString(16)}}`) },
  { name: 'ROT13', hide: rot13 },
  { name: 'figures for letters', hide: (phrase) => from(phrase, LEET) },
  { name: 'marks for letters', hide: (phrase) => from(phrase, { a: '@', i: '!', s: '$', l: '|' }) },
  { name: 'spaced', hide: (phrase) => phrase.split(' ').map((word) => between(word, ' ')).join('   ') },
  { name: 'spaced, without gaps', hide: (phrase) => between(phrase.replaceAll(' ', ''), ' ') },
  { name: 'dotted', hide: (phrase) => phrase.split(' ').map((word) => between(word, '.')).join(' ') },
  { name: 'dashed', hide: (phrase) => phrase.split(' ').map((word) => between(word, '-')).join('  ') },
  { name: 'starred', hide: (phrase) => phrase.split(' ').map((word) => between(word, ' * ')).join(' / ') },
  { name: 'one letter a line', hide: (phrase) => phrase.split(' ').map((word) => between(word, '\n')).join('\n\n') },
  { name: 'entities by number', hide: (phrase) => bytes(phrase, (byte) => `&#${byte};`) },
  { name: 'entities by hex number', hide: (phrase) => bytes(phrase, (byte) => `&#x${byte.toString(16)};`) },
  { name: 'entities for spaces', hide: (phrase) => phrase.replaceAll(' ', '&nbsp;') },
  { name: 'URL encoding', hide: (phrase) => bytes(phrase, (byte) => `%${byte.toString(16)}`) },
  { name: 'URL encoding twice', hide: (phrase) => bytes(phrase, (byte) => `%25${byte.toString(16)}`) },
  // Several at once.
  { name: 'full width, zero width between', hide: (phrase) => between(fullwidth(phrase), '\u200b') },
  { name: 'Cyrillic letters and figures', hide: (phrase) => from(phrase, { ...CYRILLIC, e: '3', l: '1' }) },
  { name: 'spaced figures', hide: (phrase) => phrase.split(' ').map((word) => between(from(word, LEET), ' ')).join('   ') },
  { name: 'spaced Cyrillic letters, zero width between', hide: (phrase) => phrase.split(' ').map((word) => between(from(word, CYRILLIC), '\u200b \u200b')).join('   ') },
  { name: 'base64 of Cyrillic letters', whole: true, hide: (phrase) => base64(from(phrase, CYRILLIC)) },
  { name: 'base64 of spaced letters', whole: true, hide: (phrase) => base64(phrase.split(' ').map((word) => between(word, ' ')).join('   ')) },
  { name: 'hex of base64', whole: true, hide: (phrase) => Buffer.from(base64(phrase)).toString('hex') },
  { name: 'base64 in full width', whole: true, hide: (phrase) => fullwidth(base64(phrase)) },
  { name: 'base64, zero width between', whole: true, hide: (phrase) => between(base64(phrase), '\u200b') },
  { name: 'URL encoding of mathematical letters', hide: (phrase) => bytes(letters(phrase, (letter) => 0x1d41a + letter), (byte) => `%${byte.toString(16).padStart(2, '0')}`) },
];
