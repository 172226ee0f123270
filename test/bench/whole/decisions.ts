/**
 * Ten million decisions and a queue of 100,000 items, in SQLite and in Postgres: what each query of the console's pages
 * takes, and the pages themselves over HTTP from a running Weir. The store is filled first, which takes minutes; the pages
 * are checked to have rows. `WEIR_BENCH_POSTGRES` names the server, by default one on this machine; where none
 * answers it is left out. With --quick there are 100,000 decisions.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import type { DecisionQuestion } from '../../../src/store/decisions.ts';
import { PostgresDatabase } from '../../../src/store/postgres.ts';
import { SqlReviewStore } from '../../../src/store/reviews.ts';
import { SqlDecisionStore } from '../../../src/store/sql-decisions.ts';
import type { SqlQuery, StoreDatabase } from '../../../src/store/sql.ts';
import { openSqliteDatabase } from '../../../src/store/sqlite.ts';
import { sendForm, visit } from '../../helpers/console.ts';
import { ask } from '../../helpers/admin.ts';
import { fillDecisions, fillReviews } from '../decisions-fill.ts';
import type { Row, Table } from '../report.ts';
import { progress, quantiles, timedRow, type Effort } from '../rounds.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const SERVER = process.env.WEIR_BENCH_POSTGRES ?? 'postgres://postgres@127.0.0.1:5432/test';
const REVIEWS = 100_000;
const HOUR_MS = 3_600_000;

interface Place {
  readonly kind: 'sqlite' | 'postgres';
  readonly storeUrl: string;
  readonly dir: string;
  open(): Promise<{ readonly decisions: StoreDatabase; readonly reviews: StoreDatabase; readonly fill: SqlQuery; readonly fillReviews: SqlQuery }>;
  /** After it is filled: what a server does by itself. */
  settle(): Promise<string>;
  close(): Promise<void>;
}

export async function measureDecisions(effort: Effort): Promise<readonly Table[]> {
  const decisions = effort.quick ? 100_000 : 10_000_000;
  const repeats = effort.quick ? 10 : 40;
  const tables: Table[] = [];
  for (const open of [inSqlite, inPostgres]) {
    const place = await open();
    if (place === undefined) continue;
    try {
      tables.push(...(await measurePlace(place, decisions, repeats)));
    } finally {
      await place.close();
    }
  }
  return tables;
}

async function measurePlace(place: Place, decisions: number, repeats: number): Promise<readonly Table[]> {
  const untilMs = Date.now();
  const began = performance.now();
  const opened = await place.open();
  await fillDecisions({ query: opened.fill, kind: place.kind, decisions, untilMs, progress });
  await fillReviews(opened.fillReviews, REVIEWS, REVIEWS - 20_000, untilMs);
  const size = await place.settle();
  const filledS = ((performance.now() - began) / 1e3).toFixed(0);
  const queries = await timeQueries(opened, repeats, untilMs);
  await Promise.all([opened.decisions.close(), opened.reviews.close()]);
  const pages = await timePages(place, repeats);
  const about = `${place.kind}, ${(decisions / 1e6).toLocaleString('en-US')} million decisions, ${REVIEWS.toLocaleString('en-US')} review items, ${size}; filled in ${filledS} s`;
  return [
    { title: `Queries: ${about}`, columns: ['query', 'p50 ms', 'p95 ms', 'max ms', 'rows', 'looked at'], rows: queries, note: `${repeats} of each, one after the other, in the process that asks.` },
    { title: `Pages of a running Weir over HTTP: ${place.kind}`, columns: ['page', 'p50 ms', 'p95 ms', 'max ms', 'bytes'], rows: pages, note: `${repeats} of each after one that is not counted, from a login to the last byte, one after the other.` },
  ];
}

const QUESTIONS: readonly (readonly [string, Partial<DecisionQuestion>])[] = [
  ['newest', {}], ['a tenant', { tenants: ['tenant-3'] }], ['a rule', { rule: 'rule-7' }], ['a category', { category: 'pii.CATEGORY-6' }], ['an action', { action: 'escalate' }], ['allow', { action: 'allow' }], ['a policy', { policy: 'policy-9' }],
  ['a tenant’s rule', { tenants: ['tenant-3'], rule: 'rule-7' }], ['a tenant’s action', { tenants: ['tenant-3'], action: 'block' }], ['a rule and a category', { rule: 'rule-7', category: 'pii.CATEGORY-6' }], ['a policy’s rule', { policy: 'policy-9', rule: 'rule-7' }],
  ['a tenant, policy of others', { tenants: ['tenant-3'], policy: 'policy-50' }], ['five tenants, own logs', { tenants: ['tenant-1', 'tenant-2', 'tenant-3', 'tenant-4', 'tenant-5'], ownOnly: true, action: 'redact' }],
];

async function timeQueries({ decisions, reviews }: { readonly decisions: StoreDatabase; readonly reviews: StoreDatabase }, repeats: number, untilMs: number): Promise<readonly Row[]> {
  const store = new SqlDecisionStore(decisions);
  const queue = new SqlReviewStore(reviews);
  const rows: Row[] = [];
  const time = async (name: string, run: () => Promise<readonly [rows: number, looked?: number]>): Promise<void> => {
    rows.push(await timedRow(name, run, repeats));
  };
  const search = (question: Partial<DecisionQuestion>) => async (): Promise<readonly [number, number]> => {
    const { rows: found, looked } = await store.search({ limit: 50, ...question });
    return [found.length, looked];
  };
  for (const [name, question] of QUESTIONS) await time(name, search(question));
  const middle = untilMs - 45 * 24 * HOUR_MS;
  await time('a month and a half back', search({ untilMs: middle }));
  await time('a tenant’s rule, then', search({ tenants: ['tenant-3'], rule: 'rule-7', untilMs: middle, sinceMs: middle - 7 * 24 * HOUR_MS }));
  const [some] = (await store.search({ limit: 1, untilMs: middle })).rows;
  assert.ok(some);
  await time('a request id', search({ requestId: some.request_id }));
  await time('the beginning of one', search({ requestId: some.request_id.slice(0, 6) }));
  for (const [name, span, hours] of [['counts, an hour', 'minute', 1], ['counts, a day', 'hour', 24], ['counts, a week', 'hour', 168], ['counts, ninety days', 'hour', 2_160]] as const) {
    await time(name, async () => [(await store.counts({ span, fromMs: untilMs - hours * HOUR_MS, untilMs, stepMs: hours > 1 ? HOUR_MS : 60_000 })).totals.length]);
  }
  await time('counts, a tenant’s week', async () => [(await store.counts({ span: 'hour', tenants: ['tenant-3'], fromMs: untilMs - 168 * HOUR_MS, untilMs, stepMs: HOUR_MS })).totals.length]);
  for (const [name, question] of [['reviews', {}], ['reviews that wait', { statuses: ['pending'] as const }], ['reviews of a severity', { severity: 'critical' as const }], ['reviews of a tenant', { tenants: ['tenant-3'] }]] as const) await time(name, async () => [(await queue.items({ limit: 50, ...question })).length]);
  await time('how many wait', async () => [Object.values(await queue.depth()).reduce((a, b) => a + b)]);
  let claimed = 0;
  await time('the next review', async () => [(await queue.claimNext({ id: `ana-${claimed++}` }, new Date(untilMs).toISOString(), new Date(untilMs + 600_000).toISOString())) === undefined ? 0 : 1]);
  return rows;
}

const PAGES = ['/', '/?hours=1', '/?hours=168', '/?tenant=tenant-3', '/exchanges', '/exchanges?tenant=tenant-3', '/exchanges?rule=rule-7', '/exchanges?action=block&tenant=tenant-3', '/exchanges?rule=rule-7&category=pii.CATEGORY-6', '/exchanges?policy=policy-9', '/review', '/review?status=pending', '/audit', '/policies', '/tenants'];

async function timePages(place: Place, repeats: number): Promise<readonly Row[]> {
  writeFileSync(join(place.dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], telemetry: { log_level: 'error' }, store: { url: place.storeUrl } }));
  writeFileSync(join(place.dir, 'p.yaml'), 'policy: p\n');
  const child = spawn(process.execPath, [MAIN, 'start', '--json', '--config', join(place.dir, 'weir.yaml')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const { admin_url: adminUrl, admin_token: token } = await new Promise<{ readonly admin_url: string; readonly admin_token: string }>((resolve, reject) => {
      let text = '';
      child.stdout.on('data', (part: Buffer) => { text += part.toString(); if (text.trimEnd().endsWith('}')) resolve(JSON.parse(text)); });
      child.once('exit', (code) => reject(new Error(`weir ended with ${code}`)));
    });
    const { cookie } = await visit(adminUrl, token);
    assert.equal((await sendForm(adminUrl, '/login', { token })).status, 303);
    const rows: Row[] = [];
    for (const path of PAGES) {
      const samples: number[] = [];
      let bytes = 0;
      for (let i = 0; i <= repeats; i++) {
        progress(`${place.kind}: ${path}`);
        const start = performance.now();
        const { status, text } = await ask(adminUrl, path, { cookie, headers: { accept: 'text/html' } });
        if (i > 0) samples.push(performance.now() - start);
        assert.equal(status, 200, path);
        if (/^\/(?:exchanges|review|$|\?)/.test(path)) assert.match(text, /<tr data-row>/, path);
        bytes = Buffer.byteLength(text);
      }
      rows.push({ cells: [path, ...quantiles(samples), bytes] });
    }
    return rows;
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

async function inSqlite(): Promise<Place> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-bench-'));
  mkdirSync(join(dir, 'data'));
  const file = join(dir, 'data/weir-decisions.db');
  return {
    kind: 'sqlite', storeUrl: 'sqlite:weir.db', dir,
    open: async () => {
      const [decisions, reviews] = [openSqliteDatabase(file, { madeAgain: true }), openSqliteDatabase(join(dir, 'data/weir.db'))];
      return { decisions, reviews, fill: decisions.query, fillReviews: (sql, ...values) => reviews.query(sql, ...values) };
    },
    settle: async () => `${(statSync(file).size / 1e9).toFixed(1)} GB`,
    close: async () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Undefined where no server answers. */
async function inPostgres(): Promise<Place | undefined> {
  const schema = `weir_bench_${process.pid}`;
  const client = new Client({ connectionString: SERVER, connectionTimeoutMillis: 2_000 });
  try {
    await client.connect();
  } catch {
    return undefined;
  }
  await client.query(`create schema ${schema}`);
  await client.query(`set search_path = ${schema}`);
  const url = new URL(SERVER);
  url.searchParams.set('options', `-c search_path=${schema}`);
  const dir = mkdtempSync(join(tmpdir(), 'weir-bench-'));
  const fill: SqlQuery = async (sql, ...values) => (await client.query(sql, [...values])).rows;
  return {
    kind: 'postgres', storeUrl: url.href, dir,
    open: async () => {
      const database = new PostgresDatabase(url.href);
      await database.query('select 1');
      return { decisions: database, reviews: { ...database, query: database.query, transaction: (work) => database.transaction(work), close: async () => {} }, fill, fillReviews: fill };
    },
    settle: async () => {
      for (const table of ['decisions', 'decision_labels', 'decision_counts', 'review_items']) {
        progress(`postgres: vacuum ${table}`);
        await client.query(`vacuum analyze ${table}`);
      }
      const { rows: [{ bytes }] } = await client.query(`select sum(pg_total_relation_size(c.oid)) as bytes from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r'`, [schema]);
      return `${(Number(bytes) / 1e9).toFixed(1)} GB`;
    },
    close: async () => {
      await client.query(`drop schema ${schema} cascade`);
      await client.end();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
