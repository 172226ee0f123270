/**
 * What telemetry costs the whole proxy: throughput and CPU of a request with traces of a tenth of the exchanges and metrics
 * over OTLP to a collector, against the same process with telemetry off. Both run at once beside an upstream and a collector,
 * each a process of its own, and are asked in turn, so that what else the machine does hits both alike.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import type { Row, Table } from '../report.ts';
import { progress, type Effort } from '../rounds.ts';
import { textOf } from '../texts.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const UNDER_WAY = 32;
/** A tick of /proc/PID/stat. */
const TICK_MS = 10;
const POLICY = 'policy: p\non_unknown: open\nrules:\n  - { id: r, priority: 1, direction: both, when: { score: "pii.*", gte: 0.5 }, action: redact }\n';
const USAGE = { prompt_tokens: 21, completion_tokens: 200, total_tokens: 221 };
const CHUNKS = 40;

/** `node -e` with the bodies that it answers: a stream where one is asked for. */
const UPSTREAM = `
const [unary, stream] = process.argv.slice(1);
require('node:http').createServer((request, response) => {
  let body = '';
  request.on('data', (part) => { body += part; }).on('end', () => {
    const isStream = body.includes('"stream":true');
    response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' }).end(isStream ? stream : unary);
  });
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });`;

const COLLECTOR = `
let bytes = 0, requests = 0;
require('node:http').createServer((request, response) => {
  if (request.method === 'GET') return response.end(JSON.stringify({ bytes, requests }));
  request.on('data', (part) => { bytes += part.length; }).on('end', () => { requests += 1; response.end(); });
}).listen(0, '127.0.0.1', function () { console.log(this.address().port); });`;

const CHAT = { id: 'chatcmpl-1', created: 1, model: 'm' };
const ANSWER = JSON.stringify({ ...CHAT, object: 'chat.completion', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: textOf('prose', 1_000) } }], usage: USAGE });
const EVENTS = [...Array.from({ length: CHUNKS }, (_, i) => ({ choices: [{ index: 0, delta: { content: textOf('prose', 1_000).slice(i * 25, i * 25 + 25) }, finish_reason: null }] })), { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }, { choices: [], usage: USAGE }];
const STREAM = `${EVENTS.map((event) => `data: ${JSON.stringify({ ...CHAT, object: 'chat.completion.chunk', ...event })}\n\n`).join('')}data: [DONE]\n\n`;
const KINDS = { 'whole answers': false, [`streams of ${CHUNKS} events`]: true } as const;

interface Proxy {
  readonly name: string;
  readonly child: ChildProcess;
  readonly pool: Pool;
}

export async function measureTelemetry(effort: Effort): Promise<readonly Table[]> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-bench-'));
  const children: ChildProcess[] = [];
  const open = async (args: readonly string[]): Promise<{ readonly child: ChildProcess; readonly said: string }> => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    return { child, said: await firstWords(child) };
  };
  try {
    const upstream = `http://127.0.0.1:${(await open(['-e', UPSTREAM, ANSWER, STREAM])).said.trim()}`;
    const collector = `http://127.0.0.1:${(await open(['-e', COLLECTOR])).said.trim()}`;
    const start = async (name: string, telemetry: object): Promise<Proxy> => {
      const at = join(dir, name.replaceAll(/\W+/g, '-'));
      writeFileSync(`${at}-p.yaml`, POLICY);
      writeFileSync(`${at}.yaml`, JSON.stringify({
        data_dir: `${at}-data`, proxy: { port: 0 }, admin: { port: 0 }, policies: [`${at}-p.yaml`], upstreams: { local: { url: `${upstream}/v1` } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], classifiers: [{ id: 'pii', plugin: 'pii' }],
        telemetry: { log_level: 'error', ...telemetry },
      }));
      const { child, said } = await open([MAIN, 'start', '--json', '--config', `${at}.yaml`]);
      return { name, child, pool: new Pool(new URL((JSON.parse(said) as { proxy_url: string }).proxy_url).origin, { connections: UNDER_WAY }) };
    };
    const telemetry = { traces: { exporter: 'otlp', endpoint: `${collector}/v1/traces`, sample_ratio: 0.1 }, metrics: { otlp_endpoint: `${collector}/v1/metrics`, interval_ms: 5_000 } };
    // No third one: what a process does after its turn would fall into the turn of another.
    const proxies = [await start('off', { metrics: { prometheus: false } }), await start('traces of 10 %, metrics every 5 s', telemetry)];
    const rows = await measure(proxies, effort);
    const { requests, bytes } = await (await fetch(collector)).json() as { requests: number; bytes: number };
    assert.ok(requests > 0, 'the collector got something');
    for (const { pool } of proxies) await pool.close();
    return [{ title: `Throughput with and without telemetry, ${UNDER_WAY} requests under way`, columns: ['telemetry, answers', 'requests/s', 'min', 'max', 'of off', 'µs CPU/request', 'of off'], rows, note: `Medians of rounds; of throughput, "of off" is the median of each round's own ratio. CPU is that of all rounds together. The collector got ${(bytes / 1e6).toFixed(1)} MB in ${requests} requests.` }];
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  }
}

/** A line of JSON, or one that is a number. */
function firstWords(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout!.on('data', (part: Buffer) => {
      said += part.toString();
      if (/^\d+\n$/.test(said) || said.trimEnd().endsWith('}')) resolve(said);
    });
    child.once('exit', (code) => reject(new Error(`a process ended with ${code}`)));
  });
}

interface Sample {
  readonly perSecond: number;
  readonly cpuUs: number;
}

async function measure(proxies: readonly Proxy[], effort: Effort): Promise<readonly Row[]> {
  const samples = new Map<string, Sample[]>();
  // Short rounds, and many: what else the machine does changes by the second.
  const rounds = (effort.quick ? 4 : 6) * effort.rounds;
  const count = effort.quick ? 300 : 600;
  for (let round = 0; round <= rounds; round += 1) {
    for (const [kind, stream] of Object.entries(KINDS)) {
      for (const proxy of round % 2 === 0 ? proxies : proxies.toReversed()) {
        progress(`telemetry: round ${round}/${rounds}, ${proxy.name}, ${kind}`);
        // What a tenth of the exchanges runs through is warm later than what all do.
        const sample = await load(proxy, stream, (stream ? count / 2 : count) * (round === 0 ? 20 : 1));
        const key = `${proxy.name}, ${kind}`;
        if (round === 0) samples.set(key, []); // it warms up
        else samples.get(key)!.push(sample);
      }
    }
  }
  return Object.keys(KINDS).flatMap((kind) => proxies.map(({ name }): Row => {
    const [own, off] = [samples.get(`${name}, ${kind}`)!, samples.get(`${proxies[0]!.name}, ${kind}`)!];
    const rates = own.map(({ perSecond }) => perSecond);
    const ratios = own.map(({ perSecond }, i) => perSecond / off[i]!.perSecond);
    // Ticks are too coarse for one round.
    const cpuUs = (all: readonly Sample[]): number => all.reduce((sum, sample) => sum + sample.cpuUs, 0) / all.length;
    return { cells: [`${name}, ${kind}`, median(rates), Math.min(...rates), Math.max(...rates), percent(median(ratios)), cpuUs(own), percent(cpuUs(own) / cpuUs(off))] };
  }));
}

async function load({ child, pool }: Proxy, stream: boolean, count: number): Promise<Sample> {
  const cpuMs = (): number => {
    const [utime, stime] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11, 13);
    return (Number(utime) + Number(stime)) * TICK_MS;
  };
  const source = textOf('prose', 1_000_000);
  let asked = 0;
  const worker = async (): Promise<void> => {
    while (asked < count) {
      const at = (asked++ * 7_919) % (source.length - 500);
      const { body, statusCode } = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', temperature: 0.5, ...(stream ? { stream, stream_options: { include_usage: true } } : {}), messages: [{ role: 'user', content: source.slice(at, at + 500) }] }) });
      const answer = await body.text();
      assert.equal(statusCode, 200, answer);
      assert.equal(answer, stream ? STREAM : ANSWER);
    }
  };
  const [beganMs, beforeMs] = [performance.now(), cpuMs()];
  await Promise.all(Array.from({ length: UNDER_WAY }, worker));
  return { perSecond: (1000 * count) / (performance.now() - beganMs), cpuUs: ((cpuMs() - beforeMs) * 1000) / count };
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
