/** The shipped taxonomy is whole and says what the plugins say; a file with a fault is refused with its place. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CATEGORIES_MAX, parseTaxonomy } from '../../src/config/taxonomy.ts';
import createBrandSafety from '../../plugins/brand-safety/index.ts';
import createGrounding from '../../plugins/grounding/index.ts';
import createJailbreak from '../../plugins/jailbreak/index.ts';
import createInjection from '../../plugins/prompt-injection/index.ts';
import createToxicity from '../../plugins/toxicity/index.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import { askedCategories } from '../../src/screen/answer.ts';
import { testPii } from '../helpers/pii.ts';

const FILE = join(import.meta.dirname, '../../config/taxonomy.yaml');
const shipped = parseTaxonomy(readFileSync(FILE, 'utf8'), FILE);

t.test('the shipped one is read without a complaint, with a boundary case for each category', async (t) => {
  t.same(shipped.issues, []);
  t.same(shipped.taxonomy!.categories.filter(({ boundary }) => boundary.length === 0), []);
});

t.test('plugins and taxonomy have the same categories and definitions', async (t) => {
  const topic = { id: 'trains', examples: ['when does the train leave', 'the price of a ticket'] };
  const brand = createBrandSafety({ id: 'brand-safety', competitors: [{ name: 'Acme' }], topics: [topic] });
  for (const classifier of [createToxicity({ id: 'toxicity' }), createInjection({ id: 'prompt-injection' }), createJailbreak({ id: 'jailbreak' }), createGrounding({ id: 'grounding' }), brand, withoutForms(testPii('pii', true))]) {
    const told = shipped.taxonomy!.categories.filter(({ id }) => id.startsWith(`${classifier.id}.`)).map(({ id, definition }) => [id, definition] as const);
    t.same(new Map(told), new Map(classifier.categories.map(({ id, definition }) => [`${classifier.id}.${id}`, definition])), classifier.id);
  }
});

/** What patterns find is defined beside them, in config/patterns. */
function withoutForms(classifier: Classifier): Classifier {
  return { ...classifier, categories: askedCategories(classifier) };
}

const one = (name: string): string => `  - { id: ${name}, name: N, definition: d, violates: [a], allowed: [b] }\n`;
const source = (categories: string, version = '1'): string => `version: ${version}\nlanguage: en\ncategories:\n${categories}`;

t.test('faults have their places', async (t) => {
  t.match(parseTaxonomy(source(one('x.y'), '0'), 'f').issues, [{ line: 1, column: 10, message: /0/ }]);
  t.match(parseTaxonomy(source('  - { id: x.y, name: N, definiton: d, violates: [a], allowed: [b] }\n'), 'f').issues, [{ line: 4, message: 'unknown key definiton', suggestion: /definition/ }, { message: 'definition is missing' }]);
  t.match(parseTaxonomy(source(`${one('x.y')}  - { id: x.z, name: N, definition: d, violates: [a], allowed: [b], boundary: [{ case: c, side: sfe, why: w }] }\n`), 'f'), { taxonomy: undefined, issues: [{ line: 5, message: /violation, safe/ }] });
});

t.test('a category that is there twice is told', async (t) => {
  t.match(parseTaxonomy(source(one('x.y') + one('x.y')), 'f'), { taxonomy: undefined, issues: [{ line: 5, message: 'a second category x.y' }] });
});

t.test(`${CATEGORIES_MAX} categories are read, one more is refused`, async (t) => {
  const many = (count: number): string => source(Array.from({ length: count }, (_, at) => one(`x.c${at}`)).join(''));
  t.same(parseTaxonomy(many(CATEGORIES_MAX), 'f').issues, []);
  t.match(parseTaxonomy(many(CATEGORIES_MAX + 1), 'f').issues, [{ message: /501 .*limit is 500/ }]);
});
