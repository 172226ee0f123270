/**
 * The log while its disk fails or its process dies: every write, sync, rename, open, cut and removal that it makes is
 * counted, then made to fail with EIO and with ENOSPC, or to be the last thing the process does. Whatever happened, the
 * log opens again, verifies, and holds every entry that strict durability acknowledged. `WEIR_TEST_RUNS` above 1 takes
 * every place, otherwise some of each.
 */
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { exchangeRecord, linesOf, logOptions, writeLog } from '../helpers/audit.ts';

const CALLS = ['pwrite64', 'write', 'fdatasync', 'fsync', 'rename', 'openat', 'ftruncate', 'unlink'] as const;
const FAULTS = ['error=EIO', 'error=ENOSPC', 'signal=KILL'] as const;
const ENTRIES = 6;
const isFull = Number(process.env.WEIR_TEST_RUNS ?? 1) > 1;
const ROOT = mkdtempSync(join(tmpdir(), 'weir-faults-'));
t.setTimeout(1_200_000);
t.teardown(() => rmSync(ROOT, { recursive: true, force: true }));

/** Appends in strict durability and says each entry that was acknowledged, each that was refused. */
const WRITER = `
  import { writeSync } from 'node:fs';
  import { openAuditLog } from ${JSON.stringify(new URL('../../src/audit/log.ts', import.meta.url).href)};
  const log = await openAuditLog({ dir: process.argv[1], keyFile: process.argv[1] + '/../keys/audit.key', origin: 'test/one', clock: Date.now, segmentBytesMax: 1000 });
  for (let i = 0; i < ${ENTRIES}; i++) {
    const id = 'entry-' + i;
    await log.append({ ...${JSON.stringify(exchangeRecord('x'))}, request_id: id }, 'strict').then(() => writeSync(1, 'ack ' + id + '\\n'), (error) => writeSync(1, error.code + ' ' + id + '\\n'));
  }
  await log.close();`;

interface Run {
  readonly acknowledged: readonly string[];
  readonly refused: number;
  readonly trace: string;
}

/** Runs the writer on a folder under strace, which sees only what is done to the log's own files. */
async function traced(dir: string, paths: readonly string[], injection: readonly string[]): Promise<Run> {
  const trace = join(dir, '../trace');
  const args = ['-f', '-qq', '-o', trace, '-e', `trace=${CALLS.join(',')}`, ...paths.flatMap((path) => ['-P', join(dir, path)]), ...injection, process.execPath, '--input-type=module', '-e', WRITER, dir];
  const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined } });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  const lines = out.split('\n');
  return { acknowledged: lines.filter((line) => line.startsWith('ack ')).map((line) => line.slice(4)), refused: lines.filter((line) => line.startsWith('audit_unavailable ')).length, trace: readFileSync(trace, 'utf8') };
}

/** Files of the log that a run without faults touches. */
const PATHS = ['.', 'checkpoints', 'key.pub', 'key.pub.tmp', 'edge.json', 'edge.json.tmp', 'lock', '../keys', '../keys/audit.key', '../keys/audit.key.tmp', ...Array.from({ length: 16 }, (_, i) => `${String(i).padStart(12, '0')}.jsonl`)];

/** A new folder, or a copy of one. */
function place(name: string, from?: string): string {
  const dir = join(ROOT, name, 'audit');
  mkdirSync(dir, { recursive: true });
  if (from !== undefined) cpSync(join(from, '..'), join(dir, '..'), { recursive: true });
  return dir;
}

/** As a crash leaves a log: entries that no checkpoint covers, an unfinished line, an unfinished note. */
async function crashedLog(): Promise<string> {
  const dir = place('crashed');
  await writeLog(dir, 2);
  const notes = readFileSync(join(dir, 'checkpoints'));
  await writeLog(dir, 2);
  appendFileSync(join(dir, '000000000000.jsonl'), '{"half');
  writeFileSync(join(dir, 'checkpoints'), Buffer.concat([notes, Buffer.from('test/one\n')]));
  return dir;
}

/** What is wrong with a log after a fault; undefined when nothing is. */
async function faultOf(dir: string, { acknowledged, trace }: Run, before: number, fault: string): Promise<string | undefined> {
  if (!fault.includes('KILL')) {
    const after = trace.slice(trace.indexOf('(INJECTED)'));
    const isWrite = /(?:pwrite64|fdatasync)\([^\n]*\(INJECTED\)/.test(trace);
    if (isWrite && /(?:pwrite64|fdatasync)\(/.test(after.slice(after.indexOf('\n')))) return 'a file was written after a write or sync of it had failed';
  }
  const log = await openAuditLog(logOptions(dir));
  await log.append(exchangeRecord('after'), 'strict');
  await log.close();
  const { damage, newest, entries } = await checkLog({ dir, keys: await publishedKeys(dir), threads: 1 });
  if (damage !== undefined) return `damage: ${JSON.stringify(damage)}`;
  if (newest?.size !== entries) return `${newest?.size} of ${entries} entries are signed`;
  const have = linesOf(dir).map((line) => (JSON.parse(line) as { readonly request_id?: string }).request_id);
  const lost = acknowledged.filter((id) => !have.includes(id));
  if (lost.length > 0) return `acknowledged and lost: ${lost.join(', ')}`;
  return have.filter((id) => id?.startsWith('request-')).length === before ? undefined : 'entries of before are gone';
}

const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']);
const skip = strace.status === 0 ? false : 'strace cannot trace here';

t.test('counted, then failed one by one', { skip, timeout: 900_000 }, async (t) => {
  for (const [start, from, before] of [['a first start', undefined, 0], ['a start after a crash', await crashedLog(), 4]] as const) {
    const counted = place(`count-${before}`, from);
    const whole = await traced(counted, PATHS, []);
    t.equal(whole.acknowledged.length, ENTRIES, `${start}: all is acknowledged when nothing fails`);
    const counts = CALLS.map((call) => [call, whole.trace.split('\n').filter((line) => new RegExp(`^\\d+ +${call}\\(`).test(line)).length] as const);
    for (const call of ['pwrite64', 'fdatasync', 'fsync', 'rename', 'openat']) t.ok(counts.find(([name]) => name === call)![1] > 0, `${start}: ${call} is counted`);
    t.comment(`${start}: ${counts.map(([call, count]) => `${count} ${call}`).join(', ')}`);
    const all = counts.flatMap(([call, count]) => Array.from({ length: count }, (_, i) => FAULTS.map((fault) => [call, i + 1, fault] as const)).flat());
    const chosen = isFull ? all : all.filter((_, i) => i % 11 === before);
    const wrong: string[] = [];
    let faulted = 0;
    const next = async (lane: number): Promise<void> => {
      for (let one = chosen.pop(); one !== undefined; one = chosen.pop()) {
        const [call, nth, fault] = one;
        const dir = place(`${lane}-${before}-${call}-${nth}-${fault}`, from);
        const run = await traced(dir, PATHS, ['-e', `inject=${call}:${fault}:when=${nth}`]);
        if (run.trace.includes('(INJECTED)') || run.trace.includes('SIGKILL')) faulted++;
        const found = await faultOf(dir, run, before, fault).catch((error: unknown) => `it does not open: ${(error as Error).message}`);
        if (found !== undefined) wrong.push(`${call} ${nth} ${fault}: ${found}`);
        rmSync(join(dir, '..'), { recursive: true, force: true });
      }
    };
    const total = chosen.length;
    await Promise.all([next(0), next(1)]);
    t.same(wrong, [], `${start}: ${total} places`);
    t.ok(faulted > total * 0.9, `${start}: ${faulted} of ${total} faults happened`);
  }
});

t.test('a sync that fails is the last: strict refuses from then on', { skip }, async (t) => {
  for (const fault of ['fdatasync:error=EIO:when=3+', 'pwrite64:error=ENOSPC:when=6+']) {
    const dir = place(`refuse-${fault.slice(0, 4)}`);
    const run = await traced(dir, PATHS, ['-e', `inject=${fault}`]);
    t.equal(run.acknowledged.length + run.refused, ENTRIES);
    t.ok(run.acknowledged.length > 0 && run.refused > 0, `${run.acknowledged.length} acknowledged, ${run.refused} refused`);
    t.equal(run.trace.split('(INJECTED)').length - 1, 1, 'it is not tried again');
    t.equal(await faultOf(dir, run, 0, fault), undefined);
  }
});

t.test('a folder that may not be written', { skip }, async (t) => {
  const dir = place('read-only');
  const run = await traced(dir, PATHS, ['-e', 'inject=openat:error=EROFS:when=7+']);
  t.equal(run.acknowledged.length, 0);
  t.equal(await faultOf(dir, run, 0, 'EROFS'), undefined);
});

t.test('a slow disk delays and loses nothing', { skip }, async (t) => {
  const dir = place('slow');
  const began = performance.now();
  const run = await traced(dir, PATHS, ['-e', 'inject=fdatasync:delay_exit=300000']);
  t.equal(run.acknowledged.length, ENTRIES);
  t.ok(performance.now() - began > 300 * ENTRIES, 'each entry waits for its sync');
  t.equal(await faultOf(dir, run, 0, 'slow'), undefined);
});
