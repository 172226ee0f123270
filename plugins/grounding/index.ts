/**
 * The grounding classifier: holds an answer against the sources that the prompt gave, sentence by sentence, and says what
 * they do not bear out (`unsupported`) and what they deny (`contradicted`). Words, numbers, names, order and denial, weighed
 * by a small trained model (MODEL_CARD.md says what it is worth). No download, no network. It knows the sources only: what
 * is true and not said there is unsupported. Where there is nothing to hold an answer against it is unknown, never 0.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CategoryDefinition, CreateClassifier, GivenModels } from '#contract/classifier.ts';
import type { ClassifierResult, Context, Span } from '#contract/screening.ts';
import { readPairs, type PairsModel } from '#model/pairs.ts';
import { LANGUAGE_SURE, languageOf, type Language } from '#text/language.ts';
import { WindowCutter, type TextWindow } from '#text/windows.ts';
import { holdsFacts } from './facts.ts';
import { evidence } from './reader.ts';
import { readWords, SMALL } from './words.ts';

const CATEGORIES: readonly CategoryDefinition[] = [
  { id: 'unsupported', definition: 'a claim that the sources do not bear out' },
  { id: 'contradicted', definition: 'a claim that the sources deny: another number, another name, the opposite' },
];

/** From this score on a sentence is told with its place; of those below only the worst. */
const TOLD = 0.5;
/** Sentences told of one text for one category; the worst ones. */
const TOLD_MAX = 50;
/** Sentences of one text that are judged in one go. Of a longer text what is found there is told, the rest is unknown. */
export const SENTENCES_MAX = 1_000;
const LANGUAGE = 'en';
/** So few of the words must be small English ones before a text is taken for another language: a headline looks like Portuguese. */
const ENGLISH_SHARE = 0.3;
const LANGUAGE_CHARS = 1_500;

/** The scores of a sentence by category; undefined where it claims nothing. */
type Judge = (sentence: string) => Float64Array | undefined;

/** One reading for the process: the model has no state of a classifier. */
let shipped: PairsModel | undefined;

/** What the host may give in place of what is shipped. */
export const models = ['grounding'] as const;

const createGrounding: CreateClassifier = ({ id, models: others, ...options }) => {
  const [stranger] = Object.keys(options);
  if (stranger !== undefined) throw new Error(`unknown option ${stranger}; this classifier has none`);
  const given = (others as GivenModels | undefined)?.['grounding'];
  const model = given === undefined ? (shipped ??= readPairs(readFileSync(join(import.meta.dirname, 'model.bin')), evidence)) : readPairs(given.bytes, evidence);
  const heads = CATEGORIES.map((category) => model.parts.heads.findIndex((head) => head.category === category.id));

  const results = (judge: Judge | undefined, windows: readonly TextWindow[], language: Language): readonly ClassifierResult[] => {
    const unknown = (category: string): ClassifierResult => ({ classifier_id: id, category, unknown: true, reason: 'unsupported', latency_ms: 0 });
    if (judge === undefined || isForeign(language, windows[0]?.text ?? '')) return CATEGORIES.map((category) => unknown(category.id));
    const scored = windows.slice(0, SENTENCES_MAX).map((window) => ({ span: spanOf(window), scores: judge(window.text) }));
    return CATEGORIES.flatMap(({ id: category }, at): readonly ClassifierResult[] => {
      const claims = scored.flatMap(({ span, scores }) => (scores === undefined ? [] : [{ span, score: scores[heads[at]] }])).sort((a, b) => b.score - a.score || a.span.start - b.span.start);
      const common = { classifier_id: id, category, label: category.toUpperCase(), latency_ms: 0 };
      if (windows.length > SENTENCES_MAX && !(claims[0]?.score >= TOLD)) return [unknown(category)];
      if (claims.length === 0) return [{ ...common, score: 0, spans: [] }];
      return claims.filter(({ score }, order) => order === 0 || (order < TOLD_MAX && score >= TOLD)).map(({ span, score }) => ({ ...common, score, spans: [span] }));
    });
  };

  return {
    id,
    version: given === undefined ? model.parts.version : `${model.parts.version}+${given.id}`,
    categories: CATEGORIES,
    directions: ['output'],
    contentTypes: ['text'],
    // It looks for itself: the host would leave out headlines.
    languages: ['*'],
    cost: 'fast',
    needsContext: true,
    idempotent: true,

    classify({ content, context }, _signal, readings) {
      return results(judgeFor(model, context), windowsOf(content), readings.language());
    },

    stream({ context }) {
      const judge = judgeFor(model, context);
      return { feed: (text) => results(judge, windowsOf(text), languageOf(text)) };
    },
  };
};

export default createGrounding;

/** Undefined where there is nothing to hold an answer against, or not in its language. */
function judgeFor(model: PairsModel, context: Context | undefined): Judge | undefined {
  const sources = context?.['sources'];
  return typeof sources !== 'string' || !holdsFacts(sources) || isForeign(languageOf(sources), sources) ? undefined : model.open(sources);
}

function isForeign({ tag, confidence }: Language, text: string): boolean {
  if (tag === LANGUAGE || tag === 'und' || confidence < LANGUAGE_SURE) return false;
  const { count, kinds } = readWords(text.slice(0, LANGUAGE_CHARS));
  let small = 0;
  for (let at = 0; at < count; at += 1) if ((kinds[at] & SMALL) !== 0) small += 1;
  return small < ENGLISH_SHARE * count;
}

/** Sentences, as the host cuts a streamed answer; a window of it is one. */
function windowsOf(text: string): readonly TextWindow[] {
  const cutter = new WindowCutter('sentence');
  return [...cutter.feed(text), ...cutter.flush()];
}

/** Without the white space around it. */
function spanOf({ start, text }: TextWindow): Span {
  const from = text.length - text.trimStart().length;
  return { start: start + from, end: start + Math.max(from, text.trimEnd().length) };
}
