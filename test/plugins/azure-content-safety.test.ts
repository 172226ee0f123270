/**
 * The azure-content-safety plugin against a service with Azure's shape: severities, prompt shields, windows, and every
 * way to misbehave.
 */
import t, { type Test } from 'tap';
import createAzureContentSafety, { ANSWER_CHARS_MAX, SERVICE_CHARS_MAX, SOURCES_CHARS_MAX } from '../../plugins/azure-content-safety/index.ts';
import { WINDOWS_MAX } from '../../plugins/http/windows.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import { ask, checkFaults, checkReadme, ClassifierServer, scores, textRequest } from '../helpers/classifier-server.ts';

function open(t: Test, server: ClassifierServer, options: Record<string, unknown> = {}): Classifier {
  const classifier = createAzureContentSafety({ id: 'azure', endpoint: server.origin, api_key: 'made-up', ...options });
  t.teardown(() => classifier.close?.());
  return classifier;
}

const analysis = (hate: unknown, sexual: unknown = 0, violence: unknown = 0, selfHarm: unknown = 0): object => ({
  blocklistsMatch: [], categoriesAnalysis: [['Hate', hate], ['SelfHarm', selfHarm], ['Sexual', sexual], ['Violence', violence]].map(([category, severity]) => ({ category, severity })),
});
const shields = (prompt: unknown, document: unknown): object => ({ userPromptAnalysis: { attackDetected: prompt }, documentsAnalysis: [{ attackDetected: document }] });

t.test('severities are scores', async (t) => {
  const server = await ClassifierServer.start(t);
  const azure = open(t, server);
  server.answer = analysis(7, 0, 1, 4);
  t.same(scores(await ask(azure, 'made up')), { hate: 1, sexual: 0, violence: 1 / 7, 'self-harm': 4 / 7 });
  t.same(server.body(), { text: 'made up', categories: ['Hate', 'Sexual', 'Violence', 'SelfHarm'], outputType: 'EightSeverityLevels' });
  t.match(server.received[0], { method: 'POST', path: '/contentsafety/text:analyze?api-version=2024-09-01', headers: { 'ocp-apim-subscription-key': 'made-up' } });
  const behind = open(t, server, { endpoint: `${server.origin}/gateway/`, api_version: '2024-09-15-preview' });
  await ask(behind, 'made up');
  t.equal(server.received[1].path, '/gateway/contentsafety/text:analyze?api-version=2024-09-15-preview');
});

t.test('prompt shields: a text is judged as a prompt and as a document', async (t) => {
  const server = await ClassifierServer.start(t);
  const azure = open(t, server, { check: 'prompt_shields' });
  server.answer = shields(true, false);
  t.same(scores(await ask(azure, 'made up')), { jailbreak: 1, injection: 0 });
  t.same(server.body(), { userPrompt: 'made up', documents: ['made up'] });
  t.equal(server.received[0].path, '/contentsafety/text:shieldPrompt?api-version=2024-09-01');
  server.answer = shields(false, true);
  t.same(scores(await ask(azure, 'made up')), { jailbreak: 0, injection: 1 });
  t.same(azure.directions, ['input']);
  for (const answer of [{}, [], shields('yes', false), { userPromptAnalysis: { attackDetected: false } }, { userPromptAnalysis: { attackDetected: false }, documentsAnalysis: [] }]) {
    server.answer = answer;
    t.same(scores(await ask(azure, 'made up')), { jailbreak: 'error', injection: 'error' }, JSON.stringify(answer));
  }
});

t.test('groundedness: an answer is held against its sources', async (t) => {
  const server = await ClassifierServer.start(t);
  const azure = open(t, server, { check: 'groundedness' });
  t.match(azure, { needsContext: true, directions: ['output'] });
  const answer = (content: string, sources: string | undefined = 'The vault opens at nine.') => textRequest(content, { direction: 'output', ...(sources === '' ? {} : { context: { sources } }) });
  const place = (utf8: number, utf16: number, codePoint: number): object => ({ utf8, utf16, codePoint });
  const text = '🙂 It opens at ten.';
  server.answer = { ungroundedDetected: true, ungroundedPercentage: 0.5, ungroundedDetails: [{ text: 'ten', offset: place(18, 15, 14), length: place(3, 3, 3) }] };
  const [found] = await ask(azure, answer(text));
  t.match(found, { category: 'unsupported', score: 1, spans: [{ start: 15, end: 18 }] });
  t.same(server.body(), { domain: 'Generic', task: 'Summarization', text, groundingSources: ['The vault opens at nine.'], reasoning: false });
  t.equal(server.received[0].path, '/contentsafety/text:detectGroundedness?api-version=2024-09-15-preview');
  server.answer = { ungroundedDetected: true, ungroundedPercentage: 1, ungroundedDetails: [{ text: 'ten' }, null] };
  t.match(await ask(azure, answer(text)), [{ score: 1, spans: [] }], 'without places it is the whole answer');
  server.answer = { ungroundedDetected: false, ungroundedPercentage: 0, ungroundedDetails: [] };
  t.same(scores(await ask(azure, answer(text))), { unsupported: 0 });
  for (const wrong of [{}, [], { ungroundedDetected: 'no' }, { ungroundedDetected: true, ungroundedDetails: [{ offset: place(0, 90, 0), length: place(1, 1, 1) }] }]) {
    server.answer = wrong;
    t.same(scores(await ask(azure, answer(text))), { unsupported: 'error' });
  }
  server.answer = { ungroundedDetected: false };
  const count = server.received.length;
  t.same(scores(await ask(azure, answer('x'.repeat(ANSWER_CHARS_MAX), 'y'.repeat(SOURCES_CHARS_MAX)))), { unsupported: 0 });
  for (const beyond of [answer('x'.repeat(ANSWER_CHARS_MAX + 1)), answer('x', 'y'.repeat(SOURCES_CHARS_MAX + 1)), answer('x', '')]) t.same(scores(await ask(azure, beyond)), { unsupported: 'unsupported' });
  t.equal(server.received.length, count + 1);
});

t.test('a long text goes in windows, and the worst counts', async (t) => {
  const server = await ClassifierServer.start(t);
  const azure = open(t, server);
  server.answer = ({ body }: { readonly body: Buffer }) => analysis(body.includes('bluebird') ? 6 : 0, body.includes('mockingbird') ? 2 : 0);
  t.match(scores(await ask(azure, 'x'.repeat(SERVICE_CHARS_MAX))), { hate: 0 });
  t.equal(server.received.length, 1, 'at the limit it is one call');
  t.match(scores(await ask(azure, `mockingbird ${'x'.repeat(SERVICE_CHARS_MAX)} bluebird`)), { hate: 6 / 7, sexual: 2 / 7, violence: 0 });
  t.equal(server.received.length, 3);
  for (const { body } of server.received) t.ok([...(JSON.parse(body.toString()) as { readonly text: string }).text].length <= SERVICE_CHARS_MAX);
  t.match(scores(await ask(azure, 'x'.repeat(SERVICE_CHARS_MAX * WINDOWS_MAX))), { hate: 'unsupported' });
  t.equal(server.received.length, 3);
  server.answer = ({ body }: { readonly body: Buffer }) => (body.includes('bluebird') ? { error: { code: 'InvalidRequestBody' } } : analysis(0));
  t.match(scores(await ask(azure, `${'x'.repeat(SERVICE_CHARS_MAX)} bluebird`)), { hate: 'error' }, 'one window without an answer is no answer');
});

t.test('whatever the service does, scores are unknown with a reason', async (t) => {
  const server = await ClassifierServer.start(t);
  const azure = open(t, server);
  await checkFaults(t, server, azure, analysis(0));
  for (const answer of [{}, { categoriesAnalysis: [] }, analysis(8), analysis(-1), analysis(1.7), analysis('6'), analysis(null)]) {
    server.answer = answer;
    t.same(scores(await ask(azure, 'made up')), { hate: 'error', sexual: 'error', violence: 'error', 'self-harm': 'error' }, JSON.stringify(answer));
  }
});

t.test('README.md says what there is', (t) => checkReadme(t, 'azure-content-safety', createAzureContentSafety));

t.test('wrong options are refused, by name', async (t) => {
  const endpoint = 'https://made-up.cognitiveservices.azure.com';
  const cases: readonly [options: Record<string, unknown>, message: RegExp][] = [
    [{}, /^endpoint: missing/],
    [{ endpoint: `${endpoint}/?a=b` }, /^endpoint: expected an address without a query/],
    [{ endpoint, check: 'images' }, /^check: expected one of text, prompt_shields, groundedness, got images/],
    [{ endpoint, api_version: 'latest' }, /^api_version: expected a date/],
    [{ endpoint, window_chars: SERVICE_CHARS_MAX + 1 }, /^window_chars: expected a whole number from 500 to 10000/],
    [{ endpoint, check: 'prompt_shields', directions: ['output'] }, /^directions: expected some of input, got output/],
    [{ endpoint, categories: ['hate'] }, /^categories: unknown option/],
  ];
  for (const [options, message] of cases) t.throws(() => createAzureContentSafety({ id: 'a', ...options }), { message });
});
