/**
 * Azure OpenAI's client through Weir: its paths with deployments and versions, its key header, its annotations in
 * answers, and a block as its users look for it. Both majors of the SDK.
 */
import { AzureOpenAI } from 'openai';
import { AzureOpenAI as AzureOpenAI4 } from 'openai-4';
import type { ChatCompletionChunk } from 'openai/resources/chat/completions';
import t from 'tap';
import { keyDigest } from '../../src/tenant/keys.ts';
import { SDKS, SdkHouse, USAGE, chunksOf, endToEnd, errorOf, gather } from '../helpers/sdk.ts';
import { cutsOf } from '../helpers/runs.ts';
import { events, json, type Script } from '../helpers/upstream.ts';

const VERSION = '2024-10-21';
const DEPLOYMENT = 'made-up-deployment';

/** The same client in both majors; `url` is the house's, of which Azure's paths use the root. */
const AZURE = [
  { name: 'openai 7', OpenAI: SDKS[0]!.OpenAI, connect: (url: string, apiKey = 'made-up-key', maxRetries = 0) => new AzureOpenAI({ endpoint: new URL(url).origin, apiKey, apiVersion: VERSION, maxRetries }) },
  { name: 'openai 4', OpenAI: SDKS[1]!.OpenAI, connect: (url: string, apiKey = 'made-up-key', maxRetries = 0) => new AzureOpenAI4({ endpoint: new URL(url).origin, apiKey, apiVersion: VERSION, maxRetries }) as unknown as AzureOpenAI },
] as const;

const SAFE = Object.fromEntries(['hate', 'self_harm', 'sexual', 'violence'].map((category) => [category, { filtered: false, severity: 'safe' }]));
const NO_IDS = { created: 0, id: '', model: '', object: '' };
const ENVELOPE = { id: 'chatcmpl-made-up', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'gpt-made-up', system_fingerprint: 'fp_made_up' };
const PROMPT_VERDICTS = [{ prompt_index: 0, content_filter_results: { ...SAFE, jailbreak: { detected: false, filtered: false } } }];

interface Annotated {
  /** Verdicts in chunks of their own, as the asynchronous filter sends them. */
  readonly asynchronous?: boolean;
  readonly seed?: number;
  readonly finish?: string;
}

/** Answers as the request wants it, with Azure's annotations. */
function answering(content: string, { asynchronous = false, seed = 1, finish = 'stop' }: Annotated = {}): Script {
  const verdicts = asynchronous ? {} : { content_filter_results: SAFE };
  const chunk = (delta: object, reason: string | null): object => ({ ...ENVELOPE, obfuscation: 'Zq', choices: [{ index: 0, delta, finish_reason: reason, logprobs: null, ...verdicts }] });
  const annotation = (start: number): object => ({ ...NO_IDS, choices: [{ index: 0, finish_reason: null, content_filter_offsets: { check_offset: 44, start_offset: start, end_offset: 198 }, content_filter_results: SAFE }] });
  return (socket, request) => {
    const wish = JSON.parse(request.body.toString()) as { stream?: boolean; stream_options?: { include_usage?: boolean } };
    if (wish.stream !== true) {
      const choices = [{ index: 0, message: { role: 'assistant', content, refusal: null }, finish_reason: finish, logprobs: null, content_filter_results: SAFE }];
      return json(200, { ...ENVELOPE, object: 'chat.completion', choices, prompt_filter_results: PROMPT_VERDICTS, usage: USAGE }, { 'apim-request-id': 'made-up', 'x-ms-rai-invoked': 'true' })(socket, request);
    }
    const pieces = cutsOf(content, seed).map((piece) => chunk({ content: piece }, null));
    const chunks = [
      { ...NO_IDS, choices: [], prompt_filter_results: PROMPT_VERDICTS }, chunk({ role: 'assistant', content: '', refusal: null }, null), ...pieces, ...(asynchronous ? [annotation(44)] : []), chunk({}, finish), ...(asynchronous ? [annotation(120)] : []),
      ...(wish.stream_options?.include_usage === true ? [{ ...ENVELOPE, choices: [], usage: USAGE }] : []),
    ];
    return events([...chunks.map((one) => `data: ${JSON.stringify(one)}\n\n`), 'data: [DONE]\n\n'])(socket, request);
  };
}

const TEXT = 'It rains, as it did at 10:30 — 42 mm in 3 days. ☔\n';
const ASK = { model: DEPLOYMENT, messages: [{ role: 'user' as const, content: 'What’s the weather, and why? ☔' }] };
const STREAM = { ...ASK, stream: true, stream_options: { include_usage: true } } as const;

for (const azure of AZURE) {
  /** The same call without and with Weir in between, and what reached the provider each time. */
  const bothWays = async <T>(house: SdkHouse, call: (client: AzureOpenAI) => Promise<T>) => {
    const { received } = house.upstream;
    received.length = 0;
    const direct = await call(azure.connect(house.directUrl));
    const sentDirect = received.splice(0);
    const through = await call(azure.connect(house.weirUrl));
    return { direct, through, sentDirect, sentThrough: received.splice(0) };
  };

  t.test(`${azure.name}: the same through Weir, annotations and all`, async (t) => {
    for (const policy of ['empty', 'redact']) {
      const house = await SdkHouse.open(t, policy);
      for (const asynchronous of [false, true]) {
        house.upstream.script = answering(TEXT, { asynchronous });
        const whole = await bothWays(house, async (client) => {
          const { data, response } = await client.chat.completions.create(ASK).withResponse();
          return { data, invoked: response.headers.get('x-ms-rai-invoked'), id: response.headers.get('apim-request-id') };
        });
        t.strictSame(whole.through, whole.direct);
        t.match(whole.through, { data: { choices: [{ message: { content: TEXT } }] }, invoked: 'true', id: 'made-up' });
        const raw = await bothWays(house, async (client) => chunksOf(await client.chat.completions.create(STREAM) as AsyncIterable<ChatCompletionChunk>));
        t.strictSame(raw.through, raw.direct);
        t.equal(raw.through.length, raw.direct.length);
        for (const { sentDirect, sentThrough } of [whole, raw]) {
          t.strictSame(sentThrough.map(endToEnd), sentDirect.map(endToEnd), 'the provider gets the same request');
          t.equal(sentThrough[0]!.path, `/openai/deployments/${DEPLOYMENT}/chat/completions?api-version=${VERSION}`);
          t.match(sentThrough[0]!.headers, { 'api-key': 'made-up-key', authorization: undefined });
        }
      }
      t.strictSame((await house.takeClosed(4)).map(({ outcome, route }) => [outcome, route]), Array(4).fill(['completed', '/openai/deployments/{name}/chat/completions']));
    }
  });

  t.test(`${azure.name}: texts differ in the redacted spans alone; offsets into them are gone, verdicts are not`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    for (const asynchronous of [false, true]) {
      for (const seed of [1, 2, 3]) {
        house.upstream.script = answering('Ask ana@example.com or +1 202-555-0143, at noon.', { asynchronous, seed });
        const client = azure.connect(house.weirUrl);
        t.equal((await client.chat.completions.create(ASK)).choices[0]!.message.content, 'Ask [EMAIL] or [PHONE_NUMBER], at noon.');
        const chunks = await chunksOf(await client.chat.completions.create(STREAM) as AsyncIterable<ChatCompletionChunk>);
        const texts = chunks.flatMap(({ choices }) => choices.map(({ delta }) => (delta as { content?: string } | undefined)?.content ?? ''));
        t.equal(texts.join(''), 'Ask [EMAIL] or [PHONE_NUMBER], at noon.');
        const annotated = chunks.filter(({ id }) => id === '').slice(1) as unknown as { choices: { content_filter_offsets: unknown; content_filter_results: unknown }[] }[];
        t.strictSame(annotated.map(({ choices: [choice] }) => [choice!.content_filter_offsets, choice!.content_filter_results]), asynchronous ? [[null, SAFE], [null, SAFE]] : []);
        t.ok(chunks.some((chunk) => (chunk as { obfuscation?: string }).obfuscation === ''), 'padding of a changed text is gone');
      }
    }
    house.upstream.script = answering('Noted.');
    await azure.connect(house.weirUrl).chat.completions.create({ ...ASK, messages: [{ role: 'user', content: 'I am bob@example.com' }] });
    t.match(JSON.parse(house.upstream.received.at(-1)!.body.toString()), { messages: [{ content: 'I am [EMAIL]' }] });
  });

  t.test(`${azure.name}: a blocked prompt is Azure's error, raised once`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const client = azure.connect(house.weirUrl, 'made-up-key', 2);
    for (const stream of [false, true]) {
      const error = await errorOf(client.chat.completions.create({ ...ASK, messages: [{ role: 'user', content: 'What became of Bluebird?' }], stream }));
      t.ok(error instanceof azure.OpenAI.BadRequestError);
      t.match(error, { status: 400, code: 'content_filter', type: 'invalid_request_error', param: 'prompt', error: { status: 400, innererror: { code: 'ResponsibleAIPolicyViolation' } } });
      t.notMatch(JSON.stringify(error.error), /bluebird/i);
    }
    const others: readonly (() => PromiseLike<unknown>)[] = [
      () => client.completions.create({ model: DEPLOYMENT, prompt: 'Bluebird' }), () => client.embeddings.create({ model: DEPLOYMENT, input: 'Bluebird' }), () => client.images.generate({ model: DEPLOYMENT, prompt: 'Bluebird' }),
    ];
    for (const call of others) t.match(await errorOf(call()), { status: 400, code: 'content_filter' });
    t.equal(house.upstream.received.length, 0, 'nothing reached the provider');
    t.equal((await house.takeClosed(5)).length, 5, 'asked once each');
  });

  t.test(`${azure.name}: a blocked answer, by Weir and by Azure`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const client = azure.connect(house.weirUrl);
    house.upstream.script = answering(`Well. ${'And so on. '.repeat(5)}It was called Bluebird and is over.`, { asynchronous: true });
    t.match(await client.chat.completions.create(ASK), { choices: [{ finish_reason: 'content_filter', message: { content: '' } }], usage: USAGE });
    const ours = gather(await chunksOf(await client.chat.completions.create(STREAM) as AsyncIterable<ChatCompletionChunk>));
    t.match(ours, { '0/content': /^Well\. (?:And so on\. )*It was called $/, '0/finish': ['content_filter'] });
    house.upstream.script = answering('It was a dar', { finish: 'content_filter' });
    const theirs = await bothWays(house, async (one) => chunksOf(await one.chat.completions.create({ ...ASK, stream: true })));
    t.strictSame(gather(theirs.through), gather(theirs.direct));
    t.match(gather(theirs.through), { '0/content': 'It was a dar', '0/finish': ['content_filter'] });
    const refusal = { error: { message: 'The response was filtered.', type: null, param: 'prompt', code: 'content_filter', status: 400, innererror: { code: 'ResponsibleAIPolicyViolation', content_filter_result: { hate: { filtered: true, severity: 'high' } } } } };
    house.upstream.script = json(400, refusal);
    const refused = await bothWays(house, async (one) => { const { status, code, error } = await errorOf(one.chat.completions.create(STREAM)); return { status, code, error }; });
    t.strictSame(refused.through, refused.direct);
    t.match(refused.through, { status: 400, code: 'content_filter', error: refusal.error });
    t.strictSame((await house.takeClosed(4)).map(({ outcome }) => outcome), ['blocked', 'blocked', 'completed', 'completed']);
  });

  t.test(`${azure.name}: other endpoints of a deployment`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = json(200, { id: 'cmpl-1', object: 'text_completion', created: 1, model: 'm', prompt_filter_results: PROMPT_VERDICTS, choices: [{ index: 0, text: 'Mail ana@example.com.', finish_reason: 'stop', logprobs: null, content_filter_results: SAFE }] });
    const client = azure.connect(house.weirUrl);
    t.match(await client.completions.create({ model: DEPLOYMENT, prompt: 'Who?' }), { choices: [{ text: 'Mail [EMAIL].', content_filter_results: SAFE }] });
    const vector = Buffer.from(new Float32Array([0.5, -2, 0.25]).buffer).toString('base64');
    house.upstream.script = json(200, { object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: vector }], usage: { prompt_tokens: 3, total_tokens: 3 } });
    t.strictSame((await client.embeddings.create({ model: DEPLOYMENT, input: ['I am bob@example.com'] })).data[0]!.embedding, [0.5, -2, 0.25]);
    house.upstream.script = json(200, { created: 1, data: [{ url: 'https://media.example.com/a.png?se=2030-01-01&sig=4111111111111111', revised_prompt: 'A cat for ana@example.com', content_filter_results: SAFE }] });
    t.match(await client.images.generate({ model: DEPLOYMENT, prompt: 'A cat' }), { data: [{ url: 'https://media.example.com/a.png?se=2030-01-01&sig=4111111111111111', revised_prompt: 'A cat for [EMAIL]' }] });
    house.upstream.script = json(200, { id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'm', output: [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Ask ana@example.com.', annotations: [] }] }] });
    t.match(await client.responses.create({ model: DEPLOYMENT, input: 'I am bob@example.com' }), { output_text: 'Ask [EMAIL].' });
    t.match(await client.responses.retrieve('resp_1'), { output: [{ content: [{ text: 'Ask [EMAIL].' }] }] });
    t.match(JSON.parse(house.upstream.received[3]!.body.toString()), { input: 'I am [EMAIL]' });
    t.strictSame(house.upstream.received.splice(3).map(({ method, path }) => `${method} ${path}`), [`POST /openai/responses?api-version=${VERSION}`, `GET /openai/responses/resp_1?api-version=${VERSION}`]);
    const at = (path: string): string => `/openai/deployments/${DEPLOYMENT}${path}?api-version=${VERSION}`;
    t.strictSame(house.upstream.received.map(({ path }) => path), ['/completions', '/embeddings', '/images/generations'].map(at));
    t.match(JSON.parse(house.upstream.received[1]!.body.toString()), { input: ['I am [EMAIL]'] });
    t.strictSame((await house.takeClosed(5)).map(({ route }) => route), [...['/completions', '/embeddings', '/images/generations'].map((path) => `/openai/deployments/{name}${path}`), '/openai/responses', '/openai/responses/{id}']);
  });

  t.test(`${azure.name}: whose key reaches Azure`, async (t) => {
    const house = await SdkHouse.open(t, 'empty', { upstream: { provider: 'azure', api_key: 'made-up-azure-key' }, tenant: { keys: [{ id: 'k', sha256: keyDigest('weir_made-up') }] } });
    house.upstream.script = answering(TEXT);
    await azure.connect(house.weirUrl, 'weir_made-up').chat.completions.create(ASK);
    t.match(house.upstream.received[0]!.headers, { 'api-key': 'made-up-azure-key', authorization: undefined });
    t.notMatch(house.upstream.received[0]!.rawHeaders.join(), 'weir_made-up');
    t.match(await errorOf(azure.connect(house.weirUrl, 'another-key').chat.completions.create(ASK)), { status: 401, code: 'invalid_api_key' });
    t.equal(house.upstream.received.length, 1);
  });
}

for (const sdk of SDKS) {
  t.test(`${sdk.name}: Azure's paths without deployments`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const { client } = sdk.connect(`${new URL(house.weirUrl).origin}/openai/v1`);
    house.upstream.script = answering('Ask ana@example.com.');
    t.match(await client.chat.completions.create(ASK), { choices: [{ message: { content: 'Ask [EMAIL].' } }] });
    house.upstream.script = json(200, { id: 'c', object: 'text_completion', created: 1, model: 'm', choices: [{ index: 0, text: 'Ask ana@example.com.', finish_reason: 'stop', logprobs: null }] });
    t.match(await client.completions.create({ model: 'm', prompt: 'Who?' }), { choices: [{ text: 'Ask [EMAIL].' }] });
    house.upstream.script = json(200, { object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: [1, 2] }] });
    t.match(await client.embeddings.create({ model: 'm', input: 'ana@example.com', encoding_format: 'float' }), { data: [{ embedding: [1, 2] }] });
    t.strictSame(house.upstream.received.map(({ path }) => path), ['/openai/v1/chat/completions', '/openai/v1/completions', '/openai/v1/embeddings']);
  });
}
