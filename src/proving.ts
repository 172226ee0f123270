/**
 * Finds out whether a model can work before it does: its plugin takes it, its scores on fixed texts are numbers from 0 to
 * 1, the plugin's cases come out, and so do the cases of policies that come out now. It runs beside what works and shares
 * nothing with it. The scores on the fixed texts have a digest, which tells whether two models say the same of all.
 */
import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { pluginCases, type PluginCase } from './config/plugin-cases.ts';
import { modelsRead, provisionPlugin, type ModelsAtWork } from './config/plugins.ts';
import { EMBEDDED_CLASSIFIERS, type ClassifierConfig, type Config } from './config/schema.ts';
import type { Classifier, GivenModel } from './contract/classifier.ts';
import type { Policy } from './contract/policy.ts';
import type { ClassifierResult, ScreeningRequest } from './contract/screening.ts';
import { runCases, type CaseResult } from './policy/cases.ts';
import { rehearsePolicy, stageOf, type RehearsalTools } from './rehearsal.ts';
import { ClassifierPool } from './runtime.ts';
import { readingsOf } from './screen/readings.ts';

export interface Proof {
  /** What it does wrong: cases that do not come out. */
  readonly against: readonly string[];
  /** Of the scores on the fixed texts. */
  readonly digest: string;
}

export interface ProvingOptions {
  readonly config: Config;
  /** What works now. */
  readonly models: ModelsAtWork;
  /** As they run now. */
  readonly policies: readonly Policy[];
}

/** Texts that no model may fail on. */
export const PROBES: readonly string[] = [
  '', ' ', '\u200b', '\ud800', '1', 'hello', 'The quick brown fox jumps over the lazy dog.', 'Wie wird das Wetter morgen in Bremen?', '¿Dónde está la biblioteca?', '今日は天気がいいですね。', 'x'.repeat(20_000), '{"a": [1, 2, {"b": null}]}',
  'Ignore the noise in the data and report the mean.', 'She said she would kill for a coffee.', 'A'.repeat(300), '🙂🙃🙂', 'one\ntwo\n\nthree', '<p>Dear customer, your order 12345 has left.</p>', 'def f(x):\n    return x + 1\n', 'Please write a poem about the sea.',
];
const SOURCES = 'The Harbour Hotel has 42 rooms. Breakfast is served from 7 to 10.';

/** Throws an Error that says why a plugin does not take the model, or what of its scores is no number from 0 to 1. */
export async function digestOf(model: string, { config, models }: Pick<ProvingOptions, 'config' | 'models'>): Promise<string> {
  return (await tryOn(model, config, models)).digest;
}

/** Of a model in place of what `plugin` ships; undefined: of that. Throws as `digestOf` does. */
export async function prove(plugin: string, model: GivenModel | undefined, { config, models, policies }: ProvingOptions): Promise<Proof> {
  const tried = new Map([...[...models].filter(([name]) => name !== plugin), ...(model === undefined ? [] : [[plugin, model] as const])]);
  const { digest, against } = await tryOn(plugin, config, tried);
  return { digest, against: [...against, ...(await policyCases(policies, config, models, tried))] };
}

/** All classifiers that read the model, on the fixed texts and the cases of their plugins. */
async function tryOn(model: string, config: Config, models: ModelsAtWork): Promise<Proof> {
  const digest = createHash('sha256');
  const against: string[] = [];
  for (const { classifier, cases } of await classifiersOf(model, config, models)) {
    const told = (results: readonly ClassifierResult[]): void => void digest.update(JSON.stringify(results.map((result) => ('unknown' in result ? [result.category, result.reason, result.guess] : [result.category, soundScore(result), result.spans]))));
    for (const text of PROBES) told(await ask(classifier, { text, direction: classifier.directions[0]!, sources: SOURCES }));
    for (const one of cases) {
      const results = await ask(classifier, one);
      told(results);
      const score = Math.max(0, ...results.flatMap((result) => (result.category === one.category && !('unknown' in result) ? [result.score] : [])));
      if (one.from !== undefined && score < one.from) against.push(`case of ${classifier.id}: ${one.name}: ${one.category} is ${score.toFixed(3)}, and ${one.from} at least was expected`);
      if (one.below !== undefined && score >= one.below) against.push(`case of ${classifier.id}: ${one.name}: ${one.category} is ${score.toFixed(3)}, and less than ${one.below} was expected`);
    }
    await classifier.close?.();
  }
  return { digest: digest.digest('hex'), against };
}

interface Tried {
  readonly classifier: Classifier;
  readonly cases: readonly PluginCase[];
}

/** Those of the configuration that read the model, or else the plugin's own as it comes. */
async function classifiersOf(model: string, { classifiers }: Config, models: ModelsAtWork): Promise<readonly Tried[]> {
  const reading: ClassifierConfig[] = [];
  for (const entry of classifiers) if ((await modelsRead(entry)).includes(model)) reading.push(entry);
  const embedded = EMBEDDED_CLASSIFIERS.find(({ plugin }) => plugin === model);
  const entries = reading.length > 0 || embedded === undefined ? reading : [{ ...embedded, patternFiles: [] } as ClassifierConfig];
  if (entries.length === 0) throw new Error(`no classifier reads a model of ${model}`);
  return Promise.all(entries.map(async (entry) => ({ classifier: await provisionPlugin(entry, models), cases: isAbsolute(entry.plugin) ? [] : await pluginCases(entry.plugin) })));
}

async function ask(classifier: Classifier, { text, direction, sources }: Pick<PluginCase, 'text' | 'direction' | 'sources'>): Promise<readonly ClassifierResult[]> {
  const request: ScreeningRequest = { request_id: 'case', tenant_id: 'cases', direction, content: text, content_type: 'text', created_at: '1970-01-01T00:00:00.000Z', context: sources === undefined ? {} : { sources } };
  return (await classifier.classify?.(request, new AbortController().signal, readingsOf(request))) ?? [];
}

function soundScore({ classifier_id: id, category, score }: Extract<ClassifierResult, { readonly score: number }>): number {
  if (!(score >= 0 && score <= 1)) throw new Error(`the score of ${id}.${category} on a fixed text is ${score}, which is no number from 0 to 1; train the model again`);
  return score;
}

// Cases of policies.

async function policyCases(policies: readonly Policy[], config: Config, models: ModelsAtWork, tried: ModelsAtWork): Promise<readonly string[]> {
  const [now, then] = [new ClassifierPool(), new ClassifierPool()];
  [now.models, then.models] = [models, tried];
  try {
    const against: string[] = [];
    for (const policy of policies.filter(({ cases = [] }) => cases.length > 0)) {
      const failing = await failed(policy, await then.rehearsal(config));
      // What fails now is no fault of the model.
      const before = failing.length === 0 ? [] : (await failed(policy, await now.rehearsal(config))).map(({ name }) => name);
      against.push(...failing.filter(({ name }) => !before.includes(name)).map(({ name, problems }) => `case of the policy ${policy.id}: ${name}: ${problems[0] ?? 'it cannot be run'}`));
    }
    return against;
  } finally {
    await Promise.all([now.close(), then.close()]);
  }
}

async function failed(policy: Policy, tools: RehearsalTools): Promise<readonly CaseResult[]> {
  const { plan } = rehearsePolicy(policy, { file: policy.id }, tools, 'closed');
  if (plan === undefined) return [];
  return (await runCases(stageOf(plan), { clock: () => performance.now() })).cases.filter(({ state }) => state !== 'PASS');
}
