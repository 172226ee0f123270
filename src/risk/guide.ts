/**
 * A category of the taxonomy as a person types it: by its number in the guide, its id, its name, or any part of them that
 * fits one alone. Pure.
 */
import type { Taxonomy, TaxonomyCategory } from '../config/taxonomy.ts';

/** Told of those that a word fits. */
const TOLD = 6;

/** Or what is wrong, with what it could mean. */
export function categoryNamed({ categories }: Taxonomy, typed: string): TaxonomyCategory | string {
  const word = typed.trim().toLowerCase();
  if (word === '') return 'a violation has a category';
  const at = /^\d{1,3}$/.test(word) ? categories[Number(word) - 1] : undefined;
  const exact = at ?? categories.find(({ id }) => id.toLowerCase() === word) ?? oneOf(categories.filter(({ id, name }) => name.toLowerCase() === word || id.slice(id.indexOf('.') + 1).toLowerCase() === word));
  if (exact !== undefined) return exact;
  const fitting = categories.filter(({ id, name }) => id.toLowerCase().includes(word) || name.toLowerCase().includes(word));
  if (fitting.length === 1) return fitting[0]!;
  return fitting.length === 0 ? 'no category of the guide is called so' : `${fitting.length} categories fit: ${fitting.slice(0, TOLD).map(({ id }) => `${categories.findIndex((one) => one.id === id) + 1} ${id}`).join(', ')}${fitting.length > TOLD ? ', …' : ''}`;
}

function oneOf<T>(found: readonly T[]): T | undefined {
  return found.length === 1 ? found[0] : undefined;
}
