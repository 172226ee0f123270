/**
 * What a text model is worth on labelled rows: for each category areas under the curves, recall at 1 % false positives,
 * calibration error, each with its n and a 95 % interval, the threshold for a target false-positive rate, the curves,
 * and what becomes of each source at that threshold. Pure but for the progress it tells.
 */
import type { TrainingRow } from '../model/recipe.ts';
import type { TextModel } from '../model/text-model.ts';
import { atFalsePositiveRate, aurocOf, auprcOf, binsOf, calibrationErrorOf, intervalOf, randomOf, stepsOf, type Judged } from './measure.ts';

/** Points of a curve that are kept. */
const CURVE_POINTS = 120;
const RECALL_RATE = 0.01;

export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface SourceCounts {
  readonly source: string;
  readonly n: number;
  readonly positives: number;
  readonly caught: number;
  readonly wronglyFlagged: number;
  /** NaN where one kind is missing; then null in JSON. */
  readonly auprc: number;
  readonly auroc: number;
}

export interface CategoryReport {
  readonly category: string;
  readonly n: number;
  readonly positives: number;
  readonly auprc: Estimate;
  readonly auroc: Estimate;
  readonly recallAt1: Estimate;
  readonly calibrationError: Estimate;
  readonly threshold: number;
  readonly recall: number;
  readonly curve: readonly { readonly recall: number; readonly precision: number }[];
  readonly bins: ReturnType<typeof binsOf>;
  readonly sources: readonly SourceCounts[];
}

export interface EvaluationOptions {
  readonly falsePositiveRate: number;
  readonly seed: number;
  readonly progress: (step: string, done: number, all: number) => void;
}

export function evaluateModel(model: TextModel, rows: readonly TrainingRow[], { falsePositiveRate, seed, progress }: EvaluationOptions): readonly CategoryReport[] {
  const random = randomOf(seed);
  const covered = rows.filter(({ lang }) => model.parts.languages.includes(lang));
  const scores = covered.map(({ text }, at) => {
    if ((at & 255) === 0) progress('score', at, covered.length);
    return model.scores(text);
  });
  progress('score', covered.length, covered.length);
  return model.parts.heads.flatMap(({ category }, head) => {
    const judged = covered.flatMap(({ labels, source }, at) => (labels[category] === undefined ? [] : [{ score: scores[at][head], truth: labels[category] >= 0.5 ? 1 : 0, source }]));
    return judged.length === 0 ? [] : [reportOf(category, judged, falsePositiveRate, random)];
  });
}

/** All of it for one category. */
export function reportOf(category: string, rows: readonly (Judged & { readonly source: string })[], rate: number, random: () => number): CategoryReport {
  const { threshold, recall } = atFalsePositiveRate(rows, rate);
  const estimate = (measure: (rows: readonly Judged[]) => number): Estimate => {
    const [low, high] = intervalOf(rows, measure, random, rows.length > 3000 ? 100 : 300);
    return { value: measure(rows), low, high };
  };
  const positives = rows.reduce((sum, { truth }) => sum + truth, 0);
  const steps = [...stepsOf(rows)].map(({ hit, seen }) => ({ recall: positives === 0 ? 0 : hit / positives, precision: hit / seen }));
  const stride = Math.max(1, Math.ceil(steps.length / CURVE_POINTS));
  return {
    category, n: rows.length, positives, threshold, recall,
    auprc: estimate(auprcOf), auroc: estimate(aurocOf), recallAt1: estimate((drawn) => atFalsePositiveRate(drawn, RECALL_RATE).recall), calibrationError: estimate(calibrationErrorOf),
    curve: steps.filter((_, at) => at % stride === 0 || at === steps.length - 1),
    bins: binsOf(rows),
    sources: [...Map.groupBy(rows, ({ source }) => source)].map(([source, own]) => ({
      source, n: own.length, positives: own.reduce((sum, { truth }) => sum + truth, 0),
      caught: own.filter(({ score, truth }) => truth === 1 && score >= threshold).length,
      wronglyFlagged: own.filter(({ score, truth }) => truth === 0 && score >= threshold).length,
      auprc: auprcOf(own), auroc: aurocOf(own),
    })),
  };
}
