/**
 * OpenAI embeddings: the texts that are to become vectors. The answer holds numbers, or base64 of them as the client
 * asked for; what else is in it (errors, fields that are new) is text.
 */
import { WeirError } from '../contract/errors.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { RecordReader, refuseInstead } from './openai-records.ts';
import { errorAnswerAbout, objectOf, parametersOf, textOf, tokenParts } from './openai.ts';
import { readSegments, type LeafRules } from './walk.ts';

const REQUEST_RULES: LeafRules = {
  exempt: {
    model: 'setting', encoding_format: 'enum', input_type: 'enum', output_dtype: 'enum', truncate: 'enum', priority: 'enum',
    'messages[].role': 'enum', 'messages[].content[].type': 'enum', 'input[].content[].type': 'enum',
  },
  opaque: { 'messages[].content[].image_url.url': 'image', 'input[].content[].image_url.url': 'image' },
};

const ANSWER_RULES: LeafRules = {
  exempt: { id: 'id', object: 'enum', model: 'setting', provider: 'setting', 'data[].object': 'enum', 'data[].embedding': 'media' },
};

export const openaiEmbeddings: Dialect = {
  id: 'openai-embeddings',
  operation: 'embeddings',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readRequest,
  error: errorAnswerAbout('input'),
  fallback: refuseInstead,
  createReader: () => new RecordReader(ANSWER_RULES),
};

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  const { input, messages } = body;
  // Some servers take a conversation in place of the texts.
  if (typeof input !== 'string' && !Array.isArray(input) && !Array.isArray(messages)) throw new WeirError('invalid_request', 'the body has no text or list "input"');
  const { segments, opaque } = readSegments(body, REQUEST_RULES, () => ({ history: false }));
  return { segments, opaque: [...tokenParts('input', input), ...opaque], stream: false, model: textOf(body.model), parameters: parametersOf(body, ['dimensions']), userId: textOf(body.user) };
}
