/**
 * OpenAI's Responses API: where text stands in requests, bodies and events; that a text is the same in all its places
 * however it is cut; how a stream ends that the policy cut.
 */
import t, { type Test } from 'tap';
import type { Piece } from '../../src/dialect/dialect.ts';
import { readJson } from '../../src/dialect/json.ts';
import { ResponsesReader } from '../../src/dialect/openai-responses-events.ts';
import { openaiConversations, openaiResponses } from '../../src/dialect/openai-responses.ts';
import { cutBytes, eventsOf, guarded } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';
import { framesOf, responseEvents, textsOf, wholeResponse, type Answer } from '../helpers/responses.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

const read = (body: unknown, dialect = openaiResponses) => dialect.readRequest(readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 10_000 }));
const reader = (): ResponsesReader => new ResponsesReader();

// Requests.

t.test('every text of a request is a segment, known or not', async (t) => {
  const reading = read({
    model: 'm', stream: true, temperature: 0.5, max_output_tokens: 9, store: false, user: 'ana', safety_identifier: 'who', prompt_cache_key: 'cache for bob', instructions: 'be kind', service_tier: 'auto', truncation: 'auto', include: ['reasoning.encrypted_content'],
    reasoning: { effort: 'low', summary: 'auto' }, metadata: { note: 'hidden' }, future_field: { deep: ['new text'] }, previous_response_id: 'resp_1', conversation: { id: 'conv_1' }, background: true,
    text: { format: { type: 'json_schema', name: 'town', description: 'a town', schema: { type: 'object', properties: { zip: { description: 'five digits' } } } } },
    prompt: { id: 'pmpt_1', version: '2', variables: { city: 'Springfield', given: { type: 'input_text', text: 'a variable' }, picture: { type: 'input_image', image_url: 'https://a.example.com/i.png', detail: 'low' }, constructor: { type: 'input_file', constructor: 'odd', filename: 'cv.pdf', file_data: 'AAAA', file_id: 'file_0' } } },
    tool_choice: { type: 'mcp', server_label: 'wiki', name: 'ask' },
    tools: [
      { type: 'function', name: 'save', description: 'saves', parameters: { type: 'object', properties: { a: { description: 'the a' } } } },
      { type: 'mcp', server_label: 'wiki', server_url: 'https://mcp.example.com/?key=0', server_description: 'a wiki', authorization: 'tok en', headers: { 'x-key': 'sec ret' }, allowed_tools: ['ask'], require_approval: 'never' },
      { type: 'code_interpreter', container: { type: 'auto', file_ids: ['file_1'], network_policy: { type: 'allowlist', domain_secrets: [{ domain: 'example.com', name: 'k', value: 's 3' }] } } },
      { type: 'code_interpreter', container: 'cntr_9' }, { type: 'file_search', vector_store_ids: ['vs_1'], filters: { type: 'eq', key: 'owner', value: 'eve' } },
      { type: 'namespace', name: 'more', tools: [{ type: 'custom', name: 'inner', description: 'within', format: { type: 'grammar', syntax: 'lark', definition: 'start: "x"' } }] },
    ],
    input: [
      { role: 'user', content: 'hello' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'look' }, { type: 'input_image', image_url: 'https://a.example.com/i.png' }, { type: 'input_image', image_url: 'data:image/png;base64,AAAA' }, { type: 'input_file', file_id: 'file_2', filename: 'me.pdf' }, { type: 'input_file', file_data: 'data:application/pdf;base64,AA', file_url: 'https://a.example.com/x.pdf' }, { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }] },
      { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'thought' }], encrypted_content: 'gAAA', content: [{ type: 'reasoning_text', text: 'thinking' }] },
      { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'said', annotations: [{ type: 'url_citation', url: 'https://a.example.com/p', title: 'page', start_index: 0, end_index: 4 }], logprobs: [{ token: 'said', logprob: -1, bytes: [1], top_logprobs: [] }] }, { type: 'refusal', refusal: 'no' }] },
      { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'save', arguments: '{"a":1}' },
      { type: 'image_generation_call', id: 'ig_1', result: 'AAAA', revised_prompt: 'a cat' },
      { type: 'tool_search_call', execution: 'client', arguments: { goal: 'weather' } },
      { type: 'function_call_output', call_id: 'call_1', output: 'saved' },
      { type: 'function_call_output', call_id: 'call_2', output: [{ type: 'input_text', text: 'shown' }] },
      { type: 'program_output', call_id: 'call_3', result: '4111' },
      { type: 'item_reference', id: 'msg_0' }, { id: 'msg_00' }, { type: 'unheard_of', words: 'strange' }, 'odd', null,
    ],
  });
  const found = Object.fromEntries(reading.segments.filter((s) => s.contentType === 'text').map((s) => [s.path + (s.key === true ? '*' : ''), s.content]));
  t.match(found, {
    user: 'ana', safety_identifier: 'who', prompt_cache_key: 'cache for bob', instructions: 'be kind', 'metadata.note': 'hidden', 'metadata.note*': 'note', 'future_field.deep[0]': 'new text', 'text.format.name': 'town', 'text.format.description': 'a town', 'text.format.schema.properties.zip.description': 'five digits', 'text.format.schema.properties.zip*': 'zip',
    'prompt.variables.city': 'Springfield', 'prompt.variables.city*': 'city', 'prompt.variables.given.text': 'a variable', 'prompt.variables.constructor.filename': 'cv.pdf', 'prompt.variables.constructor.constructor': 'odd', 'tool_choice.name': 'ask', 'tool_choice.server_label': 'wiki',
    'tools[0].name': 'save', 'tools[0].description': 'saves', 'tools[0].parameters.properties.a.description': 'the a', 'tools[1].server_description': 'a wiki', 'tools[1].allowed_tools[0]': 'ask', 'tools[2].container.network_policy.domain_secrets[0].name': 'k', 'tools[4].filters.value': 'eve', 'tools[5].tools[0].description': 'within', 'tools[5].tools[0].format.definition': 'start: "x"',
    'input[0].content': 'hello', 'input[1].content[0].text': 'look', 'input[1].content[3].filename': 'me.pdf', 'input[2].summary[0].text': 'thought', 'input[2].content[0].text': 'thinking', 'input[3].content[0].text': 'said', 'input[3].content[0].annotations[0].title': 'page', 'input[3].content[0].annotations[0].url': 'https://a.example.com/p', 'input[3].content[0].logprobs[0].token': 'said', 'input[3].content[1].refusal': 'no',
    'input[4].name': 'save', 'input[4].arguments': '{"a":1}', 'input[5].revised_prompt': 'a cat', 'input[6].arguments.goal': 'weather', 'input[6].arguments.goal*': 'goal', 'input[7].output': 'saved', 'input[8].output[0].text': 'shown', 'input[9].result': '4111', 'input[12].words': 'strange', 'input[13]': 'odd',
  });
  t.same(Object.entries(found).flatMap(([path, text]) => (path.endsWith('*') ? [] : [text])).filter((text) => /tok en|sec ret|s 3|gAAA|AAAA|key=0|^(?:msg|rs|fc|call|resp|conv|file|vs|cntr|pmpt)_|^auto$|^low$/.test(text)), ['low'], 'no ids, settings, secrets and media; what is beside the picture of a variable is text');
  t.same(reading.opaque.map(({ carrier, kind }) => `${kind} ${carrier}`).sort(), [
    'audio input[].content[].input_audio.data', 'background background', 'encrypted input[].encrypted_content', 'file input[].content[].file_data', 'file prompt.variables.*.*', 'image input[].content[].image_url', 'image input[].result',
    'reference conversation.id', 'reference input[].content[].file_id', 'reference input[].id', 'reference input[].id', 'reference previous_response_id', 'reference prompt.id', 'reference prompt.variables.*.*', 'reference tools[].container',
    'reference tools[].container.file_ids[]', 'reference tools[].vector_store_ids[]', 'remote_url input[].content[].file_url', 'remote_url input[].content[].image_url', 'remote_url prompt.variables.*.*', 'remote_url tools[].server_url',
  ]);
  t.match(reading, { stream: true, model: 'm', userId: 'ana', sessionId: 'conv_1', parameters: { temperature: 0.5, max_output_tokens: 9, store: false, background: true } });
  t.same(reading.segments.filter((s) => s.json).map((s) => s.path), ['input[4].arguments']);
  const at = (path: string) => reading.segments.find((s) => s.path === path);
  t.same(['instructions', 'input[0].content', 'input[2].content[0].text', 'input[3].content[0].text', 'input[4].arguments', 'input[7].output', 'input[12].words', 'input[13]'].map((path) => [at(path)?.role, at(path)?.history]), [
    ['system', false], ['user', true], ['assistant', true], ['assistant', true], ['assistant', true], ['tool', false], [undefined, false], [undefined, false],
  ], 'items up to the last one of the model are history');
  t.same(at('input[1].content[0].text')?.jsonPath, ['input', 1, 'content', 0, 'text']);
});

t.test('what is no request of the endpoint is refused', async (t) => {
  for (const body of [[], 'x', 1, { input: 5 }, { input: {} }, { items: 'hi' }, { items: {} }]) t.throws(() => read(body), { code: 'invalid_request' });
  t.match(read({ stream: 'true', input: null }), { stream: false, model: undefined, segments: [], opaque: [], userId: undefined, sessionId: undefined });
  t.match(read({ input: 'hi', conversation: 'conv_2', safety_identifier: 'who', background: false }), { sessionId: 'conv_2', userId: 'who', segments: { length: 2 }, opaque: [{ kind: 'reference' }] });
  t.match(read({ input: 'hi' }).segments, [{ role: 'user', history: false, content: 'hi' }]);
});

t.test('items of a conversation', async (t) => {
  const { segments, opaque } = read({ metadata: { note: 'hidden' }, items: [{ type: 'message', role: 'user', content: 'hello' }, { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'said' }] }, { type: 'item_reference', id: 'msg_0' }] }, openaiConversations);
  t.same(segments.map((s) => [s.path, s.history]), [['metadata.note', false], ['metadata.note', false], ['items[0].content', true], ['items[1].content[0].text', true]]);
  t.same(opaque, [{ carrier: 'items[].id', kind: 'reference' }]);
});

// Events.

const SECRET = 'ana.roe@example.com';

/** Every event of the API by its type, and off its specification, with the fields that hold text. */
const EVENTS: Readonly<Record<string, object>> = {
  'response.created': { response: { instructions: SECRET } }, 'response.queued': { response: { metadata: { a: SECRET } } }, 'response.in_progress': { response: { tools: [{ type: 'function', name: SECRET }] } },
  'response.completed': { response: { output: [{ type: 'message', content: [{ type: 'output_text', text: SECRET }] }] } }, 'response.failed': { response: { error: { code: 'server_error', message: SECRET } } },
  'response.incomplete': { response: { output: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: SECRET }] }] } },
  'response.output_item.added': { item: { type: 'function_call', name: SECRET } }, 'response.output_item.done': { item: { type: 'mcp_call', output: SECRET, error: SECRET } },
  'response.content_part.added': { part: { type: 'output_text', text: SECRET } }, 'response.content_part.done': { part: { type: 'refusal', refusal: SECRET } },
  'response.output_text.delta': { delta: SECRET, logprobs: [{ token: SECRET }] }, 'response.output_text.done': { text: SECRET, logprobs: [{ token: SECRET }] }, 'response.output_text.annotation.added': { annotation: { type: 'url_citation', url: `https://x.example.com/?${SECRET}`, title: SECRET, filename: SECRET } },
  'response.refusal.delta': { delta: SECRET }, 'response.refusal.done': { refusal: SECRET },
  'response.function_call_arguments.delta': { delta: `{"to":"${SECRET}"}` }, 'response.function_call_arguments.done': { name: SECRET, arguments: `{"to":"${SECRET}"}` }, 'response.custom_tool_call_input.delta': { delta: SECRET }, 'response.custom_tool_call_input.done': { input: SECRET },
  'response.mcp_call_arguments.delta': { delta: `{"to":"${SECRET}"}` }, 'response.mcp_call_arguments.done': { arguments: `{"to":"${SECRET}"}` }, 'response.code_interpreter_call_code.delta': { delta: SECRET }, 'response.code_interpreter_call_code.done': { code: SECRET },
  'response.reasoning_text.delta': { delta: SECRET }, 'response.reasoning_text.done': { text: SECRET }, 'response.reasoning_summary_part.added': { part: { type: 'summary_text', text: SECRET } }, 'response.reasoning_summary_part.done': { summary_index: 0, part: { type: 'summary_text', text: SECRET } },
  'response.reasoning_summary_text.delta': { summary_index: 0, delta: SECRET }, 'response.reasoning_summary_text.done': { summary_index: 0, text: SECRET },
  'response.shell_call_command.added': { command: SECRET }, 'response.shell_call_command.delta': { delta: SECRET }, 'response.shell_call_command.done': { command: SECRET }, 'response.shell_call_output_content.delta': { delta: { stdout: SECRET, stderr: SECRET } },
  'response.shell_call_output_content.done': { output: [{ stdout: SECRET, stderr: SECRET, created_by: SECRET }] }, 'response.audio.transcript.delta': { delta: SECRET }, error: { code: SECRET, message: SECRET, param: SECRET, error: { message: SECRET } },
  'response.audio.delta': { delta: SECRET }, 'response.image_generation_call.partial_image': { partial_image_b64: SECRET, size: SECRET }, 'response.audio.done': {}, 'response.audio.transcript.done': {}, keepalive: { note: SECRET },
  ...Object.fromEntries(['code_interpreter_call.completed', 'code_interpreter_call.in_progress', 'code_interpreter_call.interpreting', 'file_search_call.completed', 'file_search_call.in_progress', 'file_search_call.searching', 'web_search_call.completed', 'web_search_call.in_progress',
    'web_search_call.searching', 'image_generation_call.completed', 'image_generation_call.generating', 'image_generation_call.in_progress', 'mcp_call.completed', 'mcp_call.failed', 'mcp_call.in_progress', 'mcp_list_tools.completed', 'mcp_list_tools.failed', 'mcp_list_tools.in_progress'].map((name) => [`response.${name}`, { unheard_of: SECRET }])),
  'response.reasoning_part.added': { part: { type: 'reasoning_text', text: SECRET } }, 'response.reasoning_part.done': { part: { type: 'reasoning_text', text: SECRET } }, 'response.apply_patch_call_operation_diff.delta': { delta: SECRET }, 'response.apply_patch_call_operation_diff.done': { diff: SECRET },
  'response.rate_limits.updated': { rate_limits: [{ name: SECRET }] }, 'response.unheard_of.delta': { delta: SECRET, note: SECRET }, 'response.unheard_of.done': { text: SECRET, note: SECRET }, 'response.summary.delta': { delta: { text: SECRET } }, unheard_of: { words: [SECRET, { more: SECRET }], output: [SECRET], [`item_id`]: SECRET },
};

const plan = planOf(REDACT_PII);
const through = (events: readonly object[], options: { policy?: string; cut?: readonly [seed: number, mean: number] } = {}) => {
  const bytes = Buffer.from(framesOf(events as never).join(''));
  return guarded(planOf(options.policy ?? REDACT_PII), options.cut === undefined ? [bytes] : cutBytes(bytes, ...options.cut), { dialect: openaiResponses });
};

t.test('no event of any type says what the policy redacts', async (t) => {
  t.equal(Object.keys(EVENTS).filter((type) => type.startsWith('response.') || type === 'error').length >= 58, true);
  for (const [type, fields] of Object.entries(EVENTS)) {
    const event = { type, sequence_number: 4, item_id: 'item_1', output_index: 1, content_index: 2, obfuscation: SECRET, ...fields };
    const { bytes } = through([event]);
    const [left] = eventsOf(bytes);
    t.notMatch(JSON.stringify({ ...left, obfuscation: '' }), SECRET, type);
    t.equal(JSON.stringify(left).includes('[EMAIL]'), Object.keys(fields).length > 0, `${type}: redacted and not dropped`);
    t.match(left, { type, sequence_number: 4, item_id: 'item_id' in fields ? '[EMAIL]' : 'item_1', output_index: 1 });
    const clean = framesOf([JSON.parse(JSON.stringify(event).replaceAll(SECRET, 'words'))] as never).join('');
    t.equal(guarded(plan, [Buffer.from(clean)], { dialect: openaiResponses }).bytes.toString(), clean, `${type}: and nothing else changes`);
  }
});

t.test('events that are no objects, and types that are no names, are text', async (t) => {
  t.equal(guarded(plan, [Buffer.from(`data: "${SECRET}"\n\ndata: ["${SECRET}"]\n\ndata: 5\n\n`)], { dialect: openaiResponses }).bytes.toString(), 'data: "[EMAIL]"\n\ndata: ["[EMAIL]"]\n\ndata: 5\n\n');
  const { bytes } = guarded(plan, [Buffer.from(`data: ${JSON.stringify({ type: `mail ${SECRET}` })}\n\ndata: {"type":7,"a":"${SECRET}"}\n\n`)], { dialect: openaiResponses });
  t.same(eventsOf(bytes), [{ type: 'mail [EMAIL]' }, { type: 7, a: '[EMAIL]' }]);
});

const texts = (pieces: readonly Piece[]): Record<string, string> => Object.fromEntries(pieces.map((p) => [`${p.key}${p.copy === true ? '' : '…'}`, p.text]));

t.test('a text has one name in all its places', async (t) => {
  const one = reader();
  const about = { output_index: 1, item_id: 'i', content_index: 2 };
  const item = { type: 'message', id: 'i', content: [{ type: 'output_text', text: 'z' }, { type: 'output_text', text: 'y' }, { type: 'output_text', text: 'x', annotations: [{ title: 'p' }] }] };
  t.same(texts(one.readEvent({ type: 'response.output_item.added', output_index: 1, item: { ...item, name: 'n', input: 'i', summary: [{ text: 's' }] } }).pieces), { '1.0/text…': 'z', '1.1/text…': 'y', '1.2/text…': 'x', '1.2.cited/annotations/0/title': 'p', '1.item/name': 'n', '1.item/input…': 'i', '1.s0/text…': 's' });
  t.same(one.readEvent({ type: 'response.output_text.delta', ...about, delta: 'x' }), { pieces: [{ key: '1.2/text', carrier: 'response.output_text', kind: 'text', path: ['delta'], text: 'x', copy: false }], closes: [] });
  t.same(one.readEvent({ type: 'response.output_text.done', ...about, text: 'x' }), { pieces: [{ key: '1.2/text', carrier: 'response.output_text', kind: 'text', path: ['text'], text: 'x', copy: true }], closes: ['1.2/text'] });
  t.match(one.readEvent({ type: 'response.content_part.done', ...about, part: { type: 'output_text', text: 'x' } }), { pieces: [{ key: '1.2/text', copy: true }], closes: ['1.2/'] });
  t.match(one.readEvent({ type: 'response.reasoning_part.done', ...about, part: { type: 'reasoning_text', text: 'x' } }), { pieces: [{ key: '1.2/text', copy: true }], closes: ['1.2/'] });
  t.match(one.readEvent({ type: 'response.reasoning_summary_part.done', output_index: 1, summary_index: 3, part: { text: 'x' } }), { pieces: [{ key: '1.s3/text', copy: true }], closes: ['1.s3/'] });
  t.match(texts(one.readEvent({ type: 'response.output_item.done', output_index: 1, item }).pieces), { '1.0/text': 'z', '1.2/text': 'x' });
  t.same(one.readEvent({ type: 'response.output_item.done', output_index: 1, item }).closes, ['1.']);
  for (const type of ['response.completed', 'response.incomplete', 'response.failed']) t.same(one.readEvent({ type, response: {} }).closes, ['']);
  t.match(texts(one.readEvent({ type: 'response.completed', response: { output: [{}, item], instructions: [{ role: 'user', content: [{ type: 'input_text', text: 'w' }] }] } }).pieces), { '1.2/text': 'x', 'instructions0.0/text': 'w' });
  t.match(texts(one.readBody({ object: 'response', output: [{}, item], output_text: 'zyx', error: { message: 'm' } }).pieces), { '1.2/text': 'x', 'response.item/output_text': 'zyx', 'response.item/error/message': 'm' });
  t.match(texts(one.readBody({ object: 'list', data: [{}, item], first_id: 'i' }).pieces), { '1.2/text': 'x' });
  t.match(texts(one.readBody(item).pieces), { '0.2/text': 'x' });
  t.same(texts(one.readBody(['x', { y: 'z' }]).pieces), { 'body.item/0': 'x', 'body.item/1/y': 'z' });
  t.same(texts(one.readEvent({ type: 'response.unheard_of.delta', output_index: 1, content_index: 5, summary_index: 6, delta: 'x' }).pieces), { '1.item/response.unheard_of/5/6…': 'x' });
  t.same(one.readEvent({ type: 'response.unheard_of.done', output_index: 1, content_index: 5, summary_index: 6, text: 'x' }).closes, ['1.item/response.unheard_of/5/6']);
  t.same(texts(one.readEvent({ type: 'response.shell_call_output_content.done', output_index: 1, command_index: 4, output: [{ stdout: 'x' }, { stderr: 'y' }] }).pieces), { '1.item/output/4/stdout': 'x', '1.item/output/5/stderr': 'y' });
  t.same(texts(one.readEvent({ type: 'response.unheard_of', output: { x: 'y' } }).pieces), { 'event.item/response.unheard_of/output/x': 'y' }, 'an output that is no list is read like any other field');
  t.match(one.readEvent({ type: 'response.function_call_arguments.delta', delta: '{' }).pieces, [{ kind: 'json' }]);
  t.match(one.readEvent({ type: 'response.output_item.done', item: { arguments: '{}' } }).pieces, [{ kind: 'json' }]);
  t.match(one.readEvent({ type: 'response.in_progress', response: { metadata: { a: 'b' } } }).pieces, [{ key: 'response.item/metadata/a/*', inKey: true, text: 'a' }, { key: 'response.item/metadata/a', text: 'b' }]);
});

t.test('facts and usage', async (t) => {
  const one = reader();
  t.same([one.facts(), one.usage()], [{ responseId: undefined, model: undefined, finishReasons: [] }, undefined]);
  one.readEvent({ type: 'response.created', response: { id: 'r', model: 'm', status: 'in_progress', usage: null } });
  t.same(one.facts().finishReasons, []);
  one.readEvent({ type: 'response.completed', response: { id: 'other', model: 'other', status: 'completed', incomplete_details: null, usage: { input_tokens: 3, output_tokens: 'x' } } });
  t.same([one.facts(), one.usage()], [{ responseId: 'r', model: 'm', finishReasons: ['completed'] }, { inputTokens: 3, outputTokens: undefined }]);
  one.readBody({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
  t.same(one.facts().finishReasons, ['max_output_tokens']);
  one.readBody({ status: 'incomplete', incomplete_details: {} });
  t.same(one.facts().finishReasons, ['incomplete']);
});

t.test('what depends on a text is found wherever the text is', async (t) => {
  const one = reader();
  const logprobs = [{ token: 'x' }];
  const part = { type: 'output_text', text: 'x', logprobs, annotations: [{ start_index: 1, end_index: 2 }, { index: 3 }, 'odd'] };
  const wanted = (path: readonly (string | number)[]) => [{ path: [...path, 'logprobs'], value: [] }, { path: [...path, 'annotations', 0, 'start_index'] }, { path: [...path, 'annotations', 0, 'end_index'] }];
  const about = { output_index: 1, content_index: 2 };
  const item = { type: 'message', content: [{}, {}, part] };
  const response = { output: [{}, item] };
  t.same(one.dependents({ type: 'response.output_text.delta', ...about, delta: 'x', logprobs, obfuscation: 'pad' }, '1.2/text'), [{ path: ['obfuscation'], value: '' }, { path: ['logprobs'], value: [] }]);
  t.same(one.dependents({ type: 'response.content_part.done', ...about, part }, '1.2/text'), wanted(['part']));
  t.same(one.dependents({ type: 'response.output_text.annotation.added', ...about, annotation: part.annotations[0] }, '1.2/text'), [{ path: ['annotation', 'start_index'] }, { path: ['annotation', 'end_index'] }]);
  t.same(one.dependents({ type: 'response.output_item.done', output_index: 1, item }, '1.2/text'), wanted(['item', 'content', 2]));
  t.same(one.dependents({ type: 'response.completed', response }, '1.2/text'), wanted(['response', 'output', 1, 'content', 2]));
  t.same(one.dependents(response, '1.2/text'), wanted(['output', 1, 'content', 2]));
  t.same(one.dependents({ data: response.output }, '1.2/text'), wanted(['data', 1, 'content', 2]));
  t.same(one.dependents(item, '0.2/text'), wanted(['content', 2]));
  t.same(one.dependents({ type: 'response.reasoning_summary_text.delta', output_index: 1, summary_index: 0, delta: 'x', obfuscation: 'pad' }, '1.s0/text'), [{ path: ['obfuscation'], value: '' }]);
  for (const key of ['1.1/text', '2.2/text', '1.item/arguments', '1.2.cited/annotations/0/title', 'response.item/instructions']) {
    t.same(one.dependents({ type: 'response.output_text.delta', ...about, delta: 'x', logprobs, obfuscation: 'pad' }, key), [], key);
    t.same(one.dependents({ type: 'response.completed', response: { output: [{}, { content: [{}, 'odd', part] }, 'odd'] } }, key), [], key);
  }
  t.same(one.dependents({ type: 'response.output_text.delta', delta: 'x', logprobs }, 'event.0/text'), [{ path: ['logprobs'], value: [] }], 'where the server numbers no outputs');
  t.same([one.dependents(undefined, '1.2/text'), one.dependents({ type: 'response.output_text.delta', ...about, delta: 'x', logprobs: [], obfuscation: '' }, '1.2/text')], [[], []]);
});

// Streams through the guard.

const PLANTED = 'Ask ana@example.com or bob.roe@example.com, card 4111 1111 1111 1111, at noon. 😀 Bye';
const CLEAN = 'Ask [EMAIL] or [EMAIL], card [CREDIT_CARD], at noon. 😀 Bye';
const IN_JSON = { planted: JSON.stringify({ to: 'Ana "A" <ana@example.com>', card: 4111111111111111, n: [1, 'no one'] }), clean: { to: 'Ana "A" <[EMAIL]>', card: '[CREDIT_CARD]', n: [1, 'no one'] } };

/** The answer with every kind of item, each text planted. */
const everything = (cut: (text: string) => readonly string[]): Answer => ({
  cut, logprobs: true, instructions: `Help ${SECRET}.`, metadata: { owner: SECRET },
  items: [
    { reasoning: { summary: [PLANTED, 'It is eve@example.com'], content: [PLANTED] } }, { message: [{ text: PLANTED, annotations: [{ type: 'url_citation', title: `Page of ${SECRET}`, url: 'https://a.example.com/', start_index: PLANTED.indexOf('at noon'), end_index: PLANTED.indexOf('. 😀') }] }, { refusal: PLANTED }, { text: 'It is eve@example.com' }] },
    { call: IN_JSON.planted }, { custom: PLANTED }, { mcp: { arguments: IN_JSON.planted, output: PLANTED } }, { code: PLANTED }, { shell: [PLANTED, `echo ${SECRET}`] }, { printed: [{ stdout: PLANTED, stderr: SECRET }, { stdout: 'nothing', stderr: PLANTED }] }, { diff: PLANTED }, { message: [{ text: 'Nobody you know.' }] },
  ],
});

const isJson = (text: string): boolean => text.startsWith('{');

function checkEvents(t: Test, bytes: Buffer, before: readonly Record<string, any>[], what: string): boolean {
  const events = eventsOf(bytes);
  const faults: string[] = [];
  if (events.map((e) => `${e.sequence_number} ${e.type}`).join() !== before.map((e) => `${e.sequence_number} ${e.type}`).join()) faults.push('events were added or dropped');
  for (const [key, { deltas, copies }] of textsOf(events)) {
    const all = deltas === '' ? copies : [deltas, ...copies];
    if (new Set(all).size !== 1) faults.push(`${key}: ${JSON.stringify([...new Set(all)])}`);
    if (isJson(all[0]!) ? JSON.stringify(JSON.parse(all[0]!)) !== JSON.stringify(IN_JSON.clean) : ![CLEAN, 'It is [EMAIL]', 'echo [EMAIL]', '[EMAIL]', 'nothing', 'Nobody you know.', 'Help [EMAIL].'].includes(all[0]!)) faults.push(`${key}: ${all[0]}`);
    if (copies.length < 2) faults.push(`${key} is not repeated`);
  }
  const said = JSON.stringify(events);
  if (/@example|4111|1111/.test(said.replaceAll('a.example.com', ''))) faults.push(`left: ${/.{30}(?:@example|4111|1111).{30}/.exec(said)?.[0]}`);
  if (faults.length > 0) t.fail(`${what}: ${faults.join('; ')}`);
  return faults.length === 0;
}

t.test('a redacted text is the same in all its places, however it is cut', async (t) => {
  for (let i = 0; i < runs(25); i += 1) {
    const mean = [1, 2, 3, 7, 40][i % 5]!;
    const before = responseEvents(everything((text) => cutsOf(text, seed + i, mean)));
    const { bytes } = through(before, { cut: [seed + i, [1, 7, 60, 900, 20_000][i % 5]!] });
    if (!checkEvents(t, bytes, before, `seed ${seed + i}`)) return;
  }
  t.pass();
});

t.test('offsets of what is cited are moved, and log-probabilities and padding of what was changed are gone', async (t) => {
  const events = eventsOf(through(responseEvents(everything((text) => [text.slice(0, 3), ...cutsOf(text.slice(3), 5, 4)]))).bytes);
  const [first, middle] = [CLEAN.indexOf('at noon'), CLEAN.indexOf('. 😀')];
  const cited = events.find((e) => e.type === 'response.output_text.annotation.added');
  t.match(cited.annotation, { start_index: first, end_index: middle, title: 'Page of [EMAIL]' });
  const items = [events.find((e) => e.type === 'response.output_item.done' && e.output_index === 1).item, events.at(-1).response.output[1]];
  for (const item of items) t.match(item.content[0], { logprobs: { length: 0 }, annotations: [{ start_index: first, end_index: middle, title: 'Page of [EMAIL]' }] });
  const deltas = events.filter((e) => e.type === 'response.output_text.delta' && e.output_index === 1 && e.content_index === 0);
  t.match(deltas[0], { delta: 'Ask', logprobs: { length: 1 }, obfuscation: /x/ }, 'what was not changed yet keeps its own');
  t.match(deltas.at(-1), { logprobs: { length: 0 }, obfuscation: '' });
  const other = events.filter((e) => e.type === 'response.output_text.delta' && e.output_index === 9);
  t.ok(other.every((e) => e.logprobs.length === 1 && e.obfuscation !== ''), 'and so does what is another part');
  t.equal(events.find((e) => e.type === 'response.output_item.done' && e.output_index === 0).item.encrypted_content, 'gAAAAABmade-up_0123==');
});

t.test('a whole answer', async (t) => {
  const body = (answer: Answer, policy = REDACT_PII) => guarded(planOf(policy), [Buffer.from(JSON.stringify(wholeResponse(answer)))], { dialect: openaiResponses, mediaType: 'application/json' }).bytes.toString();
  const left = JSON.parse(body(everything((text) => [text])));
  checkEvents(t, Buffer.from(framesOf([{ type: 'x', response: left }, { type: 'x', response: left }]).join('')), [{ type: 'x' }, { type: 'x' }], 'whole');
  t.match(left.output[1].content[0], { logprobs: { length: 0 }, annotations: [{ start_index: CLEAN.indexOf('at noon') }] });
  t.match(left, { instructions: 'Help [EMAIL].', metadata: { owner: '[EMAIL]' } });
  t.equal(body({ items: [{ message: [{ text: 'Nobody.' }] }] }), JSON.stringify(wholeResponse({ items: [{ message: [{ text: 'Nobody.' }] }] })));
});

t.test('an answer that stops where it is: every end closes what is open', async (t) => {
  for (const status of ['incomplete', 'failed'] as const) {
    const before = responseEvents({ ...everything((text) => cutsOf(text, 3, 3)), status });
    t.ok(checkEvents(t, through(before).bytes, before, status));
  }
  const half = responseEvents({ items: [{ message: [{ text: `It is ${SECRET}` }] }], cut: (text) => cutsOf(text, 1, 2) }).filter(({ type }) => !/done|completed/.test(type));
  t.equal(eventsOf(through(half).bytes).map((e) => e.delta ?? '').join(''), 'It is [EMAIL]', 'and so does the end of the body');
});

t.test('a copy that is another text is screened as one', async (t) => {
  const about = { item_id: 'item_0', output_index: 0, content_index: 0 };
  const events = [
    { type: 'response.output_text.delta', ...about, delta: 'Nobody.' }, { type: 'response.output_text.done', ...about, text: `It is ${SECRET}` },
    { type: 'response.content_part.done', ...about, part: { type: 'output_text', text: `${SECRET} it is`, logprobs: [{ token: SECRET }] } }, { type: 'response.output_text.delta', ...about, delta: 'More.', logprobs: [{ token: 'More.' }] },
  ];
  t.match(eventsOf(through(events).bytes), [{ delta: 'Nobody.' }, { text: 'It is [EMAIL]' }, { part: { text: '[EMAIL] it is', logprobs: { length: 0 } } }, { delta: 'More.', logprobs: { length: 0 } }]);
});

t.test('recorded answers leave as the bytes they came in', { skip: skipReason }, async (t) => {
  const never = 'policy: test\ndefault_action: allow\npatterns:\n  - { id: never, label: NEVER, regex: "zqxjk[0-9]{9}zq" }\nrules:\n  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: redact }\n';
  for (const [name, policy] of [['an empty policy', EMPTY_POLICY], ['a rule that never matches', never]] as const) {
    const all = recordings('responses');
    const different = all.filter(({ bytes, stream, status }, i) => !guarded(planOf(policy), cutBytes(bytes, i, 300), { dialect: openaiResponses, status, mediaType: stream ? 'text/event-stream' : 'application/json' }).bytes.equals(bytes));
    t.same(different.map(({ file }) => file), [], `${all.length} answers with ${name}`);
  }
});

t.test('what a recorded stream says leaves redacted alike in all its places', { skip: skipReason }, async (t) => {
  // Every word of seven letters and more is taken for a secret.
  const long = 'policy: test\ndefault_action: allow\npatterns:\n  - { id: long, label: LONG, regex: "[A-Za-z]{7,40}" }\nrules:\n  - { id: long, priority: 1, direction: both, when: { score: patterns.long, gte: 1 }, action: redact }\n';
  const all = recordings('responses').filter(({ stream, status }) => stream && status < 300);
  let compared = 0;
  for (const [i, { file, bytes }] of all.entries()) {
    const before = textsOf(eventsOf(bytes).filter((e) => typeof e.type === 'string'));
    const same = [...before].filter(([, { deltas, copies }]) => deltas !== '' && copies.every((copy) => copy === deltas)).map(([key]) => key);
    const after = textsOf(eventsOf(guarded(planOf(long), cutBytes(bytes, i, 200), { dialect: openaiResponses }).bytes).filter((e) => typeof e.type === 'string'));
    for (const key of same) {
      const { deltas, copies } = after.get(key) ?? { deltas: '', copies: [] };
      if (copies.some((copy) => copy !== deltas) || (!isJson(deltas) && /[A-Za-z]{7,}/.test(deltas))) t.fail(`${file} ${key}: ${deltas.slice(0, 80)} ${copies.map((copy) => copy.slice(0, 80)).join(' | ')}`);
      compared += 1;
    }
  }
  t.ok(compared > 60, `${compared} texts`);
});

// Blocks and errors.

const BLOCK = 'policy: test\ndefault_action: allow\npatterns:\n  - { id: codename, label: CODENAME, literal: [Bluebird] }\nrules:\n  - { id: codename, priority: 1, direction: output, when: { score: patterns.*, gte: 1 }, action: block }\n';
const REPLACE = BLOCK.replace('action: block', 'action: replace, message: Let us talk about something else.');
const SORRY = 'Let us talk about something else.';

/** What a client knows at the end, after a check that numbers, indexes and copies are as the API's own. */
function ended(t: Test, bytes: Buffer, what: string): Record<string, any> {
  const events = eventsOf(bytes);
  t.same(events.map((e) => e.sequence_number), events.map((_, i) => i), `${what}: numbered without gaps`);
  t.equal(bytes.toString(), events.map((e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join(''), `${what}: named`);
  t.equal(events[0].type, 'response.created', what);
  for (const [key, { deltas, copies }] of textsOf(events)) if (copies.length > 0 && deltas !== '') t.same([...new Set(copies)], [deltas], `${what}: ${key} is the same everywhere`);
  t.notMatch(bytes.toString(), /Bluebird/, what);
  return events.at(-1);
}

const STORY = 'It was all over. Nobody knew that it was called Bluebird and why.';
const SHORT = (text: string): readonly string[] => cutsOf(text, 3, 4);

t.test('a blocked stream ends what is open and says so', async (t) => {
  const cases: readonly (readonly [what: string, answer: Answer, output: readonly object[]])[] = [
    ['a text', { items: [{ message: [{ text: 'First.' }, { text: STORY }] }] }, [{ type: 'message', status: 'incomplete', content: [{ text: 'First.' }, { text: /^It was all over\. Nobody knew that it was/ }] }]],
    ['a refusal', { items: [{ message: [{ refusal: STORY }] }] }, [{ type: 'message', status: 'incomplete', content: [{ type: 'refusal', refusal: /^It was all over/ }] }]],
    ['reasoning', { items: [{ reasoning: { summary: ['Well.', STORY] } }] }, [{ type: 'reasoning', status: 'incomplete', summary: [{ text: 'Well.' }, { text: /^It was all over/ }] }]],
    ['what it reasoned', { items: [{ reasoning: { summary: ['Well.'], content: [STORY] } }] }, [{ type: 'reasoning', summary: [{ text: 'Well.' }], content: [{ type: 'reasoning_text', text: /^It was all over/ }] }]],
    ['after a whole item', { items: [{ message: [{ text: 'Before.' }] }, { message: [{ text: STORY }] }] }, [{ status: 'completed' }, { status: 'incomplete' }]],
    ['arguments', { items: [{ message: [{ text: 'Before.' }] }, { call: JSON.stringify({ note: STORY }) }] }, [{ type: 'message', status: 'completed' }]],
    ['a command', { items: [{ shell: ['ls', `echo ${STORY}`] }] }, []],
    ['a part that only its end tells', { items: [{ message: [{ text: 'Bluebird' }] }] }, [{ type: 'message', content: [{ text: '' }] }]],
  ];
  for (const [what, answer, output] of cases) {
    const { bytes, blocked } = through(responseEvents({ ...answer, cut: SHORT }), { policy: BLOCK });
    t.ok(blocked, what);
    const end = ended(t, bytes, what);
    t.match(end, { type: 'response.incomplete', response: { id: 'resp_made_up', status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: { length: output.length }, tools: { length: 1 } } }, what);
    t.match(end.response.output, output, what);
    const replaced = ended(t, through(responseEvents({ ...answer, cut: SHORT }), { policy: REPLACE }).bytes, `${what}, replaced`);
    const cutCall = /arguments|command/.test(what);
    t.match(replaced, { type: cutCall ? 'response.incomplete' : 'response.completed', response: { status: cutCall ? 'incomplete' : 'completed', incomplete_details: cutCall ? { reason: 'content_filter' } : null } }, `${what}: half a call is no complete answer`);
    t.match(replaced.response.output.at(-1), { type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: SORRY }] });
    t.equal(replaced.response.output.length, output.length + 1);
  }
});

t.test('a blocked stream of which nothing had left begins and ends', async (t) => {
  const events = responseEvents({ instructions: 'Never say Bluebird.', items: [{ message: [{ text: 'No.' }] }] });
  t.match(ended(t, through(events, { policy: BLOCK }).bytes, 'an echo of the request'), { type: 'response.incomplete', response: { id: 'resp_made_up', model: 'made-up-1', output: [], instructions: null } });
  t.match(ended(t, through(events, { policy: REPLACE }).bytes, 'replaced'), { type: 'response.completed', response: { output: [{ content: [{ text: SORRY }] }] } });
  t.match(ended(t, reader().blockedStream(undefined), 'nothing came at all'), { response: { id: 'resp_blocked', model: '' } });
});

t.test('what had left changed goes on as it left', async (t) => {
  const policy = `${BLOCK.replace('rules:', `rules:\n  - { id: pii, priority: 2, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }`)}`;
  const answer: Answer = { cut: SHORT, instructions: `Ask ${SECRET}`, items: [{ message: [{ text: `Ask ${SECRET}.` }] }, { message: [{ text: `Or ${SECRET}, who was called Bluebird.`, annotations: [] }] }] };
  const end = ended(t, through(responseEvents(answer), { policy }).bytes, 'redacted and blocked');
  t.match(end, { type: 'response.incomplete', response: { instructions: 'Ask [EMAIL]', output: [{ content: [{ text: 'Ask [EMAIL].' }] }, { content: [{ text: /^Or \[EMAIL\], who was/ }] }] } });
});

t.test('an end is made of what has left, whatever the server sends', async (t) => {
  const about = { item_id: 'i', output_index: 0, content_index: 0 };
  const send = (events: readonly unknown[], message?: string): any[] => {
    const one = reader();
    for (const event of events) one.sent(event);
    return eventsOf(one.blockedStream(message));
  };
  const created = { type: 'response.created', response: { id: 'r', object: 'response', status: 'in_progress', output: [] } };
  const added = { type: 'response.output_item.added', output_index: 0, item: { id: 'i', type: 'message', role: 'assistant', content: [] } };
  const part = { type: 'response.content_part.added', ...about, part: { type: 'output_text', text: '', annotations: [] } };
  const delta = { type: 'response.output_text.delta', ...about, delta: 'x' };
  t.same(send([created, added, part, delta]).map((e) => [e.type, e.sequence_number]), [['response.output_text.done', undefined], ['response.content_part.done', undefined], ['response.output_item.done', undefined], ['response.incomplete', undefined]], 'not numbered where the server numbers nothing');
  t.same(send([{ ...created, sequence_number: 6 }, undefined, { type: 'keepalive' }]).map((e) => e.sequence_number), [7], 'numbered on from what was numbered');
  t.same(send([created, added, part, delta, { type: 'response.output_text.done', ...about, text: 'x' }]).map((e) => e.type), ['response.content_part.done', 'response.output_item.done', 'response.incomplete'], 'no text ends twice');
  t.match(send([created, added, part, delta, { type: 'response.output_text.done', ...about, text: 'y' }, { type: 'response.output_text.annotation.added', ...about, annotation: { title: 'p' } }])[0].part, { text: 'y', annotations: [{ title: 'p' }] });
  t.same(send([created, added, part, delta, { type: 'response.content_part.done', ...about, part: { type: 'output_text', text: 'x' } }]).map((e) => e.type), ['response.output_item.done', 'response.incomplete']);
  t.match(send([created, added, { ...part, part: { type: 'output_audio' } }]), [{ type: 'response.content_part.done', part: { type: 'output_audio' } }, { item: { content: [{ type: 'output_audio' }], status: 'incomplete' } }, {}]);
  t.match(send([created, added, delta, { ...part, output_index: 5 }, { ...part, content_index: 'odd' }, { type: 'response.output_item.added', item: {} }, { type: 'response.output_item.added', output_index: 3, item: 'odd' }]), [{ item: { content: [], status: 'incomplete' } }, { response: { output: { length: 1 } } }]);
  for (const type of ['response.completed', 'response.incomplete', 'response.failed']) t.same(send([created, { type, response: {} }]), [], `nothing after ${type}`);
  t.same(send([created, { ...added, output_index: 4, item: { id: 'c', type: 'function_call' } }], 'sorry').map((e) => [e.type, e.output_index]).slice(0, 1), [['response.output_item.added', 5]], 'a message of ours is a new output');
});

t.test('bodies of our own', async (t) => {
  const blocked = (body: unknown, message?: string) => JSON.parse(reader().blockedBody(body, message).toString());
  const body = wholeResponse({ instructions: 'Say Bluebird.', items: [{ message: [{ text: 'Bluebird' }] }] });
  t.match(blocked(body), { id: 'resp_made_up', object: 'response', status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: [], usage: { total_tokens: 18 }, instructions: null, tools: [] });
  t.match(blocked(body, 'sorry'), { id: 'resp_made_up', status: 'completed', incomplete_details: null, output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'sorry', annotations: [] }] }] });
  t.match(blocked(undefined), { id: 'resp_blocked', created_at: 0, model: '', usage: null });
  for (const record of [{ object: 'list', data: [] }, { object: 'conversation' }, { type: 'message' }]) t.throws(() => reader().blockedBody(record, undefined), { code: 'content_filter' });
  t.throws(() => reader().blockedBody({}, 'sorry'), { message: /^sorry/ });
});

t.test('answers of our own', async (t) => {
  const whole = openaiResponses.fallback(read({ input: 'hi', model: 'm' }), SORRY, 'r', 5000);
  t.match(whole.contentType, 'application/json');
  t.match(JSON.parse(whole.body.toString()), { id: 'resp_r', object: 'response', created_at: 5, status: 'completed', model: 'm', store: false, output: [{ id: 'msg_r', type: 'message', content: [{ text: SORRY }] }], usage: { total_tokens: 0 } });
  const streamed = openaiResponses.fallback(read({ input: 'hi', stream: true }), SORRY, 'r', 5000);
  t.match(streamed.contentType, 'text/event-stream');
  t.match(ended(t, streamed.body, 'fallback'), { type: 'response.completed', response: { id: 'resp_r', model: '', output: [{ content: [{ text: SORRY }] }] } });
  t.throws(() => openaiConversations.fallback(read({ items: [] }, openaiConversations), SORRY, 'r', 5000), { code: 'content_filter' });
  t.match(JSON.parse(openaiResponses.error('content_filter', 'blocked', 'r').body.toString()), { error: { message: 'blocked', type: 'invalid_request_error', param: 'input', code: 'content_filter' } });
  t.match(JSON.parse(openaiConversations.error('content_filter', 'blocked', 'r').body.toString()), { error: { param: 'items' } });
});

t.test('an error inside a stream has both forms, and the next number', async (t) => {
  const one = reader();
  one.sent({ type: 'response.created', sequence_number: 4, response: {} });
  const frame = one.errorEvent('upstream_timeout', 'gone').toString();
  t.match(frame, /^event: error\ndata: \{/);
  t.same(eventsOf(Buffer.from(frame)), [{ type: 'error', code: 'upstream_timeout', message: 'gone', param: null, error: { type: 'server_error', code: 'upstream_timeout', message: 'gone', param: null }, sequence_number: 5 }]);
});

t.test('no event carries nothing but text', async (t) => {
  t.equal(reader().canCarry(), false);
  t.throws(() => reader().textEvent('0.0/text'), /0\.0\/text/);
});
