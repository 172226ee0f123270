/**
 * The files of kept content: for each tenant a folder, for each day in it `<day>.content`, where sealed texts follow one
 * another, and `<day>.keys`, where the wrapped keys stand in slots of one size. A slot is written after its texts, and a
 * key is destroyed by writing zeros over it where it stands. `<day>.erased` stands for a day that was destroyed whole.
 * What is kept for residual-risk campaigns lies in files of the same kind, `<day>+campaigns`.
 * Knows names and bytes; what they mean is sealed-content's.
 */
import { constants } from 'node:fs';
import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { TENANT } from './erasure.ts';
import { digestOf, isErased, KEY_OFFSET, NO_KEY, readSlot, SLOT_BYTES, type Extent, type Slot, type SlotPlace } from './sealed-content.ts';
import { readIfThere, replaceFile, syncFolder, writeAt } from './segments.ts';

const BLOCK_BYTES = SLOT_BYTES * 8192;
const DAY_FILE = /^(\d{4}-\d\d-\d\d(?:\+campaigns)?)\.(?:keys|content|erased)$/;

const folderOf = (dir: string, tenantId: string): string => join(dir, tenantId);
const fileOf = (dir: string, { tenantId, day }: SlotPlace, ending: 'keys' | 'content' | 'erased'): string => join(dir, tenantId, `${day}.${ending}`);

/** Days of which there is anything, oldest first; `kept`: without those that were destroyed whole. */
export async function listDays(dir: string, tenantId: string, which: 'all' | 'kept' = 'all'): Promise<readonly string[]> {
  if (!TENANT.test(tenantId)) return [];
  const names: readonly string[] = await readdir(folderOf(dir, tenantId)).catch(noneWhereAbsent);
  return [...new Set(names.filter((name) => which === 'all' || !name.endsWith('.erased')).flatMap((name) => DAY_FILE.exec(name)?.[1] ?? []))].sort();
}

/** Every day of every tenant of which there is content. */
export async function daysOf(dir: string): Promise<readonly SlotPlace[]> {
  const tenants: readonly string[] = (await readdir(dir).catch(noneWhereAbsent)).filter((name) => TENANT.test(name));
  return (await Promise.all(tenants.map(async (tenantId) => (await listDays(dir, tenantId, 'kept')).map((day) => ({ tenantId, day }))))).flat();
}

export function keysFile(dir: string, place: SlotPlace): string {
  return fileOf(dir, place, 'keys');
}

function noneWhereAbsent(error: unknown): [] {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw error;
}

/** A day's files, open to be added to. What a crash left unfinished at their ends is written over. */
export class DayWriter {
  readonly #content: FileHandle;
  readonly #keys: FileHandle;
  #contentEnd: number;
  #keysEnd: number;

  private constructor(content: FileHandle, keys: FileHandle, contentEnd: number, keysEnd: number) {
    this.#content = content;
    this.#keys = keys;
    this.#contentEnd = contentEnd;
    this.#keysEnd = keysEnd;
  }

  static async open(dir: string, place: SlotPlace): Promise<DayWriter> {
    await mkdir(folderOf(dir, place.tenantId), { recursive: true, mode: 0o700 });
    const content = await open(fileOf(dir, place, 'content'), constants.O_RDWR | constants.O_CREAT, 0o600);
    try {
      const keys = await open(fileOf(dir, place, 'keys'), constants.O_RDWR | constants.O_CREAT, 0o600);
      const [contentEnd, keysBytes] = [(await content.stat()).size, (await keys.stat()).size];
      if (keysBytes === 0) for (const folder of [folderOf(dir, place.tenantId), dir]) await syncFolder(folder);
      return new DayWriter(content, keys, contentEnd, keysBytes - (keysBytes % SLOT_BYTES));
    } catch (error) {
      await content.close();
      throw error;
    }
  }

  /** Where the next sealed text will stand. */
  get end(): number {
    return this.#contentEnd;
  }

  /** The index that the next slot will have. */
  get slots(): number {
    return this.#keysEnd / SLOT_BYTES;
  }

  /** Texts first, so that no slot ever names what is not there. */
  async append(texts: Buffer, slots: Buffer): Promise<void> {
    this.#contentEnd = await writeAt(this.#content, texts, this.#contentEnd);
    await this.#content.datasync();
    this.#keysEnd = await writeAt(this.#keys, slots, this.#keysEnd);
    await this.#keys.datasync();
  }

  async close(): Promise<void> {
    await Promise.all([this.#content.close(), this.#keys.close()]);
  }
}

export interface FoundSlot {
  readonly slot: Slot;
  /** As it stands in the file. */
  readonly bytes: Buffer;
  readonly index: number;
}

/** The slots of a day in order; none where there is no file. An unfinished one at the end is left out. */
export async function* slotsOf(dir: string, place: SlotPlace): AsyncGenerator<FoundSlot> {
  const file = await openIfThere(fileOf(dir, place, 'keys'), 'r');
  if (file === undefined) return;
  try {
    for (let block = 0; ; block++) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(BLOCK_BYTES), 0, BLOCK_BYTES, block * BLOCK_BYTES);
      for (let at = 0; at + SLOT_BYTES <= bytesRead; at += SLOT_BYTES) {
        const bytes = buffer.subarray(at, at + SLOT_BYTES);
        yield { slot: readSlot(bytes), bytes, index: (block * BLOCK_BYTES + at) / SLOT_BYTES };
      }
      if (bytesRead < BLOCK_BYTES) return;
    }
  } finally {
    await file.close();
  }
}

/** In order. An exchange that several sessions had a part in has one for each; what waited for a person was kept then, and again when it closed. */
export async function findSlots(dir: string, place: SlotPlace, requestId: string): Promise<readonly FoundSlot[]> {
  const wanted = digestOf(requestId);
  const found: FoundSlot[] = [];
  for await (const one of slotsOf(dir, place)) if (one.slot.request.equals(wanted)) found.push(one);
  return found;
}

/** Undefined where there is none of this exchange. */
export async function readSlotAt(dir: string, place: SlotPlace, index: number, requestId: string): Promise<FoundSlot | undefined> {
  const file = await openIfThere(fileOf(dir, place, 'keys'), 'r');
  if (file === undefined) return undefined;
  try {
    const { bytesRead, buffer: bytes } = await file.read(Buffer.alloc(SLOT_BYTES), 0, SLOT_BYTES, index * SLOT_BYTES);
    const slot = bytesRead === SLOT_BYTES ? readSlot(bytes) : undefined;
    return slot?.request.equals(digestOf(requestId)) === true ? { slot, bytes, index } : undefined;
  } finally {
    await file.close();
  }
}

/** Undefined where the file ends before. */
export async function readSealed(dir: string, place: SlotPlace, { offset, bytes }: Extent): Promise<Buffer | undefined> {
  const file = await openIfThere(fileOf(dir, place, 'content'), 'r');
  if (file === undefined) return undefined;
  try {
    if (offset + bytes > (await file.stat()).size) return undefined;
    const { bytesRead, buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, offset);
    return bytesRead === bytes ? buffer : undefined;
  } finally {
    await file.close();
  }
}

/** Whether the day was destroyed whole. */
export async function isDayErased(dir: string, place: SlotPlace): Promise<boolean> {
  return (await readIfThere(fileOf(dir, place, 'erased'))) !== undefined;
}

export interface DestroyedKeys {
  readonly destroyed: number;
  /** Found without their key. */
  readonly gone: number;
}

/** Writes zeros over the keys of slots, where they stand, and syncs. */
export async function destroyKeys(dir: string, place: SlotPlace, isMeant: (slot: Slot) => boolean): Promise<DestroyedKeys> {
  let [destroyed, gone] = [0, 0];
  await destroyFile(`${keysFile(dir, place)}.tmp`); // of a rotation that was cut short
  const file = await openIfThere(fileOf(dir, place, 'keys'), 'r+');
  if (file === undefined) return { destroyed, gone };
  try {
    for await (const { slot, bytes, index } of slotsOf(dir, place)) {
      if (!isMeant(slot)) continue;
      if (isErased(bytes)) gone++;
      else {
        await writeAt(file, NO_KEY, index * SLOT_BYTES + KEY_OFFSET);
        destroyed++;
      }
    }
    const { size } = await file.stat();
    await writeAt(file, Buffer.alloc(size % SLOT_BYTES), size - (size % SLOT_BYTES)); // of a slot that a crash left unfinished
    await file.datasync();
  } finally {
    await file.close();
  }
  return { destroyed, gone };
}

/** All keys of a day, then its files. Whoever is stopped in between begins again. */
export async function destroyDay(dir: string, place: SlotPlace): Promise<DestroyedKeys> {
  const done = await destroyKeys(dir, place, () => true);
  await replaceFile(fileOf(dir, place, 'erased'), '');
  for (const ending of ['content', 'keys'] as const) await rm(fileOf(dir, place, ending), { force: true });
  await syncFolder(folderOf(dir, place.tenantId));
  return done;
}

/** Writes zeros over a file, syncs, and removes it unless another is to take its name. */
export async function destroyFile(path: string, { keepName = false } = {}): Promise<void> {
  const file = await openIfThere(path, 'r+');
  if (file === undefined) return;
  try {
    await writeAt(file, Buffer.alloc((await file.stat()).size), 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  if (!keepName) await rm(path);
}

async function openIfThere(path: string, flags: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, flags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
