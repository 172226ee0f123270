/**
 * ClickHouse away for ten minutes under load: `node test/bench/clickhouse-down.ts [MINUTES] [REQUESTS_PER_SECOND]`. A Weir process, its engine
 * killed for half of the time and frozen for the other half, and requests at a steady rate all the while. Tells what answers took before and meanwhile,
 * how much waited, how long it took to come, and whether in the end each entry is there once and is counted. Ends with 1 where not.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ClickHouse } from '../../src/store/clickhouse.ts';
import { startClickHouse } from '../helpers/clickhouse.ts';
import { startWeir } from '../helpers/process.ts';
import { quantiles } from './rounds.ts';

const [minutes = 10, perSecond = 20] = process.argv.slice(2).map(Number);
const WARM_S = 15;
const endings: (() => unknown)[] = [];
const t = { teardown: (end: () => unknown) => void endings.unshift(end) } as unknown as Parameters<typeof startWeir>[0];

interface Phase {
  readonly name: string;
  readonly ms: number[];
  failed: number;
}

const phases: Phase[] = [];
const begin = (name: string): void => void phases.push({ name, ms: [], failed: 0 });
let isOver = false;
let sent = 0;

async function load(port: number): Promise<void> {
  const open = new Set<Promise<void>>();
  for (const start = performance.now(); !isOver; await pause(Math.max(0, start + (sent * 1e3) / perSecond - performance.now()))) {
    const one = chat(port, phases.at(-1)!).finally(() => open.delete(one));
    open.add(one);
    sent++;
  }
  await Promise.all(open);
}

async function chat(port: number, phase: Phase): Promise<void> {
  const start = performance.now();
  const status = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'write to ana@example.com' }] }) }).then(async (response) => { await response.arrayBuffer(); return response.status; }, () => 0);
  phase.ms.push(performance.now() - start);
  if (status !== 200) phase.failed++;
}

try {
  const answer = JSON.stringify({ id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'fine' }, finish_reason: 'stop' }] });
  const upstream = createServer((request, response) => void request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end(answer)));
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { upstream.closeAllConnections(); upstream.close(); });
  const engine = await startClickHouse(t);
  const database = engine.database();
  const weir = await startWeir(t, `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/v1`, 'policy: p\nrules:\n  - { id: pii, priority: 1, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }\n', { analytics: { url: engine.url, database } });
  const lag = async (): Promise<number> => Number(/^weir_decisions_index_lag_entries(?:\{[^}]*\})? (\d+)/m.exec(await (await fetch(`${weir.adminUrl}/metrics`)).text())?.[1] ?? 0);
  let [rss, waiting] = [0, 0];
  const watch = setInterval(() => void lag().then((entries) => { rss = Math.max(rss, weir.rss()); waiting = Math.max(waiting, entries); }), 5_000);
  begin('up');
  const loading = load(weir.port);
  await pause(WARM_S * 1e3);
  begin('killed');
  await engine.kill();
  await pause((minutes * 60e3) / 2);
  await engine.start();
  begin('frozen');
  engine.freeze();
  await pause((minutes * 60e3) / 2);
  engine.thaw();
  begin('back');
  const [back, sentBefore] = [performance.now(), sent];
  while ((await lag()) > perSecond * 5) await pause(100);
  const drainedS = (performance.now() - back) / 1e3;
  isOver = true;
  await loading;
  clearInterval(watch);
  const door = new ClickHouse({ url: engine.url, database });
  t.teardown(() => door.close());
  const found = async (): Promise<{ readonly rows: string; readonly ids: string; readonly counted: string }> => (await door.query<{ rows: string; ids: string; counted: string }>(`select count() as rows, uniqExact(request_id) as ids, (select sum(counts['|exchanges|']) from ${door.database}.decision_counts final where span = 'hour' and tenant_id = '') as counted from ${door.database}.decisions final`))[0]!;
  for (let tries = 0; tries < 100 && Number((await found()).counted) !== sent; tries++) await pause(200);
  const { rows, ids, counted } = await found();
  console.log(`${sent} requests at ${perSecond}/s, ClickHouse away for ${minutes} minutes; ${waiting} entries waited at most, ${sentBefore} had been sent when it came back; caught up in ${drainedS.toFixed(1)} s; ${(rss / 1e6).toFixed(0)} MB resident at most`);
  for (const { name, ms, failed } of phases) console.log(`${name.padEnd(8)} ${ms.length} requests, ${failed} failed, p50 ${quantiles(ms)[0]!.toFixed(2)} ms, p95 ${quantiles(ms)[1]!.toFixed(2)} ms`);
  console.log(`rows ${rows}, request ids ${ids}, counted ${counted}`);
  assert.deepEqual([Number(rows), Number(ids), Number(counted)], [sent, sent, sent]);
  assert.equal(phases.reduce((sum, { failed }) => sum + failed, 0), 0);
} finally {
  for (const end of endings) await end();
}
