/**
 * The guard on streams and bodies: nothing changed means the same bytes; a match leaves nowhere, however the bytes and
 * the text are cut; what is around it stays.
 */
import fc from 'fast-check';
import t from 'tap';
import { openaiTranscription } from '../../src/dialect/openai-audio.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { createGuard } from '../../src/stream/guard.ts';
import { accumulated, cutBytes, eventsOf, guarded, STREAM_REQUEST } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const NEVER = `policy: test
default_action: allow
patterns:
  - { id: never, label: NEVER, regex: 'zqxjk[0-9]{9}zq' }
rules:
  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: redact }
`;

/** What clients misread is written anew (mend.test.ts). */
const isMisread = (stream: string): boolean => /^error:/m.test(stream) || !/(?:\n\n|\r\n\r\n)$/.test(stream);

t.test('recorded answers leave as the bytes they came in', { skip: skipReason }, async (t) => {
  for (const [name, policy] of [['an empty policy', EMPTY_POLICY], ['a rule that never matches', NEVER]] as const) {
    const plan = planOf(policy);
    const different: string[] = [];
    const all = recordings('chat').filter(({ stream, bytes }) => !stream || !isMisread(bytes.toString()));
    all.forEach(({ file, bytes, stream, status }, i) => {
      const { bytes: out } = guarded(plan, cutBytes(bytes, i, 40), { status, mediaType: stream ? 'text/event-stream' : 'application/json' });
      if (!out.equals(bytes)) different.push(file);
    });
    t.same(different, [], `${all.length} answers with ${name}`);
  }
});

const SECRETS = ['maria.kowalska+home@mail.example.org', '4111 1111 1111 1111', '5500-0000-0000-0004', 'DE89370400440532013000', 'GB82 WEST 1234 5698 7654 32', '078-05-1120', '192.168.13.77', `sk-proj-${'a1B2c3D4'.repeat(6)}`];
const WORDS = 'the quick report was late because our team met on Tuesday near 14 Main and 3 of 5 agreed, e.g. v1.2.3 or a@ b; it is 50% done "quoted" back\\slash naïve 日本 😀 (x) [y] {z}'.split(' ');

function planted(random: () => number): { text: string; parts: string[] } {
  const words = Array.from({ length: 3 + Math.floor(random() * 10) }, () => WORDS[Math.floor(random() * WORDS.length)] as string);
  for (let i = 0; i <= random() * 3; i += 1) words.splice(Math.floor(random() * (words.length + 1)), 0, `\0${SECRETS[Math.floor(random() * SECRETS.length)]}\0`);
  const marked = words.join(' ');
  return { text: marked.replaceAll('\0', ''), parts: marked.split('\0').filter((_, i) => i % 2 === 0) };
}

function fragments(text: string, random: () => number): string[] {
  const out: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = [1, 1, 2, 3, 4, 7, 12][Math.floor(random() * 7)] as number;
    out.push(text.slice(at, at + size));
    at += size;
  }
  return out;
}

const CHANNELS = ['content', 'refusal', 'reasoning', 'reasoning_content', 'arguments', 'function_call'] as const;

interface Story {
  readonly bytes: Buffer;
  readonly wanted: ReadonlyMap<string, { text: string; parts: string[] }>;
}

function delta(channel: string, fragment: string): object {
  if (channel === 'arguments') return { tool_calls: [{ index: 0, function: { arguments: fragment } }] };
  if (channel === 'function_call') return { function_call: { arguments: fragment } };
  return { [channel]: fragment };
}

function story(random: () => number): Story {
  const wanted = new Map<string, { text: string; parts: string[] }>();
  const lanes: { choice: number; channel: string; left: string[] }[] = [];
  const choices = random() < 0.3 ? 2 : 1;
  for (let choice = 0; choice < choices; choice += 1) {
    for (const channel of CHANNELS.filter(() => random() < 0.9)) {
      const one = planted(random);
      wanted.set(`${choice}/${channel === 'arguments' ? '0/arguments' : channel}`, one);
      const isJson = channel === 'arguments' || channel === 'function_call';
      lanes.push({ choice, channel, left: fragments(isJson ? JSON.stringify({ note: one.text, n: 3 }) : one.text, random) });
    }
  }
  const events: string[] = [];
  const chunk = (choice: number, body: object, finish: string | null): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: choice, delta: body, finish_reason: finish }] })}\n\n`;
  for (let live = lanes.filter((l) => l.left.length > 0); live.length > 0; live = lanes.filter((l) => l.left.length > 0)) {
    const lane = live[Math.floor(random() * live.length)] as (typeof lanes)[number];
    events.push(chunk(lane.choice, delta(lane.channel, lane.left.shift() as string), null));
    if (random() < 0.02) events.push(': keep-alive\n\n');
  }
  for (let choice = 0; choice < choices; choice += 1) {
    const lastText = random() < 0.2 ? ' bye' : '';
    if (lastText !== '') {
      const key = `${choice}/content`;
      const before = wanted.get(key) ?? { text: '', parts: [''] };
      wanted.set(key, { text: before.text + lastText, parts: [...before.parts.slice(0, -1), `${before.parts.at(-1)}${lastText}`] });
    }
    events.push(chunk(choice, lastText === '' ? {} : { content: lastText }, 'stop'));
  }
  return { bytes: Buffer.from(`${events.join('')}data: [DONE]\n\n`), wanted };
}

const plan = planOf(REDACT_PII);
const flat = (text: string): string => text.replace(/[ -]/g, '');

function firstFault({ bytes, wanted }: Story, cutSeed: number): string | undefined {
  const chunks = cutBytes(bytes, cutSeed, [3, 20, 200, 5000][Math.abs(cutSeed) % 4] as number);
  const { bytes: out, prefix } = guarded(plan, chunks);
  const got = accumulated(out);
  for (const [key, { text, parts }] of wanted) {
    let redacted = got[key] ?? '';
    if (key.endsWith('arguments') || key.endsWith('function_call')) {
      try {
        redacted = (JSON.parse(redacted) as { note: string }).note;
      } catch {
        return `${key}: the arguments are no JSON any more`;
      }
    }
    if (SECRETS.some((secret) => flat(redacted).includes(flat(secret)))) return `${key}: a secret left`;
    if (redacted.replace(/\[[A-Z_]+\]/g, '\0') !== parts.join('\0') && parts.length > 1) return `${key}: ${JSON.stringify(redacted)} is not ${JSON.stringify(parts)}`;
    if (parts.length === 1 && redacted !== text) return `${key}: text changed`;
  }
  const early = prefix(Math.abs(cutSeed) % chunks.length);
  return out.subarray(0, early.length).equals(early) ? undefined : 'what left changed later';
}

t.test('planted secrets leave in no channel, and everything around them does', async (t) => {
  const tried = new Map<string, number>();
  fc.assert(
    fc.property(fc.integer(), fc.integer(), (storySeed, cutSeed) => {
      const one = story(randomOf(storySeed));
      for (const key of one.wanted.keys()) tried.set(key.slice(2), (tried.get(key.slice(2)) ?? 0) + 1);
      const fault = firstFault(one, cutSeed);
      if (fault !== undefined) throw new Error(fault);
    }),
    { numRuns: runs(10_000), seed },
  );
  t.equal(tried.size, CHANNELS.length);
  for (const [channel, times] of tried) t.ok(times >= runs(10_000), `${channel}: ${times} texts, seed ${seed}`);
});

t.test('the finish chunk may carry text, and what waits leaves before or with it', async (t) => {
  const chunk = (body: object, finish: string | null = null): string => `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: body, finish_reason: finish }] })}\n\n`;
  const bytes = Buffer.from(`${chunk({ content: 'write to ana@exam' })}${chunk({ content: 'ple.com' }, 'stop')}data: [DONE]\n\n`);
  const events = eventsOf(guarded(plan, [bytes]).bytes);
  t.same(events.map((e) => e.choices[0].delta.content), ['write to [EMAIL]', '']);
  t.equal(events[1].choices[0].finish_reason, 'stop');
});

t.test('a word leaves with the space after it; an event that waits keeps its place', async (t) => {
  const tokens = ['The', ' quick', ' report', ' was', ' late', ' and', ' more', ' is to come', '.'];
  const chunks = tokens.map((content) => Buffer.from(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`));
  const { prefix } = guarded(plan, chunks);
  tokens.slice(0, -1).forEach((token, i) => t.equal(accumulated(prefix(i))['0/content'] ?? '', tokens.slice(0, i).join(''), `after ${JSON.stringify(token)}`));
});

t.test('log-probabilities of a choice go from the first event that was changed', async (t) => {
  const chunk = (index: number, content: string): string => `data: ${JSON.stringify({ choices: [{ index, delta: { content }, logprobs: { content: [{ token: content, bytes: [1], top_logprobs: [] }] } }] })}\n\n`;
  const bytes = Buffer.from(chunk(0, 'hi ') + chunk(1, 'ho ') + chunk(0, 'ana@example.com, ') + chunk(0, 'bye ') + chunk(1, 'ho ') + 'data: [DONE]\n\n');
  const events = eventsOf(guarded(plan, [bytes]).bytes);
  t.same(events.map((e) => e.choices[0].logprobs === null), [false, false, true, true, false]);
});

t.test('a blocked stream ends as the client expects, and the match does not leave', async (t) => {
  const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
  const chunk = (index: number, content: string): string => `data: ${JSON.stringify({ id: 'c7', model: 'm', created: 5, choices: [{ index, delta: { content } }] })}\n\n`;
  const { bytes, blocked, summary } = guarded(block, [Buffer.from(chunk(0, 'I am ') + chunk(1, 'and so ') + chunk(0, 'ana@example.com, ') + chunk(0, 'bye'))]);
  t.equal(blocked, true);
  t.equal(summary.decision.action, 'block');
  t.same(summary.decision.triggered_rules, ['pii']);
  const events = eventsOf(bytes);
  t.same(events.map((e) => [e.choices[0].index, e.choices[0].delta.content ?? null, e.choices[0].finish_reason ?? null]), [[0, 'I am ', null], [1, 'and so ', null], [0, null, 'content_filter'], [1, null, 'content_filter']]);
  t.ok(events.every((e) => e.id === 'c7'));
  t.match(bytes.toString(), /data: \[DONE\]\n\n$/);
});

t.test('a blocked whole answer keeps its envelope and loses its text', async (t) => {
  const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
  const body = { id: 'c1', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'write ana@example.com' }, finish_reason: 'stop' }], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } };
  const { bytes, blocked } = guarded(block, [Buffer.from(JSON.stringify(body))], { mediaType: 'application/json' });
  t.equal(blocked, true);
  const out = JSON.parse(bytes.toString());
  t.equal(out.choices[0].finish_reason, 'content_filter');
  t.equal(out.choices[0].message.content, '');
  t.equal(out.usage.total_tokens, 7);
});

t.test('numbers, keys and escapes in arguments', async (t) => {
  const cases: [string, string][] = [
    ['{"card": 4111111111111111, "n": 1}', '{"card": "[CREDIT_CARD]", "n": 1}'],
    ['{"mail":"ana\\u0040example.com"}', '{"mail":"[EMAIL]"}'],
    ['{"ana@example.com":true}', '{"[EMAIL]":true}'],
    ['{"a":"say \\"ana@example.com\\""}', '{"a":"say \\"[EMAIL]\\""}'],
    ["{'card': '4111 1111 1111 1111'}", "{'card': '[CREDIT_CARD]'}"],
    ['{"a":"\\', '{"a":"\\'],
    ['plain ana@example.com words', 'plain [EMAIL] words'],
  ];
  for (const [given, expected] of cases) {
    for (const size of [1, 2, 5, 100]) {
      const chunks = given.match(new RegExp(`[^]{1,${size}}`, 'g')) as string[];
      const bytes = Buffer.from(chunks.map((c) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: [{ index: 0, function: { arguments: c } }] } }] })}\n\n`).join(''));
      t.equal(accumulated(guarded(plan, [bytes]).bytes)['0/0/arguments'], expected, `${given} in pieces of ${size}`);
    }
  }
});

t.test('a held event does not stall the others for ever', async (t) => {
  const chunk = (body: object, finish: string | null = null): string => `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, delta: body, finish_reason: finish }] })}\n\n`;
  const calls = Array.from({ length: 100 }, (_, i) => chunk({ tool_calls: [{ index: 0, function: { arguments: i === 0 ? '[' : `${i}, ` } }] }));
  const head = chunk({ content: 'Let me save' });
  const { bytes, prefix } = guarded(plan, [head, ...calls, chunk({}, 'tool_calls'), 'data: [DONE]\n\n'].map((s) => Buffer.from(s)));
  t.equal(accumulated(bytes)['0/content'], 'Let me save');
  t.match(accumulated(prefix(60))['0/0/arguments'], '[1, 2, 3', 'the arguments flow while the last word of the text waits');
  t.equal(accumulated(prefix(60))['0/content'], 'Let me ');
  t.ok(eventsOf(bytes).findIndex((e) => e.choices[0].finish_reason !== null) === eventsOf(bytes).length - 1, 'the finish chunk stays last');
});

t.test('text that is no JSON is screened as text', async (t) => {
  t.equal(guarded(plan, [Buffer.from('4111111111111111')], { status: 502, mediaType: 'text/plain' }).bytes.toString(), '[CREDIT_CARD]', 'a number is a text');
  t.match(guarded(plan, [Buffer.from('data: 4111111111111111\n\n')]).bytes.toString(), /^data: \[CREDIT_CARD\]/);
  t.equal(guarded(plan, [Buffer.from('error: ana@example.com is unknown')], { status: 502, mediaType: 'text/plain' }).bytes.toString(), 'error: [EMAIL] is unknown');
  t.match(guarded(plan, [Buffer.from('data: oops ana@example.com\n\ndata: [DONE]\n\n')]).bytes.toString(), 'oops [EMAIL]');
  t.match(guarded(plan, [Buffer.from('error: ana@example.com\n\n')]).bytes.toString(), /^data: .*\[EMAIL\]/s);
});

const chunkOf = (body: object, finish: string | null = null, index = 0): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', choices: [{ index, delta: body, finish_reason: finish }] })}\n\n`);
const DONE = Buffer.from('data: [DONE]\n\n');

t.test('the first byte that is not white space tells what an answer is', async (t) => {
  const body = JSON.stringify({ choices: [{ index: 0, message: { content: 'to ana@example.com' } }] });
  const padded = guarded(plan, ['\n', '\n\n', ` ${body}`, '\n'].map((s) => Buffer.from(s)), { mediaType: 'application/json' });
  t.equal(padded.bytes.toString(), `\n\n\n ${body.replace('ana@example.com', '[EMAIL]')}\n`);
  t.equal(guarded(plan, [Buffer.from(body)]).bytes.toString(), body.replace('ana@example.com', '[EMAIL]'), 'a whole answer to a stream request stays one');
  t.match(guarded(plan, [Buffer.from('\n'), chunkOf({ content: 'to ana@example.com' }), DONE], { mediaType: 'application/json' }).bytes.toString(), '[EMAIL]', 'a stream under a JSON media type is one');
  t.equal(guarded(plan, []).bytes.length, 0);
  t.equal(guarded(plan, [Buffer.alloc(0), Buffer.from('  ')], { mediaType: 'application/json' }).bytes.toString(), '  ');
});

t.test('a stream without an end marker or a last empty line still gives out what it held', async (t) => {
  const { bytes } = guarded(plan, [chunkOf({ content: 'see' }), Buffer.from(chunkOf({ content: ' you' }).toString().trimEnd())]);
  t.equal(accumulated(bytes)['0/content'], 'see you');
});

t.test('limits: an answer as large as allowed passes, a larger one is an error', async (t) => {
  const make = (max: number) => createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType: 'application/json', limits: { eventBytesMax: 100, responseBytesMax: max }, onBytes: () => undefined, onDone: () => undefined });
  t.throws(() => make(9).feed(Buffer.from('{"a":"bc"}')), { code: 'response_too_large' });
  const guard = make(10);
  guard.feed(Buffer.from('{"a":"bc"}'));
  guard.end();
  guard.end();
  guard.feed(Buffer.from('more'));
  t.pass('what comes after the end is ignored');
});

t.test('an upstream that dies: an error frame in a stream, nothing before an answer began, and nothing held leaves', async (t) => {
  const make = (mediaType: string, out: Buffer[]) => createGuard({ dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}), requestId: 'r', status: 200, mediaType, limits: { eventBytesMax: 1000, responseBytesMax: 1000 }, onBytes: (b) => void out.push(b), onDone: () => t.fail('a failure is no end') });
  const out: Buffer[] = [];
  const stream = make('text/event-stream', out);
  stream.feed(Buffer.concat([chunkOf({ content: 'to ' }), chunkOf({ content: 'ana@example.co' })]));
  t.match(stream.fail('upstream_unreachable', 'gone')?.toString(), /"error":\{"message":"gone"/);
  t.equal(stream.fail('upstream_unreachable', 'gone'), undefined, 'once');
  stream.end();
  t.equal(accumulated(Buffer.concat(out))['0/content'], 'to ');
  const body = make('application/json', []);
  body.feed(Buffer.from('{"half":'));
  t.equal(body.fail('upstream_timeout', 'late'), undefined);
});

t.test('what the policy says before any text', async (t) => {
  const closed = planOf('policy: test\ndefault_action: block\nrules: []\n');
  const stream = guarded(closed, [chunkOf({ content: 'hello' }), DONE]);
  t.equal(stream.blocked, true);
  t.same(eventsOf(stream.bytes).map((e) => e.choices[0].finish_reason), ['content_filter']);
  const body = guarded(closed, [Buffer.from(JSON.stringify({ choices: [{ index: 0, message: { content: 'hello' }, finish_reason: 'stop' }] }))], { mediaType: 'application/json' });
  t.match(JSON.parse(body.bytes.toString()), { choices: [{ message: { content: '' }, finish_reason: 'content_filter' }] });
  const plain = guarded(closed, [Buffer.from('oops')], { mediaType: 'text/plain', status: 500 });
  t.notMatch(plain.bytes.toString(), 'oops');
});

t.test('replace and fallback end a stream with the message of the policy', async (t) => {
  const story = [chunkOf({ content: 'I am ana@example.com ' }), DONE];
  const said = (policy: string): unknown => eventsOf(guarded(planOf(policy), story).bytes).map((e) => [e.choices[0].delta.content ?? null, e.choices[0].finish_reason]);
  t.same(said(REDACT_PII.replace('action: redact', 'action: replace, message: No.')), [['I am ', null], ['No.', null], [null, 'stop']]);
  t.same(said(`message: Sorry.\n${REDACT_PII.replace('action: redact', 'action: replace')}`), [['I am ', null], ['Sorry.', null], [null, 'stop']]);
  t.same(said(`on_block: fallback\nmessage: Sorry.\n${REDACT_PII.replace('action: redact', 'action: block')}`), [['I am ', null], ['Sorry.', null], [null, 'stop']]);
});

t.test('a block inside arguments sends none of the event; at the end of a stream it still ends it', async (t) => {
  const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
  const inArguments = guarded(block, [chunkOf({ tool_calls: [{ index: 0, id: 'x', function: { name: 'f', arguments: '{"a":"ana@example.com"' } }] }), DONE]);
  t.equal(accumulated(inArguments.bytes)['0/0/arguments'], undefined);
  for (const end of [[DONE], [], [Buffer.from('data: [DONE]')], [chunkOf({}, 'stop'), DONE], [chunkOf({ content: '.' }, 'stop')]]) {
    const { bytes, blocked } = guarded(block, [chunkOf({ content: 'to ana@example.com' }), ...end]);
    t.equal(blocked, true);
    t.equal(accumulated(bytes)['0/content'], 'to ');
    t.match(bytes.toString(), /content_filter.*\[DONE\]\n\n$/s);
  }
});

t.test('many events behind a held one', async (t) => {
  const words = Array.from({ length: 40 }, () => chunkOf({ content: 'a' }));
  t.equal(accumulated(guarded(plan, [Buffer.concat([...words, DONE])]).bytes)['0/content'], 'a'.repeat(40), 'of its own channel: all wait, none is lost');
  const others = Array.from({ length: 40 }, (_, i) => chunkOf({ reasoning: ` ${i}` }));
  const split = guarded(plan, [chunkOf({ content: 'Let me see' }), ...others, chunkOf({ content: 'n it' }), chunkOf({}, 'stop'), DONE]);
  t.equal(accumulated(split.bytes)['0/content'], 'Let me seen it', 'the rest of a split event leaves with the next of its channel');
  const calls = Array.from({ length: 40 }, (_, i) => chunkOf({ content: `${i} ` }));
  const held = guarded(plan, [chunkOf({ tool_calls: [{ index: 0, function: { arguments: '{"a":"bob' } }] }), ...calls, DONE]);
  t.equal(accumulated(held.bytes)['0/0/arguments'], '{"a":"bob', 'arguments are never split');
  const secret = guarded(plan, [chunkOf({ content: 'Mail ana@example.co' }), ...others, chunkOf({ content: 'm' }), chunkOf({}, 'stop'), DONE]);
  t.equal(accumulated(secret.bytes)['0/content'], 'Mail [EMAIL]');
  const ended = guarded(plan, [chunkOf({ content: 'Mail ana@example.com' }), ...others, DONE]);
  t.equal(accumulated(ended.bytes)['0/content'], 'Mail [EMAIL]', 'by itself at the end of the stream');
});

t.test('a server that sends the whole text so far in every chunk', async (t) => {
  const pieces = ['Mail ', 'ana@exam', 'ple.com', ' or', ' bob', '@example.com', '.'];
  const cumulative = pieces.map((content, i) => ({ message: { role: 'assistant', content: pieces.slice(0, i + 1).join('') }, delta: { role: 'assistant', content } }));
  const chunk = (choice: object): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, ...choice }] })}\n\n`);
  const others = Array.from({ length: 20 }, (_, i) => chunk({ delta: { reasoning: ` ${i}` } }));
  for (const between of [[], others]) {
    const { bytes } = guarded(plan, [...cumulative.flatMap((choice) => [chunk(choice), ...between]), chunk({ message: { content: pieces.join('') }, delta: {}, finish_reason: 'stop' }), DONE]);
    t.equal(accumulated(bytes)['0/content'], 'Mail [EMAIL] or [EMAIL].');
    let text = '';
    for (const { choices: [{ delta, message }] } of eventsOf(bytes)) {
      text += delta.content ?? '';
      if (message !== undefined) t.equal(message.content, text, 'and it is what left so far');
    }
  }
  const odd = guarded(plan, [chunk({ message: { content: 'Mail ana@example.com' }, delta: { content: 'Mail' } }), DONE]);
  t.match(eventsOf(odd.bytes), [{ choices: [{ delta: { content: 'Mail' }, message: { content: 'Mail [EMAIL]' } }] }], 'where it is another text, it is screened as such');
});

t.test('a server that sends nothing but the whole text so far: no chunk shows a part of a match', async (t) => {
  const text = 'Mail ana@example.com or bob@example.com.';
  const chunk = (content: string, finish: string | null = null): Buffer => Buffer.from(`data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: finish }] })}\n\n`);
  for (let step = 1; step < 12; step += 1) {
    const lengths = Array.from({ length: Math.ceil(text.length / step) }, (_, i) => Math.min(text.length, (i + 1) * step));
    const shown = eventsOf(guarded(plan, [...lengths.map((length) => chunk(text.slice(0, length))), chunk(text, 'stop'), DONE]).bytes).map(({ choices: [{ message }] }) => message.content as string);
    t.equal(shown.at(-1), 'Mail [EMAIL] or [EMAIL].', `steps of ${step}: the finish has all of it`);
    t.same(shown.filter((part) => !'Mail [EMAIL] or [EMAIL].'.startsWith(part)), []);
  }
  const two = [0, 1].map((index) => Buffer.from(`data: ${JSON.stringify({ choices: [{ index, message: { content: 'Mail ana@exam' } }, { index: 2, delta: { content: 'x' } }] })}\n\n`));
  t.same(eventsOf(guarded(plan, [...two, DONE]).bytes).map(({ choices: [{ message }] }) => message.content), ['Mail ', 'Mail '], 'whatever other choices do');
});

t.test('a record names a thousand carriers at most', async (t) => {
  const chunks = Array.from({ length: 1_100 }, (_, i) => chunkOf({ [`field${i}`]: 'x' }));
  t.equal(guarded(plan, [...chunks, DONE]).summary.decision.coverage.screened.length, 1_000);
});

t.test('a stream that ends without its end marker gives out the rest of an event that was sent in two', async (t) => {
  const others = Array.from({ length: 40 }, (_, i) => chunkOf({ reasoning: ` ${i}` }));
  t.equal(accumulated(guarded(plan, [chunkOf({ content: 'Let me see' }), ...others]).bytes)['0/content'], 'Let me see');
});

t.test('a match that the gap before the next word ends is blocked there', async (t) => {
  const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
  const body = Buffer.from(JSON.stringify({ words: [{ word: 'ana@example.com' }, { word: 'knows' }] }));
  const end: { blocked: boolean; error?: Error }[] = [];
  const guard = createGuard({ dialect: openaiTranscription, request: { ...STREAM_REQUEST, stream: false }, plan: block.forOutput({}), requestId: 'r', status: 200, mediaType: 'application/json', limits: { eventBytesMax: 1000, responseBytesMax: 1000 }, onBytes: () => undefined, onDone: (done) => end.push(done) });
  guard.feed(body);
  guard.end();
  t.match(end, [{ blocked: true }]);
});

t.test('the summary counts and names, and holds no text', async (t) => {
  const { summary } = guarded(plan, [chunkOf({ content: 'to ana@example.com, bob@example.org and ' }), chunkOf({ refusal: '4111 1111 1111 1111' }, 'stop'), Buffer.from('data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'), DONE]);
  t.match(summary.decision, { action: 'redact', triggered_rules: ['pii'], redactions: 3, coverage: { screened: ['choices[].delta.content', 'choices[].delta.refusal'] } });
  t.same(summary.decision.classifier_results.map((r) => [r.category, r.score]).sort(), [['CREDIT_CARD', 1], ['EMAIL', 1]]);
  t.same(summary.usage, { inputTokens: 3, outputTokens: 4 });
  t.ok(summary.heldCharsMax > 0 && summary.heldMsTotal >= 0);
  t.notMatch(JSON.stringify(summary), /example|4111/);
});

t.test('a rule whose score is missing is listed, and blocks or not as the policy says', async (t) => {
  const policy = (onUnknown: string): string => `${REDACT_PII.replace('rules:', `on_unknown: ${onUnknown}\nrules:\n  - { id: judge, priority: 0, direction: output, when: { score: judge.toxic, gte: 0.5 }, action: block }`)}`;
  const open = guarded(planOf(policy('open')), [chunkOf({ content: 'hello ana@example.com ' }), DONE]);
  t.match(open.summary.decision, { action: 'redact', degraded: ['judge'] });
  const closed = guarded(planOf(policy('closed')), [chunkOf({ content: 'hello ' }), DONE]);
  t.match(closed.summary.decision, { action: 'block', degraded: ['judge'] });
  t.equal(accumulated(closed.bytes)['0/content'], undefined);
});
