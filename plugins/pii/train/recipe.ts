/**
 * How the tagger of names, places and addresses is made: labelled rows of two kinds (tweets, encyclopedia and filings;
 * synthetic text with personal data), and texts of the project's own in seven languages. Organisations are told apart as
 * a help and not reported. What is known of single words comes from made-up identities and from unlabelled text.
 */
import type { LabelledSpan, SpansRecipe, SpansRow } from '#model/recipe.ts';

const LABELS: Readonly<Record<string, string>> = { PERSON: 'PERSON', ADDRESS: 'ADDRESS', STREET_ADDRESS: 'ADDRESS', LOCATION: 'LOCATION', ORGANIZATION: 'ORGANIZATION' };

export const recipe: SpansRecipe = {
  kind: 'spans',
  id: 'pii',
  version: '1.0.0',
  task: 'pii',
  moreTasks: ['names'],
  languages: ['en', 'de', 'fr', 'es', 'it', 'pt', 'nl'],
  types: [{ type: 'PERSON', floor: 0.25 }, { type: 'ADDRESS', floor: 0.35 }, { type: 'LOCATION', floor: 0.4 }, { type: 'ORGANIZATION', floor: 0.5 }],
  buckets: 1 << 18,
  epochs: 6,
  learningRate: 0.12,
  restraint: 1e-4,
  weightMin: 0.03,
  unlabelled: ['toxicity', 'injection', 'grounding', 'names'],

  spans({ text, spans }) {
    if (typeof text !== 'string' || !Array.isArray(spans)) return undefined;
    return (spans as readonly { readonly start: number; readonly end: number; readonly label: string }[]).flatMap(({ start, end, label }): LabelledSpan[] => {
      // An account's name behind @ is no name that somebody said.
      return LABELS[label] === undefined || /@\s?$/.test(text.slice(Math.max(0, start - 2), start)) ? [] : [{ type: LABELS[label], start, end }];
    });
  },

  trust({ source }) {
    return source === 'sec-filings' ? 0 : 1;
  },

  async words(statistics) {
    const { CLASSES, wordEntries } = await import('./words.ts');
    return { classes: CLASSES, entries: wordEntries(statistics.counts(), statistics.clusters(1)) };
  },

  async written(random) {
    const { writtenRows } = await import('./written.ts');
    return writtenRows(random, { english: 18_000, abroad: 1_200 });
  },

  variants(row, random) {
    const draw = random();
    if (draw < 0.16) return [rewritten(row, row.text.toLowerCase())];
    return draw < 0.19 ? [rewritten(row, row.text.toUpperCase())] : [];
  },

  silence: ({ source }) => (source.startsWith('written') ? 0.3 : 0.1),
};

/** Where a change of case would move the spans, the row stays as it is. */
function rewritten(row: SpansRow, text: string): SpansRow {
  return text.length === row.text.length ? { ...row, text, weight: row.weight * 0.5 } : { ...row, weight: 0 };
}
