/**
 * Spans from the diagnostics channels, and with `metrics.ts` the only door to OpenTelemetry: one server span per
 * exchange that continues the caller's trace, one child per stage, below it one per classifier call, the upstream call as a
 * GenAI client span. Content is
 * never in them. When traces are off nothing subscribes, and the caller's `traceparent` goes upstream as it came.
 */
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Attributes, type Context, type Span, type Tracer } from '@opentelemetry/api';
import { ExportResultCode, hrTimeDuration, hrTimeToMilliseconds, W3CTraceContextPropagator, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, ParentBasedSampler, RandomIdGenerator, SimpleSpanProcessor, TracerProvider, TraceIdRatioBasedSampler, type IdGenerator, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import { CHANNELS, type ClassifierCalled, type ExchangeClosed, type ExchangeOpened, type StageEnded } from '../contract/channels.ts';
import type { DecisionRecord, ExchangeRecord } from '../contract/exchange.ts';
import { nameOf } from '../contract/names.ts';
import { CALL_SPAN, NAMES, SERVICE_NAME, STAGE_SPAN_PREFIX } from './names.ts';

export interface TraceOptions {
  readonly exporter: 'otlp' | 'console';
  /** Where OTLP/HTTP goes: the whole URL of the traces path. Absent: the OTEL_EXPORTER_OTLP_* variables decide. */
  readonly endpoint?: string;
  /** Share of traces that begin here and are recorded, 0–1. A caller's sampling decision is followed. */
  readonly sampleRatio: number;
  readonly serviceName?: string;
  readonly version: string;
  /** Takes the console exporter's lines; default stdout. */
  readonly print?: (line: string) => void;
  /** Replaces the exporter, for tests. */
  readonly spanExporter?: SpanExporter;
}

export interface Traces {
  close(): Promise<void>;
}

/** Stages an exchange may report; more would be a fault of ours and are not kept. */
const STAGES_MAX = 64;
/** Classifier calls of one exchange that get a span; a long conversation makes many. */
const CALLS_MAX = 256;
const EVALUATIONS_MAX = 64;

interface OpenExchange {
  readonly span: Span;
  readonly context: Context;
  /** The id that went upstream as the parent: the client span must bear it. */
  readonly upstreamSpanId: string;
  readonly stages: StageEnded[];
  readonly calls: ClassifierCalled[];
}

export function startTraces(options: TraceOptions): Traces {
  const ids = new PlannedIds();
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': options.serviceName ?? SERVICE_NAME, 'service.version': options.version }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    idGenerator: ids,
    spanProcessors: [spanProcessor(options)],
    spanLimits: { attributeValueLengthLimit: 256, attributeCountLimit: 64, eventCountLimit: 2 * EVALUATIONS_MAX + 2 },
  });
  const tracer = provider.getTracer(SERVICE_NAME, options.version);
  const open = new Map<string, OpenExchange>();
  const onOpened = (message: unknown): void => openSpan(tracer, ids, open, message as ExchangeOpened);
  const onStage = (message: unknown): void => keepStage(open, message as StageEnded);
  const onClosed = (message: unknown): void => closeSpan(tracer, ids, open, (message as ExchangeClosed).record);
  CHANNELS.exchangeOpened.subscribe(onOpened);
  const onCalled = (message: unknown): void => keepCall(open, message as ClassifierCalled);
  CHANNELS.stageEnded.subscribe(onStage);
  CHANNELS.classifierCalled.subscribe(onCalled);
  CHANNELS.exchangeClosed.subscribe(onClosed);
  return {
    async close() {
      CHANNELS.exchangeOpened.unsubscribe(onOpened);
      CHANNELS.stageEnded.unsubscribe(onStage);
      CHANNELS.classifierCalled.unsubscribe(onCalled);
      CHANNELS.exchangeClosed.unsubscribe(onClosed);
      // A collector that does not answer must not keep the process from ending.
      await Promise.race([provider.shutdown(), new Promise((resolve) => setTimeout(resolve, 3000).unref())]).catch(() => undefined);
    },
  };
}

function spanProcessor(options: TraceOptions): SpanProcessor {
  if (options.spanExporter !== undefined) return new SimpleSpanProcessor({ exporter: options.spanExporter });
  if (options.exporter === 'console') return new SimpleSpanProcessor({ exporter: new TreePrinter(options.print ?? ((line) => void process.stdout.write(`${line}\n`))) });
  return new BatchSpanProcessor({ exporter: new OTLPTraceExporter(options.endpoint === undefined ? {} : { url: options.endpoint }) });
}

const propagator = new W3CTraceContextPropagator();

const carrierGetter = {
  get: (carrier: ExchangeOpened, key: string) => (key === 'traceparent' ? carrier.traceparent : key === 'tracestate' ? carrier.tracestate : undefined),
  keys: () => ['traceparent', 'tracestate'],
};

const carrierSetter = {
  set(carrier: Record<string, string>, key: string, value: string) {
    carrier[key] = value;
  },
};

/** Times are `performance.now()` throughout, as in the stages: two clocks would let a child begin before its parent. */
function openSpan(tracer: Tracer, ids: PlannedIds, open: Map<string, OpenExchange>, opened: ExchangeOpened): void {
  const parent = propagator.extract(ROOT_CONTEXT, opened, carrierGetter);
  const span = tracer.startSpan(opened.method, { kind: SpanKind.SERVER, startTime: performance.now(), attributes: { [NAMES.method]: opened.method, [NAMES.requestId]: opened.requestId } }, parent);
  const upstreamSpanId = ids.reserve();
  const upstream = trace.setSpanContext(parent, { ...span.spanContext(), spanId: upstreamSpanId });
  propagator.inject(upstream, opened.propagate, carrierSetter);
  if (span.isRecording()) open.set(opened.requestId, { span, context: trace.setSpan(parent, span), upstreamSpanId, stages: [], calls: [] });
}

function keepStage(open: Map<string, OpenExchange>, stage: StageEnded): void {
  const exchange = open.get(stage.requestId);
  if (exchange !== undefined && exchange.stages.length < STAGES_MAX) exchange.stages.push(stage);
}

/** What was remembered took no time; a late answer belongs to a call that ended. */
function keepCall(open: Map<string, OpenExchange>, call: ClassifierCalled): void {
  const exchange = open.get(call.requestId);
  if (exchange !== undefined && call.outcome !== 'cached' && call.outcome !== 'late' && exchange.calls.length < CALLS_MAX) exchange.calls.push(call);
}

function closeSpan(tracer: Tracer, ids: PlannedIds, open: Map<string, OpenExchange>, record: ExchangeRecord): void {
  const exchange = open.get(record.request_id);
  if (exchange === undefined) return;
  open.delete(record.request_id);
  for (const stage of exchange.stages) {
    if (stage.stage === 'upstream') ids.plan(exchange.upstreamSpanId);
    const span = stage.stage === 'upstream' ? upstreamSpan(tracer, exchange, stage, record) : tracer.startSpan(`${STAGE_SPAN_PREFIX}${stage.stage}`, { startTime: stage.startMs, attributes: stageAttributes(stage) }, exchange.context);
    if (stage.error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    const calls = exchange.calls.filter(({ startMs }) => startMs >= stage.startMs && startMs <= stage.endMs);
    if (stage.stage !== 'upstream') addCalls(tracer, trace.setSpan(exchange.context, span), calls);
    span.end(stage.endMs);
  }
  const { span } = exchange;
  span.updateName(`${record.method} ${nameOf(record.route)}`);
  span.setAttributes(exchangeAttributes(record));
  if (record.input !== undefined) addEvaluations(span, 'input', record.input);
  if (record.output !== undefined) addEvaluations(span, 'output', record.output);
  if (record.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(performance.now());
}

/** One span for each call, below the stage in which it began. */
function addCalls(tracer: Tracer, parent: Context, calls: readonly ClassifierCalled[]): void {
  for (const { classifier, outcome, startMs, endMs } of calls) {
    const span = tracer.startSpan(CALL_SPAN, { startTime: startMs, attributes: { [NAMES.classifier]: nameOf(classifier), [NAMES.callOutcome]: outcome } }, parent);
    if (outcome !== 'ok') span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(endMs);
  }
}

function upstreamSpan(tracer: Tracer, exchange: OpenExchange, stage: StageEnded, record: ExchangeRecord): Span {
  const attributes: Attributes = { [NAMES.operation]: 'chat', [NAMES.requestStream]: record.stream, ...stageAttributes(stage) };
  if (record.model !== undefined) attributes[NAMES.requestModel] = nameOf(record.model);
  if (record.session_id !== undefined) attributes[NAMES.conversation] = nameOf(record.session_id);
  if (record.stream && record.time_to_first_byte_ms !== undefined) attributes[NAMES.timeToFirstChunk] = record.time_to_first_byte_ms / 1000;
  if (record.upstream_status !== undefined) attributes[NAMES.status] = record.upstream_status;
  if (record.outcome === 'client_left') attributes[NAMES.errorType] = 'client_left';
  const name = [attributes[NAMES.operation], attributes[NAMES.requestModel]].filter(Boolean).join(' ');
  return tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime: stage.startMs, attributes }, exchange.context);
}

function stageAttributes(stage: StageEnded): Attributes {
  const attributes: Attributes = {};
  for (const [key, value] of Object.entries(stage.attributes ?? {})) attributes[key] = typeof value === 'string' ? nameOf(value) : value;
  if (stage.error !== undefined) attributes[NAMES.errorType] = nameOf(stage.error);
  return attributes;
}

function exchangeAttributes(record: ExchangeRecord): Attributes {
  return {
    [NAMES.route]: nameOf(record.route),
    [NAMES.status]: record.status,
    [NAMES.errorType]: record.error_code,
    [NAMES.tenant]: nameOf(record.tenant_id),
    [NAMES.policy]: record.policy && nameOf(record.policy),
    [NAMES.outcome]: record.outcome,
    [NAMES.inputAction]: record.input?.action,
    [NAMES.outputAction]: record.output?.action,
    [NAMES.redactions]: (record.input?.redactions ?? 0) + (record.output?.redactions ?? 0),
    [NAMES.heldCharacters]: record.held_chars_max,
  };
}

/** One event for the decision, one per classifier and category that scored. */
function addEvaluations(span: Span, direction: string, decision: DecisionRecord): void {
  span.addEvent(NAMES.evaluationEvent, { [NAMES.evaluationName]: 'policy', [NAMES.evaluationLabel]: decision.action, [NAMES.direction]: direction });
  for (const result of decision.classifier_results.slice(0, EVALUATIONS_MAX)) {
    const attributes: Attributes = { [NAMES.evaluationName]: nameOf(result.classifier_id), [NAMES.evaluationLabel]: nameOf(result.category), [NAMES.direction]: direction };
    if (result.score !== undefined) attributes[NAMES.evaluationScore] = result.score;
    if (result.unknown !== undefined) attributes[NAMES.errorType] = result.unknown;
    span.addEvent(NAMES.evaluationEvent, attributes);
  }
}

/**
 * Span ids, some of them decided beforehand. The upstream must hear the id of the client span before that span exists,
 * because its name and attributes are known only afterwards.
 */
class PlannedIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #planned: string | undefined;

  generateTraceId(): string {
    return this.#random.generateTraceId();
  }

  generateSpanId(): string {
    const id = this.#planned ?? this.#random.generateSpanId();
    this.#planned = undefined;
    return id;
  }

  reserve(): string {
    return this.#random.generateSpanId();
  }

  /** The next span gets this id. */
  plan(id: string): void {
    this.#planned = id;
  }
}

/** Prints one line per exchange: its span and the times of its stages, with those of the classifiers asked in them. */
class TreePrinter implements SpanExporter {
  readonly #print: (line: string) => void;
  /** Children by parent span id, until the parent ends. */
  readonly #children = new Map<string, ReadableSpan[]>();

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    for (const span of spans) {
      if (span.kind === SpanKind.SERVER) this.#printTree(span);
      else this.#keep(span);
    }
    done({ code: ExportResultCode.SUCCESS });
  }

  async shutdown(): Promise<void> {
    this.#children.clear();
  }

  #keep(span: ReadableSpan): void {
    const parent = span.parentSpanContext?.spanId ?? '';
    const siblings = this.#children.get(parent);
    if (siblings === undefined) this.#children.set(parent, [span]);
    else siblings.push(span);
  }

  #printTree(span: ReadableSpan): void {
    const stages = this.#take(span).map((stage) => {
      const calls = this.#take(stage).map((call) => `${String(call.attributes[NAMES.classifier])} ${durationText(call)}`).join(', ');
      return `${stage.name.replace(STAGE_SPAN_PREFIX, '')} ${durationText(stage)}${calls === '' ? '' : ` (${calls})`}`;
    });
    this.#print(`trace ${span.spanContext().traceId} ${span.name} ${durationText(span)}${stages.length === 0 ? '' : `: ${stages.join(' · ')}`}`);
  }

  /** The spans below it, which nobody asks for again. */
  #take(span: ReadableSpan): readonly ReadableSpan[] {
    const { spanId } = span.spanContext();
    const children = this.#children.get(spanId) ?? [];
    this.#children.delete(spanId);
    return children;
  }
}

function durationText(span: ReadableSpan): string {
  return `${hrTimeToMilliseconds(hrTimeDuration(span.startTime, span.endTime)).toFixed(1)} ms`;
}
