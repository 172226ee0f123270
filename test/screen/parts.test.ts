/**
 * Long texts in parts: every character in one, never half a character, and what the parts say said once, as the whole
 * would; a classifier of this process gives the event loop back between two, and is ended by the deadline.
 */
import fc from 'fast-check';
import t from 'tap';
import type { ClassifierResult, Span } from '../../src/contract/screening.ts';
import { Ensemble } from '../../src/screen/ensemble.ts';
import { joinedParts, OVERLAP_CHARS, PART_CHARS_MAX, partsOf } from '../../src/screen/parts.ts';
import { classifierOf, requestOf, scored } from '../helpers/classifiers.ts';
import { runs, seed } from '../helpers/runs.ts';

const unit = fc.constantFrom('word ', 'a', '😀', '\n', 'xyz'.repeat(100), '\u{1F469}\u200D\u{1F4BB}');

t.test('parts cover the text, overlap, and cut no character', async (t) => {
  fc.assert(fc.property(fc.array(unit, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 700 }), (units, times) => {
    const text = units.join('').repeat(times).slice(0, 200_000);
    const parts = partsOf(text);
    t.equal(parts[0]!.start, 0);
    for (const [at, part] of parts.entries()) {
      t.equal(text.slice(part.start, part.start + part.text.length), part.text);
      t.ok(part.text.length <= PART_CHARS_MAX);
      if (text.isWellFormed()) t.ok(part.text.isWellFormed());
      const next = parts[at + 1];
      if (next !== undefined) t.ok(next.start > part.start && next.start <= part.start + part.text.length - OVERLAP_CHARS, 'the next one begins within');
    }
    const last = parts.at(-1)!;
    t.equal(last.start + last.text.length, text.length);
  }), { numRuns: runs(60), seed });
  t.same(partsOf(''), [{ start: 0, text: '' }]);
  t.equal(partsOf('x'.repeat(PART_CHARS_MAX)).length, 1);
  t.equal(partsOf('x'.repeat(PART_CHARS_MAX + 1)).length, 2);
});

const found = (text: string): readonly Span[] => [...text.matchAll(/secret \d+/g)].map(({ index, 0: { length } }) => ({ start: index, end: index + length }));
const says = (spans: readonly Span[]): ClassifierResult => scored('c', 0.5, { spans: [...spans] });

t.test('what is found in parts is what is found in the whole', async (t) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 9_000 }), fc.integer({ min: 0, max: 10 ** 6 })), { maxLength: 20 }), (places) => {
    const text = places.map(([gap, number]) => `${'. '.repeat(gap)} secret ${number} `).join('');
    const answers = partsOf(text).map(({ start, text: part }) => ({ start, results: found(part).length === 0 ? [] : [says(found(part))] }));
    t.same(joinedParts(answers).flatMap((result) => ('spans' in result ? [...result.spans] : [])).sort((a, b) => a.start - b.start), found(text));
  }), { numRuns: runs(100), seed });
});

t.test('an unknown part stays known, beside the scores of the others', async (t) => {
  const unknown: ClassifierResult = { classifier_id: 'c', category: 'toxic', unknown: true, reason: 'timeout', latency_ms: 1 };
  const joined = joinedParts([{ start: 0, results: [scored('c', 0.2)] }, { start: 10, results: [unknown] }, { start: 20, results: [unknown] }, { start: 30, results: [scored('c', 0.2), scored('c', 0.9)] }]);
  t.same(joined.map((result) => ('unknown' in result ? result.reason : result.score)), [0.2, 'timeout', 0.9]);
});

t.test('a classifier of this process gives the event loop back, and the deadline ends it between two parts', async (t) => {
  let turns = 0;
  const ticking = setInterval(() => { turns += 1; }, 0);
  t.teardown(() => clearInterval(ticking));
  const clock = { now: 0 };
  const asked: number[] = [];
  const slowly = classifierOf('c', ({ content }) => (asked.push(content.length), (clock.now += 30), [scored('c', content.includes('secret') ? 0.9 : 0.1)]), { cost: 'fast' });
  const ensemble = new Ensemble({ classifiers: [{ classifier: slowly }], deadlineMs: 1_000, clock: () => clock.now });
  const text = `${'word '.repeat(20_000)}secret`;
  const whole = await ensemble.ask(requestOf(text, { direction: 'output' }));
  t.same(whole.map((result) => 'score' in result && result.score), [0.1, 0.9]);
  t.equal(asked.length, partsOf(text).length);
  asked.length = 0;
  const ended = await ensemble.ask(requestOf(text, { direction: 'output' }), { deadlineMs: 75 });
  t.same(ended.map((result) => ('unknown' in result ? result.reason : result.score)), [0.1, 'timeout'], 'what was read counts, and that not all was');
  t.equal(asked.length, 3, 'the third ran over the deadline');
});

t.test('a classifier of this process is asked though its turn comes late, and what it says at once counts', async (t) => {
  const clock = { now: 0 };
  const tardy = classifierOf('a', () => ((clock.now += 100), [scored('a', 0.1)]), { cost: 'fast' });
  const next = classifierOf('b', () => [scored('b', 0.7)], { cost: 'fast' });
  const ensemble = new Ensemble({ classifiers: [{ classifier: tardy }, { classifier: next }], deadlineMs: 80, clock: () => clock.now });
  t.same((await ensemble.ask(requestOf('x'))).map((result) => ('unknown' in result ? result.reason : result.score)), [0.1, 0.7]);
});
