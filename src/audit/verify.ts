/**
 * The verifier of the chain: takes whole lines and names the first that does not hold. Pure: reading files is the
 * caller's. It finds every changed, missing, added or reordered entry inside the log; that a log was written anew, or
 * that entries are missing at its very end, only checkpoints show (src/audit/check.ts). A line is hashed where it stands
 * and is parsed only when its place in the chain cannot be read without: an entry costs little more than its hash.
 */
import { hash } from 'node:crypto';
import { GENESIS, SEAL_CHARS } from './entry.ts';

/** The last entry that holds: its index (-1: none) and hash. */
export interface Head {
  readonly index: number;
  readonly hash: string;
}

export const EMPTY_HEAD: Head = { index: -1, hash: GENESIS };

export interface Damage {
  /** File of the log. */
  readonly segment: string;
  /** From 1. */
  readonly line: number;
  /** The index that should stand there. */
  readonly index: number;
  readonly reason: string;
}

/** Takes each entry that holds: its hash as leaf of the tree, where its line stands, and whether it is about the log itself. */
export type TakeEntry = (index: number, leaf: string, start: number, end: number, isLandmark: boolean) => void;

export interface BlockReport {
  /** What the first line says of its place. */
  readonly first?: { readonly index: number; readonly prev: string };
  /** The last entry that holds. */
  readonly head: Head | undefined;
  /** Entries that hold. */
  readonly entries: number;
  /** Of the line after them. */
  readonly fault?: string;
}

/**
 * Verifies the whole lines of `bytes` from `from` to `to`, as continuing after `head`, or, without it, by themselves.
 * `from` is not 0: the byte before a line is written to while it is hashed, and put back.
 */
export function verifyBlock(bytes: Buffer, from: number, to: number, head: Head | undefined, take?: TakeEntry): BlockReport {
  let first: BlockReport['first'];
  let entries = 0;
  let tail = 0; // characters from `prev` to the end of the line before
  for (let base = from, stop = 0; base < to; base = stop) {
    stop = pieceEnd(bytes, base, to);
    const text = bytes.toString('latin1', base, stop);
    for (let at = 0, end = text.indexOf('\n'); end !== -1; at = end + 1, end = text.indexOf('\n', at)) {
      const sealed = openSeal(bytes, text, base, at, end);
      if (typeof sealed === 'string') return { first, head, entries, fault: sealed };
      const place = placeOf(text, at, end, tail) ?? parsePlace(bytes, base + at, base + end);
      if (place === undefined) return { first, head, entries, fault: 'the line is no entry' };
      first ??= { index: place.index, prev: place.prev };
      const fault = head && chainFault(place, head);
      if (fault !== undefined) return { first, head, entries, fault };
      head = { index: place.index, hash: sealed.hash };
      entries++;
      tail = place.tail;
      take?.(place.index, sealed.leaf, base + at, base + end, place.isLandmark);
    }
  }
  return { first, head, entries };
}

/** Bytes that are looked at as one text: few enough to stay in the processor's cache. */
const PIECE_BYTES = 64 * 1024;

/** Where a piece of whole lines ends that begins at `from`. */
function pieceEnd(bytes: Buffer, from: number, to: number): number {
  if (from + PIECE_BYTES >= to) return to;
  const last = bytes.lastIndexOf(0x0a, from + PIECE_BYTES);
  return (last > from ? last : bytes.indexOf(0x0a, from + PIECE_BYTES)) + 1;
}

/** Checks a line against its own hash: a fault, or the hash that the chain goes on with and the leaf's. */
function openSeal(bytes: Buffer, text: string, from: number, at: number, end: number): { readonly hash: string; readonly leaf: string } | string {
  const cut = end - SEAL_CHARS;
  if (cut <= at || !text.startsWith(',"hash":"', cut) || !text.startsWith('"}', end - 2)) return 'the line does not end with its hash';
  const seal = text.slice(cut + 9, end - 2);
  const [before, after] = [from + at - 1, from + cut];
  const [savedBefore, savedAfter] = [bytes[before]!, bytes[after]!];
  bytes[before] = 0;
  bytes[after] = 0x7d; // }
  const leaf = hash('sha256', bytes.subarray(before, after + 1), 'hex');
  const plain = leaf === seal ? leaf : hash('sha256', bytes.subarray(before + 1, after + 1), 'hex'); // of an older log
  bytes[before] = savedBefore;
  bytes[after] = savedAfter;
  return plain === seal ? { hash: plain, leaf } : 'the line does not match its hash';
}

interface Place {
  readonly index: number;
  readonly prev: string;
  /** Characters from `prev` to the end of the line; 0: not known. */
  readonly tail: number;
  readonly isLandmark: boolean;
}

const PREV = ',"prev":"';
/** How much longer than in the line before what follows `prev` is expected to be at most: some numbers with more digits. */
const TAIL_SLACK_CHARS = 32;

/** Entries about the log itself. */
const LANDMARKS: readonly unknown[] = ['key_rotation', 'loss_accepted'];

/**
 * Index and previous hash, where they surely are members of the entry itself: no object begins before the one or ends
 * after the other. A quote within a JSON string is escaped, so what is looked for cannot stand in one. Lines are alike,
 * so `prev` is looked for about where the line before had it: searching backwards from the end costs a tenth of all.
 */
function placeOf(text: string, at: number, end: number, tail: number): Place | undefined {
  const index = text.indexOf('"index":', at);
  let prev = tail === 0 ? -1 : text.indexOf(PREV, Math.max(at, end - tail - TAIL_SLACK_CHARS));
  if (prev === -1 || prev > end) prev = text.lastIndexOf(PREV, end);
  if (index === -1 || index > end || prev <= at) return undefined;
  const object = text.indexOf('{', at + 1);
  if ((object !== -1 && object < index) || text.indexOf('}', prev) !== end - 1 || text[prev + 73] !== '"') return undefined;
  let value = 0;
  let digit = index + 8;
  for (; digit < end; digit++) {
    const code = text.charCodeAt(digit) - 48;
    if (code < 0 || code > 9) break;
    value = value * 10 + code;
  }
  if (digit === index + 8 || text[digit] !== ',') return undefined;
  // Members are in order of their names, and in these entries none is between `index` and `kind`.
  const isLandmark = text.startsWith('"kind":"key_rotation"', digit + 1) || text.startsWith('"kind":"loss_accepted"', digit + 1);
  return { index: value, prev: text.slice(prev + 9, prev + 73), tail: end - prev, isLandmark };
}

// The hash held, so this is what some writer wrote; whether that was us is what the chain and the types here tell.
function parsePlace(bytes: Buffer, start: number, end: number): Place | undefined {
  try {
    const entry = JSON.parse(bytes.toString('utf8', start, end)) as { readonly index?: unknown; readonly prev?: unknown; readonly kind?: unknown } | null;
    return typeof entry?.index === 'number' && typeof entry.prev === 'string' ? { index: entry.index, prev: entry.prev, tail: 0, isLandmark: LANDMARKS.includes(entry.kind) } : undefined;
  } catch {
    return undefined;
  }
}

export function chainFault(entry: { readonly index: number; readonly prev: string }, head: Head): string | undefined {
  if (entry.index !== head.index + 1) return `the entry has index ${entry.index}, expected ${head.index + 1}`;
  if (entry.prev !== head.hash) return 'the entry does not name the hash of the entry before it';
  return undefined;
}

export interface SegmentReport {
  readonly head: Head;
  readonly entries: number;
  readonly damage?: Damage;
  /** Bytes after the last line end: a line that a crash left unfinished. Damage unless this is the last segment. */
  readonly tornBytes: number;
}

/** Verifies one segment that continues after `head`. Stops at the first damage. */
export function verifySegment(segment: string, bytes: Buffer, head: Head, take?: TakeEntry): SegmentReport {
  const whole = bytes.lastIndexOf(0x0a) + 1;
  const shift = Buffer.concat([Buffer.alloc(1), bytes.subarray(0, whole)]);
  const { head: last = head, entries, fault } = verifyBlock(shift, 1, shift.length, head, take && ((index, leaf, start, end, isLandmark) => take(index, leaf, start - 1, end - 1, isLandmark)));
  if (fault !== undefined) return { head: last, entries, damage: { segment, line: entries + 1, index: last.index + 1, reason: fault }, tornBytes: 0 };
  return { head: last, entries, tornBytes: bytes.length - whole };
}

export interface LogReport {
  readonly head: Head;
  readonly entries: number;
  readonly damage?: Damage;
  readonly tornBytes: number;
}

/** Verifies a whole log, segments in order. An unfinished last line of the last segment is reported and is no damage. */
export function verifyLog(segments: Iterable<{ readonly name: string; readonly bytes: Buffer }>): LogReport {
  let head = EMPTY_HEAD;
  let entries = 0;
  let torn: { readonly segment: string; readonly line: number; readonly bytes: number } | undefined;
  for (const { name, bytes } of segments) {
    if (torn !== undefined) {
      const damage = { segment: torn.segment, line: torn.line, index: head.index + 1, reason: 'the line is unfinished and another segment follows' };
      return { head, entries, damage, tornBytes: 0 };
    }
    const report = verifySegment(name, bytes, head);
    head = report.head;
    entries += report.entries;
    if (report.damage !== undefined) return { head, entries, damage: report.damage, tornBytes: 0 };
    if (report.tornBytes > 0) torn = { segment: name, line: report.entries + 1, bytes: report.tornBytes };
  }
  return { head, entries, tornBytes: torn?.bytes ?? 0 };
}
