/**
 * Another master key for kept content: every slot is wrapped anew, day by day, an entry says so, and the former key is
 * destroyed. What was sealed stays as it is, so the log's commitments hold. Nothing may write meanwhile. When it is cut
 * short no content is kept or read until it is run again, and it goes on from there: each slot is under one key or the
 * other.
 */
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { SqlReviewContents, WrappedRow } from '../store/review-contents.ts';
import { daysOf, destroyFile, keysFile, slotsOf } from './content-files.ts';
import { ContentKeyError, createMasterKey, ID_FILE, sealedWith, isRotationPending, nextMasterFile, openMasterKey, readMasterKey, type MasterKey, type MasterKeyPlace } from './content-key.ts';
import type { ContentKeyRotationRecord } from './entry.ts';
import { isErased, unwrapKey, wrapAgain, type SlotPlace } from './sealed-content.ts';
import { replaceFile, syncFolder } from './segments.ts';

export interface RewrappedKeys {
  readonly rewrapped: number;
  /** Slots that neither key opens; they stay as they are. */
  readonly damaged: number;
}

type SharedKeys = Pick<SqlReviewContents, 'wrappedUnder' | 'rewrap'>;

const ROWS_AT_ONCE = 500;

/**
 * `audit` resolves when the entry is on disk. `shared`: texts in a store, of the review queue and of what models learn
 * from; those under the former key, whoever laid them there, are rewrapped too. Throws ContentKeyError, or that the store does not answer.
 */
export async function rotateMasterKey(place: MasterKeyPlace, author: string, audit: (record: ContentKeyRotationRecord) => Promise<void>, shared: readonly SharedKeys[] = []): Promise<RewrappedKeys> {
  const { dir, keyFile } = place;
  if (place.key !== undefined) throw new ContentKeyError('the master key stands in audit.master_key; put it into audit.master_key_file first, and the new one will stand there');
  const isPending = await isRotationPending(keyFile);
  const former = isPending ? await readMasterKey(keyFile).catch(() => undefined) : await openMasterKey(place, { make: false });
  const next = isPending ? await readMasterKey(nextMasterFile(keyFile)) : await createMasterKey(nextMasterFile(keyFile));
  // The former is destroyed only after the folder names the next.
  if (former === undefined && (await sealedWith(dir)) !== next.id) throw new ContentKeyError(`${keyFile} holds no key, and content is still under it; put it back, and run this again`);
  let [rewrapped, damaged] = [0, 0];
  for (const day of await daysOf(dir)) {
    const slots = await rewrapDay(dir, day, former, next);
    rewrapped += slots.rewrapped;
    damaged += slots.damaged;
  }
  if (former !== undefined) for (const place of shared) {
    const rows = await rewrapShared(place, former, next);
    rewrapped += rows.rewrapped;
    damaged += rows.damaged;
  }
  await audit({ kind: 'content_key_rotation', author, to: next.id, rewrapped, damaged, ...(former === undefined ? {} : { from: former.id }) });
  await replaceFile(join(dir, ID_FILE), `${next.id}\n`);
  await destroyFile(keyFile, { keepName: true });
  await rename(nextMasterFile(keyFile), keyFile);
  await syncFolder(dirname(keyFile));
  return { rewrapped, damaged };
}

async function rewrapDay(dir: string, place: SlotPlace, former: MasterKey | undefined, next: MasterKey): Promise<RewrappedKeys> {
  let [rewrapped, damaged] = [0, 0];
  const slots: Buffer[] = [];
  for await (const { bytes } of slotsOf(dir, place)) {
    const isNew = isErased(bytes) || unwrapKey(bytes, next.forTenant(place.tenantId), place) !== undefined;
    const key = isNew || former === undefined ? undefined : unwrapKey(bytes, former.forTenant(place.tenantId), place);
    if (key === undefined) slots.push(bytes);
    else slots.push(wrapAgain(bytes, key, next.forTenant(place.tenantId), place));
    if (key !== undefined) rewrapped++;
    else if (!isNew) damaged++;
  }
  if (rewrapped > 0) await replaceFile(keysFile(dir, place), Buffer.concat(slots));
  return { rewrapped, damaged };
}

/** What changes meanwhile is found under the key that it has then, by whoever rotates that. */
async function rewrapShared(shared: SharedKeys, former: MasterKey, next: MasterKey): Promise<RewrappedKeys> {
  let [rewrapped, damaged] = [0, 0];
  let after: Pick<WrappedRow, 'reviewId' | 'session'> = { reviewId: '', session: '' };
  for (let rows: readonly WrappedRow[] = await shared.wrappedUnder(former.id, after, ROWS_AT_ONCE); rows.length > 0; rows = await shared.wrappedUnder(former.id, after, ROWS_AT_ONCE)) {
    for (const row of rows) {
      const key = unwrapKey(row.slot, former.forTenant(row.tenantId), row);
      if (key === undefined) damaged++;
      else if (await shared.rewrap(row, wrapAgain(row.slot, key, next.forTenant(row.tenantId), row), next.id)) rewrapped++;
      after = row;
    }
  }
  return { rewrapped, damaged };
}
