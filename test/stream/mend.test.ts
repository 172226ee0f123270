/** What clients misread is written as all of them read it, and everything else keeps its bytes, whatever the cut. */
import t from 'tap';
import { SseFramer } from '../../src/stream/sse.ts';
import { mended } from '../../src/stream/mend.ts';
import { cutBytes } from '../helpers/guarded.ts';

/** The stream as it goes on, frame by frame. */
function written(bytes: Buffer, seed = 1): string {
  const framer = new SseFramer(1 << 20);
  const frames = cutBytes(bytes, seed, 7).flatMap((chunk) => [...framer.feed(chunk)]);
  const last = framer.flush();
  return Buffer.concat([...frames, ...(last === undefined ? [] : [last])].map((frame) => mended(frame)?.raw ?? Buffer.alloc(0))).toString('latin1');
}

const CASES: readonly (readonly [what: string, given: string, expected?: string])[] = [
  // As it came.
  ['a plain event', 'data: {"a":1}\n\n'],
  ['an event with a name', 'event: x\ndata: {"a":1}\n\n'],
  ['CRLF', 'event: x\r\ndata: {"a":1}\r\n\r\n'],
  ['CRLF cut in two', 'data: 1\r\n\r'],
  ['CR', 'data: {"a":1}\r\rdata: 2\r\r'],
  ['no space after the colon', 'data:{"a":1}\n\n'],
  ['several data lines', 'data: {"a":\ndata: 1}\n\n'],
  ['a data line without a colon', 'data\ndata: 1\n\n'],
  ['a comment', ': ping\n\n'],
  ['a comment beside data', ': id: 7\ndata: 1\n\n'],
  ['empty lines', '\n\n\ndata: 1\n\n\n'],
  ['line ends that do not end the event', 'event: x\r\ndata: 1\n\n'],
  ['words that only begin like a field', 'data: 1\ndata: id: 7\n\n'],
  ['the end marker', 'data: [DONE]\n\n'],
  ['a field alone that is no error', 'message: oops\n\n'],
  // Written anew.
  ['a byte order mark', '\xef\xbb\xbfdata: 1\n\ndata: 2\n\n', 'data: 1\n\ndata: 2\n\n'],
  ['a byte order mark before a comment', '\xef\xbb\xbf: ping\n\n', ': ping\n\n'],
  ['an id', 'id: 7\ndata: 1\n\n', 'data: 1\n\n'],
  ['an id without value', 'data: 1\nid\n\n', 'data: 1\n\n'],
  ['a retry', 'retry: 10\r\ndata: 1\r\n\r\n', 'data: 1\r\n\r\n'],
  ['an id and a name', 'event: x\nid:7\ndata: 1\n\n', 'event: x\ndata: 1\n\n'],
  ['an id alone', 'id: 7\n\ndata: 1\n\n', 'data: 1\n\n'],
  ['a retry alone', 'retry: 10\n\n', ''],
  ['an id beside a comment', ': ping\nid: 7\n\n', ': ping\n\n'],
  ['an event without data', 'event: ping\n\ndata: 1\n\n', 'data: 1\n\n'],
  ['an event without data beside a comment', ': ping\nevent: ping\n\n', ': ping\n\n'],
  ['an unknown field beside data', 'data: 1\nnote: ana@example.com\n\n', 'data: 1\n\n'],
  ['mixed line ends', 'data: 1\n\r\ndata: 2\n\rdata: 3\n\n', 'data: 1\n\ndata: 2\n\ndata: 3\n\n'],
  ['no empty line', 'data: 1'],
  ['no empty line after the end marker', 'data: [DONE]\n'],
  ['half an empty line', 'data: 1\n\r', 'data: 1\n\n'],
  ['bytes that are no UTF-8', 'id: 7\ndata: \xff\xc3\n\n', 'data: \xff\xc3\n\n'],
  ['an error with an id', 'id: 7\nerror: oops\n\n', 'error: oops\n\n'],
  ['an error as a field', 'error: oops\n\n'],
  ['an error beside data', 'data: 1\nerror: oops\n\n', 'data: 1\n\n'],
];

/** A line end cut in two may leave an empty line more, which is nothing to any client. */
const oneEmptyLine = (text: string): string => text.replace(/^\n+|(?<=\n\n)\n+/g, '');

t.test('frame by frame', async (t) => {
  for (const [what, given, expected = given] of CASES) {
    for (const seed of [1, 2, 3]) t.equal(oneEmptyLine(written(Buffer.from(given, 'latin1'), seed)), oneEmptyLine(expected), what);
  }
});
