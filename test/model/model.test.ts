/**
 * The model runtime: features against a naive reading, the lexicon, whole-number weights against floating ones, the
 * calibration against known curves, and the file: every damage is refused, every limit has its two tests.
 */
import fc from 'fast-check';
import t from 'tap';
import { bounded, calibrated, fitted, LONE_RATE } from '../../src/model/calibration.ts';
import { FEATURE_CHARS_MAX, Features, phraseHash, stepRows, WORDS_MORE } from '../../src/model/features.ts';
import { Lexicon, LEXICON_ENTRIES_MAX } from '../../src/model/lexicon.ts';
import { logitsOf, packed, quantised, STEP_VALUE, unpacked } from '../../src/model/linear.ts';
import { MODEL_BYTES_MAX, readTables, TABLES_VERSION, writeTables } from '../../src/model/tables.ts';
import { PART_CHARS_MAX, PIECE_CHARS_MIN, piecesOf, readModel, TextModel, writeModel, type ModelParts } from '../../src/model/text-model.ts';

const BUCKETS = 1 << 12;
const CLASSES = ['fruit', 'tool'];
const ENTRIES = Int32Array.from([phraseHash('apple'), 0, phraseHash('red pear'), 0, phraseHash('very big hammer'), 1, phraseHash('apple'), 1]);
const lexicon = new Lexicon(CLASSES, ENTRIES);

function featuresOf(text: string): { readonly hashed: readonly number[]; readonly steps: readonly number[]; readonly counts: readonly number[] } {
  const features = new Features(BUCKETS, lexicon);
  features.read(text);
  return { hashed: [...features.hashed.subarray(0, features.hashedCount)], steps: [...features.steps.subarray(0, features.stepCount)], counts: CLASSES.map((_, one) => features.count(one)) };
}

function parts(changes: Partial<ModelParts> = {}): ModelParts {
  const rows = new Int8Array((BUCKETS + stepRows(CLASSES.length)) * 2);
  for (let at = 0; at < rows.length; at += 7) rows[at] = (at % 251) - 125;
  const head = { category: 'sweet', pieces: 0.5, grams: 1, densities: [0, 0], calibration: { slope: 1, intercept: 0 } };
  return {
    id: 'tiny', version: '1', languages: ['en'], buckets: BUCKETS, heads: [head, { ...head, category: 'hard', pieces: 0 }], classes: CLASSES, lexicon: ENTRIES,
    weights: { columns: 2, rows, scales: Float32Array.of(0.01, 0.02), biases: Float32Array.of(-1, 0.5) }, ...changes,
  };
}

t.test('features: the same text gives the same, whatever was read before, each once', async (t) => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (first, second) => {
    const features = new Features(BUCKETS, lexicon);
    features.read(first);
    features.read(second);
    const again = [...features.hashed.subarray(0, features.hashedCount)];
    t.same(again, featuresOf(second).hashed);
    t.equal(new Set(again).size, again.length);
  }), { numRuns: 200 });
});

t.test('features: case, stops and long drawn letters make no difference; order does', async (t) => {
  t.same(featuresOf('Hello,   World!').hashed, featuresOf('hello world').hashed);
  t.same(featuresOf('coooool').hashed, featuresOf('cool').hashed);
  t.notSame(featuresOf('one two').hashed, featuresOf('two one').hashed);
  t.same(featuresOf(' .,! ').hashed, []);
  t.ok(featuresOf('日本語').hashed.length > featuresOf('日本').hashed.length);
  t.ok(featuresOf('héllo wörld「ok」¿no? ¡sí! 한국').hashed.length > 20);
  t.ok(featuresOf('x'.repeat(10) + 'ab'.repeat(60)).hashed.length > 0, 'a word that is too long is read in parts');
});

t.test('features: words and phrases of a class are counted, and make steps', async (t) => {
  t.same(featuresOf('An apple, a red pear and a very big hammer').counts, [2, 1]);
  t.same(featuresOf('nothing of that').steps, []);
  const { steps, counts } = featuresOf('apple '.repeat(9));
  t.same(counts, [9, 0]);
  t.same(steps, [0, 1, 2, 3, 4, 5, 6, 7, ...(9 / (9 + WORDS_MORE) >= 0.3 ? [8] : [])]);
  t.same(featuresOf('apple, the very big hammer').steps.at(-1), stepRows(2) - 1, 'two classes in one text');
  const far = featuresOf(`apple ${'so '.repeat(12)}apple`).hashed;
  const near = featuresOf('apple so so apple').hashed;
  t.ok(near.some((one) => !far.includes(one)), 'classes that follow each other closely are a feature');
  t.same(featuresOf('apple apple apple').counts, [3, 0]);
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
  const count = BUCKETS + stepRows(CLASSES.length);
  const floating = Float32Array.from({ length: count * 2 }, (_, at) => (at % 5 === 0 ? Math.sin(at) : 0));
  const weights = quantised(floating, [0.25, -0.5]);
  const features = new Features(BUCKETS, lexicon);
  const out = new Float64Array(2);
  for (const text of ['an apple a day', 'the very big hammer', '']) {
    features.read(text);
    logitsOf(features, weights, BUCKETS, [1, 0.5], out);
    for (const column of [0, 1]) {
      let grams = 0, steps = 0;
      for (let at = 0; at < features.hashedCount; at += 1) grams += floating[features.hashed[at] * 2 + column];
      for (let at = 0; at < features.stepCount; at += 1) steps += floating[(BUCKETS + features.steps[at]) * 2 + column] * STEP_VALUE;
      const expected = (grams / Math.sqrt(features.hashedCount || 1)) * [1, 0.5][column] + steps + [0.25, -0.5][column];
      t.ok(Math.abs(out[column] - expected) < 0.05, `${text}: ${out[column]} for ${expected}`);
    }
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
  const text = `${'An apple a day keeps us well and happy. '.repeat(3)}${'The very big hammer fell on the old table. '.repeat(3)}`;
  t.ok(piecesOf(text).length > 1);
  t.ok(piecesOf(text).every((piece, at, all) => at === all.length - 1 || piece.length >= PIECE_CHARS_MIN));
  t.equal(piecesOf(text).join(''), text);
  t.same(piecesOf('  '), []);
  const alone = (pieces: number): number => new TextModel(parts({ heads: parts().heads.map((head) => ({ ...head, pieces })) })).logits(text)[0];
  const worst = Math.max(...piecesOf(text).map((piece) => new TextModel(parts()).logits(piece)[0]));
  t.ok(Math.abs(alone(1) - worst) < 1e-9);
  t.ok(Math.abs(alone(0.5) - (alone(0) + alone(1)) / 2) < 1e-9);
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
