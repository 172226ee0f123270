/** What the files of a copy tell at a glance, from their ends; nothing is verified. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { newestCheckpoint } from './checkpoint-file.ts';
import { newestEntries } from './entries.ts';
import { CHECKPOINTS_FILE, listSegments } from './segments.ts';

/** When an entry last came, as far as the files tell. Checkpoints are written anew where something passed its retention. */
export async function writtenMs(dir: string): Promise<number | undefined> {
  return (await stat(join(dir, (await listSegments(dir)).at(-1) ?? CHECKPOINTS_FILE)).catch(() => undefined))?.mtimeMs;
}

/** Entries of the log that are there, or were. */
export async function countOf(dir: string): Promise<number> {
  for await (const { index } of newestEntries(dir)) return index + 1;
  return 0;
}

/** The newest checkpoint; none where what stands there is none. */
export async function newestNote(dir: string): Promise<string | null> {
  const { checkpoint } = await newestCheckpoint(dir).catch((error: unknown) => {
    if (error instanceof RangeError) return { checkpoint: undefined };
    throw error;
  });
  return checkpoint?.note ?? null;
}
