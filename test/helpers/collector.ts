/**
 * A collector of OpenTelemetry: takes OTLP over HTTP as protobuf or JSON and reads it into plain values. The reader of
 * protobuf is our own, from the published field numbers, so that what is written is not read by who wrote it. How it answers
 * can be changed; `raw` has every byte that came, for what must never be in them.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { Test } from 'tap';

export type Value = string | number | boolean | readonly Value[] | { readonly [key: string]: Value };
export type Values = Readonly<Record<string, Value>>;

export interface CollectedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: none. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Values;
  readonly events: readonly { readonly name: string; readonly atNs: bigint; readonly attributes: Values }[];
  /** 0 unset, 2 error. */
  readonly status: number;
  readonly flags: number;
  readonly resource: Values;
}

export interface CollectedPoint {
  readonly attributes: Values;
  readonly value?: number;
  readonly count?: number;
  readonly sum?: number;
  readonly counts?: readonly number[];
  readonly bounds?: readonly number[];
}

export interface CollectedMetric {
  readonly name: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram';
  readonly points: readonly CollectedPoint[];
  readonly resource: Values;
}

export class Collector {
  readonly spans: CollectedSpan[] = [];
  /** As they were last pushed, by name. */
  readonly metrics = new Map<string, CollectedMetric>();
  readonly raw: Buffer[] = [];
  readonly types = new Set<string>();
  readonly headers: IncomingMessage['headers'][] = [];
  requests = 0;
  /** What it answers, where it is not 200. */
  status = 200;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => this.#take(request, response));
  }

  async listen(t: Test): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => this.close());
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Of one trace, or all. */
  named(name: string, traceId?: string): readonly CollectedSpan[] {
    return this.spans.filter((span) => span.name === name && (traceId === undefined || span.traceId === traceId));
  }

  text(): string {
    return Buffer.concat(this.raw).toString('latin1');
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part)).on('end', () => {
      this.requests += 1;
      this.headers.push(request.headers);
      if (this.status !== 200) return void response.writeHead(this.status, { 'content-type': 'text/plain' }).end('no');
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(Buffer.concat(parts)) : Buffer.concat(parts);
      this.raw.push(body);
      const type = request.headers['content-type'] ?? '';
      this.types.add(type);
      const isTraces = request.url!.endsWith('/v1/traces');
      const read = type === 'application/json' ? JSON.parse(body.toString()) as Fields : readMessage(body, isTraces ? 'traces' : 'metrics');
      if (isTraces) this.spans.push(...spansOf(read));
      else for (const metric of metricsOf(read)) this.metrics.set(metric.name, metric);
      response.writeHead(200, { 'content-type': type }).end(type === 'application/json' ? '{}' : '');
    });
  }
}

// Protobuf: opentelemetry-proto 1.x, the fields that are read here.

type Kind = 'string' | 'hex' | 'varint' | 'int' | 'bool' | 'fixed64' | 'fixed32' | 'double' | 'fixed64s' | 'doubles' | keyof typeof MESSAGES;
type Fields = Readonly<Record<string, any>>;

const MESSAGES: Readonly<Record<string, Readonly<Record<number, readonly [name: string, kind: string, many?: true]>>>> = {
  traces: { 1: ['resourceSpans', 'ResourceSpans', true] },
  ResourceSpans: { 1: ['resource', 'Resource'], 2: ['scopeSpans', 'ScopeSpans', true] },
  ScopeSpans: { 1: ['scope', 'Scope'], 2: ['spans', 'Span', true] },
  Resource: { 1: ['attributes', 'KeyValue', true] },
  Scope: { 1: ['name', 'string'], 2: ['version', 'string'] },
  Span: {
    1: ['traceId', 'hex'], 2: ['spanId', 'hex'], 3: ['traceState', 'string'], 4: ['parentSpanId', 'hex'], 5: ['name', 'string'], 6: ['kind', 'varint'], 7: ['startTimeUnixNano', 'fixed64'], 8: ['endTimeUnixNano', 'fixed64'],
    9: ['attributes', 'KeyValue', true], 11: ['events', 'Event', true], 15: ['status', 'Status'], 16: ['flags', 'fixed32'],
  },
  Event: { 1: ['timeUnixNano', 'fixed64'], 2: ['name', 'string'], 3: ['attributes', 'KeyValue', true] },
  Status: { 2: ['message', 'string'], 3: ['code', 'varint'] },
  KeyValue: { 1: ['key', 'string'], 2: ['value', 'AnyValue'] },
  AnyValue: { 1: ['stringValue', 'string'], 2: ['boolValue', 'bool'], 3: ['intValue', 'int'], 4: ['doubleValue', 'double'], 5: ['arrayValue', 'ArrayValue'], 6: ['kvlistValue', 'KeyValueList'] },
  ArrayValue: { 1: ['values', 'AnyValue', true] },
  KeyValueList: { 1: ['values', 'KeyValue', true] },
  metrics: { 1: ['resourceMetrics', 'ResourceMetrics', true] },
  ResourceMetrics: { 1: ['resource', 'Resource'], 2: ['scopeMetrics', 'ScopeMetrics', true] },
  ScopeMetrics: { 1: ['scope', 'Scope'], 2: ['metrics', 'Metric', true] },
  Metric: { 1: ['name', 'string'], 2: ['description', 'string'], 3: ['unit', 'string'], 5: ['gauge', 'Points'], 7: ['sum', 'Points'], 9: ['histogram', 'HistogramPoints'] },
  Points: { 1: ['dataPoints', 'Point', true], 2: ['aggregationTemporality', 'varint'], 3: ['isMonotonic', 'bool'] },
  Point: { 2: ['startTimeUnixNano', 'fixed64'], 3: ['timeUnixNano', 'fixed64'], 4: ['asDouble', 'double'], 6: ['asInt', 'fixed64'], 7: ['attributes', 'KeyValue', true] },
  HistogramPoints: { 1: ['dataPoints', 'HistogramPoint', true], 2: ['aggregationTemporality', 'varint'] },
  HistogramPoint: {
    2: ['startTimeUnixNano', 'fixed64'], 3: ['timeUnixNano', 'fixed64'], 4: ['count', 'fixed64'], 5: ['sum', 'double'], 6: ['bucketCounts', 'fixed64s'], 7: ['explicitBounds', 'doubles'], 9: ['attributes', 'KeyValue', true], 11: ['min', 'double'], 12: ['max', 'double'],
  },
};

function readMessage(bytes: Buffer, message: string): Fields {
  const out: Record<string, any> = {};
  for (let at = 0; at < bytes.length;) {
    const [tag, begins] = readVarint(bytes, at);
    const [number, wire] = [Number(tag >> 3n), Number(tag & 7n)];
    const length = wire === 2 ? readVarint(bytes, begins) : undefined;
    const from = length === undefined ? begins : length[1];
    const to = wire === 0 ? readVarint(bytes, begins)[1] : wire === 1 ? begins + 8 : wire === 5 ? begins + 4 : from + Number(length![0]);
    if (to > bytes.length || ![0, 1, 2, 5].includes(wire)) throw new Error(`no protobuf: ${message}, field ${number}, wire type ${wire}`);
    const known = MESSAGES[message]![number];
    if (known !== undefined) {
      const [name, kind, many] = known;
      const value = valueOf(bytes.subarray(from, to), kind);
      if (many === true) (out[name] ??= []).push(value);
      else out[name] = value;
    }
    at = to;
  }
  return out;
}

function readVarint(bytes: Buffer, at: number): readonly [value: bigint, next: number] {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at++]!;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return [value, at];
  }
}

function valueOf(bytes: Buffer, kind: Kind): unknown {
  switch (kind) {
    case 'string': return bytes.toString('utf8');
    case 'hex': return bytes.toString('hex');
    case 'varint': return Number(readVarint(bytes, 0)[0]);
    case 'int': return Number(BigInt.asIntN(64, readVarint(bytes, 0)[0]));
    case 'bool': return readVarint(bytes, 0)[0] !== 0n;
    case 'fixed64': return bytes.readBigUInt64LE(0);
    case 'fixed32': return bytes.readUInt32LE(0);
    case 'double': return bytes.readDoubleLE(0);
    case 'fixed64s': return Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readBigUInt64LE(i * 8));
    case 'doubles': return Array.from({ length: bytes.length / 8 }, (_, i) => bytes.readDoubleLE(i * 8));
    default: return readMessage(bytes, kind);
  }
}

// What both encodings say.

function spansOf(request: Fields): readonly CollectedSpan[] {
  return (request.resourceSpans ?? []).flatMap(({ resource = {}, scopeSpans = [] }: Fields) => scopeSpans.flatMap(({ spans = [] }: Fields) => spans.map((span: Fields): CollectedSpan => ({
    traceId: span.traceId, spanId: span.spanId, parentSpanId: span.parentSpanId ?? '', traceState: span.traceState ?? '', name: span.name, kind: span.kind, startNs: BigInt(span.startTimeUnixNano), endNs: BigInt(span.endTimeUnixNano),
    attributes: valuesOf(span.attributes), events: (span.events ?? []).map((event: Fields) => ({ name: event.name, atNs: BigInt(event.timeUnixNano), attributes: valuesOf(event.attributes) })),
    status: span.status?.code ?? 0, flags: span.flags ?? 0, resource: valuesOf(resource.attributes),
  }))));
}

function metricsOf(request: Fields): readonly CollectedMetric[] {
  return (request.resourceMetrics ?? []).flatMap(({ resource = {}, scopeMetrics = [] }: Fields) => scopeMetrics.flatMap(({ metrics = [] }: Fields) => metrics.map((metric: Fields): CollectedMetric => {
    const kind = metric.histogram !== undefined ? 'histogram' : metric.sum !== undefined ? 'sum' : 'gauge';
    return { name: metric.name, unit: metric.unit ?? '', kind, points: ((metric[kind]?.dataPoints ?? []) as readonly Fields[]).map(pointOf), resource: valuesOf(resource.attributes) };
  })));
}

function pointOf(point: Fields): CollectedPoint {
  const attributes = valuesOf(point.attributes);
  if (point.bucketCounts === undefined) return { attributes, value: Number(point.asDouble ?? point.asInt ?? 0) };
  return { attributes, count: Number(point.count), sum: point.sum, counts: point.bucketCounts.map(Number), bounds: point.explicitBounds ?? [] };
}

function valuesOf(attributes: readonly { readonly key: string; readonly value: Fields }[] = []): Values {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, anyOf(value)]));
}

function anyOf(value: Fields): Value {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(anyOf);
  if (value.kvlistValue !== undefined) return valuesOf(value.kvlistValue.values);
  if (value.intValue !== undefined) return Number(value.intValue);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? '';
}
