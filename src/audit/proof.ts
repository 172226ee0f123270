/**
 * Proofs out of the log's files: that an entry is in what a checkpoint covers, in a form that is checked without the log,
 * and that a later checkpoint only added to an earlier one. Making a proof verifies every line that it reads.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { SignedCheckpoint } from './checkpoint.ts';
import { GENESIS } from './entry.ts';
import { leafOf, type EntryProof } from './proof-check.ts';
import { readStart, type LogStart } from './pruned.ts';
import { listSegments, prevOf, PRUNED_FILE, readSegment } from './segments.ts';
import { consistencyRanges, inclusionRanges, inclusionRoot, isConsistent, RangeRoots, type LeafRange } from './tree.ts';
import { verifySegment, type Head } from './verify.ts';

/** An entry by its index or its exchange. */
export type Wanted = number | { readonly requestId: string };

/** Undefined when the checkpoint covers no such entry that is there. Throws RangeError when the log does not hold, or the entry was pruned. */
export async function proveEntry(dir: string, wanted: Wanted, checkpoint: SignedCheckpoint): Promise<EntryProof | undefined> {
  const { first, entry } = await startOf(dir);
  if (typeof wanted === 'number' && wanted < first) throw new RangeError(`entry ${wanted} was pruned: the log begins at entry ${first}, as entry ${entry!.index}${entry!.copyOf === undefined ? '' : ` of ${entry!.checkpoint.origin}`} says`);
  const found = await findEntry(dir, wanted, checkpoint.size);
  if (found === undefined) return undefined;
  const proof = await rootsOf(dir, inclusionRanges(found.index, checkpoint.size), checkpoint.size);
  const made = { index: found.index, entry: found.line, proof, checkpoint: checkpoint.note };
  if (inclusionRoot({ index: found.index, size: checkpoint.size, leaf: leafOf(found.line), proof }) !== checkpoint.root) throw new RangeError(`the first ${checkpoint.size} entries are not those that the checkpoint was signed for`);
  return made;
}

/** The same in a thread of its own, for a process that has other things to do. `note` is the checkpoint. */
export async function proveEntryApart(dir: string, wanted: Wanted, note: string): Promise<EntryProof | undefined> {
  const worker = new Worker(new URL('./proof-worker.ts', import.meta.url), { workerData: { dir, wanted, note } });
  const [proof] = (await once(worker, 'message')) as [EntryProof | undefined];
  return proof;
}

/** Roots that prove it; undefined when the log holds other entries than the two checkpoints cover. */
export async function proveConsistency(dir: string, old: SignedCheckpoint, now: SignedCheckpoint): Promise<readonly string[] | undefined> {
  if (old.size > now.size) return undefined;
  const proof = old.size === 0 || old.size === now.size ? [] : await rootsOf(dir, consistencyRanges(old.size, now.size), now.size);
  return isConsistent(old, now, proof) ? proof : undefined;
}

async function findEntry(dir: string, wanted: Wanted, size: number): Promise<{ readonly index: number; readonly line: string } | undefined> {
  const needle = typeof wanted === 'number' ? undefined : `"request_id":${JSON.stringify(wanted.requestId)}`;
  let found: { readonly index: number; readonly line: string } | undefined;
  await eachEntry(dir, size, (index, _leaf, line) => {
    if (found !== undefined || (typeof wanted === 'number' && index !== wanted)) return;
    const text = line();
    if (needle === undefined || text.includes(needle)) found = { index, line: text };
  });
  return found;
}

/** Subtrees of what was pruned lie whole in one range or outside all of them: ranges lie beside a place that is not before the log's first entry. */
async function rootsOf(dir: string, ranges: readonly LeafRange[], size: number): Promise<readonly string[]> {
  const roots = new RangeRoots(ranges);
  for (const { level, hash } of (await startOf(dir)).nodes) roots.push(level, hash);
  await eachEntry(dir, size, (_index, leaf) => roots.append(leaf));
  return roots.roots();
}

async function startOf(dir: string): Promise<LogStart> {
  const start = await readStart(dir);
  if (start === undefined) throw new RangeError(`the file ${PRUNED_FILE} does not say where the log begins`);
  return start;
}

/** Those of the first `size` entries that are there, verified. */
async function eachEntry(dir: string, size: number, take: (index: number, leaf: string, line: () => string) => void): Promise<void> {
  const { first } = await startOf(dir);
  if (size < first) throw new RangeError(`the checkpoint covers ${size} entries, and those before entry ${first} were pruned`);
  let head: Head | undefined;
  for (const name of await listSegments(dir, first)) {
    if (head !== undefined && head.index + 1 >= size) return;
    const bytes = await readSegment(dir, name);
    head ??= { index: first - 1, hash: first === 0 ? GENESIS : prevOf(bytes) };
    const report = verifySegment(name, bytes, head, (index, leaf, start, end) => {
      if (index < size) take(index, leaf, () => bytes.toString('utf8', start, end));
    });
    if (report.damage !== undefined && report.damage.index < size) throw new RangeError(`${name} line ${report.damage.line} (entry ${report.damage.index}): ${report.damage.reason}`);
    ({ head } = report);
  }
  const held = head === undefined ? first : head.index + 1;
  if (held < size) throw new RangeError(`the checkpoint covers ${size} entries, and the files hold ${held}`);
}
