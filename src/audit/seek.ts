/**
 * Where in a segment an entry begins, found by halves: entries stand in the order of their indexes, so a long segment is
 * not read for one of them. Lines that are no entries are stepped over.
 */
import type { FileHandle } from 'node:fs/promises';

/** What is read at once; a stretch that is no longer is read line by line. */
const PROBE_BYTES = 32 * 1024;
const LINE_END = 0x0a;

/** Byte where the first entry begins whose index is at least `index`; `size` where there is none. */
export async function seekEntry(file: FileHandle, size: number, index: number): Promise<number> {
  /** Entries that begin before `low` are before the one that is sought; `answer` is the first of those that are not, as far as is known. */
  let [low, high, answer] = [0, size, size];
  while (low < high) {
    const middle = high - low <= PROBE_BYTES ? low : Math.floor((low + high) / 2);
    const found = await entryFrom(file, middle, high, middle === low);
    if (found !== undefined && found.index < index) low = found.end;
    else {
      if (found !== undefined) answer = found.start;
      if (middle === low) return answer;
      high = middle;
    }
  }
  return answer;
}

interface Found {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/** The first entry that begins in the stretch. `isBeginning`: a line begins where the stretch does. */
async function entryFrom(file: FileHandle, from: number, to: number, isBeginning: boolean): Promise<Found | undefined> {
  let start = isBeginning ? from : undefined;
  let bytes = Buffer.alloc(0);
  for (let at = from; ; ) {
    for (let scan = 0; ; ) {
      const end = bytes.indexOf(LINE_END, start === undefined ? scan : start - from);
      if (end === -1) break;
      if (start !== undefined) {
        const found = indexOf(bytes.toString('utf8', start - from, end));
        if (found !== undefined) return { index: found, start, end: from + end + 1 };
      }
      start = from + end + 1;
      scan = end + 1;
      if (start >= to) return undefined;
    }
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PROBE_BYTES), 0, PROBE_BYTES, at);
    if (bytesRead === 0) return undefined;
    bytes = Buffer.concat([bytes, buffer.subarray(0, bytesRead)]);
    at += bytesRead;
  }
}

function indexOf(line: string): number | undefined {
  try {
    const { index } = JSON.parse(line) as { readonly index?: unknown };
    return typeof index === 'number' ? index : undefined;
  } catch {
    return undefined;
  }
}
