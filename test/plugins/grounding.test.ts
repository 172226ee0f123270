/**
 * The grounding classifier with its shipped model: its place in the contract, what sources bear out and what they do not,
 * talk that claims nothing, a stream against the whole, what it cannot judge, hostile texts, and its accuracy where there
 * are rows.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import createGrounding, { SENTENCES_MAX } from '../../plugins/grounding/index.ts';
import { evidenceOf, EVIDENCE } from '../../plugins/grounding/evidence.ts';
import { holdsFacts } from '../../plugins/grounding/facts.ts';
import { Sources } from '../../plugins/grounding/sources.ts';
import { readWords, stemOf } from '../../plugins/grounding/words.ts';
import { factPairs } from '../../plugins/grounding/train/facts.ts';
import { writtenPairs } from '../../plugins/grounding/train/written.ts';
import type { ClassifierResult, ScreeningRequest } from '../../src/contract/screening.ts';
import { readRawRows } from '../../src/learn/dataset.ts';
import { balancedAccuracyOf } from '../../src/learn/pairs.ts';
import { randomOf } from '../../src/learn/measure.ts';
import { readingsOf } from '../../src/screen/readings.ts';
import { WindowCutter } from '../../src/text/windows.ts';

const DATA = process.env.WEIR_TEST_DATA === undefined ? undefined : join(process.env.WEIR_TEST_DATA, 'data');
const NO_ROWS = DATA !== undefined && existsSync(join(DATA, 'grounding')) ? false : 'WEIR_TEST_DATA names no folder with rows';
const MODEL = join(import.meta.dirname, '../../plugins/grounding/model.bin');
const MODEL_BYTES_MAX = 1_000_000;

const HOTEL = 'The Harbour Hotel has 42 rooms and stands on the north side of the river in Elmstead. Check-in opens at 15:00 and check-out is at 11:00. Breakfast costs $18 per person and is served from 7 to 10. Pets are not allowed, except guide dogs. '
  + 'Guests may cancel free of charge up to 48 hours before arrival; after that the first night is charged. The hotel was founded in 1987 by Anna Whitfield, who sold it to the Lakeside Group in 2015. Parking is available for $12 a night.';
const GERMAN = 'Ich möchte gerne wissen, wie das Wetter in den nächsten Tagen wird und ob wir auf dem See fahren können, weil es nicht mehr so kalt ist.';

const grounding = createGrounding({ id: 'grounding' });

function requestOf(content: string, sources: string | undefined): ScreeningRequest {
  return { request_id: 'r', tenant_id: 'default', direction: 'output', content, content_type: 'text', created_at: '2026-01-01T00:00:00Z', context: sources === undefined ? {} : { sources } };
}

function ask(content: string, sources: string | undefined = HOTEL): readonly ClassifierResult[] {
  return grounding.classify!(requestOf(content, sources), new AbortController().signal, readingsOf({ content, content_type: 'text' })) as readonly ClassifierResult[];
}

function score(content: string, category: string, sources: string = HOTEL): number {
  return Math.max(...ask(content, sources).map((result) => (result.category === category && 'score' in result ? result.score : -1)));
}

t.test('declares two categories of answers, needs their sources, has no options', async (t) => {
  t.same(grounding.categories.map(({ id }) => id), ['unsupported', 'contradicted']);
  t.same([grounding.directions, grounding.needsContext, grounding.cost], [['output'], true, 'fast']);
  t.throws(() => createGrounding({ id: 'grounding', strict: true }), /unknown option strict/);
});

t.test('what the sources say is borne out, in other words too', async (t) => {
  for (const claim of ['The hotel has 42 rooms.', 'Pets are not allowed, except guide dogs.', 'Breakfast is $18.', 'Check-in starts at 3 pm.', 'You can cancel for free until 48 hours before you arrive.', 'Parking costs $12 per night.', 'According to the document, the hotel has 42 rooms.']) {
    t.ok(score(claim, 'unsupported') < 0.5, `${score(claim, 'unsupported').toFixed(2)} ${claim}`);
    t.ok(score(claim, 'contradicted') < 0.5, `${score(claim, 'contradicted').toFixed(2)} ${claim}`);
  }
});

t.test('what they do not say is not, and what they deny is told', async (t) => {
  for (const claim of ['The hotel has a rooftop pool and a spa with three saunas.', 'The hotel won the national tourism award in 2019.', 'A famous singer lives next door and gives concerts every Friday.']) t.ok(score(claim, 'unsupported') >= 0.9, claim);
  for (const claim of ['The hotel has 55 rooms.', 'You can cancel for free until 24 hours before you arrive.']) {
    t.ok(score(claim, 'contradicted') >= 0.5, claim);
    t.ok(score(claim, 'unsupported') >= 0.5, claim);
  }
});

t.test('talk claims nothing', async (t) => {
  for (const talk of ['Sure, happy to help!', 'Let me know if you have any other questions.', 'Thank you!', '', ' \n', 'I do not have any information about a pool in the documents.', 'The provided text does not mention a pool.', 'Hello! How can I help you today?']) {
    t.same(ask(talk).map((result) => ('score' in result ? result.score : -1)), [0, 0], talk);
  }
});

t.test('the place is the sentence', async (t) => {
  const text = 'The hotel has 42 rooms.\n  The hotel has a rooftop pool and a spa with three saunas.  Breakfast costs $18 per person.';
  const told = ask(text).filter((result) => result.category === 'unsupported');
  t.equal(told.length, 1);
  t.same(told.map((result) => ('spans' in result ? result.spans.map(({ start, end }) => text.slice(start, end)) : [])), [['The hotel has a rooftop pool and a spa with three saunas.']]);
});

t.test('a stream, the windows one by one, and the whole agree', async (t) => {
  const claims = ['The hotel has 42 rooms. ', 'The hotel has 55 rooms.\n', 'Sure! ', 'Pets are allowed. ', 'The spa has three saunas and a pool. ', 'It was sold in 2015, I think. ', 'x'.repeat(700), '… ', '。'];
  fc.assert(fc.property(fc.array(fc.constantFrom(...claims), { maxLength: 12 }), (parts) => {
    const text = parts.join('');
    const cutter = new WindowCutter('sentence');
    const windows = [...cutter.feed(text), ...cutter.flush()];
    const worst = (results: readonly ClassifierResult[], category: string): number => Math.max(0, ...results.map((result) => (result.category === category && 'score' in result ? result.score : 0)));
    const feed = grounding.stream!(requestOf(windows[0]?.text ?? '', HOTEL));
    const streamed = windows.map((window) => feed.feed(window.text));
    return ['unsupported', 'contradicted'].every((category) => {
      const whole = worst(ask(text), category);
      return Math.max(0, ...streamed.map((results) => worst(results, category))) === whole && Math.max(0, ...windows.map((window) => worst(ask(window.text), category))) === whole;
    });
  }), { numRuns: 40 });
  t.pass();
});

t.test('what cannot be judged is unknown, never 0', async (t) => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['Paris is in France.', undefined], ['Paris is in France.', ''], ['Paris is in France.', 'You are a helpful assistant. Always answer in English.\n- Never mention other shops.'], [GERMAN, HOTEL], ['The hotel has 42 rooms.', GERMAN],
  ];
  for (const [content, sources] of cases) {
    const results = grounding.classify!(requestOf(content, sources), new AbortController().signal, readingsOf({ content, content_type: 'text' })) as readonly ClassifierResult[];
    t.match(results, [{ category: 'unsupported', unknown: true, reason: 'unsupported' }, { category: 'contradicted', unknown: true, reason: 'unsupported' }]);
  }
  const headline = 'no do as a no o as do a no as o do no.';
  t.ok(ask(headline).every((result) => 'score' in result), 'small words of English are not taken for another language');
  t.ok(holdsFacts(`You are a helpful assistant.\n${HOTEL}`), 'instructions beside facts do not hide them');
});

t.test('hostile texts: long, broken, repeated', async (t) => {
  const texts = ['The hotel has 55 rooms. '.repeat(42_000), 'Well, thank you very much! '.repeat(38_000), '\ud800 hotel \udc00 rooms\ud800', 'a '.repeat(30_000), '9'.repeat(50_000), '1,1.1,'.repeat(9_000), 'İ'.repeat(5_000), "n't ".repeat(2_000), 'pm 5 million billion half'.repeat(20)];
  for (const text of texts) {
    const results = ask(text, `${HOTEL} ${text.slice(0, 60_000)}`);
    for (const result of results) if ('score' in result) t.ok(result.score >= 0 && result.score <= 1 && result.spans.every(({ start, end }) => start >= 0 && start < end && end <= text.length));
    t.ok(results.length <= 100);
  }
  t.equal(score('The hotel has 55 rooms. '.repeat(SENTENCES_MAX), 'contradicted') >= 0.5, true);
  t.match(ask('Well, thank you very much! '.repeat(SENTENCES_MAX)), [{ score: 0 }, { score: 0 }]);
  t.match(ask('Well, thank you very much! '.repeat(SENTENCES_MAX + 1)), [{ unknown: true }, { unknown: true }]);
});

t.test('64 KB of sources take milliseconds, not seconds', async (t) => {
  const sources = Array.from({ length: 200 }, (_, at) => HOTEL.replaceAll('42', String(at))).join(' ').slice(0, 65_536);
  const answer = HOTEL.repeat(7).slice(0, 4_096);
  ask(answer, sources);
  const begun = performance.now();
  for (let round = 0; round < 5; round += 1) ask(answer, sources);
  t.comment(`${((performance.now() - begun) / 5).toFixed(1)} ms`);
  t.ok(performance.now() - begun < 5_000);
});

t.test('words: numbers by value, denial apart, endings off', async (t) => {
  const stems = (text: string): readonly number[] => [...readWords(text).stems.subarray(0, readWords(text).count)];
  t.same(stems('1,200'), stems('1200.0'));
  t.same(stems('5 million'), stems('5,000,000'));
  t.same(stems('three'), stems('3'));
  t.same(stems('15:00'), stems('3 pm'));
  t.same(stems("doesn't"), stems('does not'));
  t.same(stems('don’t'), stems('do not'));
  t.same(stems("Anna's"), stems('Anna'));
  t.same(stems('cities stopped making'), stems('city stop make'));
  t.equal(stemOf('two'), stems('2')[0]);
  t.not(stemOf('hotel'), stemOf('hostel'));
  t.equal(readWords('One. Two!\nThree e.g. 3.5 U.S. law').sentenceCount >= 3, true);
});

t.test('evidence is finite and bounded, whatever is held against whatever', async (t) => {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 120 }), fc.array(fc.constantFrom('hotel', 'not', 'two', 'Rooms', '3', '.', 'n\'t', 'million', 'and', '?', '\n'), { maxLength: 40 }).map((words) => words.join(' ')));
  fc.assert(fc.property(text, text, (claim, source) => {
    const values = evidenceOf(claim, new Sources(source), () => 0.5);
    return values === undefined || (values.length === EVIDENCE.length && values.every((value) => value >= 0 && value < 1000));
  }), { numRuns: 60 });
  t.pass();
});

t.test('what is written for training is labelled, and follows from the seed', async (t) => {
  const rows = [{ context: `${HOTEL} It did not rain in May, and the largest guest was Tom Lindqvist.`, text: '', source: 's', labels: {} }, { context: 'The Copper Lane mill was opened in 1924 by Mei Tanaka of Oslo. It was never closed.', text: '', source: 's', labels: {} }];
  const made = (seed: number) => Array.from({ length: 60 }, () => randomOf(seed)).flatMap((random, at) => (at % 2 === 0 ? writtenPairs(rows, randomOf(seed + at)) : factPairs(random, 1)));
  t.same(made(3), made(3));
  t.notSame(made(3), made(4));
  for (const { labels, text, context } of made(3)) {
    t.ok(text.length > 0 && context.length > 0);
    t.ok(labels.contradicted === 0 || labels.unsupported === 1, 'what is contradicted is unsupported');
  }
  const facts = factPairs(randomOf(9), 40);
  const found = facts.filter(({ context, text, labels }) => (score(text, 'unsupported', context) >= 0.5 ? 1 : 0) === labels.unsupported);
  t.ok(found.length >= 0.7 * facts.length, `${found.length} of ${facts.length}`);
});

t.test('the model is small, and holds no text but its own names', async (t) => {
  t.ok(statSync(MODEL).size < MODEL_BYTES_MAX);
  t.same(readFileSync(MODEL).toString('latin1').match(/[a-z]{4,} [a-z]{3,} [a-z]{3,}/gi) ?? [], []);
});

t.test('balanced accuracy on rows that it did not learn from', { skip: NO_ROWS }, async (t) => {
  const rows = (await readRawRows(DATA!, 'grounding', 'dev')).map(({ row }) => row);
  const judged = rows.map(({ context, text, grounded, source }) => ({ score: score(String(text), 'unsupported', String(context)), truth: grounded === 1 ? 0 : 1, source }));
  const hard = judged.filter(({ source }) => source !== 'halueval-qa');
  t.comment(`${balancedAccuracyOf(judged).toFixed(3)} of ${judged.length}; ${balancedAccuracyOf(hard).toFixed(3)} of ${hard.length} without short answers`);
  t.ok(balancedAccuracyOf(judged) >= 0.82);
  t.ok(balancedAccuracyOf(hard) >= 0.74);
});
