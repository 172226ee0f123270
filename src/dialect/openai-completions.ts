/**
 * OpenAI completions, the older endpoint: a text is gone on with. Prompts are texts, or token numbers that nothing here
 * can read. With `echo` the prompt comes back in front of the answer, and is screened again there.
 */
import { WeirError } from '../contract/errors.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { ChoicesReader, type ChoiceShape } from './openai-choices.ts';
import { DONE, errorAnswerAbout, filterVerdicts, frame, objectOf, parametersOf, textOf, tokenParts } from './openai.ts';
import { readSegments, type JsonObject, type LeafRules } from './walk.ts';

const REQUEST_RULES: LeafRules = {
  exempt: { model: 'setting', service_tier: 'enum' },
  opaque: { prompt_embeds: 'tokens', 'prompt_embeds[]': 'tokens' },
  named: ['metadata', 'structured_outputs.json', 'guided_json', 'json_schema'],
};

const ANSWER_RULES: LeafRules = {
  exempt: {
    id: 'id', object: 'enum', model: 'setting', provider: 'setting', system_fingerprint: 'id', service_tier: 'enum', obfuscation: 'padding',
    'choices[].finish_reason': 'enum', 'choices[].native_finish_reason': 'enum', 'choices[].delta.role': 'enum',
    ...filterVerdicts('choices[].content_filter_results'), ...filterVerdicts('prompt_filter_results[].content_filter_results'), ...filterVerdicts('prompt_annotations[].content_filter_results'),
  },
  dependent: ['choices[].logprobs', 'choices[].prompt_logprobs', 'prompt_logprobs'],
};

const choice = (index: unknown, text: string, finish: string | null): JsonObject => ({ text, index, logprobs: null, finish_reason: finish });

const SHAPE: ChoiceShape = {
  rules: ANSWER_RULES,
  objects: { chunk: 'text_completion', body: 'text_completion' },
  holders: { chunk: '', body: '' },
  carried: /^\d+\/text$/,
  textChoice: (index, text) => choice(index, text, null),
  endChoice: (index, finish) => choice(index, '', finish),
  wholeChoice: choice,
};

export const openaiCompletions: Dialect = {
  id: 'openai-completions',
  operation: 'text_completion',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readRequest,
  error: errorAnswerAbout('prompt'),
  fallback: fallbackAnswer,
  createReader: () => new ChoicesReader(SHAPE),
};

const PARAMETERS = ['n', 'best_of', 'echo', 'temperature', 'top_p', 'max_tokens', 'frequency_penalty', 'presence_penalty', 'seed', 'logprobs'] as const;

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  const { prompt, prompt_embeds: embeds } = body;
  if (typeof prompt !== 'string' && !Array.isArray(prompt) && embeds === undefined) throw new WeirError('invalid_request', 'the body has no text or list "prompt"');
  const { segments, opaque } = readSegments(body, REQUEST_RULES, () => ({ history: false }));
  return {
    segments,
    opaque: [...tokenParts('prompt', prompt), ...opaque],
    stream: body.stream === true,
    model: textOf(body.model),
    parameters: parametersOf(body, PARAMETERS),
    userId: textOf(body.user),
  };
}

function fallbackAnswer(request: RequestReading, message: string, requestId: string, nowMs: number): { contentType: string; body: Buffer } {
  const common = { id: `cmpl-${requestId}`, object: 'text_completion', created: Math.floor(nowMs / 1000), model: request.model ?? '' };
  if (request.stream) {
    const body = frame({ ...common, choices: [choice(0, message, null)] }) + frame({ ...common, choices: [choice(0, '', 'stop')] }) + DONE;
    return { contentType: 'text/event-stream; charset=utf-8', body: Buffer.from(body) };
  }
  return { contentType: 'application/json', body: Buffer.from(JSON.stringify({ ...common, choices: [choice(0, message, 'stop')], usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } })) };
}
