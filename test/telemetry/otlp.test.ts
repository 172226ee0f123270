/**
 * What a collector gets of a running Weir, read as a collector reads it: traces that go on from a client's SDK through Weir to
 * the upstream, spans that nest, names of both editions, metrics with their values; and what must never be in any of it.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import t, { type Test } from 'tap';
import { EDITIONS, NAMES, SEMCONV_EDITIONS } from '../../src/telemetry/names.ts';
import { CALL_METRICS, SEMCONV_METRICS } from '../../src/telemetry/semconv-metrics.ts';
import { Collector, type CollectedSpan } from '../helpers/collector.ts';
import { startWeir, type WeirProcess } from '../helpers/process.ts';
import { chunk, events, json, ScriptedUpstream, SSE_HEAD, until, type ReceivedRequest, type Script } from '../helpers/upstream.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CALLER_SPAN = 'b7ad6b7169203331';
/** Never to be seen in anything that leaves for a collector. */
const SECRETS = { key: 'sk-made-up-canary-4711', asked: 'asked.canary@example.com', answered: 'answered.canary@example.com', blocked: 'Bluebird-canary', stopped: 'Kingfisher-canary', header: 'header-canary', secret: 'Heron-canary' };

const POLICY = `policy: p
default_action: allow
patterns:
  - { id: bird, label: BIRD, literal: [${SECRETS.blocked}, ${SECRETS.stopped}] }
  - { id: project, label: PROJECT, literal: [${SECRETS.secret}] }
rules:
  - { id: bird, priority: 1, direction: both, when: { score: patterns.bird, gte: 1 }, action: block }
  - { id: vile, priority: 2, direction: input, when: { score: judge.toxic, gte: 0.9 }, action: block }
  - { id: project, priority: 8, direction: input, when: { score: patterns.project, gte: 1 }, action: redact, redact: { style: pseudonym } }
  - { id: personal, priority: 9, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact, redact: { style: label } }
`;

const USAGE = { prompt_tokens: 21, completion_tokens: 9, total_tokens: 30, prompt_tokens_details: { cached_tokens: 16, cache_write_tokens: 2 }, completion_tokens_details: { reasoning_tokens: 4 } };
const CHAT = { id: 'chatcmpl-made-up', created: 1, model: 'gpt-made-up-2', service_tier: 'default', system_fingerprint: 'fp_made_up' };

function chat(content: string): object {
  return { ...CHAT, object: 'chat.completion', choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }], usage: USAGE };
}

function streamed(pieces: readonly string[]): readonly string[] {
  const event = (more: object): string => `data: ${JSON.stringify({ ...CHAT, object: 'chat.completion.chunk', ...more })}\n\n`;
  return [...pieces.map((content) => event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })), event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }), event({ choices: [], usage: USAGE }), 'data: [DONE]\n\n'];
}

/** By what the prompt says. */
const answer: Script = (socket, request) => {
  const body = request.body.toString();
  if (request.path.endsWith('/embeddings')) return json(200, { object: 'list', model: 'embed-made-up', data: [{ object: 'embedding', index: 0, embedding: [0.5] }], usage: { prompt_tokens: 3, total_tokens: 3 } })(socket, request);
  if (request.path.endsWith('/messages')) return json(200, { id: 'msg_made_up', type: 'message', role: 'assistant', model: 'claude-made-up', content: [{ type: 'text', text: 'fine' }], stop_reason: 'end_turn', usage: { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 7 } })(socket, request);
  if (request.path.endsWith('/responses')) return json(200, { id: 'resp_made_up', object: 'response', created_at: 1, status: 'completed', model: 'gpt-made-up-2', output: [], usage: { input_tokens: 5, output_tokens: 6, total_tokens: 11, output_tokens_details: { reasoning_tokens: 2 } } })(socket, request);
  const [pseudonym] = /⟨PROJECT_\d+⟩/.exec(body) ?? [];
  if (pseudonym !== undefined) return json(200, chat(`${pseudonym} is fine`))(socket, request);
  if (body.includes('break off')) return void socket.destroy();
  if (body.includes('fail please')) return json(503, { error: { message: 'overloaded', type: 'server_error', param: null, code: null } })(socket, request);
  if (body.includes('never end')) return void socket.write(SSE_HEAD + chunk(streamed(['for ever'])[0]!).toString());
  if (body.includes('stop the answer')) return events(streamed(['all is well. ', `now ${SECRETS.stopped.slice(0, 9)}`, SECRETS.stopped.slice(9), ' flew']), 2)(socket, request);
  if (body.includes('"stream":true')) return events(streamed(['write to ', SECRETS.answered.slice(0, 8), SECRETS.answered.slice(8), ' today']), 3)(socket, request);
  return json(200, chat(`write to ${SECRETS.answered} today`))(socket, request);
};

/** A classifier behind HTTP, so that there are calls. */
async function openJudge(t: Test): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.setHeader('content-type', 'application/json').end(JSON.stringify({ results: [{ category: 'toxic', score: 0.25, label: 'TOXIC', spans: [] }] })));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

interface Site {
  readonly weir: WeirProcess;
  readonly upstream: ScriptedUpstream;
  readonly collector: Collector;
  readonly port: number;
  client(traceId: string, headers?: Readonly<Record<string, string>>): OpenAI;
  /** The spans of an exchange, when they are there. */
  spans(traceId: string): Promise<readonly CollectedSpan[]>;
}

async function openSite(t: Test, telemetry: object, { traces = {}, tenant = {} }: { readonly traces?: object; readonly tenant?: object } = {}): Promise<Site> {
  const [collector, upstream, judge] = [new Collector(), new ScriptedUpstream(answer), await openJudge(t)];
  const [at, url] = [await collector.listen(t), await upstream.listen()];
  t.teardown(() => upstream.close());
  const weir = await startWeir(t, url, POLICY, {
    upstreams: { local: { url, provider: 'openai' } },
    tenants: [{ id: 'acme', policy: 'p', upstream: 'local', ...tenant }],
    classifiers: [{ id: 'pii', plugin: 'pii' }, { id: 'judge', plugin: 'http', url: judge, categories: ['toxic'] }],
    screening: { deadline_ms: 5_000 },
    telemetry: { log_level: 'info', traces: { exporter: 'otlp', endpoint: `${at}/v1/traces`, ...traces }, metrics: { otlp_endpoint: `${at}/v1/metrics`, interval_ms: 1000 }, ...telemetry },
  });
  return {
    weir, upstream, collector, port: Number(new URL(url).port),
    client: (traceId, headers = {}) => new OpenAI({ apiKey: SECRETS.key, baseURL: `http://127.0.0.1:${weir.port}/v1`, maxRetries: 0, defaultHeaders: { traceparent: `00-${traceId}-${CALLER_SPAN}-01`, ...headers } }),
    spans: async (traceId) => {
      await until(() => collector.spans.some((span) => span.traceId === traceId && span.kind === 2), 20_000, `the spans of ${traceId}`);
      return collector.spans.filter((span) => span.traceId === traceId);
    },
  };
}

let traces = 0;
/** A trace of its own. */
const newTrace = (): string => (traces += 1).toString(16).padStart(32, '0');

function only(spans: readonly CollectedSpan[], matches: (span: CollectedSpan) => boolean): CollectedSpan {
  const found = spans.filter(matches);
  if (found.length !== 1) throw new Error(`${found.length} of ${spans.map(({ name }) => name).join(', ')}`);
  return found[0]!;
}

const server = (spans: readonly CollectedSpan[]): CollectedSpan => only(spans, ({ kind }) => kind === 2);
const call = (spans: readonly CollectedSpan[]): CollectedSpan => only(spans, ({ kind }) => kind === 3);
const evaluationsOf = (span: CollectedSpan): readonly unknown[] => span.events.map(({ name, attributes }) => [name, attributes[NAMES.evaluationName], attributes[NAMES.evaluationLabel], attributes[NAMES.evaluationScore]]);
const heard = (request: ReceivedRequest): string | undefined => request.headers['traceparent'];

const ASK = { model: 'gpt-made-up', temperature: 0.5, top_p: 0.9, max_tokens: 100, n: 2, seed: 7, frequency_penalty: 0.1, presence_penalty: 0.2, service_tier: 'flex', user: 'u' } as const;
const mail = [{ role: 'system' as const, content: 'be kind' }, { role: 'user' as const, content: `I am ${SECRETS.asked}` }];

/** Linked into one tree below the caller's span, and each within its parent. */
function checkTree(t: Test, spans: readonly CollectedSpan[], parentOfServer: string): void {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  t.equal(byId.size, spans.length, 'every span has an id of its own');
  for (const span of spans) {
    t.ok(span.startNs <= span.endNs, `${span.name} ends after it begins`);
    if (span.kind === 2) { t.equal(span.parentSpanId, parentOfServer); continue; }
    const parent = byId.get(span.parentSpanId);
    t.ok(parent !== undefined && parent.startNs <= span.startNs && span.endNs <= parent.endNs, `${span.name} lies within ${parent?.name}`);
    t.same(span.events.filter(({ atNs }) => atNs < span.startNs || atNs > span.endNs), [], `${span.name}: its events are in its time`);
  }
}

for (const [edition, encoding] of [['v1.41', 'protobuf'], ['genai-next', 'json']] as const) {
  t.test(`a client's trace goes on to the upstream: ${edition}, ${encoding}`, async (t) => {
    const site = await openSite(t, { semconv: edition, otlp_encoding: encoding, service_name: 'weir-made-up' });
    const { upstream } = site;
    const reply = await site.client(TRACE, { tracestate: 'vendor=made-up', 'x-weir-session-id': 'session-1' }).chat.completions.create({ ...ASK, messages: mail });
    t.equal(reply.choices[0]!.message.content, 'write to [EMAIL] today');
    const spans = await site.spans(TRACE);
    checkTree(t, spans, CALLER_SPAN);
    t.same([...new Set(spans.map(({ name }) => name))].sort(), ['POST /v1/chat/completions', 'chat gpt-made-up', 'weir.audit', 'weir.classify', 'weir.decide_input', 'weir.guard', 'weir.identify', 'weir.read_request', 'weir.screen_input'].sort());
    for (const span of spans) t.match(span, { traceState: 'vendor=made-up', resource: { 'service.name': 'weir-made-up', 'service.instance.id': /^[0-9a-f-]{36}$/, 'service.version': /^\d/ } });
    const made = call(spans);
    t.equal(heard(upstream.received[0]!), `00-${TRACE}-${made.spanId}-01`, 'the upstream hears the id of the client span');
    t.equal(upstream.received[0]!.headers['tracestate'], 'vendor=made-up');
    const classified = spans.filter(({ name }) => name === 'weir.classify');
    t.ok(classified.some(({ attributes }) => attributes[NAMES.classifier] === 'judge' && attributes[NAMES.callOutcome] === 'ok'));
    t.same([...new Set(classified.map(({ parentSpanId }) => spans.find(({ spanId }) => spanId === parentSpanId)!.name))], ['weir.screen_input']);
    t.match(made.attributes, {
      'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-made-up', 'server.address': '127.0.0.1', 'server.port': site.port, 'gen_ai.conversation.id': 'session-1',
      'gen_ai.request.temperature': 0.5, 'gen_ai.request.top_p': 0.9, 'gen_ai.request.max_tokens': 100, 'gen_ai.request.choice.count': 2, 'gen_ai.request.seed': 7, 'gen_ai.request.frequency_penalty': 0.1, 'gen_ai.request.presence_penalty': 0.2,
      'gen_ai.response.id': 'chatcmpl-made-up', 'gen_ai.response.model': 'gpt-made-up-2', 'gen_ai.response.finish_reasons': ['stop'], 'gen_ai.usage.input_tokens': 21, 'gen_ai.usage.output_tokens': 9, 'gen_ai.usage.cache_read.input_tokens': 16, 'gen_ai.usage.reasoning.output_tokens': 4,
      [edition === 'v1.41' ? 'gen_ai.usage.cache_creation.input_tokens' : 'gen_ai.usage.cache_write.input_tokens']: 2,
      'openai.api.type': 'chat_completions', 'openai.request.service_tier': 'flex', 'openai.response.service_tier': 'default', 'openai.response.system_fingerprint': 'fp_made_up', 'http.response.status_code': 200,
    });
    t.notOk([NAMES.requestStream, NAMES.timeToFirstChunk, NAMES.errorType, NAMES.inputMessages, NAMES.outputMessages].some((name) => name in made.attributes), 'what does not apply is absent');
    t.match(server(spans).attributes, { 'http.request.method': 'POST', 'http.route': '/v1/chat/completions', 'http.response.status_code': 200, 'weir.tenant': 'acme', 'weir.policy.id': 'p', 'weir.policy.revision': /./, 'weir.outcome': 'completed', 'weir.input.action': 'redact', 'weir.input.rules': ['personal'], 'weir.output.action': 'redact', 'weir.output.rules': ['personal'], 'weir.redactions': 2 });
    t.same(evaluationsOf(server(spans)).slice(0, 1), [['gen_ai.evaluation.result', 'policy', 'redact', undefined]]);
    t.same(evaluationsOf(server(spans)).filter((event) => (event as string[])[1] === 'judge.toxic'), [['gen_ai.evaluation.result', 'judge.toxic', 'pass', 0.25]]);
    t.same(evaluationsOf(made).slice(0, 2), [['gen_ai.evaluation.result', 'policy', 'redact', undefined], ['gen_ai.evaluation.result', 'pii.EMAIL', 'violation', 1]]);
    t.equal(made.events[0]!.attributes['gen_ai.response.id'], 'chatcmpl-made-up');
    t.same([...site.collector.types], [encoding === 'json' ? 'application/json' : 'application/x-protobuf']);
    const names = Object.keys(EDITIONS).filter((other) => other !== edition).flatMap((other) => Object.values(EDITIONS[other as typeof edition].metrics) as string[]);

    const traceId = newTrace();
    const stream = await site.client(traceId).chat.completions.create({ model: 'gpt-made-up', stream: true, stream_options: { include_usage: true }, messages: mail });
    let text = '';
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    t.equal(text, 'write to [EMAIL] today');
    const streamSpans = await site.spans(traceId);
    checkTree(t, streamSpans, CALLER_SPAN);
    const { attributes } = call(streamSpans);
    t.match(attributes, { 'gen_ai.request.stream': true, 'gen_ai.response.id': 'chatcmpl-made-up', 'gen_ai.response.finish_reasons': ['stop'], 'gen_ai.usage.input_tokens': 21, 'gen_ai.usage.output_tokens': 9 });
    t.ok((attributes['gen_ai.response.time_to_first_chunk'] as number) > 0);

    const { metrics } = site.collector;
    await until(() => Number(metrics.get(EDITIONS[edition].metrics.duration)?.points[0]?.count ?? 0) >= 1 && (metrics.get(EDITIONS[edition].metrics.timePerOutputChunk)?.points.length ?? 0) > 0, 20_000, 'a push of metrics');
    for (const [name, definition] of Object.entries(CALL_METRICS[edition])) {
      const metric = metrics.get(name)!;
      t.match(metric, { unit: definition.unit, kind: definition.kind === 'counter' ? 'sum' : 'histogram' }, name);
      for (const point of metric.points) {
        t.same(Object.keys(point.attributes).filter((label) => !SEMCONV_METRICS[name]!.labels.includes(label)), [], `${name}: its labels`);
        if (definition.buckets !== undefined) t.same(point.bounds, definition.buckets, `${name}: its buckets`);
        t.match(point.attributes, { 'gen_ai.operation.name': 'chat', 'gen_ai.provider.name': 'openai', 'gen_ai.request.model': 'gpt-made-up', 'gen_ai.response.model': 'gpt-made-up-2', 'server.address': '127.0.0.1', 'server.port': site.port });
      }
    }
    t.same(names.filter((name) => !(name in CALL_METRICS[edition]) && metrics.has(name)), [], 'no name of the other edition');
    if (edition === 'v1.41') {
      const tokens = metrics.get('gen_ai.client.token.usage')!.points;
      t.same(tokens.map(({ attributes, count, sum }) => [attributes['gen_ai.token.type'], count, sum]), [['input', 2, 42], ['output', 2, 18]]);
      t.same(metrics.get('gen_ai.client.operation.time_per_output_chunk')!.points[0]!.bounds, [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]);
    } else {
      t.same(['input_tokens', 'output_tokens', 'cache_read.input_tokens', 'cache_write.input_tokens', 'reasoning.output_tokens'].map((name) => metrics.get(`gen_ai.client.inference.usage.${name}`)!.points[0]!.value), [42, 18, 32, 4, 8]);
    }
    t.match(metrics.get('http.server.request.duration')!.points.map((point) => [point.attributes, point.count]), [[{ 'http.request.method': 'POST', 'http.route': '/v1/chat/completions', 'http.response.status_code': 200, 'url.scheme': 'http' }, 2]]);
    t.ok(metrics.get('weir_exchanges_total')!.points[0]!.value === 2, 'and Weir’s own');
    const page = await (await fetch(`${site.weir.adminUrl}/metrics`)).text();
    t.match(page, `${EDITIONS[edition].metrics.duration.replaceAll('.', '_')}_count{gen_ai_operation_name="chat",gen_ai_provider_name="openai"`);
    t.match(page, 'http_server_request_duration_count{http_request_method="POST",http_route="/v1/chat/completions",url_scheme="http",http_response_status_code="200"} 2\n');
    const lines = site.weir.log.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ event }) => event === 'exchange');
    t.match(lines.map(({ trace_id, span_id }) => [trace_id, span_id]), [[TRACE, server(spans).spanId], [traceId, server(streamSpans).spanId]], 'log lines say where in a trace they belong');
  });
}

t.test('other endpoints, other names; and whatever goes wrong', async (t) => {
  const site = await openSite(t, {});
  const { weir, upstream } = site;
  const post = (path: string, traceId: string, body: object): Promise<Response> => fetch(`http://127.0.0.1:${weir.port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: `Bearer ${SECRETS.key}`, traceparent: `00-${traceId}-${CALLER_SPAN}-01` }, body: JSON.stringify(body) });
  const cases: readonly (readonly [path: string, body: object, name: string, attributes: object])[] = [
    ['/v1/embeddings', { model: 'embed', input: 'hello' }, 'embeddings embed', { 'gen_ai.operation.name': 'embeddings', 'gen_ai.response.model': 'embed-made-up', 'gen_ai.usage.input_tokens': 3 }],
    ['/v1/messages', { model: 'claude', max_tokens: 64, top_k: 40, messages: [{ role: 'user', content: 'hello' }] }, 'chat claude', { 'gen_ai.response.id': 'msg_made_up', 'gen_ai.request.max_tokens': 64, 'gen_ai.request.top_k': 40, 'gen_ai.response.finish_reasons': ['end_turn'], 'gen_ai.usage.input_tokens': 123, 'gen_ai.usage.cache_read.input_tokens': 100, 'gen_ai.usage.cache_creation.input_tokens': 20, 'gen_ai.usage.output_tokens': 7 }],
    ['/v1/responses', { model: 'gpt', input: 'hello', max_output_tokens: 50 }, 'chat gpt', { 'openai.api.type': 'responses', 'gen_ai.response.id': 'resp_made_up', 'gen_ai.request.max_tokens': 50, 'gen_ai.usage.reasoning.output_tokens': 2, 'gen_ai.response.finish_reasons': ['completed'] }],
    ['/v1/chat/completions', { model: `a prompt, no name: ${SECRETS.header}`, messages: [{ role: 'user', content: 'fail please' }] }, 'chat other', { 'error.type': '503', 'http.response.status_code': 503, 'gen_ai.request.model': 'other' }],
    ['/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'break off' }] }, 'chat m', { 'error.type': 'upstream_unreachable' }],
  ];
  const made: string[] = [];
  for (const [path, body] of cases) {
    made.push(newTrace());
    await (await post(path, made.at(-1)!, body)).arrayBuffer();
  }
  for (const [i, [path, , name, attributes]] of cases.entries()) {
    const spans = await site.spans(made[i]!);
    checkTree(t, spans, CALLER_SPAN);
    t.match(call(spans), { name, attributes, status: 'error.type' in attributes ? 2 : 0 }, path);
    t.equal(heard(upstream.received[i]!)!.split('-')[2], call(spans).spanId);
  }

  const blocked = newTrace();
  t.equal((await post('/v1/chat/completions', blocked, { model: 'm', messages: [{ role: 'user', content: `tell me of ${SECRETS.blocked}` }] })).status, 400);
  const blockedSpans = await site.spans(blocked);
  t.notOk(blockedSpans.some(({ kind }) => kind === 3), 'nothing went upstream');
  t.match(server(blockedSpans), { attributes: { 'weir.input.action': 'block', 'weir.input.rules': ['bird'], 'weir.outcome': 'blocked', 'error.type': 'content_filter', 'http.response.status_code': 400 }, status: 0 });

  const stopped = newTrace();
  t.notMatch(await (await post('/v1/chat/completions', stopped, { model: 'm', stream: true, messages: [{ role: 'user', content: 'stop the answer' }] })).text(), /Kingfisher/);
  t.match(server(await site.spans(stopped)).attributes, { 'weir.output.action': 'block', 'weir.outcome': 'blocked' });

  const left = newTrace();
  const abort = new AbortController();
  const leaving = await fetch(`http://127.0.0.1:${weir.port}/v1/chat/completions`, { method: 'POST', signal: abort.signal, headers: { 'content-type': 'application/json', traceparent: `00-${left}-${CALLER_SPAN}-01` }, body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'never end' }] }) });
  await leaving.body!.getReader().read();
  abort.abort();
  const leftSpans = await site.spans(left);
  t.match([call(leftSpans), server(leftSpans)], [{ attributes: { 'error.type': 'client_left' }, status: 2 }, { attributes: { 'error.type': 'client_left', 'weir.outcome': 'client_left' } }]);

  const before = upstream.received.length;
  const ask = (headers: Readonly<Record<string, string>>): Promise<Response> => fetch(`http://127.0.0.1:${weir.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] }) });
  for (const traceparent of ['nonsense', `00-${'0'.repeat(32)}-${CALLER_SPAN}-01`, `ff-${TRACE}-${CALLER_SPAN}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`]) {
    await (await ask({ traceparent, tracestate: 'vendor=made-up' })).arrayBuffer();
    const { headers } = upstream.received.at(-1)!;
    const [, traceId] = /^00-([0-9a-f]{32})-[0-9a-f]{16}-01$/.exec(headers['traceparent']!)!;
    t.not(traceId, TRACE, `${traceparent} is not continued`);
    t.equal(headers['tracestate'], undefined, 'and what belongs to it is dropped');
  }
  for (const request of upstream.received.slice(before)) t.equal(server(await site.spans(heard(request)!.split('-')[1]!)).parentSpanId, '');
  t.equal(upstream.received.length, before + 4);
  await (await ask({ traceparent: `00-${TRACE}-${CALLER_SPAN}-00` })).arrayBuffer();
  t.match(heard(upstream.received.at(-1)!), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  await site.spans(await lastTrace(ask, upstream));
  t.same(site.collector.spans.filter(({ traceId }) => traceId === TRACE), [], 'what the caller does not sample is not told');
  nothingSecret(t, site);
});

/** Of one more exchange: when its spans are there, those before it are. */
async function lastTrace(ask: (headers: Readonly<Record<string, string>>) => Promise<Response>, upstream: ScriptedUpstream): Promise<string> {
  await (await ask({})).arrayBuffer();
  return heard(upstream.received.at(-1)!)!.split('-')[1]!;
}

function nothingSecret(t: Test, { collector, weir }: Site): void {
  for (const [name, secret] of Object.entries(SECRETS)) {
    t.notOk(collector.text().includes(secret), `no ${name} at the collector`);
    t.notOk(weir.log.some((line) => line.includes(secret)), `no ${name} in the log`);
  }
}

t.test('texts stand in traces of a tenant that lets them, as they went on', async (t) => {
  const site = await openSite(t, {}, { tenant: { data: { traces: 'redacted' } } });
  const messages = [{ role: 'system' as const, content: 'be kind' }, { role: 'user' as const, content: `I am ${SECRETS.asked} and like tea` }];
  const [unary, stream, stopped, blocked, long, failed] = Array.from({ length: 6 }, newTrace) as [string, string, string, string, string, string];
  await site.client(unary).chat.completions.create({ model: 'm', messages });
  for await (const _ of await site.client(stream).chat.completions.create({ model: 'm', stream: true, messages })) { /* read */ }
  for await (const _ of await site.client(stopped).chat.completions.create({ model: 'm', stream: true, messages: [{ role: 'user', content: 'stop the answer' }] })) { /* read */ }
  await t.rejects(site.client(blocked).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: `say ${SECRETS.blocked}` }] }));
  await site.client(long).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: `"\u0001`.repeat(20_000) }, { role: 'user', content: 'the newest' }] });
  await t.rejects(site.client(failed).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: `break off ${SECRETS.asked}` }] }));
  for (const traceId of [unary, stream]) {
    const { attributes } = call(await site.spans(traceId));
    t.same(JSON.parse(String(attributes['gen_ai.input.messages'])), [{ role: 'system', parts: [{ type: 'text', content: 'be kind' }] }, { role: 'user', parts: [{ type: 'text', content: 'I am [EMAIL] and like tea' }] }]);
    t.same(JSON.parse(String(attributes['gen_ai.output.messages'])), [{ role: 'assistant', parts: [{ type: 'text', content: 'write to [EMAIL] today' }], finish_reason: 'stop' }]);
  }
  const cut = call(await site.spans(stopped)).attributes;
  t.match(cut['gen_ai.input.messages'], /stop the answer/);
  t.equal(cut['gen_ai.output.messages'], undefined, 'of an answer that was stopped nothing');
  t.notOk((await site.spans(blocked)).some(({ attributes }) => 'gen_ai.input.messages' in attributes), 'of a prompt that was stopped nothing');
  const [kept] = [JSON.parse(String(call(await site.spans(long)).attributes['gen_ai.input.messages'])) as { readonly parts: readonly { readonly content: string }[] }[]];
  t.equal(kept!.at(-1)!.parts[0]!.content, 'the newest');
  t.ok(kept!.flatMap(({ parts }) => parts).reduce((sum, { content }) => sum + content.length, 0) <= 8_192, 'bounded, and JSON still');
  await site.spans(failed);

  const restored = newTrace();
  const { choices } = await site.client(restored).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: `tell me of ${SECRETS.secret}` }] });
  t.equal(choices[0]!.message.content, `${SECRETS.secret} is fine`, 'the client has it back');
  const around = call(await site.spans(restored)).attributes;
  t.match(around['gen_ai.input.messages'], /tell me of ⟨PROJECT_1⟩/);
  t.equal(around['gen_ai.output.messages'], undefined, 'the trace has not');
  nothingSecret(t, site);
});

t.test('what matters is kept although it was not sampled, and bounded', async (t) => {
  const site = await openSite(t, {}, { traces: { sample_ratio: 0, keep: ['blocked', 'errors'] } });
  const ask = async (content: string): Promise<void> => void await (await fetch(`http://127.0.0.1:${site.weir.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] }) })).arrayBuffer();
  await ask('hello');
  t.match(heard(site.upstream.received[0]!), /-00$/, 'it is not sampled');
  await ask('break off');
  await ask(`say ${SECRETS.blocked}`);
  await until(() => site.collector.spans.filter(({ kind }) => kind === 2).length === 2, 20_000, 'two traces');
  const roots = site.collector.spans.filter(({ kind }) => kind === 2);
  t.same(roots.map(({ attributes }) => attributes['weir.trace.kept']).sort(), ['blocked', 'errors']);
  t.equal(heard(site.upstream.received[1]!)!.split('-')[1], roots.find(({ attributes }) => attributes['weir.trace.kept'] === 'errors')!.traceId);
  await Promise.all(Array.from({ length: 120 }, () => ask(`say ${SECRETS.blocked}`)));
  await until(() => (site.collector.metrics.get('weir_telemetry_dropped_total')?.points ?? []).some(({ attributes, value }) => attributes['reason'] === 'too_many_kept' && value! > 0), 20_000, 'that more were not kept');
  nothingSecret(t, site);
});

t.test('each edition names all that there is to name, and differently', async (t) => {
  for (const edition of SEMCONV_EDITIONS) t.same(Object.keys(CALL_METRICS[edition]).sort(), Object.values(EDITIONS[edition].metrics).sort(), edition);
  t.same(Object.keys(CALL_METRICS['v1.41']).filter((name) => name in CALL_METRICS['genai-next']), []);
  t.not(EDITIONS['v1.41'].cacheWriteTokens, EDITIONS['genai-next'].cacheWriteTokens);
});

