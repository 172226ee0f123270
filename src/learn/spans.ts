/**
 * Learning for names in text: reads the rows, trains a tagger by its recipe, and tells how good one is. Offsets in the
 * rows count characters (code points), as most tools write them; here they become UTF-16.
 */
import { fitted, type Calibration } from '../model/calibration.ts';
import type { LabelledSpan, SpansRecipe, SpansRow } from '../model/recipe.ts';
import { emptyContext, TagFeatures } from '../model/tag-features.ts';
import { readTagger, Tagger, writeTagger, type TaggerParts } from '../model/tagger.ts';
import { beginOf, insideOf, OUTSIDE, tagCount } from '../model/tags.ts';
import type { Tokens } from '../model/tokens.ts';
import { WordTable } from '../model/word-table.ts';
import { WindowCutter } from '../text/windows.ts';
import { ChainLearner, type Chains } from './chain.ts';
import { WordStatistics } from './clusters.ts';
import { readRawRows } from './dataset.ts';
import { randomOf } from './measure.ts';
import { evaluateSpans, judgedSpans, renderSpans, tableOfSpans } from './span-measure.ts';
import type { LearningTask, Progress, TrainOptions } from './task.ts';

/** Rows of one training, written ones and variants among them. */
export const SPAN_ROWS_MAX = 1_000_000;
/** One row in so many is not learnt from: with dev it says what scores are worth. */
const HELD_EACH = 15;
const INT8_MAX = 127;

export const spans: LearningTask<SpansRecipe> = {
  async train(recipe, options) {
    const [rows, dev] = [await readSpanRows(recipe, options.data, 'train'), await readSpanRows(recipe, options.data, 'dev')];
    const tagger = await trainTagger(recipe, rows, dev, options);
    return { bytes: writeTagger(tagger.parts), rows: rows.length, calibratedOn: dev.length };
  },

  async evaluate(recipe, { data, part, model: file, seed, progress }) {
    const tagger = readTagger(file);
    const reports = evaluateSpans(tagger, await readSpanRows(recipe, data, part), seed, progress);
    const { id, version } = tagger.parts;
    const title = `${id} ${version} on ${[recipe.task, ...recipe.moreTasks].join(', ')}/${part}`;
    return { table: tableOfSpans(title, reports), json: { model: id, version, part, seed, types: reports }, html: renderSpans(title, reports) };
  },
};

/** The rows of all tasks of a recipe. */
export async function readSpanRows(recipe: SpansRecipe, data: string, part: string): Promise<readonly SpansRow[]> {
  const rows: SpansRow[] = [];
  for (const task of [recipe.task, ...recipe.moreTasks]) {
    for (const { row } of await readRawRows(data, task, part)) {
      const labelled = recipe.spans(row, task);
      const { text, source = task, weight = 1 } = row as { readonly text: string; readonly source?: string; readonly weight?: number };
      if (labelled !== undefined) rows.push({ text, spans: inUnits(text, labelled), source, weight });
    }
  }
  return rows;
}

/** Offsets in characters as offsets in UTF-16. */
function inUnits(text: string, labelled: readonly LabelledSpan[]): readonly LabelledSpan[] {
  if (!/[\ud800-\udbff]/.test(text)) return labelled;
  const starts: number[] = [];
  let at = 0;
  for (const character of text) {
    starts.push(at);
    at += character.length;
  }
  starts.push(at);
  return labelled.map(({ type, start, end }) => ({ type, start: starts[Math.min(start, starts.length - 1)], end: starts[Math.min(end, starts.length - 1)] }));
}

export async function trainTagger(recipe: SpansRecipe, train: readonly SpansRow[], dev: readonly SpansRow[], { data, seed, progress }: TrainOptions): Promise<Tagger> {
  const random = randomOf(seed);
  const { classes, entries } = await recipe.words(await statisticsOf(recipe, data, progress));
  const first = [...train.map((row) => ({ ...row, weight: row.weight * (recipe.trust?.(row) ?? 1) })), ...await recipe.written(random)];
  const rows = [...first, ...first.flatMap((row, at) => (at % HELD_EACH === 0 ? [] : recipe.variants(row, random)))].filter(({ weight }) => weight > 0);
  if (rows.length > SPAN_ROWS_MAX) throw new Error(`training has at most ${SPAN_ROWS_MAX} rows, this one ${rows.length}; give fewer`);
  const types = recipe.types.map(({ type }) => type);
  const held = new Set(first.filter((_, at) => at % HELD_EACH === 0));
  const chains = chainsOf(rows.filter((row) => !held.has(row)), types, new TagFeatures(recipe.buckets, new WordTable(entries), classes), recipe, random, progress);
  const learner = new ChainLearner(chains, { ...recipe, tagCount: tagCount(types.length), random, progress: (done, all) => progress('learn', done, all) });
  learner.learn();
  const { id, version, languages, buckets } = recipe;
  const plain = { slope: 1, intercept: 0 };
  const parts = { id, version, languages, buckets, classes, words: entries, steps: Float32Array.from(learner.steps), ...quantised(learner.weights, recipe.weightMin), types: recipe.types.map((one) => ({ ...one, calibration: plain })) };
  return new Tagger({ ...parts, types: calibratedTypes(new Tagger(parts), [...dev, ...held]) });
}

async function statisticsOf({ unlabelled }: SpansRecipe, data: string, progress: Progress): Promise<WordStatistics> {
  const statistics = new WordStatistics();
  for (const [at, task] of unlabelled.entries()) {
    progress('words', at, unlabelled.length);
    for (const { row } of await readRawRows(data, task, 'train')) statistics.read(row['text'] as string);
  }
  progress('words', unlabelled.length, unlabelled.length);
  return statistics;
}

/** All rows as the tagger will read them: sentence by sentence, each row one chain. */
function chainsOf(rows: readonly SpansRow[], types: readonly string[], features: TagFeatures, recipe: SpansRecipe, random: () => number, progress: Progress): Chains {
  const sentences = [0], weights: number[] = [], tokens = [0];
  const tags: number[] = [];
  let buckets = new Int32Array(1 << 22);
  let length = 0;
  for (const [at, row] of rows.entries()) {
    if ((at & 1023) === 0) progress('read', at, rows.length);
    const silence = recipe.silence(row);
    const said = new Map<number, boolean>();
    const known = (word: number): boolean => {
      let answer = said.get(word);
      if (answer === undefined) said.set(word, (answer = random() >= silence));
      return answer;
    };
    const context = emptyContext();
    for (const { text, start } of windowsOf(row.text)) {
      for (let from = 0; from < text.length;) {
        from = features.read(text, from, context, known);
        const { count } = features.tokens;
        const size = features.from[count];
        if (length + size > buckets.length) buckets = longer(buckets);
        buckets.set(features.rows.subarray(0, size), length);
        for (let token = 0; token < count; token += 1) tokens.push(length + features.from[token + 1]);
        tags.push(...tagsOf(features.tokens, start, row.spans, types));
        length += size;
      }
    }
    sentences.push(tags.length);
    weights.push(row.weight);
  }
  progress('read', rows.length, rows.length);
  return { sentences: Int32Array.from(sentences), tokens: Float64Array.from(tokens), rows: buckets.subarray(0, length), tags: Uint8Array.from(tags), weights: Float32Array.from(weights) };
}

function longer(array: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const twice = new Int32Array(2 * array.length);
  twice.set(array);
  return twice;
}

function windowsOf(text: string): readonly { readonly text: string; readonly start: number }[] {
  const cutter = new WindowCutter('sentence');
  return [...cutter.feed(text), ...cutter.flush()];
}

/** The true tag of each token of a window that begins at `start`. */
function tagsOf({ count, starts, ends }: Tokens, start: number, labelled: readonly LabelledSpan[], types: readonly string[]): readonly number[] {
  return Array.from({ length: count }, (_, token) => {
    const [from, to] = [start + starts[token], start + ends[token]];
    const over = labelled.find((span) => span.start < to && span.end > from);
    if (over === undefined) return OUTSIDE;
    const type = types.indexOf(over.type);
    const isFirst = token === 0 ? over.start >= start || start + starts[token] === over.start : start + ends[token - 1] <= over.start;
    return isFirst ? beginOf(type) : insideOf(type);
  });
}

/** As whole numbers; the largest becomes 127, what is too small is left out. */
function quantised(weights: Float32Array, weightMin: number): Pick<TaggerParts, 'rows' | 'scale'> {
  let most = 0;
  for (const weight of weights) most = Math.max(most, Math.abs(weight));
  const scale = most === 0 ? 1 : most / INT8_MAX;
  return { scale, rows: Int8Array.from(weights, (weight) => (Math.abs(weight) < weightMin ? 0 : Math.round(weight / scale))) };
}

function calibratedTypes(raw: Tagger, dev: readonly SpansRow[]): TaggerParts['types'] {
  const judged = judgedSpans(raw, dev);
  return raw.parts.types.map((one) => {
    const own = judged.filter(({ type }) => type === one.type).map(({ score, right }) => ({ score: Math.log(score / (1 - score)), truth: right ? 1 : 0 }));
    const calibration: Calibration = own.some(({ truth }) => truth === 0) && own.some(({ truth }) => truth === 1) ? fitted(own) : one.calibration;
    return { ...one, calibration };
  });
}
