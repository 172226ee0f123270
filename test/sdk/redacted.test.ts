/**
 * Made-up personal data in an answer: what the official SDKs give to the application differs from the provider's answer
 * in the redacted spans alone. Expected is what the SDK makes, without Weir, of an answer that was written redacted.
 */
import type { ChatCompletionChunk } from 'openai/resources/chat/completions';
import t from 'tap';
import { SDKS, SdkHouse, USAGE, answering, askBothWays, callingTools, chunksOf, gather, wishOf, type Answer, type Choice, type Sdk, type SdkClient } from '../helpers/sdk.ts';
import { cutsOf } from '../helpers/runs.ts';
import { events } from '../helpers/upstream.ts';

const ASK = { model: 'm', messages: [{ role: 'user' as const, content: 'Whom do I ask?' }] };
const REQUEST = { ...ASK, n: 2 };

/** Planted text, and the same with its spans redacted. */
const TEXT = { planted: 'Ask ana@example.com or +1 202-555-0143, card 4111 1111 1111 1111, at noon.', redacted: 'Ask [EMAIL] or [PHONE_NUMBER], card [CREDIT_CARD], at noon.' };
const END = { planted: 'It is bob.roe@example.com', redacted: 'It is [EMAIL]' };
const ARGUMENTS = {
  planted: '{"to":"Ana \\"A\\" <ana@example.com>","cc":["b\\u006fb@example.com","no one"],"card":4111111111111111,"at":12.5,"deep":{"tel":"+1 202-555-0143"}}',
  parsed: { to: 'Ana "A" <[EMAIL]>', cc: ['[EMAIL]', 'no one'], card: '[CREDIT_CARD]', at: 12.5, deep: { tel: '[PHONE_NUMBER]' } },
};

type Side = 'planted' | 'redacted';

const CHOICES: readonly { readonly what: string; readonly choices: (side: Side) => readonly Choice[] }[] = [
  { what: 'content', choices: (side) => [{ content: TEXT[side] }] },
  { what: 'content that ends in a match', choices: (side) => [{ content: END[side] }] },
  { what: 'a refusal', choices: (side) => [{ refusal: TEXT[side] }] },
  { what: 'reasoning and content', choices: (side) => [{ reasoning_content: END[side], content: TEXT[side] }] },
  { what: 'n: 2', choices: (side) => [{ content: TEXT[side] }, { content: END[side], finish: 'length' }] },
  { what: 'one choice of two', choices: (side) => [{ content: 'Nobody you know.' }, { content: END[side] }] },
];

/** Both ways of reading a stream, and the whole answer. */
const READINGS: Readonly<Record<string, (client: SdkClient) => Promise<unknown>>> = {
  whole: async ({ chat }) => chat.create(REQUEST),
  raw: async ({ chat }) => gather(await chunksOf(await chat.create({ ...REQUEST, stream: true, stream_options: { include_usage: true } }))),
  helper: async ({ helpers }) => {
    const stream = helpers.stream({ ...REQUEST, stream_options: { include_usage: true } });
    const chunks: ChatCompletionChunk[] = [];
    let heard = '';
    stream.on('chunk', (chunk) => void chunks.push(structuredClone(chunk))).on('content', (delta) => { heard += delta; });
    const completion = await stream.finalChatCompletion();
    return withoutReasoning({ completion, message: await stream.finalMessage(), heard: completion.choices.length === 1 ? heard : null, texts: gather(chunks) });
  },
};

/** The helpers do not add up reasoning and keep its last delta, wherever that was cut; `texts` has it whole. */
function withoutReasoning(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, member: unknown) => (key === 'reasoning_content' ? undefined : member)));
}

async function through(house: SdkHouse, sdk: Sdk, answer: Answer, read: (client: SdkClient) => Promise<unknown>): Promise<unknown> {
  house.upstream.script = answering(answer);
  return read(sdk.connect(house.weirUrl));
}

async function direct(house: SdkHouse, sdk: Sdk, answer: Answer, read: (client: SdkClient) => Promise<unknown>): Promise<unknown> {
  house.upstream.script = answering(answer);
  return read(sdk.connect(house.directUrl));
}

const choiceEvent = (choice: object): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [choice] })}\n\n`;
const finishEvent = (index: number): string => choiceEvent({ index, delta: {}, logprobs: null, finish_reason: 'stop' });

function tokenEvent(index: number, content: string): string {
  const token = { token: content, logprob: -1, bytes: [...Buffer.from(content)], top_logprobs: [] };
  return choiceEvent({ index, delta: { content }, logprobs: { content: [token], refusal: null }, finish_reason: null });
}

for (const sdk of SDKS) {
  t.test(`${sdk.name}: texts differ in the redacted spans alone`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    for (const { what, choices } of CHOICES) {
      for (const [how, read] of Object.entries(READINGS)) {
        const expected = await direct(house, sdk, { choices: choices('redacted') }, read);
        t.match(JSON.stringify(expected), '[EMAIL]');
        for (const seed of [1, 2, 3]) {
          const cut = (text: string): readonly string[] => cutsOf(text, seed, seed * 2);
          t.strictSame(await through(house, sdk, { choices: choices('planted'), cut }, read), expected, `${what}, ${how}, cut ${seed}`);
        }
      }
    }
  });

  t.test(`${sdk.name}: tool arguments stay JSON`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const answer = (text: string): Answer => ({ choices: [{ tool_calls: [{ id: 'call_1', name: 'mail', arguments: text }, { id: 'call_2', name: 'mail', arguments: '{}' }], finish: 'tool_calls' }] });
    const legacy = (text: string): Answer => ({ choices: [{ function_call: { name: 'mail', arguments: text }, finish: 'function_call' }] });
    /** Arguments parsed, since white space and escapes in what is replaced are ours. */
    const parsed = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value), (key, member: unknown) => (key.endsWith('arguments') && member !== '' ? JSON.parse(member as string) as unknown : member));
    for (const [what, make] of [['tool calls', answer], ['function call', legacy]] as const) {
      for (const [how, read] of Object.entries(READINGS)) {
        const expected = parsed(await direct(house, sdk, make(JSON.stringify(ARGUMENTS.parsed)), read));
        const got = parsed(await through(house, sdk, make(ARGUMENTS.planted), read));
        t.strictSame(got, expected, `${what}, ${how}`);
        t.match(JSON.stringify(got), '[CREDIT_CARD]');
      }
    }
  });

  t.test(`${sdk.name}: tools run with redacted arguments, and their results leave redacted`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = callingTools({ choices: [{ tool_calls: [{ id: 'call_1', name: 'mail', arguments: ARGUMENTS.planted }], finish: 'tool_calls' }] }, { choices: [{ content: END.planted }] });
    for (const stream of [false, true]) {
      house.upstream.received.length = 0;
      const given: unknown[] = [];
      const { helpers } = sdk.connect(house.weirUrl);
      const run = (value: object): string => { given.push(value); return 'sent to eve@example.com'; };
      const tool = { type: 'function' as const, function: { name: 'mail', description: 'Mail', parameters: { type: 'object' }, parse: JSON.parse, function: run } };
      const runner = stream ? helpers.runTools({ ...ASK, tools: [tool], stream: true }) : helpers.runTools({ ...ASK, tools: [tool] });
      t.equal(await runner.finalContent(), END.redacted);
      t.strictSame(given, [ARGUMENTS.parsed]);
      t.equal(house.upstream.received.length, 2);
      const result = wishOf(house.upstream.received[1]).messages?.at(-1) as unknown;
      t.match(result, { role: 'tool', tool_call_id: 'call_1', content: 'sent to [EMAIL]' });
    }
  });

  t.test(`${sdk.name}: log-probabilities do not repeat what was redacted`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const answer: Answer = { choices: [{ content: TEXT.planted }], logprobs: true };
    for (const [how, read] of Object.entries(READINGS)) {
      const got = JSON.stringify(await through(house, sdk, answer, read));
      t.match(got, '[CREDIT_CARD]', how);
      t.notMatch(got.replaceAll(/"token":"([^"]*)"/g, '$1'), /ana|example|0143|1111/, how);
    }
    house.upstream.script = answering(answer);
    const chunks = await chunksOf(await sdk.connect(house.weirUrl).chat.create({ ...REQUEST, stream: true, logprobs: true }));
    const tokens = chunks.flatMap(({ choices }) => choices.flatMap(({ logprobs }) => logprobs?.content ?? [])).map(({ token }) => token).join('');
    t.ok(TEXT.planted.startsWith(tokens), 'tokens of what left unchanged');
    t.notMatch(tokens, /[a-z]@|555|4111/);
  });

  t.test(`${sdk.name}: nor while one choice stops in the middle of a match and the other goes on`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const more = Array<string>(50).fill('and so on ');
    house.upstream.script = events([
      tokenEvent(0, 'It is bob.r'), ...more.map((text) => tokenEvent(1, text)), tokenEvent(0, 'oe@example.com'), finishEvent(0), finishEvent(1), 'data: [DONE]\n\n',
    ]);
    const chunks = await chunksOf(await sdk.connect(house.weirUrl).chat.create({ ...REQUEST, stream: true, logprobs: true }));
    t.strictSame(gather(chunks), { '0/content': END.redacted, '1/content': more.join(''), '0/finish': ['stop'], '1/finish': ['stop'] });
    t.notOk(/bob|roe/.test(JSON.stringify(chunks)), 'no token of the match');
  });

  t.test(`${sdk.name}: a prompt reaches the provider redacted, and nothing else of the request changes`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = answering({ choices: [{ content: 'Noted.' }] });
    const ask = (text: (typeof TEXT)[Side]) => ({ chat }: SdkClient) => chat.create({ model: 'm', user: 'u-1', temperature: 0.5, messages: [{ role: 'user', content: [{ type: 'text', text }] }] });
    const planted = await askBothWays(house, sdk, ask(TEXT.planted));
    const redacted = await askBothWays(house, sdk, ask(TEXT.redacted));
    t.strictSame(planted.through, planted.direct);
    t.equal(planted.sentThrough[0].body.toString(), redacted.sentDirect[0].body.toString());
    t.match(planted.direct, { usage: USAGE });
  });
}
