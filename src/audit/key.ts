/**
 * The key that signs the audit log's checkpoints: Ed25519 in a PKCS8 file that its owner alone may read, made on the
 * first start, outside the log's folder so that a copy of the log does not carry it. A key that is gone is not made
 * again by itself: a log that another key goes on signing proves nothing.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WeirError } from '../contract/errors.ts';
import { noteKey, noteName, type Signer } from './checkpoint.ts';
import { readIfThere, replaceFile, syncFolder } from './segments.ts';

/** Before the PEM block; readers of PEM skip it. */
const NAME_LINE = /^weir audit key (\S+)$/m;

/** Undefined when there is no file. `origin` names a key whose file gives no name. */
export async function readSigner(file: string, origin: string): Promise<Signer | undefined> {
  const text = (await readIfThere(file))?.toString('utf8');
  if (text === undefined) return undefined;
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw new WeirError('audit_unavailable', `${file} holds no private key in PKCS8`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new WeirError('audit_unavailable', `${file} holds a key of type ${key.asymmetricKeyType}, expected ed25519`);
  return signerOf(key, NAME_LINE.exec(text)?.[1] ?? origin);
}

/** Makes a key and its file. */
export async function createSigner(file: string, origin: string): Promise<Signer> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = signerOf(privateKey, origin);
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await replaceFile(file, `weir audit key ${signer.public.name}\n${privateKey.export({ type: 'pkcs8', format: 'pem' })}`);
  return signer;
}

function signerOf(key: KeyObject, origin: string): Signer {
  const raw = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url');
  return { public: noteKey(noteName(origin), raw), private: key };
}

/** Where the next key waits until the log says that it signs from now on. */
export function nextKeyFile(file: string): string {
  return `${file}.next`;
}

/** The next key takes the place of the former, which is gone then. */
export async function adoptNextKey(file: string): Promise<void> {
  await rename(nextKeyFile(file), file);
  await syncFolder(dirname(file));
}

export async function dropNextKey(file: string): Promise<void> {
  await rm(nextKeyFile(file), { force: true });
}
