/**
 * The Responses API through the official SDKs, three majors of them: where no rule acts, the application gets what it
 * would get without Weir; where one redacts, every place that has a text has the same redacted one; a block is an error,
 * or a response that ends as incomplete; what the provider keeps is read through the same screen.
 */
import OpenAI from 'openai';
import OpenAI4 from 'openai-4';
import OpenAI5 from 'openai-5';
import t, { type Test } from 'tap';
import { SdkHouse, errorFacts, errorOf, recordEvents } from '../helpers/sdk.ts';
import { framesOf, responseEvents, responseOf, textsOf, wholeResponse, USAGE, type Answer } from '../helpers/responses.ts';
import { cutsOf } from '../helpers/runs.ts';
import { SSE_HEAD, chunk, events, head, json, pause, type Script } from '../helpers/upstream.ts';

interface Sdk {
  readonly name: string;
  readonly major: number;
  readonly OpenAI: typeof OpenAI;
}

/** Older majors are typed as 7.x: what the tests call behaves alike, which is what they check. */
const SDKS: readonly Sdk[] = [
  { name: 'openai 7', major: 7, OpenAI },
  { name: 'openai 5', major: 5, OpenAI: OpenAI5 as unknown as typeof OpenAI },
  { name: 'openai 4', major: 4, OpenAI: OpenAI4 as unknown as typeof OpenAI },
];

const connect = (sdk: Sdk, baseURL: string, maxRetries = 0): OpenAI => new sdk.OpenAI({ baseURL, maxRetries, apiKey: 'sk-made-up', timeout: 10_000 });

// The provider.

interface Wish {
  readonly stream?: boolean;
}

/** Answers as the request wants it: by its body, or by its query where it has none. */
function answering(answer: Answer): Script {
  return (socket, request) => {
    const wishes = request.body.length === 0 ? request.path.includes('stream=true') : (JSON.parse(request.body.toString()) as Wish).stream === true;
    if (wishes) return events(framesOf(responseEvents(answer)))(socket, request);
    return json(200, wholeResponse(answer), { 'x-request-id': 'req_made_up' })(socket, request);
  };
}

// What the application gets.

const REQUEST = { model: 'm', input: 'Whom do I ask?' };

async function rawOf(client: OpenAI, request: object = REQUEST): Promise<any[]> {
  const seen: unknown[] = [];
  for await (const event of await client.responses.create({ ...(request as typeof REQUEST), stream: true })) seen.push(structuredClone(event));
  return seen;
}

const HELPER_EVENTS = ['event', 'response.created', 'response.output_text.delta', 'response.output_text.done', 'response.function_call_arguments.delta', 'response.output_item.done', 'response.completed', 'response.incomplete', 'error', 'abort', 'end'];

async function helped(client: OpenAI, request: object = REQUEST): Promise<{ readonly final: any; readonly heard: readonly unknown[] }> {
  const stream = client.responses.stream(request as typeof REQUEST);
  const heard: unknown[] = recordEvents(stream);
  for (const name of HELPER_EVENTS) (stream as unknown as { on(name: string, listener: (...values: unknown[]) => void): void }).on(name, (...values) => void heard.push([name, ...values.map((value) => structuredClone(value))]));
  return { final: await stream.finalResponse(), heard };
}

/** The texts of its messages; not every helper adds them up. */
function outputText({ output }: any): string {
  return output.flatMap(({ content = [] }: any) => content.map(({ type, text }: any) => (type === 'output_text' ? text : ''))).join('');
}

const whole = async (client: OpenAI, request: object = REQUEST): Promise<unknown> => {
  const { data, response } = await client.responses.create(request as typeof REQUEST).withResponse();
  return { data, status: response.status, id: response.headers.get('x-request-id') };
};

async function bothWays<T>(house: SdkHouse, sdk: Sdk, ask: (client: OpenAI) => Promise<T>): Promise<{ readonly direct: T; readonly through: T }> {
  return { direct: await ask(connect(sdk, house.directUrl)), through: await ask(connect(sdk, house.weirUrl)) };
}

// Nothing to do.

const TEXT = 'It rains, as it did at 10:30 — 42 mm in 3 days. Ask again at noon @ the usual place; 4111 steps away. ☔👩‍👩‍👧\n';
const CALL = '{"town":"Springfield \\u2602 \\"north\\"","days":[1,2.5e1],"at":null}';
const cut = (text: string): readonly string[] => cutsOf(text, text.length, 4);

const HARMLESS: Readonly<Record<string, Answer>> = {
  'a message': { items: [{ message: [{ text: TEXT }] }], cut },
  'an empty one': { items: [{ message: [{ text: '' }] }] },
  'log-probabilities and citations': { items: [{ message: [{ text: TEXT, annotations: [{ type: 'url_citation', title: 'Rain', url: 'https://a.example.com/', start_index: 3, end_index: 8 }] }] }], cut, logprobs: true },
  'a refusal': { items: [{ message: [{ refusal: TEXT }] }], cut },
  'reasoning, calls and a message': { items: [{ reasoning: { summary: [TEXT, 'And so on.'], content: ['Well.'] } }, { call: CALL }, { custom: TEXT }, { mcp: { arguments: CALL, output: TEXT } }, { code: TEXT }, { message: [{ text: 'One.' }, { text: TEXT }] }], cut, instructions: 'Be brief.', metadata: { note: 'x' } },
  'cut by its length': { items: [{ message: [{ text: TEXT }] }], cut, status: 'incomplete' },
};

for (const policy of ['empty', 'redact']) {
  for (const sdk of SDKS) {
    t.test(`${sdk.name}, policy ${policy}: what no rule changes is what the provider gave`, async (t) => {
      const house = await SdkHouse.open(t, policy);
      for (const [what, answer] of Object.entries(HARMLESS)) {
        house.upstream.script = answering(answer);
        const unary = await bothWays(house, sdk, whole);
        t.strictSame(unary.through, unary.direct, `${what}: whole`);
        t.match(unary.through, { id: 'req_made_up', data: { id: 'resp_made_up', output: { length: answer.items.length }, usage: USAGE } });
        const raw = await bothWays(house, sdk, rawOf);
        t.strictSame(raw.through, raw.direct, `${what}: every event`);
        t.equal(raw.through.length, responseEvents(answer).length);
        // Older helpers know fewer items.
        if (what !== 'reasoning, calls and a message' || sdk.major === 7) {
          const helper = await bothWays(house, sdk, helped);
          t.strictSame(helper.through, helper.direct, `${what}: helper and its events`);
          t.match(helper.through.final, { output: { length: answer.items.length } });
        } else await whole(connect(sdk, house.weirUrl));
        t.strictSame((await house.takeClosed(3)).map(({ outcome }) => outcome), ['completed', 'completed', 'completed']);
      }
      const [sentDirect, sentThrough] = house.upstream.received.slice(0, 2);
      t.equal(sentThrough!.body.toString(), sentDirect!.body.toString(), 'the provider gets the same request');
    });
  }
}

// Redaction.

type Side = 'planted' | 'clean';

const SAID = { planted: 'Ask ana@example.com or +1 202-555-0143, card 4111 1111 1111 1111, at noon.', clean: 'Ask [EMAIL] or [PHONE_NUMBER], card [CREDIT_CARD], at noon.' };
const END = { planted: 'It is bob.roe@example.com', clean: 'It is [EMAIL]' };
const GIVEN = { planted: '{"to":"Ana <ana@example.com>","cc":["b\\u006fb@example.com"],"card":4111111111111111}', clean: '{"to":"Ana <[EMAIL]>","cc":["[EMAIL]"],"card":"[CREDIT_CARD]"}' };
const LEFT = /example\.com|0143|1111|bob|ana@/;

const PLANTED: Readonly<Record<string, (side: Side) => Answer>> = {
  'a message': (side) => ({ items: [{ message: [{ text: SAID[side] }] }] }),
  'its end': (side) => ({ items: [{ message: [{ text: END[side] }] }] }),
  'a refusal': (side) => ({ items: [{ message: [{ refusal: SAID[side] }] }] }),
  'arguments': (side) => ({ items: [{ call: GIVEN[side] }] }),
  'everything': (side) => ({ instructions: END[side], metadata: { owner: END[side] }, items: [{ reasoning: { summary: [SAID[side], END[side]] } }, { message: [{ text: END[side] }, { text: SAID[side] }] }, { call: GIVEN[side] }, { message: [{ text: 'Nobody.' }] }] }),
};

/** JSON in a string parsed, since white space and escapes in what is replaced are ours; deltas and padding left out, since cuts differ. */
function comparable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member: unknown) => {
    if (key === 'obfuscation' || key === 'parsed_arguments') return undefined;
    return typeof member === 'string' && member.startsWith('{') ? JSON.parse(member) as unknown : member;
  }));
}

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a redacted text is the same in deltas, in all that repeats them and in the final response`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    for (const [what, answerOf] of Object.entries(PLANTED)) {
      house.upstream.script = answering(answerOf('clean'));
      const clean = connect(sdk, house.directUrl);
      const expected = { whole: comparable(await whole(clean)), final: comparable((await helped(clean)).final), texts: texts(await rawOf(clean)) };
      t.match(JSON.stringify(expected), '[EMAIL]');
      const client = connect(sdk, house.weirUrl);
      for (const seed of [1, 3]) {
        house.upstream.script = answering({ ...answerOf('planted'), cut: (text) => cutsOf(text, seed, seed * 2) });
        t.strictSame(comparable(await whole(client)), expected.whole, `${what}: whole`);
        const raw = await rawOf(client);
        t.strictSame(texts(raw), expected.texts, `${what}: raw, cut ${seed}`);
        t.notMatch(JSON.stringify(raw), LEFT, what);
        t.strictSame(raw.map((event) => event.sequence_number), raw.map((_, i) => i));
        const { final, heard } = await helped(client);
        t.strictSame(comparable(final), expected.final, `${what}: helper, cut ${seed}`);
        t.notMatch(JSON.stringify([final, heard]), LEFT, what);
      }
    }
  });
}

/** Every text of a raw stream in every place, by place; each is one text everywhere. */
function texts(raw: readonly any[]): unknown {
  return comparable([...textsOf(raw)].map(([key, { deltas, copies }]) => [key, ...new Set([deltas, ...copies])]));
}

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a prompt reaches the provider redacted, and nothing else of the request changes`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = answering({ items: [{ message: [{ text: 'Noted.' }] }] });
    const request = (side: Side): object => ({
      model: 'm', instructions: END[side], metadata: { owner: END[side] }, temperature: 0.5,
      input: [{ role: 'user', content: [{ type: 'input_text', text: SAID[side] }] }, { type: 'function_call', call_id: 'call_1', name: 'find', arguments: GIVEN[side] }, { type: 'function_call_output', call_id: 'call_1', output: END[side] }],
    });
    await whole(connect(sdk, house.directUrl), request('clean'));
    await whole(connect(sdk, house.weirUrl), request('planted'));
    const [direct, through] = house.upstream.received.map(({ body }) => comparable(JSON.parse(body.toString())));
    t.strictSame(through, direct);
  });
}

for (const sdk of SDKS) {
  t.test(`${sdk.name}: the provider knows people by pseudonyms, the application by their names, wherever the answer says them`, async (t) => {
    const house = await SdkHouse.open(t, 'pseudonym');
    const client = connect(sdk, house.weirUrl);
    house.upstream.script = (socket, request) => {
      const { input } = JSON.parse(request.body.toString()) as { input: string };
      return answering({ items: [{ message: [{ text: input }] }, { call: JSON.stringify({ to: input }) }], instructions: input, cut: (text) => cutsOf(text, 7, 3) })(socket, request);
    };
    const request = { model: 'm', input: 'Ask ana@example.com today' };
    const [given, raw, { final }] = [await client.responses.create(request), await rawOf(client, request), await helped(client, request)];
    for (const { body } of house.upstream.received) t.notMatch(body.toString(), /ana@/);
    for (const response of [given, raw.at(-1).response, final]) t.match(response, { instructions: request.input, output: [{ content: [{ text: request.input }] }, { arguments: JSON.stringify({ to: request.input }) }] });
    t.strictSame(texts(raw), [['0.0', request.input], ['1', { to: request.input }]]);
  });
}

// Blocks.

const PROMPT = { model: 'm', input: 'What became of Bluebird?' };
const STORY = 'It was all over. Nobody knew that it was called Bluebird and why.';
const SORRY = 'Let us talk about something else.';
const FALLBACK = `policy: p\ndefault_action: allow\non_block: fallback\nmessage: ${SORRY}\npatterns:\n  - { id: codename, label: CODENAME, literal: [Bluebird] }\nrules:\n  - { id: codename, priority: 1, direction: both, when: { score: patterns.*, gte: 1 }, action: block }\n`;

const BLOCKED: Readonly<Record<string, Answer>> = {
  'a message': { items: [{ message: [{ text: 'Before.' }, { text: STORY }] }], cut },
  'at its beginning': { items: [{ message: [{ text: 'Bluebird it was.' }] }], cut },
  'in one delta': { items: [{ message: [{ text: STORY }] }] },
  'a refusal': { items: [{ message: [{ refusal: STORY }] }], cut },
  'reasoning': { items: [{ reasoning: { summary: ['Well.', STORY] } }, { message: [{ text: 'After.' }] }], cut },
  'arguments': { items: [{ message: [{ text: 'Before.' }] }, { call: JSON.stringify({ note: STORY }) }], cut },
  'an echo of the request': { items: [{ message: [{ text: 'No.' }] }], instructions: 'Never say Bluebird.' },
};

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a blocked prompt raises BadRequestError once`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const client = connect(sdk, house.weirUrl, 2);
    for (const [how, call] of Object.entries({ whole: () => client.responses.create(PROMPT), stream: () => client.responses.create({ ...PROMPT, stream: true }), helper: () => client.responses.stream(PROMPT).finalResponse() })) {
      const error = await errorOf(call());
      t.ok(error instanceof sdk.OpenAI.BadRequestError, `${how}: ${error.name}`);
      t.match(error, { status: 400, code: 'content_filter', type: 'invalid_request_error', param: 'input' }, how);
      t.equal((await house.takeClosed(1)).length, 1, `${how}: asked once`);
    }
    t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
  });

  t.test(`${sdk.name}: a blocked answer is an incomplete response`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const client = connect(sdk, house.weirUrl);
    for (const [what, answer] of Object.entries(BLOCKED)) {
      house.upstream.script = answering(answer);
      const given = await client.responses.create(REQUEST);
      t.match(given, { id: 'resp_made_up', status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: [], output_text: '', usage: USAGE }, `${what}: whole`);
      const raw = await rawOf(client);
      t.match(raw.at(-1), { type: 'response.incomplete', response: { status: 'incomplete', incomplete_details: { reason: 'content_filter' } } }, what);
      t.notMatch(JSON.stringify([given, raw]), /Bluebird|and why/, what);
      const { final } = await helped(client);
      if (sdk.major === 7) t.match(final, { status: 'incomplete', incomplete_details: { reason: 'content_filter' } }, `${what}: helper`);
      t.notMatch(JSON.stringify(final), /Bluebird|and why/, `${what}: helper`);
      t.ok(STORY.startsWith(outputText(final).replace('Before.', '')), `${what}: what had left stays`);
      t.strictSame((await house.takeClosed(3)).map(({ outcome }) => outcome), ['blocked', 'blocked', 'blocked'], what);
    }
  });

  t.test(`${sdk.name}: or says the safe message`, async (t) => {
    const house = await SdkHouse.open(t, FALLBACK);
    const client = connect(sdk, house.weirUrl);
    for (const given of [await client.responses.create(PROMPT), (await rawOf(client, PROMPT)).at(-1).response, (await helped(client, PROMPT)).final]) {
      t.match(given, { status: 'completed', output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: SORRY }] }] }, 'a blocked prompt');
    }
    t.equal((await client.responses.create(PROMPT)).output_text, SORRY);
    t.equal(house.upstream.received.length, 0);
    for (const [what, answer] of Object.entries(BLOCKED)) {
      house.upstream.script = answering(answer);
      t.match(await client.responses.create(REQUEST), { status: 'completed', output_text: SORRY }, `${what}: whole`);
      const raw = await rawOf(client);
      t.match(raw.at(-1).response.output.at(-1), { type: 'message', status: 'completed', content: [{ text: SORRY }] }, what);
      const { final } = await helped(client);
      // Majors before 7 do not take the response over from response.incomplete.
      if (what !== 'arguments' || sdk.major === 7) t.match(final, { status: what === 'arguments' ? 'incomplete' : 'completed' }, `${what}: helper`);
      t.match(outputText(final), new RegExp(`${SORRY}$`), `${what}: helper`);
      t.notMatch(JSON.stringify([raw, final]), /Bluebird|and why/, what);
    }
  });
}

// Faults.

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a stream that breaks off is an error, one that breaks off after its end is not`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const client = connect(sdk, house.weirUrl);
    const all = framesOf(responseEvents({ items: [{ message: [{ text: 'One two three.' }] }], cut }));
    const breakingAfter = (count: number): Script => async (socket) => {
      socket.write(SSE_HEAD + all.slice(0, count).map((event) => chunk(event).toString()).join(''));
      await pause(20);
      socket.resetAndDestroy();
    };
    house.upstream.script = breakingAfter(5);
    const error = await errorOf(rawOf(client));
    t.ok(error instanceof sdk.OpenAI.APIError, error.message);
    t.match(errorFacts(error), { code: 'upstream_unreachable', type: 'server_error' });
    t.ok(await errorOf(client.responses.stream(REQUEST).finalResponse()) instanceof Error);
    house.upstream.script = breakingAfter(all.length);
    t.equal((await rawOf(client)).length, all.length);
    t.strictSame((await house.takeClosed(3)).map(({ outcome }) => outcome), ['upstream_failed', 'upstream_failed', 'completed']);
  });

  t.test(`${sdk.name}: what cannot be screened is refused or passed as configured`, async (t) => {
    const house = await SdkHouse.open(t, 'redact', { proxy: { opaque: { reference: 'refuse' } } });
    const client = connect(sdk, house.weirUrl);
    house.upstream.script = answering({ items: [{ message: [{ text: 'Noted.' }] }] });
    t.match(await errorOf(client.responses.create({ ...REQUEST, background: true })), { status: 400, code: 'opaque_refused', message: /background/ });
    t.match(await errorOf(client.responses.create({ ...REQUEST, previous_response_id: 'resp_0' })), { status: 400, code: 'opaque_refused', message: /previous_response_id/ });
    t.match(await errorOf(client.responses.create({ model: 'm', input: [{ type: 'item_reference', id: 'msg_0' }] })), { status: 400, code: 'opaque_refused', message: /input\[\]\.id/ });
    t.equal(house.upstream.received.length, 0);
    t.match(await client.responses.create({ model: 'm', input: [{ type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' }] }), { output_text: 'Noted.' });
  });
}

// What the provider keeps.

/** A list, or one record, by path. */
function keeping(records: Readonly<Record<string, unknown>>): Script {
  return (socket, request) => {
    const path = `${request.method} ${request.path.split('?')[0]}`;
    return path in records ? json(200, records[path])(socket, request) : void socket.write(`${head(404, { 'content-length': '0' })}`);
  };
}

const list = (data: readonly unknown[]): object => ({ object: 'list', data, first_id: 'msg_1', last_id: 'msg_2', has_more: false });
const message = (side: Side, role = 'user'): object => ({ id: 'msg_1', type: 'message', status: 'completed', role, content: [{ type: 'input_text', text: SAID[side] }] });
const called = (side: Side): object => ({ id: 'fc_1', type: 'function_call', call_id: 'call_1', name: 'find', status: 'completed', arguments: GIVEN[side] });

const RECORDS = (side: Side): Readonly<Record<string, unknown>> => ({
  'GET /v1/responses/resp_1': wholeResponse({ items: [{ message: [{ text: SAID[side] }] }] }),
  'POST /v1/responses/resp_1/cancel': responseOf({ items: [], instructions: END[side] }, 'cancelled', []),
  'DELETE /v1/responses/resp_1': { id: 'resp_1', object: 'response', deleted: true },
  'GET /v1/responses/resp_1/input_items': list([message(side), called(side)]),
  'POST /v1/responses/input_tokens': { object: 'response.input_tokens', input_tokens: 5 },
  'POST /v1/responses/compact': { id: 'resp_2', object: 'response.compaction', created_at: 1, output: [message(side), { id: 'cmp_1', type: 'compaction', encrypted_content: 'gAAA' }], usage: USAGE },
  'POST /v1/conversations': { id: 'conv_1', object: 'conversation', created_at: 1, metadata: { owner: END[side] } },
  'POST /v1/conversations/conv_1': { id: 'conv_1', object: 'conversation', created_at: 1, metadata: { owner: END[side] } },
  'GET /v1/conversations/conv_1': { id: 'conv_1', object: 'conversation', created_at: 1, metadata: { owner: END[side] } },
  'DELETE /v1/conversations/conv_1': { id: 'conv_1', object: 'conversation.deleted', deleted: true },
  'POST /v1/conversations/conv_1/items': list([message(side)]),
  'GET /v1/conversations/conv_1/items': list([message(side), message(side, 'assistant')]),
  'GET /v1/conversations/conv_1/items/msg_1': message(side),
  'DELETE /v1/conversations/conv_1/items/msg_1': { id: 'conv_1', object: 'conversation', created_at: 1, metadata: {} },
  'GET /v1/chat/completions/chatcmpl-1': { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: SAID[side], refusal: null }, logprobs: null, finish_reason: 'stop' }], usage: null, metadata: { owner: END[side] } },
  'GET /v1/chat/completions/chatcmpl-1/messages': list([{ id: 'chatcmpl-1-0', role: 'user', content: SAID[side], name: null, content_parts: null }]),
  'DELETE /v1/chat/completions/chatcmpl-1': { id: 'chatcmpl-1', object: 'chat.completion.deleted', deleted: true },
});

const page = async (call: PromiseLike<any>): Promise<unknown> => (await call).data;

const READS: Readonly<Record<string, (client: OpenAI) => PromiseLike<unknown>>> = {
  'a response': (client) => client.responses.retrieve('resp_1'),
  'a response, cancelled': (client) => client.responses.cancel('resp_1'),
  'what it was asked': (client) => page(client.responses.inputItems.list('resp_1')),
  'a completion': (client) => client.chat.completions.retrieve('chatcmpl-1'),
  'its messages': (client) => page(client.chat.completions.messages.list('chatcmpl-1')),
  'a completion, deleted': (client) => (client.chat.completions.delete ?? (client.chat.completions as unknown as { del: typeof client.chat.completions.delete }).del).call(client.chat.completions, 'chatcmpl-1'),
};

/** What only the newest major has. */
const NEWER: typeof READS = {
  'a response, deleted': async (client) => (await client.responses.delete('resp_1')) ?? null,
  'tokens': (client) => client.responses.inputTokens.count({ model: 'm', input: 'Count this.' }),
  'a compaction': (client) => client.responses.compact({ model: 'm', input: 'Squeeze this.' }),
  'a conversation': (client) => client.conversations.create({ items: [{ type: 'message', role: 'user', content: 'Hello' }] }),
  'a conversation, updated': (client) => client.conversations.update('conv_1', { metadata: { note: 'x' } }),
  'a conversation, read': (client) => client.conversations.retrieve('conv_1'),
  'a conversation, deleted': (client) => client.conversations.delete('conv_1'),
  'items, added': async (client) => (await client.conversations.items.create('conv_1', { items: [{ type: 'message', role: 'user', content: 'Hello' }] })).data,
  'items': (client) => page(client.conversations.items.list('conv_1')),
  'an item': (client) => client.conversations.items.retrieve('msg_1', { conversation_id: 'conv_1' }),
  'an item, deleted': (client) => client.conversations.items.delete('msg_1', { conversation_id: 'conv_1' }),
};

for (const sdk of SDKS) {
  t.test(`${sdk.name}: what the provider keeps is read through the screen`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const reads = { ...READS, ...(sdk.major === 7 ? NEWER : {}) };
    for (const [what, read] of Object.entries(reads)) {
      house.upstream.script = keeping(RECORDS('clean'));
      const expected = comparable(await read(connect(sdk, house.directUrl)) ?? null);
      house.upstream.script = keeping(RECORDS('planted'));
      t.strictSame(comparable(await read(connect(sdk, house.weirUrl)) ?? null), expected, what);
      const [direct, through] = house.upstream.received.splice(0);
      t.strictSame([through!.method, through!.path, through!.body.toString()], [direct!.method, direct!.path, direct!.body.toString()], `${what}: the provider gets the same request`);
    }
  });

  t.test(`${sdk.name}: so is its stream, from its beginning`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const client = connect(sdk, house.weirUrl);
    house.upstream.script = answering({ items: [{ message: [{ text: SAID.planted }] }], cut });
    const seen: any[] = [];
    for await (const event of await client.responses.retrieve('resp_1', { stream: true })) seen.push(event);
    t.strictSame(texts(seen), [['0.0', SAID.clean]]);
    const stream = client.responses.stream({ response_id: 'resp_1', starting_after: 4 });
    t.equal(outputText(await stream.finalResponse()), SAID.clean, 'the helper skips by itself');
    const error = await errorOf(client.responses.retrieve('resp_1', { stream: true, starting_after: 4 }));
    t.match(error, { status: 400, code: 'invalid_request', message: /starting_after/ });
  });
}

t.test('what the provider keeps is blocked as what it is', async (t) => {
  const house = await SdkHouse.open(t, 'block');
  const client = connect(SDKS[0]!, house.weirUrl);
  const said = { id: 'msg_1', type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: STORY, annotations: [] }] };
  house.upstream.script = keeping({
    'GET /v1/responses/resp_1': wholeResponse({ items: [{ message: [{ text: STORY }] }] }), 'GET /v1/responses/resp_1/input_items': list([said]), 'GET /v1/conversations/conv_1/items/msg_1': said,
    'GET /v1/chat/completions/chatcmpl-1/messages': list([{ id: 'chatcmpl-1-0', role: 'user', content: STORY }]), 'POST /v1/responses/compact': { id: 'resp_2', object: 'response.compaction', output: [said] },
  });
  t.match(await client.responses.retrieve('resp_1'), { status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: [] });
  const calls: readonly (() => PromiseLike<unknown>)[] = [
    () => client.responses.inputItems.list('resp_1'), () => client.conversations.items.retrieve('msg_1', { conversation_id: 'conv_1' }), () => client.chat.completions.messages.list('chatcmpl-1'),
    () => client.responses.compact({ model: 'm', input: 'Squeeze this.' }),
  ];
  for (const call of calls) t.match(await errorOf(call()), { status: 400, code: 'content_filter' });
  t.match(await errorOf(client.responses.compact({ model: 'm', input: 'What became of Bluebird?' })), { status: 400, code: 'content_filter', param: 'items' });
  await noBodyWhereNoneBelongs(t, house);
});

async function noBodyWhereNoneBelongs(t: Test, house: SdkHouse): Promise<void> {
  const answer = await fetch(`${house.weirUrl}/responses/resp_1/cancel`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"input":"What became of Bluebird?"}' });
  t.match([answer.status, await answer.json()], [400, { error: { code: 'invalid_request' } }]);
}
