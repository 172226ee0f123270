/**
 * Trains a text model by its recipe: logistic regression for all categories at once over hashed features, by AdaGrad, in
 * an order that follows from the seed. A row teaches only the categories that it is labelled for. Same data, recipe
 * and seed: the same bytes. The weights are sums over many rows; no row can be read from them.
 */
import { Features, FRAME_BUCKETS, stepRows } from '../model/features.ts';
import { bounded, fitted, type Calibration } from '../model/calibration.ts';
import { Lexicon } from '../model/lexicon.ts';
import { quantised, STEP_VALUE } from '../model/linear.ts';
import type { Recipe, TrainingRow } from '../model/recipe.ts';
import { NO_SIGNS, type Signs } from '../model/signs.ts';
import { rowsOf, shareOf, TextModel, type Head } from '../model/text-model.ts';
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
  const rows = [...training.train.filter(({ lang }) => recipe.languages.includes(lang)), ...(await recipe.written(random, dataFolder))];
  if (rows.length > TRAINING_ROWS_MAX) throw new Error(`training has at most ${TRAINING_ROWS_MAX} rows, this one ${rows.length}; give fewer`);
  const signs = recipe.signs ?? NO_SIGNS;
  const read = readAll(rows, new Features(recipe.buckets, new Lexicon(classes, entries)), classes, training);
  const { weights, biases } = descend(read, rowsOf(recipe.buckets, classes.length, signs.names.length), random, training);
  const parts = { id: recipe.id, version: recipe.version, languages: recipe.languages, buckets: recipe.buckets, classes, signs: signs.names, lexicon: entries, weights: quantised(weights, biases) };
  const head = ({ category, pieces, grams = 1, densities = {} }: Recipe['heads'][number]): Head => ({ category, pieces, grams, densities: classes.map((name) => densities[name] ?? 0), calibration: { slope: 1, intercept: 0 } });
  const raw = new TextModel({ ...parts, heads: recipe.heads.map(head) }, signs);
  return new TextModel({ ...parts, heads: calibratedHeads(raw, training) }, signs);
}

/** All texts as rows of the matrix. */
export interface ReadTexts {
  readonly count: number;
  readonly features: Int32Array;
  /** Where the n-grams, the frames, and the steps and signs of each text begin, three in turn. */
  readonly from: Float64Array;
}

/** And for each what it says of each category: its label (-1 for nothing) and its weight. */
interface ReadRows extends ReadTexts {
  readonly labels: Float32Array;
  readonly weights: Float32Array;
}

/** `each` is called with the number of a text while `features` is what it has. */
export function readTexts(texts: readonly string[], features: Features, classes: number, signs: Signs, each: (at: number) => void): ReadTexts {
  const [firstFrame, firstStep] = [features.grams.buckets, features.grams.buckets + FRAME_BUCKETS];
  const firstSign = firstStep + stepRows(classes);
  let all = new Int32Array(1 << 20);
  const from = new Float64Array(3 * texts.length + 1);
  for (const [at, text] of texts.entries()) {
    features.read(text);
    const { grams, whole } = features;
    const seen = signs.of(text);
    let to = from[3 * at];
    const end = to + grams.freshCount + whole.frameCount + whole.stepCount + seen.length;
    if (end > all.length) all = grown(all, end);
    all.set(grams.fresh.subarray(0, grams.freshCount), to);
    to = from[3 * at + 1] = to + grams.freshCount;
    for (let one = 0; one < whole.frameCount; one += 1) all[to++] = firstFrame + whole.frames[one];
    from[3 * at + 2] = to;
    for (let one = 0; one < whole.stepCount; one += 1) all[to++] = firstStep + whole.steps[one];
    for (const sign of seen) all[to++] = firstSign + sign;
    from[3 * at + 3] = to;
    each(at);
  }
  return { count: texts.length, features: all, from };
}

function readAll(rows: readonly TrainingRow[], features: Features, classes: readonly string[], { recipe, progress }: Training): ReadRows {
  const columns = recipe.heads.length;
  const labels = new Float32Array(rows.length * columns).fill(-1);
  const weights = new Float32Array(rows.length * columns);
  const read = readTexts(rows.map(({ text }) => text), features, classes.length, recipe.signs ?? NO_SIGNS, (at) => {
    const row = rows[at];
    const counts = Object.fromEntries(classes.map((name, one) => [name, features.whole.counts[one]]));
    const weak = recipe.weak(row, counts);
    for (const [column, { category }] of recipe.heads.entries()) {
      const known = row.labels[category];
      const guess = weak.find((label) => label.category === category);
      if (known === undefined && guess === undefined) continue;
      labels[at * columns + column] = known ?? guess!.label;
      weights[at * columns + column] = known === undefined ? guess!.weight * row.weight : recipe.trust?.(row, category) ?? row.weight;
    }
    if ((at & 1023) === 0) progress('read', at, rows.length);
  });
  progress('read', rows.length, rows.length);
  return { ...read, labels, weights };
}

function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(Math.max(2 * array.length, length));
  longer.set(array);
  return longer;
}

function descend(read: ReadRows, rows: number, random: () => number, { recipe, progress }: Training): { readonly weights: Float32Array; readonly biases: number[] } {
  const { epochs, learningRate, heads } = recipe;
  const columns = heads.length;
  const { count, from } = read;
  const matrix = new LearningMatrix(rows, columns, read.features, learningRate);
  const biases: number[] = new Array<number>(columns).fill(0);
  const biasSquares = new Float64Array(columns).fill(1);
  const positiveTimes = balanceOf(read, columns);
  const order = Int32Array.from({ length: count }, (_, at) => at);
  const values = [0, 0, STEP_VALUE];

  for (let epoch = 0; epoch < epochs; epoch += 1) {
    shuffle(order, random);
    for (let turn = 0; turn < count; turn += 1) {
      if ((turn & 1023) === 0) progress('learn', epoch * count + turn, epochs * count);
      const row = order[turn];
      if (from[3 * row] === from[3 * row + 3]) continue;
      values[0] = shareOf(from[3 * row + 1] - from[3 * row]);
      values[1] = shareOf(from[3 * row + 2] - from[3 * row + 1]);
      matrix.begin(read.labels.subarray(row * columns, (row + 1) * columns));
      for (let part = 0; part < 3; part += 1) matrix.add(from[3 * row + part], from[3 * row + part + 1], values[part]);
      const wrong = matrix.judge((column, sum) => {
        const label = read.labels[row * columns + column];
        const error = (1 / (1 + Math.exp(-sum - biases[column])) - label) * read.weights[row * columns + column] * (label > 0.5 ? positiveTimes[column] : 1);
        if (Math.abs(error) < ERROR_MIN) return 0;
        biasSquares[column] += error * error;
        biases[column] -= (learningRate * error) / Math.sqrt(biasSquares[column]);
        return error;
      });
      if (wrong) for (let part = 0; part < 3; part += 1) matrix.learn(from[3 * row + part], from[3 * row + part + 1], values[part]);
    }
  }
  progress('learn', epochs * count, epochs * count);
  return { weights: matrix.weights(), biases };
}

/** Squared slopes that every weight begins with. */
const SQUARES_FIRST = 1e-3;

/**
 * The weights in the making. A row holds its weights and behind them the sums of their squared slopes (AdaGrad: a weight
 * that has moved much moves less), so that both come with one reading of memory; only labelled columns are touched.
 */
class LearningMatrix {
  readonly #columns: number;
  readonly #cells: Float32Array;
  readonly #features: Int32Array;
  readonly #rate: number;
  /** The columns in play, and their sums, then their errors. */
  readonly #active: Int32Array;
  readonly #sums: Float64Array;
  #activeCount = 0;

  constructor(rows: number, columns: number, features: Int32Array, rate: number) {
    this.#columns = columns;
    this.#cells = new Float32Array(2 * rows * columns);
    for (let row = 0; row < rows; row += 1) this.#cells.fill(SQUARES_FIRST, (2 * row + 1) * columns, (2 * row + 2) * columns);
    this.#features = features;
    this.#rate = rate;
    this.#active = new Int32Array(columns);
    this.#sums = new Float64Array(columns);
  }

  begin(labels: Float32Array): void {
    this.#activeCount = 0;
    for (let column = 0; column < labels.length; column += 1) if (labels[column] >= 0) this.#active[this.#activeCount++] = column;
    this.#sums.fill(0);
  }

  add(from: number, to: number, value: number): void {
    const features = this.#features, cells = this.#cells, active = this.#active, sums = this.#sums, count = this.#activeCount, stride = 2 * this.#columns;
    for (let at = from; at < to; at += 1) {
      const first = features[at] * stride;
      for (let one = 0; one < count; one += 1) sums[one] += cells[first + active[one]] * value;
    }
  }

  /** Turns sums into errors, and leaves out the columns that are right. */
  judge(errorOf: (column: number, sum: number) => number): boolean {
    const count = this.#activeCount;
    this.#activeCount = 0;
    for (let one = 0; one < count; one += 1) {
      const error = errorOf(this.#active[one], this.#sums[one]);
      if (error === 0) continue;
      this.#active[this.#activeCount] = this.#active[one];
      this.#sums[this.#activeCount++] = error;
    }
    return this.#activeCount > 0;
  }

  learn(from: number, to: number, value: number): void {
    const features = this.#features, cells = this.#cells, active = this.#active, errors = this.#sums, count = this.#activeCount, columns = this.#columns, rate = this.#rate;
    for (let at = from; at < to; at += 1) {
      const first = 2 * features[at] * columns;
      for (let one = 0; one < count; one += 1) {
        const slope = errors[one] * value;
        const cell = first + active[one];
        const squares = cells[cell + columns] + slope * slope;
        cells[cell + columns] = squares;
        cells[cell] -= (rate * slope) / Math.sqrt(squares);
      }
    }
  }

  weights(): Float32Array {
    const columns = this.#columns;
    return Float32Array.from({ length: this.#cells.length / 2 }, (_, at) => this.#cells[2 * Math.floor(at / columns) * columns + (at % columns)]);
  }
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

export function shuffle(order: Int32Array, random: () => number): void {
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
