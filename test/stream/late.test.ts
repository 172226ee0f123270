/**
 * Answers that nothing holds for scores: whoever looks at them after the fact is told of every window, of the last one
 * too when the stream breaks off; and an answer that is cut from outside ends as a blocked one does, in every dialect.
 */
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { PolicyDecision } from '../../src/contract/policy.ts';
import { anthropicMessages } from '../../src/dialect/anthropic-messages.ts';
import type { Dialect } from '../../src/dialect/dialect.ts';
import { openaiSpeech } from '../../src/dialect/openai-audio.ts';
import { openaiChat } from '../../src/dialect/openai-chat.ts';
import { openaiEmbeddings } from '../../src/dialect/openai-embeddings.ts';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';
import { requirePolicy } from '../../src/policy/parse.ts';
import type { LateVerdict, LateVerdicts } from '../../src/screen/output.ts';
import { compilePlan } from '../../src/screen/plan.ts';
import { createGuard, type Guard } from '../../src/stream/guard.ts';
import { messageEvents, readStream } from '../helpers/anthropic.ts';
import { accumulated, eventsOf, STREAM_REQUEST } from '../helpers/guarded.ts';
import { framesOf, responseEvents } from '../helpers/responses.ts';
import { chatEvents } from '../helpers/upstream.ts';

/** Notes the texts it was asked about; whatever says `bad` is. */
function scorer(id: string, cost: Classifier['cost'], seen: string[]): Classifier {
  return {
    id, version: '1', categories: [{ id: 'bad', definition: 'says bad' }], directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], cost, needsContext: false,
    async classify({ content }) {
      seen.push(content);
      return content.includes('bad') ? [{ classifier_id: id, category: 'bad', score: 1, label: 'BAD', spans: [], latency_ms: 0 }] : [];
    },
  };
}

/** Collects verdicts, as the exchange does. */
class Verdicts implements LateVerdicts {
  readonly signal = new AbortController().signal;
  readonly all: Promise<LateVerdict>[] = [];

  watch(_direction: 'input' | 'output', verdict: Promise<LateVerdict>): void {
    this.all.push(verdict);
  }

  async actions(): Promise<string[]> {
    return (await Promise.all(this.all)).map(({ decision, isNews }) => `${decision.action}${isNews ? '' : ', known'}`);
  }
}

interface Guarded {
  readonly guard: Guard;
  readonly verdicts: Verdicts;
  readonly slow: readonly string[];
  readonly fast: readonly string[];
  readonly out: Buffer[];
  readonly ends: { readonly blocked: boolean; readonly error?: Error }[];
  text(): string;
}

function guarded(mode: 'sync' | 'hybrid' | 'async', options: { dialect?: Dialect; mediaType?: string; stream?: boolean; rules?: string; policy?: string } = {}): Guarded {
  const [slow, fast, out, ends]: [string[], string[], Buffer[], Guarded['ends']] = [[], [], [], []];
  const rules = options.rules ?? '  - { id: bad, direction: output, when: { any: [ { score: slow.bad, gte: 0.5 }, { score: fast.bad, gte: 0.5 } ] }, action: block }';
  const policy = requirePolicy(`policy: p\nscreening: { mode: ${mode} }\n${options.policy ?? ''}\nrules:\n${rules}\n`, 'p.yaml');
  const plan = compilePlan(policy, [scorer('slow', 'slow', slow), scorer('fast', 'fast', fast)], { file: 'p.yaml', deadlineMs: 5_000 });
  const verdicts = new Verdicts();
  const guard = createGuard({
    dialect: options.dialect ?? openaiChat, request: { ...STREAM_REQUEST, stream: options.stream !== false }, plan: plan.forOutput({}, undefined, verdicts), requestId: 'r', status: 200, mediaType: options.mediaType ?? 'text/event-stream',
    limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 20 }, onBytes: (bytes) => void out.push(bytes), onDone: (end) => void ends.push(end),
  });
  return { guard, verdicts, slow, fast, out, ends, text: () => accumulated(Buffer.concat(out))['0/content'] ?? '' };
}

const SENTENCES = ['The first sentence is fine. ', 'The second one is bad, it is. ', 'And a third'];

t.test('async: text leaves as it comes, the end waits for nobody, and every window is told of', async (t) => {
  const { guard, verdicts, slow, fast, ends, text } = guarded('async');
  const events = chatEvents(SENTENCES);
  for (const [i, event] of events.slice(0, 3).entries()) {
    guard.feed(Buffer.from(event));
    t.equal(text(), SENTENCES.slice(0, i + 1).join(''));
  }
  guard.feed(Buffer.from(events.slice(3).join('')));
  guard.end();
  t.same(ends, [{ blocked: false }], 'done, before any score is there');
  t.same(await verdicts.actions(), ['allow, known', 'block', 'block']);
  t.same([slow, fast], [SENTENCES, SENTENCES]);
});

t.test('hybrid: text waits for the fast, and the slow follow', async (t) => {
  const { guard, verdicts, slow, fast, ends, text } = guarded('hybrid', { rules: '  - { id: bad, direction: output, when: { score: slow.bad, gte: 0.5 }, action: block }\n  - { id: also, direction: output, when: { score: fast.bad, gte: 2 }, action: block }'.replace('gte: 2', 'gte: 1') });
  guard.feed(Buffer.from(chatEvents(['The first sentence is fine. '])[0]!));
  t.equal(text(), '', 'the window waits');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(text(), 'The first sentence is fine. ');
  guard.feed(Buffer.from(chatEvents([]).join('')));
  guard.end();
  t.same([slow, fast, ends], [['The first sentence is fine. '], ['The first sentence is fine. '], [{ blocked: false }]]);
  t.same(await verdicts.actions(), ['allow, known']);
});

t.test('hybrid: what only the slow are asked about waits for nothing', async (t) => {
  const { guard, verdicts, fast, text } = guarded('hybrid', { rules: '  - { id: bad, direction: output, when: { score: slow.bad, gte: 0.5 }, action: escalate }' });
  guard.feed(Buffer.from(chatEvents([SENTENCES[1]!])[0]!));
  t.equal(text(), SENTENCES[1]);
  t.same(await verdicts.actions(), ['escalate']);
  t.same(fast, []);
});

t.test('sync, or nobody to tell: nothing follows', async (t) => {
  const { guard, verdicts, slow, ends } = guarded('sync');
  guard.feed(Buffer.from(chatEvents(SENTENCES).join('')));
  guard.end();
  t.same(ends, []);
  await new Promise((resolve) => setImmediate(resolve));
  t.match(ends, [{ blocked: true }]);
  t.same([verdicts.all.length, slow[0]], [0, SENTENCES[0]]);
});

t.test('arguments are one window; a stream that breaks off tells of the one it was in', async (t) => {
  const call = (text: string): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta: { tool_calls: [{ index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: text } }] }, finish_reason: null }] })}\n\n`;
  const { guard, verdicts, slow } = guarded('async');
  guard.feed(Buffer.from(call('{"first":"A sentence that ends here. ') + call('And another that is bad')));
  t.same(slow.filter((text) => text.includes('sentence')), [], 'arguments are not told of by the sentence');
  guard.fail('upstream_unreachable', 'gone');
  t.match(slow.at(-1), /first.*A sentence that ends here\. And another that is bad$/);
  t.ok((await verdicts.actions()).includes('block'));
  guard.fail('upstream_unreachable', 'gone');
  t.equal(verdicts.all.length, slow.length, 'told once');
});

t.test('what was decided in time is no news after the fact', async (t) => {
  const { guard, verdicts } = guarded('async', { policy: 'patterns:\n  - { id: word, literal: [sentence] }', rules: '  - { id: word, direction: output, when: { score: patterns.word, gte: 1 }, action: redact }\n  - { id: bad, direction: output, when: { score: slow.bad, gte: 0.5 }, action: block }' });
  guard.feed(Buffer.from(chatEvents(SENTENCES).join('')));
  guard.end();
  t.same(await verdicts.actions(), ['redact, known', 'redact, known', 'redact, known']);
});

// Cut from outside.

const CUT: PolicyDecision = { action: 'block', matched: [], triggered_rules: ['late'], degraded: [] };

t.test('a chat stream', async (t) => {
  const { guard, out, ends, text } = guarded('async');
  guard.feed(Buffer.from(chatEvents(['Hello ', 'there'])[0]!));
  guard.cut(CUT);
  t.same([ends, text()], [[{ blocked: true }], 'Hello ']);
  t.equal(eventsOf(Buffer.concat(out)).at(-1).choices[0].finish_reason, 'content_filter');
  t.match(Buffer.concat(out).toString(), /data: \[DONE\]\n\n$/);
  t.match(guard.summary().decision, { action: 'allow', triggered_rules: [] }, 'what was decided in time stays what it was');
  const before = out.length;
  guard.cut(CUT);
  guard.feed(Buffer.from(chatEvents(['more'])[0]!));
  t.same([ends.length, out.length], [1, before], 'once');
});

t.test('a stream of which nothing has come yet, and one whose policy answers instead', async (t) => {
  const { guard, out, ends } = guarded('async');
  guard.cut(CUT);
  t.same(ends, [{ blocked: true }]);
  t.match(Buffer.concat(out).toString(), /^data: .*content_filter.*\n\ndata: \[DONE\]\n\n$/s);
  const said = guarded('async', { policy: 'on_block: fallback\nmessage: Let us talk of something else.' });
  said.guard.feed(Buffer.from(chatEvents(['Hello. '])[0]!));
  said.guard.cut(CUT);
  t.match(said.text(), /Hello\. .*something else/);
});

t.test('whole answers, streams of other dialects, and an endpoint that can only say so in an error', async (t) => {
  const whole = guarded('async', { mediaType: 'application/json', stream: false });
  whole.guard.feed(Buffer.from('{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"bad'));
  whole.guard.cut(CUT);
  t.match(JSON.parse(Buffer.concat(whole.out).toString()), { object: 'chat.completion', choices: [{ finish_reason: 'content_filter' }] });

  const message = guarded('async', { dialect: anthropicMessages });
  message.guard.feed(Buffer.from(messageEvents({ blocks: [{ type: 'text', text: 'Hello' }], cut: (text) => [text] }).slice(0, 4).join('')));
  message.guard.cut(CUT);
  t.match(readStream(Buffer.concat(message.out)), { blocks: ['Hello'], stop: 'refusal', faults: [] });

  const response = guarded('async', { dialect: openaiResponses });
  response.guard.feed(Buffer.from(framesOf(responseEvents({ items: [{ message: [{ text: 'Hello' }] }] })).slice(0, 5).join('')));
  response.guard.cut(CUT);
  t.match(eventsOf(Buffer.concat(response.out)).at(-1), { type: 'response.incomplete', response: { incomplete_details: { reason: 'content_filter' } } });

  for (const [dialect, mediaType, bytes] of [[openaiEmbeddings, 'application/json', '{"object":'], [openaiSpeech, 'audio/mpeg', 'ID3']] as const) {
    const record = guarded('async', { dialect, mediaType, stream: false });
    record.guard.feed(Buffer.from(bytes));
    record.guard.cut(CUT);
    t.match(record.ends, [{ blocked: true, error: { code: 'content_filter' } }], dialect.id);
  }
});
