/**
 * OpenAI chat completions, as OpenAI and the many servers that imitate it speak it, Azure among them. Knows where text
 * stands in a request and what is no text; whatever string it does not know is text, so that a new field is screened the
 * day it appears. How answers are read is in openai-choices.
 */
import { WeirError } from '../contract/errors.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument } from './json.ts';
import { ChoicesReader, type ChoiceShape } from './openai-choices.ts';
import { DONE, errorAnswerAbout, filterVerdicts, frame, moderationWords, objectOf, parametersOf, textOf } from './openai.ts';
import { isAnswer, isObject, newestTurn, readSegments, type ExemptReason, type JsonObject, type LeafRules } from './walk.ts';

// What is no text.

const REQUEST_RULES: LeafRules = {
  exempt: {
    model: 'setting', service_tier: 'enum', reasoning_effort: 'enum', 'reasoning.effort': 'enum', verbosity: 'enum', prompt_cache_retention: 'enum',
    'messages[].role': 'enum', 'messages[].tool_call_id': 'id', 'messages[].audio.id': 'id', 'messages[].tool_calls[].id': 'id', 'messages[].tool_calls[].type': 'enum',
    'messages[].content[].type': 'enum', 'messages[].content[].image_url.detail': 'enum', 'messages[].content[].input_audio.format': 'enum', 'messages[].content[].cache_control.type': 'enum',
    'messages[].reasoning_details[].type': 'enum', 'messages[].reasoning_details[].format': 'enum', 'messages[].reasoning_details[].id': 'id', 'messages[].reasoning_details[].signature': 'signature',
    'messages[].extra_content.google.thought_signature': 'signature', 'messages[].tool_calls[].extra_content.google.thought_signature': 'signature',
    'tools[].type': 'enum', 'tools[].cache_control.type': 'enum', 'tools[].custom.format.type': 'enum', 'tools[].custom.format.grammar.syntax': 'enum',
    tool_choice: 'enum', 'tool_choice.type': 'enum', 'tool_choice.mode': 'enum', function_call: 'enum', 'response_format.type': 'enum',
    'modalities[]': 'enum', 'audio.format': 'enum', 'audio.voice': 'setting', 'audio.voice.id': 'id', 'web_search_options.search_context_size': 'enum', 'web_search_options.user_location.type': 'enum',
    'moderation.model': 'setting', 'moderation.policy.input.mode': 'enum', 'moderation.policy.output.mode': 'enum',
    'data_sources[].type': 'enum', ...sourceSecrets('data_sources[].parameters.authentication'), ...sourceSecrets('data_sources[].parameters.embedding_dependency.authentication'),
  },
  opaque: {
    'messages[].content[].image_url.url': 'image', 'messages[].content[].image_url': 'image', 'messages[].content[].video_url.url': 'video', 'messages[].content[].audio_url.url': 'audio',
    'messages[].content[].input_audio.data': 'audio', 'messages[].content[].file.file_data': 'file', 'messages[].content[].file.file_id': 'reference', 'messages[].content[].document_url': 'file',
    'messages[].reasoning_details[].data': 'encrypted',
  },
  json: /(?:^|\.)(?:function|function_call)\.arguments$/,
  named: ['tools[].function.parameters', 'functions[].parameters', 'response_format.json_schema.schema', 'tool_choice.allowed_tools.tools[]', 'metadata', 'chat_template_kwargs', 'structured_outputs.json', 'guided_json', 'json_schema'],
};

/** Azure's data sources hold the keys to them. */
function sourceSecrets(carrier: string): Readonly<Record<string, ExemptReason>> {
  return { [`${carrier}.type`]: 'enum', ...Object.fromEntries(['key', 'connection_string', 'encoded_api_key', 'access_token'].map((name) => [`${carrier}.${name}`, 'secret'])) };
}

/** Exempt in a delta and in a message alike. */
const MESSAGE_EXEMPT: Readonly<Record<string, ExemptReason>> = {
  role: 'enum', channel: 'enum', 'tool_calls[].id': 'id', 'tool_calls[].type': 'enum', 'audio.id': 'id', 'audio.data': 'media',
  'reasoning_details[].type': 'enum', 'reasoning_details[].format': 'enum', 'reasoning_details[].id': 'id', 'reasoning_details[].signature': 'signature', 'reasoning_details[].data': 'ciphertext',
};

const ANSWER_RULES: LeafRules = {
  // The list of the messages that a kept completion answers.
  sameAs: [[/^data\[\]\./, 'choices[].message.']],
  exempt: {
    id: 'id', first_id: 'id', last_id: 'id', 'choices[].message.id': 'id', 'choices[].message.content_parts[].type': 'enum', object: 'enum', model: 'setting', provider: 'setting', system_fingerprint: 'id', service_tier: 'enum', 'x_groq.id': 'id', generationId: 'id', obfuscation: 'padding', p: 'padding',
    'choices[].finish_reason': 'enum', 'choices[].native_finish_reason': 'enum',
    ...['choices[].content_filter_results', 'choices[].content_filter_result', 'prompt_filter_results[].content_filter_results', 'prompt_annotations[].content_filter_results'].reduce((all, carrier) => ({ ...all, ...filterVerdicts(carrier) }), {}),
    ...moderationWords('moderation.input'), ...moderationWords('moderation.output'),
    ...Object.fromEntries(['delta', 'message'].flatMap((holder) => Object.entries(MESSAGE_EXEMPT).map(([leaf, reason]) => [`choices[].${holder}.${leaf}`, reason]))),
  },
  named: ['metadata'],
  dependent: ['choices[].logprobs', 'choices[].prompt_logprobs', 'prompt_logprobs'],
};

const SHAPE: ChoiceShape = {
  rules: ANSWER_RULES,
  objects: { chunk: 'chat.completion.chunk', body: 'chat.completion' },
  holders: { chunk: 'delta', body: 'message' },
  carried: /^\d+\/[^/~]+$/,
  textChoice: (index, text, field = 'content') => ({ index, delta: { [field]: text }, finish_reason: null }),
  endChoice: (index, finish) => ({ index, delta: {}, logprobs: null, finish_reason: finish }),
  wholeChoice: (index, text, finish) => ({ index, message: { role: 'assistant', content: text, refusal: null }, logprobs: null, finish_reason: finish }),
};

export const openaiChat: Dialect = {
  id: 'openai-chat',
  operation: 'chat',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  readRequest,
  error: errorAnswerAbout('messages'),
  fallback: fallbackAnswer,
  createReader: () => new ChoicesReader(SHAPE),
};

// Requests.

const PARAMETERS = ['n', 'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'frequency_penalty', 'presence_penalty', 'seed', 'logprobs', 'top_logprobs'] as const;

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  const { messages } = body;
  if (!Array.isArray(messages)) throw new WeirError('invalid_request', 'the body has no list "messages"');
  const newest = newestTurn(messages, isAnswer);
  return {
    ...readSegments(body, REQUEST_RULES, ([field, index]) => {
      if (field !== 'messages') return { history: false };
      const message: unknown = messages[index as number];
      return { role: isObject(message) ? textOf(message.role) : undefined, history: (index as number) < newest };
    }),
    stream: body.stream === true,
    model: textOf(body.model),
    parameters: parametersOf(body, PARAMETERS),
    serviceTier: textOf(body.service_tier),
    userId: textOf(body.user),
  };
}

// Errors and blocks.

function fallbackAnswer(request: RequestReading, message: string, requestId: string, nowMs: number): { contentType: string; body: Buffer } {
  const common = { id: `chatcmpl-${requestId}`, created: Math.floor(nowMs / 1000), model: request.model ?? '' };
  if (!request.stream) {
    const choice = { index: 0, message: { role: 'assistant', content: message, refusal: null }, logprobs: null, finish_reason: 'stop' };
    const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
    return { contentType: 'application/json', body: Buffer.from(JSON.stringify({ ...common, object: 'chat.completion', choices: [choice], usage })) };
  }
  const chunk = (delta: JsonObject, finish: string | null): string => frame({ ...common, object: 'chat.completion.chunk', choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  const body = chunk({ role: 'assistant', content: '' }, null) + chunk({ content: message }, null) + chunk({}, 'stop') + DONE;
  return { contentType: 'text/event-stream; charset=utf-8', body: Buffer.from(body) };
}
