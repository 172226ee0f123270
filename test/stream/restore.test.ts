/**
 * Pseudonyms put back as an answer flows: what leaves is the restored text, for every cut, in every channel; what the
 * output rules do about it is what they would do about the restored text; events without a token keep their bytes.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import { literalTokens, Pseudonyms, TOKENS } from '../../src/screen/pseudonyms.ts';
import type { OutputPlan } from '../../src/screen/output.ts';
import { compilePlan, type ScreeningPlan } from '../../src/screen/plan.ts';
import { JsonChannel, TextChannel, type Channel } from '../../src/stream/channel.ts';
import { createGuard } from '../../src/stream/guard.ts';
import { RestoringChannel } from '../../src/stream/restore.ts';
import { sliceEdited } from '../../src/text/edits.ts';
import { accumulated, cutBytes, eventsOf, guarded, STREAM_REQUEST } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

const VALUES: readonly (readonly [label: string, value: string])[] = [
  ['EMAIL', 'ana@example.com'], ['PHONE', '+1 212 555 0123'], ['NAME', 'Ana "Annie" O\\Neil'], ['ADDRESS', '1 Made-up Road\nTown'], ['EMAIL', 'é日本😀@example.org'], ['CREDIT_CARD', '4111 1111 1111 1111'],
];

/** ⟨EMAIL_1⟩ ⟨PHONE_1⟩ ⟨NAME_1⟩ ⟨ADDRESS_1⟩ ⟨EMAIL_2⟩ ⟨CREDIT_CARD_1⟩ */
function issued(): Pseudonyms {
  const pseudonyms = new Pseudonyms();
  for (const [label, value] of VALUES) pseudonyms.tokenOf(label, value);
  return pseudonyms;
}

function innerOf(plan: OutputPlan, kind: 'text' | 'json'): Channel {
  const judge = plan.openChannel();
  const Kind = kind === 'json' ? JsonChannel : TextChannel;
  return new Kind({ set: plan.patterns, judge: (component, text) => judge.judge(component, text) });
}

/** The text in pieces through a channel; a piece leaves when all of it is released, and is then forgotten, as an event is. */
function through(channel: Channel, pieces: readonly string[]): string {
  const waiting: { readonly text: string; readonly start: number }[] = [];
  let out = '';
  let before = 0;
  const leave = (): void => {
    const { released } = channel;
    if (released < before) throw new Error('what was released is taken back');
    before = released;
    for (let piece = waiting[0]; piece !== undefined && piece.start + piece.text.length <= released; piece = waiting[0]) {
      const end = piece.start + piece.text.length;
      out += sliceEdited(piece.text, piece.start, piece.start, end, channel.edits);
      channel.forget(end);
      waiting.shift();
    }
  };
  for (const text of pieces) {
    waiting.push({ text, start: channel.position });
    channel.feed(text);
    leave();
  }
  channel.close();
  leave();
  if (waiting.length > 0) throw new Error('something was never released');
  return out;
}

function restored(pseudonyms: Pseudonyms, pieces: readonly string[], plan: ScreeningPlan = planOf(EMPTY_POLICY), kind: 'text' | 'json' = 'text'): string {
  return through(new RestoringChannel(kind, (token) => pseudonyms.valueOf(token), innerOf(plan.forOutput({}), kind)), pieces);
}

const LOOKALIKES = ['⟨EMAIL_1⟩', '<email_2>', '[Phone_1]', '⟨EMAIL_', '⟨', '1⟩', '[', '<b>', '⟨NAME_999⟩', '⟨EMAIL\\_3⟩', '⟨⟨', 'EMAIL_1', '[EMAIL]', '〈NAME_1〉'];

t.test('for any text and any cut, what was made pseudonymous is restored', async (t) => {
  const part = fc.oneof(fc.constantFrom(...LOOKALIKES), fc.constantFrom(...VALUES.map(([, value]) => `\0${value}`)), fc.string({ maxLength: 6, unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')));
  fc.assert(fc.property(fc.array(part, { maxLength: 14 }), fc.integer(), (parts, cutSeed) => {
    const text = parts.map((p) => p.replace('\0', '')).join('');
    const pseudonyms = new Pseudonyms(literalTokens([{ content: text }]));
    const sent = parts.map((p) => (p.startsWith('\0') ? pseudonyms.tokenOf(VALUES.find(([, value]) => value === p.slice(1))![0], p.slice(1))! : p)).join('');
    for (const [, value] of VALUES) if (sent.includes(value)) return false;
    const opensJson = /^\s*[{[]/.test(sent); // a text that opens as JSON has its values escaped
    return opensJson || restored(pseudonyms, cutsOf(sent, cutSeed, 2)) === text;
  }), { numRuns: runs(2_000), seed });
  t.pass(`seed ${seed}`);
});

t.test('what a model keeps is restored: in another order, repeated, left out, re-cased, in other brackets', async (t) => {
  const pseudonyms = issued();
  const said = 'Write to **⟨email_2⟩**, "⟨EMAIL_1⟩" or <⟨Email_1⟩>; call <PHONE_1> or [phone_1], not 〈PHONE_1〉. Card: `⟨CREDIT\\_CARD\\_1⟩` ‹credit_card\\_1›. ⟨EMAIL_3⟩ ⟨EMAIL_1] ⟨EMAIL_01⟩ EMAIL_1 ⟨EMAIL_1 ⟩ ⟨EMAIL_1';
  const wanted = 'Write to **é日本😀@example.org**, "ana@example.com" or <ana@example.com>; call +1 212 555 0123 or +1 212 555 0123, not +1 212 555 0123. Card: `4111 1111 1111 1111` 4111 1111 1111 1111. ⟨EMAIL_3⟩ ⟨EMAIL_1] ⟨EMAIL_01⟩ EMAIL_1 ⟨EMAIL_1 ⟩ ⟨EMAIL_1';
  t.equal(restored(pseudonyms, [said]), wanted);
  t.equal(restored(pseudonyms, [...said]), wanted, 'character by character');
});

t.test('only what may become a token waits', async (t) => {
  const pseudonyms = issued();
  const channel = new RestoringChannel('text', (token) => pseudonyms.valueOf(token), innerOf(planOf(EMPTY_POLICY).forOutput({}), 'text'));
  const waiting = (text: string): number => {
    channel.feed(text);
    return channel.position - channel.released;
  };
  t.equal(waiting('Hello, a < b '), 0);
  t.equal(waiting('and ⟨'), 1);
  t.equal(waiting('EMAIL_1'), 8);
  t.equal(waiting('⟩'), 0);
  t.same(channel.edits.map(({ text }) => text), ['ana@example.com']);
  t.equal(waiting('⟨no more'), 0, 'a space is in no token');
  t.equal(channel.replaced, 0, 'a restoration is no redaction');
});

t.test('the longest token that can be written is restored, one upon another, at any cut', async (t) => {
  const pseudonyms = new Pseudonyms();
  const token = pseudonyms.tokenOf('LABEL_OF_TWENTY_FOUR_CHR', 'ana@example.com')!;
  const longest = `⟨L${'\\_'.repeat(23)}\\_123456⟩`;
  const said = `${token.replaceAll('_', '\\_')}${longest}`.repeat(4);
  t.equal(longest.length, TOKENS.holdChars, 'nothing longer is held');
  for (let cut = 0; cut < 30; cut += 1) t.equal(restored(pseudonyms, cutsOf(said, cut, 1 + (cut % 9))), `ana@example.com${longest}`.repeat(4));
});

t.test('JSON stays JSON, and says the value', async (t) => {
  const pseudonyms = issued();
  const sent = { to: '⟨EMAIL_1⟩', who: ['⟨NAME_1⟩', 'at ⟨ADDRESS_1⟩!'], n: 42, deep: { '⟨PHONE_1⟩': true }, other: 'a "quote" ⟨NAME_9⟩' };
  const wanted = { to: 'ana@example.com', who: ['Ana "Annie" O\\Neil', 'at 1 Made-up Road\nTown!'], n: 42, deep: { '+1 212 555 0123': true }, other: 'a "quote" ⟨NAME_9⟩' };
  for (const json of [JSON.stringify(sent), JSON.stringify(sent, null, 2), JSON.stringify(sent).replace(/⟨/g, '\\u27e8').replace(/⟩/g, '\\u27E9')]) {
    for (let cut = 0; cut < 40; cut += 1) {
      t.same(JSON.parse(restored(pseudonyms, cutsOf(json, cut, 3), planOf(EMPTY_POLICY), 'json')), wanted);
      if (!json.includes('\\u27')) t.same(JSON.parse(restored(pseudonyms, cutsOf(json, cut, 3))), wanted, 'also where a whole text is JSON');
    }
  }
});

t.test('the output rules read the restored text', async (t) => {
  const pseudonyms = issued();
  const plan = planOf(REDACT_PII);
  const cases = [
    ['mail ⟨EMAIL_1⟩ now', 'mail [EMAIL] now'],
    ['⟨EMAIL_1⟩.au and ⟨NAME_1⟩', '[EMAIL] and Ana "Annie" O\\Neil'],
    ['x⟨EMAIL_1⟩ ⟨CREDIT_CARD_1⟩, ben@example.net ⟨PHONE_1⟩⟨EMAIL_1⟩', undefined],
    ['card 4111 1111 ⟨HALF_1⟩ ok ⟨HALF_1⟩', 'card [CREDIT_CARD] ok 1111 1111'],
  ] as const;
  pseudonyms.tokenOf('HALF', '1111 1111');
  for (const [said, wanted] of cases) {
    const whole = said.replace(/⟨[A-Z_0-9]+⟩/g, (token) => pseudonyms.valueOf(token)!);
    const expected = through(innerOf(plan.forOutput({}), 'text'), [whole]);
    if (wanted !== undefined) t.equal(expected, wanted);
    for (let cut = 0; cut < 60; cut += 1) t.equal(restored(pseudonyms, cutsOf(said, cut, 1 + (cut % 7)), plan), expected, `${said}, cut ${cut}`);
  }
});

t.test('a redaction that begins in one value and ends in another is made once, at any cut', async (t) => {
  const plan = planOf(`policy: test\npatterns: [ { id: pair, label: PAIR, regex: 'b{1,3}-c{1,3}' } ]\nrules: [ { id: r, when: { score: patterns.pair, gte: 1 }, action: redact } ]\n`);
  const values = ['aab', 'b-', 'cca', '-c', 'bbb-ccc', 'x'];
  const pseudonyms = new Pseudonyms();
  const tokens = values.map((value) => pseudonyms.tokenOf('LONGER_THAN_ITS_VALUE', value)!);
  fc.assert(fc.property(fc.array(fc.constantFrom(...tokens, 'a', 'b', '-', 'c', '⟨'), { maxLength: 12 }), fc.integer(), (parts, cutSeed) => {
    const said = parts.join('');
    const whole = said.replace(/⟨LONGER_THAN_ITS_VALUE_\d⟩/g, (token) => pseudonyms.valueOf(token)!);
    return restored(pseudonyms, cutsOf(said, cutSeed, 2), plan) === through(innerOf(plan.forOutput({}), 'text'), [whole]);
  }), { numRuns: runs(2_000), seed });
  t.pass(`seed ${seed}`);
});

// The guard.

function restoring(plan: ScreeningPlan, pseudonyms: Pseudonyms): ScreeningPlan {
  return { ...plan, forOutput: (context) => plan.forOutput(context, pseudonyms) } as ScreeningPlan;
}

const event = (delta: object, more: object = {}): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`;
const END = `${event({}, { finish_reason: 'stop' })}data: [DONE]\n\n`;

t.test('a stream: tokens in pieces are restored in every channel; other events keep their bytes', async (t) => {
  const plan = restoring(planOf(EMPTY_POLICY), issued());
  const call = (text: string): object => ({ tool_calls: [{ index: 0, function: { arguments: text } }] });
  const untouched = ['data: {"choices" : [ {"index":0, "delta":{"content":"Dear [reader] \\u2014 "},"finish_reason":null} ]}\r\n\r\n', ': a comment\n\n', event({ content: 'x < y ' })];
  const events = [
    ...untouched, event({ content: 'mail ⟨EM' }), event({ reasoning_content: 'they said [phone_1]' }), event({ content: 'AIL_' }), event({ content: '1⟩ now' }), event({ refusal: '<NAME_1>' }),
    event(call('{"to":"⟨NA')), event(call('ME_1⟩","n":1')), event(call('}')), END,
  ];
  for (let cut = 0; cut < 25; cut += 1) {
    const { bytes } = guarded(plan, cutBytes(Buffer.from(events.join('')), cut, 20));
    t.same(accumulated(bytes), {
      '0/content': 'Dear [reader] — x < y mail ana@example.com now', '0/reasoning_content': 'they said +1 212 555 0123', '0/refusal': 'Ana "Annie" O\\Neil', '0/0/arguments': JSON.stringify({ to: 'Ana "Annie" O\\Neil', n: 1 }),
    });
    t.equal(bytes.subarray(0, Buffer.byteLength(untouched.join(''))).toString(), untouched.join(''));
    t.ok(bytes.toString().endsWith(END));
    t.equal(eventsOf(bytes).length, eventsOf(Buffer.from(events.join(''))).length, 'no event more, none less');
  }
});

t.test('a stream without a token of the session leaves as it came', async (t) => {
  const plan = restoring(planOf(REDACT_PII), issued());
  const bytes = Buffer.from([event({ content: 'see [1] and ⟨EMA' }), event({ content: 'IL_7⟩, <b>' }), event({ content: ' [CREDIT_CARD_9]' }), END].join(''));
  for (let cut = 0; cut < 25; cut += 1) t.equal(guarded(plan, cutBytes(bytes, cut, 9)).bytes.toString(), bytes.toString());
});

t.test('a whole answer', async (t) => {
  const body = (content: string, args: string): string => JSON.stringify({ id: 'c', choices: [{ index: 0, message: { role: 'assistant', content, tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: args } }] }, finish_reason: 'stop' }] });
  const said = body('To ⟨NAME_1⟩, [email_1]', '{"a":"⟨ADDRESS_1⟩"}');
  const wanted = body('To Ana "Annie" O\\Neil, ana@example.com', '{"a":"1 Made-up Road\\nTown"}');
  for (let cut = 0; cut < 10; cut += 1) t.equal(guarded(restoring(planOf(EMPTY_POLICY), issued()), cutBytes(Buffer.from(said), cut, 30), { mediaType: 'application/json' }).bytes.toString(), wanted);
  const redacted = guarded(restoring(planOf(REDACT_PII), issued()), [Buffer.from(said)], { mediaType: 'application/json' });
  t.match(redacted.bytes.toString(), 'To Ana \\"Annie\\" O\\\\Neil, [EMAIL]');
  t.equal(redacted.summary.decision.redactions, 1);
});

t.test('text that waits for scores is scored restored, and leaves restored', async (t) => {
  const seen: string[] = [];
  const scorer: Classifier = {
    id: 'scorer', version: '1', categories: [{ id: 'odd', definition: 'says Annie' }], directions: ['output'], contentTypes: ['text'], languages: ['*'], cost: 'fast', needsContext: false,
    async classify({ content }) {
      seen.push(content);
      const start = content.indexOf('Annie');
      return [{ classifier_id: 'scorer', category: 'odd', score: start < 0 ? 0 : 1, label: 'ODD', spans: start < 0 ? [] : [{ start, end: start + 5 }], latency_ms: 0 }];
    },
  };
  const policy = `policy: test\nrules: [ { id: odd, direction: output, when: { score: scorer.odd, gte: 0.5 }, action: redact } ]\n`;
  const plan = compilePlan(requirePolicy(policy, 'test.yaml'), [scorer], { file: 'test.yaml', deadlineMs: 5_000 });
  const said = 'A first sentence of some length for ⟨EMAIL_1⟩. A second one greets ⟨NAME_1⟩ and ends. ';
  for (let cut = 0; cut < 12; cut += 1) {
    seen.length = 0;
    const out: Buffer[] = [];
    await new Promise<void>((resolve) => {
      const guard = createGuard({
        dialect: openaiChat, request: STREAM_REQUEST, plan: plan.forOutput({}, issued()), requestId: 'r', status: 200, mediaType: 'text/event-stream', limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 },
        onBytes: (bytes) => void out.push(Buffer.from(bytes)),
        onDone: () => resolve(),
      });
      for (const piece of cutsOf(said, cut, 3)) guard.feed(Buffer.from(event({ content: piece })));
      guard.feed(Buffer.from(END));
      t.equal(out.length, 0, 'nothing leaves before its scores');
      guard.end();
    });
    t.same(seen, ['A first sentence of some length for ana@example.com. ', 'A second one greets Ana "Annie" O\\Neil and ends. ']);
    t.equal(accumulated(Buffer.concat(out))['0/content'], 'A first sentence of some length for ana@example.com. A second one greets Ana "[ODD]" O\\Neil and ends. ');
  }
});
