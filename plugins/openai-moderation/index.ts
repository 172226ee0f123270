/**
 * The openai-moderation classifier: OpenAI's moderation endpoint, or one with its shape. Scores texts in windows, all in
 * one call, and images; the categories have OpenAI's names. A category that the model did not apply to what it was shown
 * is unknown (unsupported), not the 0 that the endpoint writes there.
 */
import type { CreateClassifier } from '#contract/classifier.ts';
import { DIRECTIONS, MODERATION_CATEGORIES, type ContentType, type ScreeningRequest } from '#contract/screening.ts';
import { JsonService, ServiceError } from '../http/client.ts';
import { imageUrl, readImageLimit } from '../http/images.ts';
import { isMapping, readCount, readLanguages, readList, readService, readText, readUrl, refuseUnknown } from '../http/options.ts';
import { resultsFrom, resultsOrUnknown, unknownResults, type Finding } from '../http/results.ts';
import { cutWindows } from '../http/windows.ts';

const OPTIONS = ['url', 'api_key', 'headers', 'model', 'categories', 'content_types', 'directions', 'languages', 'window_chars', 'image_chars_max', 'connections'] as const;

const DEFINITIONS: Readonly<Record<(typeof MODERATION_CATEGORIES)[number], string>> = {
  harassment: 'Harassing language towards anyone.',
  'harassment/threatening': 'Harassment with violence or serious harm.',
  hate: 'Hate for what people are: origin, religion, gender, orientation, disability and the like.',
  'hate/threatening': 'Hate with violence or serious harm.',
  illicit: 'Advice or instructions for wrongdoing.',
  'illicit/violent': 'The same with violence or weapons.',
  'self-harm': 'Encourages or depicts harm to oneself.',
  'self-harm/intent': 'The speaker does so or intends to.',
  'self-harm/instructions': 'How to do so.',
  sexual: 'Meant to arouse, or sexual services.',
  'sexual/minors': 'Sexual content with anyone under 18.',
  violence: 'Death, violence or injury.',
  'violence/graphic': 'The same in graphic detail.',
};

const DEFAULT_URL = 'https://api.openai.com/v1/moderations';
/** The model judges short texts better than long ones. */
export const WINDOW_CHARS = 8_000;

const createOpenAiModeration: CreateClassifier = (given) => {
  refuseUnknown(given, OPTIONS);
  const { id } = given;
  const url = readUrl(given, 'url', DEFAULT_URL);
  if (url.href === DEFAULT_URL && (given.api_key ?? '') === '') throw new Error('api_key: missing; write api_key: ${OPENAI_API_KEY}');
  const model = readText(given, 'model') ?? 'omni-moderation-latest';
  const wanted = readList(given, 'categories', MODERATION_CATEGORIES, MODERATION_CATEGORIES);
  const categories = wanted.map((name) => ({ id: name, definition: DEFINITIONS[name] }));
  const windowChars = readCount(given, 'window_chars', { min: 500, max: 100_000, fallback: WINDOW_CHARS });
  const imageCharsMax = readImageLimit(given);
  const service = new JsonService(readService(given, url, ['authorization', 'Bearer ']));
  return {
    id,
    version: model,
    categories,
    directions: readList(given, 'directions', DIRECTIONS, DIRECTIONS),
    contentTypes: readList<ContentType>(given, 'content_types', ['text', 'image'], ['text', 'image']),
    languages: readLanguages(given, ['*']),
    cost: 'slow',
    needsContext: false,
    idempotent: true,
    classify: async (request, signal) => {
      const input = inputOf(request, windowChars, imageCharsMax);
      if (input === undefined) return unknownResults({ id, categories }, 'unsupported');
      return resultsOrUnknown({ id, categories }, async () => {
        const answer = await service.post(url.pathname + url.search, { model, input }, signal);
        const results = resultsOf(answer, request.content_type === 'text' ? input.length : 1);
        return resultsFrom({ id, categories }, wanted.map((category) => findingOf(results, category, request.content_type)), 'unknown');
      });
    },
    close: () => service.close(),
  };
};

export default createOpenAiModeration;

type Input = readonly string[] | readonly { readonly type: 'image_url'; readonly image_url: { readonly url: string } }[];

/** Undefined for what the endpoint cannot take. */
function inputOf({ content, content_type }: ScreeningRequest, windowChars: number, imageCharsMax: number): Input | undefined {
  if (content_type === 'text') return cutWindows(content, windowChars);
  const url = imageUrl(content, imageCharsMax);
  return url === undefined ? undefined : [{ type: 'image_url', image_url: { url } }];
}

interface Moderation {
  readonly scores: Readonly<Record<string, unknown>>;
  /** By category, the types of content that its score is about; endpoints with the same shape may leave it out. */
  readonly applied: Readonly<Record<string, unknown>> | undefined;
}

function resultsOf(answer: unknown, count: number): readonly Moderation[] {
  const results = isMapping(answer) ? answer.results : undefined;
  if (!Array.isArray(results) || results.length !== count) throw new ServiceError('error', `the service did not answer ${count} results`);
  return results.map((result: unknown) => {
    const { category_scores: scores, category_applied_input_types: applied } = isMapping(result) ? result : {};
    if (!isMapping(scores)) throw new ServiceError('error', 'a result has no category_scores');
    return { scores, applied: isMapping(applied) ? applied : undefined };
  });
}

/** The worst of all windows. */
function findingOf(results: readonly Moderation[], category: string, contentType: ContentType): Finding {
  let worst = 0;
  for (const { scores, applied } of results) {
    const score = Object.hasOwn(scores, category) ? scores[category] : null;
    const types = applied?.[category];
    // Older models do not know every category: they leave it out, or write null.
    if (score === null || (Array.isArray(types) && !types.includes(contentType))) return { category, unknown: 'unsupported' };
    if (typeof score !== 'number' || score < 0) throw new ServiceError('error', 'the service answered a score that is no number from 0 to 1');
    worst = Math.max(worst, score);
  }
  return { category, score: worst };
}
