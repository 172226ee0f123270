/**
 * How the library of jailbreaks is made: texts of the project's own, assembled from its parts, so many of each kind. The
 * linear model beside it is that of prompt-injection.
 */
import type { NearestRecipe } from '#model/recipe.ts';
import { writerOf } from '../../prompt-injection/train/grammar.ts';
import { JAILBREAKS } from './attacks.ts';

/** So many texts are assembled after each plan. */
const EACH = 8;

export const recipe: NearestRecipe = {
  kind: 'nearest',
  id: 'jailbreak',
  version: '1.0.0',
  task: 'injection',
  category: 'jailbreak',
  languages: ['en'],
  dimensions: 512,

  library(random) {
    const { write } = writerOf(JAILBREAKS, random);
    return JAILBREAKS['long']!.flatMap((plan) => Array.from({ length: EACH }, () => write(plan)));
  },

  label({ label, kind }) {
    if (label === 0) return 0;
    return kind === 'jailbreak' ? 1 : undefined;
  },
};
