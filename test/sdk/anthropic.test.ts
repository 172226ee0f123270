/**
 * Anthropic's own SDK and Vercel's AI SDK through the whole proxy: the same as without it where no rule changes
 * anything; redacted in the spans alone; a block is one error without retries, or a message that was refused; a stream
 * that breaks is an error.
 */
import { createAnthropic } from '@ai-sdk/anthropic';
import Anthropic from '@anthropic-ai/sdk';
import { generateText, jsonSchema, streamText, tool } from 'ai';
import t from 'tap';
import { callingTool, messageEvents, MESSAGE_USAGE, named, sayingMessage, type Block, type MessageAnswer } from '../helpers/anthropic.ts';
import { endToEnd, SdkHouse } from '../helpers/sdk.ts';
import { json, pause, SSE_HEAD, chunk, until, type ReceivedRequest } from '../helpers/upstream.ts';

/** Both bases end in `/v1`, which this SDK writes itself. */
const connect = (base: string, maxRetries = 0): Anthropic => new Anthropic({ baseURL: base.slice(0, -'/v1'.length), apiKey: 'sk-made-up', maxRetries, timeout: 10_000, logLevel: 'off' });

const ASK = { model: 'claude-made-up-1', max_tokens: 64, messages: [{ role: 'user' as const, content: 'What’s the weather in Springfield, and why? ☔' }] };
const THINK = { ...ASK, thinking: { type: 'enabled' as const, budget_tokens: 1024 } };

const ANSWERS: Readonly<Record<string, MessageAnswer>> = {
  text: { blocks: [{ type: 'text', text: 'It rains, as it did at 10:30 — 42 mm in 3 days. 4111 steps away. ☔👩‍👩‍👧\n' }] },
  'thinking, text and citations': {
    blocks: [{ type: 'thinking', thinking: 'The user asks about 2 things. ', signature: 'c2lnbmF0dXJl' }, { type: 'text', text: 'Rain.', citations: [{ type: 'char_location', cited_text: 'It rains.', document_index: 0, document_title: 'Almanac', start_char_index: 0, end_char_index: 9, file_id: null }] }],
  },
  'tools': { blocks: [{ type: 'text', text: 'Let me look. ' }, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: '{"town":"Springfield \\u2602 \\"north\\"","days":[1,2.5],"at":null}' }], stop: 'tool_use' },
};

interface Read {
  readonly whole: unknown;
  readonly events: readonly unknown[];
  readonly final: unknown;
}

async function readAll(client: Anthropic, ask = ASK): Promise<Read> {
  const { data, response, request_id: requestId } = await client.messages.create(ask).withResponse();
  const events: unknown[] = [];
  for await (const event of await client.messages.create({ ...ask, stream: true })) events.push(structuredClone(event));
  const stream = client.messages.stream(ask);
  const heard: unknown[] = [];
  for (const name of ['text', 'thinking', 'signature', 'citation', 'inputJson', 'contentBlock', 'message', 'finalMessage', 'end'] as const) stream.on(name, (...values: unknown[]) => void heard.push([name, ...values.map((value) => structuredClone(value))]));
  return { whole: { data, requestId, status: response.status }, events, final: { message: await stream.finalMessage(), heard } };
}

for (const policy of ['empty', 'redact'] as const) {
  t.test(`policy ${policy}: what the SDK makes of an answer is what it makes without Weir`, async (t) => {
    const house = await SdkHouse.open(t, policy);
    for (const [what, answer] of Object.entries(ANSWERS)) {
      house.upstream.script = sayingMessage(answer);
      const direct = await readAll(connect(house.directUrl), THINK);
      const sentDirect = house.upstream.received.splice(0);
      const through = await readAll(connect(house.weirUrl), THINK);
      const sentThrough = house.upstream.received.splice(0);
      t.strictSame(through, direct, what);
      t.strictSame(sentThrough.map(endToEnd), sentDirect.map(endToEnd), `${what}: the provider gets the same requests`);
      t.match(through.whole, { requestId: 'req_made_up', status: 200, data: { usage: MESSAGE_USAGE } });
      t.equal(direct.events.length, messageEvents(answer).length - 1, 'all events but the ping');
      t.strictSame((await house.takeClosed(3)).map(({ outcome }) => outcome), ['completed', 'completed', 'completed']);
    }
    house.upstream.script = json(200, { input_tokens: 9 });
    t.strictSame(await connect(house.weirUrl).messages.countTokens({ model: 'm', messages: ASK.messages }), await connect(house.directUrl).messages.countTokens({ model: 'm', messages: ASK.messages }));
  });
}

const TEXT = { planted: 'Ask ana@example.com or +1 202-555-0143, card 4111 1111 1111 1111, at noon.', redacted: 'Ask [EMAIL] or [PHONE_NUMBER], card [CREDIT_CARD], at noon.' };
const INPUT = {
  planted: '{"to":"Ana \\"A\\" <ana@example.com>","cc":["b\\u006fb@example.com","no one"],"card":4111111111111111,"deep":{"tel":"+1 202-555-0143"}}',
  redacted: '{"to":"Ana \\"A\\" <[EMAIL]>","cc":["[EMAIL]","no one"],"card":"[CREDIT_CARD]","deep":{"tel":"[PHONE_NUMBER]"}}',
};

const withTexts = (side: 'planted' | 'redacted'): MessageAnswer => ({
  blocks: [{ type: 'text', text: TEXT[side] }, { type: 'web_search_tool_result', tool_use_id: 'srvtoolu_1', content: [{ type: 'web_search_result', title: TEXT[side], url: 'https://a.example.com', encrypted_content: 'AAAA', page_age: null }] }, { type: 'tool_use', id: 'toolu_1', name: 'mail', input: INPUT[side] }],
  stop: 'tool_use',
});

/** Messages without the events that lead to them: those are cut elsewhere. */
async function messagesOf(client: Anthropic): Promise<unknown> {
  const stream = client.messages.stream(ASK);
  let inputs = '';
  stream.on('inputJson', (partial) => { inputs += partial; });
  return { whole: await client.messages.create(ASK), final: await stream.finalMessage(), inputs: JSON.parse(inputs) as unknown };
}

t.test('texts differ in the redacted spans alone', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  house.upstream.script = sayingMessage(withTexts('redacted'));
  const expected = await messagesOf(connect(house.directUrl));
  house.upstream.script = sayingMessage(withTexts('planted'));
  const got = await messagesOf(connect(house.weirUrl));
  t.strictSame(got, expected);
  t.match(got, { final: { content: { 2: { input: { card: '[CREDIT_CARD]' } } } } });
  t.notMatch(JSON.stringify(got), /ana@|bob@|0143|1111/);
});

t.test('a prompt reaches the provider redacted, results of tools and names of arguments too, and nothing else changes', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  house.upstream.script = sayingMessage(ANSWERS.text!);
  const ask = (text: string, name: string): Anthropic.MessageCreateParamsNonStreaming => ({
    ...ASK, system: [{ type: 'text', text, cache_control: { type: 'ephemeral' } }], metadata: { user_id: 'u-1' },
    messages: [
      { role: 'user', content: [{ type: 'document', source: { type: 'text', media_type: 'text/plain', data: text } }, { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }] },
      { role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: 'c2ln' }, { type: 'tool_use', id: 'toolu_1', name: 'mail', input: { [name]: [text] } }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text }] }] },
    ],
  });
  await connect(house.weirUrl).messages.create(ask(TEXT.planted, 'ana@example.com'));
  await connect(house.directUrl).messages.create(ask(TEXT.redacted, '[EMAIL]'));
  const [through, direct] = house.upstream.received as [ReceivedRequest, ReceivedRequest];
  t.equal(through.body.toString(), direct.body.toString());
});

t.test('pseudonyms: the provider gets back what it signed, and the same tokens, turn after turn', async (t) => {
  const house = await SdkHouse.open(t, 'pseudonym');
  const client = connect(house.weirUrl);
  house.upstream.script = sayingMessage({ blocks: [{ type: 'thinking', thinking: 'Is [EMAIL_1] a friend? ', signature: 'c2ln' }, { type: 'text', text: 'I will ask ⟨EMAIL_1⟩.' }] });
  const messages: Anthropic.MessageParam[] = [{ role: 'user', content: 'Ask ana@example.com' }];
  const first = await client.messages.stream({ ...THINK, messages }).finalMessage();
  t.match(first.content, [{ type: 'thinking', thinking: 'Is [EMAIL_1] a friend? ' }, { type: 'text', text: 'I will ask ana@example.com.' }]);
  messages.push({ role: 'assistant', content: first.content }, { role: 'user', content: 'And bob@example.com' });
  const second = await client.messages.stream({ ...THINK, messages }).finalMessage();
  t.match(second.content, [{}, { text: 'I will ask ana@example.com.' }], 'the token still stands for the value');
  const sent = JSON.parse(house.upstream.received.at(-1)!.body.toString()) as { messages: unknown };
  t.match(sent.messages, [{ content: 'Ask ⟨EMAIL_1⟩' }, { content: [{ type: 'thinking', thinking: 'Is [EMAIL_1] a friend? ', signature: 'c2ln' }, { text: 'I will ask ⟨EMAIL_1⟩.' }] }, { content: 'And ⟨EMAIL_2⟩' }]);
});

/** The error a call ends with; fails when there is none. */
async function errorOf(call: PromiseLike<unknown>): Promise<InstanceType<typeof Anthropic.APIError>> {
  const nothing = Symbol();
  const error = await Promise.resolve(call).then(() => nothing, (thrown: unknown) => thrown);
  if (error === nothing) throw new Error('the call succeeded');
  return error as InstanceType<typeof Anthropic.APIError>;
}

const BLOCKED = { ...ASK, messages: [{ role: 'user' as const, content: 'What became of Bluebird?' }] };

t.test('a blocked prompt raises BadRequestError once', async (t) => {
  const house = await SdkHouse.open(t, 'block');
  const client = connect(house.weirUrl, 2);
  const calls: Readonly<Record<string, () => PromiseLike<unknown>>> = {
    whole: () => client.messages.create(BLOCKED),
    stream: () => client.messages.create({ ...BLOCKED, stream: true }),
    helper: () => client.messages.stream(BLOCKED).finalMessage(),
    beta: () => client.beta.messages.create(BLOCKED),
    counted: () => client.messages.countTokens({ model: 'm', messages: BLOCKED.messages }),
  };
  for (const [how, call] of Object.entries(calls)) {
    const error = await errorOf(call());
    t.ok(error instanceof Anthropic.BadRequestError, `${how}: ${error.constructor.name}`);
    t.match(error, { status: 400, type: 'invalid_request_error', errorCode: 'content_filter' }, how);
    t.ok(error.requestID);
    t.notMatch(error.message, /bluebird|became/i, `${how}: no user text`);
    t.equal((await house.takeClosed(1)).length, 1, `${how}: asked once`);
  }
  t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
});

const SECRET = 'It was called Bluebird and is over.';
const STREAMS: Readonly<Record<string, readonly Block[]>> = {
  'in text': [{ type: 'text', text: SECRET }],
  'in the second block': [{ type: 'text', text: 'Well. ' }, { type: 'text', text: SECRET }],
  'in thinking': [{ type: 'thinking', thinking: SECRET, signature: 'c2ln' }, { type: 'text', text: 'No idea.' }],
  'in arguments': [{ type: 'tool_use', id: 'toolu_1', name: 'find', input: '{"what":"Bluebird"}' }],
};

t.test('a blocked answer is one that was refused, whole or streamed', async (t) => {
  const house = await SdkHouse.open(t, 'block');
  const client = connect(house.weirUrl);
  for (const [what, blocks] of Object.entries(STREAMS)) {
    house.upstream.script = sayingMessage({ blocks });
    const whole = await client.messages.create(THINK);
    t.match(whole, { id: 'msg_made_up', content: { length: 0 }, stop_reason: 'refusal', usage: MESSAGE_USAGE }, what);
    const final = await client.messages.stream(THINK).finalMessage();
    t.match(final, { id: 'msg_made_up', stop_reason: 'refusal', stop_details: { type: 'refusal' } }, what);
    t.notMatch(JSON.stringify([whole, final]), /blue|bird/i, what);
    t.strictSame((await house.takeClosed(2)).map(({ outcome }) => outcome), ['blocked', 'blocked'], what);
  }
});

t.test('signed thinking that the policy would redact is withheld, and refused when it comes back', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  const client = connect(house.weirUrl, 2);
  house.upstream.script = sayingMessage({ blocks: [{ type: 'thinking', thinking: `${TEXT.planted} `, signature: 'c2ln' }, { type: 'text', text: 'Done.' }] });
  const final = await client.messages.stream(THINK).finalMessage();
  t.match(final, { content: [{ type: 'thinking', signature: '' }], stop_reason: 'refusal' });
  t.notMatch(JSON.stringify(final), /ana@|\[EMAIL\]/);
  t.match(await client.messages.create(THINK), { content: { length: 0 }, stop_reason: 'refusal' });
  const sent = house.upstream.received.length;
  const error = await errorOf(client.messages.create({ ...THINK, messages: [...ASK.messages, { role: 'assistant', content: [{ type: 'thinking', thinking: TEXT.planted, signature: 'c2ln' }] }, { role: 'user', content: 'Go on.' }] }));
  t.ok(error instanceof Anthropic.BadRequestError);
  t.match(error, { errorCode: 'content_filter' });
  t.equal(house.upstream.received.length, sent, 'nothing reached the provider');
});

t.test('errors are the provider’s, and retried as without Weir', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  const refusals: readonly (readonly [kind: string, status: number, type: string, attempts: number])[] = [
    ['AuthenticationError', 401, 'authentication_error', 1], ['RateLimitError', 429, 'rate_limit_error', 3], ['InternalServerError', 500, 'api_error', 3], ['InternalServerError', 529, 'overloaded_error', 3],
  ];
  for (const [kind, status, type, attempts] of refusals) {
    house.upstream.script = json(status, { type: 'error', error: { type, message: 'made up' }, request_id: 'req_1' }, { 'request-id': 'req_1', 'retry-after-ms': '5' });
    for (const stream of [false, true]) {
      house.upstream.received.length = 0;
      const direct = await errorOf(connect(house.directUrl, 2).messages.create({ ...ASK, stream }));
      t.equal(house.upstream.received.splice(0).length, attempts);
      const through = await errorOf(connect(house.weirUrl, 2).messages.create({ ...ASK, stream }));
      t.equal(house.upstream.received.length, attempts, `${kind}: attempts`);
      t.strictSame([through.constructor.name, through.status, through.type, through.error, through.message, through.requestID], [direct.constructor.name, direct.status, direct.type, direct.error, direct.message, direct.requestID], kind);
      t.ok(through instanceof Anthropic.APIError);
    }
  }
});

t.test('a stream that breaks off is an error, whatever had come', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  const client = connect(house.weirUrl, 2);
  const begun = messageEvents({ blocks: [{ type: 'text', text: 'One two three.' }] }).slice(0, -3);
  house.upstream.script = async (socket) => {
    socket.write(SSE_HEAD + begun.map((event) => chunk(event).toString()).join(''));
    await pause(20);
    socket.resetAndDestroy();
  };
  const heard: string[] = [];
  const error = await errorOf((async () => {
    for await (const event of await client.messages.create({ ...ASK, stream: true })) if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') heard.push(event.delta.text);
  })());
  t.match(error, { type: 'api_error' });
  t.ok(error instanceof Anthropic.APIError);
  t.ok('One two three.'.startsWith(heard.join('')));
  t.ok(await errorOf(client.messages.stream(ASK).finalMessage()) instanceof Anthropic.AnthropicError);
  t.strictSame((await house.takeClosed(2)).map(({ outcome }) => outcome), ['upstream_failed', 'upstream_failed'], 'asked twice, retried never');
});

t.test('an application that leaves stops the provider within a second', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  const [start, ping, open] = messageEvents({ blocks: [{ type: 'text', text: '' }] }) as [string, string, string];
  house.upstream.script = async (socket) => {
    socket.write(SSE_HEAD + [start, ping, open].map((event) => chunk(event).toString()).join(''));
    while (!socket.destroyed) {
      socket.write(chunk(named({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'on ' } })));
      await pause(5);
    }
  };
  const stream = connect(house.weirUrl).messages.stream(ASK);
  stream.on('text', () => stream.abort());
  t.ok(await errorOf(stream.finalMessage()) instanceof Anthropic.APIUserAbortError);
  await until(() => house.upstream.openAnswers === 0, 20_000, 'the provider stopped');
  t.strictSame((await house.takeClosed(1)).map(({ outcome }) => outcome), ['client_left']);
});

// Vercel's AI SDK.

const model = (base: string) => createAnthropic({ baseURL: base, apiKey: 'sk-made-up' })('claude-made-up-1');
const PROMPT = { prompt: 'What’s the weather in Springfield?', maxRetries: 2, maxOutputTokens: 64 };

async function readAi(base: string, prompt: object = {}): Promise<unknown> {
  const whole = await generateText({ model: model(base), ...PROMPT, ...prompt });
  const stream = streamText({ model: model(base), ...PROMPT, ...prompt, onError: () => undefined });
  const parts: Record<string, string> = {};
  for await (const part of stream.fullStream) {
    if (part.type === 'text-delta' || part.type === 'reasoning-delta') parts[`${part.type} ${part.id}`] = (parts[`${part.type} ${part.id}`] ?? '') + part.text;
    if (part.type === 'tool-call') parts[`call ${part.toolCallId}`] = JSON.stringify(part.input);
    if (part.type === 'error') parts.error = String(part.error);
  }
  const facts = ({ text, reasoningText, finishReason, toolCalls, usage }: typeof whole): unknown => ({ text, reasoningText, finishReason, usage, toolCalls: toolCalls.map(({ toolCallId, input }) => ({ toolCallId, input: input as unknown })) });
  return { whole: facts(whole), parts, finishReason: await stream.finishReason, usage: await stream.usage };
}

const TOOLS = {
  weather: tool({ description: 'Weather of a town', inputSchema: jsonSchema<object>({ type: 'object' }) }),
  mail: tool({ description: 'Mail', inputSchema: jsonSchema<object>({ type: 'object' }) }),
};

t.test('ai: the same as without Weir, or redacted in the spans alone', async (t) => {
  for (const policy of ['empty', 'redact'] as const) {
    const house = await SdkHouse.open(t, policy);
    for (const [what, answer] of Object.entries(ANSWERS)) {
      house.upstream.script = sayingMessage(answer);
      t.strictSame(await readAi(house.weirUrl, { tools: TOOLS }), await readAi(house.directUrl, { tools: TOOLS }), `${policy}, ${what}`);
    }
    if (policy === 'empty') continue;
    const call = (side: 'planted' | 'redacted'): MessageAnswer => ({ blocks: [{ type: 'text', text: TEXT[side] }, { type: 'tool_use', id: 'toolu_1', name: 'mail', input: INPUT[side] }], stop: 'tool_use' });
    house.upstream.script = sayingMessage(call('redacted'));
    const expected = await readAi(house.directUrl, { tools: TOOLS });
    house.upstream.script = sayingMessage(call('planted'));
    t.strictSame(await readAi(house.weirUrl, { tools: TOOLS }), expected);
    t.match(expected, { parts: { 'call toolu_1': /CREDIT_CARD/ }, finishReason: 'tool-calls' });
  }
});

t.test('ai: tools run with redacted arguments, and their results leave redacted', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  house.upstream.script = callingTool({ blocks: [{ type: 'tool_use', id: 'toolu_1', name: 'mail', input: INPUT.planted }], stop: 'tool_use' }, { blocks: [{ type: 'text', text: 'Sent to ana@example.com' }] });
  const given: unknown[] = [];
  const mail = tool({ description: 'Mail', inputSchema: jsonSchema<object>({ type: 'object' }), execute: async (input) => { given.push(input); return 'sent to eve@example.com'; } });
  const { text } = await generateText({ model: model(house.weirUrl), prompt: 'Mail it.', tools: { mail }, stopWhen: ({ steps }) => steps.length === 2 });
  t.equal(text, 'Sent to [EMAIL]');
  t.strictSame(given, [JSON.parse(INPUT.redacted)]);
  t.match(house.upstream.received.at(-1)!.body.toString(), 'sent to [EMAIL]');
});

t.test('ai: a blocked prompt is one error, a blocked answer one that was filtered', async (t) => {
  const house = await SdkHouse.open(t, 'block');
  const blocked = { prompt: 'What became of Bluebird?' };
  const error = await errorOf(generateText({ model: model(house.weirUrl), ...PROMPT, ...blocked }));
  t.match(error, { statusCode: 400, isRetryable: false });
  t.equal((await house.takeClosed(1)).length, 1, 'asked once');
  const errors: unknown[] = [];
  const stream = streamText({ model: model(house.weirUrl), ...PROMPT, ...blocked, onError: (event) => { errors.push(event.error); } });
  for await (const part of stream.fullStream) void part;
  t.match(errors, [{ statusCode: 400, isRetryable: false }]);
  t.equal((await house.takeClosed(1)).length, 1, 'asked once');
  t.equal(house.upstream.received.length, 0);
  for (const [what, blocks] of Object.entries(STREAMS)) {
    house.upstream.script = sayingMessage({ blocks });
    const got = await readAi(house.weirUrl, { tools: { find: tool({ inputSchema: jsonSchema<object>({ type: 'object' }) }) } });
    t.match(got, { whole: { finishReason: 'content-filter', toolCalls: { length: 0 } }, finishReason: 'content-filter' }, what);
    t.notMatch(JSON.stringify(got), /blue|bird/i, what);
  }
});

t.test('ai: a stream that breaks off is an error', async (t) => {
  const house = await SdkHouse.open(t, 'redact');
  const begun = messageEvents({ blocks: [{ type: 'text', text: 'One two three four five. '.repeat(5) }] }).slice(0, -3);
  house.upstream.script = async (socket) => {
    socket.write(SSE_HEAD + begun.map((event) => chunk(event).toString()).join(''));
    await pause(20);
    socket.resetAndDestroy();
  };
  const errors: unknown[] = [];
  const stream = streamText({ model: model(house.weirUrl), ...PROMPT, onError: (event) => { errors.push(event.error); } });
  const heard: string[] = [];
  try {
    for await (const part of stream.fullStream) if (part.type === 'text-delta') heard.push(part.text);
  } catch (error) {
    errors.push(error);
  }
  t.ok(errors.length > 0, 'told, whichever way');
  t.ok(heard.length > 0 && 'One two three four five. '.repeat(5).startsWith(heard.join('')));
  t.equal(house.upstream.received.length, 1, 'asked once');
  t.strictSame((await house.takeClosed(1)).map(({ outcome }) => outcome), ['upstream_failed']);
});

