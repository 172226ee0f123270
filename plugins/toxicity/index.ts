/**
 * The toxicity classifier: OpenAI's thirteen moderation categories and profanity, from one small linear model that is
 * shipped with it (MODEL_CARD.md says what it is worth). It reads the text and its views; the worst counts. What the
 * model has not learnt in a language is unknown (unsupported), never 0. No download, no network, no spans.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CategoryDefinition, CreateClassifier, GivenModels } from '#contract/classifier.ts';
import type { ClassifierResult } from '#contract/screening.ts';
import { readModel, type TextModel } from '#model/text-model.ts';
import { LANGUAGE_SURE, languageOf, type Language } from '#text/language.ts';

/** What can be said of a text from the model's scores and from signs in the text. */
interface Judgement {
  readonly of: (category: string) => number;
  readonly has: (sign: RegExp) => boolean;
}

interface Judged extends CategoryDefinition {
  /** Languages besides English in which it was learnt and is better than chance. */
  readonly beyond?: readonly string[];
  readonly score: (judgement: Judgement) => number;
}

/** Without its sign, a narrower category scores so much of the wider one. */
const UNSIGNED = 0.1;

const FIRST_PERSON = /\b(?:i|i'm|i've|im|me|my|myself)\b/i;
const METHOD = /\b(?:how (?:to|do|can|could|many|much|long)|ways? to|methods?|steps|tips|instructions|guide|painless(?:ly)?|without (?:anyone|anybody|my))\b/i;
const MINOR = /\b(?:child(?:ren)?|kids?|minors?|underage|pre-?teens?|teen(?:s|ager|agers|age)?|toddlers?|infants?|school ?(?:girl|boy)s?|(?:little|young) (?:girl|boy)s?|(?:[1-9]|1[0-7])[- ]?(?:years?[- ]old|yo)|middle school\w*|elementary school\w*)\b/i;
const GRAPHIC = /\b(?:blood(?:y|ied)?|bleeding|gor[ey]|guts|intestines?|entrails|corpses?|severed|decapitat\w+|dismember\w+|mutilat\w+|disembowel\w+|organs|skull|flesh|torn|wounds?|gouged?|scream(?:ed|ing|s))\b/i;

const CATEGORIES: readonly Judged[] = [
  { id: 'harassment', definition: 'insults, mocks or demeans somebody', beyond: ['de', 'fr', 'pt', 'zh'], score: ({ of }) => of('harassment') },
  { id: 'harassment/threatening', definition: 'harassment with a threat of violence', score: ({ of }) => Math.min(of('harassment'), Math.max(of('threat'), of('violence'))) },
  { id: 'hate', definition: 'attacks people for what they are: race, religion, origin, sex, orientation, disability', beyond: ['de', 'pt', 'zh'], score: ({ of }) => of('hate') },
  { id: 'hate/threatening', definition: 'hate with violence or a threat of it', score: ({ of }) => Math.min(of('hate'), Math.max(of('threat'), of('violence'))) },
  { id: 'illicit', definition: 'asks for or gives help with a crime or other serious wrong', score: ({ of }) => of('illicit') },
  { id: 'illicit/violent', definition: 'the same with violence or weapons', score: ({ of }) => Math.min(of('illicit'), of('violence')) },
  { id: 'self-harm', definition: 'suicide, self-injury, eating disorders: shown, wanted or encouraged', score: ({ of }) => of('self_harm') },
  { id: 'self-harm/intent', definition: 'somebody says that they hurt themselves or mean to', score: ({ of, has }) => of('self_harm') * (has(FIRST_PERSON) ? 1 : UNSIGNED) },
  { id: 'self-harm/instructions', definition: 'asks for or gives ways to do it', score: ({ of, has }) => of('self_harm') * (has(METHOD) ? 1 : UNSIGNED) },
  { id: 'sexual', definition: 'meant to arouse, or describes or offers sex', score: ({ of }) => of('sexual') },
  { id: 'sexual/minors', definition: 'sexual content about somebody under eighteen', score: ({ of, has }) => of('sexual') * (has(MINOR) ? 1 : UNSIGNED) },
  { id: 'violence', definition: 'shows, threatens or praises death or injury', score: ({ of }) => of('violence') },
  { id: 'violence/graphic', definition: 'the same in gruesome detail', score: ({ of, has }) => of('violence') * (has(GRAPHIC) ? 1 : UNSIGNED) },
  { id: 'profanity', definition: 'swear words and obscenities', score: ({ of }) => of('profanity') },
];

/** One reading for the process: the model has no state of a classifier. */
let shipped: TextModel | undefined;

/** What the host may give in place of what is shipped. */
export const models = ['toxicity'] as const;

const createToxicity: CreateClassifier = ({ id, models: others, ...options }) => {
  const [unknown] = Object.keys(options);
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; this classifier has none`);
  const given = (others as GivenModels | undefined)?.['toxicity'];
  const model = given === undefined ? (shipped ??= readModel(readFileSync(join(import.meta.dirname, 'model.bin')))) : readModel(given.bytes);
  const heads = new Map(model.parts.heads.map(({ category }, head) => [category, head]));
  return {
    id,
    version: given === undefined ? model.parts.version : `${model.parts.version}+${given.id}`,
    categories: CATEGORIES.map(({ id: name, definition }) => ({ id: name, definition })),
    directions: ['input', 'output'],
    contentTypes: ['text'],
    // It says itself what it cannot judge in a language, with its guess.
    languages: ['*'],
    cost: 'fast',
    needsContext: false,
    idempotent: true,

    classify({ content }, _signal, readings) {
      const views = readings.views().map(({ text }) => text);
      const texts = [content, ...views];
      const language = readings.language();
      // Letters that stand apart look like another language; the text that they spell does not.
      const foreign = isForeign(language) && views.every((view) => isForeign(languageOf(view)));
      const judgements = texts.map((text): Judgement => {
        const scores = model.scores(text);
        return { of: (category) => scores[heads.get(category)!], has: (sign) => sign.test(text) };
      });
      return CATEGORIES.map(({ id: category, beyond, score }): ClassifierResult => {
        const common = { classifier_id: id, category, latency_ms: 0 };
        const highest = Math.max(...judgements.map(score));
        if (foreign && beyond?.includes(language.tag) !== true) return { ...common, unknown: true, reason: 'unsupported', guess: highest };
        return { ...common, score: highest, label: category.toUpperCase(), spans: [] };
      });
    },
  };
};

function isForeign({ tag, confidence }: Language): boolean {
  return tag !== 'en' && tag !== 'und' && confidence >= LANGUAGE_SURE;
}

export default createToxicity;
