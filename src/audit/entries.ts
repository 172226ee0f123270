/**
 * The entries of an audit log, newest first, read block by block from the end, so that the newest of a long log cost
 * little. Lines that are no entries are left out: whether the log is whole is for its verifier to say.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { seekEntry } from './seek.ts';
import { firstIndexOf, ignoreMissing, listSegments } from './segments.ts';

/** An entry as it was written; the other members are those of its kind. */
export interface AuditEntry {
  readonly index: number;
  readonly time: string;
  readonly origin: string;
  readonly kind: string;
  readonly [member: string]: unknown;
}

export interface EntryFilter {
  /** Only entries with a smaller index. */
  readonly before?: number | undefined;
}

const BLOCK_BYTES = 256 * 1024;
const LINE_END = 0x0a;

export async function* newestEntries(dir: string, { before = Infinity }: EntryFilter = {}): AsyncGenerator<AuditEntry> {
  for (const name of [...(await listSegments(dir))].reverse()) {
    if (firstIndexOf(name) >= before) continue;
    for await (const line of linesFromEnd(join(dir, name), before)) {
      const entry = entryOf(line);
      if (entry !== undefined && entry.index < before) yield entry;
    }
  }
}

/** The same, of those that hold a text; only so many lines are looked at, and few of them parsed. */
export async function* newestEntriesWith(dir: string, text: string, linesMax: number): AsyncGenerator<AuditEntry> {
  let lines = 0;
  for (const name of [...(await listSegments(dir))].reverse()) {
    for await (const line of linesFromEnd(join(dir, name), Infinity)) {
      if (++lines > linesMax) return;
      const entry = line.includes(text) ? entryOf(line) : undefined;
      if (entry !== undefined) yield entry;
    }
  }
}

/** Those of entries before that one. */
async function* linesFromEnd(path: string, before: number): AsyncGenerator<string> {
  const file = await open(path, 'r').catch(ignoreMissing);
  if (file === undefined) return; // pruned meanwhile
  try {
    const { size } = await file.stat();
    let end = before === Infinity ? size : await seekEntry(file, size, before);
    /** What stands after the block: the end of a line whose beginning is further to the front. */
    let tail: Buffer[] = [];
    while (end > 0) {
      const start = Math.max(0, end - BLOCK_BYTES);
      const block = await readBlock(file, start, end - start);
      let lineEnd = block.length;
      for (let at = block.lastIndexOf(LINE_END); at >= 0; at = at === 0 ? -1 : block.lastIndexOf(LINE_END, at - 1)) {
        const line = Buffer.concat([block.subarray(at + 1, lineEnd), ...tail]);
        tail = [];
        lineEnd = at;
        if (line.length > 0) yield line.toString('utf8');
      }
      tail = [block.subarray(0, lineEnd), ...tail];
      end = start;
    }
    const first = Buffer.concat(tail);
    if (first.length > 0) yield first.toString('utf8');
  } finally {
    await file.close();
  }
}

async function readBlock(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/** Undefined for what is none. */
export function entryOf(line: string): AuditEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<AuditEntry> | null;
    return typeof entry?.index === 'number' && typeof entry.time === 'string' && typeof entry.kind === 'string' ? (entry as AuditEntry) : undefined;
  } catch {
    return undefined;
  }
}
