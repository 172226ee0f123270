/**
 * Policies on the workbench: the ones that count by files and store, or those that are named, compiled with the
 * configured classifiers as a proxy compiles them. A policy that cannot be used stays in the list with its issues, and
 * keeps no other from being used. Nothing listens, nothing is stored. Files that are named need no store.
 */
import { resolve } from 'node:path';
import { readPolicySource, readSources, type PolicySource } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { ConfigError } from '../../contract/errors.ts';
import type { FailMode, Policy, PolicyRevision } from '../../contract/policy.ts';
import { rehearse, type Rehearsed, type RehearsalTools } from '../../rehearsal.ts';
import { ClassifierPool } from '../../runtime.ts';
import type { ScreeningPlan } from '../../screen/plan.ts';
import { UsageError, type Io } from '../command.ts';
import { openStored, type StoredTexts } from '../stored.ts';

export interface Bench {
  readonly config: Config;
  readonly policies: readonly Rehearsed[];
  /** Over all texts that were read. */
  readonly fingerprint: string;
}

export interface BenchOptions {
  readonly config: string | undefined;
  /** Policies in place of all that count: files, ids, or `id@number` for a revision of the store. */
  readonly names?: readonly string[];
  /** For rules and policies that do not say `on_unknown`. */
  readonly failMode?: FailMode;
}

/** Throws ConfigError where the configuration itself cannot be used, UsageError for a name that is none, and StoreSilent. */
export async function openBench({ config: file, names = [], failMode = 'closed' }: BenchOptions, io: Io, pool: ClassifierPool): Promise<Bench> {
  const sources = await readSources(file, io.env);
  const { config } = sources;
  if (config === undefined) throw new ConfigError(sources.issues);
  const tools: RehearsalTools = await pool.rehearsal(config);
  const onFiles = names.filter(isFile);
  const texts = await Promise.all(onFiles.map((path) => readPolicySource(resolve(path), process.cwd())));
  const fromFiles = new Map(onFiles.map((path, at) => [path, benchFile(texts[at]!, tools, failMode)]));
  const ids = names.filter((named) => !isFile(named));
  const all = names.length > 0 && ids.length === 0 ? NOTHING : await countingPolicies(sources.policies, ids, config, tools, failMode);
  const policies = names.length === 0 ? [...all.policies.values()].flat() : names.flatMap((named) => fromFiles.get(named) ?? choose(named, all));
  const read = texts.map(({ text, literalFiles }) => [text, [...literalFiles.values()].map((literal) => literal.text)]);
  return { config, policies, fingerprint: JSON.stringify([sources.fingerprint, read, all.stored]) };
}

const isFile = (named: string): boolean => /[/\\]|\.(?:ya?ml|json)$/.test(named);

interface Counting {
  /** By id or `id@number`; those of which nobody can say whose they are, under nothing. */
  readonly policies: ReadonlyMap<string, readonly Rehearsed[]>;
  /** Names of the revisions that were read. */
  readonly stored: readonly string[];
}

const NOTHING: Counting = { policies: new Map(), stored: [] };

/** What the store holds counts in place of a file, as for a proxy. */
async function countingPolicies(files: readonly PolicySource[], names: readonly string[], config: Config, tools: RehearsalTools, failMode: FailMode): Promise<Counting> {
  const store = openStored(config);
  try {
    const newest = await store.newest();
    const pinned = await revisionsOf(names, store);
    const policies = new Map<string, readonly Rehearsed[]>();
    const written = files.map((source) => benchFile(source, tools, failMode));
    for (const one of written) {
      const id = one.plan?.policy.id ?? '';
      if (!newest.some(({ policy }) => policy === id)) policies.set(id, [...(policies.get(id) ?? []), one]);
    }
    for (const revision of newest) policies.set(revision.policy, [benchRevision(revision, tools, failMode)]);
    for (const revision of pinned) policies.set(nameOf({ id: revision.policy, revision: String(revision.number) }), [benchRevision(revision, tools, failMode)]);
    return { policies, stored: [...newest, ...pinned].map(({ policy, number }) => `${policy}@${number}`) };
  } finally {
    await store.close();
  }
}

async function revisionsOf(names: readonly string[], store: StoredTexts): Promise<readonly StoredText[]> {
  const found: StoredText[] = [];
  for (const named of names) {
    const [, id, number] = REVISION.exec(named) ?? [];
    if (id === undefined) continue;
    const revision = await store.revision(id, Number(number));
    if (revision === undefined) throw new UsageError(`the store has no policy ${id} with revision ${number}`);
    if (revision.source === null) throw new UsageError(`revision ${number} of policy ${id} is its retirement, and has no text`);
    found.push({ ...revision, source: revision.source });
  }
  return found;
}

/** A revision of the store; those of files have names of 12 hex digits. */
const REVISION = /^([A-Za-z0-9][A-Za-z0-9._-]*)@([1-9]\d{0,8})$/;

type StoredText = PolicyRevision & { readonly source: string };

function benchRevision({ policy, number, source }: StoredText, tools: RehearsalTools, failMode: FailMode): Rehearsed {
  return rehearse({ text: source, file: `store:${policy}@${number}`, revision: number }, tools, failMode);
}

function benchFile({ file, text, problem, literalFiles }: PolicySource, tools: RehearsalTools, failMode: FailMode): Rehearsed {
  if (text === undefined) return { file, issues: [{ file, line: 1, column: 1, path: '', message: problem ?? 'cannot be read', severity: 'error' }] };
  return rehearse({ text, file, literalFiles }, tools, failMode);
}

/** Throws UsageError where there is none of that name, or ConfigError with what keeps a policy from being told. */
function choose(named: string, { policies }: Counting): readonly Rehearsed[] {
  const found = policies.get(named);
  if (found !== undefined) return found;
  const broken = policies.get('') ?? [];
  if (broken.length > 0) throw new ConfigError(broken.flatMap(({ issues }) => issues));
  throw new UsageError(`there is no policy ${JSON.stringify(named)}; there is ${[...policies.keys()].join(', ') || 'none'}`);
}

/** One policy, by its id, `id@number` or file. Throws UsageError, StoreSilent, and ConfigError with its issues. */
export async function takePolicy(named: string, options: BenchOptions, io: Io, pool: ClassifierPool): Promise<ScreeningPlan> {
  const { policies: [found] } = await openBench({ ...options, names: [named] }, io, pool);
  if (found!.plan === undefined) throw new ConfigError(found!.issues);
  return found!.plan;
}

/** The name of a policy with `--revision`. */
export function withRevision(named: string, revision: string | undefined): string {
  if (revision === undefined) return named;
  if (!/^[1-9]\d{0,8}$/.test(revision)) throw new UsageError('option --revision takes a whole number from 1');
  if (isFile(named) || named.includes('@')) throw new UsageError('option --revision goes with the id of a stored policy');
  return `${named}@${revision}`;
}

/** As messages and records name it. */
export function nameOf({ id, revision }: Pick<Policy, 'id' | 'revision'>): string {
  return `${id}@${revision}`;
}
