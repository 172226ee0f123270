/**
 * Where spans and metrics go over OTLP/HTTP, as protobuf or JSON, and who says they come from. Guarantees: at most
 * `SPANS_WAITING_MAX` spans wait and one batch is under way, whatever the collector does; what does not go out is counted
 * and told, never thrown; closing takes no longer than its deadline. What the configuration leaves open, the
 * OTEL_EXPORTER_OTLP_* variables decide.
 */
import { randomUUID } from 'node:crypto';
import type { Agent } from 'node:http';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import { OTLPMetricExporterBase } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPExporterBase } from '@opentelemetry/otlp-exporter-base';
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http';
import { JsonMetricsSerializer, JsonTraceSerializer, MetricsExporterMetricsHelper, ProtobufMetricsSerializer, ProtobufTraceSerializer, TraceExporterMetricsHelper } from '@opentelemetry/otlp-transformer';
import { envDetector, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import type { PushMetricExporter, ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { CHANNELS, type TELEMETRY_SIGNALS } from '../contract/channels.ts';
import { SERVICE_NAME } from './names.ts';

export type { ReadableSpan, SpanExporter };

export const OTLP_ENCODINGS = ['protobuf', 'json'] as const;
export type OtlpEncoding = (typeof OTLP_ENCODINGS)[number];

export interface OtlpTarget {
  /** The whole URL of the signal's path. Absent: the OTEL_EXPORTER_OTLP_* variables decide. */
  readonly endpoint?: string | undefined;
  /** Absent: OTEL_EXPORTER_OTLP_PROTOCOL decides, and else protobuf. */
  readonly encoding?: OtlpEncoding | undefined;
}

export interface Service {
  /** Absent: OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES decide, and else `weir`. */
  readonly serviceName?: string | undefined;
  readonly version: string;
}

/** The same for all signals of a process. */
const INSTANCE_ID = randomUUID();

export function resourceOf({ serviceName, version }: Service): Resource {
  return resourceFromAttributes({
    'service.name': SERVICE_NAME, 'service.instance.id': INSTANCE_ID, 'service.version': version,
    ...envDetector.detect().attributes,
    ...(serviceName === undefined ? {} : { 'service.name': serviceName }),
  });
}

export function otlpSpanExporter(target: OtlpTarget): SpanExporter {
  const json = encodingOf(target, 'TRACES') === 'json';
  const { options, abandon } = abandonable(settings(target, 'TRACES', 'v1/traces', json));
  const exporter = new OTLPExporterBase<ReadableSpan[]>(createOtlpHttpExportDelegate(options, json ? JsonTraceSerializer : ProtobufTraceSerializer, 'otlp_http_span_exporter', TraceExporterMetricsHelper, undefined));
  return {
    export: (spans, done) => exporter.export(spans, done),
    shutdown: () => {
      abandon();
      return exporter.shutdown();
    },
  };
}

export interface OtlpMetricExporter extends PushMetricExporter {
  /** What is under way fails now, and nothing goes out any more. */
  abandon(): void;
}

export function otlpMetricExporter(target: OtlpTarget): OtlpMetricExporter {
  const json = encodingOf(target, 'METRICS') === 'json';
  const { options, abandon } = abandonable(settings(target, 'METRICS', 'v1/metrics', json));
  const exporter = new OTLPMetricExporterBase(createOtlpHttpExportDelegate(options, json ? JsonMetricsSerializer : ProtobufMetricsSerializer, 'otlp_http_metric_exporter', MetricsExporterMetricsHelper, undefined));
  const health = new ExportHealth('metrics');
  const send = exporter.export.bind(exporter);
  exporter.export = (metrics: ResourceMetrics, done: (result: ExportResult) => void) => send(metrics, (result) => {
    health.note(result.code === ExportResultCode.SUCCESS, 1);
    done(result);
  });
  return Object.assign(exporter, { abandon });
}

type HttpSettings = ReturnType<typeof convertLegacyHttpOptions>;

/** A request that a frozen collector never answers would keep the process for as long as an export may take, and be tried again. */
function abandonable(options: HttpSettings): { readonly options: HttpSettings; abandon(): void } {
  const agents: Agent[] = [];
  const agentFactory: HttpSettings['agentFactory'] = async (protocol) => {
    const agent = await options.agentFactory(protocol);
    agents.push(agent);
    return agent;
  };
  return {
    options: { ...options, agentFactory },
    abandon() {
      for (const agent of agents) {
        agent.createConnection = () => { throw new Error('telemetry is closed'); };
        agent.destroy();
      }
    },
  };
}

function settings({ endpoint }: OtlpTarget, signal: string, path: string, json: boolean): HttpSettings {
  return convertLegacyHttpOptions(endpoint === undefined ? {} : { url: endpoint }, signal, path, { 'Content-Type': json ? 'application/json' : 'application/x-protobuf' });
}

function encodingOf({ encoding }: OtlpTarget, signal: string): OtlpEncoding {
  if (encoding !== undefined) return encoding;
  const { [`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`]: own, OTEL_EXPORTER_OTLP_PROTOCOL: general } = process.env;
  return (own ?? general) === 'http/json' ? 'json' : 'protobuf';
}

/** Tells once that nobody takes a signal, and once that somebody does again; counts what was lost. */
class ExportHealth {
  readonly #signal: (typeof TELEMETRY_SIGNALS)[number];
  #isWell = true;

  constructor(signal: (typeof TELEMETRY_SIGNALS)[number]) {
    this.#signal = signal;
  }

  note(taken: boolean, count: number): void {
    if (!taken) CHANNELS.telemetryDropped.publish({ signal: this.#signal, reason: 'export_failed', count });
    if (taken === this.#isWell) return;
    this.#isWell = taken;
    CHANNELS.healthChanged.publish({ part: `export of ${this.#signal}`, healthy: taken, detail: taken ? `the collector takes ${this.#signal} again` : `the collector takes no ${this.#signal}; what it does not take is lost` });
  }
}

export const SPANS_WAITING_MAX = 4_096;
/** Writing a batch must not be felt by the traffic beside it. */
const BATCH_MAX = 256;
const BATCH_WAIT_MS = 1_000;
const CLOSE_MS = 2_500;

/** What waits to go out of one exchange. Its spans are made when they go: what lives short is cheap to clear away. */
export interface WaitingTrace {
  /** Number of its spans. */
  readonly count: number;
  spans(): readonly ReadableSpan[];
}

/** The traces that wait to go out, each whole or dropped whole. */
export class SpanQueue {
  readonly #exporter: SpanExporter;
  readonly #waitingMax: number;
  readonly #health = new ExportHealth('traces');
  #waiting: WaitingTrace[] = [];
  /** Their spans. */
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Resolves when the batch under way has an end. */
  #sending: Promise<void> | undefined;
  #closed = false;

  constructor(exporter: SpanExporter, waitingMax = SPANS_WAITING_MAX) {
    this.#exporter = exporter;
    this.#waitingMax = waitingMax;
  }

  add(trace: WaitingTrace): void {
    if (this.#closed) return;
    if (this.#count + trace.count > this.#waitingMax) return CHANNELS.telemetryDropped.publish({ signal: 'traces', reason: 'queue_full', count: trace.count });
    this.#waiting.push(trace);
    this.#count += trace.count;
    if (this.#sending === undefined) this.#schedule();
  }

  /** What waits goes out, within the deadline. */
  async close(): Promise<void> {
    this.#closed = true;
    const deadline = new Promise<'late'>((resolve) => { setTimeout(() => resolve('late'), CLOSE_MS).unref(); });
    while (this.#sending !== undefined || this.#waiting.length > 0) {
      if (this.#sending === undefined) this.#send();
      if (await Promise.race([this.#sending, deadline]) === 'late') break;
    }
    if (this.#waiting.length > 0) CHANNELS.telemetryDropped.publish({ signal: 'traces', reason: 'export_failed', count: this.#count });
    this.#waiting = [];
    await Promise.race([this.#exporter.shutdown().catch(() => undefined), deadline]);
  }

  #schedule(): void {
    if (this.#count >= BATCH_MAX) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), BATCH_WAIT_MS).unref();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#take();
    this.#sending = new Promise<boolean>((resolve) => this.#exporter.export(batch, ({ code }) => resolve(code === ExportResultCode.SUCCESS)))
      .catch(() => false)
      .then((taken) => {
        this.#sending = undefined;
        this.#health.note(taken, batch.length);
        if (!this.#closed && this.#waiting.length > 0) this.#schedule();
      });
  }

  /** Whole traces, until they make a batch. */
  #take(): ReadableSpan[] {
    const batch: ReadableSpan[] = [];
    let taken = 0;
    while (taken < this.#waiting.length && batch.length < BATCH_MAX) {
      const trace = this.#waiting[taken++]!;
      this.#count -= trace.count;
      batch.push(...trace.spans());
    }
    this.#waiting.splice(0, taken);
    return batch;
  }
}
