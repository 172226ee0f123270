/**
 * OpenAI moderations, forwarded: somebody asks what is wrong with a text, so the text may be of any kind. It is screened
 * for the record; nothing is blocked or changed for what it says.
 */
import { WeirError } from '../contract/errors.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { RecordReader, refuseInstead } from './openai-records.ts';
import { errorAnswerAbout, moderationWords, objectOf, textOf } from './openai.ts';
import { readSegments, type LeafRules } from './walk.ts';

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
