/**
 * The features of the tokens of one window: the word, its ends, shape, classes and cluster; the same of its neighbours;
 * what joins them; and how the window is written (all lower case, titles, capitals). The last two tokens of the window
 * before are neighbours too, so that a text reads on; of what comes after the window nothing is known.
 *
 * INVARIANT: the same windows in the same order give the same features; `TAG_FEATURES_VERSION` changes with every line
 * that changes one. Pure.
 */
import { joined, SHAPES, TOKENS_MAX, Tokens } from './tokens.ts';
import { CLASSES_MAX, classesOf, clusterOf, type WordTable } from './word-table.ts';

/** Written into every model; a model of another version is refused. */
export const TAG_FEATURES_VERSION = 1;
/** Features of one token. */
export const FEATURES_MAX = 64;

/** Tokens before and behind that are looked at. */
const REACH = 2;
/** Clusters of 4,096 by their leading bits are wider clusters. */
const WIDE_BITS = 6;

/** The class of words that have a meaning here: in small letters they are part of no name. */
export const PLAIN_CLASS = 'plain';

/** What stands before the first token of a text. */
const NOTHING = { word: 0, shape: SHAPES.none, value: 0, end3: 0 } as const;

/** The end of a window, for the features of the next. */
export interface TagContext {
  readonly word: Int32Array;
  readonly shape: Int32Array;
  readonly value: Int32Array;
  readonly end3: Int32Array;
}

export function emptyContext(): TagContext {
  return { word: new Int32Array(REACH), shape: new Int32Array(REACH), value: new Int32Array(REACH), end3: new Int32Array(REACH) };
}

export class TagFeatures {
  readonly tokens = new Tokens();
  /** Buckets of token `t`: `rows[from[t] … from[t + 1])`. None for one that was left out. */
  readonly rows = new Int32Array(TOKENS_MAX * FEATURES_MAX);
  readonly from = new Int32Array(TOKENS_MAX + 1);
  readonly #buckets: number;
  readonly #table: WordTable;
  /** The bit of the class of plain words. */
  readonly #plain: number;
  readonly #word = new Int32Array(TOKENS_MAX + 2 * REACH);
  readonly #shape = new Int32Array(TOKENS_MAX + 2 * REACH);
  readonly #value = new Int32Array(TOKENS_MAX + 2 * REACH);
  readonly #end3 = new Int32Array(TOKENS_MAX + 2 * REACH);
  #at = 0;

  /** `buckets` is a power of two. */
  constructor(buckets: number, table: WordTable, classes: readonly string[]) {
    this.#buckets = buckets;
    this.#table = table;
    this.#plain = classes.includes(PLAIN_CLASS) ? 1 << classes.indexOf(PLAIN_CLASS) : 0;
  }

  /**
   * Reads a window, or as much of it as there is room for, and leaves its end in `context`; where it stopped. `known`: for
   * learning, false where the table is to be silent about a word; then no token is left out.
   */
  read(text: string, from: number, context: TagContext, known?: (word: number) => boolean): number {
    const stopped = this.tokens.read(text, from);
    const { count, words, shapes, end3 } = this.tokens;
    for (let at = 0; at < REACH; at += 1) this.#set(at, context.word[at], context.shape[at], context.value[at], context.end3[at]);
    for (let at = 0; at < count; at += 1) this.#set(at + REACH, words[at], shapes[at], known === undefined || known(words[at]) ? this.#table.valueOf(words[at]) : 0, end3[at]);
    for (let at = 0; at < REACH; at += 1) this.#set(count + REACH + at, NOTHING.word, NOTHING.shape, NOTHING.value, NOTHING.end3);
    const style = styleOf(shapes, count);
    this.#at = 0;
    for (let at = 0; at < count; at += 1) {
      this.from[at] = this.#at;
      if (known !== undefined || !this.#isIdle(at + REACH)) this.#token(at, style);
    }
    this.from[count] = this.#at;
    for (let at = 0; at < REACH; at += 1) {
      context.word[at] = this.#word[count + at];
      context.shape[at] = this.#shape[count + at];
      context.value[at] = this.#value[count + at];
      context.end3[at] = this.#end3[count + at];
    }
    return stopped;
  }

  /**
   * Where no name stands: a plain word, unless names may stand on both sides of it ("Duke of York"); a sign beside a plain
   * word or among signs. Most of a text is such, and is left out.
   */
  #isIdle(at: number): boolean {
    const shape = this.#shape[at];
    if (shape === SHAPES.sign) return this.#isPlain(at - 1) || this.#isPlain(at + 1) || (this.#isMute(at - 1) && this.#isMute(at + 1));
    return this.#isPlain(at) && (this.#isPlain(at - 1) || this.#isPlain(at + 1) || this.#isMute(at - 1) || this.#isMute(at + 1));
  }

  #isPlain(at: number): boolean {
    return this.#shape[at] === SHAPES.lower && (this.#value[at] & this.#plain) !== 0;
  }

  #isMute(at: number): boolean {
    return this.#shape[at] === SHAPES.sign || this.#shape[at] === SHAPES.none;
  }

  #set(at: number, word: number, shape: number, value: number, end3: number): void {
    this.#word[at] = word;
    this.#shape[at] = shape;
    this.#value[at] = value;
    this.#end3[at] = end3;
  }

  #token(token: number, style: number): void {
    const at = token + REACH;
    const w = this.#word, s = this.#shape, v = this.#value, e = this.#end3;
    const { begin3, end2, spaced } = this.tokens;
    const word = w[at], shape = s[at], classes = classesOf(v[at]), cluster = clusterOf(v[at]);
    const before = s[at - 1], after = s[at + 1];

    this.#add(1, word);
    this.#add(2, word, shape);
    this.#add(3, shape, style);
    this.#add(4, shape, spaced[token] + 2 * (token === 0 ? 1 : 0));
    if (end2[token] !== 0) this.#add(6, end2[token], shape);
    if (begin3[token] !== 0) {
      this.#add(7, begin3[token]);
      this.#add(8, e[at]);
      this.#add(9, e[at], shape);
    }
    this.#add(11, classes, shape);
    this.#add(12, joined(style, classes), shape);
    for (let one = 0; one < CLASSES_MAX; one += 1) if ((classes & (1 << one)) !== 0) this.#add(13, one, shape);
    if (cluster !== 0) {
      this.#add(14, cluster);
      this.#add(15, cluster, shape);
      this.#add(16, cluster >> WIDE_BITS, shape);
    }

    this.#add(20, w[at - 1]);
    this.#add(21, w[at + 1]);
    this.#add(22, w[at - 2]);
    this.#add(24, w[at - 1], shape);
    this.#add(25, w[at + 1], shape);
    this.#add(26, w[at - 1], word);
    this.#add(27, word, w[at + 1]);
    this.#add(30, before * 32 + shape);
    this.#add(31, shape * 32 + after);
    this.#add(32, (before * 32 + shape) * 32 + after);
    this.#add(35, e[at - 1], shape);
    const classesBefore = classesOf(v[at - 1]), classesAfter = classesOf(v[at + 1]);
    this.#add(40, joined(classesBefore, before), joined(classes, shape));
    this.#add(41, joined(classesAfter, after), joined(classes, shape));
    const clusterBefore = clusterOf(v[at - 1]), clusterAfter = clusterOf(v[at + 1]);
    if (clusterBefore !== 0) this.#add(44, clusterBefore, shape);
    if (clusterAfter !== 0) this.#add(45, clusterAfter, shape);
  }

  #add(template: number, one: number, other = 0): void {
    const hash = joined(template, one, other);
    const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    this.rows[this.#at++] = (mixed ^ (mixed >>> 13)) & (this.#buckets - 1);
  }
}

const FEW_WORDS = 4;
const MOST = 0.6;

/** How a window is written: without capitals, in titles, in capitals or mixed; and whether it is but a few words. */
function styleOf(shapes: Uint8Array, count: number): number {
  let lower = 0, capital = 0, upper = 0;
  for (let at = 0; at < count; at += 1) {
    const shape = shapes[at];
    if (shape === SHAPES.lower) lower += 1;
    else if (shape === SHAPES.capital || shape === SHAPES.mixed) capital += 1;
    else if (shape === SHAPES.upper) upper += 1;
  }
  const all = lower + capital + upper;
  const written = capital + upper === 0 ? 1 : upper > MOST * all ? 2 : capital > MOST * all ? 3 : 4;
  return all < FEW_WORDS ? written : written + 4;
}
