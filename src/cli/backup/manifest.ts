/**
 * The manifest of a backup: every file with its size and SHA-256, and where it was. It is written last, so a folder
 * without one is no backup. It tells damage and what is missing; it is not signed, so it is no proof against who can
 * write the folder: for the audit log the log's own signatures are.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { checkLog } from '../../audit/check.ts';
import { keeperKeys } from '../../audit/pruned.ts';
import { publishedKeys } from '../../audit/recovery.ts';
import { replaceFile } from '../../audit/segments.ts';
import { sqliteFault } from '../../store/sqlite.ts';

export const MANIFEST_FILE = 'manifest.json';

/** What the parts of a backup are called in it. */
export const PARTS = { config: 'config', elsewhere: 'elsewhere', store: 'store', audit: 'audit', origins: 'origins', data: 'data', keys: 'keys' } as const;

export interface ManifestFile {
  /** In the backup. */
  readonly path: string;
  /** Where it was, and where a restore puts it. */
  readonly from: string;
  readonly size: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly format: 1;
  readonly weir: string;
  readonly made_at: string;
  /** Whose store is in it. `postgres`: none, pg_dump makes that copy. `none`: there is none yet, or it is another process's. */
  readonly store: 'sqlite' | 'postgres' | 'none';
  /** Absent: there was no log. */
  readonly log?: { readonly first: number; readonly entries: number; readonly root: string };
  readonly with_keys: boolean;
  readonly files: readonly ManifestFile[];
}

type Progress = (done: number, total: number) => void;

/** Describes what is in the folder, makes it durable, and writes the manifest. `placeOf`: where a file of the backup was. */
export async function writeManifest(dir: string, rest: Omit<Manifest, 'files'>, placeOf: (path: string) => string, progress: Progress): Promise<Manifest> {
  const paths = await filesUnder(dir);
  const files: ManifestFile[] = [];
  for (const path of paths) {
    progress(files.length, paths.length);
    files.push({ path, from: placeOf(path), ...(await digestOf(join(dir, path))) });
    await syncFile(join(dir, path));
  }
  progress(paths.length, paths.length);
  const manifest = { ...rest, files };
  await replaceFile(join(dir, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

export interface BackupCheck {
  readonly manifest?: Manifest;
  /** Empty: the backup holds. */
  readonly faults: readonly string[];
}

/** Every file against the manifest, the log against its signatures, the database against itself. */
export async function checkBackup(dir: string, progress: Progress): Promise<BackupCheck> {
  const manifest = await readManifest(dir);
  if (manifest === undefined) return { faults: [`there is no ${MANIFEST_FILE} that can be read: the backup was not finished, or is none`] };
  const faults: string[] = [];
  const listed = new Set(manifest.files.map(({ path }) => path));
  for (const path of await filesUnder(dir)) if (path !== MANIFEST_FILE && !listed.has(path)) faults.push(`${path}: it is not in the manifest`);
  for (const [i, { path, size, sha256 }] of manifest.files.entries()) {
    progress(i, manifest.files.length);
    const fault = await fileFault(join(dir, path), size, sha256);
    if (fault !== undefined) faults.push(`${path}: ${fault}`);
  }
  progress(manifest.files.length, manifest.files.length);
  if (manifest.log !== undefined) faults.push(...(await logFaults(join(dir, PARTS.audit), manifest.log, PARTS.audit)));
  const origins = new Set(manifest.files.flatMap(({ path }) => /^origins\/([^/]+)\//.exec(path)?.[1] ?? []));
  for (const name of origins) faults.push(...(await logFaults(join(dir, PARTS.origins, name), undefined, `${PARTS.origins}/${name}`)));
  for (const { path } of manifest.files.filter((file) => manifest.store === 'sqlite' && file.path.startsWith(`${PARTS.store}/`))) {
    const fault = listed.has(path) && faults.every((told) => !told.startsWith(`${path}:`)) ? sqliteFault(join(dir, path)) : undefined;
    if (fault !== undefined) faults.push(`${path}: ${fault}`);
  }
  return { manifest, faults };
}

/** Against its own signatures and, where it is given, what the manifest says of it. */
async function logFaults(dir: string, told: Manifest['log'], name: string): Promise<readonly string[]> {
  const check = await checkLog({ dir, keys: await publishedKeys(dir), keepers: await keeperKeys(dir) });
  if (check.damage !== undefined) return [`${name}: ${check.damage.segment} line ${check.damage.line}, entry ${check.damage.index}: ${check.damage.reason}`];
  return told === undefined || (check.first === told.first && check.entries === told.entries && check.root === told.root) ? [] : [`${name}: it is not the log of the manifest`];
}

async function readManifest(dir: string): Promise<Manifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(dir, MANIFEST_FILE), 'utf8')) as Manifest;
    return manifest.format === 1 && manifest.files.every(({ path, size, sha256 }) => isInside(path) && typeof size === 'number' && typeof sha256 === 'string') ? manifest : undefined;
  } catch {
    return undefined;
  }
}

function isInside(path: unknown): boolean {
  return typeof path === 'string' && !path.startsWith('/') && !path.split('/').includes('..');
}

async function fileFault(path: string, size: number, sha256: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return 'it is missing';
  if (found.size !== size) return `it has ${found.size} bytes, and had ${size}`;
  return (await digestOf(path)).sha256 === sha256 ? undefined : 'it is not as it was';
}

async function digestOf(path: string): Promise<Pick<ManifestFile, 'size' | 'sha256'>> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest('hex') };
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** By path, with `/`. */
async function filesUnder(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => relative(dir, join(entry.parentPath, entry.name)).replaceAll('\\', '/')).sort();
}
