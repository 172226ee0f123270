/** Framing on bytes: every cut gives the same frames, and the frames' bytes are the stream's. */
import fc from 'fast-check';
import t from 'tap';
import { SseFramer, withData, type Frame } from '../../src/stream/sse.ts';
import { cutBytes } from '../helpers/guarded.ts';
import { runs, seed } from '../helpers/runs.ts';

function framesOf(chunks: readonly Buffer[], max = 1 << 20): Frame[] {
  const framer = new SseFramer(max);
  const frames = chunks.flatMap((chunk) => [...framer.feed(chunk)]);
  const last = framer.flush();
  return last === undefined ? frames : [...frames, last];
}

const told = (frames: readonly Frame[]) => frames.filter((f) => f.data !== undefined || f.stray !== '').map(({ data, event, stray }) => [event, data, stray]);

t.test('reads what clients read', async (t) => {
  const cases: [string, [string | undefined, string | undefined, string][]][] = [
    ['data: {"a":1}\n\n', [[undefined, '{"a":1}', '']]],
    ['data:{"a":1}\r\n\r\n', [[undefined, '{"a":1}', '']]],
    ['event: x\rdata: 1\r\r', [['x', '1', '']]],
    ['data: 1\ndata: 2\n\n', [[undefined, '1\n2', '']]],
    ['data: a\n\r\ndata: b\r\n\n', [[undefined, 'a', ''], [undefined, 'b', '']]],
    [': comment\n\nid: 7\nretry: 5\n\n', []],
    ['\n\n\ndata: x\n\n\n\n', [[undefined, 'x', '']]],
    ['error: {"m":1}\n\n', [[undefined, undefined, 'error: {"m":1}']]],
    ['\uFEFFdata: x\n\n', [[undefined, 'x', '']]],
    ['data: unterminated', [[undefined, 'unterminated', '']]],
    ['data: 😀é日\n\n', [[undefined, '😀é日', '']]],
    ['data\n\n', [[undefined, '', '']]],
    ['event: only\n\n', []],
  ];
  for (const [text, expected] of cases) {
    for (const size of [1, 2, 3, 1000]) {
      const bytes = Buffer.from(text);
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      t.same(told(framesOf(chunks)), expected, `${JSON.stringify(text)} in pieces of ${size}`);
      t.equal(Buffer.concat(framesOf(chunks).map((f) => f.raw)).toString(), text);
    }
  }
});

t.test('any bytes in any cut: the same frames, no byte lost', async (t) => {
  const line = fc.constantFrom('data: a', 'data:b', ': c', 'event: e', 'x', 'data: é😀', 'id', '');
  const end = fc.constantFrom('\n', '\r\n', '\r', '\n\n', '\r\n\r\n', '\r\r', '\n\r');
  fc.assert(fc.property(fc.array(fc.tuple(line, end), { maxLength: 12 }), fc.integer(), (lines, cutSeed) => {
    const bytes = Buffer.from(lines.flat().join(''));
    const whole = framesOf([bytes]);
    const cut = framesOf(cutBytes(bytes, cutSeed, 2));
    return JSON.stringify(told(cut)) === JSON.stringify(told(whole)) && Buffer.concat(cut.map((f) => f.raw)).equals(bytes);
  }), { numRuns: runs(5_000), seed });
  t.pass(`seed ${seed}`);
});

t.test('a frame larger than the limit is an error, one of the limit is not', async (t) => {
  const frame = (size: number): Buffer => Buffer.from(`data: ${'x'.repeat(size - 8)}\n\n`);
  t.equal(framesOf([frame(100)], 100).length, 1);
  t.throws(() => framesOf([frame(101)], 100), { code: 'response_too_large' });
  t.throws(() => framesOf(cutBytes(frame(300), 1, 10), 100), { code: 'response_too_large' });
});

t.test('data is replaced, the rest of the frame stays', async (t) => {
  const [crlf] = framesOf([Buffer.from('event: e\r\ndata: 1\r\ndata: 2\r\n: c\r\n\r\n')]);
  t.equal(withData(crlf as Frame, '{"b":1}').toString(), 'event: e\r\ndata: {"b":1}\r\n: c\r\n\r\n');
  t.equal(withData(crlf as Frame, '{"b":\n1}').toString(), 'event: e\r\ndata: {"b":\r\ndata: 1}\r\n: c\r\n\r\n', 'a line end within stays one');
  const [plain] = framesOf([Buffer.from('data: $&\n\n')]);
  t.equal(withData(plain as Frame, '$1').toString(), 'data: $1\n\n');
});
