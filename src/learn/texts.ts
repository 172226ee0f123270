/**
 * Learning for categories of texts: reads the rows, trains a text model by its recipe, and tells how good one is.
 */
import type { Recipe } from '../model/recipe.ts';
import { readModel, writeModel } from '../model/text-model.ts';
import { readRows } from './dataset.ts';
import { evaluateModel, type CategoryReport } from './evaluate.ts';
import { renderEvaluation } from './page.ts';
import type { LearningTask } from './task.ts';
import { trainModel } from './train.ts';

export const texts: LearningTask<Recipe> = {
  async train(recipe, { data, seed, progress }) {
    const [rows, dev] = [await readRows(data, recipe.task, 'train', recipe.labels), await readRows(data, recipe.task, 'dev', recipe.labels)];
    const model = await trainModel({ recipe, train: rows, dev, dataFolder: data, seed, progress });
    return { bytes: writeModel(model.parts), rows: rows.length, calibratedOn: dev.length };
  },

  async evaluate(recipe, { data, part, model: file, rate, seed, progress }) {
    const model = readModel(file, recipe.signs);
    const categories = evaluateModel(model, await readRows(data, recipe.task, part, recipe.labels), { falsePositiveRate: rate, seed, progress });
    const { id, version } = model.parts;
    const title = `${id} ${version} on ${recipe.task}/${part}`;
    return { table: tableOf(title, rate, categories), json: { model: id, version, part, false_positive_rate: rate, seed, categories }, html: renderEvaluation(title, rate, categories) };
  },
};

function tableOf(title: string, rate: number, reports: readonly CategoryReport[]): string {
  const cell = ({ value, low, high }: CategoryReport['auprc']): string => `${value.toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`;
  const lines = reports.flatMap(({ category, n, positives, auprc, auroc, recallAt1, calibrationError, threshold, sources }) => [
    `${category.padEnd(12)} ${String(positives).padStart(6)} of ${String(n).padEnd(6)} ${cell(auprc).padEnd(20)} ${cell(auroc).padEnd(20)} ${cell(recallAt1).padEnd(20)} ${cell(calibrationError).padEnd(20)} ${threshold.toFixed(3)}`,
    ...sources.map((one) => `  ${one.source.padEnd(22)} caught ${one.caught} of ${one.positives}, wrongly flagged ${one.wronglyFlagged} of ${one.n - one.positives}${Number.isFinite(one.auroc) ? `, AUPRC ${one.auprc.toFixed(3)}, AUROC ${one.auroc.toFixed(3)}` : ''}`),
  ]);
  return `${title}\n${'category'.padEnd(12)} ${'positives'.padStart(16)} ${'AUPRC'.padEnd(20)} ${'AUROC'.padEnd(20)} ${'recall at 1 % FP'.padEnd(20)} ${'calibration error'.padEnd(20)} threshold at ${rate * 100} %\n${lines.join('\n')}\n`;
}

