/**
 * LangChain's ChatOpenAI through Weir, over chat completions and over the Responses API: the same messages without a
 * match, texts that differ in the redacted spans alone, a blocked prompt that is refused once and not tried again, and
 * a blocked answer that says so.
 */
import type { AIMessageChunk } from '@langchain/core/messages';
import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import t from 'tap';
import { framesOf, responseEvents, wholeResponse } from '../helpers/responses.ts';
import { cutsOf } from '../helpers/runs.ts';
import { SdkHouse, answering, endToEnd, errorOf, wishOf } from '../helpers/sdk.ts';
import { events, json, type Script } from '../helpers/upstream.ts';

interface Said {
  readonly text: string;
  /** Arguments of a call of the tool. */
  readonly call?: string;
}

interface Api {
  readonly name: string;
  readonly useResponsesApi: boolean;
  answer(said: Said, cut: (text: string) => readonly string[]): Script;
}

const APIS: readonly Api[] = [
  {
    name: 'chat',
    useResponsesApi: false,
    answer: ({ text, call }, cut) => answering({ choices: [{ content: text, ...(call === undefined ? {} : { tool_calls: [{ id: 'call_1', name: 'find', arguments: call }], finish: 'tool_calls' }) }], cut }),
  },
  {
    name: 'responses',
    useResponsesApi: true,
    answer({ text, call }, cut) {
      const items = [{ message: [{ text }] }, ...(call === undefined ? [] : [{ call }])];
      return (socket, request) => (wishOf(request).stream === true ? events(framesOf(responseEvents({ items, cut }))) : json(200, wholeResponse({ items })))(socket, request);
    },
  },
];

const FIND = { type: 'function' as const, function: { name: 'find', description: 'Finds', parameters: { type: 'object', properties: { to: { type: 'string' } } } } };

function model({ useResponsesApi }: Api, baseURL: string) {
  return new ChatOpenAI({ model: 'made-up-1', apiKey: 'sk-made-up', maxRetries: 2, useResponsesApi, configuration: { baseURL } }).bindTools([FIND]);
}

interface Result {
  readonly text: string;
  readonly calls: readonly unknown[];
  readonly invalid: readonly unknown[];
  readonly finish: unknown;
  readonly usage: unknown;
  /** Of a stream: arguments as they came, added up. */
  readonly heard?: string;
  /** Everything a message says. */
  readonly all: string;
}

function resultOf(message: Pick<AIMessageChunk, 'text' | 'tool_calls' | 'invalid_tool_calls' | 'response_metadata' | 'usage_metadata' | 'toDict'>): Result {
  const { finish_reason: finish, incomplete_details: incomplete, status } = message.response_metadata as Record<string, unknown>;
  return {
    text: message.text, calls: message.tool_calls ?? [], invalid: message.invalid_tool_calls ?? [], finish: finish ?? incomplete ?? status, usage: message.usage_metadata?.total_tokens,
    all: JSON.stringify(message.toDict()),
  };
}

type Ask = (api: Api, baseURL: string, prompt: string) => Promise<Result>;

const ASKS: Readonly<Record<string, Ask>> = {
  invoke: async (api, baseURL, prompt) => resultOf(await model(api, baseURL).invoke(prompt)),
  async stream(api, baseURL, prompt) {
    let all: AIMessageChunk | undefined;
    let heard = '';
    for await (const part of await model(api, baseURL).stream(prompt)) {
      all = all === undefined ? part : all.concat(part);
      for (const { args } of part.tool_call_chunks ?? []) heard += args ?? '';
    }
    return { ...resultOf(all!), heard };
  },
};

const withoutAll = ({ all: _all, heard: _heard, ...result }: Result): unknown => result;
const cutBy = (seed: number) => (text: string): readonly string[] => cutsOf(text, seed, seed * 2);
const FINE: Said = { text: 'It rains, as it did at 10:30 — 42 mm in 3 days. ☔\n', call: '{"to":"no one","at":[1,2.5],"why":"\\u2602 \\"north\\""}' };

for (const api of APIS) {
  for (const policy of ['empty', 'redact']) {
    t.test(`${api.name}, policy ${policy}: the same through Weir`, async (t) => {
      const house = await SdkHouse.open(t, policy);
      for (const said of [FINE, { text: 'Hello.' }]) {
        for (const [how, ask] of Object.entries(ASKS)) {
          house.upstream.script = api.answer(said, cutBy(3));
          house.upstream.received.length = 0;
          const direct = await ask(api, house.directUrl, 'How is it?');
          const through = await ask(api, house.weirUrl, 'How is it?');
          t.strictSame(through, direct, `${how}: ${said.text}`);
          t.match(through, { text: said.text, usage: 18, calls: { length: said.call === undefined ? 0 : 1 } });
          const [sentDirect, sentThrough] = house.upstream.received.map(endToEnd);
          t.strictSame(sentThrough, sentDirect, 'the provider gets the same request');
        }
      }
    });
  }
}

const SECRET = {
  planted: { text: 'Ask ana@example.com or +1 202-555-0143, at noon.', call: '{"to":"Ana <ana@example.com>","cc":["b\\u006fb@example.com"],"card":4111111111111111}' },
  redacted: { text: 'Ask [EMAIL] or [PHONE_NUMBER], at noon.', call: '{"to":"Ana <[EMAIL]>","cc":["[EMAIL]"],"card":"[CREDIT_CARD]"}' },
} as const;

for (const api of APIS) {
  t.test(`${api.name}: texts differ in the redacted spans alone, and the prompt arrives redacted`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    for (const [how, ask] of Object.entries(ASKS)) {
      house.upstream.script = api.answer(SECRET.redacted, cutBy(3));
      const expected = await ask(api, house.directUrl, SECRET.redacted.text);
      for (const seed of [1, 2, 3]) {
        house.upstream.script = api.answer(SECRET.planted, cutBy(seed));
        house.upstream.received.length = 0;
        const got = await ask(api, house.weirUrl, SECRET.planted.text);
        t.strictSame(withoutAll(got), withoutAll(expected), `${how}, cut ${seed}`);
        t.notMatch(got.all, /ana@|b(?:o|\\+u006f)b@|0143|4111/, `${how}, cut ${seed}: nowhere in the message`);
        if (got.heard !== undefined) t.strictSame(JSON.parse(got.heard), JSON.parse(SECRET.redacted.call), `${how}, cut ${seed}: arguments added up`);
        const sent = house.upstream.received[0]!.body.toString();
        t.match(sent, 'Ask [EMAIL] or [PHONE_NUMBER]');
        t.notMatch(sent, /ana@|0143/);
      }
    }
  });
}

const FORBIDDEN = /blue|bird/i;

for (const api of APIS) {
  t.test(`${api.name}: a blocked prompt raises once`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    house.upstream.script = api.answer(FINE, cutBy(3));
    for (const [how, ask] of Object.entries(ASKS)) {
      const error = await errorOf(ask(api, house.weirUrl, 'What became of Bluebird?'));
      t.match(error, { status: 400, code: 'content_filter', type: 'invalid_request_error' }, how);
      t.notMatch(error.message + JSON.stringify(error.error), FORBIDDEN, `${how}: no text of the user`);
      t.equal((await house.takeClosed(1)).length, 1, `${how}: asked once`);
    }
    t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
  });

  t.test(`${api.name}: a blocked answer says so, and its message holds none of it`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const blocked: Readonly<Record<string, Said>> = {
      text: { text: 'It was called Bluebird and is over.' },
      'the end of the text': { text: 'It was called Bluebird' },
      arguments: { text: 'Let me write. ', call: '{"note":"a long story that goes on","to":"Bluebird","more":1}' },
    };
    for (const [what, said] of Object.entries(blocked)) {
      for (const [how, ask] of Object.entries(ASKS)) {
        house.upstream.script = api.answer(said, cutBy(2));
        const result = await ask(api, house.weirUrl, 'What became of it?');
        t.match(JSON.stringify(result.finish), 'content_filter', `${how}, ${what}`);
        t.notMatch(result.all, FORBIDDEN, `${how}, ${what}`);
        t.ok(said.text.startsWith(result.text), `${how}, ${what}: a beginning`);
        if (how === 'invoke') t.strictSame(result.calls, [], `${how}, ${what}: no call`);
        // LangChain shows calls that have begun, whatever ends them; their text is no JSON.
        if (result.heard !== undefined && result.heard !== '') t.throws(() => JSON.parse(result.heard!), SyntaxError, `${how}, ${what}: arguments that look complete`);
      }
    }
    const closed = await house.takeClosed(Object.keys(blocked).length * 2);
    t.strictSame([...new Set(closed.map(({ outcome }) => outcome))], ['blocked']);
  });
}

t.test('embeddings: the text arrives redacted; a blocked one raises once', async (t) => {
  const vector: Script = (socket, request) => {
    const { input, encoding_format: format } = JSON.parse(request.body.toString()) as { input: readonly string[]; encoding_format?: string };
    const embedding = format === 'base64' ? Buffer.from(new Float32Array([0.5, -1]).buffer).toString('base64') : [0.5, -1];
    return json(200, { object: 'list', data: [input].flat().map((_, index) => ({ object: 'embedding', index, embedding })), model: 'made-up-1', usage: { prompt_tokens: 3, total_tokens: 3 } })(socket, request);
  };
  const embeddings = (baseURL: string) => new OpenAIEmbeddings({ model: 'made-up-1', apiKey: 'sk-made-up', maxRetries: 2, configuration: { baseURL } });
  const house = await SdkHouse.open(t, 'redact');
  house.upstream.script = vector;
  t.strictSame(await embeddings(house.weirUrl).embedDocuments(['It rains.', SECRET.planted.text]), [[0.5, -1], [0.5, -1]]);
  t.strictSame((JSON.parse(house.upstream.received[0]!.body.toString()) as { input: string[] }).input, ['It rains.', SECRET.redacted.text]);

  const strict = await SdkHouse.open(t, 'block');
  strict.upstream.script = vector;
  t.match(await errorOf(embeddings(strict.weirUrl).embedQuery('Bluebird')), { status: 400, code: 'content_filter' });
  t.equal((await strict.takeClosed(1)).length, 1, 'asked once');
  t.equal(strict.upstream.received.length, 0);
});
