/**
 * Counts of decisions by minute and hour: one row for each tenant, and one for all together, with all that is counted in
 * it as JSON, so that a quiet tenant costs a row an hour and a page reads as many rows as it has hours. Added to in the
 * transaction that brings or takes back the rows that are counted.
 */
import { countsOf, MEASURES, PARTS, type Counted, type DecisionRow, type Measure } from './decision-rows.ts';
import { SPAN_MS, SPANS, type Counts, type CountsQuestion } from './decisions.ts';
import { insertMany } from './insert-many.ts';
import type { SqlQuery, SqlValue } from './sql.ts';
import { Where } from './where.ts';

const KEY = ['span', 'shipped', 'tenant_id', 'bucket_ms'] as const;
const COLUMNS = [...KEY, 'counts'] as const;
/** Gives what is there, and it is this transaction's from here on. */
const HOLD = `on conflict (${KEY.join(', ')}) do update set counts = decision_counts.counts returning ${COLUMNS.join(', ')}`;
const REPLACE = `on conflict (${KEY.join(', ')}) do update set counts = excluded.counts`;

type CountsRow = Readonly<Record<(typeof COLUMNS)[number], SqlValue>>;
type Sums = Map<string, number>;

/** With `sign` -1 they are taken away. */
export async function addCounts(query: SqlQuery, rows: readonly DecisionRow[], sign: 1 | -1): Promise<void> {
  const changes = changesOf(rows, sign);
  // All tenants together come first: whoever shares a tenant's hour shares that of all, and waits there.
  const keys = [...changes.keys()].map((text) => JSON.parse(text) as readonly [string, number, string, number]).sort(inOrder);
  const held = await insertMany<CountsRow>(query, 'decision_counts', COLUMNS, keys.map((key) => [...key, '{}']), HOLD);
  const known = new Map(held.map((row) => [keyOf(row), row.counts]));
  await insertMany(query, 'decision_counts', COLUMNS, keys.map((key) => {
    const text = JSON.stringify(key);
    return [...key, merged(String(known.get(text) ?? '{}'), changes.get(text)!)];
  }), REPLACE);
}

export async function readCounts(query: SqlQuery, { span, tenants, ownOnly, fromMs, untilMs, stepMs }: CountsQuestion): Promise<Counts> {
  const where = new Where();
  where.among('span', [span]);
  where.add(() => (ownOnly === true ? 'shipped = 0' : 'shipped in (0, 1)'));
  where.among('tenant_id', tenants ?? ['']);
  where.add((next) => `bucket_ms >= ${next(fromMs)} and bucket_ms < ${next(untilMs)}`);
  const totals: Sums = new Map();
  const series: Sums = new Map();
  for (const { bucket_ms: bucket, counts } of await query<CountsRow>(`select bucket_ms, counts from decision_counts ${where.text}`, ...where.values)) {
    const column = fromMs + Math.floor((Number(bucket) - fromMs) / stepMs) * stepMs;
    for (const [name, total] of Object.entries(JSON.parse(String(counts)) as Readonly<Record<string, number>>)) {
      add(totals, name, total);
      if (name.startsWith(ACTIONS_OF_EXCHANGES)) add(series, `${column}|${name.slice(ACTIONS_OF_EXCHANGES.length)}`, total);
    }
  }
  return {
    totals: [...totals].flatMap(([text, total]) => countedOf(text).map((counted) => ({ ...counted, total }))),
    series: [...series].map(([text, total]) => ({ fromMs: Number(text.slice(0, text.indexOf('|'))), action: text.slice(text.indexOf('|') + 1), total })),
  };
}

const ACTIONS_OF_EXCHANGES = '|action|';

/** By the key of the row of counts, what is added to it. */
function changesOf(rows: readonly DecisionRow[], sign: 1 | -1): ReadonlyMap<string, Sums> {
  const changes = new Map<string, Sums>();
  for (const row of rows) {
    const names = namesOf(row);
    for (const span of SPANS) {
      // Of a caller whom nobody knows there is no tenant.
      for (const tenant of new Set([row.tenant_id, ''])) {
        const key = JSON.stringify([span, Number(row.shipped), tenant, Math.floor(row.at_ms / SPAN_MS[span]) * SPAN_MS[span]]);
        const sums = changes.get(key) ?? new Map<string, number>();
        changes.set(key, sums);
        for (const name of names) add(sums, name, sign);
      }
    }
  }
  return changes;
}

function merged(counts: string, changes: Sums): string {
  const sums: Sums = new Map(Object.entries(JSON.parse(counts) as Readonly<Record<string, number>>));
  for (const [name, change] of changes) add(sums, name, change);
  return JSON.stringify(Object.fromEntries([...sums].filter(([, total]) => total !== 0)));
}

function add(sums: Sums, name: string, change: number): void {
  sums.set(name, (sums.get(name) ?? 0) + change);
}

function inOrder(a: readonly [string, number, string, number], b: readonly [string, number, string, number]): number {
  const [left, right] = [a, b].map(([span, shipped, tenant, bucket]) => [tenant === '' ? 0 : 1, tenant, span, shipped, bucket] as const);
  const at = left!.findIndex((part, i) => part !== right![i]);
  return at < 0 ? 0 : left![at]! < right![at]! ? -1 : 1;
}

function keyOf(row: CountsRow): string {
  return JSON.stringify([row.span, Number(row.shipped), row.tenant_id, Number(row.bucket_ms)]);
}

/** All that a row counts for, as counts are called. */
export function namesOf(row: DecisionRow): readonly string[] {
  return countsOf(row).map(({ direction, measure, name }) => `${direction}|${measure}|${name}`);
}

/** A name may hold what stands between the parts. */
export function countedOf(text: string): readonly Counted[] {
  const [direction, measure] = text.split('|', 2);
  const isKnown = (direction === '' || PARTS.some((part) => part === direction)) && MEASURES.some((one) => one === measure);
  return isKnown ? [{ direction: direction as Counted['direction'], measure: measure as Measure, name: text.slice(direction!.length + measure!.length + 2) }] : [];
}
