/**
 * The http plugin against real services on loopback: what it sends, what it reads, every way to misbehave, options that
 * it refuses, services with another shape, its connections, and the same through the real proxy.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { ANSWER_BYTES_MAX } from '../../plugins/http/client.ts';
import createHttp, { CONTENT_CHARS_MAX } from '../../plugins/http/index.ts';
import { IMAGE_CHARS_MAX, imageUrl, readImageLimit } from '../../plugins/http/images.ts';
import { PATH_STEPS_MAX, TEMPLATE_DEPTH_MAX } from '../../plugins/http/mapping.ts';
import { offsetsOf } from '../../plugins/http/offsets.ts';
import { FINDINGS_MAX, resultsFrom } from '../../plugins/http/results.ts';
import { cutWindows, OVERLAP_CHARS, WINDOWS_MAX } from '../../plugins/http/windows.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import { ask, checkFaults, checkReadme, ClassifierServer, openHouse, raw, Raw, scores, textRequest } from '../helpers/classifier-server.ts';
import { head, pause, until } from '../helpers/upstream.ts';
import { readingsOf } from '../../src/screen/readings.ts';

const toxic = (score: unknown, more: object = {}): unknown => ({ results: [{ classifier_id: 'vendor', category: 'toxic', score, label: 'TOXIC', spans: [], latency_ms: 3, ...more }] });

function open(t: Test, server: ClassifierServer, options: Record<string, unknown> = {}): Classifier {
  const classifier = createHttp({ id: 'vendor', url: `${server.origin}/classify?key=1`, categories: ['toxic'], ...options });
  t.teardown(() => classifier.close?.());
  return classifier;
}

t.test('it posts what is screened and reads results', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server, { headers: { 'X-Key': 'made-up', 'x-none': '' } });
  server.answer = toxic(0.97, { spans: [{ start: 4, end: 7 }] });
  const results = await ask(vendor, textRequest('you fool', { context: { surface: 'kids', turn: 2 } }));
  t.same(results.map(({ latency_ms: _, ...result }) => result), [{ classifier_id: 'vendor', category: 'toxic', score: 0.97, label: 'TOXIC', spans: [{ start: 4, end: 7 }] }]);
  const [{ method, path, headers }] = server.received;
  t.match({ method, path, headers }, { method: 'POST', path: '/classify?key=1', headers: { 'x-key': 'made-up', 'content-type': 'application/json' } });
  t.notOk('x-none' in headers, 'a header without a value is not sent');
  t.same(server.body(), { content: 'you fool', content_type: 'text', direction: 'input', categories: ['toxic'], context: { surface: 'kids', turn: 2 } });
  t.match(vendor, { cost: 'slow', idempotent: true, directions: ['input', 'output'], contentTypes: ['text'], languages: ['*'], needsContext: false });
});

t.test('results are read as the contract has them', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server, { categories: { toxic: 'Rude.', threat: 'Threatens.' } });
  const threat = { category: 'threat', score: 0.5, label: null, spans: null };
  const cases: readonly [name: string, results: unknown, expected: Record<string, number | string>][] = [
    ['a category that is not mentioned is unknown', [{ category: 'threat', score: 1 }], { threat: 1, toxic: 'error' }],
    ['one that the service does not know', [threat, { category: 'toxic', unknown: true, reason: 'unsupported' }], { threat: 0.5, toxic: 'unsupported' }],
    ['a reason that there is none', [threat, { category: 'toxic', unknown: true, reason: 'tired' }], { threat: 'error', toxic: 'error' }],
    ['nothing', [], { threat: 'error', toxic: 'error' }],
    ['an undeclared category', [threat, { category: 'rude', score: 0.1 }], { threat: 'error', toxic: 'error' }],
    ['a score above 1', [threat, { category: 'toxic', score: 1.7 }], { threat: 'error', toxic: 'error' }],
    ['a score as text', [threat, { category: 'toxic', score: 'high' }], { threat: 'error', toxic: 'error' }],
    ['a score below 0', [threat, { category: 'toxic', score: -0.1 }], { threat: 'error', toxic: 'error' }],
    ['no score', [threat, { category: 'toxic' }], { threat: 'error', toxic: 'error' }],
    ['a span beyond the text', [threat, { category: 'toxic', score: 1, spans: [{ start: 0, end: 99 }] }], { threat: 'error', toxic: 'error' }],
    ['a span that is none', [threat, { category: 'toxic', score: 1, spans: ['all'] }], { threat: 'error', toxic: 'error' }],
    ['spans that are no list', [threat, { category: 'toxic', score: 1, spans: 7 }], { threat: 'error', toxic: 'error' }],
    ['results that are no objects', [threat, 7], { threat: 'error', toxic: 'error' }],
    ['known and unknown at once', [threat, { category: 'toxic', score: 1 }, { category: 'toxic', unknown: true, reason: 'error' }], { threat: 'error', toxic: 'error' }],
  ];
  for (const [name, results, expected] of cases) {
    server.answer = { results };
    t.same(scores(await ask(vendor, 'made up')), expected, name);
  }
  server.answer = raw('{"results":[{"category":"toxic","score":NaN},{"category":"threat","score":0}]}');
  t.same(scores(await ask(vendor, 'made up')), { toxic: 'error', threat: 'error' }, 'NaN is no JSON');
  server.answer = raw(JSON.stringify({ results: [threat, { category: 'toxic', score: 0 }] }), 200, { 'content-type': 'text/html' });
  t.same(scores(await ask(vendor, 'made up')), { threat: 0.5, toxic: 0 }, 'the content type is not looked at');
});

t.test('equal findings are one result with all of their spans', async (t) => {
  const vendor = { id: 'v', categories: [{ id: 'a' }, { id: 'b' }] };
  const spans = (start: number, end: number) => ({ category: 'a', score: 1, spans: [{ start, end }] });
  const others = [{ category: 'a', score: 0.5 }, { category: 'b', score: 1, label: 'B', spans: [{ start: 0, end: 1 }] }, { category: 'b', score: 1, label: 'B' }];
  const results = resultsFrom(vendor, [spans(5, 9), spans(0, 2), spans(8, 12), ...others], 'unknown');
  t.same(results.map((result) => [result.category, 'score' in result && result.score, 'spans' in result && result.spans]), [
    ['a', 1, [{ start: 0, end: 2 }, { start: 5, end: 12 }]], ['a', 0.5, []], ['b', 1, []],
  ], 'a finding about the whole text covers its spans');
  t.equal(resultsFrom(vendor, Array(FINDINGS_MAX).fill({ category: 'a', score: 1 }), 'zero').length, 2, 'at the limit');
  t.throws(() => resultsFrom(vendor, Array(FINDINGS_MAX + 1).fill({ category: 'a', score: 1 }), 'zero'), /5001 results, the limit is 5000/);
});

t.test('whatever a service does, its scores are unknown with a reason', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server);
  await checkFaults(t, server, vendor, toxic(0.02));
  t.notOk(server.received.some(({ path }) => path === '/elsewhere'), 'no redirect is followed');
  await until(() => server.connections <= 1, 20_000, 'calls that were given up leave no connection open');
});

t.test('an answer at the limit is read, one above is not', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server);
  const text = JSON.stringify(toxic(0.5));
  for (const [bytes, expected] of [[ANSWER_BYTES_MAX, 0.5], [ANSWER_BYTES_MAX + 1, 'error']] as const) {
    server.answer = raw(text + ' '.repeat(bytes - text.length));
    t.equal(scores(await ask(vendor, 'made up')).toxic, expected, `${bytes} bytes`);
  }
});

t.test('a text at the limit is sent, a longer one is not', async (t) => {
  const server = await ClassifierServer.start(t);
  server.answer = toxic(0.5);
  const vendor = open(t, server, { content_chars_max: 10 });
  t.equal(scores(await ask(vendor, '0123456789')).toxic, 0.5);
  t.equal(scores(await ask(vendor, '01234567890')).toxic, 'unsupported');
  t.equal(server.received.length, 1);
  const wide = open(t, server);
  t.equal(scores(await ask(wide, 'a'.repeat(CONTENT_CHARS_MAX))).toxic, 0.5);
  t.equal(scores(await ask(wide, 'a'.repeat(CONTENT_CHARS_MAX + 1))).toxic, 'unsupported');
});

t.test('nobody there', async (t) => {
  const nobody = createTcpServer();
  await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve));
  const { port } = nobody.address() as AddressInfo;
  await new Promise((resolve) => nobody.close(resolve));
  const vendor = createHttp({ id: 'v', url: `http://127.0.0.1:${port}/`, categories: ['toxic'] });
  t.teardown(() => vendor.close?.());
  t.equal(scores(await ask(vendor, 'made up')).toxic, 'unavailable');
});

t.test('connections are bounded, kept and closed', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server, { connections: 3 });
  const waiting: (() => void)[] = [];
  let most = 0;
  server.answer = async () => {
    most = Math.max(most, server.connections);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return toxic(0.1);
  };
  const asked = Array.from({ length: 8 }, () => ask(vendor, 'made up'));
  await until(() => waiting.length === 3, 20_000, 'as many calls as connections');
  for (let done = 0; done < 8; done += 1) {
    await until(() => waiting.length > 0, 20_000, 'the next call');
    waiting.shift()!();
  }
  t.same((await Promise.all(asked)).map((results) => scores(results).toxic), Array(8).fill(0.1));
  t.equal(most, 3);
  t.ok(server.connections >= 1 && server.connections <= 3, 'they are kept for the next call');
  await vendor.close?.();
  await until(() => server.connections === 0, 20_000, 'all are closed');
  t.equal(scores(await ask(vendor, 'made up')).toxic, 'unavailable', 'a closed classifier says so');
});

t.test('a call that is given up is ended at the service', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server);
  let closed = 0;
  server.answer = new Raw((socket) => void socket.on('close', () => (closed += 1)));
  t.equal(scores(await ask(vendor, 'made up', 100)).toxic, 'timeout');
  await until(() => closed === 1, 20_000, 'the connection is closed');
});

// Another shape.

t.test('scores by category, from a request of the service’s own shape', async (t) => {
  const server = await ClassifierServer.start(t);
  const vendor = open(t, server, {
    categories: ['toxic', 'threat'],
    request: {
      comment: { text: '$content', kind: '$content_type' }, wanted: '$categories', at: ['$direction', '$context.surface', '$context.none', '$context'], price: '$$5', limit: 3, deep: [null, true],
    },
    answer: { scores: { toxic: 'attributes.TOXICITY.value', threat: '$.attributes["TH.REAT"][0]' }, score_max: 10 },
  });
  server.answer = { attributes: { TOXICITY: { value: 9 }, 'TH.REAT': [2] } };
  t.same(scores(await ask(vendor, textRequest('you', { direction: 'output', context: { surface: 'kids' } }))), { toxic: 0.9, threat: 0.2 });
  t.same(server.body(), { comment: { text: 'you', kind: 'text' }, wanted: ['toxic', 'threat'], at: ['output', 'kids', null, { surface: 'kids' }], price: '$5', limit: 3, deep: [null, true] });
  for (const [value, threat] of [[11, [2]], ['9', [2]], [9, { 0: 2 }], [undefined, [2]]]) {
    server.answer = { attributes: { TOXICITY: { value }, 'TH.REAT': threat } };
    t.same(scores(await ask(vendor, 'made up')), { toxic: 'error', threat: 'error' }, JSON.stringify([value, threat]));
  }
  const listing = open(t, server, { answer: { scores: { toxic: 'toxic' }, omitted: 'zero' } });
  server.answer = {};
  t.same(scores(await ask(listing, 'made up')), { toxic: 0 }, 'a service that lists only what it finds');
  server.answer = { toxic: null };
  t.same(scores(await ask(listing, 'made up')), { toxic: 'error' }, 'null is no omission');
});

t.test('a list of labels, with their names', async (t) => {
  const server = await ClassifierServer.start(t);
  const names = { LABEL_1: 'toxic', LABEL_2: 'threat', LABEL_3: 'threat' };
  const vendor = open(t, server, { categories: ['toxic', 'threat'], request: { inputs: ['$content'] }, answer: { results: '$[0]', category: 'label', names } });
  server.answer = [[{ label: 'LABEL_0', score: 0.9 }, { label: 'LABEL_1', score: 0.25 }, { label: 'LABEL_2', score: 0.5 }, { label: 'LABEL_3', score: 0.75 }]];
  t.same((await ask(vendor, 'made up')).map((result) => [result.category, 'score' in result && result.score]), [['toxic', 0.25], ['threat', 0.5], ['threat', 0.75]]);
  server.answer = [[{ label: 'LABEL_1', score: 0.25 }]];
  t.same(scores(await ask(vendor, 'made up')), { toxic: 0.25, threat: 'error' });
  for (const answer of [[], [{}], [[{ score: 0.1 }]], [[{ label: 'LABEL_1' }]], [Array(FINDINGS_MAX + 1).fill({ label: 'LABEL_0', score: 0 })]]) {
    server.answer = answer;
    t.same(scores(await ask(vendor, 'made up')), { toxic: 'error', threat: 'error' });
  }
});

t.test('spans in a service’s own counting', async (t) => {
  const server = await ClassifierServer.start(t);
  const text = 'é🙂 ana';
  const cases: readonly [offsets: string, start: number, end: number][] = [['utf16', 4, 7], ['code_points', 3, 6], ['bytes', 7, 10]];
  for (const [offsets, start, end] of cases) {
    const flat = open(t, server, { answer: { results: 'found', start: 'from', end: 'to', offsets } });
    server.answer = { found: [{ category: 'toxic', score: 1, from: start, to: end }] };
    t.match(await ask(flat, text), [{ spans: [{ start: 4, end: 7 }] }], offsets);
    const listed = open(t, server, { answer: { results: 'found', spans: 'where', offsets } });
    server.answer = { found: [{ category: 'toxic', score: 1, where: [{ start, end }, { start: 0, end: 1 }] }] };
    t.equal(scores(await ask(listed, text)).toxic, offsets === 'bytes' ? 'error' : 1, `${offsets}: an offset inside a character has no place`);
    for (const where of [null, 'all', [{ start: end, end: start }], [{ start, end: end + 1 }], [{ start: 0.5, end }], [{}]]) {
      server.answer = { found: [{ category: 'toxic', score: 1, where }] };
      t.equal(scores(await ask(listed, text)).toxic, 'error', `${offsets}: ${JSON.stringify(where)}`);
    }
  }
});

t.test('offsets, against a table made the long way', async (t) => {
  for (const text of ['', 'abc', 'é🙂 ana', '🙂', '\ud83d alone \ude42', '日本語🇩🇪e\u0301']) {
    const characters = [...text];
    const points = offsetsOf(text, 'code_points');
    for (let count = 0; count <= characters.length; count += 1) t.equal(points(count), characters.slice(0, count).join('').length);
    t.equal(points(characters.length + 1), undefined);
    const bytes = offsetsOf(text, 'bytes');
    for (let at = 0; at <= Buffer.byteLength(text); at += 1) {
      const whole = characters.findIndex((_, index) => Buffer.byteLength(characters.slice(0, index).join('')) === at);
      const end = at === Buffer.byteLength(text) ? text.length : undefined;
      t.equal(bytes(at), whole === -1 ? end : characters.slice(0, whole).join('').length);
    }
    for (const odd of [-1, 0.5, NaN]) t.equal(points(odd), undefined);
  }
});

// What is not configured like that.

t.test('README.md says what there is', (t) => checkReadme(t, 'http', createHttp));

t.test('wrong options are refused, by name', async (t) => {
  const url = 'http://127.0.0.1:9/';
  const cases: readonly [options: Record<string, unknown>, message: RegExp][] = [
    [{}, /^url: missing/],
    [{ url: true }, /^url: expected text, got true or false/],
    [{ url: 7 }, /^url: expected text, got a number/],
    [{ url: 'ftp://127.0.0.1/' }, /^url: expected an address that begins with http/],
    [{ url: 'http://me:word@127.0.0.1/' }, /^url: an address may not hold a password/],
    [{ url: `${url}#part` }, /^url: .* behind #/],
    [{ url, categories: undefined }, /^categories: missing/],
    [{ url, categories: [] }, /^categories: expected from 1 to 100/],
    [{ url, categories: 'toxic' }, /^categories: expected from 1 to 100/],
    [{ url, categories: ['a b'] }, /^categories: a name is text/],
    [{ url, categories: ['a', 'a'] }, /^categories: a stands there twice/],
    [{ url, categories: { a: 7 } }, /^categories\.a: a definition/],
    [{ url, categorys: ['a'] }, /^categorys: unknown option; known are url, categories/],
    [{ url, headers: ['a'] }, /^headers: expected names and values/],
    [{ url, headers: { 'a b': 'x' } }, /^headers: a name has/],
    [{ url, headers: { Host: 'x' } }, /^headers\.Host: is set by the connection/],
    [{ url, headers: { a: 7 } }, /^headers\.a: expected text, got a number/],
    [{ url, headers: { a: 'x\r\ny: z' } }, /^headers\.a: the value has a character/],
    [{ url, content_types: ['video'] }, /^content_types: expected some of text, image, audio, got video/],
    [{ url, directions: [] }, /^directions: expected some of input, output/],
    [{ url, languages: ['English'] }, /^languages: expected a list of tags/],
    [{ url, needs_context: 'yes' }, /^needs_context: expected true or false/],
    [{ url, connections: 0 }, /^connections: expected a whole number from 1 to 1000, got 0/],
    [{ url, content_chars_max: 30_000_001 }, /^content_chars_max: expected a whole number/],
    [{ url, version: '' }, /^version: expected text, got empty text/],
    [{ url, request: { text: 'hello' } }, /^request: expected the text \$content somewhere/],
    [{ url, request: { a: ['$content', '$contents'] } }, /^request\.a\[1\]: \$contents is no placeholder/],
    [{ url, request: nested('$content', TEMPLATE_DEPTH_MAX) }, /^request(?:\[0\]){16}: nested deeper than 16/],
    [{ url, answer: [] }, /^answer: expected a mapping, got a list/],
    [{ url, answer: {} }, /^answer: expected either scores/],
    [{ url, answer: { scores: {}, results: '$' } }, /^answer: expected either scores/],
    [{ url, answer: { scores: 'a' } }, /^answer\.scores: expected a path for each category, got text/],
    [{ url, answer: { scores: {} } }, /^answer\.scores: no path for the category toxic/],
    [{ url, answer: { scores: { toxic: 'a', rude: 'b' } } }, /^answer\.scores\.rude: unknown option; known are toxic/],
    [{ url, answer: { scores: { toxic: 7 } } }, /^answer\.scores\.toxic: expected a path such as/],
    [{ url, answer: { scores: { toxic: 'a..b' } } }, /^answer\.scores\.toxic: expected a name, \[number\] or \["name"\] at character 2 of a\.\.b/],
    [{ url, answer: { scores: { toxic: '.a' } } }, /at character 1 of \.a/],
    [{ url, answer: { scores: { toxic: '$a' } } }, /at character 2 of \$a/],
    [{ url, answer: { scores: { toxic: 'a[0]b' } } }, /at character 5 of a\[0\]b/],
    [{ url, answer: { scores: { toxic: 'a[x]' } } }, /at character 2 of a\[x\]/],
    [{ url, answer: { scores: { toxic: '["a\\q"]' } } }, /at character 1/],
    [{ url, answer: { scores: { toxic: 'a.'.repeat(PATH_STEPS_MAX) + 'a' } } }, /^answer\.scores\.toxic: 17 steps, the limit is 16/],
    [{ url, answer: { scores: { toxic: 'a' }, score_max: 0 } }, /^answer\.score_max: expected the number/],
    [{ url, answer: { scores: { toxic: 'a' }, omitted: 'safe' } }, /^answer\.omitted: expected one of unknown, zero, got safe/],
    [{ url, answer: { scores: { toxic: 'a' }, spans: 'b' } }, /^answer\.spans: unknown option/],
    [{ url, answer: { results: '$', offsets: 'words' } }, /^answer\.offsets: expected one of utf16, code_points, bytes/],
    [{ url, answer: { results: '$', names: ['a'] } }, /^answer\.names: expected their name: ours, got a list/],
    [{ url, answer: { results: '$', names: { X: 'rude' } } }, /^answer\.names\.X: is none of the categories toxic/],
    [{ url, answer: { results: '$', names: {} } }, /^answer\.names: no name stands for the category toxic/],
    [{ url, answer: { results: '$', start: 'a' } }, /^answer\.end: expected a path/],
    [{ url, answer: { results: '$', end: 'a' } }, /^answer\.start: expected a path/],
    [{ url, answer: { results: '$', start: 'a', end: 'b', spans: 'c' } }, /^answer: spans, or start and end, not both/],
  ];
  for (const [options, message] of cases) t.throws(() => createHttp({ id: 'v', categories: ['toxic'], ...options }), { message }, JSON.stringify(options).slice(0, 80));
  const atLimits = [{ request: nested('$content', TEMPLATE_DEPTH_MAX - 1) }, { answer: { scores: { toxic: 'a.'.repeat(PATH_STEPS_MAX - 1) + 'a' } } }];
  for (const fine of [...atLimits, { content_types: 'image', directions: 'input', languages: ['en'], version: '7' }]) {
    const classifier = createHttp({ id: 'v', url, categories: ['toxic'], ...fine });
    t.equal(classifier.version, 'version' in fine ? '7' : '1');
    await classifier.close?.();
  }
});

function nested(value: unknown, depth: number): unknown {
  return depth === 0 ? value : [nested(value, depth - 1)];
}

// What the other plugins use.

t.test('windows cover the text, overlap, and cut no character', async (t) => {
  t.same(cutWindows('', 1000), ['']);
  t.same(cutWindows('a'.repeat(1000), 1000), ['a'.repeat(1000)]);
  const numbers = Array.from({ length: 2500 }, (_, n) => n);
  for (const text of [numbers.join(' '), String.fromCodePoint(...numbers.map((n) => 0x20000 + n)), String.fromCodePoint(...numbers.map((n) => 0x4e00 + n))]) {
    for (const most of [1000, 999]) checkWindows(t, text, most);
  }
  const step = 1000 - OVERLAP_CHARS;
  t.equal(cutWindows('x'.repeat(1000 + step * (WINDOWS_MAX - 1)), 1000)?.length, WINDOWS_MAX);
  t.equal(cutWindows('x'.repeat(1001 + step * (WINDOWS_MAX - 1)), 1000), undefined);
});

/** Of a text that nowhere repeats itself. */
function checkWindows(t: Test, text: string, most: number): void {
  const windows = cutWindows(text, most)!;
  let at = 0;
  for (const [index, window] of windows.entries()) {
    t.ok(window.length <= most);
    t.notMatch(window, /^[\udc00-\udfff]|[\ud800-\udbff]$/);
    const start = text.indexOf(window);
    t.ok(index === 0 || (start <= at - OVERLAP_CHARS + 1 && start > at - OVERLAP_CHARS - 2), 'it repeats the end of the one before');
    t.equal(text.slice(start, start + window.length), window);
    at = start + window.length;
  }
  t.equal(at, text.length);
}

t.test('images as addresses', async (t) => {
  for (const content of ['https://example.com/a.png', 'data:image/png;base64,iVBORw0KGgo=']) t.equal(imageUrl(content, IMAGE_CHARS_MAX), content);
  const bare = [['iVBORw0KGgoAAA', 'png'], ['/9j/4AAQ', 'jpeg'], ['R0lGODlh', 'gif'], ['UklGRgAA', 'webp']];
  for (const [content, type] of bare) t.equal(imageUrl(content, IMAGE_CHARS_MAX), `data:image/${type};base64,${content}`);
  for (const content of ['file:///etc/hosts', 'data:text/html,x', 'made up', '']) t.equal(imageUrl(content, IMAGE_CHARS_MAX), undefined);
  t.equal(imageUrl('/9j/', 4), 'data:image/jpeg;base64,/9j/');
  t.equal(imageUrl('/9j/', 3), undefined);
  t.equal(readImageLimit({}), IMAGE_CHARS_MAX);
  t.throws(() => readImageLimit({ image_chars_max: IMAGE_CHARS_MAX + 1 }), { message: /^image_chars_max: expected a whole number/ });
});

// Through the real proxy.

const POLICY = (unknown: string): string => `policy: bars
default_action: allow
on_unknown: ${unknown}
rules:
  - { id: vendor, priority: 1, direction: input, when: { score: vendor.toxic, gte: 0.5 }, action: block }
`;

t.test('through the proxy: the fail mode decides, the deadline holds', async (t) => {
  const server = await ClassifierServer.start(t);
  const deadlineMs = 1_000;
  for (const unknown of ['closed', 'open']) {
    const house = await openHouse(t, {
      policy: POLICY(unknown), deadlineMs, env: { VENDOR_KEY: 'made-up-key' },
      classifiers: [{ id: 'vendor', plugin: 'http', url: `${server.origin}/classify`, categories: ['toxic'], headers: { authorization: 'Bearer ${VENDOR_KEY}' }, breaker: { failures: 1000, open_ms: 1 } }],
    });
    const cases: readonly [name: string, answer: unknown, reason: string | undefined][] = [
      ['clean', toxic(0.02), undefined],
      ['bad', toxic(0.97), undefined],
      ['empty', { results: [] }, 'error'],
      ['garbage', raw('<html>'), 'error'],
      ['over', toxic(1.7), 'error'],
      ['text', toxic('high'), 'error'],
      ['failing', raw('{}', 500), 'unavailable'],
      ['dropping', new Raw((socket) => void socket.destroy()), 'unavailable'],
      ['hanging', new Raw((socket) => void socket.write(head(200, { 'content-length': '9' }))), 'timeout'],
      ['clean again', toxic(0.02), undefined],
    ];
    for (const [name, answer, reason] of cases) {
      server.answer = answer;
      const blocked = name === 'bad' || (reason !== undefined && unknown === 'closed');
      const reached = house.upstream.received.length;
      const started = performance.now();
      const response = await house.chat(`${name} ${unknown} zanzibar`);
      t.equal(response.status, blocked ? 400 : 200, `${unknown}: ${name}`);
      t.equal(house.upstream.received.length - reached, blocked ? 0 : 1, 'what is blocked does not reach the upstream');
      t.ok(performance.now() - started < deadlineMs + 5_000);
      t.equal(response.headers.has('x-weir-degraded'), reason !== undefined, `${unknown}: ${name} is degraded when a score is missing`);
      const { classifier_results: results } = await house.screen(`${name} ${unknown} once more`);
      t.same(results.filter(({ category }) => category === 'toxic').map((result) => ('unknown' in result ? result.reason : undefined)), [reason], `${unknown}: ${name} says why`);
    }
    t.equal(server.received.at(-1)!.headers.authorization, 'Bearer made-up-key');
    await house.close();
    t.notMatch(house.log.join(''), /zanzibar|made-up-key/, 'neither content nor key is logged');
  }
});

/** A service in a process of its own: it scores by how long it was told to wait. */
const SLOW_SERVICE = `
import { createServer } from 'node:http';
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => { body += chunk; }).on('end', () => {
    const [, waitMs = 0] = /wait (\\d+)/.exec(JSON.parse(body).content) ?? [];
    setTimeout(() => response.end(JSON.stringify({ results: [{ category: 'toxic', score: 0.25 }] })), Number(waitMs));
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => process.stdout.write(String(server.address().port)));
`;

async function startSlowService(t: Test): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SLOW_SERVICE], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, url: `http://127.0.0.1:${port}/` };
}

t.test('a call is given up at once, also while it waits for a connection', async (t) => {
  const { child, url } = await startSlowService(t);
  child.kill('SIGSTOP');
  const vendor = createHttp({ id: 'v', url, categories: ['toxic'], connections: 3 });
  t.teardown(() => vendor.close?.());
  const [before, deadline] = [AbortSignal.abort(), new AbortController()];
  t.equal(scores(await vendor.classify!(textRequest('made up'), before, readingsOf(textRequest('made up')))).toxic, 'timeout', 'nobody waits for it any more');
  const told: unknown[] = [];
  for (let call = 0; call < 8; call += 1) void Promise.resolve(vendor.classify!(textRequest('made up'), deadline.signal, readingsOf(textRequest('made up')))).then((results) => told.push(scores(results).toxic));
  await pause(100);
  t.same(told, []);
  deadline.abort();
  await new Promise(setImmediate);
  t.same(told, Array(8).fill('timeout'), 'some had a connection, some waited for one, some stood in line');
});

t.test('through the proxy: a service that is slow, frozen, thawed and killed', async (t) => {
  const { child, url } = await startSlowService(t);
  const house = await openHouse(t, {
    policy: POLICY('open'), deadlineMs: 2_000,
    classifiers: [{ id: 'vendor', plugin: 'http', url, categories: ['toxic'], breaker: { failures: 1000, open_ms: 1 } }],
  });
  const told = async (content: string): Promise<number | string> => scores((await house.screen(content)).classifier_results).toxic;
  t.equal(await told('wait 0'), 0.25);
  t.equal(await told('wait 300'), 0.25, 'before the deadline');
  t.equal(await told('wait 9000'), 'timeout', 'after it');
  child.kill('SIGSTOP');
  t.equal(await told('frozen'), 'timeout');
  t.equal((await house.chat('frozen too')).status, 200, 'the traffic goes on');
  child.kill('SIGCONT');
  t.equal(await told('thawed'), 0.25, 'nothing is restarted');
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(await told('killed'), 'unavailable');
});
