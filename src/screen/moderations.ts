/**
 * What the configured classifiers say of texts and images, by names of categories: every classifier that declares a
 * category of that name is a judge of it, and the highest score counts. No policy is applied. INVARIANT: a category that
 * nobody judged has no score, and one whose judges did not all answer has none either, unless what is known flags it.
 */
import type { DecisionRecord, Screened, Segment, SegmentResults } from '../contract/exchange.ts';
import type { ClassifierResult, ContentType, Context } from '../contract/screening.ts';
import { coverageOf, isMedia, partOf } from './coverage.ts';
import type { ScreeningPlan } from './plan.ts';
import { ResultTally } from './results.ts';

export interface ModerationOptions {
  readonly categories: readonly string[];
  /** The score from which a category is flagged, where it is not `THRESHOLD`. */
  readonly thresholds: Readonly<Record<string, number>>;
  readonly context: Context;
  readonly signal?: AbortSignal;
}

/** A category of one input. Without a score nobody judged it; `guess` is then what a classifier would have said that does not trust it. */
export interface CategoryJudgement {
  readonly score?: number;
  readonly guess?: number;
  readonly flagged?: boolean;
  /** The types of content that were judged for it. */
  readonly judged: readonly ContentType[];
}

export interface Moderated {
  /** For each input, every category. */
  readonly results: readonly ReadonlyMap<string, CategoryJudgement>[];
  /** Categories that some part of some input was not judged for. */
  readonly missing: readonly string[];
  readonly record: DecisionRecord;
}

const THRESHOLD = 0.5;

/** Each input is a group of segments that are judged as one. */
export async function moderate(inputs: readonly (readonly Segment[])[], plan: Pick<ScreeningPlan, 'screen' | 'judges'>, options: ModerationOptions): Promise<Moderated> {
  const { categories, thresholds, context, signal } = options;
  const screened = await plan.screen(inputs.flat(), 'input', context, signal);
  const missing = new Set<string>();
  let from = 0;
  const results = inputs.map((segments) => {
    const own = screened.segments.slice(from, (from += segments.length));
    return new Map(categories.map((category): [string, CategoryJudgement] => {
      const judgement = judge(category, own, plan, thresholds[category] ?? THRESHOLD);
      if (own.some(({ segment }) => !judgement.judged.includes(segment.contentType))) missing.add(category);
      return [category, judgement];
    }));
  });
  return { results, missing: [...missing], record: recordOf(screened) };
}

/** The highest score of the types of content that were judged whole, or that is enough by itself. */
function judge(category: string, segments: readonly SegmentResults[], plan: Pick<ScreeningPlan, 'judges'>, threshold: number): CategoryJudgement {
  const judged: ContentType[] = [];
  let highest: number | undefined;
  for (const type of new Set(segments.map(({ segment }) => segment.contentType))) {
    const scores = segments.filter(({ segment }) => segment.contentType === type).flatMap(({ results }) => scoresOf(category, results, plan.judges(category, type)));
    const known = scores.filter((score) => score !== undefined);
    const score = known.length === 0 ? undefined : Math.max(...known);
    if (score === undefined || (known.length < scores.length && score < threshold)) continue;
    judged.push(type);
    highest = Math.max(highest ?? 0, score);
  }
  const guess = highest === undefined ? guessOf(category, segments) : undefined;
  if (guess !== undefined) return { guess, flagged: guess >= threshold, judged };
  return highest === undefined ? { judged } : { score: highest, flagged: highest >= threshold, judged };
}

function guessOf(category: string, segments: readonly SegmentResults[]): number | undefined {
  const guesses = segments.flatMap(({ results }) => results.flatMap((result) => ('unknown' in result && result.category === category && result.guess !== undefined ? [result.guess] : [])));
  return guesses.length === 0 ? undefined : Math.max(...guesses);
}

/** One for each judge; undefined where it did not answer. One that answered and found nothing scored 0. */
function scoresOf(category: string, results: readonly ClassifierResult[], judges: readonly string[]): readonly (number | undefined)[] {
  return judges.map((judge) => {
    const own = results.filter((result) => result.classifier_id === judge && result.category === category);
    if (own.some((result) => 'unknown' in result)) return undefined;
    return own.reduce((score, result) => Math.max(score, 'unknown' in result ? 0 : result.score), 0);
  });
}

function recordOf(screened: Screened): DecisionRecord {
  const tally = new ResultTally();
  for (const { results } of screened.segments) tally.add(results);
  const unread = screened.segments.filter(({ segment, judged }) => isMedia(segment) && judged !== true).map(({ segment }) => ({ ...partOf(segment), treatment: 'pass' as const }));
  return { action: 'allow', triggered_rules: [], classifier_results: tally.summary(), coverage: coverageOf(screened.segments, unread, screened.segments), degraded: [], redactions: 0, latency_ms: screened.latencyMs };
}
