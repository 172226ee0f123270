/**
 * A weekly report as one table of numbers (RFC 4180, UTF-8, no byte order mark): a row for each number, with the week before
 * and, where it has one, its interval. Columns are only ever added at the end. A text that a spreadsheet would take for a
 * formula begins with an apostrophe, so that it stays a text. Pure.
 */
import type { Figure, NamedFigure } from './figures.ts';
import type { WeeklyFindings } from './findings.ts';
import type { WeeklyDocument } from './document.ts';

export type Cell = string | number | null;

/** What spreadsheets begin a formula with; after blanks too. */
const FORMULA = /^\s*[=+\-@\t\r|%]/;

/** Rows of one table, the first its head. */
export function csvText(rows: readonly (readonly Cell[])[]): string {
  return rows.map((row) => `${row.map(cellText).join(',')}\r\n`).join('');
}

function cellText(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const text = (FORMULA.test(cell) ? `'${cell}` : cell).replaceAll('\0', '\uFFFD').toWellFormed();
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const WEEKLY_COLUMNS = ['tenant', 'period', 'section', 'item', 'detail', 'unit', 'value', 'before', 'low', 'high', 'n'] as const;

interface Line {
  readonly item: string;
  readonly detail?: string | null;
  readonly unit?: string;
  readonly value: Cell;
  readonly before?: Cell;
  readonly low?: number | null;
  readonly high?: number | null;
  readonly n?: number | null;
}

export function weeklyCsv({ tenant_id: tenant, week, findings }: WeeklyDocument): string {
  const { from, until } = findings.period;
  const lines = Object.entries(sectionsOf(findings)).flatMap(([section, own]) => own.map(({ item, detail = null, unit = 'count', value, before = null, low = null, high = null, n = null }): readonly Cell[] => [tenant, week ?? `${from}/${until}`, section, item, detail, unit, value, before, low, high, n]));
  return csvText([WEEKLY_COLUMNS, ...lines]);
}

function sectionsOf(findings: WeeklyFindings): Readonly<Record<string, readonly Line[]>> {
  const { period, volume, actions, violations, rules, coverage, latency, availability, reviews, overrides, appeals, residual_risk: risk, changes } = findings;
  return {
    period: [{ item: 'from', unit: 'time', value: period.from }, { item: 'until', unit: 'time', value: period.until }, { item: 'counted_until', unit: 'time', value: period.counted_until }, { item: 'missing_hours', unit: 'hours', value: period.missing?.hours ?? 0 }],
    volume: [
      figure('exchanges', volume.exchanges), ...Object.entries(volume.decisions).map(([part, one]) => figure('decisions', one, part)), ...named('outcome', volume.outcomes), ...named('route', volume.routes), ...named('status', volume.statuses), ...named('error', volume.errors), ...named('policy', volume.policies),
      ...volume.days.flatMap(({ from, exchanges, acted_on: acted }) => [{ item: 'day', detail: from, value: exchanges }, { item: 'day_acted_on', detail: from, value: acted }]),
    ],
    actions: [
      ...named('exchange', actions.exchanges), ...Object.entries(actions.by_part).flatMap(([part, all]) => named(part, all)), ...named('acted', actions.by_category),
      ...Object.entries(actions.redacted_spans).map(([direction, one]) => figure('redacted_spans', one, direction)),
    ],
    violations: violations.flatMap(({ category, exchanges, before, share, ratio, p, finding }): readonly Line[] => [
      { item: 'exchanges', detail: category, value: exchanges, before }, { item: 'share', detail: category, unit: 'share', value: share?.value ?? null, low: share?.low ?? null, high: share?.high ?? null, n: share?.of ?? 0 },
      { item: 'ratio_to_four_weeks', detail: category, unit: 'ratio', value: ratio?.value ?? null, low: ratio?.low ?? null, high: ratio?.high ?? null }, { item: 'chance', detail: category, unit: 'probability', value: p }, { item: 'finding', detail: category, unit: 'word', value: finding },
    ]),
    rules: rules.flatMap(({ name, total, before, false_positives: rate }): readonly Line[] => [{ item: 'exchanges', detail: name, value: total, before }, ...(rate === null ? [] : [{ item: 'false_positives', detail: name, unit: 'share', value: rate.rate, low: rate.low, high: rate.high, n: rate.judged }])]),
    coverage: [
      figure('degraded', coverage.degraded), figure('partial', coverage.partial), ...coverage.unscreened.map((one) => figure(`unscreened_${one.why}`, one, one.direction)), ...coverage.unknown.map((one) => figure(`unknown_${one.part}`, one, one.name)),
    ],
    latency: latency.flatMap(({ name, n, p50_ms, p95_ms, p99_ms, before }): readonly Line[] => [
      { item: 'p50', detail: name, unit: 'ms', value: p50_ms, before: before?.p50_ms ?? null, n }, { item: 'p95', detail: name, unit: 'ms', value: p95_ms, before: before?.p95_ms ?? null, n }, { item: 'p99', detail: name, unit: 'ms', value: p99_ms, before: before?.p99_ms ?? null, n },
    ]),
    availability: [
      figure('answered', availability.answered), figure('failed', availability.failed), figure('upstream_failed', availability.upstream_failed), figure('client', availability.client),
      { item: 'availability', unit: 'share', value: availability.share, before: availability.share_before, n: availability.answered.total + availability.failed.total },
    ],
    reviews: [
      figure('opened', reviews.opened), ...reviews.opened_by.map(({ origin, severity, total }) => ({ item: 'opened_by', detail: `${origin} ${severity}`, value: total })), figure('resolved', reviews.resolved), ...named('resolution', reviews.resolutions),
      { item: 'median_time_to_resolution', unit: 'minutes', value: reviews.time_to_resolution.median_minutes, before: reviews.time_to_resolution.before.median_minutes, n: reviews.time_to_resolution.n },
      { item: 'p90_time_to_resolution', unit: 'minutes', value: reviews.time_to_resolution.p90_minutes, before: reviews.time_to_resolution.before.p90_minutes, n: reviews.time_to_resolution.n },
      figure('overdue', reviews.overdue), figure('open_at_end', reviews.open_at_end),
    ],
    false_positives: [rate('all', overrides.all, overrides.before?.rate ?? null), rate('checks_withdraw', overrides.sample.withdraw), rate('checks_reinstate', overrides.sample.reinstate)],
    appeals: [
      figure('made', appeals.made), figure('decided', appeals.decided), figure('upheld', appeals.upheld), figure('reversed', appeals.reversed), figure('to_legal', appeals.to_legal),
      { item: 'reversal_share', unit: 'share', value: appeals.reversal_share?.value ?? null, low: appeals.reversal_share?.low ?? null, high: appeals.reversal_share?.high ?? null, n: appeals.reversal_share?.of ?? 0 },
      { item: 'median_time_to_decision', unit: 'minutes', value: appeals.time_to_decision.median_minutes, n: appeals.time_to_decision.n },
    ],
    residual_risk: risk === null ? [{ item: 'not_measured', unit: 'word', value: 'no campaign covers this tenant' }] : risk.flatMap(({ campaign, so_far: all, in_period: own, claim }): readonly Line[] => [
      { item: 'rate_so_far', detail: campaign, unit: 'share', value: all.rate, low: all.interval?.low ?? null, high: all.interval?.high ?? null, n: all.labelled }, { item: 'rate_in_period', detail: campaign, unit: 'share', value: own.rate, low: own.interval?.low ?? null, high: own.interval?.high ?? null, n: own.labelled },
      ...(claim === null ? [] : [{ item: 'claim', detail: campaign, unit: 'word', value: claim.state }]),
    ]),
    changes: [
      ...changes.policies.map(({ at, policy, revision, change }) => ({ item: `policy_${change}`, detail: `${policy}@${revision}`, unit: 'time', value: at })), ...changes.models.map(({ at, plugin, change, model_id: id }) => ({ item: `model_${change}`, detail: `${plugin} ${id ?? 'shipped'}`, unit: 'time', value: at })),
      ...(changes.new_revisions ?? []).map((name) => ({ item: 'new_revision', unit: 'name', value: name })),
    ],
  };
}

function figure(item: string, { total, before }: Figure, detail: string | null = null): Line {
  return { item, detail, value: total, before };
}

function named(item: string, all: readonly NamedFigure[]): readonly Line[] {
  return all.map((one) => figure(item, one, one.name));
}

function rate(item: string, found: { readonly rate: number; readonly low: number; readonly high: number; readonly judged: number } | null, before: number | null = null): Line {
  return { item, unit: 'share', value: found?.rate ?? null, before, low: found?.low ?? null, high: found?.high ?? null, n: found?.judged ?? 0 };
}
