/**
 * Learning for answers and their sources: measures each sentence of an answer against the sources, teaches one forest for
 * each category, and tells how good they are. A row says only that something in the answer is not borne out, not which
 * sentence; so the sentence that the first round finds worst stands for it in the second.
 */
import { fitted } from '../model/calibration.ts';
import { logitOf, type Forest } from '../model/pairs-trees.ts';
import { PairsModel, RARITY_BUCKETS, raritiesOf, rarityBucket, readPairs, writePairs, type PairsHead } from '../model/pairs.ts';
import type { PairRow, PairsRecipe } from '../model/recipe.ts';
import { WindowCutter } from '../text/windows.ts';
import { readRawRows } from './dataset.ts';
import { reportOf, type CategoryReport, type Estimate } from './evaluate.ts';
import { intervalOf, randomOf, type Judged } from './measure.ts';
import { renderEvaluation } from './page.ts';
import { boosted, type BoostRow } from './pairs-boost.ts';
import type { LearningTask, Progress } from './task.ts';

const ROUNDS = 2;
/** From this score on a claim counts as flagged where balanced accuracy is told. */
const EVEN = 0.5;
/** Apart from those that were learnt from, what is written for a measurement is written anew. */
const WRITTEN_SEED = 7_919;

/** A row as it is learnt from: the sentences that claim something, as numbers. */
interface MeasuredRow {
  readonly row: PairRow;
  readonly sentences: readonly Float64Array[];
}

export const pairs: LearningTask<PairsRecipe> = {
  async train(recipe, { data, seed, progress }) {
    const [train, dev] = [await rowsOf(recipe, data, 'train'), await rowsOf(recipe, data, 'dev')];
    const random = randomOf(seed);
    const rarities = learnRarities(recipe, train);
    const rarity = (stem: number): number => rarities[rarityBucket(stem)] / 255;
    const measure = (rows: readonly PairRow[], step: string): readonly MeasuredRow[] => measured(recipe, rows, rarity, step, progress);
    const rows = measure([...train, ...recipe.written(train, random)], 'read');
    const held = measure([...dev, ...recipe.written(dev, random)], 'calibrate');
    const heads = recipe.categories.map((category): PairsHead => {
      const forest = learnt(recipe, category, rows, random, progress);
      return { category, forest, calibration: calibrationOf(forest, category, labelled(held, category, dev)) };
    });
    const { id, version, languages, evidence } = recipe;
    return { bytes: writePairs({ id, version, languages, evidence: evidence.names, heads, rarities }), rows: rows.length, calibratedOn: held.length };
  },

  async evaluate(recipe, { data, part, model: file, rate, seed, progress }) {
    const model = readPairs(file, recipe.evidence);
    const natural = await rowsOf(recipe, data, part);
    const random = randomOf(seed + WRITTEN_SEED);
    const rows = [...natural, ...recipe.written(natural, random)];
    const scores = scoresOf(model, rows, progress);
    const categories = model.parts.heads.flatMap(({ category }, head) => {
      const judged = labelled(rows.map((row, at) => ({ row, score: scores[at][head] })), category, natural).map(({ row, score }) => ({ score, truth: row.labels[category], source: row.source }));
      return judged.length === 0 ? [] : [pairsReportOf(category, judged, rate, random)];
    });
    const { id, version } = model.parts;
    const title = `${id} ${version} on ${recipe.task}/${part}`;
    return { table: tableOf(title, categories), json: { model: id, version, part, false_positive_rate: rate, seed, categories }, html: renderEvaluation(title, rate, categories) };
  },
};

async function rowsOf(recipe: PairsRecipe, data: string, part: string): Promise<readonly PairRow[]> {
  return (await readRawRows(data, recipe.task, part)).map(({ row, place }) => {
    const { context, text, source = 'unnamed' } = row as Partial<PairRow> & { readonly text: string };
    if (typeof context !== 'string') throw new Error(`${place} has no context; a row is {context, text, grounded: 0 or 1}`);
    const labels = recipe.labels(row);
    if (Object.values(labels).some((label) => label !== 0 && label !== 1)) throw new Error(`${place} is labelled with something other than 0 or 1`);
    return { context, text, source, labels };
  });
}

/** Rows that are labelled for a category: those that people judged where they found any positive, else the written ones too. */
function labelled<T extends { readonly row: PairRow }>(rows: readonly T[], category: string, natural: readonly PairRow[]): readonly T[] {
  const own = rows.filter(({ row }) => row.labels[category] !== undefined);
  const judged = new Set(natural);
  return natural.some(({ labels }) => labels[category] === 1) ? own.filter(({ row }) => judged.has(row)) : own;
}

function learnRarities({ evidence }: PairsRecipe, rows: readonly PairRow[]): Uint8Array {
  const counts = new Uint32Array(RARITY_BUCKETS);
  const contexts = new Set(rows.map(({ context }) => context));
  for (const context of contexts) for (const bucket of new Set([...evidence.stemsOf(context)].map(rarityBucket))) counts[bucket] += 1;
  return raritiesOf(counts, contexts.size);
}

function measured({ evidence }: PairsRecipe, rows: readonly PairRow[], rarity: (stem: number) => number, step: string, progress: Progress): readonly MeasuredRow[] {
  return rows.map((row, at) => {
    if ((at & 255) === 0) progress(step, at, rows.length);
    const read = evidence.open(row.context, rarity);
    if (at === rows.length - 1) progress(step, rows.length, rows.length);
    return { row, sentences: sentencesOf(row.text).map(read).filter((one) => one !== undefined) };
  });
}

/** As the host cuts an answer. */
function sentencesOf(text: string): readonly string[] {
  const cutter = new WindowCutter('sentence');
  return [...cutter.feed(text), ...cutter.flush()].map((window) => window.text);
}

function learnt(recipe: PairsRecipe, category: string, rows: readonly MeasuredRow[], random: () => number, progress: Progress): Forest {
  const { boost, evidence } = recipe;
  const own = rows.filter(({ row, sentences }) => row.labels[category] !== undefined && sentences.length > 0 && recipe.trust(row, category) > 0);
  let forest: Forest | undefined;
  for (let round = 0; round < ROUNDS; round += 1) {
    const said = own.flatMap(({ row, sentences }): readonly BoostRow[] => {
      const weight = recipe.trust(row, category);
      if (row.labels[category] === 0) return sentences.map((values) => ({ values, label: 0, weight: weight / Math.sqrt(sentences.length) }));
      if (forest === undefined) return sentences.map((values) => ({ values, label: 1, weight: weight / sentences.length }));
      return [{ values: worstOf(forest, sentences), label: 1, weight }];
    });
    forest = boosted(said, evidence.names.length, boost, random, (done) => progress(category, round * boost.trees + done, ROUNDS * boost.trees));
  }
  return forest!;
}

function worstOf(forest: Forest, sentences: readonly Float64Array[]): Float64Array {
  return sentences.reduce((worst, one) => (logitOf(forest, one) > logitOf(forest, worst) ? one : worst));
}

/** Of rows of one kind alone nothing follows. */
function calibrationOf(forest: Forest, category: string, rows: readonly MeasuredRow[]): PairsHead['calibration'] {
  const judged = rows.filter(({ sentences }) => sentences.length > 0).map(({ row, sentences }) => ({ score: logitOf(forest, worstOf(forest, sentences)), truth: row.labels[category] }));
  const positives = judged.reduce((sum, { truth }) => sum + truth, 0);
  return positives === 0 || positives === judged.length ? { slope: 1, intercept: 0 } : fitted(judged);
}

/** The worst sentence of an answer counts; one that claims nothing scores 0. */
function scoresOf(model: PairsModel, rows: readonly PairRow[], progress: Progress): readonly (readonly number[])[] {
  return rows.map(({ context, text }, at) => {
    if ((at & 255) === 0) progress('score', at, rows.length);
    const judge = model.open(context);
    if (at === rows.length - 1) progress('score', rows.length, rows.length);
    const sentences = sentencesOf(text).map(judge).filter((one) => one !== undefined);
    return model.parts.heads.map((_, head) => sentences.reduce((worst, scores) => Math.max(worst, scores[head]), 0));
  });
}

/** The mean of what share of either kind is told right. */
export function balancedAccuracyOf(rows: readonly Judged[]): number {
  const share = (truth: number): number => {
    const own = rows.filter((row) => row.truth === truth);
    return own.filter(({ score }) => (score >= EVEN ? 1 : 0) === truth).length / own.length;
  };
  return (share(1) + share(0)) / 2;
}

interface PairsReport extends CategoryReport {
  readonly balancedAccuracy: Estimate;
  readonly balancedAccuracies: readonly (Estimate & { readonly source: string; readonly n: number; readonly positives: number; readonly auroc: number })[];
}

function pairsReportOf(category: string, rows: readonly (Judged & { readonly source: string })[], rate: number, random: () => number): PairsReport {
  const report = reportOf(category, rows, rate, random);
  const estimate = (own: readonly Judged[]): Estimate => {
    const [low, high] = intervalOf(own, balancedAccuracyOf, random);
    return { value: balancedAccuracyOf(own), low, high };
  };
  const balancedAccuracies = report.sources.map(({ source, n, positives, auroc }) => ({ source, n, positives, auroc, ...estimate(rows.filter((row) => row.source === source)) }));
  return { ...report, balancedAccuracy: estimate(rows), balancedAccuracies };
}

function tableOf(title: string, reports: readonly PairsReport[]): string {
  const cell = ({ value, low, high }: Estimate): string => (Number.isFinite(value) ? `${value.toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})` : '–').padEnd(20);
  const lines = reports.flatMap(({ category, n, positives, balancedAccuracy, auroc, auprc, recallAt1, calibrationError, threshold, balancedAccuracies }) => [
    `${category.padEnd(18)} ${`${positives} of ${n}`.padEnd(13)} ${cell(balancedAccuracy)} ${cell(auroc)} ${cell(auprc)} ${cell(recallAt1)} ${cell(calibrationError)} ${threshold.toFixed(3)}`,
    ...balancedAccuracies.map((one) => `  ${one.source.padEnd(16)} ${`${one.positives} of ${one.n}`.padEnd(13)} ${cell(one)} ${Number.isFinite(one.auroc) ? one.auroc.toFixed(3) : '–'}`),
  ]);
  return `${title}\n${'category'.padEnd(18)} ${'positives'.padEnd(13)} ${'balanced at 0.5'.padEnd(20)} ${'AUROC'.padEnd(20)} ${'AUPRC'.padEnd(20)} ${'recall at 1 % FP'.padEnd(20)} ${'calibration error'.padEnd(20)} threshold\n${lines.join('\n')}\n`;
}
