/** OpenAI chat completions: where text stands in requests and answers, and what errors, blocks and fallbacks look like. */
import t from 'tap';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { readJson } from '../../src/dialect/json.ts';
import type { Piece } from '../../src/dialect/dialect.ts';
import { eventsOf } from '../helpers/guarded.ts';

const read = (body: unknown) => openaiChat.readRequest(readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 10_000 }));

t.test('every text of a request is a segment, known or not', async (t) => {
  const reading = read({
    model: 'm', stream: true, n: 2, temperature: 0.5, user: 'ana', stop: ['END'], metadata: { note: 'hidden' }, service_tier: 'auto', future_field: { deep: ['new text'] },
    messages: [
      { role: 'system', content: 'be kind' },
      { role: 'user', name: 'bob', content: [{ type: 'text', text: 'hello' }, { type: 'image_url', image_url: { url: 'https://x.test/i.png', detail: 'low' } }, { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }, { type: 'file', file: { file_id: 'f1', filename: 'cv.pdf' } }] },
      { role: 'assistant', content: null, refusal: 'no', tool_calls: [{ id: 'c1', type: 'function', function: { name: 'save', arguments: '{"a":1}' } }] },
      { role: 'tool', tool_call_id: 'c1', content: 'saved' },
      { role: 'user', content: '' },
    ],
    tools: [{ type: 'function', function: { name: 'save', description: 'saves', parameters: { type: 'object', properties: { a: { description: 'the a' } } } } }],
  });
  const found = Object.fromEntries(reading.segments.map((s) => [s.path, s.content]));
  t.match(found, {
    'messages[0].content': 'be kind', 'messages[1].name': 'bob', 'messages[1].content[0].text': 'hello', 'messages[1].content[3].file.filename': 'cv.pdf', 'messages[2].refusal': 'no',
    'messages[2].tool_calls[0].function.name': 'save', 'messages[2].tool_calls[0].function.arguments': '{"a":1}', 'messages[3].content': 'saved', 'stop[0]': 'END', 'metadata.note': 'hidden', user: 'ana',
    'future_field.deep[0]': 'new text', 'tools[0].function.description': 'saves', 'tools[0].function.parameters.properties.a.description': 'the a',
  });
  for (const exempt of ['model', 'messages[0].role', 'messages[2].tool_calls[0].id', 'service_tier', 'messages[4].content']) t.notOk(exempt in found, exempt);
  t.same(reading.opaque.map((o) => o.carrier), ['messages[].content[].image_url.url', 'messages[].content[].input_audio.data', 'messages[].content[].file.file_id']);
  t.match(reading, { stream: true, model: 'm', userId: 'ana', parameters: { n: 2, temperature: 0.5 } });
  const history = reading.segments.filter((s) => s.history).map((s) => s.path);
  t.ok(history.includes('messages[1].content[0].text') && !history.includes('messages[3].content') && !history.includes('tools[0].function.name'), 'turns up to the last answer are history');
  t.same(reading.segments.filter((s) => s.json).map((s) => s.path), ['messages[2].tool_calls[0].function.arguments']);
  t.equal(reading.segments.find((s) => s.path === 'messages[3].content')?.role, 'tool');
  t.same(reading.segments.find((s) => s.path === 'messages[0].content')?.jsonPath, ['messages', 0, 'content']);
});

t.test('the keys to data sources are no text, and what a model is told about them is', async (t) => {
  const authentication = { type: 'api_key', key: 'made up', access_token: 'made up' };
  const reading = read({ messages: [], data_sources: [{ type: 'azure_search', parameters: { endpoint: 'https://search.example.com', authentication, role_information: 'be kind', embedding_dependency: { deployment_name: 'e', authentication } } }] });
  t.same(reading.segments.map(({ content }) => content), ['https://search.example.com', 'be kind', 'e']);
});

t.test('what is no request of this endpoint is refused', async (t) => {
  for (const body of [[], 'x', 1, {}, { messages: 'hi' }, { messages: { 0: {} } }]) t.throws(() => read(body), { code: 'invalid_request' });
  t.match(read({ messages: ['odd', { role: 5, content: 'x' }], stream: 'true' }), { stream: false, model: undefined });
});

const texts = (pieces: readonly Piece[]): Record<string, string> => Object.fromEntries(pieces.map((p) => [`${p.key}${p.whole ? '' : '…'}`, p.text]));

t.test('every text of a chunk is a piece, fragments joined by channel', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  const { pieces, closes } = reader.readEvent({
    id: 'c', object: 'chat.completion.chunk', model: 'gpt', provider: 'P', obfuscation: 'xx', system_fingerprint: 'fp',
    choices: [
      { index: 1, delta: { role: 'assistant', content: 'a', refusal: 'b', reasoning: 'c', reasoning_content: null, reasoning_details: [{ type: 'reasoning.text', text: 'd', signature: 'zz' }], custom: 'e', audio: { id: 'x', transcript: 'f', data: 'AA' }, function_call: { name: 'g', arguments: 'h' },
        tool_calls: [{ index: 3, id: 'i', type: 'function', function: { name: 'j', arguments: 'k' } }, { function: { arguments: 'l' } }, { index: 5, custom: { name: 'm', input: 'n' } }, 'odd'], annotations: [{ index: 8, url_citation: { title: 'o' } }, { index: 'odd' }] }, text: 'p', message: { content: 'q' }, finish_reason: 'stop', logprobs: { content: [] }, stop_reason: 4 },
      { delta: { content: [{ type: 'text', text: 'r' }] }, finish_reason: null }, 'odd', { index: 7, delta: 'odd' },
    ],
    error: { message: 's', code: 5 },
  });
  t.match(texts(pieces), {
    '1/content…': 'a', '1/refusal…': 'b', '1/reasoning…': 'c', '1/reasoning_details/0/text…': 'd', '1/custom…': 'e', '1/audio/transcript…': 'f', '1/function_call/name': 'g', '1/function_call/arguments…': 'h', '1/tool_calls/3/function/name': undefined,
    '1/tool_calls/3/name': 'j', '1/tool_calls/3/arguments…': 'k', '1/tool_calls/1/arguments…': 'l', '1/tool_calls/5/custom/name': 'm', '1/tool_calls/5/custom/input…': 'n', '1/annotations/8/url_citation/title': 'o', '1/text/…': 'p', '1/content': 'q', '1/content/0/text…': 'r', 'event/error/message': 's', '1/tool_calls/3': 'odd', 'event/choices/2': 'odd', '7/delta/': 'odd', '1/logprobs/': undefined,
  });
  t.same(pieces.filter(({ copy }) => copy).map(({ text }) => text), ['q'], 'a message in a chunk is the whole text so far');
  t.equal(pieces.some((p) => /zz|xx|^gpt|AA/.test(p.text)), false, 'ids, padding and signatures are no text');
  t.same(closes, ['event/', '1/']);
  t.same(reader.readEvent(null), { pieces: [], closes: [] });
  t.same(texts(reader.readEvent({ choices: 'odd', usage: { prompt_tokens: 3, completion_tokens: 'x' }, citations: ['y'] }).pieces), { 'event/choices': 'odd', 'event/usage/completion_tokens': 'x', 'event/citations/0': 'y' });
  t.same(reader.usage(), { inputTokens: 3, outputTokens: undefined });
  t.same(reader.facts(), { responseId: 'c', model: 'gpt', finishReasons: ['stop'], fingerprint: 'fp' });
});

t.test('a whole answer', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  const { pieces, closes } = reader.readBody({ id: 'c', model: 'm', choices: [{ message: { role: 'assistant', content: 'a', tool_calls: [{ id: 'i', type: 'function', function: { name: 'f', arguments: '{}' } }] }, finish_reason: 'stop' }, 'odd', { index: 4, message: { content: 'b' }, finish_reason: null }], citations: ['c'], usage: { prompt_tokens: 1, completion_tokens: 2 }, detail: { x: 'd' } });
  t.same(Object.values(texts(pieces)).sort(), ['a', 'b', 'c', 'd', 'f', 'odd', '{}']);
  t.same(closes, ['']);
  t.same(texts(reader.readBody(['x', { y: 'z' }]).pieces), { 'body/0': 'x', 'body/1/y': 'z' });
  t.same(reader.readBody({ error: { message: 'e', param: null } }).pieces.map((p) => p.text), ['e']);
});

t.test('an exempt string looks like what it is exempt for', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  const odd = (id: string, type: string): unknown => ({ id, choices: [{ index: 0, delta: { role: id, tool_calls: [{ index: 0, id, type }] }, finish_reason: id, logprobs: id }] });
  t.same(reader.readEvent(odd('stop', 'function')).pieces.map(({ carrier }) => carrier), ['choices[].logprobs']);
  t.same(reader.readEvent(odd('two words', 'ana@example.com')).pieces.map(({ text }) => text).sort(), ['ana@example.com', ...Array<string>(5).fill('two words')].sort());
  const named = read(JSON.parse('{"messages":[],"constructor":"a","__proto__":"b","metadata":{"toString":"c"}}'));
  t.same(named.segments.map(({ content }) => content), ['a', 'b', 'toString', 'c'], 'names that every object knows are names like any other');
  t.same(reader.readBody({ choices: [], metadata: { 'ana@example.com': 'x' } }).pieces.map(({ text, inKey }) => [text, inKey]), [['ana@example.com', true], ['x', undefined]]);
});

t.test('log-probabilities depend on the text of their choice', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  const event = { choices: [{ index: 0, logprobs: { content: [] } }, { logprobs: { content: [] } }, { index: 2, logprobs: null }, 'odd'] };
  t.same(reader.dependents(event, '0/content'), [{ path: ['choices', 0, 'logprobs'], value: null }]);
  t.same(reader.dependents(event, '1/content'), [{ path: ['choices', 1, 'logprobs'], value: null }]);
  t.same([reader.dependents(event, '2/content'), reader.dependents(null, '0/content'), reader.dependents({}, '0/content')], [[], [], []]);
});

t.test('chunks of our own carry the envelope of the stream', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  reader.readEvent({ id: 'c9', created: 7, model: 'm', system_fingerprint: 'fp', choices: [{ index: 2, delta: { content: 'x' } }, { index: 0, delta: { content: 'x' } }] });
  const [text] = eventsOf(reader.textEvent('2/content', 'tail'));
  t.same(text, { id: 'c9', object: 'chat.completion.chunk', created: 7, model: 'm', system_fingerprint: 'fp', choices: [{ index: 2, delta: { content: 'tail' }, finish_reason: null }] });
  t.same(['2/content', '0/refusal', '2/tool_calls/0/arguments', 'event', 'x/content', '2/text/'].map((key) => reader.canCarry(key)), [true, true, false, false, false, false]);
  t.same(eventsOf(reader.blockedStream(undefined, new Set())).map((e) => [e.choices[0].index, e.choices[0].finish_reason]), [[0, 'content_filter'], [2, 'content_filter']]);
  t.same(eventsOf(reader.blockedStream('sorry', new Set())).map((e) => [e.choices[0].index, e.choices[0].delta.content ?? null, e.choices[0].finish_reason]), [[0, 'sorry', null], [0, null, 'stop'], [2, 'sorry', null], [2, null, 'stop']]);
  t.same(eventsOf(reader.blockedStream(undefined, new Set(['0/']))).map((e) => e.choices[0].index), [2], 'a finished choice is not finished twice');
  t.equal(reader.blockedStream(undefined, new Set(['0/', '2/'])).toString(), 'data: [DONE]\n\n');
  t.same(eventsOf(openaiChat.createReader(read({ messages: [] })).blockedStream(undefined, new Set())).map((e) => e.choices[0].index), [0], 'a stream blocked before it began has one choice');
  t.match(eventsOf(reader.errorEvent('upstream_unreachable', 'gone', 'r'))[0], { error: { message: 'gone', type: 'server_error', code: 'upstream_unreachable' } });
});

t.test('bodies of our own', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  const blocked = JSON.parse(reader.blockedBody({ id: 'c', created: 3, model: 'm', choices: [{ index: 1 }, 'odd', {}], usage: { total_tokens: 5 } }, undefined).toString());
  t.same(blocked.choices.map((c: any) => [c.index, c.message.content, c.finish_reason, c.logprobs]), [[1, '', 'content_filter', null], [1, '', 'content_filter', null], [2, '', 'content_filter', null]]);
  t.match(blocked, { id: 'c', created: 3, usage: { total_tokens: 5 } });
  const replaced = JSON.parse(reader.blockedBody(undefined, 'sorry').toString());
  t.match(replaced, { id: '', choices: [{ index: 0, message: { content: 'sorry' }, finish_reason: 'stop' }] });
  t.notOk('usage' in replaced);
  const answer = openaiChat.error('content_filter', 'blocked', 'r1');
  t.equal(answer.status, 400);
  t.match(answer.headers, { 'x-should-retry': 'false', 'x-request-id': 'r1' });
  t.same(JSON.parse(answer.body.toString()), { error: { message: 'blocked', type: 'invalid_request_error', param: 'messages', code: 'content_filter' } });
  t.match(openaiChat.error('overloaded', 'x', 'r'), { status: 503, headers: { 'x-should-retry': 'true' } });
  t.match(openaiChat.error('rate_limited', 'x', 'r'), { headers: { 'x-should-retry': 'true' } });
  const whole = openaiChat.fallback(read({ messages: [], model: 'm' }), 'safe', 'r', 5000);
  t.match(JSON.parse(whole.body.toString()), { id: 'chatcmpl-r', created: 5, model: 'm', choices: [{ message: { content: 'safe' }, finish_reason: 'stop' }] });
  const streamed = openaiChat.fallback(read({ messages: [], stream: true }), 'safe', 'r', 5000);
  t.match(streamed.contentType, 'text/event-stream');
  t.same(eventsOf(streamed.body).map((e) => [e.choices[0].delta.content ?? null, e.choices[0].finish_reason]), [['', null], ['safe', null], [null, 'stop']]);
});

t.test('a server that invents fields without end costs no memory and loses no text', async (t) => {
  const reader = openaiChat.createReader(read({ messages: [] }));
  for (let i = 0; i < 2_500; i += 1) {
    const { pieces } = reader.readEvent({ choices: [{ index: 0, delta: { [`field${i}`]: 'x', content: 'y' } }] });
    if (pieces.length !== 2) t.fail(`event ${i}`);
  }
  t.pass();
});
