/**
 * A candidate beside the model that it began from, on the same rows: of each category the area under the curve, recall
 * and false positives at one threshold of the score, since a policy's threshold stays when the model changes; and the
 * changes, with intervals from rows drawn again for both at once, so that what is hard for both counts for neither.
 * Rows of one group are drawn together: texts alike tell less than as many others. Pure but for the progress it tells.
 */
import type { TextModel } from '../model/text-model.ts';
import type { TrainingRow } from '../model/recipe.ts';
import type { CandidateCategory, CandidateMeasures } from './candidate.ts';
import type { Estimate } from './evaluate.ts';
import { auprcOf, binsOf, calibrationErrorOf, randomOf, stepsOf, type Judged } from './measure.ts';
import type { Progress } from './task.ts';

const DRAWS = 200;
/** Points of a curve that are kept. */
const CURVE_POINTS = 120;

export interface ComparedRow extends TrainingRow {
  /** Rows of one group are alike; absent: like no other. */
  readonly group?: string;
}

export interface ComparisonOptions {
  /** From which a score counts as found. */
  readonly threshold: number;
  readonly seed: number;
  readonly progress: Progress;
}

/** What one model makes of the rows of a category. */
export interface ModelView {
  readonly curve: readonly { readonly recall: number; readonly precision: number }[];
  readonly bins: ReturnType<typeof binsOf>;
  readonly calibration_error: Estimate;
}

export interface ComparedCategory extends CandidateCategory {
  readonly views: { readonly base: ModelView; readonly candidate: ModelView };
  /** By row, for costs. */
  readonly judged: readonly JudgedPair[];
}

export interface JudgedPair {
  readonly base: number;
  readonly candidate: number;
  /** 1 or 0. */
  readonly truth: number;
  readonly group: number;
}

export function compareModels(base: TextModel, candidate: TextModel, rows: readonly ComparedRow[], { threshold, seed, progress }: ComparisonOptions): readonly ComparedCategory[] {
  const covered = rows.filter(({ lang }) => base.parts.languages.includes(lang));
  const scores = covered.map(({ text }, at) => {
    if ((at & 255) === 0) progress('compare', at, covered.length);
    return [base.scores(text), candidate.scores(text)] as const;
  });
  progress('compare', covered.length, covered.length);
  const groups = new Map<string, number>();
  const groupOf = (group: string): number => groups.get(group) ?? (groups.set(group, groups.size), groups.size - 1);
  const numbers = covered.map(({ group }, at) => groupOf(group ?? `row ${at}`));
  const random = randomOf(seed);
  return base.parts.heads.flatMap(({ category }, head) => {
    const judged = covered.flatMap(({ labels }, at): readonly JudgedPair[] => (labels[category] === undefined ? [] : [{ base: scores[at]![0][head]!, candidate: scores[at]![1][head]!, truth: labels[category] >= 0.5 ? 1 : 0, group: numbers[at]! }]));
    return judged.length === 0 ? [] : [comparedOf(category, judged, threshold, random)];
  });
}

const MEASURES = {
  auprc: (rows: readonly Judged[]) => auprcOf(rows),
  recall: (rows: readonly Judged[], threshold: number) => shareOf(rows.filter(({ truth }) => truth === 1), threshold),
  false_positive_rate: (rows: readonly Judged[], threshold: number) => shareOf(rows.filter(({ truth }) => truth === 0), threshold),
  calibration_error: (rows: readonly Judged[]) => calibrationErrorOf(rows),
} as const;
type Measure = keyof typeof MEASURES;
const NAMES = Object.keys(MEASURES) as readonly Measure[];

function comparedOf(category: string, pairs: readonly JudgedPair[], threshold: number, random: () => number): ComparedCategory {
  const found = measured(pairs, threshold);
  const drawn = drawnAgain(pairs, random, (rows) => measured(rows, threshold));
  const estimate = (of: (one: Measured) => number): Estimate => {
    const [low, high] = middle(drawn.map(of));
    return { value: of(found), low, high };
  };
  const measuresOf = (model: 'base' | 'candidate'): CandidateMeasures => ({ auprc: estimate((one) => one[model].auprc), recall: estimate((one) => one[model].recall), false_positive_rate: estimate((one) => one[model].false_positive_rate) });
  const viewOf = (model: 'base' | 'candidate'): ModelView => ({ curve: curveOf(judgedBy(pairs, model)), bins: binsOf(judgedBy(pairs, model)), calibration_error: estimate((one) => one[model].calibration_error) });
  return {
    category, n: pairs.length, positives: pairs.reduce((sum, { truth }) => sum + truth, 0), base: measuresOf('base'), candidate: measuresOf('candidate'),
    recall_change: estimate((one) => one.candidate.recall - one.base.recall), false_positive_change: estimate((one) => one.candidate.false_positive_rate - one.base.false_positive_rate),
    views: { base: viewOf('base'), candidate: viewOf('candidate') }, judged: pairs,
  };
}

type Measured = Readonly<Record<'base' | 'candidate', Readonly<Record<Measure, number>>>>;

function measured(pairs: readonly JudgedPair[], threshold: number): Measured {
  const of = (model: 'base' | 'candidate'): Readonly<Record<Measure, number>> => {
    const rows = judgedBy(pairs, model);
    return Object.fromEntries(NAMES.map((name) => [name, MEASURES[name](rows, threshold)])) as Record<Measure, number>;
  };
  return { base: of('base'), candidate: of('candidate') };
}

function judgedBy(pairs: readonly JudgedPair[], model: 'base' | 'candidate'): readonly Judged[] {
  return pairs.map((pair) => ({ score: pair[model], truth: pair.truth }));
}

/** What `of` says of rows drawn again by groups, with replacement. */
export function drawnAgain<T>(pairs: readonly JudgedPair[], random: () => number, of: (rows: readonly JudgedPair[]) => T, draws = DRAWS): readonly T[] {
  const groups = [...Map.groupBy(pairs, ({ group }) => group).values()];
  return Array.from({ length: draws }, () => of(groups.flatMap(() => groups[Math.floor(random() * groups.length)]!)));
}

/** Middle 95 %; NaN where too few draws say anything. */
export function middle(values: readonly number[]): readonly [number, number] {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length < values.length / 2) return [NaN, NaN];
  return [sorted[Math.floor(0.025 * sorted.length)]!, sorted[Math.ceil(0.975 * sorted.length) - 1]!];
}

/** Of rows at or above the threshold; NaN of none. */
function shareOf(rows: readonly Judged[], threshold: number): number {
  return rows.filter(({ score }) => score >= threshold).length / rows.length;
}

function curveOf(rows: readonly Judged[]): ModelView['curve'] {
  const positives = rows.reduce((sum, { truth }) => sum + truth, 0);
  const steps = [...stepsOf(rows)].map(({ hit, seen }) => ({ recall: positives === 0 ? 0 : hit / positives, precision: hit / seen }));
  const stride = Math.max(1, Math.ceil(steps.length / CURVE_POINTS));
  return steps.filter((_, at) => at % stride === 0 || at === steps.length - 1);
}
