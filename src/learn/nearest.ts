/**
 * Learning for a library of texts: how rare words are, the library as vectors, and what a cosine is worth, from labelled
 * rows. The library is the plugin's own; no row goes into it.
 */
import { fitted } from '../model/calibration.ts';
import { NearestModel, RARITY_BUCKETS, hashesOf, rarityBucketOf, readNearest, vectorOf, VECTOR_SCALE, writeNearest } from '../model/nearest.ts';
import type { NearestRecipe } from '../model/recipe.ts';
import { readRawRows } from './dataset.ts';
import { reportOf } from './evaluate.ts';
import { randomOf, type Judged } from './measure.ts';
import { renderEvaluation } from './page.ts';
import type { LearningTask, Progress } from './task.ts';

interface LibraryRow {
  readonly text: string;
  readonly truth: number;
  readonly source: string;
}

export const nearest: LearningTask<NearestRecipe> = {
  async train(recipe, { data, seed, progress }) {
    const rows = await rowsOf(recipe, data, 'train');
    const rarity = rarityOf(rows);
    const { id, version, dimensions } = recipe;
    const library = recipe.library(randomOf(seed));
    const vectors = Int8Array.from(library.flatMap((text) => [...vectorOf(text, dimensions, rarity)].map((value) => Math.round(VECTOR_SCALE * value))));
    const parts = { id, version, dimensions, rarity, vectors };
    const raw = new NearestModel({ ...parts, calibration: { slope: 1, intercept: 0 } });
    const judged = judgedBy((text) => raw.similarity(text), rows, 'calibrate', progress);
    return { bytes: writeNearest({ ...parts, calibration: fitted(judged) }), rows: library.length, calibratedOn: rows.length };
  },

  async evaluate(recipe, { data, part, model: file, rate, seed, progress }) {
    const model = readNearest(file);
    const judged = judgedBy((text) => model.score(text), await rowsOf(recipe, data, part), 'score', progress);
    const report = reportOf(recipe.category, judged, rate, randomOf(seed));
    const { id, version } = model.parts;
    const title = `${id} ${version} on ${recipe.task}/${part}`;
    const told = [report.auprc, report.auroc, report.recallAt1].map(({ value, low, high }) => `${value.toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`);
    const table = `${title}: nearness to the library alone\n${report.positives} of ${report.n}: AUPRC ${told[0]}, AUROC ${told[1]}, recall at 1 % false positives ${told[2]}\n`;
    return { table, json: { model: id, version, part, false_positive_rate: rate, seed, categories: [report] }, html: renderEvaluation(title, rate, [report]) };
  },
};

async function rowsOf(recipe: NearestRecipe, data: string, part: string): Promise<readonly LibraryRow[]> {
  return (await readRawRows(data, recipe.task, part)).flatMap(({ row }) => {
    const truth = recipe.label(row);
    return truth === undefined ? [] : [{ text: row['text'] as string, truth, source: String(row['source'] ?? 'unnamed') }];
  });
}

/** 255 for what stands in one text or none, 0 for what stands in all. */
function rarityOf(rows: readonly LibraryRow[]): Uint8Array {
  const counts = new Float64Array(RARITY_BUCKETS);
  for (const { text } of rows) for (const bucket of new Set([...hashesOf(text)].map(rarityBucketOf))) counts[bucket] += 1;
  const most = Math.log(rows.length + 1);
  return Uint8Array.from(counts, (count) => Math.round((255 * (most - Math.log(Math.max(1, count)))) / most));
}

function judgedBy(score: (text: string) => number, rows: readonly LibraryRow[], step: string, progress: Progress): readonly (Judged & { readonly source: string })[] {
  return rows.map(({ text, truth, source }, at) => {
    if ((at & 255) === 0 || at === rows.length - 1) progress(step, at + 1, rows.length);
    return { score: score(text), truth, source };
  });
}
