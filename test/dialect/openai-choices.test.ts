/**
 * Answers made of choices, beyond what OpenAI's own servers send: Azure's annotations, servers that repeat a text in
 * other places, echoes of the prompt, events that are no chunks; and what must change with a text.
 */
import t from 'tap';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import type { Piece, ResponseReader } from '../../src/dialect/dialect.ts';
import { accumulated, cutBytes, eventsOf, guarded, STREAM_REQUEST } from '../helpers/guarded.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';

const reader = (): ResponseReader => openaiChat.createReader(STREAM_REQUEST);
const event = (data: unknown): Buffer => Buffer.from(`data: ${JSON.stringify(data)}\n\n`);
const chunk = (choice: object, more: object = {}): Buffer => event({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, ...choice }], ...more });
const DONE = Buffer.from('data: [DONE]\n\n');
const texts = (pieces: readonly Piece[]): Record<string, string> => Object.fromEntries(pieces.map((p) => [`${p.key}${p.whole ? '' : '…'}`, p.text]));
const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));

const SAFE = { hate: { filtered: false, severity: 'safe' }, self_harm: { filtered: false, severity: 'low' }, sexual: { filtered: false, severity: 'medium' }, violence: { filtered: true, severity: 'high' }, jailbreak: { detected: false, filtered: false } };
const NO_IDS = { created: 0, id: '', model: '', object: '' };

t.test('Azure: verdicts are words of the wire, what they quote is text, and annotations name no stream', async (t) => {
  const one = reader();
  const first = one.readEvent({ ...NO_IDS, choices: [], prompt_filter_results: [{ prompt_index: 0, content_filter_results: SAFE }] });
  t.same(first.pieces, []);
  one.readEvent({ id: 'chatcmpl-1', created: 5, model: 'gpt', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: 'a' }, content_filter_results: SAFE }] });
  const quoting = { ...SAFE, protected_material_code: { detected: true, filtered: false, citation: { URL: 'https://code.example.com/a', license: 'some licence' } }, custom_blocklists: { details: [{ id: 'list of names', filtered: true }] }, error: { code: 'content_filter_error', message: 'the filter is down' } };
  const annotation = one.readEvent({ ...NO_IDS, choices: [{ index: 0, finish_reason: null, content_filter_offsets: { check_offset: 44, start_offset: 44, end_offset: 198 }, content_filter_results: quoting }] });
  t.same(annotation.pieces.map(({ text }) => text), ['https://code.example.com/a', 'some licence', 'list of names', 'content_filter_error', 'the filter is down']);
  t.ok(annotation.pieces.every(({ whole }) => whole));
  t.match(eventsOf(one.textEvent('0/content', 'b'))[0], { id: 'chatcmpl-1', created: 5, model: 'gpt' });
  t.same(one.readEvent({ ...NO_IDS, choices: [{ index: 0, content_filter_results: { hate: { severity: 'a sentence in place of a word' } } }] }).pieces.map(({ text }) => text), ['a sentence in place of a word']);
  t.match(eventsOf((() => { const nameless = reader(); nameless.readEvent({ ...NO_IDS, choices: [{ index: 0, delta: { content: 'a' } }] }); return nameless.textEvent('0/content', 'b'); })())[0], { id: '', created: 0 }, 'a server that never names its stream');
});

t.test('Azure: a filter that cuts in ends the choice, with or without an end of the stream', async (t) => {
  for (const end of [[DONE], []]) {
    const { bytes, blocked } = guarded(redact, [chunk({ delta: { content: 'Mail ana@exam' } }), chunk({ delta: {}, finish_reason: 'content_filter', content_filter_results: SAFE }), ...end]);
    t.equal(blocked, false);
    t.equal(accumulated(bytes)['0/content'], 'Mail ana@exam');
    t.equal(eventsOf(bytes).at(-1).choices[0].finish_reason, 'content_filter');
  }
});

t.test('Azure: annotations after the end of the text pass, and lose their offsets once the text was changed', async (t) => {
  const annotation = (start: number) => event({ ...NO_IDS, choices: [{ index: 0, finish_reason: null, content_filter_offsets: { check_offset: 44, start_offset: start, end_offset: 198 }, content_filter_results: SAFE }] });
  const stream = (text: string): Buffer => Buffer.concat([chunk({ delta: { content: text } }), annotation(44), chunk({ delta: {}, finish_reason: 'stop' }), annotation(90), DONE]);
  t.equal(guarded(redact, [stream('See you at noon.')]).bytes.toString(), stream('See you at noon.').toString());
  const changed = eventsOf(guarded(redact, [stream('Mail ana@example.com, please.')]).bytes);
  t.same(changed.filter(({ id }) => id === '').map(({ choices: [{ content_filter_offsets: offsets, content_filter_results: results }] }) => [offsets, results]), [[null, SAFE], [null, SAFE]]);
  const { bytes, blocked } = guarded(block, [Buffer.concat([annotation(44), chunk({ delta: { content: 'Mail ana@example.com, please.' } })])]);
  t.equal(blocked, true);
  t.match(eventsOf(bytes).at(-1), { id: 'c', model: 'm', choices: [{ finish_reason: 'content_filter' }] });
});

t.test('the words of an inline moderation are no text', async (t) => {
  const results = { type: 'moderation_results', model: 'omni-moderation-latest', results: [{ type: 'moderation_result', model: 'omni-moderation-latest', flagged: false, category_applied_input_types: { 'self-harm/intent': ['text'], violence: ['text', 'image'] } }] };
  t.same(reader().readEvent({ id: 'c', choices: [], moderation: { input: results, output: { ...results, message: 'not now' } } }).pieces.map(({ text }) => text), ['not now']);
});

t.test('what stands beside the choices is text: echoes of the prompt, citations, errors, what a server was told to show', async (t) => {
  const { pieces } = reader().readEvent({
    id: 'c', choices: [{ index: 0, delta: { content: 'x' }, stop_reason: 'END' }], prompt_text: 'a prompt', prompt_token_ids: [1], prompt_logprobs: [{ 1: { decoded_token: 'a' } }], citations: ['https://a.example.com'],
    search_results: [{ title: 'b', snippet: 'c' }], __verbose: { prompt: 'd', content: 'e' }, error: { code: 400, message: 'Token limit reached', metadata: { raw: 'f' } }, usage: { prompt_tokens: 1, details: { note: 'g' } },
  });
  t.same(texts(pieces), {
    '0/content…': 'x', '0/stop_reason/': 'END', 'event/prompt_text': 'a prompt', 'event/citations/0': 'https://a.example.com', 'event/search_results/0/title': 'b', 'event/search_results/0/snippet': 'c', 'event/__verbose/prompt': 'd',
    'event/__verbose/content': 'e', 'event/error/message': 'Token limit reached', 'event/error/metadata/raw': 'f', 'event/usage/details/note': 'g',
  });
});

t.test('a text that stands twice in a chunk leaves the same in both places, however it is cut', async (t) => {
  const pieces = ['Mail ', 'ana@exam', 'ple.com', ' or', ' bob', '@example.com', '.'];
  const stream = Buffer.concat([...pieces.map((content, i) => chunk({ text: content, delta: { content, token_id: i } })), chunk({ text: '', delta: {}, finish_reason: 'eos' }), DONE]);
  for (const mean of [1, 7, 60, 5000]) {
    const out = eventsOf(guarded(redact, cutBytes(stream, mean, mean)).bytes);
    t.equal(out.map((e) => e.choices[0].text ?? '').join(''), 'Mail [EMAIL] or [EMAIL].');
    for (const { choices: [{ text, delta }] } of out) t.equal(text, delta.content ?? '');
    t.same(out.map((e) => e.choices[0].delta.token_id), [0, null, null, null, null, null, null, undefined], 'the number of the token goes with it');
  }
});

t.test('padding, token lists and sounds go with the text that they tell', async (t) => {
  const one = reader();
  const full = {
    obfuscation: 'abc', p: 'abcd', prompt_logprobs: [{}], prompt_token_ids: [1],
    choices: [{
      index: 2, logprobs: { content: [] }, token_ids: [1], prompt_logprobs: [], prompt_token_ids: [3], content_filter_offsets: { check_offset: 1 },
      delta: { content: 'x', token_id: 7, audio: { transcript: 'x', data: 'AAAA' }, annotations: [{ url_citation: { start_index: 3, end_index: 9, title: 't' } }, { url_citation: { start_index: 'odd' } }, { file: 1 }, 'odd'] }, message: { audio: { data: 'AA' } },
    }, { delta: { token_id: 'odd', audio: { id: 'a' } }, logprobs: null, content_filter_offsets: null }],
  };
  const at = (...path: (string | number)[]) => ['choices', 0, ...path];
  t.same(one.dependents(full, '2/content'), [
    { path: at('logprobs'), value: null }, { path: at('token_ids'), value: null }, { path: at('prompt_logprobs'), value: null }, { path: at('prompt_token_ids'), value: null }, { path: at('content_filter_offsets'), value: null },
    { path: at('delta', 'token_id'), value: null }, { path: at('delta', 'audio', 'data'), value: '' },
    { path: at('delta', 'annotations', 0, 'url_citation', 'start_index'), key: '2/content' }, { path: at('delta', 'annotations', 0, 'url_citation', 'end_index'), key: '2/content' },
    { path: at('message', 'audio', 'data'), value: '' },
    { path: ['prompt_logprobs'], value: null }, { path: ['prompt_token_ids'], value: null }, { path: ['obfuscation'], value: '' }, { path: ['p'], value: '' },
  ]);
  const prompt = [{ path: ['prompt_logprobs'], value: null }, { path: ['prompt_token_ids'], value: null }];
  t.same(one.dependents(full, '1/content'), [...prompt, { path: ['obfuscation'], value: '' }, { path: ['p'], value: '' }]);
  t.same(one.dependents(full, '0/content'), prompt, 'a chunk of another choice keeps its padding');
  t.same(one.dependents({ obfuscation: 'abc', choices: [] }, 'event/citations/0'), [{ path: ['obfuscation'], value: '' }]);
  t.same([one.dependents('odd', '0/content'), one.dependents({}, '0/content')], [[], []]);
});

t.test('a stream with padding keeps it until its text is changed', async (t) => {
  const both = event({ id: 'c', obfuscation: 'xxxx', choices: [{ index: 0, delta: { content: 'to ana@example.com, ' } }, { index: 1, delta: { content: 'to bob@example.com, ' } }] });
  const stream = [chunk({ delta: { content: 'Mail ' } }, { obfuscation: 'abcdef' }), both, chunk({ delta: { content: 'now' }, finish_reason: 'stop' }, { obfuscation: 'gh' }), DONE];
  t.same(eventsOf(guarded(redact, stream).bytes).map(({ obfuscation }) => obfuscation), ['abcdef', '', '']);
});

t.test('offsets of citations count in the text that leaves', async (t) => {
  const before = 'Ask ana@example.com, as ';
  const cite = (start: number, end: number) => ({ annotations: [{ type: 'url_citation', url_citation: { start_index: start, end_index: end, url: 'https://a.example.com', title: 'A page' } }] });
  const text = `${before}the page says. `;
  const stream = [chunk({ delta: { content: text } }), chunk({ delta: { reasoning: 'so bob@example.com, it is ' } }), chunk({ delta: cite(before.length, text.length - 1) }), chunk({ delta: {}, finish_reason: 'stop' }), DONE];
  const left = guarded(redact, stream).bytes;
  const { content } = { content: accumulated(left)['0/content']! };
  const [{ url_citation: cited }] = eventsOf(left).flatMap((e) => e.choices[0].delta.annotations ?? []);
  t.equal(content.slice(cited.start_index, cited.end_index), 'the page says.');
  t.equal(cited.title, 'A page');
  const body = { id: 'c', choices: [{ index: 0, message: { role: 'assistant', content: text, ...cite(before.length, text.length - 1) }, finish_reason: 'stop' }] };
  const whole = JSON.parse(guarded(redact, [Buffer.from(JSON.stringify(body))], { mediaType: 'application/json' }).bytes.toString()).choices[0].message;
  t.equal(whole.content.slice(whole.annotations[0].url_citation.start_index, whole.annotations[0].url_citation.end_index), 'the page says.');
  const thought = guarded(redact, [chunk({ delta: { reasoning: 'ask bob@example.com, ' } }), chunk({ delta: cite(3, 9) }), DONE]).bytes;
  t.match(eventsOf(thought).at(-1), { choices: [{ delta: cite(3, 9) }] }, 'a text that did not change moves no offset');
});

t.test('events that are no chunks: their strings go on from one to the next', async (t) => {
  const values = ['Sure', ', ', 'mail ana', '@exam', 'ple.com', ' and 4111 1111', ' 1111 1111', '.'];
  const stream = Buffer.concat(values.map((value) => event({ value })));
  for (const mean of [1, 9, 5000]) {
    t.equal(eventsOf(guarded(redact, cutBytes(stream, mean, mean)).bytes).map(({ value }) => value).join(''), 'Sure, mail [EMAIL] and [CREDIT_CARD].');
  }
  t.equal(guarded(redact, values.map((value) => event({ value: value.replace(/[@\d]/g, '') }))).bytes.toString(), Buffer.concat(values.map((value) => event({ value: value.replace(/[@\d]/g, '') }))).toString());
  const plain = guarded(redact, ['mail ana', '@example.com'].map(event)).bytes;
  t.equal(eventsOf(plain).join(''), 'mail [EMAIL]', 'an event that is a string');
  t.same(texts(reader().readEvent(['a', { b: 'c' }]).pieces), { 'event/0…': 'a', 'event/1/b': 'c' });
});

t.test('what comes before the first chunk waits for nothing that comes after it', async (t) => {
  const events = [event({ type: 'ping', note: 'call ana@exam' }), chunk({ delta: { content: 'Hello.\n' } }), event({ type: 'ping' }), chunk({ delta: { content: 'Bye.\n' } })];
  const { prefix } = guarded(redact, events);
  t.equal(prefix(3).toString(), Buffer.concat(events).toString());
});

t.test('many events wait behind the string of a foreign event, and leave before it', async (t) => {
  const events = [event({ value: 'mail ana@exam' }), ...Array.from({ length: 12 }, (_, i) => event({ n: i })), event({ value: 'ple.com' })];
  const { bytes, prefix } = guarded(redact, events);
  t.equal(eventsOf(prefix(10))[0].value, 'mail ', 'what is decided leaves');
  t.equal(eventsOf(bytes).map(({ value = '' }) => value).join(''), 'mail [EMAIL]');
  t.same(eventsOf(reader().textEvent('event/value', 'com')), [{ value: 'com' }]);
  t.same(['event/value', 'event/a/b', 'event/', '0/content~other'].map((key) => reader().canCarry(key)), [true, false, false, false]);
});

/** A made-up answer as Azure streams it, annotations in between and at the end. */
function azureStream(pieces: readonly string[]): Buffer {
  const annotation = event({ ...NO_IDS, choices: [{ index: 0, finish_reason: null, content_filter_offsets: { check_offset: 44, start_offset: 44, end_offset: 198 }, content_filter_results: SAFE }] });
  return Buffer.concat([
    event({ ...NO_IDS, choices: [], prompt_filter_results: [{ prompt_index: 0, content_filter_results: SAFE }] }),
    chunk({ delta: { role: 'assistant', content: '', refusal: null }, content_filter_results: {}, finish_reason: null }, { obfuscation: 'zq' }),
    ...pieces.flatMap((content, i) => [chunk({ delta: { content }, content_filter_results: { hate: SAFE.hate }, finish_reason: null, logprobs: null }, { obfuscation: 'zq' }), ...(i % 3 === 2 ? [annotation] : [])]),
    chunk({ delta: {}, finish_reason: 'stop' }), annotation, chunk({}, { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }), DONE,
  ]);
}

t.test('Azure: redacted alike at every byte of a cut, and untouched where nothing is found', async (t) => {
  const pieces = ['Mail ana', '@exam', 'ple.com or', ' call +1 202', '-555-0143', ' at noon.'];
  const bytes = azureStream(pieces);
  const clean = azureStream(pieces.map((piece) => piece.replace(/[@\d]/g, '')));
  for (let at = 0; at <= bytes.length; at += 1) {
    const { bytes: out, summary } = guarded(redact, [bytes.subarray(0, at), bytes.subarray(at)]);
    if (accumulated(out)['0/content'] !== 'Mail [EMAIL] or call [PHONE_NUMBER] at noon.') t.fail(`cut at ${at}: ${accumulated(out)['0/content']}`);
    if (summary.usage?.outputTokens !== 2) t.fail(`cut at ${at}: usage`);
    if (at % 7 === 0 && !guarded(redact, [clean.subarray(0, at), clean.subarray(at)]).bytes.equals(clean)) t.fail(`cut at ${at}: bytes`);
  }
  t.ok(bytes.length > 1500);
});

t.test('a list of kept answers has no place for a block, so an error says it', async (t) => {
  t.throws(() => reader().blockedBody({ object: 'list', data: [] }, undefined), { code: 'content_filter', message: /^the policy blocked the answer; / });
  t.throws(() => reader().blockedBody({ object: 'list', data: [] }, 'Sorry.'), { code: 'content_filter', message: /^Sorry\.; / });
});
