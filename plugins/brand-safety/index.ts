/**
 * The brand-safety classifier: names of competitors, texts that are on none of the allowed topics, and an assistant that is
 * rude, aggressive, condescending or far too casual. A category that is not configured is not declared, so that a rule on
 * it is an error and not a score of 0. No model file, no download, no network. MODEL_CARD.md says what it is worth.
 */
import type { CategoryDefinition, CreateClassifier, Readings } from '#contract/classifier.ts';
import type { ClassifierResult, ScreeningRequest } from '#contract/screening.ts';
import { LANGUAGE_SURE, languageOf, type Language } from '#text/language.ts';
import { competitorPatterns } from './competitors.ts';
import { readOptions } from './options.ts';
import { toneOf } from './tone.ts';
import { Topics } from './topics.ts';

const DEFINITIONS = {
  competitor: 'names a competitor',
  off_topic: 'about none of the allowed topics',
  tone: 'an answer that is rude, aggressive, condescending or far too casual',
} as const;

const createBrandSafety: CreateClassifier = (given) => {
  const { id } = given;
  const { competitors, topics, tone } = readOptions(given);
  const allowed = topics.length === 0 ? undefined : new Topics(topics);
  const topicLanguage = sure(languageOf(topics.flatMap(({ examples }) => examples).join('\n')));
  const patterns = competitorPatterns(competitors);
  const categories = ([['competitor', patterns.length > 0], ['off_topic', allowed !== undefined], ['tone', tone]] as const)
    .flatMap(([name, isOn]): readonly CategoryDefinition[] => (isOn ? [{ id: name, definition: DEFINITIONS[name] }] : []));

  const classify = ({ content, direction }: ScreeningRequest, _signal: AbortSignal, readings: Readings): readonly ClassifierResult[] => {
    const language = sure(readings.language());
    const results: ClassifierResult[] = [];
    const unknown = (category: string): ClassifierResult => ({ classifier_id: id, category, unknown: true, reason: 'unsupported', latency_ms: 0 });
    if (allowed !== undefined) {
      const isForeign = language !== undefined && topicLanguage !== undefined && language !== topicLanguage;
      results.push(isForeign ? unknown('off_topic') : { classifier_id: id, category: 'off_topic', score: allowed.offTopic(content), label: 'OFF_TOPIC', spans: [], latency_ms: 0 });
    }
    // How users speak is no matter of the brand.
    if (tone && direction === 'output') {
      results.push(language !== undefined && language !== 'en' ? unknown('tone') : { classifier_id: id, category: 'tone', ...toneOf(content), label: 'TONE', latency_ms: 0 });
    }
    return results;
  };

  return {
    id,
    version: '1.0.0',
    categories,
    directions: ['input', 'output'],
    contentTypes: ['text'],
    languages: ['*'],
    cost: 'fast',
    needsContext: false,
    idempotent: true,
    ...(patterns.length === 0 ? {} : { patterns }),
    ...(allowed === undefined && !tone ? {} : { classify }),
  };
};

export default createBrandSafety;

function sure({ tag, confidence }: Language): string | undefined {
  return tag === 'und' || confidence < LANGUAGE_SURE ? undefined : tag;
}
