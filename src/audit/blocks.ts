/**
 * Verifies one stretch of one segment by itself, so that a log can be read by several threads: the whole lines that begin
 * in it, their links, and the subtrees that their leaves make, with the state at each checkpoint in between. Joining the
 * stretches is for src/audit/check.ts.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { TreeEdge, type TreeNode } from './tree.ts';
import { verifyBlock, type BlockReport } from './verify.ts';

/** Bytes of a segment, half-open: the block is the lines that begin in it. */
export interface Block {
  readonly path: string;
  readonly from: number;
  readonly to: number;
  /** Of the file; what is beyond was written later and is not looked at. */
  readonly size: number;
}

/** An entry that says something about the log itself. */
export interface Landmark {
  readonly index: number;
  readonly line: string;
}

export interface VerifiedBlock extends BlockReport {
  /** Where its last whole line ends in the file; absent: no line begins in it. */
  readonly end?: number;
  /** The subtrees of its leaves, left to right. */
  readonly nodes: readonly TreeNode[];
  /** The same up to each checkpoint that ends within it. */
  readonly marks: readonly { readonly size: number; readonly nodes: readonly TreeNode[] }[];
  readonly landmarks: readonly Landmark[];
}

/** More than this a line is read in several goes. */
const LINE_BYTES = 64 * 1024;

/** `sizes` are those of the checkpoints, ascending. Throws what reading throws. */
export function verifyFileBlock(block: Block, sizes: ArrayLike<number>): VerifiedBlock {
  const { bytes, from, to, end } = readBlock(block);
  if (from === to) return { head: undefined, entries: 0, nodes: [], marks: [], landmarks: [] };
  const landmarks: Landmark[] = [];
  const marks: { size: number; nodes: readonly TreeNode[] }[] = [];
  let edge: TreeEdge | undefined;
  let nextMark = 0;
  const report = verifyBlock(bytes, from, to, undefined, (index, leaf, start, lineEnd, isLandmark) => {
    if (edge === undefined) {
      edge = new TreeEdge(index);
      nextMark = firstAbove(sizes, index);
    }
    edge.append(leaf);
    if (index + 1 === sizes[nextMark]) {
      marks.push({ size: index + 1, nodes: edge.nodes });
      while (sizes[nextMark] === index + 1) nextMark++;
    }
    if (isLandmark) landmarks.push({ index, line: bytes.toString('utf8', start, lineEnd) });
  });
  return { ...report, end, nodes: edge?.nodes ?? [], marks, landmarks };
}

/** The lines that begin in the block, in a buffer with a byte before them. */
function readBlock({ path, from, to, size }: Block): { readonly bytes: Buffer; readonly from: number; readonly to: number; readonly end: number | undefined } {
  const file = openSync(path, 'r');
  try {
    const base = Math.max(0, from - 1); // the byte before tells whether a line begins at `from`
    let bytes = readRange(file, base, Math.min(size, to + LINE_BYTES), 1);
    const first = from === 0 ? 1 : bytes.indexOf(0x0a, 1) + 1;
    if (first === 0 || base + first - 1 >= to) return { bytes, from: 0, to: 0, end: undefined };
    let last = bytes.indexOf(0x0a, to - base); // the line end at or after the last byte of the block
    for (let beyond = LINE_BYTES; last === -1 && base + bytes.length - 1 < size; beyond *= 2) {
      bytes = readRange(file, base, Math.min(size, to + beyond * 2), 1);
      last = bytes.indexOf(0x0a, to - base);
    }
    if (last === -1) last = bytes.lastIndexOf(0x0a);
    return last < first ? { bytes, from: 0, to: 0, end: undefined } : { bytes, from: first, to: last + 1, end: base + last };
  } finally {
    closeSync(file);
  }
}

/** Holds one block after the other: fresh memory for each would cost more than reading. Blocks are verified one at a time. */
let scratch = Buffer.alloc(0);

/** With `headroom` bytes before. */
function readRange(file: number, from: number, to: number, headroom: number): Buffer {
  if (scratch.length < headroom + to - from) scratch = Buffer.allocUnsafeSlow(headroom + to - from);
  const bytes = scratch.subarray(0, headroom + to - from);
  let at = headroom;
  while (at < bytes.length) {
    const count = readSync(file, bytes, at, bytes.length - at, from + at - headroom);
    if (count === 0) break;
    at += count;
  }
  return bytes.subarray(0, at);
}

/** Index of the first value above `limit`. */
function firstAbove(sizes: ArrayLike<number>, limit: number): number {
  let [low, high] = [0, sizes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sizes[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
