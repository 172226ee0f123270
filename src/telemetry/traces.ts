/**
 * Traces from the diagnostics channels: a server span for each exchange that continues the caller's trace, a child for each
 * stage, below it one for each classifier call, and the call of the upstream as a GenAI client span. They are made when the
 * exchange ends; until then what was told of it is only kept. Content is never in them, but for texts as they went on of a
 * tenant that asks for it. When traces are off nothing subscribes, and the caller's `traceparent` goes upstream as it came.
 */
import { CHANNELS, listen, type ClassifierCalled, type ExchangeClosed, type ExchangeOpened, type StageEnded } from '../contract/channels.ts';
import type { DecisionRecord, ExchangeRecord } from '../contract/exchange.ts';
import { faultOf } from '../contract/fault.ts';
import { nameOf } from '../contract/names.ts';
import type { Direction } from '../contract/screening.ts';
import { callAttributes } from './call-attributes.ts';
import { inputMessagesOf, instructionsOf, outputMessagesOf } from './messages.ts';
import { CALL_SPAN, EDITIONS, NAMES, SERVICE_NAME, STAGE_SPAN_PREFIX, type SemconvEdition } from './names.ts';
import { otlpSpanExporter, resourceOf, SpanQueue, type OtlpTarget, type Service, type SpanExporter, type WaitingTrace } from './otlp.ts';
import { childOf, headersOf, Placer, SpanKind, SpanMaker, type Placed, type SpanAttributes, type SpanContext, type SpanEvent, type SpanRecord } from './spans.ts';
import { TreePrinter } from './tree-printer.ts';

export const KEPT_TRACES = ['blocked', 'errors', 'slow'] as const;
export type KeptTraces = (typeof KEPT_TRACES)[number];

export interface TraceOptions extends OtlpTarget, Service {
  readonly exporter: 'otlp' | 'console';
  /** Share of traces that begin here and are recorded, 0–1. A caller's sampling decision is followed. */
  readonly sampleRatio: number;
  /** What is recorded of traces that begin here although they were not sampled; default: nothing. */
  readonly keep?: readonly KeptTraces[] | undefined;
  /** From how long on an exchange is slow. */
  readonly slowMs?: number | undefined;
  readonly edition?: SemconvEdition | undefined;
  /** Takes the console exporter's lines; default stdout. */
  readonly print?: ((line: string) => void) | undefined;
  /** Replaces the exporter, and is given the spans of each exchange as it ends. */
  readonly spanExporter?: SpanExporter | undefined;
}

export interface Traces {
  close(): Promise<void>;
}

/** Takes the trace of one exchange that has ended. */
interface SpanSink {
  add(trace: WaitingTrace): void;
  close(): Promise<void>;
}

/** Stages an exchange may report; more would be a fault of ours and are not kept. */
const STAGES_MAX = 64;
/** Classifier calls of one exchange that get a span; a long conversation makes many. */
const CALLS_MAX = 256;
const EVALUATIONS_MAX = 64;
const RULES_MAX = 32;
/** Exchanges in a second that are recorded although they were not sampled: a flood of what is blocked must not become one of spans. */
export const KEPT_PER_SECOND_MAX = 20;
const SLOW_MS = 30_000;
/** From here on a score is told as a violation, as in the metrics. */
const VIOLATION_SCORE = 0.5;

interface OpenExchange {
  readonly placed: Placed;
  readonly startMs: number;
  /** What a `performance.now()` of 0 is in milliseconds since 1970. */
  readonly originMs: number;
  readonly stages: StageEnded[];
  /** Absent until there is one. */
  calls: ClassifierCalled[] | undefined;
}

export function startTraces(options: TraceOptions): Traces {
  const tracer = new Tracer(options);
  const sink = tracer.sink;
  const unsubscribe = listen({
    exchangeOpened: (opened) => tracer.open(opened),
    stageEnded: (stage) => tracer.keepStage(stage),
    classifierCalled: (call) => tracer.keepCall(call),
    exchangeClosed: (closed) => tracer.close(closed),
  });
  return {
    async close() {
      unsubscribe();
      await sink.close();
    },
  };
}

function sinkOf(options: TraceOptions): SpanSink {
  const { spanExporter, exporter, print = (line) => void process.stdout.write(`${line}\n`) } = options;
  if (spanExporter !== undefined) return { add: (trace) => spanExporter.export([...trace.spans()], () => {}), close: () => spanExporter.shutdown() };
  if (exporter === 'otlp') return new SpanQueue(otlpSpanExporter(options));
  const printer = new TreePrinter(print);
  return { add: (trace) => printer.add(trace.spans()), close: () => printer.close() };
}

/** Keeps what is told of open exchanges, and makes spans of it. */
class Tracer {
  readonly sink: SpanSink;
  readonly #maker: SpanMaker;
  readonly #placer: Placer;
  readonly #keep: ReadonlySet<KeptTraces>;
  readonly #slowMs: number;
  readonly #edition: SemconvEdition;
  readonly #open = new Map<string, OpenExchange>();
  /** In this second. */
  #kept = { second: 0, count: 0 };

  constructor(options: TraceOptions) {
    this.sink = sinkOf(options);
    this.#maker = new SpanMaker(resourceOf(options), { name: SERVICE_NAME, version: options.version });
    this.#placer = new Placer(options.sampleRatio);
    this.#keep = new Set(options.keep);
    this.#slowMs = options.slowMs ?? SLOW_MS;
    this.#edition = options.edition ?? 'v1.41';
  }

  open(opened: ExchangeOpened): void {
    const placed = this.#placer.place(opened);
    headersOf(placed, opened, opened.propagate);
    opened.trace.traceId = placed.context.traceId;
    opened.trace.spanId = placed.context.spanId;
    opened.trace.sampled = placed.sampled;
    // What a caller did not sample is not ours to keep: the rest of its trace is nowhere.
    if (!placed.sampled && (this.#keep.size === 0 || placed.parent !== undefined)) return;
    const startMs = performance.now();
    this.#open.set(opened.requestId, { placed, startMs, originMs: opened.startedAtMs - startMs, stages: [], calls: undefined });
  }

  keepStage(stage: StageEnded): void {
    const exchange = this.#open.get(stage.requestId);
    if (exchange !== undefined && exchange.stages.length < STAGES_MAX) exchange.stages.push(stage);
  }

  /** What was remembered took no time; a late answer belongs to a call that ended. */
  keepCall(call: ClassifierCalled): void {
    if (call.outcome === 'cached' || call.outcome === 'late') return;
    const exchange = this.#open.get(call.requestId);
    if (exchange === undefined) return;
    exchange.calls ??= [];
    if (exchange.calls.length < CALLS_MAX) exchange.calls.push(call);
  }

  close({ record, texts }: ExchangeClosed): void {
    const exchange = this.#open.get(record.request_id);
    if (exchange === undefined) return;
    this.#open.delete(record.request_id);
    const kept = exchange.placed.sampled ? undefined : this.#reasonToKeep(record);
    if (!exchange.placed.sampled && kept === undefined) return;
    const count = exchange.stages.length + (exchange.calls?.length ?? 0) + 1;
    if (kept !== undefined && !this.#mayKeep(count)) return;
    this.sink.add({ count, spans: () => spansOf(exchange, record, texts, kept, this.#edition).map((span) => this.#maker.make(span, exchange.originMs)) });
  }

  #reasonToKeep(record: ExchangeRecord): KeptTraces | undefined {
    if (this.#keep.has('errors') && ['weir', 'upstream'].includes(faultOf(record))) return 'errors';
    if (this.#keep.has('blocked') && record.outcome === 'blocked') return 'blocked';
    return this.#keep.has('slow') && record.duration_ms >= this.#slowMs ? 'slow' : undefined;
  }

  #mayKeep(spans: number): boolean {
    const second = Math.floor(performance.now() / 1000);
    if (this.#kept.second !== second) this.#kept = { second, count: 0 };
    if ((this.#kept.count += 1) <= KEPT_PER_SECOND_MAX) return true;
    CHANNELS.telemetryDropped.publish({ signal: 'traces', reason: 'too_many_kept', count: spans });
    return false;
  }
}

// The spans of one exchange.

function spansOf(exchange: OpenExchange, record: ExchangeRecord, texts: ExchangeClosed['texts'], kept: KeptTraces | undefined, edition: SemconvEdition): readonly SpanRecord[] {
  const { placed: { context, parent, upstream }, stages, calls = [] } = exchange;
  const spans: SpanRecord[] = [];
  const placedStages = stages.map((stage) => ({ stage, context: stage.stage === 'upstream' ? upstream : childOf(context) }));
  const called = stages.find(({ call }) => call !== undefined);
  for (const { stage, context: own } of placedStages) {
    const isCall = stage.stage === 'upstream';
    spans.push(isCall ? upstreamSpan(stage, own, context, record, texts, edition) : stageSpan(stage, own, context));
  }
  for (const call of calls) {
    const within = placedStages.find(({ stage }) => stage.stage !== 'upstream' && call.startMs >= stage.startMs && call.startMs <= stage.endMs);
    spans.push(classifierSpan(call, within?.context ?? context));
  }
  const decidedMs = stages.find(({ stage }) => stage === 'decide_input')?.endMs ?? exchange.startMs;
  spans.push({
    name: `${record.method} ${nameOf(record.route)}`, kind: SpanKind.SERVER, context, parent, startMs: exchange.startMs, endMs: endOf(exchange, record),
    attributes: { ...exchangeAttributes(record), [NAMES.kept]: kept },
    events: [
      ...(record.input === undefined ? [] : evaluations('input', record.input, decidedMs)),
      ...(record.output === undefined || called !== undefined ? [] : evaluations('output', record.output, exchange.startMs + record.duration_ms)),
    ],
    isError: record.status >= 500 || faultOf(record) === 'weir',
  });
  return spans;
}

/** What is learnt after the fact, and its entry, come when the exchange is long over. */
function endOf({ startMs, stages }: OpenExchange, record: ExchangeRecord): number {
  const own = record.late === undefined ? stages : stages.filter(({ stage }) => stage !== 'audit');
  return own.reduce((endMs, stage) => Math.max(endMs, stage.endMs), startMs + record.duration_ms);
}

function stageSpan(stage: StageEnded, context: SpanContext, parent: SpanContext): SpanRecord {
  const attributes: Record<string, string | number | boolean | undefined> = {};
  for (const [key, value] of Object.entries(stage.attributes ?? {})) attributes[key] = typeof value === 'string' ? nameOf(value) : value;
  if (stage.error !== undefined) attributes[NAMES.errorType] = nameOf(stage.error);
  return { name: `${STAGE_SPAN_PREFIX}${stage.stage}`, kind: SpanKind.INTERNAL, context, parent, startMs: stage.startMs, endMs: stage.endMs, attributes, isError: stage.error !== undefined };
}

function classifierSpan({ classifier, outcome, startMs, endMs }: ClassifierCalled, parent: SpanContext): SpanRecord {
  const isError = outcome !== 'ok';
  return { name: CALL_SPAN, kind: SpanKind.INTERNAL, context: childOf(parent), parent, startMs, endMs, attributes: { [NAMES.classifier]: nameOf(classifier), [NAMES.callOutcome]: outcome, [NAMES.errorType]: isError ? outcome : undefined }, isError };
}

/** The call of the upstream; of a route that is handed over whole, that it was called. */
function upstreamSpan(stage: StageEnded, context: SpanContext, parent: SpanContext, record: ExchangeRecord, texts: ExchangeClosed['texts'], edition: SemconvEdition): SpanRecord {
  const { call } = stage;
  if (call === undefined) return { ...stageSpan(stage, context, parent), kind: SpanKind.CLIENT };
  const attributes: SpanAttributes = { ...callAttributes(stage, call, edition), [NAMES.conversation]: record.session_id === undefined ? undefined : nameOf(record.session_id), ...textAttributes(texts, call.dialect, call.facts?.finishReasons ?? [], edition) };
  const responseId = attributes[NAMES.responseId];
  return {
    name: [call.operation, attributes[NAMES.requestModel]].filter(Boolean).join(' '), kind: SpanKind.CLIENT, context, parent, startMs: stage.startMs, endMs: stage.endMs, attributes,
    events: record.output === undefined ? [] : evaluations('output', record.output, stage.endMs, typeof responseId === 'string' ? responseId : undefined),
    isError: attributes[NAMES.errorType] !== undefined,
  };
}

/** Dialects whose answers are made of choices. */
const CHOICES: ReadonlySet<string> = new Set(['openai-chat', 'openai-completions']);

function textAttributes(texts: ExchangeClosed['texts'], dialect: string, finishReasons: readonly string[], edition: SemconvEdition): SpanAttributes {
  if (texts === undefined) return {};
  const { input, output } = texts;
  return {
    [NAMES.systemInstructions]: input && instructionsOf(input),
    [NAMES.inputMessages]: input && inputMessagesOf(input),
    [NAMES.outputMessages]: output && outputMessagesOf(output, CHOICES.has(dialect), EDITIONS[edition].messageFinishReason ? finishReasons : undefined),
  };
}

function exchangeAttributes(record: ExchangeRecord): SpanAttributes {
  const { policy, input, output } = record;
  const at = policy?.lastIndexOf('@') ?? -1;
  return {
    [NAMES.method]: nameOf(record.method),
    [NAMES.scheme]: 'http',
    [NAMES.route]: nameOf(record.route),
    [NAMES.status]: record.status === 0 ? undefined : record.status,
    [NAMES.errorType]: record.error_code ?? (record.outcome === 'client_left' ? 'client_left' : record.status >= 500 ? String(record.status) : undefined),
    [NAMES.requestBytes]: record.request_bytes,
    [NAMES.responseBytes]: record.response_bytes,
    [NAMES.requestId]: nameOf(record.request_id),
    [NAMES.tenant]: nameOf(record.tenant_id),
    [NAMES.key]: record.key_id && nameOf(record.key_id),
    [NAMES.policyId]: policy && nameOf(at < 0 ? policy : policy.slice(0, at)),
    [NAMES.policyRevision]: policy && at >= 0 ? nameOf(policy.slice(at + 1)) : undefined,
    [NAMES.outcome]: record.outcome,
    [NAMES.inputAction]: input?.action,
    [NAMES.inputRules]: names(input?.triggered_rules),
    [NAMES.inputDegraded]: names(input?.degraded),
    [NAMES.inputCoverage]: input && coverageOf(input),
    [NAMES.outputAction]: output?.action,
    [NAMES.outputRules]: names(output?.triggered_rules),
    [NAMES.outputDegraded]: names(output?.degraded),
    [NAMES.outputCoverage]: output && coverageOf(output),
    [NAMES.lateAction]: record.late?.action,
    [NAMES.redactions]: (input?.redactions ?? 0) + (output?.redactions ?? 0),
    [NAMES.heldCharacters]: record.held_chars_max,
  };
}

function names(all: readonly string[] = []): readonly string[] | undefined {
  return all.length === 0 ? undefined : all.slice(0, RULES_MAX).map(nameOf);
}

function coverageOf({ coverage: { exempt, opaque } }: DecisionRecord): 'full' | 'partial' {
  return exempt.length === 0 && opaque.length === 0 ? 'full' : 'partial';
}

/** One event for the decision, one for each classifier and category that scored or was to. */
function evaluations(direction: Direction, decision: DecisionRecord, atMs: number, responseId?: string): readonly SpanEvent[] {
  const common = { [NAMES.direction]: direction, [NAMES.responseId]: responseId };
  const decided: SpanEvent = { name: NAMES.evaluationEvent, atMs, attributes: { [NAMES.evaluationName]: 'policy', [NAMES.evaluationLabel]: decision.action, ...common } };
  return [decided, ...decision.classifier_results.slice(0, EVALUATIONS_MAX).map(({ classifier_id: classifier, category, score, unknown }): SpanEvent => ({
    name: NAMES.evaluationEvent, atMs,
    attributes: {
      [NAMES.evaluationName]: nameOf(`${classifier}.${category}`), [NAMES.evaluationScore]: score, [NAMES.evaluationLabel]: score === undefined ? undefined : score >= VIOLATION_SCORE ? 'violation' : 'pass',
      [NAMES.errorType]: unknown, [NAMES.classifier]: nameOf(classifier), [NAMES.category]: nameOf(category), ...common,
    },
  }))];
}
