/**
 * The frame guard on the events of a WebSocket: nothing changed means the same frames; a match leaves nowhere, however
 * the text is cut and whatever lies in between; an answer that is cut ends while others go on; what is remembered is
 * bounded.
 */
import fc from 'fast-check';
import t from 'tap';
import type { ScoredResult } from '../../src/contract/screening.ts';
import { answer, Framed, PASS_ALL } from '../helpers/framed.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';
import { randomOf, runs, seed } from '../helpers/runs.ts';

const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));

const NEVER = `policy: test
default_action: allow
patterns:
  - { id: never, label: NEVER, regex: 'zqxjk[0-9]{9}zq' }
rules:
  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: redact }
`;

t.test('recorded sockets leave frame by frame as they came', { skip: skipReason }, async (t) => {
  for (const policy of [EMPTY_POLICY, NEVER]) {
    const different: string[] = [];
    const all = recordings('realtime-ws');
    for (const { file, bytes } of all) {
      const received = bytes.toString().split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter(({ direction }) => direction === 'received').map(({ data }) => JSON.stringify(data));
      const framed = new Framed(planOf(policy)).feed(...received).end();
      if (JSON.stringify(framed.frames) !== JSON.stringify(received) || framed.reason === undefined) different.push(file);
    }
    t.same(different, [], `${all.length} sockets`);
  }
});

t.test('recorded sockets keep every text under a policy that redacts', { skip: skipReason }, async (t) => {
  for (const { file, bytes } of recordings('realtime-ws')) {
    const received = bytes.toString().split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter(({ direction }) => direction === 'received').map(({ data }) => data);
    const plain = new Framed(planOf(EMPTY_POLICY)).feed(...received).end();
    const framed = new Framed(redact).feed(...received).end();
    t.same(framed.texts, plain.texts, file);
    t.same(framed.events.filter(({ type }) => !/delta$/.test(type)), plain.events.filter(({ type }) => !/delta$/.test(type)), file);
  }
});

const SECRETS = ['maria.kowalska+home@mail.example.org', '4111 1111 1111 1111', '5500-0000-0000-0004', 'DE89370400440532013000', '078-05-1120', '192.168.13.77', `sk-proj-${'a1B2c3D4'.repeat(6)}`];
const WORDS = 'the quick report was late because our team met on Tuesday near 14 Main and 3 of 5 agreed, v1.2.3 or a@ b; it is 50% done "quoted" back\\slash naïve 日本 😀 (x) {z}'.split(' ');

function planted(random: () => number): { readonly text: string; readonly left: string } {
  const words = Array.from({ length: 3 + Math.floor(random() * 10) }, () => WORDS[Math.floor(random() * WORDS.length)] as string);
  for (let i = 0; i <= random() * 3; i += 1) words.splice(Math.floor(random() * (words.length + 1)), 0, `\0${SECRETS[Math.floor(random() * SECRETS.length)]}\0`);
  const marked = words.join(' ');
  return { text: marked.replaceAll('\0', ''), left: marked.replace(/\0[^\0]*\0/g, '[]') };
}

function cut(text: string, random: () => number): string[] {
  const out: string[] = [];
  for (let at = 0; at < text.length;) {
    const size = [1, 1, 2, 3, 4, 7, 12, 40][Math.floor(random() * 8)] as number;
    out.push(text.slice(at, at + size));
    at += size;
  }
  return out;
}

/** The events of several answers, each in its own order, put together by chance, with sound and other noise between. */
function interleaved(streams: readonly (readonly object[])[], random: () => number): object[] {
  const left = streams.map((events) => [...events]);
  const out: object[] = [];
  for (let live = left.filter((events) => events.length > 0); live.length > 0; live = left.filter((events) => events.length > 0)) {
    out.push(live[Math.floor(random() * live.length)]!.shift()!);
    if (random() < 0.15) out.push({ type: 'response.output_audio.delta', event_id: 'event_9', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, delta: 'AAAA' });
    if (random() < 0.05) out.push({ type: 'rate_limits.updated', event_id: 'event_9', rate_limits: [{ name: 'tokens', limit: 5 }] });
  }
  return out;
}

const flat = (text: string): string => text.replace(/[ -]/g, '');
const unlabelled = (text: string): string => text.replace(/\[[A-Z_]+\]/g, '[]');

t.test('planted secrets leave in no event, deltas and copies say the same, whatever is cut and interleaved', async (t) => {
  let tried = 0;
  fc.assert(
    fc.property(fc.integer(), (storySeed) => {
      const random = randomOf(storySeed);
      const stories = Array.from({ length: 1 + Math.floor(random() * 3) }, () => planted(random));
      const streams = stories.map(({ text }, i) => answer(cut(text, random), { response: `resp_${i}`, item: `item_${i}`, spoken: random() < 0.5 }));
      const framed = new Framed(redact).feed(...interleaved(streams, random)).end();
      for (const [i, { left }] of stories.entries()) {
        const told = framed.texts[`item_${i}/0`] ?? '';
        if (unlabelled(told) !== left) throw new Error(`${JSON.stringify(told)} is not ${JSON.stringify(left)}`);
        for (const event of framed.events.filter(({ item_id, item, response }) => item_id === `item_${i}` || item?.id === `item_${i}` || response?.output?.[0]?.id === `item_${i}`)) {
          for (const copy of [event.text, event.transcript, event.part?.text, event.part?.transcript, ...[event.item, event.response?.output?.[0]].flatMap((item) => item?.content?.flatMap((part: any) => [part.text, part.transcript]) ?? [])]) {
            if (copy !== undefined && copy !== '' && copy !== told) throw new Error(`${event.type} says ${JSON.stringify(copy)}, the deltas ${JSON.stringify(told)}`);
          }
        }
      }
      const all = flat(framed.frames.join('\n'));
      if (SECRETS.some((secret) => all.includes(flat(secret)))) throw new Error('a secret left');
      tried += stories.length;
    }),
    { numRuns: runs(3_000), seed },
  );
  t.ok(tried >= runs(3_000), `${tried} answers, seed ${seed}`);
});

t.test('arguments are screened as JSON, in deltas and copies', async (t) => {
  const at = { event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, call_id: 'call_1' };
  const json = '{"to":"ana\\u0040example.com","card":4111111111111111}';
  for (const size of [1, 3, 7, 100]) {
    const deltas = json.match(new RegExp(`.{1,${size}}`, 'g')) as string[];
    const item = { id: 'item_1', object: 'realtime.item', type: 'function_call', name: 'send', call_id: 'call_1', arguments: json };
    const framed = new Framed(redact).feed(
      { type: 'response.created', event_id: 'e', response: { id: 'resp_1' } }, { type: 'response.output_item.added', event_id: 'e', response_id: 'resp_1', item: { ...item, arguments: '' } },
      ...deltas.map((delta) => ({ ...at, type: 'response.function_call_arguments.delta', delta })), { ...at, type: 'response.function_call_arguments.done', name: 'send', arguments: json },
      { type: 'response.output_item.done', event_id: 'e', response_id: 'resp_1', item }, { type: 'response.done', event_id: 'e', response: { id: 'resp_1', status: 'completed', output: [item] } },
    ).end();
    const wanted = '{"to":"[EMAIL]","card":"[CREDIT_CARD]"}';
    t.equal(framed.texts['item_1/'], wanted, `in pieces of ${size}`);
    const { events } = framed;
    t.same([events.at(-3).arguments, events.at(-2).item.arguments, events.at(-1).response.output[0].arguments], [wanted, wanted, wanted]);
  }
});

t.test('a copy that says something else is screened as a text of its own', async (t) => {
  const [created, ...rest] = answer(['fine ', 'so far']);
  const done = rest.find(({ type }) => type === 'response.output_text.done');
  done.text = 'fine so far, ana@example.com';
  const framed = new Framed(redact).feed(created, ...rest).end();
  t.equal(framed.events.find(({ type }) => type === 'response.output_text.done').text, 'fine so far, [EMAIL]');
  t.equal(framed.events.find(({ type }) => type === 'response.done').response.output[0].content[0].text, 'fine so far');
});

const transcribed = (type: string, text: string, field = 'transcript'): object => ({ type: `conversation.item.input_audio_transcription.${type}`, event_id: 'e', item_id: 'item_u', content_index: 0, [field]: text });

t.test('a transcript that grows leaves as far as it is decided, and is repeated whole when it is complete', async (t) => {
  const said = ['my mail', 'my mail is ana', 'my mail is ana@example', 'my mail is ana@example.com', 'my mail is ana@example.com, thanks'];
  const framed = new Framed(redact).feed(...said.map((text) => transcribed('updated', text)), transcribed('completed', said.at(-1)!)).end();
  t.same(framed.events.map(({ transcript }) => transcript), ['my ', 'my mail is ', 'my mail is ', 'my mail is ', 'my mail is [EMAIL], ', 'my mail is [EMAIL], thanks']);
});

t.test('a transcript that is revised begins anew: what was held of it never leaves', async (t) => {
  const framed = new Framed(redact).feed(transcribed('updated', 'my card is 4111 1111'), transcribed('updated', 'My card is 4111 1111 1111 1111'), transcribed('updated', 'My card is 4111 1111 1111 1111, or'), transcribed('completed', 'My card is 4111 1111 1111 1111, or')).end();
  t.same(framed.events.map(({ transcript }) => transcript), ['my card is ', 'My card is ', 'My card is [CREDIT_CARD], ', 'My card is [CREDIT_CARD], or']);
  t.equal(framed.guard.summary().decision.redactions, 1);
});

t.test('a growing transcript under any cut never shows a part of what is redacted', async () => {
  fc.assert(fc.property(fc.integer(), (storySeed) => {
    const random = randomOf(storySeed);
    const { text, left } = planted(random);
    let sofar = '';
    const grown = cut(text, random).map((piece) => (sofar += piece));
    const framed = new Framed(redact).feed(...grown.map((all) => transcribed('updated', all)), transcribed('completed', text)).end();
    const seen = framed.events.map(({ transcript }) => unlabelled(transcript));
    const wrong = seen.find((shown) => !left.startsWith(shown));
    if (wrong !== undefined || seen.at(-1) !== left) throw new Error(`${JSON.stringify(wrong ?? seen.at(-1))} of ${JSON.stringify(left)}`);
  }), { numRuns: runs(1_000), seed });
});

t.test('what the user says is transcribed in between, and screened', async (t) => {
  const deltas = ['write to ', 'ana@exa', 'mple.com', ' please'];
  const spoken = answer(['I will ', 'call 555', '-0142.'], { spoken: true });
  const framed = new Framed(redact).feed(...spoken.slice(0, 5), transcribed('delta', deltas[0]!, 'delta'), spoken[5], transcribed('delta', deltas[1]!, 'delta'), ...spoken.slice(6), transcribed('delta', deltas[2]!, 'delta'), transcribed('delta', deltas[3]!, 'delta'), transcribed('completed', deltas.join(''))).end();
  t.equal(framed.texts['item_u/0'], 'write to [EMAIL] please');
  t.equal(framed.events.at(-1).transcript, 'write to [EMAIL] please');
});

t.test('a failed transcription ends its text', async (t) => {
  const framed = new Framed(redact).feed(transcribed('delta', 'see you', 'delta'), { type: 'conversation.item.input_audio_transcription.failed', event_id: 'e', item_id: 'item_u', content_index: 0, error: { type: 'x', message: 'no model for bob@example.com' } });
  t.equal(framed.texts['item_u/0'], 'see you');
  t.equal(framed.events[1].error.message, 'no model for [EMAIL]');
});

t.test('log-probabilities go where a transcript was changed', async (t) => {
  const framed = new Framed(redact).feed(
    { ...transcribed('delta', 'hi ', 'delta'), logprobs: [{ token: 'hi', logprob: -1, bytes: [1] }] },
    { ...transcribed('delta', 'ana@example.com, ', 'delta'), logprobs: [{ token: 'ana', logprob: -1, bytes: [1] }] },
    { ...transcribed('completed', 'hi ana@example.com, '), logprobs: [{ token: 'ana', logprob: -1, bytes: [1] }] },
    { type: 'conversation.item.input_audio_transcription.delta', event_id: 'e', item_id: 'item_v', content_index: 0, delta: 'ok ', logprobs: [] },
  ).end();
  t.same(framed.events.map(({ logprobs }) => logprobs === null), [false, true, true, false]);
});

t.test('sound does not wait long behind a word, and the word leaves by itself when nothing follows', async (t) => {
  const events = answer(['Let me see'], { spoken: true });
  const framed = new Framed(redact).feed(...events.slice(0, 5));
  t.equal(framed.texts['item_1/0'], undefined, 'the last word may go on');
  const audio = { type: 'response.output_audio.delta', event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, delta: 'AAAA' };
  framed.feed(...Array.from({ length: 7 }, () => audio));
  t.equal(framed.types.filter((type) => /audio\.delta/.test(type)).length, 0);
  framed.feed(audio);
  t.equal(framed.types.filter((type) => /audio\.delta/.test(type)).length, 8);
  t.equal(framed.texts['item_1/0'], 'Let me ');
  framed.feed(...events.slice(5)).end();
  t.equal(framed.texts['item_1/0'], 'Let me see');
  const tail = framed.events.find(({ delta }) => delta === 'see');
  t.match(tail, { type: 'response.output_audio_transcript.delta', response_id: 'resp_1', item_id: 'item_1', content_index: 0 });
  t.match(tail.event_id, /^event_weir_/);
  t.equal(framed.events.at(-1).response.output[0].content[0].transcript, 'Let me see', 'copies say all of it');
});

// Cuts.

t.test('an answer that is blocked ends for both sides, and the next one goes on', async (t) => {
  const first = answer(['Write to ', 'ana@exam', 'ple.com, ', 'she knows.']);
  const second = answer(['All well.'], { response: 'resp_2', item: 'item_2' });
  const framed = new Framed(block).feed(...first, ...second).end();
  t.equal(framed.texts['item_1/0'], 'Write to ', 'what stood before the match has left');
  t.equal(framed.texts['item_2/0'], 'All well.');
  t.notMatch(framed.frames.join(), /ana@|example|she knows/);
  const at = framed.types.indexOf('error');
  t.match(framed.events[at], { error: { code: 'content_filter', type: 'invalid_request_error', message: 'the policy blocked the answer', param: null, event_id: null } });
  t.match(framed.events[at + 1], { type: 'response.done', response: { id: 'resp_1', object: 'realtime.response', status: 'incomplete', status_details: { type: 'incomplete', reason: 'content_filter' }, output: [] } });
  t.equal(framed.types[at + 2], 'response.created', 'nothing more of the first one');
  t.equal(framed.types.filter((type) => type === 'response.done').length, 2);
  t.match(framed.toUpstream, [{ type: 'response.cancel', response_id: 'resp_1' }]);
  t.equal(framed.toUpstream.length, 1);
  t.equal(framed.guard.cuts, 1);
  t.same(framed.ended, [9, 9], 'what the cut answer used counts');
  t.match(framed.guard.summary(), { decision: { action: 'block', triggered_rules: ['pii'] }, usage: { inputTokens: 8, outputTokens: 10 } });
});

t.test('under any cut the same text leaves before a block', async () => {
  fc.assert(fc.property(fc.integer(), (storySeed) => {
    const random = randomOf(storySeed);
    const before = Array.from({ length: 1 + Math.floor(random() * 8) }, () => ['the', 'report', 'is', 'late'][Math.floor(random() * 4)]).join(' ');
    const deltas = cut(`${before} 4111 1111 1111 1111 and more`, random);
    const framed = new Framed(block).feed(...interleaved([answer(deltas), answer(cut('all is well here', random), { response: 'resp_2', item: 'item_2' })], random)).end();
    if (framed.texts['item_1/0'] !== `${before} `) throw new Error(JSON.stringify(framed.texts['item_1/0']));
    if (framed.texts['item_2/0'] !== 'all is well here') throw new Error(JSON.stringify(framed.texts['item_2/0']));
    if (framed.frames.some((frame) => /1111|and more/.test(frame))) throw new Error('the match left');
  }), { numRuns: runs(1_000), seed });
});

t.test('the upstream’s word about our own event is not for the client', async (t) => {
  const framed = new Framed(block).feed(...answer(['ana@example.com ']).slice(0, 5));
  const [{ event_id: ours }] = framed.toUpstream;
  const before = framed.frames.length;
  framed.feed({ type: 'error', event_id: 'e', error: { type: 'invalid_request_error', code: 'response_cancel_not_active', message: 'no', event_id: ours } });
  t.equal(framed.frames.length, before);
  framed.feed({ type: 'error', event_id: 'e', error: { type: 'invalid_request_error', message: 'no', event_id: 'mine' } });
  t.equal(framed.frames.length, before + 1);
});

t.test('an event that belongs to no answer is blocked by itself', async (t) => {
  const framed = new Framed(block).feed({ type: 'session.updated', event_id: 'e', session: { instructions: 'write to ana@example.com' } }, transcribed('delta', 'ana@example.com ', 'delta'), transcribed('delta', 'and more', 'delta'), transcribed('completed', 'and more'), ...answer(['ok']));
  t.same(framed.types.slice(0, 3), ['error', 'error', 'response.created'], 'and an item as a whole');
  t.same(framed.toUpstream, []);
  t.equal(framed.guard.cuts, 2);
});

t.test('what the policy says in place of an answer is in the error', async (t) => {
  const replace = planOf(REDACT_PII.replace('action: redact', 'action: replace, message: Ask the front desk.'));
  t.equal(new Framed(replace).feed(...answer(['ana@example.com '])).events.find(({ type }) => type === 'error').error.message, 'Ask the front desk.');
  const fallback = planOf(`on_block: fallback\nmessage: Sorry.\n${REDACT_PII.replace('action: redact', 'action: block')}`);
  t.equal(new Framed(fallback).feed(...answer(['ana@example.com '])).events.find(({ type }) => type === 'error').error.message, 'Sorry.');
});

t.test('a rule that needs no text cuts every answer when it begins', async (t) => {
  const framed = new Framed(planOf('policy: test\ndefault_action: block\nrules: []\n')).feed({ type: 'rate_limits.updated', event_id: 'e', rate_limits: [] }, ...answer(['hello']));
  t.same(framed.types, ['rate_limits.updated', 'error', 'response.done']);
  t.equal(framed.toUpstream[0].type, 'response.cancel');
});

t.test('a block in what follows when the upstream closes', async (t) => {
  const framed = new Framed(block).feed(...answer(['to ana@example.com']).slice(0, 5)).end('gone');
  t.same(framed.types.slice(-1), ['error']);
  t.equal(framed.reason, '');
  t.notMatch(framed.frames.join(), /example/);
});

t.test('what the client said itself is repeated to it, and to no rule about answers; an answer that says it is one', async (t) => {
  const said = 'I am ana@example.com';
  const item = { id: 'item_u', type: 'message', role: 'user', content: [{ type: 'input_text', text: said }] };
  const echo = { type: 'conversation.item.added', event_id: 'e', item };
  const framed = new Framed(block);
  framed.guard.know(said);
  framed.feed(echo, { ...echo, type: 'conversation.item.done' }, { type: 'session.updated', event_id: 'e', session: { instructions: said } }, ...answer([said, ', ']));
  t.same(framed.types.slice(0, 3), ['conversation.item.added', 'conversation.item.done', 'session.updated']);
  t.ok(framed.types.includes('error'));
  t.equal(framed.guard.cuts, 1);
  framed.feed({ ...echo, item: { ...item, id: 'item_v', content: [{ type: 'input_text', text: `${said}.` }] } });
  t.equal(framed.guard.cuts, 2, 'another text is another text');
  for (let i = 0; i < 20; i += 1) framed.guard.know(`${i} ${'x'.repeat(100_000)}`);
  framed.guard.know(said);
  framed.guard.know(said);
  framed.feed({ ...echo, item: { ...item, id: 'item_w' } });
  t.equal(framed.guard.cuts, 2);
  for (let i = 0; i < 20; i += 1) framed.guard.know(`${i} ${'y'.repeat(100_000)}`);
  framed.feed({ ...echo, item: { ...item, id: 'item_x' } });
  t.equal(framed.guard.cuts, 3, 'the oldest texts are forgotten');
  const long = `${said} ${'z'.repeat(2 ** 20)}`;
  framed.guard.know(long);
  framed.feed({ ...echo, item: { ...item, id: 'item_y', content: [{ type: 'input_text', text: long }] } });
  t.equal(framed.guard.cuts, 4, 'and a very long one is not remembered');
});

// Ends.

t.test('the reason for which the upstream closes is screened', async (t) => {
  t.equal(new Framed(redact).end('your session is over').reason, 'your session is over');
  t.equal(new Framed(redact).end('bye ana@example.com').reason, 'bye [EMAIL]');
  t.equal(new Framed(block).end('bye ana@example.com').reason, '');
  t.equal(new Framed(redact).end().reason, '');
});

t.test('after its end a guard takes nothing', async (t) => {
  const framed = new Framed(redact).end();
  framed.feed(...answer(['more'])).end();
  t.same(framed.frames, []);
  const stopped = new Framed(redact).feed(...answer(['see you']).slice(0, 5));
  stopped.guard.stop();
  stopped.end();
  t.equal(stopped.reason, undefined);
});

t.test('frames that are no JSON are screened as text', async (t) => {
  t.same(new Framed(redact).feed('oops ana@example.com', 'fine').end().frames, ['oops [EMAIL]', 'fine']);
  t.same(new Framed(redact).feed('["ana@example.com"]', '"bob@example.com"', '7', 'null').end().frames, ['["[EMAIL]"]', '"[EMAIL]"', '7', 'null']);
});

// What cannot be read.

const AUDIO = { type: 'response.output_audio.delta', event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, delta: 'AAAA' };

t.test('sound passes and is listed, or is left out', async (t) => {
  const passed = new Framed(redact).feed(AUDIO);
  t.same(passed.events, [AUDIO]);
  t.same(passed.guard.summary().decision.coverage.opaque, [{ carrier: 'response.output_audio.delta:delta', kind: 'audio', treatment: 'pass' }]);
  const item = { type: 'conversation.item.retrieved', event_id: 'e', item: { id: 'item_1', type: 'message', content: [{ type: 'output_audio', audio: 'AAAA', transcript: 'to ana@example.com' }] } };
  const refused = new Framed(redact, { opaque: { ...PASS_ALL, audio: 'refuse' } }).feed(AUDIO, AUDIO, item);
  t.same(refused.events.map((event) => event.item.content[0]), [{ type: 'output_audio', audio: '', transcript: 'to [EMAIL]' }]);
  t.same(refused.refused, ['audio'], 'told once');
});

t.test('a policy that blocks what holds sound cuts the answer', async (t) => {
  const plan = planOf(`policy: test\ndefault_action: allow\nrules:\n  - { id: mute, priority: 1, direction: output, when: { context: content_type, eq: audio }, action: block }\n`);
  const events = answer(['hello'], { spoken: true });
  const framed = new Framed(plan).feed(...events.slice(0, 4), AUDIO, ...events.slice(4));
  t.ok(framed.types.includes('error'));
  t.equal(framed.types.includes('response.output_audio.delta'), false);
});

// Scores.

const scored = (text: string): ScoredResult => ({ classifier_id: 'judge', category: 'toxic', score: /vile/.test(text) ? 1 : 0, label: 'TOXIC', spans: [], latency_ms: 1 });

/** A plan whose answers wait for scores that the test gives. */
function waiting(mode: 'hold' | 'trail'): { readonly output: ReturnType<typeof redact.forOutput>; readonly release: () => Promise<void> } {
  const plan = planOf(`${REDACT_PII}  - { id: judge, priority: 0, direction: output, when: { score: judge.toxic, gte: 0.5 }, action: block }\n`.replace('rules:', 'on_unknown: open\nrules:'));
  const asked: (() => void)[] = [];
  const output = { ...plan.forOutput({}), scoring: { window: 'sentence' as const, mode, open: () => ({ text }: { readonly text: string }) => new Promise<readonly ScoredResult[]>((resolve) => asked.push(() => resolve([scored(text)]))) } };
  return {
    output,
    release: async () => {
      for (const answer of asked.splice(0)) answer();
      for (let i = 0; i < 5; i += 1) await Promise.resolve();
    },
  };
}

t.test('text waits for its scores, frames keep their order, and the end waits too', async (t) => {
  const { output, release } = waiting('hold');
  const framed = new Framed(redact, { output }).feed(...answer(['All well. ', 'Bye.'])).end('over');
  t.equal(framed.texts['item_1/0'], undefined);
  t.equal(framed.guard.answering, false);
  t.equal(framed.reason, undefined, 'the reason waits for its scores as well');
  await release();
  t.equal(framed.texts['item_1/0'], 'All well. Bye.');
  t.same(framed.types, answer(['All well. ', 'Bye.']).map(({ type }) => type));
  t.equal(framed.reason, 'over');
});

t.test('scores that block cut the answer, and another one leaves', async (t) => {
  const { output, release } = waiting('hold');
  const framed = new Framed(redact, { output }).feed(...answer(['All is well over here, really. ', 'You vile thing.']), ...answer(['Fine.'], { response: 'resp_2', item: 'item_2' }));
  await release();
  t.equal(framed.texts['item_1/0'], 'All is well over here, really. ');
  t.equal(framed.texts['item_2/0'], 'Fine.');
  t.match(framed.events.find(({ type }) => type === 'error'), { error: { code: 'content_filter' } });
  t.same(framed.toUpstream, [], 'the answer had ended upstream');
});

t.test('scores that come after the text cut what is left', async (t) => {
  const { output, release } = waiting('trail');
  const framed = new Framed(redact, { output }).feed(...answer(['You are such a vile thing. ', 'And more. ', 'And more.']).slice(0, 5), { type: 'error', event_id: 'e', error: { message: 'a fault that is vile indeed, ' } });
  t.equal(framed.texts['item_1/0'], 'You are such a vile thing. ');
  await release();
  t.match(framed.events.at(-1), { type: 'error' });
  t.ok(framed.types.includes('response.done'));
  t.equal(framed.guard.cuts, 2);
  framed.feed(...answer(['You are such a vile thing. ', 'And more. ', 'And more.']).slice(5)).end();
  t.equal(framed.texts['item_1/0'], 'You are such a vile thing. ');
});

// Bounds.

t.test('what waits for scores is bounded', async (t) => {
  const { output } = waiting('hold');
  const delta = { ...AUDIO, type: 'response.output_text.delta', delta: 'x'.repeat(1000) };
  const size = JSON.stringify(delta).length;
  const framed = new Framed(redact, { output, bytesMax: size * 4 });
  framed.feed(delta, delta, delta);
  framed.feed({ ...AUDIO, delta: 'A'.repeat(900) });
  t.throws(() => framed.feed({ ...AUDIO, delta: 'A'.repeat(900) }), { code: 'response_too_large' });
});

t.test('the text of one answer is bounded', async (t) => {
  const delta = { ...AUDIO, type: 'response.output_text.delta', delta: 'word '.repeat(100) };
  const size = JSON.stringify(delta).length;
  const framed = new Framed(redact, { bytesMax: size * 3 });
  framed.feed(delta, delta, delta);
  t.throws(() => framed.feed(delta), { code: 'response_too_large' });
});

t.test('a connection that lives long remembers the latest answers, and forgets none that is under way', async (t) => {
  const framed = new Framed(redact);
  const first = answer(['to ana@example.com, ', 'bye']);
  framed.feed(...first.slice(0, 5));
  for (let i = 0; i < 600; i += 1) {
    framed.feed(...answer([`answer ${i} `, 'is well'], { response: `resp_x${i}`, item: `item_x${i}` }), { type: 'session.updated', event_id: 'e', session: { instructions: `be kind ${i}` } });
    if (i % 100 === 0) framed.feed({ ...first[4], delta: ' so' });
  }
  framed.feed({ type: 'conversation.item.retrieved', event_id: 'e', item: { id: 'item_x0', type: 'message', content: [{ type: 'output_text', text: 'answer 0 is well' }] } });
  t.equal(framed.events.at(-1).item.content[0].text, 'answer 0 is well', 'a text that is forgotten is screened as a new one');
  framed.end();
  t.equal(framed.texts['item_x599/0'], 'answer 599 is well');
  t.equal(framed.texts['item_1/0'], 'to [EMAIL],  so so so so so so');
  const long = new Framed(redact);
  for (let i = 0; i < 6; i += 1) long.feed(...answer(['word '.repeat(100_000)], { response: `resp_${i}`, item: `item_${i}` }));
  t.equal(Object.keys(long.texts).length, 6, 'long texts are forgotten sooner');
});

t.test('what waits is not forgotten, however much comes after it', async (t) => {
  const call = { event_id: 'e', response_id: 'resp_c', item_id: 'item_c', output_index: 0, call_id: 'call_1' };
  const framed = new Framed(redact).feed({ ...call, type: 'response.function_call_arguments.delta', delta: '{"to":"bob' });
  const answers = Array.from({ length: 300 }, (_, i) => answer(['fine'], { response: `resp_${i}`, item: `item_${i}` }));
  framed.feed(...answers.flat());
  t.equal(framed.frames.length, 0, 'arguments leave whole, and the order is kept');
  framed.feed({ ...call, type: 'response.function_call_arguments.delta', delta: '@example.com"}' }, { ...call, type: 'response.function_call_arguments.done', arguments: '{"to":"bob@example.com"}' });
  t.equal(framed.texts['item_c/'], '{"to":"[EMAIL]"}');
  t.equal(framed.events.at(-1).arguments, '{"to":"[EMAIL]"}');
  t.equal(framed.frames.length, 3 + answers.flat().length);
});

t.test('what is to come of a text is not forgotten: its last word, or its scores', async (t) => {
  const others = Array.from({ length: 300 }, (_, i) => answer(['fine'], { response: `resp_x${i}`, item: `item_x${i}` })).flat();
  const events = answer(['Let me see'], { spoken: true });
  const framed = new Framed(redact).feed(...events.slice(0, 5), ...others, ...events.slice(5)).end();
  t.equal(framed.texts['item_1/0'], 'Let me see');
  t.equal(framed.events.at(-1).response.output[0].content[0].transcript, 'Let me see');

  const { output, release } = waiting('trail');
  const scoring = new Framed(redact, { output }).feed(...answer(['You are such a vile thing. ', 'So.']), ...others);
  t.equal(scoring.guard.cuts, 0);
  await release();
  t.equal(scoring.guard.cuts, 1);
});

t.test('a long row of answers that are cut', async (t) => {
  const framed = new Framed(block);
  for (let i = 0; i < 300; i += 1) framed.feed(...answer(['to ana@example.com '], { response: `resp_${i}`, item: `item_${i}` }));
  t.equal(framed.guard.cuts, 300);
  t.equal(framed.toUpstream.length, 300);
  t.equal(framed.types.filter((type) => type === 'response.done').length, 300);
});

t.test('an upstream that opens texts without end is broken off', async (t) => {
  const framed = new Framed(redact);
  const many = (from: number): object => ({ type: 'response.output_text.delta', event_id: 'e', response_id: 'resp_1', item_id: 'item_1', content_index: from, delta: 'x' });
  t.throws(() => { for (let i = 0; i < 20_000; i += 1) framed.feed(many(i)); }, { code: 'response_too_large' });
});
