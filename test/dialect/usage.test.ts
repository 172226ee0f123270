/** What an answer says of itself, as each dialect names it, in whole answers and in streams. */
import t from 'tap';
import type { AnswerFacts, AnswerUsage } from '../../src/contract/answer.ts';
import { anthropicMessages } from '../../src/dialect/anthropic-messages.ts';
import type { Dialect } from '../../src/dialect/dialect.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { openaiCompletions } from '../../src/dialect/openai-completions.ts';
import { openaiEmbeddings } from '../../src/dialect/openai-embeddings.ts';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';

interface Case {
  readonly name: string;
  readonly dialect: Dialect;
  readonly body?: object;
  readonly events?: readonly object[];
  readonly usage: AnswerUsage | undefined;
  readonly facts: AnswerFacts;
}

const CHAT = { id: 'c1', model: 'gpt-x', service_tier: 'flex', system_fingerprint: 'fp_1' };
const CHAT_USAGE = { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4, cache_write_tokens: 2 }, completion_tokens_details: { reasoning_tokens: 3 } };
const CHAT_READ: AnswerUsage = { inputTokens: 10, outputTokens: 5, cacheReadTokens: 4, cacheWriteTokens: 2, reasoningTokens: 3 };
const CHAT_FACTS: AnswerFacts = { responseId: 'c1', model: 'gpt-x', finishReasons: ['stop'], serviceTier: 'flex', fingerprint: 'fp_1' };
const RESPONSE = { id: 'r1', object: 'response', model: 'gpt-x', status: 'completed', service_tier: 'default', output: [], usage: { input_tokens: 8, output_tokens: 6, input_tokens_details: { cached_tokens: 1 }, output_tokens_details: { reasoning_tokens: 2 } } };
const RESPONSE_READ = { usage: { inputTokens: 8, outputTokens: 6, cacheReadTokens: 1, reasoningTokens: 2 }, facts: { responseId: 'r1', model: 'gpt-x', finishReasons: ['completed'], serviceTier: 'default' } };
const MESSAGE = { id: 'm1', type: 'message', role: 'assistant', model: 'claude-x', content: [], stop_reason: null };
const MESSAGE_USAGE = { input_tokens: 3, cache_creation_input_tokens: 20, cache_read_input_tokens: 100, output_tokens: 1, service_tier: 'standard' };
const MESSAGE_READ = { inputTokens: 123, cacheReadTokens: 100, cacheWriteTokens: 20 };

const CASES: readonly Case[] = [
  { name: 'chat, whole', dialect: openaiChat, body: { ...CHAT, choices: [{ index: 0, message: { content: 'x' }, finish_reason: 'stop' }], usage: CHAT_USAGE }, usage: CHAT_READ, facts: CHAT_FACTS },
  { name: 'chat, stream with its last chunk', dialect: openaiChat, events: [{ ...CHAT, choices: [{ index: 0, delta: { content: 'x' } }] }, { ...CHAT, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }, { ...CHAT, choices: [], usage: CHAT_USAGE }], usage: CHAT_READ, facts: CHAT_FACTS },
  { name: 'chat, stream without usage', dialect: openaiChat, events: [{ ...CHAT, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }], usage: undefined, facts: CHAT_FACTS },
  { name: 'chat of a server without details', dialect: openaiChat, body: { id: 'c', model: 'm', choices: [], usage: { prompt_tokens: 9, completion_tokens: 1, prompt_cache_hit_tokens: 7 } }, usage: { inputTokens: 9, outputTokens: 1, cacheReadTokens: 7 }, facts: { responseId: 'c', model: 'm', finishReasons: [] } },
  { name: 'counts that are none', dialect: openaiChat, body: { id: 'c', model: 'm', choices: [], usage: { prompt_tokens: '9', completion_tokens: null, prompt_tokens_details: 'x' } }, usage: {}, facts: { responseId: 'c', model: 'm', finishReasons: [] } },
  { name: 'completions', dialect: openaiCompletions, body: { ...CHAT, choices: [{ index: 0, text: 'x', finish_reason: 'stop' }], usage: CHAT_USAGE }, usage: CHAT_READ, facts: CHAT_FACTS },
  { name: 'responses, whole', dialect: openaiResponses, body: RESPONSE, ...RESPONSE_READ },
  { name: 'responses, stream', dialect: openaiResponses, events: [{ type: 'response.created', response: { ...RESPONSE, status: 'in_progress', usage: null } }, { type: 'response.completed', response: RESPONSE }], ...RESPONSE_READ },
  { name: 'embeddings', dialect: openaiEmbeddings, body: { model: 'e', data: [], usage: { prompt_tokens: 12, total_tokens: 12 } }, usage: { inputTokens: 12 }, facts: { model: 'e', finishReasons: [] } },
  { name: 'messages, whole', dialect: anthropicMessages, body: { ...MESSAGE, stop_reason: 'end_turn', usage: { ...MESSAGE_USAGE, output_tokens: 9 } }, usage: { ...MESSAGE_READ, outputTokens: 9 }, facts: { responseId: 'm1', model: 'claude-x', finishReasons: ['end_turn'], serviceTier: 'standard' } },
  { name: 'messages, stream', dialect: anthropicMessages, events: [{ type: 'message_start', message: { ...MESSAGE, usage: MESSAGE_USAGE } }, { type: 'message_delta', delta: { stop_reason: 'max_tokens' }, usage: { output_tokens: 40 } }], usage: { ...MESSAGE_READ, outputTokens: 40 }, facts: { responseId: 'm1', model: 'claude-x', finishReasons: ['max_tokens'], serviceTier: 'standard' } },
];

t.test('what an answer says of itself is read as each dialect names it', async (t) => {
  for (const { name, dialect, body, events = [], usage, facts } of CASES) {
    const reader = dialect.createReader({ segments: [], opaque: [], parameters: {}, stream: body === undefined });
    if (body !== undefined) reader.readBody(body);
    for (const event of events) reader.readEvent(event);
    t.same(known(reader.usage()), usage, `${name}: usage`);
    t.same(known(reader.facts()), facts, `${name}: facts`);
  }
});

function known(values: object | undefined): object | undefined {
  return values && Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
