/**
 * Retention of the copies of other logs: the same rules as for the own log, under the configuration of who keeps them. Since
 * nobody here can write to those logs, the entry that says what went is one of the keeper's log, and its proof begins the
 * copy. Shipping waits meanwhile, at most for some segments of one copy. A copy that fails keeps no other from its turn.
 */
import { join } from 'node:path';
import type { NoteKey } from './checkpoint.ts';
import type { Collector } from './collector.ts';
import type { PrunedCopyRecord } from './entry.ts';
import type { EntryProof } from './proof-check.ts';
import type { Pruning } from './prune.ts';
import { readStart } from './pruned.ts';
import type { AuditRetention } from './retention.ts';
import { firstIndexOf, listSegments, readEnd } from './segments.ts';

export interface CopyKeeper {
  /** Resolves with the proof when the entry is on disk in the own log, and signed. */
  vouch(record: PrunedCopyRecord): Promise<EntryProof>;
  /** That sign the own log, and did. */
  keys(): Promise<readonly NoteKey[]>;
}

export interface CopyRound {
  readonly collector: Collector;
  readonly keeper: CopyKeeper;
  readonly retention: () => AuditRetention;
  readonly now: () => number;
  readonly pruned: (log: string, done: Pruning) => void;
  /** Between two steps; false: end here. */
  readonly pause: () => Promise<boolean>;
}

const DAY_MS = 86_400_000;
/** The end of a segment, where its last entry is. */
const LINE_BYTES = 64 * 1024;

/** One after the other. Rejects in the end when one failed. */
export async function pruneCopies({ collector, keeper, retention, now, pruned, pause }: CopyRound): Promise<void> {
  const failed: string[] = [];
  for (const log of await collector.names()) {
    try {
      while (await mayHaveOld(collector.dirOf(log), retention(), now())) {
        const done = await collector.withCopy(log, (copy) => copy.prune(retention(), now(), (record) => keeper.vouch(record), () => keeper.keys()));
        if (done === undefined) break;
        pruned(log, done);
        if (!(await pause())) return;
      }
    } catch (error) {
      failed.push(`${log}: ${(error as NodeJS.ErrnoException).code ?? (error as Error).name}`);
    }
  }
  if (failed.length > 0) throw new RangeError(`${failed.length} of them, ${failed.slice(0, 3).join(', ')}`);
}

/** Spares reading segments of which nothing can go: those of 10,000 copies every hour. */
async function mayHaveOld(dir: string, { days, tenants }: AuditRetention, nowMs: number): Promise<boolean> {
  const [first, second] = await listSegments(dir);
  if (first === undefined || second === undefined) return false;
  if (firstIndexOf(first) < ((await readStart(dir))?.first ?? Infinity)) return true; // of a pruning that was cut short
  const least = Math.min(days ?? Infinity, ...Object.values(tenants));
  const endedMs = await endOf(join(dir, first));
  return endedMs === undefined || endedMs + least * DAY_MS <= nowMs;
}

/** Time of the last entry of a segment, in milliseconds since 1970; undefined: it cannot be told without reading all. */
async function endOf(path: string): Promise<number | undefined> {
  const bytes = (await readEnd(path, LINE_BYTES)) ?? Buffer.alloc(0);
  const line = bytes.subarray(bytes.lastIndexOf(0x0a, bytes.length - 2) + 1).toString('utf8');
  try {
    return Date.parse((JSON.parse(line) as { readonly time: string }).time);
  } catch {
    return undefined; // a long one, of which this is the end
  }
}
