/**
 * OpenAI moderations: somebody asks what is wrong with a text, so the text may be of any kind. Forwarded, it is screened
 * for the record, and nothing is blocked or changed for what it says. Answered here, the request is read strictly, since
 * what is not read would not be judged, and the answer has OpenAI's shape; what nobody judged is null in it.
 */
import { WeirError } from '../contract/errors.ts';
import type { Segment } from '../contract/exchange.ts';
import { MODERATION_CATEGORIES, type ContentType } from '../contract/screening.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { RecordReader, refuseInstead } from './openai-records.ts';
import { errorAnswerAbout, moderationWords, objectOf, textOf } from './openai.ts';
import { isObject, readSegments, type LeafRules } from './walk.ts';

const REQUEST_RULES: LeafRules = {
  exempt: { model: 'setting', 'input[].type': 'enum' },
  opaque: { 'input[].image_url.url': 'image' },
};

const ANSWER_RULES: LeafRules = {
  exempt: { id: 'id', ...moderationWords('') },
};

export const openaiModerations: Dialect = {
  id: 'openai-moderations',
  operation: 'moderation',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readRequest,
  error: errorAnswerAbout('input'),
  fallback: refuseInstead,
  createReader: () => new RecordReader(ANSWER_RULES),
};

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  if (typeof body.input !== 'string' && !Array.isArray(body.input)) throw new WeirError('invalid_request', 'the body has no text or list "input"');
  return { ...readSegments(body, REQUEST_RULES, () => ({ history: false })), stream: false, model: textOf(body.model), parameters: {}, observed: true };
}

// Answered here.

/** Texts, or parts of one input, in one request. */
export const MODERATION_INPUTS_MAX = 100;

/** What is asked: each group of segments gets one result. */
export interface ModerationRequest {
  readonly model?: string;
  readonly inputs: readonly (readonly Segment[])[];
}

/** One category of one result; `score` is absent where nobody judged it. */
export interface ModeratedCategory {
  readonly score?: number;
  /** In place of a score, from a classifier that does not trust itself in that language. */
  readonly guess?: number;
  readonly flagged?: boolean;
  /** The types of input that the score is about. */
  readonly judged: readonly ContentType[];
}

/** A text has one result, a list of texts one each, a list of parts one for all. Throws invalid_request. */
export function readModeration(document: JsonDocument): ModerationRequest {
  const { input, model } = objectOf(document);
  const named = textOf(model);
  const about = named === undefined ? {} : { model: named };
  if (typeof input === 'string') return { ...about, inputs: [[segment('input', 'input', 'text', input)]] };
  if (!Array.isArray(input) || input.length === 0) throw new WeirError('invalid_request', '"input" is neither a text nor a list with anything in it');
  if (input.length > MODERATION_INPUTS_MAX) throw new WeirError('invalid_request', `${input.length} inputs in one request, the limit is ${MODERATION_INPUTS_MAX}`);
  if (input.every((one) => typeof one === 'string')) return { ...about, inputs: input.map((text, i) => [segment(`input[${i}]`, 'input[]', 'text', text)]) };
  return { ...about, inputs: [input.map(partSegment)] };
}

function partSegment(part: unknown, i: number): Segment {
  if (isObject(part)) {
    const { type, text, image_url: image } = part;
    if (type === 'text' && typeof text === 'string') return segment(`input[${i}].text`, 'input[].text', 'text', text);
    if (type === 'image_url' && isObject(image) && typeof image.url === 'string') return segment(`input[${i}].image_url.url`, 'input[].image_url.url', 'image', image.url);
  }
  throw new WeirError('invalid_request', `"input[${i}]" is neither a part of type text nor one of type image_url, or texts and parts stand in one list`);
}

function segment(path: string, carrier: string, contentType: ContentType, content: string): Segment {
  return { path, carrier, contentType, ...(contentType === 'image' ? { opaque: 'image' } : {}), content, history: false };
}

/** The model that answers here has no name of OpenAI's. */
const OWN_MODEL = 'weir';

/** The answer: for each input, each category's judgement by name. Flagged is what any category is. */
export function moderationAnswer(requestId: string, results: readonly ReadonlyMap<string, ModeratedCategory>[]): unknown {
  return {
    id: `modr-${requestId}`,
    model: OWN_MODEL,
    results: results.map((categories) => {
      const each = <T>(valueOf: (category: ModeratedCategory) => T): Readonly<Record<string, T>> => Object.fromEntries(MODERATION_CATEGORIES.map((name) => [name, valueOf(categories.get(name) ?? NOT_JUDGED)]));
      return {
        flagged: [...categories.values()].some(({ flagged }) => flagged === true),
        categories: each(({ flagged }) => flagged ?? null),
        category_scores: each(({ score, guess }) => score ?? guess ?? null),
        category_applied_input_types: each(({ judged }) => judged),
      };
    }),
  };
}

const NOT_JUDGED: ModeratedCategory = { judged: [] };
