/** OpenAI completions: where text stands in requests and answers, what errors, blocks and fallbacks look like, and every cut. */
import fc from 'fast-check';
import t from 'tap';
import { openaiCompletions } from '../../src/dialect/openai-completions.ts';
import { readJson } from '../../src/dialect/json.ts';
import type { Piece } from '../../src/dialect/dialect.ts';
import { cutBytes, eventsOf, guarded, STREAM_REQUEST, type Guarded } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';
import { cutsOf, randomOf, runs, seed } from '../helpers/runs.ts';

const read = (body: unknown) => openaiCompletions.readRequest(readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 10_000 }));
const reader = () => openaiCompletions.createReader(STREAM_REQUEST);
const texts = (pieces: readonly Piece[]): Record<string, string> => Object.fromEntries(pieces.map((p) => [`${p.key}${p.whole ? '' : '…'}`, p.text]));

t.test('every text of a request is a segment; token numbers are opaque', async (t) => {
  const reading = read({ model: 'm', prompt: ['one', '', 'two'], suffix: 'after', stop: ['END'], echo: true, n: 2, best_of: 3, logprobs: 1, user: 'ana', stream: true, future_field: { deep: ['new text'] }, logit_bias: { 50256: -100 } });
  t.same(Object.fromEntries(reading.segments.map((s) => [s.path, s.content])), { 'prompt[0]': 'one', 'prompt[2]': 'two', suffix: 'after', 'stop[0]': 'END', user: 'ana', 'future_field.deep[0]': 'new text' });
  t.ok(reading.segments.every(({ history, contentType }) => !history && contentType === 'text'));
  t.match(reading, { opaque: [], stream: true, model: 'm', userId: 'ana', parameters: { echo: true, n: 2, best_of: 3, logprobs: 1 } });
  for (const prompt of [[1, 2], [[1, 2], [3]], ['text', [1]]]) t.same(read({ prompt }).opaque, [{ carrier: 'prompt', kind: 'tokens' }]);
  t.match(read({ prompt: 'text' }), { opaque: [], stream: false, model: undefined, segments: [{ content: 'text' }] });
  t.same(read({ prompt_embeds: ['AAAA', 'BBBB'] }).opaque.map(({ kind }) => kind), ['tokens', 'tokens']);
  t.same(read({ prompt: '', prompt_embeds: 'AAAA' }).opaque, [{ carrier: 'prompt_embeds', kind: 'tokens' }]);
  for (const body of [[], 'x', {}, { prompt: 5 }, { prompt: null }, { prompt: { a: 'b' } }]) t.throws(() => read(body), { code: 'invalid_request' });
});

t.test('every text of a chunk is a piece; choices are texts of their own', async (t) => {
  const one = reader();
  const { pieces, closes } = one.readEvent({
    id: 'cmpl-1', object: 'text_completion', model: 'm', system_fingerprint: 'fp', prompt: ['the prompt'],
    choices: [
      { index: 1, text: 'a', finish_reason: 'stop', stop_reason: 'END', logprobs: { tokens: ['a'], top_logprobs: [{ a: -1 }], text_offset: [0] } },
      { index: 0, text: 'b', delta: { role: 'assistant', content: 'b', token_id: 4 }, message: { content: 'c' }, seed: 5, finish_reason: null, content_filter_results: { hate: { severity: 'safe' } } }, 'odd', { index: 3, text: ['e'] },
    ],
  });
  t.same(texts(pieces), { '1/text…': 'a', '1/stop_reason/': 'END', '0/text…': 'b', '0/delta/content…': 'b', '0/message/content…': 'c', '3/text//0': 'e', 'event/prompt/0': 'the prompt', 'event/choices/2': 'odd' });
  t.same(closes, ['event/', '1/']);
  t.same(one.facts(), { responseId: 'cmpl-1', model: 'm', finishReasons: ['stop'], fingerprint: 'fp' });
  one.readEvent({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 4 } });
  t.same(one.usage(), { inputTokens: 3, outputTokens: 4 });
  t.same(texts(one.readBody({ id: 'c', prompt: [], choices: [{ text: 'a', logprobs: null }, { index: 4, text: 'b' }] }).pieces), { '0/text…': 'a', '4/text…': 'b' });
});

t.test('events and bodies of our own', async (t) => {
  const one = reader();
  one.readEvent({ id: 'cmpl-9', created: 7, model: 'm', object: 'text_completion', choices: [{ index: 2, text: 'x' }, { index: 0, text: 'x' }] });
  t.same(eventsOf(one.textEvent('2/text', 'tail')), [{ id: 'cmpl-9', object: 'text_completion', created: 7, model: 'm', choices: [{ text: 'tail', index: 2, logprobs: null, finish_reason: null }] }]);
  t.same(['2/text', '2/text/', '0/delta/content', '0/text~choices[].text'].map((key) => one.canCarry(key)), [true, false, false, false]);
  t.same(eventsOf(one.blockedStream(undefined, new Set(['0/']))).map((e) => e.choices), [[{ text: '', index: 2, logprobs: null, finish_reason: 'content_filter' }]]);
  t.same(eventsOf(one.blockedStream('Sorry.', new Set())).map((e) => [e.choices[0].index, e.choices[0].text, e.choices[0].finish_reason]), [[0, 'Sorry.', null], [0, '', 'stop'], [2, 'Sorry.', null], [2, '', 'stop']]);
  t.match(eventsOf(reader().blockedStream(undefined, new Set())), [{ id: '', object: 'text_completion', choices: [{ index: 0, finish_reason: 'content_filter' }] }]);
  t.same(JSON.parse(one.blockedBody({ id: 'c', created: 3, model: 'm', choices: [{ index: 1, text: 'a' }], usage: { total_tokens: 5 } }, undefined).toString()), { id: 'c', object: 'text_completion', created: 3, model: 'm', choices: [{ text: '', index: 1, logprobs: null, finish_reason: 'content_filter' }], usage: { total_tokens: 5 } });
  t.match(JSON.parse(openaiCompletions.error('content_filter', 'blocked', 'r').body.toString()), { error: { param: 'prompt', code: 'content_filter', type: 'invalid_request_error' } });
  const whole = openaiCompletions.fallback(read({ prompt: 'a', model: 'm' }), 'safe', 'r', 5000);
  t.match(JSON.parse(whole.body.toString()), { id: 'cmpl-r', object: 'text_completion', created: 5, model: 'm', choices: [{ text: 'safe', index: 0, finish_reason: 'stop' }], usage: { total_tokens: 0 } });
  const streamed = openaiCompletions.fallback(read({ prompt: 'a', stream: true }), 'safe', 'r', 5000);
  t.match(streamed.contentType, 'text/event-stream');
  t.same(eventsOf(streamed.body).map((e) => [e.choices[0].text, e.choices[0].finish_reason, e.model]), [['safe', null, ''], ['', 'stop', '']]);
});

// Streams, however they are cut.

const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
const plain = planOf(EMPTY_POLICY);
const through = (plan: typeof redact, chunks: readonly Buffer[]): Guarded => guarded(plan, chunks, { dialect: openaiCompletions });

const event = (index: number, text: string, finish: string | null = null, more: object = {}): Buffer =>
  Buffer.from(`data: ${JSON.stringify({ id: 'cmpl-1', object: 'text_completion', created: 1, model: 'm', choices: [{ index, text, logprobs: null, finish_reason: finish, ...more }] })}\n\n`);
const DONE = Buffer.from('data: [DONE]\n\n');

/** Each choice's text as a client adds it up, and its finish reasons. */
function added(bytes: Buffer): Record<string, string> {
  const out: Record<string, string> = {};
  for (const { choices } of eventsOf(bytes)) {
    for (const { index, text, finish_reason: finish } of choices) out[index] = `${out[index] ?? ''}${text}${finish === null ? '' : ` <${finish}>`}`;
  }
  return out;
}

const SECRETS = ['maria.kowalska@mail.example.org', '4111 1111 1111 1111', '+1 202-555-0143', 'DE89370400440532013000'];
const WORDS = 'The report was late because 3 of 5 agreed, e.g. v1.2.3 or a@ b; "quoted" back\\slash naïve 日本 😀 {x}'.split(' ');

/** A text with secrets in it, and the parts around them. */
function planted(random: () => number): { readonly text: string; readonly parts: readonly string[] } {
  const words = Array.from({ length: 2 + Math.floor(random() * 8) }, () => WORDS[Math.floor(random() * WORDS.length)] as string);
  for (let i = 0; i <= random() * 2; i += 1) words.splice(Math.floor(random() * (words.length + 1)), 0, `\0${SECRETS[Math.floor(random() * SECRETS.length)]}\0`);
  const marked = words.join(' ');
  return { text: marked.replaceAll('\0', ''), parts: marked.split('\0').filter((_, i) => i % 2 === 0) };
}

/** Choices that take turns, cut as `storySeed` says. */
function story(storySeed: number): { readonly bytes: Buffer; readonly wanted: readonly { readonly text: string; readonly parts: readonly string[] }[] } {
  const random = randomOf(storySeed);
  const wanted = Array.from({ length: 1 + Math.floor(random() * 3) }, () => planted(random));
  const left = wanted.map(({ text }, i) => cutsOf(text, storySeed + i, 1 + random() * 6));
  const out: Buffer[] = [];
  for (let open = left.map((_, i) => i); open.length > 0; open = open.filter((i) => left[i]!.length > 0)) {
    const index = open[Math.floor(random() * open.length)]!;
    const text = left[index]!.shift() ?? '';
    const last = left[index]!.length === 0;
    out.push(event(index, text, last && random() < 0.5 ? 'stop' : null));
    if (last && !out.at(-1)!.includes('"stop"')) out.push(event(index, '', 'stop'));
  }
  return { bytes: Buffer.concat([...out, DONE]), wanted };
}

t.test('planted secrets leave nowhere, and everything around them does, whatever the cut', async (t) => {
  let events = 0;
  fc.assert(fc.property(fc.integer(), fc.integer(), (storySeed, cutSeed) => {
    const { bytes, wanted } = story(storySeed);
    const { bytes: out } = through(redact, cutBytes(bytes, cutSeed, [1, 7, 60, 5000][Math.abs(cutSeed) % 4]!));
    const got = added(out);
    wanted.forEach(({ parts, text }, i) => {
      const redacted = got[i]!.replace(/ <stop>$/, '');
      if (parts.length > 1 && redacted.replace(/\[[A-Z_]+\]/g, '\0') !== parts.join('\0')) throw new Error(`${JSON.stringify(redacted)} is not ${JSON.stringify(parts)}`);
      if (parts.length === 1 && redacted !== text) throw new Error(`changed: ${redacted}`);
    });
    if (!through(plain, cutBytes(bytes, cutSeed, 5)).bytes.equals(bytes)) throw new Error('an empty policy changed bytes');
    events += wanted.length;
  }), { numRuns: runs(1000), seed });
  t.ok(events >= runs(1000), `${events} texts, seed ${seed}`);
});

t.test('the smallest stream at every byte', async (t) => {
  const bytes = Buffer.concat([event(0, 'Mail ana@exam'), event(1, 'Card 4111 1111 '), event(0, 'ple.com', 'stop'), event(1, '1111 1111.'), event(1, '', 'length'), DONE]);
  for (let at = 0; at <= bytes.length; at += 1) {
    const { bytes: out } = through(redact, [bytes.subarray(0, at), bytes.subarray(at)]);
    if (at === 0) t.same(added(out), { 0: 'Mail [EMAIL] <stop>', 1: 'Card [CREDIT_CARD]. <length>' });
    else if (JSON.stringify(added(out)) !== JSON.stringify({ 0: 'Mail [EMAIL] <stop>', 1: 'Card [CREDIT_CARD]. <length>' })) t.fail(`cut at ${at}: ${JSON.stringify(added(out))}`);
  }
});

t.test('log-probabilities, offsets and token numbers go with the text that they tell', async (t) => {
  const logprobs = (text: string): object => ({ logprobs: { tokens: [text], token_logprobs: [-1], top_logprobs: [{ [text]: -1 }], text_offset: [0] }, token_ids: [1] });
  const stream = [event(0, 'Mail ', null, logprobs('Mail ')), event(1, 'Fine. ', null, logprobs('Fine. ')), event(0, 'ana@example.com', null, logprobs('ana@example.com')), event(0, ', yes.', 'stop', logprobs(', yes.')), DONE];
  const { bytes } = through(redact, stream);
  t.notMatch(bytes.toString(), /ana@|example/);
  t.same(eventsOf(bytes).map((e) => [e.choices[0].index, e.choices[0].logprobs === null, e.choices[0].token_ids === null]), [[0, false, false], [1, false, false], [0, true, true], [0, true, true]]);
  const body = { id: 'c', choices: [{ index: 0, text: 'Mail ana@example.com.', ...logprobs('ana@example.com'), finish_reason: 'stop' }] };
  const whole = JSON.parse(guarded(redact, [Buffer.from(JSON.stringify(body))], { dialect: openaiCompletions, mediaType: 'application/json' }).bytes.toString());
  t.match(whole.choices, [{ text: 'Mail [EMAIL].', logprobs: null, token_ids: null, finish_reason: 'stop' }]);
});

t.test('a block ends every open choice, and no finished one again', async (t) => {
  const { bytes, blocked } = through(block, [event(0, 'Over.', 'stop'), event(1, 'And so '), event(2, 'Mail ana@exam'), event(2, 'ple.com, yes.'), event(1, 'on'), DONE]);
  t.equal(blocked, true);
  t.same(added(bytes), { 0: 'Over. <stop>', 1: 'And so  <content_filter>', 2: 'Mail  <content_filter>' });
  t.match(bytes.toString(), /data: \[DONE\]\n\n$/);
});

t.test('recorded answers leave as the bytes they came in', { skip: skipReason }, async (t) => {
  const never = planOf("policy: test\ndefault_action: allow\npatterns:\n  - { id: never, label: NEVER, regex: 'zqxjk[0-9]{9}zq' }\nrules:\n  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: redact }\n");
  const all = recordings('completions');
  const different = [plain, never].flatMap((plan) => all.flatMap(({ file, bytes, stream, status }, i) => {
    const { bytes: out } = guarded(plan, cutBytes(bytes, i, 40), { dialect: openaiCompletions, status, mediaType: stream ? 'text/event-stream' : 'application/json' });
    return out.equals(bytes) ? [] : [file];
  }));
  t.same(different, [], `${all.length} answers`);
});
