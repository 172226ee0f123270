/**
 * What one configuration runs on: its snapshot, its classifiers, and one compiled plan per policy. Made whole or not at
 * all, then replaced whole. Classifiers whose configuration did not change are kept over a reload, with their open
 * connections, breakers and what was remembered of their answers.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { combinationIssues } from './config/combine.ts';
import { loadConfig, type InlineConfig, type ReadStored } from './config/load.ts';
import { modelsRead, provisionPlugin, type ModelsAtWork } from './config/plugins.ts';
import type { Environment } from './config/environment.ts';
import type { ClassifierConfig, Config, TenantConfig } from './config/schema.ts';
import type { Snapshot } from './config/snapshot.ts';
import type { Classifier } from './contract/classifier.ts';
import { ConfigError, WeirError, type ConfigIssue } from './contract/errors.ts';
import type { Policy } from './contract/policy.ts';
import { parsePolicy, type ParsedPolicy } from './policy/parse.ts';
import { policyKey } from './policy/source.ts';
import { VerdictMemory } from './screen/cache.ts';
import { ensembleOf, type Combination } from './screen/combine.ts';
import { Ensemble, type EnsembleMember, type EnsembleOptions } from './screen/ensemble.ts';
import { LoopWatch } from './screen/overload.ts';
import { compilePlan, type PlanOptions, type ScreeningPlan } from './screen/plan.ts';
import type { SharedText } from './screen/pseudonyms.ts';
import { Sampler } from './screen/sampler.ts';

export interface Runtime {
  readonly snapshot: Snapshot;
  readonly classifiers: readonly Classifier[];
  /** What its classifiers work with in place of what their plugins ship. */
  readonly models: ModelsAtWork;
  /** By tenant id. Tenants of one policy share what is compiled. */
  readonly plans: ReadonlyMap<string, ScreeningPlan>;
  readonly tenants: ReadonlyMap<string, TenantConfig>;
  /** By policy. */
  readonly compiled: ReadonlyMap<Policy, ScreeningPlan>;
  readonly ensemble: Ensemble;
  readonly sampler: Sampler;
}

/** Throws ConfigError with every issue found, in files or patterns. */
export async function loadRuntime(config: string | InlineConfig | undefined, env: Environment, pool: ClassifierPool, stored?: ReadStored): Promise<Runtime> {
  return compileRuntime(await loadConfig(config, env, { classifiers: (fresh) => pool.known(fresh), stored }), pool);
}

/** `former`: what runs. Where it has the same configuration and models, all is kept but the policies that changed. */
export async function compileRuntime(snapshot: Snapshot, pool: ClassifierPool, former?: Runtime): Promise<Runtime> {
  const { models } = pool;
  const kept = former?.snapshot.config === snapshot.config && former.models === models ? former : undefined;
  const classifiers = kept?.classifiers ?? await pool.provision(snapshot.config);
  const master = readHashKey(snapshot.config.data_dir);
  const ensemble = kept?.ensemble ?? await pool.ensemble(snapshot.config, master);
  const { names, chars_max: charsMax } = snapshot.config.screening.views;
  const sampler = kept?.sampler ?? samplerOf(snapshot, master);
  const compiled = new Map<string, ScreeningPlan>();
  const issues: ConfigIssue[] = [];
  const compile = (policy: Policy, shadow: Policy | undefined): ScreeningPlan => compilePlan(policy, classifiers, { file: snapshot.policyFiles.get(policy.id) ?? policy.id, shadow, ensemble, views: { names, charsMax }, models: [...models.values()].map(({ id }) => id) });
  // What a plan holds of its policy is its own, and its shadow's.
  const keptPlan = (policy: Policy): ScreeningPlan | undefined => (kept !== undefined && named(kept.snapshot, policy.shadow) === named(snapshot, policy.shadow) ? kept.compiled.get(policy) : undefined);
  for (const [id, policy] of snapshot.policies) {
    try {
      compiled.set(id, keptPlan(policy) ?? compile(policy, named(snapshot, policy.shadow)));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      issues.push(...error.issues);
    }
  }
  if (issues.length > 0) throw new ConfigError(issues);
  const canaries = new Map<string, ScreeningPlan>();
  for (const { canary } of snapshot.policies.values()) {
    const policy = named(snapshot, canary?.policy);
    // As a canary it decides alone.
    if (policy !== undefined && !canaries.has(policy.id)) canaries.set(policy.id, policy.shadow === undefined ? compiled.get(policy.id)! : compile(policy, undefined));
  }
  const plans = new Map<string, ScreeningPlan>();
  for (const tenant of snapshot.config.tenants) {
    const hashKey = createHmac('sha256', master).update(`tenant ${tenant.id}`).digest();
    const plan = compiled.get(policyKey(tenant.policy, tenant.policy_revision));
    const share = plan?.policy.canary;
    const canary = share === undefined ? undefined : canaries.get(share.policy);
    if (plan !== undefined) plans.set(tenant.id, plan.forTenant({ failMode: tenant.fail_mode, hashKey, ...(canary === undefined ? {} : { canary: { plan: canary, share: share!.share } }) }));
  }
  if (kept === undefined) await pool.settle(snapshot.config, ensemble);
  return { snapshot, classifiers, models, plans, tenants: new Map(snapshot.config.tenants.map((tenant) => [tenant.id, tenant])), compiled: new Map([...compiled.values()].map((plan) => [plan.policy, plan])), ensemble, sampler };
}

/** Throws ConfigError as below. */
function samplerOf(snapshot: Snapshot, master: Buffer): Sampler {
  const seeds = seedsOf(snapshot, master);
  return new Sampler(snapshot.config.risk.campaigns, ({ id }) => seeds.get(id)!);
}

/** By campaign. Throws ConfigError where a seed cannot be read, or is too short to be one. */
export function seedsOf({ config, file }: Pick<Snapshot, 'config' | 'file'>, master: Buffer): ReadonlyMap<string, Buffer> {
  const issues: ConfigIssue[] = [];
  const seeds = new Map(config.risk.campaigns.map(({ id, seed_file: seedFile }) => {
    if (seedFile === undefined) return [id, createHmac('sha256', master).update(`campaign ${id}`).digest()] as const;
    try {
      const seed = readFileSync(seedFile);
      if (seed.length >= SEED_BYTES_MIN) return [id, seed] as const;
      issues.push({ file, line: 1, column: 1, path: 'risk.campaigns', message: `the seed file of campaign ${id} has ${seed.length} bytes`, suggestion: `give it ${SEED_BYTES_MIN} or more that nobody can guess`, severity: 'error' });
    } catch (error) {
      issues.push({ file, line: 1, column: 1, path: 'risk.campaigns', message: `the seed file of campaign ${id} cannot be read (${(error as NodeJS.ErrnoException).code})`, severity: 'error' });
    }
    return [id, Buffer.alloc(SEED_BYTES_MIN)] as const;
  }));
  if (issues.length > 0) throw new ConfigError(issues);
  return seeds;
}

const SEED_BYTES_MIN = 16;

/** Whether a text can be the policy of this id here, with the classifiers of this configuration; `place` is for messages. */
export async function judgePolicy(source: string, { id, place }: { readonly id: string; readonly place: string }, config: Config, pool: ClassifierPool): Promise<ParsedPolicy> {
  const { policy, issues } = parsePolicy(source, place, await pool.known(config));
  if (policy === undefined) return { policy, issues };
  if (policy.id !== id) return { policy: undefined, issues: [...issues, { file: place, line: 1, column: 1, path: 'policy', message: `the text is of policy ${policy.id}, not of ${id}`, severity: 'error' }] };
  const { names, chars_max: charsMax } = config.screening.views;
  try {
    compilePlan(policy, await pool.provision(config), { file: place, views: { names, charsMax } });
    return { policy, issues };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { policy: undefined, issues: [...issues, ...error.issues] };
  }
}

function named({ policies }: Snapshot, id: string | undefined): Policy | undefined {
  return id === undefined ? undefined : policies.get(id);
}

const HASH_KEY_BYTES = 32;

/** The key of `style: hash`, so that a value keeps its hash over restarts. `app` makes it; without one hashes last as long as the process. */
export function readHashKey(dataDir: string): Buffer {
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
export function planOf({ tenants, plans }: Runtime, tenantId: string, policyId?: string): ScreeningPlan {
  const tenant = tenants.get(tenantId);
  const plan = plans.get(tenantId);
  if (tenant === undefined || plan === undefined) throw new WeirError('no_policy');
  if (policyId !== undefined && policyId !== tenant.policy) throw new WeirError('invalid_request', 'policy_set_id is not the policy of the tenant');
  return plan;
}

/** What is measured is the policy, not the machine. A classifier's own deadline stays. */
const REHEARSAL_MS = 10_000;

export interface Rehearsal {
  readonly classifiers: readonly Classifier[];
  readonly known: readonly Classifier[];
  readonly ensemble: Ensemble;
  readonly views: NonNullable<PlanOptions['views']>;
}

export interface ClassifierPoolOptions {
  /** Where replicas share what slow classifiers said. */
  readonly shared?: SharedText;
}

/** Classifiers and their state, from one configuration to the next. */
export class ClassifierPool {
  /** Told what classifiers that work said of each text. */
  told: EnsembleOptions['told'];
  /** What classifiers that are provisioned from now on work with. Replaced whole. */
  models: ModelsAtWork = new Map();
  /** By configuration entry and the models that it reads, as JSON. */
  readonly #provisioned = new Map<string, Promise<Classifier>>();
  readonly #shared: SharedText | undefined;
  /** Entries of the configuration that runs. */
  #running: readonly string[] = [];
  /** The one that runs. */
  #ensemble: Ensemble | undefined;
  #memory: VerdictMemory | undefined;
  #watch: LoopWatch | undefined;

  constructor({ shared }: ClassifierPoolOptions = {}) {
    this.#shared = shared;
  }

  /** Throws ConfigError when a plugin is missing or cannot work as configured. */
  async provision({ classifiers }: Pick<Config, 'classifiers'>): Promise<readonly Classifier[]> {
    return Promise.all(classifiers.map((entry) => this.#provisionOne(entry)));
  }

  /** All that `score:` may name. Throws ConfigError, for combinations too. */
  async known(config: Config): Promise<readonly Classifier[]> {
    const classifiers = await this.provision(config);
    return [...classifiers, ...ensembleOf(requireCombinations(config, classifiers), classifiers)];
  }

  /** The ensemble of this configuration, with the state of the one before. `key`: of what it remembers. */
  async ensemble(config: Config, key: Buffer): Promise<Ensemble> {
    const { screening: { cache, deadline_ms: deadlineMs, overload_ms: overloadMs } } = config;
    const classifiers = await this.provision(config);
    const limits = { entriesMax: cache.entries_max, bytesMax: cache.bytes_max, ttlMs: cache.ttl_ms, shared: cache.shared };
    this.#memory ??= new VerdictMemory({ key, shared: this.#shared });
    this.#memory.limits = limits;
    this.#watch ??= new LoopWatch();
    this.#watch.delayMaxMs = overloadMs;
    const watch = this.#watch;
    return new Ensemble({
      classifiers: classifiers.map((classifier, index) => memberOf(classifier, config.classifiers[index]!)),
      deadlineMs,
      combine: requireCombinations(config, classifiers),
      memory: this.#memory,
      overloaded: () => watch.overloaded,
      former: this.#ensemble,
      told: (request, results) => this.told?.(request, results),
    });
  }

  /** The classifiers for policies that are tried: nobody waits for them, and they share no state with those that run. */
  async rehearsal(config: Config): Promise<Rehearsal> {
    const { screening: { views } } = config;
    const classifiers = await this.provision(config);
    const combine = requireCombinations(config, classifiers);
    const ensemble = new Ensemble({ classifiers: classifiers.map((classifier, index) => memberOf(classifier, config.classifiers[index]!)), deadlineMs: REHEARSAL_MS, combine });
    return { classifiers, known: await this.known(config), ensemble, views: { names: views.names, charsMax: views.chars_max } };
  }

  /** These run from now on: closes what neither they nor those before need, which may still have calls under way. */
  async settle({ classifiers }: Pick<Config, 'classifiers'>, ensemble: Ensemble): Promise<void> {
    const running = await Promise.all(classifiers.map((entry) => this.#keyOf(entry)));
    this.#ensemble = ensemble;
    const former = this.#running;
    this.#running = running;
    for (const key of this.#provisioned.keys()) if (!this.#running.includes(key) && !former.includes(key)) void this.#close(key);
  }

  async close(): Promise<void> {
    this.#watch?.close();
    await Promise.all([...this.#provisioned.keys()].map((key) => this.#close(key)));
  }

  /** Never rejects: a classifier that could not start or cannot stop is gone all the same. */
  async #close(key: string): Promise<void> {
    const provisioned = this.#provisioned.get(key);
    this.#provisioned.delete(key);
    await provisioned?.then((classifier) => classifier.close?.()).catch(() => undefined);
  }

  async #keyOf(entry: ClassifierConfig, models = this.models): Promise<string> {
    const given = (await modelsRead(entry)).flatMap((name) => models.get(name)?.id ?? []);
    return given.length === 0 ? entryKey(entry) : JSON.stringify([entryKey(entry), given]);
  }

  async #provisionOne(entry: ClassifierConfig): Promise<Classifier> {
    const { models } = this;
    const key = await this.#keyOf(entry, models);
    const known = this.#provisioned.get(key);
    if (known !== undefined) return known;
    const fresh = provisionPlugin(entry, models);
    this.#provisioned.set(key, fresh);
    // A plugin that could not start is tried again with the next configuration.
    fresh.catch(() => this.#provisioned.delete(key));
    return fresh;
  }
}

/** The same for entries that say the same. */
function entryKey({ patternFiles, ...entry }: ClassifierConfig): string {
  return JSON.stringify([entry, patternFiles.map(({ text }) => text)]);
}

/** A classifier as an ensemble takes it: with what its entry says about asking it. */
export function memberOf(classifier: Classifier, entry: ClassifierConfig): EnsembleMember {
  const { deadline_ms: deadlineMs, concurrency, retry, breaker, weight } = entry;
  return {
    classifier,
    settings: { ...(deadlineMs === undefined ? {} : { deadlineMs }), concurrency, retry, breaker: { failures: breaker.failures, openMs: breaker.open_ms }, weight },
    fingerprint: createHash('sha256').update(JSON.stringify([entry.plugin, entry.options])).digest('base64url'),
  };
}

/** The combinations as the ensemble takes them, weights filled in. Throws ConfigError when they name what is not there. */
function requireCombinations({ screening: { combine = [] }, classifiers: entries }: Config, classifiers: readonly Classifier[]): readonly Combination[] {
  const issues = combinationIssues(combine, classifiers.map(({ id, categories, classify }) => ({ id, categories, isAsked: classify !== undefined })), '(combine)');
  if (issues.length > 0) throw new ConfigError(issues);
  const weightOf = (member: string): number => entries.find(({ id }) => id === member.slice(0, member.indexOf('.')))?.weight ?? 1;
  return combine.map(({ of, ...combination }) => ({ ...combination, of: Object.fromEntries(Object.entries(of).map(([member, weight]) => [member, weight ?? weightOf(member)])) }));
}
