/**
 * Trains a text model by its recipe: logistic regression for all categories at once over hashed features, by AdaGrad, in
 * an order that follows from the seed. A row teaches only the categories that it is labelled for. Same data, recipe
 * and seed: the same bytes. The weights are sums over many rows; no row can be read from them.
 */
import { Features, stepRows } from '../model/features.ts';
import { bounded, fitted, type Calibration } from '../model/calibration.ts';
import { Lexicon } from '../model/lexicon.ts';
import { quantised, STEP_VALUE } from '../model/linear.ts';
import type { Recipe, TrainingRow } from '../model/recipe.ts';
import { TextModel, type Head } from '../model/text-model.ts';
import { randomOf } from './measure.ts';

/** Rows of one training. */
export const TRAINING_ROWS_MAX = 2_000_000;
/** A positive counts at most so many times a negative, however rare it is. */
const BALANCE_MAX = 20;
/** What is learnt no better is not learnt again: keeps the weights of easy rows small. */
const ERROR_MIN = 1e-3;

export interface Training {
  readonly recipe: Recipe;
  readonly train: readonly TrainingRow[];
  /** For calibration only. */
  readonly dev: readonly TrainingRow[];
  readonly dataFolder: string;
  readonly seed: number;
  /** `done` of `all`, of a step that has a name. */
  readonly progress: (step: string, done: number, all: number) => void;
}

export async function trainModel(training: Training): Promise<TextModel> {
  const { recipe, dataFolder, seed } = training;
  const { classes, entries } = await recipe.lexicon(dataFolder);
  const random = randomOf(seed);
  const rows = [...training.train.filter(({ lang }) => recipe.languages.includes(lang)), ...recipe.written(random)];
  if (rows.length > TRAINING_ROWS_MAX) throw new Error(`training has at most ${TRAINING_ROWS_MAX} rows, this one ${rows.length}; give fewer`);
  const read = readAll(rows, new Features(recipe.buckets, new Lexicon(classes, entries)), classes, training);
  const { weights, biases } = descend(read, stepRows(classes.length), random, training);
  const parts = { id: recipe.id, version: recipe.version, languages: recipe.languages, buckets: recipe.buckets, classes, lexicon: entries, weights: quantised(weights, biases) };
  const head = ({ category, pieces, grams = 1, densities = {} }: Recipe['heads'][number]): Head => ({ category, pieces, grams, densities: classes.map((name) => densities[name] ?? 0), calibration: { slope: 1, intercept: 0 } });
  const raw = new TextModel({ ...parts, heads: recipe.heads.map(head) });
  return new TextModel({ ...parts, heads: calibratedHeads(raw, training) });
}

/** All rows as features, and for each what it says of each category: its label (-1 for nothing) and its weight. */
interface ReadRows {
  readonly count: number;
  readonly hashed: Int32Array;
  readonly hashedFrom: Float64Array;
  readonly steps: Int16Array;
  readonly stepsFrom: Float64Array;
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

function readAll(rows: readonly TrainingRow[], features: Features, classes: readonly string[], { recipe, progress }: Training): ReadRows {
  const columns = recipe.heads.length;
  let hashed = new Int32Array(1 << 20), steps = new Int16Array(1 << 18);
  const [hashedFrom, stepsFrom] = [new Float64Array(rows.length + 1), new Float64Array(rows.length + 1)];
  const labels = new Float32Array(rows.length * columns).fill(-1);
  const weights = new Float32Array(rows.length * columns);
  for (const [at, row] of rows.entries()) {
    features.read(row.text);
    const [h, s] = [hashedFrom[at], stepsFrom[at]];
    if (h + features.hashedCount > hashed.length) hashed = grown(hashed, Int32Array, h + features.hashedCount);
    if (s + features.stepCount > steps.length) steps = grown(steps, Int16Array, s + features.stepCount);
    hashed.set(features.hashed.subarray(0, features.hashedCount), h);
    steps.set(features.steps.subarray(0, features.stepCount), s);
    hashedFrom[at + 1] = h + features.hashedCount;
    stepsFrom[at + 1] = s + features.stepCount;
    const counts = Object.fromEntries(classes.map((name, one) => [name, features.count(one)]));
    const weak = recipe.weak(row, counts);
    for (const [column, { category }] of recipe.heads.entries()) {
      const known = row.labels[category];
      const guess = weak.find((label) => label.category === category);
      if (known === undefined && guess === undefined) continue;
      labels[at * columns + column] = known ?? guess!.label;
      weights[at * columns + column] = known === undefined ? guess!.weight * row.weight : recipe.trust?.(row, category) ?? row.weight;
    }
    if ((at & 1023) === 0) progress('read', at, rows.length);
  }
  progress('read', rows.length, rows.length);
  return { count: rows.length, hashed, hashedFrom, steps, stepsFrom, labels, weights };
}

function grown<T extends Int32Array | Int16Array>(array: T, Kind: new (length: number) => T, length: number): T {
  const longer = new Kind(Math.max(2 * array.length, length));
  longer.set(array);
  return longer;
}

function descend(read: ReadRows, stepRows: number, random: () => number, { recipe, progress }: Training): { readonly weights: Float32Array; readonly biases: number[] } {
  const { buckets, epochs, learningRate, heads } = recipe;
  const columns = heads.length;
  const { count, hashed, hashedFrom, steps, stepsFrom } = read;
  const weights = new Float32Array((buckets + stepRows) * columns);
  const squares = new Float32Array(weights.length).fill(1e-3);
  const biases: number[] = new Array<number>(columns).fill(0);
  const biasSquares = new Float64Array(columns).fill(1);
  const positiveTimes = balanceOf(read, columns);
  const sums = new Float64Array(columns), errors = new Float64Array(columns);
  const order = Int32Array.from({ length: count }, (_, at) => at);

  const learn = (row: number, value: number): void => {
    for (let column = 0; column < columns; column += 1) {
      if (errors[column] === 0) continue;
      const slope = errors[column] * value;
      const at = row * columns + column;
      squares[at] += slope * slope;
      weights[at] -= (learningRate * slope) / Math.sqrt(squares[at]);
    }
  };

  for (let epoch = 0; epoch < epochs; epoch += 1) {
    shuffle(order, random);
    for (let turn = 0; turn < count; turn += 1) {
      if ((turn & 1023) === 0) progress('learn', epoch * count + turn, epochs * count);
      const row = order[turn];
      const [from, to] = [hashedFrom[row], hashedFrom[row + 1]];
      if (from === to) continue;
      const share = 1 / Math.sqrt(to - from);
      sums.fill(0);
      for (let at = from; at < to; at += 1) {
        const first = hashed[at] * columns;
        for (let column = 0; column < columns; column += 1) sums[column] += weights[first + column] * share;
      }
      for (let at = stepsFrom[row]; at < stepsFrom[row + 1]; at += 1) {
        const first = (buckets + steps[at]) * columns;
        for (let column = 0; column < columns; column += 1) sums[column] += weights[first + column] * STEP_VALUE;
      }
      let wrong = false;
      for (let column = 0; column < columns; column += 1) {
        errors[column] = 0;
        const label = read.labels[row * columns + column];
        if (label < 0) continue;
        const error = (1 / (1 + Math.exp(-sums[column] - biases[column])) - label) * read.weights[row * columns + column] * (label > 0.5 ? positiveTimes[column] : 1);
        if (Math.abs(error) < ERROR_MIN) continue;
        errors[column] = error;
        wrong = true;
        biasSquares[column] += error * error;
        biases[column] -= (learningRate * error) / Math.sqrt(biasSquares[column]);
      }
      if (!wrong) continue;
      for (let at = from; at < to; at += 1) learn(hashed[at], share);
      for (let at = stepsFrom[row]; at < stepsFrom[row + 1]; at += 1) learn(buckets + steps[at], STEP_VALUE);
    }
  }
  progress('learn', epochs * count, epochs * count);
  return { weights, biases };
}

/** The root of how many negatives there are for each positive. */
function balanceOf({ count, labels, weights }: ReadRows, columns: number): readonly number[] {
  return Array.from({ length: columns }, (_, column) => {
    let positive = 0, negative = 0;
    for (let at = column; at < count * columns; at += columns) {
      if (labels[at] < 0) continue;
      positive += labels[at] * weights[at];
      negative += (1 - labels[at]) * weights[at];
    }
    return positive === 0 ? 1 : Math.min(BALANCE_MAX, Math.sqrt(negative / positive));
  });
}

function shuffle(order: Int32Array, random: () => number): void {
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
}

function calibratedHeads(raw: TextModel, { dev, recipe, progress }: Training): readonly Head[] {
  const rows = dev.filter(({ lang }) => recipe.languages.includes(lang));
  const logits = rows.map(({ text }, at) => {
    if ((at & 255) === 0) progress('calibrate', at, rows.length);
    return raw.logits(text);
  });
  progress('calibrate', rows.length, rows.length);
  return raw.parts.heads.map((head, column) => {
    const judged = rows.flatMap(({ labels }, at) => (labels[head.category] === undefined ? [] : [{ score: logits[at][column], truth: labels[head.category] >= 0.5 ? 1 : 0 }]));
    return { ...head, calibration: curveOf(judged) ?? head.calibration };
  });
}

/** Of no rows, or of positives alone, nothing follows. */
function curveOf(rows: readonly { readonly score: number; readonly truth: number }[]): Calibration | undefined {
  const negatives = rows.filter(({ truth }) => truth === 0);
  if (negatives.length === 0) return undefined;
  return negatives.length === rows.length ? bounded(rows.map(({ score }) => score)) : fitted(rows);
}
