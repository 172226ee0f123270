/**
 * A trained tagger of names in text: a linear chain over the tokens (conditional random field), its weights small whole
 * numbers behind hashed features. For each span a type and a calibrated score. Reads sentence by sentence: of what stood
 * before it keeps the last two tokens and how likely it ended inside a name; of what follows it needs nothing.
 *
 * INVARIANT: spans depend on the text and the model alone, and a text that comes sentence by sentence gets those of the
 * whole. One model serves many texts; what is kept of one is in its `Reading`. Pure.
 */
import { WindowCutter } from '../text/windows.ts';
import { calibrated, type Calibration } from './calibration.ts';
import { packed, unpacked } from './linear.ts';
import { emptyContext, TAG_FEATURES_VERSION, TagFeatures, type TagContext } from './tag-features.ts';
import { readTables, writeTables } from './tables.ts';
import { mayFollow, OUTSIDE, runsOf, tagCount } from './tags.ts';
import { TOKENS_MAX } from './tokens.ts';
import { WordTable } from './word-table.ts';

/** What parts two sums in one number: more than 64 features of 127 come to. */
const LANE = 65_536;
/** Log-weights below the best that are as good as never; what is multiplied stays above zero. */
const LEAST = -60;

/** One type of name. */
export interface TagType {
  readonly type: string;
  /** A token is of the type where that is at least so likely. */
  readonly floor: number;
  readonly calibration: Calibration;
}

export interface TaggerParts {
  readonly id: string;
  readonly version: string;
  readonly languages: readonly string[];
  readonly buckets: number;
  readonly types: readonly TagType[];
  /** Names of the classes of words, in the order of their bits. */
  readonly classes: readonly string[];
  /** Hash and value of each word in turn (src/model/word-table.ts). */
  readonly words: Int32Array;
  /** A row of tags for each bucket. */
  readonly rows: Int8Array;
  /** What a step of a weight is worth. */
  readonly scale: number;
  /** Log-weights of tag after tag; `-Infinity` where one may not follow. */
  readonly steps: Float32Array;
}

/** `[start, end)` of the text that was read, UTF-16. */
export interface NamedSpan {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  /** 0–1. */
  readonly score: number;
}

export class Tagger {
  readonly parts: TaggerParts;
  readonly #features: TagFeatures;
  readonly #floors: readonly number[];
  /** Weights of tag after tag, by the tag that follows. */
  readonly #steps: Float64Array;
  /** The weights of the features, two tags in each number, and the sums of them for one token. */
  readonly #lanes: Int32Array;
  readonly #sums: Int32Array;
  /** For each token the weight of each tag by its features; the chances forward, one row more; the chances in the end. */
  readonly #emissions: Float64Array;
  readonly #forward: Float64Array;
  readonly #chances: Float64Array;

  constructor(parts: TaggerParts) {
    this.parts = parts;
    const tags = tagCount(parts.types.length);
    if (parts.rows.length !== parts.buckets * tags || parts.steps.length !== tags * tags) throw new Error('the weights of the model do not fit its types; train it again');
    this.#features = new TagFeatures(parts.buckets, new WordTable(parts.words), parts.classes);
    this.#floors = parts.types.map(({ floor }) => floor);
    this.#steps = new Float64Array(tags * tags);
    for (let tag = 0; tag < tags; tag += 1) for (let next = 0; next < tags; next += 1) this.#steps[next * tags + tag] = mayFollow(tag, next) ? Math.exp(parts.steps[tag * tags + next]) : 0;
    this.#lanes = inLanes(parts.rows, tags);
    this.#sums = new Int32Array((tags + 1) >> 1);
    this.#emissions = new Float64Array(TOKENS_MAX * tags);
    this.#forward = new Float64Array((TOKENS_MAX + 1) * tags);
    this.#chances = new Float64Array(TOKENS_MAX * tags);
  }

  /** Reads one text from its beginning. */
  open(): Reading {
    return new Reading(this);
  }

  /** The spans of one sentence; `state` becomes that of its end. For `Reading`. */
  read(text: string, state: ReadingState, found: NamedSpan[], offset: number): void {
    for (let from = 0; from < text.length;) {
      from = this.#features.read(text, from, state.context);
      const { tokens } = this.#features;
      for (let first = 0; first < tokens.count;) {
        const end = this.#endOf(first);
        if (end > first) this.#stretch(first, end, state.before);
        for (const run of runsOf(this.#chances, first, end, this.#floors)) {
          const { type, calibration } = this.parts.types[run.type];
          found.push({ type, start: offset + tokens.starts[run.first], end: offset + tokens.ends[run.last], score: calibrated(run.logit, calibration) });
        }
        if (end < tokens.count) nothingBefore(state.before);
        first = end + 1;
      }
    }
  }

  /** Where the tokens from `first` on end that are not left out. */
  #endOf(first: number): number {
    const { tokens: { count }, from } = this.#features;
    let end = first;
    while (end < count && from[end] < from[end + 1]) end += 1;
    return end;
  }

  /** The chances of each tag for the tokens `[first, end)`; `before`, those of the token before, become those of the last. */
  #stretch(first: number, end: number, before: Float64Array): void {
    const tags = before.length;
    const forward = this.#forward, emissions = this.#emissions, steps = this.#steps, chances = this.#chances;
    for (let tag = 0; tag < tags; tag += 1) forward[first * tags + tag] = before[tag];
    for (let token = first; token < end; token += 1) {
      this.#weigh(token, tags);
      const row = token * tags;
      let sum = 0;
      for (let tag = 0; tag < tags; tag += 1) {
        let weight = 0;
        for (let other = 0; other < tags; other += 1) weight += forward[row + other] * steps[tag * tags + other];
        sum += forward[row + tags + tag] = weight * emissions[row + tag];
      }
      for (let tag = 0; tag < tags; tag += 1) forward[row + tags + tag] /= sum;
    }
    for (let tag = 0; tag < tags; tag += 1) before[tag] = forward[end * tags + tag];
    // What is left out is outside for sure; of what comes after the window nothing is known.
    const isOpen = end === this.#features.tokens.count;
    for (let tag = 0; tag < tags; tag += 1) chances[(end - 1) * tags + tag] = isOpen ? 1 : steps[tag];
    for (let token = end - 2; token >= first; token -= 1) {
      const row = token * tags;
      let sum = 0;
      for (let tag = 0; tag < tags; tag += 1) chances[row + tag] = 0;
      for (let next = 0; next < tags; next += 1) {
        const weight = chances[row + tags + next] * emissions[row + tags + next];
        for (let tag = 0; tag < tags; tag += 1) chances[row + tag] += weight * steps[next * tags + tag];
      }
      for (let tag = 0; tag < tags; tag += 1) sum += chances[row + tag];
      for (let tag = 0; tag < tags; tag += 1) chances[row + tag] /= sum;
    }
    for (let token = first; token < end; token += 1) {
      const row = token * tags;
      let sum = 0;
      for (let tag = 0; tag < tags; tag += 1) sum += chances[row + tag] *= forward[row + tags + tag];
      for (let tag = 0; tag < tags; tag += 1) chances[row + tag] /= sum;
    }
  }

  /** The weight of each tag by the features of one token, against the best. */
  #weigh(token: number, tags: number): void {
    const { rows, from } = this.#features;
    const lanes = this.#lanes, emissions = this.#emissions, sums = this.#sums;
    const width = sums.length;
    const row = token * tags;
    for (let lane = 0; lane < width; lane += 1) sums[lane] = 0;
    for (let at = from[token]; at < from[token + 1]; at += 1) {
      const first = rows[at] * width;
      for (let lane = 0; lane < width; lane += 1) sums[lane] += lanes[first + lane];
    }
    let most = -Infinity;
    for (let tag = 0; tag < tags; tag += 1) most = Math.max(most, emissions[row + tag] = laneValue(sums[tag >> 1], tag));
    for (let tag = 0; tag < tags; tag += 1) emissions[row + tag] = Math.exp(Math.max(LEAST, (emissions[row + tag] - most) * this.parts.scale));
  }
}

/** Nothing has begun. */
function nothingBefore(before: Float64Array): void {
  before.fill(0);
  before[OUTSIDE] = 1;
}

/** Two tags in one number, as sums of them stay apart: half the work of adding up rows. */
function inLanes(rows: Int8Array, tags: number): Int32Array {
  const width = (tags + 1) >> 1;
  const lanes = new Int32Array((rows.length / tags) * width);
  for (let row = 0, at = 0; at < rows.length; row += width, at += tags) for (let tag = 0; tag < tags; tag += 1) lanes[row + (tag >> 1)] += tag % 2 === 0 ? rows[at + tag] : rows[at + tag] * LANE;
  return lanes;
}

function laneValue(sum: number, tag: number): number {
  const low = (sum << 16) >> 16;
  return tag % 2 === 0 ? low : (sum - low) / LANE;
}

export interface ReadPiece {
  /** Offsets in the piece. */
  readonly spans: readonly NamedSpan[];
  /** All of it is in scripts that are not read. */
  readonly isForeign: boolean;
}

/** What is kept of a text between its sentences. */
interface ReadingState {
  readonly context: TagContext;
  /** The chances of each tag for the last token. */
  readonly before: Float64Array;
}

/** One text, as it comes. */
export class Reading {
  readonly #tagger: Tagger;
  readonly #state: ReadingState;

  constructor(tagger: Tagger) {
    this.#tagger = tagger;
    const before = new Float64Array(tagCount(tagger.parts.types.length));
    nothingBefore(before);
    this.#state = { context: emptyContext(), before };
  }

  /** The next piece: whole sentences, or the rest. */
  feed(text: string): ReadPiece {
    const spans: NamedSpan[] = [];
    const cutter = new WindowCutter('sentence');
    let foreign = 0, all = 0;
    for (const windows of [cutter.feed(text), cutter.flush()]) {
      for (const window of windows) {
        all += 1;
        if (isForeign(window.text)) foreign += 1;
        else this.#tagger.read(window.text, this.#state, spans, window.start);
      }
    }
    return { spans, isForeign: foreign > 0 && foreign === all };
  }
}

const LATIN_END = 0x250;
const SIGNS_FROM = 0x2000;
const SIGNS_END = 0x3040;
const SURROGATES = 0xd800;

/** More letters of other scripts than of Latin: it is not read. */
function isForeign(text: string): boolean {
  let latin = 0, other = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < LATIN_END) latin += Number((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a);
    else if ((code < SIGNS_FROM || code >= SIGNS_END) && code < SURROGATES) other += 1;
  }
  return other > latin;
}

export function writeTagger(parts: TaggerParts): Buffer {
  const { words, rows, steps, ...about } = parts;
  const kept = packed(rows, tagCount(parts.types.length));
  return writeTables(new Map<string, Uint8Array>([
    ['about', Buffer.from(JSON.stringify({ features: TAG_FEATURES_VERSION, ...about }))], ['words', bytesOf(words)], ['steps', bytesOf(steps)], ['kept', kept.kept], ['rows', bytesOf(kept.rows)],
  ]));
}

/** Throws an Error that says what is wrong with the file. */
export function readTagger(file: Uint8Array): Tagger {
  const tables = readTables(file);
  const table = (name: string): Uint8Array => {
    const bytes = tables.get(name);
    if (bytes === undefined) throw new Error(`the model file has no table ${name}; train it again`);
    return bytes;
  };
  const { features, ...about } = JSON.parse(Buffer.from(table('about')).toString()) as Omit<TaggerParts, 'words' | 'rows' | 'steps'> & { readonly features: number };
  if (features !== TAG_FEATURES_VERSION) throw new Error(`the model was made for features of version ${features}, this program has ${TAG_FEATURES_VERSION}; train it again`);
  const [words, steps, kept, rows] = [table('words'), table('steps'), table('kept'), table('rows')];
  return new Tagger({
    ...about,
    words: new Int32Array(words.buffer, words.byteOffset, words.length / 4),
    steps: new Float32Array(steps.buffer, steps.byteOffset, steps.length / 4),
    rows: unpacked(kept, new Int8Array(rows.buffer, rows.byteOffset, rows.length), tagCount(about.types.length), about.buckets),
  });
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
