/**
 * How long a campaign takes to show where it has 241,000 annotations, over SQLite and Postgres: its estimates, all that its page
 * asks for, its course where it is counted anew, and its report with the longest pause of the event loop meanwhile: `node
 * test/bench/annotations.ts [count]`. Fills a store of its own, asks twenty times, for the report three times, and prints one
 * JSON record. The store is removed again.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Client } from 'pg';
import { bindRoutes } from '../../src/admin/desk.ts';
import { Api, type PageRequest } from '../../src/admin/pages.ts';
import { RISK_COURSE_ROUTES } from '../../src/admin/risk-course.ts';
import { RISK_ROUTES, type RiskDesk } from '../../src/admin/risk.ts';
import { noteKey, type Signer } from '../../src/audit/checkpoint.ts';
import { shippedTaxonomy } from '../../src/config/taxonomy.ts';
import { RISK_CAMPAIGN_PAGE } from '../../src/console/risk-campaign.ts';
import { reportPage } from '../../src/console/risk-report.ts';
import { RISK_PAGE } from '../../src/console/risk.ts';
import { Reports } from '../../src/report/campaign/reports.ts';
import { agreementOf } from '../../src/review/agreement.ts';
import { CampaignLook } from '../../src/risk/look.ts';
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
import { campaigns } from '../helpers/campaigns.ts';
import { randomOf } from '../helpers/runs.ts';

const COUNT = Number(process.argv[2] ?? 241_000);
const ASKED = 20;
const REPORTS = 3;
const DAYS = 90;
const SERVER = process.env['WEIR_TEST_POSTGRES'] ?? 'postgres://postgres@127.0.0.1:5432/test';
const ANNOTATION_COLUMNS = ['annotation_id', 'task_id', 'item_id', 'annotator_id', 'batch_id', 'position', 'status', 'claimed_until', 'human_label', 'violation_category', 'confidence_tier', 'labelled_at'];
const CELL_COLUMNS = ['campaign', 'tenant_id', 'product', 'direction', 'modality', 'stratum', 'inclusion_probability', 'automated_filter_result', 'outcome', 'category', 'total'];
const CATEGORIES = ['toxicity.hate', 'toxicity.illicit', 'toxicity.violence', 'toxicity.sexual', 'pii.EMAIL', 'toxicity.harassment'];
const STRATA = [['high', 0.5], ['middle', 0.1], ['rest', 0.01]] as const;
const [CAMPAIGN] = campaigns({ id: 'q', strata: STRATA.map(([id, p]) => ({ id, probability_percent: 100 * p })) });

async function fill(database: StoreDatabase): Promise<number> {
  const random = randomOf(241);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
  const cells = new Map<string, number>();
  for (let from = 0; from < COUNT; from += 2_048) {
    const [tasks, labels]: [SqlValue[][], SqlValue[][]] = [[], []];
    for (let i = from; i < Math.min(COUNT, from + 2_048); i++) {
      const at = new Date(Date.UTC(2030, 0, 1) + (i / COUNT) * DAYS * 86_400_000).toISOString();
      const [stratum, p] = pick(STRATA);
      const label = random() < 0.01 ? 'violation' : 'safe';
      const category = label === 'violation' ? pick(CATEGORIES) : null;
      const [tenant, modality, decision, isDouble] = [`tenant-${Math.floor(random() * 20)}`, pick(['text', 'text', 'image']), pick(['passed', 'passed', 'redacted']), random() < 0.1];
      // As a hash: no order of time.
      const id = `task_${Math.floor(random() * 2 ** 48).toString(16)}_${i}`;
      const row = { task_id: id, campaign: 'q', tenant_id: tenant, product: `${tenant} product`, request_id: `r${i}`, started_at: at, direction: 'output', stratum, inclusion_probability: p, automated_filter_result: decision, modality, wanted: isDouble ? 2 : 1, given: isDouble ? 2 : 1, disputed: 0, status: 'labelled', human_label: label, violation_category: category, missing_reason: null, created_at: at, settled_at: at };
      tasks.push(TASK_COLUMNS.map((name) => row[name]));
      for (let k = 0; k < (isDouble ? 2 : 1); k++) labels.push([`ann_${i}_${k}`, id, null, `p${(i + k) % 25}`, `b${i}`, 0, 'labelled', at, label, category, 'high', at]);
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

interface Timed {
  readonly what: string;
  readonly asked: number;
  readonly first_ms: number;
  readonly p50_ms: number;
  readonly p95_ms: number;
  readonly most_ms: number;
  /** Of this process, for one of them; on a machine that others load it tells more than the time. */
  readonly cpu_ms: number;
}

async function timed(what: string, ask: () => Promise<unknown>, asked = ASKED): Promise<Timed> {
  const times: number[] = [];
  const before = process.cpuUsage();
  for (let i = 0; i < asked; i++) {
    const startMs = performance.now();
    await ask();
    times.push(performance.now() - startMs);
  }
  const { user, system } = process.cpuUsage(before);
  const [first] = times;
  times.sort((a, b) => a - b);
  const quantile = (share: number): number => tenths(times[Math.min(times.length - 1, Math.floor(share * times.length))]!);
  return { what, asked, first_ms: tenths(first!), p50_ms: quantile(0.5), p95_ms: quantile(0.95), most_ms: quantile(1), cpu_ms: tenths((user + system) / 1000 / asked) };
}

function tenths(ms: number): number {
  return Math.round(ms * 10) / 10;
}

/** Entries of the log are not there: what is looked for is not found, as after their retention. `analyze`: has the store look at what was filled in. */
async function measure(name: string, database: StoreDatabase, analyze?: () => Promise<unknown>): Promise<object> {
  const filledAt = performance.now();
  const kinds = await fill(database);
  const fillMs = performance.now() - filledAt;
  await analyze?.();
  const [store, checks, course, now] = [new SqlAnnotationStore(database), new SqlAnnotationChecks(database), new SqlAnnotationCourse(database), () => new Date(Date.UTC(2030, 3, 1))];
  const overview = new Overview({ store, checks, course, now, agreement: (ratings) => {
    const found = agreementOf(ratings, Math.random, 0);
    return found && { items: found.items, raters: found.raters, raw: found.raw, alpha: found.alpha ?? null };
  } });
  const look = (): CampaignLook => new CampaignLook({ course, exchangeOf: async () => undefined, now: () => new Date() });
  const desk = { store, checks, overview, look: look(), now, risk: () => ({ campaigns: [CAMPAIGN] }) } as unknown as RiskDesk;
  const api = new Api(bindRoutes([...RISK_ROUTES, ...RISK_COURSE_ROUTES], desk));
  const request = { actor: { name: 'bench', roles: ['admin', 'auditor'], tenants: [] }, names: { id: 'q' }, query: new URLSearchParams(), form: new URLSearchParams(), csrf: '', visit: {} } as unknown as PageRequest;
  const shown = async (page: typeof RISK_PAGE): Promise<void> => {
    const { status, body } = await page.run(api, request);
    if (status !== 200 || !String(body).includes(COUNT.toLocaleString('en-US'))) throw new Error('not all is there');
  };
  const [one, other] = (await overview.cells(undefined, 'q')).get('q')!.filter(({ outcome }) => outcome === 'violation').sort((x, y) => y.total - x.total);
  let moved = 0;
  // A violation more of one kind, one less of another.
  const relabel = async (): Promise<void> => {
    const by = moved++ % 2 === 0 ? 1 : -1;
    for (const [{ tenant_id, modality, stratum, automated_filter_result, category }, more] of [[one!, by], [other!, -by]] as const) {
      const changed = await database.query(`update risk_cells set total = total + $1 where campaign = 'q' and outcome = 'violation' and tenant_id = $2 and modality = $3 and stratum = $4 and automated_filter_result = $5 and category = $6 returning total`, more, tenant_id, modality, stratum, automated_filter_result, category);
      if (changed.length !== 1) throw new Error('there is no such cell');
    }
  };
  // As in a process that somebody has looked at before: the course is counted, and counted anew beside the looks.
  const known = (await overview.cells(undefined, 'q')).get('q')!;
  while ((await desk.look.course('q', known, undefined, { by: 'day' })).value === undefined);
  const results = [
    await timed('estimates, each after another label', async () => { await relabel(); if ((await overview.status('q', CAMPAIGN, undefined))?.total.labelled !== COUNT) throw new Error('not all is there'); }),
    await timed('estimates', async () => { if ((await overview.status('q', CAMPAIGN, undefined))?.total.labelled !== COUNT) throw new Error('not all is there'); }),
    await timed('page of the campaign, each after another label', async () => { await relabel(); await shown(RISK_CAMPAIGN_PAGE); }),
    await timed('page of the campaign', () => shown(RISK_CAMPAIGN_PAGE)),
    await timed('page of all campaigns', () => shown(RISK_PAGE)),
  ];
  const cells = (await overview.cells(undefined, 'q')).get('q')!;
  const fresh = look();
  const waits = await timed('course, counted anew', async () => { while ((await fresh.course('q', cells, undefined, { by: 'day' })).value === undefined); }, 1);
  const pieces: number[] = [];
  let lastMs = performance.now();
  for await (const _ of course.days('q')) {
    pieces.push(performance.now() - lastMs);
    lastMs = performance.now();
  }
  pieces.sort((a, b) => a - b);
  const report = await measureReport(database);
  return { store: name, annotations: COUNT, kinds, results: [...results, waits], pieces: { count: pieces.length, p50_ms: tenths(pieces[Math.floor(pieces.length / 2)]!), most_ms: tenths(pieces.at(-1)!) }, report, fill_s: Math.round(fillMs / 1000) };
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
      results.push(await measure('postgres', postgres, () => client.query(`analyze ${['tasks', 'annotations', 'cells'].map((table) => `${schema}.risk_${table}`).join(', ')}`))); // as its autovacuum does soon after
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
