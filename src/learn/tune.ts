/**
 * Teaches a text model what people decided, and keeps what it knew: it begins from the weights of a model that works;
 * beside the labelled rows it sees texts of the project's own, and is to say of them what the model said before; and
 * every weight is drawn back to where it was. Biases, steps of the bytes and the calibration stay, so that scores mean
 * what they meant, and a weight that nothing spoke to is the same byte. Same model, rows and seed: the same bytes. Pure.
 */
import { Features } from '../model/features.ts';
import { Lexicon } from '../model/lexicon.ts';
import { STEP_VALUE } from '../model/linear.ts';
import type { Recipe, TrainingRow } from '../model/recipe.ts';
import { NO_SIGNS } from '../model/signs.ts';
import { shareOf, TextModel } from '../model/text-model.ts';
import { randomOf } from './measure.ts';
import type { Progress } from './task.ts';
import { readTexts, shuffle, type ReadTexts } from './train.ts';

/** Labelled rows of one tuning. */
export const TUNING_ROWS_MAX = 100_000;

const EPOCHS = 8;
const RATE = 0.08;
/** Squared slopes that every weight begins with: the first rows do not jump. */
const SQUARES_FIRST = 1e-2;
/** So much of how far a weight has gone is added to its slope. */
const PULL = 2e-3;
/** What a row is not labelled for it is to keep, with this trust. */
const KEEP = 0.5;
/** A positive counts at most so many times a negative, however rare it is. */
const BALANCE_MAX = 5;
/** What is learnt no better is not learnt again. */
const ERROR_MIN = 1e-3;
const LIMIT = 127;

export interface Tuning {
  readonly recipe: Recipe;
  readonly base: TextModel;
  /** Labels by head. */
  readonly rows: readonly TrainingRow[];
  readonly seed: number;
  readonly progress: Progress;
}

/** Throws RangeError for a recipe that rehearses nothing, and for rows that are none or too many. */
export function tuneModel({ recipe, base, rows, seed, progress }: Tuning): TextModel {
  if (recipe.rehearsal === undefined) throw new RangeError(`${recipe.id} has nothing to rehearse, so it would forget what it knows; train it from rows with --data`);
  if (rows.length === 0) throw new RangeError(`no row says anything of the categories of ${recipe.id}; collect verdicts with these categories first`);
  if (rows.length > TUNING_ROWS_MAX) throw new RangeError(`tuning takes at most ${TUNING_ROWS_MAX} rows, these are ${rows.length}; train the model from rows with --data`);
  const random = randomOf(seed);
  const rehearsed = recipe.rehearsal(random);
  const lesson = readLesson(base, recipe, rows, rehearsed, progress);
  const matrix = new TuningMatrix(base, lesson);
  const order = Int32Array.from({ length: lesson.texts.count }, (_, at) => at);
  for (let epoch = 0; epoch < EPOCHS; epoch += 1) {
    shuffle(order, random);
    for (const [turn, row] of order.entries()) {
      if ((turn & 1023) === 0) progress('learn', epoch * order.length + turn, EPOCHS * order.length);
      matrix.learn(row, RATE * (1 - (0.9 * epoch) / EPOCHS));
    }
  }
  progress('learn', 1, 1);
  return new TextModel({ ...base.parts, weights: { ...base.parts.weights, rows: matrix.bytes() } }, recipe.signs);
}

/** All texts, labelled ones first, and for each what is to be said of it: by category a probability, and how much it counts. */
interface Lesson {
  readonly texts: ReadTexts;
  readonly targets: Float64Array;
  readonly trust: Float64Array;
  /** Log-odds of the model that works, as it says them. */
  readonly logits: Float64Array;
}

function readLesson(base: TextModel, recipe: Recipe, rows: readonly TrainingRow[], rehearsed: readonly TrainingRow[], progress: Progress): Lesson {
  const { heads, buckets, classes, lexicon } = base.parts;
  const all = [...rows, ...rehearsed];
  const columns = heads.length;
  const [targets, trust, logits] = [0, 1, 2].map(() => new Float64Array(all.length * columns)) as [Float64Array, Float64Array, Float64Array];
  const balance = balanceOf(rows, heads.map(({ category }) => category));
  for (const [at, { text, labels, weight }] of all.entries()) {
    if ((at & 1023) === 0) progress('read', at, all.length);
    for (const [column, logit] of base.logits(text).entries()) {
      const cell = at * columns + column;
      const { category, calibration: { slope, intercept } } = heads[column]!;
      const label = at < rows.length ? labels[category] : undefined;
      logits[cell] = logit;
      targets[cell] = label ?? chanceOf(slope * logit + intercept);
      trust[cell] = label === undefined ? (at < rows.length ? KEEP * weight : 1) : weight * (label > 0.5 ? balance[column]! : 1);
    }
  }
  progress('read', all.length, all.length);
  const texts = readTexts(all.map(({ text }) => text), new Features(buckets, new Lexicon(classes, lexicon)), classes.length, recipe.signs ?? NO_SIGNS, () => undefined);
  return { texts, targets, trust, logits };
}

/** The root of how many negatives there are for each positive. */
function balanceOf(rows: readonly TrainingRow[], categories: readonly string[]): readonly number[] {
  return categories.map((category) => {
    const known = rows.filter(({ labels }) => labels[category] !== undefined);
    const positive = known.reduce((sum, { labels, weight }) => sum + labels[category]! * weight, 0);
    const all = known.reduce((sum, { weight }) => sum + weight, 0);
    return positive === 0 ? 1 : Math.min(BALANCE_MAX, Math.max(1, Math.sqrt((all - positive) / positive)));
  });
}

/** Weights on their way from where they were, in the steps of the bytes that they will be. */
class TuningMatrix {
  readonly #base: TextModel;
  readonly #lesson: Lesson;
  readonly #moved: Float32Array;
  readonly #squares: Float32Array;
  /** By part of a text (n-grams, frames, steps and signs): what one of its features counts. */
  readonly #values = [0, 0, STEP_VALUE];
  /** How far the log-odds of the row have moved, then the slopes. */
  readonly #sums: Float64Array;

  constructor(base: TextModel, lesson: Lesson) {
    this.#base = base;
    this.#lesson = lesson;
    this.#moved = new Float32Array(base.parts.weights.rows.length);
    this.#squares = new Float32Array(base.parts.weights.rows.length).fill(SQUARES_FIRST);
    this.#sums = new Float64Array(base.parts.heads.length);
  }

  learn(row: number, rate: number): void {
    const { from } = this.#lesson.texts;
    this.#values[0] = shareOf(from[3 * row + 1]! - from[3 * row]!);
    this.#values[1] = shareOf(from[3 * row + 2]! - from[3 * row + 1]!);
    this.#add(row);
    if (this.#judge(row)) this.#move(row, rate);
  }

  #add(row: number): void {
    const { features, from } = this.#lesson.texts;
    const sums = this.#sums, moved = this.#moved, { heads } = this.#base.parts;
    const columns = heads.length;
    sums.fill(0);
    for (let part = 0; part < 3; part += 1) {
      const value = this.#values[part]!;
      for (let column = 0; column < columns; column += 1) {
        let sum = 0;
        for (let at = from[3 * row + part]!; at < from[3 * row + part + 1]!; at += 1) sum += moved[features[at]! * columns + column]!;
        sums[column]! += sum * value * (part === 0 ? heads[column]!.grams : 1);
      }
    }
  }

  /** Turns sums into slopes. False where all is right. */
  #judge(row: number): boolean {
    const { targets, trust, logits } = this.#lesson;
    const { heads } = this.#base.parts;
    let wrong = false;
    for (const [column, { calibration: { slope, intercept } }] of heads.entries()) {
      const cell = row * heads.length + column;
      const error = (chanceOf(slope * (logits[cell]! + this.#sums[column]!) + intercept) - targets[cell]!) * trust[cell]!;
      this.#sums[column] = Math.abs(error) < ERROR_MIN ? 0 : error * slope;
      wrong ||= this.#sums[column] !== 0;
    }
    return wrong;
  }

  #move(row: number, rate: number): void {
    const { features, from } = this.#lesson.texts;
    const slopes = this.#sums, moved = this.#moved, squares = this.#squares, { heads } = this.#base.parts;
    const columns = heads.length;
    for (let part = 0; part < 3; part += 1) for (let at = from[3 * row + part]!; at < from[3 * row + part + 1]!; at += 1) {
      const first = features[at]! * columns;
      for (let column = 0; column < columns; column += 1) {
        if (slopes[column] === 0) continue;
        const cell = first + column;
        const slope = slopes[column]! * this.#values[part]! * (part === 0 ? heads[column]!.grams : 1) + PULL * moved[cell]!;
        squares[cell]! += slope * slope;
        moved[cell]! -= (rate * slope) / Math.sqrt(squares[cell]!);
      }
    }
  }

  bytes(): Int8Array {
    const { rows, scales, columns } = this.#base.parts.weights;
    return Int8Array.from(rows, (byte, cell) => Math.max(-LIMIT, Math.min(LIMIT, Math.round(byte + this.#moved[cell]! / scales[cell % columns]!))));
  }
}

function chanceOf(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
