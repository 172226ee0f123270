/**
 * What answers are held against: where a prompt's sources stand in each dialect, in which order and how much of them, and
 * that they reach classifiers that need context, and no others, through the real proxy and through the service.
 */
import t, { type Test } from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { Segment } from '../../src/contract/exchange.ts';
import { SOURCE_PLACE, type ScreeningRequest } from '../../src/contract/screening.ts';
import { anthropicMessages } from '../../src/dialect/anthropic-messages.ts';
import type { Dialect } from '../../src/dialect/dialect.ts';
import { readJson } from '../../src/dialect/json.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { DEFAULT_SOURCES, joinSources, SOURCE_BREAK, SOURCES_CHARS_MAX, sourceReader } from '../../src/screen/sources.ts';
import { sayingMessage } from '../helpers/anthropic.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { CHAT_ANSWER, chatEvents, events, json, type Script } from '../helpers/upstream.ts';

const read = sourceReader();
const sourcesIn = (dialect: Dialect, body: object, reader = read): readonly string[] | undefined => reader(dialect.readRequest(readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 10_000 })).segments)?.split(SOURCE_BREAK);

t.test('chat: instructions, results of tools, documents; the newest first, and nothing that anybody else said', async (t) => {
  const messages = [
    { role: 'system', content: 'S1' }, { role: 'user', content: 'U1' }, { role: 'assistant', content: 'A1', tool_calls: [{ id: 'c', type: 'function', function: { name: 'look_up', arguments: '{"q":"x"}' } }] },
    { role: 'tool', tool_call_id: 'c', content: [{ type: 'text', text: 'T1' }] }, { role: 'developer', content: 'D1' }, { role: 'function', name: 'f', content: 'F1' }, { role: 'user', content: 'U2' },
  ];
  t.same(sourcesIn(openaiChat, { model: 'm', messages, documents: [{ title: 'Title', text: 'Doc' }] }), ['Doc', 'Title', 'F1', 'f', 'D1', 'T1', 'S1']);
  t.same(sourcesIn(openaiChat, { messages: [{ role: 'user', content: 'U' }] }), undefined);
});

t.test('Anthropic: system, documents, search results, results of tools', async (t) => {
  const content = [
    { type: 'document', title: 'Handbook', context: 'of 2030', source: { type: 'text', media_type: 'text/plain', data: 'Doc' } },
    { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'Part' }] } }, { type: 'search_result', title: 'Found', source: 'somewhere', content: [{ type: 'text', text: 'Hit' }] }, { type: 'text', text: 'U1' },
  ];
  const messages = [{ role: 'user', content }, { role: 'assistant', content: [{ type: 'tool_use', id: 'u', name: 'look', input: { q: 'x' } }] }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'u', content: 'Result' }, { type: 'text', text: 'U2' }] }];
  t.same(sourcesIn(anthropicMessages, { model: 'm', max_tokens: 1, system: [{ type: 'text', text: 'S1' }], messages })!.toSorted(), ['Doc', 'Found', 'Handbook', 'Hit', 'Part', 'Result', 'S1', 'of 2030', 'somewhere'].sort());
  t.same(sourcesIn(anthropicMessages, { model: 'm', max_tokens: 1, system: 'S', messages: [{ role: 'user', content: 'U' }] }), ['S']);
});

t.test('Responses: instructions, outputs of tools, results of searches', async (t) => {
  const input = [
    { role: 'user', content: 'U1' }, { role: 'developer', content: [{ type: 'input_text', text: 'D1' }] }, { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' }, { type: 'function_call_output', call_id: 'c', output: 'O1' },
    { type: 'file_search_call', id: 'fs', status: 'completed', queries: ['q'], results: [{ file_id: 'file_1', filename: 'handbook.txt', text: 'R1', score: 0.5 }] }, { type: 'mcp_call', id: 'm', name: 'n', server_label: 's', arguments: '{}', output: 'M1' },
  ];
  t.same(sourcesIn(openaiResponses, { model: 'm', instructions: 'I', input })!.filter((text) => text !== 'handbook.txt').toSorted(), ['D1', 'I', 'M1', 'O1', 'R1']);
  t.same(sourcesIn(openaiResponses, { model: 'm', input: 'U' }), undefined);
});

t.test('a place names what stands there and below, and nothing beside it', async (t) => {
  const segment = (carrier: string, more: Partial<Segment> = {}): Segment => ({ path: carrier, carrier, contentType: 'text', content: carrier, history: false, ...more });
  const pick = (places: readonly string[], ...segments: readonly Segment[]) => sourceReader(places)(segments);
  t.equal(pick(['docs'], segment('docs')), 'docs');
  t.equal(pick(['docs'], segment('docs[].text')), 'docs[].text');
  t.equal(pick(['docs'], segment('docsets[]')), undefined);
  t.equal(pick(['messages[role=tool].content'], segment('messages[].content[].text', { role: 'tool' })), 'messages[].content[].text');
  t.equal(pick(['messages[role=tool].content'], segment('messages[].content', { role: 'user' }), segment('messages[].name', { role: 'tool' })), undefined);
  t.equal(pick(['docs'], segment('docs[]', { contentType: 'image' }), segment('docs[].*', { key: true })), undefined, 'a picture or a name is no source');
  t.same(DEFAULT_SOURCES.filter((place) => !SOURCE_PLACE.test(place)), []);
  for (const wrong of ['', '[role=a]', 'a[role=]', 'a[role=x][role=y]', 'a[0]', 'a b', '.a', 'a..b']) t.notMatch(wrong, SOURCE_PLACE, wrong);
});

t.test('no longer than its limit: the oldest goes', async (t) => {
  t.equal(joinSources(['a'.repeat(SOURCES_CHARS_MAX), 'b']).length, SOURCES_CHARS_MAX);
  t.equal(joinSources(['a'.repeat(SOURCES_CHARS_MAX - SOURCE_BREAK.length - 1), 'b']).at(-1), 'b', 'at the limit nothing is cut');
  const [newest, oldest] = ['n'.repeat(SOURCES_CHARS_MAX - 100), 'o'.repeat(1000)];
  const text = sourcesIn(openaiChat, { messages: [{ role: 'system', content: oldest }, { role: 'tool', content: newest }] })!;
  t.same(text.map((one) => [one[0], one.length]), [['n', newest.length], ['o', 100 - SOURCE_BREAK.length]]);
});

// Through the proxy.

/** Notes what it was asked; what stands in no source is ungrounded. */
class Listening {
  readonly asked: ScreeningRequest[] = [];
  readonly classifier: Classifier;

  constructor(id: string, needsContext: boolean) {
    this.classifier = {
      id, version: '1', categories: [{ id: 'ungrounded', definition: 'stands in no source' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost: 'fast', needsContext,
      classify: (request) => {
        this.asked.push(request);
        const grounded = !needsContext || request.direction === 'input' || String(request.context?.['sources']).includes(request.content.trim());
        return grounded ? [] : [{ classifier_id: id, category: 'ungrounded', score: 0.9, label: 'UNGROUNDED', spans: [], latency_ms: 0 }];
      },
    };
  }
}

const POLICY = `policy: p
rules:
  - { id: ungrounded, direction: output, when: { score: grounding.ungrounded, gte: 0.5 }, action: block }
  - { id: plain, direction: output, when: { score: plain.ungrounded, gte: 0.5 }, action: block }
`;

interface House {
  readonly proxy: ProxyUnderTest;
  readonly grounding: Listening;
  readonly plain: Listening;
  post(path: string, body: object): Promise<Response>;
}

async function open(t: Test, script: Script, options: ProxyOptions = {}): Promise<House> {
  const [grounding, plain] = [new Listening('grounding', true), new Listening('plain', false)];
  const plan = compilePlan(requirePolicy(POLICY, 'p.yaml'), [grounding.classifier, plain.classifier], { file: 'p.yaml', failMode: 'open', deadlineMs: 5_000 });
  const proxy = await ProxyUnderTest.start({ script, plan, ...options });
  t.teardown(() => proxy.close());
  return { proxy, grounding, plain, post: (path, body) => fetch(`http://127.0.0.1:${proxy.port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) };
}

const RAG = [{ role: 'system', content: 'The shop opens at nine.' }, { role: 'user', content: 'When does it open?' }];
const saying = (content: string): Script => json(200, { ...CHAT_ANSWER, choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }] });

t.test('a classifier that needs context gets them with the answer, whole or streamed; no other does', async (t) => {
  const { proxy, grounding, plain, post } = await open(t, saying('The shop opens at nine.'));
  const answer = await (await post('/v1/chat/completions', { model: 'm', messages: RAG })).json() as { choices: { finish_reason: string }[] };
  t.equal(answer.choices[0]!.finish_reason, 'stop');
  const outputs = (listening: Listening) => listening.asked.filter(({ direction }) => direction === 'output');
  t.match(outputs(grounding), [{ content: 'The shop opens at nine.', context: { sources: 'The shop opens at nine.', text_before: '' } }]);
  t.same(outputs(plain).map(({ context }) => 'sources' in context!), [false]);
  t.same([...grounding.asked, ...plain.asked].filter(({ direction, context }) => direction === 'input' && 'sources' in context!), [], 'a prompt is no answer');

  proxy.upstream.script = events(chatEvents(['The shop opens ', 'at nine. ', 'It is closed on ', 'Mondays.']));
  const text = await (await post('/v1/chat/completions', { model: 'm', stream: true, messages: RAG })).text();
  t.match(text, /at nine/);
  t.notMatch(text, /Mondays/, 'the second sentence stands in no source');
  t.match(text, /"finish_reason":"content_filter"/);
  t.match(await proxy.record(2), { outcome: 'blocked', output: { action: 'block', triggered_rules: ['ungrounded'] } });
});

t.test('without sources its score is unknown, and the policy says what that means', async (t) => {
  const { proxy, grounding, post } = await open(t, saying('Anything.'));
  t.equal((await post('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: 'Hello' }] })).status, 200);
  t.match(await proxy.record(), { outcome: 'completed', output: { action: 'allow', degraded: ['ungrounded'], classifier_results: [{ classifier_id: 'grounding', category: 'ungrounded', unknown: 'unsupported' }] } });
  t.same(grounding.asked.filter(({ direction }) => direction === 'output'), [], 'it is not asked what it cannot know');
});

t.test('the places that the configuration names, in place of the usual ones', async (t) => {
  const { proxy, grounding, post } = await open(t, saying('From the shelf.'), { screening: { sources: ['shelf[].book', 'messages[role=user].content'] } });
  await post('/v1/chat/completions', { model: 'm', shelf: [{ book: 'From the shelf.', owner: 'nobody' }], messages: RAG });
  await proxy.record();
  t.equal(grounding.asked.at(-1)!.context!['sources'], ['When does it open?', 'From the shelf.'].join(SOURCE_BREAK));
});

t.test('in another dialect', async (t) => {
  const { proxy, grounding, post } = await open(t, sayingMessage({ blocks: [{ type: 'text', text: 'At nine.' }] }));
  const document = { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'At nine.' } };
  t.match(await (await post('/v1/messages', { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: [document, { type: 'text', text: 'When?' }] }] })).json(), { stop_reason: 'end_turn' });
  await proxy.record();
  t.equal(grounding.asked.at(-1)!.context!['sources'], 'At nine.');
});

t.test('given to the screening service', async (t) => {
  const { grounding, post } = await open(t, () => {});
  const screen = async (sources?: unknown) => (await post('/weir/v1/screen', { direction: 'output', content: 'At nine.', ...(sources === undefined ? {} : { context: { sources } }) })).json();
  t.match(await screen(['It opens.', 'At nine.']), { action: 'allow' });
  t.equal(grounding.asked.at(-1)!.context!['sources'], `It opens.${SOURCE_BREAK}At nine.`);
  t.match(await screen('At ten.'), { action: 'block', triggered_rules: ['ungrounded'] });
  t.match(await screen(), { action: 'allow', degraded: ['ungrounded'] });
});
