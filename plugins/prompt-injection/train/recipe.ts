/**
 * How the model of both plugins is made, prompt-injection and jailbreak: one head for attacks of any kind, and one for
 * each kind, learnt together from the labelled rows and from texts of the project's own. A row that is an attack of one
 * kind says nothing of the other kinds; a harmless one is harmless to all.
 */
import type { Recipe, TrainingRow } from '#model/recipe.ts';
import { ATTACK_SIGNS } from '../signs.ts';
import { hiddenTexts, mixedTexts, rudeTexts } from './rows.ts';
import { setupTexts } from './setups.ts';
import { writtenRows, type Kind } from './templates.ts';
import { CLASS_NAMES, classEntries } from './words.ts';

const HARMLESS: TrainingRow['labels'] = { attack: 0, injection: 0, indirect: 0, prompt_leak: 0, jailbreak: 0 };
const WRITTEN_LABELS: Readonly<Record<Kind, TrainingRow['labels']>> = {
  harmless: HARMLESS,
  injection: { attack: 1, injection: 1, prompt_leak: 0, jailbreak: 0 },
  prompt_leak: { attack: 1, injection: 1, prompt_leak: 1, jailbreak: 0 },
  indirect: { attack: 1, indirect: 1, prompt_leak: 0, jailbreak: 0 },
  jailbreak: { attack: 1, indirect: 0, prompt_leak: 0, jailbreak: 1 },
};
/** Harmless texts of those who build on a model. */
const SETUPS = 8_000;
/** Texts of each kind that are written, and as many harmless ones. */
const WRITTEN = 6_000;
const WRITTEN_WEIGHT = 1;
/** Of the same, while verdicts are learnt. */
const REHEARSED = 1_500;
const REHEARSED_SETUPS = 2_000;
/** Of texts made from rows. */
const MADE_WEIGHT = 0.5;
/** Attacks of few rows count more. */
const TRUST: Readonly<Record<string, number>> = { deepset: 4, 'in-the-wild': 2 };

export const recipe: Recipe = {
  kind: 'texts',
  id: 'prompt-injection',
  version: '1.1.0',
  task: 'injection',
  heads: [
    { category: 'attack', pieces: 0.5 },
    { category: 'injection', pieces: 0.5 },
    { category: 'indirect', pieces: 0.7 },
    { category: 'prompt_leak', pieces: 0.5 },
    { category: 'jailbreak', pieces: 0.2 },
  ],
  languages: ['en', 'de', 'es', 'fr'],
  buckets: 1 << 17,
  epochs: 3,
  learningRate: 0.3,
  signs: ATTACK_SIGNS,

  labels({ label, kind }) {
    if (label === 0) return HARMLESS;
    if (kind === 'injection') return { attack: 1, injection: 1 };
    // Many of these ask for something harmless in a place where nothing should be asked.
    return kind === 'indirect' ? { indirect: 1 } : { attack: 1, jailbreak: 1 };
  },
  trust: ({ source, labels, weight }) => weight * (labels['attack'] === 1 ? TRUST[source] ?? 1 : 1),

  taught: {
    'prompt-injection.injection': ['attack', 'injection'],
    'prompt-injection.indirect': ['attack', 'indirect'],
    'prompt-injection.prompt_leak': ['attack', 'injection', 'prompt_leak'],
    'jailbreak.jailbreak': ['attack', 'jailbreak'],
  },
  rehearsal: (random) => [
    ...writtenRows(REHEARSED, random, WRITTEN_WEIGHT, (kind) => WRITTEN_LABELS[kind]),
    ...setupTexts(REHEARSED_SETUPS, random).map((text) => ({ text, labels: HARMLESS, lang: 'en', source: 'setups', weight: WRITTEN_WEIGHT })),
  ],

  lexicon: async () => ({ classes: CLASS_NAMES, entries: classEntries() }),
  weak: () => [],
  async written(random, dataFolder) {
    const row = (text: string, labels: TrainingRow['labels'], source: string): TrainingRow => ({ text, labels, lang: 'en', source, weight: MADE_WEIGHT });
    return [
      ...writtenRows(WRITTEN, random, WRITTEN_WEIGHT, (kind) => WRITTEN_LABELS[kind]),
      ...setupTexts(SETUPS, random).map((text) => ({ ...row(text, HARMLESS, 'setups'), weight: WRITTEN_WEIGHT })),
      ...(await mixedTexts(dataFolder, random)).map(({ text, kind }) => row(text, kind === 'harmless' ? HARMLESS : { attack: 1, [kind]: 1 }, 'mixed')),
      ...(await rudeTexts(dataFolder)).map((text) => row(text, HARMLESS, 'rude')),
      ...(await hiddenTexts(dataFolder)).map((text) => row(text, { indirect: 1 }, 'hidden')),
    ];
  },
};
