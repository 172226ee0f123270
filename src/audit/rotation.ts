/**
 * A new signing key for the log: an entry that names it, signed with both, and from that entry on it signs alone. The
 * former private key is gone then. The log must not be open elsewhere. When it is cut short, the next start of the log
 * ends it or undoes it, as the entry is there or not.
 */
import { rotationText, signNote, type NoteKey } from './checkpoint.ts';
import { adoptNextKey, createSigner, nextKeyFile, readSigner } from './key.ts';
import { openAuditLog, type AuditLogOptions } from './log.ts';
import { publishKey } from './recovery.ts';

export async function rotateKey(options: AuditLogOptions): Promise<{ readonly index: number; readonly from: NoteKey; readonly to: NoteKey }> {
  const { dir, keyFile, origin } = options;
  const log = await openAuditLog(options);
  try {
    const current = (await readSigner(keyFile, origin))!; // opening the log made sure of it
    const next = await createSigner(nextKeyFile(keyFile), current.public.name);
    const index = log.head().index + 1;
    const text = rotationText(current.public.name, index, current.public, next.public);
    await log.rotate(signNote(text, [current, next]), next);
    await adoptNextKey(keyFile);
    await publishKey(dir, next.public);
    return { index, from: current.public, to: next.public };
  } finally {
    await log.close();
  }
}
