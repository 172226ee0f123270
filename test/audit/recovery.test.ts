/**
 * Opening a log that was left in any state: what a crash leaves is mended and recorded, what no crash leaves stops it;
 * keys that are gone, other or replaced; losses that an operator accepts.
 */
import { existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync, appendFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { acceptLoss } from '../../src/audit/acceptance.ts';
import { checkLog, type LogCheck } from '../../src/audit/check.ts';
import { readCheckpoint, readCheckpoints } from '../../src/audit/checkpoint.ts';
import { createSigner, nextKeyFile, readSigner } from '../../src/audit/key.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { rotateKey } from '../../src/audit/rotation.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, segmentsOf, verifyFolder, writeLog } from '../helpers/audit.ts';
import { until } from '../helpers/upstream.ts';

async function check(dir: string): Promise<LogCheck> {
  return checkLog({ dir, keys: await publishedKeys(dir), threads: 1 });
}

function checkpointSizes(dir: string): readonly number[] {
  return readCheckpoints(readFileSync(join(dir, 'checkpoints'))).checkpoints.map(({ size }) => size);
}

async function filledLog(t: Test, count = 6): Promise<string> {
  const dir = logFolder(t);
  await writeLog(dir, count, { segmentBytesMax: 1_500 });
  return dir;
}

t.test('checkpoints come by themselves: at once when it opens, within seconds, every thousand entries, when it closes', async (t) => {
  const dir = logFolder(t);
  const log = await openAuditLog(logOptions(dir));
  t.match(readCheckpoint(log.checkpoint()), { size: 0, origin: 'test/one' });
  await log.append(exchangeRecord('a'), 'relaxed');
  await until(() => readCheckpoint(log.checkpoint())!.size === 1, 20_000, 'a checkpoint');
  for (let i = 0; i < 2_500; i++) void log.append(exchangeRecord(`r${i}`), 'relaxed');
  await log.append(exchangeRecord('strict'), 'strict');
  await log.close();
  t.equal(readCheckpoint(log.checkpoint())!.size, 2_502);
  t.equal(checkpointSizes(dir).at(-1), 2_502);
  t.match(await check(dir), { entries: 2_502, damage: undefined });
  t.equal(statSync(join(dir, '../keys/audit.key')).mode & 0o777, 0o600);
});

t.test('an idle log signs nothing', async (t) => {
  const dir = await filledLog(t);
  const before = checkpointSizes(dir);
  const log = await openAuditLog(logOptions(dir));
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  await log.close();
  t.same(checkpointSizes(dir), before);
});

t.test('unfinished lines and notes after the last checkpoint are cut, and the log says so', async (t) => {
  const dir = await filledLog(t);
  const last = segmentsOf(dir).at(-1)!;
  appendFileSync(join(dir, last), '{"index":6,"ki');
  appendFileSync(join(dir, 'checkpoints'), 'test/one\n7\nabc');
  t.match(await check(dir), { entries: 6, tornBytes: 14, tornNoteBytes: 14, damage: undefined });
  await writeLog(dir, 1);
  t.match(linesOf(dir).slice(6).map((line) => JSON.parse(line)), [{ kind: 'recovered', bytes: 14 }, { kind: 'exchange' }]);
  t.match(await check(dir), { entries: 8, tornBytes: 0, tornNoteBytes: 0, damage: undefined, newest: { size: 8 } });
});

t.test('entries that are whole and not signed yet stay, as after kill -9', async (t) => {
  const dir = await filledLog(t, 2);
  const keep = readFileSync(join(dir, 'checkpoints'));
  await writeLog(dir, 4);
  writeFileSync(join(dir, 'checkpoints'), keep);
  t.match(await check(dir), { entries: 6, newest: { size: 2 }, damage: undefined });
  await (await openAuditLog(logOptions(dir))).close();
  t.match(await check(dir), { entries: 6, newest: { size: 6 }, damage: undefined });
});

t.test('the tree is found again when what was kept of it is gone, old or spoilt', async (t) => {
  const dir = await filledLog(t, 9);
  const path = join(dir, 'edge.json');
  const edge = readFileSync(path, 'utf8');
  for (const spoilt of [undefined, '', '[]', 'null', '{}', edge.replace(/[0-9a-f]{8}/, '00000000'), '[{"level":40,"hash":""}]']) {
    if (spoilt === undefined) rmSync(path);
    else writeFileSync(path, spoilt);
    await writeLog(dir, 1, { segmentBytesMax: 1_500 });
    const { damage, newest, entries } = await check(dir);
    t.same([damage, newest?.size], [undefined, entries], JSON.stringify(spoilt));
  }
});

t.test('what a crash does not leave stops the log', async (t) => {
  const dir = await filledLog(t);
  const last = join(dir, segmentsOf(dir).at(-1)!);
  const [segment, notes] = [readFileSync(last), readFileSync(join(dir, 'checkpoints'))];
  const stopped = async (message: RegExp): Promise<void> => {
    await t.rejects(openAuditLog(logOptions(dir)), { code: 'audit_unavailable', message });
    writeFileSync(last, segment);
    writeFileSync(join(dir, 'checkpoints'), notes);
  };
  writeFileSync(last, segment.subarray(0, -1));
  await stopped(/damaged: the newest checkpoint is of 6 entries, and the files hold 5; weir audit accept-loss/);
  writeFileSync(last, segment.subarray(0, segment.lastIndexOf(0x0a, -2) + 1));
  await stopped(/the newest checkpoint is of 6 entries, and the files hold \d/);
  writeFileSync(last, Buffer.from(segment).fill('x', 20, 21));
  await stopped(/jsonl line 1 \(entry \d\): the line does not match its hash/);
  appendFileSync(last, 'a whole line that is no entry\n');
  await stopped(/does not end with its hash/);
  writeFileSync(join(dir, 'checkpoints'), `nonsense\n\nx\n\n${notes.toString()}`);
  await stopped(/checkpoints, note 1: it is no checkpoint/);
  const other = logFolder(t);
  await writeLog(other, 6, { clock: () => 1_767_322_900_000, segmentBytesMax: 1_500 });
  for (const name of [...segmentsOf(dir), 'edge.json']) renameSync(join(other, name), join(dir, name));
  await t.rejects(openAuditLog(logOptions(dir)), { message: /the first 6 entries are not those that the newest checkpoint was signed for/ });
});

t.test('a clock that goes back changes no order', async (t) => {
  const dir = logFolder(t);
  let now = 1_767_322_800_000;
  const log = await openAuditLog(logOptions(dir, { clock: () => now }));
  await log.append(exchangeRecord('a'), 'strict');
  now -= 3_600_000;
  await log.append(exchangeRecord('b'), 'strict');
  await log.close();
  await writeLog(dir, 1);
  t.same(linesOf(dir).map((line) => (JSON.parse(line) as { readonly index: number }).index), [0, 1, 2]);
  t.equal((await check(dir)).damage, undefined);
});

t.test('a key that is missing or another is not replaced by itself', async (t) => {
  const dir = await filledLog(t);
  const { keyFile } = logOptions(dir);
  const key = readFileSync(keyFile);
  rmSync(keyFile);
  await t.rejects(openAuditLog(logOptions(dir)), { code: 'audit_unavailable', message: /audit\.key is missing, and the audit log was signed with test\/one\+[0-9a-f]{8}; put it|that one back/ });
  t.notOk(existsSync(keyFile));
  await createSigner(keyFile, 'test/one');
  await t.rejects(openAuditLog(logOptions(dir)), { message: /audit\.key is test\/one\+[0-9a-f]{8}, and the audit log was signed with/ });
  writeFileSync(keyFile, 'no key');
  await t.rejects(openAuditLog(logOptions(dir)), { message: /holds no private key in PKCS8/ });
  rmSync(join(dir, 'key.pub'));
  writeFileSync(keyFile, key);
  await (await openAuditLog(logOptions(dir))).close();
  t.equal((await publishedKeys(dir)).length, 1, 'the public half is written again');

  rmSync(keyFile);
  t.match(await acceptLoss(logOptions(dir), true), { reason: 'the signing key was lost', kept: 6, count: 0, setAside: undefined });
  await writeLog(dir, 1);
  t.match(await check(dir), { entries: 8, damage: undefined, losses: [{ index: 6, reason: 'the signing key was lost', count: 0 }] });
  t.match((await checkLog({ dir, keys: (await publishedKeys(dir)).slice(0, 1) })).damage, { segment: 'checkpoints', reason: /none of the keys/ }, 'whoever trusts the first key alone is told');
});

t.test('a rotated key: both sign the entry, one key leads to the other, the old one signs nothing more', async (t) => {
  const dir = await filledLog(t);
  const options = logOptions(dir);
  const old = (await readSigner(options.keyFile, 'x'))!;
  const oldFile = readFileSync(options.keyFile);
  const first = await rotateKey(options);
  t.equal(first.index, 6);
  await writeLog(dir, 2);
  const second = await rotateKey(options);
  await writeLog(dir, 1);
  t.equal((await publishedKeys(dir)).length, 3);
  t.equal(statSync(options.keyFile).mode & 0o777, 0o600);
  t.notOk(existsSync(nextKeyFile(options.keyFile)));
  for (const key of [old.public, first.to, second.to]) t.match(await checkLog({ dir, keys: [key] }), { entries: 11, rotations: 2, damage: undefined });

  writeFileSync(options.keyFile, oldFile);
  await t.rejects(openAuditLog(options), { message: /and the audit log was signed with/ });
  const forged = await openAuditLog({ ...options, acceptKey: true });
  await forged.append(exchangeRecord('x'), 'strict');
  await forged.close();
  t.match((await checkLog({ dir, keys: [old.public] })).damage, { segment: 'checkpoints', reason: /it is signed with test\/one\+[0-9a-f]{8}, which entry 6 replaced/ });
});

t.test('a rotation that was cut short is ended or undone by the next start', async (t) => {
  const dir = await filledLog(t);
  const options = logOptions(dir);
  const next = nextKeyFile(options.keyFile);
  const before = await createSigner(next, 'test/one');
  await writeLog(dir, 1);
  t.notOk(existsSync(next), 'no entry names it: it is dropped');
  t.not((await readSigner(options.keyFile, 'x'))!.public.id, before.public.id);

  const [key, notes] = [readFileSync(options.keyFile), readFileSync(join(dir, 'checkpoints'))];
  const { to } = await rotateKey(options);
  renameSync(options.keyFile, next);
  writeFileSync(options.keyFile, key);
  await writeLog(dir, 1);
  t.equal((await readSigner(options.keyFile, 'x'))!.public.id, to.id, 'a checkpoint is signed with it');
  t.notOk(existsSync(next));
  renameSync(options.keyFile, next);
  writeFileSync(options.keyFile, key);
  writeFileSync(join(dir, 'checkpoints'), notes);
  writeFileSync(join(dir, 'key.pub'), readFileSync(join(dir, 'key.pub'), 'utf8').split('\n')[0]! + '\n');
  await writeLog(dir, 1);
  t.equal((await readSigner(options.keyFile, 'x'))!.public.id, to.id, 'an entry that is not signed yet names it');
  t.match(await check(dir), { damage: undefined, rotations: 1 });
});

t.test('an accepted loss: what holds stays, the rest is set aside, an entry tells, and a kept checkpoint fits no more', async (t) => {
  const spoil: readonly (readonly [string, (dir: string) => void, number])[] = [
    ['a changed entry', (dir) => writeFileSync(join(dir, segmentsOf(dir)[1]!), readFileSync(join(dir, segmentsOf(dir)[1]!)).fill('x', 30, 31)), 3],
    ['the end cut off', (dir) => rmSync(join(dir, segmentsOf(dir).at(-1)!)), 6],
    ['a whole line that is none', (dir) => appendFileSync(join(dir, segmentsOf(dir).at(-1)!), 'x\n'), 9],
    ['a checkpoint that is none', (dir) => appendFileSync(join(dir, 'checkpoints'), 'x\n\ny\n\n'), 9],
    ['everything gone', (dir) => segmentsOf(dir).forEach((name) => rmSync(join(dir, name))), 0],
  ];
  for (const [name, change, kept] of spoil) {
    const dir = await filledLog(t, 9);
    const since = (await check(dir)).newest!;
    const lines = linesOf(dir);
    change(dir);
    const damaged = readFileSync(join(dir, 'checkpoints'));
    await t.rejects(openAuditLog(logOptions(dir)), { code: 'audit_unavailable' }, name);
    const accepted = (await acceptLoss(logOptions(dir), false))!;
    t.match(accepted, { kept, count: 9 - kept }, name);
    t.same(readFileSync(join(dir, accepted.setAside!, 'checkpoints')), damaged);
    t.same(linesOf(dir).slice(0, kept), lines.slice(0, kept));
    t.match(JSON.parse(linesOf(dir)[kept]!), { kind: 'loss_accepted', count: 9 - kept, set_aside: accepted.setAside });
    await writeLog(dir, 1);
    t.match(await check(dir), { entries: kept + 2, damage: undefined, losses: [{ index: kept }] });
    const { damage } = await checkLog({ dir, keys: await publishedKeys(dir), since });
    t.equal(damage === undefined, kept === 9, `${name}: the kept checkpoint`);
    t.equal(await acceptLoss(logOptions(dir), false), undefined, 'nothing more is lost');
  }
});

t.test('a folder that is in use is not mended', async (t) => {
  const dir = await filledLog(t);
  const log = await openAuditLog(logOptions(dir));
  await t.rejects(acceptLoss(logOptions(dir), false), { code: 'audit_unavailable', message: /already writes/ });
  await t.rejects(rotateKey(logOptions(dir)), { message: /already writes/ });
  await log.close();
  t.same(readdirSync(dir).filter((name) => name.startsWith('set-aside')), []);
  t.equal(verifyFolder(dir).entries, 6);
});
