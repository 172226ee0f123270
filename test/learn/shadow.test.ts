/** A model beside what works: sides of thresholds, the share, what is left out and counted, the time it may take. */
import t from 'tap';
import type { ClassifierResult, ScreeningRequest } from '../../src/contract/screening.ts';
import { SHADOW_CHARS_MAX, ShadowRun, type ShadowRunOptions } from '../../src/learn/shadow.ts';

const scored = (score: number, category = 'a', id = 'x'): ClassifierResult => ({ classifier_id: id, category, score, label: 'A', spans: [], latency_ms: 2 });
const request = (content: string, id = 'r'): ScreeningRequest => ({ request_id: id, tenant_id: 'acme', direction: 'input', content, content_type: 'text', created_at: '' });
const turn = (): Promise<void> => new Promise((done) => void setImmediate(done));

function open(more: Partial<ShadowRunOptions> = {}): ShadowRun {
  return new ShadowRun({
    modelId: 'm', settings: () => ({ share: 1, cpu: 1, queueMax: 4 }), classifiers: new Set(['x']), thresholds: () => [], clock: () => 0, wait: async () => undefined,
    score: async ({ content }) => ({ results: [scored(Number(content))], ms: 1 }), ...more,
  });
}

async function heard(run: ShadowRun, texts: readonly (readonly [text: string, score: number])[]): Promise<void> {
  for (const [text, score] of texts) {
    run.hear(request(text), [scored(score), scored(1, 'a', 'other')]);
    for (let at = 0; at < 4; at += 1) await turn();
  }
}

t.test('both scores are counted by the side of each threshold on which they lie', async (t) => {
  const run = open({ thresholds: (tenant) => (tenant === 'acme' ? [{ policy: 'p', classifier: '*', category: 'a', at: 0.8 }, { policy: 'p', classifier: 'x', category: '*', at: 0.25 }, { policy: 'p', classifier: 'x', category: 'b', at: 0.1 }] : []) });
  await heard(run, [['0.8', 0.8], ['0.79', 0.8], ['0.9', 0.2], ['0.1', 0.3]]);
  const { counts, texts } = run.take();
  t.match(texts, [{ outcome: 'scored', total: 4, working_ms: 8, shadow_ms: 4 }]);
  t.match(counts.find(({ threshold }) => threshold === 0.8), { classifier_id: 'x', category: 'a', policy: 'p', total: 4, in_both: 1, only_working: 1, only_shadow: 1 });
  t.match(counts.find(({ threshold }) => threshold === 0.25), { total: 4, in_both: 2, only_working: 1, only_shadow: 1 });
  t.equal(counts.length, 2);
  t.ok(Math.abs(counts[0]!.distance - (0.01 + 0.7 + 0.2)) < 1e-9);
  t.same(run.take(), { counts: [], texts: [] }, 'taken once');
  run.giveBack({ counts, texts });
  run.giveBack({ counts, texts });
  const again = run.take();
  t.match(again.texts, [{ outcome: 'scored', total: 8, working_ms: 16, shadow_ms: 8 }], 'what was given back is there again');
  t.match(again.counts.find(({ threshold }) => threshold === 0.8), { total: 8, in_both: 2, only_working: 2, only_shadow: 2 });
  const other = open();
  await heard(other, [['0.6', 0.4]]);
  t.match(other.take().counts, [{ policy: '', threshold: 0.5, only_shadow: 1 }], 'where no policy compares it');
});

t.test('a share of exchanges, the same for every text of one', async (t) => {
  const run = open({ settings: () => ({ share: 0.25, cpu: 1, queueMax: 10_000 }) });
  for (let at = 0; at < 4_000; at += 1) for (const text of ['0.1', '0.2']) run.hear(request(text, `r${at}`), [scored(0.5)]);
  await run.close();
  const drawn = open({ settings: () => ({ share: 0.25, cpu: 1, queueMax: 0 }) });
  for (let at = 0; at < 4_000; at += 1) drawn.hear(request('0.1', `r${at}`), [scored(0.5)]);
  const total = drawn.take().texts[0]!.total;
  t.ok(total > 900 && total < 1_100, `${total} of 4000`);
});

t.test('what is too much is left out and counted: a full queue, a long text, what nobody scored, what failed', async (t) => {
  const gate = Promise.withResolvers<void>();
  const run = open({ score: async ({ content }) => { await gate.promise; if (content === 'fail') throw new Error('x'); return { results: content === 'none' ? [] : [scored(0.1)], ms: 1 }; } });
  for (const text of ['0.1', '0.1', '0.1', 'none', 'fail', '0.1', '0.1']) run.hear(request(text), [scored(0.5)]);
  for (const length of [SHADOW_CHARS_MAX, SHADOW_CHARS_MAX + 1]) run.hear(request('x'.repeat(length)), [scored(0.5)]);
  run.hear(request('0.1'), [scored(0.5, 'a', 'other')]);
  gate.resolve();
  for (let at = 0; at < 40; at += 1) await turn();
  const texts = Object.fromEntries(run.take().texts.map(({ outcome, total }) => [outcome, total]));
  t.same(texts, { full: 3, too_long: 1, scored: 3, unknown: 1, failed: 1 }, 'one under way, four that wait');
  await run.close();
  run.hear(request('0.1'), [scored(0.5)]);
  t.same(run.take().texts, [], 'closed');
});

t.test('it takes no more than its part of a core', async (t) => {
  let nowMs = 0, askedMs = 0;
  const run = open({ settings: () => ({ share: 1, cpu: 0.1, queueMax: 10_000 }), clock: () => nowMs, wait: async (ms) => void (nowMs += ms), score: async () => { nowMs += 50; askedMs += 50; return { results: [scored(0.1)], ms: 50 }; } });
  for (let at = 0; at < 1_000; at += 1) run.hear(request('0.1', `r${at}`), [scored(0.5)]);
  for (let at = 0; at < 20_000 && askedMs < 50_000; at += 1) await turn();
  t.equal(askedMs, 50_000, 'all were scored, in time');
  t.ok(askedMs - 1_000 - 50 <= nowMs * 0.1, `${askedMs} of ${nowMs} ms`);
  t.ok(askedMs >= nowMs * 0.09);
});
