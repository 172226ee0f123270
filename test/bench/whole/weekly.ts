/**
 * Weekly reports of 200 tenants that fall due at once, in SQLite, the store that shares a thread with the proxy: how long they
 * take, and how long the thread is kept from anything else meanwhile. Ninety days of hourly counts for each tenant, and a queue
 * of 100,000 items; with --quick 20 tenants. Decisions are counted in their own thread, as in a running Weir.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { DecisionIndex } from '../../../src/audit/decision-index.ts';
import { writeReport } from '../../../src/report/weekly/folder.ts';
import { WeeklySchedule } from '../../../src/report/weekly/schedule.ts';
import { SqlWeeklyRuns } from '../../../src/store/weekly-reports.ts';
import { openSqliteDatabase } from '../../../src/store/sqlite.ts';
import { reportsOver, tenant } from '../../helpers/weekly.ts';
import { fillDecisions, fillReviews, TENANTS } from '../decisions-fill.ts';
import type { Table } from '../report.ts';
import { progress, type Effort } from '../rounds.ts';

export async function measureWeekly(effort: Effort): Promise<readonly Table[]> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-weekly-'));
  const file = join(dir, 'weir-decisions.db');
  const [names, nowMs] = [Array.from({ length: effort.quick ? 20 : TENANTS }, (_, i) => `tenant-${i}`), Date.now()];
  const [decisions, database] = [openSqliteDatabase(file, { madeAgain: true }), openSqliteDatabase(join(dir, 'weir.db'))];
  try {
    await decisions.transaction((query) => fillDecisions({ query, kind: 'sqlite', decisions: 100_000, untilMs: nowMs, progress, sliceDigits: 5, countedTenants: names.length }));
    await database.transaction((query) => fillReviews(query, effort.quick ? 10_000 : 100_000, 1_000, nowMs));
    await decisions.close();
    const index = new DecisionIndex({ store: { kind: 'sqlite', file }, own: dir, size: () => 0 });
    const reports = reportsOver(database, { tenants: names.map((id) => tenant(id)), decisions: index.queries, now: () => new Date(nowMs) });
    const told: string[] = [];
    const schedule = new WeeklySchedule({
      runs: new SqlWeeklyRuns(database), reports, owner: 'bench', now: () => new Date(nowMs), settings: () => ({ due: { day: 1, hour: 0 }, tenants: names, forms: ['html', 'json', 'csv', 'dsa'], directory: join(dir, 'reports'), isSent: false }),
      write: async (directory, { tenant_id: tenantId, week }, files) => void (await writeReport(directory, { tenantId, name: week }, files)), send: async () => undefined, tell: (_, outcome) => void told.push(outcome),
    });
    await index.queries.tenantAfter(''); // the thread is there
    const delay = monitorEventLoopDelay({ resolution: 1 });
    await pause(300);
    const [cpu, began] = [process.cpuUsage(), performance.now()];
    delay.enable();
    await schedule.look();
    delay.disable();
    const [wallMs, used] = [performance.now() - began, process.cpuUsage(cpu)];
    await schedule.close();
    await index.close();
    assert.equal(told.filter((outcome) => outcome === 'delivered').length, names.length);
    const ms = (ns: number): number => ns / 1e6;
    const figures = [wallMs / 1e3, wallMs / names.length, (used.user + used.system) / 1e3 / names.length, ms(delay.percentile(50)), ms(delay.percentile(99)), ms(delay.max)];
    return [{
      title: `Weekly reports of ${names.length} tenants at once, SQLite: all forms, written to a folder`, columns: ['', 'all, s', 'one, ms', 'CPU of one, ms', 'delay p50, ms', 'p99, ms', 'longest, ms'], rows: [{ cells: ['reports', ...figures.map((figure) => figure.toFixed(1))] }],
      note: 'Delay: of the event loop of the process, with a resolution of 1 ms; the CPU is that of all threads.',
    }];
  } finally {
    await database.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
