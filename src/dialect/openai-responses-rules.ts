/**
 * Which strings of the Responses API are no text. Items, their parts and tools stand in many places of requests, answers
 * and events, and have one name here: `item`, `part`, `tool`.
 */
import type { OpaqueKind } from '../contract/exchange.ts';
import type { ExemptReason, JsonObject, LeafRules } from './walk.ts';

type Exempt = Readonly<Record<string, ExemptReason>>;
type Places = NonNullable<LeafRules['sameAs']>;

const enums = (...carriers: readonly string[]): Exempt => Object.fromEntries(carriers.map((carrier) => [carrier, 'enum']));

/** Parts of messages, and of what a tool gave back; tools that an item brings along, and tools of a namespace; whatever a header is called. */
const INSIDE_ITEMS: Places = [[/^item\.(?:content\[\]|output\[\]|output)\./, 'part.'], [/^(?:item\.)?tools\[\]\./, 'tool.'], [/^tool\.tools\[\]\./, 'tool.'], [/^tool\.headers\..+/, 'tool.headers.*']];

const ITEM_EXEMPT: Exempt = {
  ...enums('item.type', 'item.status', 'item.role', 'item.object', 'item.phase', 'item.execution', 'item.caller.type', 'item.summary[].type', 'item.action', 'item.action.type', 'item.action.button', 'item.action.sources[].type',
    'item.actions[].type', 'item.actions[].button', 'item.pending_safety_checks[].code', 'item.acknowledged_safety_checks[].code', 'item.outputs[].type', 'item.environment.type', 'item.operation.type', 'item.error.type',
    'item.error.code', 'item.text.format.type', 'item.size', 'item.quality', 'item.background', 'item.output_format', 'part.type', 'part.detail', 'part.input_audio.format', 'part.annotations[].type', 'part.outcome.type'),
  'item.id': 'id', 'item.call_id': 'id', 'item.item_id': 'id', 'item.approval_request_id': 'id', 'item.caller.caller_id': 'id', 'item.container_id': 'id', 'item.environment.container_id': 'id', 'item.created_by': 'id',
  'item.results[].file_id': 'id', 'item.pending_safety_checks[].id': 'id', 'item.acknowledged_safety_checks[].id': 'id', 'item.fingerprint': 'ciphertext',
  'part.id': 'id', 'part.created_by': 'id', 'part.annotations[].file_id': 'id', 'part.annotations[].container_id': 'id',
};

const TOOL_EXEMPT: Exempt = {
  ...enums('tool.type', 'tool.execution', 'tool.environment', 'tool.require_approval', 'tool.connector_id', 'tool.search_context_size', 'tool.user_location.type', 'tool.user_location.country', 'tool.ranking_options.ranker',
    'tool.filters.type', 'tool.format.type', 'tool.format.syntax', 'tool.size', 'tool.quality', 'tool.background', 'tool.moderation', 'tool.output_format', 'tool.input_fidelity', 'tool.action',
    'tool.allowed_callers[]', 'tool.search_content_types[]', 'tool.container.type', 'tool.container.memory_limit', 'tool.container.network_policy.type', 'tool.environment.type', 'tool.environment.memory_limit',
    'tool.environment.network_policy.type', 'tool.environment.skills[].type', 'tool.environment.skills[].source.type', 'tool.environment.skills[].source.media_type'),
  'tool.model': 'setting', 'tool.environment.skills[].version': 'setting', 'tool.tunnel_id': 'id',
  'tool.authorization': 'secret', 'tool.headers.*': 'secret', 'tool.container.network_policy.domain_secrets[].value': 'secret', 'tool.environment.network_policy.domain_secrets[].value': 'secret',
};

/** What an answer says of the request too. */
const SETTINGS: Exempt = {
  ...enums('truncation', 'service_tier', 'prompt_cache_retention', 'reasoning.effort', 'reasoning.summary', 'reasoning.generate_summary', 'reasoning.mode', 'reasoning.context', 'text.verbosity', 'text.format.type',
    'tool_choice', 'tool_choice.type', 'tool_choice.mode', 'context_management[].type', 'include[]', 'moderation.policy.input.mode', 'moderation.policy.output.mode'),
  model: 'setting', 'moderation.model': 'setting', 'prompt.version': 'setting',
};

const OPAQUE: Readonly<Record<string, OpaqueKind>> = {
  'item.encrypted_content': 'encrypted', 'part.encrypted_content': 'encrypted', 'item.outputs[].url': 'image', 'part.image_url': 'image', 'part.image_url.url': 'image', 'part.input_audio.data': 'audio', 'part.file_data': 'file',
  'tool.input_image_mask.image_url': 'image', 'tool.environment.skills[].source.data': 'file',
};

/** Ids of what the provider keeps: the text that they bring in stands there. */
const REFERENCES: readonly string[] = [
  'previous_response_id', 'conversation', 'conversation.id', 'prompt.id', 'part.file_id', 'tool.container', 'tool.container.file_ids[]', 'tool.vector_store_ids[]', 'tool.environment.container_id', 'tool.environment.file_ids[]',
  'tool.environment.skills[].skill_id', 'tool.input_image_mask.file_id',
];

/** Variables of a stored prompt have names of the client's own, so what is in one is known by its type. */
const VARIABLE_PARTS: ReadonlyMap<string, OpaqueKind> = new Map([['image_url', 'image'], ['file_data', 'file'], ['file_url', 'file'], ['file_id', 'reference']]);

/** The result of a picture is the picture; that of a program is text. */
const pictureOf = ({ type }: JsonObject): OpaqueKind | undefined => (type === 'image_generation_call' ? 'image' : undefined);

const NAMED: readonly string[] = [
  'metadata', 'prompt.variables', 'text.format.schema', 'tool_choice.tools[]', 'item.text.format.schema', 'item.error.content', 'error.content', 'item.arguments', 'arguments', 'item.action.env', 'item.results[].attributes', 'tool.parameters', 'tool.input_schema', 'tool.output_schema', 'tool.annotations', 'tool.filters.filters[]',
];

const JSON_TEXT = /(?:^|\.)arguments$/;

export const REQUEST_RULES: LeafRules = {
  sameAs: [[/^(?:input|items)\[\]\./, 'item.'], ...INSIDE_ITEMS],
  exempt: { ...SETTINGS, ...ITEM_EXEMPT, ...TOOL_EXEMPT },
  opaque: { ...OPAQUE, ...Object.fromEntries(REFERENCES.map((carrier) => [carrier, 'reference' as const])), 'part.file_url': 'file', 'tool.server_url': 'remote_url' },
  opaqueWhen: {
    'item.result': pictureOf,
    'prompt.variables.*.*': ({ type }, _, name) => (type === 'input_image' || type === 'input_file' ? VARIABLE_PARTS.get(name) : undefined),
    'item.id': ({ type, role }) => (type === 'item_reference' || (type === undefined && role === undefined) ? 'reference' : undefined),
  },
  json: JSON_TEXT,
  named: NAMED,
};

/** Fields of an item that stand by themselves where an item is the whole body. */
const OF_ITEM = /^(?=(?:content|summary|action|actions|outputs|output|operation|results|caller|environment|pending_safety_checks|acknowledged_safety_checks)(?:\[\])?\.)/;

export const ANSWER_RULES: LeafRules = {
  sameAs: [[/^response\./, ''], [/^(?:(?:output|data|instructions)\[\]|item)\./, 'item.'], [/^part\./, 'item.content[].'], [/^annotation\./, 'item.content[].annotations[].'], [OF_ITEM, 'item.'], ...INSIDE_ITEMS],
  exempt: {
    ...SETTINGS, ...ITEM_EXEMPT, ...TOOL_EXEMPT, ...Object.fromEntries(REFERENCES.map((carrier) => [carrier, 'id' as const])), 'tool.server_url': 'secret',
    ...enums('type', 'object', 'status', 'role', 'phase', 'incomplete_details.reason', 'error.type', 'error.code', 'billing.payer', 'moderation.input.type', 'moderation.output.type', 'size', 'quality', 'background', 'output_format'),
    id: 'id', item_id: 'id', event_id: 'id', response_id: 'id', call_id: 'id', first_id: 'id', last_id: 'id', container_id: 'id', approval_request_id: 'id',
    'moderation.input.model': 'setting', 'moderation.output.model': 'setting', obfuscation: 'padding', partial_image_b64: 'media', audio: 'media',
  },
  opaque: { ...OPAQUE, encrypted_content: 'encrypted' },
  opaqueWhen: { 'item.result': pictureOf, result: pictureOf},
  json: JSON_TEXT,
  named: NAMED,
  dependent: ['logprobs', 'part.logprobs', 'content[].logprobs', 'item.content[].logprobs', 'output[].content[].logprobs', 'data[].content[].logprobs', 'response.output[].content[].logprobs'],
};
