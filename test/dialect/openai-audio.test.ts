/**
 * OpenAI audio: where text stands in forms, transcripts and streams, that a match leaves in none of the places that
 * repeat it, however it is cut, and that recordings leave as they come.
 */
import fc from 'fast-check';
import t from 'tap';
import type { WeirError } from '../../src/contract/errors.ts';
import type { Treatment } from '../../src/contract/screening.ts';
import type { Dialect, Piece, RequestReading } from '../../src/dialect/dialect.ts';
import { readForm } from '../../src/dialect/form.ts';
import { readJson } from '../../src/dialect/json.ts';
import { openaiImages } from '../../src/dialect/openai-images.ts';
import { openaiSpeech, openaiTranscription } from '../../src/dialect/openai-audio.ts';
import type { ScreeningPlan } from '../../src/screen/plan.ts';
import { createGuard, type GuardSummary } from '../../src/stream/guard.ts';
import { cutBytes, eventsOf, STREAM_REQUEST } from '../helpers/guarded.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { recordings, skipReason } from '../helpers/recordings.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

const BLOCK_PII = REDACT_PII.replace('action: redact', 'action: block');
const REPLACE_PII = REDACT_PII.replace('action: redact', 'action: replace, message: A safe transcript.');
const BLOCK_AUDIO = 'policy: test\ndefault_action: allow\nrules:\n  - { id: recordings, priority: 1, direction: output, when: { context: content_type, eq: audio }, action: block }\n';
const BLOCK_ALL = 'policy: test\ndefault_action: block\nrules: []\n';

const asked = (answerFormat?: string, stream = false): RequestReading => ({ ...STREAM_REQUEST, stream, answerFormat });

interface Answered {
  readonly text: string;
  readonly bytes: Buffer;
  readonly blocked: boolean;
  readonly error: WeirError | undefined;
  readonly summary: GuardSummary;
}

interface Answer {
  readonly mediaType?: string;
  readonly status?: number;
  readonly request?: RequestReading;
  readonly dialect?: Dialect;
  readonly bytesMax?: number;
  readonly audio?: Treatment;
  /** Looks at what has left after each chunk. */
  readonly each?: (bytes: Buffer) => void;
}

/** An answer as it leaves. */
function answered(policy: string | ScreeningPlan, chunks: readonly (Buffer | string)[], { mediaType = 'application/json', status = 200, request = asked(), dialect = openaiTranscription, bytesMax = 1 << 26, audio, each }: Answer = {}): Answered {
  const out: Buffer[] = [];
  let end: { blocked: boolean; error?: WeirError } | undefined;
  const plan = typeof policy === 'string' ? planOf(policy) : policy;
  const guard = createGuard({
    dialect, request, plan: plan.forOutput({}), requestId: 'r', status, mediaType, limits: { eventBytesMax: 1 << 22, responseBytesMax: bytesMax }, ...(audio === undefined ? {} : { opaque: { audio } }),
    onBytes: (bytes) => out.push(Buffer.from(bytes)),
    onDone: (done) => { end = done; },
  });
  for (const chunk of chunks) {
    guard.feed(Buffer.from(chunk));
    each?.(Buffer.concat(out));
  }
  guard.end();
  const bytes = Buffer.concat(out);
  return { bytes, text: bytes.toString(), blocked: end!.blocked, error: end!.error, summary: guard.summary() };
}

const redacted = (body: unknown, request?: RequestReading): any => JSON.parse(answered(REDACT_PII, [JSON.stringify(body)], { request }).text);
const texts = (pieces: readonly Piece[]): readonly unknown[] => pieces.map(({ key, text, whole, copy, gap }) => [key, text, ...(whole === true ? ['whole'] : []), ...(copy === true ? ['copy'] : []), ...(gap === undefined ? [] : [`gap "${gap}"`])]);

// Requests.

const B = 'made-up-boundary';

function form(fields: readonly (readonly [name: string, value: string, filename?: string])[]): ReturnType<typeof readForm> {
  const parts = fields.map(([name, value, filename]) => `--${B}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"\r\nContent-Type: audio/wav`}\r\n\r\n${value}\r\n`);
  return readForm(Buffer.from(`${parts.join('')}--${B}--\r\n`), B);
}

t.test('a form: its texts, the recordings, and what is a setting', async (t) => {
  const reading = openaiTranscription.readForm!(form([
    ['file', 'RIFF', 'call.wav'], ['model', 'gpt-4o-transcribe-diarize'], ['prompt', 'With Ana.'], ['keywords[]', 'Ana'], ['keywords[]', 'Bob'], ['known_speaker_names[]', 'Ana Roe'], ['known_speaker_references[]', 'data:audio/wav;base64,AAAA'],
    ['language', 'en'], ['languages[]', 'de'], ['response_format', 'diarized_json'], ['timestamp_granularities[]', 'word'], ['include[]', 'logprobs'], ['stream', 'true'], ['temperature', '0.5'], ['chunking_strategy[type]', 'server_vad'], ['chunking_strategy[threshold]', '0.5'],
    ['future_field', 'new text'], ['url', 'https://example.com/call.wav'],
  ]));
  t.same(reading.segments.filter(({ contentType }) => contentType === 'text').map(({ path, content }) => [path, content]), [
    ['file.filename', 'call.wav'], ['prompt', 'With Ana.'], ['keywords[0]', 'Ana'], ['keywords[1]', 'Bob'], ['known_speaker_names[0]', 'Ana Roe'], ['future_field', 'new text'],
  ]);
  t.same(reading.opaque, [{ carrier: 'file', kind: 'audio' }, { carrier: 'known_speaker_references[]', kind: 'audio' }, { carrier: 'url', kind: 'remote_url' }]);
  t.match(reading, { stream: true, model: 'gpt-4o-transcribe-diarize', answerFormat: 'diarized_json', parameters: { temperature: 0.5 } });
  const odd = openaiTranscription.readForm!(form([['model', 'a model with a note'], ['language', 'ana@example.com'], ['chunking_strategy', '{"type":"server_vad"}']]));
  t.same(odd.segments.map(({ content, json }) => [content, json]), [['a model with a note', false], ['ana@example.com', false], ['{"type":"server_vad"}', true]], 'a setting looks like one');
  t.match(odd, { stream: false, model: 'a model with a note', answerFormat: undefined, parameters: {} });
});

const json = (dialect: Dialect, body: unknown): RequestReading => dialect.readRequest(readJson(Buffer.from(JSON.stringify(body)), { depthMax: 64, itemsMax: 10_000 }));

t.test('the same as JSON, and speech', async (t) => {
  const reading = json(openaiTranscription, { model: 'm', prompt: 'With Ana.', input_audio: { data: 'AAAA', format: 'wav' }, stream: true, response_format: 'srt', temperature: 1, keywords: ['Bob'] });
  t.same(reading.segments.filter(({ contentType }) => contentType === 'text').map(({ path, content }) => [path, content]), [['prompt', 'With Ana.'], ['keywords[0]', 'Bob']]);
  t.match(reading, { stream: true, model: 'm', answerFormat: 'srt', parameters: { temperature: 1 }, opaque: [{ carrier: 'input_audio.data', kind: 'audio' }] });
  const speech = json(openaiSpeech, { model: 'tts-1', input: 'Call Ana.', instructions: 'Softly.', voice: { id: 'voice_1' }, response_format: 'mp3', speed: 1.5, stream_format: 'sse' });
  t.same(speech.segments.map(({ path, content }) => [path, content]), [['input', 'Call Ana.'], ['instructions', 'Softly.']]);
  t.match(speech, { stream: true, model: 'tts-1', parameters: { speed: 1.5 }, opaque: [] });
  t.equal(json(openaiSpeech, { model: 'tts-1', input: 'Hi', voice: 'alloy' }).stream, false);
  for (const body of [{}, [], { input: ['Hi'] }]) t.throws(() => json(openaiSpeech, body), { code: 'invalid_request' });
  t.throws(() => json(openaiTranscription, 'x'), { code: 'invalid_request' });
});

t.test('forms of the image endpoints', async (t) => {
  const reading = openaiImages.readForm!(form([['image[]', 'PNG', 'a.png'], ['image[]', 'PNG', 'b.png'], ['mask', 'PNG', 'm.png'], ['prompt', 'Draw Ana.'], ['model', 'gpt-image-1'], ['n', '2'], ['size', '1024x1024'], ['stream', 'false'], ['user', 'u 1'], ['output_compression', '90']]));
  t.same(reading.segments.filter(({ contentType }) => contentType === 'text').map(({ path }) => path), ['image[0].filename', 'image[1].filename', 'mask.filename', 'prompt', 'user']);
  t.same(reading.opaque.map(({ carrier, kind }) => `${carrier} ${kind}`), ['image[] image', 'image[] image', 'mask image']);
  t.match(reading, { stream: false, model: 'gpt-image-1', userId: 'u 1', parameters: { n: 2, output_compression: 90 } });
});

// Whole answers.

t.test('a transcript says a thing in many places, and none of them says it still', async (t) => {
  const verbose = {
    task: 'transcribe', language: 'english', duration: 9.5, text: 'My card is 4111 1111 1111 1111, yes. Write to ana@example.com.',
    segments: [
      { id: 0, seek: 0, start: 0, end: 3, text: ' My card is 4111 1111', tokens: [50364, 1222, 3011], temperature: 0, avg_logprob: -0.2 },
      { id: 1, seek: 0, start: 3, end: 6, text: ' 1111 1111, yes.', tokens: [5, 6], temperature: 0 },
      { id: 2, seek: 0, start: 6, end: 9.5, text: ' Write to ana@example.com.', tokens: [7], temperature: 0 },
    ],
    words: ['My', 'card', 'is', '4111', '1111', '1111', '1111', 'yes', 'Write', 'to', 'ana@example.com'].map((word, i) => ({ word, start: i, end: i + 1 })),
    logprobs: [{ token: 'My', logprob: -0.1, bytes: [77, 121] }, { token: ' card', logprob: -0.1, bytes: [1] }],
    usage: { type: 'duration', seconds: 10 },
  };
  const out = redacted(verbose);
  t.same(out, {
    ...verbose, text: 'My card is [CREDIT_CARD], yes. Write to [EMAIL].', words: [], logprobs: [],
    segments: [{ ...verbose.segments[0], text: ' My card is [CREDIT_CARD]', tokens: [] }, { ...verbose.segments[1], text: ', yes.', tokens: [] }, { ...verbose.segments[2], text: ' Write to [EMAIL].', tokens: [] }],
  });
  t.equal(answered(EMPTY_POLICY, [JSON.stringify(verbose, null, 2)]).text, JSON.stringify(verbose, null, 2), 'what nothing changes is the same bytes');
  t.same(answered(REDACT_PII, [JSON.stringify(verbose)]).summary.decision.coverage.screened, ['logprobs[].token', 'segments[].text', 'text', 'words[].word']);
});

t.test('a match over words or tokens alone does not leave either', async (t) => {
  const words = ['card', '4111', '1111', '1111', '1111', 'end'].map((word) => ({ word, start: 0, end: 1 }));
  t.same(redacted({ words }), { words: [] }, 'words');
  t.same(redacted({ text: 'a card', words }), { text: 'a card', words: [] });
  t.same(redacted({ text: 'a card', logprobs: ['an', 'a@ex', 'ample', '.com', ' is'].map((token) => ({ token })) }), { text: 'a card', logprobs: [] }, 'tokens');
  t.same(redacted({ segments: [{ text: 'It is 4111 1111' }, { text: '1111 1111' }, { text: 'Good.' }] }).segments.map(({ text }: any) => text), ['It is [CREDIT_CARD]', '', 'Good.'], 'segments without white space between');
  t.same(redacted({ text: 'x4111111111111111x', segments: [{ text: 'it is 41111111' }, { text: '11111111 ok' }] }).segments.map(({ text }: any) => text), ['it is 41111111', '11111111 ok'], 'two numbers');
  t.same(redacted({ text: '是41111111' + '11111111号', segments: [{ text: '是41111111' }, { text: '11111111号' }] }).segments.map(({ text }: any) => text), ['是[CREDIT_CARD]', '号'], 'where the text has them joined, they are');
  t.same(redacted({ text: 'fine', segments: [{ text: 'by ana@example.com', speaker: 'bob@example.com', id: 'seg_1', type: 'transcript.text.segment' }, { text: '', speaker: 'B' }, 'eve@example.com', 5] }), {
    text: 'fine', segments: [{ text: 'by [EMAIL]', speaker: '[EMAIL]', id: 'seg_1', type: 'transcript.text.segment' }, { text: '', speaker: 'B' }, '[EMAIL]', 5],
  });
  t.same(redacted({ text: 5, segments: 'ana@example.com', words: { a: 'bob@example.com' }, logprobs: null, note: ['eve@example.com'], error: { message: 'no ana@example.com' } }), {
    text: 5, segments: '[EMAIL]', words: { a: '[EMAIL]' }, logprobs: null, note: ['[EMAIL]'], error: { message: 'no [EMAIL]' },
  });
  t.same(redacted(['ana@example.com']), ['[EMAIL]']);
});

t.test('a joined list is one text, and what stands beside is not', async (t) => {
  const reader = openaiTranscription.createReader(asked());
  const { pieces } = reader.readBody({ text: 'a b', segments: [{ text: 'a' }, { text: ' b', speaker: 'S' }], words: [{ word: 'a' }, { word: 'b' }], logprobs: [{ token: 'a' }, { token: ' b' }], usage: { type: 'tokens', input_tokens: 3, output_tokens: 4 }, model: 'm' });
  t.same(texts(pieces), [
    ['0/text', 'a b', 'whole'], ['0/segments', 'a', 'gap ""'], ['0/segments', ' b', 'gap ""'], ['body/segments/speaker', 'S', 'whole'], ['0/words', 'a', 'gap ""'], ['0/words', 'b', 'gap " "'], ['0/logprobs', 'a', 'gap ""'], ['0/logprobs', ' b', 'gap ""'],
  ]);
  t.same(reader.usage(), { inputTokens: 3, outputTokens: 4 });
  t.same(reader.facts(), { model: 'm', finishReasons: [] });
  t.same(reader.readBody({ text: 'a', usage: { type: 'duration', seconds: 3 } }).pieces.length, 1);
  t.same([reader.dependents({ words: [], logprobs: [], segments: [{ tokens: [1] }, 5, {}] }, '0/text').map(({ path }) => path), reader.dependents({ words: [] }, 'body/note'), reader.dependents([], '0/text')], [[['words'], ['logprobs'], ['segments', 0, 'tokens']], [], []]);
});

const SRT = '1\r\n00:00:00,000 --> 00:00:02,000\r\nMy card is 4111 1111\r\n\r\n2\r\n00:00:02,000 --> 00:00:04,500\r\n1111 1111, write to\r\nana@example.com.\r\n\r\n';
const VTT = '\uFEFFWEBVTT\n\nNOTE by bob@example.com\n\nintro\n00:00.000 --> 01:02:03.000 align:start position:0%\nMy card is 4111 1111\n\n00:00:02.000 --> 00:00:04.000\n1111 1111, write to ana@example.com.\n';

t.test('plain text and subtitles', async (t) => {
  const plain = (text: string): string => answered(REDACT_PII, cutBytes(Buffer.from(text), 3, 9), { mediaType: 'text/plain', request: asked('text') }).text;
  t.equal(plain('My card is 4111 1111 1111 1111.\n'), 'My card is [CREDIT_CARD].\n');
  t.equal(plain('4111111111111111\n'), '[CREDIT_CARD]\n', 'a transcript of digits alone');
  t.equal(plain('[Music] ana@example.com'), '[Music] [EMAIL]');
  t.equal(plain('"ana@example.com"'), '"[EMAIL]"');
  t.equal(plain(SRT), '1\r\n00:00:00,000 --> 00:00:02,000\r\nMy card is [CREDIT_CARD]\r\n\r\n2\r\n00:00:02,000 --> 00:00:04,500\r\n, write to\r\n[EMAIL].\r\n\r\n', 'a match over two cues');
  t.equal(plain(VTT), '\uFEFFWEBVTT\n\nNOTE by [EMAIL]\n\nintro\n00:00.000 --> 01:02:03.000 align:start position:0%\nMy card is [CREDIT_CARD]\n\n00:00:02.000 --> 00:00:04.000\n, write to [EMAIL].\n');
  for (const text of [SRT, VTT, 'just text', 'true', 'null', '12']) t.equal(answered(EMPTY_POLICY, [text], { mediaType: 'text/plain' }).text, text);
  const odd = '4111111111111111\n00:00:01,000 --> 00:00:02,000 ana@example.com\n4111111111111111\n7\n00:00:01,000 --> 00:00:02,000\nx';
  t.equal(plain(odd), '[CREDIT_CARD]\n00:00:01,000 --> 00:00:02,000 [EMAIL]\n[CREDIT_CARD]\n7\n00:00:01,000 --> 00:00:02,000\nx', 'what looks like structure and says something is text');
});

t.test('what is neither text nor a known recording is refused', async (t) => {
  for (const [bytes, mediaType] of [[Buffer.from([0xff, 0xfb, 1]), 'audio/mpeg'], [Buffer.from('4\u00001\u00001\u00001\u0000'), 'text/plain'], [Buffer.from('x\xe9', 'latin1'), 'text/plain']] as const) {
    t.throws(() => answered(EMPTY_POLICY, [bytes], { mediaType }), { code: 'upstream_protocol' }, mediaType);
  }
  t.equal(answered(REDACT_PII, ['to ana@example.com'], { mediaType: 'audio/mpeg' }).text, 'to [EMAIL]', 'text under such a name is text');
});

// Streams.

const CRLF = (...events: readonly unknown[]): string => [...events.map((event) => `data: ${JSON.stringify(event)}\r\n\r\n`), 'data: [DONE]\r\n\r\n'].join('');
const delta = (text: string, more: object = {}): object => ({ type: 'transcript.text.delta', delta: text, ...more });
const done = (text: string, more: object = {}): object => ({ type: 'transcript.text.done', text, ...more });
const segment = (id: string, text: string, speaker = 'A'): object => ({ type: 'transcript.text.segment', id, start: 0, end: 1, speaker, text });
const tokens = (pieces: readonly string[]): object => ({ logprobs: pieces.map((token) => ({ token, logprob: -0.1, bytes: [...Buffer.from(token)] })) });
const SSE: Answer = { mediaType: 'text/event-stream', request: asked(undefined, true) };

/** What a client makes of a stream. */
function heard(bytes: Buffer): { readonly text: string; readonly done: readonly string[]; readonly segments: readonly string[]; readonly tokens: string } {
  const events = eventsOf(bytes);
  const of = (type: string): any[] => events.filter((event) => event.type === `transcript.text.${type}`);
  return { text: of('delta').map((event) => event.delta).join(''), done: of('done').map((event) => event.text), segments: of('segment').map((event) => event.text), tokens: events.flatMap((event) => event.logprobs ?? []).map(({ token }) => token).join('') };
}

t.test('a stream: deltas, segments, and the whole text again', async (t) => {
  const pieces = ['My card', ' is 4111', ' 1111', ' 1111 1', '111, write', ' to ana@ex', 'ample.com', '.'];
  const text = pieces.join('');
  const stream = CRLF(...pieces.map((piece) => delta(piece, tokens([piece]))), done(text, { ...tokens(pieces), usage: { type: 'tokens', input_tokens: 5, output_tokens: 6 } }));
  t.equal(answered(EMPTY_POLICY, [stream], SSE).text, stream, 'what nothing changes is the same bytes');
  for (let i = 1; i < 30; i += 1) {
    const { bytes, summary } = answered(REDACT_PII, cutBytes(Buffer.from(stream), i, i * 4), { ...SSE, each: (sent) => t.notMatch(sent.toString(), /4111|ana@|ample/) });
    const { tokens: left, ...rest } = heard(bytes);
    t.same(rest, { text: 'My card is [CREDIT_CARD], write to [EMAIL].', done: ['My card is [CREDIT_CARD], write to [EMAIL].'], segments: [] });
    t.equal(left, 'My card', 'no token of what was redacted, and none after it');
    t.same(summary.usage, { inputTokens: 5, outputTokens: 6 });
    t.notMatch(bytes.toString(), /[^\r]\n|\r(?!\n)/, 'line ends stay');
  }
});

t.test('a stream that ends with its last text, and one whose tokens would join', async (t) => {
  const left: string[] = [];
  answered(REDACT_PII, [`data: ${JSON.stringify(delta('mail ana@example.co'))}\n\n`, `data: ${JSON.stringify(done('mail ana@example.co'))}\n\n`, ': still open\n\n'], { ...SSE, each: (bytes) => left.push(bytes.toString()) });
  t.match(left[1], 'transcript.text.done', 'nothing waits for what comes after the whole text');
  const text = '1111 1111 is not 4111 1111 ';
  const tokensTwice = CRLF(delta(text, tokens([text])), done(text, tokens([text])));
  t.equal(answered(REDACT_PII, [tokensTwice], SSE).text, tokensTwice, 'the tokens of the whole text are another text');
});

t.test('segments of speakers repeat the text in pieces', async (t) => {
  const stream = (...between: readonly object[]): string => CRLF(delta('My card is ', { segment_id: 'a' }), delta('4111 1111', { segment_id: 'a' }), segment('a', 'My card is 4111 1111'), delta(' 1111 1111.', { segment_id: 'b' }), segment('b', '1111 1111.', 'bob@example.com'), ...between, done('My card is 4111 1111 1111 1111.'));
  const { bytes } = answered(REDACT_PII, [stream()], SSE);
  t.match(heard(bytes), { text: 'My card is [CREDIT_CARD].', segments: ['My card is [CREDIT_CARD]', '.'], done: ['My card is [CREDIT_CARD].'] });
  t.notMatch(bytes.toString(), /1111|bob/);
  const alone = answered(REDACT_PII, [CRLF(segment('a', 'It is 41111111'), segment('b', '11111111 ok'), done('It is 41111111\n11111111 ok'))], SSE);
  t.same(heard(alone.bytes).segments, ['It is 41111111', '11111111 ok'], 'nothing says that these are joined');
  const joined = answered(REDACT_PII, [CRLF(delta('是4111111111'), delta('111111号'), segment('a', '是4111111111'), segment('b', '111111号'), done('是4111111111111111号'))], SSE);
  t.match(heard(joined.bytes), { text: '是[CREDIT_CARD]号', segments: ['是[CREDIT_CARD]', '号'], done: ['是[CREDIT_CARD]号'] });
});

t.test('other events, and those that break the rules of the wire', async (t) => {
  const stream = CRLF('ana@example.com', delta('x'), { type: 'transcript.text.future', text: 'to bob@example.com', delta: 5, logprobs: 'eve@example.com' }, done('another text of ana@example.com'), { type: 'transcript.text.delta', delta: { deep: 'ana@example.com' } }, { error: { message: 'no eve@example.com' } });
  const { bytes } = answered(REDACT_PII, [stream], SSE);
  t.same(eventsOf(bytes), ['[EMAIL]', delta('x'), { type: 'transcript.text.future', text: 'to [EMAIL]', delta: 5, logprobs: '[EMAIL]' }, done('another text of [EMAIL]'), { type: 'transcript.text.delta', delta: { deep: '[EMAIL]' } }, { error: { message: 'no [EMAIL]' } }]);
  const held = answered(REDACT_PII, [CRLF(delta('mail ana@example'), ...Array.from({ length: 30 }, (_, i) => ({ type: 'x', note: `n ${i}` })), done('mail ana@example'))], SSE);
  t.match(heard(held.bytes), { text: 'mail ana@example', done: ['mail ana@example'] }, 'what waited leaves in an event of its own');
  t.equal(eventsOf(held.bytes).filter(({ type }) => type === 'transcript.text.delta').length, 2);
});

t.test('any text in any cut: no character of a match, and the rest as it was', async (t) => {
  const words = ['Call', 'ana@example.com', 'or', '4111 1111 1111 1111', 'now,', 'please.', '+1 202-555-0143', 'é😀', '是'];
  const redactedWords: Readonly<Record<string, string>> = { 'ana@example.com': '[EMAIL]', '4111 1111 1111 1111': '[CREDIT_CARD]', '+1 202-555-0143': '[PHONE_NUMBER]' };
  await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 12 }), fc.nat(), fc.nat(), async (said, textSeed, byteSeed) => {
    const text = `So ${said.join(' and ')} end`;
    const expected = `So ${said.map((word) => redactedWords[word] ?? word).join(' and ')} end`;
    const pieces = cutsOf(text, textSeed, 4);
    const segments = cutsOf(text, textSeed + 1, 25);
    const stream = CRLF(...pieces.map((piece) => delta(piece, tokens([piece]))), ...segments.map((piece, i) => segment(`s${i}`, piece)), done(text, tokens(pieces)));
    const got = heard(answered(REDACT_PII, cutBytes(Buffer.from(stream), byteSeed, 30), SSE).bytes);
    if (got.text !== expected || got.done[0] !== expected || got.segments.join('') !== expected || (got.tokens !== text.repeat(2) && !text.startsWith(got.tokens))) throw new Error(JSON.stringify({ expected, got }));
    const body = { text, segments: segments.map((piece) => ({ text: piece, tokens: [1] })), words: text.split(' ').map((word) => ({ word })), logprobs: pieces.map((token) => ({ token })) };
    const out = redacted(body);
    const whole = text === expected ? body : { text: expected, segments: out.segments, words: [], logprobs: [] };
    if (JSON.stringify(out) !== JSON.stringify(whole) || out.segments.map((one: any) => one.text).join('') !== expected) throw new Error(JSON.stringify({ expected, out }));
    const spoken = text.split(' ');
    const cues = cutsOf('x'.repeat(spoken.length), textSeed + 2, 3).map(({ length }, i) => `${i + 1}\n00:00:0${i % 10},000 --> 00:00:0${i % 10},900\n${spoken.splice(0, length).join(' ')}\n`).join('\n');
    const subtitles = answered(REDACT_PII, [cues], { mediaType: 'text/plain' }).text;
    if (text === expected ? subtitles !== cues : /@example|1111|0143/.test(subtitles)) throw new Error(subtitles);
  }), { seed, numRuns: runs(300) });
  t.pass(`seed ${seed}`);
});

t.test('recorded transcripts leave as they came', { skip: skipReason }, async (t) => {
  const all = recordings('audio');
  t.ok(all.length > 0);
  for (const { file, bytes, stream, status } of all) {
    const dialect = file.includes('speech') && !file.includes('transcri') ? openaiSpeech : openaiTranscription;
    const answer: Answer = { status, dialect, ...(stream ? SSE : {}) };
    for (const policy of [EMPTY_POLICY, REDACT_PII]) t.equal(answered(policy, cutBytes(bytes, 5, 40), answer).text, bytes.toString(), file);
  }
});

// Blocks.

t.test('a blocked transcript', async (t) => {
  const body = JSON.stringify({ text: 'to ana@example.com' });
  t.match(answered(BLOCK_PII, [body]), { blocked: true, text: '', error: { code: 'content_filter', status: 400 } }, 'nothing in it could say so');
  t.match(answered(BLOCK_ALL, [body]), { blocked: true, text: '', error: { code: 'content_filter' } });
  t.match(answered(BLOCK_PII, [JSON.stringify({ words: ['4111', '1111', '1111', '1111'].map((word) => ({ word })) })]), { blocked: true, error: { code: 'content_filter' } }, 'for a match over words');
  t.match(answered(BLOCK_PII, [SRT], { mediaType: 'text/plain' }), { blocked: true, error: { code: 'content_filter' } });
  const said = (format?: string): string => answered(REPLACE_PII, [format === 'srt' ? SRT : body], { request: asked(format) }).text;
  t.same(JSON.parse(said()), { text: 'A safe transcript.' });
  t.same(JSON.parse(said('verbose_json')), { task: 'transcribe', language: '', duration: 0, text: 'A safe transcript.', segments: [], words: [] });
  t.same(JSON.parse(said('diarized_json')), { task: 'transcribe', duration: 0, text: 'A safe transcript.', segments: [] });
  t.equal(said('text'), 'A safe transcript.\n');
  t.equal(said('srt'), '1\n00:00:00,000 --> 00:00:05,000\nA safe transcript.\n\n');
  t.equal(said('vtt'), 'WEBVTT\n\n00:00:00.000 --> 00:00:05.000\nA safe transcript.\n\n');
});

t.test('a blocked stream', async (t) => {
  const stream = CRLF(delta('Hello, write to ana@exam'), delta('ple.com'), done('Hello, write to ana@example.com'));
  const cut = answered(BLOCK_PII, [stream], SSE);
  t.match(eventsOf(cut.bytes), [delta('Hello, write to '), { error: { code: 'content_filter', type: 'invalid_request_error' } }]);
  t.match(cut.text, /\ndata: \[DONE\]\n\n$/);
  t.equal(cut.blocked, true);
  t.same(heard(answered(REPLACE_PII, [stream], SSE).bytes), { text: 'Hello, write to A safe transcript.', done: ['A safe transcript.'], segments: [], tokens: '' });
  t.match(eventsOf(answered(BLOCK_ALL, [stream], SSE).bytes), [{ error: { code: 'content_filter' } }]);
  const reader = openaiTranscription.createReader(asked());
  t.match(eventsOf(reader.errorEvent('upstream_timeout', 'late', 'r')), [{ error: { message: 'late', code: 'upstream_timeout' } }]);
  t.same(['0/text', '0/segments', '0/text~text', 'event/note'].map((key) => reader.canCarry(key)), [true, false, false, false]);
});

t.test('answers of our own', async (t) => {
  const answer = (format?: string, stream = false) => openaiTranscription.fallback(asked(format, stream), 'Safe.\nReally.', 'r', 5);
  t.same([answer().contentType, JSON.parse(answer().body.toString())], ['application/json', { text: 'Safe.\nReally.' }]);
  t.same([answer('srt').contentType, answer('srt').body.toString()], ['text/plain; charset=utf-8', '1\n00:00:00,000 --> 00:00:05,000\nSafe. Really.\n\n']);
  t.match(answer('vtt').body.toString(), /^WEBVTT\n\n.*\nSafe\. Really\.\n\n$/s);
  t.same([answer('text').contentType, answer('text').body.toString()], ['text/plain; charset=utf-8', 'Safe.\nReally.\n']);
  t.same(heard(answer('text', true).body), { text: 'Safe.\nReally.', done: ['Safe.\nReally.'], segments: [], tokens: '' });
  t.match(answer(undefined, true), { contentType: 'text/event-stream; charset=utf-8' });
  t.throws(() => openaiSpeech.fallback(asked(), 'Safe.', 'r', 5), { code: 'content_filter' }, 'no recording says it');
  t.match(JSON.parse(openaiTranscription.error('content_filter', 'no', 'r').body.toString()), { error: { param: 'prompt' } });
  t.match(JSON.parse(openaiSpeech.error('content_filter', 'no', 'r').body.toString()), { error: { param: 'input' } });
});

// Recordings.

const MP3 = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90, 0]), Buffer.from('ana@example.com 4111 1111 1111 1111 {"a":[') , Buffer.alloc(5_000, 0xaa)]);
const RECORDING: Answer = { mediaType: 'audio/mpeg', dialect: openaiSpeech };

t.test('a recording leaves as it comes, at once', async (t) => {
  for (const mediaType of ['audio/mpeg', 'application/octet-stream', 'video/mp4']) {
    let chunks = 0;
    let sent = 0;
    const { bytes, blocked, summary } = answered(REDACT_PII, cutBytes(MP3, 7, 100), { ...RECORDING, mediaType, each: (left) => { chunks += 1; sent = left.length; } });
    t.same(bytes, MP3);
    t.ok(chunks > 10 && sent === MP3.length, 'chunk by chunk');
    t.match(summary.decision, { action: 'allow', coverage: { screened: [], opaque: [{ carrier: 'body', kind: mediaType === 'video/mp4' ? 'video' : 'audio', treatment: 'pass' }] } });
    t.equal(blocked, false);
  }
  t.same(answered(REDACT_PII, [], RECORDING).summary.decision.coverage.opaque, [], 'an empty one');
});

t.test('a recording that the configuration or the policy refuses', async (t) => {
  t.throws(() => answered(REDACT_PII, [MP3], { ...RECORDING, audio: 'refuse' }), { code: 'opaque_refused', message: /audio/ });
  t.same(answered(REDACT_PII, [MP3], { ...RECORDING, audio: 'pass' }).bytes, MP3);
  for (const policy of [BLOCK_ALL, BLOCK_AUDIO]) t.match(answered(policy, [MP3], RECORDING), { blocked: true, text: '', error: { code: 'content_filter' } });
  t.throws(() => answered(REDACT_PII, [MP3.subarray(0, 600), MP3.subarray(600)], { ...RECORDING, bytesMax: 1_000 }), { code: 'response_too_large' });
  t.same(answered(REDACT_PII, [MP3], { ...RECORDING, bytesMax: MP3.length }).bytes, MP3);
});

t.test('an error or a text in the place of a recording is screened', async (t) => {
  t.match(answered(REDACT_PII, ['{"error":{"message":"no ana@example.com"}}'], { ...RECORDING, mediaType: 'application/json', status: 400 }).text, '{"error":{"message":"no [EMAIL]"}}');
  t.match(answered(REDACT_PII, ['no ana@example.com'], { ...RECORDING, status: 500 }).text, 'no [EMAIL]', 'whatever its media type says');
  t.throws(() => answered(REDACT_PII, [MP3], { ...RECORDING, status: 500 }), { code: 'upstream_protocol' });
  t.throws(() => answered(REDACT_PII, [MP3], { ...RECORDING, mediaType: 'text/html' }), { code: 'upstream_protocol' });
});

t.test('speech as a stream, or in JSON', async (t) => {
  const stream = CRLF({ type: 'speech.audio.delta', audio: 'SUQz' }, { type: 'speech.audio.delta', audio: 'BAAA' }, { type: 'speech.audio.done', usage: { input_tokens: 3, output_tokens: 4, total_tokens: 7 } });
  const speech: Answer = { ...SSE, dialect: openaiSpeech };
  const passed = answered(REDACT_PII, [stream], speech);
  t.equal(passed.text, stream);
  t.match(passed.summary, { usage: { inputTokens: 3, outputTokens: 4 }, decision: { coverage: { opaque: [{ carrier: 'audio', kind: 'audio', treatment: 'pass' }] } } });
  t.throws(() => answered(REDACT_PII, [stream], { ...speech, audio: 'refuse' }), { code: 'opaque_refused' });
  t.match(answered(REDACT_PII, [CRLF({ type: 'speech.audio.delta', audio: 'to ana@example.com' })], speech).text, 'to [EMAIL]', 'what is no base64 is text');
  t.match(answered(REDACT_PII, ['{"audio_data":"SUQz"}'], { dialect: openaiSpeech }).summary.decision.coverage, { opaque: [{ carrier: 'audio_data', kind: 'audio' }] });
  for (const policy of [BLOCK_ALL, BLOCK_AUDIO]) t.match(eventsOf(answered(policy, [stream], speech).bytes), [{ error: { code: 'content_filter' } }]);
  t.match(answered(BLOCK_AUDIO, ['{"audio_data":"SUQz"}'], { dialect: openaiSpeech }), { blocked: true, text: '', error: { code: 'content_filter' } });
});
