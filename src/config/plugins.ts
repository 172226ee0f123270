/**
 * A classifier made from its configuration entry: its plugin is found, its pattern files are read, then create →
 * provision → validate; `classify` and `close` are its owner's to call. What cannot work as configured is a ConfigError
 * at `classifiers.<id>`, never a classifier that fails later.
 */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { COST_CLASSES, type Classifier, type CreateClassifier, type GivenModel } from '../contract/classifier.ts';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import { CONTENT_TYPES, DIRECTIONS } from '../contract/screening.ts';
import { isShippedSet, shippedSet, verifyPatterns, withoutDisabled, type PatternFile, type Validators } from './patterns.ts';
import type { ClassifierConfig } from './schema.ts';

/** By the folder of plugins/ that ships one: what works in its place. */
export type ModelsAtWork = ReadonlyMap<string, GivenModel>;

const SHIPPED: ModelsAtWork = new Map();

export async function provisionPlugin(entry: ClassifierConfig, models = SHIPPED): Promise<Classifier> {
  const plugin = await importPlugin(entry);
  const given = givenTo(plugin, models);
  const files = readPatternFiles(entry, plugin);
  let classifier: Classifier | undefined;
  try {
    classifier = plugin.default({ ...entry.options, id: entry.id, ...(files === undefined ? {} : { files }), ...(plugin.models === undefined ? {} : { models: given }) });
    refuseUnfit(entry, classifier);
    for (const { id } of Object.values(given)) if (!classifier.version.includes(id)) throw new Error(`its version does not name the model ${id} that it was given`);
    await classifier.provision?.();
    classifier.validate?.();
    return classifier;
  } catch (error) {
    // What it opened before it failed. Its own complaint is the one to tell.
    await (async () => classifier?.close?.())().catch(() => undefined);
    throw refusal(entry, `the plugin ${entry.plugin} cannot work as configured: ${error instanceof Error ? error.message : 'unknown reason'}`);
  }
}

/** Folders whose models the plugin of an entry reads; empty for one that has none, or cannot be loaded. */
export async function modelsRead(entry: ClassifierConfig): Promise<readonly string[]> {
  return (await importPlugin(entry).catch(() => undefined))?.models ?? [];
}

function givenTo({ models: read = [] }: PluginModule, models: ModelsAtWork): Readonly<Record<string, GivenModel>> {
  return Object.fromEntries(read.flatMap((name) => { const model = models.get(name); return model === undefined ? [] : [[name, model]]; }));
}

/** What the host relies on and a plugin written without types may get wrong. */
function refuseUnfit(entry: ClassifierConfig, classifier: Classifier): void {
  const { id, version, categories, directions, contentTypes, languages, cost, classify, stream, patterns } = classifier;
  if (id !== entry.id) throw new Error('its id is not the one it was given');
  if (typeof version !== 'string' || version === '') throw new Error('it has no version');
  if (!Array.isArray(categories) || !categories.every((category) => typeof category?.id === 'string')) throw new Error('its categories are not a list of { id, definition }');
  for (const [name, words, known] of [['directions', directions, DIRECTIONS], ['contentTypes', contentTypes, CONTENT_TYPES], ['cost', [cost], COST_CLASSES]] as const) {
    if (!Array.isArray(words) || !words.every((word) => (known as readonly string[]).includes(word))) throw new Error(`its ${name} is not of ${known.join(', ')}`);
  }
  if (!Array.isArray(languages) || !languages.every((tag) => typeof tag === 'string')) throw new Error('its languages are not a list of tags');
  if (classify === undefined && patterns === undefined) throw new Error('it has neither classify nor patterns');
  if (stream !== undefined && classify === undefined) throw new Error('it has stream without classify');
}

/** What a plugin's `index.ts` exports. One with `patternSets` gets pattern files as its option `files`, one with `models` what works in their place as `models`. */
interface PluginModule {
  readonly default: CreateClassifier;
  /** Shipped sets that it gets where the configuration names no `patterns`. */
  readonly patternSets?: readonly string[];
  /** Validators that its pattern files may name besides those of src/match. */
  readonly validators?: Validators;
  /** Folders of plugins/ whose model.bin it reads. */
  readonly models?: readonly string[];
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

/** A folder under plugins/, or a file of the operator's own. */
async function importPlugin(entry: ClassifierConfig): Promise<PluginModule> {
  const isOwn = isAbsolute(entry.plugin);
  const file = isOwn ? pathToFileURL(entry.plugin).href : new URL(`../../plugins/${entry.plugin}/index.ts`, import.meta.url).href;
  try {
    const plugin = (await import(file)) as Partial<PluginModule>;
    if (typeof plugin.default !== 'function') throw refusal(entry, `the plugin ${entry.plugin} has no default export that makes a classifier`);
    return plugin as PluginModule;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND' && (error as { readonly url?: string }).url === file;
    if (missing) throw refusal(entry, `there is no plugin ${entry.plugin}`);
    if (isOwn) throw refusal(entry, `the plugin ${entry.plugin} cannot be loaded: ${error instanceof Error ? error.message : 'unknown reason'}`);
    throw error;
  }
}

function refusal(entry: ClassifierConfig, message: string): ConfigError {
  return new ConfigError([{ file: '(classifiers)', line: 1, column: 1, path: `classifiers.${entry.id}`, message, severity: 'error' }]);
}
