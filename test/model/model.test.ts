/**
 * The model runtime: features against a naive reading, the lexicon, whole-number weights against floating ones, the
 * calibration against known curves, and the file: every damage is refused, every limit has its two tests.
 */
import fc from 'fast-check';
import t from 'tap';
import { bounded, calibrated, fitted, LONE_RATE } from '../../src/model/calibration.ts';
import { Features, phraseHash, WORDS_MORE, stepRows } from '../../src/model/features.ts';
import { FEATURE_CHARS_MAX, Grams, gramsOf, PIECE_CHARS_MAX, PIECE_CHARS_MIN } from '../../src/model/grams.ts';
import { Lexicon, LEXICON_ENTRIES_MAX } from '../../src/model/lexicon.ts';
import { packed, quantised, RowSums, STEP_VALUE, unpacked } from '../../src/model/linear.ts';
import { MODEL_BYTES_MAX, readTables, TABLES_VERSION, writeTables } from '../../src/model/tables.ts';
import { PART_CHARS_MAX, readModel, rowsOf, TextModel, writeModel, type ModelParts } from '../../src/model/text-model.ts';

const BUCKETS = 1 << 12;
const CLASSES = ['fruit', 'tool'];
const ENTRIES = Int32Array.from([phraseHash('apple'), 0, phraseHash('red pear'), 0, phraseHash('very big hammer'), 1, phraseHash('apple'), 1]);
const lexicon = new Lexicon(CLASSES, ENTRIES);

function featuresOf(text: string): { readonly grams: readonly number[]; readonly frames: readonly number[]; readonly steps: readonly number[]; readonly counts: readonly number[] } {
  const features = new Features(BUCKETS, lexicon);
  features.read(text);
  const { grams, whole } = features;
  return { grams: [...grams.fresh.subarray(0, grams.freshCount)], frames: [...whole.frames.subarray(0, whole.frameCount)], steps: [...whole.steps.subarray(0, whole.stepCount)], counts: [...whole.counts] };
}

function parts(changes: Partial<ModelParts> = {}): ModelParts {
  const rows = new Int8Array(rowsOf(BUCKETS, CLASSES.length, 0) * 2);
  for (let at = 0; at < rows.length; at += 7) rows[at] = (at % 251) - 125;
  const head = { category: 'sweet', pieces: 0.5, grams: 1, densities: [0, 0], calibration: { slope: 1, intercept: 0 } };
  return {
    id: 'tiny', version: '1', languages: ['en'], buckets: BUCKETS, heads: [head, { ...head, category: 'hard', pieces: 0 }], classes: CLASSES, signs: [], lexicon: ENTRIES,
    weights: { columns: 2, rows, scales: Float32Array.of(0.01, 0.02), biases: Float32Array.of(-1, 0.5) }, ...changes,
  };
}

/** The buckets of each piece, sorted. */
function piecesOf(grams: Grams): readonly (readonly number[])[] {
  return Array.from({ length: grams.pieces }, (_, piece) => [
    ...grams.fresh.subarray(piece === 0 ? 0 : grams.freshEnds[piece - 1], grams.freshEnds[piece]), ...grams.again.subarray(piece === 0 ? 0 : grams.againEnds[piece - 1], grams.againEnds[piece]),
  ].sort((a, b) => a - b));
}

t.test('features: the same text gives the same, whatever was read before, each once', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (first, second) => {
    const features = new Features(BUCKETS, lexicon);
    features.read(first);
    features.read(second);
    const again = featuresOf(second);
    t.same([...features.grams.fresh.subarray(0, features.grams.freshCount)], again.grams);
    t.same([...features.whole.frames.subarray(0, features.whole.frameCount)], again.frames);
    for (const list of [again.grams, again.frames, again.steps]) t.equal(new Set(list).size, list.length);
  }), { numRuns: 200 });
});

t.test('grams: pieces end with sentences, and are what they would be by themselves', async (t) => {
  const sentences = ['The first sentence of this text goes on until it has more than eighty characters in it.', '“Is the second one as long?” she asked, and he said that it was long enough for that.', 'A third (it ends in a bracket, and says so at some length, for the sake of the test.)', '日本語の文章はここで終わります。'.repeat(5), 'Short.'];
  const grams = new Grams(1 << 20);
  for (const gap of [' ', '\n', '  \r\n\n']) {
    grams.read(sentences.join(gap));
    const pieces = piecesOf(grams);
    t.ok(pieces.length >= 4, `${pieces.length} pieces`);
    const alone = new Grams(1 << 20);
    alone.read(sentences[0]);
    t.same(piecesOf(alone)[0], pieces[0]);
    alone.read('Short.');
    t.same(piecesOf(alone)[0], pieces.at(-1));
    t.same([...grams.fresh.subarray(0, grams.freshCount)].sort((a, b) => a - b), [...new Set(pieces.flat())].sort((a, b) => a - b), 'the text has what its pieces have, each once');
  }
});

t.test('grams: a sentence of PIECE_CHARS_MIN characters is a piece, a shorter one is not; what has no end is cut', async (t) => {
  const grams = new Grams(1 << 12);
  const count = (text: string): number => { grams.read(text); return grams.pieces; };
  const sentence = (chars: number): string => `${'ab '.repeat(chars).slice(0, chars - 3)}c. `;
  t.equal(count(`${sentence(PIECE_CHARS_MIN)}next`), 2);
  t.equal(count(`${sentence(PIECE_CHARS_MIN - 1)}next`), 1);
  t.equal(count('abcd '.repeat(PIECE_CHARS_MAX / 5 + 2)), 2, 'at white space');
  t.equal(count('日'.repeat(10) + '本語'.repeat(PIECE_CHARS_MAX)), 2, 'anywhere');
  t.equal(count('x.y '.repeat(30)), 1, 'a stop within a word ends nothing');
  t.equal(count(''), 1);
  t.equal(count(`${sentence(PIECE_CHARS_MIN)}  \n . \n`), 1, 'nothing is no piece');
});

t.test('grams: the text that was read last is not read again, and many readings do not run into each other', async (t) => {
  t.equal(gramsOf(BUCKETS), gramsOf(BUCKETS));
  const grams = new Grams(BUCKETS);
  grams.read('one two three');
  const first = grams.fresh.slice(0, grams.freshCount);
  grams.fresh[0] = -1;
  grams.read('one two three');
  t.equal(grams.fresh[0], -1);
  for (let turn = 0; turn < 70_000; turn += 1) grams.read(turn % 2 === 0 ? 'four' : 'one two three');
  t.same(grams.fresh.slice(0, grams.freshCount), first);
});

t.test('features: case, stops and long drawn letters make no difference to grams; order does', async (t) => {
  t.same(featuresOf('Hello,   World!').grams, featuresOf('hello world').grams);
  t.same(featuresOf('coooool').grams, featuresOf('cool').grams);
  t.notSame(featuresOf('one two').grams, featuresOf('two one').grams);
  t.same(featuresOf(' .,! ').grams, []);
  t.ok(featuresOf('日本語').grams.length > featuresOf('日本').grams.length);
  t.ok(featuresOf('héllo wörld「ok」¿no? ¡sí! 한국').grams.length > 20);
  t.ok(featuresOf('x'.repeat(10) + 'ab'.repeat(60)).grams.length > 0, 'a word that is too long is read in parts');
  t.ok(featuresOf('İ'.repeat(FEATURE_CHARS_MAX)).grams.length > 0, 'letters that grow longer in small');
});

t.test('features: words and phrases of a class are counted, and make steps', async (t) => {
  t.same(featuresOf('An apple, a red pear and a very big hammer').counts, [2, 1]);
  t.same(featuresOf('nothing of that').steps, []);
  const { steps, counts } = featuresOf('apple '.repeat(9));
  t.same(counts, [9, 0]);
  t.same(steps, [0, 1, 2, 3, 4, 5, 6, 7, ...(9 / (9 + WORDS_MORE) >= 0.3 ? [8] : [])]);
  t.same(featuresOf('apple, the very big hammer').steps.at(-1), stepRows(2) - 1, 'two classes in one text');
  const far = featuresOf(`apple ${'so '.repeat(12)}apple`).frames;
  const near = featuresOf('apple so so apple').frames;
  t.ok(near.some((one) => !far.includes(one)), 'classes that follow each other closely are a feature');
  t.same(featuresOf('apple apple apple').counts, [3, 0]);
});

t.test('features: a frame has classes and short words, whatever the other words are', async (t) => {
  const same = (first: string, second: string): unknown => t.same(featuresOf(first).frames, featuresOf(second).frames, `${first} | ${second}`);
  const other = (first: string, second: string): unknown => t.notSame(featuresOf(first).frames, featuresOf(second).frames, `${first} | ${second}`);
  same('an apple was eaten', 'an apple was stolen');
  same('yesterday apple', 'tomorrow morning apple');
  other('an apple was eaten', 'an apple is eaten');
  other('an apple was eaten', 'an hammer was eaten');
  other('eat the apple', 'eat the apple?');
  other('"the apple" is eaten', 'the apple is eaten');
  same('the apple!!!', 'the apple.');
  same('the red pear fell', 'the red pear fell');
  t.same(featuresOf('nothing here has any class at all').frames, []);
});

t.test('features: reads FEATURE_CHARS_MAX characters, and not one more', async (t) => {
  const full = 'ab '.repeat(Math.ceil(FEATURE_CHARS_MAX / 3)).slice(0, FEATURE_CHARS_MAX - 6) + ' ';
  t.same(featuresOf(`${full}apple`).counts, [1, 0]);
  t.same(featuresOf(`${full} apple`.replace('  ', ' - ')).counts, [0, 0]);
});

t.test('lexicon: the first of two counts; limits and classes are checked', async (t) => {
  t.equal(lexicon.classOf(phraseHash('Apple')), 0);
  t.equal(lexicon.classOf(phraseHash('pear')), -1);
  const many = (count: number): Int32Array => Int32Array.from({ length: 2 * count }, (_, at) => (at % 2 === 0 ? Math.imul(at + 1, 0x9e3779b1) : 0));
  const full = new Lexicon(['a'], many(LEXICON_ENTRIES_MAX));
  t.equal(full.classOf(Math.imul(1, 0x9e3779b1)), 0);
  t.throws(() => new Lexicon(['a'], many(LEXICON_ENTRIES_MAX + 1)), /at most 65536/);
  t.throws(() => new Lexicon(['a'], Int32Array.of(1)), /whole entries/);
  t.throws(() => new Lexicon(['a'], Int32Array.of(1, 1)), /has class 1; there are 1/);
  t.ok(new Lexicon(Array.from({ length: 127 }, (_, one) => `c${one}`), new Int32Array()));
  t.throws(() => new Lexicon(Array.from({ length: 128 }, (_, one) => `c${one}`), new Int32Array()), /at most 127 classes/);
});

t.test('linear: whole numbers give nearly what floating ones give, packed and unpacked', async (t) => {
  const count = rowsOf(BUCKETS, CLASSES.length, 0);
  const floating = Float32Array.from({ length: count * 2 }, (_, at) => (at % 5 === 0 ? Math.sin(at) : 0));
  const weights = quantised(floating, [0.25, -0.5]);
  for (let at = 0; at < floating.length; at += 1) if (Math.abs(weights.rows[at] * weights.scales[at % 2] - floating[at]) > weights.scales[at % 2]) t.fail(`weight ${at}`);
  for (const columns of [1, 2, 3, 4, 5, 9]) {
    const rows = Int8Array.from({ length: 700 * columns }, (_, at) => Math.imul(at, 0x9e3779b1) >> 24);
    const sums = new Float64Array(columns).fill(1);
    const list = Int32Array.from({ length: 1_500 }, (_, at) => (at * 37) % 600);
    new RowSums(rows, columns).add(list, 1, 1_400, 100, sums);
    t.same([...sums], Array.from({ length: columns }, (_, column) => list.subarray(1, 1_400).reduce((sum, row) => sum + rows[(100 + row) * columns + column], 1)), `${columns} columns`);
  }
  const small = packed(weights.rows, 2);
  t.same(unpacked(small.kept, small.rows, 2, count), weights.rows);
  t.ok(small.rows.length < weights.rows.length);
  t.throws(() => unpacked(small.kept.subarray(1), small.rows, 2, count), /marks for/);
  t.throws(() => unpacked(small.kept, new Int8Array([...small.rows, 1, 1]), 2, count), /are marked/);
  t.same([...quantised(new Float32Array(4), [0, 0]).rows], [0, 0, 0, 0]);
});

t.test('calibration: finds the curve that made the rows', async (t) => {
  const rows = Array.from({ length: 4000 }, (_, at) => {
    const score = (at % 80) / 10 - 4;
    return { score, truth: ((at * 0.6180339887) % 1) < calibrated(score, { slope: 1.7, intercept: -0.6 }) ? 1 : 0 };
  });
  const { slope, intercept } = fitted(rows);
  t.ok(Math.abs(slope - 1.7) < 0.15 && Math.abs(intercept + 0.6) < 0.15, `${slope}, ${intercept}`);
  const apart = fitted([{ score: -3, truth: 0 }, { score: 3, truth: 1 }]);
  t.ok(Number.isFinite(apart.slope) && Number.isFinite(apart.intercept));
  t.ok(fitted([{ score: 3, truth: 0 }, { score: -3, truth: 1 }, { score: 4, truth: 0 }, { score: -4, truth: 1 }]).slope > 0, 'it never turns around');
});

t.test('calibration: where all are negative, few of them score 0.5 or more', async (t) => {
  const scores = Array.from({ length: 1000 }, (_, at) => Math.sin(at) * 5);
  const curve = bounded(scores);
  t.equal(scores.filter((score) => calibrated(score, curve) > 0.5).length, Math.floor(LONE_RATE * 1000));
});

t.test('text model: written and read it scores the same; scores are from 0 to 1', async (t) => {
  const [made, read] = [new TextModel(parts()), readModel(writeModel(parts()))];
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
    const scores = made.scores(text);
    t.same(read.scores(text), scores);
    t.ok(scores.every((score) => score >= 0 && score <= 1));
  }), { numRuns: 100 });
});

t.test('text model: the worst piece counts as far as the head says; densities are added', async (t) => {
  const [first, second] = ['An apple a day keeps us well and happy, '.repeat(3), 'The very big hammer fell on the old table, '.repeat(3)];
  const text = `${first}indeed. ${second}alas.`;
  const alone = (pieces: number): number => new TextModel(parts({ heads: parts().heads.map((head) => ({ ...head, pieces })) })).logits(text)[0];
  const worst = Math.max(...[`${first}indeed. `, `${second}alas.`].map((piece) => new TextModel(parts()).logits(piece)[0]));
  t.ok(Math.abs(alone(1) - worst) < 1e-9);
  t.ok(Math.abs(alone(0.5) - (alone(0) + alone(1)) / 2) < 1e-9);
  t.not(alone(0), alone(1));
  const dense = new TextModel(parts({ heads: parts().heads.map((head) => ({ ...head, densities: [10, 0] })) }));
  t.ok(Math.abs(dense.logits('apple')[0] - new TextModel(parts()).logits('apple')[0] - 10 / (1 + WORDS_MORE)) < 1e-9);
});

t.test('text model: what is longer than a part is read in several, and the worst counts', async (t) => {
  const model = new TextModel(parts());
  const first = 'ab '.repeat(PART_CHARS_MAX / 3 + 1).slice(0, PART_CHARS_MAX);
  const both = model.logits(`${first}apple`);
  t.same(both, Float64Array.from(model.logits(first), (logit, head) => Math.max(logit, model.logits('apple')[head])));
  t.same(model.logits(first), new TextModel(parts()).logits(first));
});

t.test('tables: every damage is refused, with what is wrong', async (t) => {
  const file = writeModel(parts());
  for (let at = 0; at < file.length; at += at < 200 ? 1 : 997) {
    const damaged = Buffer.from(file);
    damaged[at] ^= 0x10;
    t.throws(() => readModel(damaged), /no model file|has version|damaged/, `byte ${at}`);
  }
  for (const length of [0, 7, 43, 44, 100, file.length - 1]) t.throws(() => readModel(file.subarray(0, length)), /no model file|damaged/, `${length} bytes`);
  const later = Buffer.from(file);
  later.writeUInt16LE(TABLES_VERSION + 1, 8);
  t.throws(() => readModel(later), /has version 2, this program reads 1/);
  t.throws(() => readModel(writeTables(new Map())), /has no table about/);
  t.throws(() => readModel(writeTables(new Map([...readTables(file), ['about', Buffer.from('{"features":99}')]]))), /features of version 99/);
  t.same([...readTables(writeTables(new Map([['a', Uint8Array.of(1)], ['b', Uint8Array.of(2, 3)]])))].map(([name, bytes]) => [name, [...bytes]]), [['a', [1]], ['b', [2, 3]]]);
});

t.test('tables: a file of MODEL_BYTES_MAX bytes is looked at, a longer one is not', async (t) => {
  t.throws(() => readTables(new Uint8Array(MODEL_BYTES_MAX)), /no model file/);
  t.throws(() => readTables(new Uint8Array(MODEL_BYTES_MAX + 1)), /at most 67108864 bytes/);
});

t.test('signs: each there adds its row to the log-odds; a model and a program with other signs do not go together', async (t) => {
  const signs = { names: ['shout', 'question'], of: (text: string) => [...(text.includes('#') ? [0] : []), ...(text.includes('~') ? [1] : [])] };
  const plain = parts();
  const rows = new Int8Array(plain.weights.rows.length + 4);
  rows.set(plain.weights.rows);
  rows.set([50, 0, -20, 10], plain.weights.rows.length);
  const taught = parts({ signs: signs.names, weights: { ...plain.weights, rows } });
  const model = readModel(writeModel(taught), signs);
  const [calm, loud, both] = ['apple', 'apple#', 'apple~#'].map((text) => [...model.logits(text)]);
  t.ok(Math.abs(loud[0] - calm[0] - 50 * STEP_VALUE * 0.01) < 1e-6);
  t.equal(loud[1], calm[1]);
  t.ok(Math.abs(both[0] - calm[0] - 30 * STEP_VALUE * 0.01) < 1e-6);
  t.throws(() => readModel(writeModel(taught)), /was taught the signs \[shout, question\], this program has \[\]; train it again/);
});
