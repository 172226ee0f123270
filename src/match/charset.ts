/**
 * Sets of characters as sorted, disjoint ranges of code points, with the operations that classes need: union,
 * complement, Unicode categories, simple case folding. Also their form over UTF-16 code units, which is what the
 * automaton reads: a set becomes a set of single units and, above U+FFFF, pairs of unit ranges. Pure.
 */

/** Inclusive ranges `[from, to]`, sorted, disjoint and not adjacent. */
export type CharSet = readonly (readonly [number, number])[];

export const CODE_POINT_MAX = 0x10ffff;
const SURROGATE_FIRST = 0xd800;
const SURROGATE_LAST = 0xdfff;

/** Sorts and joins ranges. */
export function charSet(ranges: readonly (readonly [number, number])[]): CharSet {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = joined[joined.length - 1];
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}

export function unionOf(...sets: readonly CharSet[]): CharSet {
  return charSet(sets.flat());
}

/** Every code point that is not in `set`. */
export function complementOf(set: CharSet): CharSet {
  const out: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) out.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= CODE_POINT_MAX) out.push([next, CODE_POINT_MAX]);
  return out;
}

export function contains(set: CharSet, codePoint: number): boolean {
  let low = 0;
  let high = set.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = set[middle] as readonly [number, number];
    if (codePoint < from) high = middle - 1;
    else if (codePoint > to) low = middle + 1;
    else return true;
  }
  return false;
}

export const DIGIT: CharSet = [[0x30, 0x39]];
export const WORD: CharSet = charSet([[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]);
export const SPACE: CharSet = charSet([[9, 13], [0x20, 0x20], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]]);
/** What `.` leaves out. */
export const LINE_END: CharSet = charSet([[10, 10], [13, 13], [0x2028, 0x2029]]);

const properties = new Map<string, CharSet>();
let everyCharacter: string | undefined;

/**
 * The code points of a Unicode property (`L`, `Lu`, `Script=Greek`), as the running V8 knows it.
 * Returns undefined for a name that it does not know.
 */
export function unicodeProperty(name: string): CharSet | undefined {
  const known = properties.get(name);
  if (known !== undefined) return known;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`\\p{${name}}+`, 'gu');
  } catch {
    return undefined;
  }
  const ranges: [number, number][] = [];
  for (const match of everyCodePoint().matchAll(pattern)) {
    const run = match[0];
    const first = run.codePointAt(0) as number;
    // Runs are contiguous in code points except across the surrogates, which the text of all characters leaves out.
    const lastUnit = run.charCodeAt(run.length - 1);
    const last = lastUnit >= 0xdc00 && lastUnit <= 0xdfff && run.length > 1 ? (run.codePointAt(run.length - 2) as number) : lastUnit;
    if (first < SURROGATE_FIRST && last > SURROGATE_LAST) ranges.push([first, SURROGATE_FIRST - 1], [SURROGATE_LAST + 1, last]);
    else ranges.push([first, last]);
  }
  const set = charSet(ranges);
  properties.set(name, set);
  return set;
}

function everyCodePoint(): string {
  if (everyCharacter === undefined) {
    const parts: string[] = [];
    for (let base = 0; base <= CODE_POINT_MAX; base += 0x800) {
      if (base >= SURROGATE_FIRST && base <= SURROGATE_LAST) continue;
      parts.push(String.fromCodePoint(...Array.from({ length: 0x800 }, (_, i) => base + i)));
    }
    everyCharacter = parts.join('');
  }
  return everyCharacter;
}

let boundaryWord: CharSet | undefined;

/** What `\b` calls a word character: letters, marks and numbers of every script, and the underscore. */
export function wordCharacters(): CharSet {
  boundaryWord ??= unionOf(unicodeProperty('L') as CharSet, unicodeProperty('M') as CharSet, unicodeProperty('N') as CharSet, [[0x5f, 0x5f]]);
  return boundaryWord;
}

let folds: Map<number, readonly number[]> | undefined;

/** `set` with every code point that differs from a member only in case. Simple folding: one code point to one. */
export function foldCase(set: CharSet): CharSet {
  folds ??= caseOrbits();
  const extra: [number, number][] = [];
  const add = (others: readonly number[]): void => { for (const other of others) extra.push([other, other]); };
  if (set.length === 1 && set[0]?.[0] === set[0]?.[1]) add(folds.get(set[0]?.[0] as number) ?? []);
  else for (const [member, others] of folds) if (contains(set, member)) add(others);
  return extra.length === 0 ? set : charSet([...set, ...extra]);
}

/** For each code point with case: all others with the same lower-case form. */
function caseOrbits(): Map<number, readonly number[]> {
  const byFold = new Map<number, number[]>();
  for (const match of everyCodePoint().matchAll(/\p{Changes_When_Casemapped}/gu)) {
    const text = match[0];
    const key = foldOf(text);
    if (key === undefined) continue;
    const orbit = byFold.get(key);
    if (orbit === undefined) byFold.set(key, [text.codePointAt(0) as number]);
    else orbit.push(text.codePointAt(0) as number);
  }
  const out = new Map<number, readonly number[]>();
  for (const orbit of byFold.values()) {
    if (orbit.length > 1) for (const member of orbit) out.set(member, orbit.filter((o) => o !== member));
  }
  return out;
}

function foldOf(text: string): number | undefined {
  const upper = text.toUpperCase();
  const lower = (lengthOf(upper) === 1 ? upper : text).toLowerCase();
  return lengthOf(lower) === 1 ? lower.codePointAt(0) : undefined;
}

function lengthOf(text: string): number {
  return text.length === 2 && (text.codePointAt(0) as number) > 0xffff ? 1 : text.length;
}

/** A set over code units: `units` match one unit; each pair matches a high and then a low surrogate. */
export interface UnitSet {
  readonly units: CharSet;
  readonly pairs: readonly { readonly high: readonly [number, number]; readonly low: readonly [number, number] }[];
}

/**
 * The set over UTF-16 code units. Lone surrogates belong to no set: well-formed text has none, and a set that took
 * half a character would match at a place where no character ends.
 */
export function toUnits(set: CharSet): UnitSet {
  let known = unitSets.get(set);
  if (known === undefined) {
    known = splitUnits(set);
    unitSets.set(set, known);
  }
  return known;
}

/** A repetition compiles its set once for each turn; the work is done once. */
const unitSets = new WeakMap<CharSet, UnitSet>();

function splitUnits(set: CharSet): UnitSet {
  const units: [number, number][] = [];
  const pairs: { high: [number, number]; low: [number, number] }[] = [];
  for (const [from, to] of set) {
    pushRange(units, from, Math.min(to, SURROGATE_FIRST - 1));
    pushRange(units, Math.max(from, SURROGATE_LAST + 1), Math.min(to, 0xffff));
    pushPairs(pairs, Math.max(from, 0x10000), to);
  }
  return { units, pairs };
}

function pushRange(out: [number, number][], from: number, to: number): void {
  if (from <= to) out.push([from, to]);
}

/** Splits a range above U+FFFF into at most three products of a high range and a low range. */
function pushPairs(out: { high: [number, number]; low: [number, number] }[], from: number, to: number): void {
  if (from > to) return;
  const firstHigh = highOf(from);
  const lastHigh = highOf(to);
  if (firstHigh === lastHigh) {
    out.push({ high: [firstHigh, firstHigh], low: [lowOf(from), lowOf(to)] });
    return;
  }
  const fullFrom = lowOf(from) === 0xdc00 ? firstHigh : firstHigh + 1;
  const fullTo = lowOf(to) === 0xdfff ? lastHigh : lastHigh - 1;
  if (fullFrom > firstHigh) out.push({ high: [firstHigh, firstHigh], low: [lowOf(from), 0xdfff] });
  if (fullFrom <= fullTo) out.push({ high: [fullFrom, fullTo], low: [0xdc00, 0xdfff] });
  if (fullTo < lastHigh) out.push({ high: [lastHigh, lastHigh], low: [0xdc00, lowOf(to)] });
}

const highOf = (codePoint: number): number => 0xd800 + ((codePoint - 0x10000) >> 10);
const lowOf = (codePoint: number): number => 0xdc00 + ((codePoint - 0x10000) & 0x3ff);
