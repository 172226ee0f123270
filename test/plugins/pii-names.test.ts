/**
 * Names, addresses and places in the pii classifier, by its shipped model: its place in the contract, what it must find
 * and what it must leave, streams against whole texts, hostile input; and where the data is at hand (WEIR_TEST_DATA) the
 * accuracy that it must have. How good it is stands in its model card.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { recipe } from '../../plugins/pii/train/recipe.ts';
import type { ClassifierResult, ScreeningRequest } from '../../src/contract/screening.ts';
import { evaluateSpans } from '../../src/learn/span-measure.ts';
import { readSpanRows } from '../../src/learn/spans.ts';
import { readTagger } from '../../src/model/tagger.ts';
import { WindowCutter } from '../../src/text/windows.ts';
import { testPii } from '../helpers/pii.ts';

const FILE = join(import.meta.dirname, '../../plugins/pii/model.bin');
const MODEL_BYTES_MAX = 3_000_000;
const NAMES = ['PERSON', 'ADDRESS', 'LOCATION'];
const DATA = process.env['WEIR_TEST_DATA'];
const data = DATA === undefined ? undefined : join(DATA, 'data');
const pii = testPii('pii', true);

const requestOf = (content: string): ScreeningRequest => ({ request_id: 'r', tenant_id: 'default', direction: 'input', content, content_type: 'text', created_at: '2026-01-01T00:00:00Z' });
const unread = { views: () => [], language: () => ({ tag: 'und', confidence: 0 }) };

function ask(content: string): readonly ClassifierResult[] {
  return pii.classify!(requestOf(content), new AbortController().signal, unread) as readonly ClassifierResult[];
}

interface Found {
  readonly category: string;
  readonly start: number;
  readonly end: number;
  readonly score: number;
}

function foundIn(results: readonly ClassifierResult[], offset = 0): readonly Found[] {
  const found = results.flatMap((result) => ('score' in result ? result.spans.map(({ start, end }) => ({ category: result.category, start: start + offset, end: end + offset, score: result.score })) : []));
  return found.sort((a, b) => a.start - b.start);
}

const said = (text: string, category: string, least = 0): readonly string[] => foundIn(ask(text)).filter((one) => one.category === category && one.score >= least).map(({ start, end }) => text.slice(start, end));

t.test('three categories are reached only by rules that name them', async (t) => {
  t.same(pii.categories.filter(({ named }) => named === true).map(({ id }) => id), NAMES);
  t.ok(pii.patterns!.every(({ category }) => !NAMES.includes(category)));
});

t.test('people are found', async (t) => {
  const texts: readonly (readonly [text: string, ...people: string[]])[] = [
    ['My name is Maria Kowalska and I need a new card.', 'Maria Kowalska'], ['my name is john miller', 'john miller'], ['Please tell Peter that Anna Schmidt called.', 'Peter', 'Anna Schmidt'],
    ['Dear Mr. Henderson, thank you for your letter.', 'Henderson'], ['"It was late," said Olivia Brown, a nurse.', 'Olivia Brown'], ['Ich heiße Jonas Weber und wohne nicht hier.', 'Jonas Weber'],
    ['Je m\'appelle Camille Laurent.', 'Camille Laurent'], ['Me llamo Lucía Fernández.', 'Lucía Fernández'], ['Il mio nome è Giulia Conti.', 'Giulia Conti'],
    ['{"name": "Emma Wilson", "age": 41}', 'Emma Wilson'], ['The contract is between James Carter and the bank.', 'James Carter'],
  ];
  // A title before a name may go with it.
  for (const [text, ...people] of texts) for (const person of people) t.ok(said(text, 'PERSON').some((found) => found.endsWith(person)), text);
});

t.test('addresses are found, whole or in part', async (t) => {
  const texts: readonly (readonly [text: string, part: string])[] = [
    ['Please send it to 742 Maple Avenue, Springfield, IL 62704.', '742 Maple Avenue'], ['My zip code is 90210', '90210'], ['I live at 12 Church Lane.', '12 Church Lane'], ['Die Anschrift ist Hauptstraße 12, 10115 Berlin.', 'Hauptstraße 12'],
    ['Mon adresse est 12 rue des Lilas, 75011 Paris.', '12 rue des Lilas'], ['Deliver to PO Box 1234, Dover', 'PO Box 1234'], ['Ship to:\nAnna Schmidt\n55 Lake Road\nApt. 4\nDover, DE 19901', '55 Lake Road'],
  ];
  for (const [text, part] of texts) {
    const from = text.indexOf(part);
    const found = foundIn(ask(text)).filter(({ category }) => category === 'ADDRESS');
    t.ok(found.some(({ start, end }) => Math.min(end, from + part.length) - Math.max(start, from) > part.length / 2), `${text}: ${JSON.stringify(said(text, 'ADDRESS'))}`);
  }
});

t.test('places are found', async (t) => {
  for (const [text, place] of [['She moved from Lisbon to Toronto.', 'Lisbon'], ['The weather in Norway is cold.', 'Norway']] as const) t.ok(said(text, 'LOCATION').includes(place), text);
});

t.test('what is no name is left', async (t) => {
  const texts = [
    'Please review the pull request before Monday, March 3.', 'How do I sort [3, 1, 2] in Python?', 'class UserService extends BaseService { run(12, 34); }', 'The meeting is on Tuesday in room 12.',
    'Write a poem about autumn in the style of a sonnet.', 'npm install failed with Error 404: Not Found', 'Die Regierung plant eine Reform der Steuern für Familien.', 'I will mark the page and bill the customer in May.',
    'LOL THIS IS SO FUNNY', '# Getting Started\n\n## Installation', 'What is 1234 + 5678?', 'Compare Java, Ruby and Swift.', 'Dear Sir or Madam,', 'Version 2.10 adds support for JSON Web Tokens.',
  ];
  for (const text of texts) for (const category of ['PERSON', 'ADDRESS']) t.same(said(text, category, 0.5), [], text);
});

const SENTENCES = ['My name is Anna Schmidt. ', 'I live at 12 Church Lane, Dover.\n', 'the train was late again, so we walked home. ', 'Dr. ', '😀 ok! ', 'Send it to\nPeter Miller\n55 Lake Road\n', 'x = [1, 2, 3];\n', 'she met tom in paris ', '\ud800', 'Ö'];

t.test('a stream finds what the whole text has', async (t) => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...SENTENCES), { maxLength: 30 }), fc.integer({ min: 1, max: 40 }), (sentences, size) => {
    const text = sentences.join('');
    const feed = pii.stream!(requestOf(''));
    const cutter = new WindowCutter('sentence');
    const windows = [];
    for (let at = 0; at < text.length; at += size) windows.push(...cutter.feed(text.slice(at, at + size)));
    windows.push(...cutter.flush());
    t.same(windows.flatMap(({ text: window, start }) => foundIn(feed.feed(window), start)), foundIn(ask(text)));
  }), { numRuns: 40 });
});

t.test('in a script that it has not learnt the three are unknown, not 0', async (t) => {
  t.same(ask('Меня зовут Анна, я живу в Москве.'), NAMES.map((category) => ({ classifier_id: 'pii', category, unknown: true, reason: 'unsupported', latency_ms: 0 })));
  t.same(ask(''), []);
});

t.test('hostile input: an answer of the right form for any text', async (t) => {
  for (const text of ['', ' ', '\u0000', '\ud800\udc00\ud800', '\udfff Anna', 'A'.repeat(100_000), 'Anna '.repeat(2_000), '1 '.repeat(5_000), '\n'.repeat(5_000), '@'.repeat(5_000), '((((('.repeat(1_000), 'Ann\u0301a Smi\u200bth', '\u202eanna']) {
    const keys = new Set<string>();
    for (const result of ask(text)) {
      if (!('score' in result)) continue;
      t.ok(result.score >= 0 && result.score <= 1 && NAMES.includes(result.category));
      t.notOk(keys.has(`${result.category} ${result.score}`), 'a score is said once');
      keys.add(`${result.category} ${result.score}`);
      for (const { start, end } of result.spans) t.ok(start >= 0 && start < end && end <= text.length);
    }
  }
});

t.test('a megabyte is read, in time that grows with its length', async (t) => {
  const text = 'Anna Schmidt met the committee on Tuesday to speak about the new library. '.repeat(14_000);
  const begun = performance.now();
  t.ok(foundIn(ask(text)).length > 10_000);
  const took = performance.now() - begun;
  t.comment(`${took.toFixed(0)} ms for ${text.length} characters`);
  t.ok(took < 60_000);
});

t.test('the model is small, and holds no text but its own names', async (t) => {
  t.ok(statSync(FILE).size < MODEL_BYTES_MAX);
  t.same(readFileSync(FILE).toString('latin1').match(/[a-z]{4,} [a-z]{3,} [a-z]{3,}/gi) ?? [], []);
});

const skip = data !== undefined && existsSync(join(data, 'names/dev.jsonl.gz')) ? false : 'the data is not at hand (WEIR_TEST_DATA)';

t.test('people in labelled text are found as well as they must be', { skip }, async (t) => {
  const reports = evaluateSpans(readTagger(readFileSync(FILE)), await readSpanRows(recipe, data!, 'dev'), 1, () => undefined);
  const of = (source: string) => reports.find((report) => report.type === 'PERSON' && report.source === source)!;
  t.comment(`F2 ${of('pii').f2.value.toFixed(3)}, strict F1 ${of('wnut17').strictF1.value.toFixed(3)}`);
  t.ok(of('pii').f2.value >= 0.78);
  t.ok(of('wnut17').strictF1.value >= 0.4);
});
