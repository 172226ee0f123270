/** The entries of a batch, verified by themselves: each against its hash and the one before it. Whether they are those of the log is for the copy to say. Pure. */
import { rotationOf } from './check.ts';
import type { NoteKey } from './checkpoint.ts';
import { ShipRefusal, type ShipBatch } from './shipment.ts';
import { verifyBlock } from './verify.ts';

export interface ReadEntries {
  /** Each line with its line end. */
  readonly bytes: Buffer;
  readonly leaves: readonly string[];
  /** What the first says of the one before it. */
  readonly prev: string | undefined;
  readonly rotations: readonly { readonly index: number; readonly from: NoteKey; readonly to: NoteKey }[];
}

/** Throws ShipRefusal altered. */
export function readEntries({ from, entries }: ShipBatch): ReadEntries {
  if (entries.length === 0) return { bytes: Buffer.alloc(0), leaves: [], prev: undefined, rotations: [] };
  const bytes = Buffer.from(`\n${entries.join('\n')}\n`); // the verifier needs a byte before the first line
  const leaves: string[] = [];
  const rotations: ReadEntries['rotations'][number][] = [];
  const report = verifyBlock(bytes, 1, bytes.length, undefined, (index, leaf, start, end, isLandmark) => {
    leaves.push(leaf);
    const rotation = isLandmark ? rotationOf(index, bytes.toString('utf8', start, end)) : undefined;
    if (rotation !== undefined) rotations.push({ index, ...rotation });
  });
  if (report.fault !== undefined) throw new ShipRefusal('altered', `entry ${from + report.entries}: ${report.fault}`);
  if (report.first?.index !== from || leaves.length !== entries.length) throw new ShipRefusal('altered', `the entries are not those from ${from} on`);
  return { bytes: bytes.subarray(1), leaves, prev: report.first.prev, rotations };
}

/** Of the last `count` of the entries. */
export function bytesOfLast(bytes: Buffer, entries: readonly string[], count: number): Buffer {
  const skipped = entries.slice(0, entries.length - count).reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  return bytes.subarray(skipped);
}

/** A line that was verified ends with its hash. */
export function hashOf(line: string): string {
  return line.slice(-66, -2);
}
