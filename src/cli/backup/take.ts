/**
 * Takes a backup beside a running Weir or without one: configuration and policies as they are read, the embedded store
 * at one moment, the audit log up to its newest checkpoint. Each part is consistent in itself; the store comes first, so
 * that the log has every change that the store takes for recorded. Private keys only where they are asked for.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import packageFile from '../../../package.json' with { type: 'json' };
import { copyLog } from '../../audit/copy.ts';
import { ignoreMissing } from '../../audit/segments.ts';
import { filesOf, type Sources } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { sqliteFile } from '../../distribution.ts';
import { backupSqlite } from '../../store/sqlite.ts';
import { PARTS, writeManifest, type Manifest } from './manifest.ts';

/** Logs of others, in data_dir. */
const ORIGINS = 'origins';

export interface BackupOptions {
  readonly withKeys: boolean;
  readonly workingDir: string;
  readonly now: Date;
  progress(what: string, done: number, total: number): void;
}

/** `dir` is empty or not there. Throws RangeError when the log does not hold. */
export async function takeBackup(dir: string, sources: Sources & { readonly config: Config }, { withKeys, workingDir, now, progress }: BackupOptions): Promise<Manifest> {
  const { config } = sources;
  /** Where each file was, by its place in the backup. */
  const places = new Map<string, string>();
  const put = async (path: string, from: string, write: (to: string) => Promise<unknown>): Promise<void> => {
    await mkdir(dirname(join(dir, path)), { recursive: true, mode: 0o700 });
    await write(join(dir, path));
    places.set(path, from);
  };
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const { file, text } of filesOf(sources)) {
    const from = resolve(workingDir, file);
    if (text !== undefined) await put(configPlace(from, sources.dir), from, (to) => writeFile(to, text, { mode: 0o600 }));
  }
  const store = await copyStore(config, put, (done, total) => progress('store', done, total));
  const log = await copyLog(config.audit.dir, join(dir, PARTS.audit), (done, total) => progress('audit log', done, total));
  for (const name of (await readdir(join(config.data_dir, ORIGINS)).catch(ignoreMissing)) ?? []) {
    const from = join(config.data_dir, ORIGINS, name);
    await copyLog(from, join(dir, PARTS.origins, name), (done, total) => progress(`audit log of ${name}`, done, total));
  }
  for (const [path, from] of [[`${PARTS.data}/admin.json`, join(config.data_dir, 'admin.json')], ...(withKeys ? keyFiles(config) : [])] as const) {
    if (existsSync(from)) await put(path, from, (to) => copyFile(from, to));
  }
  const placeOf = (path: string): string => {
    const [part, ...rest] = path.split('/');
    return places.get(path) ?? (part === PARTS.origins ? join(config.data_dir, ORIGINS, ...rest) : join(config.audit.dir, ...rest));
  };
  return writeManifest(dir, {
    format: 1, weir: packageFile.version, made_at: now.toISOString(), store, with_keys: withKeys,
    ...(log === undefined ? {} : { log: { first: log.first, entries: log.entries, root: log.root } }),
  }, placeOf, (done, total) => progress('digests', done, total));
}

/** Private: whoever has them can sign a log and tell what stands behind a hash. */
function keyFiles({ audit, data_dir: dataDir }: Config): readonly (readonly [string, string])[] {
  return [[`${PARTS.keys}/audit.key`, audit.key_file], [`${PARTS.keys}/hash.key`, join(dataDir, 'hash.key')], [`${PARTS.keys}/content.key`, audit.master_key_file]];
}

function configPlace(from: string, configDir: string): string {
  const inside = relative(configDir, from);
  return inside.startsWith('..') || isAbsolute(inside) ? join(PARTS.elsewhere, from) : join(PARTS.config, inside);
}

async function copyStore({ store: { url }, data_dir: dataDir, roles }: Config, put: (path: string, from: string, write: (to: string) => Promise<unknown>) => Promise<void>, progress: (done: number, total: number) => void): Promise<Manifest['store']> {
  if (!url.startsWith('sqlite:')) return 'postgres';
  const file = sqliteFile(url, dataDir);
  if (!roles.includes('control') || !existsSync(file)) return 'none';
  await put(`${PARTS.store}/${basename(file)}`, file, (to) => backupSqlite(file, to, progress));
  return 'sqlite';
}
