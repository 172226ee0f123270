/** What is counted of classifiers in this process: how questions ended, the newest latencies, whether each is asked. */
import fc from 'fast-check';
import t from 'tap';
import { CALL_OUTCOMES, CHANNELS, type CallOutcome } from '../../src/contract/channels.ts';
import { ClassifierTally, SAMPLES_MAX } from '../../src/telemetry/classifier-tally.ts';

const tell = (classifier: string, outcome: CallOutcome, ms: number): void => CHANNELS.classifierCalled.publish({ requestId: 'r', classifier, outcome, startMs: 100, endMs: 100 + ms });
const opened = (): ClassifierTally => new ClassifierTally(new Date(0));

t.test('quantiles are those of what was asked, the newest so many', async (t) => {
  const tally = opened();
  t.same(tally.of('a'), { state: 'closed', outcomes: Object.fromEntries(CALL_OUTCOMES.map((outcome) => [outcome, 0])), latencyMs: null });
  for (let ms = 1; ms <= 100; ms++) tell('a', ms % 10 === 0 ? 'timeout' : 'ok', ms);
  for (const outcome of ['cached', 'late', 'unsupported'] as const) tell('a', outcome, 9_999);
  t.match(tally.of('a'), { outcomes: { ok: 90, timeout: 10, cached: 1, late: 1, unsupported: 1, error: 0 }, latencyMs: { n: 100, p50: 50, p95: 95, p99: 99 } });
  for (let i = 0; i < SAMPLES_MAX; i++) tell('a', 'ok', 7);
  t.same(tally.of('a').latencyMs, { n: SAMPLES_MAX, p50: 7, p95: 7, p99: 7 });
  t.equal(tally.of('b').latencyMs, null);
  tally.close();
  tell('a', 'ok', 1);
  t.equal(tally.of('a').outcomes.ok, 90 + SAMPLES_MAX, 'closed');
});

t.test('a state is the one that was told last', async (t) => {
  const tally = opened();
  for (const state of ['open', 'half_open', 'closed', 'open'] as const) CHANNELS.breakerChanged.publish({ classifier: 'a', state });
  t.same([tally.of('a').state, tally.of('b').state], ['open', 'closed']);
  tally.close();
});

t.test('a quantile is a sample, and has its share below it', async () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 300 }), (given) => {
    const tally = opened();
    for (const ms of given) tell('q', 'ok', ms);
    const { n, p50, p95, p99 } = tally.of('q').latencyMs!;
    tally.close();
    return n === given.length && ([[0.5, p50], [0.95, p95], [0.99, p99]] as const).every(([part, at]) => given.includes(at) && given.filter((ms) => ms <= at).length >= part * n && given.filter((ms) => ms < at).length < part * n + 1e-9);
  }));
});

t.test('names beyond the bound are not kept', async (t) => {
  const tally = opened();
  for (let i = 0; i < 300; i++) tell(`c${i}`, 'ok', 1);
  t.same([tally.of('c199').outcomes.ok, tally.of('c200').outcomes.ok], [1, 0]);
  tally.close();
});
