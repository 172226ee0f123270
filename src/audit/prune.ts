/**
 * Removes from the beginning of a log what passed its retention. The order makes it safe to end anywhere: an entry says
 * what goes and is signed; the file `pruned` takes its proof, from where on the log begins there for every reader; then
 * the segments go, the oldest first, and the checkpoints that they were for. What was left undone is done the next time.
 */
import { once } from 'node:events';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { PrunedRecord } from './entry.ts';
import type { AuditLog } from './log.ts';
import { keeperKeys, requireStart } from './pruned.ts';
import { publishedKeys } from './recovery.ts';
import type { AuditRetention } from './retention.ts';
import { firstIndexOf, listSegments, PRUNED_FILE, replaceFile, syncFolder } from './segments.ts';

export type Asked =
  | { readonly what: 'plan'; readonly dir: string; readonly retention: AuditRetention; readonly nowMs: number; readonly before: number; readonly isCopy: boolean }
  | { readonly what: 'notes'; readonly dir: string; readonly size: number };

/** What is pruned: the own log, or the copy of another, whose entry goes into the log of its keeper. */
export type PrunableLog = Pick<AuditLog, 'appendProven' | 'dropCheckpoints'>;

export interface PruningBounds {
  /** Entries from it on stay: nobody else has them yet. */
  readonly before?: number | undefined;
  readonly isCopy?: boolean;
}

export interface Pruning {
  /** Where the log begins now. */
  readonly first: number;
  readonly entries: number;
  readonly segments: number;
  readonly bytes: number;
}

/** Undefined: nothing may go. Rejects when the log cannot be written, or what would go does not hold; then nothing new is removed. */
export async function pruneLog(log: PrunableLog, dir: string, retention: AuditRetention, nowMs: number, { before = Infinity, isCopy = false }: PruningBounds = {}): Promise<Pruning | undefined> {
  const { first: former } = await requireStart(dir, await publishedKeys(dir), isCopy ? await keeperKeys(dir) : []);
  if (former > 0) await removeBefore(log, dir, former); // where it was cut short
  const record = await askApart<PrunedRecord | undefined>({ what: 'plan', dir, retention, nowMs, before, isCopy });
  if (record === undefined) return undefined;
  const proof = await log.appendProven(record);
  await replaceFile(join(dir, PRUNED_FILE), `${JSON.stringify(proof)}\n`);
  return { first: record.first, entries: record.first - record.from, ...(await removeBefore(log, dir, record.first)) };
}

async function removeBefore(log: PrunableLog, dir: string, first: number): Promise<{ readonly segments: number; readonly bytes: number }> {
  const old = (await listSegments(dir)).filter((name) => firstIndexOf(name) < first);
  let bytes = 0;
  for (const name of old) {
    bytes += (await stat(join(dir, name))).size;
    await rm(join(dir, name));
  }
  if (old.length > 0) await syncFolder(dir);
  await log.dropCheckpoints(await askApart<number>({ what: 'notes', dir, size: first }));
  return { segments: old.length, bytes };
}

async function askApart<T>(asked: Asked): Promise<T> {
  const worker = new Worker(new URL('./retention-worker.ts', import.meta.url), { workerData: asked });
  const [answer] = (await once(worker, 'message')) as [T];
  return answer;
}
