/**
 * Files to a snapshot: reads the configuration and its policies, checks each and all together, and returns one frozen
 * object, or throws ConfigError with every issue found. Never half of it.
 *
 * With no file named, `config/weir.yaml` in the working directory is read, else the one that comes with Weir. Reading
 * and checking are two steps, so that `watch` can notice a change before it judges it.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, extname, isAbsolute, join, relative, resolve } from 'node:path';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import type { Policy } from '../contract/policy.ts';
import { isLiteralFile, LITERAL_FILE_BYTES_MAX, POLICY_LIMITS, parsePolicy, type KnownClassifier } from '../policy/parse.ts';
import { policyKey } from '../policy/source.ts';
import { checkCampaigns } from './campaigns.ts';
import { readWithEnvironment, type Environment } from './environment.ts';
import { PATTERN_FILE_LIMITS } from './patterns.ts';
import { CONFIG, isPath, resolveConfig, type Config } from './schema.ts';
import { isMapping, meant, readShape } from './shape.ts';
import type { Snapshot, StoredPolicies, WrittenPolicy } from './snapshot.ts';
import { YAML_LIMITS, formatPath, readYaml, type Path, type YamlDocument } from './yaml.ts';

export interface LoadOptions {
  /** What `score:` may name: a list, or made from the configuration. Absent: names are not checked. */
  readonly classifiers?: readonly KnownClassifier[] | CreateKnown;
  /** Policies that count in place of those of files. Absent: none, and revisions at which a tenant stays are not checked. */
  readonly stored?: ReadStored;
  /** Where relative defaults start; the process's working directory unless given. */
  readonly workingDir?: string;
  readonly now?: () => Date;
}

/** Throws ConfigError, with paths `classifiers.<id>`, when a classifier cannot be had. */
export type CreateKnown = (config: Config) => readonly KnownClassifier[] | Promise<readonly KnownClassifier[]>;

/** `written`: the policies of the files. */
export type ReadStored = (config: Config, written: ReadonlyMap<string, Policy>) => Promise<StoredPolicies>;

/** A configuration given as an object, as a file would hold it. `dir` is where its relative paths start. */
export interface InlineConfig {
  readonly config: Readonly<Record<string, unknown>>;
  readonly dir: string;
}

/** One file as it was read; `text` is undefined when it could not be. */
export interface SourceFile {
  /** As messages name it. */
  readonly file: string;
  /** Symbolic links resolved, so that a swapped link is a change even when the text is the same. */
  readonly realPath: string;
  readonly text: string | undefined;
  readonly problem?: string;
}

/** A policy's file, and the files that its `literal_file:` keys name, by what stands there. */
export interface PolicySource extends SourceFile {
  readonly literalFiles: ReadonlyMap<string, SourceFile>;
}

/** Everything a snapshot is made from. */
export interface Sources {
  readonly main: SourceFile;
  readonly dir: string;
  readonly document: YamlDocument | undefined;
  readonly config: Config | undefined;
  readonly issues: readonly ConfigIssue[];
  readonly policies: readonly PolicySource[];
  /** Over names, resolved paths and contents. */
  readonly fingerprint: string;
}

export async function loadConfig(source: string | InlineConfig | undefined, env: Environment, options: LoadOptions = {}): Promise<Snapshot> {
  return buildSnapshot(await readSources(source, env, options), options);
}

const SHIPPED_CONFIG = resolve(import.meta.dirname, '../../config/weir.yaml');

/** The file that is read when none is named. */
export async function findConfig(workingDir: string): Promise<string> {
  const local = resolve(workingDir, 'config/weir.yaml');
  return (await stat(local).catch(() => undefined))?.isFile() ? local : SHIPPED_CONFIG;
}

// Reading.

/** Never throws for what is in the files, or not there: that becomes issues. */
export async function readSources(source: string | InlineConfig | undefined, env: Environment, options: LoadOptions = {}): Promise<Sources> {
  const workingDir = options.workingDir ?? process.cwd();
  const inline = typeof source === 'object';
  const path = inline ? join(source.dir, '(options)') : resolve(workingDir, source ?? (await findConfig(workingDir)));
  const main = inline ? { file: '(options)', realPath: path, text: JSON.stringify(source.config) } : await readSource(path, workingDir, YAML_LIMITS.bytesMax);
  const dir = dirname(path);
  if (main.text === undefined) {
    const issues: ConfigIssue[] = [{ file: main.file, line: 1, column: 1, path: '', message: main.problem ?? 'cannot be read', severity: 'error' }];
    return { main, dir, document: undefined, config: undefined, issues, policies: [], fingerprint: fingerprintOf([main]) };
  }
  const { document, config: written, issues } = readConfig(main.text, main.file, dir, env, workingDir);
  const config = written && (await withPatternFiles(written, workingDir));
  const policies = config ? await readPolicyFiles(config, document, workingDir) : { files: [], issues: [] };
  const sources = { main, dir, document, config, issues: [...issues, ...policies.issues], policies: policies.files };
  return { ...sources, fingerprint: fingerprintOf(filesOf(sources)) };
}

function readConfig(text: string, file: string, dir: string, env: Environment, workingDir: string): { readonly document: YamlDocument; readonly config: Config | undefined; readonly issues: readonly ConfigIssue[] } {
  const document = readWithEnvironment(text, file, env);
  const { value, issues } = readShape(CONFIG, document);
  return { document, config: value && resolveConfig(value, dir, workingDir), issues };
}

/** The configuration with the text of the pattern files that its classifiers name. */
async function withPatternFiles(config: Config, workingDir: string): Promise<Config> {
  const classifiers = await Promise.all(config.classifiers.map(async (entry) => {
    const paths = (entry.patterns ?? []).filter(isPath);
    const patternFiles = await Promise.all(paths.map(async (path) => ({ path, ...(await readSource(path, workingDir, PATTERN_FILE_LIMITS.bytesMax)) })));
    return Object.freeze({ ...entry, patternFiles: Object.freeze(patternFiles) });
  }));
  return Object.freeze({ ...config, classifiers: Object.freeze(classifiers) });
}

/** Every file that a snapshot depends on. */
export function filesOf({ main, config, policies }: Pick<Sources, 'main' | 'config' | 'policies'>): readonly SourceFile[] {
  const patternFiles = (config?.classifiers ?? []).flatMap((entry) => entry.patternFiles.map((file) => ({ realPath: file.path, ...file })));
  return [main, ...patternFiles, ...policies.flatMap((policy) => [policy, ...policy.literalFiles.values()])];
}

const POLICY_EXTENSIONS = ['.yaml', '.yml', '.json'];
/** A description for editors, which lies beside what it describes. */
const SCHEMA_ENDING = '.schema.json';

/** Files as listed; of a directory its YAML and JSON files by name, hidden ones (a ConfigMap's `..data`) left out. */
async function readPolicyFiles(config: Config, document: YamlDocument, workingDir: string): Promise<{ readonly files: readonly PolicySource[]; readonly issues: readonly ConfigIssue[] }> {
  const files: PolicySource[] = [];
  const issues: ConfigIssue[] = [];
  for (const [index, path] of config.policies.entries()) {
    const kind = await stat(path).catch(() => undefined);
    if (kind?.isDirectory()) {
      // A directory that cannot be listed holds nothing, and then the tenants' policies are missing.
      const names = (await readdir(path).catch(() => [])).filter((entry) => !entry.startsWith('.') && !entry.endsWith(SCHEMA_ENDING) && POLICY_EXTENSIONS.includes(extname(entry))).sort();
      for (const entry of names) files.push(await readPolicySource(join(path, entry), workingDir));
    } else if (kind) {
      files.push(await readPolicySource(path, workingDir));
    } else {
      issues.push(issueAt(document, ['policies', index], `no such file or directory: ${displayName(path, workingDir)}`));
    }
  }
  return { files, issues };
}

/** One policy's file, with what it names. */
export async function readPolicySource(path: string, workingDir: string): Promise<PolicySource> {
  const source = await readSource(path, workingDir, POLICY_LIMITS.bytesMax);
  const literalFiles = new Map<string, SourceFile>();
  for (const named of literalFilesOf(source)) literalFiles.set(named, await readSource(resolve(dirname(path), named), workingDir, LITERAL_FILE_BYTES_MAX));
  return { ...source, literalFiles };
}

/** Read before the policy is judged, so that a change of such a file is a change of the policy. */
function literalFilesOf({ text, file }: SourceFile): readonly string[] {
  if (text?.includes('literal_file') !== true) return [];
  const patterns = (readYaml(text, file, POLICY_LIMITS).value as { readonly patterns?: unknown } | undefined)?.patterns;
  if (!Array.isArray(patterns)) return [];
  return patterns.map((pattern) => (isMapping(pattern) ? pattern['literal_file'] : undefined)).filter((named) => isLiteralFile(named));
}

async function readSource(path: string, workingDir: string, bytesMax: number): Promise<SourceFile> {
  const file = displayName(path, workingDir);
  try {
    const realPath = await realpath(path);
    const found = await stat(realPath);
    if (!found.isFile()) return { file, realPath, text: undefined, problem: 'not a file' };
    const { size } = found;
    if (size > bytesMax) return { file, realPath, text: undefined, problem: `the file has ${size} bytes, the limit is ${bytesMax}` };
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await readFile(realPath));
    return { file, realPath, text };
  } catch (error) {
    return { file, realPath: '', text: undefined, problem: problemOf(error) };
  }
}

function problemOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'the file is not valid UTF-8';
  return `the file cannot be read (${code ?? 'unknown reason'})`;
}

/** Short where the file is below the working directory. */
function displayName(path: string, workingDir: string): string {
  const short = relative(workingDir, path);
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
}

function fingerprintOf(files: readonly SourceFile[]): string {
  const hash = createHash('sha256');
  for (const { file, realPath, text, problem } of files) hash.update(JSON.stringify([file, realPath, text ?? null, problem ?? null]));
  return hash.digest('hex');
}

// Checking.

/** Throws ConfigError with every issue, warnings included, when any is an error. */
export async function buildSnapshot(sources: Sources, options: LoadOptions = {}): Promise<Snapshot> {
  const issues: ConfigIssue[] = [...sources.issues];
  const { config, document } = sources;
  const policies = new Map<string, Policy>();
  const policyFiles = new Map<string, string>();
  let stored: StoredPolicies = NOTHING_STORED;
  if (config && document) {
    const classifiers = await knownClassifiers(config, document, options, issues);
    for (const source of sources.policies) addPolicy(source, classifiers, policies, policyFiles, issues);
    if (options.stored !== undefined && !issues.some(({ severity }) => severity === 'error')) stored = await options.stored(config, policies);
    const known: KnownPolicies = { policies: new Map([...policies, ...[...stored.policies].map(([key, { policy }]) => [key, policy] as const)]), undecided: stored.undecided, pinned: options.stored !== undefined };
    issues.push(...crossCheck(config, document, known, issues), ...crossCheckPolicies(sources.policies, known, { policies, policyFiles }, issues));
    const unused = unusedFiles(config, policies, policyFiles);
    issues.splice(0, issues.length, ...issues.filter(({ severity, file }) => severity === 'error' || !unused.has(file)));
  }
  if (!config || issues.some((issue) => issue.severity === 'error')) throw new ConfigError(issues);
  const written = new Map([...policies].map(([id, policy]): [string, WrittenPolicy] => [id, { policy, file: policyFiles.get(id)! }]));
  return Object.freeze<Snapshot>({
    config,
    ...allPolicies(written, stored),
    written,
    hash: contentHash(filesOf(sources)),
    file: sources.main.file,
    loadedAt: (options.now ?? (() => new Date()))(),
    warnings: Object.freeze(issues),
  });
}

const NOTHING_STORED: StoredPolicies = { policies: new Map(), undecided: new Set() };

/** The same configuration with what is stored now. */
export function withStored(snapshot: Snapshot, stored: StoredPolicies): Snapshot {
  return Object.freeze<Snapshot>({ ...snapshot, ...allPolicies(snapshot.written, stored) });
}

/** What is stored counts in place of a file. */
function allPolicies(written: ReadonlyMap<string, WrittenPolicy>, { policies: stored }: StoredPolicies): Pick<Snapshot, 'policies' | 'policyFiles'> {
  const all = [...written, ...stored];
  return { policies: new Map(all.map(([key, { policy }]) => [key, policy])), policyFiles: new Map(all.map(([key, { file }]) => [key, file])) };
}

/** Of policies that nobody is under; what they warn of, `weir policy test` tells. */
function unusedFiles({ tenants }: Config, policies: ReadonlyMap<string, Policy>, policyFiles: ReadonlyMap<string, string>): ReadonlySet<string> {
  const used = new Set(tenants.map(({ policy }) => policy));
  // A set is walked to its end, with what is added on the way.
  for (const id of used) for (const other of [policies.get(id)?.shadow, policies.get(id)?.canary?.policy]) if (other !== undefined) used.add(other);
  return new Set([...policyFiles].filter(([id]) => !used.has(id)).map(([, file]) => file));
}

/** Undefined, so that names are not checked, when the classifiers themselves were refused: one cause, one issue. */
async function knownClassifiers(config: Config, document: YamlDocument, { classifiers }: LoadOptions, issues: ConfigIssue[]): Promise<readonly KnownClassifier[] | undefined> {
  if (typeof classifiers !== 'function') return classifiers;
  try {
    return await classifiers(config);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const issue of error.issues) {
      const index = config.classifiers.findIndex(({ id }) => issue.path === `classifiers.${id}`);
      const combination = /^screening\.combine\[(\d+)\]$/.exec(issue.path);
      if (combination !== null) issues.push({ ...issue, ...issueAt(document, ['screening', 'combine', Number(combination[1]), 'of'], issue.message) });
      else issues.push(index < 0 ? issue : { ...issue, ...issueAt(document, ['classifiers', index, 'plugin'], issue.message) });
    }
    return undefined;
  }
}

/** Does not depend on where the files are, so that replicas can compare theirs. */
function contentHash(files: readonly SourceFile[]): string {
  const hash = createHash('sha256');
  for (const { text } of files) hash.update(JSON.stringify(text));
  return hash.digest('hex').slice(0, 12);
}

function addPolicy(source: PolicySource, classifiers: readonly KnownClassifier[] | undefined, policies: Map<string, Policy>, policyFiles: Map<string, string>, issues: ConfigIssue[]): void {
  const { file, text, problem } = source;
  if (text === undefined) {
    issues.push({ file, line: 1, column: 1, path: '', message: problem ?? 'cannot be read', severity: 'error' });
    return;
  }
  const parsed = parsePolicy(text, file, classifiers, source.literalFiles);
  issues.push(...parsed.issues);
  if (!parsed.policy) return;
  const { id } = parsed.policy;
  const first = policyFiles.get(id);
  if (first !== undefined) {
    issues.push({ ...issueAt(readYaml(text, file, POLICY_LIMITS), ['policy'], `a second policy ${id}`), suggestion: `the first is in ${first}` });
    return;
  }
  policies.set(id, parsed.policy);
  policyFiles.set(id, file);
}

/** Names in `score:` that are not classifiers of the configuration. */
const RESERVED_IDS: readonly string[] = ['patterns', 'ensemble'];

interface KnownPolicies {
  readonly policies: ReadonlyMap<string, Policy>;
  readonly undecided: ReadonlySet<string>;
  /** Whether revisions at which a tenant stays are known. */
  readonly pinned: boolean;
}

/** What no single key can be wrong about alone. */
function crossCheck(config: Config, document: YamlDocument, { policies, undecided, pinned }: KnownPolicies, before: readonly ConfigIssue[]): readonly ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  const report = (path: Path, message: string, suggestion?: string): void => void issues.push({ ...issueAt(document, path, message), ...(suggestion === undefined ? {} : { suggestion }) });
  const policyIds = [...policies.keys()];
  // A policy that was refused is missing for a reason already reported.
  const policiesComplete = !before.some((issue) => issue.severity === 'error');

  refuseTwice(config.tenants.map((tenant) => tenant.id), 'tenant', (index) => ['tenants', index, 'id'], report);
  refuseTwice(config.risk.campaigns.map(({ id }) => id), 'campaign', (index) => ['risk', 'campaigns', index, 'id'], report);
  for (const { path, message, suggestion, severity } of checkCampaigns(config)) issues.push({ ...withSuggestion(issueAt(document, path, message), suggestion), severity });
  for (const [index, { id }] of config.classifiers.entries()) if (RESERVED_IDS.includes(id)) report(['classifiers', index, 'id'], `${id} is a name of Weir's own`, 'give the classifier another id');
  refuseTwice(config.classifiers.map((entry) => entry.id), 'classifier', (index) => ['classifiers', index, 'id'], report);
  const keys = config.tenants.flatMap((tenant, index) => tenant.keys.map((key, position) => ({ key, path: ['tenants', index, 'keys', position] as const })));
  refuseTwice(keys.map(({ key }) => key.sha256), 'key with this sha256', (index) => [...keys[index].path, 'sha256'], report, false);

  for (const [index, tenant] of config.tenants.entries()) {
    if (!Object.hasOwn(config.upstreams, tenant.upstream)) report(['tenants', index, 'upstream'], `no upstream ${tenant.upstream}`, meant(tenant.upstream, Object.keys(config.upstreams)));
    const wanted = policyKey(tenant.policy, pinned ? tenant.policy_revision : undefined);
    if (policiesComplete && undecided.has(wanted) && !policies.has(wanted)) issues.push({ ...issueAt(document, ['tenants', index, 'policy'], `the store that may hold policy ${wanted} does not answer`), suggestion: 'every request of the tenant is refused until it does', severity: 'warning' });
    else if (policiesComplete && !policies.has(wanted)) report(['tenants', index, 'policy'], `no policy ${wanted}`, meant(tenant.policy, policyIds) ?? (policyIds.length === 0 ? 'no policy file was found' : `there is ${policyIds.slice(0, 5).join(', ')}`));
    const { headers = [], trusted = [] } = tenant.context ?? {};
    refuseTwice([...headers, ...trusted], 'context header', (position) => ['tenants', index, 'context', ...(position < headers.length ? ['headers', position] : ['trusted', position - headers.length])], report);
    refuseTwice(tenant.keys.map((key) => key.id), 'key', (position) => ['tenants', index, 'keys', position, 'id'], report);
    if (config.review.sample !== undefined && tenant.data.content === 'none') issues.push({ ...issueAt(document, ['tenants', index], `review.sample draws nothing of tenant ${tenant.id}: it keeps no content, so nobody could check it`), suggestion: 'set data.content: original, or leave it so', severity: 'warning' });
    if (tenant.keys.length === 0 && !tenant.require_key && config.tenants.length > 1) report(['tenants', index], `tenant ${tenant.id} has no keys, so its requests cannot be told from others`, 'give every tenant keys, or set require_key where they are made with weir keys create, or keep a single tenant');
  }
  if (config.telemetry.traces.exporter === 'otlp' && config.telemetry.traces.endpoint === undefined && OTLP_VARIABLES.every((variable) => !process.env[variable])) report(['telemetry', 'traces', 'exporter'], 'exporter otlp needs an endpoint', `add endpoint: http://127.0.0.1:4318/v1/traces, or set ${OTLP_VARIABLES[0]}`);
  return issues;
}

/** Where spans go when the configuration does not say. */
const OTLP_VARIABLES = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] as const;

/** What policies say of one another. Whatever was refused is missing for a reason already reported. */
function crossCheckPolicies(sources: readonly PolicySource[], known: KnownPolicies, { policies, policyFiles }: { readonly policies: ReadonlyMap<string, Policy>; readonly policyFiles: ReadonlyMap<string, string> }, before: readonly ConfigIssue[]): readonly ConfigIssue[] {
  if (before.some((issue) => issue.severity === 'error')) return [];
  return [...policies.values()].flatMap(({ id, shadow, canary }) => {
    const named = [...(shadow === undefined ? [] : [{ key: 'shadow', path: ['shadow'], other: shadow }]), ...(canary === undefined ? [] : [{ key: 'canary', path: ['canary', 'policy'], other: canary.policy }])];
    if (named.length === 0) return [];
    const { file, text = '' } = sources.find((source) => source.file === policyFiles.get(id))!;
    const document = readYaml(text, file, POLICY_LIMITS);
    return named.flatMap(({ key, path, other }): readonly ConfigIssue[] => {
      const found = known.policies.get(other);
      if (other === id) return [{ ...issueAt(document, path, `a policy is not its own ${key}`), suggestion: 'name another policy' }];
      if (found === undefined) return known.undecided.has(other) ? [] : [withSuggestion(issueAt(document, path, `no policy ${other}`), meant(other, known.policies.keys()))];
      const chained = [found.shadow === undefined ? [] : 'shadow', found.canary === undefined ? [] : 'canary'].flat();
      return chained.length === 0 ? [] : [{ ...issueAt(document, path, `${other} has a ${chained.join(' and a ')} of its own, which does not count where it is the ${key}`), severity: 'warning' }];
    });
  });
}

function withSuggestion(issue: ConfigIssue, suggestion: string | undefined): ConfigIssue {
  return suggestion === undefined ? issue : { ...issue, suggestion };
}

function refuseTwice(values: readonly string[], noun: string, pathOf: (index: number) => Path, report: (path: Path, message: string) => void, quote = true): void {
  const seen = new Set<string>();
  for (const [index, value] of values.entries()) {
    if (seen.has(value)) report(pathOf(index), quote ? `a second ${noun} ${value}` : `a second ${noun}`);
    seen.add(value);
  }
}

function issueAt(document: YamlDocument, path: Path, message: string): ConfigIssue {
  return { file: document.file, ...document.at(path), path: formatPath(path), message, severity: 'error' };
}
