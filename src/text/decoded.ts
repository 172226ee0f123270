/**
 * The views in which encoded text is read: entities, escapes, URL encoding, base64, hex, and what is carried unseen by
 * tags, variation selectors or a turned direction. What decodes to no readable text stays as it stands, so keys, hashes
 * and pictures are left alone. A decoded run is one piece: who redacts a word of it redacts the run. Pure.
 */
import { isUtf8 } from 'node:buffer';
import { eachMatch } from './matches.ts';
import type { Rewriting } from './rewriting.ts';
import { ENCODED_CHARS_MIN, HEX_PAIRS_MIN } from './signs.ts';

/** Characters of a long run that are decoded to see whether it is worth the rest. */
const PROBE_CHARS = 64;
/** A run that does not decode whole is tried in its parts up to this length. */
const PARTS_CHARS_MAX = 4_096;

const ENCODED = new RegExp([
  '&(?:#(?<decimal>\\d{1,7})|#[xX](?<hexadecimal>[0-9a-fA-F]{1,6})|(?<named>[A-Za-z]{2,8})(?=;));?',
  '(?<percent>(?:%[0-9a-fA-F]{2}){1,4000})',
  '\\\\(?:x(?<short>[0-9a-fA-F]{2})|u(?<unit>[0-9a-fA-F]{4})|u\\{(?<point>[0-9a-fA-F]{1,6})\\})',
  `(?<pairs>(?<![0-9A-Za-z])(?:0x)?[0-9a-fA-F]{2}(?:[ ,:;-]{1,2}(?:0x)?[0-9a-fA-F]{2}){${HEX_PAIRS_MIN - 1},}(?![0-9A-Za-z]))`,
  `(?<run>[A-Za-z0-9+/_-]{${ENCODED_CHARS_MIN},}={0,2})`,
].join('|'), 'g');

/** Entities of ASCII characters and of spaces, by name. */
const NAMED: Readonly<Record<string, string>> = {
  amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', ensp: ' ', emsp: ' ', thinsp: ' ', shy: '', zwnj: '', zwj: '', Tab: '\t', NewLine: '\n', excl: '!', num: '#',
  dollar: '$', percnt: '%', lpar: '(', rpar: ')', ast: '*', midast: '*', plus: '+', comma: ',', hyphen: '-', dash: '-', ndash: '-', mdash: '-', period: '.', sol: '/', colon: ':',
  semi: ';', equals: '=', quest: '?', commat: '@', lsqb: '[', lbrack: '[', bsol: '\\', rsqb: ']', rbrack: ']', Hat: '^', lowbar: '_', grave: '`', lcub: '{', lbrace: '{',
  verbar: '|', vert: '|', rcub: '}', rbrace: '}', lsquo: "'", rsquo: "'", ldquo: '"', rdquo: '"', fjlig: 'fj',
};

/** Writes the characters `[from, to)`; returns where it stopped, at `to` or behind a run that goes on there. */
export function writeDecoded(text: string, from: number, to: number, out: Rewriting): number {
  let at = from;
  let stop = to;
  eachMatch(ENCODED, text, from, to, ({ 0: found, groups }, start) => {
    const end = (groups as Groups).run === undefined ? start + found.length : linesEnd(text, start, start + found.length);
    for (const piece of decode(text.slice(start, end), groups as Groups)) {
      out.copy(at, start + piece.start);
      at = start + piece.end;
      out.write(piece.text, start + piece.start, at);
    }
    stop = Math.max(stop, end);
    return end;
  });
  out.copy(at, stop);
  return stop;
}

/** Base64 in lines has them this long, but for the last. */
const LINE_CHARS_MIN = 60;
const NEXT_LINE = /\r?\n[A-Za-z0-9+/]+={0,2}/y;

/** Where base64 ends that goes on in the lines below. */
function linesEnd(text: string, start: number, end: number): number {
  let at = end;
  for (let lineStart = start; at - lineStart >= LINE_CHARS_MIN; ) {
    NEXT_LINE.lastIndex = at;
    if (!NEXT_LINE.test(text)) break;
    lineStart = at;
    at = NEXT_LINE.lastIndex;
  }
  return at;
}

/** A part of an encoded run and what it says. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

type Groups = Readonly<Record<'decimal' | 'hexadecimal' | 'named' | 'percent' | 'short' | 'unit' | 'point' | 'pairs' | 'run', string | undefined>>;

function decode(run: string, groups: Groups): readonly Piece[] {
  const { decimal, hexadecimal, named, percent, short, unit, point, pairs } = groups;
  if (percent !== undefined) return percentPieces(percent);
  const whole = (text: string | undefined): readonly Piece[] => (text === undefined ? [] : [{ start: 0, end: run.length, text }]);
  if (named !== undefined) return whole(Object.hasOwn(NAMED, named) ? NAMED[named] : undefined);
  if (pairs !== undefined) return whole(readable(Buffer.from(pairs.replace(/0x|[^0-9a-fA-F]/g, ''), 'hex')));
  const digits = decimal ?? hexadecimal ?? short ?? unit ?? point;
  if (digits !== undefined) return whole(character(parseInt(digits, decimal === undefined ? 16 : 10)));
  return encodedPieces(run);
}

function character(point: number): string | undefined {
  return point > 0 && point <= 0x10_ffff ? String.fromCodePoint(point) : undefined;
}

/** Each character of a run of %XX by itself; bytes that are no UTF-8 stay. */
function percentPieces(run: string): readonly Piece[] {
  const bytes = Buffer.from(run.replaceAll('%', ''), 'hex');
  const pieces: Piece[] = [];
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i] as number;
    const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    const part = bytes.subarray(i, i + size);
    const valid = first > 0 && part.length === size && isUtf8(part);
    if (valid) pieces.push({ start: 3 * i, end: 3 * (i + size), text: part.toString('utf8') });
    i += valid ? size : 1;
  }
  return pieces;
}

/** Base64 or hex; where the whole says nothing, without its last line, which may be another text's, or its parts between `/`, `-` and `_`. */
function encodedPieces(run: string): readonly Piece[] {
  const lastLine = run.lastIndexOf('\n');
  for (const end of lastLine < 0 ? [run.length] : [run.length, lastLine]) {
    const text = decodeRun(run.slice(0, end).trimEnd());
    if (text !== undefined) return [{ start: 0, end, text }];
  }
  if (run.length > PARTS_CHARS_MAX || !/[/_-]/.test(run)) return [];
  return [...run.matchAll(PART)].flatMap(({ 0: part, index }) => {
    const said = decodeRun(part);
    return said === undefined ? [] : [{ start: index, end: index + part.length, text: said }];
  });
}

const PART = new RegExp(`[A-Za-z0-9+]{${ENCODED_CHARS_MIN},}={0,2}`, 'g');
const HEX = /^(?:[0-9a-fA-F]{2})+$/;

function decodeRun(run: string): string | undefined {
  if (HEX.test(run)) {
    const said = readable(Buffer.from(run, 'hex'));
    if (said !== undefined) return said;
  }
  if (!mayBeginText(run)) return undefined;
  if (run.length > PROBE_CHARS && readable(Buffer.from(run.slice(0, PROBE_CHARS), 'base64'), true) === undefined) return undefined;
  return readable(Buffer.from(run, 'base64'));
}

/** What a letter of base64, or of its form for URLs, stands for; -1 for all else. */
const SIX_BITS = new Int8Array(128).fill(-1);
[...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].forEach((letter, value) => { SIX_BITS[letter.charCodeAt(0)] = value; });
SIX_BITS['-'.charCodeAt(0)] = 62;
SIX_BITS['_'.charCodeAt(0)] = 63;
/** Letters by which nearly all keys and names are told from base64 of a text. */
const TOLD_CHARS = 8;

/** False where the first bytes of base64 are no text's: what `readable` would say, sooner. */
function mayBeginText(run: string): boolean {
  const sixBits = (i: number): number => SIX_BITS[run.charCodeAt(i)] ?? -1;
  if ((sixBits(1) & 15) === 0 && sixBits(2) < 4) return true; // the second byte is 0: two for each character
  /** Of a character of several bytes, how many must follow. */
  let following = 0;
  let bits = 0;
  for (let i = 0; i < TOLD_CHARS; i += 1) {
    if (sixBits(i) < 0) return true;
    bits = (bits << 6) | sixBits(i);
    if (i % 4 === 0) continue;
    const byte = (bits >> (6 - 2 * (i % 4))) & 0xff;
    if (following > 0) {
      if ((byte & 0xc0) !== 0x80) return false;
      following -= 1;
    } else if (byte >= 0x80) {
      if (byte < 0xc2 || byte > 0xf4) return false;
      following = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    } else if ((byte < 0x20 && (byte < 0x09 || byte > 0x0d)) || byte === 0x7f) return false;
  }
  return true;
}

/** The text of bytes that are text and nothing else: UTF-8, or UTF-16 of ASCII; `begun`: it goes on. */
function readable(bytes: Buffer, begun = false): string | undefined {
  const wide = bytes[1] === 0 && bytes.every((byte, i) => (byte === 0) === (i % 2 === 1));
  // What is only the beginning may end within a character.
  const whole = begun ? wholeCharacters(bytes) : bytes;
  if (!wide && !isUtf8(whole)) return undefined;
  const text = whole.toString(wide ? 'utf16le' : 'utf8');
  return BEYOND_ASCII.test(text) && UNREADABLE.test(text) ? undefined : text;
}

/** What is not printed, or not of ASCII. */
const BEYOND_ASCII = /[^\t\n\r -~]/;
/** Control characters, private use, what is not assigned. */
const UNREADABLE = /[\0-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd\p{Co}\p{Cn}]/u;

function wholeCharacters(bytes: Buffer): Buffer {
  let end = bytes.length;
  for (let back = 1; back <= 4; back += 1) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) break;
    end = bytes.length - back;
    if (byte >= 0xc0) break;
  }
  return bytes.subarray(0, end);
}

/** Runs that carry a text unseen: tags, variation selectors as bytes, and letters in turned order. A longer run is several. */
const CARRIED = /(?<flag>\u{1f3f4})?(?<tags>[\u{e0020}-\u{e007e}]{1,4096}\u{e007f}?)|(?<selectors>[\ufe00-\ufe0f\u{e0100}-\u{e01ef}]{4,4096})|\u202e(?<turned>[^\u202c\n]{2,1000})\u202c?/gu;
/** What the tags of a region's flag say. */
const REGION = /^[a-z]{2}[a-z0-9]{1,3}$/;
const TAG_ZERO = 0xe0000;

/** Writes the characters `[from, to)` with carried texts in their places, spaces around them; returns where it stopped. */
export function writeCarried(text: string, from: number, to: number, out: Rewriting): number {
  let at = from;
  let stop = to;
  eachMatch(CARRIED, text, from, to, ({ 0: found, groups }, start) => {
    const end = start + found.length;
    const said = carriedText(groups as Carried);
    if (said !== undefined) {
      out.copy(at, start);
      out.write(` ${said} `, start, end);
      at = end;
    }
    stop = Math.max(stop, end);
    return end;
  });
  out.copy(at, stop);
  return stop;
}

type Carried = { readonly [name in 'flag' | 'tags' | 'selectors' | 'turned']?: string };

function carriedText({ flag, tags, selectors, turned }: Carried): string | undefined {
  if (turned !== undefined) return Array.from(turned).reverse().join('');
  if (tags !== undefined) {
    const said = Array.from(tags, (tag) => tag.codePointAt(0) as number).filter((point) => point < TAG_ZERO + 0x7f).map((point) => String.fromCharCode(point - TAG_ZERO)).join('');
    return flag !== undefined && REGION.test(said) ? undefined : said;
  }
  return readable(Buffer.from(Array.from(selectors as string, (selector) => selectorByte(selector.codePointAt(0) as number))));
}

/** The 256 variation selectors as bytes, in their order. */
function selectorByte(point: number): number {
  return point <= 0xfe0f ? point - 0xfe00 : point - 0xe0100 + 16;
}
