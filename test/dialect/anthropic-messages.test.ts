/** Anthropic's Messages API: where text stands in requests and answers, and what errors, blocks and safe answers look like. */
import fc from 'fast-check';
import t from 'tap';
import { ERROR_CODES, type ErrorCode } from '../../src/contract/errors.ts';
import { anthropicMessages, anthropicTokenCount } from '../../src/dialect/anthropic-messages.ts';
import { readJson } from '../../src/dialect/json.ts';
import type { EventReading, Piece } from '../../src/dialect/dialect.ts';
import { Pseudonyms } from '../../src/screen/pseudonyms.ts';
import type { ScreeningPlan } from '../../src/screen/plan.ts';
import { messageEvents, named, readStream, wholeMessage, type Block } from '../helpers/anthropic.ts';
import { cutBytes, eventsOf, guarded } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const read = (body: unknown) => anthropicMessages.readRequest(readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 10_000 }));
const reader = (body: object = {}) => anthropicMessages.createReader(read({ messages: [], ...body }));

// Requests.

t.test('every text of a request is a segment, known or not', async (t) => {
  const reading = read({
    model: 'm', max_tokens: 9, temperature: 0.5, stream: true, thinking: { type: 'enabled', budget_tokens: 1024 }, service_tier: 'auto', container: 'container_1', future_field: { deep: ['new text'] },
    metadata: { user_id: 'ana' }, stop_sequences: ['END'], tool_choice: { type: 'tool', name: 'save' }, system: [{ type: 'text', text: 'be kind', cache_control: { type: 'ephemeral', ttl: '5m' } }],
    mcp_servers: [{ type: 'url', name: 'notes', url: 'https://notes.example.com', authorization_token: 'top secret words' }],
    tools: [{ type: 'custom', name: 'save', description: 'saves', input_schema: { type: 'object', properties: { town: { description: 'the town' } } }, input_examples: [{ town: 'Springfield' }] }, { type: 'web_search_20260318', name: 'web_search', user_location: { type: 'approximate', city: 'Shelbyville' } }],
    messages: [
      { role: 'user', content: [
        { type: 'text', text: 'hello' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }, { type: 'image', source: { type: 'url', url: 'https://images.example.com/a.png' } }, { type: 'document', title: 'cv', context: 'of bob', source: { type: 'text', media_type: 'text/plain', data: 'Hired2019' } },
        { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'BBBB' } }, { type: 'document', source: { type: 'file', file_id: 'file_1' } }, { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'chapter' }] } },
        { type: 'search_result', source: 'shelf 3', title: 'found', content: [{ type: 'text', text: 'a hit' }] }, { type: 'container_upload', file_id: 'file_2' }, { type: 'future', source: { type: 'base64', data: 'CCCC', url: 'no url' }, data: 'DDDD' },
      ] },
      { role: 'assistant', content: [
        { type: 'thinking', thinking: 'hm', signature: 'c2ln' }, { type: 'redacted_thinking', data: 'EEEE' }, { type: 'text', text: 'look', citations: [{ type: 'web_search_result_location', cited_text: 'cited', encrypted_index: 'FFFF', url: 'https://a.example.com', title: 'page' }] },
        { type: 'tool_use', id: 'toolu_1', name: 'save', input: { 'ana@example.com': { note: ['kept'] } } }, { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [{ type: 'web_search_result', title: 'news', url: 'https://b.example.com', encrypted_content: 'GGGG', page_age: '3 days' }] },
        { type: 'thinking', thinking: 'unsigned', signature: '' }, { type: 'compaction', content: 'so far', signature: 'c2ln', encrypted_content: null },
      ] },
      { role: 'user', content: [
        { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'saved' }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'HHHH' } }, { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'inner' }] } }] },
        { type: 'bash_code_execution_tool_result', tool_use_id: 'srvtoolu_2', content: { type: 'bash_code_execution_result', stdout: 'out', stderr: '', content: [{ type: 'bash_code_execution_output', file_id: 'file_3' }] } },
      ] },
      { role: 'system', content: 'be brief', clear_at: 'never' },
    ],
  });
  const found = Object.fromEntries(reading.segments.filter((s) => s.contentType === 'text').map((s) => [`${s.path}${s.key === true ? ' (key)' : ''}`, s.content]));
  t.match(found, {
    'system[0].text': 'be kind', 'messages[0].content[0].text': 'hello', 'messages[0].content[3].title': 'cv', 'messages[0].content[3].context': 'of bob', 'messages[0].content[3].source.data': 'Hired2019',
    'messages[0].content[6].source.content[0].text': 'chapter', 'messages[0].content[7].source': 'shelf 3', 'messages[0].content[7].content[0].text': 'a hit', 'messages[0].content[9].source.data': 'CCCC', 'messages[0].content[9].source.url': 'no url', 'messages[0].content[9].data': 'DDDD',
    'messages[1].content[0].thinking': 'hm', 'messages[1].content[2].text': 'look', 'messages[1].content[2].citations[0].cited_text': 'cited', 'messages[1].content[3].name': 'save',
    'messages[1].content[3].input.ana@example.com (key)': 'ana@example.com', 'messages[1].content[3].input.ana@example.com.note[0]': 'kept', 'messages[1].content[4].content[0].page_age': '3 days', 'messages[1].content[6].content': 'so far',
    'messages[2].content[0].content[0].text': 'saved', 'messages[2].content[0].content[2].source.content[0].text': 'inner', 'messages[2].content[1].content.stdout': 'out', 'messages[3].content': 'be brief',
    'tools[0].description': 'saves', 'tools[0].input_schema.properties.town (key)': 'town', 'tools[0].input_schema.properties.town.description': 'the town', 'tools[0].input_examples[0].town (key)': 'town', 'tools[1].user_location.city': 'Shelbyville',
    'tool_choice.name': 'save', 'stop_sequences[0]': 'END', 'metadata.user_id': 'ana', 'future_field.deep[0]': 'new text', 'mcp_servers[0].url': 'https://notes.example.com',
  });
  t.notMatch(JSON.stringify(found), /AAAA|BBBB|EEEE|FFFF|GGGG|HHHH|c2ln|toolu_1|file_|secret|ephemeral|base64"|container_1|enabled/, 'ids, words of the wire, ciphertext and media are no text');
  t.same(reading.opaque.map(({ carrier, kind }) => [carrier, kind]), [
    ['container', 'reference'], ['messages[].content[].source.data', 'image'], ['messages[].content[].source.url', 'remote_url'], ['messages[].content[].source.data', 'file'], ['messages[].content[].source.file_id', 'reference'],
    ['messages[].content[].file_id', 'reference'], ['messages[].content[].data', 'encrypted'], ['messages[].content[].citations[].encrypted_index', 'encrypted'], ['messages[].content[].content[].encrypted_content', 'encrypted'],
    ['messages[].content[].content[].source.data', 'image'], ['messages[].content[].content.content[].file_id', 'reference'],
  ]);
  t.match(reading, { stream: true, model: 'm', userId: 'ana', parameters: { max_tokens: 9, temperature: 0.5, thinking: true } });
  t.same(reading.segments.filter((s) => s.fixed === true).map((s) => s.path), ['messages[1].content[0].thinking', 'messages[1].content[6].content'], 'what is signed is fixed');
  const roleOf = (path: string): unknown => reading.segments.find((s) => s.path === path)?.role;
  t.same(['system[0].text', 'messages[0].content[0].text', 'messages[1].content[2].text', 'messages[2].content[0].content[0].text', 'messages[2].content[1].content.stdout', 'messages[3].content', 'tools[0].description'].map(roleOf), ['system', 'user', 'assistant', 'tool', 'tool', 'system', undefined]);
});

t.test('turns up to the last answer are history; an answer that the client begins is not', async (t) => {
  const history = (...roles: readonly string[]): readonly boolean[] => read({ system: 's', messages: roles.map((role) => ({ role, content: 'x' })) }).segments.filter((s) => s.path.startsWith('messages') && s.path.endsWith('content')).map((s) => s.history);
  t.same(history('user'), [false]);
  t.same(history('user', 'assistant', 'user'), [true, true, false]);
  t.same(history('user', 'assistant', 'user', 'user'), [true, true, false, false]);
  t.same(history('user', 'assistant'), [false, false], 'a beginning does not make the question an earlier one');
  t.same(history('user', 'assistant', 'user', 'assistant', 'assistant'), [true, true, false, false, false]);
  t.same(history('assistant'), [false]);
  t.same(read({ system: 'be kind', messages: [] }).segments.map((s) => [s.path, s.role, s.history]), [['system', 'system', false]]);
});

t.test('what is no request of this endpoint is refused', async (t) => {
  for (const body of [[], 'x', 1, {}, { messages: 'hi' }, { messages: { 0: {} } }]) t.throws(() => read(body), { code: 'invalid_request' });
  t.match(read({ messages: ['odd', { role: 5, content: 'x' }, { content: ['odd text'] }], stream: 'true', metadata: 'odd' }), { stream: false, model: undefined, userId: undefined, parameters: {}, segments: { length: 5 } });
  t.same(read({ messages: [], thinking: { type: 'disabled' } }).parameters, { thinking: false });
});

// Answers.

const texts = ({ pieces }: EventReading): Record<string, string> => Object.fromEntries(pieces.map((p: Piece) => [`${p.key}${p.kind === 'json' ? ' json' : ''}${p.whole ? '' : '…'}${p.fixed === true ? ' fixed' : ''}`, p.text]));

t.test('every text of an event is a piece, deltas joined by block', async (t) => {
  const one = reader();
  const start = one.readEvent({ type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: 'claude', content: [{ type: 'text', text: 'begun' }, { type: 'thinking', thinking: 'signed', signature: 'c2ln' }, 'odd'], stop_reason: null, usage: { input_tokens: 3, cache_read_input_tokens: 4, output_tokens: 1, service_tier: 'standard' } } });
  t.same(texts(start), { '0/text': 'begun', '1/thinking fixed': 'signed', 2: 'odd' });
  t.same(start.closes, []);
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 1, content_block: { type: 'text', text: 'a' } })), { '1/text…': 'a' });
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 2, content_block: { type: 'thinking', thinking: 'b', signature: '' } })), { '2/thinking… fixed': 'b' });
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 3, content_block: { type: 'tool_use', id: 'toolu_1', name: 'find', input: { what: 'c' }, caller: { type: 'direct' } } })), { '3/name': 'find', '3/input/what/*': 'what', '3/input/what': 'c' });
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 4, content_block: { type: 'web_search_tool_result', tool_use_id: 't', content: [{ type: 'web_search_result', title: 'd', url: 'https://a.example.com', encrypted_content: 'AAAA', page_age: null }] } })), { '4/content/0/title': 'd', '4/content/0/url': 'https://a.example.com' });
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 5, content_block: { type: 'redacted_thinking', data: 'AAAA' } })), {});
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 6, content_block: { type: 'web_fetch_tool_result', tool_use_id: 't', content: { type: 'web_fetch_result', url: 'https://b.example.com', retrieved_at: '2026-01-02T03:04:05Z', content: { type: 'document', title: 'e', source: { type: 'text', media_type: 'text/plain', data: 'f' } } } } })), { '6/content/url': 'https://b.example.com', '6/content/content/title': 'e', '6/content/content/source/data': 'f' });
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 7, content_block: { type: 'compaction', content: 'g', encrypted_content: 'AAAA' } })), { '7/content… fixed': 'g' });
  t.same(texts(one.readEvent({ type: 'content_block_start', index: 8, content_block: { type: 'future', words: 'h', more: ['i'] } })), { '8/words': 'h', '8/more/0': 'i' });
  const delta = (value: unknown): Record<string, string> => texts(one.readEvent({ type: 'content_block_delta', index: 1, delta: value }));
  t.same(delta({ type: 'text_delta', text: 'j' }), { '1/text…': 'j' });
  t.same(delta({ type: 'thinking_delta', thinking: 'k', estimated_tokens: 8 }), { '1/thinking… fixed': 'k' });
  t.same(delta({ type: 'signature_delta', signature: 'c2ln' }), {});
  t.same(delta({ type: 'signature_delta', signature: 'no signature at all' }), { '1/signature…': 'no signature at all' });
  t.same(delta({ type: 'input_json_delta', partial_json: '' }), {});
  t.same(delta({ type: 'input_json_delta', partial_json: '{"a' }), { '1/input json…': '{"a' });
  t.same(delta({ type: 'compaction_delta', content: 'l', encrypted_content: 'AAAA' }), { '1/content… fixed': 'l' });
  t.same(delta({ type: 'citations_delta', citation: { type: 'char_location', cited_text: 'm', document_title: 'n', document_index: 0, start_char_index: 4, end_char_index: 5, file_id: 'file_1' } }), { '1/citation/cited_text': 'm', '1/citation/document_title': 'n' });
  t.same(delta({ type: 'future_delta', future: 'o' }), { '1/future…': 'o' });
  t.same(delta('odd'), { 'event/delta': 'odd' });
  t.same(texts(one.readEvent({ type: 'content_block_delta', delta: { type: 'text_delta', text: 'p' } })), { '0/text…': 'p' }, 'no index is the first');
  t.same(one.readEvent({ type: 'content_block_stop', index: 4 }), { pieces: [], closes: ['4/'] });
  const end = one.readEvent({ type: 'message_delta', delta: { stop_reason: 'refusal', stop_sequence: 'q', stop_details: { type: 'refusal', category: 'cyber', explanation: 'r', recommended_model: 'claude-b' }, container: { id: 'c', expires_at: '2026-01-02T03:04:05Z' } }, usage: { output_tokens: 12, iterations: [{ type: 'message', model: 'claude' }] } });
  t.same(texts(end), { 'event/delta/stop_sequence': 'q', 'event/delta/stop_details/explanation': 'r' });
  t.same(one.readEvent({ type: 'message_stop' }), { pieces: [], closes: [''] });
  t.same(one.readEvent({ type: 'ping' }), { pieces: [], closes: [] });
  t.same(texts(one.readEvent({ type: 'error', error: { type: 'overloaded_error', message: 's' }, request_id: 'req_1' })), { 'event/error/message': 's' });
  t.same(texts(one.readEvent({ type: 'future_event', words: { t: 'u' }, message: 'v', content_block: 'w' })), { 'event/words/t': 'u', 'event/message': 'v', '0': 'w' });
  t.same(texts(one.readEvent(['x'])), { 'event/0': 'x' });
  t.same(one.readEvent({ type: 'message_delta', delta: 'odd', usage: { input_tokens: null } }).pieces.map((p) => p.text), ['odd']);
  t.same(one.usage(), { inputTokens: 7, outputTokens: 12, cacheReadTokens: 4 });
  t.same(one.facts(), { responseId: 'msg_1', model: 'claude', finishReasons: ['refusal'], serviceTier: 'standard' });
  t.same(reader().usage(), undefined);
  t.same(reader().facts(), { responseId: undefined, model: undefined, finishReasons: [] });
  t.same(one.dependents({}, '0/text'), []);
  const unsigned = reader({ thinking: { type: 'disabled' } });
  t.same(texts(unsigned.readEvent({ type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'x' } })), { '0/thinking…': 'x' }, 'no signature follows where thinking is off');
  t.same(texts(unsigned.readEvent({ type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: 'x' } })), { '0/thinking…': 'x' });
});

t.test('a whole answer', async (t) => {
  const one = reader();
  const reading = one.readBody({
    ...wholeMessage({ blocks: [{ type: 'thinking', thinking: 'a', signature: 'c2ln' }, { type: 'text', text: 'b' }, { type: 'tool_use', id: 'toolu_1', name: 'c', input: '{"d":{"e":[1,"f"]}}' }], stop: 'tool_use' }),
    stop_sequence: 'g', future: 'h',
  });
  t.same(texts(reading), { '0/thinking fixed': 'a', '1/text': 'b', '2/name': 'c', '2/input/d/*': 'd', '2/input/d/e/*': 'e', '2/input/d/e/0': '1', '2/input/d/e/1': 'f', 'message/stop_sequence': 'g', 'message/future': 'h' });
  t.same(reading.closes, ['']);
  t.same(one.usage(), { inputTokens: 12, outputTokens: 11, cacheReadTokens: 3, cacheWriteTokens: 2 });
  t.match(one.facts(), { responseId: 'msg_made_up', model: 'claude-made-up-1', finishReasons: ['tool_use'] });
  t.same(texts(reader().readBody({ type: 'message', content: [{ type: 'thinking', thinking: 'a', signature: '' }] })), { '0/thinking': 'a' }, 'unsigned thinking is text like any');
  t.same(texts(reader().readBody({ content: 'odd' })), { 'message/content': 'odd' });
  t.same(texts(reader().readBody(['x'])), { 'body/0': 'x' });
  t.same(texts(reader().readBody({ input_tokens: 5 })), {});
  t.same(texts(reader().readBody({ type: 'error', error: { type: 'invalid_request_error', message: 'x', details: { error_code: 'y' } }, request_id: 'req_1' })), { 'message/error/message': 'x' });
});

// What is our own.

t.test('events of our own stand where the client is', async (t) => {
  const events: readonly { readonly type: string; readonly [name: string]: unknown }[] = [
    { type: 'message_start', message: { id: 'msg_1', model: 'claude', content: [{ type: 'text', text: 'begun' }], usage: { input_tokens: 1, output_tokens: 1 } } }, { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '' } }, { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: 'x' } },
    { type: 'content_block_stop', index: 1 }, { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 6 } }, { type: 'message_stop' },
  ];
  const ends: Record<string, string[][]> = {};
  for (let left = 0; left <= events.length; left += 1) {
    for (const message of [undefined, 'sorry']) {
      const one = reader({ model: 'asked' });
      for (const event of events) one.readEvent(event);
      for (const event of events.slice(0, left)) one.sent?.(event);
      const end = one.blockedStream(message, new Set());
      const own = readStream(Buffer.concat([...events.slice(0, left).map((event) => Buffer.from(named(event))), end])).faults;
      t.same(own, [], `${left} events left: the stream ends well`);
      (ends[left] ??= []).push(eventsOf(end).map((event) => `${event.type}${event.index ?? event.delta?.stop_reason ?? ''}`));
    }
  }
  const refusal = ['message_deltarefusal', 'message_stop'];
  const said = (index: number): string[] => [`content_block_start${index}`, `content_block_delta${index}`, `content_block_stop${index}`, 'message_deltaend_turn', 'message_stop'];
  t.same(ends, {
    0: [['message_start', ...refusal], ['message_start', ...said(0)]], 1: [refusal, said(1)], 2: [['content_block_stop1', ...refusal], ['content_block_stop1', ...said(2)]], 3: [['content_block_stop1', ...refusal], ['content_block_stop1', ...said(2)]],
    4: [refusal, said(2)], 5: [['message_stop'], ['message_stop']], 6: [[], []],
  });
  const fresh = reader({ model: 'asked' });
  t.match(eventsOf(fresh.blockedStream(undefined, new Set())), [{ message: { id: '', model: 'asked', role: 'assistant', content: [], stop_reason: null, usage: { input_tokens: 0, output_tokens: 0 } } }, { delta: { stop_details: { type: 'refusal', category: null, explanation: null } }, usage: { output_tokens: 0 } }, {}]);
  t.match(eventsOf(reader().blockedStream('sorry', new Set())), [{ message: { model: '' } }, {}, { delta: { type: 'text_delta', text: 'sorry' } }, {}, { delta: { stop_details: null } }, {}]);
  fresh.readEvent(events[0]);
  fresh.sent?.(undefined);
  t.match(eventsOf(fresh.blockedStream(undefined, new Set())), [{ message: { id: 'msg_1', model: 'claude' } }, { usage: { output_tokens: 1 } }, {}], 'what is known of the message is told');
});

t.test('text leaves by itself in the block that is open for the client', async (t) => {
  const one = reader();
  const can = (): boolean[] => ['0/text', '0/thinking', '0/input', '1/text', 'event/text'].map((key) => one.canCarry(key));
  t.same(can(), [false, false, false, false, false]);
  one.sent?.({ type: 'message_start', message: 'odd' });
  one.sent?.({ type: 'content_block_start' });
  one.sent?.({ type: 'ping' });
  t.same(can(), [true, true, false, false, false]);
  t.equal(one.textEvent('0/text', 'tail').toString(), 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"tail"}}\n\n');
  t.match(eventsOf(one.textEvent('3/thinking', 'tail')), [{ index: 3, delta: { type: 'thinking_delta', thinking: 'tail' } }]);
  one.sent?.({ type: 'content_block_stop', index: 0 });
  t.same(can(), [false, false, false, false, false]);
});

t.test('bodies of our own', async (t) => {
  const one = reader({ model: 'asked' });
  const body = wholeMessage({ blocks: [{ type: 'text', text: 'x' }] });
  one.readBody(body);
  t.match(JSON.parse(one.blockedBody(body, undefined).toString()), { id: 'msg_made_up', type: 'message', role: 'assistant', model: 'claude-made-up-1', content: [], stop_reason: 'refusal', stop_details: { type: 'refusal' }, usage: { input_tokens: 7 } });
  t.match(JSON.parse(one.blockedBody(body, 'sorry').toString()), { content: [{ type: 'text', text: 'sorry' }], stop_reason: 'end_turn', stop_details: null });
  t.match(JSON.parse(reader({ model: 'asked' }).blockedBody('odd', undefined).toString()), { id: '', model: 'asked', usage: { input_tokens: 0, output_tokens: 0 } });
  t.same(JSON.parse(one.blockedBody({ type: 'error', error: { type: 'overloaded_error', message: 'x' }, request_id: 'req_1' }, undefined).toString()), { type: 'error', error: { type: 'overloaded_error', message: 'the policy withheld the message of this error' }, request_id: 'req_1' });
  t.match(JSON.parse(one.blockedBody({ type: 'error', error: 'odd' }, 'sorry').toString()), { error: { type: 'api_error', message: 'sorry' } });
  t.match(JSON.parse(one.blockedBody({ type: 'error', error: {} }, 'sorry').toString()), { error: { type: 'api_error', message: 'sorry' } });
});

t.test('safe answers', async (t) => {
  const whole = anthropicMessages.fallback(read({ messages: [], model: 'm' }), 'safe', 'r', 0);
  t.equal(whole.contentType, 'application/json');
  t.match(JSON.parse(whole.body.toString()), { id: 'msg_r', model: 'm', content: [{ type: 'text', text: 'safe' }], stop_reason: 'end_turn' });
  const streamed = anthropicMessages.fallback(read({ messages: [], stream: true }), 'safe', 'r', 0);
  t.match(streamed.contentType, 'text/event-stream');
  t.same(readStream(streamed.body), { blocks: ['safe'], stop: 'end_turn', faults: [] });
  t.same(JSON.parse(anthropicTokenCount.fallback(read({ messages: [] }), 'safe', 'r', 0).body.toString()), { input_tokens: 0 }, 'what is answered here costs no tokens');
});

t.test('errors are in the words of the API', async (t) => {
  const { status, headers, body } = anthropicMessages.error('content_filter', 'blocked', 'r1');
  t.equal(status, 400);
  t.same(headers, { 'content-type': 'application/json', 'request-id': 'r1', 'x-should-retry': 'false' });
  t.same(JSON.parse(body.toString()), { type: 'error', error: { type: 'invalid_request_error', message: 'blocked', details: { error_code: 'content_filter' } }, request_id: 'r1' });
  const known = ['invalid_request_error', 'authentication_error', 'permission_error', 'not_found_error', 'request_too_large', 'rate_limit_error', 'api_error', 'overloaded_error', 'timeout_error'];
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const { type } = (JSON.parse(anthropicMessages.error(code, 'x', 'r').body.toString()) as { error: { type: string } }).error;
    t.ok(known.includes(type), `${code}: ${type}`);
    t.match(eventsOf(reader().errorEvent(code, 'x', 'r')), [{ type: 'error', error: { type, message: 'x' }, request_id: 'r' }]);
  }
  const typeOf = (code: ErrorCode): string => (JSON.parse(anthropicMessages.error(code, 'x', 'r').body.toString()) as { error: { type: string } }).error.type;
  t.same((['invalid_api_key', 'rate_limited', 'unknown_endpoint', 'body_too_large', 'overloaded', 'upstream_unreachable', 'upstream_timeout'] as const).map(typeOf), ['authentication_error', 'rate_limit_error', 'not_found_error', 'request_too_large', 'overloaded_error', 'api_error', 'timeout_error']);
  t.match(anthropicMessages.error('overloaded', 'x', 'r').headers, { 'x-should-retry': 'true' });
  t.match(anthropicMessages.error('rate_limited', 'x', 'r').headers, { 'x-should-retry': 'true' });
  t.match(reader().errorEvent('internal', 'x', 'r').toString(), /^event: error\ndata: /);
});

// Through the guard.

const REQUEST = read({ messages: [], stream: true });
const UNSIGNED = read({ messages: [], stream: true, thinking: { type: 'disabled' } });
const pii = planOf(REDACT_PII);

const SECRETS = ['maria.kowalska+home@mail.example.org', '4111 1111 1111 1111', '5500-0000-0000-0004', '192.168.13.77', `sk-proj-${'a1B2c3D4'.repeat(6)}`];
const WORDS = 'the quick report was late because our team met near 14 Main and 3 of 5 agreed, e.g. v1.2.3 or a@ b; it is 50% "quoted" back\\slash naïve 日本 😀 (x)'.split(' ');

/** Blocks with planted secrets, and their texts without: `\0` where a label stands. */
function planted(random: () => number): { readonly blocks: Block[]; readonly wanted: string[] } {
  const pick = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value;
  const marked = (): string => {
    const words = Array.from({ length: 2 + Math.floor(random() * 8) }, () => pick(WORDS));
    for (let i = 0; i <= random() * 3; i += 1) words.splice(Math.floor(random() * (words.length + 1)), 0, `\0${pick(SECRETS)}\0`);
    return words.join(' ');
  };
  const made = Array.from({ length: 1 + Math.floor(random() * 4) }, () => ({ kind: pick(['text', 'thinking', 'tool_use', 'cited'] as const), text: marked() }));
  const plain = (text: string): string => text.replaceAll('\0', '');
  return {
    blocks: made.map(({ kind, text }): Block => {
      if (kind === 'thinking') return { type: 'thinking', thinking: plain(text), signature: 'c2ln' };
      if (kind === 'tool_use') return { type: 'tool_use', id: 'toolu_1', name: 'save', input: JSON.stringify({ note: plain(text), n: [3] }) };
      return { type: 'text', text: plain(text), ...(kind === 'cited' ? { citations: [{ type: 'char_location', cited_text: plain(text), document_index: 0, start_char_index: 0, end_char_index: 9, document_title: null, file_id: null }] } : {}) };
    }),
    wanted: made.map(({ kind, text }) => {
      const redacted = text.split('\0').map((part, i) => (i % 2 === 0 ? part : '\0')).join('');
      return kind === 'tool_use' ? JSON.stringify({ note: redacted, n: [3] }) : redacted;
    }),
  };
}

t.test('planted secrets leave in no block, however the bytes are cut, and everything around them does', async () => {
  fc.assert(fc.property(fc.nat(), fc.nat(), (storySeed, cutSeed) => {
    const random = randomOf(storySeed);
    const { blocks, wanted } = planted(random);
    const bytes = Buffer.from(messageEvents({ blocks, stop: 'tool_use', cut: (text) => fragments(text, random) }).join(''));
    const { bytes: out, blocked } = guarded(pii, cutBytes(bytes, cutSeed, [3, 20, 200, 5000][cutSeed % 4] as number), { dialect: anthropicMessages, request: UNSIGNED });
    const got = readStream(out);
    if (blocked || got.faults.length > 0 || got.stop !== 'tool_use') throw new Error(`blocked ${blocked}, ${got.faults.join('; ')}, ${got.stop}`);
    const labelled = got.blocks.map((text) => (text.startsWith('{') ? JSON.stringify(JSON.parse(text)) : text).replace(/\[[A-Z_]+\]/g, '\0').replaceAll('\\u0000', '\0'));
    const flat = wanted.map((text) => text.replaceAll('\\u0000', '\0'));
    if (JSON.stringify(labelled) !== JSON.stringify(flat)) throw new Error(`${JSON.stringify(labelled)} is not ${JSON.stringify(flat)}`);
    return SECRETS.every((secret) => !out.toString().includes(secret));
  }), { seed, numRuns: runs(400) });
});

function fragments(text: string, random: () => number): string[] {
  const out: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = [1, 1, 2, 3, 4, 7, 12][Math.floor(random() * 7)] as number;
    out.push(text.slice(at, at + size));
    at += size;
  }
  return out;
}

t.test('the same bytes, whatever the cut', async (t) => {
  const blocks: Block[] = [{ type: 'text', text: 'Mail maria.kowalska@mail.example.org or pay 4111 1111 1111 1111.' }, { type: 'tool_use', id: 'toolu_1', name: 'save', input: '{"to":"maria.kowalsk\\u0061@mail.example.org","card":4111111111111111}' }];
  const bytes = Buffer.from(messageEvents({ blocks, cut: (text) => [text.slice(0, 9), text.slice(9, 30), text.slice(30)] }).join(''));
  const whole = guarded(pii, [bytes], { dialect: anthropicMessages, request: REQUEST }).bytes;
  t.same(readStream(whole).blocks, ['Mail [EMAIL] or pay [CREDIT_CARD].', '{"to":"[EMAIL]","card":"[CREDIT_CARD]"}']);
  for (let at = 1; at < bytes.length; at += 1) {
    if (!guarded(pii, [bytes.subarray(0, at), bytes.subarray(at)], { dialect: anthropicMessages, request: REQUEST }).bytes.equals(whole)) t.fail(`cut at ${at}`);
  }
});

t.test('a whole answer is redacted, the names and numbers of arguments too', async (t) => {
  const body = JSON.stringify(wholeMessage({ blocks: [{ type: 'text', text: 'Ask ana@example.com' }, { type: 'tool_use', id: 'toolu_1', name: 'save', input: '{"ana@example.com":{"tel":["4111 1111 1111 1111"]},"n":[4111111111111111,12.5],"m":null}' }, { type: 'web_search_tool_result', tool_use_id: 't', content: [{ type: 'web_search_result', title: 'of ana@example.com', url: 'https://a.example.com', encrypted_content: 'AAAA' }] }] }));
  const { bytes } = guarded(pii, [Buffer.from(body)], { dialect: anthropicMessages, mediaType: 'application/json' });
  t.equal(bytes.toString(), body.replaceAll('ana@example.com', '[EMAIL]').replace('4111 1111 1111 1111', '[CREDIT_CARD]').replace('4111111111111111', '"[CREDIT_CARD]"'));
});

t.test('text that waits while pings arrive leaves in a delta of its own, before its block ends', async (t) => {
  const head = messageEvents({ blocks: [] }).slice(0, 1);
  const delta = (text: string): string => named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
  const pings = Array<string>(20).fill(named({ type: 'ping' }));
  const bytes = [...head, named({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }), delta('It is bob.roe'), ...pings, named({ type: 'content_block_stop', index: 0 }), ...messageEvents({ blocks: [] }).slice(-2)];
  const { bytes: out, prefix } = guarded(pii, bytes.map((event) => Buffer.from(event)), { dialect: anthropicMessages, request: REQUEST });
  t.same(readStream(out), { blocks: ['It is bob.roe'], stop: 'end_turn', faults: [] });
  t.same(eventsOf(prefix(22)).slice(2, 4), [{ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'It is ' } }, { type: 'ping' }], 'what is decided does not wait');
  t.equal(eventsOf(out).at(-4).delta.text, 'bob.roe');
});

const BLOCK = `policy: test
default_action: allow
message: Let us talk about something else.
patterns:
  - { id: codename, label: CODENAME, literal: [Bluebird] }
rules:
  - { id: codename, priority: 1, direction: both, when: { score: patterns.codename, gte: 1 }, action: block }
`;

t.test('a blocked stream ends as the API ends one, wherever the match stands', async (t) => {
  const cases: readonly (readonly [what: string, blocks: readonly Block[], left: readonly string[]])[] = [
    ['in text', [{ type: 'text', text: 'It was called Bluebird, and so on.' }], ['It was called ']],
    ['in the second block', [{ type: 'text', text: 'Well.' }, { type: 'text', text: 'It was Bluebird.' }], ['Well.', 'It was ']],
    ['in thinking', [{ type: 'thinking', thinking: 'Bluebird?', signature: 'c2ln' }, { type: 'text', text: 'No idea.' }], ['']],
    ['in a result that comes whole', [{ type: 'text', text: 'Look:' }, { type: 'web_search_tool_result', tool_use_id: 't', content: [{ type: 'web_search_result', title: 'Bluebird' }] }], ['Look:']],
    ['in arguments', [{ type: 'tool_use', id: 'toolu_1', name: 'find', input: '{"what":"Bluebird"}' }], ['{"what":"']],
  ];
  for (const [what, blocks, left] of cases) {
    for (const onBlock of ['error', 'fallback']) {
      const bytes = Buffer.from(messageEvents({ blocks, cut: (text) => [text.slice(0, 9), text.slice(9)] }).join(''));
      const { bytes: out, blocked } = guarded(planOf(`${BLOCK}on_block: ${onBlock}\n`), cutBytes(bytes, 3, 40), { dialect: anthropicMessages, request: REQUEST });
      t.ok(blocked, what);
      const said = onBlock === 'fallback' ? ['Let us talk about something else.'] : [];
      t.same(readStream(out), { blocks: [...left, ...said], stop: onBlock === 'fallback' ? 'end_turn' : 'refusal', faults: [] }, `${what}, ${onBlock}`);
      t.notMatch(out.toString(), /Bluebird/);
    }
  }
});

t.test('signed thinking passes whole or not at all', async (t) => {
  const signed = (thinking: string): Block => ({ type: 'thinking', thinking, signature: 'c2ln' });
  const stream = (blocks: readonly Block[]): Buffer => Buffer.from(messageEvents({ blocks, cut: (text) => text.split(/(?<= )/) }).join(''));
  const kept = stream([signed('Who is asking? '), { type: 'text', text: 'Ask ana@example.com ' }]);
  const { bytes, blocked } = guarded(pii, [kept], { dialect: anthropicMessages, request: REQUEST });
  t.equal(blocked, false);
  t.equal(bytes.toString(), kept.toString().replace('ana@example.com', '[EMAIL]'), 'thinking without a match is left alone');

  const withheld = guarded(pii, cutBytes(stream([{ type: 'text', text: 'Well. ' }, signed('Ask ana@example.com or so'), { type: 'text', text: 'Done.' }]), 1, 30), { dialect: anthropicMessages, request: REQUEST });
  t.equal(withheld.blocked, true);
  t.same(readStream(withheld.bytes), { blocks: ['Well. ', 'Ask '], stop: 'refusal', faults: [] });
  t.notMatch(withheld.bytes.toString(), /ana@|\[EMAIL\]/);
  t.match(withheld.summary.decision, { action: 'block', triggered_rules: ['pii'], redactions: 0 });

  const unsigned = guarded(pii, [stream([signed('Ask ana@example.com or so')])], { dialect: anthropicMessages, request: UNSIGNED });
  t.same(readStream(unsigned.bytes).blocks, ['Ask [EMAIL] or so'], 'where the request turned thinking off, none is signed');

  const body = (signature: string): ReturnType<typeof guarded> => guarded(pii, [Buffer.from(JSON.stringify(wholeMessage({ blocks: [{ type: 'thinking', thinking: 'Ask ana@example.com', signature }, { type: 'text', text: 'x' }] })))], { dialect: anthropicMessages, mediaType: 'application/json' });
  t.match(JSON.parse(body('c2ln').bytes.toString()), { content: { length: 0 }, stop_reason: 'refusal' });
  t.match(JSON.parse(body('').bytes.toString()), { content: [{ thinking: 'Ask [EMAIL]' }, {}], stop_reason: 'end_turn' });

  const pseudonyms = new Pseudonyms();
  const token = pseudonyms.tokenOf('EMAIL', 'ana@example.com') as string;
  const restoring = { forOutput: () => planOf(EMPTY_POLICY).forOutput({}, pseudonyms) } as unknown as ScreeningPlan;
  const restored = guarded(restoring, [stream([signed(`Ask ${token} now `), { type: 'text', text: `Ask ${token} now ` }])], { dialect: anthropicMessages, request: REQUEST });
  t.same(readStream(restored.bytes).blocks, [`Ask ${token} now `, 'Ask ana@example.com now '], 'nor are values put back in it');
});

t.test('recorded answers leave as the bytes they came in', { skip: skipReason }, async (t) => {
  const never = 'policy: test\ndefault_action: allow\npatterns:\n  - { id: never, label: NEVER, regex: "zqxjk[0-9]{9}zq" }\nrules:\n  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: redact }\n';
  for (const [name, policy] of [['an empty policy', EMPTY_POLICY], ['a rule that never matches', never]] as const) {
    const all = recordings('messages');
    const different = all.filter(({ bytes, stream, status }, i) => !guarded(planOf(policy), cutBytes(bytes, i, 40), { dialect: anthropicMessages, status, mediaType: stream ? 'text/event-stream' : 'application/json' }).bytes.equals(bytes));
    t.same(different.map(({ file }) => file), [], `${all.length} answers with ${name}`);
    t.ok(all.length > 0);
  }
});
