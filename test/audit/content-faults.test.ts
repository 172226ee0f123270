/**
 * Erasing, and giving another master key, while the process dies at any write, sync, rename or removal: done again, it
 * ends as if nothing had happened, and the log verifies. `WEIR_TEST_RUNS` above 1 takes every place, otherwise some.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { ContentVault } from '../../src/audit/vault.ts';
import { linesOf, logOptions } from '../helpers/audit.ts';

const CALLS = ['pwrite64', 'write', 'fdatasync', 'fsync', 'rename', 'unlink'] as const;
const isFull = Number(process.env.WEIR_TEST_RUNS ?? 1) > 1;
const ROOT = mkdtempSync(join(tmpdir(), 'weir-content-faults-'));
t.setTimeout(1_200_000);
t.teardown(() => rmSync(ROOT, { recursive: true, force: true }));

const SOURCE = new URL('../../src/audit/', import.meta.url).href;
const DAYS = ['2026-01-01', '2026-01-02'];
const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']);
const skip = strace.status === 0 ? false : 'strace cannot trace here';

/** What a child does in a data folder. */
const WORK = {
  erase: `await vault.erase({ tenantId: 'acme' }, 'ana');`,
  rotate: `await rotateMasterKey(place, 'ana', (record) => log.append(record, 'strict'));`,
} as const;

function script(work: string): string {
  return `
    import { openAuditLog } from '${SOURCE}log.ts';
    import { ContentVault } from '${SOURCE}vault.ts';
    import { rotateMasterKey } from '${SOURCE}content-rotation.ts';
    const folder = process.argv[1];
    const log = await openAuditLog({ dir: folder + '/audit', keyFile: folder + '/keys/audit.key', origin: 'test/one', clock: Date.now });
    const place = { dir: folder + '/content', keyFile: folder + '/keys/content.key' };
    const vault = new ContentVault({ ...place, clock: Date.now, audit: (record) => log.append(record, 'strict') });
    ${work}
    await log.close();
    console.log('done');`;
}

/** Traced are the content's files and keys alone. */
const PATHS = ['keys', 'keys/content.key', 'keys/content.key.next', 'keys/content.key.next.tmp', 'content', 'content/.key-id', 'content/.key-id.tmp', 'content/acme',
  ...DAYS.flatMap((day) => ['keys', 'keys.tmp', 'content', 'erased', 'erased.tmp'].map((ending) => `content/acme/${day}.${ending}`))];

async function run(folder: string, work: string, injection: readonly string[] = []): Promise<{ readonly done: boolean; readonly trace: string }> {
  const trace = join(folder, '../trace');
  const args = ['-f', '-qq', '-o', trace, '-e', `trace=${CALLS.join(',')}`, ...PATHS.flatMap((path) => ['-P', join(folder, path)]), ...injection, process.execPath, '--input-type=module', '-e', script(work), folder];
  const child = spawn('strace', args, { stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined } });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  return { done: out.includes('done'), trace: readFileSync(trace, 'utf8') };
}

function vaultIn(folder: string): ContentVault {
  return new ContentVault({ dir: join(folder, 'content'), keyFile: join(folder, 'keys/content.key'), clock: Date.now, audit: async () => {} });
}

async function filled(): Promise<string> {
  const folder = join(ROOT, 'filled/data');
  const log = await openAuditLog(logOptions(join(folder, 'audit')));
  const vault = vaultIn(folder);
  for (const [i, day] of DAYS.entries()) for (const n of [0, 1, 2]) vault.put({ tenantId: 'acme', requestId: `${i}-${n}`, startedAt: `${day}T00:00:00Z`, texts: { input: { texts: [{ place: 'x', text: 'said' }], cut: 0 } } });
  await vault.close();
  await log.close();
  return folder;
}

async function statesOf(folder: string): Promise<readonly string[]> {
  const vault = vaultIn(folder);
  return [...new Set(await Promise.all(DAYS.flatMap((_, i) => [0, 1, 2].map(async (n) => (await vault.read({ tenantId: 'acme', requestId: `${i}-${n}` }, 'input')).state))))];
}

for (const [name, work] of Object.entries(WORK)) {
  t.test(`${name}: killed at one place after the other`, { skip }, async (t) => {
    const from = await filled();
    const place = (label: string): string => {
      cpSync(join(from, '..'), join(ROOT, label), { recursive: true });
      return join(ROOT, label, 'data');
    };
    const whole = await run(place(`${name}-count`), work);
    t.ok(whole.done, 'without a fault it is done');
    const places = CALLS.flatMap((call) => Array.from({ length: whole.trace.split('\n').filter((line) => new RegExp(`^\\d+ +${call}\\(`).test(line)).length }, (_, i) => [call, i + 1] as const));
    const chosen = isFull ? places : places.filter((_, i) => i % 3 === 0);
    const wrong: string[] = [];
    for (const [call, nth] of chosen) {
      const folder = place(`${name}-${call}-${nth}`);
      const { done } = await run(folder, work, ['-e', `inject=${call}:signal=KILL:when=${nth}`]);
      if (done) wrong.push(`${call} ${nth}: nobody was killed`);
      const damage = (await checkLog({ dir: join(folder, 'audit'), keys: await publishedKeys(join(folder, 'audit')), threads: 1 })).damage;
      if (damage !== undefined) wrong.push(`${call} ${nth}: ${damage.reason}`);
      if (!(await run(folder, work)).done) wrong.push(`${call} ${nth}: it cannot be done again`);
      const states = await statesOf(folder);
      if (states.join() !== (name === 'erase' ? 'erased' : 'there')) wrong.push(`${call} ${nth}: ${states.join()}`);
      if (!linesOf(join(folder, 'audit')).some((line) => line.includes(name === 'erase' ? '"kind":"erasure"' : '"kind":"content_key_rotation"'))) wrong.push(`${call} ${nth}: no entry says so`);
      rmSync(join(folder, '..'), { recursive: true, force: true });
    }
    t.same(wrong, [], `${chosen.length} of ${places.length} places`);
    t.ok(places.length > 10);
  });
}
