/**
 * The verifier of src/audit/README.md, run as it stands there: another language and another hand's arithmetic come to the
 * same root and the same verdict on sound logs and on damaged ones.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkLog, type LogCheck } from '../../src/audit/check.ts';
import { readNoteKeys } from '../../src/audit/checkpoint.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { rotateKey } from '../../src/audit/rotation.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, segmentsOf, writeLog } from '../helpers/audit.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';
import { openCollector, shipAll } from '../helpers/shipping.ts';

t.setTimeout(600_000);

const SCRIPT = /^```python\n([^]*?)^```$/m.exec(readFileSync(join(import.meta.dirname, '../../src/audit/README.md'), 'utf8'))![1]!;
const LINES_MAX = 70;

const python = spawnSync('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 8))']);
const skip = python.status === 0 ? false : 'there is no Python 3.8';

function stranger(dir: string, keys = join(dir, 'key.pub'), ...keepers: readonly string[]): { readonly isSound: boolean; readonly said: string } {
  const { status, stdout, stderr } = spawnSync('python3', ['-c', SCRIPT, dir, keys, ...keepers], { encoding: 'utf8' });
  return { isSound: status === 0, said: `${stdout}${stderr}`.trim() };
}

async function ours(dir: string): Promise<LogCheck> {
  return checkLog({ dir, keys: await publishedKeys(dir), threads: 1 });
}

t.test('it is short', async (t) => {
  t.ok(SCRIPT.trim().split('\n').length <= LINES_MAX, `${SCRIPT.trim().split('\n').length} lines`);
});

t.test('the same root for sound logs', { skip }, async (t) => {
  for (const count of [0, 1, 2, 7, 20]) {
    const dir = logFolder(t);
    await writeLog(dir, count, { segmentBytesMax: 2_000 });
    await writeLog(dir, 1);
    if (count === 7) await rotateKey(logOptions(dir));
    if (count === 20) appendFileSync(join(dir, segmentsOf(dir).at(-1)!), '{"torn');
    const { root, entries, damage } = await ours(dir);
    t.equal(damage, undefined);
    t.same(stranger(dir), { isSound: true, said: `sound: ${entries} entries, root ${root}` });
  }
});

t.test('the same of a log that was pruned', { skip }, async (t) => {
  const dir = logFolder(t);
  let day = 0;
  const options = logOptions(dir, { clock: () => day * 86_400_000, segmentBytesMax: 1 });
  const log = await openAuditLog(options);
  for (; day < 9; day++) {
    await log.append(exchangeRecord(`request-${day}`), 'strict');
    if (day > 3) await pruneLog(log, dir, { days: 3, tenants: {} }, day * 86_400_000);
  }
  await log.close();
  const { root, entries, first, damage } = await ours(dir);
  t.same([damage, first > 3], [undefined, true]);
  t.same(stranger(dir), { isSound: true, said: `sound: ${entries} entries, root ${root}` });
  const proof = readFileSync(join(dir, 'pruned'), 'utf8');
  for (const [name, spoil] of [
    ['another beginning', (copy: string) => writeFileSync(join(copy, 'pruned'), proof.replace(`\\"first\\":${first}`, `\\"first\\":${first + 1}`))],
    ['no word of it', (copy: string) => rmSync(join(copy, 'pruned'))],
    ['one segment less', (copy: string) => rmSync(join(copy, segmentsOf(copy)[0]!))],
  ] as const) {
    const copy = join(dir, `../${name}`);
    cpSync(dir, copy, { recursive: true });
    spoil(copy);
    t.same([stranger(copy).isSound, (await ours(copy)).damage === undefined], [false, false], name);
  }
});

t.test('the same of a copy that its keeper pruned', { skip }, async (t) => {
  const [dir, own] = [logFolder(t), logFolder(t)];
  for (let day = 0; day < 7; day++) {
    const log = await openAuditLog(logOptions(dir, { clock: () => day * 86_400_000, segmentBytesMax: 1 }));
    await log.append(exchangeRecord(`request-${day}`), 'strict');
    await log.close();
  }
  const desk = openCollector(join(own, '../origins'));
  await shipAll(dir, 7, desk, 'test/one');
  const keeper = await openAuditLog(logOptions(own, { origin: 'keeper/one' }));
  await keeper.append(exchangeRecord('request-keeper'), 'strict');
  await desk.collector.withCopy('test/one', (copy) => copy.prune({ days: 3, tenants: {} }, 7 * 86_400_000, (record) => keeper.appendProven(record), () => publishedKeys(own)));
  await Promise.all([desk.collector.close(), keeper.close()]);
  const copy = desk.collector.dirOf('test/one');
  const keys = join(dir, 'key.pub');
  const check = (to: string) => checkLog({ dir: to, keys: readNoteKeys(readFileSync(keys, 'utf8')), keepers: readNoteKeys(readFileSync(join(own, 'key.pub'), 'utf8')), threads: 1 });
  const { root, first, damage } = await check(copy);
  t.same([damage, first], [undefined, 5]);
  t.same(stranger(copy, keys), { isSound: true, said: `sound: 7 entries, root ${root}` });
  t.same(stranger(copy, keys, join(own, 'key.pub')), { isSound: true, said: `sound: 7 entries, root ${root}` });
  t.match(stranger(copy, keys, keys), { isSound: false, said: /note 1 is signed by nobody known/ });
  const proof = readFileSync(join(copy, 'pruned'), 'utf8');
  for (const [name, text] of [['another beginning', proof.replace('\\"first\\":5', '\\"first\\":6')], ['another log', proof.replace('\\"log\\":\\"test/one', '\\"log\\":\\"test/two')], ['as its own', proof.replace('pruned_copy', 'pruned')]] as const) {
    const to = join(dir, `../${name}`);
    cpSync(copy, to, { recursive: true });
    writeFileSync(join(to, 'pruned'), text);
    t.same([stranger(to, keys, join(own, 'key.pub')).isSound, (await check(to)).damage === undefined], [false, false], name);
  }
});

t.test('the same verdict on damaged ones', { skip, timeout: 300_000 }, async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 6, { segmentBytesMax: 1_500 });
  await writeLog(dir, 3);
  const random = randomOf(seed);
  const flips = Array.from({ length: runs(20) }, () => (copy: string): void => {
    const names = [...segmentsOf(copy), 'checkpoints'];
    const path = join(copy, names[Math.floor(random() * names.length)]!);
    const bytes = readFileSync(path);
    bytes[Math.floor(random() * bytes.length)]! ^= 1 << Math.floor(random() * 8);
    writeFileSync(path, bytes);
  });
  const rewrite = (change: (lines: string[]) => readonly string[]) => (copy: string): void => {
    const lines = change(linesOf(copy));
    for (const name of segmentsOf(copy)) rmSync(join(copy, name));
    writeFileSync(join(copy, '000000000000.jsonl'), lines.map((line) => `${line}\n`).join(''));
  };
  const joinLastNote = (copy: string): void => {
    const notes = readFileSync(join(copy, 'checkpoints'), 'utf8');
    const blank = notes.lastIndexOf('\n\n', notes.length - 3);
    writeFileSync(join(copy, 'checkpoints'), `${notes.slice(0, blank)}\n${notes.slice(blank + 2)}`);
  };
  const spoilt = [
    ...flips, joinLastNote, rewrite((lines) => lines), rewrite((lines) => lines.toSpliced(2, 1)), rewrite((lines) => lines.toReversed()), rewrite((lines) => lines.slice(0, 4)), rewrite((lines) => [...lines, lines[0]!]),
    (copy: string) => rmSync(join(copy, segmentsOf(copy)[0]!)), (copy: string) => appendFileSync(join(copy, segmentsOf(copy)[0]!), 'x'), (copy: string) => appendFileSync(join(copy, 'checkpoints'), 'x'),
  ];
  let sound = 0;
  for (const [i, spoil] of spoilt.entries()) {
    const copy = join(dir, `../copy-${i}`);
    mkdirSync(copy);
    cpSync(dir, copy, { recursive: true });
    spoil(copy);
    const [{ isSound, said }, { damage }] = [stranger(copy), await ours(copy)];
    if (isSound) sound++;
    t.equal(isSound, damage === undefined, `${i}: ${said} / ${damage?.reason ?? 'sound'}, seed ${seed}`);
  }
  t.ok(sound >= 2 && sound < spoilt.length / 2, `${sound} of ${spoilt.length} are sound`);
  const other = logFolder(t);
  await writeLog(other, 1);
  t.match(stranger(dir, join(other, 'key.pub')), { isSound: false, said: /note 1 is signed by nobody known/ });
});
