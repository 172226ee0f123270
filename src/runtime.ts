/**
 * What one configuration runs on: its snapshot, its classifiers, and one compiled plan per policy. Made whole or not at
 * all, then replaced whole. Classifiers whose configuration did not change are kept over a reload, since provisioning
 * may load weights and open connections.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig, type InlineConfig } from './config/load.ts';
import { isShippedSet, shippedSet, verifyPatterns, withoutDisabled, type PatternFile, type Validators } from './config/patterns.ts';
import type { Environment } from './config/environment.ts';
import type { ClassifierConfig, Config } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import type { Classifier, CreateClassifier } from './contract/classifier.ts';
import { ConfigError, WeirError, type ConfigIssue } from './contract/errors.ts';
import { compilePlan, type ScreeningPlan } from './screen/plan.ts';

export interface Runtime {
  readonly snapshot: Snapshot;
  readonly classifiers: readonly Classifier[];
  /** By tenant id. Tenants of one policy share what is compiled. */
  readonly plans: ReadonlyMap<string, ScreeningPlan>;
}

/** Throws ConfigError with every issue found, in files or patterns. */
export async function loadRuntime(config: string | InlineConfig | undefined, env: Environment, pool: ClassifierPool): Promise<Runtime> {
  return compileRuntime(await loadConfig(config, env, { classifiers: (fresh) => pool.provision(fresh) }), pool);
}

export async function compileRuntime(snapshot: Snapshot, pool: ClassifierPool): Promise<Runtime> {
  const classifiers = await pool.provision(snapshot.config);
  const master = readHashKey(snapshot.config.data_dir);
  const compiled = new Map<string, ScreeningPlan>();
  const issues: ConfigIssue[] = [];
  for (const [id, policy] of snapshot.policies) {
    try {
      compiled.set(id, compilePlan(policy, classifiers, { file: snapshot.policyFiles.get(id) ?? id, deadlineMs: snapshot.config.screening.deadline_ms }));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      issues.push(...error.issues);
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
  const plans = new Map<string, ScreeningPlan>();
  for (const tenant of snapshot.config.tenants) {
    const hashKey = createHmac('sha256', master).update(`tenant ${tenant.id}`).digest();
    const plan = compiled.get(tenant.policy);
    if (plan !== undefined) plans.set(tenant.id, plan.forTenant({ failMode: tenant.fail_mode, hashKey }));
  }
  return { snapshot, classifiers, plans };
}

const HASH_KEY_BYTES = 32;

/** The key of `style: hash`, so that a value keeps its hash over restarts. `app` makes it; without one hashes last as long as the process. */
function readHashKey(dataDir: string): Buffer {
  try {
    return readFileSync(join(dataDir, 'hash.key'));
  } catch {
    return randomBytes(HASH_KEY_BYTES);
  }
}

/** Makes the key where there is none; readable by the owner alone. */
export function ensureHashKey(dataDir: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(dataDir, 'hash.key'), randomBytes(HASH_KEY_BYTES), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** The plan of a tenant's policy. A caller may name that policy, not choose another one. */
export function planOf({ snapshot, plans }: Runtime, tenantId: string, policyId?: string): ScreeningPlan {
  const tenant = snapshot.config.tenants.find(({ id }) => id === tenantId);
  const plan = plans.get(tenantId);
  if (tenant === undefined || plan === undefined) throw new WeirError('no_policy');
  if (policyId !== undefined && policyId !== tenant.policy) throw new WeirError('invalid_request', 'policy_set_id is not the policy of the tenant');
  return plan;
}

export class ClassifierPool {
  /** By configuration entry, as JSON. */
  readonly #provisioned = new Map<string, Promise<Classifier>>();

  /** Throws ConfigError when a plugin is missing or cannot work as configured. */
  async provision({ classifiers }: Pick<Config, 'classifiers'>): Promise<readonly Classifier[]> {
    return Promise.all(classifiers.map((entry) => this.#provisionOne(entry)));
  }

  async close(): Promise<void> {
    const all = await Promise.allSettled(this.#provisioned.values());
    this.#provisioned.clear();
    await Promise.allSettled(all.map((one) => (one.status === 'fulfilled' ? one.value.close?.() : undefined)));
  }

  #provisionOne(entry: ClassifierConfig): Promise<Classifier> {
    const key = JSON.stringify([entry.id, entry.plugin, entry.options, entry.patternFiles.map(({ text }) => text)]);
    const known = this.#provisioned.get(key);
    if (known !== undefined) return known;
    const fresh = provisionPlugin(entry);
    this.#provisioned.set(key, fresh);
    // A plugin that could not start is tried again with the next configuration.
    fresh.catch(() => this.#provisioned.delete(key));
    return fresh;
  }
}

async function provisionPlugin(entry: ClassifierConfig): Promise<Classifier> {
  const plugin = await importPlugin(entry);
  const files = readPatternFiles(entry, plugin);
  try {
    const classifier = plugin.default({ ...entry.options, id: entry.id, ...(files === undefined ? {} : { files }) });
    await classifier.provision?.();
    classifier.validate?.();
    return classifier;
  } catch (error) {
    throw refusal(entry, `the plugin ${entry.plugin} cannot work as configured: ${error instanceof Error ? error.message : 'unknown reason'}`);
  }
}

/** What a plugin's `index.ts` exports. One with `patternSets` gets pattern files as its option `files`. */
interface PluginModule {
  readonly default: CreateClassifier;
  /** Shipped sets that it gets where the configuration names no `patterns`. */
  readonly patternSets?: readonly string[];
  /** Validators that its pattern files may name besides those of src/match. */
  readonly validators?: Validators;
}

/** The files under `patterns`, or the plugin's own choice of shipped sets, without what `disable` names. */
function readPatternFiles(entry: ClassifierConfig, { patternSets, validators }: PluginModule): readonly PatternFile[] | undefined {
  if (patternSets === undefined) {
    if (entry.patterns !== undefined || entry.disable !== undefined) throw refusal(entry, `the plugin ${entry.plugin} takes no patterns`);
    return undefined;
  }
  const issues: ConfigIssue[] = [];
  const files = (entry.patterns ?? patternSets).flatMap((named): readonly PatternFile[] => {
    if (isShippedSet(named)) return [shippedSet(named, validators)];
    const source = entry.patternFiles.find(({ path }) => path === named);
    if (source?.text === undefined) throw refusal(entry, `${source?.file ?? named}: ${source?.problem ?? 'no such file'}`);
    const parsed = verifyPatterns(source.text, source.file, validators);
    issues.push(...parsed.issues);
    return parsed.file === undefined ? [] : [parsed.file];
  });
  if (issues.some((issue) => issue.severity === 'error')) throw new ConfigError(issues);
  const { files: kept, unknown } = withoutDisabled(files, entry.disable ?? []);
  if (unknown.length > 0) throw refusal(entry, `disable: no pattern or category ${unknown.join(', ')}`);
  refuseTwice(entry, kept);
  return kept;
}

function refuseTwice(entry: ClassifierConfig, files: readonly PatternFile[]): void {
  const ids = files.flatMap((file) => file.patterns.map(({ id }) => id));
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw refusal(entry, `two of the pattern files have a pattern ${twice}`);
}

/** The name was checked to be one folder's name, so it cannot lead out of plugins/. */
async function importPlugin(entry: ClassifierConfig): Promise<PluginModule> {
  const file = new URL(`../plugins/${entry.plugin}/index.ts`, import.meta.url).href;
  try {
    return (await import(file)) as PluginModule;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND' && (error as { readonly url?: string }).url === file;
    if (missing) throw refusal(entry, `there is no plugin ${entry.plugin}`);
    throw error;
  }
}

function refusal(entry: ClassifierConfig, message: string): ConfigError {
  return new ConfigError([{ file: '(classifiers)', line: 1, column: 1, path: `classifiers.${entry.id}`, message, severity: 'error' }]);
}
