/**
 * One cheap pass that tells which views of a text could differ from it, so that ordinary text costs no more than that.
 * A sign may be wrong, and then the view says so by being the same text; where there is none, there is nothing. Pure.
 */
import { ALIKE, CARRIER, COMPATIBLE, IGNORED, kindOf, KINDS_KNOWN, LETTER, MARK } from './characters.ts';
import { letterOf, ROTATION, ROTATION_MIN } from './letters.ts';

/** Something that the plain view leaves out or writes otherwise. */
export const ODD = 1;
/** Something that looks like ASCII and is not. */
export const DISGUISED = 2;
/** A figure or a mark in a word. */
export const FIGURES = 4;
/** Letters that stand alone, several in a row. */
export const SPACED = 8;
/** Entities, escapes, long runs of the alphabets of base64 or hex. */
export const ENCODED = 16;
/** Words as if rotated by thirteen letters. */
export const ROTATED = 32;
/** Characters that can carry a text unseen. */
export const CARRIED = 64;

/** A run of the base64 alphabet this long may be base64, or hex. */
export const ENCODED_CHARS_MIN = 10;
/** So many single letters in a row may be a word. */
export const SPACED_MIN = 3;
/** A longer run of letters and figures is no word. */
export const WORD_CHARS_MAX = 32;
/** So many pairs of hex digits in a row may be a text. */
export const HEX_PAIRS_MIN = 6;

// Kinds of ASCII characters, beside the number of a letter in the lowest five bits.
const NUMBER = 31;
const ALPHA = 32;
const DIGIT = 64;
/** Marks that base64 is written with besides letters and digits. */
const BASE64 = 128;
/** What an entity or an escape begins with. */
const ESCAPE = 256;
/** Figures and marks that stand for letters, and those of them that a word may begin with. */
const FIGURE = 512;
const INITIAL = 2048;
const CONTROL = 1024;
const WORD = ALPHA | DIGIT;
/** Of other characters: what is a sign. */
const TELLING = IGNORED | MARK | COMPATIBLE | ALIKE | CARRIER;

const KINDS = new Uint16Array(128);
for (let code = 0; code < 128; code += 1) {
  const char = String.fromCharCode(code);
  if (letterOf(code) > 0) KINDS[code] = ALPHA | letterOf(code);
  else if (/\d/.test(char)) KINDS[code] = DIGIT | FIGURE;
  else if (/[+/_=-]/.test(char)) KINDS[code] = BASE64 | (char === '+' ? FIGURE : 0);
  else if (/[&%\\]/.test(char)) KINDS[code] = ESCAPE;
  else if (/[@$!|]/.test(char)) KINDS[code] = FIGURE | (/[@$]/.test(char) ? INITIAL : 0);
  else if (/[\0-\x08\x0e-\x1f\x7f]/.test(char)) KINDS[code] = CONTROL;
}

/** Texts up to this length are read in memory that is kept: as code units, which costs the same whatever the string is made of. */
const KEPT_CHARS = 16_384;
const kept = unitsFor(KEPT_CHARS);

/** Room for a text and a unit behind it that ends every word. */
function unitsFor(chars: number): { readonly bytes: Buffer; readonly units: Uint16Array } {
  const bytes = Buffer.alloc(2 * chars + 2);
  return { bytes, units: new Uint16Array(bytes.buffer, bytes.byteOffset, chars + 1) };
}

/** Bits of the list above. */
export function signsOf(text: string): number {
  const { bytes, units } = text.length <= KEPT_CHARS ? kept : unitsFor(text.length);
  bytes.write(text, 'utf16le');
  units[text.length] = 0x20;
  return readSigns(units, text.length);
}

function readSigns(units: Uint16Array, length: number): number {
  let signs = 0;
  /** Sum of `ROTATION` over the latest words, never below 0 between them. */
  let rotation = 0;
  /** Words of one character so far, and of two, without another between them. */
  let singles = 0;
  let pairs = 0;
  /** Where the present run of the base64 alphabet began. */
  let runStart = 0;
  /** The mark before may stand for a letter of the word that begins here. */
  let marked = 0;
  let wordEnd = -1;
  for (let i = 0; i < length;) {
    const code = units[i] as number;
    if (code >= 128) {
      if (i - runStart >= ENCODED_CHARS_MIN && looksEncoded(units, runStart, i)) signs |= ENCODED;
      const isPair = (code & 0xfc00) === 0xd800 && ((units[i + 1] as number) & 0xfc00) === 0xdc00;
      const next = isPair ? i + 2 : i + 1;
      const other = isPair ? kindOf(((code & 0x3ff) << 10) + ((units[i + 1] as number) & 0x3ff) + 0x1_0000) : (KINDS_KNOWN[code] as number) || kindOf(code);
      if ((other & TELLING) !== 0) {
        if ((other & (IGNORED | MARK | COMPATIBLE)) !== 0) signs |= ODD;
        if ((other & ALIKE) !== 0) signs |= DISGUISED;
        if ((other & CARRIER) !== 0) signs |= CARRIED;
      }
      if ((other & (LETTER | MARK)) !== 0) {
        if (wordEnd === i || isWord(units[next] as number)) singles = 0;
        else if ((singles += 1) === SPACED_MIN) signs |= SPACED;
        wordEnd = next;
      }
      i = next;
      runStart = next;
      marked = 0;
      continue;
    }
    let kind = KINDS[code] as number;
    if ((kind & WORD) === 0) {
      if ((kind & BASE64) === 0) {
        if (i - runStart >= ENCODED_CHARS_MIN && looksEncoded(units, runStart, i)) signs |= ENCODED;
        runStart = i + 1;
        if ((kind & (ESCAPE | CONTROL)) !== 0) signs |= (kind & ESCAPE) !== 0 ? ENCODED : ODD;
      }
      marked = i === wordEnd || marked !== 0 ? kind & FIGURE : kind & INITIAL;
      i += 1;
      continue;
    }
    const start = i;
    let previous = 0;
    let figures = 0;
    do {
      const letter = kind & NUMBER;
      rotation += ROTATION[(previous << 5) | letter] as number;
      previous = letter;
      figures |= kind;
      i += 1;
      const unit = units[i] as number;
      kind = unit < 128 ? (KINDS[unit] as number) : 0;
    } while ((kind & WORD) !== 0);
    const size = i - start;
    const mixed = (figures & WORD) === WORD;
    // What is neither a word nor one in disguise: a key, a hash, base64.
    if (rotation < 0 || mixed || i - runStart > WORD_CHARS_MAX) rotation = 0;
    if (rotation > ROTATION_MIN) signs |= ROTATED;
    if ((mixed || (marked !== 0 && (figures & ALPHA) !== 0)) && size <= WORD_CHARS_MAX) signs |= FIGURES;
    marked = 0;
    wordEnd = i;
    if (size > 2 && size !== 4) {
      singles = 0;
      pairs = 0;
    } else {
      singles = size === 1 ? singles + 1 : 0;
      pairs = size === 2 || code === 0x30 ? pairs + 1 : 0;
      if (singles === SPACED_MIN) signs |= SPACED;
      if (pairs === HEX_PAIRS_MIN) signs |= ENCODED;
    }
  }
  return length - runStart >= ENCODED_CHARS_MIN && looksEncoded(units, runStart, length) ? signs | ENCODED : signs;
}

/** Whether a part of a word stands there; of half a pair the neighbour decides nothing. */
function isWord(unit: number): boolean {
  return unit >= 128 ? (kindOf(unit) & (LETTER | MARK)) !== 0 : ((KINDS[unit] as number) & WORD) !== 0;
}

/** Text in base64 or hex is never all small letters, as long words are. */
function looksEncoded(units: Uint16Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i += 1) {
    const unit = units[i] as number;
    if (unit <= 0x5a && unit >= 0x30 && (unit <= 0x39 || unit > 0x40)) return true;
  }
  return false;
}
