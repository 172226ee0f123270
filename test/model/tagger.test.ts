/**
 * The tagger: tokens that cover the text, the table of words against a map, chances against all sequences of tags summed
 * one by one, a text in pieces against the whole, and the file: what does not fit is refused.
 */
import fc from 'fast-check';
import t from 'tap';
import { calibrated } from '../../src/model/calibration.ts';
import { emptyContext, TagFeatures } from '../../src/model/tag-features.ts';
import { readTagger, Tagger, writeTagger, type NamedSpan, type TaggerParts } from '../../src/model/tagger.ts';
import { readTables, writeTables } from '../../src/model/tables.ts';
import { beginOf, insideOf, mayFollow, runsOf, tagCount } from '../../src/model/tags.ts';
import { SHAPES, tokenHash, Tokens, TOKENS_MAX } from '../../src/model/tokens.ts';
import { CLASSES_MAX, classesOf, clusterOf, CLUSTERS_MAX, WORDS_MAX, WordTable, wordValue } from '../../src/model/word-table.ts';
import { WindowCutter } from '../../src/text/windows.ts';

const BUCKETS = 1 << 10;
const TYPES = 2;
const TAGS = tagCount(TYPES);
const PLAIN = ['plain', 'given'];
const WORDS = Int32Array.from([tokenHash('the'), wordValue(1, 3), tokenHash('of'), wordValue(1, 0), tokenHash('met'), wordValue(1, 70), tokenHash('ann'), wordValue(2, 5)]);

function parts(changes: Partial<TaggerParts> = {}): TaggerParts {
  const rows = new Int8Array(BUCKETS * TAGS);
  for (let at = 0; at < rows.length; at += 1) rows[at] = ((at * 2_654_435_761) >>> 7) % 51 - 25;
  const type = { floor: 0, calibration: { slope: 1, intercept: 0 } };
  return {
    id: 'tiny', version: '1', languages: ['en'], buckets: BUCKETS, types: [{ ...type, type: 'PERSON' }, { ...type, type: 'PLACE' }], classes: PLAIN, words: WORDS, rows, scale: 0.01,
    steps: Float32Array.from({ length: TAGS * TAGS }, (_, at) => ((at * 7) % 11) / 10 - 0.5), ...changes,
  };
}

t.test('tokens lie in order, cover all but white space, and their shapes say how they are written', async (t) => {
  const tokens = new Tokens();
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
    let end = 0;
    let kept = '';
    for (let from = 0; from < text.length;) {
      from = tokens.read(text, from);
      for (let at = 0; at < tokens.count; at += 1) {
        t.ok(tokens.starts[at] >= end && tokens.ends[at] > tokens.starts[at]);
        t.match(text.slice(end, tokens.starts[at]), /^[\s\u200b-\u200f\ufeff]*$/u);
        end = tokens.ends[at];
        kept += text.slice(tokens.starts[at], end);
      }
    }
    t.match(text.slice(end), /^[\s\u200b-\u200f\ufeff]*$/u);
    t.ok(kept.length <= text.length);
  }));
  tokens.read("Ann O'Neil met iPhone A NATO 12\n\n 3. Ö é 東");
  t.same([...tokens.shapes.subarray(0, tokens.count)], [
    SHAPES.capital, SHAPES.letter, SHAPES.sign, SHAPES.capital, SHAPES.lower, SHAPES.mixed, SHAPES.letter, SHAPES.upper, SHAPES.digits + 2, SHAPES.line, SHAPES.digits + 1, SHAPES.sign, SHAPES.letter, SHAPES.lower, SHAPES.lower,
  ]);
  t.equal(tokenHash('ÉMILE'), tokenHash('émile'));
  t.not(tokenHash('ann'), tokenHash('nan'));
  t.equal(tokens.read('x'.repeat(5000)), 5000, 'a long word is one token');
  t.equal(tokens.read('. '.repeat(TOKENS_MAX)), 2 * TOKENS_MAX - 1);
  t.equal(tokens.count, TOKENS_MAX);
  t.ok(tokens.read('. '.repeat(TOKENS_MAX + 1)) < 2 * TOKENS_MAX + 1, 'what there is no room for is left to the next reading');
  t.equal(tokens.count, TOKENS_MAX);
});

t.test('the table of words answers as a map does', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: 0, max: (1 << CLASSES_MAX) - 1 }), fc.integer({ min: 0, max: CLUSTERS_MAX - 1 })), { maxLength: 40 }), (entries) => {
    const first = new Map<number, number>();
    for (const [word, classes, cluster] of entries) if (!first.has(word) && wordValue(classes, cluster) !== 0) first.set(word, wordValue(classes, cluster));
    const table = new WordTable(Int32Array.from(entries.flatMap(([word, classes, cluster]) => [word, wordValue(classes, cluster)])));
    for (let word = -12; word < 12; word += 1) t.equal(table.valueOf(word), first.get(word) ?? 0);
    for (const [, classes, cluster] of entries) t.same([classesOf(wordValue(classes, cluster)), clusterOf(wordValue(classes, cluster))], [classes, cluster]);
  }));
  t.doesNotThrow(() => new WordTable(new Int32Array(2 * WORDS_MAX)));
  t.throws(() => new WordTable(new Int32Array(2 * WORDS_MAX + 2)), /at most 262144, this one 262145/);
});

t.test('a plain word among plain words is left out; in learning none is', async (t) => {
  const features = new TagFeatures(BUCKETS, new WordTable(WORDS), PLAIN);
  const left = (text: string, known?: () => boolean): readonly boolean[] => {
    features.read(text, 0, emptyContext(), known);
    return Array.from({ length: features.tokens.count }, (_, at) => features.from[at] === features.from[at + 1]);
  };
  t.same(left('the of met'), [true, true, true]);
  t.same(left('the Ann, of'), [true, false, true, true]);
  t.same(left('Ann of Bob'), [false, false, false], 'between two names it may be a part of one');
  t.same(left('of Ann', () => true), [false, false]);
});

/** The chances of each tag, by all sequences that are allowed. */
function summed({ rows, scale, steps }: TaggerParts, text: string): Float64Array {
  const features = new TagFeatures(BUCKETS, new WordTable(WORDS), []);
  features.read(text, 0, emptyContext());
  const { count } = features.tokens;
  const weigh = (token: number, tag: number): number => {
    let sum = 0;
    for (let at = features.from[token]; at < features.from[token + 1]; at += 1) sum += rows[features.rows[at] * TAGS + tag];
    return sum * scale;
  };
  const chances = new Float64Array(count * TAGS);
  let all = 0;
  for (let code = 0; code < TAGS ** count; code += 1) {
    const tags = Array.from({ length: count }, (_, at) => Math.floor(code / TAGS ** at) % TAGS);
    let weight = 0;
    for (const [at, tag] of tags.entries()) weight += mayFollow(tags[at - 1] ?? 0, tag) ? weigh(at, tag) + steps[(tags[at - 1] ?? 0) * TAGS + tag] : -Infinity;
    all += Math.exp(weight);
    for (const [at, tag] of tags.entries()) chances[at * TAGS + tag] += Math.exp(weight);
  }
  return chances.map((chance) => chance / all);
}

t.test('scores are those of all sequences of tags summed', async (t) => {
  const own = parts({ classes: [] });
  const tagger = new Tagger(own);
  for (const text of ['Ann', 'Ann met Bob', 'the Duke of York', 'Ann\nBob 12', 'a b C d']) {
    const features = new Tokens();
    features.read(text);
    const expected = runsOf(summed(own, text), 0, features.count, [0, 0]).map(({ type, first, last, logit }) => ({ type: own.types[type].type, start: features.starts[first], end: features.ends[last], score: calibrated(logit, own.types[type].calibration) }));
    const found = tagger.open().feed(text).spans;
    t.same(found.map(({ score: _, ...span }) => span), expected.map(({ score: _, ...span }) => span), text);
    for (const [at, { score }] of found.entries()) t.ok(Math.abs(score - expected[at].score) < 1e-9, text);
  }
});

t.test('runs: a floor keeps out, and what begins anew is a run of its own', async (t) => {
  const row = (begin: number, inside: number): readonly number[] => [1 - begin - inside, begin, inside, 0, 0];
  const chances = Float64Array.from([...row(0.9, 0), ...row(0.1, 0.8), ...row(0.7, 0.2), ...row(0.1, 0.1), ...row(0.1, 0.45)]);
  t.same(runsOf(chances, 0, 5, [0.5, 0.5]).map(({ type, first, last }) => [type, first, last]), [[0, 0, 1], [0, 2, 2], [0, 4, 4]]);
  t.same(runsOf(chances, 0, 5, [0.6, 0.5]).map(({ first, last }) => [first, last]), [[0, 1], [2, 2]]);
  t.same(runsOf(chances, 3, 4, [0.5, 0.5]), []);
  t.ok(mayFollow(beginOf(1), insideOf(1)) && !mayFollow(beginOf(0), insideOf(1)) && !mayFollow(0, insideOf(0)) && mayFollow(insideOf(0), beginOf(0)));
});

/** As the host does with a stream: each window of the text as it is complete. */
function inWindows(tagger: Tagger, text: string, sizes: number): readonly NamedSpan[] {
  const reading = tagger.open();
  const cutter = new WindowCutter('sentence');
  const windows = [];
  for (let at = 0; at < text.length; at += sizes) windows.push(...cutter.feed(text.slice(at, at + sizes)));
  windows.push(...cutter.flush());
  return windows.flatMap(({ text: window, start: from }) => reading.feed(window).spans.map(({ start, end, ...span }) => ({ ...span, start: start + from, end: end + from })));
}

t.test('a text that comes in pieces gets what the whole gets, and one text after the other is not mixed', async (t) => {
  const tagger = new Tagger(parts({ types: parts().types.map((type) => ({ ...type, floor: 0.3 })) }));
  const word = fc.constantFrom('Ann', 'the', 'of', 'met', 'Bob Smith', '12', '. ', '\n', 'x'.repeat(30), 'Größe', '東京', '😀', '\ud800', '!');
  fc.assert(fc.property(fc.array(word, { maxLength: 120 }), fc.integer({ min: 1, max: 50 }), (words, sizes) => {
    const text = words.join(' ');
    const whole = tagger.open().feed(text).spans;
    tagger.open().feed('Something else Entirely');
    t.same(inWindows(tagger, text, sizes), [...whole]);
    for (const { start, end, score } of whole) t.ok(start >= 0 && start < end && end <= text.length && score >= 0 && score <= 1);
  }), { numRuns: 60 });
});

t.test('scripts that it does not read: told, and only where there is nothing else', async (t) => {
  const tagger = new Tagger(parts());
  t.match(tagger.open().feed('Анна поехала в Москву вчера утром.'), { spans: [], isForeign: true });
  t.equal(tagger.open().feed('東京で会いましょう').isForeign, true);
  const mixed = tagger.open().feed('Ann met Bob in the big old house. \nАнна поехала в Москву вчера утром.');
  t.equal(mixed.isForeign, false);
  t.ok(mixed.spans.length > 0 && mixed.spans.every(({ end }) => end < 36));
  for (const text of ['', ' ', '12 34', '😀😀', '\ud83d']) t.equal(tagger.open().feed(text).isForeign, false);
});

t.test('the file gives back what was written; what does not fit is refused', async (t) => {
  const own = parts();
  const file = writeTagger(own);
  const read = readTagger(file).parts;
  t.same({ ...read, rows: [...read.rows], words: [...read.words], steps: [...read.steps] }, { ...own, rows: [...own.rows], words: [...own.words], steps: [...own.steps] });
  const tables = readTables(file);
  const without = new Map(tables);
  without.delete('steps');
  t.throws(() => readTagger(writeTables(without)), /has no table steps; train it again/);
  const about = JSON.parse(Buffer.from(tables.get('about')!).toString()) as Record<string, unknown>;
  t.throws(() => readTagger(writeTables(new Map([...tables, ['about', Buffer.from(JSON.stringify({ ...about, features: 0 }))]]))), /made for features of version 0/);
  t.throws(() => new Tagger(parts({ steps: new Float32Array(4) })), /do not fit its types/);
  t.throws(() => readTagger(file.subarray(0, 100)), /checksum|damaged/);
});
