/** Weir as a process of its own, for what only a process shows: its memory, and its answers while it is busy. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Test } from 'tap';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

export interface WeirProcess {
  readonly pid: number;
  readonly port: number;
  readonly adminUrl: string;
  /** Shown by the first start in a folder only. */
  readonly adminToken: string | undefined;
  /** Lines of its log so far. */
  readonly log: readonly string[];
  /** What it has said on stdout. */
  said(): string;
  /** Resident bytes now. */
  rss(): number;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Ends it in good order. */
  stop(): Promise<void>;
}

/** Starts `weir start` with this policy, and `config` over the smallest one; killed when `t` ends. */
export async function startWeir(t: Test, upstreamUrl: string, policy: string, config: object = {}, nodeOptions: readonly string[] = []): Promise<WeirProcess> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-process-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'p.yaml'), policy);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: upstreamUrl, connections: 1000 } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], telemetry: { log_level: 'silent' }, ...config,
  }));
  return runWeir(t, dir, nodeOptions);
}

/** Starts `weir start` with the `weir.yaml` of a folder, and with `env` besides; killed when `t` ends. */
export async function runWeir(t: Test, dir: string, nodeOptions: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<WeirProcess> {
  // As its users start it: what the test runner has every process load answers signals in its own way, and takes time.
  const weir = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, ...nodeOptions, MAIN, 'start', '--json', '--config', join(dir, 'weir.yaml')], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const ended = new Promise((resolve) => weir.once('close', resolve));
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    weir.kill(signal);
    await ended;
  };
  const kill = (): Promise<void> => end('SIGKILL');
  t.teardown(kill);
  const log: string[] = [];
  let line = '';
  createInterface(weir.stderr).on('line', (line) => void log.push(line));
  const started = await new Promise<{ proxy_url: string; admin_url: string; admin_token?: string }>((resolve, reject) => {
    weir.stdout.on('data', (text: Buffer) => {
      line += text;
      if (line.trimEnd().endsWith('}')) resolve(JSON.parse(line) as { proxy_url: string; admin_url: string; admin_token?: string });
    });
    weir.once('close', () => reject(new Error(`weir ended: ${log.join('\n')}`)));
  });
  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${weir.pid}/status`, 'utf8'))![1]) * 1024;
  return { pid: weir.pid!, port: Number(new URL(started.proxy_url).port), adminUrl: started.admin_url, adminToken: started.admin_token, log, said: () => line, rss, kill, stop: () => end('SIGTERM') };
}
