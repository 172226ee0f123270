/** Where the log is that a command works on, and whose signatures count: from the options, else from the configuration. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readCheckpoint, readNoteKeys, type NoteKey, type SignedCheckpoint } from '../../audit/checkpoint.ts';
import type { MasterKeyPlace } from '../../audit/content-key.ts';
import type { AuditLogOptions } from '../../audit/log.ts';
import { keeperKeys } from '../../audit/pruned.ts';
import { publishedKeys } from '../../audit/recovery.ts';
import { PUBLIC_KEYS_FILE } from '../../audit/segments.ts';
import { contentFolder } from '../../audit/vault.ts';
import { readSources } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { ConfigError } from '../../contract/errors.ts';
import { UsageError, type Io } from '../command.ts';

export interface PlaceOptions {
  readonly config: string | undefined;
  readonly dir?: string | undefined;
}

/** The log's folder. With `--dir` no configuration is read. */
export async function logFolder(options: PlaceOptions, io: Io): Promise<string> {
  return options.dir ?? (await configured(options, io)).audit.dir;
}

/** What it takes to write to the log as the proxy does. */
export async function logOptions(options: PlaceOptions, io: Io): Promise<AuditLogOptions> {
  const { dir, key_file: keyFile, origin } = (await configured(options, io)).audit;
  return { dir, keyFile, origin, clock: Date.now };
}

/** Where content is kept, and its master key. */
export async function contentPlace(options: PlaceOptions, io: Io): Promise<MasterKeyPlace> {
  const { audit: { master_key: key, master_key_file: keyFile }, data_dir: dataDir } = await configured(options, io);
  return { dir: contentFolder(dataDir), keyFile, key };
}

/** The configuration, with what the log needs of it. */
export async function configured({ config: file }: PlaceOptions, io: Io): Promise<Config> {
  const { config, issues } = await readSources(file, io.env);
  if (config === undefined) throw new ConfigError(issues);
  return config;
}

/** `--key`: a key as it stands in key.pub, or a file of them; without it those beside the log. */
export async function countingKeys(option: string | undefined, dir: string): Promise<readonly NoteKey[]> {
  if (option === undefined) return publishedKeys(dir);
  return givenKeys(option, '--key', dir);
}

async function givenKeys(option: string, name: string, dir: string): Promise<readonly NoteKey[]> {
  const given = readNoteKeys(option);
  const keys = given.length > 0 ? given : readNoteKeys(await readNamed(option));
  if (keys.length === 0) throw new UsageError(`${name} takes a public key as in ${join(dir, PUBLIC_KEYS_FILE)}, or a file with such keys`);
  return keys;
}

/** `--keeper`, the same for the keeper of a copy. Without it those beside the copy count, unless the own keys are brought from elsewhere too. */
export async function countingKeepers({ key, keeper }: { readonly key: string | undefined; readonly keeper: string | undefined }, dir: string): Promise<readonly NoteKey[]> {
  if (keeper === undefined) return key === undefined ? keeperKeys(dir) : [];
  return givenKeys(keeper, '--keeper', dir);
}

/** A checkpoint from a file. */
export async function readNoteFile(path: string): Promise<SignedCheckpoint> {
  const text = await readNamed(path);
  const checkpoint = readCheckpoint(`${text.trimEnd()}\n`);
  if (checkpoint === undefined) throw new UsageError(`${path} holds no checkpoint; one is told by GET /api/v1/audit/checkpoint`);
  return checkpoint;
}

export async function readNamed(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`);
  }
}
