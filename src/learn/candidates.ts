/**
 * Makes a candidate out of a version of the data set and a model that works, and says at once what it is worth: on rows
 * that were held out, and on texts of the project's own that it did not rehearse, where the truth is known and nobody's
 * verdict counts. So verdicts that are wrong all in one way are seen where they cost something. Writes nothing.
 */
import { createHash } from 'node:crypto';
import type { Recipe, TrainingRow } from '../model/recipe.ts';
import { readModel, writeModel, type TextModel } from '../model/text-model.ts';
import type { Candidate, CandidateCategory } from './candidate.ts';
import { compareModels, type ComparedCategory } from './compare.ts';
import { randomOf } from './measure.ts';
import { headLabels } from './labels.ts';
import { rowsFor, type TextRow } from './rows.ts';
import type { Progress } from './task.ts';
import { tuneModel } from './tune.ts';

/** From which score a text counts as found, where nobody says otherwise. */
export const THRESHOLD = 0.5;
/** The model is sure of what it scores so high. */
const SURE = 0.9;
/** Rows of the project's own that are compared. */
const REGRESSION_ROWS_MAX = 4_000;
/** Texts that are not rehearsed come of another seed. */
const OTHER_SEED = 0x5eed;

export interface CandidateInput {
  readonly plugin: string;
  readonly recipe: Recipe;
  /** The model file that works. */
  readonly base: Uint8Array;
  readonly dataset: string;
  readonly rows: readonly TextRow[];
  readonly seed: number;
  readonly trainedAt: string;
  readonly progress: Progress;
}

/** Of what the model was sure that it is a violation, how much somebody called safe. */
export interface Contradiction {
  readonly person: string;
  readonly sure: number;
  readonly called_safe: number;
}

export interface TrainedCandidate extends Candidate {
  readonly trained_on: number;
  readonly held_out: number;
  /** On texts of the project's own. */
  readonly regression: readonly CandidateCategory[];
  readonly contradictions: readonly Contradiction[];
}

/** Throws RangeError where the rows teach the recipe nothing, or it does not learn from verdicts. */
export function trainCandidate({ plugin, recipe, base: baseFile, dataset, rows, seed, trainedAt, progress }: CandidateInput): TrainedCandidate {
  const base = readModel(baseFile, recipe.signs);
  const taught = taughtOf(recipe);
  const { languages } = base.parts;
  const [learnt, heldOut] = [rowsFor(rows, 'train', taught, languages), rowsFor(rows, 'held_out', taught, languages)];
  if (learnt.length === 0 && heldOut.length > 0) throw new RangeError(`all rows that say anything of the categories of ${recipe.id} are held out to measure by, ${heldOut.length} of them, since they are few or much alike; collect more, and more different ones`);
  const model = tuneModel({ recipe, base, rows: learnt, seed, progress });
  const bytes = writeModel(model.parts);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    plugin, model_id: `${plugin}-${sha256.slice(0, 12)}`, sha256, bytes, base_sha256: createHash('sha256').update(baseFile).digest('hex'), dataset, seed, trained_at: trainedAt,
    trained_on: learnt.length, held_out: heldOut.length,
    evaluation: plain(compareModels(base, model, heldOut, { threshold: THRESHOLD, seed, progress })),
    regression: plain(compareModels(base, model, regressionRows(recipe, seed), { threshold: THRESHOLD, seed, progress })),
    contradictions: contradictionsOf(base, rows, taught),
  };
}

export function taughtOf(recipe: Recipe): NonNullable<Recipe['taught']> {
  if (recipe.taught === undefined) throw new RangeError(`${recipe.id} does not learn from verdicts; train it from rows with --data`);
  return recipe.taught;
}

/** Of the recipe's own texts, so many, other ones than are rehearsed. */
export function regressionRows(recipe: Recipe, seed: number): readonly TrainingRow[] {
  const random = randomOf(seed ^ OTHER_SEED);
  const rows = recipe.rehearsal?.(random) ?? [];
  return rows.length <= REGRESSION_ROWS_MAX ? rows : rows.filter(() => random() < REGRESSION_ROWS_MAX / rows.length);
}

export function plain(compared: readonly ComparedCategory[]): readonly CandidateCategory[] {
  return compared.map(({ views: _, judged: __, ...category }) => category);
}

function contradictionsOf(base: TextModel, rows: readonly TextRow[], taught: NonNullable<Recipe['taught']>): readonly Contradiction[] {
  const people = new Map<string, { sure: number; called_safe: number }>();
  for (const { text, labels, people: who } of rows) {
    const found = headLabels(labels, taught);
    const scores = base.scores(text);
    const sure = base.parts.heads.filter(({ category }, head) => found?.[category] !== undefined && scores[head]! >= SURE);
    if (sure.length === 0) continue;
    const isSafe = sure.some(({ category }) => found![category] === 0);
    for (const id of who) {
      const counted = people.get(id) ?? { sure: 0, called_safe: 0 };
      people.set(id, { sure: counted.sure + 1, called_safe: counted.called_safe + (isSafe ? 1 : 0) });
    }
  }
  return [...people].map(([person, counted]) => ({ person, ...counted })).sort((a, b) => b.called_safe - a.called_safe || (a.person < b.person ? -1 : 1));
}
