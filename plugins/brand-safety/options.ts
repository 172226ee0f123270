/**
 * The options of the brand-safety classifier, read strictly: a misspelt key or an empty name is an error when the
 * configuration is loaded. Every message begins with the place.
 */
import { isMapping, kindOf, readFlag, refuseUnknown, type Given } from '../http/options.ts';

export interface Competitor {
  readonly name: string;
  readonly aliases: readonly string[];
}

export interface Topic {
  readonly id: string;
  readonly examples: readonly string[];
}

export interface BrandOptions {
  readonly competitors: readonly Competitor[];
  readonly topics: readonly Topic[];
  readonly tone: boolean;
}

export const COMPETITORS_MAX = 1_000;
export const ALIASES_MAX = 50;
export const NAME_CHARS_MAX = 100;
export const TOPICS_MAX = 100;
export const EXAMPLES_MAX = 500;
export const EXAMPLE_CHARS_MAX = 4_000;

export function readOptions(given: Given): BrandOptions {
  refuseUnknown(given, ['competitors', 'topics', 'tone']);
  const competitors = listAt(given.competitors, 'competitors', COMPETITORS_MAX).map((entry, at) => readCompetitor(entry, `competitors[${at}]`));
  const topics = listAt(given.topics, 'topics', TOPICS_MAX).map((entry, at) => readTopic(entry, `topics[${at}]`));
  refuseTwice(topics.map(({ id }) => id), 'topics');
  const tone = readFlag(given, 'tone', true);
  if (!tone && competitors.length === 0 && topics.length === 0) throw new Error('competitors: missing; with tone: false give competitors or topics, or there is nothing to judge');
  return { competitors, topics, tone };
}

function readCompetitor(entry: unknown, where: string): Competitor {
  if (typeof entry === 'string') return { name: nameAt(entry, where), aliases: [] };
  if (!isMapping(entry)) throw new Error(`${where}: expected a name or { name, aliases }, got ${kindOf(entry)}`);
  refuseUnknown(entry, ['name', 'aliases'], `${where}.`);
  const aliases = listAt(entry.aliases, `${where}.aliases`, ALIASES_MAX).map((alias, at) => nameAt(alias, `${where}.aliases[${at}]`));
  return { name: nameAt(entry.name, `${where}.name`), aliases };
}

function nameAt(value: unknown, where: string): string {
  if (typeof value !== 'string') throw new Error(`${where}: expected a name, got ${kindOf(value)}`);
  const name = value.trim();
  if (!/[\p{L}\p{N}]/u.test(name) || name.length < 2) throw new Error(`${where}: expected a name of two characters or more, with a letter or a digit`);
  if (name.length > NAME_CHARS_MAX) throw new Error(`${where}: a name has at most ${NAME_CHARS_MAX} characters, this one ${name.length}`);
  return name;
}

function readTopic(entry: unknown, where: string): Topic {
  if (!isMapping(entry)) throw new Error(`${where}: expected { id, examples }, got ${kindOf(entry)}`);
  refuseUnknown(entry, ['id', 'examples'], `${where}.`);
  const { id } = entry;
  if (typeof id !== 'string' || !/^[^\s\p{C}]{1,64}$/u.test(id)) throw new Error(`${where}.id: expected text of up to 64 characters without spaces`);
  const examples = listAt(entry.examples, `${where}.examples`, EXAMPLES_MAX).map((example, at) => {
    if (typeof example !== 'string' || example.trim() === '') throw new Error(`${where}.examples[${at}]: expected text, got ${kindOf(example)}`);
    if (example.length > EXAMPLE_CHARS_MAX) throw new Error(`${where}.examples[${at}]: an example has at most ${EXAMPLE_CHARS_MAX} characters, this one ${example.length}`);
    return example;
  });
  if (examples.length === 0) throw new Error(`${where}.examples: missing; write some sentences as users write them, ten or more`);
  return { id, examples };
}

function listAt(value: unknown, where: string, countMax: number): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Error(`${where}: expected a list, got ${kindOf(value)}`);
  if (value.length > countMax) throw new Error(`${where}: at most ${countMax} entries, got ${value.length}`);
  return value;
}

function refuseTwice(ids: readonly string[], where: string): void {
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) throw new Error(`${where}: ${twice} stands there twice`);
}
