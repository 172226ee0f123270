/**
 * What a text model is trained from: the rows, the lexicon, weak labels, the project's own written rows, and the shape
 * of the result. A plugin that has a model exports one from `train/recipe.ts`. Types only.
 */
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

export interface Recipe {
  readonly id: string;
  readonly version: string;
  /** Folder of its rows in the data: `<task>/train`, `<task>/dev`. */
  readonly task: string;
  readonly heads: readonly RecipeHead[];
  readonly languages: readonly string[];
  /** Buckets of the hashed features; a power of two. */
  readonly buckets: number;
  readonly epochs: number;
  readonly learningRate: number;
  /** The classes, and the hash and class of each entry in turn. */
  lexicon(dataFolder: string): Promise<{ readonly classes: readonly string[]; readonly entries: Int32Array }>;
  /** Labels for what the row does not say, by how often each class occurs in it. */
  weak(row: TrainingRow, counts: Readonly<Record<string, number>>): readonly WeakLabel[];
  written(random: () => number): readonly TrainingRow[];
  /** Trust in a row, where it is not the row's own. */
  trust?(row: TrainingRow, category: string): number;
}
