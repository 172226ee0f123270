/**
 * How the grounding model is made: `unsupported` from answers that people judged, `contradicted` from sentences of their
 * sources that were changed in a way that is known (written.ts) and from documents of our own (facts.ts), because nobody
 * labelled that.
 */
import type { PairRow, PairsRecipe } from '#model/recipe.ts';
import { evidence } from '../reader.ts';
import { factPairs } from './facts.ts';
import { writtenPairs } from './written.ts';

/** For so many rows one document of the project's own, with six claims. */
const ROWS_PER_DOCUMENT = 8;
/** About what is merely unsupported people say more. */
const FACTS_TRUST = 0.15;

/** Of these the length of an answer gives the label away: they count less. */
const TELLTALE = 'halueval-qa';
const TELLTALE_TRUST = 0.15;

export const recipe: PairsRecipe = {
  kind: 'pairs',
  id: 'grounding',
  version: '1.0.0',
  task: 'grounding',
  categories: ['unsupported', 'contradicted'],
  languages: ['en'],
  evidence,
  boost: { trees: 200, depth: 3, rate: 0.06, leafWeight: 4, ridge: 2, rows: 0.7, columns: 0.4 },
  labels: ({ grounded }): PairRow['labels'] => (grounded === 1 ? { unsupported: 0, contradicted: 0 } : { unsupported: 1 - Number(grounded) }),
  written: (rows, random) => [...writtenPairs(rows, random), ...writtenPairs(rows, random), ...factPairs(random, Math.ceil(rows.length / ROWS_PER_DOCUMENT))],
  trust({ source }, category) {
    if (source.startsWith('written ')) return category === 'contradicted' ? 0.5 : 0;
    if (source.startsWith('facts ')) return category === 'contradicted' ? 1 : FACTS_TRUST;
    return source === TELLTALE ? TELLTALE_TRUST : 1;
  },
};
