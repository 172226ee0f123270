/**
 * Embeddings, images and moderations as the official SDKs see them through Weir: the same without a match, redacted in
 * their texts alone, an error where they are blocked; and moderations, which nothing blocks for what they ask about.
 */
import t from 'tap';
import { SDKS, SdkHouse, askBothWays, endToEnd, errorOf, type SdkClient } from '../helpers/sdk.ts';
import { events, json } from '../helpers/upstream.ts';

const VECTOR = [0.5, -2, 0.25];
const BASE64 = Buffer.from(new Float32Array(VECTOR).buffer).toString('base64');
const vectors = (embedding: unknown, more: object = {}): object => ({ object: 'list', model: 'made-up-1', data: [0, 1].map((index) => ({ object: 'embedding', index, embedding })), usage: { prompt_tokens: 5, total_tokens: 5 }, ...more });
const PICTURES = { created: 1_700_000_000, output_format: 'png', size: '1024x1024', data: [{ b64_json: 'AAAA/+8=', revised_prompt: 'A small cat.' }, { url: 'https://media.example.com/a.png?se=2030-01-01&sig=4111111111111111' }], usage: { input_tokens: 3, output_tokens: 9, total_tokens: 12 } };
const VERDICT = { id: 'modr-1', model: 'omni-moderation-latest', results: [{ flagged: true, categories: { violence: true }, category_scores: { violence: 0.98 }, category_applied_input_types: { violence: ['text'] } }] };
const FALLBACK = 'policy: p\ndefault_action: allow\non_block: fallback\nmessage: Ask something else.\npatterns:\n  - { id: codename, label: CODENAME, literal: [Bluebird] }\nrules:\n  - { id: codename, priority: 1, direction: both, when: { score: patterns.*, gte: 1 }, action: block }\n';

const embed = (input: string | string[] | number[][] = ['one', 'two'], encoding?: 'float') => ({ client }: SdkClient) => client.embeddings.create({ model: 'made-up-1', input, ...(encoding && { encoding_format: encoding }) });
const paint = (prompt = 'a cat') => async ({ client }: SdkClient) => client.images.generate({ model: 'made-up-1', prompt, n: 2, size: '1024x1024' });
const judge = (input: string | string[]) => ({ client }: SdkClient) => client.moderations.create({ model: 'omni-moderation-latest', input });

for (const sdk of SDKS) {
  t.test(`${sdk.name}: the same through Weir`, async (t) => {
    const house = await SdkHouse.open(t, 'redact', { proxy: { moderations: 'forward' } });
    const cases: readonly (readonly [what: string, answer: object, call: (client: SdkClient) => Promise<unknown>])[] = [
      ['vectors that the SDK decodes', vectors(BASE64), embed()],
      ['vectors as numbers', vectors(VECTOR), embed(['one'], 'float')],
      ['pictures', PICTURES, paint()],
      ['a verdict', VERDICT, judge('I will not hurt anybody')],
    ];
    for (const [what, answer, call] of cases) {
      house.upstream.script = json(200, answer, { 'x-request-id': 'req_made_up' });
      const { direct, through, sentDirect, sentThrough } = await askBothWays(house, sdk, call);
      t.strictSame(through, direct, what);
      t.strictSame(sentThrough.map(endToEnd), sentDirect.map(endToEnd), `${what}: the provider gets the same request`);
    }
    t.strictSame((await house.takeClosed(4)).map(({ outcome, route }) => [outcome, route]), ['/v1/embeddings', '/v1/embeddings', '/v1/images/generations', '/v1/moderations'].map((route) => ['completed', route]));
    house.upstream.script = json(200, vectors(BASE64));
    t.match(await embed()(sdk.connect(house.weirUrl)), { data: [{ embedding: VECTOR }, { embedding: VECTOR }] });
  });

  t.test(`${sdk.name}: what is redacted, on the way out and back`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const client = sdk.connect(house.weirUrl);
    const sent = (): unknown => JSON.parse(house.upstream.received.at(-1)!.body.toString());
    house.upstream.script = json(200, vectors(BASE64, { warning: 'shortened for ana@example.com' }));
    t.match(await embed(['I am bob@example.com', 'fine'])(client), { data: [{ embedding: VECTOR }, { embedding: VECTOR }], warning: 'shortened for [EMAIL]' });
    t.match(sent(), { input: ['I am [EMAIL]', 'fine'] });
    house.upstream.script = json(200, { ...PICTURES, data: [{ ...PICTURES.data[0], revised_prompt: 'A cat for ana@example.com.' }, PICTURES.data[1]] });
    t.match(await paint('a cat for bob@example.com')(client), { ...PICTURES, data: [{ ...PICTURES.data[0], revised_prompt: 'A cat for [EMAIL].' }, PICTURES.data[1]] });
    t.match(sent(), { prompt: 'a cat for [EMAIL]' });
    house.upstream.script = json(404, { error: { message: 'no such model for ana@example.com', type: 'invalid_request_error', param: null, code: 'model_not_found' } });
    t.match(await errorOf(embed()(client)), { status: 404, code: 'model_not_found', message: '404 no such model for [EMAIL]' });
  });

  t.test(`${sdk.name}: what is blocked is an error, asked for once`, async (t) => {
    for (const [policy, says] of [['block', /^400 the policy blocked/], [FALLBACK, /^400 Ask something else\./]] as const) {
      const house = await SdkHouse.open(t, policy);
      const client = sdk.connect(house.weirUrl, 2);
      const refused = async (call: (client: SdkClient) => Promise<unknown>, what: string): Promise<void> => {
        const error = await errorOf(call(client));
        t.ok(error instanceof sdk.OpenAI.BadRequestError, what);
        t.match(error, { status: 400, code: 'content_filter', type: 'invalid_request_error', message: says }, what);
        t.notMatch(JSON.stringify(error.error), /bluebird/i, what);
      };
      await refused(embed(['fine', 'What became of Bluebird?']), 'a text to embed');
      await refused(paint('Bluebird, in oil'), 'a prompt for a picture');
      t.match(await errorOf(embed([[1, 2], [3]])(client)), { status: 400, code: 'opaque_refused' }, 'token numbers');
      t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
      house.upstream.script = json(200, { ...PICTURES, data: [{ revised_prompt: 'Bluebird, in oil.' }] });
      await refused(paint(), 'a revised prompt');
      house.upstream.script = json(200, vectors(BASE64, { warning: 'Bluebird' }));
      await refused(embed(), 'an answer that holds more than vectors');
      t.equal(house.upstream.received.length, 2);
      t.match(await house.takeClosed(5), [
        { outcome: 'blocked', input: { action: 'block' } }, { outcome: 'blocked', input: { action: 'block' } }, { outcome: 'refused' },
        { outcome: 'blocked', status: 400, upstream_status: 200, error_code: 'content_filter', input: { action: 'allow' }, output: { action: 'block' } }, { outcome: 'blocked', output: { action: 'block' } },
      ]);
    }
  });

  t.test(`${sdk.name}: moderations are screened for the record and forwarded as they came`, async (t) => {
    for (const policy of ['block', 'redact']) {
      const house = await SdkHouse.open(t, policy, { proxy: { moderations: 'forward' } });
      house.upstream.script = json(200, VERDICT);
      t.strictSame(await judge(['Is Bluebird a threat?', 'Is ana@example.com?'])(sdk.connect(house.weirUrl)), VERDICT);
      t.match(JSON.parse(house.upstream.received[0]!.body.toString()), { input: ['Is Bluebird a threat?', 'Is ana@example.com?'] });
      const [closed] = await house.takeClosed(1);
      t.match(closed, { outcome: 'completed', input: { action: 'allow', triggered_rules: [policy === 'block' ? 'codename' : 'pii'], redactions: 0, coverage: { screened: ['input[]'] } } });
    }
  });
}

const [{ connect }] = SDKS;

t.test('a picture that streams', async (t) => {
  const event = (type: string, more: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, created_at: 1, size: 'auto', quality: 'high', background: 'auto', output_format: 'png', b64_json: 'AAAA/+8='.repeat(500), ...more })}\n\n`;
  const script = (note: string) => events([event('image_generation.partial_image', { partial_image_index: 0 }), event('image_generation.completed', { usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 }, note })]);
  const stream = async ({ client }: SdkClient): Promise<unknown[]> => {
    const seen: unknown[] = [];
    for await (const one of await client.images.generate({ model: 'made-up-1', prompt: 'a cat', stream: true, partial_images: 1 })) seen.push(one);
    return seen;
  };
  const house = await SdkHouse.open(t, 'redact');
  house.upstream.script = script('done');
  const { direct, through } = await askBothWays(house, { name: '', OpenAI: SDKS[0]!.OpenAI, connect }, stream);
  t.strictSame(through, direct);
  t.equal(through.length, 2);
  house.upstream.script = script('for ana@example.com');
  t.match((await stream(connect(house.weirUrl)))[1], { type: 'image_generation.completed', note: 'for [EMAIL]' });
  const blocking = await SdkHouse.open(t, 'block');
  blocking.upstream.script = script('Bluebird');
  t.match(await errorOf(stream(connect(blocking.weirUrl))), { code: 'content_filter', message: /blocked/ });
  t.match(await blocking.takeClosed(1), [{ outcome: 'blocked', stream: true }]);
});
