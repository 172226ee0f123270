/**
 * What a log that was pruned says of itself: the file `pruned` holds the proof of the newest entry of kind `pruned`, which
 * names the first entry that stays, the tree over those before it, and the keys that rotated among them. The proof needs
 * nothing but a public key, so whoever can write the folder, and cannot sign, cannot pass a cut off for a pruning. Of a
 * copy the entry is one of its keeper's log (`pruned_copy`), and counts under the keys of that log; these sign nothing else.
 */
import { join } from 'node:path';
import { WeirError } from '../contract/errors.ts';
import { readCheckpoint, readNoteKeys, type NoteKey, type SignedCheckpoint } from './checkpoint.ts';
import type { PrunedCopyRecord, PrunedRecord } from './entry.ts';
import { proofFault, type EntryProof } from './proof-check.ts';
import { KEEPER_KEYS_FILE, PRUNED_FILE, readIfThere } from './segments.ts';
import { HASH_SHAPE, type TreeNode } from './tree.ts';

/** Where a log begins. Of one that was never pruned: `first` 0, no nodes. */
export interface LogStart {
  /** C2SP's minimum index: entries before it are not there. */
  readonly first: number;
  /** Of the tree over the entries before `first`, left to right. */
  readonly nodes: readonly TreeNode[];
  readonly rotations: PrunedRecord['rotations'];
  /** Absent: nothing was pruned. */
  readonly entry?: {
    readonly index: number;
    readonly time: string;
    readonly checkpoint: SignedCheckpoint;
    readonly proof: EntryProof;
    /** Of a copy: the log that it is one of. */
    readonly copyOf?: string;
  };
}

export const WHOLE: LogStart = { first: 0, nodes: [], rotations: [] };

/** Undefined: the file is there and does not say where the log begins. Its signature is not looked at. */
export async function readStart(dir: string): Promise<LogStart | undefined> {
  const bytes = await readIfThere(join(dir, PRUNED_FILE));
  return bytes === undefined ? WHOLE : parseStart(bytes.toString('utf8'));
}

/** The same for who works on the log. `keepers`: of a copy. Throws WeirError audit_unavailable where no key stands for it. */
export async function requireStart(dir: string, keys: readonly NoteKey[], keepers: readonly NoteKey[] = []): Promise<LogStart> {
  const start = await readStart(dir);
  const fault = start === undefined ? 'it does not say where the log begins' : startFault(start, keys, keepers);
  if (fault !== undefined) throw new WeirError('audit_unavailable', `the audit log is damaged: the file ${PRUNED_FILE}: ${fault}; put it back from a copy`);
  return start!;
}

/** Why nobody has to believe it; undefined: one of the keys signed it. `log`: the name of the log, where it is known. */
export function startFault({ entry }: LogStart, keys: readonly NoteKey[], keepers: readonly NoteKey[], log?: string): string | undefined {
  if (entry?.copyOf === undefined) return entry && proofFault(entry.proof, keys);
  if (keepers.length === 0) return 'the keeper of a copy removed what was before, and no key of a keeper counts';
  if (log !== undefined && entry.copyOf !== log) return `it is of a copy of ${entry.copyOf}, and this is the log ${log}`;
  return proofFault(entry.proof, keepers);
}

/** Of the keeper of a copy, as they lie beside it. */
export async function keeperKeys(dir: string): Promise<readonly NoteKey[]> {
  return readNoteKeys((await readIfThere(join(dir, KEEPER_KEYS_FILE)))?.toString('utf8') ?? '');
}

function parseStart(text: string): LogStart | undefined {
  try {
    const proof = JSON.parse(text) as EntryProof;
    const { kind, first, edge, rotations, index, time, log } = JSON.parse(proof.entry) as Omit<PrunedRecord, 'kind'> & Pick<PrunedRecord | PrunedCopyRecord, 'kind'> & { readonly index: number; readonly time: string; readonly log?: unknown };
    const checkpoint = readCheckpoint(proof.checkpoint);
    const levels = levelsOf(first);
    const isOwn = kind === 'pruned' && first <= index;
    if (!(isOwn || (kind === 'pruned_copy' && typeof log === 'string')) || checkpoint === undefined || !(Number.isSafeInteger(first) && first > 0) || levels.length !== edge.length || !edge.every((hash) => HASH_SHAPE.test(hash)) || !Array.isArray(rotations)) return undefined;
    return { first, nodes: edge.map((hash, i) => ({ level: levels[i]!, hash })), rotations, entry: { index, time, checkpoint, proof, ...(isOwn ? {} : { copyOf: log as string }) } };
  } catch {
    return undefined;
  }
}

/** Of the full subtrees of a tree of so many leaves, left to right: the places of the ones among the number's binary digits. */
function levelsOf(leaves: number): readonly number[] {
  const digits = [...leaves.toString(2)];
  return digits.flatMap((digit, i) => (digit === '1' ? [digits.length - 1 - i] : []));
}
