/**
 * The master key of kept content: 32 bytes, given in base64 or in a file that its owner alone may read. The file is made
 * when content is kept for the first time; a key that is gone, or another one, is never replaced by itself, since
 * whoever loses it has lost the content. What it opens is derived for each tenant, so one tenant's keys open nothing of
 * another's.
 */
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readIfThere, replaceFile } from './segments.ts';

export interface MasterKeyPlace {
  /** Folder of the content, which remembers whose key it was sealed with. */
  readonly dir: string;
  readonly keyFile: string;
  /** In base64, in place of the file. */
  readonly key?: string | undefined;
}

const KEY_BYTES = 32;
/** Tells keys apart and opens nothing. No tenant can have this name. */
export const ID_FILE = '.key-id';

/** Why content can be neither kept nor read. Messages name files and ids, no key. */
export class ContentKeyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ContentKeyError';
  }
}

export class MasterKey {
  readonly id: string;
  readonly #master: Buffer;
  readonly #tenants = new Map<string, Buffer>();

  constructor(master: Buffer) {
    this.#master = master;
    this.id = createHmac('sha256', master).update('weir content key id').digest('hex').slice(0, 32);
  }

  /** What wraps the keys of a tenant. */
  forTenant(tenantId: string): Buffer {
    let key = this.#tenants.get(tenantId);
    if (key === undefined) this.#tenants.set(tenantId, key = Buffer.from(hkdfSync('sha256', this.#master, '', `weir content of tenant ${tenantId}`, KEY_BYTES)));
    return key;
  }
}

/** `make`: where nothing was ever sealed and no key is there, one is made. Throws ContentKeyError. */
export async function openMasterKey({ dir, keyFile, key: given }: MasterKeyPlace, { make }: { readonly make: boolean }): Promise<MasterKey> {
  const known = await sealedWith(dir);
  if (given === undefined && (await isRotationPending(keyFile))) throw new ContentKeyError(`a rotation of the master key ${keyFile} was cut short; run weir audit rotate-master-key again`);
  const text = given ?? (await readIfThere(keyFile))?.toString('utf8');
  if (text === undefined && (known !== undefined || !make)) throw new ContentKeyError(`the master key ${keyFile} is missing${known === undefined ? '' : `, and content was sealed with ${known}; put that one back`}`);
  const key = text === undefined ? await createMasterKey(keyFile) : new MasterKey(readKey(text, given === undefined ? keyFile : 'audit.master_key'));
  if (known !== undefined && key.id !== known) throw new ContentKeyError(`the master key is ${key.id}, and content was sealed with ${known}; put that one back`);
  if (known === undefined && make) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await replaceFile(join(dir, ID_FILE), `${key.id}\n`);
  }
  return key;
}

/** The id of the key that content was sealed with; undefined: nothing ever was. */
export async function sealedWith(dir: string): Promise<string | undefined> {
  return (await readIfThere(join(dir, ID_FILE)))?.toString('utf8').trim();
}

/** Where the next key waits until every slot is under it. */
export function nextMasterFile(keyFile: string): string {
  return `${keyFile}.next`;
}

export async function isRotationPending(keyFile: string): Promise<boolean> {
  return (await readIfThere(nextMasterFile(keyFile))) !== undefined;
}

/** Throws ContentKeyError. */
export async function readMasterKey(file: string): Promise<MasterKey> {
  return new MasterKey(readKey((await readIfThere(file))?.toString('utf8') ?? '', file));
}

export async function createMasterKey(keyFile: string): Promise<MasterKey> {
  const master = randomBytes(KEY_BYTES);
  await mkdir(dirname(keyFile), { recursive: true, mode: 0o700 });
  await replaceFile(keyFile, `${master.toString('base64')}\n`);
  return new MasterKey(master);
}

function readKey(text: string, where: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== text.trim()) throw new ContentKeyError(`${where} holds no key: expected 32 bytes in base64, such as openssl rand -base64 32 gives`);
  return key;
}
