/**
 * The openai-moderation plugin against a service with OpenAI's shape: what it asks as the official SDK types it, windows,
 * images, categories that were not applied, and every way to misbehave.
 */
import type OpenAI from 'openai';
import t, { type Test } from 'tap';
import { WINDOWS_MAX } from '../../plugins/http/windows.ts';
import createOpenAiModeration, { WINDOW_CHARS } from '../../plugins/openai-moderation/index.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { ask, checkFaults, checkReadme, ClassifierServer, scores, textRequest } from '../helpers/classifier-server.ts';

const IMAGE_TOO: readonly string[] = ['self-harm', 'self-harm/intent', 'self-harm/instructions', 'sexual', 'violence', 'violence/graphic'];
const ALL = [
  'harassment', 'harassment/threatening', 'hate', 'hate/threatening', 'illicit', 'illicit/violent', 'self-harm', 'self-harm/intent', 'self-harm/instructions',
  'sexual', 'sexual/minors', 'violence', 'violence/graphic',
] as const;
type Name = (typeof ALL)[number];

/** One result as the official SDK types it: nothing may be missing. */
function moderation(scored: Partial<Record<Name, number>>, type: 'text' | 'image' = 'text'): OpenAI.Moderation {
  const of = <Value>(value: (name: Name) => Value) => Object.fromEntries(ALL.map((name) => [name, value(name)])) as Record<Name, Value>;
  return {
    flagged: Object.values(scored).some((score) => score > 0.5),
    categories: of((name) => (scored[name] ?? 0) > 0.5),
    category_scores: of((name) => scored[name] ?? 0.001),
    category_applied_input_types: of((name) => (type === 'text' || IMAGE_TOO.includes(name) ? [type] : [])) as OpenAI.Moderation['category_applied_input_types'],
  };
}

const answerOf = (...results: OpenAI.Moderation[]): OpenAI.ModerationCreateResponse => ({ id: 'modr-1', model: 'omni-moderation-latest', results });

function open(t: Test, server: ClassifierServer, options: Record<string, unknown> = {}): Classifier {
  const classifier = createOpenAiModeration({ id: 'openai', url: `${server.origin}/v1/moderations`, api_key: 'sk-made-up', ...options });
  t.teardown(() => classifier.close?.());
  return classifier;
}

const allBut = (score: number | string, more: Record<string, number | string>): Record<string, number | string> => ({ ...Object.fromEntries(ALL.map((name) => [name, score])), ...more });

t.test('a text, with thirteen scores', async (t) => {
  const server = await ClassifierServer.start(t);
  const openai = open(t, server);
  server.answer = answerOf(moderation({ 'harassment/threatening': 0.91, violence: 0.4 }));
  t.same(scores(await ask(openai, 'made up')), allBut(0.001, { 'harassment/threatening': 0.91, violence: 0.4 }));
  t.same(server.body(), { model: 'omni-moderation-latest', input: ['made up'] } satisfies OpenAI.ModerationCreateParams);
  t.match(server.received[0], { path: '/v1/moderations', headers: { authorization: 'Bearer sk-made-up' } });
  t.same(openai.categories.map(({ id }) => id), ALL);
  const few = open(t, server, { categories: ['violence', 'hate'], model: 'other' });
  t.same(scores(await ask(few, 'made up')), { hate: 0.001, violence: 0.4 });
  t.match(server.body(), { model: 'other' });
});

t.test('rules name the categories as OpenAI writes them', async (t) => {
  const server = await ClassifierServer.start(t);
  const openai = open(t, server);
  const rules = ALL.map((name, index) => `  - { id: r${index}, priority: ${index}, direction: both, when: { score: openai.${name}, gte: 0.5 }, action: block }`).join('\n');
  t.equal(requirePolicy(`policy: p\ndefault_action: allow\nrules:\n${rules}\n`, 'p.yaml', [openai]).rules.length, ALL.length);
});

t.test('a long text goes in windows, in one call, and the worst counts', async (t) => {
  const server = await ClassifierServer.start(t);
  const openai = open(t, server);
  server.answer = ({ body }: { readonly body: Buffer }) => {
    const { input } = JSON.parse(body.toString()) as { readonly input: readonly string[] };
    return answerOf(...input.map((text) => moderation(text.includes('bluebird') ? { hate: 0.8 } : { illicit: 0.3 })));
  };
  const long = 'nothing to see here. '.repeat(Math.ceil((WINDOW_CHARS * 2) / 21));
  t.same(scores(await ask(openai, `${long}bluebird`)), allBut(0.001, { hate: 0.8, illicit: 0.3 }));
  t.equal((server.body().input as readonly string[]).length, 3);
  t.equal(server.received.length, 1);
  t.same(scores(await ask(openai, 'x'.repeat(WINDOW_CHARS * WINDOWS_MAX))), allBut('unsupported', {}));
  t.equal(server.received.length, 1);
});

t.test('images: what the model did not apply is unknown', async (t) => {
  const server = await ClassifierServer.start(t);
  const openai = open(t, server);
  server.answer = answerOf(moderation({ violence: 0.9, hate: 0 }, 'image'));
  const expected = Object.fromEntries(ALL.map((name) => [name, IMAGE_TOO.includes(name) ? 0.001 : 'unsupported']));
  t.same(scores(await ask(openai, textRequest('/9j/4AAQ', { content_type: 'image' }))), { ...expected, violence: 0.9 });
  t.same(server.body(), { model: 'omni-moderation-latest', input: [{ type: 'image_url', image_url: { url: 'data:image/jpeg;base64,/9j/4AAQ' } }] } satisfies OpenAI.ModerationCreateParams);
  t.same(scores(await ask(openai, textRequest('made up', { content_type: 'image' }))), allBut('unsupported', {}));
  const small = open(t, server, { image_chars_max: 100 });
  t.equal(scores(await ask(small, textRequest(`/9j/${'A'.repeat(96)}`, { content_type: 'image' }))).violence, 0.9, 'an image at the limit is sent');
  t.equal(scores(await ask(small, textRequest(`/9j/${'A'.repeat(97)}`, { content_type: 'image' }))).violence, 'unsupported');
  t.equal(server.received.length, 2);
});

t.test('older and other models', async (t) => {
  const server = await ClassifierServer.start(t);
  const openai = open(t, server, { api_key: '' });
  const { 'illicit/violent': _, ...without } = moderation({}).category_scores;
  server.answer = { results: [{ category_scores: { ...without, illicit: null } }] };
  t.same(scores(await ask(openai, 'made up')), allBut(0.001, { illicit: 'unsupported', 'illicit/violent': 'unsupported' }));
  t.notOk('authorization' in server.received[0].headers, 'a service in the house may need no key');
});

t.test('whatever the service does, scores are unknown with a reason', async (t) => {
  const server = await ClassifierServer.start(t);
  const openai = open(t, server);
  await checkFaults(t, server, openai, answerOf(moderation({})));
  const worded = { category_scores: { ...moderation({}).category_scores, hate: 'high' } };
  const miscounted = [{}, answerOf(), answerOf(moderation({}), moderation({}))];
  for (const answer of [...miscounted, { results: [{}] }, { results: ['x'] }, { results: [worded] }, answerOf(moderation({ hate: 1.7 })), answerOf(moderation({ hate: -1 }))]) {
    server.answer = answer;
    t.same(scores(await ask(openai, 'made up')), allBut('error', {}), JSON.stringify(answer).slice(0, 60));
  }
});

t.test('README.md says what there is', (t) => checkReadme(t, 'openai-moderation', createOpenAiModeration));

t.test('wrong options are refused, by name', async (t) => {
  const cases: readonly [options: Record<string, unknown>, message: RegExp][] = [
    [{}, /^api_key: missing; write api_key: \$\{OPENAI_API_KEY\}/],
    [{ api_key: 'a\nb' }, /^api_key: expected a key/],
    [{ api_key: 'k', categories: ['profanity'] }, /^categories: expected some of harassment/],
    [{ api_key: 'k', content_types: ['audio'] }, /^content_types: expected some of text, image, got audio/],
    [{ api_key: 'k', request: {} }, /^request: unknown option/],
    [{ api_key: 'k', window_chars: 499 }, /^window_chars: expected a whole number from 500/],
  ];
  for (const [options, message] of cases) t.throws(() => createOpenAiModeration({ id: 'o', ...options }), { message });
});
