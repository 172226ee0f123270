/**
 * What a prompt costs the whole proxy: CPU for each KB, by what is in it and by what screens it, as a process of its
 * own between a client and an upstream on loopback. The cost of a KB is what long prompts cost over short ones, so what
 * a request costs by itself is not in it. Every answer is checked to be the upstream's.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Pool } from 'undici';
import { TWENTY } from '../detectors.ts';
import type { Row, Table } from '../report.ts';
import { progress, type Effort } from '../rounds.ts';
import { textOf, type TextKind } from '../texts.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const BARE = join(import.meta.dirname, 'bare.ts');
const ANSWER = JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: textOf('prose', 1_000) } }] });
const KINDS: readonly TextKind[] = ['prose', 'dense', 'same-letter', 'digits', 'near-misses', 'all-hostile'];
const SHORT_KB = 1;
const LONG_KB = 17;
/** A tick of /proc/PID/stat. */
const TICK_MS = 10;

const PERSONAL = '{ score: "pii.*", gte: 0.5 }';
const MODES: readonly (readonly [name: string, config: object | undefined, policy: string])[] = [
  ['bare undici', undefined, ''],
  ['20 detectors', { classifiers: [{ id: 'pii', plugin: 'pii', patterns: ['./twenty.yaml'] }] }, policyOf([PERSONAL])],
  ['pii and secrets', { classifiers: [{ id: 'pii', plugin: 'pii' }] }, policyOf([PERSONAL])],
  // Each is asked; none but pii ever decides.
  ['everything', {}, policyOf([PERSONAL, ...['prompt-injection.injection', 'jailbreak.jailbreak', 'toxicity.hate'].map((score) => `{ score: ${score}, gte: 1 }`)])],
];

function policyOf(conditions: readonly string[]): string {
  return `policy: p\non_unknown: open\nrules:\n  - { id: r, priority: 1, direction: both, when: { any: [ ${conditions.join(', ')} ] }, action: redact }\n`;
}

const PATTERNS = JSON.stringify({
  set: 'twenty', description: 'Twenty detectors.', categories: Object.fromEntries(TWENTY.map(({ category }) => [category, category])),
  patterns: TWENTY.map(({ id, category, label, regex, maxChars, once }) => ({ id, category, label, regex, description: id, ...(maxChars === undefined ? {} : { max_chars: maxChars }), ...(once === undefined ? {} : { once }) })),
});

export async function measurePrompt(effort: Effort): Promise<readonly Table[]> {
  const upstream = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(ANSWER) }).end(ANSWER));
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  const rows: Row[] = [];
  try {
    for (const [name, config, policy] of MODES) {
      const dir = mkdtempSync(join(tmpdir(), 'weir-bench-'));
      try {
        rows.push(...(await measureMode(name, dir, `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`, config, policy, effort)));
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    }
  } finally {
    upstream.close();
    upstream.closeAllConnections();
  }
  return [{
    title: `CPU of the proxy for each KB of a prompt (${LONG_KB} KB against ${SHORT_KB} KB), and for a request of ${SHORT_KB} KB`,
    columns: ['screened by, text', 'µs/KB', 'min', 'max', 'of prose', 'µs/request'],
    rows,
    note: 'CPU of all threads from /proc; every prompt is a text that the proxy has not seen.',
  }];
}

async function measureMode(name: string, dir: string, upstreamUrl: string, config: object | undefined, policy: string, effort: Effort): Promise<readonly Row[]> {
  writeFileSync(join(dir, 'p.yaml'), policy);
  writeFileSync(join(dir, 'twenty.yaml'), PATTERNS);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: `${upstreamUrl}/v1` } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], telemetry: { log_level: 'error' }, ...config,
  }));
  const child = config === undefined
    ? spawn(process.execPath, [BARE, upstreamUrl], { stdio: ['ignore', 'pipe', 'inherit'] })
    : spawn(process.execPath, [MAIN, 'start', '--json', '--config', join(dir, 'weir.yaml')], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const started = await new Promise<{ proxy_url: string }>((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
      if (text.trimEnd().endsWith('}')) resolve(JSON.parse(text) as { proxy_url: string });
    });
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
  const pool = new Pool(new URL(started.proxy_url).origin, { connections: 1 });
  try {
    let asked = 0;
    const ask = async (kind: TextKind, kb: number): Promise<void> => {
      const source = textOf(kind, 1_000_000);
      const at = (asked++ * 7_919) % (source.length - kb * 1_024);
      const { body, statusCode } = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: source.slice(at, at + kb * 1_024) }] }) });
      const answer = await body.text();
      assert.equal(statusCode, 200, answer);
      assert.equal(answer, ANSWER);
    };
    const cpuMs = (): number => {
      const [utime, stime] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11, 13);
      return (Number(utime) + Number(stime)) * TICK_MS;
    };
    const perRequestMs = async (kind: TextKind, kb: number): Promise<number> => {
      const count = effort.quick ? 100 : 300;
      const before = cpuMs();
      for (let i = 0; i < count; i++) await ask(kind, kb);
      return (cpuMs() - before) / count;
    };
    const rounds = Math.max(3, Math.ceil(effort.rounds / 2));
    const cells: Record<string, { perKb: number[]; request: number[] }> = {};
    for (let round = 0; round <= rounds; round++) {
      for (const kind of KINDS) {
        progress(`${name}: round ${round}/${rounds}, ${kind}`);
        const [short, long] = [await perRequestMs(kind, SHORT_KB), await perRequestMs(kind, LONG_KB)];
        if (round === 0) { cells[kind] = { perKb: [], request: [] }; continue; } // it warms up
        cells[kind]!.perKb.push(((long - short) * 1e3) / (LONG_KB - SHORT_KB));
        cells[kind]!.request.push(short * 1e3);
      }
    }
    const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
    const prose = median(cells['prose']!.perKb);
    return KINDS.map((kind): Row => {
      const { perKb, request } = cells[kind]!;
      return { cells: [`${name}, ${kind}`, median(perKb), Math.min(...perKb), Math.max(...perKb), `${(median(perKb) / prose).toFixed(1)}×`, median(request)] };
    });
  } finally {
    await pool.close();
    child.kill('SIGKILL');
    await ended;
  }
}
