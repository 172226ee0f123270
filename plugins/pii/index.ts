/**
 * The pii classifier: personal data and secrets that have a form, found by patterns in the shared automaton and
 * accepted by validators. The patterns are data, in config/patterns; the host reads the files that the configuration
 * names and hands them over. It asks no model and opens no connection; all of its answers come from the scan.
 *
 * It does not find what has no form: names, street addresses.
 */
import type { CategoryDefinition, CreateClassifier, PatternDefinition } from '#contract/classifier.ts';
import { PHONE_VALIDATORS } from './validators.ts';

/** The shipped sets that it gets where the configuration names none. */
export const patternSets = ['contact', 'finance', 'identity', 'network', 'crypto', 'secrets'] as const;

/** What `validate:` in its pattern files may name besides the validators of src/match. */
export const validators = PHONE_VALIDATORS;

/** One pattern file as the host read it. */
interface PatternFile {
  readonly categories: readonly CategoryDefinition[];
  readonly patterns: readonly PatternDefinition[];
}

const createPii: CreateClassifier = ({ id, files }) => {
  if (!Array.isArray(files)) throw new Error('the host gave no pattern files');
  const sets = files as readonly PatternFile[];
  const categories = new Map(sets.flatMap((file) => file.categories.map((category) => [category.id, category])));
  return {
    id,
    version: '1.1.0',
    categories: [...categories.values()],
    directions: ['input', 'output'],
    contentTypes: ['text'],
    languages: ['*'],
    cost: 'fast',
    needsContext: false,
    patterns: sets.flatMap((file) => file.patterns),
  };
};

export default createPii;
