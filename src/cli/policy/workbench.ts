/**
 * Policies on the workbench: read from the files that are named, or from the configuration, and compiled with the
 * configured classifiers as a proxy compiles them. A policy that cannot be used stays in the list with its issues, and
 * keeps no other from being used. Nothing listens, nothing is stored.
 */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { readPolicySource, readSources, type PolicySource } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { ConfigError, type ConfigIssue } from '../../contract/errors.ts';
import type { FailMode, Policy } from '../../contract/policy.ts';
import type { Classifier } from '../../contract/classifier.ts';
import { parsePolicy } from '../../policy/parse.ts';
import { ClassifierPool } from '../../runtime.ts';
import type { Ensemble } from '../../screen/ensemble.ts';
import { compilePlan, type ScreeningPlan } from '../../screen/plan.ts';
import { UsageError, type Io } from '../command.ts';

/** Nobody waits for a case; what is measured is the policy, not the machine. A classifier's own deadline stays. */
const DEADLINE_MS = 10_000;

export interface Bench {
  readonly config: Config;
  readonly policies: readonly BenchedPolicy[];
  /** Over all files that were read. */
  readonly fingerprint: string;
}

export interface BenchedPolicy {
  readonly file: string;
  readonly issues: readonly ConfigIssue[];
  /** Absent where an issue is an error. */
  readonly plan?: ScreeningPlan;
}

export interface BenchOptions {
  readonly config: string | undefined;
  /** Policy files in place of those of the configuration. */
  readonly files?: readonly string[];
  /** For rules and policies that do not say `on_unknown`. */
  readonly failMode?: FailMode;
}

/** Throws ConfigError where the configuration itself cannot be used. */
export async function openBench({ config: file, files = [], failMode = 'closed' }: BenchOptions, io: Io, pool: ClassifierPool): Promise<Bench> {
  const sources = await readSources(file, io.env);
  const { config: read } = sources;
  const policies = files.length === 0 ? sources.policies : await Promise.all(files.map((path) => readPolicySource(resolve(path), process.cwd())));
  if (read === undefined) throw new ConfigError(sources.issues);
  const config: Config = { ...read, screening: { ...read.screening, deadline_ms: DEADLINE_MS, overload_ms: DEADLINE_MS } };
  const [classifiers, known] = [await pool.provision(config), await pool.known(config)];
  const ensemble = await pool.ensemble(config, randomBytes(32));
  const compiled = policies.map((source) => benchPolicy(source, { config, classifiers, known, ensemble, failMode }));
  const fingerprint = JSON.stringify([sources.fingerprint, policies.map(({ text, literalFiles }) => [text, [...literalFiles.values()].map((literal) => literal.text)])]);
  return { config: read, policies: compiled, fingerprint };
}

interface Tools {
  readonly config: Config;
  readonly classifiers: readonly Classifier[];
  readonly known: readonly Classifier[];
  readonly ensemble: Ensemble;
  readonly failMode: FailMode;
}

function benchPolicy({ file, text, problem, literalFiles }: PolicySource, { config, classifiers, known, ensemble, failMode }: Tools): BenchedPolicy {
  if (text === undefined) return { file, issues: [{ file, line: 1, column: 1, path: '', message: problem ?? 'cannot be read', severity: 'error' }] };
  const { policy, issues } = parsePolicy(text, file, known, literalFiles);
  if (policy === undefined) return { file, issues };
  const { names, chars_max: charsMax } = config.screening.views;
  try {
    return { file, issues, plan: compilePlan(policy, classifiers, { file, ensemble, failMode, views: { names, charsMax } }) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { file, issues: [...issues, ...error.issues] };
  }
}

/** A policy by its id in the configuration, or by its file. Throws UsageError, and ConfigError with its issues. */
export async function takePolicy(named: string, options: BenchOptions, io: Io, pool: ClassifierPool): Promise<ScreeningPlan> {
  const isFile = /[/\\]|\.(?:ya?ml|json)$/.test(named);
  const { policies } = await openBench({ ...options, files: isFile ? [named] : [] }, io, pool);
  const found = isFile ? policies[0] : policies.find(({ plan }) => plan?.policy.id === named);
  if (found?.plan !== undefined) return found.plan;
  if (found !== undefined) throw new ConfigError(found.issues);
  const broken = policies.filter(({ plan }) => plan === undefined);
  if (broken.length > 0) throw new ConfigError(broken.flatMap(({ issues }) => issues));
  throw new UsageError(`there is no policy ${JSON.stringify(named)}; there is ${policies.map(({ plan }) => plan!.policy.id).join(', ') || 'none'}`);
}

/** As messages and records name it. */
export function nameOf({ id, revision }: Pick<Policy, 'id' | 'revision'>): string {
  return `${id}@${revision}`;
}
