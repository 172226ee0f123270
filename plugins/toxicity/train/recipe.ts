/**
 * How the toxicity model is made: nine categories learnt together, from the labelled rows, from weak labels by the words
 * of a row where it has none, and from texts of the project's own. The lexicon is a public list of profanity, read from
 * the data and kept as hashes, and lists of our own in lexicon.json, of which those that nobody wants to read are hashes.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { phraseHash } from '#model/features.ts';
import type { Recipe, WeakLabel } from '#model/recipe.ts';
import { writtenRows, type ListedTerms, type WrittenCounts } from './templates.ts';

/** Words of one class: in clear, `|` joining those of a phrase, or as hashes. */
type Words = string | readonly number[];

/** Classes of the public list by its own. What is not named there is an insult. */
const LISTED: Readonly<Record<string, string>> = {
  'sexual anatomy / sexual acts': 'sexual', 'racial / ethnic slurs': 'slur', 'religious offense': 'slur', 'sexual orientation / gender': 'orientation', 'bodily fluids / excrement': 'fluids',
};
const LISTED_CLASSES = ['sexual', 'slur', 'orientation', 'fluids', 'insult'];
const SLUR_LISTS: ReadonlySet<string> = new Set(['racial / ethnic slurs', 'sexual orientation / gender']);
const SLUR_SEVERITY_MIN = 2.2;
const PHRASE_WORDS_MAX = 3;
const TERM_CHARS_MIN = 3;

const WEAK = 0.5;
const WEAK_NEGATIVE = 0.25;
const WEAK_SEXUAL = 1.5;
const SHORT_CHARS = 150;
/** Texts of the project's own while verdicts are learnt. */
const REHEARSED: WrittenCounts = { hate: 4_000, selfHarm: 1_000, everyday: 2_500, posts: 2_000, tongue: 500 };

export const recipe: Recipe = {
  kind: 'texts',
  id: 'toxicity',
  version: '2.1.0',
  task: 'toxicity',
  heads: [
    { category: 'toxic', pieces: 0.3 },
    { category: 'hate', pieces: 0.7, densities: { slur: 140, orientation: 70 } },
    { category: 'harassment', pieces: 0.3, grams: 0.8 },
    { category: 'threat', pieces: 0.3 },
    { category: 'sexual', pieces: 0.7, grams: 0.6, densities: { sexual: 280, romance: 280 } },
    { category: 'violence', pieces: 0.6 },
    { category: 'self_harm', pieces: 0, densities: { self_harm: 120, distress: 60, first: 30 } },
    { category: 'illicit', pieces: 0.3 },
    { category: 'profanity', pieces: 0.5 },
  ],
  languages: ['en', 'de', 'pt', 'fr', 'zh'],
  buckets: 1 << 18,
  epochs: 2,
  learningRate: 0.15,

  // The Chinese rows are about race, region and sex, and say only whether they offend.
  labels(row) {
    const labels = row['labels'] as Readonly<Record<string, number>>;
    return row['source'] === 'coldataset' ? { ...labels, hate: labels['toxic'], harassment: labels['toxic'] } : labels;
  },

  async lexicon(dataFolder) {
    const own = JSON.parse(await readFile(join(import.meta.dirname, 'lexicon.json'), 'utf8')) as Readonly<Record<string, Words>>;
    const classes = [...LISTED_CLASSES, ...Object.keys(own)];
    const listed = (await listedTerms(dataFolder)).flatMap(({ term, category }) => [phraseHash(term), classes.indexOf(LISTED[category] ?? 'insult')]);
    const ours = Object.entries(own).flatMap(([name, words]) => hashesOf(words).flatMap((hash) => [hash, classes.indexOf(name)]));
    return { classes, entries: Int32Array.from([...listed, ...ours]) };
  },

  weak({ text, lang, labels }, counts) {
    if (lang !== 'en') return [];
    const found: WeakLabel[] = [];
    const say = (category: string, yes: boolean, no: boolean, weight = WEAK): void => {
      if (labels[category] !== undefined || (!yes && !no)) return;
      found.push({ category, label: yes ? 1 : 0, weight: yes ? weight : (weight * WEAK_NEGATIVE) / WEAK });
    };
    const short = text.length < SHORT_CHARS;
    const { sexual, romance, violence, gore, weapon, self_harm: selfHarm, distress, illicit } = counts;
    const [erotic, violent] = [2 * sexual + romance, violence + gore + weapon];
    say('sexual', erotic >= 4 || (erotic >= 2 && short && sexual > 0), erotic === 0, WEAK_SEXUAL);
    say('violence', violent >= 3 || (violent >= 2 && short), violent === 0);
    say('self_harm', selfHarm > 0, selfHarm + distress === 0);
    say('illicit', false, illicit === 0);
    return found;
  },

  // Weaker where the label is narrow: posts about self-harm that are not labelled so, rude posts that are not labelled hate.
  trust({ source, labels, weight }, category) {
    if (category === 'self_harm' && source === 'cssrs-reddit500' && labels.self_harm === 0) return 0.3;
    if (category === 'hate' && source === 'davidson' && labels.hate === 0) return 0.4;
    return weight;
  },

  taught: {
    'toxicity.harassment': ['toxic', 'harassment'], 'toxicity.harassment/threatening': ['toxic', 'harassment', 'threat'],
    'toxicity.hate': ['toxic', 'hate'], 'toxicity.hate/threatening': ['toxic', 'hate', 'threat'],
    'toxicity.illicit': ['illicit'], 'toxicity.illicit/violent': ['illicit', 'violence'],
    'toxicity.self-harm': ['self_harm'], 'toxicity.self-harm/intent': ['self_harm'], 'toxicity.self-harm/instructions': ['self_harm'],
    'toxicity.sexual': ['sexual'], 'toxicity.sexual/minors': ['sexual'],
    'toxicity.violence': ['violence'], 'toxicity.violence/graphic': ['violence'], 'toxicity.profanity': ['profanity'],
  },
  rehearsal: (random) => writtenRows(random, undefined, REHEARSED),

  written: async (random, dataFolder) => writtenRows(random, termsOf(await listedTerms(dataFolder))),
};

/** An apostrophe parts words, as the features read it. */
function hashesOf(words: Words): readonly number[] {
  if (typeof words !== 'string') return words;
  return words.split(' ').map((phrase) => phraseHash(phrase.replaceAll(/['|]/g, ' ').split(' ').slice(0, PHRASE_WORDS_MAX).join(' ')));
}

interface Listed {
  readonly term: string;
  readonly category: string;
  readonly severity: number;
}

async function listedTerms(dataFolder: string): Promise<readonly Listed[]> {
  return (await readFile(join(dataFolder, 'lexicon/profanity_en.csv'), 'utf8')).split('\n').slice(1).flatMap((line): Listed[] => {
    const [term, , , , category, , , severity] = line.split(',');
    const words = term.toLowerCase().replaceAll(/['"]/g, '').split(/\s+/);
    if (category === undefined || term.length < TERM_CHARS_MIN || words.length > PHRASE_WORDS_MAX) return [];
    return [{ term: words.join(' '), category, severity: Number(severity) }];
  });
}

/** Single words for people for what they are, so far as the list calls them strong. */
function termsOf(listed: readonly Listed[]): ListedTerms {
  const slurs = listed.filter(({ term, category, severity }) => SLUR_LISTS.has(category) && severity >= SLUR_SEVERITY_MIN && /^[a-z]+$/.test(term));
  return { slurs: slurs.map(({ term }) => term) };
}
