/** The rules for Prometheus as they are written, and the metrics that an expression names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { METRICS, type MetricDefinition } from '../../src/telemetry/metrics.ts';

export const RULES_FILE = join(import.meta.dirname, '../../config/prometheus/weir-rules.yaml');

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'action', string>>;
}

export interface RecordRule {
  readonly record: string;
  readonly expr: string;
}

const { groups } = load(readFileSync(RULES_FILE, 'utf8')) as { readonly groups: readonly { readonly rules: readonly (AlertRule | RecordRule)[] }[] };
const rules = groups.flatMap((group) => group.rules);

export const ALERTS: readonly AlertRule[] = rules.filter((rule) => 'alert' in rule);
export const RECORDS: readonly RecordRule[] = rules.filter((rule) => 'record' in rule);

/** Names of series of ours: `weir_…`, with the suffixes of a histogram's parts. */
export function metricsIn(expr: string): readonly string[] {
  return [...new Set(expr.match(/\bweir_[a-z_]+\b/g) ?? [])];
}

/** Labels that an expression matches or groups by, besides those that Prometheus and histograms have by themselves. */
export function labelsIn(expr: string): readonly string[] {
  const matched = [...expr.matchAll(/[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map((match) => match[1]!);
  const grouped = [...expr.matchAll(/\b(?:by|on|without|ignoring)\s*\(([^)]*)\)/g)].flatMap((match) => match[1]!.split(',').map((label) => label.trim()));
  return [...new Set([...matched, ...grouped])].filter((label) => label !== '' && !['job', 'instance', 'le'].includes(label));
}

/** The metric of a series, whose name may end as a part of a histogram does; undefined: there is none. */
export function metricOf(series: string): MetricDefinition | undefined {
  const all: Readonly<Record<string, MetricDefinition>> = METRICS;
  const histogram = all[series.replace(/_(?:bucket|sum|count)$/, '')];
  return Object.hasOwn(all, series) && all[series]!.kind !== 'histogram' ? all[series] : histogram?.kind === 'histogram' && !Object.hasOwn(all, series) ? histogram : undefined;
}
