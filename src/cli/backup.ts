/**
 * `weir backup`: a consistent copy of all that Weir keeps, while it runs, and the check of such a copy. It reads; what it
 * writes is in the folder that it is given.
 */
import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { readSources } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { ConfigError, WeirError } from '../contract/errors.ts';
import { checkBackup, type Manifest } from './backup/manifest.ts';
import { takeBackup } from './backup/take.ts';
import { parseCall, UsageError, type CliCommand, type Io } from './command.ts';

const PROGRESS_MS = 250;

export const backup: CliCommand = {
  name: 'backup',
  summary: 'copy store, audit log, policies and configuration, and verify such a copy',
  help: `usage: weir backup DIR [--with-keys] [--json] [--config FILE]
       weir backup --verify DIR [--json]

Copies into DIR, which is empty or made, beside a running Weir or without one: the configuration file with the policies and
patterns that it names, the embedded store as it is at one moment, the audit log up to its newest checkpoint with its
public keys, and the digest of the first admin token. On a control plane also the
logs that are shipped to it. The log is verified in the copy. The manifest names every file with
its size, its SHA-256 and the place it was at, and is written last; then all is verified against it.

A store in Postgres is copied by pg_dump, and the command for it is printed. Not copied: private keys, what the
configuration takes from the environment or from other files (certificates, secrets), plugins of your own, what Redis
holds and decisions beside the embedded store, which are made again, and kept content: a copy of it and its keys would
outlive every erasure.

  --with-keys    with the private keys, audit.key, hash.key and content.key: keep such a copy as you keep them
  --verify       verify a copy: every file against the manifest, the log against its signatures, the store against itself
  --json         print one JSON object
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

How to restore one is in README.md, under Backup.

exit code: 0 copied and verified, or it holds; 1 failed, or it does not hold; 2 wrong call
`,
  async run(args, io) {
    const { options, operands: [operand] } = parseCall(args, { verify: 'flag', 'with-keys': 'flag', json: 'flag', config: 'value' }, 1);
    if (operand === undefined) throw new UsageError('name the folder');
    const dir = resolve(operand);
    if (options.verify && options['with-keys']) throw new UsageError('--with-keys is for taking a backup');
    if (options.verify) return verify(dir, operand, options.json, io);
    if ((await entriesOf(dir, operand)).length > 0) throw new UsageError(`${operand} is not empty; a backup begins with an empty folder, or none`);
    const sources = await readSources(options.config, io.env);
    if (sources.config === undefined) throw new ConfigError(sources.issues);
    const { config } = sources;
    const progress = progressOf(io);
    try {
      const manifest = await takeBackup(dir, { ...sources, config }, { withKeys: options['with-keys'], workingDir: process.cwd(), now: new Date(), progress });
      const { faults } = await checkBackup(dir, (done, total) => progress('verifying', done, total));
      if (faults.length > 0) return fail(io, `the copy does not hold: ${faults[0]}`);
      const dump = manifest.store === 'postgres' ? dumpCommand(config, dir) : undefined;
      io.stdout(options.json ? `${JSON.stringify({ ok: true, dir, ...told(manifest), ...(dump === undefined ? {} : { postgres: dump }) })}\n` : takenText(manifest, operand, dump));
      return 0;
    } catch (error) {
      if (error instanceof RangeError || error instanceof WeirError) return fail(io, `${error.message}; ${operand} is no backup, since it has no manifest`);
      if ((error as NodeJS.ErrnoException).code !== undefined) return fail(io, `${(error as Error).message}; ${operand} is no backup, since it has no manifest`);
      throw error;
    }
  },
};

async function verify(dir: string, operand: string, json: boolean, io: Io): Promise<number> {
  const progress = progressOf(io);
  const { manifest, faults } = await checkBackup(dir, (done, total) => progress('verifying', done, total));
  if (json) io.stdout(`${JSON.stringify({ ok: faults.length === 0, dir, ...(manifest === undefined ? {} : told(manifest)), faults })}\n`);
  else io.stdout(faults.length > 0 ? `${faults.map((fault) => `${fault}\n`).join('')}${operand} does NOT hold\n` : `${operand} holds: ${summary(manifest!)}\n`);
  return faults.length === 0 ? 0 : 1;
}

async function entriesOf(dir: string, operand: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UsageError(`${operand} is no folder`);
  }
}

function told({ files, ...rest }: Manifest): object {
  return { ...rest, files: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) };
}

function summary({ files, made_at: madeAt, log, store }: Manifest): string {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const entries = log === undefined ? 'no audit log' : `${log.entries - log.first} entries of the audit log, root ${log.root}`;
  return `${files.length} files, ${bytes} bytes, of ${madeAt}; ${store === 'sqlite' ? 'with the store' : 'without a store'}; ${entries}`;
}

function takenText(manifest: Manifest, operand: string, dump: string | undefined): string {
  const lines = [`${operand}: ${summary(manifest)}; verified`];
  if (dump !== undefined) lines.push('', 'The store is in Postgres and is NOT in this backup. Copy it with', `  ${dump}`);
  else if (manifest.store === 'none') lines.push('there is no store here yet, or it is that of the process with the role control');
  lines.push(manifest.with_keys ? 'The private keys are in it: keep it as you keep them.' : 'The private keys are not in it (--with-keys); without audit.key nobody can go on signing this log.');
  return `${lines.join('\n')}\n`;
}

/** Without kept content, and without the password, which pg_dump asks for or takes from PGPASSWORD. */
function dumpCommand({ store: { url } }: Config, dir: string): string {
  const address = new URL(url);
  address.password = '';
  return `pg_dump --format=custom --exclude-table-data='*.review_contents' --exclude-table-data='*.learning_contents' --file=${quoted(`${dir}.dump`)} ${quoted(address.href)}`;
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

function progressOf(io: Io): (what: string, done: number, total: number) => void {
  let told = performance.now();
  return (what, done, total) => {
    if (!io.isTerminal || (done < total && performance.now() - told < PROGRESS_MS)) return;
    told = performance.now();
    io.stderr(done >= total ? '\r\u001b[K' : `\r${what}: ${done} of ${total}\u001b[K`);
  };
}

function fail(io: Io, message: string): number {
  io.stderr(`weir backup: ${message}\n`);
  return 1;
}
