/**
 * A copy of a log while its process writes it: all that its newest checkpoint covers, and nothing after it. The copy is
 * verified as a whole, so it is sound or there is none. Private keys are not in a log's folder. It only reads the log.
 */
import { constants, createWriteStream } from 'node:fs';
import { copyFile, cp, mkdir, readdir, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { checkLog, type LogCheck } from './check.ts';
import { newestCheckpoint, newestIn, openCheckpoints } from './checkpoint-file.ts';
import { publishedKeys } from './recovery.ts';
import { keeperKeys, readStart } from './pruned.ts';
import { CHECKPOINTS_FILE, firstIndexOf, KEEPER_KEYS_FILE, listSegments, PRUNED_FILE, PUBLIC_KEYS_FILE, readIfThere, readSegment } from './segments.ts';

/** A log that is pruned meanwhile is copied anew. */
const ATTEMPTS_MAX = 4;
const SIGNED_MS = 4_000;
const LOOK_MS = 250;
const SET_ASIDE = /^set-aside-/;

/** `to` is made, and is the copy's alone. Undefined: there is no log. Throws RangeError when what was copied does not hold. */
export async function copyLog(dir: string, to: string, progress: (segments: number, total: number) => void): Promise<LogCheck | undefined> {
  for (let attempt = 1; ; attempt++) {
    if (attempt === 1) await untilSigned(dir);
    const pruned = await readIfThere(join(dir, PRUNED_FILE));
    const isOther = async (): Promise<boolean> => String(await readIfThere(join(dir, PRUNED_FILE))) !== String(pruned);
    try {
      if (!(await copyOnce(dir, to, pruned, progress))) return undefined;
      if (!(await isOther())) return await checked(to);
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !(await isOther())) throw error;
    }
    if (attempt === ATTEMPTS_MAX) throw new RangeError('the log is pruned again and again while it is copied');
    await rm(to, { recursive: true });
  }
}

/** What was synced before the call is in the copy, since its writer signs every second. Where nobody writes, what is signed has to do. */
async function untilSigned(dir: string): Promise<void> {
  const newest = (await listSegments(dir)).at(-1);
  if (newest === undefined) return;
  const written = firstIndexOf(newest) + (await readSegment(dir, newest)).toString('latin1').split('\n').length - 1;
  for (let waited = 0; waited < SIGNED_MS && (await signedSize(dir)) < written; waited += LOOK_MS) await pause(LOOK_MS);
}

async function signedSize(dir: string): Promise<number> {
  return (await newestCheckpoint(dir)).checkpoint?.size ?? 0;
}

async function copyOnce(dir: string, to: string, pruned: Buffer | undefined, progress: (segments: number, total: number) => void): Promise<boolean> {
  const notes = await openCheckpoints(dir); // one file throughout: pruning puts another in its place
  try {
    return notes !== undefined && (await copyWith(notes, dir, to, pruned, progress));
  } finally {
    await notes?.close();
  }
}

async function copyWith(notes: FileHandle, dir: string, to: string, pruned: Buffer | undefined, progress: (segments: number, total: number) => void): Promise<boolean> {
  const newest = await newestIn(notes);
  const size = newest.checkpoint?.size;
  if (size === undefined) return false;
  const start = await readStart(dir);
  if (start === undefined) throw new RangeError(`the file ${PRUNED_FILE} does not say where the log begins`);
  const segments = (await listSegments(dir, start.first)).filter((name) => firstIndexOf(name) < size);
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const [i, name] of segments.entries()) {
    progress(i, segments.length);
    if (i < segments.length - 1) await copyFile(join(dir, name), join(to, name), constants.COPYFILE_FICLONE);
    else await writeFile(join(to, name), firstLines(await readSegment(dir, name), size - firstIndexOf(name)), { mode: 0o600 });
  }
  progress(segments.length, segments.length);
  await pipeline(notes.createReadStream({ start: 0, end: newest.end - 1, autoClose: false }), createWriteStream(join(to, CHECKPOINTS_FILE), { mode: 0o600 }));
  if (pruned !== undefined) await writeFile(join(to, PRUNED_FILE), pruned, { mode: 0o600 });
  if (start.entry?.copyOf !== undefined) await copyFile(join(dir, KEEPER_KEYS_FILE), join(to, KEEPER_KEYS_FILE));
  for (const name of (await readdir(dir)).filter((entry) => SET_ASIDE.test(entry))) await cp(join(dir, name), join(to, name), { recursive: true });
  // Last: a key is published before it signs.
  await copyFile(join(dir, PUBLIC_KEYS_FILE), join(to, PUBLIC_KEYS_FILE));
  return true;
}

function firstLines(bytes: Buffer, count: number): Buffer {
  let end = 0;
  for (let line = 0; line < count; line++) {
    end = bytes.indexOf(0x0a, end) + 1;
    if (end === 0) throw new RangeError('entries that were signed are not there');
  }
  return bytes.subarray(0, end);
}

async function checked(dir: string): Promise<LogCheck> {
  const check = await checkLog({ dir, keys: await publishedKeys(dir), keepers: await keeperKeys(dir) });
  const { damage } = check;
  if (damage !== undefined) throw new RangeError(`${damage.segment} line ${damage.line} (entry ${damage.index}): ${damage.reason}`);
  return check;
}
