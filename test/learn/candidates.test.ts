/**
 * The pure parts of learning from verdicts: parts that do not leak, measures of two models against naive ones, the
 * threshold that costs least against every threshold, what to judge next, labels, limits, and a candidate as a folder.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { readCandidate, writeCandidate } from '../../src/learn/candidate-files.ts';
import type { TrainedCandidate } from '../../src/learn/candidates.ts';
import { compareModels, drawnAgain, middle, type JudgedPair } from '../../src/learn/compare.ts';
import { renderComparison } from '../../src/learn/compared-page.ts';
import { costCurve, costFor } from '../../src/learn/costs.ts';
import { headLabels, judgedText, labelledByTask, labelledByVerdict, normalised, oneForEach, ROW_CHARS_MAX } from '../../src/learn/labels.ts';
import { randomOf } from '../../src/learn/measure.ts';
import { disagreementOf, NEXT_MAX, pickNext, POOL_MAX } from '../../src/learn/next.ts';
import { HELD_OUT_SHARE, partsFor, type Placeable } from '../../src/learn/parts.ts';
import { TUNING_ROWS_MAX, tuneModel } from '../../src/learn/tune.ts';
import { readModel, type TextModel } from '../../src/model/text-model.ts';
import { readFileSync } from 'node:fs';

const quiet = (): void => undefined;
const row = fc.record({ request_id: fc.stringMatching(/^[a-f]$/), at: fc.integer({ min: 1, max: 5 }).map(String), marks: fc.array(fc.stringMatching(/^text [a-e]$/), { maxLength: 2 }), before: fc.constantFrom(undefined, undefined, undefined, 'held_out' as const) });

t.test('what is alike is in one part, and what was learnt from is never measured by', async (t) => {
  const chance = (id: string): number => (id.charCodeAt(0) % 5) / 5;
  fc.assert(fc.property(fc.array(row, { minLength: 1, maxLength: 12 }), fc.nat(), (rows: readonly Placeable[], pick) => {
    const learnt = rows.map((one, at): Placeable => (at === pick % rows.length ? { ...one, before: 'train' } : one));
    const placed = partsFor(learnt, chance);
    for (const [i, a] of learnt.entries()) for (const [j, b] of learnt.entries()) {
      if (a.request_id === b.request_id || a.marks.some((mark) => b.marks.includes(mark))) t.ok(placed[i]!.part === placed[j]!.part && placed[i]!.group === placed[j]!.group);
    }
    t.ok(learnt.every(({ before }, at) => before !== 'train' || placed[at]!.part === 'train'));
  }));
  const many = Array.from({ length: 4_000 }, (_, at): Placeable => ({ request_id: `r${at}`, at: '1', marks: [], before: undefined }));
  const random = randomOf(3);
  const share = partsFor(many, () => random()).filter(({ part }) => part === 'held_out').length / many.length;
  t.ok(Math.abs(share - HELD_OUT_SHARE) < 0.03, `${share}`);
  t.same(partsFor([many[0]!, { ...many[1]!, at: '0' }].map((one) => ({ ...one, marks: ['text x'] })), (id) => (id === 'r1' ? 0 : 0.9)).map(({ part }) => part), ['held_out', 'held_out'], 'the oldest decides');
});

/** A model that says what a table says. */
const telling = (scores: ReadonlyMap<string, number>): TextModel => ({ parts: { languages: ['en'], heads: [{ category: 'bad' }] }, scores: (text: string) => Float64Array.from([scores.get(text)!]) }) as unknown as TextModel;

t.test('two models on the same rows', async (t) => {
  const rows = Array.from({ length: 60 }, (_, at) => ({ text: `t${at}`, labels: { bad: at % 3 === 0 ? 1 : 0 }, lang: 'en', source: 's', weight: 1 }));
  const [before, after] = [new Map(rows.map(({ text }, at) => [text, at % 6 === 0 ? 0.9 : 0.1])), new Map(rows.map(({ text, labels }, at) => [text, labels.bad === 1 || at === 1 ? 0.5 : 0.2]))];
  const [bad] = compareModels(telling(before), telling(after), [...rows, { ...rows[0]!, lang: 'fi' }], { threshold: 0.5, seed: 1, progress: quiet });
  t.match(bad, { category: 'bad', n: 60, positives: 20, base: { recall: { value: 0.5 }, false_positive_rate: { value: 0 } }, candidate: { recall: { value: 1 }, false_positive_rate: { value: 1 / 40 } }, recall_change: { value: 0.5 } }, 'at the threshold counts; a language that was not learnt does not');
  t.ok(bad!.recall_change.low > 0.2 && bad!.recall_change.high < 0.8);
  t.same(bad!.base.false_positive_rate, { value: 0, low: 0, high: 0 });
  const grouped = compareModels(telling(before), telling(after), rows.map((one, at) => ({ ...one, group: String(at >> 3) })), { threshold: 0.5, seed: 1, progress: quiet })[0]!;
  t.not(grouped.recall_change.low, bad!.recall_change.low, 'rows of a group are drawn together');
  t.same(compareModels(telling(before), telling(after), rows, { threshold: 0.5, seed: 1, progress: quiet })[0]!.recall_change, compareModels(telling(before), telling(after), rows, { threshold: 0.5, seed: 1, progress: quiet })[0]!.recall_change);
  const [safe] = compareModels(telling(before), telling(after), rows.map((one) => ({ ...one, labels: { bad: 0 } })), { threshold: 0.5, seed: 1, progress: quiet });
  t.ok(Number.isNaN(safe!.recall_change.value) && Number.isNaN(safe!.recall_change.low), 'nothing is said where nothing is known');
  t.match(renderComparison({ title: 'a <b>', threshold: 0.5, heldOut: [bad!], regression: [safe!], proposals: [{ category: 'bad', tenant: 'acme', ...costCurve(bad!.judged, 'candidate', { miss: 5, false_alarm: 1 }, randomOf(1))! }] }), /a &#60;b&#62;[\s\S]*Cost of bad of acme/);
  t.same(middle([NaN, NaN, 1]), [NaN, NaN]);
  t.equal(drawnAgain(bad!.judged, randomOf(1), (drawn) => drawn.length, 3).length, 3);
});

t.test('the threshold that costs least is that of all thresholds', async (t) => {
  const pair = fc.record({ candidate: fc.integer({ min: 0, max: 20 }).map((n) => n / 20), truth: fc.constantFrom(0, 1) });
  fc.assert(fc.property(fc.array(pair, { minLength: 2, maxLength: 20 }), fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 }), (pairs, miss, alarm) => {
    const judged = pairs.map((one, group): JudgedPair => ({ ...one, base: 0, group }));
    const curve = costCurve(judged, 'candidate', { miss, false_alarm: alarm, violation_percent: 10 }, randomOf(1));
    const [yes, no] = [judged.filter(({ truth }) => truth === 1), judged.filter(({ truth }) => truth === 0)];
    if (yes.length === 0 || no.length === 0) return void t.equal(curve, undefined);
    const cost = (at: number): number => 1_000 * (0.1 * miss * (yes.filter(({ candidate }) => candidate < at).length / yes.length) + 0.9 * alarm * (no.filter(({ candidate }) => candidate >= at).length / no.length));
    for (const { threshold, cost: said } of curve!.points) t.ok(Math.abs(said - cost(threshold)) < 1e-9);
    t.ok(curve!.points.every((point) => point.cost >= curve!.best.cost.value));
  }));
  const costs = [{ category: 'bad', tenant: 'acme', miss: 1, false_alarm: 1 }, { category: 'bad', miss: 2, false_alarm: 1 }, { miss: 3, false_alarm: 1 }];
  t.same([costFor(costs, 'bad', 'acme')?.miss, costFor(costs, 'bad')?.miss, costFor(costs, 'other')?.miss, costFor([], 'bad')], [1, 2, 3, undefined]);
});

t.test('what to judge next: what can hardly be told, and not twice what is alike', async (t) => {
  const text = (words: string, score: number, disagreement = 0) => ({ of: words, text: words, disagreement, scores: [{ name: 'm.bad', score }] });
  const picked = pickNext([text('red boats sail at noon', 0.99), text('green apples fall down', 0.5), text('green apples fall down today', 0.49), text('quiet rivers bend west', 0.3), text('seven owls sleep', 0.02, 0.7)], 3);
  t.same(picked.map(({ of }) => of), ['green apples fall down', 'seven owls sleep', 'quiet rivers bend west']);
  t.match(picked[1], { why: 'classifiers differ by 0.70' });
  t.equal(disagreementOf([{ classifier_id: 'a', category: 'Hate', score: 0.9 }, { classifier_id: 'b', category: 'hate', score: 0.2 }, { classifier_id: 'c', category: 'hate' }]).toFixed(2), '0.70');
  t.equal(disagreementOf([]), 0);
  const pool = Array.from({ length: POOL_MAX }, (_, at) => text(`t${at}`, 0));
  t.equal(pickNext(pool.slice(0, NEXT_MAX + 1), NEXT_MAX).length, NEXT_MAX);
  t.throws(() => pickNext(pool, NEXT_MAX + 1), /at most 200 texts are picked/);
  t.throws(() => pickNext([...pool, pool[0]!], 1), /at most 2000 texts are looked at, these are 2001/);
});

t.test('labels', async (t) => {
  const item = { review_id: 'r', tenant_id: 'a', request_id: 'q', direction: 'input', origin: 'escalate', round: 1, resolution: 'allow', resolved_at: '2', created_at: '1', inclusion_probability: null } as const;
  const verdict = (resolution: 'allow' | 'block', ...categories: readonly string[]) => ({ reviewer_id: 'ana', resolution, categories });
  t.match(labelledByVerdict({ ...item, verdicts: [verdict('allow')] }, ['x', 'y']), { labels: { x: 0, y: 0 }, weight: 1, source: 'verdict' });
  t.match(labelledByVerdict({ ...item, round: 2, verdicts: [verdict('allow')] }, ['x']), { source: 'appeal' });
  t.same((labelledByVerdict({ ...item, verdicts: [verdict('allow', 'x')] }, ['x', 'y']) as any).labels, { x: 1 }, 'who lets pass what they name does not call it safe');
  t.equal(labelledByVerdict({ ...item, resolution: 'block', verdicts: [verdict('block', 'made-up')] }, ['x']), 'no_category');
  const task = { task_id: 't', tenant_id: 'a', request_id: 'q', direction: 'input', started_at: '1', human_label: 'violation', violation_category: 'x', settled_at: '3', inclusion_probability: 0.1 } as const;
  const label = (said: 'safe' | 'violation', tier: 'low' | 'high', calibration: number | null) => ({ annotator_id: 'ben', label: said, tier, calibration });
  t.match(labelledByTask({ ...task, labels: [label('violation', 'high', null)] }, ['x']), { weight: 1, inclusion_probability: 0.1, labels: { x: 1 } });
  t.match(labelledByTask({ ...task, labels: [label('violation', 'low', 0.9), label('violation', 'high', 0.9)] }, ['x']), { weight: 1.013 });
  t.match(labelledByTask({ ...task, labels: [label('violation', 'high', 1), label('safe', 'high', 1)] }, ['x']), { weight: 0.5 });
  t.equal(labelledByTask({ ...task, labels: [] }, ['x']), 'undecided');
  const [one] = oneForEach([labelledByVerdict({ ...item, verdicts: [verdict('allow')] }, ['x']), labelledByTask({ ...task, labels: [label('violation', 'high', 1)] }, ['x'])] as any);
  t.match(one, { labels: { x: 1 }, from: ['t', 'r'] });
  t.same(headLabels({ 'a.x': 0, 'a.y': 1 }, { 'a.x': ['h', 'i'], 'a.y': ['h'] }), { h: 1, i: 0 });
  t.equal(headLabels({ 'b.x': 1 }, { 'a.x': ['h'] }), undefined);
  t.equal(normalised('Call 555-0100, NOW!'), normalised('call 555 0199 now'));
  const texts = (...all: readonly string[]) => ({ texts: all.map((text) => ({ place: 'p', text })), cut: 0 });
  t.same([judgedText('input', texts('a', 'b')), judgedText('output', texts('a', 'b')), judgedText('input', texts())], ['b', 'a\nb', '']);
  t.same([judgedText('input', texts('x'.repeat(ROW_CHARS_MAX))).length, judgedText('input', texts(`y${'x'.repeat(ROW_CHARS_MAX)}`)).includes('y')], [ROW_CHARS_MAX, false]);
});

t.test('limits of tuning, and a candidate as a folder', async (t) => {
  const { recipe } = await import('../../plugins/prompt-injection/train/recipe.ts');
  const base = readModel(readFileSync(join(import.meta.dirname, '../../plugins/prompt-injection/model.bin')), recipe.signs);
  const row = { text: 'x', labels: { attack: 0 }, lang: 'en', source: 's', weight: 1 };
  const tune = (rows: readonly (typeof row)[], more: object = {}) => () => tuneModel({ recipe: { ...recipe, ...more }, base, rows, seed: 1, progress: quiet });
  t.throws(tune([]), /no row says anything of the categories of prompt-injection/);
  t.throws(tune(new Array(TUNING_ROWS_MAX + 1).fill(row)), /at most 100000 rows, these are 100001/);
  t.throws(tune([row], { rehearsal: undefined }), /nothing to rehearse/);
  const dir = mkdtempSync(join(tmpdir(), 'weir-candidate-'));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const nan = { value: NaN, low: NaN, high: NaN };
  const measures = { auprc: nan, recall: nan, false_positive_rate: { value: 0, low: 0, high: 0 } };
  const category = { category: 'bad', n: 1, positives: 0, base: measures, candidate: measures, recall_change: nan, false_positive_change: nan };
  const candidate = { plugin: 'p', model_id: 'p-2d711642b726', sha256: '2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881', bytes: Buffer.from('x'), base_sha256: '', dataset: 'd', seed: 1, trained_at: '', evaluation: [category], regression: [], contradictions: [], trained_on: 1, held_out: 1 } satisfies TrainedCandidate;
  await writeCandidate(dir, candidate);
  t.same(await readCandidate(dir), candidate);
  writeFileSync(join(dir, 'model.bin'), 'y');
  await t.rejects(readCandidate(dir), /is not the model that candidate.json tells of; train the candidate again/);
  writeFileSync(join(dir, 'candidate.json'), '{');
  await t.rejects(readCandidate(dir), /is no JSON/);
  await t.rejects(readCandidate(join(dir, 'none')), /has no model.bin; give a folder that weir learn train --dataset wrote/);
});
