/**
 * Bodies that are not JSON, through the real proxy: forms are screened and forwarded byte for byte, recordings come back
 * byte for byte while the client reads them, and what is neither does not pass.
 */
import t from 'tap';
import { ERROR_CODES } from '../../src/contract/errors.ts';
import { SCREENED_ENDPOINTS } from '../../src/proxy/route.ts';
import { EMPTY_POLICY, planOf, REDACT_PII } from '../helpers/plans.ts';
import { ProxyUnderTest, type ProxyOptions } from '../helpers/proxy.ts';
import { RawClient, chatRequest, rawRequest, type RawAnswer } from '../helpers/raw.ts';
import { LAST_CHUNK, chunk, events, head, json, until, type Script } from '../helpers/upstream.ts';

const B = 'made-up-boundary';
const RIFF = Buffer.concat([Buffer.from('RIFF'), Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.from('ana@example.com\r\n--')]);
const MP3 = Buffer.concat([Buffer.from([0xff, 0xfb, 0x90]), RIFF]);

function formBody(prompt: string | Buffer, more = '', file = 'file'): Buffer {
  const fields = `--${B}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--${B}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n`;
  const rest = `\r\n${more}--${B}\r\nContent-Disposition: form-data; name="${file}"; filename="call.wav"\r\nContent-Type: audio/wav\r\n\r\n`;
  return Buffer.concat([Buffer.from(fields), Buffer.from(prompt), Buffer.from(rest), RIFF, Buffer.from(`\r\n--${B}--\r\n`)]);
}

function post(path: string, body: Buffer | string, contentType = `multipart/form-data; boundary=${B}`): Buffer {
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`), Buffer.from(body)]);
}

const TRANSCRIBE = '/v1/audio/transcriptions';
const transcribe = (prompt: string, contentType?: string): Buffer => post(TRANSCRIBE, formBody(prompt), contentType);
const speak = (input: string, more: object = {}): Buffer => post('/v1/audio/speech', JSON.stringify({ model: 'tts-1', input, voice: 'alloy', ...more }), 'application/json');
const media = (type: string, bytes: Buffer = MP3): Script => (socket) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-type': type, 'content-length': String(bytes.length) })), bytes]));
const codeOf = (answer: RawAnswer): string => (JSON.parse(answer.body.toString()) as { error: { code: string } }).error.code;

async function start(t: { teardown(work: () => Promise<void>): void }, options: ProxyOptions = {}): Promise<ProxyUnderTest> {
  const proxy = await ProxyUnderTest.start({ script: json(200, { text: 'Fine.' }), plan: planOf(REDACT_PII), ...options });
  t.teardown(() => proxy.close());
  return proxy;
}

t.test('a form is forwarded as the bytes it came in, or with its texts redacted', async (t) => {
  const proxy = await start(t);
  const answer = await rawRequest(proxy.port, transcribe('With Ana.'));
  t.match(answer, { status: 200, headers: { 'x-weir-action': 'allow', 'x-weir-coverage': 'partial' } });
  t.equal(answer.body.toString(), '{"text":"Fine."}');
  t.same(proxy.upstream.received[0]!.body, formBody('With Ana.'), 'the same bytes');
  t.match(proxy.upstream.received[0], { path: TRANSCRIBE, headers: { 'content-type': `multipart/form-data; boundary=${B}` } });
  await rawRequest(proxy.port, transcribe('Write to ana@example.com.'));
  t.same(proxy.upstream.received[1]!.body, formBody('Write to [EMAIL].'), 'and with a value replaced');
  t.match(await proxy.record(2), { route: TRANSCRIBE, model: 'whisper-1', outcome: 'completed', input: { action: 'redact', redactions: 1, coverage: { screened: ['prompt', 'file.filename'], opaque: [{ carrier: 'file', kind: 'audio', treatment: 'pass' }] } }, output: { coverage: { screened: ['text'] } } });
});

t.test('forms that are refused reach nobody', async (t) => {
  const proxy = await start(t);
  const refused: readonly (readonly [code: string, request: Buffer])[] = [
    ['invalid_form', post(TRANSCRIBE, formBody('x').subarray(0, -6))],
    ['invalid_form', transcribe('x', 'multipart/form-data; boundary=other')],
    ['invalid_form', transcribe('a\0b')],
    ['duplicate_key', post(TRANSCRIBE, formBody('x', `--${B}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\ny\r\n`))],
    ['form_too_large', post(TRANSCRIBE, formBody('x', Array.from({ length: 1_000 }, (_, i) => `--${B}\r\nContent-Disposition: form-data; name="f${i}"\r\n\r\ny\r\n`).join('')))],
    ['invalid_utf8', post(TRANSCRIBE, formBody(Buffer.from([0xe9])))],
    ['unsupported_media_type', transcribe('x', 'multipart/form-data')],
    ['unsupported_media_type', transcribe('x', `multipart/form-data; boundary=${B}; boundary=other`)],
    ['unsupported_media_type', transcribe('x', `multipart/form-data; boundary="a\\"b"`)],
    ['unsupported_media_type', transcribe('x', `multipart/mixed; boundary=${B}`)],
    ['unsupported_media_type', transcribe('x', `multipart/form-data; charset=utf-16; boundary=${B}`)],
    ['unsupported_media_type', post('/v1/chat/completions', formBody('x'))],
    ['unsupported_media_type', post('/v1/audio/speech', formBody('x'))],
    ['unsupported_media_type', post('/v1/images/generations', formBody('x'))],
    ['invalid_json', post(TRANSCRIBE, '{', 'application/json')],
  ];
  for (const [code, request] of refused) {
    const answer = await rawRequest(proxy.port, request);
    t.equal(codeOf(answer), code);
    t.equal(answer.status, ERROR_CODES[code as keyof typeof ERROR_CODES].status);
  }
  t.equal(proxy.upstream.received.length, 0);
});

t.test('a form that is declared in another way that says the same', async (t) => {
  const proxy = await start(t, { plan: planOf(EMPTY_POLICY) });
  for (const contentType of [`multipart/form-data;boundary="${B}"`, `Multipart/Form-Data; Boundary=${B}; charset=UTF-8`]) t.equal((await rawRequest(proxy.port, transcribe('x', contentType))).status, 200, contentType);
  const body = JSON.stringify({ model: 'm', prompt: 'x', input_audio: { data: 'AAAA', format: 'wav' } });
  t.equal((await rawRequest(proxy.port, post(TRANSCRIBE, body, 'application/json'))).status, 200, 'the same fields as JSON');
  t.equal(proxy.upstream.received[2]!.body.toString(), body);
  for (const { path, body, dialect } of SCREENED_ENDPOINTS) t.equal(dialect.readForm !== undefined || body !== 'form', true, path);
  const azure = '/openai/deployments/whisper/audio/transcriptions?api-version=2025-04-01-preview';
  t.equal((await rawRequest(proxy.port, post(azure, formBody('x')))).status, 200, 'by a path of Azure');
  t.equal(proxy.upstream.received[3]!.path, azure);
  t.equal((await rawRequest(proxy.port, post('/v1/files', formBody('to ana@example.com').subarray(0, -9)))).status, 200, 'on a route that is handed over whole');
  t.same(proxy.upstream.received[4]!.body, formBody('to ana@example.com').subarray(0, -9), 'nothing reads it');
  const edited = await rawRequest(proxy.port, post('/v1/images/edits', formBody('a cat', '', 'image[]')));
  t.equal(edited.status, 200, 'a picture to edit');
});

t.test('a recording in the body that the configuration refuses', async (t) => {
  const proxy = await start(t, { proxy: { opaque: { image: 'pass', audio: 'refuse', video: 'pass', file: 'pass', remote_url: 'pass', reference: 'pass', encrypted: 'pass', tokens: 'refuse', background: 'refuse' } }, script: media('audio/mpeg') });
  t.equal(codeOf(await rawRequest(proxy.port, transcribe('x'))), 'opaque_refused');
  t.equal(proxy.upstream.received.length, 0);
  const spoken = await rawRequest(proxy.port, speak('Hello'));
  t.same([spoken.status, codeOf(spoken)], [400, 'opaque_refused'], 'and one in the answer');
  t.notOk(spoken.body.includes(RIFF), 'of which nothing is relayed');
  t.match(await proxy.record(2), { outcome: 'refused', error_code: 'opaque_refused', status: 400, upstream_status: 200, output: { coverage: { opaque: [{ carrier: 'body', kind: 'audio', treatment: 'refuse' }] } } });
  proxy.upstream.script = events(['data: {"type":"speech.audio.delta","audio":"SUQz"}\n\n']);
  const streamed = await rawRequest(proxy.port, speak('Hello', { stream_format: 'sse' }));
  t.match(streamed.body.toString(), /^data: \{"error":.*opaque_refused/, 'in a stream too');
  t.notMatch(streamed.body.toString(), 'SUQz');
  t.match(await proxy.record(3), { outcome: 'refused', error_code: 'opaque_refused', stream: true });
});

t.test('a recording comes back as it is', async (t) => {
  const proxy = await start(t, { script: media('audio/mpeg') });
  for (const durability of ['relaxed', 'strict'] as const) {
    const other = durability === 'strict' ? await start(t, { script: media('application/octet-stream'), tenants: [{ audit: { durability } }] }) : proxy;
    const answer = await rawRequest(other.port, speak('Call ana@example.com'));
    t.match(answer, { status: 200, complete: true, headers: { 'x-weir-action': 'redact', 'x-weir-coverage': 'partial' } }, durability);
    t.same(answer.body, MP3);
    t.match(JSON.parse(other.upstream.received[0]!.body.toString()), { input: 'Call [EMAIL]' });
    t.match(await other.record(), { outcome: 'completed', route: '/v1/audio/speech', response_bytes: MP3.length, output: { action: 'allow', coverage: { screened: [], opaque: [{ carrier: 'body', kind: 'audio', treatment: 'pass' }] } } });
  }
});

t.test('under strict durability the end of a recording waits for its entry', async (t) => {
  let written = false;
  const late: Script = (socket) => void socket.write(Buffer.concat([Buffer.from(head(200, { 'content-type': 'audio/mpeg', 'transfer-encoding': 'chunked' })), chunk('first '), chunk('second '), chunk('last'), Buffer.from(LAST_CHUNK)]));
  const proxy = await start(t, { script: late, tenants: [{ audit: { durability: 'strict' } }], audit: { append: async () => { await new Promise((resolve) => setTimeout(resolve, 100)); written = true; throw new Error('the disk is full'); } } });
  const client = new RawClient(proxy.port).send(speak('Hello'));
  const answer = await client.read();
  t.equal(written, true);
  t.equal(answer.complete, false, 'an entry that cannot be written: the answer does not end well');
  t.notMatch(answer.body.toString(), 'last');
  client.leave();
});

t.test('a client that reads slowly makes the upstream wait, and gets every byte', async (t) => {
  const total = 24 << 20;
  const part = Buffer.alloc(1 << 16, 'a recording ');
  let sent = 0;
  const proxy = await start(t, { script: async (socket) => {
    socket.write(head(200, { 'content-type': 'audio/mpeg', 'content-length': String(total) }));
    for (; sent < total; sent += part.length) if (!socket.write(part)) await new Promise((resolve) => socket.once('drain', resolve));
  } });
  const client = new RawClient(proxy.port);
  client.socket.pause();
  client.send(speak('Hello'));
  await until(() => sent > 0, 20_000, 'the first bytes');
  let before = -1;
  await until(() => { const still = sent === before; before = sent; return still; }, 5000, 'a pause of the upstream');
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.ok(sent < total, `the upstream waits after ${sent} bytes`);
  client.bytes = Buffer.alloc(0);
  let received = 0;
  client.socket.removeAllListeners('data');
  client.socket.on('data', (bytes) => { received += bytes.length; });
  client.socket.resume();
  await until(() => received >= total, 10_000, 'all bytes');
  t.match(await proxy.record(), { outcome: 'completed', response_bytes: total });
  client.leave();
});

t.test('a recording that is too large or breaks off never looks complete', async (t) => {
  const proxy = await start(t, { script: media('audio/mpeg', Buffer.alloc(200_000)), limits: { response_bytes_max: 100_000 } });
  const cut = await rawRequest(proxy.port, speak('Hello'));
  t.equal(cut.status === 200 && cut.complete, false);
  t.match(await proxy.record(), { error_code: 'response_too_large', outcome: 'upstream_failed' });
  const broken = await start(t, { script: (socket) => void socket.end(Buffer.concat([Buffer.from(head(200, { 'content-type': 'audio/mpeg', 'content-length': '1000' })), MP3])) });
  const answer = await rawRequest(broken.port, speak('Hello'));
  t.equal(answer.status === 200 && answer.complete, false);
  t.match(await broken.record(), { error_code: 'upstream_unreachable', outcome: 'upstream_failed' });
});

t.test('bytes where text belongs do not pass', async (t) => {
  const proxy = await start(t, { script: media('audio/mpeg') });
  for (const request of [chatRequest({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }), transcribe('x')]) {
    const answer = await rawRequest(proxy.port, request);
    t.same([answer.status, codeOf(answer)], [502, 'upstream_protocol']);
    t.notOk(answer.body.includes(RIFF));
  }
  const named = await start(t, { script: media('audio/mpeg', Buffer.from('to ana@example.com')) });
  t.equal((await rawRequest(named.port, transcribe('x'))).body.toString(), 'to [EMAIL]', 'text under the name of a recording is screened');
});
