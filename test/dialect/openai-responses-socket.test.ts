/** The Responses API over a WebSocket: the events of HTTP streams as frames, answers after and beside each other. */
import t from 'tap';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';
import { responsesSocket } from '../../src/dialect/openai-responses-socket.ts';
import type { ClientEvent } from '../../src/dialect/socket.ts';
import { readJson } from '../../src/dialect/json.ts';
import { Framed } from '../helpers/framed.ts';
import { eventsOf, guarded } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';

const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
const framed = (plan = redact): Framed => new Framed(plan, { reader: responsesSocket.createReader() });
const read = (event: unknown): ClientEvent => responsesSocket.readClientEvent(readJson(Buffer.from(JSON.stringify(event)), { depthMax: 64, itemsMax: 10_000 }));
const parse = (frame: Buffer): any => JSON.parse(frame.toString());

t.test('a client’s event is a request with a type', async (t) => {
  const event = read({ type: 'response.create', event_id: 'mine_1', stream_id: 'side', model: 'gpt-5', user: 'ana', input: [{ role: 'user', content: 'hello' }, { role: 'assistant', content: 'hi' }, { role: 'user', content: [{ type: 'input_text', text: 'bye' }] }], instructions: 'be kind', previous_response_id: 'resp_0' });
  t.same(event.segments.filter(({ contentType }) => contentType === 'text').map(({ carrier, content, role, history }) => [carrier, content, role, history]), [['user', 'ana', undefined, false], ['input[].content', 'hello', 'user', true], ['input[].content', 'hi', 'assistant', true], ['input[].content[].text', 'bye', 'user', false], ['instructions', 'be kind', 'system', false]]);
  t.match(event, { type: 'response.create', eventId: 'mine_1', streamId: 'side', asks: true, stream: true, model: 'gpt-5', userId: 'ana', opaque: [{ carrier: 'previous_response_id', kind: 'reference' }] });
  t.match(read({ type: 'response.steer', previous_response_id: 'resp_1', input: 'and now' }), { asks: true, segments: [{ content: 'and now' }], eventId: undefined, streamId: undefined });
  t.match(read({ type: 'session.ping', note: 'hello there', stream_id: 'not an id' }), { asks: false, segments: [{ content: 'hello there' }, { content: 'not an id', carrier: 'stream_id' }], streamId: undefined });
  for (const odd of [[], {}, { type: 5 }, { type: 'response.create', input: 7 }]) t.throws(() => read(odd), { code: 'invalid_request' });
});

/** The events of one response, with one text in these deltas. */
function answer(deltas: readonly string[], id = 'resp_1', more: object = {}): any[] {
  const text = deltas.join('');
  const item = { id: `msg_${id}`, type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [], logprobs: [] }] };
  const at = { item_id: item.id, output_index: 0, content_index: 0 };
  const response = { id, object: 'response', model: 'gpt-5', output: [] as object[] };
  return [
    { type: 'response.created', response: { ...response, status: 'in_progress' } }, { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
    { type: 'response.content_part.added', ...at, part: { type: 'output_text', text: '', annotations: [], logprobs: [] } }, ...deltas.map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text, logprobs: [] }, { type: 'response.content_part.done', ...at, part: item.content[0] }, { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: { ...response, status: 'completed', output: [item], usage: { input_tokens: 2, output_tokens: 3, total_tokens: 5 } } },
  ].map((event, i) => ({ ...event, sequence_number: i, ...more }));
}

const told = ({ events }: Framed, id = 'resp_1'): string => events.filter(({ type, item_id }) => type === 'response.output_text.delta' && item_id === `msg_${id}`).map(({ delta }) => delta).join('');

t.test('recorded streams leave as over HTTP, frame by frame', { skip: skipReason }, async (t) => {
  for (const [name, plan] of [['nothing', planOf(EMPTY_POLICY)], ['pii', redact]] as const) {
    const all = recordings('responses').filter(({ stream, status }) => stream && status === 200);
    for (const { file, bytes } of all) {
      const sent = eventsOf(bytes);
      if (sent.length === 0) continue;
      const overHttp = eventsOf(guarded(plan, [bytes], { dialect: openaiResponses }).bytes);
      const { events, frames } = framed(plan).feed(...sent).end();
      t.same(events, overHttp, `${name}: ${file}`);
      if (name === 'nothing') t.same(frames, sent.map((event) => JSON.stringify(event)));
    }
    t.ok(all.length > 10);
  }
});

t.test('an answer is redacted in its deltas and copies, and the next one begins anew', async (t) => {
  const out = framed().feed(...answer(['Write to ana@ex', 'ample.com', ', bye.']), ...answer(['Or to bob@example', '.org.'], 'resp_2')).end();
  t.same([told(out), told(out, 'resp_2')], ['Write to [EMAIL], bye.', 'Or to [EMAIL].']);
  t.same(out.events.filter(({ type }) => type === 'response.completed').map(({ response }) => response.output[0].content[0].text), ['Write to [EMAIL], bye.', 'Or to [EMAIL].']);
  t.same(out.events.map(({ sequence_number }) => sequence_number), [...answer(['', '', '']), ...answer(['', ''])].map(({ sequence_number }) => sequence_number));
  t.same(out.ended, [5, 5]);
  t.match(out.guard.summary(), { usage: { inputTokens: 4, outputTokens: 6 }, facts: { responseId: 'resp_2', model: 'gpt-5', finishReasons: ['completed'] } });
});

t.test('answers side by side do not mix', async (t) => {
  const left = answer(['Write to ana@', 'example.com', ' now.'], 'resp_1', { stream_id: 'left' });
  const right = answer(['All', ' is', ' well.'], 'resp_2', { stream_id: 'right' });
  const mixed = left.flatMap((event, i) => [event, right[i]]);
  const out = framed().feed(...mixed).end();
  t.same([told(out), told(out, 'resp_2')], ['Write to [EMAIL] now.', 'All is well.']);
  t.same(out.events.map(({ stream_id }) => stream_id), mixed.map(({ stream_id }) => stream_id));
  const cut = framed(block).feed(...mixed).end();
  t.same([told(cut), told(cut, 'resp_2')], ['', 'All is well.'], 'an event leaves whole or not at all');
  t.same(cut.events.filter(({ stream_id }) => stream_id === 'left').at(-1).type, 'response.incomplete', 'what ends it names its stream');
  t.equal(cut.events.filter(({ stream_id }) => stream_id === 'right').at(-1).type, 'response.completed');
});

t.test('what depends on a text that was changed changes in its own answer only', async (t) => {
  const events = (id: string, text: string): any[] => answer([text], id, { stream_id: id }).map((event) => (event.type === 'response.output_text.done' ? { ...event, logprobs: [{ token: 'x' }] } : event));
  const annotated = events('resp_1', 'ana@example.com says hello.');
  annotated.splice(4, 0, { type: 'response.output_text.annotation.added', stream_id: 'resp_1', item_id: 'msg_resp_1', output_index: 0, content_index: 0, annotation_index: 0, annotation: { type: 'url_citation', url: 'https://example.com', title: 'hello', start_index: 21, end_index: 26 } });
  const mixed = [...annotated.slice(0, 4), ...events('resp_2', 'fine.'), ...annotated.slice(4)];
  const out = framed().feed(...mixed).end();
  t.same(out.events.filter(({ type }) => type === 'response.output_text.done').map(({ logprobs, stream_id }) => [stream_id, logprobs.length]), [['resp_2', 1], ['resp_1', 0]]);
  t.match(out.events.find(({ annotation }) => annotation !== undefined).annotation, { start_index: 13, end_index: 18 });
});

t.test('a blocked answer ends as over HTTP, and what the upstream still says of it is dropped', async (t) => {
  const first = answer(['Write to ', 'ana@example.com ', 'she knows']);
  const out = framed(block).feed(...first, { type: 'keepalive', sequence_number: 99 }, ...answer(['All well.'], 'resp_2')).end();
  t.equal(told(out), 'Write to ');
  t.notMatch(out.frames.join(), /she knows|ana@/);
  const end = out.types.indexOf('response.incomplete');
  t.match(out.events[end], { response: { id: 'resp_1', status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output: [{ status: 'incomplete', content: [{ text: 'Write to ' }] }] } });
  t.same(out.types.slice(end - 3, end), ['response.output_text.done', 'response.content_part.done', 'response.output_item.done']);
  t.same(out.events.slice(0, end + 1).map(({ sequence_number }) => sequence_number), Array.from({ length: end + 1 }, (_, i) => i), 'numbers go on without a gap');
  t.same(out.types.slice(end + 1, end + 3), ['keepalive', 'response.created']);
  t.same(out.toUpstream, [], 'no event cancels an answer');
  t.same(out.ended, [5, 5]);
});

t.test('what the policy says in place of an answer is a message', async (t) => {
  const replace = planOf(REDACT_PII.replace('action: redact', 'action: replace, message: Ask the front desk.'));
  const out = framed(replace).feed(...answer(['ana@example.com ']));
  t.match(out.events.at(-1), { type: 'response.completed', response: { output: [{ content: [{ text: '' }] }, { content: [{ text: 'Ask the front desk.' }] }] } });
});

t.test('what belongs to no answer stands alone', async (t) => {
  const out = framed().feed({ type: 'error', error: { type: 'x', code: 'y', message: 'bad ana@example.com' }, stream_id: 'side' }, 'no json', ...answer(['fine']), { type: 'response.output_text.delta', delta: 'late bob@example.org ', item_id: 'msg_resp_1', output_index: 0, content_index: 0 }, ['ana@example.com']).end();
  t.equal(JSON.parse(out.frames[0]!).error.message, 'bad [EMAIL]');
  t.equal(JSON.parse(out.frames.at(-2)!).delta, 'late [EMAIL] ');
  t.equal(out.frames.at(-1), '["[EMAIL]"]');
  const blocked = framed(block).feed({ type: 'error', error: { message: 'bad ana@example.com' } });
  t.match(blocked.events, [{ type: 'error', code: 'content_filter', message: 'the policy blocked the answer', error: { code: 'content_filter', type: 'invalid_request_error' } }]);
});

t.test('an answer that nobody said to begin is one, and so is a whole response', async (t) => {
  const out = framed().feed(...answer(['Write to ana@', 'example.com', '.']).slice(1)).end();
  t.equal(told(out), 'Write to [EMAIL].');
  const cut = framed(block).feed(...answer(['ana@example.com ']).slice(1, 4));
  t.equal(cut.types.at(-1), 'response.incomplete', 'it ends');
  const whole = framed().feed({ object: 'response', output: [{ type: 'message', content: [{ type: 'output_text', text: 'ana@example.com', logprobs: [{ token: 'ana' }] }] }] }).end();
  t.match(whole.events, [{ output: [{ content: [{ text: '[EMAIL]', logprobs: [] }] }] }]);
});

t.test('what cannot be read passes as over HTTP, and is listed', async (t) => {
  const out = framed().feed(answer(['x'])[0], { type: 'response.image_generation_call.partial_image', item_id: 'i', output_index: 0, partial_image_index: 0, partial_image_b64: 'AAAA' }, { type: 'response.output_item.done', output_index: 1, item: { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: 'gAAAA' } });
  t.equal(out.frames.length, 3);
  t.same(out.guard.summary().decision.coverage.opaque.map(({ kind, treatment }) => [kind, treatment]), [['image', 'pass'], ['encrypted', 'pass']]);
});

t.test('events of our own', async (t) => {
  t.match(parse(responsesSocket.errorEvent('invalid_json', 'bad', 'mine')), { type: 'error', code: 'invalid_json', message: 'bad', param: null, event_id: 'mine', error: { type: 'invalid_request_error', code: 'invalid_json', message: 'bad' } });
  t.notOk('event_id' in parse(responsesSocket.errorEvent('invalid_json', 'bad')));
  const instead = responsesSocket.answerInstead!(read({ type: 'response.create', stream_id: 'side', input: 'x' }), 'Ask the front desk.', 'r_1', 5000).map(parse);
  t.equal(instead[0].type, 'response.created');
  t.match(instead.at(-1), { type: 'response.completed', response: { output: [{ content: [{ text: 'Ask the front desk.' }] }] } });
  t.ok(instead.every(({ stream_id }) => stream_id === 'side'));
  t.match(responsesSocket.answerInstead!(read({ type: 'response.steer', event_id: 'mine', input: 'x' }), 'No.', 'r_1', 5000).map(parse), [{ type: 'error', code: 'content_filter', message: 'No.', event_id: 'mine' }]);
  const reader = responsesSocket.createReader();
  t.equal(reader.canCarry('1:0.0/text'), false);
  t.throws(() => reader.textEvent('1:0.0/text', 'x'));
  t.same(reader.dependents({}, '9:0.0/text'), []);
  t.equal(reader.usage(), undefined);
});

t.test('an answer that says neither its name nor its model leaves those of the one before', async (t) => {
  const out = framed().feed(...answer(['fine']), { type: 'response.created', response: {} }, { type: 'response.failed', response: { usage: {} } });
  t.match(out.guard.summary(), { facts: { responseId: 'resp_1', model: 'gpt-5' }, usage: { inputTokens: 2, outputTokens: 3 } });
  t.same(out.ended, [5, 0]);
});

t.test('a connection that lives long remembers the latest answers only', async (t) => {
  const out = framed();
  for (let i = 0; i < 400; i += 1) out.feed(...answer([`answer ${i} `, 'to ana@example.com.'], `resp_${i}`, i % 2 === 0 ? { stream_id: `s${i}` } : {}).map((event) => (event.type === 'response.completed' ? { ...event, response: { ...event.response, status: `odd${i}`, usage: undefined } } : event)));
  t.equal(told(out, 'resp_399'), 'answer 399 to [EMAIL].');
  t.equal(out.guard.summary().facts.finishReasons.length, 8);
  t.equal(out.guard.summary().usage, undefined);
  t.equal(out.ended.length, 400);
  t.equal(out.guard.summary().decision.redactions, 400);
});
