/**
 * How long a campaign's estimates and its report take where it has 241,000 annotations, over SQLite and Postgres: `node
 * test/bench/annotations.ts [count]`. Fills a store of its own, asks for estimates fifty times and for the report three
 * times, with the longest pause of the event loop meanwhile, and prints one JSON record. The store is removed again.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Client } from 'pg';
import { noteKey, type Signer } from '../../src/audit/checkpoint.ts';
import { shippedTaxonomy } from '../../src/config/taxonomy.ts';
import { reportPage } from '../../src/console/risk-report.ts';
import { Reports } from '../../src/report/reports.ts';
import { agreementOf } from '../../src/review/agreement.ts';
import { Overview } from '../../src/risk/overview.ts';
import { SqlAnnotationChecks } from '../../src/store/annotation-checks.ts';
import { SqlAnnotationCourse } from '../../src/store/annotation-course.ts';
import { TASK_COLUMNS } from '../../src/store/annotation-tasks.ts';
import { SqlAnnotationStore } from '../../src/store/annotations.ts';
import { insertMany } from '../../src/store/insert-many.ts';
import { SqlRiskReports } from '../../src/store/risk-reports.ts';
import { PostgresDatabase } from '../../src/store/postgres.ts';
import type { SqlValue, StoreDatabase } from '../../src/store/sql.ts';
import { openSqliteDatabase } from '../../src/store/sqlite.ts';
import { randomOf } from '../helpers/runs.ts';

const COUNT = Number(process.argv[2] ?? 241_000);
const ASKED = 50;
const REPORTS = 3;
const SERVER = process.env['WEIR_TEST_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/test';
const ANNOTATION_COLUMNS = ['annotation_id', 'task_id', 'item_id', 'annotator_id', 'batch_id', 'position', 'status', 'claimed_until', 'human_label', 'violation_category', 'confidence_tier', 'labelled_at'];
const CELL_COLUMNS = ['campaign', 'tenant_id', 'product', 'direction', 'modality', 'stratum', 'inclusion_probability', 'automated_filter_result', 'outcome', 'category', 'total'];
const CATEGORIES = ['toxicity.hate', 'toxicity.illicit', 'toxicity.violence', 'toxicity.sexual', 'pii.EMAIL', 'toxicity.harassment'];
const STRATA = [['high', 0.5], ['middle', 0.1], ['rest', 0.01]] as const;

async function fill(database: StoreDatabase): Promise<number> {
  const random = randomOf(241);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const cells = new Map<string, number>();
  const at = '2030-01-01T00:00:00.000Z';
  for (let from = 0; from < COUNT; from += 2_048) {
    const [tasks, labels]: [SqlValue[][], SqlValue[][]] = [[], []];
    for (let i = from; i < Math.min(COUNT, from + 2_048); i++) {
      const [stratum, p] = pick(STRATA);
      const label = random() < 0.01 ? 'violation' : 'safe';
      const category = label === 'violation' ? pick(CATEGORIES) : null;
      const [tenant, modality, decision, isDouble] = [`tenant-${Math.floor(random() * 20)}`, pick(['text', 'text', 'image']), pick(['passed', 'passed', 'redacted']), random() < 0.1];
      const row = { task_id: `task_${i}`, campaign: 'q', tenant_id: tenant, product: `${tenant} product`, request_id: `r${i}`, started_at: at, direction: 'output', stratum, inclusion_probability: p, automated_filter_result: decision, modality, wanted: isDouble ? 2 : 1, given: isDouble ? 2 : 1, disputed: 0, status: 'labelled', human_label: label, violation_category: category, missing_reason: null, created_at: at, settled_at: at };
      tasks.push(TASK_COLUMNS.map((name) => row[name]));
      for (let k = 0; k < (isDouble ? 2 : 1); k++) labels.push([`ann_${i}_${k}`, `task_${i}`, null, `p${(i + k) % 25}`, `b${i}`, 0, 'labelled', at, label, category, 'high', at]);
      const key = JSON.stringify(['q', tenant, `${tenant} product`, 'output', modality, stratum, p, decision, label, category ?? '']);
      cells.set(key, (cells.get(key) ?? 0) + 1);
    }
    await database.transaction(async (query) => {
      await insertMany(query, 'risk_tasks', TASK_COLUMNS, tasks);
      await insertMany(query, 'risk_annotations', ANNOTATION_COLUMNS, labels);
    });
  }
  await database.transaction((query) => insertMany(query, 'risk_cells', CELL_COLUMNS, [...cells].map(([key, total]) => [...(JSON.parse(key) as SqlValue[]), total])));
  return cells.size;
}

/** `analyze`: as a server does by itself within a minute. */
async function measure(name: string, database: StoreDatabase, analyze: () => Promise<unknown> = async () => undefined): Promise<object> {
  const filledAt = performance.now();
  const kinds = await fill(database);
  const fillMs = performance.now() - filledAt;
  await analyze();
  const overview = new Overview({ store: new SqlAnnotationStore(database), checks: new SqlAnnotationChecks(database), course: new SqlAnnotationCourse(database), now: () => new Date(), agreement: (ratings) => {
    const found = agreementOf(ratings, Math.random, 0);
    return found && { items: found.items, raters: found.raters, raw: found.raw, alpha: found.alpha ?? null };
  } });
  const times: number[] = [];
  for (let i = 0; i < ASKED; i++) {
    const startMs = performance.now();
    const status = await overview.status('q', undefined, undefined);
    times.push(performance.now() - startMs);
    if (status?.total.labelled !== COUNT) throw new Error('not all is there');
  }
  const [first] = times;
  times.sort((a, b) => a - b);
  const report = await measureReport(database);
  const quantile = (share: number): number => Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))]! * 10) / 10;
  return { store: name, annotations: COUNT, kinds, asked: ASKED, first_ms: Math.round(first! * 10) / 10, p50_ms: quantile(0.5), p95_ms: quantile(0.95), most_ms: quantile(1), report, fill_s: Math.round(fillMs / 1000) };
}

function cpuMs({ user, system }: NodeJS.CpuUsage): number {
  return Math.round((user + system) / 1_000);
}

/** The longest stretch of the event loop in time of this thread's processor: on a machine that others use too, pauses by the clock are also theirs. */
class Stretches {
  most = 0;
  #isOn = false;

  start(): void {
    this.#isOn = true;
    let before = process.threadCpuUsage();
    const look = (): void => {
      const now = process.threadCpuUsage();
      this.most = Math.max(this.most, Math.round((now.user - before.user + now.system - before.system) / 100) / 10);
      before = now;
      if (this.#isOn) setTimeout(look, 1);
    };
    look();
  }

  stop(): void {
    this.#isOn = false;
  }
}

/** Without logs: what they add is one statement and a checkpoint. */
async function measureReport(database: StoreDatabase): Promise<object> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const signer: Signer = { private: privateKey, public: noteKey('bench', Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url')) };
  const reports = new Reports({
    store: new SqlRiskReports(database), annotations: new SqlAnnotationStore(database), logs: async () => [], signer: async () => signer, configured: () => undefined, taxonomy: shippedTaxonomy(), key: randomBytes(32), software: 'bench', page: reportPage, audit: async () => undefined, now: () => new Date(Date.UTC(2031, 0, 1)),
  });
  const [times, ownCpu, allCpu]: [number[], number[], number[]] = [[], [], []];
  const pauses = monitorEventLoopDelay({ resolution: 1 });
  const watch = new Stretches();
  let bytes = 0;
  for (let i = 0; i < REPORTS; i++) {
    pauses.enable();
    watch.start();
    const [all, own] = [process.cpuUsage(), process.threadCpuUsage()];
    const startMs = performance.now();
    const made = await reports.draft('q', { from: null, until: null });
    times.push(Math.round(performance.now() - startMs));
    allCpu.push(cpuMs(process.cpuUsage(all)));
    ownCpu.push(cpuMs(process.threadCpuUsage(own)));
    watch.stop();
    pauses.disable();
    if (made?.document.findings.sample.labelled !== COUNT) throw new Error('not all is in the report');
    bytes = made.json.length;
  }
  return { made: REPORTS, ms: times, cpu_all_ms: allCpu, cpu_main_thread_ms: ownCpu, worst_stretch_cpu_ms: watch.most, worst_pause_ms: Math.round(pauses.max / 1e5) / 10, p99_pause_ms: Math.round(pauses.percentile(99) / 1e5) / 10, json_bytes: bytes };
}

const dir = mkdtempSync(join(tmpdir(), 'weir-bench-'));
const schema = `weir_${randomBytes(6).toString('hex')}`;
const [loadBefore] = loadavg();
const results: object[] = [];
try {
  const sqlite = openSqliteDatabase(join(dir, 'weir.db'));
  results.push(await measure('sqlite', sqlite));
  await sqlite.close();
  const client = new Client(SERVER);
  const isThere = await client.connect().then(() => true, () => false);
  if (isThere) {
    await client.query(`create schema ${schema}`);
    const url = new URL(SERVER);
    url.searchParams.set('options', `-c search_path=${schema}`);
    const postgres = new PostgresDatabase(url.href);
    try {
      results.push(await measure('postgres', postgres, () => client.query(`analyze ${schema}.risk_tasks, ${schema}.risk_annotations, ${schema}.risk_cells`)));
    } finally {
      await postgres.close();
      await client.query(`drop schema ${schema} cascade`);
      await client.end();
    }
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}
process.stdout.write(`${JSON.stringify({ suite: 'annotations', date: new Date().toISOString(), node: process.version, machine: { cpu: cpus()[0]!.model, cores: cpus().length, loadBefore }, results }, null, 1)}\n`);
