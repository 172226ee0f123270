/**
 * The pruning of a copy whose disk fails or whose process dies: every write, sync, rename, open and removal that it makes in
 * the copy is counted, then made to fail with EIO, or to be the last thing the process does. Whatever happened, the copy
 * opens again, verifies, has every entry that may not go, takes what is shipped next and is pruned by the next round.
 * `WEIR_TEST_RUNS` above 1 takes every place, otherwise some.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { Collector } from '../../src/audit/collector.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { exchangeRecord, linesOf, logOptions, segmentsOf } from '../helpers/audit.ts';
import { shipAll } from '../helpers/shipping.ts';

const CALLS = ['pwrite64', 'write', 'fdatasync', 'fsync', 'rename', 'openat', 'unlink'] as const;
const FAULTS = ['error=EIO', 'error=ENOSPC', 'signal=KILL'] as const;
const DAY = 86_400_000;
const LOG = 'test/one';
const isFull = Number(process.env.WEIR_TEST_RUNS ?? 1) > 1;
const ROOT = mkdtempSync(join(tmpdir(), 'weir-copy-faults-'));
t.setTimeout(1_200_000);
t.teardown(() => rmSync(ROOT, { recursive: true, force: true }));

const PRUNER = `
  import { Collector } from ${JSON.stringify(new URL('../../src/audit/collector.ts', import.meta.url).href)};
  import { pruneCopies } from ${JSON.stringify(new URL('../../src/audit/copy-retention.ts', import.meta.url).href)};
  import { openAuditLog } from ${JSON.stringify(new URL('../../src/audit/log.ts', import.meta.url).href)};
  import { publishedKeys } from ${JSON.stringify(new URL('../../src/audit/recovery.ts', import.meta.url).href)};
  const home = process.argv[2];
  const log = await openAuditLog({ dir: home + '/own', keyFile: home + '/keys/own.key', origin: 'keeper/one', clock: Date.now });
  const collector = new Collector({ dir: home + '/origins', audit: (record) => log.append(record, 'strict'), clock: Date.now });
  await pruneCopies({ collector, keeper: { vouch: (record) => log.appendProven(record), keys: () => publishedKeys(home + '/own') }, retention: () => ({ days: 5, tenants: {} }), now: () => ${8 * DAY}, pruned: (_, done) => process.stdout.write('pruned ' + done.first), pause: async () => true }).catch(() => {});
  await collector.close();
  await log.close();`;

const SCRIPT = join(ROOT, 'pruner.mjs');
writeFileSync(SCRIPT, PRUNER);

const PATHS = ['.', 'pruned', 'pruned.tmp', 'keeper.pub', 'keeper.pub.tmp', 'checkpoints', 'checkpoints.tmp', ...Array.from({ length: 10 }, (_, i) => `${String(i).padStart(12, '0')}.jsonl`)];
const copyIn = (home: string): string => join(home, 'origins', encodeURIComponent(LOG));

async function traced(home: string, injection: readonly string[]): Promise<{ readonly out: string; readonly trace: string }> {
  const trace = join(home, 'trace');
  const args = ['-f', '-qq', '-o', trace, '-e', `trace=${CALLS.join(',')}`, ...PATHS.flatMap((path) => ['-P', join(copyIn(home), path)]), ...injection, process.execPath, SCRIPT, home];
  const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined } });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  return { out, trace: readFileSync(trace, 'utf8') };
}

function place(name: string, from?: string): string {
  const home = join(ROOT, name);
  mkdirSync(home, { recursive: true });
  if (from !== undefined) cpSync(from, home, { recursive: true });
  return home;
}

/** What is wrong with the copy after a fault, and after what comes next; undefined when nothing is. */
async function faultOf(home: string): Promise<string | undefined> {
  const source = join(home, 'log');
  const check = async (): Promise<string | undefined> => {
    const { damage } = await checkLog({ dir: copyIn(home), keys: await publishedKeys(source), keepers: await publishedKeys(join(home, 'own')), threads: 1 });
    return damage && JSON.stringify(damage);
  };
  const before = await check();
  if (before !== undefined) return `as it lies there: ${before}`;
  const collector = new Collector({ dir: join(home, 'origins'), audit: async () => {}, clock: Date.now });
  await append(source, 8);
  await shipAll(source, 9, { collector, records: [] }, LOG);
  await collector.close();
  const lines = linesOf(copyIn(home));
  const lost = [4, 5, 6, 7, 8].filter((day) => !lines.some((line) => line.includes(`"day-${day}"`)));
  if (lost.length > 0) return `lost: days ${lost.join(', ')}`;
  const shipped = await check();
  if (shipped !== undefined) return `after more was shipped: ${shipped}`;
  const { out } = await traced(home, []);
  const names = segmentsOf(copyIn(home));
  if (names[0] !== '000000000004.jsonl') return `the next round says ${out}, and the copy begins with ${names[0]}`;
  const pruned = await check();
  return pruned && `after the next pruning: ${pruned}`;
}

async function append(dir: string, day: number): Promise<void> {
  const log = await openAuditLog(logOptions(dir, { clock: () => day * DAY, segmentBytesMax: 1 }));
  await log.append(exchangeRecord(`day-${day}`), 'strict');
  await log.close();
}

const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']);
const skip = strace.status === 0 ? false : 'strace cannot trace here';

t.test('counted, then failed one by one', { skip, timeout: 900_000 }, async (t) => {
  const begin = place('begin');
  for (let day = 0; day < 8; day++) await append(join(begin, 'log'), day);
  const first = new Collector({ dir: join(begin, 'origins'), audit: async () => {}, clock: Date.now });
  await shipAll(join(begin, 'log'), 8, { collector: first, records: [] }, LOG);
  await first.close();
  const whole = await traced(place('count', begin), []);
  t.equal(whole.out, 'pruned 4');
  const counts = CALLS.map((call) => [call, whole.trace.split('\n').filter((line) => new RegExp(`^\\d+ +${call}\\(`).test(line)).length] as const);
  t.comment(counts.map(([call, count]) => `${count} ${call}`).join(', '));
  for (const call of ['pwrite64', 'fsync', 'rename', 'unlink']) t.ok(counts.find(([name]) => name === call)![1] > 0, `${call} is counted`);
  const all = counts.flatMap(([call, count]) => Array.from({ length: count }, (_, i) => FAULTS.map((fault) => [call, i + 1, fault] as const)).flat());
  const chosen = isFull ? all : all.filter((_, i) => i % 7 === 0);
  const wrong: string[] = [];
  let faulted = 0;
  const total = chosen.length;
  const next = async (lane: number): Promise<void> => {
    for (let one = chosen.pop(); one !== undefined; one = chosen.pop()) {
      const [call, nth, fault] = one;
      const home = place(`${lane}-${call}-${nth}-${fault}`, begin);
      const { trace } = await traced(home, ['-e', `inject=${call}:${fault}:when=${nth}`]);
      if (trace.includes('(INJECTED)') || trace.includes('SIGKILL')) faulted++;
      const found = await faultOf(home).catch((error: unknown) => `it does not open: ${(error as Error).message}`);
      if (found !== undefined) wrong.push(`${call} ${nth} ${fault}: ${found}`);
      rmSync(home, { recursive: true, force: true });
    }
  };
  await Promise.all([next(0), next(1)]);
  t.same(wrong, [], `${total} places`);
  t.ok(faulted > total * 0.7, `${faulted} of ${total} faults happened`);
});
