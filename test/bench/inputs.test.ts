/**
 * What makes the benchmarks comparable: texts that are the same everywhere and hold what their name says, sets of the
 * stated size, and other engines that find the same as ours, in a whole text and in a stream.
 */
import t from 'tap';
import { scanText } from '../../src/match/set.ts';
import { applyEdits } from '../../src/text/edits.ts';
import { BACKTRACKING, PII, setOf, TWENTY, TWO_HUNDRED } from './detectors.ts';
import { re2Separate, re2Set, RescanRedactor, v8Alternation, v8Separate } from './engines.ts';
import { renderTable } from './report.ts';
import { timeCases } from './rounds.ts';
import { piecesOf, TEXT_KINDS, textOf, tokensOf } from './texts.ts';

t.test('texts have the length asked for and are the same for the same length', async (t) => {
  for (const kind of TEXT_KINDS) {
    t.equal(textOf(kind, 5_000).length, 5_000, kind);
    if (kind !== 'same-letter') t.not(textOf(kind, 5_000).slice(0, 100), textOf(kind, 5_000).slice(-100), kind);
  }
  t.match(textOf('prose', 30), /^[A-Z][a-z ]+/);
  t.equal(textOf('prose', 1_000_300).slice(1_000_000), textOf('prose', 1_000_000).slice(0, 300), 'long texts repeat a million characters');
  t.ok(/[^\0-\u00ff]/.test(textOf('two-byte', 200)), 'two bytes for each character');
});

t.test('pieces and tokens are the text', async (t) => {
  const text = textOf('code', 3_001);
  t.equal(piecesOf(text, 5).join(''), text);
  t.equal(piecesOf(text, 5).length, 601);
  t.equal(tokensOf(text).join(''), text);
  const prose = textOf('prose', 20_000);
  const mean = prose.length / tokensOf(prose).length;
  t.ok(mean > 3.5 && mean < 5, `tokens have ${mean} characters`);
});

t.test('clean texts are clean, dense ones dense, for every set', async (t) => {
  t.equal(TWENTY.length, 20);
  t.equal(TWO_HUNDRED.length, 200);
  for (const definitions of [TWENTY, TWO_HUNDRED, PII]) {
    const set = setOf(definitions);
    for (const kind of ['prose', 'two-byte', 'code', 'json', 'same-letter'] as const) t.same(scanText(set, textOf(kind, 20_000)), [], kind);
    t.ok(scanText(set, textOf('dense', 20_000)).length > 100);
  }
});

t.test('every engine finds the same', async (t) => {
  const text = textOf('dense', 8_000);
  const expected = v8Separate(TWENTY)(text);
  const ours = scanText(setOf(TWENTY), text);
  t.ok(expected.length > 50);
  t.same(v8Alternation(TWENTY)(text), expected);
  t.same(re2Separate(TWENTY)(text), expected);
  t.same([...new Set(ours.map(({ pattern }) => pattern.index))].sort((a, b) => a - b), re2Set(TWENTY)(text));
  t.ok(expected.every((edit) => ours.some(({ start, end }) => start === edit.start && end <= edit.end)));
});

t.test('the redactor with a kept tail redacts as over the whole text', async (t) => {
  const find = v8Separate(TWENTY);
  const text = textOf('dense', 8_000);
  for (const size of [1, 5, 300, 8_000]) {
    const redactor = new RescanRedactor(find, 256);
    t.equal(piecesOf(text, size).map((piece) => redactor.feed(piece)).join('') + redactor.flush(), applyEdits(text, find(text)), `pieces of ${size}`);
  }
});

t.test('patterns that backtrack are accepted, and their texts hold no match', async (t) => {
  for (const { regex, hostile } of BACKTRACKING) {
    t.equal(hostile(50).length, 50);
    t.same(scanText(setOf([{ id: 'x', category: 'x', label: 'X', regex }]), hostile(50)), [], regex);
  }
});

t.test('rounds run every case in turn, and a slow one less often', async (t) => {
  const order: string[] = [];
  const busy = (name: string, ms: number) => (): void => {
    order.push(name);
    for (const end = performance.now() + ms; performance.now() < end;);
  };
  const timings = timeCases('test', [{ name: 'a', work: 10, run: busy('a', 2) }, { name: 'b', work: 1, run: busy('b', 12) }], { rounds: 4, sampleMs: 2, caseMs: 20, quick: true });
  t.equal(timings[0].rounds, 4);
  t.equal(timings[1].rounds, 1);
  t.ok(timings[0].minNs >= 200_000 && timings[1].minNs >= 12_000_000);
  t.ok(timings[0].minNs <= timings[0].medianNs && timings[0].medianNs <= timings[0].maxNs);
});

t.test('tables stay within a hundred columns', async (t) => {
  const text = renderTable({ title: 'T', columns: ['name', 'ns'], rows: [{ cells: ['a', 1234.5] }, { cells: ['long name', 0.01234] }, { cells: ['none', undefined] }], note: 'word '.repeat(60).trim() });
  t.match(text, /^a +1,235$/m);
  t.match(text, /^long name +0\.0123$/m);
  t.ok(text.split('\n').every((line) => line.length <= 100));
});
