/**
 * The tables of decisions in ClickHouse, by versions: only ever added to, and each statement may run again.
 *
 * What is written twice is there once: a table keeps the last of what has one key. So a batch that failed and was done all the
 * same may come again, at any time and from anybody. Each insert is on disk when it is answered. How they are used is in
 * clickhouse-decisions.ts.
 */

/** The database, as it stands in a statement. */
type Statement = (database: string) => string;

const DURABLE = 'fsync_after_insert = 1, fsync_part_directory = 1';
/** Of a time in milliseconds, one of 960 months: a log that was written elsewhere may say any time. */
const MONTH = `toYYYYMM(toDateTime(least(greatest(intDiv(at_ms, 1000), 1577836800), 4102444799), 'UTC'))`;
/** Minutes serve the last eight days; see retention. */
const MINUTES_S = 9 * 86_400;

export const SCHEMA: readonly (readonly Statement[])[] = [[
  // Newest first is how all of them are read, and time is what most questions name; the rest is found in a stretch of time.
  (database) => `create table if not exists ${database}.decisions (
      decision_id UInt64 codec(Delta, ZSTD), at_ms Int64 codec(Delta, ZSTD), epoch UInt32, mark UInt64, request_key UInt64, request_id String, tenant_id LowCardinality(String), shipped UInt8, session_id Nullable(String),
      policy_id LowCardinality(String), policy_revision LowCardinality(String), model LowCardinality(Nullable(String)), route LowCardinality(String), outcome LowCardinality(String), error_code LowCardinality(Nullable(String)), status UInt16,
      action LowCardinality(Nullable(String)), is_partial UInt8, is_degraded UInt8, started_ms Int64 codec(Delta, ZSTD), duration_ms Float64, first_byte_ms Nullable(Float64), labels Array(LowCardinality(String)), detail String codec(ZSTD(3)),
      index by_id decision_id type minmax granularity 1, index by_label labels type bloom_filter(0.01) granularity 1
    ) engine = ReplacingMergeTree(epoch) partition by ${MONTH} order by (at_ms, decision_id) settings ${DURABLE}`,
  // A log's part of a tenant's hour: what its entries before `upto` bring, in one row.
  (database) => `create table if not exists ${database}.decision_counts (
      span LowCardinality(String), shipped UInt8, tenant_id String, bucket_ms Int64, log_id UInt16, stamp UInt64, epoch UInt32, upto UInt64, counts Map(LowCardinality(String), Int64)
    ) engine = ReplacingMergeTree(stamp) partition by span order by (span, shipped, tenant_id, bucket_ms, log_id) ttl ${expiry('bucket_ms', MINUTES_S)} delete where span = 'minute' settings ${DURABLE}`,
  (database) => `create table if not exists ${database}.decision_logs (log_id UInt16, kind LowCardinality(String), stamp UInt64, epoch UInt32, next UInt64, head String) engine = ReplacingMergeTree(stamp) order by (log_id, kind) settings ${DURABLE}`,
  (database) => `create table if not exists ${database}.decision_tenants (tenant_id String) engine = ReplacingMergeTree order by tenant_id settings ${DURABLE}`,
]];

/** The statement that makes the table's time to live so many days; undefined: it is that already. */
export function timeToLive(database: string, table: string, days: number | undefined): string | undefined {
  const seconds = days === undefined ? undefined : days * 86_400;
  if (seconds === undefined) return / TTL /.test(table) ? `alter table ${database}.decisions remove ttl` : undefined;
  return table.includes(`toIntervalSecond(${seconds})`) ? undefined : `alter table ${database}.decisions modify ttl ${expiry('at_ms', seconds)}`;
}

/** Seconds since 1970 are kept in 32 bits, so a late time is cut before the sum runs over. */
function expiry(column: string, seconds: number): string {
  return `toDateTime(least(intDiv(${column}, 1000), ${2 ** 32 - 1 - seconds})) + toIntervalSecond(${seconds})`;
}
