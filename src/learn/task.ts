/**
 * What `weir learn` can do with a recipe: train a model, measure one. There is one task for each kind of recipe (a text
 * and its categories, spans in a text, an answer and its sources); each says in its own words how good a model is.
 */
import type { NearestRecipe, Recipe, SpansRecipe, PairsRecipe } from '../model/recipe.ts';

/** `done` of `all`, of a step that has a name. */
export type Progress = (step: string, done: number, all: number) => void;

export interface TrainOptions {
  /** Folder that holds `<task>/<part>.jsonl` or `.jsonl.gz`. */
  readonly data: string;
  readonly seed: number;
  readonly progress: Progress;
}

export interface Trained {
  /** The model file. */
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly calibratedOn: number;
}

export interface EvaluateOptions {
  readonly data: string;
  readonly part: string;
  /** The model file. */
  readonly model: Uint8Array;
  /** Target false-positive rate of the thresholds. */
  readonly rate: number;
  readonly seed: number;
  readonly progress: Progress;
}

export interface Evaluation {
  /** For people at a terminal. */
  readonly table: string;
  readonly json: Readonly<Record<string, unknown>>;
  /** One page with the curves. */
  readonly html: string;
}

export interface LearningTask<R extends NearestRecipe | Recipe | SpansRecipe | PairsRecipe> {
  train(recipe: R, options: TrainOptions): Promise<Trained>;
  evaluate(recipe: R, options: EvaluateOptions): Promise<Evaluation>;
}
