/**
 * The files of the audit log: `<index of the first entry, 12 digits>.jsonl` in one folder, read in order of name. Knows
 * names and bytes, nothing of entries.
 */
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

const SEGMENT_NAME = /^\d{12}\.jsonl$/;

export function segmentName(firstIndex: number): string {
  return `${String(firstIndex).padStart(12, '0')}.jsonl`;
}

/** Names of the segments, oldest first; none when the folder does not exist. */
export async function listSegments(dir: string): Promise<readonly string[]> {
  try {
    return (await readdir(dir)).filter((name) => SEGMENT_NAME.test(name)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export function readSegment(dir: string, name: string): Promise<Buffer> {
  return readFile(join(dir, name));
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
