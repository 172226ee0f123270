/**
 * The usage object of the OpenAI dialects, under the names of all their endpoints: `prompt_tokens` and `completion_tokens`
 * of chat, completions and embeddings, `input_tokens` and `output_tokens` of responses, images and audio. Pure.
 */
import type { AnswerUsage } from '../contract/answer.ts';
import { numberOf } from './openai.ts';
import { isObject, type JsonObject } from './walk.ts';

const NONE: JsonObject = {};

export function usageOf(usage: JsonObject): AnswerUsage {
  const input = detailsOf(usage.prompt_tokens_details ?? usage.input_tokens_details);
  const output = detailsOf(usage.completion_tokens_details ?? usage.output_tokens_details);
  return {
    inputTokens: numberOf(usage.prompt_tokens ?? usage.input_tokens),
    outputTokens: numberOf(usage.completion_tokens ?? usage.output_tokens),
    // DeepSeek has no details.
    cacheReadTokens: numberOf(input.cached_tokens ?? usage.prompt_cache_hit_tokens),
    cacheWriteTokens: numberOf(input.cache_write_tokens),
    reasoningTokens: numberOf(output.reasoning_tokens),
  };
}

function detailsOf(value: unknown): JsonObject {
  return isObject(value) ? value : NONE;
}
