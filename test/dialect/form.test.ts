/**
 * The strict reader of multipart forms: what it reads is what Node's own parser reads, what two parsers could read
 * differently is refused, and a splice changes the bytes of the values it is given and no other.
 */
import assert from 'node:assert';
import fc from 'fast-check';
import t from 'tap';
import { fieldOf, isTrue, numbersOf, readFields } from '../../src/dialect/form-fields.ts';
import { FORM_LIMITS, readForm, type FormLimits } from '../../src/dialect/form.ts';
import type { JsonEdit } from '../../src/dialect/json.ts';
import type { LeafRules } from '../../src/dialect/walk.ts';
import { runs, seed } from '../helpers/runs.ts';

const B = 'made-up-boundary';

/** A part's headers and its value. */
type Written = readonly [headers: string, value: string | Buffer];

function formOf(parts: readonly Written[], boundary = B, tail = `--${boundary}--\r\n`): Buffer {
  return Buffer.concat([...parts.flatMap(([headers, value]) => [Buffer.from(`--${boundary}\r\n${headers}\r\n\r\n`), Buffer.from(value), Buffer.from('\r\n')]), Buffer.from(tail)]);
}

const field = (name: string, value: string | Buffer, more = ''): Written => [`Content-Disposition: form-data; name="${name}"${more}`, value];
const file = (name: string, filename: string, value: string | Buffer, type = 'audio/wav'): Written => field(name, value, `; filename="${filename}"\r\nContent-Type: ${type}`);

const read = (bytes: Buffer, boundary = B, limits?: FormLimits) => readForm(bytes, boundary, limits);

/** What a reader says of a form: name, file name, value. */
type Entries = readonly (readonly [name: string, filename: string | undefined, value: string])[];

function ourEntries(bytes: Buffer, boundary = B): Entries {
  return read(bytes, boundary).parts.map(({ name, filename, value }) => [name, filename, bytes.toString('base64', value.start, value.end)]);
}

/** Node's parser. */
async function nodeEntries(bytes: Buffer, boundary = B): Promise<Entries> {
  const form = await new Response(bytes, { headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` } }).formData();
  return Promise.all([...form.entries()].map(async ([name, value]): Promise<Entries[number]> =>
    (typeof value === 'string' ? [name, undefined, Buffer.from(value).toString('base64')] : [name, value.name, Buffer.from(await value.arrayBuffer()).toString('base64')])));
}

/** Node's parser decodes these in names; we leave them as they were written. */
const decoded = (text: string): string => text.replace(/%0A/gi, '\n').replace(/%0D/gi, '\r').replaceAll('%22', '"');

t.test('parts, in the forms that clients write them', async (t) => {
  const bytes = formOf([
    field('model', 'whisper-1'),
    file('file', 'a %22b%22 é.wav', Buffer.from([0, 1, 255, 13, 10])),
    ['content-type:text/plain;charset=utf-8\r\nCONTENT-DISPOSITION:form-data;name=prompt', 'line one\r\nline two\né'],
    ['Content-Disposition: form-data; name="keywords[]"\r\nContent-Type: text/plain; charset="UTF-8"\r\nContent-Length: 3\t', 'Ana'],
    ['Content-Disposition: form-data; filename=b.ogg; name="chunking_strategy[type]"\r\nContent-Transfer-Encoding: binary\r\nContent-Type: Audio/Ogg; codecs="opus, x"', ''],
  ]);
  const form = read(bytes);
  t.match(form.parts, [
    { name: 'model', filename: undefined, contentType: undefined },
    { name: 'file', filename: 'a %22b%22 é.wav', contentType: 'audio/wav' },
    { name: 'prompt', filename: undefined, contentType: 'text/plain' },
    { name: 'keywords[]', contentType: 'text/plain' },
    { name: 'chunking_strategy[type]', filename: 'b.ogg', contentType: 'audio/ogg' },
  ]);
  t.same([0, 2, 3, 4].map((i) => form.text(form.parts[i]!)), ['whisper-1', 'line one\r\nline two\né', 'Ana', '']);
  t.same([...bytes.subarray(form.parts[1]!.value.start, form.parts[1]!.value.end)], [0, 1, 255, 13, 10]);
  t.equal(form.bytes, bytes);
  t.same(await nodeEntries(bytes), ourEntries(bytes).map(([name, filename, value]) => [name, filename && decoded(filename), value]));
  for (const tail of [`--${B}--`, `--${B}--\r\n`, `--${B}--\r\n\r\n`]) t.equal(read(formOf([field('a', 'b')], B, tail)).parts.length, 1);
  t.same(read(formOf([])).parts, [], 'a form without fields');
});

t.test('what two parsers could read differently is refused', async (t) => {
  const a = field('a', 'b');
  const body = (text: string): Buffer => Buffer.from(text);
  const refused: Readonly<Record<string, Buffer>> = {
    'nothing': body(''),
    'no boundary': body('a=b'),
    'text before the first boundary': Buffer.concat([body('preamble\r\n'), formOf([a])]),
    'an empty line before the first boundary': Buffer.concat([body('\r\n'), formOf([a])]),
    'a first boundary without dashes': body(`xx${B}\r\n`),
    'no final boundary': formOf([a], B, ''),
    'a boundary and no more': body(`--${B}`),
    'text after the last boundary': formOf([a], B, `--${B}--\r\nepilogue`),
    'another form after the last boundary': Buffer.concat([formOf([a]), formOf([field('prompt', 'hidden')])]),
    'a final boundary that goes on': formOf([a], B, `--${B}--x`),
    'a boundary that goes on': formOf([a], B, `--${B}x\r\n`),
    'white space after a boundary': body(formOf([a]).toString().replace(`--${B}\r\n`, `--${B} \r\n`)),
    'a boundary that ends in LF': body(formOf([a]).toString().replace(`--${B}\r\n`, `--${B}\n`)),
    'LF alone before a boundary': body(formOf([a]).toString().replace(`\r\n--${B}--`, `\n--${B}--`)),
    'LF alone everywhere': body(formOf([a]).toString().replaceAll('\r\n', '\n')),
    'LF alone between headers': formOf([['Content-Disposition: form-data; name="a"\nContent-Type: text/plain', 'b']]),
    'LF alone after headers': body(`--${B}\r\nContent-Disposition: form-data; name="a"\n\nb\r\n--${B}--`),
    'the boundary in a value': formOf([field('a', `b --${B} c`)]),
    'the boundary without dashes in a value': formOf([field('a', `b ${B} c`)]),
    'the boundary in a file name': formOf([file('a', B, 'b')]),
    'the boundary after LF in a value': formOf([field('a', `b\n--${B}\r\n`)]),
    'no headers': formOf([['', 'b']]),
    'a value in the place of headers': body(`--${B}\r\nb\r\n--${B}--`),
    'headers in the value alone': body(`--${B}\r\n\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--${B}--`),
    'a part without Content-Disposition': formOf([['Content-Type: text/plain', 'b']]),
    'another disposition': formOf([['Content-Disposition: attachment; name="a"', 'b']]),
    'two dispositions': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="prompt"', 'b']]),
    'two content types': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain\r\ncontent-type: text/html', 'b']]),
    'a folded header': formOf([['Content-Disposition: form-data;\r\n name="a"', 'b']]),
    'a space before the colon': formOf([['Content-Disposition : form-data; name="a"', 'b']]),
    'a header without colon': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type', 'b']]),
    'a NUL in a header': formOf([['Content-Disposition: form-data; name="a\0"', 'b']]),
    'another header': formOf([['Content-Disposition: form-data; name="a"\r\nX-Note: ana@example.com', 'b']]),
    'a header called as what every object has': formOf([['Content-Disposition: form-data; name="a"\r\n__proto__: x', 'b']]),
    'two names': formOf([['Content-Disposition: form-data; name="a"; name="prompt"', 'b']]),
    'no name': formOf([['Content-Disposition: form-data', 'b']]),
    'a file name alone': formOf([['Content-Disposition: form-data; filename="a"', 'b']]),
    'an empty name': formOf([field('', 'b')]),
    'a name of more than letters': formOf([field('pro mpt', 'b')]),
    'a name that some decode': formOf([field('pro%22mpt', 'b')]),
    'filename*': formOf([['Content-Disposition: form-data; name="a"; filename="x"; filename*=utf-8\'\'y', 'b']]),
    'white space before a parameter': formOf([['Content-Disposition: form-data\t; name="a"', 'b']]),
    'a parameter after the names': formOf([['Content-Disposition: form-data; name="a"; size=3', 'b']]),
    'a semicolon after the names': formOf([['Content-Disposition: form-data; name="a";', 'b']]),
    'a backslash in quotes': formOf([['Content-Disposition: form-data; name="a"; filename="x\\".wav"', 'b']]),
    'a quote that does not close': formOf([['Content-Disposition: form-data; name="a', 'b']]),
    'a transfer encoding': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', 'Yg==']]),
    'quoted-printable': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: quoted-printable', '=62']]),
    'a nested form': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=x', '--x--']]),
    'a message': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: Message/RFC822', 'b']]),
    'another character set': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=utf-16', 'b']]),
    'two character sets': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=utf-8; Charset=utf-8', 'b']]),
    'a character set for the whole form': formOf([field('_Charset_', 'iso-8859-1'), a]),
    'a content type that is none': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: text', 'b']]),
    'a content type with a text in it': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Type: text/plain; note="ana@example.com"', 'b']]),
    'a wrong length': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Length: 2', 'b']]),
    'a length that is no number': formOf([['Content-Disposition: form-data; name="a"\r\nContent-Length: 0x1', 'b']]),
  };
  for (const [what, bytes] of Object.entries(refused)) t.throws(() => read(bytes), { code: 'invalid_form' }, what);
  t.throws(() => read(formOf([a, field('a', 'c')])), { code: 'duplicate_key' });
  t.equal(read(formOf([field('a[]', 'b'), field('a[]', 'c'), file('f', 'x', 'b'), file('f', 'y', 'c')])).parts.length, 4, 'lists and files may come more than once');
  t.throws(() => read(Buffer.from(formOf([file('a', '\xff', 'b')]).toString(), 'latin1')), { code: 'invalid_utf8' }, 'a file name that is not UTF-8');
});

t.test('texts are UTF-8 without NUL', async (t) => {
  const form = read(formOf([field('a', Buffer.from([0xc3, 0x28])), field('b', 'x\0y'), field('c', '\ufeffé')]));
  t.throws(() => form.text(form.parts[0]!), { code: 'invalid_utf8' });
  t.throws(() => form.text(form.parts[1]!), { code: 'invalid_form' });
  t.equal(form.text(form.parts[2]!), '\ufeffé');
});

t.test('limits: a form of many parts', async (t) => {
  const parts = (count: number): Buffer => formOf(Array.from({ length: count }, (_, i) => field(`f${i}`, 'x')));
  t.equal(read(parts(3), B, { ...FORM_LIMITS, partsMax: 3 }).parts.length, 3);
  t.throws(() => read(parts(4), B, { ...FORM_LIMITS, partsMax: 3 }), { code: 'form_too_large' });
  t.equal(read(parts(FORM_LIMITS.partsMax)).parts.length, 1000);
  t.throws(() => read(parts(FORM_LIMITS.partsMax + 1)), { code: 'form_too_large', message: /1000 parts/ });
});

t.test('limits: a part with long headers', async (t) => {
  const headed = (bytes: number): Buffer => {
    const [headers] = file('f', '', '', 'audio/wav');
    return formOf([[headers.replace('filename=""', `filename="${'n'.repeat(bytes - headers.length)}"`), 'value']]);
  };
  t.equal(read(headed(200), B, { ...FORM_LIMITS, partHeaderBytesMax: 200 }).parts.length, 1);
  t.throws(() => read(headed(201), B, { ...FORM_LIMITS, partHeaderBytesMax: 200 }), { code: 'form_too_large' });
  t.equal(read(headed(FORM_LIMITS.partHeaderBytesMax)).parts[0]!.name, 'f');
  t.throws(() => read(headed(FORM_LIMITS.partHeaderBytesMax + 1)), { code: 'form_too_large', message: /4096 bytes/ });
});

t.test('a splice writes values and file names, and nothing else', async (t) => {
  const parts: readonly Written[] = [field('a', 'one'), file('f', 'ä ana.wav', 'RIFF'), ['Content-Length: 5\r\nContent-Disposition: form-data; name=b; filename=x.txt', 'three'], [`${field('c', '', '; filename="ä"')[0]}\r\nContent-Length: 4`, 'four']];
  const bytes = formOf(parts);
  const form = read(bytes);
  const written = (edits: readonly JsonEdit[]): string => form.splice(edits).toString();
  t.equal(form.splice([]), bytes, 'the same bytes');
  const expected = (...changed: readonly (readonly [string, string])[]): string => changed.reduce((text, [from, to]) => text.replace(from, to), bytes.toString());
  t.equal(written([{ path: [0], value: '[ÄÖ]' }]), expected(['one', '[ÄÖ]']));
  t.equal(written([{ path: [2], value: '' }, { path: [0], value: 'ONE' }]), expected(['one', 'ONE'], ['three', ''], ['Length: 5', 'Length: 0']), 'in any order, with the length where it is said');
  t.equal(written([{ path: [1, 'filename'], value: 'ö "a"\\\r\n.wav' }, { path: [2, 'filename'], value: '[X].txt' }]), expected(['"ä ana.wav"', '"ö _a____.wav"'], ['=x.txt', '="[X].txt"']));
  t.equal(written([{ path: [1], value: 'FFIR' }]), expected(['RIFF', 'FFIR']));
  t.equal(written([{ path: [3], value: 'é' }]), expected(['four', 'é'], ['Length: 4', 'Length: 2']));
  t.same(ourEntries(form.splice([{ path: [2], value: 'longer é' }])).map(([, , value]) => Buffer.from(value, 'base64').toString()), ['one', 'RIFF', 'longer é', 'four'], 'and what is written reads well');
  t.throws(() => form.splice([{ path: [0], value: `x ${B}` }]), { code: 'invalid_form' }, 'no replacement brings the boundary in');
  t.throws(() => form.splice([{ path: [1, 'filename'], value: B }]), { code: 'invalid_form' });
  for (const edit of [{ path: [4], value: 'x' }, { path: ['a'], value: 'x' }, { path: [0], value: null }, { path: [0, 'filename'], value: 'x' }, { path: [0, 'name'], value: 'x' }]) t.throws(() => form.splice([edit]), /no text at/);
});

const RULES: LeafRules = {
  exempt: { model: 'setting', temperature: 'number', 'record.type': 'enum' },
  opaque: { file: 'audio', 'picture[]': 'image', document: 'file', link: 'audio', 'ref[]': 'reference' },
};

t.test('fields: texts, files, records', async (t) => {
  const form = read(formOf([
    field('model', 'm-1'), field('temperature', 'rather warm'), field('prompt', 'Hello'), field('keywords[]', 'Ana'), field('keywords[]', 'Bob'), field('keywords[7]', 'Eve'),
    field('record[type]', 'server_vad'), field('record[note]', 'call 555'), field('json', ' {"a":"\\u0061na"} '), field('brace', '{ not JSON'), field('constructor', 'c'), file('toString', 'c.txt', 'd'), field('empty', ''),
    file('file', 'ana.wav', Buffer.from([255, 0]), 'Audio/WAV'), field('picture[]', Buffer.from([1]), '; filename="p"'), file('document', '', 'text'), file('notes', 'n.txt', 'some notes'),
    field('link', 'https://example.com/a.wav'), field('ref[]', 'file-1'), field('picture[]', Buffer.from([254]), '\r\nContent-Type: image/png'),
  ]));
  const { segments, opaque } = readFields(form, RULES);
  t.same(segments.filter(({ contentType }) => contentType === 'text').map(({ path, jsonPath, json, carrier, content }) => [path, jsonPath, json, carrier, content]), [
    ['temperature', [1], false, 'temperature', 'rather warm'],
    ['prompt', [2], false, 'prompt', 'Hello'],
    ['keywords[0]', [3], false, 'keywords[]', 'Ana'],
    ['keywords[1]', [4], false, 'keywords[]', 'Bob'],
    ['keywords[2]', [5], false, 'keywords[]', 'Eve'],
    ['record.note', [7], false, 'record.note', 'call 555'],
    ['json', [8], true, 'json', ' {"a":"\\u0061na"} '],
    ['brace', [9], false, 'brace', '{ not JSON'],
    ['constructor', [10], false, 'constructor', 'c'],
    ['toString', [11], false, 'toString', 'd'],
    ['toString.filename', [11, 'filename'], false, 'toString.filename', 'c.txt'],
    ['file.filename', [13, 'filename'], false, 'file.filename', 'ana.wav'],
    ['picture[0].filename', [14, 'filename'], false, 'picture[].filename', 'p'],
    ['notes', [16], false, 'notes', 'some notes'],
    ['notes.filename', [16, 'filename'], false, 'notes.filename', 'n.txt'],
  ]);
  t.same(opaque, [{ carrier: 'file', kind: 'audio' }, { carrier: 'picture[]', kind: 'image' }, { carrier: 'document', kind: 'file' }, { carrier: 'link', kind: 'remote_url' }, { carrier: 'ref[]', kind: 'reference' }, { carrier: 'picture[]', kind: 'image' }]);
  t.same(segments.filter(({ contentType }) => contentType !== 'text').map(({ path, contentType, opaque: kind, content }) => [path, contentType, kind, content]), [
    ['file', 'audio', 'audio', 'data:audio/wav;base64,/wA='], ['picture[0]', 'image', 'image', 'data:application/octet-stream;base64,AQ=='], ['link', 'audio', 'remote_url', 'https://example.com/a.wav'], ['picture[1]', 'image', 'image', 'data:image/png;base64,/g=='],
  ], 'for classifiers that read them');
  t.throws(() => readFields(read(formOf([file('notes', 'n.bin', Buffer.from([255]))])), RULES), { code: 'invalid_utf8' }, 'what is called a file and is no known media is a text');
  t.same([fieldOf(form, 'prompt'), fieldOf(form, 'none')], ['Hello', undefined]);
  t.same(numbersOf(read(formOf([field('a', '-1.5'), field('b', '1e9'), field('c', '7')])), ['a', 'b', 'c', 'd']), { a: -1.5, c: 7 });
  t.same(['true', 'ON', '1', 'false', '', undefined].map(isTrue), [true, true, true, false, false, false]);
});

// Properties.

const nameArbitrary = fc.stringMatching(/^[\w.-]{1,12}(?:\[[\w.-]{0,8}\]){0,2}$/).filter((name) => name !== '_charset_');
/** Node leaves an empty one out. */
const filenameArbitrary = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const partArbitrary = fc.record({ name: nameArbitrary, filename: fc.option(filenameArbitrary, { nil: undefined }), value: fc.oneof(fc.string({ unit: 'grapheme' }), fc.uint8Array({ maxLength: 64 })) });

t.test('what Node writes is read as it was meant, and what is spliced is what Node reads', async (t) => {
  await fc.assert(fc.asyncProperty(fc.uniqueArray(partArbitrary, { selector: ({ name }) => name, maxLength: 8 }), fc.string({ unit: 'grapheme' }), async (parts, replacement) => {
    const form = new FormData();
    for (const { name, filename, value } of parts) {
      if (filename === undefined) form.append(name, typeof value === 'string' ? value : Buffer.from(value).toString('base64'));
      else form.append(name, new Blob([typeof value === 'string' ? value : new Uint8Array(value)], { type: 'application/octet-stream' }), filename);
    }
    const response = new Response(form);
    const boundary = /boundary=(.*)$/.exec(response.headers.get('content-type')!)![1]!;
    const bytes = Buffer.from(await response.arrayBuffer());
    if (parts.some(({ filename }) => filename !== undefined && /[\\\0-\x08\n-\x1f\x7f]/.test(filename.replace(/[\r\n]/g, '')))) {
      assert.throws(() => read(bytes, boundary), { code: 'invalid_form' });
      return;
    }
    const expected = await nodeEntries(bytes, boundary);
    const same = (entries: Entries): Entries => entries.map(([name, filename, value]) => [name, filename === undefined ? undefined : decoded(filename), value]);
    assert.deepStrictEqual(same(ourEntries(bytes, boundary)), expected);
    const ours = read(bytes, boundary);
    assert.equal(ours.splice([]), bytes);
    const index = ours.parts.findIndex(({ filename }) => filename === undefined);
    if (index < 0) return;
    const changed = ours.splice([{ path: [index], value: replacement }]);
    assert.deepStrictEqual(await nodeEntries(changed, boundary), expected.map((entry, i) => (i === index ? [entry[0], entry[1], Buffer.from(replacement).toString('base64')] : entry)));
  }), { seed, numRuns: runs(300) });
  t.pass(`seed ${seed}`);
});

const TOKENS = [
  `--${B}`, B, '--', '\r\n', '\r\n', '\r\n', '\n', '\r', ' ', '\t', ';', ':', '"', 'x', 'é', '\0', 'Content-Disposition: form-data; name="a"', 'content-disposition: form-data; name="b"; filename="f"', 'Content-Type: text/plain',
  'Content-Transfer-Encoding: base64', 'Content-Transfer-Encoding: 8bit', 'Content-Length: 1', '; name=c', '; filename=d', `\r\n--${B}\r\n`, `\r\n--${B}--`, '\r\n\r\n',
] as const;

t.test('what is accepted of broken forms, Node reads in the same way', async (t) => {
  let accepted = 0;
  const broken = fc.oneof(
    fc.array(fc.constantFrom(...TOKENS), { maxLength: 24 }).map((tokens) => Buffer.from(tokens.join(''))),
    // A good form with a piece put in, taken out or doubled.
    fc.record({ at: fc.nat(400), drop: fc.nat(6), token: fc.constantFrom(...TOKENS, '') }).map(({ at, drop, token }) => {
      const good = formOf([field('a', 'one'), file('f', 'x.wav', 'RIFF'), field('keywords[]', 'Ana')]);
      return Buffer.concat([good.subarray(0, at % good.length), Buffer.from(token), good.subarray((at % good.length) + drop)]);
    }),
  );
  await fc.assert(fc.asyncProperty(broken, async (bytes) => {
    let ours: Entries;
    try {
      ours = ourEntries(bytes);
    } catch (error) {
      if (!['invalid_form', 'invalid_utf8', 'duplicate_key'].includes((error as { code?: string }).code ?? '')) throw error;
      return;
    }
    accepted += 1;
    // A text with a NUL or in another encoding is refused when it is asked for.
    const texts = ours.every(([, filename, value]) => filename !== undefined || Buffer.from(Buffer.from(value, 'base64').toString()).toString('base64') === value);
    if (texts) assert.deepStrictEqual(ours, await nodeEntries(bytes));
  }), { seed, numRuns: runs(5_000) });
  t.ok(accepted > runs(100), `${accepted} accepted, seed ${seed}`);
});
