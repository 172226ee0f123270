/**
 * The copy of a shipped log while its disk fails or its process dies: every write, sync, rename, open and cut that it makes
 * is counted, then made to fail, or to be the last thing the process does. Whatever happened, what was acknowledged is
 * there, and the copy goes on until it equals the log. `WEIR_TEST_RUNS` above 1 takes every place, otherwise some of each.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import type { ShipBatch } from '../../src/audit/shipment.ts';
import { linesOf, logFolder, segmentsOf, writeLog } from '../helpers/audit.ts';
import { batchesOf, filesOf, openCollector, shipAll } from '../helpers/shipping.ts';

const CALLS = ['pwrite64', 'write', 'fdatasync', 'fsync', 'rename', 'openat', 'ftruncate'] as const;
const FAULTS = ['error=EIO', 'error=ENOSPC', 'signal=KILL'] as const;
const isFull = Number(process.env.WEIR_TEST_RUNS ?? 1) > 1;
const LOG = 'test/one';
const ROOT = mkdtempSync(join(tmpdir(), 'weir-ship-faults-'));
t.setTimeout(1_200_000);
t.teardown(() => rmSync(ROOT, { recursive: true, force: true }));

/** Takes batches, each until it is taken, three times at most, and says how many entries were acknowledged. */
const RECEIVER = `
  import { readFileSync, writeSync } from 'node:fs';
  import { Collector } from ${JSON.stringify(new URL('../../src/audit/collector.ts', import.meta.url).href)};
  const collector = new Collector({ dir: process.argv[1], audit: async () => {}, clock: Date.now });
  for (const batch of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
    for (let attempt = 0; attempt < 3; attempt++) {
      const position = await collector.take({ log: ${JSON.stringify(LOG)}, author: 'tester' }, batch).catch(() => undefined);
      if (position === undefined) continue;
      writeSync(1, position.entries + '\\n');
      break;
    }
  }
  await collector.close();`;

interface Run {
  readonly acknowledged: number;
  readonly trace: string;
}

async function traced(dir: string, batches: string, paths: readonly string[], injection: readonly string[]): Promise<Run> {
  mkdirSync(dir, { recursive: true });
  const trace = `${dir}.trace`;
  const args = ['-f', '-qq', '-o', trace, '-e', `trace=${CALLS.join(',')}`, ...paths.flatMap((path) => ['-P', join(dir, encodeURIComponent(LOG), path)]), ...injection, process.execPath, '--input-type=module', '-e', RECEIVER, dir, batches];
  const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined } });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  return { acknowledged: Number(out.trimEnd().split('\n').at(-1)), trace: readFileSync(trace, 'utf8') };
}

const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']);
const skip = strace.status === 0 ? false : 'strace cannot trace here';

t.test('counted, then failed one by one', { skip, timeout: 900_000 }, async (t) => {
  const dir = logFolder(t);
  for (let i = 0; i < 3; i++) await writeLog(dir, 3, { segmentBytesMax: 1_500 });
  const size = linesOf(dir).length;
  const whole = openCollector(join(ROOT, 'whole'));
  const batches: ShipBatch[] = [];
  for await (const batch of batchesOf(dir, size, (one) => whole.collector.take({ log: LOG, author: 'tester' }, one))) batches.push(batch);
  await whole.collector.close();
  const file = join(ROOT, 'batches.json');
  writeFileSync(file, JSON.stringify(batches));
  const paths = ['.', 'checkpoints', 'key.pub', 'key.pub.tmp', 'edge.json', 'edge.json.tmp', ...segmentsOf(dir)];
  const counted = await traced(join(ROOT, 'counted'), file, paths, []);
  t.equal(counted.acknowledged, size, 'all is acknowledged when nothing fails');
  const counts = CALLS.map((call) => [call, counted.trace.split('\n').filter((line) => new RegExp(`^\\d+ +${call}\\(`).test(line)).length] as const);
  for (const call of ['pwrite64', 'fdatasync', 'fsync', 'rename', 'openat']) t.ok(counts.find(([name]) => name === call)![1] > 0, `${call} is counted`);
  t.comment(counts.map(([call, count]) => `${count} ${call}`).join(', '));
  const all = counts.flatMap(([call, count]) => Array.from({ length: count }, (_, i) => FAULTS.map((fault) => [call, i + 1, fault] as const)).flat());
  const chosen = isFull ? all : all.filter((_, i) => i % 13 === 0);
  const wrong: string[] = [];
  let faulted = 0;
  const next = async (): Promise<void> => {
    for (let one = chosen.pop(); one !== undefined; one = chosen.pop()) {
      const [call, nth, fault] = one;
      const into = join(ROOT, `${call}-${nth}-${fault}`);
      const run = await traced(into, file, paths, ['-e', `inject=${call}:${fault}:when=${nth}`]);
      if (run.trace.includes('(INJECTED)') || run.trace.includes('SIGKILL')) faulted++;
      const found = await faultOf(into, run, dir, size).catch((error: unknown) => `it does not go on: ${(error as Error).message}`);
      if (found !== undefined) wrong.push(`${call} ${nth} ${fault}: ${found}`);
      rmSync(into, { recursive: true, force: true });
    }
  };
  await Promise.all([next(), next()]);
  t.same(wrong, []);
  t.ok(faulted > 0, `${faulted} faults`);
});

/** What is wrong with a copy after a fault; undefined when nothing is. */
async function faultOf(into: string, { acknowledged }: Run, dir: string, size: number): Promise<string | undefined> {
  const opened = openCollector(into);
  const { entries } = await opened.collector.take({ log: LOG, author: 'tester' }, { size, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] });
  if (entries < acknowledged) return `${acknowledged} entries were acknowledged, and ${entries} are there`;
  await shipAll(dir, size, opened, LOG);
  await opened.collector.close();
  const copy = opened.collector.dirOf(LOG);
  const [found, wanted] = [filesOf(copy), filesOf(dir)];
  const different = Object.keys(wanted).filter((name) => found[name] !== wanted[name]);
  if (different.length > 0) return `other bytes: ${different.join(', ')}`;
  const { damage } = await checkLog({ dir: copy, keys: await publishedKeys(dir), threads: 1 });
  return damage === undefined ? undefined : `damage: ${JSON.stringify(damage)}`;
}
