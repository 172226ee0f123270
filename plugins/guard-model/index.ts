/**
 * The guard-model classifier: models made to judge safety, behind an OpenAI-compatible chat endpoint (vLLM, SGLang,
 * llama.cpp, Ollama, or hosted). Each format says what is asked and how the verdict is read; long texts are judged in
 * windows, and the worst counts. A verdict that does not parse is unknown, not safe.
 */
import type { CreateClassifier } from '#contract/classifier.ts';
import { DIRECTIONS, type ContentType, type ScreeningRequest } from '#contract/screening.ts';
import { JsonService } from '../http/client.ts';
import { imageUrl, readImageLimit } from '../http/images.ts';
import { readChoice, readCount, readFlag, readLanguages, readList, readService, readText, readUrl, refuseUnknown, requireText, type Given } from '../http/options.ts';
import { resultsFrom, resultsOrUnknown, unknownResults } from '../http/results.ts';
import { cutWindows, worstOf } from '../http/windows.ts';
import { readCompletion, type GuardFormat, type Subject } from './format.ts';
import { gptOssSafeguard } from './gpt-oss-safeguard.ts';
import { llamaGuard } from './llama-guard.ts';
import { shieldGemma } from './shield-gemma.ts';

const FORMATS = {
  'llama-guard': { create: llamaGuard, options: ['codes'] },
  'gpt-oss-safeguard': { create: gptOssSafeguard, options: ['categories', 'policy', 'reasoning_effort', 'max_tokens'] },
  'shield-gemma': { create: shieldGemma, options: ['categories'] },
} as const satisfies Record<string, { readonly create: (given: Given) => GuardFormat; readonly options: readonly string[] }>;
const NAMES = Object.keys(FORMATS) as (keyof typeof FORMATS)[];

const OPTIONS = ['url', 'api_key', 'headers', 'model', 'model_format', 'logprobs', 'window_chars', 'content_types', 'directions', 'languages', 'image_chars_max', 'connections', 'version'] as const;

/** Some 3,000 tokens of English: guard models take 8,000 and more, and judge short texts better. */
export const WINDOW_CHARS = 12_000;
const TOP_LOGPROBS = 5;

const createGuardModel: CreateClassifier = (given) => {
  const formatName = readChoice(given, 'model_format', NAMES, undefined);
  refuseUnknown(given, [...OPTIONS, ...FORMATS[formatName].options]);
  const { id } = given;
  const url = readUrl(given, 'url');
  const model = requireText(given, 'model', 'the name that the server knows it by');
  const format = FORMATS[formatName].create(given);
  const { categories } = format;
  const windowChars = readCount(given, 'window_chars', { min: 500, max: 400_000, fallback: WINDOW_CHARS });
  const imageCharsMax = readImageLimit(given);
  const asked = { model, temperature: 0, ...(readFlag(given, 'logprobs', true) ? { logprobs: true, top_logprobs: TOP_LOGPROBS } : {}) };
  const types: readonly ContentType[] = format.images ? ['text', 'image'] : ['text'];
  const contentTypes = readList(given, 'content_types', types, ['text']);
  const service = new JsonService(readService(given, url, ['authorization', 'Bearer ']));
  return {
    id,
    version: readText(given, 'version') ?? model,
    categories,
    directions: readList(given, 'directions', DIRECTIONS, DIRECTIONS),
    contentTypes,
    languages: readLanguages(given, ['*']),
    cost: 'slow',
    needsContext: false,
    idempotent: true,
    classify: async (request, signal) => {
      const subjects = subjectsOf(request, windowChars, imageCharsMax);
      if (subjects === undefined) return unknownResults({ id, categories }, 'unsupported');
      return resultsOrUnknown({ id, categories }, async () => {
        const questions = subjects.flatMap((subject) => format.questions(subject));
        const findings = await Promise.all(questions.map(async (question) => {
          const { messages, maxTokens, more } = question;
          const completion = await service.post(url.pathname + url.search, { ...asked, max_tokens: maxTokens, ...more, messages }, signal);
          return question.read(readCompletion(completion, question));
        }));
        return resultsFrom({ id, categories }, worstOf(findings), 'unknown');
      });
    },
    close: () => service.close(),
  };
};

export default createGuardModel;

/** The windows of a text, or the image; undefined for what the model cannot be asked about. */
function subjectsOf({ content, content_type, direction }: ScreeningRequest, windowChars: number, imageCharsMax: number): readonly Subject[] | undefined {
  if (content_type === 'text') return cutWindows(content, windowChars)?.map((window) => ({ direction, content: window }));
  const url = imageUrl(content, imageCharsMax);
  return url === undefined ? undefined : [{ direction, content: [{ type: 'image_url', image_url: { url } }] }];
}
