/**
 * `moderations.create` of the official SDKs, answered by Weir with the configured classifiers: OpenAI's shape, one result
 * for each text, one for all parts, null for what nobody judged. No policy is applied and no provider asked.
 */
import t, { type Test } from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import { MODERATION_CATEGORIES, type ClassifierResult } from '../../src/contract/screening.ts';
import { MODERATION_INPUTS_MAX } from '../../src/dialect/openai-moderations.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { errorOf, SDKS, type SdkClient } from '../helpers/sdk.ts';

const WORDS: Readonly<Record<string, string>> = { grumble: 'harassment', 'grumble-loudly': 'harassment/threatening', brawl: 'violence' };

/** Knows three words, and no images. `hang` never answers. */
const words: Classifier = {
  id: 'words', version: '1', directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'slow', needsContext: false,
  categories: Object.values(WORDS).map((id) => ({ id, definition: id })),
  classify({ content }) {
    if (content === 'hang') return new Promise(() => {});
    return Object.entries(WORDS).flatMap(([word, category]): ClassifierResult[] => (content.split(' ').includes(word) ? [{ classifier_id: 'words', category, score: 0.75, label: category, spans: [], latency_ms: 0 }] : []));
  },
};

/** Blocks whatever it is asked about, which nobody asks it here. */
const plan = compilePlan(requirePolicy('policy: p\ndefault_action: block\nrules: []\n', 'p.yaml'), [words], { file: 'p.yaml', deadlineMs: 500 });

async function open(t: Test, options: ProxyOptions = {}): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ plan, ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

const JUDGED = Object.values(WORDS);
const PICTURE = { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AAAA' } };

for (const sdk of SDKS) {
  t.test(`${sdk.name}: a text, texts, parts`, async (t) => {
    const proxy = await open(t);
    const { client }: SdkClient = sdk.connect(`http://127.0.0.1:${proxy.port}/v1`);
    const { data, response } = await client.moderations.create({ model: 'omni-moderation-latest', input: 'they grumble all day' }).withResponse();
    t.match(data, { id: /^modr-/, model: 'weir' });
    t.same(Object.keys(data).sort(), ['id', 'model', 'results']);
    const [result, ...more] = data.results;
    t.same(more, []);
    t.equal(result!.flagged, true);
    for (const map of [result!.categories, result!.category_scores, result!.category_applied_input_types]) t.same(Object.keys(map), MODERATION_CATEGORIES);
    t.match(result, { categories: { harassment: true, violence: false }, category_scores: { harassment: 0.75, violence: 0 }, category_applied_input_types: { harassment: ['text'], violence: ['text'] } });
    for (const category of MODERATION_CATEGORIES.filter((one) => !JUDGED.includes(one))) {
      t.strictSame([result!.categories[category], result!.category_scores[category], result!.category_applied_input_types[category]], [null, null, []], `${category}: nobody judged it`);
    }
    t.same(response.headers.get('x-weir-degraded')!.split(','), MODERATION_CATEGORIES.filter((one) => !JUDGED.includes(one)));

    const texts = await client.moderations.create({ input: ['fine', 'a brawl', 'grumble-loudly'] });
    t.same(texts.results.map(({ flagged }) => flagged), [false, true, true]);
    t.match(texts.results[2], { categories: { 'harassment/threatening': true, harassment: false } });

    const parts = await client.moderations.create({ input: [{ type: 'text', text: 'a brawl' }, PICTURE] }).withResponse();
    t.match(parts.data.results, [{ flagged: true, categories: { violence: true }, category_applied_input_types: { violence: ['text'] } }]);
    t.equal(parts.data.results.length, 1);
    t.same(parts.response.headers.get('x-weir-degraded')!.split(',').sort(), [...MODERATION_CATEGORIES].sort(), 'nobody saw the picture');
    const picture = await client.moderations.create({ input: [PICTURE] });
    t.strictSame([...new Set([...Object.values(picture.results[0]!.categories), ...Object.values(picture.results[0]!.category_scores)])], [null]);

    const late = await client.moderations.create({ input: 'hang' });
    t.match(late.results, [{ flagged: false, categories: { violence: null }, category_scores: { violence: null }, category_applied_input_types: { violence: [] } }]);

    t.equal(proxy.upstream.received.length, 0, 'no provider was asked');
    const record = await proxy.record();
    t.match(record, { route: '/v1/moderations', outcome: 'completed', status: 200, model: 'omni-moderation-latest', input: { action: 'allow', coverage: { screened: ['input'] } } });
    t.notOk('policy' in record && record.policy !== undefined, 'no policy decided');
    t.match((await proxy.record(5)).input!.classifier_results, [{ classifier_id: 'words', unknown: 'timeout' }]);
  });
}

const [{ connect }] = SDKS;

t.test('what is refused, and at which limit', async (t) => {
  const proxy = await open(t, { limits: { body_bytes_max: 4_000 } });
  const { client } = connect(`http://127.0.0.1:${proxy.port}/v1`);
  const judge = (input: unknown) => client.moderations.create({ input: input as string });
  t.equal((await judge(Array(MODERATION_INPUTS_MAX).fill('a'))).results.length, MODERATION_INPUTS_MAX);
  t.match(await errorOf(judge(Array(MODERATION_INPUTS_MAX + 1).fill('a'))), { status: 400, code: 'invalid_request', message: /101 inputs in one request, the limit is 100/ });
  for (const wrong of [[], 5, null, [5], ['a', { type: 'text', text: 'b' }], [{ type: 'text' }], [{ type: 'audio', text: 'x' }], [{ type: 'image_url', image_url: 'x' }]]) t.match(await errorOf(judge(wrong)), { status: 400, code: 'invalid_request' }, JSON.stringify(wrong));
  const around = JSON.stringify({ input: '' }).length;
  t.equal((await judge('x'.repeat(4_000 - around))).results.length, 1);
  t.match(await errorOf(judge('x'.repeat(4_001 - around))), { status: 413, code: 'body_too_large' });
});

t.test('a tenant without a policy is answered nothing', async (t) => {
  const proxy = await open(t, { tenants: [{ policy: 'missing' }] });
  t.match(await errorOf(connect(`http://127.0.0.1:${proxy.port}/v1`).client.moderations.create({ input: 'a' })), { status: 503, code: 'no_policy' });
});
