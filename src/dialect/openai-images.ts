/**
 * OpenAI images: prompts for pictures, as JSON or with pictures as a form. The pictures themselves cannot be read here; the prompt that a model
 * made of the caller's can. A streamed answer holds the picture several times, each better than the last.
 */
import { WeirError } from '../contract/errors.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import { fieldOf, isTrue, numbersOf, readFields } from './form-fields.ts';
import type { FormDocument } from './form.ts';
import type { JsonDocument } from './json.ts';
import { RecordReader, refuseInstead } from './openai-records.ts';
import { errorAnswerAbout, filterVerdicts, objectOf, parametersOf, textOf } from './openai.ts';
import { readSegments, type LeafRules } from './walk.ts';

const REQUEST_RULES: LeafRules = {
  exempt: {
    n: 'number', partial_images: 'number', output_compression: 'number', stream: 'enum', model: 'setting', background: 'enum', input_fidelity: 'enum', moderation: 'enum', output_format: 'enum', quality: 'enum', response_format: 'enum', size: 'enum', style: 'enum',
    'image.type': 'enum', 'images[].type': 'enum',
  },
  opaque: {
    image: 'image', 'image[]': 'image', 'image.url': 'image', 'images[].image_url': 'image', 'images[].url': 'image', 'images[].file_id': 'reference',
    mask: 'image', 'mask.image_url': 'image', 'mask.file_id': 'reference',
  },
};

const ANSWER_RULES: LeafRules = {
  exempt: {
    type: 'enum', background: 'enum', output_format: 'enum', quality: 'enum', size: 'enum', b64_json: 'media',
    'data[].b64_json': 'media', 'data[].url': 'url', 'data[].mime_type': 'enum',
    ...filterVerdicts('data[].content_filter_results'), ...filterVerdicts('data[].prompt_filter_results'),
  },
};

export const openaiImages: Dialect = {
  id: 'openai-images',
  operation: 'generate_content',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readRequest,
  readForm,
  error: errorAnswerAbout('prompt'),
  fallback: refuseInstead,
  createReader: () => new RecordReader(ANSWER_RULES),
};

const NUMBERS = ['n', 'partial_images', 'output_compression'] as const;

/** Edits and variations. */
function readForm(form: FormDocument): RequestReading {
  return {
    ...readFields(form, REQUEST_RULES),
    stream: isTrue(fieldOf(form, 'stream')),
    model: fieldOf(form, 'model'),
    parameters: numbersOf(form, NUMBERS),
    userId: fieldOf(form, 'user'),
  };
}

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  const { prompt, image, images } = body;
  // A variation is of a picture alone.
  if (typeof prompt !== 'string' && (prompt !== undefined || (image ?? images) === undefined)) throw new WeirError('invalid_request', 'the body has no text "prompt"');
  return {
    ...readSegments(body, REQUEST_RULES, () => ({ history: false })),
    stream: body.stream === true,
    model: textOf(body.model),
    parameters: parametersOf(body, NUMBERS),
    userId: textOf(body.user),
  };
}
