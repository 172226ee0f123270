/**
 * A block as the official SDKs see it: a blocked prompt is one BadRequestError that is never retried, streaming or not;
 * a blocked completion is a finished one whose open choices say content_filter.
 */
import t from 'tap';
import { SDKS, SdkHouse, USAGE, answering, chunksOf, errorOf, gather, streamEvents, type Answer } from '../helpers/sdk.ts';
import { events } from '../helpers/upstream.ts';

const PROMPT = { model: 'm', messages: [{ role: 'user' as const, content: 'What became of Bluebird?' }] };
const HARMLESS = { model: 'm', messages: [{ role: 'user' as const, content: 'What became of it?' }] };
const TEXT = 'It was called Bluebird and is over.';
const SECRET = /blue|bird|tck|1234/i;
const TOOL = { type: 'function' as const, function: { name: 'find', parameters: { type: 'object' } } };

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a blocked prompt raises BadRequestError once`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const { chat, helpers } = sdk.connect(house.weirUrl, 2);
    const calls: Readonly<Record<string, () => PromiseLike<unknown>>> = {
      whole: () => chat.create(PROMPT),
      stream: () => chat.create({ ...PROMPT, stream: true }),
      'stream helper': () => helpers.stream(PROMPT).finalChatCompletion(),
      tools: () => helpers.runTools({ ...PROMPT, tools: [{ type: 'function', function: { ...TOOL.function, description: 'Finds', parse: JSON.parse, function: () => 'x' } }] }).finalContent(),
    };
    for (const [how, call] of Object.entries(calls)) {
      const error = await errorOf(call());
      t.ok(error instanceof sdk.OpenAI.BadRequestError, `${how}: ${error.name}`);
      t.match(error, { status: 400, code: 'content_filter', type: 'invalid_request_error', param: 'messages' }, how);
      t.notMatch(error.message + JSON.stringify(error.error), /bluebird|became/i, `${how}: no user text`);
      t.equal((await house.takeClosed(1)).length, 1, `${how}: asked once`);
    }
    t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
  });

  t.test(`${sdk.name}: a blocked whole completion`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const { chat } = sdk.connect(house.weirUrl);
    const blocked: Readonly<Record<string, Answer>> = {
      content: { choices: [{ content: TEXT }], logprobs: true },
      'one choice of two': { choices: [{ content: 'It is over.' }, { content: TEXT }] },
      'tool arguments': { choices: [{ tool_calls: [{ id: 'call_1', name: 'find', arguments: '{"what":"Blue\\u0062ird"}' }], finish: 'tool_calls' }] },
    };
    for (const [what, answer] of Object.entries(blocked)) {
      house.upstream.script = answering(answer);
      const { choices, usage } = await chat.create(HARMLESS);
      t.strictSame(choices.map(({ finish_reason: reason, message }) => [reason, message.content, message.tool_calls]), answer.choices.map(() => ['content_filter', '', undefined]), what);
      t.strictSame(usage, USAGE, what);
      t.notMatch(JSON.stringify(choices), SECRET, what);
    }
  });

  const STREAMS: readonly { readonly what: string; readonly answer: Answer; readonly finish: readonly string[] }[] = [
    { what: 'in the middle', answer: { choices: [{ content: TEXT }] }, finish: ['content_filter'] },
    { what: 'at the very end', answer: { choices: [{ content: 'It was called Bluebird' }] }, finish: ['content_filter'] },
    { what: 'settled by the finish', answer: { choices: [{ content: 'It was TCK-12345' }] }, finish: ['content_filter'] },
    {
      what: 'one of two settled by its finish',
      answer: { choices: [{ content: `It was over. ${'And so on. '.repeat(9)}` }, { content: 'It was TCK-12345' }] },
      finish: ['content_filter', 'content_filter'],
    },
    { what: 'in one delta', answer: { choices: [{ content: TEXT }], cut: (text) => [text] }, finish: ['content_filter'] },
    { what: 'two choices, both open', answer: { choices: [{ content: `${TEXT} And so on, for long.` }, { content: TEXT.repeat(3) }] }, finish: ['content_filter', 'content_filter'] },
    { what: 'two choices, one finished', answer: { choices: [{ content: 'Over.' }, { content: `Well, that is a long story. ${TEXT}` }] }, finish: ['stop', 'content_filter'] },
    {
      what: 'a finish that waits behind the match',
      answer: { choices: [{ content: 'Over.' }, { content: 'Bluebird is over.' }], cut: (text) => (text === 'Over.' ? [text] : ['Bl', 'ueb', 'ird is over.']) },
      finish: ['content_filter', 'content_filter'],
    },
    { what: 'in a refusal', answer: { choices: [{ refusal: TEXT }] }, finish: ['content_filter'] },
    { what: 'in reasoning', answer: { choices: [{ reasoning_content: TEXT, content: 'Over.' }] }, finish: ['content_filter'] },
    { what: 'with log-probabilities', answer: { choices: [{ content: TEXT }], logprobs: true, cut: () => ['It was called Blue', 'bird and is', ' over.'] }, finish: ['content_filter'] },
    { what: 'in tool arguments', answer: { choices: [{ tool_calls: [{ id: 'call_1', name: 'find', arguments: '{"what":"Bluebird"}' }], finish: 'tool_calls' }] }, finish: ['content_filter'] },
  ];

  t.test(`${sdk.name}: a blocked stream ends well, with content_filter on every open choice`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const { chat, helpers } = sdk.connect(house.weirUrl);
    for (const { what, answer, finish } of STREAMS) {
      house.upstream.script = answering(answer);
      const chunks = await chunksOf(await chat.create({ ...HARMLESS, n: answer.choices.length, stream: true }));
      const texts = gather(chunks);
      t.strictSame(finish.map((_, index) => texts[`${index}/finish`]), finish.map((reason) => [reason]), `${what}: raw`);
      t.notMatch(JSON.stringify(chunks), SECRET, `${what}: raw`);
      const final = await helpers.stream({ ...HARMLESS, n: answer.choices.length }).finalChatCompletion();
      t.strictSame(final.choices.map(({ finish_reason: reason }) => reason), finish, `${what}: helper`);
      t.notMatch(JSON.stringify(final), SECRET, `${what}: helper`);
      t.strictSame((await house.takeClosed(2)).map(({ outcome }) => outcome), ['blocked', 'blocked'], what);
    }
  });

  t.test(`${sdk.name}: a blocked stream tells its usage where it is known`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const { chat, helpers } = sdk.connect(house.weirUrl);
    house.upstream.script = events(streamEvents({ choices: [{ content: TEXT }], usageInEveryChunk: true }, true));
    const request = { ...HARMLESS, stream_options: { include_usage: true } };
    t.match(gather(await chunksOf(await chat.create({ ...request, stream: true }))), { '0/finish': ['content_filter'], usage: USAGE });
    t.match(await helpers.stream(request).finalChatCompletion(), { choices: [{ finish_reason: 'content_filter' }], usage: USAGE });
  });
}
