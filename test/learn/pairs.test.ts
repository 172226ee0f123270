/**
 * Learning for answers and their sources: boosted trees against what they must find, a model of made-up rows that is the
 * same for the same seed, comes back from its file as it went in and is refused where it does not fit, the worst sentence
 * standing for its answer, and the command in-process.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { learn } from '../../src/cli/learn.ts';
import type { Io } from '../../src/cli/command.ts';
import { randomOf } from '../../src/learn/measure.ts';
import { boosted } from '../../src/learn/pairs-boost.ts';
import { balancedAccuracyOf, pairs } from '../../src/learn/pairs.ts';
import { logitOf } from '../../src/model/pairs-trees.ts';
import { raritiesOf, readPairs, rarityBucket, writePairs, type EvidenceReader } from '../../src/model/pairs.ts';
import type { PairRow, PairsRecipe } from '../../src/model/recipe.ts';
import { writeTables } from '../../src/model/tables.ts';

const quiet = (): void => undefined;
const BOOST = { trees: 20, depth: 2, rate: 0.3, leafWeight: 1, ridge: 1, rows: 1, columns: 1 };

t.test('trees find what a single number cannot say', async (t) => {
  const random = randomOf(5);
  const rows = Array.from({ length: 400 }, () => {
    const values = Float64Array.of(random(), random(), random());
    return { values, label: (values[0] > 0.5) === (values[1] > 0.3) ? 1 : 0, weight: 1 };
  });
  const grown = boosted(rows, 3, { ...BOOST, trees: 60, depth: 3 }, randomOf(1));
  const right = rows.filter(({ values, label }) => (logitOf(grown, values) > 0 ? 1 : 0) === label).length;
  t.ok(right >= 380, `${right} of 400`);
  t.same(boosted(rows, 3, { ...BOOST, trees: 60, depth: 3 }, randomOf(1)), grown);
});

t.test('a row that weighs nothing teaches nothing; equal values are not split', async (t) => {
  const rows = [0, 1, 0, 1].map((label, at) => ({ values: Float64Array.of(7), label, weight: at < 2 ? 1 : 0 }));
  const grown = boosted(rows, 1, BOOST, randomOf(1));
  t.ok(grown.features.every((feature) => feature === -1));
  t.ok(Math.abs(logitOf(grown, Float64Array.of(7))) < 1e-6);
});

/** Words of the sentence that the sources lack, how many it has; a sentence of stops alone claims nothing. */
const evidence: EvidenceReader = {
  names: ['lost', 'count'],
  stemsOf: (text) => wordsOf(text).map((word) => word.length * 31 + word.charCodeAt(0)),
  open: (sources) => {
    const known = new Set(wordsOf(sources));
    return (sentence) => {
      const words = wordsOf(sentence);
      return words.length === 0 ? undefined : Float64Array.of(words.filter((word) => !known.has(word)).length, words.length);
    };
  },
};

function wordsOf(text: string): readonly string[] {
  return text.toLowerCase().match(/[a-z]+/g) ?? [];
}

const recipe: PairsRecipe = {
  kind: 'pairs', id: 'made-up', version: '1.0.0', task: 'made', categories: ['unsupported', 'other'], languages: ['en'], evidence, boost: BOOST,
  labels: ({ grounded }) => ({ unsupported: 1 - Number(grounded) }),
  written: (rows) => rows.slice(0, 20).flatMap((row): readonly PairRow[] => [{ ...row, source: 'written', labels: { other: 1 }, text: 'zz zz zz zz zz zz zz.' }, { ...row, source: 'written', labels: { other: 0 }, text: row.context }]),
  trust: () => 1,
};

/** Two sentences; the second of an ungrounded answer has a word that the source lacks. */
function rowsOf(count: number, seed: number): string {
  const random = randomOf(seed);
  const words = ['amber', 'birch', 'cedar', 'dune', 'ember', 'fjord', 'grove', 'harbour', 'island', 'juniper'];
  const pick = (): string => words[Math.floor(random() * words.length)];
  return Array.from({ length: count }, (_, at) => {
    const context = `${Array.from({ length: 8 }, pick).join(' ')}.`;
    const known = wordsOf(context);
    const faithful = `${known.slice(0, 6).join(' ')} again and on.`;
    const grounded = at % 2;
    return JSON.stringify({ context: `${context} again and on`, text: `${faithful} ${grounded === 1 ? `${known.slice(2).join(' ')} again.` : `${known.slice(2).join(' ')} quartz violet.`}`, grounded, source: at % 3 === 0 ? 'one' : 'two' });
  }).join('\n');
}

function folder(t: Test, files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'weir-pairs-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

t.test('a model is taught, measured, and the same for the same seed', async (t) => {
  const data = folder(t, { 'made/train.jsonl': rowsOf(200, 1), 'made/dev.jsonl': rowsOf(80, 2) });
  const options = { data, seed: 1, progress: quiet };
  const { bytes, rows, calibratedOn } = await pairs.train(recipe, options);
  t.same([rows, calibratedOn], [240, 120]);
  t.same((await pairs.train(recipe, options)).bytes, bytes);
  const { table, json, html } = await pairs.evaluate(recipe, { ...options, part: 'dev', model: bytes, rate: 0.01 });
  const [unsupported, other] = json.categories as readonly { readonly category: string; readonly n: number; readonly positives: number; readonly balancedAccuracy: { readonly value: number } }[];
  t.match(unsupported, { category: 'unsupported', n: 80, positives: 40 });
  t.ok(unsupported.balancedAccuracy.value >= 0.95, `${unsupported.balancedAccuracy.value}`);
  t.match(other, { category: 'other', n: 40, positives: 20 });
  t.match(table, /made-up 1\.0\.0 on made\/dev[\s\S]*unsupported +40 of 80[\s\S]*one[\s\S]*other/);
  t.match(html, /<!doctype html>/);
});

t.test('a model comes back from its file, and is refused where it does not fit', async (t) => {
  const data = folder(t, { 'made/train.jsonl': rowsOf(60, 1), 'made/dev.jsonl': rowsOf(40, 2) });
  const { bytes } = await pairs.train(recipe, { data, seed: 1, progress: quiet });
  const model = readPairs(bytes, evidence);
  t.same(writePairs(model.parts), Buffer.from(bytes));
  const judge = model.open('amber birch cedar');
  t.equal(judge('...'), undefined);
  t.ok(judge('amber quartz violet stone')![0] > judge('amber birch')![0]);
  t.throws(() => readPairs(bytes, { ...evidence, names: ['lost'] }), /other evidence than this program measures; train it again/);
  t.throws(() => readPairs(writeTables(new Map([['about', Buffer.from('{"heads":[]}')]])), evidence), /not one of answers and sources/);
  t.throws(() => readPairs(writeTables(new Map([['about', Buffer.from('{"kind":"pairs","heads":[],"evidence":[]}')]])), evidence), /no table rarities/);
  t.throws(() => readPairs(bytes.subarray(1), evidence), /no model file/);
});

t.test('rows that are no rows are told by their place', async (t) => {
  const train = async (line: string): Promise<unknown> => pairs.train(recipe, { data: folder(t, { 'made/train.jsonl': line, 'made/dev.jsonl': rowsOf(4, 1) }), seed: 1, progress: quiet });
  await t.rejects(train('{"text":"private","grounded":1}'), /train\.jsonl:1 has no context/);
  const refusal = await train('{"text":"private","context":"c","grounded":0.4}').then(() => '', (error: Error) => error.message);
  t.match(refusal, /:1 is labelled with something other than 0 or 1/);
  t.notMatch(refusal, /private/);
});

t.test('rarities fall with how many texts have a word; buckets stay in the table', async (t) => {
  const rarities = raritiesOf(Uint32Array.of(0, 1, 10, 99), 99);
  t.same([...rarities], [...rarities].sort((a, b) => b - a));
  t.equal(rarities[0], 255);
  for (const stem of [0, -1, 2 ** 31 - 1, -(2 ** 31)]) t.ok(rarityBucket(stem) >= 0 && rarityBucket(stem) < 32_768);
});

t.test('balanced accuracy does not reward the commoner kind', async (t) => {
  const rows = [...Array.from({ length: 9 }, () => ({ score: 0, truth: 0 })), { score: 0, truth: 1 }];
  t.equal(balancedAccuracyOf(rows), 0.5);
  t.equal(balancedAccuracyOf([{ score: 0.5, truth: 1 }, { score: 0.49, truth: 0 }]), 1);
});

t.test('the command trains and measures the grounding plugin', async (t) => {
  const data = folder(t, { 'grounding/train.jsonl': rowsOf(40, 1), 'grounding/dev.jsonl': rowsOf(20, 2) });
  const out = join(data, 'model.bin');
  let said = '';
  const io = { stdout: (text: string) => { said += text; }, stderr: quiet, env: {}, isTerminal: false } as unknown as Io;
  t.equal(await learn.run(['train', 'grounding', '--data', data, '--out', out], io), 0);
  t.equal(await learn.run(['evaluate', 'grounding', '--data', data, '--model', out, '--json'], io), 0);
  t.match(said, /model\.bin: [\d.]+ MB from \d+ rows[\s\S]*"model":"grounding"/);
});
