/**
 * The pii classifier: personal data and secrets that have a form, found by patterns in the shared automaton and
 * accepted by validators; and what has none, names of people, addresses and places, found by a small trained tagger
 * (names.ts). The patterns are data, in config/patterns; the host reads the files that the configuration names and hands
 * them over. It opens no connection. `names: false` leaves the tagger out. Only a rule that names them reaches the three without a form.
 */
import type { CategoryDefinition, Classifier, CreateClassifier, GivenModels, PatternDefinition } from '#contract/classifier.ts';
import { NAME_CATEGORIES, Names } from './names.ts';
import { PHONE_VALIDATORS } from './validators.ts';

/** The shipped sets that it gets where the configuration names none. */
export const patternSets = ['contact', 'finance', 'identity', 'network', 'crypto', 'secrets'] as const;

/** What `validate:` in its pattern files may name besides the validators of src/match. */
export const validators = PHONE_VALIDATORS;

/** What the host may give in place of what is shipped. */
export const models = ['pii'] as const;

/** One pattern file as the host read it. */
interface PatternFile {
  readonly categories: readonly CategoryDefinition[];
  readonly patterns: readonly PatternDefinition[];
}

const createPii: CreateClassifier = ({ id, files, names: wanted = true, models: given, ...others }) => {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; this classifier has names (true or false)`);
  if (typeof wanted !== 'boolean') throw new Error(`names is true or false, got ${JSON.stringify(wanted)}`);
  if (!Array.isArray(files)) throw new Error('the host gave no pattern files');
  const model = wanted ? (given as GivenModels | undefined)?.['pii'] : undefined;
  const sets = files as readonly PatternFile[];
  const categories = new Map([...sets.flatMap((file) => file.categories), ...(wanted ? NAME_CATEGORIES : [])].map((category) => [category.id, category]));
  return {
    id,
    version: model === undefined ? '1.2.0' : `1.2.0+${model.id}`,
    categories: [...categories.values()],
    directions: ['input', 'output'],
    contentTypes: ['text'],
    languages: ['*'],
    cost: 'fast',
    needsContext: false,
    idempotent: true,
    patterns: sets.flatMap((file) => file.patterns),
    ...(wanted ? readingOf(new Names(id, model?.bytes)) : {}),
  };
};

function readingOf(names: Names): Pick<Classifier, 'classify' | 'stream'> {
  return { classify: ({ content }) => names.read(content), stream: () => names.open() };
}

export default createPii;
