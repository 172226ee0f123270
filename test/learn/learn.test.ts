/**
 * Learning: measures against naive ones, rows read strictly, and a model trained on made-up rows: it tells the classes
 * apart, is the same for the same seed, and does not depend on what it was not labelled for. The command in-process.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { learn } from '../../src/cli/learn.ts';
import type { Io } from '../../src/cli/command.ts';
import { readRows, ROW_CHARS_MAX } from '../../src/learn/dataset.ts';
import { evaluateModel } from '../../src/learn/evaluate.ts';
import { atFalsePositiveRate, aurocOf, auprcOf, binsOf, calibrationErrorOf, intervalOf, randomOf } from '../../src/learn/measure.ts';
import { renderEvaluation } from '../../src/learn/page.ts';
import { trainModel } from '../../src/learn/train.ts';
import { phraseHash } from '../../src/model/features.ts';
import type { Recipe, TrainingRow } from '../../src/model/recipe.ts';
import { writeModel, type TextModel } from '../../src/model/text-model.ts';

const judged = fc.array(fc.record({ score: fc.integer({ min: 0, max: 5 }).map((n) => n / 5), truth: fc.constantFrom(0, 1) }), { minLength: 2, maxLength: 30 });
const quiet = (): void => undefined;

t.test('areas are those of the definitions', async (t) => {
  fc.assert(fc.property(judged, (rows) => {
    const [yes, no] = [rows.filter((row) => row.truth === 1), rows.filter((row) => row.truth === 0)];
    fc.pre(yes.length > 0 && no.length > 0);
    const pairs = yes.flatMap((a) => no.map((b): number => (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)));
    t.ok(Math.abs(aurocOf(rows) - pairs.reduce((sum, one) => sum + one, 0) / pairs.length) < 1e-9);
    const precisions = yes.map(({ score }) => { const above = rows.filter((row) => row.score >= score); return above.filter((row) => row.truth === 1).length / above.length; });
    t.ok(Math.abs(auprcOf(rows) - precisions.reduce((sum, one) => sum + one, 0) / yes.length) < 1e-9);
    const { threshold, recall } = atFalsePositiveRate(rows, 0.2);
    t.ok(no.filter(({ score }) => score >= threshold).length <= 0.2 * no.length);
    t.ok(Math.abs(recall - yes.filter(({ score }) => score >= threshold).length / yes.length) < 1e-9);
  }));
  t.ok(Number.isNaN(auprcOf([{ score: 1, truth: 0 }])));
  t.ok(Number.isNaN(aurocOf([{ score: 1, truth: 1 }])));
  t.throws(() => aurocOf([{ score: NaN, truth: 1 }, { score: 1, truth: 0 }]), /a score is NaN; leave out/);
});

t.test('calibration error, bins, intervals', async (t) => {
  const sure = [{ score: 1, truth: 1 }, { score: 0, truth: 0 }];
  t.equal(calibrationErrorOf(sure), 0);
  t.equal(calibrationErrorOf([{ score: 1, truth: 0 }, { score: 0, truth: 1 }]), 1);
  t.same(binsOf(sure), [{ n: 1, claimed: 0, true: 0 }, { n: 1, claimed: 1, true: 1 }]);
  const rows = Array.from({ length: 200 }, (_, at) => ({ score: (at % 10) / 10, truth: at % 3 === 0 ? 1 : 0 }));
  const [low, high] = intervalOf(rows, aurocOf, randomOf(3));
  t.ok(low < aurocOf(rows) && aurocOf(rows) < high);
  t.same(intervalOf(rows, aurocOf, randomOf(3)), [low, high]);
  t.same(intervalOf([{ score: 1, truth: 1 }], aurocOf, randomOf(3)), [NaN, NaN]);
});

function folder(t: Test, files: Readonly<Record<string, string | Uint8Array>>): string {
  const root = mkdtempSync(join(tmpdir(), 'weir-learn-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

t.test('rows: read from plain and packed files; what is wrong is told by its place, not its text', async (t) => {
  const line = JSON.stringify({ text: 'a\u2028b', labels: { x: 1 } });
  const root = folder(t, { 'one/train.jsonl': `${line}\n\n`, 'two/train.jsonl.gz': gzipSync(`${line}\n`), 'bad/a.jsonl': '{', 'bad/b.jsonl': '{"text":1}', 'bad/c.jsonl': '{"text":"private","labels":{"x":2}}' });
  const expected = [{ text: 'a\u2028b', labels: { x: 1 }, lang: 'und', source: 'unnamed', weight: 1 }];
  t.same(await readRows(root, 'one', 'train'), expected);
  t.same(await readRows(root, 'two', 'train'), expected);
  await t.rejects(readRows(root, 'none', 'train'), /no rows at .*--data/);
  await t.rejects(readRows(root, 'bad', 'a'), /a\.jsonl:1 is no JSON/);
  await t.rejects(readRows(root, 'bad', 'b'), /has no text or no labels/);
  const refusal = await readRows(root, 'bad', 'c').then(() => '', (error: Error) => error.message);
  t.match(refusal, /labels x with something other/);
  t.notMatch(refusal, /private/);
});

t.test('rows: ROW_CHARS_MAX characters are read, one more is refused', async (t) => {
  const shell = JSON.stringify({ text: '', labels: {} });
  const of = (length: number): string => shell.replace('""', `"${'x'.repeat(length - shell.length)}"`);
  const root = folder(t, { 'long/at.jsonl': of(ROW_CHARS_MAX), 'long/above.jsonl': of(ROW_CHARS_MAX + 1) });
  t.equal((await readRows(root, 'long', 'at')).length, 1);
  await t.rejects(readRows(root, 'long', 'above'), /a row has at most 4194304/);
});

const FRUIT = ['apple', 'pear', 'plum', 'cherry', 'melon'];
const TOOLS = ['hammer', 'saw', 'drill', 'plane', 'wrench'];

function rowsOf(count: number, seed: number): TrainingRow[] {
  const random = randomOf(seed);
  const one = (list: readonly string[]): string => list[Math.floor(random() * list.length)];
  return Array.from({ length: count }, (_, at) => {
    const sweet = at % 2;
    const text = `the ${one(['old', 'new', 'big'])} ${one(sweet ? FRUIT : TOOLS)} is on the ${one(['table', 'floor', 'shelf'])}`;
    const labels: Record<string, number> = { sweet };
    if (at % 4 < 2) labels.hard = 1 - sweet;
    return { text, labels, lang: at % 50 === 49 ? 'xx' : 'en', source: at % 3 === 0 ? 'a' : 'b', weight: 1 };
  });
}

const RECIPE: Recipe = {
  kind: 'texts', id: 'tiny', version: '1', task: 'things', languages: ['en'], buckets: 1 << 12, epochs: 3, learningRate: 0.3,
  heads: [{ category: 'sweet', pieces: 0.3 }, { category: 'hard', pieces: 0, grams: 0.5, densities: { tool: 2 } }, { category: 'never', pieces: 0 }],
  lexicon: async () => ({ classes: ['tool'], entries: Int32Array.from(TOOLS.flatMap((word) => [phraseHash(word), 0])) }),
  weak: (row, counts) => (row.labels.hard === undefined && counts.tool > 0 ? [{ category: 'hard', label: 1, weight: 0.5 }] : []),
  written: () => [{ text: 'a drill', labels: { hard: 1 }, lang: 'en', source: 'templates', weight: 1 }, { text: '', labels: { hard: 0 }, lang: 'en', source: 'templates', weight: 1 }],
  trust: (row) => row.weight,
};

const made = (seed: number, recipe = RECIPE): Promise<TextModel> => trainModel({ recipe, train: rowsOf(600, 1), dev: rowsOf(200, 2), dataFolder: '', seed, progress: quiet });

t.test('a model learns what it is shown, the same for the same seed', async (t) => {
  const model = await made(5);
  const { trust: _, ...without } = RECIPE;
  t.ok(writeModel(model.parts).equals(writeModel((await made(5, without)).parts)));
  t.notOk(writeModel(model.parts).equals(writeModel((await made(6)).parts)));
  t.ok(model.scores('the new plum is on the floor')[0] > 0.9);
  t.ok(model.scores('the new saw is on the floor')[0] < 0.1);
  const reports = evaluateModel(model, rowsOf(300, 3), { falsePositiveRate: 0.01, seed: 1, progress: quiet });
  t.same(reports.map(({ category }) => category), ['sweet', 'hard'], 'nothing is said of what no row is labelled for');
  t.ok(reports.every(({ auprc, auroc, calibrationError }) => auprc.value > 0.99 && auroc.value > 0.99 && calibrationError.value < 0.08));
  t.same(reports[0].sources.map(({ source, n }) => [source, n]).sort(), [['a', 98], ['b', 196]]);
  t.equal(reports[0].n, 294, 'rows in other languages are left out');
  const page = renderEvaluation('tiny <1>', 0.01, reports);
  t.match(page, /tiny &#60;1&#62;/);
  t.equal(page.match(/<svg/g)?.length, 4);
});

t.test('signs are learnt like words, and a recipe may read the labels of a row in its own way', async (t) => {
  const signs = { names: ['loud'], of: (text: string) => (text.includes('#') ? [0] : []) };
  const rows = (seed: number): TrainingRow[] => rowsOf(400, seed).map(({ text, ...row }, at) => ({ ...row, text: at % 2 ? `${text}#` : text }));
  const model = await trainModel({ recipe: { ...RECIPE, heads: [{ category: 'sweet', pieces: 0 }], signs }, train: rows(1), dev: rows(2), dataFolder: '', seed: 1, progress: quiet });
  const gain = model.scores('nothing known#')[0] - model.scores('nothing known')[0];
  t.ok(gain > 0.05, String(gain));
  const root = folder(t, { 'x/dev.jsonl': [{ text: 'a', label: 1 }, { text: 'b', label: 0 }, { text: 'c' }].map((row) => JSON.stringify(row)).join('\n') });
  const read = await readRows(root, 'x', 'dev', ({ label }) => (typeof label === 'number' ? { bad: label } : undefined));
  t.same(read.map(({ text, labels }) => [text, labels]), [['a', { bad: 1 }], ['b', { bad: 0 }]]);
});

function io(env: Io['env'] = {}, isTerminal = false): Io & { out: string; err: string } {
  return {
    out: '', err: '', stdin: Readable.from([]), env, isTerminal, columns: 80, color: false, stopSignal: () => new AbortController().signal,
    stdout(text) { this.out += text; }, stderr(text) { this.err += text; },
  };
}

t.test('weir learn: measures the shipped model on rows that are given', async (t) => {
  const lines = rowsOf(40, 4).map(({ text, lang }, at) => JSON.stringify({ text: at % 2 ? text : `I hate you, you are ${text}`, labels: { harassment: 1 - (at % 2) }, lang, source: 's' }));
  const root = folder(t, { 'data/toxicity/dev.jsonl': lines.join('\n') });
  const html = join(root, 'page.html');
  const [plain, json] = [io({ WEIR_TEST_DATA: root }), io({}, true)];
  t.equal(await learn.run(['evaluate', 'toxicity', '--html', html], plain), 0, plain.err);
  t.match(plain.out, /harassment +20 of 40|harassment +\d+ of \d+/);
  t.match(plain.err, /score .* 100 %/);
  t.match(readFileSync(html, 'utf8'), /<svg/);
  t.equal(await learn.run(['evaluate', 'toxicity', '--data', join(root, 'data'), '--json'], json), 0, json.err);
  const report = JSON.parse(json.out) as { readonly categories: readonly { readonly category: string; readonly auroc: { readonly value: number } }[] };
  t.same(report.categories.map(({ category }) => category), ['harassment']);
  t.ok(report.categories[0].auroc.value > 0.9);
});

t.test('weir learn: wrong calls and unreadable data', async (t) => {
  for (const args of [[], ['grow', 'toxicity'], ['train'], ['train', 'presidio', '--data', 'x'], ['train', '../x', '--data', 'x'], ['evaluate', 'toxicity'], ['evaluate', 'toxicity', '--data', 'x', '--fpr', '2'], ['train', 'toxicity', '--data', 'x', '--seed', '-1']]) {
    await t.rejects(learn.run(args, io()), { name: 'UsageError' }, args.join(' '));
  }
  const outside = io();
  t.equal(await learn.run(['train', 'toxicity', '--data', '/nonexistent'], outside), 1);
  t.match(outside.err, /no rows at/);
});
