/**
 * Which words stand before a candidate: the word lists of many patterns in one tree, so that a context is read once
 * however many patterns and lengths ask about it.
 *
 * A word counts in any case; spaces, `_`, `-` and line ends are one space. A letter or digit may not stand before it and,
 * where it ends in a letter, no letter behind it; words of scripts without spaces need neither. How far a list looks is
 * cut off first, so what is cut is no neighbour. Time is at most the context's length times the longest word's; pure.
 */

/** Scripts without spaces between words: a word of theirs needs no boundary. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u;
const LETTER = /\p{L}/u;
const DIGIT = /\p{N}/u;
const SPACE = 0x20;

/** Case, and what people put between words, do not matter. */
const plainly = (text: string): string => text.toLowerCase().replace(/[\s_-]+/g, ' ');

/** What `plainly` makes of each code unit by itself; 0 where that depends on its neighbours or is more than one unit. */
const FOLDED = foldedUnits();

function foldedUnits(): Uint16Array {
  const units = new Uint16Array(0x10000);
  for (let unit = 0; unit < units.length; unit += 1) units[unit] = unit;
  // A capital sigma is written otherwise at the end of a word, and of pairs only those of emoji surely have no case.
  for (const [first, last] of [[0x0130, 0x0130], [0x03a3, 0x03a3], [0xd800, 0xd83b], [0xd83f, 0xdbff]] as const) units.fill(0, first, last + 1);
  let all = '';
  for (let from = 0; from < units.length; from += 0x1000) all += String.fromCharCode(...units.subarray(from, from + 0x1000));
  const lower = all.toLowerCase().replace(/[\s_-]/g, ' ');
  for (let unit = 0; unit < units.length; unit += 1) units[unit] = lower.charCodeAt(unit);
  return units;
}

/** Kinds of code units as far as they were asked for; 0 is not known. */
const KINDS = new Uint8Array(0x10000);
const OTHER_KIND = 1;
const DIGIT_KIND = 2;
const LETTER_KIND = 3;

function kindOf(unit: number): number {
  const known = KINDS[unit] as number;
  if (known !== 0) return known;
  const character = String.fromCharCode(unit);
  return (KINDS[unit] = LETTER.test(character) ? LETTER_KIND : DIGIT.test(character) ? DIGIT_KIND : OTHER_KIND);
}

interface Word {
  readonly unspaced: boolean;
  readonly endsInLetter: boolean;
  /** The lists that have it. */
  readonly lists: number[];
}

/** A character of a word; the words that go on from it hang below. */
interface Node {
  readonly unit: number;
  /** The first of those that may follow it. */
  child: Node | undefined;
  /** The next one that may stand in its place. */
  sibling: Node | undefined;
  /** The word that ends here. */
  word: Word | undefined;
}

/** What `#flags` says of a code unit: a word begins with it, one of a script without spaces does, it is a word, `FOLDED` has nothing for it. */
const BEGINS = 1;
const BEGINS_UNSPACED = 2;
const BEGINS_ALONE = 4;
const ODD = 8;
const PAIRS = 4096;

const ODD_UNITS = new Uint8Array(0x10000);
/** The code units that `FOLDED` changes. */
const FOLDED_UNITS: number[] = [];
for (let unit = 1; unit < 0x10000; unit += 1) {
  if (FOLDED[unit] === 0) ODD_UNITS[unit] = ODD;
  else if (FOLDED[unit] !== unit) FOLDED_UNITS.push(unit);
}

function pairOf(first: number, second: number): number {
  return ((first << 6) ^ second) & (PAIRS - 1);
}

export class ContextWords {
  /** By first character. */
  readonly #roots = new Map<number, Node>();
  /** Of each code unit as written. Made when first asked. */
  #flags: Uint8Array | undefined;
  /** 1 where two code units may begin a word, by `pairOf`: most of what begins with the first of a word ends there. */
  readonly #pairs = new Uint8Array(PAIRS);
  /** How far each list looks, in UTF-16 code units. */
  readonly #charsOf: number[] = [];
  #charsMax = 0;
  /** 1 at each of `#charsOf`. */
  #isLength = new Uint8Array(1);
  /** The context's code units, or those of `plainly` of a part of it: in lower case one unit may take two. */
  #units = new Uint16Array(0);
  /** The context that was read last, and by list whether one of its words stands there: its number then. */
  #before: string | undefined;
  #reading = 0;
  readonly #standsIn: number[] = [];

  /** Says of a text whether a word of `list` begins at most `chars` UTF-16 code units before its end. */
  add(list: readonly string[], chars: number): (before: string) => boolean {
    const texts = list.map(plainly);
    if (texts.includes('')) return () => true;
    const index = this.#charsOf.push(chars) - 1;
    this.#standsIn.push(0);
    for (const text of texts) this.#wordAt(text).lists.push(index);
    if (chars > this.#charsMax) {
      const lengths = this.#isLength;
      this.#isLength = new Uint8Array(chars + 1);
      this.#isLength.set(lengths);
      this.#units = new Uint16Array(2 * chars);
      this.#charsMax = chars;
    }
    this.#isLength[chars] = 1;
    this.#before = undefined;
    this.#flags = undefined;
    return (before) => {
      if (before !== this.#before) this.#read(before);
      return this.#standsIn[index] === this.#reading;
    };
  }

  #wordAt(text: string): Word {
    const first = text.charCodeAt(0);
    if (text.length > 1) this.#pairs[pairOf(first, text.charCodeAt(1))] = 1;
    let node = this.#roots.get(first);
    if (node === undefined) this.#roots.set(first, (node = { unit: first, child: undefined, sibling: undefined, word: undefined }));
    for (let i = 1; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      let next = below(node, unit);
      if (next === undefined) node.child = next = { unit, child: undefined, sibling: node.child, word: undefined };
      node = next;
    }
    return (node.word ??= { unspaced: UNSPACED.test(text), endsInLetter: kindOf(text.charCodeAt(text.length - 1)) === LETTER_KIND, lists: [] });
  }

  #flagsOf(): Uint8Array {
    const flags = ODD_UNITS.slice();
    for (const [unit, root] of this.#roots) flags[unit]! |= BEGINS | (hasUnspaced(root) ? BEGINS_UNSPACED : 0) | (root.word === undefined ? 0 : BEGINS_ALONE);
    for (const unit of FOLDED_UNITS) flags[unit]! |= flags[FOLDED[unit] as number] as number;
    return flags;
  }

  #read(before: string): void {
    this.#before = before;
    this.#reading += 1;
    const flags = (this.#flags ??= this.#flagsOf());
    const units = this.#units;
    const from = Math.max(0, before.length - this.#charsMax);
    const count = before.length - from;
    let seen = 0;
    for (let i = 0; i < count; i += 1) {
      const unit = before.charCodeAt(from + i);
      units[i] = unit;
      seen |= flags[unit] as number;
    }
    if (seen >= ODD) this.#readEach(before, flags);
    else if (seen !== 0) this.#find(count, flags, 0);
  }

  /** What a character becomes depends on where the context is cut: each length of it is read by itself. */
  #readEach(before: string, flags: Uint8Array): void {
    for (let chars = 1; chars <= this.#charsMax; chars += 1) {
      if (this.#isLength[chars] === 0) continue;
      const near = plainly(before.slice(-chars));
      for (let i = 0; i < near.length; i += 1) this.#units[i] = near.charCodeAt(i);
      this.#find(near.length, flags, chars);
    }
  }

  /** Finds the words among the first `count` units: for all lists or, unless it is 0, for those that look `only` so far. */
  #find(count: number, flags: Uint8Array, only: number): void {
    const units = this.#units;
    let kindBefore = OTHER_KIND;
    for (let at = 0; at < count; at += 1) {
      const unit = units[at] as number;
      const flag = flags[unit] as number;
      const isCut = kindBefore !== OTHER_KIND;
      kindBefore = KINDS[unit] || kindOf(unit);
      if ((flag & BEGINS) === 0 || (isCut && (flag & BEGINS_UNSPACED) === 0 && this.#isLength[count - at] === 0)) continue;
      const first = folded(unit);
      if ((flag & BEGINS_ALONE) === 0 && first !== SPACE && (at + 1 === count || this.#pairs[pairOf(first, folded(units[at + 1] as number))] === 0)) continue;
      this.#follow(first, at, count, first === SPACE ? this.#isRunCut(at) : isCut, only);
    }
  }

  /** Whether a letter or digit stands before the spaces up to `at`, which are one. */
  #isRunCut(at: number): boolean {
    let start = at;
    while (start > 0 && folded(this.#units[start - 1] as number) === SPACE) start -= 1;
    return start > 0 && kindOf(this.#units[start - 1] as number) !== OTHER_KIND;
  }

  #follow(first: number, at: number, count: number, isCut: boolean, only: number): void {
    const units = this.#units;
    let node = this.#roots.get(first);
    let unit = first;
    for (let next = at + 1; node !== undefined; next += 1) {
      if (unit === SPACE) while (next < count && folded(units[next] as number) === SPACE) next += 1;
      if (node.word !== undefined) this.#found(node.word, next < count && kindOf(units[next] as number) === LETTER_KIND, isCut, count - at, only);
      if (next === count) return;
      unit = folded(units[next] as number);
      node = below(node, unit);
    }
  }

  /** A word that begins `chars` before the end. A list that looks no farther does not see what stands before the word. */
  #found(word: Word, isLetterAhead: boolean, isCut: boolean, chars: number, only: number): void {
    if (!word.unspaced && word.endsInLetter && isLetterAhead) return;
    for (const list of word.lists) {
      const looks = this.#charsOf[list] as number;
      if (only !== 0 ? looks === only && (word.unspaced || !isCut) : looks > chars ? word.unspaced || !isCut : looks === chars) this.#standsIn[list] = this.#reading;
    }
  }
}

function folded(unit: number): number {
  return (FOLDED[unit] as number) || unit;
}

function hasUnspaced({ word, child }: Node): boolean {
  if (word?.unspaced === true) return true;
  for (let node = child; node !== undefined; node = node.sibling) if (hasUnspaced(node)) return true;
  return false;
}

function below(node: Node, unit: number): Node | undefined {
  let next = node.child;
  while (next !== undefined && next.unit !== unit) next = next.sibling;
  return next;
}
