/**
 * Embeddings, images and moderations: where text stands in requests and answers that are records, what passes untouched,
 * and that a blocked one is an error, since nothing in such an answer could say it.
 */
import t from 'tap';
import { WeirError } from '../../src/contract/errors.ts';
import type { Dialect, Piece } from '../../src/dialect/dialect.ts';
import { readJson } from '../../src/dialect/json.ts';
import { openaiEmbeddings } from '../../src/dialect/openai-embeddings.ts';
import { openaiImages } from '../../src/dialect/openai-images.ts';
import { moderationAnswer, MODERATION_INPUTS_MAX, openaiModerations, readModeration } from '../../src/dialect/openai-moderations.ts';
import { createGuard } from '../../src/stream/guard.ts';
import { cutBytes, eventsOf, guarded, STREAM_REQUEST } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';

const DIALECTS = { embeddings: openaiEmbeddings, images: openaiImages, moderations: openaiModerations } as const;
const document = (body: unknown) => readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 100_000 });
const read = (dialect: Dialect, body: unknown) => dialect.readRequest(document(body));
const texts = (pieces: readonly Piece[]): Record<string, string> => Object.fromEntries(pieces.map((p) => [p.key, p.text]));
const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));

t.test('embeddings: texts are segments, token numbers are opaque', async (t) => {
  const reading = read(openaiEmbeddings, { model: 'm', input: ['one', '', 'two'], encoding_format: 'base64', dimensions: 256, user: 'ana', input_type: 'query', instruction: 'look for it' });
  t.same(Object.fromEntries(reading.segments.map((s) => [s.path, s.content])), { 'input[0]': 'one', 'input[2]': 'two', user: 'ana', instruction: 'look for it' });
  t.match(reading, { opaque: [], stream: false, model: 'm', userId: 'ana', parameters: { dimensions: 256 } });
  for (const input of [[1, 2], [[1, 2], [3]], ['text', [1]]]) t.same(read(openaiEmbeddings, { input }).opaque, [{ carrier: 'input', kind: 'tokens' }]);
  t.same(read(openaiEmbeddings, { input: 'text' }).segments.map(({ content }) => content), ['text']);
  const asked = read(openaiEmbeddings, { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'one' }, { type: 'image_url', image_url: { url: 'https://a.example.com/a.png' } }] }] });
  t.same([asked.segments.filter(({ contentType }) => contentType === 'text').map(({ content }) => content), asked.opaque.map(({ kind }) => kind)], [['one'], ['remote_url']]);
  for (const body of [[], 'x', {}, { input: 5 }, { input: null }]) t.throws(() => read(openaiEmbeddings, body), { code: 'invalid_request' });
});

t.test('embeddings: vectors are no text, whatever their form', async (t) => {
  const one = openaiEmbeddings.createReader(STREAM_REQUEST);
  const { pieces, closes } = one.readBody({ id: 'e', object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: [0.1, -2] }, { object: 'embedding', index: 1, embedding: 'AAAA/+8=' }, { embedding: 'a sentence in its place' }], warning: 'shortened', usage: { prompt_tokens: 3, total_tokens: 3 } });
  t.same(texts(pieces), { 'body/data/2/embedding': 'a sentence in its place', 'body/warning': 'shortened' });
  t.same(closes, ['']);
  t.same([one.usage(), one.facts()], [{ inputTokens: 3, outputTokens: undefined }, { responseId: 'e', model: 'm', finishReasons: [] }]);
  t.same(texts(openaiEmbeddings.createReader(STREAM_REQUEST).readBody({ error: { message: 'no such model', code: 5 } }).pieces), { 'body/error/message': 'no such model' });
  t.same([texts(one.readBody('odd').pieces), texts(one.readEvent(['odd']).pieces)], [{ body: 'odd' }, { 'event/0': 'odd' }]);
});

t.test('images: prompts are text; pictures are opaque where they come, and pass where they go', async (t) => {
  const reading = read(openaiImages, { model: 'm', prompt: 'a cat', n: 2, size: '1024x1024', quality: 'hd', style: 'vivid', background: 'auto', moderation: 'low', output_format: 'png', response_format: 'b64_json', user: 'ana', stream: true, partial_images: 2, negative_prompt: 'a dog' });
  t.same(Object.fromEntries(reading.segments.map((s) => [s.path, s.content])), { prompt: 'a cat', user: 'ana', negative_prompt: 'a dog' });
  t.match(reading, { opaque: [], stream: true, model: 'm', userId: 'ana', parameters: { n: 2, partial_images: 2 } });
  const edit = read(openaiImages, { prompt: 'a hat', images: [{ image_url: 'data:image/png;base64,AAAA' }, { file_id: 'file-1' }, { image_url: 'https://a.example.com/a.png' }], mask: { image_url: 'data:image/png;base64,AAAA' } });
  t.same([edit.opaque.map(({ kind }) => kind), edit.segments.filter(({ contentType }) => contentType === 'text').map(({ content }) => content)], [['image', 'reference', 'remote_url', 'image'], ['a hat']]);
  t.same(read(openaiImages, { image: { url: 'https://a.example.com/a.png', type: 'image_url' } }).opaque.map(({ kind }) => kind), ['remote_url'], 'a variation has no prompt');
  for (const body of [[], 'x', {}, { prompt: 5 }, { prompt: ['a'], image: 'AAAA' }]) t.throws(() => read(openaiImages, body), { code: 'invalid_request' });
  const one = openaiImages.createReader(STREAM_REQUEST);
  const pictures = { created: 1, background: 'opaque', output_format: 'png', quality: 'high', size: '1024x1024', data: [
    { b64_json: 'AAAA/+8=', revised_prompt: 'a small cat' }, { url: 'https://media.example.com/a.png?se=2030-01-01T00%3A00%3A00Z&sig=4111111111111111', mime_type: 'image/png' },
    { url: 'an address that is a sentence', content_filter_results: { hate: { filtered: false, severity: 'safe' } }, prompt_filter_results: { sexual: { filtered: false, severity: 'low' }, note: 'odd' } },
  ], usage: { input_tokens: 3, output_tokens: 9 } };
  t.same(texts(one.readBody(pictures).pieces), { 'body/data/0/revised_prompt': 'a small cat', 'body/data/2/url': 'an address that is a sentence', 'body/data/2/prompt_filter_results/note': 'odd' });
  t.same(one.usage(), { inputTokens: 3, outputTokens: 9 });
});

t.test('images: a streamed picture passes as it comes; what is text in it is screened', async (t) => {
  const event = (type: string, more: object): Buffer => Buffer.from(`event: ${type}\ndata: ${JSON.stringify({ type, created_at: 1, size: 'auto', quality: 'high', background: 'auto', output_format: 'png', b64_json: 'AAAA/+8='.repeat(50), ...more })}\n\n`);
  const stream = (note: string): Buffer => Buffer.concat([event('image_generation.partial_image', { partial_image_index: 0 }), event('image_generation.completed', { usage: { input_tokens: 1, output_tokens: 2 }, revised_prompt: note })]);
  for (const mean of [3, 100, 5000]) t.ok(guarded(redact, cutBytes(stream('a cat'), mean, mean), { dialect: openaiImages }).bytes.equals(stream('a cat')), `cut ${mean}`);
  t.match(eventsOf(guarded(redact, [stream('a cat for ana@example.com')], { dialect: openaiImages }).bytes)[1], { type: 'image_generation.completed', revised_prompt: 'a cat for [EMAIL]' });
  const { bytes, blocked } = guarded(block, [stream('a cat for ana@example.com')], { dialect: openaiImages });
  t.equal(blocked, true);
  t.match(eventsOf(bytes), [{ type: 'image_generation.partial_image' }, { error: { message: 'the policy blocked the answer', type: 'invalid_request_error', code: 'content_filter' } }]);
});

t.test('moderations: the text is there to be looked at', async (t) => {
  for (const input of ['a', ['a', 'b'], [{ type: 'text', text: 'a' }, { type: 'image_url', image_url: { url: 'https://a.example.com/a.png' } }]]) t.match(read(openaiModerations, { model: 'm', input }), { observed: true, stream: false, model: 'm', segments: [{ content: 'a' }] });
  t.same(read(openaiModerations, { input: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }).opaque.map(({ kind }) => kind), ['image']);
  for (const body of [[], 'x', {}, { input: 5 }]) t.throws(() => read(openaiModerations, body), { code: 'invalid_request' });
  const verdict = { id: 'modr-1', model: 'omni-moderation-latest', results: [{ flagged: true, categories: { 'self-harm/intent': true }, category_scores: { violence: 0.5 }, category_applied_input_types: { 'self-harm/intent': ['text'], violence: ['image'], 'new category': ['a word'] } }] };
  t.same(openaiModerations.createReader(STREAM_REQUEST).readBody(verdict).pieces.map(({ text }) => text), ['a word']);
});

t.test('moderations answered here: inputs as they are judged, and the answer', async (t) => {
  const inputs = (input: unknown) => readModeration(document({ input })).inputs.map((segments) => segments.map(({ path, carrier, contentType, content }) => [path, carrier, contentType, content]));
  t.same(inputs('a'), [[['input', 'input', 'text', 'a']]]);
  t.same(inputs(['a', '']), [[['input[0]', 'input[]', 'text', 'a']], [['input[1]', 'input[]', 'text', '']]]);
  t.same(inputs([{ type: 'text', text: 'a' }, { type: 'image_url', image_url: { url: 'u' } }]), [[['input[0].text', 'input[].text', 'text', 'a'], ['input[1].image_url.url', 'input[].image_url.url', 'image', 'u']]]);
  t.equal(readModeration(document({ input: 'a', model: 'm' })).model, 'm');
  t.equal(inputs(Array(MODERATION_INPUTS_MAX).fill('a')).length, MODERATION_INPUTS_MAX);
  for (const wrong of [undefined, {}, [], Array(MODERATION_INPUTS_MAX + 1).fill('a'), ['a', 5], [{ type: 'text', text: 5 }], [{ type: 'image_url', image_url: {} }], [{ type: 'image_url' }], [{ type: 'file' }]]) t.throws(() => inputs(wrong), { code: 'invalid_request' });
  const answer = moderationAnswer('r', [new Map([['hate', { score: 0.5, flagged: true, judged: ['text'] }], ['violence', { score: 0.1, flagged: false, judged: ['text', 'image'] }]]), new Map()]) as { readonly results: readonly any[] };
  t.match(answer, { id: 'modr-r', model: 'weir', results: [{ flagged: true, categories: { hate: true, violence: false }, category_scores: { hate: 0.5, violence: 0.1 }, category_applied_input_types: { violence: ['text', 'image'] } }, { flagged: false }] });
  t.strictSame([answer.results[0].categories.sexual, answer.results[1].category_scores.hate, answer.results[1].category_applied_input_types.hate], [null, null, []]);
});

for (const [name, dialect] of Object.entries(DIALECTS)) {
  t.test(`${name}: nothing in an answer can say that it was blocked, so an error does`, async (t) => {
    const one = dialect.createReader(STREAM_REQUEST);
    t.same([one.canCarry('body/data/0/revised_prompt'), one.dependents({}, 'body/a')], [false, []]);
    t.throws(() => one.textEvent('body/a', 'x'), /no event carries/);
    t.match(eventsOf(one.errorEvent('upstream_unreachable', 'gone', 'r')), [{ error: { message: 'gone', code: 'upstream_unreachable' } }]);
    t.match(eventsOf(one.blockedStream('Sorry.', new Set())), [{ error: { message: 'Sorry.', code: 'content_filter' } }]);
    t.throws(() => one.blockedBody({}, undefined), { code: 'content_filter', status: 400, message: /^the policy blocked the answer; / });
    t.throws(() => one.blockedBody({}, 'Sorry.'), { code: 'content_filter', message: /^Sorry\.; / });
    t.throws(() => dialect.fallback(STREAM_REQUEST, 'Sorry.', 'r', 0), { code: 'content_filter', message: /^Sorry\.; / });
    t.match(JSON.parse(dialect.error('content_filter', 'blocked', 'r').body.toString()), { error: { param: name === 'images' ? 'prompt' : 'input', code: 'content_filter', type: 'invalid_request_error' } });

    let end: { blocked: boolean; error?: WeirError } | undefined;
    const guard = createGuard({
      dialect, request: STREAM_REQUEST, plan: block.forOutput({}), requestId: 'r', status: 200, mediaType: 'application/json', limits: { eventBytesMax: 1000, responseBytesMax: 1000 },
      onBytes: () => t.fail('nothing leaves'), onDone: (given) => { end = given; },
    });
    guard.feed(Buffer.from('{"note":"for ana@example.com"}'));
    guard.end();
    t.match(end, { blocked: true, error: { code: 'content_filter' } });
    t.equal(guard.summary().decision.action, 'block');
  });

  t.test(`${name}: recorded answers leave as the bytes they came in`, { skip: skipReason }, async (t) => {
    const all = recordings(name);
    const different = [planOf(EMPTY_POLICY), redact].flatMap((plan) => all.flatMap(({ file, bytes, status }, i) =>
      (guarded(plan, cutBytes(bytes, i, 400), { dialect, status, mediaType: 'application/json' }).bytes.equals(bytes) ? [] : [file])));
    t.same(different, [], `${all.length} answers`);
  });
}

t.test('a fault of a dialect is no block', async (t) => {
  const broken: Dialect = { ...openaiEmbeddings, createReader: () => Object.assign(openaiEmbeddings.createReader(STREAM_REQUEST), { blockedBody: () => { throw new TypeError('made up'); } }) };
  t.throws(() => guarded(block, [Buffer.from('{"note":"for ana@example.com"}')], { dialect: broken, mediaType: 'application/json' }), TypeError);
});
