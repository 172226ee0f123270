/**
 * The taxonomy: what each category of the embedded classifiers means, in words that people who label can apply. Data, in
 * `config/taxonomy.yaml`; a file of the operator's own has the same form. What plugins say of their categories is the
 * same text, which a test holds them to. Errors have line and column.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import { schemaOf } from './json-schema.ts';
import { choice, list, mapping, readShape, text, whole, type JsonSchema, type Shape, type TypeOf } from './shape.ts';
import { readYaml } from './yaml.ts';

export const SIDES = ['violation', 'safe'] as const;
/** Categories of one taxonomy. */
export const CATEGORIES_MAX = 500;

const sentence = (description: string) => text(description, { lengthMax: 1_000, required: true });
const cases = (description: string) => list(description, sentence('One kind of text.'), { countMax: 50, countMin: 1, required: true });

const CATEGORY = mapping('One category.', {
  id: text('Classifier and category, as in score:.', { required: true, lengthMax: 193, pattern: /^[A-Za-z0-9_-]+\.\S+$/, patternMeaning: 'classifier.category' }),
  name: sentence('What people call it.'),
  definition: sentence('What it is, in one sentence.'),
  violates: cases('What belongs to it.'),
  allowed: cases('What looks like it and does not.'),
  boundary: list('Cases near the line.', mapping('One case.', {
    case: sentence('The text, described.'),
    side: choice('Where it falls.', SIDES, { required: true }),
    why: sentence('Why there.'),
  }), { countMax: 50, default: [] }),
  norms: text('What differs between cultures, and who decides.', { lengthMax: 2_000 }),
});

const TAXONOMY = mapping('A taxonomy.', {
  version: whole('Raised with every change of a definition.', { min: 1, max: 1_000_000, required: true }),
  language: text('BCP 47 tag of the words in it.', { lengthMax: 35, required: true }),
  categories: list('Each once.', CATEGORY, { countMax: CATEGORIES_MAX, countMin: 1, required: true }),
});

/** The form as JSON Schema, for editors. */
export function taxonomySchema(): JsonSchema {
  return schemaOf(TAXONOMY as Shape<unknown>, { title: 'A taxonomy of Weir' });
}

export type Taxonomy = NonNullable<TypeOf<typeof TAXONOMY>>;
export type TaxonomyCategory = Taxonomy['categories'][number];

/** `taxonomy` is undefined when any issue is an error. */
export function parseTaxonomy(source: string, file: string): { readonly taxonomy: Taxonomy | undefined; readonly issues: readonly ConfigIssue[] } {
  const document = readYaml(source, file);
  const { value, issues } = readShape(TAXONOMY, document);
  const ids = value?.categories.map(({ id }) => id) ?? [];
  const twice = ids.flatMap((id, at): ConfigIssue[] => (ids.indexOf(id) === at ? [] : [{ file, ...document.at(['categories', at, 'id']), path: `categories[${at}].id`, message: `a second category ${id}`, severity: 'error' }]));
  const found = [...issues, ...twice];
  return { taxonomy: found.some(({ severity }) => severity === 'error') ? undefined : value, issues: found };
}

const SHIPPED = join(import.meta.dirname, '../../config/taxonomy.yaml');

/** The one that comes with Weir. Throws where it was made unusable. */
export function shippedTaxonomy(): Taxonomy {
  const { taxonomy, issues } = parseTaxonomy(readFileSync(SHIPPED, 'utf8'), SHIPPED);
  if (taxonomy === undefined) throw new ConfigError(issues);
  return taxonomy;
}
