/**
 * Histograms and counters of what is told of exchanges and of calls of upstreams, kept here instead of in instruments, which
 * write every set of attributes as JSON for every number: an exchange makes some twenty. Numbers of one call share one set,
 * and the gaps between thousands of chunks are added as they were counted. Handed to OpenTelemetry as it collects. Bounded:
 * beyond `SERIES_MAX` sets all is one.
 */
import { ValueType, type HrTime } from '@opentelemetry/api';
import { millisToHrTime, type InstrumentationScope } from '@opentelemetry/core';
import { emptyResource } from '@opentelemetry/resources';
import { AggregationTemporality, DataPointType, type CollectionResult, type MetricData, type MetricProducer } from '@opentelemetry/sdk-metrics';

export const SERIES_MAX = 2_000;
/** What the SDK calls the one that stands for all beyond. */
export const OVERFLOW: SeriesAttributes = Object.freeze({ 'otel.metric.overflow': true });

const OVERFLOW_KEY = '\0';

export type SeriesAttributes = Readonly<Record<string, string | number | boolean>>;

export interface SeriesDefinition {
  readonly kind: 'histogram' | 'counter';
  readonly unit: string;
  readonly help: string;
  /** Upper bounds, ascending; of a histogram. */
  readonly buckets?: readonly number[];
}

interface Tally {
  readonly counts: number[];
  count: number;
  sum: number;
  min: number;
  max: number;
}

/** The numbers of one set of attributes, by name. */
export class Series {
  readonly attributes: SeriesAttributes;
  readonly #definitions: Readonly<Record<string, SeriesDefinition>>;
  readonly #tallies = new Map<string, Tally>();

  constructor(attributes: SeriesAttributes, definitions: Readonly<Record<string, SeriesDefinition>>) {
    this.attributes = attributes;
    this.#definitions = definitions;
  }

  /** Of a histogram a value, of a counter an amount. */
  add(name: string, value: number): void {
    const tally = this.#tallyOf(name);
    const bounds = this.#definitions[name]!.buckets ?? [];
    let at = 0;
    while (at < bounds.length && value > bounds[at]!) at += 1;
    tally.counts[at]! += 1;
    tally.count += 1;
    tally.sum += value;
    tally.min = Math.min(tally.min, value);
    tally.max = Math.max(tally.max, value);
  }

  /** Many values of a histogram, as they were counted by its own bounds. */
  addCounted(name: string, { counts, count, sumSeconds }: { readonly counts: readonly number[]; readonly count: number; readonly sumSeconds: number }): void {
    const tally = this.#tallyOf(name);
    for (let at = 0; at < counts.length; at += 1) tally.counts[at]! += counts[at]!;
    tally.count += count;
    tally.sum += sumSeconds;
    // The smallest and the largest of them are not known.
    [tally.min, tally.max] = [NaN, NaN];
  }

  tally(name: string): Tally | undefined {
    return this.#tallies.get(name);
  }

  #tallyOf(name: string): Tally {
    let tally = this.#tallies.get(name);
    if (tally === undefined) this.#tallies.set(name, tally = { counts: new Array<number>((this.#definitions[name]!.buckets?.length ?? 0) + 1).fill(0), count: 0, sum: 0, min: Infinity, max: -Infinity });
    return tally;
  }
}

/** All sets of attributes of some metrics. */
export class SeriesTable {
  readonly definitions: Readonly<Record<string, SeriesDefinition>>;
  readonly #seriesMax: number;
  readonly #byKey = new Map<string, Series>();
  readonly #startTime = millisToHrTime(Date.now());

  constructor(definitions: Readonly<Record<string, SeriesDefinition>>, seriesMax = SERIES_MAX) {
    this.definitions = definitions;
    this.#seriesMax = seriesMax;
  }

  /** `key` stands for the attributes, which are asked for once. */
  of(key: string, attributes: () => SeriesAttributes): Series {
    const found = this.#byKey.get(key);
    if (found !== undefined) return found;
    const isFull = this.#byKey.size >= this.#seriesMax;
    const at = isFull ? OVERFLOW_KEY : key;
    let series = this.#byKey.get(at);
    if (series === undefined) this.#byKey.set(at, series = new Series(isFull ? OVERFLOW : attributes(), this.definitions));
    return series;
  }

  collect(endTime: HrTime): MetricData[] {
    return Object.entries(this.definitions).flatMap(([name, definition]) => {
      const tallies = [...this.#byKey.values()].flatMap((series) => {
        const tally = series.tally(name);
        return tally === undefined ? [] : [{ attributes: { ...series.attributes }, tally }];
      });
      return tallies.length === 0 ? [] : [this.#metric(name, definition, tallies, endTime)];
    });
  }

  #metric(name: string, { kind, unit, help, buckets = [] }: SeriesDefinition, tallies: readonly { readonly attributes: SeriesAttributes; readonly tally: Tally }[], endTime: HrTime): MetricData {
    const descriptor = { name, description: help, unit, valueType: ValueType.DOUBLE };
    const common = { descriptor, aggregationTemporality: AggregationTemporality.CUMULATIVE };
    const point = (attributes: SeriesAttributes): { readonly attributes: SeriesAttributes; readonly startTime: HrTime; readonly endTime: HrTime } => ({ attributes, startTime: this.#startTime, endTime });
    if (kind === 'counter') return { ...common, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: tallies.map(({ attributes, tally }) => ({ ...point(attributes), value: tally.sum })) };
    return {
      ...common, dataPointType: DataPointType.HISTOGRAM,
      dataPoints: tallies.map(({ attributes, tally: { counts, count, sum, min, max } }) => ({ ...point(attributes), value: { buckets: { boundaries: [...buckets], counts: [...counts] }, count, sum, ...(Number.isFinite(min) ? { min, max } : {}) } })),
    };
  }
}

/** Hands tables to a reader; of what it returns the reader takes the metrics alone. */
export function producerOf(scope: InstrumentationScope, tables: () => readonly SeriesTable[]): MetricProducer {
  return {
    async collect(): Promise<CollectionResult> {
      const endTime = millisToHrTime(Date.now());
      return { resourceMetrics: { resource: emptyResource(), scopeMetrics: [{ scope, metrics: tables().flatMap((table) => table.collect(endTime)) }] }, errors: [] };
    },
  };
}
