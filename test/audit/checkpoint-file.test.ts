/**
 * The file of checkpoints read in pieces and from its end says what it says when it is read whole, wherever a crash cut
 * it, and however much larger than a piece it is.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkpointPieces, indexCheckpoints, newestCheckpoint, openCheckpoints, type CheckpointIndex } from '../../src/audit/checkpoint-file.ts';
import { noteKey, readCheckpoints, signCheckpoint, type Signer, type SignedCheckpoint } from '../../src/audit/checkpoint.ts';
import { leafHash } from '../../src/audit/tree.ts';

const pair = generateKeyPairSync('ed25519');
const signer: Signer = { public: noteKey('weir.example/one', Buffer.from(pair.publicKey.export({ format: 'jwk' }).x!, 'base64url')), private: pair.privateKey };

function noteOf(size: number, origin = 'weir.example/one'): string {
  return `${signCheckpoint({ origin, size, root: leafHash(Buffer.from(String(size))) }, signer)}\n`;
}

function fileOf(t: Test, content: string | Buffer): string {
  const dir = mkdtempSync(join(tmpdir(), 'weir-notes-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'checkpoints'), content);
  return dir;
}

async function indexOf(dir: string): Promise<CheckpointIndex> {
  const file = await openCheckpoints(dir);
  try {
    return await indexCheckpoints(file);
  } finally {
    await file?.close();
  }
}

async function readAll(dir: string, bytes: number): Promise<readonly SignedCheckpoint[]> {
  const file = (await openCheckpoints(dir))!;
  const all: SignedCheckpoint[] = [];
  for await (const { checkpoints } of checkpointPieces(file, bytes)) all.push(...checkpoints);
  await file.close();
  return all;
}

// Some 4 MB: four pieces, and more than what the end is read of.
const NOTES = Array.from({ length: 20_000 }, (_, i) => noteOf(i * 3));
const CONTENT = Buffer.from(NOTES.join(''));

t.test('in pieces as whole', async (t) => {
  const dir = fileOf(t, CONTENT);
  const whole = readCheckpoints(CONTENT).checkpoints;
  t.equal(whole.length, NOTES.length);
  t.same((await readAll(dir, CONTENT.length)).map(({ note }) => note), whole.map(({ note }) => note));
  const index = await indexOf(dir);
  t.match(index, { bytes: CONTENT.length, tornBytes: 0, fault: undefined, newest: { size: whole.at(-1)!.size } });
  t.same([...index.sizes], whole.map(({ size }) => size));
  t.ok(whole.every(({ root }, i) => index.root(i) === root));
  t.match(await newestCheckpoint(dir), { checkpoint: { size: whole.at(-1)!.size }, end: CONTENT.length, size: CONTENT.length });
  t.same((await readAll(dir, 1_000_000)).map(({ note }) => note), readCheckpoints(CONTENT.subarray(0, 1_000_000)).checkpoints.map(({ note }) => note), 'as far as asked');
});

t.test('cut anywhere in the last notes, what is whole is found, and the rest is torn', async (t) => {
  const dir = fileOf(t, CONTENT);
  const lastTwo = Buffer.byteLength(NOTES.slice(-2).join(''));
  for (let size = CONTENT.length; size >= CONTENT.length - lastTwo; size--) {
    truncateSync(join(dir, 'checkpoints'), size);
    const whole = CONTENT.length - size >= lastTwo ? NOTES.length - 2 : CONTENT.length - size > 0 ? NOTES.length - (size >= CONTENT.length - Buffer.byteLength(NOTES.at(-1)!) ? 1 : 2) : NOTES.length;
    const end = Buffer.byteLength(NOTES.slice(0, whole).join(''));
    const newest = await newestCheckpoint(dir);
    if (newest.end !== end || newest.size !== size || newest.checkpoint?.size !== (whole - 1) * 3) return t.fail(`cut at ${size}`, { found: newest, end });
    if (size % 97 === 0) t.match(await indexOf(dir), { bytes: end, tornBytes: size - end, fault: undefined });
  }
  t.pass('each cut');
});

t.test('no file, an empty one, and the beginning of a first note: none yet', async (t) => {
  t.same(await newestCheckpoint(join(tmpdir(), 'weir-no-such-folder')), { checkpoint: undefined, end: 0, size: 0 });
  t.match(await indexOf(join(tmpdir(), 'weir-no-such-folder')), { bytes: 0, tornBytes: 0, newest: undefined });
  for (const begun of ['', NOTES[0]!.slice(0, 9), NOTES[0]!.slice(0, -1)]) {
    const dir = fileOf(t, begun);
    t.same(await newestCheckpoint(dir), { checkpoint: undefined, end: 0, size: Buffer.byteLength(begun) });
    t.match(await indexOf(dir), { bytes: 0, tornBytes: Buffer.byteLength(begun), newest: undefined, fault: undefined });
  }
});

t.test('what is no checkpoint, shrinks or is of another log is named by its number', async (t) => {
  const spoilt = (at: number, note: string): string => [...NOTES.slice(0, at), note, ...NOTES.slice(at + 1)].join('');
  const cases = [
    { at: 12_345, note: 'no note\n\nat all\n\n', reason: /it is no checkpoint/ },
    { at: 19_990, note: noteOf(7), reason: /covers 7 entries, and the one before it 59967/ },
    { at: 5_000, note: noteOf(15_000, 'weir.example/two'), reason: /of the log weir\.example\/two, and the first is of weir\.example\/one/ },
  ];
  for (const { at, note, reason } of cases) {
    const { fault, sizes } = await indexOf(fileOf(t, spoilt(at, note)));
    t.match(fault, { number: at + 1, reason });
    t.equal(sizes.length, at);
  }
  t.match(await newestCheckpoint(fileOf(t, spoilt(12_345, 'no note\n\nat all\n\n'))), { checkpoint: { size: 59_997 } }, 'the end alone is looked at');
  await t.rejects(newestCheckpoint(fileOf(t, spoilt(19_998, 'no note\n\nat all\n\n'))), { message: 'checkpoints, note 19999: it is no checkpoint' });
});

t.test('a note has a bound: just within it counts, just beyond it is none', async (t) => {
  const padded = (bytes: number): string => {
    const origin = 'o'.repeat(bytes - Buffer.byteLength(noteOf(3, '')));
    return noteOf(3, origin);
  };
  const within = fileOf(t, `${padded(64 * 1024)}`.slice(0, -1)); // torn at its last byte
  t.match(await indexOf(within), { tornBytes: 64 * 1024 - 1, fault: undefined });
  const beyond = fileOf(t, `${padded(64 * 1024 + 2)}`.slice(0, -1));
  t.match(await indexOf(beyond), { fault: { number: 1, reason: 'it is no checkpoint' } });
  await t.rejects(newestCheckpoint(beyond), { message: 'checkpoints, note 1: it is no checkpoint' });
});
