/**
 * A sealed text with its wrapped key as they lie in the vault, to be laid elsewhere for other processes that have the same
 * master key; nothing is opened or sealed anew for it. And what is read of several parts of one exchange. No I/O.
 */
import type { SealedCopy } from '../contract/content.ts';
import type { Direction } from '../contract/screening.ts';
import { ContentKeyError, type MasterKey } from './content-key.ts';
import type { FoundSlot } from './content-files.ts';
import { isErased, openTexts, unwrapKey, type SlotPlace } from './sealed-content.ts';
import type { ReadContent } from './vault.ts';

/** Throws ContentKeyError where another master key sealed it. */
export function openCopy({ day, keyId, slot, sealed }: SealedCopy, master: MasterKey, { tenantId, requestId }: { readonly tenantId: string; readonly requestId: string }, direction: Direction): ReadContent {
  if (isGone(slot)) return { state: 'erased' };
  if (keyId !== master.id) throw new ContentKeyError(`the text is sealed under the master key ${keyId}, and this process has ${master.id}; ${ONE_KEY}`);
  const place: SlotPlace = { tenantId, day };
  const key = unwrapKey(slot, master.forTenant(tenantId), place);
  const texts = key && openTexts(key, { tenantId, requestId, direction }, sealed);
  return texts === undefined ? { state: 'damaged' } : { state: 'there', texts };
}

/** Without its key: where it stood are zeros, or nothing is left of it. */
export function isGone(slot: Buffer): boolean {
  return slot.length === 0 || isErased(slot);
}

/** What to do where it was sealed elsewhere. */
export const ONE_KEY = 'the processes of a fleet read each other’s texts where all have the same audit.master_key, or the same file as audit.master_key_file';

/** Of each session the newest that has this direction; else any. */
export function newestBySession(found: readonly FoundSlot[], direction: Direction): readonly FoundSlot[] {
  const newest = new Map<string, FoundSlot>();
  for (const one of found) {
    const session = one.slot.session.toString('latin1');
    if (!newest.has(session) || one.slot.extents[direction].bytes > 0) newest.set(session, one);
  }
  return [...newest.values()];
}

/** Of the parts of one exchange, at least one: what is left of it, unless something is damaged. */
export function joined(parts: readonly ReadContent[]): ReadContent {
  const there = parts.flatMap((part) => (part.state === 'there' ? [part.texts] : []));
  if (there.length === 0 || parts.some(({ state }) => state === 'damaged')) return parts.find(({ state }) => state === 'damaged') ?? parts.find(({ state }) => state === 'erased') ?? parts[0]!;
  return { state: 'there', texts: { texts: there.flatMap(({ texts }) => texts), cut: there.reduce((sum, { cut }) => sum + cut, 0) } };
}
