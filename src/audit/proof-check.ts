/**
 * A proof that an entry is in what a checkpoint covers, and its check, which needs the public key alone and no log. Pure.
 */
import { isSignedBy, readCheckpoint, type NoteKey } from './checkpoint.ts';
import { SEAL_CHARS } from './entry.ts';
import { HASH_SHAPE, inclusionRoot, leafHash } from './tree.ts';

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
export function leafOf(line: string): string {
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
