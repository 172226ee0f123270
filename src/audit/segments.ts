/**
 * The files of the audit log: `<index of the first entry, 12 digits>.jsonl` in one folder, read in order of name, with
 * `checkpoints` and `key.pub` beside them. Knows names and bytes, and of entries what their place is.
 */
import { open, readdir, readFile, rename, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Signed checkpoints, oldest first. */
export const CHECKPOINTS_FILE = 'checkpoints';
/** The public keys that have signed, oldest first. */
export const PUBLIC_KEYS_FILE = 'key.pub';
/** Where the tree stood when the newest segment began; spares reading all others at the start, and may be lost. */
export const EDGE_FILE = 'edge.json';

/** Of a copy of another log: the public keys of the log of its keeper, who may prune it. */
export const KEEPER_KEYS_FILE = 'keeper.pub';

/** Where a pruned log begins, with the proof. */
export const PRUNED_FILE = 'pruned';

const SEGMENT_NAME = /^\d{12}\.jsonl$/;

export function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(12, '0')}.jsonl`;
}

/** Names of the segments from that of entry `first` on, oldest first; none when the folder does not exist. */
export async function listSegments(dir: string, first = 0): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).filter((name) => SEGMENT_NAME.test(name) && firstIndexOf(name) >= first).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export function readSegment(dir: string, name: string): Promise<Buffer> {
  return readFile(join(dir, name));
}

export function firstIndexOf(segment: string): number {
  return Number.parseInt(segment, 10);
}

/** What the first line of a segment gives as the hash before it. */
export function prevOf(content: Buffer): string {
  return /"prev":"([0-9a-f]{64})"/.exec(firstLine(content))?.[1] ?? '';
}

/** When its first entry was made, in milliseconds since 1970; undefined: there is none. */
export function beginOf(content: Buffer): number | undefined {
  const [, time] = /"time":"([^"]+)"/.exec(firstLine(content)) ?? [];
  return time === undefined ? undefined : Date.parse(time);
}

function firstLine(content: Buffer): string {
  return content.toString('latin1', 0, Math.max(0, content.indexOf(0x0a)));
}

/** The file's bytes; none when there is no file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch(ignoreMissing);
}

/** For what rejects when a file is not there. */
export function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** Puts a file in place whole and durable, or leaves the former one. */
export async function replaceFile(path: string, content: string | Buffer, mode = 0o600): Promise<void> {
  const fresh = `${path}.tmp`;
  const file = await open(fresh, 'w', mode);
  try {
    await writeAt(file, Buffer.from(content as string), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(fresh, path);
  await syncFolder(dirname(path));
}

/** Returns where the bytes end. A position is given, so that what a partial write left is written over. */
export async function writeAt(file: FileHandle, bytes: Buffer, position: number): Promise<number> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten;
  return position + bytes.length;
}

/** Leaves the first `size` bytes, durably. */
export async function cutFile(path: string, size: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.truncate(size);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a new file's name durable: without this a crash may forget the file though its bytes were synced. */
export async function syncFolder(dir: string): Promise<void> {
  const folder = await open(dir, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** So many bytes, or those that are there. */
export async function readRange(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, from + at);
    if (bytesRead === 0) return bytes.subarray(0, at);
    at += bytesRead;
  }
  return bytes;
}

/** The last `count` bytes, or fewer where the file has not as many; none when there is no file. */
export async function readEnd(path: string, count: number): Promise<Buffer | undefined> {
  const file = await open(path, 'r').catch(ignoreMissing);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    return await readRange(file, Math.max(0, size - count), Math.min(size, count));
  } finally {
    await file.close();
  }
}
