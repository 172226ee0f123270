/**
 * Work whose disk fails or whose process dies, at each of its places: every call that changes files is counted by strace,
 * then made to fail, or to be the last thing the process does. `WEIR_TEST_RUNS` above 1 takes every place, otherwise some.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

export const CALLS = ['pwrite64', 'write', 'fdatasync', 'fsync', 'rename', 'openat', 'unlink'] as const;
export type Fault = 'error=EIO' | 'error=ENOSPC' | 'signal=KILL';
export type FaultPlace = readonly [call: (typeof CALLS)[number], nth: number, fault: Fault];

/** The reason to skip, or false. */
export const NO_STRACE: string | false = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0 ? false : 'strace cannot trace here';

const isFull = Number(process.env.WEIR_TEST_RUNS ?? 1) > 1;

export interface FaultyWork {
  /** A module, given a folder as its argument. */
  readonly script: string;
  /** What it touches in the folder, of which calls count. */
  readonly paths: readonly string[];
  readonly faults: readonly Fault[];
  /** Which of all places where not every one is taken. */
  chosen(place: FaultPlace, index: number): boolean;
  /** What is wrong in the folder after a fault; undefined when nothing is. */
  faultOf(folder: string): Promise<string | undefined>;
}

export interface Traced {
  readonly out: string;
  readonly trace: string;
}

/** Folders of one test, and runs of its work in them. */
export class FaultPlaces {
  readonly #root: string;
  readonly #work: FaultyWork;

  constructor(t: Test, name: string, work: FaultyWork) {
    [this.#root, this.#work] = [mkdtempSync(join(tmpdir(), `weir-${name}-`)), work];
    writeFileSync(this.#script, work.script);
    t.teardown(() => rmSync(this.#root, { recursive: true, force: true }));
  }

  get #script(): string {
    return join(this.#root, 'work.mjs');
  }

  folder(name: string, from?: string): string {
    const folder = join(this.#root, name);
    mkdirSync(folder, { recursive: true });
    if (from !== undefined) cpSync(from, folder, { recursive: true });
    return folder;
  }

  async run(folder: string, injection: readonly string[] = []): Promise<Traced> {
    const trace = join(folder, 'trace');
    const args = ['-f', '-qq', '-o', trace, '-e', `trace=${CALLS.join(',')}`, ...this.#work.paths.flatMap((path) => ['-P', join(folder, path)]), ...injection, process.execPath, this.#script, folder];
    const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined } });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
    await new Promise((resolve) => child.once('close', resolve));
    return { out, trace: readFileSync(trace, 'utf8') };
  }

  /** Asserts that the work without a fault says `wanted`, and that after a fault at any chosen place nothing is wrong, in two lanes. */
  async failOneByOne(t: Test, { begin, wanted, happened }: { readonly begin: string; readonly wanted: string; /** Least share of faults that come to pass. */ readonly happened: number }): Promise<void> {
    const { faults, chosen, faultOf } = this.#work;
    const whole = await this.run(this.folder('count', begin));
    t.equal(whole.out, wanted);
    const counts = CALLS.map((call) => [call, whole.trace.split('\n').filter((line) => new RegExp(`^\\d+ +${call}\\(`).test(line)).length] as const);
    t.comment(counts.map(([call, count]) => `${count} ${call}`).join(', '));
    for (const call of ['pwrite64', 'fsync', 'rename', 'unlink']) t.ok(counts.find(([name]) => name === call)![1] > 0, `${call} is counted`);
    const all = counts.flatMap(([call, count]) => Array.from({ length: count }, (_, i) => faults.map((fault): FaultPlace => [call, i + 1, fault])).flat());
    const places = isFull ? all : all.filter((place, index) => chosen(place, index));
    const [total, wrong] = [places.length, [] as string[]];
    let faulted = 0;
    const lane = async (name: number): Promise<void> => {
      for (let one = places.pop(); one !== undefined; one = places.pop()) {
        const [call, nth, fault] = one;
        const folder = this.folder(`${name}-${call}-${nth}-${fault}`, begin);
        const { trace } = await this.run(folder, ['-e', `inject=${call}:${fault}:when=${nth}`]);
        if (trace.includes('(INJECTED)') || trace.includes('SIGKILL')) faulted++;
        const found = await faultOf(folder).catch((error: unknown) => `it does not open: ${(error as Error).message}`);
        if (found !== undefined) wrong.push(`${call} ${nth} ${fault}: ${found}`);
        rmSync(folder, { recursive: true, force: true });
      }
    };
    await Promise.all([lane(0), lane(1)]);
    t.same(wrong, [], `${total} places`);
    t.ok(faulted > total * happened, `${faulted} of ${total} faults happened`);
  }
}
