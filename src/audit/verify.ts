/**
 * The verifier of the chain: takes the log's bytes segment by segment and names the first place that does not hold.
 * Pure: reading files is the caller's. It finds every changed, missing, added or reordered entry inside the log; that
 * entries are missing at the very end it cannot see from the files alone (checkpoints can).
 */
import { GENESIS, openEntry } from './entry.ts';

/** The last entry that holds: its index (-1: none) and hash. */
export interface Head {
  readonly index: number;
  readonly hash: string;
}

export const EMPTY_HEAD: Head = { index: -1, hash: GENESIS };

export interface Damage {
  readonly segment: string;
  /** From 1. */
  readonly line: number;
  /** The index that should stand there. */
  readonly index: number;
  readonly reason: string;
}

export interface SegmentReport {
  readonly head: Head;
  readonly entries: number;
  readonly damage?: Damage;
  /** Bytes after the last line end: a line that a crash left unfinished. Damage unless this is the last segment. */
  readonly tornBytes: number;
}

/** Verifies one segment that continues after `head`. Stops at the first damage. */
export function verifySegment(segment: string, bytes: Buffer, head: Head): SegmentReport {
  let at = 0;
  let entries = 0;
  for (let end = bytes.indexOf(0x0a); end !== -1; end = bytes.indexOf(0x0a, at)) {
    const entry = openEntry(bytes.subarray(at, end));
    const reason = 'fault' in entry ? entry.fault : chainFault(entry, head);
    if (reason !== undefined) return { head, entries, damage: { segment, line: entries + 1, index: head.index + 1, reason }, tornBytes: 0 };
    const { index, hash } = entry as { index: number; hash: string };
    head = { index, hash };
    entries++;
    at = end + 1;
  }
  return { head, entries, tornBytes: bytes.length - at };
}

function chainFault(entry: { readonly index: number; readonly prev: string }, head: Head): string | undefined {
  if (entry.index !== head.index + 1) return `the entry has index ${entry.index}, expected ${head.index + 1}`;
  if (entry.prev !== head.hash) return 'the entry does not name the hash of the entry before it';
  return undefined;
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
