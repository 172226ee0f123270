/**
 * Proofs out of the log's files: that an entry is in what a checkpoint covers, in a form that is checked without the log,
 * and that a later checkpoint only added to an earlier one. Making a proof verifies every line that it reads.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { SEAL_CHARS } from './entry.ts';
import { isSignedBy, readCheckpoint, type NoteKey, type SignedCheckpoint } from './checkpoint.ts';
import { listSegments, readSegment } from './segments.ts';
import { consistencyRanges, HASH_SHAPE, inclusionRanges, inclusionRoot, isConsistent, leafHash, RangeRoots, type LeafRange } from './tree.ts';
import { EMPTY_HEAD, verifySegment } from './verify.ts';

/** Says all that is needed besides the public key. Members are named as in JSON. */
export interface EntryProof {
  readonly index: number;
  /** The line as it stands in the log. */
  readonly entry: string;
  /** Roots of the subtrees beside the way from the entry to the root, from the entry upwards. */
  readonly proof: readonly string[];
  /** A signed note. */
  readonly checkpoint: string;
}

/** An entry by its index or its exchange. */
export type Wanted = number | { readonly requestId: string };

/** Undefined when the checkpoint covers no such entry. Throws RangeError when the log does not hold. */
export async function proveEntry(dir: string, wanted: Wanted, checkpoint: SignedCheckpoint): Promise<EntryProof | undefined> {
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

/** What is wrong with a proof; undefined: it holds under one of the keys. */
export function proofFault(value: unknown, keys: readonly NoteKey[]): string | undefined {
  const { index, entry, proof, checkpoint: note } = (typeof value === 'object' && value !== null ? value : {}) as Partial<EntryProof>;
  const checkpoint = typeof note === 'string' ? readCheckpoint(note) : undefined;
  if (typeof index !== 'number' || typeof entry !== 'string' || !Array.isArray(proof) || checkpoint === undefined) return 'it is no proof: index, entry, proof and checkpoint are needed';
  if (!proof.every((step) => typeof step === 'string' && HASH_SHAPE.test(step))) return 'a step of it is no hash';
  if (indexOf(entry) !== index) return `the entry does not say that it has index ${index}`;
  if (inclusionRoot({ index, size: checkpoint.size, leaf: leafOf(entry), proof }) !== checkpoint.root) return 'the entry is not in the tree that the checkpoint was signed for';
  return keys.some((key) => isSignedBy(checkpoint, key)) ? undefined : 'the checkpoint is signed with none of the keys that count';
}

/** Of the entry without its seal. */
function leafOf(line: string): string {
  const bytes = Buffer.from(line);
  return leafHash(Buffer.concat([bytes.subarray(0, Math.max(0, bytes.length - SEAL_CHARS)), Buffer.from('}')]));
}

function indexOf(line: string): unknown {
  try {
    return (JSON.parse(line) as { readonly index?: unknown } | null)?.index;
  } catch {
    return undefined;
  }
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

async function rootsOf(dir: string, ranges: readonly LeafRange[], size: number): Promise<readonly string[]> {
  const roots = new RangeRoots(ranges);
  await eachEntry(dir, size, (_index, leaf) => roots.append(leaf));
  return roots.roots();
}

/** The first `size` entries, verified. */
async function eachEntry(dir: string, size: number, take: (index: number, leaf: string, line: () => string) => void): Promise<void> {
  let head = EMPTY_HEAD;
  for (const name of await listSegments(dir)) {
    if (head.index + 1 >= size) return;
    const bytes = await readSegment(dir, name);
    const report = verifySegment(name, bytes, head, (index, leaf, start, end) => {
      if (index < size) take(index, leaf, () => bytes.toString('utf8', start, end));
    });
    if (report.damage !== undefined && report.damage.index < size) throw new RangeError(`${name} line ${report.damage.line} (entry ${report.damage.index}): ${report.damage.reason}`);
    ({ head } = report);
  }
  if (head.index + 1 < size) throw new RangeError(`the checkpoint covers ${size} entries, and the files hold ${head.index + 1}`);
}
