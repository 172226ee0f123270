/**
 * What of a log's files is to be shipped next: entries that a signed checkpoint covers, and that checkpoint, as they stand
 * in the files. Reads beside the writer, whole lines of one segment at a time, within bounds, and remembers only where it
 * stands: what the other side says that it has decides what comes next, also after a restart of either.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { readCheckpoints, type SignedCheckpoint } from './checkpoint.ts';
import { publishedKeys } from './recovery.ts';
import { CHECKPOINTS_FILE, firstIndexOf, listSegments, segmentName } from './segments.ts';
import { BATCH, type ShipBatch, type ShipPosition } from './shipment.ts';
import { TreeEdge, type TreeNode } from './tree.ts';
import { verifyBlock } from './verify.ts';

/** The log cannot be shipped as it is. */
export class UnshippableLog extends Error {}

/** Where an entry begins. */
interface Place {
  readonly segment: string;
  readonly index: number;
  readonly offset: number;
}

const HALVINGS_MAX = 6;
const CHECKPOINT_BYTES = 64 * 1024;
const LINE_END = 0x0a;

/** Of a batch. */
export type Bounds = Readonly<Record<'entriesMax' | 'checkpointsMax' | 'bytes', number>>;

export class Outbox {
  readonly #dir: string;
  readonly #bounds: Bounds;
  /** Where the entry begins that was to be shipped next. */
  #place: Place | undefined;
  /** Checkpoints that are not there yet, oldest first, and where in the file those begin that are not read yet. */
  #checkpoints: readonly SignedCheckpoint[] = [];
  #checkpointsAt = 0;
  /** The file that it is of: where entries passed their retention, a shorter one takes its place. */
  #checkpointsFile: number | undefined;
  /** The largest that was read and is left out, because it is there. */
  #leftOut = -1;

  constructor(dir: string, bounds: Bounds = BATCH) {
    this.#dir = dir;
    this.#bounds = bounds;
  }

  /** The log's name, once its first checkpoint is there. */
  async name(): Promise<string | undefined> {
    const { bytes } = await readAt(join(this.#dir, CHECKPOINTS_FILE), 0, CHECKPOINT_BYTES);
    return readCheckpoints(bytes).checkpoints[0]?.origin;
  }

  /**
   * Undefined: nothing that a checkpoint covers waits. `size` is how many entries the log holds. After failures batches are
   * smaller, half each time, so that one gets through where time is short.
   */
  async next({ entries: from, signed }: ShipPosition, size: number, failures = 0): Promise<ShipBatch | undefined> {
    const place = await this.#seek(from);
    if (place === undefined) return undefined;
    const share = 2 ** -Math.min(failures, HALVINGS_MAX);
    const lines = await readLines(this.#dir, place, Math.max(1, Math.floor(this.#bounds.entriesMax * share)), Math.ceil(this.#bounds.bytes * share));
    const end = from + lines.length;
    await this.#readCheckpoints(signed, end);
    const ready = this.#checkpoints.filter((checkpoint) => checkpoint.size <= end).slice(0, this.#bounds.checkpointsMax);
    const last = ready.at(-1)?.size ?? -1;
    const cover = last > from || ready.length === this.#bounds.checkpointsMax ? undefined : this.#checkpoints.find((checkpoint) => checkpoint.size > end);
    const count = Math.max(0, (cover === undefined ? last : end) - from);
    if (count === 0 && ready.length === 0) return undefined;
    const rest = cover === undefined || count === 0 ? [] : await this.#rest(end, cover.size);
    this.#place = place;
    const checkpoints = [...ready, ...(cover === undefined || count === 0 ? [] : [cover])].map(({ note }) => note);
    const key = from === 0 && signed === -1 ? (await publishedKeys(this.#dir))[0]?.text : undefined;
    return { size, from, segment: firstIndexOf(place.segment), entries: lines.slice(0, count), checkpoints, rest, ...(key === undefined ? {} : { key }) };
  }

  /** The batch is there; the next one likely begins where it ends. */
  sent({ entries }: ShipBatch): void {
    if (this.#place !== undefined) this.#place = after(this.#place, entries);
  }

  /** Undefined: the log has no such entry. */
  async #seek(index: number): Promise<Place | undefined> {
    const segments = await listSegments(this.#dir);
    const segment = segments.findLast((name) => firstIndexOf(name) <= index) ?? (segments.length === 0 ? segmentName(0) : undefined);
    if (segment === undefined) throw new UnshippableLog(`the log begins with entry ${firstIndexOf(segments[0]!)}, and those from ${index} on passed their retention before they were shipped`);
    let place = this.#place;
    if (place?.segment !== segment || place.index > index) place = { segment, index: firstIndexOf(segment), offset: 0 };
    while (place.index < index) {
      const lines: readonly string[] = await readLines(this.#dir, place, index - place.index, this.#bounds.bytes);
      if (lines.length === 0) return undefined;
      place = after(place, lines);
    }
    this.#place = place;
    return place;
  }

  /** Those above `signed`, until one covers more than `end` entries. */
  async #readCheckpoints(signed: number, end: number): Promise<void> {
    if (signed < this.#leftOut) [this.#checkpoints, this.#checkpointsAt, this.#leftOut] = [[], 0, -1];
    const path = join(this.#dir, CHECKPOINTS_FILE);
    for (;;) {
      const cut = this.#checkpoints.findLast(({ size }) => size <= signed)?.size;
      if (cut !== undefined) [this.#checkpoints, this.#leftOut] = [this.#checkpoints.filter(({ size }) => size > signed), cut];
      if ((this.#checkpoints.at(-1)?.size ?? -1) > end) return;
      const { bytes, file } = await readAt(path, this.#checkpointsAt, CHECKPOINT_BYTES);
      if (file !== this.#checkpointsFile) {
        const isAnother = this.#checkpointsAt > 0;
        [this.#checkpoints, this.#checkpointsAt, this.#leftOut, this.#checkpointsFile] = [[], 0, -1, file];
        if (isAnother) continue;
      }
      const { checkpoints, tornBytes, faultAt } = readCheckpoints(bytes);
      if (faultAt !== undefined) throw new UnshippableLog(`${CHECKPOINTS_FILE} holds what is no checkpoint; run weir audit verify`);
      if (checkpoints.length === 0) return;
      this.#checkpoints = [...this.#checkpoints, ...checkpoints];
      this.#checkpointsAt += bytes.length - tornBytes;
    }
  }

  /** The subtrees of the entries from `from` up to `to`. */
  async #rest(from: number, to: number): Promise<readonly TreeNode[]> {
    const edge = new TreeEdge(from);
    while (edge.size < to) {
      const place = await this.#seek(edge.size);
      const lines = place === undefined ? [] : await readLines(this.#dir, place, to - edge.size, this.#bounds.bytes);
      if (lines.length === 0) throw new UnshippableLog(`entry ${edge.size} is covered by a checkpoint and is not there; run weir audit verify`);
      const bytes = Buffer.from(`\n${lines.join('\n')}\n`);
      const { fault } = verifyBlock(bytes, 1, bytes.length, undefined, (_index, leaf) => edge.append(leaf));
      if (fault !== undefined) throw new UnshippableLog(`an entry from ${edge.size} on does not hold: ${fault}; run weir audit verify`);
      this.#place = after(place!, lines);
    }
    return edge.nodes;
  }
}

function after({ segment, index, offset }: Place, lines: readonly string[]): Place {
  return { segment, index: index + lines.length, offset: offset + lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0) };
}

/** Whole lines from a place on, without their line ends; none at the end of the segment. One that is longer than the bytes is read alone. */
async function readLines(dir: string, { segment, index, offset }: Place, countMax: number, bytesMax: number): Promise<readonly string[]> {
  const path = join(dir, segment);
  let { bytes } = await readAt(path, offset, bytesMax);
  if (bytes.length === bytesMax && !bytes.includes(LINE_END)) {
    ({ bytes } = await readAt(path, offset, BATCH.lineBytesMax));
    const end = bytes.indexOf(LINE_END);
    if (end === -1 && bytes.length === BATCH.lineBytesMax) throw new UnshippableLog(`entry ${index} is longer than ${BATCH.lineBytesMax} bytes`);
    bytes = bytes.subarray(0, end + 1);
  }
  const lines: string[] = [];
  for (let [start, end] = [0, bytes.indexOf(LINE_END)]; end !== -1 && lines.length < countMax; [start, end] = [end + 1, bytes.indexOf(LINE_END, end + 1)]) lines.push(bytes.toString('utf8', start, end));
  return lines;
}

/** None when there is no file. `file` tells it from another one of the name. */
async function readAt(path: string, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly file?: number }> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { bytes: Buffer.alloc(0) };
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    return { bytes: buffer.subarray(0, bytesRead), file: (await file.stat()).ino };
  } finally {
    await file.close();
  }
}
