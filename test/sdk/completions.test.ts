/**
 * Completions as the official SDKs see them through Weir: the same without a match, different in the redacted spans
 * alone, refused once where the prompt is blocked, and finished with content_filter where the answer is.
 */
import type { Completion } from 'openai/resources/completions';
import t from 'tap';
import { SDKS, SdkHouse, USAGE, askBothWays, endToEnd, errorOf, type SdkClient } from '../helpers/sdk.ts';
import { cutsOf } from '../helpers/runs.ts';
import { events, json, type Script } from '../helpers/upstream.ts';

interface Choice {
  readonly text: string;
  readonly finish?: string;
}

const ENVELOPE = { id: 'cmpl-made-up', object: 'text_completion', created: 1_700_000_000, model: 'made-up-1' };
const tokensOf = (text: string) => ({ tokens: [text], token_logprobs: [-0.5], top_logprobs: [{ [text]: -0.5 }], text_offset: [0] });

/** Answers as the request wants it; choices take turns in a stream. */
function completing(choices: readonly Choice[], options: { readonly logprobs?: boolean; readonly seed?: number } = {}): Script {
  const choice = (index: number, text: string, finish: string | null): object => ({ text, index, logprobs: options.logprobs === true && text !== '' ? tokensOf(text) : null, finish_reason: finish });
  return (socket, request) => {
    const wish = JSON.parse(request.body.toString()) as { stream?: boolean; stream_options?: { include_usage?: boolean } };
    if (wish.stream !== true) return json(200, { ...ENVELOPE, choices: choices.map(({ text, finish = 'stop' }, index) => choice(index, text, finish)), usage: USAGE }, { 'x-request-id': 'req_made_up' })(socket, request);
    const turns = choices.map(({ text, finish = 'stop' }, index) => [...cutsOf(text, options.seed ?? 1).map((piece) => choice(index, piece, null)), choice(index, '', finish)]);
    const chunks = Array.from({ length: Math.max(...turns.map(({ length }) => length)) }, (_, turn) => turns.flatMap((parts) => parts[turn] ?? [])).flat();
    const usage = wish.stream_options?.include_usage === true ? [{ ...ENVELOPE, choices: [], usage: USAGE }] : [];
    return events([...chunks.map((one) => ({ ...ENVELOPE, choices: [one] })), ...usage].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).concat('data: [DONE]\n\n'))(socket, request);
  };
}

const PROMPT = { model: 'made-up-1', prompt: ['Once upon a time', 'Far away'], max_tokens: 50, n: 2 };
const CHOICES: readonly Choice[] = [{ text: 'It rained at 10:30 — 42 mm in 3 days. ☔\n' }, { text: 'No idea, and more words than the other.', finish: 'length' }, { text: '' }, { text: 'The end.' }];

async function chunksOf(stream: AsyncIterable<Completion>): Promise<Completion[]> {
  const chunks: Completion[] = [];
  for await (const one of stream) chunks.push(one);
  return chunks;
}

/** Texts by choice with how each ended, and usage. */
function gather(chunks: readonly Completion[]): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  for (const { choices, usage } of chunks) {
    for (const { index, text, finish_reason: finish } of choices) all[index] = `${(all[index] as string | undefined) ?? ''}${text}${(finish as string | null) === null ? '' : ` <${finish}>`}`;
    if (usage) all.usage = usage;
  }
  return all;
}

const READINGS: Readonly<Record<string, (client: SdkClient) => Promise<Record<string, unknown>>>> = {
  whole: async ({ client }) => gather([await client.completions.create(PROMPT)]),
  stream: async ({ client }) => gather(await chunksOf(await client.completions.create({ ...PROMPT, stream: true, stream_options: { include_usage: true } }))),
};

for (const sdk of SDKS) {
  for (const policy of ['empty', 'redact']) {
    t.test(`${sdk.name}, policy ${policy}: the same through Weir`, async (t) => {
      const house = await SdkHouse.open(t, policy);
      for (const logprobs of [false, true]) {
        house.upstream.script = completing(CHOICES, { logprobs });
        const whole = await askBothWays(house, sdk, async ({ client }) => {
          const { data, response, request_id: requestId } = await client.completions.create({ ...PROMPT, logprobs: 1 }).withResponse();
          return { data, requestId, status: response.status };
        });
        t.strictSame(whole.through, whole.direct);
        t.match(whole.through, { requestId: 'req_made_up', data: { choices: { length: 4 }, usage: USAGE } });
        t.strictSame(whole.sentThrough.map(endToEnd), whole.sentDirect.map(endToEnd), 'the provider gets the same request');
        const raw = await askBothWays(house, sdk, async ({ client }) => chunksOf(await client.completions.create({ ...PROMPT, stream: true, stream_options: { include_usage: true } })));
        // A choice may end in what could begin a match while others go on: its tail leaves in a chunk of its own.
        if (policy === 'empty') t.strictSame(raw.through, raw.direct);
        t.strictSame(gather(raw.through), gather(raw.direct));
        t.match(gather(raw.through), { 1: /<length>$/, usage: USAGE });
      }
      t.strictSame((await house.takeClosed(4)).map(({ outcome, route }) => [outcome, route]), Array(4).fill(['completed', '/v1/completions']));
    });
  }

  t.test(`${sdk.name}: texts differ in the redacted spans alone`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const answer = (mail: string, card: string): Choice[] => [{ text: `Ask ${mail}, at noon.` }, { text: `Nobody. ${'And so on. '.repeat(20)}` }, { text: `It is ${card}`, finish: 'length' }];
    for (const [how, reading] of Object.entries(READINGS)) {
      house.upstream.script = completing(answer('[EMAIL]', '[CREDIT_CARD]'));
      const expected = await reading(sdk.connect(house.directUrl));
      for (const seed of [1, 2, 3]) {
        house.upstream.script = completing(answer('ana@example.com', '4111 1111 1111 1111'), { seed, logprobs: true });
        t.strictSame(await reading(sdk.connect(house.weirUrl)), expected, `${how}, cut ${seed}`);
      }
    }
    const { choices } = await sdk.connect(house.weirUrl).client.completions.create(PROMPT);
    t.strictSame(choices.map(({ logprobs }) => logprobs === null), [true, false, true], 'log-probabilities go where the text was changed');
    house.upstream.received.length = 0;
    await sdk.connect(house.weirUrl).client.completions.create({ ...PROMPT, prompt: ['Mail ana@example.com', 'or not'], suffix: 'bob@example.com' });
    t.match(JSON.parse(house.upstream.received[0].body.toString()), { prompt: ['Mail [EMAIL]', 'or not'], suffix: '[EMAIL]' });
  });

  t.test(`${sdk.name}: a blocked prompt raises BadRequestError once`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const { client } = sdk.connect(house.weirUrl, 2);
    for (const stream of [false, true]) {
      const error = await errorOf(client.completions.create({ ...PROMPT, prompt: ['fine', 'What became of Bluebird?'], stream }));
      t.ok(error instanceof sdk.OpenAI.BadRequestError);
      t.match(error, { status: 400, code: 'content_filter', type: 'invalid_request_error', param: 'prompt' });
      t.notMatch(error.message + JSON.stringify(error.error), /bluebird|became/i);
    }
    t.match(await errorOf(client.completions.create({ ...PROMPT, prompt: [[1, 2], [3]] })), { status: 400, code: 'opaque_refused' }, 'token numbers');
    t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
    t.equal((await house.takeClosed(3)).length, 3, 'asked once each');
  });

  t.test(`${sdk.name}: a blocked answer ends every open choice`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const { client } = sdk.connect(house.weirUrl);
    house.upstream.script = completing([{ text: 'Over.' }, { text: `Well, that is a long story. ${'And so on. '.repeat(5)}Bluebird is over.` }], { logprobs: true });
    const whole = await client.completions.create(PROMPT);
    t.strictSame(whole.choices.map(({ text, finish_reason: finish, logprobs }) => [text, finish, logprobs]), [['', 'content_filter', null], ['', 'content_filter', null]]);
    t.strictSame(whole.usage, USAGE);
    const chunks = await chunksOf(await client.completions.create({ ...PROMPT, stream: true }));
    t.match(gather(chunks), { 0: 'Over. <stop>', 1: /^Well, that is a long story\. (?:And so on\. )* <content_filter>$/ });
    t.notMatch(JSON.stringify(chunks), /blue|bird/i);
    t.strictSame((await house.takeClosed(2)).map(({ outcome }) => outcome), ['blocked', 'blocked']);
  });
}
