/** Weir as a process of its own, for what only a process shows: its memory, and its answers while it is busy. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

export interface WeirProcess {
  readonly port: number;
  readonly adminUrl: string;
  /** Resident bytes now. */
  rss(): number;
}

/** Starts `weir start` with this policy, and `config` over the smallest one; killed when `t` ends. */
export async function startWeir(t: Test, upstreamUrl: string, policy: string, config: object = {}, nodeOptions: readonly string[] = []): Promise<WeirProcess> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-process-'));
  writeFileSync(join(dir, 'p.yaml'), policy);
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({
    data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: upstreamUrl, connections: 1000 } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], telemetry: { log_level: 'silent' }, ...config,
  }));
  const weir = spawn(process.execPath, [...nodeOptions, MAIN, 'start', '--json', '--config', join(dir, 'weir.yaml')], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => weir.once('exit', resolve));
  t.teardown(async () => {
    weir.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  });
  let said = '';
  weir.stderr.on('data', (text: Buffer) => { said += text; });
  const started = await new Promise<{ proxy_url: string; admin_url: string }>((resolve, reject) => {
    let line = '';
    weir.stdout.on('data', (text: Buffer) => {
      line += text;
      if (line.trimEnd().endsWith('}')) resolve(JSON.parse(line) as { proxy_url: string; admin_url: string });
    });
    weir.once('exit', () => reject(new Error(`weir ended: ${said}`)));
  });
  const rss = (): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${weir.pid}/status`, 'utf8'))![1]) * 1024;
  return { port: Number(new URL(started.proxy_url).port), adminUrl: started.admin_url, rss };
}
