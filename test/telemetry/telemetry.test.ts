/**
 * Log, traces and metrics as fed by the channels: what they tell, what they must not tell, and how far they can grow.
 */
import t from 'tap';
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace';
import { CHANNELS, type ExchangeOpened } from '../../src/contract/channels.ts';
import type { Part } from '../../src/contract/health.ts';
import type { ReviewNotice } from '../../src/contract/notification.ts';
import type { DecisionRecord, ExchangeRecord } from '../../src/contract/exchange.ts';
import { carrierName, nameOf } from '../../src/contract/names.ts';
import type { UpstreamCall } from '../../src/contract/upstream-call.ts';
import { BoundedLabel } from '../../src/telemetry/label.ts';
import { createLog, logChannels } from '../../src/telemetry/log.ts';
import { METRICS, startMetrics } from '../../src/telemetry/metrics.ts';
import { SteadyHealth } from '../../src/telemetry/steady-health.ts';
import { startTraces, type TraceOptions } from '../../src/telemetry/traces.ts';
import { until } from '../helpers/upstream.ts';

const SECRET = 'my card is 4111 1111 1111 1111';

function decision(more: Partial<DecisionRecord> = {}): DecisionRecord {
  return { action: 'allow', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 0, latency_ms: 2, ...more };
}

function record(more: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    kind: 'exchange', request_id: 'request-1', tenant_id: 'acme', policy: 'demo@1', method: 'POST', route: '/v1/chat/completions', model: 'gpt-test', stream: true, outcome: 'completed',
    status: 200, upstream_status: 200, input: decision(), output: decision({ action: 'redact', redactions: 3, classifier_results: [{ classifier_id: 'pii', category: 'EMAIL', score: 1, count: 3 }, { classifier_id: 'slow', category: 'x', unknown: 'timeout', count: 1 }] }),
    held_chars_max: 12, held_ms_total: 34, request_bytes: 10, response_bytes: 20, started_at: '2026-01-01T00:00:00.000Z', duration_ms: 100, time_to_first_byte_ms: 40, ...more,
  };
}

function upstreamCall(more: Partial<UpstreamCall> = {}): UpstreamCall {
  return { operation: 'chat', dialect: 'openai-chat', provider: undefined, address: 'api.openai.com', port: 443, model: 'gpt-test', stream: true, parameters: {}, serviceTier: undefined, status: 200, facts: undefined, usage: undefined, firstChunkMs: undefined, gaps: undefined, ...more };
}

function openExchange(more: Partial<ExchangeOpened> = {}): Record<string, string> {
  const propagate: Record<string, string> = {};
  CHANNELS.exchangeOpened.publish({ requestId: 'request-1', method: 'POST', path: '/v1/chat/completions', startedAtMs: Date.now(), propagate, trace: {}, ...more });
  return propagate;
}

t.test('a name stays, anything else is other, and only so many names', async (t) => {
  for (const name of ['gpt-4o-mini', 'acme', 'pii.EMAIL', '/v1/models/{id}', 'bot@abc123', 'größe']) t.equal(nameOf(name), name);
  for (const text of [SECRET, '', 'a\nb', 'a b', '\u001b[31m', 'x'.repeat(129), 'a"b', 'a\u2028b']) t.equal(nameOf(text), 'other');
  const label = new BoundedLabel(2);
  t.same(['a', 'b', 'c', 'a', 'b', SECRET].map((value) => label.of(value)), ['a', 'b', 'other', 'a', 'b', 'other']);
});

t.test('a carrier is told by what looks like names of fields', async (t) => {
  for (const carrier of ['messages[].content[].text', 'conversation.item.create:item.content[].input_text', 'data[].b64_json', 'metadata.*', 'tools[].function.parameters.properties.*', '$defs[][].x-note', '']) t.equal(carrierName(carrier), carrier);
  for (const name of ['two words', 'größe', '4111111111111111', 'sk-a1b2c3', 'a'.repeat(41), 'a\nb', '"']) t.equal(carrierName(`messages[].${name}[]`), 'messages[].*[]', name);
  t.same(['made up:a.b c[].d', 'metadata.ana@example.com'].map(carrierName), ['*:a.*[].d', 'metadata.*.com']);
});

t.test('log lines are single, short, and hold no text of callers', async (t) => {
  const lines: string[] = [];
  const log = createLog({ level: 'debug', destination: { write: (line) => void lines.push(line) } });
  const end = logChannels(log);
  log.warn('forged', { field: 'a\r\n{"level":"error"}\u001b[31m\u2028\u202e\ud800', long: 'x'.repeat(1_000_000), number: 1, absent: undefined });
  t.equal(lines.length, 1);
  t.match(JSON.parse(lines[0]), { level: 'warn', event: 'forged', field: 'a\\u{d}\\u{a}{"level":"error"}\\u{1b}[31m\\u{2028}\\u{202e}\ufffd', number: 1 });
  t.ok(lines[0].length < 1000 && /^[^\u0000-\u0009\u000b-\u001f\u2028]*\n$/.test(lines[0]));

  lines.length = 0;
  CHANNELS.exchangeClosed.publish({ record: record({ model: SECRET, route: `/v1/${SECRET}`, session_id: SECRET, request_id: SECRET }) });
  CHANNELS.exchangeClosed.publish({ record: record({ outcome: 'failed', status: 500, input: undefined, output: undefined, model: undefined, policy: undefined }) });
  CHANNELS.exchangeClosed.publish({ record: record({ outcome: 'upstream_failed', status: 502, error_code: 'upstream_timeout', input: decision({ shadow: { policy: 'next@2', action: 'block', triggered_rules: ['a', 'b'], degraded: ['b'] } }) }) });
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'identify', startMs: 1, endMs: 3.5, error: SECRET });
  CHANNELS.configReloaded.publish({ ok: false, hash: 'abc', issues: 2, message: 'weir.yaml:3:1 unknown key' });
  CHANNELS.configReloaded.publish({ ok: true, hash: 'abd', issues: 0 });
  CHANNELS.holdsChanged.publish({ open: 1 });
  CHANNELS.holdsChanged.publish({ open: 0, ended: { direction: 'input', endedBy: 'verdict', heldMs: 1_500 } });
  CHANNELS.healthTold.publish({ part: 'audit', healthy: false, detail: 'write failed', atMs: 0 });
  CHANNELS.healthTold.publish({ part: 'audit', healthy: true, detail: 'again', atMs: 0 });
  end();
  t.notMatch(lines.join(''), /4111/);
  t.match(lines.map((line) => JSON.parse(line)), [
    { level: 'info', event: 'exchange', request_id: 'other', model: 'other', route: 'other', output_action: 'redact', output_redactions: 3, duration_ms: 100 },
    { level: 'error', outcome: 'failed' }, { level: 'warn', error_code: 'upstream_timeout', input_shadow: 'next@2', input_shadow_action: 'block', input_shadow_rules: 'a,b', input_shadow_degraded: 'b' }, { level: 'debug', event: 'stage', duration_ms: 2.5, error: 'other' },
    { level: 'error', event: /old one stays/, message: /unknown key/ }, { level: 'info', event: 'configuration loaded', hash: 'abd' },
    { level: 'warn', part: 'audit' }, { level: 'info', part: 'audit' },
  ]);
});

t.test('what comes and goes is logged once, and its end with the time since when', async (t) => {
  const lines: { readonly part: string; readonly event: string; readonly since?: string }[] = [];
  const end = logChannels(createLog({ level: 'info', destination: { write: (line) => void lines.push(JSON.parse(line) as typeof lines[number]) } }));
  const steady = new SteadyHealth(Date.now, { min: 300, max: 300 });
  const turn = (part: Part, healthy: boolean): void => CHANNELS.healthChanged.publish({ part, healthy, detail: 'why' });
  const told = (): readonly string[] => lines.map(({ part, event }) => `${part} ${event}`);
  for (let i = 0; i < 20; i++) {
    turn('redis', false);
    turn('redis', true);
  }
  turn('audit', false);
  t.same(told(), ['redis works less well', 'audit works less well']);
  await until(() => lines.length > 2, 10_000, 'the end');
  t.same(told().slice(2), ['redis well again']);
  t.ok(Date.now() - Date.parse(lines[2]!.since!) >= 250, 'since when');
  turn('redis', false);
  turn('audit', true);
  t.same(told().slice(3), ['redis works less well'], 'a fault of its own');
  steady.close();
  end();
  t.same(told().slice(4), ['audit well again'], 'what waits is told at the end');
});

t.test('above debug, stages cost nothing', async (t) => {
  const end = logChannels(createLog({ level: 'info', destination: { write: () => undefined } }));
  t.notOk(CHANNELS.stageEnded.hasSubscribers);
  end();
  t.notOk(CHANNELS.exchangeClosed.hasSubscribers);
});

function traced(t: { teardown(end: () => Promise<void>): void }, more: Partial<TraceOptions> = {}): InMemorySpanExporter {
  const spanExporter = new InMemorySpanExporter();
  const traces = startTraces({ exporter: 'otlp', sampleRatio: 1, version: '0', spanExporter, ...more });
  t.teardown(() => traces.close());
  return spanExporter;
}

const TRACE = '0af7651916cd43dd8448eb211c80319c';

t.test('the caller\'s trace goes on through the exchange to the upstream', async (t) => {
  const exporter = traced(t);
  const sent = openExchange({ traceparent: `00-${TRACE}-b7ad6b7169203331-01`, tracestate: 'vendor=x' });
  const now = performance.now();
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'identify', startMs: now, endMs: now + 1 });
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'upstream', startMs: now + 1, endMs: now + 5, call: upstreamCall({ usage: { inputTokens: 7 }, facts: { responseId: SECRET, finishReasons: [SECRET, 'stop'] }, firstChunkMs: 40 }) });
  CHANNELS.stageEnded.publish({ requestId: 'other-request', stage: 'identify', startMs: 0, endMs: 1 });
  CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'vendor', outcome: 'timeout', startMs: now + 2, endMs: now + 3 });
  CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'vendor', outcome: 'late', startMs: now + 2, endMs: now + 4 });
  CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'vendor', outcome: 'cached', startMs: now + 2, endMs: now + 2 });
  CHANNELS.classifierCalled.publish({ requestId: 'other-request', classifier: 'vendor', outcome: 'ok', startMs: now + 2, endMs: now + 3 });
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'guard', startMs: now + 1, endMs: now + 5, error: 'upstream_timeout' });
  t.equal(exporter.getFinishedSpans().length, 0, 'nothing is told before the exchange ends');
  CHANNELS.exchangeClosed.publish({ record: record({ session_id: 'session-1' }) });
  const spans = exporter.getFinishedSpans();
  t.same(spans.map((span) => span.name), ['weir.identify', 'chat gpt-test', 'weir.guard', 'weir.classify', 'POST /v1/chat/completions']);
  const [identify, upstream, guard, call, server] = spans;
  t.same(new Set(spans.map((span) => span.spanContext().traceId)), new Set([TRACE]));
  t.equal(server.parentSpanContext?.spanId, 'b7ad6b7169203331');
  for (const child of [identify, upstream, guard]) t.equal(child.parentSpanContext?.spanId, server.spanContext().spanId);
  t.equal(call.parentSpanContext?.spanId, guard.spanContext().spanId, 'a call belongs to the stage in which it began');
  t.match(call.attributes, { 'weir.classifier': 'vendor', 'weir.classifier.outcome': 'timeout' });
  t.equal(sent.traceparent, `00-${TRACE}-${upstream.spanContext().spanId}-01`, 'the upstream hears the id of the client span');
  t.equal(sent.tracestate, 'vendor=x');
  t.match(upstream.attributes, { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-test', 'gen_ai.request.stream': true, 'gen_ai.usage.input_tokens': 7, 'gen_ai.response.id': 'other', 'gen_ai.conversation.id': 'session-1', 'gen_ai.response.time_to_first_chunk': 0.04, 'gen_ai.response.finish_reasons': ['other', 'stop'] });
  t.match(server.attributes, { 'http.route': '/v1/chat/completions', 'http.response.status_code': 200, 'weir.tenant': 'acme', 'weir.output.action': 'redact', 'weir.redactions': 3 });
  t.same(server.events.map(({ name, attributes }) => [name, attributes?.['gen_ai.evaluation.name'], attributes?.['gen_ai.evaluation.score.label']]), [
    ['gen_ai.evaluation.result', 'policy', 'allow'],
  ]);
  t.same(upstream.events.map(({ attributes }) => [attributes?.['gen_ai.evaluation.name'], attributes?.['gen_ai.evaluation.score.label'], attributes?.['error.type']]), [['policy', 'redact', undefined], ['pii.EMAIL', 'violation', undefined], ['slow.x', undefined, 'timeout']]);
  t.equal(guard.attributes['error.type'], 'upstream_timeout');
  t.notMatch(JSON.stringify(spans.map((span) => [span.name, span.attributes, span.events])), /4111/);
});

t.test('a new trace begins where the caller has none; sampling follows the caller, then the ratio', async (t) => {
  const exporter = traced(t, { sampleRatio: 0 });
  t.match(openExchange().traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  CHANNELS.exchangeClosed.publish({ record: record() });
  t.equal(exporter.getFinishedSpans().length, 0);
  t.match(openExchange({ traceparent: `00-${TRACE}-b7ad6b7169203331-01` }).traceparent, /-01$/);
  CHANNELS.exchangeClosed.publish({ record: record({ status: 502 }) });
  t.equal(exporter.getFinishedSpans().length, 1);
  t.match(openExchange({ traceparent: `00-${TRACE}-b7ad6b7169203331-00` }).traceparent, new RegExp(`^00-${TRACE}-.*-00$`));
  t.match(openExchange({ traceparent: 'nonsense\r\nx: y' }).traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

t.test('the console exporter prints one line per exchange', async (t) => {
  const lines: string[] = [];
  const traces = startTraces({ exporter: 'console', sampleRatio: 1, version: '0', print: (line) => void lines.push(line) });
  openExchange();
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'identify', startMs: 1, endMs: 3.5 });
  CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'vendor', outcome: 'ok', startMs: 5, endMs: 6 });
  CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'ours', outcome: 'ok', startMs: 5, endMs: 7 });
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'screen_input', startMs: 4, endMs: 8 });
  CHANNELS.exchangeClosed.publish({ record: record({ session_id: undefined }) });
  await traces.close();
  t.equal(lines.length, 1);
  t.match(lines[0], /^trace [0-9a-f]{32} POST \/v1\/chat\/completions \d+\.\d ms: identify 2\.5 ms · screen_input 4\.0 ms \(vendor 1\.0 ms, ours 2\.0 ms\)$/);
  openExchange();
  CHANNELS.exchangeClosed.publish({ record: record() });
  t.equal(lines.length, 1, 'after close nothing is told');
});

t.test('a log that is far from indexed says so in few lines, and when it is', async (t) => {
  const lines: { readonly event: string; readonly entries_to_come?: number }[] = [];
  const end = logChannels(createLog({ level: 'info', destination: { write: (line) => void lines.push(JSON.parse(line) as typeof lines[number]) } }));
  const indexed = (lag: number, log = ''): void => CHANNELS.decisionsIndexed.publish({ log, taken: 256, lag });
  for (const lag of [5_000, 1, 0]) indexed(lag);
  t.same(lines, [], 'what is nearly there is not told');
  for (const lag of [90_000, 89_744, 89_488, 4_000, 1, 0, 0, 256, 0]) indexed(lag);
  indexed(50_000, 'eu-1/a');
  end();
  t.same(lines.map(({ event, entries_to_come: lag }) => [event, lag]), [['the audit log is being indexed', 90_000], ['the audit log is indexed', 0]]);
});

const reviewNotice: ReviewNotice = {
  event: 'review_override', notice_id: 'rev_1.1.resolved', review_id: 'rev_1', request_id: 'r1', tenant_id: 'acme', direction: 'input', origin: 'escalate', severity: 'low', policy: 'p@1', triggered_rules: ['r'], near_rules: [], action: 'allow', round: 1, batched: 0,
  due_at: '2030-01-01T00:00:00.000Z', resolution: 'block', retroactive_action: 'withdraw', categories: [], batch: [], item_created_at: '2030-01-01T00:00:00.000Z', created_at: '2030-01-01T00:01:00.000Z',
};

t.test('every metric is told, with its labels and no others', async (t) => {
  const metrics = startMetrics({ version: '0' });
  t.teardown(() => metrics.close());
  CHANNELS.configReloaded.publish({ ok: true, hash: 'aaa', issues: 0 });
  CHANNELS.configReloaded.publish({ ok: true, hash: 'bbb', issues: 0 });
  CHANNELS.configReloaded.publish({ ok: false, hash: 'bbb', issues: 1 });
  for (const [part, healthy] of [['audit', false], ['review queue', false], ['tenant keys', true]] as const) CHANNELS.healthTold.publish({ part, healthy, detail: '', atMs: 0 });
  for (const healthy of [false, false, true, false]) CHANNELS.healthChanged.publish({ part: 'review queue', healthy, detail: '' });
  for (const outcome of ['ok', 'cached', 'timeout', 'late'] as const) CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'vendor', outcome, startMs: 0, endMs: 30 });
  CHANNELS.classifierCalled.publish({ requestId: 'request-1', classifier: 'ours', outcome: 'unavailable', startMs: 0, endMs: 0 });
  CHANNELS.breakerChanged.publish({ classifier: 'ours', state: 'open' });
  CHANNELS.retentionApplied.publish({ kind: 'audit', removed: 7, detail: '' });
  CHANNELS.holdsChanged.publish({ open: 1, ended: { direction: 'input', endedBy: 'verdict', heldMs: 1_500 } });
  CHANNELS.contentLost.publish({ count: 2, reason: 'write' });
  CHANNELS.turnedAway.publish({ code: 'upgrade_refused' });
  CHANNELS.auditLost.publish({ count: 3, kind: 'exchange' });
  CHANNELS.weeklyReported.publish({ tenant_id: 'acme', week: '2030-W05', outcome: 'put_off', detail: '' });
  CHANNELS.telemetryDropped.publish({ signal: 'traces', reason: 'queue_full', count: 7 });
  CHANNELS.auditShipped.publish({ lag: 3, error: 'unreachable' });
  CHANNELS.auditReceived.publish({ log: 'eu-1/a', entries: 4, lag: 5, refused: 'forked' });
  CHANNELS.decisionsIndexed.publish({ log: '', taken: 4, lag: 6 });
  CHANNELS.decisionsIndexed.publish({ log: 'eu-1/a', taken: 3, lag: 1 });
  CHANNELS.policiesHeld.publish({ policies: [{ policy: 'acme', origin: 'disk', revision: 7, confirmedMs: Date.now() - 3_600_000 }, { policy: 'bravo@2', origin: 'store', revision: 2, confirmedMs: undefined }] });
  for (const kind of ['resolved', 'overdue'] as const) CHANNELS.reviewTold.publish({ kind, notice: reviewNotice });
  CHANNELS.reviewTold.publish({ kind: 'admitted', tenant_id: 'acme', origin: 'sample', admission: 'full' });
  CHANNELS.reviewTold.publish({ kind: 'waiting', waiting: { low: 4, medium: 3, high: 2, critical: 1 }, overdue: { low: 0, medium: 0, high: 2, critical: 0 } });
  CHANNELS.reviewTold.publish({ kind: 'notice', receiver: 'tenant', outcome: 'given_up' });
  const told = { campaign: 'q', rate: 0.01, bounds: { low: 0.004, high: 0.02, peeking_low: 0.001, peeking_high: 0.04 }, texts: { waiting: 7, safe: 99, violation: 1, missing: 2 }, claim: 'open', sequential: 'good', risen: { all: 1, tenant: 2, category: 0 } } as const;
  CHANNELS.riskTold.publish({ campaigns: [told, { ...told, campaign: 'new', rate: null, claim: null, sequential: null, risen: null }], annotators: { active: 3, paused: 1 } });
  const loop = { plugin: 'toxicity', models: 3, switches: { promote: 2, rollback: 1, overridden: 1 }, behind: 1, texts: { scored: 10, full: 4 }, compared: { agree: 7, only_working: 1, only_shadow: 2 } } as const;
  CHANNELS.learningTold.publish({ kind: 'standing', standing: { lastTrained: '2030-01-01T00:00:00.000Z', plugins: [loop, { ...loop, plugin: 'gone' }] } });
  CHANNELS.learningTold.publish({ kind: 'standing', standing: { lastTrained: '2030-01-01T00:00:00.000Z', plugins: [loop] } });
  CHANNELS.learningTold.publish({ kind: 'trained', state: 'failed', detail: '' });
  CHANNELS.learningTold.publish({ kind: 'refused', reason: 'gate' });
  CHANNELS.expiryTold.publish({ ends: [{ kind: 'admin_token', tenant_id: null, atMs: 5_000 }] });
  CHANNELS.expiryTold.publish({ ends: [{ kind: 'api_key', tenant_id: 'acme', atMs: 9_000 }, { kind: 'api_key', tenant_id: 'acme', atMs: 7_000 }, { kind: 'certificate', tenant_id: null, atMs: 1_000 }] });
  openExchange();
  openExchange();
  CHANNELS.stageEnded.publish({ requestId: 'request-1', stage: 'identify', startMs: 0, endMs: 5 });
  CHANNELS.exchangeClosed.publish({ record: record({ outcome: 'blocked', error_code: 'content_filter', late: { direction: 'output', action: 'block', triggered_rules: ['r'], classifier_results: [], degraded: [], acted: ['cut'], latency_ms: 9 }, input: decision({ action: 'warn', shadow: { policy: 'next@2', action: 'block', triggered_rules: ['r'], degraded: [] }, coverage: { screened: [], exempt: [], opaque: [{ carrier: 'file', kind: 'file', treatment: 'pass' }] } }) }) });
  const text = await metrics.prometheusText();
  for (const [name, { labels, kind }] of Object.entries(METRICS)) {
    t.match(text, new RegExp(`# TYPE ${name} ${kind}\n`), name);
    const series = [...text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{(.*)\\})? `, 'gm'))];
    const found = new Set(series.flatMap((match) => [...(match[1] ?? '').matchAll(/(\w+)="/g)].map((label) => label[1])).filter((label) => label !== 'le'));
    t.ok(series.length > 0 && [...found].every((label) => (labels as readonly string[]).includes(label)), `${name} has the labels ${[...found].join(', ')}`);
  }
  const lines = text.split('\n');
  for (const line of [
    'weir_learning_models{plugin="toxicity"} 3', 'weir_learning_models{plugin="gone"} 0', 'weir_learning_switches{plugin="toxicity",change="overridden"} 1', 'weir_learning_switches{plugin="gone",change="promote"} 2', 'weir_learning_processes_behind{plugin="toxicity"} 1',
    'weir_learning_shadow_texts{plugin="toxicity",outcome="full"} 4', 'weir_learning_shadow_texts{plugin="gone",outcome="full"} 0', 'weir_learning_shadow_compared{plugin="toxicity",side="only_shadow"} 2', 'weir_learning_last_training_timestamp_seconds 1893456000', 'weir_learning_runs_total{state="failed"} 1', 'weir_learning_refusals_total{reason="gate"} 1',
    'weir_expiry_timestamp_seconds{kind="api_key",tenant="acme"} 7', 'weir_expiry_timestamp_seconds{kind="certificate"} 1', 'weir_expiry_timestamp_seconds{kind="admin_token"} +Inf',
    'weir_risk_rate{campaign="q"} 0.01', 'weir_risk_rate_bound{campaign="q",bound="peeking_high"} 0.04', 'weir_risk_texts{campaign="new",outcome="waiting"} 7', 'weir_risk_claim{campaign="q",state="open"} 1', 'weir_risk_claim{campaign="q",state="met"} 0',
    'weir_risk_sequential{campaign="q",decision="good"} 1', 'weir_risk_risen{campaign="q",series="tenant"} 2', 'weir_risk_annotators{state="paused"} 1',
    'weir_review_judged_total{policy="p",rule="r",resolution="block"} 1', 'weir_review_overrides_total{tenant="acme",retroactive_action="withdraw"} 1', 'weir_review_resolution_seconds_sum{severity="low"} 60', 'weir_review_waiting{severity="critical"} 1', 'weir_review_overdue{severity="high"} 2', 'weir_answers_total{fault="none"} 1', 'weir_answers_total{fault="weir"} 0', 'weir_errors_total{code="content_filter"} 1', 'weir_weekly_reports_total{outcome="put_off"} 1', 'weir_weekly_reports_total{outcome="given_up"} 0', 'weir_healthy{part="review_queue"} 0', 'weir_healthy{part="tenant_keys"} 1', 'weir_health_faults_total{part="review_queue"} 2', 'weir_turned_away_total{code="upgrade_refused"} 1', 'weir_audit_lost_total{kind="exchange"} 3', 'weir_audit_lost_total{kind="change"} 0',
    'weir_exchanges_total{tenant="acme",action="redact",outcome="blocked"} 1', 'weir_open_exchanges 1', 'weir_decisions_indexed_total 7', 'weir_decisions_index_lag_entries 6', 'weir_redactions_total{direction="output",tenant="acme"} 3',
    'weir_violations_total{category="pii.EMAIL",direction="output"} 3', 'weir_unknown_scores_total{classifier="slow",reason="timeout"} 1', 'weir_unscreened_forwarded_total{tenant="acme",reason="opaque"} 1',
    'weir_policy_source{policy="acme",source="disk"} 7', 'weir_policy_source{policy="acme",source="redis"} 0', 'weir_policy_stale{policy="acme"} 1', 'weir_policy_age_seconds{policy="bravo@2"} 0',
    'weir_classifier_results_total{classifier="vendor",outcome="timeout"} 1', 'weir_classifier_results_total{classifier="vendor",outcome="cached"} 1', 'weir_classifier_results_total{classifier="ours",outcome="unavailable"} 1',
    'weir_classifier_late_total{classifier="vendor"} 1', 'weir_classifier_latency_seconds_sum{classifier="vendor"} 0.06', 'weir_classifier_latency_seconds_count{classifier="vendor"} 2',
    'weir_late_verdicts_total{tenant="acme",act="cut"} 1', 'weir_shadow_decisions_total{policy="demo",shadow="next",direction="input",action="warn",shadow_action="block"} 1',
    'weir_classifier_breaker_state{classifier="vendor"} 0', 'weir_classifier_breaker_state{classifier="ours"} 2',
    'weir_config_info{hash="aaa"} 0', 'weir_config_info{hash="bbb"} 1', 'weir_config_last_reload_success 0', 'weir_healthy{part="audit"} 0',
    'weir_exchange_duration_seconds_bucket{outcome="blocked",le="0.16"} 1', 'weir_exchange_duration_seconds_bucket{outcome="blocked",le="0.08"} 0', 'weir_held_characters_sum 12', 'weir_hold_seconds_sum 0.034',
  ]) t.ok(lines.includes(line), line);
  t.notMatch(text, /^weir_risk_(?:rate|rate_bound|claim|sequential|risen)\{campaign="new"/m, 'what is not known is not told');
});

t.test('what went upstream unscreened is counted by its reason', async (t) => {
  const metrics = startMetrics({ version: '0' });
  t.teardown(() => metrics.close());
  CHANNELS.exchangeClosed.publish({ record: record({ input: undefined, output: undefined }) });
  CHANNELS.exchangeClosed.publish({ record: record({ input: decision({ degraded: ['r'] }) }) });
  CHANNELS.exchangeClosed.publish({ record: record({ output: decision({ degraded: ['r'] }) }) });
  CHANNELS.exchangeClosed.publish({ record: record({ output: decision({ degraded: ['r'], action: 'block' }) }) });
  CHANNELS.exchangeClosed.publish({ record: record({ upstream_status: undefined, input: undefined, output: undefined, outcome: 'refused' }) });
  const text = await metrics.prometheusText();
  t.match(text, 'weir_unscreened_forwarded_total{tenant="acme",reason="pass_through"} 1\n');
  t.match(text, 'weir_unscreened_forwarded_total{tenant="acme",reason="skipped_rule"} 2\n', 'an answer that was stopped was not let through');
  t.match(text, 'weir_exchanges_total{tenant="acme",action="none",outcome="refused"} 1\n');
});
