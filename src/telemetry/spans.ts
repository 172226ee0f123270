/**
 * Spans as finished records. All that is told of an exchange is known when it has ended, so its spans are made then, whole,
 * and nothing of OpenTelemetry runs meanwhile: an exchange that is not traced costs two random ids. Also where traces begin
 * or go on: the W3C headers. No export here.
 */
import { ROOT_CONTEXT, SamplingDecision, SpanKind, SpanStatusCode, TraceFlags, trace, type HrTime, type SpanContext } from '@opentelemetry/api';
import { hrTimeDuration, hrTimeToMilliseconds, W3CTraceContextPropagator, type InstrumentationScope } from '@opentelemetry/core';
import type { Resource } from '@opentelemetry/resources';
import { RandomIdGenerator, TraceIdRatioBasedSampler, type ReadableSpan } from '@opentelemetry/sdk-trace';
import type { ExchangeOpened } from '../contract/channels.ts';

export { SpanKind } from '@opentelemetry/api';
export type { ReadableSpan, SpanContext };

export type SpanValue = string | number | boolean | readonly string[];
/** What is undefined is left out. */
export type SpanAttributes = Readonly<Record<string, SpanValue | undefined>>;

export interface SpanEvent {
  readonly name: string;
  readonly atMs: number;
  readonly attributes: SpanAttributes;
}

export interface SpanRecord {
  readonly name: string;
  readonly kind: SpanKind;
  readonly context: SpanContext;
  readonly parent: SpanContext | undefined;
  /** `performance.now()` values. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  readonly events?: readonly SpanEvent[];
  readonly isError: boolean;
}

/** Longest string of an attribute; only texts that a tenant lets into its traces come near. */
export const ATTRIBUTE_CHARS_MAX = 65_536;

export class SpanMaker {
  readonly #resource: Resource;
  readonly #scope: InstrumentationScope;

  constructor(resource: Resource, scope: InstrumentationScope) {
    this.#resource = resource;
    this.#scope = scope;
  }

  /** `originMs`: what a `performance.now()` of 0 is in milliseconds since 1970; one for all spans of an exchange, so that they nest. */
  make({ name, kind, context, parent, startMs, endMs, attributes, events = [], isError }: SpanRecord, originMs: number): ReadableSpan {
    const [startTime, endTime] = [timeAt(originMs + startMs), timeAt(originMs + Math.max(startMs, endMs))];
    return {
      name, kind, startTime, endTime, duration: hrTimeDuration(startTime, endTime), ended: true,
      spanContext: () => context, ...(parent === undefined ? {} : { parentSpanContext: parent }),
      status: { code: isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes: present(attributes), links: [],
      events: events.map((event) => ({ name: event.name, time: timeAt(originMs + event.atMs), attributes: present(event.attributes), droppedAttributesCount: 0 })),
      resource: this.#resource, instrumentationScope: this.#scope, droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0,
    };
  }
}

export function durationMs({ duration }: ReadableSpan): number {
  return hrTimeToMilliseconds(duration);
}

function timeAt(ms: number): HrTime {
  const seconds = Math.trunc(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

function present(attributes: SpanAttributes): Record<string, string | number | boolean | string[]> {
  const out: Record<string, string | number | boolean | string[]> = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    out[name] = typeof value === 'string' ? value.slice(0, ATTRIBUTE_CHARS_MAX) : value as number | boolean | string[];
  }
  return out;
}

// Where a trace begins or goes on.

const ids = new RandomIdGenerator();
const propagator = new W3CTraceContextPropagator();
const carrierGetter = {
  get: (carrier: ExchangeOpened, key: string) => (key === 'traceparent' ? carrier.traceparent : key === 'tracestate' ? carrier.tracestate : undefined),
  keys: () => ['traceparent', 'tracestate'],
};

/** The place of one exchange in its trace. */
export interface Placed {
  readonly context: SpanContext;
  readonly parent: SpanContext | undefined;
  /** Of the call of the upstream, which hears its id before the span exists. */
  readonly upstream: SpanContext;
  readonly sampled: boolean;
}

/** A caller's decision to sample is followed; `ratio` of the traces that begin here are sampled. */
export class Placer {
  readonly #sampler: TraceIdRatioBasedSampler;

  constructor(ratio: number) {
    this.#sampler = new TraceIdRatioBasedSampler(ratio);
  }

  place(opened: ExchangeOpened): Placed {
    const parent = opened.traceparent === undefined ? undefined : trace.getSpanContext(propagator.extract(ROOT_CONTEXT, opened, carrierGetter));
    // One block of chance for all three.
    const random = randomHex();
    const traceId = parent?.traceId ?? random.slice(0, 32);
    const sampled = parent === undefined ? this.#sampler.shouldSample(ROOT_CONTEXT, traceId).decision === SamplingDecision.RECORD_AND_SAMPLED : (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
    const traceState = parent?.traceState;
    return {
      parent, sampled,
      context: { traceId, spanId: random.slice(32, 48), traceFlags: TraceFlags.SAMPLED, ...(traceState === undefined ? {} : { traceState }) },
      upstream: { traceId, spanId: random.slice(48), traceFlags: TraceFlags.SAMPLED, ...(traceState === undefined ? {} : { traceState }) },
    };
  }
}

const block = Buffer.alloc(32);

/** 64 digits; no part of them is all zeros, which would be no id. */
function randomHex(): string {
  for (let at = 0; at < block.length; at += 4) block.writeUInt32BE((Math.random() * 2 ** 32) >>> 0 || 1, at);
  return block.toString('hex');
}

/** A child in the same trace. */
export function childOf({ traceId, traceFlags, traceState }: SpanContext): SpanContext {
  return { traceId, spanId: ids.generateSpanId(), traceFlags, ...(traceState === undefined ? {} : { traceState }) };
}

/** For the upstream. A `tracestate` without a trace to go with it is not the upstream's to read: told as empty. */
export function headersOf({ upstream: { traceId, spanId, traceState }, sampled }: Placed, opened: ExchangeOpened, propagate: Record<string, string>): void {
  propagate.traceparent = `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
  if (traceState !== undefined) propagate.tracestate = traceState.serialize();
  else if (opened.tracestate !== undefined) propagate.tracestate = '';
}
