/**
 * gRPC classifiers as processes of their own, to be killed, frozen and started again on the port they had: the real
 * `weir classifier serve`, and a server that misbehaves on request (helpers/grpc-server.ts).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

const ROOT = join(import.meta.dirname, '../..');

export interface ServerProcess {
  readonly port: number;
  readonly address: string;
  /** What it printed when it was ready. */
  readonly said: string;
  readonly process: ChildProcess;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** `weir classifier serve`, ready to be called, of the smallest configuration unless `args` name one; killed when `t` ends. */
export function serveClassifier(t: Test, args: readonly string[]): Promise<ServerProcess> {
  const config = args.includes('--config') ? [] : ['--config', configFile(t)];
  const port = args.includes('--port') ? [] : ['--port', '0'];
  return start(t, ['src/main.ts', 'classifier', 'serve', ...args, ...config, ...port, '--json']);
}

/** A configuration with these keys beside the smallest; removed when `t` ends. */
export function configFile(t: Test, more: object = {}, dir = mkdtempSync(join(tmpdir(), 'weir-serve-'))): string {
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\ndefault_action: allow\n');
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], policies: ['p.yaml'], ...more }));
  return join(dir, 'weir.yaml');
}

/** What it does is the content of each call. */
export function startMisbehaving(t: Test, port = 0, tls: readonly string[] = []): Promise<ServerProcess> {
  return start(t, ['test/helpers/grpc-server.ts', String(port), ...tls]);
}

async function start(t: Test, args: readonly string[]): Promise<ServerProcess> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += String(text)));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => (said += String(text)).endsWith('\n') && resolve());
    void ended.then((how) => reject(new Error(`the server ended (${how}): ${complaint}`)));
  });
  const parsed = JSON.parse(said) as number | { readonly port: number };
  const port = typeof parsed === 'number' ? parsed : parsed.port;
  return { port, address: `127.0.0.1:${port}`, said, process: child, kill: (signal) => void process.kill(child.pid!, signal), ended };
}
