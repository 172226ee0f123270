/**
 * What a model is trained from, by kind: `texts` (categories of a text), `spans` (names in a text), `pairs` (an answer
 * and its sources). A plugin that has a model exports one recipe from `train/recipe.ts`. Types only.
 */
import type { EvidenceReader } from './pairs.ts';
import type { Signs } from './signs.ts';

export interface TrainingRow {
  readonly text: string;
  /** 0–1 by category. What is not there is not known. */
  readonly labels: Readonly<Record<string, number>>;
  readonly lang: string;
  readonly source: string;
  /** Trust in the labels; 1 is usual. */
  readonly weight: number;
}

export interface WeakLabel {
  readonly category: string;
  readonly label: number;
  readonly weight: number;
}

export interface RecipeHead {
  readonly category: string;
  /** How much the worst piece counts against the whole text (src/model/text-model.ts). */
  readonly pieces: number;
  /** How much the hashed features count against the steps; default 1. */
  readonly grams?: number;
  /** By class of the lexicon: added to the log-odds for each time the class makes up the whole text. */
  readonly densities?: Readonly<Record<string, number>>;
}

interface AnyRecipe {
  readonly id: string;
  readonly version: string;
  /** Folder of its rows in the data: `<task>/train`, `<task>/dev`. */
  readonly task: string;
  readonly languages: readonly string[];
}

export interface Recipe extends AnyRecipe {
  readonly kind: 'texts';
  readonly heads: readonly RecipeHead[];
  /** Buckets of the hashed features; a power of two. */
  readonly buckets: number;
  readonly epochs: number;
  readonly learningRate: number;
  /** What the plugin sees in a text that words do not say. */
  readonly signs?: Signs;
  /** The labels of a row as it stands in the data; default its own `labels`. Undefined leaves the row out. */
  labels?(row: Readonly<Record<string, unknown>>): TrainingRow['labels'] | undefined;
  /** The classes, and the hash and class of each entry in turn. */
  lexicon(dataFolder: string): Promise<{ readonly classes: readonly string[]; readonly entries: Int32Array }>;
  /** Labels for what the row does not say, by how often each class occurs in it. */
  weak(row: TrainingRow, counts: Readonly<Record<string, number>>): readonly WeakLabel[];
  /** Texts of the project's own. The folder is the data's, as the lexicon is given it. */
  written(random: () => number, dataFolder: string): readonly TrainingRow[] | Promise<readonly TrainingRow[]>;
  /** Trust in a row, where it is not the row's own. */
  trust?(row: TrainingRow, category: string): number;
  /** What people's verdicts say of the heads, by category of the taxonomy (`classifier.category`). Absent: it does not learn from verdicts. */
  readonly taught?: Readonly<Record<string, readonly string[]>>;
  /** Texts of the project's own that need no data, so that what was learnt stays while verdicts are learnt. */
  rehearsal?(random: () => number): readonly TrainingRow[];
}

export interface LabelledSpan {
  readonly type: string;
  /** `[start, end)`, UTF-16. */
  readonly start: number;
  readonly end: number;
}

export interface SpansRow {
  readonly text: string;
  readonly spans: readonly LabelledSpan[];
  readonly source: string;
  /** Trust in the spans; 1 is usual. */
  readonly weight: number;
}

/** What unlabelled text says of words, by their hashes. */
export interface WordFacts {
  /** How often each was read, and inside a sentence in small and in capital letters. */
  counts(): ReadonlyMap<number, { readonly seen: number; readonly lower: number; readonly capital: number }>;
  /** Which stand where it stands; from 1. */
  clusters(seed: number): ReadonlyMap<number, number>;
}

export interface SpansRecipe extends AnyRecipe {
  readonly kind: 'spans';
  /** Folders of rows besides `task`. */
  readonly moreTasks: readonly string[];
  /** What is told apart. A token is of a type where that is at least as likely as its floor. */
  readonly types: readonly { readonly type: string; readonly floor: number }[];
  /** Buckets of the hashed features; a power of two. */
  readonly buckets: number;
  readonly epochs: number;
  readonly learningRate: number;
  readonly restraint: number;
  /** Weights smaller than this are left out of the model. */
  readonly weightMin: number;
  /** The spans of a row as it stands in the data, by `types`. Undefined leaves the row out. */
  spans(row: Readonly<Record<string, unknown>>, task: string): readonly LabelledSpan[] | undefined;
  trust?(row: SpansRow): number;
  /** Folders whose texts say how words are written and what stands beside them; their labels are not read. */
  readonly unlabelled: readonly string[];
  /** Names of the classes of words, and the hash and value of each word in turn (src/model/word-table.ts). */
  words(statistics: WordFacts): Promise<{ readonly classes: readonly string[]; readonly entries: Int32Array }>;
  written(random: () => number): Promise<readonly SpansRow[]>;
  /** Other ways to write a row that is learnt from, such as all in lower case. */
  variants(row: SpansRow, random: () => number): readonly SpansRow[];
  /** How often the table is silent about a word of a row. */
  silence(row: SpansRow): number;
}

/** An answer, and the sources that it is held against. */
export interface PairRow {
  readonly context: string;
  readonly text: string;
  readonly source: string;
  /** 0 or 1 by category. What is not there is not known. */
  readonly labels: Readonly<Record<string, number>>;
}

export interface PairsRecipe extends AnyRecipe {
  readonly kind: 'pairs';
  readonly categories: readonly string[];
  readonly evidence: EvidenceReader;
  readonly boost: { readonly trees: number; readonly depth: number; readonly rate: number; readonly leafWeight: number; readonly ridge: number; readonly rows: number; readonly columns: number };
  /** The labels of a row as it stands in the data. */
  labels(row: Readonly<Record<string, unknown>>): PairRow['labels'];
  /** Rows of the project's own, made from the sources of others. */
  written(rows: readonly PairRow[], random: () => number): readonly PairRow[];
  /** Trust in a row for a category. */
  trust(row: PairRow, category: string): number;
}

/** A library of texts and what is near them (src/model/nearest.ts). */
export interface NearestRecipe extends AnyRecipe {
  readonly kind: 'nearest';
  readonly category: string;
  /** Length of a vector; a power of two. */
  readonly dimensions: number;
  /** The texts, all of the project's own. */
  library(random: () => number): readonly string[];
  /** Whether a row of the data is of the category. Undefined leaves it out. */
  label(row: Readonly<Record<string, unknown>>): 0 | 1 | undefined;
}
