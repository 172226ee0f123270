/** The Realtime API: where text stands in the events of both sides, which events belong together, and what a cut says. */
import t from 'tap';
import type { ClientEvent, SocketReader, SocketReading } from '../../src/dialect/socket.ts';
import { readJson } from '../../src/dialect/json.ts';
import { realtime } from '../../src/dialect/realtime.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';

/** A reader that is given events alone; it looks at nothing else. */
function readerOf(): Omit<SocketReader, 'readEvent'> & { readEvent(event: unknown): SocketReading } {
  const reader = realtime.createReader();
  return {
    readEvent: (event) => reader.readEvent(event, JSON.stringify(event)), dependents: (event, key) => reader.dependents(event, key), canCarry: (key) => reader.canCarry(key), textEvent: (key, text) => reader.textEvent(key, text),
    cut: (scope, why) => reader.cut(scope, why), usage: () => reader.usage(), facts: () => reader.facts(),
  };
}

const read = (event: unknown): ClientEvent => realtime.readClientEvent(readJson(Buffer.from(JSON.stringify(event)), { depthMax: 64, itemsMax: 10_000 }));
const texts = ({ segments }: ClientEvent): Record<string, string> => Object.fromEntries(segments.filter(({ contentType }) => contentType === 'text').map(({ path, content, key }) => [key === true ? `${path}*` : path, content]));

t.test('every text of a client’s event is a segment, known or not', async (t) => {
  const update = read({
    type: 'session.update', event_id: 'mine_1',
    session: {
      type: 'realtime', model: 'gpt-realtime', instructions: 'be kind', output_modalities: ['text'], voice: 'marin', include: ['item.input_audio_transcription.logprobs'], truncation: 'auto', max_output_tokens: 'inf', tool_choice: 'auto', future: { deep: ['new text'] },
      audio: { input: { format: { type: 'audio/pcm', rate: 24000 }, transcription: { model: 'whisper-1', language: 'en', prompt: 'names: Ana' }, noise_reduction: { type: 'near_field' }, turn_detection: { type: 'semantic_vad', eagerness: 'low' } }, output: { voice: 'marin', format: { type: 'audio/pcm' } } },
      tools: [{ type: 'function', name: 'save', description: 'saves', parameters: { type: 'object', properties: { mail: { description: 'the mail' } } } }, { type: 'mcp', server_label: 'files', server_url: 'https://files.example.com', authorization: 'made-up secret', headers: { 'X-Key': 'made-up secret' }, allowed_tools: ['read'] }],
      prompt: { id: 'pmpt_1', version: '2', variables: { name: 'Bob' } }, tracing: { workflow_name: 'desk', metadata: { team: 'red' } },
    },
  });
  const found = texts(update);
  t.match(found, {
    'session.instructions': 'be kind', 'session.future.deep[0]': 'new text', 'session.audio.input.transcription.prompt': 'names: Ana', 'session.tools[0].name': 'save', 'session.tools[0].description': 'saves', 'session.tools[0].parameters.properties.mail*': 'mail',
    'session.tools[0].parameters.properties.mail.description': 'the mail', 'session.tools[1].server_url': 'https://files.example.com', 'session.tools[1].headers.X-Key*': 'X-Key', 'session.tools[1].allowed_tools[0]': 'read', 'session.prompt.variables.name': 'Bob', 'session.tracing.workflow_name': 'desk', 'session.tracing.metadata.team': 'red',
  });
  t.notMatch(JSON.stringify(found), /made-up secret|marin|pcm|whisper|semantic_vad|near_field|mine_1|gpt-realtime|"auto"|"inf"/, 'settings, ids and secrets are no text');
  t.match(update, { type: 'session.update', eventId: 'mine_1', asks: false, stream: true, model: 'gpt-realtime', parameters: {}, opaque: [{ carrier: 'session.prompt.id', kind: 'reference' }] });

  const created = read({ type: 'conversation.item.create', previous_item_id: 'item_0', item: { id: 'item_1', type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'hello' }, { type: 'input_audio', audio: 'AAAA', transcript: 'said' }, { type: 'input_image', image_url: 'https://pictures.example.com/1.png', detail: 'low' }] } });
  t.same(texts(created), { 'item.content[0].text': 'hello', 'item.content[1].transcript': 'said' });
  t.same(created.opaque, [{ carrier: 'item.content[].audio', kind: 'audio' }, { carrier: 'item.content[].image_url', kind: 'remote_url' }]);
  t.same(created.segments.map(({ role, history }) => [role, history]), created.segments.map(() => ['user', false]));
  t.same(texts(read({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'call_1', output: '{"a":1}' } })), { 'item.output': '{"a":1}' });
  t.equal(read({ type: 'conversation.item.create', item: { type: 'function_call', name: 'f', arguments: '{"a":1}' } }).segments[1]!.json, true);
  t.same(read({ type: 'input_audio_buffer.append', audio: 'AAAA' }).opaque, [{ carrier: 'audio', kind: 'audio' }]);
  t.same(texts(read({ type: 'an id that says something', event_id: 'not an id' })), { type: 'an id that says something', event_id: 'not an id' }, 'a sentence in the place of an id is text');
});

t.test('an answer is asked for, with what is earlier in its input', async (t) => {
  const asked = read({ type: 'response.create', response: { conversation: 'none', instructions: 'short', metadata: { topic: 'x' }, input: [{ type: 'message', role: 'user', content: [{ type: 'input_text', text: 'first' }] }, { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'second' }] }, { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'third' }] }, { type: 'item_reference', id: 'item_9' }] } });
  t.match(asked, { asks: true, model: undefined, eventId: undefined });
  t.same(asked.segments.map(({ content, role, history }) => [content, role, history]), [['short', 'system', false], ['topic', undefined, false], ['x', undefined, false], ['first', 'user', true], ['second', 'assistant', true], ['third', 'user', false]]);
  t.equal(read({ type: 'response.create' }).asks, true);
  t.equal(read({ type: 'response.create', response: { input: ['odd', { role: 5, content: 'x' }] } }).segments.length, 2);
  t.same(read({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'c', output: 'found' } }).segments.map(({ role }) => role), ['tool'], 'a tool’s result is the tool’s');
  t.equal(read({ type: 'response.create', event_id: 'not an id' }).eventId, undefined);
});

t.test('what is no event is refused', async (t) => {
  for (const event of [[], 'x', 7, null, {}, { type: 7 }]) t.throws(() => read(event), { code: 'invalid_request' });
});

const pieces = ({ pieces }: SocketReading): [string, string, string][] => pieces.map(({ key, text, whole, copy, growing }) => [key, text, whole ? 'whole' : copy ? 'again' : growing ? 'growing' : 'more']);

t.test('texts of one item are one text, under both names of their events', async (t) => {
  const reader = readerOf();
  const at = { event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 2 };
  for (const [type, field, channel] of [
    ['response.output_text', 'text', '2/text'], ['response.text', 'text', '2/text'], ['response.output_audio_transcript', 'transcript', '2/transcript'], ['response.audio_transcript', 'transcript', '2/transcript'],
    ['response.function_call_arguments', 'arguments', 'arguments'], ['response.mcp_call_arguments', 'arguments', 'arguments'],
  ] as const) {
    const key = `r.resp_1:item_1/${channel}`;
    t.same(pieces(reader.readEvent({ ...at, type: `${type}.delta`, delta: 'a', obfuscation: 'x y' })), [[key, 'a', 'more']], type);
    const done = reader.readEvent({ ...at, type: `${type}.done`, [field]: 'ab', call_id: 'call_1' });
    t.same([pieces(done), done.closes], [[[key, 'ab', 'again']], [key]]);
    t.equal(done.pieces[0]!.kind, channel === 'arguments' ? 'json' : 'text');
  }
  t.same(pieces(reader.readEvent({ ...at, type: 'response.content_part.done', part: { type: 'audio', transcript: 'ab' }, content: { type: 'text', text: 'ab' } })), [['r.resp_1:item_1/2/transcript', 'ab', 'again'], ['r.resp_1:item_1/2/text', 'ab', 'again']]);
  const item = { id: 'item_1', type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'x' }, { type: 'output_audio', transcript: 'y' }] };
  const done = reader.readEvent({ type: 'response.output_item.done', response_id: 'resp_1', item });
  t.same([pieces(done), done.closes], [[['r.resp_1:item_1/0/text', 'x', 'again'], ['r.resp_1:item_1/1/transcript', 'y', 'again']], ['r.resp_1:item_1/']]);
  t.same(pieces(reader.readEvent({ type: 'conversation.item.done', item })).map(([key]) => key), ['r.resp_1:item_1/0/text', 'r.resp_1:item_1/1/transcript'], 'an item is known by its answer');
  t.same(reader.readEvent({ type: 'response.output_item.done', item: 'odd' }).closes, []);
  t.same(pieces(reader.readEvent({ type: 'response.output_item.done', response_id: 'resp_1', item: { content: [{ text: 'x' }] } })), [['r.resp_1:/0/text', 'x', 'again']], 'an item without a name');
  t.same(pieces(reader.readEvent({ type: 'conversation.item.retrieved', item: { id: 'it:em/9', type: 'function_call', name: 'f', arguments: '{}' } })), [['i.it%3aem%2f9:conversation.item.retrieved/item/name', 'f', 'whole'], ['i.it%3aem%2f9:it%3aem%2f9/arguments', '{}', 'again']], 'an id cannot be taken for another key');
});

t.test('answers begin and end, and tell what they used', async (t) => {
  const reader = readerOf();
  t.equal(reader.usage(), undefined);
  t.match(reader.readEvent({ type: 'session.created', session: { model: 'gpt-realtime', instructions: 'be kind' } }), { single: true, pieces: [{ text: 'be kind', whole: true, carrier: 'session.created:session.instructions' }] });
  t.match(reader.readEvent({ type: 'response.created', response: { id: 'resp_1', status: 'in_progress', metadata: { a: 'b' } } }), { scope: 'r.resp_1:', single: false, answer: 'begins', pieces: [{ inKey: true, text: 'a' }, { text: 'b' }] });
  const done = reader.readEvent({ type: 'response.done', response: { id: 'resp_1', status: 'completed', output: [{ id: 'item_1', content: [{ type: 'output_text', text: 'x' }] }, { id: 'item_2', arguments: '{}' }], usage: { input_tokens: 3, output_tokens: 4 } } });
  t.match(done, { scope: 'r.resp_1:', answer: 'ends', closes: ['r.resp_1:'], tokens: 7 });
  t.same(pieces(done), [['r.resp_1:item_1/0/text', 'x', 'again'], ['r.resp_1:item_2/arguments', '{}', 'again']]);
  t.match(reader.readEvent({ type: 'response.done', response: { id: 'resp_2', status: 'failed', usage: {} } }), { tokens: 0 });
  t.match(reader.readEvent({ type: 'response.done', response: { status_details: 'unimplemented' } }), { scope: 'r.:', tokens: undefined });
  t.match(reader.readEvent({ type: 'response.created', response: 'odd' }), { scope: 'r.:', answer: 'begins' });
  t.match(reader.readEvent({ type: 'response.done' }), { tokens: undefined });
  t.same(reader.usage(), { inputTokens: 3, outputTokens: 4 });
  t.same(reader.facts(), { responseId: 'resp_2', model: 'gpt-realtime', finishReasons: ['completed', 'failed'] });
  for (let i = 0; i < 20; i += 1) reader.readEvent({ type: 'response.done', response: { id: 'r', status: `odd${i}` } });
  t.equal(reader.facts().finishReasons.length, 8);
  t.same(readerOf().readEvent({ type: 'session.created' }).pieces, []);
});

t.test('what the user says belongs to its item, growing or in pieces', async (t) => {
  const reader = readerOf();
  const at = { event_id: 'e', item_id: 'item_u', content_index: 0 };
  t.match(reader.readEvent({ ...at, type: 'conversation.item.input_audio_transcription.delta', delta: 'a' }), { scope: 'i.item_u:', pieces: [{ key: 'i.item_u:item_u/0/transcript' }] });
  t.same(pieces(reader.readEvent({ ...at, type: 'conversation.item.input_audio_transcription.updated', transcript: 'ab' })), [['i.item_u:item_u/0/transcript', 'ab', 'growing']]);
  t.match(reader.readEvent({ ...at, type: 'conversation.item.input_audio_transcription.completed', transcript: 'ab', usage: { type: 'duration', seconds: 3 } }), { closes: ['i.item_u:item_u/0/transcript'], pieces: [{ copy: true }] });
  t.match(reader.readEvent({ ...at, type: 'conversation.item.input_audio_transcription.failed', error: { type: 'server_error', code: 'x', message: 'no model' } }), { closes: ['i.item_u:item_u/0/transcript'], pieces: [{ text: 'no model', whole: true }] });
  t.same(pieces(reader.readEvent({ ...at, type: 'conversation.item.input_audio_transcription.segment', id: 'seg_1', text: 'ab', speaker: 'Ana' })).map(([, text, how]) => [text, how]), [['ab', 'whole'], ['Ana', 'whole']]);
  t.same(reader.readEvent({ type: 'input_audio_buffer.committed', item_id: 'item_u', previous_item_id: null }).pieces, []);
});

t.test('what stands alone', async (t) => {
  const reader = readerOf();
  const first = reader.readEvent({ type: 'error', event_id: 'e', error: { type: 'invalid_request_error', code: 'x', message: 'bad word', param: 'session.x', event_id: 'mine' } });
  const second = reader.readEvent({ type: 'error', error: { message: 'bad word' } });
  t.match([first.single, second.single], [true, true]);
  t.not(first.scope, second.scope);
  t.match(reader.readEvent({ type: 'rate_limits.updated', rate_limits: [{ name: 'tokens', limit: 4 }] }), { scope: '', pieces: [] }, 'no text, no scope');
  t.match(reader.readEvent({ type: 'made.up', note: 'hello there' }), { pieces: [{ carrier: 'made.up:note' }] });
  t.match(reader.readEvent({ type: 'made.up', arguments: '{"a":1}' }), { pieces: [{ kind: 'json', whole: true }] });
  t.match(reader.readEvent(['hello']), { pieces: [{ text: 'hello', carrier: 'event:[]' }], single: true });
  t.match(reader.readEvent('hello'), { pieces: [{ text: 'hello', path: [] }] });
  t.match(reader.readEvent(7), { pieces: [] });
  t.match(reader.readEvent({ type: 'error', error: 'odd' }), { ours: undefined });
});

t.test('sound is not read, in a delta of its own or beside a transcript', async (t) => {
  const reader = readerOf();
  const at = { event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0 };
  for (const type of ['response.output_audio.delta', 'response.audio.delta']) t.match(reader.readEvent({ ...at, type, delta: 'AAAA' }), { pieces: [], opaque: [{ path: ['delta'], carrier: `${type}:delta`, kind: 'audio', alone: true }] });
  t.match(reader.readEvent({ ...at, type: 'response.content_part.done', part: { type: 'audio', audio: 'AAAA', transcript: 'x' } }), { pieces: [{ text: 'x' }], opaque: [{ path: ['part', 'audio'], alone: false }] });
  t.match(reader.readEvent({ ...at, type: 'made.up.delta', delta: 'hello there' }), { pieces: [{ text: 'hello there', whole: true }] }, 'a delta that is not known is text');
});

t.test('log-probabilities depend on the transcript of their item', async (t) => {
  const reader = readerOf();
  const event = { type: 'conversation.item.input_audio_transcription.delta', item_id: 'item_u', content_index: 0, delta: 'a', logprobs: [{ token: 'a' }] };
  t.same(reader.readEvent(event).pieces.length, 1, 'they are no text of their own');
  t.same(reader.dependents(event, 'i.item_u:item_u/0/transcript'), [{ path: ['logprobs'], value: null }]);
  t.same([reader.dependents(event, 'i.item_v:item_v/0/transcript'), reader.dependents({ ...event, logprobs: null }, 'i.item_u:item_u/0/transcript'), reader.dependents('odd', 'x')], [[], [], []]);
});

t.test('events of our own', async (t) => {
  const reader = readerOf();
  const parse = (frame: Buffer): any => JSON.parse(frame.toString());
  reader.readEvent({ type: 'response.created', response: { id: 'resp_1' } });
  const delta = { type: 'response.output_text.delta', event_id: 'e', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, delta: 'hel', obfuscation: 'xyz', logprobs: [], rid: 'r1' };
  const { key } = reader.readEvent(delta).pieces[0]!;
  t.equal(reader.canCarry(key), true);
  t.same(parse(reader.textEvent(key, 'lo')), { type: delta.type, event_id: 'event_weir_1', response_id: 'resp_1', item_id: 'item_1', output_index: 0, content_index: 0, rid: 'r1', delta: 'lo' });
  reader.readEvent({ type: 'response.function_call_arguments.delta', response_id: 'resp_1', item_id: 'item_2', delta: '{' });
  t.same(['r.resp_1:item_2/arguments', 'r.resp_1:item_9/0/text'].map((other) => reader.canCarry(other)), [false, false], 'arguments are acted on whole');

  const { toClient, toUpstream } = reader.cut('r.resp_1:', { message: 'no' });
  t.match(toClient.map(parse), [{ type: 'error', error: { type: 'invalid_request_error', code: 'content_filter', message: 'no', param: null, event_id: null } }, { type: 'response.done', response: { id: 'resp_1', object: 'realtime.response', status: 'incomplete', status_details: { type: 'incomplete', reason: 'content_filter' }, output: [], usage: null } }]);
  const cancel = parse(toUpstream[0]!);
  t.match(cancel, { type: 'response.cancel', response_id: 'resp_1' });
  const ids = [...toClient, ...toUpstream].map((frame) => parse(frame).event_id);
  t.equal(new Set(ids).size, 3, 'each has a name of its own');
  t.equal(reader.readEvent({ type: 'error', error: { message: 'no active response', event_id: cancel.event_id } }).ours, true);
  t.equal(reader.readEvent({ type: 'error', error: { message: 'no active response', event_id: cancel.event_id } }).ours, undefined, 'once');
  reader.readEvent({ type: 'response.done', response: { id: 'resp_1' } });
  t.match(reader.cut('r.resp_1:', { message: 'no' }), { toClient: { length: 1 }, toUpstream: [] }, 'an answer that has ended is not ended again');

  t.match(parse(realtime.errorEvent('invalid_json', 'bad', 'mine')), { type: 'error', event_id: 'event_weir_invalid_json', error: { type: 'invalid_request_error', code: 'invalid_json', message: 'bad', param: null, event_id: 'mine' } });
});

t.test('an upstream that names items and events without end costs no memory', async (t) => {
  const reader = readerOf();
  const carriers = new Set<string>();
  for (let i = 0; i < 6_000; i += 1) {
    const { pieces } = reader.readEvent({ type: `response.made_up_${'abcdefghij'[i % 10]}${'_'.repeat(i % 97)}`, response_id: `resp_${i}`, item_id: `item_${i}`, note: 'some text' });
    carriers.add(pieces[0]!.carrier);
    reader.readEvent({ type: 'response.output_text.delta', response_id: `resp_${i}`, item_id: `item_${i}`, delta: 'x' });
  }
  t.ok(carriers.size <= 501, `${carriers.size} carriers`);
  t.match(reader.readEvent({ type: 'conversation.item.done', item: { id: 'item_0', content: [{ text: 'x' }] } }), { scope: 'i.item_0:' }, 'the oldest item is forgotten');
  t.match(reader.readEvent({ type: 'conversation.item.done', item: { id: 'item_5999', content: [{ text: 'x' }] } }), { scope: 'r.resp_5999:' });
  t.same(['r.resp_0:item_0/0/text', 'r.resp_5999:item_5999/0/text'].map((key) => reader.canCarry(key)), [false, true]);
});

t.test('in recorded sockets nothing but text is screened, and all of it', { skip: skipReason }, async (t) => {
  const odd: string[] = [];
  for (const { bytes } of recordings('realtime-ws')) {
    const reader = readerOf();
    for (const { direction, data } of bytes.toString().split('\n').filter(Boolean).map((line) => JSON.parse(line))) {
      if (direction === 'sent') for (const { content, carrier } of read(data).segments.filter(({ contentType }) => contentType === 'text')) odd.push(...(TEXTS.test(carrier) ? [] : [`${carrier} ${content}`]));
      else for (const { text, carrier, whole } of reader.readEvent(data).pieces) odd.push(...(whole !== true || TEXTS.test(carrier) ? [] : [`${carrier} ${text}`]));
    }
  }
  t.same([...new Set(odd)], []);
});

/** Texts of recordings that no item says in pieces. */
const TEXTS = /instructions$|\.name$|\.description$|parameters\.\*(?:\.\*|\[\])*$|:name$|item\.output$|content\[\]\.text$|error\.message$|status_details$|input_audio_format$|output_audio_format$|required\[\]$/;
