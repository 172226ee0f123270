/**
 * A library of texts as vectors: nearness is that of the definition, the file gives back what was written, what does not
 * fit is refused, and learning makes the same file from the same rows.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { nearest } from '../../src/learn/nearest.ts';
import { NearestModel, RARITY_BUCKETS, readNearest, vectorOf, VECTOR_SCALE, writeNearest, type NearestParts } from '../../src/model/nearest.ts';
import type { NearestRecipe } from '../../src/model/recipe.ts';
import { writeTables } from '../../src/model/tables.ts';

const DIMENSIONS = 64;
const rarity = new Uint8Array(RARITY_BUCKETS).fill(200);
const quiet = (): void => undefined;

function library(...texts: readonly string[]): NearestParts {
  const vectors = Int8Array.from(texts.flatMap((text) => [...vectorOf(text, DIMENSIONS, rarity)].map((value) => Math.round(VECTOR_SCALE * value))));
  return { id: 'a', version: '1', dimensions: DIMENSIONS, calibration: { slope: 10, intercept: -5 }, rarity, vectors };
}

t.test('a text of the library is nearest, whatever its case and marks', async (t) => {
  const model = new NearestModel(library('the red fox jumps over the fence', 'a quiet evening by the sea'));
  t.ok(model.similarity('The RED fox, jumps - over the fence!') > 0.97);
  t.ok(model.similarity('a quiet evening by the lake') > model.similarity('how tall is the mountain'));
  t.ok(model.score('the red fox jumps over the fence') > 0.9 && model.score('how tall is the mountain') < 0.5);
  t.equal(model.similarity(''), 0);
  t.equal(new NearestModel(library()).similarity('anything'), 0);
});

t.test('a vector has length 1 or is empty; similarity stays from -1 to 1', async (t) => {
  const model = new NearestModel(library('one two three', 'four five six'));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => {
    const length = Math.hypot(...vectorOf(text, DIMENSIONS, rarity));
    t.ok(length === 0 || Math.abs(length - 1) < 1e-9);
    const near = model.similarity(text);
    t.ok(near >= -1.1 && near <= 1.1);
  }));
});

t.test('a file is read as it was written; what does not fit is refused', async (t) => {
  const parts = library('the red fox jumps over the fence');
  t.same(readNearest(writeNearest(parts)).parts, parts);
  t.throws(() => readNearest(writeTables(new Map([['about', Buffer.from('{}')]]))), /no library of texts/);
  t.throws(() => readNearest(writeNearest({ ...parts, rarity: new Uint8Array(3) })), /does not fit its 64 dimensions/);
  t.throws(() => readNearest(Buffer.from('x')), /no model file/);
});

t.test('learning: the same rows and seed give the same file, which tells the rows apart', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'weir-nearest-'));
  t.teardown(() => rmSync(data, { recursive: true }));
  mkdirSync(join(data, 'made-up'));
  const rows = Array.from({ length: 60 }, (_, at) => JSON.stringify(at % 3 === 0 ? { text: `the red fox number ${at} jumps over the fence`, label: 1, source: 'foxes' } : at === 59 ? { text: 'left out' } : { text: `what does item ${at} cost in the shop`, label: 0 }));
  for (const part of ['train', 'dev']) writeFileSync(join(data, 'made-up', `${part}.jsonl`), rows.join('\n'));
  const recipe: NearestRecipe = {
    kind: 'nearest', id: 'foxes', version: '1', task: 'made-up', category: 'fox', languages: ['en'], dimensions: DIMENSIONS,
    library: () => ['the red fox jumps over the fence', 'a fox jumps'],
    label: ({ label }) => label as 0 | 1 | undefined,
  };
  const [one, two] = [await nearest.train(recipe, { data, seed: 1, progress: quiet }), await nearest.train(recipe, { data, seed: 1, progress: quiet })];
  t.same(one, two);
  t.match({ rows: one.rows, calibratedOn: one.calibratedOn }, { rows: 2, calibratedOn: 59 });
  const { table, json, html } = await nearest.evaluate(recipe, { data, part: 'dev', model: one.bytes, rate: 0.01, seed: 1, progress: quiet });
  t.match(table, /20 of 59: AUPRC \d/);
  t.match(json, { model: 'foxes', part: 'dev' });
  t.ok((json['categories'] as readonly { readonly auroc: { readonly value: number } }[])[0]!.auroc.value > 0.9);
  t.match(html, /<svg/);
});
