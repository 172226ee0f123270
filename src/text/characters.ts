/**
 * What each character is to the views, worked out when it is first met and remembered in a table: a code point costs
 * one look-up from then on. Pure: the table changes no answer.
 */
import { lookalikeOf, regionalLetter } from './lookalikes.ts';

/** Invisible: by Unicode's default ignorables, or a control character that is no white space. */
export const IGNORED = 1;
/** Joins the character before it: a combining mark, a Hangul letter. */
export const MARK = 2;
/** Its compatibility form (NFKC) is another. */
export const COMPATIBLE = 4;
/** A letter or a figure. */
export const LETTER = 8;
/** Looks like something of ASCII. */
export const ALIKE = 16;
/** Looks like something of ASCII, and is a letter of a language's own alphabet. */
export const FOREIGN = 64;
/** Only resembles it. */
export const RESEMBLING = 256;
/** Carries text that nobody sees: tags, variation selectors, and what turns the direction round. */
export const CARRIER = 32;

const KNOWN = 128;
/** The first two planes stand in the table, then what cannot be seen of plane 14; the others hold ideographs. */
const PLANES_END = 0x2_0000;
const UNSEEN_START = 0xe_0000;
const UNSEEN_COUNT = 0x1000;
/** What `kindOf` has said, by code unit in its beginning; 0 where it was not asked yet. For loops that ask of each character. */
export const KINDS_KNOWN: Uint16Array = new Uint16Array(PLANES_END + UNSEEN_COUNT);
/** Ideographs that have another form. */
const COMPATIBLE_IDEOGRAPHS = [0x2_f800, 0x2_fa1f] as const;

/** Characters that are ignored, and marks that may be piled up. */
export const UNSEEN = /[\p{Default_Ignorable_Code_Point}\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/u;
/** Marks that are piled up on letters of any script; other marks belong to their script and to its words. */
export const STUFFING = /[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]/g;

/** Bits of the list above. */
export function kindOf(codePoint: number): number {
  const at = codePoint < PLANES_END ? codePoint : codePoint - UNSEEN_START + PLANES_END;
  if (at < 0 || at >= KINDS_KNOWN.length) return LETTER | (codePoint >= COMPATIBLE_IDEOGRAPHS[0] && codePoint <= COMPATIBLE_IDEOGRAPHS[1] ? COMPATIBLE : 0);
  const kind = KINDS_KNOWN[at] as number;
  return kind === 0 ? (KINDS_KNOWN[at] = classify(codePoint) | KNOWN) : kind;
}

function classify(codePoint: number): number {
  // Half a surrogate pair is none of these.
  const char = String.fromCodePoint(codePoint);
  let kind = 0;
  if (/[\p{Default_Ignorable_Code_Point}\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\ufffb]/u.test(char)) kind |= IGNORED;
  if (/[\p{M}\uff9e\uff9f\u1161-\u11ff\u3131-\u318e\uffa1-\uffdc\ud7b0-\ud7ff]/u.test(char)) kind |= MARK;
  if (char.normalize('NFKC') !== char) kind |= COMPATIBLE;
  if (/[\p{L}\p{N}]/u.test(char)) kind |= LETTER;
  const alike = codePoint > 0x7f ? lookalikeOf(codePoint) : undefined;
  if (alike !== undefined || regionalLetter(codePoint) !== undefined) kind |= ALIKE | (alike?.foreign === true ? FOREIGN : 0) | (alike?.exact === false ? RESEMBLING : 0);
  if (/[\u{e0020}-\u{e007e}\ufe00-\ufe0f\u{e0100}-\u{e01ef}\u202e]/u.test(char)) kind |= CARRIER;
  return kind;
}
