/**
 * The pattern language: text in, syntax tree out. Linear-time by what it leaves out: no back-references, no lazy or
 * possessive quantifiers, look-around of exactly one character. Every error has the position of what is wrong.
 * `README.md` in this folder describes the language. Pure.
 */
import { charSet, CODE_POINT_MAX, complementOf, DIGIT, foldCase, LINE_END, SPACE, unicodeProperty, unionOf, WORD, wordCharacters, type CharSet } from './charset.ts';

/**
 * `look`: an assertion about one neighbouring character that is not consumed. It holds when the neighbour is in `set`,
 * or when there is none (start or end of the text) and `edge` is true.
 */
export type Node =
  | { readonly type: 'empty' }
  | { readonly type: 'set'; readonly set: CharSet }
  | { readonly type: 'concat'; readonly parts: readonly Node[] }
  | { readonly type: 'alt'; readonly parts: readonly Node[] }
  | { readonly type: 'repeat'; readonly of: Node; readonly min: number; readonly max: number }
  | { readonly type: 'look'; readonly ahead: boolean; readonly set: CharSet; readonly edge: boolean };

export const PATTERN_CHARS_MAX = 10_000;
export const REPEAT_MAX = 1_000;
export const GROUP_DEPTH_MAX = 50;

/** A pattern that cannot be read or honoured; `position` counts UTF-16 code units from 0. */
export class PatternError extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.name = 'PatternError';
    this.position = position;
  }
}

export interface ParseOptions {
  readonly ignoreCase?: boolean;
}

/** Parses a regular expression. Throws PatternError. */
export function parsePattern(source: string, options: ParseOptions = {}): Node {
  if (source.length > PATTERN_CHARS_MAX) throw new PatternError(`the pattern is longer than ${PATTERN_CHARS_MAX} characters`, PATTERN_CHARS_MAX);
  return new PatternParser(source, options.ignoreCase === true).parse();
}

const EMPTY: Node = { type: 'empty' };
const SINGLE_ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, 0: 0 };

class PatternParser {
  readonly #source: string;
  readonly #ignoreCase: boolean;
  /** Index of the next code unit to read. */
  #at = 0;
  /** Open groups, bounded so that nesting cannot overflow the stack. */
  #depth = 0;

  constructor(source: string, ignoreCase: boolean) {
    this.#source = source;
    this.#ignoreCase = ignoreCase;
  }

  parse(): Node {
    const node = this.#alternatives();
    if (this.#at < this.#source.length) throw this.#error('this closing parenthesis has no opening one; write \\) for the character');
    return node;
  }

  #alternatives(): Node {
    const parts = [this.#sequence()];
    while (this.#peek() === '|') {
      this.#at += 1;
      parts.push(this.#sequence());
    }
    return parts.length === 1 ? (parts[0] as Node) : { type: 'alt', parts };
  }

  #sequence(): Node {
    const parts: Node[] = [];
    for (let next = this.#peek(); next !== '' && next !== '|' && next !== ')'; next = this.#peek()) parts.push(this.#quantified());
    if (parts.length === 0) return EMPTY;
    return parts.length === 1 ? (parts[0] as Node) : { type: 'concat', parts };
  }

  #quantified(): Node {
    const start = this.#at;
    const atom = this.#atom();
    const bounds = this.#quantifier();
    if (bounds === undefined) return atom;
    if (atom.type === 'look' || (atom.type === 'alt' && atom.parts.every((p) => p.type === 'concat' && p.parts.every((q) => q.type === 'look')))) {
      throw new PatternError('an assertion cannot be repeated', start);
    }
    const after = this.#peek();
    if (after === '?' || after === '+') throw this.#error('lazy and possessive quantifiers do not exist here: every match is found, and overlapping ones are joined; leave it out');
    if (after === '*' || this.#braces() !== undefined) throw this.#error('a quantifier cannot follow a quantifier; put the first in a group (?:…)');
    return { type: 'repeat', of: atom, min: bounds[0], max: bounds[1] };
  }

  #quantifier(): readonly [number, number] | undefined {
    switch (this.#peek()) {
      case '*': this.#at += 1; return [0, Infinity];
      case '+': this.#at += 1; return [1, Infinity];
      case '?': this.#at += 1; return [0, 1];
      case '{': return this.#counted();
      default: return undefined;
    }
  }

  /** The braces at the reading position when they are a quantifier, not read. */
  #braces(): RegExpExecArray | undefined {
    const braces = /\{(\d{1,6})(?:(,)(\d{1,6})?)?\}/y;
    braces.lastIndex = this.#at;
    return braces.exec(this.#source) ?? undefined;
  }

  #counted(): readonly [number, number] {
    const start = this.#at;
    const found = this.#braces();
    if (found === undefined) throw this.#error('write a repetition as {n}, {n,} or {n,m}; write \\{ for the character');
    this.#at += found[0].length;
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? Infinity : Number(found[3]);
    if (max < min) throw new PatternError(`the repetition {${min},${max}} has its bounds in the wrong order`, start);
    if (min > REPEAT_MAX || (max !== Infinity && max > REPEAT_MAX)) throw new PatternError(`a repetition may count to ${REPEAT_MAX} at most`, start);
    return [min, max];
  }

  #atom(): Node {
    const start = this.#at;
    const next = this.#take();
    switch (next) {
      case '.': return this.#set(complementOf(LINE_END));
      case '^': return { type: 'look', ahead: false, set: [], edge: true };
      case '$': return { type: 'look', ahead: true, set: [], edge: true };
      case '[': return this.#set(this.#class(start));
      case '(': return this.#group(start);
      case '\\': return this.#escape(start);
      case '*': case '+': case '?': throw new PatternError(`nothing stands before ${next} that it could repeat; write \\${next} for the character`, start);
      case '{': throw new PatternError('nothing stands before { that it could repeat; write \\{ for the character', start);
      default: return this.#set([[next.codePointAt(0) as number, next.codePointAt(0) as number]]);
    }
  }

  #group(start: number): Node {
    this.#depth += 1;
    if (this.#depth > GROUP_DEPTH_MAX) throw new PatternError(`groups are nested deeper than ${GROUP_DEPTH_MAX}`, start);
    const look = /\?(<?)([=!])/y;
    look.lastIndex = this.#at;
    const found = look.exec(this.#source);
    if (found !== null) this.#at += found[0].length;
    else if (this.#source.startsWith('?:', this.#at)) this.#at += 2;
    else if (this.#peek() === '?') throw new PatternError('of the groups that begin with (? only (?:…), (?=.), (?!.), (?<=.) and (?<!.) exist here', start);
    const inner = this.#alternatives();
    if (this.#peek() !== ')') throw new PatternError('this group is not closed', start);
    this.#at += 1;
    this.#depth -= 1;
    return found === null ? inner : this.#look(inner, found[1] !== '<', found[2] === '!', start);
  }

  #look(inner: Node, ahead: boolean, negative: boolean, start: number): Node {
    const one = oneCharacter(inner);
    if (one === undefined) throw new PatternError('a look-around sees exactly one character: a character, a class, $ or ^, or alternatives of these', start);
    return negative ? { type: 'look', ahead, set: complementOf(one.set), edge: !one.edge } : { type: 'look', ahead, set: one.set, edge: one.edge };
  }

  #escape(start: number): Node {
    const next = this.#peek();
    if (next === 'b' || next === 'B') {
      this.#at += 1;
      return boundary(next === 'b');
    }
    if (/[1-9k]/.test(next)) throw new PatternError('back-references do not exist here: they cannot be matched in linear time', start);
    return this.#set(this.#escapedSet(start));
  }

  /** After a backslash: the set that the escape stands for, inside and outside classes. */
  #escapedSet(start: number): CharSet {
    const next = this.#take();
    switch (next) {
      case '': throw new PatternError('the pattern ends in a backslash; write \\\\ for the character', start);
      case 'd': return DIGIT;
      case 'D': return complementOf(DIGIT);
      case 'w': return WORD;
      case 'W': return complementOf(WORD);
      case 's': return SPACE;
      case 'S': return complementOf(SPACE);
      case 'p': case 'P': return this.#property(start, next === 'P');
      case 'x': return this.#hexadecimal(start, /([0-9a-fA-F]{2})/y);
      case 'u': return this.#hexadecimal(start, /([0-9a-fA-F]{4})|\{([0-9a-fA-F]{1,6})\}/y);
      default:
    }
    const single = SINGLE_ESCAPES[next];
    if (single !== undefined) return [[single, single]];
    if (/[A-Za-z0-9]/.test(next)) throw new PatternError(`\\${next} means nothing here; write ${next} for the character`, start);
    const codePoint = next.codePointAt(0) as number;
    return [[codePoint, codePoint]];
  }

  #property(start: number, negative: boolean): CharSet {
    const name = /\{([^}]{1,60})\}/y;
    name.lastIndex = this.#at;
    const found = name.exec(this.#source);
    const set = found === null ? undefined : unicodeProperty(found[1] as string);
    if (found === null || set === undefined) throw new PatternError('write a Unicode property as \\p{L}, \\p{Lu} or \\p{Script=Greek}', start);
    this.#at += found[0].length;
    return negative ? complementOf(set) : set;
  }

  #hexadecimal(start: number, form: RegExp): CharSet {
    form.lastIndex = this.#at;
    const found = form.exec(this.#source);
    const codePoint = found === null ? NaN : parseInt((found[1] ?? found[2]) as string, 16);
    if (found === null || codePoint > CODE_POINT_MAX) throw new PatternError('write a character by number as \\x41, \\u0041 or \\u{1F600}', start);
    this.#at += found[0].length;
    return [[codePoint, codePoint]];
  }

  #class(start: number): CharSet {
    const negative = this.#peek() === '^';
    if (negative) this.#at += 1;
    const sets: CharSet[] = [];
    while (this.#peek() !== ']') {
      if (this.#peek() === '') throw new PatternError('this class is not closed; write \\[ for the character', start);
      sets.push(this.#classRange());
    }
    this.#at += 1;
    if (sets.length === 0) throw new PatternError('an empty class matches nothing', start);
    const set = this.#ignoreCase ? foldCase(unionOf(...sets)) : unionOf(...sets);
    return negative ? complementOf(set) : set;
  }

  #classRange(): CharSet {
    const start = this.#at;
    const first = this.#classAtom();
    if (this.#peek() !== '-' || this.#source[this.#at + 1] === ']' || this.#source[this.#at + 1] === undefined) return first;
    this.#at += 1;
    const last = this.#classAtom();
    const from = singleOf(first);
    const to = singleOf(last);
    if (from === undefined || to === undefined) throw new PatternError('a range needs a single character at both ends; put - first or last for the character', start);
    if (to < from) throw new PatternError('this range has its ends in the wrong order', start);
    return charSet([[from, to]]);
  }

  #classAtom(): CharSet {
    const start = this.#at;
    const next = this.#take();
    if (next === '\\') return this.#peek() === 'b' ? this.#backspace() : this.#escapedSet(start);
    const codePoint = next.codePointAt(0) as number;
    return [[codePoint, codePoint]];
  }

  #backspace(): CharSet {
    this.#at += 1;
    return [[8, 8]];
  }

  #set(set: CharSet): Node {
    return { type: 'set', set: this.#ignoreCase ? foldCase(set) : set };
  }

  #peek(): string {
    return this.#source[this.#at] ?? '';
  }

  /** The next whole character, or '' at the end. */
  #take(): string {
    const codePoint = this.#source.codePointAt(this.#at);
    if (codePoint === undefined) return '';
    const character = String.fromCodePoint(codePoint);
    this.#at += character.length;
    return character;
  }

  #error(message: string): PatternError {
    return new PatternError(message, this.#at);
  }
}

/** `\b` and `\B`, each two assertions of one character. */
function boundary(positive: boolean): Node {
  const word = wordCharacters();
  const other = complementOf(word);
  const between = (behindWord: boolean, aheadWord: boolean): Node => ({
    type: 'concat',
    parts: [
      { type: 'look', ahead: false, set: behindWord ? word : other, edge: !behindWord },
      { type: 'look', ahead: true, set: aheadWord ? word : other, edge: !aheadWord },
    ],
  });
  return { type: 'alt', parts: positive ? [between(true, false), between(false, true)] : [between(true, true), between(false, false)] };
}

/** The neighbours that a look-around's inside allows, or undefined when it is not one character. */
function oneCharacter(node: Node): { readonly set: CharSet; readonly edge: boolean } | undefined {
  if (node.type === 'set') return { set: node.set, edge: false };
  if (node.type === 'look' && node.set.length === 0 && node.edge) return { set: [], edge: true };
  if (node.type !== 'alt') return undefined;
  const parts = node.parts.map(oneCharacter);
  if (parts.some((part) => part === undefined)) return undefined;
  const known = parts as { set: CharSet; edge: boolean }[];
  return { set: unionOf(...known.map((p) => p.set)), edge: known.some((p) => p.edge) };
}

function singleOf(set: CharSet): number | undefined {
  return set.length === 1 && set[0]?.[0] === set[0]?.[1] ? set[0]?.[0] : undefined;
}

/** Fewest and most UTF-16 code units that a match of `node` can have; `max` may be Infinity. */
export function lengthOf(node: Node): { readonly min: number; readonly max: number } {
  switch (node.type) {
    case 'empty': case 'look': return { min: 0, max: 0 };
    case 'set': return { min: node.set.some(([from]) => from <= 0xffff) ? 1 : 2, max: node.set.some(([, to]) => to > 0xffff) ? 2 : 1 };
    case 'concat': return node.parts.map(lengthOf).reduce((a, b) => ({ min: a.min + b.min, max: a.max + b.max }), { min: 0, max: 0 });
    case 'alt': return node.parts.map(lengthOf).reduce((a, b) => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) }));
    case 'repeat': {
      const of = lengthOf(node.of);
      return { min: of.min * node.min, max: of.max === 0 ? 0 : of.max * node.max };
    }
  }
}

/**
 * How many code units of a possible match can be undecided at once: its greatest length, or, where it repeats without
 * bound and all that follows is optional, the length up to where it has surely matched, one unfinished turn and the
 * optional rest. Undefined when no such bound exists: such a pattern cannot be honoured on a stream.
 */
export function holdOf(node: Node): number | undefined {
  const { max } = lengthOf(node);
  if (max !== Infinity) return max;
  if (node.type === 'alt') {
    const parts = node.parts.map(holdOf);
    return parts.some((p) => p === undefined) ? undefined : Math.max(...(parts as number[]));
  }
  if (node.type === 'repeat') {
    const turn = lengthOf(node.of).max;
    return turn === Infinity ? undefined : turn * (node.min + 1);
  }
  // What has no greatest length and is neither an alternative nor a repetition is a sequence that holds one.
  const { parts } = node as Extract<Node, { type: 'concat' }>;
  const open = parts.findIndex((part) => lengthOf(part).max === Infinity);
  const before = lengthOf({ type: 'concat', parts: parts.slice(0, open) }).max;
  const loop = holdOf(parts[open] as Node);
  const rest: Node = { type: 'concat', parts: parts.slice(open + 1) };
  const after = lengthOf(rest).max;
  return loop === undefined || after === Infinity || !isOptional(rest) ? undefined : before + loop + after;
}

/**
 * Upper bound on the places in `node` that a match can be at, at one moment: one where all ways to a character are equally
 * long, as in `\d{3}-\d{4}`; as many as the ways have lengths, where a part of variable length stands before or is repeated.
 */
export function widthOf(node: Node): number {
  switch (node.type) {
    case 'empty': case 'look': case 'set': return 1;
    case 'alt': return node.parts.reduce((sum, part) => sum + widthOf(part), 0);
    case 'repeat': return isFixed(node.of) ? widthOf(node.of) : placesOf(node);
    case 'concat': {
      const fixed = node.parts.findIndex((part) => !isFixed(part));
      const tied = fixed < 0 ? node.parts : node.parts.slice(0, fixed + 1);
      const loose = node.parts.slice(tied.length);
      return Math.max(0, ...tied.map(widthOf)) + loose.reduce((sum, part) => sum + placesOf(part), 0);
    }
  }
}

function isFixed(node: Node): boolean {
  const { min, max } = lengthOf(node);
  return min === max;
}

/** Places in `node`, with repetitions written out. */
function placesOf(node: Node): number {
  switch (node.type) {
    case 'empty': case 'look': case 'set': return 1;
    case 'alt': case 'concat': return node.parts.reduce((sum, part) => sum + placesOf(part), 0);
    case 'repeat': return placesOf(node.of) * (node.max === Infinity ? node.min + 1 : node.max);
  }
}

/** Whether a node matches the empty text wherever it stands. */
function isOptional(node: Node): boolean {
  switch (node.type) {
    case 'empty': return true;
    case 'set': case 'look': return false;
    case 'concat': return node.parts.every(isOptional);
    case 'alt': return node.parts.some(isOptional);
    case 'repeat': return node.min === 0 || isOptional(node.of);
  }
}
