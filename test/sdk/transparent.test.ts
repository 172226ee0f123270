/**
 * What the official SDKs make of an answer is the same through Weir as without it, where no rule changes anything:
 * whole answers, raw streams, the streaming helpers with every event they emit, and tools that run. And the provider
 * gets the same requests.
 */
import t, { type Test } from 'tap';
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import { SDKS, SdkHouse, USAGE, answering, askBothWays, callingTools, chunksOf, endToEnd, gather, recordEvents, type Answer, type BothWays, type SdkClient } from '../helpers/sdk.ts';
import { json } from '../helpers/upstream.ts';

const MESSAGES = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'What’s the weather in Springfield, and why? ☔' }] as const;
const TOOLS = [{ type: 'function', function: { name: 'weather', description: 'Weather of a town', parameters: { type: 'object', properties: { town: { type: 'string' } } } } }] as const;
const CALL = { id: 'call_1', name: 'weather', arguments: '{"town":"Springfield \\u2602 \\"north\\"","days":[1,2.5e1],"at":null}' };
const TEXT = 'It rains, as it did at 10:30 — 42 mm in 3 days. Ask again at noon @ the usual place; 4111 steps away. ☔👩‍👩‍👧\n';

type Params = Omit<ChatCompletionCreateParamsNonStreaming, 'stream' | 'model' | 'messages'>;

interface Case {
  readonly what: string;
  readonly answer: Answer;
  readonly params?: Params;
  /** A channel ends in what could begin a match while others go on: its tail leaves later, so only the texts are equal. */
  readonly tailWaits?: boolean;
}

const CASES: readonly Case[] = [
  { what: 'content', answer: { choices: [{ content: TEXT }] } },
  { what: 'an empty answer', answer: { choices: [{ content: '' }] } },
  { what: 'n: 2', answer: { choices: [{ content: TEXT }, { content: 'No idea, and more words than the other one has in it.', finish: 'length' }] }, params: { n: 2 } },
  { what: 'a refusal', answer: { choices: [{ refusal: 'I would rather not say what it is like at 12.30.' }] } },
  { what: 'reasoning', answer: { choices: [{ reasoning_content: 'The user asks about 2 things.\n', content: TEXT }] } },
  { what: 'reasoning whose end waits', answer: { choices: [{ reasoning_content: 'The user asks about 2 things.', content: TEXT }] }, tailWaits: true },
  { what: 'log-probabilities', answer: { choices: [{ content: TEXT }], logprobs: true }, params: { logprobs: true, top_logprobs: 0 } },
  {
    what: 'tools',
    answer: { choices: [{ tool_calls: [CALL, { id: 'call_2', name: 'weather', arguments: '{}' }], finish: 'tool_calls' }] },
    params: { tools: [...TOOLS], parallel_tool_calls: true },
  },
  { what: 'content and tools in two choices', answer: { choices: [{ content: TEXT, tool_calls: [CALL], finish: 'tool_calls' }, { content: 'Sunny.' }] }, params: { tools: [...TOOLS], n: 2 } },
  {
    what: 'a legacy function call',
    answer: { choices: [{ function_call: { name: 'weather', arguments: CALL.arguments }, finish: 'function_call' }] },
    params: { functions: [TOOLS[0].function] },
  },
];

function sameRequests(t: Test, { sentDirect, sentThrough }: BothWays<unknown>, count = 1): void {
  t.equal(sentDirect.length, count);
  t.strictSame(sentThrough.map(endToEnd), sentDirect.map(endToEnd), 'the provider gets the same request');
}

/** A whole answer with what the SDK keeps beside it. */
async function whole({ chat }: SdkClient, params: Params): Promise<unknown> {
  const { data, response, request_id: requestId } = await chat.create({ model: 'm', messages: [...MESSAGES], ...params }).withResponse();
  return { data, requestId, status: response.status, type: response.headers.get('content-type') };
}

async function helper({ helpers }: SdkClient, params: Params): Promise<Record<string, unknown>> {
  const stream = helpers.stream({ model: 'm', messages: [...MESSAGES], stream_options: { include_usage: true }, ...params });
  const events = recordEvents(stream);
  const final = await stream.finalChatCompletion();
  return { final, message: await stream.finalMessage(), content: await stream.finalContent().catch(String), usage: await stream.totalUsage(), events };
}

for (const policy of ['empty', 'redact'] as const) {
  for (const sdk of SDKS) {
    t.test(`${sdk.name}, policy ${policy}`, async (t) => {
      const house = await SdkHouse.open(t, policy);
      for (const { what, answer, params = {}, tailWaits = false } of CASES) {
        house.upstream.script = answering(answer);

        const unary = await askBothWays(house, sdk, (client) => whole(client, params));
        t.strictSame(unary.through, unary.direct, `${what}: whole`);
        t.match(unary.through, { requestId: 'req_made_up', status: 200, data: { usage: USAGE, choices: { length: answer.choices.length } } });
        sameRequests(t, unary);

        for (const usage of [false, true]) {
          const streamOptions = usage ? { stream_options: { include_usage: true } } : {};
          const raw = await askBothWays(house, sdk, async ({ chat }) => chunksOf(await chat.create({ model: 'm', messages: [...MESSAGES], ...params, ...streamOptions, stream: true })));
          const seen = tailWaits && policy === 'redact' ? gather : (chunks: typeof raw.direct): unknown => chunks;
          t.strictSame(seen(raw.through), seen(raw.direct), `${what}: every chunk${usage ? ' and usage' : ''}`);
          t.strictSame(raw.through.at(-1)?.usage, usage ? USAGE : undefined);
          sameRequests(t, raw);
        }

        const helped = await askBothWays(house, sdk, (client) => helper(client, params));
        if (tailWaits && policy === 'redact') t.strictSame(helped.through.content, helped.direct.content, `${what}: helper`);
        else t.strictSame(helped.through, helped.direct, `${what}: helper and its events`);
        t.ok((helped.direct.events as readonly unknown[]).length > 5);
        t.match(helped.through, { final: { choices: { length: answer.choices.length } }, usage: { total_tokens: 18 } });
        sameRequests(t, helped);

        const closed = await house.takeClosed(4);
        t.strictSame(closed.map(({ outcome }) => outcome), Array(4).fill('completed'), `${what}: recorded as completed`);
      }
    });

    t.test(`${sdk.name}, policy ${policy}: tools that run`, async (t) => {
      const house = await SdkHouse.open(t, policy);
      house.upstream.script = callingTools({ choices: [{ tool_calls: [CALL], finish: 'tool_calls' }] }, { choices: [{ content: TEXT }] });
      const run = async ({ helpers }: SdkClient, stream: boolean): Promise<unknown> => {
        const calls: unknown[] = [];
        const tool = {
          type: 'function' as const,
          function: { ...TOOLS[0].function, parse: JSON.parse, function: (given: object) => { calls.push(given); return 'rain, 42 mm'; } },
        };
        const request = { model: 'm', messages: [...MESSAGES], tools: [tool] };
        const runner = stream ? helpers.runTools({ ...request, stream: true }) : helpers.runTools(request);
        const events = recordEvents(runner);
        return { content: await runner.finalContent(), final: await runner.finalChatCompletion(), messages: runner.messages, calls, events };
      };
      for (const stream of [false, true]) {
        const ran = await askBothWays(house, sdk, (client) => run(client, stream));
        t.strictSame(ran.through, ran.direct, stream ? 'streamed' : 'whole');
        t.match(ran.through, { content: TEXT, calls: [{ town: 'Springfield ☂ "north"', days: [1, 25], at: null }] });
        sameRequests(t, ran, 2);
      }
    });
  }
}

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a list that is passed through`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = json(200, { object: 'list', data: [{ id: 'made-up-1', object: 'model', created: 1, owned_by: 'ana@example.com' }] }, { 'x-request-id': 'req_list' });
    const listed = await askBothWays(house, sdk, async ({ client }) => {
      const { data, response } = await client.models.list().withResponse();
      const page = data as unknown as { data: readonly unknown[]; object: string };
      return { models: page.data, object: page.object, id: response.headers.get('x-request-id') };
    });
    t.strictSame(listed.through, listed.direct);
    t.match(listed.through, { models: [{ owned_by: 'ana@example.com' }], id: 'req_list' });
    sameRequests(t, listed);
  });
}
