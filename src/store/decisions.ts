/**
 * The port to what was decided: rows of closed exchanges to search, and their counts by minute and hour. Names and
 * numbers, never content. Where an audit log is indexed to, is kept with its rows.
 *
 * Guarantees: what is taken of a log counts once and in order, whoever takes it and however often; when `take` resolves, rows
 * and counts are there, so that counts are those of the rows that were ever taken and not taken back. While it runs, and after
 * it failed, SQLite and Postgres show all of a batch or nothing, and one of several that take it at once; ClickHouse, which
 * has no transactions, may show a part of it until it is taken again, and lets several take the same. A search looks at a
 * bounded number of rows, all in the order of an index, and says where it stopped. Retention removes rows and counts by themselves.
 * Rejects with WeirError store_unavailable; a batch may have been taken then. No clock: times are milliseconds since 1970.
 */
import type { ClickHousePlace } from './clickhouse.ts';
import type { DecisionPart, DecisionRow, Measure } from './decision-rows.ts';

/** A log by what it is, `name+id of the key that signed it first`, and by its name. */
export interface LogIdentity {
  readonly log: string;
  readonly name: string;
  /** It came from another Weir. Counts for as long as the store knows the log. */
  readonly shipped: boolean;
}

export interface LogPosition {
  readonly logId: number;
  readonly shipped: boolean;
  /** Entries before it are taken. */
  readonly next: number;
  /** Hash of the last of them; empty: none was, or it is not known. */
  readonly head: string;
  /** A batch did not end, and some of its entries may be there: those before `next`, of which the last had this hash. If the log has another there, they are to be taken back first. */
  readonly begun?: { readonly next: number; readonly head: string };
}

/** Newest first: the time and the id of the last that was looked at. */
export type DecisionCursor = readonly [atMs: number, decisionId: number];

export interface DecisionQuestion {
  /** Of a UUID the beginning will do. */
  readonly requestId?: string | undefined;
  /** Any of these; absent: of all. */
  readonly tenants?: readonly string[] | undefined;
  /** None of logs that are shipped here. */
  readonly ownOnly?: boolean | undefined;
  /** Name of a log. */
  readonly logName?: string | undefined;
  /** Of either direction, or afterwards. */
  readonly action?: string | undefined;
  readonly rule?: string | undefined;
  /** `classifier.category`, found with a score of 0.5 or more. */
  readonly category?: string | undefined;
  /** `id`, or `id@revision`. */
  readonly policy?: string | undefined;
  readonly sinceMs?: number | undefined;
  /** Before it. */
  readonly untilMs?: number | undefined;
  readonly before?: DecisionCursor | undefined;
  readonly limit: number;
}

export interface FoundDecision extends DecisionRow {
  /** Name of its log, and the entry's place in it. */
  readonly log: string;
  readonly index: number;
}

export interface DecisionPage {
  readonly rows: readonly FoundDecision[];
  /** Where an older one would be; undefined: these are all. */
  readonly next?: DecisionCursor | undefined;
  /** Rows that were looked at, where some of them were not as asked. */
  readonly looked: number;
}

export const SPANS = ['minute', 'hour'] as const;
export type Span = (typeof SPANS)[number];
export const SPAN_MS: Readonly<Record<Span, number>> = { minute: 60_000, hour: 3_600_000 };

export interface CountsQuestion {
  readonly span: Span;
  /** Any of these; absent: all together. */
  readonly tenants?: readonly string[] | undefined;
  readonly ownOnly?: boolean | undefined;
  /** Buckets that begin from here on, and before the other. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Width of a column of `series`, whole spans; columns begin at multiples of it from `fromMs` on. */
  readonly stepMs: number;
}

export interface Count {
  readonly direction: DecisionPart | '';
  readonly measure: Measure;
  readonly name: string;
  readonly total: number;
}

export interface Counts {
  readonly totals: readonly Count[];
  /** Exchanges by their strongest action and the beginning of their column. */
  readonly series: readonly { readonly fromMs: number; readonly action: string; readonly total: number }[];
}

/** Where they are kept. */
export type DecisionPlace = { readonly kind: 'sqlite'; readonly file: string } | { readonly kind: 'postgres'; readonly url: string } | ({ readonly kind: 'clickhouse' } & ClickHousePlace);

export interface DecisionStore {
  /** Entries that are best taken at once. */
  readonly batchEntries: number;
  /** Where the log stands; one that is new begins at 0. */
  position(log: LogIdentity): Promise<LogPosition>;
  /** Rows of the entries from `at.next` up to `next`. Undefined: somebody else took them meanwhile. */
  take(at: LogPosition, rows: readonly DecisionRow[], next: number, head: string): Promise<LogPosition | undefined>;
  /** Takes back up to so many rows of the log's newest, of entries from `index` on, with their counts, and leaves the log standing before them. Resolves to their number. */
  takeBack(at: LogPosition, index: number, head: string, limit: number): Promise<number>;
  /** Newest rows of a log below an entry: their index and mark. */
  marks(logId: number, below: number, limit: number): Promise<readonly { readonly index: number; readonly mark: number }[]>;
  search(question: DecisionQuestion): Promise<DecisionPage>;
  counts(question: CountsQuestion): Promise<Counts>;
  /** The next tenant of which there is something, or was, in the order of the store; `''` for the first. */
  tenantAfter(tenantId: string): Promise<string | undefined>;
  /** Removes rows older than that, about so many at once. Resolves to their number: to `limit`, where there may be more. ClickHouse removes all at once, by whole days. */
  drop(tenantId: string, beforeMs: number, limit: number): Promise<number>;
  /** The same of counts; the tenant `''` stands for all together. */
  dropCounts(tenantId: string, span: Span, beforeMs: number, limit: number): Promise<number>;
}

/** Rows that one search looks at, in SQL. */
export const LOOKED_MAX = 20_000;
