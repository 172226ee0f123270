/**
 * The entries of a log from one on, oldest first, as they stand in its files: read beside the writer, whole lines alone,
 * within bounds, and going on where it stopped without looking for the place again. Whether they hold is for the log's
 * verifier to say; here each says what its place is and which entry it follows.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { entryOf, type AuditEntry } from './entries.ts';
import { seekEntry } from './seek.ts';
import { firstIndexOf, ignoreMissing, listSegments } from './segments.ts';

/** Where the next entry begins. */
interface Place {
  readonly segment: string;
  readonly index: number;
  readonly offset: number;
}

/** An entry as any log's verifier knows it. */
export type PlacedEntry = AuditEntry & { readonly prev: string; readonly hash: string };

export interface Followed {
  readonly entries: readonly PlacedEntry[];
  /** Index of the entry that would be next; more than what was asked for where the log begins later. */
  readonly next: number;
  /** More is there already. */
  readonly more: boolean;
}

/** A longer entry than this is read all the same. */
const BLOCK_BYTES = 1024 * 1024;
const BLOCK_BYTES_MAX = 256 * 1024 * 1024;
const LINE_END = 0x0a;

export class LogFollower {
  readonly #dir: string;
  #place: Place | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** At most so many entries of those from `index` on. */
  async read(index: number, entriesMax: number): Promise<Followed> {
    const segments = await listSegments(this.#dir);
    if (segments.length === 0) return { entries: [], next: index, more: false };
    const segment = segments.findLast((name) => firstIndexOf(name) <= index) ?? segments[0]!;
    const from = Math.max(index, firstIndexOf(segment));
    const file = await open(join(this.#dir, segment), 'r').catch(ignoreMissing);
    if (file === undefined) return { entries: [], next: from, more: true }; // pruned meanwhile
    try {
      const { size } = await file.stat();
      const known = this.#place?.segment === segment && this.#place.index === from && this.#place.offset <= size ? this.#place.offset : undefined;
      const offset = known ?? (from === firstIndexOf(segment) ? 0 : await seekEntry(file, size, from));
      const { lines, end } = await linesAt(file, offset, size, entriesMax);
      const entries = lines.flatMap((line) => entryOf(line) ?? []).filter((entry) => entry.index >= from) as PlacedEntry[];
      const next = (entries.at(-1)?.index ?? from - 1) + 1;
      const following = segments[segments.indexOf(segment) + 1];
      // A closed segment ends where the next begins.
      if (entries.length === 0 && following !== undefined) return { entries, next: Math.max(next, firstIndexOf(following)), more: true };
      this.#place = { segment, index: next, offset: end };
      return { entries, next, more: end < size || following !== undefined };
    } finally {
      await file.close();
    }
  }
}

/** Whole lines, and where the one after them begins. */
async function linesAt(file: FileHandle, offset: number, size: number, linesMax: number): Promise<{ readonly lines: readonly string[]; readonly end: number }> {
  for (let length = Math.min(BLOCK_BYTES, size - offset); length > 0; length = Math.min(length * 4, size - offset)) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, offset);
    const bytes = buffer.subarray(0, bytesRead);
    const lines: string[] = [];
    let start = 0;
    for (let end = bytes.indexOf(LINE_END); end !== -1 && lines.length < linesMax; end = bytes.indexOf(LINE_END, start)) {
      lines.push(bytes.toString('utf8', start, end));
      start = end + 1;
    }
    if (lines.length > 0 || bytesRead < length || offset + length >= size || length >= BLOCK_BYTES_MAX) return { lines, end: offset + start };
  }
  return { lines: [], end: offset };
}
