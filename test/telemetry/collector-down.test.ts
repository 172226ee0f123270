/**
 * A collector that is frozen, gone, full or refuses: traffic goes on as if nothing were, what waits is bounded, what is lost
 * is counted, that nobody takes it is told once, and the process ends when it is told to. Where it goes the standard
 * variables say.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { CHANNELS, type HealthChanged, type TelemetryDropped } from '../../src/contract/channels.ts';
import { SPANS_WAITING_MAX, SpanQueue, type ReadableSpan, type SpanExporter, type WaitingTrace } from '../../src/telemetry/otlp.ts';
import { Collector } from '../helpers/collector.ts';
import { startWeir, type WeirProcess } from '../helpers/process.ts';
import { CHAT_ANSWER, json, ScriptedUpstream, until } from '../helpers/upstream.ts';

const POLICY = 'policy: p\nrules: []\n';
const SINK = "require('node:http').createServer((q, s) => q.resume().on('end', () => s.end())).listen(0, '127.0.0.1', function () { console.log(this.address().port) })";

/** A process that takes everything, until it is stopped. */
async function openSink(t: Test): Promise<{ readonly url: string; signal(name: 'SIGSTOP' | 'SIGCONT'): void }> {
  const sink = spawn(process.execPath, ['-e', SINK], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => void sink.kill('SIGKILL'));
  const [port] = await once(sink.stdout, 'data') as [Buffer];
  return { url: `http://127.0.0.1:${port.toString().trim()}`, signal: (name) => void sink.kill(name) };
}

interface Site {
  readonly weir: WeirProcess;
  /** So many exchanges, and the statuses that came. */
  ask(count: number): Promise<readonly number[]>;
  metric(series: string): Promise<number>;
}

async function openSite(t: Test, collectorUrl: string, variables: Readonly<Record<string, string>> = {}): Promise<Site> {
  const upstream = new ScriptedUpstream(json(200, CHAT_ANSWER));
  const url = await upstream.listen();
  t.teardown(() => upstream.close());
  Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: collectorUrl, OTEL_SERVICE_NAME: 'made-up-service', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=made-up', OTEL_EXPORTER_OTLP_HEADERS: 'x-made-up=value', ...variables });
  t.teardown(() => { for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name]; });
  const weir = await startWeir(t, url, POLICY, { telemetry: { log_level: 'warn', traces: { exporter: 'otlp' }, metrics: { otlp: true, interval_ms: 1000 } } });
  const one = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${weir.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }) });
    await response.arrayBuffer();
    return response.status;
  };
  return {
    weir,
    ask: async (count) => {
      const statuses: number[] = [];
      for (let left = count; left > 0; left -= 20) statuses.push(...await Promise.all(Array.from({ length: Math.min(20, left) }, one)));
      return statuses;
    },
    metric: async (series) => Number((await (await fetch(`${weir.adminUrl}/metrics`)).text()).split('\n').find((line) => line.startsWith(`${series} `))?.slice(series.length + 1) ?? 0),
  };
}

/** Until a condition that asks somebody. */
async function eventually(holds: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

t.test('a frozen collector costs spans and nothing else', async (t) => {
  const sink = await openSink(t);
  const site = await openSite(t, sink.url, { OTEL_EXPORTER_OTLP_TIMEOUT: '1500' });
  t.same(new Set(await site.ask(20)), new Set([200]));
  sink.signal('SIGSTOP');
  // Some 8 spans each: more than may wait.
  t.same(new Set(await site.ask(1_200)), new Set([200]), 'all are answered');
  await eventually(async () => await site.metric('weir_telemetry_dropped_total{signal="traces",reason="queue_full"}') > 0, 'what finds no room is counted');
  await eventually(async () => await site.metric('weir_telemetry_dropped_total{signal="traces",reason="export_failed"}') > 0, 'a batch that nobody took is counted');
  await eventually(async () => await site.metric('weir_healthy{part="export_of_traces"}') === 0 && (await (await fetch(`${site.weir.adminUrl}/metrics`)).text()).includes('weir_healthy{part="export_of_traces"} 0'), 'it is told');
  t.same(new Set(await site.ask(100)), new Set([200]));
  const told = (): number => site.weir.log.filter((line) => line.includes('the collector takes no traces')).length;
  t.equal(told(), 1, 'once in the log');
  sink.signal('SIGCONT');
  await eventually(async () => await site.ask(1) && await site.metric('weir_healthy{part="export_of_traces"}') === 1, 'it is well again');
  t.equal(told(), 1);
});

t.test('a process ends though its collector never answers', async (t) => {
  const sink = await openSink(t);
  const site = await openSite(t, sink.url, { OTEL_EXPORTER_OTLP_TIMEOUT: '3600000' });
  sink.signal('SIGSTOP');
  t.same(new Set(await site.ask(300)), new Set([200]));
  await site.weir.stop();
  t.ok(true, 'long before an export would end by itself');
});

t.test('a collector that refuses, and takes again', async (t) => {
  const collector = new Collector();
  const url = await collector.listen(t);
  const site = await openSite(t, url, { OTEL_EXPORTER_OTLP_TIMEOUT: '1200' });
  for (const status of [413, 429, 503]) {
    collector.status = status;
    const before = await site.metric('weir_telemetry_dropped_total{signal="traces",reason="export_failed"}');
    t.same(await site.ask(1), [200], String(status));
    await eventually(async () => await site.metric('weir_telemetry_dropped_total{signal="traces",reason="export_failed"}') > before, `${status} is counted`);
  }
  collector.status = 200;
  t.same(await site.ask(1), [200]);
  await until(() => collector.spans.some(({ kind }) => kind === 2) && collector.metrics.has('weir_answers_total'), 30_000, 'spans and metrics again');
  t.match(collector.spans[0]!.resource, { 'service.name': 'made-up-service', 'deployment.environment.name': 'made-up' });
  t.equal(collector.metrics.get('weir_answers_total')!.resource['service.instance.id'], collector.spans[0]!.resource['service.instance.id']);
  t.equal(collector.headers.at(-1)!['x-made-up'], 'value');
});

const span = {} as ReadableSpan;
const trace = (count: number): WaitingTrace => ({ count, spans: () => Array<ReadableSpan>(count).fill(span) });

t.test('what waits is bounded, exchange by exchange', async (t) => {
  const dropped: TelemetryDropped[] = [];
  const onDropped = (message: unknown): void => void dropped.push(message as TelemetryDropped);
  const turns: boolean[] = [];
  const onHealth = (message: unknown): void => void turns.push((message as HealthChanged).healthy);
  CHANNELS.telemetryDropped.subscribe(onDropped);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => { CHANNELS.telemetryDropped.unsubscribe(onDropped); CHANNELS.healthChanged.unsubscribe(onHealth); });
  const batches: { readonly spans: readonly ReadableSpan[]; done(code: 0 | 1): void }[] = [];
  const exporter: SpanExporter = { export: (spans, done) => void batches.push({ spans, done: (code) => done({ code }) }), shutdown: async () => {} };
  const queue = new SpanQueue(exporter, 1_000);
  for (let i = 0; i < 256; i++) queue.add(trace(1));
  t.equal(batches.length, 1, 'a full batch goes at once');
  for (let i = 0; i < 1_000; i++) queue.add(trace(1));
  t.same(dropped, [], 'as many as may wait');
  queue.add(trace(1));
  t.same(dropped, [{ signal: 'traces', reason: 'queue_full', count: 1 }], 'and no more');
  t.equal(batches.length, 1, 'one batch at a time');
  batches[0]!.done(1);
  await until(() => batches.length === 2, 5_000, 'the next batch');
  t.same([dropped.at(-1), turns], [{ signal: 'traces', reason: 'export_failed', count: 256 }, [false]]);
  queue.add(trace(257));
  t.match(dropped.at(-1), { reason: 'queue_full', count: 257 }, 'an exchange is dropped whole');
  batches[1]!.done(1);
  await until(() => batches.length === 3, 5_000, 'the third');
  t.same(turns, [false], 'told once');
  const closing = queue.close();
  for (let i = 2; i < 5; i += 1) {
    await until(() => batches.length > i, 5_000, `batch ${i}`);
    batches[i]!.done(0);
    if (batches.reduce((sum, { spans }) => sum + spans.length, 0) === 1_256) break;
  }
  await closing;
  t.equal(batches.reduce((sum, { spans }) => sum + spans.length, 0), 1_256, 'what waits goes out at the end');
  t.same(turns, [false, true]);
  queue.add(trace(1));
  t.ok(SPANS_WAITING_MAX >= 1_000);
});
