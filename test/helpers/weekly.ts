/** Weekly reports for tests: decisions planted at any time, reports made of a store, and CSV read as RFC 4180 has it. */
import type { DecisionStore } from '../../src/store/decisions.ts';
import { decisionId, type DecisionDetail, type DecisionRow } from '../../src/store/decision-rows.ts';
import { weeklyPage } from '../../src/console/weekly-report.ts';
import { WeeklyReports, type WeeklyOptions } from '../../src/report/weekly/weekly.ts';
import { SqlAnnotationCourse } from '../../src/store/annotation-course.ts';
import { SqlAnnotationStore } from '../../src/store/annotations.ts';
import { SqlReportFacts } from '../../src/store/report-facts.ts';
import type { StoreDatabase } from '../../src/store/sql.ts';
import { SqlDecisionStore } from '../../src/store/sql-decisions.ts';

/** A Monday. */
export const MONDAY_MS = Date.UTC(2030, 0, 28);
export const HOUR_MS = 3_600_000;
export const WEEK_MS = 7 * 24 * HOUR_MS;

export interface Planted extends Partial<Omit<DecisionRow, 'detail'>> {
  readonly at_ms: number;
  readonly input?: Partial<DecisionDetail>;
  readonly output?: Partial<DecisionDetail>;
}

/** As the index would write it. */
export function plantedRow({ input, output, ...row }: Planted, index: number, logId: number): DecisionRow {
  const detail = (one: Partial<DecisionDetail> | undefined): DecisionDetail | undefined => one && { action: 'allow', rules: [], found: [], unknown: [], degraded: [], latency_ms: 4, ...one };
  const [prompt, answer] = [detail(input), detail(output)];
  return {
    decision_id: decisionId(logId, index), mark: index, request_id: `r${index}`, tenant_id: 'acme', shipped: false, session_id: null, policy_id: 'p', policy_revision: '1', model: null, route: '/v1/chat/completions', outcome: 'completed', error_code: null, status: 200,
    action: prompt?.action ?? answer?.action ?? null, is_partial: false, is_degraded: false, started_ms: row.at_ms - 5, duration_ms: 100, first_byte_ms: 20, detail: { ...(prompt && { input: prompt }), ...(answer && { output: answer }) }, ...row,
  };
}

export async function plant(database: StoreDatabase, rows: readonly Planted[], log?: string): Promise<SqlDecisionStore> {
  const store = new SqlDecisionStore(database);
  await plantInto(store, rows, log);
  return store;
}

/** Into the own log of a store that is new. */
export async function plantInto(store: DecisionStore, rows: readonly Planted[], log = 'own+1'): Promise<void> {
  const at = await store.position({ log, name: log, shipped: false });
  const taken = await store.take(at, rows.map((row, i) => plantedRow(row, at.next + i, at.logId)), at.next + rows.length, 'h');
  if (taken === undefined) throw new Error('it was not taken');
}

export function tenant(id: string, more: object = {}): object {
  return { id, policy: 'p', upstream: 'u', retention: {}, data: { campaigns: false }, ...more };
}

export function reportsOver(database: StoreDatabase, { tenants = [tenant('acme')], retention = {}, nowMs = MONDAY_MS + WEEK_MS + HOUR_MS, ...more }: { readonly tenants?: readonly object[]; readonly retention?: object; readonly nowMs?: number } & Partial<WeeklyOptions> = {}): WeeklyReports {
  return new WeeklyReports({
    decisions: new SqlDecisionStore(database), facts: new SqlReportFacts(database), annotations: new SqlAnnotationStore(database), course: new SqlAnnotationCourse(database), config: () => ({ tenants, retention, risk: { campaigns: [] } }) as never,
    logs: async () => [], signer: async () => undefined, software: '1.2.3', page: weeklyPage, now: () => new Date(nowMs), ...more,
  });
}

/** Throws for what is none. */
export function readCsv(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (let at = 0; at < text.length; ) {
    const quoted = /"((?:[^"]|"")*)"(,|\r\n)/y;
    const plain = /([^",\r\n]*)(,|\r\n)/y;
    const found = [quoted, plain].map((pattern) => { pattern.lastIndex = at; return pattern.exec(text); }).find((one) => one !== null);
    if (found === undefined) throw new Error(`no cell at ${at}: ${text.slice(at, at + 40)}`);
    row.push(found[1]!.replaceAll('""', '"'));
    at += found[0].length;
    if (found[2] === '\r\n') [row] = [[], rows.push(row)];
  }
  return rows;
}
