/**
 * Shipping a log, from folder to folder without a network: the copy equals the log byte for byte and verifies; what comes
 * twice, late or in pieces changes nothing; what is altered, forked, rolled back or signed by another is refused and told.
 */
import { appendFileSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { signCheckpoint } from '../../src/audit/checkpoint.ts';
import { readSigner } from '../../src/audit/key.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { Outbox } from '../../src/audit/outbox.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { rotateKey } from '../../src/audit/rotation.ts';
import { GENESIS, sealEntry } from '../../src/audit/entry.ts';
import { readBatch, readPosition, ShipRefusal, type ShipBatch, type ShipPosition } from '../../src/audit/shipment.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, writeLog } from '../helpers/audit.ts';
import { runs, seed } from '../helpers/runs.ts';
import { batchesOf, filesOf, NOWHERE, openCollector, shipAll, SMALL, type Desk } from '../helpers/shipping.ts';

t.setTimeout(300_000);

const LOG = 'test/one';
const ONE = { log: LOG, author: 'tester' };
const PIECES = { segmentBytesMax: 3_000 };

/** Appends in groups, each with its checkpoints, over several openings. */
async function growLog(dir: string, groups: readonly number[]): Promise<number> {
  let at = 0;
  for (const count of groups) {
    const log = await openAuditLog(logOptions(dir, PIECES));
    for (let i = 0; i < count; i++) void log.append(exchangeRecord(`request-${at++}`), 'relaxed');
    await log.close();
  }
  return at;
}

async function same(t: { same(a: unknown, b: unknown, message: string): unknown; match(a: unknown, b: object, message: string): unknown }, dir: string, copy: string): Promise<void> {
  t.same(filesOf(copy), filesOf(dir), 'byte for byte');
  t.match(await checkLog({ dir: copy, keys: await publishedKeys(dir), threads: 1 }), { damage: undefined, entries: linesOf(dir).length, tornBytes: 0 }, 'it verifies');
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'taken';
  } catch (error) {
    if (!(error instanceof ShipRefusal)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

function desk(t: { teardown(close: () => Promise<void>): unknown }, dir: string, logsMax?: number): Desk {
  const opened = openCollector(join(dir, '../origins'), logsMax);
  t.teardown(() => opened.collector.close());
  return opened;
}

t.test('the copy of a log equals it, whatever the bounds of a batch', async (t) => {
  for (const bounds of [SMALL, { entriesMax: 1, checkpointsMax: 1, bytes: 64 }, { entriesMax: 5, checkpointsMax: 9, bytes: 900 }, { entriesMax: 1000, checkpointsMax: 1000, bytes: 1e6 }]) {
    const dir = logFolder(t);
    const size = await growLog(dir, [1, 7, 0, 13, 40, 2]);
    const opened = desk(t, dir);
    const count = await shipAll(dir, size, opened, LOG, bounds);
    t.ok(readdirSync(dir).filter((name) => name.endsWith('.jsonl')).length > 3, `${count} batches`);
    await same(t, dir, opened.collector.dirOf(LOG));
    t.match(opened.records, [{ change: 'pinned', log: LOG, author: 'tester', entries: 0, key: /^test\/one\+/ }]);
    t.equal(opened.records.length, 1);
    t.equal(await shipAll(dir, size, opened, LOG, bounds), 0, 'there is no more');
    const [summary] = await opened.collector.list();
    t.match(summary, { log: LOG, entries: size, lag: 0, refused: null, seen_at: '2026-01-02T03:00:00.000Z', checkpoint: readFileSync(join(dir, 'checkpoints'), 'utf8').split('\n\n').slice(-3, -1).join('\n\n') });
  }
});

t.test('entries are shipped when they are signed for, and while the log is written', async (t) => {
  const dir = logFolder(t);
  const opened = desk(t, dir);
  const log = await openAuditLog(logOptions(dir, PIECES));
  t.teardown(() => log.close());
  let at = 0;
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 1_200; i++) void log.append(exchangeRecord(`r-${at++}`), 'relaxed');
    await log.flush();
    await shipAll(dir, at, opened, LOG, { entriesMax: 300, checkpointsMax: 2, bytes: 1e6 });
    const { entries } = await opened.collector.take(ONE, { size: at, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] });
    t.ok(entries <= at, `${entries} of ${at}`);
  }
  await log.close();
  await shipAll(dir, at, opened, LOG);
  await same(t, dir, opened.collector.dirOf(LOG));
});

t.test('batches that come twice, late, and over one another change nothing', async (t) => {
  const dir = logFolder(t);
  const size = await growLog(dir, [5, 11, 1, 9]);
  await fc.assert(fc.asyncProperty(fc.array(fc.nat(1_000), { minLength: 5, maxLength: 60 }), fc.constantFrom(SMALL, { entriesMax: 4, checkpointsMax: 1, bytes: 900 }, { entriesMax: 7, checkpointsMax: 5, bytes: 9_000 }), async (choices, bounds) => {
    const opened = openCollector(join(logFolder(t), 'origins'));
    const seen: ShipBatch[] = [];
    let at = 0;
    for await (const batch of batchesOf(dir, size, (one) => opened.collector.take(ONE, one), bounds)) {
      seen.push(batch);
      const choice = choices[at++ % choices.length]!;
      const old = seen[choice % seen.length]!;
      const before = await opened.collector.take(ONE, { ...batch, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] });
      if (old === batch) continue;
      const after = await opened.collector.take(ONE, old);
      if (JSON.stringify(before) !== JSON.stringify(after)) throw new Error(`an old batch moved ${JSON.stringify(before)} to ${JSON.stringify(after)}`);
    }
    for (const batch of seen) await opened.collector.take(ONE, batch);
    const [copy, original] = [filesOf(opened.collector.dirOf(LOG)), filesOf(dir)];
    await opened.collector.close();
    if (JSON.stringify(copy) !== JSON.stringify(original)) throw new Error('the copy differs');
    if (opened.records.length !== 1) throw new Error('something was told');
  }), { numRuns: runs(25), seed });
  t.pass(`seed ${seed}`);
});

t.test('two that cut the log differently share one copy', async (t) => {
  const dir = logFolder(t);
  const size = await growLog(dir, [30, 4, 20]);
  const opened = desk(t, dir);
  const take = (batch: ShipBatch): Promise<ShipPosition> => opened.collector.take(ONE, batch);
  const small = batchesOf(dir, size, take, { entriesMax: 2, checkpointsMax: 1, bytes: 5_000 });
  for (let i = 0; i < 6; i++) await small.next();
  for await (const _ of batchesOf(dir, size, take, { entriesMax: 9, checkpointsMax: 3, bytes: 9_000 }));
  await same(t, dir, opened.collector.dirOf(LOG));
});

t.test('what a crash of the receiver leaves is mended and completed', async (t) => {
  const dir = logFolder(t);
  const size = await growLog(dir, [9, 3, 14]);
  const whole = openCollector(join(logFolder(t), 'origins'));
  await shipAll(dir, size, whole, LOG);
  await whole.collector.close();
  const files = filesOf(dir);
  const segments = Object.keys(files).filter((name) => name.endsWith('.jsonl'));
  await fc.assert(fc.asyncProperty(fc.nat(segments.length - 1), fc.nat(1_000_000), fc.nat(1_000_000), fc.boolean(), async (last, cut, noteCut, hasEdge) => {
    const opened = openCollector(join(logFolder(t), 'origins'));
    const copy = opened.collector.dirOf(LOG);
    cpSync(whole.collector.dirOf(LOG), copy, { recursive: true });
    for (const name of segments.slice(last + 1)) rmSync(join(copy, name));
    truncateSync(join(copy, segments[last]!), cut % (files[segments[last]!]!.length + 1));
    // Entries are synced before the checkpoints that cover them.
    const lines = linesOf(copy).length;
    const notes = readFileSync(join(copy, 'checkpoints'), 'utf8').split(/(?<=\n\n— .*\n\n)/u).filter((note) => Number(note.split('\n')[1]) <= lines).join('');
    writeFileSync(join(copy, 'checkpoints'), notes.slice(0, Math.max(0, notes.length - (noteCut % 700))));
    if (!hasEdge) rmSync(join(copy, 'edge.json'));
    await shipAll(dir, size, opened, LOG);
    await opened.collector.close();
    const found = filesOf(copy);
    for (const name of Object.keys(files)) if (found[name] !== files[name] && !(name === 'edge.json' && !hasEdge)) throw new Error(`${name} differs`);
  }), { numRuns: runs(40), seed });
  t.pass(`seed ${seed}`);
});

t.test('a new key is followed when both have signed for it', async (t) => {
  const dir = logFolder(t);
  await growLog(dir, [4]);
  await rotateKey(logOptions(dir, PIECES));
  await growLog(dir, [3]);
  await rotateKey(logOptions(dir, PIECES));
  await growLog(dir, [6]);
  const size = linesOf(dir).length;
  for (const bounds of [SMALL, { entriesMax: 1, checkpointsMax: 1, bytes: 100 }, { entriesMax: 100, checkpointsMax: 100, bytes: 1e6 }]) {
    const opened = openCollector(join(logFolder(t), 'origins'));
    await shipAll(dir, size, opened, LOG, bounds);
    await opened.collector.close();
    await same(t, dir, opened.collector.dirOf(LOG));
    t.equal((await publishedKeys(opened.collector.dirOf(LOG))).length, 3);
  }
});

t.test('what is altered is refused with its place', async (t) => {
  const dir = logFolder(t);
  const size = await growLog(dir, [6, 6]);
  const opened = desk(t, dir);
  let tried = 0;
  const wide = { entriesMax: 4, checkpointsMax: 5, bytes: 9_000 };
  for await (const batch of batchesOf(dir, size, (one) => opened.collector.take(ONE, one), wide)) {
    const wrong = (change: Partial<ShipBatch>): Promise<string> => refusal(opened.collector.take(ONE, { ...batch, ...change }));
    for (const [i, line] of batch.entries.entries()) {
      const others = (fresh: readonly string[]): Partial<ShipBatch> => ({ entries: [...batch.entries.slice(0, i), ...fresh, ...batch.entries.slice(i + 1)] });
      t.match(await wrong(others([line.replace('"status":200', '"status":500')])), new RegExp(`^altered: entry ${batch.from + i}: the line does not match its hash`));
      t.match(await wrong(others([])), /^altered/, 'one is left out');
      t.match(await wrong(others([line, line])), /^altered/, 'one is there twice');
      t.match(await wrong(others([`${line}\n${line}`])), /^altered/);
      const entry = JSON.parse(line) as { index: number; time: string; origin: string; prev: string };
      const resealed = sealEntry({ ...entry, time: '2026-01-02T03:00:01.000Z' }, exchangeRecord('other')).line;
      t.match(await wrong(others([resealed])), /^altered/, 'its hash made anew');
      tried++;
    }
    if (batch.entries.length > 0) t.match(await wrong({ checkpoints: [] }), /^altered: no checkpoint of the batch covers/);
    for (const [i, note] of batch.checkpoints.entries()) {
      const others = (fresh: string): Partial<ShipBatch> => ({ checkpoints: batch.checkpoints.map((one, at) => (at === i ? fresh : one)) });
      const parts = note.split('\n');
      t.match(await wrong(others(note.replace(`\n${parts[1]}\n`, `\n${Number(parts[1]) + 1}\n`))), /^(?:wrong_key|altered)/);
      t.match(await wrong(others(note.replace('test/one\n', 'test/two\n'))), /^wrong_log: a checkpoint is of the log test\/two/);
      t.match(await wrong(others('no note')), /^altered/);
    }
    if (batch.rest.length > 0) {
      t.match(await wrong({ rest: [] }), /^altered/);
      t.match(await wrong({ rest: batch.rest.map(({ level, hash }) => ({ level: level + 1, hash })) }), /^altered/);
    }
    if (batch.entries.length > 0 && batch.from > 1) t.match(await wrong({ segment: 1 }), /^altered: entry \d+ is sent as one of segment 1/);
  }
  t.ok(tried > 10);
  await same(t, dir, opened.collector.dirOf(LOG));
  t.same([...new Set(opened.records.map(({ change, code }) => `${change} ${code ?? ''}`))].sort(), ['pinned ', 'refused altered', 'refused wrong_key', 'refused wrong_log', 'resumed '].sort(), 'each is told once');
  t.ok(opened.records.length <= 5);
});

t.test('a gap is answered with what comes next', async (t) => {
  const dir = logFolder(t);
  const size = await growLog(dir, [6, 6]);
  const opened = desk(t, dir);
  const take = (batch: ShipBatch): Promise<ShipPosition> => opened.collector.take(ONE, batch);
  const seen: ShipBatch[] = [];
  for await (const batch of batchesOf(dir, size, async (one) => ({ ...NOWHERE, entries: one.from + one.entries.length, signed: Number(one.checkpoints[0]!.split('\n')[1]) }))) seen.push(batch);
  await take(seen[0]!);
  await t.rejects(take(seen.at(-1)!), { code: 'gap', position: { entries: seen[0]!.entries.length } });
  t.equal(opened.records.length, 1, 'it is nothing to tell');
});

t.test('a fork is refused and told, and so is a log that was cut', async (t) => {
  const dir = logFolder(t);
  await growLog(dir, [8]);
  const backup = join(dir, '../backup');
  cpSync(dir, backup, { recursive: true });
  const size = 8 + (await growLog(dir, [4]));
  const opened = desk(t, dir);
  await shipAll(dir, size, opened, LOG);
  const before = filesOf(opened.collector.dirOf(LOG));

  t.match(await refusal(opened.collector.take(ONE, { size: 8, from: size, segment: 0, entries: [], checkpoints: [], rest: [] })), /^rolled_back: the log holds 8 entries, and 12 of it are here: it was cut short, or restored from an older copy/);
  rmSync(join(backup, 'lock'), { force: true });
  const log = await openAuditLog(logOptions(backup, PIECES));
  for (let i = 0; i < 7; i++) await log.append(exchangeRecord(`other-${i}`), 'strict');
  await log.close();
  t.match(await refusal(shipAll(backup, 15, opened, LOG)), /^fork: entry 11 of this log is another one here: the log was restored from an older copy and went on/);
  for await (const batch of batchesOf(backup, 15, async (one) => ({ ...NOWHERE, entries: one.from + one.entries.length, signed: 8 }), { entriesMax: 2, checkpointsMax: 9, bytes: 9_000 }, { ...NOWHERE, entries: 8, signed: 8 })) {
    t.match(await refusal(opened.collector.take(ONE, batch)), /^(?:fork|gap): /, `entries ${batch.from} to ${batch.from + batch.entries.length - 1}`);
    if (batch.from > 12) break;
  }
  t.same(filesOf(opened.collector.dirOf(LOG)), before, 'the copy stays as it was');
  t.match(opened.records, [{ change: 'pinned' }, { change: 'refused', code: 'rolled_back', author: 'tester', entries: 12 }, { change: 'refused', code: 'fork' }]);
  t.match(await opened.collector.list(), [{ entries: 12, refused: { code: 'fork' } }]);
  await growLog(dir, [1]);
  await shipAll(dir, 13, opened, LOG);
  t.match(opened.records.slice(3), [{ change: 'resumed', entries: 13 }], 'the log itself goes on');
  t.match(await opened.collector.list(), [{ entries: 13, refused: null }]);
});

t.test('another key is refused, and so is another log under the name', async (t) => {
  const dir = logFolder(t);
  const size = await growLog(dir, [5]);
  const opened = desk(t, dir);
  await shipAll(dir, size, opened, LOG);
  const stranger = logFolder(t);
  await writeLog(stranger, 9);
  t.match(await refusal(shipAll(stranger, 9, opened, LOG)), /^wrong_key: a checkpoint is signed with test\/one\+\w+, and the key that counts is test\/one\+/);
  const third = logFolder(t);
  await writeLog(third, 9, { origin: 'test/three' });
  t.match(await refusal(shipAll(third, 9, opened, LOG)), /^wrong_log/);
  t.match(await refusal(shipAll(third, 9, opened, 'test/four')), /^wrong_log/, 'nor under a name that is free');
  t.same((await opened.collector.list()).map(({ log }) => log), [LOG]);
});

t.test('a key that is given beforehand counts from the first entry on', async (t) => {
  const [dir, forged] = [logFolder(t), logFolder(t)];
  await writeLog(dir, 4);
  await writeLog(forged, 4);
  const opened = desk(t, dir);
  const copy = opened.collector.dirOf(LOG);
  cpSync(join(dir, 'key.pub'), join(copy, 'key.pub'), { recursive: true });
  t.match(await refusal(shipAll(forged, 4, opened, LOG)), /^wrong_key/);
  t.match(opened.records, [{ change: 'refused', code: 'wrong_key', entries: 0 }]);
  await shipAll(dir, 4, opened, LOG);
  await same(t, dir, copy);
  t.match(opened.records.slice(1), [{ change: 'resumed' }]);
});

t.test('a log whose key was lost goes on when its new key is given', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 4);
  const opened = desk(t, dir);
  await shipAll(dir, 4, opened, LOG);
  rmSync(join(dir, '../keys'), { recursive: true });
  await writeLog(dir, 2, { acceptKey: true });
  t.match(await refusal(shipAll(dir, 6, opened, LOG)), /^wrong_key/);
  appendFileSync(join(opened.collector.dirOf(LOG), 'key.pub'), `${(await publishedKeys(dir)).at(-1)!.text}\n`);
  await shipAll(dir, 6, opened, LOG);
  await same(t, dir, opened.collector.dirOf(LOG));
});

t.test('whoever has the key and signs another tree is refused', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 4);
  const opened = desk(t, dir);
  const signer = (await readSigner(join(dir, '../keys/audit.key'), LOG))!;
  const lie = signCheckpoint({ origin: LOG, size: 4, root: GENESIS }, signer);
  const [first] = await (async () => { for await (const batch of batchesOf(dir, 4, async () => NOWHERE, { entriesMax: 9, checkpointsMax: 99, bytes: 9_000 })) return [batch]; return []; })();
  t.match(await refusal(opened.collector.take(ONE, { ...first!, checkpoints: [lie] })), /^altered: the first 4 entries are not those that the checkpoint was signed for/);
});

t.test('logs are counted, and few batches of one wait', async (t) => {
  const dirs = [logFolder(t), logFolder(t)];
  for (const [i, dir] of dirs.entries()) await writeLog(dir, 2, { origin: `test/${i}` });
  const opened = desk(t, dirs[0]!, 1);
  await shipAll(dirs[0]!, 2, opened, 'test/0');
  t.match(await refusal(shipAll(dirs[1]!, 2, opened, 'test/1')), /^too_many_logs/);
  const question = { size: 2, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] };
  t.same(await opened.collector.take({ log: 'test/1', author: 'x' }, question), NOWHERE, 'a question leaves no trace');
  const asked = await Promise.all(Array.from({ length: 9 }, () => refusal(opened.collector.take({ log: 'test/0', author: 'x' }, question))));
  t.same([...new Set(asked.map((text) => text.split(':')[0]))].sort(), ['busy', 'taken']);
  t.equal(await opened.collector.entries('..', {}), undefined);
  t.equal(await opened.collector.entries('test/9', {}), undefined);
});

t.test('where entries pass their retention the copy keeps them, and what was not shipped before is told', async (t) => {
  const dir = logFolder(t);
  const [log, opened] = [await openAuditLog(logOptions(dir, { segmentBytesMax: 1 })), desk(t, dir)];
  t.teardown(() => log.close());
  const outbox = new Outbox(dir, SMALL);
  let position = NOWHERE;
  const shipped = async (): Promise<void> => {
    for (let batch = await outbox.next(position, log.head().index + 1); batch !== undefined; batch = await outbox.next(position, log.head().index + 1)) position = await opened.collector.take(ONE, batch);
  };
  for (let day = 0; day < 4; day++) {
    for (let i = 0; i < 5; i++) await log.append(exchangeRecord(`day-${day}-${i}`), 'strict');
    await shipped();
    t.ok(position.entries > day * 5, `${position.entries} entries`);
    t.ok(await pruneLog(log, dir, { days: 1, tenants: {} }, 1_767_322_800_000 + 3 * 86_400_000), 'something is removed');
  }
  await log.append(exchangeRecord('last'), 'strict');
  await log.close();
  await shipped();
  const { damage, entries } = await checkLog({ dir: opened.collector.dirOf(LOG), keys: await publishedKeys(dir), threads: 1 });
  t.same([damage, entries], [undefined, log.head().index + 1], 'the copy has all of it');
  await t.rejects(new Outbox(dir).next(NOWHERE, 30), { message: /^the log begins with entry \d+, and those from 0 on passed their retention before they were shipped/ });
});

t.test('a copy that is damaged is not written to', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 6);
  const first = openCollector(join(dir, '../origins'));
  await shipAll(dir, 6, first, LOG);
  await first.collector.close();
  const segment = join(first.collector.dirOf(LOG), '000000000000.jsonl');
  const bytes = readFileSync(segment);
  bytes[bytes.indexOf('"status":200') + 9] = 0x35;
  writeFileSync(segment, bytes);
  await writeLog(dir, 1);
  const opened = desk(t, dir);
  await t.rejects(shipAll(dir, 7, opened, LOG), { code: 'audit_unavailable', message: /the copy of the audit log test\/one cannot be read or written/ });
  t.match(await opened.collector.list(), [{ refused: { code: 'unavailable', reason: /the audit log is damaged: 000000000000.jsonl line \d+ .*; where it is damaged, move its folder away/ } }]);
  t.equal(statSync(segment).size, bytes.length);
  renameSync(opened.collector.dirOf(LOG), join(dir, '../damaged'));
  await shipAll(dir, 7, opened, LOG);
  await same(t, dir, opened.collector.dirOf(LOG));
  t.match(await opened.collector.list(), [{ refused: null }]);
});

t.test('a batch and a position are read whole or not', async (t) => {
  const good = { size: 3, from: 1, segment: 0, entries: ['x'], checkpoints: ['y'], rest: [{ level: 0, hash: GENESIS }] };
  t.same(readBatch(good), good);
  t.same(readBatch({ ...good, key: 'k', more: 1 }), { ...good, key: 'k' });
  for (const wrong of [{ size: -1 }, { from: 1.5 }, { segment: 2 }, { entries: 'x' }, { entries: [''] }, { entries: Array(1_001).fill('x') }, { checkpoints: [1] }, { rest: [{ level: 60, hash: GENESIS }] }, { rest: [{ level: 0, hash: 'x' }] }, { key: 1 }]) t.equal(readBatch({ ...good, ...wrong }), undefined, JSON.stringify(wrong).slice(0, 50));
  for (const wrong of [null, 1, [], 'x', {}]) t.same([readBatch(wrong), readPosition(wrong)], [undefined, undefined]);
  t.same(readPosition(NOWHERE), NOWHERE);
  t.equal(readPosition({ ...NOWHERE, signed: -2 }), undefined);
});
