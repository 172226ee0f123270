/**
 * Anthropic's Messages API: where text stands in a request, and what errors and safe answers look like. Whatever string
 * it does not know is text. What the provider signed (thinking, compaction) passes whole or not at all. Where text
 * stands in answers is in anthropic-answers.ts.
 */
import { WeirError } from '../contract/errors.ts';
import { ANSWER_RULES, MessageReader, messageOf, saidEvents } from './anthropic-answers.ts';
import { BLOCK_EXEMPT, BLOCK_NAMED, BLOCK_NUMBERED, BLOCK_OPAQUE, blocksAndTools, errorAnswer, isSigned } from './anthropic.ts';
import type { Dialect, RequestReading } from './dialect.ts';
import type { JsonDocument, JsonPath } from './json.ts';
import { objectOf, parametersOf, textOf } from './openai.ts';
import { isAnswer, isObject, newestTurn, readSegments, type LeafRules } from './walk.ts';

const REQUEST_RULES: LeafRules = {
  sameAs: blocksAndTools(String.raw`messages\[\]\.content\[\]|system\[\]`),
  exempt: {
    ...BLOCK_EXEMPT,
    model: 'setting', service_tier: 'enum', speed: 'enum', inference_geo: 'setting', anthropic_version: 'setting', 'anthropic_beta[]': 'setting', user_profile_id: 'id', workspace_id: 'id',
    'messages[].role': 'enum', 'messages[].clear_at': 'enum', 'messages[].output_config.effort': 'enum', 'cache_control.type': 'enum', 'cache_control.ttl': 'enum',
    'tool_choice.type': 'enum',
    'thinking.type': 'enum', 'thinking.display': 'enum', 'thinking.block_binding.prefix_mismatch_behavior': 'enum',
    'output_config.effort': 'enum', 'output_config.format.type': 'enum', 'output_config.task_budget.type': 'enum', 'output_format.type': 'enum',
    'mcp_servers[].type': 'enum', 'mcp_servers[].authorization_token': 'secret', fallback_credit_token: 'secret', 'fallback_credit_token.token': 'secret', 'fallback_credit_token.mode': 'enum',
    'context_management.edits[].type': 'setting', 'context_management.edits[].trigger.type': 'enum', 'context_management.edits[].keep': 'enum', 'context_management.edits[].keep.type': 'enum',
    'context_management.edits[].clear_at_least.type': 'enum', 'compaction.type': 'enum', 'thread.type': 'enum', 'diagnostics.previous_message_id': 'id', 'billing_policy.type': 'enum', 'billing_policy.bill_to': 'enum',
    fallbacks: 'enum',
    'container.skills[].type': 'enum', 'container.skills[].version': 'setting',
  },
  opaque: {
    'block.encrypted_content': 'encrypted', 'block.encrypted_stdout': 'encrypted', 'block.citations[].encrypted_index': 'encrypted', 'block.file_id': 'reference', 'block.source.file_id': 'reference',
    container: 'reference', 'container.id': 'reference', 'container.skills[].skill_id': 'reference', 'thread.previous_message_id': 'reference',
  },
  opaqueWhen: BLOCK_OPAQUE,
  named: [...BLOCK_NAMED, 'output_config.format.schema', 'output_format.schema', 'fallbacks[]', 'metadata'],
  numbered: BLOCK_NUMBERED,
};
const PARAMETERS = ['max_tokens', 'temperature', 'top_p', 'top_k'] as const;

export const anthropicMessages: Dialect = {
  id: 'anthropic-messages',
  operation: 'chat',
  requestRules: REQUEST_RULES,
  answerRules: ANSWER_RULES,
  streamEnds: ['message_stop'],
  readRequest,
  error: errorAnswer,
  fallback(request, message, requestId) {
    const head = { id: `msg_${requestId}`, model: request.model ?? '' };
    if (request.stream) return { contentType: 'text/event-stream; charset=utf-8', body: Buffer.from(saidEvents(head, message)) };
    return { contentType: 'application/json', body: Buffer.from(JSON.stringify(messageOf(head, message))) };
  },
  createReader: (request) => new MessageReader(request),
};

/** `count_tokens` takes the same requests. What is answered here costs no tokens. */
export const anthropicTokenCount: Dialect = {
  ...anthropicMessages,
  operation: 'count_tokens',
  fallback: () => ({ contentType: 'application/json', body: Buffer.from(JSON.stringify({ input_tokens: 0 })) }),
};

function readRequest(document: JsonDocument): RequestReading {
  const body = objectOf(document);
  const { messages, thinking, metadata } = body;
  if (!Array.isArray(messages)) throw new WeirError('invalid_request', 'the body has no list "messages"');
  const newest = newestTurn(messages, isAnswer);
  return {
    ...readSegments(body, REQUEST_RULES, (path) => (path[0] === 'messages' ? aboutMessage(messages, path, newest) : { role: path[0] === 'system' ? 'system' : undefined, history: false })),
    stream: body.stream === true,
    model: textOf(body.model),
    parameters: { ...parametersOf(body, PARAMETERS), ...(isObject(thinking) ? { thinking: thinking.type !== 'disabled' } : {}) },
    serviceTier: textOf(body.service_tier),
    userId: isObject(metadata) ? textOf(metadata.user_id) : undefined,
  };
}

/** Results of tools stand in messages of the user. */
const RESULT = /_result$/;

function aboutMessage(messages: readonly unknown[], path: JsonPath, newest: number): { readonly role?: string; readonly history: boolean; readonly fixed: boolean } {
  const index = path[1] as number;
  const message = messages[index];
  const { role, content } = isObject(message) ? message : { role: undefined, content: undefined };
  const block: unknown = Array.isArray(content) ? content[path[3] as number] : undefined;
  const isResult = isObject(block) && RESULT.test(String(block.type));
  return { role: isResult ? 'tool' : textOf(role), history: index < newest, fixed: isSigned(block) };
}
