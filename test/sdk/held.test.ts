/**
 * What waits for a person as the official SDKs see it: a call that takes longer and is then what it would have been, or
 * a block like any other; a stream that is kept alive and goes on; a timeout and a retry that are one item.
 */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import t, { type Test } from 'tap';
import { messageEvents, wholeMessage } from '../helpers/anthropic.ts';
import { holding, openHeld, waiting, type Answer, type HeldHouse } from '../helpers/held.ts';
import { until } from '../helpers/house.ts';
import { chatEvents } from '../helpers/upstream.ts';

t.setTimeout(300_000);

const TEXT = 'Well, a Heron it was, and it flew.';
const PIECES = ['Well, ', 'a Her', 'on it was,', ' and it flew.'];

/** Streams where that is asked for, in the dialect of the path. */
const heron: Answer = (body, res, req) => {
  const { stream } = JSON.parse(body) as { readonly stream?: boolean };
  const isMessages = req.url!.endsWith('/messages');
  if (stream === true) {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of isMessages ? messageEvents({ blocks: [{ type: 'text', text: TEXT }], cut: () => PIECES }) : chatEvents(PIECES)) res.write(event);
    return void res.end();
  }
  const whole = isMessages ? wholeMessage({ blocks: [{ type: 'text', text: TEXT }] }) : { id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: TEXT }, finish_reason: 'stop' }] };
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(whole));
};

interface Way {
  readonly name: string;
  /** The text, and why it ended. */
  ask(house: HeldHouse, prompt: string, options?: { readonly timeout?: number; readonly maxRetries?: number }): Promise<readonly [text: string, reason: string | null]>;
  stream(house: HeldHouse, prompt: string): Promise<readonly [text: string, reason: string | null]>;
  readonly blocked: string;
  readonly stop: string;
}

const WAYS: readonly Way[] = [
  {
    name: 'openai', blocked: 'content_filter', stop: 'stop',
    ask: async ({ port }, content, { timeout = 60_000, maxRetries = 0 } = {}) => {
      const { choices: [choice] } = await new OpenAI({ apiKey: 'sk-made-up', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries, timeout }).chat.completions.create({ model: 'm', messages: [{ role: 'user', content }] });
      return [choice!.message.content ?? '', choice!.finish_reason];
    },
    stream: async ({ port }, content) => {
      let [text, reason]: [string, string | null] = ['', null];
      for await (const { choices: [choice] } of await new OpenAI({ apiKey: 'sk-made-up', baseURL: `http://127.0.0.1:${port}/v1`, maxRetries: 0 }).chat.completions.create({ model: 'm', messages: [{ role: 'user', content }], stream: true })) {
        text += choice?.delta.content ?? '';
        reason = choice?.finish_reason ?? reason;
      }
      return [text, reason];
    },
  },
  {
    name: 'anthropic', blocked: 'refusal', stop: 'end_turn',
    ask: async ({ port }, content, { timeout = 60_000, maxRetries = 0 } = {}) => {
      const { content: blocks, stop_reason: reason } = await new Anthropic({ apiKey: 'sk-made-up', baseURL: `http://127.0.0.1:${port}`, maxRetries, timeout }).messages.create({ model: 'm', max_tokens: 100, messages: [{ role: 'user', content }] });
      return [blocks.map((block) => (block.type === 'text' ? block.text : '')).join(''), reason];
    },
    stream: async ({ port }, content) => {
      const message = await new Anthropic({ apiKey: 'sk-made-up', baseURL: `http://127.0.0.1:${port}`, maxRetries: 0 }).messages.stream({ model: 'm', max_tokens: 100, messages: [{ role: 'user', content }] }).finalMessage();
      return [message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''), message.stop_reason];
    },
  },
];

/** Comments come every 100 ms. */
const open = (t: Test): Promise<HeldHouse> => openHeld(t, holding('block'), { answer: heron, config: { proxy: { port: 0, timeouts: { stream_silence_ms: 100 } } } });

for (const { name, ask, stream, blocked, stop } of WAYS) {
  t.test(`${name}: a prompt, whole and streamed`, async (t) => {
    const house = await openHeld(t, holding('block'));
    for (const call of [ask, stream]) {
      const refused = call(house, `an Egret, ${call.name}`).then(() => undefined, (error: unknown) => error);
      await house.decide((await waiting(house)).review_id, 'block');
      t.match(await refused, { status: 400 });
    }
    t.same(house.provider.prompts, []);
  });

  t.test(`${name}: an answer, whole and streamed`, async (t) => {
    const house = await open(t);
    for (const call of [ask, stream]) {
      const first = call(house, 'what was it?');
      await house.decide((await waiting(house)).review_id, 'allow');
      t.same(await first, [TEXT, stop]);
      const second = call(house, 'what was it?');
      const { review_id: id } = await waiting(house);
      // Long enough for several comments.
      const heldMs = Date.now();
      await until(() => Date.now() - heldMs > 600, 'the comments');
      await house.decide(id, 'block');
      const [text, reason] = await second;
      t.equal(reason, blocked);
      t.notMatch(text, /Her|flew/);
    }
    await until(async () => (await house.entries()).length === 4, 'the entries');
    t.match((await house.entries()).map(({ outcome, output: { hold } }: any) => [outcome, hold.ended_by, hold.action]), [['blocked', 'verdict', 'block'], ['completed', 'verdict', 'allow'], ['blocked', 'verdict', 'block'], ['completed', 'verdict', 'allow']]);
  });

  t.test(`${name}: its timeout and its retry are one item`, async (t) => {
    const house = await openHeld(t, holding('block'), { answer: (body, res, req) => (heron as Exclude<Answer, string>)(body.replace('Heron', 'bird'), res, req), config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }] } });
    const answer = ask(house, 'an Egret', { timeout: 1_500, maxRetries: 5 }).then(() => 'answered', (error: Error) => error.message);
    const { review_id: id } = await waiting(house);
    await until(async () => (await house.entries()).some(({ outcome }: any) => outcome === 'client_left'), 'the first timeout');
    t.match(await waiting(house), { review_id: id }, 'the retry waits for it');
    await house.decide(id, 'block');
    t.match(await answer, /filter|blocked|policy/i);
    t.equal((await house.items()).length, 1);
  });
}

t.test('on the wire nothing but comments while it waits', async (t) => {
  const house = await open(t);
  const response = await fetch(`http://127.0.0.1:${house.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'what was it?' }] }) });
  let text = '';
  const decoder = new TextDecoder();
  const reading = (async () => { for await (const part of response.body!) text += decoder.decode(part as Uint8Array, { stream: true }); })();
  const { review_id: id } = await waiting(house);
  await until(() => text.split(': keep-alive\n\n').length > 3, 'comments');
  const before = text.replaceAll(': keep-alive\n\n', '');
  t.notMatch(before, /Her|\[DONE\]/);
  await house.decide(id, 'allow');
  await reading;
  t.equal(text.replaceAll(': keep-alive\n\n', ''), chatEvents(PIECES).join(''), 'byte for byte, but for the comments');
});
