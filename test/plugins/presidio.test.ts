/**
 * The presidio plugin against a service with the analyzer's shape: entities under our names, spans in code points, what
 * is not found, entities of one's own, and every way to misbehave.
 */
import t, { type Test } from 'tap';
import createPresidio, { CONTENT_CHARS_MAX } from '../../plugins/presidio/index.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import { ask, checkFaults, checkReadme, ClassifierServer, openHouse, scores, textRequest } from '../helpers/classifier-server.ts';

function open(t: Test, server: ClassifierServer, options: Record<string, unknown> = {}): Classifier {
  const classifier = createPresidio({ id: 'presidio', url: `${server.origin}/analyze`, ...options });
  t.teardown(() => classifier.close?.());
  return classifier;
}

/** A finding as the analyzer writes it; offsets in code points, as Python counts. */
function found(text: string, entity: string, what: string, score: number): object {
  const start = [...text.slice(0, text.indexOf(what))].length;
  return { entity_type: entity, start, end: start + [...what].length, score, analysis_explanation: null, recognition_metadata: { recognizer_identifier: 'x', recognizer_name: 'X' } };
}

t.test('entities come under our names, with spans in UTF-16', async (t) => {
  const server = await ClassifierServer.start(t);
  const presidio = open(t, server);
  const text = '🙂🙂 Ana Example, ana@example.com, or bob@example.com 👩🏽‍💻 555-0100';
  server.answer = [
    found(text, 'PERSON', 'Ana Example', 0.85), found(text, 'EMAIL_ADDRESS', 'ana@example.com', 1), found(text, 'EMAIL_ADDRESS', 'bob@example.com', 1),
    found(text, 'PHONE_NUMBER', '555-0100', 0.4), found(text, 'US_ITIN', '555', 0.05), found(text, 'DATE_TIME', '0100', 0.6),
  ];
  const results = await ask(presidio, text);
  const told = results.flatMap((result) => ('score' in result && result.score > 0 ? [[result.category, result.score, result.spans.map(({ start, end }) => text.slice(start, end))]] : []));
  t.same(told, [['PERSON', 0.85, ['Ana Example']], ['EMAIL', 1, ['ana@example.com', 'bob@example.com']], ['PHONE_NUMBER', 0.4, ['555-0100']], ['NATIONAL_ID', 0.05, ['555']]]);
  t.equal(scores(results).CREDIT_CARD, 0, 'what was not listed was not found');
  t.same(server.body(), { text, language: 'en' });
  t.match(presidio, { languages: ['en'], contentTypes: ['text'] });
});

t.test('entities of one’s own, in another language', async (t) => {
  const server = await ClassifierServer.start(t);
  const own = open(t, server, { language: 'es', entities: { EMAIL_ADDRESS: 'EMAIL', EMPLOYEE_NUMBER: 'STAFF_ID' }, api_key: 'made-up' });
  server.answer = [{ entity_type: 'EMPLOYEE_NUMBER', start: 0, end: 4, score: 0.7 }];
  t.same(scores(await ask(own, 'E123')), { STAFF_ID: 0.7, EMAIL: 0 });
  t.same(server.body(), { text: 'E123', language: 'es', entities: ['EMAIL_ADDRESS', 'EMPLOYEE_NUMBER'] });
  t.equal(server.received[0].headers.authorization, 'Bearer made-up');
  const listed = open(t, server, { entities: ['IBAN_CODE', 'EMPLOYEE_NUMBER'] });
  t.same(scores(await ask(listed, 'E123')), { EMPLOYEE_NUMBER: 0.7, IBAN: 0 });
});

t.test('through the proxy: what it finds is redacted where it stands', async (t) => {
  const server = await ClassifierServer.start(t);
  const house = await openHouse(t, {
    policy: "policy: names\ndefault_action: allow\nrules:\n  - { id: names, priority: 1, direction: input, when: { score: '*.PERSON', gte: 0.5 }, action: redact }\n",
    deadlineMs: 20_000, classifiers: [{ id: 'presidio', plugin: 'presidio', url: `${server.origin}/analyze` }],
  });
  const text = '👩🏽‍💻 I am Ana Example 🙂, and so is Ana Example';
  server.answer = ({ body }: { readonly body: Buffer }) => {
    const { text: asked } = JSON.parse(body.toString()) as { readonly text: string };
    return asked === text ? [found(text, 'PERSON', 'Ana Example', 0.85), { entity_type: 'PERSON', start: [...text].length - 11, end: [...text].length, score: 0.85 }] : [];
  };
  t.equal((await house.chat(text)).status, 200);
  t.match(house.upstream.received[0].body.toString(), '👩🏽‍💻 I am [PERSON] 🙂, and so is [PERSON]');
});

t.test('a text at the limit is sent, a longer one is not', async (t) => {
  const server = await ClassifierServer.start(t);
  server.answer = [];
  const presidio = open(t, server);
  t.equal(scores(await ask(presidio, 'a'.repeat(CONTENT_CHARS_MAX))).EMAIL, 0);
  t.equal(scores(await ask(presidio, textRequest('a'.repeat(CONTENT_CHARS_MAX + 1)))).EMAIL, 'unsupported');
  t.equal(server.received.length, 1);
});

t.test('whatever the service does, scores are unknown with a reason', async (t) => {
  const server = await ClassifierServer.start(t);
  const presidio = open(t, server);
  await checkFaults(t, server, presidio, []);
  const entity = { entity_type: 'PERSON', start: 0, end: 3, score: 0.5 };
  const wrong = [{ end: 99 }, { start: 3 }, { start: undefined }, { score: 1.7 }, { score: '1' }, { score: null }, { entity_type: undefined }].map((field) => [{ ...entity, ...field }]);
  for (const answer of [{ error: 'No matching recognizers were found to serve the request.' }, { 0: entity }, 'PERSON', ...wrong]) {
    server.answer = answer;
    t.equal(scores(await ask(presidio, 'Ana')).PERSON, 'error', JSON.stringify(answer));
  }
});

t.test('README.md says what there is', (t) => checkReadme(t, 'presidio', createPresidio));

t.test('wrong options are refused, by name', async (t) => {
  const url = 'http://127.0.0.1:9/analyze';
  const cases: readonly [options: Record<string, unknown>, message: RegExp][] = [
    [{}, /^url: missing/],
    [{ url, language: 'English' }, /^language: expected a tag/],
    [{ url, entities: [] }, /^entities: expected from 1 to 100/],
    [{ url, entities: 'PERSON' }, /^entities: .* got text/],
    [{ url, entities: { 'A B': 'C' } }, /^entities: a name is of letters/],
    [{ url, entities: { A: 7 } }, /^entities: a name is of letters/],
    [{ url, score_threshold: 0.5 }, /^score_threshold: unknown option/],
    [{ url, content_chars_max: 0 }, /^content_chars_max: expected/],
  ];
  for (const [options, message] of cases) t.throws(() => createPresidio({ id: 'p', ...options }), { message });
});
