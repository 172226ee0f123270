/**
 * ClickHouse for one test: its own engine in a process of its own, to be frozen, killed and started again over the same
 * files. The engine is the package chdb, which is large and no dependency of Weir: WEIR_TEST_CHDB names a folder that has
 * it in `node_modules`, else it is looked for beside this project. Without it its tests are skipped, but in CI they fail.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

const ENGINE = join(import.meta.dirname, 'clickhouse-engine.ts');

/** The reason to skip, or false. */
export const CLICKHOUSE_MISSING = isInstalled() || process.env.CI ? false as const : 'chdb is not installed: npm install --no-save chdb@3.4.0, or WEIR_TEST_CHDB';

export interface ClickHouse {
  /** Over HTTP; the same after it was started again. */
  readonly url: string;
  readonly pid: number;
  /** A name that no other test has. The database is not made. */
  database(): string;
  /** It answers nobody, and takes what is sent. */
  freeze(): void;
  thaw(): void;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Again, over the same files, on the same port. */
  start(): Promise<void>;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

/** Resolves when it answers. `password`: is asked of the user `weir`. Stopped when `t` ends. */
export async function startClickHouse(t: Pick<Test, 'teardown'>, { password }: { readonly password?: string } = {}): Promise<ClickHouse> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-clickhouse-'));
  const open = (port: number) => openEngine(join(dir, 'files'), port, password);
  let { engine, port } = await open(0);
  const kill = async (): Promise<void> => {
    if (engine.exitCode !== null || engine.signalCode !== null) return;
    const ended = once(engine, 'exit');
    engine.kill('SIGKILL');
    await ended;
  };
  const stop = async (): Promise<void> => {
    await kill();
    rmSync(dir, { recursive: true, force: true });
  };
  t.teardown(stop);
  return {
    url: `http://127.0.0.1:${port}`, get pid() { return engine.pid!; }, database: () => `weir_${randomBytes(6).toString('hex')}`,
    freeze: () => void engine.kill('SIGSTOP'), thaw: () => void engine.kill('SIGCONT'), kill, start: async () => { ({ engine, port } = await open(port)); }, stop,
  };
}

async function openEngine(dir: string, port: number, password: string | undefined): Promise<{ readonly engine: ChildProcess; readonly port: number }> {
  const engine = spawn(process.execPath, [ENGINE, dir, String(port)], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...(password === undefined ? {} : { WEIR_CHDB_PASSWORD: password }) } });
  const said = await Promise.race([once(engine.stdout, 'data') as Promise<[Buffer]>, once(engine, 'exit').then(([code]) => Promise.reject(new Error(`the engine of ClickHouse ended with ${code}`)))]);
  return { engine, port: Number(String(said[0])) };
}

function isInstalled(): boolean {
  try {
    createRequire(process.env.WEIR_TEST_CHDB === undefined ? import.meta.url : join(process.env.WEIR_TEST_CHDB, 'package.json')).resolve('chdb');
    return true;
  } catch {
    return false;
  }
}
