/**
 * A pruning whose disk fails or whose process dies: every write, sync, rename, open and removal that it makes is counted,
 * then made to fail with EIO, or to be the last thing the process does. Whatever happened, the log opens again, verifies,
 * has every entry that may not go, and is pruned by the next. `WEIR_TEST_RUNS` above 1 takes every place, otherwise some.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { exchangeRecord, linesOf, logOptions, segmentsOf } from '../helpers/audit.ts';

const CALLS = ['pwrite64', 'write', 'fdatasync', 'fsync', 'rename', 'openat', 'unlink'] as const;
const FAULTS = ['error=EIO', 'signal=KILL'] as const;
const DAY = 86_400_000;
const isFull = Number(process.env.WEIR_TEST_RUNS ?? 1) > 1;
const ROOT = mkdtempSync(join(tmpdir(), 'weir-prune-faults-'));
t.setTimeout(1_200_000);
t.teardown(() => rmSync(ROOT, { recursive: true, force: true }));

const PRUNER = `
  import { openAuditLog } from ${JSON.stringify(new URL('../../src/audit/log.ts', import.meta.url).href)};
  import { pruneLog } from ${JSON.stringify(new URL('../../src/audit/prune.ts', import.meta.url).href)};
  const dir = process.argv[2];
  const log = await openAuditLog({ dir, keyFile: dir + '/../keys/audit.key', origin: 'test/one', clock: () => ${8 * DAY}, segmentBytesMax: 1 });
  await pruneLog(log, dir, { days: 5, tenants: {} }, ${8 * DAY}).then((done) => process.stdout.write('pruned ' + done.first), () => {});
  await log.close();`;

const SCRIPT = join(ROOT, 'pruner.mjs');
writeFileSync(SCRIPT, PRUNER);

const PATHS = ['.', 'pruned', 'pruned.tmp', 'checkpoints', 'checkpoints.tmp', 'edge.json', 'edge.json.tmp', ...Array.from({ length: 10 }, (_, i) => `${String(i).padStart(12, '0')}.jsonl`)];

async function traced(dir: string, injection: readonly string[]): Promise<{ readonly out: string; readonly trace: string }> {
  const trace = join(dir, '../trace');
  const args = ['-f', '-qq', '-o', trace, '-e', `trace=${CALLS.join(',')}`, ...PATHS.flatMap((path) => ['-P', join(dir, path)]), ...injection, process.execPath, SCRIPT, dir];
  const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined } });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  return { out, trace: readFileSync(trace, 'utf8') };
}

function place(name: string, from?: string): string {
  const dir = join(ROOT, name, 'audit');
  mkdirSync(dir, { recursive: true });
  if (from !== undefined) cpSync(join(from, '..'), join(dir, '..'), { recursive: true });
  return dir;
}

/** What is wrong with the log after a fault, and after the next pruning; undefined when nothing is. */
async function faultOf(dir: string): Promise<string | undefined> {
  for (const isNext of [false, true]) {
    const log = await openAuditLog(logOptions(dir, { clock: () => 8 * DAY, segmentBytesMax: 1 }));
    if (isNext) await pruneLog(log, dir, { days: 5, tenants: {} }, 8 * DAY);
    await log.close();
    const { damage, first } = await checkLog({ dir, keys: await publishedKeys(dir), threads: 1 });
    if (damage !== undefined) return JSON.stringify(damage);
    const have = linesOf(dir).map((line) => (JSON.parse(line) as { readonly request_id?: string }).request_id);
    const lost = [4, 5, 6, 7].filter((day) => !have.includes(`day-${day}`));
    if (lost.length > 0) return `lost: days ${lost.join(', ')}`;
    if (isNext && (first !== 4 || segmentsOf(dir)[0] !== '000000000004.jsonl')) return `the log begins at ${first}, its files with ${segmentsOf(dir)[0]}`;
  }
  return undefined;
}

const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']);
const skip = strace.status === 0 ? false : 'strace cannot trace here';

t.test('counted, then failed one by one', { skip, timeout: 900_000 }, async (t) => {
  const begin = place('begin');
  for (let day = 0; day < 8; day++) {
    const log = await openAuditLog(logOptions(begin, { clock: () => day * DAY, segmentBytesMax: 1 }));
    await log.append(exchangeRecord(`day-${day}`), 'strict');
    await log.close();
  }
  const whole = await traced(place('count', begin), []);
  t.equal(whole.out, 'pruned 4');
  const counts = CALLS.map((call) => [call, whole.trace.split('\n').filter((line) => new RegExp(`^\\d+ +${call}\\(`).test(line)).length] as const);
  t.comment(counts.map(([call, count]) => `${count} ${call}`).join(', '));
  for (const call of ['pwrite64', 'fsync', 'rename', 'unlink']) t.ok(counts.find(([name]) => name === call)![1] > 0, `${call} is counted`);
  const all = counts.flatMap(([call, count]) => Array.from({ length: count }, (_, i) => FAULTS.map((fault) => [call, i + 1, fault] as const)).flat());
  const chosen = isFull ? all : all.filter(([call], i) => call === 'unlink' || call === 'rename' || i % 9 === 0);
  const wrong: string[] = [];
  let faulted = 0;
  const total = chosen.length;
  const next = async (lane: number): Promise<void> => {
    for (let one = chosen.pop(); one !== undefined; one = chosen.pop()) {
      const [call, nth, fault] = one;
      const dir = place(`${lane}-${call}-${nth}-${fault}`, begin);
      const { trace } = await traced(dir, ['-e', `inject=${call}:${fault}:when=${nth}`]);
      if (trace.includes('(INJECTED)') || trace.includes('SIGKILL')) faulted++;
      const found = await faultOf(dir).catch((error: unknown) => `it does not open: ${(error as Error).message}`);
      if (found !== undefined) wrong.push(`${call} ${nth} ${fault}: ${found}`);
      rmSync(join(dir, '..'), { recursive: true, force: true });
    }
  };
  await Promise.all([next(0), next(1)]);
  t.same(wrong, [], `${total} places`);
  t.ok(faulted > total * 0.8, `${faulted} of ${total} faults happened`);
});
