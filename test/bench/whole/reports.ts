/**
 * Ten million decisions of 200 tenants over 52 weeks, in SQLite and in ClickHouse: what reports and pages ask of them, over the port that all
 * engines share. Each is filled first, which takes minutes; that counts are those of the rows is checked on a sample of ClickHouse's, whose counts are made of
 * them. ClickHouse is its own engine in a process on this machine (chdb), or the server that WEIR_BENCH_CLICKHOUSE names. With --quick there are 100,000 decisions.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClickHouse } from '../../../src/store/clickhouse.ts';
import { ClickHouseDecisionStore } from '../../../src/store/clickhouse-decisions.ts';
import { countsOf } from '../../../src/store/decision-rows.ts';
import { SPAN_MS, type DecisionQuestion, type DecisionStore, type Span } from '../../../src/store/decisions.ts';
import { SqlDecisionStore } from '../../../src/store/sql-decisions.ts';
import { openSqliteDatabase } from '../../../src/store/sqlite.ts';
import { CLICKHOUSE_MISSING, startClickHouse } from '../../helpers/clickhouse.ts';
import { fillClickHouse } from '../clickhouse-fill.ts';
import { fillDecisions } from '../decisions-fill.ts';
import type { Row, Table } from '../report.ts';
import { progress, timedRow, type Effort } from '../rounds.ts';

const DAYS = 364;
const HOUR_MS = SPAN_MS.hour;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;

interface Place {
  readonly name: string;
  readonly store: DecisionStore;
  /** What it takes on disk. */
  size(): Promise<number>;
  close(): Promise<void>;
}

export async function measureReports(effort: Effort): Promise<readonly Table[]> {
  const decisions = effort.quick ? 100_000 : 10_000_000;
  const untilMs = Math.floor(Date.now() / DAY_MS) * DAY_MS;
  const tables: Table[] = [];
  for (const open of [inClickHouse, inSqlite]) {
    const began = performance.now();
    const place = await open(decisions, untilMs, effort.quick);
    if (place === undefined) continue;
    try {
      const filledS = (performance.now() - began) / 1e3;
      const rows = await timeAll(place.store, untilMs, effort.quick ? 5 : 20);
      tables.push({ title: `Reports and searches: ${place.name}, ${decisions.toLocaleString('en-US')} decisions of 200 tenants over 52 weeks, ${((await place.size()) / 1e9).toFixed(2)} GB; filled in ${filledS.toFixed(0)} s`, columns: ['question', 'p50 ms', 'p95 ms', 'max ms', 'answers', 'looked at'], rows, note: 'One after the other, each after one that is not counted. Answers: counts, or rows of a page of 50.' });
    } finally {
      await place.close();
    }
  }
  return tables;
}

async function timeAll(store: DecisionStore, untilMs: number, repeats: number): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const time = async (name: string, run: () => Promise<readonly [answers: number, looked?: number]>): Promise<void> => {
    rows.push(await timedRow(name, run, repeats));
  };
  const counts = (span: Span, forMs: number, stepMs: number, tenants?: readonly string[]) => async (): Promise<readonly [number]> => {
    const { totals } = await store.counts({ span, tenants, fromMs: untilMs - forMs, untilMs, stepMs });
    assert.ok(totals.length > 0);
    return [totals.length];
  };
  const five = ['tenant-1', 'tenant-2', 'tenant-3', 'tenant-4', 'tenant-5'];
  for (const [whose, tenants] of [['a tenant', ['tenant-3']], ['five tenants', five], ['all', undefined]] as const) {
    for (const [name, forMs, stepMs] of [['day', DAY_MS, HOUR_MS], ['week', WEEK_MS, DAY_MS], ['quarter', 13 * WEEK_MS, WEEK_MS], ['year', 52 * WEEK_MS, WEEK_MS]] as const) await time(`counts by hour, ${whose}, a ${name}`, counts('hour', forMs, stepMs, tenants));
  }
  await time('counts by minute, all, an hour', counts('minute', HOUR_MS, SPAN_MS.minute));
  await time('counts by minute, all, a day', counts('minute', DAY_MS, HOUR_MS));
  const search = (question: Partial<DecisionQuestion>) => async (): Promise<readonly [number, number]> => {
    const { rows: found, looked } = await store.search({ limit: 50, ...question });
    return [found.length, looked];
  };
  const middle = untilMs - 26 * WEEK_MS;
  const [some] = (await store.search({ limit: 1, untilMs: middle })).rows;
  assert.ok(some);
  const questions: readonly (readonly [string, Partial<DecisionQuestion>])[] = [
    ['newest', {}], ['a tenant', { tenants: ['tenant-3'] }], ['a small tenant', { tenants: ['tenant-190'] }], ['a rule', { rule: 'rule-7' }], ['a category', { category: 'pii.CATEGORY-6' }], ['an action', { action: 'escalate' }], ['a policy', { policy: 'policy-9' }], ['a tenant’s rule', { tenants: ['tenant-3'], rule: some.detail.input?.rules[0] ?? 'rule-7' }],
    ['a tenant’s category, half a year back', { tenants: ['tenant-1'], category: 'pii.CATEGORY-6', untilMs: middle }], ['a rule and a category', { rule: 'rule-12', category: 'pii.CATEGORY-0' }], ['a week of half a year ago', { untilMs: middle, sinceMs: middle - WEEK_MS }], ['a request id', { requestId: some.request_id }], ['the beginning of one', { requestId: some.request_id.slice(0, 6) }],
  ];
  for (const [name, question] of questions) await time(`search: ${name}`, search(question));
  return rows;
}

/** Undefined where there is none. */
async function inClickHouse(decisions: number, untilMs: number): Promise<Place | undefined> {
  if (CLICKHOUSE_MISSING !== false && process.env.WEIR_BENCH_CLICKHOUSE === undefined) return undefined;
  const endings: (() => unknown)[] = [];
  const url = process.env.WEIR_BENCH_CLICKHOUSE ?? (await startClickHouse({ teardown: (end: () => unknown) => void endings.push(end) } as never)).url;
  const door = new ClickHouse({ url, database: `weir_bench_${process.pid}` });
  const store = new ClickHouseDecisionStore(door);
  await fillClickHouse({ door, decisions, days: DAYS, untilMs, progress });
  await checkSample(store, untilMs);
  return {
    name: 'clickhouse', store,
    size: async () => Number((await door.query<{ readonly bytes: string }>(`select sum(bytes_on_disk) as bytes from system.parts where active and database = {name:String}`, { name: door.database.replaceAll('`', '') }))[0]!.bytes),
    close: async () => {
      await door.command(`drop database ${door.database} sync`);
      await door.close();
      for (const end of endings) await end();
    },
  };
}

/** An hour of one tenant, counted by the rows that a search finds. */
async function checkSample(store: DecisionStore, untilMs: number): Promise<void> {
  const [fromMs, tenants] = [untilMs - 100 * HOUR_MS, ['tenant-3']];
  const { rows } = await store.search({ tenants, sinceMs: fromMs, untilMs: fromMs + 24 * HOUR_MS, limit: 100_000 });
  const sums: Record<string, number> = {};
  for (const row of rows) for (const { direction, measure, name } of countsOf(row)) sums[`${direction}|${measure}|${name}`] = (sums[`${direction}|${measure}|${name}`] ?? 0) + 1;
  const { totals } = await store.counts({ span: 'hour', tenants, fromMs, untilMs: fromMs + 24 * HOUR_MS, stepMs: HOUR_MS });
  assert.deepEqual(Object.fromEntries(totals.map(({ direction, measure, name, total }) => [`${direction}|${measure}|${name}`, total])), sums);
  assert.ok(rows.length > 0);
}

async function inSqlite(decisions: number, untilMs: number, quick: boolean): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-bench-'));
  const file = join(dir, 'decisions.db');
  const database = openSqliteDatabase(file, { madeAgain: true });
  await fillDecisions({ query: database.query, kind: 'sqlite', decisions, untilMs, progress, days: DAYS, ...(quick ? { countedTenants: 6 } : {}) });
  return {
    name: 'sqlite', store: new SqlDecisionStore(database), size: async () => statSync(file).size,
    close: async () => {
      await database.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
