/**
 * The file of signed checkpoints as those who do not write it read it: the newest from its end, or all in pieces. A log
 * that runs writes one every second, some six gigabytes a year, so nobody reads the file whole, and what is kept of a
 * checkpoint to hold the tree against is 40 bytes. Nothing here looks at signatures.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { firstNoteAt, readCheckpoints, type SignedCheckpoint } from './checkpoint.ts';
import { CHECKPOINTS_FILE, ignoreMissing, readRange } from './segments.ts';

/** A longer note is none. */
const NOTE_BYTES_MAX = 64 * 1024;
/** Holds the newest whole note and an unfinished one after it. */
const END_BYTES = 2 * NOTE_BYTES_MAX;
const PIECE_BYTES = 1024 * 1024;

export interface NewestCheckpoint {
  /** Undefined: there is none yet. */
  readonly checkpoint: SignedCheckpoint | undefined;
  /** Where the whole notes end in the file, and where the file ends. */
  readonly end: number;
  readonly size: number;
}

/** Looks at the file's end only. Throws RangeError with the number of a note there that is none. */
export async function newestCheckpoint(dir: string): Promise<NewestCheckpoint> {
  const file = await openCheckpoints(dir);
  try {
    return await newestIn(file);
  } finally {
    await file?.close();
  }
}

/** The same of an open file. */
export async function newestIn(file: FileHandle | undefined): Promise<NewestCheckpoint> {
  if (file === undefined) return { checkpoint: undefined, end: 0, size: 0 };
  const { size } = await file.stat();
  const from = Math.max(0, size - END_BYTES);
  const bytes = await readRange(file, from, size - from);
  const { checkpoints, tornBytes, faultAt } = readCheckpoints(bytes.subarray(from === 0 ? 0 : Math.max(0, firstNoteAt(bytes))));
  if (faultAt === undefined && tornBytes <= NOTE_BYTES_MAX) return { checkpoint: checkpoints.at(-1), end: size - tornBytes, size };
  for await (const { faultAt } of checkpointPieces(file, size)) if (faultAt !== undefined) throw new RangeError(`${CHECKPOINTS_FILE}, note ${faultAt}: it is no checkpoint`);
  throw new RangeError(`${CHECKPOINTS_FILE}: what stands at its end is no checkpoint`);
}

export interface CheckpointPiece {
  readonly checkpoints: readonly SignedCheckpoint[];
  /** Where the first begins, and the last ends. */
  readonly from: number;
  readonly to: number;
  /** Of the last piece: bytes of an unfinished note at its end. */
  readonly tornBytes: number;
  /** Number of the note that is none, from 1; nothing follows. */
  readonly faultAt?: number;
}

/** To be closed. Undefined: there is none. */
export function openCheckpoints(dir: string): Promise<FileHandle | undefined> {
  return open(join(dir, CHECKPOINTS_FILE), 'r').catch(ignoreMissing);
}

/** The first `size` bytes of the file, in order. */
export async function* checkpointPieces(file: FileHandle, size: number): AsyncGenerator<CheckpointPiece> {
  let count = 0;
  for (let from = 0; from < size; ) {
    const bytes = await readRange(file, from, Math.min(PIECE_BYTES, size - from));
    const isLast = from + bytes.length >= size || bytes.length === 0;
    const { checkpoints, tornBytes, faultAt } = readCheckpoints(bytes);
    count += checkpoints.length;
    const to = checkpoints.length === 0 ? from : from + bytes.length - tornBytes;
    // A piece may end anywhere in a note, so only at the end, or where a note is too long to be one, does its rest count.
    const isFault = faultAt !== undefined || tornBytes > NOTE_BYTES_MAX;
    yield { checkpoints, from, to, tornBytes: isLast && !isFault ? tornBytes : 0, ...(isFault ? { faultAt: count + 1 } : {}) };
    if (isLast || isFault) return;
    from = to;
  }
}

/** What the verifier holds the tree against: of each checkpoint its size and root, in order. */
export interface CheckpointIndex {
  /** Shared between threads. */
  readonly sizes: Float64Array;
  root(at: number): string;
  readonly newest?: SignedCheckpoint;
  /** Where the whole notes end, as far as they were read. */
  readonly bytes: number;
  readonly tornBytes: number;
  /** The first note that does not hold by itself or after the one before it. */
  readonly fault?: { readonly number: number; readonly index: number; readonly reason: string };
}

const HASH_BYTES = 32;

export async function indexCheckpoints(file: FileHandle | undefined): Promise<CheckpointIndex> {
  let [sizes, roots, count] = [new Float64Array(1024), Buffer.alloc(1024 * HASH_BYTES), 0];
  let [bytes, tornBytes, newest, first]: [number, number, SignedCheckpoint | undefined, SignedCheckpoint | undefined] = [0, 0, undefined, undefined];
  let fault: CheckpointIndex['fault'];
  for await (const piece of file === undefined ? [] : checkpointPieces(file, (await file.stat()).size)) {
    for (const checkpoint of piece.checkpoints) {
      first ??= checkpoint;
      const reason = orderFault(checkpoint, newest, first);
      if (reason !== undefined) {
        fault = { number: count + 1, index: checkpoint.size, reason };
        break;
      }
      if (count === sizes.length) [sizes, roots] = [grown(sizes), Buffer.concat([roots, Buffer.alloc(roots.length)])];
      sizes[count] = checkpoint.size;
      roots.write(checkpoint.root, count++ * HASH_BYTES, 'hex');
      newest = checkpoint;
    }
    [bytes, tornBytes] = [piece.to, piece.tornBytes];
    if (fault === undefined && piece.faultAt !== undefined) fault = { number: piece.faultAt, index: newest?.size ?? 0, reason: 'it is no checkpoint' };
    if (fault !== undefined) break;
  }
  const shared = new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT));
  shared.set(sizes.subarray(0, count));
  return { sizes: shared, root: (at) => roots.toString('hex', at * HASH_BYTES, (at + 1) * HASH_BYTES), newest, bytes, tornBytes, fault };
}

function grown(sizes: Float64Array): Float64Array<ArrayBuffer> {
  const more = new Float64Array(sizes.length * 2);
  more.set(sizes);
  return more;
}

function orderFault({ size, origin }: SignedCheckpoint, before: SignedCheckpoint | undefined, first: SignedCheckpoint): string | undefined {
  if (before !== undefined && size < before.size) return `it covers ${size} entries, and the one before it ${before.size}`;
  return origin === first.origin ? undefined : `it is of the log ${origin}, and the first is of ${first.origin}`;
}
