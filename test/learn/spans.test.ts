/**
 * Learning of names: a tagger learns what it is shown, the same for the same seed; offsets in characters become UTF-16;
 * measures against counts made by hand; words from unlabelled text; texts of the generator; and the command.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { filled, writtenRows } from '../../plugins/pii/train/written.ts';
import { recipe as pii } from '../../plugins/pii/train/recipe.ts';
import { CLASSES, wordEntries } from '../../plugins/pii/train/words.ts';
import { learn } from '../../src/cli/learn.ts';
import type { Io } from '../../src/cli/command.ts';
import { WordStatistics } from '../../src/learn/clusters.ts';
import { randomOf } from '../../src/learn/measure.ts';
import { countsOf, evaluateSpans, renderSpans, tableOfSpans } from '../../src/learn/span-measure.ts';
import { readSpanRows, spans as task, trainTagger } from '../../src/learn/spans.ts';
import type { SpansRecipe, SpansRow } from '../../src/model/recipe.ts';
import { readTagger, writeTagger, type Tagger } from '../../src/model/tagger.ts';
import { tokenHash } from '../../src/model/tokens.ts';
import { classesOf, clusterOf, WordTable, wordValue } from '../../src/model/word-table.ts';

const quiet = (): void => undefined;

function folder(t: Test, files: Readonly<Record<string, readonly unknown[]>>): string {
  const root = mkdtempSync(join(tmpdir(), 'weir-spans-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [name, rows] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, `${name}.jsonl`), rows.map((row) => JSON.stringify(row)).join('\n'));
  }
  return root;
}

const GIVEN = ['Ann', 'Bob', 'Cleo', 'Dirk', 'Ella', 'Finn'];
const TOWNS = ['Dover', 'Lisbon', 'Oslo', 'Turin', 'Ghent'];

/** Rows with people and towns; offsets in characters, an emoji in front of every third. */
function rowsOf(count: number, seed: number): readonly { readonly text: string; readonly spans: readonly { readonly start: number; readonly end: number; readonly label: string }[]; readonly source: string }[] {
  const random = randomOf(seed);
  const one = (list: readonly string[]): string => list[Math.floor(random() * list.length)];
  return Array.from({ length: count }, (_, at) => {
    const [front, person, town] = [at % 3 === 0 ? '😀 ' : '', one(GIVEN), one(TOWNS)];
    const before = `${front}${one(['I saw', 'we met', 'ask'])} `;
    const middle = ` ${one(['in', 'near', 'from'])} `;
    const start = [...before].length;
    const from = start + person.length + middle.length;
    return {
      text: `${before}${person}${middle}${town} ${one(['on Monday', 'today', 'with the Report'])}.`,
      spans: [{ start, end: start + person.length, label: 'WHO' }, { start: from, end: from + town.length, label: 'WHERE' }, { start: 0, end: 1, label: 'NOISE' }], source: at % 2 ? 'a' : 'b',
    };
  });
}

const RECIPE: SpansRecipe = {
  kind: 'spans', id: 'tiny', version: '1', task: 'people', moreTasks: [], languages: ['en'], types: [{ type: 'WHO', floor: 0.4 }, { type: 'WHERE', floor: 0.4 }],
  buckets: 1 << 14, epochs: 4, learningRate: 0.2, restraint: 1e-4, weightMin: 0.01, unlabelled: ['people'],
  spans: ({ spans }) => (Array.isArray(spans) ? (spans as { start: number; end: number; label: string }[]).filter(({ label }) => label !== 'NOISE').map(({ start, end, label }) => ({ start, end, type: label })) : undefined),
  words: async (facts) => ({ classes: ['given'], entries: Int32Array.from([...facts.clusters(1)].flatMap(([word, cluster]) => [word, wordValue(0, cluster)])) }),
  written: async () => [{ text: 'hello Gwen', spans: [{ type: 'WHO', start: 6, end: 10 }], source: 'written', weight: 1 }],
  variants: (row, random) => (random() < 0.2 ? [{ ...row, text: row.text.toLowerCase(), weight: 0.5 }] : []),
  silence: () => 0.2,
};

const files = { 'people/train': rowsOf(300, 1), 'people/dev': [...rowsOf(80, 2), { text: 'no labels' }] };

async function made(root: string, seed: number, changes: Partial<SpansRecipe> = {}): Promise<Tagger> {
  const recipe = { ...RECIPE, ...changes };
  return trainTagger(recipe, await readSpanRows(recipe, root, 'train'), await readSpanRows(recipe, root, 'dev'), { data: root, seed, progress: quiet });
}

t.test('rows: offsets in characters become UTF-16, labels those of the recipe', async (t) => {
  const root = folder(t, files);
  const rows = await readSpanRows(RECIPE, root, 'dev');
  t.equal(rows.length, 80, 'a row that the recipe leaves out is not there');
  for (const { text, spans } of rows) t.same(spans.map(({ type, start, end }) => (type === 'WHO' ? GIVEN : TOWNS).includes(text.slice(start, end))), [true, true], text);
});

t.test('a tagger learns what it is shown, the same for the same seed', async (t) => {
  const root = folder(t, files);
  const tagger = await made(root, 5);
  t.ok(writeTagger(tagger.parts).equals(writeTagger((await made(root, 5, { trust: () => 1 })).parts)));
  t.notOk(writeTagger(tagger.parts).equals(writeTagger((await made(root, 6)).parts)));
  const text = 'I saw Hugo near Berne today.';
  t.same(tagger.open().feed(text).spans.map(({ type, start, end }) => [type, text.slice(start, end)]), [['WHO', 'Hugo'], ['WHERE', 'Berne']], 'by what stands around it');
  const reports = evaluateSpans(tagger, await readSpanRows(RECIPE, root, 'dev'), 1, quiet);
  t.same(reports.map(({ type, source }) => `${type} ${source}`), ['WHO all', 'WHO b', 'WHO a', 'WHERE all', 'WHERE b', 'WHERE a']);
  for (const { strictF1, f2, labelled, rows } of reports) {
    t.ok(strictF1.value > 0.95 && f2.value > 0.95 && f2.low <= f2.value && f2.value <= f2.high);
    t.equal(labelled, rows);
  }
  t.match(tableOfSpans('tiny', reports), /WHO +all +80 in 80/);
  const page = renderSpans('tiny <1>', reports);
  t.match(page, /tiny &#60;1&#62;/);
  t.equal(page.match(/<svg/g)?.length, 12);
  await t.rejects(made(root, 1, { written: async () => Array.from({ length: 1_000_001 }, (): SpansRow => ({ text: '', spans: [], source: '', weight: 1 })) }), /at most 1000000 rows/);
});

t.test('measures are those of a count by hand', async (t) => {
  const spans = [{ type: 'A', start: 0, end: 10 }, { type: 'A', start: 20, end: 24 }, { type: 'B', start: 30, end: 40 }];
  const claim = (type: string, start: number, end: number, score = 1) => ({ type, start, end, score });
  t.same(countsOf('A', { spans, claims: [claim('A', 0, 10), claim('A', 19, 24), claim('A', 31, 35), claim('A', 50, 60), claim('B', 20, 24)] }, 0), { labelled: 2, claimed: 4, strict: 1, found: 2, wrong: 1 });
  t.same(countsOf('A', { spans, claims: [claim('A', 0, 5), claim('A', 8, 18), claim('A', 20, 24, 0.3)] }, 0.5), { labelled: 2, claimed: 2, strict: 0, found: 1, wrong: 1 });
});

t.test('unlabelled text says how a word is written, and which stand alike', async (t) => {
  const statistics = new WordStatistics();
  const random = randomOf(4);
  const one = (list: readonly string[]): string => list[Math.floor(random() * list.length)];
  for (let at = 0; at < 3_000; at += 1) statistics.read(`then the ${one(['cat', 'dog', 'cow', 'hen'])} ran to ${one(GIVEN)} and ${one(GIVEN)} gave it some ${one(['bread', 'milk', 'corn', 'fish'])} again`);
  statistics.read('ALL IN CAPITALS SAYS NOTHING OF the CAT');
  const counts = statistics.counts();
  t.same({ lower: counts.get(tokenHash('cat'))!.lower > 500, capital: counts.get(tokenHash('cat'))!.capital }, { lower: true, capital: 0 });
  t.equal(counts.get(tokenHash('ann'))!.lower, 0);
  t.ok(counts.get(tokenHash('ann'))!.capital > 500);
  t.equal(counts.get(tokenHash('nothing')), undefined, 'what was seen hardly ever');
  const clusters = statistics.clusters(1);
  t.same([...clusters], [...statistics.clusters(1)]);
  t.ok([...clusters.values()].every((cluster) => cluster > 0 && cluster < 4_096));
  const table = new WordTable(wordEntries(counts, clusters));
  const has = (word: string, name: (typeof CLASSES)[number]): boolean => (classesOf(table.valueOf(tokenHash(word))) & (1 << CLASSES.indexOf(name))) !== 0;
  t.same([has('cat', 'always_lower'), has('cat', 'plain'), has('ann', 'always_capital'), has('monday', 'calendar'), has('avenue', 'street'), has('bread', 'given')], [true, true, true, true, true, false]);
  t.equal(clusterOf(table.valueOf(tokenHash('cat'))), clusters.get(tokenHash('cat')));
});

t.test('texts of the generator: every span is what its slot made, the same for the same chance', async (t) => {
  const rows = writtenRows(randomOf(3), { english: 400, abroad: 40 });
  t.equal(rows.length, 400 + 6 * 40);
  t.same(rows, writtenRows(randomOf(3), { english: 400, abroad: 40 }));
  t.notSame(rows[0], writtenRows(randomOf(4), { english: 1, abroad: 0 })[0]);
  for (const { text, spans } of rows) {
    t.notMatch(text, /\{(?:person|given|family|full|FULL|city|region|country|address|lines|street|streetname|dwelling|postcode|pobox|firm|number|noun|Noun)\}|undefined/);
    for (const { start, end } of spans) t.ok(start >= 0 && start < end && end <= text.length && text.slice(start, end).trim() !== '');
  }
  t.same([...new Set(rows.flatMap(({ spans }) => spans.map(({ type }) => type)))].sort(), ['ADDRESS', 'LOCATION', 'ORGANIZATION', 'PERSON']);
  const { text, spans } = filled('a {given} b\\n{nothing} {number}', 'en_US', randomOf(1));
  t.match(text, /^a \S.* b\n\{nothing\} \d+$/s);
  t.equal(spans.length, 1);
});

t.test('the recipe of pii: labels of the data, accounts left out, other ways of writing', async (t) => {
  const text = 'RT @ ann: Bob of Acme in Oslo';
  const spans = [{ start: 5, end: 8, label: 'PERSON' }, { start: 10, end: 13, label: 'PERSON' }, { start: 17, end: 21, label: 'ORGANIZATION' }, { start: 25, end: 29, label: 'STREET_ADDRESS' }, { start: 0, end: 2, label: 'TITLE' }];
  t.same(pii.spans({ text, spans }, 'names')?.map(({ type, start }) => [type, start]), [['PERSON', 10], ['ORGANIZATION', 17], ['ADDRESS', 25]]);
  t.equal(pii.spans({ text }, 'names'), undefined);
  const row: SpansRow = { text: 'Ann İ', spans: [], source: 'written-en', weight: 1 };
  const drawn = Array.from({ length: 200 }, (_, at) => pii.variants({ ...row, text: at % 2 ? 'Ann' : row.text }, randomOf(at))).flat();
  t.ok(drawn.some(({ text }) => text === 'ann') && drawn.some(({ text }) => text === 'ANN') && drawn.every(({ text, weight }) => text.length === row.text.length ? weight === 0 || text === 'ANN İ' : weight === 0.5));
});

function io(isTerminal = false): Io & { out: string; err: string } {
  return {
    out: '', err: '', stdin: Readable.from([]), env: {}, isTerminal, columns: 80, color: false, stopSignal: () => new AbortController().signal,
    stdout(text) { this.out += text; }, stderr(text) { this.err += text; },
  };
}

t.test('trains to a file that can be read, and measures one; weir learn does so for pii', async (t) => {
  const root = folder(t, { ...files, 'pii/dev': rowsOf(12, 7).map((row) => ({ ...row, spans: row.spans.map((span) => ({ ...span, label: span.label === 'WHO' ? 'PERSON' : 'LOCATION' })) })), 'names/dev': [] });
  const { bytes, rows, calibratedOn } = await task.train(RECIPE, { data: root, seed: 1, progress: quiet });
  t.same([rows, calibratedOn], [300, 80]);
  t.equal(readTagger(bytes).parts.id, 'tiny');
  const evaluation = await task.evaluate(RECIPE, { data: root, part: 'dev', model: bytes, rate: 0.01, seed: 1, progress: quiet });
  t.match(evaluation.json, { model: 'tiny', version: '1', part: 'dev', types: { length: 6 } });
  const [plain, json] = [io(), io(true)];
  const html = join(root, 'page.html');
  t.equal(await learn.run(['evaluate', 'pii', '--data', root, '--html', html], plain), 0, plain.err);
  t.match(plain.out, /PERSON +all +12 in 12/);
  t.match(readFileSync(html, 'utf8'), /<svg/);
  t.equal(await learn.run(['evaluate', 'pii', '--data', root, '--json'], json), 0, json.err);
  const { types } = JSON.parse(json.out) as { readonly types: readonly { readonly type: string; readonly f2: { readonly value: number } }[] };
  t.ok(types.find(({ type }) => type === 'PERSON')!.f2.value > 0.5);
  const outside = io();
  t.equal(await learn.run(['train', 'pii', '--data', '/nonexistent'], outside), 1);
  t.match(outside.err, /no rows at/);
});
