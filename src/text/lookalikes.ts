/**
 * Characters that look like a Latin letter, a figure or a mark of ASCII, and the ASCII they look like. A hand-made list
 * of what is used to disguise words: letters of other alphabets, small capitals, boxed letters, flags' letters, dashes
 * and quotes; for Latin letters with marks it follows their decomposition. Says nothing about when to fold: `folded.ts`
 * does. Pure.
 */

/** After each ASCII letter its look-alikes in alphabets that are a language's own: folded only where a word gives reason. */
const FOREIGN: Readonly<Record<string, string>> = {
  a: 'аαӑ', b: 'Ььвβ', c: 'сϲςⲥ', d: 'ԁժ', e: 'еєҽεѐ', f: 'ϝғք', g: 'ցԍ', h: 'һհнҺ', i: 'іιї', j: 'јϳ', k: 'кκқҝⲕ', l: 'ӏןוا׀', m: 'мⲙ', n: 'ոռпηⲛ',
  o: 'оοσօסه०০੦૦๐໐၀ⲟ', p: 'рρϱⲣ', q: 'ԛգզ', r: 'гⲅ', s: 'ѕⲋ', t: 'тτҭⲧ', u: 'υսμц', v: 'ѵνט', w: 'ѡԝωաшщ', x: 'хχҳⲭ', y: 'уүγўყⲩ', z: 'зζⲍ',
  A: 'АΑᎪꓮⲀ', B: 'ВΒᏴꓐⲂ', C: 'СϹᏟꓚⲤ', D: 'Ꭰꓓᗞᗪ', E: 'ЕΕᎬꓰⲈЄЀ', F: 'ϜꓝҒ', G: 'ԌᏀꓖ', H: 'НΗᎻꓧⲎ', I: 'ІΙӀⲒꓲЇ', J: 'ЈͿᎫꓙ', K: 'КΚᏦꓗⲔҚ', L: 'ᏞꓡԼ', M: 'МΜᎷꓟⲘ',
  N: 'ΝꓠⲚ', O: 'ОΟՕꓳⲞ', P: 'РΡᏢꓑⲢ', Q: 'Ԛ', R: 'ᎡᏒꓣ', S: 'ЅՏᏚꓢ', T: 'ТΤᎢꓔⲦ', U: 'Սꓴ', V: 'ѴᏙꓦ', W: 'ԜᎳꓪ', X: 'ХΧꓫⲬҲ', Y: 'УΥҮꓬⲨЎ', Z: 'ΖᏃꓜⲌ',
  3: 'ЗӠ', 6: 'б', 0: '۰',
};

/** Of these the ones that only resemble: a word that has one and no Latin letter is a word of its own alphabet. */
const RESEMBLING = new Set('бвгзкмнптцшщьЗӠЬβεζηικμνπρστυωγϝςոռցգզაყסוןטاه');

/** The same for characters that no language writes words with, and for what type setters put in place of ASCII. */
const PLAIN: Readonly<Record<string, string>> = {
  a: 'ɑᴀ⍺', b: 'ʙƄɓ', c: 'ᴄƈ', d: 'ᴅɖɗ', e: 'ᴇ℮ɛ', f: 'ꜰƒ', g: 'ɡɢɠ', h: 'ʜɦ', i: 'ıɪɩ', j: 'ᴊʝȷ', k: 'ᴋƙ', l: 'ʟɫɭ', m: 'ᴍɱ', n: 'ɴɲɳ', o: 'ᴏɵ', p: 'ᴘƥ', q: 'ʠ', r: 'ʀɾɽ', s: 'ꜱʂ', t: 'ᴛƭʈ',
  u: 'ᴜʊʋ', v: 'ᴠ', w: 'ᴡɯ', x: '᙮', y: 'ʏƴ', z: 'ᴢʐƶ',
  L: '℄', R: '℟', '-': '‐‑‒–—―−', "'": '‘’‚‛′', '"': '“”„‟″', '.': '․', ':': '꞉ː∶', '/': '⁄∕', '\\': '∖',
};

/** Latin letters without a decomposition. */
const STROKED: Readonly<Record<string, string>> = {
  ø: 'o', Ø: 'O', ł: 'l', Ł: 'L', đ: 'd', Đ: 'D', ð: 'd', Ð: 'D', ħ: 'h', Ħ: 'H', ŧ: 't', Ŧ: 'T', þ: 'th', Þ: 'Th',
  ß: 'ss', ẞ: 'SS', æ: 'ae', Æ: 'AE', œ: 'oe', Œ: 'OE', ɨ: 'i', ƀ: 'b', ɟ: 'j', ꝋ: 'o',
};

export interface Lookalike {
  readonly ascii: string;
  /** Of an alphabet that is a language's own. */
  readonly foreign: boolean;
  /** It could be taken for nothing else. */
  readonly exact: boolean;
}

const REGIONAL_A = 0x1f1e6;
const A = 'A'.charCodeAt(0);
/** Rows of the 26 capitals in boxes and circles that have no decomposition. */
const BOXED: readonly number[] = [0x1f150, 0x1f170];

/** What is listed, and decomposed letters that were asked for. */
const known = new Map<number, Lookalike>([
  ...BOXED.flatMap((row) => Array.from({ length: 26 }, (_, i): [number, Lookalike] => [row + i, lookalike(String.fromCharCode(A + i))])),
  ...listed(FOREIGN, true), ...listed(PLAIN, false),
  ...Object.entries(STROKED).map(([char, ascii]): [number, Lookalike] => [char.codePointAt(0) as number, lookalike(ascii)]),
]);

function lookalike(ascii: string, foreign = false, exact = true): Lookalike {
  return { ascii, foreign, exact };
}

function listed(table: Readonly<Record<string, string>>, foreign: boolean): readonly [number, Lookalike][] {
  return Object.entries(table).flatMap(([ascii, alike]) => Array.from(alike).map((char): [number, Lookalike] => [char.codePointAt(0) as number, lookalike(ascii, foreign, !RESEMBLING.has(char))]));
}

/** What a character looks like; undefined for most. Regional indicators are asked for by `regionalLetter`. */
export function lookalikeOf(codePoint: number): Lookalike | undefined {
  const listed = known.get(codePoint);
  if (listed !== undefined) return listed;
  const made = decomposed(codePoint);
  if (made !== undefined) known.set(codePoint, made);
  return made;
}

/** The letter of a regional indicator symbol, two of which make a flag; undefined for anything else. */
export function regionalLetter(codePoint: number): string | undefined {
  return codePoint >= REGIONAL_A && codePoint < REGIONAL_A + 26 ? String.fromCharCode(A + codePoint - REGIONAL_A) : undefined;
}

/** A letter with marks looks like the letter, where that is Latin or looks so. */
function decomposed(codePoint: number): Lookalike | undefined {
  const parts = String.fromCodePoint(codePoint).normalize('NFD');
  const base = parts.codePointAt(0) as number;
  if (base === codePoint) return undefined;
  if (base < 0x80) return lookalike(parts.charAt(0));
  return /^\p{Script=Latin}|^\p{Script=Greek}|^\p{Script=Cyrillic}/u.test(parts) ? known.get(base) : undefined;
}
