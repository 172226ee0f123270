/** `weir audit prove` and `weir audit consistency`: proofs out of the files of the log. */
import { newestCheckpoint } from '../../audit/checkpoint-file.ts';
import { isSignedBy } from '../../audit/checkpoint.ts';
import { proveConsistency, proveEntry } from '../../audit/proof.ts';
import { parseCall, UsageError, type Io } from '../command.ts';
import { countingKeys, logFolder, readNoteFile } from './place.ts';

export async function proveAudit(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [operand] } = parseCall(args, { checkpoint: 'value', dir: 'value', config: 'value' }, 1);
  if (operand === undefined) throw new UsageError('name an entry by its index or its request id');
  const dir = await logFolder(options, io);
  const checkpoint = options.checkpoint === undefined ? (await newestCheckpoint(dir)).checkpoint : await readNoteFile(options.checkpoint);
  if (checkpoint === undefined) return fail(io, 'prove', `there is no checkpoint in ${dir} that a proof could lead to`);
  const wanted = /^\d{1,15}$/.test(operand) ? Number(operand) : { requestId: operand };
  try {
    const proof = await proveEntry(dir, wanted, checkpoint);
    if (proof === undefined) return fail(io, 'prove', `none of the ${checkpoint.size} entries that the checkpoint covers is ${JSON.stringify(operand)}; the newest are signed within a second, and what was pruned is gone`);
    io.stdout(`${JSON.stringify(proof)}\n`);
    return 0;
  } catch (error) {
    if (error instanceof RangeError) return fail(io, 'prove', error.message);
    throw error;
  }
}

export async function proveAuditConsistency(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [oldPath, newPath] } = parseCall(args, { key: 'value', dir: 'value', json: 'flag', config: 'value' }, 2);
  if (oldPath === undefined || newPath === undefined) throw new UsageError('name two checkpoint files, the older one first');
  const dir = await logFolder(options, io);
  const keys = await countingKeys(options.key, dir);
  const [old, now] = [await readNoteFile(oldPath), await readNoteFile(newPath)];
  for (const [path, checkpoint] of [[oldPath, old], [newPath, now]] as const) {
    if (!keys.some((key) => isSignedBy(checkpoint, key))) return fail(io, 'consistency', `${path} is signed with none of the keys that count`);
  }
  try {
    const proof = await proveConsistency(dir, old, now);
    const ok = proof !== undefined;
    if (options.json) io.stdout(`${JSON.stringify({ ok, old_size: old.size, new_size: now.size, proof })}\n`);
    else io.stdout(ok ? `consistent: the ${now.size} entries begin with the ${old.size}\n` : `NOT consistent: the tree of ${now.size} entries does not begin with that of ${old.size}, or this log is neither's\n`);
    return ok ? 0 : 1;
  } catch (error) {
    if (error instanceof RangeError) return fail(io, 'consistency', error.message);
    throw error;
  }
}

function fail(io: Io, verb: string, message: string): number {
  io.stderr(`weir audit ${verb}: ${message}\n`);
  return 1;
}
