/**
 * The http classifier: any service that scores texts over HTTP and JSON. By itself it POSTs
 * `{content, content_type, direction, categories, context}` and reads `{results: [ClassifierResult]}`; `request` and
 * `answer` in the configuration describe a service with another shape. What does not arrive, or is wrong, is unknown.
 */
import type { CreateClassifier } from '#contract/classifier.ts';
import { CONTENT_TYPES, DIRECTIONS, type ScreeningRequest } from '#contract/screening.ts';
import { JsonService, ServiceError } from './client.ts';
import { compileAnswer, compileTemplate, type AnswerReader, type Template } from './mapping.ts';
import { isMapping, readCategories, readCount, readFlag, readLanguages, readList, readService, readText, readUrl, refuseUnknown, type Given } from './options.ts';
import { resultsFrom, resultsOrUnknown, unknownResults, type Finding } from './results.ts';

const OPTIONS = ['url', 'categories', 'headers', 'content_types', 'directions', 'languages', 'needs_context', 'content_chars_max', 'connections', 'version', 'request', 'answer'] as const;

/** Longer content is not sent, and its scores are unknown (unsupported). */
export const CONTENT_CHARS_MAX = 1_000_000;
/** What `content_chars_max` may be raised to, for images. */
const CONTENT_CHARS_HIGHEST = 30_000_000;

const createHttp: CreateClassifier = (given) => {
  refuseUnknown(given, OPTIONS);
  const { id } = given;
  const url = readUrl(given, 'url');
  const categories = readCategories(given);
  const names = categories.map((category) => category.id);
  const charsMax = readCount(given, 'content_chars_max', { min: 1, max: CONTENT_CHARS_HIGHEST, fallback: CONTENT_CHARS_MAX });
  const send = given.request === undefined ? ownRequest(names) : compileTemplate(given.request, names);
  const answer = given.answer === undefined ? OWN_ANSWER : compileAnswer(given.answer, names);
  const service = new JsonService(readService(given, url));
  return {
    id,
    version: readText(given, 'version') ?? '1',
    categories,
    directions: readList(given, 'directions', DIRECTIONS, DIRECTIONS),
    contentTypes: readList(given, 'content_types', CONTENT_TYPES, ['text']),
    languages: readLanguages(given, ['*']),
    cost: 'slow',
    needsContext: readFlag(given, 'needs_context', false),
    idempotent: true,
    classify: async (request, signal) => {
      if (request.content.length > charsMax) return unknownResults({ id, categories }, 'unsupported');
      return resultsOrUnknown({ id, categories }, async () => {
        const findings = answer.read(await service.post(url.pathname + url.search, send(request), signal), request.content);
        return resultsFrom({ id, categories }, findings, answer.omitted);
      });
    },
    close: () => service.close(),
  };
};

export default createHttp;

function ownRequest(categories: readonly string[]): Template {
  return ({ content, content_type, direction, context = {} }: ScreeningRequest) => ({ content, content_type, direction, categories, context });
}

/** `{results: [ClassifierResult]}`. Its `classifier_id` is the service's own and not looked at; its `latency_ms` neither. */
const OWN_ANSWER: AnswerReader = {
  omitted: 'unknown',
  read(answer) {
    if (!isMapping(answer) || !Array.isArray(answer.results)) throw new ServiceError('error', 'the answer has no list of results');
    if (!answer.results.every(isMapping)) throw new ServiceError('error', 'the answer has a result that is no object');
    return answer.results.map(findingOf);
  },
};

/** Fields as they stand: the host checks them. Null is how many languages write what is absent. */
function findingOf({ category, score, label, spans, unknown, reason }: Given): Finding {
  if (unknown === true) return { category, unknown: reason } as Finding;
  return { category, score, label: label ?? undefined, spans: spans ?? undefined } as Finding;
}
