/**
 * The verifier of whole logs: sound ones hold however they are cut into blocks and threads, and everything that can be
 * done to the files of one without its key is found, and located.
 */
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkLog, type CheckOptions, type LogCheck } from '../../src/audit/check.ts';
import { noteKey, readCheckpoint, readCheckpoints, readNoteKey, signCheckpoint, type SignedCheckpoint } from '../../src/audit/checkpoint.ts';
import { canonicalJson, GENESIS } from '../../src/audit/entry.ts';
import { createSigner } from '../../src/audit/key.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { leafHash, TreeEdge } from '../../src/audit/tree.ts';
import { exchangeRecord, linesOf, logFolder, logOptions, segmentsOf, writeLog } from '../helpers/audit.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

async function check(dir: string, more: Partial<CheckOptions> = {}): Promise<LogCheck> {
  return checkLog({ dir, keys: await publishedKeys(dir), threads: 1, ...more });
}

function checkpointsOf(dir: string): readonly SignedCheckpoint[] {
  return readCheckpoints(readFileSync(join(dir, 'checkpoints'))).checkpoints;
}

/** A log of several segments and checkpoints: opened and closed a few times. */
async function variedLog(t: Test, sessions = 4, each = 6): Promise<string> {
  const dir = logFolder(t);
  for (let i = 0; i < sessions; i++) await writeLog(dir, each, { segmentBytesMax: 2_000 });
  return dir;
}

/** A copy to spoil. */
function copyOf(dir: string, name: string): string {
  const copy = join(dir, '..', name, 'audit');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  cpSync(dir, copy, { recursive: true });
  cpSync(join(dir, '../keys'), join(copy, '../keys'), { recursive: true });
  return copy;
}

/** The body of an entry, sealed as the log does. */
function sealed(body: string): string {
  return `${body.slice(0, -1)},"hash":"${leafHash(Buffer.from(body))}"}`;
}

/** Puts other lines in place of a log of one segment. */
function rewrite(dir: string, lines: readonly string[]): void {
  for (const name of segmentsOf(dir)) rmSync(join(dir, name));
  writeFileSync(join(dir, '000000000000.jsonl'), lines.map((line) => `${line}\n`).join(''));
}

t.test('a sound log holds, in blocks of any size and on any number of threads', async (t) => {
  const dir = await variedLog(t);
  const whole = await check(dir);
  t.match(whole, { entries: 24, damage: undefined, tornBytes: 0, tornNoteBytes: 0, head: { index: 23 }, losses: [], rotations: 0 });
  t.equal(whole.bytes, segmentsOf(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0));
  t.equal(whole.newest?.size, 24);
  t.equal(whole.newest?.root, whole.root);
  t.ok(segmentsOf(dir).length >= 4);
  t.equal(whole.checkpoints, checkpointsOf(dir).length);
  t.ok(whole.checkpoints >= 8, 'one at each opening, each closing and each segment');
  const tree = new TreeEdge();
  for (const line of linesOf(dir)) tree.append(leafHash(Buffer.from(line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}'))));
  t.equal(whole.root, tree.root(), 'the tree is over the entries as they stand in the files, without their hash');
  let told = 0;
  for (const blockBytes of [1, 7, 300, 700, 1_999, 1 << 20]) t.same(await check(dir, { blockBytes, progress: (bytes, total) => void (told = bytes / total) }), whole, `${blockBytes} bytes`);
  t.equal(told, 1);
  t.same(await check(dir, { blockBytes: 500, threads: 3 }), whole, 'three threads');
});

t.test('an empty folder, and a log before its first entry', async (t) => {
  const dir = logFolder(t);
  mkdirSync(dir, { recursive: true });
  t.match(await check(dir), { entries: 0, damage: undefined, newest: undefined, checkpoints: 0 });
  await (await openAuditLog(logOptions(dir))).close();
  t.match(await check(dir), { entries: 0, damage: undefined, newest: { size: 0 }, checkpoints: 1 });
});

t.test('a changed bit anywhere is found, and in an entry located', async (t) => {
  const dir = await variedLog(t, 2, 4);
  const random = randomOf(seed);
  const copy = copyOf(dir, 'bits');
  const tries = runs(150);
  for (const name of [...segmentsOf(dir), 'checkpoints']) {
    const path = join(copy, name);
    const whole = readFileSync(path);
    const missed: string[] = [];
    for (let i = 0; i < tries; i++) {
      const [at, bit] = [Math.floor(random() * whole.length), Math.floor(random() * 8)];
      const spoilt = Buffer.from(whole);
      spoilt[at]! ^= 1 << bit;
      writeFileSync(path, spoilt);
      const { damage, tornBytes, tornNoteBytes } = await check(copy);
      const line = whole.subarray(0, at).toString('latin1').split('\n').length;
      const isLastEnd = at === whole.length - 1 || (name === 'checkpoints' && at === whole.length - 2);
      const isFound = name === 'checkpoints' ? damage !== undefined : damage?.segment === name && damage.line === line;
      if (!isFound && !(isLastEnd && (tornBytes > 0 || tornNoteBytes > 0 || damage !== undefined))) missed.push(`${name} byte ${at} bit ${bit}: ${JSON.stringify(damage)}`);
    }
    writeFileSync(path, whole);
    t.same(missed, [], `${name}, seed ${seed}`);
  }
  const notes = readFileSync(join(copy, 'checkpoints'));
  const [blank, last] = [notes.lastIndexOf('\n\n', notes.length - 3), checkpointsOf(copy).length];
  for (const at of [blank, blank + 1]) {
    const spoilt = Buffer.from(notes);
    spoilt[at] = 0x20;
    writeFileSync(join(copy, 'checkpoints'), spoilt);
    t.match((await check(copy)).damage, { segment: 'checkpoints', line: last }, 'a whole note without its empty line is not what a crash leaves');
  }
  for (let end = notes.length - 1; end > notes.lastIndexOf('\n\n', blank - 1) + 2; end--) {
    writeFileSync(join(copy, 'checkpoints'), notes.subarray(0, end));
    const { damage, tornNoteBytes, checkpoints } = await check(copy);
    if (damage !== undefined || tornNoteBytes === 0 || checkpoints !== last - 1) t.fail(`cut at ${end} of ${notes.length}: ${JSON.stringify(damage)}`);
  }
  writeFileSync(join(copy, 'checkpoints'), notes);
  t.equal((await check(copy)).damage, undefined);
});

t.test('entries deleted, inserted, doubled, exchanged, cut off at the end; segments swapped or gone', async (t) => {
  const dir = await variedLog(t);
  const lines = linesOf(dir);
  const [first, second, third] = segmentsOf(dir);
  const spoilt = async (spoil: (copy: string) => void): Promise<LogCheck['damage']> => {
    const copy = copyOf(dir, 'spoilt');
    spoil(copy);
    return (await check(copy)).damage;
  };
  t.equal(await spoilt((copy) => rewrite(copy, lines)), undefined, 'in one file it is the same log');
  t.match(await spoilt((copy) => rewrite(copy, lines.toSpliced(5, 1))), { line: 6, index: 5, reason: 'the entry has index 6, expected 5' });
  t.match(await spoilt((copy) => rewrite(copy, lines.toSpliced(5, 0, lines[5]!))), { line: 7, index: 6 });
  t.match(await spoilt((copy) => rewrite(copy, lines.toSpliced(5, 0, '{"made":"up"}'))), { line: 6, index: 5, reason: /does not end with its hash/ });
  t.match(await spoilt((copy) => rewrite(copy, lines.toSpliced(5, 2, lines[6]!, lines[5]!))), { line: 6, index: 5 });
  t.match(await spoilt((copy) => rewrite(copy, lines.slice(0, -1))), { line: 24, index: 23, reason: /missing at the end: checkpoints, note \d+ covers 24, the files hold 23/ });
  t.match(await spoilt((copy) => rewrite(copy, [])), { index: 0, reason: /missing at the end/ });
  t.match(await spoilt((copy) => rmSync(join(copy, segmentsOf(copy).at(-1)!))), { reason: /missing at the end/ });
  t.match(await spoilt((copy) => rmSync(join(copy, second!))), { segment: third, line: 1 });
  t.match(await spoilt((copy) => {
    renameSync(join(copy, second!), join(copy, 'x'));
    renameSync(join(copy, third!), join(copy, second!));
    renameSync(join(copy, 'x'), join(copy, third!));
  }), { segment: second, line: 1 });
  t.match(await spoilt((copy) => truncateSync(join(copy, first!), statSync(join(copy, first!)).size - 3)), { segment: first, reason: /unfinished and another segment follows/ });
  const last = segmentsOf(dir).at(-1)!;
  t.match(await spoilt((copy) => truncateSync(join(copy, last), statSync(join(copy, last)).size - 3)), { segment: last, reason: /missing at the end/ }, 'a signed entry is no torn tail');
  t.match(await spoilt((copy) => writeFileSync(join(copy, last), `${readFileSync(join(copy, last), 'utf8')}{"torn`)), undefined);
});

t.test('a log chained anew without the key is found, and located between two checkpoints', async (t) => {
  const dir = await variedLog(t, 3, 5);
  const bodies = linesOf(dir).map((line) => JSON.parse(line) as Record<string, unknown>);
  bodies[7] = { ...bodies[7], tenant_id: 'other' };
  const lines: string[] = [];
  let prev = GENESIS;
  for (const { hash: _, ...body } of bodies) {
    const line = sealed(canonicalJson({ ...body, prev }));
    prev = /"hash":"([0-9a-f]+)"\}$/.exec(line)![1]!;
    lines.push(line);
  }
  const copy = copyOf(dir, 'anew');
  rewrite(copy, lines);
  const { damage, checkpoints } = await check(copy);
  t.match(damage, { line: 0, reason: /^entries \d+ to \d+ hold among themselves and are not those that were signed/ });
  const [from, to] = /^entries (\d+) to (\d+)/.exec(damage!.reason)!.slice(1).map(Number);
  t.ok(from! <= 7 && 7 <= to! && to! < 15, `${from} to ${to}`);
  t.ok(checkpoints > 0 && checkpoints < checkpointsOf(dir).length);

  // With checkpoints signed by a key of one's own, only who knows the key can tell.
  const thief = await createSigner(join(copy, '../thief.key'), 'test/one');
  const tree = new TreeEdge();
  for (const line of lines) tree.append(leafHash(Buffer.from(line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}'))));
  writeFileSync(join(copy, 'checkpoints'), `${signCheckpoint({ origin: 'test/one', size: 15, root: tree.root() }, thief)}\n`);
  t.match((await check(copy)).damage, { segment: 'checkpoints', line: 1, reason: /which is none of the keys that count/ });
  writeFileSync(join(copy, 'key.pub'), `${thief.public.text}\n`);
  t.equal((await check(copy)).damage, undefined, 'the key beside the log is as good as the log');
  t.match((await check(copy, { keys: await publishedKeys(dir) })).damage, { segment: 'checkpoints', reason: /none of the keys/ });
  t.match((await check(copy, { keys: await publishedKeys(copy), since: checkpointsOf(dir)[4]! })).damage, { reason: /is not that of the kept checkpoint/ });
});

t.test('property: entries of any shape after one another hold, and a link that is wrong is located', async (t) => {
  const random = randomOf(seed);
  const dir = logFolder(t);
  mkdirSync(dir, { recursive: true });
  const odd = [undefined, 1, 'x', 'y'.repeat(90), ',"prev":"', `,"prev":"${GENESIS}"`, '}', { prev: GENESIS }, [{ prev: 'a', index: 7 }], {}, null];
  const pick = (): unknown => odd[Math.floor(random() * odd.length)];
  for (let round = 0; round < runs(40); round++) {
    const [count, wrong] = [2 + Math.floor(random() * 30), Math.floor(random() * 60)];
    const tree = new TreeEdge();
    const lines: string[] = [];
    for (let index = 0, prev = GENESIS; index < count; index++) {
      const body = canonicalJson({ a: pick(), index, kind: 'made_up', latency: pick(), prev: index === wrong ? hash('sha256', prev) : prev, reason: pick(), time: pick(), zone: pick() });
      lines.push(sealed(body));
      prev = leafHash(Buffer.from(body));
      tree.append(prev);
    }
    rewrite(dir, lines);
    for (const blockBytes of [100, 1 << 20]) {
      const { damage, entries, root } = await check(dir, { blockBytes, keys: [] });
      if (wrong < count ? damage?.line !== wrong + 1 || damage.index !== wrong : damage !== undefined || entries !== count || root !== tree.root()) t.fail(`${count} entries, ${wrong} is wrong: ${JSON.stringify(damage)}, seed ${seed}`);
    }
  }
});

t.test('a backup put back is found with a checkpoint that was kept', async (t) => {
  const dir = await variedLog(t, 2, 5);
  const backup = copyOf(dir, 'backup');
  await writeLog(dir, 5);
  const since = checkpointsOf(dir).at(-1)!;
  t.equal((await check(dir, { since })).damage, undefined);
  t.equal((await check(backup)).damage, undefined, 'by itself it is sound');
  t.match((await check(backup, { since })).damage, { index: 10, reason: 'entries are missing at the end: the kept checkpoint covers 15, the files hold 10' });
  await writeLog(backup, 8, { clock: () => 1_767_322_900_000 });
  t.match((await check(backup, { since })).damage, { line: 0, reason: /the tree of 15 entries is not that of the kept checkpoint/ }, 'nor does it help to write other entries');
  t.match((await check(dir, { since: { ...since, signatures: [] } })).damage, { segment: 'the kept checkpoint' });
});

t.test('checkpoints that do not belong', async (t) => {
  const dir = await variedLog(t, 2, 3);
  const notes = checkpointsOf(dir).map(({ note }) => `${note}\n`);
  const spoilt = async (changed: readonly string[]): Promise<LogCheck['damage']> => {
    const copy = copyOf(dir, 'notes');
    writeFileSync(join(copy, 'checkpoints'), changed.join(''));
    return (await check(copy)).damage;
  };
  t.equal(await spoilt(notes.slice(0, -1)), undefined, 'fewer are a log that signed less');
  t.match(await spoilt([...notes.slice(1), notes[0]!]), { segment: 'checkpoints', line: notes.length, reason: 'it covers 0 entries, and the one before it 6' });
  t.match(await spoilt(['nonsense\n\nno signature\n\n', ...notes]), { segment: 'checkpoints', line: 1, reason: 'it is no checkpoint' });
  t.match(await spoilt([notes[0]!.replace('test/one\n', 'test/two\n'), ...notes.slice(1)]), { segment: 'checkpoints', reason: /its signature does not hold|of the log/ });
  const stranger = signCheckpoint({ origin: 'test/two', size: 6, root: checkpointsOf(dir).at(-1)!.root }, await createSigner(join(dir, '../two.key'), 'test/two'));
  t.match(await spoilt([...notes, `${stranger}\n`]), { line: notes.length + 1, reason: 'it is of the log test/two, and the first is of test/one' });
});

t.test('logs of the time before checkpoints open, and are signed from then on', async (t) => {
  const dir = logFolder(t);
  mkdirSync(dir, { recursive: true });
  let prev = GENESIS;
  const old = Array.from({ length: 5 }, (_, index) => {
    const body = canonicalJson({ ...exchangeRecord(`old-${index}`), index, time: '2026-01-01T00:00:00.000Z', origin: 'test/one', prev });
    prev = hash('sha256', body, 'hex');
    return `${body.slice(0, -1)},"hash":"${prev}"}`;
  });
  writeFileSync(join(dir, '000000000000.jsonl'), old.map((line) => `${line}\n`).join(''));
  t.match(await check(dir), { entries: 5, damage: undefined, newest: undefined });
  await writeLog(dir, 2);
  t.match(await check(dir), { entries: 7, damage: undefined, newest: { size: 7 } });
  t.same(checkpointsOf(dir).map(({ size }) => size), [5, 7]);
  t.same(linesOf(dir).slice(0, 5), old, 'as they were');
});

t.test('notes and keys are read as the format is, and nothing else', async (t) => {
  const raw = Buffer.alloc(32, 7);
  const key = noteKey('example.com/log', raw);
  t.equal(key.text, `example.com/log+${hash('sha256', Buffer.concat([Buffer.from('example.com/log\n\x01'), raw]), 'hex').slice(0, 8)}+${Buffer.concat([Buffer.from([1]), raw]).toString('base64')}`);
  t.equal(readNoteKey(` ${key.text}\n`)?.id, key.id);
  for (const wrong of ['', 'a+b', key.text.replace('example', 'exbmple'), key.text.replace(/\+[0-9a-f]{8}\+/, '+00000000+'), `${key.name}+${key.id}+${Buffer.concat([Buffer.from([2]), raw]).toString('base64')}`]) t.equal(readNoteKey(wrong), undefined, wrong);
  const signer = await createSigner(join(logFolder(t), '../k.key'), 'name with + and blanks');
  t.equal(signer.public.name, 'name-with---and-blanks');
  const note = signCheckpoint({ origin: 'o', size: 3, root: 'ab'.repeat(32) }, signer);
  t.match(readCheckpoint(note), { origin: 'o', size: 3, root: 'ab'.repeat(32), note });
  for (const wrong of [note.slice(0, -1), note.replace('\n3\n', '\n03\n'), note.replace('\n3\n', '\n-3\n'), note.replace('o\n', '\n'), note.replace('\u2014', '-'), note.replace(/[A-Za-z0-9+/=]+\n\n/, 'AAAA\n\n'), 'o\n3\n\n']) t.equal(readCheckpoint(wrong), undefined, JSON.stringify(wrong));
});
