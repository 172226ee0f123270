/**
 * Audio as the official SDKs see it through Weir: forms reach the provider field by field as they were given, transcripts
 * differ in the redacted spans alone, whole, in subtitles and as a stream, and recordings come back byte for byte.
 */
import t from 'tap';
import { toFile } from 'openai';
import { toFile as toFile4 } from 'openai-4';
import { SDKS, SdkHouse, askBothWays, errorOf, type SdkClient } from '../helpers/sdk.ts';
import { head, json, LAST_CHUNK, SSE_HEAD, chunk, type ReceivedRequest, type Script } from '../helpers/upstream.ts';

const WAV = Buffer.concat([Buffer.from('RIFF'), Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.from('\r\n--x')]);
const MP3 = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0x64]), Buffer.from('ana@example.com'), Buffer.alloc(100_000, 0x5a)]);

type Side = 'planted' | 'redacted';
const SAID: Readonly<Record<Side, readonly string[]>> = { planted: ['My card', ' is 4111', ' 1111 1111 1', '111, write to ana', '@example.com', '.'], redacted: ['My card', ' is [CREDIT_CARD]', '', ', write to [EMAIL]', '', '.'] };
const textOf = (side: Side): string => SAID[side].join('');

const verbose = (side: Side): object => ({
  task: 'transcribe', language: 'english', duration: 4.5, text: textOf(side),
  segments: SAID[side].map((text, id) => ({ id, seek: 0, start: id, end: id + 1, text, tokens: side === 'planted' ? [id] : [], temperature: 0, avg_logprob: -0.2, compression_ratio: 1, no_speech_prob: 0 })),
  words: side === 'planted' ? textOf(side).split(' ').map((word, i) => ({ word, start: i, end: i + 1 })) : [],
  usage: { type: 'duration', seconds: 5 },
});
const srt = (side: Side): string => `1\n00:00:00,000 --> 00:00:02,000\n${side === 'planted' ? 'My card is 4111 1111' : 'My card is [CREDIT_CARD]'}\n\n2\n00:00:02,000 --> 00:00:04,000\n${side === 'planted' ? '1111 1111, write to ana@example.com.' : ', write to [EMAIL].'}\n\n`;

const stream = (side: Side): Script => (socket) => {
  const event = (data: object): string => `data: ${JSON.stringify(data)}\r\n\r\n`;
  const logprobs = side === 'planted' ? [{ token: 'My', logprob: -0.1, bytes: [77, 121] }] : [];
  socket.write(SSE_HEAD);
  for (const delta of SAID[side]) socket.write(chunk(event({ type: 'transcript.text.delta', delta })));
  socket.write(chunk(`${event({ type: 'transcript.text.done', text: textOf(side), logprobs, usage: { type: 'tokens', input_tokens: 3, output_tokens: 4, total_tokens: 7 } })}data: [DONE]\r\n\r\n`));
  socket.write(LAST_CHUNK);
};
const bytes = (type: string, body: Buffer | string): Script => (socket) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-type': type, 'content-length': String(Buffer.byteLength(body)) })), Buffer.from(body)]));

/** The fields of a form, as a server reads them. */
async function fieldsOf({ headers, body }: ReceivedRequest): Promise<unknown> {
  const form = await new Response(body, { headers: { 'content-type': headers['content-type']! } }).formData();
  return Promise.all([...form.entries()].map(async ([name, value]) => [name, typeof value === 'string' ? value : { name: value.name, type: value.type, base64: Buffer.from(await value.arrayBuffer()).toString('base64') }]));
}

for (const sdk of SDKS) {
  const file = () => (sdk.name === 'openai 4' ? toFile4 as unknown as typeof toFile : toFile)(WAV, 'call é.wav', { type: 'audio/wav' });
  const transcribe = (more: object = {}) => async ({ client }: SdkClient): Promise<unknown> => client.audio.transcriptions.create({ file: await file(), model: 'whisper-1', ...more });
  const listen = (more: object = {}) => async ({ client }: SdkClient): Promise<unknown> => {
    const events: unknown[] = [];
    for await (const event of await client.audio.transcriptions.create({ file: await file(), model: 'gpt-4o-transcribe', stream: true, ...more })) events.push(event);
    return events;
  };

  t.test(`${sdk.name}: the provider gets the form as it was given`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = json(200, { text: 'Fine.' });
    const wish = { prompt: 'line one\nline two, é', temperature: 0.5, language: 'en', response_format: 'verbose_json', timestamp_granularities: ['word', 'segment'], chunking_strategy: { type: 'server_vad', threshold: 0.5 }, include: ['logprobs'] };
    const { direct, through, sentDirect, sentThrough } = await askBothWays(house, sdk, transcribe(wish));
    t.strictSame(through, direct);
    t.strictSame(await fieldsOf(sentThrough[0]!), await fieldsOf(sentDirect[0]!));
    t.equal(sentThrough[0]!.body.length, Number(sentThrough[0]!.headers['content-length']));
    house.upstream.received.length = 0;
    await transcribe({ ...wish, prompt: 'with ana@example.com' })(sdk.connect(house.weirUrl));
    const planted = (await fieldsOf(house.upstream.received[0]!)) as [string, unknown][];
    t.same(planted.find(([name]) => name === 'prompt'), ['prompt', 'with [EMAIL]']);
    t.strictSame(planted.filter(([name]) => name !== 'prompt'), ((await fieldsOf(sentDirect[0]!)) as [string, unknown][]).filter(([name]) => name !== 'prompt'), 'and nothing else of it changes');
    house.upstream.script = json(200, { text: 'To ana@example.com.' });
    t.match(await sdk.connect(house.weirUrl).client.audio.translations.create({ file: await file(), model: 'whisper-1' }), { text: 'To [EMAIL].' });
  });

  t.test(`${sdk.name}: transcripts differ in the redacted spans alone`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const cases: readonly (readonly [what: string, script: (side: Side) => Script, call: (client: SdkClient) => Promise<unknown>])[] = [
      ['JSON', (side) => json(200, { text: textOf(side), usage: { type: 'tokens', input_tokens: 1, output_tokens: 2, total_tokens: 3 } }), transcribe()],
      ['verbose JSON', (side) => json(200, verbose(side)), transcribe({ response_format: 'verbose_json' })],
      ['text', (side) => bytes('text/plain; charset=utf-8', `${textOf(side)}\n`), transcribe({ response_format: 'text' })],
      ['srt', (side) => bytes('text/plain; charset=utf-8', srt(side)), transcribe({ response_format: 'srt' })],
    ];
    for (const [what, script, call] of cases) {
      house.upstream.script = script('redacted');
      const expected = await call(sdk.connect(house.directUrl));
      t.match(JSON.stringify(expected), '[CREDIT_CARD]');
      t.strictSame(await call(sdk.connect(house.weirUrl)), expected, `${what}, where nothing is found`);
      house.upstream.script = script('planted');
      t.strictSame(await call(sdk.connect(house.weirUrl)), expected, what);
    }
  });

  t.test(`${sdk.name}: a stream of deltas and the whole text`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = stream('redacted');
    const { direct, through } = await askBothWays(house, sdk, listen());
    t.strictSame(through, direct, 'the same without a match');
    house.upstream.script = stream('planted');
    const got = (await listen()(sdk.connect(house.weirUrl))) as { type: string; delta?: string; text?: string; logprobs?: unknown }[];
    t.equal(got.map(({ delta }) => delta ?? '').join(''), textOf('redacted'));
    t.match(got.at(-1), { type: 'transcript.text.done', text: textOf('redacted'), logprobs: [], usage: { total_tokens: 7 } });
    t.match(await house.takeClosed(2), [{ stream: true, outcome: 'completed' }, { model: 'gpt-4o-transcribe', output: { action: 'redact', redactions: 2 } }]);
  });

  t.test(`${sdk.name}: what is blocked is an error`, async (t) => {
    const house = await SdkHouse.open(t, 'block');
    const client = sdk.connect(house.weirUrl, 2);
    t.match(await errorOf(transcribe({ prompt: 'About Bluebird.' })(client)), { status: 400, code: 'content_filter' });
    t.match(await errorOf(client.client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input: 'Bluebird!' })), { status: 400, code: 'content_filter' });
    t.equal(house.upstream.received.length, 0);
    house.upstream.script = json(200, { text: 'Bluebird sings.' });
    t.match(await errorOf(transcribe()(client)), { status: 400, code: 'content_filter' });
    house.upstream.script = (socket) => void socket.write(SSE_HEAD + chunk(`data: ${JSON.stringify({ type: 'transcript.text.delta', delta: 'Blue' })}\r\n\r\ndata: ${JSON.stringify({ type: 'transcript.text.delta', delta: 'bird' })}\r\n\r\n`).toString());
    t.match(await errorOf(listen()(client)), { code: 'content_filter' }, 'in a stream');
    t.match(await house.takeClosed(4), [{ outcome: 'blocked' }, { outcome: 'blocked' }, { outcome: 'blocked', output: { action: 'block' } }, { outcome: 'blocked' }]);
  });

  t.test(`${sdk.name}: speech comes back byte for byte`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    const speak = (input: string) => async ({ client }: SdkClient): Promise<Buffer> => Buffer.from(await (await client.audio.speech.create({ model: 'tts-1', voice: 'alloy', input, instructions: 'Softly.' })).arrayBuffer());
    for (const type of ['audio/mpeg', 'application/octet-stream']) {
      house.upstream.script = bytes(type, MP3);
      const { through, sentThrough, sentDirect } = await askBothWays(house, sdk, speak('Hello'));
      t.ok(through.equals(MP3), type);
      t.same(sentThrough[0]!.body, sentDirect[0]!.body);
    }
    await speak('Call ana@example.com')(sdk.connect(house.weirUrl));
    t.match(JSON.parse(house.upstream.received.at(-1)!.body.toString()), { input: 'Call [EMAIL]', instructions: 'Softly.' });
    const failing = json(429, { error: { message: 'slow down', type: 'rate_limit_error', code: 'rate_limit_exceeded', param: null } });
    house.upstream.script = failing;
    t.match(await errorOf(speak('Hello')(sdk.connect(house.weirUrl))), { status: 429, code: 'rate_limit_exceeded' });
    t.match((await house.takeClosed(4))[0], { output: { coverage: { opaque: [{ carrier: 'body', kind: 'audio', treatment: 'pass' }] } }, response_bytes: MP3.length });
  });

  t.test(`${sdk.name}: pictures to edit`, async (t) => {
    const house = await SdkHouse.open(t, 'redact');
    house.upstream.script = json(200, { created: 1, data: [{ b64_json: 'AAAA', revised_prompt: 'A cat.' }] });
    const edit = (prompt: string) => async ({ client }: SdkClient): Promise<unknown> => client.images.edit({ model: 'gpt-image-1', image: [await file(), await file()], prompt, n: 1 });
    const { direct, through, sentDirect, sentThrough } = await askBothWays(house, sdk, edit('a cat'));
    t.strictSame(through, direct);
    t.strictSame(await fieldsOf(sentThrough[0]!), await fieldsOf(sentDirect[0]!));
    await edit('a cat for ana@example.com')(sdk.connect(house.weirUrl));
    t.match(((await fieldsOf(house.upstream.received.at(-1)!)) as [string, unknown][]).find(([name]) => name === 'prompt'), ['prompt', 'a cat for [EMAIL]']);
    const variation = await sdk.connect(house.weirUrl).client.images.createVariation({ image: await file(), model: 'dall-e-2' });
    t.match(variation, { data: [{ b64_json: 'AAAA' }] });
  });
}
