/**
 * The toxicity classifier: OpenAI's thirteen moderation categories and profanity, from one small linear model that is
 * shipped with it (MODEL_CARD.md says what it is worth). It reads the text and its views; the worst counts. What the
 * model has not learnt in a language is unknown (unsupported), never 0. No download, no network, no spans.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CategoryDefinition, CreateClassifier } from '#contract/classifier.ts';
import type { ClassifierResult } from '#contract/screening.ts';
import { readModel, type TextModel } from '#model/text-model.ts';
import { languageOf } from '#text/language.ts';
import { viewsOf } from '#text/views.ts';

/** What can be said of a text from the model's scores and from signs in the text. */
interface Judgement {
  readonly of: (category: string) => number;
  readonly has: (sign: RegExp) => boolean;
}

interface Judged extends CategoryDefinition {
  /** Learnt from texts in languages other than English too. */
  readonly everywhere: boolean;
  readonly score: (judgement: Judgement) => number;
}

/** Without its sign, a narrower category scores so much of the wider one. */
const UNSIGNED = 0.1;

const FIRST_PERSON = /\b(?:i|i'm|i've|im|me|my|myself)\b/i;
const METHOD = /\b(?:how (?:to|do|can|could|many|much|long)|ways? to|methods?|steps|tips|instructions|guide|painless(?:ly)?|without (?:anyone|anybody|my))\b/i;
const MINOR = /\b(?:child(?:ren)?|kids?|minors?|underage|pre-?teens?|teen(?:s|ager|agers|age)?|toddlers?|infants?|school ?(?:girl|boy)s?|(?:little|young) (?:girl|boy)s?|(?:[1-9]|1[0-7])[- ]?(?:years?[- ]old|yo)|middle school\w*|elementary school\w*)\b/i;
const GRAPHIC = /\b(?:blood(?:y|ied)?|bleeding|gor[ey]|guts|intestines?|entrails|corpses?|severed|decapitat\w+|dismember\w+|mutilat\w+|disembowel\w+|organs|skull|flesh|torn|wounds?|gouged?|scream(?:ed|ing|s))\b/i;

const CATEGORIES: readonly Judged[] = [
  { id: 'harassment', definition: 'insults, mocks or demeans somebody', everywhere: true, score: ({ of }) => of('harassment') },
  { id: 'harassment/threatening', definition: 'harassment with a threat of violence', everywhere: false, score: ({ of }) => Math.min(of('harassment'), Math.max(of('threat'), of('violence'))) },
  { id: 'hate', definition: 'attacks people for what they are: race, religion, origin, sex, orientation, disability', everywhere: true, score: ({ of }) => of('hate') },
  { id: 'hate/threatening', definition: 'hate with violence or a threat of it', everywhere: false, score: ({ of }) => Math.min(of('hate'), Math.max(of('threat'), of('violence'))) },
  { id: 'illicit', definition: 'asks for or gives help with a crime or other serious wrong', everywhere: false, score: ({ of }) => of('illicit') },
  { id: 'illicit/violent', definition: 'the same with violence or weapons', everywhere: false, score: ({ of }) => Math.min(of('illicit'), of('violence')) },
  { id: 'self-harm', definition: 'suicide, self-injury, eating disorders: shown, wanted or encouraged', everywhere: false, score: ({ of }) => of('self_harm') },
  { id: 'self-harm/intent', definition: 'somebody says that they hurt themselves or mean to', everywhere: false, score: ({ of, has }) => of('self_harm') * (has(FIRST_PERSON) ? 1 : UNSIGNED) },
  { id: 'self-harm/instructions', definition: 'asks for or gives ways to do it', everywhere: false, score: ({ of, has }) => of('self_harm') * (has(METHOD) ? 1 : UNSIGNED) },
  { id: 'sexual', definition: 'meant to arouse, or describes or offers sex', everywhere: false, score: ({ of }) => of('sexual') },
  { id: 'sexual/minors', definition: 'sexual content about somebody under eighteen', everywhere: false, score: ({ of, has }) => of('sexual') * (has(MINOR) ? 1 : UNSIGNED) },
  { id: 'violence', definition: 'shows, threatens or praises death or injury', everywhere: false, score: ({ of }) => of('violence') },
  { id: 'violence/graphic', definition: 'the same in gruesome detail', everywhere: false, score: ({ of, has }) => of('violence') * (has(GRAPHIC) ? 1 : UNSIGNED) },
  { id: 'profanity', definition: 'swear words and obscenities', everywhere: false, score: ({ of }) => of('profanity') },
];

/** As sure must the language be before a category is left out for it. */
const LANGUAGE_SURE = 0.8;

/** One reading for the process: the model has no state of a classifier. */
let shipped: TextModel | undefined;

const createToxicity: CreateClassifier = ({ id, ...options }) => {
  const [unknown] = Object.keys(options);
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; this classifier has none`);
  const model = (shipped ??= readModel(readFileSync(join(import.meta.dirname, 'model.bin'))));
  const heads = new Map(model.parts.heads.map(({ category }, head) => [category, head]));
  return {
    id,
    version: model.parts.version,
    categories: CATEGORIES.map(({ id: name, definition }) => ({ id: name, definition })),
    directions: ['input', 'output'],
    contentTypes: ['text'],
    languages: model.parts.languages,
    cost: 'fast',
    needsContext: false,
    idempotent: true,

    classify({ content }) {
      const texts = [content, ...viewsOf(content).map(({ text }) => text)];
      // Letters that stand apart look like another language; the text that they spell does not.
      const foreign = texts.every((text) => {
        const { tag, confidence } = languageOf(text);
        return tag !== 'en' && tag !== 'und' && confidence >= LANGUAGE_SURE;
      });
      const judgements = texts.map((text): Judgement => {
        const scores = model.scores(text);
        return { of: (category) => scores[heads.get(category)!], has: (sign) => sign.test(text) };
      });
      return CATEGORIES.map(({ id: category, everywhere, score }): ClassifierResult => {
        const common = { classifier_id: id, category, latency_ms: 0 };
        if (foreign && !everywhere) return { ...common, unknown: true, reason: 'unsupported' };
        return { ...common, score: Math.max(...judgements.map(score)), label: category.toUpperCase(), spans: [] };
      });
    },
  };
};

export default createToxicity;
