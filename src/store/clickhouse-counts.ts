/**
 * Counts of decisions in ClickHouse: for each log and tenant, and for all tenants together, one row a minute and one an
 * hour, with all that is counted in it. It says the last entry that it counts, so a batch that comes again adds nothing, and is
 * read, added to and written whole: rows for one key follow from the log, whoever writes them. Summed over logs when asked.
 */
import { literal, type ClickHouse } from './clickhouse.ts';
import { stampOf, type Standing } from './clickhouse-standing.ts';
import { countedOf, namesOf } from './decision-counts.ts';
import { placeOf, type DecisionRow } from './decision-rows.ts';
import { SPAN_MS, SPANS, type Counts, type CountsQuestion, type Span } from './decisions.ts';

/** Of a log's part of a minute or an hour. */
interface Bucket {
  readonly span: Span;
  readonly shipped: number;
  readonly tenant_id: string;
  readonly bucket_ms: number;
}

interface Counted extends Bucket {
  readonly epoch: number;
  /** Entries from here on are not counted. */
  readonly upto: number;
  readonly counts: Readonly<Record<string, number>>;
}

/** A statement has 256 KiB. */
const BUCKETS_AT_ONCE = 1_000;
/** Of the JSON of one insert. */
const ROWS_AT_ONCE = 5_000;
const NO_COUNTS: Pick<Counted, 'epoch' | 'upto' | 'counts'> = { epoch: 0, upto: 0, counts: {} };

export class ClickHouseCounts {
  readonly #door: ClickHouse;

  constructor(door: ClickHouse) {
    this.#door = door;
  }

  /** Rows of entries from where the log stands up to `next`. */
  add(logId: number, rows: readonly DecisionRow[], { standing: { epoch, low }, next }: { readonly standing: Standing; readonly next: number }): Promise<void> {
    return this.#change(logId, rows, 1, { epoch, stamp: stampOf(epoch, 'on', next), upto: next }, (known, index) => index >= (known.epoch === epoch ? known.upto : low));
  }

  /** Rows of entries from `back.to` on, of epochs before that of `back`. What of them was not counted yet is not taken away. */
  takeAway(logId: number, rows: readonly DecisionRow[], { standing: { epoch, low }, back }: { readonly standing: Standing; readonly back: NonNullable<Standing['back']> }): Promise<void> {
    return this.#change(logId, rows, -1, { epoch: back.epoch, stamp: stampOf(back.epoch, 'back', back.to), upto: back.to }, (known, index) => index < (known.epoch >= epoch ? known.upto : low));
  }

  async read({ span, tenants = [''], ownOnly, fromMs, untilMs, stepMs }: CountsQuestion): Promise<Counts> {
    const where = `from ${this.#door.database}.decision_counts final where span = {span:String} and shipped in ${ownOnly === true ? '(0)' : '(0, 1)'} and tenant_id in {tenants:Array(String)} and bucket_ms >= {fromMs:Int64} and bucket_ms < {untilMs:Int64}`;
    const values = { span, tenants, fromMs, untilMs, stepMs };
    const [totals, series] = await Promise.all([
      this.#door.query<{ readonly name: string; readonly total: string }>(`select name, total from (select sumMap(counts) as sums ${where}) array join mapKeys(sums) as name, mapValues(sums) as total`, values),
      this.#door.query<{ readonly column: string; readonly name: string; readonly total: string }>(
        `select column, name, total from (select {fromMs:Int64} + intDiv(bucket_ms - {fromMs:Int64}, {stepMs:Int64}) * {stepMs:Int64} as column, sumMap(mapFilter((key, value) -> startsWith(key, '|action|'), counts)) as sums ${where} group by column) array join mapKeys(sums) as name, mapValues(sums) as total`, values),
    ]);
    return {
      totals: totals.filter(({ total }) => Number(total) !== 0).flatMap(({ name, total }) => countedOf(name).map((counted) => ({ ...counted, total: Number(total) }))),
      series: series.filter(({ total }) => Number(total) !== 0).map(({ column, name, total }) => ({ fromMs: Number(column), action: name.slice('|action|'.length), total: Number(total) })),
    };
  }

  async drop(tenantId: string, span: Span, beforeMs: number): Promise<number> {
    const where = 'span = {span:String} and shipped in (0, 1) and tenant_id = {tenantId:String} and bucket_ms < {beforeMs:Int64}';
    const values = { span, tenantId, beforeMs };
    const [{ found }] = await this.#door.query<{ readonly found: string }>(`select uniqExact(shipped, bucket_ms) as found from ${this.#door.database}.decision_counts where ${where}`, values) as readonly [{ readonly found: string }];
    if (Number(found) > 0) await this.#door.command(`delete from ${this.#door.database}.decision_counts where ${where}`, values);
    return Number(found);
  }

  /** `isMeant`: whether an entry is to be added to what is known of a bucket, or taken away. */
  async #change(logId: number, rows: readonly DecisionRow[], sign: 1 | -1, written: { readonly epoch: number; readonly stamp: string; readonly upto: number }, isMeant: (known: Pick<Counted, 'epoch' | 'upto'>, index: number) => boolean): Promise<void> {
    const parts = bucketsOf(rows);
    const known = await this.#known(logId, [...parts.values()].map(({ bucket }) => bucket));
    const changed = [...parts].flatMap(([key, { bucket, counted }]) => {
      const before = known.get(key) ?? NO_COUNTS;
      // Somebody was further already, or nothing was counted, or it has gone by its retention.
      if (before.epoch > written.epoch || (sign < 0 && before === NO_COUNTS)) return [];
      const sums: Record<string, number> = Object.assign(Object.create(null), before.counts);
      for (const { index, names } of counted) if (isMeant(before, index)) for (const name of names) sums[name] = (sums[name] ?? 0) + sign;
      return [{ ...bucket, ...written, log_id: logId, counts: Object.fromEntries(Object.entries(sums).filter(([, sum]) => sum !== 0)) }];
    });
    for (let at = 0; at < changed.length; at += ROWS_AT_ONCE) await this.#door.insert('decision_counts', changed.slice(at, at + ROWS_AT_ONCE));
  }

  async #known(logId: number, buckets: readonly Bucket[]): Promise<ReadonlyMap<string, Pick<Counted, 'epoch' | 'upto' | 'counts'>>> {
    const known = new Map<string, Pick<Counted, 'epoch' | 'upto' | 'counts'>>();
    for (let at = 0; at < buckets.length; at += BUCKETS_AT_ONCE) {
      const asked = buckets.slice(at, at + BUCKETS_AT_ONCE).map(({ span, shipped, tenant_id: tenant, bucket_ms: ms }) => `(${literal(span)}, ${shipped}, ${literal(tenant)}, ${ms})`).join(', ');
      const rows = await this.#door.query<Readonly<Record<Exclude<keyof Counted, 'counts'>, string | number>> & { readonly counts: Readonly<Record<string, string>> }>(
        `select span, shipped, tenant_id, bucket_ms, epoch, upto, counts from ${this.#door.database}.decision_counts final where (span, shipped, tenant_id, bucket_ms) in (${asked}) and log_id = {logId:UInt16}`, { logId },
      );
      for (const { span, shipped, tenant_id: tenant, bucket_ms: ms, epoch, upto, counts } of rows) {
        known.set(keyOf({ span: span as Span, shipped: Number(shipped), tenant_id: String(tenant), bucket_ms: Number(ms) }), { epoch: Number(epoch), upto: Number(upto), counts: Object.fromEntries(Object.entries(counts).map(([name, total]) => [name, Number(total)])) });
      }
    }
    return known;
  }
}

/** What falls into each bucket. Of a caller whom nobody knows there is no tenant. */
function bucketsOf(rows: readonly DecisionRow[]): ReadonlyMap<string, { readonly bucket: Bucket; readonly counted: { readonly index: number; readonly names: readonly string[] }[] }> {
  const buckets = new Map<string, { readonly bucket: Bucket; readonly counted: { readonly index: number; readonly names: readonly string[] }[] }>();
  for (const row of rows) {
    const one = { index: placeOf(row.decision_id).index, names: namesOf(row) };
    for (const span of SPANS) {
      for (const tenant of new Set([row.tenant_id, ''])) {
        const bucket = { span, shipped: Number(row.shipped), tenant_id: tenant, bucket_ms: Math.floor(row.at_ms / SPAN_MS[span]) * SPAN_MS[span] };
        const key = keyOf(bucket);
        const there = buckets.get(key);
        if (there === undefined) buckets.set(key, { bucket, counted: [one] });
        else there.counted.push(one);
      }
    }
  }
  return buckets;
}

function keyOf({ span, shipped, tenant_id: tenant, bucket_ms: ms }: Bucket): string {
  return `${span} ${shipped} ${ms} ${tenant}`;
}
