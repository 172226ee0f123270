/**
 * The Vercel AI SDK through Weir, for each of the three APIs in which its OpenAI provider speaks: the same results
 * without a match, texts that differ in the redacted spans alone, a blocked prompt that is refused once and not tried
 * again, and a blocked answer that says so and leaves no tool call to run.
 */
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, embed, generateText, jsonSchema, streamText, tool, type LanguageModel } from 'ai';
import t from 'tap';
import { responseEvents, framesOf, wholeResponse } from '../helpers/responses.ts';
import { cutsOf } from '../helpers/runs.ts';
import { SdkHouse, USAGE, answering, endToEnd, wishOf } from '../helpers/sdk.ts';
import { events, json, type Script } from '../helpers/upstream.ts';

interface Said {
  readonly text: string;
  readonly reasoning?: string;
  /** Arguments of a call of the tool. */
  readonly call?: string;
}

interface Api {
  readonly name: string;
  model(baseURL: string): LanguageModel;
  readonly tools: boolean;
  /** The provider's answer, whole or as a stream of pieces. */
  answer(said: Said, cut: (text: string) => readonly string[]): Script;
}

const connect = (baseURL: string) => createOpenAI({ baseURL, apiKey: 'sk-made-up' });
const ENVELOPE = { id: 'cmpl-made-up', object: 'text_completion', created: 1_700_000_000, model: 'made-up-1' };

const APIS: readonly Api[] = [
  {
    name: 'chat',
    model: (url) => connect(url).chat('made-up-1'),
    tools: true,
    answer: ({ text, call }, cut) => answering({ choices: [{ content: text, ...(call === undefined ? {} : { tool_calls: [{ id: 'call_1', name: 'find', arguments: call }], finish: 'tool_calls' }) }], cut }),
  },
  {
    name: 'responses',
    model: (url) => connect(url).responses('made-up-1'),
    tools: true,
    answer({ text, reasoning, call }, cut) {
      const items = [...(reasoning === undefined ? [] : [{ reasoning: { summary: [reasoning] } }]), { message: [{ text }] }, ...(call === undefined ? [] : [{ call }])];
      return (socket, request) => (wishOf(request).stream === true ? events(framesOf(responseEvents({ items, cut }))) : json(200, wholeResponse({ items })))(socket, request);
    },
  },
  {
    name: 'completions',
    model: (url) => connect(url).completion('made-up-1'),
    tools: false,
    answer({ text }, cut) {
      const choice = (text: string, finish: string | null): object => ({ ...ENVELOPE, choices: [{ index: 0, text, logprobs: null, finish_reason: finish }] });
      const pieces = [...cut(text).map((piece) => choice(piece, null)), choice('', 'stop'), { ...ENVELOPE, choices: [], usage: USAGE }];
      return (socket, request) => (wishOf(request).stream === true ? events([...pieces.map((one) => `data: ${JSON.stringify(one)}\n\n`), 'data: [DONE]\n\n']) : json(200, { ...choice(text, 'stop'), usage: USAGE }))(socket, request);
    },
  },
];

const ran: unknown[] = [];
const find = tool({ description: 'Finds', inputSchema: jsonSchema<object>({ type: 'object' }), execute: (input) => { ran.push(input); return 'found'; } });

interface Result {
  readonly text: string;
  readonly reasoning: string;
  readonly finish: string;
  readonly calls: readonly unknown[];
  readonly usage?: number;
  /** What a tool was run with. */
  readonly ran: readonly unknown[];
  /** Of a stream: every text added up from its deltas, and the errors. */
  readonly heard?: Readonly<Record<string, string>>;
  readonly errors?: readonly unknown[];
}

type Ask = (model: LanguageModel, api: Api, prompt: string) => Promise<Result>;

const settings = (model: LanguageModel, { tools }: Api, prompt: string) => ({ model, prompt, maxRetries: 2, ...(tools ? { tools: { find } } : {}) });
const callsOf = (calls: readonly { readonly toolName: string; readonly input: unknown; readonly invalid?: boolean }[]): unknown[] => calls.map(({ toolName, input, invalid }) => ({ toolName, input, invalid: invalid === true }));

const generate: Ask = async (model, api, prompt) => {
  ran.length = 0;
  const { text, reasoningText, finishReason, toolCalls, usage } = await generateText(settings(model, api, prompt));
  return { text, reasoning: reasoningText ?? '', finish: finishReason, calls: callsOf(toolCalls), usage: usage.totalTokens, ran: [...ran] };
};

const stream: Ask = async (model, api, prompt) => {
  ran.length = 0;
  const errors: unknown[] = [];
  const result = streamText({ ...settings(model, api, prompt), onError: ({ error }) => void errors.push(error) });
  const heard: Record<string, string> = {};
  for await (const part of result.fullStream) {
    if (part.type === 'text-delta' || part.type === 'reasoning-delta') heard[part.type] = (heard[part.type] ?? '') + part.text;
    if (part.type === 'tool-input-delta') heard[part.id] = (heard[part.id] ?? '') + part.delta;
  }
  if (errors.length > 0) throw errors[0];
  return { text: await result.text, reasoning: (await result.reasoningText) ?? '', finish: await result.finishReason, calls: callsOf(await result.toolCalls), usage: (await result.usage).totalTokens, ran: [...ran], heard, errors };
};

const ASKS = { generate, stream };
const FINE: Said = { text: 'It rains, as it did at 10:30 — 42 mm in 3 days. ☔\n', reasoning: 'The user asks about 2 things.', call: '{"to":"no one","at":[1,2.5],"why":"\\u2602 \\"north\\""}' };
const cutBy = (seed: number) => (text: string): readonly string[] => cutsOf(text, seed, seed * 2);

for (const api of APIS) {
  for (const policy of ['empty', 'redact']) {
    t.test(`${api.name}, policy ${policy}: the same through Weir`, async (t) => {
      const house = await SdkHouse.open(t, policy);
      for (const said of [FINE, { text: 'Hello.' }, { text: '' }]) {
        for (const [how, ask] of Object.entries(ASKS)) {
          house.upstream.script = api.answer(said, cutBy(3));
          house.upstream.received.length = 0;
          const direct = await ask(api.model(house.directUrl), api, 'How is it?');
          const through = await ask(api.model(house.weirUrl), api, 'How is it?');
          t.strictSame(through, direct, `${how}: ${said.text}`);
          t.equal(through.text, said.text);
          t.equal(through.ran.length, api.tools && said.call !== undefined ? 1 : 0, 'the tool runs');
          const [sentDirect, sentThrough] = house.upstream.received.map(endToEnd);
          t.strictSame(sentThrough, sentDirect, 'the provider gets the same request');
        }
      }
    });
  }
}

const SECRET = {
  planted: { text: 'Ask ana@example.com or +1 202-555-0143, at noon.', reasoning: 'Is it bob.roe@example.com', call: '{"to":"Ana <ana@example.com>","cc":["b\\u006fb@example.com"],"card":4111111111111111}' },
  redacted: { text: 'Ask [EMAIL] or [PHONE_NUMBER], at noon.', reasoning: 'Is it [EMAIL]', call: '{"to":"Ana <[EMAIL]>","cc":["[EMAIL]"],"card":"[CREDIT_CARD]"}' },
} as const;

for (const api of APIS) {
  t.test(`${api.name}: texts differ in the redacted spans alone, and the prompt arrives redacted`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    for (const [how, ask] of Object.entries(ASKS)) {
      house.upstream.script = api.answer(SECRET.redacted, cutBy(3));
      const { heard: heardDirect, ...expected } = await ask(api.model(house.directUrl), api, SECRET.redacted.text);
      for (const seed of [1, 2, 3]) {
        house.upstream.script = api.answer(SECRET.planted, cutBy(seed));
        house.upstream.received.length = 0;
        const { heard, ...got } = await ask(api.model(house.weirUrl), api, SECRET.planted.text);
        t.strictSame(got, expected, `${how}, cut ${seed}`);
        t.strictSame([heard?.['text-delta'], heard?.['reasoning-delta']], [heardDirect?.['text-delta'], heardDirect?.['reasoning-delta']], `${how}, cut ${seed}: added up from the deltas`);
        t.strictSame(callArguments(heard), callArguments(heardDirect), `${how}, cut ${seed}: arguments added up`);
        const sent = house.upstream.received[0]!.body.toString();
        t.match(sent, 'Ask [EMAIL] or [PHONE_NUMBER]');
        t.notMatch(sent, /ana@|0143/);
      }
    }
  });
}

/** Parsed, since white space and escapes in what is replaced are not promised. */
function callArguments(heard: Readonly<Record<string, string>> = {}): unknown[] {
  return Object.entries(heard).filter(([id]) => id.startsWith('call_')).map(([, text]) => JSON.parse(text) as unknown);
}

const FORBIDDEN = /blue|bird/i;

for (const api of APIS) {
  t.test(`${api.name}: a blocked prompt raises once`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    house.upstream.script = api.answer(FINE, cutBy(3));
    for (const [how, ask] of Object.entries(ASKS)) {
      const error: unknown = await ask(api.model(house.weirUrl), api, 'What became of Bluebird?').then(() => undefined, (thrown: unknown) => thrown);
      t.ok(APICallError.isInstance(error), how);
      const { statusCode, isRetryable, data, message, responseBody } = error as APICallError;
      t.match({ statusCode, isRetryable, data }, { statusCode: 400, isRetryable: false, data: { error: { code: 'content_filter', type: 'invalid_request_error' } } }, how);
      t.notMatch(message + String(responseBody), FORBIDDEN, `${how}: no text of the user`);
      t.equal((await house.takeClosed(1)).length, 1, `${how}: asked once`);
    }
    t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
  });

  t.test(`${api.name}: a blocked answer says content-filter, and nothing of it runs`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const blocked: Readonly<Record<string, Said>> = {
      text: { text: 'It was called Bluebird and is over.' },
      'the end of the text': { text: 'It was called Bluebird' },
      ...(api.tools ? { arguments: { text: 'Let me write. ', call: '{"note":"a long story that goes on","to":"Bluebird","more":1}' } } : {}),
      ...(api.name === 'responses' ? { reasoning: { text: 'Over.', reasoning: 'Bluebird is meant.' } } : {}),
    };
    for (const [what, said] of Object.entries(blocked)) {
      for (const [how, ask] of Object.entries(ASKS)) {
        house.upstream.script = api.answer(said, cutBy(2));
        const result = await ask(api.model(house.weirUrl), api, 'What became of it?');
        t.equal(result.finish, 'content-filter', `${how}, ${what}`);
        t.notMatch(JSON.stringify(result), FORBIDDEN, `${how}, ${what}`);
        t.ok(said.text.startsWith(result.text), `${how}, ${what}: a beginning`);
        t.strictSame(result.ran, [], `${how}, ${what}: no tool ran`);
        t.notOk(result.calls.some((call) => (call as { invalid: boolean }).invalid === false), `${how}, ${what}: no call that looks complete`);
      }
    }
    const closed = await house.takeClosed(Object.keys(blocked).length * 2);
    t.strictSame([...new Set(closed.map(({ outcome }) => outcome))], ['blocked']);
  });
}

t.test('embeddings: the text arrives redacted, the vector is the provider’s; a blocked one raises once', async (t) => {
  const VECTOR = json(200, { object: 'list', data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }], model: 'made-up-1', usage: { prompt_tokens: 3, total_tokens: 3 } });
  const ask = (url: string, value: string) => embed({ model: connect(url).embedding('made-up-1'), value, maxRetries: 2 });
  const house = await SdkHouse.open(t, 'redact');
  house.upstream.script = VECTOR;
  for (const value of ['It rains.', SECRET.planted.text]) {
    const direct = await ask(house.directUrl, value);
    const through = await ask(house.weirUrl, value);
    t.strictSame([through.embedding, through.usage], [direct.embedding, direct.usage]);
  }
  t.strictSame(house.upstream.received.map(({ body }) => (JSON.parse(body.toString()) as { input: string[] }).input[0]), ['It rains.', 'It rains.', SECRET.planted.text, SECRET.redacted.text]);

  const strict = await SdkHouse.open(t, 'block');
  strict.upstream.script = VECTOR;
  const error: unknown = await ask(strict.weirUrl, 'Bluebird').then(() => undefined, (thrown: unknown) => thrown);
  t.ok(APICallError.isInstance(error));
  t.match(error, { statusCode: 400, isRetryable: false });
  t.equal((await strict.takeClosed(1)).length, 1, 'asked once');
  t.equal(strict.upstream.received.length, 0);
});
