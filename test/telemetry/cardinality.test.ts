/**
 * A hundred thousand different values for every label whose values come from outside: series, text and memory stay bounded,
 * and what is no name becomes `other`, whatever it holds. Every label of every metric is in one of two lists here.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { CHANNELS } from '../../src/contract/channels.ts';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import type { ReviewNotice } from '../../src/contract/notification.ts';
import { METRICS, startMetrics, type Metrics } from '../../src/telemetry/metrics.ts';

const VALUES = 100_000;
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** Whose values are names that callers, people or other machines chose: how many different ones there may be, with `other`. */
const OPEN: Readonly<Record<string, number>> = { tenant: 201, category: 201, classifier: 51, policy: 1_001, shadow: 1_001, rule: 1_001, log: 1_001, campaign: 201, part: 1_001, hash: 501, plugin: 51 };
/** The same of the labels that the conventions name. */
const OPEN_CONVENTIONS: Readonly<Record<string, number>> = { http_route: 65, gen_ai_request_model: 201, gen_ai_response_model: 201 };
/** Told whole, as it is at that moment, so these are few already. */
const SNAPSHOTS = ['campaign'];
/** Whose values are words of ours. */
const CLOSED = ['action', 'outcome', 'fault', 'code', 'direction', 'shadow_action', 'reason', 'act', 'kind', 'treatment', 'stage', 'ended_by', 'source', 'origin', 'admission', 'severity', 'resolution', 'retroactive_action', 'receiver', 'bound', 'state', 'decision', 'series', 'change', 'side', 'quantile', 'signal'];
/** The cap of any one metric, where labels multiply. */
const SERIES_MAX = 10_000;

function decision(more: Partial<DecisionRecord>): DecisionRecord {
  return { action: 'allow', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 1, latency_ms: 2, ...more };
}

/** Of everything that is told, what comes from outside is `value`. */
function tell(value: string): void {
  const results = [{ classifier_id: value, category: value, score: 1, count: 1 }, { classifier_id: value, category: value, unknown: 'timeout', count: 1 }] as const;
  const one = decision({ action: 'redact', classifier_results: results, triggered_rules: [value], shadow: { policy: `${value}@1`, action: 'block', triggered_rules: [value], degraded: [] } });
  const record: ExchangeRecord = {
    kind: 'exchange', request_id: value, tenant_id: value, policy: `${value}@1`, method: 'POST', route: value, model: value, stream: true, outcome: 'completed', status: 200, upstream_status: 200, input: one, output: one,
    held_chars_max: 1, held_ms_total: 1, request_bytes: 1, response_bytes: 1, started_at: '2030-01-01T00:00:00.000Z', duration_ms: 1, time_to_first_byte_ms: 1, session_id: value,
  };
  const notice: ReviewNotice = {
    event: 'review_override', notice_id: value, review_id: value, request_id: value, tenant_id: value, direction: 'input', origin: 'escalate', severity: 'low', policy: `${value}@1`, triggered_rules: [value], near_rules: [], action: 'allow', round: 1, batched: 0,
    due_at: '2030-01-01T00:00:00.000Z', resolution: 'block', retroactive_action: 'withdraw', categories: [value], batch: [], item_created_at: '2030-01-01T00:00:00.000Z', created_at: '2030-01-01T00:01:00.000Z',
  };
  CHANNELS.exchangeClosed.publish({ record });
  CHANNELS.stageEnded.publish({
    requestId: value, stage: 'upstream', startMs: 0, endMs: 1,
    call: { operation: 'chat', dialect: 'openai-chat', provider: undefined, address: 'api.example.com', port: 443, model: value, stream: true, parameters: {}, serviceTier: value, status: 200, facts: { model: value, responseId: value, finishReasons: [value] }, usage: { inputTokens: 1, outputTokens: 1 }, firstChunkMs: 1, gaps: undefined },
  });
  CHANNELS.classifierCalled.publish({ requestId: value, classifier: value, outcome: 'ok', startMs: 0, endMs: 1 });
  CHANNELS.breakerChanged.publish({ classifier: value, state: 'open' });
  CHANNELS.healthChanged.publish({ part: `classifier.${value}`, healthy: false, detail: value });
  CHANNELS.healthTold.publish({ part: `classifier.${value}`, healthy: false, detail: value, atMs: 0 });
  CHANNELS.configReloaded.publish({ ok: true, hash: value, issues: 0 });
  CHANNELS.policiesHeld.publish({ policies: [{ policy: value, origin: 'store', revision: 1, confirmedMs: 0 }] });
  CHANNELS.auditReceived.publish({ log: value, entries: 1, lag: 1, refused: 'forked' });
  CHANNELS.reviewTold.publish({ kind: 'admitted', tenant_id: value, origin: 'sample', admission: 'full' });
  for (const kind of ['resolved', 'overdue'] as const) CHANNELS.reviewTold.publish({ kind, notice });
  CHANNELS.riskTold.publish({ campaigns: [{ campaign: value, rate: 0.01, bounds: { low: 0, high: 1, peeking_low: 0, peeking_high: 1 }, texts: { waiting: 1, safe: 1, violation: 1, missing: 1 }, claim: 'open', sequential: 'good', risen: { all: 0, tenant: 0, category: 0 } }], annotators: { active: 1, paused: 0 } });
  CHANNELS.learningTold.publish({ kind: 'standing', standing: { lastTrained: null, plugins: [{ plugin: value, models: 1, switches: { promote: 1, rollback: 0, overridden: 0 }, behind: 0, texts: { scored: 1 }, compared: { agree: 1, only_working: 0, only_shadow: 0 } }] } });
  CHANNELS.expiryTold.publish({ ends: [{ kind: 'api_key', tenant_id: value, atMs: 0 }] });
}

interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Throws where a line is none of the text format. */
async function seriesOf(metrics: Metrics): Promise<readonly Series[]> {
  return (await metrics.prometheusText()).trimEnd().split('\n').filter((line) => !line.startsWith('#')).map((line) => {
    const found = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (?:[+-]Inf|NaN|-?[\d.e+-]+)(?: \d+)?$/.exec(line);
    if (found === null) throw new Error(`no line of metrics: ${JSON.stringify(line)}`);
    return { name: found[1]!, labels: Object.fromEntries([...(found[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label!, value!])) };
  });
}

t.test('every label is of one kind or the other', async (t) => {
  const labels = [...new Set(Object.values(METRICS).flatMap(({ labels }): readonly string[] => labels))];
  t.same(labels.sort(), [...Object.keys(OPEN), ...CLOSED].sort());
});

t.test('a hundred thousand names make no more series than a few thousand, and no more memory', async (t) => {
  const metrics = startMetrics({ version: '0' });
  t.teardown(() => metrics.close());
  for (let i = 0; i < VALUES / 10; i++) tell(`name-${i}`);
  const [before, heapBefore] = [await seriesOf(metrics), heap()];
  for (let i = VALUES / 10; i < VALUES; i++) tell(`name-${i}`);
  const [after, heapAfter] = [await seriesOf(metrics), heap()];
  t.comment(`${after.length} lines; ${Math.round(heapBefore / 1e6)} MB, then ${Math.round(heapAfter / 1e6)} MB`);
  t.ok(after.length <= before.length + 100, `nine tenths of the names add nothing: ${before.length} lines, then ${after.length}`);
  t.ok(heapAfter - heapBefore < 50e6, 'nor memory');
  for (const [label, max] of Object.entries({ ...OPEN, ...OPEN_CONVENTIONS })) {
    const values = new Set(after.flatMap(({ labels }) => labels[label] ?? []));
    t.ok(values.size > 1 && values.size <= max && (SNAPSHOTS.includes(label) || values.has('other')), `${label}: ${values.size} values`);
  }
  for (const [name, many] of Map.groupBy(after, ({ name }) => name)) t.ok(new Set(many.map(({ labels: { le: _, ...others } }) => JSON.stringify(others))).size <= SERIES_MAX, `${name}: ${many.length}`);
});

t.test('what is no name becomes other: quotes, line ends, escapes, what cannot be seen, and what is long', async (t) => {
  const metrics = startMetrics({ version: '0' });
  t.teardown(() => metrics.close());
  const hostile = ['a"b', 'a\\', 'a"} 1\nforged_total{x="', 'a\r\nb', '\u001b[31mred', '\u001b]8;;http://example.com\u0007', 'a\u2028b', 'a\u202eb', '\u200b', '\u0000', '\ud800', '', ' ', 'x'.repeat(1_000_000), 'my card is 4111 1111 1111 1111'];
  for (const value of hostile) tell(value);
  const found = await seriesOf(metrics);
  for (const label of Object.keys({ ...OPEN, ...OPEN_CONVENTIONS })) {
    const values = new Set(found.flatMap(({ labels }) => labels[label] ?? []));
    t.same([...values].filter((value) => !['other', '.', 'classifier.'].includes(value)), [], label);
  }
  t.ok(found.every(({ name }) => /^(?:weir_|gen_ai_|http_server_|target_info)/.test(name)), 'no series is forged');
});

function heap(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
